//! The callbacks that `litellm_settings` names: each must be one of LiteLLM, of the file itself, or of a module of the user.

use super::closest::closest;
use super::finding::{Report, Severity};
use super::keys::{IMAGE_ONLY, LICENSED, knows};
use super::names::List;
use super::refused::{LICENCE, has_licence};
use crate::format::yaml::{Node, Scalar};

const LISTS: [&str; 5] =
    ["callbacks", "success_callback", "failure_callback", "service_callback", "audit_log_callbacks"];

pub(super) fn check(root: Node<'_>, settings: Node<'_>, report: &mut Report<'_>) {
    let declared = root.get("callback_settings");
    let licensed = has_licence(root, report);
    for kind in LISTS {
        let Some(list) = settings.get(kind).filter(|list| list.scalar() != Some(&Scalar::Null)) else {
            continue;
        };
        let Some(items) = list.seq() else {
            one(kind, list, report);
            continue;
        };
        for item in items {
            let Some(name) = item.str() else { continue };
            // A dotted name is an object in a module of the user.
            if name.contains('.') || name.starts_with("os.environ/") {
                continue;
            }
            let is_declared = declared.is_some_and(|declared| declared.get(name).is_some());
            named(item, name, is_declared, licensed, report);
        }
    }
}

/// `callbacks` alone takes one name instead of a list, and that must be an object in a module.
fn one(kind: &str, node: Node<'_>, report: &mut Report<'_>) {
    let Some(name) = node.str() else { return };
    if kind == "callbacks" && (name.contains('.') || name.starts_with("os.environ/")) {
        return;
    }
    let message = format!("{kind} must be a list: LiteLLM does not read one name as a callback");
    report.error(node, "settings.callback", message, Some(format!("{kind}: [{name}]")));
}

fn named(item: Node<'_>, name: &str, is_declared: bool, licensed: bool, report: &mut Report<'_>) {
    let (rule, names) = ("settings.callback", report.names());
    let needs_licence = knows(LICENSED, name);
    if knows(IMAGE_ONLY, name) {
        let message =
            format!("{name:?} needs files that only LiteLLM's own image has: LiteLLM refuses to start");
        report.error(item, rule, message, None);
    } else if needs_licence && !licensed {
        let message =
            format!("{name:?} needs LiteLLM's enterprise licence: LiteLLM refuses to start without it");
        report.error(item, rule, message, Some(format!("gwinstall env set {LICENCE}")));
    } else if name == "prometheus" {
        let message = "\"prometheus\" needs the Python package prometheus_client, which LiteLLM's own packages do not bring";
        report.warning(item, rule, message, None);
    } else if !needs_licence && !is_declared && !names.has(List::Callbacks, name) {
        let hint = closest(name, names.all(List::Callbacks)).map(|near| format!("did you mean {near}?"));
        let certain = if names.are_exact() { Severity::Error } else { Severity::Warning };
        report.add(certain, item.place(), rule, format!("{name:?} is not a callback of LiteLLM"), hint);
    }
}
