"""What the cases share: a served site, a machine that installs from it, and what a case may say about both.

A machine has one home, always at the same path, so that a state can be put aside and put back. Its environment is the few
variables below: what a case needs beyond them is visible in the case.
"""

import contextlib
import datetime
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from builds import ROOT, command

sys.path[1:1] = [str(ROOT / "tests" / other) for other in ("install_sh", "faults")]

from world import free_port, make_authority, wait_for_port  # noqa: E402

NOTE = "\nA line of mine.\n"
KEPT = ("docs/security-best-practices.md", "config/litellm.yaml")
NEW = ("docs/faq.md", "docs/operations.md")

NGINX = """daemon off;
pid {place}/nginx.pid;
worker_processes 1;
events {{}}
http {{
    log_format bytes '$request_method $uri $status $bytes_sent $body_bytes_sent';
    access_log {place}/requests bytes;
    default_type application/octet-stream;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name localhost;
        ssl_certificate {place}/tls/server.pem;
        ssl_certificate_key {place}/tls/server.key;
        root {site};
    }}
}}
"""


class Result:
    """How one run ended."""

    def __init__(self, done):
        self.code = done.returncode
        self.out, self.err = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))

    def __str__(self):
        return f"exit {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}"

    def json(self):
        return json.loads(self.out)


class Machine:
    """A home with, after `install`, a gwinstall of its own."""

    def __init__(self, home, base, authority):
        self.home, self.saved = home, home.parent / "saved"
        self.env = {
            "HOME": str(home),
            "PATH": "/usr/bin:/bin",
            "SHELL": "/bin/bash",
            "LANG": "C.UTF-8",
            "GWINSTALL_BASE_URL": str(base),
            "GWINSTALL_CA_BUNDLE": str(authority),
        }
        self.executable = home / ".local/bin/gwinstall"
        self.gateway = home / ".claude/gateway"
        self.state = home / ".local/state/gwinstall"

    def shell(self, script, enter=(), **env):
        return self.start([*enter, "sh", "-c", script], env)

    def run(self, *arguments, enter=(), **env):
        return self.start([*enter, self.executable, *arguments], env)

    def start(self, words, env):
        variables = {name: str(value) for name, value in (self.env | env).items() if value is not None}
        words = [str(word) for word in words]
        try:
            done = subprocess.run(
                words, env=variables, cwd=self.home, stdin=subprocess.DEVNULL,
                capture_output=True, start_new_session=True, timeout=300, check=False,
            )  # fmt: skip
        except OSError as error:
            # What a shell would say of a file that is missing or cannot be run.
            done = subprocess.CompletedProcess(words, 126, b"", str(error).encode())
        return Result(done)

    def empty(self):
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)

    def put_executable(self, binary):
        self.executable.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(binary, self.executable)

    def edit(self, *names):
        for name in names:
            path = self.gateway / name
            comment = "# " if name.endswith(".yaml") else ""
            path.write_text(path.read_text() + NOTE.replace("A line", f"{comment}A line"))

    def save(self, name):
        place = self.saved / name
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.home, place, symlinks=True)

    def restore(self, name):
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self.saved / name, self.home, symlinks=True)

    def version(self):
        return self.run("--version").out.strip().removeprefix("gwinstall ")

    def seq(self):
        """The number of the deployed bundle."""
        return json.loads((self.gateway / "deployment-manifest.json").read_text())["bundle"]["seq"]

    def matches(self, version):
        """Whether executable and configuration are both of this release."""
        return self.version() == version and self.seq() == {"1.0.0": 1, "1.1.0": 2}[version]

    def memory(self):
        return json.loads((self.state / "trust.json").read_text())

    def look(self):
        """What must be as before after a refusal: every path with its content but what a machine may learn from a question."""
        seen = {}
        for path in sorted(self.home.rglob("*")):
            name = str(path.relative_to(self.home))
            if path.is_file() and not name.startswith(".local/state/"):
                seen[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return seen


class World:
    """One directory with sites, a server and a machine in it; removed at the end."""

    def __init__(self, directory, builds):
        self.dir, self.builds = directory, builds
        # The workers of nginx run as another user.
        self.dir.chmod(0o755)
        self.site, self.moment = self.dir / "site", int(time.time()) - 10_000
        self.first, self.both = self.dir / "site-1.0.0", self.dir / "site-1.1.0"
        builds.release("1.0.0", self.first)
        shutil.copytree(self.first, self.both)
        builds.release("1.1.0", self.both)
        # Made within one second of each other, they would be of one age: what is older has to look so.
        self.channel(lambda channel: channel.update(at=day(-1)), self.first)
        make_authority(self.dir / "tls")
        self.port = free_port()
        self.base = f"https://localhost:{self.port}"
        self.serve_first()
        self.server = self.start_server()
        self.machine = Machine(self.dir / "machine/home", self.base, self.dir / "tls/ca.pem")
        self.prepare()

    def serve(self, source):
        """What the web server has from now on: a copy of a site, which a case may spoil."""
        shutil.rmtree(self.site, ignore_errors=True)
        shutil.copytree(source, self.site)
        # An ETag of nginx is a length and a second: what was made within one second must not look the same.
        self.moment += 1
        for path in self.site.glob("channel-*"):
            os.utime(path, (self.moment, self.moment))

    def serve_first(self):
        self.serve(self.first)

    def serve_both(self):
        self.serve(self.both)

    def start_server(self):
        (self.dir / "nginx.conf").write_text(NGINX.format(place=self.dir, site=self.site, port=self.port))
        nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        words = [nginx, "-p", self.dir, "-c", self.dir / "nginx.conf", "-e", self.dir / "error.log"]
        server = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        wait_for_port(self.port, server)
        return server

    def prepare(self):
        """The state that most cases begin with: 1.0.0 deployed, a guide and the configuration edited, nothing asked yet."""
        machine = self.machine
        machine.empty()
        machine.put_executable(self.builds.binaries["1.0.0"])
        done = machine.run("install", "--preset", "basic", "--on", "--yes")
        if done.code != 0:
            raise RuntimeError(f"1.0.0 does not install: {done}")
        machine.edit(*KEPT)
        machine.save("installed")

    def requests(self, since=0):
        """Method, path, status, bytes with header, bytes of the body of every request after the first `since`."""
        time.sleep(0.05)
        rows = (line.split() for line in (self.dir / "requests").read_text().splitlines())
        return [(row[0], row[1], int(row[2]), int(row[3]), int(row[4])) for row in rows][since:]

    @contextlib.contextmanager
    def counted(self):
        """Yields a list that holds the requests made inside."""
        before, made = len(self.requests()), []
        yield made
        made += self.requests(before)

    def sign(self, path, key, keys=None):
        command(self.builds.dist, "sign", path, "--key", (keys or self.builds.keys) / f"{key}.key")

    def rewrite(self, path, key, change, keys=None):
        """Signs a document again after `change` to its fields: authentic, and as an attacker or a mistake would have it."""
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document, indent=2) + "\n")
        self.sign(path, key, keys)
        return document

    def channel(self, change, site=None, keys=None):
        return self.rewrite((site or self.site) / "channel-stable.json", "channel", change, keys)

    def close(self):
        self.server.send_signal(signal.SIGQUIT)
        self.server.wait()


def day(days):
    """A moment so many days from now, as signed documents write it."""
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


CONNECTS = re.compile(r"^(?:\d+ +)?(?:connect|sendto)\((.*)$", re.MULTILINE)


def addresses(trace):
    """The network addresses that a trace of `connect` and `sendto` went to; sockets of this machine's own are not network."""
    found = set()
    for call in CONNECTS.findall(trace.read_text(errors="replace")):
        address = re.search(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"', call)
        port = re.search(r"sin6?_port=htons\((\d+)\)", call)
        if address and port:
            found.add((address.group(1) or address.group(2), int(port.group(1))))
    return found


def without_network():
    """The start of a command line that runs the rest where there is no network at all, or nothing if that cannot be."""
    words = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    return words if subprocess.run([*words, "true"], capture_output=True).returncode == 0 else None
