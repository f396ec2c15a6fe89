#!/usr/bin/env python3
"""Converts an older LiteLLM configuration: fixes keys that LiteLLM ignores, values that it does not expand, and retired routes.

It edits the text in place, so comments and order stay. It parses and compares the result before it writes. Without --write it only
shows the changes.

  ${VAR}, $VAR as a whole value           os.environ/VAR
  os.environ/VERTEX_PROJECT and the like  os.environ/VERTEXAI_PROJECT, …_LOCATION (the names that LiteLLM knows)
  retired or misspelt routes              the route that is served
  enable_pre_call_check                   enable_pre_call_checks
  an alias with a list                    its first model
  litellm_settings.master_key             general_settings.master_key

exit status: 0 nothing to do, or written; 3 there are changes to write; 1 failed; 2 wrong usage
"""
import argparse
import difflib
import os
import pathlib
import re
import sys
import tempfile

sys.dont_write_bytecode = True
import gateway_files as gateway

ROUTES = {
    "vertex_ai/codestral@latest": "vertex_ai/codestral-2",
    "vertex_ai/codestral-2501": "vertex_ai/codestral-2",
    "vertex_ai/meta/llama3-405b-instruct-maas": "vertex_ai/meta/llama-3.1-405b-instruct-maas",
}
VARIABLES = {"VERTEX_PROJECT": "VERTEXAI_PROJECT", "VERTEX_AI_PROJECT": "VERTEXAI_PROJECT", "VERTEX_PROJECT_ID": "VERTEXAI_PROJECT",
             "VERTEX_LOCATION": "VERTEXAI_LOCATION", "VERTEX_AI_LOCATION": "VERTEXAI_LOCATION"}
KEYS = {"enable_pre_call_check": "enable_pre_call_checks"}
GONE = re.compile(r"claude-(3|3-5|3-7)-|claude-2|gemini-1\.5|gemini-2\.0")


class Migration:
    """Collects (start, end, new text) for one file, and the changes that the user must make by hand."""

    def __init__(self, text):
        self.text, self.edits, self.by_hand, self.why = text, [], [], []
        module = gateway.yaml()
        self.nodes = module.nodes
        self.root = module.compose(text, Loader=module.SafeLoader)
        if not isinstance(self.root, self.nodes.MappingNode):
            raise gateway.Problem("the file is not a mapping of sections")
        self.walk(self.root, None, set())
        self.aliases()
        self.master_key()

    def replace(self, node, new, why):
        self.edits.append((node.start_mark.index, node.end_mark.index, new))
        self.why.append((node.start_mark.line + 1, why))

    def walk(self, node, name, seen):
        if id(node) in seen:
            return
        seen.add(id(node))
        if isinstance(node, self.nodes.MappingNode):
            for key, value in node.value:
                if key.value in KEYS:
                    self.replace(key, KEYS[key.value], f"{key.value} is spelled {KEYS[key.value]}")
                self.walk(value, key.value, seen)
        elif isinstance(node, self.nodes.SequenceNode):
            for value in node.value:
                self.walk(value, name, seen)
        elif node.tag == "tag:yaml.org,2002:str":
            self.scalar(node, name)

    def scalar(self, node, name):
        text = node.value
        whole = re.fullmatch(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?", text)
        reference = gateway.REFERENCE.fullmatch(text)
        variable = whole.group(1) if whole else reference.group(1) if reference else None
        if variable and (whole or variable in VARIABLES):
            new = VARIABLES.get(variable, variable)
            self.replace(node, f"os.environ/{new}", f"{variable} is read from the environment as {new}")
        elif re.search(r"\$\{[A-Za-z_]", text):
            self.by_hand.append((node.start_mark.line + 1, "a variable inside a longer text: put the whole text into gateway/.env and write os.environ/NAME"))
        elif name == "model" and text in ROUTES:
            self.replace(node, ROUTES[text], f"the route {text} is gone")
        elif name == "model" and GONE.search(text):
            self.by_hand.append((node.start_mark.line + 1, f"{text} is no longer served: choose another with `gwinstall models list`"))

    def section(self, name):
        return next(((k, v) for k, v in self.root.value if k.value == name), (None, None))

    def aliases(self):
        _, router = self.section("router_settings")
        for key, value in router.value if isinstance(router, self.nodes.MappingNode) else []:
            if key.value != "model_group_alias" or not isinstance(value, self.nodes.MappingNode):
                continue
            for name, target in value.value:
                if isinstance(target, self.nodes.SequenceNode) and target.value:
                    if target.flow_style:
                        self.replace(target, target.value[0].value, f"the alias {name.value} names one model")
                    else:
                        self.by_hand.append((target.start_mark.line + 1, f"the alias {name.value} must name one model"))

    def master_key(self):
        _, settings = self.section("litellm_settings")
        _, general = self.section("general_settings")
        pairs = settings.value if isinstance(settings, self.nodes.MappingNode) else []
        found = next(((k, v) for k, v in pairs if k.value == "master_key"), None)
        if not found:
            return
        key, value = found
        if settings.flow_style or len(pairs) == 1 or not isinstance(value, self.nodes.ScalarNode):
            self.by_hand.append((key.start_mark.line + 1, "master_key belongs under general_settings: move it"))
            return
        begin = self.text.rfind("\n", 0, key.start_mark.index) + 1
        end = self.text.find("\n", value.end_mark.index)
        end = len(self.text) if end < 0 else end + 1
        self.edits = [edit for edit in self.edits if not begin <= edit[0] < end] + [(begin, end, "")]
        self.why.append((key.start_mark.line + 1, "master_key is read under general_settings only"))
        if isinstance(general, self.nodes.MappingNode) and any(k.value == "master_key" for k, _ in general.value):
            return
        line = "  master_key: os.environ/LITELLM_MASTER_KEY\n"
        if isinstance(general, self.nodes.MappingNode) and not general.flow_style and general.value:
            first = general.value[0][0]
            at = self.text.rfind("\n", 0, first.start_mark.index) + 1
            self.edits.append((at, at, " " * first.start_mark.column + line.lstrip()))
        elif general is None:
            tail = "" if self.text.endswith("\n") else "\n"
            self.edits.append((len(self.text), len(self.text), f"{tail}\ngeneral_settings:\n{line}"))
        else:
            self.by_hand.append((key.start_mark.line + 1, "write general_settings.master_key: os.environ/LITELLM_MASTER_KEY"))

    def result(self):
        text = self.text
        for begin, end, new in sorted(self.edits, reverse=True):
            text = text[:begin] + new + text[end:]
        return text


def write(path, text):
    """Keeps the old file beside the new one; writes the new one whole or not at all."""
    kept = path.with_name(path.name + ".before-migration")
    if kept.exists():
        raise gateway.Problem(f"{kept} exists from an earlier migration", f"mv '{kept}' '{kept}.old'")
    mode = path.stat().st_mode & 0o777
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as draft:
        draft.write(text)
        draft.flush()
        os.fsync(draft.fileno())
    os.chmod(draft.name, mode)
    os.link(path, kept)
    os.replace(draft.name, path)
    return kept


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=pathlib.Path, default=gateway.HERE / "config/litellm.yaml")
    parser.add_argument("--write", action="store_true", help="write the changes; the old file is kept as FILE.before-migration")
    options = parser.parse_args()
    path = options.file.resolve()
    before = gateway.read_text(path)
    gateway.load_config(path)
    migration = Migration(before)
    after = migration.result()
    module = gateway.yaml()
    try:
        sections = module.safe_load(after)
    except module.YAMLError as error:
        raise gateway.Problem(f"the changed file is not valid YAML, nothing was written: {str(error).splitlines()[0]}") from None
    if set(sections) - set(module.safe_load(before)) - {"general_settings"}:
        raise gateway.Problem("the changes would add a section, nothing was written")
    for line, what in sorted(migration.by_hand):
        print(f"{path}:{line}: by hand: {what}", file=sys.stderr)
    if after == before:
        print("nothing to change" if not migration.by_hand else "change the rest by hand")
        return gateway.EXIT_FAILED if migration.by_hand else gateway.EXIT_OK
    if not options.write:
        sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), after.splitlines(True), str(path), f"{path} (new)"))
        for line, what in sorted(migration.why):
            print(f"line {line}: {what}", file=sys.stderr)
        return 3
    kept = write(path, after)
    print(f"wrote {path}; the old file is {kept}")
    return gateway.EXIT_OK


if __name__ == "__main__":
    gateway.run(main)
