#!/usr/bin/env python3
"""Writes the names that a LiteLLM knows to src/format/litellm/names.txt, the table that `gwinstall validate` judges a configuration by.

    LITELLM_LOCAL_MODEL_COST_MAP=True VENV/bin/python dist/litellm_names.py [--check]

Run it with the Python of a LiteLLM; which version that is stands in the table. Every name is taken from that LiteLLM: its own functions
are asked which providers, bare model names and values it takes, and its source which keys it reads. With --check nothing is written; the
exit status is 1 if the table differs. Nothing is fetched from the network.
"""

import ast
import builtins
import functools
import importlib.metadata
import json
import logging
import os
import pathlib
import re
import sys
import textwrap
import typing

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS"] = "True"

import litellm  # noqa: E402
import yaml  # noqa: E402
from litellm.llms.openai_like.json_loader import JSONProviderRegistry  # noqa: E402
from litellm.types.router import Deployment, LiteLLM_Params, ModelInfo  # noqa: E402

TABLE = pathlib.Path(__file__).resolve().parent.parent / "src/format/litellm/names.txt"
SOURCE = pathlib.Path(litellm.__file__).parent
# Values of each kind that YAML knows. A kind is refused where LiteLLM refuses every value of it.
KINDS = {
    "text": ["abc", "https://example.com/v1", "true", "2024-06-01", "2024-06-01T00:00:00Z"], "digits": ["60", "1"], "whole": [60, 1, 0],
    "fraction": [1.5], "truth": [True], "date": [yaml.safe_load("2024-06-01")], "list": [[], ["a"], [1], [{"a": "b"}]],
    "mapping": [{}, {"a": "b"}, {"a": 1}],
}
litellm.suppress_debug_info = True
logging.disable(logging.CRITICAL)


def texts(node):
    """The string constants of an expression."""
    return [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def is_named(node, names):
    while isinstance(node, ast.BoolOp):
        node = node.values[0]
    return getattr(node, "id", getattr(node, "attr", None)) in names


@functools.cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def trees(*patterns):
    return (parsed(path) for pattern in patterns for path in sorted(SOURCE.glob(pattern)))


def keys_read(names, *patterns):
    """The keys that the source reads from a mapping of one of these names: X.get("key"), X["key"], "key" in X."""
    found = set()
    for tree in trees(*patterns):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                if node.func.attr in {"get", "pop", "setdefault"} and is_named(node.func.value, names):
                    found.update(texts(node.args[0]))
            elif isinstance(node, ast.Subscript) and is_named(node.value, names):
                found.update(texts(node.slice))
            elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In) and is_named(node.comparators[0], names):
                found.update(texts(node.left))
    return {key for key in found if key.replace("-", "_").isidentifier()}


def compared(names, *patterns):
    """The constants that a variable of one of these names is compared with."""
    found = set()
    for tree in trees(*patterns):
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Eq, ast.In)) and is_named(node.left, names):
                found.update(texts(node.comparators[0]))
    return found


def resolves(model):
    try:
        return litellm.get_llm_provider(model=model)[1] in providers()
    except litellm.BadRequestError:
        return False


def rules():
    """The patterns by which LiteLLM finds the provider of a bare name that its map does not have."""
    text = (SOURCE / "model_prices_and_context_window_backup.json").read_text(encoding="utf-8")
    found = json.loads(text)["fallback_generalizations"]["rules"]
    return [rule["pattern"] for rule in found if "litellm_provider" in rule["model_info"]]


def bare_names(known):
    """Names that LiteLLM takes without a provider in front of them, apart from those that a rule covers."""
    candidates = set(litellm.model_cost)
    for value in vars(litellm).values():
        if isinstance(value, (list, set, frozenset)):
            candidates.update(item for item in value if isinstance(item, str))
    bare = {name for name in candidates if name and name.split("/")[0] not in known and not re.search(r"\s", name)}
    return {name for name in bare if not any(re.search(rule, name) for rule in rules()) and resolves(name)}


def providers():
    return {str(getattr(name, "value", name)) for name in litellm.provider_list} | set(JSONProviderRegistry.list_providers())


def callbacks():
    generic = json.loads((SOURCE / "integrations/generic_api/generic_api_compatible_callbacks.json").read_text(encoding="utf-8"))
    named = compared({"callback", "integration_name"}, "litellm_core_utils/litellm_logging.py", "proxy/common_utils/callback_utils.py")
    return {name for name in named if re.fullmatch(r"[a-z][a-z0-9_]+", name)} | set(litellm._known_custom_logger_compatible_callbacks) | set(generic)


def settings():
    """What can be set on the library and is read from it."""
    plain = (bool, int, float, str, list, dict, type(None))
    own = {name for name, value in vars(litellm).items() if isinstance(value, plain) and not name.startswith("_") and name not in ("annotations",)}
    annotated = {name for name in getattr(litellm, "__annotations__", {}) if not name.startswith("_")}
    read = keys_read({"litellm_settings", "_litellm_settings"}, "proxy/**/*.py") | compared({"key"}, "proxy/proxy_server.py")
    for tree in trees("**/*.py"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"getattr", "hasattr"} and is_named(node.args[0], {"litellm"}):
                read.update(texts(node.args[1]))
    return {name for name in own | annotated | read if name.islower() and not name.endswith("_models") and name not in vars(builtins)}


def general():
    from litellm.proxy._types import ConfigGeneralSettings

    return set(ConfigGeneralSettings.model_fields) | keys_read({"general_settings", "_general_settings", "typed_general_settings", "proxy_general_settings", "resolved_general_settings"}, "proxy/**/*.py")


def router():
    from litellm.proxy.proxy_server import ROUTER_SETTINGS_MANAGED_OUTSIDE_CONFIG

    return set(litellm.Router.get_valid_args()) - set(ROUTER_SETTINGS_MANAGED_OUTSIDE_CONFIG) - {"self", "model_list"}


def params():
    """Parameters that LiteLLM itself takes; it passes any other on to the provider."""
    from litellm.types.utils import all_litellm_params

    own = set(LiteLLM_Params.model_fields) | set(all_litellm_params) | set(litellm.OPENAI_CHAT_COMPLETION_PARAMS)
    return {name for name in own if not name.startswith("_")}


def provider_params():
    """Parameters that the code for a provider reads."""
    mappings = {"litellm_params", "optional_params", "kwargs", "non_default_params", "inference_params"}
    read = keys_read(mappings, "*.py", *(f"{part.name}/**/*.py" for part in SOURCE.iterdir() if part.is_dir() and part.name != "proxy"))
    return {name for name in read - params() if not name.startswith("_") and "cost" not in name}


def accepts(make, value):
    try:
        make(value)
    except Exception:
        return False
    return True


def choices(annotation):
    """The values that a type spells out."""
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    return [choice for part in typing.get_args(annotation) for choice in choices(part)]


def refused(fields, make):
    """For each set of kinds of which LiteLLM takes no value, the fields."""
    groups = {}
    for name in sorted(fields):
        spelled = choices(fields[name].annotation)
        takes = lambda kind: any(accepts(lambda value: make(name, value), value) for value in KINDS[kind] + spelled * (kind == "text"))
        wrong = [kind for kind in KINDS if not takes(kind)]
        if 0 < len(wrong) < len(KINDS):
            groups.setdefault(" ".join(wrong), []).append(name)
    return "\n".join(textwrap.fill(f"{kinds}: {' '.join(names)}", 118, subsequent_indent=" ", break_on_hyphens=False) for kinds, names in groups.items())


def refused_params():
    def make(field, value):
        params = LiteLLM_Params.model_validate({"model": "openai/a", field: value})
        Deployment(model_name="a", litellm_params=params, model_info={"id": "a"})

    return refused({name: field for name, field in LiteLLM_Params.model_fields.items() if name not in {"model", "model_info"}}, make)


def refused_info():
    return refused(ModelInfo.model_fields, lambda field, value: ModelInfo(**{"id": "a", field: value}))


def words(names):
    return textwrap.fill(" ".join(sorted(names)), 118, break_long_words=False, break_on_hyphens=False)


def table():
    known = providers()
    version = importlib.metadata.version("litellm")
    sections = {
        "providers": words(known), "callbacks": words(callbacks()), "bare-names": words(bare_names(known)), "rules": "\n".join(rules()),
        "endpoints": words(litellm.openai_compatible_endpoints), "router_settings": words(router()), "litellm_settings": words(settings()),
        "general_settings": words(general()), "litellm_params": words(params()),
        "provider_params": words(provider_params()), "refused-params": refused_params(), "refused-info": refused_info(),
    }
    head = f"# The names that a LiteLLM knows. Made by dist/litellm_names.py; do not edit.\nversion {version}\n"
    return head + "".join(f"\n[{name}]\n{body}\n" for name, body in sections.items())


def main(arguments):
    made = table()
    if arguments == ["--check"]:
        same = TABLE.read_text(encoding="utf-8") == made
        print(f"{TABLE.name} {'is' if same else 'is not'} what this LiteLLM gives")
        return 0 if same else 1
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    TABLE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
