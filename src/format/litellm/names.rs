//! The names that a LiteLLM knows: providers, callbacks, models without a provider, settings, parameters.
//!
//! The table in `names.txt` says which version it was made from. A LiteLLM of another version adds what its own files say;
//! for what these do not say the table is only a guess, and `are_exact` answers no. Pure: the caller reads the files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

const TABLE: &str = include_str!("names.txt");

/// A list of the table, by its heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum List {
    Providers,
    Callbacks,
    /// Models that LiteLLM takes without a provider in front.
    BareNames,
    /// Patterns of further names without a provider, one a line.
    Rules,
    /// Addresses that say which provider is meant.
    Endpoints,
    RouterSettings,
    LitellmSettings,
    GeneralSettings,
    /// Parameters of a model that LiteLLM itself takes.
    Params,
    /// Parameters of a model that its code for some provider reads.
    ProviderParams,
}

impl List {
    fn of(heading: &str) -> Option<Self> {
        Some(match heading {
            "providers" => Self::Providers,
            "callbacks" => Self::Callbacks,
            "bare-names" => Self::BareNames,
            "rules" => Self::Rules,
            "endpoints" => Self::Endpoints,
            "router_settings" => Self::RouterSettings,
            "litellm_settings" => Self::LitellmSettings,
            "general_settings" => Self::GeneralSettings,
            "litellm_params" => Self::Params,
            "provider_params" => Self::ProviderParams,
            _ => return None,
        })
    }
}

/// Kinds of values, as many fields share them.
type Kinds = Arc<[&'static str]>;

/// What LiteLLM 1.106.2 and others know.
#[derive(Debug, Clone, Default)]
pub struct Names {
    version: String,
    /// The lists of the table, each sorted.
    lists: BTreeMap<List, Vec<&'static str>>,
    /// What the files of another version add.
    more: BTreeMap<List, BTreeSet<String>>,
    /// Parameters with the kinds of values for which LiteLLM drops the model.
    params: BTreeMap<&'static str, Kinds>,
    /// Fields of `model_info`, likewise.
    info: BTreeMap<&'static str, Kinds>,
    /// Whether the lists are those of the LiteLLM that runs.
    exact: bool,
}

impl Names {
    /// The names of the LiteLLM that gwinstall installs.
    pub fn table() -> &'static Self {
        static TABLE_READ: LazyLock<Names> = LazyLock::new(|| Names::parse(TABLE));
        &TABLE_READ
    }

    fn parse(text: &'static str) -> Self {
        let mut names = Self { exact: true, ..Self::default() };
        let mut heading = "";
        let mut kinds = Kinds::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some(version) = line.strip_prefix("version ").filter(|_| heading.is_empty()) {
                names.version = version.to_owned();
            } else if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                heading = name;
            } else if heading == "rules" {
                names.lists.entry(List::Rules).or_default().extend((!line.is_empty()).then_some(line));
            } else if let Some(list) = List::of(heading) {
                names.lists.entry(list).or_default().extend(words(line));
            } else {
                let fields = match line.split_once(": ") {
                    Some((before, fields)) => {
                        kinds = words(before).collect();
                        fields
                    }
                    None => line,
                };
                let known = if heading == "refused-info" { &mut names.info } else { &mut names.params };
                known.extend(words(fields).map(|field| (field, kinds.clone())));
            }
        }
        names
    }

    /// The names of a LiteLLM of another version. `read` gives the text of one of its files.
    pub fn of_version(version: &str, read: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut names = Self { version: version.to_owned(), exact: false, ..Self::table().clone() };
        let texts = |file: &str| read(file).unwrap_or_default();
        let keys = |file: &str| -> Vec<String> {
            let map: Option<serde_json::Map<String, serde_json::Value>> =
                serde_json::from_str(&texts(file)).ok();
            map.map(|map| map.into_iter().map(|(key, _)| key).collect()).unwrap_or_default()
        };
        let own = texts("__init__.py");
        names.add(List::Providers, keys("llms/openai_like/providers.json"));
        names.add(List::Providers, members(&texts("types/utils.py"), "class LlmProviders("));
        names.add(List::Callbacks, keys("integrations/generic_api/generic_api_compatible_callbacks.json"));
        names.add(List::Callbacks, members(&own, "_custom_logger_compatible_callbacks_literal"));
        names.add(List::BareNames, keys("model_prices_and_context_window_backup.json"));
        names.add(List::LitellmSettings, declared(&own, ""));
        names.add(List::Params, declared(&texts("types/router.py"), "    "));
        names.add(List::RouterSettings, declared(&texts("router.py"), "        "));
        names.add(List::GeneralSettings, declared(&texts("proxy/_types.py"), "    "));
        names
    }

    fn add(&mut self, list: List, more: impl IntoIterator<Item = String>) {
        self.more.entry(list).or_default().extend(more);
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether what is not in a list is certainly unknown to the LiteLLM that runs.
    pub fn are_exact(&self) -> bool {
        self.exact
    }

    /// Whether a route of LiteLLM may begin with this prefix.
    pub fn knows_provider(&self, prefix: &str) -> bool {
        self.has(List::Providers, prefix)
    }

    pub(super) fn has(&self, list: List, name: &str) -> bool {
        self.lists.get(&list).is_some_and(|names| names.binary_search(&name).is_ok())
            || self.more.get(&list).is_some_and(|names| names.contains(name))
    }

    pub(super) fn all(&self, list: List) -> impl Iterator<Item = &str> {
        let more = self.more.get(&list).into_iter().flatten().map(String::as_str);
        self.lists.get(&list).into_iter().flatten().copied().chain(more)
    }

    /// The kinds of values of a parameter for which LiteLLM drops the model.
    pub(super) fn refused_in_params(&self, name: &str) -> &[&'static str] {
        self.params.get(name).map_or(&[], |kinds| kinds)
    }

    /// The kinds of values of a field of `model_info` for which LiteLLM drops the model.
    pub(super) fn refused_in_info(&self, name: &str) -> &[&'static str] {
        self.info.get(name).map_or(&[], |kinds| kinds)
    }
}

fn words(line: &'static str) -> impl Iterator<Item = &'static str> {
    line.split(' ').filter(|word| !word.is_empty())
}

/// The strings in quotes between a declaration and the next line that is not indented.
fn members(source: &str, declaration: &str) -> Vec<String> {
    let Some((_, rest)) = source.split_once(declaration) else { return Vec::new() };
    let body = rest.lines().skip(1).take_while(|line| line.is_empty() || line.starts_with([' ', ')']));
    let quoted =
        body.flat_map(|line| line.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>());
    quoted.filter(|word| word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))).collect()
}

/// The names that Python source declares as `NAME: …` or sets as `NAME = …` at this indentation.
fn declared(source: &str, indent: &str) -> Vec<String> {
    let name_of = |line: &str| {
        let (name, _) = line.strip_prefix(indent)?.split_once([':', '='])?;
        let name = name.trim_end();
        let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        (plain && !name.is_empty()).then(|| name.to_owned())
    };
    source.lines().filter_map(name_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_each_list() {
        let names = Names::table();
        assert!(names.are_exact());
        for (list, name) in [
            (List::Providers, "veniceai"),
            (List::Providers, "anthropic"),
            (List::Callbacks, "sumologic"),
            (List::BareNames, "gpt-5"),
            (List::RouterSettings, "num_retries"),
            (List::LitellmSettings, "forward_llm_provider_auth_headers"),
            (List::GeneralSettings, "master_key"),
            (List::Params, "vertex_project"),
            (List::ProviderParams, "model_id"),
            (List::Endpoints, "api.perplexity.ai"),
        ] {
            assert!(names.has(list, name), "{name}");
        }
        assert!(!names.has(List::BareNames, "gemini-2.0-flash"));
        assert!(names.lists.values().all(|list| list.is_sorted()));
        assert!(names.refused_in_params("api_version").contains(&"date"));
        assert!(names.refused_in_params("rpm").contains(&"text"));
        assert!(!names.refused_in_params("rpm").contains(&"digits"));
        assert!(names.refused_in_info("access_windows").contains(&"text"));
        assert!(names.all(List::Rules).all(|rule| rule.starts_with('^')));
    }

    #[test]
    fn another_version_adds_what_its_own_files_say() {
        let read = |file: &str| {
            let text = match file {
                "llms/openai_like/providers.json" => "{\"newllm\": {\"base_url\": \"x\"}}",
                "types/utils.py" => {
                    "class LlmProviders(str, Enum):\n    OPENAI = \"openai\"\n    NEXT = \"next-llm\"\n\n\nX = \"no\"\n"
                }
                "__init__.py" => {
                    "_custom_logger_compatible_callbacks_literal = Literal[\n    \"newlog\",\n]\nnew_setting: bool = False\n"
                }
                "types/router.py" => "class A:\n    new_param: str | None = None\n",
                _ => return None,
            };
            Some(text.to_owned())
        };
        let names = Names::of_version("1.200.0", &read);
        assert_eq!((names.version(), names.are_exact()), ("1.200.0", false));
        for (list, name) in [
            (List::Providers, "newllm"),
            (List::Providers, "next-llm"),
            (List::Providers, "anthropic"),
            (List::Callbacks, "newlog"),
            (List::LitellmSettings, "new_setting"),
            (List::Params, "new_param"),
        ] {
            assert!(names.has(list, name), "{name}");
        }
        assert!(!names.has(List::Providers, "no"));
    }
}
