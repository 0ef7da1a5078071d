//! All dead-letter topics: what is lost, and how fast?

use std::cmp::Ordering;
use std::sync::Arc;

use super::super::command::Scope;
use super::super::hits::Hits;
use super::super::state::State;
use super::super::theme::{Role, Sign};
use super::super::widgets::Pen;
use super::super::widgets::list::{Cell, Column, List, Source};
use super::super::widgets::table::{self, Cursor};
use super::{View, empty, figure, order, words};
use crate::dlq::groups::DlqRow;
use crate::observe::snapshot::Snapshot;
use crate::text::{Timestamp, units};

/// The screen.
#[derive(Clone, Debug)]
pub struct Dlqs {
    list: List,
    /// Whether the foot of the screen tells of the topic under the cursor.
    pub described: bool,
}

impl Default for Dlqs {
    fn default() -> Self {
        Self { list: List::sorted(Some(PENDING), true), described: false }
    }
}

/// The column of pending letters.
const PENDING: usize = 3;

struct Rows<'p> {
    rows: &'p [DlqRow],
    now: Timestamp,
}

const COLUMNS: [Column; 10] = [
    Column::text("TOPIC", 14, 50, 0),
    Column::text("FROM", 9, 30, 3),
    Column::text("GROUP", 9, 30, 2),
    Column::figure("PENDING", 7, 0),
    Column::figure("+/min", 5, 1),
    Column::figure("OLDEST", 6, 1),
    Column::figure("EXPIRES", 7, 1),
    Column::text("TOP FAILURE", 11, 40, 4),
    Column::figure("REDRIVEN", 8, 5),
    Column::figure("PARKED", 6, 6),
];

fn several(names: &[Arc<str>]) -> Cell {
    match names {
        [] => words(None),
        [one] => (&**one).into(),
        [one, rest @ ..] => format!("{one} +{}", rest.len()).into(),
    }
}

impl Source for Rows<'_> {
    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn key(&self, row: usize) -> Arc<str> {
        self.rows.get(row).map(|dlq| Arc::clone(&dlq.topic)).unwrap_or_default()
    }

    fn cell(&self, row: usize, column: usize) -> Cell {
        let Some(dlq) = self.rows.get(row) else { return Cell::from("") };
        match column {
            0 => Cell::new(&*dlq.topic, Role::Title),
            1 => several(&dlq.sources),
            2 => several(&dlq.groups),
            3 => match dlq.pending {
                Some(0) => "0".into(),
                Some(n) => Cell::new(units::count(n), Role::Warn),
                None if !dlq.complete && dlq.error.is_none() => {
                    Cell::new(format!("{}…", units::short(dlq.scanned)), Role::Dim)
                }
                None => figure(None, units::count),
            },
            4 => figure(dlq.arrivals_per_minute, units::number),
            5 => figure(dlq.oldest_timestamp, |at| units::age(self.now.since(at))),
            6 => match dlq.expires_at.map(|at| at.since(self.now)) {
                Some(left) if dlq.expires_soon => {
                    let text = if left <= 0 { "now".to_owned() } else { units::age(left) };
                    Cell::new(format!("{} {text}", Sign::Warn.glyph()), Role::Warn)
                }
                left => figure(left, units::age),
            },
            7 => match (&dlq.error, &dlq.top_failure) {
                (Some(error), _) => Cell::new(format!("{} {error}", Sign::Fail.glyph()), Role::Fail),
                (None, failure) => words(failure.as_deref()),
            },
            8 => figure(dlq.redriven, units::count),
            _ => figure(dlq.parked, units::count),
        }
    }

    fn fault(&self, row: usize) -> Option<bool> {
        self.rows.get(row).map(|dlq| dlq.pending != Some(0) || dlq.error.is_some())
    }

    fn text(&self, row: usize) -> String {
        self.rows.get(row).map(|dlq| dlq.topic.to_string()).unwrap_or_default()
    }

    fn compare(&self, a: usize, b: usize, column: usize) -> Ordering {
        let (Some(a), Some(b)) = (self.rows.get(a), self.rows.get(b)) else { return Ordering::Equal };
        let by = match column {
            1 => a.sources.cmp(&b.sources),
            2 => a.groups.cmp(&b.groups),
            3 => a.pending.cmp(&b.pending),
            4 => order(a.arrivals_per_minute, b.arrivals_per_minute),
            5 => b.oldest_timestamp.cmp(&a.oldest_timestamp),
            6 => a.expires_at.cmp(&b.expires_at),
            7 => a.top_failure.cmp(&b.top_failure),
            8 => a.redriven.cmp(&b.redriven),
            9 => a.parked.cmp(&b.parked),
            _ => Ordering::Equal,
        };
        by.then_with(|| if column == 0 { a.topic.cmp(&b.topic) } else { b.topic.cmp(&a.topic) })
    }
}

impl Dlqs {
    /// The topic under the cursor.
    pub fn selected(&self) -> Option<Arc<str>> {
        self.list.key().cloned()
    }
}

impl View for Dlqs {
    fn scope(&self) -> Scope {
        Scope::Dlqs
    }

    fn crumb(&self) -> String {
        "dead letters".to_owned()
    }

    fn status(&self, _state: &State) -> String {
        format!("{} topics", units::count(self.list.total as u64))
    }

    fn list(&self) -> Option<&List> {
        Some(&self.list)
    }

    fn list_mut(&mut self) -> Option<&mut List> {
        Some(&mut self.list)
    }

    fn preview(&self, state: &State, pen: &mut Pen<'_>) -> bool {
        let dlq = self.list.row().and_then(|row| state.picture.dead_letters.get(row));
        let Some(dlq) = dlq.filter(|_| !self.described) else { return false };
        describe(state, dlq, pen);
        true
    }

    fn source<'s>(&'s self, state: &'s State) -> Option<Box<dyn Source + 's>> {
        Some(Box::new(Rows { rows: &state.picture.dead_letters, now: state.now }))
    }

    fn refresh(&mut self, picture: &Arc<Snapshot>) {
        self.list.refresh(&Rows { rows: &picture.dead_letters, now: picture.taken });
    }

    fn command_line(&self) -> Option<String> {
        Some("dlq list".to_owned())
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
        let rows = &state.picture.dead_letters;
        if self.list.order.is_empty() {
            let hint = "No topic carries dead-letter headers or a name like *-dlt; `redrive dlq adopt TOPIC` takes others.";
            return empty(state, &self.list, pen, "no dead-letter topics", hint);
        }
        let selected = self.list.row().and_then(|row| rows.get(row)).filter(|_| self.described);
        let below = if selected.is_some() { 9.min(pen.height() / 2) } else { 0 };
        let height = pen.height() - below;
        let source = Rows { rows, now: state.now };
        table::draw(&mut pen.part(0, 0, u16::MAX, height), &self.list, &source, Cursor::Shown, hits);
        if let Some(dlq) = selected {
            describe(state, dlq, &mut pen.below(height));
        }
    }
}

/// Why it counts as a dead-letter topic, and what is known of it.
fn describe(state: &State, dlq: &DlqRow, pen: &mut Pen<'_>) {
    let all = |names: &[Arc<str>]| names.join(", ");
    let time = |at: Option<Timestamp>| units::or_dash(at, |at| state.times.full(at));
    let counted = |n: Option<u64>| units::or_dash(n, units::count);
    let facts = [
        ("found by", dlq.reason.to_string()),
        ("formats", if dlq.formats.is_empty() { "none recognised".to_owned() } else { all(&dlq.formats) }),
        ("origins", all(&dlq.sources)),
        ("groups", all(&dlq.groups)),
        (
            "letters",
            format!(
                "{} pending, {} redriven, {} parked, {} discarded, {} duplicates",
                counted(dlq.pending),
                counted(dlq.redriven),
                counted(dlq.parked),
                counted(dlq.discarded),
                counted(dlq.duplicate)
            ),
        ),
        ("oldest", time(dlq.oldest_timestamp)),
        ("expires", time(dlq.expires_at)),
        ("error", dlq.error.clone().unwrap_or_default()),
    ];
    let line = "─".repeat(usize::from(pen.width()));
    pen.put(0, 0, &line, Role::Dim);
    for (y, (name, text)) in (1..).zip(facts.iter().filter(|(_, text)| !text.is_empty())) {
        pen.put(2, y, name, Role::Dim);
        pen.put(12, y, text, Role::Text);
    }
}
