//! The list of what is inside the executable: CycloneDX 1.6, from `cargo metadata` of the locked dependencies.
//!
//! Promise: only what is compiled into the target, no development or build dependencies; no clock and no random serial
//! number, so that the same sources give the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use gwinstall::domain::{Error, Result};
use serde_json::{Value, json};

use crate::tools;

/// The SBOM of the executable built for `target`.
pub fn cyclonedx(root: &Path, version: &str, target: &str) -> Result<Vec<u8>> {
    let mut command = Command::new("cargo");
    command
        .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", target])
        .current_dir(root);
    let metadata: Value = serde_json::from_str(&tools::run(&mut command)?)
        .map_err(|e| Error::failed("cargo metadata did not answer in JSON").because(e))?;
    let graph =
        Graph::of(&metadata).ok_or_else(|| Error::failed("cargo metadata has no package gwinstall"))?;
    let main = graph.component(graph.root, version);
    let components: Vec<Value> =
        graph.reached.iter().filter(|id| **id != graph.root).map(|id| graph.component(id, version)).collect();
    let dependencies: Vec<Value> = graph.reached.iter().map(|id| graph.dependency(id, version)).collect();
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": main },
        "components": components,
        "dependencies": dependencies,
    });
    let mut bytes = serde_json::to_vec_pretty(&document)
        .map_err(|e| Error::failed("cannot write the SBOM").because(e))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The packages reached from gwinstall over normal dependencies.
struct Graph<'a> {
    root: &'a str,
    packages: BTreeMap<&'a str, &'a Value>,
    edges: BTreeMap<&'a str, Vec<&'a str>>,
    reached: BTreeSet<&'a str>,
}

impl<'a> Graph<'a> {
    fn of(metadata: &'a Value) -> Option<Self> {
        let id = |value: &'a Value| value["id"].as_str();
        let packages: BTreeMap<_, _> = metadata["packages"]
            .as_array()?
            .iter()
            .filter_map(|package| Some((id(package)?, package)))
            .collect();
        let root = *packages.iter().find(|(_, package)| package["name"] == "gwinstall")?.0;
        let mut edges = BTreeMap::new();
        for node in metadata["resolve"]["nodes"].as_array()? {
            let normal = |dep: &&Value| {
                dep["dep_kinds"]
                    .as_array()
                    .is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
            };
            let deps = node["deps"].as_array()?.iter().filter(normal).filter_map(|dep| dep["pkg"].as_str());
            edges.insert(id(node)?, deps.collect::<Vec<_>>());
        }
        let mut reached = BTreeSet::new();
        let mut open = vec![root];
        while let Some(package) = open.pop() {
            if reached.insert(package) {
                open.extend(edges.get(package).into_iter().flatten());
            }
        }
        Some(Self { root, packages, edges, reached })
    }

    fn component(&self, id: &str, release: &str) -> Value {
        let package = self.packages.get(id).copied().unwrap_or(&Value::Null);
        let is_root = id == self.root;
        let version = if is_root { release } else { package["version"].as_str().unwrap_or_default() };
        let mut component = json!({
            "type": if is_root { "application" } else { "library" },
            "bom-ref": self.reference(id, release),
            "name": package["name"],
            "version": version,
            "purl": self.reference(id, release),
        });
        if let Some(license) = package["license"].as_str() {
            // Cargo still allows the old slash for OR; SPDX does not.
            component["licenses"] = json!([{ "expression": license.replace('/', " OR ") }]);
        }
        component
    }

    fn dependency(&self, id: &'a str, release: &str) -> Value {
        let mut on: Vec<String> =
            self.edges.get(id).into_iter().flatten().map(|id| self.reference(id, release)).collect();
        on.sort();
        on.dedup();
        json!({ "ref": self.reference(id, release), "dependsOn": on })
    }

    /// The package URL: name and version only, nothing of the machine that built it.
    fn reference(&self, id: &str, release: &str) -> String {
        let package = self.packages.get(id).copied().unwrap_or(&Value::Null);
        let version = if id == self.root { release } else { package["version"].as_str().unwrap_or_default() };
        format!("pkg:cargo/{}@{version}", package["name"].as_str().unwrap_or_default())
    }
}
