//! A look at a dead letter where its bytes lie, for topics of millions of them.
//!
//! Most letters of a topic have the same headers in the same order. What these mean is found out once, when the
//! first of them is read; of the next ones only the values are taken that decide to which failure a letter belongs
//! and where its record was. Whatever is out of the ordinary (a header twice, a null, a value that cannot be read)
//! is not looked at but read.

use std::sync::Arc;

use super::headers::{Layout, group_in_name, is_binary, is_in_text};
use super::protobuf::Metadata;
use super::table::{Codec, Field, Format, Payload, Repeats, Wrapping};
use super::{Depth, Hop, Reading, VALUE_LIMIT, codec, wrapped};
use crate::config::profile::DeadLetters;
use crate::event::{Headers, Parts, Record};

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Where the record was, and why it failed.
    Failure,
    /// Where it was, alone.
    Origin,
}

/// Records with more headers are not looked at.
const MOST_HEADERS: usize = 64;

/// What headers of certain names, in a certain order, mean.
#[derive(Debug)]
pub struct Glance {
    names: Box<[Box<[u8]>]>,
    /// `None` where each record with these headers must be read.
    way: Option<Way>,
}

/// How records are looked at.
#[derive(Debug)]
struct Way {
    /// For each header what it tells, where that is wanted.
    fields: Box<[Option<(Field, Codec)>]>,
    format: &'static Format,
    /// The format's name; not the shared one, which several threads would count at once.
    name: Arc<str>,
}

impl Way {
    fn of(headers: &Headers, config: &DeadLetters) -> Option<Self> {
        if !config.formats.is_empty() || headers.len() > MOST_HEADERS {
            return None;
        }
        let layout = Layout::of(headers);
        let [known] = &layout.formats[..] else { return None };
        let format = known.format();
        // The origin may be named by an id, the trace may stand in the message, the value may be the key's bytes.
        let is_odd = format.payload == Payload::PointerIfNull
            || format.wrapping == Wrapping::Panic
            || headers.iter().any(|(name, _)| **name == *b"deserialization-failure-key");
        let mut rules: Vec<usize> = known.rules.iter().flatten().copied().collect();
        rules.sort_unstable();
        if is_odd || rules.windows(2).any(|pair| pair[0] == pair[1]) {
            return None;
        }
        let field_of = |rule: usize| format.rules.get(rule).map(|rule| rule.field);
        let has = |field| rules.iter().any(|rule| field_of(*rule) == Some(field));
        // Where a header names the first topic there is another hop.
        if !has(Field::OriginTopic) || has(Field::RootTopic) || has(Field::OriginalKey) {
            return None;
        }
        let has_trace = has(Field::StackTrace);
        let told = |rule: &Option<usize>| {
            let rule = (*rule)?;
            let field = field_of(rule).filter(|field| wanted(*field))?;
            // Of several that tell the same the first of the table counts; a trace tells more than the message.
            let is_first = rules.iter().all(|other| *other >= rule || field_of(*other) != Some(field));
            let is_told = is_first && !(has_trace && field == Field::Message);
            is_told.then_some((field, format.rules.get(rule)?.codec))
        };
        Some(Self {
            fields: known.rules.iter().map(told).collect(),
            format,
            name: known.name().as_ref().into(),
        })
    }
}

impl Glance {
    /// What these headers mean.
    pub fn of(headers: &Headers, config: &DeadLetters) -> Self {
        let names = headers.iter().map(|(name, _)| Box::from(&**name)).collect();
        Self { names, way: Way::of(headers, config) }
    }

    /// Whether it is for records with these headers.
    pub fn fits(&self, record: &Parts<'_>) -> bool {
        self.names.len() == record.headers.len()
            && self.names.iter().zip(&record.headers).all(|(a, (b, _))| **a == **b)
    }

    /// Looks at a record whose headers it [fits](Self::fits); `None` where it must be read. Says what
    /// [`super::digest`] would, but for attempts, times and hops, and for the message where there is a trace.
    pub fn look<'r>(&self, record: &Parts<'r>, seen: Seen) -> Option<Reading<'r>> {
        let way = self.way.as_ref()?;
        // The key may be another format's.
        if record.key.and_then(Metadata::read).is_some() {
            return None;
        }
        let format = way.format;
        let mut reading = Reading {
            format: Some(Arc::clone(&way.name)),
            depth: Depth::Digest,
            written_by: format.written_by,
            unknown: format.unknown,
            table: Some(format),
            retried: format.repeats == Repeats::Retries,
            ..Reading::default()
        };
        let mut hop = Hop::default();
        let wanted = way
            .fields
            .iter()
            .zip(&record.headers)
            .filter_map(|(field, (_, value))| Some(((*field)?, *value)))
            .filter(|((field, _), _)| seen == Seen::Failure || !tells_why(*field));
        for ((field, codec), value) in wanted {
            let value = value.filter(|value| !value.is_empty() && value.len() <= VALUE_LIMIT)?;
            if is_binary(codec) && is_in_text(value) {
                return None;
            }
            match field {
                Field::OriginPartition => {
                    let number = codec::number(codec, value).ok()?;
                    hop.partition = Some(i32::try_from(number).ok().filter(|n| *n >= 0)?);
                }
                Field::OriginOffset => {
                    hop.offset = Some(codec::number(codec, value).ok().filter(|n| *n >= 0)?);
                }
                Field::OriginTimestamp => hop.timestamp = Some(codec::time(codec, value).ok()?),
                field => {
                    let text = codec::text(codec, value).ok().filter(|text| !text.is_empty())?;
                    match field {
                        Field::OriginTopic => hop.topic = Some(text),
                        Field::Group => hop.group = Some(text),
                        field => reading.set_text(field, text),
                    }
                }
            }
        }
        if format.group_in_name {
            let group = group_in_name(record.place.0, hop.topic.as_deref().unwrap_or_default());
            hop.group = group.map(Into::into);
        }
        if format.keeps_timestamp {
            hop.timestamp = record.timestamp();
        }
        reading.root = hop;
        if format.wrapping == Wrapping::Spring && seen == Seen::Failure {
            wrapped::spring(&mut reading);
        }
        Some(reading)
    }
}

/// Glances that are remembered.
const MOST: usize = 8;

/// What the headers of letters mean that came before.
#[derive(Debug, Default)]
pub struct Glances(Vec<Glance>);

impl Glances {
    /// Looks at a record whose headers are known; `None` where it must be read. With [`Seen::Origin`] it says nothing of
    /// why the record failed.
    pub fn look<'r>(&self, record: &Parts<'r>, seen: Seen) -> Option<Reading<'r>> {
        self.0.iter().find(|glance| glance.fits(record))?.look(record, seen)
    }

    /// Remembers what the headers of a record mean that is read.
    pub fn learn(&mut self, record: &Record, config: &DeadLetters) {
        let parts = Parts::of(record);
        if !self.0.iter().any(|glance| glance.fits(&parts)) {
            self.0.truncate(MOST - 1);
            self.0.insert(0, Glance::of(&record.headers, config));
        }
    }
}

/// What decides to which failure a letter belongs, and where its record was.
fn wanted(field: Field) -> bool {
    tells_why(field)
        || matches!(
            field,
            Field::OriginTopic
                | Field::OriginPartition
                | Field::OriginOffset
                | Field::OriginTimestamp
                | Field::Group
        )
}

fn tells_why(field: Field) -> bool {
    matches!(field, Field::ErrorClass | Field::CauseClass | Field::Message | Field::StackTrace)
}
