//! What a plain scalar means to PyYAML, which reads YAML 1.1: `no` is false, `0777` is 511, `1:30` is 90.
//!
//! The rules are those of its implicit resolvers and safe constructors; `tests/format/yaml.rs` compares.

/// A scalar with its meaning.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    Null,
    Bool(bool),
    Int(i128),
    /// The digits of an integer that does not fit, in decimal if it was written so.
    Big(String),
    Float(f64),
    Str(String),
    /// A date, or a date with a time, as written.
    Timestamp(String),
}

/// Why a plain scalar has the form of a value and is not one.
pub(super) type Flaw = &'static str;

/// Reads a plain scalar.
pub(super) fn resolve(text: &str) -> Result<Scalar, Flaw> {
    if let Some(truth) = boolean(text) {
        return Ok(Scalar::Bool(truth));
    }
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Ok(Scalar::Null);
    }
    match text {
        "=" => return Err("a lone = has a meaning that PyYAML cannot read: put it in quotes"),
        "<<" => return Err("<< merges only as a key: put it in quotes"),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Ok(Scalar::Str(text.to_owned()));
    }
    if let Some(number) = float(text) {
        return Ok(Scalar::Float(number));
    }
    if let Some(number) = integer(text) {
        return number;
    }
    match Stamp::read(text) {
        Some(stamp) if stamp.exists() => Ok(Scalar::Timestamp(text.to_owned())),
        Some(_) => Err("this looks like a date and is not one: put it in quotes"),
        None => Ok(Scalar::Str(text.to_owned())),
    }
}

/// Reads a scalar that has one of YAML's own tags.
pub(super) fn with_tag(tag: &str, text: &str) -> Result<Scalar, Flaw> {
    match tag {
        "str" => Ok(Scalar::Str(text.to_owned())),
        "null" => Ok(Scalar::Null),
        "bool" => boolean(&text.to_ascii_lowercase()).map(Scalar::Bool).ok_or("not a truth value"),
        "int" => integer(text).unwrap_or(Err("not an integer")),
        "float" => match (float(text), integer(text)) {
            (Some(number), _) => Ok(Scalar::Float(number)),
            (None, Some(Ok(Scalar::Int(number)))) if text.bytes().all(|b| b.is_ascii_digit()) => {
                // As Python does it; beyond 2^53 both round.
                Ok(Scalar::Float(number as f64))
            }
            _ => Err("not a number"),
        },
        "timestamp" => match Stamp::read(text) {
            Some(stamp) if stamp.exists() => Ok(Scalar::Timestamp(text.to_owned())),
            _ => Err("not a date"),
        },
        _ => Err("a tag that LiteLLM refuses"),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// The sign and what follows it.
fn signed(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

/// Whether `text` is made of `digits` and `_` and is not empty.
fn made_of(text: &str, digit: fn(&u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(|b| b == b'_' || digit(&b))
}

fn number(negative: bool, digits: &str, radix: u32) -> Result<Scalar, Flaw> {
    let digits = digits.replace('_', "");
    if digits.is_empty() {
        return Err("a number without digits: put it in quotes");
    }
    Ok(match i128::from_str_radix(&digits, radix) {
        Ok(value) => Scalar::Int(if negative { -value } else { value }),
        Err(_) => Scalar::Big(format!("{}{digits}", if negative { "-" } else { "" })),
    })
}

/// Integers: decimal, `0b`, `0x`, octal by a leading 0, and base 60 with colons. `None` if the form is another.
fn integer(text: &str) -> Option<Result<Scalar, Flaw>> {
    let (negative, body) = signed(text);
    if let Some(digits) = body.strip_prefix("0b") {
        return made_of(digits, |b| matches!(b, b'0' | b'1')).then(|| number(negative, digits, 2));
    }
    if let Some(digits) = body.strip_prefix("0x") {
        return made_of(digits, u8::is_ascii_hexdigit).then(|| number(negative, digits, 16));
    }
    if let Some(digits) = body.strip_prefix('0') {
        let octal = made_of(digits, |b| (b'0'..=b'7').contains(b));
        return (octal || digits.is_empty()).then(|| number(negative, body, 8));
    }
    let (whole, minutes) = body.split_once(':').map_or((body, None), |(whole, rest)| (whole, Some(rest)));
    if !whole.starts_with(|c: char| c.is_ascii_digit()) || !made_of(whole, u8::is_ascii_digit) {
        return None;
    }
    let Some(minutes) = minutes else { return Some(number(negative, whole, 10)) };
    let mut total: i128 = whole.replace('_', "").parse().ok()?;
    for part in minutes.split(':') {
        total = total.checked_mul(60)?.checked_add(i128::from(sixty(part)?))?;
    }
    Some(Ok(Scalar::Int(if negative { -total } else { total })))
}

/// `0` to `59`, in one or two digits.
fn sixty(part: &str) -> Option<u8> {
    let good = matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    good.then(|| part.parse().ok()).flatten()
}

/// Floats: with a point, `.inf`, `.nan`, base 60 with colons. An exponent counts only after a point and with a sign.
fn float(text: &str) -> Option<f64> {
    let (negative, body) = signed(text);
    let sign = if negative { -1.0 } else { 1.0 };
    if matches!(body, ".inf" | ".Inf" | ".INF") {
        return Some(sign * f64::INFINITY);
    }
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(f64::NAN);
    }
    let (whole, rest) = body.split_once('.')?;
    if whole.contains(':') {
        return made_of_or_empty(rest).then(|| base_sixty(whole, rest)).flatten().map(|value| sign * value);
    }
    let (digits, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let whole_good = match whole {
        "" => body.len() == text.len() && digits.starts_with(|c: char| c.is_ascii_digit()),
        _ => whole.starts_with(|c: char| c.is_ascii_digit()) && made_of_or_empty(whole),
    };
    let exponent_good = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    });
    if !whole_good || !exponent_good || !made_of_or_empty(digits) {
        return None;
    }
    let plain = format!("0{whole}.{digits}0e{}", exponent.unwrap_or("0")).replace('_', "");
    plain.parse::<f64>().ok().map(|value| sign * value)
}

fn made_of_or_empty(digits: &str) -> bool {
    digits.is_empty() || made_of(digits, u8::is_ascii_digit)
}

fn base_sixty(whole: &str, fraction: &str) -> Option<f64> {
    let (first, minutes) = whole.split_once(':')?;
    if !first.starts_with(|c: char| c.is_ascii_digit()) || !made_of(first, u8::is_ascii_digit) {
        return None;
    }
    let mut total: f64 = first.replace('_', "").parse().ok()?;
    for part in minutes.split(':') {
        total = total * 60.0 + f64::from(sixty(part)?);
    }
    let fraction: f64 = format!("0.{}0", fraction.replace('_', "")).parse().ok()?;
    Some(total + fraction)
}

/// The numbers of a date and time.
struct Stamp {
    year: u32,
    month: u32,
    day: u32,
    clock: Option<[u32; 3]>,
    zone: Option<[u32; 2]>,
}

impl Stamp {
    fn read(text: &str) -> Option<Self> {
        let mut at = Cursor(text);
        let year = at.number(4, 4)?;
        at.take('-')?;
        let month_text = at.0;
        let month = at.number(1, 2)?;
        at.take('-')?;
        let day = at.number(1, 2)?;
        if at.0.is_empty() {
            let both_two = text.len() == 10 && month_text.as_bytes().get(2) == Some(&b'-');
            return both_two.then_some(Self { year, month, day, clock: None, zone: None });
        }
        if at.take('T').or_else(|| at.take('t')).is_none() && !at.blanks() {
            return None;
        }
        let hour = at.number(1, 2)?;
        at.take(':')?;
        let minute = at.number(2, 2)?;
        at.take(':')?;
        let second = at.number(2, 2)?;
        if at.take('.').is_some() {
            at.digits();
        }
        at.blanks();
        let mut zone = None;
        if at.take('Z').is_none() && at.take('+').or_else(|| at.take('-')).is_some() {
            let hours = at.number(1, 2)?;
            let minutes = if at.take(':').is_some() { at.number(2, 2)? } else { 0 };
            zone = Some([hours, minutes]);
        }
        let blank_at_end = text.ends_with([' ', '\t']);
        let stamp = Self { year, month, day, clock: Some([hour, minute, second]), zone };
        (at.0.is_empty() && !blank_at_end).then_some(stamp)
    }

    /// Whether the calendar has this day and the clock this time.
    fn exists(&self) -> bool {
        let leap =
            self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let days = match self.month {
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            1..=12 => 31,
            _ => 0,
        };
        let date = self.year > 0 && (1..=days).contains(&self.day);
        let clock = self.clock.is_none_or(|[hour, minute, second]| hour < 24 && minute < 60 && second < 60);
        date && clock && self.zone.is_none_or(|[hours, minutes]| hours * 60 + minutes < 24 * 60)
    }
}

/// The text that is left to read.
struct Cursor<'a>(&'a str);

impl Cursor<'_> {
    fn take(&mut self, c: char) -> Option<()> {
        self.0 = self.0.strip_prefix(c)?;
        Some(())
    }

    fn digits(&mut self) -> &str {
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest;
        digits
    }

    /// Between `least` and `most` digits, as many as there are.
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let digits = self.digits();
        (least..=most).contains(&digits.len()).then(|| digits.parse().ok()).flatten()
    }

    fn blanks(&mut self) -> bool {
        let rest = self.0.trim_start_matches([' ', '\t']);
        let any = rest.len() < self.0.len();
        self.0 = rest;
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_yaml_1_1_says() {
        let text = |text: &str| Ok(Scalar::Str(text.to_owned()));
        let rows = [
            ("", Ok(Scalar::Null)),
            ("~", Ok(Scalar::Null)),
            ("nULL", text("nULL")),
            ("no", Ok(Scalar::Bool(false))),
            ("On", Ok(Scalar::Bool(true))),
            ("y", text("y")),
            ("0777", Ok(Scalar::Int(511))),
            ("0o7", text("0o7")),
            ("08", text("08")),
            ("1_000", Ok(Scalar::Int(1000))),
            ("0x_1F", Ok(Scalar::Int(31))),
            ("-0b11", Ok(Scalar::Int(-3))),
            ("0x", text("0x")),
            ("1:30", Ok(Scalar::Int(90))),
            ("1:60", text("1:60")),
            ("01:30", text("01:30")),
            ("1e3", text("1e3")),
            ("1.e+3", Ok(Scalar::Float(1000.0))),
            ("1.5e3", text("1.5e3")),
            (".5", Ok(Scalar::Float(0.5))),
            ("-.5", text("-.5")),
            ("1:30.5", Ok(Scalar::Float(90.5))),
            ("-.inf", Ok(Scalar::Float(f64::NEG_INFINITY))),
            ("2026-11-21", Ok(Scalar::Timestamp("2026-11-21".to_owned()))),
            ("2026-1-2", text("2026-1-2")),
            ("2026-1-2 3:04:05 +01", Ok(Scalar::Timestamp("2026-1-2 3:04:05 +01".to_owned()))),
            ("127.0.0.1", text("127.0.0.1")),
            ("-", text("-")),
            ("1-2", text("1-2")),
        ];
        for (plain, meaning) in rows {
            assert_eq!(resolve(plain), meaning, "{plain:?}");
        }
        assert!(matches!(resolve(&"9".repeat(60)), Ok(Scalar::Big(_))));
        for plain in ["=", "<<", "2026-13-01", "2026-02-29", "0b_", "0x__"] {
            assert!(resolve(plain).is_err(), "{plain:?}");
        }
    }
}
