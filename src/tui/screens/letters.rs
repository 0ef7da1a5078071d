//! The letters of a dead-letter topic or of one failure, with their states.

use std::cmp::Ordering;
use std::sync::Arc;

use super::View;
use super::asking::Asking;
use super::look::{Look, key_text, place, short_class};
use super::query::{add_selection, parse_query, query_text};
use super::subject::{Among, Subject};
use crate::ask::{Answer, Request};
use crate::filter::Selection;
use crate::ledger::Disposition;
use crate::letters::document::{LetterRow, LettersAnswer, LettersRequest};
use crate::observe::snapshot::Snapshot;
use crate::text::units::{count, or_dash};
use crate::text::{Fault, Timestamp};
use crate::tui::command::Scope;
use crate::tui::hits::Hits;
use crate::tui::message::RequestId;
use crate::tui::state::State;
use crate::tui::theme::Role;
use crate::tui::widgets::list::{Cell, Column, List, Source};
use crate::tui::widgets::{Pen, table};

/// So many letters are listed; a plan is made for all of them nevertheless.
const MOST: u64 = 2_000;

/// The screen.
#[derive(Debug)]
pub struct Letters {
    request: LettersRequest,
    name: String,
    asking: Asking,
    answer: Option<Arc<LettersAnswer>>,
    seen: Option<(u64, Option<u64>)>,
    list: List,
}

impl Letters {
    /// The letters that fit a request; `name` is the failure's, for the crumbs.
    pub fn new(mut request: LettersRequest, name: String) -> Self {
        request.selection.limit = Some(MOST);
        Self { request, name, asking: Asking::new(), answer: None, seen: None, list: List::default() }
    }

    /// What is asked.
    pub fn request(&self) -> &LettersRequest {
        &self.request
    }

    /// Which letters are listed, as a query.
    pub fn query(&self) -> String {
        query_text(&Selection { limit: None, ..self.request.selection.clone() })
    }

    /// Lists the letters that fit a query; the error says what is wrong with it.
    pub fn set_query(&mut self, text: &str, now: Timestamp) -> Result<Option<RequestId>, String> {
        // A list of records begins near the end, one of letters with all of them.
        let mut selection = parse_query(text, None, now)?;
        selection.limit = selection.limit.map_or(Some(MOST), |limit| Some(limit.min(MOST)));
        self.request.selection = selection;
        self.list.marks.clear();
        self.answer = None;
        Ok(self.asking.instead())
    }

    /// Shows pending letters, then those of all states, then those of each other state.
    pub fn toggle_state(&mut self) -> Option<RequestId> {
        self.request.state = match self.request.state {
            Some(Disposition::Pending | Disposition::Released) => None,
            None => Some(Disposition::Parked),
            Some(Disposition::Parked) => Some(Disposition::Discarded),
            Some(Disposition::Discarded) => Some(Disposition::Redriven),
            Some(Disposition::Redriven) => Some(Disposition::Duplicate),
            Some(Disposition::Duplicate) => Some(Disposition::Pending),
        };
        self.list.marks.clear();
        self.answer = None;
        self.asking.instead()
    }

    /// Asks again.
    pub fn again(&mut self) {
        self.asking.again();
    }

    /// The positions of the marked letters, else none.
    pub fn marked(&self) -> Vec<(i32, i64)> {
        let at = |key: &Arc<str>| {
            let (partition, offset) = key.split_once('/')?;
            Some((partition.parse().ok()?, offset.parse().ok()?))
        };
        self.list.marks.iter().filter_map(at).collect()
    }

    /// The letter under the cursor.
    pub fn current(&self) -> Option<&LetterRow> {
        self.rows().get(self.list.row()?)
    }

    /// The letters as they are listed, and where the cursor is in them.
    pub fn among(&self) -> Among {
        let rows = self.rows();
        let listed = self.list.order.iter().filter_map(|(row, _)| rows.get(*row).cloned());
        Among { of: "letter", list: listed.map(Subject::Letter).collect(), at: self.list.cursor }
    }

    fn rows(&self) -> &[LetterRow] {
        self.answer.as_ref().map_or(&[], |answer| &answer.letters)
    }
}

struct Rows<'r> {
    rows: &'r [LetterRow],
    look: Option<Look<'r>>,
}

impl Source for Rows<'_> {
    fn columns(&self) -> &'static [Column] {
        const {
            &[
                Column::text("TIME", 12, 12, 0),
                Column::figure("P", 2, 5),
                Column::figure("OFFSET", 6, 4),
                Column::text("KEY", 10, 24, 0),
                Column::text("STATE", 11, 11, 1),
                Column::figure("TRIES", 5, 6),
                Column::text("ORIGIN", 10, 30, 3),
                Column::text("ERROR", 12, 90, 2),
            ]
        }
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn key(&self, row: usize) -> Arc<str> {
        let at = self.rows.get(row).map(|row| &row.letter.record.at);
        at.map_or_else(|| "".into(), |at| format!("{}/{}", at.partition, at.offset).into())
    }

    fn cell(&self, row: usize, column: usize) -> Cell {
        let Some(row) = self.rows.get(row) else { return "".into() };
        let letter = &row.letter;
        let at = &letter.record.at;
        match column {
            0 => {
                let time = letter.record.timestamp();
                Cell::new(self.look.map_or_else(String::new, |look| look.time(time)), Role::Dim)
            }
            1 => at.partition.to_string().into(),
            2 => count(at.offset.unsigned_abs()).into(),
            3 => key_text(&letter.record),
            4 => super::failure::disposition(row),
            5 => or_dash(letter.attempts, |n| count(u64::from(n))).into(),
            6 => match &letter.root.topic {
                Some(topic) => place(Some(topic), letter.root.partition, letter.root.offset).into(),
                None => Cell::new("not known", Role::Dim),
            },
            _ => error(row).into(),
        }
    }

    fn fault(&self, row: usize) -> Option<bool> {
        let open = |state| matches!(state, Disposition::Pending | Disposition::Parked);
        self.rows.get(row).map(|row| row.state.is_none_or(open))
    }

    fn subject(&self, row: usize) -> Option<Subject> {
        self.rows.get(row).cloned().map(Subject::Letter)
    }

    fn text(&self, row: usize) -> String {
        let Some(row) = self.rows.get(row) else { return String::new() };
        let origin = row.letter.root.topic.as_deref().unwrap_or_default();
        format!("{} {} {origin}", key_text(&row.letter.record).text, error(row))
    }

    fn compare(&self, a: usize, b: usize, column: usize) -> Ordering {
        let (Some(a), Some(b)) = (self.rows.get(a), self.rows.get(b)) else { return Ordering::Equal };
        let (x, y) = (&a.letter, &b.letter);
        match column {
            0 => x.record.timestamp().cmp(&y.record.timestamp()),
            1 => x.record.at.partition.cmp(&y.record.at.partition),
            2 => x.record.at.offset.cmp(&y.record.at.offset),
            3 => x.record.key.cmp(&y.record.key),
            4 => a.state.map(Disposition::as_str).cmp(&b.state.map(Disposition::as_str)),
            5 => x.attempts.cmp(&y.attempts),
            6 => {
                let of = |letter: &crate::dlq::Letter| {
                    (letter.root.topic.clone(), letter.root.partition, letter.root.offset)
                };
                of(x).cmp(&of(y))
            }
            _ => error(a).cmp(&error(b)),
        }
    }
}

fn error(row: &LetterRow) -> String {
    let letter = &row.letter;
    let class = letter.root_cause_class.as_deref().or(letter.error_class.as_deref()).map(short_class);
    match (class, letter.message.as_deref()) {
        (Some(class), Some(message)) => format!("{class}: {message}"),
        (Some(text), None) | (None, Some(text)) => text.to_owned(),
        (None, None) => "not told".to_owned(),
    }
}

impl View for Letters {
    fn scope(&self) -> Scope {
        Scope::Letters
    }

    fn crumb(&self) -> String {
        self.name.clone()
    }

    fn status(&self, _: &State) -> String {
        let which = self.request.state.map_or("in all states", Disposition::as_str);
        let text = match &self.answer {
            Some(answer) if (answer.letters.len() as u64) < answer.total => {
                format!("first {} of {} {which}", count(answer.letters.len() as u64), count(answer.total))
            }
            Some(answer) => format!("{} {which}", count(answer.total)),
            None => which.to_owned(),
        };
        let query = self.query();
        if query.is_empty() { text } else { format!("{text} where {query}") }
    }

    fn list(&self) -> Option<&List> {
        Some(&self.list)
    }

    fn list_mut(&mut self) -> Option<&mut List> {
        Some(&mut self.list)
    }

    fn preview(&self, state: &State, pen: &mut Pen<'_>) -> bool {
        let Some(row) = self.current() else { return false };
        super::inspector::peek(&Subject::Letter(row.clone()), state, pen);
        true
    }

    fn source<'s>(&'s self, state: &'s State) -> Option<Box<dyn Source + 's>> {
        Some(Box::new(Rows { rows: self.rows(), look: Some(Look::of(state)) }))
    }

    fn refresh(&mut self, picture: &Arc<Snapshot>) {
        let row = picture.dead_letters.iter().find(|row| row.topic == self.request.topic);
        let now = row.map(|row| (row.scanned, row.pending));
        if self.seen != now {
            self.seen = now;
            self.asking.again();
        }
        let answer = self.answer.clone();
        let rows = answer.as_ref().map_or(&[][..], |answer| &answer.letters);
        self.list.refresh(&Rows { rows, look: None });
    }

    fn wants(&mut self, _: &Arc<Snapshot>) -> Option<Request> {
        self.asking.due().then(|| Request::Letters(self.request.clone()))
    }

    fn asking(&self) -> Option<&Asking> {
        Some(&self.asking)
    }

    fn asking_mut(&mut self) -> Option<&mut Asking> {
        Some(&mut self.asking)
    }

    fn answered(&mut self, answer: Result<Answer, Fault>) {
        if let Some(Answer::Letters(answer)) = self.asking.answered(answer) {
            self.answer = Some(answer);
        }
    }

    fn command_line(&self) -> Option<String> {
        let mut out = format!("dlq letters {}", super::plan::quoted(&self.request.topic));
        if let Some(failure) = &self.request.failure {
            out.push_str(" --failure ");
            out.push_str(&super::plan::quoted(failure));
        }
        match self.request.state {
            Some(state) if state.is_pending() => {}
            state => {
                out.push_str(" --state ");
                out.push_str(state.map_or("all", Disposition::as_str));
            }
        }
        add_selection(&self.request.selection, &mut out);
        Some(out)
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
        if self.rows().is_empty() {
            let which = self.request.state.map_or_else(String::new, |state| format!("{} ", state.as_str()));
            let why = format!("there is no {which}letter here");
            self.asking.draw(pen, self.answer.is_some(), &why, "tab shows letters in other states");
            return;
        }
        let rows = Rows { rows: self.rows(), look: Some(Look::of(state)) };
        table::draw(pen, &self.list, &rows, table::Cursor::Shown, hits);
    }
}
