#!/usr/bin/env python3
"""Whole chains of what `gwinstall render systemd` wrote, with real programs: tests/servers/run full [WORD…]

    front      the rendered site passes a request on where an instance closes the connection under it
    validate   LiteLLM's own check of the rendered configuration
    team       Claude Code → TLS → nginx → LiteLLM → a fake provider, with a virtual key of the shipped team.sh; spend; a budget
    rolling    the shipped deploy.sh restarts two instances behind nginx under load: no request may fail
    backup     backup.sh to a real S3 server, a drill and a restoration from it, the database of the running LiteLLM with it
    lambda     the rendered image as a function: invocations of a fake Lambda, the real Lambda Web Adapter, LiteLLM, Claude Code
    units      the rendered units under a real systemd in a container: sandbox, restart, timers, a backup to an
               S3 server and a drill from it; nginx with a certificate that certbot gets from pebble and renews; update, rollback under load
    compose    the rendered compose.yaml under podman, with stand-ins for its images: team, spend and budget, an update and a way back under load
    cluster    the rendered manifests, and the values in a chart, in the API server and the controllers of Kubernetes: applied twice,
               upgraded, rolled back
    kube       the rendered manifests under `podman kube play`: readiness, a request

Prints what was seen and how long it took. Exit status 1: something was not as it must be.
"""
import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
import time

import cluster
import front
import function
import pods
import store
import units
from stage import DOMAIN, KEY, START, VENV, VERSIONS, Load, Stage, Wrong, ran, within
from tools import Tools

CLAUDE = os.environ.get("CLAUDE_BIN", "")


def seen(what, began=None):
    print(f"ok   {what}" + (f" ({time.monotonic() - began:.1f} s)" if began else ""), flush=True)


def require(holds, what):
    if not holds:
        raise Wrong(what)


def built(stage):
    """Stores, schema, the first deployment, nginx."""
    began = time.monotonic()
    stage.postgresql()
    stage.redis_server()
    seen("PostgreSQL and Redis run", began)
    began = time.monotonic()
    stage.render()
    stage.stand_ins()
    seen("rendered and laid out by install.sh", began)
    began = time.monotonic()
    for version in stage.versions:
        stage.release(version)
    seen("two releases, each with a generated client", began)
    began = time.monotonic()
    stage.script("deploy.sh", stage.versions[0], seconds=1500)
    tables = stage.query("select count(*) from information_schema.tables where table_schema = 'public'")
    seen(f"deploy.sh: migration ({tables} tables), two instances, health checks", began)
    stage.nginx()
    status, text = stage.ask("GET", "/api/health", "")
    require(status == 200 and '"connected"' in text, f"/api/health: {status} {text[:300]}")
    require(stage.ask("GET", "/metrics", KEY)[0] == 403, "the site shows /metrics")
    seen("through TLS: /api/health 200 with the database connected, /metrics 403")


def validate(stage):
    began = time.monotonic()
    line = [stage.root / "releases" / stage.versions[0] / "bin/litellm", "--config", stage.root / "config/gateway.yaml", "--validate_config"]
    environment = {**stage.environment(), "LITELLM_MASTER_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    answer = ran(line, START, env=environment, cwd=stage.root / "config")
    require("config OK" in answer, answer[-600:])
    seen(f"litellm --validate_config on gateway.yaml with what it includes: {answer.strip().splitlines()[-1]}", began)


def made_key(stage, team, budget):
    stage.script("team.sh", "create", team, "--budget", budget)
    return stage.script("team.sh", "key", team, "--alias", f"{team}-ann", "--days", "30").strip()


def spend(stage, team):
    status, text = stage.ask("GET", f"/team/info?team_id={team}", KEY)
    require(status == 200, f"/team/info: {status} {text[:300]}")
    return float(json.loads(text)["team_info"]["spend"] or 0)


def team(stage):
    key = made_key(stage, "web", "10")
    began = time.monotonic()
    status, text = stage.claude(CLAUDE, key)
    require(status == 0 and "fake ok" in text, f"Claude Code exits {status}: {text[-600:]}")
    seen(f"Claude Code answers through https://{DOMAIN} with the key of a team: {text!r}", began)
    require(stage.message("sk-unknown")[0] == 401, "a key that was never made is not refused with 401")
    require(any("generatecontent" in hit["path"].lower() for hit in stage.internet.asked()), "the provider was not asked")
    began = time.monotonic()
    amount = within(240, lambda: spend(stage, "web"), "the spend of the team is counted")
    seen(f"spend of the team: {amount} US dollars", began)
    key = made_key(stage, "tight", "0.0000001")
    began = time.monotonic()
    status, text = stage.message(key)
    require(status == 200, f"the first request of a team within its budget: {status} {text[:300]}")

    def refused():
        status, text = stage.message(key)
        return status != 200 and (status, text)

    status, text = within(240, refused, "a team over its budget is refused")
    require("udget" in text, f"refused for another reason: {status} {text[:300]}")
    seen(f"a team over its budget is refused: {status} {text[:160]}", began)
    status, text = stage.claude(CLAUDE, key)
    require(status != 0 and "udget" in text, f"Claude Code over the budget exits {status}: {text[-300:]}")
    seen(f"and Claude Code says so: {text[:160]!r}")


def rolling(stage):
    key = made_key(stage, "load", "1000")
    load = Load(stage, key)
    try:
        within(120, lambda: len(load.outcomes) > 40, "the load gets answers")
        require(not load.failed(), f"the load fails before anything is restarted: {load.failed()[:2]}")
        for version in stage.versions[::-1]:
            began, before = time.monotonic(), len(load.outcomes)
            stage.script("deploy.sh", version, seconds=1500)
            seen(f"deploy.sh {version} under load: {len(load.outcomes) - before} requests meanwhile, {len(load.failed())} failed", began)
        began, before = time.monotonic(), len(load.outcomes)
        stage.script("rollback.sh", seconds=1500)
        seen(f"rollback.sh under load: {len(load.outcomes) - before} requests meanwhile, {len(load.failed())} failed", began)
    finally:
        load.close()
    wrong = load.failed()
    require(not wrong, f"{len(wrong)} of {len(load.outcomes)} requests failed: {sorted(set(wrong))[:4]}")
    seen(f"{len(load.outcomes)} requests, 0 failed")


@contextlib.contextmanager
def a_stage(binary):
    with tempfile.TemporaryDirectory(prefix="gwinstall-chain-", ignore_cleanup_errors=True) as scratch:
        stage = Stage(scratch, binary, Tools())
        try:
            yield stage
        finally:
            stage.close()


def on_a_stage(names, binary):
    """Chains of one server, which is built once."""
    if names:
        with a_stage(binary) as stage:
            built(stage)
            for name in names:
                ON_A_STAGE[name](stage)


def in_front(binary):
    with a_stage(binary) as stage:
        front.chain(stage, seen)


def in_a_container(binary):
    units.chain(binary, VERSIONS[0], Tools(), seen)


def in_a_function(binary):
    function.chain(binary, Tools(), CLAUDE, seen)


def in_a_cluster(binary):
    cluster.chain(binary, Tools())


def in_containers(word, binary):
    pods.chain(word, binary, Tools())


def backup(stage):
    store.chain(stage, seen)


ON_A_STAGE = {"validate": validate, "team": team, "rolling": rolling, "backup": backup}
ALONE = {"front": in_front, "lambda": in_a_function, "units": in_a_container, "cluster": in_a_cluster}
ALONE |= {word: functools.partial(in_containers, word) for word in ("compose", "kube")}
CHAINS = {**ON_A_STAGE, **ALONE}


def main(words, binary):
    unknown = [word for word in words if word not in CHAINS]
    if unknown:
        sys.exit(f"tests/servers/run full: no chain {unknown[0]}; there are {', '.join(CHAINS)}")
    if os.geteuid() or not os.access(f"{VENV}/bin/litellm", os.X_OK):
        print("SKIP servers-full: needs root and LITELLM_VENV")
        return 0
    began, wrong, chosen = time.monotonic(), 0, words or list(CHAINS)
    groups = [functools.partial(on_a_stage, [name for name in chosen if name in ON_A_STAGE])]
    groups += [ALONE[name] for name in chosen if name in ALONE]
    for group in groups:
        try:
            group(binary)
        except (Wrong, subprocess.TimeoutExpired) as error:
            wrong += 1
            print(f"FAIL {error}", flush=True)
    print(f"{'good' if not wrong else 'wrong'}, {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0
