#!/usr/bin/env python3
"""gateway/.env is private, readable by every reader alike, complete for the active configuration and free of placeholders.

Nothing is evaluated and no value is printed.

exit status: 0 all good, 1 something is wrong, 2 wrong usage
"""
import argparse
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))
import gateway_files as gateway


def check_lines(report, path):
    values, problems = gateway.parse_env(gateway.read_text(path))
    for number, what in problems:
        (report.warn if "second time" in what else report.fail)(f".env line {number}: {what}")
    if not problems:
        report.ok(f".env: {len(values)} values, each readable in one way only")
    return values


def check_values(report, values):
    for name, value in sorted(values.items()):
        if gateway.PLACEHOLDER.search(value) or (name == "LITELLM_MASTER_KEY" and value == "sk-1234"):
            report.fail(f"{name} holds a placeholder", f"gwinstall env set {name}")
    for name in ("ANTHROPIC_BASE_URL", "UPSTREAM_GATEWAY_URL"):
        if values.get(name, "").rstrip("/").endswith("/v1"):
            report.fail(f"{name} ends in /v1", f"gwinstall env set {name}")
    if values.get("HTTPS_PROXY") and "127.0.0.1" not in values.get("NO_PROXY", ""):
        report.fail("HTTPS_PROXY without 127.0.0.1 in NO_PROXY", "gwinstall env set NO_PROXY")
    if values.get("DATABASE_URL") and not values.get("LITELLM_SALT_KEY"):
        report.fail("DATABASE_URL without LITELLM_SALT_KEY", "gwinstall env set LITELLM_SALT_KEY")


def check_references(report, values):
    path = gateway.HERE / "config/litellm.yaml"
    if not path.exists():
        return
    wanted = gateway.references(gateway.load_config(path))
    missing = sorted(name for name in wanted if not values.get(name))
    for name in missing:
        report.fail(f"config/litellm.yaml reads {name}, which .env does not hold", f"gwinstall env set {name}")
    if not missing:
        report.ok(f"all {len(wanted)} variables of config/litellm.yaml have a value")


def check_documented(report):
    reference = gateway.HERE / "templates/env-vars-reference.md"
    if not reference.exists():
        return report.line("SKIP", "templates/env-vars-reference.md is not there")
    text = gateway.read_text(reference)
    used = set()
    for path in (gateway.HERE / "templates").rglob("*.yaml"):
        used |= gateway.references(gateway.load_config(path))
    unknown = sorted(name for name in used if name not in text)
    for name in unknown:
        report.fail(f"{name} is used by a template and missing in templates/env-vars-reference.md")
    if not unknown:
        report.ok(f"all {len(used)} variables of the templates are described")
    return None


def check_key(report, values):
    """The helper of Claude Code prints what the gateway expects."""
    name = "LITELLM_MASTER_KEY" if (gateway.HERE / "config/litellm.yaml").exists() else "ANTHROPIC_AUTH_TOKEN"
    printed = subprocess.run([str(gateway.HERE / "scripts/print-gateway-key.sh")], capture_output=True, text=True, timeout=20)
    if printed.returncode == 0 and printed.stdout == values.get(name, "") + "\n":
        report.ok("print-gateway-key.sh prints the gateway's key")
    else:
        report.fail("print-gateway-key.sh does not print the gateway's key", f"gwinstall env set {name}")


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    report, path = gateway.Report(), gateway.HERE / ".env"
    values = check_lines(report, path)
    if problem := gateway.env_mode_problem(gateway.HERE):
        report.fail(problem, f"chmod 600 '{path}'")
    else:
        report.ok(".env is readable by you only")
    check_values(report, values)
    check_references(report, values)
    check_documented(report)
    check_key(report, values)
    return report.end()


if __name__ == "__main__":
    gateway.run(main)
