//! Consumer groups: looked at from outside, joined by programs that consume.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use redrive::broker::{ErrorKind, Membership, Name, Shard};
use redrive::event::Record;

use crate::bench::{Bench, PATIENCE, kind, only, soon, unique, values, write};

async fn listed(bench: &Bench, group: &Name) -> Option<Option<String>> {
    let groups = bench.broker.groups().unwrap().list().await.unwrap();
    groups.into_iter().find(|g| g.group == *group).map(|g| g.state)
}

async fn committed(bench: &Bench, group: &Name) -> Vec<(Shard, i64)> {
    let port = bench.broker.groups().unwrap();
    let mut all = only(port.committed(std::slice::from_ref(group)).await.unwrap()).unwrap();
    all.sort();
    // The same is told of its partitions alone, and of those that are not there nothing.
    let shards: Vec<Shard> = all.iter().map(|(shard, _)| shard.clone()).collect();
    let with_none = [&shards[..], &[Shard::new("there-is-no-such-topic", 7)]].concat();
    let parts = [(Name::clone(group), with_none), (unique("no-group"), shards)];
    let answers: Vec<_> = port.committed_on(&parts).await.unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [all.clone(), Vec::new()]);
    all
}

/// Polls until so many records came.
async fn take(member: &mut dyn Membership, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    soon("records of a member", async {
        while records.len() < count {
            records.extend(member.poll(Duration::from_millis(200)).await.unwrap());
        }
    })
    .await;
    records
}

pub async fn a_group_with_commits_has_lag(bench: &Bench) {
    let (topic, group) = (bench.topic(2, &[]).await, unique("group"));
    let shard = Shard::new(Arc::clone(&topic), 0);
    bench.put((0..5).map(|i| write(&shard, None, Some(&i.to_string())))).await;
    let offsets = [(shard.clone(), 2)];
    for set in bench.broker.writer().unwrap().alter_offsets(&group, &offsets).await.unwrap() {
        set.unwrap();
    }
    // The partition without a commit is left out: it has no lag, rather than one of zero.
    assert_eq!(committed(bench, &group).await, offsets);
    assert_eq!(bench.bounds(&shard).await.end - 2, 3);
    assert_eq!(listed(bench, &group).await.flatten().as_deref(), Some("empty"));
}

pub async fn a_group_without_commits_has_none(bench: &Bench) {
    let group = unique("group");
    assert_eq!(committed(bench, &group).await, []);
    assert_eq!(listed(bench, &group).await, None, "asking for a group made it");
    let described =
        only(bench.broker.groups().unwrap().describe(std::slice::from_ref(&group)).await.unwrap());
    assert_eq!(kind(described), ErrorKind::UnknownGroup);
}

pub async fn a_member_is_described_with_its_partitions(bench: &Bench) {
    let (topic, group) = (bench.topic(3, &[]).await, unique("group"));
    let shard = Shard::new(Arc::clone(&topic), 1);
    bench.put([write(&shard, None, Some("x"))]).await;
    let writer = bench.broker.writer().unwrap();
    let mut member = writer.join(&group, "mailer", std::slice::from_ref(&topic)).await.unwrap();
    take(&mut *member, 1).await;
    let groups = bench.broker.groups().unwrap();
    let described = only(groups.describe(std::slice::from_ref(&group)).await.unwrap()).unwrap();
    assert_eq!(described.summary.state.as_deref(), Some("stable"));
    assert_eq!(described.members.len(), 1);
    let one = &described.members[0];
    assert_eq!(one.client_id, "mailer");
    assert!(!one.host.is_empty());
    let assigned: BTreeSet<i32> = one.assigned.iter().map(|s| s.partition).collect();
    assert_eq!(assigned, BTreeSet::from([0, 1, 2]));
    member.leave(PATIENCE).await.unwrap();
    soon("the member to be gone", async {
        while listed(bench, &group).await.flatten().as_deref() != Some("empty") {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

pub async fn offsets_of_an_active_group_are_not_moved(bench: &Bench) {
    let (topic, group) = (bench.topic(1, &[]).await, unique("group"));
    let shard = Shard::new(Arc::clone(&topic), 0);
    bench.put([write(&shard, None, Some("x"))]).await;
    let writer = bench.broker.writer().unwrap();
    let mut member = writer.join(&group, "mailer", std::slice::from_ref(&topic)).await.unwrap();
    take(&mut *member, 1).await;
    member.commit(&[(shard.clone(), 1)]).await.unwrap();
    let moved = only(writer.alter_offsets(&group, &[(shard.clone(), 0)]).await.unwrap());
    assert_eq!(kind(moved), ErrorKind::GroupActive);
    let deleted = only(writer.delete_groups(std::slice::from_ref(&group)).await.unwrap());
    assert_eq!(kind(deleted), ErrorKind::GroupActive);
    assert_eq!(committed(bench, &group).await, [(shard, 1)]);
    member.leave(PATIENCE).await.unwrap();
}

pub async fn a_member_goes_on_where_the_group_stood(bench: &Bench) {
    let (topic, group) = (bench.topic(1, &[]).await, unique("group"));
    let shard = Shard::new(Arc::clone(&topic), 0);
    bench.put((0..4).map(|i| write(&shard, None, Some(&i.to_string())))).await;
    let writer = bench.broker.writer().unwrap();
    let mut member = writer.join(&group, "mailer", std::slice::from_ref(&topic)).await.unwrap();
    assert_eq!(values(&take(&mut *member, 4).await), ["0", "1", "2", "3"]);
    member.commit(&[(shard.clone(), 3)]).await.unwrap();
    assert_eq!(committed(bench, &group).await, [(shard, 3)]);
    member.leave(PATIENCE).await.unwrap();
    // The fourth was not committed, so it comes again.
    let mut member = writer.join(&group, "mailer", std::slice::from_ref(&topic)).await.unwrap();
    assert_eq!(values(&take(&mut *member, 1).await), ["3"]);
    member.leave(PATIENCE).await.unwrap();
}

pub async fn a_group_without_members_can_be_deleted(bench: &Bench) {
    let (topic, group) = (bench.topic(1, &[]).await, unique("group"));
    let writer = bench.broker.writer().unwrap();
    only(writer.alter_offsets(&group, &[(Shard::new(topic, 0), 0)]).await.unwrap()).unwrap();
    assert!(listed(bench, &group).await.is_some());
    only(writer.delete_groups(std::slice::from_ref(&group)).await.unwrap()).unwrap();
    assert_eq!(listed(bench, &group).await, None);
    let again = only(writer.delete_groups(std::slice::from_ref(&group)).await.unwrap());
    assert_eq!(kind(again), ErrorKind::UnknownGroup);
}

pub async fn offsets_are_deleted_by_partition(bench: &Bench) {
    let (topic, group) = (bench.topic(3, &[]).await, unique("group"));
    let shard = |p| Shard::new(Arc::clone(&topic), p);
    let writer = bench.broker.writer().unwrap();
    for set in writer.alter_offsets(&group, &[(shard(0), 0), (shard(1), 0)]).await.unwrap() {
        set.unwrap();
    }
    // What has no offset is deleted already; a partition that is not there is refused alone.
    let asked = [shard(1), shard(2), shard(7)];
    let mut each = writer.delete_offsets(&group, &asked).await.unwrap();
    assert_eq!(kind(each.pop().unwrap()), ErrorKind::UnknownPartition);
    each.into_iter().for_each(Result::unwrap);
    assert_eq!(committed(bench, &group).await, [(shard(0), 0)]);
    let unknown = only(writer.delete_offsets(&unique("group"), &[shard(0)]).await.unwrap());
    assert_eq!(kind(unknown), ErrorKind::UnknownGroup);
}

pub async fn offsets_of_an_active_group_are_not_deleted(bench: &Bench) {
    let (topic, group) = (bench.topic(1, &[]).await, unique("group"));
    let shard = Shard::new(Arc::clone(&topic), 0);
    bench.put([write(&shard, None, Some("x"))]).await;
    let writer = bench.broker.writer().unwrap();
    let mut member = writer.join(&group, "mailer", std::slice::from_ref(&topic)).await.unwrap();
    take(&mut *member, 1).await;
    member.commit(&[(shard.clone(), 1)]).await.unwrap();
    let deleted = only(writer.delete_offsets(&group, std::slice::from_ref(&shard)).await.unwrap());
    assert_eq!(kind(deleted), ErrorKind::GroupActive);
    assert_eq!(committed(bench, &group).await, [(shard, 1)]);
    member.leave(PATIENCE).await.unwrap();
}
