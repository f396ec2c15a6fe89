//! Asks a gateway over HTTP: does it answer, is it ready, which models does it serve.
//!
//! Promise: no message holds the key, also where the gateway repeats it; the key goes to a port of this machine only if the
//! gateway listens there, and no other program. Never: calls a model, but in `call` and `post`, which run
//! only at the user's request, because providers charge for it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::deploy::context::EnvFile;
use crate::domain::name::printable;
use crate::domain::place::files;
use crate::domain::record::{Direct, Record};
use crate::domain::stand_in::is_value;
use crate::domain::url::HttpUrl;
use crate::domain::{Error, Hint, Place, Result, Secret};
use crate::doors::loopback::{self, Question, Reply};
use crate::format::dotenv::DotEnv;
use crate::render::{AUTH_TOKEN, HEADERS, MASTER_KEY, as_setting};

use super::process;

const SHORT: Duration = Duration::from_secs(5);
/// A model may take its time before it answers.
const LONG: Duration = Duration::from_secs(60);

/// A deployed gateway, where it answers and the key it takes.
pub struct Gateway {
    pub url: String,
    pub key: Option<Secret>,
    /// Name of the variable that holds the key; empty where none is asked for.
    pub key_name: String,
    /// Whether LiteLLM runs on this machine; else another party runs the gateway.
    pub local: bool,
    /// The further headers that Claude Code sends to a gateway elsewhere.
    headers: Vec<(String, Secret)>,
    /// Whose process must listen on which port before the key is sent there.
    listener: Option<(Place, u16)>,
}

/// A key of `.env`, where it has a value.
fn key_of(place: &Place, name: &str) -> Result<Option<Secret>> {
    let text = EnvFile::read(place)?.text;
    Ok(DotEnv::parse(&text).get(name).filter(|value| is_value(name, value)).map(Secret::new))
}

impl Gateway {
    /// The gateway of a deployment, with the key of its `.env`.
    pub fn of(place: &Place, record: &Record) -> Result<Self> {
        let local = record.files.contains_key(files::CONFIG);
        if let Some(direct) = record.direct.as_ref().filter(|_| !record.has_gateway()) {
            return Self::of_provider(place, direct);
        }
        let key_name = if local { MASTER_KEY } else { AUTH_TOKEN };
        let text = EnvFile::read(place)?.text;
        let values = DotEnv::parse(&text);
        let key = values.get(key_name).filter(|value| is_value(key_name, value)).map(Secret::new);
        let key_name = key_name.to_owned();
        let headers =
            values.get(HEADERS).filter(|_| !local).map(|lines| headers_of(&as_setting(HEADERS, lines)));
        let url = HttpUrl::parse("the recorded gateway URL", &record.gateway_url)?;
        let listener = local.then(|| (place.clone(), url.port()));
        let headers = headers.unwrap_or_default();
        Ok(Self { url: url.as_str().to_owned(), key, key_name, local, headers, listener })
    }

    /// A gateway at this address, without a deployment: for tests of what is said to it.
    #[cfg(any(test, feature = "internals"))]
    pub fn at(url: &str, key: Secret) -> Self {
        Self {
            url: url.to_owned(),
            key: Some(key),
            key_name: MASTER_KEY.to_owned(),
            local: true,
            headers: Vec::new(),
            listener: None,
        }
    }

    /// What Claude Code asks: the provider that is in use, else the gateway.
    pub fn in_use(place: &Place, record: &Record) -> Result<Self> {
        record
            .direct
            .as_ref()
            .map_or_else(|| Self::of(place, record), |direct| Self::of_provider(place, direct))
    }

    fn of_provider(place: &Place, direct: &Direct) -> Result<Self> {
        let url = HttpUrl::parse("the recorded address of the provider", &direct.url)?;
        let key = match &direct.key {
            Some(name) => key_of(place, name)?,
            None => Some(Secret::new(direct.provider.as_str())),
        };
        let key_name = direct.key.clone().unwrap_or_default();
        Ok(Self {
            url: url.as_str().to_owned(),
            key,
            key_name,
            local: false,
            headers: Vec::new(),
            listener: None,
        })
    }

    pub fn get(&self, path: &str, with_key: bool) -> std::result::Result<Reply, String> {
        self.ask(path, None, with_key, SHORT)
    }

    fn ask(
        &self,
        path: &str,
        body: Option<&str>,
        with_key: bool,
        timeout: Duration,
    ) -> std::result::Result<Reply, String> {
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let key = self.key.as_ref().filter(|_| with_key);
        if key.is_some()
            && let Some((place, port)) = &self.listener
            && let Some(who) = process::stranger(place, *port)
        {
            return Err(format!("{who} listens on port {port}, and the key is only for the gateway"));
        }
        let headers = if with_key { self.headers.as_slice() } else { &[] };
        let question = Question { url: &url, key, headers, body, elsewhere: !self.local, timeout };
        loopback::ask(&question).map_err(|why| self.without_key(&why))
    }

    /// Fails if the variable of the key has no value.
    pub fn require_key(&self) -> Result<()> {
        if self.key.is_some() {
            return Ok(());
        }
        Err(Error::failed(format!("cannot ask {}", self.url))
            .because(format!("{} has no value", self.key_name))
            .hint(Hint::run(&["env", "set", &self.key_name])))
    }

    /// The names that `/v1/models` lists.
    pub fn models(&self) -> Result<Vec<String>> {
        let failed = |why: String| {
            let error = Error::failed(format!("cannot list the models of {}", self.url)).because(why);
            if self.local { error.hint(Hint::run(&["health"])) } else { error }
        };
        self.require_key()?;
        let reply = self.get("/v1/models", true).map_err(failed)?;
        if reply.status != 200 {
            return Err(failed(format!("it answers /v1/models with {}", self.reason(&reply))));
        }
        model_names(&reply.body).ok_or_else(|| failed("its answer is not a list of models".to_owned()))
    }

    /// Sends one model a request of a few tokens; an error says what came back.
    pub fn call(&self, model: &str) -> std::result::Result<(), String> {
        let body = json!({
            "model": model,
            "max_tokens": 16,
            "messages": [{ "role": "user", "content": "Say ok." }],
        });
        let reply = self.ask("/v1/messages", Some(&body.to_string()), true, LONG)?;
        if reply.status == 200 { Ok(()) } else { Err(self.reason(&reply)) }
    }

    /// Sends a document to a path below the address, at the user's request.
    pub fn post(&self, path: &str, body: &Value, timeout: Duration) -> std::result::Result<Reply, String> {
        self.ask(path, Some(&body.to_string()), true, timeout)
    }

    /// The models of which LiteLLM says that they read images; none where the gateway does not say it.
    pub fn readers_of_images(&self) -> Vec<String> {
        let reply = self.get("/model/info", true).ok().filter(|reply| reply.status == 200);
        reply.and_then(|reply| seeing(&reply.body)).unwrap_or_default()
    }

    /// Status and reason of an unexpected reply, safe to print.
    pub fn reason(&self, reply: &Reply) -> String {
        let message = serde_json::from_str::<Value>(&reply.body).ok().and_then(|body| {
            let error = body.get("error").unwrap_or(&body);
            error.get("message").or(body.get("detail")).and_then(Value::as_str).map(str::to_owned)
        });
        let message = message.unwrap_or_default();
        match message.lines().find(|line| !line.trim().is_empty()) {
            Some(line) => format!("{} ({})", reply.status, self.shown(line)),
            None => reply.status.to_string(),
        }
    }

    /// Text from the gateway, safe to print: without the key, and only then cut, because a cut key could not be found.
    pub fn shown(&self, text: &str) -> String {
        printable(self.without_key(text).trim())
    }

    /// A gateway may repeat the key that it received; the key is never printed.
    fn without_key(&self, text: &str) -> String {
        // A value of a few letters, such as the name of a team, is a part of other words.
        let headers = self.headers.iter().map(|(_, value)| value).filter(|value| value.expose().len() >= 8);
        self.key
            .iter()
            .chain(headers)
            .fold(text.to_owned(), |text, value| text.replace(value.expose(), "****"))
    }
}

/// The headers of `Name: value` lines.
fn headers_of(lines: &str) -> Vec<(String, Secret)> {
    let pairs = lines.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.trim().to_owned(), Secret::new(value.trim()))).collect()
}

/// The models of an answer of `/model/info` that read images.
fn seeing(body: &str) -> Option<Vec<String>> {
    let body: Value = serde_json::from_str(body).ok()?;
    let sees = |model: &&Value| model.pointer("/model_info/supports_vision") == Some(&Value::Bool(true));
    let models = body.get("data")?.as_array()?.iter().filter(sees);
    Some(models.filter_map(|model| model.get("model_name")?.as_str()).map(str::to_owned).collect())
}

/// The ids of an OpenAI- or Anthropic-shaped list.
fn model_names(body: &str) -> Option<Vec<String>> {
    let body: Value = serde_json::from_str(body).ok()?;
    let list = body.get("data")?.as_array()?;
    Some(list.iter().filter_map(|model| model.get("id")?.as_str()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway() -> Gateway {
        Gateway::at("http://127.0.0.1:4000", Secret::new("sk-canary"))
    }

    #[test]
    fn a_reply_is_shown_without_the_key_that_it_repeats() {
        let body = r#"{"error": {"message": "bad key sk-canary\nstack", "code": "401"}}"#.to_owned();
        assert_eq!(gateway().reason(&Reply { status: 401, body }), "401 (bad key ****)");
        assert_eq!(gateway().reason(&Reply { status: 502, body: "<html>".to_owned() }), "502");
        let long = format!("{} sk-canary", "x".repeat(114));
        let body = json!({ "error": { "message": long } }).to_string();
        assert!(!gateway().reason(&Reply { status: 400, body }).contains("sk-ca"), "not a part of it either");
    }

    #[test]
    fn both_shapes_of_the_list_are_read() {
        assert_eq!(
            model_names(r#"{"data": [{"id": "a"}, {"id": "b"}], "object": "list"}"#).unwrap(),
            ["a", "b"]
        );
        assert_eq!(model_names(r#"{"error": "x"}"#), None);
        assert_eq!(model_names("x"), None);
    }
}
