//! Event times as producers write them, recognised by their form and magnitude.
//!
//! A time without a zone is not taken: guessing one would make latencies wrong by hours.

use crate::text::Timestamp;

/// A number since the epoch, in the unit that its magnitude gives away: seconds up to the year 5138, then
/// milliseconds, microseconds, nanoseconds.
pub fn from_number(n: i64) -> Timestamp {
    Timestamp(match n.unsigned_abs() {
        0..100_000_000_000 => n.saturating_mul(1000),
        100_000_000_000..100_000_000_000_000 => n,
        100_000_000_000_000..100_000_000_000_000_000 => n / 1000,
        _ => n / 1_000_000,
    })
}

/// Seconds since the epoch with a fraction, as Jackson writes an `Instant`; larger numbers as in
/// [`from_number`].
pub fn from_float(n: f64) -> Option<Timestamp> {
    if !n.is_finite() || n.abs() > 9e18 {
        return None;
    }
    Some(if n.abs() < 1e11 { Timestamp((n * 1000.0).round() as i64) } else { from_number(n as i64) })
}

/// A text: RFC 3339, a number since the epoch, .NET's `/Date(…)/`, or NServiceBus' wire format
/// (`2026-11-24 13:02:11:034000 Z`, class `DateTimeOffsetHelper`).
pub fn from_text(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() > 64 {
        return None;
    }
    if let Ok(n) = text.parse::<i64>() {
        return Some(from_number(n));
    }
    if let Some(inner) = text.strip_prefix("/Date(").and_then(|t| t.strip_suffix(")/")) {
        // Milliseconds, perhaps followed by an offset that changes only how it is shown.
        let digits = inner.find(['+', '-']).filter(|i| *i > 0).map_or(inner, |i| &inner[..i]);
        return digits.parse().ok().map(Timestamp);
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp(at.as_millisecond()));
    }
    if let Some((whole, fraction)) = text.strip_suffix(" Z").and_then(|t| t.rsplit_once(':'))
        && fraction.len() == 6
    {
        return format!("{whole}.{fraction}Z")
            .parse::<jiff::Timestamp>()
            .ok()
            .map(|at| Timestamp(at.as_millisecond()));
    }
    text.parse::<f64>().ok().and_then(from_float)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp(1_795_525_331_034);

    #[test]
    fn a_number_shows_its_unit_by_its_size() {
        assert_eq!(from_number(1_795_525_331), Timestamp(1_795_525_331_000));
        assert_eq!(from_number(1_795_525_331_034), AT);
        assert_eq!(from_number(1_795_525_331_034_000), AT);
        assert_eq!(from_number(1_795_525_331_034_000_000), AT);
        assert_eq!(from_float(1_795_525_331.034), Some(AT));
        assert_eq!(from_float(f64::NAN), None);
    }

    #[test]
    fn every_known_form_of_text_is_read() {
        for text in [
            "2026-11-24T13:02:11.034Z",
            "2026-11-24T14:02:11.034+01:00",
            "2026-11-24T13:02:11.0340000Z",
            "1795525331034",
            "1795525331.034",
            "/Date(1795525331034)/",
            "/Date(1795525331034+0100)/",
            "2026-11-24 13:02:11:034000 Z",
        ] {
            assert_eq!(from_text(text), Some(AT), "{text}");
        }
    }

    #[test]
    fn a_time_without_a_zone_is_not_guessed() {
        for text in ["2026-11-24T13:02:11.034", "yesterday", "", "/Date()/", "/Date(-)/", "inf"] {
            assert_eq!(from_text(text), None, "{text}");
        }
    }
}
