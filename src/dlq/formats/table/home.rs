//! Names that home-grown code likes, compared without the prefixes and signs in which they differ.

use crate::event::Headers;

use super::{BASE, Codec, Field, Format, attempts, rule};

/// The last of the table: it counts only where no other format wrote its headers. The names here are
/// canonical ones; numbers are text or big-endian, nobody knows.
pub(super) const GROWN: Format = Format {
    name: HOME_GROWN,
    written_by: "home-made code, with names that many like",
    signs: &[
        &["original-topic"],
        &["source-topic", "error-message"],
        &["source-topic", "exception-message"],
        &["source-topic", "error-class"],
        &["failed-topic", "error-message"],
    ],
    rules: &[
        rule(Field::OriginTopic, "original-topic", Codec::Utf8),
        rule(Field::OriginTopic, "source-topic", Codec::Utf8),
        rule(Field::OriginTopic, "failed-topic", Codec::Utf8),
        rule(Field::OriginPartition, "original-partition", Codec::Guess),
        rule(Field::OriginPartition, "source-partition", Codec::Guess),
        rule(Field::OriginPartition, "failed-partition", Codec::Guess),
        rule(Field::OriginOffset, "original-offset", Codec::Guess),
        rule(Field::OriginOffset, "source-offset", Codec::Guess),
        rule(Field::OriginOffset, "failed-offset", Codec::Guess),
        rule(Field::OriginTimestamp, "original-timestamp", Codec::Guess),
        rule(Field::OriginTimestamp, "source-timestamp", Codec::Guess),
        rule(Field::Group, "original-consumer-group", Codec::Utf8),
        rule(Field::Group, "consumer-group", Codec::Utf8),
        rule(Field::ErrorClass, "error-class", Codec::Utf8),
        rule(Field::ErrorClass, "error-type", Codec::Utf8),
        rule(Field::ErrorClass, "exception-class", Codec::Utf8),
        rule(Field::ErrorClass, "exception-type", Codec::Utf8),
        rule(Field::ErrorClass, "exception-fqcn", Codec::Utf8),
        rule(Field::Message, "error-message", Codec::Utf8),
        rule(Field::Message, "exception-message", Codec::Utf8),
        rule(Field::Message, "error-reason", Codec::Utf8),
        rule(Field::Message, "failure-reason", Codec::Utf8),
        rule(Field::Message, "reason", Codec::Utf8),
        rule(Field::Message, "error", Codec::Utf8),
        rule(Field::StackTrace, "exception-stacktrace", Codec::Utf8),
        rule(Field::StackTrace, "error-stacktrace", Codec::Utf8),
        rule(Field::StackTrace, "stacktrace", Codec::Utf8),
        rule(Field::FailedAt, "failed-at", Codec::Guess),
        rule(Field::FailedAt, "error-timestamp", Codec::Guess),
        attempts("attempts", Codec::Guess, 0),
        attempts("attempt-count", Codec::Guess, 0),
        attempts("delivery-count", Codec::Guess, 0),
        rule(Field::Also("retries"), "retry-count", Codec::Utf8),
    ],
    unknown: &[(Field::Group, "no header names the consumer group")],
    ..BASE
};

/// The name of the format.
pub const HOME_GROWN: &str = "home-grown";

/// The longest name that is compared.
const LONGEST: usize = 64;
/// What such code puts before a name, canonical.
const PREFIXES: &[&str] = &["x-", "dlq-", "dlt-", "kafka-", "krafka-", "dead-letter-", "deadletter-"];
/// Words for the same, canonical.
const ALIKE: &[(&str, &str)] = &[
    ("origin-", "original-"),
    ("orig-", "original-"),
    ("original-group", "original-consumer-group"),
    ("stack-trace", "stacktrace"),
    ("exception-stack-trace", "exception-stacktrace"),
    ("error-stack-trace", "error-stacktrace"),
];

/// A header's name without case, prefixes, and the sign between its words; `None` for one that is too long or
/// no ASCII text.
pub fn canonical(name: &[u8]) -> Option<String> {
    if name.len() > LONGEST || !name.is_ascii() {
        return None;
    }
    let name: String = name
        .iter()
        .map(|b| match b {
            b'_' | b'.' | b' ' | b':' => '-',
            other => char::from(other.to_ascii_lowercase()),
        })
        .collect();
    let mut rest = name.trim_start_matches('-');
    while let Some(shorter) = PREFIXES.iter().find_map(|p| rest.strip_prefix(p)).filter(|r| !r.is_empty()) {
        rest = shorter;
    }
    for (from, to) in ALIKE {
        if let Some(after) = rest.strip_prefix(from)
            && (from.ends_with('-') || after.is_empty())
        {
            return Some(format!("{to}{after}"));
        }
    }
    Some(rest.to_owned())
}

/// Whether headers tell of a dead letter by such names.
pub(crate) fn recognises(headers: &Headers) -> bool {
    let mut seen = Vec::new();
    for (name, _) in headers.iter() {
        let Some(name) = canonical(name) else { continue };
        if let Some(known) = GROWN.signs.iter().flat_map(|s| s.iter()).find(|known| **known == name)
            && !seen.contains(known)
        {
            seen.push(known);
        }
    }
    GROWN.signs.iter().any(|sign| sign.iter().all(|name| seen.contains(name)))
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn names_are_compared_without_case_prefix_and_signs() {
        for name in [
            "x-original-topic",
            "X-Original-Topic",
            "original_topic",
            "dlq.original.topic",
            "__krafka.dlq.original.topic",
            "x-dlq-orig-topic",
            "DLQ_ORIGIN_TOPIC",
        ] {
            assert_eq!(canonical(name.as_bytes()).as_deref(), Some("original-topic"), "{name}");
        }
        assert_eq!(canonical(b"error.stack_trace").as_deref(), Some("error-stacktrace"));
        assert_eq!(canonical("caf\u{e9}".as_bytes()), None);
        assert_eq!(canonical(&[b'x'; 65]), None);
    }
}
