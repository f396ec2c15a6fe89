//! Monitoring: how Prometheus asks the gateway, recording and alert rules with their test, and a dashboard for Grafana.
//!
//! The names of the metrics are those of LiteLLM 1.106: a counter's name gets `_total` when it is asked. Never: a key in a file;
//! Prometheus reads it from `metrics.key`, which git ignores.

mod dashboard;
mod rules;
mod rules_test;

use serde::Serialize;

use crate::domain::Result;

use super::readme::Guide;
use super::{Spec, Target, Tree, needs, scripts};

/// Seconds between two questions.
const INTERVAL: &str = "30s";
/// Holds a key of the gateway.
const KEY: &str = "metrics.key";

#[derive(Serialize)]
struct Prometheus {
    global: Global,
    rule_files: Vec<&'static str>,
    scrape_configs: Vec<Job>,
}

#[derive(Serialize)]
struct Global {
    scrape_interval: &'static str,
    evaluation_interval: &'static str,
}

#[derive(Serialize)]
struct Job {
    job_name: String,
    metrics_path: &'static str,
    authorization: Authorization,
    static_configs: Vec<Targets>,
}

#[derive(Serialize)]
struct Authorization {
    r#type: &'static str,
    credentials_file: &'static str,
}

#[derive(Serialize)]
struct Targets {
    targets: Vec<String>,
}

pub(super) fn render(spec: &Spec) -> Result<Tree> {
    if !spec.values.metrics {
        return Err(needs(Target::Monitoring, "metrics", "true"));
    }
    let job = &spec.values.name;
    let mut tree = Tree::default();
    tree.yaml("prometheus.yml", &[prometheus(spec)])?;
    tree.yaml("rules.yml", &[rules::of(job)])?;
    tree.yaml("rules_test.yml", &[rules_test::of(job)])?;
    tree.json("dashboard.json", &dashboard::of(job))?;
    tree.text(".gitignore", format!("# Written by `gwinstall render`: a key of the gateway.\n{KEY}\n"));
    tree.guide("README.md", guide(spec).text(spec));
    Ok(tree)
}

fn prometheus(spec: &Spec) -> Prometheus {
    let ports = scripts::ports(spec, spec.values.server.instances);
    let targets = ports.map(|port| format!("127.0.0.1:{port}")).collect();
    Prometheus {
        global: Global { scrape_interval: INTERVAL, evaluation_interval: INTERVAL },
        rule_files: vec!["rules.yml"],
        scrape_configs: vec![Job {
            job_name: spec.values.name.clone(),
            // Without the last slash LiteLLM answers with a redirect, and Prometheus drops the key on its way.
            metrics_path: "/metrics/",
            authorization: Authorization { r#type: "Bearer", credentials_file: KEY },
            static_configs: vec![Targets { targets }],
        }],
    }
}

fn guide<'a>(spec: &Spec) -> Guide<'a> {
    let (root, name) = (&spec.values.server.root, &spec.values.name);
    Guide {
        title: "Monitoring of the gateway",
        about: format!(
            "\
`prometheus.yml` asks every instance of job `{name}` each {INTERVAL}; `rules.yml` records rates and raises alerts; `dashboard.json` shows
requests, failures, latency, spend and tokens for each model and team."
        ),
        prerequisites: format!(
            "\
- `metrics: true` in `gateway.yaml` when you rendered the gateway. LiteLLM then needs the package `prometheus_client`: its image has
  it, and without it LiteLLM does not start.
- Prometheus 2.40 or later that reaches the instances themselves: nginx refuses `/metrics` from outside.
- `{KEY}` beside `prometheus.yml`, mode 0600, readable by Prometheus: a virtual key of the gateway, or its master key."
        ),
        deploy: format!(
            "\
Put `rules.yml` and `{KEY}` beside your `prometheus.yml` and copy the job; change `targets` to where your instances are:

| gateway | targets |
|---|---|
| systemd | the ports of the units, as rendered |
| Compose | `litellm-1:{port}` …, with Prometheus in the network of the project |
| Kubernetes | nothing: `components/monitoring` has a ServiceMonitor. Its job is the name of the Service, `{name}` |

Import `dashboard.json` in Grafana and choose the data source.",
            port = spec.values.port
        ),
        verify: "\
```sh
promtool check config prometheus.yml
promtool test rules rules_test.yml
```

In Prometheus, Status → Targets shows every instance as UP. 401 means a wrong key, 404 that `metrics` is not on."
            .to_owned(),
        roll_back: "These files change nothing in the gateway: take the older ones from git and reload Prometheus.".to_owned(),
        back_up: "The files are in git. What was measured is in Prometheus: back up its directory, or send it on with `remote_write`."
            .to_owned(),
        rotate_a_key: format!("Write the new key into `{KEY}`. Prometheus reads the file at every question."),
        upgrade: format!(
            "\
Render again with a newer gwinstall: it knows the names of the metrics of its LiteLLM.

## Logs

LiteLLM writes one JSON object per line (`JSON_LOGS=True`), without prompts, answers and keys. The level is `LITELLM_LOG`.

| gateway | where |
|---|---|
| systemd | `{root}/logs/*.log`: fluent-bit or vector with a JSON parser; rotated by logrotate after 14 days |
| Compose | `docker compose logs`, or another `logging.driver` (fluentd, loki, journald) in `compose.yaml` |
| Kubernetes | standard output of the pods, read by the agent of the cluster (fluent-bit, promtail, vector) |

Keep what `metrics` does not have: the lines with `\"level\": \"ERROR\"`."
        ),
    }
}
