"""Releases that must not be taken, and those that look odd and may be. Every refusal leaves the home as it was."""

import json
import shutil

from builds import TARGET, command
from machine import day

CASES = []


def case(function):
    CASES.append(function)
    return function


def refused(world, check, code, words, *arguments, **env):
    """self-update ends with this code and these words, and nothing but its memory has changed; nor is half a file left."""
    machine = world.machine
    before = machine.look()
    result = machine.run("self-update", *(arguments or ("--yes",)), **env)
    check.ended(result, code, words)
    after = machine.look()
    check.that(after == before, "the home is as before", f"{sorted(before.items() ^ after.items())}\n{result}")
    left = [path for path in machine.state.rglob("*") if path.suffix in (".part", ".tmp") or "journal" in path.name]
    check.that(not left, "nothing half done is left", str(left))


def spoil(path):
    """One byte of a file is another; the names that share it keep theirs."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)


@case
def a_pin_wins(world, check):
    machine = world.machine
    world.serve_both()
    machine.restore("installed")
    check.ended(machine.run("self-update", "--check", GWINSTALL_PIN="1.0.0"), 3, "pinned to")
    done = machine.run("self-update", "--yes", GWINSTALL_PIN="1.0.0")
    check.that(done.code == 0 and machine.matches("1.0.0"), "what is pinned is what runs: nothing to do", str(done))
    refused(world, check, 9, "pinned to", "--version", "1.1.0", "--yes", GWINSTALL_PIN="1.0.0")
    refused(world, check, 9, "pinned to", "--version", "1.1.0", "--yes", GWINSTALL_PIN="sha256:" + "0" * 64)
    refused(world, check, 9, "pinned to", "--from", world.both, "--version", "1.1.0", "--yes", GWINSTALL_PIN="1.0.0")
    offline = world.both / "gwinstall-offline-1.1.0.tar"
    before = machine.look()
    check.ended(machine.run("update", "--bundle", offline, "--yes", GWINSTALL_PIN="1.0.0"), 9, "pinned to")
    check.that(machine.look() == before, "update --bundle changes nothing")
    check.ended(machine.run("self-update", "--yes", GWINSTALL_PIN="1.1.0"), 0)
    check.that(machine.matches("1.1.0"), "the pinned version is taken by name")


@case
def a_pin_that_is_kept(world, check):
    """--pin holds without a variable, in every later command, beside other pins; --unpin lifts it. Neither asks anybody."""
    machine = world.machine
    world.serve_both()
    machine.restore("installed")
    before = machine.look()
    with world.counted() as made:
        check.ended(machine.run("self-update", "--pin", "v1.0.0", "--dry-run"), 0, "nothing was changed")
        check.that(not (machine.state / "trust.json").exists(), "a dry run keeps nothing")
        check.ended(machine.run("self-update", "--pin", "v1.0.0"), 0, "stays at 1.0.0")
    check.that(not made and machine.look() == before, "nobody was asked, nothing else changed", str(made))
    check.ended(machine.run("self-update", "--check"), 3, "pinned to 1.0.0")
    refused(world, check, 9, "self-update --unpin", "--version", "1.1.0", "--yes")
    offline = world.both / "gwinstall-offline-1.1.0.tar"
    check.ended(machine.run("update", "--bundle", offline, "--yes"), 9, "pinned to 1.0.0")
    refused(world, check, 9, "pinned to 1.0.0", "--yes", GWINSTALL_PIN="1.1.0")
    for wrong in ("", "../x", "sha256:12"):
        check.ended(machine.run("self-update", "--pin", wrong), 2, "is not a pin")
    check.ended(machine.run("self-update", "--pin", "1.0.0", "--yes", "--version", "1.0.0"), 2, "cannot be used with")
    check.that(machine.memory()["pin"] == "1.0.0", "the pin is still kept")
    check.ended(machine.run("self-update", "--unpin"), 0)
    check.ended(machine.run("self-update", "--yes"), 0)
    check.that(machine.matches("1.1.0"), "without it the newest is taken")


def list_of(world, name, change, roots):
    """A copy of the keys with a next list, signed by these roots."""
    keys = world.dir / f"keys-{name}"
    shutil.copytree(world.builds.keys, keys)
    draft = json.loads((keys / "keys.json").read_text()) | {"version": 2}
    change(world, draft, keys)
    (keys / "draft.json").write_text(json.dumps(draft))
    signatures = [word for root in roots for word in ("--sign", keys / f"root-{root}.key")]
    command(world.builds.dist, "keys", "--keys", keys, "--adopt", keys / "draft.json", *signatures)
    return keys


def replace_release_key(world, draft, keys):
    """A new release key from seq 3 on; the old one is retired with what it signed."""
    spare = keys / "spare"
    command(world.builds.dist, "keygen", "--out", spare)
    for kind in ("key", "pub"):
        shutil.copy2(spare / f"release.{kind}", keys / f"release-2.{kind}")
    new = json.loads((spare / "keys.json").read_text())["release"][0]
    old = draft["release"][0]
    draft["release"] = [new | {"from_seq": 3}]
    draft["retired"] = [old | {"to_seq": 2}]


def stand_in(world, version):
    """An executable that only says its version: for releases of which the configuration alone is taken."""
    path = world.dir / f"stand-in-{version}"
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "gwinstall {version}"\n')
    path.chmod(0o755)
    return path


@case
def keys_are_rotated(world, check):
    """A client that knows the first list alone follows the chain to the second, and takes what its new key signed."""
    machine = world.machine
    keys = list_of(world, "rotated", replace_release_key, (1, 2))
    site = world.dir / "site-rotated"
    shutil.copytree(world.both, site)
    binary = stand_in(world, "1.2.0")
    world.builds.release("1.2.0", site, world.builds.bundle("1.1.0"), keys, binary)
    world.serve(site)
    machine.restore("installed")
    check.ended(machine.run("self-update", "--check"), 3, "1.2.0 is available")
    check.ended(machine.run("self-update", "--bundle-only", "--yes"), 0)
    check.that(machine.seq() == 3 and machine.memory()["keys_version"] == 2, "taken by way of the second list")
    # Offline, with the chain that the archive carries.
    machine.restore("installed")
    done = machine.run("self-update", "--bundle-only", "--yes", "--from", site / "gwinstall-offline-1.2.0.tar")
    check.that(done.code == 0 and machine.seq() == 3, "from the offline archive", str(done))
    # A list without its second signature: an attacker has one root.
    machine.restore("installed")
    second = json.loads((keys / "keys.json").read_text())["root"]["keys"][1]["id"]
    (world.site / f"keys.2.json.{second}.minisig").unlink()
    refused(world, check, 8, "root keys signed it", "--bundle-only", "--yes")
    # The same signature under another root's name is not a second signature.
    first, third = (json.loads((keys / "keys.json").read_text())["root"]["keys"][n]["id"] for n in (0, 2))
    shutil.copy2(world.site / f"keys.2.json.{first}.minisig", world.site / f"keys.2.json.{third}.minisig")
    refused(world, check, 8, "root keys signed it", "--bundle-only", "--yes")


@case
def a_revoked_key(world, check):
    """What the lost key signed after its last good release is refused; the release before it stays good."""
    machine = world.machine

    def revoke(world, draft, keys):
        replace_release_key(world, draft, keys)
        old = draft["retired"][0]
        draft["revoked"] = [{"id": old["id"], "last_good_seq": 1, "also_good": [], "why": "the laptop was lost"}]

    keys = list_of(world, "revoked", revoke, (1, 3))
    world.serve_both()
    for path in keys.glob("keys*"):
        shutil.copy2(path, world.site)
    world.channel(lambda channel: channel.update(keys_version=2))
    machine.restore("installed")
    refused(world, check, 8, "the laptop was lost")
    # The first list served again revives nothing: the second was seen.
    world.serve_both()
    refused(world, check, 8, "the laptop was lost")
    good = machine.run("verify")
    check.that(good.code in (0, 3), "what runs was signed before", str(good))


@case
def a_frozen_channel(world, check):
    """A mirror that keeps an old answer: "up to date" is never claimed then; a newer release is still taken."""
    machine = world.machine
    world.serve_first()
    machine.restore("installed")
    world.channel(lambda channel: channel.update(at=day(-90), expires=day(-30)))
    refused(world, check, 9, "cannot prove", "--check")
    refused(world, check, 9, "cannot prove")
    world.serve_both()
    world.channel(lambda channel: channel.update(at=day(-90), expires=day(-30)))
    done = machine.run("self-update", "--yes")
    check.that(done.code == 0 and machine.matches("1.1.0"), "authentic and newer: taken", str(done))
    check.that("expired" in done.out + done.err, "with a word about the age", str(done))


@case
def a_channel_of_tomorrow(world, check):
    machine = world.machine
    world.serve_first()
    machine.restore("installed")
    world.channel(lambda channel: channel.update(at=day(2), expires=day(60)))
    refused(world, check, 9, "the clock says", "--check")
    check.that(machine.memory()["max_channel_at"] is None, "a date from the future is not remembered")


@case
def an_older_release_again(world, check):
    """What was seen stays seen: neither an old channel nor an old manifest leads back."""
    machine = world.machine
    world.serve_both()
    machine.restore("installed")
    check.ended(machine.run("self-update", "--check"), 3)
    world.serve_first()
    refused(world, check, 9, "was seen before", "--check")
    refused(world, check, 9, "was seen before")
    world.serve_both()
    # A file is held against the same rules as an origin.
    check.ended(machine.run("self-update", "--dry-run"), 0)
    older = world.first / "gwinstall-offline-1.0.0.tar"
    check.ended(machine.run("update", "--bundle", older, "--yes"), 9, "was seen before")
    check.ended(machine.run("update", "--bundle", older, "--yes", GWINSTALL_PIN="1.0.0"), 0)
    check.ended(machine.run("self-update", "--yes"), 0)
    world.serve_first()
    refused(world, check, 9, "was seen before")
    refused(world, check, 9, "downgrade", "--version", "1.0.0", "--yes")
    refused(world, check, 9, "downgrade", "--from", world.first / "gwinstall-offline-1.0.0.tar", "--yes")
    refused(world, check, 9, "downgrade", "--version", "1.0.0", "--allow-downgrade=0.9.0", "--yes")
    done = machine.run("self-update", "--allow-downgrade=1.0.0", "--yes")
    check.that(done.code == 0 and machine.matches("1.0.0"), "by its exact name", str(done))
    check.that(machine.memory()["max_seq_seen"] == 2, "the memory is not lowered")


@case
def two_releases_of_one_number(world, check):
    """The same seq with another manifest, properly signed: refused, and both are kept as evidence."""
    machine = world.machine
    other = world.dir / "site-other"
    shutil.copytree(world.first, other)
    world.builds.release("1.1.0", other, world.builds.bundle("1.0.0"))
    world.serve_both()
    machine.restore("installed")
    check.ended(machine.run("self-update", "--dry-run"), 0)
    world.serve(other)
    refused(world, check, 8, "two releases with seq 2")
    refused(world, check, 8, "two releases with seq 2", "--from", other / "gwinstall-offline-1.1.0.tar", "--yes")
    kept = {path.read_bytes() for path in (machine.state / "equivocation").glob("*.json")}
    wanted = {(site / "v1.1.0/manifest.json").read_bytes() for site in (world.both, other)}
    check.that(wanted <= kept, "both manifests are kept", str(list((machine.state / "equivocation").glob("*"))))


@case
def bytes_that_were_changed(world, check):
    machine = world.machine
    machine.restore("installed")
    spoilt = {
        f"v1.1.0/gwinstall-1.1.0-{TARGET}": ("--yes",),
        "v1.1.0/gwinstall-bundle-1.1.0.tar.gz": ("--bundle-only", "--yes"),
        "v1.1.0/manifest.json": ("--yes",),
        "v1.1.0/manifest.json.minisig": ("--yes",),
        "channel-stable.json": ("--check",),
        "channel-stable.json.minisig": ("--check",),
    }
    for name, words in spoilt.items():
        # A machine that asked before would be told that nothing changed, and go by what it has.
        machine.restore("installed")
        world.serve_both()
        spoil(world.site / name)
        refused(world, check, 8, "", *words)
    world.serve_both()
    spoil(world.site / f"v1.1.0/gwinstall-1.1.0-{TARGET}")
    check.ended(machine.run("self-update", "--keep-rejected", "--yes"), 8, ".rejected")
    rejected = list(machine.executable.parent.glob("*.rejected"))
    same = [path.read_bytes() == (world.site / f"v1.1.0/gwinstall-1.1.0-{TARGET}").read_bytes() for path in rejected]
    modes = [path.stat().st_mode & 0o777 for path in rejected]
    check.that((same, modes) == ([True], [0o600]), "--keep-rejected keeps what came, not executable", f"{rejected} {modes}")
    world.serve_both()
    check.ended(machine.run("self-update", "--yes"), 0)
    check.that(machine.matches("1.1.0"), "the good release is taken after all of that")


@case
def half_a_release(world, check):
    """A mirror in the middle of a copy: nothing is taken, and the next try finds the whole."""
    machine = world.machine
    machine.restore("installed")
    for missing in ("v1.1.0", f"v1.1.0/gwinstall-1.1.0-{TARGET}", "v1.1.0/manifest.json.minisig", "v1.1.0/manifest.json"):
        world.serve_both()
        path = world.site / missing
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        refused(world, check, 10, "has no" if "gwinstall-" not in missing else "")
    # The signature goes before its document.
    world.serve_both()
    (world.site / "channel-stable.json").unlink()
    shutil.copy2(world.first / "channel-stable.json", world.site)
    refused(world, check, 8, "")
    # Cut short on the way: the length was signed.
    world.serve_both()
    path = world.site / f"v1.1.0/gwinstall-1.1.0-{TARGET}"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])
    result = machine.run("self-update", "--yes")
    check.that(result.code in (8, 10) and machine.matches("1.0.0"), "a short executable is refused", str(result))
    world.serve_both()
    check.ended(machine.run("self-update", "--yes"), 0)
    check.that(machine.matches("1.1.0"), "the next try takes the whole")


@case
def keys_of_somebody_else(world, check):
    """The same names and versions, everything signed, by keys that this client does not know."""
    machine = world.machine
    foreign, site = world.dir / "keys-foreign", world.dir / "site-foreign"
    command(world.builds.dist, "keygen", "--out", foreign)
    for version in ("1.0.0", "1.1.0"):
        world.builds.release(version, site, keys=foreign)
    world.serve(site)
    machine.restore("installed")
    refused(world, check, 8, "may not sign it", "--check")
    refused(world, check, 8, "may not sign it")
    refused(world, check, 8, "may not sign it", "--from", site / "gwinstall-offline-1.1.0.tar", "--yes")
