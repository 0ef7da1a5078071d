//! The desk that answers requests and shows the cluster, shared by the command line and the console.

use std::sync::{Arc, OnceLock};

use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::pictures::{self, Exposure};
use super::{Answer, Event, Request};
use crate::config::keep::{self, Decision, Kept};
use crate::context::Cx;
use crate::dlq::groups::DlqRow;
use crate::letters::Index;
pub use crate::observe::Interest;
use crate::observe::snapshot::Snapshot;
use crate::offsets;
use crate::records;
use crate::redrive;
use crate::text::Fault;

/// Answers requests on one broker.
pub struct Desk {
    cx: Cx,
    index: Arc<Index>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    interest: watch::Sender<Interest>,
    refresh: Arc<Notify>,
    /// Ends the sampling with the desk; set once it has begun.
    sampling: OnceLock<DropGuard>,
}

impl Desk {
    /// Opens a desk; nothing is asked of the broker yet.
    pub fn new(cx: Cx) -> Self {
        let index = Arc::new(Index::new(cx.clone()));
        let snapshots = watch::Sender::new(Arc::new(Snapshot::empty(cx.clock.now())));
        Self {
            cx,
            index,
            snapshots,
            interest: watch::Sender::default(),
            refresh: Arc::default(),
            sampling: OnceLock::new(),
        }
    }

    /// The context that it answers in.
    pub fn cx(&self) -> &Cx {
        &self.cx
    }

    /// The pictures of the cluster. The first call starts the sampling (it needs a runtime); it ends with the desk.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.sampling.get_or_init(|| {
            let ends = CancellationToken::new();
            let interest = self.interest.subscribe();
            pictures::follow(&self.index, self.snapshots.clone(), interest, Arc::clone(&self.refresh), &ends);
            ends.drop_guard()
        });
        self.snapshots.subscribe()
    }

    /// Says what is on the screen.
    pub fn look(&self, interest: Interest) {
        self.interest.send_if_modified(|shown| {
            let another = *shown != interest;
            *shown = interest;
            another
        });
    }

    /// Samples now.
    pub fn refresh(&self) {
        self.refresh.notify_one();
    }

    /// Takes one picture; nothing goes on afterwards.
    pub async fn picture(
        &self,
        exposure: &Exposure,
        tell: &(dyn Fn(Event) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<Snapshot, Fault> {
        pictures::take(&self.index, exposure, tell, cancel).await
    }

    /// Finds and reads all dead-letter topics; gives their rows, and why the state of letters is not known, where it
    /// is not.
    pub async fn dead_letters(
        &self,
        tell: &(dyn Fn(Event) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<(Arc<[DlqRow]>, Option<Fault>), Fault> {
        self.index.refresh(None, &super::EventSink(tell), cancel).await?;
        Ok((self.index.rows(), self.index.ledger_fault()))
    }

    /// Topics that could hold dead letters, and were not looked into yet.
    pub fn unseen(&self) -> usize {
        self.index.unseen()
    }

    async fn decide(&self, topic: Arc<str>, decision: Decision) -> Result<Kept, Fault> {
        let there = self.cx.broker.catalog().topics(Some(std::slice::from_ref(&topic))).await?;
        if there.is_empty() {
            return Err(self.cx.unknown_topic(&topic).await);
        }
        let (profile, name) = (Arc::clone(&self.cx.profile), Arc::clone(&topic));
        let kept = tokio::task::spawn_blocking(move || keep::keep(&profile, &name, decision)).await;
        let kept = kept.map_err(|_| Fault::failed("internal", "the profile could not be changed"))??;
        self.index.decide(topic, decision == Decision::Adopted);
        self.refresh();
        Ok(kept)
    }

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
            Request::Tail(request) => {
                Ok(Answer::Tail(Arc::new(records::tail(&self.cx, &request, &sink, &cancel).await?)))
            }
            Request::Estimate(request) => {
                Ok(Answer::Estimate(Arc::new(records::estimate(&self.cx, &request, &cancel).await?)))
            }
            Request::Get(request) => {
                Ok(Answer::Get(Arc::new(records::get(&self.cx, &request, &cancel).await?)))
            }
            Request::Decode(record, base64) => {
                Ok(Answer::Decoded(Arc::new(records::decode(&self.cx, record, base64).await?)))
            }
            Request::Plan(request) => {
                Ok(Answer::Plan(Arc::new(redrive::make_plan(&self.index, &request, &sink, &cancel).await?)))
            }
            Request::Run(request) => {
                let tell = |run| tell(Event::Run(Box::new(run)));
                Ok(Answer::Run(Arc::new(redrive::run(&self.index, &request, &tell, &sink, &cancel).await?)))
            }
            Request::Decide(topic, decision) => {
                Ok(Answer::Decided(Arc::new(self.decide(topic, decision).await?)))
            }
            Request::Disposal(request) => {
                let preview = redrive::preview_disposal(&self.index, &request, &sink, &cancel).await?;
                Ok(Answer::Disposal(Arc::new(preview)))
            }
            Request::Dispose(request) => {
                let done = redrive::dispose(&self.index, &request, &sink, &cancel).await?;
                Ok(Answer::Disposal(Arc::new(done)))
            }
            Request::Purge(request) => {
                Ok(Answer::Purge(Arc::new(redrive::purge(&self.index, &request, &sink, &cancel).await?)))
            }
            Request::Export(request) => Ok(Answer::Export(Arc::new(
                super::export::export(&self.index, &request, &sink, &cancel).await?,
            ))),
            Request::Import(request) => Ok(Answer::Import(Arc::new(
                redrive::import::import(&self.cx, &request, &sink, &cancel).await?,
            ))),
            Request::Produce(request) => Ok(Answer::Produce(Arc::new(
                redrive::produce::produce(&self.cx, &request, &sink, &cancel).await?,
            ))),
            Request::Copy(request) => {
                Ok(Answer::Copy(Arc::new(super::copy::copy(&self.cx, &request, &sink, &cancel).await?)))
            }
            Request::Lineage(letter) => {
                Ok(Answer::Lineage(Arc::new(self.index.lineage(&letter, &sink, &cancel).await?)))
            }
            Request::Runs => Ok(Answer::Runs(Arc::new(redrive::runs(&self.index, &sink, &cancel).await?))),
            Request::Offsets(request) => {
                Ok(Answer::Offsets(Arc::new(offsets::plan(&self.cx, &request, &sink, &cancel).await?)))
            }
            Request::MoveOffsets(run) => {
                Ok(Answer::MoveOffsets(Arc::new(offsets::apply(&self.cx, &run, &sink, &cancel).await?)))
            }
        }
    }
}
