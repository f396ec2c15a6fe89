//! `values.yaml`: the keys of the chart that gwinstall sets. The chart has no schema and ignores a key that it does not know, and a
//! probe without one of its fields is written without a number; so every block here is whole.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::Result;
use crate::targets::kubernetes::object::{Labels, Named, Selector, config_name, google_name, secrets_name};
use crate::targets::kubernetes::pod::{
    Lifecycle, Mount, Needs, PodSecurity, SecretVolume, Security, Spread, Volume,
};
use crate::targets::kubernetes::{Strategy, environment, network, scale};
use crate::targets::spec::{CONFIG_DIR, GOOGLE_FILE, GRACE, LIVENESS, Probe, READINESS, STARTUP};
use crate::targets::{Spec, escape};

/// Where the configuration is in the pod. The chart mounts one file of its own at the usual place.
const CONFIG: &str = "/etc/gateway";
/// The role of the database: the chart reads it from a Secret.
pub(super) const DATABASE_USER: &str = "DATABASE_USERNAME";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Values {
    fullname_override: String,
    replica_count: u32,
    num_workers: u32,
    image: Image,
    service_account: Account,
    strategy: Strategy,
    termination_grace_period_seconds: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    topology_spread_constraints: Vec<Spread>,
    pod_security_context: PodSecurity,
    security_context: Security,
    environment_secrets: Vec<String>,
    service: Service,
    liveness_probe: ProbeOf,
    readiness_probe: ProbeOf,
    startup_probe: ProbeOf,
    ingress: Ingress,
    masterkey_secret_name: String,
    masterkey_secret_key: &'static str,
    proxy_config_map: ConfigMap,
    args: Vec<String>,
    volumes: Vec<Volume>,
    volume_mounts: Vec<Mount>,
    resources: Needs,
    autoscaling: Autoscaling,
    db: Database,
    redis: Switch,
    migration_job: Migration,
    /// Empty: LITELLM_LOG is among the variables.
    log_level: &'static str,
    env_vars: BTreeMap<String, String>,
    lifecycle: Lifecycle,
    pdb: Budget,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    repository: String,
    /// With the digest: the chart writes `repository:tag`.
    tag: String,
    pull_policy: &'static str,
}

#[derive(Serialize)]
struct Account {
    create: bool,
    name: String,
}

#[derive(Serialize)]
struct Service {
    r#type: &'static str,
    port: u16,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProbeOf {
    path: &'static str,
    initial_delay_seconds: u32,
    period_seconds: u32,
    timeout_seconds: u32,
    success_threshold: u32,
    failure_threshold: u32,
}

impl From<&Probe> for ProbeOf {
    fn from(probe: &Probe) -> Self {
        Self {
            path: probe.path,
            initial_delay_seconds: probe.delay,
            period_seconds: probe.period,
            timeout_seconds: probe.timeout,
            success_threshold: 1,
            failure_threshold: probe.failures,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ingress {
    enabled: bool,
    /// Empty: the cluster's default class.
    class_name: String,
    annotations: BTreeMap<&'static str, String>,
    hosts: Vec<Host>,
    tls: Vec<Tls>,
}

#[derive(Serialize)]
struct Host {
    host: String,
    paths: Vec<Path>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Path {
    path: &'static str,
    path_type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tls {
    secret_name: String,
    hosts: Vec<String>,
}

#[derive(Serialize)]
struct ConfigMap {
    create: bool,
    name: String,
    key: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Autoscaling {
    enabled: bool,
    min_replicas: u32,
    max_replicas: u32,
    #[serde(rename = "targetCPUUtilizationPercentage")]
    target: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Database {
    use_existing: bool,
    deploy_standalone: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<DatabaseSecret>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DatabaseSecret {
    name: String,
    username_key: &'static str,
    password_key: &'static str,
}

#[derive(Serialize)]
struct Switch {
    enabled: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Migration {
    enabled: bool,
    backoff_limit: u32,
    active_deadline_seconds: u32,
    ttl_seconds_after_finished: u32,
    resources: Needs,
    hooks: Hooks,
}

#[derive(Serialize)]
struct Hooks {
    argocd: Switch,
    helm: Switch,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Budget {
    enabled: bool,
    max_unavailable: u32,
}

pub(super) fn of(spec: &Spec) -> Result<Values> {
    let values = &spec.values;
    Ok(Values {
        fullname_override: values.name.clone(),
        replica_count: values.replicas,
        num_workers: 1,
        image: image(spec),
        service_account: Account { create: false, name: values.name.clone() },
        strategy: Strategy::rolling(),
        termination_grace_period_seconds: GRACE,
        topology_spread_constraints: spread(spec),
        pod_security_context: PodSecurity::default(),
        security_context: Security::default(),
        environment_secrets: vec![secrets_name(spec)],
        service: Service { r#type: "ClusterIP", port: values.port },
        liveness_probe: (&LIVENESS).into(),
        readiness_probe: (&READINESS).into(),
        startup_probe: (&STARTUP).into(),
        ingress: ingress(spec)?,
        masterkey_secret_name: secrets_name(spec),
        masterkey_secret_key: "LITELLM_MASTER_KEY",
        proxy_config_map: ConfigMap { create: false, name: config_name(spec), key: spec.entry() },
        args: spec.arguments().into_iter().map(|argument| argument.replace(CONFIG_DIR, CONFIG)).collect(),
        volumes: volumes(spec),
        volume_mounts: mounts(spec),
        resources: spec.resources.into(),
        autoscaling: Autoscaling {
            enabled: scale::is_automatic(spec),
            min_replicas: values.replicas,
            max_replicas: values.max_replicas.unwrap_or(values.replicas),
            target: scale::BUSY,
        },
        db: database(spec),
        redis: Switch { enabled: false },
        migration_job: migration(spec),
        log_level: "",
        env_vars: variables(spec),
        lifecycle: Lifecycle::leave_first(),
        pdb: Budget { enabled: spec.is_scaled(), max_unavailable: 1 },
    })
}

fn image(spec: &Spec) -> Image {
    let digest = spec.image.digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
    Image {
        repository: spec.image.repository.clone(),
        tag: format!("{}{digest}", spec.image.tag),
        pull_policy: "IfNotPresent",
    }
}

/// The labels are the chart's; the release has the name of the gateway.
fn spread(spec: &Spec) -> Vec<Spread> {
    if !spec.is_scaled() {
        return Vec::new();
    }
    let match_labels = Labels::from([
        ("app.kubernetes.io/name", "litellm".to_owned()),
        ("app.kubernetes.io/instance", spec.values.name.clone()),
    ]);
    vec![Spread::over_nodes(Selector { match_labels })]
}

fn ingress(spec: &Spec) -> Result<Ingress> {
    let domain = spec.values.domain.clone();
    let annotations = if domain.is_some() { network::annotations(spec)? } else { BTreeMap::new() };
    let class = spec.values.ingress.as_ref().and_then(|ingress| ingress.class.clone());
    let host = |host: String| Host { host, paths: vec![Path { path: "/", path_type: "Prefix" }] };
    let tls = |host: String| Tls { secret_name: network::certificate(spec), hosts: vec![host] };
    Ok(Ingress {
        enabled: domain.is_some(),
        class_name: class.unwrap_or_default(),
        annotations,
        hosts: domain.clone().into_iter().map(host).collect(),
        tls: domain.into_iter().map(tls).collect(),
    })
}

fn volumes(spec: &Spec) -> Vec<Volume> {
    let config_map = Some(Named { name: config_name(spec) });
    let mut volumes = vec![Volume { name: "gateway-config", config_map, ..Volume::default() }];
    if spec.google {
        let secret = Some(SecretVolume { secret_name: google_name(spec) });
        volumes.push(Volume { name: "google", secret, ..Volume::default() });
    }
    volumes
}

fn mounts(spec: &Spec) -> Vec<Mount> {
    let mut mounts = vec![Mount::new("gateway-config", CONFIG, true)];
    if let (true, Some((directory, _))) = (spec.google, GOOGLE_FILE.rsplit_once('/')) {
        mounts.push(Mount::new("google", directory, true));
    }
    mounts
}

fn database(spec: &Spec) -> Database {
    let database = spec.values.database.as_ref();
    let secret = || DatabaseSecret {
        name: secrets_name(spec),
        username_key: DATABASE_USER,
        password_key: "DATABASE_PASSWORD",
    };
    let endpoint = |database: &crate::targets::values::Database| {
        Some(format!("{}:{}", database.host.as_ref()?, database.port))
    };
    Database {
        use_existing: database.is_some(),
        deploy_standalone: false,
        endpoint: database.and_then(endpoint),
        database: database.map(|database| database.name.clone()),
        secret: database.map(|_| secret()),
    }
}

fn migration(spec: &Spec) -> Migration {
    Migration {
        enabled: spec.values.database.is_some(),
        backoff_limit: 4,
        active_deadline_seconds: 1800,
        ttl_seconds_after_finished: 120,
        resources: spec.resources.into(),
        hooks: Hooks { argocd: Switch { enabled: false }, helm: Switch { enabled: true } },
    }
}

/// Without what the chart itself sets: a variable that a pod has twice is refused by a server-side apply.
fn variables(spec: &Spec) -> BTreeMap<String, String> {
    const OF_THE_CHART: [&str; 4] =
        ["DATABASE_HOST", "DATABASE_NAME", DATABASE_USER, "DISABLE_SCHEMA_UPDATE"];
    let mut variables = environment(spec);
    variables.retain(|name, _| !OF_THE_CHART.contains(&name.as_str()));
    if spec.values.database.is_some() {
        variables.insert("LITELLM_MIGRATION_DIR".to_owned(), "/tmp/migrations".to_owned());
    }
    variables.into_iter().map(|(name, value)| (name, escape::kubernetes(&value))).collect()
}
