//! Records of topics: the latest ones, a range, or new ones as they come.
//!
//! What was read is kept in a ring that is bounded in bytes and in records; what falls out is counted and told.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use memchr::memmem;

use super::View;
use super::asking::Asking;
use super::look::{Look, key_text};
use super::plan::quoted;
use super::query::{LATEST, add_selection, parse_query, query_text};
use super::subject::{Among, Subject};
use crate::ask::{Answer, Event, Request};
use crate::broker::Name;
use crate::event::{Record, envelope};
use crate::filter::{Edge, Selection};
use crate::observe::snapshot::Snapshot;
use crate::records::document::{TailAnswer, TailRequest, Wanted};
use crate::text::units::{self, DASH, count};
use crate::text::{Fault, Safe, Timestamp};
use crate::tui::command::Scope;
use crate::tui::hits::Hits;
use crate::tui::message::RequestId;
use crate::tui::state::State;
use crate::tui::theme::{Role, Sign};
use crate::tui::widgets::list::{Cell, Column, List, Source};
use crate::tui::widgets::{Pen, table};

/// The ring holds so many bytes.
const RING_BYTES: usize = 64 << 20;
/// The ring holds so many records.
const RING_RECORDS: usize = 10_000;
/// Records before and behind the cursor that an inspector can go to.
const AROUND: usize = 500;

/// The screen.
#[derive(Debug)]
pub struct Records {
    request: TailRequest,
    asking: Asking,
    ring: VecDeque<Arc<Record>>,
    bytes: usize,
    /// Records that fell out of the ring.
    fell_out: u64,
    /// Records that came faster than they were taken.
    dropped: u64,
    ended: Option<Arc<TailAnswer>>,
    /// What was read before it stopped, and went on.
    before: Option<Arc<TailAnswer>>,
    list: List,
    /// The number that the next record to be listed has.
    listed: usize,
    /// Held: records are taken, but not listed.
    held: bool,
    waiting: u64,
    /// What the rows show besides.
    shows: Shows,
}

/// What the rows show besides, or in another way.
#[derive(Clone, Copy, Debug, Default)]
struct Shows {
    /// Headers in a column of their own.
    headers: bool,
    /// The time since the record before.
    deltas: bool,
}

impl Records {
    /// The latest records of a topic.
    pub fn latest(topic: &str) -> Self {
        let selection = Selection { from: Some(Edge::Last(LATEST)), ..Selection::default() };
        Self::new(TailRequest {
            topics: vec![topic.into()],
            selection,
            follow: false,
            wanted: Wanted::Whole,
            after: Vec::new(),
        })
    }

    /// New records of a topic as they come.
    pub fn following(topic: &str) -> Self {
        let selection = Selection { from: Some(Edge::Last(10)), ..Selection::default() };
        Self::new(TailRequest {
            topics: vec![topic.into()],
            selection,
            follow: true,
            wanted: Wanted::Whole,
            after: Vec::new(),
        })
    }

    /// The records that fit a request.
    pub fn new(request: TailRequest) -> Self {
        // What comes from several partitions is put in order of time; what is followed, as it comes.
        let list = if request.follow { List::default() } else { List::sorted(Some(0), false) };
        Self {
            request,
            asking: Asking::new(),
            ring: VecDeque::new(),
            bytes: 0,
            fell_out: 0,
            dropped: 0,
            ended: None,
            before: None,
            list,
            listed: 0,
            held: false,
            waiting: 0,
            shows: Shows::default(),
        }
    }

    /// The record under the cursor.
    pub fn current(&self) -> Option<&Arc<Record>> {
        self.rows(None).record(self.list.row()?)
    }

    /// The records around the cursor.
    pub fn among(&self) -> Among {
        let from = self.list.cursor.saturating_sub(AROUND);
        let near = self.list.order.iter().skip(from).take(2 * AROUND + 1);
        let rows = self.rows(None);
        let list = near.filter_map(|(row, _)| rows.record(*row)).map(|r| Subject::Record(Arc::clone(r)));
        Among { of: "record", list: list.collect(), at: self.list.cursor - from }
    }

    /// Follows new records, or stops; the request to take back.
    pub fn toggle_follow(&mut self) -> Option<RequestId> {
        self.request.follow = !self.request.follow;
        if !self.request.follow {
            // What was read stays; nothing is read anew.
            let taken_back = self.asking.waits_for();
            self.asking = Asking::nothing();
            return taken_back;
        }
        self.request.selection.from = Some(Edge::Last(10));
        self.request.selection.to = None;
        self.restart()
    }

    /// Whether new records are followed.
    pub fn follows(&self) -> bool {
        self.request.follow
    }

    /// Lists what came while it was held, or holds the list.
    pub fn toggle_held(&mut self) {
        self.held = !self.held;
        if !self.held {
            self.waiting = 0;
            self.order();
        }
    }

    /// Shows headers in a column of their own, or no longer.
    pub fn toggle_headers(&mut self) {
        self.shows.headers = !self.shows.headers;
    }

    /// Shows the time since the record before, or when it was.
    pub fn toggle_deltas(&mut self) {
        self.shows.deltas = !self.shows.deltas;
    }

    /// The topics that are read.
    pub fn topics(&self) -> &[Name] {
        &self.request.topics
    }

    /// What is read of them.
    pub fn selection(&self) -> &Selection {
        &self.request.selection
    }

    /// Reads something else; the request to take back.
    pub fn search(&mut self, request: TailRequest) -> Option<RequestId> {
        self.request = request;
        self.restart()
    }

    /// Whether it stopped before its end.
    pub fn is_stopped(&self) -> bool {
        self.asking.waits_for().is_none() && self.ended.as_ref().is_some_and(|end| !end.complete)
    }

    /// Goes on where it stopped; whether there is anything to go on with.
    pub fn read_on(&mut self) -> bool {
        if !self.is_stopped() {
            return false;
        }
        if let Some(end) = self.ended.take() {
            let next =
                end.ranges.iter().map(|(topic, partition, _, next)| (Name::clone(topic), *partition, *next));
            self.request.after = next.collect();
            self.before = Some(end);
        }
        self.asking.again();
        true
    }

    /// The query as it may be typed again.
    pub fn query(&self) -> String {
        query_text(&self.request.selection)
    }

    /// Reads something else; the error says what is wrong with the query.
    pub fn set_query(&mut self, text: &str, now: Timestamp) -> Result<Option<RequestId>, String> {
        self.request.selection = parse_query(text, Some(Edge::Last(LATEST)), now)?;
        if self.request.selection.to.is_some() {
            self.request.follow = false;
        }
        Ok(self.restart())
    }

    /// Reads everything again.
    pub fn restart(&mut self) -> Option<RequestId> {
        self.ring.clear();
        (self.bytes, self.fell_out, self.dropped, self.waiting) = (0, 0, 0, 0);
        (self.ended, self.before) = (None, None);
        self.request.after.clear();
        self.order();
        self.asking.instead()
    }

    fn take(&mut self, records: Vec<Record>) {
        if self.held {
            self.waiting += records.len() as u64;
        }
        for record in records {
            self.bytes += record.size();
            self.ring.push_back(Arc::new(record));
        }
        while self.ring.len() > RING_RECORDS || (self.bytes > RING_BYTES && self.ring.len() > 1) {
            let Some(oldest) = self.ring.pop_front() else { break };
            self.bytes -= oldest.size();
            self.fell_out += 1;
        }
        if !self.held {
            let at_end = self.at_end();
            let rows = rows(&self.ring, self.fell_out, self.shows, None);
            let new = self.listed.max(rows.first)..rows.rows().end;
            self.listed = new.end;
            self.list.extend(&rows, new);
            self.keep_at_end(at_end);
        }
    }

    /// Lists what is in the ring.
    fn order(&mut self) {
        let at_end = self.at_end();
        let rows = rows(&self.ring, self.fell_out, self.shows, None);
        self.listed = rows.rows().end;
        self.list.refresh(&rows);
        self.keep_at_end(at_end);
    }

    fn at_end(&self) -> bool {
        self.list.cursor + 1 >= self.list.order.len()
    }

    /// The cursor stays on the newest record where it was there.
    fn keep_at_end(&mut self, at_end: bool) {
        if at_end && self.request.follow {
            self.list.go(usize::MAX);
        }
    }

    fn rows<'r>(&'r self, look: Option<Look<'r>>) -> Rows<'r> {
        rows(&self.ring, self.fell_out, self.shows, look)
    }

    fn counters(&self) -> Vec<(String, Role)> {
        let mut out = Vec::new();
        let mut add = |text: String, role| {
            out.push((if out.is_empty() { " " } else { " · " }.to_owned(), Role::Dim));
            out.push((text, role));
        };
        match (&self.ended, self.asking.progress()) {
            (Some(end), _) => {
                match &end.incomplete_reason {
                    None => add(format!("complete: {}", end.covered()), Role::Ok),
                    Some(why) => {
                        add(format!("{} {why}: {}", Sign::Warn.glyph(), end.covered()), Role::Warn);
                    }
                }
                add(units::bytes(end.bytes), Role::Text);
                if end.filter_errors > 0 {
                    add(format!("condition failed on {}", count(end.filter_errors)), Role::Warn);
                }
                for note in &end.notes {
                    add(note.clone(), Role::Dim);
                }
            }
            (None, Some(progress)) => {
                let total = progress.total.map(|n| format!(" of {}", count(n))).unwrap_or_default();
                add(format!("read {}{total}", count(progress.done)), Role::Text);
                add(units::bytes(progress.bytes), Role::Text);
                if let Some((done, all)) = progress.partitions.filter(|_| progress.total.is_some()) {
                    add(format!("{done}/{all} partitions"), Role::Text);
                }
                if let Some((rate, left)) = progress.pace() {
                    add(units::rate(rate), Role::Text);
                    if let Some(left) = left {
                        add(format!("{} left", units::duration(left)), Role::Text);
                    }
                }
            }
            (None, None) => {}
        }
        if self.ended.is_none() {
            add(format!("{} matched", count(self.ring.len() as u64 + self.fell_out)), Role::Text);
        }
        let lost = self.fell_out + self.dropped;
        let role = if lost > 0 { Role::Warn } else { Role::Dim };
        add(format!("dropped {}", count(lost)), role);
        if self.held {
            add(format!("PAUSED +{}", count(self.waiting)), Role::Mark);
        }
        out
    }
}

/// The ring as rows: a row's number is how many records came before it, so that it stays when others fall out.
struct Rows<'r> {
    ring: &'r VecDeque<Arc<Record>>,
    first: usize,
    look: Option<Look<'r>>,
    shows: Shows,
}

fn rows<'r>(
    ring: &'r VecDeque<Arc<Record>>,
    fell_out: u64,
    shows: Shows,
    look: Option<Look<'r>>,
) -> Rows<'r> {
    Rows { ring, first: usize::try_from(fell_out).unwrap_or(0), look, shows }
}

/// The columns; headers, the last one, are there where they are wanted.
const COLUMNS: [Column; 7] = [
    Column::text("TIME", 12, 12, 1),
    Column::figure("P", 2, 3),
    Column::figure("OFFSET", 7, 2),
    Column::text("KEY", 10, 26, 0),
    Column::text("TYPE", 10, 26, 4),
    Column::text("VALUE", 16, 400, 0),
    Column::text("HEADERS", 24, 200, 0),
];

impl Source for Rows<'_> {
    fn columns(&self) -> &'static [Column] {
        match COLUMNS.split_last() {
            Some((_, without)) if !self.shows.headers => without,
            _ => &COLUMNS,
        }
    }

    fn len(&self) -> usize {
        self.ring.len()
    }

    fn rows(&self) -> Range<usize> {
        self.first..self.first + self.ring.len()
    }

    fn key(&self, row: usize) -> Arc<str> {
        let at = self.record(row).map(|record| &record.at);
        at.map_or_else(|| "".into(), |at| format!("{}/{}/{}", at.partition, at.offset, at.topic).into())
    }

    fn cell(&self, row: usize, column: usize) -> Cell {
        let Some(record) = self.record(row) else { return "".into() };
        match column {
            0 if self.shows.deltas => Cell::new(self.delta(row), Role::Dim),
            0 => {
                let time = self.look.map_or_else(String::new, |look| look.time(record.timestamp()));
                Cell::new(time, Role::Dim)
            }
            1 => record.at.partition.to_string().into(),
            2 => count(record.at.offset.unsigned_abs()).into(),
            3 => key_text(record),
            4 => Cell::new(event_type(record), Role::Value),
            5 => value(record),
            _ => Cell::new(headers(record), Role::Dim),
        }
    }

    fn subject(&self, row: usize) -> Option<Subject> {
        self.record(row).cloned().map(Subject::Record)
    }

    fn text(&self, row: usize) -> String {
        let Some(record) = self.record(row) else { return String::new() };
        let value = record.value.as_deref().unwrap_or_default();
        format!("{} {}", key_text(record).text, Safe::preview(value, 4096))
    }

    fn compare(&self, a: usize, b: usize, column: usize) -> Ordering {
        let (Some(a), Some(b)) = (self.record(a), self.record(b)) else { return Ordering::Equal };
        match column {
            0 => a.timestamp().cmp(&b.timestamp()),
            1 => a.at.partition.cmp(&b.at.partition),
            2 => a.at.offset.cmp(&b.at.offset),
            3 => a.key.cmp(&b.key),
            4 => event_type(a).cmp(&event_type(b)),
            6 => a.headers.len().cmp(&b.headers.len()),
            _ => a.value.as_ref().map(Bytes::len).cmp(&b.value.as_ref().map(Bytes::len)),
        }
    }
}

impl<'r> Rows<'r> {
    fn record(&self, row: usize) -> Option<&'r Arc<Record>> {
        self.ring.get(row.checked_sub(self.first)?)
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

impl View for Records {
    fn scope(&self) -> Scope {
        Scope::Records
    }

    fn crumb(&self) -> String {
        let topics: Vec<&str> = self.request.topics.iter().map(|topic| &**topic).collect();
        topics.join(", ")
    }

    fn status(&self, _: &State) -> String {
        let query = self.query();
        if self.request.follow { format!("{query} · following") } else { query }
    }

    fn list(&self) -> Option<&List> {
        Some(&self.list)
    }

    fn list_mut(&mut self) -> Option<&mut List> {
        Some(&mut self.list)
    }

    fn preview(&self, state: &State, pen: &mut Pen<'_>) -> bool {
        let Some(record) = self.current() else { return false };
        super::inspector::peek(&Subject::Record(Arc::clone(record)), state, pen);
        true
    }

    fn source<'s>(&'s self, state: &'s State) -> Option<Box<dyn Source + 's>> {
        Some(Box::new(self.rows(Some(Look::of(state)))))
    }

    fn refresh(&mut self, _: &Arc<Snapshot>) {
        if !self.held {
            self.order();
        }
    }

    fn wants(&mut self, _: &Arc<Snapshot>) -> Option<Request> {
        self.asking.due().then(|| Request::Tail(self.request.clone()))
    }

    fn asking(&self) -> Option<&Asking> {
        Some(&self.asking)
    }

    fn asking_mut(&mut self) -> Option<&mut Asking> {
        Some(&mut self.asking)
    }

    fn told(&mut self, event: Event) {
        match event {
            Event::Records(records) => self.take(records),
            event => self.asking.told(event),
        }
    }

    fn dropped(&mut self, records: u64) {
        self.dropped += records;
    }

    fn answered(&mut self, answer: Result<Answer, Fault>) {
        if let Some(Answer::Tail(answer)) = self.asking.answered(answer) {
            self.ended = Some(match self.before.take() {
                Some(before) => Arc::new(before.and(&answer)),
                None => answer,
            });
        }
        if !self.request.follow && self.list.order.is_empty() {
            self.order();
        }
    }

    fn command_line(&self) -> Option<String> {
        let selection = &self.request.selection;
        let mut out = "tail".to_owned();
        let mut add = |text: &str| {
            out.push(' ');
            out.push_str(&quoted(text));
        };
        self.request.topics.iter().for_each(|topic| add(topic));
        add_selection(selection, &mut out);
        if selection.uncommitted {
            out.push_str(" --isolation read_uncommitted");
        }
        if self.request.follow {
            out.push_str(" --follow");
        }
        Some(out)
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
        let last = pen.height().saturating_sub(1);
        let wide = pen.width();
        let counters = self.counters();
        let pieces: Vec<(&str, Role)> = counters.iter().map(|(text, role)| (text.as_str(), *role)).collect();
        pen.pieces(0, last, &pieces);
        let mut body = pen.part(0, 0, wide, last);
        if self.list.order.is_empty() {
            let hint = if self.request.follow {
                "waiting for new records"
            } else {
                "s changes what is read, f follows"
            };
            let answered = self.ended.is_some() || self.request.follow;
            self.asking.draw(&mut body, answered, "no record matches yet", hint);
            return;
        }
        let rows = self.rows(Some(Look::of(state)));
        table::draw(&mut body, &self.list, &rows, table::Cursor::Shown, hits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Position;

    fn record(offset: i64, bytes: usize) -> Record {
        Record {
            at: Position::new("orders", 0, offset),
            time: None,
            key: None,
            value: Some(vec![b'x'; bytes].into()),
            headers: crate::event::Headers::default(),
            lease: None,
        }
    }

    #[test]
    fn the_ring_is_bounded_in_bytes_and_counts_what_fell_out() {
        let mut screen = Records::following("orders");
        for offset in 0..10 {
            screen.take(vec![record(offset, 10 << 20)]);
        }
        assert!(screen.bytes <= RING_BYTES);
        assert_eq!((screen.ring.len(), screen.fell_out), (6, 4));
        // One that is larger than the ring is still seen.
        screen.take(vec![record(10, RING_BYTES + 1)]);
        assert_eq!((screen.ring.len(), screen.fell_out), (1, 10));
    }

    #[test]
    fn the_ring_is_bounded_in_records() {
        let mut screen = Records::following("orders");
        screen.take((0..RING_RECORDS as i64 + 5).map(|offset| record(offset, 1)).collect());
        assert_eq!((screen.ring.len(), screen.fell_out), (RING_RECORDS, 5));
        assert_eq!(
            screen.current().map(|r| r.at.offset),
            Some(RING_RECORDS as i64 + 4),
            "the newest is followed"
        );
    }

    #[test]
    fn a_held_list_stays_while_records_are_counted() {
        let mut screen = Records::following("orders");
        screen.take(vec![record(0, 1)]);
        screen.toggle_held();
        screen.take(vec![record(1, 1), record(2, 1)]);
        assert_eq!((screen.list.order.len(), screen.waiting), (1, 2));
        screen.toggle_held();
        assert_eq!((screen.list.order.len(), screen.waiting), (3, 0));
    }
}
