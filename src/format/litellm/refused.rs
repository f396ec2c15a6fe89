//! Settings for which LiteLLM refuses the whole file: those of its enterprise licence, and those of a form that it cannot read.

use super::finding::Report;
use crate::format::yaml::{Node, Scalar};

/// The variable that holds the licence.
pub(super) const LICENCE: &str = "LITELLM_LICENSE";

const LICENSED: [(&str, &str); 3] = [
    ("general_settings", "allowed_ips"),
    ("general_settings", "enforced_params"),
    ("litellm_settings", "tag_budget_config"),
];

/// Whether the file or the environment names a licence.
pub(super) fn has_licence(root: Node<'_>, report: &Report<'_>) -> bool {
    let has = |section: &str, key: &str| root.get(section).is_some_and(|section| section.get(key).is_some());
    has("general_settings", "litellm_license")
        || has("environment_variables", LICENCE)
        || report.context.known_env.is_some_and(|known| known.contains(LICENCE))
}

pub(super) fn check(root: Node<'_>, report: &mut Report<'_>) {
    let licensed = has_licence(root, report);
    let find = |section: &str, key: &str| {
        root.get(section)?.entry(key).filter(|(_, value)| value.scalar() != Some(&Scalar::Null))
    };
    for (section, key) in LICENSED {
        if let Some((at, _)) = find(section, key).filter(|_| !licensed) {
            let message =
                format!("{key} needs LiteLLM's enterprise licence: LiteLLM refuses to start without it");
            report.error(at, "settings.licence", message, Some(format!("gwinstall env set {LICENCE}")));
        }
    }
    if let Some((at, value)) = find("litellm_settings", "upperbound_key_generate_params")
        && !value.is_map()
    {
        report.error(at, "value.type", "upperbound_key_generate_params must be a mapping", None);
    }
    if let Some((at, value)) = find("general_settings", "role_permissions")
        && value.seq().is_none()
    {
        report.error(at, "value.type", "role_permissions must be a list", None);
    }
    let map = find("litellm_settings", "custom_provider_map").map(|(_, map)| map);
    for item in map.and_then(Node::seq).into_iter().flatten() {
        if item.get("provider").is_none() || item.get("custom_handler").is_none() {
            let message = "an item of custom_provider_map needs provider and custom_handler";
            report.error(item, "settings.provider-map", message, None);
        }
    }
}
