#!/usr/bin/env python3
"""gwinstall service under a real systemd: a container of this machine's /usr with two users, a boot and a reboot.

usage: tests/service_full.py GWINSTALL     (as root; prints "skipped: reason" where no container can run)
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
LITELLM = (TOP / "tests/fixtures/litellm.py").read_text()
# What a path may hold, and what each of systemd's directives reads differently. A colon would end a field of passwd.
HOSTILE = "/home/b ob%h $HOME \"q\" 'ü'"
USERS = {"ann": (1001, "/home/ann", 4000), "bob": (1002, HOSTILE, 4001)}
PASSES = 0


def skipped(reason):
    print(f"skipped: {reason}")
    sys.exit(0)


def check(what, holds, shown=""):
    global PASSES
    if not holds:
        print(f"FAILED: {what}\n{shown}")
        sys.exit(1)
    PASSES += 1
    print(f"ok: {what}", flush=True)


def within(seconds, holds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.3)
    return False


class Container:
    def __init__(self, root, binary):
        self.root, self.process = root, None
        for name in "etc var/lib/systemd/linger var/log proc sys dev tmp run root home opt".split():
            (root / name).mkdir(parents=True)
        for name in "bin sbin lib lib32 lib64 libx32".split():
            if pathlib.Path("/", name).is_symlink():
                (root / name).symlink_to(os.readlink(f"/{name}"))
        for name in "pam.d security nsswitch.conf ld.so.cache alternatives login.defs dbus-1 ssl systemd".split():
            if os.path.exists(f"/etc/{name}"):
                subprocess.run(["cp", "-a", f"/etc/{name}", root / "etc"], check=True)
        for name in ("system", "user"):
            # Only what systemd itself brings: this machine's own services have no business here.
            shutil.rmtree(root / "etc/systemd" / name, ignore_errors=True)
        bus = subprocess.run(["getent", "passwd", "messagebus"], capture_output=True, text=True).stdout
        accounts = "".join(f"{name}:x:{uid}:{uid}::{home}:/bin/sh\n" for name, (uid, home, _) in USERS.items())
        (root / "etc/passwd").write_text(f"root:x:0:0:root:/root:/bin/sh\n{bus}{accounts}nobody:x:65534:65534::/:/bin/false\n")
        # PAM lets no account in without its line.
        (root / "etc/shadow").write_text("".join(f"{name}:*:19000::::::\n" for name in ("root", *USERS)))
        shutil.copy("/etc/group", root / "etc/group")
        with open(root / "etc/group", "a") as group:
            group.writelines(f"{name}:x:{uid}:\n" for name, (uid, _, _) in USERS.items())
        (root / "etc/os-release").write_text("ID=test\n")
        (root / "etc/machine-id").write_text("")
        (root / "opt/bin").mkdir()
        shutil.copy(binary, root / "opt/bin/gwinstall")
        for name, (uid, home, _) in USERS.items():
            (root / "var/lib/systemd/linger" / name).touch()
            tools = pathlib.Path(f"{root}{home}/tools")
            tools.mkdir(parents=True)
            (tools / "litellm").write_text(LITELLM)
            (tools / "litellm").chmod(0o755)
            subprocess.run(["chown", "-R", f"{uid}:{uid}", f"{root}{home}"], check=True)

    def binds(self):
        """More of this machine that the container sees."""
        return []

    def boot(self):
        command = ["systemd-nspawn", "-q", "-D", self.root, "--bind-ro=/usr", *self.binds(), "--register=no", "--keep-unit", "--console=pipe", "-b"]
        with open(f"{self.root}.log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        return within(60, lambda: self.process.poll() is None and self.leader() and all(self.has_instance(user) for user in USERS))

    def leader(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return children.read_text().split()[:1] if children.exists() else []

    def has_instance(self, user):
        return self.run(user, "systemctl", "--user", "show-environment").returncode == 0

    def run(self, user, *words, timeout=120, **more):
        uid, home, _ = USERS[user]
        account = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups"]
        values = ["env", "-i", f"HOME={home}", "PATH=/opt/bin:/usr/bin:/bin", f"XDG_RUNTIME_DIR=/run/user/{uid}",
                  "VERTEXAI_PROJECT=p", "GOOGLE_APPLICATION_CREDENTIALS=/x"]
        command = ["nsenter", "-t", *self.leader(), "-a", *account, *values, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, **more)

    def halt(self):
        if self.process is None or self.process.poll() is not None:
            return
        if self.leader():
            subprocess.run(["nsenter", "-t", *self.leader(), "-a", "systemctl", "poweroff"], capture_output=True, timeout=30)
        try:
            self.process.wait(90)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)


class User:
    def __init__(self, container, name):
        self.container, self.name = container, name
        self.uid, self.home, self.port = USERS[name]
        self.outside = pathlib.Path(f"{container.root}{self.home}")
        self.gateway = self.outside / ".claude/gateway"

    def gw(self, *words, code=0):
        ran = self.container.run(self.name, "gwinstall", *words)
        if ran.returncode != code:
            check(f"{self.name}: gwinstall {' '.join(words)} exits {code}", False, f"{ran.returncode}\n{ran.stdout}\n{ran.stderr}\n{self.log()}")
        return ran.stdout + ran.stderr

    def log(self):
        log = self.gateway / "litellm.log"
        return log.read_text()[-2000:] if log.exists() else ""

    def unit(self):
        return self.outside / ".config/systemd/user/gwinstall-gateway.service"

    def shows(self, name):
        ran = self.container.run(self.name, "systemctl", "--user", "show", "gwinstall-gateway.service", f"--property={name}")
        return ran.stdout.strip().partition("=")[2]

    def main(self):
        return self.shows("MainPID")

    def answers(self):
        probe = f"import urllib.request as u; u.urlopen('http://127.0.0.1:{self.port}/health/liveliness', timeout=2)"
        return self.container.run(self.name, "python3", "-I", "-c", probe).returncode == 0

    def deploy(self):
        self.gw("install", "--yes", "--models", "glm-5.2", "--port", str(self.port))
        with open(self.gateway / ".env", "a") as env:
            env.write(f"GATEWAY_LITELLM_BIN='{self.home}/tools/litellm'\n" if "'" not in self.home else f"GATEWAY_LITELLM_BIN={self.link()}\n")

    def link(self):
        """.env can quote every path but one with both kinds of quotes."""
        place = f"/opt/{self.name}-litellm"
        pathlib.Path(f"{self.container.root}{place}").symlink_to(f"{self.home}/tools/litellm")
        return place


def scenario(container):
    ann, bob = User(container, "ann"), User(container, "bob")
    ann.deploy()
    ann.gw("service", "install", "--yes")
    check("the service runs the gateway", ann.answers() and ann.shows("ActiveState") == "active", ann.log())
    key = re.search(r"^LITELLM_MASTER_KEY=(\S+)$", (ann.gateway / ".env").read_text(), re.M)[1]
    check("no secret is in the unit", key not in ann.unit().read_text())
    check("nothing to do the second time", "Nothing to do" in ann.gw("service", "install", "--yes"))
    check("status names it", "gwinstall-gateway.service (systemd): the gateway runs" in ann.gw("status"))
    doctor = json.loads(container.run("ann", "gwinstall", "doctor", "--json").stdout)["data"]["checks"]
    check("doctor sees it", [one["status"] for one in doctor if one["check_name"] == "service_works"] == ["PASS"], doctor)

    bob.deploy()
    bob.gw("start")
    before = (bob.gateway / "litellm.pid").read_text().strip()
    bob.gw("service", "install", "--yes")
    check("a gateway that ran outside is handed over, in a home with a hostile name",
          bob.answers() and bob.main() not in ("0", before) and (bob.gateway / "litellm.pid").read_text().strip() == bob.main(), bob.log())
    check("two users serve on two ports", ann.answers() and bob.answers())

    old = ann.main()
    container.run("ann", "kill", "-KILL", old)
    check("a killed gateway is back", within(40, lambda: ann.main() not in ("0", old) and ann.answers()), ann.log())

    old = ann.main()
    ann.gw("models", "add", "gpt-oss-120b", "--yes")
    check("a reload keeps the process", ann.main() == old and ann.answers())
    ann.gw("restart")
    check("a restart is one of the service", ann.main() not in ("0", old) and ann.answers(), ann.log())
    old = ann.main()
    uid = container.run("ann", "sh", "-c", "printf 'q\\n' | gwinstall env set VERTEXAI_PROJECT --from - --yes")
    check("a value restarts it inside the transaction", uid.returncode == 0 and ann.main() not in ("0", old) and ann.answers(), uid.stderr + ann.log())
    (ann.outside / "tools/hides").write_text("codestral")
    ann.gw("models", "add", "codestral", "--yes", code=5)
    (ann.outside / "tools/hides").unlink()
    check("a change that is not served is undone, and the service serves on", within(20, ann.answers) and ann.main() != "0", ann.log())

    container.run("ann", "systemctl", "--user", "stop", "gwinstall-gateway.service")
    check("systemctl stops it", not ann.answers() and ann.shows("ActiveState") == "inactive", ann.shows("Result"))
    helper = f"{ann.home}/.claude/gateway/scripts/print-gateway-key.sh"
    printed = container.run("ann", "sh", helper, "local")
    check("the key helper starts the service", printed.stdout.strip() == key and ann.shows("ActiveState") == "active" and ann.answers(),
          printed.stderr + ann.log())

    ann.gw("stop")
    time.sleep(8)
    check("stop stays stopped", not ann.answers() and ann.main() == "0" and ann.shows("ActiveState") == "inactive", ann.log())
    container.run("ann", "systemctl", "--user", "start", "gwinstall-gateway.service")
    check("also after systemctl start", not ann.answers())
    container.halt()
    check("the container boots again", container.boot())
    check("the service starts at boot", within(40, bob.answers), bob.log())
    check("what was stopped stays stopped across a boot", not ann.answers() and ann.main() == "0", ann.log())
    ann.gw("start")
    check("start starts the service", ann.answers() and ann.main() != "0", ann.log())
    check("nothing of it failed", not container.run("ann", "systemctl", "--user", "--failed", "--no-legend").stdout.strip())

    (ann.outside / "tools/refuse").write_text("")
    ann.gw("restart", code=1)
    check("a refused configuration leaves the service running", ann.answers())
    (ann.outside / "tools/refuse").unlink()

    with open(ann.unit(), "a") as unit:
        unit.write("# mine\n")
    check("an edited unit is refused", "was changed" in ann.gw("service", "install", "--yes", code=2))
    ann.gw("service", "install", "--yes", "--force")
    check("--force keeps it beside", ann.unit().with_name("gwinstall-gateway.service.gwinstall-old").read_text().endswith("# mine\n") and ann.answers())
    ann.gw("service", "remove", "--yes")
    check("without the service the gateway runs on", ann.answers() and not ann.unit().exists() and ann.shows("LoadState") == "not-found", ann.log())
    ann.gw("stop")
    bob.gw("uninstall", "--yes")
    left = [path for path in bob.outside.rglob("*") if "gwinstall-gateway" in path.name]
    check("uninstall removes the service", not bob.answers() and not left and bob.shows("LoadState") == "not-found", left)


def main():
    if os.geteuid() != 0:
        skipped("a container needs root")
    if not shutil.which("systemd-nspawn"):
        skipped("systemd-nspawn is not installed (package systemd-container)")
    with tempfile.TemporaryDirectory(prefix="gwinstall-service-") as top:
        os.chmod(top, 0o755)
        container = Container(pathlib.Path(top, "root"), sys.argv[1])
        try:
            if not container.boot():
                log = pathlib.Path(f"{container.root}.log").read_text(errors="replace")[-500:]
                skipped(f"systemd-nspawn started no systemd with instances of two users: {log.strip()}")
            scenario(container)
        finally:
            container.halt()
    print(f"{PASSES} checks passed")


if __name__ == "__main__":
    main()
