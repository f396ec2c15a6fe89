#!/usr/bin/env python3
"""The unit is a Claude Code that answers: its first prompt in every state that a deployment can be in.

    GWINSTALL_BIN=… LITELLM_VENV=… CLAUDE_BIN=… tests/real/working.py [--full] [WORD…]

In each state the prompt is answered, or gwinstall's one line is on the screen within 3 s of the end of the key helper; where Claude
Code does not use the gateway, it says its own and the gateway's address is not asked. Fast: stopped, crashed, armed. `--full`: every
state, and an open session whose gateway dies, comes back, and is stopped. Prints a table. Exit status 1: a state failed.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = os.environ.get("GWINSTALL_BIN", "")
VENV = os.environ.get("LITELLM_VENV", "")
CLAUDE = os.environ.get("CLAUDE_BIN", "")
PYTHON = os.path.join(VENV, "bin", "python")
if __name__ == "__main__" and VENV and os.path.exists(PYTHON) and os.path.realpath(sys.prefix) != os.path.realpath(VENV):
    os.execv(PYTHON, [PYTHON, "-B", *sys.argv])

from fake_internet import TEXT
from unit import MODELS, SLOW, Session, Stranger, Unit, Wrong

ROOT, FRAME = Path(__file__).resolve().parents[2], "templates/litellm-base.yaml"
LATEST = 3.0
FAST = ("armed", "crashed", "stopped")


def answered(unit, limit=200.0):
    shown = unit.prompt(limit)
    if not shown.answered or TEXT not in shown.text:
        raise Wrong(f"no answer: {shown.text[:400]}")
    return shown.text, shown.seconds


def line(unit, *words):
    """gwinstall's line, soon, with a command in it; nothing was answered."""
    shown = unit.prompt()
    if shown.answered or not all(word in shown.text for word in ("gwinstall: ", *words)):
        raise Wrong(f"no line with {words}: {shown.text[:400]}")
    if shown.late is None or shown.late > LATEST:
        raise Wrong(f"{shown.late} s after the helper: {shown.text[:200]}")
    return shown.text, shown.seconds


def not_asked(unit):
    """Claude Code speaks for itself, and what listens at the gateway's address hears nothing."""
    with Stranger(unit.port) as stranger:
        shown = unit.prompt(60.0)
        hits = list(stranger.hits)
    if shown.answered or hits or "gwinstall" in shown.text or "ogin" not in shown.text:
        raise Wrong(f"asked {len(hits)} times, shown: {shown.text[:400]}")
    return shown.text, shown.seconds


# --- states: each begins with a gateway that is deployed and on, running or not, and may leave it in any way that `well` repairs -----


def well(unit):
    """Everything is there, and nothing runs."""
    unit.crash()
    unit.make_venv()
    for name in (".stopped", ".start-failed", "litellm.pid", ".serving", ".starting"):
        with contextlib.suppress(FileNotFoundError):
            (unit.gateway / name).unlink()


def armed(unit):
    unit.install(values=False)
    if unit.settings.read_text(encoding="utf-8") != unit.own_settings:
        raise Wrong("settings.json was changed")
    return not_asked(unit)


def from_nothing(unit):
    """The seconds are those from the installation to the answer."""
    began = time.monotonic()
    unit.install("--start")
    text, _ = answered(unit)
    return text, time.monotonic() - began


def crashed(unit):
    unit.crash()
    return answered(unit, SLOW)


def rebooted(unit):
    """The pid file and the lock name processes of before; the first number belongs to another program now."""
    unit.crash()
    with subprocess.Popen(["sleep", "600"]) as other:
        try:
            (unit.gateway / "litellm.pid").write_text(f"{other.pid}\n")
            (unit.gateway / ".serving").write_text(f"{other.pid} start 4711\n")
            (unit.gateway / ".starting").write_text(f"{other.pid} 12\n")
            return answered(unit, SLOW)
        finally:
            other.kill()


def open_session(unit):
    """A session whose gateway is killed is answered again without anything that a person does; after `stop` it is not."""
    session = Session(unit)
    try:
        first, _ = session.say("hi", SLOW)
        unit.crash()
        again, seconds = session.say("hi again", SLOW)
        if TEXT not in first or TEXT not in again:
            raise Wrong(f"first {first[:200]!r}, again {again[:200]!r}: {session.errors.all()[-600:]}")
        unit.gwinstall("stop", "--now")
        since = len(session.errors.lines)
        session.process.stdin.write('{"type":"user","message":{"role":"user","content":"hi"}}\n')
        session.process.stdin.flush()
        until = time.monotonic() + 60
        while time.monotonic() < until and not unit.processes():
            time.sleep(0.5)
            if any("is stopped" in text for _, text in session.errors.lines[since:]):
                break
        if unit.processes():
            raise Wrong("a session started a gateway that the user stopped")
        return f"{again} (and not after stop)", seconds
    finally:
        session.close()


def conflict(unit):
    """The user and an update changed the same value, and the update brings a model too."""
    config, changed = unit.gateway / "config/litellm.yaml", unit.home / "bundle"
    shutil.copytree(ROOT / "embedded", changed, dirs_exist_ok=True)
    for path, old, new in ((config, "num_retries: 2", "num_retries: 4"), (changed / FRAME, "num_retries: 2", "num_retries: 3")):
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    unit.gwinstall("start")
    unit.gwinstall("update", "--yes", "--source-dir", str(changed), code=4)
    unit.gwinstall("install", "--models", MODELS + ",codestral", "--yes", "--source-dir", str(changed), code=4)
    try:
        return answered(unit)
    finally:
        unit.gwinstall("resolve", "config/litellm.yaml", "--keep-mine", "--yes", code=None)


def mid_update(unit, then):
    """An update that holds the lock and its open journal while the prompt comes."""
    update = subprocess.Popen(
        [BIN, "models", "add", "deepseek-r1", "--yes"], env=unit.environment(), cwd=unit.home, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 60
        while not (unit.gateway / ".gwinstall/journal").exists():
            if time.monotonic() > until or update.poll() is not None:
                raise Wrong("no journal was opened")
            time.sleep(0.005)
        update.send_signal(signal.SIGSTOP)
        return then(unit)
    finally:
        update.send_signal(signal.SIGCONT)
        update.wait(SLOW)


def mid_update_running(unit):
    unit.gwinstall("start")
    return mid_update(unit, answered)


def mid_update_idle(unit):
    def killed(unit):
        unit.crash()
        return line(unit, "installation", "gwinstall status")

    unit.gwinstall("start")
    return mid_update(unit, killed)


def stopped(unit):
    unit.gwinstall("stop", "--now")
    return line(unit, "is stopped", "gwinstall start")


def no_value(unit):
    env = unit.gateway / ".env"
    before = env.read_text(encoding="utf-8")
    env.write_text(before.replace("\nVERTEXAI_PROJECT=", "\n#VERTEXAI_PROJECT="), encoding="utf-8")
    try:
        return line(unit, "gwinstall env set VERTEXAI_PROJECT")
    finally:
        env.write_text(before, encoding="utf-8")


def no_runtime(unit):
    for entry in unit.venv.iterdir():
        entry.unlink()
    unit.venv.rmdir()
    return line(unit, "gwinstall runtime install")


def port_taken(unit):
    """Something that is not LiteLLM, and speaks no HTTP."""
    with subprocess.Popen([sys.executable, "-c", f"import socket,time;s=socket.create_server(('127.0.0.1',{unit.port}));time.sleep(900)"]) as other:
        try:
            time.sleep(1)
            return line(unit, f"port {unit.port}", f"pid {other.pid}")
        finally:
            other.kill()


def wrong_key(unit):
    """Another LiteLLM, which has another key: it is not sent ours."""
    with Stranger(unit.port) as stranger:
        shown = line(unit, f"port {unit.port}")
        time.sleep(2)
        if any(unit.key() in headers for _, headers in stranger.hits):
            raise Wrong("the key was sent to a stranger")
    return shown


def off(unit):
    unit.gwinstall("off", "--yes")
    shown = not_asked(unit)
    if unit.processes():
        raise Wrong("a gateway was started")
    return shown


def uninstalled(unit):
    unit.gwinstall("on", "--yes", "--force")
    unit.gwinstall("uninstall", "--yes")
    return not_asked(unit)


# In this order: the first two come before a gateway runs, the last two take Claude Code away from it.
STATES = {
    "armed": armed,
    "from nothing": from_nothing,
    "crashed": crashed,
    "rebooted": rebooted,
    "open session, killed": open_session,
    "conflict open": conflict,
    "mid-update, running": mid_update_running,
    "mid-update, idle": mid_update_idle,
    "stopped": stopped,
    "no value": no_value,
    "no runtime": no_runtime,
    "port taken": port_taken,
    "wrong key": wrong_key,
    "off": off,
    "uninstalled": uninstalled,
}


def rows(chosen, tell=lambda row: None):
    """(good, state, what was shown, seconds) of the states; `tell` gets each as it comes."""
    found = []
    with tempfile.TemporaryDirectory(prefix="gwinstall-unit-", ignore_cleanup_errors=True) as folder:
        unit = Unit(folder)
        try:
            if "armed" not in chosen and "from nothing" not in chosen:
                unit.install("--start")
            for state in chosen:
                try:
                    if state == "crashed" and not unit.processes():
                        unit.install("--start")
                    text, seconds = STATES[state](unit)
                    row = (True, state, " ".join(text.split())[:150], seconds)
                except (Wrong, OSError, subprocess.TimeoutExpired, StopIteration) as error:
                    row = (False, state, f"{type(error).__name__}: {error}", 0.0)
                found.append(row)
                tell(row)
                if state not in ("armed", "from nothing") and unit.gateway.joinpath("start-gateway.sh").exists():
                    well(unit)
        finally:
            unit.close()
    return found


def main(words):
    full = "--full" in words
    words = [word for word in words if word != "--full"]
    for program in (BIN, CLAUDE, os.path.join(VENV, "bin", "litellm")):
        if not os.access(program, os.X_OK):
            sys.exit("GWINSTALL_BIN, CLAUDE_BIN and LITELLM_VENV must name what is tested")
    chosen = [state for state in STATES if full or state in FAST]
    chosen = [state for state in chosen if not words or any(word in state for word in words)]

    def tell(row):
        print(f"{'ok  ' if row[0] else 'FAIL'} {row[1]:<22} {row[3]:6.1f} s  {row[2]}", flush=True)

    found = rows(chosen, tell)
    print(f"working: {sum(row[0] for row in found)} of {len(found)} states good")
    return 0 if found and all(row[0] for row in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
