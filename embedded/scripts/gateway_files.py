"""Reads the files of a deployed gateway: .env, config/litellm.yaml, settings.json. Shared by the scripts and tests beside it.

It reads .env by the rules of start-gateway.sh and never evaluates it. It writes no file. A secret reaches the output only through
`masked`. Needs Python 3.10 and, for YAML, PyYAML.
"""
import json
import os
import pathlib
import re
import stat
import sys

if sys.version_info < (3, 10):
    sys.exit("error: Python 3.10 or newer is needed, this is %d.%d" % sys.version_info[:2])
sys.dont_write_bytecode = True

HERE = pathlib.Path(__file__).resolve().parent.parent
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
REFERENCE = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")
PLACEHOLDER = re.compile(r"CHANGE[-_]ME", re.I)
SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|HEADERS|AUTHORIZATION|_PROXY$|DATABASE_URL", re.I)
NOT_SECRET = {"NO_PROXY", "no_proxy", "CLAUDE_CODE_MAX_OUTPUT_TOKENS", "CLAUDE_CODE_MAX_CONTEXT_TOKENS", "CLAUDE_CODE_AUTO_COMPACT_WINDOW"}
EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


class Problem(Exception):
    """A fault that the user has to fix; `hint` is a command or a sentence that helps."""

    def __init__(self, message, hint=None):
        super().__init__(message)
        self.hint = hint


def yaml():
    """PyYAML; without it, a Problem that says how to install it."""
    try:
        import yaml as module
    except ImportError:
        raise Problem("the Python package PyYAML is missing", "python3 -m pip install pyyaml") from None
    return module


def read_text(path):
    try:
        return pathlib.Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise Problem(f"{path} does not exist", "gwinstall install") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path} cannot be read: {error}") from None


def unquote(text):
    """The value behind NAME=, or None where a shell and docker compose would not read the same."""
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return None if "'" in text[1:-1] else text[1:-1]
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return None if re.search(r'["\\$`]', text[1:-1]) else text[1:-1]
    return None if re.search(r"""['"\\$`\s]""", text) else text


def parse_env(text):
    """(values, problems): problems are (line number, what is wrong) and never hold a value."""
    values, problems = {}, []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if not line or line.startswith("#"):
            continue
        name, equals, rest = line.partition("=")
        if not equals:
            problems.append((number, "this is not NAME=value"))
        elif not NAME.fullmatch(name):
            problems.append((number, "write NAME=value, without spaces around the name"))
        elif (value := unquote(rest)) is None:
            problems.append((number, f"put the value of {name} in single quotes"))
        else:
            if name in values:
                problems.append((number, f"{name} stands here a second time; the last one counts"))
            values[name] = value
    return values, problems


def read_env(gateway):
    """The values of gateway/.env; a line that cannot be read is a Problem."""
    path = pathlib.Path(gateway) / ".env"
    values, problems = parse_env(read_text(path))
    hard = [p for p in problems if "second time" not in p[1]]
    if hard:
        raise Problem(f"{path} line {hard[0][0]}: {hard[0][1]}")
    return values


def env_mode_problem(gateway):
    path = pathlib.Path(gateway) / ".env"
    mode = stat.S_IMODE(path.stat().st_mode)
    return f"{path} has mode {mode:04o}: others can read its keys" if mode & 0o077 else None


def is_secret(name):
    return name not in NOT_SECRET and bool(SECRET_NAME.search(name))


def masked(value):
    """Shows enough to recognise a secret, too little to use it."""
    if not value:
        return "(empty)"
    return f"{value[:3]}… ({len(value)} characters)" if len(value) >= 16 else f"({len(value)} characters)"


def shown(name, value):
    return masked(value) if is_secret(name) else value


def load_config(path):
    """The value of a YAML file. validate-config.py reports duplicate keys."""
    module = yaml()
    text = read_text(path)
    try:
        value = module.safe_load(text)
    except module.YAMLError as error:
        raise Problem(f"{path} is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(value, dict):
        raise Problem(f"{path} is not a mapping of sections")
    return value


def entries(config):
    """The well-formed entries of model_list."""
    listed = config.get("model_list")
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("litellm_params"), dict) and "model_name" in entry:
            yield entry


def models(config):
    """The entries that serve a model by its name; one like claude-opus-* answers to what no other does."""
    return (entry for entry in entries(config) if "*" not in str(entry["model_name"]))


def references(value):
    """Every NAME that is written os.environ/NAME, anywhere below value."""
    if isinstance(value, str):
        return set(REFERENCE.findall(value))
    if isinstance(value, dict):
        return set().union(*(references(v) for v in value.values()), set())
    if isinstance(value, list):
        return set().union(*(references(v) for v in value), set())
    return set()


def claude_settings():
    """(path, value) of the user's settings.json; {} when there is none."""
    folder = os.environ.get("CLAUDE_CONFIG_DIR") or pathlib.Path.home() / ".claude"
    path = pathlib.Path(folder) / "settings.json"
    if not path.exists():
        return path, {}
    try:
        value = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise Problem(f"{path}:{error.lineno}:{error.colno}: {error.msg}; Claude Code ignores the whole file") from None
    if not isinstance(value, dict):
        raise Problem(f"{path} does not hold an object")
    return path, value


class Report:
    """Counts and prints results, one a line: word, what, detail."""

    def __init__(self, quiet=False):
        self.quiet, self.failed, self.warned, self.passed = quiet, 0, 0, 0

    def line(self, word, message, hint=None):
        if not (self.quiet and word in ("PASS", "INFO")):
            print(f"{word:<4} {message}")
            if hint:
                print(f"       try: {hint}")

    def ok(self, message):
        self.passed += 1
        self.line("PASS", message)

    def warn(self, message, hint=None):
        self.warned += 1
        self.line("WARN", message, hint)

    def fail(self, message, hint=None):
        self.failed += 1
        self.line("FAIL", message, hint)

    def info(self, message):
        self.line("INFO", message)

    def end(self):
        print(f"{self.passed} passed, {self.warned} warnings, {self.failed} failed")
        return EXIT_FAILED if self.failed else EXIT_OK


def run(main):
    """Runs main() and turns a Problem into a message and exit 1."""
    try:
        code = main()
        sys.stdout.flush()
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        if problem.hint:
            print(f"  try: {problem.hint}", file=sys.stderr)
        code = EXIT_FAILED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_FAILED
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
