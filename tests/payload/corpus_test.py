"""The recording of what LiteLLM does with the corpus, and the table of the names that it knows, against the real LiteLLM.

Needs LITELLM_VENV; without it the tests are skipped and say so. Nothing is fetched from the network.
"""
import json
import os
import pathlib
import subprocess
import unittest

import assemble

VENV = os.environ.get("LITELLM_VENV", "")
PYTHON = pathlib.Path(VENV) / "bin/python"
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ENV = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"}


# What LiteLLM sends of a request with tools, for each fragment of a model.
TOOLS = """
import json, pathlib, yaml
from litellm.utils import get_llm_provider, get_optional_params
tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
kept = {}
for path in sorted(pathlib.Path("embedded/templates/models").glob("*.yaml")):
    entry = yaml.safe_load(path.read_text())["model_list"][0]
    params = entry["litellm_params"]
    model, provider, _, _ = get_llm_provider(params["model"])
    sent = get_optional_params(model=model, custom_llm_provider=provider, tools=tools, tool_choice="auto", drop_params=True,
                               allowed_openai_params=params.get("allowed_openai_params"))
    names = {"tools" if name == "toolConfig" else name for name in sent if "tool" in name.lower()}
    kept[entry["model_name"]] = sorted(names)
print(json.dumps(kept))
"""

MAP = """
import importlib.util, pathlib
print((pathlib.Path(importlib.util.find_spec("litellm").origin).parent / "model_prices_and_context_window_backup.json").read_text())
"""


@unittest.skipUnless(VENV and PYTHON.exists(), "LITELLM_VENV names no environment with litellm")
class RealLiteLLM(unittest.TestCase):
    maxDiff = 4000

    def run_with_litellm(self, *arguments):
        return subprocess.run([PYTHON, *arguments], cwd=ROOT, env=ENV, text=True, capture_output=True, timeout=900, check=False)

    def test_the_recording_is_what_litellm_does(self):
        made = self.run_with_litellm("tests/payload/corpus.py")
        self.assertEqual(made.returncode, 0, made.stderr[-2000:])
        recorded = json.loads((ROOT / "tests/fixtures/corpus.json").read_text(encoding="utf-8"))
        self.assertEqual(json.loads(made.stdout[made.stdout.index("{"):]), recorded)

    def test_the_table_of_names_is_what_litellm_gives(self):
        made = self.run_with_litellm("dist/litellm_names.py", "--check")
        self.assertEqual(made.returncode, 0, made.stdout + made.stderr[-2000:])

    def test_prices_limits_and_dates_are_those_of_litellms_map(self):
        made = self.run_with_litellm("dist/litellm_prices.py", "--check")
        # The demonstration asks no model.
        self.assertEqual((made.returncode, made.stdout), (0, "custom_openai/demo: LiteLLM's map does not hold it\n"), made.stderr[-2000:])

    def test_what_claude_code_is_pointed_at_by_default_can_work_as_an_agent(self):
        """Neither retired, nor without tools, nor limited below what one edit of a file may take."""
        table = json.loads(self.run_with_litellm("-c", MAP).stdout)
        cat = assemble.catalog()
        chosen = {}
        for preset in cat["presets"]:
            if preset.get("base"):
                models = assemble.deployed(cat, preset["default_models"])
                chosen[preset["name"]] = {m["id"]: m for m in models if m["id"] in assemble.tier_models(cat, models).values()}
        for provider in cat["providers"]:
            chosen[provider["name"]] = {m["id"]: m for m in provider.get("models", []) if m["id"] != "demo"}
        self.assertGreater(sum(map(len, chosen.values())), 30)
        for where, models in chosen.items():
            for name, model in models.items():
                entry = table.get(model["route"]) or table[model["route"].split("/", 1)[1]]
                self.assertTrue(entry.get("supports_function_calling"), f"{where}: {name} has no tools")
                self.assertGreaterEqual(model["output_tokens"], 8192, f"{where}: {name}")
                self.assertFalse(assemble.retired(cat, model), f"{where}: {name} has retired")

    def test_no_model_of_the_catalog_loses_its_tools(self):
        """Claude Code without tools can read nothing and edit nothing, and LiteLLM drops what it does not know without a word."""
        asked = self.run_with_litellm("-c", TOOLS)
        self.assertEqual(asked.returncode, 0, asked.stderr[-2000:])
        kept = json.loads(asked.stdout[asked.stdout.index("{"):])
        self.assertGreater(len(kept), 20)
        self.assertEqual({}, {model: names for model, names in kept.items() if names != ["tool_choice", "tools"]})
