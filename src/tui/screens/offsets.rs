//! Moving a group's offsets: where to, what that skips or shows again partition by partition, and the button.
//!
//! The screen never writes. *Move* asks for consent in a dialog whose default is Cancel; only the consent that comes
//! back does what was shown.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::asking::{self, Asking};
use super::look::field;
use super::plan::{Consent, quoted};
use super::{View, figure, words};
use crate::ask::{Answer, Request};
use crate::observe::snapshot::Snapshot;
use crate::offsets::document::{
    Change, OffsetRow, OffsetsAnswer, OffsetsPlan, OffsetsRequest, OffsetsRun, Stretch,
};
use crate::offsets::{Target, TopicChoice};
use crate::text::units::{count, signed};
use crate::text::{Fault, Timestamp};
use crate::tui::command::Scope;
use crate::tui::hits::Hits;
use crate::tui::message::RequestId;
use crate::tui::state::State;
use crate::tui::theme::{Role, Sign};
use crate::tui::widgets::line::{self, Line, Span};
use crate::tui::widgets::list::{Cell, Column, Source};
use crate::tui::widgets::table::{self, Cursor};
use crate::tui::widgets::{List, Pen};

/// Cells of a field's name.
const NAME: usize = 10;
/// Warnings that are seen.
const WARNINGS: usize = 3;

/// A part of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Where to.
    To,
    /// Topics and partitions.
    Topics,
    /// Why.
    Reason,
    /// The button that does it.
    Go,
    /// The button that copies the command: what is shown, and afterwards what brings the old offsets back.
    Copy,
    /// The button that leaves.
    Back,
}

const PARTS: [Part; 6] = [Part::To, Part::Topics, Part::Reason, Part::Go, Part::Copy, Part::Back];

/// The screen.
#[derive(Debug)]
pub struct Offsets {
    group: Arc<str>,
    /// What is to be done; `None` until it was said.
    change: Option<Change>,
    /// Topics; empty for all with a commit of the group.
    topics: Vec<TopicChoice>,
    reason: Option<String>,
    asking: Asking,
    plan: Option<Arc<OffsetsPlan>>,
    /// What became of it.
    done: Option<Arc<OffsetsAnswer>>,
    part: Part,
    list: List,
}

impl Offsets {
    /// A group's offsets, nothing said yet. `topics` names what is meant; empty for all.
    pub fn new(group: Arc<str>, topics: Vec<TopicChoice>) -> Self {
        Self {
            group,
            change: None,
            topics,
            reason: None,
            asking: Asking::nothing(),
            plan: None,
            done: None,
            part: Part::To,
            list: List::default(),
        }
    }

    /// The plan that is shown, where it is that of the form.
    pub fn plan(&self) -> Option<&Arc<OffsetsPlan>> {
        let current =
            self.asking.waits_for().is_none() && !self.asking.due() && self.asking.fault().is_none();
        self.plan.as_ref().filter(|_| current && self.done.is_none())
    }

    /// Why it cannot be done.
    pub fn blocked(&self) -> Option<String> {
        if self.done.is_some() {
            return Some("it is done; enter on `to` begins anew".to_owned());
        }
        if let Some(fault) = self.asking.fault() {
            return Some(fault.to_string());
        }
        if self.change.is_none() {
            return Some("say first where to".to_owned());
        }
        match self.plan() {
            None => Some("what it does is not known yet".to_owned()),
            Some(plan) if !plan.does_something() => Some("there is nothing to change".to_owned()),
            Some(_) => None,
        }
    }

    /// What is asked to do it.
    pub fn run(&self) -> Option<OffsetsRun> {
        let plan = self.plan().filter(|_| self.blocked().is_none())?;
        Some(OffsetsRun { plan: Arc::clone(plan), reason: self.reason.clone() })
    }

    /// The group.
    pub fn group(&self) -> &Arc<str> {
        &self.group
    }

    /// The part under the cursor.
    pub fn part(&self) -> Part {
        self.part
    }

    /// Goes to another part.
    pub fn step(&mut self, by: isize) {
        let at = PARTS.iter().position(|p| *p == self.part).unwrap_or(0) as isize;
        let to = (at + by).rem_euclid(PARTS.len() as isize) as usize;
        self.part = PARTS.get(to).copied().unwrap_or(Part::To);
    }

    /// What to ask for a part, and what stands there now.
    pub fn question(&self, part: Part) -> Option<(&'static str, String)> {
        Some(match part {
            Part::To => (
                "to: earliest latest offset:N @TIME shift:±N group:OTHER, delete, delete-group",
                match &self.change {
                    None => String::new(),
                    Some(Change::Reset(target)) => target.to_string(),
                    Some(Change::DeleteOffsets) => "delete".to_owned(),
                    Some(Change::DeleteGroup) => "delete-group".to_owned(),
                },
            ),
            Part::Topics => {
                let now: Vec<String> = self.topics.iter().map(ToString::to_string).collect();
                ("topics: TOPIC or TOPIC:0,3-5, empty for all", now.join(" "))
            }
            Part::Reason => ("why, for the audit", self.reason.clone().unwrap_or_default()),
            Part::Go | Part::Copy | Part::Back => return None,
        })
    }

    /// Takes what was typed for a part; the request to take back, or what is wrong.
    pub fn change(&mut self, part: Part, text: &str, now: Timestamp) -> Result<Option<RequestId>, String> {
        let text = text.trim();
        match part {
            Part::To if text.is_empty() => return Ok(None),
            Part::To => {
                self.change = Some(match text {
                    "delete" => Change::DeleteOffsets,
                    "delete-group" => Change::DeleteGroup,
                    text => Change::Reset(Target::parse(text, now, &TimeZone::system())?),
                });
                self.part = Part::Go;
            }
            Part::Topics => {
                self.topics = text.split_whitespace().map(TopicChoice::parse).collect::<Result<_, _>>()?;
            }
            Part::Reason => {
                self.reason = (!text.is_empty()).then(|| text.to_owned());
                return Ok(None);
            }
            Part::Go | Part::Copy | Part::Back => return Ok(None),
        }
        if let (Some(Change::Reset(Target::Each(_))), false) = (&self.change, self.topics.len() == 1) {
            self.change = None;
            return Err("each: names the partitions of one topic: say which topic first".to_owned());
        }
        self.done = None;
        self.plan = None;
        self.refresh_rows();
        Ok(if self.change.is_some() { self.asking.instead() } else { None })
    }

    /// Takes what became of it.
    pub fn moved(&mut self, answer: Result<Arc<OffsetsAnswer>, Fault>) {
        match answer {
            Ok(answer) => self.done = Some(answer),
            Err(fault) => {
                self.plan = None;
                let _ = self.asking.answered(Err(fault));
            }
        }
        self.refresh_rows();
    }

    /// The dialog before it is done; `careful` asks for the count in any case.
    pub fn consent(&self, profile: &str, careful: bool) -> Option<Consent> {
        let plan = self.plan()?;
        let partitions = partitions(plan.count);
        let (what, button) = match &plan.request.change {
            Change::Reset(target) => (
                format!("Move group {} on {partitions} to {target}", plan.group),
                format!("Move {}", count(plan.count)),
            ),
            Change::DeleteOffsets => (
                format!("Delete the offsets of group {} on {partitions}", plan.group),
                format!("Delete {}", count(plan.count)),
            ),
            Change::DeleteGroup => (
                format!("Delete group {} with its offsets on {partitions}", plan.group),
                "Delete group".to_owned(),
            ),
        };
        let mut lines = vec![what, format!("on {profile}")];
        lines.extend(stretch(plan.skipped, "passed over"));
        lines.extend(stretch(plan.seen_again, "seen again"));
        lines.extend(plan.warnings.iter().take(WARNINGS).cloned());
        lines.push("The answer has the command that brings the old offsets back.".to_owned());
        let typed = (careful || plan.is_grave()).then_some(plan.count);
        Some(Consent { lines, button, typed })
    }

    /// What *copy* copies: the command of this plan, or what brings the old offsets back; without the program's name.
    pub fn commands(&self) -> Vec<String> {
        match &self.done {
            Some(done) => {
                let line = |line: &String| line.strip_prefix("redrive ").unwrap_or(line).to_owned();
                done.plan.undo.iter().map(line).collect()
            }
            None => self.command_line().into_iter().collect(),
        }
    }

    fn shown(&self) -> Option<&OffsetsPlan> {
        self.done.as_ref().map(|done| &done.plan).or(self.plan.as_deref())
    }

    fn rows(&self) -> Rows<'_> {
        Rows { rows: self.shown().map(|plan| &*plan.partitions).unwrap_or_default() }
    }

    fn refresh_rows(&mut self) {
        let mut list = std::mem::take(&mut self.list);
        list.refresh(&self.rows());
        self.list = list;
    }

    fn head(&self) -> Line {
        let Some(plan) = self.shown() else {
            let to = if self.change.is_some() { self.asking.words() } else { "say where to".to_owned() };
            return vec![
                Span::new(format!("group {}", self.group), Role::Title),
                Span::dim(format!("   {to}")),
            ];
        };
        let mut line = vec![Span::new(partitions(plan.count), Role::Title)];
        if let Some(done) = &self.done {
            line = vec![Span::new(format!("{} changed", partitions(done.changed)), Role::Ok)];
            line.extend(done.audit.iter().map(|id| Span::dim(format!(" · audit {id}"))));
        }
        for text in [stretch(plan.skipped, "passed over"), stretch(plan.seen_again, "seen again")]
            .into_iter()
            .flatten()
        {
            line.push(Span::new(format!(" · {text}"), Role::Warn));
        }
        if plan.errors > 0 {
            line.push(Span::new(format!(" · {} left as they are", count(plan.errors)), Role::Fail));
        }
        line
    }

    fn form(&self) -> [(Part, Line); 3] {
        let value = |text: &str| vec![Span::new(text, Role::Value)];
        let to = match &self.change {
            None => vec![Span::dim("enter says where to")],
            Some(Change::Reset(target)) => value(&target.to_string()),
            Some(Change::DeleteOffsets) => value("deleted"),
            Some(Change::DeleteGroup) => value("deleted, with the group"),
        };
        let topics = if self.topics.is_empty() {
            vec![Span::dim("all with a commit of the group")]
        } else {
            value(&self.topics.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        let reason = self.reason.as_deref().map_or_else(|| vec![Span::dim("none")], value);
        [
            (Part::To, field("to", NAME, to)),
            (Part::Topics, field("topics", NAME, topics)),
            (Part::Reason, field("reason", NAME, reason)),
        ]
    }

    fn buttons(&self, pen: &mut Pen<'_>, y: u16) {
        let verb = if self.change.as_ref().is_some_and(Change::destroys) { "Delete" } else { "Move" };
        let n = self.plan().map_or_else(String::new, |plan| format!(" {}", count(plan.count)));
        let copy = if self.done.is_some() { "copy what brings them back" } else { "copy command" };
        let buttons = [
            (Part::Go, format!("[ {verb}{n}… ]")),
            (Part::Copy, copy.to_owned()),
            (Part::Back, "back".to_owned()),
        ];
        let blocked = self.blocked().is_some();
        let mut x = 3;
        for (part, name) in buttons {
            let role = match part {
                Part::Go if blocked => Role::Dim,
                Part::Go => Role::Write,
                _ => Role::Text,
            };
            let end = pen.put(x, y, &name, role);
            if self.part == part {
                pen.shade(x, y, end - x, Role::Select);
            }
            x = end + 3;
        }
    }
}

/// Topics as options of a command line.
fn options(topics: impl Iterator<Item = String>) -> String {
    topics.fold(String::new(), |line, topic| line + " --topic " + &quoted(&topic))
}

fn partitions(n: u64) -> String {
    format!("{} {}", count(n), if n == 1 { "partition" } else { "partitions" })
}

/// Records and the time within which they were written; `None` where there are none.
fn stretch(of: Stretch, what: &str) -> Option<String> {
    let time = of.time().map(|time| format!(", written within {time}")).unwrap_or_default();
    let records = if of.records == 1 { "record" } else { "records" };
    (of.records > 0).then(|| format!("{} {records} {what}{time}", count(of.records)))
}

struct Rows<'p> {
    rows: &'p [OffsetRow],
}

const COLUMNS: [Column; 7] = [
    Column::text("TOPIC", 14, 50, 0),
    Column::figure("P", 3, 0),
    Column::figure("OLD", 10, 0),
    Column::figure("NEW", 10, 0),
    Column::text("EFFECT", 16, 34, 0),
    Column::figure("END", 10, 2),
    Column::text("NOTE", 12, 60, 1),
];

fn effect(row: &OffsetRow) -> Cell {
    match (row.skipped, row.seen_again) {
        _ if row.error.is_some() => Cell::new("✖ left as it is", Role::Fail),
        _ if !row.changes() => Cell::new("unchanged", Role::Dim),
        (Some(of), _) if of.records > 0 => Cell::new(span(of, "passed over"), Role::Warn),
        (_, Some(of)) if of.records > 0 => Cell::new(span(of, "seen again"), Role::Warn),
        (Some(_), _) => "nothing is missed".into(),
        _ => words(None),
    }
}

fn span(of: Stretch, what: &str) -> String {
    let time = of.time().map(|time| format!(" ({time})")).unwrap_or_default();
    format!("{} {what}{time}", count(of.records))
}

fn weight(row: &OffsetRow) -> u64 {
    row.skipped.unwrap_or_default().records + row.seen_again.unwrap_or_default().records
}

impl Source for Rows<'_> {
    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn key(&self, row: usize) -> Arc<str> {
        self.text(row).into()
    }

    fn cell(&self, row: usize, column: usize) -> Cell {
        let Some(row) = self.rows.get(row) else { return Cell::from("") };
        match column {
            0 => Cell::new(&*row.topic, Role::Title),
            1 => row.partition.to_string().into(),
            2 => match row.old {
                Some(at) => signed(at).into(),
                None => Cell::new("no commit", Role::Dim),
            },
            3 if row.new.is_none() && row.error.is_none() && row.old.is_some() => {
                Cell::new("deleted", Role::Warn)
            }
            3 => figure(row.new, signed),
            4 => effect(row),
            5 => figure(row.end_offset, signed),
            _ => Cell::from(row.error.as_deref().or(row.note.as_deref()).unwrap_or_default()),
        }
    }

    fn text(&self, row: usize) -> String {
        self.rows.get(row).map(|row| format!("{}[{}]", row.topic, row.partition)).unwrap_or_default()
    }

    fn compare(&self, a: usize, b: usize, column: usize) -> Ordering {
        let (Some(a), Some(b)) = (self.rows.get(a), self.rows.get(b)) else { return Ordering::Equal };
        match column {
            1 => a.partition.cmp(&b.partition),
            2 => a.old.cmp(&b.old),
            3 => a.new.cmp(&b.new),
            4 => weight(a).cmp(&weight(b)),
            5 => a.end_offset.cmp(&b.end_offset),
            6 => (&a.error, &a.note).cmp(&(&b.error, &b.note)),
            _ => (&a.topic, a.partition).cmp(&(&b.topic, b.partition)),
        }
    }
}

impl View for Offsets {
    fn scope(&self) -> Scope {
        Scope::Offsets
    }

    fn crumb(&self) -> String {
        format!("offsets of {}", self.group)
    }

    fn status(&self, _: &State) -> String {
        match (&self.done, self.plan()) {
            (Some(_), _) => "done".to_owned(),
            (None, Some(_)) => "nothing is written yet".to_owned(),
            (None, None) if self.asking.waits_for().is_some() => self.asking.words(),
            _ => String::new(),
        }
    }

    fn list(&self) -> Option<&List> {
        Some(&self.list)
    }

    fn list_mut(&mut self) -> Option<&mut List> {
        Some(&mut self.list)
    }

    fn source<'s>(&'s self, _: &'s State) -> Option<Box<dyn Source + 's>> {
        Some(Box::new(self.rows()))
    }

    fn is_empty(&self) -> bool {
        // Without a plan there is still the form.
        self.asking.waits_for().is_some()
    }

    fn refresh(&mut self, _: &Arc<Snapshot>) {
        self.refresh_rows();
    }

    fn wants(&mut self, _: &Arc<Snapshot>) -> Option<Request> {
        let change = self.change.clone()?;
        self.asking.due().then(|| {
            Request::Offsets(OffsetsRequest {
                group: Arc::clone(&self.group),
                topics: if change == Change::DeleteGroup { Vec::new() } else { self.topics.clone() },
                change,
                create: false,
            })
        })
    }

    fn asking(&self) -> Option<&Asking> {
        Some(&self.asking)
    }

    fn asking_mut(&mut self) -> Option<&mut Asking> {
        Some(&mut self.asking)
    }

    fn answered(&mut self, answer: Result<Answer, Fault>) {
        self.plan = match self.asking.answered(answer) {
            Some(Answer::Offsets(plan)) => Some(plan),
            _ => None,
        };
        self.refresh_rows();
    }

    fn command_line(&self) -> Option<String> {
        let group = quoted(&self.group);
        let topics = options(self.topics.iter().map(ToString::to_string));
        Some(match self.change.as_ref()? {
            Change::Reset(target) => {
                let topics = if topics.is_empty() { " --all-topics".to_owned() } else { topics };
                format!("groups reset {group}{topics} --offsets {}", quoted(&target.to_string()))
            }
            Change::DeleteOffsets if topics.is_empty() => {
                let mut all: Vec<&str> = self.shown()?.partitions.iter().map(|row| &*row.topic).collect();
                all.dedup();
                format!("groups delete-offsets {group}{}", options(all.into_iter().map(str::to_owned)))
            }
            Change::DeleteOffsets => format!("groups delete-offsets {group}{topics}"),
            Change::DeleteGroup => format!("groups delete {group}"),
        })
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
        line::draw(pen, 1, 0, &self.head());
        let wide = pen.width();
        let mut y = 1;
        for warning in self.shown().iter().flat_map(|plan| &plan.warnings).take(WARNINGS) {
            pen.put(1, y, &format!("{} {warning}", Sign::Warn.glyph()), Role::Warn);
            y += 1;
        }
        for (part, spans) in self.form() {
            line::draw(pen, 3, y, &spans);
            if part == self.part {
                pen.shade(3, y, wide.saturating_sub(4), Role::Select);
            }
            y += 1;
        }
        self.buttons(pen, y);
        if let Err(why) = state.read_only() {
            pen.right(wide.saturating_sub(1), y, &why, Role::Warn);
        }
        let mut below = pen.below(y + 2);
        if let Some(fault) = self.asking.fault() {
            asking::fault(&mut below, fault);
        } else if self.shown().is_some() {
            table::draw(&mut below, &self.list, &self.rows(), Cursor::Shown, hits);
        } else if self.change.is_some() {
            below.put(2, 1, &self.asking.words(), Role::Dim);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copied_command_names_the_same_partitions_and_target() {
        let choice = TopicChoice { topic: "orders".into(), partitions: vec![0, 3] };
        let mut screen = Offsets::new("it's".into(), vec![choice]);
        assert_eq!(screen.command_line(), None);
        screen.change(Part::To, "shift:-5", Timestamp(0)).unwrap();
        let line = r"groups reset 'it'\''s' --topic orders:0,3 --offsets 'shift:-5'";
        assert_eq!(screen.command_line().as_deref(), Some(line.replace("'shift:-5'", "shift:-5").as_str()));
        screen.change(Part::Topics, "", Timestamp(0)).unwrap();
        assert!(screen.command_line().unwrap().contains("--all-topics"));
        assert!(screen.change(Part::To, "each:0=1", Timestamp(0)).unwrap_err().contains("one topic"));
        assert!(screen.change(Part::To, "yesterday", Timestamp(0)).is_err());
    }
}
