//! Leaving: how the settings of Claude Code stop pointing at a gateway while sessions of Claude Code are open.
//!
//! Promise: an open session never sends the user's login to the gateway, nor a credential of the gateway elsewhere.
//! Every write is one transaction, and every state in between may stay for as long as it has to: a process that ends
//! anywhere in here leaves a record that says *leaving*, and the next run goes on from there. Never: restores the
//! settings because time has passed.

mod sequence;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::domain::name::{count, shell_word};
use crate::domain::place::files;
use crate::domain::plan::Step as PlanStep;
use crate::domain::record::{Pointed, Record, RequestFacts, SettingsRecord};
use crate::domain::session::Session;
use crate::domain::tree::Class;
use crate::domain::{Error, Hint, Kind, Operation, Place, Result};
use crate::doors::{disk, processes, signals, system};
use crate::format::sessions as format;
use crate::format::settings::{KeyPath, Settings, hook};
use crate::render::{AUTH_TOKEN, BASE_URL, DesiredKey};

use super::context::Context;
use super::converge::{self, Held};
use super::draft::Draft;
use super::permission::Rules;
use super::plan::Stance;
use super::sessions::{self, Open};
use super::settings::{HOOKS, SettingsEdit};
use super::times::Times;
use super::transaction::{Conditions, Transaction};
use super::{step, store};

use sequence::{Finish, Sequence, State, Step};

/// Where Claude Code sends its requests when its settings name no address.
pub const ANTHROPIC: &str = "https://api.anthropic.com";
const API_KEY: &str = "ANTHROPIC_API_KEY";
const HELPER: &str = "apiKeyHelper";
/// Directories in which sessions acknowledge, inside the private directory of gwinstall.
const ACKNOWLEDGEMENTS: &str = "acknowledged-";
/// More acknowledgements than there are sessions, and longer than one is.
const ACKNOWLEDGEMENTS_CAP: usize = 4096;
const ACKNOWLEDGEMENT_CAP: u64 = 256 << 10;
/// How often gwinstall looks for acknowledgements and sessions.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How often a write is tried again that another program raced.
const TRIES: usize = 3;

/// How Claude Code gets from its present settings to the desired ones without an address and a credential that do not
/// belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passage {
    /// One write: the desired settings set everything, or nothing of it changes.
    Straight,
    /// The desired settings name an address and a credential: first with empty values for what they leave out.
    Blanks,
    /// They name none: through settings that lead away from the gateway.
    Middle,
}

/// What gwinstall says while it waits.
pub enum Progress<'a> {
    /// It leads these sessions away first.
    Begins(&'a [Open]),
    /// It has asked them to follow, and waits.
    Waits,
}

/// Who decides about addresses, and who reads what happens.
pub struct Surroundings<'a> {
    /// Where Claude Code may be led.
    pub rules: &'a dyn Rules,
    pub tell: &'a dyn Fn(&Progress<'_>),
    /// Seconds to wait for another run of gwinstall.
    pub lock_wait: u64,
}

/// What has become of the sessions that were open.
#[derive(Default)]
pub struct Left {
    /// The lock, for the rest of the operation; `None` where nothing had to be done.
    pub held: Option<Held>,
    /// The sessions that were led away.
    pub followed: Vec<Session>,
    /// The sessions that have not followed: the settings stay away from the gateway until they have ended.
    pub staying: Vec<Session>,
    /// The sessions that had a credential from their shell, and have none until they are restarted.
    pub logged_out: Vec<(Session, Vec<&'static str>)>,
}

fn passage_between(before: &Settings, after: &Settings) -> Passage {
    let decisive =
        [KeyPath::top(HELPER), KeyPath::env(BASE_URL), KeyPath::env(API_KEY), KeyPath::env(AUTH_TOKEN)];
    if decisive.iter().all(|key| before.get(key) == after.get(key)) {
        return Passage::Straight;
    }
    let text = |key: &KeyPath| after.get(key).and_then(|value| value.as_str().map(str::to_owned));
    let [helper, address, key, token] = decisive.map(|key| text(&key));
    let is_something = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    match (is_something(&address), key.is_some() && token.is_some()) {
        (true, true) => Passage::Straight,
        (true, false) if [helper, key, token].iter().any(is_something) => Passage::Blanks,
        _ => Passage::Middle,
    }
}

/// The sessions that an earlier run still waits for; `None` where it left nothing. A run that was killed has not
/// named any: then every session counts.
pub fn awaited(context: &Context<'_>) -> Result<Option<Vec<Session>>> {
    let Some(record) = context.record.as_ref().filter(|record| record.request.pointed == Pointed::Leaving)
    else {
        return Ok(None);
    };
    let open = sessions::open(context.place)?.into_iter().map(|open| open.session);
    let named = |session: &Session| record.waiting.iter().any(|known| known.is_same_process(session));
    Ok(Some(open.filter(|session| record.waiting.is_empty() || named(session)).collect()))
}

/// Leads every open session away from the gateway, so that the draft may be carried out. Does nothing where no session
/// is open, or where the draft leads them to where they belong in one write.
pub fn lead_away(
    context: &Context<'_>,
    operation: Operation,
    draft: &Draft,
    surroundings: &Surroundings<'_>,
) -> Result<Left> {
    let place = context.place;
    let (Some(before), Some(after)) = (context.settings()?.parsed(), draft.settings_after()?) else {
        return Ok(Left::default());
    };
    let passage = passage_between(before, &after);
    if place.staged || passage == Passage::Straight {
        return Ok(Left::default());
    }
    let open = sessions::open(place)?;
    let recorded = context.record.as_ref().filter(|record| record.request.pointed == Pointed::Leaving);
    let only = recorded.map(|record| record.waiting.clone()).filter(|waiting| !waiting.is_empty());
    let mut sequence = Sequence::new(!processes::changes_are_reported(&place.config_dir), only);
    if sequence.next(&open, Duration::ZERO) == Step::Finish(Finish::Restore) {
        return Ok(Left::default());
    }
    if context.record.is_none() {
        return Err(Error::new(
            Kind::Busy,
            "open sessions of Claude Code use the gateway, and nothing was changed",
        )
        .because(format!(
            "without a record of the deployment gwinstall cannot lead {} away",
            count(open.len(), "session")
        ))
        .hint("close them, then run the same command again"));
    }
    let away = match passage {
        Passage::Blanks => blanks(draft, &after),
        _ => away(context, surroundings.rules)?,
    };
    (surroundings.tell)(&Progress::Begins(&open));
    let held = converge::lock(place, operation, surroundings.lock_wait)?;
    let departure = Departure { place, operation, away, hook: Hook::new(place)?, surroundings };
    let result = departure.run(&mut sequence);
    departure.hook.remove()?;
    let staying = result.map_err(|error| {
        error.hint(Hint::again::<&str>(&[]).to("go on: Claude Code is on its way out of the gateway"))
    })?;
    let middle = passage == Passage::Middle;
    let logged_out = if middle { sessions::with_own_credentials(&still(place, &open)?) } else { Vec::new() };
    let follows = |open: &Open| !staying.iter().any(|session| session.is_same_process(&open.session));
    let followed = open.iter().filter(|open| follows(open)).map(|open| open.session.clone()).collect();
    Ok(Left { held: Some(held), followed, staying, logged_out })
}

/// Those of `open` that have not ended meanwhile.
fn still(place: &Place, open: &[Open]) -> Result<Vec<Open>> {
    let mut now = sessions::open(place)?;
    now.retain(|now| open.iter().any(|before| before.session.is_same_process(&now.session)));
    Ok(now)
}

/// The values that lead away from the gateway, beside the user's settings without any key of gwinstall.
fn away(context: &Context<'_>, rules: &dyn Rules) -> Result<Vec<DesiredKey>> {
    let restored = restored(context)?;
    let own = restored.get(&KeyPath::env(BASE_URL));
    let own = own.as_ref().and_then(Value::as_str).filter(|address| !address.is_empty());
    let address = match own.filter(|own| rules.permit_address(own).is_ok()) {
        Some(own) => own,
        None => {
            rules.permit_address(ANTHROPIC).map_err(|error| {
                error
                    .because("without the gateway the open sessions of Claude Code would go there, and nothing was changed")
                    .hint("close the open sessions of Claude Code, then run the same command again")
            })?;
            ANTHROPIC
        }
    };
    let values = [(BASE_URL, address), (API_KEY, ""), (AUTH_TOKEN, "")];
    let keys = values.map(|(name, value)| (KeyPath::env(name), Value::from(value)));
    // A value that the user has set anyway comes with the restored settings, and stays the user's.
    let differs = |(path, value): &(KeyPath, Value)| restored.get(path).as_ref() != Some(value);
    Ok(keys.into_iter().filter(differs).map(|(path, value)| set(path, value)).collect())
}

/// The settings without any key of gwinstall.
fn restored(context: &Context<'_>) -> Result<Settings> {
    let unreadable = |why: &dyn std::fmt::Display| {
        Error::failed("cannot work out the settings from before gwinstall").because(why)
    };
    let Some(settings) = context.settings()?.parsed() else { return Ok(Settings::absent()) };
    let converged = settings.converge(&[], context.ledger()?).map_err(|problem| unreadable(&problem))?;
    if converged.remove_file {
        return Ok(Settings::absent());
    }
    Settings::parse(&converged.bytes).map_err(|problem| unreadable(&problem))
}

/// What the draft desires, with empty values for the credentials that its settings leave out.
fn blanks(draft: &Draft, after: &Settings) -> Vec<DesiredKey> {
    let left_out =
        [API_KEY, AUTH_TOKEN].map(KeyPath::env).into_iter().filter(|path| after.get(path).is_none());
    let desired = draft.desired_keys().iter().cloned();
    desired.chain(left_out.map(|path| set(path, Value::from("")))).collect()
}

/// A key that gwinstall sets also over a value of the user; the ledger remembers that one.
fn set(path: KeyPath, value: Value) -> DesiredKey {
    DesiredKey { path, value: Some(value), secret: false, always: true, yields: false }
}

/// One departure at work.
struct Departure<'a> {
    place: &'a Place,
    operation: Operation,
    away: Vec<DesiredKey>,
    hook: Hook,
    surroundings: &'a Surroundings<'a>,
}

impl Departure<'_> {
    /// Takes the steps of the sequence; the sessions that have not followed.
    fn run(&self, sequence: &mut Sequence) -> Result<Vec<Session>> {
        let clock = system::Stopwatch::start();
        let now = || Duration::from_millis(clock.milliseconds());
        loop {
            signals::check()?;
            self.hook.acknowledged().into_iter().for_each(|id| sequence.acknowledge(id));
            match sequence.next(&sessions::open(self.place)?, now()) {
                Step::Wait(longest) => system::sleep(longest.min(LOOK_AGAIN)),
                Step::Finish(Finish::Restore) => return Ok(Vec::new()),
                Step::Finish(Finish::Stay(staying)) => return Ok(staying),
                Step::Write(state) => {
                    let waiting = match state {
                        State::ForLong => sequence.pending(&sessions::open(self.place)?, now()),
                        State::Asking(_) => Vec::new(),
                    };
                    self.write(state, &waiting)?;
                    sequence.wrote(state, now());
                    if state == State::Asking(1) {
                        (self.surroundings.tell)(&Progress::Waits);
                    }
                }
            }
        }
    }

    /// Brings the settings to a state, and the record with them. Another program may write the settings at any moment.
    fn write(&self, state: State, waiting: &[Session]) -> Result<()> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.try_to_write(state, waiting) {
                Err(error) if error.kind() == Kind::Busy && tried < TRIES => {}
                done => return done,
            }
        }
    }

    fn try_to_write(&self, state: State, waiting: &[Session]) -> Result<()> {
        let context = Context::load(self.place)?;
        let record = context.deployed()?;
        let keys = self.keys(state, &context)?;
        let edit = SettingsEdit::work_out(
            self.place,
            context.settings()?,
            context.ledger_file()?,
            &keys,
            Stance::Deploy { force: false },
            record.settings.mode_before,
        )?;
        let mut steps = vec![edit.ledger_step(self.place)?];
        steps.push(record_step(self.place, leaving(record, waiting, edit.mode_before))?);
        steps.extend(edit.step);
        let (draft, times) = (Draft::of_steps(steps), Times::default());
        let transaction = Transaction::new(self.place, self.operation, &draft, system::now(), &[], &times);
        let conditions = Conditions { staged: &|_| Ok(()), live: &|| Ok(()), gate: None };
        transaction.carry_out(&conditions).map(drop).map_err(|failure| failure.error)
    }

    /// The keys of gwinstall in a state.
    fn keys(&self, state: State, context: &Context<'_>) -> Result<Vec<DesiredKey>> {
        let State::Asking(round) = state else { return Ok(self.away.clone()) };
        let own = context.settings()?.get(&KeyPath::top(HOOKS));
        let own = own.and_then(|own| hook::without(&own).unwrap_or(Some(own)));
        // Claude Code accepts no hook where the value has another form.
        let hooks = hook::with(own.as_ref(), &self.hook.command(round));
        Ok(self.away.iter().cloned().chain(hooks.map(|hooks| set(KeyPath::top(HOOKS), hooks))).collect())
    }
}

/// The record of a deployment that Claude Code is leaving. It keeps the keys of gwinstall from before, for a backup.
fn leaving(record: &Record, waiting: &[Session], mode_before: Option<u32>) -> Record {
    Record {
        request: RequestFacts { pointed: Pointed::Leaving, ..record.request.clone() },
        settings: SettingsRecord { mode_before, ..record.settings.clone() },
        waiting: waiting.to_vec(),
        ..record.clone()
    }
}

fn record_step(place: &Place, record: Record) -> Result<PlanStep> {
    let bytes = store::record_bytes(&record)?;
    step::write(files::RECORD, place.file(files::RECORD), Class::Record, bytes, 0o600)
}

/// The hook by which sessions acknowledge, and the directory in which they do: a session that runs it writes there what
/// Claude Code tells the hook, which names the session.
struct Hook {
    dir: PathBuf,
    nonce: String,
}

impl Hook {
    /// Makes the directory, and removes what an earlier run left of its own.
    fn new(place: &Place) -> Result<Self> {
        forget(place)?;
        let nonce = system::random_hex(16)?;
        let dir = place.own().join(format!("{ACKNOWLEDGEMENTS}{nonce}"));
        disk::create_dirs(&dir).map_err(|error| disk::failure("create", &dir, &error))?;
        Ok(Self { dir, nonce })
    }

    /// The command of a round, always with exit status 0: another one would keep the session from taking a change over.
    fn command(&self, round: u32) -> String {
        let dir = shell_word(&self.dir.to_string_lossy());
        // The group silences the shell, too, where the directory is gone.
        format!(
            "{}{}-{round}; PATH=/usr/bin:/bin:$PATH; {{ cat >{dir}/$$; }} 2>/dev/null; exit 0",
            hook::MARK,
            self.nonce
        )
    }

    /// The sessions that have acknowledged so far.
    fn acknowledged(&self) -> Vec<String> {
        let names = disk::list(&self.dir).unwrap_or_default();
        let read = |name: &String| {
            let bytes = disk::read_maybe(&self.dir.join(name), ACKNOWLEDGEMENT_CAP).ok()??;
            format::acknowledged_by(&bytes)
        };
        names.iter().take(ACKNOWLEDGEMENTS_CAP).filter_map(read).collect()
    }

    fn remove(&self) -> Result<()> {
        remove(&self.dir)
    }
}

/// Removes the directories of acknowledgements that earlier runs left.
pub fn forget(place: &Place) -> Result<()> {
    let names = disk::list(&place.own())?;
    let left = names.iter().filter(|name| name.starts_with(ACKNOWLEDGEMENTS));
    left.map(|name| place.own().join(name)).try_for_each(|dir| remove(&dir))
}

fn remove(dir: &std::path::Path) -> Result<()> {
    for name in disk::list(dir)? {
        let path = dir.join(name);
        disk::remove(&path).map_err(|error| disk::failure("remove", &path, &error))?;
    }
    disk::remove_dir_if_empty(dir).map(drop).map_err(|error| disk::failure("remove", dir, &error))
}
