//! The services that produce: orders, payments, inventory.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use super::Shared;
use super::event::{SOURCES, event, kind_of};
use crate::broker::{BrokerError, Name, SessionKind, Write};
use crate::event::Headers;

/// How often events are written.
const TICK: Duration = Duration::from_millis(50);

/// What was missed for longer than this (the machine slept, the broker was away) is not made up for.
const MOST_BEHIND: Duration = Duration::from_millis(500);

pub(super) async fn run(shared: Arc<Shared>) {
    shared.persist(|| produce(&shared)).await;
}

async fn produce(shared: &Shared) -> Result<(), BrokerError> {
    let options = &shared.options;
    let failing = (options.failures_percent.clamp(0.0, 100.0) * 100.0) as u64;
    let topics: Vec<(&str, Name)> = SOURCES.iter().map(|topic| (*topic, shared.name(topic))).collect();
    let mut session = shared.writer()?.begin(SessionKind::Idempotent).await?;
    let mut due = 0.0;
    let mut last = shared.clock.monotonic();
    while shared.open().await && shared.sleep(TICK).await {
        let now = shared.clock.monotonic();
        let passed = now.saturating_sub(last).min(MOST_BEHIND);
        last = now;
        due += passed.as_secs_f64() * f64::from(options.rate);
        let mut staged = 0;
        let mut written: Vec<&str> = Vec::new();
        while due >= 1.0 {
            due -= 1.0;
            let n = shared.produced.load(Ordering::Relaxed) + staged;
            let event = event(options.seed, n, failing, shared.clock.now());
            let topic =
                topics.iter().find(|(bare, _)| *bare == event.topic).map(|(_, name)| Arc::clone(name));
            let Some(topic) = topic else { continue };
            let mut headers = Headers::default();
            headers.push("correlation-id", Some(Bytes::from(event.correlation)));
            headers.push("content-type", Some(Bytes::from_static(b"application/json")));
            let key = Some(Bytes::from(event.key));
            let write =
                Write { topic, partition: None, key, value: Some(event.value), headers, timestamp: None };
            session.stage(write).await?;
            written.push(event.topic);
            staged += 1;
        }
        for (_, placed) in session.settle().await? {
            placed?;
        }
        let took = shared.clock.monotonic().saturating_sub(now);
        for topic in written {
            shared.metrics.published(kind_of(topic), &shared.name(topic), took);
        }
        shared.produced.fetch_add(staged, Ordering::Relaxed);
    }
    Ok(())
}
