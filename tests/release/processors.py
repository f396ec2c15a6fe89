"""A release for two processors: install.sh takes the executable of the machine's own, and what was built for the other one runs.

The executable for 64-bit ARM is what `gwinstall-dist build` makes, in the profile that ships, linked by zig. It is run by qemu:
the kernel is told so in a user namespace, which nothing outside of it sees. Only `uname` is made to say what the machine is.
"""

import hashlib
import shutil
import subprocess

import kills
from builds import ROOT, TARGET

CASES = []
OTHER = "aarch64-unknown-linux-musl"
QEMU = "qemu-aarch64-static"
# An ELF header of 64-bit ARM, as the kernel takes it; F: the interpreter is opened now.
MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
REGISTER = 'mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && printf %s "$1" >/proc/sys/fs/binfmt_misc/register && shift && exec "$@"'
UNAME = '#!/bin/sh\nif [ "$1" = -m ]; then echo aarch64; else exec /usr/bin/uname "$@"; fi\n'


def case(function):
    CASES.append(function)
    return function


def emulation():
    """The start of a command line in which executables for 64-bit ARM run; or why there is none, as a text."""
    qemu = shutil.which(QEMU)
    if not qemu:
        return f"{QEMU} is not installed (apt-get install qemu-user-static)"
    rule = f":arm:M::{MAGIC}:{MASK}:{qemu}:F"
    words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", REGISTER, "sh", rule]
    works = subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    return words if works else "no user namespace with its own binfmt_misc (Linux 6.7 has them)"


def obstacle():
    """Why nothing can be built for the other processor here; or nothing."""
    zig = ["zig"] if shutil.which("zig") else ["python3", "-m", "ziglang"]
    if not shutil.which("cargo-zigbuild") or subprocess.run([*zig, "version"], capture_output=True, check=False).returncode:
        return "cargo-zigbuild and zig are not installed (pip install --require-hashes -r dist/build-requirements.txt)"
    targets = subprocess.run(["rustup", "target", "list", "--installed"], cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if OTHER in targets.stdout else f"no target {OTHER} (rustup target add {OTHER})"


@case
def another_processor(world, check):
    if not kills.full:
        check.note("only with --full: it needs a build in the profile that ships")
        return
    enter, why = emulation(), obstacle() or (TARGET == OTHER and "this machine is the other one")
    if why or isinstance(enter, str):
        check.skip(why or enter)
        return
    other, site = world.builds.shipped("1.0.0", 1, OTHER), world.dir / "site-two"
    world.builds.release("1.0.0", site, None, None, None, "--binary", f"{OTHER}={other}")
    world.serve(site)
    machine, stubs = world.machine, world.dir / "stubs"
    stubs.mkdir()
    (stubs / "uname").write_text(UNAME)
    (stubs / "uname").chmod(0o755)
    line = f"curl -fsSL --cacert '{machine.env['GWINSTALL_CA_BUNDLE']}' {world.base}/install.sh | sh -s -- --preset basic --yes"
    machine.empty()
    check.ended(machine.shell(line, enter=enter, PATH=f"{stubs}:/usr/bin:/bin"), 0)
    installed = hashlib.sha256(machine.executable.read_bytes()).digest()
    check.that(installed == hashlib.sha256(other.read_bytes()).digest(), "install.sh took the executable for 64-bit ARM")
    check.ended(machine.run("--version", enter=enter), 0, "gwinstall 1.0.0")
    check.ended(machine.run("self-check", enter=enter), 0, OTHER)
    check.ended(machine.run("verify", enter=enter), 0, "of bundle 1.0.0")
    check.ended(machine.run("self-update", "--check", enter=enter), 0, "is the newest")
    check.that(machine.seq() == 1, "it deployed its configuration")
    check.note(f"{OTHER}: {other.stat().st_size} bytes, run by {QEMU}")
