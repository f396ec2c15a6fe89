"""The function that `gwinstall render lambda` writes, answering invocations: the Containerfile built by buildah, its entry point and the
real Lambda Web Adapter started as Lambda starts them, LiteLLM behind it, a fake provider behind that.

Stand-ins: both base images (a root directory with this machine's /usr, with the packages of LITELLM_VENV and the adapter as crates.io
has it), and the side of AWS: runtime API, extensions, Secrets Manager, function URL. Its requests are checked against the documents of AWS only.
"""
import base64
import contextlib
import http.client
import http.server
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

from stage import CONVERSATION, KEY, MODEL, START, VENV, Provider, Wrong, free_port, ran

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "release"))

# What a builder of images would expand or end a text at.
HOSTILE = "$HOME ${HOME} \\$ ' \" \\\" '' `id` \\n \\"
ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:llm-gateway-AbCdEf"
RUNTIME, EXTENSION = "/2018-06-01/runtime", "/2020-01-01/extension"
# Between what says how a streamed answer begins and its body.
PRELUDE_END = b"\0" * 8
# The account of a function has no rights, and only /tmp can be written.
ACCOUNT = ("setpriv", "--reuid", "993", "--regid", "990", "--clear-groups")


class Invocation:
    def __init__(self, event):
        self.id, self.event, self.parts = str(uuid.uuid4()), json.dumps(event).encode(), queue.Queue()

    def take(self, kind, side):
        """What the function answers, piece by piece: what it begins with as (status, headers), then bytes, then None."""
        begun, pending = kind == "error" or side.headers.get("Lambda-Runtime-Function-Response-Mode") != "streaming", b""
        if begun:
            self.parts.put((502, {}))
        for piece in side.body():
            if not begun:
                pending += piece
                head, end, piece = pending.partition(PRELUDE_END)
                if not end:
                    continue
                prelude, begun = json.loads(head), True
                self.parts.put((prelude["statusCode"], prelude.get("headers", {})))
            if piece:
                self.parts.put(piece)
        self.parts.put(None)


class Side(http.server.BaseHTTPRequestHandler):
    """One connection to AWS as the function sees it, or to the function URL as a client sees it."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        """Pieces as they come."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        elif length := int(self.headers.get("Content-Length") or 0):
            yield self.rfile.read(length)

    def say(self, status, value, **headers):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        aws = self.server.aws
        if self.path == f"{RUNTIME}/invocation/next":
            invocation = aws.waiting.get()
            aws.running[invocation.id] = invocation
            self.say(200, invocation.event, Lambda_Runtime_Aws_Request_Id=invocation.id, Lambda_Runtime_Invoked_Function_Arn=ARN,
                     Lambda_Runtime_Deadline_Ms=str(int((time.time() + aws.timeout) * 1000)), Lambda_Runtime_Trace_Id="Root=1-0-0")
        elif self.path == f"{EXTENSION}/event/next":
            aws.events.get()
        else:
            self.say(404, {})

    def do_POST(self):
        aws = self.server.aws
        answered = re.fullmatch(rf"{RUNTIME}/invocation/([^/]+)/(response|error)", self.path)
        if answered:
            aws.running.pop(answered[1]).take(answered[2], self)
            self.say(202, {"status": "OK"})
            return
        text = b"".join(self.body())
        if self.path == f"{EXTENSION}/register":
            aws.registered.append((self.headers["Lambda-Extension-Name"], text))
            self.say(200, {"functionName": "gateway"}, Lambda_Extension_Identifier=str(uuid.uuid4()))
        elif self.headers.get("X-Amz-Target") == "secretsmanager.GetSecretValue":
            aws.secrets.append(json.loads(text)["SecretId"])
            self.say(200, {"ARN": ARN, "Name": "llm-gateway", "SecretString": aws.secret})
        else:
            aws.errors.append(f"{self.path} {text[:300]!r}")
            self.say(404, {})


class Url(Side):
    """The function URL: a request becomes an event of format 2.0, and the answer is streamed."""

    def pass_on(self):
        data = b"".join(self.body())
        path, _, query_string = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        event = {"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query_string, "headers": headers,
                 "isBase64Encoded": True, "body": base64.b64encode(data).decode(),
                 "requestContext": {"accountId": "anonymous", "apiId": "gateway", "domainName": headers.get("host", ""), "domainPrefix": "gateway",
                                    "http": {"method": self.command, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
                                             "userAgent": headers.get("user-agent", "")},
                                    "requestId": str(uuid.uuid4()), "routeKey": "$default", "stage": "$default",
                                    "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()), "timeEpoch": int(time.time() * 1000)}}
        invocation = Invocation(event)
        self.server.aws.waiting.put(invocation)
        status, headers = self.server.aws.next_of(invocation) or (502, {})
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while (piece := self.server.aws.next_of(invocation)) is not None:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_HEAD = pass_on


class Aws:
    """The side of AWS on two loopback ports."""

    def __init__(self, secret, timeout):
        self.secret, self.timeout = secret, timeout
        self.waiting, self.events, self.running = queue.Queue(), queue.Queue(), {}
        self.registered, self.secrets, self.errors, self.ended = [], [], [], lambda: False
        self.api, self.url = (self.serve(handler) for handler in (Side, Url))

    def serve(self, handler):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads, server.aws = True, self
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return server.server_port

    def next_of(self, invocation):
        """The next part of its answer; None at its end, and where the function ends without one."""
        end = time.monotonic() + START
        while time.monotonic() < end and not self.ended():
            with contextlib.suppress(queue.Empty):
                return invocation.parts.get(timeout=1)
        return None

    def ask(self, method, path, key="", value=None):
        """(status, text, the moment of each piece) through the function URL."""
        connection = http.client.HTTPConnection("127.0.0.1", self.url, timeout=START)
        headers = {"content-type": "application/json", "anthropic-version": "2023-06-01", **({"authorization": f"Bearer {key}"} if key else {})}
        try:
            connection.request(method, path, json.dumps(value) if value is not None else None, headers)
            answer = connection.getresponse()
            pieces, moments = [], []
            while piece := answer.read1(65536):
                pieces.append(piece)
                moments.append(time.monotonic())
            return answer.status, b"".join(pieces).decode(errors="replace"), moments
        finally:
            connection.close()


# --- the image -------------------------------------------------------------------------------------------------------------------------


def rendered(binary, scratch, internet, port):
    variables = {"HTTPS_PROXY": f"http://127.0.0.1:{internet.port}", "NO_PROXY": "127.0.0.1,localhost"}
    variables |= dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), "/opt/authority.pem") | {"HOSTILE": HOSTILE}
    (scratch / "gateway.yaml").write_text(json.dumps({"port": port, "variables": variables}))
    out = scratch / "rendered"
    line = ["render", "lambda", "--out", out, "--values", scratch / "gateway.yaml", "--preset", "basic"]
    ran([binary, *line], env={"HOME": str(scratch), "PATH": "/usr/bin:/bin"})
    return out


def secret_of(out, internet, scratch):
    """The JSON of the secret, made from secrets.env by the lines that the README shows."""
    given = {"LITELLM_MASTER_KEY": KEY, "VERTEXAI_PROJECT": "example-project", "VERTEXAI_LOCATION": "us-central1",
             "GOOGLE_CREDENTIALS_JSON": json.dumps(json.loads(Path(internet.sa_path).read_text()))}
    (scratch / "secrets.env").write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    program = re.search(r"(?s)<<'END'\n(.*?)\nEND\n", (out / "README.md").read_text())[1]
    values = json.loads(ran([sys.executable, "-", scratch / "secrets.env"], stdin=None, input=program))
    if values != given:
        raise Wrong(f"the README's lines make another secret: {sorted(values)}")
    return json.dumps(values)


def built(out, scratch, adapter):
    """The root directory and the settings of the image that buildah makes of the Containerfile, over two bases that stand in."""
    from images import Buildah

    buildah = Buildah(scratch / "buildah")

    def done(verb, *words):
        answer = buildah(verb, *words)
        if answer.returncode:
            raise Wrong(f"buildah {verb}: {answer.stderr.strip()[-600:]}")
        return answer.stdout.strip()

    bases = re.findall(r"(?m)^FROM (\S+)", (out / "Containerfile").read_text())
    tree = scratch / "base"
    for name in "usr etc opt tmp root proc dev sys run var".split():
        (tree / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / name).symlink_to(f"usr/{name}")
    for base, source, place in zip(bases, (adapter, tree), ("/lambda-adapter", "/"), strict=True):
        container = done("from", "scratch")
        done("copy", container, source, place)
        done("commit", container, base)
    done("build", "--isolation", "chroot", "--pull-never", "--layers=false", "--file", out / "Containerfile", "--tag", "function", out)
    container = done("from", "--pull-never", "function")
    root = scratch / "root"
    ran(["cp", "-a", done("mount", container), root])
    return root, buildah.config("function")


# --- the instance ----------------------------------------------------------------------------------------------------------------------


def started(root, config, aws, scratch, internet):
    """The programs of an instance: every extension, then the entry point, with the environment that Lambda gives them."""
    prefix = Path(ran([f"{VENV}/bin/python", "-c", "import sys; print(sys.base_prefix)"]).strip())
    binds = [Path("/usr"), Path(VENV).resolve(), *([] if str(prefix).startswith("/usr") else [prefix])]
    for place in binds:
        (root / str(place).lstrip("/")).mkdir(parents=True, exist_ok=True)
    shutil.copy(internet.ca_path, root / "opt/authority.pem")
    (root / "opt/authority.pem").chmod(0o644)
    given = {"PATH": f"{binds[1]}/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "SECRET_ARN": ARN, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
             "AWS_ACCESS_KEY_ID": "of-the-test", "AWS_SECRET_ACCESS_KEY": "of-the-test", "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{aws.api}",
             "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"http://127.0.0.1:{aws.api}", "AWS_LAMBDA_FUNCTION_NAME": "gateway",
             "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024", "AWS_LAMBDA_LOG_GROUP_NAME": "group",
             "AWS_LAMBDA_LOG_STREAM_NAME": "stream"}
    environment = {**given, **dict(line.split("=", 1) for line in config["Env"] if not line.startswith("PATH="))}
    program = 'for extension in /opt/extensions/*; do "$extension" & done; exec "$@"'
    command = ["systemd-nspawn", "-q", "-D", root, "--read-only", "--tmpfs=/tmp:mode=1777", *(f"--bind-ro={place}" for place in binds), "--register=no", "--keep-unit",
               "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--as-pid2", "--console=pipe",
               *(f"--setenv={name}={value}" for name, value in environment.items()),
               *ACCOUNT, "/bin/sh", "-c", program, "sh", *config["Entrypoint"], *config["Cmd"]]
    with open(scratch / "function.log", "ab") as log:
        return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def peak_of(process):
    """The most memory that LiteLLM had, in MiB."""
    marks = [0]
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text, line = status.read_text(), (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if b"/etc/litellm/litellm.yaml" in line and b"systemd-nspawn" not in line and (found := re.search(r"VmHWM:\s+(\d+)", text)):
            marks.append(int(found[1]) // 1024)
    return max(marks)


def checked(aws, process, scratch, claude, seen):
    body = lambda text, **more: {"model": MODEL, "max_tokens": 20, "messages": [{"role": "user", "content": text}], **more}
    began = time.monotonic()
    status, text, _ = aws.ask("GET", "/health/liveliness")
    if status != 200:
        raise Wrong(f"the first invocation: {status} {text[:300]}")
    names = [name for name, _ in aws.registered]
    if names != ["lambda-adapter"] or aws.secrets != [ARN]:
        raise Wrong(f"registered: {names}; secrets read: {aws.secrets}")
    seen("the adapter registers, lambda-start.py reads the secret once, the first invocation is answered: 200", began)
    status, text, _ = aws.ask("POST", "/v1/messages", "", body("hi"))
    if status != 401:
        raise Wrong(f"an invocation without a key: {status} {text[:300]}")
    status, text, _ = aws.ask("POST", "/v1/messages", KEY, body("hi"))
    if status != 200 or "fake ok" not in text:
        raise Wrong(f"an invocation: {status} {text[:300]}")
    seen("an invocation without a key: 401; with it: 200 and the provider's answer")
    began = time.monotonic()
    status, text, moments = aws.ask("POST", "/v1/messages", KEY, body(CONVERSATION, stream=True))
    if status != 200 or "event: message_stop" not in text or len(moments) < 3:
        raise Wrong(f"a stream: {status}, {len(moments)} pieces, {text[-200:]}")
    seen(f"a request of {len(CONVERSATION) // 1000} kB; its stream comes in {len(moments)} pieces over {moments[-1] - moments[0]:.1f} s", began)
    if claude:
        began = time.monotonic()
        values = {"HOME": scratch / "person", "PATH": "/usr/bin:/bin", "TERM": "dumb", "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{aws.url}",
                  "ANTHROPIC_AUTH_TOKEN": KEY, "ANTHROPIC_MODEL": MODEL, "ANTHROPIC_DEFAULT_HAIKU_MODEL": MODEL,
                  "CLAUDE_CODE_MAX_RETRIES": "0", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
        (scratch / "person").mkdir()
        said = ran([claude, "-p", "say hi"], START, env={name: str(value) for name, value in values.items()}, cwd=scratch / "person").strip()
        if "fake ok" not in said:
            raise Wrong(f"Claude Code through the function URL: {said[-300:]}")
        seen(f"Claude Code answers through the function URL: {said!r}", began)
    if aws.errors or process.poll() is not None:
        raise Wrong(f"the function reported {aws.errors[:3]}, exit {process.poll()}")
    seen(f"at most {peak_of(process)} MiB in LiteLLM; the template gives the function 1024")


def chain(binary, tools, claude, seen):
    adapter = tools.find("lambda-adapter")
    if not adapter or not shutil.which("buildah") or not shutil.which("systemd-nspawn"):
        print(f"SKIP lambda: needs buildah, systemd-nspawn and the Lambda Web Adapter ({tools.missing.get('lambda-adapter', 'there')})")
        return
    with tempfile.TemporaryDirectory(prefix="gwinstall-function-", ignore_cleanup_errors=True) as place:
        scratch, process = Path(place), None
        scratch.chmod(0o755)
        (scratch / "internet").mkdir()
        internet = Provider(str(scratch / "internet"), login="", pace=0.3)
        out = rendered(binary, scratch, internet, free_port())
        template = (out / "template.yaml").read_text()
        aws = Aws(secret_of(out, internet, scratch), int(re.search(r"Timeout: (\d+)", template)[1]))
        began = time.monotonic()
        root, config = built(out, scratch, adapter)
        if KEY in json.dumps(config) or any(KEY.encode() in path.read_bytes() for path in root.rglob("*") if path.is_file() and not path.is_symlink()):
            raise Wrong("the image holds the key")
        if f"HOSTILE={HOSTILE}" not in config["Env"]:
            raise Wrong(f"a hostile value reaches the image as {config['Env']}")
        seen(f"buildah makes the image of the Containerfile: {' '.join(config['Entrypoint'])}; no secret is in it", began)
        try:
            process = started(root, config, aws, scratch, internet)
            aws.ended = lambda: process.poll() is not None
            checked(aws, process, scratch, claude, seen)
        except Exception as error:
            raise Wrong(f"{error}\n{(scratch / 'function.log').read_text()[-3000:]}") from error
        finally:
            if process and process.poll() is None:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait(20)
