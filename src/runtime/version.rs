//! Versions of programs, compared by their numbers. Never: reads one from a program.

/// The numbers of a version up to the first that is none: `[1, 84, 0]` of 1.84.0rc1.
pub fn numbers(version: &str) -> Vec<u64> {
    let number = |part: &str| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    version.split('.').map_while(number).collect()
}

/// Whether a version comes before another. A pre-release counts as the release.
pub fn is_below(version: &str, other: &str) -> bool {
    numbers(version) < numbers(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_numbers() {
        assert!(is_below("1.83.10", "1.84.0") && is_below("1.9", "1.10") && is_below("3.9.18", "3.10"));
        assert!(!is_below("1.84.0rc1", "1.84.0") && !is_below("2.0", "1.84.0"));
    }
}
