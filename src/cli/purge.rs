//! `redrive dlq purge`: deletes handled letters below the first open one of each partition.

use std::sync::Arc;

use super::consent::{Consent, Matter, Undone};
use super::exit::{Done, Ended, Stop};
use super::table::{Cell, Table, Tone};
use super::{Session, session};
use crate::ask::{Answer, Desk, Request};
use crate::redrive::checked_reason;
use crate::redrive::purge::{PurgeAgreed, PurgeAnswer, PurgeRequest};
use crate::text::{Fault, units};

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The dead-letter topic
    topic: String,
    #[command(flatten)]
    consent: Consent,
    /// Go on although a run of the topic seems to be under way; that one is fenced
    #[arg(long)]
    take_over: bool,
    /// Go on although this rule refuses (ledger_weak); it is kept in the audit
    #[arg(long, value_name = "RULE", value_parser = ["ledger_weak"])]
    force: Vec<String>,
}

pub(super) async fn run(session: &Session<'_>, args: Args) -> Ended {
    // What deletes is never done without a word about why; what only looks is.
    let reason = match &args.consent.reason {
        None if args.consent.dry_run => String::new(),
        reason => checked_reason(reason.as_deref().unwrap_or_default())?.to_owned(),
    };
    let cx = session.connect().await?;
    let profile = Arc::clone(&cx.profile);
    args.consent.allowed(&cx, "deleted")?;
    let desk = Desk::new(cx);
    let topic: Arc<str> = Arc::from(args.topic);
    let request = PurgeRequest { topic: Arc::clone(&topic), agreed: None };
    let Answer::Purge(shown) = session.ask(&desk, Request::Purge(request)).await? else {
        return Err(session::unexpected());
    };
    if args.consent.dry_run || shown.letters == 0 {
        tell(session, &shown)?;
        if shown.letters == 0 {
            session
                .output
                .note("nothing was deleted: no letter lies below the first open one of its partition");
        }
        return Ok(Done::All);
    }
    let mut lines = vec![format!("delete {} handled letters of {topic}", units::count(shown.letters))];
    lines.extend(shown.partitions.iter().map(|p| {
        let ends = p.kept.map_or_else(String::new, |state| format!(", then a {state} one"));
        format!(
            "  partition {}: {} letters before offset {}{ends}",
            p.partition,
            units::count(p.letters),
            p.before
        )
    }));
    lines.push("this cannot be undone".to_owned());
    for warning in &shown.warnings {
        session.output.note(&format!("warning: {warning}"));
    }
    let matter = Matter { lines, count: shown.letters, counts: "letters", grave: true, undone: UNDELETED };
    if args.consent.yes && args.consent.count.is_none() && !session.output.can_ask() {
        return Err(Fault::refused("protected", "a purge cannot be undone")
            .why("the number of letters was not typed")
            .hint(format!("add --count {}", shown.letters))
            .into());
    }
    if !args.consent.given(session, &profile, &matter, || tell(session, &shown)).await? {
        return Ok(Done::Refused);
    }
    let agreed = PurgeAgreed { shown, reason, force: args.force, take_over: args.take_over };
    let request = PurgeRequest { topic, agreed: Some(agreed) };
    let Answer::Purge(answer) = session.ask(&desk, Request::Purge(request)).await? else {
        return Err(session::unexpected());
    };
    tell(session, &answer)?;
    for warning in &answer.warnings {
        session.output.note(&format!("warning: {warning}"));
    }
    let failed = answer.partitions.iter().filter(|p| p.error.is_some()).count();
    Ok(match failed {
        0 => Done::All,
        n if n == answer.partitions.len() => Done::Failed,
        _ => Done::Part,
    })
}

/// Of a purge that was not agreed to.
const UNDELETED: Undone = Undone { what: "nothing was deleted", add: "--yes and --count" };

fn tell(session: &Session<'_>, answer: &PurgeAnswer) -> Result<(), Stop> {
    session.output.answer(answer, || show(session, answer))
}

fn show(session: &Session<'_>, answer: &PurgeAnswer) -> Result<(), Stop> {
    let out = session.output;
    out.facts(&[
        ("dry run", if answer.dry_run { "nothing was deleted".to_owned() } else { String::new() }),
        ("action", format!("purge {}", answer.topic)),
        ("id", answer.run.clone().unwrap_or_default()),
        ("reason", answer.reason.clone().unwrap_or_default()),
        ("letters", units::count(answer.letters)),
        ("deleted", if answer.dry_run { String::new() } else { units::count(answer.deleted) }),
        ("stay", units::count(answer.kept)),
    ])?;
    if answer.partitions.is_empty() {
        return Ok(());
    }
    let mut table = Table::new()
        .figure("P")
        .figure("FROM")
        .figure("BEFORE")
        .figure("LETTERS")
        .figure("REDRIVEN")
        .figure("DISCARDED")
        .figure("DUPLICATE")
        .word("ENDS AT")
        .text("ERROR");
    for p in &answer.partitions {
        table.row([
            Cell::from(p.partition.to_string()),
            Cell::from(units::signed(p.start_offset)),
            Cell::from(units::signed(p.before)),
            Cell::from(units::count(p.letters)),
            Cell::from(units::count(p.redriven)),
            Cell::from(units::count(p.discarded)),
            Cell::from(units::count(p.duplicate)),
            Cell::from(p.kept.unwrap_or(units::DASH)),
            Cell::toned(p.error.as_deref().unwrap_or_default(), Tone::Fail),
        ]);
    }
    out.text("\n")?;
    out.table(&table)
}
