//! The README of the values.

use crate::targets::readme::Guide;
use crate::targets::{Request, Spec};

/// The chart whose keys `values.rs` has.
const CHART: &str = "oci://ghcr.io/berriai/litellm-helm";
const CHART_VERSION: &str = "1.1.3";

/// The directories that are applied before the chart.
pub(super) fn applied<'a>(request: &'a Request<'a>) -> impl Iterator<Item = (String, &'a Spec)> {
    request.applied().map(|(directory, spec)| (format!("objects/{directory}"), spec))
}

pub(super) fn of(request: &Request<'_>) -> Guide<'static> {
    let spec = request.spec;
    let (name, namespace) = (&spec.values.name, &spec.values.namespace);
    let environment = request.environments.first().map(|(name, _)| name.as_str());
    let directory = applied(request).next().map_or_else(String::new, |(directory, _)| directory);
    let google = if spec.google {
        format!(
            "\n- `{directory}/google-credentials.json`: the key file of a service account that may call Vertex AI."
        )
    } else {
        String::new()
    };
    let migration = if spec.values.database.is_some() {
        " The chart migrates the database in a hook before it changes a pod."
    } else {
        ""
    };
    Guide {
        title: "The gateway with Helm",
        about: format!(
            "\
Values for LiteLLM's chart `litellm-helm` {CHART_VERSION}, release `{name}` in the namespace `{namespace}`. The chart takes the
configuration and the secrets from `objects/`: it would rewrite the configuration, and a secret in a value stays in the history of
the release."
        ),
        prerequisites: format!(
            "\
- Kubernetes 1.24 or later, `kubectl` with kustomize 5, Helm 3.14 or later.
- `helm show chart {CHART} --version {CHART_VERSION}` answers. The chart has no schema: with another version, compare the keys.{google}"
        ),
        deploy: deploy(request, &directory, environment, migration),
        verify: format!(
            "\
```sh
helm -n {namespace} status {name}
kubectl -n {namespace} port-forward service/{name} {port}:{port} &
curl -f http://127.0.0.1:{port}/health/readiness
```",
            port = spec.values.port
        ),
        roll_back: roll_back(name, namespace),
        back_up: "\
The values and `objects/` are in git; `secrets.env` is not: keep it where you keep passwords, above all `LITELLM_SALT_KEY`. Back up
PostgreSQL where it runs; `gwinstall render kubernetes` has a CronJob for a cluster without one."
            .to_owned(),
        rotate_a_key: format!(
            "Change it in `{directory}/secrets.env` and deploy as above: the pods restart. Never change `LITELLM_SALT_KEY`."
        ),
        upgrade: "\
Render again with a newer gwinstall, look at `--diff`, and deploy. `helm diff upgrade` (a plugin) shows what changes in the cluster."
            .to_owned(),
    }
}

fn roll_back(name: &str, namespace: &str) -> String {
    format!(
            "\
A deployment that does not get ready within 10 minutes rolls itself back. By hand:

```sh
helm -n {namespace} history {name}
helm -n {namespace} rollback {name} REVISION --wait --timeout 10m
```

The objects of `objects/` are not part of the release: check out the older ones from git and `kubectl apply -k` them first.

A release whose status is `pending-upgrade`, `pending-install` or `pending-rollback` was killed while it changed. Roll back to the last
revision whose status is `deployed`. Where there is none, `helm -n {namespace} uninstall {name}` and deploy again: nothing is kept in pods."
        )
}

fn deploy(request: &Request<'_>, directory: &str, environment: Option<&str>, migration: &str) -> String {
    let (name, namespace) = (&request.spec.values.name, &request.spec.values.namespace);
    let own = environment.map(|name| format!(" -f values-{name}.yaml")).unwrap_or_default();
    let others = if request.environments.len() > 1 {
        let names: Vec<String> = request.environments.iter().map(|(name, _)| format!("`{name}`")).collect();
        format!(
            "\n\nThe environments are {}: each has its `values-NAME.yaml` and its objects.",
            names.join(", ")
        )
    } else {
        String::new()
    };
    format!(
        "\
```sh
gwinstall render secrets --out .     # or copy {directory}/secrets.env.example to secrets.env beside it and fill it in
kubectl apply -k {directory}
helm upgrade --install {name} {CHART} --version {CHART_VERSION} \\
  --namespace {namespace} -f values.yaml{own} \\
  --set-string podAnnotations.objects=\"$(kubectl kustomize {directory} | sha256sum | cut -c1-16)\" \\
  --wait --timeout 10m --history-max 10 --rollback-on-failure    # Helm 3: --atomic
```

The annotation restarts the pods when the configuration or a secret changed.{migration}{others}"
    )
}
