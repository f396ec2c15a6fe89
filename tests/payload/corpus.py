#!/usr/bin/env python3
"""What the real LiteLLM does with each configuration of the corpus: which models it serves and drops, which files it refuses.

    VENV/bin/python tests/payload/corpus.py > tests/fixtures/corpus.json

Run it with the Python of a LiteLLM. LiteLLM is loaded once; each configuration is read by its ProxyConfig in a process forked from that, with
an environment of its own in which every variable of a reference is set, except those whose name begins with UNSET_. Nothing is fetched from
the network. The validator's own verdicts are held against the recording by tests/format/litellm.rs.
"""

import asyncio
import importlib.metadata
import json
import os
import pathlib
import re
import signal
import sys
import tempfile

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
# Seconds for one configuration: most take a fifth of one.
PATIENCE = 60
AT_ONCE = 4
FILES = ("judged.yaml", "corpus.yaml")
# What configurations of the corpus name as their own code.
HANDLER = """
from litellm import CustomLLM
from litellm.integrations.custom_logger import CustomLogger

my_llm = CustomLLM()
a_logger = CustomLogger()


async def a_check(request, api_key):
    return api_key
"""


def documents():
    for file in FILES:
        for text in (FIXTURES / file).read_text(encoding="utf-8").split("\n---\n")[1:]:
            yield text.splitlines()[0].removeprefix("# "), text


def loaded(text):
    """What ProxyConfig makes of a text: the models that it serves, or why it refuses."""
    import yaml
    from litellm.proxy.proxy_server import ProxyConfig

    with tempfile.TemporaryDirectory() as place:
        path = pathlib.Path(place, "litellm.yaml")
        path.write_text(text, encoding="utf-8")
        path.with_name("handler.py").write_text(HANDLER, encoding="utf-8")
        try:
            router, _, _ = asyncio.run(ProxyConfig().load_config(router=None, config_file_path=str(path)))
        except Exception as error:
            return {"refused": f"{type(error).__name__}: {error}".splitlines()[0][:160].replace(place, "…")}
    served = [model["model_name"] for model in router.model_list] if router else []
    named = [model["model_name"] for model in yaml.safe_load(text).get("model_list") or []]
    dropped = list(named)
    for name in served:
        if name in dropped:
            dropped.remove(name)
    return {"served": len(served), "dropped": dropped}


def begin(text):
    """Starts `loaded` in a process of its own: its number, and where its answer can be read."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    os.close(reader)
    signal.alarm(PATIENCE)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    names = re.findall(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)", text)
    os.environ.update({name: f"sk-value-of-{name}" for name in names if not name.startswith("UNSET_")})
    with os.fdopen(writer, "w") as answer:
        json.dump(loaded(text), answer)
    os._exit(0)


def end(name, child, reader):
    with os.fdopen(reader) as answer:
        said = answer.read()
    _, status = os.waitpid(child, 0)
    if not said:
        raise SystemExit(f"LiteLLM gave no verdict on {name} in {PATIENCE} seconds (status {status})")
    return json.loads(said)


def verdicts():
    """Several at once: what takes long is mostly waiting."""
    waiting = []
    for name, text in documents():
        waiting.append((name, *begin(text)))
        if len(waiting) == AT_ONCE:
            first = waiting.pop(0)
            yield first[0], end(*first)
    for first in waiting:
        yield first[0], end(*first)


def record():
    for name in [name for name in os.environ if name not in {"PATH", "HOME", "LANG"}]:
        del os.environ[name]
    os.environ.update({"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True"})
    import litellm.proxy.proxy_server  # noqa: F401

    return {"litellm": importlib.metadata.version("litellm"), "configurations": dict(verdicts())}


if __name__ == "__main__":
    made = record()
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(verdict, ensure_ascii=False)}" for name, verdict in made["configurations"].items())
    print(f'{{"litellm": {json.dumps(made["litellm"])}, "configurations": {{\n{lines}\n}}}}', flush=True)
