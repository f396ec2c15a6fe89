"""Small directories by hand, one for each lane, and what breaks each: a lane that calls a broken one good is worth nothing."""

COMPOSE = """\
services:
  litellm:
    image: ghcr.io/berriai/litellm:v1.106.2
    env_file: [secrets.env]
    environment:
      DATABASE_URL: postgresql://litellm:${POSTGRES_PASSWORD:?set it in secrets.env}@postgres:5432/litellm
      NOTE: "costs $$5"
    expose: ["4000"]
    depends_on: {postgres: {condition: service_healthy}}
  postgres:
    image: postgres:16-alpine
    environment: {POSTGRES_PASSWORD: "${POSTGRES_PASSWORD:?}"}
    volumes: ["pgdata:/var/lib/postgresql/data"]
    healthcheck: {test: [CMD, pg_isready], interval: 5s}
  nginx:
    image: nginx:1.27-alpine
    ports: ["443:443"]
    volumes: ["./nginx:/etc/nginx/conf.d:ro"]
    depends_on: {litellm: {condition: service_healthy}}
volumes: {pgdata: {}}
"""
SITE = """\
server_tokens off;
add_header Strict-Transport-Security "max-age=31536000" always;

server {
    listen 443 ssl default_server;
    ssl_certificate /etc/nginx/certs/fullchain.pem;
    ssl_certificate_key /etc/nginx/certs/privkey.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305;
    return 444;
}

server {
    listen 443 ssl;
    server_name gateway.example.com;
    ssl_certificate /etc/nginx/certs/fullchain.pem;
    ssl_certificate_key /etc/nginx/certs/privkey.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305;

    location / {
        proxy_pass http://litellm:4000;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_buffering off;
        proxy_read_timeout 600s;
    }
}
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: litellm
spec:
  replicas: 1
  selector:
    matchLabels: {app: litellm}
  template:
    metadata:
      labels: {app: litellm}
    spec:
      containers:
        - name: litellm
          image: ghcr.io/berriai/litellm:v1.106.2
          envFrom: [{secretRef: {name: litellm-secrets}}]
          resources: {limits: {memory: 4Gi}}
"""
KUSTOMIZATION = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [deployment.yaml]
secretGenerator:
  - name: litellm-secrets
    envs: [secrets.env]
"""
VALUES = """\
replicaCount: 1
image: {repository: ghcr.io/berriai/litellm, tag: v1.106.2, pullPolicy: IfNotPresent}
masterkeySecretName: litellm-secrets
masterkeySecretKey: LITELLM_MASTER_KEY
proxy_config:
  model_list: []
  general_settings: {master_key: os.environ/PROXY_MASTER_KEY}
db:
  useExisting: true
  deployStandalone: false
  endpoint: pg.example
  database: litellm
  secret: {name: litellm-db, usernameKey: username, passwordKey: password}
migrationJob: {hooks: {argocd: {enabled: false}, helm: {enabled: true}}}
resources: {requests: {cpu: 250m, memory: 1Gi}, limits: {cpu: "1", memory: 4Gi}}
"""
UNIT = """\
[Unit]
Description=LLM gateway on port %i
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
DynamicUser=yes
ExecStart=/opt/llm-gateway/venv/bin/litellm --config /opt/llm-gateway/config/litellm.yaml --host 127.0.0.1 --port %i
Restart=on-failure
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
RestrictNamespaces=yes
LockPersonality=yes
SystemCallArchitectures=native
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallFilter=@system-service
CapabilityBoundingSet=
UMask=0077

[Install]
WantedBy=multi-user.target
"""
TIMER = """\
[Unit]
Description=Backup of the LLM gateway

[Timer]
OnCalendar=daily
RandomizedDelaySec=30m
Persistent=true
Unit=llm-gateway@4000.service

[Install]
WantedBy=timers.target
"""
ROTATION = """\
/opt/llm-gateway/logs/*.log {
    daily
    rotate 14
    missingok
    compress
}
"""
SAM = """\
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  Gateway:
    Type: AWS::Serverless::Function
    Properties:
      PackageType: Image
      ImageUri: 123456789012.dkr.ecr.eu-central-1.amazonaws.com/gateway:1
      MemorySize: 1024
      Timeout: 300
      FunctionUrlConfig: {AuthType: NONE, InvokeMode: RESPONSE_STREAM}
"""
IMAGE = """\
FROM ghcr.io/berriai/litellm:v1.106.2
COPY config/litellm.yaml /etc/litellm/config.yaml
ENTRYPOINT ["litellm"]
CMD ["--config", "/etc/litellm/config.yaml"]
"""
SETTINGS = '{"env": {"ANTHROPIC_BASE_URL": "https://gateway.example.com"}, "apiKeyHelper": "/usr/local/bin/gwinstall \\"print\\" key"}\n'
PLIST = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>env</key><dict><key>ANTHROPIC_BASE_URL</key><string>https://gateway.example.com</string></dict>
<key>apiKeyHelper</key><string>/usr/local/bin/gwinstall "print" key</string>
</dict></plist>
"""
REGISTRY = (
    "Windows Registry Editor Version 5.00\r\n\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\ClaudeCode]\r\n"
    '"Settings"="' + SETTINGS.strip().replace("\\", "\\\\").replace('"', '\\"') + '"\r\n'
)
WORKFLOW = """\
name: deploy
on:
  push:
    branches: [main]
permissions: {}
concurrency:
  group: deploy
  cancel-in-progress: false
jobs:
  build:
    name: build
    runs-on: ubuntu-24.04
    timeout-minutes: 15
    permissions:
      contents: read # to check out
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
        with:
          persist-credentials: false
      - name: verify
        env:
          WHERE: ${{ vars.GATEWAY_URL }}
        run: |
          curl -fsS -m 30 "$WHERE/health/readiness"
"""
PLAYBOOK = """\
---
- name: Deploy the gateway
  hosts: gateways
  become: true
  tasks:
    - name: Put the configuration in place
      ansible.builtin.copy:
        src: litellm.yaml
        dest: /opt/llm-gateway/config/litellm.yaml
        mode: "0640"
"""
RULES = """\
groups:
  - name: llm-gateway
    rules:
      - alert: GatewayDown
        expr: up{job="llm-gateway"} == 0
        for: 2m
        labels: {severity: critical}
        annotations: {summary: "gateway {{ $labels.instance }} is not scraped"}
      - alert: GatewayErrorRate
        expr: >-
          sum by (team) (rate(litellm_proxy_failed_requests_metric_total[5m]))
          / sum by (team) (rate(litellm_proxy_total_requests_metric_total[5m])) > 0.05
        for: 10m
        labels: {severity: warning}
"""
RULES_TEST = """\
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'up{job="llm-gateway",instance="a"}', values: "1 0 0 0 0"}
    alert_rule_test:
      - eval_time: 4m
        alertname: GatewayDown
        exp_alerts:
          - exp_labels: {severity: critical, job: llm-gateway, instance: a}
            exp_annotations: {summary: gateway a is not scraped}
"""
SCRAPE = """\
rule_files: [rules.yml]
scrape_configs:
  - job_name: llm-gateway
    metrics_path: /metrics/
    authorization: {type: Bearer, credentials_file: secrets/token}
    static_configs: [{targets: ["127.0.0.1:4000"]}]
"""
DASHBOARD = """\
{"title": "LLM gateway", "schemaVersion": 39, "panels": [
 {"id": 1, "title": "Spend", "targets": [{"expr": "sum by (team_alias) (rate(litellm_spend_metric_total{team=~\\"$team\\"}[$__rate_interval]))"}]},
 {"id": 2, "title": "p95", "targets": [{"expr": "histogram_quantile(0.95, sum by (le) (rate(litellm_request_total_latency_metric_bucket[5m])))"}]}]}
"""
SCRIPT = '#!/bin/sh\nset -eu\necho "$1"\n'

GOOD = {
    "compose": {"compose.yaml": COMPOSE, "secrets.env.example": "POSTGRES_PASSWORD=\n", "nginx/site.conf": SITE, "deploy.sh": SCRIPT},
    "kubernetes": {
        "base/kustomization.yaml": KUSTOMIZATION,
        "base/deployment.yaml": DEPLOYMENT,
        "base/secrets.env.example": "LITELLM_MASTER_KEY=\n",
        "overlays/prod/kustomization.yaml": "resources: [../../base]\nnamePrefix: prod-\n",
    },
    "helm": {"values.yaml": VALUES, "values-prod.yaml": "replicaCount: 2\n"},
    "systemd": {
        "units/llm-gateway@.service": UNIT,
        "units/llm-gateway-backup.timer": TIMER,
        "nginx/site.conf": SITE.replace("http://litellm", "http://127.0.0.1"),
        "logrotate.d/llm-gateway": ROTATION,
    },
    "lambda": {"template.yaml": SAM, "Dockerfile": IMAGE},
    "desktop": {"managed-settings.json": SETTINGS, "com.anthropic.claudecode.plist": PLIST, "claude-code.reg": REGISTRY},
    "github-actions": {".github/workflows/deploy.yml": WORKFLOW},
    "ansible": {"deploy.yaml": PLAYBOOK, "litellm.yaml": "---\nmodel_list: []\n"},
    "monitoring": {"rules.yml": RULES, "rules_test.yml": RULES_TEST, "prometheus.yml": SCRAPE, "dashboard.json": DASHBOARD},
}
# (lane, file, what stands there, what stands there instead, the tool that has to find it)
BROKEN = [
    ("compose", "compose.yaml", "expose:", "exposed:", "docker-compose"),
    ("compose", "compose.yaml", "condition: service_healthy}}\n  postgres", "condition: healthy}}\n  postgres", "docker-compose"),
    ("compose", "compose.yaml", "443:443", "99443:443", "docker-compose"),
    ("compose", "compose.yaml", "pgdata:/var", "pgdatta:/var", "docker-compose"),
    ("compose", "compose.yaml", "on: {postgres", "on: {postgress", "docker-compose"),
    ("compose", "compose.yaml", "[CMD, pg_isready]", "[CMD, pg_isready, -U litellm]", "docker-compose"),
    ("compose", "compose.yaml", "costs $$5", "costs $FIVE", "docker-compose"),
    ("compose", "secrets.env.example", "POSTGRES_PASSWORD", "POSTGRES_PASSWORT", "docker-compose"),
    ("compose", "compose.yaml", "    expose:", "    expose: []\n    expose:", "python"),
    ("compose", "nginx/site.conf", "proxy_buffering", "proxy_bufering", "nginx"),
    ("compose", "nginx/site.conf", "http://litellm:", "http://litelm:", "nginx"),
    ("compose", "nginx/site.conf", "$host;", "$http_host;", "gixy"),
    ("compose", "deploy.sh", '"$1"', "$1", "shellcheck"),
    ("kubernetes", "base/deployment.yaml", "replicas:", "replicaz:", "kubernetes-validate"),
    ("kubernetes", "base/deployment.yaml", "4Gi", "4GiB", "python"),
    ("kubernetes", "overlays/prod/kustomization.yaml", "../../base", "../../bass", "kubectl"),
    ("kubernetes", "base/kustomization.yaml", "envs: [secrets", "envs: [secretz", "kubectl"),
    ("helm", "values.yaml", "replicaCount", "replicasCount", "helm"),
    ("helm", "values-prod.yaml", "replicaCount: 2", "replicaCount: 2\ndb: {endpont: x}", "helm"),
    ("helm", "values.yaml", "memory: 4Gi", "memory: 4GiB", "helm"),
    ("helm", "values.yaml", "deployStandalone: false", "deployStandalone: true\n  useExisting2: true", "helm"),
    ("systemd", "units/llm-gateway@.service", "ProtectHome", "ProtectHomes", "systemd-analyze"),
    ("systemd", "units/llm-gateway@.service", "SystemCallFilter=@system-service\nCapabilityBoundingSet=\n", "", "systemd-analyze"),
    ("systemd", "units/llm-gateway-backup.timer", "OnCalendar=daily", "OnCalendar=dayly", "systemd-analyze"),
    ("systemd", "nginx/site.conf", "listen 443 ssl;", "listen 443 sll;", "nginx"),
    ("systemd", "logrotate.d/llm-gateway", "rotate 14", "rotate fourteen", "logrotate"),
    ("lambda", "template.yaml", "MemorySize: 1024", "MemorySize: 64", "cfn-lint"),
    ("lambda", "template.yaml", "PackageType: Image", "PackageTypo: Image", "cfn-lint"),
    ("lambda", "Dockerfile", "COPY config", "ADD config", "hadolint"),
    ("desktop", "managed-settings.json", '"apiKeyHelper"', '"env": {}, "apiKeyHelper"', ""),
    ("desktop", "com.anthropic.claudecode.plist", "https://gateway", "http://gateway", ""),
    ("desktop", "com.anthropic.claudecode.plist", "</dict></plist>", "</plist>", ""),
    ("desktop", "claude-code.reg", "https://gateway", "http://gateway", ""),
    ("desktop", "claude-code.reg", '\\"apiKeyHelper', '"apiKeyHelper', ""),
    ("desktop", "claude-code.reg", "\r\n", "\n", ""),
    ("github-actions", ".github/workflows/deploy.yml", "runs-on", "runs-onn", "actionlint"),
    ("github-actions", ".github/workflows/deploy.yml", "persist-credentials: false", "fetch-depth: 1", "zizmor"),
    ("github-actions", ".github/workflows/deploy.yml", "    timeout-minutes: 15\n", "", "check-jsonschema"),
    ("github-actions", ".github/workflows/deploy.yml", '"$WHERE/', '$WHERE"/', "shellcheck"),
    ("github-actions", ".github/workflows/deploy.yml", '"$WHERE/', '"${{ vars.GATEWAY_URL }}/', "python"),
    ("ansible", "deploy.yaml", "  tasks:", "  taskz:", "ansible-playbook"),
    ("ansible", "deploy.yaml", 'mode: "0640"', "mode: 0640", "ansible-lint"),
    ("ansible", "deploy.yaml", "ansible.builtin.copy:", "copy:", "ansible-lint"),
    ("monitoring", "rules.yml", "== 0", "=== 0", "promtool"),
    ("monitoring", "rules_test.yml", "eval_time: 4m", "eval_time: 1m", "promtool"),
    ("monitoring", "prometheus.yml", "metrics_path", "metric_path", "promtool"),
    ("monitoring", "rules.yml", "litellm_proxy_failed_requests_metric_total", "litellm_proxy_failed_requests_total", "LiteLLM's metrics"),
    ("monitoring", "dashboard.json", "litellm_spend_metric_total", "litellm_spend_metric", "LiteLLM's metrics"),
    ("monitoring", "dashboard.json", "sum by (le) (", "sum by (le) ((", "promtool"),
]


def write(files, directory):
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        path.chmod(0o755 if text.startswith("#!") else 0o644)
