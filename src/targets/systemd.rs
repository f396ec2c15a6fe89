//! A server with systemd and nginx: hardened units, two instances behind TLS, backups by a timer.

use crate::domain::Result;

use super::readme::Guide;
use super::spec::{GRACE, config_path};
use super::{Spec, Target, Tree, escape, needs, nginx, scripts};

pub(super) fn render(spec: &Spec) -> Result<Tree> {
    let Some(domain) = &spec.values.domain else {
        return Err(needs(Target::Systemd, "domain", "gateway.example.com"));
    };
    let mut tree = Tree::default();
    for file in &spec.config {
        tree.configuration(&config_path(file.name), file.bytes.clone());
    }
    tree.commented("units/litellm-gateway@.service", &gateway(spec));
    tree.commented("units/llm-gateway-backup.service", &backup(spec));
    tree.commented("units/llm-gateway-backup.timer", &timer("backup", "daily"));
    tree.commented("units/llm-gateway-check.service", &check(spec));
    tree.commented("units/llm-gateway-check.timer", &timer("check", "*-*-* 06:00:00"));
    tree.commented("gateway.env", &variables(spec));
    tree.commented("logrotate/llm-gateway", &logrotate(spec));
    let root = &spec.values.server.root;
    let site = nginx::Site {
        domain,
        upstreams: ports(spec).map(|port| format!("127.0.0.1:{port}")).collect(),
        certificates: &format!("{root}/certs"),
        challenges: &format!("{root}/challenges"),
    };
    tree.commented("nginx/gateway.conf", &nginx::site(spec, &site));
    scripts::write(&mut tree, spec, scripts::Layout::Systemd);
    tree.text("litellm.lock", spec.lock.to_vec());
    scripts::secrets(&mut tree, spec);
    tree.guide("README.md", guide(spec, domain).text(spec));
    Ok(tree)
}

/// The port of each instance.
fn ports(spec: &Spec) -> impl Iterator<Item = u16> {
    scripts::ports(spec, spec.values.server.instances)
}

/// What every unit of the gateway may not do. A call that is not allowed fails: a memory allocator in LiteLLM's packages asks for
/// `mbind` and goes on without it, and a kill would be the end of every start.
const SANDBOX: &str = "\
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
ProcSubset=pid
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
RemoveIPC=yes
UMask=0077
";

/// One instance; its name is its port. MemoryDenyWriteExecute stays off: Python's ffi needs it.
fn gateway(spec: &Spec) -> String {
    let (root, user) = (&spec.values.server.root, &spec.values.server.user);
    let (limit, high) = (spec.resources.limits.memory, spec.resources.limits.memory * 3 / 4);
    let entry = spec.entry();
    format!(
        "\
[Unit]
Description=LLM gateway (LiteLLM) on port %i
Documentation=file:{root}/README.md
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=exec
User={user}
Group={user}
WorkingDirectory={root}/data
EnvironmentFile={root}/gateway.env
EnvironmentFile={root}/secrets.env
Environment=HOME={root}/data
ExecStart={root}/venv/bin/python {root}/venv/bin/litellm --config {root}/config/{entry} --host 127.0.0.1 --port %i --num_workers 1
Restart=on-failure
RestartSec=5s
TimeoutStopSec={GRACE}s
KillMode=mixed
MemoryHigh={high}M
MemoryMax={limit}M
TasksMax=256
LimitNOFILE=65536
ReadWritePaths={root}/data {root}/logs
StandardOutput=append:{root}/logs/gateway-%i.log
StandardError=inherit
{SANDBOX}
[Install]
WantedBy=multi-user.target
"
    )
}

fn backup(spec: &Spec) -> String {
    let (root, user) = (&spec.values.server.root, &spec.values.server.user);
    format!(
        "\
[Unit]
Description=Backup of the LLM gateway
Documentation=file:{root}/README.md
OnFailure=llm-gateway-check.service

[Service]
Type=oneshot
User={user}
Group={user}
ExecStart={root}/backup.sh
TimeoutStartSec=600s
Nice=10
IOSchedulingClass=idle
ReadWritePaths={root}/data {root}/backups {root}/logs
StandardOutput=append:{root}/logs/backup.log
StandardError=inherit
{SANDBOX}"
    )
}

/// Starts one of the services above each day, also where the machine was off at that time.
fn timer(job: &str, when: &str) -> String {
    format!(
        "\
[Unit]
Description=Daily {job} of the LLM gateway

[Timer]
Unit=llm-gateway-{job}.service
OnCalendar={when}
RandomizedDelaySec=30m
Persistent=yes

[Install]
WantedBy=timers.target
"
    )
}

/// Alerts where there was no good backup for two days, or the certificate ends.
fn check(spec: &Spec) -> String {
    let (root, user) = (&spec.values.server.root, &spec.values.server.user);
    format!(
        "\
[Unit]
Description=Check of the backups and the certificate of the LLM gateway
Documentation=file:{root}/README.md

[Service]
Type=oneshot
User={user}
Group={user}
ExecStart={root}/backup-check.sh
ExecStart={root}/certificate.sh
TimeoutStartSec=120s
ReadWritePaths={root}/data {root}/logs
StandardOutput=append:{root}/logs/check.log
StandardError=inherit
{SANDBOX}"
    )
}

/// Variables of LiteLLM in the form of `EnvironmentFile=`.
fn variables(spec: &Spec) -> String {
    let mut lines = spec.variables.clone();
    if let Some(database) = &spec.values.database {
        let host = database.host.as_deref().unwrap_or("127.0.0.1");
        lines.insert("DATABASE_HOST".to_owned(), format!("{host}:{}", database.port));
    }
    if let Some(redis) = &spec.values.redis {
        lines.insert("REDIS_HOST".to_owned(), redis.host.clone().unwrap_or_else(|| "127.0.0.1".to_owned()));
    }
    if spec.google {
        let file = format!("{}/google-credentials.json", spec.values.server.root);
        lines.insert("GOOGLE_APPLICATION_CREDENTIALS".to_owned(), file);
    }
    lines.iter().map(|(name, value)| format!("{name}={}\n", escape::environment_file(value))).collect()
}

fn logrotate(spec: &Spec) -> String {
    let (root, user) = (&spec.values.server.root, &spec.values.server.user);
    format!(
        "\
{root}/logs/*.log {{
    su {user} {user}
    daily
    rotate 14
    missingok
    notifempty
    compress
    delaycompress
    copytruncate
    maxsize 100M
}}
"
    )
}

fn guide<'a>(spec: &Spec, domain: &str) -> Guide<'a> {
    let root = &spec.values.server.root;
    let units = ports(spec).map(|port| format!("`litellm-gateway@{port}`")).collect::<Vec<_>>().join(" and ");
    let google = if spec.google {
        format!(
            "\n- `{root}/google-credentials.json`, readable by the gateway alone: a service account that may call Vertex AI."
        )
    } else {
        String::new()
    };
    let database = if spec.values.database.is_some() {
        "\n- PostgreSQL 15 or later with a database for LiteLLM, whose role may make others (`CREATEDB`): a drill and a restoration do. \
           And `pg_dump` of the same version."
    } else {
        ""
    };
    Guide {
        title: "The gateway on a server",
        about: format!("{units} behind nginx with TLS for {domain}; both units run in a sandbox."),
        prerequisites: format!(
            "\
- A Linux with systemd 250 or later, nginx, curl, openssl, logrotate; 4 cores, 4 GB of memory, 50 GB of disk.
- gwinstall itself: it brings LiteLLM.
- {domain} leads to this machine.{google}{database}"
        ),
        deploy: format!(
            "\
As root, from this directory:

```sh
./install.sh          # account, directories, units, site, logrotate; asks before it changes anything
gwinstall render secrets --out {root}    # or fill in {root}/secrets.env by hand
{root}/deploy.sh
certbot certonly --webroot -w {root}/challenges -d {domain} --deploy-hook '{root}/certificate.sh --take \"$RENEWED_LINEAGE\"'
```

Until a client of ACME has brought a certificate, nginx serves one that no client trusts. `certificate.sh --take DIR` checks a new one, copies
it to {root}/certs and lets nginx load it; certbot calls it again after each renewal.

`deploy.sh` restarts one instance after the other, waits until each answers, and returns to the state before if one does not."
        ),
        verify: format!(
            "\
```sh
{root}/verify.sh --public https://{domain}
systemd-analyze security litellm-gateway@{}.service    # exposure below 3
```

`https://{domain}/api/health` answers 200 without a key.",
            spec.values.port
        ),
        roll_back: format!("`{root}/rollback.sh` returns to the deployment before; `{root}/deploy.sh --history` lists them."),
        back_up: format!(
            "\
`llm-gateway-backup.timer` runs `backup.sh` daily; `llm-gateway-check.timer` raises an alert after two days without a good backup.
`{root}/restore.sh --drill FILE` proves that a backup can be restored, `{root}/restore.sh FILE` restores it."
        ),
        rotate_a_key: format!("`{root}/rotate.sh NAME`. Never change `LITELLM_SALT_KEY`."),
        upgrade: format!(
            "\
Render again with a newer gwinstall, look at `--diff`, then `./install.sh` and `{root}/deploy.sh`. A new LiteLLM is built beside the
one that runs; `venv` leads to the one in use."
        ),
    }
}
