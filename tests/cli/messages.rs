//! What a person reads when all goes well: every message as a snapshot. What changes from run to run is filtered; what a
//! newer bundle changes (counts, models, versions) too.

use insta::{Settings, assert_snapshot};

use crate::bundle::SourceDir;
use crate::home::{Run, TestHome};

/// Two models, so that a new one in the catalog changes no text.
const INSTALL: &str = "install --yes --models gemini-3.8-flash,glm-5.2";

/// Compares under the name of the message.
pub fn expect(home: &TestHome, name: &str, run: &Run) {
    let mut settings = Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_description(run.what.replace(&*home.root().to_string_lossy(), "[root]"));
    settings.add_filter(&regex_of(&home.root().to_string_lossy()), "[root]");
    for (pattern, shown) in [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[time]"),
        (r"gateway-backup-\d{8}-\d{6}(-\d+)?\.tar\.gz", "gateway-backup-[time].tar.gz"),
        (r"\(plan [0-9a-f]{16}\)", "(plan [id])"),
        (r"\b\d+ ms\b", "[n] ms"),
        (r"Completed in \d+\.\d s", "Completed in [n] s"),
        (r"changed in \d+\.\d s\)", "changed in [n] s)"),
        (r"\b\d+ MB\b", "[n] MB"),
        (r"\b\d+ (files?|scripts?)\b", "[n] $1"),
        (r"\b\d+ changed\b", "[n] changed"),
        (r"bundle \d+\.\d+\.\d+", "bundle [version]"),
        (r"127\.0\.0\.1:\d{4,5}\b", "127.0.0.1:[port]"),
        (r"port \d{4,5}\b", "port [port]"),
        (r"/\S*python3\S* is Python [0-9.]+", "python3 is Python [version]"),
        (r"\bpid \d+\b", "pid [pid]"),
        (r"for \d+ s\b", "for [n] s"),
        (r"To remove it: rm \S+", "To remove it: rm [program]"),
        (r"(sha256 is|recorded was) [0-9a-f]+", "$1 [sha256]"),
    ] {
        settings.add_filter(pattern, shown);
    }
    let mut text = format!("exit {}\n", run.code);
    for (stream, said) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
        if !said.is_empty() {
            text.push_str(&format!("--- {stream}\n{said}"));
        }
    }
    settings.bind(|| assert_snapshot!(name, text));
}

fn regex_of(path: &str) -> String {
    path.chars()
        .map(|c| if c.is_alphanumeric() || c == '/' { c.to_string() } else { format!("\\{c}") })
        .collect()
}

/// A home whose gateway has a port that nothing listens on.
fn on_a_free_port() -> (TestHome, String) {
    let install = format!("{INSTALL} --gateway-url http://127.0.0.1:{}", crate::exits::free_port());
    (TestHome::new(), install)
}

#[test]
fn install_from_nothing_to_uninstalled() {
    let (home, install) = on_a_free_port();
    let steps = [
        ("overview_of_nothing", ""),
        ("status_of_nothing", "status"),
        ("history_of_nothing", "history"),
        ("uninstall_of_nothing", "uninstall --yes"),
        ("install_dry_run", &install.replace("--yes", "--dry-run")),
        ("install_first", &install),
        ("install_again", &install),
        ("status_as_deployed", "status"),
        ("diff_none", "diff"),
        ("update_none", "update --yes"),
        ("on_already", "on --yes"),
        ("off", "off --yes"),
        ("off_already", "off --yes"),
        ("status_off", "status"),
        ("on", "on --yes"),
        ("install_other_models", "install --yes --models glm-5.2"),
        ("rollback_dry_run", "rollback --dry-run"),
        ("rollback", "rollback --yes"),
        ("rollback_nothing_to_do", "rollback 1 --yes"),
        ("doctor_well", "doctor"),
        ("doctor_repair_none", "doctor --repair --yes"),
        ("history", "history"),
        ("uninstall_dry_run", "uninstall --dry-run"),
        ("uninstall", "uninstall --yes"),
        ("uninstall_purge", "uninstall --purge --yes"),
    ];
    for (name, arguments) in steps {
        expect(&home, name, &home.run(arguments));
    }
}

#[test]
fn install_of_each_preset() {
    for (name, arguments) in [
        ("install_basic_with_retired_models", "--models gemini-2.5-flash"),
        (
            "install_proxy",
            "--preset proxy --models glm-5.2 --proxy-url http://proxy.example:3128 --proxy-auth me:word",
        ),
        ("install_multi_provider", "--preset multi-provider --models claude-opus-5-5,glm-5.2"),
    ] {
        let home = TestHome::new();
        let port = crate::exits::free_port();
        expect(
            &home,
            name,
            &home.run(&format!("install --yes {arguments} --gateway-url http://127.0.0.1:{port}")),
        );
    }
    let home = TestHome::new();
    let enterprise = "install --yes --gateway-type zuplo --gateway-url https://gw.example.com --auth-token t0ken-0123456789";
    expect(&home, "install_enterprise", &home.run(enterprise));
    expect(&home, "status_enterprise", &home.run("status"));
    let (home, install) = on_a_free_port();
    expect(&home, "install_verbose", &short(home.run(&format!("{install} --verbose"))));
}

/// One line of each kind is enough.
fn short(mut run: Run) -> Run {
    let mut seen = 0;
    let lines = run.stderr.lines().filter(|line| {
        let of_a_file = line.starts_with("  + ");
        seen += usize::from(of_a_file);
        !of_a_file || seen <= 2
    });
    run.stderr = lines.collect::<Vec<_>>().join("\n") + "\n";
    run
}

#[test]
fn changes_of_preset_and_what_they_leave() {
    let (home, install) = on_a_free_port();
    home.run(&format!("{install} --preset proxy --proxy-url http://proxy.example:3128")).exits(0);
    expect(&home, "proxy_to_basic", &home.run("install --yes --preset basic --models glm-5.2"));
    home.run("rollback --yes").exits(0);
    let text = home.read(".claude/gateway/.env").replace("proxy.example", "mine.example");
    home.write(".claude/gateway/.env", text);
    expect(
        &home,
        "proxy_to_basic_with_own_values",
        &home.run("install --yes --preset basic --models glm-5.2"),
    );
}

#[test]
fn edits_and_conflicts() {
    let (home, install) = on_a_free_port();
    home.run(&install).exits(0);
    home.write(".claude/gateway/docs/faq.md", "mine\n");
    std::fs::remove_file(home.gateway("docs/operations.md")).unwrap();
    std::fs::remove_file(home.gateway("docs/routing-strategies.md")).unwrap();
    std::os::unix::fs::symlink("operations.md", home.gateway("docs/routing-strategies.md")).unwrap();
    expect(&home, "status_with_drift", &home.run("status"));
    expect(&home, "install_keeps_edits", &home.run("install --yes"));
    expect(&home, "status_with_edits_kept", &home.run("status"));
    let source = SourceDir::new(&home).ships("docs/faq.md", "ours");
    expect(&home, "update_with_conflict", &home.run(&source.install()));
    expect(&home, "status_with_conflict", &home.run("status"));
    expect(&home, "uninstall_with_edits", &home.run("uninstall --yes"));
}

#[test]
fn an_interrupted_run() {
    let (home, install) = on_a_free_port();
    home.run(&install).exits(0);
    std::fs::create_dir_all(home.gateway(".gwinstall/txn/left")).unwrap();
    expect(&home, "status_interrupted", &home.run("status"));
    expect(&home, "doctor_interrupted", &home.run("doctor"));
    expect(&home, "doctor_repair_unasked", &home.run("doctor --repair"));
    expect(&home, "doctor_repair", &home.run("doctor --repair --yes"));
}

#[test]
fn settings_of_others() {
    let (home, install) = on_a_free_port();
    home.write(
        ".claude/settings.json",
        "{\"apiKeyHelper\": \"mine\", \"env\": {\"ANTHROPIC_BASE_URL\": \"https://gw.example\"}}",
    );
    expect(&home, "install_over_another_gateway", &home.run(&install));
    expect(&home, "install_over_another_gateway_forced", &home.run(&format!("{install} --force")));
    let text = home.read(".claude/settings.json").replace("http://127.0.0.1", "http://127.0.0.2");
    home.write(".claude/settings.json", text);
    expect(&home, "uninstall_with_a_changed_key", &home.run("uninstall --yes"));
}

/// P-302. Names and places of what was found, once, and never a value.
#[test]
fn values_that_were_found_are_announced_by_name() {
    let home = TestHome::new().with("VERTEXAI_PROJECT", "project-canary");
    let first = home.run(INSTALL).exits(0).says(&["Found VERTEXAI_PROJECT (from the environment)."]);
    assert!(!first.all().contains("project-canary"), "{}", first.all());
    let again = home.run("install --yes --models glm-5.2").exits(0);
    assert!(!again.all().contains("Found "), "{}", again.all());
}

/// P-285, P-291, P-309. The summary names the type of the gateway, the guide and the duration.
#[test]
fn the_summary_names_type_guide_and_duration() {
    let (home, install) = on_a_free_port();
    let said = home
        .run(&install)
        .exits(0)
        .says(&[" (local)\n", "  Guide:    ~/.claude/gateway/docs/troubleshooting-guide.md\n"]);
    let seconds = said.stdout.split_once(" changed in ").and_then(|(_, rest)| rest.split_once(" s)."));
    assert!(seconds.is_some_and(|(seconds, _)| seconds.parse::<f32>().is_ok()), "{}", said.all());
    assert!(home.gateway("docs/troubleshooting-guide.md").exists());
    let again = home.run("install --yes --models glm-5.2").exits(0);
    assert!(!again.all().contains("Guide:"), "{}", again.all());
}
