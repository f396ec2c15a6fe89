//! Small parts of every section: moments, numbers, sentences with a command.

use super::facts::Tone;
use super::html::Html;
use crate::domain::Instant;

/// `2026-11-21T10:00:00Z` as a person reads it; another text as it is.
pub(super) fn moment(html: &mut Html, moment: &str) {
    let read = Instant::parse(moment);
    match moment.strip_suffix('Z').and_then(|text| text.split_once('T')).filter(|_| read.is_some()) {
        Some((day, time)) => {
            html.markup("<time").attribute("datetime", moment).markup(">");
            html.text(day).markup(" ").text(time).markup("</time>")
        }
        None => html.text(moment),
    };
}

/// The class of a tone.
pub(super) fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Notice => "notice",
        Tone::Bad => "bad",
    }
}

/// A sentence of gwinstall; a command at its end is set apart, to be copied as one.
pub(super) fn sentence(html: &mut Html, text: &str) {
    const COMMANDS: [&str; 2] = [": gwinstall ", ": chmod "];
    match COMMANDS.iter().find_map(|mark| text.find(mark)) {
        Some(at) => {
            let (words, command) = text.split_at(at + ": ".len());
            html.text(words);
            self::command(html, command);
        }
        None => {
            html.text(text);
        }
    }
}

pub(super) fn command(html: &mut Html, command: &str) {
    html.markup("<code class=command>").text(command).markup("</code>");
}

/// `1 048 576`: digits in groups of three, with a space that does not break.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_048_576), "1\u{a0}048\u{a0}576");
    }
}
