//! One topic: its partitions, and its configuration.

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
use crate::ask::Interest;
use crate::observe::snapshot::{PartitionRow, Snapshot, TopicRow};
use crate::text::units;

/// Which of the two is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pane {
    Partitions,
    Config,
}

/// The screen.
#[derive(Clone, Debug)]
pub struct Topic {
    name: Arc<str>,
    pane: Pane,
    partitions: List,
    config: List,
    row: Option<TopicRow>,
}

/// The partitions, and which of them is hot.
struct Partitions<'p>(&'p [PartitionRow], Option<i32>);

impl<'p> Partitions<'p> {
    fn of(row: Option<&'p TopicRow>) -> Self {
        let hot = row.and_then(TopicRow::hot).map(|(partition, _)| partition);
        Self(row.map(|row| &*row.detail).unwrap_or_default(), hot)
    }
}

const PARTITION_COLUMNS: [Column; 9] = [
    Column::figure("PARTITION", 9, 0),
    Column::figure("RECORDS/S", 9, 1),
    Column::figure("RECORDS", 10, 1),
    Column::figure("START", 10, 2),
    Column::figure("END", 10, 0),
    Column::figure("OPEN TX", 7, 4),
    Column::figure("LEADER", 6, 3),
    Column::text("REPLICAS", 8, 24, 5),
    Column::text("IN SYNC", 9, 24, 3),
];

/// Whether nobody leads a partition, or a replica of it is behind.
pub(super) fn is_faulty(row: &PartitionRow) -> bool {
    row.leader.is_none() || row.isr.len() < row.replicas.len()
}

impl Source for Partitions<'_> {
    fn columns(&self) -> &'static [Column] {
        &PARTITION_COLUMNS
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn key(&self, row: usize) -> Arc<str> {
        self.0.get(row).map(|p| p.partition.to_string().into()).unwrap_or_default()
    }

    fn cell(&self, row: usize, column: usize) -> Cell {
        let Some(part) = self.0.get(row) else { return Cell::from("") };
        let nodes = |nodes: &[i32]| nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        match column {
            0 => part.partition.to_string().into(),
            1 if self.1 == Some(part.partition) => {
                let rate = units::or_dash(part.records_per_second, units::number);
                Cell::new(format!("{} {rate}", Sign::Warn.glyph()), Role::Warn)
            }
            1 => figure(part.records_per_second, units::number),
            2 => figure(records(part), units::count),
            3 => figure(part.start_offset, units::signed),
            4 => figure(part.end_offset, units::signed),
            5 => match part.end_offset.zip(part.last_stable_offset).map(|(end, stable)| end - stable) {
                Some(open) if open > 0 => Cell::new(units::signed(open), Role::Warn),
                open => figure(open, units::signed),
            },
            6 => match part.leader {
                Some(leader) => leader.to_string().into(),
                None => Cell::new(format!("{} none", Sign::Fail.glyph()), Role::Fail),
            },
            7 => nodes(&part.replicas).into(),
            _ if part.isr.len() < part.replicas.len() => {
                Cell::new(format!("{} {}", Sign::Warn.glyph(), nodes(&part.isr)), Role::Warn)
            }
            _ => nodes(&part.isr).into(),
        }
    }

    fn fault(&self, row: usize) -> Option<bool> {
        self.0.get(row).map(is_faulty)
    }

    fn text(&self, row: usize) -> String {
        self.key(row).to_string()
    }

    fn compare(&self, a: usize, b: usize, column: usize) -> Ordering {
        let (Some(a), Some(b)) = (self.0.get(a), self.0.get(b)) else { return Ordering::Equal };
        match column {
            1 => order(a.records_per_second, b.records_per_second),
            2 => records(a).cmp(&records(b)),
            3 => a.start_offset.cmp(&b.start_offset),
            4 => a.end_offset.cmp(&b.end_offset),
            5 => b.last_stable_offset.cmp(&a.last_stable_offset),
            6 => a.leader.cmp(&b.leader),
            7 => a.replicas.cmp(&b.replicas),
            8 => a.isr.len().cmp(&b.isr.len()),
            _ => a.partition.cmp(&b.partition),
        }
    }
}

fn records(part: &PartitionRow) -> Option<u64> {
    let (start, end) = part.start_offset.zip(part.end_offset)?;
    u64::try_from(end - start).ok()
}

struct Settings<'p>(Vec<(&'p String, &'p crate::broker::ConfigEntry)>);

const SETTING_COLUMNS: [Column; 3] =
    [Column::text("SETTING", 24, 50, 0), Column::text("VALUE", 16, 80, 0), Column::text("FROM", 7, 7, 1)];

impl<'p> Settings<'p> {
    /// What was set for this topic comes first.
    fn of(row: Option<&'p TopicRow>) -> Self {
        let config = row.and_then(|row| row.config.as_deref());
        let mut all: Vec<_> = config.map(|config| config.iter().collect()).unwrap_or_default();
        all.sort_by_key(|(_, entry): &(&String, &crate::broker::ConfigEntry)| entry.is_default);
        Self(all)
    }
}

impl Source for Settings<'_> {
    fn columns(&self) -> &'static [Column] {
        &SETTING_COLUMNS
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn key(&self, row: usize) -> Arc<str> {
        self.0.get(row).map(|(name, _)| name.as_str().into()).unwrap_or_default()
    }

    fn cell(&self, row: usize, column: usize) -> Cell {
        let Some((name, entry)) = self.0.get(row) else { return Cell::from("") };
        let role = if entry.is_default { Role::Dim } else { Role::Text };
        match column {
            0 => Cell::new(name.as_str(), role),
            1 => match &entry.value {
                Some(value) => Cell::new(value.as_str(), role),
                None => words(None),
            },
            _ => Cell::new(if entry.is_default { "default" } else { "topic" }, role),
        }
    }

    fn text(&self, row: usize) -> String {
        self.key(row).to_string()
    }

    fn compare(&self, a: usize, b: usize, column: usize) -> Ordering {
        match column {
            0 => self.key(a).cmp(&self.key(b)),
            _ => self.cell(a, column).text.cmp(&self.cell(b, column).text),
        }
    }
}

impl Topic {
    /// A topic's screen.
    pub fn new(name: Arc<str>) -> Self {
        Self { name, pane: Pane::Partitions, partitions: List::default(), config: List::default(), row: None }
    }

    /// The topic.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The partition under the cursor, where partitions are seen.
    pub fn partition(&self) -> Option<i32> {
        (self.pane == Pane::Partitions).then(|| self.partitions.key()?.parse().ok())?
    }

    /// Turns to the other pane.
    pub fn toggle(&mut self) {
        self.pane = if self.pane == Pane::Partitions { Pane::Config } else { Pane::Partitions };
    }
}

impl View for Topic {
    fn scope(&self) -> Scope {
        Scope::Topic
    }

    fn crumb(&self) -> String {
        self.name.to_string()
    }

    fn list(&self) -> Option<&List> {
        Some(if self.pane == Pane::Partitions { &self.partitions } else { &self.config })
    }

    fn list_mut(&mut self) -> Option<&mut List> {
        Some(if self.pane == Pane::Partitions { &mut self.partitions } else { &mut self.config })
    }

    fn source<'s>(&'s self, _: &'s State) -> Option<Box<dyn Source + 's>> {
        Some(match self.pane {
            Pane::Partitions => Box::new(Partitions::of(self.row.as_ref())),
            Pane::Config => Box::new(Settings::of(self.row.as_ref())),
        })
    }

    fn refresh(&mut self, picture: &Arc<Snapshot>) {
        self.row = picture.topics.iter().find(|topic| topic.name == self.name).cloned();
        self.partitions.refresh(&Partitions::of(self.row.as_ref()));
        self.config.refresh(&Settings::of(self.row.as_ref()));
    }

    fn command_line(&self) -> Option<String> {
        Some(format!("topics show {}", super::plan::quoted(&self.name)))
    }

    fn interest(&self) -> Interest {
        Interest { topics: vec![Arc::clone(&self.name)], ..Interest::default() }
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
        let Some(row) = &self.row else {
            pen.put(2, 1, &format!("there is no topic {}", self.name), Role::Title);
            return;
        };
        let dead: Vec<&str> = row.dead_letter_topics.iter().map(|t| &**t).collect();
        let facts = [
            format!("{} partitions", row.partitions),
            format!("replicated {}x", row.replication_factor),
            format!("{} records", units::or_dash(row.records, units::count)),
            units::or_dash(row.records_per_second, units::rate),
            row.bytes_per_second.map(units::about_bytes_rate).unwrap_or_default(),
            row.retention_ms.map(|ms| format!("kept {}", units::age(ms))).unwrap_or_default(),
            row.cleanup_policy.clone().unwrap_or_default(),
        ];
        let facts: Vec<String> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
        pen.put(1, 0, &facts.join(" · "), Role::Text);
        let wide = pen.width();
        if !dead.is_empty() {
            pen.right(wide.saturating_sub(1), 1, &format!("dead letters in {}", dead.join(", ")), Role::Warn);
        }
        if let Some(error) = &row.error {
            pen.put(1, 1, &format!("{} {error}", Sign::Fail.glyph()), Role::Fail);
        } else {
            tabs(state, pen, &["PARTITIONS", "CONFIGURATION"], usize::from(self.pane == Pane::Config));
        }
        let mut pen = pen.below(3);
        match self.pane {
            Pane::Partitions if self.partitions.order.is_empty() => {
                empty(state, &self.partitions, &mut pen, "its partitions are not known", "");
            }
            Pane::Partitions => {
                let source = Partitions::of(self.row.as_ref());
                table::draw(&mut pen, &self.partitions, &source, Cursor::Shown, hits);
            }
            Pane::Config if self.config.order.is_empty() && self.config.total == 0 => {
                match &row.config_error {
                    Some(error) => pen.put(2, 1, error, Role::Fail),
                    None => pen.put(2, 1, "its configuration was not answered yet", Role::Dim),
                };
            }
            Pane::Config if self.config.order.is_empty() => empty(state, &self.config, &mut pen, "", ""),
            Pane::Config => {
                let source = Settings::of(self.row.as_ref());
                table::draw(&mut pen, &self.config, &source, Cursor::Shown, hits);
            }
        }
    }
}

/// Draws the names of panes in the second line; the one that is seen is underlined by its role. Beside a list there
/// is nothing to choose.
pub(super) fn tabs(state: &State, pen: &mut Pen<'_>, names: &[&str], seen: usize) {
    if !matches!(state.view().scope(), Scope::Topic | Scope::Group) {
        return;
    }
    let (mut x, y) = (1, 1);
    for (i, name) in names.iter().enumerate() {
        let role = if i == seen { Role::Title } else { Role::Dim };
        let end = pen.put(x, y, &format!(" {name} "), role);
        if i == seen {
            pen.shade(x, y, end - x, Role::Select);
        }
        x = end + 1;
    }
    pen.put(x + 1, y, "tab", Role::Dim);
}
