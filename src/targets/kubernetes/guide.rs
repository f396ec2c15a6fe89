//! The README of the manifests.

use crate::domain::name::count;
use crate::targets::readme::Guide;
use crate::targets::spec::BASE;
use crate::targets::{Request, Spec};

use super::network::{certificate, controller, is_nginx};

pub(super) fn of(request: &Request<'_>) -> Guide<'static> {
    let (directory, spec) = request.applied().next().unwrap_or_else(|| (BASE.to_owned(), request.spec));
    Guide {
        title: "The gateway in Kubernetes",
        about: about(request, spec),
        prerequisites: prerequisites(spec, &directory),
        deploy: deploy(request, spec, &directory),
        verify: verify(spec),
        roll_back: roll_back(spec),
        back_up: back_up(request, &directory),
        rotate_a_key: format!(
            "\
Change the value in `{directory}/secrets.env` and deploy again. The name of the Secret ends with a hash of its values, so the pods
restart one after the other. Change a password in PostgreSQL or Redis first. Never change `LITELLM_SALT_KEY`."
        ),
        upgrade: "\
Render again with a newer gwinstall (`gwinstall self-update`), look at `--diff`, commit, and deploy as above. A new image has a new
migration Job; the old one deletes itself two minutes after it ended."
            .to_owned(),
    }
}

fn about(request: &Request<'_>, spec: &Spec) -> String {
    let run = count(spec.values.replicas as usize, "instance");
    let environments: Vec<String> =
        request.environments.iter().map(|(name, _)| format!("`overlays/{name}`")).collect();
    let applied = if environments.is_empty() {
        "`base` is what you apply.".to_owned()
    } else {
        format!(
            "`base` is what all environments share; you apply {}. The commands below are for the first.",
            environments.join(" or ")
        )
    };
    format!("{run} of LiteLLM in the namespace `{}`. {applied}", spec.values.namespace)
}

fn prerequisites(spec: &Spec, directory: &str) -> String {
    let mut text = String::from(
        "- Kubernetes 1.24 or later and `kubectl` with kustomize 5 (1.27 or later).\n- A network plugin that obeys NetworkPolicy.",
    );
    let needs = spec.resources;
    text.push_str(&format!(
        "\n- Nodes with {} of memory and {} CPU to spare for each instance (at most {} and {}).",
        needs.requests.memory_text(),
        needs.requests.cpu_text(),
        needs.limits.memory_text(),
        needs.limits.cpu_text()
    ));
    if spec.values.database.is_some() {
        text.push_str(&format!(
            "\n- PostgreSQL 15 or later with a role and a database for LiteLLM. Each instance takes {} connections.",
            spec.values.database.as_ref().map_or(0, |database| database.connections)
        ));
    }
    if spec.values.redis.is_some() {
        text.push_str("\n- Redis 7 or later, with a password and `maxmemory-policy noeviction`.");
    }
    if spec.values.domain.is_some() {
        let place = controller(spec);
        text.push_str(&format!(
            "\n- An ingress controller. networkpolicy.yaml lets the namespace `{place}` in; change it if yours is elsewhere.\
             \n- A certificate in the Secret `{}`; cert-manager writes it where `ingress.issuer` is set.",
            certificate(spec)
        ));
    }
    if spec.values.tls13_only {
        text.push_str("\n- TLS 1.3 only is a setting of the whole controller: `ssl-protocols: TLSv1.3` in its ConfigMap.");
    }
    if spec.google {
        text.push_str(&format!(
            "\n- `{directory}/google-credentials.json`: the key file of a service account that may call Vertex AI."
        ));
    }
    text.push_str("\n- A provider on another port than 443 needs a line in networkpolicy.yaml.");
    text
}

fn deploy(request: &Request<'_>, spec: &Spec, directory: &str) -> String {
    let (name, namespace) = (&spec.values.name, &spec.values.namespace);
    let with_database = request.applied().any(|(_, spec)| spec.values.database.is_some());
    let migration = if with_database {
        format!(
            "\
kubectl apply -k {directory} -l 'app.kubernetes.io/component!=gateway'    # everything but LiteLLM, and the migration
kubectl -n {namespace} wait job -l app.kubernetes.io/component=migration --for=condition=complete --timeout=30m
"
        )
    } else {
        String::new()
    };
    let why = if with_database {
        "\n\nThe migration comes first: LiteLLM starts with `DISABLE_SCHEMA_UPDATE` and needs the new schema. If `wait` does not return, read\n\
         `kubectl -n NAMESPACE logs -l app.kubernetes.io/component=migration`."
            .replace("NAMESPACE", namespace)
    } else {
        String::new()
    };
    let monitoring = if request.applied().any(|(_, spec)| spec.values.metrics) {
        format!(
            "\n\nWith the operator of Prometheus, add the metrics to `{directory}/kustomization.yaml`:\n\n\
             ```yaml\ncomponents:\n  - {}/components/monitoring\n```",
            up(request)
        )
    } else {
        String::new()
    };
    format!(
        "\
```sh
gwinstall render secrets --out .     # or copy each secrets.env.example to secrets.env beside it and fill it in
{migration}kubectl apply -k {directory}
kubectl -n {namespace} rollout status deployment/{name} --timeout=10m
```

In `secrets.env` everything behind the first `=` is the value: write no quotes.{why}{monitoring}"
    )
}

fn verify(spec: &Spec) -> String {
    let (name, namespace, port) = (&spec.values.name, &spec.values.namespace, spec.values.port);
    let inside = format!(
        "\
```sh
kubectl -n {namespace} get pods -l app.kubernetes.io/instance={name}
kubectl -n {namespace} port-forward service/{name} {port}:{port} &
curl -f http://127.0.0.1:{port}/health/readiness
```"
    );
    let Some(address) = spec.address() else { return inside };
    let health = if is_nginx(spec) { "/api/health" } else { "/health/readiness" };
    format!(
        "\
{inside}

`{address}{health}` answers 200 without a key. Claude Code: set `ANTHROPIC_BASE_URL={address}` and a key of the gateway as
`ANTHROPIC_AUTH_TOKEN`."
    )
}

fn roll_back(spec: &Spec) -> String {
    let (name, namespace) = (&spec.values.name, &spec.values.namespace);
    format!(
        "\
```sh
kubectl -n {namespace} rollout history deployment/{name}
kubectl -n {namespace} rollout undo deployment/{name}        # --to-revision=N for an older one
```

Five revisions stay, each with its own configuration and secrets. Then take the same step back in git, or the next apply deploys the
new state again. The schema of the database stays as it is."
    )
}

fn back_up(request: &Request<'_>, directory: &str) -> String {
    let Some((_, spec)) = request.applied().find(|(_, spec)| spec.values.database.is_some()) else {
        return "The configuration is in these files: keep them in git. LiteLLM keeps nothing else."
            .to_owned();
    };
    let (name, namespace, keep) = (&spec.values.name, &spec.values.namespace, spec.values.backup.keep);
    format!(
        "\
The configuration is in these files: keep them in git. Keep `LITELLM_SALT_KEY` where you keep passwords: without it a dump is unreadable.

`components/backup` dumps the database daily into a volume and keeps {keep} dumps. Add it to `{directory}/kustomization.yaml` unless your
provider makes backups (they are the better ones: the volume is in the same cluster):

```yaml
components:
  - {}/components/backup
```

```sh
kubectl -n {namespace} create job --from=cronjob/{name}-backup {name}-backup-now
```",
        up(request)
    )
}

/// From what is applied to the top.
fn up(request: &Request<'_>) -> &'static str {
    if request.environments.is_empty() { ".." } else { "../.." }
}
