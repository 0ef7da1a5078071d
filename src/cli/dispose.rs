//! `redrive dlq discard`, `park` and `release`: set the disposition of letters, after the operator agreed.

use std::sync::Arc;

use super::consent::{Consent, Matter, UNWRITTEN};
use super::dlq::StateWord;
use super::exit::{Done, Ended, Stop};
use super::selectors::Selectors;
use super::table::{Cell, Table};
use super::{Session, session};
use crate::ask::{Answer, Desk, Request};
use crate::letters::document::LettersRequest;
use crate::redrive::checked_reason;
use crate::redrive::disposal::{Act, DisposalAnswer, DisposalRequest, DisposeRequest};
use crate::text::units;

/// More letters than this are agreed to by typing their number.
const MANY: u64 = 1_000;
/// Failures listed at a question.
const MOST_LISTED: usize = 8;

/// Arguments of `dlq discard` and `dlq park`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The dead-letter topic
    topic: String,
    /// Only letters of this failure (an id of `dlq failures`)
    #[arg(long, value_name = "ID")]
    failure: Option<String>,
    /// Exactly these letters, for example 0:42,3:17
    #[arg(long, value_name = "PARTITION:OFFSET,…", value_delimiter = ',', value_parser = super::plan::position)]
    only: Vec<(i32, i64)>,
    #[command(flatten)]
    consent: Consent,
    /// Go on although a run of the topic seems to be under way; that one is fenced
    #[arg(long)]
    take_over: bool,
    /// Go on although this rule refuses (ledger_weak); it is kept in the audit
    #[arg(long, value_name = "RULE", value_parser = ["ledger_weak"])]
    force: Vec<String>,
    #[command(flatten)]
    selectors: Selectors,
}

/// Arguments of `dlq release`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ReleaseArgs {
    /// Only letters in this state
    #[arg(long, value_enum, value_name = "STATE", default_value = "all")]
    state: StateWord,
    #[command(flatten)]
    args: Args,
}

pub(super) async fn release(session: &Session<'_>, release: ReleaseArgs) -> Ended {
    run(session, Act::Release, release.args, release.state).await
}

pub(super) async fn run(session: &Session<'_>, act: Act, args: Args, state: StateWord) -> Ended {
    let reason = checked_reason(args.consent.reason.as_deref().unwrap_or_default())?.to_owned();
    let selection = args.selectors.selection(session.clock.now())?;
    let named = !args.only.is_empty();
    let cx = session.connect().await?;
    let profile = Arc::clone(&cx.profile);
    let request = DisposalRequest {
        act,
        letters: LettersRequest {
            topic: Arc::from(args.topic),
            selection,
            failure: args.failure.map(Arc::from),
            state: state.disposition(),
        },
        only: named.then_some(args.only),
    };
    let desk = Desk::new(cx);
    args.consent.allowed(desk.cx(), "written")?;
    let Answer::Disposal(preview) = session.ask(&desk, Request::Disposal(request)).await? else {
        return Err(session::unexpected());
    };
    for warning in &preview.warnings {
        session.output.note(&format!("warning: {warning}"));
    }
    let refused = if named { refused(act, &preview) } else { 0 };
    if args.consent.dry_run || preview.selected == 0 {
        tell_answer(session, &preview)?;
        return Ok(if preview.selected == 0 && refused > 0 { Done::Refused } else { Done::All });
    }
    let matter = Matter {
        lines: lines(act, &preview, &reason),
        count: preview.selected,
        counts: "letters",
        grave: act == Act::Discard || preview.selected > MANY,
        undone: UNWRITTEN,
    };
    if !args.consent.given(session, &profile, &matter, || tell_answer(session, &preview)).await? {
        return Ok(Done::Refused);
    }
    let request = DisposeRequest {
        disposal: Arc::clone(&preview.disposal),
        reason,
        force: args.force,
        take_over: args.take_over,
    };
    let Answer::Disposal(mut answer) = session.ask(&desk, Request::Dispose(request)).await? else {
        return Err(session::unexpected());
    };
    let shown = Arc::make_mut(&mut answer);
    // What the preview found stays true of what was done.
    shown.by_failure.clone_from(&preview.by_failure);
    shown.complete = preview.complete;
    shown.filter_errors = preview.filter_errors;
    shown.warnings.clone_from(&preview.warnings);
    tell_answer(session, &answer)?;
    Ok(ended(&answer, refused))
}

/// Letters that were named, but cannot be changed so.
fn refused(act: Act, answer: &DisposalAnswer) -> u64 {
    let other = |(state, _): &(&&str, &u64)| **state != act.becomes().as_str();
    answer.skipped.iter().filter(other).map(|(_, count)| count).sum()
}

fn ended(answer: &DisposalAnswer, refused: u64) -> Done {
    match answer.stopped {
        Some("cancelled") => Done::Interrupted,
        Some("error") if answer.changed == 0 => Done::Failed,
        Some(_) => Done::Part,
        None if answer.changed < answer.selected || refused > 0 => Done::Part,
        None => Done::All,
    }
}

/// What will be done, for the eye of who is asked.
fn lines(act: Act, preview: &DisposalAnswer, reason: &str) -> Vec<String> {
    let mut lines = vec![
        format!("{act} {} letters of {}", units::count(preview.selected), preview.topic, act = act.as_str()),
        format!("because: {reason}"),
    ];
    lines.extend(
        preview
            .by_failure
            .iter()
            .take(MOST_LISTED)
            .map(|tally| format!("  {:>9}  {}", units::count(tally.count), tally.name)),
    );
    let more = preview.by_failure.len().saturating_sub(MOST_LISTED);
    if more > 0 {
        lines.push(format!("  and {more} more failures"));
    }
    lines.extend(skipped(act, preview).into_iter().map(|line| format!("skipped: {line}")));
    lines.push(
        match act {
            Act::Discard => "no run sends them any more; `redrive dlq release` takes it back",
            Act::Park => "no run sends them until they are released",
            Act::Release => "they count as pending again",
        }
        .to_owned(),
    );
    lines
}

/// What is left as it is, and why.
fn skipped(act: Act, answer: &DisposalAnswer) -> Vec<String> {
    use crate::ledger::Disposition::{Discarded, Duplicate, Parked, Pending, Redriven};
    let of = |state: crate::ledger::Disposition| {
        let count = answer.skipped.get(state.as_str())?;
        Some(format!("{} {} ({})", units::count(*count), state.as_str(), act.refuses(state)))
    };
    [Pending, Redriven, Discarded, Parked, Duplicate].into_iter().filter_map(of).collect()
}

fn tell_answer(session: &Session<'_>, answer: &DisposalAnswer) -> Result<(), Stop> {
    session.output.answer(answer, || show(session, answer))
}

fn show(session: &Session<'_>, answer: &DisposalAnswer) -> Result<(), Stop> {
    let out = session.output;
    let act = answer.disposal.act;
    let count = |n: u64| if n == 0 { String::new() } else { units::count(n) };
    let written = if answer.dry_run { "nothing was written" } else { "" };
    out.facts(&[
        ("dry run", written.to_owned()),
        ("action", format!("{} letters of {}", act.as_str(), answer.topic)),
        ("id", answer.run.clone().unwrap_or_default()),
        ("reason", answer.reason.clone().unwrap_or_default()),
        ("selected", units::count(answer.selected)),
        (act.done(), if answer.dry_run { String::new() } else { units::count(answer.changed) }),
        ("skipped", skipped(act, answer).join(", ")),
        ("expired", count(answer.expired)),
        ("remaining", if answer.dry_run { String::new() } else { count(answer.remaining) }),
        (
            "stopped",
            match (answer.stopped, &answer.stopped_reason) {
                (Some(stopped), Some(reason)) => format!("{stopped}: {reason}"),
                (Some(stopped), None) => stopped.to_owned(),
                (None, _) => String::new(),
            },
        ),
    ])?;
    if !answer.by_failure.is_empty() {
        let mut table = Table::new().figure("LETTERS").text("FAILURE");
        for tally in &answer.by_failure {
            table.row([Cell::from(units::count(tally.count)), Cell::from(&tally.name)]);
        }
        out.text("\n")?;
        out.table(&table)?;
    }
    if answer.filter_errors > 0 {
        let errors = units::count(answer.filter_errors);
        out.note(&format!("the condition failed on {errors} letters; they are left out"));
    }
    Ok(())
}
