//! What changes the cluster: sessions, topics, offsets, deletions, and members of groups.

use std::collections::HashMap;
use std::ffi::CString;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};

use super::catalog::{c_name, c_names, exists, missing, odd};
use super::client::{DEADLINE, named};
use super::request::{Ask, Part, Refusal, Told};
use super::{Ports, errors};
use crate::broker::{
    BrokerError, Each, ErrorKind, Fut, Membership, Name, NewTopic, Session, SessionKind, Shard, Writer,
};

/// How long a change may take to be seen by the node that is asked.
const SEEN_WITHIN: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(25);

/// Whether topics are made, or only could be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Making {
    Real,
    Check,
}

fn created(new: &NewTopic, what: &str, making: Making) -> Result<Ask, BrokerError> {
    let invalid = |why: String| BrokerError::new(ErrorKind::Invalid, what, why);
    if new.partitions < 1 {
        return Err(invalid(format!("a topic cannot have {} partitions", new.partitions)));
    }
    let config = new.config.iter().map(|(name, value)| {
        let value = CString::new(value.as_str())
            .map_err(|_| invalid(format!("the value of {name} contains a zero byte")))?;
        Ok((c_name(name, what)?, value))
    });
    Ok(Ask::CreateTopic {
        name: c_name(&new.name, what)?,
        partitions: new.partitions,
        replication: new.replication.unwrap_or(-1),
        config: config.collect::<Result<_, _>>()?,
        only_checked: making == Making::Check,
    })
}

fn partition_list(offsets: &HashMap<&Shard, i64>, what: &str) -> Result<TopicPartitionList, BrokerError> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (shard, offset) in offsets {
        list.add_partition_offset(&shard.topic, shard.partition, Offset::Offset(*offset))
            .map_err(|error| errors::kafka(what, &error))?;
    }
    Ok(list)
}

/// The answers for the partitions that were asked for; a refusal of the whole call is one of each.
fn by_shard(answer: Option<Result<Told, Refusal>>) -> Result<HashMap<Shard, Part>, Refusal> {
    match answer {
        Some(Ok(Told::Parts(parts))) => {
            Ok(parts.into_iter().map(|part| (part.shard.clone(), part)).collect())
        }
        Some(Err(refusal)) => Err(refusal),
        _ => Err(Refusal::no_answer()),
    }
}

fn outcome(parts: &Result<HashMap<Shard, Part>, Refusal>, shard: &Shard) -> Result<(), Refusal> {
    let parts = parts.as_ref().map_err(Clone::clone)?;
    let part = parts.get(shard).ok_or_else(Refusal::no_answer)?;
    part.refusal.clone().map_or(Ok(()), Err)
}

impl Ports {
    /// Waits until the node that is asked knows of topics, or no longer does.
    async fn seen(&self, topics: &[Name], there: bool) -> Result<(), BrokerError> {
        let mut waited = Duration::ZERO;
        while !topics.is_empty() && waited < SEEN_WITHIN {
            let sheets = self.sheets("look at topics", topics).await?;
            let known = |name: &Name| sheets.get(&**name).is_some_and(|sheet| sheet.refusal.is_none());
            let led = |name: &Name| {
                sheets.get(&**name).is_some_and(|sheet| sheet.partitions.iter().all(|p| p.leader.is_some()))
            };
            if topics.iter().all(|name| if there { known(name) && led(name) } else { !known(name) }) {
                break;
            }
            tokio::time::sleep(LOOK).await;
            waited += LOOK;
        }
        Ok(())
    }

    async fn create(&self, topics: &[NewTopic], making: Making) -> Result<Each<()>, BrokerError> {
        let what = |new: &NewTopic| format!("create {}", new.name);
        let asks: Vec<_> = topics.iter().map(|new| created(new, &what(new), making)).collect();
        let wanted = asks.iter().filter_map(|ask| ask.as_ref().ok().cloned()).collect();
        let mut answers = self.link.ask("create topics", wanted, DEADLINE).await?.into_iter();
        let mut each = Each::new();
        for (new, ask) in topics.iter().zip(asks) {
            each.push(match ask {
                Err(error) => Err(error),
                Ok(_) => match answers.next() {
                    Some(Ok(Told::Named(found))) => {
                        match found.into_iter().find_map(|(_, refusal)| refusal) {
                            Some(refusal) => Err(errors::refused(what(new), refusal)),
                            None => Ok(()),
                        }
                    }
                    Some(Err(refusal)) => Err(errors::refused(what(new), refusal)),
                    _ => Err(odd(&what(new))),
                },
            });
        }
        let made = topics.iter().zip(&each).filter(|(_, r)| r.is_ok() && making == Making::Real);
        let made: Vec<Name> = made.map(|(new, _)| new.name.clone()).collect();
        self.seen(&made, true).await?;
        Ok(each)
    }

    /// Deletes what has a name.
    async fn delete(
        &self,
        call: &str,
        names: &[Name],
        ask: impl FnOnce(Vec<CString>) -> Ask,
    ) -> Result<Each<()>, BrokerError> {
        let wanted = c_names(names);
        let mut found: HashMap<String, Option<Refusal>> = HashMap::new();
        if !wanted.is_empty() {
            match self.link.ask(call, vec![ask(wanted)], DEADLINE).await?.pop() {
                Some(Ok(Told::Named(all))) => found.extend(all),
                Some(Err(refusal)) => return Err(errors::refused(call, refusal)),
                _ => return Err(odd(call)),
            }
        }
        let one = |name: &Name| {
            let what = format!("{call} {name}");
            c_name(name, &what)?;
            match found.get(&**name) {
                Some(None) => Ok(()),
                Some(Some(refusal)) => Err(missing(name, what, refusal)),
                None => Err(errors::refused(what, Refusal::no_answer())),
            }
        };
        Ok(names.iter().map(one).collect())
    }

    async fn trim(&self, before: &[(Shard, i64)]) -> Result<Each<()>, BrokerError> {
        let what = |shard: &Shard| format!("delete records of {}[{}]", shard.topic, shard.partition);
        let sheets = self.sheets("delete records", before.iter().map(|(shard, _)| &shard.topic)).await?;
        let check = |(shard, offset): &(Shard, i64)| {
            exists(&sheets, shard).map_err(|error| named(&what(shard), error))?;
            // The broker takes -1 for "all".
            if *offset < 0 {
                let why = format!("offset {offset} is negative");
                return Err(BrokerError::new(ErrorKind::OffsetOutOfRange, what(shard), why));
            }
            Ok(())
        };
        let checked: Each<()> = before.iter().map(check).collect();
        let good = before.iter().zip(&checked).filter(|(_, c)| c.is_ok());
        let good: HashMap<&Shard, i64> = good.map(|((shard, offset), _)| (shard, *offset)).collect();
        if good.is_empty() {
            return Ok(checked);
        }
        let asks = vec![Ask::DeleteRecords(partition_list(&good, "delete records")?)];
        let parts = by_shard(self.link.ask("delete records", asks, DEADLINE).await?.pop());
        let one = |((shard, _), checked): (&(Shard, i64), Result<(), BrokerError>)| {
            checked?;
            outcome(&parts, shard).map_err(|refusal| errors::refused(what(shard), refusal))
        };
        Ok(before.iter().zip(checked).map(one).collect())
    }

    /// Sets or deletes committed offsets.
    async fn change_offsets(
        &self,
        what: String,
        group: &Name,
        offsets: &[(Shard, i64)],
        ask: fn(CString, TopicPartitionList) -> Ask,
    ) -> Result<Each<()>, BrokerError> {
        let group = c_name(group, &what)?;
        let sheets = self.sheets(&what, offsets.iter().map(|(shard, _)| &shard.topic)).await?;
        let check = |(shard, offset): &(Shard, i64)| {
            exists(&sheets, shard).map_err(|error| named(&what, error))?;
            if *offset < 0 {
                let why = format!("offset {offset} is negative");
                return Err(BrokerError::new(ErrorKind::Invalid, what.as_str(), why));
            }
            Ok(())
        };
        let checked: Each<()> = offsets.iter().map(check).collect();
        let good = offsets.iter().zip(&checked).filter(|(_, c)| c.is_ok());
        let good: HashMap<&Shard, i64> = good.map(|((shard, offset), _)| (shard, *offset)).collect();
        if good.is_empty() {
            return Ok(checked);
        }
        let asks = vec![ask(group, partition_list(&good, &what)?)];
        let parts = by_shard(self.link.ask(&what, asks, DEADLINE).await?.pop());
        let one = |((shard, _), checked): (&(Shard, i64), Result<(), BrokerError>)| {
            checked?;
            outcome(&parts, shard).map_err(|refusal| match refusal.code {
                // A commit from outside is a commit of an unknown member while there are members.
                Code::UnknownMemberId
                | Code::RebalanceInProgress
                | Code::IllegalGeneration
                | Code::StaleMemberEpoch => {
                    errors::code(what.as_str(), Code::NonEmptyGroup, "the group has members")
                }
                _ => errors::refused(what.as_str(), refusal),
            })
        };
        Ok(offsets.iter().zip(checked).map(one).collect())
    }
}

impl Writer for Ports {
    fn begin(&self, kind: SessionKind) -> Fut<'_, Box<dyn Session>> {
        Box::pin(self.begin_session(kind))
    }

    fn create_topics<'a>(&'a self, topics: &'a [NewTopic]) -> Fut<'a, Each<()>> {
        Box::pin(self.create(topics, Making::Real))
    }

    fn check_topics<'a>(&'a self, topics: &'a [NewTopic]) -> Fut<'a, Each<()>> {
        Box::pin(self.create(topics, Making::Check))
    }

    fn delete_topics<'a>(&'a self, topics: &'a [Name]) -> Fut<'a, Each<()>> {
        Box::pin(async move {
            let each = self.delete("delete", topics, Ask::DeleteTopics).await?;
            let gone: Vec<Name> =
                topics.iter().zip(&each).filter(|(_, r)| r.is_ok()).map(|(name, _)| name.clone()).collect();
            self.seen(&gone, false).await?;
            Ok(each)
        })
    }

    fn delete_groups<'a>(&'a self, groups: &'a [Name]) -> Fut<'a, Each<()>> {
        Box::pin(self.delete("delete group", groups, Ask::DeleteGroups))
    }

    fn delete_before<'a>(&'a self, before: &'a [(Shard, i64)]) -> Fut<'a, Each<()>> {
        Box::pin(self.trim(before))
    }

    fn alter_offsets<'a>(&'a self, group: &'a Name, offsets: &'a [(Shard, i64)]) -> Fut<'a, Each<()>> {
        Box::pin(self.change_offsets(
            format!("set offsets of group {group}"),
            group,
            offsets,
            Ask::SetCommitted,
        ))
    }

    fn delete_offsets<'a>(&'a self, group: &'a Name, of: &'a [Shard]) -> Fut<'a, Each<()>> {
        Box::pin(async move {
            let what = format!("delete offsets of group {group}");
            let of: Vec<(Shard, i64)> = of.iter().map(|shard| (shard.clone(), 0)).collect();
            self.change_offsets(what, group, &of, Ask::DeleteCommitted).await
        })
    }

    fn join<'a>(
        &'a self,
        group: &'a Name,
        client_id: &'a str,
        topics: &'a [Name],
    ) -> Fut<'a, Box<dyn Membership>> {
        Box::pin(self.join_group(group, client_id, topics))
    }
}
