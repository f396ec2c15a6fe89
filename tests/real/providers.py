"""The providers that LiteLLM asks for Claude Code, one at a time and strict: the right host, path, key, model and body, or a refusal.

A provider stands where the internet would, so that what goes elsewhere is seen too. It plays one turn of a tool: a prompt that
names a note.txt gets a call of Read, and only what the tool read can make the answer.
"""

import base64
import dataclasses
import hashlib
import hmac
import json
import re
import time
import urllib.parse

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

import wire_formats as formats
from fake_internet import FakeInternet, as_json
from wire_formats import TOOL, Asked, Call, Refused, need

# Where a client may put a key; a provider finds its own in one of them and nothing in the others.
KEY_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
GREETING = "provider ok"
WORD = re.compile(r"kettle-[0-9a-f]{16}")


def made_up(prefix, length=40):
    return prefix + hashlib.sha256(prefix.encode()).hexdigest()[:length]


@dataclasses.dataclass
class Request:
    method: str
    host: str
    path: str
    headers: dict
    raw: bytes
    body: dict


@dataclasses.dataclass(frozen=True)
class Key:
    """A key that travels in a header. `status` and `why` are the provider's words for a wrong one."""

    secret: str
    header: str = "authorization"
    scheme: str = "Bearer "
    status: int = 401
    why: str = "Incorrect API key provided"

    def check(self, request):
        need(request.headers.get(self.header) == self.scheme + self.secret, self.why, self.status)

    def other(self):
        return dataclasses.replace(self, secret=self.secret + "x")


@dataclasses.dataclass(frozen=True)
class Signature:
    """AWS Signature Version 4 of the whole request: reference_sigv-create-signed-request in the user guide of AWS IAM."""

    id: str
    secret: str
    region: str
    header = "authorization"

    def check(self, request):
        scope = r"([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request"
        form = rf"AWS4-HMAC-SHA256 Credential={scope}, ?SignedHeaders=(\S+), ?Signature=(\w+)"
        found = re.fullmatch(form, request.headers.get(self.header, ""))
        need(found, "Missing Authentication Token", 403)
        id, day, region, service, names, signature = found.groups()
        need(id == self.id, "The security token included in the request is invalid.", 403)
        of_here = (region, service) == (self.region, "bedrock")
        need(of_here, f"Credential should be scoped to a valid region: {region}/{service}", 403)
        need({"host", "x-amz-date"} <= set(names.split(";")), "host and x-amz-date must be signed", 403)
        path, _, query = request.path.partition("?")
        lines = [request.method, urllib.parse.quote(path, safe="/-_.~"), query]
        lines += [f"{name}:{' '.join(request.headers[name].split())}" for name in names.split(";")]
        lines += ["", names, hashlib.sha256(request.raw).hexdigest()]
        scope = f"{day}/{region}/{service}/aws4_request"
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        text = "\n".join(["AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope, digest])
        key = ("AWS4" + self.secret).encode()
        for part in (*scope.split("/"), text):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        why = "The request signature we calculated does not match the signature you provided."
        need(hmac.compare_digest(key.hex(), signature), why, 403)

    def other(self):
        return dataclasses.replace(self, secret=self.secret[::-1])


@dataclasses.dataclass
class Login:
    """A token that Google gives for an assertion that a service account signed."""

    account: dict
    public: object
    secret: str
    header = "authorization"
    token: str = ""

    def exchange(self, request):
        """The token endpoint."""
        asked = dict(urllib.parse.parse_qsl(request.raw.decode()))
        need(asked.get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer", "unsupported_grant_type")
        head, claims, signature = asked["assertion"].split(".")
        decoded = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        try:
            self.public.verify(decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise Refused(401, "invalid_grant: Invalid JWT Signature.") from None
        claims = json.loads(decoded(claims))
        need(claims["iss"] == self.account["client_email"], "invalid_grant: iss")
        need(claims["aud"] == self.account["token_uri"], "invalid_grant: aud")
        need("https://www.googleapis.com/auth/cloud-platform" in claims["scope"].split(), "invalid_scope")
        need(claims["exp"] > time.time(), "invalid_grant: expired")
        self.token = made_up("ya29." + claims["iss"] + str(claims["iat"]))
        return as_json({"access_token": self.token, "expires_in": 3600, "token_type": "Bearer"})

    def check(self, request):
        given = request.headers.get(self.header)
        need(self.token and given == f"Bearer {self.token}", "Request had invalid authentication credentials.", 401)

    def other(self):
        return dataclasses.replace(self, token=self.token + "x")


@dataclasses.dataclass(frozen=True)
class Provider:
    """One way to a provider: what the user sets, and what its endpoint then must see. `{m}` in the path is the model."""

    name: str
    host: str
    path: str
    model: str
    format: type
    lock: object
    given: dict
    # The file of the user's that holds what is given, where it is not the environment.
    file: str = ""
    models: str = ""


def by_key(name, host, path, model, format, variable, key, **more):
    return Provider(name, host, path, model, format, key, {variable: key.secret}, **more)


BEDROCK = r"/model/{m}/invoke(-with-response-stream)?"
VERTEX = "/v1/projects/example-project/locations/global"
CHAT = "/v1/chat/completions"
GOOGLE_KEY = Key(made_up("AIza", 35), "x-goog-api-key", "", 400, "API key not valid. Please pass a valid API key.")
AZURE_KEY = Key(made_up("", 32), "api-key", "", 401, "Access denied due to invalid subscription key or wrong API endpoint.")
AWS = Signature("AKIA" + made_up("AKIA", 16).removeprefix("AKIA").upper(), made_up("aws", 37), "eu-central-1")
AWS_KEY = Key(made_up("ABSK"), status=403, why="Authentication failed: Please make sure your API Key is valid.")


def providers(login):
    """Every way, by its name in the matrix. `login` is the service account that Vertex AI knows, `demo` has no endpoint."""
    to_vertex = {"VERTEXAI_PROJECT": "example-project", "GOOGLE_APPLICATION_CREDENTIALS": login.account["path"]}
    to_bedrock = ("bedrock", f"bedrock-runtime.{AWS.region}.amazonaws.com", BEDROCK, "global.anthropic.claude-opus-5-5")
    region = {"AWS_REGION_NAME": AWS.region}
    return {
        "anthropic": by_key(
            *("anthropic", "api.anthropic.com", "/v1/messages", "claude-opus-5-5", formats.Messages),
            *("ANTHROPIC_API_KEY", Key(made_up("sk-ant-api03-"), "x-api-key", "", why="invalid x-api-key")),
        ),
        "vertex": Provider(
            *("vertex", "aiplatform.googleapis.com", VERTEX + "/publishers/google/models/{m}:(streamG|g)enerateContent"),
            *("gemini-4-argon", formats.VertexGenerate, login, to_vertex),
        ),
        "vertex, Claude": Provider(
            *("vertex", "aiplatform.googleapis.com", VERTEX + "/publishers/anthropic/models/{m}:(streamR|r)awPredict"),
            *("claude-opus-5-5", formats.VertexMessages, login, to_vertex),
            models="vertex_ai/claude-opus-5-5",
        ),
        "bedrock": Provider(
            *(*to_bedrock, formats.BedrockMessages, AWS),
            {"AWS_ACCESS_KEY_ID": AWS.id, "AWS_SECRET_ACCESS_KEY": AWS.secret} | region,
        ),
        "bedrock, API key": Provider(
            *(*to_bedrock, formats.BedrockMessages, AWS_KEY, {"AWS_BEARER_TOKEN_BEDROCK": AWS_KEY.secret} | region),
        ),
        "openai": by_key(
            *("openai", "api.openai.com", "/v1/responses", "gpt-6.1-sol", formats.Responses),
            *("OPENAI_API_KEY", Key(made_up("sk-proj-"))),
        ),
        "azure": Provider(
            *("azure", "my-resource.openai.azure.com"),
            *("/openai/deployments/{m}/chat/completions[?]api-version=20[0-9-]+(-preview)?", "team-gpt", formats.AzureChat),
            AZURE_KEY,
            # The names of Microsoft's own guides.
            {"AZURE_OPENAI_API_KEY": AZURE_KEY.secret, "AZURE_OPENAI_ENDPOINT": "https://my-resource.openai.azure.com/"},
            models="azure/gpt5_series/team-gpt",
        ),
        "gemini": by_key(
            *("gemini", "generativelanguage.googleapis.com", "/v1(alpha|beta)/models/{m}:(streamG|g)enerateContent"),
            *("gemini-4-argon", formats.Generate, "GEMINI_API_KEY", GOOGLE_KEY),
        ),
        "xai": by_key(
            *("xai", "api.x.ai", CHAT, "grok-4.7", formats.Chat, "XAI_API_KEY"),
            Key(made_up("xai-"), status=400, why="Incorrect API key provided: xa***x."),
        ),
        "mistral": by_key(
            *("mistral", "api.mistral.ai", CHAT, "mistral-medium-3-5", formats.MistralChat),
            *("MISTRAL_API_KEY", Key(made_up("", 31) + "m", why="Unauthorized")),
            file=".claude/.env",
        ),
        "groq": by_key(
            *("groq", "api.groq.com", "/openai" + CHAT, "openai/gpt-oss-120b", formats.GroqChat),
            *("GROQ_API_KEY", Key(made_up("gsk_"), why="Invalid API Key")),
            file=".claude/.env",
        ),
        "demo": Provider("demo", "", "", "", None, None, {}),
    }


class Providers(FakeInternet):
    """The internet in which one provider answers and every other host refuses. No request may hold a text of `forbidden`."""

    def __init__(self, directory, login):
        super().__init__(directory, login)
        with open(self.sa_path, encoding="utf-8") as file:
            account = json.load(file) | {"path": self.sa_path}
        secret = account["private_key"].splitlines()[3]
        self.login_at_google = Login(account, self.authority.leaf_key.public_key(), secret)
        self.all = providers(self.login_at_google)
        self.forbidden = []

    def use(self, name):
        self.provider = self.all[name]
        self.lock = self.provider.lock
        self.format = self.provider.format() if self.provider.format else None
        return self.provider

    def reply(self, host, method, path, headers, body):
        note = {"host": host, "path": path, "method": method, "status": 200, "why": ""}
        note |= {"model": "", "stream": False, "turn": ""}
        self.log.append(note)
        try:
            parsed = json.loads(body) if body.startswith(b"{") else {}
            return 200, *self.answered(Request(method, host, path, headers, body, parsed), note)
        except Refused as refused:
            note |= {"status": refused.status, "why": refused.why}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            note |= {"status": 400, "why": f"not in this format: {error!r}"}
        said = self.format.error(note["status"], note["why"]) if self.format else {}
        return note["status"], "application/json", json.dumps(said)

    def answered(self, request, note):
        if request.host == "oauth2.googleapis.com" and isinstance(self.lock, Login):
            need((request.method, request.path) == ("POST", "/token"), "path", 404)
            return self.lock.exchange(request)
        need(request.host == self.provider.host, f"{request.host} was asked", 403)
        need(request.headers.get("host", "").split(":")[0] == request.host, "Host", 421)
        self.lock.check(request)
        strange = [name for name in KEY_HEADERS if name in request.headers and name != self.lock.header]
        need(not strange and "key=" not in request.path, f"a second key in {', '.join(strange) or 'the path'}", 401)
        whole = json.dumps(request.headers) + request.path + request.raw.decode("utf-8", "replace")
        need(not any(text in whole for text in self.forbidden), "a key of the gateway came along")
        if parent := re.fullmatch(f"/v1(?:alpha|beta)/()cachedContents|/v1/({VERTEX[4:]}/)cachedContents", request.path):
            need(isinstance(self.format, formats.Generate), "path", 404)
            return self.format.cache(request, parent[1] or parent[2] or "")
        form = self.provider.path.replace("{m}", "(?P<model>[^:/]+)")
        form += "([?]alt=sse)?" if isinstance(self.format, formats.Generate) else ""
        found = re.fullmatch(form, request.path)
        need(found and request.method == "POST", f"no such path: {request.method} {request.path}", 404)
        asked = self.format.read(request, found.groupdict().get("model"))
        note |= {"model": asked.model, "stream": asked.stream}
        need(asked.model == self.provider.model, f"The model {asked.model} does not exist", 404)
        need(isinstance(asked.limit, int) and 0 < asked.limit <= 128000, f"the limit of the answer is {asked.limit}")
        return self.format.write(asked, self.turn(asked, note))

    def turn(self, asked: Asked, note):
        """The call of the tool for a prompt that names a note, what the tool read for its result, and else a greeting."""
        if asked.results:
            note["turn"] = "result"
            call, text = asked.results[-1]
            need(call == (self.format.call_id or TOOL), f"the result is for {call}")
            word = WORD.search(text)
            return f"The note says {word[0]}." if word else f"The tool brought no word: {text[:200]}"
        named = re.search(r"/\S+/note\.txt", "\n".join(asked.texts))
        if not named:
            return GREETING
        schema = asked.tools.get(TOOL) or {}
        offered = "file_path" in schema.get("properties", {})
        need(offered, f"the tool {TOOL} with its file_path is not among {sorted(asked.tools)}")
        note["turn"] = "call"
        return Call(self.format.call_id, {"file_path": named[0]})
