"""What must be refused: changed manifests, foreign and malformed signatures, other versions, pins, downgrades."""

import base64
import os
import shutil
import subprocess

from world import command, snapshot

CASES = []


def case(function):
    CASES.append(function)
    return function


VERIFIERS = ("openssl", "minisign")


def changed_site(world, change):
    """A copy of the releases with something changed in v1.1.0."""
    site = world.dir / f"site-{world.number()}"
    shutil.copytree(world.site, site)
    change(site / "v1.1.0")
    return site


@case
def a_changed_manifest_is_refused(world, check):
    def with_text(old, new):
        def change(release):
            path = release / "manifest.json"
            path.write_text(path.read_text().replace(old, new, 1))

        return change

    changes = {
        "another checksum": with_text('"sha256": "', '"sha256": "0'),
        "another version": with_text('"version": "1.1.0"', '"version": "1.1.1"'),
        "one more space": with_text("{", "{ "),
        "nothing in it": lambda release: (release / "manifest.json").write_text(""),
        "the manifest of 1.0.0": lambda release: (release / "manifest.json").write_bytes(
            (world.site / "v1.0.0/manifest.json").read_bytes()
        ),
        "manifest and signature of 1.0.0": lambda release: [
            shutil.copy(world.site / "v1.0.0" / name, release / name) for name in ("manifest.json", "manifest.json.minisig")
        ],
        "the signature of the channel": lambda release: shutil.copy(
            release / "channel-stable.json.minisig", release / "manifest.json.minisig"
        ),
        "channel document and its signature": lambda release: [
            shutil.copy(release / f"channel-stable.json{end}", release / f"manifest.json{end}") for end in ("", ".minisig")
        ],
    }
    for what, change in changes.items():
        site = changed_site(world, change)
        for verifier in VERIFIERS:
            result = world.install("x", base=site, path=world.box("curl", verifier))
            check.refused(result, 8, "error:", f"{what}, {verifier}")
        shutil.rmtree(site)


@case
def a_missing_signature_is_refused(world, check):
    site = changed_site(world, lambda release: (release / "manifest.json.minisig").unlink())
    for verifier in VERIFIERS:
        check.refused(world.install("x", base=site, path=world.box("curl", verifier)), 1, "no manifest.json.minisig", verifier)
    with world.served(site=site) as (base, _):
        check.refused(world.install("x", base=base), 10, "404", "over HTTP")
    with world.served("html=manifest.json") as (base, _):
        check.refused(world.install("x", base=base), 10, "captive portal", "a web page instead")


@case
def signatures_of_others_are_refused(world, check):
    """A key that no list names; a root or channel key, which may not sign manifests; the legacy kind of signature."""
    foreign = world.dir / "foreign-keys"
    command(world.dist, "keygen", "--out", foreign)
    signers = {"a foreign release key": foreign / "release.key"}
    signers |= {f"our {name} key": world.keys / f"{name}.key" for name in ("root-1", "channel")}
    for what, key in signers.items():
        site = changed_site(world, lambda release: command(world.dist, "sign", release / "manifest.json", "--key", key))
        for verifier in VERIFIERS:
            result = world.install("x", base=site, path=world.box("curl", verifier))
            check.refused(result, 8, "not signed by a release key", f"{what}, {verifier}")


@case
def a_statement_that_is_not_the_document_is_refused(world, check):
    """Signed by the right key with the stock tool, but saying something else in the trusted comment."""
    manifest = world.site / "v1.1.0/manifest.json"
    good = command(world.dist, "sign", "--print", manifest).strip()
    statements = {
        "itself, by the stock tool": (good, True),
        "another kind": (good.replace(" manifest ", " channel "), False),
        "another product": (good.replace("product=gwinstall", "product=other"), False),
        "another version": (good.replace("version=1.1.0", "version=1.1.01"), False),
        "the version twice": (good.replace("version=1.1.0", "version=1.1.0 version=1.0.0"), False),
        "another length": (good.replace("len=", "len=1"), False),
        "another checksum": (good.replace("sha256=", "sha256=0"), False),
        "a word more": (f"{good} x", False),
        "no seq": (good.replace("seq=2", "seq="), False),
        "a negative seq": (good.replace("seq=2", "seq=-2"), False),
        "a huge seq": (good.replace("seq=2", "seq=99999999999999999999"), False),
        "a glob": (good.replace("channel=stable", "channel=*"), True),
        "nothing": ("timestamp:1", False),
    }
    key = world.keys / "release.key"
    for what, (statement, harmless) in statements.items():
        def change(release, statement=statement):
            command("minisign", "-S", "-m", release / "manifest.json", "-s", key, "-t", statement, input="\n")

        site = changed_site(world, change)
        result = world.install("x", base=site)
        if harmless:
            check.installed(result, "1.1.0", what)
        else:
            check.refused(result, 8, "the signature", what)
        shutil.rmtree(site)


@case
def a_statement_over_other_bytes_is_refused(world, check):
    """Everything about the trusted comment is right; the signature above it was made over another file."""
    statement = command(world.dist, "sign", "--print", world.site / "v1.1.0/manifest.json").strip()
    other = world.dir / "other-bytes"
    other.write_text("something else")
    signature = world.dir / "other-bytes.minisig"
    command("minisign", "-S", "-m", other, "-s", world.keys / "release.key", "-t", statement, "-x", signature, input="\n")
    site = changed_site(world, lambda release: shutil.copy(signature, release / "manifest.json.minisig"))
    for verifier in VERIFIERS:
        result = world.install("x", base=site, path=world.box("curl", verifier))
        check.refused(result, 8, "not signed by a release key", verifier)


def mutants(good):
    """Name, bytes and whether the change is harmless, for many small changes to a good signature file."""
    lines = good.decode().splitlines()
    yield "untrusted comment changed", good.replace(b"untrusted comment: ", b"untrusted comment: \x1b[31m"), True
    joined = lambda parts, end="\n": ("\n".join(parts) + end).encode()  # noqa: E731
    yield "CRLF", joined(lines).replace(b"\n", b"\r\n"), False
    yield "byte order mark", b"\xef\xbb\xbf" + good, False
    yield "another first line", good.replace(b"untrusted", b"entrusted"), False
    yield "no final newline", joined(lines, ""), False
    yield "a fifth line", joined([*lines, "x"]), False
    yield "two signatures", good + good, False
    yield "line 2 missing", joined([lines[0], lines[2], lines[3]]), False
    yield "line 4 missing", joined(lines[:3]), False
    yield "NUL bytes", b"\0" * 200, False
    yield "empty", b"", False
    yield "5 MB", good + b"x" * 5_000_000, False
    yield "trusted comment changed", joined([lines[0], lines[1], lines[2].replace("seq=2", "seq=3"), lines[3]]), False
    yield "trusted comment without its prefix", joined([lines[0], lines[1], lines[2][17:], lines[3]]), False
    for line in (1, 3):
        raw = bytearray(base64.b64decode(lines[line]))
        places = (0, 1, 2, 9, 10, 41, 42, 73) if line == 1 else (0, 31, 32, 63)
        for place in places:
            other = bytearray(raw)
            other[place] ^= 1
            changed = list(lines)
            changed[line] = base64.b64encode(other).decode()
            yield f"line {line + 1}, bit in byte {place}", joined(changed), False
        for size in (len(raw) - 1, len(raw) + 1, 0):
            changed = list(lines)
            changed[line] = base64.b64encode((bytes(raw) + b"x")[:size]).decode()
            yield f"line {line + 1}, {size} bytes", joined(changed), False
        changed = list(lines)
        changed[line] = lines[line].rstrip("=")
        yield f"line {line + 1}, no padding", joined(changed), False
        changed[line] = f" {lines[line]}"
        yield f"line {line + 1}, leading space", joined(changed), False
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    padded = lines[1][:-2] + alphabet[alphabet.index(lines[1][-2]) | 1] + "="
    yield "bits set in the padding of line 2", joined([lines[0], padded, *lines[2:]]), False
    padded = lines[3][:-3] + alphabet[alphabet.index(lines[3][-3]) | 1] + "=="
    yield "bits set in the padding of line 4", joined([*lines[:3], padded]), False
    yield "letters for URLs", joined([lines[0], lines[1].replace("+", "-").replace("/", "_") + "=", *lines[2:]]), False
    legacy = bytearray(base64.b64decode(lines[1]))
    legacy[:2] = b"Ed"
    yield "said to be legacy", joined([lines[0], base64.b64encode(legacy).decode(), *lines[2:]]), False


@case
def mutants_of_a_good_signature(world, check):
    signature = world.site / "v1.1.0/manifest.json.minisig"
    count = 0
    for what, text, harmless in mutants(signature.read_bytes()):
        count += 1
        site = changed_site(world, lambda release: (release / signature.name).write_bytes(text))
        boxes = [world.box("curl", verifier) for verifier in VERIFIERS]
        results = world.together([lambda box=box: world.install("x", base=site, path=box) for box in boxes])
        for verifier, result in zip(VERIFIERS, results):
            if harmless:
                check.installed(result, "1.1.0", f"{what}, {verifier}")
            else:
                check.refused(result, 8, "error:", f"{what}, {verifier}")
        shutil.rmtree(site)
    check.that(count >= 30, f"only {count} mutants")


@case
def a_key_may_sign_its_range_only(world, check):
    script = world.dir / "ranged.sh"
    text = world.script.read_text()
    for first, last, fits in ((1, 2, True), (2, 2, True), (3, 9, False), (1, 1, False)):
        script.write_text(text.replace(" 1 9007199254740991'", f" {first} {last}'"))
        result = world.install("x", script=script)
        if fits:
            check.installed(result, "1.1.0", f"{first} to {last}")
        else:
            check.refused(result, 8, f"may sign {first} to {last} only", f"{first} to {last}")


@case
def script_and_manifest_must_agree(world, check):
    """A script whose checksums are not those of the signed manifest of its version installs nothing."""
    script = world.dir / "disagree.sh"
    digest = subprocess.run(
        ["sha256sum", world.site / f"v1.1.0/gwinstall-1.1.0-{os.uname().machine}-unknown-linux-musl"],
        capture_output=True, text=True, check=True,
    ).stdout.split()[0]  # fmt: skip
    script.write_text(world.script.read_text().replace(digest, "0" * 64))
    check.refused(world.install("x", script=script), 8, "disagree", "with a verifier")
    result = world.install("x", script=script, path=world.box("curl"))
    check.refused(result, 8, "is not the released file", "without one")


@case
def another_version_needs_a_signature(world, check):
    for shell in world.shells:
        for version in ("1.0.0", "v1.0.0"):
            result = world.install("x", shell=shell, GWINSTALL_VERSION=version)
            check.installed(result, "1.0.0", f"{shell}, {version}")
    result = world.install("x", path=world.box("curl", "minisign"), GWINSTALL_VERSION="1.0.0")
    check.installed(result, "1.0.0", "with minisign")
    result = world.install("x", path=world.box("curl"), GWINSTALL_VERSION="1.0.0")
    check.refused(result, 8, "needs a signature check", "without a verifier")
    check.installed(world.install("x", path=world.box("curl"), GWINSTALL_VERSION="1.1.0"), "1.1.0", "its own version")
    with world.served() as (base, _):
        check.refused(world.install("x", base=base, GWINSTALL_VERSION="1.2.3"), 10, "404", "a version that is not there")
    for wrong in ("latest", "1", "../1.0.0", "1.0.0/../x", "1.0.0 x", "1.0.0;x", "-1.0.0"):
        check.refused(world.install("x", GWINSTALL_VERSION=wrong), 2, "is not a version", wrong)


@case
def an_old_openssl_is_not_asked(world, check):
    """LibreSSL and OpenSSL 1 cannot check Ed25519 over a file: they count as no verifier, not as a bad signature."""
    for said in ("LibreSSL 3.3.6", "OpenSSL 1.1.1w  11 Sep 2023", "OpenSSL 0.9.8"):
        box = world.dir / f"old-{said.split()[1]}"
        shutil.copytree(world.box("curl"), box, symlinks=True)
        (box / "openssl").write_text(f"#!/bin/sh\necho '{said}'\n")
        (box / "openssl").chmod(0o755)
        result = world.install("x", path=box)
        check.installed(result, "1.1.0", said)
        check.that("signature is not checked" in result.err, said, str(result))
        check.refused(world.install("x", path=box, GWINSTALL_VERSION="1.0.0"), 8, "needs a signature check", said)


@case
def a_pin_wins(world, check):
    result = world.install("x", GWINSTALL_PIN="1.0.0")
    check.installed(result, "1.0.0", "pinned below the newest")
    result = world.install("x", GWINSTALL_PIN="1.0.0", GWINSTALL_VERSION="1.1.0")
    check.refused(result, 9, "GWINSTALL_PIN pins 1.0.0", "asked for another version")
    digest = command("sha256sum", world.site / "v1.1.0/manifest.json").split()[0]
    for path in (world.box("curl", "openssl"), world.box("curl")):
        check.installed(world.install("x", path=path, GWINSTALL_PIN=f"sha256:{digest}"), "1.1.0", "pinned by manifest")
        result = world.install("x", path=path, GWINSTALL_PIN=f"sha256:{'0' * 64}")
        check.refused(result, 9, "GWINSTALL_PIN pins", "pinned to another manifest")


@case
def an_older_script_takes_nothing_back(world, check):
    home = world.install("x").home
    before = snapshot(home)
    old = world.site / "v1.0.0/install.sh"
    result = world.install("x", script=old, home=home)
    check.that(result.code == 0 and "keeping gwinstall 1.1.0" in result.err, "an older script", str(result))
    check.that(snapshot(home) == before and result.out.startswith("ran 1.1.0"), "the newer one stays", str(result))
    result = world.install("x", script=old, home=home, GWINSTALL_VERSION="1.0.0")
    check.installed(result, "1.0.0", "asked for by its exact version")
