#!/usr/bin/env python3
"""Every YAML and JSON file of this deployment has the form that its reader needs.

Templates and the active configuration pass the strict rules of validate-config.py; each model fragment holds one entry, named as its
file; Claude Code's settings.json, when there is one, fits templates/settings-schema.json. Reads only.

exit status: 0 all good, 1 something is wrong, 2 wrong usage
"""
import argparse
import importlib.util
import json
import pathlib
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))
import gateway_files as gateway

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool}


def fits_type(value, name):
    if name in ("integer", "number"):
        return isinstance(value, (int, float) if name == "number" else int) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def violations(value, schema, where="settings.json"):
    """What of `schema` (the part of JSON Schema that ours uses) does not hold for value."""
    if schema is False:
        return [f"{where} must not be there"]
    wrong = []
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(fits_type(value, kind) for kind in kinds):
        return [f"{where} is not {' or '.join(kinds)}"]
    if "enum" in schema and not any(value == v and type(value) is type(v) for v in schema["enum"]):
        wrong.append(f"{where} is none of {schema['enum']}")
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            wrong.append(f"{where} has the wrong form")
        if len(value) < schema.get("minLength", 0):
            wrong.append(f"{where} is empty")
    if fits_type(value, "number") and value < schema.get("minimum", value):
        wrong.append(f"{where} is below {schema['minimum']}")
    if isinstance(value, dict):
        wrong += [f"{where} lacks {name}" for name in schema.get("required", []) if name not in value]
        for name, part in value.items():
            below = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            wrong += violations(part, {} if below is True else below, f"{where}: {name}")
            wrong += violations(name, schema.get("propertyNames", {}), f"{where}: the name {name}")
    if "not" in schema and not violations(value, schema["not"], where):
        wrong.append(f"{where} holds what it must not hold")
    if "anyOf" in schema and all(violations(value, option, where) for option in schema["anyOf"]):
        wrong.append(f"{where} fits none of the allowed forms")
    return wrong


def strict_rules():
    """validate-config.py as a module; its name is no identifier."""
    path = gateway.HERE / "scripts/validate-config.py"
    spec = importlib.util.spec_from_file_location("validate_config", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_fragment(report, path):
    value = gateway.load_config(path)
    listed = value.get("model_list")
    name = path.relative_to(gateway.HERE)
    if set(value) != {"model_list"} or not isinstance(listed, list) or len(listed) != 1:
        return report.fail(f"{name} does not hold exactly one entry of model_list")
    if listed[0].get("model_name") != path.stem:
        return report.fail(f"{name} names the model {listed[0].get('model_name')}")
    if not str(listed[0].get("litellm_params", {}).get("model", "")).count("/"):
        return report.fail(f"{name} has no route")
    return report.ok(f"{name}")


def check_config(report, rules, path):
    _, found = rules.findings(path, None)
    errors = [f for f in found if f[2] == "error"]
    name = path.relative_to(gateway.HERE)
    if errors:
        return report.fail(f"{name}:{errors[0][0] + 1}: {errors[0][3]}", f"'{gateway.HERE}/scripts/validate-config.py' '{path}'")
    return report.ok(f"{name}")


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    report, rules = gateway.Report(), strict_rules()
    fragments = sorted((gateway.HERE / "templates/models").glob("*.yaml"))
    configs = [p for p in sorted((gateway.HERE / "templates").rglob("*.yaml")) if p not in fragments]
    active = gateway.HERE / "config/litellm.yaml"
    if not fragments or not configs:
        report.fail("there are no templates", "gwinstall install")
    for path in fragments:
        check_fragment(report, path)
    for path in configs + ([active] if active.exists() else []):
        check_config(report, rules, path)
    schema = json.loads(gateway.read_text(gateway.HERE / "templates/settings-schema.json"))
    path, settings = gateway.claude_settings()
    if not settings:
        report.line("SKIP", f"{path} is not there or empty")
    for what in violations(settings, schema):
        report.fail(what, "gwinstall on")
    if settings and not violations(settings, schema):
        report.ok(f"{path} fits the schema")
    return report.end()


if __name__ == "__main__":
    gateway.run(main)
