//! `redrive plan`: a redrive plan with its preflight; writes nothing to the broker.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::exit::{Done, Ended, Stop};
use super::options::{HowArgs, target, wait};
use super::output::Format;
use super::selectors::Selectors;
use super::table::{Cell, Table, Tone};
use super::{Session, session};
use crate::ask::{Answer, Desk, Request};
use crate::ledger::Disposition;
use crate::letters::document::LettersRequest;
use crate::redrive::document::{
    Differ, Into as Target, PlanAnswer, PlanRequest, Preflight, Superseded, Tally,
};
use crate::redrive::options::{CanaryThen, Options};
use crate::redrive::plan::PlanHeader;
use crate::text::{Safe, units};

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The dead-letter topic
    topic: String,
    /// Only letters of this failure (an id of `dlq failures`)
    #[arg(long, value_name = "ID")]
    failure: Option<String>,
    /// Exactly these letters, for example 0:42,3:17
    #[arg(long, value_name = "PARTITION:OFFSET,…", value_delimiter = ',', value_parser = position)]
    only: Vec<(i32, i64)>,
    /// Where to: origin (the topic where each failed first), retry (the failing group's retry topic), or
    /// topic:NAME
    #[arg(long, value_name = "TARGET", default_value = "origin", value_parser = target)]
    into: Target,
    #[command(flatten)]
    how: HowArgs,
    /// Compare all letters with their origin records, not 50 of each failure
    #[arg(long, value_name = "all", value_parser = ["all"])]
    compare: Option<String>,
    /// How long newer events of the letters' keys are looked for on the targets
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = wait)]
    check_budget: u64,
    /// Save the plan, to be executed with `redrive run FILE`
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    selectors: Selectors,
}

pub(super) fn position(text: &str) -> Result<(i32, i64), String> {
    text.split_once(':')
        .and_then(|(partition, offset)| Some((partition.trim().parse().ok()?, offset.trim().parse().ok()?)))
        .filter(|(partition, offset)| *partition >= 0 && *offset >= 0)
        .ok_or_else(|| "partition:offset was expected".to_owned())
}

#[derive(Serialize)]
struct PlanDocument<'a> {
    #[serde(flatten)]
    header: &'a PlanHeader,
    guarantee: &'a str,
    guarantee_reason: &'a str,
    preflight: &'a Preflight,
    read_seconds: f64,
    check_seconds: f64,
}

pub(super) async fn run(session: &Session<'_>, args: Args) -> Ended {
    let selection = args.selectors.selection(session.clock.now())?;
    let request = PlanRequest {
        letters: LettersRequest {
            topic: Arc::from(args.topic),
            selection,
            failure: args.failure.map(Arc::from),
            state: Some(Disposition::Pending),
        },
        only: (!args.only.is_empty()).then_some(args.only),
        into: args.into,
        replay: false,
        options: args.how.options(),
        compare_all: args.compare.is_some(),
        check_budget_ms: args.check_budget,
        save: args.save,
    };
    answer(session, request).await
}

/// Asks for a plan and prints it.
pub(super) async fn answer(session: &Session<'_>, request: PlanRequest) -> Ended {
    let save = request.save.clone();
    let desk = Desk::new(session.connect().await?);
    let Answer::Plan(answer) = session.ask(&desk, Request::Plan(request)).await? else {
        return Err(session::unexpected());
    };
    let document = PlanDocument {
        header: &answer.plan.header,
        guarantee: answer.guarantee,
        guarantee_reason: &answer.guarantee_reason,
        preflight: &answer.preflight,
        read_seconds: answer.read_seconds,
        check_seconds: answer.check_seconds,
    };
    match session.output.format() {
        Format::Json => session.output.whole(&document)?,
        Format::Jsonl => {
            session.output.lines([&document])?;
            session.output.lines(answer.plan.lines())?;
        }
        _ => show(session, &answer)?,
    }
    if let Some(file) = &save {
        session.output.note(&format!("saved: execute it with `redrive run {}`", file.display()));
    }
    Ok(if answer.preflight.refusals.is_empty() { Done::All } else { Done::Refused })
}

/// How letters differ from their origins.
fn differ(differ: &Differ) -> String {
    if differ.of == 0 {
        return "no letter names its origin whole".to_owned();
    }
    let count = units::count;
    let compared = format!("{} of {} compared with their origin", count(differ.checked), count(differ.of));
    match (differ.key, differ.value, differ.headers) {
        (0, 0, 0) => format!("{compared}: none differs"),
        (k, v, h) => {
            format!("{compared}: {} differ in key, {} in value, {} in headers", count(k), count(v), count(h))
        }
    }
}

/// Newer events of the same keys.
fn newer(superseded: &Superseded) -> String {
    let count = units::count;
    let searched = if superseded.complete {
        String::new()
    } else {
        format!(" ({} of {} searched)", count(superseded.checked), count(superseded.of))
    };
    let version = superseded.newest_version.map_or_else(String::new, |v| format!(", newest version {v}"));
    let by = match superseded.count {
        0 => String::new(),
        _ => format!(": {} events{version}", count(superseded.events)),
    };
    format!("{} letters have newer events of their key on the target{by}{searched}", count(superseded.count))
}

/// What the edit does.
fn edit(options: &Options, p: &Preflight) -> String {
    let Some(code) = &options.edit else { return String::new() };
    let count = units::count;
    let (changed, errors) = (count(p.changed_by_edit), count(p.edit_errors));
    format!("{code}: changes {changed} ({} written anew), fails on {errors}", count(p.rewritten))
}

/// The canary in words; empty without one.
pub(super) fn canary(options: &Options) -> String {
    let Some(size) = options.canary else { return String::new() };
    let wait = units::duration(Duration::from_millis(options.canary_wait_ms));
    let then = match options.canary_then {
        CanaryThen::Continue => "then the rest if nothing came back",
        CanaryThen::Stop => "then stop",
        CanaryThen::Ask => "then ask",
    };
    format!("{} first, {wait} at most for proof, {then}", units::count(u64::from(size)))
}

/// When a run stops by itself.
pub(super) fn stops(options: &Options) -> String {
    match options.stop_above {
        100.. => "never by itself".to_owned(),
        above => format!("when more than {above} % of the last 50 come back"),
    }
}

/// The plan for the eye.
fn show(session: &Session<'_>, answer: &PlanAnswer) -> Result<(), Stop> {
    let out = session.output;
    let p = &answer.preflight;
    let some =
        |n: u64, what: &str| if n == 0 { String::new() } else { format!("{} {what}", units::count(n)) };
    let skipped: Vec<String> = [
        some(p.already_handled, "already handled"),
        some(p.duplicates, "duplicates"),
        some(p.expired, "expired"),
        some(p.pointers, "without their record"),
        some(p.beyond_last_stable, "beyond the last stable offset"),
    ]
    .into_iter()
    .filter(|text| !text.is_empty())
    .collect();
    let (stripped, added) = &answer.headers;
    out.facts(&[
        ("plan", answer.id.clone()),
        ("from", answer.topic.to_string()),
        ("into", answer.targets.join(", ")),
        ("letters", format!("{}, of {} keys", units::count(answer.records), units::count(p.keys))),
        ("skipped", skipped.join(", ")),
        ("again", some(p.again, "were redriven before and failed again")),
        ("differ", differ(&p.differ_from_origin)),
        ("edit", edit(&answer.plan.header.options, p)),
        (
            "pace",
            answer
                .plan
                .header
                .options
                .pace
                .map_or_else(String::new, |f| format!("the original gaps times {f}")),
        ),
        ("newer", newer(&p.superseded)),
        ("guarantee", format!("{}: {}", answer.guarantee.replace('_', " "), answer.guarantee_reason)),
        ("canary", canary(&answer.plan.header.options)),
        ("stops", stops(&answer.plan.header.options)),
        ("rate", answer.rate.map_or_else(String::new, |rate| format!("{rate}/s at most"))),
        (
            "seen by",
            match p.groups_that_will_see_them.as_slice() {
                [] => "no group with commits on the target".to_owned(),
                groups => format!("{} (at least)", groups.join(", ")),
            },
        ),
        ("strips", stripped.join(", ")),
        ("adds", added.join(", ")),
    ])?;
    let tallies = |title: &'static str, tallies: &[Tally]| {
        if tallies.is_empty() {
            return Ok(());
        }
        let mut table = Table::new().figure("LETTERS").text(title);
        for tally in tallies {
            table.row([Cell::from(units::count(tally.count)), Cell::from(&tally.name)]);
        }
        out.text("\n")?;
        out.table(&table)
    };
    tallies("FAILURE", &p.by_failure)?;
    tallies("TARGET", &p.by_origin)?;
    for sample in &p.samples {
        out.text(&format!("\n{}/{}\n", sample.partition, sample.offset))?;
        for (sign, lines) in [('-', &sample.before), ('+', &sample.after)] {
            for line in lines {
                out.text(&format!("{sign} {}\n", Safe::new(line)))?;
            }
        }
    }
    if !p.refusals.is_empty() {
        let mut table = Table::new().word("REFUSED BY").figure("LETTERS").text("WHY");
        for refusal in &p.refusals {
            table.row([
                Cell::toned(refusal.rule, Tone::Fail),
                Cell::from(units::count(refusal.count)),
                Cell::from(&refusal.why),
            ]);
        }
        out.text("\n")?;
        out.table(&table)?;
        for hint in p.refusals.iter().filter_map(|refusal| refusal.hint.as_ref()) {
            out.text("\n")?;
            for line in hint.lines() {
                out.text(&format!("{}\n", Safe::new(line)))?;
            }
        }
    }
    for warning in &p.warnings {
        out.note(&format!("warning: {warning}"));
    }
    Ok(())
}
