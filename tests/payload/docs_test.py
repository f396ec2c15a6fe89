#!/usr/bin/env python3
"""The guides under embedded/ against what they speak of.

Links and anchors lead somewhere in every preset; code blocks parse; commands use verbs and flags that exist; names of scripts,
templates, models, routes and variables are the catalog's; nothing known to be wrong is recommended; no table row stands twice.
Tables that are generated from the catalog are compared by tests/bundles/guides.rs.

usage: python3 tests/payload/docs_test.py        (needs PyYAML and bash)
GWINSTALL_BIN=PATH  also asks that binary's --help about each command and flag
A litellm beside this Python also judges each complete LiteLLM configuration in a guide.
"""
import functools
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

from fakes import Judge

ROOT = pathlib.Path(__file__).resolve().parents[2]
EMBEDDED = ROOT / "embedded"
CATALOG = yaml.safe_load((EMBEDDED / "catalog.yaml").read_text(encoding="utf-8"))

COMMON = "--json --quiet --color --lock-wait --yes --home --target-dir --verbose --plain --help --version"
REQUEST = ("--preset --provider --models --source-dir --bundle --embedded --gateway-type --gateway-url --port --auth-token --auth-token-file --proxy-url "
           "--venv --runtime-from --allow-unsafe-litellm --proxy --proxy-auth --dry-run --force --backup --start --include-secrets --strict --keep --max-age")
# The command line: words after `gwinstall`, its own flags, fewest and most operands.
COMMANDS = {
    "": ("", 0, 0),
    "install": (REQUEST, 0, 1),
    "update": ("--dry-run --force --source-dir --bundle --embedded --include-secrets --keep --max-age --strict", 0, 0),
    "rollback": ("--dry-run --force --identity --passphrase-file", 0, 1),
    "uninstall": ("--dry-run --force --purge", 0, 0),
    "off": ("--dry-run", 0, 0), "on": ("--dry-run --force", 0, 0),
    "use": ("--dry-run --force --models --gateway-url", 0, 1),
    "status": ("", 0, 0), "diff": ("", 0, 0),
    "verify": ("--explain", 0, 0), "validate": ("--strict", 0, 1),
    "doctor": ("--repair", 0, 0), "doctor net": ("", 0, 0),
    "history": ("--limit", 0, 0),
    "usage": ("--days --since --all --by --compare", 0, 0),
    "report": ("--html --force", 0, 0),
    "backup create": ("--include-secrets --encrypt --recipient --passphrase-file --keep --max-age", 0, 0), "backup list": ("", 0, 0), "backup verify": ("--identity --passphrase-file", 0, 1),
    "backup pin": ("", 1, 1), "backup unpin": ("", 1, 1), "backup prune": ("--keep --max-age --dry-run", 0, 0),
    "backup diff": ("--identity --passphrase-file", 1, 1), "backup export": ("--encrypt --recipient --passphrase-file", 2, 2),
    "backup import": ("--identity --passphrase-file", 1, 1),
    "resolve": ("--keep-mine --take-new", 0, 1),
    "models list": ("", 0, 0), "models add": ("--dry-run", 1, 9), "models remove": ("--dry-run", 1, 9), "models check": ("", 0, 9), "models test": ("--all --long", 0, 9),
    "presets list": ("", 0, 0), "presets show": ("", 1, 1),
    "env list": ("", 0, 0), "env check": ("", 0, 0), "env set": ("--check", 1, 1), "env unset": ("", 1, 1),
    "runtime install": ("--from --offline --python --dry-run", 0, 0), "runtime list": ("", 0, 0), "runtime remove": ("--dry-run", 0, 1),
    "runtime export": ("--python", 1, 1),
    "service install": ("--dry-run --force", 0, 0), "service remove": ("--dry-run", 0, 0), "service status": ("", 0, 0),
    "start": ("", 0, 0), "stop": ("--now", 0, 0), "restart": ("", 0, 0), "reload": ("", 0, 0), "logs": ("", 0, 0), "health": ("", 0, 0),
    "self-update": ("--check --version --channel --binary-only --bundle-only --from --allow-downgrade --rollback --list --dry-run "
                    "--keep-rejected --accept-below-floor --jitter --pin --unpin", 0, 0),
    "bundle inspect": ("", 1, 1), "bundle verify": ("", 1, 1),
    "config path": ("", 0, 1),
    "render": ("--out --values --environment --preset --models --check --diff --force --keep-mine --take-new --schema", 0, 1),
    "completions": ("--install", 0, 1), "man": ("", 0, 0),
}
TAKES_VALUE = set("--color --lock-wait --home --target-dir --preset --provider --models --source-dir --bundle --gateway-type --gateway-url --port --auth-token "
                  "--auth-token-file --proxy-url --proxy --proxy-auth --keep --max-age --limit --version --channel --from "
                  "--allow-downgrade --accept-below-floor --jitter --pin --venv --runtime-from --python --out --values --environment "
                  "--days --since --by --compare --html".split())
GROUPS = {words.split()[0] for words in COMMANDS if " " in words}

# What a guide must never say, and what is right.
WRONG = [
    (r"claude\s+(-p\s+)?['\"]?/status", "/status is interactive only: claude -p hi"),
    (r"litellm\[proxy\]", "install 'litellm[proxy,google]' and prisma"),
    (r"CHANGE[-_]ME", "a placeholder is a key that anyone can guess"),
    (r"=sk-\w{4}|Bearer sk-", "an example key gets used as a key"),
    (r"https?://localhost:4000", "127.0.0.1: localhost may be IPv6, and NO_PROXY compares text"),
    (r"pypi\.org|npmjs\.|registry\.", "name packages, not registries"),
    (r"ANTHROPIC_BASE_URL\S*[=:]\s*\S*/v1[\"\s]*$", "the base URL must not end in /v1"),
    (r"\bTODO\b|\bFIXME\b|\bTBD\b|lorem ipsum", "unfinished"),
    (r"/work/|/root/", "a path of the author's machine"),
    (r"0\.0\.0\.0.*(--host|-p )|--host\s+0\.0\.0\.0", "the gateway listens on loopback"),
    (r"usage-based-routing(?!-v2)", "the old strategy"),
    (r"enable_pre_call_check\b", "enable_pre_call_checks"),
]
# A guide may quote the wrong thing where it warns of it: file, the quoted text.
WARNED_OF = {
    ("docs/configuration-reference.md", "enable_pre_call_check"),
}
OLD_ROUTES = {"vertex_ai/codestral@latest", "vertex_ai/meta/llama3-405b-instruct-maas"}  # in "Ids that are often seen"
# Variables of Claude Code that a settings block may set; the gateway's are the catalog's.
CLIENT_VARIABLES = set("""
    ANTHROPIC_BASE_URL ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN ANTHROPIC_CUSTOM_HEADERS ANTHROPIC_MODEL ANTHROPIC_DEFAULT_FABLE_MODEL ANTHROPIC_DEFAULT_OPUS_MODEL
    ANTHROPIC_DEFAULT_SONNET_MODEL ANTHROPIC_DEFAULT_HAIKU_MODEL CLAUDE_CODE_SUBAGENT_MODEL CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY
    CLAUDE_CODE_MAX_CONTEXT_TOKENS CLAUDE_CODE_AUTO_COMPACT_WINDOW CLAUDE_CODE_MAX_OUTPUT_TOKENS CLAUDE_CODE_MAX_RETRIES
    CLAUDE_CODE_ALWAYS_ENABLE_EFFORT DISABLE_PROMPT_CACHING CLAUDE_CODE_SKIP_FAST_MODE_ORG_CHECK CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS
    CLAUDE_CODE_API_KEY_HELPER_TTL_MS CLAUDE_CODE_CLIENT_CERT CLAUDE_CODE_CLIENT_KEY CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC
    API_TIMEOUT_MS DISABLE_TELEMETRY DISABLE_AUTOUPDATER HTTPS_PROXY HTTP_PROXY NO_PROXY NODE_EXTRA_CA_CERTS
    CLAUDE_CODE_USE_VERTEX CLAUDE_CODE_SKIP_VERTEX_AUTH ANTHROPIC_VERTEX_BASE_URL ANTHROPIC_VERTEX_PROJECT_ID CLOUD_ML_REGION
    CLAUDE_CODE_USE_BEDROCK CLAUDE_CODE_SKIP_BEDROCK_AUTH ANTHROPIC_BEDROCK_BASE_URL AWS_REGION""".split())
LITELLM_TOP = {"model_list", "litellm_settings", "router_settings", "general_settings", "environment_variables"}
HELM_TOP = {"image", "masterkeySecretName", "masterkeySecretKey", "environmentSecrets", "envVars", "volumes", "volumeMounts", "db", "proxy_config"}
LONGEST_LINE = 150


# --- reading Markdown -----------------------------------------------------------------------------------------------------

class Guide:
    """One Markdown file, taken apart: prose lines, fenced blocks, headings, table rows."""

    def __init__(self, path, text):
        self.path, self.text = path, text
        self.prose, self.blocks, self.headings = [], [], []
        fence = None
        for number, line in enumerate(text.splitlines(), 1):
            if fence is None and (opened := re.match(r"^(`{3,})(\S*)\s*$", line)):
                fence, language, body, start = opened.group(1), opened.group(2), [], number
            elif fence is not None and line.rstrip() == fence:
                self.blocks.append((language, "\n".join(body) + "\n", start))
                fence = None
            elif fence is not None:
                body.append(line)
            else:
                self.prose.append((number, line))
                if heading := re.match(r"^(#+) (.+)$", line):
                    self.headings.append((len(heading.group(1)), heading.group(2), number))
        self.unclosed = fence is not None

    def anchors(self):
        found, seen = set(), {}
        for _, title, _ in self.headings:
            slug = slugify(title)
            count = seen.get(slug, 0)
            seen[slug] = count + 1
            found.add(slug if count == 0 else f"{slug}-{count}")
        return found

    def links(self):
        for number, line in self.prose:
            for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line)):
                yield number, target

    def inline_code(self):
        for number, line in self.prose:
            for code in re.findall(r"`([^`]+)`", line):
                yield number, code

    def rows(self):
        """Rows of tables, without their headings."""
        below = False
        for number, line in self.prose:
            if not line.startswith("|"):
                below = False
            elif re.match(r"^\|[\s:|-]+\|$", line):
                below = True
            elif below:
                yield number, [cell.strip() for cell in line.strip("|").split("|")]


def slugify(title):
    title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def guides():
    return {str(path.relative_to(EMBEDDED)): Guide(str(path.relative_to(EMBEDDED)), path.read_text(encoding="utf-8"))
            for path in sorted(EMBEDDED.rglob("*.md"))}


# --- the checks: each gives a list of what is wrong -----------------------------------------------------------------------

def deployed(name):
    preset = next(preset for preset in CATALOG["presets"] if preset["name"] == name)
    left_out = set() if "base" in preset else set(CATALOG["litellm_files"])
    return {entry["path"] for entry in CATALOG["files"]} - left_out


def link_problems(guide, all_guides, presets):
    for number, target in guide.links():
        if re.match(r"^[a-z]+:", target):
            if not target.startswith("https://"):
                yield f"{guide.path}:{number}: {target}: only https"
            continue
        file, _, anchor = target.partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(guide.path), file)) if file else guide.path
        for name, files in presets.items():
            if guide.path in files and path not in files:
                yield f"{guide.path}:{number}: {target}: not deployed with preset {name}"
        if anchor and anchor not in (all_guides[path].anchors() if path in all_guides else ()):
            yield f"{guide.path}:{number}: {target}: no such heading"


def shape_problems(guide):
    if guide.unclosed:
        yield f"{guide.path}: a code block is not closed"
    levels = [level for level, _, _ in guide.headings]
    if levels[:1] != [1] or levels.count(1) != 1:
        yield f"{guide.path}: exactly one title, at the top"
    for (before, _, _), (after, title, number) in zip(guide.headings, guide.headings[1:]):
        if after > before + 1:
            yield f"{guide.path}:{number}: {title}: a heading level is left out"
    for number, line in guide.prose:
        if len(line) > LONGEST_LINE and not line.startswith("|"):
            yield f"{guide.path}:{number}: {len(line)} characters"
    for number, line in enumerate(guide.text.splitlines(), 1):
        if line != line.rstrip() or "\t" in line:
            yield f"{guide.path}:{number}: a tab, or spaces at the end"
    columns = None
    for number, line in guide.prose:
        if not line.startswith("|"):
            columns = None
        else:
            cells = len(re.findall(r"(?<!\\)\|", re.sub(r"`[^`]*`", "", line)))
            columns = columns or cells
            if cells != columns:
                yield f"{guide.path}:{number}: {cells - 1} cells in a table of {columns - 1}"


def block_problems(guide):
    for language, body, number in guide.blocks:
        where = f"{guide.path}:{number}"
        if any(len(line) > LONGEST_LINE for line in body.splitlines()):
            yield f"{where}: a line of the block is too long"
        if language == "sh":
            checked = subprocess.run(["bash", "-n"], input=body, text=True, capture_output=True)
            if checked.returncode:
                yield f"{where}: bash: {checked.stderr.strip()}"
        elif language == "json":
            try:
                yield from settings_problems(json.loads(body), where)
            except ValueError as error:
                yield f"{where}: JSON: {error}"
        elif language == "yaml":
            try:
                yield from litellm_problems(yaml.safe_load(body), body, where)
            except yaml.YAMLError as error:
                yield f"{where}: YAML: {error}"
        elif language != "text":
            yield f"{where}: a block is sh, json, yaml or text, not {language!r}"


def settings_problems(value, where):
    """A JSON block of a guide is a part of settings.json."""
    if unknown := set(value) - {"env", "apiKeyHelper"}:
        yield f"{where}: {unknown} is no settings key of these guides"
    env = value.get("env", {})
    if unknown := set(env) - CLIENT_VARIABLES:
        yield f"{where}: Claude Code does not know {unknown}"
    if strange := [name for name, item in env.items() if not isinstance(item, str)]:
        yield f"{where}: {strange} must be strings"
    if env.get("ANTHROPIC_BASE_URL", "").rstrip("/").endswith("/v1"):
        yield f"{where}: the base URL must not end in /v1"
    if ("HTTPS_PROXY" in env or "HTTP_PROXY" in env) and "127.0.0.1" not in env.get("NO_PROXY", ""):
        yield f"{where}: a proxy without NO_PROXY for loopback"
    if env.get("ANTHROPIC_API_KEY") or re.search(r"sk-[A-Za-z0-9]{8}", json.dumps(value)):
        yield f"{where}: a key in settings.json"
    if "apiKeyHelper" in value and env.get("ANTHROPIC_AUTH_TOKEN"):
        yield f"{where}: two credentials"


def catalog_problems(value, where):
    """A YAML block with presets is a part of catalog.yaml."""
    fields = {field for preset in CATALOG["presets"] for field in preset}
    models, files, names = ({entry[key] for part in (CATALOG, value) for entry in part.get(section, [])}
                            for section, key in (("models", "id"), ("files", "path"), ("environment", "name")))
    model_fields = {field for model in CATALOG["models"] for field in model}
    for model in value.get("models", []):
        if wrong := set(model) - model_fields | set(model["env"]) - names | {model["config_file"]} - files:
            yield f"{where}: {wrong} is not right in a model"
    for preset in value["presets"]:
        wrong = set(preset) ^ fields | set(preset.get("default_models", [])) - models
        wrong |= {preset.get("template_file"), preset.get("base")} - files
        wrong |= set(preset.get("required_env_vars", []) + preset.get("optional_env_vars", [])) - names
        if wrong:
            yield f"{where}: {wrong} is not right in a preset"


@functools.cache
def own_presets():
    """The whole presets of one's own that the guides show; what these name is theirs and not the catalog's."""
    blocks = (body for guide in guides().values() for language, body, _ in guide.blocks if language == "yaml")
    return [yaml.safe_load(body) for body in blocks if body.startswith("schema: 1\npreset:")]


def own(section, key):
    return {entry[key] for preset in own_presets() for entry in preset.get(section, [])}


def litellm_problems(value, text, where):
    if "preset" in value:
        if unknown := set(value) - {"schema", "preset", "models", "environment", "files"}:
            yield f"{where}: preset.yaml has no {unknown}"
        value = {**value, "presets": [value["preset"]]}
    if "presets" in value:
        yield from catalog_problems(value, where)
        return
    if re.search(r"\$\{?\w", text):
        yield f"{where}: LiteLLM expands os.environ/NAME only"
    keys = set(value)
    if keys & HELM_TOP:
        if unknown := keys - HELM_TOP:
            yield f"{where}: unknown chart values {unknown}"
        yield from chart_problems(value, where)
        value, master = value["proxy_config"], "os.environ/PROXY_MASTER_KEY"
    else:
        master = "os.environ/LITELLM_MASTER_KEY"
    if unknown := set(value) - LITELLM_TOP:
        yield f"{where}: LiteLLM ignores {unknown}"
    if "general_settings" in value and value["general_settings"].get("master_key") != master:
        yield f"{where}: master_key is not {master}"
    routes = {model["route"] for model in CATALOG["models"]} | own("models", "route")
    for entry in value.get("model_list", []):
        if entry["litellm_params"]["model"] not in routes:
            yield f"{where}: {entry['litellm_params']['model']} is no route of the catalog"
    router = value.get("router_settings", {})
    for alias, target in router.get("model_group_alias", {}).items():
        if not isinstance(target, str):
            yield f"{where}: alias {alias} leads to more than one name"
    for key in ("fallbacks", "context_window_fallbacks"):
        if not isinstance(router.get(key, []), list):
            yield f"{where}: {key} is not a list"


def chart_problems(value, where):
    """A pod has what its configuration refers to: an exact image, Google's credential as a file of a mounted secret, other variables."""
    if not value.get("image", {}).get("tag"):
        yield f"{where}: the image has no tag"
    given, text = value.get("envVars", {}), json.dumps(value["proxy_config"])
    if '"vertex_ai/' in text:
        secrets = {volume["name"] for volume in value.get("volumes", []) if volume.get("secret", {}).get("secretName")}
        mounts = [mount["mountPath"] for mount in value.get("volumeMounts", []) if mount["name"] in secrets]
        if not any(given.get("GOOGLE_APPLICATION_CREDENTIALS", "").startswith(f"{mount}/") for mount in mounts):
            yield f"{where}: Vertex AI without a mounted credential"
    known = {"PROXY_MASTER_KEY", *given} | (set(re.findall(r"[A-Z_]*KEY[A-Z_]*", text)) if value.get("environmentSecrets") else set())
    if missing := set(re.findall(r"os\.environ/(\w+)", text)) - known:
        yield f"{where}: the pod has no {missing}"


def simple_commands(script):
    """The simple commands of a shell text, as lists of words; here-documents and redirections left out."""
    lines, marker = [], None
    for line in script.replace("\\\n", " ").splitlines():
        if marker is not None:
            marker = None if line.strip() == marker else marker
            continue
        if document := re.search(r"<<-?\s*['\"]?(\w+)", line):
            marker = document.group(1)
            line = line[:document.start()]
        lines.append(line)
    for line in lines:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
        lexer.whitespace_split = True
        words, skip = [], False
        for word in list(lexer) + [";"]:
            if skip:
                skip = False
            elif set(word) <= set("<>&") and set(word) & set("<>"):
                skip = True
            elif set(word) <= set("();|&"):
                if words:
                    yield words
                words = []
            else:
                words.append(word)


def gwinstall_uses(guide):
    for language, body, number in guide.blocks:
        if language == "sh":
            for words in simple_commands(body):
                while words and re.match(r"^\w+=", words[0]):
                    words = words[1:]
                if words and words[0] == "gwinstall":
                    yield number, words[1:]
    for number, code in guide.inline_code():
        if re.match(r"^gwinstall( |$)", code):
            for words in simple_commands(code):
                yield number, words[1:]


def command_of(words):
    """`backup list --json x` → ("backup list", [flags], [operands])."""
    name = words[0] if words and not words[0].startswith("-") else ""
    rest = words[1:] if name else words
    if name in GROUPS and rest and f"{name} {rest[0]}" in COMMANDS:
        name, rest = f"{name} {rest[0]}", rest[1:]
    flags, operands, value_of = [], [], None
    for word in rest:
        if value_of:
            flags[-1] = (value_of, word)
            value_of = None
        elif word.startswith("--"):
            flag, equals, value = word.partition("=")
            flags.append((flag, value))
            value_of = flag if flag in TAKES_VALUE and not equals else None
        else:
            operands.append(word)
    return name, flags, operands


def run_alone(binary, home, words):
    """A command as a guide has it, in a home of its own: nobody to answer, no release server, no LiteLLM."""
    home.mkdir(exist_ok=True)
    env = {"HOME": str(home), "PATH": "/usr/bin:/bin", "SHELL": "/bin/bash", "LANG": "C.UTF-8", "GWINSTALL_BASE_URL": "https://127.0.0.1:9"}
    # An export fetches the packages of LiteLLM.
    limit = 300 if list(words[:2]) == ["runtime", "export"] else 20
    try:
        return subprocess.run([binary, *words], env=env, cwd=home, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=limit)
    except subprocess.TimeoutExpired as waiting:
        # Only a command that follows a log has no end.
        return subprocess.CompletedProcess(waiting.args, 0 if {"-f", "--follow"} & set(words) else 124, "", "it does not end")


def run_problems(line, done):
    """What it may not say: that nobody may type it so. A file that is only a name in the guide, or a question, is no mistake."""
    mistakes = (r"there is no command", r"gwinstall [a-z -]+ (has no flag|does not expect|needs) ", r"^error: --?[a-z-]+ belongs after",
                r"^error: \S+ (needs a value|takes no value|cannot be)", r"is not a whole number", r"give the name alone", r"panicked")
    said = [word for word in mistakes if re.search(word, done.stderr, re.MULTILINE)]
    if said or not 0 <= done.returncode < 100:
        return [f"gwinstall {line}: exit {done.returncode}, {said}: {done.stderr.strip()[-300:]}"]
    return []


def command_problems(words, where):
    name, flags, operands = command_of(words)
    if name not in COMMANDS:
        return [f"{where}: gwinstall {name}: no such command"]
    own, fewest, most = COMMANDS[name]
    problems = [f"{where}: gwinstall {name} {flag}: no such flag" for flag, _ in flags if flag not in (own + " " + COMMON).split()]
    if not fewest <= len(operands) <= most:
        problems.append(f"{where}: gwinstall {name}: {len(operands)} operands")
    models = {model["id"] for model in CATALOG["models"]}
    # Any model of a provider can be added by its route, and a provider that Claude Code asks directly has names of its own.
    prefixes = {provider["prefix"] for provider in CATALOG["providers"]}
    named = [value for flag, value in flags if flag == "--models" and name != "use" for value in value.split(",")]
    named += operands if name.startswith("models ") else []
    problems += [f"{where}: {model} is no model" for model in named if model not in models and not model.isupper() and model.split("/")[0] not in prefixes
                 and ("/" not in model or name.startswith("models "))]
    chosen = {"--preset": {p["name"] for p in CATALOG["presets"]}, "--gateway-type": {t for p in CATALOG["presets"] for t in p["gateway_types"]}}
    own_bundle = "--source-dir" in dict(flags)
    problems += [f"{where}: {flag} {value}: the catalog has no such name" for flag, value in flags
                 if flag in chosen and value not in chosen[flag] and not value.isupper() and not own_bundle]
    known = {"install": chosen["--preset"] | {"PRESET"}, "config path": {"litellm", "env", "settings"},
             "env set": referenced_variables() | {"NAME"}, "presets show": chosen["--preset"]}
    problems += [f"{where}: {name} {operand}: the catalog has no such name" for operand in operands
                 if (operand.split("=")[0] if name == "env set" else operand) not in known.get(name, {operand})]
    return problems


def name_problems(guide):
    """Paths, routes and files that a guide names exist."""
    files = {entry["path"] for entry in CATALOG["files"]} | own("files", "path")
    for number, line in enumerate(guide.text.splitlines(), 1):
        # `config/` and others are made at installation; a name in our four directories is a file of the bundle.
        for path in re.findall(r"(?<![\w./-])(?:~/\.claude/gateway/)?((?:scripts|templates|tests|docs|examples)/[\w./-]*)", line):
            path = path.rstrip(".")
            if path not in files and not (path.endswith("/") and any(file.startswith(path) for file in files)):
                yield f"{guide.path}:{number}: {path} is not in the catalog"
        for route in re.findall(r"(?<![\w/.])((?:vertex_ai|anthropic|bedrock)/[\w.@/-]+)", line):
            if route not in {m["route"] for m in CATALOG["models"]} | OLD_ROUTES:
                yield f"{guide.path}:{number}: {route} is no route of the catalog"


def template_variables():
    """What the shipped configurations refer to."""
    return {name for path in EMBEDDED.rglob("*.yaml") for name in re.findall(r"os\.environ/([A-Z][A-Z0-9_]*[A-Z0-9])", path.read_text("utf-8"))
            if name != "NAME"}


def referenced_variables():
    """The first column of the tables of the reference."""
    guide = Guide("", (EMBEDDED / "templates/env-vars-reference.md").read_text(encoding="utf-8"))
    return {cells[0].strip("`") for _, cells in guide.rows()}


def wrong_problems(guide):
    for number, line in enumerate(guide.text.splitlines(), 1):
        for pattern, right in WRONG:
            if (found := re.search(pattern, line)) and (guide.path, found.group(0)) not in WARNED_OF:
                yield f"{guide.path}:{number}: {found.group(0)!r}: {right}"
    for language, body, number in guide.blocks:
        if "pip install" in body and not re.search(r"litellm\[proxy,google\]==\d+\.\d+\.\d+' prisma", body):
            yield f"{guide.path}:{number}: LiteLLM with the google extra, prisma and a pinned version"
        if re.search(r"^\s*litellm\b", body, re.M):
            yield f"{guide.path}:{number}: LiteLLM is started by the start script"
        if re.search(r"/health(\s|$|\")", body):
            yield f"{guide.path}:{number}: /health calls every model"
    for number, code in guide.inline_code():
        if "pip install" in code and "litellm" in code:
            yield f"{guide.path}:{number}: the way to install LiteLLM stands in a block"


def repeated_rows(all_guides):
    seen = {}
    for guide in all_guides.values():
        for number, cells in guide.rows():
            if len(cells) < 3 and len(" ".join(cells)) < 60:
                continue
            key = tuple(re.sub(r"\]\([^)]*\)", "]", cell).lower() for cell in cells)
            if key in seen and seen[key][0] != guide.path:
                yield f"{guide.path}:{number}: this table row already stands in {seen[key][0]}:{seen[key][1]}"
            seen.setdefault(key, (guide.path, number))


def unreachable(all_guides, start):
    reached, queue = set(), [start]
    while queue:
        path = queue.pop()
        if path in all_guides and path not in reached:
            reached.add(path)
            for _, target in all_guides[path].links():
                if file := target.partition("#")[0]:
                    queue.append(os.path.normpath(os.path.join(os.path.dirname(path), file)))
    return sorted(set(all_guides) - reached)


def script_uses(guide):
    """Shipped scripts and the flags that a guide gives them: in commands, and in table rows that begin with a script."""
    commands = [words for language, body, _ in guide.blocks if language == "sh" for words in simple_commands(body)]
    commands += [words for _, code in guide.inline_code() for words in (code.split(),)]
    for words in commands:
        if words and (script := re.search(r"(?:^|/)((?:scripts|tests)/[\w.-]+|(?:start|stop)-gateway\.sh)$", words[0])):
            yield script.group(1), {word for word in words[1:] if word.startswith("--")}
    for _, cells in guide.rows():
        if script := re.fullmatch(r"`(scripts/[\w.-]+)`", cells[0]):
            yield script.group(1), set(re.findall(r"`(--[a-z-]+)", " ".join(cells)))


def help_problems(name, flags, text):
    known = set(re.findall(r"--[a-z][a-z-]*", text))
    return [f"{name} --help does not name {flag}" for flag in sorted(flags) if flag not in known]


# --- the tests ------------------------------------------------------------------------------------------------------------

class TheGuides(unittest.TestCase):
    """P-063…P-064, P-076…P-077, P-084…P-105: the named guides exist and are true of this product."""

    @classmethod
    def setUpClass(cls):
        cls.guides = guides()

    def none(self, problems):
        problems = list(problems)
        self.assertEqual([], problems, "\n" + "\n".join(problems))

    def each(self, check):
        self.none(problem for guide in self.guides.values() for problem in check(guide))

    def test_the_catalog_names_exactly_these_guides(self):
        named = {entry["path"] for entry in CATALOG["files"] if entry["path"].endswith(".md")}
        self.assertEqual(named, set(self.guides))
        self.assertGreaterEqual(len(self.guides), 29)

    def test_links_lead_somewhere_in_every_preset(self):
        presets = {preset["name"]: deployed(preset["name"]) for preset in CATALOG["presets"]}
        self.each(lambda guide: link_problems(guide, self.guides, presets))

    def test_every_guide_is_reached_from_the_quick_start(self):
        self.assertEqual([], unreachable(self.guides, "examples/us1-quickstart-basic.md"))

    def test_shape(self):
        self.each(shape_problems)

    def test_blocks_parse(self):
        self.each(block_problems)

    def test_commands_exist(self):
        uses = [(guide, number, words) for guide in self.guides.values() for number, words in gwinstall_uses(guide)]
        self.assertGreater(len(uses), 200)
        self.none(p for guide, number, words in uses for p in command_problems(words, f"{guide.path}:{number}"))

    def test_names_exist(self):
        self.each(name_problems)

    def test_every_variable_of_a_template_stands_in_the_reference(self):
        self.assertIn("LITELLM_MASTER_KEY", template_variables())
        self.assertEqual(set(), template_variables() - referenced_variables())
        catalogued = {variable["name"] for variable in CATALOG["environment"]}
        # A bundle whose files are not all there is refused by the product; only a whole one can show that a name is unused.
        if all((EMBEDDED / entry["path"]).exists() for entry in CATALOG["files"] if entry["path"].endswith(".yaml")):
            self.assertEqual(set(), referenced_variables() - catalogued - template_variables(), "named, and used nowhere")

    def test_nothing_known_to_be_wrong(self):
        self.each(wrong_problems)

    def test_every_key_of_the_values_for_servers_is_explained(self):
        schema = json.loads((EMBEDDED.parent / "src/targets/schema.json").read_text())
        rows = [cells[0] for _, cells in self.guides["docs/servers.md"].rows()]
        named = {name for cell in rows for name in re.findall(r"`([a-z0-9_]+)`", cell)}
        self.assertGreater(len(schema["properties"]), 15)
        self.assertEqual(set(), set(schema["properties"]) - named)

    def test_no_table_row_stands_twice(self):
        self.none(repeated_rows(self.guides))

    def test_the_binary_knows_the_commands(self):
        binary = os.environ.get("GWINSTALL_BIN")
        if not binary:
            self.skipTest("GWINSTALL_BIN is not set: commands are held against the list of this file only")
        used = {}
        for guide in self.guides.values():
            for _, words in gwinstall_uses(guide):
                name, flags, _ = command_of(words)
                used.setdefault(name, set()).update(flag for flag, _ in flags)
        problems = []
        for name, flags in sorted(used.items()):
            asked = subprocess.run([binary, *name.split(), "--help"], text=True, capture_output=True, stdin=subprocess.DEVNULL)
            if asked.returncode:
                problems.append(f"gwinstall {name} --help ends with {asked.returncode}")
            else:
                problems += help_problems(f"gwinstall {name}", flags, asked.stdout)
        self.none(problems)

    def test_the_commands_run(self):
        binary = os.environ.get("GWINSTALL_BIN")
        if not binary:
            self.skipTest("GWINSTALL_BIN is not set: no command of a guide was run")
        lines = sorted({tuple(words) for guide in self.guides.values() for _, words in gwinstall_uses(guide)})
        self.assertGreater(len(lines), 80)
        with tempfile.TemporaryDirectory() as place:
            deployed = run_alone(binary, pathlib.Path(place) / "deployed", ["install", "--yes", "--models", "gemini-3.8-flash,glm-5.2"])
            self.assertEqual(0, deployed.returncode, deployed.stderr)
            problems = []
            for number, words in enumerate(lines):
                home = pathlib.Path(place) / str(number)
                shutil.copytree(pathlib.Path(place) / "deployed", home, symlinks=True)
                # Nobody waits for the share of an hour that a fleet spreads its checks over.
                now = ["0" if before == "--jitter" else word for before, word in zip(("", *words), words)]
                problems += run_problems(" ".join(words), run_alone(binary, home, now))
        self.none(problems)

    def binary(self):
        if not (binary := os.environ.get("GWINSTALL_BIN")):
            self.skipTest("GWINSTALL_BIN is not set: no command of a guide was run")
        return binary

    def test_the_settings_for_an_enterprise_gateway_are_those_that_its_commands_write(self):
        binary = self.binary()
        for path, front in (("examples/us2-truefoundry-setup.md", []),
                            ("examples/us2-enterprise-integration.md", ["--gateway-type", "custom", "--gateway-url", "https://g.example.com", "--auth-token", "token-for-tests"])):
            guide = self.guides[path]
            wanted = [json.loads(body) for language, body, _ in guide.blocks if language == "json"][0]
            words = [words for _, words in gwinstall_uses(guide) if words[0] == "install" and "/claude-opus" in " ".join(words)][0]
            words = [word.replace("YOUR-TENANT-URL", "tenant.example.com").replace("~/", "") for word in words]
            with tempfile.TemporaryDirectory() as place:
                home = pathlib.Path(place) / "home"
                home.mkdir()
                (home / "tfy-key.txt").write_text("token-for-tests\n")
                done = run_alone(binary, home, [*words, *front, "--yes"])
                self.assertEqual(0, done.returncode, done.stderr)
                written = json.loads((home / ".claude/settings.json").read_text())
            wanted["env"] = {name: value.replace("YOUR-TENANT-URL", "tenant.example.com") for name, value in wanted["env"].items()}
            self.assertEqual(wanted["env"], {name: written["env"].get(name) for name in wanted["env"]}, path)
            self.assertEqual(wanted.get("apiKeyHelper", written["apiKeyHelper"]), written["apiKeyHelper"], path)

    def test_a_missing_project_stops_what_the_guides_say_it_stops(self):
        """us1-quickstart-basic.md step 2, us1-gcloud-auth.md: `install --start` changes nothing, `install` deploys, `start` wants the project only."""
        binary = self.binary()
        with tempfile.TemporaryDirectory() as place:
            home = pathlib.Path(place) / "home"
            run = lambda line: run_alone(binary, home, line.split())
            stopped = run("install --preset basic --start --yes")
            self.assertEqual((1, True), (stopped.returncode, "VERTEXAI_PROJECT" in stopped.stderr), stopped.stderr)
            self.assertFalse((home / ".claude/gateway/.env").exists())
            self.assertEqual(2, run("env set VERTEXAI_PROJECT --yes").returncode)
            self.assertEqual(0, run("install --preset basic --yes").returncode)
            program = home / ".claude/gateway/venv/bin/litellm"
            program.parent.mkdir(parents=True)
            program.write_text("#!/bin/sh\necho reached; exit 1\n")
            program.chmod(0o755)
            self.assertIn("gwinstall env set VERTEXAI_PROJECT", run("start").stderr)
            with (home / ".claude/gateway/.env").open("a") as env:
                env.write("VERTEXAI_PROJECT=my-project\n")
            self.assertIn("GOOGLE_APPLICATION_CREDENTIALS", run("env check").stdout)
            started = run("start")
            self.assertIn("reached", started.stdout + started.stderr)
        step = self.guides["examples/us1-quickstart-basic.md"].text.split("## 2.")[1].split("\n## ")[0]
        self.assertLess(step.index("export VERTEXAI_PROJECT="), step.index("gwinstall env set VERTEXAI_PROJECT"))

    def test_the_scripts_know_their_flags(self):
        used = {}
        for guide in self.guides.values():
            for script, flags in script_uses(guide):
                used.setdefault(script, set()).update(flags)
        self.assertGreater(len(used), 10)
        problems = []
        for script, flags in sorted(used.items()):
            path = EMBEDDED / script
            # A script that the catalog names and that is not there is found elsewhere: the bundle is refused.
            if flags and path.exists():
                asked = subprocess.run([sys.executable if path.suffix == ".py" else "sh", path, "--help"], text=True, capture_output=True)
                problems += help_problems(script, flags, asked.stdout)
        self.none(problems)

    def test_litellm_accepts_the_complete_configurations(self):
        if not pathlib.Path(sys.executable).with_name("litellm").exists():
            self.skipTest("no litellm beside this Python")
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        places = {}
        for guide in self.guides.values():
            for language, body, number in guide.blocks:
                value = yaml.safe_load(body) if language == "yaml" else {}
                if "model_list" in value and "general_settings" in value:
                    config = pathlib.Path(home.name, f"{len(places)}.yaml")
                    config.write_text(body, encoding="utf-8")
                    places[config] = f"{guide.path}:{number}"
        self.assertGreater(len(places), 0)
        judge = Judge(sys.executable, home.name)
        self.addCleanup(judge.close)
        for config, place in places.items():
            code, text = judge.verdict(config, {"HOME": home.name, "PATH": os.environ["PATH"]})
            self.assertEqual(0, code, f"{place}: {text}")


class TheChecks(unittest.TestCase):
    """Each check finds what it is there for, and lets the right form pass."""

    def found(self, check, text, *more):
        return list(check(Guide("docs/x.md", text), *more))

    def test_links(self):
        target = Guide("docs/y.md", "# T\n\n## A `b` c\n")
        known, presets = {"docs/y.md": target, "docs/x.md": Guide("docs/x.md", "# X\n")}, {"p": {"docs/x.md", "docs/y.md"}}
        self.assertEqual([], self.found(link_problems, "[a](y.md#a-b-c) [b](#x) [c](https://x.y) `[d](z.md)`\n# X\n", known, presets))
        for bad in ("[a](z.md)", "[a](y.md#no)", "[a](../y.md)", "[a](http://x.y)", "[a](#no)"):
            self.assertTrue(self.found(link_problems, bad, known, presets), bad)

    def test_shape(self):
        self.assertEqual([], self.found(shape_problems, "# T\n\n## A\n\n| a | b |\n|---|---|\n| `x|y` | z |\n"))
        for bad in ("text\n", "# T\n# T\n", "# T\n\n### A\n", "# T\n```sh\n", "# T\n" + "x" * 151, "# T\n| a | b |\n|---|---|\n| a |\n", "# T \n"):
            self.assertTrue(self.found(shape_problems, bad), bad)

    def test_blocks(self):
        whole = yaml.safe_dump(own_presets()[0], sort_keys=False)
        for bad in ("sh\nif true; then", "json\n{", 'json\n{"env": {"ANTHROPIC_API_VERSION": "1"}}', 'json\n{"anthropicBaseUrl": "x"}',
                    'json\n{"env": {"ANTHROPIC_BASE_URL": "https://x/v1"}}', 'json\n{"env": {"HTTPS_PROXY": "http://p:1"}}',
                    'json\n{"env": {"ANTHROPIC_API_KEY": "x"}}', 'json\n{"apiKeyHelper": "x", "env": {"ANTHROPIC_AUTH_TOKEN": "y"}}',
                    "yaml\na: [", "yaml\nport: 1", "yaml\nrouter_settings: {fallbacks: {a: [b]}}", "yaml\nrouter_settings: {model_group_alias: {a: [b]}}",
                    "yaml\ngeneral_settings: {master_key: ${KEY}}", "yaml\nmodel_list: [{model_name: a, litellm_params: {model: x/y}}]", "python\nx",
                    "yaml\npresets: [{name: x, template: y}]", "yaml\npreset: {name: x, template: y}",
                    "yaml\nimage: {tag: V}\nproxy_config: {model_list: [{model_name: a, litellm_params: {model: vertex_ai/gemini-3.8-flash}}]}",
                    "yaml\ndb: {}\nproxy_config: {}", "yaml\nimage: {tag: V}\nproxy_config: {model_list: [], router_settings: {x: os.environ/Y}}",
                    "yaml\n" + whole.replace("schema: 1", "shema: 1"), "yaml\n" + whole.replace("price_in", "price"),
                    "yaml\n" + whole.replace("OPENAI_API_KEY", "OPENAI_KEY"), "yaml\n" + whole.replace("base: templates/litellm-base", "base: templates/base")):
            self.assertTrue(self.found(block_problems, f"# T\n```{bad}\n```\n"), bad)
        self.assertEqual([], self.found(block_problems, f"# T\n```yaml\n{whole}\n```\n"))
        self.assertEqual([], self.found(block_problems, "# T\n```sh\nx <<A\n(\nA\n```\n```text\n(\n```\n"))

    def test_commands(self):
        def problems(line):
            guide = Guide("docs/x.md", f"```sh\n{line}\n```\n`{line}`\n")
            return [p for number, words in gwinstall_uses(guide) for p in command_problems(words, "x")]
        for good in ("gwinstall install --preset basic --models codestral,gpt-oss-20b --yes --json > x", "X=1 gwinstall status --quiet || echo no",
                     "cat a | gwinstall env set REDIS_HOST # why", "gwinstall backup pin FILE", "gwinstall self-update --version 1.0.0", "gwinstall",
                     "gwinstall install basic --port 4100", "gwinstall config path env", "gwinstall resolve docs/faq.md --keep-mine"):
            self.assertEqual([], problems(good), good)
        for bad in ("gwinstall instal", "gwinstall install --presets basic", "gwinstall install --preset basics", "gwinstall install x",
                    "gwinstall models add gpt-5", "gwinstall backup", "gwinstall config path x", "gwinstall resolve --mine", "gwinstall env set", "gwinstall env set VERTEX_PROJECT", "true && gwinstall status x",
                    "gwinstall install --models nope", "gwinstall rollback --to x"):
            self.assertTrue(len(problems(bad)) >= 2 or bad.startswith("true"), bad)

    def test_runs(self):
        ended = lambda code, err: subprocess.CompletedProcess([], code, "", err)
        self.assertEqual([], run_problems("x", ended(2, "there is no terminal to ask on")))
        for code, err in ((2, "error: gwinstall stop has no flag --later"), (2, 'error: there is no command "edit"'), (101, ""), (-6, ""), (124, "")):
            self.assertEqual(1, len(run_problems("x", ended(code, err))))

    def test_names(self):
        for bad in ("`scripts/no.sh`", "~/.claude/gateway/scripts/no.sh", "templates/models/x.yaml", "`vertex_ai/gemini-1.0-pro`", "docs/no.md"):
            self.assertTrue(self.found(name_problems, bad), bad)
        self.assertEqual([], self.found(name_problems, "templates/models/ scripts/health-check.sh vertex_ai/codestral-2 http://x/vertex_ai/v1"))

    def test_wrong(self):
        for bad in ("run `claude /status`", "pip install 'litellm[proxy]' prisma", "LITELLM_MASTER_KEY=CHANGE-ME-KEY", "http://localhost:4000",
                    "```sh\npip install litellm\n```", "```sh\nlitellm --config x\n```", "```sh\ncurl http://127.0.0.1:4000/health\n```",
                    "ANTHROPIC_BASE_URL=https://x/v1", "--host 0.0.0.0", "KEY=sk-abcdef", "/work/x", "`enable_pre_call_check`"):
            self.assertTrue(self.found(wrong_problems, bad), bad)

    def test_rows_and_reach(self):
        head = "| h | h | h |\n|---|---|---|\n"
        one, two = Guide("a.md", head + "| a | b | c |\n[x](c.md)"), Guide("b.md", head + "| A | b | c |\n")
        self.assertEqual([], list(repeated_rows({"a.md": Guide("a.md", head), "b.md": Guide("b.md", head)})))
        self.assertTrue(list(repeated_rows({"a.md": one, "b.md": two})))
        self.assertEqual(["b.md"], unreachable({"a.md": one, "b.md": two}, "a.md"))

    def test_help(self):
        self.assertEqual([], help_problems("x", {"--yes"}, "  --yes  answer\n"))
        self.assertTrue(help_problems("x", {"--no"}, "  --yes  answer\n"))
        guide = Guide("x.md", "```sh\n~/a/scripts/x.py --a b\n```\n`scripts/y.sh --c`\n| h | i |\n|---|---|\n| `scripts/z.sh` | `--d` |\n")
        self.assertEqual([("scripts/x.py", {"--a"}), ("scripts/y.sh", {"--c"}), ("scripts/z.sh", set()), ("scripts/z.sh", {"--d"})],
                         list(script_uses(guide)))


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=1)
    result, everything = program.result, guides()
    commands = sum(len(list(gwinstall_uses(guide))) for guide in everything.values())
    blocks = sum(len(guide.blocks) for guide in everything.values())
    links = sum(len(list(guide.links())) for guide in everything.values())
    print(f"guides: {len(everything)}, links: {links}, blocks: {blocks}, commands: {commands}, tests: {result.testsRun}, "
          f"skipped: {len(result.skipped)}, failed: {len(result.failures) + len(result.errors)}")
    sys.exit(not result.wasSuccessful())
