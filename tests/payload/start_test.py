"""start-gateway.sh, stop-gateway.sh, start-litellm-proxy.sh and print-gateway-key.sh with a made-up LiteLLM. D-107, D-113, P-055."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import assemble
from fakes import EMBEDDED, KEY, SHELLS, Place, by, pasted, running

sys.path.insert(0, str(EMBEDDED / "scripts"))
sys.dont_write_bytecode = True
import gateway_files


class Start(Place):
    def setUp(self):
        super().setUp()
        self.program_path = self.litellm()
        self.addCleanup(lambda: self.run_script("start-gateway.sh", "stop"))

    def pid(self):
        return int((self.dir / "litellm.pid").read_text())

    def seen(self):
        return json.loads((self.program_path.parent / "seen.json").read_text())

    def config(self, text):
        (self.dir / "config/litellm.yaml").write_text(text)

    def test_start_reload_restart_stop_in_every_shell(self):
        for shell in SHELLS:
            with self.subTest(shell):
                self.expect(3, "does not run", "start-gateway.sh", "status", shell=shell)
                self.expect(0, f"runs at http://127.0.0.1:{self.port}", "start-gateway.sh", shell=shell)
                first = self.pid()
                self.expect(0, "already runs", "start-gateway.sh", "start", shell=shell)
                self.expect(0, str(first), "start-gateway.sh", "status", shell=shell)
                self.expect(0, "took over", "start-gateway.sh", "reload", shell=shell)
                self.assertEqual(self.pid(), first)
                self.expect(0, ["finishes its requests", "the gateway runs"], "start-gateway.sh", "restart", shell=shell)
                self.assertNotEqual(self.pid(), first)
                self.expect(0, "is stopped", "stop-gateway.sh", shell=shell)
                self.expect(0, "does not run", "stop-gateway.sh", shell=shell)
                self.assertFalse((self.dir / "litellm.pid").exists())
        self.assertEqual((self.program_path.parent / "reloads").read_text().count("HUP"), len(SHELLS))

    def test_litellm_listens_on_loopback_with_gunicorn_and_files_are_private(self):
        self.expect(0, "runs", "start-gateway.sh")
        arguments = self.seen()[0][1:]
        self.assertEqual(arguments, ["--config", str(self.dir / "config/litellm.yaml"), "--host", "127.0.0.1", "--port", str(self.port),
                                     "--run_gunicorn", "--num_workers", "1"])
        for name in ("litellm.log", "litellm.pid"):
            self.assertEqual((self.dir / name).stat().st_mode & 0o777, 0o600, name)

    def test_litellm_sees_no_key_of_a_provider_that_claude_code_asks_directly(self):
        direct = {p["key"]: p["prefix"] for p in assemble.catalog()["providers"] if p.get("base_url") is not None and "key" in p}
        script = (self.dir / "start-gateway.sh").read_text()
        listed = script.split("direct_keys='")[1].split("'")[0].split()
        self.assertEqual(sorted(listed), sorted(f"{prefix}={key}" for key, prefix in direct.items()))
        self.set_env(**{key: "sk-0123456789abcdef" for key in direct})
        self.expect(0, "runs", "start-gateway.sh")
        _, seen = self.seen()
        self.assertEqual([key for key in direct if key in seen], [])
        self.expect(0, "stopped", "start-gateway.sh", "stop", "--now")
        # A configuration that names the key, or a route of the provider, needs it.
        config = self.dir / "config/litellm.yaml"
        config.write_text(config.read_text() + "# os.environ/ZAI_API_KEY\n# model: deepseek/deepseek-v4-pro\n")
        self.expect(0, "runs", "start-gateway.sh")
        _, seen = self.seen()
        self.assertEqual(sorted(key for key in direct if key in seen), ["DEEPSEEK_API_KEY", "ZAI_API_KEY"])
        self.expect(0, "stopped", "start-gateway.sh", "stop", "--now")

    def test_litellm_sees_the_values_of_env_and_nothing_of_the_shell(self):
        self.set_env(ANTHROPIC_BASE_URL="http://127.0.0.1:4000", ANTHROPIC_AUTH_TOKEN="x", VERTEXAI_PROJECT="from-env-file", config="mine", host="0.0.0.0")
        shell_settings = {"VERTEXAI_PROJECT": "from-shell", "DATABASE_URL": "postgresql://other", "DEBUG": "*", "PORT": "1", "AWS_PROFILE": "other",
                          "LITELLM_MASTER_KEY": "sk-from-shell", "ANTHROPIC_BASE_URL": "http://elsewhere", "https_proxy": "http://p:1", "dir": "/nowhere",
                          "TWO_LINES": "a\nconfig=/elsewhere", "PYTHONPATH": "/nowhere", "XDG_CONFIG_HOME": "/nowhere", "transaction": "open"}
        for shell in SHELLS:
            self.expect(0, "runs", "start-gateway.sh", shell=shell, **shell_settings)
            arguments, env = self.seen()
            for name in ("PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"):
                env.pop(name, None)
            self.assertEqual(env.pop("PATH").split(":")[0], "/usr/local/sbin")
            values = assemble.SAMPLE_ENV["basic"]
            self.assertEqual(env, {**values, "HOME": str(self.home), "LANG": "C.UTF-8", "VERTEXAI_PROJECT": "from-env-file",
                                   "NO_PROXY": "localhost,127.0.0.1", "no_proxy": "localhost,127.0.0.1", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                                   "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True", "LITELLM_MODE": "PRODUCTION", "config": "mine", "host": "0.0.0.0"})
            # A line of .env with the name of a variable of the script changes nothing for the script.
            self.assertEqual(arguments[arguments.index("--host") + 1], "127.0.0.1")
            self.assertEqual(arguments[arguments.index("--config") + 1], str(self.dir / "config/litellm.yaml"))
            self.expect(0, "is stopped", "start-gateway.sh", "stop", shell=shell)
        for name in ("IFS", "gw_file"):
            self.set_env(**{name: "x"})
            self.expect(1, f"uses the name {name} itself", "start-gateway.sh")

    def test_values_read_alike_by_the_script_by_shells_and_by_python(self):
        values = {"A1": "plain", "B": "with space", "C": "$HOME `id` \"q\"", "D": "back\\slash", "E": "a=b#c", "F": "", "G": "äöü €"}
        lines = "".join(f"{n}='{v}'\n" if re.search(r"[^A-Za-z0-9=#]", v) else f"{n}={v}\n" for n, v in values.items())
        self.write_env(f"# comment\n\nLITELLM_MASTER_KEY={KEY}\nVERTEXAI_PROJECT=p\nVERTEXAI_LOCATION=l\n{lines}")
        parsed, problems = gateway_files.parse_env((self.dir / ".env").read_text())
        self.assertEqual(problems, [])
        for shell in SHELLS:
            dump = subprocess.run([*by(shell), "-c", f'set -a; . "$1/.env"; exec "{sys.executable}" -c "import json,os; print(json.dumps(dict(os.environ)))"',
                                   shell, str(self.dir)], env=self.env(), capture_output=True, text=True, check=True)
            by_shell = json.loads(dump.stdout)
            self.expect(0, "runs", "start-gateway.sh", shell=shell)
            by_script = self.seen()[1]
            self.run_script("start-gateway.sh", "stop")
            for name, value in values.items():
                self.assertEqual((by_shell[name], by_script[name], parsed[name]), (value, value, value), f"{shell} {name}")

    def test_nothing_of_env_is_evaluated_and_unclear_lines_are_refused_with_their_number(self):
        mark = self.home / "evaluated"
        bad = {f"X=$(touch {mark})": "put the value of X in single quotes", "X=`id`": "single quotes", "X='a'b'": "single quotes",
               'X="a$b"': "single quotes", "X=a b": "single quotes", "X=it's": "single quotes", " X=1": "without spaces", "X =1": "without spaces",
               "export X=1": "without spaces", "1X=1": "without spaces", "no equals": "is not NAME=value", "X-Y=1": "without spaces",
               "X=CHANGE-ME-X": "placeholder", "X='": "single quotes", "a[$(id)]=1": "without spaces"}
        for line, words in bad.items():
            for shell in SHELLS:
                self.write_env(f"LITELLM_MASTER_KEY={KEY}\n{line}\n")
                self.expect(1, ["line 2", words], "start-gateway.sh", shell=shell)
        self.assertFalse(mark.exists())

    def test_a_key_that_others_know_is_refused(self):
        for value in ("sk-1234", "CHANGE-ME-LITELLM_MASTER_KEY", "'sk-CHANGE_ME'"):
            self.set_env(LITELLM_MASTER_KEY=value)
            self.expect(1, ["placeholder", "gwinstall env set LITELLM_MASTER_KEY"], "start-gateway.sh")
        for value in ("a", "sk-12345", "password", "sk-password", "op://vault/item/field", "'${OTHER}'"):
            self.set_env(LITELLM_MASTER_KEY=value)
            self.expect(1, ["protects nothing", "gwinstall env set LITELLM_MASTER_KEY"], "start-gateway.sh")
        self.set_env(LITELLM_MASTER_KEY=None)
        self.expect(1, "has no value", "start-gateway.sh", LITELLM_MASTER_KEY="sk-from-the-shell")

    def test_a_reference_and_a_placeholder_are_no_values(self):
        self.config("general_settings:\n  master_key: os.environ/LITELLM_MASTER_KEY\n  database_url: os.environ/DATABASE_URL\n")
        for value in ("op://vault/item/field", "ref+vault://a/b", "'<url>'", "your-database-url", "sk-...", "'${OTHER}'", "'{{ url }}'"):
            self.set_env(DATABASE_URL=value, OF_NO_USE=value)
            for shell in SHELLS:
                text = self.expect(1, "try: gwinstall env set DATABASE_URL", "start-gateway.sh", shell=shell)
                self.assertNotIn("OF_NO_USE", str(text))

    def test_a_log_that_leads_nowhere_stops_no_start(self):
        (self.dir / "litellm.log").symlink_to("/dev/null")
        for shell in SHELLS:
            self.expect(0, "the gateway runs", "start-gateway.sh", shell=shell)
            self.expect(0, [], "start-gateway.sh", "stop", shell=shell)

    def test_an_empty_key_is_generated_once_even_by_two_starts(self):
        keys = set()
        for shell in SHELLS:
            self.set_env(LITELLM_MASTER_KEY="", NOTE="'kept as it is'")
            front = [*by(shell), str(self.dir / "start-gateway.sh")]
            both = [subprocess.Popen(front, env=self.env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
            texts = [one.communicate(timeout=60)[0] for one in both]
            self.assertIn(0, [one.returncode for one in both], texts)
            self.assertEqual(sum("generated LITELLM_MASTER_KEY" in text for text in texts), 1, texts)
            values, problems = gateway_files.parse_env((self.dir / ".env").read_text())
            self.assertEqual(problems, [])
            self.assertRegex(values["LITELLM_MASTER_KEY"], r"^sk-[0-9a-f]{64}$")
            self.assertEqual(values["NOTE"], "kept as it is")
            self.assertNotIn(values["LITELLM_MASTER_KEY"], "".join(texts))
            self.assertEqual((self.dir / ".env").stat().st_mode & 0o777, 0o600)
            self.assertEqual(self.seen()[1]["LITELLM_MASTER_KEY"], values["LITELLM_MASTER_KEY"])
            keys.add(values["LITELLM_MASTER_KEY"])
            self.run_script("start-gateway.sh", "stop")
        self.assertEqual(len(keys), len(SHELLS))
        self.assertEqual([p.name for p in self.dir.glob(".env*")], [".env"])

    def test_an_installation_in_progress_is_waited_for(self):
        journal = self.dir / ".gwinstall/journal"
        journal.parent.mkdir()
        journal.write_text("{}")
        begun = time.monotonic()
        self.expect(1, ["an installation was interrupted", "gwinstall doctor --repair"], "start-gateway.sh")
        self.assertLess(time.monotonic() - begun, 9)
        # While its process lives, repair would be the wrong advice.
        (self.dir / ".gwinstall/lock").write_text(json.dumps({"pid": os.getpid(), "command": "install"}))
        self.assertNotIn("repair", self.expect(1, ["an installation is running", "wait"], "start-gateway.sh"))
        removal = subprocess.Popen([sys.executable, "-c", "import sys,time,os; time.sleep(1.5); os.unlink(sys.argv[1])", str(journal)])
        self.expect(0, "runs", "start-gateway.sh")
        removal.wait()

    def test_a_busy_port_is_named(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", self.port))
            other.listen()
            self.expect(1, [f"port {self.port} is in use by", f"(pid {os.getpid()})", "--gateway-url"], "start-gateway.sh")

    def test_missing_variables_are_named_with_their_command(self):
        self.set_env(VERTEXAI_PROJECT=None)
        self.expect(1, "try: gwinstall env set VERTEXAI_PROJECT", "start-gateway.sh", VERTEXAI_PROJECT="of-the-shell")
        self.set_env()
        self.config("general_settings:\n  master_key: os.environ/LITELLM_MASTER_KEY # not os.environ/IN_A_COMMENT\n# os.environ/NOR_HERE\n")
        self.expect(0, "runs", "start-gateway.sh")

    def test_litellm_is_looked_for_in_three_places(self):
        elsewhere = self.home / "else where/litellm"
        elsewhere.parent.mkdir()
        self.program_path.rename(elsewhere)
        self.expect(1, ["litellm was not found", "try: gwinstall runtime install"], "start-gateway.sh")
        self.expect(1, "not a program", "start-gateway.sh", GATEWAY_LITELLM_BIN="/nonexistent/litellm")
        self.expect(0, "runs", "start-gateway.sh", GATEWAY_LITELLM_BIN=str(elsewhere))
        self.run_script("start-gateway.sh", "stop")
        (self.bin / "litellm").symlink_to(elsewhere)
        self.expect(0, "runs", "start-gateway.sh")

    def test_a_malicious_litellm_is_refused_and_nothing_of_it_runs(self):
        for version, pth in (("1.82.7", "a.pth"), ("1.82.8", "a.pth"), ("1.106.2", "litellm_init.pth")):
            planted = self.plant(version, pth)
            self.program_path.write_text(f"#!{self.dir}/venv/bin/python\n")
            for shell in SHELLS:
                text = self.expect(1, ["malicious", f"try: rm -rf {pasted(self.dir / 'venv')} && gwinstall runtime install"], "start-gateway.sh", shell=shell)
                self.assertFalse(planted.exists(), text)
        # A link on the PATH, as pipx and uv leave it, leads to the same place.
        (self.bin / "litellm").symlink_to(os.path.relpath(self.program_path, self.bin))
        self.expect(1, "malicious", "start-gateway.sh", "run", GATEWAY_LITELLM_BIN=str(self.bin / "litellm"))
        # Installed without a venv: only its own files are to be deleted.
        (self.dir / "venv/pyvenv.cfg").unlink()
        site = self.dir / f"venv/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
        self.expect(1, f"try: cd {pasted(site)} && rm -rf litellm litellm_init.pth", "start-gateway.sh")
        self.assertFalse(planted.exists())
        # The control: any other version starts.
        self.plant("1.84.0", "a.pth")
        self.expect(0, "runs", "start-gateway.sh")

    def test_a_configuration_that_does_not_load_starts_nothing_and_reloads_nothing(self):
        good = (self.dir / "config/litellm.yaml").read_text()
        self.config(good + "\n# broken\n")
        self.expect(1, "does not accept", "start-gateway.sh")
        self.config(good)
        self.expect(0, "runs", "start-gateway.sh")
        self.config(good + "\n# broken\n")
        self.expect(1, ["does not accept", "gwinstall validate"], "start-gateway.sh", "reload")
        self.assertFalse((self.program_path.parent / "reloads").exists())
        self.expect(0, "runs", "start-gateway.sh", "status")
        (self.dir / "config/litellm.yaml").unlink()
        self.expect(1, "is missing", "start-gateway.sh", "reload")

    def test_a_gateway_that_dies_is_noticed(self):
        self.config("# dies\ngeneral_settings:\n  master_key: os.environ/LITELLM_MASTER_KEY\n")
        self.expect(1, ["ended before it answered", "tail -n 30"], "start-gateway.sh")

    def test_reload_says_when_a_restart_is_needed(self):
        self.expect(0, "runs", "start-gateway.sh")
        os.utime(self.dir / "litellm.pid", (1, 1))
        self.expect(0, [".env changed", "restart"], "start-gateway.sh", "reload")
        self.run_script("start-gateway.sh", "stop")
        self.expect(1, "does not run", "start-gateway.sh", "reload")

    def test_a_process_that_is_not_ours_gets_no_signal(self):
        stranger = subprocess.Popen(["sleep", "60"])
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        (self.dir / "litellm.pid").write_text(f"{stranger.pid}\n")
        self.expect(1, "does not run", "start-gateway.sh", "reload")
        self.expect(0, "does not run", "stop-gateway.sh")
        self.assertIsNone(stranger.poll())

    def test_run_keeps_the_process_for_a_service_manager(self):
        service = subprocess.Popen([str(self.dir / "start-gateway.sh"), "run"], env=self.env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            if self.run_script("start-gateway.sh", "status")[0] == 0:
                break
            time.sleep(0.1)
        self.assertEqual(self.pid(), service.pid)
        self.expect(1, "already runs", "start-gateway.sh", "run")
        service.send_signal(signal.SIGTERM)
        self.assertEqual(service.wait(20), 0)

    def test_the_gateway_outlives_the_terminal(self):
        self.expect(0, "runs", "start-gateway.sh")
        pid = self.pid()
        self.assertNotEqual(os.getsid(pid), os.getsid(0))
        self.expect(0, "is stopped", "stop-gateway.sh")
        for _ in range(50):
            if not running(pid) or not pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                return
            time.sleep(0.1)
        self.fail("it still runs")

    def test_a_log_that_grew_is_put_aside(self):
        (self.dir / "litellm.log").write_bytes(b"x" * 10485761)
        self.expect(0, "runs", "start-gateway.sh")
        self.assertEqual((self.dir / "litellm.log.1").stat().st_size, 10485761)
        self.assertLess((self.dir / "litellm.log").stat().st_size, 1000)

    def test_an_env_that_others_can_read_is_pointed_out(self):
        (self.dir / ".env").chmod(0o644)
        self.expect(0, "chmod 600", "start-gateway.sh")
        (self.dir / ".env").unlink()
        self.run_script("start-gateway.sh", "stop")
        self.expect(1, "is missing", "start-gateway.sh")

    def test_start_litellm_proxy_starts_or_says_why_not(self):
        self.expect(0, "runs", "scripts/start-litellm-proxy.sh", "--no-checks")
        self.run_script("start-gateway.sh", "stop")
        self.program_path.unlink()
        self.expect(1, "litellm was not found", "scripts/start-litellm-proxy.sh")
        self.expect(2, "usage", "scripts/start-litellm-proxy.sh", "--wrong")

    def test_wrong_usage(self):
        for shell in SHELLS:
            self.expect(2, "usage", "start-gateway.sh", "begin", shell=shell)
            self.expect(2, "usage", "start-gateway.sh", "start", "now", shell=shell)
            self.expect(2, "usage", "stop-gateway.sh", "now", shell=shell)
            self.expect(0, "exit status", "start-gateway.sh", "--help", shell=shell)


class PrintKey(Place):
    def test_it_prints_the_key_and_nothing_else(self):
        for shell in SHELLS:
            for line in (KEY, f"'{KEY}'", f'"{KEY}"', f"{KEY}\r"):
                self.set_env(LITELLM_MASTER_KEY=line)
                self.assertEqual(self.run_script("scripts/print-gateway-key.sh", shell=shell), (0, KEY + "\n"))
        self.write_env(f"LITELLM_MASTER_KEY=old\n#LITELLM_MASTER_KEY=comment\nXLITELLM_MASTER_KEY=other\nLITELLM_MASTER_KEY={KEY}\n")
        self.assertEqual(self.run_script("scripts/print-gateway-key.sh"), (0, KEY + "\n"))

    def test_it_prints_nothing_where_there_is_no_usable_key(self):
        for line, words in (("", "first start"), ("sk-1234", "placeholder"), ("CHANGE-ME-KEY", "placeholder"), (None, "has no value")):
            self.set_env(LITELLM_MASTER_KEY=line)
            done = subprocess.run([str(self.dir / "scripts/print-gateway-key.sh")], env=self.env(), capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(words, done.stderr)
        (self.dir / ".env").unlink()
        self.expect(1, "cannot be read", "scripts/print-gateway-key.sh")
        self.expect(2, "usage", "scripts/print-gateway-key.sh", "x")

    def test_the_word_chooses_the_credential_and_the_other_one_is_never_printed(self):
        token = "company-token-0815"
        # A gateway that needs no value but its key, so that `local` can start it.
        self.litellm()
        (self.dir / "config/litellm.yaml").write_text("model_list: []\n")
        self.addCleanup(lambda: self.run_script("start-gateway.sh", "stop", "--now"))
        for given, (local, remote) in {
            f"LITELLM_MASTER_KEY={KEY}\n": (KEY, ""),
            f"ANTHROPIC_AUTH_TOKEN={token}\n": ("", token),
            f"LITELLM_MASTER_KEY={KEY}\nANTHROPIC_AUTH_TOKEN='{token}'\n": (KEY, token),
        }.items():
            (self.dir / ".env").write_text(given)
            for word, wanted in (("local", local), ("remote", remote)):
                done = subprocess.run([str(self.dir / "scripts/print-gateway-key.sh"), word], env=self.env(), capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stdout), (0, wanted + "\n") if wanted else (1, ""), (given, word, done.stderr))


class PrintEnterpriseKey(Place):
    preset = "enterprise"

    def test_it_prints_the_token(self):
        token = assemble.SAMPLE_ENV["enterprise"]["ANTHROPIC_AUTH_TOKEN"]
        self.assertEqual(self.run_script("scripts/print-gateway-key.sh"), (0, token + "\n"))

    def test_no_start_script_and_no_tests_are_deployed(self):
        self.assertEqual([p.name for p in self.dir.iterdir() if p.name in ("start-gateway.sh", "stop-gateway.sh", "tests", "config")], [])
