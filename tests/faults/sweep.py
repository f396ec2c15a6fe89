"""One disturbed run and the verdict over it. Every function takes a stage and a task and returns what is wrong, or nothing.

Kinds of task: `kill` at a point of the command; `error` once, `from-on` at a point and ever after; `signal`; `recovery`: a kill,
and then a kill at a point of its recovery. Every kind can run on another ground (scenario.py).
"""

import re
import shutil
from dataclasses import dataclass

from calls import Point, points
from scenario import SCENARIOS
from tree import LOCK, restore, state

REPAIR = ["doctor", "--repair", "--yes"]
# Exit codes that say the new tree is there, and those that say the old one is.
NEW_CODES, OLD_CODES, UNFINISHED = {0, 4}, {1, 5, 6}, 7
SIGNAL_CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}


@dataclass(frozen=True)
class Task:
    kind: str
    scenario: str
    point: Point
    errno: str = ""
    recovery_point: Point | None = None
    ground: str = ""
    rerun: bool = False

    def inject(self):
        if self.kind in ("kill", "recovery"):
            return (f"{self.point.name}:signal=SIGKILL:when={self.point.nth}",)
        if self.kind == "signal":
            return (f"{self.point.name}:signal={self.errno}:when={self.point.nth}",)
        return (f"{self.point.name}:error={self.errno}:when={self.point.nth}{'+' if self.kind == 'from-on' else ''}",)

    def __str__(self):
        words = [self.kind, self.scenario, self.ground or "-", *self.inject()]
        if self.recovery_point:
            words += ["then", str(self.recovery_point)]
        return " ".join(words + ["rerun" if self.rerun else "repair"])


class Broken(Exception):
    """What is wrong after a disturbed run."""


def judge(stage, task):
    """Runs the task: (its summary word, what is wrong or an empty string)."""
    try:
        return {
            "kill": killed,
            "recovery": recovery_killed,
            "error": failed,
            "from-on": failed,
            "signal": signalled,
        }[
            task.kind
        ](stage, task), ""
    except Broken as wrong:
        return "bad", str(wrong)


def kinds_of_bad(bad):
    """What is wrong, numbers and temporary names aside, with the tasks that showed it; the most frequent first."""
    kinds = {}
    for task, wrong in bad:
        kinds.setdefault(re.sub(r"[0-9a-f]{64}|\d+", "N", wrong), (wrong, []))[1].append(task)
    return sorted(kinds.values(), key=lambda kind: -len(kind[1]))


def disturbed(stage, task, arguments, inject):
    run = stage.traced(arguments, inject, task.ground)
    if not run.disturbed(inject[0].split(":")[0]):
        raise Broken(f"the point was not reached: {arguments} exits {run.code}")
    return run


def killed(stage, task):
    stage.reset(task.scenario)
    run = disturbed(stage, task, SCENARIOS[task.scenario].command, task.inject())
    if run.code not in (-9, 137):
        raise Broken(f"exits {run.code} instead of being killed: {run.said()}")
    return after_a_crash(stage, task)


def recovery_killed(stage, task):
    broken_off(stage, task)
    recovery = prepared_again(stage, task) if task.rerun else REPAIR
    point = task.recovery_point
    run = disturbed(stage, task, recovery, (f"{point.name}:signal=SIGKILL:when={point.nth}",))
    if run.code not in (-9, 137):
        raise Broken(f"the recovery exits {run.code} instead of being killed: {run.said()}")
    return after_a_crash(stage, task)


def broken_off(stage, task):
    """Puts the home into the state after the kill; each such state is made once per stage."""
    saved = stage.directory / f"killed-{task.scenario}-{task.point.name}-{task.point.nth}-{task.ground}"
    if not saved.exists():
        stage.reset(task.scenario)
        disturbed(stage, task, SCENARIOS[task.scenario].command, task.inject())
        shutil.copytree(stage.home, saved, symlinks=True)
    restore(saved, stage.home)


def recovery_points(stage, task):
    """The changing calls of the recovery from the state after the kill."""
    broken_off(stage, task)
    recovery = prepared_again(stage, task) if task.rerun else REPAIR
    run = stage.traced(recovery, ground=task.ground)
    if run.code != 0:
        return []
    return points(run.trace)


def prepared_again(stage, task):
    return stage.prepared(task.scenario)["again"]


def after_a_crash(stage, task):
    """Recovery by the next mutating command or by `doctor --repair`, then everything that must hold."""
    # What follows depends on what is on disk alone: a state that was judged good needs no second judgement.
    key = (task.scenario, task.ground, task.rerun, state(stage.found()))
    if key not in stage.judged:
        stage.judged[key] = recovered(stage, task)
    return stage.judged[key]


def recovered(stage, task):
    verdict = ""
    if not task.rerun:
        repair(stage, task)
        verdict = whole(stage, task, "after the repair")
        # To look for something to repair it takes the lock, and writes into it who holds it.
        unchanged_by(stage, REPAIR, 0, but=(LOCK,))
    reach_new(stage, task, verdict)
    return verdict or "rerun"


def repair(stage, task):
    run = stage.run(REPAIR, task.ground)
    if run.code != 0:
        raise Broken(f"doctor --repair exits {run.code}: {run.said()}")


def whole(stage, task, when, settled=True, allowed=("old", "new", "old=new")):
    verdict = stage.prepared(task.scenario)["oracle"].verdict(stage.found(), settled, stage.log_whole)
    if verdict not in allowed:
        raise Broken(f"{when}: {verdict}")
    return verdict


def reach_new(stage, task, verdict):
    """The same command once more must reach the new tree, and once more again change nothing."""
    again = prepared_again(stage, task)
    run = stage.run(again, task.ground)
    gone = task.scenario == "uninstall"
    if run.code != 0 and not (gone and run.code in (1, 2) and verdict != "old"):
        raise Broken(f"the next {again[0]} exits {run.code}: {run.said()}")
    whole(stage, task, f"after the next {again[0]}", allowed=("new", "old=new"))
    if again[0] == "install":
        unchanged_by(stage, again, 0)


def unchanged_by(stage, arguments, code, but=()):
    before = stage.found()
    run = stage.run(arguments)
    if run.code != code:
        raise Broken(f"a second {arguments[0]} exits {run.code}: {run.said()}")
    after = stage.found()
    touched = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path) and path not in but]
    if touched:
        raise Broken(f"a second {arguments[0]} touches {sorted(touched)[:5]}")


def failed(stage, task):
    stage.reset(task.scenario)
    run = disturbed(stage, task, SCENARIOS[task.scenario].command, task.inject())
    if run.code in NEW_CODES:
        verdict = whole(stage, task, f"exit {run.code} after {task.errno}", settled=False, allowed=("new", "old=new"))
    elif run.code in OLD_CODES:
        verdict = whole(stage, task, f"exit {run.code} after {task.errno}", settled=False, allowed=("old", "old=new"))
    elif run.code == UNFINISHED:
        verdict = "unfinished"
    else:
        raise Broken(f"{task.errno}: exits {run.code}: {run.said()}")
    if run.code != 0 and not run.err.strip():
        raise Broken(f"{task.errno}: exits {run.code} without a word")
    after_a_crash(stage, task)
    return verdict


def signalled(stage, task):
    """Interrupted with its own exit code and the old tree, or finished with 0 and the new one."""
    stage.reset(task.scenario)
    run = disturbed(stage, task, SCENARIOS[task.scenario].command, task.inject())
    if run.code == 0:
        verdict = whole(stage, task, "exit 0 after the signal", settled=False, allowed=("new", "old=new"))
    elif run.code in (SIGNAL_CODES[task.errno], -{"SIGINT": 2, "SIGTERM": 15, "SIGHUP": 1}[task.errno]):
        repair(stage, task)
        verdict = whole(stage, task, f"{task.errno} and the repair")
    else:
        raise Broken(f"{task.errno}: exits {run.code}: {run.said()}")
    after_a_crash(stage, task)
    return verdict
