//! `backup`: list, make, check, pin, prune, compare, copy out and copy in. What changes the backups does so under the
//! lock of the deployment. Never removes the newest, a pinned one, or the one that the last rollback restored.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::{BackupCommand, Common, ConfirmArgs, KeepArgs, SealArgs, UnlockArgs};
use crate::deploy::backup::{self, Entry, Making};
use crate::deploy::lost;
use crate::deploy::{bases, converge, recover, store};
use crate::domain::Hint;
use crate::domain::Operation;
use crate::domain::name::{count, printable};
use crate::domain::{Error, Kind, Place, Result};
use crate::doors::{disk, signals, system, term};
use crate::release::session;

use super::{backup_diff, change, seal};
use crate::ui::answer::Answer;
use crate::ui::table::columns;

pub(super) fn run(place: &Place, common: &Common, command: &BackupCommand) -> Result<Answer> {
    let wait = common.lock_wait;
    match command {
        BackupCommand::List => list(place),
        BackupCommand::Create { include_secrets, seal } => create(place, wait, *include_secrets, seal),
        BackupCommand::Verify { backup, unlock } => verify(place, backup.as_deref(), unlock),
        BackupCommand::Pin { backup } => pin(place, wait, backup, true),
        BackupCommand::Unpin { backup } => pin(place, wait, backup, false),
        BackupCommand::Prune { keep, confirm } => prune(place, wait, keep, confirm),
        BackupCommand::Diff { backup, unlock } => backup_diff::run(place, backup, unlock),
        BackupCommand::Export { backup, to, seal } => export(place, backup, to, seal),
        BackupCommand::Import { from, unlock } => import(place, wait, from, unlock),
        BackupCommand::Restore(args) => super::rollback::run(place, common, args),
    }
}

/// Runs `work` under the lock, after recovery from an interrupted run.
fn locked<T>(place: &Place, operation: Operation, wait: u64, work: impl FnOnce() -> Result<T>) -> Result<T> {
    change::recover_first(place, operation, wait)?;
    let held = converge::lock(place, operation, wait)?;
    let done = signals::check().and_then(|()| work());
    recover::leave_no_trace(place);
    drop(held);
    done
}

/// Appends a line to the log of operations. A failure to write the log does not undo the operation.
fn log(place: &Place, operation: Operation, watch: &system::Stopwatch, which: &Value) {
    let record = store::record_as_found(place).ok().flatten();
    let mut line = store::log_line(operation, system::now(), watch.milliseconds(), record.as_ref());
    if operation == Operation::BackupCreate {
        line["backup_created"] = which.clone();
    }
    line["backup"] = which.clone();
    let _ = store::log(place, &line);
}

/// What `rollback N` counts: states from the newest on, without safety backups.
pub(super) fn numbers(entries: &[Entry]) -> Vec<Option<usize>> {
    let mut next = 0;
    let mut numbers: Vec<Option<usize>> = entries
        .iter()
        .rev()
        .map(|entry| {
            next += usize::from(!entry.safety);
            (!entry.safety).then_some(next)
        })
        .collect();
    numbers.reverse();
    numbers
}

fn list(place: &Place) -> Result<Answer> {
    let entries = backup::list_verified(place)?;
    if entries.is_empty() {
        return Ok(Answer::new("there is no backup")
            .text(format!(
                "There is no backup yet. gwinstall makes one before every change. To make one now: {}",
                term::command(&["backup", "create"])
            ))
            .data(json!({ "backups": [] })));
    }
    let numbers = numbers(&entries);
    let now = system::now();
    let mut rows = vec![["N", "BACKUP", "AGE", "SIZE", "BEFORE", "PRESET", ""].map(str::to_owned).to_vec()];
    for (entry, number) in entries.iter().zip(&numbers).rev() {
        let preset = entry.deployment_config.get("preset").and_then(Value::as_str).unwrap_or("-");
        let before = entry.before.map_or("-", Operation::word);
        rows.push(vec![
            number.map_or_else(|| "-".to_owned(), |n| n.to_string()),
            printable(&entry.filename),
            age(now.unix() - entry.created_at.unix()),
            size(entry.size_bytes),
            printable(before),
            printable(preset),
            traits(entry),
        ]);
    }
    let mut text = columns(&rows, &[0, 2, 3]);
    text.push_str(&format!("\nTo return to one: {}, or its file name.", term::command(&["rollback", "N"])));
    let data: Vec<Value> = entries
        .iter()
        .zip(&numbers)
        .rev()
        .map(|(entry, number)| {
            let mut value = json!(entry);
            value["number"] = json!(number);
            value
        })
        .collect();
    Ok(Answer::new(count(entries.len(), "backup")).text(text).data(json!({ "backups": data })))
}

/// How long ago, in the largest unit of which one has passed.
pub(super) fn age(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h", seconds / 3600),
        seconds => count(usize::try_from(seconds / 86_400).unwrap_or(usize::MAX), "day"),
    }
}

pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{} MiB", bytes.div_ceil(1 << 20)),
    }
}

pub(super) fn traits(entry: &Entry) -> String {
    let words = [
        (!entry.is_valid, "damaged"),
        (entry.pinned, "pinned"),
        (entry.safety, "safety"),
        (entry.encrypted, "encrypted"),
        (entry.secrets, "holds secrets"),
    ];
    let words: Vec<&str> =
        words.into_iter().filter(|(true_of_it, _)| *true_of_it).map(|(_, word)| word).collect();
    words.join(", ")
}

fn create(place: &Place, wait: u64, include_secrets: bool, seal: &SealArgs) -> Result<Answer> {
    let deployed = || {
        lost::record(place)?.ok_or_else(|| {
            Error::usage("nothing is deployed, so there is nothing to back up").hint(Hint::run(&["install"]))
        })
    };
    // Asked before the lock too, which would have to make its directories first.
    deployed()?;
    let lock = seal::lock(seal)?;
    let entry = locked(place, Operation::BackupCreate, wait, || {
        let record = deployed()?;
        let now = system::now();
        let making = Making {
            before: Operation::BackupCreate,
            now,
            safety: false,
            include_secrets,
            lock: lock.as_ref(),
        };
        let watch = system::Stopwatch::start();
        let entry = backup::create(place, &record, &making)?;
        log(place, Operation::BackupCreate, &watch, &json!(entry.filename));
        Ok(entry)
    })?;
    let mut text = format!("Made {} ({}).", entry.filename, size(entry.size_bytes));
    text.push_str(privacy(entry.secrets, entry.encrypted));
    text.push_str(&format!(
        "\n  To keep it for good: {}",
        term::command(&["backup", "pin", &entry.filename])
    ));
    Ok(Answer::new(format!("made {}", entry.filename)).text(text).data(json!({ "backup": entry })))
}

/// What the owner of a copy has to know about it.
fn privacy(secrets: bool, encrypted: bool) -> &'static str {
    match (secrets, encrypted) {
        (_, true) => "\n  It is encrypted: without the key or the passphrase not even gwinstall can read it.",
        (true, false) => "\n  It holds secret values: keep it private.",
        (false, false) => "",
    }
}

/// The backups that `which` names; all of them when it is absent.
fn chosen(place: &Place, which: Option<&str>) -> Result<Vec<(PathBuf, Option<Entry>)>> {
    match which {
        Some(which) => backup::choose(place, Some(which), None).map(|one| vec![one]),
        None => {
            let entries = backup::list(place)?;
            Ok(entries
                .into_iter()
                .map(|entry| (place.backups().join(&entry.filename), Some(entry)))
                .collect())
        }
    }
}

fn verify(place: &Place, which: Option<&str>, unlock: &UnlockArgs) -> Result<Answer> {
    let mut lines = Vec::new();
    let mut results = Vec::new();
    let mut damaged = 0;
    let mut key = seal::unlock(unlock);
    for (path, entry) in chosen(place, which)?.iter().rev() {
        signals::check()?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let expected = entry.as_ref().map(|entry| entry.sha256_checksum);
        let checked = if !seal::names_a_key(unlock)
            && backup::look_at_sealed(path, expected).is_ok_and(|sealed| sealed)
        {
            Ok(None)
        } else {
            // Its files, its .env and its record.
            backup::open_with(path, expected, &mut key).map(|backup| Some(backup.files.len() + 2))
        };
        match checked {
            Ok(files) => {
                let seen = files.map_or_else(
                    || "encrypted, and whole as far as can be seen without its key".to_owned(),
                    |files| format!("{} whole", count(files, "file")),
                );
                lines.push(format!("{} {name}: {seen}", term::paint("PASS", term::Style::Green)));
                results.push(json!({ "filename": name, "valid": true, "files": files }));
            }
            Err(error) if error.kind() == Kind::Usage => return Err(error),
            Err(error) => {
                damaged += 1;
                let why = error.causes().join(": ");
                lines.push(format!("{} {name}: {why}", term::paint("FAIL", term::Style::Red)));
                results.push(json!({ "filename": name, "valid": false, "why": why }));
            }
        }
    }
    if results.is_empty() {
        return Ok(Answer::new("there is no backup")
            .text("There is no backup to check.")
            .data(json!({ "backups": [] })));
    }
    let data = json!({ "backups": results, "damaged": damaged });
    if damaged == 0 {
        return Ok(Answer::new("every backup is whole").text(lines.join("\n")).data(data));
    }
    lines.push(format!(
        "You cannot roll back to a damaged backup. To see the others: {}",
        term::command(&["backup", "list"])
    ));
    let message = format!("{} damaged", count(damaged, "backup"));
    Ok(Answer::new(message).text(lines.join("\n")).data(data).exit(Kind::Unverified))
}

fn pin(place: &Place, wait: u64, which: &str, pinned: bool) -> Result<Answer> {
    let name = own(place, which)?;
    let changed =
        locked(place, if pinned { Operation::BackupPin } else { Operation::BackupUnpin }, wait, || {
            let watch = system::Stopwatch::start();
            let changed = backup::pin(place, &name, pinned)?;
            if changed {
                log(
                    place,
                    if pinned { Operation::BackupPin } else { Operation::BackupUnpin },
                    &watch,
                    &json!(name),
                );
            }
            Ok(changed)
        })?;
    let state = match (pinned, changed) {
        (true, true) => "is pinned: it is never removed by pruning",
        (true, false) => "was pinned already",
        (false, true) => "may be pruned again",
        (false, false) => "was not pinned",
    };
    let data = json!({ "filename": name, "pinned": pinned, "changed": changed });
    Ok(Answer::new(format!("{name} {state}")).text(format!("{name} {state}.")).data(data))
}

/// The file name of a backup in `backups/`; the index has no entry for a path elsewhere.
fn own(place: &Place, which: &str) -> Result<String> {
    match backup::choose(place, Some(which), None)? {
        (_, Some(entry)) => Ok(entry.filename),
        (path, None) => Err(Error::usage(format!("{} is not among the backups here", path.display()))
            .hint(Hint::run(&["backup", "import", &*path.to_string_lossy()]))),
    }
}

/// The backups that pruning would remove: never the newest, the newest valid one, the one that the last rollback
/// restored, or a pinned one.
fn prunable(place: &Place, keep: &KeepArgs) -> Result<Vec<String>> {
    let entries = backup::list_verified(place)?;
    let record = lost::record(place)?;
    let mut in_use: Vec<&str> = record.iter().filter_map(|record| record.restored_from.as_deref()).collect();
    in_use.extend(entries.iter().rev().find(|entry| entry.is_valid).map(|entry| entry.filename.as_str()));
    let recorded = record.as_ref().map(|record| &record.request);
    let stay = keep.keep.or(recorded.and_then(|said| said.keep)).unwrap_or(backup::KEEP);
    let max_age = keep.max_age.or(recorded.and_then(|said| said.max_age));
    Ok(backup::prunable(&entries, stay, max_age, system::now(), &in_use))
}

fn prune(place: &Place, wait: u64, keep: &KeepArgs, confirm: &ConfirmArgs) -> Result<Answer> {
    let planned = prunable(place, keep)?;
    if planned.is_empty() {
        return Ok(Answer::new("nothing to prune").text("Nothing to remove.").data(json!({ "pruned": [] })));
    }
    let summary: Vec<String> =
        planned.iter().map(|name| format!("  {} {name}", term::paint("-", term::Style::Red))).collect();
    let summary = format!("Remove {}\n{}", count(planned.len(), "backup"), summary.join("\n"));
    if confirm.dry_run {
        let text = format!("{summary}\nThis was a dry run: nothing was changed.");
        return Ok(Answer::new("dry run: nothing was changed")
            .text(text)
            .data(json!({ "would_prune": planned })));
    }
    term::talk(&summary);
    change::consent(confirm.yes, "Go ahead?", false)?;
    let pruned = locked(place, Operation::BackupPrune, wait, || {
        // Only the backups that the user saw, and only those that may still be removed.
        let watch = system::Stopwatch::start();
        let still: Vec<String> =
            prunable(place, keep)?.into_iter().filter(|name| planned.contains(name)).collect();
        still.iter().try_for_each(|name| backup::remove(place, name))?;
        let _ =
            store::record_as_found(place).and_then(|record| bases::drop_unreferenced(place, record.as_ref()));
        if !still.is_empty() {
            log(place, Operation::BackupPrune, &watch, &json!(still));
        }
        Ok(still)
    })?;
    Ok(Answer::new(format!("removed {}", count(pruned.len(), "backup")))
        .text(format!("Removed {}.", count(pruned.len(), "backup")))
        .data(json!({ "pruned": pruned })))
}

fn export(place: &Place, which: &str, to: &Path, seal: &SealArgs) -> Result<Answer> {
    let (path, entry) = backup::choose(place, Some(which), None)?;
    let sum = entry.as_ref().map(|entry| entry.sha256_checksum);
    let was_encrypted = backup::look_at_sealed(&path, sum)?;
    if !was_encrypted {
        backup::open(&path, sum)?;
    }
    let secrets = entry.as_ref().is_some_and(|entry| entry.secrets);
    require_lock(seal.encrypt, was_encrypted, secrets)?;
    let encrypted = was_encrypted || seal.encrypt;
    let to = if disk::is_dir(to) { to.join(export_name(&path, seal.encrypt)) } else { to.to_path_buf() };
    if disk::exists(&to) {
        return Err(Error::usage(format!("{} is there already", to.display()))
            .because("an export never overwrites a file")
            .hint("give another name"));
    }
    let lock = seal::lock(seal)?;
    let sum = backup::export(&path, &to, lock.as_ref())?;
    let text = format!("Copied to {}\n  sha256 {sum}{}", to.display(), privacy(secrets, encrypted));
    let data = json!({ "to": to, "sha256": sum, "secrets": secrets, "encrypted": encrypted });
    Ok(Answer::new(format!("copied to {}", to.display())).text(text).data(data))
}

/// A copy with secret values leaves the gateway's directory only encrypted.
fn require_lock(encrypt: bool, was_encrypted: bool, secrets: bool) -> Result<()> {
    match (encrypt, was_encrypted, secrets) {
        (true, true, _) => Err(Error::usage("this backup is encrypted already")
            .hint("leave --encrypt out: it is copied as it is, and the same key opens the copy")),
        (false, false, true) => {
            Err(Error::usage("this backup holds secret values, so it is exported only encrypted").hint(
                Hint::again(&["--encrypt"]).to("encrypt it with a passphrase").or(Hint::again(&[
                    "--encrypt",
                    "--recipient",
                    "AGE1…",
                ])
                .to("encrypt it for a key of age")),
            ))
        }
        _ => Ok(()),
    }
}

fn export_name(path: &Path, encrypt: bool) -> OsString {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    if encrypt {
        name.push(".age");
    }
    name
}

fn import(place: &Place, wait: u64, from: &Path, unlock: &UnlockArgs) -> Result<Answer> {
    if !disk::exists(from) {
        return Err(Error::usage(format!("there is no file {}", printable(&from.to_string_lossy()))));
    }
    // Any program can make such a file: it is unsigned like a source directory.
    session::permit_unsigned("a backup from elsewhere")?;
    // Read before the lock: another run need not wait for a passphrase, and a refusal leaves nothing.
    let received = backup::receive(from, &mut seal::unlock(unlock))?;
    let entry = locked(place, Operation::BackupImport, wait, || {
        let watch = system::Stopwatch::start();
        let entry = backup::adopt(place, &received, system::now())?;
        log(place, Operation::BackupImport, &watch, &json!(entry.filename));
        Ok(entry)
    })?;
    let mut text = format!("Imported as {}", entry.filename);
    text.push_str(match (entry.encrypted, entry.secrets) {
        (true, _) => "\n  It stays encrypted: whatever reads it needs the same key again.",
        (false, true) => "\n  It holds secret values.",
        (false, false) => "",
    });
    text.push_str(&format!(
        "\n  To return to it: {}\n  To keep it for good: {}",
        term::command(&["rollback", &entry.filename]),
        term::command(&["backup", "pin", &entry.filename])
    ));
    Ok(Answer::new(format!("imported as {}", entry.filename)).text(text).data(json!({ "backup": entry })))
}
