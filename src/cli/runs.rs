//! `redrive runs`: what was redriven, by whom, and what became of it.

use super::exit::{Done, Ended, Stop};
use super::output::Format;
use super::table::{Cell, Table, Tone};
use super::{Session, session};
use crate::ask::{Answer, Desk, Request};
use crate::redrive::document::{RunRow, RunsAnswer};
use crate::text::time::{TimeFormat, TimeStyle};
use crate::text::{Fault, units};

/// Subcommands.
#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum Command {
    /// All runs, the latest first
    List,
    /// One run
    Show {
        /// Its id, or the beginning of it
        run: String,
    },
}

pub(super) async fn run(session: &Session<'_>, command: Command) -> Ended {
    let desk = Desk::new(session.connect().await?);
    let Answer::Runs(answer) = session.ask(&desk, Request::Runs).await? else {
        return Err(session::unexpected());
    };
    let out = session.output;
    match command {
        Command::List => match out.format() {
            Format::Json => out.document(&*answer)?,
            Format::Jsonl => out.lines(&answer.runs)?,
            _ => out.table(&table(session, &answer.runs))?,
        },
        Command::Show { run } => {
            let row = find(&answer, &run)?;
            match out.format() {
                Format::Json => out.document(row)?,
                Format::Jsonl => out.document_line(row)?,
                _ if row.kind == "redrive" => super::run::show(session, &row.run)?,
                _ => action(session, row)?,
            }
        }
    }
    Ok(Done::All)
}

fn find<'a>(answer: &'a RunsAnswer, id: &str) -> Result<&'a RunRow, Fault> {
    let mut fitting = answer.runs.iter().filter(|row| row.run.run.starts_with(id));
    match (fitting.next(), fitting.next()) {
        (Some(row), None) => Ok(row),
        (Some(_), Some(_)) => {
            Err(Fault::usage("usage", format!("several runs begin with {id:?}")).hint("give more of the id"))
        }
        (None, _) => {
            Err(Fault::failed("unknown_run", format!("there is no run {id:?}")).hint("redrive runs list"))
        }
    }
}

/// An action that is no redrive.
fn action(session: &Session<'_>, row: &RunRow) -> Result<(), Stop> {
    let run = &row.run;
    let count = |n: u64| if n == 0 { String::new() } else { units::count(n) };
    let what = if matches!(row.kind, "import" | "produce" | "copy") { "records" } else { "letters" };
    session.output.facts(&[
        ("action", format!("{} of {}", row.kind, run.topic)),
        ("id", run.run.clone()),
        ("operator", run.operator.clone()),
        ("reason", row.reason.clone().unwrap_or_default()),
        ("started", run.started.to_string()),
        (what, format!("{} of {}", units::count(row.disposed), units::count(run.planned))),
        ("handled", count(run.already_handled)),
        ("expired", count(run.expired)),
        ("remaining", count(run.remaining)),
        ("state", row.state.to_owned()),
        (
            "stopped",
            run.stopped_reason.clone().or_else(|| run.stopped.map(str::to_owned)).unwrap_or_default(),
        ),
    ])
}

fn table(session: &Session<'_>, rows: &[RunRow]) -> Table {
    let times = TimeFormat::new(TimeStyle::Local);
    let now = session.clock.now();
    let mut table = Table::new()
        .word("STARTED")
        .word("STATE")
        .text("FROM")
        .word("KIND")
        .figure("LETTERS")
        .figure("OF")
        .figure("CAME BACK")
        .text("OPERATOR")
        .text("RUN");
    for row in rows {
        let tone = match row.state {
            "done" => Tone::Ok,
            "stopped" | "abandoned" => Tone::Warn,
            _ => Tone::Plain,
        };
        table.row([
            Cell::from(times.short(row.run.started, now)),
            Cell::toned(row.state, tone),
            Cell::from(&row.run.topic),
            Cell::from(row.kind),
            Cell::from(units::count(row.run.redriven + row.disposed)),
            Cell::from(units::count(row.run.planned)),
            Cell::from(units::count(row.run.came_back)),
            Cell::from(&row.run.operator),
            Cell::from(&row.run.run),
        ]);
    }
    table
}
