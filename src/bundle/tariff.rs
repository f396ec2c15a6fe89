//! What a request to a model of the catalog costs: the catalog's prices of input and output, and the providers' rules for
//! caches and long requests as factors of these. Pure.

use super::catalog::{Catalog, Model, Tier};
use crate::domain::tokens::{Cost, Tokens};

/// The prices of one model, each of one token, in the parts of a dollar that `Cost` counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariff {
    input: u64,
    output: u64,
    cache: CachePrices,
    long: Option<LongRequests>,
}

/// Prices of a cache in percent of the input price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CachePrices {
    read: u64,
    write: u64,
    write_hour: u64,
}

/// A request with a longer prompt than this costs more as a whole, in percent of the usual prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LongRequests {
    above: u64,
    input: u64,
    output: u64,
}

impl Tariff {
    pub fn of(model: &Model) -> Self {
        Self {
            input: of_a_token(model.price_in),
            output: of_a_token(model.price_out),
            cache: CachePrices::of(model),
            long: LongRequests::of(model),
        }
    }

    /// What one request costs. Sums of requests have no cost of their own: a long request costs more than two short ones.
    pub fn cost(&self, request: &Tokens) -> Cost {
        let long = self.long.filter(|long| request.prompt() > long.above);
        let (input, output) = long.map_or((100, 100), |long| (long.input, long.output));
        let CachePrices { read, write, write_hour } = self.cache;
        // In percent of one input token.
        let given = [
            (request.input, 100),
            (request.cache_read, read),
            (request.cache_write, write),
            (request.cache_write_hour, write_hour),
        ];
        let given: u128 = given.iter().map(|(tokens, percent)| product(*tokens, *percent)).sum();
        let given = given.saturating_mul(u128::from(self.input)).saturating_mul(u128::from(input));
        let made = product(request.output, self.output).saturating_mul(u128::from(output));
        Cost::of_parts((given / 10_000).saturating_add(made / 100))
    }
}

fn product(tokens: u64, each: u64) -> u128 {
    u128::from(tokens) * u128::from(each)
}

/// Dollars per million tokens as parts of a dollar per token. A bundle whose price is below zero gives nothing.
fn of_a_token(price: f64) -> u64 {
    (price * 1_000_000.0).round() as u64
}

impl CachePrices {
    /// The factors of the providers, which the catalog does not have: those of the price list that LiteLLM 1.106 carries
    /// (`model_prices_and_context_window_backup.json`); for Claude they are what Claude Code 2.1.329 charges in its own
    /// `cost-state` lines. Where that list has no price of a cache, cached input costs what other input costs, so that no
    /// comparison promises too much.
    fn of(model: &Model) -> Self {
        let read = match (model.publisher.as_str(), model.tier) {
            ("anthropic", Tier::Opus | Tier::Sonnet) => 5,
            ("anthropic", Tier::Haiku) | ("google", _) => 10,
            _ if READS_AT_A_TENTH.contains(&model.id.as_str()) => 10,
            _ => 100,
        };
        let (write, write_hour) = if model.publisher == "anthropic" { (125, 200) } else { (100, 100) };
        Self { read, write, write_hour }
    }
}

/// Open models for which Vertex AI has a price of cached input.
const READS_AT_A_TENTH: [&str; 4] = ["deepseek-v4.1-flash", "glm-5.2", "gpt-oss-20b", "qwen3-coder-480b"];

impl LongRequests {
    /// From the same price list as the factors of caches.
    fn of(model: &Model) -> Option<Self> {
        match (model.publisher.as_str(), model.tier) {
            ("anthropic", Tier::Haiku) => Some(Self { above: 100_000, input: 500, output: 500 }),
            ("google", Tier::Opus) => Some(Self { above: 200_000, input: 200, output: 150 }),
            _ => None,
        }
    }
}

/// The model of the catalog that a gateway meant by the name in its answer: an id, a route, or either in the spelling of
/// another provider (`us.anthropic.claude-…`, `…@default`, `…-20261001`).
pub fn named<'c>(catalog: &'c Catalog, name: &str) -> Option<&'c Model> {
    let name = name.strip_suffix("[1m]").unwrap_or(name);
    let without_provider = |route: &str| route.split_once('/').is_some_and(|(_, rest)| rest == name);
    let find = |fits: &dyn Fn(&Model) -> bool| catalog.all_models().find(|model| fits(model));
    find(&|model| model.id == name)
        .or_else(|| find(&|model| model.route == name || without_provider(&model.route)))
        .or_else(|| find(&|model| model.id == bare(name)))
        .or_else(|| find(&|model| bare(&model.route) == bare(name)))
}

/// A name without its provider, region, version and date.
fn bare(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or(name);
    let name = name.split_once("anthropic.").map_or(name, |(_, rest)| rest);
    let name = name.split('@').next().unwrap_or(name);
    let name = name.split_once("-v1:").map_or(name, |(before, _)| before);
    let dated = |tail: &str| tail.len() == 8 && tail.bytes().all(|byte| byte.is_ascii_digit());
    name.rsplit_once('-').filter(|(_, tail)| dated(tail)).map_or(name, |(before, _)| before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;

    fn tariff(id: &str) -> Tariff {
        Tariff::of(Bundle::embedded().unwrap().catalog.model(id).unwrap())
    }

    /// Requests that Claude Code 2.1.329 priced itself, with the `costUSD` of its `cost-state` lines.
    #[test]
    fn claude_costs_what_claude_code_says() {
        let each = |input, cache_read, cache_write, cache_write_hour, output| Tokens {
            input,
            cache_read,
            cache_write,
            cache_write_hour,
            output,
        };
        for (id, tokens, dollars) in [
            ("claude-opus-5-5", each(101, 2001, 300, 1, 41), 0.003_132_2),
            ("claude-sonnet-5-5", each(418, 8018, 1200, 18, 178), 0.006_489_8),
            ("claude-haiku-5-5", each(107, 2007, 300, 7, 47), 0.000_093_17),
            ("claude-haiku-5-5", each(120_000, 2001, 300, 1, 41), 0.060_391_05),
            ("claude-opus-5-5", each(120_000, 2002, 300, 2, 42), 0.482_756_4),
        ] {
            let cost = tariff(id).cost(&tokens);
            assert_eq!(cost, Cost::of_parts((dollars * 1e12_f64).round() as u128), "{id}");
        }
    }

    #[test]
    fn a_long_request_costs_more_as_a_whole() {
        let request = |input| Tokens { input, output: 10, ..Tokens::default() };
        let haiku = tariff("claude-haiku-5-5");
        assert_eq!(haiku.cost(&request(100_000)), Cost::of_parts(100_000 * 100_000 + 10 * 500_000));
        assert_eq!(haiku.cost(&request(100_001)), Cost::of_parts(5 * (100_001 * 100_000 + 10 * 500_000)));
        let pro = tariff("gemini-3.1-pro-preview");
        assert_eq!(pro.cost(&request(200_001)), Cost::of_parts(200_001 * 4_000_000 + 10 * 18_000_000));
    }

    #[test]
    fn a_cache_without_a_price_costs_what_input_costs() {
        let request = Tokens { cache_read: 7, cache_write: 5, cache_write_hour: 3, ..Tokens::default() };
        let llama = tariff("llama-4-maverick");
        assert_eq!(llama.cost(&request), llama.cost(&request.uncached()));
        assert_eq!(llama.cost(&request), Cost::of_parts(15 * 350_000));
        assert_eq!(tariff("glm-5.2").cost(&request), Cost::of_parts((700 + 8000) * 1_400));
    }

    #[test]
    fn nothing_overflows() {
        let most = Tokens {
            input: u64::MAX,
            cache_read: u64::MAX,
            cache_write: u64::MAX,
            cache_write_hour: u64::MAX,
            output: u64::MAX,
        };
        let all = Bundle::embedded().unwrap().catalog.models;
        let costs: Vec<Cost> = all.iter().map(|model| Tariff::of(model).cost(&most)).collect();
        assert!(costs.iter().all(|cost| *cost > Cost::default()));
        assert_eq!(of_a_token(-1.0), 0);
        assert_eq!(of_a_token(f64::NAN), 0);
    }

    #[test]
    fn a_model_is_found_by_the_names_that_gateways_give_it() {
        let catalog = Bundle::embedded().unwrap().catalog;
        for (name, id) in [
            ("glm-5.2", Some("glm-5.2")),
            ("zai-org/glm-5.2-maas", Some("glm-5.2")),
            ("vertex_ai/zai-org/glm-5.2-maas", Some("glm-5.2")),
            ("glm-5.2-maas", Some("glm-5.2")),
            ("claude-opus-5-5[1m]", Some("claude-opus-5-5")),
            ("claude-opus-5-5-20261001", Some("claude-opus-5-5")),
            ("anthropic/claude-opus-5-5", Some("claude-opus-5-5")),
            ("us.anthropic.claude-sonnet-5-5", Some("claude-sonnet-5-5-bedrock")),
            ("global.anthropic.claude-opus-5-5-v1:0", Some("claude-opus-5-5")),
            ("claude-haiku-5-5@default", Some("claude-haiku-5-5")),
            ("claude-opus-9", None),
            ("", None),
            ("/", None),
            ("@", None),
        ] {
            assert_eq!(named(&catalog, name).map(|model| model.id.as_str()), id, "{name}");
        }
    }
}
