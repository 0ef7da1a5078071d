//! A look at a dead letter where its bytes lie, for topics of millions of them.
//!
//! Most letters of a topic have the same headers in the same order. What these mean is found out once, when the
//! first of them is read; of the next ones only the values are taken that decide to which failure a letter belongs
//! and where its record was. Whatever is out of the ordinary (a header twice, a null, a value that cannot be read)
//! is not looked at but read.

use std::borrow::Cow;
use std::sync::Arc;

use super::headers::{Layout, group_in_name, is_binary, is_in_text};
use super::protobuf::Metadata;
use super::table::{Codec, Field, Payload, Wrapping};
use super::{VALUE_LIMIT, codec};
use crate::config::profile::DeadLetters;
use crate::event::Headers;

/// A header where its bytes lie: name and value.
pub type Lying<'r> = (&'r [u8], Option<&'r [u8]>);

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
    group_in_name: bool,
    format: Arc<str>,
}

/// What a look at a letter tells: what [`super::digest`] would say of it.
#[derive(Debug, Default)]
pub struct Seen<'r> {
    /// Outermost exception class.
    pub error_class: Option<&'r str>,
    /// A class below it.
    pub cause_class: Option<&'r str>,
    /// Stack trace.
    pub stack_trace: &'r str,
    /// Consumer group.
    pub group: Option<&'r str>,
    /// Where the record was.
    pub topic: Cow<'r, str>,
    /// Its partition.
    pub partition: Option<i32>,
    /// Its offset.
    pub offset: Option<i64>,
}

impl Way {
    fn of(headers: &Headers, config: &DeadLetters) -> Option<Self> {
        if !config.formats.is_empty() || headers.len() > MOST_HEADERS {
            return None;
        }
        let layout = Layout::of(headers);
        let [known] = &layout.formats[..] else { return None };
        let format = known.format();
        // The origin may be named by an id, and the trace may stand in the message.
        if format.payload == Payload::PointerIfNull || format.wrapping == Wrapping::Panic {
            return None;
        }
        let mut fields: Vec<Option<(Field, Codec)>> = Vec::with_capacity(headers.len());
        for rule in &known.rules {
            let field = rule.and_then(|rule| format.rules.get(rule)).map(|rule| (rule.field, rule.codec));
            if field.is_some_and(|(field, _)| field == Field::RootTopic) {
                return None;
            }
            let field = field.filter(|(field, _)| wanted(*field));
            if let Some((field, _)) = field
                && fields.iter().flatten().any(|(other, _)| *other == field)
            {
                return None;
            }
            fields.push(field);
        }
        let has = |field| fields.iter().flatten().any(|(known, _)| *known == field);
        let whole = has(Field::StackTrace) && has(Field::OriginTopic);
        whole.then(|| Self {
            fields: fields.into(),
            group_in_name: format.group_in_name,
            format: known.name(),
        })
    }
}

impl Glance {
    /// What these headers mean.
    pub fn of(headers: &Headers, config: &DeadLetters) -> Self {
        let names = headers.iter().map(|(name, _)| Box::from(&**name)).collect();
        Self { names, way: Way::of(headers, config) }
    }

    /// The format that wrote such headers, where records with them can be looked at.
    pub fn format(&self) -> Option<&Arc<str>> {
        self.way.as_ref().map(|way| &way.format)
    }

    /// Whether it is for records with these headers.
    pub fn fits(&self, headers: &[Lying<'_>]) -> bool {
        self.names.len() == headers.len() && self.names.iter().zip(headers).all(|(a, (b, _))| **a == **b)
    }

    /// Looks at a record in the topic `lies_in` whose headers it [fits](Self::fits); `None` where it must be read.
    pub fn look<'r>(&self, lies_in: &'r str, key: Option<&[u8]>, headers: &[Lying<'r>]) -> Option<Seen<'r>> {
        let way = self.way.as_ref()?;
        // The key may be another format's.
        if key.and_then(Metadata::read).is_some() {
            return None;
        }
        let mut seen = Seen::default();
        let wanted =
            way.fields.iter().zip(headers).filter_map(|(field, (_, value))| Some(((*field)?, *value)));
        for ((field, codec), value) in wanted {
            let value = value.filter(|value| !value.is_empty() && value.len() <= VALUE_LIMIT)?;
            if is_binary(codec) && is_in_text(value) {
                return None;
            }
            match field {
                Field::OriginTopic => {
                    seen.topic = codec::text(codec, value).ok().filter(|t| !t.is_empty())?;
                }
                Field::OriginPartition => {
                    let number = codec::number(codec, value).ok()?;
                    seen.partition = Some(i32::try_from(number).ok().filter(|n| *n >= 0)?);
                }
                Field::OriginOffset => {
                    seen.offset = Some(codec::number(codec, value).ok().filter(|n| *n >= 0)?);
                }
                field => {
                    let Ok(Cow::Borrowed(text)) = codec::text(codec, value) else { return None };
                    match field {
                        _ if text.is_empty() => return None,
                        Field::Group => seen.group = Some(text),
                        Field::ErrorClass => seen.error_class = Some(text),
                        Field::CauseClass => seen.cause_class = Some(text),
                        _ => seen.stack_trace = text,
                    }
                }
            }
        }
        if way.group_in_name {
            seen.group = group_in_name(lies_in, &seen.topic);
        }
        Some(seen)
    }
}

/// What decides to which failure a letter belongs, and where its record was.
fn wanted(field: Field) -> bool {
    matches!(
        field,
        Field::OriginTopic
            | Field::OriginPartition
            | Field::OriginOffset
            | Field::Group
            | Field::ErrorClass
            | Field::CauseClass
            | Field::StackTrace
    )
}
