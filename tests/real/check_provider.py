"""Checks of one provider behind the real LiteLLM, from the deployed files to what the real Claude Code says of a tool's result."""

import json
import os
import secrets

import claude_code
from check_real_proxy import HELLO, Check, http
from providers import GREETING

DEMO = "gwinstall works"


def holders(folder, text):
    """The files below a folder that hold a text."""
    found = []
    for at, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(at, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    if text.encode() in file.read():
                        found.append(os.path.relpath(path, folder))
    return sorted(found)


class ProviderCheck(Check):
    """A deployment of `install --provider`, checked against the one endpoint that it may reach."""

    def run(self):
        self.home = os.path.dirname(os.path.dirname(self.gateway))
        self.provider = self.internet.provider
        with open(os.path.join(self.home, ".claude", "settings.json"), encoding="utf-8") as file:
            self.model = json.load(file)["env"]["ANTHROPIC_MODEL"]
        self.read_config()
        self.environment()
        self.master_key()
        self.loads()
        self.internet.forbidden = [self.key]
        self.start(self.config_path)
        self.models()
        self.says_hello()
        if self.chosen.claude_bin:
            self.uses_a_tool()
        if self.provider.lock:
            self.another_key()
        self.every_request()
        self.key_stays()

    def says_hello(self):
        """One message that does not stream."""
        status, body = http("POST", self.base + "/v1/messages", self.auth, HELLO | {"model": self.model})
        wanted = GREETING if self.provider.host else DEMO
        self.report(status == 200 and wanted in body, "message", f"{status} {body[:200]}")

    def uses_a_tool(self):
        """Claude Code reads a file because the provider asked it to, and says what the provider made of the result."""
        word = f"kettle-{secrets.token_hex(8)}"
        os.makedirs(os.path.join(self.home, "work"), exist_ok=True)
        note = os.path.join(self.home, "work", "note.txt")
        with open(note, "w", encoding="utf-8") as file:
            file.write(word + "\n")
        answered, said = claude_code.say(self.chosen.claude_bin, self.home, f"Read {note}", self.more)
        wanted = f"The note says {word}." if self.provider.host else DEMO
        self.report(answered and wanted in said, "claude_code_uses_a_tool", said[-600:])
        if not self.provider.host:
            return
        played = [hit for hit in self.internet.log if hit.get("turn")]
        turns = [hit["turn"] for hit in played if hit["status"] == 200]
        self.report(turns == ["call", "result"], "tool_called_and_result_sent_back", str(turns))
        self.report(played and all(hit["stream"] for hit in played), "every_turn_streams")

    def every_request(self):
        """Nothing else was asked, and the provider took all of it."""
        refused = [hit for hit in self.internet.log[: self.already] if hit.get("status") != 200]
        said = {f"{hit.get('status')} {hit['host']}{hit['path']}: {hit.get('why')}" for hit in refused}
        self.report(not refused, "every_request_let_in", "; ".join(sorted(said))[:900])
        hosts = {hit["host"] for hit in self.internet.log}
        login = {"oauth2.googleapis.com"} if self.provider.name == "vertex" else set()
        wanted = ({self.provider.host} | login) if self.provider.host else set()
        strange = [hit for hit in self.internet.log if hit["host"] not in wanted]
        self.report(hosts == wanted, "no_other_host", f"{sorted(hosts)} {strange[:3]}")

    def another_key(self):
        """The endpoint that knows another key refuses this one, and LiteLLM says so: the key is what opens."""
        self.already = len(self.internet.log)
        self.internet.lock = self.provider.lock.other()
        status, body = http("POST", self.base + "/v1/messages", self.auth, HELLO | {"model": self.model})
        turned_away = [hit["status"] for hit in self.internet.log[self.already :] if hit.get("status", 200) != 200]
        self.report(status in (400, 401, 403) and turned_away, "another_key_is_refused", f"{status} {body[:200]}")

    def key_stays(self):
        """The key stands in .env, and where the user had put it, and in nothing that was deployed or has run."""
        if not self.provider.lock:
            return
        secret = self.provider.lock.secret
        wanted = [] if self.provider.name == "vertex" else [".claude/gateway/.env"]
        wanted += [self.provider.file] if self.provider.file else []
        there = holders(self.home, secret)
        self.report(there == sorted(wanted), "key_in_no_other_file", f"{there}")
        # The folder of LiteLLM also holds what the fake internet made: its certificates and its service account.
        left = [name for name in holders(self.directory, secret) if not name.endswith((".pem", "sa.json"))]
        self.report(not left, "key_in_no_log", f"{left}")
