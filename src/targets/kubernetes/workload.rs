//! What runs in the cluster: LiteLLM, and before it the migration of its database.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::{Result, Sha256};
use crate::targets::Spec;
use crate::targets::spec::{GOOGLE_FILE, LIVENESS, READINESS, STARTUP};
use crate::targets::tree::unwritable;

use super::object::{Component, Manifest, Metadata, Selector, labels};
use super::pod::{self, Container, Lifecycle, Pod, Port, Spread, Template, TemplateMetadata, Variable};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeploymentSpec {
    /// Absent where the engine adds instances: applying would take them away.
    #[serde(skip_serializing_if = "Option::is_none")]
    replicas: Option<u32>,
    revision_history_limit: u32,
    strategy: Strategy,
    selector: Selector,
    template: Template,
}

/// One instance more for a moment, never one fewer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct Strategy {
    r#type: &'static str,
    rolling_update: RollingUpdate,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RollingUpdate {
    max_unavailable: u32,
    max_surge: u32,
}

impl Strategy {
    pub(in crate::targets) fn rolling() -> Self {
        Self { r#type: "RollingUpdate", rolling_update: RollingUpdate { max_unavailable: 0, max_surge: 1 } }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JobSpec {
    backoff_limit: u32,
    active_deadline_seconds: u32,
    ttl_seconds_after_finished: u32,
    template: Template,
}

/// The variables of LiteLLM with the places of its stores.
pub(in crate::targets) fn environment(spec: &Spec) -> BTreeMap<String, String> {
    let mut environment = spec.variables.clone();
    let mut set = |name: &str, value: String| environment.insert(name.to_owned(), value);
    if let Some((database, host)) = spec.values.database.as_ref().and_then(|it| Some((it, it.host.as_ref()?)))
    {
        set("DATABASE_HOST", format!("{host}:{}", database.port));
    }
    if let Some(host) = spec.values.redis.as_ref().and_then(|redis| redis.host.as_ref()) {
        set("REDIS_HOST", host.clone());
    }
    if spec.google {
        set("GOOGLE_APPLICATION_CREDENTIALS", GOOGLE_FILE.to_owned());
    }
    // The root of the file system is read-only.
    set("HOME", "/tmp".to_owned());
    environment
}

fn variables(environment: &BTreeMap<String, String>) -> Vec<Variable> {
    environment.iter().map(|(name, value)| Variable::new(name, value)).collect()
}

/// `image` without tag: kustomization.yaml sets it, for every environment.
fn litellm(spec: &Spec, image: &str) -> Container {
    Container {
        name: "litellm",
        image: image.to_owned(),
        image_pull_policy: "IfNotPresent",
        args: spec.arguments(),
        ports: vec![Port { name: "http", container_port: spec.values.port }],
        env_from: pod::secrets(spec),
        env: variables(&environment(spec)),
        startup_probe: Some((&STARTUP).into()),
        liveness_probe: Some((&LIVENESS).into()),
        readiness_probe: Some((&READINESS).into()),
        lifecycle: Some(Lifecycle::leave_first()),
        resources: spec.resources.into(),
        volume_mounts: pod::mounts(spec),
        ..Container::default()
    }
}

pub(super) fn deployment(spec: &Spec, image: &str) -> Result<Manifest> {
    let labels = labels(spec, Component::Gateway);
    let mut pod = Pod::of(spec, litellm(spec, image), pod::volumes(spec));
    if spec.is_scaled() {
        pod.topology_spread_constraints.push(Spread::over_nodes(Selector { match_labels: labels.clone() }));
    }
    let body = DeploymentSpec {
        replicas: (!super::scale::is_automatic(spec)).then_some(spec.values.replicas),
        revision_history_limit: 5,
        strategy: Strategy::rolling(),
        selector: Selector { match_labels: labels.clone() },
        template: Template { metadata: TemplateMetadata { labels: labels.clone() }, spec: pod },
    };
    let metadata = Metadata::named(&spec.values.name).labelled(labels);
    Manifest::specified("deployment.yaml", "apps/v1", "Deployment", metadata, body)
}

/// The migration of the database. A Job cannot change, so its name ends with a hash of what it does.
pub(super) fn migration(spec: &Spec, image: &str) -> Result<Manifest> {
    let mut environment = environment(spec);
    environment.insert("DISABLE_SCHEMA_UPDATE".to_owned(), "False".to_owned());
    environment.insert("LITELLM_MIGRATION_DIR".to_owned(), "/tmp/migrations".to_owned());
    let mut env = variables(&environment);
    env.push(Variable::secret(spec, "DATABASE_PASSWORD", "DATABASE_PASSWORD"));
    let container = Container {
        name: "migrate",
        image: image.to_owned(),
        image_pull_policy: "IfNotPresent",
        command: vec!["python", "litellm/proxy/prisma_migration.py"],
        working_dir: Some("/app"),
        env,
        resources: spec.resources.into(),
        volume_mounts: pod::writable_mounts(),
        ..Container::default()
    };
    let labels = labels(spec, Component::Migration);
    let body = JobSpec {
        backoff_limit: 4,
        active_deadline_seconds: 1800,
        ttl_seconds_after_finished: 120,
        template: Template {
            metadata: TemplateMetadata { labels: labels.clone() },
            spec: Pod::of(spec, container, pod::writable_volumes()).ending(),
        },
    };
    let what = serde_json::to_string(&body).map_err(unwritable)?;
    let hash = Sha256::of(format!("{}\n{what}", spec.image).as_bytes()).to_string();
    let name = format!("{}-migrate-{}", short(&spec.values.name), &hash[..8]);
    let metadata = Metadata::named(name).labelled(labels);
    Manifest::specified("migration.yaml", "batch/v1", "Job", metadata, body)
}

/// The name of a Job is a label of its pods, and has at most 63 characters.
fn short(name: &str) -> &str {
    let end = name.len().min(45);
    name[..end].trim_end_matches('-')
}
