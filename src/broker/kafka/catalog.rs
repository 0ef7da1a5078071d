//! Topics, their configurations and offsets.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::CString;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::bindings::rd_kafka_IsolationLevel_t as Level;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::metadata::MetadataTopic;

use super::client::DEADLINE;
use super::listing::Seen;
use super::request::{Ask, Part, Refusal, Told, TopicSheet};
use super::{Ports, errors};
use crate::broker::{
    Allowed, Bounds, BrokerError, Catalog, Cluster, ConfigEntry, Each, ErrorKind, Fut, Isolation, Name,
    PartitionInfo, Shard, TopicConfig, TopicId, TopicInfo,
};
use crate::text::Timestamp;

/// What ListOffsets takes for the end and the beginning.
const END: i64 = -1;
const BEGINNING: i64 = -2;

/// How often, and in what distance, a partition's leader is asked once more that is not as far as the metadata: after a
/// restart the controller knows of its new epoch first.
const EPOCH_TRIES: usize = 10;
const EPOCH_WAIT: Duration = Duration::from_millis(200);

/// Partitions in one list: librdkafka searches a list from its beginning for each of its partitions.
pub(super) const A_LIST: usize = 250;

/// The topics that the broker itself calls internal; librdkafka's list of all topics does not say it
/// (`org.apache.kafka.common.internals.Topic.INTERNAL_TOPICS`).
const INTERNAL: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

pub(super) fn level(isolation: Isolation) -> Level {
    match isolation {
        Isolation::ReadCommitted => Level::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED,
        Isolation::ReadUncommitted => Level::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
    }
}

/// A name for librdkafka.
pub(super) fn c_name(name: &str, what: &str) -> Result<CString, BrokerError> {
    if name.is_empty() {
        return Err(BrokerError::new(ErrorKind::Invalid, what, "the name is empty"));
    }
    CString::new(name)
        .map_err(|_| BrokerError::new(ErrorKind::Invalid, what, "the name contains a zero byte"))
}

/// Names that can be asked for, each once.
pub(super) fn c_names<'a>(names: impl IntoIterator<Item = &'a Name>) -> Vec<CString> {
    let mut all: Vec<CString> = names.into_iter().filter_map(|name| c_name(name, "").ok()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

pub(super) fn read_what(shard: &Shard) -> String {
    format!("read {}[{}]", shard.topic, shard.partition)
}

fn info(sheet: TopicSheet) -> TopicInfo {
    let what = format!("describe {}", sheet.name);
    let partition = |p: super::request::PartitionSheet| PartitionInfo {
        partition: p.partition,
        leader: p.leader,
        replicas: p.replicas,
        isr: p.isr,
    };
    TopicInfo {
        name: sheet.name.into(),
        internal: sheet.internal,
        partitions: sheet.partitions.into_iter().map(partition).collect(),
        error: sheet.refusal.map(|refusal| errors::refused(what, refusal)),
    }
}

fn listed(topic: &MetadataTopic) -> TopicInfo {
    let name = topic.name();
    let mut partitions: Vec<_> = topic
        .partitions()
        .iter()
        .map(|p| PartitionInfo {
            partition: p.id(),
            leader: (p.leader() >= 0).then_some(p.leader()),
            replicas: p.replicas().to_vec(),
            isr: p.isr().to_vec(),
        })
        .collect();
    partitions.sort_unstable_by_key(|p| p.partition);
    let error = topic.error().and_then(|code| Refusal::from_code(code.into(), String::new()));
    TopicInfo {
        name: name.into(),
        internal: INTERNAL.contains(&name),
        partitions,
        error: error.map(|refusal| errors::refused(format!("describe {name}"), refusal)),
    }
}

impl Ports {
    /// What is known of topics, by name; those that do not exist have a refusal. None is created.
    pub(super) async fn sheets<'a>(
        &self,
        what: &str,
        topics: impl IntoIterator<Item = &'a Name>,
    ) -> Result<HashMap<String, TopicSheet>, BrokerError> {
        let names = c_names(topics);
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        let Told::Topics(sheets) = self.link.ask_one(what, Ask::Topics(names)).await? else {
            return Err(odd(what));
        };
        Ok(sheets.into_iter().map(|sheet| (sheet.name.clone(), sheet)).collect())
    }

    /// Offsets of partitions, for several questions at once. A partition that does not exist is refused
    /// without being asked for: librdkafka would wait for its leader.
    async fn offsets<'s>(
        &self,
        what: &str,
        questions: Vec<Question>,
        seen: &'s Seen,
    ) -> Result<Offsets<'s>, BrokerError> {
        let mut found = self.ask_offsets(what, &questions, seen).await?;
        for _ in 0..EPOCH_TRIES {
            let early = |(shard, _): &(&Shard, &i64), parts: &HashMap<Shard, Part>| {
                let refusal = parts.get(*shard).and_then(|part| part.refusal.as_ref());
                refusal.is_some_and(|r| matches!(r.code, Code::UnknownLeaderEpoch | Code::FencedLeaderEpoch))
            };
            let again: Vec<Question> = questions
                .iter()
                .zip(&found)
                .map(|((of, isolation), parts)| {
                    let of = of.iter().filter(|asked| early(asked, parts));
                    (of.map(|(shard, spec)| (shard.clone(), *spec)).collect(), *isolation)
                })
                .collect();
            if again.iter().all(|(of, _)| of.is_empty()) {
                break;
            }
            tokio::time::sleep(EPOCH_WAIT).await;
            for (found, new) in found.iter_mut().zip(self.ask_offsets(what, &again, seen).await?) {
                found.extend(new);
            }
        }
        Ok(Offsets { seen, found })
    }

    async fn ask_offsets(
        &self,
        what: &str,
        questions: &[Question],
        seen: &Seen,
    ) -> Result<Vec<HashMap<Shard, Part>>, BrokerError> {
        let (mut asks, mut of_question) = (Vec::new(), Vec::new());
        for (question, (of, isolation)) in questions.iter().enumerate() {
            let mut known: Vec<_> = of.iter().filter(|(shard, _)| seen.exists(shard).is_ok()).collect();
            known.sort_unstable();
            for some in known.chunks(A_LIST) {
                let mut list = TopicPartitionList::with_capacity(some.len());
                for (shard, spec) in some {
                    // `Offset` does not hold every time; the raw value goes through its own conversion.
                    list.add_partition(&shard.topic, shard.partition)
                        .set_offset(rdkafka::Offset::from_raw(**spec))
                        .map_err(|error| errors::kafka(what, &error))?;
                }
                asks.push(Ask::Offsets(list, level(*isolation)));
                of_question.push(question);
            }
        }
        let answers = if asks.is_empty() { Vec::new() } else { self.link.ask(what, asks, DEADLINE).await? };
        let mut found: Vec<HashMap<_, _>> = questions.iter().map(|_| HashMap::new()).collect();
        for (answer, question) in answers.into_iter().zip(of_question) {
            let parts = match answer {
                Ok(Told::Parts(parts)) => parts,
                Ok(_) => return Err(odd(what)),
                Err(refusal) => return Err(errors::refused(what, refusal)),
            };
            if let Some(found) = found.get_mut(question) {
                found.extend(parts.into_iter().map(|part| (part.shard.clone(), part)));
            }
        }
        Ok(found)
    }

    /// Bounds of partitions, and what is known of their topics.
    pub(super) async fn survey(
        &self,
        of: &[Shard],
    ) -> Result<(Each<Bounds>, HashMap<String, TopicSheet>), BrokerError> {
        let sheets = self.sheets("list offsets", of.iter().map(|shard| &shard.topic)).await?;
        let seen = Seen { listed: None, sheets };
        Ok((self.bounds_of(of, &seen).await?, seen.sheets))
    }

    /// Which of these partitions there are, by the list of topics where that was just asked for.
    async fn looked_up(&self, of: impl Iterator<Item = &Shard>) -> Result<Seen, BrokerError> {
        let listed = self.listing.recent(self.link.clock.monotonic());
        let mut seen = Seen { listed, sheets: HashMap::new() };
        let unseen: BTreeSet<&Name> = of.filter(|s| !seen.is_listed(s)).map(|s| &s.topic).collect();
        seen.sheets = self.sheets("list offsets", unseen).await?;
        Ok(seen)
    }

    async fn bounds_of(&self, of: &[Shard], seen: &Seen) -> Result<Each<Bounds>, BrokerError> {
        let all = |spec| of.iter().map(|shard| (shard.clone(), spec)).collect::<HashMap<_, _>>();
        let questions = vec![
            (all(BEGINNING), Isolation::ReadUncommitted),
            // The last stable offset first: what is committed in between must not make it pass the end.
            (all(END), Isolation::ReadCommitted),
            (all(END), Isolation::ReadUncommitted),
        ];
        let offsets = self.offsets("list offsets", questions, seen).await?;
        let bounds = |shard: &Shard| {
            let what = format!("offsets of {}[{}]", shard.topic, shard.partition);
            let start = offsets.get(0, shard, &what)?;
            let (stable, end) = (offsets.get(1, shard, &what)?, offsets.get(2, shard, &what)?);
            Ok(Bounds { start, end: end.max(stable), last_stable: stable.max(start) })
        };
        Ok(of.iter().map(bounds).collect())
    }

    /// The end of each partition, then the last stable offset of those where it can be another one than was known: it
    /// never goes back and never passes the end, so that one that was at the end stays there while the end does.
    async fn renewed(&self, known: &[(Shard, Bounds)]) -> Result<Each<Bounds>, BrokerError> {
        let what = |shard: &Shard| format!("offsets of {}[{}]", shard.topic, shard.partition);
        let seen = self.looked_up(known.iter().map(|(shard, _)| shard)).await?;
        let all = known.iter().map(|(shard, _)| (shard.clone(), END)).collect();
        let ends = self.offsets("list offsets", vec![(all, Isolation::ReadUncommitted)], &seen).await?;
        let (mut moved, mut anew) = (HashMap::new(), Vec::new());
        for (shard, before) in known {
            match ends.get(0, shard, &what(shard)) {
                // Another log than the one that was known.
                Ok(end) if end < before.end => anew.push(shard.clone()),
                Ok(end) if end > before.end || before.last_stable < end => {
                    moved.insert(shard.clone(), END);
                }
                Ok(_) | Err(_) => {}
            }
        }
        let stables =
            self.offsets("list offsets", vec![(moved.clone(), Isolation::ReadCommitted)], &seen).await?;
        let bounds = self.bounds_of(&anew, &seen).await?;
        let mut anew: HashMap<Shard, _> = anew.into_iter().zip(bounds).collect();
        let mut bounds = |(shard, before): &(Shard, Bounds)| {
            if let Some(bounds) = anew.remove(shard) {
                return bounds;
            }
            let end = ends.get(0, shard, &what(shard))?;
            let stable = if moved.contains_key(shard) { stables.get(0, shard, &what(shard))? } else { end };
            // What was committed in between makes the last stable offset pass the end that was told before it.
            Ok(Bounds { start: before.start, end: end.max(stable), last_stable: stable.max(before.start) })
        };
        Ok(known.iter().map(&mut bounds).collect())
    }
}

/// What is asked of each partition (a time, or one of librdkafka's words for an end), and which records are seen.
type Question = (HashMap<Shard, i64>, Isolation);

/// Answers to several questions about offsets.
struct Offsets<'s> {
    seen: &'s Seen,
    found: Vec<HashMap<Shard, Part>>,
}

impl Offsets<'_> {
    fn get(&self, question: usize, shard: &Shard, what: &str) -> Result<i64, BrokerError> {
        self.seen.exists(shard).map_err(|error| super::client::named(what, error))?;
        let part = self.found.get(question).and_then(|parts| parts.get(shard));
        match part.map(|part| (part.offset, part.refusal.clone())) {
            Some((_, Some(refusal))) => Err(errors::refused(what, refusal)),
            Some((offset, None)) => Ok(offset),
            None => Err(errors::refused(what, Refusal::no_answer())),
        }
    }
}

/// Why a partition cannot be asked for.
pub(super) fn exists(sheets: &HashMap<String, TopicSheet>, shard: &Shard) -> Result<(), BrokerError> {
    let what = read_what(shard);
    c_name(&shard.topic, &what)?;
    let Some(sheet) = sheets.get(&*shard.topic) else { return Err(absent(&shard.topic, what)) };
    if let Some(refusal) = &sheet.refusal {
        return Err(missing(&shard.topic, what, refusal));
    }
    match sheet.partitions.iter().find(|p| p.partition == shard.partition) {
        None => {
            let why = format!("topic {} has no partition {}", shard.topic, shard.partition);
            Err(BrokerError::new(ErrorKind::UnknownPartition, what, why))
        }
        Some(partition) if partition.leader.is_none() => {
            let why = format!("partition {} of topic {} has no leader", shard.partition, shard.topic);
            Err(BrokerError::new(ErrorKind::Unreachable, what, why)
                .retryable()
                .hint("a replica must come back before it can be read or written"))
        }
        Some(_) => Ok(()),
    }
}

/// The refusal of a topic, in plain words where it does not exist.
pub(super) fn missing(topic: &Name, what: impl Into<String>, refusal: &Refusal) -> BrokerError {
    match refusal.code {
        Code::UnknownTopicOrPartition | Code::UnknownTopic => absent(topic, what),
        _ => errors::refused(what, refusal.clone()),
    }
}

fn absent(topic: &Name, what: impl Into<String>) -> BrokerError {
    errors::code(what, Code::UnknownTopicOrPartition, format!("topic {topic} does not exist"))
}

/// An answer of another kind than the question: a defect of the client library.
pub(super) fn odd(what: &str) -> BrokerError {
    BrokerError::new(ErrorKind::Other, what, "the answer is not of the kind that was asked for")
}

impl Catalog for Ports {
    fn cluster(&self) -> Fut<'_, Cluster> {
        Box::pin(async {
            let what = "describe the cluster";
            let Told::Cluster { id, nodes, controller } = self.link.ask_one(what, Ask::Cluster).await? else {
                return Err(odd(what));
            };
            let node = |n: super::request::Node| (n.id, format!("{}:{}", n.host, n.port));
            Ok(Cluster { id: id.into(), nodes: nodes.into_iter().map(node).collect(), controller })
        })
    }

    fn topics<'a>(&'a self, only: Option<&'a [Name]>) -> Fut<'a, Vec<TopicInfo>> {
        Box::pin(async move {
            let what = "list topics";
            let mut topics: Vec<TopicInfo> = match only {
                None => {
                    let all = |client: &_, deadline| {
                        let metadata =
                            rdkafka::consumer::BaseConsumer::<super::client::Context>::fetch_metadata(
                                client, None, deadline,
                            )?;
                        Ok(metadata.topics().iter().map(listed).collect())
                    };
                    self.link.call(what, all).await?
                }
                Some(names) => {
                    for name in names {
                        c_name(name, what)?;
                    }
                    self.sheets(what, names).await?.into_values().map(info).collect()
                }
            };
            topics.retain(|topic| topic.error.as_ref().is_none_or(|e| e.kind != ErrorKind::UnknownTopic));
            topics.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            if only.is_none() {
                self.listing.keep(&topics, self.link.clock.monotonic());
            }
            Ok(topics)
        })
    }

    fn topic_ids<'a>(&'a self, topics: &'a [Name]) -> Fut<'a, Each<TopicId>> {
        Box::pin(async move {
            let sheets = self.sheets("read topic ids", topics).await?;
            let id = |name: &Name| {
                let what = format!("topic id of {name}");
                c_name(name, &what)?;
                let sheet = sheets.get(&**name).ok_or_else(|| absent(name, what.as_str()))?;
                match &sheet.refusal {
                    Some(refusal) => Err(missing(name, what, refusal)),
                    None if sheet.id.is_empty() => {
                        let why = "the broker gives topics no ids (they came with Kafka 2.8)";
                        Err(BrokerError::new(ErrorKind::Unsupported, what, why))
                    }
                    None => Ok(TopicId(sheet.id.as_str().into())),
                }
            };
            Ok(topics.iter().map(id).collect())
        })
    }

    fn allowed<'a>(&'a self, topics: &'a [Name]) -> Fut<'a, Each<Option<Allowed>>> {
        Box::pin(async move {
            let what = "read rights";
            let names = c_names(topics);
            if names.is_empty() {
                return Ok(Vec::new());
            }
            let Told::Topics(sheets) = self.link.ask_one(what, Ask::Allowed(names)).await? else {
                return Err(odd(what));
            };
            let of = |name: &Name| {
                let sheet = sheets.iter().find(|sheet| *sheet.name == **name);
                let sheet = sheet.ok_or_else(|| absent(name, what))?;
                match &sheet.refusal {
                    Some(refusal) => Err(missing(name, what.to_owned(), refusal)),
                    None => Ok(sheet.allowed.map(|(read, write)| Allowed { read, write })),
                }
            };
            Ok(topics.iter().map(of).collect())
        })
    }

    fn configs<'a>(&'a self, topics: &'a [Name]) -> Fut<'a, Each<TopicConfig>> {
        Box::pin(async move {
            let what = "read configurations";
            let names = c_names(topics);
            let mut found = HashMap::new();
            if !names.is_empty() {
                let Told::Configs(all) = self.link.ask_one(what, Ask::Configs(names)).await? else {
                    return Err(odd(what));
                };
                found.extend(all);
            }
            let config = |name: &Name| {
                let what = format!("configuration of {name}");
                c_name(name, &what)?;
                match found.get(&**name) {
                    None => Err(absent(name, what)),
                    Some(Err(refusal)) => Err(missing(name, what, refusal)),
                    Some(Ok(settings)) => {
                        let entry = |s: &super::request::Setting| {
                            let entry = ConfigEntry { value: s.value.clone(), is_default: s.is_default };
                            (s.name.clone(), entry)
                        };
                        Ok(settings.iter().map(entry).collect::<BTreeMap<_, _>>())
                    }
                }
            };
            Ok(topics.iter().map(config).collect())
        })
    }

    fn bounds<'a>(&'a self, of: &'a [Shard]) -> Fut<'a, Each<Bounds>> {
        Box::pin(async move {
            let seen = self.looked_up(of.iter()).await?;
            self.bounds_of(of, &seen).await
        })
    }

    fn renew<'a>(&'a self, known: &'a [(Shard, Bounds)]) -> Fut<'a, Each<Bounds>> {
        Box::pin(self.renewed(known))
    }

    fn offsets_at<'a>(&'a self, of: &'a [(Shard, Timestamp)]) -> Fut<'a, Each<Option<i64>>> {
        Box::pin(async move {
            // One list holds each partition once: the same partition at several times takes several lists.
            let mut questions: Vec<(HashMap<Shard, i64>, Isolation)> = Vec::new();
            let mut places = Vec::new();
            for (shard, time) in of {
                // Times before the epoch are before every record; negative numbers would mean something else.
                let time = time.as_millis().max(0);
                let free = questions.iter().position(|(q, _)| !q.contains_key(shard)).unwrap_or_else(|| {
                    questions.push((HashMap::new(), Isolation::ReadUncommitted));
                    questions.len() - 1
                });
                if let Some((question, _)) = questions.get_mut(free) {
                    question.insert(shard.clone(), time);
                }
                places.push(free);
            }
            let what = "list offsets by time";
            let sheets = self.sheets(what, of.iter().map(|(shard, _)| &shard.topic)).await?;
            let seen = Seen { listed: None, sheets };
            let offsets = self.offsets(what, questions, &seen).await?;
            let first = |((shard, _), question): (&(Shard, Timestamp), usize)| {
                let what = format!("offset by time of {}[{}]", shard.topic, shard.partition);
                offsets.get(question, shard, &what).map(|offset| (offset >= 0).then_some(offset))
            };
            Ok(of.iter().zip(places).map(first).collect())
        })
    }
}
