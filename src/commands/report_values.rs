//! What keeps the values of `.env` off the page: `doctor` quotes some that are not secret, such as a path or a
//! region, and the page is made to be passed on.

use crate::domain::Place;
use crate::format::dotenv::DotEnv;

/// Shorter values are words that a sentence may hold for another reason.
const SHORTEST: usize = 4;

/// The values of `.env` in the ways in which a message writes them, the longest first, each with its name.
pub(super) struct Values(Vec<(String, String)>);

impl Values {
    pub(super) fn of(place: &Place, env: &DotEnv) -> Self {
        let telling = |value: &str| {
            value.chars().count() >= SHORTEST
                && value.chars().any(char::is_alphabetic)
                && !["true", "false"].contains(&value.to_ascii_lowercase().as_str())
        };
        let mut values = Vec::new();
        for entry in env.entries().filter(|entry| telling(entry.value)) {
            values.push((entry.value.to_owned(), entry.key.to_owned()));
            values.push((place.show(entry.value.as_ref()), entry.key.to_owned()));
        }
        values.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        Self(values)
    }

    /// The text with the name of the variable in the place of its value.
    pub(super) fn out_of(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (value, name)| replaced(&text, value, name))
    }
}

/// Every place where `value` stands as a word of its own becomes `${name}`.
fn replaced(text: &str, value: &str, name: &str) -> String {
    let of_a_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let (mut done, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(value) {
        let end = at + value.len();
        let before = rest[..at].chars().next_back().or(done.chars().next_back());
        let alone = !before.is_some_and(of_a_word) && !rest[end..].starts_with(of_a_word);
        done.push_str(&rest[..at]);
        if alone {
            done.push_str(&format!("${{{name}}}"));
        } else {
            done.push_str(value);
        }
        rest = &rest[end..];
    }
    done.push_str(rest);
    done
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_value_gives_way_to_its_name() {
        let place = Place::in_home(Path::new("/home/me"));
        let env =
            DotEnv::parse("REGION=us-east5\nKEY_FILE=/home/me/key.json\nPORT=4000\nDEBUG=true\nSHORT=abc\n");
        let values = Values::of(&place, &env);
        let said = |text: &str| values.out_of(text);
        assert_eq!(said("no model is served in us-east5"), "no model is served in ${REGION}");
        assert_eq!(
            said("us-east5, us-east55, xus-east5: us-east5"),
            "${REGION}, us-east55, xus-east5: ${REGION}"
        );
        assert_eq!(said("~/key.json (/home/me/key.json) is gone"), "${KEY_FILE} (${KEY_FILE}) is gone");
        assert_eq!(said("port 4000 is free, true, abc"), "port 4000 is free, true, abc");
    }
}
