#!/usr/bin/env python3
"""How many functions of src/ the Rust tests enter; fails under 80 %.

    tests/coverage.py [SUITE…]      all suites, or some of them: lib cli verbs format …

Needs the component llvm-tools of rustup. Everything it builds is below CARGO_TARGET_DIR/cov, which may be deleted afterwards. It
judges no test: the sections unit and cli of tests/run do.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "cov"
NEEDED = 80
# Where an instrumented program writes its counters unless its environment says otherwise.
DEFAULT = b"default_%m_%p.profraw"


def output(*command, **more):
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, **more).stdout


def tool(name):
    sysroot = Path(output("rustc", "--print", "sysroot").strip())
    found = list(sysroot.glob(f"lib/rustlib/*/bin/{name}"))
    if not found:
        sys.exit(f"tests/coverage.py: {name} is not installed\n  try: rustup component add llvm-tools")
    return found[0]


def built():
    """{suite: its executable}, and the program, with counters in the code of this workspace alone."""
    TARGET.mkdir(parents=True, exist_ok=True)
    wrapper = TARGET / "rustc"
    wrapper.write_text('#!/bin/sh\nexec "$@" -C instrument-coverage\n')
    wrapper.chmod(0o755)
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET), "RUSTC_WORKSPACE_WRAPPER": str(wrapper),
                   "LLVM_PROFILE_FILE": str(TARGET / "build-%m.profraw")}
    lines = output("cargo", "test", "--locked", "--lib", "--tests", "--no-run", "--message-format=json", env=environment).splitlines()
    artifacts = [each for each in map(json.loads, lines) if each.get("reason") == "compiler-artifact" and each.get("executable")]
    suites = {"lib" if "lib" in each["target"]["kind"] else each["target"]["name"]: Path(each["executable"])
              for each in artifacts if each["profile"]["test"] and "bin" not in each["target"]["kind"]}
    program = next(Path(each["executable"]) for each in artifacts if each["target"]["kind"] == ["bin"] and not each["profile"]["test"])
    return suites, program


def own_place(program, counters):
    """A copy of the program that keeps its counters there: the tests start it with an empty environment."""
    code, place = program.read_bytes(), f"{counters}/%4m".encode()
    if DEFAULT not in code or len(place) > len(DEFAULT):
        sys.exit("tests/coverage.py: the program cannot be given a place for its counters")
    copy = TARGET / "gwinstall"
    copy.unlink(missing_ok=True)
    copy.write_bytes(code.replace(DEFAULT, place.ljust(len(DEFAULT), b"\0")))
    copy.chmod(0o755)
    return copy


def entered(profile, objects):
    """{(file, line): whether a test entered it} of every function of src/, those of unit tests aside."""
    objects = [str(objects[0]), *(word for each in objects[1:] for word in ("-object", str(each)))]
    text = output(tool("llvm-cov"), "export", "-skip-expansions", f"-instr-profile={profile}", *objects, str(ROOT / "src"))
    functions = {}
    for each in json.loads(text)["data"][0]["functions"]:
        file = each["filenames"][0]
        # `5tests` is `tests` as a part of a mangled name.
        if not file.startswith(f"{ROOT}/src/") or "5tests" in each["name"]:
            continue
        place = (os.path.relpath(file, ROOT), each["regions"][0][0])
        functions[place] = functions.get(place, False) or each["count"] > 0
    return functions


def main(wanted):
    suites, program = built()
    unknown = [word for word in wanted if word not in suites]
    if unknown:
        sys.exit(f"tests/coverage.py: no suite {unknown[0]}; there are {', '.join(sorted(suites))}")
    counters = tempfile.mkdtemp(prefix="cov", dir="/tmp")
    os.chmod(counters, 0o1777)
    try:
        copy = own_place(program, counters)
        environment = {**os.environ, "GWINSTALL_BIN": str(copy), "LLVM_PROFILE_FILE": f"{counters}/tests-%m.profraw"}
        for name in wanted or sorted(suites):
            with open(TARGET / f"{name}.log", "wb") as log:
                done = subprocess.run([suites[name], "-q"], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=3600, check=False)
            print(f"{name}: exit {done.returncode}", flush=True)
        profile = TARGET / "all.profdata"
        output(tool("llvm-profdata"), "merge", "-sparse", "-failure-mode=all", "-o", profile, *map(str, Path(counters).iterdir()))
        functions = entered(profile, [copy, *suites.values()])
    finally:
        shutil.rmtree(counters)
    percent = 100 * sum(functions.values()) / len(functions)
    for file, line in sorted(place for place, was in functions.items() if not was):
        print(f"not entered: {file}:{line}")
    print(f"{sum(functions.values())} of {len(functions)} functions of src/ are entered by a test: {percent:.1f} %")
    return 0 if percent >= NEEDED else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
