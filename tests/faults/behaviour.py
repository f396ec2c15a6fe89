"""What a sweep cannot show: two runs at once, a reader that goes away, runs that must do nothing, and secrets that must stay put.

Every check is a function of a stage that returns a list of what is wrong. `faults` runs them all and prints a line for each.
"""

import os
import re
import shutil
import subprocess
import time

import canary
import races
from calls import CHANGING, points
from scenario import INSTALL, MODELS, SCENARIOS

PANICKED = {101, 134, -6, -11, 139}
READING = (
    INSTALL,
    ["install", "--dry-run", *MODELS[1:3]],
    ["update", "--dry-run"],
    ["rollback", "--dry-run"],
    ["uninstall", "--dry-run"],
    ["status"],
    ["status", "--json"],
    ["diff"],
    ["verify"],
    ["validate"],
    ["doctor"],
    ["history"],
    ["usage"],
    ["report", "--html", "-"],
    ["backup", "list"],
    ["env", "list"],
    ["presets", "list"],
    ["models", "list"],
)


def faults(stage):
    wrong = []
    checks = (busy_while_another_runs, both_at_once, reader_goes_away, reads_change_nothing, interrupted_is_reported)
    checks += (races.an_editor_saves_meanwhile, races.a_process_lives_there, races.the_disk_is_full, canary.faults)
    for check in checks:
        try:
            found = check(stage)
        except (Exception, SystemExit) as error:
            found = [f"the check itself stops: {error!r}"]
        print(f"{'ok ' if not found else 'BAD'} {check.__module__}.{check.__name__}: {check.__doc__.splitlines()[0]}")
        for line in found[:12]:
            print(f"    {line}")
        wrong += found
    print(f"behaviour: {len(wrong)} bad", flush=True)
    return wrong


def inside_the_exchange(stage):
    """Which call of renameat2 is in the middle of the exchange that a change of models makes."""
    inside = [point for point in stage.points_of("models") if point.name == "renameat2"]
    return inside[len(inside) // 2].nth


def held_at_the_exchange(stage, arguments, nth, seconds):
    """Starts a run that stays between two exchanges for a while; returns it, once it is there, and its process id."""
    trace = stage.directory / "held"
    command = ["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=renameat2"]
    command += ["-e", f"inject=renameat2:delay_enter={int(seconds * 1e6)}:when={nth}", "--", stage.binary, *arguments]
    run = subprocess.Popen(
        command, env=stage.env, cwd=stage.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and run.poll() is None:
        if trace.exists() and trace.read_text(errors="replace").count("renameat2(") >= nth - 1:
            break
        time.sleep(0.01)
    with open(f"/proc/{run.pid}/task/{run.pid}/children") as children:
        return run, children.read().split()


def busy_while_another_runs(stage):
    """a second install says who holds the lock and for how long, exits 6, and changes nothing; --lock-wait waits"""
    wrong = []
    nth = inside_the_exchange(stage)
    stage.reset("models")
    first, children = held_at_the_exchange(stage, MODELS, nth, 2.5)
    second = stage.run(["install", "--models", "codestral", "--yes"])
    reading = stage.run(["status"])
    waiting = stage.run([*MODELS, "--lock-wait", "20"])
    out, err = first.communicate(timeout=60)
    if second.code != 6:
        wrong.append(f"the second install exits {second.code}: {second.said()}")
    if not any(re.search(rf"\b{pid}\b", second.err) for pid in children):
        wrong.append(f"the holder's pid {children} is not in: {second.err.strip()!r}")
    if not re.search(r"\d+(?:\.\d+)? ?(?:ms|s\b|sec)", second.err):
        wrong.append(f"no age in: {second.err.strip()!r}")
    if reading.code not in (0, 3):
        wrong.append(f"status beside a running install exits {reading.code}: {reading.said()}")
    if waiting.code not in (0, 6):
        wrong.append(f"install --lock-wait exits {waiting.code}: {waiting.said()}")
    if first.returncode != 0:
        wrong.append(f"the first install exits {first.returncode}: {(out + err)[-600:]}")
    return wrong + not_new(stage, "models", "after both")


def both_at_once(stage):
    """ten races of two equal installs: at least one wins, the other is busy or has nothing to do, the tree is new"""
    wrong = []
    for n in range(10):
        stage.reset("models")
        runs = [
            subprocess.Popen(
                [stage.binary, *MODELS],
                env=stage.env,
                cwd=stage.directory,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for _ in range(2)
        ]
        texts = [b"".join(run.communicate(timeout=60)) for run in runs]
        codes = sorted(run.returncode for run in runs)
        if codes not in ([0, 0], [0, 6]):
            wrong.append(f"race {n} ends with {codes}: {[text[-300:] for text in texts]}")
        wrong += not_new(stage, "models", f"after race {n}")
    return wrong


def reader_goes_away(stage):
    """a closed pipe, a full device and no standard output at all: no panic, and the exit code tells the truth"""
    wrong = []
    sinks = {
        "| head -c 1": "| head -c 1 >/dev/null",
        "> /dev/full": "> /dev/full",
        ">&-": ">&-",
        "2>&-": "2>&- >/dev/null",
        "both": "> /dev/full 2>&1",
    }
    commands = [
        MODELS,
        ["status"],
        ["diff"],
        ["--help"],
        ["presets", "list"],
        ["models", "list"],
        ["history"],
        ["usage"],
        ["report", "--html", "-"],
        ["completions", "bash"],
        ["man"],
    ]
    for said, sink in sinks.items():
        for arguments in commands:
            stage.reset("models")
            line = f'"$0" "$@" {sink}; exit "${{PIPESTATUS[0]}}"'
            run = subprocess.run(
                ["bash", "-c", line, stage.binary, *arguments],
                env=stage.env,
                cwd=stage.directory,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=60,
            )
            if run.returncode in PANICKED:
                wrong.append(f"{' '.join(arguments)} {said} exits {run.returncode}: {run.stderr[-300:]}")
            if arguments == MODELS:
                wrong += outcome_told(stage, "models", run.returncode, f"{' '.join(arguments)} {said}")
    return wrong


def outcome_told(stage, name, code, when):
    verdict = stage.prepared(name)["oracle"].verdict(stage.found())
    expected = "new" if code == 0 else "old"
    return [] if expected in verdict.split("=") else [f"{when}: exit {code}, but the tree is {verdict}"]


def reads_change_nothing(stage):
    """a second install, dry runs and reading commands open nothing for writing and touch no time, also on a read-only mount"""
    wrong = []
    stage.reset("models")
    stage.must(MODELS)
    stage.must(INSTALL[:3] + ["--models", "gemini-2.5-flash,deepseek-r1,codestral", "--yes"])
    again = INSTALL[:3] + ["--models", "gemini-2.5-flash,deepseek-r1,codestral", "--yes"]
    before = stage.found()
    for arguments in [again, *READING[1:]]:
        run = stage.traced(arguments, calls=CHANGING + ",flock")
        changing = [line for line in run.trace if re.search(r"\bflock\(", line)] + points(run.trace)
        if changing:
            wrong.append(f"{' '.join(arguments)}: {len(changing)} changing calls, first {changing[0]}")
        if run.code in PANICKED or run.code == 2:
            wrong.append(f"{' '.join(arguments)} exits {run.code}: {run.said()}")
        if stage.found() != before:
            wrong.append(f"{' '.join(arguments)} changed the home")
            return wrong
    return wrong + on_a_read_only_mount(stage, [again, *READING[1:]])


def on_a_read_only_mount(stage, commands):
    """The same commands where nothing can be written: same exit codes, but for a check that says just that."""
    mount = 'mount --bind "$HOME" "$HOME" && mount -o remount,ro,bind "$HOME" && exec "$0" "$@"'
    enter = ["unshare", "--mount", "--propagation", "private"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
    if not shutil.which("unshare") or subprocess.run([*enter, "true"], capture_output=True).returncode != 0:
        print("NOTE no mount namespaces here: the read-only mount was not tried")
        return []
    wrong = []
    for arguments in commands:
        free = stage.run(arguments)
        run = subprocess.run(
            [*enter, "sh", "-c", mount, stage.binary, *arguments],
            env=stage.env,
            cwd=stage.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        refused = run.returncode == 1 and "writable" in run.stdout + run.stderr
        if run.returncode != free.code and not refused:
            wrong.append(
                f"{' '.join(arguments)}: exit {free.code}, on a read-only mount {run.returncode}: {run.stderr[-300:]}"
            )
    return wrong


def interrupted_is_reported(stage):
    """after a kill inside the exchange, reading commands say so with exit 3 and leave everything to the next changing one"""
    wrong = []
    nth = inside_the_exchange(stage)
    stage.reset("models")
    stage.traced(SCENARIOS["models"].command, (f"renameat2:signal=SIGKILL:when={nth}",))
    before = stage.found()
    for arguments in (["status"], ["diff"], ["install", "--dry-run", *MODELS[1:3]]):
        run = stage.traced(arguments)
        if arguments != ["status"] and run.code not in (0, 3) or arguments == ["status"] and run.code != 3:
            wrong.append(f"{' '.join(arguments)} exits {run.code} on an interrupted run: {run.said()}")
        if not re.search(r"interrupt|unfinished|recover|repair", run.out + run.err, re.I):
            wrong.append(f"{' '.join(arguments)} does not speak of the interrupted run: {run.said()}")
        if points(run.trace) or stage.found() != before:
            wrong.append(f"{' '.join(arguments)} wrote: {points(run.trace)[:3]}")
    run = stage.run(MODELS)
    if run.code != 0 or not re.search(r"interrupt|unfinished|recover|undone", run.out + run.err, re.I):
        wrong.append(f"the next install exits {run.code} and does not speak of the recovery: {run.said()}")
    return wrong + not_new(stage, "models", "after the next install")


def not_new(stage, name, when):
    verdict = stage.prepared(name)["oracle"].verdict(stage.found())
    return [] if "new" in verdict.split("=") else [f"{when}: {verdict}"]
