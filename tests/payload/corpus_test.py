"""The recording of what LiteLLM does with the corpus, and the table of the names that it knows, against the real LiteLLM.

Needs LITELLM_VENV; without it the tests are skipped and say so. Nothing is fetched from the network.
"""
import json
import os
import pathlib
import subprocess
import unittest

VENV = os.environ.get("LITELLM_VENV", "")
PYTHON = pathlib.Path(VENV) / "bin/python"
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ENV = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"}


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
