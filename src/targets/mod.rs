//! What engines on servers get: the same gateway as files for Compose, Kubernetes and the others. Pure.
//!
//! Promise: the same request and the same `gateway.yaml` give the same bytes on every machine. A secret is a reference, never a
//! value. A value of the user reaches a file only through the writer of its format (`escape`), or the schema refuses it.
//! Never: an engine's work again, a template language, a look at this machine.

mod actions;
mod ansible;
mod compose;
mod desktop;
pub mod escape;
mod helm;
mod image;
mod kubernetes;
mod lambda;
mod monitoring;
mod nginx;
mod readme;
pub mod scripts;
pub mod server;
pub mod spec;
mod systemd;
mod target;
pub mod tree;
pub mod values;

use crate::domain::Result;

pub use spec::{Request, Spec};
pub use target::{Target, needs};
pub use tree::Tree;

/// The files of a target. Paths are relative to the target's own directory.
pub fn render(target: Target, request: &Request<'_>) -> Result<Tree> {
    match target {
        Target::Compose => compose::render(request.spec),
        Target::Systemd => systemd::render(request.spec),
        Target::Kubernetes => kubernetes::render(request),
        Target::Helm => helm::render(request),
        Target::Monitoring => monitoring::render(request.spec),
        Target::Desktop => desktop::render(request.spec),
        Target::Actions => actions::render(request.spec),
        Target::Lambda => lambda::render(request.spec),
        Target::Ansible => ansible::render(request.spec),
    }
}
