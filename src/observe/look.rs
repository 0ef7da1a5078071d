//! One look at the broker: what is asked, batched and in flight together.

use std::time::Duration;

use super::Interest;
use crate::broker::{
    Bounds, BrokerError, Catalog, Cluster, Committed, Each, ErrorKind, Group, GroupSummary, Groups, Name,
    Shard, TopicConfig, TopicId, TopicInfo,
};
use crate::context::Cx;
use crate::text::Timestamp;

/// What a look covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything.
    All,
    /// What is on the screen.
    Only(Interest),
}

/// What the asker knows already, and what is due.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Partitions by what was seen before; asked for with a scope.
    pub shards: Vec<Shard>,
    /// Whether the cluster itself is due.
    pub cluster: bool,
    /// Whether the members of groups are due.
    pub members: bool,
}

/// An answer for each of the things asked.
pub(super) type Answers<K, T> = Vec<(K, Result<T, BrokerError>)>;

/// What one look brought.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    /// Cluster, where it was asked.
    pub cluster: Option<Cluster>,
    /// All topics; `None` where the look was at some things only.
    pub topics: Option<Vec<TopicInfo>>,
    /// All groups; the same.
    pub groups: Option<Vec<GroupSummary>>,
    /// Why the groups cannot be listed; they are as they were seen last.
    pub groups_error: Option<String>,
    /// Offsets, and the two times at which they came.
    pub bounds: Answers<Shard, Bounds>,
    pub bounds_at: (Duration, Timestamp),
    /// Committed offsets, and when they came.
    pub committed: Answers<Name, Committed>,
    pub committed_at: (Duration, Timestamp),
    /// Groups with their members.
    pub described: Answers<Name, Group>,
    /// Topic ids.
    pub ids: Answers<Name, TopicId>,
    /// Configurations.
    pub configs: Answers<Name, TopicConfig>,
}

/// What is known from earlier looks, and decides what this one asks.
pub(super) struct Before<'a> {
    /// The topics on the screen.
    pub shown: &'a [Name],
    pub due: Due<'a>,
    pub recent: Recent<'a>,
    pub commits: Commits<'a>,
}

/// Which topics are due for a question that is asked now and then: for their ids, and for their configurations.
pub(super) type Due<'a> = &'a (dyn Fn(&[Name]) -> (Vec<Name>, Vec<Name>) + Send + Sync);

/// Whether an error of a whole call means that the broker is away, and not that this one thing cannot be had.
fn is_away(error: &BrokerError) -> bool {
    !matches!(error.kind, ErrorKind::Authorisation | ErrorKind::Unsupported | ErrorKind::Invalid)
}

/// The answers of a side question; one that may not be asked brings nothing.
fn side<T>(names: &[Name], answer: Result<Each<T>, BrokerError>) -> Result<Answers<Name, T>, BrokerError> {
    match answer {
        Ok(each) => Ok(names.iter().cloned().zip(each).collect()),
        Err(e) if is_away(&e) => Err(e),
        Err(e) => Ok(names.iter().cloned().map(|name| (name, Err(e.clone()))).collect()),
    }
}

/// The topics that are shown and not in the list: a broker leaves out what the user may not describe, and tells why
/// only where it is asked by name.
async fn unlisted(
    catalog: &dyn Catalog,
    listed: &[TopicInfo],
    shown: &[Name],
) -> Result<Vec<TopicInfo>, BrokerError> {
    let missing: Vec<Name> =
        shown.iter().filter(|name| !listed.iter().any(|t| t.name == **name)).cloned().collect();
    if missing.is_empty() { Ok(Vec::new()) } else { catalog.topics(Some(&missing)).await }
}

/// The offsets of a partition as they are known, where its first one need not be asked for again.
pub(super) type Recent<'a> = &'a (dyn Fn(&Shard) -> Option<Bounds> + Send + Sync);

/// The partitions of a group that had commits, where not all of them need be asked for again.
pub(super) type Commits<'a> = &'a (dyn Fn(&Name) -> Option<Vec<Shard>> + Send + Sync);

/// The committed offsets of groups, in any order.
async fn committed_of(
    port: &dyn Groups,
    groups: &[Name],
    commits: Commits<'_>,
) -> Result<Answers<Name, Committed>, BrokerError> {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for group in groups {
        match commits(group) {
            Some(shards) => known.push((Name::clone(group), shards)),
            None => unknown.push(Name::clone(group)),
        }
    }
    let some = async { if known.is_empty() { Ok(Vec::new()) } else { port.committed_on(&known).await } };
    let all = async { if unknown.is_empty() { Ok(Vec::new()) } else { port.committed(&unknown).await } };
    let (some, all) = tokio::join!(some, all);
    let known: Vec<Name> = known.iter().map(|(group, _)| Name::clone(group)).collect();
    Ok(side(&known, some)?.into_iter().chain(side(&unknown, all)?).collect())
}

/// The bounds of partitions, in any order.
async fn bounds_of(
    catalog: &dyn Catalog,
    shards: Vec<Shard>,
    recent: Recent<'_>,
) -> Result<Answers<Shard, Bounds>, BrokerError> {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for shard in shards {
        match recent(&shard) {
            Some(bounds) => known.push((shard, bounds)),
            None => unknown.push(shard),
        }
    }
    let renewed = if known.is_empty() { Vec::new() } else { catalog.renew(&known).await? };
    let asked = if unknown.is_empty() { Vec::new() } else { catalog.bounds(&unknown).await? };
    let known = known.into_iter().map(|(shard, _)| shard);
    Ok(known.zip(renewed).chain(unknown.into_iter().zip(asked)).collect())
}

/// Looks.
pub(super) async fn look(
    cx: &Cx,
    scope: &Scope,
    known: &Known,
    before: Before<'_>,
) -> Result<Look, BrokerError> {
    let catalog = cx.broker.catalog();
    let mut look = Look::default();
    let (shards, topics, groups) = match scope {
        Scope::All => {
            let cluster = async { if known.cluster { catalog.cluster().await.map(Some) } else { Ok(None) } };
            let list = async {
                match cx.broker.groups() {
                    Some(port) => port.list().await,
                    None => Ok(Vec::new()),
                }
            };
            let (cluster, topics, groups) = tokio::join!(cluster, catalog.topics(None), list);
            look.cluster = cluster?;
            let mut topics = topics?;
            match groups {
                Ok(groups) => look.groups = Some(groups),
                Err(e) if is_away(&e) => return Err(e),
                Err(e) => look.groups_error = Some(e.to_string()),
            }
            topics.extend(unlisted(catalog, &topics, before.shown).await?);
            let shards = topics.iter().flat_map(TopicInfo::shards).collect();
            let names: Vec<Name> = topics.iter().map(|t| Name::clone(&t.name)).collect();
            let ids = look.groups.iter().flatten().map(|g| Name::clone(&g.group)).collect();
            look.topics = Some(topics);
            (shards, names, ids)
        }
        Scope::Only(interest) => (known.shards.clone(), interest.topics.clone(), interest.groups.clone()),
    };
    let (ids, configs) = (before.due)(&topics);
    let bounds = async {
        let answer = bounds_of(catalog, shards, before.recent).await;
        (answer, now(cx))
    };
    let committed = async {
        let answer = match cx.broker.groups() {
            Some(port) if !groups.is_empty() => committed_of(port, &groups, before.commits).await,
            _ => Ok(Vec::new()),
        };
        (answer, now(cx))
    };
    let described = async {
        match cx.broker.groups() {
            Some(port) if known.members && !groups.is_empty() => port.describe(&groups).await,
            _ => Ok(Vec::new()),
        }
    };
    let topic_ids = async { if ids.is_empty() { Ok(Vec::new()) } else { catalog.topic_ids(&ids).await } };
    let topic_configs =
        async { if configs.is_empty() { Ok(Vec::new()) } else { catalog.configs(&configs).await } };
    let (bounds, committed, described, topic_ids, topic_configs) =
        tokio::join!(bounds, committed, described, topic_ids, topic_configs);
    look.bounds_at = bounds.1;
    look.bounds = bounds.0?;
    look.committed_at = committed.1;
    look.committed = committed.0?;
    look.described = side(&groups, described)?;
    look.ids = side(&ids, topic_ids)?;
    look.configs = side(&configs, topic_configs)?;
    Ok(look)
}

fn now(cx: &Cx) -> (Duration, Timestamp) {
    (cx.clock.monotonic(), cx.clock.now())
}
