//! The five dashboards, and what needs attention first: is anything wrong, and where?

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use super::super::command::Scope;
use super::super::hits::{Hits, Spot};
use super::super::state::State;
use super::super::theme::{Role, Sign};
use super::super::widgets::list::{Cell, Column, List, Source};
use super::super::widgets::{Pen, spark};
use super::View;
use crate::observe::snapshot::{Attention, Place, Role as TopicRole, Severity, Snapshot, Status};
use crate::text::units::{self, DASH};

/// The names of the dashboards.
const PANELS: [&str; 5] = ["THROUGHPUT", "LATENCY p99", "ERRORS", "LAG", "DEAD LETTERS"];

/// The fewest lines of a dashboard: title, figure, history, one row.
const PANEL_LINES: u16 = 4;

/// The most rows of a dashboard.
const MOST_ROWS: u16 = 12;
/// The highest chart in lines.
const HIGHEST_CHART: u16 = 10;

/// Where an entry leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leads {
    /// To what needs attention.
    To(Place),
    /// To the list behind a dashboard, counted from 1.
    Panel(u8),
}

/// The screen: what needs attention and the dashboards are one list, so that the cursor reaches all of it.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    list: List,
}

struct Entries<'p>(&'p [Attention]);

impl Source for Entries<'_> {
    fn columns(&self) -> &'static [Column] {
        &[]
    }

    fn len(&self) -> usize {
        self.0.len() + PANELS.len()
    }

    fn key(&self, row: usize) -> Arc<str> {
        match self.0.get(row) {
            Some(line) => format!("{:?} {}", line.place, line.what).into(),
            None => panel_key(row - self.0.len() + 1),
        }
    }

    fn cell(&self, row: usize, _: usize) -> Cell {
        self.text(row).into()
    }

    fn text(&self, row: usize) -> String {
        match self.0.get(row) {
            Some(line) => line.what.clone(),
            None => PANELS.get(row - self.0.len()).copied().unwrap_or_default().to_owned(),
        }
    }

    fn compare(&self, a: usize, b: usize, _: usize) -> Ordering {
        a.cmp(&b)
    }
}

fn panel_key(number: usize) -> Arc<str> {
    format!("panel {number}").into()
}

fn name(place: &Place) -> &str {
    place.topic.as_deref().or(place.group.as_deref()).unwrap_or("cluster")
}

impl Overview {
    /// Goes to a dashboard, counted from 1.
    pub fn focus(&mut self, panel: u8) {
        self.list.find(panel_key(usize::from(panel)));
    }

    /// Goes from what needs attention to the dashboards, and back.
    pub fn toggle(&mut self) {
        match self.panel() {
            Some(_) => self.list.go(0),
            None => self.focus(1),
        }
    }

    /// The dashboard under the cursor, counted from 1.
    fn panel(&self) -> Option<u8> {
        self.list.key()?.strip_prefix("panel ")?.parse().ok()
    }

    /// Where the entry under the cursor leads.
    pub fn leads(&self, picture: &Snapshot) -> Option<Leads> {
        if let Some(panel) = self.panel() {
            return Some(Leads::Panel(panel));
        }
        let line = picture.attention.get(self.list.row()?)?;
        Some(Leads::To(line.place.clone()))
    }
}

impl View for Overview {
    fn scope(&self) -> Scope {
        Scope::Overview
    }

    fn crumb(&self) -> String {
        "overview".to_owned()
    }

    fn status(&self, state: &State) -> String {
        let picture = &state.picture;
        let topics = picture.topics.iter().filter(|t| t.role != TopicRole::Internal).count();
        if picture.generation == 0 {
            String::new()
        } else {
            format!("{topics} topics · {} groups", picture.groups.len())
        }
    }

    fn list(&self) -> Option<&List> {
        Some(&self.list)
    }

    fn list_mut(&mut self) -> Option<&mut List> {
        Some(&mut self.list)
    }

    fn refresh(&mut self, picture: &Arc<Snapshot>) {
        let at_first = self.list.cursor == 0;
        self.list.refresh(&Entries(&picture.attention));
        // What is most urgent comes first, and whoever did not move sees it.
        if at_first && self.panel().is_none_or(|_| !picture.attention.is_empty()) {
            self.list.go(0);
        }
    }

    fn command_line(&self) -> Option<String> {
        Some("overview".to_owned())
    }

    fn copy(&self, what: super::Id, state: &State) -> Option<String> {
        let row = self.list.row()?;
        let entries = Entries(&state.picture.attention);
        match (what, state.picture.attention.get(row)) {
            (super::Id::CopyKey, Some(line)) => Some(name(&line.place).to_owned()),
            _ => Some(entries.text(row)),
        }
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
        let room = pen.height();
        let panels = 2 * PANEL_LINES + 2;
        let lines = u16::try_from(state.picture.attention.len()).unwrap_or(u16::MAX);
        let lines = lines.clamp(1, room.saturating_sub(panels + 1).max(1)).min(8.max(room / 4));
        self.attention(state, &mut pen.part(0, 0, u16::MAX, 1 + lines), hits);
        self.panels(state, &mut pen.below(lines + 2), hits);
    }
}

impl Overview {
    fn attention(&self, state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
        let picture = &state.picture;
        let count = picture.attention.len();
        let x = pen.put(1, 0, "NEEDS ATTENTION", Role::Title);
        if count == 0 {
            let known = if picture.generation == 0 { DASH } else { "0" };
            pen.put(x + 1, 0, known, Role::Title);
            let text = match picture.generation {
                0 => "looking at the cluster for the first time…",
                _ => "nothing: no lag that grows, no stalled group, no new failure",
            };
            pen.put(3, 1, text, Role::Dim);
            return;
        }
        pen.put(x + 1, 0, &count.to_string(), Role::Title);
        let page = usize::from(pen.height() - 1);
        let seen: Vec<_> = self.list.order.iter().enumerate().filter(|(_, (row, _))| *row < count).collect();
        let top = (self.list.cursor + 1).saturating_sub(page).min(seen.len().saturating_sub(page));
        let width = pen.width();
        for (y, (place, (row, _))) in (1_u16..).zip(seen.iter().skip(top).take(page)) {
            let Some(line) = picture.attention.get(*row) else { continue };
            let sign = match line.severity {
                Severity::Critical => Sign::Fail,
                Severity::Warning => Sign::Warn,
                Severity::Info => Sign::Ok,
            };
            pen.put(1, y, sign.glyph(), sign.role());
            let age = units::age(state.now.since(line.since));
            let end = pen.right(width.saturating_sub(3), y, &age, Role::Dim);
            pen.cell(3, y, end.saturating_sub(4), &line.what, Role::Text);
            pen.put(width.saturating_sub(2), y, "▸", Role::Dim);
            if *place == self.list.cursor {
                pen.shade(0, y, width, Role::Select);
            }
            let area = pen.area();
            hits.add(area.x, area.y + y, area.width, 1, Spot::Row(*place));
        }
        if seen.len() > page {
            let hidden = format!("{} more", seen.len() - page);
            pen.right(width.saturating_sub(1), 0, &hidden, Role::Dim);
        }
    }

    fn panels(&self, state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
        let third = pen.width() / 3;
        let half = pen.height().saturating_sub(1) / 2;
        let wide = pen.width() - third;
        let focus = self.panel();
        let panels: Vec<Panel> = (1..=5).map(|number| panel(&state.picture, number)).collect();
        let rows = |panels: &[Panel]| panels.iter().map(|panel| panel.rows.len()).max().unwrap_or(0);
        let (upper, lower) = panels.split_at(3);
        let most = u16::try_from(rows(upper).max(rows(lower))).unwrap_or(u16::MAX).min(MOST_ROWS);
        // What is left belongs to the charts.
        let chart = half.saturating_sub(2 + most).clamp(1, HIGHEST_CHART);
        let height = half.min(2 + chart + most);
        let places = [
            (0, 0, third),
            (third, 0, third),
            (2 * third, 0, pen.width() - 2 * third),
            (0, height + 1, third),
            (third, height + 1, wide),
        ];
        for ((number, panel), (x, y, width)) in (1_u8..).zip(&panels).zip(places) {
            let mut pen = pen.part(x, y, width, height);
            panel.draw(number, focus == Some(number), chart, &mut pen);
            let area = pen.area();
            hits.add(area.x, area.y, area.width, area.height, Spot::Panel(usize::from(number)));
        }
    }
}

/// What a dashboard says.
struct Panel {
    figure: String,
    beside: String,
    history: Vec<Option<f64>>,
    rows: Vec<(String, String, Role)>,
}

fn panel(picture: &Snapshot, number: u8) -> Panel {
    match number {
        1 => throughput(picture),
        2 => latency(picture),
        3 => errors(picture),
        4 => lag(picture),
        _ => dead_letters(picture),
    }
}

impl Panel {
    /// Draws it with a chart of so many lines.
    fn draw(&self, number: u8, focused: bool, chart: u16, pen: &mut Pen<'_>) {
        let title = PANELS.get(usize::from(number) - 1).copied().unwrap_or_default();
        let width = pen.width().saturating_sub(2);
        let x = pen.put(1, 0, &number.to_string(), Role::Key);
        pen.put(x + 1, 0, title, Role::Title);
        if focused {
            pen.shade(1, 0, width, Role::Select);
        }
        let x = pen.put(1, 1, &self.figure, Role::Title);
        pen.cell(x + 2, 1, width.saturating_sub(x + 1), &self.beside, Role::Dim);
        let lines = spark::chart(&self.history, usize::from(width), usize::from(chart));
        for (y, line) in (2..).zip(&lines) {
            pen.put(1, y, line, Role::Chart);
        }
        for (y, (name, figure, role)) in (2 + chart..pen.height()).zip(&self.rows) {
            let end = pen.right(1 + width, y, figure, *role);
            pen.cell(1, y, end.saturating_sub(2), name, Role::Text);
        }
    }
}

fn milliseconds(ms: f64) -> String {
    units::duration(Duration::from_secs_f64((ms / 1000.0).clamp(0.0, 1e9)))
}

/// Rows by a figure, the largest first, as far as it is known.
fn ranked<'r, T>(
    rows: &'r [T],
    figure: impl Fn(&T) -> Option<f64>,
    show: impl Fn(&'r T, f64) -> (String, String, Role),
) -> Vec<(String, String, Role)> {
    let mut known: Vec<(&T, f64)> =
        rows.iter().filter_map(|row| Some((row, figure(row).filter(|f| f.is_finite())?))).collect();
    known.sort_by(|a, b| b.1.total_cmp(&a.1));
    known.into_iter().take(20).map(|(row, figure)| show(row, figure)).collect()
}

fn throughput(picture: &Snapshot) -> Panel {
    let totals = &picture.totals;
    Panel {
        figure: units::or_dash(totals.records_per_second, units::rate),
        beside: totals.bytes_per_second.map(units::about_bytes_rate).unwrap_or_default(),
        history: picture.history.records_per_second.clone(),
        rows: ranked(
            &picture.topics,
            |topic| topic.records_per_second.filter(|_| topic.role == TopicRole::Source),
            |topic, rate| (topic.name.to_string(), units::rate(rate), Role::Text),
        ),
    }
}

fn latency(picture: &Snapshot) -> Panel {
    let all = &picture.totals.latency;
    Panel {
        figure: units::or_dash(all.p99, milliseconds),
        beside: all.p50.map(|ms| format!("p50 {}", milliseconds(ms))).unwrap_or_default(),
        history: picture.history.latency_p99.clone(),
        rows: ranked(
            &picture.groups,
            |group| group.latency_ms.p99,
            |group, ms| (group.group.to_string(), milliseconds(ms), Role::Text),
        ),
    }
}

fn errors(picture: &Snapshot) -> Panel {
    let totals = &picture.totals;
    Panel {
        figure: units::or_dash(totals.error_percent, units::percent),
        beside: if totals.error_percent.is_some() { "of consumed".to_owned() } else { String::new() },
        history: picture.history.error_percent.clone(),
        rows: ranked(
            &picture.groups,
            |group| group.error_percent,
            |group, percent| {
                let role = if percent > 0.0 { Role::Warn } else { Role::Text };
                (group.group.to_string(), units::percent(percent), role)
            },
        ),
    }
}

fn lag(picture: &Snapshot) -> Panel {
    let mut known = picture.history.lag.iter().rev().copied().flatten();
    let change = match (known.next(), known.next()) {
        (Some(now), Some(before)) => Some((now - before) / picture.window_seconds.unwrap_or(1.0).max(0.001)),
        _ => None,
    };
    let change = change.filter(|c| c.abs() >= 0.5).map(|c| format!("{}/s", units::change(c.round() as i64)));
    Panel {
        figure: units::or_dash(picture.totals.lag, units::count),
        beside: change.unwrap_or_default(),
        history: picture.history.lag.clone(),
        rows: ranked(
            &picture.groups,
            |group| group.lag.map(|lag| lag as f64),
            |group, lag| {
                let text = units::count(lag as u64);
                match group.status {
                    Status::Stall => (group.group.to_string(), format!("stalled {text}"), Role::Fail),
                    Status::Stop => (group.group.to_string(), format!("stopped {text}"), Role::Fail),
                    Status::Warn => (group.group.to_string(), text, Role::Warn),
                    _ => (group.group.to_string(), text, Role::Text),
                }
            },
        ),
    }
}

fn dead_letters(picture: &Snapshot) -> Panel {
    let totals = &picture.totals;
    let records: Option<u64> = picture.dead_letters.iter().map(|row| row.records).sum();
    let records = records.filter(|_| totals.pending.is_some());
    let of = records.map(|n| format!(" of {}", units::count(n))).unwrap_or_default();
    let mut beside = Vec::new();
    beside.extend(totals.arrivals_per_minute.map(|n| format!("arrivals {}/min", units::number(n))));
    beside.extend(totals.oldest_age_seconds.map(|s| format!("oldest {}", units::age((s * 1000.0) as i64))));
    Panel {
        figure: format!("{} pending{of}", units::or_dash(totals.pending, units::count)),
        beside: beside.join(" · "),
        history: picture.history.pending.clone(),
        rows: ranked(
            &picture.dead_letters,
            |row| Some(row.pending.map_or(-1.0, |n| n as f64)),
            |row, pending| {
                let figure = if pending < 0.0 { DASH.to_owned() } else { units::count(pending as u64) };
                let failures = match row.failures {
                    0 => String::new(),
                    1 => "  1 failure".to_owned(),
                    n => format!("  {n} failures"),
                };
                let role = if pending > 0.0 { Role::Warn } else { Role::Text };
                (format!("{}{failures}", row.topic), figure, role)
            },
        ),
    }
}
