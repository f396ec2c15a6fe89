//! A pod: the parts of Kubernetes' pod template that the gateway uses.

use std::num::NonZero;

use serde::Serialize;

use crate::targets::spec::{Amount, CONFIG_DIR, GOOGLE_FILE, GRACE, Probe, Resources};
use crate::targets::{Spec, escape};

use super::object::{Labels, Named, Selector, config_name, google_name, secrets_name};

/// An account that no image and no node has.
const ACCOUNT: u32 = 65532;
/// What a container may write beside its own volumes: LiteLLM's home, and the caches that its tools make at the root.
const WRITABLE: [(&str, &str); 3] = [("tmp", "/tmp"), ("cache", "/.cache"), ("npm", "/.npm")];

#[derive(Serialize)]
pub(in crate::targets) struct Template {
    pub metadata: TemplateMetadata,
    pub spec: Pod,
}

#[derive(Serialize)]
pub(in crate::targets) struct TemplateMetadata {
    pub labels: Labels,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct Pod {
    pub service_account_name: String,
    pub automount_service_account_token: bool,
    pub enable_service_links: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<&'static str>,
    pub termination_grace_period_seconds: u32,
    pub security_context: PodSecurity,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topology_spread_constraints: Vec<Spread>,
    pub containers: Vec<Container>,
    pub volumes: Vec<Volume>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct PodSecurity {
    run_as_non_root: bool,
    run_as_user: u32,
    run_as_group: u32,
    fs_group: u32,
    seccomp_profile: Seccomp,
}

impl Default for PodSecurity {
    fn default() -> Self {
        Self {
            run_as_non_root: true,
            run_as_user: ACCOUNT,
            run_as_group: ACCOUNT,
            fs_group: ACCOUNT,
            seccomp_profile: Seccomp { r#type: "RuntimeDefault" },
        }
    }
}

#[derive(Serialize)]
struct Seccomp {
    r#type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct Spread {
    max_skew: u32,
    topology_key: &'static str,
    when_unsatisfiable: &'static str,
    label_selector: Selector,
}

impl Spread {
    /// On different nodes where there are several.
    pub(in crate::targets) fn over_nodes(label_selector: Selector) -> Self {
        Self {
            max_skew: 1,
            topology_key: "kubernetes.io/hostname",
            when_unsatisfiable: "ScheduleAnyway",
            label_selector,
        }
    }
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct Container {
    pub name: &'static str,
    pub image: String,
    pub image_pull_policy: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env_from: Vec<EnvFrom>,
    pub env: Vec<Variable>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup_probe: Option<ProbeOf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness_probe: Option<ProbeOf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness_probe: Option<ProbeOf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    pub resources: Needs,
    pub security_context: Security,
    pub volume_mounts: Vec<Mount>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct Port {
    pub name: &'static str,
    pub container_port: u16,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct EnvFrom {
    pub secret_ref: Named,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct Variable {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_from: Option<ValueFrom>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ValueFrom {
    secret_key_ref: KeyOf,
}

#[derive(Serialize)]
struct KeyOf {
    name: String,
    key: &'static str,
}

impl Variable {
    pub(in crate::targets) fn new(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: Some(escape::kubernetes(value)), value_from: None }
    }

    /// One secret of the gateway, under another name.
    pub(in crate::targets) fn secret(spec: &Spec, name: &str, key: &'static str) -> Self {
        let secret_key_ref = KeyOf { name: secrets_name(spec), key };
        Self { name: name.to_owned(), value: None, value_from: Some(ValueFrom { secret_key_ref }) }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct ProbeOf {
    http_get: HttpGet,
    /// The API server drops a zero: `kubectl apply` would find a change every time.
    #[serde(skip_serializing_if = "Option::is_none")]
    initial_delay_seconds: Option<NonZero<u32>>,
    period_seconds: u32,
    timeout_seconds: u32,
    failure_threshold: u32,
}

#[derive(Serialize)]
struct HttpGet {
    path: &'static str,
    port: &'static str,
}

impl From<&Probe> for ProbeOf {
    fn from(probe: &Probe) -> Self {
        Self {
            http_get: HttpGet { path: probe.path, port: "http" },
            initial_delay_seconds: NonZero::new(probe.delay),
            period_seconds: probe.period,
            timeout_seconds: probe.timeout,
            failure_threshold: probe.failures,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct Lifecycle {
    pre_stop: Exec,
}

#[derive(Serialize)]
struct Exec {
    exec: Command,
}

#[derive(Serialize)]
struct Command {
    command: Vec<&'static str>,
}

impl Lifecycle {
    /// The pod leaves the service before LiteLLM hears of its end. The image has Python, and not always a shell.
    pub(in crate::targets) fn leave_first() -> Self {
        let command = vec!["python3", "-c", "import time; time.sleep(5)"];
        Self { pre_stop: Exec { exec: Command { command } } }
    }
}

#[derive(Serialize, Default)]
pub(in crate::targets) struct Needs {
    requests: Quantities,
    limits: Quantities,
}

#[derive(Serialize, Default)]
struct Quantities {
    cpu: String,
    memory: String,
}

impl From<Amount> for Quantities {
    fn from(amount: Amount) -> Self {
        Self { cpu: amount.cpu_text(), memory: amount.memory_text() }
    }
}

impl From<Resources> for Needs {
    fn from(resources: Resources) -> Self {
        Self { requests: resources.requests.into(), limits: resources.limits.into() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct Security {
    allow_privilege_escalation: bool,
    read_only_root_filesystem: bool,
    capabilities: Capabilities,
}

#[derive(Serialize)]
struct Capabilities {
    drop: Vec<&'static str>,
}

impl Default for Security {
    fn default() -> Self {
        Self {
            allow_privilege_escalation: false,
            read_only_root_filesystem: true,
            capabilities: Capabilities { drop: vec!["ALL"] },
        }
    }
}

#[derive(Serialize, Clone)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct Mount {
    pub name: &'static str,
    pub mount_path: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

impl Mount {
    pub(in crate::targets) fn new(name: &'static str, path: &str, read_only: bool) -> Self {
        Self { name, mount_path: path.to_owned(), read_only }
    }
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct Volume {
    pub name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<EmptyDir>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretVolume>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<Claimed>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct EmptyDir {
    size_limit: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct SecretVolume {
    pub secret_name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets) struct Claimed {
    pub claim_name: String,
}

impl Pod {
    /// A pod that runs one container as an account without rights.
    pub(in crate::targets) fn of(spec: &Spec, container: Container, volumes: Vec<Volume>) -> Self {
        Self {
            service_account_name: spec.values.name.clone(),
            automount_service_account_token: false,
            // Kubernetes would set a variable for every service of the namespace.
            enable_service_links: false,
            restart_policy: None,
            termination_grace_period_seconds: GRACE,
            security_context: PodSecurity::default(),
            topology_spread_constraints: Vec::new(),
            containers: vec![container],
            volumes,
        }
    }

    /// A pod that ends; it is not started again, so that its log stays.
    pub(in crate::targets) fn ending(mut self) -> Self {
        self.restart_policy = Some("Never");
        self
    }
}

/// The secrets of the gateway as variables.
pub(in crate::targets) fn secrets(spec: &Spec) -> Vec<EnvFrom> {
    vec![EnvFrom { secret_ref: Named { name: secrets_name(spec) } }]
}

/// What LiteLLM reads and where it may write.
pub(in crate::targets) fn mounts(spec: &Spec) -> Vec<Mount> {
    let mut mounts = vec![Mount::new("config", CONFIG_DIR, true)];
    if let (true, Some((directory, _))) = (spec.google, GOOGLE_FILE.rsplit_once('/')) {
        mounts.push(Mount::new("google", directory, true));
    }
    mounts.extend(writable_mounts());
    mounts
}

pub(in crate::targets) fn writable_mounts() -> Vec<Mount> {
    WRITABLE.map(|(name, path)| Mount::new(name, path, false)).to_vec()
}

pub(in crate::targets) fn volumes(spec: &Spec) -> Vec<Volume> {
    let config = Some(Named { name: config_name(spec) });
    let mut volumes = vec![Volume { name: "config", config_map: config, ..Volume::default() }];
    if spec.google {
        let secret = Some(SecretVolume { secret_name: google_name(spec) });
        volumes.push(Volume { name: "google", secret, ..Volume::default() });
    }
    volumes.extend(writable_volumes());
    volumes
}

/// Space that ends with the pod.
pub(in crate::targets) fn writable_volumes() -> Vec<Volume> {
    let volume =
        |(name, _)| Volume { name, empty_dir: Some(EmptyDir { size_limit: "500Mi" }), ..Volume::default() };
    WRITABLE.into_iter().map(volume).collect()
}
