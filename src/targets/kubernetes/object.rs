//! An object of a cluster: what every kind has, and the file that it stands in.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::domain::Result;
use crate::targets::Spec;
use crate::targets::tree::unwritable;

pub(in crate::targets) type Labels = BTreeMap<&'static str, String>;

/// What an object belongs to. Only the gateway gets requests, and it is applied after the migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::targets) enum Component {
    Gateway,
    Migration,
    Backup,
}

impl Component {
    pub(in crate::targets) fn word(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Migration => "migration",
            Self::Backup => "backup",
        }
    }
}

/// The label by which every pod of the gateway is found.
pub(in crate::targets) fn instance(spec: &Spec) -> Labels {
    Labels::from([("app.kubernetes.io/instance", spec.values.name.clone())])
}

pub(in crate::targets) fn labels(spec: &Spec, component: Component) -> Labels {
    let mut labels = instance(spec);
    labels.insert("app.kubernetes.io/name", "litellm".to_owned());
    labels.insert("app.kubernetes.io/component", component.word().to_owned());
    labels
}

#[derive(Serialize, Default)]
pub(in crate::targets) struct Metadata {
    pub name: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: Labels,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<&'static str, String>,
}

impl Metadata {
    pub(in crate::targets) fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    pub(in crate::targets) fn labelled(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }
}

/// A kind with what it says beside its name.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct Object<T> {
    pub api_version: &'static str,
    pub kind: &'static str,
    pub metadata: Metadata,
    #[serde(flatten)]
    pub body: T,
}

/// For a kind that has a `spec`.
#[derive(Serialize)]
pub(in crate::targets) struct Specified<T> {
    pub spec: T,
}

/// For a kind that has nothing but a name.
#[derive(Serialize)]
pub(in crate::targets) struct Bare {}

/// A reference by name.
#[derive(Serialize)]
pub(in crate::targets) struct Named {
    pub name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct Selector {
    pub match_labels: Labels,
}

/// An object as it is written, with what an overlay compares.
pub(in crate::targets) struct Manifest {
    pub file: &'static str,
    pub api_version: &'static str,
    pub kind: &'static str,
    pub name: String,
    pub document: Value,
}

impl Manifest {
    pub(in crate::targets) fn new<T: Serialize>(file: &'static str, object: &Object<T>) -> Result<Self> {
        Ok(Self {
            file,
            api_version: object.api_version,
            kind: object.kind,
            name: object.metadata.name.clone(),
            document: serde_json::to_value(object).map_err(unwritable)?,
        })
    }

    /// A kind with a `spec`.
    pub(in crate::targets) fn specified<T: Serialize>(
        file: &'static str,
        api_version: &'static str,
        kind: &'static str,
        metadata: Metadata,
        spec: T,
    ) -> Result<Self> {
        Self::new(file, &Object { api_version, kind, metadata, body: Specified { spec } })
    }
}

/// The names of the generated objects: kustomize adds a hash, so that a change restarts the pods.
pub(in crate::targets) fn config_name(spec: &Spec) -> String {
    format!("{}-config", spec.values.name)
}

pub(in crate::targets) fn secrets_name(spec: &Spec) -> String {
    format!("{}-secrets", spec.values.name)
}

pub(in crate::targets) fn google_name(spec: &Spec) -> String {
    format!("{}-google", spec.values.name)
}
