//! Tokens as a provider counts and charges them, and what they cost. Pure arithmetic in whole numbers: a sum does not
//! depend on the order of its parts, so the same transcripts always give the same bill.

use std::iter::Sum;
use std::ops::AddAssign;

/// Tokens of a request, or of many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Input that no cache served and none keeps.
    pub input: u64,
    pub cache_read: u64,
    /// Input that a cache keeps for minutes.
    pub cache_write: u64,
    /// Input that a cache keeps for an hour.
    pub cache_write_hour: u64,
    pub output: u64,
}

impl Tokens {
    /// All that the model was given, from a cache or not.
    pub fn prompt(&self) -> u64 {
        let cached = self.cache_read.saturating_add(self.cache_written());
        self.input.saturating_add(cached)
    }

    /// Input that a cache keeps, for whatever time.
    pub fn cache_written(&self) -> u64 {
        self.cache_write.saturating_add(self.cache_write_hour)
    }

    /// What a request would be at a provider that has no cache.
    #[must_use]
    pub fn uncached(&self) -> Self {
        Self { input: self.prompt(), output: self.output, ..Self::default() }
    }
}

impl AddAssign for Tokens {
    fn add_assign(&mut self, more: Self) {
        self.input = self.input.saturating_add(more.input);
        self.cache_read = self.cache_read.saturating_add(more.cache_read);
        self.cache_write = self.cache_write.saturating_add(more.cache_write);
        self.cache_write_hour = self.cache_write_hour.saturating_add(more.cache_write_hour);
        self.output = self.output.saturating_add(more.output);
    }
}

/// US dollars, in millionths of a millionth: the price of one token is a whole number of these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(u128);

/// Parts of a dollar in which a cost is kept.
const PARTS: u128 = 1_000_000_000_000;

impl Cost {
    pub const fn of_parts(parts: u128) -> Self {
        Self(parts)
    }

    /// Dollars, rounded to a millionth.
    pub fn dollars(self) -> f64 {
        let millionths = self.0.saturating_add(PARTS / 2_000_000) / (PARTS / 1_000_000);
        millionths as f64 / 1_000_000.0
    }

    /// Dollars and cents; what is less than a cent and not nothing is `<0.01`.
    pub fn shown(self) -> String {
        let cents = self.0.saturating_add(PARTS / 200) / (PARTS / 100);
        if cents == 0 && self.0 > 0 {
            return "<0.01".to_owned();
        }
        format!("{}.{:02}", digits(cents / 100), cents % 100)
    }

    /// By how many percent this is more (or less, below zero) than `other`; `None` where that is nothing.
    pub fn change_from(self, other: Self) -> Option<f64> {
        (other.0 > 0).then(|| (self.0 as f64 / other.0 as f64 - 1.0) * 100.0)
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, more: Self) {
        self.0 = self.0.saturating_add(more.0);
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        let mut all = Self::default();
        costs.for_each(|cost| all += cost);
        all
    }
}

/// A number as people read it: `1,234,567`.
pub fn digits(number: u128) -> String {
    let plain = number.to_string();
    let mut text = String::with_capacity(plain.len() + plain.len() / 3);
    for (at, digit) in plain.char_indices() {
        if at > 0 && (plain.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_costs_are_rounded_to_a_cent() {
        let shown = |number| digits(number);
        assert_eq!([shown(0), shown(999), shown(1000), shown(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        let cost = |parts| Cost::of_parts(parts).shown();
        assert_eq!([cost(0), cost(1), cost(PARTS / 200 - 1)], ["0.00", "<0.01", "<0.01"]);
        assert_eq!([cost(PARTS / 200), cost(1234 * PARTS + PARTS / 2)], ["0.01", "1,234.50"]);
        assert_eq!(Cost::of_parts(PARTS + 1_499_999).dollars(), 1.000_001);
    }

    #[test]
    fn a_sum_never_overflows() {
        let mut all = Tokens { input: u64::MAX, output: 1, ..Tokens::default() };
        all += Tokens { input: 7, cache_read: 2, output: 1, ..Tokens::default() };
        assert_eq!((all.input, all.output, all.prompt()), (u64::MAX, 2, u64::MAX));
        let costs = [Cost::of_parts(u128::MAX), Cost::of_parts(7)];
        assert_eq!(costs.into_iter().sum::<Cost>(), Cost::of_parts(u128::MAX));
    }

    #[test]
    fn a_change_is_in_percent_and_nothing_has_none() {
        let (one, three) = (Cost::of_parts(100), Cost::of_parts(300));
        assert_eq!((three.change_from(one), one.change_from(Cost::default())), (Some(200.0), None));
    }
}
