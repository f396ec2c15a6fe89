#!/usr/bin/env python3
"""Kills of gwinstall while a gateway runs, starts, stops, or while Claude Code is led away from it.

Only gwinstall, or only the start script, is killed: what they have started goes on, as it does in life. After the recovery settings.json and the gateway
agree: the record says where Claude Code is pointed, and every model that the settings name is served by what runs, or by what the key
helper starts. Then the same command succeeds.
"""

import contextlib
import glob
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from calls import CHANGING, Point, plain, points
from scenario import own_directory, stage_directory
from session import Session
from tree import restore

ORIGINAL = '{\n  "theme": "dark",\n  "env": {"EDITOR": "vi"}\n}\n'
ANTHROPIC = "https://api.anthropic.com"
ADD = ["models", "add", "gpt-oss-120b", "--yes"]
SWITCH = ["install", "--preset", "multi-provider", "--models", "claude-haiku-5-5-vertex", "--yes"]
# A start of another process is a point too: between two of them a script has done one thing.
CALLS = CHANGING + ",?fork,?vfork,?clone,?clone3"
SCRIPT = "start-gateway.sh"
# Another port and a file with another value, which each home has of its own.
OTHER, VALUE = "OTHER", "VALUE"
# Nothing is deployed any more.
GONE = "gone"
# name: (what runs before, the command, whether a session is open, where Claude Code is pointed afterwards)
CASES = {
    "models add": ("running", ADD, False, "on"),
    "switch": ("running", SWITCH, False, "on"),
    "port": ("running", ["install", "--gateway-url", OTHER, "--yes"], False, "on"),
    "value": ("running", ["env", "set", "VERTEXAI_PROJECT", "--from", VALUE, "--yes"], False, "on"),
    "off": ("running", ["off", "--yes"], True, "off"),
    "uninstall": ("running", ["uninstall", "--yes"], False, GONE),
    "stop": ("running", ["stop"], False, "on"),
    "start armed": ("armed", ["start"], False, "on"),
    "script stop": ("running", [SCRIPT, "stop"], False, "on"),
    "script start": ("idle", [SCRIPT, "start"], False, "on"),
    "script reload": ("running", [SCRIPT, "reload"], False, "on"),
    "script restart": ("running", [SCRIPT, "restart"], False, "on"),
}
# How many points of a case the sampled run takes; `off` waits for its session.
SAMPLE = {"models add": 5, "switch": 2, "port": 3, "value": 2, "off": 2, "uninstall": 4, "stop": 1, "start armed": 3}
SAMPLE |= {"script stop": 2, "script start": 3, "script reload": 1, "script restart": 2}


UNREACHED = "the command ended before that call"


class Broken(Exception):
    """What is wrong after a kill."""


def free_address():
    """An address for the whole run. The system gives the ports of its own range to any client for a moment, and a gateway that starts
    in that moment cannot have it."""
    clients_from = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    while True:
        # Not `random` itself: the workers are forks, and each would draw the same.
        port = random.SystemRandom().randrange(10_000, clients_from)
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return f"http://127.0.0.1:{port}"


class Living:
    """A home with a stand-in for LiteLLM, and its gateway."""

    def __init__(self, binary, directory):
        self.binary, self.directory = binary, Path(directory)
        self.home = self.directory / "home"
        self.gateway, self.settings = self.home / ".claude/gateway", self.home / ".claude/settings.json"
        self.url, self.other = free_address(), free_address()
        self.env = {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        self.ready = {}

    def command(self, words):
        own = {OTHER: self.other, VALUE: str(self.home / "value")}
        words = [own.get(word, word) for word in words]
        return ["/bin/sh", str(self.gateway / SCRIPT), *words[1:]] if words[0] == SCRIPT else [self.binary, *words]

    def run(self, arguments, code=0, given=None):
        run = plain(self.command(arguments), self.env | (given or {}), self.directory, timeout=120)
        if code is not None and run.code != code:
            raise Broken(f"{' '.join(arguments)} exits {run.code}: {run.said()}")
        return run

    def fresh(self, kind):
        """The home before the command: `running` or `idle` with Claude Code pointed at it, or `armed`; no mark of a stop."""
        if kind not in self.ready:
            self.end()
            shutil.rmtree(self.home, ignore_errors=True)
            (self.home / "venv/bin").mkdir(parents=True)
            (self.home / ".claude").mkdir()
            self.settings.write_text(ORIGINAL, encoding="utf-8")
            os.symlink("/usr/bin/python3", self.home / "venv/bin/python")
            shutil.copy(Path(__file__).with_name("litellm.py"), self.home / "venv/bin/litellm")
            (self.home / "venv/bin/litellm").chmod(0o755)
            (self.home / "venv/pyvenv.cfg").touch()
            (self.home / "value").write_text("another-project\n", encoding="utf-8")
            (self.home / "venv/lib/python3.11/site-packages/litellm-1.106.2.dist-info").mkdir(parents=True)
            values = {"VERTEXAI_LOCATION": "us-central1", "GOOGLE_APPLICATION_CREDENTIALS": "/x", "ANTHROPIC_API_KEY": "x"}
            values |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION_NAME": "us-east-1"}
            project = {"VERTEXAI_PROJECT": "example"}
            arguments = ["install", "--yes", "--models", "glm-5.2", "--gateway-url", self.url, "--venv", str(self.home / "venv")]
            self.run(arguments, given=values | (project if kind != "armed" else {}))
            env = self.gateway / ".env"
            if kind == "armed":
                env.write_text(re.sub("#VERTEXAI_PROJECT=.*", "VERTEXAI_PROJECT=example", env.read_text(encoding="utf-8")), encoding="utf-8")
            saved = self.directory / f"living-{kind}"
            os.rename(self.home, saved)
            self.ready[kind] = saved
        self.end()
        restore(self.ready[kind], self.home)
        if kind == "running":
            self.run(["start"])

    def processes(self, word):
        """Processes of this home with that word on their command line."""
        found = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if word.encode() in Path(path).read_bytes():
                    found.append(int(path.split("/")[2]))
        return [pid for pid in found if pid != os.getpid()]

    def served_by(self):
        return self.processes(f"{self.gateway}/config/litellm.yaml")

    def environment(self):
        """The variables of the gateway."""
        return [word for pid in self.served_by()[:1] for word in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")]

    def end(self):
        for word in (f"{self.gateway}/{SCRIPT}", f"{self.gateway}/config/litellm.yaml", f"{self.gateway}/.gwinstall/trial/"):
            for pid in self.processes(word):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def disturbed(self, command, inject=()):
        """The command under strace, without its children."""
        argv = ["strace", "-qq", "-y", "-o", str(self.directory / "trace"), "-e", f"trace={CALLS}"]
        for expression in inject:
            argv += ["-e", f"inject={expression}"]
        run = plain([*argv, "--", *self.command(command)], self.env, self.directory, timeout=180)
        run.trace = (self.directory / "trace").read_text(encoding="utf-8", errors="replace").splitlines()
        return run

    def points_of(self, name):
        kind, command, opened, _ = CASES[name]
        self.fresh(kind)
        with self.session(opened):
            run = self.disturbed(command)
        self.end()
        if run.code != 0:
            raise Broken(f"{name} exits {run.code} under strace: {run.said()}")
        return points(run.trace)

    @contextlib.contextmanager
    def session(self, opened):
        if not opened:
            yield None
            return
        session = Session(self.home)
        try:
            yield session
        finally:
            session.close()

    def attempt(self, name, point, by_status):
        """What is wrong after a kill at that point and the recovery, or an empty string."""
        kind, command, opened, pointed = CASES[name]
        try:
            self.fresh(kind)
            with self.session(opened) as session:
                run = self.disturbed(command, (f"{point.name}:signal=SIGKILL:when={point.nth}",))
                # How often gwinstall looks at a gateway that starts differs from run to run.
                if run.code == 0:
                    return UNREACHED
                if run.code not in (-9, 137):
                    raise Broken(f"exits {run.code} instead of being killed: {run.said()}")
                self.wait_for_scripts()
                self.recover(by_status)
                self.agrees("after the recovery")
                self.run(command)
                self.agrees(f"after another {command[0]}", pointed)
                if self.processes(f"{self.gateway}/.gwinstall/trial/"):
                    raise Broken(f"after another {command[0]}: the trial goes on")
            if session and session.leaked(self.url):
                raise Broken(f"a session sent a credential to the wrong side: {session.leaked(self.url)}")
        except (Broken, OSError, subprocess.TimeoutExpired) as wrong:
            return f"{type(wrong).__name__}: {wrong}"
        finally:
            self.end()
        return ""

    def wait_for_scripts(self):
        until = time.monotonic() + 60
        while self.processes(f"{self.gateway}/{SCRIPT}"):
            if time.monotonic() > until:
                raise Broken("a script goes on for a minute after the kill")
            time.sleep(0.1)

    def recover(self, by_status):
        """`status` reports what only a repair may change, and finishes the rest."""
        if by_status:
            self.run(["status"], code=None)
        if by_status and not (self.gateway / ".gwinstall/journal").exists():
            return
        self.run(["doctor", "--repair", "--yes"])

    def agrees(self, when, wanted=None):
        text, manifest = self.settings.read_text(encoding="utf-8"), self.gateway / "deployment-manifest.json"
        if not manifest.exists():
            left = [name for name in (SCRIPT, "config", "litellm.pid", ".gwinstall/journal") if (self.gateway / name).exists()]
            if wanted not in (None, GONE) or text != ORIGINAL or self.served_by() or left:
                raise Broken(f"{when}: nothing is deployed, but {left} and processes {self.served_by()} are there; settings.json {text[:400]}")
            return
        record = json.loads(manifest.read_text(encoding="utf-8"))
        settings, pointed = json.loads(text), record["request"]["pointed"]
        address = settings.get("env", {}).get("ANTHROPIC_BASE_URL", "")
        matches = {
            "on": address == record["gateway_url"],
            "leaving": address in (ANTHROPIC, self.url),
            "off": text == ORIGINAL,
            "armed": text == ORIGINAL,
        }
        if not matches[pointed] or wanted not in (None, pointed):
            raise Broken(f"{when}: the record says {pointed}, settings.json {text[:400]}")
        if (self.gateway / ".gwinstall/journal").exists():
            raise Broken(f"{when}: a journal is left")
        if pointed == "on":
            self.answers(when, settings)

    def answers(self, when, settings):
        """The key helper prints a key that the gateway takes, and every name in the settings is served; a stopped gateway says so."""
        key = subprocess.run(["/bin/sh", "-c", settings["apiKeyHelper"]], env=self.env, capture_output=True, text=True, timeout=60)
        if (self.gateway / ".stopped").exists() and not self.served_by():
            if "is stopped" not in key.stderr:
                raise Broken(f"{when}: the gateway is stopped, and the helper says {key.stderr!r}")
            return
        if key.returncode != 0:
            raise Broken(f"{when}: the helper fails: {key.stderr}")
        request = urllib.request.Request(settings["env"]["ANTHROPIC_BASE_URL"] + "/v1/models", headers={"authorization": f"Bearer {key.stdout.strip()}"})
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
                served = {model["id"] for model in json.load(answer)["data"]}
        except (urllib.error.URLError, OSError) as error:
            raise Broken(f"{when}: /v1/models: {error}") from error
        names = {value for name, value in settings["env"].items() if name.endswith("_MODEL")}
        text = (self.gateway / "config/litellm.yaml").read_text(encoding="utf-8")
        written = set(re.findall(r"model_name: (\S+)", text))
        lines = (self.gateway / ".env").read_text(encoding="utf-8").splitlines()
        running = [word.split(b"=", 1)[1].decode() for word in self.environment() if word.startswith(b"VERTEXAI_PROJECT=")]
        if [f"VERTEXAI_PROJECT={value}" for value in running] != [line.replace("'", "") for line in lines if line.startswith("VERTEXAI_PROJECT=")]:
            raise Broken(f"{when}: the process has the project {running}, .env another one")
        if not names or not names <= served or not written <= served:
            raise Broken(f"{when}: settings name {sorted(names)}, the file {sorted(written)}, served are {sorted(served)}")


stage = None


def open_stage(binary, parent, number):
    """One home per worker process."""
    global stage
    stage = Living(binary, own_directory(parent, number, "living"))


def attempt(task):
    return task, stage.attempt(*task)


def seen_points(name):
    return name, stage.points_of(name)


def chosen(name, found, full):
    """Every point, or a sample, the same one every time."""
    some = found if full else random.Random(name).sample(found, min(len(found), SAMPLE[name]))
    return [(name, point, n % 2 == 0) for n, point in enumerate(some)]


def main(arguments):
    binary = os.path.abspath(os.environ.get("GWINSTALL_BIN", ""))
    mode = arguments[0] if arguments else "sampled"
    if mode not in ("sampled", "full", "one") or not os.access(binary, os.X_OK) or not shutil.which("strace"):
        sys.exit("GWINSTALL_BIN=… tests/faults/living.py sampled | full [CASE…] | one CASE CALL NTH status|repair; needs strace")
    began, bad, total, unreached = time.monotonic(), 0, 0, 0
    with tempfile.TemporaryDirectory(prefix="gwinstall-living-", dir=stage_directory(), ignore_cleanup_errors=True) as parent:
        number = multiprocessing.Value("i", 0)
        with multiprocessing.Pool(1 if mode == "one" else os.cpu_count(), open_stage, (binary, parent, number)) as pool:
            if mode == "one":
                tasks = [(arguments[1], Point(arguments[2], int(arguments[3])), arguments[4] == "status")]
            else:
                tasks = []
                for name, found in pool.imap(seen_points, arguments[1:] or list(CASES)):
                    print(f"{name}: {len(found)} changing calls", flush=True)
                    tasks += chosen(name, found, mode == "full")
            for (name, point, by_status), wrong in pool.imap_unordered(attempt, tasks):
                total += 1
                if total % 50 == 0:
                    print(f"  {total} of {len(tasks)} kills, {bad} bad", flush=True)
                unreached += wrong == UNREACHED
                if wrong not in ("", UNREACHED):
                    bad += 1
                    words = "status" if by_status else "repair"
                    print(f"BAD {wrong}\n    tests/faults/living.py one '{name}' {point.name} {point.nth} {words}", flush=True)
    print(f"living: {total - unreached} kills, {bad} bad, {unreached} not reached, {time.monotonic() - began:.0f} s")
    return 1 if bad or total <= 3 * unreached else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
