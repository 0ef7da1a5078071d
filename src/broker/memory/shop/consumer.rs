//! The groups that consume: each reads at its own pace, checks whether it has seen an event, commits by hand after
//! processing, and gives up what fails to a retry topic or a dead-letter topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::cause::Cause;
use super::letter::{self, BACK_OFF_MS, Failed};
use super::{Done, Shared, USUAL_RATE, event};
use crate::broker::{BrokerError, Membership, Name, Session, SessionKind, Shard};
use crate::event::Record;

/// How long a poll waits for records.
const POLL: Duration = Duration::from_secs(1);

/// How long leaving a group may take.
const LEAVE: Duration = Duration::from_secs(3);

/// The group that stalls now and then.
const STALLING: &str = "warehouse";
/// It works from the beginning of each cycle up to the stall, and after it.
const CYCLE: Duration = Duration::from_secs(100);
const STALL: std::ops::Range<u64> = 20..55;

/// Events a second that a group can process at the usual rate.
fn pace(group: &str) -> u32 {
    match group {
        "email" => 260,
        "warehouse" => 150,
        "notification" => 400,
        _ => 1_500,
    }
}

/// What came of an event.
enum Outcome {
    Processed,
    Failed(Cause, String),
}

struct Consumer {
    shared: Arc<Shared>,
    /// Without prefix.
    group: &'static str,
    full_group: Name,
    done: Arc<Done>,
}

/// Consumes the source topics of a group.
pub(super) async fn run(
    shared: Arc<Shared>,
    group: &'static str,
    sources: &'static [&'static str],
    done: Arc<Done>,
) {
    let topics: Vec<Name> = sources.iter().map(|topic| shared.name(topic)).collect();
    let consumer = Consumer { full_group: shared.name(group), shared: Arc::clone(&shared), group, done };
    shared.persist(|| consumer.consume(&topics)).await;
}

/// Consumes the retry topics of a group.
pub(super) async fn run_retries(
    shared: Arc<Shared>,
    group: &'static str,
    sources: &'static [&'static str],
    done: Arc<Done>,
) {
    let retried = ["payments", "inventory"];
    let own = sources.iter().filter(|topic| retried.contains(topic));
    let topics: Vec<Name> = own.map(|topic| shared.name(&format!("{topic}-retry"))).collect();
    let consumer = Consumer { full_group: shared.name(group), shared: Arc::clone(&shared), group, done };
    shared.persist(|| consumer.retry(&topics)).await;
}

impl Consumer {
    async fn consume(&self, topics: &[Name]) -> Result<(), BrokerError> {
        let shared = &*self.shared;
        let mut member = self.join("", topics).await?;
        let mut session = shared.writer()?.begin(SessionKind::Idempotent).await?;
        let pace = u64::from(pace(self.group)) * u64::from(shared.options.rate.max(USUAL_RATE))
            / u64::from(USUAL_RATE);
        let opened = shared.clock.monotonic();
        while shared.open().await {
            if self.stalls(shared.clock.monotonic().saturating_sub(opened)) {
                shared.sleep(Duration::from_millis(500)).await;
                continue;
            }
            let Some(records) = self.poll(&mut *member).await? else { break };
            // A few commits a second, whatever the size of a poll.
            for part in records.chunks(usize::try_from(pace / 4).unwrap_or(usize::MAX).max(1)) {
                let began = shared.clock.monotonic();
                for record in part {
                    let topic = shared.bare(&record.at.topic);
                    if let Outcome::Failed(cause, subject) = self.process(topic, record) {
                        self.give_up(&mut *session, record, topic, cause, &subject).await?;
                    }
                }
                commit(&mut *session, &mut *member, part).await?;
                let wait = Duration::from_millis(1_000 * part.len() as u64 / pace.max(1));
                let goes_on = shared.sleep(wait).await;
                let took = shared.clock.monotonic().saturating_sub(began);
                for record in part {
                    let kind = event::kind_of(shared.bare(&record.at.topic));
                    shared.metrics.consumed(kind, &self.full_group, took / part.len().max(1) as u32);
                }
                if !goes_on {
                    break;
                }
            }
        }
        member.leave(LEAVE).await
    }

    async fn retry(&self, topics: &[Name]) -> Result<(), BrokerError> {
        let shared = &*self.shared;
        let mut member = self.join("-retry", topics).await?;
        let mut session = shared.writer()?.begin(SessionKind::Idempotent).await?;
        while shared.open().await {
            let Some(records) = self.poll(&mut *member).await? else { break };
            for record in &records {
                if letter::group(record) == Some(self.full_group.as_bytes()) {
                    let now = shared.clock.now();
                    let wait = letter::due(record).map_or(0, |due| due.since(now)).clamp(0, BACK_OFF_MS[2]);
                    if !shared.sleep(Duration::from_millis(wait.unsigned_abs())).await {
                        return member.leave(LEAVE).await;
                    }
                    let source = shared.bare(&record.at.topic).trim_end_matches("-retry");
                    if let Outcome::Failed(cause, subject) = self.process(source, record) {
                        self.try_later(&mut *session, record, source, cause, &subject).await?;
                    }
                }
                commit(&mut *session, &mut *member, std::slice::from_ref(record)).await?;
            }
        }
        member.leave(LEAVE).await
    }

    async fn join(&self, role: &str, topics: &[Name]) -> Result<Box<dyn Membership>, BrokerError> {
        let client = format!("{}{role}", self.full_group);
        self.shared.writer()?.join(&self.full_group, &client, topics).await
    }

    /// The next records; `None` when the shop stops.
    async fn poll(&self, member: &mut dyn Membership) -> Result<Option<Vec<Record>>, BrokerError> {
        tokio::select! {
            () = self.shared.stop.cancelled() => Ok(None),
            records = member.poll(POLL) => records.map(Some),
        }
    }

    fn stalls(&self, since_opening: Duration) -> bool {
        self.group == STALLING && STALL.contains(&(since_opening.as_secs() % CYCLE.as_secs()))
    }

    /// Processes one event, unless it was processed before.
    fn process(&self, source: &str, record: &Record) -> Outcome {
        let seen = event::read(self.group, source, record.value.as_deref());
        let known = seen.event_id.as_ref().is_some_and(|id| self.done.contains(id));
        if let Some(cause) = seen.cause.filter(|cause| !known && !self.shared.repairs.is_repaired(*cause)) {
            self.shared.metrics.failed(event::kind_of(source), cause.name());
            return Outcome::Failed(cause, seen.subject);
        }
        if let Some(id) = seen.event_id.filter(|_| !known) {
            self.done.add(id);
            self.shared.processed.fetch_add(1, Ordering::Relaxed);
        }
        Outcome::Processed
    }

    /// After the first failure: to the retry topic, or at once to the dead letters.
    async fn give_up(
        &self,
        session: &mut dyn Session,
        record: &Record,
        source: &str,
        cause: Cause,
        subject: &str,
    ) -> Result<(), BrokerError> {
        let failed = self.failed(record, cause, subject);
        if cause.is_retried() {
            self.shared.retried.fetch_add(1, Ordering::Relaxed);
            let topic = self.shared.name(&format!("{source}-retry"));
            session.stage(letter::retry(&failed, topic, 2)).await?;
        } else {
            self.shared.dead_lettered.fetch_add(1, Ordering::Relaxed);
            session.stage(letter::at_once(&failed, self.dead_letters(source))).await?;
        }
        Ok(())
    }

    /// After a failed retry: once more, or to the dead letters.
    async fn try_later(
        &self,
        session: &mut dyn Session,
        record: &Record,
        source: &str,
        cause: Cause,
        subject: &str,
    ) -> Result<(), BrokerError> {
        let failed = self.failed(record, cause, subject);
        let attempt = letter::next_attempt(record);
        let write = if attempt < BACK_OFF_MS.len() + 2 {
            self.shared.retried.fetch_add(1, Ordering::Relaxed);
            letter::retry(&failed, Arc::clone(&record.at.topic), attempt)
        } else {
            self.shared.dead_lettered.fetch_add(1, Ordering::Relaxed);
            letter::after_retries(&failed, self.dead_letters(source), attempt)
        };
        session.stage(write).await?;
        Ok(())
    }

    fn failed<'a>(&'a self, record: &'a Record, cause: Cause, subject: &'a str) -> Failed<'a> {
        Failed { record, group: &self.full_group, cause, subject, now: self.shared.clock.now() }
    }

    fn dead_letters(&self, source: &str) -> Name {
        self.shared.name(&format!("{source}-dlt"))
    }
}

/// Waits until what was given up is written, then commits what was processed: nothing is lost on the way.
async fn commit(
    session: &mut dyn Session,
    member: &mut dyn Membership,
    records: &[Record],
) -> Result<(), BrokerError> {
    for (_, placed) in session.settle().await? {
        placed?;
    }
    let mut next: BTreeMap<Shard, i64> = BTreeMap::new();
    for record in records {
        next.insert(Shard::new(Arc::clone(&record.at.topic), record.at.partition), record.at.offset + 1);
    }
    let next: Vec<(Shard, i64)> = next.into_iter().collect();
    member.commit(&next).await
}
