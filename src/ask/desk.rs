//! The desk that answers requests and shows the cluster, shared by the command line and the console.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Answer, Event, Request};
use crate::broker::Name;
use crate::context::Cx;
use crate::letters::Index;
use crate::observe::snapshot::Snapshot;
use crate::text::Fault;

/// What is on the screen: sampled first and more often than the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Topics whose configuration and partitions are shown.
    pub topics: Vec<Name>,
    /// Groups whose members are shown.
    pub groups: Vec<Name>,
    /// Nobody looks (the terminal lost the focus): sample at the background interval.
    pub away: bool,
}

/// Answers requests on one broker.
pub struct Desk {
    cx: Cx,
    index: Arc<Index>,
    snapshots: watch::Sender<Arc<Snapshot>>,
}

impl Desk {
    /// Opens a desk; nothing is asked of the broker yet.
    pub fn new(cx: Cx) -> Self {
        let index = Arc::new(Index::new(cx.clone()));
        let snapshots = watch::Sender::new(Arc::new(Snapshot::empty(cx.clock.now())));
        Self { cx, index, snapshots }
    }

    /// The context that it answers in.
    pub fn cx(&self) -> &Cx {
        &self.cx
    }

    /// The pictures of the cluster. The first call starts the sampling (it needs a runtime); it ends with the desk.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }

    /// Says what is on the screen.
    pub fn look(&self, interest: Interest) {
        let _ = interest;
    }

    /// Samples now.
    pub fn refresh(&self) {}

    /// Answers one request. `tell` is called from the answering task and must not block for long.
    pub async fn answer(
        &self,
        request: Request,
        tell: &(dyn Fn(Event) + Send + Sync),
        cancel: CancellationToken,
    ) -> Result<Answer, Fault> {
        let sink = super::EventSink(tell);
        match request {
            Request::Failures(request) => {
                Ok(Answer::Failures(Arc::new(self.index.failures(&request, &sink, &cancel).await?)))
            }
            Request::Letters(request) => {
                Ok(Answer::Letters(Arc::new(self.index.letters(&request, &sink, &cancel).await?)))
            }
            _ => Err(Fault::failed("unwired", "this request is not wired yet")),
        }
    }
}
