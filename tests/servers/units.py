"""The rendered units under a real systemd, in a container of this machine's /usr with a network of its own: account, sandbox, restart,
timers; a backup to an S3 server; nginx with a certificate that certbot gets from pebble, and renews; an update and a way back under load."""
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stage import KEY, START, VENV, Wrong, ran, two_free_ports, within

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import service_full
import store

DOMAIN = "gateway.example.com"
ROOT, PACKAGES = "/opt/llm-gateway", "/opt/packages"
# Of the fake provider, and of the load.
INTERNET, TESTS = "/opt/internet", Path(__file__).resolve().parents[1]


class Machine(service_full.Container):
    """Root in it has a shell; LiteLLM's packages are those of LITELLM_VENV."""

    def __init__(self, root, binary, packages):
        super().__init__(root, binary)
        self.packages = packages
        for directory in (PACKAGES, "/etc/nginx", "/etc/logrotate.d", "/var/lib/nginx", "/var/log/nginx", "/opt/pebble", INTERNET, "/opt/tests"):
            (root / directory.lstrip("/")).mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", "/etc/nginx/.", root / "etc/nginx"], check=True)
        with open(root / "etc/passwd", "a") as accounts:
            accounts.write(subprocess.run(["getent", "passwd", "www-data"], capture_output=True, text=True).stdout)
        (root / "etc/hosts").write_text(f"127.0.0.1 localhost {DOMAIN}\n")

    def binds(self):
        return [f"--bind-ro={self.packages}:{PACKAGES}", f"--bind-ro={TESTS}:/opt/tests", "--private-network"]

    def begin(self, *words):
        """A program that stays until the container stops."""
        self.sh(f"setsid {shlex.join(str(word) for word in words)} >>/opt/programs.log 2>&1 </dev/null &")

    def sh(self, text, seconds=START):
        command = ["nsenter", "-t", *self.leader(), "-a", "env", "-i", "PATH=/opt/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "sh", "-c", text]
        return ran(command, seconds)


def inside(machine, *words):
    machine.begin("env", f"PYTHONPATH={PACKAGES}", "PYTHONDONTWRITEBYTECODE=1", "/usr/bin/python3", "/opt/tests/servers/inside.py", *words)


def prepared(machine, binary, scratch, port):
    """A fake provider, and the rendered directory that leads to it, with its secrets."""
    inside(machine, "provider", INTERNET)
    place = machine.root / INTERNET.lstrip("/")
    within(60, lambda: (place / "port").exists(), "the fake provider answers")
    variables = {"HTTPS_PROXY": f"http://127.0.0.1:{(place / 'port').read_text()}", "NO_PROXY": "127.0.0.1,localhost"}
    variables |= dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), f"{INTERNET}/authority.pem")
    (place / "authority.pem").chmod(0o644)
    values = {"domain": DOMAIN, "port": port, "server": {"instances": 2}, "requests_per_second": 1000, "variables": variables}
    (scratch / "gateway.yaml").write_text(json.dumps(values))
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
    machine.sh("ln -sfn /etc/nginx/sites-available/default /etc/nginx/sites-enabled/default")
    refused = machine.sh("! /opt/rendered/install.sh --yes 2>&1")
    if "rm '/etc/nginx/sites-enabled/default'" not in refused or Path(f"{machine.root}{ROOT}").exists():
        raise Wrong(f"install.sh beside another default site: {refused}")
    machine.sh("rm /etc/nginx/sites-enabled/default")
    seen("install.sh names the default site of Debian, and changes nothing beside it")
    began = time.monotonic()
    said = machine.sh("/opt/rendered/install.sh --yes 2>&1")
    again = machine.sh("/opt/rendered/install.sh --yes 2>&1")
    if "Done." not in said:
        raise Wrong(f"install.sh: {said[-800:]}")
    machine.sh("nginx -t -q && systemctl is-active nginx")
    seen(f"install.sh --yes, nginx serves the site; a second run: {again.strip().splitlines()[-1].strip()}", began)
    machine.sh(f"install -m 600 -o llm-gateway {INTERNET}/sa.json {ROOT}/google-credentials.json")
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


def backed_up(machine, tools, seen):
    """By the unit, in its sandbox, to a store; then a drill from there, as the account of the gateway."""
    program, port = tools.find("s3s-fs"), 9000
    if program:
        shutil.copy(program, machine.root / "opt/bin/s3s-fs")
        (machine.root / "opt/store" / store.BUCKET).mkdir(parents=True)
        machine.begin(*store.server_line("/opt/bin/s3s-fs", "/opt/store", port))
        more, secrets = store.settings(port)
        with open(f"{machine.root}{ROOT}/server.env", "a") as file:
            file.write(more)
        Path(f"{machine.root}{ROOT}/operations.env").write_text(secrets)
        machine.sh(f"chmod 600 {ROOT}/operations.env && chown llm-gateway {ROOT}/operations.env")
    else:
        print(f"SKIP units: the backup stays on the machine ({tools.missing['s3s-fs']})")
    began = time.monotonic()
    machine.sh(f"systemctl start llm-gateway-backup.service || {{ tail -n 20 {ROOT}/logs/backup.log; false; }}")
    record = json.loads(machine.sh(f"tail -n 1 {ROOT}/data/backups.jsonl"))
    if not program:
        seen(f"llm-gateway-backup.service leaves {record['location']}", began)
        return
    name = store.stored(machine.root / "opt/store", record)
    seen(f"llm-gateway-backup.service stores {record['sizeBytes']} bytes as {record['location']}, read back, the checksum is that of the record", began)
    began = time.monotonic()
    machine.sh(f"rm -f {ROOT}/backups/backup-*")
    drill = machine.sh(f"cd / && runuser -u llm-gateway -- {ROOT}/restore.sh s3:{name} --drill 2>&1").strip().splitlines()
    seen(f"restore.sh --drill from the store: {'; '.join(drill)}", began)


# --- the certificate -------------------------------------------------------------------------------------------------------------------


def authority(machine):
    """pebble and its name server, in the container; prints where the root of its certificates is."""
    place = machine.root / "opt/pebble"
    settings = {"listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000", "certificate": "/opt/pebble/cert.pem",
                "privateKey": "/opt/pebble/key.pem", "httpPort": 80, "tlsPort": 443}
    (place / "pebble.json").write_text(json.dumps({"pebble": settings}))
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    ran([*command, "-keyout", place / "key.pem", "-out", place / "cert.pem"])
    help_text = subprocess.run(["pebble-challtestsrv", "-h"], capture_output=True, text=True).stderr
    # Its releases name the address of its name server differently.
    names = "-dns01" if "-dns01" in help_text else "-dnsserver"
    quiet = [word for name in ("-http01", "-https01", "-tlsalpn01", "-defaultIPv6") for word in (name, "")]
    machine.begin("pebble-challtestsrv", names, "127.0.0.1:8053", "-management", "127.0.0.1:8055", *quiet)
    values = ["PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0"]
    machine.begin("env", *values, "pebble", "-config", "/opt/pebble/pebble.json", "-dnsserver", "127.0.0.1:8053")
    fetch = "curl -sf --cacert /opt/pebble/cert.pem -o /opt/pebble/root.pem https://localhost:15000/roots/0 && echo there || true"
    within(60, lambda: machine.sh(fetch).strip(), "pebble answers")


def certified(machine, tools, seen):
    if not tools.find("pebble") or not tools.find("certbot"):
        print(f"SKIP units: no certificate was asked for ({tools.missing.get('pebble') or tools.missing['certbot']})")
        return
    serial = lambda: machine.sh(f"openssl x509 -noout -serial -in {ROOT}/certs/cert.pem").strip()
    own = serial()
    authority(machine)
    began = time.monotonic()
    readme = (machine.root / "opt/rendered/README.md").read_text()
    line = re.search(r"(?m)^certbot certonly .*$", readme)[0]
    rest = "--server https://localhost:14000/dir --non-interactive --agree-tos --register-unsafely-without-email"
    certbot = "REQUESTS_CA_BUNDLE=/opt/pebble/cert.pem"
    machine.sh(f"{certbot} {line} {rest} 2>&1")
    first = serial()
    live = machine.sh(f"{ROOT}/certificate.sh --live")
    machine.sh(f"{ROOT}/verify.sh --public --ca-file /opt/pebble/root.pem")
    if first == own or "FAIL" in live:
        raise Wrong(f"the certificate of pebble is not served: {live}")
    seen(f"the README's line: certbot gets a certificate from pebble, nginx serves it, verify.sh --public trusts it ({first})", began)
    began = time.monotonic()
    machine.sh(f"{certbot} certbot renew --force-renewal --no-random-sleep-on-renew 2>&1")
    second = serial()
    live = machine.sh(f"{ROOT}/certificate.sh --live")
    machine.sh(f"{ROOT}/verify.sh --public --ca-file /opt/pebble/root.pem")
    if second == first or "FAIL" in live:
        raise Wrong(f"the renewed certificate is not served: {live}")
    seen(f"certbot renews it, and nginx serves the new one ({second})", began)
    machine.sh(f"systemctl start llm-gateway-check.service || {{ tail -n 20 {ROOT}/logs/check.log; false; }}")
    seen("llm-gateway-check.service finds backup and certificate good, as the account of the gateway")


def rolled(machine, version, seen):
    """An update and the way back while clients ask through TLS, with systemd's own stop and start of the units."""
    place, trusted = machine.root / INTERNET.lstrip("/"), "/opt/pebble/root.pem"
    if not Path(f"{machine.root}{trusted}").exists():
        trusted = f"{ROOT}/certs/fullchain.pem"
    after = f"{version}.post1"
    release(machine, after)
    inside(machine, "load", INTERNET, trusted, KEY)
    outcomes = lambda: json.loads((place / "load").read_text()) if (place / "load").exists() else []
    within(120, lambda: len(outcomes()) > 40, "the load gets answers")
    for script in (f"deploy.sh {after}", "rollback.sh"):
        began, before = time.monotonic(), len(outcomes())
        machine.sh(f"{ROOT}/{script}", 900)
        failed = [word for word in outcomes() if word != "ok"]
        seen(f"{script} under load: {len(outcomes()) - before} requests meanwhile, {len(failed)} failed", began)
    (place / "stop").touch()
    within(150, lambda: (place / "stopped").exists(), "the load ends")
    failed = [word for word in outcomes() if word != "ok"]
    if failed:
        raise Wrong(f"{len(failed)} of {len(outcomes())} requests failed: {sorted(set(failed))[:4]}")
    seen(f"{len(outcomes())} requests, 0 failed")


def chain(binary, version, tools, seen):
    if not shutil.which("systemd-nspawn"):
        raise Wrong("systemd-nspawn is not installed (apt-get install systemd-container)")
    packages = next(Path(VENV).glob("lib/python3*/site-packages"))
    with tempfile.TemporaryDirectory(prefix="gwinstall-units-", ignore_cleanup_errors=True) as scratch:
        machine = Machine(Path(scratch, "root"), binary, packages)
        try:
            began, port = time.monotonic(), two_free_ports()
            if not machine.boot():
                raise Wrong(f"the container does not boot: {Path(f'{machine.root}.log').read_text()[-800:]}")
            seen("a container boots", began)
            prepared(machine, binary, Path(scratch), port)
            checked(machine, port, version, seen)
            backed_up(machine, tools, seen)
            certified(machine, tools, seen)
            rolled(machine, version, seen)
        except Wrong as error:
            programs = machine.root / "opt/programs.log"
            raise Wrong(f"{error}\n{programs.read_text()[-1500:] if programs.exists() else ''}") from error
        finally:
            machine.halt()
