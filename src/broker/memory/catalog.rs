//! Looking at the embedded broker: topics, configurations, offsets, groups.

use std::collections::BTreeMap;

use super::fault::Op;
use super::groups::unknown_group;
use super::state::check_name;
use super::{Link, NODE};
use crate::broker::{
    Bounds, Catalog, Cluster, Committed, Each, Fut, Group, GroupSummary, Groups, Name, PartitionInfo, Shard,
    TopicConfig, TopicId, TopicInfo,
};
use crate::text::Timestamp;

impl Catalog for Link {
    fn cluster(&self) -> Fut<'_, Cluster> {
        self.ask(Op::Cluster, |state| Cluster {
            id: state.cluster.clone(),
            nodes: vec![(NODE, "embedded".to_owned())],
            controller: Some(NODE),
        })
    }

    fn topics<'a>(&'a self, only: Option<&'a [Name]>) -> Fut<'a, Vec<TopicInfo>> {
        self.ask(Op::Topics, move |state| {
            let mut found = BTreeMap::new();
            match only {
                None => found.extend(&state.topics),
                Some(names) => found.extend(names.iter().filter_map(|n| state.topics.get_key_value(n))),
            }
            let partition = |partition| PartitionInfo {
                partition,
                leader: Some(NODE),
                replicas: vec![NODE],
                isr: vec![NODE],
            };
            found
                .into_iter()
                .map(|(name, topic)| TopicInfo {
                    name: name.clone(),
                    internal: false,
                    partitions: (0i32..).take(topic.partitions.len()).map(partition).collect(),
                    error: None,
                })
                .collect()
        })
    }

    fn topic_ids<'a>(&'a self, topics: &'a [Name]) -> Fut<'a, Each<TopicId>> {
        self.ask(Op::TopicIds, move |state| {
            let id = |name: &Name| {
                let what = format!("topic id of {name}");
                check_name(name, &what)?;
                state.topic(name, &what).map(|t| t.id.clone())
            };
            topics.iter().map(id).collect()
        })
    }

    fn configs<'a>(&'a self, topics: &'a [Name]) -> Fut<'a, Each<TopicConfig>> {
        self.ask(Op::Configs, move |state| {
            let config = |name: &Name| {
                let what = format!("configuration of {name}");
                check_name(name, &what)?;
                state.topic(name, &what).map(|t| t.settings.shown())
            };
            topics.iter().map(config).collect()
        })
    }

    fn bounds<'a>(&'a self, of: &'a [Shard]) -> Fut<'a, Each<Bounds>> {
        self.ask(Op::Bounds, move |state| {
            let bounds = |shard: &Shard| {
                let what = format!("offsets of {}[{}]", shard.topic, shard.partition);
                check_name(&shard.topic, &what)?;
                state.partition(shard, &what).map(super::log::Partition::bounds)
            };
            of.iter().map(bounds).collect()
        })
    }

    fn offsets_at<'a>(&'a self, of: &'a [(Shard, Timestamp)]) -> Fut<'a, Each<Option<i64>>> {
        self.ask(Op::OffsetsAt, move |state| {
            let first = |(shard, time): &(Shard, Timestamp)| {
                let what = format!("offset by time of {}[{}]", shard.topic, shard.partition);
                check_name(&shard.topic, &what)?;
                state.partition(shard, &what).map(|p| p.first_at(*time))
            };
            of.iter().map(first).collect()
        })
    }
}

impl Groups for Link {
    fn list(&self) -> Fut<'_, Vec<GroupSummary>> {
        self.ask(Op::ListGroups, |state| state.groups.iter().map(|(name, g)| g.summary(name)).collect())
    }

    fn describe<'a>(&'a self, groups: &'a [Name]) -> Fut<'a, Each<Group>> {
        self.ask(Op::DescribeGroups, move |state| {
            let describe = |name: &Name| {
                let group = state.groups.get(name).ok_or_else(|| unknown_group(name, "describe"))?;
                Ok(group.describe(name))
            };
            groups.iter().map(describe).collect()
        })
    }

    fn committed<'a>(&'a self, groups: &'a [Name]) -> Fut<'a, Each<Committed>> {
        // A group that does not exist has no commits: Kafka answers an empty list, not an error.
        self.ask(Op::Committed, move |state| {
            groups
                .iter()
                .map(|name| {
                    Ok(state.groups.get(name).map(super::groups::GroupState::committed).unwrap_or_default())
                })
                .collect()
        })
    }

    fn committed_on<'a>(&'a self, parts: &'a [(Name, Vec<Shard>)]) -> Fut<'a, Each<Committed>> {
        self.ask(Op::Committed, move |state| {
            let of = |(name, shards): &(Name, Vec<Shard>)| {
                let Some(group) = state.groups.get(name) else { return Ok(Vec::new()) };
                let committed = |shard: &Shard| Some((shard.clone(), group.committed_at(shard)?));
                let mut all: Committed = shards.iter().filter_map(committed).collect();
                all.sort_unstable();
                Ok(all)
            };
            parts.iter().map(of).collect()
        })
    }
}
