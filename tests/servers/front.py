"""The rendered site in front of two instances of which one closes connections that nginx keeps: what LiteLLM does where it stops just as
a request comes. The instances are stand-ins, because the moment cannot be met with real ones; nginx is real."""
import http.server
import threading

from stage import CONVERSATION, KEY, Wrong

ASKED = 12


class Instance(http.server.BaseHTTPRequestHandler):
    """Answers; where `closes`, only the first request of a connection."""

    protocol_version = "HTTP/1.1"
    closes = False

    def setup(self):
        super().setup()
        self.requests = 0

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.requests += 1
        if self.closes and self.requests > 1:
            self.server.closed += 1
            self.close_connection = True
            return
        self.rfile.read(int(self.headers["Content-Length"]))
        data = b'{"answered": true}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Stopping(Instance):
    closes = True


def chain(stage, seen):
    stage.render()
    stage.nginx()
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", stage.port + place), kind) for place, kind in enumerate((Stopping, Instance))]
    for server in servers:
        server.daemon_threads, server.closed = True, 0
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        for text in ("hi", CONVERSATION):
            statuses = [stage.message(KEY, text)[0] for _ in range(ASKED)]
            closed, servers[0].closed = servers[0].closed, 0
            if not closed:
                raise Wrong("no connection that nginx kept was closed: nothing was tested")
            if set(statuses) != {200}:
                raise Wrong(f"{len(text)} bytes: {closed} connections closed under a request; the client sees {statuses}")
            seen(f"{ASKED} requests of {len(text)} bytes, {closed} on connections that the instance closes: all are answered by the other one")
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
