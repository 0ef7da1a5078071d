//! The index of dead letters: finds their topics, reads what is new, and answers what is asked of them.
//!
//! Safe for concurrent use: a console that refreshes and requests that ask. A topic is read by one task at a
//! time; others answer from what was read so far and say that it is not complete. Of a letter only a few bytes
//! are kept ([`super::fold`]), so a request reads the letters that it shows again.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use foldhash::quality::RandomState;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::discover::{Decided, Discovery, Found, MARK, is_named};
use super::ledger::LedgerReader;
use super::taking::Taking;
use super::topic::Topic;
use crate::broker::{Batch, BrokerError, ErrorKind, Name, Notice, ReadPlan, Shard, Sieve, Span, Until};
use crate::context::{Cx, Progress, Silent, Sink};
use crate::dlq::groups::{DlqRow, FoundBy};
use crate::text::Fault;

/// How often topics are looked for.
const DISCOVER_EVERY: Duration = Duration::from_secs(20);
/// How often the configuration of a found topic is asked for.
const CONFIGURE_EVERY: Duration = Duration::from_secs(60);
/// How often rows are renewed while a long read is under way.
const PUBLISH_EVERY: Duration = Duration::from_millis(250);
/// Renewing them looks at every letter: where that takes long it is done more seldom, so that it takes no more than
/// this part of the time, and not more seldom than this.
const PUBLISH_PART: u32 = 20;
const PUBLISH_AT_LEAST: Duration = Duration::from_secs(1);
/// How long a request waits for another task that reads its topic.
pub(super) const WAIT_FOR_READER: Duration = Duration::from_millis(250);
/// How long new rows wait for a ledger that is just being read; without it new letters have no state yet.
const WAIT_TO_JOIN: Duration = Duration::from_millis(100);
/// How long the ledger may hold up a refresh, once it was read to its end. It can be held up by a
/// transaction of another run.
const WAIT_FOR_LEDGER: Duration = Duration::from_secs(2);

/// The index.
pub struct Index {
    cx: Cx,
    hasher: RandomState,
    discovery: tokio::sync::Mutex<(Discovery, Option<Duration>)>,
    topics: RwLock<BTreeMap<Name, Arc<Topic>>>,
    rows: RwLock<Arc<[DlqRow]>>,
    ledger: tokio::sync::Mutex<Follower>,
    ledger_fault: Mutex<Option<Fault>>,
    /// What the operator said, and whether discovery has not heard of it yet.
    decided: Mutex<(Decided, bool)>,
    /// Topics that could be dead-letter topics, and were not looked into yet.
    unseen: AtomicUsize,
    /// Told when the rows have more letters or other states.
    news: Arc<Notify>,
}

/// The ledger's reader, and whether it was read to its end once.
pub struct Follower {
    pub(super) reader: LedgerReader,
    ready: bool,
}

impl Follower {
    /// The ledger; `None` before it was read to its end, and while it cannot be known.
    pub fn ledger(&self) -> Option<&crate::ledger::Ledger> {
        self.reader.ledger().filter(|_| self.ready)
    }
}

/// What becomes of the topics under watch that were not found this time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    /// They stay.
    Stay,
    /// They are gone, or are dead-letter topics no more.
    Leave,
}

impl Index {
    /// An index that knows nothing yet.
    pub fn new(cx: Cx) -> Self {
        Self {
            discovery: tokio::sync::Mutex::new((Discovery::new(cx.clone()), None)),
            hasher: RandomState::default(),
            topics: RwLock::default(),
            rows: RwLock::new(Arc::from([])),
            ledger: tokio::sync::Mutex::new(Follower { reader: LedgerReader::new(cx.clone()), ready: false }),
            ledger_fault: Mutex::default(),
            decided: Mutex::default(),
            unseen: AtomicUsize::new(0),
            news: Arc::default(),
            cx,
        }
    }

    /// The context.
    pub fn cx(&self) -> &Cx {
        &self.cx
    }

    /// The dead-letter topics by name, as of the last refresh.
    pub fn rows(&self) -> Arc<[DlqRow]> {
        Arc::clone(&self.rows.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Told when the rows have more letters or other states; for one who waits.
    pub fn news(&self) -> Arc<Notify> {
        Arc::clone(&self.news)
    }

    /// Why the state of the letters is not known, where it is not.
    pub fn ledger_fault(&self) -> Option<Fault> {
        self.ledger_fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Topics that could be dead-letter topics, and were not looked into yet.
    pub fn unseen(&self) -> usize {
        self.unseen.load(Ordering::Relaxed)
    }

    /// The operator says whether a topic is a dead-letter topic; it counts from the next refresh on.
    pub fn decide(&self, topic: Name, is_one: bool) {
        let mut decided = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        decided.0.insert(topic, is_one);
        decided.1 = true;
    }

    /// All topics under watch.
    pub(super) fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The ledger; waits while another task reads it.
    pub async fn ledger(&self) -> tokio::sync::MutexGuard<'_, Follower> {
        self.ledger.lock().await
    }

    /// Finds dead-letter topics (all, or takes those named, whatever they are) and reads what is new. Topics that
    /// another task is reading are left to it. [`Self::rows`] is renewed while this goes on.
    pub async fn refresh(
        &self,
        only: Option<&[Name]>,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        let Some(names) = only else { return self.refresh_all(sink, cancel).await };
        let topics = self.named(names).await?;
        self.refresh_these(topics, WAIT_FOR_READER, sink, cancel).await
    }

    /// Finds dead-letter topics and reads what is new of them; samples other topics meanwhile.
    async fn refresh_all(&self, sink: &dyn Sink, cancel: &CancellationToken) -> Result<(), Fault> {
        let Ok(mut discovery) = self.discovery.try_lock() else {
            return self.refresh_these(self.topics(), Duration::ZERO, sink, cancel).await;
        };
        let now = self.cx.clock.monotonic();
        let (decided, news) = {
            let mut decided = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
            (decided.0.clone(), std::mem::take(&mut decided.1))
        };
        let due = news || discovery.1.is_none_or(|at| now.saturating_sub(at) >= DISCOVER_EVERY);
        if due {
            let found = discovery.0.look(decided).await?;
            self.watch(found, Others::Leave);
            discovery.1 = Some(now);
        }
        // The sample's own progress would only hide that of the letters.
        let sampling = async { if due { discovery.0.sample(&Silent, cancel).await } else { Ok(Vec::new()) } };
        let reading = self.refresh_these(self.topics(), Duration::ZERO, sink, cancel);
        let (read, sampled) = tokio::join!(reading, sampling);
        self.unseen.store(discovery.0.unseen(), Ordering::Relaxed);
        drop(discovery);
        read?;
        let found = match sampled {
            Ok(found) => found,
            Err(fault) if fault.code == ErrorKind::Cancelled.code() => return Err(fault),
            Err(fault) => {
                // What is known without it stands.
                tracing::warn!(%fault, "topics could not be looked into");
                return Ok(());
            }
        };
        if found.is_empty() {
            return Ok(());
        }
        let topics = self.watch(found, Others::Stay);
        self.refresh_these(topics, Duration::ZERO, sink, cancel).await
    }

    /// Takes topics under watch; gives these.
    fn watch(&self, found: Vec<Found>, others: Others) -> Vec<Arc<Topic>> {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *topics);
        let mut new = Vec::with_capacity(found.len());
        for found in found {
            let topic = match before.remove(&found.info.name) {
                Some(topic) => topic,
                None => Arc::new(Topic::new(&found.info, self.hasher.clone())),
            };
            topic.lock().renew(&found.info, Some((found.by, found.reason)));
            topics.insert(Arc::clone(&found.info.name), Arc::clone(&topic));
            new.push(topic);
        }
        if others == Others::Stay {
            topics.append(&mut before);
        }
        new
    }

    /// Reads what is new of these topics; those that another task is reading are left to it, after a while.
    pub(super) async fn refresh_these(
        &self,
        topics: Vec<Arc<Topic>>,
        patience: Duration,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        let mut held = Vec::new();
        let mut gates = Vec::new();
        for topic in topics {
            let gate = Arc::clone(&topic.gate);
            let gate = match gate.try_lock_owned() {
                Ok(gate) => Some(gate),
                Err(_) if patience.is_zero() => None,
                Err(_) => {
                    let gate = Arc::clone(&topic.gate).lock_owned();
                    tokio::time::timeout(patience, gate).await.ok()
                }
            };
            if let Some(gate) = gate {
                gates.push(gate);
                held.push(topic);
            }
        }
        self.identify(&held).await?;
        let (ledger, read) =
            tokio::join!(self.follow_ledger(sink, cancel), self.read_new(&held, sink, cancel));
        drop(gates);
        self.publish().await;
        read.and(ledger)
    }

    /// The topics with these names, whether something shows them to hold dead letters or not.
    pub(super) async fn named(&self, names: &[Name]) -> Result<Vec<Arc<Topic>>, Fault> {
        let infos = self.cx.broker.catalog().topics(Some(names)).await?;
        let mut out = Vec::with_capacity(names.len());
        for name in names {
            let Some(info) = infos.iter().find(|t| t.name == *name) else {
                return Err(self.cx.unknown_topic(name).await);
            };
            if let Some(error) = &info.error {
                return Err(error.clone().into());
            }
            let found_by = is_named(name, &self.cx.profile.dead_letters)
                .then(|| (FoundBy::Name, Arc::from("its name fits a pattern")));
            let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
            let topic = topics
                .entry(Arc::clone(name))
                .or_insert_with(|| Arc::new(Topic::new(info, self.hasher.clone())));
            let mut state = topic.lock();
            let found_by = found_by.filter(|_| state.found_by.is_none());
            state.renew(info, found_by);
            drop(state);
            out.push(Arc::clone(topic));
        }
        Ok(out)
    }

    /// Learns the ids and configurations of the topics.
    pub(super) async fn identify(&self, topics: &[Arc<Topic>]) -> Result<(), Fault> {
        if topics.is_empty() {
            return Ok(());
        }
        let catalog = self.cx.broker.catalog();
        let names: Vec<Name> = topics.iter().map(|t| Arc::clone(&t.name)).collect();
        for (topic, id) in topics.iter().zip(catalog.topic_ids(&names).await?) {
            topic.lock().identify(id.ok(), &self.hasher);
        }
        let now = self.cx.clock.monotonic();
        let old =
            |t: &&Arc<Topic>| t.lock().configured.is_none_or(|at| now.saturating_sub(at) >= CONFIGURE_EVERY);
        let asked: Vec<&Arc<Topic>> = topics.iter().filter(old).collect();
        let names: Vec<Name> = asked.iter().map(|t| Arc::clone(&t.name)).collect();
        if names.is_empty() {
            return Ok(());
        }
        let mut pointers = self.cx.profile.dead_letters.topic_names.missed();
        for (topic, config) in asked.into_iter().zip(catalog.configs(&names).await?) {
            // Without the right to see it nothing is known of retention.
            let config = config.unwrap_or_default();
            let mut state = topic.lock();
            pointers |= state.configured.is_none()
                && config.get(MARK).is_some_and(|entry| entry.value.as_deref() == Some("true"));
            state.configure(&config, now);
        }
        if pointers {
            self.learn_ids().await;
        }
        Ok(())
    }

    /// Learns the ids of all topics: letters of share groups name topics by them where the broker found no name.
    async fn learn_ids(&self) {
        let catalog = self.cx.broker.catalog();
        let learnt = async {
            let topics: Vec<Name> = catalog.topics(None).await?.into_iter().map(|t| t.name).collect();
            let ids = catalog.topic_ids(&topics).await?;
            let named =
                ids.into_iter().zip(topics).filter_map(|(id, name)| Some((id.ok()?.0.to_string(), name)));
            Ok::<_, BrokerError>(named.collect())
        };
        match learnt.await {
            Ok(names) => self.cx.profile.dead_letters.topic_names.learn(names),
            // The ids stand for the names, then.
            Err(error) => tracing::warn!(%error, "the ids of topics are not known"),
        }
    }

    pub(super) async fn follow_ledger(
        &self,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        let Ok(mut follower) = self.ledger.try_lock() else { return Ok(()) };
        let patience = if follower.ready { WAIT_FOR_LEDGER } else { Duration::MAX };
        let result = tokio::time::timeout(patience, follower.reader.refresh(sink, cancel)).await;
        let fault = match result {
            Ok(Ok(())) => {
                follower.ready = true;
                None
            }
            // What was read before stands.
            Err(_) => return Ok(()),
            Ok(Err(fault)) if fault.code == ErrorKind::Cancelled.code() => return Err(fault),
            Ok(Err(fault)) => Some(fault),
        };
        *self.ledger_fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        Ok(())
    }

    /// Reads what is new of topics whose gates are held.
    async fn read_new(
        &self,
        topics: &[Arc<Topic>],
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        let shards: Vec<Shard> = topics.iter().flat_map(|t| t.shards()).collect();
        if shards.is_empty() {
            return Ok(());
        }
        let bounds = self.cx.broker.catalog().bounds(&shards).await?;
        let by_name: HashMap<Name, Arc<Topic>> =
            topics.iter().map(|t| (Arc::clone(&t.name), Arc::clone(t))).collect();
        let taking = Arc::new(Taking::new(by_name.clone(), Arc::clone(&self.cx.profile)));
        let (mut newest, mut others) = (Vec::new(), Vec::new());
        for (shard, bounds) in shards.iter().zip(bounds) {
            if let Some(topic) = by_name.get(&shard.topic) {
                let [first, then] = topic.lock().look(shard, bounds);
                newest.extend(first);
                others.extend(then);
            }
        }
        let total = newest.iter().chain(&others).filter_map(Span::length);
        let mut progress = Progress {
            what: match topics {
                [one] => format!("reading {}", one.name),
                _ => "reading dead letters".into(),
            },
            total: Some(total.sum()),
            ..Progress::default()
        };
        let mut due = self.cx.clock.monotonic() + PUBLISH_EVERY;
        for spans in [newest, others] {
            if spans.is_empty() {
                continue;
            }
            // A reader's position passes control markers, also those behind its span.
            let ends: HashMap<Shard, i64> = spans
                .iter()
                .filter_map(|span| match span.until {
                    Until::Offset(end) => Some((span.shard.clone(), end)),
                    Until::End | Until::Follow => None,
                })
                .collect();
            let sieve: Arc<dyn Sieve> = taking.clone();
            let plan = ReadPlan { sieve: Some(sieve), ..ReadPlan::new(spans) };
            let mut batches = self.cx.broker.reader().open(plan, cancel.clone()).await?;
            while let Some(mut batch) = batches.next().await? {
                for (shard, next) in &mut batch.positions {
                    *next = ends.get(shard).map_or(*next, |end| (*next).min(*end));
                }
                progress.done += batch.left.records;
                progress.bytes = taking.bytes();
                hear(&by_name, &batch);
                sink.progress(progress.clone());
                let now = self.cx.clock.monotonic();
                if now >= due {
                    self.publish().await;
                    let after = self.cx.clock.monotonic();
                    let pause = after.saturating_sub(now) * PUBLISH_PART;
                    due = after + pause.clamp(PUBLISH_EVERY, PUBLISH_AT_LEAST);
                }
            }
        }
        Ok(())
    }

    /// Joins the ledger to the letters and renews the rows.
    async fn publish(&self) {
        // While the ledger is read for the first time, nothing is known of it anyway.
        let follower = tokio::time::timeout(WAIT_TO_JOIN, self.ledger.lock()).await;
        let now = self.cx.clock.now();
        let mut rows = Vec::new();
        for topic in self.topics() {
            let mut state = topic.lock();
            if let Ok(follower) = &follower {
                state.join(follower.ledger());
            }
            rows.extend(state.row(&topic.name, now, self.cx.profile.dead_letters.retention_warning));
        }
        let new: Arc<[DlqRow]> = rows.into();
        let before = std::mem::replace(
            &mut *self.rows.write().unwrap_or_else(PoisonError::into_inner),
            Arc::clone(&new),
        );
        let tells = |row: &DlqRow| (Arc::clone(&row.topic), row.scanned, row.pending);
        if !new.iter().map(tells).eq(before.iter().map(tells)) {
            self.news.notify_one();
        }
    }
}

/// Takes from a batch how far its topics were read, and what happened to them. Its records were taken before.
fn hear(topics: &HashMap<Name, Arc<Topic>>, batch: &Batch) {
    for (shard, next) in &batch.positions {
        if let Some(topic) = topics.get(&shard.topic) {
            topic.lock().fold.advance(shard.partition, *next);
        }
    }
    for notice in &batch.notices {
        match notice {
            Notice::Trimmed { shard, start, .. } => {
                if let Some(topic) = topics.get(&shard.topic) {
                    let mut state = topic.lock();
                    state.gone += state.fold.trim(shard.partition, *start);
                }
            }
            Notice::Truncated { shard, .. } => {
                if let Some(topic) = topics.get(&shard.topic) {
                    let mut state = topic.lock();
                    state.gone += state.fold.forget(shard.partition);
                }
            }
            Notice::Failed(shard, error) => {
                if let Some(topic) = topics.get(&shard.topic) {
                    topic.lock().error = Some(error.to_string());
                }
            }
            Notice::Finished(_) | Notice::CaughtUp(_) => {}
        }
    }
}
