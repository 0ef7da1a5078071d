//! `redrive run`: executes a plan exactly, after the operator agreed.
//!
//! Who agrees is in [`super::consent`]; a plan of more than 1,000 letters wants the number typed at a terminal.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::consent::{Consent, Matter, UNWRITTEN, is_yes};
use super::exit::{Done, Ended, Stop};
use super::table::{Cell, Table, Tone};
use super::{Session, session};
use crate::ask::{Answer, Desk, Event, Request};
use crate::broker::Cluster;
use crate::context::{Cx, Progress};
use crate::redrive::control::Control;
use crate::redrive::document::{CanaryAnswer, RunAnswer, RunRequest};
use crate::redrive::plan::Plan;
use crate::text::{Fault, units};

/// More letters than this are agreed to by typing their number.
const MANY: u64 = 1_000;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// A plan that `redrive plan --save FILE` made
    file: PathBuf,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    /// Only say what would be done
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// The number of letters, as a protected profile wants it beside --yes
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Why; goes into the audit
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Take over although another run of the topic seems to be under way; that one is fenced
    #[arg(long)]
    take_over: bool,
}

pub(super) async fn run(session: &Session<'_>, args: Args) -> Ended {
    let (plan, cx, cluster) = open(session, args.file.clone()).await?;
    let profile = Arc::clone(&cx.profile);
    if *cluster.id != *plan.header.cluster_id {
        return Err(Fault::refused("wrong_cluster", "the plan was made on another cluster")
            .why(format!(
                "it is of cluster {}, profile {} is {}",
                plan.header.cluster_id, profile.name, cluster.id
            ))
            .hint("choose the other profile, or make a new plan")
            .into());
    }
    if args.dry_run {
        tell_answer(session, &planned(session, &plan))?;
        return Ok(Done::All);
    }
    if cx.broker.writer().is_none() {
        return Err(Fault::refused("read_only", format!("profile {} is read-only", profile.name))
            .hint("nothing can be written with this profile")
            .into());
    }
    let consent = Consent { yes: args.yes, dry_run: args.dry_run, count: args.count, reason: None };
    let show = || tell_answer(session, &planned(session, &plan));
    if !consent.given(session, &profile, &matter(&plan), show).await? {
        return Ok(Done::Refused);
    }
    let control = Control::default();
    let request = RunRequest {
        plan: Arc::clone(&plan),
        reason: args.reason,
        take_over: args.take_over,
        may_ask: session.output.can_ask(),
        control: control.clone(),
    };
    let asks = Notify::new();
    let words = Mutex::new(String::new());
    let tell = |event: Event| match event {
        Event::Progress(progress) => session.output.progress(&progress),
        Event::Run(run) => {
            session.output.progress(&progress_of(&run));
            if let Some(canary) = run.canary.filter(|canary| canary.asks) {
                *words.lock().unwrap_or_else(PoisonError::into_inner) = canary.proof.unwrap_or_default();
                asks.notify_one();
            }
        }
        Event::Records(_) => {}
    };
    let desk = Desk::new(cx);
    let running = desk.answer(Request::Run(request), &tell, session.cancel.clone());
    tokio::pin!(running);
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut running => break answer?,
            () = asks.notified() => {
                let proof = words.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let question = format!("canary: {proof}. Send the rest? [y/N]");
                let ask = session.output.ask(&question, &session.cancel);
                // The run keeps its place while the operator thinks.
                tokio::select! {
                    biased;
                    answer = &mut running => break answer?,
                    said = ask => control.after_canary(is_yes(said.as_deref())),
                }
            }
        }
    };
    let Answer::Run(answer) = answer else { return Err(session::unexpected()) };
    tell_answer(session, &answer)?;
    Ok(ended(&answer))
}

/// Reads the plan while the broker is asked who it is. What is wrong with the plan is told first, and at once.
async fn open(session: &Session<'_>, file: PathBuf) -> Result<(Arc<Plan>, Cx, Cluster), Stop> {
    let connecting = async {
        let cx = session.connect().await?;
        let cluster = cx.broker.catalog().cluster().await.map_err(Fault::from)?;
        Ok::<_, Stop>((cx, cluster))
    };
    let mut loading = tokio::task::spawn_blocking(move || Plan::load(&file));
    tokio::pin!(connecting);
    let mut connected = None;
    let plan = loop {
        tokio::select! {
            plan = &mut loading => break plan,
            done = &mut connecting, if connected.is_none() => connected = Some(done),
        }
    };
    let plan =
        plan.map_err(|error| Fault::failed("io", "the plan could not be read").why(error.to_string()))??;
    let (cx, cluster) = match connected {
        Some(done) => done?,
        None => connecting.await?,
    };
    Ok((Arc::new(plan), cx, cluster))
}

fn ended(answer: &RunAnswer) -> Done {
    match answer.stopped {
        Some("cancelled") => Done::Interrupted,
        Some("error") if answer.redriven == 0 => Done::Failed,
        Some(_) => Done::Part,
        None if !answer.parked.is_empty() || answer.held > 0 || answer.expired > 0 => Done::Part,
        None => Done::All,
    }
}

/// What a run of the plan would begin with.
fn planned(session: &Session<'_>, plan: &Plan) -> RunAnswer {
    let records = plan.header.counts.records;
    RunAnswer {
        plan: plan.header.id.clone(),
        topic: Arc::clone(&plan.header.source.topic),
        operator: session.operator().name,
        started: session.clock.now(),
        planned: records,
        remaining: records,
        dry_run: true,
        ..RunAnswer::default()
    }
}

/// What is to be agreed to.
fn matter(plan: &Plan) -> Matter {
    let header = &plan.header;
    let records = header.counts.records;
    let topics: Vec<&str> = header.target.topics.iter().map(|t| &*t.topic).collect();
    let mut lines = vec![
        format!(
            "redrive {} letters of {} into {}",
            units::count(records),
            header.source.topic,
            topics.join(", ")
        ),
        format!(
            "plan {} by {}, {}, on cluster {}",
            header.id,
            header.operator,
            plan.created(),
            header.cluster_id
        ),
        "this cannot be undone".to_owned(),
    ];
    let options = &header.options;
    if options.canary.is_some() {
        lines.push(format!("canary: {}", super::plan::canary(options)));
    }
    lines.push(format!("it stops {}", super::plan::stops(options)));
    if !options.force.is_empty() {
        lines.push(format!("forced: {}", options.force.join(", ")));
    }
    Matter { lines, count: records, counts: "letters", grave: records > MANY, undone: UNWRITTEN }
}

fn progress_of(run: &RunAnswer) -> Progress {
    Progress {
        what: format!("redriving {}", run.topic),
        done: run.planned.saturating_sub(run.remaining),
        total: Some(run.planned),
        bytes: 0,
        waiting: run.waiting.clone().or_else(|| run.canary.as_ref().and_then(canary_wait)),
        ..Progress::default()
    }
}

fn canary_wait(canary: &CanaryAnswer) -> Option<String> {
    let left = canary.seconds_left?;
    let processed = canary.processed.map_or_else(String::new, |n| format!(", {n} processed"));
    let retrying = match canary.retrying {
        0 => String::new(),
        n => format!(", {n} in retry topics"),
    };
    Some(format!("proof of the canary of {}{processed}{retrying} ({left} s)", canary.size))
}

fn tell_answer(session: &Session<'_>, answer: &RunAnswer) -> Result<(), Stop> {
    session.output.answer(answer, || show(session, answer))
}

/// How the canary went.
fn canary_words(canary: &CanaryAnswer) -> String {
    let state = match canary.state {
        "sending" => "not whole yet",
        "waiting" => "waiting for proof",
        "passed" => "passed",
        "nothing_came_back" => "nothing came back",
        "came_back" => "came back",
        _ => "not proved",
    };
    let proof = canary.proof.as_ref().map_or_else(String::new, |proof| format!(": {proof}"));
    format!("{} {state}{proof}", units::count(canary.size))
}

pub(super) fn show(session: &Session<'_>, answer: &RunAnswer) -> Result<(), Stop> {
    let out = session.output;
    let count = |n: u64| if n == 0 { String::new() } else { units::count(n) };
    if answer.dry_run {
        return out.facts(&[
            ("dry run", "nothing was written".to_owned()),
            ("plan", answer.plan.clone()),
            ("from", answer.topic.to_string()),
            ("letters", units::count(answer.planned)),
        ]);
    }
    out.facts(&[
        ("run", answer.run.clone()),
        ("plan", answer.plan.clone()),
        ("from", answer.topic.to_string()),
        ("guarantee", answer.guarantee.replace('_', " ")),
        ("canary", answer.canary.as_ref().map_or_else(String::new, canary_words)),
        ("redriven", format!("{} of {}", units::count(answer.redriven), units::count(answer.planned))),
        ("processed", answer.processed.map_or_else(String::new, units::count)),
        ("came back", count(answer.came_back)),
        ("handled", count(answer.already_handled)),
        ("duplicates", count(answer.duplicates)),
        ("expired", count(answer.expired)),
        ("parked", count(answer.parked.len() as u64)),
        ("held", count(answer.held)),
        ("remaining", count(answer.remaining)),
        ("aborted", count(answer.aborted_records)),
        (
            "took",
            format!(
                "{:.1} s{}",
                answer.seconds,
                answer.records_per_second.map_or_else(String::new, |r| format!(", {}", units::rate(r)))
            ),
        ),
        (
            "stopped",
            match (answer.stopped, &answer.stopped_reason) {
                (Some(stopped), Some(reason)) => format!("{stopped}: {reason}"),
                (Some(stopped), None) => stopped.to_owned(),
                (None, _) => String::new(),
            },
        ),
    ])?;
    if answer.parked.is_empty() {
        return Ok(());
    }
    let mut table = Table::new().figure("PARTITION").figure("OFFSET").text("PARKED BECAUSE");
    for parked in &answer.parked {
        table.row([
            Cell::from(parked.partition.to_string()),
            Cell::from(parked.offset.to_string()),
            Cell::toned(&parked.why, Tone::Warn),
        ]);
    }
    out.text("\n")?;
    out.table(&table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redrive::document::ParkedLetter;

    #[test]
    fn a_run_that_left_something_undone_is_done_in_part() {
        let whole = RunAnswer { planned: 3, redriven: 3, ..RunAnswer::default() };
        assert_eq!(ended(&whole), Done::All);
        assert_eq!(ended(&RunAnswer { held: 1, ..whole.clone() }), Done::Part);
        assert_eq!(ended(&RunAnswer { expired: 1, ..whole.clone() }), Done::Part);
        let parked = vec![ParkedLetter { partition: 0, offset: 1, why: "too large".to_owned() }];
        assert_eq!(ended(&RunAnswer { parked, ..whole.clone() }), Done::Part);
        assert_eq!(ended(&RunAnswer { stopped: Some("fenced"), ..whole.clone() }), Done::Part);
        assert_eq!(ended(&RunAnswer { stopped: Some("cancelled"), ..whole.clone() }), Done::Interrupted);
        assert_eq!(ended(&RunAnswer { stopped: Some("error"), redriven: 0, ..whole }), Done::Failed);
    }
}
