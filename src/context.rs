//! What every feature is given: the ports, the clock, the profile, who acts, and where progress goes.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::broker::{Broker, ErrorKind};
use crate::config::nearest;
use crate::config::profile::Profile;
use crate::event::Record;
use crate::text::{Clock, Fault};

/// The context of a request. Cloning is cheap.
#[derive(Clone)]
pub struct Cx {
    /// The broker.
    pub broker: Arc<dyn Broker>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The profile in force.
    pub profile: Arc<Profile>,
    /// Who acts.
    pub operator: Arc<Operator>,
}

impl Cx {
    /// The fault of a topic that is not there, with the nearest name as a hint.
    pub async fn unknown_topic(&self, name: &str) -> Fault {
        let fault = Fault::failed(ErrorKind::UnknownTopic.code(), format!("there is no topic {name}"));
        let topics = self.broker.catalog().topics(None).await.unwrap_or_default();
        match nearest(name, topics.iter().map(|topic| &*topic.name)) {
            Some(near) => fault.hint(format!("did you mean {near}?")),
            None => fault.hint("`redrive topics list` shows all topics"),
        }
    }
}

/// Who acts: a self-declared name, and what the system knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operator {
    /// Self-declared (`--operator`, default `$USER@host`).
    pub name: String,
    /// The operating system's user.
    pub os_user: String,
    /// The host.
    pub host: String,
}

/// How far a long work is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, for example `reading payments-dlt`.
    pub what: String,
    /// Units done.
    pub done: u64,
    /// Units in all, where known.
    pub total: Option<u64>,
    /// Bytes read.
    pub bytes: u64,
    /// What it waits for, where it waits.
    pub waiting: Option<String>,
    /// Partitions that are done, and all of them, where it goes by partitions.
    pub partitions: Option<(u64, u64)>,
    /// How long it has gone on, where that is told.
    pub elapsed: Option<Duration>,
}

impl Progress {
    /// Units a second, and the time that is left at this pace, where that can be said.
    pub fn pace(&self) -> Option<(f64, Option<Duration>)> {
        let seconds = self.elapsed?.as_secs_f64();
        if seconds < 0.5 || self.done == 0 {
            return None;
        }
        let rate = self.done as f64 / seconds;
        let left = self.total.and_then(|total| total.checked_sub(self.done));
        Some((rate, left.and_then(|left| Duration::try_from_secs_f64(left as f64 / rate).ok())))
    }
}

/// Takes what a request tells before its answer. Called from the request's task; must not block for long.
pub trait Sink: Send + Sync {
    /// Progress; only the latest counts.
    fn progress(&self, progress: Progress);
    /// Records found by a tail, in order; never dropped by the caller.
    fn records(&self, records: Vec<Record>);
}

/// Takes nothing.
pub struct Silent;

impl Sink for Silent {
    fn progress(&self, _: Progress) {}
    fn records(&self, _: Vec<Record>) {}
}
