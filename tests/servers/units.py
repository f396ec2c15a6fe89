"""The rendered units under a real systemd, in a container of this machine's /usr: account, sandbox, restart, timers, backup."""
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stage import KEY, START, VENV, Wrong, ran, two_free_ports, within

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import service_full

ROOT, PACKAGES = "/opt/llm-gateway", "/opt/packages"


class Machine(service_full.Container):
    """Root in it has a shell; LiteLLM's packages are those of LITELLM_VENV."""

    def __init__(self, root, binary, packages):
        super().__init__(root, binary)
        self.packages = packages
        for directory in (PACKAGES, "/etc/nginx", "/etc/logrotate.d"):
            (root / directory.lstrip("/")).mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", "/etc/nginx/.", root / "etc/nginx"], check=True)

    def binds(self):
        return [f"--bind-ro={self.packages}:{PACKAGES}"]

    def sh(self, text, seconds=START):
        command = ["nsenter", "-t", *self.leader(), "-a", "env", "-i", "PATH=/opt/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "sh", "-c", text]
        return ran(command, seconds)


def prepared(machine, binary, scratch, port):
    """The rendered directory in the container, with its secrets."""
    (scratch / "gateway.yaml").write_text(f"domain: gateway.example.com\nport: {port}\nserver: {{instances: 2}}\n")
    out = machine.root / "opt/rendered"
    line = ["render", "systemd", "--out", out, "--values", scratch / "gateway.yaml", "--preset", "basic"]
    ran([binary, *line], env={"HOME": str(scratch), "PATH": "/usr/bin:/bin"})
    values = {"LITELLM_MASTER_KEY": KEY, "VERTEXAI_PROJECT": "example-project", "VERTEXAI_LOCATION": "us-central1"}
    (out / "secrets.env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    (out / "secrets.env").chmod(0o600)


def release(machine, version):
    """The release that deploy.sh would fill with pip; Python before 3.11.3 wants one package more than the one of LITELLM_VENV."""
    place = f"{ROOT}/releases/{version}"
    lock = (machine.root / "opt/rendered/litellm.lock").read_text()
    more = re.search(r"(?m)^async-timeout==[^\s;]+", lock)[0]
    ran([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", machine.root / "opt/more", more])
    machine.sh(f"/usr/bin/python3 -m venv --without-pip {place} && printf '%s\\n' {PACKAGES} /opt/more >$(echo {place}/lib/python3*/site-packages)/packages.pth")
    program = (Path(VENV) / "bin/litellm").read_text().split("\n", 1)[1]
    inside = Path(f"{machine.root}{place}")
    (inside / "bin/litellm").write_text(f"#!{place}/bin/python\n{program}")
    (inside / "bin/litellm").chmod(0o755)
    (inside / ".complete").touch()


def checked(machine, port, version, seen):
    began = time.monotonic()
    said = machine.sh("/opt/rendered/install.sh --yes 2>&1")
    again = machine.sh("/opt/rendered/install.sh --yes 2>&1")
    if "Done." not in said:
        raise Wrong(f"install.sh: {said[-800:]}")
    seen(f"install.sh --yes; a second run: {again.strip().splitlines()[-1].strip()}", began)
    release(machine, version)
    # A start of LiteLLM takes longer where other tests run beside it.
    machine.sh(f"echo HEALTH_SECONDS=150 >>{ROOT}/server.env")
    began = time.monotonic()
    machine.sh(f"{ROOT}/deploy.sh {version}", 900)
    seen("deploy.sh starts two units, both healthy", began)
    unit = f"litellm-gateway@{port}.service"
    show = lambda name: machine.sh(f"systemctl show -p {name} --value {unit}").strip()
    main = show("MainPID")
    status = dict(re.findall(r"(?m)^(\w+):\s*(.*)$", machine.sh(f"cat /proc/{main}/status")))
    account = machine.sh("id -u llm-gateway").strip()
    found = (int(status["CapEff"], 16), int(status["CapBnd"], 16), status["Seccomp"], status["NoNewPrivs"], status["Uid"].split()[0])
    if found != (0, 0, "2", "1", account):
        raise Wrong(f"the sandbox: CapEff, CapBnd, Seccomp, NoNewPrivs, Uid are {found}")
    seen(f"in the sandbox: no capability, Seccomp 2, NoNewPrivs 1, uid {account}")
    level = machine.sh(f"systemd-analyze security --no-pager {unit} | tail -n 1").strip()
    seen(f"systemd-analyze security on the running unit: {level}")
    began = time.monotonic()
    machine.sh(f"kill -9 {main}")
    within(120, lambda: show("MainPID") not in ("0", main), "systemd starts a killed instance again")
    machine.sh(f"{ROOT}/verify.sh --port {port}")
    seen("kill -9: systemd starts it again, healthy", began)
    timers = machine.sh("systemctl list-timers --all --no-pager")
    if not all(name in timers for name in ("llm-gateway-backup.timer", "llm-gateway-check.timer")):
        raise Wrong(f"timers: {timers}")
    seen("both timers are listed")
    began = time.monotonic()
    machine.sh("systemctl start llm-gateway-backup.service || { tail -n 20 " + ROOT + "/logs/backup.log; false; }")
    files = machine.sh(f"ls {ROOT}/backups | grep -v staging").split()
    if not files:
        raise Wrong("the backup left no file")
    seen(f"llm-gateway-backup.service leaves {' '.join(files)}", began)


def chain(binary, version, seen):
    if not shutil.which("systemd-nspawn"):
        raise Wrong("systemd-nspawn is not installed (apt-get install systemd-container)")
    packages = next(Path(VENV).glob("lib/python3*/site-packages"))
    with tempfile.TemporaryDirectory(prefix="gwinstall-units-", ignore_cleanup_errors=True) as scratch:
        machine = Machine(Path(scratch, "root"), binary, packages)
        try:
            began, port = time.monotonic(), two_free_ports()
            prepared(machine, binary, Path(scratch), port)
            if not machine.boot():
                raise Wrong(f"the container does not boot: {Path(f'{machine.root}.log').read_text()[-800:]}")
            seen("a container boots", began)
            checked(machine, port, version, seen)
        finally:
            machine.halt()
