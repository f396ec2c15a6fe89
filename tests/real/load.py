#!/usr/bin/env python3
"""The deployed gateway under twelve streams while gwinstall changes it: no request may fail, and no stream may be cut.

    GWINSTALL_BIN=… LITELLM_VENV=… tests/real/load.py [WORD…]

What is reloaded costs no request at all. What is restarted costs the time of one start, and no stream before its limit. A configuration
that cannot serve leaves the gateway that served before it, and nothing else. Half of the clients keep their connection; one that the
gateway closed before a request is opened again, as every HTTP client does. Words choose the steps whose names hold them. Prints the
counts of every step. Exit status 1: a step failed.
"""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

BIN = os.environ.get("GWINSTALL_BIN", "")
VENV = os.environ.get("LITELLM_VENV", "")
PYTHON = os.path.join(VENV, "bin", "python")
if __name__ == "__main__" and VENV and os.path.exists(PYTHON) and os.path.realpath(sys.prefix) != os.path.realpath(VENV):
    os.execv(PYTHON, [PYTHON, "-B", *sys.argv])

from unit import Unit, Wrong

ROOT = Path(__file__).resolve().parents[2]
CLIENTS, PACE = 12, 0.5
# A start of LiteLLM on a machine as busy as the streams make it.
LONGEST_AWAY = 120.0


class Clients:
    """Streams without pause. `outcomes` are (moment of the end, word): ok, away (nobody listened), cut (a stream that had begun), failed."""

    def __init__(self, unit, count=CLIENTS):
        self.unit, self.key, self.outcomes, self.reopened, self.over = unit, unit.key(), [], 0, threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n % 2 == 0,), daemon=True) for n in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self, keeps):
        connection, used = None, False
        while not self.over.is_set():
            if connection is None:
                connection, used = http.client.HTTPConnection("127.0.0.1", self.unit.port, timeout=60), False
            word = self.stream(connection, used)
            if word == "closed":
                self.reopened += 1
            else:
                self.outcomes.append((time.monotonic(), word))
            if keeps and word == "ok":
                used = True
                continue
            connection.close()
            connection = None
            if word == "away":
                time.sleep(0.2)

    def stream(self, connection, used):
        """One request on the connection, which a request `used` before."""
        body = json.dumps({"model": "glm-5.2", "max_tokens": 64, "stream": True, "messages": [{"role": "user", "content": "hi"}]})
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json", "anthropic-version": "2023-06-01"}
        try:
            connection.request("POST", "/v1/messages", body, headers)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            closed = used and isinstance(error, (ConnectionError, http.client.BadStatusLine))
            refused = isinstance(error, ConnectionRefusedError)
            return "closed" if closed and not refused else "away" if refused else f"failed: {type(error).__name__}"
        try:
            text = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return f"cut: {type(error).__name__}"
        if answer.status != 200:
            return f"failed: {answer.status} {text[:160]}"
        if "message_stop" not in text:
            return f"cut: {text[-160:]!r}"
        return "ok, closes" if answer.will_close else "ok"

    def since(self, moment):
        """(good, away, cut, failed, seconds without an answer) from that moment on."""
        seen = [entry for entry in list(self.outcomes) if entry[0] >= moment]
        count = lambda start: sum(word.startswith(start) for _, word in seen)
        good = sorted(at for at, word in seen if word.startswith("ok"))
        gap = max((after - before for before, after in zip([moment, *good], good)), default=time.monotonic() - moment)
        return count("ok"), count("away"), count("cut"), count("failed"), gap

    def words(self, moment):
        return sorted({word for at, word in list(self.outcomes) if at >= moment and not word.startswith(("ok", "away"))})

    def close(self):
        self.over.set()
        for thread in self.threads:
            thread.join(70)


def bundle(folder, name, *changes):
    """A copy of the embedded bundle with these replacements in the frame of its configuration."""
    copy = Path(folder, name)
    shutil.copytree(ROOT / "embedded", copy)
    frame = copy / "templates/litellm-base.yaml"
    text = frame.read_text(encoding="utf-8")
    for old, new in changes:
        if old not in text:
            raise Wrong(f"the frame does not hold {old!r}")
        text = text.replace(old, new, 1)
    frame.write_text(text, encoding="utf-8")
    return str(copy)


def edited_and_updated(unit, folder):
    """An edit of the user and an update change the same line; the settlement is what is measured next."""
    config = unit.gateway / "config/litellm.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("num_retries: 2", "num_retries: 4"), encoding="utf-8")
    changed = bundle(folder, "conflict", ("num_retries: 2", "num_retries: 3"))
    unit.gwinstall("update", "--yes", "--source-dir", changed, code=4)


# (name, what is run, whether the process is a new one after it)
def steps(unit, folder):
    run = lambda *words, **more: lambda: unit.gwinstall(*words, **more)
    changed = lambda: bundle(folder, "changed", ("request_timeout: 600", "request_timeout: 500"))
    return [
        ("models add", run("models", "add", "codestral", "--yes"), False),
        ("models remove", run("models", "remove", "codestral", "--yes"), False),
        ("update", lambda: unit.gwinstall("update", "--yes", "--source-dir", changed()), False),
        ("rollback", run("rollback", "--yes"), False),
        ("conflict", lambda: edited_and_updated(unit, folder), False),
        ("resolve", run("resolve", "config/litellm.yaml", "--take-new", "--yes"), False),
        ("install --start", run("install", "--models", "glm-5.2,gpt-oss-120b,deepseek-r1", "--start", "--yes"), False),
        ("env set", run("env", "set", "VERTEXAI_LOCATION", "--yes", stdin="europe-west4\n"), True),
        ("restart", run("restart"), True),
    ]


def measured(unit, clients, name, act, new_process):
    """(good, line) of a step."""
    began, before, reopened = time.monotonic(), set(unit.processes()), clients.reopened
    try:
        act()
        wrong = []
    except (Wrong, subprocess.TimeoutExpired) as error:
        wrong = [str(error)]
    ran = time.monotonic() - began
    time.sleep(3)
    good, away, cut, failed, gap = clients.since(began)
    kept = before & set(unit.processes())
    if cut or failed or not good:
        wrong += clients.words(began)[:4] or ["no request was answered"]
    if away and not new_process:
        wrong.append(f"{away} times nobody listened")
    if new_process and (gap > LONGEST_AWAY or kept and not wrong and min(before) in kept):
        wrong.append(f"{gap:.0f} s without an answer, processes kept: {sorted(kept)}")
    line = f"{name:<28} {ran:6.1f} s  {good:4} ok {failed:3} failed {cut:3} cut {clients.reopened - reopened:3} reopened  {gap:5.1f} s longest wait"
    return not wrong, "\n       ".join([line, *wrong])


BROKEN = {
    "unknown provider": (),
    "routing strategy": ("simple-shuffle", "no-such-strategy"),
    "wrong type": ("num_retries: 2", "num_retries: [many]"),
    "missing variable": ("  drop_params: true", "  drop_params: true\n  cache_params: {password: os.environ/NO_SUCH_VALUE}"),
    "missing plugin": ("  drop_params: true", "  drop_params: true\n  callbacks: [no_such_plugin.handler]"),
    "missing custom_auth": ("general_settings:", "general_settings:\n  custom_auth: no_such_auth.check"),
    "not YAML": ("  drop_params: true", "  drop_params: [true"),
    "key twice": ("  drop_params: true", "  drop_params: true\n  drop_params: false"),
    "another master key": ("master_key: os.environ/LITELLM_MASTER_KEY", "master_key: sk-of-another-machine-0815"),
    "tabs": ("  drop_params: true", "\tdrop_params: true"),
    "alias to nothing": ("  fallbacks: [] # gwinstall:fallbacks", "  fallbacks: [] # gwinstall:fallbacks\n  default_fallbacks: [no-such-model]"),
}


def broken_bundle(folder, name):
    if name != "unknown provider":
        return bundle(folder, "broken " + name, BROKEN[name])
    copy = Path(bundle(folder, "broken " + name))
    for fragment in (copy / "templates/models").glob("glm-5.2*.yaml"):
        fragment.write_text(fragment.read_text(encoding="utf-8").replace("vertex_ai/", "nowhere_ai/"), encoding="utf-8")
    return str(copy)


def leftovers(unit):
    """What a refused change may not leave."""
    found = [str(path) for path in unit.gateway.rglob("*") if path.name.startswith(".starting") or "gwinstall-new" in path.name or path.name == "journal"]
    return found + ([f"{len(unit.processes())} processes"] if len(unit.processes()) != 2 else [])


def refused(unit, clients, folder, name):
    """(good, line): a change that cannot serve, on the gateway that runs."""
    config, settings = unit.gateway / "config/litellm.yaml", unit.settings
    before = (config.read_bytes(), settings.read_bytes())
    began, reopened, wrong = time.monotonic(), clients.reopened, []
    verb = ["update"] if len(name) % 2 else ["install"]
    code = unit.gwinstall(*verb, "--yes", "--source-dir", broken_bundle(folder, name), code=None).returncode
    ran = time.monotonic() - began
    time.sleep(5)
    good, away, cut, failed, gap = clients.since(began)
    if code not in (1, 2, 5):
        wrong.append(f"exits {code}")
    if (config.read_bytes(), settings.read_bytes()) != before:
        wrong.append("the configuration or the settings are not as before")
    if cut or failed or away or not good:
        wrong += clients.words(began)[:4] or [f"{away} times nobody listened"]
    wrong += leftovers(unit)
    if unit.gwinstall("health", code=None).returncode != 0:
        wrong.append("the gateway is not healthy")
    line = f"{'broken: ' + name:<28} {ran:6.1f} s  {good:4} ok {failed:3} failed {cut:3} cut {clients.reopened - reopened:3} reopened  exit {code}"
    return not wrong, "\n       ".join([line, *wrong])


def main(words):
    if not os.access(BIN, os.X_OK) or not os.access(os.path.join(VENV, "bin", "litellm"), os.X_OK):
        sys.exit("GWINSTALL_BIN and LITELLM_VENV must name what is tested")
    good = total = 0

    def tell(result):
        nonlocal good, total
        good, total = good + result[0], total + 1
        print(f"{'ok  ' if result[0] else 'FAIL'} {result[1]}", flush=True)

    chosen = lambda name: not words or any(word in name for word in words)
    with tempfile.TemporaryDirectory(prefix="gwinstall-load-", ignore_cleanup_errors=True) as folder:
        unit = Unit(folder, pace=PACE)
        try:
            unit.install("--start")
            with contextlib.closing(Clients(unit)) as clients:
                time.sleep(4)
                for name, act, new_process in steps(unit, folder):
                    if chosen(name):
                        tell(measured(unit, clients, name, act, new_process))
            with contextlib.closing(Clients(unit, 3)) as clients:
                time.sleep(2)
                for name in BROKEN:
                    if chosen(f"broken: {name}"):
                        tell(refused(unit, clients, folder, name))
        finally:
            unit.close()
    print(f"load: {good} of {total} steps good")
    return 0 if total and good == total else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
