"""Two real releases: built once per state of the sources, kept below the target directory with their throw-away keys.

Version, number and keys are compiled in, so a client that follows a release is two builds. They are development builds of
copies of the tree, static like what ships; the second copy has other embedded files. Nothing is written into the tree.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = f"{os.uname().machine}-unknown-linux-musl"
PLACE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute() / "release-tests"
SOURCES = ("Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo", "src", "embedded", "dist")
# Before every commit of the sources: what a build says about its date decides which clocks it believes.
EPOCH = "1760000000"

# What 1.1.0 brings: a guide that nobody edits, and one that somebody does.
NEWS = "\nNews of release 1.1.0.\n"
CHANGED = ("docs/faq.md", "docs/operations.md")


def command(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{words} failed: {done.stdout}{done.stderr}")
    return done.stdout


def files_below(top):
    return (path for path in top.rglob("*") if path.is_file()) if top.is_dir() else [top]


def copy_sources(to, change):
    """The tree as it is now, with `change` applied; a file that is the same keeps its time, so that nothing is built twice."""
    wanted = {}
    for name in SOURCES:
        for path in files_below(ROOT / name):
            wanted[path.relative_to(ROOT)] = path.read_bytes()
    change(wanted)
    for name, content in wanted.items():
        path = to / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    for path in list(files_below(to)):
        if path.relative_to(to) not in wanted:
            path.unlink()


def fingerprint(source, *facts):
    """Everything that a build is made of: the same text, the same executable."""
    whole = hashlib.sha256(repr(facts).encode() + command("rustc", "-vV", cwd=source).encode())
    for path in sorted(files_below(source)) + [facts[-1] / "keys.json"]:
        whole.update(repr((str(path), hashlib.sha256(path.read_bytes()).hexdigest())).encode())
    return whole.hexdigest()


def with_news(files):
    for name in CHANGED:
        path = Path("embedded") / name
        files[path] = files[path] + NEWS.encode()
    # What runs changes too, so that a running gateway has to take the release over.
    start = Path("embedded/start-gateway.sh")
    files[start] = files[start] + b"# of 1.1.0\n"


class Builds:
    """The builder, the keys, and the executables of 1.0.0 and 1.1.0."""

    def __init__(self):
        PLACE.mkdir(parents=True, exist_ok=True)
        self.lock = (PLACE / "lock").open("w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.dist = self.builder()
        self.keys = PLACE / "keys"
        if not (self.keys / "keys.json").exists():
            shutil.rmtree(self.keys, ignore_errors=True)
            command(self.dist, "keygen", "--out", self.keys)
        self.binaries = {"1.0.0": self.client("1.0.0", 1, lambda files: None), "1.1.0": self.client("1.1.0", 2, with_news)}

    def builder(self):
        if given := os.environ.get("GWINSTALL_DIST"):
            return Path(given)
        subprocess.run(["cargo", "build", "--locked", "--quiet", "--package", "gwinstall-dist"], cwd=ROOT, check=True)
        return PLACE.parent / "debug/gwinstall-dist"

    def client(self, version, seq, change, *features):
        """The executable of a release; with a feature, of one without a guarantee, for a negative control."""
        source, output = PLACE / f"source-{version}", PLACE / "build"
        copy_sources(source, change)
        binary = PLACE / "-".join(["gwinstall", version, *features])
        variables = os.environ | {
            "CARGO_TARGET_DIR": str(output),
            "CARGO_PROFILE_DEV_DEBUG": "false",
            "CARGO_PROFILE_DEV_STRIP": "symbols",
            "CARGO_INCREMENTAL": "0",
            "GWINSTALL_RELEASE_VERSION": version,
            "GWINSTALL_RELEASE_SEQ": str(seq),
            "GWINSTALL_KEYS": str(self.keys / "keys.json"),
            "SOURCE_DATE_EPOCH": EPOCH,
        }
        for name in ("GWINSTALL_REPO", "GWINSTALL_COMMIT", "RUSTFLAGS", "CARGO_BUILD_TARGET"):
            variables.pop(name, None)
        words = ["cargo", "build", "--locked", "--quiet", "--bin", "gwinstall", "--target", TARGET]
        for feature in features:
            words += ["--features", feature]
        # Cargo would build anew each time: to it the copies are one package, whose variables change all the time.
        stamp, wanted = PLACE / f"{binary.name}.stamp", fingerprint(source, words, version, seq, self.keys)
        if not (binary.exists() and stamp.exists() and stamp.read_text() == wanted):
            subprocess.run(words, cwd=source, env=variables, check=True)
            shutil.copy2(output / TARGET / "debug/gwinstall", binary)
            stamp.write_text(wanted)
        return binary

    def control(self, feature):
        """The executables for a negative control: 1.0.0 lacks a guarantee."""
        return self.binaries | {"1.0.0": self.client("1.0.0", 1, lambda files: None, feature)}

    def shipped(self, version, seq, target):
        """An executable in the profile that ships, by the builder's own way."""
        output = PLACE / f"shipped-{target}"
        command(
            self.dist, "build", "--root", ROOT, "--version", version, "--seq", seq, "--keys", self.keys, "--out", output,
            "--target", target, "--allow-dirty", env=os.environ | {"SOURCE_DATE_EPOCH": EPOCH},
        )  # fmt: skip
        return output / f"gwinstall-{version}-{target}"

    def bundle(self, version):
        return PLACE / f"source-{version}/embedded"

    def release(self, version, site, bundle=None, keys=None, binary=None, *more):
        """Adds a release to a served layout; without `binary`, with the executable of that version."""
        bundle = bundle or self.bundle(version)
        return command(
            self.dist, "release", "--root", ROOT, "--version", version, "--keys", keys or self.keys, "--out", site,
            "--bundle-dir", bundle, "--binary", f"{TARGET}={binary or self.binaries[version]}", "--allow-dirty", *more,
        )  # fmt: skip
