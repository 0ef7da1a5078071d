//! A redrive run: is it working?
//!
//! A run belongs to the console and not to this screen: leaving the screen does not stop it. It is done only
//! when the group has passed every record that was written, or when it says which ones it has not.

use std::sync::Arc;

use super::View;
use super::asking::fault;
use super::look::{Look, place};
use super::plan::{guarantee, letters};
use crate::letters::document::LettersRequest;
use crate::redrive::control::Control;
use crate::redrive::document::{CanaryAnswer, RunAnswer, RunRow};
use crate::text::units::{self, count, or_dash};
use crate::text::{Fault, Timestamp};
use crate::tui::command::{Id, Scope};
use crate::tui::hits::Hits;
use crate::tui::message::RequestId;
use crate::tui::state::State;
use crate::tui::theme::{Role, Sign};
use crate::tui::widgets::line::{self, Line, Span};
use crate::tui::widgets::{Pen, spark};

/// A run that was started here. It is the console's and not the screen's: leaving the screen does not stop it.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its request.
    pub id: RequestId,
    /// Dead-letter topic.
    pub topic: Arc<str>,
    /// Letters of the plan.
    pub planned: u64,
    /// Speaks to it.
    pub control: Control,
    /// Whether the operator paused it.
    pub paused: bool,
    /// How far it is.
    pub latest: Option<Box<RunAnswer>>,
    /// Whether it was asked to stop.
    pub stopping: bool,
    /// How it ended.
    pub ended: Option<Result<(), Fault>>,
}

/// The limits of records a second that a run is given by keys; behind the last one there is none.
const RATES: [u32; 16] =
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000];

impl Job {
    /// Takes the next lower (-1) or higher (1) limit of the rate; gives what to tell.
    pub fn change_rate(&mut self, by: i32) -> String {
        let now = self.latest.as_ref().and_then(|run| run.rate);
        let next = if by > 0 {
            // Without a limit there is no higher one.
            now.and_then(|now| RATES.into_iter().find(|rate| *rate > now))
        } else {
            // From no limit down to what it does now.
            let from = now.or_else(|| {
                let rate = self.latest.as_ref().and_then(|run| run.records_per_second)?;
                Some(rate.ceil().clamp(1.0, 1e9) as u32)
            });
            let lower = |from: u32| RATES.into_iter().rev().find(|rate| *rate < from);
            Some(from.map_or(1_000, |from| lower(from).unwrap_or(1)))
        };
        self.control.limit(next);
        if let Some(run) = &mut self.latest {
            // The run says the same in a moment; the next key must not wait for it.
            run.rate = next;
        }
        next.map_or_else(
            || "no limit of the rate".to_owned(),
            |rate| format!("{} records a second at most", count(u64::from(rate))),
        )
    }

    /// What the header says of it, while it is under way.
    pub fn badge(&self) -> Option<(String, Role)> {
        if self.ended.is_some() {
            return None;
        }
        let done = self.latest.as_ref().map_or(0, |run| handled(run));
        let asks = self.latest.as_ref().and_then(|run| run.canary.as_ref()).is_some_and(|c| c.asks);
        let stops = match () {
            () if self.stopping => ", stops",
            () if self.paused => ", paused",
            () if asks => ", asks",
            () => "",
        };
        Some((format!("run {}/{}{stops}", count(done), count(self.planned)), Role::Write))
    }
}

/// Letters that a run is done with.
fn handled(run: &RunAnswer) -> u64 {
    run.redriven + run.already_handled + run.duplicates + run.expired + run.parked.len() as u64 + run.held
}

/// Which run is shown.
#[derive(Clone, Debug)]
enum Which {
    /// The one that was started here last.
    Job,
    /// One of the audit.
    Past(Box<RunRow>),
}

/// The screen.
#[derive(Clone, Debug)]
pub struct Run {
    which: Which,
    top: usize,
}

impl Run {
    /// The run that was started here last.
    pub fn job() -> Self {
        Self { which: Which::Job, top: 0 }
    }

    /// A run of the audit.
    pub fn past(row: RunRow) -> Self {
        Self { which: Which::Past(Box::new(row)), top: 0 }
    }

    /// Whether it shows the run that was started here last.
    pub fn is_job(&self) -> bool {
        matches!(self.which, Which::Job)
    }

    /// The letters of its topic, in every state.
    pub fn letters(&self, job: Option<&Job>) -> Option<LettersRequest> {
        let topic = match &self.which {
            Which::Job => Arc::clone(&job?.topic),
            Which::Past(row) => Arc::clone(&row.run.topic),
        };
        Some(LettersRequest { topic, ..super::plan::all_letters() })
    }
}

impl View for Run {
    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn crumb(&self) -> String {
        match &self.which {
            Which::Job => "redrive run".to_owned(),
            Which::Past(row) => row.run.run.clone(),
        }
    }

    fn scroll(&mut self, by: isize, _: usize) {
        self.top = self.top.saturating_add_signed(by).min(100_000);
    }

    fn command_line(&self) -> Option<String> {
        match &self.which {
            Which::Job => Some("runs list".to_owned()),
            Which::Past(row) => Some(format!("runs show {}", super::plan::quoted(&row.run.run))),
        }
    }

    fn copy(&self, _: Id, state: &State) -> Option<String> {
        match &self.which {
            Which::Job => state.job.as_ref()?.latest.as_ref().map(|run| run.run.clone()),
            Which::Past(row) => Some(row.run.run.clone()),
        }
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
        hits.page = usize::from(pen.height()).max(2);
        let look = Look::of(state);
        match &self.which {
            Which::Past(row) => {
                let sign = match row.state {
                    "done" => Sign::Ok,
                    "running" | "waiting" => Sign::Stale,
                    _ => Sign::Warn,
                };
                draw(pen, &row.run, row.run.planned, sign, row.state, &look, self.top);
            }
            Which::Job => {
                let Some(job) = &state.job else {
                    pen.put(2, 1, "no run was started here", Role::Text);
                    pen.put(2, 2, "gr lists the runs of the audit", Role::Dim);
                    return;
                };
                if let (Some(Err(wrong)), None) = (&job.ended, &job.latest) {
                    fault(pen, wrong);
                    return;
                }
                let Some(run) = &job.latest else {
                    pen.put(2, 1, &format!("starting with {} …", letters(job.planned)), Role::Dim);
                    return;
                };
                let (sign, word) = match &job.ended {
                    None if job.stopping => (Sign::Warn, "stops after this transaction"),
                    None if job.paused => (Sign::Warn, "paused; p goes on"),
                    None if run.canary.as_ref().is_some_and(|c| c.asks) => {
                        (Sign::Warn, "canary sent; C sends the rest, ctrl-c stops")
                    }
                    None if run.canary.as_ref().is_some_and(|c| c.state == "waiting") => {
                        (Sign::Stale, "waiting for proof of the canary")
                    }
                    None if run.waiting.is_some() => (Sign::Stale, "waiting"),
                    None => (Sign::Stale, "running"),
                    Some(Err(_)) => (Sign::Fail, "failed"),
                    Some(Ok(())) if run.stopped.is_some() => (Sign::Warn, "stopped"),
                    Some(Ok(())) => outcome(run),
                };
                let used = draw(pen, run, job.planned, sign, word, &look, self.top);
                if let Some(Err(wrong)) = &job.ended {
                    fault(&mut pen.below(used), wrong);
                }
            }
        }
    }
}

/// How a run that reached its end went: green only when everything that was written was processed.
fn outcome(run: &RunAnswer) -> (Sign, &'static str) {
    if !run.parked.is_empty() || run.came_back > 0 || run.held > 0 {
        return (Sign::Warn, "done, not everything went well");
    }
    match run.processed {
        Some(processed) if processed < run.redriven => (Sign::Stale, "written, not all processed yet"),
        Some(_) => (Sign::Ok, "done"),
        None => (Sign::Ok, "written; no group tells whether it was processed"),
    }
}

/// Draws a run; gives the line behind it.
fn draw(
    pen: &mut Pen<'_>,
    run: &RunAnswer,
    planned: u64,
    sign: Sign,
    word: &str,
    look: &Look<'_>,
    top: usize,
) -> u16 {
    let dim = |text: &str| Span::dim(text);
    let mut lines: Vec<Line> = vec![
        vec![
            Span::new(format!("{} {word}", sign.glyph()), sign.role()),
            dim("   run "),
            Span::new(&run.run, Role::Title),
            dim("  of "),
            Span::new(&*run.topic, Role::Value),
            dim("  by "),
            Span::text(&run.operator),
        ],
        meter(run, planned, usize::from(pen.width())),
        Vec::new(),
        counts(run),
    ];
    lines.push(vec![dim("guarantee  "), Span::new(guarantee(run.guarantee), Role::Value)]);
    let started = (run.started != Timestamp::default()).then_some(run.started);
    lines.push(vec![dim("started    "), Span::text(look.time(started))]);
    // How long it took is known at its end.
    if run.seconds > 0.0
        && let Some(line) = lines.last_mut()
    {
        let took = std::time::Duration::from_secs_f64(run.seconds.clamp(0.0, 1e12));
        line.extend([dim("   took "), Span::text(units::duration(took))]);
    }
    lines.extend(run.canary.as_ref().map(canary));
    if let Some(waiting) = &run.waiting {
        lines.push(vec![dim("waits for  "), Span::new(waiting, Role::Warn)]);
    }
    if run.ledger_wait_seconds >= 0.05 {
        let text = format!("waited {} s for the ledger", units::number(run.ledger_wait_seconds));
        lines.push(vec![dim(&text)]);
    }
    if let Some(stopped) = run.stopped {
        let reason = run.stopped_reason.as_deref().unwrap_or_default();
        lines.push(vec![
            Span::new(format!("{} stopped: {stopped}", Sign::Warn.glyph()), Role::Warn),
            Span::text(format!("  {reason}")),
        ]);
    }
    if run.aborted_records > 0 {
        let text =
            format!("{} records were written in transactions that were aborted", count(run.aborted_records));
        lines.push(vec![dim(&text)]);
    }
    for parked in &run.parked {
        let at = place(Some(&run.topic), Some(parked.partition), Some(parked.offset));
        lines.push(vec![Span::new(format!("✖ {at}  parked: {}", parked.why), Role::Fail)]);
    }
    let room = usize::from(pen.height());
    let top = top.min(lines.len().saturating_sub(room));
    let mut y = 0;
    for spans in lines.iter().skip(top).take(room) {
        line::draw(pen, 1, y, spans);
        y += 1;
    }
    y
}

fn meter(run: &RunAnswer, planned: u64, wide: usize) -> Line {
    let done = handled(run).min(planned);
    let mut out = vec![
        Span::new(spark::meter(done, planned, wide.saturating_sub(44).clamp(10, 60)), Role::Key),
        Span::new(format!("  {}/{}", count(done), count(planned)), Role::Title),
    ];
    let rate = run.records_per_second.filter(|r| *r > 0.0);
    if let Some(rate) = rate {
        out.push(Span::text(format!("  {}", units::rate(rate))));
    }
    let over = run.remaining == 0 || run.stopped.is_some();
    if let Some(limit) = run.rate.filter(|_| !over) {
        out.push(Span::dim(format!(" of {} at most", count(u64::from(limit)))));
    }
    if let Some(rate) = rate.filter(|_| !over && !run.paused) {
        let left = std::time::Duration::from_secs_f64((run.remaining as f64 / rate).min(1e12));
        out.push(Span::dim(format!("  ETA {}", units::duration(left))));
    }
    out
}

fn canary(canary: &CanaryAnswer) -> Line {
    let (role, state) = match canary.state {
        "passed" => (Role::Ok, "passed"),
        "nothing_came_back" => (Role::Ok, "nothing came back"),
        "came_back" => (Role::Fail, "came back"),
        "not_proved" => (Role::Warn, "not proved"),
        "waiting" => (Role::Text, "waiting for proof"),
        _ => (Role::Text, "being sent"),
    };
    let size = count(canary.size);
    let mut out = vec![Span::dim("canary     "), Span::new(format!("{size} {state}"), role)];
    if let Some(processed) = canary.processed {
        out.push(Span::dim(format!(", {} processed", count(processed))));
    }
    if canary.retrying > 0 {
        out.push(Span::new(format!(", {} in retry topics", count(canary.retrying)), Role::Warn));
    }
    if let Some(proof) = &canary.proof {
        out.push(Span::dim(format!(": {proof}")));
    }
    if let Some(left) = canary.seconds_left {
        out.push(Span::dim(format!(", {left} s left")));
    }
    out
}

fn counts(run: &RunAnswer) -> Line {
    let bad = |n: u64| if n > 0 { Role::Fail } else { Role::Text };
    let processed = or_dash(run.processed, count);
    let all = run.processed == Some(run.redriven) && run.redriven > 0;
    let mut parts = vec![
        ("produced", count(run.redriven), Role::Text),
        ("processed", processed, if all { Role::Ok } else { Role::Text }),
        ("came back", count(run.came_back), bad(run.came_back)),
        ("unconfirmed", count(run.unconfirmed), Role::Text),
        ("parked", count(run.parked.len() as u64), bad(run.parked.len() as u64)),
        ("held", count(run.held), bad(run.held)),
    ];
    let rest =
        [("handled before", run.already_handled), ("duplicates", run.duplicates), ("expired", run.expired)];
    parts.extend(rest.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| (name, count(n), Role::Text)));
    let mut out = Line::new();
    for (name, figure, role) in parts {
        if !out.is_empty() {
            out.push(Span::dim(" · "));
        }
        out.push(Span::dim(format!("{name} ")));
        out.push(Span::new(figure, role));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_green_only_when_all_that_was_written_was_processed() {
        let run = RunAnswer { redriven: 5, processed: Some(4), ..RunAnswer::default() };
        assert_eq!(outcome(&run).0, Sign::Stale);
        assert_eq!(outcome(&RunAnswer { processed: Some(5), ..run.clone() }).0, Sign::Ok);
        assert_eq!(outcome(&RunAnswer { processed: Some(5), came_back: 1, ..run }).0, Sign::Warn);
    }
}
