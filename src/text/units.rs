//! Units for the eye: counts, bytes, rates and durations in few cells.
//!
//! Each figure keeps two or three significant digits, because a column of them is compared and not read.
//! What is not known is [`DASH`], never zero. JSON never goes through here: it has plain numbers with the
//! unit in the name.

use std::time::Duration;

/// What stands where a value is not known.
pub const DASH: &str = "—";

/// `format` of the value, or [`DASH`] where there is none.
pub fn or_dash<T>(value: Option<T>, format: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| DASH.to_owned(), format)
}

/// A whole count with thousands separators: `48,211`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A whole count that may be negative: `-1,204`.
pub fn signed(n: i64) -> String {
    let sign = if n < 0 { "-" } else { "" };
    format!("{sign}{}", count(n.unsigned_abs()))
}

/// A change, always with its sign: `+18`, `-1,204`, `0`.
pub fn change(n: i64) -> String {
    if n > 0 { format!("+{}", signed(n)) } else { signed(n) }
}

/// A count in few cells: `412`, `9,999`, `48 k`, `1.2 M`, `3.4 G`.
pub fn short(n: u64) -> String {
    if n < 10_000 { count(n) } else { scaled(n as f64, 1000.0, &["", "k", "M", "G", "T", "P", "E"]) }
}

/// A size in bytes, in powers of 1000: `412 B`, `410 kB`, `1.2 MB`.
pub fn bytes(n: u64) -> String {
    if n < 1000 {
        format!("{n} B")
    } else {
        scaled(n as f64, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
    }
}

/// An estimated size in bytes: `~410 kB`.
pub fn about_bytes(n: u64) -> String {
    format!("~{}", bytes(n))
}

/// A number of things a second: `1,204/s`, `12.5/s`, `0.4/s`, `0/s`.
pub fn rate(per_second: f64) -> String {
    format!("{}/s", number(per_second))
}

/// Bytes a second: `410 kB/s`.
pub fn bytes_rate(per_second: f64) -> String {
    format!("{}/s", bytes(per_second.max(0.0).round() as u64))
}

/// Estimated bytes a second: `~410 kB/s`.
pub fn about_bytes_rate(per_second: f64) -> String {
    format!("~{}", bytes_rate(per_second))
}

/// A share in percent: `0.9 %`, `12 %`, `0 %`; a share that is not zero never looks like zero.
pub fn percent(percent: f64) -> String {
    if !percent.is_finite() {
        return DASH.to_owned();
    }
    if percent > 0.0 && percent < 0.05 { "<0.1 %".to_owned() } else { format!("{} %", number(percent)) }
}

/// A number that may have a fraction: below 10 with one digit after the point, from 1,000 with separators.
pub fn number(n: f64) -> String {
    if !n.is_finite() {
        return DASH.to_owned();
    }
    let size = n.abs();
    let sign = if n < 0.0 && size >= 0.05 { "-" } else { "" };
    if size < 0.05 {
        "0".to_owned()
    } else if size < 99.95 {
        let text = format!("{size:.1}");
        format!("{sign}{}", text.strip_suffix(".0").unwrap_or(&text))
    } else {
        format!("{sign}{}", count(size.round() as u64))
    }
}

/// A duration in its largest unit: `220 ms`, `1.8 s`, `4 m`, `9 h`, `6 d`.
pub fn duration(of: Duration) -> String {
    let millis = u64::try_from(of.as_millis()).unwrap_or(u64::MAX);
    match millis {
        0..1000 => format!("{millis} ms"),
        1000..9950 => format!("{} s", number(millis as f64 / 1000.0)),
        9950..60_000 => format!("{} s", (millis + 500) / 1000),
        _ => age(i64::try_from(millis).unwrap_or(i64::MAX)),
    }
}

/// An age of so many milliseconds in its largest whole unit: `2 s`, `4 m`, `9 h`, `6 d`; below a second
/// `0 s`. A negative age (a clock that is ahead) keeps its sign.
pub fn age(millis: i64) -> String {
    let sign = if millis <= -1000 { "-" } else { "" };
    let seconds = millis.unsigned_abs() / 1000;
    match seconds {
        0..60 => format!("{sign}{seconds} s"),
        60..3600 => format!("{sign}{} m", seconds / 60),
        3600..86_400 => format!("{sign}{} h", seconds / 3600),
        _ => format!("{sign}{} d", count(seconds / 86_400)),
    }
}

/// Reads a duration: a whole number and `ms`, `s`, `m`, `h`, `d` or `w`, several in a row (`1h30m`), with a
/// sign in front or without. The answer is in milliseconds.
///
/// The error says what is wrong and what is right.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is not a duration; write for example 30s, 15m, 2h or 7d");
    let (sign, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let number: i64 = number.parse().map_err(|_| wrong())?;
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let unit = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "" => return Err(format!("`{text}` has no unit; write for example {number}s or {number}m")),
            _ => return Err(wrong()),
        };
        total = number.checked_mul(unit).and_then(|n| total.checked_add(n)).ok_or_else(wrong)?;
        rest = tail;
    }
    Ok(sign * total)
}

/// `n` scaled down by `step` until it has three digits at most, one digit after the point below ten.
fn scaled(mut n: f64, step: f64, units: &[&str]) -> String {
    let mut unit = 0;
    // 999.5 would be rounded up to a fourth digit.
    while n >= 999.5 && unit + 1 < units.len() {
        n /= step;
        unit += 1;
    }
    let name = units.get(unit).copied().unwrap_or_default();
    if n < 9.95 && unit > 0 { format!("{n:.1} {name}") } else { format!("{n:.0} {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        for (n, text) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (48_211, "48,211"), (1_234_567, "1,234,567")]
        {
            assert_eq!(count(n), text);
        }
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(signed(i64::MIN), "-9,223,372,036,854,775,808");
        assert_eq!((change(18), change(0), change(-1204)), ("+18".into(), "0".into(), "-1,204".into()));
    }

    #[test]
    fn a_scaled_number_never_rounds_up_to_four_digits() {
        assert_eq!(short(9_999), "9,999");
        assert_eq!(short(48_211), "48 k");
        assert_eq!(short(999_499), "999 k");
        assert_eq!(short(999_500), "1.0 M");
        assert_eq!(short(1_234_567), "1.2 M");
        assert_eq!(bytes(412), "412 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1000), "1.0 kB");
        assert_eq!(about_bytes(410_000), "~410 kB");
        assert_eq!(bytes(u64::MAX), "18 EB");
    }

    #[test]
    fn rates_keep_a_fraction_only_where_it_can_be_seen() {
        assert_eq!(rate(1204.4), "1,204/s");
        assert_eq!(rate(12.0), "12/s");
        assert_eq!(rate(0.44), "0.4/s");
        assert_eq!(rate(0.0), "0/s");
        assert_eq!(rate(-3.2), "-3.2/s");
        assert_eq!(rate(f64::NAN), "—/s");
        assert_eq!(percent(0.01), "<0.1 %");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(bytes_rate(410_000.0), "410 kB/s");
    }

    #[test]
    fn durations_use_their_largest_unit() {
        for (ms, text) in
            [(0, "0 ms"), (220, "220 ms"), (1800, "1.8 s"), (2000, "2 s"), (9960, "10 s"), (59_499, "59 s")]
        {
            assert_eq!(duration(Duration::from_millis(ms)), text);
        }
        assert_eq!(duration(Duration::from_secs(3599)), "59 m");
        assert_eq!(age(240_000), "4 m");
        assert_eq!(age(9 * 3_600_000), "9 h");
        assert_eq!(age(6 * 86_400_000), "6 d");
        assert_eq!(age(-2500), "-2 s");
        assert_eq!(age(-10), "0 s");
        assert_eq!(age(i64::MIN), "-106,751,991,167 d");
    }

    #[test]
    fn a_duration_is_read_with_its_unit_and_sign() {
        assert_eq!(parse_duration("15m"), Ok(900_000));
        assert_eq!(parse_duration("-15m"), Ok(-900_000));
        assert_eq!(parse_duration("1h30m"), Ok(5_400_000));
        assert_eq!(parse_duration("250ms"), Ok(250));
        for wrong in ["", "-", "m", "15", "15x", "1h30", "15 m", "99999999999999999d", "1.5h", "é"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert!(parse_duration("15").unwrap_err().contains("15s"));
    }

    #[test]
    fn what_is_unknown_is_a_dash() {
        assert_eq!(or_dash(None, count), DASH);
        assert_eq!(or_dash(Some(3), count), "3");
    }
}
