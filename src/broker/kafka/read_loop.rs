//! The thread of one read.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::{ClientConfig, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use super::catalog::{c_names, exists, level, read_what};
use super::client::{Client, Context, Link};
use super::copy::Copier;
use super::errors;
use super::ffi::{Inbox, Look};
use super::pipe::Pipe;
use super::reader::{Reading, Remedy, WAIT, assign, remedy};
use super::request::{Ask, Refusal, Told, TopicSheet};
use crate::broker::{
    Batch, Bounds, BrokerError, ErrorKind, Isolation, Name, ReadPlan, Shard, Sieve, Sifted, Until,
};

/// Bytes and records of one batch.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_RECORDS: usize = 4_096;

/// How often it is looked whether the topics are still those that the read began with. The client does not tell
/// when a topic was deleted or made again under a reader that waits at its end.
const CHECK: Duration = Duration::from_secs(3);

/// How long such a look may take.
const LOOK: Duration = Duration::from_secs(5);

/// A read under way.
pub(super) struct ReadLoop {
    link: Arc<Link>,
    pipe: Arc<Pipe>,
    cancel: CancellationToken,
    isolation: Isolation,
    readings: Vec<Reading>,
    /// Where each topic's partitions are in `readings`.
    places: HashMap<Name, HashMap<i32, usize>>,
    /// The place of the last record: the next one is mostly of the same partition.
    last: usize,
    copier: Copier,
    sieve: Option<Arc<dyn Sieve>>,
    batch: Batch,
    bytes: usize,
    chunk: usize,
    /// Records that the next batch will have room for at once.
    room: usize,
    /// Mean size of a record, for how many are taken at once.
    mean: usize,
    /// Readings that moved since the last batch.
    moved: Vec<usize>,
    /// When the topics were looked at last.
    checked: Duration,
    /// Whether no broker answered then.
    away: bool,
}

/// Why the reading stops.
enum Pause {
    /// Nothing more is to be read.
    End,
    /// No broker answers.
    Away,
}

impl ReadLoop {
    pub(super) fn new(
        link: Arc<Link>,
        pipe: Arc<Pipe>,
        cancel: CancellationToken,
        readings: Vec<Reading>,
        plan: &ReadPlan,
    ) -> Self {
        let mut places: HashMap<Name, HashMap<i32, usize>> = HashMap::new();
        for (place, reading) in readings.iter().enumerate() {
            let shard = &reading.shard;
            places.entry(shard.topic.clone()).or_default().insert(shard.partition, place);
        }
        let checked = link.clock.monotonic();
        Self {
            link,
            pipe,
            cancel,
            isolation: plan.isolation,
            readings,
            places,
            last: 0,
            copier: Copier::new(plan.headers),
            sieve: plan.sieve.clone(),
            batch: Batch::default(),
            bytes: 0,
            chunk: (plan.budget / 4).clamp(1, BATCH_BYTES),
            room: 0,
            mean: 4_096,
            moved: Vec::new(),
            checked,
            away: false,
        }
    }

    /// Reads to the end. While the brokers are away there is no consumer: its attempts to connect would take a part of
    /// a core, and the asking client knows when they are back.
    pub(super) fn run(mut self, mut consumer: Client<BaseConsumer<Context>>, config: &ClientConfig) {
        let read = loop {
            match self.read(&consumer) {
                Ok(Pause::End) => break Ok(()),
                Ok(Pause::Away) => {}
                Err(error) => break Err(error),
            }
            drop(consumer);
            self.wait_for_brokers();
            if self.over() {
                break Ok(());
            }
            let again = self.link.open().and_then(|()| self.link.consumer(config));
            consumer = match again {
                Ok(consumer) => consumer,
                Err(error) => break Err(error),
            };
            if let Err(error) = assign(&consumer, &self.readings) {
                break Err(error);
            }
        };
        if let Err(error) = read {
            self.pipe.trouble(error);
        }
        self.pipe.end();
    }

    /// Returns when a broker answers, or when nobody reads any more.
    fn wait_for_brokers(&mut self) {
        while self.away && !self.over() && self.link.open().is_ok() {
            std::thread::sleep(WAIT);
            self.check();
        }
    }

    fn over(&self) -> bool {
        self.cancel.is_cancelled() || self.pipe.is_abandoned()
    }

    fn read(&mut self, consumer: &BaseConsumer<Context>) -> Result<Pause, BrokerError> {
        let inbox = Inbox::of(consumer)
            .ok_or_else(|| errors::refused("read", Refusal::invalid("the consumer has no queue")))?;
        while !self.over() && self.readings.iter().any(|reading| !reading.done) {
            self.link.open()?;
            let most = (self.chunk / self.mean).clamp(1, BATCH_RECORDS);
            let messages = inbox.take(most, WAIT);
            let drained = messages.len() < most;
            self.room = messages.len();
            let mut refused = self.check();
            let mut finished = Vec::new();
            // Each is given back at once: the client takes a record's headers apart when they are asked for, and keeps
            // the pieces with the record. Those of the next one then lie where these did, and memory stays warm.
            for message in messages {
                let message = message.look();
                if let Some(refusal) = message.refusal() {
                    refused.extend(self.error(message, refusal, &mut finished));
                } else {
                    self.record(message, &mut finished);
                }
                if (self.bytes >= self.chunk || self.batch.records.len() >= BATCH_RECORDS) && !self.send() {
                    return Ok(Pause::End);
                }
            }
            if drained && !self.moved.is_empty() {
                self.pass_markers(consumer, &mut finished);
            }
            self.leave(consumer, &finished);
            for place in refused {
                self.look_again(consumer, place)?;
            }
            if !self.send() {
                return Ok(Pause::End);
            }
            if self.away {
                return Ok(Pause::Away);
            }
        }
        Ok(Pause::End)
    }

    fn place(&mut self, message: Look<'_>) -> Option<usize> {
        let (topic, partition) = (message.topic(), message.partition());
        let same = |r: &Reading| r.shard.partition == partition && &*r.shard.topic == topic;
        if self.readings.get(self.last).is_none_or(|reading| !same(reading)) {
            self.last = *self.places.get(topic)?.get(&partition)?;
        }
        Some(self.last)
    }

    fn record(&mut self, message: Look<'_>, finished: &mut Vec<usize>) {
        let Some(place) = self.place(message) else { return };
        let Some(reading) = self.readings.get_mut(place) else { return };
        let offset = message.offset();
        if reading.done || offset < reading.position {
            return;
        }
        if matches!(reading.until, Until::Offset(end) if offset >= end) {
            // What lay before it is a gap.
            if let Until::Offset(end) = reading.until {
                reading.position = end;
            }
        } else {
            let size = message.payload();
            self.mean = (self.mean * 15 + size + 64) / 16;
            match self.sieve.as_ref().map_or(Sifted::Keep, |sieve| sieve.sift(&message)) {
                Sifted::Keep => {
                    if self.batch.records.capacity() == 0 {
                        self.batch.records.reserve(self.room);
                    }
                    let record = self.copier.record(&reading.shard.topic, message);
                    self.bytes += record.size();
                    self.batch.records.push(record);
                }
                how => {
                    self.bytes += if let Sifted::Take(held) = how { held } else { 0 };
                    self.batch.left.add(size, how);
                }
            }
            reading.position = offset + 1;
            reading.caught_up = false;
        }
        self.advanced(place, finished);
    }

    /// The position of a reading changed.
    fn advanced(&mut self, place: usize, finished: &mut Vec<usize>) {
        let Some(reading) = self.readings.get_mut(place) else { return };
        if !std::mem::replace(&mut reading.moved, true) {
            self.moved.push(place);
        }
        reading.finish_if_reached(&mut self.batch);
        if reading.done {
            finished.push(place);
        }
    }

    /// An error instead of a record; gives the partition whose log must be looked at.
    fn error(&mut self, message: Look<'_>, refusal: Refusal, finished: &mut Vec<usize>) -> Option<usize> {
        let Some(place) = self.place(message) else {
            // Our own group's coordinator, for example, may be forbidden: nothing depends on it.
            tracing::debug!(target: "librdkafka", words = refusal.words, "while reading");
            return None;
        };
        let reading = self.readings.get_mut(place)?;
        if reading.done {
            return None;
        }
        if refusal.code == Code::PartitionEOF {
            if message.offset() > reading.position {
                reading.position = message.offset();
                self.advanced(place, finished);
            }
            let reading = self.readings.get_mut(place)?;
            if !reading.done {
                reading.at_end(&mut self.batch);
                if reading.done {
                    finished.push(place);
                }
            }
            return None;
        }
        match remedy(refusal.code) {
            Remedy::Wait => {
                tracing::warn!(target: "librdkafka", words = refusal.words, "while reading");
                None
            }
            Remedy::Look => Some(place),
            Remedy::Fail => {
                let error = errors::refused(read_what(&reading.shard), refusal);
                reading.fail(error, &mut self.batch);
                finished.push(place);
                None
            }
        }
    }

    /// Takes the client's positions, which pass control markers: a span that ends behind one ends without
    /// waiting for the broker to say that nothing follows.
    fn pass_markers(&mut self, consumer: &BaseConsumer<Context>, finished: &mut Vec<usize>) {
        let ends = |reading: &Reading| !reading.done && matches!(reading.until, Until::Offset(_));
        if !self.moved.iter().any(|place| self.readings.get(*place).is_some_and(ends)) {
            return;
        }
        let Ok(positions) = consumer.position() else { return };
        for element in positions.elements() {
            let rdkafka::Offset::Offset(offset) = element.offset() else { continue };
            let place = self.places.get(element.topic()).and_then(|p| p.get(&element.partition())).copied();
            let Some(place) = place else { continue };
            let Some(reading) = self.readings.get_mut(place) else { continue };
            if !reading.done && offset > reading.position {
                reading.position = offset;
                self.advanced(place, finished);
            }
        }
    }

    /// Hands the batch over; false when nobody takes it.
    fn send(&mut self) -> bool {
        for place in self.moved.drain(..) {
            if let Some(reading) = self.readings.get_mut(place) {
                reading.moved = false;
                self.batch.positions.push((reading.shard.clone(), reading.position));
            }
        }
        let batch = std::mem::take(&mut self.batch);
        let bytes = std::mem::take(&mut self.bytes);
        if batch.records.is_empty() && batch.positions.is_empty() && batch.notices.is_empty() {
            return true;
        }
        let cost = bytes + batch.records.len() * size_of::<crate::event::Record>();
        self.pipe.push(batch, cost, || self.cancel.is_cancelled() || self.link.open().is_err())
    }

    /// Stops fetching what is done.
    fn leave(&self, consumer: &BaseConsumer<Context>, finished: &[usize]) {
        if finished.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::with_capacity(finished.len());
        for reading in finished.iter().filter_map(|place| self.readings.get(*place)).filter(|r| r.done) {
            list.add_partition(&reading.shard.topic, reading.shard.partition);
        }
        if let Err(error) = consumer.pause(&list) {
            tracing::warn!(%error, "a partition that is read could not be paused");
        }
    }

    /// Looks from time to time whether brokers and topics are there; gives the partitions of those that are not.
    fn check(&mut self) -> Vec<usize> {
        let now = self.link.clock.monotonic();
        if now.saturating_sub(self.checked) < CHECK {
            return Vec::new();
        }
        let waiting: Vec<&Reading> = self.readings.iter().filter(|reading| !reading.done).collect();
        let names = c_names(waiting.iter().map(|reading| &reading.shard.topic));
        let stop = AtomicBool::new(false);
        let told = self.link.ask_now(vec![Ask::Topics(names)], LOOK, &stop).pop();
        self.checked = self.link.clock.monotonic();
        let Some(Ok(Told::Topics(sheets))) = told else {
            if let Some(trouble) = self.link.health.now() {
                self.away = trouble.kind == ErrorKind::Unreachable;
                self.pipe.trouble(super::client::named("read", trouble));
            }
            return Vec::new();
        };
        self.link.health.well();
        self.away = false;
        let sheets: HashMap<&str, &TopicSheet> = sheets.iter().map(|s| (s.name.as_str(), s)).collect();
        let other = |reading: &Reading| {
            sheets.get(&*reading.shard.topic).is_some_and(|sheet| match &sheet.refusal {
                None => sheet.id != reading.topic_id,
                Some(refusal) => matches!(remedy(refusal.code), Remedy::Look),
            })
        };
        let places = self.readings.iter().enumerate();
        places.filter(|(_, reading)| !reading.done && other(reading)).map(|(place, _)| place).collect()
    }

    /// The log does not have the position, or the topic is gone: begins anew at the start, or ends.
    fn look_again(&mut self, consumer: &BaseConsumer<Context>, place: usize) -> Result<(), BrokerError> {
        let Some(reading) = self.readings.get_mut(place).filter(|reading| !reading.done) else {
            return Ok(());
        };
        let before = reading.position;
        match survey(&self.link, &reading.shard, self.isolation) {
            Ok((bounds, id)) if id == reading.topic_id => {
                reading.settle(bounds, self.isolation, &mut self.batch);
            }
            // Made again under the same name: its offsets mean other records.
            Ok((bounds, _)) => reading.truncated(bounds.end, &mut self.batch),
            Err(error) if error.retryable => {
                tracing::warn!(%error, "a partition could not be looked at");
                return Ok(());
            }
            Err(error) => reading.fail(error, &mut self.batch),
        }
        if reading.done {
            self.leave(consumer, &[place]);
        } else if reading.position != before {
            assign(consumer, &self.readings)?;
        }
        Ok(())
    }
}

/// Bounds and topic id of one partition, asked for on this thread.
fn survey(link: &Link, shard: &Shard, isolation: Isolation) -> Result<(Bounds, String), BrokerError> {
    let what = read_what(shard);
    let stop = AtomicBool::new(false);
    let one = |asks| {
        let answers = link.ask_now(asks, LOOK, &stop);
        answers.into_iter().collect::<Result<Vec<_>, _>>().map_err(|r| errors::refused(what.as_str(), r))
    };
    let mut sheets: HashMap<String, TopicSheet> = HashMap::new();
    for told in one(vec![Ask::Topics(c_names([&shard.topic]))])? {
        if let Told::Topics(found) = told {
            sheets.extend(found.into_iter().map(|sheet| (sheet.name.clone(), sheet)));
        }
    }
    exists(&sheets, shard)?;
    let list = |spec| {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(&shard.topic, shard.partition, rdkafka::Offset::from_raw(spec))
            .map(|()| list)
    };
    let ask = |spec, isolation| {
        list(spec)
            .map(|list| Ask::Offsets(list, level(isolation)))
            .map_err(|error| errors::kafka(what.as_str(), &error))
    };
    let asks =
        vec![ask(-2, isolation)?, ask(-1, Isolation::ReadCommitted)?, ask(-1, Isolation::ReadUncommitted)?];
    let mut offsets = Vec::new();
    for told in one(asks)? {
        if let Told::Parts(parts) = told {
            for part in parts {
                match part.refusal {
                    Some(refusal) => return Err(errors::refused(what.as_str(), refusal)),
                    None => offsets.push(part.offset),
                }
            }
        }
    }
    let [start, stable, end] = offsets[..] else { return Err(super::catalog::odd(&what)) };
    let id = sheets.remove(&*shard.topic).map(|sheet| sheet.id).unwrap_or_default();
    Ok((Bounds { start, end: end.max(stable), last_stable: stable.max(start) }, id))
}
