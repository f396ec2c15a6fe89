//! A base template: a LiteLLM configuration with three lines that are filled in, each known by the comment at its end.
//!
//! ```yaml
//! model_list: [] # gwinstall:models
//! router_settings:
//!   model_group_alias: {} # gwinstall:aliases
//!   fallbacks: [] # gwinstall:fallbacks
//! ```
//!
//! Promise: a template that passes `check` has every place once. As it stands it is a configuration without models, so
//! any YAML tool can read it.

/// The content that replaces a line of the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    Models,
    Aliases,
    Fallbacks,
}

impl Slot {
    const ALL: [(Self, &str); 3] =
        [(Self::Models, "models"), (Self::Aliases, "aliases"), (Self::Fallbacks, "fallbacks")];

    /// What this line stands for; `Err` is a name that no place has.
    pub fn of(line: &str) -> Option<Result<Self, &str>> {
        let (_, name) = line.trim_end().split_once("# gwinstall:")?;
        Some(Self::ALL.iter().find(|(_, known)| *known == name).map(|(slot, _)| *slot).ok_or(name))
    }
}

/// Why gwinstall cannot fill in a template, with the line if one is at fault.
pub fn check(path: &str, text: &str) -> Result<(), String> {
    let mut lines = [None; Slot::ALL.len()];
    for (number, line) in (1..).zip(text.lines()) {
        match Slot::of(line) {
            None => {}
            Some(Ok(slot)) => {
                if let Some(first) = lines[slot as usize].replace(number) {
                    let name = Slot::ALL[slot as usize].1;
                    return Err(format!(
                        "{path}, line {number}: # gwinstall:{name} again, after line {first}"
                    ));
                }
            }
            Some(Err(name)) => {
                let known = Slot::ALL.map(|(_, name)| name).join(", ");
                return Err(format!("{path}, line {number}: there is no # gwinstall:{name}, only {known}"));
            }
        }
    }
    let missing = Slot::ALL.iter().find(|(slot, _)| lines[*slot as usize].is_none());
    missing.map_or(Ok(()), |(_, name)| {
        Err(format!(
            "{path}: no line ends with # gwinstall:{name}, which says where they go; templates/litellm-base.yaml shows all three"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "model_list: [] # gwinstall:models\nrouter_settings:\n  model_group_alias: {} # gwinstall:aliases\n  fallbacks: [] # gwinstall:fallbacks\n";

    #[test]
    fn every_place_stands_once() {
        assert_eq!(check("t.yaml", GOOD), Ok(()));
        assert_eq!(check("t.yaml", &GOOD.replace('\n', "\r\n")), Ok(()));
        for (text, why) in [
            (GOOD.replace(" # gwinstall:aliases", ""), "t.yaml: no line ends with # gwinstall:aliases"),
            (String::new(), "t.yaml: no line ends with # gwinstall:models"),
            (
                GOOD.replace("gwinstall:fallbacks", "gwinstall:fallback"),
                "t.yaml, line 4: there is no # gwinstall:fallback, only models, aliases, fallbacks",
            ),
            (format!("{GOOD}# gwinstall:models\n"), "t.yaml, line 5: # gwinstall:models again, after line 1"),
        ] {
            let error = check("t.yaml", &text).unwrap_err();
            assert!(error.starts_with(why), "{error}");
        }
    }
}
