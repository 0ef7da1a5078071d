//! Reads and follows the ledger topic.
//!
//! It reads `read_committed` up to the high watermark, not to the "end" that such a reader meets: another
//! dead-letter topic's open transaction can hold that end below rows that are committed (redrive protocol,
//! step 2). It begins to read when the last stable offset is there: what a reader meets before a transaction
//! ends is then not left to the client. A ledger that does not exist is empty, unless the audit names one: then
//! it is lost, and nothing may be decided on an empty one. Limits: one task uses a reader; a topic without Read
//! right leaves the state of every letter unknown, with the reason.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::broker::{Batch, ErrorKind, Name, Notice, ReadPlan, Shard, Span, TopicId, Until};
use crate::context::{Cx, Progress, Sink};
use crate::ledger::audit::{Action, AuditRecord};
use crate::ledger::row::RowError;
use crate::ledger::{AUDIT_TOPIC, LEDGER_TOPIC, Ledger};
use crate::text::Fault;

/// How long a read may stand still before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// After how long standing still is told.
const TELL_AFTER: Duration = Duration::from_secs(1);

/// How often is looked whether an open transaction has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The ledger's topic as it was found.
struct Found {
    id: Option<TopicId>,
}

/// Follows the ledger of a cluster.
pub struct LedgerReader {
    cx: Cx,
    cluster: Option<Name>,
    /// The ledger's topic, once found; without an id where the broker has none.
    found: Option<Found>,
    audit_checked: bool,
    position: i64,
    ledger: Option<Ledger>,
    unknown: Option<Fault>,
    waited: Duration,
}

impl LedgerReader {
    /// A reader that has read nothing yet.
    pub fn new(cx: Cx) -> Self {
        Self {
            cx,
            cluster: None,
            found: None,
            audit_checked: false,
            position: 0,
            ledger: None,
            unknown: None,
            waited: Duration::ZERO,
        }
    }

    /// What was read so far; `None` before the first [`Self::refresh`] is through, and while the state of the
    /// letters cannot be known (see [`Self::unknown`]).
    pub fn ledger(&self) -> Option<&Ledger> {
        if self.unknown.is_some() { None } else { self.ledger.as_ref() }
    }

    /// Why the state of the letters cannot be known: no Read right, a newer format, a lost ledger.
    pub fn unknown(&self) -> Option<&Fault> {
        self.unknown.as_ref()
    }

    /// The cluster's id, once asked.
    pub fn cluster(&self) -> Option<&Name> {
        self.cluster.as_ref()
    }

    /// Whether the ledger's topic existed at the last refresh.
    pub fn exists(&self) -> bool {
        self.found.is_some()
    }

    /// The ledger's topic id, where it exists and the broker has ids.
    pub fn topic_id(&self) -> Option<&TopicId> {
        self.found.as_ref().and_then(|f| f.id.as_ref())
    }

    /// Whether the audit was seen to name this ledger.
    pub fn is_audited(&self) -> bool {
        self.audit_checked
    }

    /// How long the last refresh stood still behind an open transaction.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Reads what is new, up to the high watermark of now. An error of the broker leaves what was read; an error
    /// that makes the state unknowable is kept as [`Self::unknown`] too, until a later refresh succeeds.
    pub async fn refresh(&mut self, sink: &dyn Sink, cancel: &CancellationToken) -> Result<(), Fault> {
        self.waited = Duration::ZERO;
        match self.read(sink, cancel).await {
            Ok(()) => {
                self.unknown = None;
                Ok(())
            }
            Err(fault) => {
                let decisive =
                    matches!(fault.code, "acl" | "ledger_lost" | "ledger_newer" | "ledger_damaged");
                if decisive {
                    self.unknown = Some(fault.clone());
                }
                Err(fault)
            }
        }
    }

    async fn read(&mut self, sink: &dyn Sink, cancel: &CancellationToken) -> Result<(), Fault> {
        let broker = Arc::clone(&self.cx.broker);
        let catalog = broker.catalog();
        let cluster = match &self.cluster {
            Some(cluster) => Arc::clone(cluster),
            None => catalog.cluster().await?.id,
        };
        self.cluster = Some(Arc::clone(&cluster));
        let wanted: [Name; 2] = [LEDGER_TOPIC.into(), AUDIT_TOPIC.into()];
        let topics = catalog.topics(Some(&wanted)).await?;
        let find = |name: &str| topics.iter().find(|t| *t.name == *name);
        let unknown_topic = |e: &crate::broker::BrokerError| e.kind == ErrorKind::UnknownTopic;
        let has_audit = find(AUDIT_TOPIC).is_some_and(|t| t.error.is_none());
        let info = find(LEDGER_TOPIC).filter(|t| !t.error.as_ref().is_some_and(unknown_topic));
        let Some(info) = info else {
            if has_audit && let Some(named) = self.named_by_audit(cancel).await? {
                return Err(lost(&format!(
                    "the audit names the ledger {named}, but there is no {LEDGER_TOPIC}"
                )));
            }
            self.reset(None, cluster);
            return Ok(());
        };
        if let Some(error) = &info.error {
            let fault = Fault::from(error.clone());
            // Without the right to see it a broker does not even tell whether it is there.
            return Err(if error.kind == ErrorKind::Authorisation { fault.hint(UNSEEN) } else { fault });
        }
        if info.partitions.len() != 1 {
            return Err(Fault::refused("ledger_damaged", format!("{LEDGER_TOPIC} cannot be used"))
                .why(format!("it has {} partitions, it must have exactly one", info.partitions.len()))
                .hint("a ledger made by hand must be made as the documentation says"));
        }
        let topic_id = match catalog.topic_ids(&wanted[..1]).await?.pop() {
            Some(Ok(id)) => Some(id),
            Some(Err(e)) if e.kind == ErrorKind::Unsupported => None,
            Some(Err(e)) => return Err(e.into()),
            None => None,
        };
        if self.found.as_ref().is_none_or(|f| f.id != topic_id) || self.ledger.is_none() {
            self.audit_checked = false;
            self.reset(Some(Found { id: topic_id.clone() }), cluster);
        }
        if has_audit && !self.audit_checked {
            let named = self.named_by_audit(cancel).await?;
            if let (Some(named), Some(found)) = (&named, &topic_id)
                && **named != *found.0
            {
                return Err(lost(&format!("the audit names the ledger {named}, this one is {}", found.0)));
            }
            self.audit_checked = named.is_some();
        }
        self.follow(sink, cancel).await
    }

    fn reset(&mut self, found: Option<Found>, cluster: Name) {
        self.found = found;
        self.position = 0;
        self.ledger = Some(Ledger::new(cluster));
    }

    /// Folds from the position up to the high watermark.
    async fn follow(&mut self, sink: &dyn Sink, cancel: &CancellationToken) -> Result<(), Fault> {
        let broker = Arc::clone(&self.cx.broker);
        let shard = Shard::new(LEDGER_TOPIC, 0);
        let bounds = only(broker.catalog().bounds(std::slice::from_ref(&shard)).await?)?;
        if bounds.end < self.position {
            return Err(lost(&format!(
                "it was read up to offset {}, and now ends at {}",
                self.position, bounds.end
            )));
        }
        let first = self.position;
        if bounds.end > first {
            let mut waits = Waits::new(format!("an open transaction on {LEDGER_TOPIC}"));
            let mut stable = bounds.last_stable;
            while stable < bounds.end {
                let total = Some((bounds.end - first) as u64);
                waits.stand(sink, "reading the ledger", total, cancel).await?;
                stable = only(broker.catalog().bounds(std::slice::from_ref(&shard)).await?)?.last_stable;
            }
            let span = Span { shard, from: first, until: Until::Offset(bounds.end) };
            let plan = ReadPlan::new(vec![span]);
            let mut batches = broker.reader().open(plan, cancel.clone()).await?;
            while let Some(batch) = {
                let done = (self.position - first).max(0) as u64;
                let total = Some((bounds.end - first) as u64);
                waits.next(&mut *batches, sink, "reading the ledger", done, total).await?
            } {
                self.fold(&batch)?;
                for notice in &batch.notices {
                    match notice {
                        Notice::Failed(_, error) => return Err(error.clone().into()),
                        Notice::Truncated { position, end, .. } => {
                            return Err(lost(&format!(
                                "it was read up to {position}, and now ends at {end}"
                            )));
                        }
                        Notice::Finished(_) | Notice::CaughtUp(_) | Notice::Trimmed { .. } => {}
                    }
                }
            }
            self.waited = waits.total;
            // Rows that were not read would be letters that are sent twice.
            if self.position < bounds.end {
                let (position, end) = (self.position, bounds.end);
                return Err(Fault::failed(
                    "broker_error",
                    format!("the reading of {LEDGER_TOPIC} ended too early"),
                )
                .why(format!("it was read up to offset {position}, of {end}")));
            }
        }
        match &self.ledger {
            Some(ledger) => ledger.check().map_err(|e| unusable(&e, None)),
            None => Ok(()),
        }
    }

    fn fold(&mut self, batch: &Batch) -> Result<(), Fault> {
        let Some(ledger) = &mut self.ledger else { return Ok(()) };
        for record in &batch.records {
            ledger.apply(record).map_err(|e| unusable(&e, Some(record.at.offset)))?;
            self.position = record.at.offset + 1;
        }
        for (_, position) in &batch.positions {
            self.position = self.position.max(*position);
        }
        Ok(())
    }

    /// The ledger's topic id as the first audit record has it; `None` while the audit has no record.
    async fn named_by_audit(&self, cancel: &CancellationToken) -> Result<Option<String>, Fault> {
        let broker = Arc::clone(&self.cx.broker);
        let shard = Shard::new(AUDIT_TOPIC, 0);
        let bounds = only(broker.catalog().bounds(std::slice::from_ref(&shard)).await?)?;
        if bounds.last_stable <= bounds.start {
            return Ok(None);
        }
        let span = Span { shard, from: bounds.start, until: Until::Offset(bounds.last_stable) };
        let mut plan = ReadPlan::new(vec![span]);
        plan.budget = 1 << 20;
        let mut batches = broker.reader().open(plan, cancel.clone()).await?;
        while let Some(batch) = batches.next().await? {
            for record in &batch.records {
                let audit = AuditRecord::decode(record.value.as_deref()).map_err(|e| {
                    Fault::refused(e.code(), format!("{AUDIT_TOPIC} cannot be used")).why(e.to_string())
                })?;
                if audit.action == Action::Ledger {
                    return Ok(audit.ledger_topic_id);
                }
            }
            if let Some(error) = batch.notices.iter().find_map(|n| match n {
                Notice::Failed(_, error) => Some(error),
                _ => None,
            }) {
                return Err(error.clone().into());
            }
        }
        Ok(None)
    }
}

/// What to do where the ledger cannot be seen.
const UNSEEN: &str = "this user needs Describe and Read on __redrive.ledger and __redrive.audit, and Write to redrive; \
                      an administrator gives the rights, and makes the topics where they are missing";

/// Waits for batches, tells when nothing comes, and gives up when it takes too long.
struct Waits {
    for_what: String,
    total: Duration,
}

impl Waits {
    fn new(for_what: String) -> Self {
        Self { for_what, total: Duration::ZERO }
    }

    async fn next(
        &mut self,
        batches: &mut dyn crate::broker::Batches,
        sink: &dyn Sink,
        what: &str,
        done: u64,
        total: Option<u64>,
    ) -> Result<Option<Batch>, Fault> {
        let mut progress = Progress { what: what.into(), done, total, ..Progress::default() };
        sink.progress(progress.clone());
        let next = batches.next();
        tokio::pin!(next);
        let mut still = Duration::ZERO;
        loop {
            tokio::select! {
                biased;
                batch = &mut next => return Ok(batch?),
                () = tokio::time::sleep(TELL_AFTER) => {}
            }
            still += TELL_AFTER;
            self.total += TELL_AFTER;
            self.tell(sink, &mut progress, still)?;
        }
    }

    /// Stands still for a moment.
    async fn stand(
        &mut self,
        sink: &dyn Sink,
        what: &str,
        total: Option<u64>,
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        tokio::select! {
            () = cancel.cancelled() => return Err(Fault::cancelled()),
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
        self.total += LOOK_AGAIN;
        if self.total < TELL_AFTER {
            return Ok(());
        }
        let mut progress = Progress { what: what.into(), total, ..Progress::default() };
        self.tell(sink, &mut progress, self.total)
    }

    /// Tells how long it stands still, and gives up when that is too long.
    fn tell(&self, sink: &dyn Sink, progress: &mut Progress, still: Duration) -> Result<(), Fault> {
        if still >= PATIENCE {
            return Err(Fault::failed("timed_out", progress.what.clone())
                .why(format!("waited {} s for {}", still.as_secs(), self.for_what))
                .hint("a transaction that hangs can be found and ended with kafka-transactions.sh"));
        }
        progress.waiting = Some(format!("{} ({} s)", self.for_what, still.as_secs()));
        sink.progress(progress.clone());
        Ok(())
    }
}

/// The answer for the one thing asked.
fn only<T>(mut each: crate::broker::Each<T>) -> Result<T, Fault> {
    match each.pop() {
        Some(answer) => Ok(answer?),
        None => Err(Fault::failed("broker_error", "the broker gave no answer for one thing asked")),
    }
}

fn lost(why: &str) -> Fault {
    Fault::refused("ledger_lost", "the ledger of dispositions is lost")
        .why(why)
        .hint("without it nobody knows which letters were redriven; nothing is written. Restore the topic")
}

fn unusable(error: &RowError, offset: Option<i64>) -> Fault {
    let what = match offset {
        Some(offset) => format!("row {offset} of {LEDGER_TOPIC} cannot be read"),
        None => format!("{LEDGER_TOPIC} cannot be read"),
    };
    let hint = match error {
        RowError::Newer { .. } => "use a newer version of this program",
        RowError::Damaged(_) => "the state of its letter is not known, so nothing is written",
    };
    Fault::refused(error.code(), what).why(error.to_string()).hint(hint)
}
