"""A run as a list of operations on a model of the disk, and the states that a power cut can leave of it.

Two models of what a cut may take. `ordered`: the file system keeps a journal, so of the names, links and modes a prefix survives,
at least up to the last sync; unsynced data survives file by file. `any`: each operation that no sync covers survives or not, on
its own. In both, what a sync covered is there. The model proves itself: all operations applied to the tree before give the tree
after, to the byte, or nothing is concluded.
"""

import os
import re
from dataclasses import dataclass, field

from tree import Entry

CALLS = (
    "?open,openat,?creat,write,pwrite64,writev,ftruncate,?chmod,fchmod,fchmodat,?mkdir,mkdirat,?link,linkat,?symlink,symlinkat,"
    "?rename,renameat,renameat2,?unlink,unlinkat,?rmdir,fsync,fdatasync,syncfs,copy_file_range,sendfile,lseek,dup,fcntl,close"
)
OPTIONS = ("-y", "-xx", "-s", "100000000")
LINE = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+|\?)(?:<([^>]*)>)?")
UNSUPPORTED = {"writev", "copy_file_range", "sendfile"}


@dataclass
class Inode:
    kind: str
    mode: int
    content: bytes = b""


@dataclass
class Operation:
    """One change: of names (with the directories it touches), of a mode, of data; or a sync of an inode or of everything."""

    what: str
    inode: int = -1
    paths: tuple = ()
    directories: tuple = ()
    value: object = None


@dataclass
class Disk:
    names: dict = field(default_factory=dict)
    inodes: dict = field(default_factory=dict)

    @classmethod
    def of(cls, entries):
        disk = cls()
        for number, (path, there) in enumerate(sorted(entries.items())):
            disk.names[path] = number
            disk.inodes[number] = Inode(there.kind, there.mode, there.content)
        return disk

    def entries(self):
        inodes = ((path, self.inodes[number]) for path, number in self.names.items())
        return {path: Entry(i.kind, i.mode, i.content, 0) for path, i in inodes}

    def there(self, path):
        parent = os.path.dirname(path)
        return not parent or self.names.get(parent) is not None

    def apply(self, operation):
        """Carries it out; what rests on something that the cut took away does nothing."""
        getattr(self, operation.what)(operation)

    def create(self, op):
        kind, mode, content = op.value
        if self.there(op.paths[0]) and op.paths[0] not in self.names:
            self.inodes.setdefault(op.inode, Inode(kind, mode, content))
            self.names[op.paths[0]] = op.inode

    def link(self, op):
        if op.inode in self.inodes and self.there(op.paths[0]) and op.paths[0] not in self.names:
            self.names[op.paths[0]] = op.inode

    def unlink(self, op):
        self.names.pop(op.paths[0], None)

    def rmdir(self, op):
        if not any(path.startswith(op.paths[0] + "/") for path in self.names):
            self.names.pop(op.paths[0], None)

    def rename(self, op):
        source, target = op.paths
        if source in self.names and self.there(target):
            self.names[target] = self.names.pop(source)

    def exchange(self, op):
        one, other = op.paths
        if one in self.names and other in self.names:
            self.names[one], self.names[other] = self.names[other], self.names[one]

    def mode(self, op):
        if op.inode in self.inodes:
            self.inodes[op.inode].mode = op.value

    def write(self, op):
        if op.inode in self.inodes:
            offset, data = op.value
            there = self.inodes[op.inode]
            # In place: a download is hundreds of writes to one file.
            if not isinstance(there.content, bytearray):
                there.content = bytearray(there.content)
            there.content.extend(bytes(max(0, offset - len(there.content))))
            there.content[offset : offset + len(data)] = data

    def truncate(self, op):
        if op.inode in self.inodes:
            self.inodes[op.inode].content = self.inodes[op.inode].content[: op.value].ljust(op.value, b"\0")


NAMES = {"create", "link", "unlink", "rmdir", "rename", "exchange"}
DATA = {"write", "truncate"}


class Recorder:
    """Reads a trace line by line into operations, keeping the tree as it goes."""

    def __init__(self, home, entries):
        self.home, self.disk, self.operations = str(home), Disk.of(entries), []
        self.descriptors, self.next_inode = {}, len(entries)

    def record(self, trace):
        for line in trace:
            match = LINE.match(line)
            if match and match.group(3) not in ("?", "-1") and not match.group(3).startswith("-"):
                self.call(match.group(1), split(match.group(2)), int(match.group(3)), plain(match.group(4) or ""))
        return self.operations

    def add(self, operation):
        self.operations.append(operation)
        if not operation.what.startswith("sync"):
            self.disk.apply(operation)

    def inside(self, path):
        path = os.path.normpath(path)
        return os.path.relpath(path, self.home) if path.startswith(self.home + "/") else None

    def at(self, directory, name):
        """The path that a pair of directory descriptor and name means, below the home, or None."""
        return self.inside(os.path.join(shown_path(directory) or "/", text(name)))

    def call(self, name, words, result, shown):
        if name in UNSUPPORTED and self.inode_of(words[0]) is not None:
            raise SystemExit(f"the replay does not know {name}")
        getattr(self, f"on_{name}", lambda *_: None)(words, result, shown)

    def inode_of(self, word):
        number = int(re.match(r"\d+", word).group())
        held = self.descriptors.get(number)
        return held[0] if held else None

    def on_openat(self, words, result, shown):
        path = self.inside(shown)
        if path is None:
            self.descriptors.pop(result, None)
            return
        flags = words[2]
        if path not in self.disk.names and "O_CREAT" in flags:
            mode = int(words[3], 8) & ~0o022
            self.name("create", (path,), self.fresh(), ("file", mode, b""))
        inode = self.disk.names.get(path)
        if "O_TRUNC" in flags and self.disk.inodes[inode].content:
            self.add(Operation("truncate", inode, value=0))
        self.descriptors[result] = [inode, 0, "O_APPEND" in flags]

    def on_open(self, words, result, shown):
        self.on_openat(["", *words], result, shown)

    def on_close(self, words, result, shown):
        self.descriptors.pop(int(re.match(r"\d+", words[0]).group()), None)

    def on_lseek(self, words, result, shown):
        held = self.descriptors.get(int(re.match(r"\d+", words[0]).group()))
        if held:
            held[1] = result

    def on_write(self, words, result, shown):
        held = self.descriptors.get(int(re.match(r"\d+", words[0]).group()))
        if held:
            if held[2]:
                held[1] = len(self.disk.inodes[held[0]].content)
            self.add(Operation("write", held[0], value=(held[1], raw(words[1])[:result])))
            held[1] += result

    def on_pwrite64(self, words, result, shown):
        inode = self.inode_of(words[0])
        if inode is not None:
            self.add(Operation("write", inode, value=(int(words[3]), raw(words[1])[:result])))

    def on_ftruncate(self, words, result, shown):
        inode = self.inode_of(words[0])
        if inode is not None and len(self.disk.inodes[inode].content) != int(words[1]):
            self.add(Operation("truncate", inode, value=int(words[1])))

    def on_fchmod(self, words, result, shown):
        inode = self.inode_of(words[0])
        if inode is not None:
            self.add(Operation("mode", inode, value=int(words[1], 8)))

    def on_fchmodat(self, words, result, shown):
        self.chmod(self.at(words[0], words[1]), words[2])

    def on_chmod(self, words, result, shown):
        self.chmod(self.at("", words[0]), words[1])

    def chmod(self, path, mode):
        if path in self.disk.names:
            self.add(Operation("mode", self.disk.names[path], value=int(mode, 8)))

    def on_mkdirat(self, words, result, shown):
        path = self.at(words[0], words[1])
        if path:
            self.name("create", (path,), self.fresh(), ("dir", int(words[2], 8) & ~0o022, b""))

    def on_mkdir(self, words, result, shown):
        self.on_mkdirat(["", *words], result, shown)

    def on_symlinkat(self, words, result, shown):
        path = self.at(words[1], words[2])
        if path:
            self.name("create", (path,), self.fresh(), ("link", 0, raw(words[0])))

    def on_symlink(self, words, result, shown):
        self.on_symlinkat([words[0], "", words[1]], result, shown)

    def on_linkat(self, words, result, shown):
        source, target = self.at(words[0], words[1]), self.at(words[2], words[3])
        if target:
            self.name("link", (target,), self.disk.names[source])

    def on_link(self, words, result, shown):
        self.on_linkat(["", words[0], "", words[1]], result, shown)

    def on_renameat2(self, words, result, shown):
        paths = (self.at(words[0], words[1]), self.at(words[2], words[3]))
        if None in paths:
            return
        if len(words) > 4 and "RENAME_EXCHANGE" in words[4]:
            self.name("exchange", paths)
        elif self.disk.names.get(paths[0]) != self.disk.names.get(paths[1]):
            self.name("rename", paths)

    on_renameat = on_renameat2

    def on_rename(self, words, result, shown):
        self.on_renameat2(["", words[0], "", words[1]], result, shown)

    def on_unlinkat(self, words, result, shown):
        path = self.at(words[0], words[1])
        if path:
            self.name("rmdir" if "AT_REMOVEDIR" in words[2] else "unlink", (path,))

    def on_unlink(self, words, result, shown):
        self.on_unlinkat(["", words[0], ""], result, shown)

    def on_rmdir(self, words, result, shown):
        self.on_unlinkat(["", words[0], "AT_REMOVEDIR"], result, shown)

    def on_fsync(self, words, result, shown):
        path = shown_path(words[0])
        inode = self.inode_of(words[0])
        inside = self.inside(path) if path else None
        if inside in self.disk.names and self.disk.inodes[self.disk.names[inside]].kind == "dir":
            self.operations.append(Operation("sync", self.disk.names[inside], paths=(inside,)))
        elif inode is not None:
            self.operations.append(Operation("sync", inode))
        elif path == self.home:
            self.operations.append(Operation("sync", paths=("",)))

    on_fdatasync = on_fsync

    def on_syncfs(self, words, result, shown):
        self.operations.append(Operation("sync-all"))

    def fresh(self):
        self.next_inode += 1
        return self.next_inode

    def name(self, what, paths, inode=-1, value=None):
        self.add(Operation(what, inode, paths, tuple({os.path.dirname(path) for path in paths}), value))


def split(arguments):
    """The arguments of a call: no text holds a comma, because every text is in hexadecimal; a descriptor's path may."""
    return [word.strip() for word in re.split(r", (?![^<]*>)", arguments)]


def shown_path(word):
    """What strace shows a descriptor to be."""
    path = re.search(r"<(.*)>", word)
    return plain(path.group(1)) if path else None


def plain(shown):
    return raw(shown).decode() if shown.startswith("\\x") else shown


def raw(word):
    return bytes.fromhex(word.strip('".').replace("\\x", ""))


def text(word):
    return raw(word).decode()


def durable(operations):
    """For each operation whether a sync among them covers it, in the `any` model."""
    synced, everything, kept = set(), False, [False] * len(operations)
    for n in range(len(operations) - 1, -1, -1):
        op = operations[n]
        if op.what == "sync-all":
            everything = True
        elif op.what == "sync":
            synced |= {op.inode, *(("dir", path) for path in op.paths)}
        elif op.what in NAMES:
            kept[n] = everything or any(("dir", directory) in synced for directory in op.directories)
        else:
            kept[n] = everything or op.inode in synced
    return kept


def survivors(operations, model, chance):
    """The operations that this power cut leaves of those that were made, by the model."""
    kept = durable(operations)
    lost_share = chance.choice((0.1, 0.5, 0.9, 1.0))
    if model == "ordered":
        last_sync = max((n for n, op in enumerate(operations) if op.what.startswith("sync")), default=-1)
        limit = chance.randint(last_sync, len(operations))
        alive = [(n < limit or kept[n]) if op.what not in DATA else kept[n] for n, op in enumerate(operations)]
    else:
        alive = [kept[n] or chance.random() > lost_share for n, op in enumerate(operations)]
    fates = {}
    for n, op in enumerate(operations):
        if op.what.startswith("sync"):
            continue
        if op.what not in DATA or kept[n]:
            if alive[n]:
                yield op
            continue
        # Data that no sync covers: all of it, none of it, half of it, or only its length.
        fate = fates.setdefault(op.inode, chance.choice(("all", "none", "half", "zeros")))
        if fate == "all" or op.what == "truncate" and fate != "none":
            yield op
        elif op.what == "write" and fate in ("half", "zeros"):
            offset, data = op.value
            data = data[: len(data) // 2] if fate == "half" else bytes(len(data))
            yield Operation("write", op.inode, value=(offset, data))


def after_the_cut(entries, operations, made, model, chance):
    """The tree that a cut after the first `made` operations leaves."""
    disk = Disk.of(entries)
    for operation in survivors(operations[:made], model, chance):
        disk.apply(operation)
    return {path: there for path, there in disk.entries().items() if whole_path(disk, path)}


def whole_path(disk, path):
    parent = os.path.dirname(path)
    while parent:
        if parent not in disk.names:
            return False
        parent = os.path.dirname(parent)
    return True
