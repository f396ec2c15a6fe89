"""Others at work in the same place: an editor that keeps saving settings.json, a process that lives in the gateway directory, a disk
that is really full. Each check is a function of a stage that returns a list of what is wrong.
"""

import json
import os
import subprocess
import threading
import time

from scenario import INSTALL, MODELS, NAMESPACE, SCENARIOS, mounts_possible
from tree import snapshot

DEPLOYS = 40
PATIENCE = 60


class Editor(threading.Thread):
    """Reads, changes one key, saves; again and again, in one of three ways that programs save in."""

    def __init__(self, path, style):
        super().__init__()
        self.path, self.style, self.saved, self.stop = path, style, 0, threading.Event()

    def run(self):
        while not self.stop.is_set():
            try:
                with open(self.path, encoding="utf8") as file:
                    settings = json.load(file)
            except (OSError, ValueError):
                continue
            settings["counter"] = self.saved + 1
            getattr(self, self.style)(json.dumps(settings, indent=2))
            self.saved += 1
            time.sleep(0.004)

    def truncate(self, text):
        with open(self.path, "w", encoding="utf8") as file:
            file.write(text)

    def replace(self, text):
        with open(self.path + ".editor", "w", encoding="utf8") as file:
            file.write(text)
        os.replace(self.path + ".editor", self.path)

    def late(self, text):
        """Opens, thinks, and then writes to what it opened: the old file, if somebody replaced it meanwhile."""
        descriptor = os.open(self.path, os.O_WRONLY)
        time.sleep(0.0005)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, text.encode())
        os.close(descriptor)


def an_editor_saves_meanwhile(stage):
    """settings.json is saved all the time, in three ways, during many deploys: it parses, and no save is lost"""
    wrong = []
    for style in ("truncate", "replace", "late"):
        stage.reset("models")
        path = stage.home / ".claude/settings.json"
        path.write_text(json.dumps(json.loads(path.read_text().replace("// mine\n", "")), indent=2))
        editor = Editor(str(path), style)
        editor.start()
        codes = []
        for n in range(DEPLOYS):
            # `off` and `on` change nothing but settings.json.
            codes.append(stage.run(["on", "--force", "--yes"] if n % 2 else ["off", "--yes"]).code)
        editor.stop.set()
        editor.join()
        if set(codes) - {0, 1, 6, 7}:
            wrong.append(f"{style}: exit codes {sorted(set(codes))}")
        if 0 not in codes:
            wrong.append(f"{style}: none of {DEPLOYS} runs came through: {sorted(set(codes))}")
        try:
            left = json.loads(path.read_text()).get("counter")
            if left != editor.saved:
                wrong.append(f"{style}: save {editor.saved} was the last, {left} is there")
        except ValueError as error:
            wrong.append(f"{style}: settings.json does not parse any more: {error}")
        if stage.run(["doctor", "--repair", "--yes"]).code not in (0, 7):
            wrong.append(f"{style}: the repair afterwards fails")
    return wrong


def a_process_lives_there(stage):
    """a process with its working directory and its log in gateway/ keeps both through twenty changes"""
    stage.reset("models")
    gateway = stage.home / ".claude/gateway"
    program = "while :; do echo alive; sleep 0.01; done"
    with open(gateway / "litellm.log", "ab") as log:
        process = subprocess.Popen(["sh", "-c", program], cwd=gateway, stdout=log)
    inode, wrong = (gateway / "litellm.log").stat().st_ino, []
    try:
        for n in range(20):
            run = stage.run(MODELS if n % 2 else [*INSTALL[:3], "--models", "codestral", "--yes"])
            if run.code != 0:
                wrong.append(f"change {n} exits {run.code}: {run.said()}")
        if os.readlink(f"/proc/{process.pid}/cwd") != str(gateway):
            wrong.append(f"its working directory is {os.readlink(f'/proc/{process.pid}/cwd')} now")
        size = (gateway / "litellm.log").stat().st_size
        time.sleep(0.1)
        if (gateway / "litellm.log").stat().st_ino != inode or (gateway / "litellm.log").stat().st_size <= size:
            wrong.append("its log is another file now")
    finally:
        process.kill()
        process.wait()
    return wrong


# $1 option of the mount, $2 old tree, $3 where to leave the trees, then the command.
FULL_DISK = """
option=$1 old=$2 out=$3; shift 3
mount -t tmpfs -o "$option" none "$HOME" && cp -a "$old/." "$HOME/" || exit 99
"$@" >"$out/said" 2>&1; echo $? >"$out/code"
cp -a "$HOME" "$out/after"
mount -o remount,size=256m,nr_inodes=100000 "$HOME"
"$@" >>"$out/said" 2>&1; echo $? >"$out/code-again"
cp -a "$HOME" "$out/again"
"""


def the_disk_is_full(stage):
    """a file system with few blocks or few inodes: the old tree and exit 1, or done; and done once there is space"""
    if not mounts_possible():
        print("NOTE no mount namespaces here: the full disk was not tried")
        return []
    wrong, outcomes = [], []
    name = "adopt"
    oracle, saved = stage.prepared(name)["oracle"], stage.prepared(name)["saved"]
    # What is asked of the file system beforehand refuses the small ones; the others must carry it.
    limits = [f"size={megabytes}m" for megabytes in (2, 20, 45, 60, 130)] + [
        f"nr_inodes={n}" for n in (60, 300, 900, 1200, 5000)
    ]
    for limit in limits:
        out = stage.directory / f"full-{limit}"
        out.mkdir()
        stage.reset(name)
        command = [*NAMESPACE, "sh", "-c", FULL_DISK, "sh", limit, saved, out, stage.binary, *SCENARIOS[name].command]
        run = subprocess.run(
            command, env=stage.env, cwd=stage.directory, capture_output=True, text=True, timeout=PATIENCE
        )
        if not (out / "code-again").exists():
            if run.returncode != 99:  # too small for the old tree itself
                wrong.append(f"{limit}: {run.stderr[-300:]}")
            continue
        code, again = int((out / "code").read_text()), int((out / "code-again").read_text())
        outcomes.append(code)
        verdict = oracle.verdict(snapshot(out / "after"), settled=False)
        expected = {0: "new", 1: "old"}.get(code, "an exit code of 0 or 1")
        if expected not in verdict.split("="):
            wrong.append(f"{limit}: exit {code}, {verdict}: {(out / 'said').read_text()[-300:]}")
        verdict = oracle.verdict(snapshot(out / "again"))
        if again != 0 or "new" not in verdict.split("="):
            wrong.append(f"{limit}, then enough space: exit {again}, {verdict}: {(out / 'said').read_text()[-300:]}")
    if not {0, 1} <= set(outcomes):
        wrong.append(f"only exit codes {sorted(set(outcomes))} were seen: the limits are off")
    return wrong
