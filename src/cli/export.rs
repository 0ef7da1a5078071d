//! `redrive export`: records or dead letters into a file.

use std::path::PathBuf;
use std::sync::Arc;

use super::dlq::StateWord;
use super::exit::{Done, Ended};
use super::output::Format as Output;
use super::selectors::{Selectors, wrong};
use super::{Session, session};
use crate::ask::export::{ExportRequest, Source};
use crate::ask::{Answer, Desk, Request};
use crate::event::archive::Format;
use crate::event::spreadsheet::Column;
use crate::filter::Edge;
use crate::letters::document::LettersRequest;
use crate::records::document::{TailRequest, Wanted};
use crate::text::{Fault, units};

/// `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FormatWord {
    /// One JSON object a line; byte for byte, can be imported
    Jsonl,
    /// For spreadsheets; cannot be imported
    Csv,
    /// Binary: smaller and faster; byte for byte, can be imported
    Bin,
}

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The topic
    topic: String,
    /// The file to make; none is overwritten
    #[arg(long, value_name = "FILE")]
    save: PathBuf,
    /// How it is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "jsonl")]
    format: FormatWord,
    /// The columns of a CSV file: fields of a record, header:NAME, and what lies in a JSON document, as
    /// value.order.id or key.id (default: all that a record has)
    #[arg(long, value_name = "LIST")]
    columns: Option<String>,
    /// Go on with what an interrupted export left
    #[arg(long)]
    resume: bool,
    /// Of a dead-letter topic, only letters in this state
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<StateWord>,
    /// Only letters of this failure (an id of `dlq failures`)
    #[arg(long, value_name = "ID")]
    failure: Option<String>,
    #[command(flatten)]
    selectors: Selectors,
}

pub(super) async fn run(session: &Session<'_>, args: Args) -> Ended {
    let columns = match &args.columns {
        None => Column::usual(),
        Some(_) if args.format != FormatWord::Csv => {
            return Err(Fault::usage("usage", "--columns goes with --format csv")
                .hint("the other forms keep all of a record, so that it can be imported")
                .into());
        }
        Some(text) => Column::parse_all(text).map_err(|why| wrong("--columns", text, why))?,
    };
    let mut selection = args.selectors.selection(session.clock.now())?;
    let topic: Arc<str> = Arc::from(args.topic);
    let source = if args.state.is_some() || args.failure.is_some() {
        Source::Letters(LettersRequest {
            topic,
            selection,
            failure: args.failure.map(Arc::from),
            state: args.state.unwrap_or(StateWord::All).disposition(),
        })
    } else {
        selection.from = selection.from.or(Some(Edge::Beginning));
        Source::Records(TailRequest {
            topics: vec![topic],
            selection,
            follow: false,
            wanted: Wanted::Whole,
            after: Vec::new(),
        })
    };
    let format = match args.format {
        FormatWord::Jsonl => Format::Jsonl,
        FormatWord::Csv => Format::Csv,
        FormatWord::Bin => Format::Bin,
    };
    let request = ExportRequest { source, path: args.save, format, resume: args.resume, columns };
    let desk = Desk::new(session.connect().await?);
    let Answer::Export(answer) = session.ask(&desk, Request::Export(request)).await? else {
        return Err(session::unexpected());
    };
    match session.output.format() {
        Output::Json => session.output.document(&*answer)?,
        Output::Jsonl => session.output.document_line(&*answer)?,
        _ => session.output.facts(&[
            ("file", answer.file.clone()),
            ("records", units::count(answer.records)),
            ("before", if answer.before == 0 { String::new() } else { units::count(answer.before) }),
            ("bytes", units::bytes(answer.bytes)),
        ])?,
    }
    if answer.filter_errors > 0 {
        let errors = units::count(answer.filter_errors);
        session.output.note(&format!("the condition failed on {errors} records; they are left out"));
    }
    if answer.complete {
        return Ok(Done::All);
    }
    let why = answer.incomplete_reason.as_deref().unwrap_or("the limit was reached");
    session.output.note(&format!("incomplete: {why}"));
    Ok(if args.selectors.limit.is_some() { Done::All } else { Done::Part })
}
