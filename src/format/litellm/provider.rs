//! Which provider LiteLLM finds for a model. It drops a model for which it finds none. Pure.

use std::collections::BTreeSet;

use super::names::{List, Names};
use crate::format::yaml::{Node, Scalar};

/// What LiteLLM makes of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found<'r> {
    Provider,
    /// This is not a provider.
    Unknown(&'r str),
    /// The route names no provider, and LiteLLM knows none by the name alone.
    Bare,
    /// The name may fit a rule that gwinstall does not know.
    Unsure,
}

/// Providers that the file itself declares.
pub(super) struct Declared<'d> {
    providers: BTreeSet<&'d str>,
    /// Every model goes to another LiteLLM, which finds the provider.
    elsewhere: bool,
}

impl<'d> Declared<'d> {
    pub(super) fn of(root: Node<'d>) -> Self {
        let settings = root.get("litellm_settings");
        let items = settings.and_then(|settings| settings.get("custom_provider_map")).and_then(Node::seq);
        let elsewhere =
            settings.and_then(|settings| settings.get("use_litellm_proxy")).and_then(Node::scalar);
        Self {
            providers: items.into_iter().flatten().filter_map(|item| item.get("provider")?.str()).collect(),
            elsewhere: elsewhere == Some(&Scalar::Bool(true)),
        }
    }
}

/// A model as its parameters describe it.
pub(super) struct Route<'r> {
    pub(super) model: &'r str,
    pub(super) custom: Option<&'r str>,
    pub(super) api_base: Option<&'r str>,
}

impl<'r> Route<'r> {
    pub(super) fn find(&self, names: &Names, declared: &Declared<'_>) -> Found<'r> {
        let is_reference = |text: &str| text.starts_with("os.environ/");
        if declared.elsewhere || is_reference(self.model) || self.custom.is_some_and(is_reference) {
            return Found::Provider;
        }
        let (first, has_rest) = match self.custom {
            Some(custom) if self.model.split('/').next() != Some(custom) => (custom, true),
            _ => (self.model.split('/').next().unwrap_or_default(), self.model.contains('/')),
        };
        // A prompt that a callback keeps names the model itself.
        let in_front = [List::Providers, List::Callbacks].iter().any(|list| names.has(*list, first));
        if has_rest && (in_front || declared.providers.contains(first)) {
            return Found::Provider;
        }
        if !has_rest && names.has(List::Providers, first) {
            return Found::Bare;
        }
        if self
            .api_base
            .is_some_and(|base| is_reference(base) || names.all(List::Endpoints).any(|end| is_at(end, base)))
        {
            return Found::Provider;
        }
        if self.custom.is_none() && (names.has(List::BareNames, self.model) || has_known_form(self.model)) {
            return Found::Provider;
        }
        let rules: Vec<Option<bool>> = names.all(List::Rules).map(|rule| fits(rule, self.model)).collect();
        match () {
            () if self.custom.is_none() && rules.contains(&Some(true)) => Found::Provider,
            () if self.custom.is_none() && rules.contains(&None) => Found::Unsure,
            () if has_rest => Found::Unknown(first),
            () => Found::Bare,
        }
    }
}

/// Names that LiteLLM takes by their form.
fn has_known_form(model: &str) -> bool {
    let replicate = || model.split(':').nth(1).is_some_and(|id| id.len() == 64);
    model == "*"
        || model.contains("ft:gpt-3.5-turbo")
        || model.contains("ft:gpt-4")
        || model.starts_with("gpt-image")
        || model.starts_with("amazon_nova")
        || replicate()
}

/// Whether a name fits a rule of LiteLLM's map; `None` for a rule that gwinstall does not know.
fn fits(rule: &str, model: &str) -> Option<bool> {
    match rule {
        r"^(?:[a-z-]+\.)?anthropic\.claude-" => {
            let is_area =
                |area: &str| !area.is_empty() && area.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            let (area, rest) = model.split_once('.').unwrap_or_default();
            let behind = is_area(area) && rest.starts_with("anthropic.claude-");
            Some(behind || model.starts_with("anthropic.claude-"))
        }
        r"^claude-[a-z]+-\d+(?:[-.]\d+)?(?:-\d{8})?$" => Some(is_claude(model).is_some()),
        _ => None,
    }
}

/// `claude-FAMILY-MAJOR`, then perhaps the minor number, then perhaps a date.
fn is_claude(model: &str) -> Option<()> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (family, rest) = model.strip_prefix("claude-")?.split_once('-')?;
    let is_family = !family.is_empty() && family.bytes().all(|b| b.is_ascii_lowercase());
    let major = digits(rest);
    let rest = rest.get(major..).filter(|_| is_family && major > 0)?;
    if rest.is_empty() {
        return Some(());
    }
    let rest = rest.strip_prefix(['-', '.'])?;
    let minor = digits(rest);
    let rest = rest.get(minor..).filter(|_| minor > 0)?;
    let date = |date: &str| date.len() == 8 && digits(date) == 8;
    (rest.is_empty() || rest.strip_prefix('-').is_some_and(date)).then_some(())
}

/// Whether an address is a known one or lies below it.
fn is_at(endpoint: &str, base: &str) -> bool {
    let parts = |address: &str| {
        let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
        let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path));
        let host = host.rsplit('@').next().unwrap_or_default();
        (
            host.split(':').next().unwrap_or_default().to_ascii_lowercase(),
            path.trim_end_matches('/').to_owned(),
        )
    };
    let ((known, start), (host, path)) = (parts(endpoint), parts(base));
    known == host && (start.is_empty() || path == start || path.starts_with(&format!("{start}/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_found_as_litellm_finds_it() {
        let declared = Declared { providers: BTreeSet::from(["my-llm"]), elsewhere: false };
        let rows: [(&str, Option<&str>, Option<&str>, Found<'_>); 20] = [
            ("anthropic/x", None, None, Found::Provider),
            ("veniceai/x", None, None, Found::Provider),
            ("my-llm/any", None, None, Found::Provider),
            ("langfuse/prompt", None, None, Found::Provider),
            ("whatever", Some("openai"), None, Found::Provider),
            ("whatever", Some("nonsense"), None, Found::Unknown("nonsense")),
            ("whatever", Some("os.environ/P"), None, Found::Provider),
            ("meta-llama/Llama-3", None, None, Found::Unknown("meta-llama")),
            ("llama", None, Some("https://api.groq.com/openai/v1/"), Found::Provider),
            ("llama", None, Some("https://evil.example.com/api.groq.com/openai/v1"), Found::Bare),
            ("gpt-5", None, None, Found::Provider),
            ("mistral", None, None, Found::Bare),
            ("gemini-2.0-flash", None, None, Found::Bare),
            ("claude-3-7-sonnet-latest", None, None, Found::Bare),
            ("claude-sonnet-4-5", None, None, Found::Provider),
            ("claude-opus-4-1-20250805", None, None, Found::Provider),
            ("claude-opus-4-latest", None, None, Found::Bare),
            ("us.anthropic.claude-sonnet-9-v1:0", None, None, Found::Provider),
            ("ft:gpt-4o:org::id", None, None, Found::Provider),
            ("*", None, None, Found::Provider),
        ];
        for (model, custom, api_base, expected) in rows {
            let found = Route { model, custom, api_base }.find(Names::table(), &declared);
            assert_eq!(found, expected, "{model} {custom:?} {api_base:?}");
        }
        assert_eq!(fits("^new-", "new-model"), None);
    }
}
