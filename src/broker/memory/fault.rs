//! The fault switch: makes calls of the embedded broker fail, lose their answer, take long, or find nobody.
//!
//! Tests enumerate the calls of a run ([`Faults::calls`]) and then fail each of them in turn. With nothing
//! switched a call pays two atomic reads and a count.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::broker::{BrokerError, ErrorKind};

macro_rules! operations {
    ($($name:ident = $word:literal,)*) => {
        /// A call of the port.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Op { $(#[doc = concat!("`", $word, "`.")] $name,)* }

        impl Op {
            /// All operations.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name, for example `session.commit`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

operations! {
    Cluster = "catalog.cluster",
    Topics = "catalog.topics",
    TopicIds = "catalog.topic_ids",
    Configs = "catalog.configs",
    Bounds = "catalog.bounds",
    OffsetsAt = "catalog.offsets_at",
    Open = "reader.open",
    Next = "reader.next",
    ListGroups = "groups.list",
    DescribeGroups = "groups.describe",
    Committed = "groups.committed",
    Begin = "writer.begin",
    CreateTopics = "writer.create_topics",
    CheckTopics = "writer.check_topics",
    DeleteTopics = "writer.delete_topics",
    DeleteGroups = "writer.delete_groups",
    DeleteBefore = "writer.delete_before",
    AlterOffsets = "writer.alter_offsets",
    DeleteOffsets = "writer.delete_offsets",
    Join = "writer.join",
    Stage = "session.stage",
    Settle = "session.settle",
    Commit = "session.commit",
    Abort = "session.abort",
    Poll = "member.poll",
    CommitOffsets = "member.commit",
    Leave = "member.leave",
}

/// What a lost answer hid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The broker did it; only the answer is lost.
    Answer,
    /// The request never arrived.
    Request,
}

#[derive(Debug)]
enum Effect {
    Fail(ErrorKind),
    Lose(Lost),
}

#[derive(Debug)]
struct Rule {
    op: Op,
    at: u64,
    effect: Effect,
}

/// The switch. All of it may be used while calls are under way.
#[derive(Debug)]
pub struct Faults {
    counts: Vec<AtomicU64>,
    away: AtomicBool,
    delay_millis: AtomicU64,
    armed: AtomicBool,
    rules: Mutex<Vec<Rule>>,
    recording: Mutex<Option<(usize, VecDeque<Op>)>>,
    changed: Arc<Notify>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Faults {
    pub(super) fn new(changed: Arc<Notify>) -> Self {
        Self {
            counts: Op::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            away: AtomicBool::new(false),
            delay_millis: AtomicU64::new(0),
            armed: AtomicBool::new(false),
            rules: Mutex::default(),
            recording: Mutex::default(),
            changed,
        }
    }

    fn count(&self, op: Op) -> &AtomicU64 {
        &self.counts[op as usize]
    }

    fn rule(&self, op: Op, nth: u64, effect: Effect) {
        let at = self.calls_of(op) + nth.max(1);
        lock(&self.rules).push(Rule { op, at, effect });
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Fails the `nth` call of `op` from now on (1 is the next one), once. Nothing of that call happens.
    pub fn fail(&self, op: Op, nth: u64, kind: ErrorKind) {
        self.rule(op, nth, Effect::Fail(kind));
    }

    /// Answers the `nth` commit of a session from now on with [`crate::broker::Commit::Unknown`].
    pub fn lose_commit(&self, nth: u64, lost: Lost) {
        self.rule(Op::Commit, nth, Effect::Lose(lost));
    }

    /// Lets every call take at least this long; zero switches it off.
    pub fn slow(&self, by: Duration) {
        self.delay_millis.store(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Lets every call fail with [`ErrorKind::Unreachable`], reads under way too, until [`Self::reconnect`].
    pub fn disconnect(&self) {
        self.away.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Ends [`Self::disconnect`].
    pub fn reconnect(&self) {
        self.away.store(false, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Forgets all rules, the delay and the disconnection.
    pub fn clear(&self) {
        lock(&self.rules).clear();
        self.armed.store(false, Ordering::SeqCst);
        self.slow(Duration::ZERO);
        self.reconnect();
    }

    /// How often `op` was called.
    pub fn calls_of(&self, op: Op) -> u64 {
        self.count(op).load(Ordering::SeqCst)
    }

    /// Keeps the order of the next calls, at most `limit` of them.
    pub fn record(&self, limit: usize) {
        *lock(&self.recording) = Some((limit, VecDeque::new()));
        self.armed.store(true, Ordering::SeqCst);
    }

    /// The calls since [`Self::record`], in order.
    pub fn calls(&self) -> Vec<Op> {
        lock(&self.recording).as_ref().map(|(_, calls)| calls.iter().copied().collect()).unwrap_or_default()
    }

    pub(super) fn check_connection(&self, op: Op) -> Result<(), BrokerError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(
                BrokerError::new(ErrorKind::Unreachable, op.as_str(), "no broker answers").retryable()
            );
        }
        Ok(())
    }

    /// Every call passes here first. `Some` tells the caller to answer as if the answer was lost.
    pub(super) async fn enter(&self, op: Op) -> Result<Option<Lost>, BrokerError> {
        let nth = self.count(op).fetch_add(1, Ordering::SeqCst) + 1;
        let delay = self.delay_millis.load(Ordering::Relaxed);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        self.check_connection(op)?;
        if self.armed.load(Ordering::SeqCst) { self.effect(op, nth) } else { Ok(None) }
    }

    fn effect(&self, op: Op, nth: u64) -> Result<Option<Lost>, BrokerError> {
        if let Some((limit, calls)) = lock(&self.recording).as_mut()
            && calls.len() < *limit
        {
            calls.push_back(op);
        }
        let mut rules = lock(&self.rules);
        let Some(found) = rules.iter().position(|r| r.op == op && r.at == nth) else { return Ok(None) };
        match rules.swap_remove(found).effect {
            Effect::Lose(lost) => Ok(Some(lost)),
            Effect::Fail(kind) => {
                let mut error = BrokerError::new(kind, op.as_str(), "failed by the fault switch");
                error.retryable = matches!(kind, ErrorKind::Unreachable | ErrorKind::TimedOut);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_its_own_name() {
        let mut names: Vec<_> = Op::ALL.iter().map(|op| op.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Op::ALL.len());
    }

    #[tokio::test]
    async fn only_the_nth_call_of_that_operation_fails() {
        let faults = Faults::new(Arc::default());
        assert_eq!(faults.enter(Op::Bounds).await, Ok(None));
        faults.fail(Op::Bounds, 2, ErrorKind::TimedOut);
        assert_eq!(faults.enter(Op::Bounds).await, Ok(None));
        assert_eq!(faults.enter(Op::Topics).await, Ok(None));
        let error = faults.enter(Op::Bounds).await.unwrap_err();
        assert_eq!((error.kind, error.retryable), (ErrorKind::TimedOut, true));
        assert_eq!(faults.enter(Op::Bounds).await, Ok(None));
        assert_eq!(faults.calls_of(Op::Bounds), 4);
    }

    #[tokio::test]
    async fn a_recording_keeps_the_order_and_its_bound() {
        let faults = Faults::new(Arc::default());
        faults.record(2);
        for op in [Op::Begin, Op::Stage, Op::Commit] {
            assert_eq!(faults.enter(op).await, Ok(None));
        }
        assert_eq!(faults.calls(), [Op::Begin, Op::Stage]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_broker_takes_its_time_and_clearing_ends_it() {
        let faults = Faults::new(Arc::default());
        faults.slow(Duration::from_millis(300));
        let before = tokio::time::Instant::now();
        assert_eq!(faults.enter(Op::Topics).await, Ok(None));
        assert!(before.elapsed() >= Duration::from_millis(300));
        faults.disconnect();
        assert!(faults.enter(Op::Topics).await.is_err());
        faults.clear();
        let before = tokio::time::Instant::now();
        assert_eq!(faults.enter(Op::Topics).await, Ok(None));
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
}
