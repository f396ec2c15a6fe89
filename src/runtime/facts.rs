//! What a bundle says about the runtime: `runtime/runtime.yaml` and the lock beside it.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::bundle::Bundle;
use crate::domain::tree::Content;
use crate::domain::{Error, Result, Sha256};

use super::pairs::Pairs;
use super::version::{is_below, numbers};

const PATH: &str = "runtime/runtime.yaml";

/// The lock of LiteLLM, and what is known about its releases.
#[derive(Debug, Clone)]
pub struct Facts {
    pub data: Data,
    pub lock: Content,
    pub lock_sha256: Sha256,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Data {
    pub schema: u32,
    /// The version that the lock installs.
    pub litellm: String,
    pub lock: String,
    pub download_mb: u64,
    pub disk_mb: u64,
    pub python: Pythons,
    pub platforms: Vec<String>,
    pub uv: Uv,
    #[serde(rename = "unsafe")]
    pub unsafe_: Vec<Unsafe>,
    pub malicious: Vec<String>,
    #[serde(default)]
    pub pairs: Pairs,
}

/// The versions of Python, both included, as `3.10`.
#[derive(Debug, Clone, Deserialize)]
pub struct Pythons {
    pub oldest: String,
    pub newest: String,
    pub oldest_glibc: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Uv {
    pub version: String,
    pub oldest: String,
    pub wheels: Vec<Wheel>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Wheel {
    pub file: String,
    pub sha256: Sha256,
    pub size: u64,
    #[allow(dead_code, reason = "pip picks the wheel; a test holds that every platform has one")]
    pub platforms: Vec<String>,
}

/// Releases below a version, and what can happen with them.
#[derive(Debug, Clone, Deserialize)]
pub struct Unsafe {
    pub below: String,
    pub reason: String,
}

/// Whether a version of LiteLLM may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Fine,
    /// Only if the user insists.
    Unsafe {
        below: String,
        reason: String,
    },
    Malicious,
}

impl Facts {
    pub fn of(bundle: &Bundle) -> Result<Self> {
        let broken = |why: String| Error::failed(format!("the bundle's {PATH} cannot be used")).because(why);
        let data: Data =
            serde_yaml::from_str(bundle.text(PATH)?).map_err(|error| broken(error.to_string()))?;
        if data.schema != 1 {
            return Err(broken(format!("its schema is {}, this version of gwinstall knows 1", data.schema)));
        }
        let lock = bundle.text(&data.lock).map(|_| bundle.file(&data.lock).cloned().unwrap_or_default())?;
        let lock_sha256 = bundle.sha256(&data.lock).unwrap_or_else(|| Sha256::of(&lock));
        Ok(Self { data, lock, lock_sha256 })
    }

    /// The facts of the bundle in this executable.
    pub fn embedded() -> Result<Self> {
        Self::of(&Bundle::embedded()?)
    }

    /// The sha256 of every file that may be installed: those of the lock, and uv.
    pub fn allowed(&self) -> BTreeSet<Sha256> {
        let text = String::from_utf8_lossy(&self.lock).into_owned();
        let hashes = text.split("--hash=sha256:").skip(1).filter_map(|rest| Sha256::parse(rest.get(..64)?));
        hashes.chain(self.data.uv.wheels.iter().map(|wheel| wheel.sha256)).collect()
    }

    /// The oldest version without a known hole.
    pub fn oldest_safe(&self) -> Option<String> {
        self.data.unsafe_.iter().map(|known| &known.below).max_by_key(|below| numbers(below)).cloned()
    }

    pub fn verdict(&self, version: &str) -> Verdict {
        if self.data.malicious.iter().any(|known| known == version) {
            return Verdict::Malicious;
        }
        let found = self.data.unsafe_.iter().find(|known| is_below(version, &known.below));
        found.map_or(Verdict::Fine, |known| Verdict::Unsafe {
            below: known.below.clone(),
            reason: known.reason.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_of_this_bundle_is_complete_and_itself_safe() {
        let facts = Facts::embedded().unwrap();
        let text = String::from_utf8(facts.lock.to_vec()).unwrap();
        let version = &facts.data.litellm;
        assert!(
            text.contains(&format!("litellm=={version}")),
            "the lock installs another version than {version}"
        );
        let names = text.lines().filter(|line| line.contains("==")).count();
        let hashes = text.matches("--hash=sha256:").count();
        assert!(names > 100 && hashes > names, "{names} packages, {hashes} hashes");
        assert_eq!(facts.allowed().len(), hashes + facts.data.uv.wheels.len());
        // A line that is neither would be read by pip as an option.
        assert!(
            text.lines().all(|line| line.starts_with("    --hash=sha256:") || line.contains("==")),
            "an odd line"
        );
        for platform in &facts.data.platforms {
            assert!(
                facts.data.uv.wheels.iter().any(|wheel| wheel.platforms.contains(platform)),
                "{platform}"
            );
        }
        assert_eq!(facts.verdict(version), Verdict::Fine);
        assert_eq!(facts.verdict("1.82.7"), Verdict::Malicious);
        let reason = |version| match facts.verdict(version) {
            Verdict::Unsafe { reason, .. } => reason,
            other => panic!("{other:?}"),
        };
        assert!(reason("1.83.6").contains("CVE-2026-42271") && reason("1.83.7").contains("CVE-2026-49468"));
    }
}
