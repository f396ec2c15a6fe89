//! Kubernetes 1.24 or later: manifests with kustomize, and an overlay for each environment of `gateway.yaml`.
//!
//! Promise: a base that any cluster accepts; what needs an operator is a component. LiteLLM's configuration gets into the cluster
//! byte for byte. Never: PostgreSQL or Redis inside the cluster, because they belong to an operator of their own.

mod components;
mod guide;
pub(super) mod kustomization;
pub(super) mod network;
pub(super) mod object;
pub(super) mod overlay;
pub(super) mod pod;
pub(super) mod scale;
mod workload;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::{Error, Hint, Result};

use super::spec::{BASE, config_path};
use super::{Request, Spec, Target, Tree, scripts};

use kustomization::{Kustomization, LabelSet, Patch};
use object::{Bare, Manifest, Metadata, Object};

pub(super) use workload::{Strategy, environment};

pub(super) fn render(request: &Request<'_>) -> Result<Tree> {
    require_stores(Target::Kubernetes, request)?;
    require_one_name(request)?;
    let mut tree = Tree::default();
    base(&mut tree, request)?;
    for (name, spec) in request.environments {
        environment_of(&mut tree, request.spec, name, spec)?;
    }
    // A name in a component is the same in every environment; the database may be in one of them only.
    let with_database = request.applied().map(|(_, spec)| spec).find(|spec| spec.values.database.is_some());
    if let Some(spec) = with_database {
        components::backup(&mut tree, spec)?;
    }
    if request.applied().any(|(_, spec)| spec.values.metrics) {
        components::monitoring(&mut tree, request.spec)?;
    }
    scripts::secrets_of_cluster(&mut tree, request.applied());
    tree.guide("README.md", guide::of(request).text(request.spec));
    Ok(tree)
}

/// PostgreSQL and Redis run elsewhere.
pub(super) fn require_stores(target: Target, request: &Request<'_>) -> Result<()> {
    let alone = request.environments.is_empty().then_some(("", request.spec));
    let environments = request.environments.iter().map(|(name, spec)| (name.as_str(), spec));
    for (environment, spec) in alone.into_iter().chain(environments) {
        let values = &spec.values;
        let database = values.database.as_ref().is_some_and(|database| database.host.is_none());
        let redis = values.redis.as_ref().is_some_and(|redis| redis.host.is_none());
        let missing = match (database, redis) {
            (true, _) => "database",
            (_, true) => "redis",
            _ => continue,
        };
        let of = if environment.is_empty() { String::new() } else { format!(" for {environment}") };
        return Err(Error::usage(format!("{target} needs {missing}.host in gateway.yaml{of}"))
            .because(
                "gwinstall runs no PostgreSQL and no Redis in a cluster: an operator or the provider does",
            )
            .hint(Hint::step(format!("add below {missing} the line: host: {missing}.example.com"))));
    }
    Ok(())
}

/// An overlay finds the objects of the base by their names.
pub(super) fn require_one_name(request: &Request<'_>) -> Result<()> {
    let name = &request.spec.values.name;
    match request.environments.iter().find(|(_, spec)| spec.values.name != *name) {
        None => Ok(()),
        Some((environment, _)) => Err(Error::usage(format!("the environment {environment} changes name"))
            .because("an overlay finds the objects of its base by their names")
            .hint(Hint::step("give the environment a namespace of its own instead"))),
    }
}

fn manifests(spec: &Spec, image: &str) -> Result<Vec<Manifest>> {
    let mut manifests = vec![namespace(spec)?, account(spec)?, network::policy(spec)?];
    if spec.values.database.is_some() {
        manifests.push(workload::migration(spec, image)?);
    }
    manifests.push(workload::deployment(spec, image)?);
    manifests.push(network::service(spec)?);
    manifests.extend(network::ingresses(spec)?);
    manifests.extend(scale::manifests(spec)?);
    Ok(manifests)
}

pub(super) fn namespace(spec: &Spec) -> Result<Manifest> {
    let metadata = Metadata::named(&spec.values.namespace);
    let object = Object { api_version: "v1", kind: "Namespace", metadata, body: Bare {} };
    Manifest::new("namespace.yaml", &object)
}

/// LiteLLM never asks the cluster's API.
pub(super) fn account(spec: &Spec) -> Result<Manifest> {
    let metadata = Metadata::named(&spec.values.name);
    let body = Account { automount_service_account_token: false };
    Manifest::new(
        "serviceaccount.yaml",
        &Object { api_version: "v1", kind: "ServiceAccount", metadata, body },
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    automount_service_account_token: bool,
}

/// The label of every object.
fn part_of(spec: &Spec) -> Vec<LabelSet> {
    vec![LabelSet { pairs: BTreeMap::from([("app.kubernetes.io/part-of", spec.values.name.clone())]) }]
}

fn base(tree: &mut Tree, request: &Request<'_>) -> Result<()> {
    let spec = request.spec;
    let repository = &spec.image.repository;
    let resources = kustomization::write(tree, BASE, &manifests(spec, repository)?)?;
    let files = config(tree, BASE, spec, |_| true);
    let document = Kustomization {
        namespace: Some(spec.values.namespace.clone()),
        labels: part_of(spec),
        resources,
        config_map_generator: vec![kustomization::config(spec, files)],
        secret_generator: if request.environments.is_empty() {
            kustomization::secrets(spec)
        } else {
            Vec::new()
        },
        images: vec![kustomization::image(repository, spec)],
        ..Kustomization::default()
    };
    tree.yaml("base/kustomization.yaml", &[document])
}

/// Writes the configuration files that are asked for, and returns their paths in a kustomization.
fn config(
    tree: &mut Tree,
    directory: &str,
    spec: &Spec,
    asked: impl Fn(&super::server::ConfigFile) -> bool,
) -> Vec<String> {
    let files = spec.config.iter().filter(|file| asked(file));
    let write = |file: &super::server::ConfigFile| {
        let path = config_path(file.name);
        tree.configuration(&format!("{directory}/{path}"), file.bytes.clone());
        path
    };
    files.map(write).collect()
}

fn environment_of(tree: &mut Tree, base: &Spec, name: &str, spec: &Spec) -> Result<()> {
    let directory = format!("overlays/{name}");
    let repository = &base.image.repository;
    let (before, after) = (manifests(base, repository)?, manifests(spec, repository)?);
    let overlay = overlay::of(&before, &after);
    let mut resources = vec!["../../base".to_owned()];
    resources.extend(kustomization::write(tree, &directory, overlay.added)?);
    let mut patches = Vec::new();
    for (file, patch) in overlay.patches {
        let path = format!("patches/{file}");
        tree.yaml(&format!("{directory}/{path}"), &[patch])?;
        patches.push(Patch { path });
    }
    let is_of_base = |file: &super::server::ConfigFile| {
        base.config.iter().any(|other| other.name == file.name && other.bytes == file.bytes)
    };
    let files = config(tree, &directory, spec, |file| !is_of_base(file));
    let mut generators = Vec::new();
    if !files.is_empty() {
        let generator = kustomization::config(spec, files);
        generators.push(kustomization::Generator { behavior: Some("merge"), ..generator });
    }
    let document = Kustomization {
        namespace: Some(spec.values.namespace.clone()),
        labels: part_of(spec),
        resources,
        config_map_generator: generators,
        secret_generator: kustomization::secrets(spec),
        images: vec![kustomization::image(repository, spec)],
        patches,
        ..Kustomization::default()
    };
    tree.yaml(&format!("{directory}/kustomization.yaml"), &[document])
}
