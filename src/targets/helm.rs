//! Helm: values for LiteLLM's own chart, and the objects that the chart takes as given.
//!
//! The configuration and the secrets are objects beside the release (`objects/`): the chart would generate the configuration from
//! YAML values and lose its comments and its included files. Never: the chart's own PostgreSQL and Redis.

mod guide;
mod values;

use crate::domain::Result;

use super::kubernetes::kustomization::{self, Generator, Kustomization, Options};
use super::kubernetes::overlay::{Lists, difference};
use super::kubernetes::{self, namespace, network};
use super::spec::config_path;
use super::tree::unwritable;
use super::{Request, Spec, Target, Tree, scripts};

pub(super) fn render(request: &Request<'_>) -> Result<Tree> {
    kubernetes::require_stores(Target::Helm, request)?;
    kubernetes::require_one_name(request)?;
    let mut tree = Tree::default();
    let base = serde_json::to_value(values::of(request.spec)?).map_err(unwritable)?;
    tree.yaml("values.yaml", &[&base])?;
    for (name, spec) in request.environments {
        let own = serde_json::to_value(values::of(spec)?).map_err(unwritable)?;
        let differs = difference(&base, &own, Lists::Replaced).unwrap_or_else(|| serde_json::json!({}));
        tree.yaml(&format!("values-{name}.yaml"), &[differs])?;
    }
    for (directory, spec) in guide::applied(request) {
        objects(&mut tree, &directory, spec)?;
    }
    scripts::secrets_of_cluster(&mut tree, guide::applied(request));
    tree.guide("README.md", guide::of(request).text(request.spec));
    Ok(tree)
}

/// What is applied before the chart: namespace, account, network policy, configuration and secrets.
fn objects(tree: &mut Tree, directory: &str, spec: &Spec) -> Result<()> {
    let manifests = [namespace(spec)?, kubernetes::account(spec)?, network::policy(spec)?];
    let resources = kustomization::write(tree, directory, &manifests)?;
    let file = |file: &super::server::ConfigFile| {
        let path = config_path(file.name);
        tree.configuration(&format!("{directory}/{path}"), file.bytes.clone());
        path
    };
    let files = spec.config.iter().map(file).collect();
    let mut secrets = kustomization::secrets(spec);
    if let (Some(database), Some(first)) = (&spec.values.database, secrets.first_mut()) {
        let literals = vec![format!("{}={}", values::DATABASE_USER, database.user)];
        let before = std::mem::take(first);
        *first = Generator { literals, ..before };
    }
    let document = Kustomization {
        namespace: Some(spec.values.namespace.clone()),
        resources,
        config_map_generator: vec![kustomization::config(spec, files)],
        secret_generator: secrets,
        // The values of the chart name them.
        generator_options: Some(Options { disable_name_suffix_hash: true }),
        ..Kustomization::default()
    };
    tree.yaml(&format!("{directory}/kustomization.yaml"), &[document])
}
