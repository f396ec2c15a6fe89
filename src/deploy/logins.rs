//! The logins with which LiteLLM calls Vertex AI and Amazon Bedrock. The libraries of both providers find a login in many
//! places, so no single variable is required.
//!
//! Promise: one judgement for every command; a place counts exactly if the libraries would use it. Reads only. Never: asks
//! the network, starts a program, or repeats what a credential holds.

mod amazon;
mod google;
mod sources;

use serde_json::json;

use crate::bundle::Model;
use crate::domain::check::{CheckName, Finding};
use crate::domain::{Hint, Place};
use crate::format::dotenv::DotEnv;

pub use sources::Login;
use sources::Sources;

/// A provider that wants a login instead of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    Google,
    Amazon,
}

impl Cloud {
    pub const ALL: [Self; 2] = [Self::Google, Self::Amazon];

    /// The provider that a route of LiteLLM goes to.
    pub fn of_route(route: &str) -> Option<Self> {
        match route.split('/').next()? {
            "vertex_ai" | "vertex_ai_beta" => Some(Self::Google),
            "bedrock" | "bedrock_converse" | "bedrock_mantle" | "sagemaker" | "sagemaker_chat" => {
                Some(Self::Amazon)
            }
            _ => None,
        }
    }

    /// Those that some of these models go to.
    pub fn of_models(models: &[&Model]) -> Vec<Self> {
        let of = |provider: &Self| models.iter().any(|model| Self::of_route(&model.route) == Some(*provider));
        Self::ALL.into_iter().filter(of).collect()
    }

    pub const fn check(self) -> CheckName {
        match self {
            Self::Google => CheckName::GoogleLoginFound,
            Self::Amazon => CheckName::AwsLoginFound,
        }
    }

    /// The sentence about a login that was not found.
    pub const fn absence(self) -> &'static str {
        match self {
            Self::Google => "no Google login was found",
            Self::Amazon => "no AWS credentials were found",
        }
    }

    const fn service(self) -> &'static str {
        match self {
            Self::Google => "Vertex AI",
            Self::Amazon => "Amazon Bedrock",
        }
    }

    /// The command that brings a login.
    pub fn next(self) -> Hint {
        match self {
            Self::Google => Hint::shell(google::LOG_IN),
            Self::Amazon => Hint::shell("aws configure sso"),
        }
    }

    /// The command that gives the gateway a key in place of a login.
    fn instead(self) -> Hint {
        match self {
            Self::Google => Hint::run(&["env", "set", "GOOGLE_APPLICATION_CREDENTIALS"])
                .to("name the file of a service account"),
            Self::Amazon => {
                Hint::run(&["env", "set", "AWS_BEARER_TOKEN_BEDROCK"]).to("use a Bedrock API key")
            }
        }
    }

    pub fn look(self, place: &Place, env: &DotEnv) -> Login {
        let sources = Sources { place, env };
        match self {
            Self::Google => google::look(&sources),
            Self::Amazon => amazon::look(&sources),
        }
    }

    /// The result of the check. A gateway without a login starts, and answers for other providers.
    pub fn finding(self, place: &Place, env: &DotEnv) -> Finding {
        match self.look(place, env) {
            Login::Found(what) => Finding::pass(what),
            Login::Unusable(why, hint) => Finding::warn(why).hint(hint),
            Login::Absent => {
                Finding::warn(format!("{}: calls to {} fail without one", self.absence(), self.service()))
                    .details(json!({ "login": "absent" }))
                    .hint(self.next().or(self.instead()))
            }
        }
    }
}

/// Those of `providers` that have no login. What is meant for one counts: the check says what is wrong with it. An image has
/// none: each machine brings its own.
pub fn lacking(place: &Place, env: &DotEnv, providers: Vec<Cloud>) -> Vec<Cloud> {
    let lacks = |provider: &Cloud| !place.staged && provider.look(place, env) == Login::Absent;
    providers.into_iter().filter(lacks).collect()
}
