"""The internet as a company network shows it: a TLS-inspecting proxy on loopback, with a login or without, that answers for every provider.

Google, Anthropic and Bedrock are answered in their own formats, streaming too; the log keeps what was asked of whom.
Anything is accepted: this proves routes and plumbing, never that a provider still serves a model.
"""

import asyncio, base64, contextlib, http, json, os, re, socket, struct, threading, zlib

from authority import Authority

TEXT = "fake ok"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class FakeInternet:
    """`login` is USER:PASSWORD as the proxy wants it, or empty for a proxy that asks for none. With a `pace`, an event of a stream
    comes that many seconds after the one before."""

    address = "127.0.0.1"

    def __init__(self, directory, login="corp:p@ss", pace=0.0):
        self.authority, self.log, self.pace = Authority(directory), [], pace
        self.ca_path = self.authority.ca_path
        self.login = "Basic " + base64.b64encode(login.encode()).decode() if login else ""
        self.sa_path = os.path.join(directory, "sa.json")
        account = {
            "type": "service_account",
            "project_id": "fake-project",
            "private_key_id": "k",
            "private_key": self.authority.leaf_pem.decode(),
            "client_email": "x@fake-project.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": "https://oauth2.googleapis.com/token",
        }
        with open(self.sa_path, "w", encoding="utf-8") as file:
            json.dump(account, file)
        self.port = free_port()
        self._ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True).start()
        if not self._ready.wait(10):
            raise SystemExit("FAIL fake_internet: did not start")

    def asked(self, since=0):
        """What providers were asked for after that many entries; a login at Google is not a question."""
        return [hit for hit in self.log[since:] if hit["host"] != "oauth2.googleapis.com"]

    async def _main(self):
        server = await asyncio.start_server(self._conn, self.address, self.port)
        self._ready.set()
        async with server:
            await server.serve_forever()

    @staticmethod
    async def _req(r):
        line = await r.readline()
        if not line.strip():
            return None
        method, path, _ = line.decode().split(" ", 2)
        headers = {}
        while True:
            line = (await r.readline()).decode()
            if line in ("\r\n", "\n", ""):
                break
            name, value = line.split(":", 1)
            headers[name.strip().lower()] = value.strip()
        body = b""
        if "content-length" in headers:
            body = await r.readexactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            while size := int((await r.readline()).strip(), 16):
                body += await r.readexactly(size)
                await r.readline()
            await r.readline()
        return method, path, headers, body

    async def _conn(self, r, w):
        try:
            request = await self._req(r)
            if not request:
                return
            method, path, headers, _ = request
            host = "plain-http"
            if method == "CONNECT":
                host = path.rsplit(":", 1)[0]
                if self.login and headers.get("proxy-authorization") != self.login:
                    self.log.append({"host": host, "path": "(407 no proxy credentials)", "model": ""})
                    w.write(
                        b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n"
                    )
                    await w.drain()
                    return
                w.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await w.drain()
                await w.start_tls(self.authority.context(host))
                request = await self._req(r)
            while request:
                await self._reply(host, request, w)
                request = await self._req(r)
        except Exception as error:
            self.log.append({"host": "error", "path": repr(error), "model": ""})
        finally:
            with contextlib.suppress(Exception):
                w.close()

    async def _reply(self, host, request, w):
        status, kind, answer = self.reply(host, *request)
        answer = answer.encode() if isinstance(answer, str) else answer
        reason = http.HTTPStatus(status).phrase
        head = f"HTTP/1.1 {status} {reason}\r\ncontent-type: {kind}\r\ncontent-length: {len(answer)}\r\n\r\n"
        w.write(head.encode())
        if self.pace and kind == "text/event-stream":
            for event in re.split(rb"(?<=\n\n)", answer):
                w.write(event)
                await w.drain()
                await asyncio.sleep(self.pace)
        else:
            w.write(answer)
        await w.drain()

    def reply(self, host, method, path, headers, body):
        """(status, content type, body) for one request, which comes into the log."""
        try:
            asked = json.loads(body) if body else {}
        except ValueError:
            asked = {}
        self.log.append({"host": host, "path": path, "method": method, "model": str(asked.get("model", ""))})
        return 200, *self.answer(host, path, asked)

    @staticmethod
    def answer(host, path, asked):
        """(content type, body) of the provider behind that host and path."""
        if host == "oauth2.googleapis.com":
            return as_json({"access_token": "ya29.fake", "expires_in": 3600, "token_type": "Bearer"})
        if "countTokens" in path:
            return as_json({"totalTokens": 7})
        if "streamGenerateContent" in path:
            return "text/event-stream", "data: " + json.dumps(GEMINI) + "\r\n\r\n"
        if "generateContent" in path:
            return as_json(GEMINI)
        if host.startswith("bedrock-runtime") and "stream" in path:
            events = [{"type": kind, **rest} for kind, rest in message_events(asked)]
            return "application/vnd.amazon.eventstream", b"".join(amazon_event(event) for event in events)
        if host == "api.anthropic.com" or "publishers/anthropic" in path or host.startswith("bedrock-runtime"):
            if "count" in path:
                return as_json({"input_tokens": 7})
            if asked.get("stream"):
                events = message_events(asked)
                return "text/event-stream", "".join(
                    f"event: {kind}\ndata: {json.dumps({'type': kind, **rest})}\n\n" for kind, rest in events
                )
            return as_json(message(asked))
        if "chat/completions" in path or "awPredict" in path:
            if asked.get("stream") or "streamRawPredict" in path:
                return "text/event-stream", chat_events()
            choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
            return as_json({**CHAT, "object": "chat.completion", "usage": usage, "choices": [choice]})
        return as_json({})


GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": TEXT}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
}
CHAT = {"id": "c", "created": 1, "model": "m"}


def as_json(value):
    return "application/json", json.dumps(value)


def message(asked):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": asked.get("model", "m"),
        "content": [{"type": "text", "text": TEXT}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }


def message_events(asked):
    begun = {**message(asked), "content": [], "stop_reason": None}
    ended = {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 2}}
    return [
        ("message_start", {"message": begun}),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": TEXT}}),
        ("content_block_stop", {"index": 0}),
        ("message_delta", ended),
        ("message_stop", {}),
    ]


def chat_events():
    def event(delta, finish=None):
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return "data: " + json.dumps({**CHAT, "object": "chat.completion.chunk", "choices": [choice]}) + "\n\n"

    pieces = [event({"role": "assistant", "content": piece}) for piece in (TEXT[:3], TEXT[3:])]
    return "".join(pieces) + event({}, "stop") + "data: [DONE]\n\n"


def amazon_event(value):
    """One frame of Amazon's event stream: lengths, their checksum, headers, payload, checksum of all."""
    payload = json.dumps({"bytes": base64.b64encode(json.dumps(value).encode()).decode()}).encode()
    headers = b""
    for name, text in ((":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event")):
        headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(text)) + text.encode()
    frame = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    frame += struct.pack(">I", zlib.crc32(frame)) + headers + payload
    return frame + struct.pack(">I", zlib.crc32(frame))
