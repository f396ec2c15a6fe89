#!/usr/bin/env python3
"""`gwinstall runtime` with the real uv, the real pip and the real packages.

usage: GWINSTALL_BIN=PATH tests/runtime_full.py UV [SEED]     (UV: a uv program; needs root for the parts without a network)

Shows: uv from a warm cache; uv fetched by its hash; pip without uv; a Python without venv and pip; export, and installation from
the file without a network, a changed file refused; an image whose gateway starts without a network; 20 kills at seeded moments.
Each installation is compared with the RECORDs of its packages here, by other code than gwinstall's.
"""
import base64
import csv
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

GW = os.environ["GWINSTALL_BIN"]
UV = pathlib.Path(sys.argv[1]).resolve()
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 20261126
KILLS = 20
work = pathlib.Path(tempfile.mkdtemp(prefix="gwinstall-runtime-"))
results, failures = [], 0


def home():
    return pathlib.Path(tempfile.mkdtemp(dir=work))


def environment(own, uv=False, **more):
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_")) or name.lower().endswith("_proxy")}
    path = (f"{UV.parent}:" if uv else "") + "/usr/bin:/bin:/usr/sbin:/sbin"
    return {**kept, "HOME": str(own), "PATH": path, "UV_CACHE_DIR": str(work / "uv-cache"), "PIP_CACHE_DIR": str(work / "pip-cache"), **more}


def run(own, *arguments, uv=False, before=(), code=0, **more):
    begun = time.monotonic()
    ended = subprocess.run([*before, GW, *arguments], env=environment(own, uv, **more), cwd=own, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1200)
    if ended.returncode != code:
        raise AssertionError(f"{arguments} ended with {ended.returncode}, not {code}:\n{ended.stdout}")
    return ended.stdout, time.monotonic() - begun


def runtimes(own):
    root = own / ".local/share/gwinstall/runtime"
    return [path for path in sorted(root.glob("*")) if path.name != "lock"] if root.exists() else []


def complete(runtime):
    """The number of files that were compared."""
    files = 0
    for record in runtime.glob("lib/python3*/site-packages/*.dist-info/RECORD"):
        with open(record, newline="", encoding="utf-8") as lines:
            for name, digest, size in csv.reader(lines):
                path = record.parent.parent / name
                data = path.read_bytes()
                # pip's scripts get another first line after they were compared.
                if digest and not (name.startswith("../../../bin/") and data.startswith(b"#!/bin/sh")):
                    found = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
                    assert digest == "sha256=" + found and int(size) == len(data), path
                files += 1
    assert files > 5000, f"{files} files in {runtime}"
    compiled = sum(1 for _ in runtime.glob("lib/python3*/site-packages/**/*.pyc"))
    assert compiled > 3000, f"{compiled} compiled files"
    return files


def only(own):
    found = runtimes(own)
    assert len(found) == 1 and not found[0].name.startswith("."), found
    return found[0]


def part(name):
    def decorate(function):
        global failures
        begun = time.monotonic()
        try:
            said = function() or ""
            results.append(f"ok    {name}: {said} ({time.monotonic() - begun:.0f} s in all)")
        except Exception as error:  # noqa: BLE001 - each part is reported, and the others run
            failures += 1
            results.append(f"FAIL  {name}: {error}")
        print(results[-1], flush=True)
        return function
    return decorate


def plain_uv():
    """How long uv alone takes for the same lock, cache warm: what gwinstall is compared with."""
    own = home()
    lock = pathlib.Path(__file__).resolve().parents[1] / "embedded/runtime/litellm.lock"
    begun = time.monotonic()
    for words in (["venv", "-q", "--relocatable", "-p", "/usr/bin/python3", "v"],
                  ["pip", "sync", "-q", "-p", "v/bin/python", "--require-hashes", "--no-build", "--compile-bytecode", str(lock)]):
        subprocess.run([UV, *words], cwd=own, env=environment(own), check=True, capture_output=True)
    took = time.monotonic() - begun
    shutil.rmtree(own)
    return took


@part("uv on the PATH, cold cache, then warm")
def _():
    first, second = home(), home()
    _, cold = run(first, "runtime", "install", "--yes", "--python", "/usr/bin/python3", uv=True)
    files = complete(only(first))
    alone = plain_uv()
    _, warm = run(second, "runtime", "install", "--yes", "--python", "/usr/bin/python3", uv=True)
    complete(only(second))
    shutil.rmtree(first)
    shutil.rmtree(second)
    return f"{files} files; cold {cold:.1f} s, warm {warm:.1f} s; uv alone, warm, unchecked and untried {alone:.1f} s"


@part("uv fetched by its hash")
def _():
    own = home()
    said, took = run(own, "runtime", "install", "--yes", "--python", "/usr/bin/python3")
    assert "fetches uv" in said and "with uv" in said, said
    files = complete(only(own))
    shutil.rmtree(own)
    return f"{files} files, {took:.1f} s"


@part("pip where uv cannot be fetched; renamed, its program still runs")
def _():
    own = home()
    constraint = work / "constraint.txt"
    constraint.write_text("uv==0.0.1\n")
    settings = work / "pip.conf"
    settings.write_text(f"[download]\nconstraint = {constraint}\n")
    said, took = run(own, "runtime", "install", "--yes", "--python", "/usr/bin/python3", PIP_CONFIG_FILE=str(settings))
    assert "with pip" in said, said
    files = complete(only(own))
    program = only(own) / "bin/litellm"
    assert program.read_text().startswith("#!/bin/sh\n'''exec'"), program.read_text()[:200]
    version = subprocess.run([program, "--version"], env={**environment(own), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}, capture_output=True, text=True, timeout=300)
    assert "1.106.2" in version.stdout, version
    shutil.rmtree(own)
    return f"{files} files, {took:.1f} s"


@part("a Python without venv and pip")
def _():
    own = home()
    # It answers as a Debian does that has python3 and neither python3-venv nor python3-pip.
    probe = work / "python-without"
    probe.write_text("#!/usr/bin/python3\nimport subprocess, sys\n"
                     "out = subprocess.run(['/usr/bin/python3', *sys.argv[1:]], capture_output=True, text=True)\n"
                     "sys.stdout.write(out.stdout.replace('\"venv\": true', '\"venv\": false').replace('\"pip\": true', '\"pip\": false'))\n"
                     "sys.exit(out.returncode)\n")
    probe.chmod(0o755)
    said, took = run(own, "runtime", "install", "--yes", "--python", str(probe), uv=True)
    files = complete(only(own))
    bare = home()
    refused, _ = run(bare, "runtime", "install", "--yes", "--python", str(probe), code=1)
    assert "python3-venv" in refused, refused
    assert runtimes(bare) == []
    shutil.rmtree(own)
    return f"{files} files with uv, {took:.1f} s; without uv refused with its package"


archive = work / "litellm-runtime.tar"
offline = ["unshare", "-n"]


@part("export, and installation from the file without a network")
def _():
    own = home()
    said, export = run(own, "runtime", "export", str(archive), "--python", "/usr/bin/python3")
    size = archive.stat().st_size / 1e6
    fresh = dict(UV_CACHE_DIR=str(own / "no-cache"), PIP_CACHE_DIR=str(own / "no-cache"))
    # Without uv on the PATH: the one in the archive.
    said, took = run(own, "runtime", "install", "--yes", "--from", str(archive), before=offline, **fresh)
    assert "with uv" in said, said
    files = complete(only(own))
    bad = work / "changed.tar"
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    bad.write_bytes(data)
    other = home()
    said, _ = run(other, "runtime", "install", "--yes", "--from", str(bad), before=offline, code=8)
    assert runtimes(other) == [], runtimes(other)
    run(other, "runtime", "install", "--yes", "--offline", before=offline, code=10, uv=True, **fresh)
    assert runtimes(other) == [], runtimes(other)
    bad.unlink()
    shutil.rmtree(own)
    return f"{size:.0f} MB in {export:.1f} s; {files} files installed in {took:.1f} s; one changed bit: exit 8; --offline alone: exit 10"


@part("an image whose gateway starts without a network")
def _():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    image = home()
    run(image, "install", "--home", str(image), "--runtime-from", str(archive), "--models", "gpt-oss-20b", "--gateway-url", f"http://127.0.0.1:{port}",
        "--yes", before=offline)
    complete(only(image))
    moved = work / "moved home"
    image.rename(moved)
    env = moved / ".claude/gateway/.env"
    text = env.read_text()
    for name, value in (("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json"), ("VERTEXAI_PROJECT", "p")):
        text = text.replace(f"#{name}=CHANGE-ME-{name}", f"{name}={value}")
    env.write_text(text)
    script = f"ip link set lo up; '{GW}' start && '{GW}' stop"
    said = subprocess.run(["unshare", "-n", "sh", "-c", script], env=environment(moved), cwd=moved, capture_output=True, text=True, timeout=300)
    assert said.returncode == 0 and "the gateway runs" in said.stdout + said.stderr, said
    shutil.rmtree(moved)
    return "installed, moved, started and stopped in a namespace without a network"


@part(f"{KILLS} kills at seeded moments (seed {SEED})")
def _():
    chance = random.Random(SEED)
    warm = home()
    _, whole = run(warm, "runtime", "install", "--yes", "--python", "/usr/bin/python3", uv=True)
    shutil.rmtree(warm)
    left = whole_ones = 0
    for _ in range(KILLS):
        own = home()
        words = [GW, "runtime", "install", "--yes", "--python", "/usr/bin/python3"]
        child = subprocess.Popen(words, env=environment(own, uv=True), cwd=own, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.02, whole))
        child.send_signal(signal.SIGKILL)
        child.wait()
        found = runtimes(own)
        for path in found:
            if path.name.startswith(".staging-"):
                left += 1
            else:
                complete(path)
                whole_ones += 1
        run(own, "runtime", "install", "--yes", "--python", "/usr/bin/python3", uv=True)
        complete(only(own))
        version = json.loads(run(own, "runtime", "list", "--json")[0])["data"]["runtimes"][0]["litellm"]
        assert version == "1.106.2", version
        shutil.rmtree(own)
    return f"0 bad: {left} left a directory that the next run removed, {whole_ones} a complete runtime; {whole:.1f} s for a run that is not killed"


shutil.rmtree(work, ignore_errors=True)
print("\n".join(["", "== runtime-full", *results]))
sys.exit(1 if failures else 0)
