//! The embedded broker: the port on memory, for the demonstration and for proofs.
//!
//! It has Kafka's semantics where the port can see them: offsets, time stamps, topic ids, groups, transactions
//! with control markers, retention and compaction. It is bounded in bytes, does nothing while nobody calls, and
//! gives the same answers for the same calls and clock. One node, no replication, nothing survives the process.

mod catalog;
pub mod fault;
mod groups;
mod log;
mod members;
mod reader;
mod retention;
mod settings;
pub mod shop;
mod state;
mod transactions;
mod writer;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::broker::{
    Broker, BrokerError, Capabilities, Catalog, ErrorKind, Fut, Groups, Guarantee, Name, PeekEffect, Reader,
    Support, Writer,
};
use crate::text::Clock;
use fault::{Faults, Lost, Op};
use state::{Now, State};

/// The one node's id.
const NODE: i32 = 1;

/// The embedded broker itself; programs use it through [`MemoryBroker::broker`].
pub struct MemoryBroker {
    shared: Arc<Shared>,
}

/// What all connections share.
struct Shared {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    /// Told after every change that a waiting reader could see.
    changed: Arc<Notify>,
    faults: Faults,
}

impl MemoryBroker {
    /// Makes an empty broker that holds at most `budget_bytes` of records. Its ids derive from the clock.
    pub fn new(clock: Arc<dyn Clock>, budget_bytes: usize) -> Arc<Self> {
        let changed = Arc::new(Notify::new());
        let state = Mutex::new(State::new(clock.now().as_millis() as u64, budget_bytes));
        let faults = Faults::new(Arc::clone(&changed));
        Arc::new(Self { shared: Arc::new(Shared { state, clock, changed, faults }) })
    }

    /// A connection that may write.
    pub fn broker(&self) -> Arc<dyn Broker> {
        self.connection(Access::Write)
    }

    /// A connection that cannot write: it has no writer.
    pub fn read_only(&self) -> Arc<dyn Broker> {
        self.connection(Access::Read)
    }

    /// The fault switch, for all connections.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Compacts a topic now; without it that happens when its dirty ratio is reached.
    pub fn compact(&self, topic: &Name) {
        let now = self.shared.clock.now();
        self.shared.lock().compact_now(topic, now);
        self.shared.changed.notify_waiters();
    }

    /// Bytes that records take at the moment.
    pub fn bytes(&self) -> usize {
        self.shared.look().bytes
    }

    fn connection(&self, access: Access) -> Arc<dyn Broker> {
        let write = access == Access::Write;
        Arc::new(Connection {
            link: Link { shared: Arc::clone(&self.shared), closed: CancellationToken::new() },
            access,
            capabilities: Capabilities {
                kind: "memory",
                seek_offset: Support::Yes,
                seek_time: Support::Yes,
                peek: Support::Yes,
                peek_effect: PeekEffect::None,
                groups: Support::Yes,
                group_lag: Support::Yes,
                transactions: Support::Yes,
                topic_ids: Support::Yes,
                compaction: Support::Yes,
                delete_before: if write { Support::Yes } else { Support::No("the profile is read-only") },
                guarantee: write.then_some(Guarantee::ExactlyOnceReadCommitted),
            },
        })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Now {
        Now { wall: self.clock.now(), steady: self.clock.monotonic() }
    }

    /// The state, after what was due is done.
    fn look(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        if state.look_after(self.now()) {
            self.changed.notify_waiters();
        }
        state
    }

    /// Changes the state, and wakes those who wait.
    fn change<T>(&self, work: impl FnOnce(&mut State, Now) -> T) -> T {
        let done = work(&mut self.look(), self.now());
        self.changed.notify_waiters();
        done
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// One connection's way to the state.
#[derive(Clone)]
struct Link {
    shared: Arc<Shared>,
    closed: CancellationToken,
}

impl Link {
    /// Every call passes here first.
    async fn enter(&self, op: Op) -> Result<Option<Lost>, BrokerError> {
        if self.closed.is_cancelled() {
            return Err(BrokerError::new(ErrorKind::Unreachable, op.as_str(), "the connection was closed"));
        }
        self.shared.faults.enter(op).await
    }

    /// A call that only looks.
    fn ask<'a, T: Send + 'a>(&'a self, op: Op, work: impl FnOnce(&State) -> T + Send + 'a) -> Fut<'a, T> {
        Box::pin(async move {
            self.enter(op).await?;
            Ok(work(&self.shared.look()))
        })
    }

    /// A call that changes something.
    fn alter<'a, T: Send + 'a>(
        &'a self,
        op: Op,
        work: impl FnOnce(&mut State, Now) -> T + Send + 'a,
    ) -> Fut<'a, T> {
        Box::pin(async move {
            self.enter(op).await?;
            Ok(self.shared.change(work))
        })
    }
}

struct Connection {
    link: Link,
    access: Access,
    capabilities: Capabilities,
}

impl Broker for Connection {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn catalog(&self) -> &dyn Catalog {
        &self.link
    }

    fn reader(&self) -> &dyn Reader {
        &self.link
    }

    fn groups(&self) -> Option<&dyn Groups> {
        Some(&self.link)
    }

    fn writer(&self) -> Option<&dyn Writer> {
        (self.access == Access::Write).then_some(&self.link as &dyn Writer)
    }

    fn close(&self, _deadline: Duration) -> Fut<'_, ()> {
        self.link.closed.cancel();
        Box::pin(async { Ok(()) })
    }
}
