//! Copying records of a topic into a topic of any cluster, byte for byte, each once.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::broker::{Guarantee, Name, Shard};
use crate::context::{Cx, Progress, Sink};
use crate::event::{Digest, Record};
use crate::filter::Selection;
use crate::records::document::{TailRequest, Wanted};
use crate::records::{Survey, Walk, survey};
use crate::redrive::copy::{Again, Copying, Covered, Place, Receiver};
use crate::text::{Fault, FaultKind, Timestamp};

/// Records of a transaction; the last piece that was read may make it more.
const MOST_RECORDS: usize = 5_000;
/// Bytes of a transaction, likewise.
const MOST_BYTES: usize = 4 << 20;

/// What `copy` is asked. The desk is that of the target.
#[derive(Clone)]
pub struct CopyRequest {
    /// The cluster that is read.
    pub source: Cx,
    /// The topic that is read.
    pub topic: Name,
    /// Which of its records.
    pub selection: Selection,
    /// The target topic.
    pub into: Name,
    /// On which partitions.
    pub place: Place,
    /// Whether what was copied before is copied once more.
    pub again: Again,
    /// What the operator agreed to; `None` writes nothing.
    pub agreed: Option<CopyAgreed>,
}

impl std::fmt::Debug for CopyRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { topic, selection, into, place, again, agreed, .. } = self;
        let of = (topic, selection, into, place, again, agreed);
        f.debug_tuple("CopyRequest").field(&of).finish_non_exhaustive()
    }
}

/// What the operator agreed to.
#[derive(Clone, Debug)]
pub struct CopyAgreed {
    /// The ranges as they were shown.
    pub ranges: Vec<CopyRange>,
    /// Why; goes into the audit.
    pub reason: Option<String>,
}

/// A piece of the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CopyRange {
    /// Partition.
    pub partition: i32,
    /// First offset that is read.
    pub from: i64,
    /// The offset before which it ends.
    pub to: i64,
    /// Offsets of it that an earlier copy covered; they are left out.
    pub before: u64,
}

/// One side of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CopySide {
    /// Profile.
    pub profile: String,
    /// The cluster's id.
    pub cluster_id: Name,
    /// Topic.
    pub topic: Name,
}

/// What would be copied, or was.
#[derive(Clone, Debug, Serialize)]
pub struct CopyAnswer {
    /// Always `copy`.
    pub action: &'static str,
    /// Its id in the target's audit; `None` where nothing was begun.
    pub run: Option<String>,
    /// What is read.
    pub source: CopySide,
    /// What is written.
    pub into: CopySide,
    /// `read_committed` or `read_uncommitted`.
    pub isolation: &'static str,
    /// What is covered, partition by partition.
    pub ranges: Vec<CopyRange>,
    /// Offsets that are read: records at most.
    pub offsets: u64,
    /// Offsets that earlier copies covered.
    pub before: u64,
    /// Records read.
    pub read: u64,
    /// Records written.
    pub copied: u64,
    /// Bytes of keys, values and headers written.
    pub bytes: u64,
    /// The guarantee's word.
    pub guarantee: &'static str,
    /// Whether all of the ranges was read and written.
    pub complete: bool,
    /// Why not, where not.
    pub incomplete_reason: Option<String>,
    /// Records on which the condition failed with an error; they count as not meant.
    pub filter_errors: u64,
    /// What to think about.
    pub warnings: Vec<String>,
    /// Who.
    pub operator: String,
    /// Why.
    pub reason: Option<String>,
    /// When it was looked at, or began.
    pub started: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// `cancelled`, `fenced`, or an error's word; `None` when it went to its end.
    pub stopped: Option<&'static str>,
    /// Why it stopped.
    pub stopped_reason: Option<String>,
    /// Whether nothing was written because nobody agreed.
    pub dry_run: bool,
}

/// Answers [`CopyRequest`].
pub async fn copy(
    cx: &Cx,
    request: &CopyRequest,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<CopyAnswer, Fault> {
    let from = &request.source;
    let tail = TailRequest {
        topics: vec![Name::clone(&request.topic)],
        selection: request.selection.clone(),
        follow: false,
        wanted: Wanted::Whole,
        after: Vec::new(),
    };
    let mut survey = survey(from, &tail, cancel).await?;
    let (source, into) = (side(from, &request.topic).await?, side(cx, &request.into).await?);
    if source.cluster_id == into.cluster_id && source.topic == into.topic {
        return Err(Fault::refused("loop", format!("{} cannot be copied into itself", source.topic))
            .why("both profiles lead to the same cluster"));
    }
    let identity = identity(from, request, &source).await?;
    let receiver = Receiver::new(cx, &request.into, identity, request.place).await?;
    if let Some((shard, error)) = survey.failed().next() {
        let what = format!("{}[{}] cannot be read", shard.topic, shard.partition);
        return Err(Fault { what, ..Fault::from(error.clone()) });
    }
    // What was shown is copied, and nothing that came since.
    if let Some(agreed) = &request.agreed {
        survey.change(|shard, _, _| {
            let range = agreed.ranges.iter().find(|range| range.partition == shard.partition)?;
            Some((range.from, Some(range.to)))
        });
    }
    receiver.check(survey.ranges().map(|(shard, ..)| shard.partition).max())?;
    let began = cx.clock.monotonic();
    let mut answer = CopyAnswer {
        action: "copy",
        run: None,
        source,
        into,
        isolation: if request.selection.uncommitted { "read_uncommitted" } else { "read_committed" },
        ranges: Vec::new(),
        offsets: 0,
        before: 0,
        read: 0,
        copied: 0,
        bytes: 0,
        guarantee: Guarantee::ExactlyOnceReadCommitted.as_str(),
        complete: true,
        incomplete_reason: None,
        filter_errors: 0,
        warnings: survey.notes().map(str::to_owned).collect(),
        operator: cx.operator.name.clone(),
        reason: None,
        started: cx.clock.now(),
        seconds: 0.0,
        stopped: None,
        stopped_reason: None,
        dry_run: request.agreed.is_none(),
    };
    let Some(agreed) = &request.agreed else {
        let covered = match request.again {
            Again::No => receiver.covered(cancel).await?,
            Again::Yes => Covered::default(),
        };
        let meant: Vec<(Shard, i64)> = survey
            .ranges()
            .filter(|(_, from, to)| to.is_none_or(|to| to > *from))
            .map(|(shard, from, _)| (shard.clone(), from))
            .collect();
        let older = async |at: Timestamp| {
            let asked: Vec<_> = meant.iter().map(|(shard, _)| (shard.clone(), at)).collect();
            let first = from.broker.catalog().offsets_at(&asked).await?;
            // Where nothing is as young as that, all of it is older.
            let older = first
                .into_iter()
                .zip(&meant)
                .any(|(first, (_, from))| first.is_ok_and(|first| first.is_none_or(|first| first > *from)));
            Ok(older)
        };
        answer.warnings.extend(receiver.warnings(older).await?);
        answer.ranges = ranges(&survey, &covered);
        answer.tally();
        return Ok(answer);
    };
    let (mut copying, covered) = receiver.begin(request.again, agreed.reason.clone(), cancel).await?;
    answer.ranges = ranges(&survey, &covered);
    answer.tally();
    survey.change(|shard, from, to| Some((covered.next(shard.partition, from), to)));
    answer.reason.clone_from(&agreed.reason);
    answer.run = Some(copying.run().to_owned());
    let what = format!("copying {} into {}", request.topic, request.into);
    let sink = Told { what, sink };
    let work = Work { receiver: &receiver, covered: &covered, cancel };
    let ended = work.go(from, survey, &mut copying, &mut answer, &sink).await;
    answer.copied = copying.copied();
    let fault = ended.err();
    // Who was driven out says nothing more: the other one would take it for a third.
    let told = match &fault {
        Some(fault) if fault.code == "fenced" => Ok(()),
        fault => copying.end(fault.as_ref()).await,
    };
    // Where the target is gone, so is the word of the end: what was committed tells of itself.
    if let Some(fault) = fault.or_else(|| told.err()) {
        if answer.copied == 0 && fault.kind != FaultKind::Cancelled {
            return Err(fault);
        }
        answer.complete = false;
        answer.stopped = Some(fault.code);
        answer.stopped_reason = Some(fault.to_string());
    }
    answer.seconds = cx.clock.monotonic().saturating_sub(began).as_secs_f64();
    Ok(answer)
}

impl CopyAnswer {
    fn tally(&mut self) {
        let length = |range: &CopyRange| (range.to - range.from).max(0).unsigned_abs();
        self.before = self.ranges.iter().map(|range| range.before).sum();
        self.offsets = self.ranges.iter().map(length).sum::<u64>() - self.before;
    }
}

async fn side(cx: &Cx, topic: &Name) -> Result<CopySide, Fault> {
    let cluster_id = cx.broker.catalog().cluster().await?.id;
    Ok(CopySide { profile: cx.profile.name.clone(), cluster_id, topic: Name::clone(topic) })
}

fn ranges(survey: &Survey, covered: &Covered) -> Vec<CopyRange> {
    let range = |(shard, from, to): (&Shard, i64, Option<i64>)| {
        let (partition, to) = (shard.partition, to.unwrap_or(from));
        CopyRange { partition, from, to, before: covered.within(partition, from, to) }
    };
    survey.ranges().map(range).collect()
}

/// What makes two copies the same: where the records come from, and which are meant. A source without an id may be
/// another one tomorrow, so that its copies are all different.
async fn identity(from: &Cx, request: &CopyRequest, source: &CopySide) -> Result<String, Fault> {
    let ids = from.broker.catalog().topic_ids(std::slice::from_ref(&request.topic)).await?;
    let id = match ids.into_iter().next() {
        Some(Ok(id)) => id.0.to_string(),
        _ => uuid::Uuid::new_v4().to_string(),
    };
    let Selection { key, contains, filter, uncommitted, .. } = &request.selection;
    let mut text = format!("{}\n{id}\n{uncommitted}\n", source.cluster_id);
    // Writing into a string does not fail.
    let _ = writeln!(text, "{key:?}\n{contains:?}\n{filter:?}");
    Ok(Digest(Sha256::digest(text.as_bytes()).into()).to_string())
}

/// Copies what a survey found.
struct Work<'a> {
    receiver: &'a Receiver<'a>,
    covered: &'a Covered,
    cancel: &'a CancellationToken,
}

impl Work<'_> {
    async fn go(
        &self,
        from: &Cx,
        survey: Survey,
        copying: &mut Copying<'_>,
        answer: &mut CopyAnswer,
        sink: &dyn Sink,
    ) -> Result<(), Fault> {
        let mut walk = Walk::begin(from, survey, self.cancel).await?;
        let mut done: HashMap<i32, i64> = walk.ranges().iter().map(|(_, p, first, _)| (*p, *first)).collect();
        let (mut waiting, mut bytes) = (Vec::new(), 0);
        while let Some(records) = walk.next(sink).await? {
            for record in records {
                if self.covered.has(record.at.partition, record.at.offset) {
                    continue;
                }
                self.check(&record)?;
                bytes += record.size();
                waiting.push(record);
            }
            if waiting.len() >= MOST_RECORDS || bytes >= MOST_BYTES {
                copying.write(&waiting, news(&walk, &mut done), self.cancel).await?;
                answer.bytes += std::mem::take(&mut bytes) as u64;
                waiting.clear();
            }
        }
        if !self.cancel.is_cancelled() {
            let news = news(&walk, &mut done);
            if !waiting.is_empty() || !news.is_empty() {
                copying.write(&waiting, news, self.cancel).await?;
                answer.bytes += bytes as u64;
            }
        }
        let read = walk.end();
        answer.read = read.read;
        answer.filter_errors = read.filter_errors;
        answer.complete = read.complete;
        answer.incomplete_reason = read.incomplete_reason;
        if self.cancel.is_cancelled() { Err(Fault::cancelled()) } else { Ok(()) }
    }

    fn check(&self, record: &Record) -> Result<(), Fault> {
        match self.receiver.refuses(record.timestamp()) {
            None => Ok(()),
            Some(why) => Err(Fault::refused("timestamp", format!("{} is not taken", record.at)).why(why)),
        }
    }
}

/// What was read since the last time.
fn news(walk: &Walk, done: &mut HashMap<i32, i64>) -> BTreeMap<i32, Vec<(i64, i64)>> {
    let mut out = BTreeMap::new();
    for (_, partition, _, next) in walk.ranges() {
        let first = done.insert(*partition, *next).unwrap_or(*next);
        if *next > first {
            out.insert(*partition, vec![(first, next - 1)]);
        }
    }
    out
}

/// Tells progress in the words of a copy.
struct Told<'a> {
    what: String,
    sink: &'a dyn Sink,
}

impl Sink for Told<'_> {
    fn progress(&self, progress: Progress) {
        self.sink.progress(Progress { what: self.what.clone(), ..progress });
    }

    fn records(&self, records: Vec<Record>) {
        self.sink.records(records);
    }
}

impl CopyRequest {
    /// The request with the operator's consent to what was shown.
    #[must_use]
    pub fn agreed(self, shown: &CopyAnswer, reason: Option<String>) -> Self {
        Self { agreed: Some(CopyAgreed { ranges: shown.ranges.clone(), reason }), ..self }
    }
}
