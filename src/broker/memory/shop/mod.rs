//! The shop: order, payment and inventory services that produce, and four groups that consume, retry and dead-letter.
//!
//! Its services are clients of the port and of nothing else, so that the same code runs on the embedded broker and on
//! a real cluster. It creates nothing by itself: [`topics`] says what it needs. Events are the same for the same seed;
//! times and the order in which consumers work are not.

mod cause;
mod claim;
mod consumer;
mod event;
mod letter;
mod metrics;
mod producer;
mod random;

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use cause::Cause;
use cause::Repairs;
pub use claim::Claim;

use crate::broker::{Broker, BrokerError, ErrorKind, Name, NewTopic, Writer};
use crate::exposition::Dialect;
use crate::text::Clock;

/// Events a second that the paces of the consumers are made for.
pub const USUAL_RATE: u32 = 200;

const PARTITIONS: i32 = 6;

/// How long the letters of one dead-letter topic are kept: little enough that their expiry is a warning.
const SHORT_RETENTION: Duration = Duration::from_secs(21 * 3600);

/// The consumer groups and the source topics that each reads.
const GROUPS: [(&str, &[&str]); 4] = [
    ("email", &["orders", "payments"]),
    ("analytics", &["orders", "payments", "inventory"]),
    ("warehouse", &["inventory"]),
    ("notification", &["orders"]),
];

/// How the shop works.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Events a second.
    pub rate: u32,
    /// Events that fail, in percent.
    pub failures_percent: f64,
    /// Decides the content of all events.
    pub seed: u64,
    /// Stands before every name of a topic or group.
    pub prefix: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { rate: USUAL_RATE, failures_percent: 2.0, seed: 1, prefix: String::new() }
    }
}

/// The topics that a shop with this prefix needs.
pub fn topics(prefix: &str) -> Vec<NewTopic> {
    let topic = |name: &str, config: Vec<(String, String)>| NewTopic {
        name: format!("{prefix}{name}").into(),
        partitions: PARTITIONS,
        replication: None,
        config,
    };
    let short = || vec![("retention.ms".to_owned(), SHORT_RETENTION.as_millis().to_string())];
    vec![
        topic("orders", Vec::new()),
        topic("payments", Vec::new()),
        topic("inventory", Vec::new()),
        topic("payments-retry", Vec::new()),
        topic("inventory-retry", Vec::new()),
        topic("orders-dlt", short()),
        topic("payments-dlt", Vec::new()),
        topic("inventory-dlt", Vec::new()),
    ]
}

/// The consumer groups of a shop with this prefix.
pub fn groups(prefix: &str) -> Vec<Name> {
    GROUPS.iter().map(|(group, _)| format!("{prefix}{group}").into()).collect()
}

/// What the shop has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Events written.
    pub produced: u64,
    /// Events processed, by all groups together.
    pub processed: u64,
    /// Attempts that went to a retry topic.
    pub retried: u64,
    /// Dead letters written.
    pub dead_lettered: u64,
    /// The latest trouble with the broker; work goes on when it is over.
    pub trouble: Option<String>,
}

/// What all services share.
struct Shared {
    broker: Arc<dyn Broker>,
    clock: Arc<dyn Clock>,
    options: Options,
    repairs: Repairs,
    paused: watch::Sender<bool>,
    produced: AtomicU64,
    processed: AtomicU64,
    retried: AtomicU64,
    dead_lettered: AtomicU64,
    trouble: Mutex<Option<String>>,
    metrics: metrics::Metrics,
    stop: CancellationToken,
}

/// A shop at work. Dropping it stops it without waiting.
pub struct Shop {
    shared: Arc<Shared>,
    services: JoinSet<()>,
}

impl Shop {
    /// Opens the shop; its topics must exist. Needs a runtime. Refused on a connection that cannot write.
    pub fn start(
        broker: Arc<dyn Broker>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Self, BrokerError> {
        if broker.writer().is_none() {
            let why = "the connection is read-only, and its services write";
            return Err(BrokerError::new(ErrorKind::Authorisation, "open the demonstration", why));
        }
        let shared = Arc::new(Shared {
            broker,
            clock,
            options,
            repairs: Repairs::default(),
            paused: watch::Sender::new(false),
            produced: AtomicU64::new(0),
            processed: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            dead_lettered: AtomicU64::new(0),
            trouble: Mutex::default(),
            metrics: metrics::Metrics::default(),
            stop: CancellationToken::new(),
        });
        let mut services = JoinSet::new();
        services.spawn(producer::run(Arc::clone(&shared)));
        for (group, sources) in GROUPS {
            let done = Arc::new(Done::default());
            services.spawn(consumer::run(Arc::clone(&shared), group, sources, Arc::clone(&done)));
            let retries: Vec<Cause> =
                Cause::ALL.into_iter().filter(|c| c.group() == group && c.is_retried()).collect();
            if !retries.is_empty() {
                services.spawn(consumer::run_retries(Arc::clone(&shared), group, sources, done));
            }
        }
        Ok(Self { shared, services })
    }

    /// Repairs a cause: from now on its consumer succeeds. Whether it was broken until now.
    pub fn repair(&self, cause: Cause) -> bool {
        self.shared.repairs.repair(cause)
    }

    /// Whether a cause is repaired.
    pub fn is_repaired(&self, cause: Cause) -> bool {
        self.shared.repairs.is_repaired(cause)
    }

    /// Stops producing and consuming for now, or goes on.
    pub fn pause(&self, paused: bool) {
        self.shared.paused.send_replace(paused);
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        *self.shared.paused.borrow()
    }

    /// What it has done so far.
    pub fn status(&self) -> Status {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Status {
            produced: of(&self.shared.produced),
            processed: of(&self.shared.processed),
            retried: of(&self.shared.retried),
            dead_lettered: of(&self.shared.dead_lettered),
            trouble: self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// What its services tell of themselves, for a collector.
    pub fn metrics(&self, dialect: Dialect) -> String {
        self.shared.metrics.render(dialect)
    }

    /// Closes the shop: its consumers leave their groups. Returns at the latest after `deadline`.
    pub async fn stop(mut self, deadline: Duration) {
        self.shared.stop.cancel();
        let all = async { while self.services.join_next().await.is_some() {} };
        // What is not through by then is ended by the drop.
        let _ = tokio::time::timeout(deadline, all).await;
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl Shared {
    /// The full name of a topic or group.
    fn name(&self, bare: &str) -> Name {
        format!("{}{bare}", self.options.prefix).into()
    }

    /// A topic's name without the prefix.
    fn bare<'a>(&self, topic: &'a str) -> &'a str {
        topic.strip_prefix(&*self.options.prefix).unwrap_or(topic)
    }

    fn writer(&self) -> Result<&dyn Writer, BrokerError> {
        self.broker.writer().ok_or_else(|| BrokerError::new(ErrorKind::Authorisation, "write", "read-only"))
    }

    /// Waits while the shop is paused; `false` when it is to stop.
    async fn open(&self) -> bool {
        let mut paused = self.paused.subscribe();
        tokio::select! {
            () = self.stop.cancelled() => false,
            waited = paused.wait_for(|paused| !paused) => waited.is_ok() && !self.stop.is_cancelled(),
        }
    }

    /// Sleeps; `false` when the shop is to stop.
    async fn sleep(&self, time: Duration) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(time) => true,
        }
    }

    /// Works until the shop stops; after a trouble with the broker it begins anew.
    async fn persist<W: Future<Output = Result<(), BrokerError>>>(&self, mut work: impl FnMut() -> W) {
        loop {
            let told = match work().await {
                Ok(()) => return,
                Err(error) => error.to_string(),
            };
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
            if !self.sleep(Duration::from_secs(1)).await {
                return;
            }
        }
    }
}

/// The ids of events that a group has processed lately; what makes it idempotent.
#[derive(Default)]
struct Done(Mutex<(HashSet<String>, VecDeque<String>)>);

impl Done {
    const MOST: usize = 20_000;

    fn contains(&self, id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.contains(id)
    }

    fn add(&self, id: String) {
        let mut done = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (ids, order) = &mut *done;
        if ids.insert(id.clone()) {
            order.push_back(id);
            if order.len() > Self::MOST
                && let Some(oldest) = order.pop_front()
            {
                ids.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests;
