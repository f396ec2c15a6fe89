//! The check of the whole file, section by section.

use super::finding::{Report, Severity};
use super::sections::{GENERAL_SETTINGS, LITELLM_SETTINGS, ROUTER_SETTINGS, TOP, typed, unknown_keys};
use super::{models, refused, routing, values};
use crate::format::yaml::{Node, Place, Scalar};

pub(super) fn check(root: Option<Node<'_>>, report: &mut Report<'_>) {
    let Some(root) = root.filter(|root| root.is_map()) else {
        match root {
            Some(root) => report.error(
                root,
                "file.not-a-mapping",
                "the file must hold sections such as model_list:",
                None,
            ),
            None => {
                let start = Place { line: 1, column: 1, len: 1 };
                report.add(
                    Severity::Error,
                    start,
                    "file.empty",
                    "the file is empty: model_list is missing",
                    None,
                );
            }
        }
        return;
    };
    unknown_keys(root, &TOP, report);
    let served = models::check(root, report);
    for section in [LITELLM_SETTINGS, GENERAL_SETTINGS, ROUTER_SETTINGS] {
        let Some((key, node)) = root.entry(section.name) else { continue };
        match node.is_map() {
            true => {
                unknown_keys(node, &section, report);
                typed(node, report);
            }
            false if node.scalar() == Some(&Scalar::Null) => {}
            false => report.error(
                key,
                "section.not-a-mapping",
                format!("{} must be a mapping", section.name),
                None,
            ),
        }
    }
    refused::check(root, report);
    routing::check(root, &served, report);
    values::check(root, report);
}
