//! The connection's clients: what they share, and the one that asks.
//!
//! A client's own queue must be polled, or its log lines, errors and token requests are never served. So the
//! client for metadata and administration has a thread that does nothing else; rust-rdkafka's `AdminClient`
//! has none (rust-rdkafka issue 757), and is not used.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseProducer, NoCustomPartitioner, ProducerContext};
use rdkafka::statistics::Statistics;

use super::ffi::{self, Native};
use super::health::Health;
use super::oauth::Tokens;
use super::reaper::Reaped;
use super::request::{Ask, Refusal, Told};
use super::traffic::Traffic;
use super::{errors, settings};
use crate::broker::{BrokerError, ErrorKind, Placed};
use crate::config::profile::{Profile, Sasl};
use crate::text::Clock;

/// How long an administrative call may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// How often, and in what distance, a group's coordinator is looked for that is just being chosen.
pub(super) const COORDINATOR_TRIES: usize = 25;
pub(super) const COORDINATOR_WAIT: Duration = Duration::from_millis(200);

/// How often a waiting call looks whether it makes sense to wait.
const LOOK: Duration = Duration::from_millis(50);

/// How often the requests are counted.
const COUNT_EVERY_MS: &str = "1000";

/// Administrative calls that block a thread at the same time.
const AT_ONCE: usize = 8;

/// What a client tells.
pub(super) struct Context {
    health: Arc<Health>,
    deliveries: Arc<Deliveries>,
    /// Where its requests are counted; the client that asks has one.
    traffic: Option<Arc<Traffic>>,
}

/// Delivery reports of one producer.
#[derive(Default)]
pub(super) struct Deliveries {
    done: Mutex<Vec<Delivery>>,
    /// Bytes of the records that are under way.
    pub(super) bytes: AtomicUsize,
}

/// The tag of a record, and where it was placed.
pub(super) type Delivery = (usize, Result<Placed, BrokerError>);

impl Deliveries {
    /// The reports since the last call.
    pub(super) fn take(&self) -> Vec<Delivery> {
        std::mem::take(&mut *self.done.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(target: "librdkafka", %error, reason);
        if let Some(code) = error.rdkafka_error_code() {
            self.health.tell(code, reason);
        }
    }

    fn stats(&self, statistics: Statistics) {
        if let Some(traffic) = &self.traffic {
            traffic.count(statistics.brokers.values().map(|broker| broker.tx).sum());
        }
    }
}

impl ConsumerContext for Context {}

impl ProducerContext<NoCustomPartitioner> for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: usize) {
        let (message, report) = match result {
            Ok(message) => (message, Ok(Placed { partition: message.partition(), offset: message.offset() })),
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(rdkafka::error::RDKafkaErrorCode::Unknown);
                let what = format!("produce to {}[{}]", message.topic(), message.partition());
                (message, Err(errors::code(what, code, ffi::Look::of(message).words())))
            }
        };
        self.deliveries.bytes.fetch_sub(message.payload_len() + message.key_len(), Ordering::Relaxed);
        self.deliveries.done.lock().unwrap_or_else(PoisonError::into_inner).push((tag, report));
    }
}

/// A connection to a cluster, shared by all ports.
pub(super) struct Link {
    base: ClientConfig,
    pub(super) health: Arc<Health>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) clock: Arc<dyn Clock>,
    tokens: Option<Arc<Tokens>>,
    /// Asks; its queue is polled.
    asking: Arc<Reaped<BaseConsumer<Context>>>,
    permits: Arc<tokio::sync::Semaphore>,
    closed: Arc<AtomicBool>,
}

impl Link {
    /// Makes the clients; no broker has answered yet. It blocks while a token is fetched.
    pub(super) fn new(profile: &Profile, clock: Arc<dyn Clock>) -> Result<Self, BrokerError> {
        let base = settings::base(profile)?;
        let health = Arc::new(Health::default());
        let tokens = match &profile.connection.sasl {
            Some(sasl @ Sasl::OAuthBearer { .. }) => {
                let timeout = profile.connection.timeout;
                Some(Tokens::begin(sasl, timeout, Arc::clone(&clock), Arc::clone(&health))?)
            }
            _ => None,
        };
        let traffic = Arc::new(Traffic::begin(Arc::clone(&clock)));
        let context = Context {
            health: Arc::clone(&health),
            deliveries: Arc::default(),
            traffic: Some(Arc::clone(&traffic)),
        };
        // A group id although it never joins: where a group's coordinator has moved, librdkafka 2.12 tells that to its
        // own group's state, and without a group id that is a null pointer (`rd_kafka_handle_OffsetFetch`).
        let mut config = base.clone();
        config.set("group.id", format!("redrive-ro-{}", uuid::Uuid::new_v4()));
        // With sparse connections a request that waits for a broker makes librdkafka 2.12 connect again without any
        // pause while the broker is gone (`RD_KAFKA_OP_CONNECT` clears the back-off): half a core for nothing.
        config.set("enable.sparse.connections", "false");
        config.set("statistics.interval.ms", COUNT_EVERY_MS);
        let asking = BaseConsumer::from_config_and_context(&config, context)
            .map_err(|error| errors::kafka("connect", &error))?;
        let asking = Arc::new(Reaped::new(asking));
        if let Some(tokens) = &tokens {
            tokens.adopt(&asking)?;
        }
        let closed = Arc::new(AtomicBool::new(false));
        poll(&asking, &closed)?;
        let permits = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        Ok(Self { base, health, traffic, clock, tokens, asking, permits, closed })
    }

    /// Properties for another client of this connection.
    pub(super) fn properties(&self) -> ClientConfig {
        self.base.clone()
    }

    /// Makes a consumer whose log lines come out of the asking client.
    pub(super) fn consumer(
        &self,
        config: &ClientConfig,
    ) -> Result<Client<BaseConsumer<Context>>, BrokerError> {
        self.open()?;
        let context = Context { health: Arc::clone(&self.health), deliveries: Arc::default(), traffic: None };
        let consumer = BaseConsumer::from_config_and_context(config, context)
            .map_err(|error| errors::kafka("open a consumer", &error))?;
        ffi::forward_log(&consumer, &**self.asking);
        self.adopted(consumer)
    }

    /// Makes a producer with the place where its delivery reports arrive.
    pub(super) fn producer(
        &self,
        config: &ClientConfig,
    ) -> Result<(Client<BaseProducer<Context>>, Arc<Deliveries>), BrokerError> {
        self.open()?;
        let deliveries = Arc::<Deliveries>::default();
        let context =
            Context { health: Arc::clone(&self.health), deliveries: Arc::clone(&deliveries), traffic: None };
        let producer = BaseProducer::from_config_and_context(config, context)
            .map_err(|error| errors::kafka("open a producer", &error))?;
        Ok((self.adopted(producer)?, deliveries))
    }

    fn adopted<T: Native + Send + Sync + 'static>(&self, client: T) -> Result<Client<T>, BrokerError> {
        let client = Arc::new(Reaped::new(client));
        if let Some(tokens) = &self.tokens {
            tokens.adopt(&client)?;
        }
        Ok(client)
    }

    /// Whether the connection is still open.
    pub(super) fn open(&self) -> Result<(), BrokerError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(BrokerError::new(ErrorKind::Unreachable, "connect", "the connection was closed"));
        }
        Ok(())
    }

    /// Ends the connection; clients of reads and sessions end with these.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(tokens) = &self.tokens {
            tokens.end();
        }
    }

    /// Sends requests together and gives their answers in order. A refusal that concerns all of them because
    /// no broker can be reached or lets the user in is the outer error.
    pub(super) async fn ask(
        &self,
        what: &str,
        asks: Vec<Ask>,
        deadline: Duration,
    ) -> Result<Vec<Result<Told, Refusal>>, BrokerError> {
        let mut answers = self.ask_once(what, asks.clone(), deadline).await?;
        for _ in 0..COORDINATOR_TRIES {
            let moving = |answer: &Result<Told, Refusal>| answer.as_ref().is_err_and(Refusal::is_moving);
            let places: Vec<usize> =
                answers.iter().enumerate().filter(|(_, a)| moving(a)).map(|(place, _)| place).collect();
            if places.is_empty() {
                break;
            }
            tokio::time::sleep(COORDINATOR_WAIT).await;
            let again = places.iter().filter_map(|place| asks.get(*place).cloned()).collect();
            for (place, answer) in places.iter().zip(self.ask_once(what, again, deadline).await?) {
                if let Some(old) = answers.get_mut(*place) {
                    *old = answer;
                }
            }
        }
        Ok(answers)
    }

    async fn ask_once(
        &self,
        what: &str,
        asks: Vec<Ask>,
        deadline: Duration,
    ) -> Result<Vec<Result<Told, Refusal>>, BrokerError> {
        let client = Arc::clone(&self.asking);
        let calls = asks.len();
        tracing::debug!(what, calls, "asking");
        let answers =
            self.blocking(what, deadline, move |stop| ffi::ask(&**client, &asks, deadline, stop)).await?;
        tracing::debug!(what, calls, "answered");
        if answers.iter().any(Result::is_ok) || answers.is_empty() {
            self.health.well();
        } else if let Some(trouble) = self.health.now() {
            return Err(named(what, trouble));
        }
        Ok(answers)
    }

    /// Sends requests from a thread that may block.
    pub(super) fn ask_now(
        &self,
        asks: Vec<Ask>,
        deadline: Duration,
        stop: &AtomicBool,
    ) -> Vec<Result<Told, Refusal>> {
        ffi::ask(&**self.asking, &asks, deadline, stop)
    }

    /// Sends one request.
    pub(super) async fn ask_one(&self, what: &str, ask: Ask) -> Result<Told, BrokerError> {
        let mut answers = self.ask(what, vec![ask], DEADLINE).await?;
        let answer = answers.pop().unwrap_or_else(|| Err(Refusal::no_answer()));
        answer.map_err(|refusal| errors::refused(what, refusal))
    }

    /// Asks through rust-rdkafka's safe calls.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        what: &str,
        work: impl FnOnce(&BaseConsumer<Context>, Duration) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let client = Arc::clone(&self.asking);
        let answer = self.blocking(what, DEADLINE, move |_| work(&client, DEADLINE)).await?;
        match answer {
            Ok(answer) => {
                self.health.well();
                Ok(answer)
            }
            Err(error) => Err(match self.health.now() {
                Some(trouble) => named(what, trouble),
                None => errors::kafka(what, &error),
            }),
        }
    }

    /// Runs `work` on a thread that may block, and gives up when it makes no sense to wait. `work` ends then
    /// by its flag or its own deadline.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        what: &str,
        deadline: Duration,
        work: impl FnOnce(&AtomicBool) -> T + Send + 'static,
    ) -> Result<T, BrokerError> {
        self.open()?;
        let stop = Stop::default();
        let flag = Arc::clone(&stop.0);
        let permits = Arc::clone(&self.permits);
        let task = async move {
            let permit = permits.acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                let done = work(&flag);
                drop(permit);
                done
            })
            .await
        };
        let mut task = std::pin::pin!(task);
        let mut waited = Duration::ZERO;
        let mark = self.health.mark();
        loop {
            tokio::select! {
                done = &mut task => {
                    return done.map_err(|e| BrokerError::new(ErrorKind::Other, what, e.to_string()));
                }
                () = tokio::time::sleep(LOOK) => waited += LOOK,
            }
            self.open()?;
            if let Some(trouble) = self.health.gives_up(mark, waited) {
                return Err(named(what, trouble));
            }
            if waited > deadline + Duration::from_secs(2) {
                return Err(errors::refused(what, Refusal::no_answer()));
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}

/// A client that is destroyed on the reaper when its last user lets go.
pub(super) type Client<T> = Arc<Reaped<T>>;

/// Tells the work of a future that was dropped to end.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The same trouble, as the answer of another call.
pub(super) fn named(what: &str, trouble: BrokerError) -> BrokerError {
    BrokerError { what: what.to_owned(), ..trouble }
}

/// Polls the asking client until the connection is closed.
fn poll(client: &Client<BaseConsumer<Context>>, closed: &Arc<AtomicBool>) -> Result<(), BrokerError> {
    let (client, closed) = (Arc::clone(client), Arc::clone(closed));
    let work = move || {
        while !closed.load(Ordering::Relaxed) {
            // Events are served inside; without an assignment there are no records.
            drop(client.poll(Duration::from_millis(250)));
        }
    };
    std::thread::Builder::new()
        .name("kafka-poll".to_owned())
        .spawn(work)
        .map(drop)
        .map_err(|error| BrokerError::new(ErrorKind::Other, "connect", error.to_string()))
}
