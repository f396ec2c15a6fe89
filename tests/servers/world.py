"""A server in a directory: a root, the programs of the machine as stand-ins, and LiteLLM's health answers from a real HTTP server."""
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "embedded" / "servers"
SHELLS = (["dash"], ["busybox", "sh"])
KEY = "sk-" + "5ec2e7" * 8
REPOSITORY = "registry.example/litellm"

# Keeps what the scripts ask of the container engine as files in $STUB: a service runs the image that .image named when it started.
ENGINE = r"""#!/bin/sh
printf '%s\n' "$*" >>"$STUB/calls"
stop_here() { if [ -e "$STUB/kill-at-$1" ]; then rm -f "$STUB/kill-at-$1"; kill -9 "$(cat "$STUB/victim")"; sleep 0.2; exit 1; fi; }
id_of() { printf %s "$1" | sha256sum | cut -c 1-64; }
case $1 in
pull)
	stop_here pull
	[ ! -e "$STUB/pull-fails" ] || exit 1
	grep -qxF "$2" "$STUB/images" 2>/dev/null || printf '%s\n' "$2" >>"$STUB/images" ;;
image)
	case $2 in
	inspect)
		for last; do :; done
		grep -qxF "$last" "$STUB/images" || exit 1
		echo "sha256:$(id_of "$last")" ;;
	rm)
		while read -r image; do [ "$image" = "$3" ] || printf '%s\n' "$image"; done <"$STUB/images" >"$STUB/images.new"
		mv "$STUB/images.new" "$STUB/images" ;;
	esac ;;
inspect) echo 2026-01-01T00:00:00.5Z ;;
compose)
	shift
	while [ "$1" = --env-file ]; do [ -f "$2" ] || { echo "no $2" >&2; exit 1; }; shift 2; done
	image=$(sed -n 's/^LITELLM_IMAGE=//p' .image)
	case $1 in
	up)
		for last; do :; done
		stop_here up
		case $last in litellm*) printf '%s\n' "$image" >"$STUB/service-$last"; cp config/litellm.yaml "$STUB/config-$last" ;; redis) grep ^REDIS_PASSWORD= secrets.env >"$STUB/redis" ;; esac
		[ ! -e "$STUB/up-fails" ] || exit 1 ;;
	stop) shift; for service; do rm -f "$STUB/service-$service"; done ;;
	ps) if [ "$2" = -q ]; then echo container; else echo nginx; fi ;;
	logs) i=0; while [ $i -lt 30 ]; do i=$((i + 1)); echo "line $i of the log SECRET_IN_LOG"; done | sed "s/SECRET_IN_LOG/$(sed -n 's/^LITELLM_MASTER_KEY=//p' secrets.env)/" ;;
	run) stop_here run; printf '%s\n' "$image" >>"$STUB/migrations"; [ ! -e "$STUB/migration-fails" ] ;;
	exec)
		shift 2
		service=$1 program=$2
		shift 2
		[ "$service" = postgres ] || exit 0
		stop_here "$program"
		exec setpriv --reuid postgres --regid postgres --clear-groups env PGHOST="$PGHOST_OF_TEST" PGPORT="$PGPORT_OF_TEST" "$PG_BIN/$program" "$@" ;;
	esac ;;
esac
"""
# The same for systemd: an instance runs the release that the link venv named when it started.
SYSTEMCTL = r"""#!/bin/sh
printf 'systemctl %s\n' "$*" >>"$STUB/calls"
case $1 in
restart) service=${2%.service}; basename "$(readlink "$ROOT_OF_TEST/venv")" >"$STUB/service-${service#litellm-gateway@}"
	cp "$ROOT_OF_TEST/config/litellm.yaml" "$STUB/config-${service#litellm-gateway@}" ;;
stop) service=${2%.service}; rm -f "$STUB/service-${service#litellm-gateway@}" ;;
show) echo 1000000 ;;
esac
"""
JOURNALCTL = "#!/bin/sh\necho 'a line of the journal'\n"


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers as the version that runs on this port does: server.versions says how each behaves."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        world = self.server.world
        running = world.running(self.server.server_port)
        world.seen.append((self.server.server_port, self.path, running))
        how = world.behaviour(running, self.server.server_port)
        if how == "hang":
            time.sleep(20)
            return
        if running is None or how == "down":
            self.close_connection = True
            self.connection.close()
            return
        if self.path == "/v1/models":
            allowed = self.headers.get("Authorization") == "Bearer " + world.key_in_use() or self.headers.get("x-api-key") == "sk-ant-good"
            return self.say(200 if allowed else 401, {})
        status, body = {
            "good": (200, {"status": "healthy", "db": "connected", "litellm_version": "1.106.2"}),
            "no database": (200, {"status": "healthy", "db": "Not connected", "litellm_version": "1.106.2"}),
            "broken": (503, {"error": "cannot use " + KEY + " at postgresql://u:" + "pw12345@h/db", "pad": "x" * 5000}),
        }[how]
        self.say(status, body)

    def do_POST(self):
        world = self.server.world
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        world.posts.append((self.path, self.headers.get("Authorization"), json.loads(body)))
        status, answer = world.answers.get(self.path, (200, {}))
        self.say(status, answer)

    def say(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class World(unittest.TestCase):
    layout = "compose"
    instances = 1

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="servers-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.dir.chmod(0o755)
        self.root, self.stub, self.bin = (self.dir / n for n in ("root", "stub", "bin"))
        for each in (self.root / "config", self.root / "data", self.stub, self.bin):
            each.mkdir(parents=True)
        shutil.copytree(SCRIPTS, self.root / "scripts")
        self.program("docker", ENGINE)
        self.program("systemctl", SYSTEMCTL)
        self.program("journalctl", JOURNALCTL)
        (self.stub / "images").touch()
        (self.root / "compose.yaml").write_text("services: {}\n")
        (self.root / "config" / "litellm.yaml").write_text("model_list: [] # first\n")
        self.env_file = self.root / "secrets.env"
        self.write_env(LITELLM_MASTER_KEY=KEY, LITELLM_SALT_KEY="salt-of-the-test", REDIS_PASSWORD="redispw1")
        self.versions, self.seen, self.posts, self.answers, self.slow_start = {}, [], [], {}, 0
        self.ports, self.servers = [], []
        for _ in range(self.instances):
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
            server.daemon_threads, server.world = True, self
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
            self.addCleanup(server.server_close)
            self.addCleanup(server.shutdown)
            self.ports.append(server.server_port)
        self.values = {
            "LAYOUT": self.layout, "ROOT": self.root, "PORTS": " ".join(map(str, self.ports)), "HEALTH_SECONDS": 1, "HEALTH_PAUSES": 0,
            "IMAGE": REPOSITORY + ":v1" if self.layout == "compose" else "1.0.0",
        }
        self.write_values()

    def program(self, name, text):
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    def write_values(self, **more):
        self.values.update(more)
        (self.root / "scripts" / "server.env").write_text("".join(f"{k}={v}\n" for k, v in self.values.items()))

    def write_env(self, **values):
        self.env_file.write_text("".join(f"{k}={v}\n" for k, v in values.items()))
        self.env_file.chmod(0o600)

    def env_value(self, name):
        return dict(line.split("=", 1) for line in self.env_file.read_text().splitlines() if line)[name]

    # --- what LiteLLM does -----------------------------------------------------------------------------------------------------

    def running(self, port):
        place = self.ports.index(port)
        name = ("litellm" if place == 0 else f"litellm-{place + 1}") if self.layout == "compose" else str(port)
        try:
            return (self.stub / f"service-{name}").read_text().strip().rsplit(":", 1)[-1]
        except FileNotFoundError:
            return None

    def behaviour(self, version, port):
        how = self.versions.get((version, self.ports.index(port)), self.versions.get(version, "good"))
        return how(self) if callable(how) else how

    def key_in_use(self):
        return self.env_value("LITELLM_MASTER_KEY")

    def all_running(self):
        return [self.running(p) for p in self.ports]

    # --- running a script ------------------------------------------------------------------------------------------------------

    def environment(self, **more):
        return {"PATH": f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin", "STUB": str(self.stub), "ROOT_OF_TEST": str(self.root), "HOME": str(self.dir),
                "LANG": "C.UTF-8", **more}

    def command(self, script, *args, shell=SHELLS[0]):
        return [*shell, str(self.root / "scripts" / script), *map(str, args)]

    def run_script(self, script, *args, shell=SHELLS[0], stdin="", env=None):
        done = subprocess.run(self.command(script, *args, shell=shell), env=self.environment(**(env or {})), input=stdin, text=True,
                              capture_output=True, timeout=120, check=False)
        return done.returncode, done.stdout, done.stderr

    def ok(self, script, *args, **more):
        code, out, err = self.run_script(script, *args, **more)
        self.assertEqual(code, 0, f"{script} {args}\n{out}\n{err}")
        return out, err

    def calls(self):
        path = self.stub / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def events(self):
        path = self.root / "data" / "deployments.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def states(self):
        """The last state of every deployment, in order."""
        last = {}
        for event in self.events():
            last[event["id"]] = event["status"]
        return list(last.values())

    def release(self, version):
        """A finished release of the systemd layout."""
        bin_dir = self.root / "releases" / version / "bin"
        bin_dir.mkdir(parents=True)
        (bin_dir.parent / ".complete").touch()
        schema = bin_dir.parent / "lib/python3/site-packages/litellm/proxy/schema.prisma"
        schema.parent.mkdir(parents=True)
        schema.touch()
        for name in ("litellm", "python", "prisma"):
            (bin_dir / name).write_text('#!/bin/sh\nprintf "%s\\n" "$0 $*" >>"$STUB/calls"\n')
            (bin_dir / name).chmod(0o755)
