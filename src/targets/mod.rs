//! What engines on servers get: the same gateway as files for Compose, Kubernetes and the others. Pure.
//!
//! Promise: the same request and the same `gateway.yaml` give the same bytes on every machine. A secret is a reference, never a
//! value. A value of the user reaches a file only through the writer of its format (`escape`), or the schema refuses it.
//! Never: an engine's work again, a template language, a look at this machine.

mod compose;
pub mod escape;
mod helm;
mod kubernetes;
mod monitoring;
mod nginx;
mod readme;
mod scripts;
pub mod server;
pub mod spec;
mod systemd;
pub mod tree;
pub mod values;

use crate::domain::word::words;
use crate::domain::{Error, Hint, Kind, Result};

pub use spec::Spec;
pub use tree::Tree;

words! {
    /// What the files are for.
    pub enum Target {
        /// Docker Compose and podman-compose: nginx, LiteLLM, PostgreSQL, Redis on one machine.
        Compose = "compose",
        /// A server of its own: units, nginx, timers.
        Systemd = "systemd",
        /// Manifests with kustomize, and an overlay for each environment.
        Kubernetes = "kubernetes",
        /// Values for LiteLLM's own chart.
        Helm = "helm",
        /// Prometheus, alerts and a dashboard for a gateway that runs anywhere.
        Monitoring = "monitoring",
    }
}

impl Target {
    pub const ALL: [Self; 5] = [Self::Compose, Self::Systemd, Self::Kubernetes, Self::Helm, Self::Monitoring];

    pub fn parse(typed: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.word() == typed)
    }

    /// The files of this target. Paths are relative to the target's own directory.
    pub fn render(self, request: &Request<'_>) -> Result<Tree> {
        match self {
            Self::Compose => compose::render(request.spec),
            Self::Systemd => systemd::render(request.spec),
            Self::Kubernetes => kubernetes::render(request),
            Self::Helm => helm::render(request),
            Self::Monitoring => monitoring::render(request.spec),
        }
    }
}

/// What is rendered: the gateway, and the same gateway in each environment of `gateway.yaml`.
pub struct Request<'a> {
    pub spec: &'a Spec,
    /// By name; a target that knows overlays writes one for each.
    pub environments: &'a [(String, Spec)],
}

/// An object of ours that a format cannot hold: never the user's fault.
fn unwritable(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Failed, "gwinstall cannot write a rendered file").because(error.to_string())
}

/// A target that needs a key of `gateway.yaml` which is not there.
pub fn needs(target: Target, key: &str, example: &str) -> Error {
    Error::usage(format!("{target} needs {key} in gateway.yaml"))
        .hint(Hint::step(format!("add the line: {key}: {example}")))
}
