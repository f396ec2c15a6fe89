"""What the tests of install.sh share: releases signed with throw-away keys, homes, tool boxes, servers.

Nothing here touches the real HOME or the network beyond 127.0.0.1. Every run of install.sh gets its own home and an
environment of four variables, so that what a test needs is visible in the test.
"""

import concurrent.futures
import contextlib
import itertools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = f"{os.uname().machine}-unknown-linux-musl"
OTHER_USER = 4242

# A stand-in for gwinstall: says its version, and what it was asked and whether it could ask back.
FAKE = """#!/bin/sh
if [ "$1" = --version ]; then echo "gwinstall {version}"; exit 0; fi
printf 'ran {version}:'
for word in "$@"; do printf ' [%s]' "$word"; done
if [ -t 0 ]; then printf ' tty'; fi
echo
"""

CATALOG = """schema: 1
as_of: "2026-11-21"
presets: []
models: []
environment: []
client_models: {}
files:
  - {path: docs/readme.md, class: doc}
"""

# What install.sh calls besides its fetcher and its verifier; nothing else is on the PATH of a tool box.
TOOLS = """awk cat chmod cmp cp cut date dirname getent grep head id ls mkdir mv od printf pwd readlink rm rmdir sed
sha256sum sleep sync tail timeout tr uname wc env sh""".split()


class Result:
    """How one run of install.sh ended."""

    def __init__(self, code, out, err, home):
        self.code, self.out, self.err, self.home = code, out, err, home
        self.executable = home / ".local/bin/gwinstall"

    def __str__(self):
        return f"exit {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}"


def snapshot(directory):
    """Every path below a directory with what a change would show in: kind, mode, size, inode, times, link."""
    seen = {}
    for path in sorted(directory.rglob("*")):
        facts = path.lstat()
        link = os.readlink(path) if path.is_symlink() else None
        seen[str(path.relative_to(directory))] = (facts.st_mode, facts.st_size, facts.st_ino, facts.st_mtime_ns, link)
    return seen


def command(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{words} failed: {done.stdout}{done.stderr}")
    return done.stdout


class World:
    """One directory with everything in it; removed at the end."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="gwinstall-sh-"))
        # Another user must be able to reach the releases.
        self.dir.chmod(0o755)
        self.numbers = itertools.count(1)
        self.dist = self.build_dist()
        self.keys = self.dir / "keys"
        command(self.dist, "keygen", "--out", self.keys)
        (self.dir / "bundle/docs").mkdir(parents=True)
        (self.dir / "bundle/catalog.yaml").write_text(CATALOG)
        (self.dir / "bundle/docs/readme.md").write_text("A file.\n")
        self.site = self.dir / "site"
        for version in ("1.0.0", "1.1.0"):
            self.release(version, self.site)
        self.script = self.site / "install.sh"
        self.shells = self.find_shells()
        self.boxes = {}
        # Cases run side by side.
        self.boxing, self.tls = threading.Lock(), threading.Lock()

    def build_dist(self):
        if given := os.environ.get("GWINSTALL_DIST"):
            return pathlib.Path(given)
        subprocess.run(["cargo", "build", "--locked", "--quiet", "--package", "gwinstall-dist"], cwd=ROOT, check=True)
        target = os.environ.get("CARGO_TARGET_DIR", "target")
        return ROOT / target / "debug/gwinstall-dist"

    def fake(self, version):
        path = self.dir / f"fake-{version}"
        path.write_text(FAKE.format(version=version))
        path.chmod(0o755)
        return path

    def release(self, version, site, keys=None):
        command(
            self.dist, "release", "--root", ROOT, "--version", version, "--keys", keys or self.keys, "--out", site,
            "--bundle-dir", self.dir / "bundle", "--binary", f"{TARGET}={self.fake(version)}", "--allow-dirty",
        )  # fmt: skip

    def find_shells(self):
        """Name and command line of every shell that is here. zsh under the name sh is zsh in sh mode."""
        known = {"dash": ["dash"], "busybox ash": ["busybox", "ash"], "bash": ["bash"], "zsh": ["zsh"]}
        known |= {name: [name] for name in ("mksh", "yash", "ksh")}
        shells = {name: [shutil.which(words[0]), *words[1:]] for name, words in known.items() if shutil.which(words[0])}
        if "zsh" in shells:
            alias = self.dir / "zsh-as-sh/sh"
            alias.parent.mkdir()
            alias.symlink_to(shells["zsh"][0])
            shells["zsh as sh"] = [str(alias)]
        return shells

    def box(self, *extra, tools=TOOLS, busybox=False):
        """A directory for PATH with exactly these programs; with busybox, all of the tools are its own."""
        key = (extra, tuple(tools), busybox)
        with self.boxing:
            if key not in self.boxes:
                self.boxes[key] = self.new_box(*key)
            return self.boxes[key]

    def new_box(self, extra, tools, busybox):
        box = self.dir / f"box-{len(self.boxes)}"
        box.mkdir()
        for name in tools:
            source = shutil.which("busybox") if busybox else shutil.which(name)
            # busybox has no getent; the script must do without.
            if source and not (busybox and name == "getent"):
                (box / name).symlink_to(source)
        for name in extra:
            source = shutil.which("busybox" if busybox and name == "wget" else name)
            (box / name).symlink_to(source)
        return box

    def number(self):
        return next(self.numbers)

    def together(self, jobs):
        """What these functions return, run side by side: most of their time is waiting."""
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return [job.result() for job in [pool.submit(job) for job in jobs]]

    def home(self, name="home"):
        home = self.dir / f"h{self.number()}" / name
        home.mkdir(parents=True)
        return home

    def install(self, *args, base=None, home=None, shell="dash", path=None, script=None, prefix=(), piped=True, **env):
        """Runs install.sh, without a terminal, and waits for its end. A variable given as None is left out."""
        home = home or self.home()
        script = pathlib.Path(script or self.script)
        variables = {"HOME": str(home), "PATH": str(path or self.box("curl", "openssl")), "SHELL": "/bin/bash"}
        variables["GWINSTALL_BASE_URL"] = str(base or self.site)
        for name, value in env.items():
            variables[name] = None if value is None else str(value)
        variables = {name: value for name, value in variables.items() if value is not None}
        words = [*map(str, prefix), *self.shells[shell], *(["-s", "--", *args] if piped else [str(script), *args])]
        done = subprocess.run(
            words, input=script.read_bytes() if piped else b"", capture_output=True, env=variables, cwd=home,
            start_new_session=True, timeout=300, check=False,
        )  # fmt: skip
        text = [stream.decode(errors="replace") for stream in (done.stdout, done.stderr)]
        return Result(done.returncode, *text, home)

    @contextlib.contextmanager
    def served(self, *faults, site=None):
        """The releases over plain HTTP on this machine; yields the base URL and the list of requests so far."""
        log = (self.dir / f"server-{self.number()}.log").open("w+")
        words = [self.dist, "serve", site or self.site]
        for fault in faults:
            words += ["--fault", fault]
        server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            base = server.stdout.readline().strip()

            def requests():
                log.flush()
                return re.findall(r"^\w+ (/\S*)", pathlib.Path(log.name).read_text(), re.MULTILINE)

            yield base, requests
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
            log.close()

    @contextlib.contextmanager
    def served_with_tls(self, plain="http://127.0.0.1:9"):
        """The releases from nginx over TLS with a throw-away authority; yields the base URL and the authority's file. Below
        /down/ it redirects to `plain`, below /moved/ to itself. One at a time: its files are always the same."""
        with self.tls, self.nginx(plain) as served:
            yield served

    @contextlib.contextmanager
    def nginx(self, plain):
        tls = self.dir / "tls"
        if not tls.exists():
            make_authority(tls)
        port = free_port()
        (tls / "nginx.conf").write_text(NGINX.format(tls=tls, site=self.site, port=port, plain=plain))
        nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        server = subprocess.Popen(
            [nginx, "-p", tls, "-c", tls / "nginx.conf", "-e", tls / "error.log"], stderr=subprocess.DEVNULL
        )
        try:
            wait_for_port(port, server)
            yield f"https://localhost:{port}", tls / "ca.pem"
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait()

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


NGINX = """daemon off;
pid {tls}/nginx.pid;
worker_processes 1;
events {{}}
http {{
    access_log off;
    default_type application/octet-stream;
    client_body_temp_path {tls}/body;
    proxy_temp_path {tls}/proxy;
    fastcgi_temp_path {tls}/fastcgi;
    uwsgi_temp_path {tls}/uwsgi;
    scgi_temp_path {tls}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name localhost;
        ssl_certificate {tls}/server.pem;
        ssl_certificate_key {tls}/server.key;
        # The TLS inside busybox names no signature algorithms, which the default level of OpenSSL 3 does not serve.
        ssl_ciphers DEFAULT:@SECLEVEL=0;
        root {site};
        location ~ ^/down(/.*)$ {{ return 302 {plain}$1; }}
        location ~ ^/moved(/.*)$ {{ return 301 $1; }}
        location ~ ^/absolute(/.*)$ {{ return 307 https://localhost:{port}/moved$1; }}
        absolute_redirect off;
    }}
}}
"""


def make_authority(tls):
    tls.mkdir()
    new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-batch"]
    command(*new, "-x509", "-days", "2", "-subj", "/CN=throw-away authority", "-keyout", tls / "ca.key", "-out", tls / "ca.pem")
    command(*new, "-subj", "/CN=localhost", "-keyout", tls / "server.key", "-out", tls / "server.csr")
    (tls / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    command(
        "openssl", "x509", "-req", "-in", tls / "server.csr", "-CA", tls / "ca.pem", "-CAkey", tls / "ca.key",
        "-CAcreateserial", "-days", "2", "-extfile", tls / "names", "-out", tls / "server.pem",
    )  # fmt: skip
    # The workers of nginx run as another user.
    for path in tls.iterdir():
        path.chmod(0o644)


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, server):
    import socket
    import time

    for _ in range(100):
        if server.poll() is not None:
            raise RuntimeError("nginx ended at once")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("nginx does not answer")
