//! What a person reads when something is wrong: what failed, why, and a command to paste.

use std::fs;

use crate::home::{Run, TestHome};
use crate::messages::expect;

#[test]
fn wrong_usage() {
    let home = TestHome::new();
    for (name, arguments) in [
        ("error_no_terminal", "install"),
        ("error_preset", "install --yes --preset basc"),
        ("error_model", "install --yes --models gemini-3.5-flahs"),
        ("error_model_name", "install --yes --models ../x"),
        ("error_gateway_type", "install --yes --gateway-type lokal"),
        ("error_pair", "install --yes --preset basic --gateway-type zuplo"),
        ("error_gateway_url_scheme", "install --yes --gateway-url ftp://x"),
        ("error_gateway_url_v1", "install --yes --gateway-url http://127.0.0.1:4000/v1"),
        ("error_gateway_url_elsewhere", "install --yes --gateway-url https://gw.example.com"),
        ("error_gateway_url_plain", "install --yes --preset enterprise --gateway-url http://gw.example.com"),
        ("error_enterprise_url", "install --yes --preset enterprise"),
        ("error_enterprise_token", "install --yes --preset enterprise --gateway-url https://gw.example.com"),
        ("error_proxy_auth", "install --yes --preset proxy --proxy-url http://p:1 --proxy-auth x"),
        ("error_target_dots", "install --yes --target-dir ../x"),
        ("error_target_tilde", "install --yes --target-dir ~/x"),
        ("error_source_dir", "install --yes --source-dir nowhere"),
        ("error_home_dir", "install --yes --home nowhere"),
        ("error_token_file", "install --yes --auth-token-file nowhere"),
        ("error_nothing_deployed_update", "update --yes"),
        ("error_nothing_deployed_diff", "diff"),
        ("error_nothing_deployed_off", "off --yes"),
        ("error_nothing_deployed_rollback", "rollback --yes"),
        ("error_unknown_flag", "install --presett basic"),
        ("error_unknown_command", "instal"),
        ("error_strict", "install --yes --strict --models glm-5.2 --gateway-url http://127.0.0.1:45999"),
    ] {
        expect(&home, name, &home.run(arguments));
    }
    assert_eq!(home.tree().0.len(), 1);
}

#[test]
fn wrong_homes() {
    let home = TestHome::new();
    expect(&home, "error_home_missing", &Run::of(home.command("status").env("HOME", home.path("missing"))));
    expect(&home, "error_home_relative", &Run::of(home.command("status").env("HOME", "relative")));
    let odd = home.path("a\nb");
    fs::create_dir(&odd).unwrap();
    expect(&home, "error_home_newline", &Run::of(home.command("status").env("HOME", odd)));
}

#[test]
fn wrong_settings() {
    for (name, text) in [
        ("error_settings_duplicate", "{\n  \"model\": 1,\n  \"model\": 2\n}\n"),
        ("error_settings_array", "[]"),
        ("error_settings_null_env", "{\"env\": null}"),
    ] {
        let home = TestHome::new();
        home.write(".claude/settings.json", text);
        expect(&home, name, &home.run("install --yes"));
    }
    let home = TestHome::new();
    let path = home.write(".claude/settings.json", "");
    fs::File::options().write(true).open(&path).unwrap().set_len(200 << 20).unwrap();
    expect(&home, "error_settings_enormous", &home.run("install --yes"));
    fs::write(&path, "{}").unwrap();
    home.chmod(".claude/settings.json", 0o444);
    expect(&home, "error_settings_read_only", &home.run("install --yes"));
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("nowhere.json", &path).unwrap();
    expect(&home, "error_settings_dangling", &home.run("install --yes"));
}

#[test]
fn what_is_in_the_way() {
    let home = TestHome::new();
    home.write(".claude/gateway/docs/faq.md", "somebody's\n");
    expect(&home, "error_foreign_file", &home.run("install --yes"));
    let home = TestHome::deployed();
    expect(
        &home,
        "error_second_target",
        &Run::of(home.command("status --target-dir").arg(home.path("other"))),
    );
    home.run("install --yes --models glm-5.2").exits(0);
    expect(&home, "error_no_such_backup", &home.run("rollback 7 --yes"));
    expect(&home, "error_env_value_exists", &home.run("install --yes --auth-token sk-another-0123456789"));
    fs::write(home.gateway("backups").join(&home.backups()[0]), "damaged").unwrap();
    expect(&home, "error_damaged_backup", &home.run("rollback --yes"));
    home.write(".claude/gateway/.gwinstall/journal", "{ torn");
    expect(&home, "error_torn_journal", &home.run("install --yes --preset proxy"));
    fs::remove_file(home.gateway(".gwinstall/journal")).unwrap();
    let holder = r#"{"pid":4711,"command":"update","since":"2026-01-01T00:00:00Z"}"#;
    let path = home.write(".claude/gateway/.gwinstall/lock", holder);
    let lock = fs::File::open(path).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    expect(&home, "error_busy", &home.run("install --yes --models gemini-3.8-flash"));
}

#[test]
fn values_that_cannot_be_read() {
    let home = TestHome::new();
    home.write(".bashrc", "export VERTEXAI_PROJECT=$(gcloud config get project)\n");
    home.write(".claude/.env", "GOOGLE_APPLICATION_CREDENTIALS = /x\n");
    fs::create_dir(home.path(".zshrc")).unwrap();
    let port = crate::exits::free_port();
    let install = format!("install --dry-run --models glm-5.2 --gateway-url http://127.0.0.1:{port}");
    expect(&home, "notes_about_values", &home.run(&install));
}

/// Links into nowhere where a directory should be, and directories that somebody else owns.
#[test]
fn a_place_that_is_none() {
    let home = TestHome::new();
    fs::create_dir(home.path(".claude")).unwrap();
    std::os::unix::fs::symlink("/nowhere/at-all", home.gateway("").parent().unwrap().join("gateway"))
        .unwrap();
    expect(&home, "error_target_dangling", &home.run("install --yes"));
    let home = TestHome::new();
    fs::create_dir_all(home.path(".claude/settings.json")).unwrap();
    expect(&home, "error_settings_directory", &home.run("install --yes"));
}

/// What cannot be seen is not named: the nearest directory that can be, and whose it is.
#[test]
fn what_is_behind_a_closed_door() {
    let home = TestHome::deployed();
    if crate::home::is_root() {
        let home = home.owned_by_nobody();
        std::os::unix::fs::chown(home.gateway(".gwinstall"), Some(0), Some(0)).unwrap();
        home.chmod(".claude/gateway/.gwinstall", 0o700);
        let own = home.gateway(".gwinstall");
        home.run("install --yes --models glm-5.2").exits(1).says(&[
            "permission denied",
            &format!("{} belongs to root", own.display()),
            &format!("ls -ld {}\n", own.display()),
        ]);
    }
}
