//! Moving offsets on the embedded broker: what a plan says, what is done, what the audit keeps, what is refused.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::document::{Change, OffsetsAnswer, OffsetsPlan, OffsetsRequest, OffsetsRun};
use super::target::{Target, TopicChoice};
use super::{apply, plan};
use crate::broker::memory::MemoryBroker;
use crate::broker::memory::fault::Op;
use crate::broker::{ErrorKind, Name, NewTopic, ReadPlan, SessionKind, Shard, Span, Until, Write};
use crate::config::profile::Profile;
use crate::context::{Cx, Operator, Silent};
use crate::event::Headers;
use crate::ledger::AUDIT_TOPIC;
use crate::ledger::audit::{Action, AuditRecord};
use crate::text::{Fault, FaultKind, SystemClock, Timestamp};

struct World {
    memory: Arc<MemoryBroker>,
    cx: Cx,
}

/// `orders` with two partitions of ten records, a second apart; the first three of partition 0 are gone.
async fn world() -> World {
    let clock = Arc::new(SystemClock::default());
    let memory = MemoryBroker::new(clock.clone(), 16 << 20);
    let operator = Operator { name: "ada".into(), os_user: "ada".into(), host: "desk".into() };
    let profile = Arc::new(Profile::new("t", vec![]));
    let cx = Cx { broker: memory.broker(), clock, profile, operator: Arc::new(operator) };
    let writer = cx.broker.writer().unwrap();
    let topic = NewTopic { name: "orders".into(), partitions: 2, replication: None, config: Vec::new() };
    writer.create_topics(&[topic]).await.unwrap().remove(0).unwrap();
    let mut session = writer.begin(SessionKind::Idempotent).await.unwrap();
    for i in 0..20_i64 {
        let write = Write {
            topic: "orders".into(),
            partition: Some((i % 2) as i32),
            key: None,
            value: Some(Bytes::from_static(b"v")),
            headers: Headers::default(),
            timestamp: Some(Timestamp(1_795_525_000_000 + i / 2 * 1000)),
        };
        session.stage(write).await.unwrap();
    }
    session.commit().await.unwrap();
    writer.delete_before(&[(shard(0), 3)]).await.unwrap().remove(0).unwrap();
    World { memory, cx }
}

fn shard(partition: i32) -> Shard {
    Shard::new("orders", partition)
}

fn request(change: Change) -> OffsetsRequest {
    let topics = vec![TopicChoice { topic: "orders".into(), partitions: Vec::new() }];
    OffsetsRequest { group: "email".into(), change, topics, create: false }
}

fn to(target: Target) -> OffsetsRequest {
    request(Change::Reset(target))
}

impl World {
    async fn commit(&self, group: &str, offsets: &[(i32, i64)]) {
        let offsets: Vec<(Shard, i64)> = offsets.iter().map(|(p, o)| (shard(*p), *o)).collect();
        let writer = self.cx.broker.writer().unwrap();
        for one in writer.alter_offsets(&Name::from(group), &offsets).await.unwrap() {
            one.unwrap();
        }
    }

    async fn committed(&self, group: &str) -> Vec<(i32, i64)> {
        let groups = self.cx.broker.groups().unwrap();
        let all = groups.committed(&[group.into()]).await.unwrap().remove(0).unwrap();
        all.into_iter().map(|(shard, offset)| (shard.partition, offset)).collect()
    }

    async fn plan(&self, request: OffsetsRequest) -> Result<OffsetsPlan, Fault> {
        plan(&self.cx, &request, &Silent, &CancellationToken::new()).await
    }

    async fn run(&self, plan: OffsetsPlan) -> Result<OffsetsAnswer, Fault> {
        let run = OffsetsRun { plan: Arc::new(plan), reason: Some("drill".into()) };
        apply(&self.cx, &run, &Silent, &CancellationToken::new()).await
    }

    async fn audit(&self) -> Vec<AuditRecord> {
        let span = Span { shard: Shard::new(AUDIT_TOPIC, 0), from: 0, until: Until::End };
        let reader = self.cx.broker.reader();
        let mut batches = reader.open(ReadPlan::new(vec![span]), CancellationToken::new()).await.unwrap();
        let mut out = Vec::new();
        while let Some(batch) = batches.next().await.unwrap() {
            out.extend(batch.records.iter().map(|r| AuditRecord::decode(r.value.as_deref()).unwrap()));
        }
        out
    }
}

#[tokio::test]
async fn a_plan_tells_old_and_new_offsets_and_what_is_passed_over_or_seen_again_with_times() {
    let world = world().await;
    world.commit("email", &[(0, 5), (1, 5)]).await;
    let plan = world.plan(to(Target::Offset(8))).await.unwrap();
    let offsets = |plan: &OffsetsPlan| -> Vec<_> { plan.partitions.iter().map(|r| (r.old, r.new)).collect() };
    assert_eq!(offsets(&plan), [(Some(5), Some(8)); 2]);
    assert_eq!((plan.count, plan.skipped.records, plan.seen_again.records), (2, 6, 0));
    // Records 5, 6 and 7 of each: two seconds from the first to the last.
    assert_eq!(plan.skipped.time().as_deref(), Some("2 s"));
    assert_eq!(plan.undo, ["redrive groups reset email --topic orders --offsets each:0=5,1=5"]);
    let plan = world.plan(to(Target::Earliest)).await.unwrap();
    assert_eq!(offsets(&plan), [(Some(5), Some(3)), (Some(5), Some(0))]);
    assert_eq!((plan.skipped.records, plan.seen_again.records), (0, 7));
    let plan = world.plan(to(Target::Time(Timestamp(1_795_525_006_500)))).await.unwrap();
    assert_eq!(offsets(&plan), [(Some(5), Some(7)); 2]);
    assert_eq!(world.committed("email").await, [(0, 5), (1, 5)], "a plan writes nothing");
    assert!(world.cx.broker.catalog().topics(Some(&[AUDIT_TOPIC.into()])).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_offset_outside_of_the_log_is_moved_into_it_and_that_is_said() {
    let world = world().await;
    world.commit("email", &[(0, 1), (1, 5)]).await;
    let plan = world.plan(to(Target::Offset(99))).await.unwrap();
    assert_eq!(plan.partitions[0].new, Some(10));
    assert_eq!(plan.partitions[0].note.as_deref(), Some("99 is outside of the log: moved to its end"));
    // It had committed what is gone meanwhile: only what is there can be passed over.
    assert_eq!(plan.partitions[0].skipped.unwrap().records, 7);
    let plan = world.plan(to(Target::Shift(-4))).await.unwrap();
    assert_eq!((plan.partitions[0].new, plan.partitions[1].new), (Some(3), Some(1)));
    let note = plan.partitions[0].note.as_deref().unwrap();
    assert!(note.contains("-3 is outside of the log: moved to its start"), "{note}");
    let plan = world.plan(to(Target::Time(Timestamp(1_795_999_000_000)))).await.unwrap();
    assert_eq!(plan.partitions[1].new, Some(10));
    assert!(plan.partitions[1].note.as_deref().unwrap().contains("the end"));
}

#[tokio::test]
async fn what_cannot_be_told_of_a_partition_leaves_it_alone() {
    let world = world().await;
    world.commit("email", &[(1, 5)]).await;
    let plan = world.plan(to(Target::Shift(2))).await.unwrap();
    assert_eq!((plan.count, plan.errors), (1, 1));
    assert!(plan.partitions[0].error.as_deref().unwrap().contains("no committed offset"));
    world.commit("other", &[(0, 9)]).await;
    let plan = world.plan(to(Target::Group("other".into()))).await.unwrap();
    assert_eq!((plan.partitions[0].new, plan.partitions[1].new), (Some(9), None));
    // Where the group had no commit, nobody knows where it stood.
    assert_eq!((plan.partitions[0].skipped, plan.partitions[0].seen_again), (None, None));
    let undo = plan.undo.clone();
    let answer = world.run(plan).await.unwrap();
    assert_eq!((answer.changed, answer.plan.errors), (1, 1));
    assert_eq!(world.committed("email").await, [(0, 9), (1, 5)]);
    assert_eq!(undo, ["redrive groups delete-offsets email --topic orders:0"]);
}

#[tokio::test]
async fn what_was_done_is_in_the_audit_before_and_after() {
    let world = world().await;
    world.commit("email", &[(0, 5), (1, 5)]).await;
    let plan = world.plan(to(Target::Each([(1, 7)].into()))).await.unwrap();
    assert_eq!(plan.partitions.len(), 1, "the other partition is not meant");
    let answer = world.run(plan).await.unwrap();
    assert_eq!(world.committed("email").await, [(0, 5), (1, 7)]);
    let audit = world.audit().await;
    assert_eq!(audit.iter().map(|r| r.action).collect::<Vec<_>>(), [Action::Offsets, Action::OffsetsEnd]);
    for record in &audit {
        assert_eq!((record.group.as_deref(), record.reason.as_deref()), (Some("email"), Some("drill")));
        assert_eq!((&*record.operator, Some(&record.run)), ("ada", answer.audit.as_ref()));
        assert_eq!((record.offsets[0].old, record.offsets[0].new), (Some(5), Some(7)));
    }
    // A run's list does not mistake it for one.
    assert!(!audit[0].action.is_of_a_run());
}

#[tokio::test]
async fn a_group_with_members_is_refused_and_they_are_named() {
    let world = world().await;
    let writer = world.cx.broker.writer().unwrap();
    let member = writer.join(&"email".into(), "mailer-7", &["orders".into()]).await.unwrap();
    for change in [Change::Reset(Target::Earliest), Change::DeleteOffsets, Change::DeleteGroup] {
        let fault = world.plan(request(change)).await.unwrap_err();
        assert_eq!((fault.kind, fault.code), (FaultKind::Refused, "group_active"));
        assert!(fault.why.contains("mailer-7") && fault.why.contains("127.0.0.1"), "{}", fault.why);
    }
    member.leave(Duration::from_secs(1)).await.unwrap();
    let plan = world.plan(to(Target::Latest)).await.unwrap();
    let _member = writer.join(&"email".into(), "mailer-8", &["orders".into()]).await.unwrap();
    let fault = world.run(plan).await.unwrap_err();
    assert_eq!(fault.code, "group_active");
    assert!(world.audit_is_missing().await, "nothing was begun");
}

impl World {
    async fn audit_is_missing(&self) -> bool {
        self.cx.broker.catalog().topics(Some(&[AUDIT_TOPIC.into()])).await.unwrap().is_empty()
    }
}

#[tokio::test]
async fn a_group_that_moved_since_it_was_shown_is_left_alone() {
    let world = world().await;
    world.commit("email", &[(0, 5), (1, 5)]).await;
    let plan = world.plan(to(Target::Latest)).await.unwrap();
    world.commit("email", &[(1, 6)]).await;
    let fault = world.run(plan).await.unwrap_err();
    assert_eq!((fault.kind, fault.code), (FaultKind::Refused, "target_changed"));
    assert!(fault.why.contains("orders[1] had 5, now 6"), "{}", fault.why);
    assert_eq!(world.committed("email").await, [(0, 5), (1, 6)]);
}

#[tokio::test]
async fn offsets_and_groups_are_deleted_and_the_command_that_restores_them_is_told() {
    let world = world().await;
    world.commit("email", &[(0, 5), (1, 5)]).await;
    let mut some = request(Change::DeleteOffsets);
    some.topics[0].partitions = vec![1];
    let plan = world.plan(some).await.unwrap();
    assert!(plan.is_grave() && plan.count == 1);
    assert!(plan.warnings[0].contains("shows 5 records again") && plan.warnings[0].contains("passes over 5"));
    world.run(plan).await.unwrap();
    assert_eq!(world.committed("email").await, [(0, 5)]);
    let whole = OffsetsRequest { topics: Vec::new(), ..request(Change::DeleteGroup) };
    let plan = world.plan(whole.clone()).await.unwrap();
    assert_eq!(plan.undo, ["redrive groups reset email --topic orders --offsets each:0=5 --create"]);
    world.run(plan).await.unwrap();
    assert_eq!(world.plan(whole).await.unwrap_err().code, "unknown_group");
    let again = OffsetsRequest { create: true, ..to(Target::Each([(0, 5)].into())) };
    let plan = world.plan(again).await.unwrap();
    assert!(plan.warnings.iter().any(|w| w.contains("there is no group email yet")), "{:?}", plan.warnings);
    world.run(plan).await.unwrap();
    assert_eq!(world.committed("email").await, [(0, 5)]);
}

#[tokio::test]
async fn names_that_are_not_there_are_told_with_the_nearest_one() {
    let world = world().await;
    world.commit("email", &[(0, 5)]).await;
    let fault =
        world.plan(OffsetsRequest { group: "emial".into(), ..to(Target::Earliest) }).await.unwrap_err();
    assert_eq!(fault.code, "unknown_group");
    assert!(fault.hint.contains("did you mean email?"), "{}", fault.hint);
    let mut missing = to(Target::Earliest);
    missing.topics[0].topic = "order".into();
    assert_eq!(world.plan(missing).await.unwrap_err().code, "unknown_topic");
    let fault = world.plan(to(Target::Each([(7, 1)].into()))).await.unwrap_err();
    assert_eq!(fault.code, "unknown_partition");
    let fault = world.plan(to(Target::Group("email".into()))).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Usage);
}

#[tokio::test]
async fn without_an_audit_nothing_is_changed_and_a_failed_change_is_in_it() {
    let world = world().await;
    world.commit("email", &[(0, 5), (1, 5)]).await;
    let plan = world.plan(to(Target::Latest)).await.unwrap();
    world.memory.faults().fail(Op::Settle, 1, ErrorKind::Authorisation);
    world.run(plan.clone()).await.unwrap_err();
    assert_eq!(world.committed("email").await, [(0, 5), (1, 5)]);
    world.memory.faults().clear();
    world.memory.faults().fail(Op::AlterOffsets, 1, ErrorKind::GroupActive);
    let fault = world.run(plan).await.unwrap_err();
    assert_eq!((fault.kind, fault.code), (FaultKind::Refused, "group_active"));
    let last = world.audit().await.pop().unwrap();
    assert_eq!((last.action, last.stopped.as_deref()), (Action::OffsetsEnd, Some("error")));
}
