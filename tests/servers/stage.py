"""One server as `gwinstall render systemd` writes it, in a directory of this machine: PostgreSQL, Redis, the rendered configuration in the
real LiteLLM, nginx with the rendered site and a certificate of its own, and a fake internet behind it.

Needs root (PostgreSQL runs as its own account) and LITELLM_VENV. Everything is on loopback ports of its own, and stopped at the end.
"""
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "real"))

from fake_internet import GEMINI, FakeInternet, free_port

VENV = os.environ.get("LITELLM_VENV", "")
DOMAIN = "gateway.example.com"
# A name that Claude Code asks for by itself: render sends it to whatever the catalog points at.
MODEL = "claude-sonnet-5"
KEY = "sk-" + "7e57" * 16
# What is deployed first, and what follows: the same LiteLLM under another name.
VERSIONS = "1.106.2", "1.106.2.post1"
# A start on a busy machine; LiteLLM with a database needs about ten seconds on an idle one.
START = 300


# The first request of Claude Code, with its tools, has this order of size; nginx does not get one in its first read.
CONVERSATION = "a line of a source file that the session has read\n" * 3000
PIECES = 8


class Wrong(Exception):
    """What was not as it must be."""


class Provider(FakeInternet):
    """A stream of it comes in pieces and takes seconds, so that one is under way whenever an instance stops."""

    @staticmethod
    def answer(host, path, asked):
        kind, answer = FakeInternet.answer(host, path, asked)
        if "streamGenerateContent" not in path:
            return kind, answer
        piece = {"candidates": [{"content": {"role": "model", "parts": [{"text": "."}]}}]}
        return kind, "".join(f"data: {json.dumps(event)}\n\n" for event in [*[piece] * PIECES, GEMINI])


def ran(command, seconds=120, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=seconds, **{"stdin": subprocess.DEVNULL, **more})
    if done.returncode:
        raise Wrong(f"{' '.join(str(word) for word in command[:6])} exits {done.returncode}: {done.stdout[-1500:]}{done.stderr[-3000:]}")
    return done.stdout


def within(seconds, holds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.5)
    raise Wrong(f"{what}: not within {seconds} s")


def two_free_ports():
    while True:
        first = free_port()
        with contextlib.suppress(OSError), socket.socket() as second:
            second.bind(("127.0.0.1", first + 1))
            return first


class Site:
    """The rendered site, asked by its name through TLS on a port of this machine."""

    def __init__(self, certificate, tls):
        self.certificate, self.tls = certificate, tls

    def connection(self, seconds=120):
        """Through TLS, to the site by its name."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        connection = http.client.HTTPSConnection(DOMAIN, self.tls, timeout=seconds, context=context)
        connection._create_connection = lambda address, *rest, **more: socket.create_connection(("127.0.0.1", self.tls), seconds)
        return connection

    def ask(self, method, path, key, body=None, seconds=120):
        with contextlib.closing(self.connection(seconds)) as connection:
            headers = {"authorization": f"Bearer {key}", "content-type": "application/json", "anthropic-version": "2023-06-01"}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")

    def message(self, key, text="hi", **more):
        return self.ask("POST", "/v1/messages", key, {"model": MODEL, "max_tokens": 20, "messages": [{"role": "user", "content": text}], **more})

    def conversation(self, key):
        """A request of the size of Claude Code's, whose answer is a stream: 200 only where the stream came to its last event."""
        status, text = self.message(key, CONVERSATION, stream=True)
        return (status, text) if status != 200 or "event: message_stop" in text else (0, f"the stream ends early: {text[-120:]!r}")


class Stage(Site):
    provider, versions = Provider, VERSIONS

    def __init__(self, scratch, binary, tools):
        self.scratch, self.binary, self.tools, self.processes = Path(scratch), binary, tools, []
        self.scratch.chmod(0o755)
        self.root, self.state, self.bin = self.scratch / "gateway", self.scratch / "state", self.scratch / "bin"
        for directory in (self.state, self.bin, self.scratch / "internet", self.scratch / "home"):
            directory.mkdir()
        self.internet = self.provider(str(self.scratch / "internet"), login="", pace=0.3)
        self.port, self.tls, self.plain = two_free_ports(), free_port(), free_port()
        self.database, self.redis = free_port(), free_port()

    # --- the stores --------------------------------------------------------------------------------------------------------------

    def begin(self, command, **more):
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True, **more)
        self.processes.append(process)
        return process

    def postgresql(self):
        programs, data = Path(self.tools.find("postgresql") or "/"), self.scratch / "postgresql"
        data.mkdir()
        shutil.chown(data, "postgres")
        account = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
        ran([*account, programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N"], cwd="/")
        listen = ["-p", str(self.database), "-k", data, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        self.begin([*account, programs / "postgres", "-D", data, *listen], cwd="/")
        self.address = f"postgresql://litellm:database-of-the-test@127.0.0.1:{self.database}/litellm"
        administrator = ["psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(self.database), "-U", "postgres", "-v", "ON_ERROR_STOP=1"]
        ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.database)]
        within(60, lambda: subprocess.run(ready).returncode == 0, "PostgreSQL answers")
        ran([*administrator, "-c", "create role litellm login createdb password 'database-of-the-test'"])
        ran([*administrator, "-c", "create database litellm owner litellm"])

    def redis_server(self):
        line = [self.tools.find("redis-server"), "--port", str(self.redis), "--bind", "127.0.0.1", "--requirepass", "redis-of-the-test"]
        self.begin([*line, "--save", "", "--dir", self.scratch])

    def query(self, text):
        return ran(["psql", "-X", "-A", "-t", "-d", self.address, "-c", text]).strip()

    # --- what render wrote ---------------------------------------------------------------------------------------------------------

    def render(self):
        """The rendered directory, laid out by the shipped install.sh."""
        variables = {"HTTPS_PROXY": f"http://127.0.0.1:{self.internet.port}", "NO_PROXY": "127.0.0.1,localhost"}
        variables |= dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), self.internet.ca_path)
        values = {
            "domain": DOMAIN, "port": self.port, "requests_per_second": 1000, "variables": variables, "metrics": True,
            "database": {"host": "127.0.0.1", "port": self.database}, "redis": {"host": "127.0.0.1", "port": self.redis},
            "server": {"root": str(self.root), "instances": 2},
        }
        (self.scratch / "gateway.yaml").write_text(json.dumps(values))
        out, laid = self.scratch / "rendered", self.scratch / "laid"
        line = ["render", "systemd", "--out", out, "--values", self.scratch / "gateway.yaml", "--preset", "basic"]
        ran([self.binary, *line], env={"HOME": str(self.scratch / "home"), "PATH": "/usr/bin:/bin"})
        ran([out / "install.sh", "--yes", "--prefix", laid])
        shutil.move(f"{laid}{self.root}", self.root)
        # A start of LiteLLM takes longer where other tests run beside it.
        with open(self.root / "server.env", "a") as server:
            server.write("HEALTH_SECONDS=150\n")
        self.units, self.site = laid / "etc/systemd/system", (laid / "etc/nginx/conf.d/llm-gateway.conf").read_text()
        self.fill_in(out / "secrets.env.example", self.root)

    def fill_in(self, example, place):
        """The secrets that the rendered example names, and the login of Google."""
        given = {"LITELLM_MASTER_KEY": KEY, "LITELLM_SALT_KEY": "sk-" + "5a17" * 16, "DATABASE_PASSWORD": "database-of-the-test",
                 "REDIS_PASSWORD": "redis-of-the-test", "VERTEXAI_PROJECT": "example-project", "VERTEXAI_LOCATION": "us-central1"}
        wanted = re.findall(r"(?m)^([A-Z_]+)=", example.read_text())
        if set(wanted) - set(given):
            raise Wrong(f"secrets.env.example wants {sorted(set(wanted) - set(given))}")
        secrets = place / "secrets.env"
        secrets.write_text("".join(f"{name}={given[name]}\n" for name in wanted))
        secrets.chmod(0o600)
        shutil.copy(self.internet.sa_path, place / "google-credentials.json")

    def release(self, version, place=None):
        """A release as deploy.sh lays it: the packages of LITELLM_VENV, and its own client of Prisma, because that one is generated."""
        place = place or self.root / "releases" / version
        packages = next(Path(VENV).glob("lib/python3*/site-packages"))
        ran([Path(VENV, "bin/python"), "-m", "venv", "--without-pip", place])
        own = next(place.glob("lib/python3*/site-packages"))
        shutil.copytree(packages / "prisma", own / "prisma")
        # deploy.sh looks for the schema in the release.
        schema = place / "lib/schema/litellm/proxy/schema.prisma"
        schema.parent.mkdir(parents=True)
        shutil.copy(packages / "litellm/proxy/schema.prisma", schema)
        (own / "packages.pth").write_text(f"{self.prometheus()}\n{packages}\n")
        for name in ("litellm", "prisma-client-py"):
            program = (Path(VENV) / "bin" / name).read_text().split("\n", 1)[1]
            (place / "bin" / name).write_text(f"#!{place}/bin/python\n{program}")
        engine = self.tools.node_packages("engine")
        for name in ("query-engine", "query-engine.js"):
            shutil.copy(HERE / "engine" / name, engine / name)
        shutil.copy(HERE / "engine/prisma", place / "bin/prisma")
        for name in ("litellm", "prisma-client-py", "prisma"):
            (place / "bin" / name).chmod(0o755)
        self.generate(place, packages, engine)
        (place / ".complete").touch()
        return place

    def generate(self, place, packages, engine):
        schema = self.scratch / "schema.prisma"
        schema.write_text(re.sub(r"(?m)^\s*binaryTargets.*\n", "", (packages / "litellm/proxy/schema.prisma").read_text()))
        names = ("PRISMA_QUERY_ENGINE_BINARY", "PRISMA_QUERY_ENGINE_LIBRARY", "PRISMA_SCHEMA_ENGINE_BINARY", "PRISMA_FMT_BINARY")
        self.engine = {name: str(engine / "query-engine") for name in names}
        more = {"PATH": f"{place}/bin:/usr/bin:/bin", "HOME": str(self.scratch / "home"), "DATABASE_URL": self.address, **self.engine}
        ran(["node", engine / "node_modules/prisma/build/index.js", "generate", "--schema", schema], seconds=300, env=more)

    def prometheus(self):
        """The one package of the rendered lock file that LITELLM_VENV may lack."""

        def make(directory):
            line = re.search(r"(?m)^prometheus-client==\S+", (self.root / "litellm.lock").read_text())[0]
            ran([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", directory / "packages", line], seconds=120)

        return self.tools.once("prometheus-client", make) / "packages"

    # --- the scripts that shipped ------------------------------------------------------------------------------------------------------

    def environment(self):
        added = "\n".join(f"{name}={value}" for name, value in self.engine.items())
        more = {"STATE": str(self.state), "UNITS": str(self.units), "HERE": str(HERE), "ADDED": added, **self.engine}
        return {"PATH": f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.scratch / "home"), "LANG": "C.UTF-8", **more}

    def script(self, name, *words, seconds=900):
        return ran([self.root / name, *words], seconds, env=self.environment())

    def stand_ins(self):
        (self.bin / "systemctl").write_text(f'#!/bin/sh\nexec "{sys.executable}" -B "{HERE}/systemctl" "$@"\n')
        (self.bin / "journalctl").write_text(f'#!/bin/sh\ntail -n 20 "{self.state}"/*.log\n')
        for name in ("systemctl", "journalctl"):
            (self.bin / name).chmod(0o755)

    def nginx(self):
        """The rendered site with this machine's ports, behind a certificate for the domain."""
        place = self.scratch / "nginx"
        place.mkdir()
        self.certify(self.root / "certs")
        site = re.sub(r"(?m)^(\s*listen )443\b", rf"\g<1>127.0.0.1:{self.tls}", self.site)
        site = re.sub(r"(?m)^(\s*listen )80\b", rf"\g<1>127.0.0.1:{self.plain}", site)
        temporary = "".join(f"{name}_temp_path {place}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (place / "nginx.conf").write_text(
            f"user root;\npid {place}/pid;\ndaemon off;\nevents {{}}\nhttp {{\naccess_log {place}/access.log;\n{temporary}{site}\n}}\n"
        )
        self.begin([self.tools.find("nginx"), "-p", place, "-e", place / "error.log", "-c", place / "nginx.conf"])
        within(30, lambda: (place / "pid").exists(), "nginx starts")

    def certify(self, place):
        """A certificate for the domain, which signs itself."""
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={DOMAIN}"]
        ran([*command, "-addext", f"subjectAltName=DNS:{DOMAIN}", "-keyout", place / "privkey.pem", "-out", place / "fullchain.pem"])
        self.certificate = place / "fullchain.pem"

    def claude(self, program, key, seconds=240):
        """(exit status, text) of the real Claude Code; the name of the site is in a hosts file that only it sees."""
        home, hosts = self.scratch / "person", self.scratch / "hosts"
        (home / "work").mkdir(parents=True, exist_ok=True)
        hosts.write_text(f"127.0.0.1 localhost {DOMAIN}\n")
        values = {"HOME": home, "PATH": "/usr/bin:/bin", "TERM": "dumb", "ANTHROPIC_BASE_URL": f"https://{DOMAIN}:{self.tls}", "ANTHROPIC_AUTH_TOKEN": key,
                  "ANTHROPIC_MODEL": MODEL, "ANTHROPIC_DEFAULT_HAIKU_MODEL": MODEL, "NODE_EXTRA_CA_CERTS": self.certificate,
                  "CLAUDE_CODE_MAX_RETRIES": "0", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
        inside = f'mount --bind "{hosts}" /etc/hosts && cd "{home}/work" && exec "{program}" -p "say hi"'
        done = subprocess.run(["unshare", "-m", "sh", "-c", inside], env={name: str(value) for name, value in values.items()},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds)
        return done.returncode, (done.stdout + done.stderr).strip()

    def close(self):
        for mark in self.state.glob("[0-9]*"):
            if mark.name.isdigit():
                with contextlib.suppress(OSError, ValueError):
                    os.killpg(int(mark.read_text()), signal.SIGKILL)
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


class Load:
    """Clients that ask through the site without pause: every second one sends long requests and gets streams. `outcomes` are
    (moment, word): "ok", or what failed."""

    def __init__(self, site, key, clients=4):
        self.site, self.key, self.outcomes, self.over = site, key, [], threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True) for number in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        ask, word_of = (self.site.message, "short") if number % 2 else (self.site.conversation, "stream")
        while not self.over.is_set():
            try:
                status, text = ask(self.key)
                word = "ok" if status == 200 else f"{word_of}: {status} {text[:160]}"
            except (OSError, http.client.HTTPException) as error:
                word = f"{word_of}: {type(error).__name__}: {error}"
            self.outcomes.append((time.monotonic(), word))

    def close(self):
        self.over.set()
        for thread in self.threads:
            thread.join(150)

    def failed(self):
        return [word for _, word in self.outcomes if word != "ok"]
