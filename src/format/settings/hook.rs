//! The hook by which a session of Claude Code acknowledges that it notices a change of its settings, in the value of
//! `hooks`. It is there for seconds only. Pure.
//!
//! Promise: what the user has in `hooks` stays; only entries with the mark of gwinstall are ever removed.

use serde_json::{Map, Value, json};

/// Claude Code runs the hooks of this event before it takes changed settings over.
const EVENT: &str = "ConfigChange";

/// Every command of an acknowledging hook begins with it.
pub const MARK: &str = ": gwinstall-leaving-";

/// `hooks` with an entry that runs `command`; `None` if the value has a form that Claude Code does not accept.
pub fn with(hooks: Option<&Value>, command: &str) -> Option<Value> {
    let mut hooks = match hooks {
        None => Map::new(),
        Some(Value::Object(hooks)) => hooks.clone(),
        Some(_) => return None,
    };
    let entry = json!({ "hooks": [{ "type": "command", "command": command, "timeout": 5 }] });
    match hooks.entry(EVENT).or_insert_with(|| json!([])) {
        Value::Array(entries) => entries.push(entry),
        _ => return None,
    }
    Some(Value::Object(hooks))
}

/// `hooks` without the entries of gwinstall; `None` if it has none. The inner `None`: nothing else is left.
pub fn without(hooks: &Value) -> Option<Option<Value>> {
    let mut hooks = hooks.as_object()?.clone();
    let entries = hooks.get_mut(EVENT)?.as_array_mut()?;
    let before = entries.len();
    entries.retain(|entry| !is_of_gwinstall(entry));
    if entries.len() == before {
        return None;
    }
    if entries.is_empty() {
        hooks.shift_remove(EVENT);
    }
    Some((!hooks.is_empty()).then_some(Value::Object(hooks)))
}

fn is_of_gwinstall(entry: &Value) -> bool {
    let commands = entry.get("hooks").and_then(Value::as_array);
    commands.into_iter().flatten().any(|hook| {
        hook.get("command").and_then(Value::as_str).is_some_and(|command| command.starts_with(MARK))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hook_goes_in_and_out_and_the_rest_stays() {
        let command = format!("{MARK}1; cat");
        for hooks in [
            None,
            Some(json!({ "PreToolUse": [{ "hooks": [] }] })),
            Some(
                json!({ "ConfigChange": [{ "hooks": [{ "type": "command", "command": "mine" }] }], "Stop": [] }),
            ),
        ] {
            let added = with(hooks.as_ref(), &command).unwrap();
            assert!(added.to_string().contains(&command));
            assert_eq!(without(&added), Some(hooks.clone()));
            // What the user adds beside it stays, too.
            let mut edited = added;
            edited["Stop"] = json!(["new"]);
            let rest = without(&edited).unwrap().unwrap();
            assert_eq!((rest["Stop"].clone(), without(&rest)), (json!(["new"]), None));
        }
        for odd in [json!([]), json!("x"), json!({ "ConfigChange": {} })] {
            assert_eq!((with(Some(&odd), &command), without(&odd)), (None, None));
        }
    }
}
