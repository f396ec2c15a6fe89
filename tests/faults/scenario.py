"""The changes that a deployment goes through, each with the state before it and the command that makes it.

A stage is one directory with one home in it. Everything that a command may write lies below that home, at the same path in every
run, so that trees can be compared to the byte.
"""

import os
import shutil
import time
from pathlib import Path

from calls import plain, points, traced
from tree import Oracle, restore, snapshot

# The grounds a run can stand on beside an ordinary file system: one where renameat2 knows no flags and nothing can be flushed
# as a whole, as on NFS, 9p and many FUSE systems; and a settings.json that is a mount point of its own, as in containers, which no rename can replace.
OLD_FS, BIND_MOUNT = "old-fs", "bind-mount"
OLD_FILE_SYSTEM = ("renameat2:error=EINVAL", "syncfs:error=ENOSYS")
REFUSED_THERE = {"renameat2", "syncfs"}
NAMESPACE = ("unshare", "--mount", "--propagation", "private") + (() if os.geteuid() == 0 else ("--map-root-user",))
BIND_SETTINGS = 'mount --bind "$HOME/.claude/settings.json" "$HOME/.claude/settings.json" && exec "$@"'

MASTER_KEY = "sk-" + "5eed" * 16
SETTINGS = '{\n  // mine\n  "theme": "dark",\n  "env": { "EDITOR": "vi" }\n}\n'


def own_directory(parent, number, name):
    """A directory for this worker process; `number` is shared by all of them. The paths are equally long."""
    with number.get_lock():
        number.value += 1
        own = number.value
    directory = Path(parent) / f"{name}-{own:02}"
    directory.mkdir()
    return directory


class Scenario:
    """`before` prepares the old tree; `command` is disturbed; `again` reaches the new tree from either."""

    def __init__(self, name, before, command, again=None, prepare=None):
        self.name, self.before, self.command, self.prepare = name, before, command, prepare
        self.again = again or command


def user_files(home):
    """What a person has before we come: settings with a comment, and files of theirs, one of them inside our directory."""
    gateway = home / ".claude" / "gateway"
    gateway.mkdir(parents=True)
    gateway.chmod(0o700)
    (home / ".claude" / "settings.json").write_text(SETTINGS)
    (home / ".claude" / "CLAUDE.md").write_text("# notes\n")
    (gateway / "notes.txt").write_text("mine\n")


INSTALL = ["install", "--preset", "basic", "--on", "--yes"]
MODELS = ["install", "--models", "gemini-2.5-flash,deepseek-r1", "--on", "--yes"]
PROXY = ["install", "--preset", "proxy", "--proxy-url", "http://proxy.example:3128", "--on", "--yes"]
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("install", [], INSTALL),
        Scenario("adopt", [], INSTALL, prepare=user_files),
        Scenario("models", [INSTALL], MODELS, prepare=user_files),
        Scenario("preset", [INSTALL], PROXY, prepare=user_files),
        Scenario("use", [INSTALL], ["use", "deepseek"], prepare=user_files),
        Scenario("rollback", [INSTALL, MODELS], ["rollback", "--yes"], prepare=user_files),
        Scenario("uninstall", [INSTALL], ["uninstall", "--yes"], prepare=user_files),
    )
}


class Stage:
    """One home, the trees of every scenario in it, and the runs that disturb them."""

    def __init__(self, binary, directory):
        self.binary, self.directory = binary, Path(directory)
        self.home = self.directory / "home"
        self.trace_file = self.directory / "trace"
        self.ready = {}
        # Verdicts over states that recovery has been tried from.
        self.judged = {}
        # The log is appended in one write and never synced: only a power cut may tear its last line.
        self.log_whole = True
        self.env = {
            "HOME": str(self.home),
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "LITELLM_MASTER_KEY": MASTER_KEY,
            "VERTEXAI_PROJECT": "example-project",
            "VERTEXAI_LOCATION": "us-central1",
            "DEEPSEEK_API_KEY": "sk-" + "5eed" * 8,
        }

    def run(self, arguments, ground=""):
        if ground:
            return self.traced(arguments, ground=ground)
        return plain([self.binary, *arguments], self.env, self.directory)

    def traced(self, arguments, inject=(), ground="", **options):
        command, enter = [self.binary, *arguments], ()
        if ground == BIND_MOUNT:
            enter = (*NAMESPACE, "sh", "-c", BIND_SETTINGS, "sh")
        elif ground == OLD_FS:
            inject = (*OLD_FILE_SYSTEM, *inject)
        return traced(command, self.env, self.directory, self.trace_file, inject, enter=enter, **options)

    def must(self, arguments):
        run = self.run(arguments)
        if run.code != 0:
            raise SystemExit(f"gwinstall {' '.join(arguments)} exits {run.code}: {run.said()}")
        return run

    def found(self):
        return snapshot(self.home)

    def reset(self, name):
        """Back to the old tree of the scenario."""
        restore(self.prepared(name)["saved"], self.home)

    def prepared(self, name):
        if name not in self.ready:
            self.ready[name] = self.prepare(SCENARIOS[name])
        return self.ready[name]

    def prepare(self, scenario):
        saved = self.directory / f"old-{scenario.name}"
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        if scenario.prepare:
            scenario.prepare(self.home)
        for arguments in scenario.before:
            self.must(arguments)
        again = list(scenario.again)
        if scenario.name == "rollback":
            again += [self.rollback_target()]
        shutil.rmtree(saved, ignore_errors=True)
        os.rename(self.home, saved)
        restore(saved, self.home)
        old = self.found()
        self.must(scenario.command)
        new = self.found()
        # A second later: what differs then is what the clock or a generated id put there.
        time.sleep(1.1)
        restore(saved, self.home)
        self.must(scenario.command)
        return {"saved": saved, "again": again, "oracle": Oracle(old, new, self.found())}

    def rollback_target(self):
        """The archive that a plain rollback goes to here: the only one."""
        archives = sorted((self.home / ".claude/gateway/backups").glob("*.tar.gz"))
        if len(archives) != 1:
            raise SystemExit(f"one backup expected before the rollback, found {[a.name for a in archives]}")
        return archives[0].name

    def points_of(self, name, ground=""):
        """Every changing call of the undisturbed command that can be disturbed there."""
        self.reset(name)
        run = self.traced(SCENARIOS[name].command, ground=ground)
        if run.code != 0:
            raise SystemExit(f"{name} {ground} exits {run.code} under strace: {run.said()}")
        return [point for point in points(run.trace) if ground != OLD_FS or point.name not in REFUSED_THERE]


def mounts_possible():
    """Whether a mount of our own can be made here."""
    return shutil.which("unshare") is not None and plain([*NAMESPACE, "true"], dict(os.environ), "/").code == 0


def stage_directory():
    """Memory if there is some: the trees are written thousands of times."""
    shared = Path("/dev/shm")
    if os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 512 << 20:
        return str(shared)
    return None
