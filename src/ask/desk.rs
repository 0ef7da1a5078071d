//! The desk that answers requests, shared by the command line and the console.

use tokio_util::sync::CancellationToken;

use super::{Answer, Event, Request};
use crate::context::Cx;
use crate::text::Fault;

/// Answers requests on one broker.
pub struct Desk {
    cx: Cx,
}

impl Desk {
    /// Opens a desk.
    pub fn new(cx: Cx) -> Self {
        Self { cx }
    }

    /// The context that it answers in.
    pub fn cx(&self) -> &Cx {
        &self.cx
    }

    /// Answers one request. `tell` is called from the answering task and must not block for long.
    pub async fn answer(
        &self,
        request: Request,
        tell: &(dyn Fn(Event) + Send + Sync),
        cancel: CancellationToken,
    ) -> Result<Answer, Fault> {
        let _ = (request, tell, cancel);
        Err(Fault::failed("unwired", "this request is not wired yet"))
    }
}
