#!/usr/bin/env python3
"""Power cuts, replayed: the states that a disk may hold after one, and what the next run makes of them.

    GWINSTALL_BIN=… tests/faults/power_loss.py            400 states, and 200 of an old file system; always the same ones
    GWINSTALL_BIN=… tests/faults/power_loss.py control    the binary does not sync before it exchanges: it must be found out
    GWINSTALL_BIN=… tests/faults/power_loss.py one N      state N alone

Ends with `power-loss: N states, B bad`. A run that had ended with exit 0 must be there after the cut: nothing but the new tree will do.
"""

import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter

from calls import Point
from replay import CALLS, OPTIONS, Recorder, after_the_cut
from scenario import OLD_FS, SCENARIOS, Stage, own_directory, stage_directory
from sweep import Broken, Task, after_a_crash, kinds_of_bad
from tree import materialise

SEED = 20261121
STATES, OLD_STATES = 400, 200
stage = None


class Film:
    """One undisturbed run: the tree before it and the operations it made."""

    def __init__(self, name, ground):
        stage.reset(name)
        self.before = stage.found()
        run = stage.traced(SCENARIOS[name].command, ground=ground, calls=CALLS, options=OPTIONS)
        if run.code != 0:
            raise SystemExit(f"{name} exits {run.code} under strace: {run.said()}")
        recorder = Recorder(stage.home, self.before)
        self.operations = recorder.record(run.trace)
        self.prove(name, recorder.disk)
        changes = [n for n, op in enumerate(self.operations) if op.what in ("exchange", "rename", "link", "unlink")]
        self.exchange = (changes[0], changes[-1] + 1) if changes else (0, len(self.operations))

    def prove(self, name, disk):
        made, found = disk.entries(), stage.found()
        wrong = [path for path in made.keys() | found.keys() if not (path in made and made[path].same(found.get(path)))]
        if wrong:
            raise SystemExit(f"{name}: the replay does not reproduce the run: {sorted(wrong)[:5]}")


films = {}


def film(name, ground):
    if (name, ground) not in films:
        films[name, ground] = Film(name, ground)
    return films[name, ground]


def state(number):
    """What state `number` is: scenario, file system, model, how many operations were made, and the cut's own chance."""
    ground = OLD_FS if number >= STATES else ""
    name = list(SCENARIOS)[number % len(SCENARIOS)]
    chance = random.Random(f"{SEED}-{number}")
    model = ("ordered", "any")[number // len(SCENARIOS) % 2]
    shot = film(name, ground)
    total = len(shot.operations)
    # A tenth after the end, where the run has promised; most inside the exchange, where it matters; the rest anywhere.
    draw = chance.random()
    made = total if draw < 0.1 else chance.randint(*shot.exchange) if draw < 0.7 else chance.randint(0, total)
    return name, ground, model, shot, made, chance


def attempt(number):
    try:
        name, ground, model, shot, made, chance = state(number)
        materialise(after_the_cut(shot.before, shot.operations, made, model, chance), stage.home)
        task = Task("power-loss", name, Point("state", number), ground=ground, rerun=number % 7 == 6)
        said = f"{number}  # {name} {ground} {model}, {made} of {len(shot.operations)} operations"
        try:
            verdict = after_a_crash(stage, task)
            if made == len(shot.operations) and verdict not in ("new", "old=new", "rerun"):
                raise Broken(f"exit 0 was given, and after the cut the tree is {verdict}")
        except Broken as wrong:
            return model, "bad", said, str(wrong)
        return model, verdict, said, ""
    except SystemExit as error:
        return "-", "bad", str(number), f"the harness stops: {error}"


def open_stage(binary, parent, number):
    global stage
    os.umask(0o022)
    stage = Stage(binary, own_directory(parent, number, "stage"))
    stage.log_whole = False


def main(arguments):
    binary = os.path.abspath(os.environ.get("GWINSTALL_BIN", ""))
    mode = arguments[0] if arguments else "states"
    if mode not in ("states", "control", "one") or not os.access(binary, os.X_OK):
        sys.exit(__doc__)
    if not shutil.which("strace"):
        sys.exit("strace is not installed: no run can be recorded")
    numbers = (
        [int(n) for n in arguments[1:]] if mode == "one" else range(STATES + (OLD_STATES if mode == "states" else 0))
    )
    since, counts, bad = time.monotonic(), Counter(), []
    with tempfile.TemporaryDirectory(prefix="gwinstall-power-", dir=stage_directory()) as parent:
        number = multiprocessing.Value("i", 0)
        with multiprocessing.Pool(os.cpu_count(), open_stage, (binary, parent, number)) as pool:
            for model, word, said, wrong in pool.imap_unordered(attempt, numbers, chunksize=5):
                counts[model, word] += 1
                if word == "bad":
                    bad.append((said, wrong))
    for (model, word), n in sorted(counts.items()):
        print(f"  {model:8} {word:8} {n}")
    for wrong, tasks in kinds_of_bad(bad)[:25]:
        print(f"BAD {len(tasks)} × {wrong}")
        for task in tasks[:3]:
            print(f"    tests/faults/power_loss.py one {task}")
    print(f"power-loss: {len(numbers)} states, {len(bad)} bad, {time.monotonic() - since:.0f} s")
    if mode == "control":
        broken = [wrong for _, wrong in bad if "the harness stops" not in wrong]
        print(f"negative control: {'found out' if broken else 'NOT found out: the replay proves nothing'}")
        return 0 if broken else 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
