//! The queue between a reading thread and its caller, bounded in bytes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::broker::{Batch, BrokerError};

/// How long the writing side waits before it looks at its own reasons to end.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Default)]
struct State {
    waiting: VecDeque<(Batch, usize)>,
    bytes: usize,
    /// A failure that does not end the read; told once.
    trouble: Option<BrokerError>,
    /// Writers that have not ended.
    writers: usize,
    abandoned: bool,
}

/// A queue of batches.
pub(super) struct Pipe {
    budget: usize,
    state: Mutex<State>,
    room: Condvar,
    filled: Notify,
}

impl Pipe {
    /// A queue that so many threads write to.
    pub(super) fn new(budget: usize, writers: usize) -> Self {
        let state = State { writers, ..State::default() };
        Self { budget, state: Mutex::new(state), room: Condvar::new(), filled: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a batch of `bytes`; waits while there is no room, which one batch alone always has. False when
    /// nobody will take it, or `give_up` says so.
    pub(super) fn push(&self, batch: Batch, bytes: usize, give_up: impl Fn() -> bool) -> bool {
        let mut state = self.lock();
        while !state.abandoned && !state.waiting.is_empty() && state.bytes + bytes > self.budget {
            if give_up() {
                return false;
            }
            state = self.room.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.abandoned {
            return false;
        }
        state.bytes += bytes;
        state.waiting.push_back((batch, bytes));
        drop(state);
        self.filled.notify_one();
        true
    }

    /// Tells a failure behind the batches that wait, and goes on.
    pub(super) fn trouble(&self, error: BrokerError) {
        self.lock().trouble = Some(error);
        self.filled.notify_one();
    }

    /// Nothing more comes from one of its writers.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.writers = state.writers.saturating_sub(1);
        drop(state);
        self.filled.notify_one();
    }

    /// Nothing more is taken.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        state.waiting.clear();
        drop(state);
        self.room.notify_all();
    }

    /// Whether nothing more is taken.
    pub(super) fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// The next batch; `None` at the end.
    pub(super) async fn next(&self) -> Result<Option<Batch>, BrokerError> {
        loop {
            {
                let mut state = self.lock();
                if let Some((batch, bytes)) = state.waiting.pop_front() {
                    state.bytes -= bytes;
                    self.room.notify_all();
                    return Ok(Some(batch));
                }
                if let Some(error) = state.trouble.take() {
                    return Err(error);
                }
                if state.writers == 0 {
                    return Ok(None);
                }
            }
            // A notification that came before this is kept.
            self.filled.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::broker::{ErrorKind, Shard};

    fn batch(at: i64) -> Batch {
        Batch { positions: vec![(Shard::new("t", 0), at)], ..Batch::default() }
    }

    #[tokio::test]
    async fn batches_come_in_order_then_the_failure_then_the_end() {
        let pipe = Pipe::new(10, 1);
        assert!(pipe.push(batch(1), 100, || true), "one batch alone always has room");
        assert!(!pipe.push(batch(2), 1, || true));
        pipe.trouble(BrokerError::new(ErrorKind::Unreachable, "read", "gone"));
        pipe.end();
        assert_eq!(pipe.next().await.unwrap().unwrap().positions[0].1, 1);
        assert_eq!(pipe.next().await.unwrap_err().kind, ErrorKind::Unreachable);
        assert!(pipe.next().await.unwrap().is_none());
        assert!(pipe.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_full_pipe_stops_the_reading_until_there_is_room() {
        let pipe = Arc::new(Pipe::new(10, 1));
        let writer = Arc::clone(&pipe);
        let thread = std::thread::spawn(move || {
            for at in 0..100 {
                assert!(writer.push(batch(at), 6, || false));
                assert!(writer.lock().bytes <= 10);
            }
            writer.end();
        });
        let mut seen = 0;
        while pipe.next().await.unwrap().is_some() {
            seen += 1;
        }
        assert_eq!(seen, 100);
        thread.join().unwrap();
    }

    #[test]
    fn a_reader_that_went_away_ends_the_writing() {
        let pipe = Pipe::new(1, 1);
        assert!(pipe.push(batch(1), 5, || false));
        pipe.abandon();
        assert!(!pipe.push(batch(2), 5, || false));
    }
}
