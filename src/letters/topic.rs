//! One dead-letter topic under watch: what was read of it, and its row in the list.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::quality::RandomState;

use super::fold::{Fold, MOST_LETTERS, Which};
use super::retention::Retention;
use super::summary::Summary;
use super::tally::Chart;
use crate::broker::{Bounds, BrokerError, Name, Shard, Span, TopicConfig, TopicId, TopicInfo, Until};
use crate::dlq::groups::{DlqRow, FoundBy};
use crate::ledger::Ledger;
use crate::text::Timestamp;

/// Unread letters of a partition from which on the newest are read first.
const MANY: i64 = 20_000;
/// Offsets at the end of a partition that are read first then.
const NEWEST: i64 = 1_000;

/// A dead-letter topic. Its state is locked for moments of computing only, never across a wait.
pub(super) struct Topic {
    /// Name.
    pub name: Name,
    /// Held by the one who reads it.
    pub gate: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
}

/// What is known of a topic.
pub(super) struct State {
    /// Why it counts as one; `None` where somebody asked for a topic that nothing shows to be one.
    pub found_by: Option<FoundBy>,
    /// Why, in words.
    reason: Arc<str>,
    /// Which topic of that name.
    pub id: Option<TopicId>,
    /// Partitions.
    pub partitions: Vec<i32>,
    /// Offsets at the last look.
    pub bounds: BTreeMap<i32, Bounds>,
    /// Its letters.
    pub fold: Fold,
    /// How long its records stay; `None` before it was asked for.
    retention: Option<Retention>,
    /// When the configuration was asked for, by the monotonic clock.
    pub configured: Option<Duration>,
    /// The ledger's generation and the fold's changes at the last join.
    joined: Option<(Option<u64>, u64)>,
    /// What the letters come to, as it was counted last.
    summed: Option<(Counted, Summary)>,
    /// Letters that retention has deleted since they were read.
    pub gone: u64,
    /// Why it could not be read.
    pub error: Option<String>,
}

/// What a summary was counted from: join, changes and letters of the fold, and the minute in which it was.
type Counted = (Option<(Option<u64>, u64)>, u64, usize, i64);

impl Topic {
    pub fn new(info: &TopicInfo, hasher: RandomState) -> Self {
        let state = State {
            found_by: None,
            reason: "".into(),
            id: None,
            partitions: info.partitions.iter().map(|p| p.partition).collect(),
            bounds: BTreeMap::new(),
            fold: Fold::new(hasher),
            retention: None,
            configured: None,
            joined: None,
            summed: None,
            gone: 0,
            error: info.error.as_ref().map(ToString::to_string),
        };
        Self { name: Arc::clone(&info.name), gate: Arc::default(), state: Mutex::new(state) }
    }

    /// The state. Do not hold it across a wait.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All its partitions.
    pub fn shards(&self) -> Vec<Shard> {
        let state = self.lock();
        state.partitions.iter().map(|p| Shard::new(Arc::clone(&self.name), *p)).collect()
    }
}

impl State {
    /// Takes metadata that is newer.
    pub fn renew(&mut self, info: &TopicInfo, found: Option<(FoundBy, Arc<str>)>) {
        self.partitions = info.partitions.iter().map(|p| p.partition).collect();
        if let Some((by, reason)) = found {
            (self.found_by, self.reason) = (Some(by), reason);
        }
        self.error = info.error.as_ref().map(ToString::to_string);
    }

    /// Takes the topic's id; another one than before is another topic, of which nothing is known yet.
    pub fn identify(&mut self, id: Option<TopicId>, hasher: &RandomState) {
        self.error = None;
        if self.id.is_some() && id.is_some() && self.id != id {
            self.fold = Fold::new(hasher.clone());
            self.bounds.clear();
            self.joined = None;
            self.summed = None;
            self.configured = None;
            self.gone = 0;
        }
        if id.is_some() {
            self.id = id;
        }
    }

    /// Takes the topic's configuration.
    pub fn configure(&mut self, config: &TopicConfig, at: Duration) {
        self.retention = Some(Retention::of(config));
        self.configured = Some(at);
    }

    /// Takes the offsets of a partition: forgets what is gone, gives what is to be read first and then. Of many
    /// letters the newest are read before the oldest and those between.
    pub fn look(&mut self, shard: &Shard, bounds: Result<Bounds, BrokerError>) -> [Option<Span>; 2] {
        let partition = shard.partition;
        let bounds = match bounds {
            Ok(bounds) => bounds,
            Err(e) => {
                self.error = Some(e.to_string());
                return [None, None];
            }
        };
        if self.fold.reached(partition).is_some_and(|next| next > bounds.end) {
            // The log is shorter than what was read: its letters are gone with it.
            self.gone += self.fold.forget(partition);
        }
        self.bounds.insert(partition, bounds);
        self.fold.begin(partition, bounds.start, bounds.end);
        self.gone += self.fold.trim(partition, bounds.start);
        if self.fold.is_full() {
            return [None, None];
        }
        let end = bounds.last_stable;
        if self.fold.next(partition).is_some_and(|next| end - next > MANY) {
            self.fold.begin_newest(partition, end - NEWEST);
        }
        let span = |(from, end): (i64, i64)| Span { shard: shard.clone(), from, until: Until::Offset(end) };
        let (newest, others) = self.fold.unread(partition, end);
        [newest.map(span), others.map(span)]
    }

    /// Whether every record up to the last look's stable end was read.
    pub fn complete(&self) -> bool {
        self.error.is_none()
            && self.partitions.iter().all(|p| {
                let stable = self.bounds.get(p).map(|b| b.last_stable);
                stable.is_some_and(|end| self.fold.next(*p).is_some_and(|next| next >= end))
            })
    }

    /// Sets every letter's state from the ledger, where ledger or letters have changed.
    pub fn join(&mut self, ledger: Option<&Ledger>) {
        let now = (ledger.map(Ledger::generation), self.fold.changes());
        if self.joined == Some(now) {
            return;
        }
        let same = self.joined.is_some_and(|(generation, _)| generation == now.0);
        let which = if same { Which::New } else { Which::All };
        self.joined = Some(now);
        match (ledger, &self.id) {
            (Some(ledger), Some(id)) => {
                let id = Arc::clone(&id.0);
                self.fold.mark(which, |partition, offset| Some(ledger.disposition(&id, partition, offset)));
            }
            // Without a topic's id no row can be matched to its letters.
            _ => self.fold.mark(which, |_, _| None),
        }
    }

    /// What the letters come to. A million of them are not counted again for each look.
    fn summary(&mut self, now: Timestamp) -> Summary {
        let counted = (self.joined, self.fold.changes(), self.fold.letters(), Chart::new(now).minute());
        match &self.summed {
            Some((from, sum)) if *from == counted => {
                Summary { arrivals: sum.arrivals.at(now), ..sum.clone() }
            }
            _ => {
                let sum = self.fold.summary(now);
                self.summed = Some((counted, sum.clone()));
                sum
            }
        }
    }

    /// The topic's row.
    pub fn row(&mut self, name: &Name, now: Timestamp, warning: Duration) -> Option<DlqRow> {
        let sum = self.summary(now);
        let complete = self.complete();
        let states = sum.states.filter(|_| complete);
        let count = |i: usize| states.map(|s| s[i]);
        let (found_by, reason) = match self.found_by? {
            // Records are a better sign than a name.
            FoundBy::Name if !sum.formats.is_empty() => {
                let formats = sum.formats.join(", ");
                (
                    FoundBy::Headers,
                    format!("its records carry headers of {formats}, and {}", self.reason).into(),
                )
            }
            by => (by, Arc::clone(&self.reason)),
        };
        let expires_at = self.retention.and_then(|retention| retention.first_loss(&self.fold, now));
        let warning = i64::try_from(warning.as_millis()).unwrap_or(i64::MAX);
        let full = self.fold.is_full() && !complete;
        let known = !self.bounds.is_empty();
        let range: i64 = self.bounds.values().map(|b| (b.end - b.start).max(0)).sum();
        let beyond: i64 = self.bounds.values().map(|b| (b.end - b.last_stable).max(0)).sum();
        let records = if complete { self.fold.letters() as u64 } else { range as u64 };
        Some(DlqRow {
            topic: Arc::clone(name),
            found_by,
            reason,
            formats: sum.formats,
            sources: sum.sources,
            groups: sum.groups,
            records: known.then_some(records),
            pending: count(0),
            redriven: count(1),
            discarded: count(2),
            parked: count(3),
            duplicate: count(4),
            arrivals_per_minute: sum.arrivals.per_minute(),
            oldest_timestamp: sum.oldest_open,
            oldest_age_seconds: sum.oldest_open.map(|at| now.since(at).max(0) as f64 / 1000.0),
            expires_at,
            expires_soon: expires_at.is_some_and(|at| at.since(now) < warning),
            beyond_last_stable: known.then_some(beyond as u64),
            complete,
            scanned: self.fold.letters() as u64,
            top_failure: sum.top_failure,
            failures: sum.failures,
            arrived: sum.arrived,
            arrived_by_group: sum.arrived_by_group,
            new_failures: sum.new_failures,
            arrivals: sum.arrivals.buckets(),
            error: self
                .error
                .clone()
                .or_else(|| full.then(|| format!("only the first {MOST_LETTERS} letters are kept"))),
        })
    }
}
