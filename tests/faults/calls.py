"""System calls of a run, seen and disturbed through strace: which ones change something, and what happens at each of them.

Facts this rests on: a signal injected by strace arrives at the entry of the call, which is then not executed; `when=N` counts
per name of a call; a call outside the trace set is never disturbed, without a word. So every disturbed run is checked for
having been disturbed.
"""

import re
import subprocess
from dataclasses import dataclass

# Calls that change a file system; a `?` lets strace accept those that an architecture does not have.
CHANGING = (
    "?open,openat,?openat2,?creat,write,pwrite64,writev,pwritev,ftruncate,?truncate,?chmod,fchmod,fchmodat,?fchmodat2,?mkdir,mkdirat,"
    "?link,linkat,?symlink,symlinkat,?rename,renameat,renameat2,?unlink,unlinkat,?rmdir,fsync,fdatasync,syncfs,"
    "sync_file_range,copy_file_range,sendfile,splice,utimensat,fallocate,?chown,fchown,fchownat,setxattr,fsetxattr,mknodat"
)
OPENS = {"open", "openat", "openat2", "creat"}
WRITES = {"write", "writev", "pwrite64", "pwritev", "sendfile", "splice"}
OPENED_TO_WRITE = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_TMPFILE")
# With -y a descriptor is shown with what it is: a terminal, a pipe and a device are talk, not state.
TALK = re.compile(r"^\w+\(\d+<(?:/dev/|pipe:|socket:|anon_inode:|TCP|UNIX)")
DEVICE = re.compile(r'^\w+\((?:AT_FDCWD[^,]*, )?"/dev/(?:null|tty|full)"')
LINE = re.compile(r"^(\d+ +)?(\w+)\(")


@dataclass(frozen=True, order=True)
class Point:
    """The `nth` call of this name in a run."""

    name: str
    nth: int

    def __str__(self):
        return f"{self.name}:when={self.nth}"


@dataclass
class Run:
    code: int
    out: str
    err: str
    trace: list

    def disturbed(self, name):
        """Whether the injection into the call `name` happened."""
        injected = re.compile(rf"^(?:\d+ +)?{name}\(.*\(INJECTED\)")
        signalled = re.compile(r"^(?:\d+ +)?(?:\+\+\+ killed|--- SIG)")
        return self.code in (-9, 137) or any(injected.match(line) or signalled.match(line) for line in self.trace)

    def said(self):
        return (self.out + self.err).strip()[-800:]


def plain(argv, env, cwd, stdin=subprocess.DEVNULL, timeout=60):
    done = subprocess.run(argv, env=env, cwd=cwd, stdin=stdin, capture_output=True, timeout=timeout)
    return Run(done.returncode, done.stdout.decode("utf8", "replace"), done.stderr.decode("utf8", "replace"), [])


def traced(argv, env, cwd, trace_file, inject=(), calls=CHANGING, options=("-y",), enter=(), timeout=90):
    """Runs under strace; `inject` holds expressions such as `fsync:error=EIO:when=3`; `enter` is put in front."""
    command = [*enter, "strace", "-f", "-qq", *options, "-o", str(trace_file), "-e", f"trace={calls}"]
    for expression in inject:
        command += ["-e", f"inject={expression}"]
    run = plain(command + ["--"] + list(argv), env, cwd, timeout=timeout)
    with open(trace_file, encoding="utf8", errors="replace") as lines:
        run.trace = lines.read().splitlines()
    return run


def points(trace):
    """Every call in the trace that changes state, in order. A call that strace saw in two halves counts once."""
    seen, found = {}, []
    for line in trace:
        match = LINE.match(line)
        if not match or "resumed>" in line:
            continue
        thread, name = match.group(1), match.group(2)
        nth = seen[thread, name] = seen.get((thread, name), 0) + 1
        if changes(name, line[len(thread or "") :]):
            found.append(Point(name, nth))
    return found


def changes(name, call):
    """Whether this call changes a file: reading, and talking to a pipe or a terminal, does not."""
    if name in OPENS:
        return not DEVICE.search(call) and (name == "creat" or bool(OPENED_TO_WRITE.search(call)))
    return not (name in WRITES and TALK.match(call))
