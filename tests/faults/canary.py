"""Secrets given in every possible way, and a search for them everywhere they must not be.

A canary is looked for as it is, in base64 at each of the three alignments, in hexadecimal and percent-encoded: in every output, in
every argument list, in every file below the home, inside archives too. It may be in gateway/.env and where the person put it.
"""

import base64
import gzip
import re
import subprocess
import urllib.parse

from calls import traced
from tree import GATEWAY, snapshot

ENV_FILE = f"{GATEWAY}/.env"
BEFORE = f"{GATEWAY}/.gwinstall/settings-before.json"


def canary(n):
    """Characters that every encoding changes, and none that a token, a URL or a shell would refuse."""
    return f"cAnaRy{n}x+Zq7/Wm3=Kt9{n}yVb5_{n}"


# name of the place: the secret given there
KEY, DOT_ENV, RC_FILE, TOKEN_FILE, TOKEN_FLAG, PROXY, STDIN, SETTINGS = (canary(n) for n in range(8))


def forms(secret):
    """Every encoding in which it could hide."""
    raw = secret.encode()
    found = {raw, raw.hex().encode(), urllib.parse.quote(secret, safe="").encode()}
    for shift in range(3):
        # Only the characters that do not depend on the neighbours.
        coded = base64.b64encode(b"\0" * shift + raw).rstrip(b"=")[(0, 2, 3)[shift] : -2]
        found |= {coded, coded.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def holds(content, secret):
    return any(form in content for form in forms(secret))


def unpacked(content):
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


ALWAYS = (
    ["status", "--verbose"],
    ["status", "--json"],
    ["diff", "--json"],
    ["verify", "--json"],
    ["validate", "--json"],
    ["doctor", "--json"],
    ["doctor"],
    ["env", "list"],
    ["env", "list", "--json"],
    ["env", "check", "--json"],
    ["history", "--json"],
    ["usage", "--json"],
    ["report", "--html", "-"],
    ["backup", "create", "--yes"],
    ["backup", "list", "--json"],
    ["backup", "diff"],
    ["off", "--yes"],
    ["on", "--yes"],
    ["rollback", "--yes"],
    ["uninstall", "--yes", "--json"],
)


def basic(home):
    """Local key from the environment, others from files that are only read."""
    (home / ".claude").mkdir(parents=True)
    (home / ".claude" / ".env").write_text(f"ANTHROPIC_API_KEY={DOT_ENV}\n")
    (home / ".bashrc").write_text(f"export AWS_SECRET_ACCESS_KEY='{RC_FILE}'\nexport AWS_ACCESS_KEY_ID=AKIAEXAMPLE\n")
    (home / ".claude" / "settings.json").write_text('{"env": {"ANTHROPIC_API_KEY": "%s"}}\n' % SETTINGS)
    install = ["install", "--preset", "multi-provider", "--on", "--yes", "--verbose"]
    return [
        (["install", "--preset", "multi-provider", "--dry-run", "--json"], None),
        (install, None),
        (["env", "set", "OPENAI_API_KEY"], STDIN),
        (["install", "--models", "gemini-2.5-flash", "--on", "--yes", "--json"], None),
        (["install", "--preset", "nonsense", "--yes"], None),
    ]


def enterprise_by_file(home):
    (home / "token").write_text(TOKEN_FILE + "\n")
    url = ["--gateway-url", "https://gateway.example"]
    return [
        (
            [
                "install",
                "--preset",
                "enterprise",
                "--gateway-type",
                "custom",
                *url,
                "--auth-token-file",
                str(home / "token"),
                "--yes",
                "--json",
            ],
            None,
        )
    ]


def enterprise_by_flag(home):
    url = ["--gateway-url", "https://gateway.example"]
    install = [
        "install",
        "--preset",
        "enterprise",
        "--gateway-type",
        "custom",
        *url,
        "--auth-token",
        TOKEN_FLAG,
        "--yes",
        "--verbose",
    ]
    return [(install + ["--dry-run"], None), (install, None), (install + ["--gateway-type", "nonsense"], None)]


def proxy(home):
    url, plain = f"http://user:{urllib.parse.quote(PROXY, safe='')}@proxy.example:3128", "http://proxy.example:3128"
    install = ["install", "--preset", "proxy", "--on", "--yes", "--verbose", "--proxy-url"]
    return [
        ([*install, url], None),
        ([*install, plain, "--proxy-auth", PROXY], None),
        ([*install, plain, "--proxy-auth", f"user:{PROXY}"], None),
        ([*install, "no:" + url], None),
    ]


CASES = (basic, enterprise_by_file, enterprise_by_flag, proxy)
# What the person wrote stays theirs; settings.json of before is kept beside, and nowhere else.
GIVEN = {
    DOT_ENV: [".claude/.env"],
    RC_FILE: [".bashrc"],
    TOKEN_FILE: ["token"],
    SETTINGS: [".claude/settings.json", BEFORE],
}
SECRETS = (KEY, DOT_ENV, RC_FILE, TOKEN_FILE, TOKEN_FLAG, PROXY, STDIN, SETTINGS)


def faults(stage):
    """canary secrets given by environment, files, flags, URL and standard input stay in gateway/.env and where they came from"""
    wrong, seen = searcher_faults(), 0
    for case in CASES:
        stage.home.mkdir(exist_ok=True)
        subtree = stage.directory / f"canary-{case.__name__}"
        subtree.mkdir()
        env = {**stage.env, "HOME": str(subtree), "LITELLM_MASTER_KEY": KEY}
        given = case(subtree)
        for arguments, stdin in given + [(arguments, None) for arguments in ALWAYS]:
            wrong += spoken(stage, env, arguments, stdin)
            found, kept = written(subtree, f"{case.__name__}, after {' '.join(arguments[:2])}")
            wrong, seen = wrong + found, seen + kept
        if not seen:
            wrong.append(f"{case.__name__}: no canary reached gateway/.env: nothing was looked for")
        seen = 0
    return sorted(set(wrong), key=wrong.index)


def spoken(stage, env, arguments, stdin):
    """Secrets in what one command says, and in the arguments of what it starts."""
    line = f"{' '.join(word if not any(s in word for s in SECRETS) else '(secret)' for word in arguments)}"
    if stdin is not None:
        run = subprocess.run(
            [stage.binary, *arguments],
            env=env,
            cwd=stage.directory,
            input=stdin + "\n",
            capture_output=True,
            text=True,
            timeout=60,
        )
        out, trace = run.stdout + run.stderr, []
    else:
        run = traced(
            [stage.binary, *arguments], env, stage.directory, stage.trace_file, calls="execve", options=("-s", "100000")
        )
        out, trace = run.out + run.err, run.trace[1:]  # the first is our own command line
    wrong = [
        f"{line}: prints a secret: {re.sub('cAnaRy[0-9][^ ]*', '(secret)', out)[:300]}"
        for s in SECRETS
        if holds(out.encode(), s)
    ]
    wrong += [
        f"{line}: starts a program with a secret in its arguments"
        for s in SECRETS
        for call in trace
        if holds(call.encode(), s)
    ]
    return wrong


def written(home, when):
    """(files that hold a secret and must not, secrets found in gateway/.env)."""
    wrong, kept = [], 0
    for path, there in snapshot(home).items():
        content = unpacked(there.content)
        for secret in SECRETS:
            if not holds(content, secret):
                continue
            if path == ENV_FILE:
                kept += 1
                if there.mode != 0o600:
                    wrong.append(f"{when}: {path} has mode {there.mode:o}")
            elif path == BEFORE and secret is SETTINGS and there.mode == 0o600:
                pass
            elif path == BEFORE or path not in GIVEN.get(secret, []):
                wrong.append(f"{when}: {path} holds canary {SECRETS.index(secret)}")
    return wrong, kept


def searcher_faults():
    """The search itself, on texts that do hold the canary."""
    texts = [
        KEY,
        "x" + KEY,
        base64.b64encode(b"user:" + KEY.encode()).decode(),
        base64.b64encode(b"me:" + KEY.encode()).decode(),
    ]
    texts += [base64.b64encode(KEY.encode()).decode(), urllib.parse.quote(KEY, safe=""), KEY.encode().hex()]
    return [f"the search does not find the canary in {text!r}" for text in texts if not holds(text.encode(), KEY)]
