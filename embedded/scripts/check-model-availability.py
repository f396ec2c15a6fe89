#!/usr/bin/env python3
"""Compares the configured models with what the running gateway serves.

--ask also sends one short message to each model (or to those that --model names), which costs a few tokens, and says which model
answered: a provider that removed a model answers 404, and a fallback may answer in its place.

exit status: 0 all available, 1 one is not or the gateway does not answer, 2 wrong usage
"""
import argparse
import json
import pathlib
import re
import sys
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
import gateway_files as gateway

MEANING = {
    401: "the provider refused the credentials", 403: "the account may not use it: enable the model at the provider",
    404: "the provider does not know it (any more): see its retirement date", 429: "the quota is used up", 400: "the request was refused",
}


def opener():
    """Uses no proxy: the gateway is on this machine, or at an address that Claude Code reaches directly."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(url, key, path, body=None, timeout=60):
    """Sends one request; returns (status, document, headers)."""
    headers = {"authorization": f"Bearer {key}", "anthropic-version": "2023-06-01", "content-type": "application/json"}
    request = urllib.request.Request(url + path, json.dumps(body).encode() if body else None, headers)
    try:
        with opener().open(request, timeout=timeout) as answer:
            return answer.status, json.loads(answer.read() or b"{}"), answer.headers
    except urllib.error.HTTPError as error:
        text = error.read(2000).decode("utf-8", "replace")
        try:
            return error.code, json.loads(text), error.headers
        except ValueError:
            return error.code, {"error": {"message": text}}, error.headers
    except (OSError, ValueError) as error:
        raise gateway.Problem(f"the gateway does not answer at {url}: {getattr(error, 'reason', error)}",
                              f"'{gateway.HERE}/start-gateway.sh'") from None


def where(directory):
    """(url, key) of the gateway that this directory configures."""
    values = gateway.read_env(directory)
    if (directory / "start-gateway.sh").exists():
        port = re.search(r"^GATEWAY_PORT=(\d+)", gateway.read_text(directory / "start-gateway.sh"), re.M)
        return f"http://127.0.0.1:{port.group(1) if port else 4000}", values.get("LITELLM_MASTER_KEY", "")
    return values.get("ANTHROPIC_BASE_URL", "").rstrip("/"), values.get("ANTHROPIC_AUTH_TOKEN", "")


def configured(directory):
    """Model names of config/litellm.yaml, each with its route; empty where no proxy runs here."""
    path = directory / "config/litellm.yaml"
    if not path.exists():
        return {}
    return {str(e["model_name"]): str(e["litellm_params"].get("model")) for e in gateway.models(gateway.load_config(path))}


def send(report, url, key, name):
    body = {"model": name, "max_tokens": 16, "messages": [{"role": "user", "content": "Say hi."}]}
    status, document, headers = ask(url, key, "/v1/messages", body)
    if status == 200:
        used = headers.get("x-litellm-attempted-fallbacks", "0")
        if used not in ("0", "", "None"):
            return report.warn(f"{name}: a fallback answered in its place")
        return report.ok(f"{name} answered")
    message = document.get("error", {})
    message = message.get("message", "") if isinstance(message, dict) else str(message)
    return report.fail(f"{name}: {MEANING.get(status, 'failed')} ({status}) {' '.join(str(message).split())[:160].replace(key, '…')}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ask", action="store_true", help="send one short message to each model (costs a few tokens)")
    parser.add_argument("--model", action="append", help="only this model; may be given several times")
    parser.add_argument("--dir", type=pathlib.Path, default=gateway.HERE, help="the gateway's directory")
    options = parser.parse_args()
    url, key = where(options.dir)
    if not url or not key:
        raise gateway.Problem(f"{options.dir}/.env names no gateway and key", "gwinstall install")
    models, report = configured(options.dir), gateway.Report()
    for name in options.model or []:
        if models and name not in models:
            raise gateway.Problem(f"{name} is not in config/litellm.yaml; it holds {', '.join(models)}", f"gwinstall models add {name}")
    status, document, _ = ask(url, key, "/v1/models")
    if status != 200:
        raise gateway.Problem(f"the gateway refused the key of {options.dir}/.env ({status})", f"'{options.dir}/start-gateway.sh' restart")
    served = {entry.get("id") for entry in document.get("data", []) if isinstance(entry, dict)}
    wanted = options.model or list(models) or sorted(served)
    for name in wanted:
        if name not in served:
            report.fail(f"{name} is configured but not served", f"'{options.dir}/start-gateway.sh' reload")
        elif options.ask:
            send(report, url, key, name)
        else:
            report.ok(f"{name} is served" + (f" by {models[name]}" if name in models else ""))
    return report.end()


if __name__ == "__main__":
    gateway.run(main)
