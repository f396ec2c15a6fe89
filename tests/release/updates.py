"""Releases that are taken: by one command from the web, offline, from a directory; and the way back."""

import hashlib
import json
import platform
import shutil
import statistics
import subprocess
import sys
import time

from builds import CHANGED, NEWS, ROOT, TARGET
from machine import KEPT, addresses, free_port, without_network

CASES = []


def case(function):
    CASES.append(function)
    return function


def edits_are_kept(machine, check, names=KEPT):
    for name in names:
        check.that("A line of mine." in (machine.gateway / name).read_text(), f"{name} keeps what the user wrote")


def has_news(machine, names=CHANGED):
    return [NEWS.strip() in (machine.gateway / name).read_text() for name in names]


def is_new(machine, check, version="1.1.0"):
    wanted = version == "1.1.0"
    check.that(machine.matches(version), f"executable and configuration are {version}", f"{machine.version()} {machine.seq()}")
    check.that(set(has_news(machine)) == {wanted}, f"the guides are those of {version}", str(has_news(machine)))
    verdict = machine.run("verify")
    # 3: it names the files that the user edited.
    check.that(verdict.code in (0, 3), "verify finds nothing that was not signed", str(verdict))


@case
def one_line_from_an_empty_home_and_back(world, check):
    """curl | sh deploys 1.0.0; self-update brings 1.1.0 with its configuration; --rollback brings both back."""
    machine = world.machine
    world.serve_first()
    machine.empty()
    line = f"curl -fsSL --cacert '{machine.env['GWINSTALL_CA_BUNDLE']}' {world.base}/install.sh | sh -s -- --preset basic --on --yes"
    check.ended(machine.shell(line), 0)
    check.that(machine.matches("1.0.0"), "1.0.0 is deployed")
    check.that((machine.home / ".claude/settings.json").is_file(), "Claude Code has settings")
    check.ended(machine.run("self-update", "--check"), 0, "newest")
    machine.edit(*KEPT)
    world.serve_both()
    before = machine.look()
    check.ended(machine.run("self-update", "--check"), 3, "1.1.0 is available")
    check.that(machine.look() == before, "a check changes nothing")
    dry = machine.run("self-update", "--dry-run")
    check.ended(dry, 0, "nothing was downloaded")
    check.that(machine.look() == before, "a dry run changes nothing")
    check.that("1.1.0 was available" in machine.run("status").out, "status shows what the check learned")
    check.ended(machine.run("self-update", "--yes"), 0, "1.1.0 is installed")
    is_new(machine, check)
    edits_are_kept(machine, check)
    check.ended(machine.run("self-update", "--yes"), 0, "up to date")
    check.ended(machine.run("self-update", "--rollback", "--yes"), 0, "1.0.0 is restored")
    is_new(machine, check, "1.0.0")
    edits_are_kept(machine, check)
    after = machine.look()
    journals = [name for name in after.keys() ^ before.keys() if "/backups/" not in name and "/.gwinstall/" not in name]
    check.that(not journals, "no file more or less than before the update", str(journals))
    check.ended(machine.run("self-update", "--rollback", "--yes"), 1, "no earlier gwinstall")


@case
def edits_in_a_file_that_changed_too(world, check):
    """The user's file stays, the new one is put beside it, and the update says so with exit 0 or 4."""
    machine = world.machine
    world.serve_both()
    machine.restore("installed")
    machine.edit("docs/operations.md")
    done = machine.run("self-update", "--yes")
    check.that(done.code in (0, 4), "exit 0 or 4", str(done))
    check.that(machine.matches("1.1.0"), "both are new", str(done))
    edits_are_kept(machine, check, (*KEPT, "docs/operations.md"))
    check.that(has_news(machine, ["docs/faq.md"]) == [True], "the other guide is new")
    check.ended(machine.run("self-update", "--rollback", "--yes"), 0)
    check.that(machine.matches("1.0.0"), "both are old")
    edits_are_kept(machine, check, (*KEPT, "docs/operations.md"))


@case
def a_running_gateway_takes_the_release_over_or_everything_stays(world, check):
    """What self-update deploys is served, or executable, configuration, settings and process are the old ones again."""
    machine = world.machine
    world.serve_both()
    machine.empty()
    machine.put_executable(world.builds.binaries["1.0.0"])
    litellm = machine.home / "tools/litellm"
    litellm.parent.mkdir()
    shutil.copy2(ROOT / "tests/fixtures/litellm.py", litellm)
    litellm.chmod(0o755)
    values = {"GATEWAY_LITELLM_BIN": litellm, "VERTEXAI_PROJECT": "p", "GOOGLE_APPLICATION_CREDENTIALS": "/x"}
    url = f"http://127.0.0.1:{free_port()}"
    run = lambda *words: machine.run(*words, **values)
    pid = lambda: (machine.gateway / "litellm.pid").read_text().strip()
    settings = lambda: (machine.home / ".claude/settings.json").read_bytes()
    check.ended(run("install", "--models", "glm-5.2", "--gateway-url", url, "--start", "--yes"), 0)
    before, first = settings(), pid()
    (litellm.parent / "hides").write_text("glm-5.2")
    refused = run("self-update", "--yes", "--json")
    check.that(refused.code == 5, "a release that is not served is refused", str(refused))
    if refused.code == 5:
        check.that(refused.json()["data"].get("outcome") == "rolled_back", "the outcome says so", str(refused))
        check.that("does not list glm-5.2" in refused.out, "the cause of the gateway is passed on", str(refused))
    check.that(machine.matches("1.0.0"), "executable and configuration are 1.0.0", f"{machine.version()} {machine.seq()}")
    check.that("of 1.1.0" not in (machine.gateway / "start-gateway.sh").read_text(), "the start script is the old one")
    check.that(settings() == before, "the settings are as before")
    (litellm.parent / "hides").unlink()
    check.ended(run("health"), 0)
    again = pid()
    check.that(again == first, "the process with the old files never stopped: the new one was tried beside it")
    left = run("self-update", "--yes", "--no-reload")
    check.that(left.code == 0 and machine.matches("1.1.0"), "1.1.0 is deployed", str(left))
    check.that(pid() == again, "--no-reload leaves the process")
    check.ended(run("self-update", "--rollback", "--no-reload", "--yes"), 0)
    check.that(pid() == again and machine.matches("1.0.0"), "so does the way back")
    done = run("self-update", "--yes")
    check.ended(done, 0, "the running gateway serves it")
    check.that(pid() != again and machine.matches("1.1.0"), "1.1.0 runs in a new process", str(done))
    check.ended(run("health"), 0)
    now = pid()
    check.ended(run("self-update", "--rollback", "--yes"), 0, "1.0.0 is restored")
    check.that(pid() != now and machine.matches("1.0.0"), "1.0.0 runs again")
    check.ended(run("health"), 0)
    check.ended(run("stop", "--now"), 0)


@case
def from_files_without_a_network(world, check):
    """The offline archive, a directory, a file URL and an executable beside its manifest: all of it with no network."""
    machine, alone = world.machine, without_network()
    if alone is None:
        check.skip("no network namespaces here: run with the network, and with the origin's address removed")
        alone = []
    carried = world.dir / "stick"
    shutil.rmtree(carried, ignore_errors=True)
    shutil.copytree(world.both / "v1.1.0", carried)
    origins = {
        "the offline archive": world.both / "gwinstall-offline-1.1.0.tar",
        "a served directory": world.both,
        "a file URL": f"file://{world.both}",
        "a flat directory": carried,
        "an executable": carried / f"gwinstall-1.1.0-{TARGET}",
    }
    for name, origin in origins.items():
        machine.restore("installed")
        check.ended(machine.run("self-update", "--check", "--from", origin, enter=alone, GWINSTALL_BASE_URL=None), 3)
        done = machine.run("self-update", "--yes", "--from", origin, enter=alone, GWINSTALL_BASE_URL=None)
        check.that(done.code == 0 and machine.matches("1.1.0"), name, str(done))
        edits_are_kept(machine, check)
    done = machine.run("self-update", "--rollback", "--yes", enter=alone, GWINSTALL_BASE_URL=None)
    check.that(done.code == 0 and machine.matches("1.0.0"), "back without a network", str(done))
    machine.empty()
    offline = world.dir / "unpacked"
    shutil.rmtree(offline, ignore_errors=True)
    offline.mkdir()
    subprocess.run(["tar", "-xf", world.both / "gwinstall-offline-1.1.0.tar", "-C", offline], check=True)
    script = f"sh '{offline}/install.sh' --preset basic --yes"
    done = machine.shell(script, enter=alone, GWINSTALL_BASE_URL=offline)
    check.that(done.code == 0 and machine.matches("1.1.0"), "install.sh of the unpacked archive", str(done))


def exported(world):
    """What `gwinstall runtime export` writes, for this machine and without a package: uv here is a stand-in."""
    lock = (world.builds.bundle("1.0.0") / "runtime/litellm.lock").read_bytes()
    about = {
        "schema": 1, "litellm": "1.106.2", "lock_sha256": hashlib.sha256(lock).hexdigest(), "wheels": {},
        "python": "cp%d%d" % sys.version_info[:2], "platform": f"linux-{platform.machine()}",
    }  # fmt: skip
    (world.dir / "runtime.json").write_text(json.dumps(about))
    path = world.dir / "runtime.tar"
    plain = ["--format=ustar", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "--mode=0644"]
    subprocess.run(["tar", *plain, "-cf", path, "-C", world.dir, "runtime.json"], check=True)
    return path


@case
def litellm_comes_with_the_offline_archive(world, check):
    """One file and no network: the signed bundle, its LiteLLM, and a gateway that answers."""
    machine, alone = world.machine, without_network()
    if alone is None:
        check.skip("no network namespaces here")
        return
    site = world.dir / "site-with-litellm"
    shutil.rmtree(site, ignore_errors=True)
    world.builds.release("1.0.0", site, None, None, None, "--runtime", exported(world))
    machine.empty()
    machine.put_executable(world.builds.binaries["1.0.0"])
    tools = machine.home / "tools"
    tools.mkdir()
    for name, source in (("uv", "uv.sh"), ("litellm.py", "litellm.py")):
        shutil.copy2(ROOT / "tests/fixtures" / source, tools / name)
        (tools / name).chmod(0o755)
    values = {
        "PATH": f"{tools}:/usr/bin:/bin", "STAND_IN_LOG": tools / "uv.log", "STAND_IN_LITELLM": tools / "litellm.py",
        "VERTEXAI_PROJECT": "p", "GOOGLE_APPLICATION_CREDENTIALS": "/x", "GWINSTALL_BASE_URL": None,
    }  # fmt: skip
    up = ["sh", "-c", 'ip link set lo up 2>/dev/null; exec "$@"', "sh"]
    url = f"http://127.0.0.1:{free_port()}"
    words = ["install", "--models", "glm-5.2", "--gateway-url", url, "--start", "--yes", "--offline"]
    # The gateway lives in this namespace alone, so what asks it does too.
    script = '"$0" "$@" --from "$OFFLINE"; echo "install $?"; "$0" health; echo "health $?"; "$0" stop --now'
    enter = [*alone, *up, "sh", "-c", script]
    offline = site / "gwinstall-offline-1.0.0.tar"
    done = machine.run(*words, enter=enter, OFFLINE=offline, **values)
    check.that("install 0" in done.out and "health 0" in done.out, "it is installed and answers", str(done))
    check.that("--no-index" in (tools / "uv.log").read_text(), "no index was asked")
    record = json.loads((machine.gateway / "deployment-manifest.json").read_text())
    check.that(record["runtime"]["kind"] == "managed", "the record names it", str(record["runtime"]))
    check.that(record["bundle"]["origin"] == "file", "the bundle is the signed one of the file", str(record["bundle"]))


@case
def only_the_configuration(world, check):
    """--bundle-only brings the guides and leaves the executable; what it costs is printed."""
    machine = world.machine
    world.serve_both()
    machine.restore("installed")
    with world.counted() as made:
        check.ended(machine.run("self-update", "--bundle-only", "--yes"), 0)
    check.that((machine.version(), machine.seq()) == ("1.0.0", 2), "the configuration alone is new")
    check.that(has_news(machine) == [True, True], "the guides are new")
    edits_are_kept(machine, check)
    check.that(not any(TARGET in row[1] for row in made), "no executable was fetched", str(made))
    back = machine.run("self-update", "--bundle-only", "--allow-downgrade=1.0.0", "--yes")
    check.ended(back, 9, "is not deployed")
    check.that(machine.seq() == 2, "an older bundle beside a newer one is not claimed to be deployed")
    check.note(f"a configuration-only update: {len(made)} requests, {sum(row[3] for row in made)} bytes")


@case
def only_the_executable(world, check):
    machine = world.machine
    world.serve_both()
    machine.restore("installed")
    check.ended(machine.run("self-update", "--binary-only", "--yes"), 0)
    check.that((machine.version(), machine.seq()) == ("1.1.0", 1), "the executable alone is new")
    check.that(has_news(machine) == [False, False], "the guides are old")


@case
def a_check_is_small(world, check):
    """The channel, and the manifest that vouches for what it says: once for each release, at most 32 KiB. An answer without
    a body when nothing changed."""
    machine = world.machine
    world.serve_both()
    machine.restore("installed")
    with world.counted() as made:
        check.ended(machine.run("self-update", "--check"), 3)
    total = sum(row[3] for row in made)
    documents = ("/channel-stable.json", "/v1.1.0/manifest.json")
    names = {name + end for name in documents for end in ("", ".minisig")}
    check.that({row[1] for row in made} == names, "two documents and their signatures", str(made))
    check.that(total <= 32 << 10, "at most 32 KiB", str(made))
    with world.counted() as again:
        check.ended(machine.run("self-update", "--check"), 3)
    check.that([row[1:3] + row[4:] for row in again] == [("/channel-stable.json", 304, 0)], "304 without a body", str(again))
    check.note(f"a check: {total} bytes, and {sum(row[3] for row in again)} when nothing changed")


# Whether the gateway of this very machine runs, or somebody else has its port, is asked of the port itself.
GATEWAY = {("127.0.0.1", 4000)}


@case
def only_announced_hosts(world, check):
    """install connects to nobody; self-update to its origin alone. Held against every connect and datagram."""
    machine = world.machine
    if not shutil.which("strace"):
        check.skip("strace is not installed")
        return
    trace = world.dir / "network"
    seen = ["strace", "-f", "-qq", "-o", trace, "-e", "trace=connect,sendto,sendmsg,sendmmsg"]
    world.serve_both()
    machine.empty()
    machine.put_executable(world.builds.binaries["1.0.0"])
    check.ended(machine.run("install", "--preset", "basic", "--on", "--yes", enter=seen), 0)
    check.that(addresses(trace) <= GATEWAY, "install asks nobody", str(addresses(trace)))
    for words in (["status"], ["verify"], ["update", "--yes"]):
        machine.run(*words, enter=seen)
        check.that(addresses(trace) <= GATEWAY, f"{words[0]} asks nobody", str(addresses(trace)))
    for words in (["self-update", "--check"], ["self-update", "--yes"]):
        result = machine.run(*words, enter=seen)
        found = addresses(trace)
        announced = {(host, world.port) for host in ("127.0.0.1", "::1")}
        # Asking a name server for the announced host's address is part of reaching it.
        others = {address for address in found - announced - GATEWAY if address[1] != 53}
        check.that(found & announced and not others, f"{' '.join(words)} asks its origin alone", f"{others} {result}")


def explained(machine):
    """The script that `verify --explain` prints."""
    printed = machine.run("verify", "--explain").out
    return printed.split("The same without gwinstall, in a shell:\n", 1)[1]


@case
def verify_says_what_the_stock_tools_say(world, check):
    """The printed script passes where verify does, for the executable and every deployed file, and fails where verify does."""
    machine = world.machine
    world.serve_both()
    machine.empty()
    machine.put_executable(world.builds.binaries["1.0.0"])
    check.ended(machine.run("install", "--preset", "basic", "--on", "--yes"), 0)
    agree(machine, check, "after an install", "sha256sum -c")
    check.ended(machine.run("self-update", "--bundle-only", "--yes"), 0)
    agree(machine, check, "after an update of the configuration", "bundle.tar.gz", "tar -tzf ", "minisign -VHm ")
    check.ended(machine.run("self-update", "--yes"), 0)
    script = agree(machine, check, "after an update of both", "minisign -VHm ", str(machine.executable))
    files = json.loads((machine.gateway / "deployment-manifest.json").read_text())["files"]
    check.that(all(f"{known['sha256']}  {path}\n" in script for path, known in files.items()), "it names every deployed file")
    for path, code in ((machine.gateway / "docs/faq.md", 3), (machine.executable, 8), (machine.state / "bundles/2/manifest.json", 8)):
        content = path.read_bytes()
        # The last byte: an executable that is longer than it was still runs.
        path.unlink()
        path.write_bytes(content + b"\n")
        path.chmod(0o755)
        check.ended(machine.run("verify"), code)
        done = machine.shell(f"set -e\n{script}")
        check.that(done.code != 0, f"the script notices {path.name}", str(done))
        path.write_bytes(content)
    check.ended(machine.shell(f"set -e\n{script}"), 0)
    time_both(world, check, script)


def agree(machine, check, when, *words):
    """verify is content, and so is the script, in a plain POSIX shell."""
    check.ended(machine.run("verify"), 0)
    script = explained(machine)
    check.that(all(word in script for word in words), f"{when} it names {words}", script)
    done = machine.shell(f"set -e\n{script}")
    check.that(done.code == 0 and "FAILED" not in done.out, f"{when} the script passes", f"{script}\n{done}")
    return script


def time_both(world, check, script):
    """Printed and not judged: verify says in one command what minisign, sha256sum and tar say in several."""
    machine = world.machine
    archive, unpacked = world.both / "v1.1.0/gwinstall-bundle-1.1.0.tar.gz", world.dir / "by-tar"
    unpacked.mkdir(exist_ok=True)
    script += f"tar -xzf '{archive}' -C '{unpacked}'\n"
    ours = timed(lambda: machine.run("verify"))
    theirs = timed(lambda: machine.shell(script))
    check.that(ours > 0 and theirs > 0, "both were measured")
    check.note(f"verify {ours * 1000:.0f} ms, minisign + sha256sum + tar {theirs * 1000:.0f} ms: {ours / theirs:.2f} times (a development build)")


def timed(function, rounds=5):
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return statistics.median(times)
