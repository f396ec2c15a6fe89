//! How requests get to LiteLLM, and where LiteLLM may connect to.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::{Error, Hint, Result};
use crate::targets::Spec;
use crate::targets::spec::READINESS;

use super::object::{Component, Labels, Manifest, Metadata, Selector, instance, labels};

#[derive(Serialize)]
struct ServiceSpec {
    r#type: &'static str,
    selector: Labels,
    ports: Vec<ServicePort>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServicePort {
    name: &'static str,
    port: u16,
    target_port: &'static str,
    protocol: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IngressSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    ingress_class_name: Option<String>,
    tls: Vec<Tls>,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tls {
    hosts: Vec<String>,
    secret_name: String,
}

#[derive(Serialize)]
struct Rule {
    host: String,
    http: Paths,
}

#[derive(Serialize)]
struct Paths {
    paths: Vec<Path>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Path {
    path: &'static str,
    path_type: &'static str,
    backend: Backend,
}

#[derive(Serialize)]
struct Backend {
    service: BackendService,
}

#[derive(Serialize)]
struct BackendService {
    name: String,
    port: PortName,
}

#[derive(Serialize)]
struct PortName {
    name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PolicySpec {
    pod_selector: Selector,
    policy_types: Vec<&'static str>,
    ingress: Vec<Ingress>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    egress: Vec<Egress>,
}

#[derive(Serialize)]
struct Ingress {
    from: Vec<Peer>,
    ports: Vec<PolicyPort>,
}

#[derive(Serialize)]
struct Egress {
    ports: Vec<PolicyPort>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Peer {
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_selector: Option<Selector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod_selector: Option<Selector>,
}

#[derive(Serialize)]
struct PolicyPort {
    protocol: &'static str,
    port: Number,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Number {
    Of(u16),
    /// The port that a container names so.
    Named(&'static str),
}

impl PolicyPort {
    fn tcp(port: u16) -> Self {
        Self { protocol: "TCP", port: Number::Of(port) }
    }

    fn http() -> Self {
        Self { protocol: "TCP", port: Number::Named("http") }
    }
}

pub(in crate::targets) fn service(spec: &Spec) -> Result<Manifest> {
    let labels = labels(spec, Component::Gateway);
    let port = spec.values.port;
    let body = ServiceSpec {
        r#type: "ClusterIP",
        selector: labels.clone(),
        ports: vec![ServicePort { name: "http", port, target_port: "http", protocol: "TCP" }],
    };
    // Without the component: the service is applied before the gateway.
    let mut own = labels;
    own.remove("app.kubernetes.io/component");
    let metadata = Metadata::named(&spec.values.name).labelled(own);
    Manifest::specified("service.yaml", "v1", "Service", metadata, body)
}

/// The way into the cluster, where the gateway has a name.
pub(in crate::targets) fn ingresses(spec: &Spec) -> Result<Vec<Manifest>> {
    let Some(domain) = &spec.values.domain else { return Ok(Vec::new()) };
    let annotations = annotations(spec)?;
    let mut health = annotations.clone();
    health.insert("nginx.ingress.kubernetes.io/rewrite-target", READINESS.path.to_owned());
    let name = &spec.values.name;
    let everything = ingress(spec, domain, name, ("/", "Prefix"), annotations)?;
    if !is_nginx(spec) {
        return Ok(vec![everything]);
    }
    let health = ingress(spec, domain, &format!("{name}-health"), ("/api/health", "Exact"), health)?;
    Ok(vec![everything, Manifest { file: "ingress-health.yaml", ..health }])
}

fn ingress(
    spec: &Spec,
    domain: &str,
    name: &str,
    (path, path_type): (&'static str, &'static str),
    annotations: BTreeMap<&'static str, String>,
) -> Result<Manifest> {
    let asked = spec.values.ingress.clone().unwrap_or_default();
    let service = BackendService { name: spec.values.name.clone(), port: PortName { name: "http" } };
    let body = IngressSpec {
        ingress_class_name: asked.class,
        tls: vec![Tls { hosts: vec![domain.to_owned()], secret_name: certificate(spec) }],
        rules: vec![Rule {
            host: domain.to_owned(),
            http: Paths { paths: vec![Path { path, path_type, backend: Backend { service } }] },
        }],
    };
    let metadata = Metadata { annotations, ..Metadata::named(name) };
    Manifest::specified("ingress.yaml", "networking.k8s.io/v1", "Ingress", metadata, body)
}

/// The Secret with the certificate.
pub(in crate::targets) fn certificate(spec: &Spec) -> String {
    let asked = spec.values.ingress.as_ref().and_then(|ingress| ingress.tls_secret.clone());
    asked.unwrap_or_else(|| format!("{}-tls", spec.values.name))
}

/// Whether the annotations of ingress-nginx are read.
pub(in crate::targets) fn is_nginx(spec: &Spec) -> bool {
    let class = spec.values.ingress.as_ref().and_then(|ingress| ingress.class.as_deref());
    class.is_none_or(|class| class.contains("nginx"))
}

/// The namespace in which a controller is usually installed.
pub(in crate::targets) fn controller(spec: &Spec) -> &str {
    match spec.values.ingress.as_ref().and_then(|ingress| ingress.class.as_deref()) {
        Some(class) if !is_nginx(spec) => class,
        _ => "ingress-nginx",
    }
}

/// An answer is streamed as it comes; who asks too often or from elsewhere is refused.
pub(in crate::targets) fn annotations(spec: &Spec) -> Result<BTreeMap<&'static str, String>> {
    let mut annotations = BTreeMap::new();
    if let Some(issuer) = spec.values.ingress.as_ref().and_then(|ingress| ingress.issuer.clone()) {
        annotations.insert("cert-manager.io/cluster-issuer", issuer);
    }
    if !is_nginx(spec) {
        return if spec.values.allow_from.is_empty() { Ok(annotations) } else { Err(unlimited()) };
    }
    for (name, value) in [
        ("nginx.ingress.kubernetes.io/force-ssl-redirect", "true"),
        ("nginx.ingress.kubernetes.io/proxy-body-size", "64m"),
        ("nginx.ingress.kubernetes.io/proxy-buffering", "off"),
        ("nginx.ingress.kubernetes.io/proxy-request-buffering", "off"),
        ("nginx.ingress.kubernetes.io/proxy-connect-timeout", "5"),
        ("nginx.ingress.kubernetes.io/proxy-read-timeout", "600"),
        ("nginx.ingress.kubernetes.io/proxy-send-timeout", "600"),
        ("nginx.ingress.kubernetes.io/limit-burst-multiplier", "2"),
    ] {
        annotations.insert(name, value.to_owned());
    }
    let rate = spec.values.requests_per_second.to_string();
    annotations.insert("nginx.ingress.kubernetes.io/limit-rps", rate);
    if !spec.values.allow_from.is_empty() {
        let allowed = spec.values.allow_from.join(",");
        annotations.insert("nginx.ingress.kubernetes.io/whitelist-source-range", allowed);
    }
    Ok(annotations)
}

fn unlimited() -> Error {
    Error::usage("allow_from would have no effect in this cluster")
        .because("gwinstall writes it for ingress-nginx, and ingress.class names another controller")
        .hint(Hint::step("remove allow_from, and let the controller limit who may connect"))
}

/// Requests come from the ingress; LiteLLM connects to its providers, its stores and DNS.
pub(in crate::targets) fn policy(spec: &Spec) -> Result<Manifest> {
    let values = &spec.values;
    let from = if values.domain.is_some() {
        let place = Labels::from([("kubernetes.io/metadata.name", controller(spec).to_owned())]);
        Peer { namespace_selector: Some(Selector { match_labels: place }), ..Peer::default() }
    } else {
        Peer { pod_selector: Some(Selector { match_labels: Labels::new() }), ..Peer::default() }
    };
    let dns = vec![PolicyPort { protocol: "UDP", port: Number::Of(53) }, PolicyPort::tcp(53)];
    let mut egress = vec![Egress { ports: dns }, Egress { ports: vec![PolicyPort::tcp(443)] }];
    let stores = [values.database.as_ref().map(|it| it.port), values.redis.as_ref().map(|it| it.port)];
    egress.extend(stores.into_iter().flatten().map(|port| Egress { ports: vec![PolicyPort::tcp(port)] }));
    let body = PolicySpec {
        pod_selector: Selector { match_labels: instance(spec) },
        policy_types: vec!["Ingress", "Egress"],
        ingress: vec![Ingress { from: vec![from], ports: vec![PolicyPort::http()] }],
        egress,
    };
    policy_named("networkpolicy.yaml", &values.name, body)
}

/// Prometheus may ask, too: its policy is added to the other one.
pub(in crate::targets) fn metrics_policy(spec: &Spec) -> Result<Manifest> {
    let place = Labels::from([("kubernetes.io/metadata.name", "monitoring".to_owned())]);
    let from = Peer { namespace_selector: Some(Selector { match_labels: place }), ..Peer::default() };
    let body = PolicySpec {
        pod_selector: Selector { match_labels: labels(spec, Component::Gateway) },
        policy_types: vec!["Ingress"],
        ingress: vec![Ingress { from: vec![from], ports: vec![PolicyPort::http()] }],
        egress: Vec::new(),
    };
    policy_named("networkpolicy.yaml", &format!("{}-metrics", spec.values.name), body)
}

fn policy_named(file: &'static str, name: &str, body: PolicySpec) -> Result<Manifest> {
    Manifest::specified(file, "networking.k8s.io/v1", "NetworkPolicy", Metadata::named(name), body)
}
