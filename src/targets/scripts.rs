//! The scripts of the bundle that a server runs, and the two files of values that they read.

use crate::domain::word::words;

use super::Spec;
use super::tree::Tree;

/// The secrets of LiteLLM, and those of the scripts alone. Never rendered.
pub const SECRETS: &str = "secrets.env";
pub const OPERATIONS: &str = "operations.env";
/// The names of the secrets.
pub const EXAMPLE: &str = "secrets.env.example";
/// How the example becomes `secrets.env`: the lines with which it begins.
pub const HOW_TO: &str = "\
# The secrets of the gateway. Copy this file to secrets.env (mode 0600) and fill it in, or run:
# gwinstall render secrets --out DIR
";

words! {
    /// What the scripts manage.
    pub enum Layout {
        Compose = "compose",
        Systemd = "systemd",
    }
}

/// The scripts, and `server.env` beside them.
pub(super) fn write(tree: &mut Tree, spec: &Spec, layout: Layout) {
    for (name, bytes) in spec.scripts_of(layout.word()) {
        if bytes.starts_with(b"#!") {
            tree.program(name, bytes.clone());
        } else {
            tree.text(name, bytes.to_vec());
        }
    }
    let lines = values(spec, layout);
    let body: String = lines.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    tree.commented(
        "server.env",
        &format!("# Read as text by the scripts, never run: sh read-values.sh --help\n{body}"),
    );
}

/// The port of each of `count` instances on the machine itself.
pub(super) fn ports(spec: &Spec, count: u32) -> impl Iterator<Item = u16> {
    (spec.values.port..=u16::MAX).zip(0..count).map(|(port, _)| port)
}

/// Values that are not secret, by the names that `read-values.sh` lists. The schema lets no quote, space or line break through.
fn values(spec: &Spec, layout: Layout) -> Vec<(&'static str, String)> {
    let values = &spec.values;
    let count = if layout == Layout::Compose { values.replicas } else { values.server.instances };
    let ports: Vec<String> = ports(spec, count).map(|port| port.to_string()).collect();
    let image = if layout == Layout::Compose { spec.image.to_string() } else { spec.litellm.clone() };
    let mut lines = vec![
        ("LAYOUT", layout.word().to_owned()),
        ("PORTS", ports.join(" ")),
        ("IMAGE", image),
        ("SERVICE_USER", values.server.user.clone()),
        ("KEEP_BACKUPS", values.backup.keep.to_string()),
    ];
    // With Compose the scripts lie in the directory that they manage.
    if layout == Layout::Systemd {
        lines.insert(1, ("ROOT", values.server.root.clone()));
    }
    if let Some(database) = &values.database {
        lines.extend([
            ("DATABASE", "yes".to_owned()),
            ("DATABASE_HOST", database.host.clone().unwrap_or_default()),
            ("DATABASE_PORT", database.port.to_string()),
            ("DATABASE_NAME", database.name.clone()),
            ("DATABASE_USER", database.user.clone()),
        ]);
    }
    if let Some(domain) = &values.domain {
        lines.push(("DOMAIN", domain.clone()));
    }
    if let Some(s3) = &values.backup.s3 {
        lines.push(("S3_ENDPOINT", s3.endpoint.clone()));
        lines.push(("S3_BUCKET", s3.bucket.clone()));
        lines.push(("S3_REGION", s3.region.clone()));
        lines.push(("S3_PREFIX", s3.prefix.clone()));
    }
    if let Some(recipient) = &values.backup.encrypt_to {
        lines.push(("ENCRYPT_TO", recipient.clone()));
    }
    if let Some(webhook) = &values.alert_webhook {
        lines.push(("ALERT_WEBHOOK", webhook.clone()));
    }
    lines
}

/// `secrets.env.example` and a `.gitignore` for the file that it is copied to.
pub(super) fn secrets(tree: &mut Tree, spec: &Spec) {
    tree.text(EXAMPLE, example(spec, ""));
    tree.text(".gitignore", IGNORED);
}

/// `secrets.env.example` in each directory that is applied to a cluster, and one `.gitignore` above them.
pub(super) fn secrets_of_cluster<'a>(tree: &mut Tree, directories: impl Iterator<Item = (String, &'a Spec)>) {
    const LITERAL: &str = "# Everything behind the first = is the value, also quotes and spaces: Kubernetes takes them as they are.\n";
    for (directory, spec) in directories {
        tree.text(&format!("{directory}/{EXAMPLE}"), example(spec, LITERAL));
    }
    tree.text(".gitignore", IGNORED);
}

fn example(spec: &Spec, note: &str) -> String {
    let mut body = format!("{HOW_TO}{note}");
    for secret in &spec.secrets {
        let optional = if secret.optional { " Optional." } else { "" };
        body.push_str(&format!("\n# {}{optional}\n{}=\n", secret.about, secret.name));
    }
    body
}

const IGNORED: &str = "\
# Written by `gwinstall render`: secrets, what one machine alone knows, and what a run of gwinstall leaves while it works.
secrets.env
operations.env
google-credentials.json
certs/
backups/
data/
.image
.gwinstall/lock
.gwinstall/journal*
.gwinstall/txn/
";
