//! Formats of the table: which of them wrote a record's headers, and what these say.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;

use super::origin::{Hop, Hops};
use super::table::home::{self, HOME_GROWN};
use super::table::{Blocks, Codec, Field, Format, Latest, Payload, Repeats, Rule, TABLE, Wrapping};
use super::{Depth, Note, Reading, Source, codec, cut, mixed, payload, wrapped};
use crate::config::profile::DeadLetters;
use crate::event::{Headers, Record};

/// One header that a rule of the format reads.
struct Hit<'r> {
    /// Index of the rule.
    rule: usize,
    /// The header's place among all.
    at: usize,
    value: Option<&'r Bytes>,
}

/// What one format says of a record, and where its headers stand.
pub(super) struct Part<'r> {
    /// What it says.
    pub reading: Reading<'r>,
    /// The place of its first origin header.
    pub first: usize,
    /// The place of its last one.
    pub last: usize,
    /// Where it writes its headers.
    pub latest: Latest,
}

/// Reads a record by all formats of the table that recognise it.
pub(super) fn read<'r>(record: &'r Record, config: &DeadLetters, depth: Depth) -> Option<Reading<'r>> {
    let layout = Layout::of(&record.headers);
    let found = layout.formats.iter().map(|format| by_table(record, format, config, depth));
    let mut parts: Vec<Part<'_>> = found.collect();
    // Its key is the letter's, whoever wrote the headers.
    if !parts.is_empty()
        && let Some(reading) = payload::by_format(record, None, &payload::UFORWARDER)
    {
        parts.push(Part { reading, first: usize::MAX, last: usize::MAX, latest: Latest::Last });
    }
    mixed::join(parts, &record.at.topic)
}

/// Records with more headers have no layout that is kept.
const MOST_HEADERS: usize = 64;

thread_local! {
    /// The layout of the last record: that of the next one is mostly the same.
    static LAST: RefCell<Rc<Layout>> = RefCell::default();
}

/// What the names of a record's headers, in their order, mean to the table.
#[derive(Default)]
pub(super) struct Layout {
    names: Vec<Box<[u8]>>,
    /// The formats whose signs are there.
    pub formats: Vec<Known>,
}

/// A format, and for each header the rule that reads it.
pub(super) struct Known {
    /// Index in the table.
    index: usize,
    /// Indexes of the format's rules.
    pub rules: Vec<Option<usize>>,
}

impl Known {
    pub fn format(&self) -> &'static Format {
        &TABLE[self.index]
    }

    /// The format's name, shared.
    pub fn name(&self) -> Arc<str> {
        NAMES[self.index].clone()
    }
}

impl Layout {
    pub fn of(headers: &Headers) -> Rc<Self> {
        LAST.with_borrow_mut(|last| {
            let same = headers.len() == last.names.len()
                && headers.iter().zip(&last.names).all(|((name, _), known)| **name == **known);
            if same {
                return Rc::clone(last);
            }
            let mut found = recognise(headers);
            if found.is_empty() && home::recognises(headers) {
                found.push(TABLE.len() - 1);
            }
            let known = |index| {
                let rules = headers.iter().map(|(name, _)| rule_of(&TABLE[index], name)).collect();
                Known { index, rules }
            };
            let formats = found.into_iter().map(known).collect();
            let names = headers.iter().map(|(name, _)| Box::from(&**name)).collect();
            let layout = Rc::new(Self { names, formats });
            if headers.len() <= MOST_HEADERS {
                *last = Rc::clone(&layout);
            }
            layout
        })
    }
}

/// The names of the table's formats, shared.
static NAMES: LazyLock<Vec<Arc<str>>> = LazyLock::new(|| TABLE.iter().map(|f| f.name.into()).collect());

/// The formats that are recognised by exact names: all but the last.
fn exact() -> &'static [Format] {
    TABLE.split_last().map_or(&[], |(_, exact)| exact)
}

/// Each header that occurs in a sign, and its bit.
static SIGNS: LazyLock<HashMap<&'static [u8], u8>> = LazyLock::new(|| {
    let mut bits = HashMap::new();
    for name in exact().iter().flat_map(|f| f.signs.iter()).flat_map(|set| set.iter()) {
        let next = bits.len() as u8;
        bits.entry(name.as_bytes()).or_insert(next);
    }
    bits
});

/// For each format its signs as sets of bits.
static MASKS: LazyLock<Vec<Vec<u128>>> = LazyLock::new(|| {
    let bit = |name: &&str| SIGNS.get(name.as_bytes()).map_or(0, |b| 1_u128 << b);
    exact()
        .iter()
        .map(|f| f.signs.iter().map(|set| set.iter().map(bit).fold(0, |a, b| a | b)).collect())
        .collect()
});

/// The formats of the table whose signs are there.
pub(super) fn recognise(headers: &Headers) -> Vec<usize> {
    let seen =
        headers.iter().filter_map(|(name, _)| SIGNS.get(name.as_ref())).fold(0_u128, |s, b| s | (1 << b));
    if seen == 0 {
        return Vec::new();
    }
    let mut found: Vec<usize> =
        (0..MASKS.len()).filter(|i| MASKS[*i].iter().any(|mask| seen & mask == *mask)).collect();
    // bakdata's names begin like those of KIP-1034.
    if found.iter().any(|i| TABLE[*i].name == "bakdata")
        && headers.iter().all(|(name, _)| name.as_ref() != b"__streams.errors.exception")
    {
        found.retain(|i| TABLE[*i].name != "kafka-streams");
    }
    found
}

/// The rule that reads a header of this name.
fn rule_of(format: &'static Format, name: &[u8]) -> Option<usize> {
    if format.name == HOME_GROWN {
        let name = home::canonical(name)?;
        return format.rules.iter().position(|r| r.header == name);
    }
    format.rules.iter().position(|r| r.header.as_bytes() == name)
}

/// Reads the fields of a recognised format.
fn by_table<'r>(record: &'r Record, known: &Known, config: &DeadLetters, depth: Depth) -> Part<'r> {
    let format = known.format();
    let mut reading = Reading {
        format: Some(known.name()),
        depth,
        written_by: format.written_by,
        unknown: format.unknown,
        table: Some(format),
        ..Reading::default()
    };
    let hits: Vec<Hit<'_>> = record
        .headers
        .iter()
        .zip(&known.rules)
        .enumerate()
        .filter_map(|(at, ((_, value), rule))| Some(Hit { rule: (*rule)?, at, value }))
        .collect();
    let chosen = choose(&hits, format.rules);
    let newest = newest_block(&hits, format);
    let in_text = numbers_in_text(&hits, format.rules);
    if in_text {
        reading.fact(format!(
            "the numbers are in text, and {} writes them in bytes: other code has these headers too",
            format.written_by
        ));
    }
    let rule_at = |at: usize| {
        let mut rule = *format.rules.get(at)?;
        if in_text && is_binary(rule.codec) {
            rule.codec = Codec::Dec;
        }
        Some(rule)
    };
    let mut hops = Hops::default();
    let mut single: [Option<(usize, Option<&Bytes>)>; MOST_RULES] = [None; MOST_RULES];
    let (mut first, mut last) = (usize::MAX, 0);
    for (nth, hit) in hits.iter().enumerate() {
        let Some(rule) = rule_at(hit.rule).filter(|_| chosen & (1 << hit.rule) != 0) else { continue };
        let is_origin = Hops::takes(rule.field);
        if is_origin {
            (first, last) = (first.min(hit.at), last.max(hit.at));
        }
        let Some(value) = hit.value.filter(|_| is_origin) else {
            if is_origin {
                reading.note(Note::Header(rule.header, "is null"));
                hops.miss(rule.field);
            } else if (depth != Depth::Places || rule.field == Field::OriginalKey)
                && newest.contains(nth, rule.field)
                && let Some(kept) = single.get_mut(hit.rule)
                && (kept.is_none() || format.latest == Latest::Last || rule.field == Field::Attempts)
            {
                *kept = Some((hit.rule, hit.value));
            }
            continue;
        };
        if let Err(why) = hops.take(&rule, cut(value)) {
            reading.note(Note::Header(rule.header, why));
        }
    }
    for (rule, value) in single.into_iter().flatten() {
        let Some(rule) = rule_at(rule) else { continue };
        match value {
            None => reading.note(Note::Header(rule.header, "is null")),
            Some(value) => match take(&mut reading, &rule, value) {
                Ok(()) => {
                    if let Some(name) = name_of(rule.field) {
                        reading.given(name, Source::Header(rule.header));
                    }
                }
                Err(why) => reading.note(Note::Header(rule.header, why)),
            },
        }
    }
    let rules: Vec<&Rule> = (0..format.rules.len())
        .filter(|i| chosen & (1 << i) != 0)
        .filter_map(|i| format.rules.get(i))
        .collect();
    origins(&mut reading, hops, record, format, &rules);
    match format.wrapping {
        _ if depth == Depth::Places => {}
        Wrapping::None => {}
        Wrapping::Spring => wrapped::spring(&mut reading),
        Wrapping::Panic => wrapped::panic(&mut reading),
    }
    carried(&mut reading, record, format, config);
    Part { reading, first, last, latest: format.latest }
}

/// Whether the codec is one of integers in a fixed number of bytes.
pub(super) fn is_binary(codec: Codec) -> bool {
    matches!(codec, Codec::I32be | Codec::I64be)
}

/// Whether all numbers that a format writes in bytes are digits: names of Spring's are liked by code that writes text. In
/// bytes these would be numbers that no partition, offset or time has.
fn numbers_in_text(hits: &[Hit<'_>], rules: &[Rule]) -> bool {
    let mut numbers = hits
        .iter()
        .filter(|hit| rules.get(hit.rule).is_some_and(|rule| is_binary(rule.codec)))
        .filter_map(|hit| hit.value)
        .peekable();
    numbers.peek().is_some() && numbers.all(|value| is_in_text(value))
}

/// Whether a number that should be in bytes is in digits.
pub(super) fn is_in_text(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(u8::is_ascii_digit)
}

/// Rules that a format can have.
pub(super) const MOST_RULES: usize = 40;

/// One rule for each field: the first of the table whose header is there with a value, else with null.
fn choose(hits: &[Hit<'_>], rules: &[Rule]) -> u64 {
    let with = |value: bool| {
        hits.iter().filter(|h| h.value.is_some() == value).fold(0_u64, |set, h| set | (1 << h.rule))
    };
    let (valued, null) = (with(true), with(false));
    let mut chosen = 0_u64;
    for candidates in [valued, null] {
        for (at, rule) in rules.iter().enumerate().filter(|(at, _)| candidates & (1 << at) != 0) {
            let taken =
                rules.iter().enumerate().any(|(i, r)| chosen & (1 << i) != 0 && r.field == rule.field);
            if !taken {
                chosen |= 1 << at;
            }
        }
    }
    chosen
}

/// Which hits belong to the latest failure, where a format writes all its headers each time.
struct Newest {
    from: usize,
    to: usize,
}

impl Newest {
    fn contains(&self, nth: usize, field: Field) -> bool {
        // What counts over all failures stands beside the oldest of them, each new count behind the one before.
        matches!(field, Field::Attempts | Field::OriginalKey | Field::Also("first_processed_ms"))
            || (self.from..self.to).contains(&nth)
    }
}

/// A block ends where one of its headers occurs again.
fn newest_block(hits: &[Hit<'_>], format: &Format) -> Newest {
    let all = Newest { from: 0, to: hits.len() };
    if format.blocks == Blocks::Mixed {
        return all;
    }
    let mut seen = 0_u64;
    let mut from = 0;
    for (nth, hit) in hits.iter().enumerate() {
        let bit = 1 << hit.rule;
        if seen & bit != 0 {
            if format.latest == Latest::First {
                return Newest { from: 0, to: nth };
            }
            (from, seen) = (nth, 0);
        }
        seen |= bit;
    }
    Newest { from, ..all }
}

fn take<'r>(reading: &mut Reading<'r>, rule: &Rule, value: &'r Bytes) -> Result<(), &'static str> {
    let bytes = cut(value);
    if bytes.len() < value.len() {
        reading.note(Note::Header(rule.header, "is longer than is looked at"));
    }
    match rule.field {
        Field::Attempts => {
            let made = codec::number(rule.codec, bytes)?.saturating_add(rule.shift);
            reading.attempts = Some(u32::try_from(made).map_err(|_| "is not a number of attempts")?);
        }
        Field::FailedAt => reading.failed_at = Some(codec::time(rule.codec, bytes)?),
        Field::OriginalKey => {
            if value.is_empty() {
                reading.fact("the original key was null or empty: its header cannot tell the two apart");
            }
            reading.original_key = Some(Some(value.clone()).filter(|v| !v.is_empty()));
        }
        field => {
            let text = codec::text(rule.codec, bytes)?;
            if matches!(field, Field::ErrorClass | Field::CauseClass | Field::StackTrace) && text.is_empty() {
                return Err("is empty");
            }
            reading.set_text(field, text);
        }
    }
    Ok(())
}

/// The name of a field beside the origin's, as documents have it.
pub(super) fn name_of(field: Field) -> Option<&'static str> {
    Some(match field {
        Field::ErrorClass => "error_class",
        Field::CauseClass => "cause_class",
        Field::Message => "message",
        Field::StackTrace => "stack_trace",
        Field::Attempts => "attempts",
        Field::FailedAt => "failed_at",
        Field::OriginalKey => "original_key",
        _ => return None,
    })
}

/// Sets root, previous hop and the number of hops.
fn origins<'r>(
    reading: &mut Reading<'r>,
    hops: Hops<'r>,
    record: &'r Record,
    format: &'static Format,
    rules: &[&'static Rule],
) {
    let (count, source) = (hops.count, hops.root_topic.clone());
    let (mut root, mut latest) = hops.ends(format.latest);
    let mut by_name = false;
    if format.group_in_name {
        for hop in [&mut root, &mut latest] {
            hop.group =
                hop.topic.as_deref().and_then(|t| group_in_name(&record.at.topic, t)).map(Cow::Borrowed);
        }
        by_name = latest.group.is_some();
        if by_name {
            reading.fact("the consumer group is taken from the dead-letter topic's name");
        }
    }
    if format.keeps_timestamp {
        latest.timestamp = record.timestamp();
        if count <= 1 {
            root.timestamp = latest.timestamp;
        }
    }
    if count > 1 && !(root.is_whole() && latest.is_whole()) {
        reading.fact("the headers of several hops do not fit together: an origin is not whole");
    }
    reading.hops = match format.repeats {
        Repeats::DeadLetterings if count > 0 => Some(count),
        Repeats::Failures => root.topic.as_deref().map(|topic| times(topic, record, rules)),
        _ => None,
    };
    reading.retried = match format.repeats {
        Repeats::Retries => true,
        Repeats::Failures => latest.topic != root.topic,
        _ => false,
    };
    if let Some(topic) = source.filter(|t| latest.topic.as_ref() != Some(t)) {
        // The origin headers are those of the retry topic where it failed last.
        reading.retried = true;
        reading.previous = Some(latest).filter(|hop| *hop != Hop::default());
        reading.root.topic = Some(topic);
    } else {
        reading.previous = (count > 1 && root != latest).then_some(latest);
        reading.root = root;
    }
    if reading.depth != Depth::Whole {
        return;
    }
    let header = |field: Field| {
        let of = |wanted: Field| rules.iter().find(|r| r.field == wanted).map(|r| Source::Header(r.header));
        match field {
            Field::OriginTimestamp if format.keeps_timestamp => Some(Source::Timestamp),
            Field::Group if by_name => Some(Source::TopicName),
            Field::OriginTopic if reading.retried && reading.root.partition.is_none() => {
                of(Field::RootTopic).or_else(|| of(Field::OriginTopic))
            }
            field => of(field),
        }
    };
    let mut given: Vec<(&'static str, Source)> = Vec::with_capacity(8);
    let root = [
        ("root.topic", Field::OriginTopic, reading.root.topic.is_some()),
        ("root.partition", Field::OriginPartition, reading.root.partition.is_some()),
        ("root.offset", Field::OriginOffset, reading.root.offset.is_some()),
        ("root.timestamp", Field::OriginTimestamp, reading.root.timestamp.is_some()),
        ("root.group", Field::Group, reading.root.group.is_some()),
    ];
    for (name, field, _) in root.into_iter().filter(|(_, _, is_there)| *is_there) {
        given.extend(header(field).map(|by| (name, by)));
    }
    if reading.hops.is_some() {
        given.push(("hops", Source::Repeats));
    }
    reading.given.append(&mut given);
}

/// How often origin headers name this topic.
fn times(topic: &str, record: &Record, rules: &[&'static Rule]) -> u32 {
    let header = rules.iter().find(|r| r.field == Field::OriginTopic).map_or("", |r| r.header);
    let named = record.headers.all(header).flatten().filter(|value| value.as_ref() == topic.as_bytes());
    u32::try_from(named.count()).unwrap_or(u32::MAX)
}

/// What became of key and value.
fn carried(reading: &mut Reading<'_>, record: &Record, format: &Format, config: &DeadLetters) {
    match format.payload {
        Payload::Copied => {}
        Payload::PointerIfNull => {
            if record.key.is_none() && record.value.is_none() {
                reading.pointer = true;
                reading.fact(
                    "key and value were not copied (errors.deadletterqueue.copy.record.enable is off), or the \
                     record was a tombstone without a key: the two cannot be told apart",
                );
            }
            name_topic(reading, config);
        }
        Payload::WithoutKey => {
            if record.key.is_none() {
                reading.fact("Watermill drops the key: the true one is the origin record's");
            }
        }
        Payload::Rewritten(how) => reading.fact(how),
    }
    let is_key = || {
        let headers = &record.headers;
        headers.last("deserialization-failure-key").is_some_and(|v| v.as_ref() == b"true")
            && headers.last("deserialization-failure-value-data").is_none()
    };
    if format.name.starts_with("smallrye") && is_key() {
        reading.pointer = true;
        reading.fact(
            "the key could not be read: the letter's value is the key's bytes, the value is the origin's",
        );
    }
}

/// Puts the topic's name in the place of its id, where the cluster told it.
fn name_topic(reading: &mut Reading<'_>, config: &DeadLetters) {
    let Some(id) = reading.root.topic.as_deref().filter(|topic| is_topic_id(topic)) else { return };
    if let Some(name) = config.topic_names.of(id) {
        reading.fact(format!("the letter names its topic by the id {id}: the cluster calls it {name}"));
        reading.root.topic = Some(Cow::Owned(name.as_ref().to_owned()));
    } else {
        reading.fact(
            "the origin's topic looks like a topic id: the broker writes it where it could not find the name, and no \
             topic has that id now",
        );
    }
}

/// Whether a name has the form of a topic id: sixteen bytes in URL-safe base64, of mixed case or with digits.
fn is_topic_id(name: &str) -> bool {
    let safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    name.len() == 22
        && name.bytes().all(safe)
        && name.bytes().any(|b| b.is_ascii_uppercase())
        && name.bytes().any(|b| b.is_ascii_lowercase())
}

/// The group in `error.<topic>.<group>`.
pub(super) fn group_in_name<'r>(dead_letter_topic: &'r str, origin: &str) -> Option<&'r str> {
    dead_letter_topic
        .strip_prefix("error.")?
        .strip_prefix(origin)?
        .strip_prefix('.')
        .filter(|group| !group.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signs_and_rules_of_the_table_fit_their_sets() {
        assert!(SIGNS.len() <= 128);
        assert!(TABLE.iter().all(|format| format.rules.len() <= MOST_RULES));
        assert_eq!(TABLE.last().map(|f| f.name), Some(HOME_GROWN));
    }

    #[test]
    fn a_topic_id_is_told_from_a_name() {
        assert!(is_topic_id("b8tRS7h4TJ2Vt43Dp85v2A"));
        assert!(!is_topic_id("orders") && !is_topic_id("orders-of-the-whole-us"));
    }
}
