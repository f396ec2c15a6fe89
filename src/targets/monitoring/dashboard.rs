//! The dashboard: JSON as Grafana 9 and later import it. It asks what the rules record.

use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dashboard {
    title: String,
    uid: String,
    tags: Vec<&'static str>,
    schema_version: u32,
    editable: bool,
    refresh: &'static str,
    time: Time,
    templating: Templating,
    panels: Vec<Panel>,
}

#[derive(Serialize)]
struct Time {
    from: &'static str,
    to: &'static str,
}

#[derive(Serialize)]
struct Templating {
    list: Vec<Variable>,
}

#[derive(Serialize)]
struct Variable {
    name: &'static str,
    label: &'static str,
    r#type: &'static str,
    query: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Panel {
    id: usize,
    title: &'static str,
    r#type: &'static str,
    datasource: Source,
    grid_pos: Grid,
    field_config: FieldConfig,
    targets: Vec<Query>,
}

#[derive(Serialize)]
struct Source {
    r#type: &'static str,
    uid: &'static str,
}

#[derive(Serialize)]
struct Grid {
    x: usize,
    y: usize,
    w: usize,
    h: usize,
}

#[derive(Serialize)]
struct FieldConfig {
    defaults: Defaults,
    overrides: [u8; 0],
}

#[derive(Serialize)]
struct Defaults {
    unit: &'static str,
    min: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Query {
    ref_id: &'static str,
    datasource: Source,
    expr: String,
    legend_format: &'static str,
}

/// Title, expression with `JOB` for the selector of the job, legend, unit, kind.
const PANELS: [(&str, &str, &str, &str, &str); 12] = [
    ("Instances", "sum(up{JOB})", "up", "none", "stat"),
    ("Requests that fail", "gateway:failures:ratio5m{JOB}", "of all", "percentunit", "stat"),
    (
        "Spend in 24 hours",
        "sum(increase(litellm_spend_metric_total{JOB}[24h]))",
        "all",
        "currencyUSD",
        "stat",
    ),
    ("Requests in flight", "sum(litellm_in_flight_requests{JOB})", "all", "none", "stat"),
    (
        "Requests by model",
        "sum by (requested_model) (gateway:requests:rate5m{JOB})",
        "{{requested_model}}",
        "reqps",
        "timeseries",
    ),
    (
        "Requests by team",
        "sum by (team_alias) (gateway:requests:rate5m{JOB})",
        "{{team_alias}}",
        "reqps",
        "timeseries",
    ),
    (
        "Failures by model",
        "sum by (requested_model) (gateway:failures:rate5m{JOB})",
        "{{requested_model}}",
        "reqps",
        "timeseries",
    ),
    ("Latency, 95 of 100", "gateway:latency_seconds:p95_5m{JOB}", "{{requested_model}}", "s", "timeseries"),
    (
        "Time to the first token, 95 of 100",
        "gateway:first_token_seconds:p95_5m{JOB}",
        "{{requested_model}}",
        "s",
        "timeseries",
    ),
    ("Tokens by model", "sum by (model) (gateway:tokens:rate5m{JOB})", "{{model}}", "none", "timeseries"),
    (
        "Spend by team and hour",
        "sum by (team_alias) (gateway:spend_dollars:increase1h{JOB})",
        "{{team_alias}}",
        "currencyUSD",
        "timeseries",
    ),
    (
        "Budget left by team",
        "litellm_remaining_team_budget_metric{JOB} / litellm_team_max_budget_metric{JOB}",
        "{{team_alias}}",
        "percentunit",
        "timeseries",
    ),
];

fn source() -> Source {
    Source { r#type: "prometheus", uid: "${datasource}" }
}

pub(super) fn of(job: &str) -> Dashboard {
    let selector = format!("job=\"{job}\"");
    let panel = |(index, (title, expr, legend, unit, kind)): (usize, (_, &str, _, _, _))| Panel {
        id: index + 1,
        title,
        r#type: kind,
        datasource: source(),
        grid_pos: place(index),
        field_config: FieldConfig { defaults: Defaults { unit, min: 0 }, overrides: [] },
        targets: vec![Query {
            ref_id: "A",
            datasource: source(),
            expr: expr.replace("JOB", &selector),
            legend_format: legend,
        }],
    };
    Dashboard {
        title: format!("LLM gateway {job}"),
        // Grafana takes at most 40 characters.
        uid: job.chars().take(40).collect(),
        tags: vec!["llm-gateway"],
        schema_version: 38,
        editable: true,
        refresh: "1m",
        time: Time { from: "now-24h", to: "now" },
        templating: Templating {
            list: vec![Variable {
                name: "datasource",
                label: "Data source",
                r#type: "datasource",
                query: "prometheus",
            }],
        },
        panels: PANELS.into_iter().enumerate().map(panel).collect(),
    }
}

/// A row of four numbers, and below it two graphs in each row.
fn place(index: usize) -> Grid {
    match index.checked_sub(4) {
        None => Grid { x: index * 6, y: 0, w: 6, h: 4 },
        Some(graph) => Grid { x: graph % 2 * 12, y: 4 + graph / 2 * 8, w: 12, h: 8 },
    }
}
