//! The logins of Google and AWS: each ordinary kind is recognised, every command says the same about one that is missing,
//! and none of it stops a start.

use std::fs;

use crate::world::World;

fn deployed(model: &str) -> World {
    let world = World::new();
    let _ = world.run(&["install", "--yes", "--preset", "multi-provider", "--models", model]).exits(0);
    world
}

fn verdict(world: &World, command: &[&str], field: &str, name: &str) -> (String, String) {
    let data = world.run(&[&["--json"], command].concat()).data();
    let checks = data[field].as_array().cloned().unwrap_or_default();
    let check = checks.iter().find(|check| check["check_name"] == name).cloned();
    let check = check.unwrap_or_else(|| panic!("{command:?} has no {name}: {data}"));
    let word = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
    (word("status"), word("message"))
}

/// All that look, with what they say.
#[track_caller]
fn all_say(world: &World, name: &str, status: &str, says: &str) {
    for (command, field) in [
        (&["env", "check"][..], "checks"),
        (&["doctor"], "checks"),
        (&["status"], "checks"),
        (&["install", "--dry-run", "--start"], "pre_checks"),
    ] {
        let (found, message) = verdict(world, command, field, name);
        assert_eq!(found, status, "{command:?}: {message}");
        assert!(message.contains(says), "{command:?}: {message}");
    }
}

#[test]
fn each_kind_of_aws_credentials_is_recognised() {
    let name = "aws_login_found";
    let bare = deployed("claude-sonnet-5-5-bedrock");
    all_say(&bare, name, "WARN", "no AWS credentials were found");
    let with = |variables: &[(&str, &str)]| {
        variables
            .iter()
            .fold(deployed("claude-sonnet-5-5-bedrock"), |world, (name, value)| world.with(name, value))
    };
    for (variables, status, says) in [
        (&[("AWS_BEARER_TOKEN_BEDROCK", "ABSK1")][..], "PASS", "AWS_BEARER_TOKEN_BEDROCK"),
        (&[("AWS_ACCESS_KEY_ID", "AKIA1"), ("AWS_SECRET_ACCESS_KEY", "s3")], "PASS", "access keys"),
        (&[("AWS_ACCESS_KEY_ID", "AKIA1")], "WARN", "AWS_SECRET_ACCESS_KEY has none"),
        (
            &[("AWS_ACCESS_KEY_ID", "op://v/i/f"), ("AWS_SECRET_ACCESS_KEY", "op://v/i/g")],
            "WARN",
            "no AWS credentials",
        ),
        (
            &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r")],
            "PASS",
            "web identity",
        ),
        (&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x")], "PASS", "container"),
        (&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1")], "PASS", "container"),
        (&[("AWS_PROFILE", "absent")], "WARN", "names absent"),
    ] {
        let (found, message) = verdict(&with(variables), &["env", "check"], "checks", name);
        assert_eq!(found, status, "{variables:?}: {message}");
        assert!(message.contains(says), "{message}");
    }
    for (file, text, profile, says) in [
        ("credentials", "[default]\naws_access_key_id = A\naws_secret_access_key = B\n", "", "access keys"),
        ("credentials", "[work]\naws_access_key_id=A\n", "work", "the profile work"),
        ("config", "[profile work]\nsso_session = s\n", "work", "single sign-on"),
        ("config", "[default]\ncredential_process = /opt/x\n", "", "a program"),
        ("config", "[profile work]\nrole_arn = arn\nsource_profile = default\n", "work", "a role"),
    ] {
        let world = with(if profile.is_empty() { &[] } else { &[("AWS_PROFILE", "work")] });
        fs::create_dir_all(world.home().join(".aws")).unwrap();
        fs::write(world.home().join(".aws").join(file), text).unwrap();
        let (found, message) = verdict(&world, &["doctor"], "checks", name);
        assert!(found == "PASS" && message.contains(says), "{text}: {message}");
    }
    all_say(&deployed("claude-opus-5-5"), name, "SKIP", "no deployed model needs it");
}

#[test]
fn each_kind_of_google_login_is_recognised() {
    let name = "google_login_found";
    let bare = deployed("gemini-3.8-flash");
    all_say(&bare, name, "WARN", "no Google login was found");
    let said = bare.run(&["env", "check"]).says("try: gcloud auth application-default login");
    assert!(!said.out.contains("try: gwinstall env set GOOGLE_APPLICATION_CREDENTIALS"), "{said:?}");
    let account = r#"{"type": "service_account"}"#;
    for (variable, value, status, says) in [
        ("VERTEXAI_CREDENTIALS", account, "PASS", "service_account"),
        ("VERTEXAI_CREDENTIALS", "/nowhere/key.json", "WARN", "does not exist"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "KEY", "PASS", "service_account"),
        ("GOOGLE_APPLICATION_CREDENTIALS", account, "WARN", "is not an absolute path"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "your-key.json", "WARN", "no Google login was found"),
        ("CLOUDSDK_CONFIG", "DIR", "PASS", "Google's login"),
    ] {
        let world = deployed("gemini-3.8-flash");
        let dir = world.home().join("sdk");
        fs::create_dir(&dir).unwrap();
        let key = dir.join("application_default_credentials.json");
        fs::write(&key, account).unwrap();
        let value = match value {
            "KEY" => key.to_str().unwrap().to_owned(),
            "DIR" => dir.to_str().unwrap().to_owned(),
            text => text.to_owned(),
        };
        let world = world.with(variable, &value);
        let (found, message) = verdict(&world, &["env", "check"], "checks", name);
        assert_eq!(found, status, "{variable}={value}: {message}");
        assert!(message.contains(says), "{variable}: {message}");
    }
    let in_cloud_run = World::new().with("K_SERVICE", "gateway").with("NO_GCE_CHECK", "");
    let _ = in_cloud_run.run(&["install", "--yes", "--models", "gemini-3.8-flash"]).exits(0);
    all_say(&in_cloud_run, name, "PASS", "an identity of its own");
}

/// Without a login a gateway runs, Claude Code keeps its settings, and `--start` points it there with a warning.
#[test]
fn a_missing_login_stops_no_start() {
    let Some(world) = World::with_litellm() else { return };
    let world = world.with("GOOGLE_APPLICATION_CREDENTIALS", "").unforced();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let armed = world.run(&["install", "--yes", "--models", "glm-5.2", "--gateway-url", &url]);
    let refused = world.run(&["on", "--yes"]);
    let started = world.run(&["install", "--start", "--yes"]);
    let pointed = world.record()["request"]["pointed"].clone();
    let stopped = world.run(&["stop"]);
    let again = world.run(&["start"]);
    let _ = (stopped.exits(0), world.run(&["stop"]).exits(0));
    let _ = armed.exits(0).says("no Google login was found");
    let _ = refused.exits(1).says("no Google login was found");
    let _ = started
        .exits(0)
        .says("WARN no Google login was found")
        .never_says("env set GOOGLE_APPLICATION_CREDENTIALS &&");
    assert_eq!(pointed, "on");
    let _ = again.exits(0).says("WARN no Google login was found");
}

/// A key of another form is taken, because a provider may change it; its value is not shown.
#[test]
fn a_key_that_does_not_begin_as_its_provider_s_is_a_warning() {
    let install = ["install", "--yes", "--preset", "multi-provider", "--models", "claude-sonnet-5-5"];
    let said = "ANTHROPIC_API_KEY does not begin with sk-ant-";
    let world = World::new().with("ANTHROPIC_API_KEY", "sk-proj-0a1b2c3d");
    let _ = world.run(&install).exits(0).says(said).never_says("0a1b2c3d");
    for command in [&["env", "check"][..], &["doctor"]] {
        let _ =
            world.run(command).says(said).says("gwinstall env set ANTHROPIC_API_KEY").never_says("0a1b2c3d");
    }
    let world = World::new().with("ANTHROPIC_API_KEY", "sk-ant-0a1b2c3d");
    let _ = world.run(&install).exits(0).never_says("does not begin");
}

/// Google serves a model in some locations only; a route that names its own does not care.
#[test]
fn a_model_that_the_location_does_not_have_is_a_warning() {
    let install = ["install", "--yes", "--models", "gemini-2.5-pro,glm-5.2"];
    let said = "VERTEXAI_LOCATION is africa-south1, where Google does not serve gemini-2.5-pro";
    let world = World::new().with("VERTEXAI_LOCATION", "africa-south1");
    let _ = world.run(&install).exits(0).says(said).never_says("serve glm");
    for command in [&["env", "check"][..], &["doctor"], &["status"]] {
        let _ = world.run(command).says(said).says("gwinstall env set VERTEXAI_LOCATION=global");
    }
    let _ = world
        .run(&["env", "set", "VERTEXAI_LOCATION=europe-west4", "--yes"])
        .exits(0)
        .never_says("does not serve");
    for command in [&["env", "check"][..], &["doctor"]] {
        let _ = world.run(command).never_says("does not serve");
    }
    let set = world.run(&["env", "set", "VERTEXAI_LOCATION=me-west1", "--yes"]);
    let _ = set.exits(0).says("note: Google does not serve gemini-2.5-pro there; global does");
    for location in ["global", "us-east5"] {
        let world = World::new().with("VERTEXAI_LOCATION", location);
        let _ = world.run(&install).exits(0).never_says("does not serve");
    }
    let world = World::new().with("VERTEXAI_LOCATION", "africa-south1");
    let _ = world.run(&["install", "--yes", "--models", "glm-5.2"]).exits(0).never_says("does not serve");
}

#[test]
fn an_unknown_region_is_named_with_the_closest() {
    for (model, variable, typed, near) in [
        ("gemini-3.8-flash", "VERTEXAI_LOCATION", "us-centrall1", "us-central1"),
        ("claude-sonnet-5-5-bedrock", "AWS_REGION_NAME", "us-east1", "us-east-1"),
    ] {
        let world = World::new().with(variable, typed);
        let install = ["install", "--yes", "--preset", "multi-provider", "--models", model];
        let set = format!("gwinstall env set {variable}={near}");
        let _ = world.run(&install).exits(0).says(&format!("{variable} is {typed}")).says(&set);
        for command in [&["env", "check"][..], &["doctor"], &["status"]] {
            let _ = world.run(command).says(&set);
        }
    }
}
