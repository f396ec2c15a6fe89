//! The names of the targets.

use crate::domain::word::words;
use crate::domain::{Error, Hint};

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
        /// Machines of developers: Claude Code's managed settings and the policy of gwinstall.
        Desktop = "desktop",
        /// A workflow that builds, deploys, verifies and rolls back.
        Actions = "github-actions",
        /// A function with a URL.
        Lambda = "lambda",
        /// Roles for servers and for machines of developers.
        Ansible = "ansible",
    }
}

impl Target {
    pub const ALL: [Self; 9] = [
        Self::Compose,
        Self::Systemd,
        Self::Kubernetes,
        Self::Helm,
        Self::Monitoring,
        Self::Desktop,
        Self::Actions,
        Self::Lambda,
        Self::Ansible,
    ];

    /// By its name, or by a word under which people know it.
    pub fn parse(typed: &str) -> Option<Self> {
        let named = || Self::ALL.into_iter().find(|target| target.word() == typed);
        Some(match typed {
            "docker" | "docker-compose" | "podman" => Self::Compose,
            "server" | "vps" => Self::Systemd,
            "k8s" | "kustomize" => Self::Kubernetes,
            "prometheus" | "grafana" => Self::Monitoring,
            "gha" | "github" => Self::Actions,
            "aws-lambda" => Self::Lambda,
            _ => return named(),
        })
    }
}

/// The refusal of a target that needs a key of `gateway.yaml` which is not there.
pub fn needs(target: Target, key: &str, example: &str) -> Error {
    Error::usage(format!("{target} needs {key} in gateway.yaml"))
        .hint(Hint::step(format!("add the line: {key}: {example}")))
}
