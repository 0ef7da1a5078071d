//! What an inspector looks at: a dead letter or a record, and the list that it is from.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::look::position;
use crate::event::view::{self, View};
use crate::event::{Record, codec};
use crate::letters::document::LetterRow;
use crate::text::{Safe, width};
use crate::tui::command::Id;

/// Bytes of one text that stay in one line.
const LINE: usize = 4096;

/// What is looked at.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A dead letter with its state.
    Letter(LetterRow),
    /// A record.
    Record(Arc<Record>),
}

impl Subject {
    /// The record itself.
    pub fn record(&self) -> &Record {
        match self {
            Self::Letter(row) => &row.letter.record,
            Self::Record(record) => record,
        }
    }

    /// The key and value that the application wrote, where a framework wrapped them.
    pub fn payload(&self) -> (Option<Bytes>, Option<Bytes>) {
        let record = self.record();
        let (mut key, mut value) = (record.key.clone(), record.value.clone());
        if let Self::Letter(row) = self {
            if let Some(original) = &row.letter.original_key {
                key.clone_from(original);
            }
            if let Some(original) = &row.letter.original_value {
                value.clone_from(original);
            }
        }
        (key, value)
    }
}

impl Subject {
    /// It as plain lines, without anything that drives a terminal: where and when, key, headers, the value laid out,
    /// and a letter's stack trace.
    pub fn lines(&self) -> Vec<String> {
        let record = self.record();
        let (key, value) = self.payload();
        let mut out = vec![position(&record.at)];
        out.extend(record.time.map(|time| format!("time      {}", time.at)));
        out.extend(laid_out("key", key));
        let header = |(name, value): (&Bytes, Option<&Bytes>)| {
            let value = value.map_or_else(|| "null".to_owned(), |value| Safe::from_bytes(value).to_string());
            format!("header    {}: {value}", Safe::from_bytes(name))
        };
        out.extend(record.headers.iter().map(header));
        out.extend(laid_out("value", value));
        if let Self::Letter(row) = self {
            let letter = &row.letter;
            let class = letter.root_cause_class.as_deref().or(letter.error_class.as_deref());
            let message = letter.message.as_deref();
            let told = [class, message].into_iter().flatten().collect::<Vec<_>>().join(": ");
            out.push(format!("failure   {}", Safe::new(&told)));
            let trace = letter.stack_trace.as_deref().unwrap_or_default();
            out.extend(trace.lines().map(|line| Safe::new(&line.replace('\t', "    ")).to_string()));
        }
        out
    }
}

/// A payload: in the line of its name where it takes one line, else below it.
fn laid_out(name: &str, bytes: Option<Bytes>) -> Vec<String> {
    let name = width::left(name, 10);
    let Some(bytes) = bytes else { return vec![format!("{name}null")] };
    let mut view = View::new(bytes.clone(), View::fitting(&bytes), LINE);
    view.count(usize::MAX, usize::MAX);
    let lines: Vec<String> = view.lines(0..view.known()).iter().map(view::Line::text).collect();
    match lines.as_slice() {
        [] => vec![format!("{name}empty")],
        [one] => vec![format!("{name}{one}")],
        _ => std::iter::once(name).chain(lines).collect(),
    }
}

/// What lies before and behind the subject in the list that it was opened from.
#[derive(Clone, Debug, Default)]
pub struct Among {
    /// What each of them is called.
    pub of: &'static str,
    /// The list, or the part of it around the subject.
    pub list: Vec<Subject>,
    /// Where in it.
    pub at: usize,
}

/// What a copying command copies of a letter or record.
pub fn copy(subject: &Subject, what: Id) -> Option<String> {
    let record = subject.record();
    let text = |bytes: Option<&[u8]>| match codec::encode_text(bytes) {
        (Value::String(text), _) => Some(text),
        _ => None,
    };
    let headers = || -> Value {
        let one = |(name, value): (&Bytes, Option<&Bytes>)| {
            let (name, _) = codec::encode_text(Some(name));
            let (value, encoding) = codec::encode_text(value.map(Bytes::as_ref));
            json!({ "name": name, "value": value, "encoding": encoding })
        };
        record.headers.iter().map(one).collect()
    };
    let (key, value) = subject.payload();
    match what {
        Id::CopyKey => text(key.as_deref()),
        Id::CopyValue => text(value.as_deref()),
        Id::CopyHeaders => Some(headers().to_string()),
        Id::CopyPosition => {
            let at = &record.at;
            Some(format!("{} {} {}", at.topic, at.partition, at.offset))
        }
        _ => {
            let (key, key_encoding) = codec::encode_key(record.key.as_deref());
            let (value, value_encoding) = codec::encode_bytes(record.value.as_deref());
            let at = &record.at;
            Some(
                json!({
                    "topic": &*at.topic, "partition": at.partition, "offset": at.offset,
                    "key": key, "key_encoding": key_encoding,
                    "value": value, "value_encoding": value_encoding, "headers": headers(),
                })
                .to_string(),
            )
        }
    }
}
