//! A home of its own for each test, and the program in it: nothing of the machine's environment, nobody's real files.
//! `GWINSTALL_BIN` names the binary under test; without it, the one that cargo built.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

pub struct World {
    home: tempfile::TempDir,
    environment: Vec<(String, String)>,
    /// Adds `--on` to `install`: without LiteLLM gwinstall leaves the settings alone, and most tests are about them.
    forced: bool,
}

/// What a run said and how it ended.
#[derive(Debug)]
#[must_use]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// The run ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.out.contains(text) || self.err.contains(text),
            "no {text:?} in\n{}\n{}",
            self.out,
            self.err
        );
        self
    }

    #[track_caller]
    pub fn never_says(self, text: &str) -> Self {
        assert!(
            !self.out.contains(text) && !self.err.contains(text),
            "{text:?} in\n{}\n{}",
            self.out,
            self.err
        );
        self
    }

    /// The `data` of a `--json` answer.
    #[track_caller]
    pub fn data(&self) -> Value {
        let envelope: Value =
            serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("{why}: {}", self.out));
        assert_eq!(envelope["exit"], self.code, "{envelope}");
        envelope["data"].clone()
    }
}

impl World {
    pub fn new() -> Self {
        let world = Self { home: tempfile::tempdir().unwrap(), environment: Vec::new(), forced: true };
        // A machine at a cloud provider has a login of its own.
        world.with("NO_GCE_CHECK", "true").with("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// With a preset deployed. The port is out of the way of anything that may run here.
    pub fn deployed(arguments: &[&str]) -> Self {
        let world = Self::new();
        let mut all = vec!["install", "--yes"];
        all.extend(arguments);
        let _ = world.run(&all).exits(0);
        world
    }

    /// `install` decides by itself whether Claude Code uses the gateway.
    #[must_use]
    pub fn unforced(self) -> Self {
        Self { forced: false, ..self }
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.environment.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// A machine where a gateway can start: a stand-in for LiteLLM in tools/, and every required value. `None` where
    /// there is no Python to run the stand-in.
    pub fn with_litellm() -> Option<Self> {
        if fs::metadata("/usr/bin/python3").is_err() {
            eprintln!("skipped: there is no python3 here");
            return None;
        }
        let world =
            Self::new().with("VERTEXAI_PROJECT", "my-project").with("GOOGLE_APPLICATION_CREDENTIALS", "/x");
        let litellm = world.home().join("tools/litellm");
        program(&litellm, LITELLM);
        Some(world.with("GATEWAY_LITELLM_BIN", litellm.to_str().unwrap()))
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn gateway(&self, path: &str) -> PathBuf {
        self.home().join(".claude/gateway").join(path)
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.gateway(path)).unwrap()
    }

    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.gateway(path), text).unwrap();
    }

    pub fn record(&self) -> Value {
        serde_json::from_str(&self.read("deployment-manifest.json")).unwrap()
    }

    pub fn settings(&self) -> Value {
        let text = fs::read_to_string(self.home().join(".claude/settings.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Names of the archives, oldest first.
    pub fn backups(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.gateway("backups")) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".tar.gz")).collect();
        // `-2` and so on come after the first of the same second.
        names.sort_by_key(|name| {
            let stem = name.trim_end_matches(".tar.gz");
            let (moment, number) = stem.split_at("gateway-backup-YYYYMMDD-HHMMSS".len());
            (moment.to_owned(), number.trim_start_matches('-').parse().unwrap_or(1))
        });
        names
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let binary = std::env::var_os("GWINSTALL_BIN")
            .map_or_else(|| PathBuf::from(assert_cmd::cargo::cargo_bin!("gwinstall")), PathBuf::from);
        let mut command = Command::new(binary);
        let verb = arguments.iter().find(|word| !word.starts_with('-'));
        let insist = match verb {
            Some(&"install") if !arguments.contains(&"--start") => Some("--on"),
            Some(&"on") => Some("--force"),
            _ => None,
        };
        command
            .args(arguments)
            .args(insist.filter(|_| self.forced))
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", "/usr/bin:/bin")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, "")
    }

    /// With this text as standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Said {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A run that refuses before it reads has closed the pipe, and that is its right.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Every file below the home with its bytes: what a refused run must leave alone. The lock is left out: its content is
    /// the name of its last holder and decides nothing.
    pub fn snapshot(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut todo = vec![self.home().to_path_buf()];
        while let Some(dir) = todo.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    todo.push(path);
                } else if !path.ends_with(".gwinstall/lock") {
                    files.push((path.clone(), fs::read(&path).unwrap_or_default()));
                }
            }
        }
        files.sort();
        files
    }
}

pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

pub fn program(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// As LiteLLM is seen from outside: serves until it is told to end; `--validate_config` is content unless a file `refuse`
/// lies beside it.
pub const LITELLM: &str = include_str!("../fixtures/litellm.py");

/// A directory with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
