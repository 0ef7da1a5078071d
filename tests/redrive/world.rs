//! A small world of a topic, its dead letters and an operator, on the embedded broker and tokio's paused time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redrive::ask::{Answer, Desk, Event, Request};
use redrive::broker::memory::MemoryBroker;
use redrive::broker::{Broker, Commit, Name, NewTopic, ReadPlan, SessionKind, Shard, Span, Until, Write};
use redrive::config::profile::Profile;
use redrive::context::{Cx, Operator, Silent};
use redrive::event::{Headers, Record};
use redrive::filter::Selection;
use redrive::ledger::{AUDIT_TOPIC, LEDGER_TOPIC};
use redrive::letters::document::LettersRequest;
use redrive::letters::ledger::LedgerReader;
use redrive::redrive::control::Control;
use redrive::redrive::document::{Into, PlanAnswer, PlanRequest, RunAnswer, RunRequest, RunsAnswer};
use redrive::redrive::options::Options;
use redrive::redrive::plan::Plan;
use redrive::text::{Clock, Fault, Timestamp};
use tokio_util::sync::CancellationToken;

pub const SOURCE: &str = "orders-dlt";
pub const TARGET: &str = "orders";

struct PausedClock(tokio::time::Instant);

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_795_525_331_000 + self.0.elapsed().as_millis() as i64)
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The world.
pub struct World {
    pub memory: Arc<MemoryBroker>,
    clock: Arc<dyn Clock>,
}

/// A dead letter to be made.
#[derive(Clone)]
pub struct Dead {
    pub partition: i32,
    pub key: Option<&'static str>,
    pub value: Option<Bytes>,
    pub topic: &'static str,
    pub origin: (i32, i64),
    pub group: Option<&'static str>,
    pub error: &'static str,
}

impl Dead {
    pub fn new(partition: i32, key: &'static str, origin: (i32, i64)) -> Self {
        let value = format!("{key}@{}:{}", origin.0, origin.1);
        let value = Some(Bytes::from(value));
        Self { partition, key: Some(key), value, topic: TARGET, origin, group: None, error: "a.Broken" }
    }
}

impl World {
    /// `orders` with three partitions, `orders-dlt` with two, nothing in them.
    pub async fn empty() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(PausedClock(tokio::time::Instant::now()));
        let world = Self { memory: MemoryBroker::new(Arc::clone(&clock), 64 << 20), clock };
        world.create(TARGET, 3, &[]).await;
        world.create(SOURCE, 2, &[]).await;
        world
    }

    /// Twelve letters of three keys.
    pub async fn new() -> Self {
        let world = Self::empty().await;
        for i in 0..12 {
            let key = ["a", "b", "c"][i as usize % 3];
            world.bury(&[Dead::new(i % 2, key, (i % 3, i64::from(i)))]).await;
        }
        world
    }

    pub fn broker(&self) -> Arc<dyn Broker> {
        self.memory.broker()
    }

    pub fn cx(&self, operator: &str) -> Cx {
        self.cx_on(self.memory.broker(), operator)
    }

    pub fn cx_on(&self, broker: Arc<dyn Broker>, operator: &str) -> Cx {
        Cx {
            broker,
            clock: Arc::clone(&self.clock),
            profile: Arc::new(Profile::new("test", Vec::new())),
            operator: Arc::new(Operator {
                name: operator.to_owned(),
                os_user: operator.to_owned(),
                host: "here".to_owned(),
            }),
        }
    }

    pub async fn create(&self, name: &str, partitions: i32, config: &[(&str, &str)]) {
        let topic = NewTopic {
            name: name.into(),
            partitions,
            replication: None,
            config: config.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        };
        let broker = self.broker();
        for made in broker.writer().unwrap().create_topics(&[topic]).await.unwrap() {
            made.unwrap();
        }
    }

    pub async fn delete(&self, name: &str) {
        let broker = self.broker();
        for gone in broker.writer().unwrap().delete_topics(&[name.into()]).await.unwrap() {
            gone.unwrap();
        }
    }

    pub async fn produce(&self, write: Write) {
        let broker = self.broker();
        let mut session = broker.writer().unwrap().begin(SessionKind::Idempotent).await.unwrap();
        session.stage(write).await.unwrap();
        for (_, placed) in session.settle().await.unwrap() {
            placed.unwrap();
        }
        assert_eq!(session.commit().await.unwrap(), Commit::Done);
    }

    /// Writes dead letters as Spring Kafka does.
    pub async fn bury(&self, letters: &[Dead]) {
        for letter in letters {
            let mut headers = Headers::default();
            let bytes = |b: &[u8]| Some(Bytes::copy_from_slice(b));
            headers.push("trace", bytes(b"t-1"));
            headers.push("kafka_dlt-original-topic", bytes(letter.topic.as_bytes()));
            headers.push("kafka_dlt-original-partition", bytes(&letter.origin.0.to_be_bytes()));
            headers.push("kafka_dlt-original-offset", bytes(&letter.origin.1.to_be_bytes()));
            headers.push("kafka_dlt-exception-fqcn", bytes(letter.error.as_bytes()));
            if let Some(group) = letter.group {
                headers.push("kafka_dlt-original-consumer-group", bytes(group.as_bytes()));
            }
            self.produce(Write {
                topic: SOURCE.into(),
                partition: Some(letter.partition),
                key: letter.key.map(Bytes::from),
                value: letter.value.clone(),
                headers,
                timestamp: None,
            })
            .await;
        }
    }

    pub fn request() -> PlanRequest {
        PlanRequest {
            letters: LettersRequest {
                topic: SOURCE.into(),
                selection: Selection::default(),
                failure: None,
                state: Some(redrive::ledger::Disposition::Pending),
            },
            only: None,
            into: Into::Origin,
            replay: false,
            options: Options::default(),
            compare_all: false,
            check_budget_ms: 30_000,
            save: None,
        }
    }

    pub async fn plan_with(&self, request: PlanRequest) -> Result<Arc<PlanAnswer>, Fault> {
        let desk = Desk::new(self.cx("ada"));
        match desk.answer(Request::Plan(request), &|_| {}, CancellationToken::new()).await? {
            Answer::Plan(answer) => Ok(answer),
            _ => panic!("another answer"),
        }
    }

    pub async fn plan(&self) -> Arc<PlanAnswer> {
        self.plan_with(Self::request()).await.unwrap()
    }

    pub async fn run(&self, plan: &Arc<Plan>) -> Result<RunAnswer, Fault> {
        self.run_as("ada", plan, true, &CancellationToken::new()).await
    }

    pub async fn run_as(
        &self,
        operator: &str,
        plan: &Arc<Plan>,
        take_over: bool,
        cancel: &CancellationToken,
    ) -> Result<RunAnswer, Fault> {
        self.run_on(self.cx(operator), plan, take_over, &|_| {}, cancel).await
    }

    pub async fn run_on(
        &self,
        cx: Cx,
        plan: &Arc<Plan>,
        take_over: bool,
        tell: &(dyn Fn(Event) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<RunAnswer, Fault> {
        self.run_with(cx, plan, (take_over, false, Control::default()), tell, cancel).await
    }

    pub async fn run_with(
        &self,
        cx: Cx,
        plan: &Arc<Plan>,
        (take_over, may_ask, control): (bool, bool, Control),
        tell: &(dyn Fn(Event) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<RunAnswer, Fault> {
        let reason = Some("fixed".to_owned());
        let request = RunRequest { plan: Arc::clone(plan), reason, take_over, may_ask, control };
        match Desk::new(cx).answer(Request::Run(request), tell, cancel.clone()).await? {
            Answer::Run(answer) => Ok((*answer).clone()),
            _ => panic!("another answer"),
        }
    }

    pub async fn runs(&self) -> Arc<RunsAnswer> {
        match Desk::new(self.cx("ada")).answer(Request::Runs, &|_| {}, CancellationToken::new()).await {
            Ok(Answer::Runs(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }

    /// All committed records of a topic.
    pub async fn read(&self, topic: &str) -> Vec<Record> {
        let broker = self.broker();
        let topics = broker.catalog().topics(Some(&[topic.into()])).await.unwrap();
        let spans = topics[0].partitions.iter().map(|p| Span {
            shard: Shard::new(topic, p.partition),
            from: 0,
            until: Until::End,
        });
        let plan = ReadPlan::new(spans.collect());
        let mut batches = broker.reader().open(plan, CancellationToken::new()).await.unwrap();
        let mut out = Vec::new();
        while let Some(batch) = batches.next().await.unwrap() {
            out.extend(batch.records);
        }
        out
    }

    /// End offsets of everything that a run writes to.
    pub async fn ends(&self) -> Vec<i64> {
        let broker = self.broker();
        let mut shards: Vec<Shard> = (0..3).map(|p| Shard::new(TARGET, p)).collect();
        shards.extend([LEDGER_TOPIC, AUDIT_TOPIC].map(|t| Shard::new(t, 0)));
        let bounds = broker.catalog().bounds(&shards).await.unwrap();
        bounds.into_iter().map(|b| b.map_or(-1, |b| b.end)).collect()
    }

    pub async fn ledger(&self) -> LedgerReader {
        let mut reader = LedgerReader::new(self.cx("auditor"));
        reader.refresh(&Silent, &CancellationToken::new()).await.unwrap();
        reader
    }

    pub async fn topic_id(&self, topic: &str) -> Name {
        let ids = self.broker().catalog().topic_ids(&[topic.into()]).await.unwrap();
        ids.into_iter().next().unwrap().unwrap().0
    }

    /// Every letter of the plan is on the target once, in the order of its key, and the ledger says where.
    pub async fn assert_exactly_once(&self, plan: &Plan) {
        let records = self.read(TARGET).await;
        let reader = self.ledger().await;
        let ledger = reader.ledger().unwrap();
        let source = plan.header.source.topic_id.clone().unwrap();
        let mut last: std::collections::HashMap<i32, i64> = std::collections::HashMap::new();
        for letter in &plan.letters {
            let id = format!("{source}:{}:{}", letter.partition, letter.offset);
            let sent: Vec<&Record> = records
                .iter()
                .filter(|r| r.headers.last("redrive-id").is_some_and(|v| v == id.as_bytes()))
                .collect();
            assert_eq!(sent.len(), 1, "letter {id}");
            let row = ledger.get(&source, letter.partition, letter.offset).expect("a row");
            let target = row.target.expect("a target");
            let at = (&**target.topic, target.partition, target.offset);
            assert_eq!(at, (TARGET, sent[0].at.partition, sent[0].at.offset));
            assert_eq!(at.1, letter.target_partition);
            let before = last.insert(at.1, at.2);
            assert!(before.is_none_or(|b| b < at.2), "the order of {id}");
        }
        assert_eq!(records.len(), plan.letters.len());
        assert_eq!(ledger.violations(), 0);
    }
}
