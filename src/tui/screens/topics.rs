//! All topics.

use std::cmp::Ordering;
use std::sync::Arc;

use super::super::command::Scope;
use super::super::hits::Hits;
use super::super::state::State;
use super::super::theme::Role;
use super::super::widgets::list::{Cell, Column, List, Source};
use super::super::widgets::table::{self, Cursor};
use super::super::widgets::{Pen, spark};
use super::{View, empty, figure, order, words};
use crate::observe::snapshot::{Role as TopicRole, Snapshot, TopicRow};
use crate::text::units;

/// The screen.
#[derive(Clone, Debug)]
pub struct Topics {
    list: List,
}

impl Default for Topics {
    fn default() -> Self {
        Self { list: List::sorted(Some(RATE), true) }
    }
}

/// The column of rates.
const RATE: usize = 2;

struct Rows<'p>(&'p [TopicRow]);

const COLUMNS: [Column; 10] = [
    Column::text("TOPIC", 18, 60, 0),
    Column::text("ROLE", 11, 11, 4),
    Column::figure("RECORDS/S", 9, 0),
    Column::text("LAST 2 MIN", 10, 20, 3),
    Column::figure("RECORDS", 9, 2),
    Column::figure("PART", 4, 5),
    Column::figure("BYTES/S", 9, 6),
    Column::text("WORST GROUP", 11, 30, 2),
    Column::figure("LAG", 7, 1),
    Column::figure("RETENTION", 9, 7),
];

impl Source for Rows<'_> {
    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn key(&self, row: usize) -> Arc<str> {
        self.0.get(row).map(|topic| Arc::clone(&topic.name)).unwrap_or_default()
    }

    fn cell(&self, row: usize, column: usize) -> Cell {
        let Some(topic) = self.0.get(row) else { return Cell::from("") };
        match (&topic.error, column) {
            (Some(_), 1) => return Cell::new("✖ error", Role::Fail),
            (Some(error), 3) => return Cell::new(error.as_str(), Role::Fail),
            _ => {}
        }
        match column {
            0 => Cell::new(&*topic.name, Role::Title),
            1 => role(topic.role),
            2 => figure(topic.records_per_second, units::number),
            3 => Cell::new(spark::bars(topic.trend.iter().copied().map(Some), 10), Role::Chart),
            4 => figure(topic.records, units::count),
            5 => topic.partitions.to_string().into(),
            6 => figure(topic.bytes_per_second, |n| units::about_bytes(n.max(0.0) as u64)),
            7 => words(topic.worst_group.as_deref()),
            8 => match topic.worst_lag {
                Some(lag) if lag > 0 => Cell::new(units::count(lag), Role::Text),
                lag => figure(lag, units::count),
            },
            _ => figure(topic.retention_ms, units::age),
        }
    }

    fn fault(&self, row: usize) -> Option<bool> {
        let wrong =
            |topic: &TopicRow| topic.error.is_some() || topic.detail.iter().any(super::topic::is_faulty);
        self.0.get(row).map(wrong)
    }

    fn text(&self, row: usize) -> String {
        self.0.get(row).map(|topic| topic.name.to_string()).unwrap_or_default()
    }

    fn compare(&self, a: usize, b: usize, column: usize) -> Ordering {
        let (Some(a), Some(b)) = (self.0.get(a), self.0.get(b)) else { return Ordering::Equal };
        let by = match column {
            1 => (a.role as u8).cmp(&(b.role as u8)),
            2 | 3 => order(a.records_per_second, b.records_per_second),
            4 => a.records.cmp(&b.records),
            5 => a.partitions.cmp(&b.partitions),
            6 => order(a.bytes_per_second, b.bytes_per_second),
            7 => a.worst_group.cmp(&b.worst_group),
            8 => a.worst_lag.cmp(&b.worst_lag),
            9 => a.retention_ms.cmp(&b.retention_ms),
            _ => Ordering::Equal,
        };
        // Names stay in their order, whichever way the figures go.
        by.then_with(|| if column == 0 { a.name.cmp(&b.name) } else { b.name.cmp(&a.name) })
    }
}

fn role(role: TopicRole) -> Cell {
    match role {
        TopicRole::Source => "source".into(),
        TopicRole::DeadLetter => Cell::new("dead letter", Role::Warn),
        TopicRole::Retry => "retry".into(),
        TopicRole::Internal => Cell::new("internal", Role::Dim),
    }
}

impl Topics {
    /// The topic under the cursor.
    pub fn selected(&self) -> Option<Arc<str>> {
        self.list.key().cloned()
    }

    /// The marked topics that are shown, or else the one under the cursor.
    pub fn meant(&self) -> Vec<Arc<str>> {
        let marked =
            self.list.order.iter().map(|(_, name)| name).filter(|name| self.list.marks.contains(*name));
        let marked: Vec<_> = marked.cloned().collect();
        if marked.is_empty() { self.selected().into_iter().collect() } else { marked }
    }
}

impl View for Topics {
    fn scope(&self) -> Scope {
        Scope::Topics
    }

    fn crumb(&self) -> String {
        "topics".to_owned()
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
        let Some(name) = self.selected() else { return false };
        let mut topic = super::Topic::new(name);
        topic.refresh(&state.picture);
        topic.draw(state, pen, &mut Hits::default());
        true
    }

    fn source<'s>(&'s self, state: &'s State) -> Option<Box<dyn Source + 's>> {
        Some(Box::new(Rows(&state.picture.topics)))
    }

    fn refresh(&mut self, picture: &Arc<Snapshot>) {
        self.list.refresh(&Rows(&picture.topics));
    }

    fn command_line(&self) -> Option<String> {
        Some("topics list".to_owned())
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
        if self.list.order.is_empty() {
            return empty(state, &self.list, pen, "no topics", "This cluster has none yet.");
        }
        table::draw(pen, &self.list, &Rows(&state.picture.topics), Cursor::Shown, hits);
    }
}
