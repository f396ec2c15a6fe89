//! `self-update`: a newer gwinstall and its configuration, together; or the way back.

use std::ffi::OsString;
use std::path::Path;

use serde_json::{Value, json};

use crate::bundle::build;
use crate::cli::{Common, ConfirmArgs, SelfUpdateArgs};
use crate::deploy::lost;
use crate::domain::Operation;
use crate::domain::name::{count, printable};
use crate::domain::record::BundleOrigin;
use crate::domain::{Error, Kind, Place, Result};
use crate::doors::net::Client;
use crate::doors::progress::Bar;
use crate::doors::{exe, prompt, system, term};
use crate::release::bundles;
use crate::release::documents::{Channel, Name, Severity};
use crate::release::list::{self, Forge};
use crate::release::order::{self, Running, Step};
use crate::release::origin::{Origin, Rejects};
use crate::release::policy::Pin;
use crate::release::replace::{self, Deployed, Redeployed};
use crate::release::state::State;
use crate::release::update::{Candidate, Inquiry, News};

use super::answer::Answer;
use super::change;
use super::releases::{self, Ground};

pub(super) fn run(place: &Place, common: &Common, args: &SelfUpdateArgs) -> Result<Answer> {
    if args.list {
        return releases_of(args);
    }
    if args.rollback {
        return rollback(place, common, &args.confirm);
    }
    if args.pin.is_some() || args.unpin {
        return pin(place, common, args);
    }
    let ground = Ground::of(place)?;
    ground.policy.permit_check()?;
    let wishes = Wishes::parse(args)?;
    let channel = ground.channel(args.channel.as_deref())?;
    let origin = ground.origin(args.from.as_deref())?;
    let mut running = ground.running();
    if args.bundle_only {
        // What counts then is the configuration, which may be ahead of the executable.
        running.seq = running.seq.max(releases::newest_bundle(place)?.id.seq);
        running.manifest = None;
    }
    let pins: Vec<Pin> = ground.pins.clone();
    let inquiry = Inquiry {
        state: ground.state,
        origin: &origin,
        embedded_keys: build::KEYS,
        running: &running,
        channel: &channel,
        pins: &pins,
        asked: wishes.asked.as_ref(),
        allow_downgrade: wishes.allow_downgrade.as_ref(),
        accept_below_floor: args.accept_below_floor,
        rejects: if args.keep_rejected { Rejects::Keep } else { Rejects::Discard },
        now: system::now(),
    };
    if args.check {
        return check(&inquiry, &running);
    }
    ground.policy.permit_update()?;
    let update = Update { place, common, args, ground: &ground, origin: &origin, running: &running };
    update.take(&inquiry)
}

/// Flags that name exact versions.
struct Wishes {
    asked: Option<Pin>,
    allow_downgrade: Option<Name>,
}

impl Wishes {
    fn parse(args: &SelfUpdateArgs) -> Result<Self> {
        let version = |flag: &str, text: &str| {
            let bare = text.strip_prefix('v').unwrap_or(text);
            Name::parse(bare).ok_or_else(|| {
                Error::usage(format!("{flag}: {:?} is no version", printable(text)))
                    .hint(format!("{flag} 1.2.3"))
            })
        };
        let allow_downgrade =
            args.allow_downgrade.as_deref().map(|text| version("--allow-downgrade", text)).transpose()?;
        // Allowing a downgrade to one version asks for that version.
        let asked = args.version.as_deref().map(|text| version("--version", text)).transpose()?;
        let asked = asked.or_else(|| allow_downgrade.clone()).map(Pin::Version);
        Ok(Self { asked, allow_downgrade })
    }
}

/// `--check`: one conditional GET. Exit 3 when there is something newer, 0 only when it is proved that there is not.
fn check(inquiry: &Inquiry<'_>, running: &Running) -> Result<Answer> {
    let news = inquiry.ask(true)?;
    let pinned = inquiry.pins.first().map(ToString::to_string);
    let Some((channel, _)) = &news.channel else {
        let candidate = inquiry.candidate(&news)?;
        return Ok(offline_answer(&candidate, running));
    };
    let data = |newer: bool, facts: &Channel| {
        json!({
            "running": { "version": running.version, "seq": running.seq },
            "newest": { "version": facts.version, "seq": facts.seq, "severity": facts.severity, "at": facts.at },
            "newer": newer,
            "pinned": pinned,
        })
    };
    let Some(newest) = news.newer(running)? else {
        let facts = channel.facts();
        // Only an origin that answers now can prove what is newest; a directory tells what it holds.
        let (word, text) = if inquiry.origin.is_online() {
            let text = format!(
                "gwinstall {} is the newest of {}, says its channel of {}.",
                running.version, facts.channel, facts.at
            );
            ("up to date", text)
        } else {
            let place = inquiry.origin.shown();
            ("nothing newer there", format!("{place} has nothing newer than gwinstall {}.", running.version))
        };
        return Ok(Answer::new(word).text(text).data(data(false, facts)));
    };
    let urgent = newest.severity == Severity::Security || running.seq < newest.min_seq;
    let why = if urgent { ", a security update" } else { "" };
    let mut text = format!("gwinstall {} is out{why}; {} runs here.", newest.version, running.version);
    match &pinned {
        Some(pin) => text.push_str(&format!("\n  This machine is pinned to {pin}.")),
        None => text.push_str("\n  Take it: gwinstall self-update"),
    }
    Ok(Answer::new(format!("{} is newer", newest.version))
        .text(text)
        .data(data(true, newest))
        .exit(Kind::Pending))
}

fn offline_answer(candidate: &Candidate, running: &Running) -> Answer {
    let facts = candidate.manifest.facts();
    let newer = candidate.verdict.step == Step::Newer;
    let word = if newer { "newer than" } else { "not newer than" };
    let text = format!(
        "This place has gwinstall {}, {word} {}.{}",
        facts.version,
        running.version,
        notes(candidate)
    );
    let answer = Answer::new(format!("{} is {word} what runs", facts.version)).text(text).data(json!({
        "running": { "version": running.version, "seq": running.seq },
        "newest": { "version": facts.version, "seq": facts.seq, "released": facts.released },
        "newer": newer,
        "notes": candidate.verdict.notes,
    }));
    if newer { answer.exit(Kind::Pending) } else { answer }
}

/// Everything that taking an update needs.
struct Update<'a> {
    place: &'a Place,
    common: &'a Common,
    args: &'a SelfUpdateArgs,
    ground: &'a Ground<'a>,
    origin: &'a Origin,
    running: &'a Running,
}

impl Update<'_> {
    fn take(&self, inquiry: &Inquiry<'_>) -> Result<Answer> {
        if !self.args.confirm.dry_run {
            change::recover_first(self.place, Operation::SelfUpdate, self.common.lock_wait)?;
        }
        let own = releases::own()?;
        if !self.args.bundle_only {
            releases::demand_own(&own)?;
        }
        let news = inquiry.ask(false)?;
        if self.nothing_newer(inquiry, &news)? {
            return Ok(self.up_to_date());
        }
        let candidate = inquiry.candidate(&news)?;
        if candidate.verdict.step == Step::Current {
            candidate.verdict.claim_current()?;
            return Ok(self.up_to_date());
        }
        let summary = self.summary(&candidate)?;
        if self.args.confirm.dry_run {
            let text = format!("{summary}\nThis was a dry run: nothing was downloaded or changed.");
            return Ok(Answer::new("dry run: nothing was changed")
                .text(text)
                .data(self.data(&candidate, None)));
        }
        agree(&self.args.confirm, &summary, "self-update")?;
        let _lock = self.ground.state.lock("self-update", self.common.lock_wait)?;
        if self.args.bundle_only { self.bundle_only(&candidate) } else { self.both(&own, &candidate) }
    }

    /// Online, the channel alone says that there is nothing to do; a named or pinned version is looked at itself.
    fn nothing_newer(&self, inquiry: &Inquiry<'_>, news: &News) -> Result<bool> {
        let named = inquiry.asked.is_some() || !inquiry.pins.is_empty();
        Ok(!named && news.channel.is_some() && self.origin.is_online() && news.newer(self.running)?.is_none())
    }

    fn both(&self, own: &replace::Own, candidate: &Candidate) -> Result<Answer> {
        let artifact = order::artifact(&candidate.manifest, "binary", build::TARGET)?;
        let bar = Bar::new(artifact.name.as_str(), artifact.len);
        let staged = replace::stage(own, self.origin, candidate, artifact, &mut |bytes| bar.at(bytes));
        bar.done();
        let record = lost::record(self.place)?;
        let unsigned = record.as_ref().is_some_and(|record| record.bundle.origin == BundleOrigin::Directory);
        let deploys = record.is_some() && !unsigned && !self.args.binary_only;
        let facts = candidate.manifest.facts();
        let done =
            replace::swap(self.ground.state, own, &staged?, candidate, deploys, &mut |program, words| {
                redeploy(self.place, self.common, &|seq| seq == facts.seq, program, words)
            })?;
        let mut text =
            format!("gwinstall {} is in place; {} was before.", facts.version, self.running.version);
        match (deploys, unsigned) {
            (true, _) => text.push_str(&format!("\n  Configuration: {}", done.message)),
            (false, true) => text.push_str(
                "\n  The configuration came from a directory and stays: gwinstall update --source-dir DIR",
            ),
            (false, false) => {}
        }
        text.push_str("\n  Back to both as they were: gwinstall self-update --rollback");
        Ok(Answer::new(format!("updated to {}", facts.version))
            .text(text)
            .data(self.data(candidate, done.backup)))
    }

    fn bundle_only(&self, candidate: &Candidate) -> Result<Answer> {
        let artifact = order::artifact(&candidate.manifest, "bundle", "any")?;
        let bar = Bar::new(artifact.name.as_str(), artifact.len);
        let fetched = bundles::fetch(self.ground.state, self.origin, candidate, &mut |bytes| bar.at(bytes));
        bar.done();
        let bundle = fetched?;
        let mut text = format!("The configuration bundle {} was fetched and verified.", bundle.id.version);
        if lost::record(self.place)?.is_none() {
            text.push_str("\n  Nothing is deployed yet: gwinstall install");
            return Ok(Answer::new(format!("fetched bundle {}", bundle.id.version))
                .text(text)
                .data(self.data(candidate, None)));
        }
        let own = releases::own()?;
        let wanted = candidate.manifest.facts().seq;
        let words = ["update", "--yes", "--json"].map(OsString::from);
        let done = redeploy(self.place, self.common, &|seq| seq == wanted, &own.path, &words)?;
        if !done.succeeded {
            return Err(Error::new(
                Kind::RolledBack,
                "the new configuration could not be deployed; the old one is back",
            )
            .because(done.message));
        }
        text.push_str(&format!("\n  {}", done.message));
        Ok(Answer::new(format!("updated to bundle {}", bundle.id.version))
            .text(text)
            .data(self.data(candidate, done.backup)))
    }

    fn up_to_date(&self) -> Answer {
        let text = format!("Nothing to do: gwinstall {} is up to date.", self.running.version);
        Answer::new("up to date")
            .text(text)
            .data(json!({ "version": self.running.version, "seq": self.running.seq }))
    }

    fn summary(&self, candidate: &Candidate) -> Result<String> {
        let facts = candidate.manifest.facts();
        let (role, target) =
            if self.args.bundle_only { ("bundle", "any") } else { ("binary", build::TARGET) };
        let artifact = order::artifact(&candidate.manifest, role, target)?;
        let verb = if candidate.verdict.step == Step::Older { "Go back" } else { "Update" };
        Ok(format!(
            "{verb} from gwinstall {} (seq {}) to {} (seq {}, released {}), {} bytes from {}\n  signed by key {}{}",
            self.running.version,
            self.running.seq,
            facts.version,
            facts.seq,
            facts.released.date(),
            artifact.len,
            self.origin.shown(),
            candidate.manifest.signer(),
            notes(candidate)
        ))
    }

    fn data(&self, candidate: &Candidate, backup: Option<String>) -> Value {
        let facts = candidate.manifest.facts();
        json!({
            "from": { "version": self.running.version, "seq": self.running.seq },
            "to": { "version": facts.version, "seq": facts.seq, "released": facts.released },
            "manifest_sha256": candidate.manifest.sha256(),
            "key": candidate.manifest.signer(),
            "origin": self.origin.shown(),
            "notes": candidate.verdict.notes,
            "backup": backup,
        })
    }
}

fn notes(candidate: &Candidate) -> String {
    candidate.verdict.notes.iter().map(|note| format!("\n  note: {note}")).collect()
}

/// The ordinary command, run by `program`, that should lead to a bundle with a seq that is `wanted`. However it ended, what is deployed
/// counts: a command that was killed may have done its work, or have left it half done.
fn redeploy(
    place: &Place,
    common: &Common,
    wanted: &dyn Fn(u64) -> bool,
    program: &Path,
    words: &[OsString],
) -> Result<Redeployed> {
    let done = ordinary(program, words, common)?;
    if done.succeeded {
        return Ok(done);
    }
    let repair = ["doctor", "--repair", "--yes", "--json"].map(OsString::from);
    let settled = ordinary(program, &repair, common).is_ok_and(|repair| repair.succeeded);
    let deployed = if settled { releases::deployed(place)? } else { Deployed::default() };
    let succeeded = deployed.seq.is_some_and(wanted);
    Ok(Redeployed { succeeded, settled, backup: deployed.backup.filter(|_| succeeded), ..done })
}

/// A command of ours, run by `program`; exit 0 and 4 are success.
fn ordinary(program: &Path, words: &[OsString], common: &Common) -> Result<Redeployed> {
    let mut arguments = words.to_vec();
    for (flag, value) in [("--home", &common.home), ("--target-dir", &common.target_dir)] {
        if let Some(value) = value {
            arguments.extend([OsString::from(flag), value.clone().into_os_string()]);
        }
    }
    let ended = exe::capture(program, &arguments)?;
    let said: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(printable);
    let causes = said["data"]["causes"].as_array().into_iter().flatten().filter_map(text);
    let message = text(&said["message"]).into_iter().chain(causes).collect::<Vec<_>>().join(": ");
    Ok(Redeployed {
        succeeded: matches!(ended.code, Some(0 | 4)),
        settled: true,
        backup: said["data"]["backup"].as_str().map(str::to_owned),
        message: if message.is_empty() {
            format!("it ended with {:?} and said nothing", ended.code)
        } else {
            message
        },
    })
}

/// Shows what would happen and asks, as every changing command does.
fn agree(confirm: &ConfirmArgs, summary: &str, command: &str) -> Result<()> {
    term::talk(summary);
    if confirm.yes {
        return Ok(());
    }
    if !term::is_interactive() {
        return Err(Error::usage(format!("{command} changes files, and there is no terminal to ask on"))
            .hint(format!("gwinstall {command} --yes (or --dry-run to see what it would do)")));
    }
    if prompt::confirm("Go ahead?", true)? {
        return Ok(());
    }
    Err(prompt::stopped())
}

fn rollback(place: &Place, common: &Common, confirm: &ConfirmArgs) -> Result<Answer> {
    let ground = Ground::of(place)?;
    if !confirm.dry_run {
        change::recover_first(place, Operation::SelfUpdate, common.lock_wait)?;
    }
    let own = releases::own()?;
    releases::demand_own(&own)?;
    let Some(previous) = replace::previous(ground.state)? else {
        return replace::rollback(ground.state, &own, &mut |_, _| Err(Error::failed("nothing to restore")))
            .map(|_| Answer::default());
    };
    let below = previous.to.seq < ground.memory.floor_seq;
    let mut summary = format!("Go back from gwinstall {} to {}", previous.from.version, previous.to.version);
    if let Some(backup) = &previous.backup {
        summary.push_str(&format!(", and to the configuration in {backup}"));
    }
    if below {
        summary.push_str(&format!(
            "\n  note: seq {} is below the floor of {}: it has known faults",
            previous.to.seq, ground.memory.floor_seq
        ));
    }
    if confirm.dry_run {
        return Ok(Answer::new("dry run: nothing was changed").text(summary));
    }
    agree(confirm, &summary, "self-update --rollback")?;
    let _lock = ground.state.lock("self-update --rollback", common.lock_wait)?;
    let done = replace::rollback(ground.state, &own, &mut |program, words| {
        redeploy(place, common, &|seq| seq != previous.from.seq, program, words)
    })?;
    let text = format!("gwinstall {} is back, with its configuration.", done.to.version);
    Ok(Answer::new(format!("back at {}", done.to.version))
        .text(text)
        .data(json!({ "from": done.from, "to": done.to, "backup": done.backup })))
}

/// `--pin` and `--unpin`: a pin of this user's own, beside those of the environment and the policy. Asks nobody.
fn pin(place: &Place, common: &Common, args: &SelfUpdateArgs) -> Result<Answer> {
    let wanted = args.pin.as_deref().map(Pin::parse).transpose()?.map(|pin| pin.to_string());
    let (word, text) = match &wanted {
        Some(pin) => {
            let text = format!("gwinstall stays at {pin} until: gwinstall self-update --unpin");
            (format!("pinned to {pin}"), text)
        }
        None => {
            ("not pinned".to_owned(), "gwinstall follows its channel; no pin of yours is kept.".to_owned())
        }
    };
    let data = json!({ "pin": wanted });
    if args.confirm.dry_run {
        let text = format!("{text}\nThis was a dry run: nothing was changed.");
        return Ok(Answer::new("dry run: nothing was changed").text(text).data(data));
    }
    let state = State { dir: &place.state_dir };
    let _lock = state.lock("self-update", common.lock_wait)?;
    let mut memory = state.memory()?;
    if memory.pin != wanted {
        memory.pin = wanted;
        state.remember(&memory)?;
    }
    Ok(Answer::new(word).text(text).data(data))
}

/// `--list`: what a forge says; unsigned, for information.
fn releases_of(args: &SelfUpdateArgs) -> Result<Answer> {
    let named = args.from.as_deref().or(build::REPO);
    let named = named.ok_or_else(|| {
        Error::usage("this gwinstall does not know where its releases are")
            .hint("gwinstall self-update --list --from owner/name")
    })?;
    let found = list::releases(&Forge::parse(named)?, &Client::from_environment()?)?;
    let lines: Vec<String> =
        found.iter().map(|release| format!("{:12} {}", release.version, release.date)).collect();
    let data: Vec<Value> = found
        .iter()
        .map(|release| json!({ "version": release.version, "date": release.date, "name": release.name }))
        .collect();
    let text = if lines.is_empty() { "There are no releases.".to_owned() } else { lines.join("\n") };
    Ok(Answer::new(count(found.len(), "release")).text(text).data(json!({ "releases": data })))
}
