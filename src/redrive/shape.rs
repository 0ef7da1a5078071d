//! What a plan makes of a record before it is sent: decoded as a letter or taken as it is, then edited. Pure.

use std::sync::Arc;

use super::document::Sample;
use super::outgoing::{key, value};
use super::plan::PlanHeader;
use crate::config::profile::DeadLetters;
use crate::dlq::failure::Failure;
use crate::dlq::formats;
use crate::dlq::letter::{Letter, Origin};
use crate::event::Record;
use crate::filter::edit::{self, Edit};
use crate::text::{Fault, Safe};

/// What an edit did to a letter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Edited {
    #[default]
    Same,
    Changed {
        key: bool,
        rewritten: bool,
    },
    /// It cannot be edited: the rule that refuses it, and why.
    Refused(&'static str, String),
}

/// Makes letters of records as a plan says.
pub(super) struct Shape<'a> {
    config: &'a DeadLetters,
    replay: bool,
    edit: Option<Edit>,
}

impl<'a> Shape<'a> {
    /// The shape of a plan; an edit that is not valid is a usage error.
    pub fn new(header: &PlanHeader, config: &'a DeadLetters) -> Result<Self, Fault> {
        let edit = header.options.edit.as_deref().map(|code| Edit::compile(code, "--edit")).transpose()?;
        Ok(Self { config, replay: header.replay, edit })
    }

    /// The letter of a record, not yet edited.
    pub fn letter(&self, record: &Record) -> Letter {
        if self.replay { plain(record) } else { formats::decode(record, self.config) }
    }

    /// Edits a letter.
    pub fn edit(&self, letter: &mut Letter) -> Edited {
        let Some(edit) = &self.edit else { return Edited::Same };
        let mut record = letter.record.clone();
        (record.key, record.value) = (key(letter).cloned(), value(letter).cloned());
        match edit.apply(&record, self.config) {
            edit::Edited::Same => Edited::Same,
            edit::Edited::Changed { record, key, rewritten } => {
                letter.original_key = Some(record.key);
                letter.original_value = Some(record.value);
                letter.record.headers = record.headers;
                Edited::Changed { key, rewritten }
            }
            edit::Edited::Schema => {
                let why = "their values are in a schema's wire format, and no encoder for it is there";
                Edited::Refused("schema", why.to_owned())
            }
            edit::Edited::Failed(why) => Edited::Refused("edit", format!("the edit fails on them: {why}")),
        }
    }
}

/// A letter before and after an edit: the lines that differ.
pub(super) fn sample(before: &Letter, after: &Letter) -> Sample {
    let (old, new) = (lines(before), lines(after));
    let only = |of: &[String], others: &[String]| {
        of.iter().filter(|line| !others.contains(line)).take(MOST_LINES).cloned().collect()
    };
    Sample {
        partition: before.record.at.partition,
        offset: before.record.at.offset,
        before: only(&old, &new),
        after: only(&new, &old),
    }
}

/// Lines of a sample at most, and characters of a line.
const MOST_LINES: usize = 20;
const LONGEST: usize = 200;

/// Key, value and headers as lines; a JSON value has a line a member.
fn lines(letter: &Letter) -> Vec<String> {
    let text = |bytes: Option<&bytes::Bytes>| {
        bytes.map_or_else(|| "null".to_owned(), |b| Safe::from_bytes(b).to_string())
    };
    let mut out = vec![format!("key {}", text(key(letter)))];
    let document = value(letter).and_then(|v| crate::event::json::parse(v).ok());
    let body = document.and_then(|v| serde_json::to_string_pretty(&v).ok());
    let body = body.unwrap_or_else(|| text(value(letter)));
    out.extend(body.lines().map(|line| format!("value {line}")));
    for (name, value) in letter.record.headers.iter() {
        out.push(format!("header {}={}", Safe::from_bytes(name), text(value)));
    }
    out.into_iter().map(|line| line.chars().take(LONGEST).collect()).collect()
}

/// A record as it lies, to be sent once more: it is its own origin.
fn plain(record: &Record) -> Letter {
    let at = &record.at;
    Letter {
        record: record.clone(),
        format: None,
        others: Vec::new(),
        root: Origin {
            topic: Some(Arc::clone(&at.topic)),
            partition: Some(at.partition),
            offset: Some(at.offset),
            timestamp: record.timestamp(),
            group: None,
        },
        previous: None,
        hops: None,
        error_class: None,
        root_cause_class: None,
        message: None,
        stack_trace: None,
        attempts: None,
        failed_at: None,
        original_key: None,
        original_value: None,
        pointer: false,
        also: Vec::new(),
        notes: Vec::new(),
        rules: Vec::new(),
        unknown: Vec::new(),
        failure: Failure {
            id: "".into(),
            error_class: None,
            root_cause_class: None,
            frame: None,
            message: Some("replayed".into()),
            origin_topic: None,
            group: None,
        },
    }
}
