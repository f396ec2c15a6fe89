//! What leads Claude Code past the gateway although everything is deployed right: leftovers in the shell, in settings
//! files, or a proxy in between. Looks only.

use serde_json::json;

use crate::deploy::checks::Checks;
use crate::domain::Hint;
use crate::domain::check::{CheckName, Finding};
use crate::domain::name::list;
use crate::domain::record::Record;
use crate::domain::request::GatewayType;
use crate::doors::system;
use crate::format::dotenv::DotEnv;
use crate::format::settings::{KeyPath, Settings};

use super::facts::Facts;
use super::{overrides, pointed, variables};

/// Variables that make Claude Code talk to a provider directly, whatever its base URL is.
const OTHER_WAYS: [&str; 3] =
    ["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"];

/// Every conflict as a check. Where nothing is deployed only the shell can be looked at.
pub fn examine(checks: &mut Checks, facts: &Facts<'_>) {
    let (settings, record) = (facts.settings(), facts.record());
    if !facts.place().staged {
        checks.run(CheckName::NoOtherProviderSwitch, || other_ways(settings));
        checks.run(CheckName::NoApiKeyInShell, || api_key(settings, record.is_some()));
        checks.run(CheckName::NoProxyCoversGateway, || match facts.env() {
            Ok(env) => no_proxy(settings, env, record),
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

/// A value of the `env` block of the user's settings.
fn in_settings(settings: Option<&Settings>, name: &str) -> Option<String> {
    let value = settings?.get(&KeyPath::env(name))?;
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn is_on(value: &str) -> bool {
    !matches!(value.trim().to_ascii_lowercase().as_str(), "" | "0" | "false" | "no" | "off")
}

/// Settings win over the shell, so a switch that settings turn off is off.
fn other_ways(settings: Option<&Settings>) -> Finding {
    for name in OTHER_WAYS {
        if let Some(value) = in_settings(settings, name) {
            if is_on(&value) {
                return Finding::warn(format!(
                    "settings.json sets {name}: Claude Code goes past the gateway"
                ))
                .details(json!({ "variable": name, "where": "settings.json" }))
                .hint(Hint::run(&["install", "--force"]).to("take it out until you uninstall"));
            }
        } else if system::variable(name).is_some_and(|value| is_on(&value)) {
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
    let blanked = in_settings(settings, NAME).is_some_and(|value| value.is_empty());
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

/// Where the proxy of Claude Code comes from, and whether it leaves this machine out. Claude Code has no exception of
/// its own for the loopback address.
fn no_proxy(settings: Option<&Settings>, env: &DotEnv, record: Option<&Record>) -> Finding {
    let local = record.is_none_or(|record| record.gateway_type == GatewayType::Local);
    if !local {
        return Finding::skip("the gateway is not on this machine");
    }
    let value = |name: &str| {
        let small = name.to_ascii_lowercase();
        in_settings(settings, name)
            .or_else(|| in_settings(settings, &small))
            .or_else(|| system::variable(name))
            .or_else(|| system::variable(&small))
            .filter(|value| !value.is_empty())
    };
    let proxies: Vec<&str> =
        ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"].into_iter().filter(|name| value(name).is_some()).collect();
    if proxies.is_empty() {
        let through = variables::is_set(env, "HTTPS_PROXY");
        return Finding::pass(if through {
            "only the gateway goes through a proxy"
        } else {
            "no proxy is set"
        });
    }
    if value("NO_PROXY").is_some_and(|hosts| covers_loopback(&hosts)) {
        return Finding::pass(format!("{} set, and NO_PROXY leaves this machine out", are(&proxies)));
    }
    Finding::warn(format!(
        "{} set without 127.0.0.1 in NO_PROXY: Claude Code asks the proxy for the gateway",
        are(&proxies)
    ))
    .details(json!({ "proxies": proxies }))
    .hint(Hint::shell("export NO_PROXY=localhost,127.0.0.1"))
}

fn are(names: &[&str]) -> String {
    format!("{} {}", list(names), if names.len() == 1 { "is" } else { "are" })
}

fn covers_loopback(hosts: &str) -> bool {
    hosts
        .split([',', ' '])
        .map(str::trim)
        .any(|host| host == "*" || host == "127.0.0.0/8" || host == "127.0.0.1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_entry_for_the_address_itself_counts() {
        for good in ["127.0.0.1", "localhost,127.0.0.1", "*", "a.corp, 127.0.0.1", "127.0.0.0/8"] {
            assert!(covers_loopback(good), "{good}");
        }
        for bad in ["", "localhost", "127.0.0.10", "10.0.0.0/8"] {
            assert!(!covers_loopback(bad), "{bad}");
        }
    }

    #[test]
    fn a_switch_that_is_off_is_no_switch() {
        assert!(is_on("1") && is_on("true"));
        assert!(!is_on("0") && !is_on("False") && !is_on(""));
    }
}
