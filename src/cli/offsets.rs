//! `redrive groups reset`, `delete-offsets` and `delete`: what moving a group's offsets means, and doing it.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::consent::{Consent, Matter, UNWRITTEN};
use super::exit::{Done, Ended, Stop};
use super::table::{Cell, Table, Tone};
use super::{Session, session};
use crate::ask::{Answer, Desk, Request};
use crate::offsets::document::{
    Change, OffsetRow, OffsetsAnswer, OffsetsPlan, OffsetsRequest, OffsetsRun, Stretch,
};
use crate::offsets::{Target, TopicChoice};
use crate::text::time::{TimeFormat, TimeStyle};
use crate::text::{Fault, units};

/// Rows of the preview before the question.
const PREVIEW: usize = 40;

/// Arguments of `reset`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Reset {
    /// The group; it must have no members
    group: String,
    /// A topic, or some of its partitions; may be given several times
    #[arg(long, value_name = "TOPIC[:0,3-5]", value_parser = TopicChoice::parse, required_unless_present = "all_topics")]
    topic: Vec<TopicChoice>,
    /// All topics on which the group has a committed offset
    #[arg(long, conflicts_with = "topic")]
    all_topics: bool,
    /// Where to: earliest, latest, offset:N, @TIME (RFC 3339, -15m or today), shift:+N, shift:-N, group:OTHER (where that
    /// group stands), or each:PARTITION=OFFSET,…; an offset outside of the log is moved to its start or end, and told
    #[arg(long, value_name = "WHERE")]
    offsets: String,
    /// Make the group where there is none
    #[arg(long)]
    create: bool,
    #[command(flatten)]
    consent: Consent,
}

/// Arguments of `delete-offsets`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DeleteOffsets {
    /// The group; it must have no members
    group: String,
    /// A topic, or some of its partitions; may be given several times
    #[arg(long, value_name = "TOPIC[:0,3-5]", value_parser = TopicChoice::parse, required = true)]
    topic: Vec<TopicChoice>,
    #[command(flatten)]
    consent: Consent,
}

/// Arguments of `delete`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Delete {
    /// The group; it must have no members
    group: String,
    #[command(flatten)]
    consent: Consent,
}

pub(super) async fn reset(session: &Session<'_>, args: Reset) -> Ended {
    let target = Target::parse(&args.offsets, session.clock.now(), &TimeZone::system()).map_err(|why| {
        Fault::usage("usage", format!("wrong value {:?} for --offsets", args.offsets)).why(why)
    })?;
    if let (Target::Each(_), true) = (&target, args.all_topics || args.topic.len() > 1) {
        return Err(Fault::usage("usage", "each: names the partitions of one topic")
            .hint("give one --topic")
            .into());
    }
    let request = OffsetsRequest {
        group: args.group.into(),
        change: Change::Reset(target),
        topics: args.topic,
        create: args.create,
    };
    run(session, request, args.consent).await
}

pub(super) async fn delete_offsets(session: &Session<'_>, args: DeleteOffsets) -> Ended {
    let request = OffsetsRequest {
        group: args.group.into(),
        change: Change::DeleteOffsets,
        topics: args.topic,
        create: false,
    };
    run(session, request, args.consent).await
}

pub(super) async fn delete(session: &Session<'_>, args: Delete) -> Ended {
    let request = OffsetsRequest {
        group: args.group.into(),
        change: Change::DeleteGroup,
        topics: Vec::new(),
        create: false,
    };
    run(session, request, args.consent).await
}

async fn run(session: &Session<'_>, request: OffsetsRequest, consent: Consent) -> Ended {
    let cx = session.connect().await?;
    let profile = Arc::clone(&cx.profile);
    let desk = Desk::new(cx);
    let Answer::Offsets(plan) = session.ask(&desk, Request::Offsets(request)).await? else {
        return Err(session::unexpected());
    };
    if consent.dry_run {
        tell(session, &unwritten(session, &plan, &consent))?;
        return Ok(Done::All);
    }
    consent.allowed(desk.cx(), "written")?;
    if !plan.does_something() {
        tell(session, &unwritten(session, &plan, &consent))?;
        session.output.note("nothing was written: there is nothing to change");
        return Ok(if plan.errors > 0 { Done::Failed } else { Done::All });
    }
    let matter = Matter {
        lines: preview(session, &plan),
        count: plan.count,
        counts: "partitions",
        grave: plan.is_grave(),
        undone: UNWRITTEN,
    };
    if !consent
        .given(session, &profile, &matter, || tell(session, &unwritten(session, &plan, &consent)))
        .await?
    {
        return Ok(Done::Refused);
    }
    let request = Request::MoveOffsets(OffsetsRun { plan, reason: consent.reason });
    let Answer::MoveOffsets(answer) = session.ask(&desk, request).await? else {
        return Err(session::unexpected());
    };
    tell(session, &answer)?;
    Ok(if answer.plan.errors > 0 { Done::Part } else { Done::All })
}

fn unwritten(session: &Session<'_>, plan: &OffsetsPlan, consent: &Consent) -> OffsetsAnswer {
    OffsetsAnswer {
        plan: plan.clone(),
        dry_run: true,
        changed: 0,
        audit: None,
        operator: session.operator().name,
        reason: consent.reason.clone(),
    }
}

/// What will be done, before the question.
fn preview(session: &Session<'_>, plan: &OffsetsPlan) -> Vec<String> {
    let table = table(plan, PREVIEW).lay_out(session.output.plain());
    let mut lines: Vec<String> = table.lines().map(str::to_owned).collect();
    if plan.partitions.len() > PREVIEW {
        let more = plan.partitions.len() - PREVIEW;
        lines.push(format!("… and {} more partitions; --dry-run lists all", units::count(more as u64)));
    }
    lines.push(headline(plan));
    let times = TimeFormat::new(TimeStyle::Local);
    if let Some(text) = stretch(plan.skipped, &times) {
        lines.push(format!("passed over: {text}"));
    }
    if let Some(text) = stretch(plan.seen_again, &times) {
        lines.push(format!("seen again: {text}"));
    }
    lines.extend(plan.warnings.iter().map(|w| format!("warning: {w}")));
    lines
}

fn headline(plan: &OffsetsPlan) -> String {
    let partitions =
        format!("{} {}", units::count(plan.count), if plan.count == 1 { "partition" } else { "partitions" });
    match (&plan.request.change, &plan.offsets) {
        (Change::DeleteGroup, _) => format!("delete group {} with its offsets on {partitions}", plan.group),
        (Change::DeleteOffsets, _) => format!("delete the offsets of group {} on {partitions}", plan.group),
        (Change::Reset(_), to) => {
            format!("move group {} on {partitions} to {}", plan.group, to.as_deref().unwrap_or_default())
        }
    }
}

/// Records and the time between the first and the last; `None` where there are none.
fn stretch(of: Stretch, times: &TimeFormat) -> Option<String> {
    if of.records == 0 {
        return None;
    }
    let records =
        format!("{} {}", units::count(of.records), if of.records == 1 { "record" } else { "records" });
    Some(match (of.from, of.to, of.time()) {
        (Some(from), Some(to), Some(time)) => {
            format!("{records}, written within {time} ({} to {})", times.full(from), times.full(to))
        }
        _ => format!("{records}, their times are not known"),
    })
}

fn offset(of: Option<i64>, none: &str) -> String {
    of.map_or_else(|| none.to_owned(), units::signed)
}

fn effect(row: &OffsetRow) -> Cell {
    let tell = |of: Stretch, what: &str| {
        let time = of.time().map(|time| format!(" ({time})")).unwrap_or_default();
        format!("{} {what}{time}", units::count(of.records))
    };
    match (row.skipped, row.seen_again) {
        _ if row.error.is_some() => Cell::toned("left as it is", Tone::Fail),
        _ if !row.changes() => Cell::from("unchanged"),
        (Some(of), _) if of.records > 0 => Cell::toned(tell(of, "passed over"), Tone::Warn),
        (_, Some(of)) if of.records > 0 => Cell::toned(tell(of, "seen again"), Tone::Warn),
        (Some(_), _) => Cell::from("nothing is missed"),
        _ => Cell::from(units::DASH),
    }
}

fn table(plan: &OffsetsPlan, most: usize) -> Table {
    let mut table = Table::new()
        .text("TOPIC")
        .figure("PARTITION")
        .figure("START")
        .figure("END")
        .figure("OLD")
        .figure("NEW")
        .word("EFFECT")
        .text("NOTE");
    let deletes = plan.request.change.destroys();
    for row in plan.partitions.iter().take(most) {
        let new = match row.new {
            None if row.error.is_some() => units::DASH.to_owned(),
            new => offset(new, if deletes { "deleted" } else { units::DASH }),
        };
        table.row([
            Cell::from(&row.topic),
            Cell::from(row.partition.to_string()),
            Cell::from(offset(row.start_offset, units::DASH)),
            Cell::from(offset(row.end_offset, units::DASH)),
            Cell::from(offset(row.old, "no commit")),
            Cell::from(new),
            effect(row),
            Cell::from(row.error.as_deref().or(row.note.as_deref()).unwrap_or_default()),
        ]);
    }
    table
}

fn tell(session: &Session<'_>, answer: &OffsetsAnswer) -> Result<(), Stop> {
    session.output.answer(answer, || show(session, answer))
}

fn show(session: &Session<'_>, answer: &OffsetsAnswer) -> Result<(), Stop> {
    let out = session.output;
    let plan = &answer.plan;
    let times = TimeFormat::new(TimeStyle::Local);
    out.facts(&[
        ("dry run", if answer.dry_run { "nothing was written".to_owned() } else { String::new() }),
        (if answer.dry_run { "would" } else { "did" }, headline(plan)),
        ("changed", if answer.dry_run { String::new() } else { units::count(answer.changed) }),
        ("left as is", if plan.errors > 0 { units::count(plan.errors) } else { String::new() }),
        ("passed over", stretch(plan.skipped, &times).unwrap_or_default()),
        ("seen again", stretch(plan.seen_again, &times).unwrap_or_default()),
        ("audit", answer.audit.clone().unwrap_or_default()),
    ])?;
    out.text("\n")?;
    out.table(&table(plan, usize::MAX))?;
    for warning in &plan.warnings {
        out.note(&format!("warning: {warning}"));
    }
    if !plan.undo.is_empty() {
        out.text("\n")?;
        out.line(if answer.dry_run {
            "this would bring them back:"
        } else {
            "this brings the offsets of before back:"
        })?;
        for line in &plan.undo {
            // Whole, however wide: it is there to be copied.
            out.text(&format!("  {}\n", crate::text::Safe::new(line)))?;
        }
    }
    Ok(())
}
