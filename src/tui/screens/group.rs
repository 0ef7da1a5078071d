//! One consumer group: its partitions by lag, and its members.

use std::cmp::Ordering;
use std::sync::Arc;

use super::super::command::Scope;
use super::super::hits::Hits;
use super::super::state::State;
use super::super::theme::Role;
use super::super::widgets::Pen;
use super::super::widgets::list::{Cell, Column, List, Source};
use super::super::widgets::table::{self, Cursor};
use super::groups::{seconds, status};
use super::topic::tabs;
use super::{View, empty, figure, order, words};
use crate::ask::Interest;
use crate::event::Position;
use crate::observe::snapshot::{GroupPartitionRow, GroupRow, MemberRow, Snapshot, Status};
use crate::text::units;

/// Which of the two is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    /// Partitions by lag.
    Partitions,
    /// Members.
    Members,
}

/// The screen.
#[derive(Clone, Debug)]
pub struct Group {
    name: Arc<str>,
    pane: Pane,
    partitions: List,
    members: List,
    row: Option<GroupRow>,
}

struct Partitions<'p>(&'p [GroupPartitionRow]);

/// The column of lags.
const LAG: usize = 3;

const PARTITION_COLUMNS: [Column; 10] = [
    Column::text("TOPIC", 14, 50, 0),
    Column::figure("P", 3, 0),
    Column::text("STATUS", 9, 10, 1),
    Column::figure("LAG", 8, 0),
    Column::figure("BEHIND", 6, 1),
    Column::figure("COMMITTED", 11, 2),
    Column::figure("END", 11, 3),
    Column::figure("MOVED", 7, 4),
    Column::text("CLIENT", 10, 40, 5),
    Column::text("HOST", 10, 40, 6),
];

impl Source for Partitions<'_> {
    fn columns(&self) -> &'static [Column] {
        &PARTITION_COLUMNS
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn key(&self, row: usize) -> Arc<str> {
        self.text(row).into()
    }

    fn cell(&self, row: usize, column: usize) -> Cell {
        let Some(part) = self.0.get(row) else { return Cell::from("") };
        match column {
            0 => Cell::new(&*part.topic, Role::Title),
            1 => part.partition.to_string().into(),
            2 if part.lost > 0 => Cell::new("✖ lost", Role::Fail),
            2 => status(part.status),
            3 => figure(part.lag, units::count),
            4 => figure(part.lag_seconds, seconds),
            5 => match part.committed {
                Some(at) => units::signed(at).into(),
                None => Cell::new("no commit", Role::Dim),
            },
            6 => figure(part.end_offset, units::signed),
            7 => match part.commit_still_seconds {
                Some(still) => Cell::new(format!(">{}", seconds(still)), Role::Dim),
                None => figure(part.commit_age_seconds, seconds),
            },
            8 => words(part.client_id.as_deref()),
            _ => words(part.host.as_deref()),
        }
    }

    fn fault(&self, row: usize) -> Option<bool> {
        self.0.get(row).map(|part| part.status > Status::Ok || part.lost > 0)
    }

    fn text(&self, row: usize) -> String {
        self.0.get(row).map(|part| format!("{}[{}]", part.topic, part.partition)).unwrap_or_default()
    }

    fn compare(&self, a: usize, b: usize, column: usize) -> Ordering {
        let (Some(a), Some(b)) = (self.0.get(a), self.0.get(b)) else { return Ordering::Equal };
        let place = (&a.topic, a.partition).cmp(&(&b.topic, b.partition));
        let by = match column {
            1 => a.partition.cmp(&b.partition),
            2 => a.status.cmp(&b.status),
            3 => a.lag.cmp(&b.lag),
            4 => order(a.lag_seconds, b.lag_seconds),
            5 => a.committed.cmp(&b.committed),
            6 => a.end_offset.cmp(&b.end_offset),
            7 => order(since_commit(a), since_commit(b)),
            8 => a.client_id.cmp(&b.client_id),
            9 => a.host.cmp(&b.host),
            _ => return place,
        };
        by.then(place.reverse())
    }
}

/// Seconds since the commit moved, or at least that long.
fn since_commit(part: &GroupPartitionRow) -> Option<f64> {
    part.commit_age_seconds.or(part.commit_still_seconds)
}

struct Members<'p>(&'p [MemberRow]);

const MEMBER_COLUMNS: [Column; 4] = [
    Column::text("CLIENT", 14, 40, 0),
    Column::text("HOST", 14, 40, 1),
    Column::text("ASSIGNED", 20, 80, 0),
    Column::text("MEMBER", 12, 60, 2),
];

impl Source for Members<'_> {
    fn columns(&self) -> &'static [Column] {
        &MEMBER_COLUMNS
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn key(&self, row: usize) -> Arc<str> {
        self.0.get(row).map(|member| Arc::clone(&member.member)).unwrap_or_default()
    }

    fn cell(&self, row: usize, column: usize) -> Cell {
        let Some(member) = self.0.get(row) else { return Cell::from("") };
        match column {
            0 => Cell::new(member.client_id.as_str(), Role::Title),
            1 => member.host.as_str().into(),
            2 if member.assigned.is_empty() => Cell::new("nothing", Role::Dim),
            2 => member.assigned.join(" ").into(),
            _ => Cell::new(&*member.member, Role::Dim),
        }
    }

    fn text(&self, row: usize) -> String {
        let Some(member) = self.0.get(row) else { return String::new() };
        format!("{} {} {}", member.client_id, member.host, member.assigned.join(" "))
    }

    fn compare(&self, a: usize, b: usize, column: usize) -> Ordering {
        self.cell(a, column).text.cmp(&self.cell(b, column).text)
    }
}

impl Group {
    /// A group's screen.
    pub fn new(name: Arc<str>, pane: Pane) -> Self {
        Self { name, pane, partitions: List::sorted(Some(LAG), true), members: List::default(), row: None }
    }

    /// The group.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The partitions that are marked.
    pub fn marked(&self) -> Vec<(Arc<str>, i32)> {
        let marked = |part: &&GroupPartitionRow| {
            self.partitions.marks.contains(format!("{}[{}]", part.topic, part.partition).as_str())
        };
        self.detail().iter().filter(marked).map(|part| (Arc::clone(&part.topic), part.partition)).collect()
    }

    /// Turns to the other pane.
    pub fn toggle(&mut self) {
        self.pane = if self.pane == Pane::Partitions { Pane::Members } else { Pane::Partitions };
    }

    /// Where the group stands on the partition under the cursor: what it will read next.
    pub fn stands_at(&self) -> Option<Position> {
        let row = self.partitions.row().filter(|_| self.pane == Pane::Partitions)?;
        let part = self.detail().get(row)?;
        Some(Position::new(Arc::clone(&part.topic), part.partition, part.committed?))
    }

    /// Puts the cursor on a partition.
    pub fn find(&mut self, topic: &str, partition: i32) {
        self.partitions.find(format!("{topic}[{partition}]").into());
    }

    fn detail(&self) -> &[GroupPartitionRow] {
        self.row.as_ref().map(|row| &*row.detail).unwrap_or_default()
    }

    fn member_rows(&self) -> &[MemberRow] {
        self.row.as_ref().map(|row| &*row.member_rows).unwrap_or_default()
    }
}

impl View for Group {
    fn scope(&self) -> Scope {
        Scope::Group
    }

    fn crumb(&self) -> String {
        self.name.to_string()
    }

    fn list(&self) -> Option<&List> {
        Some(if self.pane == Pane::Partitions { &self.partitions } else { &self.members })
    }

    fn list_mut(&mut self) -> Option<&mut List> {
        Some(if self.pane == Pane::Partitions { &mut self.partitions } else { &mut self.members })
    }

    fn source<'s>(&'s self, _: &'s State) -> Option<Box<dyn Source + 's>> {
        Some(match self.pane {
            Pane::Partitions => Box::new(Partitions(self.detail())),
            Pane::Members => Box::new(Members(self.member_rows())),
        })
    }

    fn refresh(&mut self, picture: &Arc<Snapshot>) {
        self.row = picture.groups.iter().find(|group| group.group == self.name).cloned();
        let (detail, members) = match &self.row {
            Some(row) => (&*row.detail, &*row.member_rows),
            None => (&[][..], &[][..]),
        };
        self.partitions.refresh(&Partitions(detail));
        self.members.refresh(&Members(members));
    }

    fn command_line(&self) -> Option<String> {
        Some(format!("groups show {}", super::plan::quoted(&self.name)))
    }

    fn interest(&self) -> Interest {
        Interest { groups: vec![Arc::clone(&self.name)], ..Interest::default() }
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
        let Some(row) = &self.row else {
            pen.put(2, 1, &format!("there is no group {}", self.name), Role::Title);
            return;
        };
        let cell = status(row.status);
        let x = pen.put(1, 0, &cell.text, cell.role);
        let latency = &row.latency_ms;
        let facts = [
            format!("lag {}", units::or_dash(row.lag, units::count)),
            row.lag_seconds.map(|s| format!("behind {}", seconds(s))).unwrap_or_default(),
            row.consumed_per_second.map(|n| format!("consumes {}", units::rate(n))).unwrap_or_default(),
            latency.p99.map(|ms| format!("p99 {}", seconds(ms / 1000.0))).unwrap_or_default(),
            row.members.map(|n| format!("{n} members")).unwrap_or_default(),
            row.state.clone().unwrap_or_default(),
            row.kind.to_owned(),
            row.unknown_reason.clone().unwrap_or_default(),
        ];
        let facts: Vec<String> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
        pen.put(x, 0, &format!(" · {}", facts.join(" · ")), Role::Text);
        tabs(state, pen, &["PARTITIONS", "MEMBERS"], usize::from(self.pane == Pane::Members));
        let mut pen = pen.below(3);
        match self.pane {
            Pane::Partitions if self.partitions.order.is_empty() => {
                let hint = "It has neither commits nor assignments.";
                empty(state, &self.partitions, &mut pen, "no partitions", hint);
            }
            Pane::Partitions => {
                let source = Partitions(self.detail());
                table::draw(&mut pen, &self.partitions, &source, Cursor::Shown, hits);
            }
            Pane::Members if self.members.order.is_empty() => {
                empty(
                    state,
                    &self.members,
                    &mut pen,
                    "no members",
                    "Nobody reads in this group at the moment.",
                );
            }
            Pane::Members => {
                let source = Members(self.member_rows());
                table::draw(&mut pen, &self.members, &source, Cursor::Shown, hits);
            }
        }
    }
}
