"""SIGKILL at every changing call of self-update and of its rollback, in the command itself and in the one that it starts.

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

    def __init__(self, world, number):
        self.dir = world.dir / f"kills-{number}"
        self.dir.mkdir(exist_ok=True)
        self.machine = Machine(self.dir / "home", world.both, world.machine.env["GWINSTALL_CA_BUNDLE"])
        machine = self.machine
        machine.empty()
        machine.put_executable(world.builds.binaries["1.0.0"])
        must(machine.run("install", "--preset", "basic", "--yes"))
        machine.edit(*KEPT)
        for name in ("self-update", "bundle-only"):
            machine.save(name)
        must(machine.run("self-update", "--yes"))
        machine.save("rollback")

    def traced(self, name, inject=()):
        self.machine.restore(name)
        trace = self.dir / "trace"
        words = ["strace", "-ff", "-qq", "-y", "-o", trace, "-e", f"trace={CHANGING}"]
        for old in self.dir.glob("trace.*"):
            old.unlink()
        for expression in inject:
            words += ["-e", f"inject={expression}"]
        return self.machine.run(*COMMANDS[name], enter=[*words, "--"])

    def points(self, name):
        """Every changing call with its place in the count of its name: strace counts for each process apart, and kills the
        first that gets so far; a call of the second process beyond the first one's count is therefore its own."""
        must(self.traced(name))
        found = set()
        for file in self.dir.glob("trace.*"):
            seen = Counter()
            for line in file.read_text(errors="replace").splitlines():
                match = LINE.match(line)
                if match and "resumed>" not in line:
                    seen[match.group(2)] += 1
                    if changes(match.group(2), line):
                        found.add((match.group(2), seen[match.group(2)]))
        return sorted(found)


def must(result):
    if result.code not in (0, 4):
        raise RuntimeError(f"the state before a kill cannot be made: {result}")


def kill(stage, name, point, following):
    """What is wrong after one kill, or nothing; and whether there was one."""
    machine = stage.machine
    result = stage.traced(name, [f"{point[0]}:signal=SIGKILL:when={point[1]}"])
    killed = any("+++ killed by SIGKILL" in file.read_text(errors="replace")[-200:] for file in stage.dir.glob("trace.*"))
    if not killed:
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


def sweep(world, check, name):
    if not shutil.which("strace") or subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"]).returncode:
        check.skip("strace cannot trace here")
        return
    stages = queue.Queue()
    for number in range(WORKERS):
        stages.put(Stage(world, f"{name}-{number}"))
    first = stages.get()
    points = first.points(name)
    stages.put(first)
    chosen = points if full else sampled(points)
    counts = Counter()

    def one(job):
        number, point = job
        stage = stages.get()
        try:
            return point, *kill(stage, name, point, NEXT[number % len(NEXT)])
        finally:
            stages.put(stage)

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for point, word, wrong in pool.map(one, enumerate(chosen)):
            counts[word] += 1
            if wrong:
                check.fail(f"{name} killed at {point[0]} {point[1]}", wrong)
    check.that(len(points) >= 20, "there are calls to kill at", str(points))
    tried = sum(counts.values()) - counts["not reached"]
    check.that(tried >= min(20, len(chosen)), "most kills happened", str(counts))
    words = ", ".join(f"{word} {count}" for word, count in sorted(counts.items()))
    check.note(f"{tried} kills at {len(points)} changing calls: {words}; {counts['bad']} bad")


@case
def kills_of_self_update(world, check):
    sweep(world, check, "self-update")


@case
def kills_of_its_rollback(world, check):
    sweep(world, check, "rollback")


@case
def kills_of_a_new_configuration(world, check):
    sweep(world, check, "bundle-only")
