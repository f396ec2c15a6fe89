//! `service`: lets the service manager of the user keep the gateway running.
//!
//! Promises: nothing is written where the manager cannot be reached; a gateway that runs already is handed over only once the file
//! is in place; if the gateway does not come up as a service, the service is gone again and the gateway runs as before.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::cli::{Common, ConfirmArgs, ServiceCommand, ServiceInstallArgs};
use crate::deploy::plan::OLD_SUFFIX;
use crate::deploy::{converge, lost};
use crate::domain::{Error, Hint, Operation, Place, Result};
use crate::doors::disk::{self, At as _};
use crate::doors::{system, term};
use crate::gateway::service::{self, Found, Keeper, Process, Service, State};
use crate::gateway::{self as running, Verb, process};
use crate::ui::answer::Answer;

use super::{change, gateway};

pub(super) fn run(place: &Place, common: &Common, command: &ServiceCommand) -> Result<Answer> {
    if place.staged {
        return Err(Error::usage("`service` cannot be combined with --home")
            .because("a service belongs to the user who logs in on that machine")
            .hint(Hint::shell("gwinstall service install").to("do it on that machine")));
    }
    match command {
        ServiceCommand::Install(args) => install(place, common, args),
        ServiceCommand::Remove(confirm) => remove(place, common, confirm),
        ServiceCommand::Status => status(place),
    }
}

fn install(place: &Place, common: &Common, args: &ServiceInstallArgs) -> Result<Answer> {
    change::not_interrupted(place)?;
    let record = lost::record(place)?
        .ok_or_else(|| Error::usage("nothing is deployed yet").hint(Hint::run(&["install"])))?;
    if !record.runs_litellm() {
        return Err(Error::usage(format!("the preset {} runs no gateway on this machine", record.preset))
            .because("there is nothing that a service could keep running")
            .hint(Hint::run(&["status"])));
    }
    let service = Service::of(place)?;
    service.reach()?;
    let found = service.look(place)?;
    if matches!(found, Found::Edited | Found::Foreign) && !args.force {
        return Err(refused(place, &service, found));
    }
    let state = service.state();
    let is_served = state.enabled && matches!(state.process, Process::Runs(_));
    if found == Found::Written
        && is_served
        && disk::read_maybe(&service.path, disk::TEXT_CAP)?.as_deref() == Some(service.text(place).as_bytes())
    {
        let text = format!(
            "Nothing to do: {} keeps the gateway running.\n{}",
            service.keeper.word(),
            boot(&service)
        );
        return Ok(Answer::new("nothing to do")
            .text(text.trim_end())
            .data(data(place, Some((&service, &state)))));
    }
    let summary = intention(place, &service, found);
    if args.confirm.dry_run {
        let text = format!("{summary}\n\n{}\nThis was a dry run: nothing was changed.", service.text(place));
        return Ok(Answer::new("dry run: nothing was changed").text(text).data(data(place, None)));
    }
    agree(&args.confirm, &summary)?;
    let kept = put_in_place(place, common, &service, found)?;
    let verb = if process::pid(place).is_some() { Verb::Restart } else { Verb::Start };
    let started = match gateway::run(place, common, verb, false) {
        Ok(started) => started,
        Err(error) => return Err(without(place, &service, kept, verb, error)),
    };
    let mut lines = vec![format!(
        "{} keeps the gateway running: it starts when you log in, and again after a crash.",
        service.keeper.word()
    )];
    lines.extend(Some(boot(&service)).filter(|line| !line.is_empty()));
    lines.extend(
        kept.map(|kept| format!("The service that was there before is kept in {}.", place.show(&kept))),
    );
    lines.extend(Some(started.text).filter(|text| !text.is_empty()));
    let state = service.state();
    Ok(Answer::new("the service is installed")
        .text(lines.join("\n"))
        .data(data(place, Some((&service, &state)))))
}

fn refused(place: &Place, service: &Service, found: Found) -> Error {
    let shown = place.show(&service.path);
    let error = Error::usage(match found {
        Found::Edited => format!("{shown} was changed since gwinstall wrote it, and nothing was changed"),
        _ => format!("{shown} exists, gwinstall did not write it, and nothing was changed"),
    });
    let error = if service.keeper == Keeper::Systemd {
        error.because(format!(
            "changes of your own belong into a drop-in: systemctl --user edit {}",
            service.name
        ))
    } else {
        error
    };
    error.hint(
        Hint::again(&["--force"]).to(format!("keep it as {}{OLD_SUFFIX}, and write a new one", service.name)),
    )
}

fn intention(place: &Place, service: &Service, found: Found) -> String {
    let verb = if found == Found::Nothing { "Write" } else { "Replace" };
    let mut summary = format!(
        "{verb} {}\n  {} then starts the gateway when you log in, and again after a crash.",
        place.show(&service.path),
        service.keeper.word()
    );
    let served = |pid| service.state().process == Process::Runs(pid);
    if let Some(pid) = process::pid(place).filter(|pid| !served(*pid)) {
        summary.push_str(&format!(
            "\n  The gateway that runs now (pid {pid}) is replaced by that of the service; its requests finish beside it."
        ));
    }
    summary
}

fn agree(confirm: &ConfirmArgs, summary: &str) -> Result<()> {
    if !confirm.yes && term::is_interactive() {
        term::error(summary)
    } else {
        term::talk(summary)
    }
    change::consent(confirm.yes, "Go ahead?", true)
}

/// Writes the file and lets the manager know it. A file that was there and that gwinstall did not write is kept beside it.
fn put_in_place(place: &Place, common: &Common, service: &Service, found: Found) -> Result<Option<PathBuf>> {
    let held = converge::lock(place, Operation::Service, common.lock_wait)?;
    let kept = match found {
        Found::Nothing | Found::Written => None,
        Found::Edited | Found::Foreign => Some(keep(service)?),
    };
    let done = service.write(place).and_then(|()| service.enable());
    if let Err(error) = done {
        restore(place, service, kept)?;
        return Err(error.under(format!(
            "{} did not take the service over, and nothing was changed",
            service.keeper.word()
        )));
    }
    drop(held);
    Ok(kept)
}

fn keep(service: &Service) -> Result<PathBuf> {
    let aside = PathBuf::from(format!("{}{OLD_SUFFIX}", service.path.display()));
    if disk::exists(&aside) {
        return Err(Error::usage(format!("{} exists already, and nothing was changed", aside.display()))
            .hint("move it away, then repeat this"));
    }
    disk::rename(&service.path, &aside).at("rename", &service.path)?;
    Ok(aside)
}

fn restore(place: &Place, service: &Service, kept: Option<PathBuf>) -> Result<()> {
    service.remove(place)?;
    match kept {
        Some(kept) => disk::rename(&kept, &service.path).at("restore", &service.path),
        None => Ok(()),
    }
}

/// After a start that failed: no service, and a gateway that ran before runs again.
fn without(place: &Place, service: &Service, kept: Option<PathBuf>, verb: Verb, error: Error) -> Error {
    if let Err(why) = restore(place, service, kept) {
        return error.because(format!("the service could not be removed again: {why}"));
    }
    let error = error.because("no service was installed");
    if verb == Verb::Start || process::pid(place).is_some() {
        return error;
    }
    running::up_again(place, Verb::Start, error)
}

/// Whether the service also runs while you are logged out, and the command that makes it do so.
fn boot(service: &Service) -> String {
    match (service.keeper, service.lingers()) {
        (Keeper::Launchd, _) => String::new(),
        (Keeper::Systemd, Some(true)) => "It also starts at boot: lingering is on for this user.".to_owned(),
        (Keeper::Systemd, _) => format!(
            "It runs while you are logged in. To let it run from boot on: loginctl enable-linger {}",
            crate::domain::name::shell_word(&system::user_name())
        ),
    }
}

fn remove(place: &Place, common: &Common, confirm: &ConfirmArgs) -> Result<Answer> {
    let Some(service) = service::installed(place) else {
        return Ok(Answer::new("nothing to do")
            .text("Nothing to do: no service is installed.")
            .data(data(place, None)));
    };
    let summary = format!("Remove {}", place.show(&service.path));
    if confirm.dry_run {
        let text = format!("{summary}\nThis was a dry run: nothing was changed.");
        return Ok(Answer::new("dry run: nothing was changed").text(text).data(data(place, None)));
    }
    change::not_interrupted(place)?;
    agree(confirm, &summary)?;
    let held = converge::lock(place, Operation::Service, common.lock_wait)?;
    let was_running = process::pid(place).is_some();
    service.stop();
    let found = service.remove(place)?;
    drop(held);
    let mut lines = vec![format!("{} does not start the gateway any more.", service.keeper.word())];
    if found == Found::Edited {
        lines.push(format!("{} stays: you changed it.", place.show(&service.path)));
    }
    if was_running && process::pid(place).is_none() {
        running::run_script(place, Verb::Start)?;
        lines.push("The gateway runs on without it.".to_owned());
    }
    Ok(Answer::new("the service is removed").text(lines.join("\n")).data(data(place, None)))
}

fn status(place: &Place) -> Result<Answer> {
    let Some(service) = service::installed(place) else {
        let text = format!(
            "No service is installed. To keep the gateway running: {}",
            term::command(&["service", "install"])
        );
        return Ok(Answer::new("no service is installed").text(text).data(data(place, None)));
    };
    let state = service.state();
    let message = format!("{} ({}): {}", service.name, service.keeper.word(), words(&state));
    let mut lines = vec![message.clone(), format!("  {}", place.show(&service.path))];
    match service.look(place)? {
        Found::Edited => lines.push("  It was changed since gwinstall wrote it.".to_owned()),
        Found::Nothing => lines.push(format!("  It is gone: {}", term::command(&["service", "install"]))),
        Found::Written | Found::Foreign => {}
    }
    lines.extend(Some(boot(&service)).filter(|line| !line.is_empty()).map(|line| format!("  {line}")));
    Ok(Answer::new(message).text(lines.join("\n")).data(data(place, Some((&service, &state)))))
}

/// One line about what the manager does.
fn words(state: &State) -> String {
    let process = match &state.process {
        Process::Runs(pid) => format!("the gateway runs (pid {pid})"),
        Process::Starting => "the gateway is starting".to_owned(),
        Process::Stopped => format!("the gateway is stopped: {}", term::command(&["start"])),
        Process::Failed => {
            format!("the gateway ended too often and is not started any more: {}", term::command(&["logs"]))
        }
        Process::Unknown(why) => return format!("its manager does not answer: {why}"),
    };
    if state.enabled { process } else { format!("{process}; it is disabled") }
}

/// The fields of the JSON; without a service each is `null`.
fn data(place: &Place, service: Option<(&Service, &State)>) -> Value {
    let Some((service, state)) = service else {
        return json!({ "installed": service::installed(place).is_some(), "service": null });
    };
    json!({ "installed": true, "service": as_json(service, state) })
}

/// A service for a program.
pub(super) fn as_json(service: &Service, state: &State) -> Value {
    json!({
        "manager": service.keeper.word(),
        "name": service.name,
        "path": service.path,
        "state": state.process.word(),
        "enabled": state.enabled,
        "lingers": service.lingers(),
    })
}

/// The line of `gwinstall status`.
pub(super) fn in_brief(service: &Service, state: &State) -> String {
    format!("{} ({}): {}", service.name, service.keeper.word(), words(state))
}
