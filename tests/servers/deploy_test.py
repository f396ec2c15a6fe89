"""verify.sh, deploy.sh, rollback.sh and migrate.sh: the health check, the way forward and back, kills, two at once, hostile values."""
import json
import os
import signal
import subprocess
import time
import unittest

from world import KEY, REPOSITORY, SCRIPTS, SHELLS, World

PROGRAMS = [p.name for p in sorted(SCRIPTS.glob("*.sh")) if os.access(p, os.X_OK)]
SOURCED = [p.name for p in sorted(SCRIPTS.glob("*.sh")) if not os.access(p, os.X_OK)]


class Every(World):
    def test_help_and_wrong_usage_in_every_shell(self):
        for shell in SHELLS:
            for script in PROGRAMS + SOURCED:
                code, out, _ = self.run_script(script, "--help", shell=shell)
                self.assertEqual(code, 0, f"{shell} {script}")
                self.assertGreater(len(out), 80, script)
                self.assertEqual(self.run_script(script, "--no-such-option", shell=shell)[0], 2, f"{shell} {script}")
            for script in PROGRAMS:
                self.assertIn(f"usage: {script}", self.run_script(script, "--help", shell=shell)[1])

    def test_with_compose_the_directory_of_the_scripts_is_that_of_the_gateway(self):
        del self.values["ROOT"]
        self.write_values()
        self.ok("deploy.sh", "--history")
        code, _, err = self.run_script("deploy.sh")
        self.assertEqual(code, 1)
        self.assertIn(f"{self.root}/scripts/secrets.env is missing", err)

    def test_without_its_engine_nothing_is_begun(self):
        self.write_values(DATABASE="yes")
        (self.bin / "docker").unlink()
        before = self.env_file.read_text()
        for script, *more in (["deploy.sh", "v2"], ["rotate.sh", "MASTER_KEY"], ["backup.sh"]):
            for shell in SHELLS:
                code, _, err = self.run_script(script, *more, shell=shell, env={"CONTAINER_ENGINE": "no-such-engine"})
                self.assertEqual(code, 1, f"{script}: {err}")
                self.assertIn("no-such-engine is not installed, and nothing was changed", err)
                self.assertEqual(self.env_file.read_text(), before)

    def test_a_hostile_value_is_refused_and_does_nothing(self):
        mark = self.dir / "mark"
        hostile = [f"$(touch {mark})", f"`touch {mark}`", f"x; touch {mark}", f"x' ; touch {mark} #", f'x"; touch {mark}; "', f"x|touch {mark}",
                   f"x\ntouch {mark}", "-rf", "../../etc", "a b;c", "\x1b[31m"]
        names = "LAYOUT ROOT DOMAIN PORTS IMAGE HEALTH_URL HEALTH_SECONDS DATABASE DATABASE_NAME SERVICE_USER KEEP_IMAGES S3_ENDPOINT " \
                "S3_BUCKET S3_PREFIX CERTIFICATE_DIR ALERT_COMMAND ALERT_WEBHOOK ENCRYPT_TO".split()
        good = dict(self.values)
        for number, name in enumerate(names):
            for value in hostile:
                self.values = dict(good)
                self.write_values(**{name: value})
                shell = SHELLS[number % 2]
                code, _, err = self.run_script("verify.sh", shell=shell)
                self.assertEqual(code, 2, f"{name}={value!r}: {err}")
                self.assertFalse(mark.exists(), f"{name}={value!r}")
        self.assertEqual(self.calls(), [])

    def test_a_hostile_argument_is_refused_and_does_nothing(self):
        mark = self.dir / "mark"
        for value in (f"$(touch {mark})", f"`touch {mark}`", f"v1; touch {mark}", "v1\nv2", "v1'", 'v1"', "../v1", "a/../../b;c", "v1 v2"):
            for shell in SHELLS:
                self.assertEqual(self.run_script("deploy.sh", value, shell=shell)[0], 2, value)
                self.assertIn(self.run_script("rollback.sh", value, shell=shell)[0], (1, 2), value)
                self.assertIn(self.run_script("migrate.sh", value, shell=shell)[0], (0, 2), value)
                self.assertEqual(self.run_script("verify.sh", "--port", value, shell=shell)[0], 2, value)
        self.assertFalse(mark.exists())
        self.assertEqual(self.calls(), [])

    def test_an_unknown_name_is_refused_with_its_line(self):
        self.write_values(HEALTH_SECONSD="3")
        code, _, err = self.run_script("verify.sh")
        self.assertEqual(code, 2)
        self.assertIn(f"line {len(self.values)}: the scripts do not know the name HEALTH_SECONSD", err)

    def test_secrets_that_others_can_read_are_refused(self):
        self.env_file.chmod(0o640)
        for script, args in (("deploy.sh", ["v1"]), ("verify.sh", [])):
            code, _, err = self.run_script(script, *args)
            self.assertEqual(code, 2)
            self.assertIn(f"chmod 600 '{self.env_file}'", err)


class Verify(World):
    instances = 2

    def setUp(self):
        super().setUp()
        (self.root / ".image").write_text(f"LITELLM_IMAGE={REPOSITORY}:v1\n")
        for name in ("litellm", "litellm-2"):
            (self.stub / f"service-{name}").write_text(f"{REPOSITORY}:v1\n")

    def test_a_healthy_gateway_is_one_object_for_each_port(self):
        for shell in SHELLS:
            out, _ = self.ok("verify.sh", shell=shell)
            answers = [json.loads(line) for line in out.splitlines()]
            self.assertEqual(len(answers), 2)
            for answer in answers:
                self.assertEqual(set(answer), {"status", "checks", "version", "uptime", "timestamp", "responseTimeMs"})
                self.assertEqual((answer["status"], answer["version"]), ("healthy", "1.106.2"))
                self.assertEqual(answer["checks"]["database"]["status"], "unknown")
                self.assertGreater(answer["uptime"], 0)

    def test_a_database_that_is_not_connected_is_unhealthy(self):
        self.write_values(DATABASE="yes", HEALTH_TRIES=1)
        self.assertEqual(json.loads(self.ok("verify.sh", "--port", self.ports[0])[0])["checks"]["database"]["status"], "up")
        self.versions["v1"] = "no database"
        code, out, err = self.run_script("verify.sh", "--port", self.ports[0])
        self.assertEqual((code, json.loads(out)["status"], json.loads(out)["checks"]["database"]["status"]), (1, "unhealthy", "down"))
        self.assertIn("the database is not connected", err)

    def test_a_failure_shows_status_answer_and_log_without_secrets(self):
        self.versions["v1"] = "broken"
        for shell in SHELLS:
            code, out, err = self.run_script("verify.sh", "--port", self.ports[1], shell=shell)
            self.assertEqual((code, json.loads(out)["status"]), (1, "unhealthy"))
            self.assertEqual(err.count("is not well (HTTP 503)"), 3)
            self.assertIn("line 30 of the log ***", err)
            self.assertNotIn("line 10 of the log", err)
            self.assertNotIn(KEY, err)
            self.assertNotIn("pw12345", err)
            self.assertLess(len(err), 4000)

    def test_a_gateway_that_comes_up_within_a_try_passes(self):
        self.write_values(HEALTH_SECONDS=5, HEALTH_TRIES=1)
        begin = time.time()
        self.versions["v1"] = lambda _: "good" if time.time() > begin + 2 else "down"
        self.ok("verify.sh", "--port", self.ports[0])

    def test_a_gateway_that_never_answers_is_exit_10(self):
        self.versions["v1"] = "hang"
        self.write_values(HEALTH_TRIES=1)
        self.assertEqual(self.run_script("verify.sh", "--port", self.ports[0])[0], 10)

    def test_a_provider_that_does_not_answer_is_degraded(self):
        self.write_env(LITELLM_MASTER_KEY=KEY, OLLAMA_API_BASE="http://127.0.0.1:9")
        code, out, _ = self.run_script("verify.sh", "--port", self.ports[0], "--providers")
        self.assertEqual((code, json.loads(out)["status"], json.loads(out)["checks"]["ollama"]["status"]), (3, "degraded", "down"))

    def test_a_provider_is_asked_with_its_key(self):
        api = f"http://127.0.0.1:{self.ports[1]}"
        for key, code, state in (("sk-ant-good", 0, "up"), ("sk-ant-revoked", 3, "down")):
            self.write_env(LITELLM_MASTER_KEY=KEY, ANTHROPIC_API_KEY=key)
            result, out, err = self.run_script("verify.sh", "--port", self.ports[0], "--providers", env={"ANTHROPIC_API": api})
            self.assertEqual((result, json.loads(out)["checks"]["anthropic"]["status"]), (code, state), err)
            self.assertNotIn(key, out + err)


class Compose(World):
    instances = 2

    def deploy(self, *args, **more):
        return self.run_script("deploy.sh", *args, **more)

    def tag(self, version):
        return f"{REPOSITORY}:{version}"

    def test_forward_and_back(self):
        for shell in SHELLS:
            with self.subTest(shell=shell):
                first = len(self.events())
                self.ok("deploy.sh", "v1", "--commit", "abc1234", shell=shell)
                event = self.events()[-1]
                self.assertEqual((event["status"], event["healthCheckPassed"], event["commitSha"], event["imageTag"]),
                                 ("success", True, "abc1234", self.tag("v1")))
                self.assertRegex(event["id"], r"^dep-\d{8}-\d{6}")
                self.assertLessEqual(event["startedAt"], event["completedAt"])
                self.assertEqual(self.events()[first]["status"], "pending")
                self.ok("deploy.sh", "v2", shell=shell)
                self.assertEqual(self.events()[-1]["previousVersion"], self.tag("v1"))
                self.assertEqual(self.all_running(), ["v2", "v2"])
                self.ok("rollback.sh", shell=shell)
                self.assertEqual(self.all_running(), ["v1", "v1"])
                self.assertEqual(self.events()[-1]["kind"], "rollback")

    def test_one_instance_is_through_before_the_next_is_touched(self):
        self.ok("deploy.sh", "v1")
        self.versions["v2"] = "broken"
        self.assertEqual(self.deploy("v2")[0], 5)
        self.assertNotIn((self.ports[1], "/health/readiness", "v2"), self.seen)
        self.assertEqual(self.all_running(), ["v1", "v1"])
        self.assertEqual(self.states(), ["success", "rolled_back"])
        self.assertTrue(self.events()[-1]["healthCheckPassed"])

    def test_a_failed_check_brings_version_and_configuration_back(self):
        self.ok("deploy.sh", "v1")
        config = self.root / "config" / "litellm.yaml"
        config.write_text("model_list: [] # second\n")
        self.versions[("v2", 1)] = "broken"
        code, _, err = self.deploy("v2")
        self.assertEqual(code, 5, err)
        self.assertEqual(config.read_text(), "model_list: [] # first\n")
        self.assertEqual((self.stub / "config-litellm").read_text(), "model_list: [] # first\n")
        self.assertEqual((self.root / "data/deployed/failed/config/litellm.yaml").read_text(), "model_list: [] # second\n")
        self.assertEqual((self.root / ".image").read_text(), f"LITELLM_IMAGE={self.tag('v1')}\n")

    def test_two_failed_tries_and_then_an_answer_is_a_success(self):
        # Between two tries the script pauses for HEALTH_PAUSES, which is 0 here; within a try it waits for 1.
        self.program("sleep", '#!/bin/sh\nprintf "%s\\n" "$1" >>"$STUB/sleeps"\nexec /bin/sleep "$1"\n')
        pauses = lambda: (self.stub / "sleeps").read_text().split().count("0") if (self.stub / "sleeps").exists() else 0
        self.versions["v1"] = lambda _world: "good" if pauses() >= 2 else "broken"
        _, err = self.ok("deploy.sh", "v1")
        self.assertIn("try 2 of 3", err)

    def test_a_start_that_hangs_gets_one_fresh_start(self):
        self.write_values(HEALTH_TRIES=1)
        self.versions["v1"] = lambda world: "hang" if sum("--force-recreate litellm" in c for c in world.calls()) < 2 else "good"
        _, err = self.ok("deploy.sh", "v1")
        self.assertIn("starting it once more", err)

    def test_the_first_deployment_that_fails_is_stopped(self):
        self.versions["v1"] = "broken"
        code, _, err = self.deploy("v1")
        self.assertEqual(code, 5, err)
        self.assertEqual(self.all_running(), [None, None])
        self.assertFalse((self.root / ".image").exists())

    def test_a_rollback_that_fails_too_is_exit_7_and_an_alert(self):
        self.program("alert", f'#!/bin/sh\nprintf "%s\\n" "$#:$1" >>"{self.dir}/alerts"\n')
        self.write_values(ALERT_COMMAND=self.bin / "alert")
        self.ok("deploy.sh", "v1")
        self.versions.update(v1="broken", v2="broken")
        code, _, err = self.deploy("v2")
        self.assertEqual(code, 7, err)
        self.assertTrue((self.dir / "alerts").read_text().startswith("1:The deployment of " + self.tag("v2")))
        self.assertEqual(self.states(), ["success", "failed"])
        self.versions["v1"] = "good"
        self.ok("rollback.sh")
        self.assertEqual(self.all_running(), ["v1", "v1"])

    def test_what_cannot_be_fetched_or_migrated_changes_nothing(self):
        self.write_values(DATABASE="yes")
        self.ok("deploy.sh", "v1")
        for mark in ("pull-fails", "migration-fails"):
            (self.stub / mark).touch()
            before = (self.root / ".image").read_text()
            code, _, err = self.deploy("v2", "--no-backup")
            self.assertEqual(code, 1, err)
            self.assertIn("what runs was not changed", err)
            self.assertEqual((self.root / ".image").read_text(), before)
            self.assertEqual(self.all_running(), ["v1", "v1"])
            (self.stub / mark).unlink()

    def test_the_migration_runs_in_the_new_image_before_any_instance(self):
        self.write_values(DATABASE="yes")
        self.ok("deploy.sh", "v1")
        self.assertEqual((self.stub / "migrations").read_text(), self.tag("v1") + "\n")
        calls = self.calls()
        migration = next(i for i, c in enumerate(calls) if "--entrypoint python litellm litellm/proxy/prisma_migration.py" in c)
        self.assertLess(migration, next(i for i, c in enumerate(calls) if " up " in c))

    def test_a_backup_that_fails_stops_the_deployment(self):
        self.ok("deploy.sh", "v1")
        (self.root / "scripts" / "backup.sh").write_text("#!/bin/sh\nexit 1\n")
        code, _, err = self.deploy("v2")
        self.assertEqual(code, 1)
        self.assertIn("the backup before the deployment failed", err)
        self.assertEqual(self.all_running(), ["v1", "v1"])
        self.ok("deploy.sh", "v2", "--no-backup")

    def test_five_versions_stay(self):
        (self.stub / "images").write_text(self.tag("never-deployed") + "\nregistry.example/other:v1\n")
        for number in range(1, 8):
            self.ok("deploy.sh", f"v{number}", "--no-backup")
        images = (self.stub / "images").read_text().split()
        self.assertEqual(images, [self.tag("never-deployed"), "registry.example/other:v1"] + [self.tag(f"v{n}") for n in range(3, 8)])
        self.assertEqual(len(list((self.root / "data/deployed").glob("dep-*"))), 5)
        self.assertNotIn("v2", self.ok("rollback.sh", "--list")[0].split()[0])

    def test_history_and_success_rate(self):
        self.assertIn("no deployment yet", self.ok("deploy.sh", "--history")[0])
        self.ok("deploy.sh", "v1")
        self.versions["v2"] = "broken"
        self.deploy("v2")
        self.ok("deploy.sh", "v3")
        for shell in SHELLS:
            out, _ = self.ok("deploy.sh", "--history", shell=shell)
            self.assertIn("success rate: 66 % (2 of 3)", out)
            self.assertRegex(out, r"last run: \d{4}-.*Z \(success\)")
        lines = [json.loads(line) for line in self.ok("deploy.sh", "--history", "--json")[0].splitlines()]
        self.assertEqual([line["status"] for line in lines], ["success", "rolled_back", "success"])

    def test_back_and_back_again(self):
        for number in (1, 2, 3):
            self.ok("deploy.sh", f"v{number}")
        self.ok("rollback.sh")
        self.ok("rollback.sh")
        self.assertEqual(self.all_running(), ["v1", "v1"])
        code, _, err = self.run_script("rollback.sh")
        self.assertEqual(code, 1)
        self.assertIn("there is none before it", err)

    def test_back_takes_the_configuration_of_then(self):
        config = self.root / "config" / "litellm.yaml"
        self.ok("deploy.sh", "v1")
        config.write_text("model_list: [] # second\n")
        self.ok("deploy.sh", "v2")
        self.ok("rollback.sh", "v1")
        self.assertEqual((self.stub / "config-litellm-2").read_text(), "model_list: [] # first\n")

    def test_a_digest_is_deployed_as_it_is(self):
        image = f"{REPOSITORY}@sha256:{'a' * 64}"
        self.ok("deploy.sh", image)
        self.assertEqual((self.root / ".image").read_text(), f"LITELLM_IMAGE={image}\n")
        self.assertEqual(self.deploy(f"{REPOSITORY}@sha256:abc")[0], 2)

    def test_malware_versions_are_refused(self):
        for bad in ("1.82.7", "v1.82.8", "v1.82.8-stable"):
            code, _, err = self.deploy(bad)
            self.assertEqual(code, 2)
            self.assertIn("malware", err)

    def test_two_at_once_the_second_is_refused(self):
        self.versions["v1"] = "broken"
        first = subprocess.Popen(self.command("deploy.sh", "v1"), env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.time() + 20
        while not self.events() and time.time() < deadline:
            time.sleep(0.02)
        before = len(self.calls())
        code, _, err = self.deploy("v2")
        self.assertEqual(code, 6, err)
        self.assertNotIn("v2", "\n".join(self.calls()[before:]))
        self.assertEqual(first.wait(60), 5)

    def test_a_killed_deployment_is_named_and_closed_by_the_next(self):
        for point, shell in (("pull", SHELLS[0]), ("run", SHELLS[1]), ("up", SHELLS[0]), ("up", SHELLS[1])):
            with self.subTest(point=point, shell=shell):
                self.write_values(DATABASE="yes")
                self.ok("deploy.sh", "v1", "--no-backup")
                (self.stub / f"kill-at-{point}").touch()
                victim = subprocess.Popen(self.command("deploy.sh", "v2", "--no-backup", shell=shell), env=self.environment(),
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
                (self.stub / "victim").write_text(str(victim.pid))
                self.assertEqual(victim.wait(60), -signal.SIGKILL)
                time.sleep(0.5)
                _, err = self.ok("rollback.sh", "--no-backup")
                self.assertIn("was interrupted in phase", err)
                self.assertEqual(self.all_running(), ["v1", "v1"])
                self.assertEqual((self.root / ".image").read_text(), f"LITELLM_IMAGE={self.tag('v1')}\n")
                self.assertEqual(self.states()[-2:], ["failed", "success"])

    def test_a_signal_in_the_middle_rolls_back(self):
        self.ok("deploy.sh", "v1")
        self.versions["v2"] = "broken"
        run = subprocess.Popen(self.command("deploy.sh", "v2"), env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.time() + 20
        while self.all_running()[0] != "v2" and time.time() < deadline:
            time.sleep(0.02)
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(60), 5)
        self.assertEqual(self.all_running(), ["v1", "v1"])
        self.assertEqual(self.events()[-1]["status"], "rolled_back")

    def test_a_torn_line_of_the_history_is_passed_over(self):
        self.ok("deploy.sh", "v1")
        with open(self.root / "data/deployments.jsonl", "a", encoding="utf-8") as f:
            f.write('{"id":"dep-torn","kind":"deploy')
        self.ok("deploy.sh", "v2")
        self.assertIn("success rate: 100 % (2 of 2)", self.ok("deploy.sh", "--history")[0])


class Systemd(World):
    layout = "systemd"
    instances = 2

    def setUp(self):
        super().setUp()
        self.release("1.0.0")
        self.release("1.1.0")

    def test_forward_back_and_a_failed_check(self):
        for shell in SHELLS:
            self.ok("deploy.sh", "1.0.0", shell=shell)
            self.ok("deploy.sh", "1.1.0", shell=shell)
            self.assertEqual(os.readlink(self.root / "venv"), "releases/1.1.0")
            self.assertEqual(self.all_running(), ["1.1.0", "1.1.0"])
            self.ok("rollback.sh", shell=shell)
            self.assertEqual(self.all_running(), ["1.0.0", "1.0.0"])
            self.versions["1.1.0"] = "broken"
            code, _, err = self.run_script("deploy.sh", "1.1.0", shell=shell)
            self.assertEqual(code, 5, err)
            self.assertEqual(os.readlink(self.root / "venv"), "releases/1.0.0")
            self.assertIn("a line of the journal", err)
            self.versions.clear()

    def test_the_migration_runs_from_the_new_release(self):
        self.write_values(DATABASE="yes")
        self.write_env(LITELLM_MASTER_KEY=KEY, DATABASE_PASSWORD="topsecret")
        self.ok("deploy.sh", "1.1.0")
        migrations = [c for c in self.calls() if "prisma_migration" in c]
        self.assertEqual(migrations, [f"{self.root}/releases/1.1.0/bin/python -m litellm.proxy.prisma_migration"])


if __name__ == "__main__":
    unittest.main()
