//! What the five dashboards say, and how one is drawn.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::super::theme::Role;
use super::super::widgets::{Pen, spark};
use crate::config::profile::Thresholds;
use crate::observe::applications::Applications;
use crate::observe::snapshot::{History, Role as TopicRole, Snapshot, Status};
use crate::text::Timestamp;
use crate::text::units::{self, DASH};

/// The names of the dashboards.
pub(super) const PANELS: [&str; 5] = ["THROUGHPUT", "LATENCY p99", "ERRORS", "LAG", "DEAD LETTERS"];

/// How far back the charts can go: name, milliseconds.
const SPANS: [(&str, i64); 6] = [
    ("1 m", 60_000),
    ("5 m", 300_000),
    ("15 m", 900_000),
    ("1 h", 3_600_000),
    ("6 h", 21_600_000),
    ("24 h", 86_400_000),
];
/// A look stands for so many milliseconds, unless another one comes.
const STANDS: i64 = 90_000;
/// A limit is drawn up to so many times the highest value; one far above would flatten the chart.
const NEAR: f64 = 4.0;

/// How far back the charts go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window(usize);

impl Default for Window {
    /// A quarter of an hour.
    fn default() -> Self {
        Self(2)
    }
}

impl Window {
    /// Further back, or less far; whether that was possible.
    pub(super) fn step(&mut self, longer: bool) -> bool {
        let next = if longer { self.0 + 1 } else { self.0.wrapping_sub(1) };
        let fits = next < SPANS.len();
        if fits {
            self.0 = next;
        }
        fits
    }

    /// How many milliseconds are shown: no more than there is to show, and a minute at least.
    pub(super) fn shown(self, history: &History) -> i64 {
        let age = history.at.first().zip(history.at.last()).map_or(0, |(first, last)| last.since(*first));
        let chosen = SPANS.get(self.0).map_or(0, |(_, span)| *span);
        chosen.min(age.max(SPANS[0].1))
    }

    /// Its name as it was chosen.
    pub(super) fn name(self) -> &'static str {
        SPANS.get(self.0).map_or("", |(name, _)| name)
    }
}

/// The highest values of a history in so many cells over the last `span` milliseconds; unknown where nothing was
/// seen.
fn cells(at: &[Timestamp], values: &[Option<f64>], span: i64, cells: usize) -> Vec<Option<f64>> {
    let mut out = vec![None; cells];
    let (Some(end), true) = (at.last(), cells > 0) else { return out };
    let from = end.plus_millis(-span);
    let first = at.partition_point(|t| t.plus_millis(STANDS) < from);
    let place = |t: Timestamp| {
        let share = t.since(from).clamp(0, span) as f64 / span as f64;
        ((share * cells as f64) as usize).min(cells - 1)
    };
    for (i, (seen, value)) in at.iter().zip(values).enumerate().skip(first) {
        let until = at.get(i + 1).map_or(*end, |next| (*next).min(seen.plus_millis(STANDS)));
        let Some(value) = value.filter(|v| v.is_finite()) else { continue };
        if until < from {
            continue;
        }
        // Up to the cell before the one in which the next value begins, and one at least.
        let (begin, next) = (place(*seen), place(until));
        let last = if i + 1 < at.len() { next.max(begin + 1) } else { next + 1 };
        for cell in out.iter_mut().take(last).skip(begin) {
            *cell = Some(cell.map_or(value, |v: f64| v.max(value)));
        }
    }
    out
}

/// One line of a dashboard.
pub(super) struct Line {
    /// What it is of.
    pub(super) name: Arc<str>,
    /// What stands behind the name.
    beside: String,
    figure: String,
    role: Role,
}

/// What a dashboard says.
pub(super) struct Panel<'p> {
    figure: String,
    beside: String,
    history: &'p [Option<f64>],
    /// What the figure should stay below, and the same in words.
    limit: Option<(f64, String)>,
    pub(super) rows: Vec<Line>,
}

/// A dashboard, counted from 1.
pub(super) fn panel<'p>(picture: &'p Snapshot, limits: &Thresholds, number: u8) -> Panel<'p> {
    match number {
        1 => throughput(picture),
        2 => latency(picture, limits),
        3 => errors(picture, limits),
        4 => lag(picture, limits),
        _ => dead_letters(picture, limits),
    }
}

/// Where a dashboard is drawn, and how.
#[derive(Clone, Copy)]
pub(super) struct Frame<'f> {
    pub(super) number: u8,
    pub(super) focused: bool,
    /// Lines of the chart.
    pub(super) chart: u16,
    pub(super) history: &'f History,
    /// Milliseconds that the chart shows.
    pub(super) span: i64,
    pub(super) changes: &'f Changes,
}

impl Panel<'_> {
    /// Draws it.
    pub(super) fn draw(&self, frame: &Frame<'_>, pen: &mut Pen<'_>) {
        let number = frame.number;
        let title = PANELS.get(usize::from(number) - 1).copied().unwrap_or_default();
        let width = pen.width().saturating_sub(2);
        let x = pen.put(1, 0, &number.to_string(), Role::Key);
        let x = pen.put(x + 1, 0, title, Role::Title);
        let values = cells(&frame.history.at, self.history, frame.span, usize::from(width));
        let now = self.history.last().copied().flatten();
        if let Some((limit, words)) = &self.limit {
            let over = now.is_some_and(|now| now > *limit);
            let (words, role) = if over {
                (format!("▲ over {words}"), Role::Warn)
            } else {
                (format!("limit {words}"), Role::Dim)
            };
            // Where it does not fit the title is worth more.
            if usize::from(x) + 2 + crate::text::width::width(&words) <= usize::from(width) {
                pen.right(1 + width, 0, &words, role);
            }
        }
        if frame.focused {
            pen.shade(1, 0, width, Role::Select);
        }
        let x = pen.put(1, 1, &self.figure, Role::Title);
        pen.cell(x + 2, 1, width.saturating_sub(x + 1), &self.beside, Role::Dim);
        self.chart(&values, frame.chart, pen);
        for (y, line) in (2 + frame.chart..pen.height()).zip(&self.rows) {
            let changed = line.role == Role::Text && frame.changes.has(number, &line.name);
            let role = if changed { Role::Title } else { line.role };
            let end = pen.right(1 + width, y, &line.figure, role);
            pen.cell(1, y, end.saturating_sub(2), &format!("{}{}", line.name, line.beside), Role::Text);
        }
    }

    /// The history, with a mark at the limit; what lies above it stands out.
    fn chart(&self, values: &[Option<f64>], lines: u16, pen: &mut Pen<'_>) {
        let largest = values.iter().copied().flatten().fold(0.0_f64, f64::max);
        let limit = self.limit.as_ref().map(|(limit, _)| *limit);
        let near = limit.filter(|limit| *limit > 0.0 && *limit <= largest * NEAR);
        let top = near.map_or(largest, |limit| limit.max(largest));
        for (y, line) in (2..).zip(&spark::chart(values, top, usize::from(lines))) {
            pen.put(1, y, line, Role::Chart);
        }
        let Some(limit) = limit else { return };
        for (x, _) in (1..).zip(values).filter(|(_, value)| value.is_some_and(|v| v > limit)) {
            for y in 2..2 + lines {
                pen.shade(x, y, 1, Role::Warn);
            }
        }
        if let Some(limit) = near.filter(|_| lines > 1) {
            // The line in which a bar as high as the limit ends.
            let height = (limit / top * f64::from(lines)).ceil() as u16;
            pen.fill(1, 2 + lines - height.clamp(1, lines), values.len() as u16, "─", Role::Warn);
        }
    }
}

/// What changed with the last sample: the figures of the dashboards' lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    taken: Option<Timestamp>,
    figures: HashMap<(u8, Arc<str>), String>,
    changed: HashSet<(u8, Arc<str>)>,
}

impl Changes {
    /// Takes a picture; the same one again changes nothing.
    pub(super) fn see(&mut self, picture: &Snapshot) {
        if self.taken == Some(picture.taken) {
            return;
        }
        let first = self.taken.replace(picture.taken).is_none();
        let mut figures = HashMap::new();
        self.changed.clear();
        for number in 1..=5 {
            for line in panel(picture, &Thresholds::default(), number).rows {
                let key = (number, line.name);
                if !first && self.figures.get(&key) != Some(&line.figure) {
                    self.changed.insert(key.clone());
                }
                figures.insert(key, line.figure);
            }
        }
        self.figures = figures;
    }

    fn has(&self, number: u8, name: &Arc<str>) -> bool {
        self.changed.contains(&(number, Arc::clone(name)))
    }
}

fn milliseconds(ms: f64) -> String {
    units::duration(Duration::from_secs_f64((ms / 1000.0).clamp(0.0, 1e9)))
}

/// Rows by a figure, the largest first, as far as it is known.
fn ranked<'r, T>(
    rows: &'r [T],
    figure: impl Fn(&T) -> Option<f64>,
    show: impl Fn(&'r T, f64) -> (&'r Arc<str>, String, Role),
) -> Vec<Line> {
    let mut known: Vec<(&T, f64)> =
        rows.iter().filter_map(|row| Some((row, figure(row).filter(|f| f.is_finite())?))).collect();
    known.sort_by(|a, b| b.1.total_cmp(&a.1));
    let line = |(row, value)| {
        let (name, figure, role) = show(row, value);
        Line { name: Arc::clone(name), beside: String::new(), figure, role }
    };
    known.into_iter().take(20).map(line).collect()
}

/// What the broker tells, and what the applications tell of themselves.
fn beside(broker: Option<String>, applications: Option<String>) -> String {
    broker.into_iter().chain(applications).collect::<Vec<_>>().join(" · ")
}

fn throughput(picture: &Snapshot) -> Panel<'_> {
    let totals = &picture.totals;
    let apps = picture.applications.as_ref().and_then(|a| Applications::rate(&a.published));
    let apps = apps.map(|n| format!("apps {}", units::rate(n)));
    Panel {
        figure: units::or_dash(totals.records_per_second, units::rate),
        beside: beside(totals.bytes_per_second.map(units::about_bytes_rate), apps),
        history: &picture.history.records_per_second,
        limit: None,
        rows: ranked(
            &picture.topics,
            |topic| topic.records_per_second.filter(|_| topic.role == TopicRole::Source),
            |topic, rate| (&topic.name, units::rate(rate), Role::Text),
        ),
    }
}

fn latency<'p>(picture: &'p Snapshot, limits: &Thresholds) -> Panel<'p> {
    let all = &picture.totals.latency;
    let mut beside = Vec::new();
    beside.extend(all.p50.map(|ms| format!("p50 {}", milliseconds(ms))));
    let processing = picture.applications.as_ref().and_then(|a| a.processing_duration.p99_seconds);
    beside.extend(processing.map(|s| format!("processing {}", milliseconds(s * 1000.0))));
    beside.extend(all.resolution.map(|ms| format!("±{}", milliseconds(ms))));
    beside.extend((all.skewed > 0).then(|| format!("clock skew {}", units::count(all.skewed))));
    Panel {
        figure: units::or_dash(all.p99, milliseconds),
        beside: beside.join(" · "),
        history: &picture.history.latency_p99,
        limit: limits.latency.map(|limit| (limit.as_secs_f64() * 1000.0, units::duration(limit))),
        rows: ranked(
            &picture.groups,
            |group| group.latency_ms.p99,
            |group, ms| (&group.group, milliseconds(ms), Role::Text),
        ),
    }
}

fn errors<'p>(picture: &'p Snapshot, limits: &Thresholds) -> Panel<'p> {
    let totals = &picture.totals;
    let apps = picture.applications.as_ref().and_then(|a| Applications::rate(&a.errors));
    let apps = apps.map(|n| format!("apps {}", units::rate(n)));
    Panel {
        figure: units::or_dash(totals.error_percent, units::percent),
        beside: beside(totals.error_percent.map(|_| "of consumed".to_owned()), apps),
        history: &picture.history.error_percent,
        limit: limits.errors.map(|limit| (limit, units::percent(limit))),
        rows: ranked(
            &picture.groups,
            |group| group.error_percent,
            |group, percent| {
                let role = if percent > 0.0 { Role::Warn } else { Role::Text };
                (&group.group, units::percent(percent), role)
            },
        ),
    }
}

fn lag<'p>(picture: &'p Snapshot, limits: &Thresholds) -> Panel<'p> {
    let mut known = picture.history.lag.iter().rev().copied().flatten();
    let change = match (known.next(), known.next()) {
        (Some(now), Some(before)) => Some((now - before) / picture.window_seconds.unwrap_or(1.0).max(0.001)),
        _ => None,
    };
    let change = change.filter(|c| c.abs() >= 0.5).map(|c| format!("{}/s", units::change(c.round() as i64)));
    Panel {
        figure: units::or_dash(picture.totals.lag, units::count),
        beside: change.unwrap_or_default(),
        history: &picture.history.lag,
        limit: limits.lag.map(|limit| (limit, units::count(limit as u64))),
        rows: ranked(
            &picture.groups,
            |group| group.lag.map(|lag| lag as f64),
            |group, lag| {
                let text = units::count(lag as u64);
                match group.status {
                    Status::Stall => (&group.group, format!("stalled {text}"), Role::Fail),
                    Status::Stop => (&group.group, format!("stopped {text}"), Role::Fail),
                    Status::Warn => (&group.group, text, Role::Warn),
                    _ => (&group.group, text, Role::Text),
                }
            },
        ),
    }
}

fn dead_letters<'p>(picture: &'p Snapshot, limits: &Thresholds) -> Panel<'p> {
    let totals = &picture.totals;
    let records: Option<u64> = picture.dead_letters.iter().map(|row| row.records).sum();
    let records = records.filter(|_| totals.pending.is_some());
    let of = records.map(|n| format!(" of {}", units::count(n))).unwrap_or_default();
    let mut beside = Vec::new();
    beside.extend(totals.arrivals_per_minute.map(|n| format!("arrivals {}/min", units::number(n))));
    beside.extend(totals.oldest_age_seconds.map(|s| format!("oldest {}", units::age((s * 1000.0) as i64))));
    let mut rows = ranked(
        &picture.dead_letters,
        |row| Some(row.pending.map_or(-1.0, |n| n as f64)),
        |row, pending| {
            let figure = if pending < 0.0 { DASH.to_owned() } else { units::count(pending as u64) };
            let role = if pending > 0.0 { Role::Warn } else { Role::Text };
            (&row.topic, figure, role)
        },
    );
    for line in &mut rows {
        let failures = picture.dead_letters.iter().find(|row| row.topic == line.name).map(|row| row.failures);
        line.beside = match failures {
            None | Some(0) => String::new(),
            Some(1) => "  1 failure".to_owned(),
            Some(n) => format!("  {n} failures"),
        };
    }
    Panel {
        figure: format!("{} pending{of}", units::or_dash(totals.pending, units::count)),
        beside: beside.join(" · "),
        history: &picture.history.pending,
        limit: limits.dead_letters.map(|limit| (limit, units::count(limit as u64))),
        rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: &[i64]) -> Vec<Timestamp> {
        seconds.iter().map(|s| Timestamp(s * 1000)).collect()
    }

    fn shown(seconds: &[i64], values: &[f64], span: i64, count: usize) -> Vec<i64> {
        let values: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
        cells(&at(seconds), &values, span * 1000, count)
            .into_iter()
            .map(|v| v.map_or(-1, |v| v as i64))
            .collect()
    }

    #[test]
    fn a_chart_is_true_to_time() {
        // Six cells of ten seconds; the first look is 40 s before the last.
        assert_eq!(shown(&[0, 10, 20, 30, 40], &[1.0, 2.0, 3.0, 4.0, 5.0], 60, 6), [-1, -1, 1, 2, 3, 5]);
        // Many looks in a cell: the highest is shown.
        assert_eq!(shown(&[57, 58, 59, 60], &[9.0, 1.0, 1.0, 1.0], 60, 6), [-1, -1, -1, -1, -1, 9]);
    }

    #[test]
    fn a_look_stands_until_the_next_one_and_not_through_an_outage() {
        assert_eq!(shown(&[0, 40], &[1.0, 2.0], 60, 6), [-1, -1, 1, 1, 1, 2]);
        assert_eq!(shown(&[0, 300], &[1.0, 2.0], 300, 10), [1, 1, 1, -1, -1, -1, -1, -1, -1, 2]);
    }

    #[test]
    fn charts_are_no_longer_than_what_there_is_to_show() {
        let history = |seconds: i64| History { at: at(&[0, seconds]), ..History::default() };
        let mut window = Window::default();
        assert_eq!(window.shown(&history(30)), 60_000);
        assert_eq!(window.shown(&history(100)), 100_000);
        assert_eq!(window.shown(&history(10_000)), 900_000);
        assert!(window.step(true));
        assert_eq!(window.shown(&history(10_000)), 3_600_000);
        while window.step(false) {}
        assert_eq!((window.name(), window.shown(&history(10_000))), ("1 m", 60_000));
    }
}
