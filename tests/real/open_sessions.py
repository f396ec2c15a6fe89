#!/usr/bin/env python3
"""Open sessions of the real Claude Code while gwinstall moves them: no credential may reach a side that it does not belong to.

    GWINSTALL_BIN=… CLAUDE_BIN=… tests/real/open_sessions.py [--full] [--tries N] [WORD…]

A session in a terminal and a headless one talk without pause while a command of gwinstall runs and for a while after it. Two gateways
and Anthropic's own host stand on loopback, in private mount and network namespaces (`unshare -mn`, as root), and record the credential
of every request. Fast: one `off`, and one `use` there and back. `--full`: every way in, out and across, several tries each. Words choose the cases whose names hold
them. Exit status 1: a wrong credential, or a session that ended on the wrong side. Without the right to make namespaces it prints
`skipped:` and exits with 0.
"""

import argparse
import collections
import fcntl
import glob
import http.server
import json
import os
import pty
import random
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

BIN = os.environ.get("GWINSTALL_BIN", "")
CLAUDE = os.environ.get("CLAUDE_BIN", "")
VENV = os.environ.get("LITELLM_VENV", "")
PYTHON = os.path.join(VENV, "bin", "python")
if __name__ == "__main__" and VENV and os.path.exists(PYTHON) and os.path.realpath(sys.prefix) != os.path.realpath(VENV):
    os.execv(PYTHON, [PYTHON, "-B", *sys.argv])

from authority import Authority

INSIDE = "GWINSTALL_TEST_NAMESPACE"
ANTHROPIC = "api.anthropic.com"
# Hosts that Claude Code may ask for something; all of them are loopback here.
HOSTS = [ANTHROPIC, "claude.ai", "platform.claude.com", "claude.com", "console.anthropic.com", "statsig.anthropic.com",
         "mcp-proxy.anthropic.com"]
LOGIN, TOKEN_A, TOKEN_B, OWN_KEY = "sk-ant-oat01-FAKELOGIN", "tok-GATEWAY-A", "tok-GATEWAY-B", "sk-ant-api03-" + "OWN" * 12 + "-AA"
QUIET = {"DISABLE_TELEMETRY": "1", "DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
MODELS = "claude-opus-5-5,claude-sonnet-5-5,claude-haiku-5-5"
# Seconds of talk after a command; a busy machine takes longer to notice.
AFTER, LONGEST_AFTER = 5.0, 20.0


def into_a_namespace():
    """Runs this file again where no network is but loopback, and where Anthropic's hosts are loopback."""
    if os.environ.get(INSIDE):
        return
    if subprocess.run(["unshare", "-mn", "true"], capture_output=True).returncode != 0:
        print("skipped: open sessions need the right to make namespaces (root)")
        sys.exit(0)
    hosts = tempfile.NamedTemporaryFile("w", prefix="gwinstall-hosts-", delete=False)
    hosts.write("127.0.0.1 localhost\n" + "".join(f"127.0.0.2 {host}\n" for host in HOSTS))
    hosts.close()
    script = f'ip link set lo up && mount --bind {hosts.name} /etc/hosts && rm {hosts.name} && exec "$@"'
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "-mn", "sh", "-c", script, "sh", sys.executable, "-B", *sys.argv])


Hit = collections.namedtuple("Hit", "time side method path credentials message")


class Side:
    """A server of Claude Code's protocol that answers everything and records who asked with what."""

    hits = []

    def __init__(self, name, address="127.0.0.1", port=0, tls=None):
        side = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *rest):
                pass

            def record(self, body):
                credentials = [self.headers.get(name) or "" for name in ("authorization", "x-api-key")]
                Side.hits.append(Hit(time.time(), name, self.command, self.path.split("?")[0], " ".join(credentials).strip(), last_message(body)))

            def reply(self, data, kind="application/json"):
                try:
                    self.send_response(200)
                    self.send_header("content-type", kind)
                    self.send_header("content-length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    pass

            def do_HEAD(self):
                self.record({})
                self.reply(b"")

            def do_GET(self):
                self.record({})
                self.reply(b'{"data": []}')

            def do_POST(self):
                raw = self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}"
                try:
                    body = json.loads(raw)
                except ValueError:
                    body = {}
                self.record(body)
                self.reply(*answer(body, side.name))

        self.name = name
        self.server = http.server.ThreadingHTTPServer((address, port), Handler)
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def last_message(body):
    """The number of the last message that one of the sessions here sent."""
    try:
        for message in reversed(body["messages"]):
            if message["role"] == "user":
                content = message["content"]
                text = content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
                numbers = [word for word in text.split() if word.startswith("MSG")]
                if numbers:
                    return numbers[-1]
    except (KeyError, TypeError, AttributeError):
        pass
    return ""


def answer(body, name):
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body.get("model"), "stop_sequence": None,
               "usage": {"input_tokens": 1, "output_tokens": 1}}
    text = f"from {name}"
    if not body.get("stream"):
        return (json.dumps(message | {"content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}).encode(),)
    events = [
        {"type": "message_start", "message": message | {"content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode(), "text/event-stream"


class Headless:
    """A session that reads messages as JSON."""

    kind, pause = "headless", 0.3

    def __init__(self, home, environment):
        command = [CLAUDE, "-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
        with open(home / "headless.err", "ab") as errors:
            self.process = subprocess.Popen(command, env=environment, cwd=home / "work", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=errors, text=True)
        self.pid = self.process.pid
        self.results, self.more = 0, threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            if '"type":"result"' in line:
                with self.more:
                    self.results += 1
                    self.more.notify_all()

    def say(self, text):
        before = self.results
        try:
            self.process.stdin.write(json.dumps({"type": "user", "message": {"role": "user", "content": text}}) + "\n")
            self.process.stdin.flush()
        except OSError:
            return
        with self.more:
            self.more.wait_for(lambda: self.results > before, timeout=8)

    def close(self):
        self.process.kill()
        self.process.wait(5)


class Terminal:
    """A session as a person has it."""

    kind, pause = "terminal", 0.35

    def __init__(self, home, environment):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(home / "work")
            os.execve(CLAUDE, ["claude"], environment | {"TERM": "xterm-256color"})
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.open = True
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while self.open:
            try:
                if select.select([self.terminal], [], [], 0.3)[0]:
                    os.read(self.terminal, 65536)
            except OSError:
                return

    def say(self, text):
        try:
            os.write(self.terminal, text.encode())
            time.sleep(0.35)
            os.write(self.terminal, b"\r")
        except OSError:
            return

    def close(self):
        self.open = False
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


class World:
    """A home with a saved login, sessions in it, and gwinstall."""

    def __init__(self, folder, authority, settings=None, shell=None):
        self.home = Path(tempfile.mkdtemp(dir=folder, prefix="home-"))
        self.claude, self.authority, self.sessions, self.said = self.home / ".claude", authority, [], 0
        self.claude.mkdir()
        (self.home / "work").mkdir()
        login = {"accessToken": LOGIN, "refreshToken": "sk-ant-ort01-FAKE", "expiresAt": int((time.time() + 86400) * 1000),
                 "scopes": ["user:inference", "user:profile"], "subscriptionType": "max"}
        (self.claude / ".credentials.json").write_text(json.dumps({"claudeAiOauth": login}))
        project = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True, "allowedTools": []}
        (self.home / ".claude.json").write_text(json.dumps({
            "hasCompletedOnboarding": True, "theme": "dark", "numStartups": 5,
            "customApiKeyResponses": {"approved": [OWN_KEY[-20:]], "rejected": []}, "projects": {str(self.home / "work"): project},
        }))
        self.settings = self.claude / "settings.json"
        self.original = json.dumps({"env": QUIET | (settings or {})}, indent=2).encode() + b"\n"
        self.settings.write_bytes(self.original)
        self.shell = shell or {}

    def gwinstall(self, *arguments, code=0, timeout=90):
        environment = {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        run = subprocess.run([BIN, *arguments], env=environment, capture_output=True, text=True, timeout=timeout, cwd=self.home)
        if run.returncode != code:
            raise AssertionError(f"gwinstall {arguments[0]} exits {run.returncode}: {run.stdout[-900:]}{run.stderr[-900:]}")
        return run.stdout + run.stderr

    def enterprise(self, url, token, *more):
        path = self.home / "token"
        path.write_text(token + "\n")
        self.gwinstall("install", "--yes", "--preset", "enterprise", "--gateway-type", "custom", "--gateway-url", url, "--auth-token-file",
                       str(path), "--models", MODELS, *more)

    def provider(self, name, url, token):
        """Sets up a provider that Claude Code asks directly, at a side of this test."""
        path = self.home / "token"
        path.write_text(token + "\n")
        self.gwinstall("install", "--yes", "--provider", name, "--gateway-url", url, "--auth-token-file", str(path), "--on")

    def open_sessions(self):
        environment = {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "NODE_EXTRA_CA_CERTS": self.authority.ca_path, **self.shell}
        self.sessions = [Headless(self.home, environment), Terminal(self.home, environment)]
        until = time.time() + 40
        while len(glob.glob(str(self.claude / "sessions" / "*.json"))) < 2:
            if time.time() > until:
                raise AssertionError("two sessions do not register themselves within 40 s")
            time.sleep(0.2)
        # The terminal takes a message only once it has drawn itself.
        time.sleep(6)

    def close_sessions(self):
        for session in self.sessions:
            session.close()
        for entry in glob.glob(str(self.claude / "sessions" / "*.json")):
            os.unlink(entry)
        self.sessions = []

    def talking(self, during, end):
        """Both sessions talk without pause while `during` runs and for some seconds after, longer until they have come to `end`; what they
        sent since."""
        stop, mark = threading.Event(), len(Side.hits)

        def talk(session):
            while not stop.is_set():
                self.said += 1
                session.say(f"MSG{session.kind}{self.said:05d} hi")
                stop.wait(session.pause)

        talkers = [threading.Thread(target=talk, args=(session,), daemon=True) for session in self.sessions]
        for talker in talkers:
            talker.start()
        time.sleep(random.uniform(1.5, 2.5))
        began = time.time()
        try:
            during()
            ended = time.time()
            time.sleep(AFTER)
            while time.time() < ended + LONGEST_AFTER and any(self.last_side(session, ended) != end for session in self.sessions):
                time.sleep(0.2)
        finally:
            stop.set()
            for talker in talkers:
                talker.join(12)
        return began, ended, Side.hits[mark:]

    @staticmethod
    def last_side(session, ended):
        """Where the last message of a session went that it sent some time after the command; empty where it sent none."""
        sides = [hit.side for hit in list(Side.hits) if hit.message.startswith(f"MSG{session.kind}") and hit.time > ended + 2]
        return sides[-1] if sides else ""


def belongs(hit, local_key):
    """Why this credential may not be there; empty where it may."""
    here = {"A": TOKEN_A, "B": TOKEN_B, "L": local_key, "anthropic": LOGIN}[hit.side]
    names = {TOKEN_A: "token of A", TOKEN_B: "token of B", LOGIN: "login", local_key: "key of L", OWN_KEY: "own key"}
    wrong = [word for secret, word in names.items() if secret and secret != here and secret in hit.credentials]
    wrong = [word for word in wrong if not (word == "own key" and hit.side == "anthropic")]
    return f"{wrong[0]} at {hit.side}" if wrong else ""


# name: (settings before, how the world gets where the sessions open, what happens while they talk, where they end)
def cases(sides):
    a, b, local = sides["A"].url, sides["B"].url, sides["L"].url
    own = {"ANTHROPIC_BASE_URL": a, "ANTHROPIC_AUTH_TOKEN": TOKEN_A}
    through_a = lambda world: world.enterprise(a, TOKEN_A)

    def off_and_on(world):
        through_a(world)
        world.gwinstall("off", "--yes")
        world.gwinstall("on", "--yes")

    def off(world):
        through_a(world)
        world.gwinstall("off", "--yes")

    def basic(world):
        world.gwinstall("install", "--on", "--yes", "--preset", "basic", "--gateway-url", local)

    def stopped(world):
        """The terminal is stopped throughout, and goes on after the command has given up on it."""
        terminal = world.sessions[1]
        os.kill(terminal.pid, signal.SIGSTOP)
        said = world.gwinstall("off", "--yes", code=3)
        assert f"pid {terminal.pid}" in said, said
        os.kill(terminal.pid, signal.SIGCONT)

    def two_providers(world):
        world.provider("kimi", b, TOKEN_B)
        world.provider("deepseek", a, TOKEN_A)

    def there_and_back(world):
        world.gwinstall("use", "kimi")
        time.sleep(4)
        world.gwinstall("use", "-")

    def gateway_and_provider(world):
        basic(world)
        world.provider("kimi", b, TOKEN_B)
        world.gwinstall("use", "gateway", "--force")

    run = lambda *words: lambda world: world.gwinstall(*words)
    return {
        "off": ({}, through_a, run("off", "--yes"), "anthropic"),
        "uninstall": ({}, through_a, run("uninstall", "--yes"), "anthropic"),
        "uninstall --purge": ({}, through_a, run("uninstall", "--purge", "--yes"), "anthropic"),
        "rollback to a state without the gateway": ({}, off_and_on, run("rollback", "--yes"), "anthropic"),
        "install --force over another gateway": (own, lambda world: None, lambda world: world.enterprise(b, TOKEN_B, "--force"), "B"),
        "off to the user's own gateway": (own, lambda world: world.enterprise(b, TOKEN_B, "--force"), run("off", "--yes"), "A"),
        "uninstall to the user's own gateway": (own, lambda world: world.enterprise(b, TOKEN_B, "--force"), run("uninstall", "--yes"), "A"),
        "on again": ({}, off, run("on", "--yes"), "A"),
        "first install": ({}, lambda world: None, through_a, "A"),
        "a gateway on this machine, then the company's": ({}, basic, lambda world: world.enterprise(b, TOKEN_B), "B"),
        "use: there and back": ({}, two_providers, there_and_back, "A"),
        "use: from a gateway on this machine to a provider": ({}, gateway_and_provider, run("use", "kimi"), "B"),
        "use: from a provider to Claude Code's own login": ({}, two_providers, run("use", "claude"), "anthropic"),
        "off with a stopped session": ({}, through_a, stopped, "anthropic"),
    }


def local_key(world):
    """The key of the gateway on this machine, where there is one."""
    try:
        lines = (world.claude / "gateway" / ".env").read_text().splitlines()
    except OSError:
        return ""
    values = [line.partition("=")[2].strip("'\"") for line in lines if line.startswith("LITELLM_MASTER_KEY=")]
    return values[0] if values else ""


def one_try(folder, authority, sides, name):
    """(requests, wrong ones, faults) of a case."""
    settings, prepare, act, end = cases(sides)[name]
    world = World(folder, authority, settings)
    faults = []
    try:
        prepare(world)
        key = local_key(world)
        world.open_sessions()
        # From here on a session holds what it has read: it must not be younger than that.
        began, ended, hits = world.talking(lambda: act(world), end)
        sent = [hit for hit in hits if hit.method == "POST" and hit.time >= began]
        wrong = [f"{belongs(hit, key)} after {hit.time - began:.1f} s" for hit in hits if belongs(hit, key)]
        for session in world.sessions:
            side = world.last_side(session, ended)
            if side != end:
                faults.append(f"{session.kind} ended at {side or 'no side'}, not at {end}")
        world.close_sessions()
        if end == "anthropic" or settings and end == "A":
            if (world.claude / "gateway").is_dir():
                world.gwinstall("--quiet")
            if world.settings.read_bytes() != world.original:
                faults.append(f"settings.json is not as it was: {world.settings.read_text()[:600]}")
        return len(sent), wrong, faults
    finally:
        world.close_sessions()
        shutil.rmtree(world.home, ignore_errors=True)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--full", action="store_true")
    options.add_argument("--tries", type=int, default=None)
    options.add_argument("words", nargs="*")
    chosen = options.parse_args()
    if not os.access(BIN, os.X_OK):
        sys.exit("GWINSTALL_BIN must name the binary to test")
    if not os.access(CLAUDE, os.X_OK):
        print("skipped: CLAUDE_BIN names no Claude Code")
        return 0
    into_a_namespace()
    bad = total = count = 0
    with tempfile.TemporaryDirectory(prefix="gwinstall-open-", ignore_cleanup_errors=True) as folder:
        authority = Authority(folder)
        sides = {name: Side(name) for name in "ABL"}
        sides["anthropic"] = Side("anthropic", "127.0.0.2", 443, authority.context(ANTHROPIC))
        names = [name for name in cases(sides) if chosen.full or name in ("off", "use: there and back")]
        names = [name for name in names if not chosen.words or any(word in name for word in chosen.words)]
        for name in names:
            requests, wrong, faults = 0, [], []
            for _ in range(chosen.tries or (3 if chosen.full else 1)):
                try:
                    sent, leaked, unmet = one_try(folder, authority, sides, name)
                except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
                    sent, leaked, unmet = 0, [], [f"{type(error).__name__}: {error}"]
                requests, wrong, faults, count = requests + sent, wrong + leaked, faults + unmet, count + 1
            total += requests
            bad += bool(wrong or faults)
            print(f"{'FAIL' if wrong or faults else 'ok  '} {name:<48} {len(wrong)} wrong of {requests} requests", flush=True)
            for fault in [*wrong[:8], *faults]:
                print(f"       {fault}", flush=True)
    print(f"open sessions: {len(names) - bad} of {len(names)} cases good, {count} tries, {total} requests")
    return 1 if bad or not names else 0


if __name__ == "__main__":
    sys.exit(main())
