//! From librdkafka's codes to the port's errors.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::request::Refusal;
use crate::broker::{BrokerError, ErrorKind};

/// The sort of an error, and whether the same call may succeed later.
fn sort(code: Code) -> (ErrorKind, bool) {
    use ErrorKind as Kind;
    match code {
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownTopicId => {
            (Kind::UnknownTopic, false)
        }
        Code::UnknownPartition => (Kind::UnknownPartition, false),
        Code::GroupIdNotFound => (Kind::UnknownGroup, false),
        Code::OffsetOutOfRange | Code::AutoOffsetReset | Code::NoOffset => (Kind::OffsetOutOfRange, false),
        Code::TopicAlreadyExists => (Kind::AlreadyExists, false),
        Code::InvalidArgument
        | Code::InvalidTopic
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidReplicaAssignment
        | Code::InvalidConfig
        | Code::InvalidRequest
        | Code::InvalidTimestamp
        | Code::InvalidGroupId
        | Code::InvalidRecord
        | Code::InvalidTransactionTimeout
        | Code::PolicyViolation => (Kind::Invalid, false),
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => (Kind::TooLarge, false),
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => (Kind::Authentication, false),
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::DelegationTokenAuthorizationFailed => (Kind::Authorisation, false),
        Code::SSL => (Kind::Tls, false),
        Code::BrokerTransportFailure | Code::AllBrokersDown | Code::Resolve | Code::NetworkException => {
            (Kind::Unreachable, true)
        }
        Code::OperationTimedOut | Code::MessageTimedOut | Code::TimedOutQueue | Code::RequestTimedOut => {
            (Kind::TimedOut, true)
        }
        Code::Fenced
        | Code::ProducerFenced
        | Code::InvalidProducerEpoch
        | Code::TransactionCoordinatorFenced
        | Code::InvalidProducerIdMapping => (Kind::Fenced, false),
        Code::NonEmptyGroup | Code::GroupSubscribedToTopic => (Kind::GroupActive, false),
        Code::UnsupportedFeature | Code::UnsupportedVersion | Code::NotImplemented => {
            (Kind::Unsupported, false)
        }
        Code::QueueFull => (Kind::Full, true),
        Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::BrokerNotAvailable
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::NotController
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::KafkaStorageError
        | Code::RebalanceInProgress
        | Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::FencedMemberEpoch
        | Code::StaleMemberEpoch
        | Code::ThrottlingQuotaExceeded => (Kind::Other, true),
        _ => (Kind::Other, false),
    }
}

fn hint(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::UnknownTopic => "topics are never created by using them",
        ErrorKind::Authentication => {
            "check the profile's `security`: mechanism, user name, password or token"
        }
        ErrorKind::Authorisation => "the user's rights (ACLs) on the cluster do not allow this",
        ErrorKind::Tls => {
            "check `security` of the profile: `ca`, `certificate`, and that `protocol` is the listener's"
        }
        ErrorKind::Unreachable => {
            "check `brokers` of the profile, and that `security.protocol` is the listener's"
        }
        ErrorKind::GroupActive => "stop its consumers first",
        ErrorKind::Fenced => "another program took over; its state decides what goes on",
        _ => "",
    }
}

/// The error of a call named `what`.
pub(super) fn refused(what: impl Into<String>, refusal: Refusal) -> BrokerError {
    let (kind, retryable) = sort(refusal.code);
    let error = BrokerError::new(kind, what, refusal.words).hint(hint(kind));
    if retryable { error.retryable() } else { error }
}

/// The error of a code of its own.
pub(super) fn code(what: impl Into<String>, code: Code, words: impl Into<String>) -> BrokerError {
    match Refusal::from_code(code, words.into()) {
        Some(refusal) => refused(what, refusal),
        None => BrokerError::new(ErrorKind::Other, what, "an error without a code"),
    }
}

/// An error of rust-rdkafka.
pub(super) fn kafka(what: impl Into<String>, error: &KafkaError) -> BrokerError {
    match error {
        KafkaError::ClientConfig(_, words, key, _) => {
            BrokerError::new(ErrorKind::Invalid, what, format!("{key}: {words}"))
                .hint("check `properties` of the profile")
        }
        KafkaError::ClientCreation(words) => creation(what, words),
        KafkaError::Transaction(error) => code(what, error.code(), error.string()),
        _ => match error.rdkafka_error_code() {
            Some(number) => code(what, number, String::new()),
            None => BrokerError::new(ErrorKind::Other, what, error.to_string()),
        },
    }
}

/// A client that could not be made: mostly files and mechanisms that do not fit.
fn creation(what: impl Into<String>, words: &str) -> BrokerError {
    if words.contains("sasl.mechanism") || words.contains("SASL mechanism") {
        return BrokerError::new(ErrorKind::Unsupported, what, words)
            .hint("PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER are built in");
    }
    if words.contains("ssl") || words.contains("SSL") || words.contains("certificate") {
        return BrokerError::new(ErrorKind::Tls, what, words)
            .hint("check the files of `security`: ca, certificate, key");
    }
    BrokerError::new(ErrorKind::Invalid, what, words).hint("check `properties` of the profile")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_its_sort_its_words_and_what_to_do() {
        let error = code("read orders[3]", Code::TopicAuthorizationFailed, "");
        assert_eq!((error.kind, error.retryable), (ErrorKind::Authorisation, false));
        assert!(error.to_string().starts_with("read orders[3]: "), "{error}");
        assert!(error.hint.contains("ACLs"));
        let error = code("list groups", Code::AllBrokersDown, "1/1 brokers are down");
        assert_eq!((error.kind, error.retryable), (ErrorKind::Unreachable, true));
        assert_eq!(error.why, "1/1 brokers are down");
    }

    #[test]
    fn a_producer_that_lost_its_epoch_is_fenced() {
        for number in [Code::Fenced, Code::ProducerFenced, Code::InvalidProducerEpoch] {
            assert_eq!(code("commit", number, "").kind, ErrorKind::Fenced);
        }
    }
}
