//! Executes a plan: exactly what it says, or stops.
//!
//! First everything is compared that can be without writing, then this run becomes the one writer of the
//! dead-letter topic, and only then the ledger is read to its end: what it says from here on stays true. Limits: a
//! plan's letters are read in windows, and written in transactions short enough for live readers of the targets.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::books::{self, Weak};
use super::cluster::{self, Target};
use super::document::{CanaryAnswer, ParkedLetter, RunAnswer, RunRequest};
use super::engine::{Engine, MOST_BYTES, Parts};
use super::fence::{self, Fence, Halt};
use super::follow;
use super::plan::{Plan, PlannedLetter, PlannedTopic, damaged};
use super::rights;
use super::rules::check_forced;
use super::shape::Shape;
use super::start::Start;
use super::watch::Watch;
use super::window;
use crate::broker::{Guarantee, Name};
use crate::context::{Cx, Sink};
use crate::ledger::Ledger;
use crate::letters::Index;
use crate::letters::document;
use crate::letters::ledger::LedgerReader;
use crate::letters::outcome::{Outcome, Redriven};
use crate::text::{Fault, FaultKind};

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
    let mut ledger = LedgerReader::new(cx.clone());
    let refreshing = async { Ok(ledger.refresh(sink, cancel).await) };
    let (there, refreshed) = tokio::try_join!(preliminary(cx, plan), refreshing)?;
    let Preliminary { source, most_bytes, targets } = there;
    refreshed?;
    let mut answer = RunAnswer {
        run: uuid::Uuid::new_v4().simple().to_string(),
        plan: plan.header.id.clone(),
        topic: Arc::clone(&plan.header.source.topic),
        operator: cx.operator.name.clone(),
        started: cx.clock.now(),
        guarantee: guarantee(plan).as_str(),
        planned: plan.letters.len() as u64,
        remaining: plan.letters.len() as u64,
        ..RunAnswer::default()
    };
    let (topic, handled) = (&plan.header.source.topic, |ledger: &LedgerReader, answer: &RunAnswer| {
        let done = all_handled(plan, &source, ledger.ledger())?;
        Some(RunAnswer { already_handled: done, remaining: 0, ..answer.clone() })
    });
    if let Some(answer) = handled(&ledger, &answer) {
        return Ok(answer);
    }
    let waits = |waiting| tell(RunAnswer { waiting: Some(waiting), ..answer.clone() });
    let place = (&*source, &**topic);
    let took_over =
        fence::await_place(cx, &mut ledger, place, request.take_over, &waits, sink, cancel).await?;
    if let Some(answer) = handled(&ledger, &answer) {
        return Ok(answer);
    }
    let Some(writer) = cx.broker.writer() else { return Err(read_only(cx)) };
    // A canary is known later.
    let start = plan.header.options.canary.is_none().then(|| {
        let place = (&ledger, &*source);
        Start::begin(cx, &request.plan, place, &answer, 0, cancel.clone())
    });
    let mut topics: Vec<Name> = index.rows().iter().map(|row| Name::clone(&row.topic)).collect();
    topics.push(Name::clone(topic));
    topics.sort();
    topics.dedup();
    let checking = async {
        check_writable(cx, plan, &targets).await?;
        let weak = Weak::Refused("let an administrator strengthen it, or force the rule in the plan");
        books::check(cx, if plan.forces("ledger_weak") { Weak::Forced } else { weak }).await
    };
    let (missing, watch) = tokio::join!(checking, Watch::begin(cx, &topics));
    // What the checks refuse is told first.
    let (missing, watch) = (missing?, watch?);
    let canary = canary(index, plan, &source, &ledger, &mut answer, sink, cancel).await?;
    let fence = Fence::new(cx, &answer.run, source, ledger, missing, sink, cancel).with(guarantee(plan));
    // An expression that is not valid is told before anything is written.
    Shape::new(&plan.header, &cx.profile)?;
    let parts = Parts { fence, watch, answer, most_bytes, took_over, canary };
    let mut engine = Engine::new(cx, request, parts, tell);
    let ended = engine.run(writer, start).await;
    let (stopped, why, fault) = match ended {
        Ok(()) => (None, None, None),
        Err(Halt::Cancelled) => (Some("cancelled"), None, None),
        Err(Halt::Canary(why)) => (Some("canary"), Some(why), None),
        Err(Halt::Refailures(why)) => (Some("refailures"), Some(why), None),
        Err(Halt::Fenced(why)) => {
            (Some("fenced"), None, Some(Fault::refused("fenced", "another run took over").why(why)))
        }
        Err(Halt::Fault(fault)) => (Some("error"), None, Some(fault)),
    };
    if let Some(fault) = &fault
        && !engine.fence.has_written()
    {
        return Err(fault.clone());
    }
    let reason = why.or_else(|| fault.as_ref().map(ToString::to_string));
    engine.close(writer, stopped, reason.clone()).await;
    let (mut answer, sent, mut watch) = engine.into_answer();
    answer.stopped = stopped;
    answer.stopped_reason = reason;
    let seconds = cx.clock.monotonic().saturating_sub(began).as_secs_f64();
    answer.seconds = seconds;
    answer.records_per_second =
        (answer.redriven > 0 && seconds > 0.0).then(|| answer.redriven as f64 / seconds);
    tell(RunAnswer { waiting: Some("the failing group".to_owned()), ..answer.clone() });
    follow::follow(cx, &mut watch, &sent, &mut answer, cancel).await;
    Ok(answer)
}

/// What a run begins with.
struct Preliminary {
    /// Id of the dead-letter topic.
    source: Arc<str>,
    /// Bytes that a transaction may have.
    most_bytes: usize,
    /// The topics of the plan as they are now.
    targets: BTreeMap<Name, Target>,
}

/// Compares what the plan says with the cluster, before anything is written.
async fn preliminary(cx: &Cx, plan: &Plan) -> Result<Preliminary, Fault> {
    let header = &plan.header;
    if cx.broker.writer().is_none() {
        return Err(read_only(cx));
    }
    plan.check()?;
    check_forced(&header.options.force).map_err(|fault| damaged(fault.what))?;
    let cluster = cx.broker.catalog().cluster().await?;
    if cluster.id != header.cluster_id {
        return Err(Fault::refused("wrong_cluster", "the plan was made on another cluster")
            .why(format!("it is of cluster {}, this one is {}", header.cluster_id, cluster.id))
            .hint("choose the other profile, or make a new plan"));
    }
    let (Some(id), Some(source)) = (&header.source.topic_id, header.ledger_id()) else {
        return Err(no_transactions("has no topic ids"));
    };
    if !cx.broker.capabilities().transactions.usable() && !plan.forces("no_transactions") {
        return Err(no_transactions("has no transactions").hint(CHOICE));
    }
    let mut names: Vec<Name> =
        header.target.topics.iter().chain(&header.origins).map(|t| Name::clone(&t.topic)).collect();
    names.push(Name::clone(&header.source.topic));
    let there = cluster::targets(cx, &names).await?;
    let changed = |topic: &str, why: String| {
        Fault::refused("target_changed", format!("{topic} is not the topic that was planned with"))
            .why(why)
            .hint("make a new plan")
    };
    match there.get(&header.source.topic) {
        Some(now) if now.planned.topic_id.as_ref() == Some(id) => {}
        Some(_) => {
            let why = "it was deleted and made again since, so its offsets mean other letters";
            return Err(changed(&header.source.topic, why.to_owned()));
        }
        None => return Err(cx.unknown_topic(&header.source.topic).await),
    }
    for origin in &header.origins {
        if there.get(&origin.topic).is_none_or(|now| now.planned.topic_id != origin.topic_id) {
            let why = "its records are taken in the place of letters, and it was deleted or made again since";
            return Err(changed(&origin.topic, why.to_owned()));
        }
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
    // A client makes batches of about a megabyte, and a broker refuses by batch: where less is taken, a transaction has
    // no more than one batch may have.
    let smallest = there.values().filter_map(|t| t.max_bytes).min().filter(|max| *max < 1_000_000);
    Ok(Preliminary { source, most_bytes: smallest.unwrap_or(MOST_BYTES), targets: there })
}

/// Refuses a run that could not write, or not read, what it is to: known before, and not half of the way.
async fn check_writable(cx: &Cx, plan: &Plan, topics: &BTreeMap<Name, Target>) -> Result<(), Fault> {
    let header = &plan.header;
    let names = |topics: &[PlannedTopic]| topics.iter().map(|t| Name::clone(&t.topic)).collect::<Vec<_>>();
    let mut read = names(&header.origins);
    read.push(Name::clone(&header.source.topic));
    let missing = rights::missing(cx, &read, &names(&header.target.topics)).await?;
    if !missing.is_empty() {
        return Err(Fault::refused("acl", "the plan cannot be run by this user").why(missing.join("; ")));
    }
    if let Some((why, _)) = cluster::lacking(&header.target.topics, &plan.letters, topics).into_iter().next()
    {
        return Err(Fault::refused("replicas", "not all of the plan can be written now")
            .why(why)
            .hint(books::BACK));
    }
    Ok(())
}

pub(super) fn read_only(cx: &Cx) -> Fault {
    Fault::refused("read_only", format!("profile {} is read-only", cx.profile.name))
        .hint("nothing can be written with this profile")
}

/// What an operator can do without transactions.
pub(super) const CHOICE: &str =
    "a plan made with --force no_transactions is run at least once, checked: it says what may be there twice";

/// What a run of the plan promises.
fn guarantee(plan: &Plan) -> Guarantee {
    if plan.forces("no_transactions") {
        Guarantee::AtLeastOnceChecked
    } else {
        Guarantee::ExactlyOnceReadCommitted
    }
}

pub(super) fn no_transactions(why: &str) -> Fault {
    Fault::refused("no_transactions", "nothing is written without transactions")
        .why(format!("the broker {why}"))
}

/// The number of letters, if all of them are closed.
fn all_handled(plan: &Plan, source: &str, ledger: Option<&Ledger>) -> Option<u64> {
    let is_closed = |ledger: &Ledger, letter: PlannedLetter| {
        !plan.header.is_open(ledger.disposition(source, letter.partition, letter.offset))
    };
    let all = ledger.is_some_and(|ledger| plan.letters.iter().all(|letter| is_closed(ledger, letter)));
    all.then_some(plan.letters.len() as u64)
}

/// How many records are sent before proof is waited for. What an earlier run of the plan has sent counts, unless some
/// of it came back or is still tried again.
async fn canary(
    index: &Index,
    plan: &Plan,
    source: &Arc<str>,
    ledger: &LedgerReader,
    answer: &mut RunAnswer,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<Option<u64>, Fault> {
    let Some(size) = plan.header.options.canary.map(u64::from) else { return Ok(None) };
    let target = |l: PlannedLetter| {
        let row = ledger.ledger()?.get(source, l.partition, l.offset)?;
        let at = row.target?;
        let target =
            document::Target { topic: Name::clone(at.topic), partition: at.partition, offset: at.offset };
        Some(Redriven::new(target, row.group.cloned(), (Some(Arc::clone(source)), l.partition, l.offset)))
    };
    let before: Vec<_> = plan.letters.iter().filter_map(target).take(size as usize).collect();
    let report = CanaryAnswer { size, state: "sending", ..CanaryAnswer::default() };
    if before.len() as u64 >= size {
        // A look that fails says nothing: then there is another canary.
        let _ = index.refresh(Some(std::slice::from_ref(&plan.header.source.topic)), sink, cancel).await;
        let outcomes = index.outcomes(&before, cancel).await.unwrap_or_else(|_| vec![Outcome::CameBack]);
        if !outcomes.iter().any(|o| matches!(o, Outcome::CameBack | Outcome::Retrying)) {
            answer.canary = Some(CanaryAnswer {
                state: "nothing_came_back",
                proof: Some(format!("nothing came back of {size} that were sent before")),
                ..report
            });
            return Ok(None);
        }
    }
    answer.canary = Some(report);
    Ok(Some(size))
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
