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


def sweep(world, check, name):
    if not shutil.which("strace") or subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"]).returncode:
        check.skip("strace cannot trace here")
        return
    stages = queue.Queue()
    for number in range(WORKERS):
        stages.put(Stage(world, f"{name}-{number}"))
    first = stages.get()
    points, inside, parent = first.points(name)
    stages.put(first)
    chosen = points if full else sampled(points)
    jobs = [[point] for point in chosen] + [[point, parent] for point in (inside if full else sampled(inside))]
    counts, both = Counter(), 0

    def one(job):
        number, points = job
        stage = stages.get()
        try:
            return points, *kill(stage, name, points, NEXT[number % len(NEXT)])
        finally:
            stages.put(stage)

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for killed, word, wrong in pool.map(one, enumerate(jobs)):
            counts[word] += 1
            both += len(killed) > 1 and word != "not reached"
            if wrong:
                check.fail(f"{name} killed at {killed}", wrong)
    check.that(len(points) >= 20, "there are calls to kill at", str(points))
    tried = sum(counts.values()) - counts["not reached"]
    check.that(tried >= len(chosen) * 3 // 4, "most kills happened", str(counts))
    check.that(both >= 5, "kills of both happened", str(both))
    words = ", ".join(f"{word} {count}" for word, count in sorted(counts.items()))
    check.note(f"{tried} kills at {len(points)} changing calls, {both} of them of both: {words}; {counts['bad']} bad")


@case
def kills_of_self_update(world, check):
    sweep(world, check, "self-update")


@case
def kills_of_its_rollback(world, check):
    sweep(world, check, "rollback")


@case
def kills_of_a_new_configuration(world, check):
    sweep(world, check, "bundle-only")
