"""What the scripts talk to, made up: a LiteLLM program, a gateway that speaks the Messages API, an authenticating proxy.

Each listens on the loopback address and is stopped by the test that started it. Nothing here is part of the product.
"""
import base64
import http.server
import json
import os
import pathlib
import select
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

import assemble

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "real"))
from litellm_judge import Judge

SHELLS = [shell for shell in ("bash", "dash", "busybox") if shutil.which(shell)]
EMBEDDED = assemble.EMBEDDED
KEY = assemble.SAMPLE_ENV["basic"]["LITELLM_MASTER_KEY"]

# Acts like `litellm --run_gunicorn`: a master that listens, and a worker forked from it that serves. HUP: a new worker with the new
# configuration, then TERM to the old one, which finishes its requests. TERM: the worker may finish for 2 seconds, then it is
# killed (gunicorn: 30). Words in the configuration change it: "broken" is refused by --validate_config, "dies" ends at the start,
# "hangs once" and "hangs always" listen and serve nothing, "spins" computes for ever and does not listen, "closes late" listens for
# another second after TERM.
LITELLM = r"""#!{python}
import http.server, json, os, signal, socket, sys, threading, time
argument = lambda name: sys.argv[sys.argv.index(name) + 1]
place = os.path.dirname(os.path.abspath(__file__))
def note(name, word): open(os.path.join(place, name), "a").write(word + "\n")
def read(): return open(argument("--config"), encoding="utf-8").read()
config = read()
if "--validate_config" in sys.argv:
    note("validations", str(os.getpid()))
    if "takes long" in config: time.sleep(2)
    print("config OK" if "broken" not in config else "config validation failed: broken")
    sys.exit("broken" in config)
note("starts", str(os.getpid()))
json.dump([sys.argv, dict(os.environ)], open(os.path.join(place, "seen.json"), "w"))
if "dies" in config:
    sys.exit("no provider")
while "spins" in config:
    pass
listener = socket.create_server((argument("--host"), int(argument("--port"))), reuse_port=False)
if "hangs always" in config or "hangs once" in config and not os.path.exists(os.path.join(place, "hung")):
    note("hung", str(os.getpid()))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True: signal.pause()
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *rest): pass
    def do_GET(self):
        self.send_response(200)
        if self.path.startswith("/stream/"):
            self.end_headers()
            for _ in range(int(self.path[8:]) * 5):
                if os.path.exists(os.path.join(place, "finish")): break
                self.wfile.write(b"x")
                time.sleep(0.2)
            return self.wfile.write(b" end")
        body = (config + "\nworker %d" % os.getpid()).encode()
        self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)
def work():
    leave = threading.Event()
    signal.signal(signal.SIGTERM, lambda *rest: leave.set())
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    server = http.server.ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket, server.daemon_threads = listener, False
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    while not leave.wait(0.1): pass
    if "closes late" in config: time.sleep(1)
    server.shutdown()
    server.server_close()
    os._exit(0)
def fork():
    pid = os.fork()
    if pid == 0: work()
    workers.append(pid)
def reap():
    while workers:
        pid = os.waitpid(-1, os.WNOHANG)[0]
        if pid == 0: return
        if pid in workers: workers.remove(pid)
workers, signals = [], []
for number in (signal.SIGHUP, signal.SIGTERM): signal.signal(number, lambda number, frame: signals.append(number))
fork()
while True:
    time.sleep(0.05)
    reap()
    if signal.SIGTERM in signals:
        listener.close()
        for pid in workers: os.kill(pid, signal.SIGTERM)
        limit = time.time() + 2
        while workers and time.time() < limit: time.sleep(0.05); reap()
        for pid in workers: os.kill(pid, signal.SIGKILL)
        sys.exit(0)
    if signal.SIGHUP in signals:
        signals.clear()
        note("reloads", "HUP")
        config, old = read(), list(workers)
        fork()
        time.sleep(0.3)
        for pid in old: os.kill(pid, signal.SIGTERM)
    if not workers: fork()
"""


def by(shell):
    """The command line that starts a shell of SHELLS."""
    return ["busybox", "sh"] if shell == "busybox" else [shell]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway(http.server.BaseHTTPRequestHandler):
    """LiteLLM's answers. `mood` of the server changes one of them."""

    def log_message(self, *rest):
        pass

    def answer(self, status, body=None, kind="application/json", headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def allowed(self):
        mood = self.server.mood
        given = self.headers.get("authorization", "").removeprefix("Bearer ") or self.headers.get("x-api-key", "")
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        if mood == "open" or given == KEY:
            return True
        self.answer(500 if mood == "no prisma" else 401 if not given else 400, {"error": {"type": "auth_error"}})
        return False

    def do_GET(self):
        path = self.path.split("?")[0]
        mood = self.server.mood
        if path == "/health/liveliness":
            self.answer(200 if mood != "stranger" else 404, "I'm alive!")
        elif path == "/health/readiness":
            self.answer(200 if mood != "not ready" else 503, {"status": "healthy"})
        elif mood == "redirects":
            self.answer(302, headers=[("location", "https://other.example.com")])
        elif self.allowed():
            if path == "/v1/models":
                self.answer(200, {"data": [{"id": name} for name in self.server.names]})
            elif path == "/health":
                self.answer(200, b'{"healthy_count":1,"unhealthy_count":%d}' % (1 if mood == "sick" else 0))
            else:
                self.answer(404)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.server.mood == "openai only":
            return self.answer(404)
        if not self.allowed():
            return None
        if self.server.mood == "retired" and not body.get("mock_testing_fallbacks"):
            return self.answer(404, {"error": {"message": f"model gone for {KEY}"}})
        if body.get("stream"):
            return self.answer(200, b"event: message_start\ndata: {}\n\nevent: message_stop\ndata: {}\n\n", "text/event-stream")
        tried = "1" if body.get("mock_testing_fallbacks") and self.server.mood != "no fallback" else "0"
        return self.answer(200, {"content": []}, headers=[("x-litellm-attempted-fallbacks", tried)])


def serve(handler, **attributes):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    vars(server).update(attributes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Proxy(http.server.BaseHTTPRequestHandler):
    """CONNECT with a login; every host is the TLS server of the test."""

    def log_message(self, *rest):
        pass

    def do_CONNECT(self):
        wanted = "Basic " + base64.b64encode(self.server.login.encode()).decode() if self.server.login else None
        if wanted and self.headers.get("proxy-authorization") != wanted:
            return self.reply(b"407 Proxy Authentication Required", b"Proxy-Authenticate: Basic realm=p\r\n")
        if self.path.startswith("forbidden."):
            return self.reply(b"403 Forbidden")
        self.reply(b"200 Connection established", close=False)
        with socket.create_connection(("127.0.0.1", self.server.target)) as far:
            ends = {self.connection: far, far: self.connection}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        self.close_connection = True
                        return None
                    ends[end].sendall(data)

    def reply(self, status, header=b"", close=True):
        length = b"Content-Length: 0\r\n" if close else b""
        self.wfile.write(b"HTTP/1.1 " + status + b"\r\n" + header + length + b"\r\n")
        self.close_connection = close


class Place(unittest.TestCase):
    """A gateway directory in a HOME whose name holds a space, a quote and a dollar sign."""

    preset = "basic"

    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="home of o'$HOME "))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.dir = self.home / ".claude/gateway"
        self.dir.mkdir(parents=True)
        self.port = free_port()
        assemble.lay_out(self.dir, self.preset, port=self.port, env=assemble.SAMPLE_ENV[self.preset])
        self.bin = self.home / "bin"
        self.bin.mkdir()
        self.program("python3", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')

    def program(self, name, text):
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def litellm(self):
        path = self.dir / "venv/bin/litellm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(LITELLM.replace("{python}", sys.executable))
        path.chmod(0o755)
        return path

    def plant(self, version, pth):
        """A venv with a real Python and LiteLLM in this version, and a .pth file in it that makes the returned path when it is run."""
        venv = self.dir / "venv"
        shutil.rmtree(venv, ignore_errors=True)
        self.litellm()
        (venv / "bin/python").symlink_to(pathlib.Path(sys.executable).resolve())
        (venv / "pyvenv.cfg").write_text(f"home = {pathlib.Path(sys.executable).resolve().parent}\n")
        packages = venv / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
        facts = packages / f"litellm-{version}.dist-info"
        facts.mkdir(parents=True)
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: litellm\nVersion: {version}\n")
        mark = self.home / "planted code ran"
        mark.unlink(missing_ok=True)
        (packages / pth).write_text(f"import pathlib; pathlib.Path({str(mark)!r}).touch()\n")
        return mark

    def env(self, **more):
        return {"HOME": str(self.home), "PATH": f"{self.bin}:/usr/bin:/bin", "LANG": "C.UTF-8"} | more

    def run_script(self, name, *arguments, shell=None, stdin=None, **more):
        """(exit status, everything printed)."""
        path = str(self.dir / name)
        front = by(shell) if shell else [sys.executable, "-B"] if name.endswith(".py") else []
        done = subprocess.run([*front, path, *arguments], env=self.env(**more), capture_output=True, text=True, timeout=120, input=stdin)
        return done.returncode, done.stdout + done.stderr

    def expect(self, code, words, name, *arguments, **more):
        """Runs a script and holds its status and words; no secret of the directory may be among them."""
        got, text = self.run_script(name, *arguments, **more)
        self.assertEqual(got, code, f"{name} {arguments}: {text}")
        for word in [words] if isinstance(words, str) else words:
            self.assertIn(word, text, f"{name} {arguments}")
        if not name.endswith("print-gateway-key.sh"):
            self.assertNotIn(KEY, text, "a secret was printed")
        return text

    def write_env(self, text):
        (self.dir / ".env").write_text(text, encoding="utf-8")
        (self.dir / ".env").chmod(0o600)

    def set_env(self, **values):
        lines = {**assemble.SAMPLE_ENV[self.preset], **values}
        self.write_env("".join(f"{name}={value}\n" for name, value in lines.items() if value is not None))

    def plain_path(self, path):
        """A copy of a file under a name without special characters; .env cannot hold a quote."""
        folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        return shutil.copy(path, folder)

    def gateway(self, mood="", names=None):
        """A made-up gateway on the directory's port."""
        config = self.dir / "config/litellm.yaml"
        if names is None and config.exists():
            listed = [entry["model_name"] for entry in assemble.yaml.safe_load(config.read_text())["model_list"]]
            names = [name for name in listed if "*" not in name]
        server = serve(Gateway, mood=mood, names=names or ["claude-sonnet-5-5"], seen=[])
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        script = self.dir / "start-gateway.sh"
        if script.exists():
            text = script.read_text().splitlines(True)
            script.write_text("".join(f"GATEWAY_PORT={server.server_port}\n" if l.startswith("GATEWAY_PORT=") else l for l in text))
        return server

    def tls_behind_proxy(self, login=None):
        """(proxy URL without login, path of the certificate): every host is answered by one TLS server."""
        if not shutil.which("openssl"):
            self.skipTest("openssl is missing")
        key, cert = self.home / "key.pem", self.home / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj",
                        "/CN=provider.example.com", "-addext", "subjectAltName=DNS:provider.example.com,DNS:localhost"], check=True, capture_output=True)
        far = serve(Gateway, mood="open", names=[], seen=[])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        far.socket = context.wrap_socket(far.socket, server_side=True)
        proxy = serve(Proxy, login=login, target=far.server_port)
        for server in (far, proxy):
            self.addCleanup(server.server_close)
            self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{proxy.server_port}", cert


def pasted(path):
    """A path as the scripts quote it for a person to paste."""
    return "'" + str(path).replace("'", "'\\''") + "'"


def shell_scripts():
    # Those of a server have tests of their own: tests/servers.
    return sorted(str(p.relative_to(EMBEDDED)) for p in EMBEDDED.rglob("*.sh") if "servers" not in p.parts)


def running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
