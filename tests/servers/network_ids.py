"""Between Compose and the socket of a podman before 5.4, which gives the name of a network where its id belongs: Compose 2.32 and later
takes each container for one of another network and makes it again at every `up`, the database too. This puts the id there, as podman 5.4
does; everything else passes unchanged."""
import json
import re
import socket
import threading

ASKED = re.compile(rb"GET \S*/containers/(?:json|[^/ ]+/json)[? ]")


def head_of(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b"", b""
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def whole(connection):
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def plain(head, body):
    """A body without the frames of its pieces."""
    if b"transfer-encoding: chunked" not in head.lower():
        return body
    text = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        text, body = text + body[:int(size, 16)], body[int(size, 16) + 2:]
    return text


def pour(source, target):
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
    except OSError:
        pass
    try:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class NetworkIds:
    def __init__(self, upstream, path):
        self.upstream, self.listening = str(upstream), socket.socket(socket.AF_UNIX)
        self.listening.bind(str(path))
        self.listening.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listening.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def podman(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.upstream)
        return connection

    def ids(self):
        with self.podman() as connection:
            connection.sendall(b"GET /v1.41/networks HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
            head, _, body = whole(connection).partition(b"\r\n\r\n")
        return {network["Name"]: network["Id"] for network in json.loads(plain(head, body))}

    def serve(self, client):
        """One request: a connection is not used again, so that none passes unseen."""
        with client, self.podman() as podman:
            head, rest = head_of(client)
            if b"\nupgrade:" not in head.lower():
                head = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head) + b"\r\nConnection: close"
            podman.sendall(head + b"\r\n\r\n" + rest)
            if ASKED.match(head):
                client.sendall(self.corrected(whole(podman)))
                return
            sending = threading.Thread(target=pour, args=(client, podman), daemon=True)
            sending.start()
            pour(podman, client)

    def corrected(self, answer):
        head, _, body = answer.partition(b"\r\n\r\n")
        ids, value = self.ids(), json.loads(plain(head, body))
        for container in value if isinstance(value, list) else [value]:
            for name, network in container.get("NetworkSettings", {}).get("Networks", {}).items():
                network["NetworkID"] = ids.get(name, network["NetworkID"])
        body = json.dumps(value).encode()
        head = re.sub(rb"(?i)\r\n(?:transfer-encoding|content-length|connection):[^\r]*", b"", head)
        return head + b"\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
