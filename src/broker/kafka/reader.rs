//! Reading without being seen: partitions are assigned, no group is joined, nothing is committed.
//!
//! librdkafka wants a group id before it assigns; each read has one of its own that no member ever joins. A
//! thread for each read takes records, and stops taking while the caller's queue is full.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use super::catalog::read_what;
use super::client::{Client, Context};
use super::pipe::Pipe;
use super::read_loop::ReadLoop;
use super::request::TopicSheet;
use super::{Ports, errors};
use crate::broker::{
    Batch, Batches, Bounds, BrokerError, Each, ErrorKind, Fut, Isolation, Notice, ReadPlan, Reader, Shard,
    Span, Until,
};

/// Threads of one read at most.
const MOST_THREADS: usize = 2;

/// One partition of a read.
pub(super) struct Reading {
    pub(super) shard: Shard,
    /// The next offset to be read.
    pub(super) position: i64,
    pub(super) until: Until,
    /// The id that the topic had when the read began; empty where the broker has none.
    pub(super) topic_id: String,
    pub(super) caught_up: bool,
    /// Whether the position changed since the last batch.
    pub(super) moved: bool,
    pub(super) done: bool,
}

impl Reading {
    fn new(span: Span) -> Self {
        let Span { shard, from, until } = span;
        Self {
            shard,
            position: from,
            until,
            topic_id: String::new(),
            caught_up: false,
            moved: false,
            done: false,
        }
    }

    pub(super) fn finish(&mut self, notice: Notice, batch: &mut Batch) {
        self.done = true;
        batch.notices.push(notice);
    }

    pub(super) fn fail(&mut self, error: BrokerError, batch: &mut Batch) {
        self.finish(Notice::Failed(self.shard.clone(), error), batch);
    }

    /// Ends the reading where its position has reached the offset that it goes to.
    pub(super) fn finish_if_reached(&mut self, batch: &mut Batch) {
        if !self.done && matches!(self.until, Until::Offset(end) if self.position >= end) {
            self.finish(Notice::Finished(self.shard.clone()), batch);
        }
    }

    /// At the end of what can be read now.
    pub(super) fn at_end(&mut self, batch: &mut Batch) {
        match self.until {
            Until::End => self.finish(Notice::Finished(self.shard.clone()), batch),
            Until::Follow if !self.caught_up => {
                self.caught_up = true;
                batch.notices.push(Notice::CaughtUp(self.shard.clone()));
            }
            Until::Offset(_) | Until::Follow => {}
        }
    }

    /// Compares the position with the log as it is, at the beginning and after the log refused the position.
    pub(super) fn settle(&mut self, bounds: Bounds, isolation: Isolation, batch: &mut Batch) {
        if self.position < 0 {
            let why = format!("offset {} is negative", self.position);
            return self.fail(BrokerError::new(ErrorKind::Invalid, read_what(&self.shard), why), batch);
        }
        self.finish_if_reached(batch);
        if self.done {
            return;
        }
        if self.position > bounds.end {
            return self.truncated(bounds.end, batch);
        }
        if self.position < bounds.start {
            batch.notices.push(Notice::Trimmed {
                shard: self.shard.clone(),
                wanted: self.position,
                start: bounds.start,
            });
            self.position = bounds.start;
            batch.positions.push((self.shard.clone(), self.position));
            self.finish_if_reached(batch);
        }
        let readable = match isolation {
            Isolation::ReadCommitted => bounds.last_stable,
            Isolation::ReadUncommitted => bounds.end,
        };
        if !self.done && self.position >= readable {
            self.at_end(batch);
        } else if self.until == Until::End {
            // The end is met where it is now: a topic that is written to all the time ends too.
            self.until = Until::Offset(readable);
        }
    }

    pub(super) fn truncated(&mut self, end: i64, batch: &mut Batch) {
        let (shard, position) = (self.shard.clone(), self.position);
        self.finish(Notice::Truncated { shard, position, end }, batch);
    }
}

fn begin(
    plan: &ReadPlan,
    bounds: Each<Bounds>,
    sheets: &HashMap<String, TopicSheet>,
) -> (Vec<Reading>, Batch) {
    let mut batch = Batch::default();
    let mut readings: Vec<_> = plan.spans.iter().cloned().map(Reading::new).collect();
    for (reading, bounds) in readings.iter_mut().zip(bounds) {
        if let Some(sheet) = sheets.get(&*reading.shard.topic) {
            reading.topic_id.clone_from(&sheet.id);
        }
        match bounds {
            Ok(bounds) => reading.settle(bounds, plan.isolation, &mut batch),
            Err(error) => {
                let error = super::client::named(&read_what(&reading.shard), error);
                reading.fail(error, &mut batch);
            }
        }
    }
    (readings, batch)
}

fn properties(mut config: ClientConfig, plan: &ReadPlan) -> ClientConfig {
    let follows = plan.spans.iter().any(|span| span.until == Until::Follow);
    let short = is_short(plan);
    // A caller who lets little wait has little wait here, too: what is fetched at once is many times larger when it is
    // decompressed.
    let sparing = plan.budget < ReadPlan::BUDGET;
    // A larger queue is read no faster.
    let queue = if sparing { "8192" } else { "16384" };
    // Half a megabyte of a partition is many times that when it is decompressed, and a larger piece is read more slowly:
    // its memory is new each time.
    let at_once = if sparing { "262144" } else { "524288" };
    let tuning = if short {
        // What the client fetches beyond the span, it fetches for nothing.
        [
            ("queued.max.messages.kbytes", "1024"),
            ("max.partition.fetch.bytes", "65536"),
            ("fetch.max.bytes", "1048576"),
            ("fetch.wait.max.ms", "50"),
        ]
    } else if looks_into_headers(plan) && !follows {
        // The client counts no headers in its own limits, and keeps each record twice while they are looked into: with
        // stack traces in them larger answers would fill the memory, and are read no faster.
        [
            ("queued.max.messages.kbytes", queue),
            ("max.partition.fetch.bytes", if sparing { "131072" } else { "262144" }),
            ("fetch.max.bytes", "4194304"),
            ("fetch.wait.max.ms", "50"),
        ]
    } else if follows {
        [
            ("queued.max.messages.kbytes", "16384"),
            ("max.partition.fetch.bytes", "1048576"),
            ("fetch.max.bytes", "8388608"),
            ("fetch.wait.max.ms", "500"),
        ]
    } else {
        [
            ("queued.max.messages.kbytes", queue),
            ("max.partition.fetch.bytes", at_once),
            ("fetch.max.bytes", "33554432"),
            // An empty answer is what tells that the end is reached.
            ("fetch.wait.max.ms", "50"),
        ]
    };
    // The client's limit in bytes does not count headers: stack traces would fill the memory.
    let few = match (short, looks_into_headers(plan)) {
        (true, _) => "100",
        (false, true) if sparing => "1000",
        (false, true) => "2000",
        (false, false) if sparing => "2000",
        (false, false) => "10000",
    };
    let waiting = (short || plan.headers).then_some(("queued.min.messages", few));
    let pauses = [
        // How long a partition is not asked for when enough of it waits. Little that waits is soon used up: what does not
        // compress comes in small answers, of which a run loses a third to a pause of 5 ms.
        ("fetch.queue.backoff.ms", if sparing { "1" } else { "5" }),
        ("fetch.error.backoff.ms", "200"),
        // A record of 100 MB comes whole, whatever an answer may have otherwise; what speaks another protocol is still
        // told by its first bytes, which are a larger number.
        ("receive.message.max.bytes", "268435456"),
    ];
    for (name, value) in tuning.into_iter().chain(pauses).chain(waiting) {
        // What the profile says goes before what is only tuning.
        if config.get(name).is_none() {
            config.set(name, value);
        }
    }
    config
        .set("group.id", format!("redrive-ro-{}", uuid::Uuid::new_v4()))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("isolation.level", plan.isolation.as_str());
    config
}

/// Assigns what is not done, each at its position.
pub(super) fn assign(consumer: &BaseConsumer<Context>, readings: &[Reading]) -> Result<(), BrokerError> {
    let mut list = TopicPartitionList::new();
    for reading in readings.iter().filter(|reading| !reading.done) {
        let shard = &reading.shard;
        list.add_partition_offset(&shard.topic, shard.partition, Offset::Offset(reading.position))
            .map_err(|error| errors::kafka("read", &error))?;
    }
    consumer.assign(&list).map_err(|error| errors::kafka("read", &error))
}

/// Whether only a few records are to be read: a letter that is opened, or a sample.
fn is_short(plan: &ReadPlan) -> bool {
    const FEW: u64 = 1_000;
    let sum = plan.spans.iter().try_fold(0_u64, |sum, span| Some(sum.saturating_add(span.length()?)));
    sum.is_some_and(|sum| sum <= FEW)
}

/// Whether records' headers are taken apart where they are read.
fn looks_into_headers(plan: &ReadPlan) -> bool {
    plan.headers && plan.sieve.is_some()
}

/// The partitions of each of the threads that read. Where a sieve takes the headers of all records apart one thread is
/// busy with that alone, and the client's own threads are not.
fn divided(readings: impl Iterator<Item = Reading>, plan: &ReadPlan) -> Vec<Vec<Reading>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let is_work = plan.sieve.as_ref().is_some_and(|sieve| sieve.is_work());
    let threads = if is_work { cores.min(MOST_THREADS) } else { 1 };
    let mut divided: Vec<Vec<Reading>> = Vec::new();
    for (number, reading) in readings.enumerate() {
        match divided.get_mut(number % threads) {
            Some(some) => some.push(reading),
            None => divided.push(vec![reading]),
        }
    }
    divided
}

impl Ports {
    async fn start(&self, plan: ReadPlan, cancel: CancellationToken) -> Result<KafkaBatches, BrokerError> {
        let mut seen = HashSet::new();
        if let Some(twice) = plan.spans.iter().find(|span| !seen.insert(&span.shard)) {
            let what = read_what(&twice.shard);
            return Err(BrokerError::new(ErrorKind::Invalid, what, "the partition occurs twice"));
        }
        let shards: Vec<Shard> = plan.spans.iter().map(|span| span.shard.clone()).collect();
        let (bounds, sheets) = self.survey(&shards).await?;
        let (readings, first) = begin(&plan, bounds, &sheets);
        let readings = divided(readings.into_iter().filter(|reading| !reading.done), &plan);
        let pipe = Arc::new(Pipe::new(plan.budget, readings.len()));
        if !(first.notices.is_empty() && first.positions.is_empty()) {
            pipe.push(first, 0, || false);
        }
        // Dropped where one of them cannot begin, it tells the others to end.
        let batches = KafkaBatches { pipe: Arc::clone(&pipe), cancel: cancel.clone() };
        for readings in readings {
            let config = properties(self.link.properties(), &plan);
            let consumer = self.link.consumer(&config)?;
            assign(&consumer, &readings)?;
            let read =
                ReadLoop::new(Arc::clone(&self.link), Arc::clone(&pipe), cancel.clone(), readings, &plan);
            spawn(read, consumer, config)?;
        }
        Ok(batches)
    }
}

fn spawn(
    read: ReadLoop,
    consumer: Client<BaseConsumer<Context>>,
    config: ClientConfig,
) -> Result<(), BrokerError> {
    std::thread::Builder::new()
        .name("kafka-read".to_owned())
        .spawn(move || read.run(consumer, &config))
        .map(drop)
        .map_err(|error| BrokerError::new(ErrorKind::Other, "read", error.to_string()))
}

impl Reader for Ports {
    fn open(&self, plan: ReadPlan, cancel: CancellationToken) -> Fut<'_, Box<dyn Batches>> {
        Box::pin(async move {
            tokio::select! {
                () = cancel.cancelled() => Err(BrokerError::cancelled("read")),
                batches = self.start(plan, cancel.clone()) => Ok(Box::new(batches?) as Box<dyn Batches>),
            }
        })
    }
}

struct KafkaBatches {
    pipe: Arc<Pipe>,
    cancel: CancellationToken,
}

impl Batches for KafkaBatches {
    fn next(&mut self) -> Fut<'_, Option<Batch>> {
        Box::pin(async move {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => Err(BrokerError::cancelled("read")),
                next = self.pipe.next() => next,
            }
        })
    }
}

impl Drop for KafkaBatches {
    fn drop(&mut self) {
        self.pipe.abandon();
    }
}

/// How long a read waits for records before it looks at other things.
pub(super) const WAIT: Duration = Duration::from_millis(100);

/// What an error of one partition asks for.
pub(super) enum Remedy {
    /// librdkafka tries on.
    Wait,
    /// Look at the log, and go on or end.
    Look,
    /// The partition cannot be read.
    Fail,
}

pub(super) fn remedy(code: Code) -> Remedy {
    match code {
        Code::AutoOffsetReset
        | Code::OffsetOutOfRange
        | Code::LogTruncation
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicId => Remedy::Look,
        Code::TopicAuthorizationFailed
        | Code::InvalidTopic
        | Code::BadMessage
        | Code::InvalidMessage
        | Code::UnsupportedCompressionType
        | Code::UnsupportedFeature
        | Code::NotImplemented => Remedy::Fail,
        _ => Remedy::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { start: 10, end: 30, last_stable: 20 };

    fn settled(from: i64, until: Until) -> (Reading, Batch) {
        let mut batch = Batch::default();
        let mut reading = Reading::new(Span { shard: Shard::new("t", 0), from, until });
        reading.settle(BOUNDS, Isolation::ReadCommitted, &mut batch);
        (reading, batch)
    }

    #[test]
    fn a_span_is_compared_with_the_log_before_it_is_read() {
        let shard = || Shard::new("t", 0);
        let (reading, batch) = settled(5, Until::Follow);
        assert!(!reading.done);
        assert_eq!(reading.position, 10);
        assert_eq!(batch.notices, [Notice::Trimmed { shard: shard(), wanted: 5, start: 10 }]);
        assert_eq!(batch.positions, [(shard(), 10)]);

        let (reading, batch) = settled(31, Until::Follow);
        assert!(reading.done);
        assert_eq!(batch.notices, [Notice::Truncated { shard: shard(), position: 31, end: 30 }]);

        assert_eq!(settled(40, Until::Offset(40)).1.notices, [Notice::Finished(shard())]);
        assert_eq!(settled(20, Until::End).1.notices, [Notice::Finished(shard())]);
        assert_eq!(settled(20, Until::Follow).1.notices, [Notice::CaughtUp(shard())]);
        assert!(
            matches!(&settled(-1, Until::End).1.notices[..], [Notice::Failed(_, e)] if e.kind == ErrorKind::Invalid)
        );
    }

    #[test]
    fn an_end_behind_the_last_stable_offset_is_waited_for() {
        let (reading, batch) = settled(20, Until::Offset(25));
        assert!(!reading.done);
        assert!(batch.notices.is_empty());
        assert_eq!(settled(12, Until::End).0.until, Until::Offset(20));
    }
}
