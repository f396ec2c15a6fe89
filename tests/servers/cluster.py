"""What `gwinstall render kubernetes` and `helm` write, in the API server and the controllers of Kubernetes, without a node: every object is
judged, kept and rolled back as in a cluster, and no container starts.

The newest source of a whole Kubernetes in Debian is 1.20.2. It knows three kinds only in the version before the rendered one, with the same
fields; those names are written down in OLDER and changed here, nothing else.
"""
import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import full
from reading import filled_copy
from stage import Wrong, free_port, ran, within
from tools import HERE, Tools

TOKEN = "token-of-test"
OLDER = {
    ("policy/v1", "PodDisruptionBudget"): "policy/v1beta1",
    ("autoscaling/v2", "HorizontalPodAutoscaler"): "autoscaling/v2beta2",
    ("batch/v1", "CronJob"): "batch/v1beta1",
}
VALUES = {
    "name": "team-gateway", "namespace": "llm", "domain": "gateway.example.com", "replicas": 2, "max_replicas": 3,
    "database": {"host": "db-1.example.com"}, "redis": {"host": "10.0.0.7"}, "ingress": {"class": "nginx", "tls_secret": "tls"},
}  # fmt: skip
# What one changed value may change.
CHANGED, TOUCHED = {**VALUES, "resources": "small"}, {"deployment.apps", "job.batch", "cronjob.batch"}


class Cluster:
    """etcd, the API server and the controllers on this machine, and the rendered files of one gateway."""

    def __init__(self, scratch, binary, tools):
        self.scratch, self.binary, self.tools, self.processes = Path(scratch), binary, tools, []
        self.port = free_port()
        self.config = self.scratch / "kubeconfig"
        self.environment = {"HOME": str(self.scratch), "PATH": "/usr/bin:/bin", "KUBECONFIG": str(self.config)}

    def begin(self, *words):
        log = open(self.scratch / f"{Path(words[0]).name}.log", "w")
        line = [str(word) for word in words]
        self.processes.append(subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.scratch))

    def close(self):
        for process in reversed(self.processes):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()

    def run(self):
        programs, store, peer = Path(self.tools.find("kubernetes")), free_port(), free_port()
        key = self.scratch / "account.pem"
        ran(["openssl", "genrsa", "-out", key, "2048"])
        (self.scratch / "tokens").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
        self.config.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": f"https://127.0.0.1:{self.port}", "insecure-skip-tls-verify": True}}],
            "users": [{"name": "admin", "user": {"token": TOKEN}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
        }))  # fmt: skip
        store, peer = f"http://127.0.0.1:{store}", f"http://127.0.0.1:{peer}"
        self.begin(self.tools.find("etcd"), "--data-dir", self.scratch / "etcd", "--listen-client-urls", store, "--advertise-client-urls", store,
                   "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}")
        self.begin(programs / "kube-apiserver", "--etcd-servers", store, "--bind-address", "127.0.0.1", "--secure-port", self.port,
                   "--cert-dir", self.scratch / "certs", "--token-auth-file", self.scratch / "tokens", "--authorization-mode", "RBAC",
                   "--service-account-issuer", "https://here", "--service-account-signing-key-file", key, "--service-account-key-file", key,
                   "--service-cluster-ip-range", "10.96.0.0/16", "--feature-gates", "TTLAfterFinished=true")
        within(90, self.is_ready, "the API server is ready")
        self.begin(programs / "kube-controller-manager", "--kubeconfig", self.config, "--service-account-private-key-file", key,
                   "--use-service-account-credentials=false", "--leader-elect=false", "--feature-gates", "TTLAfterFinished=true", "--port", "0",
                   "--cert-dir", self.scratch / "certs", "--secure-port", free_port(), "--bind-address", "127.0.0.1")

    def is_ready(self):
        context = ssl._create_unverified_context()  # its certificate is its own
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}/readyz", headers={"authorization": f"Bearer {TOKEN}"})
        with contextlib.suppress(urllib.error.URLError, OSError):
            return urllib.request.urlopen(request, timeout=5, context=context).status == 200

    def kubectl(self, *words, **more):
        return ran([self.tools.find("kubectl"), *words], 120, env=self.environment, **more)

    def helm(self, *words, **more):
        return ran([self.tools.find("helm"), *words], 120, env=self.environment, **more)

    @contextlib.contextmanager
    def rendered(self, target, values):
        """A directory as the reader of its README has it: with secrets."""
        with tempfile.TemporaryDirectory(dir=self.scratch) as place:
            given, out = Path(place) / "gateway.yaml", Path(place) / "out"
            given.write_text(json.dumps(values))
            line = [self.binary, "render", target, "--out", out, "--values", given, "--preset", "basic"]
            ran(line, env={"HOME": place, "PATH": "/usr/bin:/bin"})
            with filled_copy(out) as copy:
                yield copy

    def objects(self, directory):
        """What kubectl puts together, in the versions that this Kubernetes knows."""
        return older(self.kubectl("kustomize", directory))

    def with_backup(self, values):
        """The objects of the gateway and of the component that dumps its database."""
        with self.rendered("kubernetes", values) as directory:
            whole = directory / "whole"
            whole.mkdir()
            (whole / "kustomization.yaml").write_text("resources: [../base]\ncomponents: [../components/backup]\n")
            return self.objects(whole)

    def chart(self):
        """The chart of section servers, likewise."""
        copy = self.scratch / "chart"
        shutil.copytree(HERE / "chart", copy)
        for path in (copy / "templates").iterdir():
            path.write_text(older(path.read_text()))
        return copy

    def apply(self, objects, *words):
        """{object: what became of it}"""
        said = self.kubectl("apply", *words, "-f", "-", stdin=None, input=objects)
        return dict(line.rsplit(" ", 1) for line in said.splitlines())

    def get(self, *words):
        return json.loads(self.kubectl("-n", VALUES["namespace"], "get", *words, "-o", "json"))


def older(text):
    def version(found):
        return f"apiVersion: {OLDER.get((found[1], found[2]), found[1])}\nkind: {found[2]}"

    return re.sub(r"(?m)^apiVersion: (\S+)\nkind: (\S+)$", version, text)


def only(found, word, what):
    other = {name: state for name, state in found.items() if state != word}
    full.require(found and not other, f"{what}: {other or 'nothing'}")
    return len(found)


def kubernetes(cluster):
    objects = cluster.with_backup(VALUES)
    began = time.monotonic()
    count = only(cluster.apply(objects), "created", "the first apply")
    only(cluster.apply(objects), "unchanged", "the same apply again")
    full.seen(f"kubectl apply: {count} objects created, then {count} unchanged", began)
    broken = objects.replace("containerPort: 4000", "containerPort: 99443")
    full.require(broken != objects, "there is no port to break")
    with contextlib.suppress(Wrong):
        cluster.apply(broken)
        raise AssertionError("the API server takes port 99443")
    full.seen("a port that there is not is refused")
    upgraded(cluster)
    gone = cluster.kubectl("delete", "--timeout=60s", "-f", "-", stdin=None, input=objects)
    full.require(len(gone.splitlines()) == count, f"kubectl delete: {gone}")
    full.seen(f"kubectl delete: {count} objects gone")


def upgraded(cluster):
    """One changed value, and the way back that the README names."""
    name = VALUES["name"]
    requests = lambda: cluster.get("deployment", name)["spec"]["template"]["spec"]["containers"][0]["resources"]
    sets = lambda: {one["metadata"]["name"] for one in cluster.get("replicasets")["items"]}
    before = requests()
    within(30, lambda: len(sets()) == 1, "the controllers make the first set of pods")
    changed_objects = cluster.with_backup(CHANGED)
    began, found = time.monotonic(), cluster.apply(changed_objects)
    changed = {one for one, state in found.items() if state != "unchanged"}
    kinds = {one.split("/")[0] for one in changed}
    full.require(kinds == TOUCHED and f"deployment.apps/{name}" in changed, f"an upgrade changes {changed}")
    full.require(requests() != before, "the upgrade changes nothing")
    within(30, lambda: len(sets()) == 2, "the controllers make the second set of pods")
    cluster.kubectl("-n", VALUES["namespace"], "rollout", "undo", f"deployment/{name}")
    within(30, lambda: requests() == before, "rollout undo brings the first state back")
    full.seen(f"upgrade: {', '.join(sorted(changed))} changed; rollout undo brings the earlier template back", began)


def helm(cluster):
    name, namespace = VALUES["name"], VALUES["namespace"]
    began = time.monotonic()
    manifests, chart = [], cluster.chart()
    for number, values in enumerate((VALUES, CHANGED), 1):
        with cluster.rendered("helm", values) as directory:
            kustomization = next(path.parent for path in sorted(directory.rglob("kustomization.yaml")))
            cluster.apply(cluster.objects(kustomization))
            again = cluster.apply(cluster.objects(kustomization))
            only(again, "unchanged", "the objects beside the chart, again")
            # Without a node the migration of the hook would never end.
            cluster.helm("upgrade", "--install", name, chart, "-n", namespace, "-f", directory / "values.yaml", "--no-hooks")
        manifests.append(cluster.helm("get", "manifest", name, "-n", namespace))
        found = json.loads(cluster.helm("list", "-n", namespace, "-o", "json"))
        full.require([(one["revision"], one["status"]) for one in found] == [(str(number), "deployed")], f"helm list: {found}")
    full.require(manifests[0] != manifests[1], "the upgrade changes nothing")
    cluster.helm("rollback", name, "1", "-n", namespace, "--no-hooks")
    full.require(cluster.helm("get", "manifest", name, "-n", namespace) == manifests[0], "the rollback brings another manifest")
    cluster.helm("uninstall", name, "-n", namespace, "--no-hooks")
    left = [one["metadata"]["name"] for one in cluster.get("deployments,services,ingresses,hpa,pdb")["items"]]
    full.require(not left, f"helm uninstall leaves {left}")
    full.seen("helm: install, upgrade, rollback, uninstall, with the objects beside the chart", began)


def chain(binary, tools):
    missing = [name for name in ("kubernetes", "etcd", "kubectl", "helm") if not tools.find(name)]
    if missing:
        print(f"SKIP cluster: {', '.join(f'{name}: {tools.missing[name]}' for name in missing)}")
        return
    with tempfile.TemporaryDirectory(prefix="gwinstall-cluster-", ignore_cleanup_errors=True) as scratch:
        cluster = Cluster(scratch, os.path.abspath(binary), tools)
        try:
            began = time.monotonic()
            cluster.run()
            full.seen(f"etcd, the API server and the controllers of Kubernetes {json.loads(cluster.kubectl('version', '-o', 'json'))['serverVersion']['gitVersion']} run", began)
            kubernetes(cluster)
            helm(cluster)
        except Wrong as error:
            log = cluster.scratch / "kube-apiserver.log"
            raise Wrong(f"{error}\n{log.read_text()[-800:] if log.exists() else ''}") from error
        finally:
            cluster.close()
