//! Docker Compose: nginx with TLS, LiteLLM, PostgreSQL and Redis on one machine. Podman's compose reads the same file.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Serialize;

use crate::domain::Result;

use super::readme::Guide;
use super::spec::{CONFIG_DIR, GOOGLE_FILE, GRACE, LIVENESS, config_path};
use super::{Spec, Target, Tree, escape, needs, nginx, scripts};

/// Images beside LiteLLM's. A newer major version of PostgreSQL cannot read the directory of an older one.
pub(super) const POSTGRES: &str = "postgres:16-alpine";
const REDIS: &str = "redis:7-alpine";
const NGINX: &str = "nginx:1.28-alpine";

#[derive(Serialize)]
struct File {
    services: IndexMap<String, Service>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    volumes: IndexMap<&'static str, Empty>,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize, Default)]
struct Service {
    image: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    command: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env_file: Vec<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    environment: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ports: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<String>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    depends_on: IndexMap<String, Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthcheck: Option<HealthCheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restart: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_grace_period: Option<String>,
    security_opt: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cap_drop: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cap_add: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deploy: Option<Deploy>,
    logging: Logging,
}

#[derive(Serialize)]
struct Condition {
    condition: &'static str,
}

#[derive(Serialize)]
struct HealthCheck {
    test: Vec<String>,
    interval: String,
    timeout: String,
    retries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_period: Option<&'static str>,
}

#[derive(Serialize)]
struct Deploy {
    resources: Resources,
}

#[derive(Serialize)]
struct Resources {
    limits: Limits,
    reservations: Reservations,
}

#[derive(Serialize)]
struct Limits {
    cpus: String,
    memory: String,
}

#[derive(Serialize)]
struct Reservations {
    memory: String,
}

#[derive(Serialize)]
struct Logging {
    driver: &'static str,
    options: BTreeMap<&'static str, &'static str>,
}

impl Default for Logging {
    fn default() -> Self {
        Self { driver: "json-file", options: BTreeMap::from([("max-size", "10m"), ("max-file", "3")]) }
    }
}

pub(super) fn render(spec: &Spec) -> Result<Tree> {
    let Some(domain) = &spec.values.domain else {
        return Err(needs(Target::Compose, "domain", "gateway.example.com"));
    };
    let mut tree = Tree::default();
    tree.yaml("compose.yaml", &[file(spec)])?;
    for file in &spec.config {
        tree.configuration(&config_path(file.name), file.bytes.clone());
    }
    let site = nginx::Site {
        domain,
        upstreams: instances(spec).map(|(name, _)| format!("{name}:{}", spec.values.port)).collect(),
        certificates: "/etc/nginx/certs",
        challenges: "/var/www/challenges",
    };
    tree.commented("nginx/gateway.conf", &nginx::site(spec, &site));
    scripts::write(&mut tree, spec, scripts::Layout::Compose);
    scripts::secrets(&mut tree, spec);
    tree.guide("README.md", guide(spec, domain).text(spec));
    Ok(tree)
}

/// The services that run LiteLLM, with the port of this machine where the scripts ask each: one restarts while the other answers.
fn instances(spec: &Spec) -> impl Iterator<Item = (String, u16)> {
    let name = |number| if number == 1 { "litellm".to_owned() } else { format!("litellm-{number}") };
    scripts::ports(spec, spec.values.replicas).zip(1..).map(move |(port, number)| (name(number), port))
}

fn file(spec: &Spec) -> File {
    let values = &spec.values;
    let mut services = IndexMap::new();
    let own_database = values.database.as_ref().filter(|database| database.host.is_none());
    let own_redis = values.redis.as_ref().filter(|redis| redis.host.is_none());
    for (name, port) in instances(spec) {
        services.insert(name, litellm(spec, port));
    }
    services.insert("nginx".to_owned(), front(spec));
    let mut volumes = IndexMap::new();
    if let Some(database) = own_database {
        services.insert("postgres".to_owned(), postgres(&database.name, &database.user));
        volumes.insert("database", Empty {});
    }
    if own_redis.is_some() {
        services.insert("redis".to_owned(), redis());
        volumes.insert("redis", Empty {});
    }
    File { services, volumes }
}

fn healthy(names: impl IntoIterator<Item = impl Into<String>>) -> IndexMap<String, Condition> {
    names.into_iter().map(|name| (name.into(), Condition { condition: "service_healthy" })).collect()
}

/// The services of this file that LiteLLM needs.
fn stores(spec: &Spec) -> IndexMap<String, Condition> {
    let own = |name: &'static str, there: bool| there.then_some(name);
    let database = spec.values.database.as_ref().is_some_and(|database| database.host.is_none());
    let redis = spec.values.redis.as_ref().is_some_and(|redis| redis.host.is_none());
    healthy([own("postgres", database), own("redis", redis)].into_iter().flatten())
}

fn environment(spec: &Spec) -> BTreeMap<String, String> {
    let mut environment: BTreeMap<String, String> =
        spec.variables.iter().map(|(name, value)| (name.clone(), escape::compose(value))).collect();
    if let Some(database) = &spec.values.database {
        let host = database.host.as_deref().unwrap_or("postgres");
        environment.insert("DATABASE_HOST".to_owned(), format!("{host}:{}", database.port));
    }
    if let Some(redis) = &spec.values.redis {
        environment.insert("REDIS_HOST".to_owned(), redis.host.clone().unwrap_or_else(|| "redis".to_owned()));
    }
    if spec.google {
        environment.insert("GOOGLE_APPLICATION_CREDENTIALS".to_owned(), GOOGLE_FILE.to_owned());
    }
    environment
}

fn litellm(spec: &Spec, port: u16) -> Service {
    let address = format!("http://127.0.0.1:{}{}", spec.values.port, LIVENESS.path);
    // The image has Python, and not always curl.
    // No space: the interface that Compose uses of podman splits an argument at one.
    let ask = format!("__import__('urllib.request').request.urlopen('{address}',timeout=4)");
    let mut volumes = vec![format!("./config:{CONFIG_DIR}:ro")];
    if spec.google {
        volumes.push(format!("./google-credentials.json:{GOOGLE_FILE}:ro"));
    }
    let limits = spec.resources.limits;
    Service {
        image: image(spec),
        command: spec.arguments(),
        env_file: vec![scripts::SECRETS],
        environment: environment(spec),
        ports: vec![format!("127.0.0.1:{port}:{}", spec.values.port)],
        volumes,
        depends_on: stores(spec),
        healthcheck: Some(HealthCheck {
            test: ["CMD", "python3", "-c", &ask].map(str::to_owned).to_vec(),
            interval: format!("{}s", LIVENESS.period),
            timeout: format!("{}s", LIVENESS.timeout),
            retries: LIVENESS.failures,
            start_period: Some("60s"),
        }),
        restart: Some("unless-stopped"),
        stop_grace_period: Some(format!("{GRACE}s")),
        security_opt: vec!["no-new-privileges:true"],
        cap_drop: vec!["ALL"],
        // The mounted files belong to the user who rendered them.
        cap_add: vec!["DAC_OVERRIDE"],
        deploy: Some(Deploy {
            resources: Resources {
                limits: Limits {
                    cpus: format!("{:.1}", f64::from(limits.cpu) / 1000.0),
                    memory: format!("{}M", limits.memory),
                },
                reservations: Reservations { memory: format!("{}M", spec.resources.requests.memory) },
            },
        }),
        ..Service::default()
    }
}

/// deploy.sh writes the image that runs into `.image`.
fn image(spec: &Spec) -> String {
    format!("${{LITELLM_IMAGE:-{}}}", spec.image)
}

fn front(spec: &Spec) -> Service {
    Service {
        image: NGINX.to_owned(),
        ports: ["443:443", "80:80"].map(str::to_owned).to_vec(),
        volumes: vec![
            "./nginx:/etc/nginx/conf.d:ro".to_owned(),
            "./certs:/etc/nginx/certs:ro".to_owned(),
            "./challenges:/var/www/challenges:ro".to_owned(),
        ],
        depends_on: healthy(instances(spec).map(|(name, _)| name)),
        restart: Some("unless-stopped"),
        security_opt: vec!["no-new-privileges:true"],
        ..Service::default()
    }
}

fn postgres(name: &str, user: &str) -> Service {
    Service {
        image: POSTGRES.to_owned(),
        environment: BTreeMap::from([
            ("POSTGRES_DB".to_owned(), name.to_owned()),
            ("POSTGRES_USER".to_owned(), user.to_owned()),
            ("POSTGRES_PASSWORD".to_owned(), required("DATABASE_PASSWORD")),
        ]),
        volumes: vec!["database:/var/lib/postgresql/data".to_owned()],
        healthcheck: Some(HealthCheck {
            test: vec!["CMD-SHELL".to_owned(), format!("pg_isready -U {user} -d {name}")],
            interval: "5s".to_owned(),
            timeout: "5s".to_owned(),
            retries: 10,
            start_period: None,
        }),
        restart: Some("unless-stopped"),
        stop_grace_period: Some("60s".to_owned()),
        security_opt: vec!["no-new-privileges:true"],
        ..Service::default()
    }
}

fn redis() -> Service {
    // The password is not in the process list: the server reads it from its standard input.
    let start = "printf 'requirepass %s\\nappendonly yes\\nmaxmemory-policy noeviction\\n' \"$$REDIS_PASSWORD\" | exec redis-server -";
    let ask = "REDISCLI_AUTH=\"$$REDIS_PASSWORD\" redis-cli ping | grep -q PONG";
    Service {
        image: REDIS.to_owned(),
        command: ["sh", "-c", start].map(str::to_owned).to_vec(),
        environment: BTreeMap::from([("REDIS_PASSWORD".to_owned(), required("REDIS_PASSWORD"))]),
        volumes: vec!["redis:/data".to_owned()],
        healthcheck: Some(HealthCheck {
            test: ["CMD-SHELL", ask].map(str::to_owned).to_vec(),
            interval: "5s".to_owned(),
            timeout: "5s".to_owned(),
            retries: 10,
            start_period: None,
        }),
        restart: Some("unless-stopped"),
        security_opt: vec!["no-new-privileges:true"],
        ..Service::default()
    }
}

/// Compose stops with this message where the variable has no value.
fn required(name: &str) -> String {
    format!("${{{name}:?fill in secrets.env and run ./deploy.sh}}")
}

fn guide<'a>(spec: &Spec, domain: &str) -> Guide<'a> {
    let google = if spec.google {
        "\n- `google-credentials.json` beside `compose.yaml`: the key file of a service account that may call Vertex AI."
    } else {
        ""
    };
    let database = spec.values.database.is_some();
    let teams = if database {
        "\n\nMake a team with a budget and a key for it: `./team.sh create NAME --budget 50`, then `./team.sh key NAME`."
    } else {
        ""
    };
    Guide {
        title: "The gateway with Docker Compose",
        about: format!("nginx with TLS for {domain}, {} of LiteLLM, and the stores that they need, on one machine.",
            crate::domain::name::count(spec.values.replicas as usize, "instance")),
        prerequisites: format!(
            "\
- Docker Engine with Compose 2.20 or later (or podman 5.4 or later with Compose: `CONTAINER_ENGINE=podman`).
- 4 cores, 4 GB of memory and 20 GB of disk for one instance with a database.
- {domain} leads to this machine; ports 80 and 443 are free.
- `certs/fullchain.pem`, `certs/privkey.pem` and `certs/cert.pem`. `./certificate.sh` checks them,
  and with `--take DIR` it copies what certbot or another client of ACME has brought (`--deploy-hook`).{google}"
        ),
        deploy: format!(
            "\
```sh
gwinstall render secrets --out .     # or: cp secrets.env.example secrets.env && chmod 600 secrets.env, and fill it in
./deploy.sh                          # pulls, migrates, starts one instance after the other, and waits until it answers
```

If the new instance does not answer within three tries of 30 seconds, `deploy.sh` brings the previous one back and exits 5.{teams}"
        ),
        verify: format!(
            "\
```sh
./verify.sh --public https://{domain}
```

`https://{domain}/api/health` answers 200 without a key. Claude Code: set `ANTHROPIC_BASE_URL=https://{domain}` and a key of the
gateway as `ANTHROPIC_AUTH_TOKEN`."
        ),
        roll_back: "\
```sh
./rollback.sh                # to the deployment before
./deploy.sh --history
```"
            .to_owned(),
        back_up: "\
`./backup.sh` archives the configuration and the database into `backups/`, keeps the daily ones as `gateway.yaml` says and uploads them
where S3 is configured. Call it daily from cron or a timer, and `./backup-check.sh` after it: it raises an alert when there was no good
backup for two days. `./restore.sh --drill FILE` proves that a backup can be restored; `./restore.sh FILE` restores it."
            .to_owned(),
        rotate_a_key: "\
`./rotate.sh NAME` asks for the new value or generates it, restarts what uses it and returns to the old one if the gateway does not answer.
Never change `LITELLM_SALT_KEY`."
            .to_owned(),
        upgrade: "\
Render again with a newer gwinstall (`gwinstall self-update`), look at `--diff`, and run `./deploy.sh`. PostgreSQL's major version stays:
a newer one needs a dump and a restore."
            .to_owned(),
    }
}
