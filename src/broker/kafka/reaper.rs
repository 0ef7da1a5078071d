//! Drops librdkafka's handles away from the caller: destroying one waits for its threads, and a consumer also
//! for its coordinator.
//!
//! Each handle has a thread of its own, so that one that hangs does not hold up the others.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Handles that are being dropped.
static PENDING: Mutex<usize> = Mutex::new(0);
static FEWER: Condvar = Condvar::new();

/// A value that is dropped on a thread of its own.
pub(super) struct Reaped<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Reaped<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// The value, to be dropped by the caller.
    pub(super) fn into_inner(mut self) -> Option<T> {
        self.0.take()
    }
}

impl<T: Send + 'static> std::ops::Deref for Reaped<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("the value is taken in drop alone")
    }
}

impl<T: Send + 'static> Drop for Reaped<T> {
    fn drop(&mut self) {
        let Some(value) = self.0.take() else { return };
        *PENDING.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        let reap = move || {
            drop(value);
            *PENDING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
            FEWER.notify_all();
        };
        if let Err(error) = std::thread::Builder::new().name("reaper".to_owned()).spawn(reap) {
            // The value was dropped with the closure, here.
            *PENDING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
            tracing::warn!(%error, "a handle was dropped by its caller: no thread");
        }
    }
}

/// Waits until all handles are gone, at most `deadline`; how many are left.
pub(super) fn wait(deadline: Duration) -> usize {
    let pending = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
    let (pending, _) = FEWER
        .wait_timeout_while(pending, deadline, |pending| *pending > 0)
        .unwrap_or_else(PoisonError::into_inner);
    *pending
}
