"""The shell scripts that look and do not start anything, in every shell, for success and for failure. P-050 … P-056, P-058."""
import fcntl
import hashlib
import io
import json
import socket
import subprocess
import sys
import tarfile
import unittest

from fakes import EMBEDDED, KEY, SHELLS, Place, pasted, shell_scripts

SETTINGS = {"apiKeyHelper": "~/.claude/gateway/scripts/print-gateway-key.sh local", "env": {"ANTHROPIC_API_KEY": ""}}


class Every(Place):
    def test_help_and_wrong_usage_in_every_shell(self):
        for script in shell_scripts():
            library = script.endswith("troubleshooting-utils.sh")
            for shell in SHELLS:
                self.assertEqual(self.run_script(script, "--help", shell=shell)[0], 0, f"{shell} {script}")
                if not library:
                    self.assertIn("usage: " + script.split("/")[-1], self.run_script(script, "--help", shell=shell)[1])
                    self.assertEqual(self.run_script(script, "--no-such-option", shell=shell)[0], 2, f"{shell} {script}")

    def test_help_of_every_python_script(self):
        for path in sorted(EMBEDDED.rglob("*.py")):
            # Those of a server have tests of their own.
            if path.name != "gateway_files.py" and "servers" not in path.parts:
                name = str(path.relative_to(EMBEDDED))
                self.expect(0, ["usage:", "exit status"], name, "--help")
                self.expect(2, "usage:", name, "--no-such-option")


class Health(Place):
    name = "scripts/health-check.sh"

    def test_healthy_in_every_shell(self):
        server = self.gateway()
        for shell in SHELLS:
            self.expect(0, ["PASS alive", "PASS ready", "refuses requests without a key", "lists 13 models", "0 failed"], self.name, shell=shell)
        self.assertFalse([path for _, path, _ in server.seen if path == "/health"], "the models were called")
        self.expect(0, "every model answers", self.name, "--models")

    def test_a_proxy_of_the_shell_does_not_come_between(self):
        self.gateway()
        self.expect(0, "0 failed", self.name, http_proxy="http://127.0.0.1:1", HTTPS_PROXY="http://127.0.0.1:1", ALL_PROXY="http://127.0.0.1:1")

    def test_each_failure(self):
        self.expect(1, ["nothing answers", "start-gateway.sh'"], self.name, "--wait", "1")
        for mood, words in (("stranger", "another program"), ("not ready", "not ready"), ("no prisma", "prisma"), ("open", "without a key: master_key"),
                            ("sick", "1 models do not answer")):
            self.gateway(mood)
            self.expect(1, words, self.name, "--models")
        self.gateway()
        self.set_env(LITELLM_MASTER_KEY="sk-another-key")
        self.expect(1, "refuses the key", self.name)
        self.set_env(LITELLM_MASTER_KEY="")
        self.expect(1, "no usable key", self.name)
        self.expect(2, "usage", self.name, "--wait", "long")


class Status(Place):
    name = "scripts/check-status.sh"

    def settings(self, value):
        (self.home / ".claude/settings.json").write_text(value if isinstance(value, str) else json.dumps(value))

    def pointed(self, **env):
        return {**SETTINGS, "env": {**SETTINGS["env"], "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{self.port}", **env}}

    def test_in_place_and_running(self):
        self.litellm()
        self.addCleanup(lambda: self.run_script("start-gateway.sh", "stop"))
        (self.dir / "deployment-manifest.json").write_text('{\n  "version": "1.2.3",\n  "timestamp": "2026-11-21T00:00:00Z"\n}\n')
        self.settings(self.pointed())
        for shell in SHELLS:
            self.expect(3, ["deployed by gwinstall 1.2.3", "does not run"], self.name, shell=shell)
        self.run_script("start-gateway.sh")
        for shell in SHELLS:
            self.expect(0, ["the gateway runs", "settings.json points at", "0 failed, 0 warnings"], self.name, shell=shell)

    def test_what_is_wrong_is_named(self):
        for value, words in ((self.pointed(ANTHROPIC_BASE_URL=""), "does not name a gateway"),
                             (self.pointed(ANTHROPIC_BASE_URL="https://me:pass@other.example.com?key=1"), "points at other.example.com,"),
                             ({"env": {"ANTHROPIC_BASE_URL": f"http://127.0.0.1:{self.port}"}}, 'lacks "ANTHROPIC_API_KEY"')):
            self.settings(value)
            self.expect(3, words, self.name)
        self.settings({"env": {"ANTHROPIC_BASE_URL": f"http://127.0.0.1:{self.port}", "ANTHROPIC_API_KEY": ""}})
        self.expect(1, "no key for it", self.name)
        self.settings("{")
        self.expect(1, "is not JSON", self.name)
        self.settings(self.pointed())
        self.expect(3, "unset CLAUDE_CODE_USE_VERTEX", self.name, CLAUDE_CODE_USE_VERTEX="1")
        (self.dir / ".env").chmod(0o640)
        self.expect(1, "chmod 600", self.name)
        (self.dir / ".gwinstall").mkdir()
        (self.dir / ".gwinstall/journal").write_text("{}")
        self.expect(1, "gwinstall doctor --repair", self.name)


class Prerequisites(Place):
    name = "scripts/check-prerequisites.sh"

    def python_behind(self, version="3.12", litellm="1.106.2", missing="none", good="good", malicious=""):
        """A litellm whose Python answers as told."""
        self.litellm()
        path = self.dir / "venv/bin/python"
        path.write_text(f"#!/bin/sh\ncat >/dev/null\nprintf '%s\\n' '{version} {good} {litellm} {missing}' '' '{malicious}'\n")
        path.chmod(0o755)

    def test_ready_in_every_shell(self):
        self.python_behind()
        self.program("claude", "#!/bin/sh\n")
        for shell in SHELLS:
            self.expect(0, ["PASS Python 3.12", "PASS LiteLLM 1.106.2", "PASS google-auth", "is free", "0 failed, 0 warnings"], self.name, shell=shell)

    def test_the_seven_that_people_miss(self):
        self.expect(1, ["litellm was not found", "install 'litellm[proxy,google]' prisma"], self.name)
        for wrong, words in ((dict(version="3.9", good="bad"), "needs Python 3.10"), (dict(litellm="1.82.7", malicious="/opt/p"), ["steal credentials", "try: cd '/opt/p' && rm -rf litellm"]),
                             (dict(missing="google-auth"), "google-auth is missing"), (dict(missing="prisma"), "prisma is missing"),
                             (dict(missing="gunicorn,fastapi"), "without its proxy")):
            self.python_behind(**wrong)
            self.expect(1, words, self.name)
        for version, warned in (("1.83.14", True), ("1.9.0", True), ("0.99.0", True), ("1.84.0", False), ("1.106.2", False), ("2.0.0", False)):
            self.python_behind(litellm=version)
            old = f"WARN LiteLLM {version} is older than 1.84.0"
            self.expect(0, [old, "'litellm[proxy,google]>=1.84.0' prisma"] if warned else f"PASS LiteLLM {version}", self.name)
        self.python_behind()
        with socket.socket() as other:
            other.bind(("127.0.0.1", self.port))
            other.listen()
            self.expect(1, f"port {self.port} is in use", self.name)
        self.set_env(LITELLM_MASTER_KEY="CHANGE-ME-KEY")
        self.expect(1, "no value of your own", self.name)
        self.set_env(HTTPS_PROXY="http://proxy.example.com:8080")
        self.expect(1, "NO_PROXY lacks 127.0.0.1", self.name)
        self.set_env(HTTPS_PROXY="http://proxy.example.com:8080", NO_PROXY="localhost,127.0.0.1")
        self.expect(0, "PASS NO_PROXY", self.name)

    def test_a_malicious_litellm_is_found_not_run_and_its_venv_replaced(self):
        for version, pth, bad in (("1.82.7", "a.pth", True), ("1.82.8", "a.pth", True), ("1.106.2", "litellm_init.pth", True), ("1.106.2", "a.pth", False)):
            planted = self.plant(version, pth)
            self.program("python3", f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
            for shell in SHELLS:
                text = self.expect(1, "rm -rf" if bad else f"PASS LiteLLM {version}", self.name, "--standalone", shell=shell)
                self.assertFalse(planted.exists(), "a .pth file was run")
                if bad:
                    self.assertIn(f"try: rm -rf {pasted(self.dir / 'venv')} && python3 -m venv", text)
                    self.assertNotIn("-m pip", text)
            subprocess.run([self.dir / "venv/bin/python", "-c", ""], env=self.env(), check=True)
            self.assertTrue(planted.exists(), "the control")

    def test_the_doctor_is_asked_as_well_where_gwinstall_is(self):
        self.python_behind()
        self.program("gwinstall", '#!/bin/sh\necho "called $*"\nexit ${DOCTOR:-0}\n')
        self.expect(0, [f"called doctor --target-dir {self.dir}", "0 failed"], self.name)
        self.expect(1, ["gwinstall doctor found something", "1 failed"], self.name, DOCTOR="3")
        self.assertNotIn("called", self.expect(0, "0 failed", self.name, "--standalone", DOCTOR="3"))


class ProxyConnectivity(Place):
    name = "scripts/check-proxy-connectivity.sh"
    preset = "proxy"

    def test_through_the_proxy_with_its_login_in_every_shell(self):
        url, cert = self.tls_behind_proxy(login="EXAMPLE\\me:p@ss")
        self.set_env(HTTPS_PROXY=url, PROXY_USERNAME="'EXAMPLE\\me'", PROXY_PASSWORD="p@ss", SSL_CERT_FILE=self.plain_path(cert))
        for shell in SHELLS:
            self.assertNotIn("p@ss", self.expect(0, ["provider.example.com answers", "0 failed"], self.name, "provider.example.com", shell=shell))

    def test_each_failure(self):
        url, cert = self.tls_behind_proxy(login="me:right")
        host = url.removeprefix("http://")
        self.set_env(HTTPS_PROXY=url)
        self.expect(1, "wants another login (407)", self.name, "provider.example.com")
        self.set_env(HTTPS_PROXY=f"http://me:right@{host}")
        self.expect(1, "is not trusted", self.name, "provider.example.com")
        self.expect(1, "forbids forbidden.example.com (403)", self.name, "forbidden.example.com")
        self.set_env(HTTPS_PROXY="http://127.0.0.1:1")
        self.expect(1, "no connection to the proxy 127.0.0.1:1", self.name, "provider.example.com")
        self.set_env(HTTPS_PROXY="proxy:8080", PROXY_USERNAME="me")
        self.expect(1, "no scheme", self.name, "provider.example.com")
        self.set_env(HTTPS_PROXY=None)
        self.expect(1, ["HTTPS_PROXY is not set", "no connection"], self.name, "127.0.0.1:1")

    def test_the_hosts_come_from_the_configuration(self):
        self.set_env(HTTPS_PROXY="http://127.0.0.1:1", NO_PROXY="localhost,127.0.0.1")
        self.expect(1, ["oauth2.googleapis.com", "aiplatform.googleapis.com", "us-central1-aiplatform.googleapis.com"], self.name)


class DebugAuth(Place):
    name = "scripts/debug-auth.sh"

    def point(self, server, **more):
        # Without its word the helper asks nobody: `local` prints the key only for a gateway of this directory.
        helper = SETTINGS["apiKeyHelper"].removesuffix(" local")
        value = {**SETTINGS, "apiKeyHelper": helper, "env": {**SETTINGS["env"], "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{server.server_port}", **more}}
        (self.home / ".claude/settings.json").write_text(json.dumps(value))

    def test_the_helper_is_run_and_its_key_accepted(self):
        server = self.gateway()
        self.point(server)
        for shell in SHELLS:
            self.expect(0, ["apiKeyHelper gives sk-…", "Authorization: Bearer is accepted", "x-api-key is accepted", "without a key it refuses"], self.name, shell=shell)
        # The empty token that gwinstall writes wins over one of the shell, and Claude Code asks the helper.
        self.point(server, ANTHROPIC_AUTH_TOKEN="")
        self.expect(0, "apiKeyHelper gives sk-…", self.name, ANTHROPIC_AUTH_TOKEN="another-token-of-mine")

    def test_each_failure(self):
        self.expect(1, "settings.json names no gateway", self.name)
        server = self.gateway()
        self.point(server, ANTHROPIC_AUTH_TOKEN="another-token-of-mine")
        self.assertNotIn("another-token", self.expect(1, ["is not the key of", "is refused (400)"], self.name))
        self.point(server, ANTHROPIC_BASE_URL=f"http://127.0.0.1:{server.server_port}/v1")
        self.expect(1, "ends in /v1", self.name)
        self.point(self.gateway("open"))
        self.expect(1, "asks for no key at all", self.name)
        self.point(server)
        self.set_env(LITELLM_MASTER_KEY="")
        self.expect(1, "the helper gives no key", self.name)
        value = {"env": {"ANTHROPIC_BASE_URL": f"http://127.0.0.1:{server.server_port}"}}
        (self.home / ".claude/settings.json").write_text(json.dumps(value))
        self.expect(1, "is sent to the gateway as x-api-key", self.name, ANTHROPIC_API_KEY="sk-ant-my-own")
        (self.home / ".claude/settings.json").write_text("{")
        self.expect(1, "is not JSON", self.name)


class Rollback(Place):
    name = "scripts/rollback-config.sh"

    def backup(self, stamp, text, note=True, member="gateway/config/litellm.yaml"):
        folder = self.dir / "backups"
        folder.mkdir(exist_ok=True)
        path = folder / f"gateway-backup-{stamp}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            info = tarfile.TarInfo(member)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
        if note:
            listed = folder / "metadata.json"
            before = json.loads(listed.read_text())["backups"] if listed.exists() else []
            entry = {"filename": path.name, "deployment_config": {"preset": "basic", "models": []}, "sha256_checksum": hashlib.sha256(path.read_bytes()).hexdigest()}
            listed.write_text(json.dumps({"backups": before + [entry]}, indent=2))
        return path

    def test_the_newest_and_a_chosen_one_come_back(self):
        config = self.dir / "config/litellm.yaml"
        now = config.read_text()
        self.backup("20261120-100000", now + "# older\n")
        self.backup("20261120-110000", now + "# newer\n")
        self.expect(0, ["gateway-backup-20261120-110000.tar.gz\ngateway-backup-20261120-100000.tar.gz"], self.name, "--list")
        for shell in SHELLS:
            config.write_text(now)
            self.expect(0, "start-gateway.sh' reload", self.name, "--yes", shell=shell)
            self.assertEqual(config.read_text(), now + "# newer\n")
            self.assertEqual((self.dir / "config/litellm.yaml.before-rollback").read_text(), now)
            self.expect(0, "already that of", self.name, "--yes", "gateway-backup-20261120-110000.tar.gz", shell=shell)
            self.expect(0, "is that of gateway-backup-20261120-100000", self.name, "--yes", "2", shell=shell)
            self.assertEqual(config.read_text(), now + "# older\n")
        self.assertEqual(config.stat().st_mode & 0o777, 0o644)

    def test_what_cannot_be_trusted_changes_nothing(self):
        config = self.dir / "config/litellm.yaml"
        now = config.read_text()
        self.expect(1, "there is no backup", self.name)
        self.backup("20261120-100000", "model_list: [\n")
        self.expect(1, "is not valid; nothing was changed", self.name)
        self.backup("20261120-110000", now, member="gateway/../../evil")
        self.expect(1, "holds no gateway/config/litellm.yaml", self.name)
        path = self.backup("20261120-120000", now + "# x\n")
        path.write_bytes(path.read_bytes()[:4] + b"\1\2\3\4" + path.read_bytes()[8:])
        self.expect(1, "its checksum differs", self.name)
        (self.dir / "backups/gateway-backup-20261120-130000.tar.gz").write_bytes(b"no archive")
        self.expect(1, "holds no gateway/config/litellm.yaml", self.name)
        self.expect(1, "no such backup", self.name, "../../etc/passwd")
        self.expect(1, "no such backup", self.name, "9")
        self.expect(2, "usage", self.name, "1", "2")
        self.assertEqual(config.read_text(), now)
        self.assertEqual(sorted(p.name for p in config.parent.iterdir()), ["litellm.yaml"])

    def test_it_asks_and_without_a_terminal_changes_nothing(self):
        config = self.dir / "config/litellm.yaml"
        now = config.read_text()
        self.backup("20261120-100000", now + "# older\n")
        for shell in SHELLS:
            self.expect(1, ["no terminal to ask on", "--yes"], self.name, shell=shell)
            self.assertEqual(config.read_text(), now)
        for answer, code in (("n", 1), ("", 1), ("y", 0)):
            script = f"printf '%s\\n' '{answer}' | script -qec \"$(printf '%s' {pasted(pasted(self.dir / self.name))})\" /dev/null"
            done = subprocess.run(["sh", "-c", script], env=self.env(), capture_output=True, text=True, timeout=30)
            self.assertEqual((done.returncode, config.read_text() != now), (code, code == 0), done.stdout)

    def test_while_gwinstall_is_at_work_or_was_interrupted_it_does_nothing(self):
        config = self.dir / "config/litellm.yaml"
        now = config.read_text()
        self.backup("20261120-100000", now + "# older\n")
        own = self.dir / ".gwinstall"
        own.mkdir()
        (own / "lock").write_text("{}")
        with open(own / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for shell in SHELLS:
                self.expect(1, "gwinstall is at work", self.name, "--yes", shell=shell)
        (own / "journal").write_text("{}")
        for shell in SHELLS:
            self.expect(1, ["was interrupted", "gwinstall doctor --repair"], self.name, "--yes", shell=shell)
        self.assertEqual(config.read_text(), now)
        (own / "journal").unlink()
        self.expect(0, "is that of", self.name, "--yes")

    def test_gwinstall_does_it_where_it_is(self):
        self.program("gwinstall", '#!/bin/sh\necho "called $*"\nexit 7\n')
        self.expect(7, f"called rollback 2 --target-dir {self.dir}", self.name, "2")
        self.expect(7, f"called rollback --yes --target-dir {self.dir}", self.name, "--yes")
        self.expect(7, "called backup list", self.name, "--list")
        self.expect(1, "there is no backup", self.name, "--standalone")


class Library(Place):
    def call(self, text, shell, **more):
        script = self.dir / "scripts/probe.sh"
        script.write_text('here=$(CDPATH="" cd -- "$(dirname -- "$0")" && pwd -P)\n. "$here/troubleshooting-utils.sh"\n' + text + "\n")
        return self.run_script("scripts/probe.sh", shell=shell, **more)

    def test_its_functions_in_every_shell(self):
        self.set_env(QUOTED="'a b'", DOUBLE='"c d"')
        for shell in SHELLS:
            self.assertEqual(self.call('gateway_value QUOTED; gateway_value DOUBLE; gateway_value NONE', shell), (0, "a bc d"))
            self.assertEqual(self.call('mask ""; mask short; mask 0123456789abcdef', shell), (0, "(empty)(5 characters)012… (16 characters)"))
            self.assertEqual(self.call("quoted \"a'b\"", shell), (0, "'a'\\''b'"))
            self.assertEqual(self.call("gateway_url", shell), (0, f"http://127.0.0.1:{self.port}"))
            self.assertEqual(self.call('print_success good; print_warning odd "do x"; finish', shell), (0, "PASS good\nWARN odd\n       try: do x\n0 failed, 1 warnings\n"))
            self.assertEqual(self.call('print_error bad; finish', shell), (1, "FAIL bad\n1 failed, 0 warnings\n"))
            self.assertEqual(self.call('usage_error wrong', shell), (2, "wrong\n"))

    def test_a_secret_is_never_an_argument(self):
        """The stand-in for curl notes what it is given; the key is on its standard input and nowhere else."""
        self.program("curl", '#!/bin/sh\nprintf "%s\\n" "$@" >"$HOME/arguments"\ncat >"$HOME/input"\nprintf "\\n200"\n')
        for shell in SHELLS:
            noted = self.call('http_status http://127.0.0.1:1/ Authorization "Bearer " "$(gateway_key)"; echo "$http_code"', shell)
            self.assertEqual(noted, (0, "200\n"))
            self.assertNotIn(KEY, (self.home / "arguments").read_text())
            self.assertIn(f'header = "Authorization: Bearer {KEY}"', (self.home / "input").read_text())


if __name__ == "__main__":
    unittest.main()
