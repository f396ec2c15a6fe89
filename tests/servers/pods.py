"""Podman with a storage, networks and namespaces of its own, and images that stand in for those that the rendered files name.

    pods.py compose|kube BINARY        what `tests/servers/run full` calls inside the namespaces

Promises: the machine's containers, images, networks and ports are neither used nor changed, and nothing runs or stays afterwards.
What differs from a server: each image is one base of this machine's programs, LITELLM_VENV's packages among them, because there is no
registry; podman has its health checks run by timers of systemd, here a thread runs them; network_ids.py corrects a podman before 5.4; where the kernel has both kinds of
cgroups, the second kind is hidden, because crun takes one kind.
"""
import contextlib
import importlib
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from network_ids import NetworkIds
from stage import HERE, VENV, Wrong, ran, within

# What a rendered file names: the image of each store and of the front as it is published.
STORES = {"docker.io/library/postgres:16-alpine": "postgres", "docker.io/library/redis:7-alpine": "redis", "docker.io/library/nginx:1.28-alpine": "nginx"}
GATEWAY = "ghcr.io/berriai/litellm"
# The address under which a container reaches this machine.
OUTSIDE = "198.51.100.1"
PROGRAMS = """sh awk cat chmod chown cp cut date dirname env find getent grep head id kill ls mkdir mv node openssl printf ps readlink rm sed
    setpriv sleep sort stat tail test timeout touch tr uname wc nginx redis-server redis-cli""".split()
OF_POSTGRESQL = "createdb dropdb initdb pg_ctl pg_dump pg_isready pg_restore postgres psql".split()
ACCOUNTS = {"root": 0, "postgres": 70, "nginx": 101, "redis": 999, "nobody": 65534}
# As the image of nginx is set up: the sites are in conf.d, the logs on the output.
NGINX = """user nginx;
worker_processes auto;
error_log /dev/stderr notice;
pid /run/nginx.pid;
events { worker_connections 1024; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /dev/stdout;
    sendfile on;
    keepalive_timeout 65;
    include /etc/nginx/conf.d/*.conf;
}
"""
# As the image of PostgreSQL begins: an empty directory becomes a database, and the account of the same name runs it.
POSTGRES = """#!/bin/sh
set -eu
cd /
mkdir -p "$PGDATA"
chown -R postgres:postgres "$PGDATA"
chmod 700 "$PGDATA"
as() { setpriv --reuid postgres --regid postgres --clear-groups "$@"; }
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	(umask 077 && printf '%s\\n' "$POSTGRES_PASSWORD" >/run/password)
	chown postgres /run/password
	as initdb -D "$PGDATA" -U "$POSTGRES_USER" -A trust --no-locale -E UTF8 --pwfile=/run/password
	rm /run/password
	printf 'host all all all scram-sha-256\\n' >>"$PGDATA/pg_hba.conf"
	sed -i '/^host.*127.0.0.1\\|^host.*::1/d' "$PGDATA/pg_hba.conf"
	as pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start
	[ "$POSTGRES_DB" = postgres ] || as createdb -U "$POSTGRES_USER" --maintenance-db=postgres "$POSTGRES_DB"
	as pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec setpriv --reuid postgres --regid postgres --clear-groups postgres -D "$PGDATA" -c 'listen_addresses=*'
"""
SETTINGS = {
    "postgres": 'ENV PGDATA=/var/lib/postgresql/data\nVOLUME /var/lib/postgresql/data\nSTOPSIGNAL SIGINT\nENTRYPOINT ["/opt/postgres-entry"]\n',
    "redis": 'VOLUME /data\nWORKDIR /data\nCMD ["redis-server"]\n',
    "nginx": 'STOPSIGNAL SIGQUIT\nCMD ["nginx", "-g", "daemon off;"]\n',
}
# Prisma's engines, under the names that its client and LiteLLM ask for.
ENGINES = ("PRISMA_QUERY_ENGINE_BINARY", "PRISMA_QUERY_ENGINE_LIBRARY", "PRISMA_SCHEMA_ENGINE_BINARY", "PRISMA_FMT_BINARY")


class Podman:
    def __init__(self, scratch):
        self.place, self.over, self.threads = scratch / "podman", threading.Event(), []
        self.place.mkdir()
        self.socket = self.place / "socket"
        where = {"root": "storage", "runroot": "run", "tmpdir": "tmp", "network-config-dir": "networks"}
        self.options = [f"--{name}={self.place / directory}" for name, directory in where.items()] + ["--cgroup-manager=cgroupfs"]
        self.program, self.serving = shutil.which("podman"), None

    def __call__(self, *words, seconds=600, **more):
        return ran([self.program, *self.options, *words], seconds, **more)

    def both(self, *words):
        """What podman says on both of its outputs."""
        return ran(["sh", "-c", 'exec "$0" "$@" 2>&1', self.program, *self.options, *words])

    def as_program(self, place, compose):
        """`podman` for the shipped scripts: `podman compose` hands over to the provider, as podman 4.7 and later does by itself."""
        text = f'#!/bin/sh\nexport DISABLE_HC_SYSTEMD=true\nif [ "$1" = compose ]; then\n\tshift\n\tDOCKER_HOST=unix://{self.place}/docker exec "{compose}" "$@"\nfi\n'
        place.write_text(f'{text}exec {self.program} {" ".join(self.options)} "$@"\n')
        place.chmod(0o755)

    def version(self):
        return tuple(int(number) for number in re.findall(r"\d+", self("--version"))[:2])

    def serve(self):
        """The socket that Compose talks to, and the health checks."""
        command = [self.program, *self.options, "system", "service", "--time=0", f"unix://{self.socket}"]
        with open(self.place / "service.log", "ab") as log:
            self.serving = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        within(60, self.socket.exists, "podman's socket is there")
        if self.version() < (5, 4):
            NetworkIds(self.socket, self.place / "docker")
        else:
            (self.place / "docker").symlink_to(self.socket)
        self.threads.append(threading.Thread(target=self.check_health, daemon=True))
        self.threads[-1].start()

    def check_health(self):
        while not self.over.wait(4):
            with contextlib.suppress(Wrong, subprocess.TimeoutExpired):
                for name in self("ps", "-q").split():
                    with contextlib.suppress(Wrong):
                        self("healthcheck", "run", name, seconds=30)

    def close(self):
        self.over.set()
        for thread in self.threads:
            thread.join(60)
        if self.serving:
            self.serving.terminate()
            self.serving.wait(20)
        for words in (("pod", "rm", "-a", "-f", "-t", "1"), ("rm", "-a", "-f", "-t", "1"), ("volume", "prune", "-f"), ("network", "prune", "-f")):
            with contextlib.suppress(Wrong, subprocess.TimeoutExpired):
                self(*words)
        subprocess.run(["umount", "-q", self.place / "storage/overlay"])


# --- the images ------------------------------------------------------------------------------------------------------------------------


def libraries_into(tree, programs):
    """What the programs are linked with, in the directory that every loader looks into."""
    named = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True).stdout
    for path in set(re.findall(r"(?m)^\s+(?:\S+ => )?(/\S+) \(0x", named)):
        loader = path.startswith("/lib64/")
        target = tree / (path.lstrip("/") if loader else f"usr/lib/{Path(path).name}")
        if VENV not in path and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


def copied(source, target):
    """The directory, by hard links where that is possible."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["cp", "-al", source, target], capture_output=True).returncode:
        shutil.rmtree(target, ignore_errors=True)
        ran(["cp", "-a", source, target], 300)


def python_into(tree, client, engine):
    """LiteLLM as its image has it: below /app, with a client of Prisma that is generated."""
    facts = ran([f"{VENV}/bin/python", "-c", "import sys; print(sys.base_prefix, f'python{sys.version_info[0]}.{sys.version_info[1]}')"])
    prefix, name = Path(facts.split()[0]), facts.split()[1]
    copied(prefix / "lib" / name, tree / "opt/python/lib" / name)
    for part in ("test", "site-packages", "idlelib", *[path.name for path in (prefix / "lib" / name).glob("config-*")]):
        shutil.rmtree(tree / "opt/python/lib" / name / part, ignore_errors=True)
    (tree / "opt/python/bin").mkdir()
    shutil.copy(prefix / "bin" / name, tree / "opt/python/bin" / name)
    packages = tree / "app/.venv/lib" / name / "site-packages"
    copied(Path(VENV).resolve() / "lib" / name / "site-packages", packages)
    shutil.rmtree(packages / "prisma")
    copied(next(client.glob("lib/python3*/site-packages")) / "prisma", packages / "prisma")
    programs = tree / "app/.venv/bin"
    programs.mkdir()
    (programs.parent / "pyvenv.cfg").write_text("home = /opt/python/bin\ninclude-system-site-packages = false\n")
    for link in ("python", "python3", name):
        (programs / link).symlink_to(f"/opt/python/bin/{name}")
    (programs / "litellm").write_text("#!/app/.venv/bin/python\n" + (Path(VENV) / "bin/litellm").read_text().split("\n", 1)[1])
    shutil.copy(HERE / "engine/prisma", programs / "prisma")
    for program in ("litellm", "prisma"):
        (programs / program).chmod(0o755)
    (tree / "app/litellm").symlink_to(f".venv/lib/{name}/site-packages/litellm")
    copied(engine, tree / "opt/engine")
    native = [path for path in (tree / "opt/python").rglob("*.so") if path.is_file()]
    libraries_into(tree, [prefix / "bin" / name, *native, *packages.rglob("*.so")])


def base(tree, postgresql, client, engine):
    """The root directory that all images share."""
    for name in "usr/bin usr/lib usr/share etc/nginx/conf.d dev proc sys tmp root run var/lib/nginx var/log/nginx var/www data".split():
        (tree / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib"):
        (tree / name).symlink_to("usr/lib" if name == "lib" else "usr/bin")
    (tree / "usr/sbin").symlink_to("bin")
    (tree / "var/run").symlink_to("/run")
    (tree / "tmp").chmod(0o1777)
    found = {name: shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") for name in PROGRAMS}
    if missing := [name for name, path in found.items() if not path]:
        raise Wrong(f"not installed: {', '.join(missing)}")
    for name, path in found.items():
        shutil.copy(path, tree / "usr/bin" / name)
    libraries_into(tree, found.values())
    version = postgresql.parent.name
    for place in (f"usr/lib/postgresql/{version}", f"usr/share/postgresql/{version}", "usr/share/zoneinfo", "usr/share/nodejs", "usr/lib/locale/C.utf8"):
        if Path("/", place).exists():
            copied(Path("/", place), tree / place)
    for name in OF_POSTGRESQL:
        (tree / "usr/bin" / name).symlink_to(f"/usr/lib/postgresql/{version}/bin/{name}")
    libraries_into(tree, [*postgresql.glob("*"), *postgresql.parent.glob("lib/*.so")])
    shutil.copy("/etc/nginx/mime.types", tree / "etc/nginx")
    (tree / "etc/nginx/nginx.conf").write_text(NGINX)
    (tree / "etc/passwd").write_text("".join(f"{name}:x:{number}:{number}::/:/bin/sh\n" for name, number in ACCOUNTS.items()))
    (tree / "etc/group").write_text("".join(f"{name}:x:{number}:\n" for name, number in ACCOUNTS.items()))
    # Prisma's client asks these, and openssl, which engine fits.
    shutil.copy("/etc/os-release", tree / "etc/os-release")
    python_into(tree, client, engine)
    (tree / "opt/postgres-entry").write_text(POSTGRES)
    (tree / "opt/postgres-entry").chmod(0o755)
    (tree / "run/postgresql").mkdir()
    (tree / "run/postgresql").chmod(0o1777)


def images(podman, stage, versions, stores=()):
    """All images under the names of the rendered files. LiteLLM's is there in several versions, which differ in a label only."""
    scratch = stage.scratch / "images"
    scratch.mkdir()
    client = stage.release("client", scratch / "client")
    engine = stage.tools.node_packages("engine")
    base(scratch / "tree", Path(stage.tools.find("postgresql")), client, engine)
    archive = subprocess.Popen(["tar", "-c", "--owner=0", "--group=0", "-C", scratch / "tree", "."], stdout=subprocess.PIPE)
    podman("import", "-q", "-", "localhost/base", stdin=archive.stdout)
    if archive.wait(60):
        raise Wrong("tar could not read the base of the images")
    shutil.copy(stage.internet.ca_path, scratch / "authority.pem")
    (scratch / "authority.pem").chmod(0o644)
    variables = {"PATH": "/app/.venv/bin:/usr/bin", "LANG": "C.UTF-8", **dict.fromkeys(ENGINES, "/opt/engine/query-engine")}
    head = "FROM localhost/base\n" + "".join(f"ENV {name}={value}\n" for name, value in variables.items())
    gateway = f'{head}COPY authority.pem /opt/authority.pem\nWORKDIR /app\nENTRYPOINT ["litellm"]\n'
    wanted = {f"{GATEWAY}:{version}": f"{gateway}LABEL version={version}\n" for version in versions}
    wanted |= {image: head + SETTINGS[kind] for image, kind in STORES.items() if kind in stores}
    for image, text in wanted.items():
        (scratch / "Containerfile").write_text(text)
        podman("build", "-q", "--pull=never", "--layers=false", "--isolation=chroot", "-f", scratch / "Containerfile", "-t", image, scratch)
    shutil.rmtree(scratch / "tree")
    return wanted


# --- the namespaces ----------------------------------------------------------------------------------------------------------------------

# The first process of a namespace of processes adopts what podman leaves behind; a shell that waits does.
# The addresses and names of podman's networks are under /run, wherever else podman is told to work: those of a run that was killed would
# be answers to this one.
INSIDE = f"""ip link set lo up && ip addr add {OUTSIDE}/32 dev lo || exit
mkdir -p /run/containers && mount -t tmpfs none /run/containers || exit
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified || exit; fi
"$@" &
wait $!"""


def chain(word, binary, tools):
    """Runs this file in namespaces of its own; the kernel ends what is in them."""
    lacking = [program for program in ("podman", "catatonit", "nginx", "redis-server", "node", "ip") if not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")]
    lacking += [name for name in ("postgresql", {"compose": "docker-compose", "kube": "kubectl"}[word]) if not tools.find(name)]
    if lacking or platform.system() != "Linux":
        print(f"SKIP {word}: needs {', '.join(lacking)} (apt-get install podman catatonit)", flush=True)
        return
    namespaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if tried := subprocess.run([*namespaces, "true"], capture_output=True, text=True).stderr.strip():
        print(f"SKIP {word}: this kernel makes no namespaces ({tried})", flush=True)
        return
    here = [sys.executable, "-B", Path(__file__).resolve(), word, binary]
    before = set(Path("/sys/fs/cgroup").rglob("libpod_parent"))
    done = subprocess.run([*namespaces, "sh", "-c", INSIDE, "sh", *here], stdin=subprocess.DEVNULL, timeout=2400)
    # What is left of the cgroups of ended containers: empty directories.
    for left in set(Path("/sys/fs/cgroup").rglob("libpod_parent")) - before:
        subprocess.run(["find", left, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"], capture_output=True)
    if done.returncode:
        raise Wrong(f"the chain {word} ended with {done.returncode}")


def main(word, binary):
    os.environ["DISABLE_HC_SYSTEMD"] = "true"
    began = time.monotonic()
    try:
        importlib.import_module({"compose": "composed", "kube": "kube"}[word]).chain(binary)
    except (Wrong, subprocess.TimeoutExpired) as error:
        print(f"FAIL {error}", flush=True)
        return 1
    print(f"ok   {word}: {time.monotonic() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
