"""What start-gateway.sh and print-gateway-key.sh do when something goes wrong or happens at once, with a made-up LiteLLM."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
import urllib.request

from fakes import KEY, SHELLS, Place, by, pasted


def wait_for(condition, seconds=20):
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.05)


class Life(Place):
    def setUp(self):
        super().setUp()
        self.program_path = self.litellm()
        self.good = (self.dir / "config/litellm.yaml").read_text()
        self.addCleanup(lambda: self.run_script("start-gateway.sh", "stop", "--now"))

    def pid(self):
        return int((self.dir / "litellm.pid").read_text())

    def noted(self, name):
        path = self.program_path.parent / name
        return path.read_text().splitlines() if path.exists() else []

    def config(self, words):
        (self.dir / "config/litellm.yaml").write_text(self.good + f"\n# {words}\n")

    def limits(self, **seconds):
        """Other limits in the script, so that a test does not wait for minutes."""
        script = self.dir / "start-gateway.sh"
        lines = script.read_text().splitlines(True)
        for name, value in seconds.items():
            self.assertEqual(sum(line.startswith(f"{name}=") for line in lines), 1, name)
            lines = [f"{name}={value}\n" if line.startswith(f"{name}=") else line for line in lines]
        script.write_text("".join(lines))

    def ours(self):
        """Every process with the command line of this gateway."""
        config = str(self.dir / "config/litellm.yaml").encode()
        found = []
        for place in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (place / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if config in words and b"--run_gunicorn" in words:
                found.append(int(place.name))
        return found

    def ask(self, path="/"):
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return answer.read().decode()

    def port_is_open(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stream(self, seconds):
        """A request that takes this long, or until finish(): the thread, and the list that its answer or fault gets into."""
        answers = []

        def run():
            try:
                answers.append(self.ask(f"/stream/{seconds}"))
            except Exception as fault:
                answers.append(repr(fault))
        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(0.5)
        return thread, answers

    def finish(self, thread, answers):
        """Lets the stream end; it must have lived until now."""
        self.assertTrue(thread.is_alive(), answers)
        (self.program_path.parent / "finish").touch()
        thread.join()
        self.assertEqual([answer.strip("x") for answer in answers], [" end"])

    def begin(self, *arguments, **more):
        return subprocess.Popen([str(self.dir / "start-gateway.sh"), *arguments], env=self.env(**more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, start_new_session=True)


class Identity(Life):
    def orphan(self):
        self.expect(0, "runs", "start-gateway.sh")
        os.kill(self.pid(), signal.SIGKILL)
        wait_for(lambda: len(self.ours()) == 1)
        return self.ours()[0]

    def test_a_worker_whose_master_was_killed_is_reported_and_stopped(self):
        for shell in SHELLS:
            worker = self.orphan()
            self.expect(0, [f"(pid {worker})", "main process was killed"], "start-gateway.sh", "status", shell=shell)
            self.expect(0, f"already runs at http://127.0.0.1:{self.port} (pid {worker})", "start-gateway.sh", shell=shell)
            self.assertEqual(self.pid(), worker)
            self.expect(1, ["takes no new configuration over", "restart"], "start-gateway.sh", "reload", shell=shell)
            self.expect(0, "is stopped", "stop-gateway.sh", shell=shell)
            self.assertEqual(self.ours(), [])

    def test_a_worker_whose_master_was_killed_is_replaced_by_a_restart(self):
        worker = self.orphan()
        self.expect(0, "the gateway runs", "start-gateway.sh", "restart")
        self.assertNotEqual(self.pid(), worker)
        wait_for(lambda: worker not in self.ours())
        self.expect(0, "took over", "start-gateway.sh", "reload")

    def test_a_lost_pid_file_hides_nothing(self):
        self.expect(0, "runs", "start-gateway.sh")
        pid = self.pid()
        for text in (None, "", "1\n", "no number\n"):
            (self.dir / "litellm.pid").unlink()
            if text is not None:
                (self.dir / "litellm.pid").write_text(text)
            self.expect(0, f"(pid {pid})", "start-gateway.sh", "status")
            self.expect(0, f"already runs at http://127.0.0.1:{self.port} (pid {pid})", "start-gateway.sh")
            self.assertEqual(self.pid(), pid)
        (self.dir / "litellm.pid").unlink()
        self.expect(0, "is stopped", "start-gateway.sh", "stop")
        self.assertEqual(self.ours(), [])

    def test_a_gateway_of_another_directory_is_left_alone(self):
        other = Life("ours")
        other.setUp()
        self.addCleanup(other.doCleanups)
        other.expect(0, "runs", "start-gateway.sh")
        self.expect(0, "runs", "start-gateway.sh")
        self.expect(0, "is stopped", "start-gateway.sh", "stop", "--now")
        self.assertEqual(len(other.ours()), 2)

    def test_a_start_that_gives_up_leaves_no_process(self):
        self.limits(start_limit=3)
        for words, said in (("spins", "does not answer"), ("dies", "ended before it answered")):
            self.config(words)
            self.expect(1, said, "start-gateway.sh")
            self.assertEqual(self.ours(), [])
            self.assertEqual([p.name for p in self.dir.iterdir() if p.name.startswith((".start", ".serving")) or p.suffix == ".pid"], [])
        self.limits(start_limit=60)
        self.config("spins")
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)):
            start = self.begin()
            wait_for(lambda: self.ours())
            start.send_signal(number)
            self.assertEqual((start.wait(20), self.ours()), (code, []))
            start.stdout.close()

    def test_a_start_that_hangs_is_ended_and_started_once_more(self):
        self.limits(hang_limit=2, second_hang_limit=2)
        self.config("hangs once")
        self.expect(0, ["used no processor time", "started once more", "the gateway runs"], "start-gateway.sh")
        self.assertEqual(len(self.noted("starts")), 2)
        self.expect(0, "is stopped", "start-gateway.sh", "stop")
        self.config("hangs always")
        self.expect(1, "at the second try", "start-gateway.sh")
        self.assertEqual((len(self.noted("starts")), self.ours()), (4, []))

    def test_progress_is_said_while_a_start_waits(self):
        self.limits(start_limit=12)
        self.config("spins")
        self.expect(1, "waiting for the gateway: 1", "start-gateway.sh")


class Lock(Life):
    def test_a_lock_that_nothing_holds_is_put_aside_at_once_and_said(self):
        for text in ("", "4194303 1\n", f"{os.getpid()} 1\n", "\0\0\0\0"):
            (self.dir / ".starting").write_text(text)
            begun = time.monotonic()
            self.expect(0, ["the lock of a start that ended before its time is removed", "the gateway runs"], "start-gateway.sh")
            self.assertLess(time.monotonic() - begun, 10)
            self.assertFalse((self.dir / ".starting").exists())
            self.run_script("start-gateway.sh", "stop")
        # The control: this one is alive and is the one that the lock names.
        self.limits(start_limit=1)
        other = subprocess.Popen(["sh", "-c", "sleep 60; :", "start-gateway.sh"])
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        born = pathlib.Path(f"/proc/{other.pid}/stat").read_text().rsplit(") ", 1)[1].split()[19]
        (self.dir / ".starting").write_text(f"{other.pid} {born}\n")
        self.expect(1, [f"another start (pid {other.pid}) has not ended", "stop --now"], "start-gateway.sh")

    def test_what_a_killed_start_left_is_removed(self):
        for name in (".starting.4194303", ".starting.4194303.lock"):
            (self.dir / name).write_text("x")
        self.expect(0, "the gateway runs", "start-gateway.sh")
        self.assertEqual(sorted(p.name for p in self.dir.iterdir() if p.name.startswith(".start")), [])

    def test_many_starts_at_once_with_a_lock_left_behind_are_one_start(self):
        (self.dir / ".starting").write_text("4194303 1\n")
        starts = [self.begin() for _ in range(6)]
        texts = [start.communicate(timeout=90)[0] for start in starts]
        self.assertEqual([start.returncode for start in starts], [0] * 6, texts)
        self.assertEqual(len(self.noted("starts")), 1, texts)

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("mount"), "only root can mount a small disk")
    def test_a_full_disk_is_said_at_once(self):
        small = self.home / "small/.claude/gateway"
        small.mkdir(parents=True)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", small], capture_output=True).returncode:
            self.skipTest("this machine allows no mount")
        self.addCleanup(lambda: subprocess.run(["umount", "-l", small], check=True))
        shutil.copytree(self.dir, small, dirs_exist_ok=True)
        with open(small / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(4096))
            except OSError:
                pass
        begun = time.monotonic()
        done = subprocess.run([small / "start-gateway.sh"], env=self.env(), capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is full", done.stderr)
        self.assertIn("try: df -h", done.stderr)
        self.assertLess(time.monotonic() - begun, 5)
        (small / "filler").unlink()
        self.assertEqual([p.name for p in small.iterdir() if p.name.startswith(".starting") and p.stat().st_size], [])


class Requests(Life):
    def test_a_request_may_finish_after_stop_longer_than_gunicorn_would_wait(self):
        self.expect(0, "runs", "start-gateway.sh")
        thread, answers = self.stream(4)
        self.expect(0, ["waiting for running requests (1 connections)", "at most 600 s", "--now does not wait", "is stopped"], "start-gateway.sh", "stop")
        thread.join()
        self.assertEqual(answers, ["x" * 20 + " end"])
        self.assertEqual(self.ours(), [])

    def test_the_configured_time_of_a_request_is_the_limit(self):
        text = self.good.replace("request_timeout: 600", "request_timeout: 2")
        self.assertNotEqual(text, self.good)
        (self.dir / "config/litellm.yaml").write_text(text)
        self.expect(0, "runs", "start-gateway.sh")
        thread, answers = self.stream(30)
        begun = time.monotonic()
        self.expect(0, ["had not finished after 2 s were ended", "is stopped"], "start-gateway.sh", "stop")
        self.assertLess(time.monotonic() - begun, 8)
        thread.join()
        self.assertEqual(self.ours(), [])

    def test_a_gateway_that_is_started_while_the_old_one_finishes_stays(self):
        self.expect(0, "runs", "start-gateway.sh")
        thread, answers = self.stream(100)
        stop = self.begin("stop")
        wait_for(lambda: len(self.ours()) == 1)
        self.expect(0, "the gateway runs", "start-gateway.sh")
        self.finish(thread, answers)
        self.assertIn("another one was started meanwhile", stop.communicate(timeout=60)[0])
        self.expect(0, f"(pid {self.pid()})", "start-gateway.sh", "status")

    def test_a_stop_ends_no_gateway_that_was_started_while_it_waited(self):
        # The stop is held where it waits for the old listener to close, until the new gateway answers.
        go = self.home / "go"
        self.program("sleep", f"""#!/bin/sh
if tr '\\0' ' ' <"/proc/$PPID/cmdline" | grep -q ' stop $'; then
	until [ -e {pasted(go)} ]; do /bin/sleep 0.1; done
fi
exec /bin/sleep "$@"
""")
        self.config("closes late")
        self.expect(0, "runs", "start-gateway.sh")
        thread, answers = self.stream(100)
        stop = self.begin("stop")
        wait_for(lambda: not self.port_is_open())
        self.expect(0, "the gateway runs", "start-gateway.sh")
        new = self.pid()
        go.touch()
        self.finish(thread, answers)
        self.assertIn("another one was started meanwhile", stop.communicate(timeout=60)[0])
        self.expect(0, f"(pid {new})", "start-gateway.sh", "status")

    def test_stop_now_does_not_wait(self):
        self.expect(0, "runs", "start-gateway.sh")
        thread, _ = self.stream(20)
        begun = time.monotonic()
        self.expect(0, "is stopped", "stop-gateway.sh", "--now")
        self.assertLess(time.monotonic() - begun, 8)
        thread.join()
        self.assertEqual(self.ours(), [])

    def test_a_restart_starts_the_new_process_while_the_old_one_finishes(self):
        self.expect(0, "runs", "start-gateway.sh")
        old = self.pid()
        thread, answers = self.stream(100)
        self.expect(0, ["finishes its requests beside the new one", "the gateway runs"], "start-gateway.sh", "restart")
        self.assertNotEqual(self.pid(), old)
        self.assertIn("worker", self.ask())
        self.finish(thread, answers)
        wait_for(lambda: len(self.ours()) == 2)

    def test_a_restart_validates_before_it_stops(self):
        self.expect(0, "runs", "start-gateway.sh")
        old = self.ours()
        self.config("broken")
        self.expect(1, "does not accept", "start-gateway.sh", "restart")
        (self.dir / "config/litellm.yaml").write_text(self.good + "\nx: os.environ/NOT_SET\n")
        self.expect(1, "gwinstall env set NOT_SET", "start-gateway.sh", "restart")
        self.config("good")
        self.program_path.rename(self.program_path.parent / "away")
        self.expect(1, "litellm was not found", "start-gateway.sh", "restart")
        self.assertEqual(self.ours(), old)
        self.assertIn("worker", self.ask())

    def test_a_restart_onto_a_busy_port_leaves_the_old_process(self):
        self.expect(0, "runs", "start-gateway.sh")
        old = self.ours()
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            self.limits(GATEWAY_PORT=other.getsockname()[1])
            self.expect(1, "is in use by", "start-gateway.sh", "restart")
        self.assertEqual(self.ours(), old)

    def test_a_restart_starts_a_gateway_that_does_not_run(self):
        self.expect(0, "the gateway runs", "start-gateway.sh", "restart")

    def test_a_reload_is_over_when_the_new_worker_serves_alone(self):
        self.expect(0, "runs", "start-gateway.sh")
        thread, answers = self.stream(100)
        for version in ("first", "second"):
            self.config(version)
            self.expect(0, "took over", "start-gateway.sh", "reload")
            self.assertEqual({f"# {version}" in self.ask() for _ in range(20)}, {True})
        self.finish(thread, answers)

    def test_the_log_is_shortened_while_the_gateway_writes_it(self):
        self.limits(log_limit=1000)
        self.expect(0, "runs", "start-gateway.sh")
        with open(self.dir / "litellm.log", "ab") as log:
            log.write(b"x" * 2000)
        self.expect(0, "took over", "start-gateway.sh", "reload")
        self.assertLess((self.dir / "litellm.log").stat().st_size, 1000)
        self.assertIn(b"x" * 2000, (self.dir / "litellm.log.1").read_bytes())


class Stopped(Life):
    def test_only_the_users_stop_leaves_the_mark(self):
        mark = self.dir / ".stopped"
        for again in ("start", "restart"):
            self.expect(0, "runs", "start-gateway.sh")
            self.expect(0, "is stopped", "start-gateway.sh", "stop")
            self.assertTrue(mark.exists())
            self.expect(3, "it was stopped", "start-gateway.sh", "status")
            self.expect(0, "the gateway runs", "start-gateway.sh", again)
            self.assertFalse(mark.exists())
            self.expect(0, "the gateway runs", "start-gateway.sh", "restart")
            self.assertFalse(mark.exists())
            for part in ({"GWINSTALL_INTERNAL": "yes"}, {"GWINSTALL_TRANSACTION": "open"}):
                self.expect(0, "", "start-gateway.sh", "stop", **part)
                self.assertFalse(mark.exists())

    def test_stop_ends_a_start_at_work(self):
        self.config("spins")
        start = self.begin()
        wait_for(lambda: self.ours())
        self.expect(0, "", "start-gateway.sh", "stop")
        self.assertEqual(start.wait(10), 143)
        start.stdout.close()
        self.assertEqual(self.ours(), [])


class Causes(Life):
    def test_each_cause_has_its_own_message(self):
        self.program_path.write_text("#!/nowhere/venv/bin/python\n")
        said = self.expect(1, ["its Python /nowhere/venv/bin/python does not exist any more", "try: gwinstall runtime install"], "start-gateway.sh")
        self.assertNotIn("rm -rf", said, "it may be the directory of other programs")
        (self.dir / "venv/pyvenv.cfg").touch()
        self.expect(1, f"try: rm -rf {pasted(self.dir / 'venv')} && gwinstall runtime install", "start-gateway.sh")
        # As pip writes it where the path is too long, or holds a blank.
        self.program_path.write_text("#!/bin/sh\n'''exec' \"/nowhere/a b/python\" \"$0\" \"$@\"\n' '''\n")
        self.expect(1, "its Python /nowhere/a b/python does not exist any more", "start-gateway.sh")
        self.program_path.write_text("#!/usr/bin/env no-such-python3\n")
        self.expect(1, "the Python of its virtual environment is missing", "start-gateway.sh")
        self.program_path.write_text(f"#!{sys.executable}\nfrom litellm_of_nowhere import x\n")
        self.expect(1, "does not accept", "start-gateway.sh")
        self.program_path.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'litellm'\"\nexit 1\n")
        self.expect(1, ["virtual environment of", "is broken", "gwinstall runtime install"], "start-gateway.sh")


class OnDemand(Life):
    name = "scripts/print-gateway-key.sh"

    def helper(self, *arguments, **more):
        """(exit status, stdout, stderr) of the helper as Claude Code calls it: by /bin/sh -c, in a project."""
        path = "'" + str(self.dir / self.name).replace("'", "'\\''") + "' " + " ".join(arguments)
        done = subprocess.run(["/bin/sh", "-c", path], cwd=self.project(), env=self.env(**more), capture_output=True, text=True, timeout=150)
        return done.returncode, done.stdout, done.stderr

    def project(self):
        path = self.home / "a project"
        path.mkdir(exist_ok=True)
        return path

    def refused(self, words, seconds=1.5):
        begun = time.monotonic()
        code, out, err = self.helper("local")
        self.assertEqual((code, out, err.count("\n")), (1, "", 1), err)
        for word in [words] if isinstance(words, str) else words:
            self.assertIn(word, err)
        self.assertLess(time.monotonic() - begun, seconds)

    def test_it_starts_the_gateway_and_prints_the_key(self):
        self.assertEqual(self.helper("local"), (0, KEY + "\n", ""))
        self.assertEqual(len(self.noted("starts")), 1)
        self.assertEqual(os.getsid(self.pid()), self.pid())
        self.assertEqual(self.helper("local"), (0, KEY + "\n", ""))
        # It died under an open session: the next call brings it back.
        for pid in self.ours():
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not self.ours())
        self.assertEqual(self.helper("local"), (0, KEY + "\n", ""))
        self.assertEqual(len(self.noted("starts")), 2)
        # Without an argument, and for a gateway elsewhere, nothing is started.
        self.expect(0, "is stopped", "start-gateway.sh", "stop")
        self.assertEqual(self.helper(), (0, KEY + "\n", ""))
        self.set_env(ANTHROPIC_AUTH_TOKEN="remote-token")
        self.assertEqual(self.helper("remote"), (0, "remote-token\n", ""))
        self.assertEqual(self.ours(), [])

    def test_in_every_shell(self):
        for shell in SHELLS:
            done = subprocess.run([*by(shell), str(self.dir / self.name), "--clean", "local"], env=self.env(), capture_output=True, text=True, timeout=150)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, KEY + "\n", ""), shell)
            again = subprocess.run([*by(shell), str(self.dir / self.name), "--clean", "local"], env=self.env(), capture_output=True, text=True, timeout=5)
            self.assertEqual((again.returncode, again.stdout, again.stderr), (0, KEY + "\n", ""), shell)
            self.expect(0, "is stopped", "start-gateway.sh", "stop")
            (self.dir / ".stopped").unlink()

    def test_what_must_not_be_started_is_not(self):
        self.expect(0, "does not run", "start-gateway.sh", "stop")
        self.refused("gwinstall: the gateway is stopped: gwinstall start\n")
        (self.dir / ".stopped").unlink()
        (self.dir / ".gwinstall").mkdir()
        (self.dir / ".gwinstall/journal").write_text("{}")
        self.refused("an installation is running or was interrupted: gwinstall status")
        (self.dir / ".gwinstall/journal").unlink()
        self.set_env(GATEWAY_ON_DEMAND="no")
        self.refused("the gateway does not run: gwinstall start")
        self.assertEqual(self.noted("validations") + self.noted("starts"), [])
        # Off is the start alone: the key of a gateway that runs is printed.
        self.expect(0, "the gateway runs", "start-gateway.sh")
        self.assertEqual(self.helper("local"), (0, KEY + "\n", ""))
        (self.dir / "litellm.pid").unlink()
        (self.dir / ".serving").unlink()
        self.assertEqual(self.helper("local"), (0, KEY + "\n", ""))

    def test_a_taken_port_is_named_before_the_configuration_is_checked(self):
        with socket.create_server(("127.0.0.1", self.port)):
            self.refused([f"port {self.port} is in use by", "gwinstall install --gateway-url"], 5)
        self.assertEqual(self.noted("validations") + self.noted("starts"), [])

    def test_a_gateway_that_serves_is_used_while_a_change_is_checked(self):
        self.expect(0, "the gateway runs", "start-gateway.sh")
        self.config("takes long")
        # As gwinstall reloads it, before its change is final.
        (self.dir / ".gwinstall").mkdir()
        (self.dir / ".gwinstall/journal").write_text("{}")
        for verb in ("reload", "restart"):
            change = subprocess.Popen([str(self.dir / "start-gateway.sh"), verb], env=self.env(GWINSTALL_TRANSACTION="open"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            while not (self.dir / ".starting").exists() and change.poll() is None:
                time.sleep(0.02)
            self.assertEqual(self.helper("local"), (0, KEY + "\n", ""), verb)
            self.assertIsNone(change.poll(), verb)
            said = change.communicate(timeout=120)[0]
            self.assertEqual(change.returncode, 0, said)

    def test_many_helpers_are_one_start(self):
        self.config("takes long")
        path = str(self.dir / self.name)
        helpers = [subprocess.Popen([path, "local"], cwd=self.project(), env=self.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(30)]
        answers = [helper.communicate(timeout=120) for helper in helpers]
        self.assertEqual(set(answers), {(KEY + "\n", "")})
        self.assertEqual((len(self.noted("starts")), len(self.noted("validations"))), (1, 1))

    def test_after_a_failed_start_it_waits_and_repeats_the_reason(self):
        self.config("broken")
        path = str(self.dir / self.name)
        helpers = [subprocess.Popen([path, "local"], env=self.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(10)]
        for helper in helpers:
            out, err = helper.communicate(timeout=120)
            self.assertEqual((helper.returncode, out, err.count("\n")), (1, "", 1), err)
            self.assertIn("LiteLLM does not accept", err)
            self.assertIn("gwinstall validate", err)
        self.assertEqual(len(self.noted("validations")), 1)
        # The clock of the file is set back instead of waiting: in 5 minutes there are 3 tries.
        failed, tries = self.dir / ".start-failed", 1
        for second in range(0, 300, 5):
            lines = failed.read_text().split("\n", 1)
            last, count = lines[0].split()
            failed.write_text(f"{int(last) - 5} {count}\n{lines[1]}")
            if second % 20 == 0 or second in (55, 175):
                self.refused(["LiteLLM does not accept"], 5)
            tries = len(self.noted("validations"))
        self.assertIn(tries, (2, 3))
        # A person may try at once.
        self.expect(1, "LiteLLM does not accept", "start-gateway.sh")
        self.refused("next try in")
        # What was changed since may be what the start needed, so it is tried without a wait.
        time.sleep(0.02)
        self.config("good")
        self.assertEqual(self.helper("local"), (0, KEY + "\n", ""))
        self.assertFalse(failed.exists())

    def test_a_hostile_project_changes_nothing_of_what_is_started(self):
        project, mark = self.project(), self.home / "hostile code ran"
        evil = f"#!/bin/sh\ntouch '{self.home.parent}'/hostile-$PPID\nprintf x >>\"$MARK\"\nexit 1\n"
        for name in ("litellm", "python3", "python", "curl", "sed", "grep", "env", "setsid", "date", "sleep", "ls", "tr"):
            (project / name).write_text(evil)
            (project / name).chmod(0o755)
        for name in ("urllib.py", "sitecustomize.py", "usercustomize.py", "http.py", "json.py", "litellm.py"):
            (project / name).write_text("import os\nopen(os.environ.get('MARK', '/nonexistent/x'), 'a').write('x')\n")
        (project / ".env").write_text("LITELLM_MASTER_KEY=sk-of-the-project\n")
        (project / "rc").write_text(f"printf x >>\"$MARK\"\n")
        hostile = {"PATH": f"{project}:.:/usr/bin:/bin", "PYTHONPATH": str(project), "PYTHONHOME": "/nonexistent", "PYTHONSTARTUP": str(project / "rc"), "HOME": str(project),
                   "ENV": str(project / "rc"), "BASH_ENV": str(project / "rc"), "MARK": str(mark), "IFS": "/", "CDPATH": str(project), "AWS_PROFILE": "evil", "AWS_SECRET_ACCESS_KEY": "evil",
                   "HTTPS_PROXY": "http://evil.example:1", "https_proxy": "http://evil.example:1", "ALL_PROXY": "http://evil.example:1", "NO_PROXY": "", "GATEWAY_LITELLM_BIN": str(project / "litellm"),
                   "LITELLM_MASTER_KEY": "sk-of-the-project", "GWINSTALL_TRANSACTION": "open", "GATEWAY_PORT": "1", "BASH_FUNC_sed%%": "() { printf x >>\"$MARK\"; }",
                   "BASH_FUNC_exec%%": "() { printf x >>\"$MARK\"; }", "LD_LIBRARY_PATH": str(project), "TMPDIR": "/nonexistent", "dir": str(project), "config": str(project)}
        before = {p.name for p in self.home.parent.glob("hostile-*")}
        self.assertEqual(self.helper("local", **hostile), (0, KEY + "\n", ""))
        self.assertFalse(mark.exists())
        self.assertEqual({p.name for p in self.home.parent.glob("hostile-*")}, before)
        seen = json.loads((self.program_path.parent / "seen.json").read_text())
        self.expect(0, "is stopped", "start-gateway.sh", "stop")
        self.expect(0, "the gateway runs", "start-gateway.sh")
        by_hand = json.loads((self.program_path.parent / "seen.json").read_text())
        drop = lambda env: {name: value for name, value in env.items() if name not in ("_", "SHLVL", "OLDPWD")}
        self.assertEqual((seen[0], drop(seen[1])), (by_hand[0], drop(by_hand[1])))
        self.assertEqual(os.readlink(f"/proc/{self.pid()}/cwd"), str(self.dir))
        self.assertEqual(self.helper("local", **hostile), (0, KEY + "\n", ""))

    def test_no_descriptor_of_claude_code_reaches_the_gateway(self):
        reading, writing = os.pipe()
        # bash, because dash takes a descriptor of two digits for an argument.
        subprocess.run(["bash", "-c", f'exec "$0" local 5>&{writing} {writing}>&-', str(self.dir / self.name)], env=self.env(), pass_fds=(writing,), check=True,
                       capture_output=True)
        os.close(writing)
        self.assertEqual(os.read(reading, 1), b"", "the other end is open somewhere")
        os.close(reading)

    def test_a_lock_of_a_crash_does_not_keep_it_from_starting(self):
        (self.dir / ".starting").write_text("")
        self.assertEqual(self.helper("local"), (0, KEY + "\n", ""))

    def test_the_log_is_shortened(self):
        self.assertEqual(self.helper("local"), (0, KEY + "\n", ""))
        (self.dir / "litellm.log").write_bytes(b"x" * 10485761)
        self.assertEqual(self.helper("local"), (0, KEY + "\n", ""))
        self.assertEqual((self.dir / "litellm.log").stat().st_size, 0)
        self.assertEqual((self.dir / "litellm.log.1").stat().st_size, 10485761)

    def test_a_key_that_is_no_key_is_not_printed(self):
        self.expect(0, "the gateway runs", "start-gateway.sh")
        for value, words in (("sk-1234", "placeholder"), ("'sk-\u00e4'", "a character"), ("'sk-a\tb'", "a character"), (None, "has no value")):
            self.set_env(LITELLM_MASTER_KEY=value)
            self.refused(words)


if __name__ == "__main__":
    unittest.main()
