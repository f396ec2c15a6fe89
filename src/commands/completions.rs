//! `completions`: the script that a shell reads, and what comes next on a command line when the shell asks.
//!
//! The script asks gwinstall itself, so it offers the models, backups, variables and conflicts of this deployment.
//! Looks, and changes nothing but the one file that `--install` names. Prints no message to a
//! shell that asks.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Arg, Command, CommandFactory, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;
use serde_json::json;

use crate::bundle::{Bundle, Catalog, Provider};
use crate::cli::{Cli, Color, Common, CompletionsArgs, Shell};
use crate::deploy::{backup, resolve, store};
use crate::domain::record::Record;
use crate::domain::request::GatewayType;
use crate::domain::{Error, Hint, Place, Result};
use crate::doors::{system, term};

use super::invocation;
use super::shell_files;
use crate::render::CLAUDE;
use crate::runtime::place as runtimes;
use crate::ui::answer::Answer;

/// Set by the script when it asks.
const VARIABLE: &str = "GWINSTALL_COMPLETE";

/// Answers a shell that asks what comes next. `None`: no shell asks, this is an ordinary run.
pub fn asked(arguments: &[OsString]) -> Option<u8> {
    system::variable(VARIABLE).filter(|shell| !shell.is_empty())?;
    term::set_manner(term::Manner { quiet: true, ..term::Manner::default() });
    // Behind `--` stands the line of the user, with the name of the program first.
    let line = arguments.iter().skip_while(|word| *word != "--").skip(2);
    let typed: Vec<String> = line.map(|word| word.to_string_lossy().into_owned()).collect();
    let scene = Arc::new(Scene::of(&typed));
    let here = system::current_dir().ok();
    let asked = CompleteEnv::with_factory(move || with_names(Cli::command(), &[], &scene))
        .var(VARIABLE)
        .bin("gwinstall")
        .completer("gwinstall")
        .try_complete(arguments.iter().cloned(), here.as_deref());
    Some(u8::from(asked.is_err()))
}

/// The sources of the names: the words typed so far, and the deployment that they refer to.
struct Scene {
    words: Vec<String>,
    place: Option<Place>,
}

impl Scene {
    fn of(words: &[String]) -> Self {
        let named = invocation::of(words).place;
        let value =
            |flag: &str| named.chunks(2).find(|pair| pair[0] == flag).map(|pair| PathBuf::from(&pair[1]));
        let common = Common {
            home: value("--home"),
            target_dir: value("--target-dir"),
            json: false,
            quiet: true,
            verbose: false,
            plain: false,
            color: Color::Never,
            lock_wait: 0,
        };
        Self { words: words.to_vec(), place: super::place::resolve(&common).ok() }
    }

    fn record(&self) -> Option<Record> {
        store::record_as_found(self.place.as_ref()?).ok().flatten()
    }

    /// The catalog of what is deployed, else the built-in one.
    fn catalog(&self) -> Option<Catalog> {
        let deployed = self
            .place
            .as_ref()
            .and_then(|place| super::sources::deployed(place, self.record().as_ref()).ok());
        deployed.or_else(|| Bundle::embedded().ok()).map(|bundle| bundle.catalog)
    }

    /// The names of one kind, each with what helps to choose.
    fn names(&self, noun: Noun) -> Vec<(String, String)> {
        let plain = |names: Vec<String>| names.into_iter().map(|name| (name, String::new())).collect();
        match noun {
            Noun::GatewayType => plain(GatewayType::ALL.map(|kind| kind.word().to_owned()).to_vec()),
            Noun::Preset => self.catalog().map_or_else(Vec::new, |catalog| {
                catalog.presets.iter().map(|one| (one.name.clone(), one.description.clone())).collect()
            }),
            Noun::Provider => self.providers(&|_| true),
            Noun::Answerer => {
                let mut names = vec![(CLAUDE.to_owned(), "Claude Code's own login".to_owned())];
                let gateway = self.record().filter(Record::has_gateway);
                names.extend(gateway.map(|record| (record.preset, record.gateway_url)));
                names.extend(self.providers(&Provider::is_direct));
                names
            }
            Noun::Models => plain(self.models()),
            Noun::NewModel => {
                let deployed = self.record().map(|record| record.models).unwrap_or_default();
                plain(self.models().into_iter().filter(|model| !deployed.contains(model)).collect())
            }
            Noun::DeployedModel => plain(self.record().map(|record| record.models).unwrap_or_default()),
            Noun::Variable => self.catalog().map_or_else(Vec::new, |catalog| {
                catalog.environment.iter().map(|one| (one.name.clone(), one.description.clone())).collect()
            }),
            Noun::Backup => self.backups(),
            Noun::Conflict => {
                let open = self.record().map(|record| {
                    resolve::open_conflicts(&record).into_iter().map(str::to_owned).collect::<Vec<_>>()
                });
                plain(open.unwrap_or_default())
            }
            Noun::Runtime => {
                let found =
                    self.place.as_ref().and_then(|place| runtimes::list(place).ok()).unwrap_or_default();
                plain(found.into_iter().map(|one| one.name).collect())
            }
            Noun::Command => self.commands(),
        }
    }

    fn models(&self) -> Vec<String> {
        let catalog = self.catalog();
        catalog.map_or_else(Vec::new, |catalog| catalog.all_models().map(|one| one.id.clone()).collect())
    }

    fn providers(&self, counts: &dyn Fn(&Provider) -> bool) -> Vec<(String, String)> {
        let catalog = self.catalog();
        let providers = catalog.into_iter().flat_map(|catalog| catalog.providers);
        let counted = providers.filter(|provider| counts(provider));
        counted.map(|provider| (provider.name, provider.description)).collect()
    }

    /// Newest first.
    fn backups(&self) -> Vec<(String, String)> {
        let entries = self.place.as_ref().and_then(|place| backup::list(place).ok()).unwrap_or_default();
        let before =
            |entry: &backup::Entry| entry.before.map_or_else(String::new, |verb| format!("before {verb}"));
        let item = |entry: backup::Entry| (entry.filename.clone(), before(&entry));
        entries.into_iter().rev().map(item).collect()
    }

    /// The commands below those that stand behind `help`.
    fn commands(&self) -> Vec<(String, String)> {
        let mut command = Cli::command();
        for word in self.words.iter().skip_while(|word| *word != "help").skip(1) {
            if let Some(below) = command.find_subcommand(word) {
                command = below.clone();
            }
        }
        let visible = command.get_subcommands().filter(|below| !below.is_hide_set());
        let about = |below: &Command| below.get_about().map(ToString::to_string).unwrap_or_default();
        visible.map(|below| (below.get_name().to_owned(), about(below))).collect()
    }
}

/// What an argument names.
#[derive(Clone, Copy, PartialEq)]
enum Noun {
    Preset,
    /// One that is not deployed.
    NewModel,
    /// Several, separated by commas.
    Models,
    DeployedModel,
    GatewayType,
    Provider,
    /// What `use` takes.
    Answerer,
    Variable,
    Backup,
    Conflict,
    /// A LiteLLM that gwinstall installed.
    Runtime,
    Command,
}

fn noun(path: &[&str], argument: &str) -> Option<Noun> {
    Some(match (path, argument) {
        (["install"], "preset" | "preset_word") | (["presets", "show"], "preset") => Noun::Preset,
        (["install"], "models") | (["usage"], "compare") => Noun::Models,
        (["install"], "gateway_type") => Noun::GatewayType,
        (["install"], "provider") => Noun::Provider,
        (["use"], "name") => Noun::Answerer,
        (["models", "add"], "models") => Noun::NewModel,
        (["models", "remove" | "test"], "models") => Noun::DeployedModel,
        (["env", "set" | "unset"], "name") => Noun::Variable,
        (["rollback"] | ["backup", _], "backup") => Noun::Backup,
        (["resolve"], "file") => Noun::Conflict,
        (["runtime", "remove"], "name") => Noun::Runtime,
        (["help"], "command") => Noun::Command,
        _ => return None,
    })
}

/// The command line with the names that its arguments can take.
fn with_names(command: Command, path: &[&str], scene: &Arc<Scene>) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    let asks_for_flags = scene.words.last().is_some_and(|word| word.starts_with('-'));
    let command = command.mut_args(|arg| {
        // Names come first: flags are offered once a dash is typed, or where there is no name to offer.
        let hidden = arg.is_hide_set() || (!arg.is_positional() && !asks_for_flags);
        let arg = arg.hide(hidden);
        match noun(path, arg.get_id().as_str()) {
            Some(noun) => completed(arg, noun, Arc::clone(scene)),
            None => arg,
        }
    });
    let command = command.disable_help_flag(!asks_for_flags).disable_version_flag(!asks_for_flags);
    names.iter().fold(command, |command, name| {
        command.mut_subcommand(name, |below| with_names(below, &[path, &[name]].concat(), scene))
    })
}

fn completed(arg: Arg, noun: Noun, scene: Arc<Scene>) -> Arg {
    arg.add(ArgValueCompleter::new(move |typed: &OsStr| {
        let typed = typed.to_string_lossy();
        let (before, begun) = match typed.rsplit_once(',').filter(|_| noun == Noun::Models) {
            Some((before, begun)) => (format!("{before},"), begun),
            None => (String::new(), &*typed),
        };
        let fits = |(name, _): &(String, String)| name.starts_with(begun);
        let candidate = |(name, help): (String, String)| {
            let help = Some(help).filter(|help| !help.is_empty());
            CompletionCandidate::new(format!("{before}{name}")).help(help.map(Into::into))
        };
        scene.names(noun).into_iter().filter(fits).map(candidate).collect()
    }))
}

pub(super) fn run(common: &Common, args: &CompletionsArgs) -> Result<Answer> {
    let shell = shell_of(args)?;
    if args.install {
        return install(&super::place::resolve(common)?, shell);
    }
    let script = script(shell)?;
    Ok(Answer::new(format!("completions for {}", name(shell)))
        .data(json!({ "shell": name(shell), "script": script }))
        .quoting(script))
}

/// The shell that was named, else the one that the user logs in with.
fn shell_of(args: &CompletionsArgs) -> Result<Shell> {
    let login = || {
        let path = system::variable("SHELL")?;
        Shell::from_str(Path::new(&path).file_name()?.to_str()?, true).ok()
    };
    args.shell.or_else(login).ok_or_else(|| {
        Error::usage("gwinstall completions needs the name of a shell")
            .hint(Hint::run(&["completions", "bash"]))
    })
}

fn name(shell: Shell) -> String {
    shell.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// What the shell evaluates: it calls gwinstall by its name on the PATH.
fn script(shell: Shell) -> Result<String> {
    let name = name(shell);
    let failed = || Error::failed(format!("cannot make the completion script for {name}"));
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let completer = shells.completer(&name).ok_or_else(failed)?;
    completer
        .write_registration(VARIABLE, "gwinstall", "gwinstall", "gwinstall", &mut script)
        .map_err(|error| failed().because(error))?;
    String::from_utf8(script).map_err(|error| failed().because(error))
}

/// Puts a file where the shell looks for it. The file asks gwinstall for the script, so it stays right after an update.
fn install(place: &Place, shell: Shell) -> Result<Answer> {
    let name = name(shell);
    let Some(path) = shell_files::completion_file(place, shell) else {
        return Err(Error::usage(format!("{name} has no directory for completions that gwinstall knows"))
            .hint(Hint::run(&["completions", &name]).to("print the script")));
    };
    let text = match shell {
        Shell::Fish => "gwinstall completions fish | source\n".to_owned(),
        // zsh runs the file at the first completion, which is answered too.
        Shell::Zsh => "#compdef gwinstall\neval \"$(gwinstall completions zsh)\"\n_clap_dynamic_completer_gwinstall \"$@\"\n".to_owned(),
        _ => format!("eval \"$(gwinstall completions {name})\"\n"),
    };
    shell_files::write_completions(&path, &text)?;
    let shown = place.show(&path);
    let next = match shell {
        Shell::Zsh => format!(
            "zsh reads it if its directory is in fpath. If it is not, put this into ~/.zshrc, before compinit:\n  fpath+=({})",
            path.parent().map(|dir| place.paste(dir)).unwrap_or_default()
        ),
        _ => format!("A new {name} completes gwinstall."),
    };
    Ok(Answer::new(format!("wrote {shown}"))
        .text(format!("Wrote {shown}.\n{next}"))
        .data(json!({ "shell": name, "path": path })))
}
