"""LiteLLM as it is seen from outside: takes every configuration for good and serves the models that it names until it is told to end."""

import http.server
import json
import os
import re
import signal
import sys

if "--validate_config" in sys.argv:
    sys.exit(0)


def argument(name):
    return sys.argv[sys.argv.index(name) + 1]


def names():
    with open(argument("--config"), encoding="utf-8") as file:
        text = file.read()
    aliases = re.search(r"model_group_alias:\n((?:    .*\n?)*)", text)
    return re.findall(r"model_name: (\S+)", text) + (re.findall(r"^    (\S+):", aliases[1], re.M) if aliases else [])


served = names()


def load(*_):
    global served
    served = names()


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *rest):
        pass

    def do_GET(self):
        status, body = 200, {"status": "healthy", "message": "I'm alive!"}
        if self.path == "/v1/models":
            body = {"data": [{"id": name} for name in served]}
            if self.headers.get("authorization") != "Bearer " + os.environ["LITELLM_MASTER_KEY"]:
                status, body = 401, {"error": {"message": "no key"}}
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


signal.signal(signal.SIGHUP, load)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
http.server.ThreadingHTTPServer(("127.0.0.1", int(argument("--port"))), Handler).serve_forever()
