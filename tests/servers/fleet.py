#!/usr/bin/env python3
"""Ten thousand machines and one static mirror: what a check costs, and who takes part in a roll-out.

usage: tests/servers/fleet.py [MACHINES]     (needs nginx)

Each machine asks nginx once per round, on a connection of its own, for the channel document that it does not have yet, and
decides by the documented rule (sha256 of id and manifest) whether it takes part. Bytes are those of HTTP as the socket
carries them; TLS comes on top of them.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

CONFIGURATION = """daemon off;
pid {place}/nginx.pid;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
    access_log off;
    default_type application/octet-stream;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    server {{ listen 127.0.0.1:{port}; root {place}/site; }}
}}
"""
RELEASE = hashlib.sha256(b"a manifest").hexdigest()
AT_ONCE = 32


def check(what, holds):
    print(f"{'ok' if holds else 'FAILED'}: {what}", flush=True)
    if not holds:
        sys.exit(1)


def document(percent, hour):
    """A channel document as the release builder writes it; its signature is another file, asked for when this one changed."""
    older = hashlib.sha256(b"an older manifest").hexdigest()
    facts = {"schema": 1, "product": "gwinstall", "channel": "stable", "seq": 3, "version": "1.2.0",
             "manifest_sha256": RELEASE, "keys_version": 1, "at": f"2026-11-21T{hour:02}:00:00Z",
             "expires": "2027-01-20T00:00:00Z", "severity": "normal", "min_seq": 1,
             "rollout": [{"percent": percent, "from": f"2026-11-21T{hour:02}:00:00Z"}],
             "previous": {"seq": 2, "version": "1.1.0", "manifest_sha256": older}}
    return json.dumps(facts, indent=2).encode() + b"\n"


class Machine:
    def __init__(self, number):
        identity = hashlib.sha256(b"machine %d" % number).hexdigest()[:32]
        self.place = int(hashlib.sha256((identity + RELEASE).encode()).hexdigest()[:8], 16) % 10_000
        self.etag, self.percent, self.has_it = None, None, False

    def ask(self, port):
        """One conditional GET: status and bytes received."""
        known = f"If-None-Match: {self.etag}\r\n" if self.etag else ""
        with socket.create_connection(("127.0.0.1", port), timeout=30) as wire:
            wire.sendall(f"GET /channel-stable.json HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n{known}\r\n".encode())
            answer = b"".join(iter(lambda: wire.recv(65536), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        if status == 200:
            self.etag = next(line[6:] for line in head.decode().split("\r\n") if line.startswith("ETag: "))
            self.percent = json.loads(body)["rollout"][0]["percent"]
        self.has_it = self.has_it or self.place < self.percent * 100
        return status, len(answer), len(body)


def everyone_asks(pool, machines, port):
    began = time.monotonic()
    answers = list(pool.map(lambda machine: machine.ask(port), machines))
    seconds, received = time.monotonic() - began, sum(answer[1] for answer in answers)
    print(f"    {len(answers)} requests in {seconds:.1f} s: {received} bytes, {received / len(answers):.0f} each", flush=True)
    return answers


def simulate(place, port, machines):
    path = place / "site/channel-stable.json"
    took_part = set()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for hour, (percent, has_it) in enumerate([(5, 5), (50, 50), (0, 50)]):
            path.with_suffix(".new").write_bytes(document(percent, hour))
            # An ETag of nginx is a length and a second.
            os.utime(path.with_suffix(".new"), (1_795_000_000 + hour, 1_795_000_000 + hour))
            path.with_suffix(".new").replace(path)
            print(f"{percent} %: the document has {path.stat().st_size} bytes")
            check("it has at most 2 KiB", path.stat().st_size <= 2048)
            changed = everyone_asks(pool, machines, port)
            check("each machine received it once", all(status == 200 for status, _, _ in changed))
            same = everyone_asks(pool, machines, port)
            check("unchanged, it costs no body and less than 200 bytes",
                  all(status == 304 and not body and received < 200 for status, received, body in same))
            having = {number for number, machine in enumerate(machines) if machine.has_it}
            share = 100 * len(having) / len(machines)
            check(f"{share:.2f} % of the machines have the release", abs(share - has_it) <= 1)
            check("none of them fell out", took_part <= having)
            took_part = having


def main():
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if not nginx:
        sys.exit("nginx is not installed")
    machines = [Machine(number) for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)]
    with tempfile.TemporaryDirectory() as directory:
        place = pathlib.Path(directory)
        (place / "site").mkdir()
        # The workers of nginx run as another user.
        place.chmod(0o755)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        (place / "nginx.conf").write_text(CONFIGURATION.format(place=place, port=port))
        server = subprocess.Popen([nginx, "-p", place, "-c", place / "nginx.conf", "-e", place / "error.log"])
        try:
            for _ in range(100):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            simulate(place, port, machines)
        finally:
            server.terminate()
            server.wait(10)
    print("all checks passed")


if __name__ == "__main__":
    main()
