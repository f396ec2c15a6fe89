//! `self-update`: installs a newer gwinstall together with its configuration, or restores the older ones.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bundle::build;
use crate::cli::{Common, ConfirmArgs, SelfUpdateArgs};
use crate::deploy::lost;
use crate::domain::Operation;
use crate::domain::name::{count, printable};
use crate::domain::record::BundleOrigin;
use crate::domain::{Error, Hint, Kind, Place, Result};
use crate::doors::net::Client;
use crate::doors::progress::Bar;
use crate::doors::{exe, prompt, signals, system, term};
use crate::release::bundles;
use crate::release::documents::Name;
use crate::release::list::{self, Forge};
use crate::release::order::{self, Step};
use crate::release::origin::Rejects;
use crate::release::policy::Pin;
use crate::release::replace::{self, CurrentExe, Deployed, Redeployed};
use crate::release::rules::Constraints;
use crate::release::session::{self, UpdateContext};
use crate::release::state::State;
use crate::release::update::{Candidate, News, UpdateCheck};

use super::change;
use super::runtime::carries_litellm;
use super::update_check::{self, notes};
use crate::ui::answer::Answer;

pub(super) fn run(place: &Place, common: &Common, args: &SelfUpdateArgs) -> Result<Answer> {
    if args.list {
        return releases_of(args);
    }
    if args.rollback {
        return rollback(place, common, args);
    }
    if args.pin.is_some() || args.unpin {
        return pin(place, common, args);
    }
    if let Some(most) = args.jitter {
        spread(place, most)?;
    }
    let context = UpdateContext::of(place)?;
    context.policy.permit_check()?;
    let versions = Versions::parse(args)?;
    let channel = context.channel(args.channel.as_deref())?;
    let origin = context.origin(args.from.as_deref())?;
    let (running, machine) = (context.running(), context.machine(place)?);
    let in_use = if args.bundle_only { session::newest_configuration(place)? } else { running.release() };
    let check = UpdateCheck {
        state: context.state,
        origin: &origin,
        embedded_keys: build::KEYS,
        running: &running,
        in_use: &in_use,
        machine: machine.as_ref(),
        channel: &channel,
        constraints: Constraints {
            pins: &context.pins,
            asked: versions.asked.as_ref(),
            allow_downgrade: versions.allow_downgrade.as_ref(),
            accept_below_floor: args.accept_below_floor,
        },
        rejects: if args.keep_rejected { Rejects::Keep } else { Rejects::Discard },
        now: system::now(),
    };
    if args.check {
        return update_check::report(&check);
    }
    context.policy.permit_update()?;
    Update { place, common, args, check: &check }.take()
}

/// Flags that name exact versions.
struct Versions {
    asked: Option<Pin>,
    allow_downgrade: Option<Name>,
}

impl Versions {
    fn parse(args: &SelfUpdateArgs) -> Result<Self> {
        let version = |flag: &str, text: &str| {
            let bare = text.strip_prefix('v').unwrap_or(text);
            Name::parse(bare).ok_or_else(|| {
                Error::usage(format!("{flag}: \"{}\" is not a version", printable(text)))
                    .hint(format!("write it as {flag}=1.2.3"))
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

/// One update: the request, and the way to the release.
struct Update<'a> {
    place: &'a Place,
    common: &'a Common,
    args: &'a SelfUpdateArgs,
    check: &'a UpdateCheck<'a>,
}

impl<'a> Update<'a> {
    fn ordinary(&self) -> Ordinary<'a> {
        Ordinary { place: self.place, common: self.common, args: self.args }
    }

    fn take(&self) -> Result<Answer> {
        if !self.args.confirm.dry_run {
            change::recover_first(self.place, Operation::SelfUpdate, self.common.lock_wait)?;
        }
        let current = session::current_exe()?;
        if !self.args.bundle_only {
            session::require_replaceable(&current)?;
        }
        let news = self.check.news(false)?;
        if self.nothing_newer(&news)? {
            return Ok(news.waiting().map_or_else(|| self.up_to_date(), |why| self.not_yet(&news, &why)));
        }
        let candidate = self.check.candidate(&news)?;
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
        agree(&self.args.confirm, &summary)?;
        let _lock = self.check.state.lock("self-update", self.common.lock_wait)?;
        if self.args.bundle_only {
            self.bundle_only(&candidate, &current)
        } else {
            self.both(&candidate, &current)
        }
    }

    /// Online, the channel alone proves that nothing is newer; a named or pinned version is looked at itself.
    fn nothing_newer(&self, news: &News) -> Result<bool> {
        let channel_decides = !self.check.names_a_version() && self.check.origin.is_online();
        Ok(channel_decides && news.channel.is_some() && news.newer(self.check.in_use.seq)?.is_none())
    }

    fn both(&self, candidate: &Candidate, current: &CurrentExe) -> Result<Answer> {
        let artifact = order::artifact(&candidate.manifest, "binary", build::TARGET)?;
        let bar = Bar::new(artifact.name.as_str(), artifact.len);
        let staged =
            replace::stage(current, self.check.origin, candidate, artifact, &mut |bytes| bar.at(bytes));
        bar.done();
        let record = lost::record(self.place)?;
        let unsigned = record.as_ref().is_some_and(|record| record.bundle.origin == BundleOrigin::Directory);
        let deploys = record.is_some() && !unsigned && !self.args.binary_only;
        let facts = candidate.manifest.facts();
        let done =
            replace::swap(self.check.state, current, &staged?, candidate, deploys, &mut |program, words| {
                self.ordinary().redeploy(&|seq| seq == facts.seq, program, words)
            })?;
        let mut text =
            format!("gwinstall {} is installed; it replaced {}.", facts.version, self.check.running.version);
        match (deploys, unsigned) {
            (true, _) => text.push_str(&format!("\n  Configuration: {}", done.message)),
            (false, true) => text.push_str(&format!(
                "\n  The configuration came from a directory and stays: {}",
                term::command(&["update", "--source-dir", "DIR"])
            )),
            (false, false) => {}
        }
        let command = term::command(&["self-update", "--rollback"]);
        text.push_str(&format!("\n  To restore both as they were: {command}"));
        Ok(Answer::new(format!("updated to {}", facts.version))
            .text(text)
            .data(self.data(candidate, done.backup)))
    }

    fn bundle_only(&self, candidate: &Candidate, current: &CurrentExe) -> Result<Answer> {
        let artifact = order::artifact(&candidate.manifest, "bundle", "any")?;
        let bar = Bar::new(artifact.name.as_str(), artifact.len);
        let fetched =
            bundles::fetch(self.check.state, self.check.origin, candidate, &mut |bytes| bar.at(bytes));
        bar.done();
        let bundle = fetched?;
        let mut text = format!("The configuration bundle {} was fetched and verified.", bundle.id.version);
        if lost::record(self.place)?.is_none() {
            let command = term::command(&["install"]);
            text.push_str(&format!("\n  Nothing is deployed yet: {command}"));
            return Ok(Answer::new(format!("fetched bundle {}", bundle.id.version))
                .text(text)
                .data(self.data(candidate, None)));
        }
        let new = candidate.manifest.facts().seq;
        let words = ["update", "--yes", "--json"].map(OsString::from);
        let done = self.ordinary().redeploy(&|seq| seq == new, &current.path, &words)?;
        if !done.succeeded {
            return Err(Error::new(
                Kind::RolledBack,
                "the new configuration could not be deployed; the old one is back",
            )
            .fact("outcome", json!("rolled_back"))
            .because(done.message));
        }
        if let Some(other) = session::deployed(self.place)?.seq.filter(|seq| *seq != new) {
            return Err(Error::new(
                Kind::Refused,
                format!("bundle {} was fetched, but is not deployed", bundle.id.version),
            )
            .because(format!("the newest bundle at hand is deployed, and its seq is {other}"))
            .hint(Hint::run(&["rollback"]).to("restore an earlier configuration")));
        }
        text.push_str(&format!("\n  {}", done.message));
        Ok(Answer::new(format!("updated to bundle {}", bundle.id.version))
            .text(text)
            .data(self.data(candidate, done.backup)))
    }

    fn not_yet(&self, news: &News, why: &str) -> Answer {
        let in_use = self.check.in_use;
        let data = json!({ "version": in_use.version, "seq": in_use.seq, "rollout": news.rollout });
        Answer::new("nothing to do yet").text(format!("Nothing to do yet: {why}.")).data(data)
    }

    fn up_to_date(&self) -> Answer {
        let in_use = self.check.in_use;
        let text = format!("Nothing to do: gwinstall {} is up to date.", in_use.version);
        Answer::new("up to date").text(text).data(json!({ "version": in_use.version, "seq": in_use.seq }))
    }

    fn summary(&self, candidate: &Candidate) -> Result<String> {
        let (facts, in_use) = (candidate.manifest.facts(), self.check.in_use);
        let (role, target) =
            if self.args.bundle_only { ("bundle", "any") } else { ("binary", build::TARGET) };
        let artifact = order::artifact(&candidate.manifest, role, target)?;
        let verb = if candidate.verdict.step == Step::Older { "Downgrade" } else { "Update" };
        Ok(format!(
            "{verb} from gwinstall {} (seq {}) to {} (seq {}, released {}), {} bytes from {}\n  signed by key {}{}",
            in_use.version,
            in_use.seq,
            facts.version,
            facts.seq,
            facts.released.date(),
            artifact.len,
            self.check.origin.shown(),
            candidate.manifest.signer(),
            notes(candidate)
        ))
    }

    fn data(&self, candidate: &Candidate, backup: Option<String>) -> Value {
        let (facts, in_use) = (candidate.manifest.facts(), self.check.in_use);
        json!({
            "from": { "version": in_use.version, "seq": in_use.seq },
            "to": { "version": facts.version, "seq": facts.seq, "released": facts.released },
            "manifest_sha256": candidate.manifest.sha256(),
            "key": candidate.manifest.signer(),
            "origin": self.check.origin.shown(),
            "notes": candidate.verdict.notes,
            "backup": backup,
        })
    }
}

/// `--jitter`: an unattended machine waits before it asks, each one for another time. A person does not wait.
fn spread(place: &Place, most: u16) -> Result<()> {
    let context = UpdateContext::of(place)?;
    context.policy.permit_check()?;
    let machine = context.machine(place)?.filter(|_| !term::is_interactive());
    let Some(machine) = machine else { return Ok(()) };
    let delay = machine.delay(most);
    term::detail(&format!(
        "waiting for {}, so that not every machine asks at once",
        count(delay.into(), "second")
    ));
    for _ in 0..delay {
        signals::check()?;
        system::sleep(Duration::from_secs(1));
    }
    signals::check()
}

/// The ordinary commands that a self-update runs, in the deployment that its own flags name.
struct Ordinary<'a> {
    place: &'a Place,
    common: &'a Common,
    args: &'a SelfUpdateArgs,
}

impl Ordinary<'_> {
    /// Runs the command that should lead to a bundle whose seq is `intended`. However it ended, the deployment decides:
    /// a command that was killed may have done its work, or may have left it half done.
    fn redeploy(
        &self,
        intended: &dyn Fn(u64) -> bool,
        program: &Path,
        words: &[OsString],
    ) -> Result<Redeployed> {
        let mut words = words.to_vec();
        let updates = words.first().is_some_and(|verb| verb == "update");
        words.extend(self.args.takeover.no_reload.then(|| OsString::from("--no-reload")));
        words.extend((updates && self.args.runtime.keep_runtime).then(|| OsString::from("--keep-runtime")));
        let file = self.args.from.as_deref().map(Path::new).filter(|file| updates && carries_litellm(file));
        words.extend(file.into_iter().flat_map(|file| [OsString::from("--runtime-from"), file.into()]));
        let done = self.run(program, words)?;
        if done.succeeded {
            return Ok(done);
        }
        let repair = ["doctor", "--repair", "--yes", "--json"].map(OsString::from).to_vec();
        let settled = self.run(program, repair).is_ok_and(|repair| repair.succeeded);
        let deployed = if settled { session::deployed(self.place)? } else { Deployed::default() };
        let succeeded = deployed.seq.is_some_and(intended);
        Ok(Redeployed { succeeded, settled, backup: deployed.backup.filter(|_| succeeded), ..done })
    }

    /// A gwinstall command, run by `program`; exit 0 and 4 are success.
    fn run(&self, program: &Path, mut words: Vec<OsString>) -> Result<Redeployed> {
        for (flag, value) in [("--home", &self.common.home), ("--target-dir", &self.common.target_dir)] {
            if let Some(value) = value {
                words.extend([OsString::from(flag), value.clone().into_os_string()]);
            }
        }
        let ended = exe::capture(program, &words)?;
        // A command that was killed may have printed nothing, or half of its answer.
        let answer = serde_json::from_str(&ended.stdout).unwrap_or(Value::Null);
        let text = |value: &Value| value.as_str().map(printable);
        let causes = answer["data"]["causes"].as_array().into_iter().flatten().filter_map(text);
        let mut message = text(&answer["message"]).into_iter().chain(causes).collect::<Vec<_>>().join(": ");
        if answer["ok"] == true && !answer["data"]["gateway"].is_null() {
            message.push_str("; the running gateway serves it");
        }
        Ok(Redeployed {
            succeeded: matches!(ended.code, Some(0 | 4)),
            settled: true,
            backup: answer["data"]["backup"].as_str().map(str::to_owned),
            message: if message.is_empty() {
                format!("{} {} without a message", program.display(), ended.how_it_ended())
            } else {
                message
            },
        })
    }
}

/// Shows the plan and asks, as every changing command does.
fn agree(confirm: &ConfirmArgs, summary: &str) -> Result<()> {
    term::talk(summary);
    if confirm.yes {
        return Ok(());
    }
    if !term::is_interactive() {
        return Err(Error::usage("this changes files, and there is no terminal to ask on").hint(
            Hint::again(&["--yes"]).to("do it").or(Hint::again(&["--dry-run"]).to("see what it would do")),
        ));
    }
    if prompt::confirm("Go ahead?", true)? {
        return Ok(());
    }
    Err(prompt::stopped())
}

fn rollback(place: &Place, common: &Common, args: &SelfUpdateArgs) -> Result<Answer> {
    let confirm = &args.confirm;
    let context = UpdateContext::of(place)?;
    if !confirm.dry_run {
        change::recover_first(place, Operation::SelfUpdate, common.lock_wait)?;
    }
    let current = session::current_exe()?;
    session::require_replaceable(&current)?;
    let previous = replace::previous(context.state)?;
    context.permit_rollback(place, &previous)?;
    let (from, to) = (&previous.from, &previous.to);
    let mut summary = format!("Roll back from gwinstall {} to {}", from.version, to.version);
    if let Some(backup) = &previous.backup {
        summary.push_str(&format!(", and the configuration to {backup}"));
    }
    if to.seq < context.trust.floor_seq {
        summary.push_str(&format!("\n  note: {}", order::below_floor(to.seq, context.trust.floor_seq)));
    }
    if confirm.dry_run {
        return Ok(Answer::new("dry run: nothing was changed").text(summary));
    }
    agree(confirm, &summary)?;
    let _lock = context.state.lock("self-update --rollback", common.lock_wait)?;
    replace::rollback(context.state, &current, &previous, &mut |program, words| {
        Ordinary { place, common, args }.redeploy(&|seq| seq != from.seq, program, words)
    })?;
    let restored = if previous.backup.is_some() { ", with its configuration" } else { "" };
    Ok(Answer::new(format!("rolled back to {}", to.version))
        .text(format!("gwinstall {} is restored{restored}.", to.version))
        .data(json!({ "from": from, "to": to, "backup": previous.backup })))
}

/// `--pin` and `--unpin`: a pin of this user's own, beside those of the environment and the policy. Asks no origin.
fn pin(place: &Place, common: &Common, args: &SelfUpdateArgs) -> Result<Answer> {
    let pin = args.pin.as_deref().map(Pin::parse).transpose()?.map(|pin| pin.to_string());
    let (word, text) = match &pin {
        Some(pin) => {
            let command = term::command(&["self-update", "--unpin"]);
            let text = format!("gwinstall stays at {pin} until: {command}");
            (format!("pinned to {pin}"), text)
        }
        None => ("not pinned".to_owned(), "gwinstall follows its channel; your pin is removed.".to_owned()),
    };
    let data = json!({ "pin": pin });
    if args.confirm.dry_run {
        let text = format!("{text}\nThis was a dry run: nothing was changed.");
        return Ok(Answer::new("dry run: nothing was changed").text(text).data(data));
    }
    let state = State { dir: &place.state_dir };
    let _lock = state.lock("self-update", common.lock_wait)?;
    let mut trust = state.trust()?;
    if trust.pin != pin {
        trust.pin = pin;
        state.keep_trust(&trust)?;
    }
    Ok(Answer::new(word).text(text).data(data))
}

/// `--list`: the releases that a forge lists; unsigned, for information.
fn releases_of(args: &SelfUpdateArgs) -> Result<Answer> {
    let named = args.from.as_deref().or(build::REPO);
    let named = named.ok_or_else(|| {
        Error::usage("this gwinstall does not know where its releases are")
            .hint(Hint::again(&["--from", "OWNER/NAME"]).to("name a repository"))
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
