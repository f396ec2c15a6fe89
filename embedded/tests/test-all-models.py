#!/usr/bin/env python3
"""Every configured model is well-formed, and with --running served; with --ask it answers.

Without an option only files are read. --running asks the gateway of this directory for its list. --ask also sends one short message
to each model, which costs a few tokens.

exit status: 0 all good, 1 something is wrong, 2 wrong usage
"""
import argparse
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))
import gateway_files as gateway


def check_entries(report, config):
    names = set()
    for entry in gateway.models(config):
        name, params = entry["model_name"], entry["litellm_params"]
        names.add(name)
        fragment = gateway.HERE / "templates/models" / f"{name}.yaml"
        if not str(params.get("model", "")).count("/"):
            report.fail(f"{name} has no route")
        elif str(params["model"]).startswith("vertex_ai/") and not params.get("vertex_project"):
            report.warn(f"{name} names no project: that of the credentials would be billed")
        elif not fragment.exists():
            report.ok(f"{name}: {params['model']} (your own)")
        elif (shipped := next(gateway.entries(gateway.load_config(fragment)))["litellm_params"]) != params:
            differing = sorted(k for k in {**shipped, **params} if shipped.get(k) != params.get(k))
            report.warn(f"{name} differs from its template in {', '.join(differing)}")
        else:
            report.ok(f"{name}: {params['model']}")
    if not names:
        report.fail("config/litellm.yaml serves no model", "gwinstall models add gemini-3.8-flash")
    return names


def check_aliases(report, config, names):
    """What Claude Code asks for by itself has an answer."""
    router = config.get("router_settings") or {}
    aliases = router.get("model_group_alias") or {}
    for asked in ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"):
        target = aliases.get(asked, asked)
        if target in names:
            report.ok(f"{asked} is answered by {target}")
        else:
            report.fail(f"{asked} is answered by nobody", "gwinstall update")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--running", action="store_true", help="ask the running gateway for its models")
    parser.add_argument("--ask", action="store_true", help="send one short message to each model (costs a few tokens)")
    options = parser.parse_args()
    report = gateway.Report()
    config = gateway.load_config(gateway.HERE / "config/litellm.yaml")
    check_aliases(report, config, check_entries(report, config))
    code = report.end()
    if options.running or options.ask:
        command = [sys.executable, "-B", str(gateway.HERE / "scripts/check-model-availability.py")] + (["--ask"] if options.ask else [])
        sys.stdout.flush()
        code = max(code, subprocess.run(command).returncode)
    return code


if __name__ == "__main__":
    gateway.run(main)
