//! Request → Answer: the one door to every feature.
//!
//! The command line prints an [`Answer`], the console draws the same one; so all that the console shows
//! is also a command. Overview, topics, groups and dead-letter topics are pictures of the sampler
//! ([`crate::observe`]); everything else is a request.

pub mod copy;
pub mod desk;
pub mod export;
pub mod extra;
mod pictures;

use std::sync::Arc;

pub use copy::{CopyAnswer, CopyRequest};
pub use desk::{Desk, Interest};
pub use export::{ExportAnswer, ExportRequest};
pub use extra::{Extra, ExtraCommand};
pub use pictures::Exposure;

use crate::config::keep::{Decision, Kept};
use crate::context::{Progress, Sink};
use crate::dlq::Letter;
use crate::event::Record;
use crate::event::decode::Base64;
use crate::letters::document::{FailuresAnswer, FailuresRequest, LettersAnswer, LettersRequest};
use crate::letters::lineage::Lineage;
use crate::offsets::document::{OffsetsAnswer, OffsetsPlan, OffsetsRequest, OffsetsRun};
use crate::records::document::{
    DecodedRecord, EstimateAnswer, GetAnswer, GetRequest, TailAnswer, TailRequest,
};
use crate::redrive::disposal::{DisposalAnswer, DisposalRequest, DisposeRequest};
use crate::redrive::document::{PlanAnswer, PlanRequest, RunAnswer, RunRequest, RunsAnswer};
use crate::redrive::import::{ImportAnswer, ImportRequest};
use crate::redrive::produce::{ProduceAnswer, ProduceRequest};
use crate::redrive::purge::{PurgeAnswer, PurgeRequest};

/// What can be asked.
#[derive(Clone, Debug)]
pub enum Request {
    /// Dead letters grouped by failure.
    Failures(FailuresRequest),
    /// Dead letters, decoded.
    Letters(LettersRequest),
    /// Records of topics; they go to the sink.
    Tail(TailRequest),
    /// How much a tail would read.
    Estimate(TailRequest),
    /// One record.
    Get(GetRequest),
    /// What the key and the value of a record are, and the base64 in them.
    Decode(Arc<Record>, Base64),
    /// A redrive plan with its preflight; writes nothing to the broker.
    Plan(PlanRequest),
    /// Executes a plan.
    Run(RunRequest),
    /// What discarding, parking or releasing letters would do; writes nothing.
    Disposal(DisposalRequest),
    /// Discards, parks or releases letters.
    Dispose(DisposeRequest),
    /// What a purge of a dead-letter topic deletes, or the purge itself.
    Purge(PurgeRequest),
    /// Records or letters into a file.
    Export(ExportRequest),
    /// The records of a file into a topic.
    Import(ImportRequest),
    /// Records that an operator made into a topic.
    Produce(ProduceRequest),
    /// Records of another topic into a topic.
    Copy(CopyRequest),
    /// The runs, from the audit.
    Runs,
    /// Where a letter comes from: its origin record, compared, and other letters of it.
    Lineage(Arc<Letter>),
    /// Keeps in the profile whether a topic is one of dead letters.
    Decide(Arc<str>, Decision),
    /// What moving or deleting a group's offsets would do; writes nothing to the broker.
    Offsets(OffsetsRequest),
    /// Does it.
    MoveOffsets(OffsetsRun),
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To [`Request::Failures`].
    Failures(Arc<FailuresAnswer>),
    /// To [`Request::Letters`].
    Letters(Arc<LettersAnswer>),
    /// To [`Request::Tail`].
    Tail(Arc<TailAnswer>),
    /// To [`Request::Estimate`].
    Estimate(Arc<EstimateAnswer>),
    /// To [`Request::Get`].
    Get(Arc<GetAnswer>),
    /// To [`Request::Decode`].
    Decoded(Arc<DecodedRecord>),
    /// To [`Request::Plan`].
    Plan(Arc<PlanAnswer>),
    /// To [`Request::Run`].
    Run(Arc<RunAnswer>),
    /// To [`Request::Disposal`] and [`Request::Dispose`].
    Disposal(Arc<DisposalAnswer>),
    /// To [`Request::Purge`].
    Purge(Arc<PurgeAnswer>),
    /// To [`Request::Export`].
    Export(Arc<ExportAnswer>),
    /// To [`Request::Import`].
    Import(Arc<ImportAnswer>),
    /// To [`Request::Produce`].
    Produce(Arc<ProduceAnswer>),
    /// To [`Request::Copy`].
    Copy(Arc<CopyAnswer>),
    /// To [`Request::Runs`].
    Runs(Arc<RunsAnswer>),
    /// To [`Request::Lineage`].
    Lineage(Arc<Lineage>),
    /// To [`Request::Decide`].
    Decided(Arc<Kept>),
    /// To [`Request::Offsets`].
    Offsets(Arc<OffsetsPlan>),
    /// To [`Request::MoveOffsets`].
    MoveOffsets(Arc<OffsetsAnswer>),
}

/// What a request tells before its answer.
#[derive(Clone, Debug)]
pub enum Event {
    /// How far it is; only the latest counts.
    Progress(Progress),
    /// Records of a tail, in order.
    Records(Vec<Record>),
    /// How far a run is; only the latest counts.
    Run(Box<RunAnswer>),
}

/// Takes events as a [`Sink`].
pub struct EventSink<'a>(pub &'a (dyn Fn(Event) + Send + Sync));

impl Sink for EventSink<'_> {
    fn progress(&self, progress: Progress) {
        (self.0)(Event::Progress(progress));
    }

    fn records(&self, records: Vec<Record>) {
        (self.0)(Event::Records(records));
    }
}
