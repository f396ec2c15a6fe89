"""certificate.sh with certificates of openssl and a real nginx, rotate.sh and team.sh: secrets stay out of arguments and output."""
import re
import shutil
import signal
import subprocess
import time
import unittest

from world import KEY, REPOSITORY, SHELLS, World, free_port

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")

# With compose nginx is a service, and asked to read its certificate again.
RELOAD = "compose --env-file secrets.env --env-file .image exec -T nginx nginx -s reload"


class Certificate(World):
    def setUp(self):
        super().setUp()
        self.certs = self.root / "certs"
        self.certs.mkdir()
        self.write_values(DOMAIN="gateway.example.com")
        self.make(90)

    def make(self, days, name="gateway.example.com", begin=None):
        """A certificate of so many days; `begin` is the day on which the clock stood when it was made."""
        key, cert = self.certs / "privkey.pem", self.certs / "fullchain.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
                   "-days", str(days), "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
        subprocess.run(command, check=True, capture_output=True)
        key.chmod(0o600)
        shutil.copy(cert, self.certs / "cert.pem")
        shift = 0 if begin is None else begin
        self.program("date", f"#!/bin/sh\nexec /usr/bin/date -d '{shift} days' \"$@\"\n")

    def check(self, *args, shell=SHELLS[0]):
        code, out, err = self.run_script("certificate.sh", *args, shell=shell)
        return code, out + err

    def test_a_good_certificate_passes(self):
        for shell in SHELLS:
            code, text = self.check(shell=shell)
            self.assertEqual(code, 0, text)
            self.assertRegex(text, "valid for (89|90) days more")
            self.assertIn("names no responder", text)

    def test_the_time_that_must_be_left(self):
        for days, passed, good in ((90, 58, True), (90, 61, False), (45, 28, True), (45, 31, False), (90, 91, False), (365, 330, True), (365, 336, False)):
            self.make(days, begin=passed)
            for shell in SHELLS:
                code, text = self.check(shell=shell)
                self.assertEqual(code, 0 if good else 1, f"{days} days after {passed}: {text}")

    def test_what_does_not_fit_is_named(self):
        self.make(90, name="other.example.com")
        self.assertIn("FAIL the certificate is not for gateway.example.com", self.check()[1])
        self.make(90)
        subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", self.certs / "privkey.pem"], check=True,
                       capture_output=True)
        code, text = self.check()
        self.assertEqual(code, 1)
        self.assertIn("is not the key of", text)
        (self.certs / "privkey.pem").chmod(0o644)
        self.assertIn("other accounts can read", self.check()[1])
        (self.certs / "cert.pem").unlink()
        self.assertIn("cert.pem is missing", self.check()[1])

    def test_a_new_pair_is_taken_only_where_it_is_good(self):
        (self.root / ".image").write_text(f"LITELLM_IMAGE={REPOSITORY}:v1\n")
        live, names = self.dir / "live", ("fullchain.pem", "privkey.pem", "cert.pem")
        pair = lambda directory: [(directory / name).read_bytes() for name in names]
        for shell in SHELLS:
            for name, good in (("gateway.example.com", True), ("other.example.com", False)):
                before = pair(self.certs)
                self.make(60, name=name)
                shutil.copytree(self.certs, live, dirs_exist_ok=True)
                for file, data in zip(names, before, strict=True):
                    (self.certs / file).write_bytes(data)
                reloads = self.calls().count(RELOAD)
                code, text = self.check("--take", live, shell=shell)
                self.assertEqual(code, 0 if good else 1, text)
                self.assertEqual(pair(self.certs), pair(live) if good else before)
                self.assertEqual(self.calls().count(RELOAD) - reloads, int(good), self.calls())
                if good:
                    self.assertEqual({path.name: path.stat().st_mode & 0o777 for path in self.certs.iterdir()}, dict.fromkeys(names, 0o600))
        self.assertEqual(self.check("--take", self.dir / "nowhere")[0], 2)

    @unittest.skipUnless(NGINX, "nginx is not installed")
    def test_what_nginx_serves(self):
        for protocols, good in (("TLSv1.2 TLSv1.3", True), ("TLSv1.2", False)):
            port = free_port()
            conf = self.dir / "nginx.conf"
            conf.write_text(f"daemon off; pid {self.dir}/nginx.pid; error_log {self.dir}/nginx.log; events {{}}\n"
                            f"http {{ access_log off; server {{ listen 127.0.0.1:{port} ssl; server_name gateway.example.com; ssl_protocols {protocols};"
                            f" ssl_certificate {self.certs}/fullchain.pem; ssl_certificate_key {self.certs}/privkey.pem;"
                            f" location / {{ proxy_pass http://127.0.0.1:{self.ports[0]}; }} }} }}\n")
            nginx = subprocess.Popen([NGINX, "-p", self.dir, "-c", conf], stderr=subprocess.DEVNULL)
            time.sleep(1)
            try:
                code, text = self.check("--live", f"127.0.0.1:{port}")
                self.assertEqual(code, 0 if good else 1, text)
                self.assertIn("PASS TLS 1.2 is served", text)
                self.assertIn(("PASS TLS 1.3 is served" if good else "FAIL TLS 1.3 is not served"), text)
                self.assertIn("PASS TLS 1.1 is refused", text)
                (self.stub / "service-litellm").write_text(f"{REPOSITORY}:v1\n")
                self.write_values(HEALTH_TRIES=1)
                public = ("--public", f"https://gateway.example.com:{port}", "--connect-to", f"127.0.0.1:{port}")
                self.ok("verify.sh", *public, "--ca-file", self.certs / "fullchain.pem")
                self.assertEqual(self.run_script("verify.sh", *public)[0], 1)
                other = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "/dev/null",
                                        "-subj", "/CN=gateway.example.com", "-days", "90", "-addext", "subjectAltName=DNS:gateway.example.com"],
                                       check=True, capture_output=True).stdout
                kept = (self.certs / "fullchain.pem").read_bytes()
                (self.certs / "fullchain.pem").write_bytes(other)
                self.assertIn("nginx has not been reloaded", self.check("--live", f"127.0.0.1:{port}")[1])
                (self.certs / "fullchain.pem").write_bytes(kept)
            finally:
                nginx.send_signal(signal.SIGTERM)
                nginx.wait(20)


class Secrets(World):
    def setUp(self):
        super().setUp()
        (self.root / ".image").write_text(f"LITELLM_IMAGE={REPOSITORY}:v1\n")
        (self.stub / "service-litellm").write_text(f"{REPOSITORY}:v1\n")
        real = shutil.which("curl")
        self.program("curl", f'#!/bin/sh\nprintf "%s\\n" "$*" >>"$STUB/calls"\nexec {real} "$@"\n')
        self.write_values(HEALTH_TRIES=1)


class Rotation(Secrets):
    def test_a_new_master_key_is_printed_once_and_in_no_argument(self):
        for shell in SHELLS:
            out, err = self.ok("rotate.sh", "MASTER_KEY", shell=shell)
            self.assertRegex(out, r"\Ask-[0-9a-f]{64}\n\Z")
            self.assertEqual(self.env_value("LITELLM_MASTER_KEY"), out.strip())
            self.assertNotIn(out.strip(), err + "\n".join(self.calls()))
            self.assertEqual(self.env_file.stat().st_mode & 0o777, 0o600)
            self.assertEqual(self.env_value("LITELLM_SALT_KEY"), "salt-of-the-test")
        self.assertEqual(list((self.root / "data").glob("secrets.env*")), [])

    def test_a_master_key_that_does_not_pass_is_undone(self):
        self.versions["v1"] = lambda world: "good" if world.key_in_use() == KEY else "broken"
        code, out, err = self.run_script("rotate.sh", "MASTER_KEY")
        self.assertEqual((code, out), (5, ""), err)
        self.assertEqual(self.env_value("LITELLM_MASTER_KEY"), KEY)

    def test_the_master_key_stays_where_it_encrypts_the_database(self):
        self.write_env(LITELLM_MASTER_KEY=KEY)
        self.write_values(DATABASE="yes")
        code, _, err = self.run_script("rotate.sh", "MASTER_KEY")
        self.assertEqual(code, 1)
        self.assertIn("without LITELLM_SALT_KEY the master key encrypts", err)

    def test_the_salt_is_refused_with_the_reason(self):
        for args in (["SALT"], ["LITELLM_SALT_KEY"], ["PROVIDER", "LITELLM_SALT_KEY"]):
            for shell in SHELLS:
                code, _, err = self.run_script("rotate.sh", *args, shell=shell)
                self.assertEqual(code, 1)
                self.assertIn("could not be read any more", err)
        self.assertEqual(self.calls(), [])

    def test_a_new_key_of_a_provider_comes_from_standard_input(self):
        for shell in SHELLS:
            self.ok("rotate.sh", "PROVIDER", "ANTHROPIC_API_KEY", stdin="sk-ant-new&key\n", shell=shell)
            self.assertEqual(self.env_value("ANTHROPIC_API_KEY"), "sk-ant-new&key")
        self.assertNotIn("sk-ant-new", "\n".join(self.calls()))
        before = self.env_file.read_bytes()
        for value in ("", "a b", "$(id)", "`id`", "a'b", 'a"b', "a\\b", "a#b'"):
            self.assertEqual(self.run_script("rotate.sh", "PROVIDER", "ANTHROPIC_API_KEY", stdin=value)[0], 2, value)
        self.assertEqual(self.env_file.read_bytes(), before)

    def test_a_new_password_of_redis_restarts_redis_first(self):
        self.ok("rotate.sh", "REDIS_PASSWORD")
        self.assertIn(self.env_value("REDIS_PASSWORD"), (self.stub / "redis").read_text())
        ups = [c.split()[-1] for c in self.calls() if " up " in c]
        self.assertEqual(ups, ["redis", "litellm"])

    def test_an_interrupted_rotation_is_named(self):
        (self.stub / "kill-at-up").touch()
        victim = subprocess.Popen(self.command("rotate.sh", "REDIS_PASSWORD"), env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (self.stub / "victim").write_text(str(victim.pid))
        self.assertEqual(victim.wait(60), -signal.SIGKILL)
        time.sleep(0.5)
        code, _, err = self.run_script("rotate.sh", "REDIS_PASSWORD")
        self.assertEqual(code, 1)
        self.assertIn("an earlier rotation was interrupted", err)


class Teams(Secrets):
    def setUp(self):
        super().setUp()
        self.write_values(DATABASE="yes")

    def test_a_team_and_its_key(self):
        self.answers["/key/generate"] = (200, {"key": "sk-virtual-1", "token": "hash"})
        for shell in SHELLS:
            self.ok("team.sh", "create", "research", "--budget", "12.5", "--models", "claude-a,vertex/b", shell=shell)
            path, login, body = self.posts[-1]
            self.assertEqual((path, login), ("/team/new", f"Bearer {KEY}"))
            self.assertEqual(body, {"team_id": "research", "team_alias": "research", "max_budget": 12.5, "budget_duration": "30d", "models": ["claude-a", "vertex/b"]})
            out, err = self.ok("team.sh", "key", "research", "--alias", "ann", "--days", "30", shell=shell)
            self.assertEqual(out, "sk-virtual-1\n")
            self.assertEqual(self.posts[-1][2], {"team_id": "research", "key_alias": "ann", "duration": "30d"})
            self.assertNotIn("sk-", err)
        self.assertNotIn(KEY, "\n".join(self.calls()))

    def test_a_refusal_is_shown_without_secrets(self):
        self.answers["/team/new"] = (400, {"error": f"no {KEY}"})
        code, out, err = self.run_script("team.sh", "create", "a", "--budget", "1")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("HTTP 400", err)
        self.assertNotIn(KEY, err)

    def test_wrong_names_and_amounts_are_refused(self):
        for args in (["create", "a"], ["create", "$(id)", "--budget", "1"], ["create", "a", "--budget", "1;2"], ["create", "a", "--budget", "1e9"],
                     ["create", "a", "--budget", "1", "--models", 'x","y'], ["key", 'a"b'], ["key", "a", "--alias", "`id`"], ["key", "a\nb"], ["drop", "a"]):
            for shell in SHELLS:
                self.assertEqual(self.run_script("team.sh", *args, shell=shell)[0], 2, args)
        self.assertEqual(self.posts, [])


if __name__ == "__main__":
    unittest.main()
