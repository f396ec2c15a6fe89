"""The formats in which providers are asked, each as its provider documents it: what a request holds, and how an answer streams.

A format reads a request into what was asked, and refuses in its provider's words what that provider would refuse. It plays one
tool: Claude Code must offer it, its call goes out as the provider streams it, and its result must come back to that call.
"""

import base64
import json
import re
import secrets
from dataclasses import dataclass

import fake_gateway
from fake_internet import amazon_event, as_json

TOOL = "Read"
# Function names, as OpenAI and those who follow it document them.
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
JSON_LINE, EVENTS = "application/json", "text/event-stream"


class Refused(Exception):
    """A request that the provider does not take."""

    def __init__(self, status, why):
        super().__init__(why)
        self.status, self.why = status, why


@dataclass
class Asked:
    """What a request asks for, whatever its format."""

    model: str
    limit: object
    tools: dict
    texts: list
    results: list
    stream: bool


@dataclass
class Call:
    """The model calls the tool; without one it only says a text."""

    id: str
    input: dict


def need(holds, why, status=400):
    if not holds:
        raise Refused(status, why)


def known(node, names, where, status=400):
    """Refuses a field that the provider does not document."""
    unknown = sorted(set(node) - set(names))
    need(not unknown, f"{where}: property '{', '.join(unknown)}' is unsupported", status)


def texts_in(content, kinds=("text",)):
    """The texts of a content that is one text or a list of parts."""
    if content is None or isinstance(content, str):
        return [content] if content else []
    need(isinstance(content, list), "content is neither text nor parts")
    return [part["text"] for part in content if part.get("type") in kinds]


def answered(results, calls):
    """Every result belongs to a call that stands before it."""
    for call, _ in results:
        need(call in calls, f"a tool result for {call}, which nothing called")


class Messages:
    """Anthropic's Messages: https://docs.claude.com/en/api/messages"""

    version = None
    call_id = "toolu_01A09q90qw90lq917835lq9"

    def error(self, status, why):
        kinds = {401: "authentication_error", 403: "permission_error", 404: "not_found_error"}
        return {"type": "error", "error": {"type": kinds.get(status, "invalid_request_error"), "message": why}}

    def read(self, request, model):
        asked = request.body
        if self.version:
            need(asked.get("anthropic_version") == self.version, "anthropic_version")
            need("model" not in asked, "model: extra inputs are not permitted")
        else:
            need(request.headers.get("anthropic-version") == "2023-06-01", "anthropic-version: header is required")
            model = asked.get("model")
        need(asked.get("messages"), "messages: at least one")
        texts, results, calls = [], [], []
        for message in asked["messages"]:
            content = message["content"]
            texts += texts_in(content)
            for part in content if isinstance(content, list) else []:
                if part["type"] == "tool_use":
                    calls.append(part["id"])
                elif part["type"] == "tool_result":
                    results.append((part["tool_use_id"], "".join(texts_in(part.get("content")))))
        answered(results, calls)
        # A tool of Anthropic's own is named by its type and brings no schema.
        tools = {tool["name"]: tool.get("input_schema") for tool in asked.get("tools", []) if "name" in tool}
        return Asked(model, asked.get("max_tokens"), tools, texts, results, self.streams(request))

    def streams(self, request):
        return bool(request.body.get("stream"))

    def parts(self, said):
        """(content block, stop reason) of an answer."""
        if isinstance(said, Call):
            return {"type": "tool_use", "id": said.id, "name": TOOL, "input": said.input}, "tool_use"
        return {"type": "text", "text": said}, "end_turn"

    def write(self, asked, said):
        block, stop = self.parts(said)
        if asked.stream:
            return EVENTS, fake_gateway.streamed(asked.model, block, stop)
        return as_json({**fake_gateway.begun(asked.model), "content": [block], "stop_reason": stop})


class VertexMessages(Messages):
    """Claude at Vertex AI: the model stands in the path, the version in the body."""

    version = "vertex-2023-10-16"

    def streams(self, request):
        streams = request.path.endswith(":streamRawPredict")
        need(bool(request.body.get("stream")) == streams, "stream does not fit the method")
        return streams


class BedrockMessages(Messages):
    """Claude at Bedrock, by InvokeModel: Amazon's event stream with Anthropic's events inside."""

    version = "bedrock-2023-05-31"
    call_id = "toolu_bdrk_01A09q90qw90lq917835lq9"

    def error(self, status, why):
        return {"message": why}

    def streams(self, request):
        need("stream" not in request.body, "stream: extra inputs are not permitted")
        return request.path.endswith("/invoke-with-response-stream")

    def write(self, asked, said):
        if not asked.stream:
            return super().write(asked, said)
        events = fake_gateway.events(asked.model, *self.parts(said))
        frames = [amazon_event({"type": kind, **rest}) for kind, rest in events]
        return "application/vnd.amazon.eventstream", b"".join(frames)


class Chat:
    """OpenAI's chat completions, and how others differ: https://platform.openai.com/docs/api-reference/chat"""

    call_id = "call_Zb3kQm7tYw1xVn5RfLp0s8dA"
    invalid = 400
    # By role, where the provider refuses every other property.
    properties = None
    fields = None
    whole_call = False
    # What each answer of this provider holds besides.
    besides = {}

    def error(self, status, why):
        code = "invalid_api_key" if status == 401 else None
        return {"error": {"message": why, "type": "invalid_request_error", "param": None, "code": code}}

    def read(self, request, model):
        asked = request.body
        if self.fields:
            known(asked, self.fields, "body", self.invalid)
        need(asked.get("messages"), "messages: too short")
        texts, results, calls = [], [], []
        for index, message in enumerate(asked["messages"]):
            role = message["role"]
            need(role in ("system", "developer", "user", "assistant", "tool"), f"messages[{index}].role: {role}")
            if self.properties:
                known(message, self.properties[role], f"messages[{index}]", self.invalid)
            for call in message.get("tool_calls") or []:
                need(json.loads(call["function"]["arguments"]) is not None, "arguments is not JSON")
                calls.append(call["id"])
            content = texts_in(message.get("content"))
            if role == "tool":
                results.append((message["tool_call_id"], "".join(content)))
            else:
                texts += content
        answered(results, calls)
        tools = {}
        for tool in asked.get("tools", []):
            need(tool.get("type") == "function", f"tools: {tool.get('type')} is not function")
            need(NAME.fullmatch(tool["function"]["name"]), f"tools: the name {tool['function']['name']}")
            tools[tool["function"]["name"]] = tool["function"].get("parameters")
        self.more(asked)
        limit = asked.get("max_completion_tokens", asked.get("max_tokens"))
        return Asked(asked.get("model"), limit, tools, texts, results, bool(asked.get("stream")))

    def more(self, asked):
        """What this provider asks for besides."""

    def write(self, asked, said):
        call = isinstance(said, Call)
        calls = [self.call(said, json.dumps(said.input))] if call else None
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        base = {"id": "chatcmpl-1", "created": 1, "model": asked.model, **self.besides}
        if not asked.stream:
            message = {"role": "assistant", "content": None if call else said} | ({"tool_calls": calls} if call else {})
            choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if call else "stop"}
            return as_json({**base, "object": "chat.completion", "usage": usage, "choices": [choice]})
        deltas = [{"role": "assistant", "content": "" if self.whole_call or not call else None}]
        if call and self.whole_call:
            deltas.append({"tool_calls": [{**calls[0], "index": 0}]})
        elif call:
            arguments = calls[0]["function"]["arguments"]
            deltas.append({"tool_calls": [{**self.call(said, ""), "index": 0}]})
            for piece in (arguments[:9], arguments[9:]):
                deltas.append({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        else:
            deltas += [{"content": piece} for piece in re.findall(r"\S+\s*", said)]
        choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
        choices.append([{"index": 0, "delta": {}, "finish_reason": "tool_calls" if call else "stop"}])
        chunks = [{**base, "object": "chat.completion.chunk", "choices": choice} for choice in choices]
        chunks.append({**base, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        return EVENTS, "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"

    @staticmethod
    def call(said, arguments):
        return {"id": said.id, "type": "function", "function": {"name": TOOL, "arguments": arguments}}


class AzureChat(Chat):
    """A GPT-5 or later at Azure OpenAI: the path names its deployment, and a user has at most 64 characters, as at OpenAI."""

    def read(self, request, model):
        asked = super().read(request, model)
        asked.model = model
        return asked

    def more(self, asked):
        need(len(asked.get("user", "")) <= 64, "Invalid 'user': string too long. Expected a string with maximum length 64")
        need("max_tokens" not in asked, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")


class GroqChat(Chat):
    """Groq names every property that it does not know: https://console.groq.com/docs/api-reference"""

    besides = {"service_tier": "on_demand"}
    properties = {
        "system": {"role", "content", "name"},
        "user": {"role", "content", "name"},
        "assistant": {"role", "content", "name", "tool_calls", "reasoning"},
        "tool": {"role", "content", "tool_call_id", "name"},
    }


class MistralChat(Chat):
    """Mistral takes no field that it does not document, and its ids have nine characters: https://docs.mistral.ai/api"""

    call_id = "D681PevKs"
    invalid = 422
    whole_call = True
    fields = {
        *("model", "messages", "temperature", "top_p", "max_tokens", "stream", "stop", "random_seed", "metadata"),
        *("response_format", "tools", "tool_choice", "presence_penalty", "frequency_penalty", "n", "prediction"),
        *("parallel_tool_calls", "prompt_mode", "reasoning_effort", "safe_prompt", "prompt_cache_key"),
    }
    properties = {
        "system": {"role", "content"},
        "user": {"role", "content"},
        "assistant": {"role", "content", "tool_calls", "prefix"},
        "tool": {"role", "content", "tool_call_id", "name"},
    }

    def error(self, status, why):
        return {"object": "error", "message": why, "type": "invalid_request_error", "param": None, "code": None}

    def more(self, asked):
        for message in asked["messages"]:
            ids = [call["id"] for call in message.get("tool_calls") or []] + [message.get("tool_call_id", self.call_id)]
            for id in ids:
                why = f"Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9."
                need(re.fullmatch("[a-zA-Z0-9]{9}", id), why)


class Responses:
    """OpenAI's Responses: https://platform.openai.com/docs/api-reference/responses"""

    call_id = Chat.call_id
    error = Chat.error

    def read(self, request, model):
        asked = request.body
        need(len(asked.get("user", "")) <= 64, "Invalid 'user': string too long. Expected a string with maximum length 64")
        need(asked.get("input"), "input: too short")
        texts, results, calls = [asked.get("instructions") or ""], [], []
        for item in asked["input"]:
            kind = item.get("type", "message")
            if kind == "message":
                texts += texts_in(item["content"], ("input_text", "output_text"))
            elif kind == "function_call":
                calls.append(item["call_id"])
            elif kind == "function_call_output":
                results.append((item["call_id"], "".join(texts_in(item["output"], ("input_text",)))))
            else:
                need(kind == "reasoning", f"input: Invalid value: '{kind}'")
        answered(results, calls)
        tools = {}
        for tool in asked.get("tools", []):
            need(tool.get("type") == "function", f"tools: {tool.get('type')} is not function")
            need(NAME.fullmatch(tool["name"]), f"tools: the name {tool['name']}")
            tools[tool["name"]] = tool.get("parameters")
        return Asked(asked.get("model"), asked.get("max_output_tokens"), tools, texts, results, bool(asked.get("stream")))

    def write(self, asked, said):
        if isinstance(said, Call):
            arguments = json.dumps(said.input)
            begun = {"type": "function_call", "id": "fc_1", "call_id": said.id, "name": TOOL, "arguments": ""}
            whole, middle = {**begun, "arguments": arguments}, self.arguments(arguments)
        else:
            part = {"type": "output_text", "text": said, "annotations": [], "logprobs": []}
            whole = {"type": "message", "id": "msg_1", "role": "assistant", "content": [part]}
            begun, middle = {**whole, "content": []}, self.text(said, part)
        response = {
            **{"id": "resp_1", "object": "response", "created_at": 1, "model": asked.model, "status": "completed"},
            **{"error": None, "incomplete_details": None, "instructions": None, "metadata": {}},
            **{"temperature": 1.0, "top_p": 1.0, "tool_choice": "auto", "tools": [], "parallel_tool_calls": True},
            "output": [{**whole, "status": "completed"}],
            "usage": {
                **{"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
                **{"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}},
            },
        }
        if not asked.stream:
            return as_json(response)
        early = {**response, "status": "in_progress", "output": [], "usage": None}
        events = [
            ("response.created", {"response": early}),
            ("response.in_progress", {"response": early}),
            ("response.output_item.added", {"output_index": 0, "item": {**begun, "status": "in_progress"}}),
            *((kind, {"output_index": 0, "item_id": whole["id"], **rest}) for kind, rest in middle),
            ("response.output_item.done", {"output_index": 0, "item": response["output"][0]}),
            ("response.completed", {"response": response}),
        ]
        whole = [(kind, {"type": kind, "sequence_number": index, **rest}) for index, (kind, rest) in enumerate(events)]
        return EVENTS, "".join(f"event: {kind}\ndata: {json.dumps(rest)}\n\n" for kind, rest in whole)

    @staticmethod
    def arguments(text):
        deltas = [("response.function_call_arguments.delta", {"delta": piece}) for piece in (text[:9], text[9:])]
        return [*deltas, ("response.function_call_arguments.done", {"arguments": text, "name": TOOL})]

    @staticmethod
    def text(said, part):
        at = {"content_index": 0}
        pieces = re.findall(r"\S+\s*", said)
        deltas = [("response.output_text.delta", {**at, "delta": piece, "logprobs": []}) for piece in pieces]
        return [
            ("response.content_part.added", {**at, "part": {**part, "text": ""}}),
            *deltas,
            ("response.output_text.done", {**at, "text": said, "logprobs": []}),
            ("response.content_part.done", {**at, "part": part}),
        ]


def field(node, name):
    """A field of Google's, which takes both spellings."""
    return node.get(name, node.get(re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name)))


class Generate:
    """Google's generateContent, with its context caches: https://ai.google.dev/api/generate-content and /api/caching"""

    call_id = ""
    # https://ai.google.dev/api/caching#Schema
    schema = {
        *("type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems", "properties", "required"),
        *("minProperties", "maxProperties", "minLength", "maxLength", "pattern", "example", "anyOf", "propertyOrdering"),
        *("default", "items", "minimum", "maximum"),
    }

    def __init__(self):
        self.caches, self.signature = {}, base64.b64encode(secrets.token_bytes(48)).decode()

    def error(self, status, why):
        word = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}.get(status, "INVALID_ARGUMENT")
        return {"error": {"code": status, "message": why, "status": word}}

    def cache(self, request, parent):
        """Lists the context caches, or makes one: what a later request leaves out."""
        if request.method == "GET":
            words = ("model", "displayName")
            listed = [{"name": name, **{word: asked[word] for word in words}} for name, asked in self.caches.items()]
            return as_json({"cachedContents": listed} if listed else {})
        need(request.method == "POST", "method", 404)
        name = f"{parent}cachedContents/{len(self.caches) + 1}"
        self.caches[name] = request.body
        return as_json({"name": name, "model": request.body["model"], "expireTime": "2049-01-01T00:00:00Z"})

    def read(self, request, model):
        asked, cached = request.body, {}
        if name := field(asked, "cachedContent"):
            need(name in self.caches, f"CachedContent {name} not found", 403)
            cached = self.caches[name]
            need(cached["model"].endswith(f"/{model}"), "The model of the request and of CachedContent has to be the same.")
            own = [name for name in ("systemInstruction", "tools", "toolConfig") if field(asked, name)]
            need(not own, f"CachedContent can not be used with GenerateContent request setting {', '.join(own)}.")
        texts, results, calls = [], [], []
        need(asked.get("contents"), "contents is not specified")
        for content in [*cached.get("contents", []), *asked["contents"]]:
            need(content.get("role") in ("user", "model"), "Please use a valid role: user, model.")
            for part in content["parts"]:
                if call := field(part, "functionCall"):
                    calls.append(call["name"])
                    signed = field(part, "thoughtSignature")
                    need(signed == self.signature, "Function call is missing a thought_signature in functionCall parts.")
                elif result := field(part, "functionResponse"):
                    results.append((result["name"], json.dumps(result["response"])))
                elif not part.get("thought"):
                    texts.append(part.get("text", ""))
        answered(results, calls)
        self.labels(asked.get("labels") or {})
        tools = {}
        for tool in field(cached, "tools") or field(asked, "tools") or []:
            for function in field(tool, "functionDeclarations") or []:
                tools[function["name"]] = field(function, "parameters") or field(function, "parametersJsonSchema")
                self.documented(field(function, "parameters") or {})
        limit = field(field(asked, "generationConfig") or {}, "maxOutputTokens")
        return Asked(model, limit, tools, texts, results, "streamGenerateContent" in request.path)

    def documented(self, schema):
        known(schema, self.schema, "Invalid JSON payload received. Unknown name at tools")
        items = [schema["items"]] if "items" in schema else []
        for inner in (*schema.get("properties", {}).values(), *schema.get("anyOf", []), *items):
            self.documented(inner)

    def labels(self, labels):
        need(not labels, "labels is not supported by the Gemini API")

    def write(self, asked, said):
        if isinstance(said, Call):
            turns = [[{"functionCall": {"name": TOOL, "args": said.input}, "thoughtSignature": self.signature}]]
        else:
            turns = [[{"text": piece}] for piece in (re.findall(r"\S+\s*", said) if asked.stream else [said])]
        chunks = [{"candidates": [{"index": 0, "content": {"role": "model", "parts": parts}}]} for parts in turns]
        chunks[-1]["candidates"][0]["finishReason"] = "STOP"
        chunks[-1]["usageMetadata"] = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
        if asked.stream:
            return EVENTS, "".join(f"data: {json.dumps(chunk)}\r\n\r\n" for chunk in chunks)
        return as_json(chunks[0])


class VertexGenerate(Generate):
    """Gemini at Vertex AI: labels of the bill may come with a request, in the form that Google Cloud documents for them."""

    def labels(self, labels):
        for name, value in labels.items():
            need(re.fullmatch("[a-z][a-z0-9_-]{0,62}", name), f"labels: the key {name}")
            need(re.fullmatch("[a-z0-9_-]{0,63}", value), f"labels: the value of {name} is {value}")
