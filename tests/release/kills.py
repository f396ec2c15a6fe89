"""SIGKILL at every changing call of self-update and of its rollback: of the command itself, of the one that it starts, of both.

After each kill `gwinstall --version` must run at once, and after the next changing command executable and configuration must be
of one release, with the user's edits and without half a file. The next command is the same one again, or `update`, or
`doctor --repair`, in turns.
"""

import concurrent.futures
import queue
import random
import re
import shutil
import subprocess
from collections import Counter

from calls import CHANGING, LINE, changes
from machine import KEPT, Machine

CASES = []
full = False
# Kills at each kind of call in a sampled run, the first and the last among them: a download is hundreds of writes, and what
# replaces an executable a handful of renames. Every call with --full.
SAMPLE = 8
WORKERS = 2
NEXT = (["self-update", "--yes"], ["update", "--yes"], ["doctor", "--repair", "--yes"])
COMMANDS = {
    "self-update": ["self-update", "--yes"],
    "rollback": ["self-update", "--rollback", "--yes"],
    "bundle-only": ["self-update", "--bundle-only", "--yes"],
}


def case(function):
    CASES.append(function)
    return function


class Stage:
    """A machine of one worker, with the state before each command."""

    def __init__(self, world, label, binaries=None):
        self.dir = world.dir / f"stage-{label}"
        self.dir.mkdir(exist_ok=True)
        self.machine = Machine(self.dir / "home", world.both, world.machine.env["GWINSTALL_CA_BUNDLE"])
        machine = self.machine
        machine.empty()
        machine.put_executable((binaries or world.builds.binaries)["1.0.0"])
        must(machine.run("install", "--preset", "basic", "--on", "--yes"))
        machine.edit(*KEPT)
        for name in ("self-update", "bundle-only"):
            machine.save(name)
        must(machine.run("self-update", "--yes"))
        machine.save("rollback")

    def traced(self, name, inject=()):
        self.machine.restore(name)
        trace = self.dir / "trace"
        words = ["strace", "-ff", "-qq", "-y", "-o", trace, "-e", f"trace={CHANGING},?clone"]
        for old in self.dir.glob("trace.*"):
            old.unlink()
        for expression in inject:
            words += ["-e", f"inject={expression}"]
        return self.machine.run(*COMMANDS[name], enter=[*words, "--"])

    def calls(self):
        """How often each call was made by each process of the last run, the first process first, and which calls change."""
        for file in sorted(self.dir.glob("trace.*"), key=lambda file: int(file.suffix[1:])):
            seen, found = Counter(), set()
            for line in file.read_text(errors="replace").splitlines():
                match = LINE.match(line)
                if match and "resumed>" not in line:
                    call = match.group(2)
                    seen[call] += 1
                    if call != "clone" and changes(call, line):
                        found.add((call, seen[call]))
            yield seen, found

    def points(self, name):
        """Every changing call with its place in the count of its name, and those of them that only the started command can
        reach: strace counts for each process apart and kills whichever gets so far. With that, a point at which the first
        process dies as soon as it wants to start something more than an undisturbed run does."""
        must(self.traced(name))
        (first, found), *others = self.calls()
        later = set().union(*(points for _, points in others))
        return sorted(found | later), sorted(p for p in later if p[1] > first[p[0]]), ("clone", first["clone"] + 1)


def must(result):
    if result.code not in (0, 4):
        raise RuntimeError(f"the state before a kill cannot be made: {result}")


def kill(stage, name, points, following):
    """What is wrong after the kills at these points, or nothing; and whether they happened."""
    machine = stage.machine
    result = stage.traced(name, [f"{call}:signal=SIGKILL:when={nth}" for call, nth in points])
    ends = [file.read_text(errors="replace")[-200:] for file in stage.dir.glob("trace.*")]
    if sum("+++ killed by SIGKILL" in end for end in ends) < len(points):
        return "not reached", ""
    runs = machine.run("--version")
    if runs.code != 0 or not re.fullmatch(r"gwinstall 1\.[01]\.0\n", runs.out):
        return "bad", f"--version does not run: {runs} after {result}"
    done = machine.run(*following)
    if done.code not in (0, 4):
        return "bad", f"the next {following} fails: {done} after {result}"
    version, seq = machine.version(), machine.seq()
    wanted = {"1.0.0": (1, 2) if name == "bundle-only" else (1,), "1.1.0": (2,)}[version]
    if seq not in wanted:
        return "bad", f"after {following}: executable {version}, configuration {seq}: {done} after {result}"
    for edited in KEPT:
        if "A line of mine." not in (machine.gateway / edited).read_text():
            return "bad", f"{edited} lost what the user wrote"
    left = leftovers(machine)
    if left:
        return "bad", f"after {following} there is still {left}"
    return f"both {version}" if name != "bundle-only" else f"configuration {seq}", ""


def leftovers(machine):
    found = [path for path in machine.executable.parent.iterdir() if path.name.startswith(".")]
    found += [path for path in machine.state.glob("self-update.journal*")]
    found += [path for path in machine.state.glob("previous.json.tmp")]
    return [str(path.relative_to(machine.home)) for path in found]


def sampled(points):
    chance, chosen = random.Random(20261121), []
    for kind in sorted({name for name, _ in points}):
        some = [point for point in points if point[0] == kind]
        middle = some[1:-1]
        chosen += {some[0], some[-1], *chance.sample(middle, min(len(middle), SAMPLE - 2))}
    return sorted(chosen)


def cannot_trace():
    """Why nothing can be disturbed here, or nothing."""
    works = shutil.which("strace") and subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"]).returncode == 0
    return "" if works else "strace cannot trace here"


class Sweep:
    """The kills of one command: what was tried, and what came of it."""

    def __init__(self, world, label, name, binaries=None, full=False):
        self.name, self.stages = name, queue.Queue()
        for number in range(WORKERS):
            self.stages.put(Stage(world, f"{label}-{number}", binaries))
        first = self.stages.get()
        self.points, inside, parent = first.points(name)
        self.stages.put(first)
        self.chosen = self.points if full else sampled(self.points)
        self.jobs = [[point] for point in self.chosen]
        self.jobs += [[point, parent] for point in (inside if full else sampled(inside))]
        self.counts, self.both, self.bad = Counter(), 0, []

    def run(self):
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            for killed, word, wrong in pool.map(self.one, enumerate(self.jobs)):
                self.counts[word] += 1
                self.both += len(killed) > 1 and word != "not reached"
                if wrong:
                    self.bad.append((killed, wrong))
        return self

    def one(self, job):
        number, points = job
        stage = self.stages.get()
        try:
            return points, *kill(stage, self.name, points, NEXT[number % len(NEXT)])
        finally:
            self.stages.put(stage)

    def tried(self):
        return sum(self.counts.values()) - self.counts["not reached"]


def sweep(world, check, name):
    if why := cannot_trace():
        check.skip(why)
        return
    done = Sweep(world, f"kills-{name}", name, full=full).run()
    for killed, wrong in done.bad:
        check.fail(f"{name} killed at {killed}", wrong)
    check.that(len(done.points) >= 20, "there are calls to kill at", str(done.points))
    check.that(done.tried() >= len(done.chosen) * 3 // 4, "most kills happened", str(done.counts))
    check.that(done.both >= 5, "kills of both happened", str(done.both))
    words = ", ".join(f"{word} {count}" for word, count in sorted(done.counts.items()))
    check.note(
        f"{done.tried()} kills at {len(done.points)} changing calls, {done.both} of them of both: {words}; {len(done.bad)} bad"
    )


@case
def kills_of_self_update(world, check):
    sweep(world, check, "self-update")


@case
def kills_of_its_rollback(world, check):
    sweep(world, check, "rollback")


@case
def kills_of_a_new_configuration(world, check):
    sweep(world, check, "bundle-only")


@case
def kills_without_a_journal_are_found_out(world, check):
    """Negative control: a sweep that calls a self-update without its journal good proves nothing."""
    if not full:
        check.note("only with --full: it needs another build")
    elif why := cannot_trace():
        check.skip(why)
    else:
        binaries = world.builds.control("fault-no-journal")
        done = Sweep(world, "kills-control", "self-update", binaries).run()
        check.that(done.bad, "found out", str(done.counts))
        check.note(f"{done.tried()} kills without a journal, {len(done.bad)} bad: found out")
