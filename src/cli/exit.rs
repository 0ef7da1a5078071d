//! How a command ends, as the exit code that scripts rely on.

use crate::text::Fault;

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// All is done (0).
    All,
    /// Something failed, and the output says what (1).
    Failed,
    /// Found what `--fail-on` asked for (3).
    Found,
    /// A safety rule refused; nothing was written (4).
    Refused,
    /// Done in part; the output says which records were not (5).
    Part,
    /// Interrupted; the state is safe (130).
    Interrupted,
}

impl Done {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::All => 0,
            Self::Failed => 1,
            Self::Found => 3,
            Self::Refused => 4,
            Self::Part => 5,
            Self::Interrupted => 130,
        }
    }
}

/// Why a command stopped before its end.
#[derive(Debug)]
pub enum Stop {
    /// It failed.
    Fault(Fault),
    /// Whoever read the output is gone (`| head`): that is no failure.
    ClosedPipe,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<std::io::Error> for Stop {
    /// An error of writing to stdout.
    fn from(e: std::io::Error) -> Self {
        if e.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::ClosedPipe;
        }
        Self::Fault(Fault::failed("output", "cannot write to stdout").why(e.to_string()))
    }
}

impl From<serde_json::Error> for Stop {
    /// An error of writing JSON to stdout.
    fn from(e: serde_json::Error) -> Self {
        if e.io_error_kind() == Some(std::io::ErrorKind::BrokenPipe) {
            return Self::ClosedPipe;
        }
        Self::Fault(Fault::failed("output", "cannot write JSON to stdout").why(e.to_string()))
    }
}

/// What a command returns.
pub type Ended = Result<Done, Stop>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_failure_whoever_meets_it() {
        let broken = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(matches!(Stop::from(broken()), Stop::ClosedPipe));
        assert!(matches!(Stop::from(serde_json::Error::io(broken())), Stop::ClosedPipe));
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert!(matches!(Stop::from(full), Stop::Fault(f) if f.exit_code() == 1));
    }
}
