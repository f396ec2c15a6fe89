"""Checks of a deployment that points Claude Code at a gateway elsewhere, against a made-up one of the same protocol. Loopback only.

What is asked and how comes from the deployed files alone: settings.json, its key helper, .env and the deployed compatibility script.
"""

import json
import os
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

import claude_code
import fake_gateway


class GatewayCheck:
    """One deployed home and the gateway that it shall reach. `rows` are (passed, name, detail); `more` is claude_code's; `keyless`:
    a provider that asks for no key."""

    def __init__(self, home, gateway, claude, more=None, company=True, keyless=False):
        self.home, self.gateway, self.claude, self.more, self.rows = str(home), gateway, claude, more, []
        self.company, self.keyless = company, keyless
        self.deployed = os.path.join(self.home, ".claude", "gateway")
        with open(os.path.join(self.home, ".claude", "settings.json"), encoding="utf-8") as file:
            self.settings = json.load(file)
        self.env = self.settings["env"]

    def report(self, passed, name, detail=""):
        self.rows.append((bool(passed), name, detail))

    def run(self, models):
        self.files(models)
        self.protocol()
        if self.company:
            self.script()
        if self.claude:
            self.answers()
            if not self.keyless:
                self.wrong_token()
        self.report(not [hit for hit in self.gateway.log if hit["status"] == 0], "every_request_answered")

    def files(self, models):
        absent = ("config/litellm.yaml", "start-gateway.sh", "stop-gateway.sh", "tests")
        there = [name for name in absent if os.path.exists(os.path.join(self.deployed, name))]
        self.report(not there, "no_local_gateway_deployed", ", ".join(there))
        self.report(self.env.get("ANTHROPIC_BASE_URL") == self.gateway.url, "settings_name_the_gateway")
        self.report(self.env.get("ANTHROPIC_MODEL") == (models[0] if models else None), "settings_name_the_model")
        if self.keyless:
            self.token = self.env["ANTHROPIC_AUTH_TOKEN"]
            self.report("apiKeyHelper" not in self.settings and self.token == self.gateway.token, "a_word_in_place_of_a_key")
            return
        helper = os.path.expanduser(self.settings["apiKeyHelper"].replace("~", self.home, 1))
        run = subprocess.run(helper.split(), env={"PATH": "/usr/bin:/bin", "HOME": self.home}, capture_output=True, text=True)
        self.token = run.stdout.strip()
        self.report(self.token == self.gateway.token, "helper_prints_the_token")
        holders = []
        for folder, _, names in os.walk(os.path.join(self.home, ".claude")):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    if self.gateway.token.encode() in file.read():
                        holders.append(os.path.relpath(os.path.join(folder, name), self.deployed))
        self.report(holders == [".env"], "token_in_no_other_file", ", ".join(holders))

    def ask(self, path, body=None, token="", headers=None):
        """(status, text) of one request as Claude Code would send it by these settings."""
        lines = self.env.get("ANTHROPIC_CUSTOM_HEADERS", "").splitlines()
        own = dict(line.split(": ", 1) for line in lines) if headers is None else headers
        sent = {"anthropic-version": "2023-06-01", "content-type": "application/json", **own}
        if token:
            sent["authorization"] = f"Bearer {token}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.env["ANTHROPIC_BASE_URL"] + path, data, sent)
        trust = ssl.create_default_context(cafile=self.env.get("NODE_EXTRA_CA_CERTS"))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
        )
        try:
            with opener.open(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def protocol(self):
        """The made-up gateway is one that lets only these settings in: else the rest would prove nothing."""
        hello = {"model": self.gateway.models[0], "max_tokens": 8, "messages": [{"role": "user", "content": "hi"}]}
        status, body = self.ask("/v1/messages?beta=true", hello, self.token)
        self.report(status == 200 and fake_gateway.TEXT in body, "message", f"{status} {body[:120]}")
        status, body = self.ask("/v1/messages?beta=true", {**hello, "stream": True}, self.token)
        whole = "event: message_start" in body and "event: message_stop" in body
        self.report(status == 200 and whole, "stream", str(status))
        tool = {"tools": [{"name": "Read", "input_schema": {"type": "object"}}]}
        wish = {"messages": [{"role": "user", "content": "read /a/note.txt"}]}
        status, body = self.ask("/v1/messages", hello | tool | wish, self.token)
        self.report(status == 200 and '"tool_use"' in body, "tool_use", f"{status} {body[:120]}")
        status, body = self.ask("/v1/messages/count_tokens", hello, self.token)
        self.report(status == 200 and json.loads(body)["input_tokens"] > 0, "count_tokens", str(status))
        for name, token in (("no_token_refused", ""), ("wrong_token_refused", self.token + "x")):
            self.report(self.ask("/v1/messages", hello, token)[0] == 401, name)
        if self.gateway.headers:
            self.report(self.ask("/v1/messages", hello, self.token, {})[0] == 403, "missing_header_refused")
        absent = self.ask("/v1/messages", hello | {"model": "no-such-model"}, self.token)
        self.report(absent[0] == 404, "unknown_model_refused")

    def script(self):
        """The deployed compatibility script, with what is deployed and nothing in its environment."""
        path = os.path.join(self.deployed, "scripts", "validate-gateway-compatibility.py")
        command = [sys.executable, "-B", path, "--send", self.gateway.models[0]]
        plain = {"HOME": self.home, "PATH": "/usr/bin:/bin"}
        run = subprocess.run(command, env=plain, capture_output=True, text=True, timeout=60)
        said = (run.stdout + run.stderr).strip().replace("\n", " | ")
        self.report(run.returncode == 0 and "streamed" in said, "compatibility_script", said[-300:])

    def answers(self):
        """Claude Code answers, calls a tool, and every request of it was let in."""
        since = len(self.gateway.log)
        answered, said = claude_code.say(self.claude, self.home, "hi", self.more)
        self.report(answered and fake_gateway.TEXT in said, "claude_code_answers", said[:300])
        note = os.path.join(self.home, "work", "note.txt")
        with open(note, "w", encoding="utf-8") as file:
            file.write("the kettle is on\n")
        answered, said = claude_code.say(self.claude, self.home, f"Read {note}", self.more)
        self.report(answered and "the kettle is on" in said, "claude_code_uses_a_tool", said[:300])
        asked = self.gateway.log[since:]
        self.report(any(hit["tool_result"] for hit in asked), "tool_result_sent_back")
        refused = [hit for hit in asked if hit["status"] >= 400 and "/v1/messages" in hit["path"]]
        self.report(not refused, "every_message_let_in", str(refused[:3]))
        wanted = {self.env[name] for name in self.env if name.endswith("_MODEL")} or set(self.gateway.models)
        named = {hit["model"] for hit in asked if hit["model"]}
        self.report(named and named <= wanted, "only_deployed_models_asked_for", f"{sorted(named)}")

    def wrong_token(self):
        """The same home with another token gets no answer: it is the deployed token that opens."""
        home = os.path.join(self.home, "wrong")
        shutil.copytree(self.deployed, os.path.join(home, ".claude", "gateway"), symlinks=True)
        shutil.copy(os.path.join(self.home, ".claude", "settings.json"), os.path.join(home, ".claude"))
        path = os.path.join(home, ".claude", "gateway", ".env")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(self.gateway.token, "another-token"))
        since = len(self.gateway.log)
        answered, said = claude_code.say(self.claude, home, "hi", claude_code.IMPATIENT)
        refused = [hit for hit in self.gateway.log[since:] if hit["status"] == 401]
        self.report(not answered and refused, "claude_code_refused_with_a_wrong_token", said[:300])
