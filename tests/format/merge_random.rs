//! Merging over random configurations as people and new versions edit them: what both meant is in every merge, and so is
//! each comment that only the user wrote.
//!
//! The generator knows what it meant, and merges that by itself; the program sees texts alone. The inputs are the same in
//! every run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

use gwinstall::format::merge::{Merged, three_way_yaml};
use gwinstall::format::yaml::{Doc, Node};

type Members = BTreeMap<String, String>;

/// What a configuration says.
#[derive(Debug, Clone, PartialEq, Default)]
struct Config {
    /// By name and route; the parameters without the route.
    models: BTreeMap<(String, String), Members>,
    sections: BTreeMap<String, Members>,
    fallbacks: BTreeMap<String, BTreeSet<String>>,
}

/// How it is written.
#[derive(Debug, Clone, Default)]
struct Style {
    /// The order of the models; those that are not in it come last.
    order: Vec<(String, String)>,
    /// Models and sections in brackets.
    brackets: BTreeSet<String>,
    /// Comments above a model or a key, and at the end of its line.
    above: BTreeMap<String, String>,
    beside: BTreeMap<String, String>,
    /// Names whose line has blanks at its end, whose value has quotes, which have a blank line before them.
    blanks: BTreeSet<String>,
    quotes: BTreeSet<String>,
    spaced: BTreeSet<String>,
    without_shipped_comments: bool,
    crlf: bool,
    margin: bool,
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit
    }

    fn often(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Class {
    Values,
    Models,
    Comments,
    Brackets,
    Layout,
    Everything,
}

const CLASSES: [Class; 6] =
    [Class::Values, Class::Models, Class::Comments, Class::Brackets, Class::Layout, Class::Everything];
const SHIPPED: [&str; 5] = ["alpha", "beta", "gamma", "delta", "epsilon"];
const SETTINGS: [&str; 5] = ["drop_params", "num_retries", "request_timeout", "json_logs", "max_budget"];

fn route(name: &str, number: usize) -> (String, String) {
    (name.to_owned(), format!("vertex_ai/{name}-{number}"))
}

fn base(random: &mut Random) -> Config {
    let mut config = Config::default();
    for name in SHIPPED {
        let twice = usize::from(name == "delta");
        for number in 0..=twice {
            let mut params = Members::from([("vertex_location".to_owned(), "global".to_owned())]);
            if random.often(30) {
                params.insert("rpm".to_owned(), random.below(9).to_string());
            }
            config.models.insert(route(name, number), params);
        }
    }
    for (section, fixed) in
        [("general_settings", "master_key"), ("litellm_settings", "fixed"), ("router_settings", "strategy")]
    {
        let mut members = Members::from([(fixed.to_owned(), "x/y".to_owned())]);
        for key in SETTINGS {
            if random.often(50) {
                members.insert(key.to_owned(), random.below(9).to_string());
            }
        }
        config.sections.insert(section.to_owned(), members);
    }
    for name in &SHIPPED[..3] {
        config.fallbacks.insert((*name).to_owned(), BTreeSet::from(["epsilon".to_owned()]));
    }
    config
}

/// One edit of what a configuration says.
fn edit(config: &mut Config, class: Class, random: &mut Random, added: &[&str]) {
    let about_models = class == Class::Models || random.often(40);
    if class == Class::Models && random.often(15) || class == Class::Everything && random.often(15) {
        let name = random.pick(&["alpha", "beta", "gamma", "zeta"]);
        let backups = config.fallbacks.entry(name.to_owned()).or_default();
        backups.insert(random.pick(added).to_owned());
        if random.often(20) {
            config.fallbacks.remove(name);
        }
    } else if about_models {
        let keys: Vec<_> = config.models.keys().cloned().collect();
        match random.below(if class == Class::Values { 1 } else { 4 }) {
            0 => {
                let key = random.pick(&keys);
                let name = random.pick(&["vertex_location", "rpm", "timeout"]);
                config.models.get_mut(&key).unwrap().insert(name.to_owned(), random.below(9).to_string());
            }
            1 if keys.len() > 2 => drop(config.models.remove(&random.pick(&keys))),
            _ => {
                let name = random.pick(added);
                let params = Members::from([(
                    "vertex_location".to_owned(),
                    random.pick(&["eu", "global"]).to_owned(),
                )]);
                config.models.insert(route(name, 0), params);
            }
        }
    } else {
        let section = random.pick(&["general_settings", "litellm_settings", "router_settings"]);
        let members = config.sections.get_mut(section).unwrap();
        let key = random.pick(&SETTINGS).to_owned();
        match random.below(3) {
            0 => drop(members.remove(&key)),
            _ => drop(members.insert(key, random.below(9).to_string())),
        }
        if class == Class::Everything && random.often(10) {
            let members = Members::from([(random.pick(added).to_owned(), "1".to_owned())]);
            config.sections.insert(format!("of_{}", random.pick(added)), members);
        }
    }
}

/// The style of a user, numbered comments included.
fn style(config: &Config, class: Class, random: &mut Random) -> Style {
    let has = |wanted: Class| class == wanted || class == Class::Everything;
    let mut style = Style { margin: class == Class::Layout && random.often(20), ..Style::default() };
    let mut names: Vec<String> = config.models.keys().map(|(_, route)| route.clone()).collect();
    for (section, members) in &config.sections {
        names.extend(members.keys().map(|key| format!("{section}.{key}")));
    }
    for (at, name) in names.iter().enumerate() {
        if has(Class::Comments) && random.often(15) {
            style.above.insert(name.clone(), format!("# user above {at:02}"));
        }
        if has(Class::Comments) && random.often(15) {
            style.beside.insert(name.clone(), format!("# user beside {at:02}"));
        }
        for (set, percent) in [(&mut style.blanks, 15), (&mut style.quotes, 10), (&mut style.spaced, 15)] {
            if has(Class::Layout) && random.often(percent) {
                set.insert(name.clone());
            }
        }
    }
    if has(Class::Brackets) {
        style.brackets.extend(names.into_iter().filter(|name| name.contains('/') && random.often(25)));
        style.brackets.extend(config.sections.keys().filter(|_| random.often(40)).cloned());
        style.brackets.extend(random.often(30).then(|| "fallbacks".to_owned()));
    }
    if has(Class::Models) && random.often(40) {
        let mut keys: Vec<_> = config.models.keys().cloned().collect();
        (0..keys.len()).for_each(|at| keys.swap(at, random.below(at + 1)));
        style.order = keys;
    }
    style.without_shipped_comments = has(Class::Comments) && random.often(25);
    style.crlf = has(Class::Layout) && random.often(20);
    style
}

impl Style {
    fn line(&self, text: &mut String, indent: &str, name: &str, content: &str, value: &str) {
        let quote = if self.quotes.contains(name) && value.contains(|c: char| c.is_ascii_alphabetic()) {
            "'"
        } else {
            ""
        };
        let beside = self.beside.get(name).map(|comment| format!("   {comment}")).unwrap_or_default();
        let blanks = if self.blanks.contains(name) { "  " } else { "" };
        let _ = writeln!(text, "{indent}{content}{quote}{value}{quote}{beside}{blanks}");
    }

    fn before(&self, text: &mut String, indent: &str, name: &str) {
        if self.spaced.contains(name) {
            text.push('\n');
        }
        if let Some(comment) = self.above.get(name) {
            let _ = writeln!(text, "{indent}{comment}");
        }
    }

    fn shipped_comment(&self, text: &mut String, comment: &str) {
        if !self.without_shipped_comments {
            let _ = writeln!(text, "{comment}");
        }
    }
}

fn in_brackets(members: &Members) -> String {
    let members: Vec<String> = members.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    format!("{{{}}}", members.join(", "))
}

fn text(config: &Config, style: &Style) -> String {
    let mut text = "# The gateway.\n\nmodel_list:\n".to_owned();
    let mut models: Vec<_> = config.models.iter().collect();
    models.sort_by_key(|(key, _)| style.order.iter().position(|known| known == *key).unwrap_or(usize::MAX));
    let pad = if style.margin { "" } else { "  " };
    for ((name, route), params) in models {
        style.shipped_comment(&mut text, &format!("{pad}# About {route}."));
        style.before(&mut text, pad, route);
        let with_route: Members = params
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .chain([("model".to_owned(), route.clone())])
            .collect();
        if style.brackets.contains(route) {
            let value = format!("{{model_name: {name}, litellm_params: {}}}", in_brackets(&with_route));
            style.line(&mut text, pad, &format!("{route}/"), "- ", &value);
            continue;
        }
        let _ = writeln!(text, "{pad}- model_name: {name}\n{pad}  litellm_params:");
        style.line(&mut text, &format!("{pad}    "), route, "model: ", route);
        for (key, value) in params {
            let _ = writeln!(text, "{pad}    {key}: {value}");
        }
        text.push('\n');
    }
    for (section, members) in &config.sections {
        style.shipped_comment(&mut text, &format!("# Section {section}."));
        if style.brackets.contains(section) {
            let _ = writeln!(text, "{section}: {}\n", in_brackets(members));
            continue;
        }
        let _ = writeln!(text, "{section}:");
        for (key, value) in members {
            let name = format!("{section}.{key}");
            style.before(&mut text, "  ", &name);
            style.line(&mut text, "  ", &name, &format!("{key}: "), value);
        }
        text.push('\n');
    }
    let list = |backups: &BTreeSet<String>| backups.iter().cloned().collect::<Vec<_>>().join(", ");
    let fallbacks = config.fallbacks.iter().map(|(name, backups)| format!("{name}: [{}]", list(backups)));
    if style.brackets.contains("fallbacks") {
        let items: Vec<String> = fallbacks.map(|item| format!("{{{item}}}")).collect();
        let _ = writeln!(text, "top:\n  fallbacks: [{}]", items.join(", "));
    } else {
        text.push_str("top:\n  fallbacks:\n");
        text.extend(fallbacks.map(|item| format!("    - {item}\n")));
    }
    if style.crlf { text.replace('\n', "\r\n") } else { text }
}

/// What both meant of one value.
fn meant<V: Clone + PartialEq>(base: Option<&V>, local: Option<&V>, new: Option<&V>) -> Option<Option<V>> {
    match () {
        () if local == new || new == base => Some(local.cloned()),
        () if local == base => Some(new.cloned()),
        () => None,
    }
}

fn meant_members(
    base: Option<&Members>,
    local: Option<&Members>,
    new: Option<&Members>,
) -> Option<Option<Members>> {
    if let (Some(local), Some(new)) = (local, new) {
        let (none, mut merged) = (Members::new(), Members::new());
        let base = base.unwrap_or(&none);
        for key in base.keys().chain(local.keys()).chain(new.keys()) {
            let value = meant(base.get(key), local.get(key), new.get(key))?;
            merged.extend(value.map(|value| (key.clone(), value)));
        }
        return Some(Some(merged));
    }
    meant(base, local, new)
}

fn meant_set(
    base: Option<&BTreeSet<String>>,
    local: Option<&BTreeSet<String>>,
    new: Option<&BTreeSet<String>>,
) -> Option<Option<BTreeSet<String>>> {
    if let (Some(base), Some(local), Some(new)) = (base, local, new) {
        let all = base.iter().chain(local).chain(new);
        let stays = |item: &&String| match (base.contains(*item), local.contains(*item), new.contains(*item))
        {
            (true, local, new) => local && new,
            (false, ..) => true,
        };
        return Some(Some(all.filter(stays).cloned().collect()));
    }
    meant(base, local, new)
}

type Merge<V> = fn(Option<&V>, Option<&V>, Option<&V>) -> Option<Option<V>>;

fn meant_map<K: Ord + Clone, V>(
    base: &BTreeMap<K, V>,
    local: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
    one: Merge<V>,
) -> Option<BTreeMap<K, V>> {
    let mut merged = BTreeMap::new();
    for key in base.keys().chain(local.keys()).chain(new.keys()) {
        let value = one(base.get(key), local.get(key), new.get(key))?;
        merged.extend(value.map(|value| (key.clone(), value)));
    }
    Some(merged)
}

fn meant_config(base: &Config, local: &Config, new: &Config) -> Option<Config> {
    Some(Config {
        models: meant_map(&base.models, &local.models, &new.models, meant_members)?,
        sections: meant_map(&base.sections, &local.sections, &new.sections, meant_members)?,
        fallbacks: meant_map(&base.fallbacks, &local.fallbacks, &new.fallbacks, meant_set)?,
    })
}

/// A text read back into what it says; `None` where a model stands twice.
fn read(text: &str) -> Option<Config> {
    let doc = Doc::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let written = |node: Node<'_>| node.written().unwrap().to_owned();
    let members = |node: Node<'_>| -> Members {
        node.entries().map(|(key, value)| (written(key), written(value))).collect()
    };
    let mut config = Config::default();
    for (key, value) in doc.root().unwrap().entries() {
        match key.str().unwrap() {
            "model_list" => {
                for model in value.seq().unwrap() {
                    let mut params = members(model.get("litellm_params").unwrap());
                    let key = (written(model.get("model_name").unwrap()), params.remove("model").unwrap());
                    if config.models.insert(key, params).is_some() {
                        return None;
                    }
                }
            }
            "top" => {
                for item in value.get("fallbacks").unwrap().seq().unwrap() {
                    let (name, backups) = item.entries().next().unwrap();
                    config.fallbacks.insert(written(name), backups.seq().unwrap().map(written).collect());
                }
            }
            section => drop(config.sections.insert(section.to_owned(), members(value))),
        }
    }
    Some(config)
}

struct Triple {
    base: Config,
    local: Config,
    new: Config,
    style: Style,
    texts: [String; 3],
}

fn triple(class: Class, random: &mut Random) -> Triple {
    let base = base(random);
    let (mut local, mut new) = (base.clone(), base.clone());
    (0..random.below(5)).for_each(|_| edit(&mut local, class, random, &["mine", "own", "zeta"]));
    (0..1 + random.below(4)).for_each(|_| edit(&mut new, class, random, &["newer", "zeta"]));
    let style = style(&local, class, random);
    let shipped = Style::default();
    let texts = [text(&base, &shipped), text(&local, &style), text(&new, &shipped)];
    Triple { base, local, new, style, texts }
}

/// The comments of the user that must be in the merge: those of models and keys that are in it, and were there before.
fn comments<'a>(triple: &'a Triple, merged: &Config) -> Vec<&'a str> {
    let stays = |name: &str| match name.split_once('.') {
        Some((section, key)) if !name.contains('/') => {
            merged.sections.get(section).is_some_and(|members| members.contains_key(key))
        }
        _ => merged.models.keys().any(|(_, route)| route == name),
    };
    let all = triple.style.above.iter().chain(&triple.style.beside);
    all.filter(|(name, comment)| stays(name) && triple.texts[1].contains(comment.as_str()))
        .map(|(_, comment)| comment.as_str())
        .collect()
}

/// Merges and judges one triple; whether both could be kept.
fn judge(class: Class, triple: &Triple) -> bool {
    let [base, local, new] = &triple.texts;
    let expected = meant_config(&triple.base, &triple.local, &triple.new);
    let shown = || format!("{class:?}\n=== base\n{base}\n=== local\n{local}\n=== new\n{new}");
    match (three_way_yaml(base, local, new), &expected) {
        (Merged::Clean(text), Some(expected)) => {
            assert_eq!(read(&text).as_ref(), Some(expected), "{}\n=== merged\n{text}", shown());
            for comment in comments(triple, expected) {
                let lost = !text.lines().any(|line| line.trim_end().ends_with(comment));
                assert!(!lost, "{comment} is lost\n{}\n=== merged\n{text}", shown());
            }
            let line_feeds = text.matches('\n').count();
            assert!(!triple.style.crlf || text.matches("\r\n").count() == line_feeds, "{}", shown());
            true
        }
        (Merged::Clean(text), None) => {
            panic!("clean although both meant different things\n{}\n=== merged\n{text}", shown())
        }
        (Merged::Conflict(why), Some(_)) => panic!("{why}\n{}", shown()),
        (Merged::Conflict(_), None) => false,
    }
}

fn run(triples: usize) {
    for (number, class) in CLASSES.into_iter().enumerate() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 + number as u64);
        let clean = (0..triples).filter(|_| judge(class, &triple(class, &mut random))).count();
        assert!(clean > triples / 3, "{class:?}: only {clean} of {triples} can be merged");
    }
}

#[test]
fn what_both_meant_is_in_every_merge() {
    run(150);
}

#[test]
#[ignore = "minutes in the development profile: tests/run --only merges"]
fn what_both_meant_is_in_every_one_of_ten_thousand_merges() {
    run(10_000);
}

/// Whatever `git merge-file` merges into a text that says what both meant, gwinstall merges, too.
#[test]
fn every_merge_of_git_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let (mut by_git, mut random) = (0, Random(42));
    for turn in 0..150 {
        let class = CLASSES[turn % CLASSES.len()];
        let triple = triple(class, &mut random);
        let paths = ["base", "local", "new"].map(|name| dir.path().join(name));
        for (path, text) in paths.iter().zip(&triple.texts) {
            std::fs::write(path, text).unwrap();
        }
        let git = Command::new("git")
            .args(["merge-file", "-p"])
            .args([&paths[1], &paths[0], &paths[2]])
            .output()
            .unwrap();
        let merged = String::from_utf8(git.stdout).unwrap();
        let expected = meant_config(&triple.base, &triple.local, &triple.new);
        if git.status.success()
            && Doc::parse(&merged).is_ok()
            && expected.is_some()
            && read(&merged) == expected
        {
            by_git += 1;
            assert!(judge(class, &triple));
        }
    }
    assert!(by_git > 25, "git merged only {by_git}");
}

const ODD: [&str; 16] = [
    "- - x",
    "? key",
    ": value",
    "  key: |",
    "    text # no comment",
    "  - &é {a: [1, # c",
    "  2], \"b\": 'x''y',}",
    "  <<: *é",
    "  <<: &m {a: 1}",
    "é: !!str 5 # ü",
    "  list: []",
    "  -",
    "  empty:",
    "- a",
    "  k: [a, b, ]",
    "---",
];

/// Lines in odd places: an answer, and what is merged can be read.
#[test]
fn odd_texts_are_merged_or_refused() {
    let (mut random, mut clean) = (Random(7), 0);
    for turn in 0..900 {
        let mut triple = triple(CLASSES[turn % CLASSES.len()], &mut random);
        for text in &mut triple.texts {
            let mut lines: Vec<&str> = text.lines().collect();
            for _ in 0..random.below(3) {
                let at = random.below(lines.len());
                match random.below(4) {
                    0 => drop(lines.remove(at)),
                    1 => lines.insert(at, lines[random.below(lines.len())]),
                    _ => lines.insert(at, random.pick(&ODD)),
                }
            }
            *text = lines.join("\n");
        }
        let [base, local, new] = &triple.texts;
        match three_way_yaml(base, local, new) {
            Merged::Clean(text) => {
                clean += 1;
                assert!(Doc::parse(&text).is_ok(), "{text}");
            }
            Merged::Conflict(why) => assert!(!why.is_empty()),
        }
    }
    assert!(clean > 50, "only {clean} merged");
}
