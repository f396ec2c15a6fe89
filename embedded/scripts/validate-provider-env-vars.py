#!/usr/bin/env python3
"""Checks that the providers of the active configuration have what they need in gateway/.env.

It checks the form only and sends nothing to a provider. Of a secret it shows the length. Values of .env count first, then
those of this shell, as for start-gateway.sh.

exit status: 0 every needed value is there, 1 one is missing or wrong, 2 wrong usage
"""
import argparse
import json
import os
import pathlib
import re
import sys

sys.dont_write_bytecode = True
import gateway_files as gateway

PROVIDERS = ("anthropic", "bedrock", "vertex", "gateway")
PREFIX = {"anthropic": "anthropic", "bedrock": "bedrock", "vertex_ai": "vertex", "vertex_ai_beta": "vertex"}
OLD_NAMES = {"VERTEX_PROJECT": "VERTEXAI_PROJECT", "VERTEX_AI_PROJECT": "VERTEXAI_PROJECT", "VERTEX_PROJECT_ID": "VERTEXAI_PROJECT",
             "VERTEX_LOCATION": "VERTEXAI_LOCATION", "VERTEX_AI_LOCATION": "VERTEXAI_LOCATION"}
# With one of these, left from a set-up without a gateway, Claude Code does not use the gateway.
AROUND = ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX")


def providers_of(config):
    """The providers that the routes of a configuration name."""
    found = set()
    for entry in gateway.entries(config):
        route = str(entry["litellm_params"].get("model", ""))
        if "api_base" in entry["litellm_params"]:
            found.add("gateway")
        elif (provider := PREFIX.get(route.split("/")[0])):
            found.add(provider)
    return found


def filled(report, name, values, pattern=None, needed=True):
    """Reports whether NAME has a value of the right form; returns it."""
    value = values.get(name, "")
    if not value:
        if needed:
            report.fail(f"{name} has no value", f"gwinstall env set {name}")
    elif gateway.PLACEHOLDER.search(value):
        report.fail(f"{name} still holds its placeholder", f"gwinstall env set {name}")
    elif pattern and not re.fullmatch(pattern, value):
        report.fail(f"{name} has a form that the provider would refuse: {gateway.shown(name, value)}")
    else:
        report.ok(f"{name} = {gateway.shown(name, value)}")
    return value


def google_credentials(report, values):
    path = values.get("GOOGLE_APPLICATION_CREDENTIALS")
    source = "GOOGLE_APPLICATION_CREDENTIALS"
    if not path:
        folder = pathlib.Path(values.get("CLOUDSDK_CONFIG") or pathlib.Path.home() / ".config/gcloud")
        path, source = folder / "application_default_credentials.json", "the login of gcloud"
        if not path.exists():
            return report.fail("there are no Google credentials: no GOOGLE_APPLICATION_CREDENTIALS and no login of gcloud",
                               "gcloud auth application-default login")
    try:
        document = json.loads(pathlib.Path(path).expanduser().read_text(encoding="utf-8"))
        kind = document["type"]
    except FileNotFoundError:
        return report.fail(f"{source} names a file that does not exist: {path}", "gcloud auth application-default login")
    except (OSError, ValueError, KeyError, TypeError):
        return report.fail(f"{path} is not a Google credentials file", "gcloud auth application-default login")
    report.ok(f"Google credentials of type {kind} from {source}")
    if str(path).startswith("~"):
        report.warn(f"{source} begins with ~, which Google's library does not expand", "write the whole path")


def aws_credentials(report, values):
    if values.get("AWS_BEARER_TOKEN_BEDROCK"):
        return filled(report, "AWS_BEARER_TOKEN_BEDROCK", values)
    if values.get("AWS_ACCESS_KEY_ID") or values.get("AWS_SECRET_ACCESS_KEY"):
        key = filled(report, "AWS_ACCESS_KEY_ID", values, r"[A-Z0-9]{16,128}")
        filled(report, "AWS_SECRET_ACCESS_KEY", values, r"\S{30,}")
        if key.startswith("ASIA"):
            filled(report, "AWS_SESSION_TOKEN", values)
        return None
    if values.get("AWS_PROFILE") or (pathlib.Path.home() / ".aws").exists():
        return report.ok(f"AWS credentials of profile {values.get('AWS_PROFILE', 'default')}")
    return report.warn("there are no AWS credentials here; only a machine with a role can call Bedrock",
                       "gwinstall env set AWS_ACCESS_KEY_ID")


def check(report, provider, values):
    if provider == "anthropic":
        filled(report, "ANTHROPIC_API_KEY", values, r"sk-ant-\S+")
    elif provider == "bedrock":
        filled(report, "AWS_REGION_NAME", values, r"[a-z]{2,3}(-[a-z]+)+-\d")
        aws_credentials(report, values)
    elif provider == "vertex":
        filled(report, "VERTEXAI_PROJECT", values, r"[a-z][a-z0-9.:-]{4,}[a-z0-9]")
        filled(report, "VERTEXAI_LOCATION", values, r"global|us|eu|[a-z]+(-[a-z]+)+\d+", needed=False)
        google_credentials(report, values)
    elif provider == "gateway":
        filled(report, "UPSTREAM_GATEWAY_URL", values, r"https?://\S+")
        filled(report, "UPSTREAM_GATEWAY_KEY", values)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--provider", action="append", choices=PROVIDERS, help="default: those of config/litellm.yaml")
    parser.add_argument("--dir", type=pathlib.Path, default=gateway.HERE, help="the gateway's directory")
    options = parser.parse_args()
    report = gateway.Report()
    own = gateway.read_env(options.dir)
    if problem := gateway.env_mode_problem(options.dir):
        report.warn(problem, f"chmod 600 '{options.dir}/.env'")
    values = {**os.environ, **own}
    config_path = options.dir / "config/litellm.yaml"
    config = gateway.load_config(config_path) if config_path.exists() else {}
    if config:
        filled(report, "LITELLM_MASTER_KEY", own, r"(?!sk-1234$)\S{8,}")
    elif not options.provider:
        filled(report, "ANTHROPIC_BASE_URL", own, r"https?://\S+(?<!/v1)(?<!/v1/)")
        filled(report, "ANTHROPIC_AUTH_TOKEN", own)
    named = set()
    for provider in options.provider or sorted(providers_of(config)):
        check(report, provider, values)
        named |= {"anthropic": {"ANTHROPIC_API_KEY"}, "bedrock": {"AWS_REGION_NAME"}, "vertex": {"VERTEXAI_PROJECT", "VERTEXAI_LOCATION"},
                  "gateway": {"UPSTREAM_GATEWAY_URL", "UPSTREAM_GATEWAY_KEY"}}[provider]
    for name in sorted(gateway.references(config) - named - {"LITELLM_MASTER_KEY"}):
        filled(report, name, values)
    for old, new in OLD_NAMES.items():
        if values.get(old) and not values.get(new):
            report.warn(f"{old} is set, but LiteLLM reads {new}", f"gwinstall env set {new}")
    for name in AROUND:
        if values.get(name):
            report.warn(f"{name} is set: Claude Code goes to the provider and not to the gateway", f"unset {name}")
    return report.end()


if __name__ == "__main__":
    gateway.run(main)
