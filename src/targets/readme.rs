//! The README of a target. Every target answers the same questions, in the same order.

use super::Spec;

/// The answers. Text in Markdown; a command on a line of its own goes between fences by itself.
pub(super) struct Guide<'a> {
    pub title: &'a str,
    pub about: String,
    pub prerequisites: String,
    pub deploy: String,
    pub verify: String,
    pub roll_back: String,
    pub back_up: String,
    pub rotate_a_key: String,
    pub upgrade: String,
}

impl Guide<'_> {
    pub(super) fn text(&self, spec: &Spec) -> String {
        self.text_with(spec, SECRETS)
    }

    /// For files beside which no `secrets.env` lies; `secrets` says where the secrets are.
    pub(super) fn text_with(&self, spec: &Spec, secrets: &str) -> String {
        let sections = [
            ("Before you begin", &self.prerequisites),
            ("Deploy", &self.deploy),
            ("Verify", &self.verify),
            ("Roll back", &self.roll_back),
            ("Back up", &self.back_up),
            ("Rotate a key", &self.rotate_a_key),
            ("Upgrade", &self.upgrade),
        ];
        let mut text = format!("# {}\n\n{}\n\n{}\n", self.title, self.about.trim(), of_all(spec, secrets));
        for (title, body) in sections {
            text.push_str(&format!("\n## {title}\n\n{}\n", body.trim()));
        }
        text
    }
}

/// Where the secrets of a gateway are that reads them from a file.
const SECRETS: &str = "\
`secrets.env.example` names the values; `secrets.env` is yours, with mode 0600, and git ignores it.
`gwinstall render secrets --out DIR` writes it from the values of this machine and generates what only the gateway has to know.";

/// What holds for every target.
fn of_all(spec: &Spec, secrets: &str) -> String {
    let Spec { preset, litellm, image, version, models, .. } = spec;
    let models = models.iter().map(|model| format!("`{model}`")).collect::<Vec<_>>().join(", ");
    let pinned = match &image.digest {
        Some(_) => "The image is pinned by its digest.".to_owned(),
        None => "A tag can move: write the digest into `image` of `gateway.yaml` for production.".to_owned(),
    };
    format!(
        "\
Preset `{preset}` of configuration {version}, LiteLLM {litellm}, image `{image}`. {pinned}
Models: {models}.

`gwinstall render` writes these files from your choices and from `gateway.yaml`. Edit them if you have to: when you render again, your
edits stay, and what cannot be joined is written beside your file with the suffix `.gwinstall-new`. `gwinstall render … --check` says
whether a file differs (exit 3), `--diff` shows the lines. `RENDERED.json` holds the hashes.

No file here holds a secret. {secrets}"
    )
}
