"""A home directory as a value, and the verdict over it: exactly the old tree, exactly the new tree, or broken.

Compared: every path below the home, its kind, its mode and its content. Not compared, but checked on their own, is the
bookkeeping that a run which failed may leave: the log, the backups, base copies, the lock and the directories around them.
Anything else that is in neither tree is a stray.
"""

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import tarfile
from dataclasses import dataclass

GATEWAY = ".claude/gateway"
RECORD = f"{GATEWAY}/deployment-manifest.json"
LOG = f"{GATEWAY}/deployment.log"
LOCK = f"{GATEWAY}/.gwinstall/lock"
COPIES = f"{GATEWAY}/.gwinstall/pristine.tar"
BOOKKEEPING = re.compile(
    rf"^(?:\.claude|\.local|\.local/state|\.local/state/gwinstall|{re.escape(GATEWAY)}"
    rf"(?:/deployment\.log|/backups|/backups/gateway-backup-\d{{8}}-\d{{6}}(?:-\d+)?\.tar\.gz|/backups/metadata\.json"
    r"|/\.gwinstall|/\.gwinstall/lock|/\.gwinstall/settings-before\.json|/\.gwinstall/txn"
    r"|/\.gwinstall/pristine\.tar)?)$"
)
# What a run in flight may hold, and what a run that could not clean up may leave to the next one.
IN_FLIGHT = re.compile(
    rf"^{re.escape(GATEWAY)}/\.gwinstall(?:/|$)|\.gwinstall-[0-9A-Za-z-]+(?:\.old)?$|^{re.escape(GATEWAY)}/backups/"
)


@dataclass(frozen=True)
class Entry:
    kind: str
    mode: int
    content: bytes
    mtime: int

    def same(self, other):
        return other is not None and (self.kind, self.mode, self.content) == (other.kind, other.mode, other.content)


def snapshot(home):
    """Every path below `home`, relative, with what is there."""
    entries = {}
    for directory, names, files in os.walk(home):
        for name in names + files:
            path = os.path.join(directory, name)
            entries[os.path.relpath(path, home)] = entry(path)
    return entries


def entry(path):
    status = os.lstat(path)
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return Entry("link", 0, os.readlink(path).encode(), status.st_mtime_ns)
    if stat.S_ISDIR(status.st_mode):
        return Entry("dir", mode, b"", status.st_mtime_ns)
    with open(path, "rb") as file:
        return Entry("file", mode, file.read(), status.st_mtime_ns)


# What differs between two runs that leave the same state: moments, ids and the process.
RUN_FACTS = re.compile(rb"\d{8}-\d{6}(?:-\d+)*|\d{4}-\d\d-\d\dT[0-9:.]+Z|\"pid\": ?\d+|\"started\": ?\d+")


def state(entries):
    """A hash of everything that the next run can build on. The log and the holder in the lock are for people."""
    digest = hashlib.sha256()
    for path in sorted(entries):
        there = entries[path]
        content = b"" if path in (LOG, LOCK) else RUN_FACTS.sub(b"-", there.content)
        digest.update(b"%s\0%s\0%o\0%d\0" % (
            RUN_FACTS.sub(b"-", path.encode()), there.kind.encode(), there.mode, len(content)
        ))
        digest.update(content)
    return digest.digest()


def restore(saved, home):
    """Makes `home` a copy of `saved`, with modes, times and links."""
    shutil.rmtree(home, ignore_errors=True)
    subprocess.run(["cp", "-a", str(saved), str(home)], check=True)


def materialise(entries, home):
    """Writes a snapshot to disk."""
    shutil.rmtree(home, ignore_errors=True)
    os.makedirs(home)
    for path in sorted(entries):
        there, at = entries[path], os.path.join(home, path)
        if there.kind == "dir":
            os.makedirs(at, exist_ok=True)
        elif there.kind == "link":
            os.symlink(there.content, at)
        else:
            with open(at, "wb") as file:
                file.write(there.content)
    for path in sorted(entries, reverse=True):
        if entries[path].kind != "link":
            os.chmod(os.path.join(home, path), entries[path].mode)


class Oracle:
    """Knows the tree before and the tree after one scenario, and what differs between two runs of it (times, ids)."""

    def __init__(self, old, new, new_again):
        self.old, self.new = old, new
        self.volatile = volatile(record(new), record(new_again))
        unstable = [p for p in new.keys() | new_again.keys() if not self.matches(p, new_again.get(p), new)]
        unstable = [p for p in unstable if not BOOKKEEPING.match(p)]
        if unstable:
            raise SystemExit(f"two runs of the same command from the same state differ: {unstable}")

    def matches(self, path, found, reference):
        wanted = reference.get(path)
        if found is None or wanted is None:
            return found is wanted
        if wanted.same(found):
            return True
        if path != RECORD or reference is not self.new or found.mode != wanted.mode:
            return False
        return masked(record_of(found), self.volatile) == masked(record_of(wanted), self.volatile)

    def verdict(self, found, settled=True, log_whole=True):
        """`old`, `new`, `old=new` or a description of what is wrong. Not `settled`: leftovers in flight are overlooked."""
        faults = {}
        for name, reference in (("old", self.old), ("new", self.new)):
            faults[name] = self.differences(found, reference, settled, log_whole)
        good = "=".join(name for name in ("old", "new") if not faults[name])
        if good:
            return good
        nearest = min(faults, key=lambda name: len(faults[name]))
        return f"neither; nearest is {nearest}: " + "; ".join(faults[nearest][:6])

    def differences(self, found, reference, settled, log_whole):
        wrong = []
        for path in sorted(found.keys() | reference.keys()):
            if BOOKKEEPING.match(path) or (not settled and IN_FLIGHT.search(path)):
                if path in reference and path not in found and reference[path].kind == "dir":
                    wrong.append(f"{path} is gone")
                continue
            if not settled and path not in reference and empty_directory(path, found):
                continue  # the kernel refused to remove it; the next run does
            if not self.matches(path, found.get(path), reference):
                wrong.append(difference(path, found.get(path), reference.get(path)))
        return wrong + (bookkeeping_faults(found, log_whole) if settled else [])


def empty_directory(path, found):
    """Whether there is no file at or below the path."""
    return not any(there.kind != "dir" and (at == path or at.startswith(path + "/")) for at, there in found.items())


def difference(path, found, wanted):
    if wanted is None:
        return f"{path} is stray"
    if found is None:
        return f"{path} is missing"
    if found.content != wanted.content:
        return f"{path} has other content ({len(found.content)} bytes, {len(wanted.content)} expected)"
    return f"{path} has mode {found.mode:o}, {wanted.mode:o} expected"


def bookkeeping_faults(found, log_whole):
    """What is wrong with log, backups and base copies, whatever the tree."""
    wrong = []
    log = found.get(LOG)
    if log_whole and log and log.content:
        if not log.content.endswith(b"\n"):
            wrong.append(f"{LOG} ends in the middle of a line")
        wrong += [f"{LOG}:{n} is not JSON" for n, line in enumerate(log.content.splitlines(), 1) if not is_json(line)]
    archives = {os.path.basename(p) for p in found if p.startswith(f"{GATEWAY}/backups/") and p.endswith(".tar.gz")}
    metadata = found.get(f"{GATEWAY}/backups/metadata.json")
    if metadata and not is_json(metadata.content):
        wrong.append("backups/metadata.json is not JSON")
    for name in archives:
        if not is_archive(found[f"{GATEWAY}/backups/{name}"].content):
            wrong.append(f"backups/{name} is not a whole archive")
    copies = found.get(COPIES)
    return wrong + (base_copy_faults(copies.content) if copies else [])


def base_copy_faults(content):
    """What is wrong with the archive of base copies: each lies under its hash, and none is missing that the archive names."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            members = [(member.name, archive.extractfile(member).read()) for member in archive]
    except (tarfile.TarError, EOFError) as error:
        return [f"{COPIES} is not a whole archive: {error}"]
    return [f"{COPIES}: {name} has other content" for name, there in members if hashlib.sha256(there).hexdigest() != name]


def is_json(content):
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def is_archive(content):
    try:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as archive:
            return len(archive.getmembers()) > 0
    except (OSError, EOFError, tarfile.TarError):
        return False


def record(entries):
    return record_of(entries.get(RECORD))


def record_of(there):
    try:
        return json.loads(there.content) if there else None
    except ValueError:
        return None


def volatile(one, other, at=()):
    """Places where two records differ: what a clock or an id put there."""
    if isinstance(one, dict) and isinstance(other, dict):
        places = {at + (k,) for k in one.keys() ^ other.keys()}
        return places.union(*[volatile(one[k], other[k], at + (k,)) for k in one.keys() & other.keys()], set())
    return set() if one == other else {at}


def masked(value, places, at=()):
    """The value without those places."""
    if isinstance(value, dict):
        return {k: masked(v, places, at + (k,)) for k, v in value.items() if at + (k,) not in places}
    return value
