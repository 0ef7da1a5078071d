//! A writing session: one producer, with or without transactions.
//!
//! rust-rdkafka's own waits are steps of 100 ms (`base_producer.rs`), so the queue is polled until nothing is under
//! way before a transaction is ended. A session that is dropped leaves its transaction to the broker's time-out,
//! or to the next session with the same id.

use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, Producer as _};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::catalog::{c_name, exists, missing};
use super::client::{Client, Context, Deliveries};
use super::ffi::{Destination, contact, flush, produce};
use super::{Ports, errors};
use crate::broker::{
    Answers, BATCH_RECORDS, BrokerError, Catalog as _, Commit, ErrorKind, Fut, Guarantee, Name, Outbound,
    Placed, Session, SessionKind, Shard, Staged, Ticket, Write,
};
use crate::event::murmur2;

/// How long is waited where the producer's queue has nothing.
const STEP: Duration = Duration::from_micros(500);

/// How long one flush waits before the delivery reports are taken that came meanwhile.
const FLUSH: Duration = Duration::from_millis(1);
/// After so many in vain the broker is away: it is waited for with less work, and elsewhere.
const MOST_VAIN: usize = 50;
const LONG_FLUSH: Duration = Duration::from_millis(20);

/// Bytes of records that may be under way.
const MOST_BYTES: usize = 32 << 20;

/// Ending a transaction is tried so often, so long each.
const END_TRIES: usize = 3;
const END_WAIT: Duration = Duration::from_secs(10);

/// How long the first contact of a transactional session may take: the predecessor's transaction ends in it.
const BEGIN_WAIT: Duration = Duration::from_secs(60);
const BEGIN_STEP: Duration = Duration::from_secs(5);
/// How long a new client is waited for before it begins with transactions.
const CONNECT_WAIT: Duration = Duration::from_secs(1);

/// The longest time-out of a transaction that brokers allow as they come (`transaction.max.timeout.ms`), and the
/// shortest that librdkafka takes.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(15 * 60);
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);

type Producer = Client<BaseProducer<Context>>;

/// What a session knows of a topic.
struct Topic {
    name: Name,
    destination: Destination,
    partitions: i32,
}

struct KafkaSession {
    ports: Ports,
    producer: Producer,
    deliveries: Arc<Deliveries>,
    transactional: bool,
    /// Whether a transaction is open.
    open: bool,
    topics: Vec<Topic>,
    /// Where each topic is in `topics`.
    places: HashMap<Name, usize>,
    /// The place of the last record's topic, which is mostly that of the next one, too.
    last: usize,
    /// Whether the profile says how records are compressed.
    compression_is_chosen: bool,
    answers: Answers,
    next_ticket: u64,
    /// Where the next record without a key goes.
    round_robin: i32,
    /// The first refusal since the last end of a transaction.
    refused: Option<BrokerError>,
    dead: Option<BrokerError>,
}

impl Ports {
    pub(super) async fn begin_session(&self, kind: SessionKind) -> Result<Box<dyn Session>, BrokerError> {
        let mut config = self.link.properties();
        let compression_is_chosen =
            ["compression.type", "compression.codec"].iter().any(|name| config.get(name).is_some());
        for (name, value) in [
            ("compression.type", "lz4"),
            // Records go when a batch is full or the queue is flushed. A thread of the client that waits for less than a
            // millisecond looks at the clock all the time: a short pause costs it a core.
            ("linger.ms", "20"),
            ("batch.size", "1000000"),
            ("queue.buffering.max.messages", "500000"),
            // The bound is kept here; the client's own must let one large record through.
            ("queue.buffering.max.kbytes", "262144"),
            // It counts bytes before compression; what is too large the broker says.
            ("message.max.bytes", "104857600"),
            ("topic.metadata.propagation.max.ms", "5000"),
        ] {
            if config.get(name).is_none() {
                config.set(name, value);
            }
        }
        config.set("enable.idempotence", "true").set("acks", "all");
        let transactional = match kind {
            SessionKind::Idempotent => {
                // In a transaction its time-out bounds this already.
                if config.get("message.timeout.ms").is_none() {
                    config.set("message.timeout.ms", "60000");
                }
                false
            }
            SessionKind::Transactional { id, timeout } => {
                let what = format!("begin transactions {id}");
                c_name(&id, &what)?;
                if timeout.is_zero() || timeout > LONGEST_TIMEOUT {
                    let why = "the time-out is not between 1 ms and transaction.max.timeout.ms (15 min)";
                    return Err(BrokerError::new(ErrorKind::Invalid, what, why));
                }
                let millis = timeout.max(SHORTEST_TIMEOUT).as_millis();
                if config.get("batch.num.messages").is_none() {
                    config.set("batch.num.messages", BATCH_RECORDS.to_string());
                }
                // Half of it is how long a client waits between two brokers that it connects to (`sparse_connect_intvl`).
                if config.get("reconnect.backoff.ms").is_none() {
                    config.set("reconnect.backoff.ms", "22");
                }
                config.set("transactional.id", id).set("transaction.timeout.ms", millis.to_string());
                true
            }
        };
        let (producer, deliveries) = self.link.producer(&config)?;
        if transactional {
            let starting = Arc::clone(&producer);
            let what = "begin transactions";
            self.link
                .blocking(what, BEGIN_WAIT, move |stop| start_transactions(&starting, stop))
                .await?
                .map_err(|error| errors::kafka(what, &error))?;
        }
        Ok(Box::new(KafkaSession {
            ports: self.clone(),
            producer,
            deliveries,
            transactional,
            open: false,
            topics: Vec::new(),
            places: HashMap::new(),
            last: 0,
            compression_is_chosen,
            answers: Vec::new(),
            next_ticket: 0,
            round_robin: -1,
            refused: None,
            dead: None,
        }))
    }
}

fn start_transactions(producer: &Producer, stop: &AtomicBool) -> Result<(), KafkaError> {
    // A client that is not connected when it is to ask for its coordinator asks half a second later
    // (`rd_kafka_txn_coord_query`), and now and then connects only after a second: it takes the coordinator, which has no
    // address yet, for a broker that it knew before (`rd_kafka_brokers_add0`). The first contact is with a broker by the
    // address of the profile, the second one with a broker by its id, as the coordinator is known.
    let client: &BaseProducer<Context> = producer;
    let _ = contact(client, CONNECT_WAIT) && contact(client, CONNECT_WAIT);
    let mut waited = Duration::ZERO;
    loop {
        let started = producer.init_transactions(BEGIN_STEP);
        producer.poll(Duration::ZERO);
        waited += BEGIN_STEP;
        match &started {
            Err(KafkaError::Transaction(error))
                if error.is_retriable() && waited < BEGIN_WAIT && !stop.load(Ordering::Relaxed) => {}
            _ => return started,
        }
    }
}

/// Runs `work` on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, BrokerError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| BrokerError::new(ErrorKind::Other, "produce", error.to_string()))
}

/// Polls until no more than `left` records are under way, or until so many looks in a row were in `vain`; says whether
/// it is done. librdkafka gives every record up after `message.timeout.ms`.
fn drain(producer: &Producer, left: usize, step: Duration, most_vain: usize) -> bool {
    let mut vain = 0;
    while producer.in_flight_count().try_into().unwrap_or(0) > left {
        if vain > most_vain {
            return false;
        }
        flush(producer, step);
        vain += 1;
        while takes_reports(producer) {
            vain = 0;
        }
    }
    true
}

/// Takes delivery reports; whether there were any.
fn takes_reports(producer: &Producer) -> bool {
    let before = producer.in_flight_count();
    producer.poll(Duration::ZERO);
    producer.in_flight_count() < before
}

/// Serves a delivery report; waits a moment where there is none. rust-rdkafka's own wait would look at the clock all
/// through its last millisecond (`Timeout::from(&Deadline)` rounds down to none): a core for each transaction under way.
fn serve(producer: &Producer) {
    if !takes_reports(producer) {
        std::thread::sleep(STEP);
    }
}

impl KafkaSession {
    fn usable(&self) -> Result<(), BrokerError> {
        self.dead.clone().map_or(Ok(()), Err)
    }

    /// Ends the session for good.
    fn die(&mut self, error: BrokerError) -> BrokerError {
        self.dead.get_or_insert(error).clone()
    }

    /// Takes the delivery reports, and what the client says of itself.
    fn collect(&mut self) -> Result<(), BrokerError> {
        for (tag, placed) in self.deliveries.take() {
            self.answer(Ticket(tag as u64), placed);
        }
        if let Some((code, words)) = self.producer.client().fatal_error() {
            return Err(self.die(errors::code("produce", code, words)));
        }
        Ok(())
    }

    fn answer(&mut self, ticket: Ticket, placed: Result<Placed, BrokerError>) {
        if let Err(error) = &placed {
            self.refused.get_or_insert_with(|| error.clone());
        }
        self.answers.push((ticket, placed));
    }

    /// Learns a topic's partitions, if it is not the last record's topic; writing creates none.
    async fn learn(&mut self, name: &Name) -> Result<(), BrokerError> {
        if self.topics.get(self.last).is_some_and(|topic| topic.name == *name) {
            return Ok(());
        }
        if let Some(place) = self.places.get(name) {
            self.last = *place;
            return Ok(());
        }
        let what = format!("produce to {name}");
        let c_name = c_name(name, &what)?;
        let sheets = self.ports.sheets(&what, [name]).await?;
        let sheet = sheets.get(&**name);
        if let Some(refusal) = sheet.and_then(|sheet| sheet.refusal.as_ref()) {
            return Err(missing(name, what, refusal));
        }
        let Some(sheet) = sheet else {
            // Tells it in the words of a topic that is not there.
            return exists(&sheets, &Shard::new(name.clone(), 0));
        };
        let partitions = i32::try_from(sheet.partitions.len()).unwrap_or(i32::MAX);
        let compression = self.compression(name).await;
        let Some(destination) = Destination::new(&self.producer, &c_name, compression) else {
            return Err(BrokerError::new(
                ErrorKind::Invalid,
                what,
                "the client does not take the topic's name",
            ));
        };
        self.last = self.topics.len();
        self.places.insert(Name::clone(name), self.last);
        self.topics.push(Topic { name: Name::clone(name), destination, partitions });
        Ok(())
    }

    /// The compression that the topic keeps its records in, where it says one: the broker then needs not compress them
    /// anew. What the profile says goes before it.
    async fn compression(&self, name: &Name) -> Option<&'static CStr> {
        if self.compression_is_chosen {
            return None;
        }
        let configs = self.ports.configs(std::slice::from_ref(name)).await.ok()?;
        let config = configs.into_iter().next()?.ok()?;
        match config.get("compression.type")?.value.as_deref()? {
            "zstd" => Some(c"zstd"),
            "gzip" => Some(c"gzip"),
            "snappy" => Some(c"snappy"),
            _ => None,
        }
    }

    fn place(&mut self, record: &dyn Outbound, partitions: i32) -> Result<i32, BrokerError> {
        let partition = match (record.partition(), record.key()) {
            (Some(partition), _) => partition,
            (None, Some(key)) => murmur2::partition(key, partitions).unwrap_or(0),
            (None, None) => {
                self.round_robin = self.round_robin.wrapping_add(1) & i32::MAX;
                self.round_robin % partitions.max(1)
            }
        };
        if (0..partitions).contains(&partition) {
            return Ok(partition);
        }
        let topic = record.topic();
        let why = format!("topic {topic} has no partition {partition}");
        Err(BrokerError::new(ErrorKind::UnknownPartition, format!("produce to {topic}"), why))
    }

    /// Queues a record; `Err` is the refusal of this record alone.
    async fn send(
        &mut self,
        ticket: Ticket,
        record: &dyn Outbound,
    ) -> Result<Result<(), BrokerError>, BrokerError> {
        match self.learn(record.topic()).await {
            Ok(()) => {}
            Err(error) if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::TimedOut) => {
                return Err(error);
            }
            Err(error) => return Ok(Err(error)),
        }
        let partitions = self.topics.get(self.last).map_or(0, |topic| topic.partitions);
        let partition = match self.place(record, partitions) {
            Ok(partition) => partition,
            Err(error) => return Ok(Err(error)),
        };
        if self.transactional && !self.open {
            let producer = Arc::clone(&self.producer);
            if let Err(error) = blocking(move || producer.begin_transaction()).await? {
                self.collect()?;
                return Err(errors::kafka("begin a transaction", &error));
            }
            self.open = true;
        }
        let size = record.key().map_or(0, <[u8]>::len) + record.value().map_or(0, <[u8]>::len);
        loop {
            let under_way = self.deliveries.bytes.load(Ordering::Relaxed);
            if under_way == 0 || under_way + size <= MOST_BYTES {
                let Some(topic) = self.topics.get(self.last) else { return Ok(Ok(())) };
                self.deliveries.bytes.fetch_add(size, Ordering::Relaxed);
                let sent = produce(&topic.destination, partition, record, ticket.0 as usize);
                let Err(refusal) = sent else { return Ok(Ok(())) };
                self.deliveries.bytes.fetch_sub(size, Ordering::Relaxed);
                if refusal.code != Code::QueueFull {
                    self.collect()?;
                    return Ok(Err(errors::refused(
                        format!("produce to {}[{partition}]", record.topic()),
                        refusal,
                    )));
                }
            }
            let producer = Arc::clone(&self.producer);
            blocking(move || serve(&producer)).await?;
            self.collect()?;
        }
    }

    async fn stage_one(&mut self, record: &dyn Outbound) -> Result<Ticket, BrokerError> {
        self.usable()?;
        if self.transactional
            && let Some(refused) = &self.refused
        {
            let why = format!("the transaction can only be aborted: {}", refused.why);
            return Err(BrokerError::new(ErrorKind::Other, "produce", why));
        }
        let ticket = Ticket(self.next_ticket);
        let sent = self.send(ticket, record).await?;
        self.next_ticket += 1;
        if let Err(error) = sent {
            self.answer(ticket, Err(error));
        }
        Ok(ticket)
    }

    async fn drain(&mut self, left: usize) -> Result<(), BrokerError> {
        // Reports free what was allocated to stage the records: on the thread that staged them this is much cheaper.
        let is_soon = || drain(&self.producer, left, FLUSH, MOST_VAIN);
        let is_done = Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread
            && tokio::task::block_in_place(is_soon);
        if !is_done {
            let producer = Arc::clone(&self.producer);
            blocking(move || drain(&producer, left, LONG_FLUSH, usize::MAX)).await?;
        }
        self.collect()
    }

    async fn end_by_commit(&mut self) -> Commit {
        let producer = Arc::clone(&self.producer);
        let ended = blocking(move || {
            let mut ended = producer.commit_transaction(END_WAIT);
            for _ in 1..END_TRIES {
                match &ended {
                    Err(KafkaError::Transaction(error)) if error.is_retriable() => {
                        ended = producer.commit_transaction(END_WAIT);
                    }
                    _ => break,
                }
            }
            ended
        })
        .await;
        let error = match ended {
            Ok(Ok(())) => {
                self.open = false;
                return Commit::Done;
            }
            Ok(Err(error)) => error,
            Err(error) => return Commit::Unknown(self.die(error)),
        };
        let told = errors::kafka("commit", &error);
        match &error {
            KafkaError::Transaction(e) if e.txn_requires_abort() && !e.is_fatal() => {
                self.refused.get_or_insert_with(|| told.clone());
                Commit::Aborted(told)
            }
            _ => self.dead_commit(told),
        }
    }

    fn dead_commit(&mut self, error: BrokerError) -> Commit {
        let fenced = error.kind == ErrorKind::Fenced;
        let error = self.die(error);
        if fenced { Commit::Fenced(error) } else { Commit::Unknown(error) }
    }
}

impl Session for KafkaSession {
    fn guarantee(&self) -> Guarantee {
        if self.transactional { Guarantee::ExactlyOnceReadCommitted } else { Guarantee::AtLeastOnceChecked }
    }

    fn stage(&mut self, write: Write) -> Fut<'_, Ticket> {
        Box::pin(async move { self.stage_one(&write).await })
    }

    fn stage_all<'a>(&'a mut self, records: &'a [&'a dyn Outbound]) -> Fut<'a, Staged> {
        Box::pin(async move {
            let mut staged = Staged { tickets: Vec::with_capacity(records.len()), stuck: None };
            for record in records {
                match self.stage_one(*record).await {
                    Ok(ticket) => staged.tickets.push(ticket),
                    Err(error) => {
                        staged.stuck = Some(error);
                        break;
                    }
                }
            }
            Ok(staged)
        })
    }

    fn settle_to(&mut self, left: usize) -> Fut<'_, Answers> {
        Box::pin(async move {
            self.usable()?;
            self.drain(left).await?;
            let mut answers = std::mem::take(&mut self.answers);
            // Those of each partition are in order already, which a stable sort makes use of.
            answers.sort_by_key(|(ticket, _)| *ticket);
            Ok(answers)
        })
    }

    fn commit(&mut self) -> Fut<'_, Commit> {
        Box::pin(async move {
            self.usable()?;
            if let Err(error) = self.drain(0).await {
                return Ok(self.dead_commit(error));
            }
            if let Some(error) = self.refused.clone() {
                if !self.transactional {
                    self.refused = None;
                }
                return Ok(Commit::Aborted(error));
            }
            Ok(if self.open { self.end_by_commit().await } else { Commit::Done })
        })
    }

    fn abort(&mut self) -> Fut<'_, ()> {
        Box::pin(async move {
            self.usable()?;
            if self.open {
                let producer = Arc::clone(&self.producer);
                let ended = blocking(move || abort(&producer)).await?;
                self.collect()?;
                ended.map_err(|error| self.die(errors::kafka("abort", &error)))?;
                self.open = false;
            } else {
                self.drain(0).await?;
            }
            self.answers.clear();
            self.refused = None;
            Ok(())
        })
    }
}

/// Aborts. What is queued is given up by librdkafka, which waits for its reports to be taken meanwhile.
fn abort(producer: &Producer) -> Result<(), KafkaError> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                serve(producer);
            }
        });
        let mut ended = producer.abort_transaction(END_WAIT);
        for _ in 1..END_TRIES {
            match &ended {
                Err(KafkaError::Transaction(error)) if error.is_retriable() => {
                    ended = producer.abort_transaction(END_WAIT);
                }
                _ => break,
            }
        }
        over.store(true, Ordering::Relaxed);
        ended
    })
}
