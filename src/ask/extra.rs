//! Commands that the composition root adds to the console's palette: the console does not know what they do.

use crate::text::Fault;

/// One added command, as the palette lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraCommand {
    /// The words that name it, arguments included, for example `service restart mailer`.
    pub line: String,
    /// One sentence for the eye.
    pub help: String,
}

/// Added commands.
pub trait Extra: Send + Sync {
    /// All of them, as they are possible now.
    fn commands(&self) -> Vec<ExtraCommand>;
    /// Does one; must not block. The answer is one sentence for the operator.
    fn run(&self, line: &str) -> Result<String, Fault>;
}
