"""backup.sh, backup-check.sh and restore.sh against a real PostgreSQL, a real S3 server and age; kills, limits and corruption."""
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
import time
import unittest

from tools import Tools
from world import KEY, REPOSITORY, SHELLS, World, free_port

PG_BIN = next(iter(sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
TOOLS = Tools()
# Built from crates.io once.
S3 = TOOLS.find("s3s-fs")


class Backups(World):
    def setUp(self):
        super().setUp()
        (self.root / ".image").write_text(f"LITELLM_IMAGE={REPOSITORY}:v1\n")
        (self.stub / "service-litellm").write_text(f"{REPOSITORY}:v1\n")
        (self.root / "config" / "google.json").write_text('{"private_key": "-----BEGIN PRIVATE KEY-----"}\n')

    def archives(self):
        return sorted(p.name for p in (self.root / "backups").glob("backup-*.tar.gz*") if not p.name.endswith(".sha256"))

    def records(self):
        return [json.loads(line) for line in (self.root / "data/backups.jsonl").read_text().splitlines()]

    def backup(self, *args, **more):
        return json.loads(self.ok("backup.sh", *args, **more)[0].splitlines()[-1])

    def clock(self, text):
        """Every `date` of the scripts is that of the text."""
        self.program("date", f"#!/bin/sh\nexec /usr/bin/date -d '{text}' \"$@\"\n")

    def age_everything(self):
        """Between two backups of one second there is none."""
        time.sleep(1.1)


class Files(Backups):
    def test_an_archive_holds_no_secret_and_its_record_says_what_it_is(self):
        for shell in SHELLS:
            record = self.backup(shell=shell)
            self.assertRegex(record["id"], r"^backup-\d{8}-\d{6}$")
            self.assertEqual((record["status"], record["retentionDays"]), ("success", 7))
            path = pathlib.Path(record["location"])
            self.assertEqual((path.stat().st_size, path.stat().st_mode & 0o777), (record["sizeBytes"], 0o600))
            self.assertEqual(hashlib.sha256(path.read_bytes()).hexdigest(), record["checksum"])
            with tarfile.open(path) as tar:
                names = [m.name for m in tar.getmembers() if m.isfile()]
                text = b"".join(tar.extractfile(m).read() for m in tar.getmembers() if m.isfile())
            self.assertIn("./config/litellm.yaml", names)
            self.assertIn(b"LITELLM_MASTER_KEY", text)
            self.assertNotIn(KEY.encode(), text)
            self.assertNotIn(b"PRIVATE KEY", text)
            self.assertNotIn("./secrets.env", names)
            self.age_everything()

    def test_seven_days_and_the_permanent_ones_stay(self):
        self.clock("2026-03-01 12:00 UTC")
        self.backup("--permanent", "before-the-move")
        for day in range(1, 11):
            self.clock(f"2026-03-{day:02} 13:00 UTC")
            self.backup()
        self.clock("2026-03-10 18:00 UTC")
        self.backup()
        days = [name[7:15] for name in self.archives()]
        self.assertEqual(days, ["20260301", *[f"202603{d:02}" for d in range(4, 11)], "20260310"])
        self.assertEqual(len(list((self.root / "backups").glob("*.sha256"))), len(days))

    def test_two_days_without_a_good_backup_are_reported(self):
        self.program("alert", f'#!/bin/sh\nprintf "%s\\n" "$1" >>"{self.dir}/alerts"\n')
        self.write_values(ALERT_COMMAND=self.bin / "alert", ALERT_WEBHOOK=f"http://127.0.0.1:{self.ports[0]}/hook?token=abc")
        self.assertEqual(self.run_script("backup-check.sh")[0], 1)
        self.clock("2026-03-01 12:00 UTC")
        self.backup()
        for shell in SHELLS:
            self.clock("2026-03-03 11:00 UTC")
            self.ok("backup-check.sh", shell=shell)
            self.clock("2026-03-03 13:00 UTC")
            self.backup("--safety")
            self.assertEqual(self.run_script("backup-check.sh", shell=shell)[0], 1)
            (self.root / "backups" / self.archives()[-1]).unlink()
        self.assertIn("has had no good backup since 2026-03-01T12:00:00Z", (self.dir / "alerts").read_text())
        self.assertIn("has never had a good backup", self.posts[0][2]["text"])

    def test_a_killed_backup_leaves_nothing_under_a_name_of_a_backup(self):
        for program in ("tar", "sync", "mv"):
            with self.subTest(program=program):
                before = self.archives()
                real = shutil.which(program)
                self.program(program, f'#!/bin/sh\nif [ -e "$STUB/kill" ]; then rm -f "$STUB/kill"; kill -9 "$(cat "$STUB/victim")"; sleep 0.3; exit 1; fi\nexec {real} "$@"\n')
                victim = subprocess.Popen(["sh", "-c", 'echo $$ >"$STUB/victim"; touch "$STUB/kill"; exec dash "$0"', str(self.root / "scripts/backup.sh")],
                                          env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                self.assertEqual(victim.wait(60), -signal.SIGKILL)
                time.sleep(0.6)
                self.assertEqual(self.archives(), before)
                _, err = self.ok("backup.sh")
                self.assertIn("interrupted backup", err)
                self.assertEqual(len(self.archives()), len(before) + 1)
                self.age_everything()

    def test_two_at_once_the_second_is_refused(self):
        self.program("tar", "#!/bin/sh\nsleep 3\nexec /bin/tar \"$@\"\n")
        first = subprocess.Popen(self.command("backup.sh"), env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.time() + 20
        while not (self.root / "backups/staging/tree/backup.json").exists() and time.time() < deadline:
            time.sleep(0.02)
        self.assertEqual(self.run_script("backup.sh")[0], 6)
        self.assertEqual(first.wait(60), 0)

    def test_an_archive_that_changed_is_refused_before_anything(self):
        path = pathlib.Path(self.backup()["location"])
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        calls = len(self.calls())
        for shell in SHELLS:
            for args in ([], ["--drill"], ["--to", self.dir / "out"]):
                code, _, err = self.run_script("restore.sh", path, "--yes", *args, shell=shell)
                self.assertEqual(code, 8, err)
                self.assertIn("its checksum differs", err)
        self.assertEqual(len(self.calls()), calls)

    def test_a_hostile_archive_is_refused(self):
        for name, kind in (("../escape", tarfile.REGTYPE), ("/abs", tarfile.REGTYPE), ("link", tarfile.SYMTYPE)):
            path = self.dir / "bad.tar.gz"
            with tarfile.open(path, "w:gz") as tar:
                member = tarfile.TarInfo(name)
                member.type, member.linkname = kind, "/etc/passwd"
                tar.addfile(member)
            sum_ = hashlib.sha256(path.read_bytes()).hexdigest()
            code, _, err = self.run_script("restore.sh", path, "--checksum", sum_, "--to", self.dir / "out")
            self.assertEqual(code, 8, err)
            self.assertFalse((self.dir / "out").exists())

    def test_a_restoration_brings_the_configuration_back(self):
        path = self.backup()["location"]
        config = self.root / "config" / "litellm.yaml"
        for shell in SHELLS:
            config.write_text("model_list: [] # changed\n")
            self.assertEqual(self.run_script("restore.sh", path, shell=shell)[0], 2)
            self.ok("restore.sh", path, "--yes", shell=shell)
            self.assertEqual(config.read_text(), "model_list: [] # first\n")
            self.assertEqual(self.env_value("LITELLM_MASTER_KEY"), KEY)
            self.age_everything()
        self.assertIn("-safety.tar.gz", " ".join(self.archives()))

    def test_a_restored_state_that_is_unhealthy_is_undone(self):
        path = self.backup()["location"]
        config = self.root / "config" / "litellm.yaml"
        config.write_text("model_list: [] # changed\n")
        self.write_values(HEALTH_TRIES=1)
        self.versions["v1"] = lambda world: "broken" if "first" in (world.stub / "config-litellm").read_text() else "good"
        self.age_everything()
        code, _, err = self.run_script("restore.sh", path, "--yes")
        self.assertEqual(code, 5, err)
        self.assertEqual(config.read_text(), "model_list: [] # changed\n")

    @unittest.skipUnless(shutil.which("age") and shutil.which("age-keygen"), "age is not installed")
    def test_an_encrypted_backup_holds_env_and_a_fresh_machine_gets_it(self):
        identity = self.dir / "identity"
        subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True)
        self.write_values(ENCRYPT_TO=re.search(r"age1\w+", identity.read_text()).group())
        path = self.backup()["location"]
        self.assertTrue(path.endswith(".tar.gz.age"))
        self.assertEqual(self.run_script("restore.sh", path, "--drill")[0], 2)
        self.ok("restore.sh", path, "--drill", "--identity", identity)
        self.env_file.rename(self.dir / "old-env")
        (self.root / ".image").unlink()
        self.ok("restore.sh", path, "--yes", "--identity", identity)
        self.assertEqual(self.env_file.read_text(), (self.dir / "old-env").read_text())
        self.assertEqual(self.env_file.stat().st_mode & 0o777, 0o600)


@unittest.skipUnless(PG_BIN and os.geteuid() == 0, "PostgreSQL is not installed, or this is not root")
class Database(Backups):
    """The service postgres of the stand-in engine is this server; for systemd DATABASE_HOST leads to it."""

    @classmethod
    def setUpClass(cls):
        cls.pg = pathlib.Path(tempfile.mkdtemp(prefix="servers-pg-", dir="/tmp"))
        shutil.chown(cls.pg, "postgres", "postgres")
        cls.port = free_port()
        cls.as_postgres("initdb", "-D", cls.pg / "data", "-A", "scram-sha-256", "--auth-local=trust", "-U", "postgres", "--no-sync")
        cls.as_postgres("pg_ctl", "-D", cls.pg / "data", "-w", "-l", cls.pg / "log", "-o", f"-k {cls.pg} -p {cls.port} -h 127.0.0.1 -F", "start")
        cls.query("postgres", "CREATE ROLE litellm SUPERUSER LOGIN PASSWORD 'first@pw:1/x'", user="postgres")

    @classmethod
    def tearDownClass(cls):
        cls.as_postgres("pg_ctl", "-D", cls.pg / "data", "-m", "immediate", "stop")
        shutil.rmtree(cls.pg, ignore_errors=True)

    @classmethod
    def as_postgres(cls, program, *args):
        subprocess.run(["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", PG_BIN / program, *args], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, cwd="/")

    @classmethod
    def query(cls, database, sql, user="litellm"):
        done = subprocess.run([PG_BIN / "psql", "-h", cls.pg, "-p", str(cls.port), "-U", user, "-d", database, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"],
                              input=sql, text=True, capture_output=True, timeout=60, check=False)
        if done.returncode:
            raise AssertionError(done.stderr)
        return done.stdout.strip()

    def setUp(self):
        super().setUp()
        for name in ("litellm", "gateway_before"):
            self.query("postgres", f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.query("postgres", "CREATE DATABASE litellm OWNER litellm")
        self.query("litellm", 'CREATE TABLE "LiteLLM_Keys" (id int primary key, v text); CREATE TABLE empty_one (x int); '
                              "INSERT INTO \"LiteLLM_Keys\" SELECT g, E'row\\n' || g FROM generate_series(1, 500) g")
        self.write_values(DATABASE="yes")

    def environment(self, **more):
        env = super().environment(PG_BIN=str(PG_BIN), PGHOST_OF_TEST=str(self.pg), PGPORT_OF_TEST=str(self.port), **more)
        env["PATH"] = f"{self.bin}:{PG_BIN}:/usr/sbin:/usr/bin:/sbin:/bin"
        return env

    def databases(self):
        return self.query("postgres", "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate")

    def test_a_drill_counts_the_rows_and_leaves_nothing(self):
        path = self.backup()["location"]
        for shell in SHELLS:
            out, err = self.ok("restore.sh", path, "--drill", shell=shell)
            self.assertIn("can be restored", out)
            self.assertIn("2 tables and 500 rows", err)
        self.assertEqual(self.databases(), "litellm postgres")

    def test_a_restoration_brings_the_rows_back(self):
        path = self.backup()["location"]
        self.query("litellm", 'DELETE FROM "LiteLLM_Keys" WHERE id > 10; CREATE TABLE made_later (x int)')
        self.age_everything()
        self.ok("restore.sh", path, "--database-only", "--yes")
        self.assertEqual(self.query("litellm", 'SELECT count(*) FROM "LiteLLM_Keys"'), "500")
        self.assertEqual(self.query("litellm", "SELECT to_regclass('made_later') IS NULL"), "t")
        self.assertEqual(self.databases(), "litellm postgres")

    def test_a_restored_database_that_does_not_work_is_undone(self):
        path = self.backup()["location"]
        self.query("litellm", 'DELETE FROM "LiteLLM_Keys" WHERE id > 10')
        self.write_values(HEALTH_TRIES=1)
        self.versions["v1"] = lambda _: "good" if self.query("litellm", 'SELECT count(*) FROM "LiteLLM_Keys"') == "10" else "broken"
        self.age_everything()
        code, _, err = self.run_script("restore.sh", path, "--database-only", "--yes")
        self.assertEqual(code, 5, err)
        self.assertEqual(self.query("litellm", 'SELECT count(*) FROM "LiteLLM_Keys"'), "10")
        self.assertEqual(self.databases(), "litellm postgres")

    def test_a_dump_that_fails_is_a_failed_backup(self):
        self.query("postgres", "DROP DATABASE litellm")
        code, _, err = self.run_script("backup.sh")
        self.assertEqual(code, 1, err)
        self.assertEqual((self.archives(), self.records()[-1]["status"], self.records()[-1]["phase"]), ([], "failed", "database"))

    def test_a_backup_killed_in_the_dump_leaves_nothing(self):
        (self.stub / "kill-at-pg_dump").touch()
        victim = subprocess.Popen(self.command("backup.sh"), env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (self.stub / "victim").write_text(str(victim.pid))
        self.assertEqual(victim.wait(60), -signal.SIGKILL)
        time.sleep(0.5)
        self.assertEqual(self.archives(), [])
        self.backup()

    def test_a_new_password_of_the_database(self):
        self.write_env(LITELLM_MASTER_KEY=KEY, DATABASE_PASSWORD="firstpw1")
        self.query("postgres", "ALTER ROLE litellm PASSWORD 'firstpw1'", user="postgres")
        self.ok("rotate.sh", "DATABASE_PASSWORD")
        new = self.env_value("DATABASE_PASSWORD")
        self.assertRegex(new, "^[0-9a-f]{64}$")
        self.assertTrue(self.can_log_in(new))
        self.assertFalse(self.can_log_in("firstpw1"))
        self.assertNotIn(new, "\n".join(self.calls()))
        self.write_values(HEALTH_TRIES=1)
        self.versions["v1"] = lambda world: "good" if world.env_value("DATABASE_PASSWORD") == new else "broken"
        self.assertEqual(self.run_script("rotate.sh", "DATABASE_PASSWORD")[0], 5)
        self.assertTrue(self.can_log_in(new))

    def can_log_in(self, password):
        return subprocess.run([PG_BIN / "psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "litellm", "-d", "litellm", "-c", "SELECT 1"],
                              env={"PGPASSWORD": password}, capture_output=True, timeout=30, check=False).returncode == 0


class DatabaseOfUnits(Database):
    layout = "systemd"

    def setUp(self):
        super().setUp()
        self.release("1.0.0")
        (self.root / "venv").symlink_to("releases/1.0.0")
        (self.stub / f"service-{self.ports[0]}").write_text("1.0.0\n")
        self.query("postgres", "ALTER ROLE litellm PASSWORD 'first@pw:1/x'", user="postgres")
        self.write_env(LITELLM_MASTER_KEY=KEY, DATABASE_PASSWORD="first@pw:1/x")
        self.write_values(DATABASE="yes", DATABASE_PORT=self.port)

    def test_a_restored_database_that_does_not_work_is_undone(self):
        self.versions["1.0.0"] = lambda _: "good" if self.query("litellm", 'SELECT count(*) FROM "LiteLLM_Keys"') == "10" else "broken"
        super().test_a_restored_database_that_does_not_work_is_undone()

    def test_a_backup_killed_in_the_dump_leaves_nothing(self):
        self.program("pg_dump", '#!/bin/sh\nif [ -e "$STUB/kill-at-pg_dump" ]; then rm "$STUB/kill-at-pg_dump"; kill -9 "$(cat "$STUB/victim")"; exit 1; fi\n'
                                f'exec {PG_BIN}/pg_dump "$@"\n')
        super().test_a_backup_killed_in_the_dump_leaves_nothing()

    def test_a_new_password_of_the_database(self):
        self.query("postgres", "ALTER ROLE litellm PASSWORD 'firstpw1'", user="postgres")
        self.write_env(LITELLM_MASTER_KEY=KEY, DATABASE_PASSWORD="firstpw1")
        self.ok("rotate.sh", "DATABASE_PASSWORD")
        new = self.env_value("DATABASE_PASSWORD")
        self.assertRegex(new, "^[0-9a-f]{64}$")
        self.assertTrue(self.can_log_in(new))


class Corrupting(http.server.BaseHTTPRequestHandler):
    """Takes objects and gives them back with a byte changed, or does not answer in time."""

    def log_message(self, *_):
        pass

    def do_PUT(self):
        if self.server.slow:
            time.sleep(8)
        self.server.kept[self.path] = bytearray(self.rfile.read(int(self.headers["Content-Length"])))
        self.end(200)

    def do_GET(self):
        data = self.server.kept.get(self.path)
        if data:
            data[-1] ^= 1
        self.end(200 if data else 404, bytes(data or b""))

    def do_DELETE(self):
        self.server.kept.pop(self.path, None)
        self.end(204)

    def end(self, status, data=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Store(Backups):
    def setUp(self):
        super().setUp()
        (self.root / "operations.env").write_text('BACKUP_S3_ACCESS_KEY_ID=key-of-test\nBACKUP_S3_SECRET_ACCESS_KEY=secret"of\\test\n')
        (self.root / "operations.env").chmod(0o600)

    def corrupting(self, slow=False):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Corrupting)
        server.daemon_threads, server.kept, server.slow = True, {}, slow
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.write_values(S3_ENDPOINT=f"http://127.0.0.1:{server.server_port}", S3_BUCKET="backups", UPLOAD_SECONDS=3)
        return server

    def test_what_the_store_changes_is_deleted_there_and_kept_here(self):
        server = self.corrupting()
        # The names that Backblaze gives its keys.
        (self.root / "operations.env").write_text("B2_KEY_ID=key-of-test\nB2_APP_KEY=secret-of-test\n")
        code, _, err = self.run_script("backup.sh")
        self.assertEqual(code, 10, err)
        self.assertIn("does not hold what was sent", err)
        self.assertEqual((server.kept, len(self.archives())), ({}, 1))
        self.assertEqual((self.records()[-1]["status"], self.records()[-1]["phase"]), ("failed", "upload"))
        self.assertEqual(self.run_script("backup-check.sh")[0], 1)
        self.ok("restore.sh", self.root / "backups" / self.archives()[0], "--drill")

    def test_an_upload_has_a_limit(self):
        self.corrupting(slow=True)
        begin = time.time()
        self.assertEqual(self.run_script("backup.sh")[0], 10)
        self.assertLess(time.time() - begin, 25)

    @unittest.skipUnless(S3, TOOLS.missing.get("s3s-fs"))
    def test_to_a_real_store_and_back(self):
        data = self.dir / "store"
        (data / "backups").mkdir(parents=True)
        port = free_port()
        server = subprocess.Popen([S3, "--host", "127.0.0.1", "--port", str(port), "--access-key", "key-of-test", "--secret-key", 'secret"of\\test', data],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait, 10)
        self.addCleanup(server.terminate)
        self.write_values(S3_ENDPOINT=f"http://127.0.0.1:{port}", S3_BUCKET="backups", S3_PREFIX="gateway/")
        time.sleep(0.5)
        argv = self.dir / "argv"
        real = shutil.which("curl")
        self.program("curl", f'#!/bin/sh\nprintf "%s\\n" "$*" >>"{argv}"\nexec {real} "$@"\n')
        for shell in SHELLS:
            record = self.backup(shell=shell)
            name = record["location"].rsplit("/", 1)[-1]
            self.assertEqual(record["location"], f"s3://backups/gateway/{name}")
            stored = (data / "backups/gateway" / name).read_bytes()
            self.assertEqual(stored, (self.root / "backups" / name).read_bytes())
            self.assertEqual((record["checksum"], record["sizeBytes"]), (hashlib.sha256(stored).hexdigest(), len(stored)))
            shutil.rmtree(self.root / "backups")
            self.ok("restore.sh", f"s3:{name}", "--drill", shell=shell)
            self.age_everything()
        self.assertNotIn("secret", argv.read_text())
        self.ok("backup-check.sh")
        (self.root / "operations.env").write_text("BACKUP_S3_ACCESS_KEY_ID=key-of-test\nBACKUP_S3_SECRET_ACCESS_KEY=wrong\n")
        self.assertEqual(self.run_script("backup.sh")[0], 10)


if __name__ == "__main__":
    unittest.main()
