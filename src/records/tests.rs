//! Tail and get on the embedded broker.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::document::{GetAnswer, GetRequest, TailAnswer, TailRequest, Wanted};
use super::{get, tail};
use crate::broker::memory::MemoryBroker;
use crate::broker::memory::fault::Op;
use crate::broker::{Commit, ErrorKind, Name, NewTopic, SessionKind, Shard, Write};
use crate::config::profile::Profile;
use crate::context::{Cx, Operator, Progress, Sink};
use crate::event::placement::Partitioner;
use crate::event::{Headers, Position, Record, murmur2};
use crate::filter::{Edge, Selection};
use crate::text::{Fault, SystemClock, Timestamp};

struct Place {
    cx: Cx,
    memory: Arc<MemoryBroker>,
    /// The time of the first record of each write.
    began: Timestamp,
}

#[derive(Default)]
struct Taken(Mutex<Vec<Record>>);

impl Sink for Taken {
    fn progress(&self, _: Progress) {}

    fn records(&self, records: Vec<Record>) {
        self.0.lock().unwrap().extend(records);
    }
}

impl Place {
    async fn new(topic: &str, partitions: i32, config: &[(&str, &str)]) -> Self {
        let clock = Arc::new(SystemClock::default());
        let memory = MemoryBroker::new(clock.clone(), 64 << 20);
        let operator = Operator { name: "t".into(), os_user: "t".into(), host: "h".into() };
        let cx = Cx {
            broker: memory.broker(),
            clock,
            profile: Arc::new(Profile::new("t", Vec::new())),
            operator: Arc::new(operator),
        };
        let began = cx.clock.now().plus_millis(-60_000);
        let place = Self { cx, memory, began };
        place.create(topic, partitions, config).await;
        place
    }

    async fn create(&self, topic: &str, partitions: i32, config: &[(&str, &str)]) {
        let config = config.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let new = NewTopic { name: topic.into(), partitions, replication: None, config };
        let made = self.cx.broker.writer().unwrap().create_topics(&[new]).await.unwrap();
        for topic in made {
            topic.unwrap();
        }
    }

    /// Writes one transaction (or none) of records: partition, key, value, time.
    async fn write(&self, topic: &str, end: End, records: &[(Option<i32>, &str, &str)]) {
        let kind = match end {
            End::Plain => SessionKind::Idempotent,
            _ => SessionKind::Transactional { id: format!("{end:?}"), timeout: Duration::from_secs(600) },
        };
        let mut session = self.cx.broker.writer().unwrap().begin(kind).await.unwrap();
        for (i, (partition, key, value)) in records.iter().enumerate() {
            let write = Write {
                topic: topic.into(),
                partition: *partition,
                key: (!key.is_empty()).then(|| Bytes::from((*key).to_owned())),
                value: Some(Bytes::from((*value).to_owned())),
                headers: Headers::default(),
                timestamp: Some(self.began.plus_millis(i as i64 * 1000)),
            };
            session.stage(write).await.unwrap();
        }
        assert!(session.settle().await.unwrap().iter().all(|(_, placed)| placed.is_ok()));
        match end {
            End::Plain | End::Commit => assert_eq!(session.commit().await.unwrap(), Commit::Done),
            End::Abort => session.abort().await.unwrap(),
            // Dropping a session does not end its transaction at once.
            End::Open => std::mem::forget(session),
        }
    }

    async fn tail(&self, topics: &[&str], selection: Selection) -> (Vec<String>, TailAnswer) {
        let answer = self.try_tail(topics, selection).await.unwrap();
        (answer.0.iter().map(|r| text(r.value.as_ref())).collect(), answer.1)
    }

    async fn try_tail(
        &self,
        topics: &[&str],
        selection: Selection,
    ) -> Result<(Vec<Record>, TailAnswer), Fault> {
        let topics: Vec<Name> = topics.iter().map(|t| Name::from(*t)).collect();
        let request =
            TailRequest { topics, selection, follow: false, wanted: Wanted::Whole, after: Vec::new() };
        let taken = Taken::default();
        let answer = tail(&self.cx, &request, &taken, &CancellationToken::new()).await?;
        Ok((taken.0.into_inner().unwrap(), answer))
    }

    async fn get(&self, topic: &str, offset: i64) -> (&'static str, String) {
        let request = GetRequest { at: Position::new(topic, 0, offset) };
        match get(&self.cx, &request, &CancellationToken::new()).await.unwrap() {
            GetAnswer::Found(record) => {
                assert_eq!(record.at.offset, offset);
                ("found", text(record.value.as_ref()))
            }
            GetAnswer::Nothing { why, text } => (why, text),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum End {
    Plain,
    Commit,
    Abort,
    Open,
}

fn text(bytes: Option<&Bytes>) -> String {
    String::from_utf8(bytes.unwrap().to_vec()).unwrap()
}

fn from(edge: Edge) -> Selection {
    Selection { from: Some(edge), ..Selection::default() }
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("v{i}")).collect()
}

#[tokio::test]
async fn every_edge_is_resolved_for_each_partition() {
    let place = Place::new("orders", 1, &[]).await;
    let values = numbered(10);
    let records: Vec<_> = values.iter().map(|v| (Some(0), "k", v.as_str())).collect();
    place.write("orders", End::Plain, &records).await;
    let all = place.tail(&["orders"], Selection::default()).await;
    assert_eq!(all.0, values);
    assert!(all.1.complete);
    assert_eq!(all.1.ranges, [(Name::from("orders"), 0, 0, 10)]);
    assert_eq!(place.tail(&["orders"], from(Edge::Last(2))).await.0, ["v8", "v9"]);
    assert_eq!(place.tail(&["orders"], from(Edge::Offset(7))).await.0, ["v7", "v8", "v9"]);
    assert_eq!(place.tail(&["orders"], from(Edge::End)).await.0, [""; 0]);
    let between = Selection {
        from: Some(Edge::Time(place.began.plus_millis(3_000))),
        to: Some(Edge::Time(place.began.plus_millis(5_000))),
        ..Selection::default()
    };
    assert_eq!(place.tail(&["orders"], between).await.0, ["v3", "v4"]);
    let late = place.tail(&["orders"], from(Edge::Offset(99))).await;
    assert_eq!(late.0, [""; 0]);
    assert!(late.1.notes[0].contains("ends at 10"), "{:?}", late.1.notes);
}

#[tokio::test]
async fn the_last_records_are_counted_although_markers_and_aborted_ones_take_offsets() {
    let place = Place::new("orders", 1, &[]).await;
    for value in ["a", "b", "c"] {
        place.write("orders", End::Commit, &[(Some(0), "", value)]).await;
        let gone: Vec<_> = (0..50).map(|_| (Some(0), "", "gone")).collect();
        place.write("orders", End::Abort, &gone).await;
    }
    assert_eq!(place.tail(&["orders"], from(Edge::Last(1))).await.0, ["c"]);
    assert_eq!(place.tail(&["orders"], from(Edge::Last(2))).await.0, ["b", "c"]);
    assert_eq!(place.tail(&["orders"], from(Edge::Last(9))).await.0, ["a", "b", "c"]);
    let uncommitted = Selection { uncommitted: true, ..from(Edge::Last(51)) };
    let (values, answer) = place.tail(&["orders"], uncommitted).await;
    assert_eq!((values.len(), values[0].as_str()), (51, "c"));
    assert_eq!(answer.isolation, "read_uncommitted");
}

#[tokio::test]
async fn an_open_transaction_is_not_waited_for_and_is_told() {
    let place = Place::new("orders", 1, &[]).await;
    place.write("orders", End::Plain, &[(Some(0), "", "a")]).await;
    place.write("orders", End::Open, &[(Some(0), "", "open")]).await;
    let (values, answer) = place.tail(&["orders"], Selection::default()).await;
    assert_eq!(values, ["a"]);
    assert!(answer.notes[0].contains("open transaction"), "{:?}", answer.notes);
}

#[tokio::test]
async fn a_limit_says_that_not_all_was_read() {
    let place = Place::new("orders", 2, &[]).await;
    let values = numbered(20);
    let records: Vec<_> =
        values.iter().enumerate().map(|(i, v)| (Some(i as i32 % 2), "", v.as_str())).collect();
    place.write("orders", End::Plain, &records).await;
    let limited = |n| Selection { limit: Some(n), ..Selection::default() };
    let (values, answer) = place.tail(&["orders"], limited(3)).await;
    assert_eq!(values.len(), 3);
    assert!(!answer.complete && answer.incomplete_reason.unwrap().contains("limit of 3"));
    let given: i64 = answer.ranges.iter().map(|(.., from, next)| next - from).sum();
    assert_eq!(given, 3);
    let (values, answer) = place.tail(&["orders"], limited(20)).await;
    assert!(values.len() == 20 && answer.complete, "{answer:?}");
}

#[tokio::test]
async fn a_text_in_a_header_is_found_also_where_headers_are_not_wanted() {
    let place = Place::new("orders", 1, &[]).await;
    let mut session = place.cx.broker.writer().unwrap().begin(SessionKind::Idempotent).await.unwrap();
    for trace in ["a4711", "b"] {
        let mut headers = Headers::default();
        headers.push("trace", Some(trace.into()));
        let write = Write {
            topic: "orders".into(),
            partition: Some(0),
            key: None,
            value: Some("v".into()),
            headers,
            timestamp: None,
        };
        session.stage(write).await.unwrap();
    }
    session.commit().await.unwrap();
    let contains = Selection { contains: Some("4711".into()), ..Selection::default() };
    for limit in [None, Some(5)] {
        for wanted in [Wanted::Whole, Wanted::Values, Wanted::Count] {
            let request = TailRequest {
                topics: vec!["orders".into()],
                selection: Selection { limit, ..contains.clone() },
                follow: false,
                wanted,
                after: Vec::new(),
            };
            let answer =
                tail(&place.cx, &request, &Taken::default(), &CancellationToken::new()).await.unwrap();
            assert_eq!((answer.matched, answer.complete), (1, true), "{wanted:?} {limit:?}");
        }
    }
}

#[tokio::test]
async fn a_key_needs_one_partition_where_the_java_client_placed_the_sample() {
    let place = Place::new("orders", 6, &[]).await;
    let keys: Vec<String> = (0..60).map(|i| format!("key-{i}")).collect();
    let records: Vec<_> = keys.iter().map(|k| (None, k.as_str(), k.as_str())).collect();
    place.write("orders", End::Plain, &records).await;
    let wanted = Selection { key: Some("key-7".into()), ..Selection::default() };
    let (values, answer) = place.tail(&["orders"], wanted.clone()).await;
    assert_eq!(values, ["key-7"]);
    assert_eq!(answer.ranges.len(), 1);
    assert_eq!(Some(answer.ranges[0].1), murmur2::partition(b"key-7", 6));
    assert!(answer.notes[0].contains("--all-partitions"));
    let (_, answer) = place.tail(&["orders"], Selection { all_partitions: true, ..wanted }).await;
    assert_eq!(answer.ranges.len(), 6);
}

#[tokio::test]
async fn a_key_is_looked_for_everywhere_where_placement_is_another() {
    let place = Place::new("orders", 6, &[]).await;
    let keys: Vec<String> = (0..60).map(|i| format!("key-{i}")).collect();
    let elsewhere = |k: &str| murmur2::partition(k.as_bytes(), 6).map(|p| (p + 1) % 6);
    let records: Vec<_> = keys.iter().map(|k| (elsewhere(k), k.as_str(), k.as_str())).collect();
    place.write("orders", End::Plain, &records).await;
    let wanted = Selection { key: Some("key-7".into()), ..Selection::default() };
    let (values, answer) = place.tail(&["orders"], wanted).await;
    assert_eq!((values, answer.ranges.len()), (vec!["key-7".to_owned()], 6));
}

#[tokio::test]
async fn conditions_and_their_errors_are_counted() {
    let place = Place::new("orders", 1, &[]).await;
    let records = [(Some(0), "", r#"{"a":{"n":5}}"#), (Some(0), "", r#"{"a":1}"#), (Some(0), "", "text")];
    place.write("orders", End::Plain, &records).await;
    let filter = Selection { filter: Some(".value.a.n > 1".into()), ..Selection::default() };
    let (values, answer) = place.tail(&["orders"], filter).await;
    assert_eq!(values, [r#"{"a":{"n":5}}"#]);
    assert_eq!((answer.read, answer.matched, answer.filter_errors), (3, 1, 2));
    assert!(answer.complete);
}

#[tokio::test]
async fn several_topics_are_read_and_an_unknown_one_names_the_nearest() {
    let place = Place::new("orders", 2, &[]).await;
    place.create("payments", 2, &[]).await;
    place.write("orders", End::Plain, &[(Some(1), "", "o")]).await;
    place.write("payments", End::Plain, &[(Some(0), "", "p")]).await;
    let (mut values, _) = place.tail(&["orders", "payments"], Selection::default()).await;
    values.sort_unstable();
    assert_eq!(values, ["o", "p"]);
    let fault = place.try_tail(&["paymens"], Selection::default()).await.unwrap_err();
    assert_eq!((fault.code, fault.hint.as_str()), ("unknown_topic", "did you mean payments?"));
    let partition = Selection { partitions: vec![0, 7], ..Selection::default() };
    let fault = place.try_tail(&["orders"], partition).await.unwrap_err();
    assert_eq!((fault.exit_code(), fault.code), (2, "unknown_partition"));
}

#[tokio::test]
async fn a_broker_that_is_lost_in_the_middle_is_told_with_how_to_go_on() {
    let place = Place::new("orders", 2, &[]).await;
    let values = numbered(10_000);
    let records: Vec<_> =
        values.iter().enumerate().map(|(i, v)| (Some(i as i32 % 2), "", v.as_str())).collect();
    // A broker takes no record from too far in the future: each write begins at the same time.
    for some in records.chunks(2_000) {
        place.write("orders", End::Plain, some).await;
    }
    place.memory.faults().fail(Op::Next, 3, ErrorKind::Unreachable);
    let request = TailRequest {
        topics: vec!["orders".into()],
        selection: Selection::default(),
        follow: false,
        wanted: Wanted::Whole,
        after: Vec::new(),
    };
    let taken = Taken::default();
    let fault = tail(&place.cx, &request, &taken, &CancellationToken::new()).await.unwrap_err();
    assert_eq!((fault.exit_code(), fault.code), (1, "unreachable"));
    let given = taken.0.into_inner().unwrap();
    assert!(!given.is_empty() && given.len() < 10_000);
    let count = crate::text::units::count(given.len() as u64);
    assert!(fault.why.contains(&format!("until then {count} records in ")), "{}", fault.why);
    for partition in 0..2 {
        let last = given.iter().filter(|r| r.at.partition == partition).map(|r| r.at.offset + 1).max();
        let on = format!("--partition {partition} --from offset:{}", last.unwrap_or(0));
        assert!(fault.hint.contains(&on), "{on}: {}", fault.hint);
    }
    // A failure before anything was read has nothing to go on with.
    place.memory.faults().fail(Op::Next, 1, ErrorKind::Unreachable);
    let fault = place.try_tail(&["orders"], Selection::default()).await.unwrap_err();
    assert!(!fault.hint.contains("go on"), "{}", fault.hint);
}

#[tokio::test]
async fn what_was_written_late_is_within_its_range_and_the_rule_is_told() {
    let place = Place::new("orders", 1, &[]).await;
    // The writes of a turn are a second apart, so that the second turn is older than the end of the first.
    for turn in [["a", "b", "c"], ["late a", "late b", "late c"]] {
        let records: Vec<_> = turn.iter().map(|v| (Some(0), "", *v)).collect();
        place.write("orders", End::Plain, &records).await;
    }
    let (values, answer) = place.tail(&["orders"], from(Edge::Time(place.began.plus_millis(1_000)))).await;
    assert_eq!(values, ["b", "c", "late a", "late b", "late c"]);
    assert!(
        answer.notes.iter().any(|note| note.contains("also what was written late")),
        "{:?}",
        answer.notes
    );
}

#[tokio::test]
async fn a_followed_topic_gives_what_comes_until_it_is_cancelled() {
    let place = Place::new("orders", 1, &[]).await;
    place.write("orders", End::Plain, &[(Some(0), "", "old")]).await;
    let request = TailRequest {
        topics: vec!["orders".into()],
        selection: Selection::default(),
        follow: true,
        wanted: Wanted::Whole,
        after: Vec::new(),
    };
    let (cancel, taken) = (CancellationToken::new(), Taken::default());
    let write = async {
        place.write("orders", End::Plain, &[(Some(0), "", "new")]).await;
        while taken.0.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (answer, ()) = tokio::join!(tail(&place.cx, &request, &taken, &cancel), write);
    assert!(!answer.unwrap().complete);
    let values: Vec<_> = taken.0.lock().unwrap().iter().map(|r| text(r.value.as_ref())).collect();
    assert_eq!(values, ["new"]);
}

#[tokio::test]
async fn a_position_without_a_record_says_why_and_never_gives_a_later_one() {
    let place = Place::new("orders", 1, &[]).await;
    place.write("orders", End::Plain, &[(Some(0), "", "a"), (Some(0), "", "b")]).await;
    place.write("orders", End::Commit, &[(Some(0), "", "c")]).await;
    place.write("orders", End::Abort, &[(Some(0), "", "d")]).await;
    place.write("orders", End::Plain, &[(Some(0), "", "e")]).await;
    place.write("orders", End::Open, &[(Some(0), "", "f")]).await;
    let writer = place.cx.broker.writer().unwrap();
    writer.delete_before(&[(Shard::new("orders", 0), 1)]).await.unwrap();
    assert_eq!(place.get("orders", 0).await.0, "expired");
    assert_eq!(place.get("orders", 1).await, ("found", "b".into()));
    assert_eq!(place.get("orders", 2).await, ("found", "c".into()));
    assert_eq!(place.get("orders", 3).await.0, "transaction_marker");
    assert_eq!(place.get("orders", 4).await.0, "aborted");
    assert_eq!(place.get("orders", 5).await.0, "transaction_marker");
    assert_eq!(place.get("orders", 6).await, ("found", "e".into()));
    assert_eq!(place.get("orders", 7).await.0, "uncommitted");
    assert_eq!(place.get("orders", 8).await.0, "beyond_end");
}

#[tokio::test]
async fn a_record_that_was_compacted_away_is_told_as_such() {
    let place = Place::new("state", 1, &[("cleanup.policy", "compact"), ("segment.bytes", "14")]).await;
    let records = [(Some(0), "k", "old"), (Some(0), "k", "new"), (Some(0), "other", "x")];
    place.write("state", End::Plain, &records).await;
    place.memory.compact(&"state".into());
    assert_eq!(place.get("state", 0).await.0, "compacted");
    assert_eq!(place.get("state", 1).await.0, "found");
}

/// How the keys of a random topic are placed.
#[derive(Clone, Copy, Debug)]
enum Placing {
    Hashed(Partitioner),
    /// Hashed by the number of partitions that there were first.
    Grown(Partitioner),
    Anywhere,
}

fn placing() -> impl Strategy<Value = Placing> {
    use Partitioner::{Crc32, Murmur2};
    proptest::sample::select(vec![
        Placing::Hashed(Murmur2),
        Placing::Hashed(Crc32),
        Placing::Grown(Murmur2),
        Placing::Grown(Crc32),
        Placing::Anywhere,
    ])
}

fn ending() -> impl Strategy<Value = End> {
    prop_oneof![3 => Just(End::Plain), 2 => Just(End::Commit), 1 => Just(End::Abort)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_search_finds_what_reading_everything_finds(
        placing in placing(),
        partitions in 1_i32..7,
        compacted in any::<bool>(),
        writes in proptest::collection::vec((ending(), proptest::collection::vec((0_u8..9, any::<u16>()), 1..40)), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let config = [("cleanup.policy", "compact"), ("segment.bytes", "14")];
            let place = Place::new("t", partitions, if compacted { &config } else { &[] }).await;
            let last = writes.len();
            for (turn, (end, records)) in writes.iter().enumerate() {
                let records: Vec<_> = records.iter().map(|(key, n)| {
                    // A compacted topic takes no null keys.
                            let name = if *key == 0 && !compacted { String::new() } else { format!("k{key}") };
                    let count = if turn * 2 < last { (partitions / 2).max(1) } else { partitions };
                    let partition = match placing {
                        _ if name.is_empty() => None,
                        Placing::Hashed(by) => by.partition(name.as_bytes(), partitions),
                        Placing::Grown(by) => by.partition(name.as_bytes(), count),
                        Placing::Anywhere => None,
                    };
                    let at = partition.unwrap_or(i32::from(*n) % partitions);
                    (Some(at), name, format!("{{\"n\":{n},\"t\":\"{key}-{}\"}}", n % 10))
                }).collect();
                let records: Vec<_> = records.iter().map(|(p, k, v)| (*p, k.as_str(), v.as_str())).collect();
                place.write("t", *end, &records).await;
            }
            let (all, answer) = place.try_tail(&["t"], Selection::default()).await.unwrap();
            assert!(answer.complete);
            let same = |selection: Selection, meant: &dyn Fn(&Record) -> bool| {
                let mut expected: Vec<_> = all.iter().filter(|r| meant(r)).map(|r| r.at.clone()).collect();
                expected.sort();
                let place = &place;
                async move {
                    let (found, answer) = place.try_tail(&["t"], selection.clone()).await.unwrap();
                    let mut found: Vec<_> = found.into_iter().map(|record| record.at).collect();
                    found.sort();
                    assert_eq!(found, expected, "{selection:?}: {answer:?}");
                    assert_eq!((answer.matched, answer.complete), (expected.len() as u64, true));
                    let request = TailRequest {
                        topics: vec!["t".into()],
                        selection,
                        follow: false,
                        wanted: Wanted::Count,
        after: Vec::new(),
                    };
                    let taken = Taken::default();
                    let counted = tail(&place.cx, &request, &taken, &CancellationToken::new()).await.unwrap();
                    assert_eq!((counted.matched, counted.read), (answer.matched, answer.read));
                    assert!(taken.0.lock().unwrap().is_empty());
                }
            };
            for key in 0..9 {
                let key = format!("k{key}");
                let by_key = Selection { key: Some(key.clone().into()), ..Selection::default() };
                same(by_key, &|r| r.key.as_deref() == Some(key.as_bytes())).await;
            }
            let contains = Selection { contains: Some("-7".into()), ..Selection::default() };
            same(contains, &|r| text(r.value.as_ref()).contains("-7")).await;
            let number = |r: &Record| {
                serde_json::from_slice::<serde_json::Value>(r.value.as_ref().unwrap()).unwrap()["n"].as_u64().unwrap()
            };
            let quick = Selection { filter: Some(".value.n < 30000 and .key != null".into()), ..Selection::default() };
            same(quick, &|r| number(r) < 30000 && r.key.is_some()).await;
            let slow = Selection { filter: Some(".value.n % 3 == 0".into()), ..Selection::default() };
            same(slow, &|r| number(r) % 3 == 0).await;
        });
    }
}
