//! What programs read: the envelope of `--json`, the log of operations, the record. D-133 to D-146, P-180, D-222.

use serde_json::Value;

use crate::home::{Run, TestHome};

#[track_caller]
fn has(value: &Value, keys: &[&str]) {
    for key in keys {
        assert!(value.get(key).is_some(), "no {key} in {value}");
    }
}

const CHANGE: [&str; 11] = [
    "plan_id",
    "steps",
    "settings_keys",
    "states",
    "changed",
    "backup",
    "pruned",
    "checks",
    "conflicts",
    "duration_ms",
    "times",
];

/// Every command: one document on stdout, nothing else there, and the code in it is the code of the process.
#[test]
fn every_command_has_an_envelope() {
    let home = TestHome::new();
    let cases: [(&str, &str, i32, &[&str]); 32] = [
        ("status", "status", 0, &["deployed"]),
        ("", "status", 0, &["deployed"]),
        ("history", "history", 0, &["operations"]),
        ("usage", "usage", 0, &["rows", "total", "compared"]),
        ("doctor", "doctor", 0, &["checks"]),
        ("rollback --yes", "rollback", 1, &["causes"]),
        ("diff", "diff", 2, &["causes"]),
        (
            "install --dry-run",
            "install",
            0,
            &["plan_id", "steps", "preset", "models", "pre_checks", "missing"],
        ),
        ("install", "install", 2, &["causes"]),
        ("install --preset fancy --yes", "install", 2, &["causes"]),
        ("install --yes --models glm-5.2", "install", 0, &CHANGE),
        ("install --yes", "install", 0, &["plan_id", "steps"]),
        ("install --yes --preset proxy", "install", 0, &CHANGE),
        ("update --yes", "update", 0, &["plan_id", "steps"]),
        ("diff", "diff", 0, &["steps"]),
        (
            "status",
            "status",
            0,
            &["deployed", "record", "drift", "yours", "conflicts", "interrupted", "running", "version"],
        ),
        ("off --yes", "off", 0, &CHANGE),
        ("on --dry-run", "on", 0, &["plan_id", "steps"]),
        ("on --yes", "on", 0, &CHANGE),
        ("rollback --dry-run", "rollback", 0, &["plan_id", "steps"]),
        ("rollback --yes", "rollback", 0, &CHANGE),
        ("history --limit 3", "history", 0, &["operations"]),
        ("report --html page.html", "report", 0, &["file", "size_bytes"]),
        ("runtime list", "runtime-list", 0, &["runtimes"]),
        ("runtime remove --yes", "runtime-remove", 0, &["removed"]),
        ("runtime install --from nothing.tar", "runtime-install", 2, &["causes"]),
        ("runtime export .", "runtime-export", 2, &["causes"]),
        ("service status", "service-status", 0, &["installed", "service"]),
        ("service remove --yes", "service-remove", 0, &["installed", "service"]),
        ("doctor --repair --yes", "doctor", 0, &[]),
        ("uninstall --yes", "uninstall", 0, &CHANGE),
        ("uninstall --yes", "uninstall", 0, &[]),
    ];
    for (arguments, verb, code, keys) in cases {
        let run = home.run(&format!("{arguments} --json")).exits(code);
        let document = run.json();
        assert_eq!(document["schema"], format!("gwinstall.{verb}/1"), "{arguments}");
        assert_eq!(document["exit"], code, "{arguments}");
        assert_eq!(document["ok"], code == 0, "{arguments}");
        assert!(!document["message"].as_str().unwrap().is_empty(), "{arguments}");
        has(&document, &["hint"]);
        has(&document["data"], keys);
        assert_eq!(run.stdout.lines().count(), 1, "{arguments}: {}", run.stdout);
        assert!(run.stderr.is_empty(), "{arguments}: {}", run.stderr);
    }
    let run = home.run("no-such-command --json").exits(2);
    assert_eq!(run.json()["schema"], "gwinstall.usage/1");
}

/// D-095 to D-108. The checks, by the names of the data model.
#[test]
fn checks_have_the_fields_and_names_of_the_data_model() {
    let home = TestHome::new();
    let data = home.run("install --yes --json").exits(0).json()["data"].clone();
    let names = |list: &str| -> Vec<String> {
        let checks = data[list].as_array().unwrap();
        checks
            .iter()
            .map(|check| {
                has(check, &["check_name", "status", "message", "details", "timestamp", "duration_ms"]);
                assert!(["PASS", "FAIL", "WARN", "SKIP"].contains(&check["status"].as_str().unwrap()));
                check["check_name"].as_str().unwrap().to_owned()
            })
            .collect()
    };
    let pre = [
        "source_directory_exists",
        "source_structure_valid",
        "target_directory_writable",
        "disk_space_sufficient",
        "no_litellm_running",
        "required_env_vars_present",
        "google_login_found",
        "aws_login_found",
        "regions_known",
        "settings_valid",
    ];
    let post = [
        "files_copied_count",
        "yaml_config_valid",
        "env_file_permissions",
        "scripts_executable",
        "startup_script_generated",
    ];
    assert_eq!(names("pre_checks"), pre);
    assert_eq!(names("checks"), post);
}

/// D-016 to D-020, D-022.
#[test]
fn an_operation_goes_through_its_states() {
    let home = TestHome::new();
    let first = home.run("install --yes --json").exits(0).json();
    assert_eq!(
        first["data"]["states"],
        serde_json::json!(["CREATED", "VALIDATING", "DEPLOYING", "VALIDATING_POST", "COMPLETED"])
    );
    let second = home.run("install --yes --json --preset proxy").exits(0).json();
    assert_eq!(
        second["data"]["states"],
        serde_json::json!([
            "CREATED",
            "VALIDATING",
            "BACKING_UP",
            "DEPLOYING",
            "VALIDATING_POST",
            "COMPLETED"
        ])
    );
}

/// D-133 to D-146, D-183.
#[test]
fn the_log_has_a_line_for_each_operation() {
    let home = TestHome::new();
    let first = home.run("install --yes --json").exits(0).json();
    for arguments in [
        "install --yes --preset proxy",
        "off --yes",
        "rollback --yes",
        "install --yes --preset basic",
        "uninstall --yes",
    ] {
        home.run(arguments).exits(0);
    }
    let log = home.log();
    let operations: Vec<_> = log.iter().map(|line| line["operation"].as_str().unwrap()).collect();
    assert_eq!(operations, ["install", "install", "off", "rollback", "install", "uninstall"]);
    for line in &log {
        has(
            line,
            &[
                "schema",
                "operation",
                "timestamp",
                "duration_seconds",
                "duration_ms",
                "status",
                "preset",
                "models_deployed",
                "files_copied",
                "backup_created",
                "error_message",
                "user",
                "hostname",
                "deployment_id",
            ],
        );
        assert_eq!((&line["status"], &line["error_message"]), (&"success".into(), &Value::Null));
        let moment = line["timestamp"].as_str().unwrap();
        assert!(moment.len() == 20 && moment.ends_with('Z') && moment.as_bytes()[10] == b'T', "{moment}");
        assert!(!line["user"].as_str().unwrap().is_empty() && !line["hostname"].as_str().unwrap().is_empty());
        assert!(line["preset"].is_string(), "required, also for {}", line["operation"]);
    }
    assert_eq!(log[0]["files_copied"], first["data"]["changed"]);
    assert_eq!(log[0]["backup_created"], Value::Null);
    assert!(log[1]["backup_created"].as_str().unwrap().starts_with("gateway-backup-"));
    assert_eq!(home.mode(".claude/gateway/deployment.log"), 0o600);
    let history = home.run("history --limit 2 --json").exits(0).json();
    let shown: Vec<_> =
        history["data"]["operations"].as_array().unwrap().iter().map(|line| &line["operation"]).collect();
    assert_eq!(shown, ["uninstall", "install"], "newest first");
}

/// A log of gigabytes, a line without an end and an unreasonable limit: the last operations are shown, within 200 MB.
#[test]
fn the_end_of_a_log_of_any_size_is_shown() {
    use std::io::{Seek as _, SeekFrom, Write as _};
    let home = TestHome::deployed();
    let path = home.gateway("deployment.log");
    let line = std::fs::read_to_string(&path).unwrap();
    for (gap, filling) in
        [(3 << 30, "\n".to_owned()), (0, "x".repeat(40 << 20)), (1 << 30, "[".repeat(1 << 20))]
    {
        let mut file = std::fs::File::options().write(true).truncate(true).open(&path).unwrap();
        let _ = file.seek(SeekFrom::Start(gap)).unwrap();
        write!(file, "{filling}\n{}", line.repeat(6)).unwrap();
        drop(file);
        for limit in ["5", "1000000"] {
            let script = format!("ulimit -v 200000; \"$GW\" history --limit {limit} --json");
            let shown = Run::of(&mut home.shell(&script)).exits(0).json();
            let operations = shown["data"]["operations"].as_array().unwrap().len();
            assert_eq!(operations, if limit == "5" { 5 } else { 6 }, "{gap} {limit}");
        }
    }
}

/// D-001. One id, one operation: also within a second, after an uninstall and after a rollback to an earlier record.
#[test]
fn every_operation_has_an_id_of_its_own() {
    let home = TestHome::deployed();
    for _ in 0..3 {
        for arguments in ["off --yes", "on --yes", "rollback --yes"] {
            home.run(arguments).exits(0);
            let id = home.log().pop().unwrap()["deployment_id"].clone();
            assert_eq!(home.record()["deployment_id"], id);
        }
        home.run("uninstall --yes").exits(0);
        home.run("install --yes").exits(0);
    }
    let made = home.log().into_iter().filter(|line| line["operation"] != "uninstall");
    let ids: Vec<String> = made.map(|line| line["deployment_id"].as_str().unwrap().to_owned()).collect();
    let unique: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
    let first = &ids[0];
    assert!(first.len() == "dep-20260101-000000".len() && first.starts_with("dep-2"), "{first}");
}

/// D-152, D-137. A failed operation is logged too, where there is a log.
#[test]
fn a_failed_operation_writes_a_line() {
    let home = TestHome::deployed();
    home.chmod(".claude/gateway/docs", 0o500);
    let home = home.owned_by_nobody();
    home.chmod(".claude/gateway/docs", 0o500);
    std::fs::remove_file(home.gateway("scripts/health-check.sh")).unwrap();
    let source = crate::bundle::SourceDir::new(&home).ships("docs/faq.md", "next");
    let run = home.refused(&mut home.command(&source.install()), 1);
    run.says(&["docs"]);
    let last = home.log().pop().unwrap();
    assert_eq!((&last["status"], &last["outcome"]), (&"rolled_back".into(), &"rolled_back".into()));
    assert!(last["error_message"].as_str().unwrap().contains("docs"), "{last}");
}

/// D-001, P-144, P-180, P-256, P-257, D-214, D-222.
#[test]
fn the_record_has_the_fields_of_the_manifest() {
    let home = TestHome::new();
    home.run("install --yes --models gemini-3.8-flash,glm-5.2 --strict=false").exits(2);
    home.run("install --yes --models gemini-3.8-flash,glm-5.2").exits(0);
    home.run("install --yes --models glm-5.2 --force").exits(0);
    let record = home.record();
    has(
        &record,
        &[
            "schema",
            "version",
            "deployment_id",
            "timestamp",
            "source_spec",
            "deployed_by",
            "bundle",
            "preset",
            "gateway_type",
            "gateway_url",
            "models",
            "request",
            "files",
            "environment_variables",
            "settings",
            "backup_path",
            "flags_used",
        ],
    );
    assert_eq!(record["source_spec"], "001-llm-gateway-config");
    assert!(record["deployment_id"].as_str().unwrap().starts_with("dep-"));
    assert_eq!(record["flags_used"], serde_json::json!(["--models", "--force", "--on"]));
    assert_eq!(record["models"], serde_json::json!(["glm-5.2"]));
    has(&record["bundle"], &["version", "seq", "origin", "sha256"]);
    for (path, file) in record["files"].as_object().unwrap() {
        has(file, &["sha256", "mode", "class", "base"]);
        let on_disk = home.mode(&format!(".claude/gateway/{path}"));
        assert_eq!(file["mode"], format!("{on_disk:04o}"), "{path}");
    }
    let variables = &record["environment_variables"];
    let value = |text: &str| serde_json::json!({ "state": "value", "value": text });
    assert_eq!(variables["LITELLM_MASTER_KEY"]["value"], serde_json::json!({ "state": "secret" }));
    assert_eq!(variables["LITELLM_MASTER_KEY"]["secret"], true);
    assert_eq!(variables["VERTEXAI_LOCATION"]["value"], value("us-central1"));
    assert_eq!(variables["VERTEXAI_PROJECT"]["value"], serde_json::json!({ "state": "missing" }));
    assert_eq!(record["settings"]["keys"]["env.ANTHROPIC_BASE_URL"], value("http://127.0.0.1:4000"));
    assert_eq!(home.mode(".claude/gateway/deployment-manifest.json"), 0o600);
}

/// D-221. A record of a newer program is not acted upon.
#[test]
fn a_newer_record_is_refused_and_an_unknown_field_is_kept_quiet_about() {
    let home = TestHome::deployed();
    let path = ".claude/gateway/deployment-manifest.json";
    let text = home.read(path);
    home.write(path, text.replacen("\"schema\": 1", "\"schema\": 2", 1));
    for arguments in ["status", "install --yes --preset proxy", "uninstall --yes", "rollback --yes"] {
        let run = home.refused(&mut home.command(arguments), 1);
        run.says(&["deployment-manifest.json", "newer"]);
    }
    home.write(path, text.replacen("\"schema\": 1", "\"schema\": 1, \"of_tomorrow\": {}", 1));
    home.run("status").exits(0);
    home.write(path, "{ torn");
    for arguments in ["status", "install --yes", "uninstall --yes"] {
        home.refused(&mut home.command(arguments), 1).says(&["deployment-manifest.json"]);
    }
}

/// `--quiet` leaves errors; `--color always` paints, and `NO_COLOR` and a pipe do not.
#[test]
fn quiet_and_color() {
    let home = TestHome::new();
    let run = home.run("install --yes --quiet").exits(0);
    assert_eq!(run.all(), "");
    let run = home.run("install --yes --preset fancy --quiet").exits(2);
    assert!(run.stderr.starts_with("error: "));
    home.run("doctor").never_says("\u{1b}");
    home.run("doctor --color always").says(&["\u{1b}["]);
}

/// Nothing is recorded, so nothing can be as recorded.
#[test]
fn verify_of_nothing_says_so() {
    let home = TestHome::new();
    assert_eq!(home.run("verify --json").exits(0).json()["message"], "nothing is deployed");
    home.run("install --yes").exits(0);
    assert_eq!(home.run("verify --json").exits(0).json()["message"], "everything is as recorded");
}
