"""The payload in front of the real LiteLLM: every template is accepted, the start script starts, reloads and stops it, a fallback answers.

Needs LITELLM_VENV, a virtual environment with litellm[proxy,google] and prisma; without it the tests are skipped and say so. Only the
loopback address is used. Run as: LITELLM_VENV=… tests/payload/run real_test
"""
import json
import os
import pathlib
import subprocess
import threading
import time
import unittest
import urllib.error
import urllib.request

import assemble
from fakes import EMBEDDED, KEY, Gateway, Judge, Place, serve

VENV = os.environ.get("LITELLM_VENV", "")
LITELLM = pathlib.Path(VENV) / "bin/litellm"
NEEDED = unittest.skipUnless(VENV and LITELLM.exists(), "LITELLM_VENV names no environment with litellm")


class Upstream(Gateway):
    """A gateway that lets everybody in and fails for the model `down`."""

    def allowed(self):
        return True

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append((self.path, body["model"], {k.lower(): v for k, v in self.headers.items()}))
        if body["model"].startswith("down"):
            return self.answer(404, {"type": "error", "error": {"type": "not_found_error", "message": "retired"}})
        time.sleep(self.server.delay)
        return self.answer(200, {"id": "m", "type": "message", "role": "assistant", "model": body["model"], "stop_reason": "end_turn",
                                 "content": [{"type": "text", "text": "hi"}], "usage": {"input_tokens": 1, "output_tokens": 1}})


@NEEDED
class RealLiteLLM(Place):
    def setUp(self):
        super().setUp()
        (self.bin / "litellm").symlink_to(LITELLM)
        self.addCleanup(lambda: self.run_script("start-gateway.sh", "stop"))

    def ask(self, path, body=None, key=KEY):
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json", "anthropic-version": "2023-06-01"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode() if body else None, headers)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def message(self, model):
        return self.ask("/v1/messages", {"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": "hi"}]})

    def upstream(self, delay=0):
        server = serve(Upstream, mood="", names=[], seen=[], delay=delay)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.set_env(UPSTREAM_GATEWAY_URL=f"http://127.0.0.1:{server.server_port}", UPSTREAM_GATEWAY_KEY="upstream-key",
                     UPSTREAM_GATEWAY_AUTHORIZATION="'Bearer upstream-key'")
        return server

    def configure(self, template):
        text = template if "\n" in template else (EMBEDDED / "templates" / template).read_text()
        (self.dir / "config/litellm.yaml").write_text(text)

    def test_every_template_is_accepted_and_keeps_all_its_models(self):
        env = self.env(LITELLM_MASTER_KEY=KEY, LITELLM_MODE="PRODUCTION")
        paths = [path for path in sorted((EMBEDDED / "templates").rglob("*.yaml")) if path.parent.name != "models"]
        broken = self.home / "broken.yaml"
        broken.write_text("model_list: []\nrouter_settings: {fallbacks: {a: [b]}, enable_pre_call_check: true}\n")
        judge = Judge(pathlib.Path(VENV) / "bin/python", self.home)
        self.addCleanup(judge.close)
        code, text = judge.verdict(broken, env)
        self.assertEqual(code, 1, text)
        self.assertIn("config validation failed", text)
        for path in paths:
            code, text = judge.verdict(path, env)
            value = assemble.yaml.safe_load(path.read_text())
            count = len(value["model_list"]) + len(value["router_settings"].get("model_group_alias") or {})
            self.assertEqual(code, 0, f"{path}: {text}")
            self.assertIn(f"config OK ({count} models)", text, path)
            self.assertNotIn("not a valid argument for Router", text, path)

    def test_start_reload_and_stop_without_losing_a_request(self):
        self.upstream(delay=3)
        self.configure("enterprise/custom-gateway-config.yaml")
        self.expect(0, "the gateway runs", "start-gateway.sh")
        answers = []
        slow = threading.Thread(target=lambda: answers.append(self.message("claude-sonnet-5-5")[0]))
        slow.start()
        time.sleep(0.5)
        config = self.dir / "config/litellm.yaml"
        config.write_text(config.read_text().replace("- model_name: claude-opus-5-5", "- model_name: added-by-reload"))
        self.expect(0, "took over", "start-gateway.sh", "reload")
        slow.join()
        self.assertEqual(answers, [200])
        names = {entry["id"] for entry in self.ask("/v1/models")[1]["data"]}
        self.assertIn("added-by-reload", names)
        config.write_text(config.read_text() + "x: [\n")
        self.expect(1, "does not accept", "start-gateway.sh", "reload")
        self.expect(0, "the gateway runs", "start-gateway.sh", "status")
        self.expect(0, "0 failed", "scripts/health-check.sh")
        self.expect(0, "is stopped", "stop-gateway.sh")
        self.assertEqual(list(self.dir.glob(".starting")), [])

    def test_two_starts_at_once_leave_one_gateway(self):
        front = [str(self.dir / "start-gateway.sh")]
        both = [subprocess.Popen(front, env=self.env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
        texts = [one.communicate(timeout=200)[0] for one in both]
        self.assertEqual([one.returncode for one in both], [0, 0], texts)
        self.assertEqual(sum("already runs" in text for text in texts), 1, texts)

    def test_each_enterprise_template_reaches_its_gateway_with_the_right_headers(self):
        for name, model in (("truefoundry", "my-anthropic-account/claude-sonnet-5-5"), ("zuplo", "claude-sonnet-5-5"), ("custom-gateway", "claude-sonnet-5-5")):
            with self.subTest(name):
                server = self.upstream()
                self.configure(f"enterprise/{name}-config.yaml")
                self.expect(0, "the gateway runs", "start-gateway.sh")
                self.assertEqual(self.message("claude-sonnet-5-5")[0], 200)
                path, asked, headers = server.seen[-1]
                self.assertEqual((path, asked), ("/v1/messages", model))
                if name == "custom-gateway":
                    self.assertEqual(headers["x-api-key"], "upstream-key")
                else:
                    self.assertEqual(headers["authorization"], "Bearer upstream-key")
                self.run_script("start-gateway.sh", "stop")

    def test_a_retired_model_is_answered_by_its_successor_and_the_tests_see_it(self):
        server = self.upstream()
        entry = ("  - model_name: {0}\n    litellm_params:\n      model: anthropic/{0}\n      api_base: os.environ/UPSTREAM_GATEWAY_URL\n"
                 "      api_key: os.environ/UPSTREAM_GATEWAY_KEY\n")
        tail = "router_settings:\n  fallbacks:\n    - {0}: [up]\n  model_group_alias: {{claude-opus-5-5: up, claude-sonnet-5-5: up, claude-haiku-5-5: up}}\n"
        tail += "general_settings:\n  master_key: os.environ/LITELLM_MASTER_KEY\n"
        self.configure("model_list:\n" + entry.format("down") + entry.format("up") + tail.format("down"))
        self.expect(0, "the gateway runs", "start-gateway.sh")
        self.assertEqual(self.message("down")[0], 200)
        self.assertEqual([model for _, model, _ in server.seen][-1], "up")
        self.expect(0, ["down was answered by its fallback", "up can stand in for down"], "tests/test-multi-provider-routing.py", "--ask")
        self.expect(0, ["down: a fallback answered in its place", "up answered"], "scripts/check-model-availability.py", "--ask")
        self.expect(0, "without a token it refuses", "scripts/validate-gateway-compatibility.py")
        self.run_script("start-gateway.sh", "stop")
        tail += "  dangerously_allow_mock_testing_request_params: true\n"
        self.configure("model_list:\n" + entry.format("down") + entry.format("up") + tail.format("up").replace("[up]", "[down]"))
        self.expect(0, "the gateway runs", "start-gateway.sh")
        self.expect(1, "does not know it (any more): see its retirement date (404)", "scripts/check-model-availability.py", "--ask", "--model", "down")
        self.expect(1, ["up failed on purpose and nobody answered", "down cannot stand in for up"], "tests/test-multi-provider-routing.py", "--ask")
