//! What is typed to select records or letters, and the options of the command line that select the same.

use std::fmt::Write as _;

use bytes::Bytes;
use jiff::tz::TimeZone;

use super::plan::quoted;
use crate::filter::{Edge, Selection};
use crate::text::{Safe, Timestamp};

/// So many records of each partition are read at first.
pub(super) const LATEST: u64 = 100;

/// Reads a query: `key=`, `from=`, `to=`, `partition=`, `contains=`, `limit=`, and a jq condition as the rest. Without
/// `from=` it begins at `from`.
pub(super) fn parse_query(text: &str, from: Option<Edge>, now: Timestamp) -> Result<Selection, String> {
    let zone = TimeZone::system();
    let mut selection = Selection { from, ..Selection::default() };
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
        let Some((name, value)) = word.split_once('=') else { break };
        let edge = |value: &str| Edge::parse(value, now, &zone).map(Some);
        match name {
            "key" => selection.key = Some(Bytes::copy_from_slice(value.as_bytes())),
            "from" => selection.from = edge(value)?,
            "to" => selection.to = edge(value)?,
            "contains" => selection.contains = Some(Bytes::copy_from_slice(value.as_bytes())),
            "limit" => selection.limit = Some(value.parse().map_err(|_| "limit= wants a number".to_owned())?),
            "partition" => {
                let numbers: Result<Vec<i32>, _> = value.split(',').map(str::parse).collect();
                selection.partitions = numbers.map_err(|_| "partition= wants numbers: 0,3".to_owned())?;
            }
            _ => break,
        }
        rest = behind.trim_start();
    }
    selection.filter = (!rest.is_empty()).then(|| rest.to_owned());
    Ok(selection)
}

/// A selection as a query.
pub(super) fn query_text(selection: &Selection) -> String {
    let text = |bytes: &Bytes| Safe::from_bytes(bytes).to_string();
    let mut parts = Vec::new();
    parts.extend(selection.key.as_ref().map(|key| format!("key={}", text(key))));
    parts.extend(selection.from.as_ref().map(|edge| format!("from={edge}")));
    parts.extend(selection.to.as_ref().map(|edge| format!("to={edge}")));
    if !selection.partitions.is_empty() {
        let numbers: Vec<_> = selection.partitions.iter().map(ToString::to_string).collect();
        parts.push(format!("partition={}", numbers.join(",")));
    }
    parts.extend(selection.contains.as_ref().map(|bytes| format!("contains={}", text(bytes))));
    parts.extend(selection.limit.map(|limit| format!("limit={limit}")));
    parts.extend(selection.filter.clone());
    parts.join(" ")
}

/// Adds the options that select the same.
pub(super) fn add_selection(selection: &Selection, out: &mut String) {
    let mut add = |text: &str| {
        out.push(' ');
        out.push_str(&quoted(text));
    };
    for (name, edge) in [("--from", &selection.from), ("--to", &selection.to)] {
        if let Some(edge) = edge {
            add(&format!("{name}={edge}"));
        }
    }
    for (name, bytes) in [("--key", &selection.key), ("--contains", &selection.contains)] {
        if let Some(bytes) = bytes {
            add(&format!("{name}={}", Safe::from_bytes(bytes)));
        }
    }
    if !selection.partitions.is_empty() {
        let numbers: Vec<String> = selection.partitions.iter().map(ToString::to_string).collect();
        add(&format!("--partition={}", numbers.join(",")));
    }
    if let Some(filter) = &selection.filter {
        add(&format!("--where={filter}"));
    }
    if let Some(limit) = selection.limit {
        let _ = write!(out, " --limit {limit}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_and_written_the_same() {
        let now = Timestamp(1_795_525_331_034);
        let text = "key=ord-1 from=-5 to=end partition=0,3 contains=EUR limit=9 .value.total > 3 and true";
        let selection = parse_query(text, None, now).unwrap();
        assert_eq!(selection.key.as_deref(), Some(&b"ord-1"[..]));
        assert_eq!(selection.filter.as_deref(), Some(".value.total > 3 and true"));
        assert_eq!(query_text(&selection), text);
        let latest = Some(Edge::Last(LATEST));
        assert_eq!(parse_query("", latest.clone(), now).unwrap().from, latest);
        assert_eq!(parse_query("to=end .a == \"from=-1\"", None, now).unwrap().from, None);
        assert_eq!(parse_query(".a == 1", None, now).unwrap().filter.as_deref(), Some(".a == 1"));
        for wrong in ["from=now", "partition=a", "limit=x"] {
            assert!(parse_query(wrong, None, now).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_command_line_selects_what_the_query_does() {
        let selection =
            parse_query("key=ord-1 from=-100 limit=9 .value.total > 3", None, Timestamp(0)).unwrap();
        let mut line = "dlq letters orders-dlt".to_owned();
        add_selection(&selection, &mut line);
        assert_eq!(
            line,
            "dlq letters orders-dlt --from=-100 --key=ord-1 '--where=.value.total > 3' --limit 9"
        );
    }
}
