//! What a broker refused: what, where, whether trying again can help, and what to do.

use std::fmt;

use crate::text::{Fault, FaultKind};

/// The sort of an error, the same for all brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The topic does not exist.
    UnknownTopic,
    /// The partition does not exist.
    UnknownPartition,
    /// The group does not exist.
    UnknownGroup,
    /// The offset is outside the log.
    OffsetOutOfRange,
    /// It exists already.
    AlreadyExists,
    /// The name, size, time or another argument is not valid.
    Invalid,
    /// The record is larger than allowed.
    TooLarge,
    /// Name and password (or certificate, or token) were not accepted.
    Authentication,
    /// The user may not do this.
    Authorisation,
    /// A TLS connection could not be made.
    Tls,
    /// No broker answers.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// Another writer with the same id took over.
    Fenced,
    /// The group has members.
    GroupActive,
    /// The broker cannot do this.
    Unsupported,
    /// The program's own bound was reached (for example the embedded broker's memory).
    Full,
    /// Cancelled by the caller.
    Cancelled,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// The stable word for scripts.
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownTopic => "unknown_topic",
            Self::UnknownPartition => "unknown_partition",
            Self::UnknownGroup => "unknown_group",
            Self::OffsetOutOfRange => "offset_out_of_range",
            Self::AlreadyExists => "already_exists",
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
            Self::Authentication => "authentication",
            Self::Authorisation => "acl",
            Self::Tls => "tls",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Fenced => "fenced",
            Self::GroupActive => "group_active",
            Self::Unsupported => "unsupported",
            Self::Full => "full",
            Self::Cancelled => "cancelled",
            Self::Other => "broker_error",
        }
    }
}

/// A broker's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerError {
    /// Its sort.
    pub kind: ErrorKind,
    /// What was tried, for example `read orders[3]`.
    pub what: String,
    /// The broker's or the client's own words.
    pub why: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// What the operator can do; empty where nothing is known.
    pub hint: String,
}

impl BrokerError {
    /// Makes an error that trying again does not mend.
    pub fn new(kind: ErrorKind, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { kind, what: what.into(), why: why.into(), retryable: false, hint: String::new() }
    }

    /// Makes the answer of a cancelled call.
    pub fn cancelled(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Cancelled, what, "cancelled")
    }

    /// Says that trying again may help.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl std::error::Error for BrokerError {}

impl From<BrokerError> for Fault {
    fn from(e: BrokerError) -> Self {
        let kind = if e.kind == ErrorKind::Cancelled { FaultKind::Cancelled } else { FaultKind::Failed };
        Self { kind, code: e.kind.code(), what: e.what, why: e.why, hint: e.hint }
    }
}
