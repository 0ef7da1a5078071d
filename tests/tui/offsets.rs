//! Moving a group's offsets by keys: what is shown, what is asked, and that only a consent to it writes.

use std::sync::Arc;

use redrive::ask::{Answer, Request};
use redrive::config::profile::Profile;
use redrive::offsets::document::{OffsetRow, OffsetsAnswer, OffsetsPlan, OffsetsRequest, Stretch};
use redrive::text::Fault;

use crate::bench::{Bench, console, console_on};
use crate::made_up::{ago, incident};

/// What the plan of a request would be: one partition skips, one is cut to the log, one has no commit.
fn plan(request: &OffsetsRequest) -> OffsetsPlan {
    let row = |partition, old, new, records, note: Option<&str>| OffsetRow {
        topic: "inventory".into(),
        partition,
        start_offset: Some(100),
        end_offset: Some(50_113),
        old,
        new,
        skipped: old.map(|_| Stretch { records, from: Some(ago(2_000_000)), to: Some(ago(20_000)) }),
        seen_again: old.map(|_| Stretch::default()),
        note: note.map(str::to_owned),
        error: None,
    };
    let partitions = vec![
        row(0, Some(48_211), Some(50_113), 1_902, None),
        row(1, Some(50_000), Some(50_113), 113, Some("99,000 is outside of the log: moved to its end")),
        row(2, None, Some(50_113), 0, None),
    ];
    OffsetsPlan {
        cluster_id: "c".into(),
        group: Arc::clone(&request.group),
        kind: "classic",
        state: Some("empty".to_owned()),
        change: "reset",
        offsets: Some("offset:99000".to_owned()),
        count: 3,
        errors: 0,
        skipped: Stretch { records: 2_015, from: Some(ago(2_000_000)), to: Some(ago(20_000)) },
        seen_again: Stretch::default(),
        warnings: vec!["an open transaction holds the end of 1 of these partitions".to_owned()],
        undo: vec![
            "redrive groups reset warehouse --topic inventory --offsets each:0=48211,1=50000".to_owned(),
        ],
        partitions,
        request: request.clone(),
    }
}

fn asked(bench: &Bench) -> &Request {
    &bench.asked.last().unwrap().1
}

/// At the plan that was asked for.
fn at_plan(bench: Bench) -> Bench {
    let bench = bench.seeing(incident()).keys("gc").press("groups.move").typed("offset:99000").keys("enter");
    let Request::Offsets(request) = asked(&bench) else { panic!("{:?}", bench.asked) };
    let plan = plan(request);
    bench.answer(Answer::Offsets(Arc::new(plan)))
}

#[test]
fn what_a_move_does_is_shown_before_it_is_asked() {
    insta::assert_snapshot!("offsets@80x24", at_plan(console()).picture());
    insta::assert_snapshot!("offsets@120x40", at_plan(console().sized(120, 40)).text());
    insta::assert_snapshot!("offsets_consent@80x24", at_plan(console()).press("offsets.move").text());
}

#[test]
fn more_than_a_thousand_records_are_agreed_to_by_typing_and_enter_alone_cancels() {
    let bench = at_plan(console()).press("offsets.move").keys("enter");
    let bench = bench.expect("cancelled: nothing was written");
    assert!(bench.asked.is_empty());
    let bench = bench.press("offsets.move").keys("tab enter");
    assert!(bench.asked.is_empty(), "the number was not typed");
    let bench = bench.typed("3").keys("enter");
    let Request::MoveOffsets(run) = asked(&bench) else { panic!("{:?}", bench.asked) };
    assert_eq!((run.plan.count, &*run.plan.group), (3, "warehouse"));
    let answer = OffsetsAnswer {
        plan: (*run.plan).clone(),
        dry_run: false,
        changed: 3,
        audit: Some("a17".to_owned()),
        operator: "oncall".to_owned(),
        reason: None,
    };
    let bench = bench.answer(Answer::MoveOffsets(Arc::new(answer)));
    let bench = bench.expect("3 partitions changed · audit a17").press("offsets.move");
    // What was done is not done again by the same key.
    bench.expect("it is done").expect("copy what brings them back");
}

#[test]
fn members_are_named_and_nothing_can_be_moved() {
    let bench = console().seeing(incident()).keys("gc").press("groups.move").typed("latest").keys("enter");
    let fault = Fault::refused("group_active", "group warehouse has 1 member")
        .why("m-1 (client stock, host /10.0.0.7)")
        .hint("stop its consumers first");
    bench.fail(fault).expect("client stock, host /10.0.0.7").press("offsets.move").expect_no("[ Cancel ]");
}

#[test]
fn a_read_only_profile_sees_the_plan_and_cannot_move() {
    let profile = Profile { read_only: true, ..Profile::new("prod", Vec::new()) };
    let bench = at_plan(console_on(profile)).expect("1,902 passed over").press("offsets.move");
    bench.expect("profile prod is read-only").expect_no("[ Cancel ]");
}

#[test]
fn marked_partitions_alone_are_meant() {
    let bench = console().seeing(incident()).keys("gc").press("groups.open").keys("space");
    let bench = bench.press("groups.move").typed("earliest").keys("enter");
    let Request::Offsets(request) = asked(&bench) else { panic!("{:?}", bench.asked) };
    let topics: Vec<String> = request.topics.iter().map(ToString::to_string).collect();
    assert_eq!(topics, ["inventory:3"]);
}
