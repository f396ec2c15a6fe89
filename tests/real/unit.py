"""One home with gwinstall, the real LiteLLM, the real Claude Code, and a fake internet behind the deployed gateway.

The gateway is deployed and started by gwinstall alone; its way out is the proxy preset, so no variable of this process reaches it.
What a prompt shows is read while Claude Code still tries: it goes on for three minutes where nothing answers.
"""

import contextlib
import glob
import http.server
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from fake_internet import FakeInternet, free_port

BIN = os.environ.get("GWINSTALL_BIN", "")
VENV = os.environ.get("LITELLM_VENV", "")
CLAUDE = os.environ.get("CLAUDE_BIN", "")
MODELS = "glm-5.2,gpt-oss-120b"
QUIET = {"DISABLE_TELEMETRY": "1", "DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
# A start on a busy machine.
SLOW = 400


class Wrong(Exception):
    """What was not as it must be."""


class Shown:
    """What a prompt came to: `text` is the answer or the line that was shown, `seconds` from the beginning to it, and `late` from
    the end of the last key helper to it (None where no helper ran)."""

    def __init__(self, answered, text, seconds, late):
        self.answered, self.text, self.seconds, self.late = answered, text, seconds, late


class Unit:
    """`pace` is how long the fake providers take from piece to piece of a stream."""

    def __init__(self, folder, pace=0.0):
        self.home = Path(folder, "home")
        (self.home / "work").mkdir(parents=True)
        (self.home / ".claude").mkdir()
        Path(folder, "internet").mkdir()
        self.internet = FakeInternet(os.path.join(folder, "internet"), login="", pace=pace)
        self.gateway, self.settings = self.home / ".claude/gateway", self.home / ".claude/settings.json"
        self.own_settings = json.dumps({"env": QUIET}, indent=2) + "\n"
        self.settings.write_text(self.own_settings, encoding="utf-8")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.venv = self.home / "venv"
        self.make_venv()

    def make_venv(self):
        """An environment of this home, so that it can be taken away."""
        self.venv.mkdir(exist_ok=True)
        for name in ("bin", "lib", "pyvenv.cfg"):
            with contextlib.suppress(FileExistsError):
                os.symlink(os.path.join(VENV, name), self.venv / name)

    def environment(self):
        return {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}

    def gwinstall(self, *arguments, code=0, given=None, stdin="", timeout=SLOW):
        env = self.environment() | (given or {})
        run = subprocess.run([BIN, *arguments], env=env, input=stdin, capture_output=True, text=True, timeout=timeout, cwd=self.home)
        if code is not None and run.returncode != code:
            raise Wrong(f"gwinstall {' '.join(arguments)} exits {run.returncode}: {run.stdout[-1200:]}{run.stderr[-1200:]}")
        return run

    def install(self, *more, values=True, code=0):
        """The proxy preset before the fake internet; without `values` the project is missing."""
        given = {"SSL_CERT_FILE": self.internet.ca_path, "GOOGLE_APPLICATION_CREDENTIALS": self.internet.sa_path}
        given |= {"VERTEXAI_PROJECT": "example-project", "VERTEXAI_LOCATION": "us-central1"} if values else {}
        arguments = ["--preset", "proxy", "--proxy-url", f"http://127.0.0.1:{self.internet.port}", "--gateway-url", self.url]
        return self.gwinstall("install", "--yes", "--models", MODELS, "--venv", str(self.venv), *arguments, *more, given=given, code=code)

    def processes(self):
        """The numbers of every process whose command line names this home's configuration."""
        config, found = str(self.gateway / "config/litellm.yaml").encode(), []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if config in Path(path).read_bytes().split(b"\0"):
                    found.append(int(path.split("/")[2]))
        return found

    def crash(self):
        """Master and workers end at once."""
        for _ in range(3):
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.2)

    def helper_runs(self):
        """Whether a key helper of this home is at work."""
        helper = str(self.gateway / "scripts/print-gateway-key.sh").encode()
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if helper in Path(path).read_bytes():
                    return True
        return False

    def key(self):
        lines = (self.gateway / ".env").read_text(encoding="utf-8").splitlines()
        return next(line.partition("=")[2].strip("'\"") for line in lines if line.startswith("LITELLM_MASTER_KEY="))

    def prompt(self, limit=200.0):
        """`claude -p hi` until it answers, shows a line of gwinstall's, or has ended."""
        watch = Watch(self)
        process = subprocess.Popen(
            [CLAUDE, "-p", "hi"], env=self.environment() | {"TERM": "dumb"}, cwd=self.home / "work", stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        lines = Lines(process.stderr)
        try:
            until = watch.began + limit
            while process.poll() is None and time.monotonic() < until and not lines.find("gwinstall: "):
                time.sleep(0.05)
            line = lines.find("gwinstall: ")
            if line:
                return Shown(False, line[1], line[0] - watch.began, watch.late(line[0]))
            ended = time.monotonic()
            if process.poll() is None:
                return Shown(False, f"nothing for {limit:.0f} s", limit, None)
            out = process.stdout.read().strip()
            return Shown(process.returncode == 0, out or lines.all(), ended - watch.began, watch.late(ended))
        finally:
            process.kill()
            process.wait(10)
            watch.stop()

    def close(self):
        if (self.gateway / "start-gateway.sh").exists():
            self.gwinstall("stop", "--now", code=None)
        self.crash()


class Watch:
    """When the last key helper of a home ended."""

    def __init__(self, unit):
        self.unit, self.began, self.ended, self.over = unit, time.monotonic(), None, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over.wait(0.05):
            if self.unit.helper_runs():
                self.ended = time.monotonic()

    def late(self, moment):
        return None if self.ended is None else max(0.0, moment - self.ended)

    def stop(self):
        self.over.set()
        self.thread.join(5)


class Lines:
    """The lines of a stream as they come, each with its moment."""

    def __init__(self, stream):
        self.lines = []
        threading.Thread(target=self.read, args=(stream,), daemon=True).start()

    def read(self, stream):
        for line in stream:
            self.lines.append((time.monotonic(), line.strip()))

    def find(self, text):
        return next(((moment, line) for moment, line in list(self.lines) if text in line), None)

    def all(self):
        return " | ".join(line for _, line in self.lines)


class Session:
    """An open session of Claude Code that reads its prompts as JSON."""

    def __init__(self, unit):
        command = [CLAUDE, "-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
        self.process = subprocess.Popen(command, env=unit.environment(), cwd=unit.home / "work", stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.out, self.errors = Lines(self.process.stdout), Lines(self.process.stderr)

    def say(self, text, limit):
        """(answer, seconds); an empty answer where none came in time."""
        began, seen = time.monotonic(), len(self.out.lines)
        self.process.stdin.write(json.dumps({"type": "user", "message": {"role": "user", "content": text}}) + "\n")
        self.process.stdin.flush()
        while time.monotonic() < began + limit:
            for moment, line in self.out.lines[seen:]:
                if '"type":"result"' in line:
                    return json.loads(line).get("result") or "", moment - began
            time.sleep(0.05)
        return "", limit

    def close(self):
        self.process.kill()
        self.process.wait(10)


class Stranger:
    """Another program on the gateway's port; it refuses as LiteLLM with another key does, and keeps what it was sent."""

    def __init__(self, port):
        self.hits = hits = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *rest):
                pass

            def do_GET(self):
                if self.path.startswith("/health"):
                    self.reply(200, {"status": "healthy", "message": "I'm alive!"})
                else:
                    self.refuse()

            def do_POST(self):
                self.rfile.read(int(self.headers.get("content-length") or 0))
                self.refuse()

            do_HEAD = do_GET

            def refuse(self):
                hits.append((self.path, str(self.headers)))
                self.reply(401, {"error": {"message": "Authentication Error, Invalid proxy server token passed"}})

            def reply(self, status, body):
                data = json.dumps(body).encode()
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(data)))
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(data)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.server.shutdown()
        self.server.server_close()
