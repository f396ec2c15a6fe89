//! "Did you mean": the known word that is nearest to an unknown one.

/// The candidate that `word` was most likely meant to be, or none that is near enough. Spelling differences in case
/// and in `-` and `_` count nothing; a swap of two letters counts as one mistake.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest(word, candidates).map(|(_, candidate)| candidate)
}

/// The same, with the number of mistakes between the two.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<(usize, &'a str)> {
    let word = plain(word);
    let allowed = word.len().div_ceil(3).clamp(1, 5);
    let scored = candidates.into_iter().filter_map(|candidate| {
        let other = plain(candidate);
        let near = word.len().abs_diff(other.len()) <= allowed;
        let distance = near.then(|| distance(&word, &other)).filter(|distance| *distance <= allowed)?;
        (other.len() > distance + 1).then_some((distance, candidate))
    });
    scored.min()
}

fn plain(word: &str) -> Vec<char> {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).take(80).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours that make `a` into `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
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
        assert_eq!(distance(&plain("ab"), &plain("ba")), 1);
        assert_eq!(distance(&[], &plain("abc")), 3);
    }
}
