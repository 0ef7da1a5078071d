//! What a plan makes of a record before it is sent: decoded as a letter or taken as it is, then edited. Pure.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use foldhash::fast::FixedState;
use foldhash::quality::RandomState;

use super::document::Sample;
use super::found::Names;
use super::outgoing::{key, value};
use super::plan::PlanHeader;
use crate::config::profile::{DeadLetters, Profile};
use crate::dlq::failure::{Failure, Fingerprint, likeness};
use crate::dlq::formats::{self, Reading};
use crate::dlq::letter::{Letter, Origin};
use crate::event::Record;
use crate::event::decode::{Patience, Side};
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

/// Failures met; what tells one is worked out for its first letter alone.
#[derive(Default)]
pub(super) struct Failures {
    /// By [`likeness`] and by fingerprint.
    known: HashMap<u64, Failure, FixedState>,
    keys: RandomState,
}

/// Failures that are remembered, and likenesses.
const MOST_FAILURES: usize = 10_000;

impl Failures {
    /// The failure of a letter that is like one before.
    pub fn like(&self, reading: &Reading<'_>) -> Option<&Failure> {
        self.known.get(&likeness(reading, &self.keys)?)
    }

    fn of(&mut self, reading: &Reading<'_>, config: &DeadLetters) -> Failure {
        let likeness = likeness(reading, &self.keys);
        if let Some(known) = likeness.and_then(|likeness| self.known.get(&likeness)) {
            return known.clone();
        }
        let trace = reading.trace(config);
        let print = Fingerprint::of(reading, &trace);
        let hash = print.hash(&self.keys);
        let failure = self.known.get(&hash).cloned().unwrap_or_else(|| print.failure());
        let decides = reading.stack_trace.is_none() || trace.frame.is_some();
        for hash in likeness.filter(|_| decides).into_iter().chain([hash]) {
            if self.known.len() < MOST_FAILURES {
                self.known.insert(hash, failure.clone());
            }
        }
        failure
    }
}

/// Makes letters of records as a plan says.
pub(super) struct Shape {
    profile: Arc<Profile>,
    replay: bool,
    edit: Option<Edit>,
}

impl Shape {
    /// The shape of a plan; an edit that is not valid is a usage error.
    pub fn new(header: &PlanHeader, profile: &Arc<Profile>) -> Result<Self, Fault> {
        let edit = header.options.edit.as_deref().map(|code| Edit::compile(code, "--edit")).transpose()?;
        Ok(Self { edit, ..Self::plain(header, profile) })
    }

    /// The same without an edit.
    pub fn plain(header: &PlanHeader, profile: &Arc<Profile>) -> Self {
        Self { profile: Arc::clone(profile), replay: header.replay, edit: None }
    }

    fn config(&self) -> &DeadLetters {
        &self.profile.dead_letters
    }

    /// The letter of a record, not yet edited.
    pub fn letter(&self, record: &Record) -> Letter {
        if self.replay { plain(record.clone(), None) } else { formats::decode(record, self.config()) }
    }

    /// The same without what is only shown: notes, stack trace, what gave each field. Its failure is told where
    /// `failures` are given.
    pub fn lean(&self, record: Record, names: &mut Names, failures: Option<&mut Failures>) -> Letter {
        if self.replay {
            return plain(record, None);
        }
        let of = {
            let read = if failures.is_some() { formats::digest } else { formats::places };
            let reading = read(&record, self.config());
            let failure = failures.map(|failures| failures.of(&reading, self.config()));
            let root = names.origin(&reading.root);
            let previous = reading.previous.as_ref().map(|hop| names.origin(hop));
            let Reading { format, others, hops, pointer, original_key, original_value, .. } = reading;
            move |record| Letter {
                format,
                others,
                root,
                previous,
                hops,
                original_key,
                original_value,
                pointer,
                ..plain(record, failure)
            }
        };
        of(record)
    }

    /// Whether records are edited.
    pub fn edits(&self) -> bool {
        self.edit.is_some()
    }

    /// Whether the records of any topic are sent once more, as they lie.
    pub fn is_replay(&self) -> bool {
        self.replay
    }

    /// Edits a letter.
    pub fn edit(&self, letter: &mut Letter) -> Edited {
        let Some(edit) = &self.edit else { return Edited::Same };
        let mut record = letter.record.clone();
        (record.key, record.value) = (key(letter).cloned(), value(letter).cloned());
        match edit.apply(&record, self.config(), &self.profile.decoding) {
            edit::Edited::Same => Edited::Same,
            edit::Edited::Changed { record, key, rewritten } => {
                letter.original_key = Some(record.key);
                letter.original_value = Some(record.value);
                letter.record.headers = record.headers;
                Edited::Changed { key, rewritten }
            }
            edit::Edited::Schema(why) => {
                Edited::Refused("schema", format!("their schema does not let them be edited: {why}"))
            }
            edit::Edited::Failed(why) => Edited::Refused("edit", format!("the edit fails on them: {why}")),
        }
    }

    /// A letter before and after an edit: the lines that differ.
    pub fn sample(&self, before: &Letter, after: &Letter) -> Sample {
        let (old, new) = (self.lines(before), self.lines(after));
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

    /// Key, value and headers as lines; a value that is JSON, or that its schema describes, has a line a member.
    fn lines(&self, letter: &Letter) -> Vec<String> {
        let text = |bytes: Option<&bytes::Bytes>| {
            bytes.map_or_else(|| "null".to_owned(), |b| Safe::from_bytes(b).to_string())
        };
        let mut out = vec![format!("key {}", text(key(letter)))];
        let record = Record { value: value(letter).cloned(), ..letter.record.clone() };
        let described = self.profile.decoding.described(&record, Side::Value, Patience::Wait);
        let document = match described {
            Some(described) => described.and_then(|described| described.document()).ok(),
            None => record.value.as_ref().and_then(|value| crate::event::json::parse(value).ok()),
        };
        let body = document.and_then(|v| serde_json::to_string_pretty(&v).ok());
        let body = body.unwrap_or_else(|| text(value(letter)));
        out.extend(body.lines().map(|line| format!("value {line}")));
        for (name, value) in letter.record.headers.iter() {
            out.push(format!("header {}={}", Safe::from_bytes(name), text(value)));
        }
        out.into_iter().map(|line| line.chars().take(LONGEST).collect()).collect()
    }
}

/// Lines of a sample at most, and characters of a line.
const MOST_LINES: usize = 20;
const LONGEST: usize = 200;

/// A record as it lies, to be sent once more: it is its own origin.
fn plain(record: Record, failure: Option<Failure>) -> Letter {
    static FAILURE: LazyLock<Failure> =
        LazyLock::new(|| Failure { id: "".into(), message: Some("replayed".into()), ..Failure::default() });
    let at = &record.at;
    let root = Origin {
        topic: Some(Arc::clone(&at.topic)),
        partition: Some(at.partition),
        offset: Some(at.offset),
        timestamp: record.timestamp(),
        group: None,
    };
    Letter {
        record,
        format: None,
        others: Vec::new(),
        root,
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
        failure: failure.unwrap_or_else(|| FAILURE.clone()),
    }
}
