//! Decoding a dead letter: which format wrote it, and what its headers say.
//!
//! [`read`] borrows from the record, so that a topic of a million letters is grouped without copying their
//! stack traces; [`decode`] makes the owned [`Letter`] that is shown. Wrong, truncated or contradictory
//! headers never fail a letter: the value is left out and a note says why.

pub mod codec;
pub mod glance;
pub mod own;
pub mod payload;
pub mod table;
pub mod tells;

mod avro;
mod embedded;
mod headers;
mod json;
mod mixed;
mod origin;
mod protobuf;
mod strip;
mod unknown;
mod wrapped;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use origin::Hop;
pub use strip::{StripRules, strip_rules};

use crate::config::profile::DeadLetters;
use crate::dlq::failure::Fingerprint;
use crate::dlq::letter::{Letter, Origin};
use crate::dlq::trace::Trace;
use crate::event::Record;
use crate::text::Timestamp;
use table::{Field, Format};

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
    /// A member of a home-grown format is not what was expected.
    Place(String, &'static str),
}

impl fmt::Display for Note<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fact(fact) => f.write_str(fact),
            Self::Header(name, why) => write!(f, "{name} {why}"),
            Self::Place(place, why) => write!(f, "{place} {why}"),
        }
    }
}

/// What gave a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A header of a format of the table.
    Header(&'static str),
    /// A header or member that a home-grown format of the profile names.
    Place(String),
    /// A member of the JSON value.
    Member(&'static str),
    /// A header that is kept within the value.
    Embedded(&'static str),
    /// A field of the key's protobuf.
    KeyField(u8),
    /// The letter's own timestamp, which the format keeps.
    Timestamp,
    /// The dead-letter topic's name.
    TopicName,
    /// How often origin headers are there.
    Repeats,
    /// The end of the chain of causes in the stack trace.
    Trace,
    /// The exception that was thrown, below those that stand around it in the stack trace.
    Thrown,
    /// The class of the error, of which the format names the innermost.
    Innermost,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name}"),
            Self::Place(place) => match place.strip_prefix("$.") {
                Some(_) => write!(f, "value {place}"),
                None => write!(f, "header {place}"),
            },
            Self::Member(path) => write!(f, "value $.{path}"),
            Self::Embedded(name) => write!(f, "header {name} within the value"),
            Self::KeyField(number) => write!(f, "key, protobuf field {number}"),
            Self::Timestamp => f.write_str("the letter's own timestamp, which the format keeps"),
            Self::TopicName => f.write_str("the dead-letter topic's name"),
            Self::Repeats => f.write_str("how often origin headers are there"),
            Self::Trace => f.write_str("the end of the stack trace"),
            Self::Thrown => f.write_str("the error that was thrown, in the stack trace"),
            Self::Innermost => f.write_str("the error's class: the format names the innermost one"),
        }
    }
}

/// How much of a letter is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Depth {
    /// All of it.
    #[default]
    Whole,
    /// What groups it: not what else the format says, nor what gave each field.
    Digest,
    /// Where it was and what it carries: not why it failed.
    Places,
}

/// What a record says of itself as a dead letter, borrowed from it.
#[derive(Debug, Default)]
pub struct Reading<'r> {
    /// The format's name; `None` where none was recognised. Of several the one that wrote last.
    pub format: Option<Arc<str>>,
    /// Other formats whose headers are there, too.
    pub others: Vec<Arc<str>>,
    /// The first place where the record failed.
    pub root: Hop<'r>,
    /// The latest hop, where it is another than `root`.
    pub previous: Option<Hop<'r>>,
    /// Whether the latest hop is a retry of the same dead-lettering.
    pub retried: bool,
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
    /// The original key, where it is kept elsewhere.
    pub original_key: Option<Option<Bytes>>,
    /// The original value, where it is wrapped.
    pub original_value: Option<Option<Bytes>>,
    /// Whether it only points to its record.
    pub pointer: bool,
    /// What else the format says, by name.
    pub also: Vec<(&'static str, Cow<'r, str>)>,
    /// What could not be read.
    pub notes: Vec<Note<'r>>,
    /// What gave each field.
    pub given: Vec<(&'static str, Source)>,
    depth: Depth,
    /// The table's entry, where the table recognised it.
    table: Option<&'static Format>,
    /// Who writes the format.
    written_by: &'static str,
    /// Why the format does not tell something.
    unknown: &'static [(Field, &'static str)],
}

impl<'r> Reading<'r> {
    /// The place where it failed last.
    pub fn latest(&self) -> &Hop<'r> {
        self.previous.as_ref().unwrap_or(&self.root)
    }

    /// Whether it is a letter by its own word: not a record that only passed through a framework.
    pub fn says_letter(&self) -> bool {
        self.format.is_some() && !self.table.is_some_and(|format| format.on_all)
    }

    /// The place after which its failure is named: retry topics are not what an operator looks for.
    pub fn failed_in(&self) -> &Hop<'r> {
        if self.retried { &self.root } else { self.latest() }
    }

    fn note(&mut self, note: Note<'r>) {
        if self.notes.len() < NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn fact(&mut self, fact: impl Into<Cow<'static, str>>) {
        self.note(Note::Fact(fact.into()));
    }

    fn given(&mut self, field: &'static str, by: Source) {
        if self.depth == Depth::Whole {
            self.given.push((field, by));
        }
    }

    fn set_text(&mut self, field: Field, value: Cow<'r, str>) {
        match field {
            Field::ErrorClass => self.error_class = Some(value),
            Field::CauseClass => self.cause_class = Some(value),
            Field::Message => self.message = Some(value),
            Field::StackTrace => self.stack_trace = Some(value),
            Field::Also(name) if self.depth == Depth::Whole => self.also.push((name, value)),
            _ => {}
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
    let mut reading = read(record, config);
    let trace = reading.trace(config);
    let failure = Fingerprint::of(&reading, &trace).failure();
    let mut root_cause_class = trace.root_class.map(str::to_owned);
    if root_cause_class.is_some() {
        reading.given("root_cause_class", Source::Trace);
    } else if let Some(class) = reading.error_class.as_deref()
        && reading.table.is_some_and(|format| format.names_root)
    {
        root_cause_class = Some(class.to_owned());
        reading.given("root_cause_class", Source::Innermost);
    }
    let unknown = unknown::reasons(&reading, root_cause_class.is_some());
    let mut also: Vec<(&'static str, String)> =
        reading.also.iter().map(|(n, v)| (*n, v.clone().into_owned())).collect();
    if let Some(class) = &reading.cause_class {
        also.push(("cause_class", class.clone().into_owned()));
    }
    Letter {
        record: record.clone(),
        root: Origin::from(&reading.root),
        previous: reading.previous.as_ref().map(Origin::from),
        hops: reading.hops,
        root_cause_class,
        attempts: reading.attempts,
        failed_at: reading.failed_at,
        pointer: reading.pointer,
        also,
        notes: reading.notes.iter().map(Note::to_string).collect(),
        rules: reading.given.iter().map(|(field, by)| (*field, by.to_string())).collect(),
        unknown,
        failure,
        format: reading.format,
        others: reading.others,
        error_class: reading.error_class.map(Cow::into_owned),
        message: reading.message.map(Cow::into_owned),
        stack_trace: reading.stack_trace.map(Cow::into_owned),
        original_key: reading.original_key,
        original_value: reading.original_value,
    }
}

/// Reads what a record says of itself as a dead letter.
pub fn read<'r>(record: &'r Record, config: &DeadLetters) -> Reading<'r> {
    read_to(record, config, Depth::Whole)
}

/// Reads of a dead letter what groups it, for many of them: `also` and `given` may be empty.
pub fn digest<'r>(record: &'r Record, config: &DeadLetters) -> Reading<'r> {
    read_to(record, config, Depth::Digest)
}

/// The same, without why it failed: class, message and trace of the error may be missing.
pub fn places<'r>(record: &'r Record, config: &DeadLetters) -> Reading<'r> {
    read_to(record, config, Depth::Places)
}

fn read_to<'r>(record: &'r Record, config: &DeadLetters, depth: Depth) -> Reading<'r> {
    if let Some(reading) = own::read(record, &config.formats) {
        return reading;
    }
    if let Some(reading) = headers::read(record, config, depth).or_else(|| payload::read(record)) {
        return reading;
    }
    let mut reading = Reading::default();
    reading.fact(
        "no header of a known format: origin and error are not known. Kafka Connect writes none unless \
         errors.deadletterqueue.context.headers.enable=true; Camel, Karafka without Pro, Redpanda Connect and a bare \
         producer write none. \
         A redrive needs an explicit target",
    );
    reading
}

fn cut(bytes: &Bytes) -> &[u8] {
    bytes.get(..VALUE_LIMIT).unwrap_or(bytes)
}

#[cfg(test)]
pub(crate) mod hostile;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod written;
