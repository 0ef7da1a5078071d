//! What an operator, the canary and the circuit breaker do to a run while it goes on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use redrive::ask::Event;
use redrive::broker::Shard;
use redrive::redrive::control::Control;
use redrive::redrive::document::{CanaryAnswer, RunAnswer};
use redrive::redrive::options::{CanaryThen, Options};
use redrive::redrive::plan::Plan;
use tokio_util::sync::CancellationToken;

use crate::world::{Dead, TARGET, World};

const GROUP: &str = "mailer";

/// Twenty letters of a group that commits.
async fn world() -> World {
    let world = World::empty().await;
    for i in 0..20 {
        world.bury(&[Dead { group: Some(GROUP), ..Dead::new(0, "a", (0, 100 + i)) }]).await;
    }
    commit(&world, 0).await;
    world
}

async fn commit(world: &World, offset: i64) {
    let broker = world.broker();
    let offsets = [(Shard::new(TARGET, 0), offset)];
    broker.writer().unwrap().alter_offsets(&GROUP.into(), &offsets).await.unwrap();
}

async fn planned(world: &World, options: Options) -> Arc<Plan> {
    let mut request = World::request();
    request.options = options;
    Arc::clone(&world.plan_with(request).await.unwrap().plan)
}

fn canary(size: u32, then: CanaryThen) -> Options {
    Options { canary: Some(size), canary_then: then, canary_wait_ms: 30_000, ..Options::default() }
}

/// Runs, and does something in the world meanwhile.
async fn run_while(
    world: &World,
    plan: &Arc<Plan>,
    may_ask: bool,
    control: &Control,
    tell: &(dyn Fn(Event) + Send + Sync),
    meanwhile: impl Future<Output = ()>,
) -> RunAnswer {
    let cancel = CancellationToken::new();
    let run = world.run_with(world.cx("ada"), plan, (false, may_ask, control.clone()), tell, &cancel);
    let (run, ()) = tokio::join!(Box::pin(run), Box::pin(meanwhile));
    run.unwrap()
}

async fn simply(world: &World, plan: &Arc<Plan>, meanwhile: impl Future<Output = ()>) -> RunAnswer {
    run_while(world, plan, false, &Control::default(), &|_| {}, meanwhile).await
}

fn state(run: &RunAnswer) -> (&'static str, Option<u64>, u64) {
    let canary: &CanaryAnswer = run.canary.as_ref().unwrap();
    (canary.state, canary.processed, canary.came_back)
}

#[tokio::test(start_paused = true)]
async fn the_rest_follows_a_canary_that_its_group_has_passed() {
    let world = world().await;
    let plan = planned(&world, canary(5, CanaryThen::Continue)).await;
    let run = simply(&world, &plan, async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(world.read(TARGET).await.len(), 5);
        commit(&world, 5).await;
    })
    .await;
    assert_eq!((run.redriven, run.stopped, state(&run)), (20, None, ("passed", Some(5), 0)));
    world.assert_exactly_once(&plan).await;
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_comes_back_stops_the_run_and_the_next_run_sends_another_one() {
    let world = world().await;
    let plan = planned(&world, canary(5, CanaryThen::Continue)).await;
    let fails = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        world.bury(&[Dead { group: Some(GROUP), ..Dead::new(0, "a", (0, 3)) }]).await;
    };
    let run = simply(&world, &plan, fails).await;
    assert_eq!((run.redriven, run.stopped, run.remaining), (5, Some("canary"), 15));
    assert_eq!(run.stopped_reason.as_deref(), Some("1 of 5 came back"));
    assert_eq!((state(&run), run.came_back), (("came_back", Some(0), 1), 1));
    let runs = world.runs().await;
    assert_eq!((runs.runs[0].state, runs.runs[0].run.stopped), ("stopped", Some("canary")));
    let again = simply(&world, &plan, async {}).await;
    assert_eq!((again.already_handled, again.redriven, again.stopped), (5, 15, None));
    assert_eq!(state(&again).0, "nothing_came_back");
}

#[tokio::test(start_paused = true)]
async fn without_a_group_that_commits_the_proof_is_that_nothing_came_back() {
    let world = World::new().await;
    let plan = planned(&world, canary(4, CanaryThen::Continue)).await;
    let run = simply(&world, &plan, async {}).await;
    assert_eq!((run.redriven, state(&run)), (12, ("nothing_came_back", None, 0)));
    assert_eq!(run.canary.unwrap().proof.unwrap(), "nothing came back within 30 s");
    assert!(run.seconds >= 30.0);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_passes_only_part_of_the_canary_proves_nothing() {
    let world = world().await;
    let plan = planned(&world, canary(5, CanaryThen::Continue)).await;
    let run = simply(&world, &plan, commit(&world, 3)).await;
    assert_eq!((run.redriven, run.stopped, state(&run)), (5, Some("canary"), ("not_proved", Some(3), 0)));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_stops_after_its_canary_sends_the_rest_when_the_plan_is_run_again() {
    for then in [CanaryThen::Stop, CanaryThen::Ask] {
        let world = world().await;
        let plan = planned(&world, canary(5, then)).await;
        let first = simply(&world, &plan, async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            commit(&world, 5).await;
        })
        .await;
        assert_eq!((first.redriven, first.stopped), (5, Some("canary")), "{then:?}");
        let second = simply(&world, &plan, async {}).await;
        assert_eq!((second.already_handled, second.redriven, second.stopped), (5, 15, None));
        world.assert_exactly_once(&plan).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_can_be_asked_decides_after_the_canary() {
    for go_on in [true, false] {
        let world = world().await;
        let plan = planned(&world, canary(5, CanaryThen::Ask)).await;
        let control = Control::default();
        let tell = |event: Event| {
            if let Event::Run(run) = event
                && run.canary.is_some_and(|c| c.asks)
            {
                control.after_canary(go_on);
            }
        };
        let run = run_while(&world, &plan, true, &control, &tell, commit(&world, 5)).await;
        let wanted = if go_on { (20, None) } else { (5, Some("canary")) };
        assert_eq!((run.redriven, run.stopped), wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_comes_back_stops_the_run_and_nobody_is_asked() {
    let world = world().await;
    let plan = planned(&world, canary(5, CanaryThen::Ask)).await;
    let control = Control::default();
    let tell = |event: Event| {
        let asks = matches!(event, Event::Run(run) if run.canary.as_ref().is_some_and(|c| c.asks));
        assert!(!asks, "the canary failed");
    };
    let back = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.bury(&[Dead { group: Some(GROUP), ..Dead::new(0, "a", (0, 3)) }]).await;
    };
    let run = run_while(&world, &plan, true, &control, &tell, back).await;
    assert_eq!((run.redriven, run.stopped, run.came_back), (5, Some("canary"), 1));
}

#[tokio::test(start_paused = true)]
async fn a_run_stops_by_itself_when_too_much_comes_back() {
    let world = world().await;
    let plan = planned(&world, Options { rate: Some(1), ..Options::default() }).await;
    let run = simply(&world, &plan, async {
        for i in 0..20 {
            tokio::time::sleep(Duration::from_millis(1_100)).await;
            world.bury(&[Dead { group: Some(GROUP), ..Dead::new(0, "a", (0, i)) }]).await;
        }
    })
    .await;
    assert_eq!(run.stopped, Some("refailures"));
    assert!((3..8).contains(&run.redriven), "{}", run.redriven);
    assert!(run.stopped_reason.unwrap().contains("more than 20 %"));
    // With the limit at 100 nothing stops it.
    let plan = planned(
        &world,
        Options { force: vec!["same_failure".into()], stop_above: 100, ..Options::default() },
    );
    assert_eq!(simply(&world, &plan.await, async {}).await.stopped, None);
}

#[tokio::test(start_paused = true)]
async fn a_paused_run_writes_nothing_and_keeps_its_place() {
    let world = world().await;
    let plan = planned(&world, Options { rate: Some(2), ..Options::default() }).await;
    let control = Control::default();
    let seen = Mutex::new(Vec::new());
    let tell = |event: Event| {
        if let Event::Run(run) = event {
            seen.lock().unwrap().push((run.paused, run.rate));
        }
    };
    let run = run_while(&world, &plan, false, &control, &tell, async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        control.pause(true);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = world.read(TARGET).await.len();
        // Much longer than an owner row lives that is not renewed.
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(world.read(TARGET).await.len(), before);
        assert_eq!(world.runs().await.runs[0].state, "waiting");
        let other = world.run_as("bob", &plan, false, &CancellationToken::new()).await;
        assert_eq!(other.unwrap_err().code, "fenced");
        control.limit(Some(1_000));
        control.pause(false);
    })
    .await;
    assert_eq!((run.redriven, run.stopped, run.rate), (20, None, Some(1_000)));
    assert!((120.0..160.0).contains(&run.seconds), "{}", run.seconds);
    assert!(seen.lock().unwrap().iter().any(|s| s.0));
    world.assert_exactly_once(&plan).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_taken_over_is_listed_as_fenced_and_one_that_died_as_abandoned() {
    let world = world().await;
    let plan = planned(&world, Options { rate: Some(1), ..Options::default() }).await;
    let cancel = CancellationToken::new();
    // It dies: dropped with its owner row open.
    let died = world.run_as("ada", &plan, false, &cancel);
    assert!(tokio::time::timeout(Duration::from_secs(3), died).await.is_err());
    let second = world.run_as("bob", &plan, false, &cancel);
    let third = async {
        tokio::time::sleep(Duration::from_secs(40)).await;
        world.run_as("eve", &plan, true, &cancel).await
    };
    let (second, third) = tokio::join!(second, third);
    assert_eq!((second.unwrap().stopped, third.unwrap().stopped), (Some("fenced"), None));
    let runs = world.runs().await;
    let of = |name: &str| {
        let row = runs.runs.iter().find(|r| r.run.operator == name).unwrap();
        (row.state, row.run.stopped)
    };
    assert_eq!(of("ada"), ("abandoned", None));
    assert_eq!(of("bob"), ("stopped", Some("fenced")));
    assert_eq!(of("eve"), ("done", None));
    world.assert_exactly_once(&plan).await;
}
