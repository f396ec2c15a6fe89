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
        wrapped(&text)
    }
}

/// The longest line that stays, and where a longer one breaks.
const LONGEST: usize = 150;
const WIDTH: usize = 130;

/// Breaks what names and lists of models made too long. Code, tables and headings stay.
fn wrapped(text: &str) -> String {
    let mut whole = String::new();
    let mut code = false;
    for line in text.lines() {
        code ^= line.starts_with("```");
        if code || line.starts_with(['|', '#']) || line.chars().count() <= LONGEST {
            whole.push_str(line);
        } else {
            wrap(line, &mut whole);
        }
        whole.push('\n');
    }
    whole
}

/// Breaks at spaces, also between words in backquotes that do not fit on a line; an item of a list keeps its indentation.
fn wrap(line: &str, whole: &mut String) {
    let indentation = if line.starts_with("- ") { "  " } else { "" };
    let mut columns = 0;
    for (index, word) in line.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && columns + 1 + length > WIDTH {
            whole.push('\n');
            whole.push_str(indentation);
            columns = indentation.len();
        } else if index > 0 {
            whole.push(' ');
            columns += 1;
        }
        whole.push_str(word);
        columns += length;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_breaks_at_spaces_and_code_stays() {
        let long = "word ".repeat(60);
        let text = format!("- {long}\n```sh\n{long}\n```\n| {long} |\nshort\n");
        let wrapped = wrapped(&text);
        let lines: Vec<&str> = wrapped.lines().collect();
        assert!(lines[0].len() <= WIDTH && lines[1].starts_with("  word"), "{wrapped}");
        assert!(wrapped.contains(&format!("```sh\n{long}\n```\n| {long} |\nshort\n")), "{wrapped}");
        assert_eq!(wrapped.split_whitespace().count(), text.split_whitespace().count());
    }
}
