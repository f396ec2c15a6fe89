"""Checks of a deployed gateway directory against the real LiteLLM proxy. Loopback only.

Exit status: 0 all checks passed, 1 a check failed, 2 bad usage, 77 cannot run here.
Modes
  mock      (default) a temp overlay copy of config/litellm.yaml gets `mock_response`
            on every deployment; outbound traffic is sent to a dead proxy, so nothing leaves.
  upstream  the deployed config/litellm.yaml is used AS IS.  All HTTPS goes through a fake
            authenticated TLS-inspecting corporate proxy on loopback that answers for Google,
            Anthropic and Bedrock.  Proves provider routes, URLs, streaming, proxy and CA env.
"""

import argparse, contextlib, hashlib, json, os, re, shutil, signal, subprocess, sys, tempfile, time
import urllib.error, urllib.request
import yaml

from fake_internet import FakeInternet, free_port

FAILS, ROWS = [], []


def report(ok, name, detail=""):
    word = "PASS" if ok else "FAIL"
    ROWS.append({"check": name, "status": word, "detail": detail})
    print(f"{word} {name}" + (f": {detail}" if detail else ""), flush=True)
    if not ok:
        FAILS.append(name)
    return ok


def note(msg):
    ROWS.append({"check": "note", "status": "NOTE", "detail": msg})
    print("NOTE " + msg, flush=True)


def parse_env(path):
    """KEY=VALUE lines, optional `export `, optional matching quotes, no expansion, no execution."""
    out = {}
    if not os.path.exists(path):
        return out
    for n, line in enumerate(open(path, encoding="utf-8"), 1):
        s = line.strip()
        if not s or s.startswith("#"):
            continue
        if s.startswith("export "):
            s = s[7:].lstrip()
        m = re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", s)
        if not m:
            raise SystemExit(f"FAIL env_file: {path}:{n} is not KEY=VALUE")
        v = m.group(2)
        if len(v) >= 2 and v[0] == v[-1] and v[0] in "'\"":
            v = v[1:-1]
        out[m.group(1)] = v
    return out


def env_refs(node):
    if isinstance(node, dict):
        return set().union(set(), *[env_refs(v) for v in node.values()])
    if isinstance(node, list):
        return set().union(set(), *[env_refs(v) for v in node])
    return {node[len("os.environ/") :]} if isinstance(node, str) and node.startswith("os.environ/") else set()


def tree_hash(root):
    h = hashlib.sha256()
    for d, ds, fs in os.walk(root):
        ds.sort()
        for f in sorted(fs):
            p = os.path.join(d, f)
            h.update(os.path.relpath(p, root).encode() + b"\0")
            if os.path.islink(p):
                h.update(os.readlink(p).encode())
            else:
                h.update(open(p, "rb").read())
            h.update(oct(os.lstat(p).st_mode).encode())
    return h.hexdigest()


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def http(method, url, headers=None, body=None, timeout=60):
    data = json.dumps(body).encode() if body is not None else None
    h = {"content-type": "application/json", "anthropic-version": "2023-06-01", **(headers or {})}
    req = urllib.request.Request(url, data=data, headers=h, method=method)
    try:
        with _direct.open(req, timeout=timeout) as r:
            return r.status, r.read().decode("utf8", "replace")
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode("utf8", "replace")
    except OSError as e:
        return 0, str(e)


def main():
    ap = argparse.ArgumentParser(prog="check_real_proxy.sh")
    ap.add_argument("gateway_dir")
    ap.add_argument("--mode", choices=["mock", "upstream"], default="mock")
    ap.add_argument("--config", default="config/litellm.yaml", help="relative to GATEWAY_DIR")
    ap.add_argument(
        "--expect", help="comma-separated model names /v1/models must list (default: derived from the config)"
    )
    ap.add_argument("--port", type=int, default=0)
    ap.add_argument("--timeout", type=float, default=90)
    ap.add_argument(
        "--claude-bin", help="also run this Claude Code binary in print mode with GATEWAY_DIR/../settings.json"
    )
    ap.add_argument("--json", help="write the results to this file")
    ap.add_argument("--keep-log", help="copy the proxy's log to this file")
    a = ap.parse_args()
    gw = os.path.abspath(a.gateway_dir)
    cfg_path = os.path.join(gw, a.config)
    if not os.path.isfile(cfg_path):
        print(f"FAIL config_present: {cfg_path} not found")
        return 2
    litellm_bin = os.path.join(os.path.dirname(sys.executable), "litellm")
    if not os.path.exists(litellm_bin):
        litellm_bin = shutil.which("litellm") or ""
    if not litellm_bin:
        print("SKIP no litellm command next to " + sys.executable)
        return 77
    before = tree_hash(gw)
    try:
        cfg = yaml.safe_load(open(cfg_path, encoding="utf-8"))
    except yaml.YAMLError as e:
        report(False, "yaml_parses", str(e).replace("\n", " ")[:300])
        return 1
    if not isinstance(cfg, dict) or not cfg.get("model_list"):
        report(False, "model_list", "config has no model_list")
        return 1
    dotenv = parse_env(os.path.join(gw, ".env"))
    tmp = tempfile.mkdtemp(prefix="litellm-check-")
    os.chmod(tmp, 0o700)
    proc = None
    fake = None
    log_path = os.path.join(tmp, "proxy.log")
    try:
        # --- environment: only the deployed .env plus what the check itself needs
        env = {"PATH": os.path.dirname(litellm_bin) + ":/usr/bin:/bin", "HOME": tmp, "LANG": "C.UTF-8", **dotenv}
        for k in ("DATABASE_URL", "DIRECT_URL", "REDIS_URL", "REDIS_HOST", "OTEL_EXPORTER_OTLP_ENDPOINT"):
            env.pop(k, None)
        env.update(
            LITELLM_LOCAL_MODEL_COST_MAP="True",
            LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS="True",
            LITELLM_DONT_SHOW_FEEDBACK_BOX="true",
            NO_PROXY="localhost,127.0.0.1",
            no_proxy="localhost,127.0.0.1",
        )
        if a.mode == "upstream":
            fake = FakeInternet(tmp)
            url = f"http://corp:p%40ss@127.0.0.1:{fake.port}"
            env.update(
                HTTPS_PROXY=url,
                HTTP_PROXY=url,
                https_proxy=url,
                http_proxy=url,
                SSL_CERT_FILE=fake.ca_path,
                REQUESTS_CA_BUNDLE=fake.ca_path,
                GOOGLE_APPLICATION_CREDENTIALS=fake.sa_path,
                VERTEXAI_CREDENTIALS=fake.sa_path,
                AWS_EC2_METADATA_DISABLED="true",
            )
            for k, v in (
                ("AWS_ACCESS_KEY_ID", "AKIAFAKE"),
                ("AWS_SECRET_ACCESS_KEY", "fake"),
                ("AWS_REGION_NAME", "us-east-1"),
            ):
                env.setdefault(k, v)
        else:
            env.update({k: "http://127.0.0.1:9" for k in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")})
        missing = sorted(
            v
            for v in env_refs(cfg)
            if not env.get(v) and v not in ("DATABASE_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "REDIS_URL")
        )
        if "LITELLM_MASTER_KEY" in missing:
            report(False, "env_refs", "LITELLM_MASTER_KEY is not set in .env")
            return 1
        for v in missing:
            env[v] = "check-dummy"
        if missing:
            note("not set in .env, a dummy was used (LiteLLM would silently use null): " + ", ".join(missing))
        mk = (cfg.get("general_settings") or {}).get("master_key") or env.get("LITELLM_MASTER_KEY", "")
        key = env.get(mk[len("os.environ/") :], "") if mk.startswith("os.environ/") else mk
        report(
            mk.startswith("os.environ/"),
            "master_key_by_reference",
            "" if mk.startswith("os.environ/") else "master_key is written literally in the config",
        )
        report(
            bool(key) and not re.search(r"CHANGE.?ME|YOUR|PLACEHOLDER|^sk-1234$", key, re.I),
            "master_key_not_placeholder",
            "" if key else "empty",
        )
        # --- 1. the deployed file itself must load
        r = subprocess.run(
            [litellm_bin, "--config", cfg_path, "--validate_config"],
            env=env,
            cwd=tmp,
            capture_output=True,
            text=True,
            timeout=a.timeout,
        )
        out = r.stdout + r.stderr
        report(
            r.returncode == 0,
            "validate_config",
            (re.findall(r"config (?:OK|validation failed).*", out) or [out[-300:]])[-1][:200],
        )
        bad = re.findall(r"Key '([^']+)' is not a valid argument for Router", out)
        report(not bad, "router_settings_keys_known", ", ".join(bad))
        report("LLM Provider NOT provided" not in out, "provider_prefixes_known")
        # --- 2. overlay (mock) or the file as it is (upstream)
        run_cfg = cfg_path
        ov = json.loads(json.dumps(cfg, default=str))
        if a.mode == "mock":
            for m in ov["model_list"]:
                m.setdefault("litellm_params", {})["mock_response"] = "mock ok"
            gs, ls = ov.get("general_settings") or {}, ov.get("litellm_settings") or {}
            for k in ("database_url", "alerting", "coordination_redis"):
                gs.pop(k, None)
            for k in ("cache", "cache_params", "callbacks", "success_callback", "failure_callback", "service_callback"):
                ls.pop(k, None)
            run_cfg = os.path.join(tmp, "overlay.yaml")
            yaml.safe_dump(ov, open(run_cfg, "w"), sort_keys=False)
        aliases = {k: v for k, v in ((cfg.get("router_settings") or {}).get("model_group_alias") or {}).items()}
        report(
            all(isinstance(v, str) or isinstance(v, dict) for v in aliases.values()),
            "model_group_alias_values",
            "each alias must map to ONE model name",
        )
        names = [m.get("model_name") for m in cfg["model_list"]]
        expect = (
            set(a.expect.split(","))
            if a.expect
            else {n for n in names if "*" not in n}
            | {k for k, v in aliases.items() if isinstance(v, str) or (isinstance(v, dict) and not v.get("hidden"))}
        )
        # --- 3. start
        port = a.port or free_port()
        base = f"http://127.0.0.1:{port}"
        t0 = time.time()
        proc = subprocess.Popen(
            [litellm_bin, "--config", run_cfg, "--host", "127.0.0.1", "--port", str(port)],
            env=env,
            cwd=tmp,
            stdout=open(log_path, "wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        up = False
        while time.time() - t0 < a.timeout and proc.poll() is None:
            if http("GET", base + "/health/liveliness", timeout=2)[0] == 200:
                up = True
                break
            time.sleep(0.2)
        report(
            up,
            "starts",
            (
                f"{time.time()-t0:.1f}s, pid {proc.pid}, port {port}"
                if up
                else "not live; log tail: " + open(log_path, errors="replace").read()[-1200:]
            ),
        )
        if not up:
            return 1
        with contextlib.suppress(OSError):
            rss = re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{proc.pid}/status").read())
            note(f"resident memory {int(rss.group(1))//1024} MiB")
        auth = {"authorization": f"Bearer {key}"}
        hello = lambda m, **kw: {"model": m, "max_tokens": 16, "messages": [{"role": "user", "content": "hi"}], **kw}
        # --- 4. health
        st, b = http("GET", base + "/health/readiness")
        report(st == 200 and json.loads(b).get("status") == "healthy", "health_readiness", f"{st} {b[:80]}")
        # --- 5. auth
        st, b = http("GET", base + "/v1/models")
        report(
            st == 401,
            "models_without_key_401",
            f"{st}" + (" (500: install `prisma` beside litellm)" if st == 500 else ""),
        )
        st, b = http("POST", base + "/v1/messages", body=hello(names[0]))
        report(st == 401, "messages_without_key_401", str(st))
        st, b = http("POST", base + "/v1/messages", {"authorization": "Bearer sk-not-the-key"}, hello(names[0]))
        report(st in (400, 401, 403), "messages_wrong_key_refused", f"{st} {b[:80]}")
        # --- 6. models
        st, b = http("GET", base + "/v1/models", auth)
        got = {m["id"] for m in json.loads(b)["data"]} if st == 200 else set()
        report(
            st == 200 and got == expect,
            "models_match",
            f"{len(got)} models" if got == expect else f"missing {sorted(expect-got)} unexpected {sorted(got-expect)}",
        )
        st, b = http(
            "GET", base + "/v1/models?limit=1000", {**auth, "user-agent": "claude-cli/2.1.329 (external, cli)"}
        )
        ids = [m["id"] for m in json.loads(b)["data"]] if st == 200 else []
        report(
            st == 200 and bool(ids) and all(re.match("claude|anthropic", i) for i in ids),
            "claude_code_discovery_view",
            f"{len(ids)} ids" if ids else str(st),
        )
        # --- 7. calls
        st, b = http("POST", base + "/v1/messages?beta=true", {"x-api-key": key}, hello(sorted(expect)[0]))
        report(st == 200, "messages_x_api_key", str(st))
        for m in sorted(expect):
            n0 = len(fake.log) if fake else 0
            st, b = http("POST", base + "/v1/messages?beta=true", auth, hello(m))
            ok = st == 200 and json.loads(b).get("type") == "message"
            where = ""
            if fake:
                hits = [x for x in fake.log[n0:] if x["host"] not in ("oauth2.googleapis.com",)]
                where = "; ".join(f"{x['host']}{x['path']}" for x in hits[-1:])
                ok = ok and bool(hits) and not any("407" in x["path"] for x in hits)
            report(ok, f"messages[{m}]", (where or f"{st}") if ok else f"{st} {b[:200]} {where}")
            if fake and not any(
                str((d.get("litellm_params") or {}).get("model", "")).startswith("bedrock/")
                for d in cfg["model_list"]
                if d["model_name"] == m
            ):
                st, b = http("POST", base + "/v1/messages?beta=true", auth, hello(m, stream=True))
                report(
                    st == 200 and "event: message_start" in b and "event: message_stop" in b, f"stream[{m}]", str(st)
                )
        st, b = http("POST", base + "/v1/messages", auth, hello("no-such-model"))
        report(st in (400, 404), "unknown_model_refused", str(st))
        # --- 8. Claude Code itself
        if a.claude_bin:
            home = os.path.join(tmp, "home")
            os.makedirs(os.path.join(home, ".claude"))
            os.makedirs(os.path.join(home, "w"))
            shutil.copytree(gw, os.path.join(home, ".claude", "gateway"), symlinks=True)
            s = os.path.join(os.path.dirname(gw), "settings.json")
            if os.path.exists(s):
                shutil.copy(s, os.path.join(home, ".claude", "settings.json"))
            else:
                note("no settings.json beside the gateway directory")
            cenv = {"HOME": home, "PATH": "/usr/bin:/bin", "TERM": "dumb"}
            over = {
                "env": {
                    "ANTHROPIC_BASE_URL": base,
                    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                    "DISABLE_TELEMETRY": "1",
                    "DISABLE_AUTOUPDATER": "1",
                    "CLAUDE_CODE_MAX_RETRIES": "0",
                }
            }
            r = subprocess.run(
                [a.claude_bin, "-p", "hi", "--settings", json.dumps(over)],
                env=cenv,
                cwd=os.path.join(home, "w"),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
            )
            report(
                r.returncode == 0 and "ok" in r.stdout,
                "claude_code_print_mode",
                f"rc {r.returncode}: {r.stdout.strip()[:160]}",
            )
        return 0
    finally:
        if proc and proc.poll() is None:
            proc.send_signal(signal.SIGTERM)
            try:
                proc.wait(20)
            except subprocess.TimeoutExpired:
                proc.kill()
                proc.wait(5)
        if proc:
            report(
                http("GET", f"http://127.0.0.1:{port}/health/liveliness", timeout=2)[0] == 0,
                "stopped",
                f"rc {proc.returncode}",
            )
        report(tree_hash(gw) == before, "deployed_files_untouched")
        if a.keep_log and os.path.exists(log_path):
            shutil.copy(log_path, a.keep_log)
        if a.json:
            json.dump(ROWS, open(a.json, "w"), indent=1)
        shutil.rmtree(tmp, ignore_errors=True)


if __name__ == "__main__":
    rc = main()
    print(
        f"RESULT {'ok' if not rc and not FAILS else 'failed'}: {sum(r['status']=='PASS' for r in ROWS)} passed, {len(FAILS)} failed"
    )
    sys.exit(rc or (1 if FAILS else 0))
