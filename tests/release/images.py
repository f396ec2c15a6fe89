"""The Dockerfiles of dist/image, built and run by buildah where it is: in a chroot, without a registry and without a daemon.

The base image needs a base, and there is no registry to take one from: it is made of this machine's own programs, a few of
them with their libraries, which on Debian is what the documented base would bring.
"""

import hashlib
import json
import shutil
import subprocess

from builds import ROOT, TARGET

CASES = []
VERSION = "1.1.0"
PROGRAMS = (
    "sh awk cat chmod chown cp cut env getent grep head id ls mkdir mv openssl printf rm sed sha256sum sleep stat tail "
    "touch tr tty uname useradd wc"
).split()
PASSWD = "root:x:0:0:root:/root:/bin/sh\n"
POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}\n'


def case(function):
    CASES.append(function)
    return function


class Buildah:
    """A storage of its own, so that nothing of the machine's images is used or left behind."""

    def __init__(self, directory):
        self.dir = directory
        self.dir.mkdir()
        (self.dir / "policy.json").write_text(POLICY)

    def __call__(self, verb, *words):
        store = ["--storage-driver", "vfs", "--root", self.dir / "storage", "--runroot", self.dir / "run"]
        policy = [] if verb in ("run", "add", "copy", "config", "inspect", "mount") else ["--signature-policy", self.dir / "policy.json"]
        command = [str(word) for word in ["buildah", *store, verb, *policy, *words]]
        return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, check=False)

    def built(self, file, tag, context, **arguments):
        given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name.upper()}={value}")]
        words = ["--isolation", "chroot", "--pull-never", "--layers=false", "--file", ROOT / "dist/image" / file]
        return self("build", *words, *given, "--tag", tag, context)

    def config(self, tag):
        """What an image says about itself."""
        return json.loads(self("inspect", "--type", "image", tag).stdout)["OCIv1"]["config"]

    def container(self, tag, mounted, *words):
        """Something that runs commands in a fresh container of this image, with a directory at /site."""
        done = self("from", "--pull-never", tag)
        if done.returncode:
            raise RuntimeError(done.stderr)
        words = ["--isolation", "chroot", *words, "--volume", f"{mounted}:/site:ro", done.stdout.strip(), "--"]
        return lambda *command: self("run", *words, *command)

    def base(self, tag):
        """An image of this machine's programs."""
        tree = self.dir / "base"
        make_tree(tree)
        done = self("from", "--name", "base", "scratch")
        for verb, words in (("copy", ("base", tree, "/")), ("commit", ("base", tag))):
            done = self(verb, *words)
            if done.returncode:
                raise RuntimeError(done.stderr)


def make_tree(tree):
    """A small root directory: programs, the libraries that they name, and who root is."""
    for name in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc/default", "etc/skel", "root", "home", "tmp", "var/mail", "proc", "dev", "sys"):
        (tree / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / name).symlink_to(f"usr/{name}")
    (tree / "tmp").chmod(0o1777)
    for program in PROGRAMS:
        path = shutil.which(program, path="/usr/bin:/bin:/usr/sbin:/sbin")
        if not path:
            raise RuntimeError(f"{program} is not installed")
        shutil.copy(path, tree / ("usr/sbin" if program == "useradd" else "usr/bin") / program)
        named = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        for library in (word for word in named.split() if word.startswith("/")):
            copy = tree / library.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, copy)
    (tree / "etc/passwd").write_text(PASSWD)
    (tree / "etc/group").write_text("root:x:0:\n")
    (tree / "etc/shadow").write_text("root:*:20000:0:99999:7:::\n")
    (tree / "etc/login.defs").write_text("UID_MIN 1000\nGID_MIN 1000\nUSERGROUPS_ENAB yes\n")


def answers(done, code, words):
    return done.returncode == code and words in done.stdout + done.stderr


def shown(done):
    return f"exit {done.returncode}\n{done.stdout}{done.stderr}"


@case
def images_are_built_and_pinned(world, check):
    """Both Dockerfiles from one release: the executable that was signed, a staged configuration without a key, a hard pin."""
    if not shutil.which("buildah"):
        check.skip("buildah is not installed (apt-get install buildah): no image was built")
        return
    buildah = Buildah(world.dir / "buildah")
    release = world.both / f"v{VERSION}"
    signed = hashlib.sha256((release / f"gwinstall-{VERSION}-{TARGET}").read_bytes()).hexdigest()
    done = buildah("from", "--name", "probe", "scratch")
    if done.returncode:
        check.skip(f"buildah cannot work here: {done.stderr.strip()}")
        return
    from_scratch(world, check, buildah, release)
    on_a_base(world, check, buildah, release, signed)


def from_scratch(world, check, buildah, release):
    done = buildah.built("Dockerfile.scratch", "gwinstall", release, version=VERSION, target=TARGET)
    check.that(answers(done, 0, f"gwinstall {VERSION}"), "FROM scratch builds, and runs its executable", shown(done))
    run = buildah.container("gwinstall", world.both)
    check.that(answers(run("/gwinstall", "--version"), 0, f"gwinstall {VERSION}"), "it runs with no other file, and not as root")
    config = buildah.config("gwinstall")
    check.that(config["User"] == "65532:65532", "the account is a number and not root", config)
    check.that(config["Labels"]["org.opencontainers.image.version"] == VERSION, "its label is what --version prints", config)
    # An account that may not replace the executable is refused before the pin is looked at.
    stays_pinned(check, buildah.container("gwinstall", world.both, "--user", "0:0"), "/gwinstall")
    done = buildah.built("Dockerfile.scratch", "none", release, version="9.9.9", target=TARGET)
    check.that(done.returncode != 0, "a version that is not there builds nothing", shown(done))


def on_a_base(world, check, buildah, release, signed):
    buildah.base("base")
    done = buildah.built("Dockerfile.base", "workstation", release, version=VERSION, base="localhost/base", user="dev")
    check.that(done.returncode == 0, "the workstation image builds", shown(done))
    run = buildah.container("workstation", world.both)
    check.that(answers(run("sha256sum", "/usr/local/bin/gwinstall"), 0, signed), "it has the executable that was signed")
    check.that(answers(run("sh", "-c", "id -un; pwd"), 0, "dev\n/home/dev\n"), "it runs as its user, at home")
    done = run("gwinstall", "verify")
    check.that(answers(done, 0, f"of bundle {VERSION}"), "the configuration is whole", shown(done))
    foreign = run("sh", "-c", "for file in /home/dev/.claude /home/dev/.claude/gateway/* /home/dev/.claude/gateway/.env; do stat -c '%U %n' $file; done")
    owners = {line.split()[0] for line in foreign.stdout.splitlines()}
    check.that(owners == {"dev"}, "everything belongs to the user", shown(foreign))
    key = run("grep", "LITELLM_MASTER_KEY", "/home/dev/.claude/gateway/.env")
    check.that("sk-" not in key.stdout and key.returncode in (0, 1), "no key is in the image", shown(key))
    stays_pinned(check, run, "gwinstall", "--bundle-only")
    done = run("gwinstall", "self-update", "--from", "/site", "--yes")
    check.that(answers(done, 9, "is not gwinstall's own to replace"), "the executable is the image's", shown(done))


def stays_pinned(check, run, program, *more):
    """Another version by its exact name, and with everything else allowed."""
    other = ("--version", "1.0.0", "--allow-downgrade=1.0.0", "--from", "/site")
    done = run(program, "self-update", *other, *more, "--yes")
    check.that(answers(done, 9, f"pinned to {VERSION}"), "the pin of the image holds in a container", shown(done))
