//! Parts that a cluster may not be able to take: each is a component of kustomize that a kustomization names, or not.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::Result;
use crate::targets::compose::POSTGRES;
use crate::targets::{Spec, Tree, escape};

use super::kustomization::{self, Kustomization};
use super::network;
use super::object::{Component, Manifest, Metadata, Selector, labels, secrets_name};
use super::pod::{self, Claimed, Container, Mount, Pod, Template, TemplateMetadata, Variable, Volume};

#[derive(Serialize)]
struct MonitorSpec {
    selector: Selector,
    endpoints: Vec<Endpoint>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    port: &'static str,
    path: &'static str,
    interval: &'static str,
    scrape_timeout: &'static str,
    authorization: Authorization,
}

#[derive(Serialize)]
struct Authorization {
    r#type: &'static str,
    credentials: Credentials,
}

#[derive(Serialize)]
struct Credentials {
    name: String,
    key: &'static str,
}

/// Where kustomize finds the name of the generated Secret in a kind that it does not know.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct References {
    name_reference: Vec<Reference>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    kind: &'static str,
    version: &'static str,
    field_specs: Vec<FieldSpec>,
}

#[derive(Serialize)]
struct FieldSpec {
    group: &'static str,
    kind: &'static str,
    path: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CronSpec {
    schedule: &'static str,
    concurrency_policy: &'static str,
    starting_deadline_seconds: u32,
    successful_jobs_history_limit: u32,
    failed_jobs_history_limit: u32,
    job_template: JobTemplate,
}

#[derive(Serialize)]
struct JobTemplate {
    spec: JobSpec,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JobSpec {
    backoff_limit: u32,
    active_deadline_seconds: u32,
    template: Template,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClaimSpec {
    access_modes: Vec<&'static str>,
    resources: Storage,
}

#[derive(Serialize)]
struct Storage {
    requests: BTreeMap<&'static str, &'static str>,
}

/// The operator of Prometheus finds the gateway.
pub(super) fn monitoring(tree: &mut Tree, spec: &Spec) -> Result<()> {
    const DIRECTORY: &str = "components/monitoring";
    const REFERENCES: &str = "name-references.yaml";
    let mut selected = labels(spec, Component::Gateway);
    selected.remove("app.kubernetes.io/component");
    let body = MonitorSpec {
        selector: Selector { match_labels: selected },
        endpoints: vec![Endpoint {
            port: "http",
            path: "/metrics/",
            interval: "30s",
            scrape_timeout: "10s",
            authorization: Authorization {
                r#type: "Bearer",
                credentials: Credentials { name: secrets_name(spec), key: "LITELLM_MASTER_KEY" },
            },
        }],
    };
    let metadata = Metadata::named(&spec.values.name);
    let monitor = Manifest::specified(
        "servicemonitor.yaml",
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        metadata,
        body,
    )?;
    let manifests = [monitor, network::metrics_policy(spec)?];
    let references = References {
        name_reference: vec![Reference {
            kind: "Secret",
            version: "v1",
            field_specs: vec![FieldSpec {
                group: "monitoring.coreos.com",
                kind: "ServiceMonitor",
                path: "spec/endpoints/authorization/credentials/name",
            }],
        }],
    };
    tree.yaml(&format!("{DIRECTORY}/{REFERENCES}"), &[references])?;
    write(tree, DIRECTORY, &manifests, vec![REFERENCES.to_owned()])
}

/// The database, dumped daily into a volume.
pub(super) fn backup(tree: &mut Tree, spec: &Spec) -> Result<()> {
    let Some(database) = &spec.values.database else { return Ok(()) };
    let keep = spec.values.backup.keep + 1;
    // The name of a dump that is not complete ends with .part, so that it is never restored and never counted.
    let script = format!(
        "set -eu\nfile=/backups/gateway-$(date -u +%Y%m%dT%H%M%SZ).dump\n\
         pg_dump --format=custom --file=\"$file.part\"\npg_restore --list \"$file.part\" >/dev/null\n\
         mv \"$file.part\" \"$file\"\nls -1r /backups/gateway-*.dump | tail -n +{keep} | xargs -r rm -f\n"
    );
    let mut env = vec![
        Variable::new("PGDATABASE", &database.name),
        Variable::new("PGPORT", &database.port.to_string()),
        Variable::new("PGUSER", &database.user),
        Variable::secret(spec, "PGPASSWORD", "DATABASE_PASSWORD"),
    ];
    if let Some(host) = &database.host {
        env.push(Variable::new("PGHOST", host));
    }
    let mut volume_mounts = pod::writable_mounts();
    volume_mounts.push(Mount::new("backups", "/backups", false));
    let container = Container {
        name: "backup",
        image: POSTGRES.to_owned(),
        image_pull_policy: "IfNotPresent",
        command: vec!["sh", "-c"],
        args: vec![escape::kubernetes(&script)],
        env,
        resources: spec.resources.into(),
        volume_mounts,
        ..Container::default()
    };
    let claim = format!("{}-backups", spec.values.name);
    let mut volumes = pod::writable_volumes();
    let claimed = Some(Claimed { claim_name: claim.clone() });
    volumes.push(Volume { name: "backups", persistent_volume_claim: claimed, ..Volume::default() });
    let labels = labels(spec, Component::Backup);
    let pod = Pod::of(spec, container, volumes).ending();
    let body = CronSpec {
        schedule: "17 3 * * *",
        concurrency_policy: "Forbid",
        starting_deadline_seconds: 3600,
        successful_jobs_history_limit: 1,
        failed_jobs_history_limit: 3,
        job_template: JobTemplate {
            spec: JobSpec {
                backoff_limit: 2,
                active_deadline_seconds: 3600,
                template: Template { metadata: TemplateMetadata { labels: labels.clone() }, spec: pod },
            },
        },
    };
    let metadata = Metadata::named(format!("{}-backup", spec.values.name)).labelled(labels);
    let cron = Manifest::specified("cronjob.yaml", "batch/v1", "CronJob", metadata, body)?;
    let storage = ClaimSpec {
        access_modes: vec!["ReadWriteOnce"],
        resources: Storage { requests: BTreeMap::from([("storage", "20Gi")]) },
    };
    let claim =
        Manifest::specified("volume.yaml", "v1", "PersistentVolumeClaim", Metadata::named(claim), storage)?;
    write(tree, "components/backup", &[cron, claim], Vec::new())
}

fn write(
    tree: &mut Tree,
    directory: &str,
    manifests: &[Manifest],
    configurations: Vec<String>,
) -> Result<()> {
    let resources = kustomization::write(tree, directory, manifests)?;
    let component = Kustomization { resources, configurations, ..Kustomization::component() };
    tree.yaml(&format!("{directory}/kustomization.yaml"), &[component])
}
