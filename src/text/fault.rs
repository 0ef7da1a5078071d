//! The three lines of an error: what failed, why, and what to do.
//!
//! Every failure that an operator can meet ends here, so that the command line, its JSON and the
//! console say the same words. The exit code is a property of the kind and of nothing else.

use std::fmt;

/// What sort of failure it is; it alone decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The work failed (exit code 1).
    Failed,
    /// Wrong usage or configuration (exit code 2).
    Usage,
    /// A safety rule refused; nothing was written (exit code 4).
    Refused,
    /// Cancelled by the operator; the state is safe (exit code 130).
    Cancelled,
}

/// A failure told to the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What sort of failure it is.
    pub kind: FaultKind,
    /// A stable word for scripts, for example `unknown_topic` or the name of a refusing rule.
    pub code: &'static str,
    /// What failed, with its name and place.
    pub what: String,
    /// Why it failed; empty where nothing more is known.
    pub why: String,
    /// What to do about it; empty where there is nothing to do.
    pub hint: String,
}

impl Fault {
    /// Makes a failure of the work itself.
    pub fn failed(code: &'static str, what: impl Into<String>) -> Self {
        Self::new(FaultKind::Failed, code, what)
    }

    /// Makes a failure of usage or configuration.
    pub fn usage(code: &'static str, what: impl Into<String>) -> Self {
        Self::new(FaultKind::Usage, code, what)
    }

    /// Makes a refusal by the safety rule `code`.
    pub fn refused(code: &'static str, what: impl Into<String>) -> Self {
        Self::new(FaultKind::Refused, code, what)
    }

    /// Makes the answer of a work that the operator cancelled.
    pub fn cancelled() -> Self {
        Self::new(FaultKind::Cancelled, "cancelled", "cancelled")
    }

    fn new(kind: FaultKind, code: &'static str, what: impl Into<String>) -> Self {
        Self { kind, code, what: what.into(), why: String::new(), hint: String::new() }
    }

    /// Adds why it failed.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The process's exit code for this failure.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            FaultKind::Failed => 1,
            FaultKind::Usage => 2,
            FaultKind::Refused => 4,
            FaultKind::Cancelled => 130,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if !self.why.is_empty() {
            write!(f, ": {}", self.why)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
