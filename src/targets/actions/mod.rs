//! A workflow for GitHub that checks the files, builds an image, deploys it over ssh, verifies it, returns to the version before where
//! it does not answer, and keeps the last five images.
//!
//! Promise: no job has a right that it does not use; no expression stands inside a script; an action is named by its commit; what
//! happens on the server is done by the scripts of the server, which are the same for a person.

mod steps;

use indexmap::IndexMap;
use serde::Serialize;

use crate::domain::Result;

use super::readme::Guide;
use super::spec::config_path;
use super::tree::unwritable;
use super::{Spec, Target, Tree, escape, image, needs};

/// The actions of the workflow, by commit; the comment says which release that is.
const CHECKOUT: &str = "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8";
const CHECKOUT_RELEASE: &str = "v5.0.0";
const RUNNER: &str = "ubuntu-24.04";
const HADOLINT: &str = "2.15.1";
/// Images that stay in the registry.
const KEEP: &str = "5";
const WORKFLOW: &str = ".github/workflows/gateway.yml";

/// Names and values of an `env` block.
type Variables = IndexMap<&'static str, String>;

#[derive(Serialize)]
struct Workflow {
    name: &'static str,
    on: Triggers,
    permissions: IndexMap<&'static str, &'static str>,
    concurrency: Concurrency,
    defaults: Defaults,
    env: Variables,
    jobs: IndexMap<&'static str, Job>,
}

#[derive(Serialize)]
struct Triggers {
    push: Branches,
    pull_request: Paths,
    workflow_dispatch: Nothing,
}

#[derive(Serialize)]
struct Branches {
    branches: [&'static str; 1],
    paths: [&'static str; 4],
}

#[derive(Serialize)]
struct Paths {
    paths: [&'static str; 4],
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Concurrency {
    group: &'static str,
    #[serde(rename = "cancel-in-progress")]
    cancel_in_progress: bool,
}

#[derive(Serialize)]
struct Defaults {
    run: Shell,
}

#[derive(Serialize)]
struct Shell {
    shell: &'static str,
}

#[derive(Serialize, Default)]
struct Job {
    name: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    needs: Vec<&'static str>,
    #[serde(rename = "if", skip_serializing_if = "Option::is_none")]
    condition: Option<&'static str>,
    #[serde(rename = "runs-on")]
    runs_on: &'static str,
    #[serde(rename = "timeout-minutes")]
    timeout_minutes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'static str>,
    permissions: IndexMap<&'static str, &'static str>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    outputs: Variables,
    steps: Vec<Step>,
}

#[derive(Serialize, Default)]
struct Step {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'static str>,
    #[serde(rename = "if", skip_serializing_if = "Option::is_none")]
    condition: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uses: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    with: Option<With>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    env: Variables,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'static str>,
}

#[derive(Serialize)]
struct With {
    #[serde(rename = "persist-credentials")]
    persist_credentials: bool,
}

pub(super) fn render(spec: &Spec) -> Result<Tree> {
    let Some(domain) = &spec.values.domain else {
        return Err(needs(Target::Actions, "domain", "gateway.example.com"));
    };
    let Some(repository) = &spec.values.repository else {
        return Err(needs(Target::Actions, "repository", "OWNER/NAME"));
    };
    // The registry knows lower case only.
    let image = format!("ghcr.io/{}", repository.to_lowercase());
    let mut tree = Tree::default();
    tree.commented(WORKFLOW, &text(&workflow(spec, domain, &image))?);
    tree.commented(
        "Containerfile",
        &format!("FROM {}\n{}{}", spec.image, image::lines(spec), image::command(spec)),
    );
    for file in &spec.config {
        tree.configuration(&config_path(file.name), file.bytes.clone());
    }
    tree.text(".dockerignore", "*\n!config\n!Containerfile\n");
    tree.guide("README.md", guide(spec, domain, &image).text_with(spec, SECRETS));
    Ok(tree)
}

/// YAML, with the release of each action behind its commit.
fn text(workflow: &Workflow) -> Result<String> {
    let text = serde_yaml::to_string(workflow).map_err(unwritable)?;
    Ok(text.replace(CHECKOUT, &format!("{CHECKOUT} # {CHECKOUT_RELEASE}")))
}

fn workflow(spec: &Spec, domain: &str, image: &str) -> Workflow {
    let paths = ["gateway.yaml", "Containerfile", "config/**", WORKFLOW];
    let values = [
        ("GATEWAY_DOMAIN", domain),
        ("GATEWAY_ROOT", &spec.values.server.root),
        ("GATEWAY_PRESET", &spec.preset),
        ("GATEWAY_MODELS", &spec.models.join(",")),
        ("GWINSTALL_PIN", &spec.version),
        ("IMAGE", image),
    ];
    Workflow {
        name: "gateway",
        on: Triggers {
            push: Branches { branches: ["main"], paths },
            pull_request: Paths { paths },
            workflow_dispatch: Nothing {},
        },
        permissions: IndexMap::new(),
        concurrency: Concurrency { group: "gateway-${{ github.ref }}", cancel_in_progress: false },
        defaults: Defaults { run: Shell { shell: "bash" } },
        env: values.into_iter().map(|(name, value)| (name, escape::workflow(value))).collect(),
        jobs: [
            ("validate", validate()),
            ("build", build()),
            ("deploy", deploy()),
            ("verify", verify()),
            ("rollback", roll_back()),
            ("retain", retain()),
            ("summary", summary()),
        ]
        .into_iter()
        .collect(),
    }
}

fn checkout() -> Step {
    Step {
        name: "Check out",
        uses: Some(CHECKOUT),
        with: Some(With { persist_credentials: false }),
        ..Step::default()
    }
}

fn run(name: &'static str, run: &'static str, env: &[(&'static str, &str)]) -> Step {
    let env = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Step { name, run: Some(run), env, ..Step::default() }
}

fn job(name: &'static str, minutes: u32, needs: &[&'static str], steps: Vec<Step>) -> Job {
    Job { name, timeout_minutes: minutes, needs: needs.to_vec(), runs_on: RUNNER, steps, ..Job::default() }
}

fn reads() -> IndexMap<&'static str, &'static str> {
    IndexMap::from([("contents", "read")])
}

const BASE_URL: (&str, &str) = ("GWINSTALL_BASE_URL", "${{ vars.GWINSTALL_BASE_URL }}");
const INSTALLER: (&str, &str) = ("GWINSTALL_INSTALLER_SHA256", "${{ vars.GWINSTALL_INSTALLER_SHA256 }}");
/// What leads to the server.
const SERVER: [(&str, &str); 4] = [
    ("DEPLOY_HOST", "${{ vars.DEPLOY_HOST }}"),
    ("DEPLOY_USER", "${{ vars.DEPLOY_USER }}"),
    ("DEPLOY_SSH_KEY", "${{ secrets.DEPLOY_SSH_KEY }}"),
    ("DEPLOY_KNOWN_HOSTS", "${{ secrets.DEPLOY_KNOWN_HOSTS }}"),
];
const DIGEST: (&str, &str) = ("DIGEST", "${{ needs.build.outputs.digest }}");
const COMMIT: (&str, &str) = ("COMMIT", "${{ github.sha }}");
/// The last record of the server: that of the rollback where there was one.
const RECORD: (&str, &str) =
    ("RECORD", "${{ needs.rollback.outputs.record || needs.deploy.outputs.record }}");

fn required(values: &[(&'static str, &'static str)]) -> Step {
    let names = values.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
    let mut step = run("Require secrets and variables", steps::REQUIRE, values);
    step.env.insert("REQUIRED", names);
    step
}

fn validate() -> Job {
    let steps = vec![
        required(&[BASE_URL, INSTALLER]),
        checkout(),
        run("Install gwinstall", steps::INSTALL, &[BASE_URL, INSTALLER]),
        run("Compare the files with gateway.yaml", steps::CHECK, &[]),
        run("Check the Containerfile", steps::LINT, &[("HADOLINT_VERSION", HADOLINT)]),
    ];
    Job { permissions: reads(), ..job("validate", 10, &[], steps) }
}

fn build() -> Job {
    let values = [
        ("TOKEN", "${{ secrets.GITHUB_TOKEN }}"),
        ("ACTOR", "${{ github.actor }}"),
        ("REPOSITORY_URL", "${{ github.server_url }}/${{ github.repository }}"),
        COMMIT,
    ];
    let build = Step { id: Some("image"), ..run("Build and push the image", steps::BUILD, &values) };
    Job {
        condition: Some("${{ github.event_name != 'pull_request' && github.ref == 'refs/heads/main' }}"),
        permissions: IndexMap::from([("contents", "read"), ("packages", "write")]),
        outputs: IndexMap::from([("digest", "${{ steps.image.outputs.digest }}".to_owned())]),
        ..job("build", 30, &["validate"], vec![checkout(), build])
    }
}

/// The connection, before the steps that use it; the record of the server, after them.
fn on_the_server(steps: Vec<Step>) -> Vec<Step> {
    let mut all = vec![required(&SERVER)];
    all.extend(steps);
    let place = all.iter().position(|step| step.uses.is_some()).map_or(1, |at| at + 1);
    all.insert(place, run("Prepare the connection", steps::CONNECT, &SERVER));
    all
}

fn record() -> Step {
    Step {
        id: Some("record"),
        condition: Some("${{ always() }}"),
        ..run("Read the record of the server", steps::RECORD, &[])
    }
}

fn recorded() -> Variables {
    IndexMap::from([("record", "${{ steps.record.outputs.record }}".to_owned())])
}

fn deploy() -> Job {
    let deploy = run("Deploy the image", steps::DEPLOY, &[DIGEST, COMMIT]);
    Job {
        environment: Some("production"),
        permissions: reads(),
        outputs: recorded(),
        ..job("deploy", 45, &["build"], on_the_server(vec![checkout(), deploy, record()]))
    }
}

fn verify() -> Job {
    let steps = on_the_server(vec![run("Verify each instance and the public address", steps::VERIFY, &[])]);
    Job { environment: Some("production"), ..job("verify", 15, &["build", "deploy"], steps) }
}

fn roll_back() -> Job {
    let steps = on_the_server(vec![run("Return to the version before", steps::ROLL_BACK, &[]), record()]);
    Job {
        // A deployment that failed has rolled back by itself.
        condition: Some("${{ (failure() || cancelled()) && needs.deploy.result == 'success' }}"),
        environment: Some("production"),
        outputs: recorded(),
        ..job("rollback", 30, &["deploy", "verify"], steps)
    }
}

fn retain() -> Job {
    let values = [
        ("GH_TOKEN", "${{ secrets.GITHUB_TOKEN }}"),
        ("OWNER", "${{ github.repository_owner }}"),
        ("KEEP", KEEP),
        DIGEST,
        ("RECORD", "${{ needs.deploy.outputs.record }}"),
    ];
    Job {
        permissions: IndexMap::from([("packages", "write")]),
        ..job(
            "retain",
            10,
            &["build", "deploy", "verify"],
            vec![run("Delete old images", steps::RETAIN, &values)],
        )
    }
}

fn summary() -> Job {
    let results = "${{ needs.build.result }}, ${{ needs.deploy.result }}, ${{ needs.verify.result }}, ${{ needs.rollback.result }}";
    let step = run("Write the summary", steps::SUMMARIZE, &[RECORD, ("RESULTS", results)]);
    Job {
        condition: Some("${{ always() && github.event_name != 'pull_request' }}"),
        ..job("summary", 5, &["build", "deploy", "verify", "rollback"], vec![step])
    }
}

const SECRETS: &str = "\
The values of the gateway are on the server; GitHub holds only what leads there. The image holds the configuration, which names
variables and no value.";

fn guide<'a>(spec: &Spec, domain: &str, image: &str) -> Guide<'a> {
    let root = &spec.values.server.root;
    Guide {
        title: "A pipeline for the gateway at GitHub",
        about: format!(
            "\
A push to `main` that changes the gateway builds `{image}`, deploys it by its digest to the server of {domain}, and returns to the version
before where the gateway does not answer. A pull request is only validated."
        ),
        prerequisites: format!(
            "\
- This directory is the root of a repository of its own, with `gateway.yaml` beside this file.
- A server with the files of `gwinstall render compose` in `{root}`; `docker login ghcr.io` was run there with a token that reads packages.
- An environment `production` in the settings of the repository, with reviewers if a person is to agree first.

| kind | name | what it holds |
|---|---|---|
| variable | `GWINSTALL_BASE_URL` | the directory of the release {version} of gwinstall, an https URL |
| variable | `GWINSTALL_INSTALLER_SHA256` | the sha256 of its `install.sh` |
| variable | `DEPLOY_HOST`, `DEPLOY_USER` | the server and the account that may run Docker there |
| secret | `DEPLOY_SSH_KEY` | the private key of that account, without a passphrase |
| secret | `DEPLOY_KNOWN_HOSTS` | what `ssh-keyscan HOST` prints, compared with the host's own key |

The first step of a job fails with the names of those that are missing. `GITHUB_TOKEN` is there by itself.",
            version = spec.version
        ),
        deploy: "Commit, and push to `main`. *Run workflow* on the page of the workflow deploys the same commit again.".to_owned(),
        verify: format!(
            "\
The job `verify` asks each instance on the server and `https://{domain}/api/health` from outside, three times each. The job `summary`
shows the record of the deployment: id, commit, image, status, times, health check, version before."
        ),
        roll_back: format!(
            "\
`deploy.sh` returns to the version before by itself where the new one does not answer (exit 5); the job `rollback` does where `verify`
fails afterwards. By hand: `ssh HOST {root}/rollback.sh`, then `git revert` the commit."
        ),
        back_up: format!("`{root}/backup.sh` on the server; `deploy.sh` makes a backup before each deployment."),
        rotate_a_key: format!(
            "\
Keys of the gateway: `{root}/rotate.sh NAME` on the server. The key of the deployment: put a new one into `authorized_keys`, then into
`DEPLOY_SSH_KEY`, then remove the old one."
        ),
        upgrade: "\
Render again with a newer gwinstall, set the two variables to its release, and open a pull request: `validate` compares the files. It
renders with the built-in files; a preset of your own has to be checked where it is."
            .to_owned(),
    }
}
