"""`gwinstall models test` through the real LiteLLM: two capable providers behind a fake internet pass, and a model whose tools LiteLLM
drops is found.

Needs LITELLM_VENV and GWINSTALL_BIN; without them the test is skipped and says so. Only the loopback address is used.
"""
import json
import os
import pathlib
import re
import sys
import tempfile
import unittest

VENV, BIN = os.environ.get("LITELLM_VENV", ""), os.environ.get("GWINSTALL_BIN", "")
NEEDED = unittest.skipUnless(BIN and (pathlib.Path(VENV) / "bin/litellm").exists(), "GWINSTALL_BIN and LITELLM_VENV are not set")
NEEDLES = re.compile(r"code word ([a-z]+-[0-9]+)")
# The shipped entry without the line that keeps the tools of this model.
DROPPED = """  - model_name: codestral-without-tools
    litellm_params:
      model: vertex_ai/codestral-2
      vertex_project: os.environ/VERTEXAI_PROJECT
      vertex_location: us-central1
"""


def reply(text, tools, image, results):
    """What a capable model says: (words, paths of the files that it reads through its tool)."""
    if tools and not results:
        return "", ["notes.txt", "todo.txt"] if "todo.txt" in text else ["notes.txt"]
    return ("Red." if image else " ".join(NEEDLES.findall(results or text)) or "Ok."), []


class Provider:
    """Google's own models and a chat model at Google, in their own formats. `signed`: the signatures that came back with the thoughts
    of the last turn."""

    def __init__(self, others):
        self.others, self.signed = others, []

    def answer(self, host, path, asked):
        if "count" in path:
            tokens = len(json.dumps(asked)) // 4
            return as_json({"totalTokens": tokens, "input_tokens": tokens})
        if "enerateContent" in path:
            return self.google(path, asked)
        if "awPredict" in path:
            return self.chat(asked)
        return self.others(host, path, asked)

    def google(self, path, asked):
        parts = asked["contents"][-1]["parts"]
        results = json.dumps([part for part in parts if "function_response" in part or "functionResponse" in part])
        text = " ".join(part.get("text", "") for part in parts)
        image = any("inline_data" in part for part in parts)
        words, files = reply(text, asked.get("tools"), image, results if results != "[]" else "")
        self.signed += [part["thoughtSignature"] for content in asked["contents"][:-1] for part in content["parts"] if "thoughtSignature" in part]
        thinks = asked.get("generationConfig", {}).get("thinkingConfig", {}).get("includeThoughts")
        parts = [{"text": "97 is a prime.", "thought": True}] if thinks else []
        parts += [{"text": words}] if words else []
        parts += [{"functionCall": {"name": "read_file", "args": {"path": file}}, "thoughtSignature": "c2lnbmVk"} for file in files]
        usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
        whole = {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}], "usageMetadata": usage}
        if "stream" in path:
            return "text/event-stream", f"data: {json.dumps(whole)}\r\n\r\n"
        return as_json(whole)

    def chat(self, asked):
        last = asked["messages"][-1]
        text = json.dumps(last["content"])
        words, files = reply(text, asked.get("tools"), False, text if last["role"] == "tool" else "")
        calls = [{"index": at, "id": f"call{at:05}", "type": "function", "function": {"name": "read_file", "arguments": json.dumps({"path": file})}}
                 for at, file in enumerate(files)]
        said = {"role": "assistant", "content": words} | ({"tool_calls": calls} if calls else {})
        usage, reason = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, "tool_calls" if calls else "stop"
        head = {"id": "c", "created": 1, "model": "m"}
        if not asked.get("stream"):
            return as_json(head | {"object": "chat.completion", "usage": usage, "choices": [{"index": 0, "message": said, "finish_reason": reason}]})
        pieces = [{"delta": said, "finish_reason": None}, {"delta": {}, "finish_reason": reason}]
        chunks = [head | {"object": "chat.completion.chunk", "choices": [{"index": 0} | piece]} for piece in pieces]
        return "text/event-stream", "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def as_json(value):
    return "application/json", json.dumps(value)


@NEEDED
class Exam(unittest.TestCase):
    maxDiff = 4000

    def test_two_capable_models_pass_and_one_whose_tools_litellm_drops_is_found(self):
        # Its certificates need a package of the environment of LiteLLM.
        sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "real"))
        import unit
        unit.MODELS = "gemini-3.5-flash,codestral"
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        place = unit.Unit(folder.name)
        self.addCleanup(place.close)
        provider = Provider(place.internet.answer)
        place.internet.answer = provider.answer
        place.install()
        config = place.gateway / "config/litellm.yaml"
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace("model_list:\n", "model_list:\n" + DROPPED, 1), encoding="utf-8")
        place.gwinstall("start")
        run = place.gwinstall("--json", "models", "test", "--long", "--yes", "gemini-3.5-flash", "codestral", "codestral-without-tools", code=1)
        self.assertNotIn(place.key(), run.stdout + run.stderr)
        cards = {card["model"]: card for card in json.loads(run.stdout)["data"]["models"]}
        outcomes = {name: {asked["question"]: asked["outcome"] for asked in card["questions"]} for name, card in cards.items()}
        every = {asked["question"] for asked in cards["codestral"]["questions"]}
        self.assertEqual(outcomes["gemini-3.5-flash"], dict.fromkeys(every, "ok"), run.stdout)
        # A model that does not think, and of which LiteLLM knows no images.
        self.assertEqual(outcomes["codestral"], dict.fromkeys(every, "ok") | {"thinking": "not-asked", "image": "not-asked"}, run.stdout)
        self.assertEqual(outcomes["codestral-without-tools"]["tool-call"], "failed", run.stdout)
        self.assertEqual({name: card["usable"] for name, card in cards.items()},
                         {"gemini-3.5-flash": True, "codestral": True, "codestral-without-tools": False})
        self.assertIn("c2lnbmVk", provider.signed, "the signature of a thought came back with it")


if __name__ == "__main__":
    unittest.main()
