//! The edges of a range: what they mean, and how an operator writes them.

use std::fmt;

use jiff::civil;
use jiff::tz::TimeZone;

use crate::text::{Timestamp, units};

/// An edge of a range, before it is resolved to offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The start of the log.
    Beginning,
    /// The end of the log as it was when the command began.
    End,
    /// The last n records of each partition.
    Last(u64),
    /// An offset, the same in each partition selected.
    Offset(i64),
    /// The first record at or after this time.
    Time(Timestamp),
}

impl Edge {
    /// Reads `beginning`, `end`, `-N`, `offset:N` or `@TIME`; the error says what is wrong and what is right.
    pub fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Self, String> {
        match text {
            "beginning" => return Ok(Self::Beginning),
            "end" => return Ok(Self::End),
            _ => {}
        }
        if let Some(time) = text.strip_prefix('@') {
            return parse_time(time, now, zone).map(Self::Time);
        }
        if let Some(offset) = text.strip_prefix("offset:") {
            let offset = offset.parse().ok().filter(|offset| *offset >= 0);
            return offset
                .map(Self::Offset)
                .ok_or_else(|| "a whole number was expected after offset:".to_owned());
        }
        if let Some(count) = text.strip_prefix('-').and_then(|count| count.parse().ok()) {
            return Ok(Self::Last(count));
        }
        let near = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            format!("; did you mean offset:{text}, or -{text} for the last {text} of each partition?")
        } else if parse_time(text, now, zone).is_ok() {
            format!("; did you mean @{text}?")
        } else {
            String::new()
        };
        Err(format!("beginning, end, -N, offset:N or @TIME was expected{near}"))
    }
}

impl fmt::Display for Edge {
    /// As it may be given again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning => f.write_str("beginning"),
            Self::End => f.write_str("end"),
            Self::Last(n) => write!(f, "-{n}"),
            Self::Offset(offset) => write!(f, "offset:{offset}"),
            Self::Time(at) => write!(f, "@{at}"),
        }
    }
}

/// Reads RFC 3339, `-15m`, or `today`; without an offset in the zone of this machine.
fn parse_time(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let local = |date_time: civil::DateTime| {
        date_time
            .to_zoned_datetime(zone.clone())
            .map(|zoned| Timestamp(zoned.timestamp().as_millisecond()))
            .map_err(|e| e.to_string())
    };
    if text == "today" {
        let today = jiff::Timestamp::from_millisecond(now.0).map_err(|e| e.to_string())?;
        return local(today.to_zoned_datetime(zone.clone()).date().at(0, 0, 0, 0));
    }
    if text.starts_with('-') {
        return units::parse_duration(text).map(|millis| now.plus_millis(millis));
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(at.as_millisecond()));
    }
    if let Ok(date_time) = text.parse::<civil::DateTime>() {
        return local(date_time);
    }
    Err("a time is RFC 3339 (2026-11-24T14:00:00Z, or local without an offset), -15m, or today".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_525_331_034); // 2026-11-24T13:02:11.034Z

    fn edge(text: &str) -> Result<Edge, String> {
        Edge::parse(text, NOW, &TimeZone::fixed(jiff::tz::offset(2)))
    }

    fn at(text: &str) -> String {
        match edge(text) {
            Ok(Edge::Time(at)) => at.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn every_form_of_an_edge_is_read() {
        assert_eq!(edge("beginning"), Ok(Edge::Beginning));
        assert_eq!(edge("end"), Ok(Edge::End));
        assert_eq!(edge("-10"), Ok(Edge::Last(10)));
        assert_eq!(edge("offset:42"), Ok(Edge::Offset(42)));
        assert_eq!(at("@2026-11-24T12:00:00Z"), "2026-11-24T12:00:00.000Z");
        assert_eq!(at("@2026-11-24T12:00:00+05:30"), "2026-11-24T06:30:00.000Z");
        assert_eq!(at("@-15m"), "2026-11-24T12:47:11.034Z");
    }

    #[test]
    fn a_time_without_an_offset_is_local() {
        assert_eq!(at("@2026-11-24T14:00"), "2026-11-24T12:00:00.000Z");
        assert_eq!(at("@2026-11-24"), "2026-11-23T22:00:00.000Z");
        assert_eq!(at("@today"), "2026-11-23T22:00:00.000Z");
    }

    #[test]
    fn a_time_without_its_sign_is_refused_with_the_right_form() {
        assert!(edge("-15m").unwrap_err().ends_with("did you mean @-15m?"));
        assert!(edge("today").unwrap_err().ends_with("did you mean @today?"));
        assert!(edge("12").unwrap_err().contains("did you mean offset:12, or -12 "));
        for wrong in ["", "offset:-1", "offset:x", "@", "@yesterday", "-", "12"] {
            assert!(edge(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_printed_of_an_edge_is_read_as_the_same_edge() {
        for text in ["beginning", "end", "-3", "offset:7", "@-2h", "@today"] {
            let first = edge(text).unwrap();
            assert_eq!(edge(&first.to_string()), Ok(first));
        }
    }
}
