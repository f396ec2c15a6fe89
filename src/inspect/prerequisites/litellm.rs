//! The LiteLLM that start-gateway.sh would run, and the Python behind it: found, asked for versions, checked.
//!
//! LiteLLM itself is never run for this. The interpreter next to it is asked for package versions with `-S`: without it
//! Python runs the `.pth` files of its packages, which is how the malicious versions of LiteLLM took hold.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::check::Finding;
use crate::domain::name::printable;
use crate::domain::runtime::{RuntimeId, RuntimeKind};
use crate::domain::{Hint, Place};
use crate::doors::{disk, system, term};
use crate::runtime::choose;
use crate::runtime::environment;
use crate::runtime::facts::{Facts as Releases, Verdict};

use super::pair::{self, Pair};

const OLDEST_PYTHON: (u64, u64) = (3, 10);
/// LiteLLM cannot be installed for it.
const TOO_NEW_PYTHON: (u64, u64) = (3, 15);
/// How gwinstall brings LiteLLM itself.
const INSTALL: [&str; 2] = ["runtime", "install"];
/// How long an interpreter may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Versions from the metadata beside the interpreter, without running any package.
const ASK: &str = r#"
import json, os, site, sys
home = os.path.dirname(os.path.dirname(os.path.abspath(sys.executable)))
inside = os.path.exists(os.path.join(home, "pyvenv.cfg"))
if inside:
    version = "python%d.%d" % sys.version_info[:2]
    paths = [os.path.join(home, lib, version, "site-packages") for lib in ("lib", "lib64")]
else:
    paths = site.getsitepackages() + [site.getusersitepackages()]
# What the malicious versions left for every later start of that Python; an upgrade does not remove it.
marks = [os.path.join(path, "litellm_init.pth") for path in paths]
found, litellm = {}, None
try:
    import importlib.metadata as metadata
    for name in ("litellm", "google-auth", "prisma", "gunicorn"):
        for package in metadata.distributions(name=name, path=paths):
            found[name] = package.version
            if name == "litellm":
                litellm = str(package.locate_file(""))
            break
except ImportError:
    found = None
print(json.dumps({
    "python": list(sys.version_info[:3]), "packages": found, "venv": home if inside else None,
    "mark": next(filter(os.path.exists, marks), None), "site": litellm,
}))
"#;

/// What start-gateway.sh would use, and what its interpreter answers.
pub(super) struct Tools {
    litellm: Option<PathBuf>,
    /// How to correct `GATEWAY_LITELLM_BIN`, which names something that is not a program.
    named_wrongly: Option<Hint>,
    /// The user chose it: start-gateway.sh runs it whatever its version.
    chosen: bool,
    /// Why the environment that would be used cannot run.
    broken: Option<String>,
    known: Option<Releases>,
    python: Option<PathBuf>,
    said: std::result::Result<Said, String>,
}

/// The interpreter's answer.
#[derive(Debug, Clone, Default, PartialEq)]
struct Said {
    python: (u64, u64, u64),
    /// `None`: it is too old to list them.
    packages: Option<Vec<(String, String)>>,
    /// The virtual environment that it belongs to.
    venv: Option<PathBuf>,
    /// The `.pth` file that a malicious version left behind.
    mark: Option<PathBuf>,
    /// The directory that holds the package litellm.
    site: Option<PathBuf>,
}

impl Said {
    fn version_of(&self, package: &str) -> Option<&str> {
        let (_, version) = self.packages.as_ref()?.iter().find(|(name, _)| name == package)?;
        Some(version)
    }
}

impl Tools {
    /// Finds LiteLLM in the order of start-gateway.sh: `GATEWAY_LITELLM_BIN`, the recorded one, the venv beside it, the PATH.
    pub(super) fn look(place: &Place, recorded: Option<&RuntimeId>, patience: Duration) -> Self {
        let in_env = choose::named_in_env(place);
        let correct = match &in_env {
            Some(_) => Hint::run(&["env", "set", choose::PROGRAM]),
            None => Hint::shell(format!("unset {}", choose::PROGRAM)),
        };
        let named = in_env.or_else(|| system::path_variable(choose::PROGRAM));
        let named_wrongly = named.as_ref().is_some_and(|path| !disk::is_program(path)).then_some(correct);
        let recorded = recorded.filter(|runtime| choose::is_there(place, runtime));
        let chosen = named.is_some() || recorded.is_some();
        let beside = environment::read(&place.file("venv"));
        let broken = beside
            .broken()
            .filter(|_| !chosen)
            .map(|why| format!("{} cannot run: {why}", place.show(&beside.dir)));
        let litellm = match (named, recorded) {
            (Some(path), _) => Some(path).filter(|_| named_wrongly.is_none()),
            (None, Some(runtime)) => Some(program_of(place, runtime)),
            (None, None) if broken.is_some() => None,
            (None, None) if disk::is_program(&beside.program()) => Some(beside.program()),
            (None, None) => system::program("litellm"),
        };
        let python = match &litellm {
            Some(litellm) => interpreter(litellm),
            None => system::program("python3"),
        };
        let said = match &python {
            Some(python) => system::listen_to(python, &["-S", "-c", ASK], &[], patience).and_then(|text| {
                parse(&text).ok_or_else(|| format!("{} gave no usable answer", python.display()))
            }),
            None if litellm.is_some() => Err("gwinstall cannot tell which Python runs litellm".to_owned()),
            None => Err("python3 was not found".to_owned()),
        };
        Self { litellm, named_wrongly, chosen, broken, known: Releases::embedded().ok(), python, said }
    }

    /// Python and LiteLLM with their versions, as far as they are here.
    pub(super) fn versions(&self) -> Vec<String> {
        let Ok(said) = &self.said else { return Vec::new() };
        let (major, minor, patch) = said.python;
        let litellm = self.litellm.as_ref().and_then(|_| said.version_of("litellm"));
        let litellm = litellm.map(|version| format!("LiteLLM {}", printable(version)));
        std::iter::once(format!("Python {major}.{minor}.{patch}")).chain(litellm).collect()
    }
}

/// The program of a recorded LiteLLM.
fn program_of(place: &Place, runtime: &RuntimeId) -> PathBuf {
    let path = runtime.path(&place.home);
    if runtime.kind == RuntimeKind::Path { path } else { path.join("bin/litellm") }
}

/// The Python that runs a script: its first line, else a Python beside the real file.
fn interpreter(script: &Path) -> Option<PathBuf> {
    let real = disk::canonical(script).ok()?;
    let head = disk::read_from(&real, 0, 4096).unwrap_or_default();
    let named = match shebang(&String::from_utf8_lossy(&head)) {
        Some(Named::At(path)) => Some(path).filter(|path| disk::is_program(path)),
        Some(Named::OnPath(name)) => system::program(&name),
        None => None,
    };
    named.or_else(|| {
        let beside =
            |name: &str| real.parent().map(|dir| dir.join(name)).filter(|path| disk::is_program(path));
        beside("python3").or_else(|| beside("python"))
    })
}

/// How a script names its Python.
#[derive(Debug, PartialEq)]
enum Named {
    At(PathBuf),
    /// For `env` to find.
    OnPath(String),
}

/// `#!/path/python3`, `#!/usr/bin/env python3`, or what installers write where a path would be too long for either:
/// `'''exec' "/path/python3" "$0" "$@"`.
fn shebang(head: &str) -> Option<Named> {
    let mut lines = head.lines();
    let first = lines.next()?.strip_prefix("#!")?.trim();
    let is_python = |path: &str| path.rsplit('/').next().is_some_and(|name| name.starts_with("python"));
    let at = |path: &str| (path.starts_with('/') && is_python(path)).then(|| Named::At(PathBuf::from(path)));
    // `-E` and the like follow the path, which may hold no space where the kernel reads it.
    let mut words = first.split_whitespace();
    let direct = words.next().unwrap_or_default();
    if direct.ends_with("/env") {
        // Its own options (`-S`) and NAME=value come before the program.
        let name = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
        let on_path = !name.contains('/') && is_python(name);
        return at(name).or_else(|| on_path.then(|| Named::OnPath(name.to_owned())));
    }
    if let Some(named) = at(direct) {
        return Some(named);
    }
    let exec = lines.next()?.strip_prefix("'''exec' ")?;
    at(exec.strip_prefix('"').map_or_else(|| exec.split(' ').next(), |rest| rest.split('"').next())?)
}

fn parse(text: &str) -> Option<Said> {
    let value: Value = serde_json::from_str(text.lines().last()?).ok()?;
    let numbers: Vec<u64> = value.get("python")?.as_array()?.iter().filter_map(Value::as_u64).collect();
    let [major, minor, patch] = numbers.as_slice() else { return None };
    let packages = value.get("packages")?.as_object().map(|packages| {
        let version = |(name, version): (&String, &Value)| Some((name.clone(), version.as_str()?.to_owned()));
        packages.iter().filter_map(version).collect()
    });
    let path = |key: &str| value.get(key).and_then(Value::as_str).map(PathBuf::from);
    let (venv, mark, site) = (path("venv"), path("mark"), path("site"));
    Some(Said { python: (*major, *minor, *patch), packages, venv, mark, site })
}

pub(super) struct Prerequisites<'a> {
    pub(super) place: &'a Place,
    pub(super) tools: &'a Tools,
    pub(super) deployed: bool,
}

impl Prerequisites<'_> {
    /// A missing requirement is a failure for a deployed gateway, and a warning before the installation.
    fn bad(&self, message: String) -> Finding {
        if self.deployed { Finding::fail(message) } else { Finding::warn(message) }
    }

    fn poisoned(&self) -> Option<&Said> {
        let is_bad = |said: &&Said| {
            said.mark.is_some()
                || said.version_of("litellm").is_some_and(|version| self.is_malicious(version))
        };
        self.tools.said.as_ref().ok().filter(is_bad)
    }

    fn is_malicious(&self, version: &str) -> bool {
        self.tools.known.as_ref().is_some_and(|known| known.verdict(version) == Verdict::Malicious)
    }

    /// Removes a malicious version and installs a safe one. Not with its own interpreter: pip, too, would begin by running
    /// the planted code.
    fn reinstall(&self, said: &Said) -> String {
        let paste = |path: &Path| self.place.paste(path);
        let mut steps = Vec::new();
        if let Some(venv) = &said.venv {
            steps.push(format!("rm -rf {}", paste(venv)));
        } else {
            steps.extend(said.mark.iter().map(|mark| format!("rm -f {}", paste(mark))));
            let package = |site: &PathBuf| format!("rm -rf {0}/litellm {0}/litellm-*.dist-info", paste(site));
            steps.extend(said.site.iter().map(package));
        }
        steps.push(term::command(&INSTALL));
        steps.join(" && ")
    }

    /// How the interpreter in use gets packages.
    fn pip(&self, what: &str) -> Hint {
        match (&self.tools.litellm, &self.tools.python) {
            (Some(_), Some(python)) => {
                Hint::shell(format!("{} -m pip install {what}", self.place.paste(python)))
            }
            _ => Hint::run(&INSTALL),
        }
    }

    pub(super) fn python(&self) -> Finding {
        let said = match &self.tools.said {
            Ok(said) => said,
            // It may well run: a wrapper, a shim, a container.
            Err(why) if self.tools.litellm.is_some() && self.tools.python.is_none() => {
                return Finding::warn(why.clone()).hint(Hint::run(&INSTALL));
            }
            Err(why) => {
                return self.bad(why.clone()).hint(
                    Hint::shell("sudo apt-get install python3 python3-venv")
                        .to("install Python 3.10 to 3.14, for example"),
                );
            }
        };
        let (major, minor, patch) = said.python;
        let version = format!("{major}.{minor}.{patch}");
        let shown = self.tools.python.as_ref().map_or_else(String::new, |path| self.place.show(path));
        let details = json!({ "python": shown, "version": version });
        let other = match (major, minor) {
            python if python < OLDEST_PYTHON => "a newer Python",
            python if python >= TOO_NEW_PYTHON => "Python 3.14",
            _ => return Finding::pass(format!("{shown} is Python {version}")).details(details),
        };
        self.bad(format!("{shown} is Python {version}, and LiteLLM needs 3.10 to 3.14"))
            .details(details)
            .hint(
                Hint::step(format!("install {other}")).or(Hint::run(&INSTALL).to("install LiteLLM with it")),
            )
    }

    pub(super) fn litellm(&self) -> Finding {
        if let Some(correct) = &self.tools.named_wrongly {
            return self.bad(format!("{} is not a program", choose::PROGRAM)).hint(correct.clone());
        }
        if let Some(why) = &self.tools.broken {
            return self.bad(why.clone()).hint(Hint::run(&INSTALL));
        }
        match &self.tools.litellm {
            Some(path) => Finding::pass(format!("{} will be used", self.place.show(path))),
            None => self.bad("litellm was not found".to_owned()).hint(Hint::run(&INSTALL)),
        }
    }

    /// Packages of the interpreter next to litellm; without litellm there is nothing to ask about.
    fn packages(&self) -> std::result::Result<&[(String, String)], String> {
        let Some(_) = &self.tools.litellm else { return Err("litellm was not found".to_owned()) };
        match &self.tools.said {
            Ok(Said { packages: Some(packages), .. }) => Ok(packages),
            Ok(_) => Err("this Python is too old to list its packages".to_owned()),
            Err(why) => Err(why.clone()),
        }
    }

    /// Whether this LiteLLM and that Claude Code were tested together.
    pub(super) fn pair(&self, claude_code: Option<&str>, releases: Option<&Releases>) -> Finding {
        let litellm = self.tools.said.as_ref().ok().and_then(|said| said.version_of("litellm"));
        match (claude_code, litellm, releases) {
            (Some(claude_code), Some(litellm), Some(known)) => {
                pair::finding(&Pair { claude_code, litellm }, known)
            }
            _ => Finding::skip("the versions of Claude Code and LiteLLM are not both known"),
        }
    }

    pub(super) fn version(&self) -> Finding {
        if let Some(said) = self.poisoned() {
            return self.malicious(said);
        }
        let packages = match self.packages() {
            Ok(packages) => packages,
            Err(why) => return Finding::skip(why),
        };
        let Some((_, version)) = packages.iter().find(|(name, _)| name == "litellm") else {
            return Finding::warn(
                "the version of litellm is not known: its package is not beside its interpreter",
            );
        };
        let details = json!({ "version": version });
        let Some(Verdict::Unsafe { reason, .. }) =
            self.tools.known.as_ref().map(|known| known.verdict(version))
        else {
            return Finding::pass(format!("LiteLLM {version}")).details(details);
        };
        let safe = self.tools.known.as_ref().and_then(Releases::oldest_safe).unwrap_or_default();
        let message = format!("LiteLLM {version} is older than {safe}: {reason}");
        // What the user chose runs; what was only found is refused by start-gateway.sh.
        let finding = if self.tools.chosen { Finding::warn(message) } else { self.bad(message) };
        finding.details(details).hint(
            Hint::run(&INSTALL)
                .to("install a safe version")
                .or(self
                    .pip(&format!("--upgrade 'litellm[proxy,google]>={safe}' prisma"))
                    .to("upgrade this one"))
                .or(Hint::run(&["restart"]).to("run it")),
        )
    }

    fn malicious(&self, said: &Said) -> Finding {
        let version = said.version_of("litellm");
        let mark = said.mark.as_ref().map(|mark| self.place.show(mark));
        let what = match (version.filter(|version| self.is_malicious(version)), &mark) {
            (None, Some(mark)) => {
                format!(
                    "{mark} comes from a malicious version of LiteLLM, and every start of its Python runs it"
                )
            }
            (version, _) => {
                format!("LiteLLM {} was published with malicious code", version.unwrap_or_default())
            }
        };
        Finding::fail(format!(
            "{what}; do not start it, and treat every credential on this machine as known to others"
        ))
        .details(json!({ "version": version, "mark": mark }))
        .hint(
            Hint::shell(self.reinstall(said))
                .to("remove it and install a safe version")
                .or(Hint::step("change your keys after that")),
        )
    }

    pub(super) fn package(&self, package: &str, without: &str) -> Finding {
        if self.poisoned().is_some() {
            return Finding::skip("a malicious LiteLLM has to be removed first");
        }
        let packages = match self.packages() {
            Ok(packages) => packages,
            Err(why) => return Finding::skip(why),
        };
        match packages.iter().find(|(name, _)| name == package) {
            Some((_, version)) => {
                Finding::pass(format!("{package} {version}")).details(json!({ "version": version }))
            }
            None => self
                .bad(format!("{package} is not installed beside litellm: {without}"))
                .hint(self.pip("'litellm[proxy,google]' prisma")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_of_a_script_is_read_from_its_head() {
        let at = |path: &str| Some(Named::At(PathBuf::from(path)));
        assert_eq!(shebang("#!/a/venv/bin/python3\nimport re"), at("/a/venv/bin/python3"));
        assert_eq!(shebang("#!/usr/bin/python3.12 -sE\n"), at("/usr/bin/python3.12"));
        let long = "#!/bin/sh\n'''exec' \"/a b/venv/bin/python\" \"$0\" \"$@\"\n' '''\n";
        assert_eq!(shebang(long), at("/a b/venv/bin/python"));
        let bare = "#!/bin/sh\n'''exec' /long/bin/python3 \"$0\" \"$@\"\n";
        assert_eq!(shebang(bare), at("/long/bin/python3"));
        let by_env = |name: &str| Some(Named::OnPath(name.to_owned()));
        assert_eq!(shebang("#!/usr/bin/env python3\n"), by_env("python3"));
        assert_eq!(shebang("#!/usr/bin/env -S A=b python3.12 -sE\n"), by_env("python3.12"));
        assert_eq!(shebang("#!/usr/bin/env -S /opt/python3 -s\n"), at("/opt/python3"));
        assert_eq!(shebang("#!/usr/bin/env bash\n"), None);
        assert_eq!(shebang("#!/usr/bin/env -S bin/python3\n"), None);
        assert_eq!(shebang("#!/bin/sh\nexec litellm\n"), None);
        assert_eq!(shebang("\x7fELF"), None);
    }

    #[test]
    fn the_answer_of_an_interpreter_is_read_strictly() {
        let said = parse("{\"python\": [3, 11, 2], \"packages\": {\"litellm\": \"1.82.8\"}}\n").unwrap();
        assert_eq!(said.python, (3, 11, 2));
        assert_eq!(said.packages.unwrap(), [("litellm".to_owned(), "1.82.8".to_owned())]);
        assert_eq!(parse("{\"python\": [3, 7, 1], \"packages\": null}").unwrap().packages, None);
        assert_eq!(parse("hello"), None);
        assert_eq!(parse("{\"python\": [3], \"packages\": {}}"), None);
    }
}
