//! Records of topics: the latest ones, a range, or new ones as they come.
//!
//! What was read is kept in a ring that is bounded in bytes and in records; what falls out is counted and told. Of
//! several topics, each row says its own.

use std::sync::Arc;

use super::View;
use super::asking::Asking;
use super::look::Look;
use super::plan::quoted;
use super::query::{LATEST, add_selection, parse_query, query_text};
use super::record_rows::{Rows, Shows};
use super::ring::Ring;
use super::subject::{Among, Subject};
use crate::ask::{Answer, Event, Request};
use crate::broker::Name;
use crate::event::Record;
use crate::filter::{Edge, Selection};
use crate::observe::snapshot::Snapshot;
use crate::records::document::{TailAnswer, TailRequest, Wanted};
use crate::text::units::{self, count};
use crate::text::{Fault, Timestamp};
use crate::tui::command::Scope;
use crate::tui::hits::Hits;
use crate::tui::message::RequestId;
use crate::tui::state::State;
use crate::tui::theme::{Role, Sign};
use crate::tui::widgets::list::{List, Source};
use crate::tui::widgets::{Pen, table};

/// Records before and behind the cursor that an inspector can go to.
const AROUND: usize = 500;

/// The screen.
#[derive(Debug)]
pub struct Records {
    request: TailRequest,
    asking: Asking,
    ring: Ring,
    /// Records that came faster than they were taken.
    dropped: u64,
    ended: Option<Arc<TailAnswer>>,
    /// What was read before it stopped, and went on.
    before: Option<Arc<TailAnswer>>,
    list: List,
    /// The number that the next record to be listed has.
    listed: usize,
    /// What the rows show besides.
    shows: Shows,
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

    /// New records of topics as they come.
    pub fn following(topics: Vec<Name>) -> Self {
        let selection = Selection { from: Some(Edge::Last(10)), ..Selection::default() };
        Self::new(TailRequest { topics, selection, follow: true, wanted: Wanted::Whole, after: Vec::new() })
    }

    /// The records that fit a request.
    pub fn new(request: TailRequest) -> Self {
        // What comes from several partitions is put in order of time; what is followed, as it comes.
        let list = if request.follow { List::default() } else { List::sorted(Some(0), false) };
        let shows = Shows::of(&request);
        Self {
            request,
            asking: Asking::new(),
            ring: Ring::default(),
            dropped: 0,
            ended: None,
            before: None,
            list,
            listed: 0,
            shows,
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
        self.shows.hues = self.request.follow;
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
        self.ring.toggle_held();
        if !self.ring.is_held() {
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
        self.shows.topics = self.request.topics.len() > 1;
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
        self.dropped = 0;
        (self.ended, self.before) = (None, None);
        self.request.after.clear();
        self.order();
        self.asking.instead()
    }

    fn take(&mut self, records: Vec<Record>) {
        self.ring.take(records);
        if !self.ring.is_held() {
            let at_end = self.at_end();
            let rows = Rows { ring: &self.ring, look: None, shows: self.shows };
            let new = self.listed.max(rows.first())..rows.rows().end;
            self.listed = new.end;
            self.list.extend(&rows, new);
            self.keep_at_end(at_end);
        }
    }

    /// Lists what is in the ring.
    fn order(&mut self) {
        let at_end = self.at_end();
        let rows = Rows { ring: &self.ring, look: None, shows: self.shows };
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
        Rows { ring: &self.ring, look, shows: self.shows }
    }

    fn counters(&self) -> Vec<(String, Role)> {
        let mut out = Vec::new();
        let mut add = |text: String, role| {
            out.push((if out.is_empty() { " " } else { " · " }.to_owned(), Role::Dim));
            out.push((text, role));
        };
        // Of what is followed this is in view however narrow the terminal is.
        let losses = self.losses();
        let (first, last) = losses.split_at(if self.request.follow { losses.len() } else { 0 });
        for (text, role) in first {
            add(text.clone(), *role);
        }
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
            add(format!("{} matched", count(self.ring.came() + self.dropped)), Role::Text);
        }
        if self.ring.fell_out() > 0 {
            // Of what is followed nobody expects more; of a search it is a part only.
            let role = if self.request.follow { Role::Dim } else { Role::Warn };
            add(format!("the last {} kept", count(self.ring.listed().len() as u64)), role);
        }
        for (text, role) in last {
            add(text.clone(), *role);
        }
        out
    }

    /// Records that were never shown, and those that wait.
    fn losses(&self) -> Vec<(String, Role)> {
        let dropped = self.dropped + self.ring.passed();
        let role = if dropped > 0 { Role::Warn } else { Role::Dim };
        let mut out = vec![(format!("dropped {}", count(dropped)), role)];
        if self.ring.is_held() {
            out.push((format!("PAUSED +{}", count(self.ring.waiting())), Role::Mark));
        }
        out
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
        if !self.ring.is_held() {
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
    use super::super::ring::tests::record;
    use super::*;

    #[test]
    fn the_newest_record_is_followed() {
        let mut screen = Records::following(vec!["orders".into()]);
        screen.take((0..10_005).map(|offset| record(offset, 1)).collect());
        assert_eq!(screen.current().map(|r| r.at.offset), Some(10_004));
    }

    #[test]
    fn a_held_list_stays_while_records_are_counted() {
        let mut screen = Records::following(vec!["orders".into()]);
        screen.take(vec![record(0, 1)]);
        screen.toggle_held();
        screen.take((1..20_000).map(|offset| record(offset, 1)).collect());
        assert_eq!((screen.list.order.len(), screen.ring.waiting()), (1, 19_999));
        assert_eq!(screen.current().map(|r| r.at.offset), Some(0), "what is seen is still there");
        screen.toggle_held();
        assert_eq!((screen.list.order.len(), screen.ring.waiting()), (10_000, 0));
        assert_eq!(screen.current().map(|r| r.at.offset), Some(19_999));
    }
}
