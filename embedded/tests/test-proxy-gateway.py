#!/usr/bin/env python3
"""What start-gateway.sh hands to LiteLLM is what a corporate proxy needs, and the proxy of .env is well-formed.

The first part runs a copy of start-gateway.sh in a temporary directory with made-up values and a stand-in for LiteLLM that notes its
environment: nothing is started. --connect HOST asks the real proxy for a connection, with the login.

exit status: 0 all good, 1 something is wrong, 2 wrong usage
"""
import argparse
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))
import gateway_files as gateway

MADE_UP = """LITELLM_MASTER_KEY=sk-0123456789abcdef
VERTEXAI_PROJECT=my-project
HTTPS_PROXY=http://proxy.example.com:8080
HTTP_PROXY='http://proxy.example.com:8080'
PROXY_USERNAME='EXAMPLE\x5cme'
PROXY_PASSWORD='p@ss:w/rd#1'
NO_PROXY=.example.com
SSL_CERT_FILE=/etc/ssl/certs/all.pem
ANTHROPIC_BASE_URL=http://127.0.0.1:4000
ANTHROPIC_AUTH_TOKEN=token
"""
STAND_IN = """#!{python}
import json, os, sys
if "--validate_config" not in sys.argv:
    json.dump(dict(os.environ), open({target!r}, "w"))
"""


def handed_over():
    """The environment that LiteLLM gets from the made-up .env, with a shell that says something else."""
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        (folder / "config").mkdir()
        (folder / "config/litellm.yaml").write_text("general_settings:\n  master_key: os.environ/LITELLM_MASTER_KEY\n")
        (folder / ".env").write_text(MADE_UP)
        (folder / ".env").chmod(0o600)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        text = gateway.read_text(gateway.HERE / "start-gateway.sh").splitlines(True)
        text = [f"GATEWAY_PORT={port}\n" if line.startswith("GATEWAY_PORT=") else line for line in text]
        (folder / "start-gateway.sh").write_text("".join(text))
        stand_in = folder / "litellm"
        stand_in.write_text(STAND_IN.format(python=sys.executable, target=str(folder / "seen.json")))
        stand_in.chmod(0o700)
        environment = {**os.environ, "GATEWAY_LITELLM_BIN": str(stand_in), "https_proxy": "http://leftover.example.com:1", "DEBUG": "x",
                       "DATABASE_URL": "postgresql://other.example.com/app"}
        ran = subprocess.run(["/bin/sh", str(folder / "start-gateway.sh"), "run"], env=environment, capture_output=True, text=True, timeout=60)
        if not (folder / "seen.json").exists():
            raise gateway.Problem(f"start-gateway.sh did not start: {ran.stderr.strip()}")
        return json.loads((folder / "seen.json").read_text())


def check_handed_over(report, seen):
    proxy = "http://%45%58%41%4d%50%4c%45%5c%6d%65:%70%40%73%73%3a%77%2f%72%64%23%31@proxy.example.com:8080"
    expected = {"HTTPS_PROXY": proxy, "https_proxy": proxy, "HTTP_PROXY": proxy, "NO_PROXY": ".example.com,localhost,127.0.0.1",
                "no_proxy": ".example.com,localhost,127.0.0.1", "SSL_CERT_FILE": "/etc/ssl/certs/all.pem"}
    for name, value in expected.items():
        if seen.get(name) == value:
            report.ok(f"LiteLLM gets {name} as it must")
        else:
            report.fail(f"LiteLLM gets another {name} than it must")
    for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "PROXY_USERNAME", "PROXY_PASSWORD", "DATABASE_URL", "DEBUG"):
        if name in seen:
            report.fail(f"LiteLLM gets {name}, which is not meant for it")
        else:
            report.ok(f"LiteLLM does not get {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connect", metavar="HOST", help="ask the proxy of .env for a connection to HOST")
    options = parser.parse_args()
    report = gateway.Report()
    if not shutil.which("curl"):
        report.warn("curl is missing; start-gateway.sh uses Python in its place")
    check_handed_over(report, handed_over())
    code = report.end()
    if gateway.read_env(gateway.HERE).get("HTTPS_PROXY"):
        command = [sys.executable, "-B", str(gateway.HERE / "scripts/validate-proxy-auth.py")]
        sys.stdout.flush()
        code = max(code, subprocess.run(command + (["--connect", options.connect] if options.connect else [])).returncode)
    else:
        print("SKIP .env names no proxy")
    return code


if __name__ == "__main__":
    gateway.run(main)
