//! `kustomization.yaml`: which files belong together, and what is generated from the configuration and from `secrets.env`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::Result;
use crate::targets::scripts::SECRETS;
use crate::targets::{Spec, Tree};

use super::object::{Manifest, config_name, google_name, secrets_name};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct Kustomization {
    pub api_version: &'static str,
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<LabelSet>,
    pub resources: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configurations: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub config_map_generator: Vec<Generator>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secret_generator: Vec<Generator>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator_options: Option<Options>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageOf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
}

impl Default for Kustomization {
    fn default() -> Self {
        Self {
            api_version: "kustomize.config.k8s.io/v1beta1",
            kind: "Kustomization",
            namespace: None,
            labels: Vec::new(),
            resources: Vec::new(),
            configurations: Vec::new(),
            config_map_generator: Vec::new(),
            secret_generator: Vec::new(),
            generator_options: None,
            images: Vec::new(),
            patches: Vec::new(),
        }
    }
}

impl Kustomization {
    /// A part that a kustomization names among its components.
    pub(in crate::targets) fn component() -> Self {
        Self { api_version: "kustomize.config.k8s.io/v1alpha1", kind: "Component", ..Self::default() }
    }
}

#[derive(Serialize)]
pub(in crate::targets) struct LabelSet {
    pub pairs: BTreeMap<&'static str, String>,
}

#[derive(Serialize, Default)]
pub(in crate::targets) struct Generator {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behavior: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub envs: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub literals: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct Options {
    pub disable_name_suffix_hash: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct ImageOf {
    name: String,
    new_name: String,
    new_tag: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

#[derive(Serialize)]
pub(in crate::targets) struct Patch {
    pub path: String,
}

/// `name` is the repository that the manifests have.
pub(in crate::targets) fn image(name: &str, spec: &Spec) -> ImageOf {
    let image = &spec.image;
    ImageOf {
        name: name.to_owned(),
        new_name: image.repository.clone(),
        new_tag: image.tag.clone(),
        digest: image.digest.clone(),
    }
}

/// The Secrets, from files that are not committed.
pub(in crate::targets) fn secrets(spec: &Spec) -> Vec<Generator> {
    let mut generators =
        vec![Generator { name: secrets_name(spec), envs: vec![SECRETS], ..Generator::default() }];
    if spec.google {
        let files = vec!["google-credentials.json".to_owned()];
        generators.push(Generator { name: google_name(spec), files, ..Generator::default() });
    }
    generators
}

/// LiteLLM's configuration, byte for byte.
pub(in crate::targets) fn config(spec: &Spec, files: Vec<String>) -> Generator {
    Generator { name: config_name(spec), files, ..Generator::default() }
}

/// Writes each manifest below `directory`, and returns what a kustomization lists.
pub(in crate::targets) fn write<'a>(
    tree: &mut Tree,
    directory: &str,
    manifests: impl IntoIterator<Item = &'a Manifest>,
) -> Result<Vec<String>> {
    let file = |manifest: &Manifest| {
        tree.yaml(&format!("{directory}/{}", manifest.file), &[&manifest.document])?;
        Ok(manifest.file.to_owned())
    };
    manifests.into_iter().map(file).collect()
}
