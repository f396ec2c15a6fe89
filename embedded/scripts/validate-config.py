#!/usr/bin/env python3
"""Checks a LiteLLM configuration more strictly than LiteLLM does.

LiteLLM starts with most mistakes and fails at the first request: it ignores a wrong key, does not expand ${VAR}, and fails every
call through an alias that names a list. This script reports each with line and column. Where gwinstall is installed, the script
calls `gwinstall validate`, unless you give --standalone.

exit status: 0 no errors, 1 errors (with --strict also for warnings), 2 wrong usage
"""
import argparse
import difflib
import os
import pathlib
import re
import shutil
import sys

sys.dont_write_bytecode = True
import gateway_files as gateway

SECTIONS = set("""model_list litellm_settings router_settings general_settings environment_variables agent_list agents
assistant_settings callback_settings credential_list default_vertex_config files_settings finetune_settings guardrails include
mcp_servers mcp_tools pass_through_endpoints plugins policies policy_attachments prompts sandbox_tools search_tools
vector_store_registry worker_registry""".split())
ROUTER = set("""assistants_config search_tools guardrail_list redis_url redis_host redis_port redis_password redis_db cache_responses
cache_kwargs caching_groups client_ttl polling_interval default_priority num_retries max_fallbacks timeout stream_timeout
default_litellm_params default_max_parallel_requests set_verbose debug_level default_fallbacks fallbacks
context_window_fallbacks content_policy_fallbacks model_group_alias enable_pre_call_checks enable_tag_filtering
tag_filtering_match_any tag_routing_prefix plugins retry_after retry_policy model_group_retry_policy allowed_fails
allowed_fails_policy cooldown_time disable_cooldowns routing_strategy optional_pre_call_checks routing_strategy_args
routing_groups provider_budget_config alerting_config router_general_settings deployment_affinity_ttl_seconds
model_group_affinity_config ignore_invalid_deployments enable_health_check_routing health_check_staleness_threshold
health_check_ignore_transient_errors background_health_check_model_groups enable_weighted_failover""".split())
STRATEGIES = set("""simple-shuffle least-busy latency-based-routing cost-based-routing usage-based-routing usage-based-routing-v2
provider-budget-routing lar1""".split())
RETRIES = {kind + "Retries" for kind in """BadRequestError AuthenticationError TimeoutError RateLimitError ContentPolicyViolationError
InternalServerError ServiceUnavailableError NotFoundError Default""".split()}
FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
NO_SUCH_SETTING = {
    "ui": "the admin page needs no setting", "port": "give the port to start-gateway.sh", "host": "LiteLLM takes it as --host",
    "proxy": "write HTTPS_PROXY into gateway/.env", "custom_headers": "write extra_headers into a model's litellm_params",
    "telemetry": "LiteLLM has no such setting", "cors": "LiteLLM has no such setting", "auth": "the key is general_settings.master_key",
}
SECRET_KEYS = {"api_key", "master_key", "aws_secret_access_key", "aws_access_key_id", "aws_session_token", "password",
               "redis_password", "database_url", "azure_ad_token", "client_secret", "salt_key"}


def names_secret(key):
    """True for api_key and the like, and for secret names in capitals under environment_variables."""
    return bool(key) and (key.lower() in SECRET_KEYS or (key.isupper() and gateway.is_secret(key)))


class Checker:
    """Walks the node graph of one file, so that every finding has a line and a column."""

    def __init__(self, path, text, env):
        self.path, self.text, self.env, self.findings = path, text, env, []
        self.nodes = gateway.yaml().nodes

    def add(self, node, level, message):
        mark = node.start_mark
        self.findings.append((mark.line, mark.column, level, message))

    def error(self, node, message):
        self.add(node, "error", message)

    def warning(self, node, message):
        self.add(node, "warning", message)

    # -- shapes

    def is_map(self, node):
        return isinstance(node, self.nodes.MappingNode)

    def is_list(self, node):
        return isinstance(node, self.nodes.SequenceNode)

    def is_text(self, node):
        return isinstance(node, self.nodes.ScalarNode) and node.tag == "tag:yaml.org,2002:str"

    def pairs(self, node):
        return [(k.value, k, v) for k, v in node.value if isinstance(k, self.nodes.ScalarNode)] if self.is_map(node) else []

    def child(self, node, name):
        """The value under `name`, also one from a merge key (<<)."""
        own = next((v for key, _, v in self.pairs(node) if key == name), None)
        if own is not None:
            return own
        merged = [v for key, _, v in self.pairs(node) if key == "<<"]
        merged = [part for v in merged for part in (v.value if self.is_list(v) else [v])]
        return next((v for v in (self.child(part, name) for part in merged) if v is not None), None)

    # -- rules

    def check(self, root):
        if not self.is_map(root):
            return self.error(root, "the file is not a mapping of sections")
        self.duplicates(root, set())
        self.scalars(root, None, set())
        for name, key, value in self.pairs(root):
            if name not in SECTIONS:
                self.error(key, f"unknown section {name}{self.nearest(name, SECTIONS)}; LiteLLM ignores it")
        names = self.models(root)
        self.router(root, names)
        self.keys(root)

    def duplicates(self, node, seen):
        if id(node) in seen:
            return
        seen.add(id(node))
        if self.is_map(node):
            first = {}
            for name, key, _ in self.pairs(node):
                if name in first and name != "<<":
                    self.error(key, f"duplicate key {name}; the first one is in line {first[name].start_mark.line + 1}")
                first.setdefault(name, key)
        for child in self.children(node):
            self.duplicates(child, seen)

    def children(self, node):
        if self.is_map(node):
            return [part for pair in node.value for part in pair]
        return list(node.value) if self.is_list(node) else []

    def scalars(self, node, name, seen):
        """Reports variables that LiteLLM does not expand, and secrets."""
        if id(node) in seen:
            return
        seen.add(id(node))
        for key, _, value in self.pairs(node):
            self.scalars(value, key, seen)
        if self.is_list(node):
            for value in node.value:
                self.scalars(value, name, seen)
        if not self.is_text(node):
            return
        text = node.value
        if re.search(r"\$\{?[A-Za-z_]", text):
            wanted = re.search(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)", text).group(1)
            self.error(node, f"LiteLLM does not expand {text if not gateway.is_secret(name or '') else '$' + wanted}; write os.environ/{wanted} as the whole value")
        elif (found := gateway.REFERENCE.search(text)) and found.group(0) != text:
            self.error(node, f"os.environ/{found.group(1)} must be the whole value")
        elif text.startswith("os.environ") and not found:
            self.error(node, "write os.environ/NAME")
        elif found and self.env is not None and not self.env.get(found.group(1)):
            self.warning(node, f"{found.group(1)} has no value in gateway/.env; LiteLLM would use an empty one")
        elif names_secret(name) and text and not found:
            self.error(node, f"a secret stands in the file; write os.environ/NAME and put the value of {name} into gateway/.env")

    def models(self, root):
        """Checks model_list; returns the names that a client can ask for."""
        listed, names = self.child(root, "model_list"), set()
        if listed is None:
            self.error(root, "there is no model_list; LiteLLM would serve nothing")
            return names
        if not self.is_list(listed):
            self.error(listed, "model_list is not a list")
            return names
        if not listed.value:
            self.warning(listed, "model_list is empty; LiteLLM serves nothing")
        for entry in listed.value:
            name, params = self.child(entry, "model_name"), self.child(entry, "litellm_params")
            for key, node, _ in self.pairs(entry):
                if key not in ("model_name", "litellm_params", "model_info", "access_groups", "tpm", "rpm"):
                    self.warning(node, f"unknown key {key} beside model_name; LiteLLM ignores it")
            if name is None:
                self.error(entry, "this entry has no model_name")
            elif not self.is_text(name):
                self.error(name, f"the model_name {getattr(name, 'value', '')!s} is not text; put it in quotes")
            else:
                names.add(name.value)
            route = self.child(params, "model") if params is not None else None
            if route is None:
                self.error(entry, "this entry has no litellm_params.model")
            elif not self.is_text(route) or not route.value:
                self.error(route, "litellm_params.model is not a route such as vertex_ai/gemini-3.5-flash")
            elif "/" not in route.value:
                self.warning(route, f"the route {route.value} names no provider (provider/model)")
        return names

    def router(self, root, names):
        section = self.child(root, "router_settings")
        if section is None:
            return
        if not self.is_map(section):
            return self.error(section, "router_settings is not a mapping")
        for name, key, _ in self.pairs(section):
            if name not in ROUTER:
                self.error(key, f"unknown router setting {name}{self.nearest(name, ROUTER)}; LiteLLM ignores it")
        strategy = self.child(section, "routing_strategy")
        if strategy is not None and strategy.value not in STRATEGIES:
            self.error(strategy, f"unknown routing_strategy {strategy.value}{self.nearest(strategy.value, STRATEGIES)}")
        policy = self.child(section, "retry_policy")
        for name, key, _ in self.pairs(policy) if policy is not None else []:
            if name not in RETRIES:
                self.error(key, f"unknown retry_policy key {name}{self.nearest(name, RETRIES)}")
        known = names | self.aliases(section, names)
        for name in FALLBACKS:
            self.fallbacks(name, self.child(section, name), known)

    def aliases(self, section, names):
        node, found = self.child(section, "model_group_alias"), set()
        if node is None:
            return found
        if not self.is_map(node):
            self.error(node, "model_group_alias is not a mapping of name to model")
            return found
        for name, key, value in self.pairs(node):
            found.add(name)
            target = self.child(value, "model") if self.is_map(value) else value
            if target is None or not self.is_text(target):
                self.error(value, f"the alias {name} must name one model; every call to it would fail")
            elif target.value not in names:
                self.error(target, f"the alias {name} names {target.value}, which is not in model_list{self.nearest(target.value, names)}")
            elif name in names:
                self.error(key, f"the alias {name} hides the model of the same name")
        return found

    def fallbacks(self, name, node, known):
        if node is None:
            return
        if not self.is_list(node):
            return self.error(node, f"{name} is not a list of `model: [others]`")
        for item in node.value:
            if not self.is_map(item) or len(item.value) != 1:
                self.error(item, f"each entry of {name} is one `model: [others]`")
                continue
            model, key, others = self.pairs(item)[0]
            if model not in known and model != "*":
                self.error(key, f"{name}: {model} is not in model_list{self.nearest(model, known)}")
            if not self.is_list(others):
                self.error(others, f"{name}: the models after {model} are a list, [a, b]")
                continue
            for other in others.value:
                if self.is_text(other) and other.value not in known:
                    self.error(other, f"{name}: {other.value} is not in model_list{self.nearest(other.value, known)}")

    def keys(self, root):
        general, settings = self.child(root, "general_settings"), self.child(root, "litellm_settings")
        for name, key, _ in self.pairs(settings) if settings is not None else []:
            if name == "master_key":
                self.error(key, "master_key belongs under general_settings; LiteLLM does not read it here")
        for section in (general, settings):
            for name, key, _ in self.pairs(section) if section is not None else []:
                if name in NO_SUCH_SETTING:
                    self.error(key, f"there is no setting {name}: {NO_SUCH_SETTING[name]}")
        if general is None or self.child(general, "master_key") is None:
            self.error(general if general is not None else root, "general_settings.master_key is missing; LiteLLM refuses to start without it")

    @staticmethod
    def nearest(word, known):
        close = difflib.get_close_matches(str(word), sorted(known), 1, 0.6)
        return f" (did you mean {close[0]}?)" if close else ""


def findings(path, env):
    """(line, column, level, message) of every finding, in the order of the file."""
    module = gateway.yaml()
    text = gateway.read_text(path)
    try:
        root = module.compose(text, Loader=module.SafeLoader)
        module.safe_load(text)
    except module.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return text, [(mark.line if mark else 0, mark.column if mark else 0, "error", f"not YAML: {error.problem}")]
    except (module.YAMLError, ValueError) as error:
        return text, [(0, 0, "error", f"not YAML: {str(error).splitlines()[0]}")]
    if root is None:
        return text, [(0, 0, "error", "the file is empty")]
    checker = Checker(path, text, env)
    checker.check(root)
    return text, sorted(set(checker.findings))


def show(path, text, found):
    lines = text.splitlines()
    for line, column, level, message in found:
        print(f"{path}:{line + 1}:{column + 1}: {level}: {message}")
        if line < len(lines) and not any(names_secret(word) for word in re.findall(r"\w+", lines[line])):
            print(f"    {lines[line]}\n    {' ' * column}^")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=pathlib.Path, help="default: config/litellm.yaml of this gateway")
    parser.add_argument("--strict", action="store_true", help="warnings count as errors")
    parser.add_argument("--no-env", action="store_true", help="do not look for the variables in gateway/.env")
    parser.add_argument("--standalone", action="store_true", help="do not call gwinstall")
    options = parser.parse_args()
    files = options.files or [gateway.HERE / "config/litellm.yaml"]
    program = shutil.which("gwinstall")
    if program and not (options.standalone or options.strict or options.no_env) and len(files) == 1:
        os.execv(program, [program, "validate", str(files[0])])
    env = None
    if not options.no_env and (gateway.HERE / ".env").exists():
        env = gateway.read_env(gateway.HERE)
    errors = warnings = 0
    for path in files:
        text, found = findings(path, env)
        show(path, text, found)
        errors += sum(level == "error" for _, _, level, _ in found)
        warnings += sum(level == "warning" for _, _, level, _ in found)
    print(f"{len(files)} checked: {errors} errors, {warnings} warnings")
    return gateway.EXIT_FAILED if errors or (warnings and options.strict) else gateway.EXIT_OK


if __name__ == "__main__":
    gateway.run(main)
