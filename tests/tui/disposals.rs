//! Discarding, parking and releasing from the console: the dialog, what it wants, and what follows.

use std::collections::BTreeMap;
use std::sync::Arc;

use redrive::ask::{Answer, Event, ExportAnswer, Request};
use redrive::config::profile::Profile;
use redrive::context::Progress;
use redrive::event::Digest;
use redrive::redrive::disposal::{Act, Disposal, DisposalAnswer};
use redrive::redrive::document::Tally;
use redrive::text::Fault;
use redrive::tui::message::Message;

use crate::bench::{Bench, NOW, console, console_on};
use crate::made_up::{at_letters, incident, letters};

fn shown(act: Act, selected: u64) -> DisposalAnswer {
    let letters = (0..selected as i64).map(|offset| (0, offset, Digest([0; 32]))).collect();
    let disposal = Disposal {
        act,
        cluster_id: "c".into(),
        topic: "payments-dlt".into(),
        topic_id: "t".into(),
        letters,
        skipped: BTreeMap::from([("redriven", 3)]),
    };
    DisposalAnswer {
        action: act.as_str(),
        run: None,
        topic: "payments-dlt".into(),
        operator: "oncall@desk".to_owned(),
        reason: None,
        started: NOW,
        seconds: 0.0,
        selected,
        changed: 0,
        skipped: disposal.skipped.clone(),
        expired: 0,
        remaining: selected,
        by_failure: vec![Tally { name: "SocketTimeoutException".to_owned(), count: selected }],
        positions: BTreeMap::new(),
        complete: true,
        filter_errors: 0,
        warnings: Vec::new(),
        ledger_wait_seconds: 0.0,
        stopped: None,
        stopped_reason: None,
        dry_run: true,
        disposal: Arc::new(disposal),
    }
}

fn at() -> Bench {
    at_letters(console().seeing(incident()))
}

fn preview(bench: Bench, act: Act, selected: u64) -> Bench {
    bench.answer(Answer::Disposal(Arc::new(shown(act, selected))))
}

fn wrote(bench: &Bench) -> bool {
    bench.asked.iter().any(|(_, request)| matches!(request, Request::Dispose(_)))
}

#[test]
fn parking_wants_a_reason_and_enter_alone_cancels() {
    let bench = preview(at().press("list.mark").press("dlq.park"), Act::Park, 1).keys("enter");
    assert!(!wrote(&bench));
    let bench = bench.expect("cancelled: nothing was written");
    let bench = preview(bench.press("dlq.park"), Act::Park, 1).keys("tab tab enter");
    assert!(!wrote(&bench), "without a reason");
    // Typing goes into the reason; enter goes on to the button, enter does it.
    let bench = bench.keys("esc");
    let bench = preview(bench.press("dlq.park"), Act::Park, 1).typed("finance looks").keys("enter");
    assert!(!wrote(&bench));
    let bench = bench.expect("Reason: finance looks").expect("redriven: left as they are").keys("enter");
    let Some((id, Request::Dispose(request))) = bench.asked.last() else { panic!("{:?}", bench.asked) };
    assert_eq!((&*request.reason, request.take_over), ("finance looks", false));
    let (id, mut bench) = (*id, bench);
    let progress = Progress { what: "parking".into(), done: 0, total: Some(1), ..Progress::default() };
    bench.send(Message::Told(id, Event::Progress(progress)));
    let bench = bench.expect("parking 0/1");
    // A second action waits for the first.
    let bench = bench.press("dlq.discard").expect("parking of payments-dlt is under way");
    let done = DisposalAnswer { changed: 1, remaining: 0, dry_run: false, ..shown(Act::Park, 1) };
    let bench = bench.answer(Answer::Disposal(Arc::new(done)));
    bench.expect("1 letter parked");
}

#[test]
fn discarding_and_protected_profiles_want_the_number_typed() {
    let bench = preview(at().press("dlq.discard"), Act::Discard, 7).typed("test data").keys("enter");
    let bench = bench.expect("Type 7 to agree").typed("8").keys("enter enter");
    assert!(!wrote(&bench));
    let bench = bench.keys("shift-tab").keys("backspace 7 enter enter");
    assert!(wrote(&bench));
    let mut profile = Profile::new("prod", Vec::new());
    profile.protected = true;
    let bench = at_letters(console_on(profile).seeing(incident()));
    preview(bench.press("dlq.park"), Act::Park, 2).expect("Type 2 to agree");
    preview(at().press("dlq.park"), Act::Park, 1_001).expect("Type 1001 to agree");
}

#[test]
fn a_preview_that_fails_or_finds_nothing_leaves_nothing_to_agree_to() {
    let fault = Fault::refused("ledger_lost", "the ledger of dispositions is lost");
    let bench = at().press("dlq.release").fail(fault).expect("the ledger of dispositions is lost");
    let bench = bench.typed("why not").keys("enter enter");
    assert!(!wrote(&bench));
    let bench = preview(at().press("dlq.release"), Act::Release, 0).typed("x").keys("enter enter");
    assert!(!wrote(&bench));
}

#[test]
fn the_letters_of_every_state_can_be_seen() {
    let mut bench = at();
    for word in ["in all states", "parked", "discarded", "redriven", "duplicate", "pending"] {
        bench = bench.press("letters.state").answer(Answer::Letters(Arc::new(letters(3)))).expect(word);
    }
}

#[test]
fn the_open_letters_of_a_topic_are_saved_with_one_key() {
    let bench = console().seeing(incident()).keys("gd").press("dlq.export");
    let bench = bench.expect("save the open letters as: payments-dlt-open.jsonl").keys("enter");
    let Some((_, Request::Export(request))) = bench.asked.last() else { panic!("{:?}", bench.asked) };
    assert_eq!(request.path.to_str(), Some("payments-dlt-open.jsonl"));
    let answer =
        ExportAnswer { records: 140, complete: true, file: "a.jsonl".to_owned(), ..ExportAnswer::default() };
    bench.expect("saving").answer(Answer::Export(Arc::new(answer))).expect("140 letters saved in a.jsonl");
}
