//! Several instances: how many the cluster runs, and how many it may take away at once.

use serde::Serialize;

use crate::domain::Result;
use crate::targets::Spec;

use super::object::{Component, Manifest, Metadata, Selector, labels};

/// Percent of the requested processor at which another instance starts. It answers only minutes later.
pub(in crate::targets) const BUSY: u32 = 60;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScalerSpec {
    scale_target_ref: Target,
    min_replicas: u32,
    max_replicas: u32,
    metrics: Vec<Metric>,
    behavior: Behavior,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    api_version: &'static str,
    kind: &'static str,
    name: String,
}

#[derive(Serialize)]
struct Metric {
    r#type: &'static str,
    resource: Resource,
}

#[derive(Serialize)]
struct Resource {
    name: &'static str,
    target: Utilization,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Utilization {
    r#type: &'static str,
    average_utilization: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Behavior {
    scale_down: ScaleDown,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScaleDown {
    stabilization_window_seconds: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BudgetSpec {
    max_unavailable: u32,
    selector: Selector,
}

/// Whether the engine adds instances under load.
pub(in crate::targets) fn is_automatic(spec: &Spec) -> bool {
    spec.values.max_replicas.is_some_and(|most| most > spec.values.replicas)
}

pub(in crate::targets) fn manifests(spec: &Spec) -> Result<Vec<Manifest>> {
    let mut manifests = Vec::new();
    let named = || Metadata::named(&spec.values.name);
    if let (true, Some(max_replicas)) = (is_automatic(spec), spec.values.max_replicas) {
        let target = Target { api_version: "apps/v1", kind: "Deployment", name: spec.values.name.clone() };
        let utilization = Utilization { r#type: "Utilization", average_utilization: BUSY };
        let body = ScalerSpec {
            scale_target_ref: target,
            min_replicas: spec.values.replicas,
            max_replicas,
            metrics: vec![Metric {
                r#type: "Resource",
                resource: Resource { name: "cpu", target: utilization },
            }],
            behavior: Behavior { scale_down: ScaleDown { stabilization_window_seconds: 300 } },
        };
        let kind = "HorizontalPodAutoscaler";
        manifests.push(Manifest::specified("hpa.yaml", "autoscaling/v2", kind, named(), body)?);
    }
    if spec.is_scaled() {
        let selector = Selector { match_labels: labels(spec, Component::Gateway) };
        let body = BudgetSpec { max_unavailable: 1, selector };
        manifests.push(Manifest::specified("pdb.yaml", "policy/v1", "PodDisruptionBudget", named(), body)?);
    }
    Ok(manifests)
}
