//! `render kubernetes`, `helm` and `monitoring`: what is written is read back as the engines read it.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::world::{World, mode};

/// Values that a second reader would expand, cut or read as something else than a string.
const HOSTILE: [(&str, &str); 12] = [
    ("DOLLARS", "a$b$(DATABASE_HOST)$$c"),
    ("BRACES", "${{ x }} {{ .Values.y }} {% z %}"),
    ("QUOTES", "'q' \"d\" `t` \\ ; # no comment"),
    ("PERCENT", "%d%%"),
    ("SWITCH", "on"),
    ("NUMBER", "1_000"),
    ("CLOCK", "12:30:45"),
    ("DATE", "2001-12-14"),
    ("NULLS", "~"),
    ("EQUALS", "="),
    ("SPACES", " a "),
    ("ANCHOR", "&a *b !c"),
];

fn values() -> String {
    let mut values = serde_json::json!({
        "domain": "gateway.example.com",
        "metrics": true,
        "database": { "host": "postgres.example.com" },
        "environments": {
            "staging": { "namespace": "staging", "port": 4100, "variables": { "SWITCH": "off" } },
            "production": {
                "replicas": 2, "max_replicas": 4, "redis": { "host": "redis.example.com" },
                "image": format!("ghcr.io/berriai/litellm:v1.106.2@sha256:{}", "a".repeat(64)),
            },
        },
    });
    values["variables"] =
        HOSTILE.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
    values.to_string()
}

/// A world in which `gateway.yaml` (JSON is YAML) was rendered into `~/out`.
fn rendered(target: &str, values: &str) -> World {
    let world = World::new();
    write(&world, "gateway.yaml", values);
    let _ = render(&world, target, "out").exits(0);
    world
}

fn render(world: &World, target: &str, out: &str) -> crate::world::Said {
    let path = |name: &str| world.home().join(name).to_string_lossy().into_owned();
    world.run(&["render", target, "--out", &path(out), "--values", &path("gateway.yaml")])
}

fn read(world: &World, path: &str) -> String {
    fs::read_to_string(world.home().join(path)).unwrap()
}

fn write(world: &World, path: &str, text: &str) {
    fs::write(world.home().join(path), text).unwrap();
}

fn yaml(world: &World, path: &str) -> Value {
    serde_yaml::from_str(&read(world, &format!("out/{path}"))).unwrap()
}

/// As Kubernetes hands the variables to a container.
fn variables(container: &Value) -> BTreeMap<String, String> {
    let one =
        |item: &Value| Some((item["name"].as_str()?.to_owned(), item["value"].as_str()?.replace("$$", "$")));
    container["env"].as_array().unwrap().iter().filter_map(one).collect()
}

#[test]
fn every_hostile_value_comes_back_from_a_manifest_and_from_the_values_of_helm() {
    let world = rendered("kubernetes", &values());
    let deployment = yaml(&world, "base/deployment.yaml");
    let got = variables(&deployment["spec"]["template"]["spec"]["containers"][0]);
    for (name, value) in HOSTILE {
        assert_eq!(got.get(name).map(String::as_str), Some(value), "{name}");
    }
    let text = read(&world, "out/base/deployment.yaml");
    for quoted in ["\"on\"", "\"1_000\"", "\"12:30:45\"", "\"2001-12-14\"", "\"=\""] {
        assert!(
            text.contains(&format!("value: {quoted}")),
            "YAML 1.1 reads {quoted} without quotes differently"
        );
    }

    let world = rendered("helm", &values());
    let helm = yaml(&world, "values.yaml");
    for (name, value) in HOSTILE {
        assert_eq!(
            helm["envVars"][name].as_str().map(|value| value.replace("$$", "$")),
            Some(value.to_owned())
        );
    }
}

#[test]
fn a_deployment_has_probes_limits_and_no_rights() {
    let world = rendered("kubernetes", &values());
    let pod = yaml(&world, "base/deployment.yaml")["spec"]["template"]["spec"].clone();
    let container = &pod["containers"][0];
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/health/liveliness");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/health/readiness");
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(container["resources"]["requests"]["memory"], "1Gi");
    assert_eq!(container["resources"]["limits"]["memory"], "4Gi");
    assert_eq!(pod["terminationGracePeriodSeconds"], 90);

    let policy = yaml(&world, "base/networkpolicy.yaml");
    assert_eq!(policy["spec"]["policyTypes"], serde_json::json!(["Ingress", "Egress"]));
    assert!(
        !world.home().join("out/base/hpa.yaml").exists() && !world.home().join("out/base/pdb.yaml").exists()
    );
    let scaler = yaml(&world, "overlays/production/hpa.yaml");
    assert_eq!((&scaler["spec"]["minReplicas"], &scaler["spec"]["maxReplicas"]), (&2.into(), &4.into()));
    assert_eq!(yaml(&world, "overlays/production/pdb.yaml")["spec"]["maxUnavailable"], 1);
}

#[test]
fn an_overlay_holds_only_what_differs() {
    let world = rendered("kubernetes", &values());
    let staging = yaml(&world, "overlays/staging/patches/deployment.yaml");
    let container = &staging["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["name"], "litellm");
    assert_eq!(variables(container), BTreeMap::from([("SWITCH".to_owned(), "off".to_owned())]));
    assert_eq!(
        container["ports"],
        serde_json::json!([{ "containerPort": 4100, "name": "http" }, { "containerPort": 4000, "$patch": "delete" }])
    );
    assert!(container.get("resources").is_none(), "{container}");
    // A number of replicas that an autoscaler owns is taken out of the base's.
    let production = yaml(&world, "overlays/production/patches/deployment.yaml");
    assert_eq!(production["spec"].get("replicas"), Some(&Value::Null));

    let kustomization = yaml(&world, "overlays/production/kustomization.yaml");
    assert_eq!(kustomization["images"][0]["newTag"], "v1.106.2");
    assert_eq!(kustomization["images"][0]["digest"], format!("sha256:{}", "a".repeat(64)));
    assert_eq!(yaml(&world, "base/kustomization.yaml").get("secretGenerator"), None);
    // The migration of another image is another Job.
    let name = |path: &str| yaml(&world, path)["metadata"]["name"].as_str().unwrap().to_owned();
    assert_ne!(name("base/migration.yaml"), name("overlays/production/migration.yaml"));
}

#[test]
fn rendering_again_changes_no_byte() {
    for target in ["kubernetes", "helm", "monitoring"] {
        let world = rendered(target, &values());
        let before = world.snapshot();
        let _ = render(&world, target, "out").exits(0).says("up to date");
        assert_eq!(before, world.snapshot(), "{target}");
    }
}

#[test]
fn secrets_are_files_that_git_ignores_and_each_environment_has_its_own() {
    let world = rendered("kubernetes", &values()).with("VERTEXAI_PROJECT", "it's a project");
    let out = world.home().join("out").to_string_lossy().into_owned();
    let _ = world.run(&["render", "secrets", "--out", &out]).exits(0);
    let staging = read(&world, "out/overlays/staging/secrets.env");
    let production = read(&world, "out/overlays/production/secrets.env");
    let key = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("LITELLM_MASTER_KEY=")).unwrap();
        line.to_owned()
    };
    assert_ne!(key(&staging), key(&production));
    // kustomize takes quotes as a part of the value.
    assert!(staging.contains("VERTEXAI_PROJECT=it's a project\n"), "{staging}");
    assert_eq!(mode(&world.home().join("out/overlays/staging/secrets.env")), 0o600);
    assert!(read(&world, "out/.gitignore").lines().any(|line| line == "secrets.env"));

    // What is there stays, also a line of the user's own.
    let edited = staging.replace("VERTEXAI_PROJECT=it's a project", "VERTEXAI_PROJECT=a $b 'c'") + "OWN=x\n";
    write(&world, "out/overlays/staging/secrets.env", &edited);
    let _ = world.run(&["render", "secrets", "--out", &out]).exits(0).says("Nothing to do");
    assert_eq!(read(&world, "out/overlays/staging/secrets.env"), edited);

    for (path, bytes) in world.snapshot() {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let is_private = path.ends_with("secrets.env");
        assert!(is_private || !text.contains(key(&staging).split_once('=').unwrap().1), "{}", path.display());
    }
}

#[test]
fn the_configuration_is_the_same_bytes_in_both_targets() {
    let values = values();
    let (kubernetes, helm) = (rendered("kubernetes", &values), rendered("helm", &values));
    for name in ["gateway.yaml", "litellm.yaml", "server.yaml"] {
        let one = fs::read(kubernetes.home().join("out/base/config").join(name)).unwrap();
        let other = fs::read(helm.home().join("out/objects/overlays/staging/config").join(name)).unwrap();
        assert_eq!(one, other, "{name}");
    }
    let chart = yaml(&helm, "values.yaml");
    assert_eq!(chart["proxyConfigMap"]["create"], false);
    assert_eq!(chart["db"]["deployStandalone"], false);
    assert_eq!(chart["migrationJob"]["hooks"]["helm"]["enabled"], true);
    assert!(chart["envVars"].get("DISABLE_SCHEMA_UPDATE").is_none(), "the chart sets it");
    let production = yaml(&helm, "values-production.yaml");
    assert_eq!(production["autoscaling"]["maxReplicas"], 4);
    assert!(production.get("service").is_none() && production.get("db").is_none(), "{production}");
}

#[test]
fn what_a_cluster_cannot_have_is_refused_with_the_line_to_add() {
    let world = World::new();
    write(&world, "gateway.yaml", "database: {}\n");
    for target in ["kubernetes", "helm"] {
        let _ = render(&world, target, "out")
            .exits(2)
            .says("needs database.host in gateway.yaml")
            .says("host: database.example.com");
    }
    write(
        &world,
        "gateway.yaml",
        "domain: a.example.com\ningress: {class: traefik}\nallow_from: [10.0.0.0/8]\n",
    );
    let _ = render(&world, "kubernetes", "out").exits(2).says("allow_from would have no effect");
    write(&world, "gateway.yaml", "environments: {staging: {name: other}}\n");
    let _ = render(&world, "kubernetes", "out").exits(2).says("the environment staging changes name");
    write(&world, "gateway.yaml", "{}\n");
    let _ = render(&world, "monitoring", "out").exits(2).says("metrics: true");
    assert!(!world.home().join("out").exists());
}

#[test]
fn prometheus_and_grafana_read_the_rules_and_the_dashboard() {
    let world = rendered("monitoring", &values());
    let prometheus = yaml(&world, "prometheus.yml");
    let job = &prometheus["scrape_configs"][0];
    assert_eq!(job["metrics_path"], "/metrics/");
    assert_eq!(job["authorization"]["credentials_file"], "metrics.key");
    let rules = yaml(&world, "rules.yml");
    let groups = rules["groups"].as_array().unwrap();
    let all: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    let tested = read(&world, "out/rules_test.yml");
    for alert in all.iter().filter_map(|rule| rule["alert"].as_str()) {
        assert!(tested.contains(&format!("alertname: {alert}")), "{alert} has no test");
    }
    let dashboard: Value = serde_json::from_str(&read(&world, "out/dashboard.json")).unwrap();
    let recorded: Vec<&str> = all.iter().filter_map(|rule| rule["record"].as_str()).collect();
    for panel in dashboard["panels"].as_array().unwrap() {
        let expr = panel["targets"][0]["expr"].as_str().unwrap();
        let own = expr.split(|c: char| !c.is_alphanumeric() && c != ':' && c != '_');
        for name in own.filter(|name| name.starts_with("gateway:")) {
            assert!(recorded.contains(&name), "{name} is not recorded");
        }
    }
}
