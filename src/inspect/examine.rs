//! The checks by subject. A command chooses subjects, never single checks, so that two commands that look at the same
//! subject print the same verdicts.

use crate::bundle::Bundle;
use crate::bundle::catalog::Model;
use crate::deploy::checks::{self, Checks};
use crate::deploy::logins::Cloud;
use crate::deploy::strangers;
use crate::domain::check::{CheckName, Finding};
use crate::domain::place::files;
use crate::domain::{Place, Result};
use crate::format::dotenv::DotEnv;
use crate::gateway;

use super::facts::Facts;
use super::variables::Due;
use super::{configuration, conflicts, machine, permitted, state, variables};

/// Whether a run was interrupted, what is deployed, and whether a managed machine allows that.
pub fn state(checks: &mut Checks, facts: &Facts<'_>) {
    checks.run(CheckName::NoInterruptedRun, || state::interrupted(facts));
    checks.run(CheckName::Deployed, || state::deployed(facts));
    policy(checks, facts);
    checks.run(CheckName::SettingsLedgerReadable, || state::ledger(facts));
}

/// Whether the policy of a managed machine allows what is there.
pub fn policy(checks: &mut Checks, facts: &Facts<'_>) {
    if let Some(finding) = permitted::finding(facts) {
        checks.run(CheckName::AllowedByPolicy, || finding);
    }
}

/// The service that keeps the gateway running, where there is one.
pub fn service(checks: &mut Checks, place: &Place) {
    if let Some(service) = gateway::service::installed(place) {
        checks.run(CheckName::ServiceWorks, || state::service(place, &service));
    }
}

/// Whether gwinstall can write where it must.
pub fn room(checks: &mut Checks, place: &Place) {
    checks.run(CheckName::TargetDirectoryWritable, || checks::target_writable(place));
    checks.run(CheckName::DiskSpaceSufficient, || checks::disk_space(place));
}

/// The variables of the gateway. `missing` are those without a value, else the reason why that is not known.
pub fn environment(checks: &mut Checks, facts: &Facts<'_>, missing: std::result::Result<&[String], String>) {
    let deployed = facts.record().is_some();
    checks.run(CheckName::RequiredEnvVarsPresent, || match missing {
        Ok(missing) => variables::required(facts.place(), deployed, missing, facts.env().ok(), Due::Now),
        Err(why) => Finding::skip(why),
    });
    if deployed {
        checks.run(CheckName::EnvFilePermissions, || checks::private(facts.place(), files::ENV));
        checks.run(CheckName::EnvFileReadable, || variables::readable(facts));
    }
}

/// What `doctor` looks at beside disk space.
pub fn machine(checks: &mut Checks, place: &Place) {
    // A staged home is for another machine.
    if !place.staged {
        checks.run(CheckName::MachineLargeEnough, || machine::large_enough(place));
    }
}

/// The variables of the gateway, by the bundle that knows what is deployed.
pub fn environment_of(checks: &mut Checks, facts: &Facts<'_>, bundle: &Result<Bundle>) {
    let missing = match (facts.env(), bundle) {
        (Err(_), _) => Err(".env cannot be read".to_owned()),
        (_, Err(error)) => Err(error.to_string()),
        (_, Ok(bundle)) => variables::missing_of(facts, bundle).map_err(|error| error.to_string()),
    };
    environment(checks, facts, missing.as_deref().map_err(Clone::clone));
}

/// The logins and the regions of the providers that models go to; `None`: the configuration cannot be read. `env` is the
/// `.env` that the gateway starts with, where it can be read.
pub fn providers(
    checks: &mut Checks,
    place: &Place,
    env: Option<&DotEnv>,
    used: Option<&[Cloud]>,
    models: &[&Model],
) {
    for provider in Cloud::ALL {
        checks.run(provider.check(), || match (used, env) {
            (None, _) => Finding::skip("the configuration cannot be read"),
            (Some(used), _) if !used.contains(&provider) => Finding::skip("no deployed model needs it"),
            _ if place.staged => Finding::skip("each machine has a login of its own"),
            (Some(_), Some(env)) => provider.finding(place, env),
            (Some(_), None) => variables::unread(),
        });
    }
    checks.run(CheckName::RegionsKnown, || {
        env.map_or_else(variables::unread, |env| variables::regions(env, models))
    });
}

/// The logins and the regions of what is deployed, or of what an installation would deploy.
pub fn providers_of(checks: &mut Checks, facts: &Facts<'_>, bundle: &Result<Bundle>) {
    let place = facts.place();
    let Some(record) = facts.record() else {
        let Ok((env, models)) =
            bundle.as_ref().map_err(Clone::clone).and_then(|bundle| variables::outlook_of(facts, bundle))
        else {
            return providers(checks, place, None, None, &[]);
        };
        return providers(checks, place, Some(&env), Some(&Cloud::of_models(&models)), &models);
    };
    if record.runs_litellm() {
        let models = bundle.as_ref().ok().and_then(|bundle| variables::models_of(record, bundle));
        let used = configuration::providers(facts).or_else(|| models.as_deref().map(Cloud::of_models));
        let models = models.unwrap_or_default();
        providers(checks, place, facts.env().ok(), used.as_deref(), &models);
    }
}

/// What leads Claude Code past the gateway.
pub fn claude_code(checks: &mut Checks, facts: &Facts<'_>) {
    conflicts::examine(checks, facts);
}

/// The deployed files.
pub fn files(checks: &mut Checks, facts: &Facts<'_>) {
    let Some(record) = facts.record() else { return };
    let place = facts.place();
    checks.run(CheckName::FilesCopiedCount, || checks::files_copied(place, record));
    checks.run(CheckName::YamlConfigValid, || configuration::valid(facts));
    checks.run(CheckName::ScriptsExecutable, || checks::executable(place, record));
    checks.run(CheckName::StartupScriptGenerated, || checks::startup_script(place, record));
    checks.run(CheckName::DirectoryPrivate, || state::directory_private(facts));
    if !place.staged {
        checks.run(CheckName::NoOtherUserCanWrite, || strangers::finding(place));
    }
    if let Some(finding) = state::keys_in_git(facts) {
        checks.run(CheckName::EnvFileNotInGit, || finding);
    }
}
