#!/usr/bin/env python3
"""Kills, failing system calls and signals at every point of every change; two runs at once; proofs of doing nothing; secrets.

    GWINSTALL_BIN=… tests/faults/run.py sampled          at least 300 points, the same ones every time
    GWINSTALL_BIN=… tests/faults/run.py kills            a kill at every point of every change, nothing else
    GWINSTALL_BIN=… tests/faults/run.py full [KIND…]     every point, in every way, or in these: kill error from-on
                                                         signal recovery
    GWINSTALL_BIN=… tests/faults/run.py control          the binary has no journal: it must be found out
    GWINSTALL_BIN=… tests/faults/run.py one TASK         a line that an earlier run printed
    GWINSTALL_BIN=… tests/faults/run.py behaviour        what is no point: two at once, closed pipes, no-ops, secrets

Prints what it counted and ends with `faults: N points, B bad`. Exit status 1: something is bad, or nothing was tried.
"""

import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter

import behaviour
from calls import Point
from scenario import BIND_MOUNT, OLD_FS, SCENARIOS, Stage, mounts_possible, own_directory, stage_directory
from sweep import SIGNAL_CODES, Task, judge, kinds_of_bad, recovery_points

SEED = 20261121
ERRORS = ("ENOSPC", "EIO", "EROFS", "EACCES", "EDQUOT")
# How many points of each kind the sampled run takes from a scenario.
SAMPLE = {"kill": 40, "error": 6, "from-on": 4, "signal": 5, "kill elsewhere": 12, "error elsewhere": 3}
SAMPLE |= {"recoveries": 2, "recovery": 12}
# Where the mount is what changes; where settings.json does not exist before, it cannot be a mount.
ON_BIND_MOUNT = ("adopt", "preset", "uninstall")
SHOWN = 25
KINDS = ("kill", "error", "from-on", "signal", "recovery")

stage = None


def open_stage(binary, parent, number):
    """One home per worker process, at a path as long as every other's."""
    global stage
    stage = Stage(binary, own_directory(parent, number, "stage"))


def attempt(task):
    try:
        return task, *judge(stage, task)
    except SystemExit as error:
        return task, "bad", f"the harness stops: {error}"


def recovery_attempts(task):
    try:
        return task, recovery_points(stage, task)
    except Exception as error:  # a task whose kill state cannot be made is reported by its own kill
        return task, error


def chosen(random_source, points, count):
    """All of them, or a sample in order that always has the first and the last."""
    if count is None or count >= len(points):
        return list(points)
    middle = random_source.sample(points[1:-1], count - 2) if count > 2 else []
    return sorted({points[0], points[-1], *middle}, key=points.index)


def first_tasks(scouting, full):
    """Kills, errors and signals. Recovery kills are known only after their kill."""
    tasks = []
    take = (lambda kind: None) if full else SAMPLE.get
    mounts = mounts_possible()
    if not mounts:
        print("NOTE no mount namespaces here: settings.json as a mount point was not tried")
    for name in SCENARIOS:
        # One source of chance per scenario: a scenario that gains a call does not move the points of the others.
        chance = random.Random(f"{SEED}-{name}")
        points = scouting.points_of(name)
        print(f"{name}: {len(points)} changing calls", flush=True)
        for n, point in enumerate(chosen(chance, points, take("kill"))):
            tasks.append(Task("kill", name, point, rerun=n % 2 == 1))
            if full:
                tasks.append(Task("kill", name, point, rerun=n % 2 == 0))
        for errno in ERRORS:
            tasks += [Task("error", name, p, errno) for p in chosen(chance, points, take("error"))]
        # The full run tries every point once in these ways too, and takes the errors and signals in turns.
        for turn in range(1 if full else len(ERRORS)):
            some = enumerate(chosen(chance, points, take("from-on")), turn)
            tasks += [Task("from-on", name, point, ERRORS[n % len(ERRORS)]) for n, point in some]
        signals = tuple(SIGNAL_CODES)
        for turn in range(1 if full else len(signals)):
            some = enumerate(chosen(chance, points, take("signal")), turn)
            tasks += [Task("signal", name, point, signals[n % len(signals)]) for n, point in some]
        for ground in [OLD_FS] + [BIND_MOUNT] * (mounts and name in ON_BIND_MOUNT):
            there = scouting.points_of(name, ground)
            for n, point in enumerate(chosen(chance, there, take("kill elsewhere"))):
                tasks.append(Task("kill", name, point, ground=ground, rerun=n % 2 == 1))
            for turn in range(1 if full else len(ERRORS)):
                some = enumerate(chosen(chance, there, take("error elsewhere")), turn)
                tasks += [Task("error", name, point, ERRORS[n % len(ERRORS)], ground=ground) for n, point in some]
    return tasks


def every_kill(scouting):
    """One kill at every changing call; every second one is mended by the next change instead of the doctor."""
    tasks = []
    for name in SCENARIOS:
        points = scouting.points_of(name)
        print(f"{name}: {len(points)} changing calls", flush=True)
        tasks += [Task("kill", name, point, rerun=n % 2 == 1) for n, point in enumerate(points)]
    return tasks


def kills_to_recover_from(scouting, full):
    """Kills inside the exchange: the journal is there, and some files are swapped."""
    tasks = []
    for name in SCENARIOS:
        points = scouting.points_of(name)
        inside = [p for p in points if p.name == "renameat2"]
        chance = random.Random(f"{SEED}-recovery-{name}")
        for n, point in enumerate(chosen(chance, inside[1:], 8 if full else SAMPLE["recoveries"])):
            tasks.append(Task("recovery", name, point, rerun=n % 2 == 1))
        if full:
            replacing = ("linkat", "link", "rename", "renameat")
            old = [point for point in scouting.points_of(name, OLD_FS) if point.name in replacing]
            tasks += [Task("recovery", name, point, ground=OLD_FS) for point in chosen(chance, old, 4)]
    return tasks


def recovery_tasks(pool, kills, full):
    tasks = []
    for kill, points in pool.imap_unordered(recovery_attempts, kills):
        if isinstance(points, Exception):
            print(f"no recovery to disturb after {kill}: {points}")
            continue
        chance = random.Random(f"{SEED}-{kill}")
        for point in chosen(chance, points, None if full else SAMPLE["recovery"]):
            tasks.append(Task("recovery", kill.scenario, kill.point, "", point, kill.ground, kill.rerun))
    return sorted(tasks, key=str)


class Tally:
    """Counts per kind and scenario, and the first bad points in full."""

    def __init__(self):
        self.counts, self.bad, self.points = Counter(), [], 0

    def add(self, task, word, wrong):
        self.points += 1
        if self.points % 1000 == 0:
            print(f"  {self.points} points, {len(self.bad)} bad", flush=True)
        self.counts[(f"{task.kind} {task.ground}", word)] += 1
        if word == "bad":
            self.bad.append((str(task), wrong))

    def show(self, since):
        kinds = sorted({kind for kind, _ in self.counts})
        for kind in kinds:
            words = {word: n for (k, word), n in sorted(self.counts.items()) if k == kind}
            print(f"  {kind:18} {sum(words.values()):6}  " + ", ".join(f"{word} {n}" for word, n in words.items()))
        for wrong, tasks in kinds_of_bad(self.bad)[:SHOWN]:
            print(f"BAD {len(tasks)} × {wrong}")
            for task in tasks[:3]:
                print(f"    tests/faults/run.py one {task}")
        print(f"faults: {self.points} points, {len(self.bad)} bad, {time.monotonic() - since:.0f} s", flush=True)


def sweep(pool, scouting, full, kinds, tally):
    first = [task for task in first_tasks(scouting, full) if task.kind in kinds]
    for outcome in pool.imap_unordered(attempt, first, chunksize=4):
        tally.add(*outcome)
    if "recovery" not in kinds:
        return
    for outcome in pool.imap_unordered(
        attempt, recovery_tasks(pool, kills_to_recover_from(scouting, full), full), chunksize=4
    ):
        tally.add(*outcome)


def control(pool, scouting, tally):
    """Kills between the exchanges of a binary that keeps no journal."""
    for name in ("models", "preset", "rollback"):
        inside = [p for p in scouting.points_of(name) if p.name == "renameat2"]
        tasks = [Task("kill", name, point) for point in chosen(random.Random(SEED), inside[1:], 8)]
        for outcome in pool.imap_unordered(attempt, tasks):
            tally.add(*outcome)


def parsed(words):
    """A task from the line that a run printed for it: kind, scenario, ground, point, [then point,] what recovers."""
    kind, scenario, ground, inject = words[:4]
    name, what, nth = inject.split(":")
    point = Point(name, int(nth.removeprefix("when=").rstrip("+")))
    errno = "" if kind in ("kill", "recovery") else what.split("=")[1]
    recovery = None
    if words[4] == "then":
        name, nth = words[5].split(":when=")
        recovery = Point(name, int(nth))
    return Task(kind, scenario, point, errno, recovery, "" if ground == "-" else ground, words[-1] == "rerun")


def main(arguments):
    binary = os.path.abspath(os.environ.get("GWINSTALL_BIN", ""))
    mode = arguments[0] if arguments else "sampled"
    if mode not in ("sampled", "kills", "full", "control", "one", "behaviour") or not os.access(binary, os.X_OK):
        sys.exit(__doc__)
    if not shutil.which("strace"):
        sys.exit("strace is not installed: no point can be disturbed")
    since, tally = time.monotonic(), Tally()
    # Under nohup or in the background children would inherit that these are ignored; the first of them we honour.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="gwinstall-faults-", dir=stage_directory()) as parent:
        number = multiprocessing.Value("i", 0)
        open_stage(binary, parent, number)
        if mode == "behaviour":
            return 1 if behaviour.faults(stage) else 0
        if mode == "one":
            tally.add(*attempt(parsed(" ".join(arguments[1:]).split())))
            tally.show(since)
            return 1 if tally.bad else 0
        with multiprocessing.Pool(os.cpu_count(), open_stage, (binary, parent, number)) as pool:
            if mode == "control":
                control(pool, stage, tally)
            elif mode == "kills":
                for outcome in pool.imap_unordered(attempt, every_kill(stage), chunksize=4):
                    tally.add(*outcome)
            else:
                sweep(pool, stage, mode == "full", arguments[1:] or KINDS, tally)
        tally.show(since)
        if mode == "control":
            print(f"negative control: {'found out' if tally.bad else 'NOT found out: the sweep proves nothing'}")
            return 0 if tally.bad else 1
        wrong = mode != "kills" and not arguments[1:] and behaviour.faults(stage)
    return 1 if tally.bad or wrong or tally.points < 300 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
