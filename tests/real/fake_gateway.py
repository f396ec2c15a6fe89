"""A company's gateway in front of Claude: the Anthropic Messages protocol under a path, with a token, own headers and own TLS.

It is strict where a company's gateway is: another path, a wrong token, a missing header, an unknown model or protocol version are refused
in Anthropic's format. What it says is made up: `hi` gets TEXT; a prompt that names a note.txt gets a call of the tool Read, and its
result gets an answer that repeats it.
"""

import http.server
import json
import re
import sys
import threading

TEXT = "gateway ok"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *rest):
        pass

    def reply(self, status, body, kind="application/json"):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.note["status"] = status
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, status, kind, why):
        self.reply(status, {"type": "error", "error": {"type": kind, "message": why}})

    def opened(self):
        """The path below the gateway's own, for whoever may come in; None when the refusal has been sent."""
        gateway = self.server.gateway
        self.note = {"method": self.command, "path": self.path, "status": 0, "model": "", "tool_result": False}
        gateway.log.append(self.note)
        path = self.path.split("?")[0]
        given = {self.headers.get("authorization"), self.headers.get("x-api-key")} - {None}
        if not path.startswith(gateway.prefix + "/"):
            return self.refuse(404, "not_found_error", "no such path")
        if not given:
            return self.refuse(401, "authentication_error", "no token")
        if given - {"Bearer " + gateway.token, gateway.token}:
            return self.refuse(401, "authentication_error", "wrong token")
        for name, value in gateway.headers.items():
            if self.headers.get(name) != value:
                return self.refuse(403, "permission_error", f"header {name} is missing")
        return path[len(gateway.prefix) :]

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.opened()
        if path == "/v1/models":
            listed = [{"type": "model", "id": name, "display_name": name} for name in self.server.gateway.models]
            self.reply(200, {"data": listed, "has_more": False})
        elif path is not None:
            self.refuse(404, "not_found_error", "no such path")

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        path = self.opened()
        if path is None:
            return None
        self.note["model"] = asked.get("model", "")
        if path not in ("/v1/messages", "/v1/messages/count_tokens"):
            return self.refuse(404, "not_found_error", "no such path")
        if self.headers.get("anthropic-version") != "2023-06-01":
            return self.refuse(400, "invalid_request_error", "anthropic-version")
        if self.note["model"] not in self.server.gateway.models:
            return self.refuse(404, "not_found_error", f"model: {self.note['model']}")
        if not asked.get("messages"):
            return self.refuse(400, "invalid_request_error", "messages: at least one")
        if path.endswith("count_tokens"):
            return self.reply(200, {"input_tokens": len(json.dumps(asked)) // 4})
        block, stop = self.block(asked)
        if asked.get("stream"):
            return self.reply(200, streamed(asked["model"], block, stop), "text/event-stream")
        return self.reply(200, {**begun(asked["model"]), "content": [block], "stop_reason": stop})

    def block(self, asked):
        """(content block, stop reason): text, or a call of Read for a prompt that names a note."""
        contents = [message["content"] for message in asked["messages"]]
        parts = [part for content in contents if not isinstance(content, str) for part in content]
        parts += [{"type": "text", "text": content} for content in contents if isinstance(content, str)]
        results = [part for part in parts if part["type"] == "tool_result"]
        if results:
            self.note["tool_result"] = True
            return {"type": "text", "text": "the tool says: " + json.dumps(results[-1].get("content"))}, "end_turn"
        named = re.search(r"/\S+/note\.txt", " ".join(part.get("text", "") for part in parts))
        if named and any(tool.get("name") == "Read" for tool in asked.get("tools", [])):
            return {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": named[0]}}, "tool_use"
        return {"type": "text", "text": TEXT}, "end_turn"


def begun(model):
    whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [], "stop_reason": None}
    return {**whole, "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 2}}


def events(model, block, stop):
    """(kind, the rest of it) of each event of a streamed answer."""
    if block["type"] == "tool_use":
        empty = {**block, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
    else:
        empty = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": part} for part in re.findall(r"\S+\s*", block["text"])]
    return [
        ("message_start", {"message": begun(model)}),
        ("content_block_start", {"index": 0, "content_block": empty}),
        ("ping", {}),
        *(("content_block_delta", {"index": 0, "delta": delta}) for delta in deltas),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": 2}}),
        ("message_stop", {}),
    ]


def streamed(model, block, stop):
    whole = [(kind, json.dumps({"type": kind, **rest})) for kind, rest in events(model, block, stop)]
    return "".join(f"event: {kind}\ndata: {data}\n\n" for kind, data in whole)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that does not trust the certificate, or leaves, is its own matter."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class FakeGateway:
    """Listens until `close`; with an authority over TLS as `localhost`."""

    def __init__(self, token, models, prefix="", headers=None, authority=None):
        self.token, self.models, self.prefix, self.headers, self.log = token, models, prefix, headers or {}, []
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.gateway = self
        if authority:
            # The handshake belongs to the connection's thread, not to the one that accepts.
            self.server.socket = authority.context("localhost").wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        scheme, host = ("https", "localhost") if authority else ("http", "127.0.0.1")
        self.url = f"{scheme}://{host}:{self.server.server_port}{prefix}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
