"""The files of the payload as data: catalog, fragments, templates. D-027 … D-082, P-060 … P-084, P-101 … P-110."""
import json
import pathlib
import re
import shutil
import subprocess
import unittest

import yaml

import assemble
from fakes import EMBEDDED, SHELLS, shell_scripts, by

CATALOG = assemble.catalog()
TEMPLATES = EMBEDDED / "templates"
SEED_MODELS = ["gemini-2.5-flash", "gemini-2.5-pro", "deepseek-r1", "llama3-405b", "codestral", "qwen3-coder-480b", "qwen3-235b", "gpt-oss-20b"]


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def references(text):
    return set(re.findall(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)", text))


# Modules of the image in which a program runs.
OF_THE_IMAGE = {"lambda-start.py": ("boto3",)}


# What other scripts read in, and nobody runs.
LIBRARIES = ("gateway_files.py", "troubleshooting-utils.sh", "read-values.sh", "instances.sh", "history.sh", "database.sh", "storage.sh")


class Catalog(unittest.TestCase):
    def test_every_file_is_listed_and_every_listed_file_exists(self):
        listed = [entry["path"] for entry in CATALOG["files"]]
        there = {str(p.relative_to(EMBEDDED)) for p in EMBEDDED.rglob("*") if p.is_file() and "__pycache__" not in p.parts} - {"catalog.yaml"}
        self.assertEqual(len(listed), len(set(listed)), "a path is listed twice")
        self.assertEqual(there - set(listed), set(), "not in the catalog")
        self.assertEqual(set(listed) - there, set(), "not in embedded/")

    def test_executables_begin_with_an_interpreter_and_nothing_else_does_what_they_do(self):
        for entry in CATALOG["files"]:
            path = EMBEDDED / entry["path"]
            if path.suffix in (".sh", ".py"):
                first = path.read_text(encoding="utf-8").splitlines()[0]
                library = path.name in LIBRARIES
                self.assertEqual(entry.get("executable", False), not library, entry["path"])
                self.assertTrue(library or first in ("#!/bin/sh", "#!/usr/bin/env python3"), entry["path"])

    def test_classes_follow_the_folders(self):
        folders = {"runtime": "template", "templates": "template", "scripts": "script", "docs": "doc", "examples": "example", "tests": "test"}
        for entry in CATALOG["files"]:
            self.assertEqual(entry["class"], folders.get(entry["path"].split("/")[0], "script") if "/" in entry["path"] else "script")

    def test_presets_are_those_of_the_plan(self):
        presets = {p["name"]: p for p in CATALOG["presets"]}
        self.assertEqual(list(presets), ["basic", "enterprise", "multi-provider", "proxy", "direct"])
        self.assertEqual(presets["basic"]["default_models"], SEED_MODELS)
        self.assertEqual(presets["proxy"]["default_models"], SEED_MODELS)
        self.assertEqual(presets["enterprise"]["default_models"], [])
        self.assertLessEqual({"gemini-2.5-flash", "gemini-2.5-pro"}, set(presets["multi-provider"]["default_models"]))
        self.assertEqual([p["deploy_tests"] for p in presets.values()], [True, False, True, True, False])
        self.assertEqual(presets["basic"]["required_env_vars"], ["LITELLM_MASTER_KEY", "GOOGLE_APPLICATION_CREDENTIALS"])
        self.assertEqual(presets["enterprise"]["required_env_vars"], ["ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"])
        self.assertEqual(presets["multi-provider"]["required_env_vars"], ["LITELLM_MASTER_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "ANTHROPIC_API_KEY"])
        self.assertEqual(presets["proxy"]["required_env_vars"], ["LITELLM_MASTER_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "HTTPS_PROXY"])

    def test_every_name_that_is_referred_to_exists(self):
        models = {m["id"] for m in CATALOG["models"]}
        variables = {v["name"] for v in CATALOG["environment"]}
        files = {f["path"] for f in CATALOG["files"]}
        for preset in CATALOG["presets"]:
            self.assertLessEqual(set(preset["default_models"]), models)
            self.assertLessEqual(set(preset["required_env_vars"] + preset["optional_env_vars"]), variables)
            self.assertLessEqual({preset["template_file"], preset.get("base", preset["template_file"])}, files)
        for model in CATALOG["models"]:
            self.assertLessEqual(set(model.get("fallbacks", [])) | ({model["successor"]} if "successor" in model else set()), models)
            self.assertLessEqual(set(model["env"]), variables)
            self.assertIn(model["config_file"], files)

    def test_a_retired_model_has_a_successor_that_is_not_retired(self):
        by_id = {m["id"]: m for m in CATALOG["models"]}
        gone = [m for m in CATALOG["models"] if assemble.retired(CATALOG, m)]
        self.assertEqual(len(gone), 6)
        for model in gone:
            self.assertFalse(assemble.retired(CATALOG, by_id[model["successor"]]), model["id"])

    def test_ranks_are_unique_in_a_tier_and_every_preset_fills_every_tier(self):
        for tier in ("opus", "sonnet", "haiku"):
            ranks = [m["rank"] for m in CATALOG["models"] if m["tier"] == tier]
            self.assertEqual(len(ranks), len(set(ranks)), tier)
        for preset in CATALOG["presets"]:
            if preset.get("base"):
                self.assertEqual(len(assemble.tier_models(CATALOG, assemble.deployed(CATALOG, preset["default_models"]))), 3)

    def test_no_secret_has_a_default_and_names_are_unique(self):
        names = [v["name"] for v in CATALOG["environment"]]
        self.assertEqual(len(names), len(set(names)))
        for variable in CATALOG["environment"]:
            self.assertFalse(variable["secret"] and "default" in variable, variable["name"])


class Fragments(unittest.TestCase):
    def test_each_holds_one_entry_as_the_catalog_says(self):
        for model in CATALOG["models"]:
            path = EMBEDDED / model["config_file"]
            text = path.read_text(encoding="utf-8")
            value = yaml.safe_load(text)
            with self.subTest(model["id"]):
                self.assertEqual(list(value), ["model_list"])
                self.assertEqual(len(value["model_list"]), 1)
                entry = value["model_list"][0]
                self.assertEqual(entry["model_name"], model["id"])
                self.assertEqual(path.stem, model["id"])
                self.assertEqual(entry["litellm_params"]["model"], model["route"])
                self.assertEqual(references(text), set(model["env"]))
                if "location" in model:
                    self.assertEqual(entry["litellm_params"]["vertex_location"], model["location"])

    def test_all_have_the_shape_that_the_renderer_takes(self):
        for model in CATALOG["models"]:
            lines = (EMBEDDED / model["config_file"]).read_text(encoding="utf-8").splitlines()
            at = lines.index("model_list:")
            self.assertGreater(at, 0, "no comment")
            self.assertTrue(all(line.startswith("# ") for line in lines[:at]), model["id"])
            self.assertEqual(lines[at + 1], f"  - model_name: {model['id']}")
            self.assertTrue(all(line.startswith("    ") for line in lines[at + 2:]), model["id"])


class Templates(unittest.TestCase):
    def yaml_files(self):
        return sorted(EMBEDDED.rglob("*.yaml"))

    def test_every_yaml_parses_and_every_json_too(self):
        self.assertGreaterEqual(len(self.yaml_files()), 34)
        for path in self.yaml_files():
            self.assertIsInstance(load(path), dict, path)
        for path in EMBEDDED.rglob("*.json"):
            json.loads(path.read_text(encoding="utf-8"))

    def test_no_anchor_no_shell_variable_and_no_word_that_yaml_1_1_reads_otherwise(self):
        for path in self.yaml_files():
            for token in yaml.scan(path.read_text(encoding="utf-8")):
                self.assertNotIsInstance(token, (yaml.AnchorToken, yaml.AliasToken, yaml.TagToken), path)
                if isinstance(token, yaml.ScalarToken) and token.plain:
                    self.assertNotRegex(token.value, r"(?i)^(y|n|yes|no|on|off|0[0-7]+|[0-9]+:[0-9:]+)$", path)
                    if path.name != "catalog.yaml":
                        self.assertNotRegex(token.value, r"\$\{?[A-Za-z_]", path)
                        self.assertTrue("os.environ" not in token.value or re.fullmatch(r"os\.environ/[A-Z_0-9]+", token.value), path)

    def test_the_base_holds_each_marker_once(self):
        lines = (TEMPLATES / "litellm-base.yaml").read_text(encoding="utf-8").splitlines()
        for marker in ("model_list: [] # gwinstall:models", "  model_group_alias: {} # gwinstall:aliases", "  fallbacks: [] # gwinstall:fallbacks"):
            self.assertEqual(lines.count(marker), 1, marker)
        self.assertEqual(sum("# gwinstall:" in line for line in lines), 3)

    def test_the_complete_templates_equal_base_and_fragments(self):
        for preset, name in (("basic", "litellm-complete.yaml"), ("multi-provider", "multi-provider/multi-provider-config.yaml"),
                             ("proxy", "proxy/proxy-gateway-config.yaml")):
            chosen = assemble.preset(CATALOG, preset)["default_models"]
            self.assertEqual(load(TEMPLATES / name), yaml.safe_load(assemble.render(CATALOG, chosen)), name)

    def test_the_complete_template_holds_what_the_plan_says(self):
        value = load(TEMPLATES / "litellm-complete.yaml")
        names = [entry["model_name"] for entry in value["model_list"]]
        self.assertEqual(names[:8], SEED_MODELS)
        self.assertEqual(names[-5:], ["claude-haiku-*", "claude-sonnet-*", "claude-opus-*", "claude-fable-*", "claude-mythos-*"])
        self.assertEqual(set(names[8:-5]), {"gemini-3.5-flash-lite", "gemini-3.8-flash", "deepseek-v4.1-flash", "glm-5.2", "gpt-oss-120b"})
        self.assertEqual(value["router_settings"]["model_group_alias"],
                         {"claude-opus-5-5": "gemini-3.8-flash", "claude-sonnet-5-5": "gemini-3.8-flash", "claude-haiku-5-5": "gemini-3.5-flash-lite"})
        self.assertEqual(len(value["router_settings"]["fallbacks"]), 6)

    def test_any_choice_of_models_names_deployed_models_only(self):
        ids = [m["id"] for m in CATALOG["models"]]
        for chosen in [[i] for i in ids] + [[a, b] for a in ids for b in ids if a < b]:
            value = yaml.safe_load(assemble.render(CATALOG, chosen))
            names = {entry["model_name"] for entry in value["model_list"]}
            router = value["router_settings"]
            self.assertLessEqual(set(chosen), names)
            self.assertLessEqual(set(router["model_group_alias"].values()), names)
            self.assertFalse(set(router["model_group_alias"]) & names)
            for item in router["fallbacks"]:
                self.assertLessEqual(set(item) | set(*item.values()), names)

    def test_every_variable_of_a_template_is_in_the_catalog(self):
        known = {v["name"] for v in CATALOG["environment"]}
        for path in TEMPLATES.rglob("*.yaml"):
            used = references("\n".join(l for l in path.read_text(encoding="utf-8").splitlines() if not l.startswith("#")))
            self.assertLessEqual(used, known, path)


class Shell(unittest.TestCase):
    def test_shellcheck_finds_nothing(self):
        if not shutil.which("shellcheck"):
            self.skipTest("shellcheck is missing")
        done = subprocess.run(["shellcheck", "-x", *(EMBEDDED / s for s in shell_scripts())], capture_output=True, text=True)
        self.assertEqual(done.stdout, "")

    def test_every_shell_parses_every_script(self):
        for shell in SHELLS:
            for script in shell_scripts():
                self.assertEqual(subprocess.run([*by(shell), "-n", EMBEDDED / script]).returncode, 0, f"{shell} {script}")

    def test_markers_stand_on_lines_of_their_own(self):
        for name, marker in (("start-gateway.sh", "GATEWAY_PORT=4000 # gwinstall:port"),
                             ("scripts/print-gateway-key.sh", "KEY_NAME=LITELLM_MASTER_KEY # gwinstall:key-name")):
            self.assertEqual((EMBEDDED / name).read_text().splitlines().count(marker), 1, name)


class Python(unittest.TestCase):
    def test_only_the_standard_library_and_pyyaml(self):
        import sys
        for path in [p for p in EMBEDDED.rglob("*.py")]:
            for name in re.findall(r"^\s*(?:import|from) ([A-Za-z_0-9]+)", path.read_text(), re.M):
                self.assertTrue(name in sys.stdlib_module_names or name in ("yaml", "gateway_files", *OF_THE_IMAGE.get(path.name, ())), f"{path}: {name}")

    def test_paths_of_this_machine_are_in_no_file(self):
        here = str(pathlib.Path(__file__).resolve().parents[2])
        for path in EMBEDDED.rglob("*"):
            if path.is_file():
                self.assertNotIn(here, path.read_text(encoding="utf-8"), path)
