//! Recording and alert rules. `{{ $labels.… }}` in an annotation is for Prometheus; nothing of the user is in one.

use std::collections::BTreeMap;

use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Rules {
    groups: Vec<Group>,
}

#[derive(Serialize)]
struct Group {
    name: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Rule {
    Record {
        record: &'static str,
        expr: String,
    },
    Alert {
        alert: &'static str,
        expr: String,
        r#for: &'static str,
        labels: BTreeMap<&'static str, &'static str>,
        annotations: BTreeMap<&'static str, &'static str>,
    },
}

/// The job's name is of lower-case letters, digits and hyphens.
pub(super) fn of(job: &str) -> Rules {
    Rules {
        groups: vec![
            Group { name: "gateway-rates", rules: recorded(job) },
            Group { name: "gateway-alerts", rules: alerts(job) },
        ],
    }
}

fn recorded(job: &str) -> Vec<Rule> {
    let rate = |metric: &str| format!("rate({metric}{{job=\"{job}\"}}[5m])");
    let total = rate("litellm_proxy_total_requests_metric_total");
    let failed = rate("litellm_proxy_failed_requests_metric_total");
    let latency = rate("litellm_request_total_latency_metric_bucket");
    let first = rate("litellm_llm_api_time_to_first_token_metric_bucket");
    let spend = format!("increase(litellm_spend_metric_total{{job=\"{job}\"}}[1h])");
    let tokens = rate("litellm_total_tokens_metric_total");
    let rules = [
        ("gateway:requests:rate5m", format!("sum by (job, requested_model, team_alias) ({total})")),
        ("gateway:failures:rate5m", format!("sum by (job, requested_model, team_alias) ({failed})")),
        ("gateway:failures:ratio5m", format!("sum by (job) ({failed}) / sum by (job) ({total})")),
        (
            "gateway:latency_seconds:p95_5m",
            format!("histogram_quantile(0.95, sum by (job, le, requested_model) ({latency}))"),
        ),
        (
            "gateway:first_token_seconds:p95_5m",
            format!("histogram_quantile(0.95, sum by (job, le, requested_model) ({first}))"),
        ),
        ("gateway:spend_dollars:increase1h", format!("sum by (job, model, team_alias) ({spend})")),
        ("gateway:tokens:rate5m", format!("sum by (job, model, team_alias) ({tokens})")),
    ];
    rules.into_iter().map(|(record, expr)| Rule::Record { record, expr }).collect()
}

fn alerts(job: &str) -> Vec<Rule> {
    let state = format!("litellm_deployment_state{{job=\"{job}\"}} == 2");
    let budget = format!(
        "litellm_remaining_team_budget_metric{{job=\"{job}\"}} / litellm_team_max_budget_metric{{job=\"{job}\"}} < 0.1"
    );
    vec![
        alert(
            "GatewayDown",
            format!("up{{job=\"{job}\"}} == 0"),
            ("2m", "critical"),
            "The instance {{ $labels.instance }} of the gateway does not answer Prometheus",
        ),
        alert(
            "GatewayGone",
            format!("absent(up{{job=\"{job}\"}})"),
            ("5m", "critical"),
            "Prometheus knows no instance of the gateway",
        ),
        alert(
            "GatewayFails",
            format!("gateway:failures:ratio5m{{job=\"{job}\"}} > 0.05"),
            ("10m", "warning"),
            "{{ $value | humanizePercentage }} of the requests fail",
        ),
        alert(
            "GatewaySlow",
            format!("gateway:latency_seconds:p95_5m{{job=\"{job}\"}} > 120"),
            ("15m", "warning"),
            "One of 20 requests to {{ $labels.requested_model }} takes {{ $value | humanizeDuration }} or longer",
        ),
        alert(
            "ProviderOutage",
            state,
            ("5m", "warning"),
            "The provider of {{ $labels.litellm_model_name }} does not answer",
        ),
        alert(
            "TeamBudgetNearlySpent",
            budget,
            ("5m", "warning"),
            "The team {{ $labels.team_alias }} has {{ $value | humanizePercentage }} of its budget left",
        ),
    ]
}

fn alert(
    alert: &'static str,
    expr: String,
    (lasting, severity): (&'static str, &'static str),
    summary: &'static str,
) -> Rule {
    Rule::Alert {
        alert,
        expr,
        r#for: lasting,
        labels: BTreeMap::from([("severity", severity)]),
        annotations: BTreeMap::from([("summary", summary)]),
    }
}
