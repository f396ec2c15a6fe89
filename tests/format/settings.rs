//! settings.json over random layouts: taking the keys out gives the first bytes again, and no foreign value changes.
//! `PROPTEST_CASES=20000 cargo test --test format settings` is the long run.

use gwinstall::format::settings::{DesiredValue, KeyPath, Ledger, Settings};
use proptest::prelude::*;
use serde_json::json;

/// Makes a text out of a list of choices, so that a failure shrinks to few of them.
struct Layout<'a> {
    choices: std::slice::Iter<'a, u8>,
    line_end: &'static str,
}

impl Layout<'_> {
    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[usize::from(*self.choices.next().unwrap_or(&0)) % from.len()]
    }

    fn flip(&mut self, one_in: u8) -> bool {
        self.choices.next().unwrap_or(&1).is_multiple_of(one_in)
    }

    /// Blanks and comments, as people and programs leave them.
    fn blank(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.choices.next().unwrap_or(&0) % 3 {
            let piece = self.pick(&[
                "",
                " ",
                "\t",
                "\n",
                "\n  ",
                "/* , } */",
                "// } , \"\n",
                " // x\n\t",
                "/* a\nb */",
                "  ",
            ]);
            text.push_str(&piece.replace('\n', self.line_end));
        }
        text
    }

    fn members(&mut self, names: &[&str], depth: usize) -> String {
        let mut text = "{".to_owned();
        let present: Vec<_> = names.iter().filter(|_| self.flip(2)).collect();
        for (at, name) in present.iter().enumerate() {
            let value = match **name {
                "env" => self.members(&["A", "U", "V", "Z"], depth + 1),
                _ if depth > 0 => {
                    format!("\"{}\"", self.pick(&["", "x", "\\ud800", "a // b", "\\\"", "日本"]))
                }
                _ => self
                    .pick(&["1", "1e400", "[1, {\"a\": []}, ]", "null", "{\"x\": 1}", "\"y\"", "{ /* c */ }"])
                    .to_owned(),
            };
            let comma = if at + 1 < present.len() || self.flip(4) { "," } else { "" };
            let parts = [
                self.blank(),
                format!("\"{name}\""),
                self.blank(),
                ":".to_owned(),
                self.blank(),
                value,
                self.blank(),
            ];
            text.push_str(&parts.concat());
            text.push_str(comma);
        }
        text + &self.blank() + "}"
    }
}

fn layouts() -> impl Strategy<Value = Vec<u8>> {
    text_layouts().prop_map(String::into_bytes)
}

fn text_layouts() -> impl Strategy<Value = String> {
    (prop::collection::vec(any::<u8>(), 0..120), any::<[bool; 3]>()).prop_map(
        |(choices, [bom, crlf, end])| {
            let line_end = if crlf { "\r\n" } else { "\n" };
            let mut layout = Layout { choices: choices.iter(), line_end };
            let body =
                [layout.blank(), layout.members(&["a", "env", "helper", "b"], 0), layout.blank()].concat();
            let bom = if bom { "\u{feff}" } else { "" };
            format!("{bom}{body}{}", if end { line_end } else { "" })
        },
    )
}

fn desired() -> impl Strategy<Value = Vec<DesiredValue>> {
    let one = prop::sample::select(vec!["env.U", "env.V", "env.W", "helper", "other"]);
    let value = prop::option::weighted(
        0.9,
        prop::sample::select(vec![json!("v"), json!("w"), json!({"k": ["l", 1]})]),
    );
    prop::collection::vec((one, value), 0..5).prop_map(|pairs| {
        let mut desired: Vec<DesiredValue> = Vec::new();
        for (path, value) in pairs {
            let path = KeyPath::parse(path);
            if desired.iter().all(|wanted| wanted.path != path) {
                desired.push(DesiredValue { path, value, take_over: true, optional: false });
            }
        }
        desired
    })
}

/// Every key of the two levels with its JSON text.
fn contents(settings: &Settings) -> Vec<(String, Option<String>)> {
    let top = ["a", "b", "helper", "other"].map(KeyPath::top);
    let env = ["A", "U", "V", "W", "Z"].map(KeyPath::env);
    top.iter().chain(&env).map(|path| (path.to_string(), settings.raw(path).map(str::to_owned))).collect()
}

/// The file as a program that does not know us would write it, with a key of its own.
fn rewritten(settings: &Settings) -> Vec<u8> {
    let mut value = json!({});
    for (path, _) in contents(settings) {
        let path = KeyPath::parse(&path);
        match (settings.get(&path), path) {
            (Some(today), KeyPath::Env(name)) => value["env"][name] = today,
            (Some(today), KeyPath::Top(name)) => value[name] = today,
            (None, _) => {}
        }
    }
    value["model"] = json!("opus");
    serde_json::to_vec_pretty(&value).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    /// J04, J12: any number of installs with any keys, then none: the identical file.
    #[test]
    fn any_chain_of_installs_leads_back_to_the_identical_bytes(original in text_layouts(), rounds in prop::collection::vec(desired(), 1..4)) {
        let first = Settings::parse(original.as_bytes()).unwrap();
        let before = contents(&first);
        let (mut today, mut ledger) = (original.clone().into_bytes(), Ledger::default());
        for desired in &rounds {
            let next = Settings::parse(&today).unwrap().converge(desired, &ledger).unwrap();
            let after = Settings::parse(&next.bytes).unwrap();
            for wanted in desired {
                prop_assert_eq!(after.get(&wanted.path), wanted.value.clone(), "{}", wanted.path);
            }
            for (path, raw) in before.iter().filter(|(path, _)| desired.iter().all(|wanted| wanted.path.to_string() != *path)) {
                prop_assert_eq!(after.raw(&KeyPath::parse(path)), raw.as_deref(), "{}", path);
            }
            let again = after.converge(desired, &next.ledger).unwrap();
            prop_assert!(again.changed.is_empty() && again.bytes == next.bytes && again.ledger == next.ledger);
            prop_assert!(next.kept.is_empty());
            (today, ledger) = (next.bytes, Ledger::parse(&next.ledger.to_text().unwrap()).unwrap());
        }
        let end = Settings::parse(&today).unwrap().converge(&[], &ledger).unwrap();
        prop_assert_eq!(String::from_utf8(end.bytes).unwrap(), original);
        prop_assert!(end.ledger.is_empty());
    }

    /// After another program wrote the file, gwinstall's keys go, foreign keys stay, and replaced values come back.
    #[test]
    fn after_a_rewrite_every_value_is_as_it_was_before_us(original in text_layouts(), first in desired(), second in desired()) {
        let settings = Settings::parse(original.as_bytes()).unwrap();
        let installed = settings.converge(&first, &Ledger::default()).unwrap();
        let foreign = rewritten(&Settings::parse(&installed.bytes).unwrap());
        let updated = Settings::parse(&foreign).unwrap().converge(&second, &installed.ledger).unwrap();
        let end = Settings::parse(&updated.bytes).unwrap().converge(&[], &updated.ledger).unwrap();
        let end = Settings::parse(&end.bytes).unwrap();
        for (path, _) in contents(&settings) {
            let path = KeyPath::parse(&path);
            prop_assert_eq!(end.get(&path), settings.get(&path), "{}", path);
        }
        prop_assert_eq!(end.get(&KeyPath::top("model")), Some(json!("opus")));
    }

    /// After another program added one byte, single keys are taken out of any layout.
    #[test]
    fn single_keys_come_out_of_any_layout(original in text_layouts(), desired in desired()) {
        let settings = Settings::parse(original.as_bytes()).unwrap();
        let installed = settings.converge(&desired, &Ledger::default()).unwrap();
        let touched = [&installed.bytes[..], b" "].concat();
        let end = Settings::parse(&touched).unwrap().converge(&[], &installed.ledger).unwrap();
        prop_assert_eq!(contents(&Settings::parse(&end.bytes).unwrap()), contents(&settings));
    }

    /// Total on any bytes: an answer or a problem with a place, never a panic.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60), seed in layouts(), cut in any::<prop::sample::Index>()) {
        let _ = Settings::parse(&bytes).map(|settings| settings.says_nothing());
        let cut = cut.index(seed.len());
        let spliced = [&seed[..cut], &bytes[..bytes.len().min(3)], &seed[cut..]].concat();
        if let Ok(settings) = Settings::parse(&spliced) {
            let wanted = DesiredValue { path: KeyPath::env("U"), value: Some(json!("u")), take_over: true, optional: false };
            let next = settings.converge(&[wanted], &Ledger::default()).unwrap();
            let back = Settings::parse(&next.bytes).unwrap().converge(&[], &next.ledger).unwrap();
            prop_assert_eq!(back.bytes, spliced);
        }
    }
}
