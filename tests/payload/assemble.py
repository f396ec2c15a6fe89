#!/usr/bin/env python3
"""The rendering rule a second time, in few lines, to hold the payload against.

It reads embedded/ as a person would with a text editor: base template, one fragment per model, three marked lines. It shares
no code with the product, so an error in either shows as a difference. It also lays out a gateway directory for the tests.

usage: assemble.py [--preset NAME] [--models a,b] [--port N] DIR
"""
import argparse
import pathlib
import re
import shutil
import sys

import yaml

EMBEDDED = pathlib.Path(__file__).resolve().parents[2] / "embedded"
# Where a tier without a model of its own looks, nearest first.
NEAREST = {"opus": ("opus", "sonnet", "haiku"), "sonnet": ("sonnet", "opus", "haiku"), "haiku": ("haiku", "sonnet", "opus")}


def catalog():
    return yaml.safe_load((EMBEDDED / "catalog.yaml").read_text(encoding="utf-8"))


def preset(cat, name):
    return next(p for p in cat["presets"] if p["name"] == name)


def retired(cat, model):
    return "retires" in model and model["retires"] <= cat["as_of"]


def deployed(cat, chosen):
    """The chosen models and the successors of the retired ones among them, in the catalog's order."""
    by_id = {m["id"]: m for m in cat["models"]}
    wanted, queue = set(), list(chosen)
    while queue:
        model = by_id[queue.pop()]
        if model["id"] not in wanted:
            wanted.add(model["id"])
            if retired(cat, model) and "successor" in model:
                queue.append(model["successor"])
    return [m for m in cat["models"] if m["id"] in wanted]


def tier_models(cat, models):
    """The model that stands in for each tier; empty when every model is retired."""
    alive = sorted((m for m in models if not retired(cat, m)), key=lambda m: m["rank"])
    answer = {}
    for tier, order in NEAREST.items():
        for candidate in order:
            found = [m for m in alive if m["tier"] == candidate]
            if found:
                answer[tier] = found[0]["id"]
                break
    return answer


def aliases(cat, models):
    names, tiers = {m["id"] for m in models}, tier_models(cat, models)
    pairs = ((cat["client_models"][tier], tiers.get(tier)) for tier in ("opus", "sonnet", "haiku"))
    return {asked: model for asked, model in pairs if model and asked not in names}


def fallbacks(cat, models):
    names, answer = {m["id"] for m in models}, []
    for model in models:
        after = [model["successor"]] if retired(cat, model) and "successor" in model else model.get("fallbacks", [])
        after = [name for name in after if name in names]
        if after:
            answer.append({model["id"]: after})
    return answer


def fragment(model):
    """A fragment as it stands in the finished file: its comments and its entry, two spaces in."""
    lines = (EMBEDDED / model["config_file"]).read_text(encoding="utf-8").splitlines()
    at = lines.index("model_list:")
    return ["  " + line for line in lines[:at]] + lines[at + 1:]


def other_names(cat, models):
    """The entries that answer to every further name of a Claude model: those of the tier models under a pattern."""
    tiers, answer = tier_models(cat, models), []
    for pattern, tier in (("claude-haiku-*", "haiku"), ("claude-sonnet-*", "sonnet"), ("claude-opus-*", "opus"), ("claude-fable-*", "opus"),
                          ("claude-mythos-*", "opus")):
        model = next((m for m in models if m["id"] == tiers.get(tier)), None)
        if model is None:
            continue
        own = model["route"].startswith("anthropic/")
        for line in fragment(model):
            if line.strip().startswith("#"):
                continue
            line = re.sub(rf"^(  - model_name: ){re.escape(model['id'])}$", rf"\g<1>{pattern}", line)
            answer.append(re.sub(rf"^(\s+model: ){re.escape(model['route'])}$", rf"\g<1>anthropic/{pattern}", line) if own else line)
    return ["", "  # Names of Claude models that Claude Code asks for by itself, whatever its settings say."] + answer if answer else []


def render(cat, chosen):
    """config/litellm.yaml for the chosen models."""
    models = deployed(cat, chosen)
    listed = ["model_list:"]
    for number, model in enumerate(models):
        listed += ([""] if number else []) + fragment(model)
    listed += other_names(cat, models)
    named = ["  model_group_alias:"] + [f"    {a}: {b}" for a, b in aliases(cat, models).items()]
    tried = ["  fallbacks:"] + [f"    - {k}: [{', '.join(v)}]" for f in fallbacks(cat, models) for k, v in f.items()]
    text = (EMBEDDED / "templates/litellm-base.yaml").read_text(encoding="utf-8")
    for marker, block in (("model_list: [] # gwinstall:models", listed if models else []),
                          ("  model_group_alias: {} # gwinstall:aliases", named),
                          ("  fallbacks: [] # gwinstall:fallbacks", tried)):
        assert text.count("\n" + marker + "\n") == 1, marker
        if len(block) > 1:
            text = text.replace("\n" + marker + "\n", "\n" + "\n".join(block) + "\n")
        else:
            text = text.replace("\n" + marker + "\n", "\n" + marker.split(" #")[0] + "\n")
    return text


def lay_out(place, name="basic", models=None, port=4000, env=None):
    """A gateway directory at `place`, as the product deploys it."""
    cat = catalog()
    chosen = preset(cat, name)
    for entry in cat["files"]:
        source = EMBEDDED / entry["path"]
        if entry["path"] in cat["litellm_files"] and "base" not in chosen or not source.exists():
            continue
        target = place / entry["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text(encoding="utf-8")
        if entry["path"] == "start-gateway.sh":
            text = re.sub(r"^GATEWAY_PORT=4000 # gwinstall:port$", f"GATEWAY_PORT={port}", text, flags=re.M)
        if entry["path"] == "scripts/print-gateway-key.sh" and not chosen.get("base"):
            text = re.sub(r"^KEY_NAME=LITELLM_MASTER_KEY # gwinstall:key-name$", "KEY_NAME=ANTHROPIC_AUTH_TOKEN", text, flags=re.M)
        target.write_text(text, encoding="utf-8")
        target.chmod(0o755 if entry.get("executable") else 0o644)
    if chosen.get("base"):
        (place / "config").mkdir(exist_ok=True)
        (place / "config/litellm.yaml").write_text(render(cat, models or chosen["default_models"]), encoding="utf-8")
    lines = [f"{key}={value}" for key, value in (env or {}).items()]
    (place / ".env").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (place / ".env").chmod(0o600)
    place.chmod(0o700)


SAMPLE_ENV = {
    "basic": {"LITELLM_MASTER_KEY": "sk-" + "4f1d2c9a" * 8, "VERTEXAI_PROJECT": "my-project", "VERTEXAI_LOCATION": "us-central1"},
}
SAMPLE_ENV["proxy"] = SAMPLE_ENV["basic"] | {"HTTPS_PROXY": "http://proxy.example.com:8080", "NO_PROXY": "localhost,127.0.0.1"}
SAMPLE_ENV["multi-provider"] = SAMPLE_ENV["basic"] | {"ANTHROPIC_API_KEY": "sk-ant-example", "AWS_REGION_NAME": "us-east-1"}
SAMPLE_ENV["enterprise"] = {"ANTHROPIC_BASE_URL": "https://gateway.example.com", "ANTHROPIC_AUTH_TOKEN": "token-for-tests"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="basic")
    parser.add_argument("--models", type=lambda text: text.split(","))
    parser.add_argument("--port", type=int, default=4000)
    parser.add_argument("place", type=pathlib.Path)
    options = parser.parse_args()
    shutil.rmtree(options.place, ignore_errors=True)
    options.place.mkdir(parents=True)
    lay_out(options.place, options.preset, options.models, options.port, SAMPLE_ENV[options.preset])
    print(options.place)


if __name__ == "__main__":
    sys.exit(main())
