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

/// The latest trouble.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<Option<BrokerError>>);

impl Health {
    fn lock(&self) -> MutexGuard<'_, Option<BrokerError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a client's error event, if it is about the connection.
    pub(super) fn tell(&self, code: Code, words: &str) {
        let error = errors::code("connect", code, words);
        let rank = |kind| match kind {
            ErrorKind::Unreachable => Some(1),
            ErrorKind::Tls | ErrorKind::Authentication => Some(2),
            _ => None,
        };
        let mut known = self.lock();
        // "All brokers are down" follows every refusal: it must not hide it. Nor does it say why, as the
        // failure of one broker does.
        let before = known.as_ref().and_then(|e| rank(e.kind)).unwrap_or(0);
        let vague = code == Code::AllBrokersDown && before > 0;
        if rank(error.kind).is_some_and(|now| now >= before) && !vague {
            *known = Some(error);
        }
    }

    /// Remembers a failure that is known in full.
    pub(super) fn trouble(&self, error: BrokerError) {
        *self.lock() = Some(error);
    }

    /// A broker answered.
    pub(super) fn well(&self) {
        *self.lock() = None;
    }

    /// The trouble that a call gives up for after it waited for `waited`.
    pub(super) fn gives_up(&self, waited: Duration) -> Option<BrokerError> {
        let known = self.lock();
        let error = known.as_ref()?;
        let grace = if error.kind == ErrorKind::Unreachable { UNREACHABLE } else { REFUSED };
        (waited >= grace).then(|| error.clone())
    }

    /// The trouble there is.
    pub(super) fn now(&self) -> Option<BrokerError> {
        self.lock().clone()
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
        let error = health.gives_up(REFUSED).unwrap();
        assert_eq!((error.kind, error.why.as_str()), (ErrorKind::Authentication, "invalid credentials"));
        assert_eq!(health.gives_up(Duration::ZERO), None);
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
        assert_eq!(health.gives_up(REFUSED), None);
        assert!(health.gives_up(UNREACHABLE).is_some());
    }

    #[test]
    fn what_is_not_about_the_connection_is_no_trouble() {
        let health = Health::default();
        health.tell(Code::GroupAuthorizationFailed, "not allowed");
        assert_eq!(health.now(), None);
    }
}
