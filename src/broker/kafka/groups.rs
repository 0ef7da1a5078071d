//! Consumer groups, looked at from outside.
//!
//! librdkafka leaves out groups that are neither classic nor of KIP-848 (`rdkafka_admin.c`). They are found in
//! its older list, which describes every group on the way; so that list is asked for rarely, and only for names.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::bindings::{rd_kafka_consumer_group_state_t as State, rd_kafka_consumer_group_type_t as Type};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode as Code;

use super::catalog::{A_LIST, c_name, c_names, odd};
use super::client::{COORDINATOR_TRIES, COORDINATOR_WAIT, Context, DEADLINE};
use super::request::{Ask, GroupLine, GroupSheet, Refusal, Told};
use super::{Ports, errors};
use crate::broker::{
    BrokerError, Committed, Each, ErrorKind, Fut, Group, GroupKind, GroupSummary, Groups, Member, Name, Shard,
};

/// How long the names of hidden groups are taken as known.
const HIDDEN_FOR: Duration = Duration::from_secs(30);

/// Groups that librdkafka's list hides, and when they were asked for.
#[derive(Default)]
pub(super) struct Hidden(Mutex<Option<(Duration, BTreeSet<Name>)>>);

fn kind(of: Type) -> GroupKind {
    match of {
        Type::RD_KAFKA_CONSUMER_GROUP_TYPE_CONSUMER => GroupKind::Consumer,
        Type::RD_KAFKA_CONSUMER_GROUP_TYPE_CLASSIC => GroupKind::Classic,
        _ => GroupKind::Unknown,
    }
}

fn state(of: State) -> Option<&'static str> {
    match of {
        State::RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE => Some("preparing_rebalance"),
        State::RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE => Some("completing_rebalance"),
        State::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE => Some("stable"),
        State::RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY => Some("empty"),
        State::RD_KAFKA_CONSUMER_GROUP_STATE_DEAD => Some("dead"),
        _ => None,
    }
}

fn summary(line: &GroupLine) -> GroupSummary {
    let (kind, state) = (kind(line.kind), state(line.state));
    let reason = match (kind, state) {
        (_, None) => Some("the client library does not know the state that the broker names"),
        (GroupKind::Unknown, _) => {
            Some("the broker does not tell the kind of group (it does since Kafka 3.8)")
        }
        _ => None,
    };
    GroupSummary {
        group: line.group.as_str().into(),
        kind,
        state: state.map(str::to_owned),
        unknown_reason: reason.map(str::to_owned),
    }
}

fn hidden_summary(group: &Name) -> GroupSummary {
    let reason = "neither classic nor of KIP-848, so a share or streams group: the client library does not describe it";
    GroupSummary {
        group: group.clone(),
        kind: GroupKind::Unknown,
        state: None,
        unknown_reason: Some(reason.to_owned()),
    }
}

fn unknown(group: &Name) -> BrokerError {
    let what = format!("describe group {group}");
    errors::code(what, Code::GroupIdNotFound, format!("group {group} does not exist"))
}

fn member(of: super::request::MemberSheet) -> Member {
    let mut assigned: Vec<_> = of.assigned.into_iter().map(|part| part.shard).collect();
    assigned.sort_unstable();
    Member { id: of.id.into(), client_id: of.client_id, host: of.host, assigned }
}

impl Ports {
    async fn lines(&self) -> Result<Vec<GroupLine>, BrokerError> {
        let what = "list groups";
        let mut tries = 0..COORDINATOR_TRIES;
        let (lines, refusals) = loop {
            let Told::Groups { lines, refusals } = self.link.ask_one(what, Ask::Groups).await? else {
                return Err(odd(what));
            };
            if !refusals.iter().any(Refusal::is_moving) || tries.next().is_none() {
                break (lines, refusals);
            }
            tokio::time::sleep(COORDINATOR_WAIT).await;
        };
        // One node that does not answer costs its own groups, not all.
        if let Some(refusal) = refusals.into_iter().next() {
            if lines.is_empty() {
                return Err(errors::refused(what, refusal));
            }
            tracing::warn!(words = refusal.words, "a node did not list its groups");
        }
        Ok(lines)
    }

    async fn group_sheets(&self, groups: &[Name]) -> Result<HashMap<String, GroupSheet>, BrokerError> {
        let what = "describe groups";
        let mut names = c_names(groups);
        let mut sheets: HashMap<String, GroupSheet> = HashMap::new();
        for _ in 0..=COORDINATOR_TRIES {
            if names.is_empty() {
                break;
            }
            let Told::GroupSheets(found) = self.link.ask_one(what, Ask::GroupSheets(names)).await? else {
                return Err(odd(what));
            };
            let again: Vec<_> =
                found.iter().filter(|sheet| sheet.refusal.as_ref().is_some_and(Refusal::is_moving)).collect();
            names = again.into_iter().filter_map(|sheet| c_name(&sheet.line.group, what).ok()).collect();
            sheets.extend(found.into_iter().map(|sheet| (sheet.line.group.clone(), sheet)));
            if !names.is_empty() {
                tokio::time::sleep(COORDINATOR_WAIT).await;
            }
        }
        Ok(sheets)
    }

    /// The groups that librdkafka's list hides. Where that cannot be found out there are none: the list is not
    /// lost for it.
    async fn hidden(&self) -> BTreeSet<Name> {
        let now = self.link.clock.monotonic();
        let known = |max: Duration| {
            let hidden = self.hidden.0.lock().unwrap_or_else(PoisonError::into_inner);
            hidden.as_ref().filter(|(at, _)| now.saturating_sub(*at) < max).map(|(_, found)| found.clone())
        };
        if let Some(found) = known(HIDDEN_FOR) {
            return found;
        }
        match self.find_hidden().await {
            Ok(found) => {
                let mut hidden = self.hidden.0.lock().unwrap_or_else(PoisonError::into_inner);
                *hidden = Some((now, found.clone()));
                found
            }
            Err(error) => {
                tracing::warn!(%error, "hidden groups could not be named");
                known(Duration::MAX).unwrap_or_default()
            }
        }
    }

    async fn find_hidden(&self) -> Result<BTreeSet<Name>, BrokerError> {
        let unlike_classic = |client: &BaseConsumer<Context>, deadline| {
            let list = client.fetch_group_list(None, deadline)?;
            // A classic group has a protocol, or is empty; the description of another one is refused.
            let other = list.groups().iter().filter(|g| g.protocol_type().is_empty() && g.state() != "Empty");
            Ok(other.map(|g| g.name().into()).collect::<BTreeSet<Name>>())
        };
        let mut found = self.link.call("name hidden groups", unlike_classic).await?;
        // Asked afterwards, so that a group that was made in between is not taken for a hidden one.
        for line in self.lines().await? {
            found.remove(line.group.as_str());
        }
        Ok(found)
    }
}

impl Groups for Ports {
    fn list(&self) -> Fut<'_, Vec<GroupSummary>> {
        Box::pin(async {
            let lines = self.lines().await?;
            let mut hidden = self.hidden().await;
            for line in &lines {
                hidden.remove(line.group.as_str());
            }
            // A group that is just being removed is no group any more.
            let dead = State::RD_KAFKA_CONSUMER_GROUP_STATE_DEAD;
            let mut all: Vec<_> = lines.iter().filter(|l| l.state != dead).map(summary).collect();
            all.extend(hidden.iter().map(hidden_summary));
            all.sort_unstable_by(|a, b| a.group.cmp(&b.group));
            Ok(all)
        })
    }

    fn describe<'a>(&'a self, groups: &'a [Name]) -> Fut<'a, Each<Group>> {
        Box::pin(async move {
            let mut sheets = self.group_sheets(groups).await?;
            let gone = |sheet: &GroupSheet| match &sheet.refusal {
                Some(refusal) => refusal.code == Code::GroupIdNotFound,
                None => sheet.line.state == State::RD_KAFKA_CONSUMER_GROUP_STATE_DEAD,
            };
            let hidden = if sheets.values().any(gone) { self.hidden().await } else { BTreeSet::new() };
            let mut describe = |name: &Name| {
                let what = format!("describe group {name}");
                c_name(name, &what)?;
                let sheet = match sheets.remove(&**name).filter(|sheet| !gone(sheet)) {
                    Some(sheet) => sheet,
                    None if hidden.contains(name) => {
                        let summary = hidden_summary(name);
                        return Ok(Group { summary, coordinator: None, members: Vec::new() });
                    }
                    None => return Err(unknown(name)),
                };
                if let Some(refusal) = sheet.refusal {
                    return Err(errors::refused(what, refusal));
                }
                Ok(Group {
                    summary: summary(&sheet.line),
                    coordinator: sheet.coordinator,
                    members: sheet.members.into_iter().map(member).collect(),
                })
            };
            Ok(groups.iter().map(&mut describe).collect())
        })
    }

    fn committed<'a>(&'a self, groups: &'a [Name]) -> Fut<'a, Each<Committed>> {
        Box::pin(async move {
            let asks: Vec<Ask> = c_names(groups).into_iter().map(|name| Ask::Committed(name, None)).collect();
            let names = c_names(groups);
            let answers = self.link.ask("read committed offsets", asks, DEADLINE).await?;
            let mut found: HashMap<&str, _> =
                names.iter().filter_map(|name| name.to_str().ok()).zip(answers).collect();
            let mut committed = |name: &Name| {
                let what = format!("committed offsets of group {name}");
                c_name(name, &what)?;
                match found.remove(&**name) {
                    Some(answer) => commits(&what, answer, |_| false),
                    None => Err(BrokerError::new(ErrorKind::Invalid, what, "the group is named twice")),
                }
            };
            Ok(groups.iter().map(&mut committed).collect())
        })
    }

    fn committed_on<'a>(&'a self, parts: &'a [(Name, Vec<Shard>)]) -> Fut<'a, Each<Committed>> {
        Box::pin(async move {
            let what = "read committed offsets";
            let (mut asks, mut of_group) = (Vec::new(), Vec::new());
            for (number, (name, shards)) in parts.iter().enumerate() {
                let name = c_name(name, what)?;
                // librdkafka looks through the list for each partition of the answer.
                for some in shards.chunks(A_LIST) {
                    let mut list = TopicPartitionList::with_capacity(some.len());
                    for shard in some {
                        list.add_partition(&shard.topic, shard.partition);
                    }
                    asks.push(Ask::Committed(name.clone(), Some(list)));
                    of_group.push(number);
                }
            }
            let answers =
                if asks.is_empty() { Vec::new() } else { self.link.ask(what, asks, DEADLINE).await? };
            let mut found: Each<Committed> = parts.iter().map(|_| Ok(Vec::new())).collect();
            for (answer, number) in answers.into_iter().zip(of_group) {
                let (Some(all), Some((name, _))) = (found.get_mut(number), parts.get(number)) else {
                    continue;
                };
                let what = format!("committed offsets of group {name}");
                match (all, commits(&what, answer, is_left_out)) {
                    (Ok(all), Ok(some)) => all.extend(some),
                    (all @ Ok(_), Err(error)) => *all = Err(error),
                    (Err(_), _) => {}
                }
            }
            for all in found.iter_mut().flatten() {
                all.sort_unstable();
            }
            Ok(found)
        })
    }
}

/// Whether a partition with this refusal is not in the list of all partitions of a group.
fn is_left_out(refusal: &Refusal) -> bool {
    matches!(refusal.code, Code::UnknownTopicOrPartition | Code::TopicAuthorizationFailed)
}

/// The commits of an answer; partitions whose refusal is one to be `left_out` are.
fn commits(
    what: &str,
    answer: Result<Told, Refusal>,
    left_out: fn(&Refusal) -> bool,
) -> Result<Committed, BrokerError> {
    let parts = match answer {
        Ok(Told::Parts(parts)) => parts,
        Ok(_) => return Err(odd(what)),
        // A group that does not exist has no commits.
        Err(refusal) if refusal.code == Code::GroupIdNotFound => return Ok(Vec::new()),
        Err(refusal) => return Err(errors::refused(what, refusal)),
    };
    let mut all = Vec::with_capacity(parts.len());
    for part in parts {
        match part.refusal {
            Some(refusal) if left_out(&refusal) => continue,
            Some(refusal) => return Err(errors::refused(what, refusal)),
            None => {}
        }
        if part.offset >= 0 {
            all.push((part.shard, part.offset));
        }
    }
    all.sort_unstable();
    Ok(all)
}
