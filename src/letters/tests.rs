//! The index of dead letters on the embedded broker.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::document::{FailuresAnswer, FailuresRequest, LettersAnswer, LettersRequest};
use super::outcome::Outcome;
use super::{Index, letter_json};
use crate::broker::memory::MemoryBroker;
use crate::broker::memory::fault::Op;
use crate::broker::{Broker, ErrorKind, Name, NewTopic, SessionKind, Shard, Write};
use crate::config::profile::{DeadLetters, Profile};
use crate::context::{Cx, Operator, Silent};
use crate::dlq::groups::{DlqRow, FoundBy};
use crate::event::{Headers, Position};
use crate::filter::{Edge, Selection};
use crate::ledger::row::{HeaderRow, Key, LetterRow, RootAt, TargetAt};
use crate::ledger::{Disposition, FORMAT_VERSION, LEDGER_TOPIC};
use crate::text::{Clock, Fault, Timestamp};

/// Runs with tokio's paused time.
struct PausedClock(tokio::time::Instant);

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_795_525_331_000 + self.0.elapsed().as_millis() as i64)
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

struct Bench {
    memory: Arc<MemoryBroker>,
    broker: Arc<dyn Broker>,
    index: Index,
}

fn bench_with(dead_letters: DeadLetters) -> Bench {
    let clock: Arc<dyn Clock> = Arc::new(PausedClock(tokio::time::Instant::now()));
    let memory = MemoryBroker::new(Arc::clone(&clock), 64 << 20);
    let broker = memory.broker();
    let mut profile = Profile::new("t", vec![]);
    profile.dead_letters = dead_letters;
    let operator = Operator { name: "t".into(), os_user: "t".into(), host: "t".into() };
    let cx =
        Cx { broker: Arc::clone(&broker), clock, profile: Arc::new(profile), operator: Arc::new(operator) };
    Bench { memory, broker, index: Index::new(cx) }
}

fn bench() -> Bench {
    bench_with(DeadLetters::default())
}

/// A record as Spring Kafka's recoverer writes it, for a failure of class `class` at `orders[0] @ offset`.
fn letter(class: &str, offset: i64, key: &str) -> Write {
    let mut headers = Headers::default();
    let mut add = |name: &str, value: &[u8]| {
        headers.push(name.to_owned(), Some(Bytes::copy_from_slice(value)));
    };
    add("kafka_dlt-original-topic", b"orders");
    add("kafka_dlt-original-partition", &0_i32.to_be_bytes());
    add("kafka_dlt-original-offset", &offset.to_be_bytes());
    add("kafka_dlt-original-timestamp", &1_795_525_000_000_i64.to_be_bytes());
    add("kafka_dlt-original-consumer-group", b"email");
    add("kafka_dlt-exception-fqcn", b"org.springframework.kafka.listener.ListenerExecutionFailedException");
    add("kafka_dlt-exception-cause-fqcn", class.as_bytes());
    add("kafka_dlt-exception-message", b"it failed");
    Write { headers, ..plain(key, "{\"total\":12}") }
}

fn plain(key: &str, value: &str) -> Write {
    Write {
        topic: "".into(),
        partition: Some(0),
        key: Some(Bytes::from(key.to_owned())),
        value: Some(Bytes::from(value.to_owned())),
        headers: Headers::default(),
        timestamp: None,
    }
}

impl Bench {
    async fn create(&self, topic: &str, config: &[(&str, &str)]) {
        let config = config.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let topic = NewTopic { name: topic.into(), partitions: 1, replication: None, config };
        self.broker.writer().unwrap().create_topics(&[topic]).await.unwrap().remove(0).unwrap();
    }

    async fn put(&self, topic: &str, writes: impl IntoIterator<Item = Write>) {
        let mut session = self.broker.writer().unwrap().begin(SessionKind::Idempotent).await.unwrap();
        for write in writes {
            session.stage(Write { topic: topic.into(), ..write }).await.unwrap();
        }
        assert!(session.settle().await.unwrap().iter().all(|(_, placed)| placed.is_ok()));
        session.commit().await.unwrap();
    }

    async fn refresh(&self) -> Vec<DlqRow> {
        self.index.refresh(None, &Silent, &CancellationToken::new()).await.unwrap();
        self.index.rows().to_vec()
    }

    async fn found(&self) -> Vec<(String, FoundBy)> {
        self.refresh().await.into_iter().map(|r| (r.topic.to_string(), r.found_by)).collect()
    }

    async fn failures(&self, selection: Selection) -> FailuresAnswer {
        let request = FailuresRequest { topic: "orders-dlt".into(), selection, state: None };
        self.index.failures(&request, &Silent, &CancellationToken::new()).await.unwrap()
    }

    async fn letters(
        &self,
        state: Option<Disposition>,
        selection: Selection,
    ) -> Result<LettersAnswer, Fault> {
        let request = LettersRequest { topic: "orders-dlt".into(), selection, failure: None, state };
        self.index.letters(&request, &Silent, &CancellationToken::new()).await
    }

    async fn offsets(&self, selection: Selection) -> Vec<i64> {
        let answer = self.letters(None, selection).await.unwrap();
        answer.letters.iter().map(|l| l.letter.record.at.offset).collect()
    }

    /// Writes rows of the ledger: offset in `orders-dlt`, disposition, offset in `orders`.
    async fn decide(&self, rows: &[(i64, Disposition, Option<i64>)]) {
        let catalog = self.broker.catalog();
        let cluster = catalog.cluster().await.unwrap().id;
        let topic = catalog.topic_ids(&["orders-dlt".into()]).await.unwrap().remove(0).unwrap().0;
        let mut writes = vec![row(Key::Header.encode(), HeaderRow::current("test").encode())];
        for (offset, disposition, target) in rows {
            let target = target.map(|offset| TargetAt {
                topic: "orders".into(),
                topic_id: None,
                partition: 0,
                offset,
            });
            let value = LetterRow {
                v: FORMAT_VERSION,
                disposition: *disposition,
                run: "r-1".into(),
                operator: "ada".into(),
                reason: None,
                sha256_before: "".into(),
                sha256_after: None,
                target,
                root: RootAt::default(),
                group: Some("email".into()),
                count: 1,
                earlier: Vec::new(),
                program: "test".into(),
                time_ms: 5,
            };
            writes.push(row(Key::letter(&cluster, &topic, 0, *offset).encode(), value.encode()));
        }
        self.put(LEDGER_TOPIC, writes).await;
    }
}

fn row(key: Bytes, value: Bytes) -> Write {
    Write { key: Some(key), value: Some(value), ..plain("", "") }
}

const TIMEOUT: &str = "java.net.SocketTimeoutException";
const NULL: &str = "java.lang.NullPointerException";

#[tokio::test(start_paused = true)]
async fn topics_are_found_by_their_name_their_records_and_their_configuration() {
    let b = bench();
    for topic in ["orders", "orders-dlt", "graves", "__internal-dlt", "orders-retry-0"] {
        b.create(topic, &[]).await;
    }
    b.create("dlq.share", &[("errors.deadletterqueue.group.enable", "true")]).await;
    b.put("orders", (0..20).map(|_| plain("k", "v"))).await;
    b.put("graves", (0..20).map(|i| letter(TIMEOUT, i, "k"))).await;
    let wanted =
        [("dlq.share", FoundBy::Config), ("graves", FoundBy::Headers), ("orders-dlt", FoundBy::Name)];
    assert_eq!(b.found().await, wanted.map(|(t, by)| (t.to_owned(), by)));
}

#[tokio::test(start_paused = true)]
async fn a_pointer_that_names_its_topic_by_id_is_read_with_the_name() {
    let b = bench();
    b.create("orders", &[]).await;
    b.create("dlq.orders", &[("errors.deadletterqueue.group.enable", "true")]).await;
    let id = b.broker.catalog().topic_ids(&["orders".into()]).await.unwrap().remove(0).unwrap().0;
    let mut headers = Headers::default();
    for (name, value) in [("topic", &*id), ("partition", "0"), ("offset", "4"), ("group", "couriers")] {
        headers.push(format!("__dlq.errors.{name}"), Some(Bytes::from(value.to_owned())));
    }
    b.put("dlq.orders", [Write { key: None, value: None, headers, ..plain("", "") }]).await;
    assert_eq!(*b.refresh().await[0].sources, ["orders".into()]);
    let at = Position::new("dlq.orders", 0, 0);
    let row = b.index.letter(&at, &Silent, &CancellationToken::new()).await.unwrap().unwrap();
    assert_eq!(row.letter.root.position(), Some(Position::new("orders", 0, 4)));
    assert!(row.letter.notes.iter().any(|note| note.contains(&*id)));
}

#[tokio::test(start_paused = true)]
async fn the_ledger_leads_from_a_letter_to_what_came_back_and_from_there_to_the_first() {
    let b = bench();
    b.create("orders-dlt", &[]).await;
    b.create(LEDGER_TOPIC, &[("cleanup.policy", "compact")]).await;
    // The second failed where a redrive of the first wrote it, the third where one of the second did.
    b.put("orders-dlt", [letter(TIMEOUT, 4, "k"), letter(TIMEOUT, 50, "k"), letter(TIMEOUT, 60, "k")]).await;
    b.put("orders-dlt", [letter(TIMEOUT, 9, "other")]).await;
    b.decide(&[(0, Disposition::Redriven, Some(50)), (1, Disposition::Redriven, Some(60))]).await;
    b.refresh().await;
    let cancel = CancellationToken::new();
    for (own, expected) in [(0, ["later", "later"]), (1, ["earlier", "later"]), (2, ["earlier", "earlier"])] {
        let at = Position::new("orders-dlt", 0, own);
        let row = b.index.letter(&at, &Silent, &cancel).await.unwrap().unwrap();
        let lineage = b.index.lineage(&row.letter, &Silent, &cancel).await.unwrap();
        let mut same = lineage.same_root.clone();
        same.sort_by_key(|s| s.position.offset);
        assert_eq!(same.iter().filter_map(|s| s.when).collect::<Vec<_>>(), expected, "{own}");
        assert!(same.iter().all(|s| s.by == "redrive" && s.position.offset < 3), "{same:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_operators_word_comes_before_every_sign() {
    let b = bench_with(DeadLetters {
        patterns: vec!["*-kaputt".into()],
        adopt: vec!["cellar".into()],
        ignore: vec!["orders-dlt".into()],
        ..DeadLetters::default()
    });
    for topic in ["cellar", "orders-dlt", "mail-kaputt"] {
        b.create(topic, &[]).await;
    }
    b.put("orders-dlt", [letter(TIMEOUT, 1, "k")]).await;
    let found = b.found().await;
    assert_eq!(found, [("cellar".into(), FoundBy::Adopted), ("mail-kaputt".into(), FoundBy::Name)]);
}

#[tokio::test(start_paused = true)]
async fn a_new_topic_is_found_and_one_that_is_gone_leaves() {
    let b = bench();
    b.create("orders-dlt", &[]).await;
    assert_eq!(b.found().await.len(), 1);
    b.create("mail-dlt", &[]).await;
    b.broker.writer().unwrap().delete_topics(&["orders-dlt".into()]).await.unwrap().remove(0).unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(b.found().await, [("mail-dlt".into(), FoundBy::Name)]);
}

#[tokio::test(start_paused = true)]
async fn letters_are_counted_once_and_new_ones_are_arrivals() {
    let b = bench();
    b.create("orders-dlt", &[("retention.ms", "3600000")]).await;
    b.put("orders-dlt", [letter(TIMEOUT, 1, "a"), letter(TIMEOUT, 2, "b"), letter(NULL, 3, "a")]).await;
    let row = b.refresh().await.remove(0);
    assert_eq!((row.records, row.pending, row.redriven, row.complete), (Some(3), Some(3), Some(0), true));
    assert_eq!(
        (row.sources, row.groups, row.formats),
        (vec!["orders".into()], vec!["email".into()], vec!["spring-kafka".into()])
    );
    assert_eq!((row.failures, row.top_failure.as_deref()), (2, Some(TIMEOUT)));
    assert_eq!(row.expires_at.unwrap().since(row.oldest_timestamp.unwrap()), 3_600_000);
    assert!(row.arrived_by_group.is_empty() && row.new_failures.is_empty(), "they were there before");
    b.put("orders-dlt", [letter(NULL, 4, "c"), letter("java.io.IOException", 5, "c")]).await;
    let row = b.refresh().await.remove(0);
    assert_eq!((row.records, row.pending), (Some(5), Some(5)));
    assert_eq!(row.arrived_by_group, [("email".into(), 2)]);
    assert_eq!(row.new_failures.len(), 1);
    assert_eq!(&*row.new_failures[0].1, "java.io.IOException");
}

#[tokio::test(start_paused = true)]
async fn letters_are_grouped_by_failure() {
    let b = bench();
    b.create("orders-dlt", &[]).await;
    b.put("orders-dlt", [letter(TIMEOUT, 1, "a"), letter(TIMEOUT, 2, "b"), letter(NULL, 3, "a")]).await;
    let answer = b.failures(Selection::default()).await;
    assert_eq!((answer.scanned, answer.complete, answer.failures.len()), (3, true, 2));
    let first = &answer.failures[0];
    assert_eq!((first.count, first.pending, first.keys), (2, Some(2), 2));
    assert_eq!((first.origin_topic.as_deref(), first.group.as_deref()), (Some("orders"), Some("email")));
    let one = b.failures(Selection { key: Some(Bytes::from("b")), ..Selection::default() }).await;
    assert_eq!((one.failures.len(), one.failures[0].count), (1, 1));
    let none = b.failures(Selection { contains: Some(Bytes::from("zzz")), ..Selection::default() }).await;
    assert!(none.failures.is_empty() && none.complete);
    let by_jq = Selection { filter: Some(".key == \"b\"".into()), ..Selection::default() };
    assert_eq!(b.failures(by_jq).await.failures[0].count, 1);
}

#[tokio::test(start_paused = true)]
async fn letters_are_chosen_by_range_key_bytes_and_condition() {
    let b = bench();
    b.create("orders-dlt", &[]).await;
    b.put("orders-dlt", (0..6).map(|i| letter(TIMEOUT, i, if i == 3 { "x" } else { "k" }))).await;
    let all = Selection::default;
    assert_eq!(b.offsets(all()).await, [0, 1, 2, 3, 4, 5]);
    assert_eq!(b.offsets(Selection { limit: Some(2), ..all() }).await, [4, 5], "the newest");
    let first = Selection { from: Some(Edge::Beginning), limit: Some(2), ..all() };
    assert_eq!(b.offsets(first).await, [0, 1]);
    let range = Selection { from: Some(Edge::Offset(1)), to: Some(Edge::Offset(3)), ..all() };
    assert_eq!(b.offsets(range).await, [1, 2]);
    assert_eq!(b.offsets(Selection { from: Some(Edge::Last(1)), ..all() }).await, [5]);
    assert_eq!(b.offsets(Selection { key: Some(Bytes::from("x")), ..all() }).await, [3]);
    assert_eq!(
        b.offsets(Selection { contains: Some(Bytes::from("x")), ..all() }).await.len(),
        6,
        "a header has it"
    );
    let failing =
        Selection { filter: Some("if .offset == 2 then error else .offset < 4 end".into()), ..all() };
    let answer = b.letters(None, failing).await.unwrap();
    assert_eq!((answer.letters.len(), answer.total, answer.filter_errors), (3, 3, 1));
    let wrong = b.letters(None, Selection { filter: Some(".[".into()), ..all() }).await;
    assert_eq!(wrong.unwrap_err().exit_code(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_ledger_decides_what_is_pending() {
    let b = bench();
    for topic in ["orders", "orders-dlt"] {
        b.create(topic, &[]).await;
    }
    b.create(LEDGER_TOPIC, &[("cleanup.policy", "compact")]).await;
    b.put("orders", (0..10).map(|_| plain("k", "v"))).await;
    b.put("orders-dlt", (0..4).map(|i| letter(TIMEOUT, i, "k"))).await;
    let rows = [
        (0, Disposition::Redriven, Some(7)),
        (1, Disposition::Redriven, Some(8)),
        (2, Disposition::Discarded, None),
    ];
    b.decide(&rows).await;
    let mut member = b.broker.writer().unwrap().join(&"email".into(), "c", &["orders".into()]).await.unwrap();
    member.poll(Duration::ZERO).await.unwrap();
    member.commit(&[(Shard::new("orders", 0), 8)]).await.unwrap();
    let row = b.refresh().await.remove(0);
    assert_eq!((row.pending, row.redriven, row.discarded, row.parked), (Some(1), Some(2), Some(1), Some(0)));
    let pending = b.letters(Some(Disposition::Pending), Selection::default()).await.unwrap();
    assert_eq!((pending.letters.len(), pending.letters[0].letter.record.at.offset), (1, 3));
    let redriven = b.letters(Some(Disposition::Redriven), Selection::default()).await.unwrap();
    let outcomes: Vec<_> = redriven.letters.iter().map(|l| l.redrive.as_ref().unwrap().outcome).collect();
    assert_eq!(outcomes, [Outcome::Processed.as_str(), Outcome::Produced.as_str()]);
    let json = letter_json(&redriven.letters[0]);
    assert_eq!(
        (json["state"].as_str(), json["redrive"]["target"]["offset"].as_i64()),
        (Some("redriven"), Some(7))
    );
    // The record that was redriven to offset 7 fails again: a newer letter names that place.
    b.put("orders-dlt", [letter(TIMEOUT, 7, "k")]).await;
    let redriven = b.letters(Some(Disposition::Redriven), Selection::default()).await.unwrap();
    assert_eq!(redriven.letters[0].redrive.as_ref().unwrap().outcome, "came_back");
    // What the same run wrote was a letter before that run: it names offset 8 of a topic that was made again since.
    b.put("orders-dlt", [letter(TIMEOUT, 8, "k")]).await;
    b.decide(&[(5, Disposition::Redriven, Some(9))]).await;
    let redriven = b.letters(Some(Disposition::Redriven), Selection::default()).await.unwrap();
    let outcomes: Vec<_> = redriven.letters.iter().map(|l| l.redrive.as_ref().unwrap().outcome).collect();
    assert_eq!(outcomes, ["came_back", "produced", "produced"]);
    // What is decided while the program looks on is joined without new letters, too.
    b.decide(&[(3, Disposition::Parked, None)]).await;
    let row = b.refresh().await.remove(0);
    assert_eq!((row.pending, row.parked), (Some(1), Some(1)));
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_read_the_ledger_no_state_is_claimed() {
    let b = bench();
    b.create("orders-dlt", &[]).await;
    b.create(LEDGER_TOPIC, &[]).await;
    b.put("orders-dlt", [letter(TIMEOUT, 0, "k")]).await;
    b.put(LEDGER_TOPIC, [row(Bytes::from_static(b"{\"format\":true}"), Bytes::from_static(b"{\"v\":99}"))])
        .await;
    let row = b.refresh().await.remove(0);
    assert_eq!((row.records, row.pending, row.redriven), (Some(1), None, None));
    assert_eq!(b.index.ledger_fault().unwrap().code, "ledger_newer");
    let answer = b.letters(Some(Disposition::Pending), Selection::default()).await.unwrap();
    assert_eq!((answer.letters.len(), answer.letters[0].state), (1, None), "it may be pending");
}

#[tokio::test(start_paused = true)]
async fn letters_that_retention_deletes_leave_the_counts() {
    let b = bench();
    b.create("orders-dlt", &[]).await;
    b.put("orders-dlt", (0..5).map(|i| letter(if i < 2 { NULL } else { TIMEOUT }, i, "k"))).await;
    b.refresh().await;
    let before = [(Shard::new("orders-dlt", 0), 2)];
    b.broker.writer().unwrap().delete_before(&before).await.unwrap().remove(0).unwrap();
    let row = b.refresh().await.remove(0);
    assert_eq!((row.records, row.pending, row.failures, row.complete), (Some(3), Some(3), 1, true));
    assert_eq!(b.offsets(Selection::default()).await, [2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_topic_made_again_is_read_anew() {
    let b = bench();
    b.create("orders-dlt", &[]).await;
    b.put("orders-dlt", (0..5).map(|i| letter(TIMEOUT, i, "k"))).await;
    b.refresh().await;
    b.broker.writer().unwrap().delete_topics(&["orders-dlt".into()]).await.unwrap().remove(0).unwrap();
    b.create("orders-dlt", &[]).await;
    b.put("orders-dlt", (0..9).map(|i| letter(NULL, i, "k"))).await;
    let row = b.refresh().await.remove(0);
    assert_eq!((row.records, row.failures, row.top_failure.as_deref()), (Some(9), 1, Some(NULL)));
}

#[tokio::test(start_paused = true)]
async fn letters_of_one_failed_record_are_twins() {
    let b = bench();
    b.create("orders-dlt", &[]).await;
    b.put("orders-dlt", [letter(TIMEOUT, 1, "k"), letter(TIMEOUT, 2, "k"), letter(NULL, 1, "k")]).await;
    let answer = b.letters(None, Selection::default()).await.unwrap();
    assert_eq!(answer.letters.iter().map(|l| l.duplicate).collect::<Vec<_>>(), [true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn records_of_an_open_transaction_are_no_letters_yet() {
    let b = bench();
    b.create("orders-dlt", &[]).await;
    b.put("orders-dlt", [letter(TIMEOUT, 1, "k")]).await;
    let kind = SessionKind::Transactional { id: "t".into(), timeout: Duration::from_secs(60) };
    let mut session = b.broker.writer().unwrap().begin(kind).await.unwrap();
    session.stage(Write { topic: "orders-dlt".into(), ..letter(TIMEOUT, 2, "k") }).await.unwrap();
    session.settle().await.unwrap();
    let row = b.refresh().await.remove(0);
    assert_eq!((row.records, row.beyond_last_stable, row.complete), (Some(1), Some(1), true));
    session.commit().await.unwrap();
    let row = b.refresh().await.remove(0);
    assert_eq!((row.records, row.pending, row.beyond_last_stable), (Some(2), Some(2), Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_tells_so_and_the_next_one_goes_on() {
    let b = bench();
    b.create("orders-dlt", &[]).await;
    b.put("orders-dlt", (0..3).map(|i| letter(TIMEOUT, i, "k"))).await;
    b.memory.faults().fail(Op::Next, 1, ErrorKind::Unreachable);
    let failed = b.index.refresh(None, &Silent, &CancellationToken::new()).await;
    assert_eq!(failed.unwrap_err().code, "unreachable");
    let row = b.index.rows()[0].clone();
    assert_eq!((row.complete, row.pending), (false, None), "nothing is claimed of what was not read");
    let row = b.refresh().await.remove(0);
    assert_eq!((row.complete, row.pending), (true, Some(3)));
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_not_there_is_told_with_the_nearest_name() {
    let b = bench();
    b.create("orders-dlt", &[]).await;
    let request = LettersRequest {
        topic: "order-dlt".into(),
        selection: Selection::default(),
        failure: None,
        state: None,
    };
    let fault = b.index.letters(&request, &Silent, &CancellationToken::new()).await.unwrap_err();
    assert_eq!((fault.code, fault.hint.as_str()), ("unknown_topic", "did you mean orders-dlt?"));
}

#[tokio::test(start_paused = true)]
async fn any_topic_can_be_asked_for_although_nothing_shows_it_to_hold_dead_letters() {
    let b = bench();
    b.create("orders", &[]).await;
    b.put("orders", [plain("k", "v")]).await;
    let request = FailuresRequest { topic: "orders".into(), selection: Selection::default(), state: None };
    let answer = b.index.failures(&request, &Silent, &CancellationToken::new()).await.unwrap();
    assert_eq!((answer.scanned, answer.failures.len()), (1, 1));
    assert!(b.refresh().await.is_empty(), "it does not become one by being asked for");
    let name: Name = "orders".into();
    let at = crate::event::Position::new(name, 0, 0);
    let row = b.index.letter(&at, &Silent, &CancellationToken::new()).await.unwrap().unwrap();
    assert_eq!(row.letter.format, None);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_topics_cost_a_bounded_number_of_requests_and_few_reads() {
    let b = bench();
    let topic =
        |name: String| NewTopic { name: name.into(), partitions: 1, replication: None, config: Vec::new() };
    let many: Vec<NewTopic> = (0..10_000).map(|i| topic(format!("service-{i}"))).collect();
    assert!(b.broker.writer().unwrap().create_topics(&many).await.unwrap().iter().all(Result::is_ok));
    for name in ["orders-dlt", "bad-orders", "orders-retry-1"] {
        b.create(name, &[]).await;
        b.put(name, [letter(TIMEOUT, 1, "k")]).await;
    }
    let calls = |op| b.memory.faults().calls_of(op);
    let asked = || [Op::Topics, Op::Configs, Op::Bounds, Op::Open].map(calls);
    let before = asked();
    let wanted = [("bad-orders", FoundBy::Headers), ("orders-dlt", FoundBy::Headers)];
    assert_eq!(b.found().await.iter().map(|(t, by)| (t.as_str(), *by)).collect::<Vec<_>>(), wanted);
    let first: Vec<u64> = asked().iter().zip(before).map(|(now, before)| now - before).collect();
    // Metadata, and that of the ledger's topics; configurations of the named topic and of those found; offsets of the
    // sample and of what was found; a sample's head (the tail of one record is its head), and the letters.
    assert!(first[0] <= 4 && first[1] <= 4 && first[2] <= 6 && first[3] <= 6, "{first:?}");
    assert_eq!(b.index.unseen(), 10_000 - 199);
    // Soon again: nothing is asked but what is new in the topics that were found.
    let before = asked();
    b.refresh().await;
    let second: Vec<u64> = asked().iter().zip(before).map(|(now, before)| now - before).collect();
    assert!(second[1] == 0 && second[2] <= 2 && second[3] <= 1, "{second:?}");
    // Later the next ones get their turn, and what did not grow is not read again.
    tokio::time::sleep(Duration::from_secs(60)).await;
    b.refresh().await;
    assert_eq!(b.index.unseen(), 10_000 - 199 - 200);
}

#[tokio::test(start_paused = true)]
async fn what_the_operator_decides_counts_at_once() {
    let b = bench_with(DeadLetters { ignore: vec!["cellar*".into()], ..DeadLetters::default() });
    for topic in ["cellar", "orders-dlt"] {
        b.create(topic, &[]).await;
        b.put(topic, [letter(TIMEOUT, 1, "k")]).await;
    }
    let row = b.refresh().await.remove(0);
    assert_eq!((&*row.topic, row.found_by), ("orders-dlt", FoundBy::Headers));
    assert_eq!(&*row.reason, "its records carry headers of spring-kafka, and its name fits *-dlt");
    b.index.decide("cellar".into(), true);
    b.index.decide("orders-dlt".into(), false);
    let row = b.refresh().await.remove(0);
    assert_eq!((&*row.topic, row.found_by, row.pending), ("cellar", FoundBy::Adopted, Some(1)));
    assert_eq!(b.index.rows().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn many_letters_are_read_from_both_ends_and_all_are_counted_once() {
    let b = bench();
    b.create("orders-dlt", &[]).await;
    b.put(
        "orders-dlt",
        (0..21_000).map(|i| Write { headers: Headers::default(), ..letter(TIMEOUT, i, "k") }),
    )
    .await;
    b.put("orders-dlt", [letter(NULL, 1, "k")]).await;
    let row = b.refresh().await.remove(0);
    assert_eq!((row.records, row.pending, row.complete), (Some(21_001), Some(21_001), true));
    let answer = b.failures(Selection::default()).await;
    assert_eq!((answer.scanned, answer.complete), (21_001, true));
    assert_eq!(answer.failures.iter().map(|f| f.count).collect::<Vec<_>>(), [21_000, 1]);
    assert_eq!(
        b.offsets(Selection { from: Some(Edge::Last(2)), ..Selection::default() }).await,
        [20_999, 21_000]
    );
}
