//! A home directory that belongs to one test, and the program run in it with nothing else around: no variable, no
//! configuration and no terminal of the machine that runs the tests.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::{CommandExt as _, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::tree::{Node, Tree, moments};

/// Somebody who owns nothing on this machine.
const NOBODY: u32 = 65_534;

pub struct TestHome {
    /// Holds the home directory and whatever else a test needs beside it; goes when the test ends.
    root: TempDir,
    home: PathBuf,
    variables: Vec<(OsString, OsString)>,
    as_nobody: bool,
    /// Adds to `install` and `on` that they insist.
    forced: bool,
}

impl TestHome {
    pub fn new() -> Self {
        Self::named("home")
    }

    /// A home whose last path step is `name`.
    pub fn named(name: &str) -> Self {
        let root = tempfile::Builder::new().prefix("gw").tempdir_in(scratch()).unwrap();
        let home = root.path().canonicalize().unwrap().join(name);
        fs::create_dir(&home).unwrap();
        let variables = vec![
            ("HOME".into(), home.clone().into_os_string()),
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("TERM".into(), "dumb".into()),
            // A machine at a cloud provider has a login of its own.
            ("NO_GCE_CHECK".into(), "true".into()),
            ("AWS_EC2_METADATA_DISABLED".into(), "true".into()),
        ];
        Self { root, home, variables, as_nobody: false, forced: true }
    }

    /// A home with the `basic` preset in it, two models, deployed by the program.
    pub fn deployed() -> Self {
        let home = Self::new();
        home.run("install --yes --models gemini-3.8-flash,glm-5.2").exits(0);
        home
    }

    #[must_use]
    pub fn with(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.variables.retain(|(known, _)| known != name.as_ref());
        self.variables.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    /// From now on the program runs as a user without privileges, who owns this home.
    #[must_use]
    pub fn owned_by_nobody(mut self) -> Self {
        if is_root() {
            self.as_nobody = true;
            for (path, node) in &Tree::of(self.root()).0 {
                if !matches!(node, Node::Link(_)) {
                    chown(self.root().join(path), Some(NOBODY), Some(NOBODY)).unwrap();
                }
            }
        }
        self
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A path below the home.
    pub fn path(&self, path: &str) -> PathBuf {
        self.home.join(path)
    }

    /// A path below `~/.claude/gateway`.
    pub fn gateway(&self, path: &str) -> PathBuf {
        self.home.join(".claude/gateway").join(path)
    }

    pub fn settings(&self) -> PathBuf {
        self.home.join(".claude/settings.json")
    }

    /// Writes a file below the home, with the directories that it needs.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn read(&self, path: &str) -> String {
        let path = self.home.join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A value of `gateway/.env`.
    pub fn env_value(&self, name: &str) -> Option<String> {
        let text = self.read(".claude/gateway/.env");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        Some(value.trim_matches('\'').to_owned())
    }

    /// A JSON file below the home.
    pub fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.read(path)).unwrap()
    }

    pub fn record(&self) -> Value {
        self.json(".claude/gateway/deployment-manifest.json")
    }

    /// The lines of the log of operations.
    pub fn log(&self) -> Vec<Value> {
        let text = self.read(".claude/gateway/deployment.log");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Names of the archives in `backups/`, oldest first.
    pub fn backups(&self) -> Vec<String> {
        let Ok(text) = fs::read_to_string(self.gateway("backups/metadata.json")) else { return Vec::new() };
        let index: Value = serde_json::from_str(&text).unwrap();
        let name = |entry: &Value| entry["filename"].as_str().unwrap().to_owned();
        index["backups"].as_array().unwrap().iter().map(name).collect()
    }

    pub fn tree(&self) -> Tree {
        Tree::of(&self.home)
    }

    /// What a user would miss if it were lost: everything but the log, which a failed operation writes a line to, and
    /// private directories of ours.
    pub fn live(&self) -> Tree {
        self.tree().without(|path| path.ends_with("deployment.log") || path.contains(".gwinstall/lock"))
    }

    /// Only what was deployed: no log, no backups, nothing private.
    pub fn deployment(&self) -> Tree {
        Tree::of(&self.gateway("")).without(|path| {
            ["", ".gwinstall", "backups"]
                .iter()
                .any(|dir| path == *dir || path.starts_with(&format!("{dir}/")))
                || path == "deployment.log"
                || path == "deployment-manifest.json"
        })
    }

    pub fn chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.home.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn mode(&self, path: &str) -> u32 {
        fs::symlink_metadata(self.home.join(path)).unwrap().permissions().mode() & 0o7777
    }

    /// The program with arguments that hold no spaces; more can be added.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = if self.as_nobody {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]).arg(binary());
            command
        } else {
            Command::new(binary())
        };
        for word in arguments.split_whitespace() {
            command.arg(word).args(self.insists(word, arguments));
        }
        self.surround(&mut command);
        command
    }

    /// These homes have no LiteLLM: without it gwinstall leaves the settings alone, and most tests are about them.
    fn insists(&self, word: &str, arguments: &str) -> Option<&'static str> {
        let first = arguments.split_whitespace().find(|word| !word.starts_with('-'));
        match word {
            _ if !self.forced || first != Some(word) => None,
            "install" if !arguments.contains("--start") => Some("--on"),
            "on" => Some("--force"),
            _ => None,
        }
    }

    /// `install` decides by itself whether Claude Code uses the gateway.
    #[must_use]
    pub fn unforced(self) -> Self {
        Self { forced: false, ..self }
    }

    /// A shell in this home; the program is `"$GW"`.
    pub fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        self.surround(&mut command);
        command.env("GW", binary());
        command
    }

    /// The same in a mount namespace of its own. `None` where the kernel allows none.
    pub fn unshared(&self, script: &str) -> Option<Command> {
        let how = if is_root() { "-m" } else { "-rm" };
        if !Command::new("unshare").args([how, "true"]).output().is_ok_and(|output| output.status.success()) {
            eprintln!("not checked: this machine allows no mount namespace");
            return None;
        }
        let mut command = Command::new("unshare");
        command.args([how, "/bin/sh", "-ec", script]);
        self.surround(&mut command);
        command.env("GW", binary());
        Some(command)
    }

    fn surround(&self, command: &mut Command) {
        command
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.root())
            .stdin(Stdio::null());
        // Tests may run under nohup, and a SIGHUP that is ignored stays so in every child.
        // SAFETY: between fork and exec, one call that is safe there.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGHUP, libc::SIG_DFL);
                Ok(())
            })
        };
    }

    /// Runs the program with arguments that hold no spaces.
    #[must_use]
    pub fn run(&self, arguments: &str) -> Run {
        Run::of(&mut self.command(arguments))
    }

    /// Runs and expects a refusal that left every byte where it was.
    pub fn refused(&self, command: &mut Command, code: i32) -> Run {
        let before = self.live();
        let run = Run::of(command).exits(code);
        let changes = before.changes(&self.live());
        assert!(changes.is_empty(), "{} changed {changes:?}", run.what);
        run
    }

    /// Runs and expects that nothing at all was written, not even the same bytes again.
    #[must_use]
    pub fn touches_nothing(&self, arguments: &str) -> Run {
        let (before, then) = (self.tree(), moments(self.home()));
        let run = self.run(arguments);
        let changes = before.changes(&self.tree());
        assert!(changes.is_empty(), "{arguments} changed {changes:?}");
        let now = moments(self.home());
        let touched: Vec<_> = now.iter().filter(|(path, moment)| then.get(*path) != Some(moment)).collect();
        assert!(touched.is_empty(), "{arguments} touched {touched:?}");
        run
    }
}

/// What came back.
pub struct Run {
    pub what: String,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    #[must_use]
    pub fn of(command: &mut Command) -> Self {
        let what = format!("{:?}", command.get_args().collect::<Vec<_>>());
        Self::from(what, &command.output().unwrap())
    }

    /// Runs with this on standard input.
    #[must_use]
    pub fn fed(command: &mut Command, input: &str) -> Self {
        let what = format!("{:?}", command.get_args().collect::<Vec<_>>());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A program that does not read it closes the pipe.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Self::from(what, &child.wait_with_output().unwrap())
    }

    pub fn from(what: String, output: &Output) -> Self {
        let status = output.status;
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { what, code, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Expects this exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code of {}\n{}", self.what, self.all());
        self
    }

    /// Expects each of these texts on stdout or stderr.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.all().contains(text), "{} does not say {text:?}:\n{}", self.what, self.all());
        }
        self
    }

    #[track_caller]
    pub fn never_says(self, text: &str) -> Self {
        assert!(!self.all().contains(text), "{} says {text:?}:\n{}", self.what, self.all());
        self
    }

    /// stderr, then stdout: the order in which a person mostly sees them.
    pub fn all(&self) -> String {
        format!("{}{}", self.stderr, self.stdout)
    }

    /// The one JSON document on stdout.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", self.what, self.all()))
    }

    /// `(rule, action)` of a path in the plan of a `--json` run.
    #[track_caller]
    pub fn rule(&self, path: &str) -> (u64, String) {
        let document = self.json();
        let steps = document["data"]["steps"].as_array().unwrap_or_else(|| panic!("no steps: {document}"));
        let step = steps.iter().find(|step| step["path"] == path);
        let step = step.unwrap_or_else(|| panic!("no step for {path}"));
        (step["rule"].as_u64().unwrap(), step["action"].as_str().unwrap().to_owned())
    }
}

pub fn binary() -> OsString {
    std::env::var_os("GWINSTALL_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_gwinstall").into())
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Memory where there is enough of it: the tests are about what is written, and thousands of syncs add nothing.
fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let roomy = rustix::fs::statvfs(memory).is_ok_and(|fs| fs.f_bavail * fs.f_frsize > 1 << 30);
    if roomy { memory.to_path_buf() } else { std::env::temp_dir() }
}

/// The command of a key helper without its word: it prints the key, and does not start the gateway for it.
pub fn printing(helper: &str) -> String {
    helper.trim_end_matches(" local").to_owned()
}
