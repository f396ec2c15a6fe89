"""Good releases in every shell, with every fetcher and verifier; and the ways in which a fetch goes wrong."""

import contextlib
import http.server
import io
import itertools
import os
import pty
import select
import shutil
import subprocess
import tarfile
import threading
import time

from world import TOOLS, snapshot

CASES = []


def case(function):
    CASES.append(function)
    return function


FETCHERS = {"curl": (("curl",), False), "wget": (("wget",), False), "busybox wget": (("wget",), True)}
VERIFIERS = {"OpenSSL": ("openssl",), "minisign": ("minisign",), "nothing": ()}


@case
def every_shell_fetcher_and_verifier(world, check):
    """The bootstrap works in bash, dash and busybox sh, with curl only, wget only, busybox wget only."""
    rows = list(itertools.product(world.shells, FETCHERS, VERIFIERS))
    with world.served() as (base, _):

        def job(shell, fetcher, verifier):
            programs, busybox = FETCHERS[fetcher]
            path = world.box(*programs, *VERIFIERS[verifier], busybox=busybox)
            return lambda: world.install("--preset", "basic", base=base, shell=shell, path=path)

        results = world.together([job(*row) for row in rows])
    for (shell, fetcher, verifier), result in zip(rows, results):
        name = f"{shell}, {fetcher}, {verifier}"
        check.installed(result, "1.1.0", name)
        check.that(result.out == "ran 1.1.0: [install] [--preset] [basic]\n", f"{name}: hand-over", str(result))
        said = "signature verified" in result.err, "signature is not checked" in result.err
        proved = bool(VERIFIERS[verifier])
        check.that(said == (proved, not proved), f"{name}: what it says of the signature", str(result))


@case
def every_shell_as_a_file(world, check):
    for shell in world.shells:
        result = world.install("a b", "*", shell=shell, piped=False)
        check.installed(result, "1.1.0", shell)
        check.that(result.out == "ran 1.1.0: [install] [a b] [*]\n", f"{shell}: arguments arrive as given", str(result))


@case
def over_tls(world, check):
    with world.served_with_tls() as (base, authority):
        for fetcher, (programs, busybox) in FETCHERS.items():
            path = world.box(*programs, "openssl", busybox=busybox)
            result = world.install("x", base=base, path=path, GWINSTALL_CA_BUNDLE=authority)
            check.installed(result, "1.1.0", fetcher)
            result = world.install("x", base=base, path=path)
            # busybox reports only that the answer broke off.
            words = "cannot fetch" if busybox else "certificate"
            check.refused(result, 10, words, f"{fetcher} and an unknown authority")
        result = world.install("x", base=base, path=world.box("wget", busybox=True))
        check.installed(result, "1.1.0", "busybox wget, which checks no certificate: the sha256 holds")


@case
def every_kind_of_place(world, check):
    for base in (world.site, f"{world.site}/", f"file://{world.site}", f"file://{world.site}/"):
        check.installed(world.install("x", base=base), "1.1.0", f"from {base}")
    home = world.home()
    shutil.copytree(world.site, home.parent / "mirror")
    check.installed(world.install("x", base="../mirror", home=home), "1.1.0", "from a relative directory")
    for base in ("http://192.0.2.1/x", "http://127.0.0.1.example.com/x", "http://localhost.example.com", "ftp://host/x"):
        check.refused(world.install("x", base=base), 2, "refusing", base)
    check.refused(world.install("x", base="nowhere"), 2, "no directory", "a directory that is not there")
    check.refused(world.install("x", base="file:///a%20b"), 2, "escapes", "an escaped file URL")
    check.refused(world.install("x", GWINSTALL_BASE_URL=None), 2, "no place to fetch from", "no place at all")


@case
def from_an_unpacked_offline_archive(world, check):
    """One tar carried over: its install.sh finds the files beside itself."""
    unpacked = world.home("stick")
    with tarfile.open(world.site / "gwinstall-offline-1.1.0.tar") as archive:
        archive.extractall(unpacked, filter="data")
    for shell in world.shells:
        result = world.install(
            "x", script=unpacked / "install.sh", shell=shell, piped=False, path=world.box("openssl"), GWINSTALL_BASE_URL=None
        )
        check.installed(result, "1.1.0", f"{shell}, without curl or wget")
        check.that("signature verified" in result.err, f"{shell}: signature", str(result))


@case
def a_second_run_changes_nothing(world, check):
    for shell in world.shells:
        with world.served() as (base, requests):
            first = world.install("x", "--modify-path", base=base, shell=shell)
            before, asked = snapshot(first.home), len(requests())
            second = world.install("x", "--modify-path", base=base, shell=shell, home=first.home)
            check.that(snapshot(first.home) == before, f"{shell}: the second run changed something", str(second))
            check.that(len(requests()) == asked, f"{shell}: the second run fetched {requests()[asked:]}")
            check.that(second.code == 0 and second.out == first.out, f"{shell}: hands over again", str(second))


@case
def without_arguments_and_terminal_only_the_executable(world, check):
    for shell in world.shells:
        result = world.install(shell=shell)
        check.installed(result, "1.1.0", shell)
        check.that(result.out == "", f"{shell}: nothing was run", str(result))
        check.that(f"next: {result.executable} install --preset basic --yes" in result.err, shell, str(result))


@case
def with_a_terminal_it_asks_there(world, check):
    """`curl … | sh`: the pipe is standard input, so questions go to the terminal."""
    for shell in world.shells:
        for args, told in (("", "ran 1.1.0: [install] tty"), (" -s -- --preset basic", "ran 1.1.0: [install] [--preset] [basic] tty")):
            home = world.home()
            words = " ".join(world.shells[shell])
            said = on_a_terminal(
                ["/bin/sh", "-c", f"cat '{world.script}' | {words}{args}"],
                {"HOME": str(home), "PATH": str(world.box("curl", "openssl")), "GWINSTALL_BASE_URL": str(world.site)},
            )
            check.that(told in said, f"{shell}{args}: no question on the terminal", said)


def on_a_terminal(words, env):
    """Runs a command with a terminal of its own; what it wrote there."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(words[0], words, env)
    said = io.BytesIO()
    while select.select([terminal], [], [], 30)[0]:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        if not part:
            break
        said.write(part)
    os.waitpid(child, 0)
    os.close(terminal)
    return said.getvalue().decode(errors="replace").replace("\r\n", "\n")


@case
def a_script_cut_short_does_nothing(world, check):
    """A download that breaks off at any byte: nothing happens, and every shell that has seen more than the first line says
    so with its exit code. dash reads every length, the others every length near the ends and each fifth between; with
    GWINSTALL_CUTS=all they read every length, too."""
    text = world.script.read_bytes()
    check.that(text.endswith(b'\nmain "$@"; }\n'), "the last line is the call", text[-40:])
    begins = text.index(b"{")
    shells = [name for name in ("bash", "dash", "busybox ash") if name in world.shells]
    check.that(shells, "no shell is here")

    def cut_everywhere(shell):
        """Every length but the whole, from the longest on: one file, cut off byte by byte."""
        home, cut = world.home(), world.dir / f"cut-{world.number()}.sh"
        cut.write_bytes(text)
        said = (world.dir / f"{cut.name}.out").open("w+b")
        env = {"HOME": str(home), "PATH": str(world.box("curl", "openssl")), "GWINSTALL_BASE_URL": str(world.site)}
        bad = []
        # The last byte ends a line that is whole without it.
        whole = shell == "dash" or os.environ.get("GWINSTALL_CUTS") == "all"
        for length in range(len(text) - 2, -1, -1):
            if not whole and 500 < length < len(text) - 1000 and length % 5:
                continue
            os.truncate(cut, length)
            with cut.open("rb") as script:
                code = subprocess.Popen(
                    world.shells[shell], stdin=script, stdout=said, stderr=subprocess.DEVNULL, env=env, close_fds=False
                ).wait(timeout=60)  # fmt: skip
            if (code == 0) == (length > begins):
                bad.append(f"{length} bytes: exit {code}")
        if said.tell() or os.fstat(said.fileno()).st_size:
            bad.append("it wrote something")
        bad += [str(path) for path in home.rglob("*")]
        return len(text) - 1, bad

    for shell, (count, bad) in zip(shells, world.together([lambda shell=shell: cut_everywhere(shell) for shell in shells])):
        check.that(not bad, f"{shell}: {len(bad)} of {count} cut scripts did something", "\n".join(bad[:5]))
    for shell in world.shells:
        home, cut = world.home(), world.dir / "cut.sh"
        for length in [*range(0, len(text) - 2, 997), *range(len(text) - 40, len(text) - 1)]:
            cut.write_bytes(text[:length])
            result = world.install("--preset", "basic", script=cut, shell=shell, home=home)
            good = not result.out and not list(home.rglob("*")) and (result.code != 0) == (length > begins)
            check.that(good, f"{shell}, {length} bytes", str(result))


@case
def a_redirect_never_leads_to_http(world, check):
    with world.served() as (plain, requests), world.served_with_tls(plain) as (base, authority):
        for fetcher, (programs, busybox) in FETCHERS.items():
            path = world.box(*programs, "openssl", busybox=busybox)
            for place in ("moved", "absolute"):
                result = world.install("x", base=f"{base}/{place}", path=path, GWINSTALL_CA_BUNDLE=authority)
                check.installed(result, "1.1.0", f"{fetcher}, {place}: https to https")
            before = len(requests())
            result = world.install("x", base=f"{base}/down", path=path, GWINSTALL_CA_BUNDLE=authority)
            check.refused(result, 10, "cannot fetch", f"{fetcher}, https to http")
            # busybox follows before anything can be said about it; what it brings is thrown away.
            if not busybox:
                check.that(len(requests()) == before, f"{fetcher} asked over http", str(requests()[before:]))
    # From this machine, where http is allowed, a redirect leads to https or nowhere.
    with world.served() as (plain, requests), redirecting(f"{plain}/") as base:
        for fetcher, (programs, busybox) in FETCHERS.items():
            path = world.box(*programs, "openssl", busybox=busybox)
            check.refused(world.install("x", base=base, path=path), 10, "cannot fetch", f"{fetcher}, http to http")
            if not busybox:
                check.that(not requests(), f"{fetcher} asked over http", str(requests()))


@contextlib.contextmanager
def answering(answer):
    """A server on this machine that lets a function answer each request; yields its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            with contextlib.suppress(OSError):
                answer(self)

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def redirecting(to):
    def answer(request):
        request.send_response(302)
        request.send_header("Location", to.rstrip("/") + request.path)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answering(answer)


@case
def bytes_that_drip_in_come_to_an_end(world, check):
    """Two bytes in a second: never idle, and never done."""

    def answer(request):
        request.send_response(200)
        request.send_header("Content-Length", "1000000")
        request.end_headers()
        for _ in range(120):
            request.wfile.write(b"x")
            request.wfile.flush()
            time.sleep(0.5)

    script = world.dir / "impatient.sh"
    text = world.script.read_text()
    check.that("\ntotal_seconds=900\n" in text, "the limit of a release")
    script.write_text(text.replace("\ntotal_seconds=900\n", "\ntotal_seconds=6\n"))
    boxes = {name: world.box(*programs, "openssl", busybox=busybox) for name, (programs, busybox) in FETCHERS.items()}
    without = [name for name in TOOLS if name != "timeout"]
    boxes["wget without timeout"] = world.box("wget", "openssl", tools=without)
    boxes["busybox wget without timeout"] = world.box("wget", "openssl", tools=without, busybox=True)
    with answering(answer) as base:

        def job(path):
            def run():
                began = time.monotonic()
                return world.install("x", base=base, path=path, script=script), time.monotonic() - began

            return run

        for name, (result, seconds) in zip(boxes, world.together([job(path) for path in boxes.values()])):
            check.refused(result, 10, "took longer than 6 seconds", name)
            check.that(seconds < 15, f"{name} took {seconds:.0f} s", str(result))


@case
def a_base_url_is_a_host_and_a_path(world, check):
    secret = "geheim"
    for base in (
        "http://127.0.0.1:x@192.0.2.1/", f"https://user:{secret}@localhost/x", f"https://{secret}@localhost",
        "http://localhost@192.0.2.1", "http://127.0.0.1#@192.0.2.1/", "http://127.0.0.1?@192.0.2.1/",
        "http://127.0.0.1\\@192.0.2.1/", "http://127.0.0.1:80.example.com/", "http://127.1/", "http://2130706433/",
        "https://", "https:///x", "https://a b/", "https://a/x y", "https://a/\nx", "https://a/<x>", 'https://a/"',
    ):  # fmt: skip
        for shell in world.shells:
            result = world.install("x", base=base, shell=shell)
            check.refused(result, 2, "refusing", f"{shell}, {base!r}")
            check.that(secret not in result.err, f"{base!r} is repeated", str(result))


# Fault, exit code, words: what the network may do to the executable.
NAME = "gwinstall-1.1.0-"
FAULTS = [
    ("flip", 8, "is not the released file"),
    ("truncate", None, ""),
    ("extra", 8, "is not the released file"),
    ("long", None, ""),
    ("endless", 10, "cannot fetch"),
    ("html", 10, "captive portal"),
    ("missing", 10, "404"),
    ("forbidden", 10, "403"),
    ("broken", 10, "503"),
    ("loop", 10, "cannot fetch"),
    ("elsewhere", 10, "cannot fetch"),
    ("file", 10, "cannot fetch"),
    ("reset", 10, "cannot fetch"),
    ("busy:1", 0, ""),
    ("broken:2", 0, ""),
    ("reset:1", 0, ""),
    ("gzip", 0, ""),
]


@case
def faults_of_the_network(world, check):
    def job(fetcher, fault):
        programs, busybox = FETCHERS[fetcher]
        path = world.box(*programs, "openssl", busybox=busybox)

        def run():
            with world.served(f"{fault}={NAME}") as (base, requests):
                return world.install("x", base=base, path=path), requests()

        return run

    rows = list(itertools.product(FETCHERS, FAULTS))
    results = world.together([job(fetcher, fault) for fetcher, (fault, _, _) in rows])
    for (fetcher, (fault, code, words)), (result, requests) in zip(rows, results):
        name = f"{fetcher}, {fault}"
        if code == 0:
            check.installed(result, "1.1.0", name)
        elif code is None:
            # Some fetchers see that the length is wrong, for the others the checksum does.
            check.refused(result, result.code if result.code in (8, 10) else 8, "error:", name)
        else:
            check.refused(result, code, words, name)
        if fault in ("missing", "forbidden"):
            asked = sum(NAME in path for path in requests)
            check.that(asked == 1, f"{name}: asked {asked} times for what will not come", str(requests))


@case
def a_stalled_server_is_given_up(world, check):
    with world.served(f"stall:1={NAME}") as (base, _):
        check.installed(world.install("x", base=base), "1.1.0", "curl, one stalled answer")


@case
def a_failure_keeps_the_old_executable(world, check):
    with world.served(f"flip={NAME}") as (base, _):
        first = world.install("x", GWINSTALL_VERSION="1.0.0")
        check.installed(first, "1.0.0", "the old one")
        before = snapshot(first.executable.parent)
        result = world.install("x", base=base, home=first.home)
        same = snapshot(first.executable.parent) == before
        check.that(result.code == 8 and same, "an update that fails left traces", str(result))
    result = world.install("x", home=first.home)
    check.installed(result, "1.1.0", "the update")


@case
def help_fetches_nothing(world, check):
    with world.served() as (base, requests):
        for flag in ("--help", "-h"):
            result = world.install(flag, base=base)
            good = result.code == 0 and "usage: install.sh" in result.out and not list(result.home.iterdir())
            check.that(good and not requests(), flag, str(result))
