"""What `gwinstall render compose` writes, running under podman: nginx with TLS, two instances of LiteLLM, PostgreSQL and Redis, all in
containers, and a fake provider outside of them. Nothing that is rendered is changed; secrets, certificate and login are added as the README says."""
import contextlib
import json
import subprocess
import tempfile
import time

import full
import pods
from stage import DOMAIN, KEY, VERSIONS, Provider, Stage, Wrong, free_port, ran
from tools import Tools


class Reached(Provider):
    """A provider that containers can ask."""

    address = "0.0.0.0"


def variables(internet):
    """What leads LiteLLM in a container to the provider."""
    proxy = {"HTTPS_PROXY": f"http://{pods.OUTSIDE}:{internet.port}", "NO_PROXY": "127.0.0.1,localhost"}
    return proxy | dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), "/opt/authority.pem")


class Contained(Stage):
    """A stage whose programs are in containers."""

    provider, versions = Reached, tuple(f"v{version}" for version in VERSIONS)

    def __init__(self, scratch, binary, tools):
        super().__init__(scratch, binary, tools)
        self.tls, self.address = 443, "postgresql://litellm@postgres/litellm"
        self.podman = pods.Podman(self.scratch)

    def prometheus(self):
        return ""

    def rendered(self, target, values):
        """What render writes into the directory of the gateway."""
        (self.scratch / "gateway.yaml").write_text(json.dumps({**values, "variables": variables(self.internet)}))
        line = ["render", target, "--out", self.root, "--values", self.scratch / "gateway.yaml", "--preset", "basic"]
        ran([self.binary, *line], env={"HOME": str(self.scratch / "home"), "PATH": "/usr/bin:/bin"})

    def close(self):
        self.podman.close()
        super().close()


class Composed(Contained):
    def render(self):
        values = {"domain": DOMAIN, "port": free_port(), "replicas": 2, "requests_per_second": 1000, "database": {}, "redis": {}}
        self.rendered("compose", values)
        self.fill_in(self.root / "secrets.env.example", self.root)
        (self.root / "certs").mkdir()
        self.certify(self.root / "certs")
        # A start of LiteLLM takes longer where other tests run beside it.
        with open(self.root / "server.env", "a") as server:
            server.write("HEALTH_SECONDS=150\n")
        self.podman.as_program(self.bin / "podman", self.tools.find("docker-compose"))

    def script(self, name, *words, seconds=900):
        more = ["--no-pull"] if name == "deploy.sh" else []
        environment = {"PATH": f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.scratch / "home"), "CONTAINER_ENGINE": "podman"}
        return ran([self.root / name, *words, *more], seconds, env=environment)

    def containers(self):
        """{service: (state, health)}"""
        found = json.loads(self.podman("ps", "-a", "--format", "json"))
        names = {one["Labels"].get("com.docker.compose.service", "?"): one["Id"] for one in found}
        states = {name: json.loads(self.podman("inspect", number))[0]["State"] for name, number in names.items()}
        return {name: (state["Status"], (state.get("Health") or state.get("Healthcheck") or {}).get("Status", "")) for name, state in states.items()}


    def last_words(self):
        """The end of what each container has said."""
        with contextlib.suppress(Wrong, subprocess.TimeoutExpired, ValueError):
            names = [one["Names"][0] for one in json.loads(self.podman("ps", "-a", "--format", "json"))]
            return "\n".join(f"-- {name}\n{self.podman.both('logs', '--tail', '15', name)}" for name in names)
        return ""


def begun(stage):
    began = time.monotonic()
    stage.render()
    full.seen("rendered, with secrets, certificate and login", began)
    began = time.monotonic()
    made = pods.images(stage.podman, stage, stage.versions, ("postgres", "redis", "nginx"))
    stage.podman.serve()
    full.seen(f"stand-ins for {', '.join(made)}", began)
    began = time.monotonic()
    stage.script("deploy.sh", stage.versions[0], seconds=1500)
    states = stage.containers()
    full.require(len(states) == 5 and all(state == "running" for state, _ in states.values()), f"after deploy.sh: {states}")
    healthy = [name for name, (_, health) in states.items() if health == "healthy"]
    full.require(len(healthy) == 4, f"after deploy.sh: {states}")
    full.seen(f"deploy.sh: migration, {', '.join(sorted(states))} run; healthy: {', '.join(sorted(healthy))}", began)


def checked(stage):
    status, text = stage.ask("GET", "/api/health", "")
    full.require(status == 200 and '"connected"' in text, f"/api/health: {status} {text[:300]}")
    full.require(stage.ask("GET", "/metrics", KEY)[0] == 403, "the site shows /metrics")
    full.seen("through TLS: /api/health 200 with the database connected, /metrics 403")
    rows = stage.podman("exec", one_of(stage, "postgres"), "psql", "-U", "litellm", "-d", "litellm", "-A", "-t", "-c",
                        "select count(*) from information_schema.tables where table_schema = 'public'").strip()
    keys = stage.podman("exec", one_of(stage, "redis"), "sh", "-c", 'REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli info commandstats')
    full.require(int(rows) > 20 and "cmdstat_" in keys, f"{rows} tables; Redis: {keys[:200]}")
    status = stage.podman("exec", one_of(stage, "litellm"), "cat", "/proc/1/status")
    facts = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.count(":") and len(line.split()) > 1}
    # DAC_OVERRIDE is bit 1.
    full.require(facts["CapBnd"] == f"{2:016x}" and facts["NoNewPrivs"] == "1", f"rights of LiteLLM: {facts['CapBnd']}, {facts['NoNewPrivs']}")
    full.seen(f"{rows} tables in PostgreSQL; LiteLLM has one capability, DAC_OVERRIDE, and NoNewPrivs")


def one_of(stage, service):
    return stage.podman("ps", "-q", "--filter", f"label=com.docker.compose.service={service}").strip()


def chain(binary):
    with tempfile.TemporaryDirectory(prefix="gwinstall-pods-", ignore_cleanup_errors=True) as scratch:
        stage = Composed(scratch, binary, Tools())
        try:
            begun(stage)
            checked(stage)
            full.team(stage)
            full.rolling(stage)
        except (Wrong, subprocess.TimeoutExpired) as error:
            log = stage.podman.place / "service.log"
            raise Wrong(f"{error}\n{log.read_text()[-1500:] if log.exists() else ''}\n{stage.last_words()}") from error
        finally:
            stage.close()
