//! What a source file imports, read from its tokens: `use` declarations, the names that they bind, and every path in the
//! code. Comments and strings are not code; an item under `#[cfg(test)]` is not part of the product.
//!
//! The reader knows no types: a method of a value is found only through the import that brought the type or the trait.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

/// Segments as written: `["super", "journal", "Journal"]`.
pub type Path = Vec<String>;

/// One name that a `use` declaration brings in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    pub path: Path,
    /// The name in this file; `*` for a glob, `_` for a trait without a name.
    pub name: String,
    /// `pub use`, however restricted: a name passed on, which the file itself need not use.
    pub passed_on: bool,
}

/// What one file says about others.
#[derive(Debug, Default)]
pub struct Imports {
    pub imports: Vec<Import>,
    /// Paths in the code, and single names that may be imported ones: types, constants, calls.
    pub paths: BTreeSet<Path>,
    /// Names of items that the file defines at its top level.
    pub defined: BTreeSet<String>,
    /// Modules that exist for unit tests only.
    pub test_modules: BTreeSet<String>,
}

impl Imports {
    /// Reads a file; a text that is not Rust is a mistake of the test.
    pub fn read(text: &str) -> Self {
        let mut found = Self::default();
        let tokens: TokenStream = text.parse().expect("a source file is Rust");
        found.walk(tokens, true);
        found
    }

    /// The imports by the name that they bind here; globs and nameless traits bind none.
    pub fn bound(&self) -> BTreeMap<&str, &Path> {
        let named = self.imports.iter().filter(|i| i.name != "*" && i.name != "_");
        named.map(|i| (i.name.as_str(), &i.path)).collect()
    }

    fn walk(&mut self, tokens: TokenStream, top: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at = match &tokens[at] {
                TokenTree::Punct(p) if p.as_char() == '#' && is_test_attribute(tokens.get(at + 1)) => {
                    self.skip_test_item(&tokens, at + 2)
                }
                TokenTree::Group(group) => {
                    self.walk(group.stream(), false);
                    at + 1
                }
                TokenTree::Ident(word) if word == "use" => self.declaration(&tokens, at),
                TokenTree::Ident(word) => {
                    if top {
                        self.define(&word.to_string(), &tokens[at + 1..]);
                    }
                    self.path(&tokens, at)
                }
                _ => at + 1,
            };
        }
    }

    /// The place behind the item: its `;` or its body, whichever comes first.
    fn skip_test_item(&mut self, tokens: &[TokenTree], from: usize) -> usize {
        let body = |t: &TokenTree| match t {
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            other => is_punct(Some(other), ';'),
        };
        let end = tokens[from..].iter().position(body).map_or(tokens.len(), |n| from + n + 1);
        if let [TokenTree::Ident(word), TokenTree::Ident(name), ..] = &tokens[from..]
            && word == "mod"
        {
            self.test_modules.insert(name.to_string());
        }
        end
    }

    fn define(&mut self, keyword: &str, rest: &[TokenTree]) {
        let items = ["fn", "struct", "enum", "union", "trait", "type", "const", "static"];
        if !items.contains(&keyword) {
            return;
        }
        let name = rest.iter().find_map(|t| match t {
            TokenTree::Ident(word) if word != "mut" => Some(word.to_string()),
            _ => None,
        });
        self.defined.extend(name.filter(|n| n != "fn"));
    }

    /// A `use` declaration that begins at `at`; returns the place behind its `;`.
    fn declaration(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let end = tokens[at..].iter().position(|t| is_punct(Some(t), ';')).map_or(tokens.len(), |n| at + n);
        let before = &tokens[..at];
        let passed_on = match before.last() {
            Some(TokenTree::Ident(word)) => word == "pub",
            Some(TokenTree::Group(group)) => {
                group.delimiter() == Delimiter::Parenthesis
                    && matches!(before.iter().rev().nth(1), Some(TokenTree::Ident(word)) if word == "pub")
            }
            _ => false,
        };
        self.tree(&Path::new(), &tokens[at + 1..end], passed_on);
        end + 1
    }

    /// One branch of a `use` tree, below `prefix`.
    fn tree(&mut self, prefix: &Path, tokens: &[TokenTree], passed_on: bool) {
        let mut path = prefix.clone();
        let mut name = None;
        let mut words = tokens.iter();
        while let Some(token) = words.next() {
            match token {
                TokenTree::Ident(word) if word == "as" => name = words.next().map(ToString::to_string),
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Group(group) => return self.branches(&path, group, passed_on),
                TokenTree::Punct(p) if p.as_char() == '*' => name = Some("*".to_owned()),
                _ => {}
            }
        }
        // `a::{self}` names `a`.
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name = name.or_else(|| path.last().cloned()).unwrap_or_default();
        self.imports.push(Import { path, name, passed_on });
    }

    fn branches(&mut self, prefix: &Path, group: &Group, passed_on: bool) {
        let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
        for branch in tokens.split(|t| is_punct(Some(t), ',')).filter(|b| !b.is_empty()) {
            self.tree(prefix, branch, passed_on);
        }
    }

    /// A path, or a single name, that begins at `at`; returns the place behind it.
    fn path(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let mut path = vec![tokens[at].to_string()];
        let mut end = at + 1;
        while is_separator(&tokens[end..])
            && let Some(TokenTree::Ident(word)) = tokens.get(end + 2)
        {
            path.push(word.to_string());
            end += 3;
        }
        let called =
            matches!(tokens.get(end), Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Parenthesis);
        let capital = path[0].starts_with(char::is_uppercase);
        if !continues(&tokens[..at]) && (path.len() > 1 || called || capital) {
            self.paths.insert(path);
        }
        end
    }
}

fn is_punct(token: Option<&TokenTree>, mark: char) -> bool {
    matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == mark)
}

fn is_separator(tokens: &[TokenTree]) -> bool {
    matches!(tokens.first(), Some(TokenTree::Punct(p)) if p.as_char() == ':' && p.spacing() == Spacing::Joint)
        && is_punct(tokens.get(1), ':')
}

/// What stands before a name makes it something else than the beginning of a path: a field, a method, a lifetime, the
/// name of a function that is being defined, the rest of `<T as Trait>::name`.
fn continues(before: &[TokenTree]) -> bool {
    let last = before.last();
    let second = before.len().checked_sub(2).and_then(|n| before.get(n));
    match last {
        Some(TokenTree::Punct(p)) => match p.as_char() {
            '.' => !is_punct(second, '.'),
            ':' => is_punct(second, ':'),
            '\'' => true,
            _ => false,
        },
        Some(TokenTree::Ident(word)) => word == "fn" || word == "mod",
        _ => false,
    }
}

/// `[cfg(test)]`, the group behind a `#`.
fn is_test_attribute(token: Option<&TokenTree>) -> bool {
    let Some(TokenTree::Group(group)) = token else { return false };
    group.stream().to_string().replace(' ', "") == "cfg(test)"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(text: &str) -> Vec<String> {
        let shown = |i: Import| {
            let mark = if i.passed_on { "pub " } else { "" };
            format!("{mark}{} as {}", i.path.join("::"), i.name)
        };
        Imports::read(text).imports.into_iter().map(shown).collect()
    }

    fn paths(text: &str) -> Vec<String> {
        Imports::read(text).paths.iter().map(|p| p.join("::")).collect()
    }

    #[test]
    fn use_trees_are_read_to_their_leaves() {
        assert_eq!(imports("use crate::a::B;"), ["crate::a::B as B"]);
        assert_eq!(
            imports("use crate::{a::{self, B as C}, d::*, E as _};"),
            ["crate::a as a", "crate::a::B as C", "crate::d as *", "crate::E as _"]
        );
        assert_eq!(imports("pub(super) use child::X; pub use y::Z;"), ["pub child::X as X", "pub y::Z as Z"]);
        assert_eq!(imports("fn f() { use super::g; g() }"), ["super::g as g"]);
    }

    #[test]
    fn paths_in_code_are_found_and_prose_is_not() {
        assert_eq!(paths("//! crate::a::b\nfn f() { let s = \"crate::c\"; /* super::d */ }"), [""; 0]);
        assert_eq!(paths("fn f() { disk::read(x.len()); g(1) }"), ["disk::read", "g"]);
        assert_eq!(paths("fn f() { println!(\"{}\", super::a::B) }"), ["super::a::B"]);
        assert_eq!(paths("fn f() { 0..a::LIMIT; <T as Q>::g(); v.a::<u8>() }"), ["Q", "T", "a::LIMIT"]);
        assert_eq!(paths("fn f<'a>(x: &'a T) -> u8 { x.A }"), ["T"]);
        assert_eq!(paths("#[arg(value_parser = crate::p::q)]\nstruct S;"), ["S", "arg", "crate::p::q"]);
    }

    #[test]
    fn what_is_for_unit_tests_is_left_out() {
        let text = "use crate::a::A;\n#[cfg(test)]\nuse crate::b::B;\n#[cfg(test)]\nmod tests { use crate::c::C; }\n\
                    #[cfg(test)]\nmod more;\n#[cfg(test)]\nfn f(x: D) -> E { g::h() }\nfn k() { a::l() }";
        let found = Imports::read(text);
        assert_eq!(found.imports.len(), 1);
        assert_eq!(found.paths, BTreeSet::from([vec!["a".to_owned(), "l".to_owned()]]));
        assert_eq!(found.test_modules, BTreeSet::from(["more".to_owned(), "tests".to_owned()]));
    }

    #[test]
    fn defined_names_are_those_at_the_top() {
        let text = "pub const fn f() { fn inner() {} }\nstatic mut G: u8 = 0;\npub(crate) struct H<T>(T);\nconst K: u8 = 1;";
        assert_eq!(Imports::read(text).defined, ["G", "H", "K", "f"].map(str::to_owned).into());
    }
}
