//! `redrive dlq`: dead-letter topics, their failures, their letters.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::exit::{Done, Ended, Stop};
use super::output::Format;
use super::selectors::{Selected, Selectors};
use super::table::{Cell, Table, Tone};
use super::{Session, dispose, purge, session};
use crate::ask::{Answer, Desk, Event, Request};
use crate::config::keep::Decision;
use crate::config::letter_format;
use crate::config::profile::Profile;
use crate::dlq::groups::{DlqRow, FoundBy};
use crate::ledger::Disposition;
use crate::letters::document::{DlqsAnswer, FailuresAnswer, FailuresRequest, LettersAnswer, LettersRequest};
use crate::letters::letter_json;
use crate::letters::lineage::Lineage;
use crate::redrive::disposal::Act;
use crate::text::time::{TimeFormat, TimeStyle};
use crate::text::{Safe, units};

/// Subcommands.
#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum Command {
    /// All dead-letter topics that are found
    List,
    /// Dead letters grouped by failure
    Failures(Box<FailuresArgs>),
    /// Dead letters, decoded
    Letters(Box<LettersArgs>),
    /// Give letters up: no run sends them any more; release takes it back
    Discard(Box<dispose::Args>),
    /// Set letters aside, with a reason
    Park(Box<dispose::Args>),
    /// Open letters again that were discarded, parked or marked as duplicates
    Release(Box<dispose::ReleaseArgs>),
    /// Delete handled letters below the first open one of each partition; cannot be undone
    Purge(purge::Args),
    /// Take a topic for one of dead letters, although nothing shows it; kept in the profile
    Adopt(DecideArgs),
    /// Take a topic for none, although something looks like it; kept in the profile
    Ignore(DecideArgs),
}

/// Arguments of `dlq adopt` and `dlq ignore`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DecideArgs {
    /// The topic
    topic: String,
}

/// Arguments of `dlq failures`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct FailuresArgs {
    /// The dead-letter topic
    topic: String,
    /// Only letters in this state
    #[arg(long, value_enum, value_name = "STATE", default_value = "all")]
    state: StateWord,
    #[command(flatten)]
    selectors: Selectors,
}

/// Arguments of `dlq letters`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct LettersArgs {
    /// The dead-letter topic
    topic: String,
    /// Only letters of this failure (an id of `dlq failures`)
    #[arg(long, value_name = "ID")]
    failure: Option<String>,
    /// Only letters in this state
    #[arg(long, value_enum, value_name = "STATE", default_value = "pending")]
    state: StateWord,
    /// Try a home-grown format before it goes into the profile: a TOML file with its name, fields, encodings
    #[arg(long, value_name = "FILE.toml")]
    letter_format: Option<PathBuf>,
    /// Also read each letter's origin record, compare it, and name other letters of it
    #[arg(long)]
    lineage: bool,
    #[command(flatten)]
    selectors: Selectors,
}

/// `--state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum StateWord {
    /// Not handled yet
    Pending,
    /// Redriven
    Redriven,
    /// Discarded
    Discarded,
    /// Parked
    Parked,
    /// The same failed record as another letter
    Duplicate,
    /// Any of these
    All,
}

impl StateWord {
    pub(super) fn disposition(self) -> Option<Disposition> {
        match self {
            Self::Pending => Some(Disposition::Pending),
            Self::Redriven => Some(Disposition::Redriven),
            Self::Discarded => Some(Disposition::Discarded),
            Self::Parked => Some(Disposition::Parked),
            Self::Duplicate => Some(Disposition::Duplicate),
            Self::All => None,
        }
    }
}

#[derive(Serialize)]
struct LettersDocument<'a> {
    topic: &'a str,
    total: u64,
    complete: bool,
    filter_errors: u64,
    selection: Selected,
    letters: Vec<serde_json::Value>,
}

#[derive(Serialize)]
struct FailuresDocument<'a> {
    #[serde(flatten)]
    answer: &'a FailuresAnswer,
    selection: Selected,
}

pub(super) async fn run(session: &Session<'_>, command: Command) -> Ended {
    match command {
        Command::List => list(session).await,
        Command::Failures(args) => failures(session, *args).await,
        Command::Letters(args) => letters(session, *args).await,
        Command::Adopt(args) => decide(session, args, Decision::Adopted).await,
        Command::Ignore(args) => decide(session, args, Decision::Ignored).await,
        Command::Discard(args) => dispose::run(session, Act::Discard, *args, StateWord::All).await,
        Command::Park(args) => dispose::run(session, Act::Park, *args, StateWord::All).await,
        Command::Release(args) => dispose::release(session, *args).await,
        Command::Purge(args) => purge::run(session, args).await,
    }
}

async fn decide(session: &Session<'_>, args: DecideArgs, decision: Decision) -> Ended {
    let desk = Desk::new(session.connect().await?);
    let request = Request::Decide(Arc::from(args.topic), decision);
    let Answer::Decided(kept) = session.ask(&desk, request).await? else {
        return Err(session::unexpected());
    };
    match session.output.format() {
        Format::Json => session.output.document(&*kept)?,
        Format::Jsonl => session.output.lines([&*kept])?,
        _ => session.output.note(&kept.words()),
    }
    Ok(Done::All)
}

async fn list(session: &Session<'_>) -> Ended {
    let desk = Desk::new(session.connect().await?);
    let tell = |event: Event| {
        if let Event::Progress(progress) = event {
            session.output.progress(&progress);
        }
    };
    let (rows, ledger_fault) = desk.dead_letters(&tell, &session.cancel).await?;
    match session.output.format() {
        Format::Json => session.output.document(&DlqsAnswer { dead_letter_topics: rows })?,
        Format::Jsonl => session.output.lines(rows.iter())?,
        _ => list_table(session, &rows, desk.unseen())?,
    }
    if let Some(fault) = ledger_fault {
        session.output.note(&format!("the state of the letters is not known: {fault}"));
    }
    Ok(Done::All)
}

fn list_table(session: &Session<'_>, rows: &[DlqRow], unseen: usize) -> Result<(), Stop> {
    let now = session.clock.now();
    let mut table = Table::new()
        .text("TOPIC")
        .text("FROM")
        .text("GROUP")
        .figure("PENDING")
        .figure("RECORDS")
        .figure("+/MIN")
        .figure("OLDEST")
        .figure("EXPIRES IN")
        .text("TOP FAILURE")
        .word("FOUND BY");
    for row in rows {
        let names = |names: &[Arc<str>]| if names.is_empty() { units::DASH.into() } else { names.join(", ") };
        let expires = row.expires_at.map(|at| at.since(now));
        let soon = row.expires_soon && row.pending != Some(0);
        let found_by = match row.found_by {
            FoundBy::Headers => "headers",
            FoundBy::Config => "config",
            FoundBy::Name => "name",
            FoundBy::Adopted => "adopted",
        };
        table.row([
            Cell::from(&row.topic),
            Cell::from(names(&row.sources)),
            Cell::from(names(&row.groups)),
            Cell::from(units::or_dash(row.pending, units::count)),
            Cell::from(units::or_dash(row.records, units::count)),
            Cell::from(units::or_dash(row.arrivals_per_minute, units::number)),
            Cell::from(units::or_dash(row.oldest_timestamp, |at| units::age(now.since(at)))),
            Cell::toned(
                units::or_dash(expires, |ms| units::age(ms.max(0))),
                if soon { Tone::Warn } else { Tone::Plain },
            ),
            Cell::from(row.top_failure.as_deref().unwrap_or(units::DASH)),
            Cell::from(found_by),
        ]);
    }
    session.output.table(&table)?;
    for row in rows {
        if let Some(error) = &row.error {
            session.output.note(&format!("{}: {error}", row.topic));
        } else if !row.complete {
            session.output.note(&format!(
                "{}: incomplete, {} letters read",
                row.topic,
                units::count(row.scanned)
            ));
        }
    }
    if unseen > 0 {
        session.output.note(&format!(
            "{} topics whose names show nothing were not looked into; `redrive dlq adopt TOPIC` names one",
            units::count(unseen as u64)
        ));
    }
    if rows.is_empty() {
        session
            .output
            .note("no dead-letter topics were found; `redrive dlq adopt TOPIC` takes one that nothing shows to be one");
    }
    Ok(())
}

async fn letters(session: &Session<'_>, args: LettersArgs) -> Ended {
    let selection = args.selectors.selection(session.clock.now())?;
    let selected = Selected::of_letters(&selection);
    // Before the broker is asked: a wrong file is told at once.
    let format = args.letter_format.as_deref().map(letter_format).transpose()?;
    let mut cx = session.connect().await?;
    if let Some(format) = format {
        let mut profile = Profile::clone(&cx.profile);
        profile.dead_letters.formats.insert(0, format);
        cx.profile = Arc::new(profile);
    }
    let desk = Desk::new(cx);
    let request = LettersRequest {
        topic: Arc::from(args.topic),
        selection,
        failure: args.failure.map(Arc::from),
        state: args.state.disposition(),
    };
    let Answer::Letters(answer) = session.ask(&desk, Request::Letters(request)).await? else {
        return Err(session::unexpected());
    };
    let mut lineages = Vec::new();
    for row in answer.letters.iter().filter(|_| args.lineage) {
        let Answer::Lineage(lineage) = session.ask(&desk, Request::Lineage(Arc::clone(&row.letter))).await?
        else {
            return Err(session::unexpected());
        };
        lineages.push(lineage);
    }
    match session.output.format() {
        Format::Json => session.output.document(&LettersDocument {
            topic: &answer.topic,
            total: answer.total,
            complete: answer.complete,
            filter_errors: answer.filter_errors,
            selection: selected,
            letters: with_lineage(&answer, lineages),
        })?,
        Format::Jsonl => session.output.lines(with_lineage(&answer, lineages))?,
        _ => {
            letters_table(session, &answer)?;
            lineage_table(session, &answer, &lineages)?;
        }
    }
    if !answer.complete {
        let (given, total) = (answer.letters.len() as u64, answer.total);
        session.output.note(&format!(
            "incomplete: {} of {} letters",
            units::count(given),
            units::count(total)
        ));
    }
    note_errors(session, answer.filter_errors);
    Ok(Done::All)
}

/// The letters, each with where it comes from, where that was asked.
fn with_lineage(answer: &LettersAnswer, lineages: Vec<Arc<Lineage>>) -> Vec<serde_json::Value> {
    let mut lineages = lineages.into_iter();
    let with = |row| {
        let mut letter = letter_json(row);
        if let (Some(lineage), Some(fields)) = (lineages.next(), letter.as_object_mut()) {
            fields.insert("lineage".to_owned(), serde_json::json!(lineage));
        }
        letter
    };
    answer.letters.iter().map(with).collect()
}

/// Where the letters come from, where that was asked.
fn lineage_table(
    session: &Session<'_>,
    answer: &LettersAnswer,
    lineages: &[Arc<Lineage>],
) -> Result<(), Stop> {
    if lineages.is_empty() {
        return Ok(());
    }
    let mut table = Table::new()
        .word("LETTER")
        .word("ORIGIN")
        .word("KEY")
        .word("VALUE")
        .word("HEADERS")
        .word("RETRIES")
        .text("OTHER LETTERS OF THE RECORD");
    let same = |same: Option<bool>| match same {
        Some(true) => "same",
        Some(false) => "other",
        None => units::DASH,
    };
    let at = |topic: &str, partition: i32, offset: i64| format!("{topic}[{partition}]@{offset}");
    for (row, lineage) in answer.letters.iter().zip(lineages) {
        let (own, origin, retries) = (&row.letter.record.at, &lineage.origin, &lineage.retries);
        let others = lineage.same_root.iter().map(|other| {
            let p = &other.position;
            format!("{} {}", other.when.unwrap_or("beside"), at(&p.topic, p.partition, p.offset))
        });
        let more = if retries.complete { "" } else { "+" };
        table.row([
            Cell::from(at(&own.topic, own.partition, own.offset)),
            Cell::from(origin.state),
            Cell::from(same(origin.same_key)),
            Cell::from(same(origin.same_value)),
            Cell::from(same(origin.same_headers)),
            Cell::from(format!("{}{more}", retries.found.len())),
            Cell::from(others.collect::<Vec<_>>().join(", ")),
        ]);
    }
    session.output.table(&table)
}

fn letters_table(session: &Session<'_>, answer: &LettersAnswer) -> Result<(), Stop> {
    let times = TimeFormat::new(TimeStyle::Local);
    let now = session.clock.now();
    let mut table = Table::new()
        .word("TIME")
        .figure("P")
        .figure("OFFSET")
        .word("STATE")
        .text("KEY")
        .text("ERROR")
        .text("MESSAGE")
        .text("ORIGIN")
        .text("GROUP");
    for row in &answer.letters {
        let letter = &*row.letter;
        let record = &letter.record;
        let dash = || units::DASH.to_owned();
        let key = record.key.as_deref().map_or_else(dash, |key| Safe::from_bytes(key).as_str().to_owned());
        let root = &letter.root;
        let origin = match (&root.topic, root.partition, root.offset) {
            (Some(topic), Some(partition), Some(offset)) => format!("{topic}[{partition}] @ {offset}"),
            (Some(topic), ..) => topic.to_string(),
            _ => dash(),
        };
        let class = letter.root_cause_class.as_ref().or(letter.error_class.as_ref());
        table.row([
            Cell::from(units::or_dash(record.timestamp(), |at| times.short(at, now))),
            Cell::from(record.at.partition.to_string()),
            Cell::from(units::signed(record.at.offset)),
            Cell::from(row.state.map_or("unknown", Disposition::as_str)),
            Cell::from(key),
            Cell::from(class.map_or(units::DASH, String::as_str)),
            Cell::from(letter.message.as_deref().unwrap_or(units::DASH)),
            Cell::from(origin),
            Cell::from(root.group.as_deref().unwrap_or(units::DASH)),
        ]);
    }
    session.output.table(&table)
}

async fn failures(session: &Session<'_>, args: FailuresArgs) -> Ended {
    let selection = args.selectors.selection(session.clock.now())?;
    let selected = Selected::of_letters(&selection);
    let desk = Desk::new(session.connect().await?);
    let request =
        FailuresRequest { topic: Arc::from(args.topic), selection, state: args.state.disposition() };
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
    note_errors(session, answer.filter_errors);
    Ok(Done::All)
}

fn note_errors(session: &Session<'_>, errors: u64) {
    if errors > 0 {
        let errors = units::count(errors);
        session.output.note(&format!("the condition failed on {errors} letters; they are left out"));
    }
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
            Cell::from(format!("{}{}", if row.keys_estimated { "~" } else { "" }, units::count(row.keys))),
            Cell::from(units::or_dash(row.last_timestamp, |at| times.short(at, now))),
            Cell::from(&row.id),
        ]);
    }
    session.output.table(&table)
}
