"""Odd machines: no HOME, foreign HOME, read-only places, noexec, missing tools, other processors; and PATH."""

import os
import pathlib
import shutil
import signal
import stat
import subprocess
import time

from world import OTHER_USER, snapshot

CASES = []
AS_OTHER = (shutil.which("setpriv") or "setpriv", f"--reuid={OTHER_USER}", f"--regid={OTHER_USER}", "--clear-groups")


def case(function):
    CASES.append(function)
    return function


def needs_root(function):
    def guarded(world, check):
        if os.geteuid() != 0:
            check.skip("needs root: it acts as another user or mounts")
        else:
            function(world, check)

    guarded.__name__ = function.__name__
    return guarded


@case
def the_target_is_told(world, check):
    """Detection alone, for every system and processor: GWINSTALL_PRINT=target changes nothing."""
    table = {
        ("Linux", "x86_64"): "x86_64-unknown-linux-musl",
        ("Linux", "amd64"): "x86_64-unknown-linux-musl",
        ("Linux", "aarch64"): "aarch64-unknown-linux-musl",
        ("Linux", "arm64"): "aarch64-unknown-linux-musl",
        ("Darwin", "x86_64"): "x86_64-apple-darwin",
        ("Darwin", "arm64"): "aarch64-apple-darwin",
        ("Darwin", "x86_64", "1"): "aarch64-apple-darwin",
        ("Linux", "armv7l"): "no gwinstall is built for the processor 'armv7l'",
        ("Linux", "i686"): "no gwinstall is built for the processor 'i686'",
        ("FreeBSD", "amd64"): "no gwinstall is built for the system 'FreeBSD'",
    }
    for number, (machine, told) in enumerate(table.items()):
        box = world.dir / f"uname-{number}"
        shutil.copytree(world.box("curl", "openssl"), box, symlinks=True)
        (box / "uname").unlink()
        write_tool(box / "uname", f'case $1 in -s) echo {machine[0]} ;; -m) echo {machine[1]} ;; esac')
        write_tool(box / "sysctl", f"echo {machine[2] if len(machine) > 2 else 0}")
        # busybox ash runs its own uname, whatever is on the PATH.
        for shell in [shell for shell in world.shells if not shell.startswith("busybox")]:
            result = world.install("x", shell=shell, path=box, GWINSTALL_PRINT="target")
            name = f"{shell}, {machine}"
            if told.startswith("no "):
                check.refused(result, 1, told, name)
            else:
                check.that((result.code, result.out) == (0, f"{told}\n"), name, str(result))
                check.that(not list(result.home.iterdir()), f"{name}: nothing changed")
    result = world.install("x", path=world.dir / "uname-2", base=world.site)
    check.refused(result, 1, "has no gwinstall for aarch64", "a target that the release does not have")


def write_tool(path, body):
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@case
@needs_root
def without_an_environment(world, check):
    """env -i as a user whose home only the password database knows; with and without getent."""
    for number, (shell, tools) in enumerate((shell, tools) for shell in world.shells for tools in (None, "busybox")):
        home = world.home()
        os.chown(home, OTHER_USER, OTHER_USER)
        home.parent.chmod(0o755)
        passwd = world.dir / f"passwd-{number}"
        passwd.write_text(f"root:x:0:0::/root:/bin/sh\nuser:x:{OTHER_USER}:{OTHER_USER}::{home}:/bin/sh\n")
        words = " ".join(world.shells[shell])
        path = f"PATH={world.box('curl', busybox=True)}" if tools else ""
        script = (
            f"mount --bind {passwd} /etc/passwd && exec {' '.join(AS_OTHER)} "
            f"env -i {path} GWINSTALL_BASE_URL={world.site} {words} {world.script} x"
        )
        done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False)
        good = done.returncode == 0 and done.stdout == "ran 1.1.0: [install] [x]\n"
        check.that(good and (home / ".local/bin/gwinstall").is_file(), f"{shell}, {tools}", f"{done.stdout}{done.stderr}")


@case
def without_a_home_at_all(world, check):
    for home in ("", "relative"):
        result = world.install("x", HOME=home, path=nobody_box(world))
        check.refused(result, 2, "no home directory", f"HOME='{home}' and an unknown user")


def nobody_box(world):
    box = world.dir / "nobody"
    if not box.exists():
        shutil.copytree(world.box("curl", "openssl"), box, symlinks=True)
        (box / "id").unlink()
        write_tool(box / "id", "echo 54321")
    return box


@case
@needs_root
def root_with_the_home_of_another(world, check):
    for shell in world.shells:
        home = world.home()
        os.chown(home, OTHER_USER, OTHER_USER)
        check.refused(world.install("x", home=home, shell=shell), 2, f"belongs to user {OTHER_USER}", shell)
        check.that(f"HOME={home}" in world.install("x", home=home, shell=shell).err, f"{shell}: names the home")
    user = world.home()
    user.parent.chmod(0o755)
    os.chown(user, OTHER_USER, OTHER_USER)
    check.installed(world.install("x", home=user, prefix=AS_OTHER), "1.1.0", "that user itself")
    facts = (user / ".local/bin/gwinstall").stat()
    check.that(facts.st_uid == OTHER_USER, "the file is the user's")


@case
@needs_root
def a_home_that_cannot_be_written(world, check):
    home = world.home()
    home.parent.chmod(0o755)
    home.chmod(0o555)
    for shell in world.shells:
        result = world.install("x", home=home, shell=shell, prefix=AS_OTHER)
        check.refused(result, 1, f"cannot write to {home}/.local/bin", shell)
        check.that("export GWINSTALL_INSTALL_DIR=" in result.err, f"{shell}: names the way out", str(result))
    elsewhere = world.home("bin dir")
    elsewhere.parent.chmod(0o755)
    os.chown(elsewhere, OTHER_USER, OTHER_USER)
    result = world.install("x", home=home, prefix=AS_OTHER, GWINSTALL_INSTALL_DIR=elsewhere)
    check.that(result.out == "ran 1.1.0: [install] [x]\n", "GWINSTALL_INSTALL_DIR helps", str(result))


@case
@needs_root
def noexec_places(world, check):
    """TMPDIR is not used; a directory from which nothing runs is refused before the name is taken."""
    for shell in world.shells:
        words = " ".join(world.shells[shell])
        for place in ("tmp", "bin"):
            home = world.home()
            mounted = home.parent / place
            mounted.mkdir()
            variables = {"tmp": f"TMPDIR={mounted}", "bin": f"GWINSTALL_INSTALL_DIR={mounted}"}[place]
            script = (
                f"mount -t tmpfs -o noexec,mode=755 none {mounted} && "
                f"env HOME={home} PATH={world.box('curl', 'openssl')} GWINSTALL_BASE_URL={world.site} {variables} "
                f"{words} -s -- x <{world.script}; code=$?; ls -A {mounted}; exit $code"
            )
            done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False)
            if place == "tmp":
                good = (done.returncode, done.stdout) == (0, "ran 1.1.0: [install] [x]\n")
            else:
                good = (done.returncode, done.stdout) == (1, "") and "noexec" in done.stderr
            check.that(good, f"{shell}: noexec {place}", f"{done.returncode} {done.stdout}{done.stderr}")


@case
@needs_root
def a_policy_file_pins(world, check):
    """A managed machine: the pin of /etc/gwinstall/policy.yaml holds where GWINSTALL_PIN is not set."""
    for line, version, code in (
        ("pin: 1.0.0", None, 0),
        ('pin: "1.0.0"  # the tested one', None, 0),
        ("pin: 1.0.0", "1.1.0", 9),
        (f"pin: 'sha256:{'0' * 64}'", "1.1.0", 9),
        ("updates: off", "1.0.0", 0),
    ):
        home, etc = world.home(), world.home("etc")
        asked = f"GWINSTALL_VERSION={version}" if version else ""
        script = (
            f"cp -a /etc/. {etc} && mkdir {etc}/gwinstall && cat >{etc}/gwinstall/policy.yaml && mount --bind {etc} /etc && "
            f"env HOME={home} PATH={world.box('curl', 'openssl')} GWINSTALL_BASE_URL={world.site} {asked} sh {world.script} x"
        )
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script], input=f"channel: stable\n{line}\n",
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        name = f"{line}, asked for {version}: {done.returncode} {done.stdout}{done.stderr}"
        if code:
            check.that(done.returncode == code and "policy.yaml pins" in done.stderr, "the pin refuses", name)
        else:
            check.that((done.returncode, done.stdout) == (0, "ran 1.0.0: [install] [x]\n"), "the pin chooses", name)


@case
def a_temporary_directory_that_is_not_there(world, check):
    for shell in world.shells:
        check.installed(world.install("x", shell=shell, TMPDIR="/nonexistent"), "1.1.0", shell)


@case
def tools_that_are_missing(world, check):
    with world.served() as (base, _):
        result = world.install("x", base=base, path=world.box("openssl"))
        check.refused(result, 10, "neither curl nor wget is here", "no fetcher")
    from world import TOOLS

    no_hash = world.box("curl", tools=tuple(tool for tool in TOOLS if tool != "sha256sum"))
    check.refused(world.install("x", path=no_hash), 8, "no sha256sum, shasum or openssl", "nothing to hash with")
    only_openssl = world.box("curl", "openssl", tools=tuple(tool for tool in TOOLS if tool != "sha256sum"))
    check.installed(world.install("x", path=only_openssl), "1.1.0", "hashing with openssl")
    only_shasum = world.box("curl", "shasum", "perl", tools=tuple(tool for tool in TOOLS if tool != "sha256sum"))
    check.installed(world.install("x", path=only_shasum), "1.1.0", "hashing with shasum")


@case
def names_with_spaces_and_signs(world, check):
    for name in ("my home", "it's", 'a "quoted" one', "$HOME", "a*b", "-n", "ümläut"):
        for shell in world.shells:
            home = world.home(name)
            check.installed(world.install("x", home=home, shell=shell), "1.1.0", f"{shell}, home {name}")
            into = world.home() / name
            result = world.install("x", shell=shell, GWINSTALL_INSTALL_DIR=f"{into}//")
            check.that((into / "gwinstall").is_file() and result.code == 0, f"{shell}, directory {name}", str(result))
    home = world.home()
    result = world.install("x", home=home, GWINSTALL_INSTALL_DIR="tools")
    check.that((home / "tools/gwinstall").is_file(), "a relative directory is taken from here", str(result))


@case
def what_is_in_the_way_is_not_replaced(world, check):
    first = world.install("x", GWINSTALL_VERSION="1.0.0")
    store = first.home / "store"
    first.executable.rename(store)
    first.executable.symlink_to(store)
    before = snapshot(first.home)
    result = world.install("x", home=first.home)
    check.that(result.code == 1 and "symbolic link" in result.err and snapshot(first.home) == before, "a link", str(result))
    home = world.home()
    (home / ".local/bin/gwinstall").mkdir(parents=True)
    result = world.install("x", home=home)
    check.that(result.code == 1 and "is not a file" in result.err, "a directory", str(result))
    linked = world.home()
    (linked / "real").mkdir()
    (linked / ".local").mkdir()
    (linked / ".local/bin").symlink_to(linked / "real")
    check.installed(world.install("x", home=linked), "1.1.0", "a linked directory is followed")


@case
def the_mode_does_not_depend_on_umask(world, check):
    for mask in ("000", "022", "077"):
        result = world.install("x", prefix=("sh", "-c", f'umask {mask}; exec "$@"', "sh"))
        check.installed(result, "1.1.0", f"umask {mask}")


@case
def interrupted_while_fetching(world, check):
    """A signal leaves nothing; a kill leaves a staging directory that the next run sweeps."""
    for number, code in ((signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGKILL, -9)):
        with world.served("stall=gwinstall-1.1.0-") as (base, requests):
            home = world.home()
            env = {"HOME": str(home), "PATH": str(world.box("curl", "openssl")), "GWINSTALL_BASE_URL": base}
            words = [*world.shells["dash"], str(world.script), "x"]
            child = subprocess.Popen(words, env=env, stderr=subprocess.DEVNULL, start_new_session=True)
            while not any("gwinstall-1.1.0-" in path for path in requests()):
                time.sleep(0.02)
            # As a terminal does: the whole group.
            os.killpg(child.pid, number)
            check.that(child.wait(30) == code, f"signal {number}: exit {child.returncode}")
            left = [str(path) for path in home.rglob("*")]
            if number != signal.SIGKILL:
                check.that(not left, f"signal {number} leaves {left}")
                continue
            check.that(any("gwinstall-staging" in path for path in left), "a kill cannot clean up", str(left))
        check.installed(world.install("x", home=home), "1.1.0", "the run after a kill")


# --- PATH ------------------------------------------------------------------------------------------------------

MARK = "# added by gwinstall install.sh"


@case
def shell_files_are_edited_on_request_only(world, check):
    table = {
        "/bin/bash": [".bashrc", ".profile"],
        "/bin/zsh": [".zshrc"],
        "/usr/bin/fish": [".config/fish/conf.d/gwinstall.fish"],
        "/bin/sh": [".profile"],
        "": [".profile"],
    }
    for login, names in table.items():
        told = world.install("x", SHELL=login)
        files = [path for path in told.home.rglob("*") if path.is_file()]
        check.that(files == [told.executable], f"{login}: edits without being asked", str(files))
        line = 'fish_add_path --path "' if "fish" in login else 'export PATH="'
        check.that(line in told.err, f"{login}: says what to add", str(told))
        result = world.install("--modify-path", "x", SHELL=login, home=told.home)
        check.that(result.out == "ran 1.1.0: [install] [x]\n", f"{login}: the flag is its own", str(result))
        files = sorted(str(path.relative_to(told.home)) for path in told.home.rglob("*") if path.is_file())
        check.that(files == sorted([*names, ".local/bin/gwinstall"]), f"{login}: edits {files}")
        for name in names:
            text = (told.home / name).read_text()
            check.that(text.count(MARK) == 1 and text.endswith(f"{MARK}\n"), f"{login}: one marked line in {name}", text)
        before = snapshot(told.home)
        world.install("--modify-path", "x", SHELL=login, home=told.home)
        check.that(snapshot(told.home) == before, f"{login}: a second time changes something")
        quiet = world.install("--modify-path", "x", SHELL=login, GWINSTALL_NO_MODIFY_PATH="1")
        files = [path for path in quiet.home.rglob("*") if path.is_file()]
        check.that(files == [quiet.executable], f"{login}: GWINSTALL_NO_MODIFY_PATH wins", str(files))


@case
def the_added_line_works(world, check):
    shells = {"bash": ("/bin/bash", ".bashrc"), "zsh": ("/bin/zsh", ".zshrc"), "dash": ("/bin/sh", ".profile")}
    shells["fish"] = ("/usr/bin/fish", ".config/fish/conf.d/gwinstall.fish")
    for shell, (login, name) in shells.items():
        if not shutil.which(shell):
            check.skip(f"{shell} is not installed")
            continue
        result = world.install("x", "--modify-path", SHELL=login, home=world.home("a home"))
        file = result.home / name
        done = subprocess.run(
            [shutil.which(shell), "-c", f". '{file}'; command -v gwinstall"],
            capture_output=True, text=True, env={"HOME": str(result.home), "PATH": "/usr/bin:/bin"}, check=False,
        )  # fmt: skip
        check.that(done.stdout.strip() == str(result.executable), f"{shell} finds it", f"{done.stdout}{done.stderr}")


@case
def the_users_shell_files_stay_what_they_are(world, check):
    home = world.home()
    real = home / "dotfiles/bashrc"
    real.parent.mkdir()
    real.write_text("alias ll='ls -l'")
    real.chmod(0o640)
    (home / ".bashrc").symlink_to(real)
    (home / ".bash_profile").write_text(". ~/.bashrc\n")
    world.install("x", "--modify-path", home=home)
    check.that((home / ".bashrc").is_symlink(), "a link stays a link")
    check.that(stat.S_IMODE(real.stat().st_mode) == 0o640, "the mode stays")
    lines = real.read_text().splitlines()
    check.that(lines[0] == "alias ll='ls -l'" and lines[1].endswith(MARK) and len(lines) == 2, "a line of its own", str(lines))
    check.that(MARK in (home / ".bash_profile").read_text(), "the file that a login bash reads")
    check.that(not (home / ".profile").exists(), "no file that bash would not read")


@case
def a_directory_on_the_path_is_not_mentioned(world, check):
    home = world.home()
    with_dir = f"{world.box('curl', 'openssl')}:{home}/.local/lib/../bin"
    (home / ".local/lib").mkdir(parents=True)
    (home / ".local/bin").mkdir()
    result = world.install("x", "--modify-path", home=home, path=with_dir)
    check.that("PATH" not in result.err and not (home / ".bashrc").exists(), "it is on the PATH", str(result))
    other = world.home() / "bin"
    other.mkdir()
    shutil.copy(world.fake("1.0.0"), other / "gwinstall")
    home = world.home()
    result = world.install("x", home=home, path=f"{other}:{world.box('curl', 'openssl')}:{home}/.local/bin")
    check.that(f"another gwinstall first, in {other}" in result.err, "an older one hides it", str(result))


@case
def a_name_that_no_shell_file_can_hold(world, check):
    home = world.home('a "$x" home')
    result = world.install("x", "--modify-path", home=home)
    files = [path.name for path in home.iterdir()]
    check.that(files == [".local"] and "by hand" in result.err, "quotes in the name", str(result))


@case
def the_scripts_are_clean(world, check):
    if not shutil.which("shellcheck"):
        check.skip("shellcheck is not installed")
        return
    template = pathlib.Path(__file__).resolve().parents[2] / "install.sh"
    for script in (template, world.script):
        done = subprocess.run(["shellcheck", "--shell=sh", "--severity=style", script], capture_output=True, text=True, check=False)
        check.that(done.returncode == 0 and not done.stdout, f"shellcheck {script.name}", done.stdout)
    long = [line for line in template.read_text().splitlines() if len(line) > 120]
    check.that(not long, "lines over 120 columns", "\n".join(long))
