//! Decoding a dead letter: which format wrote it, and what its headers say.
//!
//! [`read`] borrows from the record, so that a topic of a million letters is grouped without copying their
//! stack traces; [`decode`] makes the owned [`Letter`] that is shown. Wrong, truncated or contradictory
//! headers never fail a letter: the value is left out and a note says why.

pub mod codec;
pub mod own;
pub mod table;

mod origin;
mod strip;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;

pub use strip::{StripRules, strip_rules};

use crate::config::profile::DeadLetters;
use crate::dlq::failure::Fingerprint;
use crate::dlq::letter::{Letter, Origin};
use crate::dlq::trace::Trace;
use crate::event::{Headers, Record};
use crate::text::Timestamp;
pub use origin::Hop;
use origin::Hops;
use table::{Field, Format, Latest, Payload, Repeats, Rule, TABLE, Wrapping};

/// Bytes of one header value that are looked at; a longer one is cut for reading (never for redriving).
pub const VALUE_LIMIT: usize = 1 << 20;
/// Notes kept for one letter.
const NOTES: usize = 24;

/// What could not be read, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note<'r> {
    /// A fact about the format or the letter.
    Fact(Cow<'static, str>),
    /// A header's value is not what the format says.
    Header(&'r str, &'static str),
}

impl fmt::Display for Note<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fact(fact) => f.write_str(fact),
            Self::Header(name, why) => write!(f, "{name} {why}"),
        }
    }
}

/// What a record says of itself as a dead letter, borrowed from it.
#[derive(Debug, Default)]
pub struct Reading<'r> {
    /// The format's name; `None` where none was recognised.
    pub format: Option<Arc<str>>,
    /// The first place where the record failed.
    pub root: Hop<'r>,
    /// The latest hop, where it is another than `root`.
    pub previous: Option<Hop<'r>>,
    /// How often it was dead-lettered.
    pub hops: Option<u32>,
    /// Outermost exception class.
    pub error_class: Option<Cow<'r, str>>,
    /// A class below it, not the end of the chain.
    pub cause_class: Option<Cow<'r, str>>,
    /// Message of the error that was thrown, without what the framework put around it.
    pub message: Option<Cow<'r, str>>,
    /// Stack trace.
    pub stack_trace: Option<Cow<'r, str>>,
    /// Delivery attempts made.
    pub attempts: Option<u32>,
    /// When it was given up.
    pub failed_at: Option<Timestamp>,
    /// The original value, where it is wrapped.
    pub original_value: Option<Option<Bytes>>,
    /// Whether it only points to its record.
    pub pointer: bool,
    /// What else the format says, by name.
    pub also: Vec<(&'static str, Cow<'r, str>)>,
    /// What could not be read.
    pub notes: Vec<Note<'r>>,
}

impl<'r> Reading<'r> {
    /// The place where it failed last.
    pub fn latest(&self) -> &Hop<'r> {
        self.previous.as_ref().unwrap_or(&self.root)
    }

    fn note(&mut self, note: Note<'r>) {
        if self.notes.len() < NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn fact(&mut self, fact: impl Into<Cow<'static, str>>) {
        self.note(Note::Fact(fact.into()));
    }

    fn has(&self, field: Field) -> bool {
        match field {
            Field::OriginTopic => self.latest().topic.is_some(),
            Field::OriginPartition => self.latest().partition.is_some(),
            Field::OriginOffset => self.latest().offset.is_some(),
            Field::OriginTimestamp => self.latest().timestamp.is_some(),
            Field::Group => self.latest().group.is_some(),
            Field::ErrorClass => self.error_class.is_some(),
            Field::CauseClass => self.cause_class.is_some(),
            Field::Message => self.message.is_some(),
            Field::StackTrace => self.stack_trace.is_some(),
            Field::Attempts => self.attempts.is_some(),
            Field::FailedAt => self.failed_at.is_some(),
            Field::Also(name) => self.also.iter().any(|(n, _)| *n == name),
        }
    }

    fn set_text(&mut self, field: Field, value: Cow<'r, str>) {
        match field {
            Field::ErrorClass => self.error_class = Some(value),
            Field::CauseClass => self.cause_class = Some(value),
            Field::Message => self.message = Some(value),
            Field::StackTrace => self.stack_trace = Some(value),
            Field::Also(name) => self.also.push((name, value)),
            Field::OriginTopic
            | Field::OriginPartition
            | Field::OriginOffset
            | Field::OriginTimestamp
            | Field::Group
            | Field::Attempts
            | Field::FailedAt => {}
        }
    }

    /// The stack trace, parsed.
    pub fn trace(&self, config: &DeadLetters) -> Trace<'_> {
        let parse = |text| Trace::parse(text, &config.library_frames);
        self.stack_trace.as_deref().map(parse).unwrap_or_default()
    }
}

/// Decodes a record as a dead letter.
pub fn decode(record: &Record, config: &DeadLetters) -> Letter {
    let reading = read(record, config);
    let trace = reading.trace(config);
    let failure = Fingerprint::of(&reading, &trace).failure();
    let root_cause_class = trace.root_class.map(str::to_owned);
    let mut notes: Vec<String> = reading.notes.iter().map(Note::to_string).collect();
    if root_cause_class.is_none() && reading.error_class.is_some() {
        notes.push("without a stack trace the end of the chain of causes is not known".to_owned());
    }
    let mut also: Vec<(&'static str, String)> =
        reading.also.iter().map(|(n, v)| (*n, v.clone().into_owned())).collect();
    if let Some(class) = &reading.cause_class {
        also.push(("cause_class", class.clone().into_owned()));
    }
    Letter {
        record: record.clone(),
        format: reading.format.clone(),
        root: Origin::from(&reading.root),
        previous: reading.previous.as_ref().map(Origin::from),
        hops: reading.hops,
        error_class: reading.error_class.map(Cow::into_owned),
        root_cause_class,
        message: reading.message.map(Cow::into_owned),
        stack_trace: reading.stack_trace.map(Cow::into_owned),
        attempts: reading.attempts,
        failed_at: reading.failed_at,
        original_key: None,
        original_value: reading.original_value,
        pointer: reading.pointer,
        also,
        notes,
        failure,
    }
}

/// Reads what a record says of itself as a dead letter.
pub fn read<'r>(record: &'r Record, config: &DeadLetters) -> Reading<'r> {
    if let Some(reading) = own::read(record, &config.formats) {
        return reading;
    }
    let Some((index, others)) = recognise(&record.headers) else {
        let mut reading = Reading::default();
        reading.fact(
            "no header of a known format: origin and error are not known (Kafka Connect writes none \
             unless errors.deadletterqueue.context.headers.enable=true)",
        );
        return reading;
    };
    let format = &TABLE[index];
    let mut reading = Reading { format: Some(NAMES[index].clone()), ..Reading::default() };
    by_table(&mut reading, record, format);
    if let Some(other) = others {
        reading.fact(format!("headers of {} are there too", TABLE[other].name));
    }
    reading
}

/// The names of the table's formats, shared.
static NAMES: LazyLock<Vec<Arc<str>>> = LazyLock::new(|| TABLE.iter().map(|f| f.name.into()).collect());

/// Each header that occurs in a sign, and its bit.
static SIGNS: LazyLock<HashMap<&'static [u8], u8>> = LazyLock::new(|| {
    let mut bits = HashMap::new();
    for name in TABLE.iter().flat_map(|f| f.signs.iter()).flat_map(|set| set.iter()) {
        let next = bits.len() as u8;
        bits.entry(name.as_bytes()).or_insert(next);
    }
    bits
});

/// For each format its signs as sets of bits.
static MASKS: LazyLock<Vec<Vec<u128>>> = LazyLock::new(|| {
    let bit = |name: &&str| SIGNS.get(name.as_bytes()).map_or(0, |b| 1_u128 << b);
    TABLE
        .iter()
        .map(|f| f.signs.iter().map(|set| set.iter().map(bit).fold(0, |a, b| a | b)).collect())
        .collect()
});

/// The first format of the table whose signs are there, and another one whose signs are there too.
fn recognise(headers: &Headers) -> Option<(usize, Option<usize>)> {
    let seen =
        headers.iter().filter_map(|(name, _)| SIGNS.get(name.as_ref())).fold(0_u128, |s, b| s | (1 << b));
    if seen == 0 {
        return None;
    }
    let mut found = (0..TABLE.len()).filter(|i| MASKS[*i].iter().any(|mask| seen & mask == *mask));
    let first = found.next()?;
    // Spring's two formats share headers, and the last format of the table shares names with others.
    let other = found.find(|i| !related(first, *i));
    Some((first, other))
}

fn related(a: usize, b: usize) -> bool {
    let family = |i: usize| TABLE[i].strip_prefixes;
    b + 1 == TABLE.len() || (!family(a).is_empty() && family(a) == family(b))
}

fn cut(bytes: &Bytes) -> &[u8] {
    bytes.get(..VALUE_LIMIT).unwrap_or(bytes)
}

/// Reads the fields of a recognised format.
fn by_table<'r>(reading: &mut Reading<'r>, record: &'r Record, format: &'static Format) {
    let chosen = choose(&record.headers, format.rules);
    let mut hops = Hops::default();
    let mut single: [Option<(&'static Rule, &'r Bytes)>; 32] = [None; 32];
    for (name, value) in record.headers.iter() {
        let Some((slot, rule)) =
            chosen.iter().enumerate().find(|(_, r)| r.header.as_bytes() == name.as_ref())
        else {
            continue;
        };
        let Some(value) = value else {
            reading.note(Note::Header(rule.header, "is null"));
            continue;
        };
        if !hops.take(rule, cut(value)).unwrap_or_else(|why| {
            reading.note(Note::Header(rule.header, why));
            true
        }) && let Some(kept) = single.get_mut(slot)
            && (kept.is_none() || format.latest == Latest::Last)
        {
            *kept = Some((rule, value));
        }
    }
    for (rule, value) in single.into_iter().flatten() {
        if let Err(why) = take(reading, rule, value, format) {
            reading.note(Note::Header(rule.header, why));
        }
    }
    origins(reading, hops, record, format);
    if format.wrapping == Wrapping::Spring {
        unwrap_spring(reading);
    }
    if format.payload == Payload::PointerIfNull && record.key.is_none() && record.value.is_none() {
        reading.pointer = true;
        reading.fact(
            "key and value were not copied (errors.deadletterqueue.copy.record.enable is off), or the record \
             was a tombstone without a key: the two cannot be told apart",
        );
    }
    for (field, why) in format.unknown {
        if !reading.has(*field) {
            reading.fact(*why);
        }
    }
}

/// One rule for each field: the first of the table whose header is there with a value.
fn choose(headers: &Headers, rules: &'static [Rule]) -> Vec<&'static Rule> {
    let mut present = 0_u64;
    for (name, value) in headers.iter() {
        if let Some(at) = rules.iter().position(|r| r.header.as_bytes() == name.as_ref())
            && value.is_some()
        {
            present |= 1 << at;
        }
    }
    let mut chosen: Vec<&Rule> = Vec::with_capacity(rules.len());
    for (at, rule) in rules.iter().enumerate() {
        if present & (1 << at) != 0 && !chosen.iter().any(|c| c.field == rule.field) {
            chosen.push(rule);
        }
    }
    chosen
}

fn take<'r>(
    reading: &mut Reading<'r>,
    rule: &'static Rule,
    value: &'r Bytes,
    format: &Format,
) -> Result<(), &'static str> {
    let bytes = cut(value);
    if bytes.len() < value.len() {
        reading.note(Note::Header(rule.header, "is longer than is looked at"));
    }
    match rule.field {
        Field::Attempts => {
            let made = codec::number(rule.codec, bytes)?.saturating_add(format.attempts_shift);
            reading.attempts = Some(u32::try_from(made).map_err(|_| "is not a number of attempts")?);
        }
        Field::FailedAt => reading.failed_at = Some(codec::time(rule.codec, bytes)?),
        field => {
            let text = codec::text(rule.codec, bytes)?;
            if matches!(field, Field::ErrorClass | Field::CauseClass) && text.is_empty() {
                return Err("is empty");
            }
            reading.set_text(field, text);
        }
    }
    Ok(())
}

/// Sets root, previous hop and the number of hops.
fn origins<'r>(reading: &mut Reading<'r>, hops: Hops<'r>, record: &'r Record, format: &Format) {
    let count = hops.count;
    let (mut root, mut latest) = match format.latest {
        Latest::Last => (hops.first, hops.last),
        Latest::First => (hops.last, hops.first),
    };
    if format.group_in_name {
        for hop in [&mut root, &mut latest] {
            hop.group =
                hop.topic.as_deref().and_then(|t| group_in_name(&record.at.topic, t)).map(Cow::Borrowed);
        }
        if latest.group.is_some() {
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
        Repeats::DeadLetterings | Repeats::Retries | Repeats::Overwritten => None,
    };
    reading.previous = (count > 1 && root != latest).then_some(latest);
    reading.root = root;
}

/// The group in `error.<topic>.<group>`.
fn group_in_name<'r>(dead_letter_topic: &'r str, origin: &str) -> Option<&'r str> {
    dead_letter_topic
        .strip_prefix("error.")?
        .strip_prefix(origin)?
        .strip_prefix('.')
        .filter(|group| !group.is_empty())
}

/// Takes off what Spring's listener puts before the message of the error that was thrown.
fn unwrap_spring(reading: &mut Reading<'_>) {
    const NESTED: &str = "nested exception is ";
    let Some(message) = reading.message.take() else { return };
    let inner = message.rfind(NESTED).and_then(|at| {
        let rest = &message[at + NESTED.len()..];
        rest.find(": ").map(|colon| message.len() - rest.len() + colon + 2)
    });
    let inner = inner.or_else(|| {
        let class = reading.error_class.as_deref()?;
        let wrapper = reading.stack_trace.as_deref()?.strip_prefix(class)?.strip_prefix(": ")?;
        let same = wrapper.bytes().zip(message.bytes()).take_while(|(a, b)| a == b).count();
        let ends = wrapper.as_bytes().get(same).is_none_or(|b| matches!(b, b'\n' | b'\r'));
        (ends && message.get(same..same + 2) == Some("; ")).then_some(same + 2)
    });
    reading.message = Some(match (inner, message) {
        (None, message) => message,
        (Some(at), Cow::Borrowed(text)) => Cow::Borrowed(&text[at..]),
        (Some(at), Cow::Owned(text)) => Cow::Owned(text[at..].to_owned()),
    });
}

#[cfg(test)]
mod tests;
