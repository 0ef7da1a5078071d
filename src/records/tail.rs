//! `tail`: the records of topics, as they lie or as they come.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::document::{TailAnswer, TailRequest, Wanted};
use super::placement::{self, Placement};
use super::range::{self, Pieces};
use crate::broker::{
    Batch, Batches, BrokerError, ErrorKind, Isolation, Name, Notice, ReadPlan, Shard, Sieve, Sifted,
    TopicInfo,
};
use crate::context::{Cx, Progress, Sink};
use crate::event::placement::Partitioner;
use crate::event::{Record, RecordBytes};
use crate::filter::{Matcher, Selection};
use crate::text::{Clock, Fault, Safe};

/// How long a followed read waits after a failure that may pass.
const AGAIN: Duration = Duration::from_millis(500);

/// Reads what is asked and gives it to `sink`, in order within each partition. A cancelled tail answers with what
/// it had read.
pub async fn tail(
    cx: &Cx,
    request: &TailRequest,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<TailAnswer, Fault> {
    let (survey, begun) = look(cx, request, Ahead::Yes, cancel).await?;
    let mut walk = Walk::with(cx, survey, begun, cancel).await?;
    loop {
        match walk.next(sink).await {
            Ok(Some(records)) if records.is_empty() => {}
            Ok(Some(records)) => sink.records(records),
            Ok(None) => return Ok(walk.end()),
            Err(fault) => return Err(walk.stopped(fault)),
        }
    }
}

/// What a read would cover; nothing is read for it but what edges and the key's partition need.
pub struct Survey {
    matcher: Arc<Matcher>,
    isolation: Isolation,
    pieces: Pieces,
    notes: Vec<String>,
    limit: Option<u64>,
    follow: bool,
    wanted: Wanted,
    headers: bool,
}

/// Finds out what a read would cover.
pub async fn survey(cx: &Cx, request: &TailRequest, cancel: &CancellationToken) -> Result<Survey, Fault> {
    Ok(look(cx, request, Ahead::No, cancel).await?.0)
}

/// Whether a read may begin before all is known of what it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ahead {
    Yes,
    No,
}

/// A read that has begun.
type Begun = Option<Box<dyn Batches>>;

/// Finds out what a read would cover. Where one key is looked for, the partition where most clients would have put it is
/// read already while a sample tells whether it was: that read is given, too, if it is the one.
async fn look(
    cx: &Cx,
    request: &TailRequest,
    ahead: Ahead,
    cancel: &CancellationToken,
) -> Result<(Survey, Begun), Fault> {
    let selection = &request.selection;
    let matcher = Arc::new(Matcher::compile(selection, &cx.profile.dead_letters)?.with(&cx.profile.decoding));
    let topics = range::topics(cx, &request.topics).await?;
    let mut survey = Survey {
        matcher,
        isolation: range::isolation(selection),
        pieces: Pieces::default(),
        notes: Vec::new(),
        limit: selection.limit,
        follow: request.follow,
        wanted: request.wanted,
        headers: request.wanted == Wanted::Whole || selection.filter.is_some(),
    };
    let likely = likely(&topics, selection).filter(|_| ahead == Ahead::Yes && request.after.is_empty());
    let (found, begun) = tokio::join!(shards(cx, &topics, selection, cancel), async {
        survey.begin(cx, selection, likely.clone()?, cancel).await
    });
    let (shards, notes) = found?;
    survey.notes = notes;
    if let Some((pieces, batches)) = begun
        && shards.iter().eq(&likely)
    {
        survey.pieces = pieces;
        return Ok((survey, Some(batches)));
    }
    survey.pieces = range::resolve(cx, shards, selection, request.follow, cancel).await?;
    if !request.after.is_empty() {
        survey.change(|shard, from, to| {
            let stopped =
                request.after.iter().find(|(t, p, _)| (t, *p) == (&shard.topic, shard.partition))?;
            Some((stopped.2.max(from), to))
        });
    }
    Ok((survey, None))
}

/// The partition where most clients would have put the key that is looked for.
fn likely(topics: &[TopicInfo], selection: &Selection) -> Option<Shard> {
    let [topic] = topics else { return None };
    let count = i32::try_from(topic.partitions.len()).ok().filter(|count| *count > 1)?;
    let partition = Partitioner::Murmur2.partition(one_key(selection)?, count)?;
    Some(Shard::new(Name::clone(&topic.name), partition))
}

/// The key that is looked for where it must be, and not in partitions that are named.
fn one_key(selection: &Selection) -> Option<&bytes::Bytes> {
    selection.key.as_ref().filter(|_| !selection.all_partitions && selection.partitions.is_empty())
}

impl Survey {
    /// How these pieces are read; `None` where there is nothing to be read.
    fn plan(&self, pieces: &Pieces) -> Option<ReadPlan> {
        let count = self.wanted == Wanted::Count;
        let sieve = (count || !self.matcher.is_all()).then(|| {
            // A count with a limit is taken behind the reading thread, which does not know when to stop.
            let counts = count && self.limit.is_none();
            Arc::new(Glance { matcher: Arc::clone(&self.matcher), counts }) as Arc<dyn Sieve>
        });
        let plan = range::plan(pieces.ranges.iter(), self.isolation);
        let plan = ReadPlan { sieve, headers: self.headers, ..plan };
        Some(plan).filter(|plan| !plan.spans.is_empty() && self.limit != Some(0))
    }

    /// Begins to read one partition; what hinders is met again by whoever reads it in earnest.
    async fn begin(
        &self,
        cx: &Cx,
        selection: &Selection,
        shard: Shard,
        cancel: &CancellationToken,
    ) -> Option<(Pieces, Box<dyn Batches>)> {
        let pieces = range::resolve(cx, vec![shard], selection, self.follow, cancel).await.ok()?;
        let batches = cx.broker.reader().open(self.plan(&pieces)?, cancel.clone()).await.ok()?;
        Some((pieces, batches))
    }

    /// Each partition with its first offset, and the offset before which the read ends; `None` for never.
    pub fn ranges(&self) -> impl Iterator<Item = (&Shard, i64, Option<i64>)> {
        self.pieces.ranges.iter().map(|piece| (&piece.shard, piece.from, piece.to))
    }

    /// Partitions that cannot be read, and why.
    pub fn failed(&self) -> impl Iterator<Item = (&Shard, &BrokerError)> {
        self.pieces.failed.iter().map(|(shard, error)| (shard, error))
    }

    /// What the eye should know of the ranges.
    pub fn notes(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().chain(&self.pieces.notes).map(String::as_str)
    }

    /// Changes the ranges: what `range` gives for a partition is read, and one for which it gives nothing is not.
    pub fn change(&mut self, mut range: impl FnMut(&Shard, i64, Option<i64>) -> Option<(i64, Option<i64>)>) {
        self.pieces.ranges.retain_mut(|piece| match range(&piece.shard, piece.from, piece.to) {
            Some((from, to)) => {
                (piece.from, piece.to) = (from, to);
                true
            }
            None => false,
        });
    }
}

/// A read under way.
pub struct Walk {
    reading: Reading,
    batches: Option<Box<dyn Batches>>,
    follow: bool,
    cancel: CancellationToken,
    clock: Arc<dyn Clock>,
    began: Duration,
}

impl Walk {
    /// Begins to read what a survey found.
    pub async fn begin(cx: &Cx, survey: Survey, cancel: &CancellationToken) -> Result<Self, Fault> {
        Self::with(cx, survey, None, cancel).await
    }

    /// Goes on with the read of a survey that has begun, or begins it.
    async fn with(cx: &Cx, survey: Survey, begun: Begun, cancel: &CancellationToken) -> Result<Self, Fault> {
        let batches = match (begun, survey.plan(&survey.pieces)) {
            (None, Some(plan)) => Some(cx.broker.reader().open(plan, cancel.clone()).await?),
            (begun, _) => begun,
        };
        let Survey { matcher, isolation, limit, follow, wanted, .. } = survey;
        let mut reading = Reading::new(matcher, limit, wanted, survey.pieces, survey.notes);
        reading.answer.isolation = isolation.as_str();
        let clock = Arc::clone(&cx.clock);
        let began = clock.monotonic();
        Ok(Self { reading, batches, follow, cancel: cancel.clone(), clock, began })
    }

    /// The next records that match, which may be none; `None` at the end.
    pub async fn next(&mut self, sink: &dyn Sink) -> Result<Option<Vec<Record>>, Fault> {
        let Some(batches) = &mut self.batches else { return Ok(None) };
        match batches.next().await {
            Ok(Some(batch)) => {
                self.reading.progress.elapsed = Some(self.clock.monotonic().saturating_sub(self.began));
                let (records, more) = self.reading.take(batch, sink);
                if !more {
                    self.batches = None;
                }
                return Ok(Some(records));
            }
            Ok(None) => {}
            Err(error) if error.kind == ErrorKind::Cancelled => self.reading.incomplete("it was cancelled"),
            // What is followed goes on where the broker comes back.
            Err(error) if error.retryable && self.follow => {
                self.reading.waiting(&error, sink);
                tokio::select! {
                    () = self.cancel.cancelled() => {}
                    () = tokio::time::sleep(AGAIN) => {}
                }
                return Ok(Some(Vec::new()));
            }
            Err(error) => return Err(error.into()),
        }
        self.batches = None;
        Ok(None)
    }

    /// A failure in the middle also says how far it was read, and how to go on.
    fn stopped(&self, fault: Fault) -> Fault {
        let answer = &self.reading.answer;
        if answer.read == 0 {
            return fault;
        }
        let hint =
            going_on(answer.ranges.iter().map(|(topic, partition, _, next)| (topic, *partition, *next)));
        let hint = if fault.hint.is_empty() { hint } else { format!("{}; {hint}", fault.hint) };
        let why = format!("{}; until then {}", fault.why, answer.covered());
        Fault { why, hint, ..fault }
    }

    /// How far each partition was read: topic, partition, first offset, next offset.
    pub fn ranges(&self) -> &[(Name, i32, i64, i64)] {
        &self.reading.answer.ranges
    }

    /// What was read.
    pub fn end(self) -> TailAnswer {
        self.reading.end()
    }
}

/// How to go on with partitions at their offsets, in words.
pub fn going_on<'n>(places: impl Iterator<Item = (&'n Name, i32, i64)> + Clone) -> String {
    /// More partitions are not listed.
    const LISTED: usize = 12;
    let several = places.clone().zip(places.clone().skip(1)).any(|(a, b)| a.0 != b.0);
    let place = |(topic, partition, next): (&Name, i32, i64)| {
        let topic = if several { format!("{} ", Safe::new(topic)) } else { String::new() };
        format!("{topic}--partition {partition} --from offset:{next}")
    };
    let more = places.clone().nth(LISTED).map(|_| "…".to_owned());
    let listed: Vec<String> = places.take(LISTED).map(place).chain(more).collect();
    format!("go on with {}", listed.join("; "))
}

/// The partitions to read. One key is looked for in one partition where that is where it must be.
async fn shards(
    cx: &Cx,
    topics: &[TopicInfo],
    selection: &Selection,
    cancel: &CancellationToken,
) -> Result<(Vec<Shard>, Vec<String>), Fault> {
    let mut shards = range::shards(topics, &selection.partitions)?;
    let mut notes = Vec::new();
    let Some(key) = one_key(selection) else { return Ok((shards, notes)) };
    let isolation = range::isolation(selection);
    for topic in topics.iter().filter(|topic| topic.partitions.len() > 1) {
        notes.push(match placement::of(cx, topic, key, isolation, cancel).await? {
            Placement::One(partition, partitioner) => {
                shards.retain(|shard| shard.topic != topic.name || shard.partition == partition);
                format!(
                    "only {}[{partition}] is read: a sample shows that keys lie where {} hash puts them (--all-partitions reads all)",
                    topic.name,
                    partitioner.as_str()
                )
            }
            Placement::Anywhere(why) => format!("all partitions of {} are read: {why}", topic.name),
        });
    }
    Ok((shards, notes))
}

/// The cheap tests, on the reading thread and before a record is copied.
struct Glance {
    matcher: Arc<Matcher>,
    counts: bool,
}

impl Sieve for Glance {
    fn sift(&self, record: &dyn RecordBytes) -> Sifted {
        match self.matcher.glance(record) {
            Some(false) => Sifted::Leave,
            Some(true) if self.counts => Sifted::Count,
            Some(true) | None => Sifted::Keep,
        }
    }
}

/// What was read so far.
struct Reading {
    matcher: Arc<Matcher>,
    limit: Option<u64>,
    /// Whether the records themselves are not wanted.
    count: bool,
    answer: TailAnswer,
    /// The place of each partition in `answer.ranges`.
    places: HashMap<Shard, usize>,
    progress: Progress,
    /// Offsets still to go; `None` where the read has no end.
    ends: Option<u64>,
    /// Partitions that are read to their ends.
    finished: u64,
}

impl Reading {
    fn new(
        matcher: Arc<Matcher>,
        limit: Option<u64>,
        wanted: Wanted,
        pieces: Pieces,
        notes: Vec<String>,
    ) -> Self {
        let mut answer = TailAnswer { complete: true, notes, ..TailAnswer::default() };
        answer.notes.extend(pieces.notes);
        let mut places = HashMap::new();
        let mut ends = Some(0);
        for piece in pieces.ranges {
            let left = piece.to.map(|to| u64::try_from(to - piece.from).unwrap_or(0));
            ends = ends.zip(left).map(|(all, left)| all + left);
            places.insert(piece.shard.clone(), answer.ranges.len());
            answer.ranges.push((piece.shard.topic, piece.shard.partition, piece.from, piece.from));
        }
        let mut topics: Vec<&str> = answer.ranges.iter().map(|(topic, ..)| &**topic).collect();
        topics.dedup();
        let what = format!("reading {}", topics.join(", "));
        let progress = Progress { what, total: ends, ..Progress::default() };
        let mut reading = Self {
            matcher,
            limit,
            count: wanted == Wanted::Count,
            answer,
            places,
            progress,
            ends,
            finished: 0,
        };
        for (shard, error) in pieces.failed {
            reading.failed(&shard, &error.why);
        }
        reading
    }

    /// Takes one batch; gives the records that match, and whether more is wanted.
    fn take(&mut self, batch: Batch, sink: &dyn Sink) -> (Vec<Record>, bool) {
        let mut records = batch.records;
        self.progress.waiting = None;
        self.answer.read += records.len() as u64 + batch.left.records;
        self.answer.bytes +=
            records.iter().map(|record| record.payload() as u64).sum::<u64>() + batch.left.bytes;
        self.answer.matched += batch.left.counted;
        self.matcher.retain(&mut records);
        let room = self.limit.map(|limit| limit - self.answer.matched.min(limit));
        let last = room.and_then(|room| usize::try_from(room).ok());
        let cut = last.is_some_and(|last| records.len() > last);
        if let Some(last) = last {
            records.truncate(last);
        }
        self.answer.matched += records.len() as u64;
        let full = self.limit.is_some_and(|limit| self.answer.matched >= limit);
        if cut {
            // What was read beyond the limit was not given: the range ends behind the last record given.
            self.positions_of(&records);
        } else {
            for (shard, position) in batch.positions {
                self.moved(&shard, position);
            }
        }
        for notice in batch.notices {
            self.notice(notice);
        }
        if self.count {
            records.clear();
        }
        if self.ends.is_some() {
            self.progress.done = self.offsets_done();
        } else {
            self.progress.done = self.answer.read;
        }
        self.progress.bytes = self.answer.bytes;
        self.progress.partitions = Some((self.finished, self.answer.ranges.len() as u64));
        sink.progress(self.progress.clone());
        if full && (cut || self.ends.is_none_or(|ends| self.offsets_done() < ends)) {
            self.incomplete(&format!("the limit of {} records was reached", self.answer.matched));
        }
        (records, !full)
    }

    fn waiting(&mut self, error: &BrokerError, sink: &dyn Sink) {
        self.progress.waiting = Some(format!("the broker: {}", error.why));
        sink.progress(self.progress.clone());
    }

    fn positions_of(&mut self, records: &[Record]) {
        let next: HashMap<Shard, i64> = records
            .iter()
            .map(|r| (Shard::new(r.at.topic.clone(), r.at.partition), r.at.offset + 1))
            .collect();
        for (shard, position) in next {
            self.moved(&shard, position);
        }
    }

    fn moved(&mut self, shard: &Shard, position: i64) {
        if let Some(range) = self.places.get(shard).and_then(|place| self.answer.ranges.get_mut(*place)) {
            range.3 = range.3.max(position);
        }
    }

    fn offsets_done(&self) -> u64 {
        self.answer.ranges.iter().map(|(.., from, next)| u64::try_from(next - from).unwrap_or(0)).sum()
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Finished(_) => self.finished += 1,
            Notice::CaughtUp(_) => {}
            Notice::Trimmed { shard, wanted, start } => {
                let place = format!("{}[{}]", shard.topic, shard.partition);
                self.incomplete(&format!(
                    "{place}: the offsets {wanted} to {} were deleted meanwhile",
                    start - 1
                ));
            }
            Notice::Truncated { shard, position, end } => {
                let place = format!("{}[{}]", shard.topic, shard.partition);
                self.incomplete(&format!(
                    "{place}: the log became shorter or was made again (it ends at {end}, {position} was next)"
                ));
            }
            Notice::Failed(shard, error) => self.failed(&shard, &error.why),
        }
    }

    fn failed(&mut self, shard: &Shard, why: &str) {
        self.incomplete(&format!("{}[{}] cannot be read: {why}", shard.topic, shard.partition));
    }

    /// Not all was read; the first reason is the answer's, the others are notes.
    fn incomplete(&mut self, why: &str) {
        self.answer.complete = false;
        match &self.answer.incomplete_reason {
            None => self.answer.incomplete_reason = Some(why.to_owned()),
            Some(_) => self.answer.notes.push(why.to_owned()),
        }
    }

    fn end(mut self) -> TailAnswer {
        self.answer.filter_errors = self.matcher.errors();
        if let Some(first) = self.matcher.first_error() {
            self.answer.notes.push(format!(
                "the condition failed on {} records, for example on {first}",
                self.answer.filter_errors
            ));
        }
        self.answer
    }
}
