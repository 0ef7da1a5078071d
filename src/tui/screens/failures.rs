//! The failures of a dead-letter topic: why its letters failed, the most pending first.

use std::cmp::Ordering;
use std::sync::Arc;

use super::View;
use super::asking::Asking;
use super::look::short_class;
use crate::ask::{Answer, Request};
use crate::dlq::groups::FailureRow;
use crate::letters::document::{FailuresAnswer, FailuresRequest};
use crate::observe::snapshot::Snapshot;
use crate::text::units::{self, count, or_dash};
use crate::text::{Fault, Safe, Timestamp, width};
use crate::tui::command::Scope;
use crate::tui::hits::Hits;
use crate::tui::state::State;
use crate::tui::theme::{Role, Sign};
use crate::tui::widgets::line::wrap;
use crate::tui::widgets::list::{Cell, Column, List, Source};
use crate::tui::widgets::{Pen, spark, table};

/// Cells of a history: a minute each.
const MINUTES: usize = 15;

/// The screen.
#[derive(Debug)]
pub struct Failures {
    request: FailuresRequest,
    asking: Asking,
    answer: Option<Arc<FailuresAnswer>>,
    /// What the topic's row said when it was asked last: another row is a reason to ask again.
    seen: Option<(u64, Option<u64>)>,
    list: List,
}

impl Failures {
    /// The failures of a selection of letters.
    pub fn new(request: FailuresRequest) -> Self {
        Self { request, asking: Asking::new(), answer: None, seen: None, list: List::default() }
    }

    /// The dead-letter topic.
    pub fn topic(&self) -> &Arc<str> {
        &self.request.topic
    }

    /// The failure under the cursor.
    pub fn current(&self) -> Option<&FailureRow> {
        self.answer.as_ref()?.failures.get(self.list.row()?)
    }

    /// The ids of the marked failures.
    pub fn marked(&self) -> Vec<Arc<str>> {
        self.list.marks.iter().cloned().collect()
    }

    /// The number of failures.
    pub fn count(&self) -> usize {
        self.rows().len()
    }

    /// Asks again.
    pub fn again(&mut self) {
        self.asking.again();
    }

    fn rows(&self) -> &[FailureRow] {
        self.answer.as_ref().map_or(&[], |answer| &answer.failures)
    }
}

struct Rows<'r> {
    rows: &'r [FailureRow],
    now: Timestamp,
}

impl Source for Rows<'_> {
    fn columns(&self) -> &'static [Column] {
        const {
            &[
                Column::text("FAILURE", 22, 70, 0),
                Column::figure("PENDING", 7, 0),
                Column::figure("KEYS", 5, 3),
                Column::figure("FIRST", 6, 4),
                Column::figure("LAST", 6, 1),
                Column::text("15 min", MINUTES as u16, MINUTES as u16, 2),
            ]
        }
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn key(&self, row: usize) -> Arc<str> {
        self.rows.get(row).map_or_else(|| "".into(), |row| Arc::clone(&row.id))
    }

    fn cell(&self, row: usize, column: usize) -> Cell {
        let Some(row) = self.rows.get(row) else { return "".into() };
        let age = |at: Option<Timestamp>| or_dash(at, |at| units::age(self.now.since(at)));
        match column {
            0 => match row.pending {
                Some(0) => Cell::new(format!("{} {}", Sign::Ok.glyph(), title(row)), Role::Dim),
                _ => Cell::new(format!("{} {}", Sign::Fail.glyph(), title(row)), Role::Fail),
            },
            1 => Cell::new(or_dash(row.pending, count), Role::Title),
            2 => keys(row).into(),
            3 => age(row.first_timestamp).into(),
            4 => age(row.last_timestamp).into(),
            _ => {
                let history = row.arrivals.iter().map(|n| Some(*n as f64));
                Cell::new(spark::bars(history, MINUTES), Role::Chart)
            }
        }
    }

    fn fault(&self, row: usize) -> Option<bool> {
        self.rows.get(row).map(|failure| failure.pending != Some(0))
    }

    fn text(&self, row: usize) -> String {
        let Some(row) = self.rows.get(row) else { return String::new() };
        let parts = [&row.error_class, &row.root_cause_class, &row.frame, &row.message, &row.group];
        parts.into_iter().flatten().map(|part| &**part).collect::<Vec<_>>().join(" ")
    }

    fn compare(&self, a: usize, b: usize, column: usize) -> Ordering {
        let (Some(a), Some(b)) = (self.rows.get(a), self.rows.get(b)) else { return Ordering::Equal };
        match column {
            0 => title(a).cmp(title(b)),
            1 => a.pending.cmp(&b.pending),
            2 => a.keys.cmp(&b.keys),
            3 => a.first_timestamp.cmp(&b.first_timestamp),
            4 => a.last_timestamp.cmp(&b.last_timestamp),
            _ => a.arrivals.iter().sum::<u64>().cmp(&b.arrivals.iter().sum()),
        }
    }

    fn details(&self) -> usize {
        2
    }

    fn detail(&self, row: usize, line: usize) -> Vec<(String, Role)> {
        let Some(row) = self.rows.get(row) else { return Vec::new() };
        if line == 1 {
            return row.message.iter().map(|text| (format!("\"{text}\""), Role::Dim)).collect();
        }
        let frame = row.frame.as_ref().map_or_else(String::new, |frame| format!("at {frame}"));
        let mut out = vec![(width::left(&frame, 44.max(width::width(&frame) + 2)), Role::Text)];
        if let Some(group) = &row.group {
            out.push((group.to_string(), Role::Value));
        }
        if let Some(topic) = &row.origin_topic {
            out.push((" ← ".to_owned(), Role::Dim));
            out.push((topic.to_string(), Role::Value));
        }
        out
    }
}

/// The number of keys; one that is an estimate is marked.
fn keys(row: &FailureRow) -> String {
    if row.keys_estimated { format!("~{}", units::short(row.keys)) } else { count(row.keys) }
}

/// A failure's name without its package.
pub fn title(row: &FailureRow) -> &str {
    let class = row.root_cause_class.as_deref().or(row.error_class.as_deref());
    class.map_or("failure without a class", short_class)
}

impl View for Failures {
    fn scope(&self) -> Scope {
        Scope::Failures
    }

    fn crumb(&self) -> String {
        self.request.topic.to_string()
    }

    fn status(&self, state: &State) -> String {
        let Some(answer) = &self.answer else { return String::new() };
        let pending: Option<u64> = answer.failures.iter().map(|row| row.pending).sum();
        let mut parts = vec![format!("{} pending", or_dash(pending, count))];
        if !answer.complete {
            parts.push(format!("of the first {} read", count(answer.scanned)));
        }
        // What waiting costs: from then on open letters are lost.
        let row = state.picture.dead_letters.iter().find(|row| row.topic == answer.topic);
        if let Some(at) = row.and_then(|row| row.expires_at) {
            parts.push(match at.since(state.now) {
                left if left > 0 => format!("expires in {}", units::age(left)),
                _ => "expires now".to_owned(),
            });
        }
        parts.join(" · ")
    }

    fn list(&self) -> Option<&List> {
        Some(&self.list)
    }

    fn list_mut(&mut self) -> Option<&mut List> {
        Some(&mut self.list)
    }

    fn preview(&self, state: &State, pen: &mut Pen<'_>) -> bool {
        let Some(row) = self.current() else { return false };
        let known = |text: &Option<Arc<str>>| text.as_deref().unwrap_or(units::DASH).to_owned();
        let time = |at: Option<Timestamp>| or_dash(at, |at| state.times.full(at));
        let facts = [
            ("root cause", known(&row.root_cause_class)),
            ("thrown", known(&row.error_class)),
            ("at", known(&row.frame)),
            ("group", known(&row.group)),
            ("origin", known(&row.origin_topic)),
            ("letters", format!("{}, of which {} pending", count(row.count), or_dash(row.pending, count))),
            ("first", time(row.first_timestamp)),
            ("last", time(row.last_timestamp)),
            ("failure", row.id.to_string()),
        ];
        for (y, (name, text)) in (0..).zip(&facts) {
            pen.put(1, y, name, Role::Key);
            pen.put(12, y, text, Role::Text);
        }
        let cells = usize::from(pen.width().saturating_sub(2));
        let message = Safe::new(row.message.as_deref().unwrap_or_default());
        for (y, line) in (10..).zip(wrap(message.as_str(), cells, 8)) {
            pen.put(1, y, &line, Role::Dim);
        }
        true
    }

    fn source<'s>(&'s self, state: &'s State) -> Option<Box<dyn Source + 's>> {
        Some(Box::new(Rows { rows: self.rows(), now: state.now }))
    }

    fn refresh(&mut self, picture: &Arc<Snapshot>) {
        let row = picture.dead_letters.iter().find(|row| row.topic == self.request.topic);
        let now = row.map(|row| (row.scanned, row.pending));
        if self.seen != now {
            self.seen = now;
            self.asking.again();
        }
        let answer = self.answer.clone();
        let rows = answer.as_ref().map_or(&[][..], |answer| &answer.failures);
        self.list.refresh(&Rows { rows, now: picture.taken });
    }

    fn wants(&mut self, _: &Arc<Snapshot>) -> Option<Request> {
        self.asking.due().then(|| Request::Failures(self.request.clone()))
    }

    fn asking(&self) -> Option<&Asking> {
        Some(&self.asking)
    }

    fn asking_mut(&mut self) -> Option<&mut Asking> {
        Some(&mut self.asking)
    }

    fn answered(&mut self, answer: Result<Answer, Fault>) {
        if let Some(Answer::Failures(answer)) = self.asking.answered(answer) {
            self.answer = Some(answer);
        }
    }

    fn command_line(&self) -> Option<String> {
        Some(format!("dlq failures {}", super::plan::quoted(&self.request.topic)))
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
        if self.rows().is_empty() {
            let why = format!("no dead letter in {} has a failure to show", self.request.topic);
            self.asking.draw(pen, self.answer.is_some(), &why, "letters show up here as soon as they arrive");
            return;
        }
        let rows = Rows { rows: self.rows(), now: state.now };
        table::draw(pen, &self.list, &rows, table::Cursor::Shown, hits);
    }
}
