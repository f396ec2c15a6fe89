//! LiteLLM's configuration on a server: the file that install writes, byte for byte, and beside it what a server adds.
//!
//! LiteLLM joins files that a file includes: a section of a later file replaces the section of an earlier one. So the added file
//! repeats each section that it changes.

use serde_json::{Map, Value, json};

use crate::domain::tree::Content;
use crate::domain::{Error, Result};

use super::tree::unwritable;
use super::values::Values;

/// What install writes.
pub const LITELLM: &str = "litellm.yaml";
/// The sections that a server adds to.
const SERVER: &str = "server.yaml";
/// Includes the two others; LiteLLM starts with it.
const GATEWAY: &str = "gateway.yaml";

const ADDED: &str = "\
# What a server adds to litellm.yaml, written by `gwinstall render` from gateway.yaml. A section here replaces the one of
# litellm.yaml, so it repeats what that says. Change litellm.yaml or gateway.yaml and render again.
";
const ENTRY: &str = "\
# LiteLLM starts with this file. Written by `gwinstall render`.
include:
  - litellm.yaml
  - server.yaml
";

/// A file of LiteLLM's configuration.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    pub name: &'static str,
    pub bytes: Content,
}

/// The files of LiteLLM's configuration; LiteLLM starts with the first.
pub fn configuration(litellm: String, values: &Values) -> Result<Vec<ConfigFile>> {
    let added = added(&litellm, values)?;
    let litellm = ConfigFile { name: LITELLM, bytes: litellm.into_bytes().into() };
    let Some(added) = added else { return Ok(vec![litellm]) };
    let text = serde_yaml::to_string(&added).map_err(unwritable)?;
    let server = ConfigFile { name: SERVER, bytes: format!("{ADDED}{text}").into_bytes().into() };
    let entry = ConfigFile { name: GATEWAY, bytes: ENTRY.as_bytes().into() };
    Ok(vec![entry, litellm, server])
}

/// The sections that change; `None`: the file of install is enough.
fn added(litellm: &str, values: &Values) -> Result<Option<Value>> {
    let mut general = Map::new();
    let mut litellm_settings = Map::new();
    let mut router = Map::new();
    if let Some(database) = &values.database {
        general.insert("database_connection_pool_limit".to_owned(), json!(database.connections));
        general.insert("database_connection_timeout".to_owned(), json!(60));
        // A key that is in the cache keeps working while PostgreSQL restarts.
        general.insert("allow_requests_on_db_unavailable".to_owned(), json!(true));
        // Spend of all instances is written together, every minute.
        general.insert("proxy_batch_write_at".to_owned(), json!(60));
    }
    if values.redis.is_some() {
        for (key, variable) in
            [("redis_host", "REDIS_HOST"), ("redis_port", "REDIS_PORT"), ("redis_password", "REDIS_PASSWORD")]
        {
            router.insert(key.to_owned(), json!(format!("os.environ/{variable}")));
        }
        if values.database.is_some() {
            // Several instances would write the same row at once.
            general.insert("use_redis_transaction_buffer".to_owned(), json!(true));
        }
    }
    if values.metrics {
        litellm_settings.insert("callbacks".to_owned(), json!(["prometheus"]));
    }
    if values.claude_code_gateway {
        general.insert("enable_claude_code_gateway".to_owned(), json!(true));
    }
    let sections =
        [("general_settings", general), ("litellm_settings", litellm_settings), ("router_settings", router)];
    if sections.iter().all(|(_, added)| added.is_empty()) {
        return Ok(None);
    }
    let read: Value = serde_yaml::from_str(litellm).map_err(|error| {
        Error::failed("the assembled configuration is not YAML").because(error.to_string())
    })?;
    let mut whole = Map::new();
    for (name, added) in sections.into_iter().filter(|(_, added)| !added.is_empty()) {
        let mut section = read.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        join(&mut section, added);
        whole.insert(name.to_owned(), Value::Object(section));
    }
    Ok(Some(Value::Object(whole)))
}

/// Adds keys; the entries of a list come after those that are there.
fn join(section: &mut Map<String, Value>, added: Map<String, Value>) {
    for (key, value) in added {
        match (section.get_mut(&key), value) {
            (Some(Value::Array(there)), Value::Array(more)) => {
                let more: Vec<Value> = more.into_iter().filter(|item| !there.contains(item)).collect();
                there.extend(more);
            }
            (_, value) => {
                section.insert(key, value);
            }
        }
    }
}
