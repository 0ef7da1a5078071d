//! The Kafka adapter: the port on librdkafka.
//!
//! | file | what it does |
//! |---|---|
//! | `settings`, `client`, `oauth`, `health` | from a profile to clients, and what they heard of the brokers |
//! | `traffic` | what looking costs the brokers |
//! | `ffi`, `request` | what rust-rdkafka has no safe form of, and its plain values |
//! | `catalog`, `listing`, `groups` | looking |
//! | `reader`, `read_loop`, `pipe`, `copy` | reading without being seen |
//! | `writer`, `session`, `membership` | what changes the cluster |
//! | `reaper`, `errors` | dropping handles, telling failures |

mod catalog;
mod client;
mod copy;
mod errors;
mod ffi;
mod groups;
mod health;
mod listing;
mod membership;
mod oauth;
mod pipe;
mod read_loop;
mod reader;
mod reaper;
mod request;
mod session;
mod settings;
mod traffic;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use crate::broker::{
    Broker, BrokerError, Capabilities, Catalog, ErrorKind, Fut, Groups, Guarantee, PeekEffect, Reader,
    Support, Writer,
};
use crate::config::profile::Profile;
use crate::text::Clock;
use client::Link;
pub use ffi::leave;
use groups::Hidden;
use listing::Listing;
use request::Ask;

/// The ports of one connection.
#[derive(Clone)]
struct Ports {
    link: Arc<Link>,
    hidden: Arc<Hidden>,
    listing: Arc<Listing>,
}

struct Kafka {
    ports: Ports,
    capabilities: Capabilities,
}

/// Connects to the cluster of a profile. A wrong password, a certificate that does not fit and a broker that
/// cannot be reached are told as such, at the latest after the profile's time-out.
pub async fn connect(profile: &Profile, clock: Arc<dyn Clock>) -> Result<Arc<dyn Broker>, BrokerError> {
    let what = format!("connect to {}", profile.connection.brokers.join(","));
    let named = |error: BrokerError| client::named(&what, error);
    let making = {
        let profile = profile.clone();
        tokio::task::spawn_blocking(move || Link::new(&profile, clock))
    };
    let link = making
        .await
        .map_err(|error| BrokerError::new(ErrorKind::Other, what.as_str(), error.to_string()))?
        .map_err(named)?;
    let timeout = profile.connection.timeout;
    let contact = tokio::time::timeout(timeout, link.ask(&what, vec![Ask::Cluster], timeout)).await;
    let answer = match contact {
        Ok(answers) => answers?.pop().unwrap_or_else(|| Err(request::Refusal::no_answer())),
        Err(_) => Err(request::Refusal::no_answer()),
    };
    if let Err(refusal) = answer {
        return Err(match link.health.now() {
            Some(trouble) => named(trouble),
            None => silent(&what, profile, refusal),
        });
    }
    let write = !profile.read_only;
    Ok(Arc::new(Kafka {
        ports: Ports { link: Arc::new(link), hidden: Arc::default(), listing: Arc::default() },
        capabilities: Capabilities {
            kind: "kafka",
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
    }))
}

/// Nobody answered, and nobody refused.
fn silent(what: &str, profile: &Profile, refusal: request::Refusal) -> BrokerError {
    let error = errors::refused(what, refusal);
    if error.kind != ErrorKind::TimedOut {
        return error;
    }
    let why = format!("no broker answered within {} s", profile.connection.timeout.as_secs_f32());
    BrokerError::new(ErrorKind::Unreachable, what, why)
        .retryable()
        .hint("check `brokers` of the profile, and that `security.protocol` is the listener's")
}

impl Broker for Kafka {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn catalog(&self) -> &dyn Catalog {
        &self.ports
    }

    fn reader(&self) -> &dyn Reader {
        &self.ports
    }

    fn groups(&self) -> Option<&dyn Groups> {
        Some(&self.ports)
    }

    fn writer(&self) -> Option<&dyn Writer> {
        self.capabilities.guarantee.map(|_| &self.ports as &dyn Writer)
    }

    fn requests_per_minute(&self) -> Option<f64> {
        self.ports.link.traffic.per_minute()
    }

    fn close(&self, deadline: Duration) -> Fut<'_, ()> {
        self.ports.link.close();
        Box::pin(async move {
            let waited = tokio::task::spawn_blocking(move || reaper::wait(deadline)).await;
            if let Ok(left @ 1..) = waited {
                tracing::warn!(left, "handles of the client library are still open");
            }
            Ok(())
        })
    }
}
