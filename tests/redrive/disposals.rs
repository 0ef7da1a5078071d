//! Discarding, parking and releasing: the state machine, the fence, and every fault that the broker can be given.

use std::sync::Arc;
use std::time::Duration;

use redrive::ask::{Answer, Desk, Request};
use redrive::broker::ErrorKind;
use redrive::broker::memory::fault::{Lost, Op};
use redrive::ledger::{Disposition, LEDGER_TOPIC};
use redrive::redrive::disposal::{Act, Disposal, DisposalAnswer, DisposalRequest, DisposeRequest};
use redrive::redrive::purge::{PurgeAgreed, PurgeAnswer, PurgeRequest};
use redrive::text::Fault;
use tokio_util::sync::CancellationToken;

use crate::world::{Dead, SOURCE, World};

fn request(act: Act, only: Option<Vec<(i32, i64)>>) -> DisposalRequest {
    let mut letters = World::request().letters;
    letters.state = None;
    DisposalRequest { act, letters, only }
}

async fn ask(world: &World, operator: &str, request: Request) -> Result<Arc<DisposalAnswer>, Fault> {
    match Desk::new(world.cx(operator)).answer(request, &|_| {}, CancellationToken::new()).await? {
        Answer::Disposal(answer) => Ok(answer),
        other => panic!("{other:?}"),
    }
}

async fn preview(world: &World, act: Act, only: Option<Vec<(i32, i64)>>) -> Arc<DisposalAnswer> {
    ask(world, "ada", Request::Disposal(request(act, only))).await.unwrap()
}

fn agreed(disposal: &Arc<Disposal>, take_over: bool) -> Request {
    Request::Dispose(DisposeRequest {
        disposal: Arc::clone(disposal),
        reason: "known bug".to_owned(),
        force: Vec::new(),
        take_over,
    })
}

async fn dispose(world: &World, act: Act, only: Option<Vec<(i32, i64)>>) -> Arc<DisposalAnswer> {
    let preview = preview(world, act, only).await;
    ask(world, "ada", agreed(&preview.disposal, false)).await.unwrap()
}

async fn states(world: &World) -> Vec<Disposition> {
    let source = world.topic_id(SOURCE).await;
    let reader = world.ledger().await;
    let ledger = reader.ledger().unwrap();
    assert_eq!(ledger.violations(), 0);
    (0..12).map(|i| ledger.disposition(&source, i % 2, i64::from(i / 2))).collect()
}

#[tokio::test(start_paused = true)]
async fn letters_are_discarded_parked_and_released_and_each_keeps_its_history() {
    let world = World::new().await;
    let shown = preview(&world, Act::Discard, Some(vec![(0, 0), (0, 1), (1, 9)])).await;
    assert_eq!((shown.selected, shown.dry_run, shown.changed), (2, true, 0));
    assert!(shown.warnings.iter().any(|w| w.starts_with("1 of the positions")), "{:?}", shown.warnings);
    assert_eq!(world.ends().await[3], -1, "a preview writes nothing, not even the ledger");
    let done = ask(&world, "ada", agreed(&shown.disposal, false)).await.unwrap();
    assert_eq!((done.changed, done.remaining, done.stopped), (2, 0, None));
    let parked = dispose(&world, Act::Park, Some(vec![(0, 1), (0, 2)])).await;
    assert_eq!((parked.selected, parked.changed), (1, 1));
    assert_eq!(parked.skipped.get("discarded"), Some(&1));
    let released = dispose(&world, Act::Release, None).await;
    assert_eq!((released.selected, released.changed, released.skipped["pending"]), (3, 3, 9));
    assert!(states(&world).await.into_iter().all(Disposition::is_pending));
    dispose(&world, Act::Park, Some(vec![(0, 0)])).await;
    let source = world.topic_id(SOURCE).await;
    let reader = world.ledger().await;
    let row = reader.ledger().unwrap().get(&source, 0, 0).unwrap();
    let history: Vec<_> = row.earlier.iter().map(|e| (e.disposition, e.reason.as_deref())).collect();
    let why = Some("known bug");
    assert_eq!(history, [(Disposition::Discarded, why), (Disposition::Released, why)]);
    assert_eq!(row.earlier[0].operator.as_deref(), Some("ada"));
    assert_eq!((row.disposition, row.root.offset), (Disposition::Parked, Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_redriven_letter_is_left_alone_and_a_discarded_one_is_not_redriven() {
    let world = World::new().await;
    dispose(&world, Act::Discard, Some(vec![(0, 0), (1, 0)])).await;
    let plan = world.plan().await;
    assert_eq!((plan.preflight.selected, plan.preflight.already_handled), (10, 2));
    // Discarded between plan and run: the run leaves it, and says so.
    dispose(&world, Act::Discard, Some(vec![(0, 1)])).await;
    let run = world.run(&plan.plan).await.unwrap();
    assert_eq!((run.redriven, run.already_handled), (9, 1));
    let shown = preview(&world, Act::Discard, None).await;
    assert_eq!((shown.selected, shown.skipped["redriven"], shown.skipped["discarded"]), (0, 9, 3));
    let ends = world.ends().await;
    let done = ask(&world, "ada", agreed(&shown.disposal, false)).await.unwrap();
    assert_eq!((done.changed, done.run.clone()), (0, None));
    assert_eq!(world.ends().await, ends);
}

#[tokio::test(start_paused = true)]
async fn what_was_shown_is_done_even_where_others_were_faster() {
    let world = World::new().await;
    let shown = preview(&world, Act::Discard, None).await;
    dispose(&world, Act::Park, Some(vec![(0, 3)])).await;
    world.bury(&[Dead::new(0, "late", (0, 99))]).await;
    let done = ask(&world, "ada", agreed(&shown.disposal, false)).await.unwrap();
    assert_eq!((done.selected, done.changed, done.skipped["parked"]), (12, 11, 1));
    assert_eq!(preview(&world, Act::Discard, None).await.selected, 1, "the late one was not meant");
    let again = ask(&world, "ada", agreed(&shown.disposal, false)).await.unwrap();
    assert_eq!((again.changed, again.stopped), (0, None));
}

#[tokio::test(start_paused = true)]
async fn every_call_of_an_action_may_fail_in_every_way() {
    let calls = |world: &World| -> Vec<(Op, u64)> {
        Op::ALL.iter().map(|op| (*op, world.memory.faults().calls_of(*op))).collect()
    };
    let world = World::new().await;
    let shown = preview(&world, Act::Discard, None).await;
    let before = calls(&world);
    ask(&world, "ada", agreed(&shown.disposal, false)).await.unwrap();
    let mut points = 0;
    for ((op, before), (_, after)) in before.into_iter().zip(calls(&world)) {
        for nth in 1..=after - before {
            for kind in [ErrorKind::Unreachable, ErrorKind::Fenced, ErrorKind::Other] {
                let world = World::new().await;
                let shown = preview(&world, Act::Discard, None).await;
                world.memory.faults().fail(op, nth, kind);
                let what = format!("{} {nth} {kind:?}", op.as_str());
                let first = ask(&world, "ada", agreed(&shown.disposal, false)).await;
                world.memory.faults().clear();
                let written = states(&world).await.iter().filter(|s| **s == Disposition::Discarded).count();
                if let Ok(first) = &first {
                    assert_eq!(first.changed as usize, written, "{what}");
                }
                assert!(written == 0 || written == 12, "one transaction: {what}");
                let second = ask(&world, "bob", agreed(&shown.disposal, true)).await.unwrap();
                assert_eq!(second.changed as usize, 12 - written, "{what}");
                assert!(states(&world).await.iter().all(|s| *s == Disposition::Discarded), "{what}");
                points += 1;
            }
        }
    }
    assert!(points > 60, "{points}");
}

#[tokio::test(start_paused = true)]
async fn an_action_may_die_at_every_call_or_lose_every_commit() {
    let total = |world: &World| Op::ALL.iter().map(|op| world.memory.faults().calls_of(*op)).sum::<u64>();
    let step = Duration::from_millis(1);
    let world = World::new().await;
    let shown = preview(&world, Act::Park, None).await;
    let before = total(&world);
    ask(&world, "ada", agreed(&shown.disposal, false)).await.unwrap();
    let all = total(&world) - before;
    for nth in 1..=all {
        let world = World::new().await;
        let shown = preview(&world, Act::Park, None).await;
        let die_at = total(&world) + nth;
        world.memory.faults().slow(step);
        let reached = async {
            while total(&world) < die_at {
                tokio::time::sleep(step / 4).await;
            }
        };
        tokio::select! {
            biased;
            () = reached => {}
            _ = ask(&world, "ada", agreed(&shown.disposal, false)) => {}
        }
        world.memory.faults().clear();
        ask(&world, "bob", agreed(&shown.disposal, true)).await.unwrap();
        assert!(states(&world).await.iter().all(|s| *s == Disposition::Parked), "died at call {nth}");
    }
    for lost in [Lost::Answer, Lost::Request] {
        let world = World::new().await;
        let shown = preview(&world, Act::Park, None).await;
        world.memory.faults().lose_commit(1, lost);
        let done = ask(&world, "ada", agreed(&shown.disposal, false)).await.unwrap();
        assert_eq!((done.changed, done.remaining, done.stopped), (12, 0, None), "{lost:?}");
        assert!(states(&world).await.iter().all(|s| *s == Disposition::Parked));
    }
}

#[tokio::test(start_paused = true)]
async fn a_discard_waits_for_a_run_is_refused_while_it_lives_and_fences_it_when_told_so() {
    let world = World::new().await;
    let mut slow = World::request();
    // Slow enough to renew its ownership while the second one looks on.
    slow.options.rate = Some(1);
    let plan = Arc::clone(&world.plan_with(slow).await.unwrap().plan);
    let shown = preview(&world, Act::Discard, None).await;
    let run = {
        let (cx, plan) = (world.cx("ada"), Arc::clone(&plan));
        let request = redrive::redrive::document::RunRequest {
            plan,
            reason: None,
            take_over: false,
            may_ask: false,
            control: redrive::redrive::control::Control::default(),
        };
        tokio::spawn(async move {
            Desk::new(cx).answer(Request::Run(request), &|_| {}, CancellationToken::new()).await
        })
    };
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let refused = ask(&world, "bob", agreed(&shown.disposal, false)).await.unwrap_err();
    assert_eq!((refused.code, refused.exit_code()), ("fenced", 4));
    assert!(refused.why.contains("ada"), "{}", refused.why);
    let done = ask(&world, "bob", agreed(&shown.disposal, true)).await.unwrap();
    let Answer::Run(run) = run.await.unwrap().unwrap() else { panic!() };
    assert_eq!(run.stopped, Some("fenced"));
    assert!(run.redriven > 0 && done.changed > 0);
    assert_eq!((run.redriven + done.changed, done.stopped), (12, None));
    let after = states(&world).await;
    let count = |state| after.iter().filter(|s| **s == state).count() as u64;
    assert_eq!((count(Disposition::Redriven), count(Disposition::Discarded)), (run.redriven, done.changed));
}

#[tokio::test(start_paused = true)]
async fn a_large_action_goes_in_bounded_transactions_and_goes_on_where_it_was_stopped() {
    let world = World::empty().await;
    let letters: Vec<Dead> = (0..5_000).map(|i| Dead::new(i % 2, "k", (0, i64::from(i)))).collect();
    world.bury(&letters).await;
    let shown = preview(&world, Act::Discard, None).await;
    assert_eq!((shown.selected, shown.positions[&0].clone()), (5_000, vec![(0, 2499)]));
    world.memory.faults().lose_commit(2, Lost::Answer);
    let cancel = CancellationToken::new();
    let tell = |event: redrive::ask::Event| {
        if let redrive::ask::Event::Progress(progress) = event
            && progress.what.starts_with("discarding")
            && progress.done >= 4_000
        {
            cancel.cancel();
        }
    };
    let desk = Desk::new(world.cx("ada"));
    let answer = desk.answer(agreed(&shown.disposal, false), &tell, cancel.clone()).await.unwrap();
    let Answer::Disposal(stopped) = answer else { panic!() };
    assert_eq!((stopped.changed, stopped.remaining, stopped.stopped), (4_000, 1_000, Some("cancelled")));
    // Its owner row is closed: nobody has to take over.
    let rest = ask(&world, "bob", agreed(&shown.disposal, false)).await.unwrap();
    assert_eq!((rest.changed, rest.skipped["discarded"]), (1_000, 4_000));
}

#[tokio::test(start_paused = true)]
async fn a_lost_ledger_another_topic_of_that_name_and_an_empty_reason_are_refused() {
    let world = World::new().await;
    let shown = preview(&world, Act::Discard, None).await;
    let Request::Dispose(mut request) = agreed(&shown.disposal, false) else { panic!() };
    request.reason = "  ".to_owned();
    let fault = ask(&world, "ada", Request::Dispose(request)).await.unwrap_err();
    assert_eq!(fault.exit_code(), 2);
    dispose(&world, Act::Park, Some(vec![(0, 0)])).await;
    world.delete(LEDGER_TOPIC).await;
    assert_eq!(ask(&world, "ada", agreed(&shown.disposal, false)).await.unwrap_err().code, "ledger_lost");
    let fault = ask(&world, "ada", Request::Disposal(self::request(Act::Park, None))).await.unwrap_err();
    assert_eq!(fault.code, "ledger_lost");
    let world = World::new().await;
    let shown = preview(&world, Act::Discard, None).await;
    world.delete(SOURCE).await;
    world.create(SOURCE, 2, &[]).await;
    assert_eq!(ask(&world, "ada", agreed(&shown.disposal, false)).await.unwrap_err().code, "target_changed");
    assert_eq!(world.ends().await[3], -1);
}

async fn purge(world: &World, agreed: Option<Arc<PurgeAnswer>>) -> Result<Arc<PurgeAnswer>, Fault> {
    let agreed = agreed.map(|shown| PurgeAgreed {
        shown,
        reason: "done with".to_owned(),
        force: Vec::new(),
        take_over: false,
    });
    let request = Request::Purge(PurgeRequest { topic: SOURCE.into(), agreed });
    match Desk::new(world.cx("ada")).answer(request, &|_| {}, CancellationToken::new()).await? {
        Answer::Purge(answer) => Ok(answer),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_deletes_below_the_first_open_letter_and_nothing_that_was_not_shown() {
    let world = World::new().await;
    let nothing = purge(&world, None).await.unwrap();
    assert_eq!((nothing.letters, nothing.kept, nothing.dry_run), (0, 12, true));
    dispose(&world, Act::Discard, Some(vec![(0, 0), (0, 1), (0, 3), (1, 0)])).await;
    dispose(&world, Act::Park, Some(vec![(1, 1)])).await;
    let shown = purge(&world, None).await.unwrap();
    let rows: Vec<_> = shown.partitions.iter().map(|p| (p.partition, p.before, p.letters, p.kept)).collect();
    assert_eq!(rows, [(0, 2, 2, Some("pending")), (1, 1, 1, Some("parked"))]);
    assert_eq!((shown.letters, shown.kept), (3, 9));
    // What is handled later was not shown, and what is released meanwhile is open again.
    dispose(&world, Act::Discard, Some(vec![(0, 2)])).await;
    dispose(&world, Act::Release, Some(vec![(1, 0)])).await;
    let done = purge(&world, Some(shown)).await.unwrap();
    assert_eq!((done.deleted, done.letters, done.partitions.len()), (2, 2, 1));
    assert_eq!(world.read(SOURCE).await.len(), 10);
    let runs = world.runs().await;
    let row = runs.runs.iter().find(|row| row.kind == "purge").unwrap();
    assert_eq!((row.kind, row.disposed, row.state), ("purge", 2, "done"));
    assert_eq!((row.reason.as_deref(), &*row.run.operator), (Some("done with"), "ada"));
    let kinds: Vec<&str> = runs.runs.iter().map(|row| row.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "discard").count(), 2, "{kinds:?}");
    // Letters are found where they were; what was deleted is not pending.
    assert_eq!(preview(&world, Act::Discard, None).await.selected, 7);
}

#[tokio::test(start_paused = true)]
async fn a_purge_whose_broker_fails_deletes_nothing_that_is_open_and_says_what_it_did() {
    for (op, nth) in [(Op::DeleteBefore, 1), (Op::Commit, 1), (Op::Commit, 2), (Op::Begin, 1)] {
        let world = World::new().await;
        dispose(&world, Act::Discard, Some(vec![(0, 0), (0, 1)])).await;
        let shown = purge(&world, None).await.unwrap();
        world.memory.faults().fail(op, nth, ErrorKind::Unreachable);
        let done = purge(&world, Some(shown)).await.unwrap();
        let left = world.read(SOURCE).await.len() as u64;
        assert_eq!(left, 12 - done.deleted, "{op:?} {nth}");
        assert_eq!(done.deleted == 0, op == Op::DeleteBefore, "{op:?} {nth}");
        let runs = world.runs().await;
        let row = runs.runs.iter().find(|row| row.kind == "purge").unwrap();
        let wanted = if op == Op::DeleteBefore { ("stopped", 0) } else { ("done", 2) };
        assert_eq!((row.state, row.disposed), wanted, "{op:?} {nth}");
    }
    let world = World::new().await;
    dispose(&world, Act::Discard, None).await;
    let shown = purge(&world, None).await.unwrap();
    world.delete(LEDGER_TOPIC).await;
    assert_eq!(purge(&world, Some(shown)).await.unwrap_err().code, "ledger_lost");
    assert_eq!(world.read(SOURCE).await.len(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_letter_tells_who_decided_what_and_why() {
    let world = World::new().await;
    dispose(&world, Act::Park, Some(vec![(0, 0)])).await;
    dispose(&world, Act::Release, Some(vec![(0, 0)])).await;
    let mut request = World::request().letters;
    request.state = None;
    let desk = Desk::new(world.cx("ada"));
    let answer = desk.answer(Request::Letters(request), &|_| {}, CancellationToken::new()).await.unwrap();
    let Answer::Letters(letters) = answer else { panic!() };
    let row =
        letters.letters.iter().find(|l| (l.letter.record.at.partition, l.letter.record.at.offset) == (0, 0));
    let json = redrive::letters::letter_json(row.unwrap());
    assert_eq!(json["state"], "pending");
    let told: Vec<_> = json["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (&d["decision"], &d["operator"], &d["reason"]))
        .collect();
    assert_eq!(told.len(), 2);
    assert_eq!((told[0].0, told[1].0), (&"parked".into(), &"released".into()));
    assert_eq!((told[0].1, told[0].2), (&"ada".into(), &"known bug".into()));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_kept_is_not_done_and_told_when_it_is_shown() {
    let world = World::new().await;
    let denied = || world.memory.faults().fail(Op::CheckTopics, 1, ErrorKind::Authorisation);
    let shown = preview(&world, Act::Park, None).await;
    for asked in [Request::Disposal(request(Act::Park, None)), agreed(&shown.disposal, false)] {
        denied();
        let fault = ask(&world, "ada", asked).await.unwrap_err();
        assert_eq!((fault.code, fault.exit_code()), ("acl", 4), "{fault}");
        assert_eq!(fault.hint.matches("kafka-topics.sh --create").count(), 2, "{fault}");
    }
    world.create(LEDGER_TOPIC, 1, &[("cleanup.policy", "compact"), ("min.insync.replicas", "2")]).await;
    for asked in [Request::Disposal(request(Act::Park, None)), agreed(&shown.disposal, false)] {
        let fault = ask(&world, "ada", asked).await.unwrap_err();
        assert_eq!((fault.code, fault.exit_code()), ("replicas", 4), "{fault}");
    }
    assert_eq!(world.ends().await, [0, 0, 0, 0, -1]);
}
