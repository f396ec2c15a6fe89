//! `report`: one page about a deployment in every state, safe against every text on it, and written only where it may
//! be.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::world::{World, mode};

/// The page of a world.
fn page(world: &World) -> String {
    let page = world.run(&["report", "--html", "-"]).exits(0).out;
    assert!(page.starts_with("<!doctype html>\n") && page.ends_with("</html>\n"), "{page}");
    page
}

#[track_caller]
fn holds(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(page.contains(text), "no {text:?} in\n{page}");
    }
}

/// What the section with this id holds.
fn section<'p>(page: &'p str, id: &str) -> &'p str {
    let from = page.find(&format!("id={id} ")).unwrap();
    let end = page[from..].find("class=section").map_or(page.len(), |at| from + at);
    let next = page[end + 1..].find("class=section").map_or(page.len(), |at| end + 1 + at);
    &page[from..if id == "state" { end } else { next }]
}

#[test]
fn a_deployment_is_on_the_page() {
    let world = World::deployed(&["--models", "gpt-oss-20b,glm-5.2"]);
    let _ = world.run(&["models", "remove", "glm-5.2", "--yes"]).exits(0);
    let text = world.read("docs/faq.md");
    world.write("docs/faq.md", &format!("{text}\nmine\n"));
    let said = world.run(&["report", "--html", "page.html"]).exits(0).says("Wrote page.html");
    assert!(said.err.is_empty(), "{}", said.err);
    let path = world.home().join("page.html");
    assert_eq!(mode(&path), 0o600);
    let page = fs::read_to_string(path).unwrap();
    holds(section(&page, "state"), &["something differs", "Preset basic (local)", "Next command", "uses it"]);
    holds(section(&page, "files"), &["<code>docs/faq.md</code>", ">changed</span>"]);
    holds(
        section(&page, "models"),
        &[
            "<code>gpt-oss-20b</code>",
            "OpenAI GPT-OSS 20B",
            "0.07",
            "131\u{a0}072",
            "2026-10-21 has passed",
            "gpt-oss-120b",
        ],
    );
    holds(
        section(&page, "checks"),
        &[">failed</span>", ">passed</span>", "gwinstall env set VERTEXAI_PROJECT"],
    );
    holds(section(&page, "backups"), &["gateway-backup-", "gwinstall rollback N", "models"]);
    let history = section(&page, "history");
    assert!(history.find("<td>models<td>success").unwrap() < history.find("<td>install<td>success").unwrap());
    assert!(!page.contains("id=older"), "two operations need no fold");
    let home = world.home().to_str().unwrap();
    let elsewhere = world.run(&["--target-dir", ".claude/gateway", "report", "--html", "-"]).exits(0).out;
    holds(&elsewhere, &[&format!("gwinstall --target-dir {home}/.claude/gateway rollback N")]);
}

/// Nothing is fetched, and nothing but the style and the script of the program could act.
#[test]
fn the_page_is_complete_in_itself() {
    let page = page(&World::deployed(&[]));
    let body = &page[page.find("</style>").unwrap()..];
    for asks in
        [" src=", "url(", "@import", "<link", "<iframe", "<img", "<form", " style=", " onclick", "fetch("]
    {
        assert!(!body.contains(asks), "{asks}");
    }
    let targets: Vec<&str> =
        page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    for target in &targets {
        let id = target.strip_prefix('#').unwrap_or_else(|| panic!("{target} leads away"));
        assert!(page.contains(&format!("id={id} ")), "{target} leads nowhere");
    }
    assert_eq!(targets.len(), 7);
    holds(
        &page,
        &[
            "default-src &#39;none&#39;",
            "<html lang=en>",
            "<main>",
            "<nav aria-label",
            "class=skip",
            "name=viewport",
        ],
    );
    assert_eq!(page.matches("<table").count(), page.matches("<caption>").count());
    assert!(!page.contains("<th>") && !page.contains("<th class"), "a heading of a table without scope");
}

#[test]
fn an_armed_deployment_says_what_starts_it() {
    let world = World::new().unforced();
    let _ = world.run(&["install", "--yes"]).exits(0);
    let page = page(&world);
    holds(
        section(&page, "state"),
        &["Next command</span> <code class=command>gwinstall start</code>", "does not use it yet"],
    );
    holds(section(&page, "state"), &["<code>VERTEXAI_PROJECT</code>", "without a value"]);
}

#[test]
fn an_empty_home_has_a_page_and_nothing_else() {
    let world = World::new();
    let page = page(&world);
    holds(section(&page, "state"), &["nothing is deployed", "gwinstall install</code>"]);
    holds(&page, &["No model is deployed", "gwinstall has made no backup yet", "No operations yet"]);
    assert!(world.snapshot().is_empty());
    assert!(!page.contains("id=filter"), "there is nothing to filter");
}

#[test]
fn a_broken_deployment_is_described_as_far_as_it_can_be_read() {
    let world = World::deployed(&[]);
    fs::write(world.home().join(".claude/settings.json"), "{ \"env\": ").unwrap();
    world.write("config/litellm.yaml", "model_list: [\n");
    fs::create_dir_all(world.gateway("backups")).unwrap();
    fs::write(world.gateway("backups/index.json"), "nonsense").unwrap();
    let text = page(&world);
    holds(section(&text, "state"), &["something differs", "cannot read its settings"]);
    holds(section(&text, "checks"), &["config/litellm.yaml"]);

    fs::remove_file(world.gateway("deployment-manifest.json")).unwrap();
    let text = page(&world);
    holds(
        section(&text, "state"),
        &["the record is missing", "deployment-manifest.json", "gwinstall install"],
    );
    fs::write(world.gateway("deployment-manifest.json"), "{").unwrap();
    let _ =
        world.run(&["report", "--html", "page.html"]).exits(1).says("deployment-manifest.json").says("mv ");
    assert!(!world.home().join("page.html").exists());
}

const HOSTILE: &str = "<script>alert(1)</script>\"' onload=x `&amp;\u{2028}\u{202e}\0\u{200b}--><!--</style>";

#[test]
fn no_text_from_outside_becomes_markup() {
    let world = World::deployed(&["--models", "glm-5.2"]);
    let mut record = world.record();
    record["preset"] = json!(HOSTILE);
    record["models"] = json!([HOSTILE, "glm-5.2"]);
    record["gateway_url"] = json!(format!("http://127.0.0.1:4000/{HOSTILE}"));
    record["bundle"]["version"] = json!(HOSTILE);
    let file = record["files"]["docs/faq.md"].clone();
    record["files"][format!("docs/{HOSTILE}")] = file.clone();
    world.write("deployment-manifest.json", &record.to_string());
    // No file can have such a name, and the page says so.
    holds(section(&page(&world), "files"), &["cannot look at", "&lt;script&gt;"]);
    record["files"].as_object_mut().unwrap().retain(|path, _| !path.contains('\0'));
    record["files"][format!("docs/{HOSTILE}").replace('\0', "")] = file;
    world.write("deployment-manifest.json", &record.to_string());
    let mut line: Value = serde_json::from_str(world.read("deployment.log").lines().next().unwrap()).unwrap();
    for key in ["timestamp", "operation", "status", "preset", "backup_created", "error_message"] {
        line[key] = json!(HOSTILE);
    }
    line["files_copied"] = json!(HOSTILE);
    world.write("deployment.log", &format!("{line}\n[1]\n\"text\"\nnot json\n{{}}\n"));
    let page = page(&world);
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    assert_eq!(page.matches("</style").count(), 1);
    assert!(!page.contains("onload=\"") && !page.contains("<!--</style"));
    for hidden in ['\u{2028}', '\u{202e}', '\0', '\u{200b}'] {
        assert!(!page.contains(hidden), "{hidden:?}");
    }
    holds(section(&page, "history"), &["&lt;script&gt;alert(1)&lt;/script&gt;", r"\u{2028}\u{202e}\u{0}"]);
    holds(section(&page, "models"), &["&lt;script&gt;", "The catalog does not know this name"]);
    holds(section(&page, "files"), &["docs/&lt;script&gt;"]);
}

#[test]
fn no_secret_is_on_the_page() {
    const CANARY: &str = "sk-ant-canary-5f2e9c71";
    let world = World::new()
        .with("ANTHROPIC_API_KEY", format!("{CANARY}-shell"))
        .with("AWS_SECRET_ACCESS_KEY", format!("{CANARY}-aws"))
        .with("HTTPS_PROXY", format!("http://user:{CANARY}-proxy@proxy.example:8080"));
    fs::create_dir_all(world.home().join(".claude")).unwrap();
    let token = format!("{CANARY}-settings");
    let settings =
        json!({ "env": { "ANTHROPIC_AUTH_TOKEN": token }, "apiKeyHelper": format!("echo {CANARY}") });
    fs::write(world.home().join(".claude/settings.json"), settings.to_string()).unwrap();
    let _ = world.run(&["install", "multi-provider", "--yes", "--force"]).exits(0);
    let env = world.read(".env");
    world.write(".env", &format!("{env}\nOPENAI_API_KEY={CANARY}-env\nODD NAME={CANARY}\n"));
    let read = page(&world);
    assert!(!read.contains(CANARY), "{read}");
    let keys = env.lines().filter_map(|line| line.split_once("_KEY="));
    for (name, value) in keys.filter(|(_, value)| value.len() > 8) {
        assert!(!read.contains(value.trim_matches('"')), "the value of {name}_KEY");
    }
    holds(&read, &["<code>VERTEXAI_PROJECT</code>"]);
    // A value that is not secret gives way to its name, too.
    let file = world.home().join("somewhere/key.json");
    world.write(".env", &format!("{env}\nGOOGLE_APPLICATION_CREDENTIALS={}\n", file.display()));
    let _ = world.run(&["doctor"]).says("somewhere/key.json");
    let read = page(&world);
    assert!(!read.contains("somewhere"), "{read}");
    holds(&read, &["${GOOGLE_APPLICATION_CREDENTIALS}"]);
}

#[test]
fn only_a_page_is_replaced_without_a_word() {
    let world = World::deployed(&[]);
    let file = world.home().join("page.html");
    let to = |name: &str, more: &[&str]| world.run(&[&["report", "--html", name], more].concat());
    fs::write(&file, "mine").unwrap();
    let _ = to("page.html", &[]).exits(2).says("page.html").says("gwinstall report --html page.html --force");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    let _ = to("page.html", &["--force"]).exits(0);
    assert_eq!(mode(&file), 0o600);
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let _ = to("page.html", &[]).exits(0);
    assert_eq!(mode(&file), 0o600);
    assert!(fs::read_to_string(&file).unwrap().starts_with("<!doctype html>"));

    symlink("page.html", world.home().join("link.html")).unwrap();
    symlink("nowhere.html", world.home().join("dangling.html")).unwrap();
    let before = world.snapshot();
    for link in ["link.html", "dangling.html"] {
        let _ = to(link, &["--force"]).exits(2).says(link).says("gwinstall report --html ");
    }
    let _ = to(".claude", &[]).exits(2).says(".claude is a directory").says("--html .claude/gateway.html");
    let _ = to("absent/page.html", &[]).exits(1).says("absent/page.html").says("mkdir -p absent");
    let _ = to("/dev/full", &["--force"]).exits(2).says("/dev/full is not a regular file").says("--html -");
    let _ = to("/dev/null", &[]).exits(2);
    assert_eq!(world.snapshot(), before);
}

/// Not even `--force` replaces what the gateway or Claude Code need.
#[test]
fn files_of_the_gateway_are_never_replaced() {
    let world = World::deployed(&[]);
    let before = world.snapshot();
    symlink(world.home().join(".claude"), world.home().join("way")).unwrap();
    for file in
        [".claude/settings.json", ".claude/gateway/.env", ".claude/gateway/docs/faq.md", "way/settings.json"]
    {
        let _ = world
            .run(&["report", "--html", file, "--force"])
            .exits(2)
            .says(file)
            .says("gwinstall report --html gateway.html");
    }
    fs::remove_file(world.home().join("way")).unwrap();
    assert_eq!(world.snapshot(), before);
    let _ = world.run(&["report", "--html", ".claude/page.html"]).exits(0);
    let _ = world.run(&["status"]).exits(0);
}

/// A shell command with the program as `$0` and the words behind it.
fn shell(world: &World, script: &str) -> (i32, String) {
    let program = world.command(&[]).get_program().to_owned();
    let ended = Command::new("/bin/bash")
        .args(["-c", script])
        .arg(program)
        .env_clear()
        .env("HOME", world.home())
        .env("PATH", "/usr/bin:/bin")
        .current_dir(world.home())
        .output()
        .unwrap();
    (ended.status.code().unwrap_or(-1), String::from_utf8_lossy(&ended.stderr).into_owned())
}

#[test]
fn a_full_disk_is_reported_and_leaves_no_part_of_a_page() {
    let world = World::deployed(&[]);
    let (code, said) = shell(&world, "\"$0\" report --html - >/dev/full");
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("standard output") && said.contains("no space"), "{said}");
    // As a disk does that is full: 8 KiB fit, and the page is longer.
    let limited = "trap '' XFSZ; ulimit -f 8; \"$0\" report --html page.html";
    let (code, said) = shell(&world, limited);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("cannot write page.html") && said.contains("gwinstall report --html -"), "{said}");
    assert!(!world.home().join("page.html").exists());
    let _ = world.run(&["report", "--html", "page.html"]).exits(0);
    let before = world.snapshot();
    assert_eq!(shell(&world, limited).0, 1);
    assert_eq!(world.snapshot(), before, "the page of before stays");
}

#[test]
fn standard_output_holds_the_page_alone() {
    let world = World::deployed(&[]);
    let said = world.run(&["--quiet", "report", "--html", "-"]).exits(0);
    assert!(said.out.starts_with("<!doctype html>") && said.err.is_empty(), "{}", said.err);
    let _ = world.run(&["--json", "report", "--html", "-"]).exits(2).says("--html gateway.html --json");
    let data = world.run(&["--json", "report", "--html", "page.html"]).exits(0).data();
    assert_eq!(data["size_bytes"], fs::metadata(world.home().join("page.html")).unwrap().len());
    let _ = world.run(&["report"]).exits(2).says("--html");
    let (code, said) = shell(&world, "\"$0\" report --html - | head -c 1 >/dev/null; exit ${PIPESTATUS[0]}");
    assert_eq!((code, said.as_str()), (0, ""));
}

/// A log of so many operations, with errors of this many characters.
fn log(world: &World, operations: usize, error: usize) {
    let line: Value = serde_json::from_str(world.read("deployment.log").lines().next().unwrap()).unwrap();
    let mut text = String::new();
    for number in 0..operations {
        let mut one = line.clone();
        one["duration_ms"] = json!(number);
        one["backup_created"] = json!(format!("gateway-backup-20261121-{number:06}.tar.gz"));
        if error > 0 {
            one["error_message"] = json!("<".repeat(error));
        }
        writeln!(text, "{one}").unwrap();
    }
    fs::write(world.gateway("deployment.log"), text).unwrap();
}

#[test]
fn ten_thousand_operations_fit_on_the_page() {
    let world = World::deployed(&[]);
    log(&world, 10_000, 0);
    let began = Instant::now();
    let whole = page(&world);
    eprintln!("10,000 operations: {} bytes in {} ms", whole.len(), began.elapsed().as_millis());
    assert!(whole.len() <= 3_000_000, "{}", whole.len());
    holds(
        &whole,
        &[
            "10000 operations",
            "The newest 200 operations",
            "<details id=older><summary>9800 older operations",
        ],
    );
    let (sight, folded) = whole.split_once("<details id=older>").unwrap();
    assert_eq!(sight.matches("gateway-backup-20261121-").count(), 200);
    assert_eq!(folded.matches("gateway-backup-20261121-").count(), 9800);
    assert!(!whole.contains("The log holds older operations"));

    log(&world, 20_000, 5000);
    let cut = page(&world);
    assert!(cut.len() <= 3_000_000, "{}", cut.len());
    holds(&cut, &["The log holds older operations", "gwinstall history --limit 5000"]);
}

/// The page costs little memory, however long the log is.
#[test]
fn a_long_log_is_not_held_in_memory() {
    let time = Path::new("/usr/bin/time");
    if !time.exists() {
        eprintln!("skipped: there is no /usr/bin/time here");
        return;
    }
    let world = World::deployed(&[]);
    let peak = || {
        let (code, said) = shell(
            &world,
            "/usr/bin/time -f 'peak %M' \"$0\" report --html - 2>&1 >/dev/null | sed 's/^/  /' >&2",
        );
        assert_eq!(code, 0, "{said}");
        said.rsplit("peak ").next().unwrap().trim().parse::<u64>().unwrap()
    };
    let short = peak();
    log(&world, 200_000, 0);
    let long = peak();
    eprintln!("peak memory: {short} KB, with 200,000 operations {long} KB");
    assert!(long < short + 64_000, "{long} KB after {short} KB");
}
