//! Records as rows: their columns, how they are ordered, and what is said of each.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use memchr::memmem;

use super::look::{Look, key_text};
use super::ring::Ring;
use super::subject::Subject;
use crate::event::{Record, envelope};
use crate::records::document::TailRequest;
use crate::text::Safe;
use crate::text::units::{DASH, count};
use crate::tui::theme::Role;
use crate::tui::widgets::list::{Cell, Column, Source};

/// What the rows show besides, or in another way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shows {
    /// Headers in a column of their own.
    pub headers: bool,
    /// The time since the record before.
    pub deltas: bool,
    /// The topic, in a column of its own.
    pub topics: bool,
    /// Keys in colours.
    pub hues: bool,
}

impl Shows {
    /// What rows of a request show at first.
    pub fn of(request: &TailRequest) -> Self {
        Self { topics: request.topics.len() > 1, hues: request.follow, ..Self::default() }
    }
}

/// The ring as rows: a row's number is how many records came before it, so that it stays when others fall out.
pub struct Rows<'r> {
    pub ring: &'r Ring,
    pub look: Option<Look<'r>>,
    pub shows: Shows,
}

/// What a column shows.
#[derive(Clone, Copy)]
enum Field {
    Time,
    Topic,
    Partition,
    Offset,
    Key,
    Type,
    Value,
    Headers,
}

const TIME: Column = Column::text("TIME", 12, 12, 1);
const TOPIC: Column = Column::text("TOPIC", 8, 24, 2);
const PARTITION: Column = Column::figure("P", 2, 4);
const OFFSET: Column = Column::figure("OFFSET", 7, 3);
const KEY: Column = Column::text("KEY", 10, 26, 0);
const TYPE: Column = Column::text("TYPE", 10, 26, 5);
const VALUE: Column = Column::text("VALUE", 16, 400, 0);
const HEADERS: Column = Column::text("HEADERS", 24, 200, 0);

/// The columns of one topic; headers, the last one, are there where they are wanted.
const COLUMNS: [Column; 7] = [TIME, PARTITION, OFFSET, KEY, TYPE, VALUE, HEADERS];
const FIELDS: [Field; 7] = {
    use Field::{Headers, Key, Offset, Partition, Time, Type, Value};
    [Time, Partition, Offset, Key, Type, Value, Headers]
};

/// The columns of several topics.
const SEVERAL_COLUMNS: [Column; 8] = [TIME, TOPIC, PARTITION, OFFSET, KEY, TYPE, VALUE, HEADERS];
const SEVERAL_FIELDS: [Field; 8] = {
    use Field::{Headers, Key, Offset, Partition, Time, Topic, Type, Value};
    [Time, Topic, Partition, Offset, Key, Type, Value, Headers]
};

impl Source for Rows<'_> {
    fn columns(&self) -> &'static [Column] {
        let all: &[Column] = if self.shows.topics { &SEVERAL_COLUMNS } else { &COLUMNS };
        match all.split_last() {
            Some((_, without)) if !self.shows.headers => without,
            _ => all,
        }
    }

    fn len(&self) -> usize {
        self.ring.listed().len()
    }

    fn rows(&self) -> Range<usize> {
        self.first()..self.first() + self.len()
    }

    fn key(&self, row: usize) -> Arc<str> {
        let at = self.record(row).map(|record| &record.at);
        at.map_or_else(|| "".into(), |at| format!("{}/{}/{}", at.partition, at.offset, at.topic).into())
    }

    fn cell(&self, row: usize, column: usize) -> Cell {
        let Some(record) = self.record(row) else { return "".into() };
        match self.field(column) {
            Field::Time if self.shows.deltas => Cell::new(self.delta(row), Role::Dim),
            Field::Time => {
                let time = self.look.map_or_else(String::new, |look| look.time(record.timestamp()));
                Cell::new(time, Role::Dim)
            }
            Field::Topic => Cell::new(&*record.at.topic, Role::Dim),
            Field::Partition => record.at.partition.to_string().into(),
            Field::Offset => count(record.at.offset.unsigned_abs()).into(),
            Field::Key if self.shows.hues => hued(key_text(record)),
            Field::Key => key_text(record),
            Field::Type => Cell::new(event_type(record), Role::Value),
            Field::Value => value(record),
            Field::Headers => Cell::new(headers(record), Role::Dim),
        }
    }

    fn subject(&self, row: usize) -> Option<Subject> {
        self.record(row).cloned().map(Subject::Record)
    }

    fn text(&self, row: usize) -> String {
        let Some(record) = self.record(row) else { return String::new() };
        let value = record.value.as_deref().unwrap_or_default();
        let topic = if self.shows.topics { &*record.at.topic } else { "" };
        format!("{topic} {} {}", key_text(record).text, Safe::preview(value, 4096))
    }

    fn compare(&self, a: usize, b: usize, column: usize) -> Ordering {
        let (Some(a), Some(b)) = (self.record(a), self.record(b)) else { return Ordering::Equal };
        match self.field(column) {
            Field::Time => a.timestamp().cmp(&b.timestamp()),
            Field::Topic => a.at.topic.cmp(&b.at.topic),
            Field::Partition => a.at.partition.cmp(&b.at.partition),
            Field::Offset => a.at.offset.cmp(&b.at.offset),
            Field::Key => a.key.cmp(&b.key),
            Field::Type => event_type(a).cmp(&event_type(b)),
            Field::Headers => a.headers.len().cmp(&b.headers.len()),
            Field::Value => a.value.as_ref().map(Bytes::len).cmp(&b.value.as_ref().map(Bytes::len)),
        }
    }
}

/// A key in a colour of its own, so that records of one key are seen among those of others.
fn hued(cell: Cell) -> Cell {
    match cell.role {
        Role::Text => Cell { role: Role::hue(cell.text.as_bytes()), ..cell },
        _ => cell,
    }
}

impl<'r> Rows<'r> {
    /// The number of the first row.
    pub fn first(&self) -> usize {
        usize::try_from(self.ring.fell_out()).unwrap_or(0)
    }

    fn field(&self, column: usize) -> Field {
        let all: &[Field] = if self.shows.topics { &SEVERAL_FIELDS } else { &FIELDS };
        all.get(column).copied().unwrap_or(Field::Value)
    }

    /// The record of a row.
    pub fn record(&self, row: usize) -> Option<&'r Arc<Record>> {
        self.ring.listed().get(row.checked_sub(self.first())?)
    }

    /// How long after the record before it a record was written.
    fn delta(&self, row: usize) -> String {
        let time = |row: usize| self.record(row).and_then(|record| record.timestamp());
        let before = row.checked_sub(1).and_then(time);
        match (before, time(row)) {
            (Some(before), Some(at)) => {
                let ms = at.since(before);
                let sign = if ms < 0 { '-' } else { '+' };
                format!("{sign}{}.{:03} s", ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000)
            }
            _ => DASH.to_owned(),
        }
    }
}

/// Headers in one line: `name=value name=value`.
fn headers(record: &Record) -> String {
    let one = |(name, value): (&Bytes, Option<&Bytes>)| {
        let name = Safe::from_bytes(name);
        value.map_or_else(|| format!("{name}=null"), |value| format!("{name}={}", Safe::preview(value, 64)))
    };
    record.headers.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn event_type(record: &Record) -> String {
    let event = envelope::extract(record);
    match (event.type_, event.version) {
        (Some(name), Some(version)) => format!("{name} v{}", version.trim_start_matches('v')),
        (Some(name), None) => name,
        (None, _) => String::new(),
    }
}

fn value(record: &Record) -> Cell {
    match record.value.as_deref() {
        None => Cell::new("null (tombstone)", Role::Warn),
        Some([]) => Cell::new("empty", Role::Dim),
        Some(bytes) => {
            // The columns before it say what an envelope holds beside its data.
            let data = memmem::find(bytes, b"\"data\":").filter(|_| !event_type(record).is_empty());
            Safe::preview(&bytes[data.unwrap_or(0)..], 512).as_str().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_topics_each_row_says_its_own() {
        let ring = Ring::default();
        let titles = |topics| {
            let rows = Rows { ring: &ring, look: None, shows: Shows { topics, ..Shows::default() } };
            rows.columns().iter().map(|column| column.title).collect::<Vec<_>>()
        };
        assert_eq!(titles(false), ["TIME", "P", "OFFSET", "KEY", "TYPE", "VALUE"]);
        assert_eq!(titles(true), ["TIME", "TOPIC", "P", "OFFSET", "KEY", "TYPE", "VALUE"]);
    }
}
