"""Checks of a deployed gateway directory against the real LiteLLM proxy. Loopback only.

Exit status: 0 all checks passed, 1 a check failed, 2 bad usage, 77 cannot run here.
Modes
  mock      (default) a temp overlay copy of config/litellm.yaml gets `mock_response`
            on every deployment; outbound traffic is sent to a dead proxy, so nothing leaves.
  upstream  the deployed config/litellm.yaml is used AS IS.  All HTTPS goes through a fake
            authenticated TLS-inspecting corporate proxy on loopback that answers for Google,
            Anthropic and Bedrock.  Proves provider routes, URLs, streaming, proxy and CA env.
  both      upstream, then mock in the same LiteLLM: gunicorn, as start-gateway.sh runs it, is
            reloaded with the mocked copy, and the fake internet must not be asked any more.
"""

import argparse, contextlib, functools, hashlib, json, mmap, os, re, shutil, signal, subprocess, sys, tempfile, time
import urllib.error, urllib.request
import yaml

import claude_code
from fake_internet import FakeInternet, TEXT as UPSTREAM_TEXT, free_port

MOCK_TEXT = "mock ok"

def parse_env(path):
    """KEY=VALUE lines, optional `export `, optional matching quotes, no expansion, no execution."""
    out = {}
    if not os.path.exists(path):
        return out
    for n, line in enumerate(open(path, encoding="utf-8"), 1):
        s = line.strip()
        if not s or s.startswith("#"):
            continue
        if s.startswith("export "):
            s = s[7:].lstrip()
        m = re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", s)
        if not m:
            raise SystemExit(f"FAIL env_file: {path}:{n} is not KEY=VALUE")
        v = m.group(2)
        if len(v) >= 2 and v[0] == v[-1] and v[0] in "'\"":
            v = v[1:-1]
        out[m.group(1)] = v
    return out


def env_refs(node):
    if isinstance(node, dict):
        return set().union(set(), *[env_refs(v) for v in node.values()])
    if isinstance(node, list):
        return set().union(set(), *[env_refs(v) for v in node])
    return {node[len("os.environ/") :]} if isinstance(node, str) and node.startswith("os.environ/") else set()


def tree_hash(root):
    h = hashlib.sha256()
    for d, ds, fs in os.walk(root):
        ds.sort()
        for f in sorted(fs):
            p = os.path.join(d, f)
            h.update(os.path.relpath(p, root).encode() + b"\0")
            if os.path.islink(p):
                h.update(os.readlink(p).encode())
            else:
                h.update(open(p, "rb").read())
            h.update(oct(os.lstat(p).st_mode).encode())
    return h.hexdigest()


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def http(method, url, headers=None, body=None, timeout=60):
    data = json.dumps(body).encode() if body is not None else None
    h = {"content-type": "application/json", "anthropic-version": "2023-06-01", **(headers or {})}
    req = urllib.request.Request(url, data=data, headers=h, method=method)
    try:
        with _direct.open(req, timeout=timeout) as r:
            return r.status, r.read().decode("utf8", "replace")
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode("utf8", "replace")
    except OSError as e:
        return 0, str(e)


HELLO = {"max_tokens": 16, "messages": [{"role": "user", "content": "hi"}]}
# Services of the deployment that a check must not need, and whose absence a dummy value must not hide.
SERVICES = (
    "DATABASE_URL",
    "DIRECT_URL",
    "REDIS_URL",
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_PASSWORD",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
)
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")


def workers(pid):
    """The children of a process."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children") as file:
        return set(file.read().split())
    return set()


@functools.cache
def names_in(program):
    """The names of Claude models that a program holds as text: claude-opus-5-5, claude-haiku-4-5-20251001 and so on."""
    pattern = re.compile(rb"claude-(?:opus|sonnet|haiku|fable|mythos)-[0-9](?:[0-9-]*[0-9])?(?![0-9A-Za-z.-])")
    with open(program, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return sorted({found.decode() for found in pattern.findall(text)})


class Stop(Exception):
    """A check failed after which no other means anything."""


class Check:
    """One deployed directory and one LiteLLM process over it.

    `internet` is a fake one that the deployment itself already knows the way to; then nothing of `.env` is replaced, and `machine`
    is what a shell of that machine would add to it. `judge` is a LiteLLM that is there already, to validate with.
    """

    def __init__(self, chosen, litellm, directory, internet=None, machine=None, judge=None):
        self.chosen, self.litellm, self.directory = chosen, litellm, directory
        self.gateway = os.path.abspath(chosen.gateway_dir)
        self.config_path = os.path.join(self.gateway, chosen.config)
        self.log_path = os.path.join(directory, "proxy.log")
        self.process, self.internet, self.machine = None, internet, machine
        self.mocked = chosen.mode == "mock"
        self.port = chosen.port or free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.rows, self.more, self.judge, self.already = [], None, judge, None

    def report(self, ok, name, detail=""):
        name = f"mock {name}" if self.mocked and self.chosen.mode == "both" else name
        self.rows.append({"check": name, "status": "PASS" if ok else "FAIL", "detail": detail})

    def note(self, text):
        self.rows.append({"check": "note", "status": "NOTE", "detail": text})

    def checked(self):
        """Every check; the rows afterwards, whatever happens."""
        before = tree_hash(self.gateway)
        try:
            self.run()
        except Stop as stop:
            self.report(False, *stop.args)
        finally:
            self.mocked = self.chosen.mode == "mock"
            self.stop()
            self.report(tree_hash(self.gateway) == before, "deployed_files_untouched")
            if self.chosen.keep_log and os.path.exists(self.log_path):
                shutil.copy(self.log_path, self.chosen.keep_log)
        return self.rows

    def run(self):
        self.read_config()
        self.environment()
        self.master_key()
        self.loads()
        self.start(self.overlay() if self.mocked else self.config_path)
        self.health()
        self.keys()
        self.models()
        self.discovery()
        self.calls()
        if self.chosen.claude_bin:
            self.claude_code()
        if self.chosen.mode == "both":
            self.reload_mocked()
            self.models()
            self.discovery()
            self.calls()
            self.names_of_claude_code()
            asked = self.internet.asked(self.already)
            self.report(not asked, "nothing_leaves", str(asked[:3]) if asked else "")

    def read_config(self):
        try:
            with open(self.config_path, encoding="utf-8") as file:
                self.config = yaml.safe_load(file)
        except yaml.YAMLError as error:
            raise Stop("yaml_parses", str(error).replace("\n", " ")[:300])
        if not isinstance(self.config, dict) or not self.config.get("model_list"):
            raise Stop("model_list", "config has no model_list")
        self.deployments = self.config["model_list"]
        aliases = (self.config.get("router_settings") or {}).get("model_group_alias") or {}
        one_name = {name: to for name, to in aliases.items() if isinstance(to, (str, dict))}
        self.report(len(one_name) == len(aliases), "model_group_alias_values", "each alias must map to ONE model name")
        shown = {name for name, to in one_name.items() if isinstance(to, str) or not to.get("hidden")}
        names = {entry.get("model_name") for entry in self.deployments}
        self.expected = {name for name in names if "*" not in name} | shown
        if self.chosen.expect:
            self.expected = set(self.chosen.expect.split(","))

    def environment(self):
        """Only the deployed .env, and what the check itself needs."""
        env = {"PATH": os.path.dirname(self.litellm) + ":/usr/bin:/bin", "HOME": self.directory, "LANG": "C.UTF-8"}
        env |= parse_env(os.path.join(self.gateway, ".env"))
        for name in SERVICES:
            env.pop(name, None)
        env |= {name: "True" for name in ("LITELLM_LOCAL_MODEL_COST_MAP", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS")}
        env |= {"LITELLM_DONT_SHOW_FEEDBACK_BOX": "true"}
        env |= {"NO_PROXY": "localhost,127.0.0.1", "no_proxy": "localhost,127.0.0.1"}
        if self.machine is not None:
            env = self.machine | env
        elif self.mocked:
            env |= {name: "http://127.0.0.1:9" for name in PROXIES}
        else:
            self.internet = FakeInternet(self.directory)
            env |= {name: f"http://corp:p%40ss@127.0.0.1:{self.internet.port}" for name in PROXIES}
            env |= {name: self.internet.ca_path for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")}
            env |= {name: self.internet.sa_path for name in ("GOOGLE_APPLICATION_CREDENTIALS", "VERTEXAI_CREDENTIALS")}
            aws = {"AWS_ACCESS_KEY_ID": "AKIAFAKE", "AWS_SECRET_ACCESS_KEY": "fake", "AWS_REGION_NAME": "us-east-1"}
            env = aws | env | {"AWS_EC2_METADATA_DISABLED": "true"}
        missing = sorted(name for name in env_refs(self.config) if not env.get(name) and name not in SERVICES)
        if "LITELLM_MASTER_KEY" in missing:
            raise Stop("env_refs", "LITELLM_MASTER_KEY is not set in .env")
        if missing and self.machine is not None:
            raise Stop("env_refs", "neither .env nor the machine sets " + ", ".join(missing))
        if missing:
            self.note("not set in .env, a dummy was used (LiteLLM would silently use null): " + ", ".join(missing))
        self.env = env | {name: "check-dummy" for name in missing}

    def master_key(self):
        named = (self.config.get("general_settings") or {}).get("master_key") or self.env.get("LITELLM_MASTER_KEY", "")
        by_reference = named.startswith("os.environ/")
        self.key = self.env.get(named[len("os.environ/") :], "") if by_reference else named
        self.report(by_reference, "master_key_by_reference", "" if by_reference else "it is written literally in the config")
        placeholder = re.search(r"CHANGE.?ME|YOUR|PLACEHOLDER|^sk-1234$", self.key, re.I)
        self.report(bool(self.key) and not placeholder, "master_key_not_placeholder", "" if self.key else "empty")
        self.auth = {"authorization": f"Bearer {self.key}"}

    def loads(self):
        """LiteLLM itself accepts the deployed file, and ignores nothing in it."""
        if self.judge:
            status, out = self.judge.verdict(self.config_path, self.env)
        else:
            command = [self.litellm, "--config", self.config_path, "--validate_config"]
            merged = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
            run = subprocess.run(command, env=self.env, cwd=self.directory, timeout=self.chosen.timeout, **merged)
            status, out = run.returncode, run.stdout
        said = (re.findall(r"config (?:OK|validation failed).*", out) or [out[-300:]])[-1][:200]
        self.report(status == 0, "validate_config", said)
        ignored = re.findall(r"Key '([^']+)' is not a valid argument for Router", out)
        self.report(not ignored, "router_settings_keys_known", ", ".join(ignored))
        self.report("LLM Provider NOT provided" not in out, "provider_prefixes_known")

    def overlay(self):
        """A copy of the deployed file with mocked answers and without outside services."""
        overlay = json.loads(json.dumps(self.config, default=str))
        for entry in overlay["model_list"]:
            entry.setdefault("litellm_params", {})["mock_response"] = MOCK_TEXT
        outside = {
            "general_settings": ("database_url", "alerting", "coordination_redis"),
            "litellm_settings": ("cache", "cache_params", "callbacks", "success_callback", "failure_callback"),
        }
        for section, names in outside.items():
            for name in names:
                (overlay.get(section) or {}).pop(name, None)
        path = os.path.join(self.directory, "overlay.yaml")
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump(overlay, file, sort_keys=False)
        return path

    def start(self, config):
        began = time.monotonic()
        # A link of our own, so that a reload can be given another file under the same name.
        self.running = os.path.join(self.directory, "running.yaml")
        os.symlink(config, self.running)
        command = [self.litellm, "--config", self.running, "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--run_gunicorn", "--num_workers", "1"]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                command, env=self.env, cwd=self.directory, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        while time.monotonic() - began < self.chosen.timeout and self.process.poll() is None:
            if self.answers():
                self.report(True, "starts", f"{time.monotonic() - began:.1f} s, port {self.port}")
                return self.note_memory()
            time.sleep(0.2)
        with open(self.log_path, errors="replace") as log:
            raise Stop("starts", "not live; log tail: " + log.read()[-1200:])

    def reload_mocked(self):
        """The same process with the mocked copy; over when the worker of the deployed file is gone."""
        old = workers(self.process.pid)
        os.symlink(self.overlay(), self.running + ".new")
        os.replace(self.running + ".new", self.running)
        self.process.send_signal(signal.SIGHUP)
        began = time.monotonic()
        while time.monotonic() - began < self.chosen.timeout and self.process.poll() is None:
            if old.isdisjoint(workers(self.process.pid)) and self.answers():
                self.already = len(self.internet.log)
                self.report(True, "reloads", f"{time.monotonic() - began:.1f} s")
                self.mocked = True
                return
            time.sleep(0.1)
        raise Stop("reloads", "the worker of the deployed file is still there")

    def answers(self):
        return http("GET", self.base + "/health/liveliness", timeout=2)[0] == 200

    def note_memory(self):
        with contextlib.suppress(OSError), open(f"/proc/{self.process.pid}/status") as status:
            resident = int(status.read().split("VmRSS:")[1].split()[0])
            self.note(f"resident memory {resident // 1024} MiB")

    def health(self):
        status, body = http("GET", self.base + "/health/readiness")
        healthy = status == 200 and json.loads(body).get("status") == "healthy"
        self.report(healthy, "health_readiness", f"{status} {body[:80]}")

    def keys(self):
        """No key and a wrong key get nothing."""
        hello = HELLO | {"model": self.deployments[0].get("model_name")}
        status, _ = http("GET", self.base + "/v1/models")
        why = " (500: install `prisma` beside litellm)" if status == 500 else ""
        self.report(status == 401, "models_without_key_401", f"{status}{why}")
        status, _ = http("POST", self.base + "/v1/messages", body=hello)
        self.report(status == 401, "messages_without_key_401", str(status))
        wrong = {"authorization": "Bearer sk-not-the-key"}
        status, body = http("POST", self.base + "/v1/messages", wrong, hello)
        self.report(status in (400, 401, 403), "messages_wrong_key_refused", f"{status} {body[:80]}")

    def models(self):
        status, body = http("GET", self.base + "/v1/models", self.auth)
        listed = {model["id"] for model in json.loads(body)["data"]} if status == 200 else set()
        same = listed == self.expected
        missing, unexpected = sorted(self.expected - listed), sorted(listed - self.expected)
        self.report(same, "models_match", f"{len(listed)} models" if same else f"missing {missing} unexpected {unexpected}")

    def discovery(self):
        agent = {"user-agent": "claude-cli/2.1.329 (external, cli)"}
        status, body = http("GET", self.base + "/v1/models?limit=1000", self.auth | agent)
        ids = [model["id"] for model in json.loads(body)["data"]] if status == 200 else []
        seen = bool(ids) and all(re.match("claude|anthropic", name) for name in ids)
        self.report(seen, "claude_code_discovery_view", f"{len(ids)} ids" if ids else str(status))

    def calls(self):
        messages = self.base + "/v1/messages?beta=true"
        hello = HELLO | {"model": sorted(self.expected)[0]}
        self.report(http("POST", messages, {"x-api-key": self.key}, hello)[0] == 200, "messages_x_api_key")
        for model in sorted(self.expected):
            self.call(messages, model)
            if not self.mocked:
                status, body = http("POST", messages, self.auth, HELLO | {"model": model, "stream": True})
                whole = "event: message_start" in body and "event: message_stop" in body
                self.report(status == 200 and whole, f"stream[{model}]", str(status))
        status, _ = http("POST", messages, self.auth, HELLO | {"model": "no-such-model"})
        self.report(status in (400, 404), "unknown_model_refused", str(status))

    def names_of_claude_code(self):
        """Every name of a Claude model that stands in the program of Claude Code is answered, whether it is configured or not."""
        if not self.chosen.claude_bin:
            return
        names, refused = names_in(os.path.realpath(self.chosen.claude_bin)), []
        for name in names:
            status, body = http("POST", self.base + "/v1/messages?beta=true", self.auth, HELLO | {"model": name})
            if status != 200 or MOCK_TEXT not in body:
                refused.append(f"{name}: {status} {body[:80]}")
        self.report(len(names) >= 20 and not refused, "every_claude_name_answers", f"{len(names)} names" if not refused else "; ".join(refused[:3]))

    def call(self, messages, model):
        """One message; upstream also who was asked for it."""
        already = len(self.internet.log) if self.internet else 0
        status, body = http("POST", messages, self.auth, HELLO | {"model": model})
        good, where = status == 200 and json.loads(body).get("type") == "message", ""
        good = good and (MOCK_TEXT if self.mocked else UPSTREAM_TEXT) in body
        if not self.mocked:
            asked = self.internet.asked(already)
            where = "; ".join(f"{hit['host']}{hit['path']}" for hit in asked[-1:])
            good = good and bool(asked) and not any("407" in hit["path"] for hit in asked)
            # A fallback must not hide a primary that does not answer.
            good = good and self.is_asked_for(model, asked[0])
        self.report(good, f"messages[{model}]", (where or str(status)) if good else f"{status} {body[:200]} {where}")

    def is_asked_for(self, model, hit):
        """Whether what the provider was asked is what the configuration names for this model or alias."""
        aliases = (self.config.get("router_settings") or {}).get("model_group_alias") or {}
        model = aliases.get(model, model)
        model = model if isinstance(model, str) else model["model"]
        routes = [str(entry["litellm_params"]["model"]) for entry in self.deployments if entry["model_name"] == model]
        ends = [route.rsplit("/", 1)[-1] for route in routes]
        return any(end in hit["path"] or hit["model"].rsplit("/", 1)[-1] == end for end in ends)

    def claude_code(self):
        """A real `claude -p hi` in a home that holds the deployment and its settings.json, and nothing else."""
        home = os.path.join(self.directory, "home")
        shutil.copytree(self.gateway, os.path.join(home, ".claude", "gateway"), symlinks=True)
        path = os.path.join(os.path.dirname(self.gateway), "settings.json")
        if not os.path.exists(path):
            return self.report(False, "claude_code_print_mode", "no settings.json beside the gateway directory")
        with open(path, encoding="utf-8") as file:
            settings = json.load(file)
        if self.machine is None:
            # A deployment of somebody else names its own port; a matrix deploys for the port that it is checked at.
            settings["env"]["ANTHROPIC_BASE_URL"] = self.base
        with open(os.path.join(home, ".claude", "settings.json"), "w", encoding="utf-8") as file:
            json.dump(settings, file)
        already = len(self.internet.log) if self.internet else 0
        answered, said = claude_code.say(self.chosen.claude_bin, home, "hi", self.more)
        answered = answered and (MOCK_TEXT if self.mocked else UPSTREAM_TEXT) in said
        self.report(answered, "claude_code_print_mode", said[:300])
        if not self.mocked:
            model = settings["env"].get("ANTHROPIC_MODEL", "")
            asked = self.internet.asked(already)
            reached = any(self.is_asked_for(model, hit) for hit in asked)
            self.report(reached, "claude_code_reaches_its_model", f"{model}: {asked[-1:]}")

    def stop(self):
        if not self.process:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        silent = http("GET", self.base + "/health/liveliness", timeout=2)[0] == 0
        self.report(silent, "stopped", f"exit {self.process.returncode}")


def arguments(given=None):
    parser = argparse.ArgumentParser(prog="check_real_proxy.sh")
    parser.add_argument("gateway_dir")
    parser.add_argument("--mode", choices=["mock", "upstream", "both"], default="mock")
    parser.add_argument("--config", default="config/litellm.yaml", help="relative to GATEWAY_DIR")
    parser.add_argument("--expect", help="comma-separated names that /v1/models must list (default: from the config)")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=90)
    parser.add_argument("--claude-bin", help="also run this Claude Code with GATEWAY_DIR/../settings.json")
    parser.add_argument("--json", help="write the results to this file")
    parser.add_argument("--keep-log", help="copy the proxy's log to this file")
    return parser.parse_args(given)


def main():
    chosen = arguments()
    litellm = os.path.join(os.path.dirname(sys.executable), "litellm")
    litellm = litellm if os.path.exists(litellm) else shutil.which("litellm")
    if not os.path.isfile(os.path.join(chosen.gateway_dir, chosen.config)):
        print(f"FAIL config_present: {chosen.gateway_dir}/{chosen.config} not found")
        return 2
    if not litellm:
        print("SKIP no litellm command next to " + sys.executable)
        return 77
    with tempfile.TemporaryDirectory(prefix="litellm-check-", ignore_cleanup_errors=True) as directory:
        rows = Check(chosen, litellm, directory).checked()
    for row in rows:
        print(f"{row['status']} {row['check']}" + (f": {row['detail']}" if row["detail"] else ""))
    if chosen.json:
        with open(chosen.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)
    passed, failed = (sum(row["status"] == word for row in rows) for word in ("PASS", "FAIL"))
    print(f"RESULT {'failed' if failed else 'ok'}: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
