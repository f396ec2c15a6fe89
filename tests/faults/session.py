"""A stand-in for an open session of Claude Code: it registers itself and takes changes of the settings over as Claude Code does."""

import json
import subprocess
import threading
import time
from pathlib import Path

# How long the file must be the same; Claude Code takes 1.0 to 1.5 s, and gwinstall waits for what it is told, not for that long.
STABLE = 0.4


class Session:
    """`credentials` are (address, whether the key helper of gwinstall is asked), one for each time that the settings changed."""

    def __init__(self, home):
        self.settings = Path(home, ".claude/settings.json")
        self.process = subprocess.Popen(["sleep", "600"])
        pid = self.process.pid
        self.id = f"session-{pid}"
        self.entry = Path(home, f".claude/sessions/{pid}.json")
        self.entry.parent.mkdir(exist_ok=True)
        started = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[19]
        words = {"pid": pid, "sessionId": self.id, "cwd": "/work", "startedAt": 1, "procStart": started}
        self.entry.write_text(json.dumps(words), encoding="utf-8")
        self.over, self.environment, self.credentials = threading.Event(), {}, []
        self.text = self.read()
        self.take_over()
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def read(self):
        try:
            return self.settings.read_text(encoding="utf-8")
        except OSError:
            return "{}"

    def take_over(self):
        self.known = json.loads(self.text)
        # What is removed stays in the process.
        self.environment |= self.known.get("env", {})
        self.credentials.append((self.environment.get("ANTHROPIC_BASE_URL", ""), "apiKeyHelper" in self.known))

    def follow(self):
        changed = since = None
        while not self.over.wait(0.04):
            text = self.read()
            if text == self.text:
                changed = None
            elif text != changed:
                changed, since = text, time.monotonic()
            elif time.monotonic() - since > STABLE:
                for hook in self.known.get("hooks", {}).get("ConfigChange", []):
                    told = json.dumps({"session_id": self.id, "hook_event_name": "ConfigChange"})
                    subprocess.run(["/bin/sh", "-c", hook["hooks"][0]["command"]], input=told, text=True, timeout=10, check=False)
                self.text, changed = self.read(), None
                self.take_over()

    def leaked(self, gateway):
        """What it would have sent to the wrong side: its login to the gateway, or the gateway's key elsewhere."""
        return [sent for sent in self.credentials if (sent[0] == gateway) != sent[1]]

    def close(self):
        self.over.set()
        self.process.kill()
        self.process.wait(10)
        self.thread.join(15)
        self.entry.unlink(missing_ok=True)
