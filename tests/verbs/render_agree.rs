//! `render all`: every target is read back, and where two of them have the same notion they say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use gwinstall::domain::Sha256;
use serde_json::Value;

use crate::world::World;

/// A gateway whose values are nowhere the default.
const GATEWAY: &str = "\
domain: gateway.example.com
port: 4100
repository: owner/name
image: registry.example.com/litellm:v1.106.2
resources: standard
metrics: true
variables: {TEAM_REGION: 'eu west'}
";
/// The same with stores that every target reaches; a function cannot have them.
const STORES: &str = "\
database: {host: postgres.example.com, port: 5433, name: gate, user: keeper}
redis: {host: redis.example.com, port: 6380}
";
/// What the engine itself needs beside the variables of the gateway.
const OF_THE_ENGINE: [&str; 3] = ["HOME", "LITELLM_MIGRATION_DIR", "GOOGLE_APPLICATION_CREDENTIALS"];
/// What a chart writes itself, from values of its own.
const OF_THE_CHART: [&str; 4] =
    ["DATABASE_HOST", "DATABASE_NAME", "DATABASE_USERNAME", "DISABLE_SCHEMA_UPDATE"];

/// What one target says; `None`: it has no such notion.
#[derive(Debug, Default)]
struct Said {
    image: Option<String>,
    port: Option<u64>,
    /// The file that LiteLLM starts with.
    entry: Option<String>,
    /// Hash of each file of the configuration.
    configuration: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
    secrets: BTreeSet<String>,
    liveness: Option<String>,
    readiness: Option<String>,
    /// MiB.
    memory_limit: Option<u64>,
    memory_asked: Option<u64>,
    grace: Option<u64>,
}

struct Rendered {
    _world: World,
    out: PathBuf,
}

impl Rendered {
    fn of(text: &str) -> Self {
        let world = World::new();
        let (values, out) = (world.home().join("gateway.yaml"), world.home().join("servers"));
        fs::write(&values, text).unwrap();
        let line = ["render", "all", "--out", out.to_str().unwrap(), "--values", values.to_str().unwrap()];
        let _ = world.run(&line).exits(0);
        Self { _world: world, out }
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.out.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn yaml(&self, path: &str) -> Value {
        serde_yaml::from_str(&self.read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn configuration(&self, directory: &str) -> BTreeMap<String, String> {
        let entries = fs::read_dir(self.out.join(directory)).unwrap();
        entries
            .map(|entry| {
                let path = entry.unwrap().path();
                let hash = Sha256::of(&fs::read(&path).unwrap()).to_string();
                (path.file_name().unwrap().to_str().unwrap().to_owned(), hash)
            })
            .collect()
    }

    /// The names of a file of assignments.
    fn names(&self, path: &str) -> BTreeSet<String> {
        assignments(&self.read(path)).into_keys().collect()
    }

    fn compose(&self) -> Said {
        let file = self.yaml("compose/compose.yaml");
        let service = &file["services"]["litellm"];
        let image = text(&service["image"]);
        let probe = text(&service["healthcheck"]["test"][3]);
        Said {
            image: image
                .strip_prefix("${LITELLM_IMAGE:-")
                .and_then(|it| it.strip_suffix('}'))
                .map(str::to_owned),
            configuration: self.configuration("compose/config"),
            variables: variables(&service["environment"]),
            secrets: self.names("compose/secrets.env.example"),
            liveness: probe.split('\'').find(|part| part.starts_with("http")).map(path_of),
            memory_limit: mebibytes(&service["deploy"]["resources"]["limits"]["memory"]),
            memory_asked: mebibytes(&service["deploy"]["resources"]["reservations"]["memory"]),
            grace: seconds(&text(&service["stop_grace_period"])),
            ..arguments(&words(&service["command"]))
        }
    }

    fn systemd(&self) -> Said {
        let unit = self.read("systemd/units/litellm-gateway@.service");
        let line = |name: &str| {
            let start = format!("{name}=");
            unit.lines().find_map(|line| line.strip_prefix(&start)).unwrap().to_owned()
        };
        let command: Vec<String> = line("ExecStart").split(' ').map(str::to_owned).collect();
        let server = assignments(&self.read("systemd/server.env"));
        let first = server["PORTS"].split(' ').next().unwrap().parse().ok();
        assert!(command.windows(2).any(|pair| pair == ["--port", "%i"]), "{command:?}");
        Said {
            port: first,
            configuration: self.configuration("systemd/config"),
            variables: assignments(&self.read("systemd/gateway.env")),
            secrets: self.names("systemd/secrets.env.example"),
            memory_limit: mebibytes(&Value::from(line("MemoryMax"))),
            grace: seconds(&line("TimeoutStopSec")),
            ..arguments(&command)
        }
    }

    fn kubernetes(&self) -> Said {
        let pod = self.yaml("kubernetes/base/deployment.yaml")["spec"]["template"]["spec"].clone();
        let container = &pod["containers"][0];
        let image = self.yaml("kubernetes/base/kustomization.yaml")["images"][0].clone();
        assert_eq!(container["image"], image["name"]);
        let each = container["env"].as_array().unwrap().iter();
        Said {
            image: Some(format!("{}:{}", text(&image["newName"]), text(&image["newTag"]))),
            configuration: self.configuration("kubernetes/base/config"),
            variables: each.map(|one| (text(&one["name"]), text(&one["value"]))).collect(),
            secrets: self.names("kubernetes/base/secrets.env.example"),
            liveness: Some(text(&container["livenessProbe"]["httpGet"]["path"])),
            readiness: Some(text(&container["readinessProbe"]["httpGet"]["path"])),
            memory_limit: mebibytes(&container["resources"]["limits"]["memory"]),
            memory_asked: mebibytes(&container["resources"]["requests"]["memory"]),
            grace: pod["terminationGracePeriodSeconds"].as_u64(),
            ..arguments(&words(&container["args"]))
        }
    }

    fn helm(&self) -> Said {
        let values = self.yaml("helm/values.yaml");
        assert_eq!(values["service"]["port"].as_u64(), arguments(&words(&values["args"])).port);
        Said {
            image: Some(format!(
                "{}:{}",
                text(&values["image"]["repository"]),
                text(&values["image"]["tag"])
            )),
            configuration: self.configuration("helm/objects/base/config"),
            variables: variables(&values["envVars"]),
            secrets: self.names("helm/objects/base/secrets.env.example"),
            liveness: Some(text(&values["livenessProbe"]["path"])),
            readiness: Some(text(&values["readinessProbe"]["path"])),
            memory_limit: mebibytes(&values["resources"]["limits"]["memory"]),
            memory_asked: mebibytes(&values["resources"]["requests"]["memory"]),
            grace: values["terminationGracePeriodSeconds"].as_u64(),
            ..arguments(&words(&values["args"]))
        }
    }

    /// An image that brings its configuration.
    fn image(&self, target: &str) -> Said {
        let file = self.read(&format!("{target}/Containerfile"));
        let starting = |word: &str| -> Vec<String> {
            file.lines().filter_map(|line| line.strip_prefix(word)).map(str::to_owned).collect()
        };
        let command: Vec<String> = serde_json::from_str(&starting("CMD ")[0]).unwrap();
        let given = starting("ENV ").into_iter().filter(|line| line.contains("=\"")).collect::<Vec<_>>();
        Said {
            image: starting("FROM ").pop(),
            configuration: self.configuration(&format!("{target}/config")),
            variables: assignments(&given.join("\n")),
            ..arguments(&command)
        }
    }

    fn lambda(&self) -> Said {
        let probe = self.read("lambda/Containerfile");
        let (_, path) = probe.split_once("AWS_LWA_READINESS_CHECK_PATH=").unwrap();
        Said {
            liveness: path.split_whitespace().next().map(str::to_owned),
            secrets: self.names("lambda/secrets.env.example"),
            ..self.image("lambda")
        }
    }

    fn ansible(&self) -> Said {
        let files = "ansible/roles/llm_gateway/files";
        for (name, _) in self.configuration("systemd/units") {
            let unit = format!("units/{name}");
            assert_eq!(self.read(&format!("{files}/{unit}")), self.read(&format!("systemd/{unit}")));
        }
        Said {
            configuration: self.configuration(&format!("{files}/config")),
            variables: assignments(&self.read(&format!("{files}/gateway.env"))),
            secrets: self.names("ansible/secrets.env.example"),
            ..Said::default()
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a string")).to_owned()
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(text).collect()
}

fn variables(value: &Value) -> BTreeMap<String, String> {
    value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn assignments(file: &str) -> BTreeMap<String, String> {
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
}

/// What the command line of LiteLLM says.
fn arguments(command: &[String]) -> Said {
    let after = |name: &str| command.windows(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone());
    Said {
        port: after("--port").and_then(|port| port.parse().ok()),
        entry: after("--config").and_then(|path| path.rsplit('/').next().map(str::to_owned)),
        ..Said::default()
    }
}

fn path_of(url: &str) -> String {
    format!("/{}", url.splitn(4, '/').nth(3).unwrap())
}

fn seconds(word: &str) -> Option<u64> {
    word.strip_suffix('s')?.parse().ok()
}

/// `4096M` as Compose and systemd write it, `4Gi` as Kubernetes does.
fn mebibytes(value: &Value) -> Option<u64> {
    let word = text(value);
    match word.strip_suffix("Gi") {
        Some(number) => number.parse::<u64>().ok().map(|number| number * 1024),
        None => word.trim_end_matches('i').strip_suffix('M')?.parse().ok(),
    }
}

/// Each notion that at least two targets have is the same in all of them.
fn agree(said: &[(&str, Said)]) {
    same(said, "the image", |said| said.image.clone());
    same(said, "the port", |said| said.port);
    same(said, "the file to start with", |said| said.entry.clone());
    same(said, "the configuration", |said| Some(said.configuration.clone()));
    same(said, "the secrets", |said| Some(said.secrets.clone()).filter(|secrets| !secrets.is_empty()));
    same(said, "the liveness probe", |said| said.liveness.clone());
    same(said, "the readiness probe", |said| said.readiness.clone());
    same(said, "the limit of memory", |said| said.memory_limit);
    same(said, "the memory asked", |said| said.memory_asked);
    same(said, "the grace period", |said| said.grace);
    same(said, "the variables", |said| {
        let mut variables = said.variables.clone();
        variables.retain(|name, _| {
            !OF_THE_ENGINE.contains(&name.as_str()) && !OF_THE_CHART.contains(&name.as_str())
        });
        Some(variables)
    });
}

fn same<T: PartialEq + std::fmt::Debug>(said: &[(&str, Said)], what: &str, of: impl Fn(&Said) -> Option<T>) {
    let with: Vec<(&str, T)> = said.iter().filter_map(|(target, said)| Some((*target, of(said)?))).collect();
    assert!(with.len() >= 2, "{what}: {} targets have it", with.len());
    for (target, value) in &with[1..] {
        assert_eq!(value, &with[0].1, "{what} of {target} and of {}", with[0].0);
    }
}

#[test]
fn every_target_says_the_same_of_one_gateway() {
    let rendered = Rendered::of(GATEWAY);
    let said = [
        ("compose", rendered.compose()),
        ("systemd", rendered.systemd()),
        ("kubernetes", rendered.kubernetes()),
        ("helm", rendered.helm()),
        ("ansible", rendered.ansible()),
        ("github-actions", rendered.image("github-actions")),
        ("lambda", rendered.lambda()),
    ];
    agree(&said);
    let first = &said[0].1;
    assert_eq!(first.port, Some(4100));
    assert_eq!(first.image.as_deref(), Some("registry.example.com/litellm:v1.106.2"));
    assert_eq!(first.variables["TEAM_REGION"], "eu west");
}

#[test]
fn every_target_with_stores_says_the_same_of_one_gateway() {
    let rendered = Rendered::of(&format!("{GATEWAY}{STORES}"));
    let said = [
        ("compose", rendered.compose()),
        ("systemd", rendered.systemd()),
        ("kubernetes", rendered.kubernetes()),
        ("helm", rendered.helm()),
        ("ansible", rendered.ansible()),
    ];
    agree(&said);
    for (target, said) in said.iter().filter(|(target, _)| *target != "helm") {
        assert_eq!(said.variables["DATABASE_HOST"], "postgres.example.com:5433", "{target}");
        assert_eq!(said.variables["DATABASE_NAME"], "gate", "{target}");
        assert_eq!(said.variables["DATABASE_USERNAME"], "keeper", "{target}");
        assert_eq!(said.variables["REDIS_HOST"], "redis.example.com", "{target}");
    }
    let helm = rendered.yaml("helm/values.yaml");
    assert_eq!(helm["db"]["endpoint"], "postgres.example.com:5433");
    assert_eq!(helm["db"]["database"], "gate");
}
