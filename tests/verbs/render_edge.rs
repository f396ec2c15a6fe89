//! What `render` writes for machines of developers, GitHub, Lambda and Ansible: read back by the rules of each format, with values in
//! `gateway.yaml` that a second reader would act on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::world::{World, mode, program};

const TARGETS: [&str; 4] = ["desktop", "github-actions", "lambda", "ansible"];
/// What shells, GitHub, Ansible, CloudFormation and builders of images would act on.
const HOSTILE: &str =
    r#"a$b $(id) `id` ${{ secrets.X }} {{ y }} {% z %} "q" 's' \ ; # & | {{resolve:secretsmanager:x}}"#;

/// A world with `gateway.yaml`.
fn world(more: &str) -> World {
    let world = World::new();
    let hostile = HOSTILE.replace('\'', "''");
    let text = format!(
        "domain: gateway.example.com\nrepository: Acme-Corp/LLM.Gateway\nvariables:\n  HOSTILE: '{hostile}'\n{more}"
    );
    fs::write(world.home().join("gateway.yaml"), text).unwrap();
    world
}

/// Renders a target; the directory.
fn rendered(world: &World, target: &str, out: &str) -> PathBuf {
    let _ = world.run(&["render", target, "--out", out]).exits(0);
    world.home().join(out)
}

fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![directory.to_path_buf()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                found.insert(path.strip_prefix(directory).unwrap().to_path_buf(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn yaml(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

#[test]
fn the_same_request_gives_the_same_bytes_and_no_secret() {
    let world = world("")
        .with("LITELLM_MASTER_KEY", "sk-of-this-machine")
        .with("ANTHROPIC_API_KEY", "sk-ant-of-this-machine");
    for target in TARGETS.iter().chain(&["compose", "systemd"]) {
        let first = files(&rendered(&world, target, &format!("first-{target}")));
        let second = files(&rendered(&world, target, &format!("second-{target}")));
        assert_eq!(first, second, "{target}");
        assert!(first.contains_key(Path::new("README.md")), "{target}");
        for (path, bytes) in &first {
            let text = String::from_utf8_lossy(bytes);
            assert!(!text.contains("of-this-machine"), "{target}: {}", path.display());
        }
        let arguments = ["render", target, "--out", &format!("first-{target}"), "--check"];
        let _ = world.run(&arguments).exits(0);
    }
}

/// What git would take along: nowhere a file for values.
#[test]
fn git_ignores_every_file_that_holds_secrets() {
    let world = world("");
    for target in ["compose", "systemd", "lambda", "ansible"] {
        let ignored = fs::read_to_string(rendered(&world, target, target).join(".gitignore")).unwrap();
        for file in ["secrets.env", "google-credentials.json"] {
            assert!(ignored.lines().any(|line| line == file), "{target}: {ignored}");
        }
    }
}

#[test]
fn an_image_is_named_by_its_tag_and_its_digest() {
    let digest = "0a".repeat(32);
    for (tag, image) in [("version", "registry.example.com:5000/litellm:1.2.3"), ("latest", "litellm:latest")]
    {
        let named = format!("{image}@sha256:{digest}");
        let world = world(&format!("image: {named}\n"));
        let text = fs::read_to_string(rendered(&world, "lambda", "out").join("Containerfile")).unwrap();
        assert!(text.contains(&format!("\nFROM {named}\n")), "{tag}: {text}");
    }
    for broken in
        ["litellm@sha256:0a", &format!("litellm@sha256:{}", "0A".repeat(32)), "litellm:", "litellm:a b"]
    {
        let world = world(&format!("image: \"{broken}\"\n"));
        let _ = world.run(&["render", "lambda", "--out", "out"]).exits(2).says("image");
    }
}

#[test]
fn a_target_says_which_key_of_the_values_it_needs() {
    for (values, target, key) in [
        ("{}\n", "desktop", "domain"),
        ("{}\n", "ansible", "domain"),
        ("{}\n", "github-actions", "domain"),
        ("domain: gateway.example.com\n", "github-actions", "repository"),
        ("database: {}\n", "lambda", "database"),
    ] {
        let world = world("");
        fs::write(world.home().join("gateway.yaml"), values).unwrap();
        let arguments = ["render", target, "--out", "out"];
        let _ = world.run(&arguments).exits(2).says(key);
        assert!(!world.home().join("out").exists(), "{target}");
    }
}

#[test]
fn all_targets_are_rendered_but_those_that_the_values_do_not_fit() {
    let world = world("database: {}\n");
    let all = ["render", "all", "--out", "out"];
    let _ = world.run(&all).exits(0).says("Left out: lambda cannot use the database of gateway.yaml");
    let out = world.home().join("out");
    assert!(out.join("desktop/README.md").exists() && !out.join("lambda").exists());
    let _ = world.run(&[&all[..], &["--check"]].concat()).exits(0);
    fs::write(world.home().join("gateway.yaml"), "database: {}\n").unwrap();
    let _ = world.run(&["render", "all", "--out", "none"]).exits(2).says("domain");
}

#[test]
fn managed_settings_say_the_same_in_every_form() {
    let world = world("");
    let out = rendered(&world, "desktop", "out");
    let linux = json(&out.join("linux/managed-settings.json"));
    assert_eq!(linux["env"]["ANTHROPIC_BASE_URL"], "https://gateway.example.com");
    for empty in
        ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"]
    {
        assert_eq!(linux["env"][empty], "", "{empty}");
    }
    assert_eq!(linux["apiKeyHelper"], "/usr/local/bin/gateway-key llm-gateway");
    assert_eq!(linux, json(&out.join("macos/managed-settings.json")));
    assert_eq!(mode(&out.join("linux/gateway-key")), 0o755);

    // The models are those that install writes.
    let installed = World::deployed(&["--preset", "basic"]).settings();
    for name in ["ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL"] {
        assert_eq!(linux["env"][name], installed["env"][name], "{name}");
    }

    let windows = json(&out.join("windows/managed-settings.json"));
    let text = fs::read_to_string(out.join("windows/claude-code.reg")).unwrap();
    assert!(text.is_ascii() && text.lines().count() == text.matches("\r\n").count());
    let value =
        text.lines().find_map(|line| line.strip_prefix("\"Settings\"=\"")?.strip_suffix('"')).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&registry_string(value)).unwrap(), windows);
    assert_eq!(windows["env"], linux["env"]);

    let profile = out.join("macos/com.anthropic.claudecode.mobileconfig");
    let Some(read) = property_list(&profile) else { return };
    let settings = &read["PayloadContent"][0];
    assert_eq!(settings["PayloadType"], "com.anthropic.claudecode");
    for key in ["env", "apiKeyHelper", "permissions"] {
        assert_eq!(settings[key], linux[key], "{key}");
    }
}

/// As regedit reads a string.
fn registry_string(value: &str) -> String {
    let mut text = String::new();
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        text.push(if c == '\\' { characters.next().unwrap() } else { c });
    }
    text
}

/// As Python reads a property list; `None` where there is no Python.
fn property_list(path: &Path) -> Option<Value> {
    let script = "import json, plistlib, sys; json.dump(plistlib.load(open(sys.argv[1], 'rb')), sys.stdout)";
    let Ok(done) = Command::new("/usr/bin/python3").args(["-c", script]).arg(path).output() else {
        eprintln!("not checked: there is no python3 here");
        return None;
    };
    Some(
        serde_json::from_slice(&done.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&done.stderr))),
    )
}

#[test]
fn the_key_of_a_user_is_printed_from_a_private_file_only() {
    let world = world("");
    let helper = rendered(&world, "desktop", "out").join("linux/gateway-key");
    let run = |arguments: &[&str], input: &str| {
        use std::io::Write as _;
        let mut child = Command::new(&helper)
            .args(arguments)
            .env_clear()
            .env("HOME", world.home())
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let done = child.wait_with_output().unwrap();
        (done.status.code().unwrap(), String::from_utf8(done.stdout).unwrap())
    };
    assert_eq!(run(&["llm-gateway"], "").0, 1);
    assert_eq!(run(&["llm-gateway", "--set"], "\n").0, 1);
    assert_eq!(run(&["llm-gateway", "--set"], " sk-a$b`c \r\nmore\n"), (0, String::new()));
    assert_eq!(run(&["llm-gateway"], ""), (0, "sk-a$b`c\n".to_owned()));
    let file = world.home().join(".config/llm-gateway/key");
    assert_eq!(mode(&file), 0o600);
    for loose in [0o640, 0o604] {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&file, fs::Permissions::from_mode(loose)).unwrap();
        assert_eq!(run(&["llm-gateway"], ""), (1, String::new()), "{loose:o}");
    }
    assert_eq!(run(&["llm-gateway", "--forget"], "").0, 0);
    assert!(!file.exists());
    for wrong in [&["../x"][..], &[], &["a", "--what"], &["a", "--set", "sk-in-an-argument"]] {
        assert_eq!(run(wrong, "").0, 2, "{wrong:?}");
    }
}

fn workflow(world: &World) -> Value {
    yaml(&rendered(world, "github-actions", "out").join(".github/workflows/gateway.yml"))
}

#[test]
fn the_workflow_grants_nothing_that_it_does_not_use() {
    let world = world("");
    let read = workflow(&world);
    assert_eq!(read["permissions"], Value::Object(serde_json::Map::new()));
    assert_eq!(read["concurrency"]["cancel-in-progress"], false);
    let jobs = read["jobs"].as_object().unwrap();
    let names: Vec<&str> = jobs.keys().map(String::as_str).collect();
    assert_eq!(names, ["validate", "build", "deploy", "verify", "rollback", "retain", "summary"]);
    for (name, job) in jobs {
        assert!(job["timeout-minutes"].is_u64() && job["permissions"].is_object(), "{name}");
        for step in job["steps"].as_array().unwrap() {
            let run = step["run"].as_str().unwrap_or_default();
            assert!(!run.contains("${{"), "{name}: {run}");
            if let Some(action) = step["uses"].as_str() {
                let (_, commit) = action.split_once('@').unwrap();
                assert!(commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()), "{action}");
                assert_eq!(step["with"]["persist-credentials"], false);
            }
        }
    }
    let writers: Vec<&str> =
        names.iter().copied().filter(|name| jobs[*name]["permissions"]["packages"] == "write").collect();
    assert_eq!(writers, ["build", "retain"]);
    assert_eq!(read["env"]["IMAGE"], "ghcr.io/acme-corp/llm.gateway");
    let text = fs::read_to_string(world.home().join("out/.github/workflows/gateway.yml")).unwrap();
    assert!(text.contains(" # v5.0.0\n") && !text.contains("HOSTILE"), "{text}");
}

/// The bodies of a job, run by bash with stand-ins for ssh, curl and the like; what was called, and how the last body ended.
struct Runner {
    world: World,
    read: Value,
}

impl Runner {
    fn new() -> Self {
        let world = world("");
        let read = workflow(&world);
        // Notes what it was called with, and answers as the test says.
        let stand_in = "#!/bin/bash\nprintf '%s\\n' \"${0##*/} $*\" >>\"$HOME/calls\"\n\
            if [ -f \"$HOME/answers/${0##*/}\" ]; then . \"$HOME/answers/${0##*/}\"; fi\n";
        for name in ["ssh", "curl", "docker", "gh", "sleep"] {
            program(&world.home().join("tools").join(name), stand_in);
        }
        fs::create_dir_all(world.home().join("answers")).unwrap();
        Self { world, read }
    }

    fn answers(&self, tool: &str, script: &str) {
        fs::write(self.world.home().join("answers").join(tool), script).unwrap();
    }

    /// Runs the step of this name with these values; its status, and what it printed.
    fn step(&self, job: &str, name: &str, values: &[(&str, &str)]) -> (i32, String) {
        let steps = self.read["jobs"][job]["steps"].as_array().unwrap();
        let step = steps
            .iter()
            .find(|step| step["name"] == name)
            .unwrap_or_else(|| panic!("{job} has no step {name}"));
        let home = self.world.home();
        fs::write(home.join("step.sh"), step["run"].as_str().unwrap()).unwrap();
        let mut command = Command::new("/bin/bash");
        command.args(["-eo", "pipefail", "step.sh"]).current_dir(home).env_clear();
        let env =
            self.read["env"].as_object().unwrap().iter().chain(step["env"].as_object().into_iter().flatten());
        command.envs(env.filter_map(|(name, value)| {
            value.as_str().filter(|value| !value.contains("${{")).map(|value| (name, value))
        }));
        command.envs(values.iter().copied());
        for (name, file) in
            [("GITHUB_OUTPUT", "output"), ("GITHUB_STEP_SUMMARY", "summary"), ("GITHUB_PATH", "path")]
        {
            fs::write(home.join(file), "").unwrap();
            command.env(name, home.join(file));
        }
        let path = format!("{}:/usr/bin:/bin", home.join("tools").display());
        command.env("PATH", path).env("HOME", home).env("RUNNER_TEMP", home);
        let done = command.output().unwrap();
        (
            done.status.code().unwrap_or(-1),
            format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)),
        )
    }

    /// What was called since the last time.
    fn calls(&self) -> String {
        let path = self.world.home().join("calls");
        let calls = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        calls
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.world.home().join(name)).unwrap()
    }
}

#[test]
fn a_job_names_every_missing_secret_first() {
    let runner = Runner::new();
    for job in ["validate", "deploy", "verify", "rollback"] {
        assert_eq!(runner.read["jobs"][job]["steps"][0]["name"], "Require secrets and variables", "{job}");
    }
    let (status, said) = runner.step("deploy", "Require secrets and variables", &[("DEPLOY_HOST", "host")]);
    assert!(status == 1 && said.contains("DEPLOY_USER DEPLOY_SSH_KEY DEPLOY_KNOWN_HOSTS"), "{said}");
    let all =
        [("DEPLOY_HOST", "h"), ("DEPLOY_USER", "u"), ("DEPLOY_SSH_KEY", "k"), ("DEPLOY_KNOWN_HOSTS", "h")];
    assert_eq!(runner.step("deploy", "Require secrets and variables", &all).0, 0);
}

#[test]
fn the_connection_takes_a_host_and_no_command() {
    let runner = Runner::new();
    let server = |host| {
        [
            ("DEPLOY_HOST", host),
            ("DEPLOY_USER", "deploy"),
            ("DEPLOY_SSH_KEY", "key"),
            ("DEPLOY_KNOWN_HOSTS", "known"),
        ]
    };
    for host in ["h\n  ProxyCommand id", "$(id)", "h;id", "h id"] {
        assert_eq!(runner.step("verify", "Prepare the connection", &server(host)).0, 1, "{host}");
    }
    assert_eq!(runner.step("verify", "Prepare the connection", &server("gw.example.com")).0, 0);
    let config = runner.file(".ssh/config");
    assert!(
        config.contains("  HostName gw.example.com\n") && config.contains("StrictHostKeyChecking yes"),
        "{config}"
    );
    assert_eq!(mode(&runner.world.home().join(".ssh/gateway")), 0o600);
}

#[test]
fn a_deployment_goes_by_the_digest_and_the_configuration_returns_where_nothing_ran() {
    let runner = Runner::new();
    fs::create_dir_all(runner.world.home().join("config")).unwrap();
    let digest = format!("sha256:{}", "0a".repeat(32));
    let values = [("DIGEST", digest.as_str()), ("COMMIT", "abc123")];
    for (ends, sent) in [(0, 1), (5, 1), (7, 1), (1, 2), (6, 2)] {
        runner
            .answers("ssh", &format!("case $* in *deploy.sh*) exit {ends} ;; *-xf*) cat >/dev/null ;; esac"));
        assert_eq!(runner.step("deploy", "Deploy the image", &values).0, ends);
        let calls = runner.calls();
        assert!(calls.contains(&format!("ssh gateway /opt/llm-gateway/deploy.sh ghcr.io/acme-corp/llm.gateway@{digest} --commit abc123\n")), "{calls}");
        assert_eq!(calls.matches("tar -xf -").count(), sent, "exit {ends}: {calls}");
    }
}

#[test]
fn the_public_address_is_asked_three_times() {
    let runner = Runner::new();
    runner.answers("curl", "printf 503; exit 22");
    assert_eq!(runner.step("verify", "Verify each instance and the public address", &[]).0, 1);
    let calls = runner.calls();
    assert_eq!(calls.matches("https://gateway.example.com/api/health").count(), 3, "{calls}");
    assert!(calls.starts_with("ssh gateway /opt/llm-gateway/verify.sh\n"), "{calls}");
    runner.answers("curl", "printf 200");
    assert_eq!(runner.step("verify", "Verify each instance and the public address", &[]).0, 0);
    runner.answers("ssh", "exit 1");
    assert_eq!(runner.step("verify", "Verify each instance and the public address", &[]).0, 1);
}

#[test]
fn five_images_stay_and_so_do_the_one_that_runs_and_the_one_before() {
    if !Path::new("/usr/bin/jq").exists() {
        eprintln!("skipped: jq is not installed");
        return;
    }
    let runner = Runner::new();
    let versions: String = (1..=9).map(|n| format!("2026-01-0{n}T00:00:00Z\\t{n}\\tsha256:{n}\\n")).collect();
    runner.answers("gh", &format!("case $* in *--paginate*) printf '{versions}' ;; esac"));
    let record = r#"{"previousVersion":"ghcr.io/acme-corp/llm.gateway@sha256:1"}"#;
    let values = [("DIGEST", "sha256:2"), ("RECORD", record), ("OWNER", "Acme-Corp")];
    let (status, said) = runner.step("retain", "Delete old images", &values);
    assert_eq!(status, 0, "{said}");
    let calls = runner.calls();
    let deleted: Vec<&str> = calls.lines().filter(|line| line.contains("DELETE")).collect();
    assert_eq!(deleted.len(), 2, "{calls}");
    assert!(deleted[0].ends_with("/versions/4") && deleted[1].ends_with("/versions/3"), "{calls}");
    assert!(calls.contains("/orgs/Acme-Corp/packages/container/llm.gateway/versions"), "{calls}");
}

#[test]
fn the_summary_shows_the_record_of_the_server() {
    if !Path::new("/usr/bin/jq").exists() {
        eprintln!("skipped: jq is not installed");
        return;
    }
    let runner = Runner::new();
    let record = r#"{"id":"dep-1","commitSha":"abc","imageTag":"i@sha256:1","status":"success","startedAt":"s","completedAt":"c","healthCheckPassed":true,"previousVersion":"before"}"#;
    assert_eq!(
        runner.step("summary", "Write the summary", &[("RECORD", record), ("RESULTS", "success")]).0,
        0
    );
    let summary = runner.file("summary");
    for row in [
        "| id | dep-1 |",
        "| commitSha | abc |",
        "| imageTag | i@sha256:1 |",
        "| status | success |",
        "| startedAt | s |",
        "| completedAt | c |",
        "| healthCheckPassed | true |",
        "| previousVersion | before |",
    ] {
        assert!(summary.contains(row), "no {row} in {summary}");
    }
    assert_eq!(runner.step("summary", "Write the summary", &[("RECORD", ""), ("RESULTS", "failure")]).0, 0);
    assert!(runner.file("summary").contains("nothing was deployed"));
}

#[test]
fn an_image_holds_the_value_as_it_was_given() {
    let world = world("");
    for target in ["github-actions", "lambda"] {
        let out = rendered(&world, target, target);
        let text = fs::read_to_string(out.join("Containerfile")).unwrap();
        let value =
            text.lines().find_map(|line| line.strip_prefix("ENV HOSTILE=\"")?.strip_suffix('"')).unwrap();
        // A builder takes a backslash for an escape, and everything else as it stands.
        let bare = value.replace("\\\\", "\0");
        assert!(!bare.replace("\\$", "").replace("\\\"", "").contains(['$', '"', '\\']), "{target}: {value}");
        assert_eq!(registry_string(value), HOSTILE, "{target}");
    }
}

#[test]
fn the_template_of_lambda_holds_references_only() {
    let world = world("lambda: {timeout: 300, memory: 1024}\n");
    let out = rendered(&world, "lambda", "out");
    let text = fs::read_to_string(out.join("template.yaml")).unwrap();
    assert!(!text.contains("HOSTILE") && !text.contains("{{"), "{text}");
    let read = yaml(&out.join("template.yaml"));
    let function = &read["Resources"]["Gateway"]["Properties"];
    assert_eq!((function["Timeout"].as_u64(), function["MemorySize"].as_u64()), (Some(300), Some(1024)));
    assert_eq!(function["FunctionUrlConfig"]["InvokeMode"], "RESPONSE_STREAM");
    let variables = function["Environment"]["Variables"].as_object().unwrap();
    assert!(variables.values().all(|value| value["Ref"].is_string()), "{variables:?}");
    assert!(fs::read_to_string(out.join("README.md")).unwrap().contains("us-east-1"));
}

#[test]
fn a_function_starts_with_the_values_of_its_secret() {
    let world = world("");
    let out = rendered(&world, "lambda", "out");
    let home = world.home();
    program(
        &home.join("tools/litellm"),
        "#!/bin/sh\nprintf '%s|%s|' \"$LITELLM_MASTER_KEY\" \"$*\"\ncat \"$GOOGLE_APPLICATION_CREDENTIALS\"\n",
    );
    let run = |secret: &str| {
        fs::create_dir_all(home.join("python")).unwrap();
        let stand_in = "import os\n\nclass Client:\n    def get_secret_value(self, SecretId):\n        assert SecretId == 'arn:x'\n        \
            return {'SecretString': os.environ['TEST_SECRET']}\n\ndef client(name):\n    assert name == 'secretsmanager'\n    return Client()\n";
        fs::write(home.join("python/boto3.py"), stand_in).unwrap();
        let path = format!("{}:/usr/bin:/bin", home.join("tools").display());
        let done = Command::new("/usr/bin/python3")
            .arg(out.join("lambda-start.py"))
            .args(["--config", "x"])
            .env_clear()
            .envs([("PATH", path.as_str()), ("SECRET_ARN", "arn:x"), ("TEST_SECRET", secret)])
            .env("PYTHONPATH", home.join("python"))
            .output();
        done.ok().map(|done| {
            (
                done.status.code().unwrap(),
                String::from_utf8(done.stdout).unwrap(),
                String::from_utf8(done.stderr).unwrap(),
            )
        })
    };
    let Some((code, out, _)) =
        run(r#"{"LITELLM_MASTER_KEY": "sk-a$b", "GOOGLE_CREDENTIALS_JSON": "{\"type\": 1}"}"#)
    else {
        eprintln!("skipped: there is no python3 here");
        return;
    };
    assert_eq!((code, out.as_str()), (0, "sk-a$b|--config x|{\"type\": 1}"));
    for refused in
        ["not json: sk-leak", "[]", r#"{"LITELLM_MASTER_KEY": 1}"#, r#"{"LITELLM_MASTER_KEY": "leak"}"#]
    {
        let (code, out, said) = run(refused).unwrap();
        assert_eq!((code, out.as_str()), (1, ""), "{refused}");
        assert!(!said.contains("leak"), "{said}");
    }
}

#[test]
fn the_roles_of_ansible_copy_and_never_template() {
    let world = world("");
    let out = rendered(&world, "ansible", "out");
    let role = out.join("roles/llm_gateway");
    let tasks = yaml(&role.join("tasks/main.yml"));
    for task in tasks.as_array().unwrap() {
        assert!(task["ansible.builtin.template"].is_null(), "{task}");
    }
    let facts = yaml(&role.join("vars/main.yml"));
    let names = |key: &str| {
        facts[key]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let mut listed: Vec<String> = names("llm_gateway_files");
    listed.extend(names("llm_gateway_programs"));
    listed.extend(names("llm_gateway_units").iter().map(|name| format!("units/{name}")));
    listed.extend(["logrotate/llm-gateway", "nginx/gateway.conf"].map(str::to_owned));
    listed.sort();
    let there: Vec<String> =
        files(&role.join("files")).into_keys().map(|path| path.to_str().unwrap().to_owned()).collect();
    assert_eq!(listed, there, "every file of the role is put somewhere, and none is missing");
    // A file is copied as it is: the value of the user is in it as systemd reads it.
    let systemd = rendered(&world, "systemd", "systemd");
    for name in ["gateway.env", "units/litellm-gateway@.service", "config/litellm.yaml"] {
        assert_eq!(
            fs::read(role.join("files").join(name)).unwrap(),
            fs::read(systemd.join(name)).unwrap(),
            "{name}"
        );
    }
    let client = out.join("roles/gwinstall_client/files");
    let desktop = rendered(&world, "desktop", "desktop");
    assert_eq!(
        json(&client.join("managed-settings.json")),
        json(&desktop.join("linux/managed-settings.json"))
    );
}

/// The policy that is rendered lets the company's gateway through, and nothing else.
#[test]
fn the_policy_of_a_desktop_is_one_that_gwinstall_reads() {
    let world = world("");
    let text = fs::read_to_string(rendered(&world, "desktop", "out").join("gwinstall/policy.yaml")).unwrap();
    let policy = gwinstall::release::policy::Policy::parse(&text).unwrap();
    let url = |text: &str| gwinstall::domain::url::HttpUrl::parse("--gateway-url", text).unwrap();
    policy.permit_preset("enterprise").unwrap();
    policy.permit_gateway_url(&url("https://gateway.example.com")).unwrap();
    policy.permit_gateway_url(&url("https://elsewhere.example.com")).unwrap_err();
    policy.permit_preset("basic").unwrap_err();
}
