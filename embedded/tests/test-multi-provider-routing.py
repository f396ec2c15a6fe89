#!/usr/bin/env python3
"""A model that fails is followed by one that can answer, at another provider where the configuration has several.

Without an option only files are read. --ask makes the running gateway fail each model on purpose (LiteLLM's mock_testing_fallbacks), so
that its fallback answers; that costs a few tokens.

exit status: 0 all good or nothing to test, 1 something is wrong, 2 wrong usage
"""
import argparse
import importlib.util
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))
import gateway_files as gateway


def availability():
    """check-model-availability.py as a module: its request function is the one to use."""
    spec = importlib.util.spec_from_file_location("availability", gateway.HERE / "scripts/check-model-availability.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def providers(config):
    """model_name → the providers that serve it."""
    found = {}
    for entry in gateway.entries(config):
        found.setdefault(entry["model_name"], set()).add(str(entry["litellm_params"].get("model", "")).split("/")[0])
    return found


def pairs(config):
    """(model, its fallbacks) of every entry of fallbacks."""
    for item in (config.get("router_settings") or {}).get("fallbacks") or []:
        for model, others in item.items():
            yield model, list(others)


def check_chains(report, config, served):
    """No chain ends at a missing name or where it began."""
    following = dict(pairs(config))
    for model, others in following.items():
        seen, queue = {model}, list(others)
        broken = [name for name in [model, *others] if name not in served]
        circle = False
        while queue:
            name = queue.pop()
            circle |= name == model
            if name not in seen:
                seen.add(name)
                queue += following.get(name, [])
        if broken:
            report.fail(f"{model} falls back to or from {', '.join(broken)}, which is not configured", "gwinstall validate")
        elif circle:
            report.fail(f"the fallbacks of {model} lead back to it")
        else:
            across = served[others[0]] - served[model]
            report.ok(f"{model} is followed by {', '.join(others)}" + (f" at {', '.join(sorted(across))}" if across else ""))
    return following


def ask(report, following):
    module = availability()
    url, key = module.where(gateway.HERE)
    for model in following:
        body = {"model": model, "max_tokens": 16, "mock_testing_fallbacks": True, "messages": [{"role": "user", "content": "Say hi."}]}
        status, _, headers = module.ask(url, key, "/v1/chat/completions", body)
        tried = headers.get("x-litellm-attempted-fallbacks", "0")
        if status == 200 and tried not in ("0", "None", ""):
            report.ok(f"{model} failed on purpose and {tried} fallback answered")
        elif status == 200:
            report.fail(f"{model} answered, but not by its fallback")
        else:
            report.fail(f"{model} failed on purpose and nobody answered ({status})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ask", action="store_true", help="let the running gateway use each fallback (costs a few tokens)")
    options = parser.parse_args()
    report = gateway.Report()
    config = gateway.load_config(gateway.HERE / "config/litellm.yaml")
    served = providers(config)
    names = sorted(set().union(*served.values(), set()))
    report.info(f"{len(served)} models at {len(names)} providers: {', '.join(names)}")
    following = check_chains(report, config, served)
    if not following:
        report.line("SKIP", "no fallbacks are configured")
    elif options.ask:
        ask(report, following)
    return report.end()


if __name__ == "__main__":
    gateway.run(main)
