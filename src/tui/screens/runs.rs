//! What was redriven, by whom, and what became of it: the runs of the audit.

use std::cmp::Ordering;
use std::sync::Arc;

use super::View;
use super::asking::Asking;
use super::look::Look;
use crate::ask::{Answer, Request};
use crate::observe::snapshot::Snapshot;
use crate::redrive::document::{RunRow, RunsAnswer};
use crate::text::Fault;
use crate::text::units::{self, count, or_dash};
use crate::tui::command::Scope;
use crate::tui::hits::Hits;
use crate::tui::state::State;
use crate::tui::theme::{Role, Sign};
use crate::tui::widgets::list::{Cell, Column, List, Source};
use crate::tui::widgets::{Pen, table};

/// The screen.
#[derive(Debug, Default)]
pub struct Runs {
    asking: Asking,
    answer: Option<Arc<RunsAnswer>>,
    list: List,
}

impl Runs {
    /// The run under the cursor.
    pub fn current(&self) -> Option<&RunRow> {
        self.rows().get(self.list.row()?)
    }

    /// Asks again.
    pub fn again(&mut self) {
        self.asking.again();
    }

    fn rows(&self) -> &[RunRow] {
        self.answer.as_ref().map_or(&[], |answer| &answer.runs)
    }
}

struct Rows<'r> {
    rows: &'r [RunRow],
    look: Option<Look<'r>>,
}

impl Source for Rows<'_> {
    fn columns(&self) -> &'static [Column] {
        const {
            &[
                Column::text("STARTED", 12, 12, 0),
                Column::text("STATE", 11, 11, 0),
                Column::text("TOPIC", 10, 30, 0),
                Column::text("WHAT", 7, 7, 1),
                Column::figure("LETTERS", 7, 0),
                Column::figure("PROCESSED", 9, 1),
                Column::figure("CAME BACK", 9, 2),
                Column::figure("PARKED", 6, 3),
                Column::figure("TOOK", 6, 5),
                Column::text("OPERATOR", 8, 24, 4),
                Column::text("RUN", 8, 40, 6),
            ]
        }
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn key(&self, row: usize) -> Arc<str> {
        self.rows.get(row).map_or_else(|| "".into(), |row| row.run.run.as_str().into())
    }

    fn cell(&self, row: usize, column: usize) -> Cell {
        let Some(RunRow { run, state, kind, disposed, .. }) = self.rows.get(row) else { return "".into() };
        match column {
            0 => {
                Cell::new(self.look.map_or_else(String::new, |look| look.time(Some(run.started))), Role::Dim)
            }
            1 => {
                let sign = match *state {
                    "done" => Sign::Ok,
                    "running" | "waiting" => Sign::Stale,
                    "stopped" => Sign::Warn,
                    _ => Sign::Fail,
                };
                Cell::new(format!("{} {state}", sign.glyph()), sign.role())
            }
            2 => run.topic.to_string().into(),
            3 => (*kind).into(),
            4 => Cell::new(count(run.redriven + disposed), Role::Title),
            5..=7 if *kind != "redrive" => "".into(),
            5 => or_dash(run.processed, count).into(),
            6 => Cell::new(count(run.came_back), if run.came_back > 0 { Role::Fail } else { Role::Text }),
            7 => count(run.parked.len() as u64).into(),
            8 => units::duration(std::time::Duration::from_secs_f64(run.seconds.clamp(0.0, 1e12))).into(),
            9 => run.operator.clone().into(),
            _ => Cell::new(run.run.clone(), Role::Dim),
        }
    }

    fn fault(&self, row: usize) -> Option<bool> {
        let wrong = |row: &RunRow| {
            row.state == "abandoned"
                || row.run.stopped.is_some()
                || !row.run.parked.is_empty()
                || row.run.held > 0
        };
        self.rows.get(row).map(wrong)
    }

    fn text(&self, row: usize) -> String {
        let Some(RunRow { run, state, kind, reason, .. }) = self.rows.get(row) else { return String::new() };
        format!(
            "{kind} {} {} {} {state} {}",
            run.topic,
            run.operator,
            run.run,
            reason.as_deref().unwrap_or_default()
        )
    }

    fn compare(&self, a: usize, b: usize, column: usize) -> Ordering {
        let (Some(x), Some(y)) = (self.rows.get(a), self.rows.get(b)) else { return Ordering::Equal };
        let (a, b) = (&x.run, &y.run);
        match column {
            0 => a.started.cmp(&b.started),
            1 => x.state.cmp(y.state),
            2 => a.topic.cmp(&b.topic),
            3 => x.kind.cmp(y.kind),
            4 => (a.redriven + x.disposed).cmp(&(b.redriven + y.disposed)),
            5 => a.processed.cmp(&b.processed),
            6 => a.came_back.cmp(&b.came_back),
            7 => a.parked.len().cmp(&b.parked.len()),
            8 => a.seconds.total_cmp(&b.seconds),
            9 => a.operator.cmp(&b.operator),
            _ => a.run.cmp(&b.run),
        }
    }
}

impl View for Runs {
    fn scope(&self) -> Scope {
        Scope::Runs
    }

    fn crumb(&self) -> String {
        "runs".to_owned()
    }

    fn status(&self, _: &State) -> String {
        let Some(answer) = &self.answer else { return String::new() };
        let runs = answer.runs.len() as u64;
        format!("{} {}", count(runs), if runs == 1 { "run" } else { "runs" })
    }

    fn list(&self) -> Option<&List> {
        Some(&self.list)
    }

    fn list_mut(&mut self) -> Option<&mut List> {
        Some(&mut self.list)
    }

    fn preview(&self, state: &State, pen: &mut Pen<'_>) -> bool {
        let Some(row) = self.current() else { return false };
        super::Run::past(row.clone()).draw(state, pen, &mut Hits::default());
        true
    }

    fn source<'s>(&'s self, state: &'s State) -> Option<Box<dyn Source + 's>> {
        Some(Box::new(Rows { rows: self.rows(), look: Some(Look::of(state)) }))
    }

    fn refresh(&mut self, _: &Arc<Snapshot>) {
        let answer = self.answer.clone();
        let rows = answer.as_ref().map_or(&[][..], |answer| &answer.runs);
        self.list.refresh(&Rows { rows, look: None });
    }

    fn wants(&mut self, _: &Arc<Snapshot>) -> Option<Request> {
        self.asking.due().then_some(Request::Runs)
    }

    fn asking(&self) -> Option<&Asking> {
        Some(&self.asking)
    }

    fn asking_mut(&mut self) -> Option<&mut Asking> {
        Some(&mut self.asking)
    }

    fn answered(&mut self, answer: Result<Answer, Fault>) {
        if let Some(Answer::Runs(answer)) = self.asking.answered(answer) {
            self.answer = Some(answer);
        }
    }

    fn command_line(&self) -> Option<String> {
        Some("runs list".to_owned())
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
        if self.rows().is_empty() {
            let hint = "R on a dead letter, a failure or a dead-letter topic makes a plan";
            self.asking.draw(pen, self.answer.is_some(), "nothing was redriven yet", hint);
            return;
        }
        let rows = Rows { rows: self.rows(), look: Some(Look::of(state)) };
        table::draw(pen, &self.list, &rows, table::Cursor::Shown, hits);
    }
}
