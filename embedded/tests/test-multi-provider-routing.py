#!/usr/bin/env python3
"""A model that fails is followed by one that can answer, at another provider where the configuration has several.

Without an option only files are read. --ask sends a short message to each model that has fallbacks and to each of these, which costs a few
tokens. Where general_settings.dangerously_allow_mock_testing_request_params is true (never in production: every client may then ask for
failures), the model is made to fail on purpose.

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
    for entry in gateway.models(config):
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


def failed_on_purpose(report, ask_one, model):
    """LiteLLM makes the model fail, where the configuration allows a client to ask for that."""
    status, headers = ask_one(model, mock_testing_fallbacks=True)
    tried = headers.get("x-litellm-attempted-fallbacks", "0")
    if status == 200 and tried not in ("0", "None", ""):
        report.ok(f"{model} failed on purpose and a fallback answered")
    elif status == 200:
        report.fail(f"{model} was to fail on purpose and answered itself")
    else:
        report.fail(f"{model} failed on purpose and nobody answered ({status})")


def ask(report, following, on_purpose):
    """Each model that has fallbacks is asked, and each of these by itself: one that does not answer alone is no fallback."""
    module = availability()
    url, key = module.where(gateway.HERE)

    def ask_one(model, **more):
        body = {"model": model, "max_tokens": 16, "messages": [{"role": "user", "content": "Say hi."}], **more}
        status, _, headers = module.ask(url, key, "/v1/chat/completions", body)
        return status, headers

    for model, others in following.items():
        if on_purpose:
            failed_on_purpose(report, ask_one, model)
        else:
            status, headers = ask_one(model)
            replaced = headers.get("x-litellm-attempted-fallbacks", "0") not in ("0", "None", "")
            if status == 200:
                report.ok(f"{model} was answered by {'its fallback' if replaced else 'itself'}")
            else:
                report.fail(f"{model} and its fallbacks do not answer ({status})")
        for other in others:
            status, _ = ask_one(other)
            if status == 200:
                report.ok(f"{other} can stand in for {model}")
            else:
                report.fail(f"{other} cannot stand in for {model}: it does not answer ({status})")


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
        general = config.get("general_settings") or {}
        ask(report, following, general.get("dangerously_allow_mock_testing_request_params") is True)
    return report.end()


if __name__ == "__main__":
    gateway.run(main)
