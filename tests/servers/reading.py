"""What every check of rendered files needs: a copy with its examples filled in, the YAML in it, and a program's word on it."""
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools import PATH

# PyYAML takes the last of two equal keys; the engines refuse them or take another one.
LOADER = """
import json, sys, yaml
class Once(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        names = [self.construct_object(key) for key, _ in node.value]
        twice = {str(name) for name in names if names.count(name) > 1}
        if twice:
            raise yaml.YAMLError(f"written twice: {', '.join(sorted(twice))}")
        return super().construct_mapping(node, deep)
for tag in ("!Ref", "!Sub", "!GetAtt", "!Join", "!If", "!Equals", "!Not", "!ImportValue", "!reference", "!vault"):
    Once.add_constructor(tag, lambda loader, node: getattr(node, "value", None) and str(node.value))
found = {}
for path in sys.argv[1:]:
    try:
        found[path] = {"documents": list(yaml.load_all(open(path, encoding="utf-8"), Once))}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        found[path] = {"error": " ".join(str(error).split())}
json.dump(found, sys.stdout, default=str)
"""
# A value that fits wherever a secret, an address or a number may stand; a port or a budget has to be a number.
FILLED = "sk-0123456789abcdef"
GOOGLE = "google-credentials.json"


def run(command, seconds=300, **more):
    """(status, what it said) of a program in an environment that says nothing about this machine."""
    environment = {"PATH": PATH, "HOME": more.pop("home", "/nonexistent"), "LC_ALL": "C.UTF-8", "NO_COLOR": "1", **more.pop("env", {})}
    try:
        done = subprocess.run(
            [str(word) for word in command], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=seconds, text=True, errors="replace", **more,
        )
    except subprocess.TimeoutExpired:
        return 124, "", f"took over {seconds} s"
    return done.returncode, done.stdout, done.stderr


def judged(where, command, accepts=(0,), silent=False, **more):
    """The findings of one program on one file: none when its status is good and, where asked, it wrote no complaint."""
    status, said, complaint = run(command, **more)
    if status in accepts and not (silent and complaint.strip()):
        return []
    text = (complaint if silent or complaint.strip() else said).strip() or said.strip()
    return [f"{where}: {Path(str(command[0])).name}: " + " | ".join(text.splitlines()[:6])]


REFUSED = set()


def refused(where, why, command, **more):
    """The finding when a program accepts a copy that was broken on purpose: then it proves nothing about the good one. What a
    program has refused once in a run is not tried again."""
    tried = (why, *(word for word in map(str, command) if "/" not in word or word == str(command[0])))
    if tried in REFUSED:
        return []
    status, _, _ = run(command, **more)
    if status:
        REFUSED.add(tried)
        return []
    return [f"{where}: {Path(str(command[0])).name} accepts a copy with {why}"]


@contextlib.contextmanager
def filled_copy(directory):
    """A copy in which every example of a file for secrets stands under its own name, with values."""
    with tempfile.TemporaryDirectory(prefix="gwinstall-servers-") as scratch:
        copy = Path(scratch) / "copy"
        shutil.copytree(directory, copy, symlinks=True)
        for example in sorted(copy.rglob("*.example")):
            wanted = example.with_suffix("")
            if not wanted.exists():
                wanted.write_text(filled(example.read_text()))
        for listing in sorted(copy.rglob("kustomization.yaml")):
            # A key file has no example: kustomize only wants it to be there.
            if GOOGLE in listing.read_text():
                (listing.parent / GOOGLE).write_text("{}\n")
        yield copy


def filled(example):
    """An example of a .env file with a value behind every name that has none; a commented assignment stays a comment."""
    return re.sub(r"(?m)^([A-Za-z_][A-Za-z0-9_]*)=(?:change-?me\S*|CHANGE-?ME\S*)?[ \t]*$", rf"\1={FILLED}", example)


def files(directory, *patterns):
    """The files below a directory, without what render keeps for itself."""
    found = {path for pattern in patterns for path in Path(directory).rglob(pattern) if path.is_file()}
    return sorted(path for path in found if ".gwinstall" not in path.relative_to(directory).parts)


def yaml_files(directory):
    return [path for path in files(directory, "*.yaml", "*.yml") if "templates" not in path.parts]


def documents(paths, tools):
    """{path: its YAML documents} and the findings about files that are not YAML."""
    paths = [str(path) for path in paths]
    python = tools.find("python") if paths else None
    if not python:
        return {}, []
    status, said, complaint = run([python, "-c", LOADER, *paths])
    if status:
        raise RuntimeError(f"the reader of YAML failed: {complaint}")
    found = json.loads(said)
    good = {Path(path): [each for each in entry["documents"] if each is not None] for path, entry in found.items() if "error" not in entry}
    return good, [f"{Path(path).name}: {entry['error']}" for path, entry in found.items() if "error" in entry]


def replaced(path, documents_):
    """Writes changed documents over a YAML file: JSON is YAML, and several stand behind markers."""
    Path(path).write_text("".join(f"---\n{json.dumps(document)}\n" for document in documents_))


def walk(value, path=()):
    """Every value in a document with the keys that lead to it."""
    yield path, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from walk(child, (*path, key))


def strict_json(text):
    """JSON in which no name stands twice."""

    def once(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"written twice: {', '.join(twice)}")
        return dict(pairs)

    return json.loads(text, object_pairs_hook=once)


def shell_scripts(directory):
    for path in files(directory, "*"):
        with open(path, "rb") as file:
            first = file.read(64).split(b"\n")[0]
        if path.suffix == ".sh" or re.match(rb"#! ?/(usr/)?bin/(env )?(ba|da)?sh", first):
            yield path


def check_every_file(directory, tools):
    """What holds for each file of every target, whatever reads it."""
    findings = []
    paths = yaml_files(directory)
    findings += documents(paths, tools)[1]
    if paths and (yamllint := tools.find("yamllint")):
        rules = "{extends: relaxed, rules: {line-length: disable}}"
        findings += judged(Path(directory).name, [yamllint, "--strict", "-f", "parsable", "-d", rules, *paths])
    for path in files(directory, "*.json"):
        try:
            strict_json(path.read_text())
        except ValueError as error:
            findings.append(f"{path.name}: {error}")
    scripts = list(shell_scripts(directory))
    if scripts and (shellcheck := tools.find("shellcheck")):
        findings += judged(Path(directory).name, [shellcheck, "-f", "gcc", "-S", "style", *scripts])
    for path in scripts:
        if not os.access(path, os.X_OK) and path.read_bytes().startswith(b"#!"):
            findings.append(f"{path.name}: begins with #! and cannot be executed")
    return findings
