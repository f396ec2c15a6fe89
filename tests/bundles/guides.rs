//! The tables of the shipped guides equal the catalog.
//!
//! A guide marks a table with `<!-- gwinstall:NAME -->` and `<!-- /gwinstall:NAME -->`. Each table is rendered from
//! `embedded/catalog.yaml`, stands in exactly one guide, and is compared byte for byte; `UPDATE_DOCS=1` writes it instead.
//! Rows come in the catalog's order. Nothing outside the marks is touched.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use gwinstall::bundle::catalog::{Catalog, Model, Preset, Tier};
use gwinstall::domain::request::Request;
use gwinstall::render::{self, Need};

/// The session that `session-cost` prices; the guide around it says the same numbers.
const SESSION_IN: f64 = 2_000_000.0;
const SESSION_OUT: f64 = 60_000.0;

/// A table's name and the function that renders it.
type Table = (&'static str, fn(&Catalog) -> String);

const TABLES: [Table; 7] = [
    ("presets", presets),
    ("preset-environment", preset_environment),
    ("environment", environment),
    ("models", models),
    ("routes", routes),
    ("retirement", retirement),
    ("session-cost", session_cost),
];

fn embedded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("embedded")
}

fn catalog() -> Catalog {
    Catalog::parse(&fs::read_to_string(embedded().join("catalog.yaml")).expect("catalog.yaml"))
        .expect("a catalog")
}

fn guides(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            guides(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// D-028, P-063, P-101, P-102: models, presets and variables of the guides are those of the catalog.
#[test]
fn tables_in_the_guides_equal_the_catalog() {
    let catalog = catalog();
    let mut paths = Vec::new();
    guides(&embedded(), &mut paths);
    paths.sort();
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    let mut seen: Vec<&str> = Vec::new();
    let mut stale = Vec::new();
    for path in paths {
        let before = fs::read_to_string(&path).expect("a guide");
        let mut after = before.clone();
        for (name, render) in TABLES {
            if let Some(text) = replaced(&after, name, &render(&catalog)) {
                assert!(
                    !seen.contains(&name),
                    "{}: table {name} already stands in another guide",
                    path.display()
                );
                seen.push(name);
                after = text;
            }
        }
        assert_eq!(
            after.matches("<!-- gwinstall:").count(),
            TABLES.iter().filter(|(name, _)| after.contains(&opening(name))).count(),
            "{}: a mark names a table that does not exist, or one twice",
            path.display()
        );
        if after != before {
            stale.push(path.display().to_string());
            if update {
                fs::write(&path, after).expect("the guide is written");
            }
        }
    }
    let missing: Vec<_> = TABLES.iter().map(|(name, _)| *name).filter(|name| !seen.contains(name)).collect();
    assert!(missing.is_empty(), "no guide holds the tables {missing:?}");
    assert!(
        update || stale.is_empty(),
        "UPDATE_DOCS=1 cargo test --test bundles guides writes the tables of {stale:?}"
    );
}

/// The prose around the cost table names the session that the table prices.
#[test]
fn the_priced_session_is_the_one_in_the_text() {
    let path = embedded().join("examples/us3-cost-optimization.md");
    let text = fs::read_to_string(path).expect("the guide");
    assert!(text.contains(&format!(
        "{} tokens in and {} out",
        grouped(SESSION_IN as u64),
        grouped(SESSION_OUT as u64)
    )));
}

/// A comparison that cannot fail proves nothing.
#[test]
fn a_changed_cell_is_noticed_and_only_the_table_is_replaced() {
    let text = "a\n<!-- gwinstall:models -->\nold\n<!-- /gwinstall:models -->\nb\n";
    let new = replaced(text, "models", "| x |\n").expect("marked");
    assert_eq!(new, "a\n<!-- gwinstall:models -->\n| x |\n<!-- /gwinstall:models -->\nb\n");
    assert_eq!(replaced(&new, "models", "| x |\n").as_deref(), Some(new.as_str()));
    assert_eq!(replaced(text, "routes", "| x |\n"), None);
}

#[test]
fn every_catalogued_variable_stands_in_the_reference() {
    let catalog = catalog();
    let table = environment(&catalog);
    for variable in &catalog.environment {
        assert!(table.contains(&format!("| `{}` |", variable.name)), "{}", variable.name);
    }
    for preset in &catalog.presets {
        for name in preset.required_env_vars.iter().chain(&preset.optional_env_vars) {
            assert!(catalog.variable(name).is_some(), "{} of preset {}", name, preset.name);
        }
    }
}

fn opening(name: &str) -> String {
    format!("<!-- gwinstall:{name} -->\n")
}

/// `text` with the table `name` replaced; `None` where it has no such mark.
fn replaced(text: &str, name: &str, table: &str) -> Option<String> {
    let opening = opening(name);
    let closing = format!("<!-- /gwinstall:{name} -->");
    let start = text.find(&opening)? + opening.len();
    let end = start + text[start..].find(&closing).unwrap_or_else(|| panic!("{opening:?} is not closed"));
    Some(format!("{}{table}{}", &text[..start], &text[end..]))
}

// --- the tables -----------------------------------------------------------------------------------------------------

fn presets(catalog: &Catalog) -> String {
    let mut table = head(&["preset", "for", "`--gateway-type`", "starts LiteLLM", "default models"]);
    for preset in &catalog.presets {
        let models = if preset.default_models.is_empty() {
            "the gateway's own".to_owned()
        } else {
            codes(&preset.default_models)
        };
        row(
            &mut table,
            &[
                &code(&preset.name),
                &preset.description,
                &codes(&preset.gateway_types),
                if preset.base.is_some() { "yes" } else { "no" },
                &models,
            ],
        );
    }
    table
}

fn preset_environment(catalog: &Catalog) -> String {
    let names: Vec<_> = catalog.presets.iter().map(|preset| code(&preset.name)).collect();
    let mut titles = vec!["variable"];
    titles.extend(names.iter().map(String::as_str));
    let mut table = head(&titles);
    for variable in &catalog.environment {
        let uses: Vec<_> = catalog
            .presets
            .iter()
            .map(|preset| {
                let needs = default_needs(catalog, preset);
                needs.iter().find(|(name, _)| *name == variable.name).map_or("–", |(_, need)| need.words())
            })
            .collect();
        if uses.iter().any(|word| *word != "–") {
            let name = code(&variable.name);
            let mut cells = vec![name.as_str()];
            cells.extend(uses);
            row(&mut table, &cells);
        }
    }
    table
}

/// What a preset needs with its default models.
fn default_needs(catalog: &Catalog, preset: &Preset) -> Vec<(String, Need)> {
    let request = Request { preset: Some(preset.name.clone()), ..Request::default() };
    render::needs(&render::choose(catalog, &request, None).expect("a choice"))
}

fn environment(catalog: &Catalog) -> String {
    let mut table =
        head(&["variable", "what it is", "how to get a value", "default", "example", "secret", "aliases"]);
    for variable in &catalog.environment {
        let optional = |value: &Option<String>| value.as_deref().map_or_else(|| "–".to_owned(), code);
        row(
            &mut table,
            &[
                &code(&variable.name),
                &variable.description,
                &variable.how,
                &optional(&variable.default),
                &optional(&variable.example),
                if variable.secret { "yes" } else { "no" },
                &codes(&variable.aliases),
            ],
        );
    }
    table
}

fn models(catalog: &Catalog) -> String {
    let mut table = format!("As of {}; a star marks a model that was past its date then.\n\n", catalog.as_of);
    table += &head(&["id", "model", "use", "tier", "rank", "window", "longest answer", "USD in", "USD out"]);
    for model in &catalog.models {
        let star = if catalog.is_retired(model) { " *" } else { "" };
        row(
            &mut table,
            &[
                &format!("{}{star}", code(&model.id)),
                &model.full_name,
                &model.description,
                tier(model.tier),
                &model.rank.to_string(),
                &grouped(model.context_tokens),
                &grouped(model.output_tokens),
                &format!("{:.2}", model.price_in),
                &format!("{:.2}", model.price_out),
            ],
        );
    }
    table
}

fn routes(catalog: &Catalog) -> String {
    let mut table = head(&["id", "route", "location", "variables", "falls back to", "template"]);
    for model in &catalog.models {
        let location = match &model.location {
            Some(location) => code(location),
            None if model.env.iter().any(|name| name == "VERTEXAI_LOCATION") => code("VERTEXAI_LOCATION"),
            None if model.env.iter().any(|name| name == "AWS_REGION_NAME") => code("AWS_REGION_NAME"),
            None => "–".to_owned(),
        };
        row(
            &mut table,
            &[
                &code(&model.id),
                &code(&model.route),
                &location,
                &codes(&model.env),
                &codes(&fallbacks(catalog, model)),
                &code(model.config_file.as_deref().unwrap()),
            ],
        );
    }
    table
}

/// What answers when this model fails: its own fallbacks, and the successor once its date has passed.
fn fallbacks(catalog: &Catalog, model: &Model) -> Vec<String> {
    let successor = model.successor.iter().filter(|_| catalog.is_retired(model));
    model.fallbacks.iter().chain(successor).cloned().collect()
}

fn retirement(catalog: &Catalog) -> String {
    let mut table = head(&["model", "may be gone from", "successor"]);
    for model in catalog.models.iter().filter(|model| model.retires.is_some() || model.successor.is_some()) {
        let date = match &model.retires {
            Some(date) if catalog.is_retired(model) => format!("{date} (past on {})", catalog.as_of),
            Some(date) => date.clone(),
            None => "no date known".to_owned(),
        };
        let successor = model.successor.as_deref().map_or_else(|| "–".to_owned(), code);
        row(&mut table, &[&code(&model.id), &date, &successor]);
    }
    table
}

fn session_cost(catalog: &Catalog) -> String {
    let mut table = head(&["model", "tier", "input", "output", "session"]);
    for model in &catalog.models {
        let input = model.price_in * SESSION_IN / 1e6;
        let output = model.price_out * SESSION_OUT / 1e6;
        row(
            &mut table,
            &[
                &code(&model.id),
                tier(model.tier),
                &format!("${input:.2}"),
                &format!("${output:.2}"),
                &format!("${:.2}", input + output),
            ],
        );
    }
    table
}

// --- Markdown -------------------------------------------------------------------------------------------------------

fn head(titles: &[&str]) -> String {
    format!("| {} |\n|{}\n", titles.join(" | "), "---|".repeat(titles.len()))
}

fn row(table: &mut String, cells: &[&str]) {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    writeln!(table, "| {} |", cells.join(" | ")).expect("a String takes everything");
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn codes<T: AsRef<str>>(items: &[T]) -> String {
    if items.is_empty() {
        "–".to_owned()
    } else {
        items.iter().map(|item| code(item.as_ref())).collect::<Vec<_>>().join(", ")
    }
}

fn tier(tier: Tier) -> &'static str {
    match tier {
        Tier::Opus => "opus",
        Tier::Sonnet => "sonnet",
        Tier::Haiku => "haiku",
    }
}

/// 1048576 → 1,048,576.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
