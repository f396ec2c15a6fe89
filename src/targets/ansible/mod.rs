//! Ansible: a role that puts the files of the systemd target on servers, and one that puts gwinstall and Claude Code's managed
//! settings on machines of developers.
//!
//! Promise: tasks are fixed texts; what differs from one gateway to the next is a variable, and a file is copied, never run through a
//! template. A second run changes nothing.

use indexmap::IndexMap;
use serde::Serialize;

use crate::domain::{Error, Result};

use super::readme::Guide;
use super::{Spec, Target, Tree, desktop, escape, needs, scripts, systemd};

const GATEWAY: &str = "roles/llm_gateway";
const CLIENT: &str = "roles/gwinstall_client";
/// Texts of the systemd target that a role has no use for.
const LEFT_OUT: [&str; 3] = [".gitignore", "install.sh", scripts::EXAMPLE];

const IGNORED: &str = "\
# Secrets, the machines of one company, and what a run of gwinstall leaves while it works.
secrets.env
google-credentials.json
inventory.yml
.gwinstall/lock
.gwinstall/journal*
.gwinstall/txn/
";

/// For ansible-lint: a list of the rendered files stands where its key stands.
const YAMLLINT: &str = "\
extends: default
ignore: [.gwinstall/]
rules:
  braces: {max-spaces-inside: 1}
  comments: {min-spaces-from-content: 1}
  comments-indentation: disable
  document-start: disable
  indentation: {spaces: 2, indent-sequences: whatever}
  line-length: disable
  octal-values: {forbid-implicit-octal: true, forbid-explicit-octal: true}
  truthy: disable
";

/// What a role gets about this gateway; rendered again, never set by hand.
#[derive(Serialize)]
struct GatewayFacts {
    llm_gateway_root: String,
    llm_gateway_user: String,
    llm_gateway_files: Vec<String>,
    llm_gateway_programs: Vec<String>,
    llm_gateway_units: Vec<String>,
    llm_gateway_timers: Vec<String>,
}

/// What the owner of the machines chooses.
#[derive(Serialize)]
struct GatewayChoices {
    llm_gateway_start: bool,
    llm_gateway_secrets_file: &'static str,
    llm_gateway_google_credentials_file: &'static str,
}

#[derive(Serialize)]
struct ClientChoices {
    gwinstall_client_version: String,
    gwinstall_client_base_url: &'static str,
    gwinstall_client_sha256: IndexMap<&'static str, &'static str>,
    gwinstall_client_program: &'static str,
}

#[derive(Serialize)]
struct Meta {
    galaxy_info: GalaxyInfo,
    dependencies: [(); 0],
}

#[derive(Serialize)]
struct GalaxyInfo {
    author: &'static str,
    description: &'static str,
    license: &'static str,
    min_ansible_version: &'static str,
    platforms: [Platform; 2],
}

#[derive(Serialize)]
struct Platform {
    name: &'static str,
    versions: [&'static str; 1],
}

/// What a role demands of its variables; Ansible judges them before the first task.
#[derive(Serialize)]
struct Arguments {
    argument_specs: IndexMap<&'static str, Entry>,
}

#[derive(Serialize)]
struct Entry {
    short_description: &'static str,
    options: IndexMap<&'static str, Argument>,
}

#[derive(Serialize)]
struct Argument {
    r#type: &'static str,
    description: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    required: bool,
}

pub(super) fn render(spec: &Spec) -> Result<Tree> {
    let Some(domain) = &spec.values.domain else {
        return Err(needs(Target::Ansible, "domain", "gateway.example.com"));
    };
    let mut tree = Tree::default();
    gateway(&mut tree, spec)?;
    client(&mut tree, spec)?;
    tree.commented("site.yml", include_str!("site.yml"));
    tree.yaml("inventory.example.yml", &[inventory(domain)])?;
    tree.text(
        "ansible.cfg",
        "[defaults]\ninventory = inventory.yml\nroles_path = roles\nnocows = true\nstdout_callback = default\n",
    );
    scripts::secrets(&mut tree, spec);
    tree.commented(".gitignore", IGNORED);
    tree.commented(".yamllint", YAMLLINT);
    tree.guide("README.md", guide(spec, domain).text(spec));
    Ok(tree)
}

fn gateway(tree: &mut Tree, spec: &Spec) -> Result<()> {
    let mut files = systemd::render(spec)?;
    LEFT_OUT.iter().for_each(|path| files.remove(path));
    let below = |directory: &str| -> Vec<String> {
        files.paths().filter_map(|path| path.strip_prefix(directory)).map(escape::braces).collect()
    };
    let units = below("units/");
    let is_elsewhere =
        |path: &str| ["units/", "nginx/", "logrotate/"].iter().any(|dir| path.starts_with(dir));
    let of_kind = |programs: bool| -> Vec<String> {
        let wanted =
            files.modes().filter(|(path, mode)| (mode & 0o111 != 0) == programs && !is_elsewhere(path));
        wanted.map(|(path, _)| escape::braces(path)).collect()
    };
    let facts = GatewayFacts {
        llm_gateway_root: escape::braces(&spec.values.server.root),
        llm_gateway_user: escape::braces(&spec.values.server.user),
        llm_gateway_files: of_kind(false),
        llm_gateway_programs: of_kind(true),
        llm_gateway_timers: units.iter().filter(|unit| unit.ends_with(".timer")).cloned().collect(),
        llm_gateway_units: units,
    };
    let choices = GatewayChoices {
        llm_gateway_start: true,
        llm_gateway_secrets_file: "",
        llm_gateway_google_credentials_file: "",
    };
    tree.place(&format!("{GATEWAY}/files"), files);
    tree.yaml(&format!("{GATEWAY}/vars/main.yml"), &[facts])?;
    tree.yaml(&format!("{GATEWAY}/defaults/main.yml"), &[choices])?;
    tree.yaml(
        &format!("{GATEWAY}/meta/main.yml"),
        &[meta("A gateway for Claude Code (LiteLLM) on a server with systemd and nginx")],
    )?;
    let argument = |r#type, description| Argument { r#type, description, required: false };
    let options = IndexMap::from([
        ("llm_gateway_start", argument("bool", "Deploy and start; false while an image is built.")),
        (
            "llm_gateway_secrets_file",
            argument(
                "str",
                "secrets.env on this machine, encrypted by ansible-vault; empty: the one on the server stays.",
            ),
        ),
        (
            "llm_gateway_google_credentials_file",
            argument("str", "Key file of a service account of Google; empty: the one on the server stays."),
        ),
    ]);
    tree.yaml(&format!("{GATEWAY}/meta/argument_specs.yml"), &[arguments("The gateway", options)])?;
    tree.commented(&format!("{GATEWAY}/tasks/main.yml"), include_str!("gateway.yml"));
    tree.commented(&format!("{GATEWAY}/handlers/main.yml"), include_str!("gateway-handlers.yml"));
    Ok(())
}

fn client(tree: &mut Tree, spec: &Spec) -> Result<()> {
    let desktop = desktop::render(spec)?;
    let files = [
        ("linux/managed-settings.json", "managed-settings.json"),
        ("linux/gateway-key", "gateway-key"),
        ("gwinstall/policy.yaml", "policy.yaml"),
    ];
    for (from, to) in files {
        tree.take(&desktop, from, &format!("{CLIENT}/files/{to}")).ok_or_else(|| missing(from))?;
    }
    let choices = ClientChoices {
        gwinstall_client_version: escape::braces(&spec.version),
        gwinstall_client_base_url: "",
        gwinstall_client_sha256: IndexMap::from([("x86_64", ""), ("aarch64", "")]),
        gwinstall_client_program: "/usr/local/bin/gwinstall",
    };
    tree.yaml(&format!("{CLIENT}/defaults/main.yml"), &[choices])?;
    tree.yaml(
        &format!("{CLIENT}/meta/main.yml"),
        &[meta("gwinstall and the managed settings of Claude Code on a developer's machine")],
    )?;
    let argument = |r#type, description, required| Argument { r#type, description, required };
    let options = IndexMap::from([
        ("gwinstall_client_version", argument("str", "The version of gwinstall.", true)),
        (
            "gwinstall_client_base_url",
            argument("str", "The directory of that release, an https or file URL.", true),
        ),
        (
            "gwinstall_client_sha256",
            argument(
                "dict",
                "The sha256 of the executable for each architecture, as manifest.json has it.",
                true,
            ),
        ),
        ("gwinstall_client_program", argument("path", "Where gwinstall goes.", false)),
    ]);
    tree.yaml(&format!("{CLIENT}/meta/argument_specs.yml"), &[arguments("gwinstall and policies", options)])?;
    tree.commented(&format!("{CLIENT}/tasks/main.yml"), include_str!("client.yml"));
    Ok(())
}

fn missing(path: &str) -> Error {
    Error::failed(format!("the desktop target writes no {path}"))
}

fn arguments(short_description: &'static str, options: IndexMap<&'static str, Argument>) -> Arguments {
    Arguments { argument_specs: IndexMap::from([("main", Entry { short_description, options })]) }
}

fn meta(description: &'static str) -> Meta {
    let platform = |name| Platform { name, versions: ["all"] };
    let galaxy_info = GalaxyInfo {
        author: "gwinstall",
        description,
        license: "MIT OR Apache-2.0",
        min_ansible_version: "2.15",
        platforms: [platform("Debian"), platform("Ubuntu")],
    };
    Meta { galaxy_info, dependencies: [] }
}

#[derive(Serialize)]
struct Inventory {
    gateways: Group,
    developers: Group,
}

#[derive(Serialize)]
struct Group {
    hosts: IndexMap<String, Option<()>>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    vars: IndexMap<&'static str, &'static str>,
}

fn inventory(domain: &str) -> Inventory {
    let hosts = |name: &str| IndexMap::from([(escape::braces(name), None)]);
    Inventory {
        gateways: Group {
            hosts: hosts(domain),
            vars: IndexMap::from([("llm_gateway_secrets_file", scripts::SECRETS)]),
        },
        developers: Group {
            hosts: hosts("workstation.example.com"),
            vars: IndexMap::from([("gwinstall_client_base_url", "https://downloads.example.com/gwinstall")]),
        },
    }
}

fn guide<'a>(spec: &Spec, domain: &str) -> Guide<'a> {
    let root = &spec.values.server.root;
    Guide {
        title: "The gateway with Ansible",
        about: format!(
            "\
The role `llm_gateway` puts the gateway of {domain} on a server; `gwinstall_client` puts gwinstall and Claude Code's managed settings on
machines of developers. A second run changes nothing."
        ),
        prerequisites: format!(
            "\
- ansible-core 2.15 or later here; systemd, nginx and Python 3 on a server, {root}/certs with the certificate.
- `inventory.yml`, made from `inventory.example.yml`.
- For machines of developers: `gwinstall_client_base_url` and `gwinstall_client_sha256` of the release {version}.",
            version = spec.version
        ),
        deploy: "\
```sh
cp inventory.example.yml inventory.yml     # and fill it in
gwinstall render secrets --out .           # writes secrets.env; fill in what your models need
ansible-vault encrypt secrets.env          # llm_gateway_secrets_file names it
ansible-playbook site.yml --check --diff
ansible-playbook site.yml --ask-vault-pass
```

`--limit gateways` or `--limit developers` does one of both. `-e llm_gateway_start=false` puts the files and starts nothing, for an image."
            .to_owned(),
        verify: format!(
            "\
The role ends with `{root}/verify.sh` and fails where an instance does not answer. `ansible-playbook site.yml` again reports `changed=0`."
        ),
        roll_back: format!(
            "\
`deploy.sh` returns to the state before where the gateway does not answer, and the play fails. By hand:
`ansible gateways --become -a {root}/rollback.sh`, then the same change in this directory."
        ),
        back_up: format!("A timer runs `{root}/backup.sh` on the server daily."),
        rotate_a_key: format!(
            "`ansible-vault edit secrets.env` and a run, or `{root}/rotate.sh NAME` on the server and the same value here."
        ),
        upgrade: "\
Render again with a newer gwinstall, look at `--diff`, and run the playbook. `gwinstall_client_version` follows; give the `sha256` of that
release."
            .to_owned(),
    }
}
