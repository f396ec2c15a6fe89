//! Which file imports which, and the circles among them.
//!
//! A name counts for the file that defines it: what a `mod.rs` passes on (`pub use child::X`) leads to the child, and
//! passing it on is not using it. `mod x;` is not an import. A parent that calls its child and lends it a name of its own
//! is a circle like any other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::imports::{Imports, Path};
use super::{ROOTS, Source};

/// Names passed on by a module that passes them on again: longer chains than this are a mistake.
const LONGEST_CHAIN: usize = 8;

/// Files that import each other, sorted.
pub type Circle = BTreeSet<String>;

/// A file, the files that it imports, and a name by which it imports each.
pub struct Graph(BTreeMap<String, BTreeMap<String, String>>);

struct Tree<'a> {
    /// By module path; the crate root is the empty one.
    modules: BTreeMap<Path, (&'a Source, Imports)>,
}

/// Where a path leads: into a module, and whether to something that it holds or to the module as such.
struct Found {
    module: Path,
    item: bool,
}

impl Graph {
    pub fn of(sources: &[Source]) -> Self {
        let mut tree = Tree { modules: BTreeMap::new() };
        for source in sources.iter().filter(|s| s.path == "lib.rs" || !ROOTS.contains(&s.path.as_str())) {
            let module = match source.path.as_str() {
                "lib.rs" => Path::new(),
                _ => source.module_path().into_iter().map(str::to_owned).collect(),
            };
            tree.modules.insert(module, (source, Imports::read(&source.text)));
        }
        tree.drop_test_modules();
        let mut graph = BTreeMap::new();
        for (module, (source, imports)) in tree.modules.iter().filter(|(module, _)| !module.is_empty()) {
            graph.insert(source.path.clone(), tree.imported(module, imports));
        }
        Self(graph)
    }

    /// Every set of two or more files that reach each other.
    pub fn circles(&self) -> BTreeSet<Circle> {
        let reach: BTreeMap<&str, BTreeSet<&str>> =
            self.0.keys().map(|file| (file.as_str(), self.reached(file))).collect();
        let mutual = |file: &str| -> Circle {
            let back = reach[file].iter().filter(|other| reach.get(*other).is_some_and(|r| r.contains(file)));
            back.map(|other| (*other).to_owned()).collect()
        };
        self.0.keys().map(|file| mutual(file)).filter(|circle| circle.len() > 1).collect()
    }

    /// The shortest way from one of the files back to itself, an arrow a line.
    pub fn walk(&self, circle: &Circle) -> String {
        let shortest = circle.iter().filter_map(|file| self.way_round(file)).min_by_key(Vec::len);
        let arrow = |pair: &[&str]| {
            let name = &self.0[pair[0]][pair[1]];
            format!("    src/{} imports {name} from src/{}", pair[0], pair[1])
        };
        shortest.unwrap_or_default().windows(2).map(arrow).collect::<Vec<_>>().join("\n")
    }

    fn reached<'a>(&'a self, from: &'a str) -> BTreeSet<&'a str> {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(file) = next.pop() {
            next.extend(self.targets(file).filter(|target| seen.insert(*target)));
        }
        seen
    }

    fn way_round<'a>(&'a self, file: &'a str) -> Option<Vec<&'a str>> {
        let mut ways = VecDeque::from([vec![file]]);
        let mut seen = BTreeSet::new();
        while let Some(way) = ways.pop_front() {
            for target in self.targets(way.last()?) {
                let mut longer = way.clone();
                longer.push(target);
                if target == file {
                    return Some(longer);
                }
                if seen.insert(target) {
                    ways.push_back(longer);
                }
            }
        }
        None
    }

    fn targets<'a>(&'a self, file: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.get(file).into_iter().flat_map(|targets| targets.keys().map(String::as_str))
    }
}

impl Tree<'_> {
    fn drop_test_modules(&mut self) {
        let below = |(module, (_, imports)): (&Path, &(&Source, Imports))| {
            let child = |name: &String| module.iter().chain([name]).cloned().collect::<Path>();
            imports.test_modules.iter().map(child).collect::<Vec<_>>()
        };
        let gone: Vec<Path> = self.modules.iter().flat_map(below).collect();
        self.modules.retain(|module, _| !gone.iter().any(|g| module.starts_with(g)));
    }

    /// The other files that a module's file uses, each with a path by which it does.
    fn imported(&self, module: &Path, imports: &Imports) -> BTreeMap<String, String> {
        let used = imports.imports.iter().filter(|i| !i.passed_on && i.name != "*").map(|i| &i.path);
        let mut files = BTreeMap::new();
        for path in used.chain(&imports.paths) {
            // To bring a module's name in is to use what is then named through it, and that is seen where it is.
            let found = self.start(module, path, 0).filter(|found| found.item && found.module != *module);
            if let Some((source, _)) = found.and_then(|found| self.modules.get(&found.module)) {
                files.entry(source.path.clone()).or_insert_with(|| format!("`{}`", path.join("::")));
            }
        }
        files
    }

    /// Where a path leads that stands in the file of `module`; `None` out of the crate.
    fn start(&self, module: &Path, path: &[String], chain: usize) -> Option<Found> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" | "gwinstall" => Some(self.below(Path::new(), rest, chain)),
            "self" => Some(self.below(module.clone(), rest, chain)),
            "super" => {
                let mut up = module.clone();
                up.pop()?;
                match rest.first().map(String::as_str) {
                    Some("super") => self.start(&up, rest, chain),
                    _ => Some(self.below(up, rest, chain)),
                }
            }
            _ => self.named(module, path, chain),
        }
    }

    /// A path within a module of the crate: it leads there at least.
    fn below(&self, module: Path, path: &[String], chain: usize) -> Found {
        if path.is_empty() {
            return Found { module, item: false };
        }
        self.named(&module, path, chain).unwrap_or(Found { module, item: true })
    }

    /// A path whose first name is one of the module: its child, its own item, or a name that it imports.
    fn named(&self, module: &Path, path: &[String], chain: usize) -> Option<Found> {
        let (first, rest) = path.split_first()?;
        let child: Path = module.iter().chain([first]).cloned().collect();
        if self.modules.contains_key(&child) {
            return Some(self.below(child, rest, chain));
        }
        let (_, imports) = self.modules.get(module).filter(|_| chain < LONGEST_CHAIN)?;
        let bound = imports.bound();
        // A function may have the name of an imported module: what follows `::` is then named through the module.
        let is_prefix = !rest.is_empty() && bound.contains_key(first.as_str());
        if imports.defined.contains(first) && !is_prefix {
            return Some(Found { module: module.clone(), item: true });
        }
        if let Some(target) = bound.get(first.as_str()) {
            // `use time::Duration` beside `mod time` would not compile: a name that binds itself leads out of the crate.
            let longer: Path = target.iter().chain(rest).cloned().collect();
            return if target.first() == Some(first) { None } else { self.start(module, &longer, chain + 1) };
        }
        let globs = imports.imports.iter().filter(|i| i.name == "*");
        globs.filter_map(|glob| self.start(module, &glob.path, chain + 1)).find_map(|found| {
            if found.item || found.module == *module {
                None
            } else {
                self.named(&found.module, path, chain + 1)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made_up;

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> = files.iter().map(|(path, text)| made_up(path, text)).collect();
        let found = Graph::of(&sources).circles();
        found.iter().map(|c| c.iter().cloned().collect::<Vec<_>>().join(" ")).collect()
    }

    fn walk(files: &[(&str, &str)]) -> String {
        let sources: Vec<Source> = files.iter().map(|(path, text)| made_up(path, text)).collect();
        let graph = Graph::of(&sources);
        graph.circles().iter().map(|circle| graph.walk(circle)).collect()
    }

    #[test]
    fn two_files_that_import_each_other_are_a_circle() {
        let files = [
            ("a/mod.rs", "mod x;\nmod y;"),
            ("a/x.rs", "use super::y::Y;\npub struct X;"),
            ("a/y.rs", "pub struct Y(crate::a::x::X);"),
        ];
        assert_eq!(circles(&files), ["a/x.rs a/y.rs"]);
        assert_eq!(
            walk(&files),
            "    src/a/x.rs imports `super::y::Y` from src/a/y.rs\n    src/a/y.rs imports `crate::a::x::X` from src/a/x.rs"
        );
        assert_eq!(circles(&[files[0], files[1], ("a/y.rs", "pub struct Y;")]), [""; 0]);
    }

    #[test]
    fn a_longer_circle_is_one_circle() {
        let files = [
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::c::C;"),
            ("c.rs", "fn f() { crate::a::g() }"),
        ];
        assert_eq!(circles(&files), ["a.rs b.rs c.rs"]);
    }

    #[test]
    fn a_module_that_passes_names_on_leads_to_the_file_that_defines_them() {
        let parent = ("a/mod.rs", "mod x;\nmod y;\npub use x::X;\npub(super) use y::*;");
        let user = ("a/x.rs", "use super::g;\npub struct X;");
        assert_eq!(circles(&[parent, user, ("a/y.rs", "pub fn g() -> crate::a::X {}")]), ["a/x.rs a/y.rs"]);
        assert_eq!(circles(&[parent, user, ("a/y.rs", "pub fn g() {}")]), [""; 0], "passing on is not using");
    }

    #[test]
    fn a_module_by_name_leads_to_what_is_named_through_it() {
        let parent = ("a/mod.rs", "mod x;\npub use x::read;\npub fn other() {}");
        let user = |body: &str| format!("use crate::a;\nfn f() {{ {body} }}");
        let child = ("a/x.rs", "pub fn read() { crate::b::f() }");
        assert_eq!(circles(&[parent, child, ("b.rs", &user("a::read()"))]), ["a/x.rs b.rs"]);
        assert_eq!(circles(&[parent, child, ("b.rs", &user("a::other()"))]), [""; 0]);
    }

    #[test]
    fn a_function_does_not_hide_the_module_of_its_name() {
        let user = ("a.rs", "use crate::b;\npub fn b() { b::go() }");
        assert_eq!(circles(&[user, ("b.rs", "pub fn go() { crate::a::b() }")]), ["a.rs b.rs"]);
        let own = ("a.rs", "use crate::b;\npub fn b() {}\nfn f() { b() }");
        assert_eq!(circles(&[own, ("b.rs", "pub fn go() { crate::a::b() }")]), [""; 0]);
    }

    #[test]
    fn a_parent_that_uses_a_child_and_serves_it_is_a_circle() {
        let child = ("a/x.rs", "pub fn run() { super::consent() }");
        let dispatch = "mod x;\nfn go() { x::run() }\npub fn consent() {}";
        assert_eq!(circles(&[("a/mod.rs", dispatch), child]), ["a/mod.rs a/x.rs"]);
        assert_eq!(circles(&[("a.rs", "mod x;\nuse x::run;\npub fn consent() {}"), child]), ["a.rs a/x.rs"]);
        assert_eq!(
            circles(&[("a/mod.rs", "pub mod x;\npub use x::run;\npub fn consent() {}"), child]),
            [""; 0]
        );
        let used = "mod x;\npub use x::run;\npub fn consent() { run() }";
        assert_eq!(circles(&[("a/mod.rs", used), child]), ["a/mod.rs a/x.rs"], "passed on, and used too");
    }

    #[test]
    fn unit_tests_and_other_crates_make_no_circle() {
        let files = [
            ("a.rs", "#[cfg(test)]\nmod tests;\nuse crate::b::B;\npub struct A;"),
            ("a/tests.rs", "use super::*;\nfn f(b: crate::b::B, a: A) {}"),
            ("b.rs", "use a2::A;\npub struct B;\n#[cfg(test)]\nmod tests { use crate::a::A; }"),
        ];
        assert_eq!(circles(&files), [""; 0]);
    }

    #[test]
    fn a_name_of_another_crate_is_not_a_file() {
        let files = [
            ("a/mod.rs", "mod time;"),
            ("a/time.rs", "use crate::b::B;"),
            ("b.rs", "use time::Date;\nuse std::a;"),
        ];
        assert_eq!(circles(&files), [""; 0]);
    }
}
