//! All consumer groups.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use super::super::command::Scope;
use super::super::hits::Hits;
use super::super::state::State;
use super::super::theme::{Role, Sign};
use super::super::widgets::list::{Cell, Column, List, Source};
use super::super::widgets::table::{self, Cursor};
use super::super::widgets::{Pen, spark};
use super::{View, empty, figure, order, words};
use crate::observe::snapshot::{GroupRow, Snapshot, Status};
use crate::text::units;

/// The screen.
#[derive(Clone, Debug)]
pub struct Groups {
    list: List,
    /// Only groups that read this topic.
    topic: Option<Arc<str>>,
    /// The rows that are meant.
    rows: Vec<GroupRow>,
}

impl Default for Groups {
    fn default() -> Self {
        Self { list: List::sorted(Some(LAG), true), topic: None, rows: Vec::new() }
    }
}

/// The columns of the dashboards' figures.
const LAG: usize = 2;
const LATENCY: usize = 7;
const ERRORS: usize = 8;

struct Rows<'p>(&'p [GroupRow]);

const COLUMNS: [Column; 11] = [
    Column::text("GROUP", 16, 50, 0),
    Column::text("STATUS", 9, 10, 0),
    Column::figure("LAG", 8, 0),
    Column::figure("BEHIND", 6, 1),
    Column::text("LAST 2 MIN", 10, 20, 4),
    Column::figure("CONSUMED/S", 10, 2),
    Column::figure("DRAINS IN", 9, 3),
    Column::figure("p99", 7, 5),
    Column::figure("ERRORS", 6, 6),
    Column::figure("MEMBERS", 7, 7),
    Column::text("STATE", 8, 20, 8),
];

/// How a status looks.
pub(super) fn status(status: Status) -> Cell {
    let (sign, word) = match status {
        Status::Unknown => (Sign::Stale, "unknown"),
        Status::Ok => (Sign::Ok, "ok"),
        Status::Warn => (Sign::Warn, "lags"),
        Status::Rewind => (Sign::Warn, "rewound"),
        Status::Stall => (Sign::Fail, "stalled"),
        Status::Stop => (Sign::Fail, "stopped"),
    };
    Cell::new(format!("{} {word}", sign.glyph()), sign.role())
}

/// A time of so many seconds.
pub(super) fn seconds(seconds: f64) -> String {
    units::duration(Duration::from_secs_f64(seconds.clamp(0.0, 1e9)))
}

impl Source for Rows<'_> {
    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn key(&self, row: usize) -> Arc<str> {
        self.0.get(row).map(|group| Arc::clone(&group.group)).unwrap_or_default()
    }

    fn cell(&self, row: usize, column: usize) -> Cell {
        let Some(group) = self.0.get(row) else { return Cell::from("") };
        match column {
            0 => Cell::new(&*group.group, Role::Title),
            1 => status(group.status),
            2 => figure(group.lag, units::count),
            3 => figure(group.lag_seconds, seconds),
            4 if group.lag.is_none() && group.unknown_reason.is_some() => {
                Cell::new(group.unknown_reason.as_deref().unwrap_or_default(), Role::Warn)
            }
            4 => Cell::new(spark::bars(group.trend.iter().copied().map(Some), 10), Role::Chart),
            5 => figure(group.consumed_per_second, units::number),
            6 if group.falls_behind => Cell::new("never", Role::Warn),
            6 => figure(group.drain_seconds, seconds),
            7 => figure(group.latency_ms.p99, |ms| seconds(ms / 1000.0)),
            8 => figure(group.error_percent, units::percent),
            9 => figure(group.members, |n| n.to_string()),
            _ => words(group.state.as_deref()),
        }
    }

    fn fault(&self, row: usize) -> Option<bool> {
        self.0.get(row).map(|group| group.status > Status::Ok || group.unknown_reason.is_some())
    }

    fn text(&self, row: usize) -> String {
        let Some(group) = self.0.get(row) else { return String::new() };
        format!("{} {}", group.group, status(group.status).text)
    }

    fn compare(&self, a: usize, b: usize, column: usize) -> Ordering {
        let (Some(a), Some(b)) = (self.0.get(a), self.0.get(b)) else { return Ordering::Equal };
        let by = match column {
            1 => a.status.cmp(&b.status),
            2 | 4 => a.lag.cmp(&b.lag),
            3 => order(a.lag_seconds, b.lag_seconds),
            5 => order(a.consumed_per_second, b.consumed_per_second),
            6 => order(a.drain_seconds, b.drain_seconds),
            7 => order(a.latency_ms.p99, b.latency_ms.p99),
            8 => order(a.error_percent, b.error_percent),
            9 => a.members.cmp(&b.members),
            10 => a.state.cmp(&b.state),
            _ => Ordering::Equal,
        };
        by.then_with(|| if column == 0 { a.group.cmp(&b.group) } else { b.group.cmp(&a.group) })
    }
}

impl Groups {
    /// All groups, in the order of a dashboard's figure: 2 latency, 3 errors, 4 lag.
    pub fn by(panel: u8) -> Self {
        let column = match panel {
            2 => LATENCY,
            3 => ERRORS,
            _ => LAG,
        };
        Self { list: List::sorted(Some(column), true), ..Self::default() }
    }

    /// The groups of a topic.
    pub fn of_topic(topic: Arc<str>) -> Self {
        Self { topic: Some(topic), ..Self::default() }
    }

    /// The group under the cursor.
    pub fn selected(&self) -> Option<Arc<str>> {
        self.list.key().cloned()
    }
}

impl View for Groups {
    fn scope(&self) -> Scope {
        Scope::Groups
    }

    fn crumb(&self) -> String {
        match &self.topic {
            Some(topic) => format!("groups of {topic}"),
            None => "groups".to_owned(),
        }
    }

    fn status(&self, _state: &State) -> String {
        format!("{} groups", units::count(self.list.total as u64))
    }

    fn list(&self) -> Option<&List> {
        Some(&self.list)
    }

    fn list_mut(&mut self) -> Option<&mut List> {
        Some(&mut self.list)
    }

    fn preview(&self, state: &State, pen: &mut Pen<'_>) -> bool {
        let Some(name) = self.selected() else { return false };
        let mut group = super::Group::new(name, super::group::Pane::Partitions);
        group.refresh(&state.picture);
        group.draw(state, pen, &mut Hits::default());
        true
    }

    fn source<'s>(&'s self, _: &'s State) -> Option<Box<dyn Source + 's>> {
        Some(Box::new(Rows(&self.rows)))
    }

    fn refresh(&mut self, picture: &Arc<Snapshot>) {
        let meant = |group: &&GroupRow| self.topic.as_ref().is_none_or(|topic| group.topics.contains(topic));
        self.rows = picture.groups.iter().filter(meant).cloned().collect();
        self.list.refresh(&Rows(&self.rows));
    }

    fn command_line(&self) -> Option<String> {
        Some("groups list".to_owned())
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
        if self.list.order.is_empty() {
            let error = state.picture.groups_error.as_deref().filter(|_| self.list.total == 0);
            let (what, hint) = match error {
                Some(error) => ("the groups cannot be listed", error),
                None => ("no consumer groups", "Nobody reads with commits yet."),
            };
            return empty(state, &self.list, pen, what, hint);
        }
        table::draw(pen, &self.list, &Rows(&self.rows), Cursor::Shown, hits);
    }
}
