//! What an operator says to a run while it goes on: pause, another rate, go on after the canary.

use std::sync::Arc;

use tokio::sync::watch;

/// What is wished at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Write nothing until this is taken back.
    pub paused: bool,
    /// The limit of records a second instead of the plan's, where there is one; `Some(None)` is no limit.
    pub rate: Option<Option<u32>>,
    /// The word after the canary: the rest, or nothing more.
    pub go_on: Option<bool>,
}

/// Speaks to a run. Clones speak to the same one.
#[derive(Clone, Debug, Default)]
pub struct Control(Arc<watch::Sender<Wishes>>);

impl Control {
    /// Pauses the run, or lets it go on.
    pub fn pause(&self, paused: bool) {
        self.0.send_modify(|w| w.paused = paused);
    }

    /// Limits the rate to so many records a second from now on.
    pub fn limit(&self, rate: Option<u32>) {
        self.0.send_modify(|w| w.rate = Some(rate));
    }

    /// Sends the rest after the canary, or stops there.
    pub fn after_canary(&self, go_on: bool) {
        self.0.send_modify(|w| w.go_on = Some(go_on));
    }

    /// The wishes as they are, and as they change.
    pub(super) fn follow(&self) -> watch::Receiver<Wishes> {
        self.0.subscribe()
    }
}
