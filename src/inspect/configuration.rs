//! Whether a configuration is one with which LiteLLM does what its author meant. `validate` and `doctor` use the same
//! check.

use std::collections::BTreeSet;

use crate::deploy::checks;
use crate::deploy::logins::Cloud;
use crate::domain::check::Finding;
use crate::domain::place::files;
use crate::domain::runtime::RuntimeId;
use crate::domain::{Hint, Place};
use crate::doors::system;
use crate::format::dotenv::DotEnv;
use crate::format::litellm::{self, Context, references};
use crate::format::yaml::Doc;
use crate::runtime::names::known_names;

use super::facts::Facts;
use super::variables;

/// All problems of a configuration that LiteLLM reads with this `.env`. A variable without a value is a problem of the
/// deployment, and for the configuration alone a warning.
pub fn findings(
    place: &Place,
    text: &str,
    env: &DotEnv,
    runtime: Option<&RuntimeId>,
    unset_is_error: bool,
) -> Vec<litellm::Finding> {
    let mut wanted = references(text);
    wanted.extend(litellm::SWITCHES.map(str::to_owned));
    let known = known_variables(place, &wanted, env);
    let names = known_names(place, runtime);
    litellm::check(text, &Context { known_env: Some(&known), unset_is_error, names: names.as_ref() })
}

/// Of the variables that a configuration refers to, those that LiteLLM finds: in `.env`, which it is started with, or in
/// the environment.
fn known_variables(place: &Place, wanted: &BTreeSet<String>, env: &DotEnv) -> BTreeSet<String> {
    let set =
        |name: &&String| variables::is_set(env, name) || (!place.staged && system::variable(name).is_some());
    wanted.iter().filter(set).cloned().collect()
}

/// The deployed configuration.
pub fn valid(facts: &Facts<'_>) -> Finding {
    let Some(record) = facts.record().filter(|record| record.runs_litellm()) else {
        return Finding::skip("this preset runs no LiteLLM here");
    };
    let text = match facts.configuration() {
        Ok(Some(text)) => text,
        Ok(None) => {
            return Finding::fail(format!("{} is missing", files::CONFIG)).hint(Hint::run(&["install"]));
        }
        Err(error) => return Finding::fail(error.to_string()),
    };
    let env = match facts.env() {
        Ok(env) => env,
        Err(_) => return variables::unread(),
    };
    let findings = findings(facts.place(), text, env, record.runtime.as_ref(), true);
    checks::yaml_finding(files::CONFIG, &findings, record.models.len())
}

/// The providers with a login that models of the configuration go to; `None` where it cannot be read.
pub fn providers(facts: &Facts<'_>) -> Option<Vec<Cloud>> {
    let doc = Doc::parse(facts.configuration().ok()??).ok()?;
    let models = doc.root()?.get("model_list")?.seq()?;
    let routes = models.filter_map(|model| model.get("litellm_params")?.get("model")?.str());
    let used: Vec<Cloud> = routes.filter_map(Cloud::of_route).collect();
    Some(Cloud::ALL.into_iter().filter(|provider| used.contains(provider)).collect())
}
