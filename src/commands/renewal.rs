//! A deployment whose new bundle names other packages of LiteLLM than the installed ones: the new LiteLLM and the new
//! configuration arrive together, or neither does.
//!
//! Promise: the new LiteLLM is built beside the old one before the first file changes, and the old one stays. A LiteLLM with a
//! known security hole is not kept. Never: fetches anything without `--yes` or the answer of a person.

use std::path::PathBuf;

use crate::bundle::Bundle;
use crate::cli::Common;
use crate::domain::request::Request;
use crate::domain::runtime::{RuntimeId, RuntimeKind};
use crate::domain::{Error, Hint, Kind, Place, Result};
use crate::doors::prompt;
use crate::runtime::choose;
use crate::runtime::facts::{Facts, Verdict};
use crate::runtime::place as runtimes;

use super::change::Change;
use super::runtime::{Coming, Wanted};
use super::supply;

/// The LiteLLM that a deployment runs, which another lock built than that of the new bundle.
struct Older {
    runtime: RuntimeId,
    path: PathBuf,
    facts: Facts,
}

/// Lets the request name the LiteLLM of the new bundle, and the change build it first. `keep`: the old one is to stay.
/// `asks`: there is a person to ask.
pub(super) fn renew<'a>(
    change: &mut Change<'a>,
    common: &'a Common,
    bundle: &Bundle,
    request: &mut Request,
    wanted: &Wanted<'_>,
    keep: bool,
    asks: bool,
) -> Result<()> {
    let Some(older) = Older::of(change, bundle, request)? else { return Ok(()) };
    if keep {
        return older.require_safe(request);
    }
    let place = change.place();
    let coming = Coming::find(place, bundle, wanted).map_err(|error| older.or_keep(error))?;
    if asks
        && !coming.is_built(place, common)
        && !prompt::confirm(&older.question(place, common, &coming), true)?
    {
        return older.require_safe(request);
    }
    request.runtime.managed = Some(coming.brought(place, common));
    change.intention = coming.intention(place, common);
    change.first = Some(Box::new(move || coming.build(place, common).map_err(|error| older.or_keep(error))));
    Ok(())
}

impl Older {
    fn of(change: &Change<'_>, bundle: &Bundle, request: &Request) -> Result<Option<Self>> {
        let place = change.place();
        let recorded = change.context.record.as_ref().and_then(|record| record.runtime.as_ref());
        let managed = recorded.filter(|runtime| runtime.kind == RuntimeKind::Managed);
        let named = request.runtime.venv.is_some() || request.runtime.managed.is_some();
        let Some(runtime) = managed.filter(|_| !place.staged && !named) else { return Ok(None) };
        // A directory of files may say nothing about LiteLLM.
        let Ok(facts) = Facts::of(bundle) else { return Ok(None) };
        let path = runtime.path(&place.home);
        if runtimes::is_of(&path, &facts) || !choose::is_there(place, runtime) {
            return Ok(None);
        }
        let goal = supply::goal(change, bundle, request)?;
        let runs = goal.record.as_ref().is_some_and(|record| record.runtime.is_some());
        Ok(runs.then(|| Self { runtime: runtime.clone(), path, facts }))
    }

    fn version(&self) -> &str {
        self.runtime.version.as_deref().unwrap_or("of an unknown version")
    }

    fn question(&self, place: &Place, common: &Common, coming: &Coming) -> String {
        let (old, new) = (self.version(), coming.litellm());
        let what = if old == new {
            format!("The new bundle names other packages for LiteLLM {new}")
        } else {
            format!("The new bundle names LiteLLM {new}, and {old} runs here")
        };
        format!("{what}: {}. Install it?", coming.takes(place, common))
    }

    /// Refuses to keep a LiteLLM with a known hole.
    fn require_safe(&self, request: &Request) -> Result<()> {
        let reason = match self.facts.verdict(self.version()) {
            Verdict::Fine => return Ok(()),
            Verdict::Unsafe { .. } if request.runtime.allow_unsafe => return Ok(()),
            Verdict::Unsafe { below, reason } => format!("it is older than {below}: {reason}"),
            Verdict::Malicious => "it was published with malicious code".to_owned(),
        };
        let refused = format!("LiteLLM {} in {} must not stay", self.version(), self.path.display());
        Err(Error::new(Kind::Refused, refused).because(reason).hint(Hint::step(
            "run the command without --keep-runtime: it installs the LiteLLM of the new bundle",
        )))
    }

    /// An error of the new LiteLLM, with the way to go on with the old one.
    fn or_keep(&self, error: Error) -> Error {
        let safe = self.facts.verdict(self.version()) == Verdict::Fine;
        let keep = Hint::again(&["--keep-runtime"]).to("keep the old LiteLLM");
        if safe { error.or_hint(keep) } else { error }
    }
}
