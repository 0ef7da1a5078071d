//! Searches over random topics find exactly what reading everything and looking at each record finds.
//!
//! The topics have what makes searching hard: aborted and open transactions, markers, compaction, deleted beginnings,
//! times out of order, keys placed by either hash, by an older number of partitions, or by nothing. The reference knows
//! nothing of the code under test: it filters what was written, by what each selector means.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redrive::broker::{Bounds, Commit, Isolation, Name, Session, SessionKind, Shard, Write};
use redrive::config::profile::Profile;
use redrive::context::{Cx, Operator, Progress, Sink};
use redrive::event::placement::Partitioner;
use redrive::event::{Headers, Record};
use redrive::filter::{Edge, Selection};
use redrive::records::document::{TailAnswer, TailRequest, Wanted};
use redrive::records::tail;
use redrive::text::{SystemClock, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, now, soon, stage, unique, whole};

/// Searches of each topic.
const SEARCHES: usize = 10;

/// A topic that is to be.
#[derive(Clone, Debug)]
struct Topic {
    partitions: i32,
    compacted: bool,
    placing: Placing,
    turns: Vec<(Ending, Vec<Draft>)>,
    /// What an open transaction has written at the end; nothing for none.
    open: Vec<Draft>,
    /// Percent of the even partitions that are deleted.
    deleted: i64,
    searches: Vec<Search>,
}

/// How keys are placed.
#[derive(Clone, Copy, Debug)]
enum Placing {
    Hashed(Partitioner),
    /// By half the partitions at first, and by all of them later.
    Grown(Partitioner),
    Anywhere,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Plain,
    Commit,
    Abort,
}

#[derive(Clone, Debug)]
struct Draft {
    key: u8,
    n: u16,
    /// Seconds after the beginning; they are in no order.
    second: i64,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Json,
    Text,
    Bytes,
    Null,
}

/// A search that is to be.
#[derive(Clone, Debug)]
struct Search {
    partitions: Option<Vec<bool>>,
    from: Option<At>,
    to: Option<At>,
    key: Option<u8>,
    contains: Option<&'static [u8]>,
    condition: Option<usize>,
    limit: Option<u64>,
    uncommitted: bool,
    all_partitions: bool,
}

/// An edge; times in seconds after the beginning.
#[derive(Clone, Copy, Debug)]
enum At {
    Beginning,
    End,
    Last(u64),
    Offset(i64),
    Second(i64),
}

/// A record that was written.
#[derive(Clone, Debug)]
struct Known {
    partition: i32,
    offset: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    shape: Shape,
    n: u64,
    header: Option<String>,
    at: Timestamp,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Committed,
    Aborted,
    Open,
}

/// What a jq condition asks, in Rust.
type Condition = fn(&Known) -> bool;

/// jq conditions, and what they mean. An error, as of a member of a text, is a no.
const CONDITIONS: [(&str, Condition); 7] = [
    (".value.n < 30000 and .key != null", |r| {
        let less = match r.shape {
            Shape::Json => r.n < 30_000,
            // A member of null is null, which comes before all numbers.
            Shape::Null => true,
            Shape::Text | Shape::Bytes => false,
        };
        less && r.key.is_some()
    }),
    (".value.n % 3 == 0", |r| r.shape == Shape::Json && r.n.is_multiple_of(3)),
    ("[.value.list[]?] | add > 40", |r| r.shape == Shape::Json && r.n % 50 + r.n % 7 > 40),
    (".headers.h == \"x1\" or .partition == 1", |r| r.header.as_deref() == Some("x1") || r.partition == 1),
    ("(.value.t | test(\"-7\")) and .offset > 2", |r| {
        r.shape == Shape::Json && r.n % 10 == 7 && r.offset > 2
    }),
    (".value | type == \"string\"", |r| matches!(r.shape, Shape::Text | Shape::Bytes)),
    (".key == \"k3\" or (.key | not)", |r| r.key.as_deref().is_none_or(|key| key == b"k3")),
];

fn draft() -> impl Strategy<Value = Draft> {
    let shape = prop_oneof![6 => Just(Shape::Json), 1 => Just(Shape::Text), 1 => Just(Shape::Bytes), 1 => Just(Shape::Null)];
    (0_u8..9, any::<u16>(), 0_i64..60, shape).prop_map(|(key, n, second, shape)| Draft {
        key,
        n,
        second,
        shape,
    })
}

fn at() -> impl Strategy<Value = Option<At>> {
    prop_oneof![
        4 => Just(None),
        1 => Just(Some(At::Beginning)),
        1 => Just(Some(At::End)),
        2 => (0_u64..12).prop_map(|n| Some(At::Last(n))),
        2 => (0_i64..60).prop_map(|n| Some(At::Offset(n))),
        2 => (-3_i64..63).prop_map(|n| Some(At::Second(n))),
    ]
}

fn search() -> impl Strategy<Value = Search> {
    let contains = proptest::sample::select(vec![&b"-7"[..], b"k3", b"x1", b"\xfe\xfd", b"plain"]);
    let some = proptest::option::weighted(0.25, proptest::collection::vec(any::<bool>(), 4));
    (
        some,
        at(),
        at(),
        proptest::option::weighted(0.4, 0_u8..9),
        proptest::option::weighted(0.3, contains),
        proptest::option::weighted(0.5, 0..CONDITIONS.len()),
        proptest::option::weighted(0.3, 1_u64..20),
        proptest::bool::weighted(0.25),
        proptest::bool::weighted(0.2),
    )
        .prop_map(
            |(partitions, from, to, key, contains, condition, limit, uncommitted, all_partitions)| Search {
                partitions,
                from,
                to,
                key,
                contains,
                condition,
                limit,
                uncommitted,
                all_partitions,
            },
        )
}

fn topic(compacted: bool) -> impl Strategy<Value = Topic> {
    use Partitioner::{Crc32, Murmur2};
    let placing = proptest::sample::select(vec![
        Placing::Hashed(Murmur2),
        Placing::Hashed(Crc32),
        Placing::Grown(Murmur2),
        Placing::Grown(Crc32),
        Placing::Anywhere,
    ]);
    let ending = prop_oneof![3 => Just(Ending::Plain), 2 => Just(Ending::Commit), 2 => Just(Ending::Abort)];
    let turn = (ending, proptest::collection::vec(draft(), 1..40));
    (
        1_i32..5,
        placing,
        proptest::collection::vec(turn, 1..6),
        prop_oneof![2 => Just(Vec::new()), 1 => proptest::collection::vec(draft(), 1..6)],
        prop_oneof![1 => Just(0_i64), 1 => 0_i64..101],
        proptest::collection::vec(search(), SEARCHES),
    )
        .prop_map(move |(partitions, placing, turns, open, deleted, mut searches)| {
            for edge in searches.iter_mut().flat_map(|search| [&mut search.from, &mut search.to]) {
                // A marker has a time, too, and in a compacted log nobody can say where one was.
                if compacted && let Some(At::Second(second)) = edge {
                    *edge = Some(At::Offset((*second).max(0)));
                }
            }
            Topic { partitions, compacted, placing, turns, open, deleted, searches }
        })
}

#[derive(Default)]
struct Taken(Mutex<Vec<Record>>);

impl Sink for Taken {
    fn progress(&self, _: Progress) {}

    fn records(&self, records: Vec<Record>) {
        self.0.lock().unwrap().extend(records);
    }
}

pub async fn searches_find_what_a_brute_force_reference_finds(bench: &Bench) {
    for compacted in [false, true] {
        if compacted && !crate::bench::can("compaction", &bench.broker.capabilities().compaction) {
            return;
        }
        let config = Config {
            cases: bench.cases,
            // Each step towards a smaller failure writes and reads a topic again.
            max_shrink_iters: bench.cases * 4,
            failure_persistence: None,
            ..Config::default()
        };
        tokio::task::block_in_place(|| {
            let runtime = tokio::runtime::Handle::current();
            let case = |topic: Topic| {
                runtime.block_on(check(bench, &topic));
                Ok(())
            };
            TestRunner::new(config)
                .run(&topic(compacted), case)
                .unwrap_or_else(|failure| panic!("{failure}"));
        });
    }
}

/// Writes the topic and searches it.
async fn check(bench: &Bench, topic: &Topic) {
    let mut place = Place::new(bench, topic).await;
    let open = place.fill(topic).await;
    // A log that is being compacted can change under the searches; then they are made again.
    for _ in 0..5 {
        let there = place.there().await;
        let bounds = place.bounds().await;
        let mut found = Vec::new();
        for search in &topic.searches {
            found.push(place.search(search).await);
        }
        if there == place.there().await {
            let known: Vec<&Known> =
                place.known.iter().filter(|r| there.contains(&(r.partition, r.offset))).collect();
            let reference = Reference { known, bounds, began: place.began };
            for (search, found) in topic.searches.iter().zip(found) {
                reference.compare(search, &found);
            }
            if let Some(mut open) = open {
                open.abort().await.unwrap();
            }
            return;
        }
    }
    panic!("the log does not come to rest");
}

/// What a search brought: the records, those of a second read that went on after a limit, and the number alone.
struct Found {
    selection: Selection,
    records: Vec<Record>,
    answer: TailAnswer,
    rest: Vec<Record>,
    counted: TailAnswer,
}

struct Place<'b> {
    bench: &'b Bench,
    cx: Cx,
    name: Name,
    partitions: i32,
    compacted: bool,
    began: Timestamp,
    known: Vec<Known>,
}

impl<'b> Place<'b> {
    async fn new(bench: &'b Bench, topic: &Topic) -> Self {
        let config: &[(&str, &str)] = if topic.compacted {
            &[
                ("cleanup.policy", "compact"),
                ("segment.ms", "100"),
                ("min.cleanable.dirty.ratio", "0.01"),
                ("max.compaction.lag.ms", "200"),
                ("min.compaction.lag.ms", "0"),
            ]
        } else {
            &[]
        };
        let name = bench.topic(topic.partitions, config).await;
        let operator = Operator { name: "t".into(), os_user: "t".into(), host: "h".into() };
        let cx = Cx {
            broker: Arc::clone(&bench.broker),
            clock: Arc::new(SystemClock::default()),
            profile: Arc::new(Profile::new("t", Vec::new())),
            operator: Arc::new(operator),
        };
        let began = now().plus_millis(-3_600_000);
        let compacted = topic.compacted;
        Self { bench, cx, name, partitions: topic.partitions, compacted, began, known: Vec::new() }
    }

    fn shards(&self) -> Vec<Shard> {
        (0..self.partitions).map(|p| Shard::new(Arc::clone(&self.name), p)).collect()
    }

    async fn bounds(&self) -> Vec<Bounds> {
        let bounds = self.bench.broker.catalog().bounds(&self.shards()).await.unwrap();
        bounds.into_iter().map(Result::unwrap).collect()
    }

    /// Writes what the topic is to have; gives the session whose transaction stays open.
    async fn fill(&mut self, topic: &Topic) -> Option<Box<dyn Session>> {
        if topic.compacted {
            let twice = Draft { key: 1, n: 7, second: 0, shape: Shape::Json };
            let drafts = [twice.clone(), Draft { n: 8, ..twice }];
            self.write(Ending::Plain, &drafts, |_| Some(0)).await;
        }
        let halves = topic.turns.len();
        for (turn, (ending, drafts)) in topic.turns.iter().enumerate() {
            let old = turn * 2 < halves;
            self.write(*ending, drafts, |draft| topic.partition(draft, old)).await;
        }
        self.settled(|b| b.last_stable == b.end).await;
        if topic.compacted {
            self.compact().await;
        } else if topic.deleted > 0 {
            let part = |b: &Bounds| b.last_stable * topic.deleted / 100;
            let bounds = self.bounds().await;
            let before: Vec<_> =
                self.shards().into_iter().zip(&bounds).step_by(2).map(|(s, b)| (s, part(b))).collect();
            for done in self.bench.broker.writer().unwrap().delete_before(&before).await.unwrap() {
                done.unwrap();
            }
        }
        if topic.open.is_empty() {
            return None;
        }
        let mut session = self.bench.transaction(&unique("open")).await;
        self.stage(&mut *session, &topic.open, Fate::Open, |draft| topic.partition(draft, false)).await;
        Some(session)
    }

    async fn write(&mut self, ending: Ending, drafts: &[Draft], partition: impl Fn(&Draft) -> Option<i32>) {
        let kind = match ending {
            Ending::Plain => SessionKind::Idempotent,
            _ => {
                SessionKind::Transactional { id: unique("tx").to_string(), timeout: Duration::from_secs(60) }
            }
        };
        let mut session = soon("a session", self.bench.broker.writer().unwrap().begin(kind)).await.unwrap();
        let fate = if ending == Ending::Abort { Fate::Aborted } else { Fate::Committed };
        self.stage(&mut *session, drafts, fate, partition).await;
        match ending {
            Ending::Abort => session.abort().await.unwrap(),
            _ => assert_eq!(session.commit().await.unwrap(), Commit::Done),
        }
    }

    async fn stage(
        &mut self,
        session: &mut dyn Session,
        drafts: &[Draft],
        fate: Fate,
        partition: impl Fn(&Draft) -> Option<i32>,
    ) {
        let writes: Vec<Write> = drafts
            .iter()
            .map(|draft| {
                let mut headers = Headers::default();
                if draft.n.is_multiple_of(4) {
                    headers.push("h", Some(format!("x{}", draft.n % 3).into()));
                }
                Write {
                    topic: Arc::clone(&self.name),
                    partition: Some(partition(draft).unwrap_or(i32::from(draft.n) % self.partitions)),
                    key: draft.key(self.compacted).map(Bytes::from),
                    value: draft.value().map(Bytes::from),
                    headers,
                    timestamp: Some(self.began.plus_millis(draft.second * 1000)),
                }
            })
            .collect();
        let placed = stage(session, writes.clone()).await;
        for ((draft, write), placed) in drafts.iter().zip(writes).zip(placed) {
            let placed = placed.unwrap();
            self.known.push(Known {
                partition: placed.partition,
                offset: placed.offset,
                key: write.key.map(|key| key.to_vec()),
                value: write.value.map(|value| value.to_vec()),
                shape: draft.shape,
                n: u64::from(draft.n),
                header: draft.n.is_multiple_of(4).then(|| format!("x{}", draft.n % 3)),
                at: write.timestamp.unwrap(),
                fate,
            });
        }
    }

    /// Waits until all partitions are as wanted: Kafka answers a commit before its markers are written.
    async fn settled(&self, wanted: impl Fn(&Bounds) -> bool) {
        soon("the markers of transactions", async {
            while !self.bounds().await.iter().all(&wanted) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// Closes segments with further records until the first record, whose key came again, is gone.
    async fn compact(&mut self) {
        let mut second = 61;
        soon("a compaction", async {
            while self.there().await.contains(&(0, 0)) {
                let later = Draft { key: 100, n: 1, second, shape: Shape::Text };
                self.write(Ending::Plain, &[later], |_| Some(0)).await;
                second += 1;
                self.bench.compact(&self.name).await;
            }
        })
        .await;
    }

    /// The records that are in the log, aborted ones too; each must be as it was written.
    async fn there(&self) -> BTreeSet<(i32, i64)> {
        let spans = self.shards().iter().map(whole).collect();
        let seen = self.bench.read_as(spans, Isolation::ReadUncommitted).await;
        let known: BTreeMap<(i32, i64), &Known> =
            self.known.iter().map(|r| ((r.partition, r.offset), r)).collect();
        for record in &seen.records {
            assert_same(record, known.get(&(record.at.partition, record.at.offset)));
        }
        seen.records.iter().map(|r| (r.at.partition, r.at.offset)).collect()
    }

    async fn search(&self, search: &Search) -> Found {
        let edge = |at: Option<At>| {
            Some(match at? {
                At::Beginning => Edge::Beginning,
                At::End => Edge::End,
                At::Last(n) => Edge::Last(n),
                At::Offset(offset) => Edge::Offset(offset),
                At::Second(second) => Edge::Time(self.began.plus_millis(second * 1000)),
            })
        };
        let selection = Selection {
            partitions: search.chosen(self.partitions),
            from: edge(search.from),
            to: edge(search.to),
            key: search.key.map(|key| format!("k{key}").into()),
            all_partitions: search.all_partitions,
            contains: search.contains.map(Bytes::from_static),
            filter: search.condition.map(|i| CONDITIONS[i].0.to_owned()),
            limit: search.limit,
            uncommitted: search.uncommitted,
        };
        let (records, answer) = self.tail(&selection, Wanted::Whole, Vec::new()).await;
        let (none, counted) = self.tail(&selection, Wanted::Count, Vec::new()).await;
        assert!(none.is_empty());
        let mut rest = Vec::new();
        if selection.limit.is_some() {
            let after = answer.ranges.iter().map(|(topic, p, _, next)| (Arc::clone(topic), *p, *next));
            let unlimited = Selection { limit: None, ..selection.clone() };
            rest = self.tail(&unlimited, Wanted::Whole, after.collect()).await.0;
        }
        Found { selection, records, answer, rest, counted }
    }

    async fn tail(
        &self,
        selection: &Selection,
        wanted: Wanted,
        after: Vec<(Name, i32, i64)>,
    ) -> (Vec<Record>, TailAnswer) {
        let request = TailRequest {
            topics: vec![Arc::clone(&self.name)],
            selection: selection.clone(),
            follow: false,
            wanted,
            after,
        };
        let taken = Taken::default();
        let answer = soon("a search", tail(&self.cx, &request, &taken, &CancellationToken::new())).await;
        (taken.0.into_inner().unwrap(), answer.unwrap_or_else(|fault| panic!("{request:?}: {fault}")))
    }
}

impl Topic {
    /// Where a draft goes; `None` where no client's rule says it.
    fn partition(&self, draft: &Draft, old: bool) -> Option<i32> {
        let key = draft.key(self.compacted)?;
        match self.placing {
            Placing::Grown(by) if old => by.partition(&key, (self.partitions / 2).max(1)),
            Placing::Hashed(by) | Placing::Grown(by) => by.partition(&key, self.partitions),
            Placing::Anywhere => None,
        }
    }
}

impl Draft {
    /// A compacted topic takes no null keys.
    fn key(&self, compacted: bool) -> Option<Vec<u8>> {
        (self.key > 0 || compacted).then(|| format!("k{}", self.key).into_bytes())
    }

    fn value(&self) -> Option<Vec<u8>> {
        let n = self.n;
        match self.shape {
            Shape::Json => Some(
                format!("{{\"n\":{n},\"t\":\"{}-{}\",\"list\":[{},{}]}}", self.key, n % 10, n % 50, n % 7)
                    .into_bytes(),
            ),
            Shape::Text => Some(format!("plain text {n}").into_bytes()),
            Shape::Bytes => Some(b"\xff\xfe\xfd-7".to_vec()),
            Shape::Null => None,
        }
    }
}

impl Search {
    /// The partitions asked for; none for all.
    fn chosen(&self, partitions: i32) -> Vec<i32> {
        let chosen = |mask: &Vec<bool>| (0..partitions).filter(|p| mask[*p as usize]).collect();
        self.partitions.as_ref().map(chosen).unwrap_or_default()
    }
}

fn assert_same(record: &Record, known: Option<&&Known>) {
    let known = known.unwrap_or_else(|| panic!("{} was never written", record.at));
    assert_eq!(record.key.as_deref(), known.key.as_deref(), "{}", record.at);
    assert_eq!(record.value.as_deref(), known.value.as_deref(), "{}", record.at);
    assert_eq!(record.timestamp(), Some(known.at), "{}", record.at);
    let headers: Vec<_> = record.headers.iter().map(|(n, v)| (n.to_vec(), v.map(|v| v.to_vec()))).collect();
    let written: Vec<_> =
        known.header.iter().map(|h| (b"h".to_vec(), Some(h.clone().into_bytes()))).collect();
    assert_eq!(headers, written, "{}", record.at);
}

/// What was written and is still there, and what each search means by it.
struct Reference<'k> {
    known: Vec<&'k Known>,
    bounds: Vec<Bounds>,
    began: Timestamp,
}

impl Reference<'_> {
    fn compare(&self, search: &Search, found: &Found) {
        let (selection, answer) = (&found.selection, &found.answer);
        let what = || format!("{selection:?}: {answer:?}");
        let expected = self.expected(search, selection);
        let all: usize = expected.values().map(Vec::len).sum();
        let most = search.limit.map_or(all, |limit| all.min(limit as usize));
        assert_eq!(found.records.len(), most, "{}", what());
        assert_eq!((answer.matched, found.counted.matched), (most as u64, most as u64), "{}", what());
        for record in &found.records {
            let place = (record.at.partition, record.at.offset);
            assert_same(record, self.known.iter().find(|k| (k.partition, k.offset) == place));
        }
        if search.limit.is_none_or(|limit| limit as usize > all) {
            assert!(answer.complete, "{}", what());
        }
        if answer.complete {
            assert_eq!(by_partition(&found.records), expected, "{}", what());
        }
        if search.limit.is_some() {
            // What a limit cut off is what a read that goes on finds: nothing twice, nothing between.
            let both = found.records.iter().chain(&found.rest).cloned().collect::<Vec<_>>();
            assert_eq!(by_partition(&both), expected, "{}, and then {:?}", what(), found.rest);
        }
    }

    /// The offsets that a search means, by partition, in order.
    fn expected(&self, search: &Search, selection: &Selection) -> BTreeMap<i32, Vec<i64>> {
        let mut out: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
        for (partition, bounds) in (0..).zip(&self.bounds) {
            if !selection.partitions.is_empty() && !selection.partitions.contains(&partition) {
                continue;
            }
            let visible = self.visible(partition, bounds, search.uncommitted);
            let from = self.edge(search.from.unwrap_or(At::Beginning), partition, bounds, search, &visible);
            let to = self.edge(search.to.unwrap_or(At::End), partition, bounds, search, &visible);
            let meant = visible
                .into_iter()
                .filter(|r| (from..to).contains(&r.offset) && is_meant(search, r))
                .map(|r| r.offset);
            let meant: Vec<i64> = meant.collect();
            if !meant.is_empty() {
                out.insert(partition, meant);
            }
        }
        out
    }

    fn visible(&self, partition: i32, bounds: &Bounds, uncommitted: bool) -> Vec<&Known> {
        let here = self.known.iter().filter(|r| r.partition == partition && r.offset >= bounds.start);
        let mut here: Vec<&Known> = here
            .filter(|r| uncommitted || (r.fate == Fate::Committed && r.offset < bounds.last_stable))
            .copied()
            .collect();
        here.sort_by_key(|r| r.offset);
        here
    }

    fn edge(&self, at: At, partition: i32, bounds: &Bounds, search: &Search, visible: &[&Known]) -> i64 {
        let readable = if search.uncommitted { bounds.end } else { bounds.last_stable };
        match at {
            At::Beginning => bounds.start,
            At::End | At::Last(0) => readable,
            At::Offset(offset) => offset,
            At::Last(n) => {
                visible.get(visible.len().saturating_sub(n as usize)).map_or(bounds.start, |r| r.offset)
            }
            At::Second(second) => {
                let time = self.began.plus_millis(second * 1000);
                let here = self.known.iter().filter(|r| r.partition == partition);
                let times: BTreeMap<i64, Timestamp> = here.map(|r| (r.offset, r.at)).collect();
                // What is none of the records is a marker, whose time is when its transaction ended.
                let not_older = |offset: &i64| times.get(offset).is_none_or(|at| *at >= time);
                let first = (bounds.start..bounds.end).find(not_older);
                first.unwrap_or(bounds.end)
            }
        }
    }
}

fn is_meant(search: &Search, record: &Known) -> bool {
    let within = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|w| w == part);
    let contains = |part: &[u8]| {
        let header = record.header.as_ref().map(String::as_bytes);
        let all = [record.key.as_deref(), record.value.as_deref(), header];
        all.into_iter().flatten().any(|bytes| within(bytes, part))
    };
    search.key.is_none_or(|key| record.key.as_deref() == Some(format!("k{key}").as_bytes()))
        && search.contains.is_none_or(contains)
        && search.condition.is_none_or(|i| CONDITIONS[i].1(record))
}

/// Offsets by partition, in the order in which they came.
fn by_partition(records: &[Record]) -> BTreeMap<i32, Vec<i64>> {
    let mut out: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for record in records {
        out.entry(record.at.partition).or_default().push(record.at.offset);
    }
    out
}
