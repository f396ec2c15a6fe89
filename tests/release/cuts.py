"""Power cuts during self-update, its rollback and an update of the configuration alone: states that a disk may hold afterwards.

One undisturbed run of each command is recorded, of the command itself and of the one that it starts, and replayed by the model of
tests/faults/replay.py: what no sync covers may be lost, in whatever order. In every state `gwinstall --version` must run at once,
and after the next changing command executable and configuration must be of one release, whole to the byte, with the user's edits
and without half a file. A command that ended with exit 0 must be there after the cut.
"""

import collections
import json
import multiprocessing
import random
import re
import time

import kills
from kills import COMMANDS, NEXT, Stage, leftovers, must
from machine import KEPT
from replay import CALLS, OPTIONS, Recorder, after_the_cut
from sweep import kinds_of_bad
from tree import BOOKKEEPING, GATEWAY, RECORD, bookkeeping_faults, materialise, snapshot

CASES = []
SEED = 20261121
# States of a run of the section, of a full run, and of a binary that does not sync.
STATES, FULL, CONTROL = 160, 480, 60
WORKERS = 2
EXECUTABLE = ".local/bin/gwinstall"
STATE = ".local/state/gwinstall"
JOURNAL = f"{STATE}/self-update.journal"
# What the commands promise with exit 0: version of the executable, seq of the configuration.
PROMISED = {"self-update": ("1.1.0", 2), "rollback": ("1.0.0", 1), "bundle-only": ("1.0.0", 2)}


def case(function):
    CASES.append(function)
    return function


class Processes(Recorder):
    """Reads the trace of several processes: a number of a descriptor means something in its own process only."""

    def record(self, trace):
        tables, halves = collections.defaultdict(dict), {}
        for line in trace:
            process, _, call = line.partition(" ")
            if call.rstrip().endswith("<unfinished ...>"):
                halves[process] = call.rstrip().removesuffix("<unfinished ...>")
                continue
            if resumed := re.match(r" *<\.\.\. \w+ resumed>(.*)", call, re.DOTALL):
                call = halves.pop(process) + resumed.group(1)
            self.descriptors = tables[process]
            super().record([call.lstrip()])
        return self.operations


class Film:
    """One undisturbed run: the tree before it, the tree after it, and the operations between them."""

    def __init__(self, stage, name):
        machine, trace = stage.machine, stage.dir / "film"
        machine.restore(name)
        self.before = snapshot(machine.home)
        words = ["strace", "-f", "-qq", *OPTIONS, "-o", trace, "-e", f"trace={CALLS}", "--"]
        must(machine.run(*COMMANDS[name], enter=words))
        self.after = snapshot(machine.home)
        recorder = Processes(machine.home, self.before)
        with trace.open(encoding="utf8", errors="replace") as lines:
            self.operations = recorder.record(lines)
        trace.unlink()
        self.prove(name, recorder.disk.entries())
        # Where everything is decided: from the first that is said about a change to the end.
        swaps = [n for n, op in enumerate(self.operations) if any(path.startswith(JOURNAL) for path in op.paths)]
        self.decision = swaps[0] if swaps else len(self.operations) // 2

    def prove(self, name, made):
        wrong = [path for path in made.keys() | self.after.keys() if not (path in made and made[path].same(self.after.get(path)))]
        if wrong:
            raise RuntimeError(f"{name}: the replay does not reproduce the run: {sorted(wrong)[:5]}")

    def cut(self, chance):
        """After how many operations: a tenth at the end, most where it is decided, the rest where a name, a mode or a sync is."""
        draw, total = chance.random(), len(self.operations)
        if draw < 0.1:
            return total
        if draw < 0.65:
            return chance.randint(self.decision, total)
        return chance.choice([n + 1 for n, op in enumerate(self.operations) if op.what not in ("write", "truncate")])


class Player:
    """A worker: its own machine, and its films of it, because a deployment knows the path of its home."""

    def __init__(self, world, label, binaries):
        self.stage = Stage(world, label, binaries)
        self.executables = {content.read_bytes(): version for version, content in binaries.items()}
        self.films = {name: Film(self.stage, name) for name in COMMANDS}
        self.gateways = {1: self.films["self-update"].before, 2: self.films["self-update"].after}

    def attempt(self, number):
        name = list(COMMANDS)[number % len(COMMANDS)]
        film, model = self.films[name], ("ordered", "any")[number // len(COMMANDS) % 2]
        chance = random.Random(f"{SEED}-{number}")
        made = film.cut(chance)
        following = chance.choice(NEXT)
        at_end = made == len(film.operations)
        shown = f"state {number}: {name} {model}, cut after {made} of {len(film.operations)} operations, then {' '.join(following)}"
        materialise(after_the_cut(film.before, film.operations, made, model, chance), self.stage.machine.home)
        try:
            word, wrong = self.judge(name, following, at_end)
        except (OSError, LookupError, ValueError) as error:
            # A file that everything rests on is not there, or not what it should be.
            word, wrong = "bad", repr(error)
        return f"{name} {word}", (shown, wrong)

    def judge(self, name, following, at_end):
        machine = self.stage.machine
        runs = machine.run("--version")
        if runs.code != 0 or not re.fullmatch(r"gwinstall 1\.[01]\.0\n", runs.out):
            return "bad", f"--version does not run: {runs}"
        if at_end and (wrong := self.broken_promise(name)):
            return "bad", wrong
        done = machine.run(*following)
        if done.code not in (0, 4):
            return "bad", f"the next command fails: {done}"
        version, seq = machine.version(), machine.seq()
        wanted = {"1.0.0": (1, 2) if name == "bundle-only" else (1,), "1.1.0": (2,)}[version]
        if seq not in wanted:
            return "bad", f"executable {version}, configuration {seq}: {done}"
        if name == "bundle-only" and at_end and seq != 2:
            return "bad", f"the new configuration was promised, then {done}"
        wrong = self.not_whole(version, seq)
        return ("bad", f"{wrong[:6]}: {done}") if wrong else (f"{version} with configuration {seq}", "")

    def broken_promise(self, name):
        machine, wanted = self.stage.machine, PROMISED[name]
        repaired = machine.run("doctor", "--repair", "--yes")
        there = machine.version(), machine.seq(), machine.memory()["max_seq_seen"]
        if repaired.code != 0 or there != (*wanted, 2):
            return f"exit 0 was given, and after the cut it is {there}: {repaired}"
        if name != "self-update":
            return ""
        # The way back was promised too.
        saved = snapshot(machine.home)
        back = machine.run("self-update", "--rollback", "--yes")
        there = back.code, machine.version(), machine.seq()
        materialise(saved, machine.home)
        return "" if there == (0, "1.0.0", 1) else f"exit 0 was given, and after the cut there is no way back: {there} {back}"

    def not_whole(self, version, seq):
        """Everything that is neither as in the release that runs nor what a person wrote."""
        machine = self.stage.machine
        found, wrong = snapshot(machine.home), list(leftovers(machine))
        for path in (EXECUTABLE, f"{EXECUTABLE}.previous"):
            there = found.get(path)
            if there and (there.mode != 0o755 or there.content not in self.executables):
                wrong.append(f"{path} is no whole executable")
        if self.executables.get(found[EXECUTABLE].content) != version:
            wrong.append("the executable is not the one of its version")
        gateway, wanted = deployed(found), deployed(self.gateways[seq])
        wrong += [path for path in gateway.keys() | wanted.keys() if not same(gateway.get(path), wanted.get(path))]
        wrong += [path for path in found if path.startswith(f"{STATE}/") and path.endswith(".json") and not readable(found[path])]
        wrong += [path for path in found if path.endswith(".part")]
        for edited in KEPT:
            if b"A line of mine." not in found[f"{GATEWAY}/{edited}"].content:
                wrong.append(f"{edited} lost what the user wrote")
        return wrong + bookkeeping_faults(found, log_whole=False)


def deployed(tree):
    """What two deployments of one release have in common: all but the record and the bookkeeping."""
    outside = (".local/bin/", ".local/state/")
    return {
        path: there
        for path, there in tree.items()
        if path != RECORD and not BOOKKEEPING.match(path) and not path.startswith(outside)
    }


def same(one, other):
    return one is not None and one.same(other)


def readable(there):
    try:
        json.loads(there.content)
    except ValueError:
        return False
    return True


player = None


def open_player(world, label, binaries, number):
    global player
    with number.get_lock():
        number.value += 1
        own = number.value
    player = Player(world, f"{label}-{own}", binaries)


def attempt(number):
    return player.attempt(number)


def replay(world, label, states, binaries):
    """The outcomes of so many states, and what is wrong with the bad ones."""
    fork = multiprocessing.get_context("fork")
    counts, bad = collections.Counter(), []
    with fork.Pool(WORKERS, open_player, (world, label, binaries, fork.Value("i", 0))) as pool:
        for word, (shown, wrong) in pool.imap_unordered(attempt, range(states), chunksize=4):
            counts[word] += 1
            if wrong:
                bad.append((shown, wrong))
    return counts, bad


@case
def power_cuts_of_self_update(world, check):
    if why := kills.cannot_trace():
        check.skip(why)
        return
    began, states = time.monotonic(), FULL if kills.full else STATES
    counts, bad = replay(world, "cuts", states, world.builds.binaries)
    for wrong, shown in kinds_of_bad(bad)[:8]:
        check.fail(f"{len(shown)} × after a power cut, first {shown[0]}", wrong)
    check.that(not bad and sum(counts.values()) == states, f"{states} states, {len(bad)} bad", str(counts))
    words = ", ".join(f"{word} {count}" for word, count in sorted(counts.items()))
    check.note(f"{states} states after power cuts: {words}; {len(bad)} bad, {time.monotonic() - began:.0f} s")


@case
def power_cuts_without_syncs_are_found_out(world, check):
    """Negative control: a replay that calls a self-update without its syncs good proves nothing."""
    if not kills.full:
        check.note("only with --full: it needs another build")
    elif why := kills.cannot_trace():
        check.skip(why)
    else:
        counts, bad = replay(world, "cuts-control", CONTROL, world.builds.control("fault-no-sync"))
        check.that(bad, "found out", str(counts))
        check.note(f"{CONTROL} states of a self-update without syncs, {len(bad)} bad: found out")
