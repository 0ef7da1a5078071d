//! Every call of a run fails once, and a run dies at every one of its calls: what is left is finished by the next one.

use std::sync::Arc;
use std::time::Duration;

use redrive::broker::ErrorKind;
use redrive::broker::memory::fault::{Lost, Op};
use redrive::redrive::plan::Plan;
use tokio_util::sync::CancellationToken;

use crate::world::World;

/// How a run writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Transactions,
    Plain,
}

/// Twelve letters in four transactions, or batches.
async fn prepared(mode: Mode) -> (World, Arc<Plan>) {
    let world = World::new().await;
    let mut request = World::request();
    request.options.rate = Some(12);
    if mode == Mode::Plain {
        request.options.force.push("no_transactions".to_owned());
    }
    let plan = Arc::clone(&world.plan_with(request).await.unwrap().plan);
    (world, plan)
}

fn calls(world: &World) -> Vec<(Op, u64)> {
    Op::ALL.iter().map(|op| (*op, world.memory.faults().calls_of(*op))).collect()
}

/// Runs the plan until nothing is left of it, then checks what must be true.
async fn finish(world: &World, plan: &Arc<Plan>, what: &str) {
    world.memory.faults().clear();
    for _ in 0..4 {
        if let Ok(run) = world.run(plan).await
            && run.remaining == 0
        {
            world.assert_exactly_once(plan).await;
            let ends = world.ends().await;
            let last = world.run(plan).await.unwrap();
            assert_eq!((last.redriven, last.already_handled), (0, 12), "{what}");
            assert_eq!(world.ends().await, ends, "{what}");
            return;
        }
    }
    panic!("{what}: not finished");
}

#[tokio::test(start_paused = true)]
async fn every_call_may_fail_in_every_way() {
    every_call_fails(Mode::Transactions).await;
}

/// On this broker nothing is on its way after a run has died, so that even this mode leaves nothing twice.
#[tokio::test(start_paused = true)]
async fn every_call_may_fail_in_every_way_without_transactions() {
    every_call_fails(Mode::Plain).await;
}

async fn every_call_fails(mode: Mode) {
    let (world, plan) = prepared(mode).await;
    let before = calls(&world);
    world.run(&plan).await.unwrap();
    let mut points = 0;
    for ((op, before), (_, after)) in before.into_iter().zip(calls(&world)) {
        for nth in 1..=after - before {
            for kind in [ErrorKind::Unreachable, ErrorKind::Fenced, ErrorKind::Other] {
                let (world, plan) = prepared(mode).await;
                world.memory.faults().fail(op, nth, kind);
                // It may stop with an error; what matters is what the next one finds.
                let _ = world.run(&plan).await;
                finish(&world, &plan, &format!("{} {nth} {kind:?}", op.as_str())).await;
                points += 1;
            }
        }
    }
    assert!(points > 100, "{points}");
}

#[tokio::test(start_paused = true)]
async fn a_run_may_die_at_every_call() {
    dies_at_every_call(Mode::Transactions).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_without_transactions_may_die_at_every_call() {
    dies_at_every_call(Mode::Plain).await;
}

async fn dies_at_every_call(mode: Mode) {
    let step = Duration::from_millis(1);
    let total = |world: &World| calls(world).iter().map(|(_, n)| n).sum::<u64>();
    let (world, plan) = prepared(mode).await;
    let before = total(&world);
    world.run(&plan).await.unwrap();
    let all = total(&world) - before;
    assert!(all > 40, "{all}");
    for nth in 1..=all {
        let (world, plan) = prepared(mode).await;
        let die_at = total(&world) + nth;
        world.memory.faults().slow(step);
        let reached = async {
            while total(&world) < die_at {
                tokio::time::sleep(step / 4).await;
            }
        };
        tokio::select! {
            biased;
            // The session is dropped with its transaction open, as of a process that died.
            () = reached => {}
            _ = world.run(&plan) => {}
        }
        finish(&world, &plan, &format!("died at call {nth}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_commit_and_a_death_right_after_leave_nothing_behind() {
    for lost in [Lost::Answer, Lost::Request] {
        for nth in 1..=5 {
            let (world, plan) = prepared(Mode::Transactions).await;
            world.memory.faults().lose_commit(nth, lost);
            let cancel = CancellationToken::new();
            let run = world.run_as("ada", &plan, false, &cancel);
            // Dropped while it waits before reading the ledger again.
            let _ = tokio::time::timeout(Duration::from_millis(260 * nth), run).await;
            finish(&world, &plan, &format!("{lost:?} {nth}")).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_for_a_while_is_waited_for() {
    let (world, plan) = prepared(Mode::Transactions).await;
    let faults = world.memory.faults();
    let away = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        faults.disconnect();
        tokio::time::sleep(Duration::from_millis(700)).await;
        faults.reconnect();
    };
    let (run, ()) = tokio::join!(world.run(&plan), away);
    let run = run.unwrap();
    assert_eq!((run.redriven, run.stopped), (12, None));
    world.assert_exactly_once(&plan).await;
}
