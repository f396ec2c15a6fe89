"""The internet as a company network shows it: an authenticated TLS-inspecting proxy on loopback that answers for every provider.

Google, Anthropic and Bedrock are answered in their own formats, streaming too; the log keeps what was asked of whom.
Anything is accepted: this proves routes and plumbing, never that a provider still serves a model.
"""

import asyncio, contextlib, json, os, socket, threading


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class FakeInternet:
    def __init__(self, d):
        from cryptography import x509
        from cryptography.x509.oid import NameOID
        from cryptography.hazmat.primitives import hashes, serialization as ser
        from cryptography.hazmat.primitives.asymmetric import rsa
        import datetime, ssl

        self.dir, self.log, self._ctx, self._ssl = d, [], {}, ssl
        t0, t1 = datetime.datetime(2020, 1, 1), datetime.datetime(2049, 1, 1)
        ck, lk = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
        name = lambda s: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, s[:60])])
        ca = (
            x509.CertificateBuilder()
            .subject_name(name("fake corporate CA"))
            .issuer_name(name("fake corporate CA"))
            .public_key(ck.public_key())
            .serial_number(1)
            .not_valid_before(t0)
            .not_valid_after(t1)
            .add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(ck.public_key()), False)
            .add_extension(x509.KeyUsage(True, False, False, False, False, True, True, False, False), True)
            .sign(ck, hashes.SHA256())
        )
        self.ca_path = os.path.join(d, "ca.pem")
        open(self.ca_path, "wb").write(ca.public_bytes(ser.Encoding.PEM))
        lkpem = lk.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption())
        self.sa_path = os.path.join(d, "sa.json")
        json.dump(
            {
                "type": "service_account",
                "project_id": "fake-project",
                "private_key_id": "k",
                "private_key": lkpem.decode(),
                "client_email": "x@fake-project.iam.gserviceaccount.com",
                "client_id": "1",
                "token_uri": "https://oauth2.googleapis.com/token",
            },
            open(self.sa_path, "w"),
        )

        def ctx(host):
            if host not in self._ctx:
                c = (
                    x509.CertificateBuilder()
                    .subject_name(name(host))
                    .issuer_name(name("fake corporate CA"))
                    .public_key(lk.public_key())
                    .serial_number(x509.random_serial_number())
                    .not_valid_before(t0)
                    .not_valid_after(t1)
                    .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False)
                    .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ck.public_key()), False)
                    .sign(ck, hashes.SHA256())
                )
                f = os.path.join(d, f"leaf{len(self._ctx)}.pem")
                open(f, "wb").write(c.public_bytes(ser.Encoding.PEM) + lkpem)
                s = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                s.load_cert_chain(f)
                self._ctx[host] = s
            return self._ctx[host]

        self.ctx = ctx
        self.port = free_port()
        self._ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True).start()
        if not self._ready.wait(10):
            raise SystemExit("FAIL fake_internet: did not start")

    async def _main(self):
        srv = await asyncio.start_server(self._conn, "127.0.0.1", self.port)
        self._ready.set()
        async with srv:
            await srv.serve_forever()

    @staticmethod
    async def _req(r):
        line = await r.readline()
        if not line.strip():
            return None
        m, p, _ = line.decode().split(" ", 2)
        h = {}
        while True:
            l = (await r.readline()).decode()
            if l in ("\r\n", "\n", ""):
                break
            k, v = l.split(":", 1)
            h[k.strip().lower()] = v.strip()
        b = b""
        if "content-length" in h:
            b = await r.readexactly(int(h["content-length"]))
        elif h.get("transfer-encoding") == "chunked":
            while n := int((await r.readline()).strip(), 16):
                b += await r.readexactly(n)
                await r.readline()
            await r.readline()
        return m, p, h, b

    async def _conn(self, r, w):
        try:
            q = await self._req(r)
            if not q:
                return
            m, p, h, b = q
            host = "plain-http"
            if m == "CONNECT":
                host = p.rsplit(":", 1)[0]
                if h.get("proxy-authorization") != "Basic Y29ycDpwQHNz":  # corp:p@ss
                    self.log.append({"host": host, "path": "(407 no proxy credentials)"})
                    w.write(
                        b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n"
                    )
                    await w.drain()
                    return
                w.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await w.drain()
                await w.start_tls(self.ctx(host))
                q = await self._req(r)
            while q:
                m, p, h, b = q
                self.log.append(
                    {
                        "host": host,
                        "path": p,
                        "method": m,
                        "auth": (h.get("authorization") or h.get("x-api-key") or "")[:24],
                    }
                )
                ct, body = self.answer(host, p, b)
                body = body.encode()
                w.write(f"HTTP/1.1 200 OK\r\ncontent-type: {ct}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
                await w.drain()
                q = await self._req(r)
        except Exception as e:
            self.log.append({"host": "error", "path": repr(e)})
        finally:
            with contextlib.suppress(Exception):
                w.close()

    @staticmethod
    def answer(host, p, b):
        try:
            j = json.loads(b) if b else {}
        except ValueError:
            j = {}
        js = lambda o: ("application/json", json.dumps(o))
        gem = {
            "candidates": [{"content": {"role": "model", "parts": [{"text": "fake ok"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
        }
        msg = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": j.get("model", "m"),
            "content": [{"type": "text", "text": "fake ok"}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 3, "output_tokens": 2},
        }
        if host == "oauth2.googleapis.com":
            return js({"access_token": "ya29.fake", "expires_in": 3600, "token_type": "Bearer"})
        if "countTokens" in p:
            return js({"totalTokens": 7})
        if "streamGenerateContent" in p:
            return "text/event-stream", "data: " + json.dumps(gem) + "\r\n\r\n"
        if "generateContent" in p:
            return js(gem)
        if host == "api.anthropic.com" or "publishers/anthropic" in p or host.startswith("bedrock-runtime"):
            if "count" in p:
                return js({"input_tokens": 7})
            if j.get("stream"):
                ev = [
                    ("message_start", {"message": {**msg, "content": [], "stop_reason": None}}),
                    ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
                    ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "fake ok"}}),
                    ("content_block_stop", {"index": 0}),
                    (
                        "message_delta",
                        {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 2}},
                    ),
                    ("message_stop", {}),
                ]
                return "text/event-stream", "".join(
                    f"event: {e}\ndata: {json.dumps({'type': e, **d})}\n\n" for e, d in ev
                )
            return js(msg)
        if "chat/completions" in p or "awPredict" in p:
            if j.get("stream") or "streamRawPredict" in p:
                c = (
                    lambda d, f=None: "data: "
                    + json.dumps(
                        {
                            "id": "c",
                            "object": "chat.completion.chunk",
                            "created": 1,
                            "model": "m",
                            "choices": [{"index": 0, "delta": d, "finish_reason": f}],
                        }
                    )
                    + "\n\n"
                )
                return (
                    "text/event-stream",
                    c({"role": "assistant", "content": "fake ok"}) + c({}, "stop") + "data: [DONE]\n\n",
                )
            return js(
                {
                    "id": "c",
                    "object": "chat.completion",
                    "created": 1,
                    "model": "m",
                    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
                    "choices": [
                        {"index": 0, "message": {"role": "assistant", "content": "fake ok"}, "finish_reason": "stop"}
                    ],
                }
            )
        return js({})
