//! The five dashboards, and what needs attention first: is anything wrong, and where?

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use super::super::command::Scope;
use super::super::hits::{Hits, Spot};
use super::super::state::State;
use super::super::theme::{Role, Sign};
use super::super::widgets::Pen;
use super::super::widgets::list::{Cell, Column, List, Source};
use super::View;
use super::panels::{Changes, Frame, PANELS, Panel, Window, panel};
use crate::config::profile::Thresholds;
use crate::observe::snapshot::{Attention, Place, Role as TopicRole, Severity, Snapshot};
use crate::text::units::{self, DASH};

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
    window: Window,
    changes: Changes,
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
            Some(line) => Arc::clone(&line.key),
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

    /// The line of what needs attention under the cursor.
    pub fn attention_here<'p>(&self, picture: &'p Snapshot) -> Option<&'p Attention> {
        if self.panel().is_some() {
            return None;
        }
        picture.attention.get(self.list.row()?)
    }

    /// Lets the charts go further back, or less far; gives how far.
    pub fn step(&mut self, longer: bool) -> Option<&'static str> {
        self.window.step(longer).then(|| self.window.name())
    }

    /// The first line of the dashboard under the cursor: the worst offender.
    pub fn worst(&self, picture: &Snapshot) -> Option<Place> {
        let number = self.panel()?;
        let name = panel(picture, &Thresholds::default(), number).rows.into_iter().next()?.name;
        let place = Place { screen: "", topic: None, partition: None, offset: None, group: None };
        Some(match number {
            1 => Place { screen: "topics", topic: Some(name), ..place },
            5 => Place { screen: "dead_letters", topic: Some(name), ..place },
            _ => Place { screen: "groups", group: Some(name), ..place },
        })
    }

    /// Where the entry under the cursor leads.
    pub fn leads(&self, picture: &Snapshot) -> Option<Leads> {
        if let Some(panel) = self.panel() {
            return Some(Leads::Panel(panel));
        }
        Some(Leads::To(self.attention_here(picture)?.place.clone()))
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
        self.changes.see(picture);
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
        self.cost(state, pen);
        let height = room.saturating_sub(lines + 3);
        self.panels(state, &mut pen.part(0, lines + 2, u16::MAX, height), hits);
    }
}

impl Overview {
    /// The last line: how far back the charts go, and what the sample cost.
    fn cost(&self, state: &State, pen: &mut Pen<'_>) {
        let picture = &state.picture;
        if picture.generation == 0 {
            return;
        }
        let y = pen.height().saturating_sub(1);
        let (span, chosen) = (units::age(self.window.shown(&picture.history)), self.window.name());
        let up_to = if span == chosen { String::new() } else { format!(" of {chosen}") };
        let x = pen.put(1, y, &format!("charts: last {span}{up_to}"), Role::Dim);
        let x = match picture.applications.as_deref() {
            Some(apps) => {
                let down = apps.targets.iter().find_map(|target| Some((target, target.error.as_ref()?)));
                let counts = format!("apps {} of {} up", apps.up(), apps.targets.len());
                match down {
                    Some((target, why)) => {
                        pen.cell(x + 3, y, 44, &format!("▲ {counts}: {}: {why}", target.url), Role::Warn)
                    }
                    None => pen.put(x + 3, y, &counts, Role::Dim),
                }
            }
            None => x,
        };
        let requests = picture.requests_per_minute.map_or_else(String::new, |n| {
            let n = n.round() as u64;
            format!("{} requests/min, ", if n < 1_000 { units::count(n) } else { units::short(n) })
        });
        let took = units::duration(Duration::try_from_secs_f64(picture.sample_seconds).unwrap_or_default());
        let text = format!("this sample: {requests}{took}");
        let right = pen.width().saturating_sub(1);
        if usize::from(x) + 2 + crate::text::width::width(&text) <= usize::from(right) {
            pen.right(right, y, &text, Role::Dim);
        }
    }

    fn attention(&self, state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
        let picture = &state.picture;
        let count = picture.attention.len();
        let x = pen.put(1, 0, "NEEDS ATTENTION", Role::Title);
        let known = if picture.generation == 0 { DASH.to_owned() } else { count.to_string() };
        let x = pen.put(x + 1, 0, &known, Role::Title);
        if state.quiet.count() > 0 {
            let muted = format!("{} muted", state.quiet.count());
            let shown = if state.quiet.shown { ", shown" } else { "" };
            pen.put(x + 1, 0, &format!("· {muted}{shown}"), Role::Dim);
        }
        if count == 0 {
            let text = match picture.generation {
                0 => "looking at the cluster for the first time…",
                _ if state.quiet.count() > 0 => "nothing else: za shows what is muted",
                _ => "nothing: no lag that grows, no stalled group, no new failure",
            };
            pen.put(3, 1, text, Role::Dim);
            return;
        }
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
            let quiet = state.quiet.word(line, state.now);
            let (end, role) = match &quiet {
                Some(word) => (pen.right(end.saturating_sub(2), y, word, Role::Dim), Role::Dim),
                None => (end, Role::Text),
            };
            pen.cell(3, y, end.saturating_sub(4), &line.what, role);
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
        let limits = state.seat.as_ref().map(|seat| seat.profile.thresholds).unwrap_or_default();
        let history = &*state.picture.history;
        let span = self.window.shown(history);
        let panels: Vec<Panel<'_>> = (1..=5).map(|number| panel(&state.picture, &limits, number)).collect();
        let rows = |panels: &[Panel<'_>]| panels.iter().map(|panel| panel.rows.len()).max().unwrap_or(0);
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
            let focused = focus == Some(number);
            panel.draw(&Frame { number, focused, chart, history, span, changes: &self.changes }, &mut pen);
            let area = pen.area();
            hits.add(area.x, area.y, area.width, area.height, Spot::Panel(usize::from(number)));
        }
    }
}
