//! `redrive dlq`: dead-letter topics, their failures, their letters.

use std::sync::Arc;

use serde::Serialize;

use super::exit::{Done, Ended, Stop};
use super::output::Format;
use super::selectors::{Selected, Selectors};
use super::table::{Cell, Table};
use super::{Session, session};
use crate::ask::{Answer, Desk, Request};
use crate::letters::document::{FailuresAnswer, FailuresRequest};
use crate::text::time::{TimeFormat, TimeStyle};
use crate::text::units;

/// Subcommands.
#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Dead letters grouped by failure
    Failures(FailuresArgs),
}

/// Arguments of `dlq failures`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct FailuresArgs {
    /// The dead-letter topic
    topic: String,
    #[command(flatten)]
    selectors: Selectors,
}

#[derive(Serialize)]
struct FailuresDocument<'a> {
    #[serde(flatten)]
    answer: &'a FailuresAnswer,
    selection: Selected,
}

pub(super) async fn run(session: &Session<'_>, command: Command) -> Ended {
    match command {
        Command::Failures(args) => failures(session, args).await,
    }
}

async fn failures(session: &Session<'_>, args: FailuresArgs) -> Ended {
    let selection = args.selectors.selection(session.clock.now())?;
    let selected = Selected::of_letters(&selection);
    let desk = Desk::new(session.connect().await?);
    let request = FailuresRequest { topic: Arc::from(args.topic), selection };
    let Answer::Failures(answer) = session.ask(&desk, Request::Failures(request)).await? else {
        return Err(session::unexpected());
    };
    match session.output.format() {
        Format::Json => {
            session.output.document(&FailuresDocument { answer: &answer, selection: selected })?;
        }
        Format::Jsonl => session.output.lines(&answer.failures)?,
        _ => failures_table(session, &answer)?,
    }
    if !answer.complete {
        session.output.note(&format!("incomplete: {} letters read", units::count(answer.scanned)));
    }
    Ok(Done::All)
}

fn failures_table(session: &Session<'_>, answer: &FailuresAnswer) -> Result<(), Stop> {
    let times = TimeFormat::new(TimeStyle::Local);
    let now = session.clock.now();
    let mut table = Table::new()
        .figure("PENDING")
        .figure("ALL")
        .text("ROOT CAUSE")
        .text("MESSAGE")
        .text("GROUP")
        .text("ORIGIN")
        .figure("KEYS")
        .word("LAST")
        .word("ID");
    for row in &answer.failures {
        let class = row.root_cause_class.as_ref().or(row.error_class.as_ref());
        let text = |text: Option<&Arc<str>>| Cell::from(text.map_or(units::DASH, |t| &**t));
        table.row([
            Cell::from(units::or_dash(row.pending, units::count)),
            Cell::from(units::count(row.count)),
            text(class),
            text(row.message.as_ref()),
            text(row.group.as_ref()),
            text(row.origin_topic.as_ref()),
            Cell::from(units::count(row.keys)),
            Cell::from(units::or_dash(row.last_timestamp, |at| times.short(at, now))),
            Cell::from(&row.id),
        ]);
    }
    session.output.table(&table)
}
