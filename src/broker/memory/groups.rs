//! Consumer groups: committed offsets, members, and who reads which partition.
//!
//! Every change of members or topics starts a new generation in which all partitions are dealt out anew (the
//! eager protocol, each topic's partitions in ranges). A member learns of it at its next poll; a commit of an
//! older generation is refused, as Kafka does with `ILLEGAL_GENERATION`.

use std::collections::{BTreeMap, BTreeSet};

use super::state::State;
use crate::broker::{BrokerError, Committed, ErrorKind, Group, GroupKind, GroupSummary, Member, Name, Shard};

#[derive(Debug)]
pub(super) struct MemberState {
    client: String,
    topics: BTreeSet<Name>,
    assigned: Vec<Shard>,
}

#[derive(Debug, Default)]
pub(super) struct GroupState {
    committed: BTreeMap<Shard, i64>,
    members: BTreeMap<Name, MemberState>,
    pub generation: u64,
}

impl GroupState {
    pub fn forget_topic(&mut self, topic: &Name) {
        self.committed.retain(|shard, _| shard.topic != *topic);
    }

    pub fn is_active(&self) -> bool {
        !self.members.is_empty()
    }

    pub fn summary(&self, group: &Name) -> GroupSummary {
        let state = if self.is_active() { "stable" } else { "empty" };
        GroupSummary {
            group: group.clone(),
            kind: GroupKind::Classic,
            state: Some(state.to_owned()),
            unknown_reason: None,
        }
    }

    pub fn describe(&self, group: &Name) -> Group {
        let members = self.members.iter().map(|(id, member)| Member {
            id: id.clone(),
            client_id: member.client.clone(),
            host: "/127.0.0.1".to_owned(),
            assigned: member.assigned.clone(),
        });
        Group { summary: self.summary(group), coordinator: Some(super::NODE), members: members.collect() }
    }

    pub fn committed(&self) -> Committed {
        self.committed.iter().map(|(shard, offset)| (shard.clone(), *offset)).collect()
    }

    pub fn committed_at(&self, shard: &Shard) -> Option<i64> {
        self.committed.get(shard).copied()
    }

    pub fn commit(&mut self, shard: Shard, offset: i64) {
        self.committed.insert(shard, offset);
    }

    pub fn forget(&mut self, shard: &Shard) {
        self.committed.remove(shard);
    }
}

pub(super) fn unknown_group(group: &Name, what: &str) -> BrokerError {
    BrokerError::new(ErrorKind::UnknownGroup, what, format!("group {group} does not exist"))
}

fn rebalanced(group: &Name) -> BrokerError {
    let why = "the group rebalanced: partitions may belong to another member now";
    BrokerError::new(ErrorKind::Other, format!("commit of group {group}"), why).retryable()
}

impl State {
    /// Adds a member; gives its id.
    pub fn join(&mut self, group: &Name, client: &str, topics: &[Name]) -> Name {
        let id: Name = format!("{client}-{}", self.ids.next()).into();
        let member = MemberState {
            client: client.to_owned(),
            topics: topics.iter().cloned().collect(),
            assigned: Vec::new(),
        };
        self.groups.entry(group.clone()).or_default().members.insert(id.clone(), member);
        self.rebalance(group);
        id
    }

    /// Removes a member; nothing happens where it is gone already.
    pub fn leave(&mut self, group: &Name, member: &Name) {
        let removed = self.groups.get_mut(group).and_then(|g| g.members.remove(member));
        if removed.is_some() {
            self.rebalance(group);
        }
    }

    /// The member's partitions with the offset to begin at, where the generation is not `known` any more.
    pub fn assignment(
        &self,
        group: &Name,
        member: &Name,
        known: u64,
    ) -> Result<Option<(u64, Committed)>, BrokerError> {
        let what = "poll";
        let state = self.groups.get(group).ok_or_else(|| unknown_group(group, what))?;
        if state.generation == known {
            return Ok(None);
        }
        let member = state.members.get(member).ok_or_else(|| unknown_group(group, what))?;
        let at = |shard: &Shard| {
            let start = self.partition(shard, what).map_or(0, |p| p.start);
            state.committed.get(shard).copied().unwrap_or(start)
        };
        let assigned = member.assigned.iter().map(|shard| (shard.clone(), at(shard))).collect();
        Ok(Some((state.generation, assigned)))
    }

    /// Commits for a member.
    pub fn commit_offsets(
        &mut self,
        group: &Name,
        member: &Name,
        generation: u64,
        offsets: &[(Shard, i64)],
    ) -> Result<(), BrokerError> {
        let state = self.groups.get_mut(group).ok_or_else(|| unknown_group(group, "commit"))?;
        let assigned = state.members.get(member).map(|m| &m.assigned).ok_or_else(|| rebalanced(group))?;
        if state.generation != generation || !offsets.iter().all(|(shard, _)| assigned.contains(shard)) {
            return Err(rebalanced(group));
        }
        for (shard, offset) in offsets {
            state.commit(shard.clone(), *offset);
        }
        Ok(())
    }

    /// Deals out anew in all groups with a member that wants `topic`.
    pub fn rebalance_readers_of(&mut self, topic: &Name) {
        let wants = |g: &GroupState| g.members.values().any(|m| m.topics.contains(topic));
        let groups: Vec<Name> =
            self.groups.iter().filter(|(_, g)| wants(g)).map(|(name, _)| name.clone()).collect();
        for group in groups {
            self.rebalance(&group);
        }
    }

    fn rebalance(&mut self, group: &Name) {
        let Some(state) = self.groups.get_mut(group) else { return };
        state.generation += 1;
        let wanted: BTreeSet<Name> = state.members.values().flat_map(|m| m.topics.iter().cloned()).collect();
        for member in state.members.values_mut() {
            member.assigned.clear();
        }
        for topic in wanted {
            let Some(count) = self.topics.get(&topic).map(|t| t.partitions.len()) else { continue };
            let mut readers: Vec<_> =
                state.members.values_mut().filter(|m| m.topics.contains(&topic)).collect();
            let members = readers.len();
            for partition in 0..count {
                if let Some(reader) = readers.get_mut(partition * members / count) {
                    let partition = i32::try_from(partition).unwrap_or(i32::MAX);
                    reader.assigned.push(Shard::new(topic.clone(), partition));
                }
            }
        }
    }
}
