#!/usr/bin/env python3
"""Checks whether a gateway can serve Claude Code: address, TLS, key, model list and, with --send, one streamed message.

Without --send it asks only for the list of models and sends requests that the gateway must refuse: nothing that costs money. The address and
the token come from gateway/.env (ANTHROPIC_BASE_URL and ANTHROPIC_AUTH_TOKEN; for a local gateway its own address and key),
or from --url and the environment variable that --token-from names.

exit status: 0 compatible, 1 not, 2 wrong usage
"""
import argparse
import http.client
import json
import os
import pathlib
import re
import ssl
import sys
import time
import urllib.parse

sys.dont_write_bytecode = True
import gateway_files as gateway

TYPES = ("local", "truefoundry", "zuplo", "custom")
VERSION = {"anthropic-version": "2023-06-01"}


class Gateway:
    def __init__(self, url, token, timeout, own_headers, authorities):
        self.parts = urllib.parse.urlsplit(url)
        self.token, self.timeout, self.own_headers, self.authorities = token, timeout, own_headers, authorities

    def ask(self, method, path, body=None, token=True, headers=None):
        """(status, headers, response). Redirects are not followed: Claude Code refuses them too."""
        cls = http.client.HTTPSConnection if self.parts.scheme == "https" else http.client.HTTPConnection
        extra = {"context": trust(self.authorities)} if self.parts.scheme == "https" else {}
        connection = cls(self.parts.hostname, self.parts.port, timeout=self.timeout, **extra)
        sent = {**VERSION, "accept": "application/json", **self.own_headers, **(headers or {})}
        if token:
            sent["authorization"] = f"Bearer {self.token}"
        if body is not None:
            sent["content-type"] = "application/json"
        connection.request(method, self.parts.path.rstrip("/") + path, json.dumps(body) if body is not None else None, sent)
        return connection.getresponse()


def trust(extra):
    """The system's authorities and the one that Claude Code is given."""
    context = ssl.create_default_context()
    if extra:
        try:
            context.load_verify_locations(cafile=extra)
        except (OSError, ssl.SSLError) as error:
            raise gateway.Problem(f"NODE_EXTRA_CA_CERTS does not name a PEM file: {error.strerror or error}") from error
    return context


def headers_of(text):
    """ANTHROPIC_CUSTOM_HEADERS as Claude Code reads it."""
    pairs = (line.split(":", 1) for line in text.replace("\\n", "\n").splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def address(report, url, kind):
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise gateway.Problem("the address is not http(s)://HOST", "gwinstall install --gateway-url https://HOST")
    if parts.username:
        raise gateway.Problem("the address holds a user name; Claude Code does not send it")
    if re.search(r"/v1/?$", parts.path):
        report.fail("the address ends in /v1; Claude Code adds /v1/messages itself", f"use {url.rstrip('/')[:-3]}")
    elif parts.query or parts.fragment:
        report.fail("the address has a query or fragment after its path")
    else:
        report.ok(f"the address is {url}")
    loopback = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts.scheme == "http" and not loopback:
        report.fail("the address is plain http: others on the network could read the token")
    if kind == "local" and not loopback:
        report.warn("a local gateway should listen on 127.0.0.1 only")


def reach(report, target):
    try:
        answer = target.ask("GET", "/v1/models?limit=1000")
    except ssl.SSLCertVerificationError as error:
        report.fail(f"the certificate is not trusted: {error.verify_message}", "set NODE_EXTRA_CA_CERTS to your organisation's PEM file")
        return None
    except OSError as error:
        report.fail(f"the gateway cannot be reached: {error.strerror or error}")
        return None
    return answer


def list_models(report, answer):
    """The names that the gateway lists; an absent list is allowed."""
    if 300 <= answer.status < 400:
        report.fail(f"the gateway redirects ({answer.status}); Claude Code needs the exact address")
    elif answer.status in (400, 401, 403):  # LiteLLM without a database answers 400 to a wrong key
        report.fail(f"the token was refused ({answer.status})", "gwinstall env set ANTHROPIC_AUTH_TOKEN")
    elif answer.status != 200:
        report.warn(f"no list of models ({answer.status}): /model shows Claude Code's own names only")
    else:
        try:
            names = [entry["id"] for entry in json.loads(answer.read())["data"]]
        except (ValueError, KeyError, TypeError):
            report.warn("the list of models has another form than Anthropic's and OpenAI's")
            return None
        report.ok(f"the token is accepted; {len(names)} models are listed")
        return names
    return None


def refusals(report, target):
    """Without a token the gateway must refuse every request."""
    body = {"model": "gwinstall-no-such-model", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
    answer = target.ask("POST", "/v1/messages?beta=true", body, token=False)
    answer.read()
    if answer.status in (401, 403):
        report.ok(f"without a token it refuses ({answer.status})")
    elif answer.status == 404:
        report.fail("there is no /v1/messages: the gateway does not speak the Anthropic format at this address")
    elif answer.status < 300:
        report.fail("it answers without a token: anyone who reaches it can use it")
    else:
        report.warn(f"without a token it answers {answer.status}, where 401 is expected")


def send(report, target, model):
    """One short streamed message, as Claude Code sends it; costs a few tokens."""
    body = {"model": model, "max_tokens": 16, "stream": True, "metadata": {"user_id": "gwinstall-check"},
            "messages": [{"role": "user", "content": "Say hi."}]}
    begun = time.monotonic()
    answer = target.ask("POST", "/v1/messages?beta=true", body, headers={"anthropic-beta": "interleaved-thinking-2025-05-14"})
    kind = answer.getheader("content-type", "")
    if answer.status != 200:
        text = answer.read(400).decode("utf-8", "replace").replace(target.token, "…")
        return report.fail(f"{model} was not served ({answer.status}): {' '.join(text.split())[:200]}")
    if "text/event-stream" not in kind:
        return report.warn(f"{model} answered without streaming ({kind or 'no content type'}); Claude Code asks a second time without it")
    events = [line[7:].strip() for line in answer.read().decode("utf-8", "replace").splitlines() if line.startswith("event: ")]
    if "message_start" in events and "message_stop" in events:
        return report.ok(f"{model} streamed {len(events)} events in {time.monotonic() - begun:.1f} s")
    return report.fail(f"the stream of {model} is not that of the Messages API: {sorted(set(events))}")


def chosen(options):
    """(type, url, token, headers, authorities) from the options, gateway/.env and the start script."""
    values = gateway.read_env(options.dir) if (options.dir / ".env").exists() else {}
    local = (options.dir / "config/litellm.yaml").exists() and not options.url
    url = options.url or values.get("ANTHROPIC_BASE_URL")
    token = values.get("ANTHROPIC_AUTH_TOKEN", "")
    if local and not values.get("ANTHROPIC_BASE_URL"):
        port = re.search(r"^GATEWAY_PORT=(\d+)", gateway.read_text(options.dir / "start-gateway.sh"), re.M)
        url, token = f"http://127.0.0.1:{port.group(1) if port else 4000}", values.get("LITELLM_MASTER_KEY", "")
    if options.token_from:
        token = os.environ.get(options.token_from, "")
    if not url:
        raise gateway.Problem("no gateway is configured", "gwinstall install --preset enterprise --gateway-url https://HOST")
    if not token or gateway.PLACEHOLDER.search(token):
        raise gateway.Problem("there is no token for the gateway", "gwinstall env set ANTHROPIC_AUTH_TOKEN")
    headers = headers_of(values.get("ANTHROPIC_CUSTOM_HEADERS", ""))
    authorities = values.get("NODE_EXTRA_CA_CERTS") or os.environ.get("NODE_EXTRA_CA_CERTS")
    return options.type or ("local" if local else "custom"), url, token, headers, authorities


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--type", choices=TYPES)
    parser.add_argument("--url", help="root of the gateway")
    parser.add_argument("--token-from", metavar="NAME", help="environment variable that holds the token")
    parser.add_argument("--send", metavar="MODEL", help="send one short message to MODEL (costs a few tokens)")
    parser.add_argument("--timeout", type=float, default=15)
    parser.add_argument("--dir", type=pathlib.Path, default=gateway.HERE, help="the gateway's directory")
    options = parser.parse_args()
    kind, url, token, own_headers, authorities = chosen(options)
    report = gateway.Report()
    address(report, url, kind)
    target = Gateway(url.rstrip("/"), token, options.timeout, own_headers, authorities)
    answer = reach(report, target)
    if answer is not None:
        names = list_models(report, answer)
        refusals(report, target)
        if names is not None and kind != "local" and not any(re.search(r"claude|anthropic", name) for name in names):
            report.warn("no listed name holds claude or anthropic: set ANTHROPIC_MODEL and the three ANTHROPIC_DEFAULT_*_MODEL")
        if kind == "truefoundry" and options.send and "/" not in options.send:
            report.warn("a model of TrueFoundry is named account/model", "use the name of the Playground's snippet")
        if options.send:
            send(report, target, options.send)
    return report.end()


if __name__ == "__main__":
    gateway.run(main)
