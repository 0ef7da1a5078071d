//! What planner and engine look at on the cluster before anything is written: topics, their settings, the ledger's.

use std::collections::BTreeMap;

use super::plan::PlannedTopic;
use crate::broker::{ErrorKind, Name, TopicConfig, TopicInfo};
use crate::context::Cx;
use crate::ledger::{AUDIT_TOPIC, LEDGER_TOPIC};
use crate::text::Fault;

/// A topic that records are written to.
pub(super) struct Target {
    pub planned: PlannedTopic,
    /// `max.message.bytes`; `None` where it cannot be seen.
    pub max_bytes: Option<usize>,
    /// Whether it keeps only the latest value of a key; `None` where it cannot be seen.
    pub compacted: Option<bool>,
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
        let planned = PlannedTopic { topic: info.name.clone(), topic_id, partitions: partitions(&info) };
        let target = Target {
            planned,
            max_bytes: text(&config, "max.message.bytes").and_then(|v| v.parse().ok()),
            compacted: text(&config, "cleanup.policy").map(|v| v.contains("compact")),
        };
        out.insert(info.name, target);
    }
    Ok(out)
}

/// What is wrong with the settings of ledger and audit: what refuses, and what is only told.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Why the rule `ledger_weak` refuses.
    pub weak: Option<String>,
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

fn text<'c>(config: &'c TopicConfig, name: &str) -> Option<&'c str> {
    config.get(name)?.value.as_deref()
}
