//! Three texts into one: what gwinstall shipped last (base), the user's file (local), what gwinstall ships now (new).
//!
//! Promises: a merge is clean only if no change of either side is lost. Text alone cannot promise that for YAML: when one
//! side adds `drop_params: true` at the top of a block and the other `drop_params: false` at its end, the lines merge cleanly
//! into a file with a duplicate key. So a merged YAML text is accepted only if it parses, has no duplicate key and says
//! exactly what merging the three *values* says. Where the lines conflict and the values do not, the changes of the new
//! version are made in the user's text value by value. Otherwise it is a conflict and the user's text stays as it is.

use std::borrow::Cow;

use similar::{MergeResolution, TextDiff, TextMerge};

use super::yaml::{Doc, without_secrets};

mod flow;
mod layout;
mod pairs;
mod splice;
mod values;

/// The result of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    Clean(String),
    /// Why a person has to decide.
    Conflict(String),
}

/// Merges line by line. A local file with CR LF takes new lines with CR LF.
pub fn three_way(base: &str, local: &str, new: &str) -> Merged {
    if local == new || base == new {
        return Merged::Clean(local.to_owned());
    }
    let crlf = local.contains("\r\n") && !base.contains("\r\n");
    let (base, new) = (ended_like(base, crlf), ended_like(new, crlf));
    if local == new || base == new {
        return Merged::Clean(local.to_owned());
    }
    if local == base {
        return Merged::Clean(new.into_owned());
    }
    // Some readers end a line at a lone CR, a shell does not.
    if [&base, local, &new].iter().any(|text| text.replace("\r\n", "").contains('\r')) {
        return Merged::Conflict("it has a carriage return without a line feed".to_owned());
    }
    let merge = TextMerge::from_lines(&*base, local, &*new);
    let clash = merge.regions().iter().find(|region| region.resolution() == MergeResolution::Conflict);
    match clash {
        None => Merged::Clean(merge.to_string()),
        Some(region) => {
            let lines = region.ours_range();
            Merged::Conflict(format!("both changed line {}", lines.start + 1))
        }
    }
}

fn ended_like(text: &str, crlf: bool) -> Cow<'_, str> {
    if crlf { Cow::Owned(text.replace("\r\n", "\n").replace('\n', "\r\n")) } else { Cow::Borrowed(text) }
}

/// Merges LiteLLM configurations: by lines, which brings new comments along, else value by value in the user's text. Either
/// text is accepted only if it says what merging the values says.
pub fn three_way_yaml(base: &str, local: &str, new: &str) -> Merged {
    let by_lines = three_way(base, local, new);
    if let Merged::Clean(text) = &by_lines
        && (base == local || base == new || local == new)
        && Doc::parse(text).is_ok()
    {
        return by_lines;
    }
    let [base, mine, new] = match [base, local, new].map(Doc::parse) {
        [Ok(base), Ok(local), Ok(new)] => [base, local, new],
        [_, Err(error), _] => return Merged::Conflict(format!("the file cannot be read: {error}")),
        _ => return Merged::Conflict("a version that gwinstall shipped cannot be read".to_owned()),
    };
    let value = match values::merge(&base.to_value(), &mine.to_value(), &new.to_value()) {
        Ok(value) => values::unordered(value),
        Err(path) => return Merged::Conflict(format!("both changed {path}")),
    };
    let says_so =
        |text: &String| Doc::parse(text).is_ok_and(|doc| values::unordered(doc.to_value()) == value);
    let by_values = || {
        let mark = if local.starts_with('\u{feff}') { "\u{feff}" } else { "" };
        splice::splice(&base, &mine, &new).map(|text| format!("{mark}{text}"))
    };
    let by_lines = match by_lines {
        Merged::Clean(text) => Some(text),
        Merged::Conflict(_) => None,
    };
    match by_lines.filter(says_so).or_else(|| by_values().filter(says_so)) {
        Some(text) => Merged::Clean(text),
        None => Merged::Conflict("no edit of your text has the values that both changes meant".to_owned()),
    }
}

/// The difference as `diff -u` writes it; empty if there is none. Keys and passwords in a configuration are starred out.
pub fn unified_diff(old: &str, new: &str, path: &str) -> String {
    if old == new {
        return String::new();
    }
    let diff = TextDiff::from_lines(old, new);
    let text =
        diff.unified_diff().context_radius(3).header(&format!("a/{path}"), &format!("b/{path}")).to_string();
    if path.ends_with(".yaml") {
        text.split('\n').map(without_secrets).collect::<Vec<_>>().join("\n")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml::Value;
    use super::*;

    const BASE: &str = "\
model_list:
  - model_name: a
    litellm_params:
      model: vertex_ai/a
  - model_name: b
    litellm_params:
      model: vertex_ai/b
# --- settings
litellm_settings:
  num_retries: 2
  request_timeout: 600
router_settings:
  routing_strategy: simple-shuffle
";

    fn clean(merged: Merged) -> String {
        match merged {
            Merged::Clean(text) => text,
            Merged::Conflict(why) => panic!("conflict: {why}"),
        }
    }

    fn conflict(merged: Merged) -> String {
        match merged {
            Merged::Clean(text) => panic!("clean:\n{text}"),
            Merged::Conflict(why) => why,
        }
    }

    #[test]
    fn changes_in_different_places_are_both_kept() {
        let local = BASE.replace("num_retries: 2", "num_retries: 5   # local");
        let new = BASE.replace("simple-shuffle", "least-busy");
        let merged = clean(three_way_yaml(BASE, &local, &new));
        assert!(merged.contains("num_retries: 5   # local") && merged.contains("least-busy"));
    }

    /// The trap: clean as lines, a duplicate key as YAML.
    #[test]
    fn a_key_added_by_both_at_different_ends_is_a_conflict() {
        let local = BASE.replace("litellm_settings:\n", "litellm_settings:\n  drop_params: true\n");
        let new = BASE.replace("request_timeout: 600\n", "request_timeout: 600\n  drop_params: false\n");
        assert!(
            matches!(three_way(BASE, &local, &new), Merged::Clean(_)),
            "the trap is gone: the lines conflict"
        );
        assert_eq!(conflict(three_way_yaml(BASE, &local, &new)), "both changed litellm_settings.drop_params");
    }

    #[test]
    fn the_same_key_with_the_same_value_stands_once() {
        let local = BASE.replace("litellm_settings:\n", "litellm_settings:\n  drop_params: true\n");
        let new = BASE.replace("request_timeout: 600\n", "request_timeout: 600\n  drop_params: true\n");
        assert_eq!(clean(three_way_yaml(BASE, &local, &new)), local);
    }

    #[test]
    fn models_are_told_apart_by_name_route_and_base_and_not_by_position() {
        let mine =
            "  - model_name: a\n    litellm_params:\n      model: vertex_ai/a\n      api_base: http://mine\n";
        let local = BASE.replace("# --- settings\n", &format!("{mine}# --- settings\n"));
        let new = BASE.replace(
            "model_list:\n",
            "model_list:\n  - model_name: c\n    litellm_params:\n      model: vertex_ai/c\n",
        );
        let merged = clean(three_way_yaml(BASE, &local, &new));
        let value = Doc::parse(&merged).unwrap().to_value();
        assert_eq!(value.at("model_list").and_then(Value::as_seq).map(<[Value]>::len), Some(4));
    }

    #[test]
    fn a_model_that_one_changed_and_the_other_removed_is_a_conflict() {
        let local = BASE.replace("      model: vertex_ai/b\n", "      model: vertex_ai/b\n      rpm: 3\n");
        let block = "  - model_name: b\n    litellm_params:\n      model: vertex_ai/b\n";
        conflict(three_way_yaml(BASE, &local, &BASE.replace(block, "")));
    }

    #[test]
    fn what_both_changed_is_named() {
        let (local, new) = (
            BASE.replace("num_retries: 2", "num_retries: 5"),
            BASE.replace("num_retries: 2", "num_retries: 7"),
        );
        let both = conflict(three_way_yaml(BASE, &local, &new));
        assert_eq!(both, "both changed litellm_settings.num_retries");
        assert_eq!(conflict(three_way(BASE, &local, &new)), "both changed line 10");
        let local =
            BASE.replace("router_settings:\n  routing_strategy: simple-shuffle\n", "router_settings: {}\n");
        let new = BASE.replace(
            "litellm_settings:\n  num_retries: 2\n  request_timeout: 600\n",
            "litellm_settings: {}\n",
        );
        let merged = clean(three_way_yaml(BASE, &local, &new));
        assert!(merged.ends_with("# --- settings\nlitellm_settings: {}\nrouter_settings: {}\n"), "{merged}");
    }

    #[test]
    fn a_file_that_the_user_broke_is_kept() {
        let local = BASE.replace("num_retries: 2", "num_retries: [2");
        let new = BASE.replace("simple-shuffle", "least-busy");
        assert!(conflict(three_way_yaml(BASE, &local, &new)).contains("cannot be read: line 11"));
    }

    #[test]
    fn line_ends_of_the_user_stay() {
        let local = BASE.replace('\n', "\r\n").replace("num_retries: 2", "num_retries: 5");
        let merged = clean(three_way_yaml(BASE, &local, &BASE.replace("simple-shuffle", "least-busy")));
        assert!(merged.contains("least-busy\r\n") && merged.contains("num_retries: 5\r\n"));
        assert_eq!(merged.matches('\n').count(), merged.matches("\r\n").count());
    }

    /// Mixed line ends in one file do not count as a change.
    #[test]
    fn an_unchanged_side_takes_the_other_text_whatever_its_line_ends() {
        let mixed = "a: 1\r\nb: 2\n";
        assert_eq!(three_way("a: 1\nb: 1\n", mixed, mixed), Merged::Clean(mixed.to_owned()));
        assert_eq!(three_way("a: 1\nb: 1\n", mixed, "a: 1\nb: 1\n"), Merged::Clean(mixed.to_owned()));
        let lone = three_way("\r", "\r]", "a\r\r");
        assert_eq!(lone, Merged::Conflict("it has a carriage return without a line feed".to_owned()));
        let crlf = "a: 1\r\nb: 1\r\n";
        assert_eq!(three_way("a: 1\nb: 1\n", crlf, mixed), Merged::Clean("a: 1\r\nb: 2\r\n".to_owned()));
    }

    #[test]
    fn a_difference_reads_like_diff_u() {
        assert_eq!(unified_diff(BASE, BASE, "x"), "");
        let diff =
            unified_diff(BASE, &BASE.replace("num_retries: 2", "num_retries: 5"), "config/litellm.yaml");
        assert!(
            diff.starts_with("--- a/config/litellm.yaml\n+++ b/config/litellm.yaml\n@@ -7,7 +7,7 @@\n"),
            "{diff}"
        );
        assert!(diff.contains("\n-  num_retries: 2\n+  num_retries: 5\n"), "{diff}");
        assert!(unified_diff("a", "b", "x").contains("\\ No newline at end of file"));
    }
}
