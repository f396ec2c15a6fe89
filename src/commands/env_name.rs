//! The name of a variable as the user types it: refused where it cannot be one, asked about where it is likely a slip.

use std::collections::BTreeSet;

use crate::bundle::catalog::Catalog;
use crate::deploy::store;
use crate::domain::name::{closest, printable};
use crate::domain::place::files;
use crate::domain::secret::masked;
use crate::domain::{Error, Hint, Place, Result};
use crate::doors::{disk, prompt, term};
use crate::format::dotenv::DotEnv;
use crate::format::litellm::references;

/// Refuses unusual names: they are more likely a typing error than a variable.
pub(super) fn require(name: &str) -> Result<()> {
    let good = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && name.len() <= 200;
    if good {
        return Ok(());
    }
    let shown = masked(name).unwrap_or_else(|| printable(name));
    Err(Error::usage(format!("{shown:?} is not the name of a variable"))
        .because("a name holds capital letters, digits and _, and does not begin with a digit")
        .hint(Hint::run(&["env", "list"])))
}

/// Names that are the user's own: `.env` has them, or the configuration refers to them.
pub(super) fn in_use(place: &Place, env: &DotEnv) -> BTreeSet<String> {
    let config = disk::read_maybe(&store::live_path(place, files::CONFIG), disk::TEXT_CAP).ok().flatten();
    let text = config.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let mut names = references(&text);
    names.extend(env.entries().map(|entry| entry.key.to_owned()));
    names
}

/// The name that the user means by the word `NAME` or `NAME=VALUE`. `asks`: there is a person to ask.
pub(super) fn meant(
    catalog: &Catalog,
    own: &BTreeSet<String>,
    typed: &str,
    force: bool,
    asks: bool,
) -> Result<String> {
    let (name, value) = typed.split_at(typed.find('=').unwrap_or(typed.len()));
    if force || own.contains(name) || catalog.variable(name).is_some() {
        return Ok(name.to_owned());
    }
    let Some((near, why)) = likely(catalog, own, name) else {
        term::talk(&format!("note: {name} is not known here; it is treated as a secret."));
        return Ok(name.to_owned());
    };
    if !asks {
        let (instead, keep) = if value.is_empty() {
            (Hint::instead(name, &near), Hint::again(&["--force"]))
        } else {
            let set = ["env", "set"];
            let words = |word: &str, flags: &[&str]| Hint::run(&[&set[..], &[word], flags].concat());
            (words(&format!("{near}{value}"), &["--yes"]), words(typed, &["--force", "--yes"]))
        };
        return Err(Error::usage(why).hint(instead.or(keep.to(format!("keep the name {name}")))));
    }
    let takes = prompt::confirm(&format!("{why}. Take {near}?"), true)?;
    Ok(if takes { near } else { name.to_owned() })
}

/// The known name that an unknown one is likely meant for, and why.
fn likely(catalog: &Catalog, own: &BTreeSet<String>, name: &str) -> Option<(String, String)> {
    let of_alias =
        catalog.environment.iter().find(|variable| variable.aliases.iter().any(|alias| alias == name));
    if let Some(variable) = of_alias {
        return Some((variable.name.clone(), format!("the gateway reads {}, not {name}", variable.name)));
    }
    let known = catalog
        .environment
        .iter()
        .map(|variable| variable.name.as_str())
        .chain(own.iter().map(String::as_str));
    let near = *closest(name, known).first()?;
    let slip = strsim::damerau_levenshtein(name, near) <= 2 && name.len() > 4;
    slip.then(|| (near.to_owned(), format!("{name} is not known here; {near} is")))
}
