//! "Did you mean": the known word that is nearest to an unknown one.

/// The candidate that `word` was most likely meant to be, or none that is near enough. Spelling differences in case
/// and in `-` and `_` count nothing; a swap of two letters counts as one mistake.
pub(super) fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest(word, candidates).map(|(_, candidate)| candidate)
}

/// Like `closest`, with the number of mistakes between the word and the candidate.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<(usize, &'a str)> {
    let (word, length) = plain(word);
    let allowed = length.div_ceil(3).clamp(1, 5);
    let scored = candidates.into_iter().filter_map(|candidate| {
        let (other, other_length) = plain(candidate);
        let near = length.abs_diff(other_length) <= allowed;
        let mistakes =
            near.then(|| strsim::osa_distance(&word, &other)).filter(|mistakes| *mistakes <= allowed)?;
        (other_length > mistakes + 1).then_some((mistakes, candidate))
    });
    scored.min()
}

/// The word as it is compared, and its length in characters.
fn plain(word: &str) -> (String, usize) {
    let letters =
        word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).take(80);
    let plain: String = letters.collect();
    let length = plain.chars().count();
    (plain, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_a_distant_one_is_not() {
        let known = ["model", "model_name", "enable_pre_call_checks", "drop_params", "num_retries", "rpm"];
        let rows = [
            ("modle", Some("model")),
            ("enable_pre_call_check", Some("enable_pre_call_checks")),
            ("dropParams", Some("drop_params")),
            ("drop-params", Some("drop_params")),
            ("num_retry", Some("num_retries")),
            ("rpms", Some("rpm")),
            ("pre_call_checks", None),
            ("ui", None),
            ("tp", None),
            ("telemetry", None),
        ];
        for (word, expected) in rows {
            assert_eq!(closest(word, known), expected, "{word}");
        }
        assert_eq!(nearest("mdoel", known), Some((1, "model")));
    }
}
