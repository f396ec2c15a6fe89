//! What leads Claude Code past the gateway although everything is deployed right: leftovers in the shell, in settings
//! files, or a proxy in between. Looks only.

use std::collections::BTreeSet;

use serde_json::json;

use crate::deploy::bypass::Sight;
use crate::deploy::checks::Checks;
use crate::domain::check::{CheckName, Finding};
use crate::domain::name::list;
use crate::domain::record::Record;
use crate::domain::request::GatewayType;
use crate::domain::{Hint, Place};
use crate::doors::system;
use crate::format::dotenv::DotEnv;
use crate::format::settings::Settings;
use crate::render;

use super::facts::Facts;
use super::{overrides, pointed, variables};

/// Every conflict as a check. Where nothing is deployed only the shell can be looked at.
pub fn examine(checks: &mut Checks, facts: &Facts<'_>) {
    let (settings, record) = (facts.settings(), facts.record());
    if !facts.place().staged {
        checks.run(CheckName::NoOtherProviderSwitch, || other_ways(settings));
        checks.run(CheckName::NoApiKeyInShell, || api_key(settings, record.is_some()));
        checks.run(CheckName::NoProxyCoversGateway, || match facts.env() {
            Ok(env) => no_proxy(facts.place(), settings, env, record),
            Err(_) => variables::unread(),
        });
    }
    if let Some(finding) = pointed::finding(facts) {
        checks.run(CheckName::SettingsPointHere, || finding);
    }
    if record.is_some() {
        checks.run(CheckName::SettingsEffective, || overrides::finding(facts.overrides()));
    }
}

/// Settings win over the shell, so a switch that settings turn off is off.
fn other_ways(settings: Option<&Settings>) -> Finding {
    let shell = system::names_of_variables();
    let present = settings.into_iter().flat_map(|settings| settings.env_names()).map(str::to_owned);
    let names: BTreeSet<String> =
        present.chain(shell).filter(|name| render::is_provider_switch(name)).collect();
    for name in &names {
        if let Some(value) = settings.and_then(|settings| settings.env_text(name)) {
            if render::is_on(&value) {
                return Finding::warn(format!(
                    "settings.json sets {name}: Claude Code goes past the gateway"
                ))
                .details(json!({ "variable": name, "where": "settings.json" }))
                .hint(Hint::run(&["install", "--force"]).to("take it out until you uninstall"));
            }
        } else if system::variable(name).is_some_and(|value| render::is_on(&value)) {
            return Finding::warn(format!("{name} is set in this shell: Claude Code goes past the gateway"))
                .details(json!({ "variable": name, "where": "environment" }))
                .hint(
                    Hint::shell(format!("unset {name}"))
                        .or(Hint::shell(format!("grep -n {name} ~/.profile ~/.*rc"))
                            .to("find it in your shell's start files")),
                );
        }
    }
    Finding::pass("nothing points Claude Code directly at a provider")
}

fn api_key(settings: Option<&Settings>, deployed: bool) -> Finding {
    const NAME: &str = "ANTHROPIC_API_KEY";
    let blanked = settings.and_then(|settings| settings.env_text(NAME)).is_some_and(|value| value.is_empty());
    match system::variable(NAME) {
        None => Finding::pass("no ANTHROPIC_API_KEY in this shell"),
        Some(_) if blanked => {
            Finding::pass("ANTHROPIC_API_KEY is in this shell, and settings.json keeps it from the gateway")
        }
        Some(_) => Finding::warn(
            "ANTHROPIC_API_KEY is in this shell: Claude Code sends it to the gateway together with its own key",
        )
        .hint(
            Hint::run(&[if deployed { "on" } else { "install" }])
                .to("keep it away from the gateway")
                .or(Hint::shell("unset ANTHROPIC_API_KEY").to("remove it from this shell")),
        ),
    }
}

/// Whether the proxy of Claude Code leaves this machine out.
fn no_proxy(place: &Place, settings: Option<&Settings>, env: &DotEnv, record: Option<&Record>) -> Finding {
    let local = record.is_none_or(|record| record.gateway_type == GatewayType::Local);
    if !local {
        let has_gateway = record.is_none_or(Record::has_gateway);
        return Finding::skip(if has_gateway {
            "the gateway is not on this machine"
        } else {
            "no gateway is deployed"
        });
    }
    let sight = Sight::of(place, settings);
    if sight.proxies.is_empty() {
        let through = variables::is_set(env, "HTTPS_PROXY");
        return Finding::pass(if through {
            "only the gateway goes through a proxy"
        } else {
            "no proxy is set"
        });
    }
    if sight.leaves_this_machine_out() {
        return Finding::pass(format!("{} set, and NO_PROXY leaves this machine out", are(&sight.proxies)));
    }
    let add = Hint::run(&["install"]).to("add this machine to NO_PROXY of Claude Code's settings");
    Finding::warn(format!(
        "{} set without 127.0.0.1 in NO_PROXY: Claude Code asks the proxy for the gateway",
        are(&sight.proxies)
    ))
    .details(json!({ "proxies": sight.proxies }))
    .hint(add.or(Hint::shell("export NO_PROXY=localhost,127.0.0.1").to("do it in this shell")))
}

fn are(names: &[&str]) -> String {
    format!("{} {}", list(names), if names.len() == 1 { "is" } else { "are" })
}
