//! Executes a plan: exactly what it says, or stops.
//!
//! First everything is compared that can be without writing, then this run becomes the one writer of the
//! dead-letter topic, and only then the ledger is read to its end: what it says from here on stays true. Limits: a
//! plan's letters are read in windows, and written in transactions short enough for live readers of the targets.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::books;
use super::cluster;
use super::document::{ParkedLetter, RunAnswer, RunRequest};
use super::engine::{Engine, Halt, MOST_BYTES};
use super::follow;
use super::plan::{Plan, damaged};
use super::rules::check_forced;
use super::window;
use crate::broker::{Guarantee, Name};
use crate::context::{Cx, Progress, Sink};
use crate::ledger::fold::Owner;
use crate::ledger::row::OwnerState;
use crate::ledger::{Disposition, Ledger};
use crate::letters::Index;
use crate::letters::ledger::LedgerReader;
use crate::text::{Fault, FaultKind, units};

/// An owner row that is older than this is of a run that died.
const STALE: i64 = 30_000;

/// How often is looked whether another run still lives.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Executes a plan. `tell` is called with how far it is, at most ten times a second.
pub async fn run(
    index: &Index,
    request: &RunRequest,
    tell: &(dyn Fn(RunAnswer) + Send + Sync),
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<RunAnswer, Fault> {
    let cx = index.cx();
    let plan = &*request.plan;
    let began = cx.clock.monotonic();
    let (source, most_bytes) = preliminary(cx, plan).await?;
    let mut ledger = LedgerReader::new(cx.clone());
    ledger.refresh(sink, cancel).await?;
    let mut answer = RunAnswer {
        run: uuid::Uuid::new_v4().simple().to_string(),
        plan: plan.header.id.clone(),
        topic: Arc::clone(&plan.header.source.topic),
        operator: cx.operator.name.clone(),
        started: cx.clock.now(),
        guarantee: Guarantee::ExactlyOnceReadCommitted.as_str(),
        planned: plan.letters.len() as u64,
        remaining: plan.letters.len() as u64,
        ..RunAnswer::default()
    };
    // Another run of the topic may have died, or be about to end: it is given the time to show life.
    let mut first_seen = None;
    let takes_over = loop {
        if let Some(done) = all_handled(plan, &source, ledger.ledger()) {
            answer.already_handled = done;
            answer.remaining = 0;
            return Ok(answer);
        }
        let live = ledger.ledger().and_then(|l| l.owner(&source)).filter(|o| is_live(cx, o));
        let Some(owner) = live.filter(|_| !request.take_over) else { break live.is_some() };
        let now = cx.clock.monotonic();
        let (row, since) = *first_seen.get_or_insert((owner.at, now));
        if owner.at != row || now.saturating_sub(since).as_millis() > STALE.unsigned_abs().into() {
            return Err(occupied(owner, &plan.header.source.topic));
        }
        let waiting = format!("run {} of {}, to end or to show that it died", owner.run, owner.operator);
        sink.progress(Progress {
            what: "waiting".to_owned(),
            waiting: Some(waiting.clone()),
            ..Progress::default()
        });
        tell(RunAnswer { waiting: Some(waiting), ..answer.clone() });
        tokio::select! {
            () = cancel.cancelled() => return Err(Fault::cancelled()),
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
        ledger.refresh(sink, cancel).await?;
    };
    let Some(writer) = cx.broker.writer() else { return Err(read_only(cx)) };
    let health = cluster::health(cx).await?;
    if let Some(why) = health.weak.filter(|_| !plan.forces("ledger_weak")) {
        return Err(Fault::refused("ledger_weak", "the ledger can lose what is written to it")
            .why(why)
            .hint("let an administrator strengthen it, or force the rule in the plan"));
    }
    books::make(cx, writer, &health.missing).await?;
    let mut engine = Engine::new(cx, request, source, ledger, answer, tell, sink, cancel);
    engine.takes_over = takes_over;
    engine.most_bytes = most_bytes;
    let ended = engine.run(writer).await;
    let (stopped, fault) = match ended {
        Ok(()) => (None, None),
        Err(Halt::Cancelled) => (Some("cancelled"), None),
        Err(Halt::Fenced(why)) => {
            (Some("fenced"), Some(Fault::refused("fenced", "another run took over").why(why)))
        }
        Err(Halt::Fault(fault)) => (Some("error"), Some(fault)),
    };
    if let Some(fault) = &fault
        && !engine.has_written()
    {
        return Err(fault.clone());
    }
    let reason = fault.as_ref().map(ToString::to_string);
    engine.close(writer, stopped, reason.clone()).await;
    let (mut answer, sent) = engine.into_answer();
    answer.stopped = stopped;
    answer.stopped_reason = reason;
    let seconds = cx.clock.monotonic().saturating_sub(began).as_secs_f64();
    answer.seconds = seconds;
    answer.records_per_second =
        (answer.redriven > 0 && seconds > 0.0).then(|| answer.redriven as f64 / seconds);
    tell(RunAnswer { waiting: Some("the failing group".to_owned()), ..answer.clone() });
    follow::follow(index, &plan.header.source.topic, &sent, &mut answer, sink, cancel).await;
    Ok(answer)
}

/// Compares what the plan says with the cluster, before anything is written. Gives the id of the dead-letter topic, and
/// how many bytes a transaction may have.
async fn preliminary(cx: &Cx, plan: &Plan) -> Result<(Arc<str>, usize), Fault> {
    let header = &plan.header;
    if cx.broker.writer().is_none() {
        return Err(read_only(cx));
    }
    plan.check()?;
    check_forced(&header.force).map_err(|fault| damaged(fault.what))?;
    let cluster = cx.broker.catalog().cluster().await?;
    if cluster.id != header.cluster_id {
        return Err(Fault::refused("wrong_cluster", "the plan was made on another cluster")
            .why(format!("it is of cluster {}, this one is {}", header.cluster_id, cluster.id))
            .hint("choose the other profile, or make a new plan"));
    }
    let Some(source) = header.source.topic_id.clone() else {
        return Err(no_transactions("has no topic ids"));
    };
    if !cx.broker.capabilities().transactions.usable() {
        return Err(no_transactions("has no transactions"));
    }
    let mut names: Vec<Name> = header.target.topics.iter().map(|t| Name::clone(&t.topic)).collect();
    names.push(Name::clone(&header.source.topic));
    let there = cluster::targets(cx, &names).await?;
    let changed = |topic: &str, why: String| {
        Fault::refused("target_changed", format!("{topic} is not the topic that was planned with"))
            .why(why)
            .hint("make a new plan")
    };
    match there.get(&header.source.topic) {
        Some(now) if now.planned.topic_id.as_ref() == Some(&source) => {}
        Some(_) => {
            let why = "it was deleted and made again since, so its offsets mean other letters";
            return Err(changed(&header.source.topic, why.to_owned()));
        }
        None => return Err(cx.unknown_topic(&header.source.topic).await),
    }
    for target in &header.target.topics {
        let Some(now) = there.get(&target.topic) else {
            return Err(Fault::refused("target_missing", format!("there is no topic {}", target.topic))
                .why("it existed when the plan was made; none is ever made by a redrive"));
        };
        if now.planned.topic_id != target.topic_id {
            return Err(changed(&target.topic, "it was deleted and made again since".to_owned()));
        }
        if now.planned.partitions != target.partitions {
            let why = format!("it had {} partitions, now {}", target.partitions, now.planned.partitions);
            return Err(changed(&target.topic, why));
        }
    }
    window::check_ends(cx, &header.source, &plan.letters).await?;
    let smallest = there.values().filter_map(|t| t.max_bytes).min().unwrap_or(MOST_BYTES);
    Ok((source, smallest.min(MOST_BYTES)))
}

fn read_only(cx: &Cx) -> Fault {
    Fault::refused("read_only", format!("profile {} is read-only", cx.profile.name))
        .hint("nothing can be written with this profile")
}

fn no_transactions(why: &str) -> Fault {
    Fault::refused("no_transactions", "nothing is written without transactions")
        .why(format!("the broker {why}"))
}

/// The number of letters, if all of them are closed.
fn all_handled(plan: &Plan, source: &str, ledger: Option<&Ledger>) -> Option<u64> {
    let again = plan.forces("again");
    let is_closed = |disposition: Disposition| match disposition {
        Disposition::Redriven => !again,
        other => !other.is_pending(),
    };
    let all = plan
        .letters
        .iter()
        .all(|l| ledger.is_some_and(|ledger| is_closed(ledger.disposition(source, l.partition, l.offset))));
    all.then_some(plan.letters.len() as u64)
}

/// Whether the owner seems to be at work. An age that cannot be told counts as young.
pub(super) fn is_live(cx: &Cx, owner: &Owner) -> bool {
    let age = owner.appended.map(|at| cx.clock.now().since(at));
    owner.state != OwnerState::Done && age.is_none_or(|age| age <= STALE)
}

fn occupied(owner: &Owner, topic: &str) -> Fault {
    let since = owner.appended.map_or_else(String::new, |at| format!(", seen at {at}"));
    Fault::refused("fenced", format!("another run of {topic} is under way"))
        .why(format!("run {} of {} on {}{since}", owner.run, owner.operator, owner.host))
        .hint(format!(
            "wait for its end (a run that shows no life for {} is given up), or take over: that run is then stopped",
            units::duration(Duration::from_millis(STALE.unsigned_abs()))
        ))
}

/// Letters parked as the audit and the answer list them.
pub(super) const MOST_PARKED: usize = 1_000;

/// Adds to the list of parked letters, as far as it goes.
pub(super) fn list_parked(list: &mut Vec<ParkedLetter>, partition: i32, offset: i64, why: &str) {
    if list.len() < MOST_PARKED {
        list.push(ParkedLetter { partition, offset, why: why.to_owned() });
    }
}

/// Whether the fault means that the operator stopped it.
pub(super) fn is_cancel(fault: &Fault) -> bool {
    fault.kind == FaultKind::Cancelled || fault.code == "cancelled"
}

/// Keys whose rest is held.
pub(super) type Held = HashSet<(u32, bytes::Bytes)>;
