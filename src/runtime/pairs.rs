//! Pairs of Claude Code and LiteLLM: which versions answered together, and which are known to fail together.
//!
//! The bundle's `runtime/runtime.yaml` lists them and `tests/real/pairs` renews the list. Never: reads an installed version.

use serde::Deserialize;

use super::version::{is_below, numbers};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pairs {
    #[serde(default)]
    tested: Tested,
    #[serde(default)]
    broken: Vec<Broken>,
}

/// Each version of the one answered with each version of the other.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tested {
    #[serde(default)]
    claude_code: Vec<String>,
    #[serde(default)]
    litellm: Vec<String>,
}

/// All pairs of two ranges, and what happens with them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Broken {
    claude_code: Range,
    litellm: Range,
    reason: String,
}

/// The versions `from <= version < below`; a limit that is absent does not restrict them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    from: Option<String>,
    below: Option<String>,
}

impl Range {
    fn holds(&self, version: &str) -> bool {
        self.from.as_ref().is_none_or(|from| !is_below(version, from))
            && self.below.as_ref().is_none_or(|below| is_below(version, below))
    }
}

/// The two programs of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    ClaudeCode,
    Litellm,
}

/// What is known about a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    Tested,
    /// Older and newer versions of both were tested.
    Between,
    /// One of them is newer than all that were tested.
    Newer {
        program: Program,
        newest: String,
    },
    Older {
        program: Program,
        oldest: String,
    },
    Broken {
        reason: String,
    },
    /// The bundle lists no pairs.
    Nothing,
}

impl Pairs {
    pub fn known(&self, claude_code: &str, litellm: &str) -> Known {
        let holds = |pair: &&Broken| pair.claude_code.holds(claude_code) && pair.litellm.holds(litellm);
        if let Some(pair) = self.broken.iter().find(holds) {
            return Known::Broken { reason: pair.reason.clone() };
        }
        let sides = [
            (Program::ClaudeCode, claude_code, &self.tested.claude_code),
            (Program::Litellm, litellm, &self.tested.litellm),
        ];
        let mut exact = true;
        for (program, version, tested) in sides {
            let by_age = |version: &&String| numbers(version);
            let (Some(oldest), Some(newest)) =
                (tested.iter().min_by_key(by_age), tested.iter().max_by_key(by_age))
            else {
                return Known::Nothing;
            };
            if is_below(newest, version) {
                return Known::Newer { program, newest: newest.clone() };
            }
            if is_below(version, oldest) {
                return Known::Older { program, oldest: oldest.clone() };
            }
            exact &= tested.iter().any(|known| known == version);
        }
        if exact { Known::Tested } else { Known::Between }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::facts::{Facts, Verdict};

    fn pairs() -> Pairs {
        serde_yaml::from_str(
            "tested: {claude_code: [2.1.329, 2.1.129], litellm: [1.106.2, 1.92.2]}\n\
             broken: [{claude_code: {from: 2.1.200, below: 2.1.210}, litellm: {below: 1.100.0}, reason: no tools}]\n",
        )
        .unwrap()
    }

    #[test]
    fn a_pair_is_judged_by_both_versions() {
        let pairs = pairs();
        assert_eq!(pairs.known("2.1.129", "1.106.2"), Known::Tested);
        assert_eq!(pairs.known("2.1.210", "1.99.0"), Known::Between);
        let newer = |program, newest: &str| Known::Newer { program, newest: newest.to_owned() };
        assert_eq!(pairs.known("2.1.330", "1.106.2"), newer(Program::ClaudeCode, "2.1.329"));
        assert_eq!(pairs.known("2.1.329", "1.106.10"), newer(Program::Litellm, "1.106.2"));
        let older = |program, oldest: &str| Known::Older { program, oldest: oldest.to_owned() };
        assert_eq!(pairs.known("2.0.999", "1.106.2"), older(Program::ClaudeCode, "2.1.129"));
        assert_eq!(pairs.known("2.1.329", "1.84.0"), older(Program::Litellm, "1.92.2"));
        assert_eq!(Pairs::default().known("2.1.329", "1.106.2"), Known::Nothing);
    }

    #[test]
    fn a_broken_pair_is_one_where_both_ranges_hold() {
        let pairs = pairs();
        let broken = Known::Broken { reason: "no tools".to_owned() };
        assert_eq!(pairs.known("2.1.200", "1.99.9"), broken);
        for (claude_code, litellm) in [("2.1.199", "1.99.9"), ("2.1.210", "1.99.9"), ("2.1.200", "1.100.0")] {
            assert_eq!(pairs.known(claude_code, litellm), Known::Between, "{claude_code} {litellm}");
        }
    }

    #[test]
    fn a_slip_in_the_list_does_not_hold_every_version() {
        for broken in [
            "{claude_code: {}, litellm: {until: 1.100.0}, reason: x}",
            "{claude-code: {below: 2.1.200}, litellm: {}, reason: x}",
            "{litellm: {below: 1.100.0}, reason: x}",
            "{}",
        ] {
            assert!(serde_yaml::from_str::<Pairs>(&format!("broken: [{broken}]")).is_err(), "{broken}");
        }
    }

    #[test]
    fn this_bundle_was_tested_with_the_litellm_that_it_brings() {
        let facts = Facts::embedded().unwrap();
        let Pairs { tested, broken } = &facts.data.pairs;
        assert!(tested.litellm.contains(&facts.data.litellm) && !tested.claude_code.is_empty());
        for version in &tested.litellm {
            assert_eq!(facts.verdict(version), Verdict::Fine, "{version}");
        }
        for (claude_code, litellm) in
            tested.claude_code.iter().flat_map(|one| tested.litellm.iter().map(move |other| (one, other)))
        {
            assert_eq!(facts.data.pairs.known(claude_code, litellm), Known::Tested);
        }
        assert!(broken.iter().all(|pair| !pair.reason.is_empty()));
    }
}
