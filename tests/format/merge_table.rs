//! Edits as people make them beside edits as new versions bring them: the exact text that common sense expects.

use gwinstall::format::merge::{Merged, three_way_yaml};

const BASE: &str = "\
# The gateway.

model_list:
  # Quick answers.
  - model_name: flash
    litellm_params:
      model: vertex_ai/flash
      vertex_location: global

  # Code completion.
  - model_name: codestral
    litellm_params:
      model: vertex_ai/codestral-2
      vertex_location: us-central1

litellm_settings:
  # Drop what a provider refuses.
  drop_params: true
  num_retries: 2
  # Seconds.
  request_timeout: 600

router_settings:
  routing_strategy: simple-shuffle
  model_group_alias:
    claude-opus: flash
    claude-haiku: flash
  # Tried in order.
  fallbacks:
    - codestral: [flash]

general_settings:
  master_key: os.environ/KEY
";

const GLM: &str = "\n  # Long tasks.\n  - model_name: glm\n    litellm_params:\n      model: vertex_ai/glm\n      vertex_location: global\n";
const MINE: &str = "\n  # mine\n  - model_name: own\n    litellm_params: {model: openai/own, api_base: \"http://own\"}   # home\n";
const LAST_MODEL: &str = "      vertex_location: us-central1\n";
const CODESTRAL: &str = "\n  # Code completion.\n  - model_name: codestral\n    litellm_params:\n      model: vertex_ai/codestral-2\n      vertex_location: us-central1\n";
const FLASH: &str = "  # Quick answers.\n  - model_name: flash\n    litellm_params:\n      model: vertex_ai/flash\n      vertex_location: global\n";
const RETRIES: (&str, &str) = ("num_retries: 2", "num_retries: 3");
const TIMEOUT: (&str, &str) = ("request_timeout: 600", "request_timeout: 900");
const OPUS: (&str, &str) = ("claude-opus: flash", "claude-opus: glm");

type Edits<'a> = &'a [(&'a str, &'a str)];

fn edited(text: &str, edits: Edits<'_>) -> String {
    edits.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from:?} is not in\n{text}");
        text.replacen(from, to, 1)
    })
}

/// The user's edits and the new version's edits of `BASE`, and the new version's edits as they look in the user's text.
#[track_caller]
fn merges(name: &str, local: Edits<'_>, new: Edits<'_>, merged: Edits<'_>) {
    let local = edited(BASE, local);
    let expected = edited(&local, merged);
    match three_way_yaml(BASE, &local, &edited(BASE, new)) {
        Merged::Clean(text) => assert_eq!(text, expected, "{name}"),
        Merged::Conflict(why) => panic!("{name}: {why}"),
    }
}

#[track_caller]
fn conflicts(name: &str, local: Edits<'_>, new: Edits<'_>, path: &str) {
    let merged = three_way_yaml(BASE, &edited(BASE, local), &edited(BASE, new));
    assert_eq!(merged, Merged::Conflict(format!("both changed {path}")), "{name}");
}

fn after(line: &str, text: &str) -> String {
    format!("{line}{text}")
}

#[test]
fn what_surprised_users_merges() {
    let (glm, mine) = (after(LAST_MODEL, GLM), after(LAST_MODEL, MINE));
    let own_end = "api_base: \"http://own\"}   # home\n";
    let rows: [(&str, Edits<'_>, Edits<'_>, Edits<'_>); 8] = [
        (
            "both appended a model",
            &[(LAST_MODEL, &mine)],
            &[(LAST_MODEL, &glm), OPUS],
            &[(own_end, &after(own_end, GLM)), OPUS],
        ),
        (
            "a comment beside a changed value",
            &[("num_retries: 2", "num_retries: 2   # enough")],
            &[RETRIES],
            &[RETRIES],
        ),
        ("trailing blanks", &[("num_retries: 2\n", "num_retries: 2  \n")], &[RETRIES], &[RETRIES]),
        (
            "a key added below a changed key",
            &[("num_retries: 2\n", "num_retries: 2\n  json_logs: true\n")],
            &[RETRIES],
            &[RETRIES],
        ),
        (
            "models in another order",
            &[(FLASH, ""), ("\nlitellm_settings", &format!("\n{FLASH}\nlitellm_settings"))],
            &[("vertex_ai/codestral-2", "vertex_ai/codestral-3")],
            &[("vertex_ai/codestral-2", "vertex_ai/codestral-3")],
        ),
        (
            "comments stripped",
            &[("  # Drop what a provider refuses.\n", ""), ("  # Seconds.\n", "")],
            &[RETRIES, TIMEOUT],
            &[RETRIES, TIMEOUT],
        ),
        (
            "flow style",
            &[(
                "litellm_settings:\n  # Drop what a provider refuses.\n  drop_params: true\n  num_retries: 2\n  # Seconds.\n  request_timeout: 600\n",
                "litellm_settings: {drop_params: true, num_retries: 2, request_timeout: 600}\n",
            )],
            &[RETRIES, ("request_timeout: 600\n", "request_timeout: 600\n  json_logs: true\n")],
            &[RETRIES, ("request_timeout: 600}", "request_timeout: 600, json_logs: true}")],
        ),
        (
            "a section appended by both",
            &[("os.environ/KEY\n", "os.environ/KEY\n\n# mine\nenvironment_variables:\n  A: b\n")],
            &[("os.environ/KEY\n", "os.environ/KEY\n\n# Prices.\ncost_settings:\n  on: true\n")],
            &[("  A: b\n", "  A: b\n\n# Prices.\ncost_settings:\n  on: true\n")],
        ),
    ];
    for (name, local, new, merged) in rows {
        merges(name, local, new, merged);
    }
}

#[test]
fn removals_merge() {
    let mine = after(LAST_MODEL, MINE);
    let rows: [(&str, Edits<'_>, Edits<'_>, Edits<'_>); 4] = [
        (
            "a retired model above a model of the user",
            &[(LAST_MODEL, &mine)],
            &[(CODESTRAL, "")],
            &[(CODESTRAL, "")],
        ),
        (
            "a model that the user removed stays removed",
            &[(CODESTRAL, "")],
            &[("vertex_ai/flash", "vertex_ai/flash-2")],
            &[("vertex_ai/flash", "vertex_ai/flash-2")],
        ),
        ("both removed it", &[(CODESTRAL, "")], &[(CODESTRAL, ""), RETRIES], &[RETRIES]),
        (
            "a key removed beside a comment of the user",
            &[("  # Seconds.\n", "  # Seconds.\n  # ask the team first\n")],
            &[("  num_retries: 2\n", "")],
            &[("  num_retries: 2\n", "")],
        ),
    ];
    for (name, local, new, merged) in rows {
        merges(name, local, new, merged);
    }
}

#[test]
fn changes_merge_into_the_style_of_the_user() {
    let deployments = "  - model_name: codestral\n    litellm_params:\n      model: mistral/codestral\n";
    let rows: [(&str, Edits<'_>, Edits<'_>, Edits<'_>); 8] = [
        (
            "an alias beside one of the user",
            &[("claude-haiku: flash", "claude-haiku: codestral")],
            &[OPUS],
            &[OPUS],
        ),
        (
            "a second deployment of a group",
            &[(LAST_MODEL, &after(LAST_MODEL, &format!("\n{deployments}")))],
            &[("vertex_location: us-central1", "vertex_location: europe-west4")],
            &[("vertex_location: us-central1", "vertex_location: europe-west4")],
        ),
        (
            "another route of the user and another region",
            &[("vertex_ai/codestral-2", "vertex_ai/codestral-2-eu # ours")],
            &[("vertex_location: us-central1", "vertex_location: europe-west4")],
            &[("vertex_location: us-central1", "vertex_location: europe-west4")],
        ),
        (
            "a renamed model",
            &[("model_name: codestral", "model_name: code")],
            &[("vertex_location: us-central1", "vertex_location: europe-west4")],
            &[("vertex_location: us-central1", "vertex_location: europe-west4")],
        ),
        (
            "other quotes",
            &[("routing_strategy: simple-shuffle", "routing_strategy: 'simple-shuffle'  # for now")],
            &[("simple-shuffle", "least-busy")],
            &[("'simple-shuffle'", "least-busy")],
        ),
        (
            "a fallback added by both",
            &[("    - codestral: [flash]\n", "    - codestral: [flash]\n    - own: [flash]\n")],
            &[("    - codestral: [flash]\n", "    - codestral: [flash]\n    - flash: [glm]\n")],
            &[("    - own: [flash]\n", "    - own: [flash]\n    - flash: [glm]\n")],
        ),
        (
            "a fallback longer by both",
            &[("[flash]", "[flash, own]")],
            &[("[flash]", "[flash, glm]")],
            &[("[flash, own]", "[flash, own, glm]")],
        ),
        (
            "a commented key of the user below the last model",
            &[(LAST_MODEL, &after(LAST_MODEL, "      # rpm: 5\n"))],
            &[(LAST_MODEL, &after(LAST_MODEL, GLM))],
            &[("      # rpm: 5\n", &after("      # rpm: 5\n", GLM))],
        ),
    ];
    for (name, local, new, merged) in rows {
        merges(name, local, new, merged);
    }
}

#[test]
fn other_layouts_of_the_whole_file_merge() {
    let new = edited(BASE, &[(LAST_MODEL, &after(LAST_MODEL, GLM)), OPUS, RETRIES]);
    let crlf = BASE.replace('\n', "\r\n");
    let expected = new.replace('\n', "\r\n");
    assert_eq!(three_way_yaml(BASE, &crlf, &new), Merged::Clean(expected));
    // Without a final line feed, with a byte order mark, and with the dashes at the margin.
    let (head, rest) = BASE.split_once("model_list:\n").unwrap();
    let (list, tail) = rest.split_once("\nlitellm_settings").unwrap();
    let list: String =
        list.lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect();
    let other = format!("\u{feff}{head}model_list:\n{list}\nlitellm_settings{}", tail.trim_end());
    let Merged::Clean(merged) = three_way_yaml(BASE, &other, &new) else { panic!("a conflict") };
    assert!(merged.starts_with("\u{feff}# The gateway.") && merged.ends_with("os.environ/KEY"), "{merged}");
    assert!(
        merged.contains("\n\n# Long tasks.\n- model_name: glm\n  litellm_params:\n    model:"),
        "{merged}"
    );
}

#[test]
fn one_value_changed_by_both_is_a_conflict() {
    let rows: [(&str, Edits<'_>, Edits<'_>, &str); 6] = [
        ("a value", &[("num_retries: 2", "num_retries: 7")], &[RETRIES], "litellm_settings.num_retries"),
        ("removed and changed", &[("  num_retries: 2\n", "")], &[RETRIES], "litellm_settings.num_retries"),
        ("changed and removed", &[RETRIES], &[("  num_retries: 2\n", "")], "litellm_settings.num_retries"),
        (
            "a model changed and removed",
            &[(LAST_MODEL, "      vertex_location: europe-west4\n")],
            &[(CODESTRAL, "")],
            "model_list.codestral",
        ),
        (
            "one new name with two routes",
            &[(
                LAST_MODEL,
                &after(LAST_MODEL, "  - model_name: glm\n    litellm_params: {model: openai/glm}\n"),
            )],
            &[(LAST_MODEL, &after(LAST_MODEL, GLM))],
            "model_list.glm.litellm_params.model",
        ),
        (
            "one fallback",
            &[("[flash]", "[own]")],
            &[("    - codestral: [flash]\n", "    - codestral: glm\n")],
            "router_settings.fallbacks.codestral.codestral",
        ),
    ];
    for (name, local, new, path) in rows {
        conflicts(name, local, new, path);
    }
}

/// What a reference means depends on another place: such an edit is made only where the result says the same.
#[test]
fn anchors_and_merge_keys_of_the_user_stay() {
    let anchored = [
        (
            "      vertex_location: global\n\n  # Code",
            "      <<: &where {vertex_location: global}\n\n  # Code",
        ),
        ("      vertex_location: us-central1\n", "      <<: *where\n"),
    ];
    let local = edited(BASE, &anchored);
    let new = edited(BASE, &[RETRIES, ("vertex_ai/codestral-2", "vertex_ai/codestral-3")]);
    let expected = edited(&local, &[RETRIES, ("vertex_ai/codestral-2", "vertex_ai/codestral-3")]);
    assert_eq!(three_way_yaml(BASE, &local, &new), Merged::Clean(expected));
    // Changed where the user only refers to it: the reference stays, and the value beside it wins.
    let new = edited(BASE, &[("vertex_location: global", "vertex_location: eu")]);
    let Merged::Clean(text) = three_way_yaml(BASE, &local, &new) else { panic!("a conflict") };
    assert!(
        text.contains("<<: &where {vertex_location: global}\n") && text.contains("vertex_location: eu\n")
    );
}
