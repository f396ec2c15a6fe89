"""From a source checkout: the script does the whole set-up of the toolchain itself, with cargo and rustup played here.

The real build is another section's: it takes minutes. Here is held which commands are run, in which order, and what is
said when one of them cannot.
"""

import pathlib
import shutil

from world import FAKE, ROOT, TARGET, TOOLS, snapshot

CASES = []
CHANNEL = "1.95.0"


def case(function):
    CASES.append(function)
    return function


def checkout(world):
    """A checkout with nothing but what the script looks at."""
    source = world.home("check out")
    shutil.copy(ROOT / "install.sh", source / "install.sh")
    (source / "Cargo.toml").write_text('[package]\nname = "gwinstall"\n')
    (source / "rust-toolchain.toml").write_text(f'[toolchain]\nchannel = "{CHANNEL}"\ncomponents = ["clippy"]\n')
    return source


def tool_box(world, source, installed="", addable=True, rustup=True, cc=True, builds=True, toolchain=True):
    """A PATH with a cargo and a rustup that write down how they were called."""
    box = world.dir / f"rust-{world.number()}"
    shutil.copytree(world.box("curl", "openssl", tools=TOOLS), box, symlinks=True)
    log = box / "log"
    log.touch()
    fake = FAKE.format(version="9.9.9")
    cargo = f"""
echo "cargo $* [$RUSTUP_TOOLCHAIN]" >>'{log}'
case $1 in
--version) exit 0 ;;
metadata) printf '{{"packages":[],"target_directory":"%s","version":1}}\\n' '{source}/target' ;;
build)
    {"exit 0" if builds == "nothing" else "" if builds else "exit 101"}
    while [ "$1" != --target ]; do shift; done
    mkdir -p '{source}/target/'"$2/release"
    cat >'{source}/target/'"$2/release/gwinstall" <<'END'
{fake}END
    chmod 755 '{source}/target/'"$2/release/gwinstall" ;;
esac"""
    write(box / "cargo", cargo)
    write(box / "rustc", f'case $1 in -vV) echo "host: x86_64-host" ;; --print) echo "{box}/sysroot" ;; esac')
    if rustup:
        write(
            box / "rustup",
            f"""
echo "rustup $*" >>'{log}'
case "$1 $2" in
"run {CHANNEL}") {"exit 0" if toolchain else "exit 1"} ;;
"target list") printf '%s\\n' {installed or "''"} ;;
"target add") {"exit 0" if addable else "exit 1"} ;;
esac""",
        )
    if cc:
        write(box / "cc", "exit 0")
    return box, log


def write(path, body):
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def build(world, source, box, *args, **env):
    return world.install(*args, script=source / "install.sh", piped=False, path=box, GWINSTALL_BASE_URL=None, **env)


@case
def everything_is_set_up_and_built(world, check):
    """A fresh clone on a machine with rustup alone, told not to install anything by itself."""
    for shell in world.shells:
        source = checkout(world)
        box, log = tool_box(world, source, toolchain=False)
        result = build(world, source, box, "--preset", "basic", "--yes", shell=shell, RUSTUP_AUTO_INSTALL="0")
        check.installed(result, "9.9.9", shell)
        check.that(result.out == "ran 9.9.9: [install] [--preset] [basic] [--yes]\n", f"{shell}: hand-over", str(result))
        said = "no release inside this script: building" in result.err and "cargo" not in result.out
        check.that(said, f"{shell}: says that it builds", str(result))
        wanted = [
            f"rustup run {CHANNEL} cargo --version",
            f"rustup toolchain install {CHANNEL} --profile minimal --no-self-update",
            f"rustup target list --installed --toolchain {CHANNEL}",
            f"rustup target add --toolchain {CHANNEL} {TARGET}",
            f"cargo build --release --locked --package gwinstall --bin gwinstall --target {TARGET} [{CHANNEL}]",
            f"cargo metadata --no-deps --locked --format-version 1 [{CHANNEL}]",
        ]
        check.that(log.read_text().splitlines() == wanted, f"{shell}: the commands", log.read_text())


@case
def a_second_build_changes_nothing(world, check):
    source = checkout(world)
    box, log = tool_box(world, source, installed=TARGET)
    first = build(world, source, box, "x")
    check.that("target add" not in log.read_text(), "what is installed is not added", log.read_text())
    before = snapshot(first.home)
    second = build(world, source, box, "x", home=first.home)
    check.that(second.code == 0 and snapshot(first.home) == before, "the same build again", str(second))


@case
def the_host_target_stands_in(world, check):
    for rustup in (True, False):
        source = checkout(world)
        box, log = tool_box(world, source, addable=False, rustup=rustup)
        result = build(world, source, box, "x")
        check.installed(result, "9.9.9", f"rustup {rustup}")
        check.that("building for x86_64-host instead" in result.err, f"rustup {rustup}: says so", str(result))
        check.that("--target x86_64-host" in log.read_text(), f"rustup {rustup}: builds it", log.read_text())


@case
def what_is_missing_is_named(world, check):
    source = checkout(world)
    box, _ = tool_box(world, source)
    (box / "cargo").unlink()
    check.refused(build(world, source, box, "x"), 1, "there is no cargo here", "no cargo")
    home = world.home()
    box, _ = tool_box(world, source)
    (home / ".cargo/bin").mkdir(parents=True)
    shutil.move(box / "cargo", home / ".cargo/bin/cargo")
    check.installed(build(world, source, box, "x", home=home), "9.9.9", "cargo that is not on the PATH")
    box, _ = tool_box(world, source, cc=False)
    check.refused(build(world, source, box, "x"), 1, "apt-get install -y gcc", "no C compiler")
    box, _ = tool_box(world, source, builds=False)
    check.refused(build(world, source, box, "x"), 1, "cargo could not build", "a build that fails")
    shutil.rmtree(source / "target", ignore_errors=True)
    box, _ = tool_box(world, source, builds="nothing")
    check.refused(build(world, source, box, "x"), 1, "left no executable", "a build that makes nothing")


@case
def a_compiler_is_installed_for_root(world, check):
    import os

    if os.geteuid() != 0:
        check.skip("only root installs packages")
        return
    source = checkout(world)
    box, log = tool_box(world, source, cc=False)
    write(box / "apt-get", f"echo \"apt-get $*\" >>'{log}'\nprintf '#!/bin/sh\\n' >'{box}/cc'; chmod 755 '{box}/cc'")
    result = build(world, source, box, "x")
    check.installed(result, "9.9.9", "on a bare machine")
    check.that("installing gcc with apt-get" in result.err, "says so", str(result))
    check.that(log.read_text().count("apt-get install") == 1, "one command", log.read_text())


@case
def a_template_is_no_installer(world, check):
    """The script of the sources through a pipe, or asked for a release, builds nothing and says where to go."""
    template = pathlib.Path(ROOT / "install.sh")
    for shell in world.shells:
        result = world.install("x", script=template, shell=shell, GWINSTALL_BASE_URL=None)
        check.refused(result, 2, "holds no release and is not in a source checkout", shell)
    source = checkout(world)
    box, log = tool_box(world, source)
    for name, value in (("GWINSTALL_VERSION", "1.0.0"), ("GWINSTALL_BASE_URL", str(world.site))):
        env = {"GWINSTALL_BASE_URL": None} | {name: value}
        result = world.install("x", script=source / "install.sh", piped=False, path=box, **env)
        check.refused(result, 2, "choose a release", name)
    check.that(log.read_text() == "", "nothing was built", log.read_text())
