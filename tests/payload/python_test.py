"""The Python scripts and the deployed tests, for success and for failure. P-046 … P-049, P-057, P-059, P-106 … P-110."""
import json
import unittest

import assemble
from fakes import EMBEDDED, KEY, Place, Proxy, serve

FRAME = "general_settings:\n  master_key: os.environ/LITELLM_MASTER_KEY\n"
MODEL = "model_list:\n  - model_name: m\n    litellm_params:\n      model: anthropic/m\n      api_key: os.environ/ANTHROPIC_API_KEY\n"
ROUTER = MODEL + "router_settings:\n"

# What validate-config.py must say, by the text that is wrong: (line, words).
BROKEN = [
    (MODEL + "general_settings:\n  master_key: ${LITELLM_MASTER_KEY}\n", 7, "os.environ/LITELLM_MASTER_KEY as the whole value"),
    (MODEL + "general_settings:\n  master_key: $LITELLM_MASTER_KEY\n", 7, "does not expand"),
    (MODEL + "general_settings:\n  master_key: sk-abcdef\n", 7, "a secret stands in the file"),
    (MODEL + "litellm_settings:\n  master_key: os.environ/LITELLM_MASTER_KEY\n", 7, "belongs under general_settings"),
    (MODEL, 1, "master_key is missing"),
    (FRAME, 1, "there is no model_list"),
    ("model_list: {}\n" + FRAME, 1, "is not a list"),
    ("model_list:\n  - model_name: m\n" + FRAME, 2, "no litellm_params.model"),
    ("model_list:\n  - litellm_params: {model: a/b}\n" + FRAME, 2, "no model_name"),
    ("model_list:\n  - model_name: no\n    litellm_params: {model: a/b}\n" + FRAME, 2, "put it in quotes"),
    ("model_list:\n  - model_name: 0777\n    litellm_params: {model: a/b}\n" + FRAME, 2, "put it in quotes"),
    ("model_list:\n  - model_name: m\n    litellm_params: {model: a/b, api_base: https://os.environ/HOST/v1}\n" + FRAME, 3, "must be the whole value"),
    ("model_list:\n  - model_name: m\n    litellm_params: {model: a/b, api_base: 'https://${HOST}/v1'}\n" + FRAME, 3, "does not expand"),
    ("model_list:\n  - model_name: m\n    litellm_params: {model: a/b, api_key: sk-ant-1}\n" + FRAME, 3, "a secret"),
    (MODEL + FRAME + "model_list: []\n", 8, "duplicate key model_list; the first one is in line 1"),
    (MODEL + FRAME + "litelm_settings: {}\n", 8, "did you mean litellm_settings?"),
    (ROUTER + "  enable_pre_call_check: true\n" + FRAME, 7, "did you mean enable_pre_call_checks?"),
    (ROUTER + "  routing_strategy: simple_shuffle\n" + FRAME, 7, "did you mean simple-shuffle?"),
    (ROUTER + "  retry_policy: {TimeoutRetries: 1}\n" + FRAME, 7, "did you mean TimeoutErrorRetries?"),
    (ROUTER + "  model_group_alias: {a: [m, m]}\n" + FRAME, 7, "must name one model"),
    (ROUTER + "  model_group_alias: {a: n}\n" + FRAME, 7, "not in model_list"),
    (ROUTER + "  model_group_alias: {m: m}\n" + FRAME, 7, "hides the model"),
    (ROUTER + "  model_group_alias: [m]\n" + FRAME, 7, "not a mapping"),
    (ROUTER + "  fallbacks: {m: [m]}\n" + FRAME, 7, "is not a list"),
    (ROUTER + "  fallbacks: [{m: x}]\n" + FRAME, 7, "are a list"),
    (ROUTER + "  fallbacks: [{m: [x]}]\n" + FRAME, 7, "x is not in model_list"),
    (ROUTER + "  fallbacks: [{x: [m]}]\n" + FRAME, 7, "x is not in model_list"),
    (ROUTER + "  fallbacks: [m]\n" + FRAME, 7, "one `model: [others]`"),
    (MODEL + "litellm_settings: {proxy: {http: x}}\n" + FRAME, 6, "HTTPS_PROXY"),
    (MODEL + FRAME + "  port: 4000\n", 8, "there is no setting port"),
    (MODEL + FRAME + "x: [\n", 9, "not YAML"),
    (MODEL + FRAME + "\tx: 1\n", 8, "not YAML"),
    ("", 1, "the file is empty"),
    ("- a\n", 1, "not a mapping"),
]
# What LiteLLM accepts and we must not refuse.
GOOD = [
    MODEL + FRAME,
    MODEL + "  - model_name: m\n    litellm_params: {model: vertex_ai/x, vertex_location: global}\n    model_info: {id: two}\n" + FRAME,
    ROUTER + "  model_group_alias: {a: m, b: {model: m, hidden: true}}\n  fallbacks: [{a: [m]}, {'*': [m]}]\n  retry_policy: {DefaultRetries: 1}\n" + FRAME,
    "model_list:\n  - model_name: m\n    litellm_params: &p {model: a/b}\n  - model_name: n\n    litellm_params: {<<: *p, timeout: 5}\n" + FRAME,
]


class ValidateConfig(Place):
    name = "scripts/validate-config.py"

    def check(self, code, words, text, *arguments):
        path = self.home / "under test.yaml"
        path.write_text(text)
        return self.expect(code, words, self.name, "--no-env", *arguments, str(path))

    def test_every_broken_configuration_is_refused_at_its_line(self):
        for text, line, words in BROKEN:
            with self.subTest(text):
                self.check(1, [f"under test.yaml:{line}:", words], text)

    def test_what_is_good_passes_and_so_do_the_templates(self):
        for text in GOOD:
            self.check(0, "0 errors, 0 warnings", text)
        for path in (self.dir / "templates").rglob("*.yaml"):
            if path.parent.name != "models":
                self.expect(0, "0 errors", self.name, "--no-env", str(path))
        self.expect(0, "0 errors, 0 warnings", self.name)

    def test_a_variable_without_a_value_is_a_warning_and_with_strict_an_error(self):
        self.set_env(VERTEXAI_PROJECT=None)
        self.expect(0, "VERTEXAI_PROJECT has no value", self.name)
        self.expect(1, "VERTEXAI_PROJECT has no value", self.name, "--strict")

    def test_a_secret_is_not_shown(self):
        for text in (MODEL + "general_settings:\n  master_key: sk-hidden-secret\n",
                     "model_list:\n  - model_name: m\n    litellm_params: {model: a/b, api_key: sk-hidden-secret, api_base: '${A}'}\n" + FRAME,
                     MODEL + FRAME + "environment_variables:\n  OPENAI_API_KEY: sk-hidden-secret\n"):
            self.assertNotIn("hidden", self.check(1, "a secret stands", text))

    def test_gwinstall_does_it_where_it_is(self):
        self.program("gwinstall", '#!/bin/sh\necho "called $*"\nexit 1\n')
        self.expect(1, f"called validate {self.dir / 'config/litellm.yaml'}", self.name)
        self.expect(0, "1 checked", self.name, "--standalone")

    def test_wrong_usage_and_a_missing_file(self):
        self.expect(2, "usage", self.name, "--wrong")
        self.expect(1, "does not exist", self.name, "--no-env", "/nonexistent.yaml")


class Migrate(Place):
    name = "scripts/migrate-config.py"
    OLD = """# my file
model_list:
  - model_name: codestral   # mine
    litellm_params:
      model: vertex_ai/codestral@latest
      vertex_project: ${VERTEX_PROJECT}
      vertex_location: "$VERTEX_LOCATION"
  - model_name: llama
    litellm_params: {model: vertex_ai/meta/llama3-405b-instruct-maas, vertex_project: os.environ/VERTEX_AI_PROJECT}
litellm_settings:
  drop_params: true
  master_key: ${LITELLM_MASTER_KEY}
router_settings:
  enable_pre_call_check: true
  model_group_alias: {claude-opus-5-5: [llama, codestral]}
"""

    def test_it_mends_what_it_can_and_keeps_the_rest(self):
        path = self.home / "old file.yaml"
        path.write_text(self.OLD)
        self.expect(3, ["+      model: vertex_ai/codestral-2", "os.environ/VERTEXAI_PROJECT", "the route"], self.name, str(path))
        self.assertEqual(path.read_text(), self.OLD)
        self.expect(0, "wrote", self.name, "--write", str(path))
        new = path.read_text()
        self.assertIn("# my file\n", new)
        self.assertIn("codestral   # mine", new)
        value = assemble.yaml.safe_load(new)
        first, second = (entry["litellm_params"] for entry in value["model_list"])
        self.assertEqual(first, {"model": "vertex_ai/codestral-2", "vertex_project": "os.environ/VERTEXAI_PROJECT", "vertex_location": "os.environ/VERTEXAI_LOCATION"})
        self.assertEqual(second["model"], "vertex_ai/meta/llama-3.1-405b-instruct-maas")
        self.assertEqual(value["router_settings"], {"enable_pre_call_checks": True, "model_group_alias": {"claude-opus-5-5": "llama"}})
        self.assertEqual((value["litellm_settings"], value["general_settings"]), ({"drop_params": True}, {"master_key": "os.environ/LITELLM_MASTER_KEY"}))
        self.assertEqual((self.home / "old file.yaml.before-migration").read_text(), self.OLD)
        self.expect(0, "nothing to change", self.name, str(path))
        self.expect(0, "0 errors", "scripts/validate-config.py", "--no-env", "--standalone", str(path))

    def test_what_needs_a_person_is_named(self):
        path = self.home / "x.yaml"
        path.write_text("model_list:\n  - model_name: m\n    litellm_params: {model: anthropic/claude-3-5-sonnet, api_base: 'https://${HOST}/v1'}\n" + FRAME)
        self.expect(1, [":3: by hand: a variable inside", "claude-3-5-sonnet is no longer served"], self.name, str(path))
        path.write_text("model_list: [\n")
        self.expect(1, "is not YAML", self.name, str(path))
        self.expect(2, "usage", self.name, "--wrong")

    def test_ours_needs_nothing(self):
        self.expect(0, "nothing to change", self.name)


class ProviderVariables(Place):
    name = "scripts/validate-provider-env-vars.py"
    preset = "multi-provider"

    def credentials(self, text):
        path = self.home / "credentials.json"
        path.write_text(text)
        return str(path)

    def test_success(self):
        self.set_env(AWS_ACCESS_KEY_ID="AKIAIOSFODNN7EXAMPLE",
                     AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY")
        adc = self.home / ".config/gcloud/application_default_credentials.json"
        adc.parent.mkdir(parents=True)
        adc.write_text('{"type": "authorized_user"}')
        text = self.expect(0, ["authorized_user from the login of gcloud", "AWS_SECRET_ACCESS_KEY = wJa…"], self.name)
        self.assertNotIn("EXAMPLEKEY", text)

    def test_each_thing_that_is_missing(self):
        self.expect(1, ["no Google credentials", "gcloud auth application-default login"], self.name)
        for name in ("ANTHROPIC_API_KEY", "VERTEXAI_PROJECT", "AWS_REGION_NAME", "LITELLM_MASTER_KEY"):
            self.set_env(**{name: None})
            self.expect(1, f"{name} has no value", self.name)
        self.set_env(ANTHROPIC_API_KEY="wrong-form")
        self.expect(1, "a form that the provider would refuse", self.name, "--provider", "anthropic")
        self.set_env(AWS_ACCESS_KEY_ID="ASIAIOSFODNN7EXAMPLE", AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY")
        self.expect(1, "AWS_SESSION_TOKEN has no value", self.name, "--provider", "bedrock")
        for text, words in (("no json", "is not a Google credentials file"), ("[]", "is not a Google credentials file")):
            self.expect(1, words, self.name, "--provider", "vertex", GOOGLE_APPLICATION_CREDENTIALS=self.credentials(text))
        self.expect(1, "does not exist", self.name, "--provider", "vertex", GOOGLE_APPLICATION_CREDENTIALS="/nonexistent.json")

    def test_leftovers_and_old_names_are_pointed_out(self):
        text = self.expect(1, ["CLAUDE_CODE_USE_BEDROCK is set", "unset CLAUDE_CODE_USE_BEDROCK"], self.name, CLAUDE_CODE_USE_BEDROCK="1")
        self.set_env(VERTEXAI_PROJECT=None, VERTEX_PROJECT="p")
        self.expect(1, "VERTEX_PROJECT is set, but LiteLLM reads VERTEXAI_PROJECT", self.name)
        self.write_env("A B=1\n")
        self.expect(1, "line 1", self.name)
        self.expect(2, "usage", self.name, "--provider", "none")
        self.assertNotIn("sk-ant-example", text)


class EnterpriseVariables(Place):
    preset = "enterprise"

    def test_url_and_token(self):
        self.expect(0, "ANTHROPIC_BASE_URL", "scripts/validate-provider-env-vars.py")
        self.set_env(ANTHROPIC_BASE_URL="https://gateway.example.com/v1")
        self.expect(1, "would refuse", "scripts/validate-provider-env-vars.py")


class ProxyAuth(Place):
    name = "scripts/validate-proxy-auth.py"
    preset = "proxy"

    def test_forms_of_the_url(self):
        self.expect(0, "http://proxy.example.com:8080", self.name)
        self.set_env(HTTPS_PROXY="http://me:p%40ss@proxy.example.com:8080")
        text = self.expect(0, "a login is sent", self.name)
        self.assertNotIn("ss@", text)
        for url, words in (("proxy.example.com:8080", "no scheme"), ("ftp://p:1", "scheme ftp"), ("http://me:p@ss@p:1", "percent-encoded"),
                           ("http://p:99999", "port"), ("http://:8080", "no host"), ("http://p:1/path", "after the port"), ("http://me:a/b@p:1", "percent-encoded")):
            self.set_env(HTTPS_PROXY=url)
            self.expect(1, words, self.name)
        self.set_env(HTTPS_PROXY=None)
        self.expect(1, "HTTPS_PROXY has no value", self.name)

    def test_no_proxy_and_certificates(self):
        self.set_env(NO_PROXY=".example.com")
        self.expect(1, "NO_PROXY lacks localhost,127.0.0.1", self.name)
        self.set_env(NO_PROXY="*")
        self.expect(1, "nothing goes through the proxy", self.name)
        self.set_env(SSL_CERT_FILE="/nonexistent.pem", REQUESTS_CA_BUNDLE="/nonexistent.pem")
        self.expect(1, "does not name a PEM file", self.name)
        _, cert = self.tls_behind_proxy()
        self.set_env(SSL_CERT_FILE=self.plain_path(cert))
        self.expect(1, ["replaces all other authorities", "go together"], self.name)

    def test_connect_asks_the_proxy_with_the_login(self):
        url, _ = self.tls_behind_proxy(login="EXAMPLE\\me:p@ss")
        host = url.removeprefix("http://")
        self.set_env(HTTPS_PROXY=f"http://EXAMPLE%5cme:p%40ss@{host}")
        self.expect(0, "opened a connection to provider.example.com", self.name, "--connect", "provider.example.com")
        self.set_env(HTTPS_PROXY=url, PROXY_USERNAME="'EXAMPLE\\me'", PROXY_PASSWORD="p@ss")
        self.expect(0, "opened a connection", self.name, "--connect", "provider.example.com:443")
        self.set_env(HTTPS_PROXY=url, PROXY_USERNAME="other", PROXY_PASSWORD="wrong-password")
        self.assertNotIn("wrong-password", self.expect(1, "refused the login (407)", self.name, "--connect", "provider.example.com"))
        self.set_env(HTTPS_PROXY=url)
        self.expect(1, "wants a login (407)", self.name, "--connect", "provider.example.com")
        self.set_env(HTTPS_PROXY="http://127.0.0.1:1")
        self.expect(1, "cannot be reached", self.name, "--connect", "provider.example.com")

    def test_a_forbidden_host(self):
        proxy = serve(Proxy, login=None, target=0)
        self.addCleanup(proxy.server_close)
        self.addCleanup(proxy.shutdown)
        self.set_env(HTTPS_PROXY=f"http://127.0.0.1:{proxy.server_port}")
        self.expect(1, "403", self.name, "--connect", "forbidden.example.com")
        self.expect(2, "usage", self.name, "--wrong")


class Compatibility(Place):
    name = "scripts/validate-gateway-compatibility.py"
    preset = "enterprise"

    def test_success_and_a_streamed_message(self):
        server = self.gateway()
        self.set_env(ANTHROPIC_BASE_URL=f"http://127.0.0.1:{server.server_port}", ANTHROPIC_AUTH_TOKEN=KEY, ANTHROPIC_CUSTOM_HEADERS="'X-Team: platform'")
        self.expect(0, ["1 models are listed", "refuses (401)"], self.name)
        self.assertTrue(all("messages" not in path or "authorization" not in {h.lower() for h in headers} for _, path, headers in server.seen), "a message was sent")
        self.expect(0, "streamed 2 events", self.name, "--send", "claude-sonnet-5-5", "--type", "custom")
        self.assertEqual({k.lower(): v for k, v in server.seen[-1][2].items()}["x-team"], "platform")

    def test_each_failure(self):
        for mood, words in (("open", "answers without a token"), ("openai only", "does not speak the Anthropic format"), ("redirects", "redirects (302)")):
            server = self.gateway(mood)
            self.set_env(ANTHROPIC_BASE_URL=f"http://127.0.0.1:{server.server_port}", ANTHROPIC_AUTH_TOKEN=KEY)
            self.expect(1, words, self.name)
        server = self.gateway("retired")
        url = f"http://127.0.0.1:{server.server_port}"
        self.set_env(ANTHROPIC_BASE_URL=url, ANTHROPIC_AUTH_TOKEN=KEY)
        self.expect(1, "was not served (404)", self.name, "--send", "claude-sonnet-5-5")
        self.expect(1, "refused", self.name, "--token-from", "OTHER", OTHER="wrong")
        self.expect(1, "ends in /v1", self.name, "--url", url + "/v1")
        self.expect(1, "cannot be reached", self.name, "--url", "http://127.0.0.1:1")
        self.expect(1, "plain http", self.name, "--url", "http://localhost.example.invalid")
        self.expect(1, "not http(s)", self.name, "--url", "gateway")
        self.set_env(ANTHROPIC_AUTH_TOKEN="CHANGE-ME-TOKEN")
        self.expect(1, "no token", self.name)
        self.expect(2, "usage", self.name, "--type", "none")

    def test_an_untrusted_certificate_is_named(self):
        self.tls_behind_proxy()
        import ssl, threading
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.home / "cert.pem", self.home / "key.pem")
        server = self.gateway()
        server.socket = context.wrap_socket(server.socket, server_side=True)
        self.set_env(ANTHROPIC_BASE_URL=f"https://127.0.0.1:{server.server_port}", ANTHROPIC_AUTH_TOKEN=KEY)
        self.expect(1, ["certificate is not trusted", "NODE_EXTRA_CA_CERTS"], self.name)
        url = f"https://localhost:{server.server_port}"
        self.set_env(ANTHROPIC_BASE_URL=url, ANTHROPIC_AUTH_TOKEN=KEY, NODE_EXTRA_CA_CERTS=self.plain_path(self.home / "cert.pem"))
        self.expect(0, "the token is accepted", self.name)
        self.set_env(ANTHROPIC_BASE_URL=url, ANTHROPIC_AUTH_TOKEN=KEY, NODE_EXTRA_CA_CERTS="/nonexistent.pem")
        self.expect(1, "does not name a PEM file", self.name)


class Availability(Place):
    name = "scripts/check-model-availability.py"

    def test_served_and_answering(self):
        server = self.gateway()
        self.expect(0, "gemini-3.8-flash is served by vertex_ai/gemini-3.8-flash", self.name)
        self.assertNotIn("POST", [command for command, _, _ in server.seen])
        self.expect(0, "codestral answered", self.name, "--ask", "--model", "codestral")

    def test_each_failure(self):
        self.expect(1, "does not answer", self.name)
        self.gateway("retired")
        self.expect(1, "does not know it (any more)", self.name, "--ask", "--model", "codestral")
        self.gateway(names=["codestral"])
        self.expect(1, "gpt-oss-20b is configured but not served", self.name)
        self.expect(1, "is not in config/litellm.yaml", self.name, "--model", "none")
        self.set_env(LITELLM_MASTER_KEY="sk-another")
        self.expect(1, "refused the key", self.name)
        self.expect(2, "usage", self.name, "--wrong")


class DeployedTests(Place):
    preset = "multi-provider"

    def test_all_pass_on_a_fresh_deployment_and_with_a_gateway(self):
        self.expect(0, "5 passed, 0 failed", "tests/run-all-tests.sh")
        self.gateway()
        self.expect(0, "6 passed, 0 failed", "tests/run-all-tests.sh", "--running")
        self.expect(0, "6 passed, 0 failed", "tests/run-all-tests.sh", "--ask")
        self.expect(2, "usage", "tests/run-all-tests.sh", "--wrong")

    def test_each_fails_where_it_should(self):
        (self.dir / "templates/models/codestral.yaml").write_text("model_list: []\n")
        self.expect(1, "exactly one entry", "tests/test-yaml-schemas.py")
        settings = self.home / ".claude/settings.json"
        for text, words in (('{"env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:4000/v1"}}', "must not hold"), ('{"anthropicBaseUrl": "x"}', "must not hold"),
                            ('{"env": {"ANTHROPIC_MODEL": ["x"]}}', "is not"), ("{", "ignores the whole file")):
            settings.write_text(text)
            self.expect(1, words, "tests/test-yaml-schemas.py")
        self.set_env(AWS_REGION_NAME=None)
        self.expect(1, "reads AWS_REGION_NAME", "tests/test-env-vars.py")
        (self.dir / ".env").chmod(0o644)
        self.expect(1, "others can read", "tests/test-env-vars.py")
        self.expect(1, "does not answer", "tests/test-all-models.py", "--running")
        config = self.dir / "config/litellm.yaml"
        good = config.read_text()
        config.write_text(good.replace("- model_name: claude-sonnet-5-5\n", "- model_name: other\n"))
        self.expect(1, "claude-sonnet-5-5 is answered by nobody", "tests/test-all-models.py")
        self.expect(1, "not configured", "tests/test-multi-provider-routing.py")
        config.write_text(good.replace("- claude-haiku-5-5: [claude-haiku-5-5-vertex]", "- claude-haiku-5-5: [claude-haiku-5-5]"))
        self.expect(1, "lead back", "tests/test-multi-provider-routing.py")
        config.write_text(good)
        self.gateway("retired")
        self.set_env()
        self.expect(1, "cannot stand in for claude-sonnet-5-5", "tests/test-multi-provider-routing.py", "--ask")
        self.gateway("no fallback")
        config.write_text(good + "  dangerously_allow_mock_testing_request_params: true\n")
        self.expect(1, "was to fail on purpose and answered itself", "tests/test-multi-provider-routing.py", "--ask")
        self.gateway()
        self.expect(0, "failed on purpose and a fallback answered", "tests/test-multi-provider-routing.py", "--ask")
        self.gateway("retired")
        self.expect(1, "failed:", "tests/run-all-tests.sh", "--ask")

    def test_the_proxy_test_notices_a_start_script_that_forgets(self):
        self.expect(0, "SKIP .env names no proxy", "tests/test-proxy-gateway.py")
        script = self.dir / "start-gateway.sh"
        script.write_text(script.read_text().replace("unset ANTHROPIC_BASE_URL ANTHROPIC_AUTH_TOKEN", ":"))
        self.expect(1, "LiteLLM gets ANTHROPIC_BASE_URL", "tests/test-proxy-gateway.py")
        self.expect(2, "usage", "tests/test-proxy-gateway.py", "--wrong")


class SettingsSchema(unittest.TestCase):
    def test_our_own_validator_agrees_with_a_real_one(self):
        import importlib.util
        import sys
        sys.path.insert(0, str(EMBEDDED / "scripts"))
        spec = importlib.util.spec_from_file_location("schemas", EMBEDDED / "tests/test-yaml-schemas.py")
        ours = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(ours)
        schema = json.loads((EMBEDDED / "templates/settings-schema.json").read_text())
        good = [{}, {"env": {}}, {"$schema": "x", "permissions": {"allow": []}, "env": {"FOO": "1", "NUMBER": 1}},
                {"apiKeyHelper": "~/x", "env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:4000", "ANTHROPIC_API_KEY": "", "NO_PROXY": "10.0.0.0/8,*.example.com:8080,*,[::1]"}},
                {"env": {"ANTHROPIC_BASE_URL": "https://gateway.example.com/anthropic/", "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "64000"}}]
        bad = [{"env": []}, {"env": {"ANTHROPIC_BASE_URL": "https://x/v1/"}}, {"env": {"ANTHROPIC_BASE_URL": "x"}}, {"ANTHROPIC_BASE_URL": "http://x"},
               {"anthropicAuthToken": "x"}, {"env": {"ANTHROPIC_MODEL": ""}}, {"env": {"A-B": "x"}}, {"env": {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": "0"}},
               {"env": {"HTTPS_PROXY": "proxy:8080"}}, {"apiKeyHelper": 1}, {"env": {"X": None}}, {"env": {"CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "yes"}}]
        try:
            import jsonschema
            real = jsonschema.Draft7Validator(schema)
        except ImportError:
            real = None
        for value, fits in [(v, True) for v in good] + [(v, False) for v in bad]:
            self.assertEqual(not ours.violations(value, schema), fits, value)
            if real:
                self.assertEqual(real.is_valid(value), fits, value)
