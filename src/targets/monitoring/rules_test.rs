//! `rules_test.yml` for `promtool test rules`: each alert is raised when it has to be, and the outage of one hides nothing.

use std::collections::BTreeMap;

use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Tests {
    rule_files: Vec<&'static str>,
    evaluation_interval: &'static str,
    tests: Vec<Test>,
}

#[derive(Serialize)]
struct Test {
    interval: &'static str,
    input_series: Vec<Series>,
    alert_rule_test: Vec<AlertTest>,
}

#[derive(Serialize)]
struct Series {
    series: String,
    values: &'static str,
}

#[derive(Serialize)]
struct AlertTest {
    eval_time: &'static str,
    alertname: &'static str,
    exp_alerts: Vec<Expected>,
}

#[derive(Serialize)]
struct Expected {
    exp_labels: BTreeMap<&'static str, String>,
    exp_annotations: BTreeMap<&'static str, String>,
}

fn raised(labels: &[(&'static str, &str)], summary: &str) -> Vec<Expected> {
    let exp_labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    vec![Expected { exp_labels, exp_annotations: BTreeMap::from([("summary", summary.to_owned())]) }]
}

fn at(eval_time: &'static str, alertname: &'static str, exp_alerts: Vec<Expected>) -> AlertTest {
    AlertTest { eval_time, alertname, exp_alerts }
}

pub(super) fn of(job: &str) -> Tests {
    let series = |metric: &str, labels: &str, values| Series {
        series: format!("{metric}{{job=\"{job}\"{labels}}}"),
        values,
    };
    let tests = vec![
        down(job, series("up", ",instance=\"a\"", "1 0 0 0 0 0 0 0 0 0")),
        gone(job),
        failing(
            job,
            vec![
                series("litellm_proxy_total_requests_metric_total", ",requested_model=\"m\"", "0+60x40"),
                series("litellm_proxy_failed_requests_metric_total", ",requested_model=\"m\"", "0+6x40"),
            ],
        ),
        slow(
            job,
            vec![
                series(BUCKET, ",requested_model=\"m\",le=\"120\"", "0+0x40"),
                series(BUCKET, ",requested_model=\"m\",le=\"300\"", "0+60x40"),
                series(BUCKET, ",requested_model=\"m\",le=\"+Inf\"", "0+60x40"),
            ],
        ),
        outage(job, series("litellm_deployment_state", ",litellm_model_name=\"m\"", "0 2 2 2 2 2 2 2 2 2")),
        spent(
            job,
            vec![
                series("litellm_remaining_team_budget_metric", ",team=\"t\",team_alias=\"red\"", "5x10"),
                series("litellm_team_max_budget_metric", ",team=\"t\",team_alias=\"red\"", "100x10"),
            ],
        ),
    ];
    Tests { rule_files: vec!["rules.yml"], evaluation_interval: "1m", tests }
}

const BUCKET: &str = "litellm_request_total_latency_metric_bucket";

fn test(input_series: Vec<Series>, alert_rule_test: Vec<AlertTest>) -> Test {
    Test { interval: "1m", input_series, alert_rule_test }
}

fn down(job: &str, series: Series) -> Test {
    let labels = [("severity", "critical"), ("job", job), ("instance", "a")];
    let expected = raised(&labels, "The instance a of the gateway does not answer Prometheus");
    test(
        vec![series],
        vec![
            at("2m", "GatewayDown", Vec::new()),
            at("4m", "GatewayDown", expected),
            at("9m", "GatewayGone", Vec::new()),
        ],
    )
}

fn gone(job: &str) -> Test {
    let labels = [("severity", "critical"), ("job", job)];
    let expected = raised(&labels, "Prometheus knows no instance of the gateway");
    test(Vec::new(), vec![at("6m", "GatewayGone", expected)])
}

fn failing(job: &str, series: Vec<Series>) -> Test {
    let labels = [("severity", "warning"), ("job", job)];
    let expected = raised(&labels, "10% of the requests fail");
    test(series, vec![at("9m", "GatewayFails", Vec::new()), at("20m", "GatewayFails", expected)])
}

fn slow(job: &str, series: Vec<Series>) -> Test {
    let labels = [("severity", "warning"), ("job", job), ("requested_model", "m")];
    let expected = raised(&labels, "One of 20 requests to m takes 4m 51s or longer");
    test(series, vec![at("30m", "GatewaySlow", expected)])
}

fn outage(job: &str, series: Series) -> Test {
    let labels = [("severity", "warning"), ("job", job), ("litellm_model_name", "m")];
    let expected = raised(&labels, "The provider of m does not answer");
    test(vec![series], vec![at("4m", "ProviderOutage", Vec::new()), at("8m", "ProviderOutage", expected)])
}

fn spent(job: &str, series: Vec<Series>) -> Test {
    let labels = [("severity", "warning"), ("job", job), ("team", "t"), ("team_alias", "red")];
    let expected = raised(&labels, "The team red has 5% of its budget left");
    test(series, vec![at("8m", "TeamBudgetNearlySpent", expected)])
}
