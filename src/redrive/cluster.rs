//! What planner and engine look at on the cluster before anything is written: topics, their settings, the ledger's.

use std::collections::BTreeMap;

use super::packed::Letters;
use super::plan::PlannedTopic;
use crate::broker::{ErrorKind, Name, PartitionInfo, TopicConfig, TopicInfo};
use crate::context::Cx;
use crate::ledger::{AUDIT_TOPIC, LEDGER_TOPIC};
use crate::text::{Fault, Timestamp, units};

/// A topic that records are written to.
pub(super) struct Target {
    pub planned: PlannedTopic,
    /// `max.message.bytes`; `None` where it cannot be seen.
    pub max_bytes: Option<usize>,
    /// Whether it keeps only the latest value of a key; `None` where it cannot be seen.
    pub compacted: Option<bool>,
    /// How much older, and how much younger than now a timestamp may be, in milliseconds.
    pub timestamps: (Option<i64>, Option<i64>),
    /// Whether the broker replaces timestamps by its own.
    pub stamps: bool,
    pub retention_ms: Option<i64>,
    /// Partitions with fewer replicas in sync than a record needs, and how many they have.
    short: BTreeMap<i32, usize>,
    /// `min.insync.replicas`; 1 where it cannot be seen.
    needed: usize,
}

impl Target {
    /// Whether some partition takes no record now, for want of replicas in sync.
    pub fn is_short(&self) -> bool {
        !self.short.is_empty()
    }

    /// Why a partition takes no record now.
    pub fn lacks(&self, partition: i32) -> Option<String> {
        let in_sync = self.short.get(&partition)?;
        let topic = &self.planned.topic;
        let needed = self.needed;
        let have = if *in_sync == 1 { "replica" } else { "replicas" };
        Some(format!(
            "{topic}[{partition}] has {in_sync} {have} in sync and needs {needed}: it takes no record now"
        ))
    }

    /// Why it would not take a record with this timestamp.
    pub fn refuses(&self, at: Timestamp, now: Timestamp) -> Option<String> {
        let age = now.since(at);
        let (before, after) = self.timestamps;
        let (limit, what) = match (before, after) {
            _ if self.stamps => return None,
            (Some(before), _) if age > before => (before, "older"),
            (_, Some(after)) if age.saturating_neg() > after => (after, "younger"),
            _ => return None,
        };
        let topic = &self.planned.topic;
        Some(format!(
            "their timestamps are {what} than now by more than {}, and {topic} takes none of these",
            units::age(limit)
        ))
    }

    /// What to think about when timestamps are kept, the oldest of which is this.
    pub fn doubts(&self, oldest: Option<Timestamp>, now: Timestamp) -> Vec<String> {
        let topic = &self.planned.topic;
        let mut out = Vec::new();
        if self.stamps {
            out.push(format!("{topic} takes the broker's time: timestamps are not kept there"));
        } else if oldest.zip(self.retention_ms).is_some_and(|(at, ms)| now.since(at) > ms) {
            out.push(format!("{topic} may delete records at once: some timestamps are past its retention"));
        }
        out
    }
}

/// The topics with these names; one that is missing is left out. None is ever made by asking.
pub(super) async fn targets(cx: &Cx, names: &[Name]) -> Result<BTreeMap<Name, Target>, Fault> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let catalog = cx.broker.catalog();
    let infos = catalog.topics(Some(names)).await?;
    let mut there = Vec::new();
    for info in infos {
        match &info.error {
            Some(error) if error.kind == ErrorKind::UnknownTopic => {}
            Some(error) => return Err(error.clone().into()),
            None => there.push(info),
        }
    }
    let names: Vec<Name> = there.iter().map(|i| Name::clone(&i.name)).collect();
    let ids = catalog.topic_ids(&names).await?;
    let configs = catalog.configs(&names).await?;
    let mut out = BTreeMap::new();
    for ((info, id), config) in there.into_iter().zip(ids).zip(configs) {
        let topic_id = match id {
            Ok(id) => Some(id.0),
            Err(e) if e.kind == ErrorKind::Unsupported => None,
            Err(e) if e.kind == ErrorKind::UnknownTopic => continue,
            Err(e) => return Err(e.into()),
        };
        let config = config.unwrap_or_default();
        let number = |name: &str| text(&config, name).and_then(|v| v.parse::<i64>().ok());
        let planned = PlannedTopic { topic: info.name.clone(), topic_id, partitions: partitions(&info) };
        let needed = needed(&config);
        // A broker that names a leader and no replicas in sync does not tell them.
        let told = |p: &&PartitionInfo| !p.isr.is_empty() || p.leader.is_none();
        let short = info.partitions.iter().filter(told).filter(|p| p.isr.len() < needed);
        let target = Target {
            planned,
            max_bytes: text(&config, "max.message.bytes").and_then(|v| v.parse().ok()),
            compacted: text(&config, "cleanup.policy").map(|v| v.contains("compact")),
            timestamps: (
                // The older name, from before Kafka 3.6, limits both ways.
                number("message.timestamp.before.max.ms").or(number("message.timestamp.difference.max.ms")),
                number("message.timestamp.after.max.ms").or(number("message.timestamp.difference.max.ms")),
            ),
            stamps: text(&config, "message.timestamp.type") == Some("LogAppendTime"),
            retention_ms: number("retention.ms").filter(|ms| *ms >= 0),
            short: short.map(|p| (p.partition, p.isr.len())).collect(),
            needed,
        };
        out.insert(info.name, target);
    }
    Ok(out)
}

/// Why partitions that letters go to take no record now, and how many letters each concerns. `planned` are the targets
/// in the plan's order.
pub(super) fn lacking(
    planned: &[PlannedTopic],
    letters: &Letters,
    topics: &BTreeMap<Name, Target>,
) -> BTreeMap<String, u64> {
    let mut out = BTreeMap::new();
    let targets: Vec<Option<&Target>> =
        planned.iter().map(|t| topics.get(&t.topic).filter(|target| target.is_short())).collect();
    if targets.iter().all(Option::is_none) {
        return out;
    }
    for letter in letters {
        let target = targets.get(letter.target as usize).copied().flatten();
        if let Some(why) = target.and_then(|target| target.lacks(letter.target_partition)) {
            *out.entry(why).or_default() += 1;
        }
    }
    out
}

/// What is wrong with the settings of ledger and audit: what refuses, and what is only told.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Why the rule `ledger_weak` refuses.
    pub weak: Option<String>,
    /// Why nothing can be written to them now.
    pub unwritable: Option<String>,
    pub warnings: Vec<String>,
    /// Which of the two topics are not there yet.
    pub missing: Vec<&'static str>,
}

/// Looks at the settings of ledger and audit.
pub(super) async fn health(cx: &Cx) -> Result<Health, Fault> {
    let catalog = cx.broker.catalog();
    let nodes = catalog.cluster().await?.nodes.len();
    let wanted: [Name; 2] = [LEDGER_TOPIC.into(), AUDIT_TOPIC.into()];
    let infos = catalog.topics(Some(&wanted)).await?;
    let configs = catalog.configs(&wanted).await?;
    let mut health = Health::default();
    for (name, config) in [LEDGER_TOPIC, AUDIT_TOPIC].into_iter().zip(configs) {
        let there = infos.iter().find(|t| *t.name == *name && t.error.is_none());
        let Some(info) = there else {
            health.missing.push(name);
            continue;
        };
        let Ok(config) = config else {
            health.warnings.push(format!("the settings of {name} cannot be seen"));
            continue;
        };
        judge(name, info, &config, nodes, &mut health);
    }
    Ok(health)
}

fn judge(name: &str, info: &TopicInfo, config: &TopicConfig, nodes: usize, health: &mut Health) {
    let factor = info.partitions.iter().map(|p| p.replicas.len()).min().unwrap_or(0);
    if factor == 1 && nodes >= 3 {
        health.weak = Some(format!("{name} has one replica on a cluster of {nodes} nodes"));
    } else if factor < nodes.min(3) {
        health.warnings.push(format!("{name} has {factor} replicas on a cluster of {nodes} nodes"));
    }
    let in_sync = info.partitions.iter().map(|p| p.isr.len()).min().unwrap_or(0);
    let needed = needed(config);
    if in_sync < needed {
        let why =
            format!("{name} has {in_sync} replicas in sync and needs {needed}: no row can be written now");
        health.unwritable = Some(why);
    }
    let is = |setting: &str, wanted: &str| text(config, setting).is_none_or(|v| v == wanted);
    if name == LEDGER_TOPIC {
        if !is("cleanup.policy", "compact") {
            health.weak = Some(format!("{name} is not compacted alone: its rows can expire"));
        }
        if !is("message.timestamp.type", "LogAppendTime") {
            health.warnings.push(format!("{name} does not keep the broker's time: owners cannot be judged"));
        }
    } else if !is("cleanup.policy", "delete") || !is("retention.ms", "-1") || !is("retention.bytes", "-1") {
        health.warnings.push(format!("{name} does not keep its records for ever"));
    }
    if !is("unclean.leader.election.enable", "false") {
        health.warnings.push(format!("{name} may lose records in an unclean election of a leader"));
    }
    if factor >= 3 && is("min.insync.replicas", "1") {
        health.warnings.push(format!("{name} is written with one replica in sync"));
    }
}

/// The number of partitions.
pub(super) fn partitions(info: &TopicInfo) -> i32 {
    i32::try_from(info.partitions.len()).unwrap_or(i32::MAX)
}

/// Replicas in sync that a record needs. Where that cannot be seen it is the one that leads.
fn needed(config: &TopicConfig) -> usize {
    text(config, "min.insync.replicas").and_then(|v| v.parse().ok()).unwrap_or(1)
}

fn text<'c>(config: &'c TopicConfig, name: &str) -> Option<&'c str> {
    config.get(name)?.value.as_deref()
}
