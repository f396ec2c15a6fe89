"""What `gwinstall render kubernetes` writes, as kubectl puts it together, under `podman kube play`: a pod of the rendered Deployment with its
ConfigMap and its Secrets, and a fake provider outside of it.

What podman does not take is left out by its kind and named. Of the probes it has the one of liveness only, and asks a port with a name
as port 0; so none is run here, and the path of readiness is asked. A podman before 4.4 gets help, because it cannot read what it makes
of a Secret: the one of the variables is made by `podman secret create`, the file of the other one is decoded in its volume, and
`optional`, at whose absence it ends with a panic, is written out with its default.
"""
import base64
import json
import re
import subprocess
import tempfile
import time
from pathlib import Path

import full
import pods
import yaml
from composed import Contained
from stage import CONVERSATION, KEY, MODEL, VERSIONS, Wrong, ran, within
from tools import Tools

# Kinds of which podman makes something.
TAKEN = {"ConfigMap", "DaemonSet", "Deployment", "PersistentVolumeClaim", "Pod", "Secret"}


class Kube(Contained):
    def played(self):
        """The documents that podman gets, and the kinds that it does not take."""
        self.rendered("kubernetes", {"port": 4000})
        self.fill_in(self.root / "base/secrets.env.example", self.root / "base")
        built = ran([self.tools.find("kubectl"), "kustomize", self.root / "base"], env={"HOME": str(self.scratch / "home")})
        if old := self.podman.version() < (4, 4):
            built = re.sub(r"(?m)^( +)(secretName: .*)$", r"\1\2\n\1optional: false", built)
        taken, left = [], []
        for text in built.split("\n---\n"):
            value = yaml.safe_load(text)
            if value["kind"] not in TAKEN:
                left.append(value["kind"])
            elif old and "LITELLM_MASTER_KEY" in value.get("data", {}):
                self.podman("secret", "create", value["metadata"]["name"], "-", stdin=None, input=json.dumps(value["data"]))
                left.append("Secret of the variables")
            else:
                taken.append((value["kind"], text))
        (self.scratch / "play.yaml").write_text("\n---\n".join(text for _, text in taken))
        return sorted(kind for kind, _ in taken), sorted(left)

    def decode(self):
        """The files of the volumes of Secrets, which a podman before 4.4 leaves in base64."""
        for value in yaml.safe_load_all((self.scratch / "play.yaml").read_text()):
            if value["kind"] == "Secret" and self.podman.version() < (4, 4):
                place = Path(self.podman("volume", "inspect", "-f", "{{.Mountpoint}}", value["metadata"]["name"]).strip())
                for name, text in value["data"].items():
                    (place / name).write_bytes(base64.b64decode(text))

    def ask_pod(self, path, key="", body=None):
        """(status, text) of the pod's own address."""
        line = ["curl", "-s", "-m", "120", "-w", "\n%{http_code}", f"http://{self.pod}:4000{path}", "-H", "content-type: application/json"]
        line += ["-H", f"authorization: Bearer {key}"] if key else []
        given = {"input": json.dumps(body), "stdin": None} if body else {}
        done = subprocess.run([*line, *(["--data-binary", "@-"] if body else [])], capture_output=True, text=True, timeout=150, **given)
        text, _, status = done.stdout.rpartition("\n")
        return int(status or 0), text


def address_of(stage, container):
    """The address of the pod's network, which belongs to the container that holds the pod."""
    return stage.podman("exec", container, "python3", "-c", "import socket; print(socket.gethostbyname(socket.gethostname()))").strip()


def chain(binary):
    with tempfile.TemporaryDirectory(prefix="gwinstall-kube-", ignore_cleanup_errors=True) as scratch:
        stage = Kube(scratch, binary, Tools())
        try:
            taken, left = stage.played()
            full.seen(f"kubectl kustomize: podman gets {', '.join(taken)}, and does not take {', '.join(left)}")
            began = time.monotonic()
            made = pods.images(stage.podman, stage, [f"v{VERSIONS[0]}"])
            full.seen(f"a stand-in for {', '.join(made)}", began)
            played(stage)
        finally:
            stage.close()


def played(stage):
    began = time.monotonic()
    stage.podman("kube", "play", stage.scratch / "play.yaml")
    stage.decode()
    found = [one for one in json.loads(stage.podman("ps", "--format", "json")) if not one.get("IsInfra")]
    full.require(len(found) == 1, f"containers of the pod: {[one['Names'] for one in found]}")
    name = found[0]["Names"][0]
    try:
        stage.pod = address_of(stage, name)
        within(300, lambda: stage.ask_pod("/health/readiness")[0] == 200, "the pod answers its readiness path")
        full.seen(f"{name} at {stage.pod}: /health/readiness 200", began)
        asked(stage, name)
    except (Wrong, subprocess.TimeoutExpired) as error:
        raise Wrong(f"{error}\n{stage.podman('logs', '--tail', '30', name)[-3000:]}") from error


def asked(stage, name):
    body = {"model": MODEL, "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]}
    status, text = stage.ask_pod("/v1/messages", "", body)
    full.require(status == 401, f"a request without a key: {status} {text[:200]}")
    status, text = stage.ask_pod("/v1/messages", KEY, body)
    full.require(status == 200 and "fake ok" in text, f"a request: {status} {text[:300]}")
    body |= {"messages": [{"role": "user", "content": CONVERSATION}], "stream": True}
    status, text = stage.ask_pod("/v1/messages", KEY, body)
    full.require(status == 200 and "event: message_stop" in text, f"a stream: {status} {text[-200:]}")
    full.seen(f"without a key 401; with it 200 and the provider's answer; a stream for a request of {len(CONVERSATION) // 1000} kB to its end")
    facts = json.loads(stage.podman("inspect", name))[0]
    status = stage.podman("exec", name, "cat", "/proc/1/status")
    rights = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if len(line.split()) > 1}
    found = {"uid": rights["Uid"], "capabilities": int(rights["CapBnd"], 16), "NoNewPrivs": rights["NoNewPrivs"], "root read-only": facts["HostConfig"]["ReadonlyRootfs"]}
    full.require(found == {"uid": "65532", "capabilities": 0, "NoNewPrivs": "1", "root read-only": True}, f"the rights of the pod: {found}")
    full.seen(f"in the pod: {', '.join(f'{what} {how}' for what, how in found.items())}")
