//! The credentials that boto3 finds for LiteLLM: a Bedrock API key, access keys, a token of a web identity, a profile, a
//! container, an instance.

use std::path::PathBuf;

use crate::domain::Hint;
use crate::domain::name::printable;
use crate::doors::disk;

use super::sources::{Login, Sources, firmware_says};

/// Keys of a profile that are a way to credentials.
const WAYS: [(&str, &str); 8] = [
    ("aws_access_key_id", "access keys"),
    ("sso_session", "single sign-on"),
    ("sso_start_url", "single sign-on"),
    ("credential_process", "a program"),
    ("web_identity_token_file", "a web identity"),
    ("role_arn", "a role"),
    ("login_session", "a login"),
    ("credential_source", "the machine"),
];

pub(super) fn look(sources: &Sources<'_>) -> Login {
    if sources.has("AWS_BEARER_TOKEN_BEDROCK") {
        return Login::Found("AWS_BEARER_TOKEN_BEDROCK has a value".to_owned());
    }
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    match keys.map(|name| sources.has(name)) {
        [true, true] => return Login::Found("AWS access keys have values".to_owned()),
        [false, false] => {}
        [has_id, _] => {
            let (there, gone) = if has_id { (keys[0], keys[1]) } else { (keys[1], keys[0]) };
            let why = format!("{there} has a value and {gone} has none");
            return Login::Unusable(why, Hint::run(&["env", "set", gone]));
        }
    }
    if sources.has("AWS_WEB_IDENTITY_TOKEN_FILE") && sources.has("AWS_ROLE_ARN") {
        return Login::Found("AWS_WEB_IDENTITY_TOKEN_FILE names a web identity".to_owned());
    }
    of_profile(sources).unwrap_or_else(|| of_machine(sources))
}

/// What the files of the AWS command line say; `None` where they say nothing and no profile was named.
fn of_profile(sources: &Sources<'_>) -> Option<Login> {
    let named = sources.value("AWS_PROFILE").or_else(|| sources.value("AWS_DEFAULT_PROFILE"));
    let profile = named.as_deref().unwrap_or("default");
    let files: [PathBuf; 2] = [
        sources.path("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
        sources.path("AWS_CONFIG_FILE", ".aws/config"),
    ];
    for file in &files {
        let bytes =
            disk::real_file(file).and_then(|file| disk::read_maybe(&file, disk::TEXT_CAP)).ok().flatten();
        let text = String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
        if let Some(way) = way_of(&text, profile) {
            let shown = sources.place.show(file);
            return Some(Login::Found(format!("the profile {} in {shown} has {way}", printable(profile))));
        }
    }
    let named = named?;
    let why = format!(
        "AWS_PROFILE names {}, and neither {} nor {} gives it credentials",
        printable(&named),
        sources.place.show(&files[0]),
        sources.place.show(&files[1])
    );
    Some(Login::Unusable(why, Hint::shell("aws configure list-profiles").to("see which profiles there are")))
}

/// How a profile of such a file comes to credentials.
fn way_of(text: &str, profile: &str) -> Option<&'static str> {
    let mut inside = false;
    text.lines().map(str::trim).find_map(|line| {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            let section = section.trim();
            let name = section.strip_prefix("profile ").map_or(section, str::trim);
            inside = name.trim_matches(['"', '\'']) == profile;
            return None;
        }
        let (key, value) = line.split_once('=').filter(|_| inside && !line.starts_with(['#', ';']))?;
        let known = WAYS.iter().find(|(way, _)| key.trim().eq_ignore_ascii_case(way));
        known.filter(|_| !value.trim().is_empty()).map(|(_, words)| *words)
    })
}

/// The credentials that a container or an instance is given.
fn of_machine(sources: &Sources<'_>) -> Login {
    let container = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
    if container.iter().any(|name| sources.has(name)) {
        return Login::Found("this container has AWS credentials of its own".to_owned());
    }
    let off =
        sources.value("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let instance = sources.has("AWS_EC2_METADATA_SERVICE_ENDPOINT")
        || firmware_says("sys_vendor", b"Amazon EC2")
        || firmware_says("board_asset_tag", b"i-");
    if instance && !off {
        return Login::Found("this machine runs at AWS and may have a role of its own".to_owned());
    }
    Login::Absent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_has_credentials_in_each_way_that_boto3_knows() {
        let text = "[default]\nregion = x\n# aws_access_key_id = no\n[profile sso]\nsso_session = s\n[keys]\n\
                    aws_access_key_id=AKIA\n[profile \"a b\"]\ncredential_process = /bin/x\n[profile empty]\nrole_arn =\n\
                    [sso-session s]\nsso_start_url = https://x\n";
        for (profile, way) in [
            ("default", None),
            ("sso", Some("single sign-on")),
            ("keys", Some("access keys")),
            ("a b", Some("a program")),
            ("empty", None),
            ("absent", None),
            ("s", None),
        ] {
            assert_eq!(way_of(text, profile), way, "{profile}");
        }
    }
}
