//! Selectors: the options that say which records are meant, the same for every command.

use bytes::Bytes;
use clap::{Args, ValueEnum};
use jiff::civil;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::filter::{Edge, Selection};
use crate::text::{Fault, Timestamp, units};

/// `--isolation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum IsolationWord {
    /// Only records of committed transactions
    ReadCommitted,
    /// All records, aborted and open transactions too
    ReadUncommitted,
}

/// The selectors.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Selectors")]
pub struct Selectors {
    /// Partitions, for example 0,3-5 (default: all)
    #[arg(long, value_name = "LIST")]
    pub partition: Option<String>,
    /// Begin here: beginning, end, -N (the last N of each partition), offset:N, or @TIME, where TIME is
    /// RFC 3339 (local time without an offset), -15m, or today
    #[arg(long, value_name = "EDGE", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// End before this (as --from)
    #[arg(long, value_name = "EDGE", allow_hyphen_values = true)]
    pub to: Option<String>,
    /// Only records with exactly this key
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "key_base64")]
    pub key: Option<String>,
    /// The same, for a key that is no text
    #[arg(long, value_name = "BASE64")]
    pub key_base64: Option<String>,
    /// Read all partitions, although the key belongs to one
    #[arg(long)]
    pub all_partitions: bool,
    /// Only records whose key, value or a header contains these bytes, before decoding
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub contains: Option<String>,
    /// Only records for which this jq expression is true
    #[arg(long = "where", value_name = "JQ", allow_hyphen_values = true)]
    pub filter: Option<String>,
    /// Stop after so many records
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Which records of transactions are read (dead letters are always read committed)
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "read_committed")]
    pub isolation: IsolationWord,
}

impl Selectors {
    /// The selection, with times made absolute.
    pub fn selection(&self, now: Timestamp) -> Result<Selection, Fault> {
        let zone = TimeZone::system();
        let edge = |option: &str, text: &Option<String>| {
            text.as_deref()
                .map(|text| parse_edge(text, now, &zone).map_err(|why| wrong(option, text, why)))
                .transpose()
        };
        Ok(Selection {
            partitions: self.partition.as_deref().map(partitions).transpose()?.unwrap_or_default(),
            from: edge("--from", &self.from)?,
            to: edge("--to", &self.to)?,
            key: self.key()?,
            all_partitions: self.all_partitions,
            contains: self.contains.clone().map(Bytes::from),
            filter: self.filter.clone(),
            limit: self.limit,
            uncommitted: self.isolation == IsolationWord::ReadUncommitted,
        })
    }

    fn key(&self) -> Result<Option<Bytes>, Fault> {
        use base64::Engine as _;
        if let Some(text) = &self.key {
            return Ok(Some(Bytes::copy_from_slice(text.as_bytes())));
        }
        let Some(text) = &self.key_base64 else { return Ok(None) };
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(|e| wrong("--key-base64", text, format!("base64 was expected: {e}")))?;
        Ok(Some(Bytes::from(bytes)))
    }
}

/// A selection as the answer prints it: times resolved, in UTC.
#[derive(Debug, Serialize)]
pub(super) struct Selected {
    partitions: Vec<i32>,
    from: Option<String>,
    to: Option<String>,
    isolation: &'static str,
}

impl Selected {
    /// Of records.
    pub(super) fn of(selection: &Selection) -> Self {
        let isolation = if selection.uncommitted { "read_uncommitted" } else { "read_committed" };
        Self {
            partitions: selection.partitions.clone(),
            from: selection.from.as_ref().map(edge_text),
            to: selection.to.as_ref().map(edge_text),
            isolation,
        }
    }

    /// Of dead letters, which are always read committed.
    pub(super) fn of_letters(selection: &Selection) -> Self {
        Self { isolation: "read_committed", ..Self::of(selection) }
    }
}

/// An edge as it may be given again.
fn edge_text(edge: &Edge) -> String {
    match edge {
        Edge::Beginning => "beginning".to_owned(),
        Edge::End => "end".to_owned(),
        Edge::Last(n) => format!("-{n}"),
        Edge::Offset(offset) => format!("offset:{offset}"),
        Edge::Time(at) => format!("@{at}"),
    }
}

fn wrong(option: &str, text: &str, why: impl Into<String>) -> Fault {
    Fault::usage("usage", format!("wrong value {text:?} for {option}")).why(why)
}

/// Reads `0,3-5`.
fn partitions(text: &str) -> Result<Vec<i32>, Fault> {
    /// More would be a slip, and would only cost memory.
    const MOST: i32 = 100_000;
    let why = "partitions are written as 0,3-5";
    let number = |text: &str| {
        text.trim()
            .parse::<i32>()
            .ok()
            .filter(|n| (0..MOST).contains(n))
            .ok_or_else(|| wrong("--partition", text, why))
    };
    let mut list = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return Err(wrong("--partition", text, why));
                }
                list.extend(first..=last);
            }
            None => list.push(number(part)?),
        }
    }
    list.sort_unstable();
    list.dedup();
    Ok(list)
}

/// Reads an edge.
fn parse_edge(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Edge, String> {
    match text {
        "beginning" => return Ok(Edge::Beginning),
        "end" => return Ok(Edge::End),
        _ => {}
    }
    if let Some(time) = text.strip_prefix('@') {
        return parse_time(time, now, zone).map(Edge::Time);
    }
    if let Some(offset) = text.strip_prefix("offset:") {
        let offset = offset.parse().ok().filter(|offset| *offset >= 0);
        return offset
            .map(Edge::Offset)
            .ok_or_else(|| "a whole number was expected after offset:".to_owned());
    }
    if let Some(count) = text.strip_prefix('-').and_then(|count| count.parse().ok()) {
        return Ok(Edge::Last(count));
    }
    let near =
        if parse_time(text, now, zone).is_ok() { format!("; did you mean @{text}?") } else { String::new() };
    Err(format!("beginning, end, -N, offset:N or @TIME was expected{near}"))
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
        parse_edge(text, NOW, &TimeZone::fixed(jiff::tz::offset(2)))
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
        for wrong in ["", "offset:-1", "offset:x", "@", "@yesterday", "-", "12"] {
            assert!(edge(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_printed_of_an_edge_is_read_as_the_same_edge() {
        for text in ["beginning", "end", "-3", "offset:7", "@-2h", "@today"] {
            let first = edge(text).unwrap();
            assert_eq!(edge(&edge_text(&first)), Ok(first));
        }
    }

    #[test]
    fn partitions_are_numbers_and_ranges() {
        assert_eq!(partitions("0,3-5, 4").unwrap(), [0, 3, 4, 5]);
        for wrong in ["", "a", "5-3", "-1", "1,,2", "0-99999999"] {
            assert!(partitions(wrong).is_err(), "{wrong}");
        }
    }
}
