//! What the clients of one connection last heard of the brokers, so that a call that waits can say why.
//!
//! librdkafka tries for ever and tells each failure as an event of its own. The latest one is kept until a call
//! is answered again; a call that still waits after a time of grace gives up with it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;

use super::errors;
use crate::broker::{BrokerError, ErrorKind};

/// How long a call goes on although a failure is known: another node, or the next attempt, may be better.
const REFUSED: Duration = Duration::from_millis(600);
const UNREACHABLE: Duration = Duration::from_millis(2_500);

/// The same for a failure from before the call: the connection may be back, and the call only long.
const OLD: Duration = Duration::from_secs(6);

/// The latest trouble.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    trouble: Option<BrokerError>,
    /// How many troubles were told in all.
    count: u64,
}

impl Known {
    fn set(&mut self, error: BrokerError) {
        self.trouble = Some(error);
        self.count += 1;
    }
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a client's error event, if it is about the connection.
    pub(super) fn tell(&self, code: Code, words: &str) {
        let mut error = errors::code("connect", code, words);
        // The other side ended the handshake, or refused our certificate after it (TLS 1.3): the client calls
        // both a lost connection.
        let handshake = words.contains("SSL handshake failed") || words.contains("ssl/tls alert");
        if error.kind == ErrorKind::Unreachable && handshake {
            error = errors::code("connect", Code::SSL, words);
        }
        let rank = |kind| match kind {
            ErrorKind::Unreachable => Some(1),
            ErrorKind::Tls | ErrorKind::Authentication => Some(2),
            _ => None,
        };
        let mut known = self.lock();
        // "All brokers are down" follows every refusal: it must not hide it. Nor does it say why, as the
        // failure of one broker does.
        let before = known.trouble.as_ref().and_then(|e| rank(e.kind)).unwrap_or(0);
        let vague = code == Code::AllBrokersDown && before > 0;
        if rank(error.kind).is_some_and(|now| now >= before) && !vague {
            known.set(error);
        } else if before > 0 {
            known.count += 1;
        }
    }

    /// Remembers a failure that is known in full.
    pub(super) fn trouble(&self, error: BrokerError) {
        self.lock().set(error);
    }

    /// A broker answered.
    pub(super) fn well(&self) {
        self.lock().trouble = None;
    }

    /// A mark for [`Self::gives_up`], made when a call begins.
    pub(super) fn mark(&self) -> u64 {
        self.lock().count
    }

    /// The trouble that a call gives up for after it waited for `waited` since its mark.
    pub(super) fn gives_up(&self, mark: u64, waited: Duration) -> Option<BrokerError> {
        let known = self.lock();
        let error = known.trouble.as_ref()?;
        let grace = match error.kind {
            ErrorKind::Unreachable if known.count == mark => OLD,
            ErrorKind::Unreachable => UNREACHABLE,
            _ => REFUSED,
        };
        (waited >= grace).then(|| error.clone())
    }

    /// The trouble there is.
    pub(super) fn now(&self) -> Option<BrokerError> {
        self.lock().trouble.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_not_hidden_by_what_follows_from_it() {
        let health = Health::default();
        health.tell(Code::SaslAuthenticationFailed, "invalid credentials");
        health.tell(Code::AllBrokersDown, "1/1 brokers are down");
        health.tell(Code::BrokerTransportFailure, "connection refused");
        let error = health.gives_up(0, REFUSED).unwrap();
        assert_eq!((error.kind, error.why.as_str()), (ErrorKind::Authentication, "invalid credentials"));
        assert_eq!(health.gives_up(0, Duration::ZERO), None);
        health.well();
        assert_eq!(health.now(), None);
    }

    #[test]
    fn the_reason_of_one_broker_says_more_than_that_all_are_down() {
        let health = Health::default();
        health.tell(Code::AllBrokersDown, "1/1 brokers are down");
        health.tell(Code::BrokerTransportFailure, "connection refused");
        health.tell(Code::AllBrokersDown, "1/1 brokers are down");
        assert_eq!(health.now().unwrap().why, "connection refused");
        assert_eq!(health.gives_up(0, REFUSED), None);
        assert!(health.gives_up(0, UNREACHABLE).is_some());
        // A call that began later waits longer for what it did not hear itself.
        assert_eq!(health.gives_up(health.mark(), UNREACHABLE), None);
        assert!(health.gives_up(health.mark(), OLD).is_some());
    }

    #[test]
    fn a_handshake_that_the_other_side_ended_is_about_tls() {
        let health = Health::default();
        health.tell(Code::BrokerTransportFailure, "SSL handshake failed: Disconnected: closed by peer");
        assert_eq!(health.now().unwrap().kind, ErrorKind::Tls);
        let health = Health::default();
        health.tell(Code::BrokerTransportFailure, "Receive failed: ssl/tls alert bad certificate");
        assert_eq!(health.now().unwrap().kind, ErrorKind::Tls);
    }

    #[test]
    fn what_is_not_about_the_connection_is_no_trouble() {
        let health = Health::default();
        health.tell(Code::GroupAuthorizationFailed, "not allowed");
        assert_eq!(health.now(), None);
    }
}
