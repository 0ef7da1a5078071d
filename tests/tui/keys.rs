//! What keys do: where they lead, what they leave alone, and how a write is agreed to.

use std::sync::Arc;

use redrive::ask::{Answer, Request};
use redrive::config::profile::Profile;
use redrive::tui::keymap::Chord;
use redrive::tui::message::{Effect, Message, Mouse};

use crate::bench::{Bench, NOW, console, console_on};
use crate::made_up::{at_letters, at_plan, at_plan_of, at_run, failures, incident, plan};

fn on_the_incident() -> Bench {
    console().seeing(incident())
}

fn runs(bench: &Bench) -> usize {
    bench.asked.iter().filter(|(_, request)| matches!(request, Request::Run(_))).count()
}

fn quits(bench: &Bench) -> bool {
    bench.effects.iter().any(|effect| matches!(effect, Effect::Quit))
}

fn copied(bench: &Bench) -> Option<&str> {
    bench.effects.iter().rev().find_map(|effect| match effect {
        Effect::Copy(text) => Some(text.as_str()),
        _ => None,
    })
}

#[test]
fn what_needs_attention_leads_to_the_list_behind_it() {
    on_the_incident().press("overview.open").expect("demo ▸ payments-dlt");
    on_the_incident().keys("j enter").expect("▸ warehouse").expect("COMMITTED");
    on_the_incident().keys("5 enter").expect("EXPIRES");
    on_the_incident().keys("1 enter").expect("RECORDS/S↓");
    on_the_incident().keys("4 enter").expect("LAG↓");
}

#[test]
fn escape_takes_one_thing_back_at_a_time_and_never_quits() {
    let bench = on_the_incident().keys("gt").press("list.filter").typed("dlt").keys("enter space");
    let bench = bench.expect("1 marked").keys("g esc").expect("1 marked");
    let bench = bench.keys("esc").expect_no("1 marked").expect("filter /dlt");
    let bench = bench.keys("esc").expect_no("filter /dlt").expect("▸ topics");
    let bench = bench.keys("esc").expect("NEEDS ATTENTION").keys("esc esc");
    assert!(!quits(&bench));
}

#[test]
fn q_goes_back_and_quits_on_the_first_screen() {
    let bench = on_the_incident().keys("gt q").expect("NEEDS ATTENTION");
    assert!(!quits(&bench));
    assert!(quits(&bench.keys("q")));
    assert!(quits(&on_the_incident().press("palette").typed("q").keys("enter")));
}

#[test]
fn control_c_quits_only_when_it_is_pressed_twice_in_a_second() {
    let mut bench = on_the_incident().keys("ctrl-c");
    bench.send(Message::Clock(NOW.plus_millis(1_500)));
    let mut bench = bench.keys("ctrl-c");
    assert!(!quits(&bench));
    bench.send(Message::Clock(NOW.plus_millis(1_900)));
    assert!(quits(&bench.keys("ctrl-c")));
    let prompt = on_the_incident().press("palette").typed("x").keys("ctrl-c");
    assert!(prompt.state.overlays.is_empty() && !quits(&prompt), "in a prompt it leaves the prompt alone");
}

#[test]
fn the_last_view_comes_back_with_its_cursor() {
    let bench = on_the_incident().keys("gt j j gd").press("last").expect("▸ topics");
    assert_eq!(bench.state.view().list().unwrap().cursor, 2);
    bench.press("last").expect("▸ dead letters");
}

#[test]
fn a_held_picture_counts_what_comes_and_shows_the_latest_afterwards() {
    let bench = on_the_incident().press("view.pause");
    let mut later = incident();
    later.totals.pending = Some(999);
    let bench = bench.seeing(later).expect("PAUSED +1").expect_no("999 pending");
    bench.press("view.pause").expect_no("PAUSED").expect("999 pending");
}

#[test]
fn a_request_is_taken_back_when_its_screen_is_left() {
    let bench = on_the_incident().keys("gd").press("dlq.open");
    assert_eq!(bench.asked.len(), 1);
    assert!(bench.keys("esc").asked.is_empty());
}

#[test]
fn keys_that_come_before_the_content_wait_for_it() {
    let bench = on_the_incident().keys("gd enter j R enter");
    assert!(matches!(bench.asked.last(), Some((_, Request::Failures(_)))));
    let bench = bench.answer(Answer::Failures(Arc::new(failures())));
    let Some((_, Request::Plan(request))) = bench.asked.last() else { panic!("{:?}", bench.asked) };
    assert_eq!(request.letters.failure.as_deref(), Some("0c77d2b4"), "the second failure is meant");
    let bench = bench.answer(Answer::Plan(Arc::new(plan(9)))).expect("[ Cancel ]");
    assert_eq!(runs(&bench), 0);
}

#[test]
fn keys_that_wait_are_forgotten_when_the_screen_is_left() {
    let bench = on_the_incident().keys("gd enter enter esc gt");
    assert!(bench.state.ahead.is_empty());
}

#[test]
fn enter_alone_cancels_a_write() {
    let bench = at_plan(on_the_incident()).press("plan.run").expect("[ Cancel ]").keys("enter");
    assert_eq!(runs(&bench), 0);
    assert!(bench.state.overlays.is_empty());
}

#[test]
fn tab_and_enter_agree_to_a_write() {
    let bench = at_plan(on_the_incident()).press("plan.run").keys("tab enter");
    assert_eq!(runs(&bench), 1);
}

#[test]
fn what_was_typed_before_the_dialog_was_seen_is_not_meant_for_it() {
    let mut bench = at_plan(on_the_incident());
    for chord in Chord::parse_all("R tab enter").unwrap() {
        bench.send(Message::Key(chord));
    }
    assert_eq!((runs(&bench), bench.state.overlays.len()), (0, 1));
    bench.draw();
    assert_eq!(runs(&bench.keys("tab enter")), 1);
}

#[test]
fn a_protected_profile_and_many_letters_want_their_number_typed() {
    let mut profile = Profile::new("prod", Vec::new());
    profile.protected = true;
    let protected = at_plan(console_on(profile).seeing(incident())).expect("PROTECTED");
    let many = at_plan_of(on_the_incident(), plan(1_204));
    for (bench, number) in [(protected, "131"), (many, "1204")] {
        let bench = bench.press("plan.run").keys("tab enter");
        assert_eq!(runs(&bench), 0, "{number} was not typed");
        let bench = bench.typed("13").keys("enter");
        assert_eq!(runs(&bench), 0, "another number was typed");
        let bench = bench.keys("ctrl-u").typed(number).keys("enter");
        assert_eq!(runs(&bench), 1, "{number} was typed");
    }
}

#[test]
fn leaving_a_run_does_not_stop_it_and_control_c_does_after_its_transaction() {
    let bench = at_run(on_the_incident()).expect("52");
    let bench = bench.keys("esc").expect("run 53/131");
    assert_eq!(runs(&bench), 1);
    let bench = at_run(on_the_incident()).keys("ctrl-c").expect("stops after this transaction");
    assert_eq!(runs(&bench), 0, "the request was taken back");
}

#[test]
fn marked_letters_are_planned_and_nothing_else() {
    let bench = at_letters(on_the_incident()).keys("space space").press("dlq.plan");
    let Some((_, Request::Plan(request))) = bench.asked.last() else { panic!("{:?}", bench.asked) };
    assert_eq!(request.only.as_ref().map(Vec::len), Some(2));
}

#[test]
fn the_command_line_that_shows_the_same_is_copied() {
    let bench = on_the_incident().keys("gd").press("dlq.open").press("copy.command");
    assert_eq!(copied(&bench), Some("redrive dlq failures payments-dlt"));
    let bench = on_the_incident().keys("gt").press("copy.key");
    assert_eq!(copied(&bench), Some("orders"));
    let bench = at_letters(on_the_incident()).press("copy.position");
    assert_eq!(copied(&bench), Some("payments-dlt 0 100"));
}

#[test]
fn a_copied_command_line_chooses_the_same_cluster() {
    let mut bench = on_the_incident();
    let seat = bench.state.seat.as_mut().unwrap();
    let mut profile = (*seat.profile).clone();
    profile.chosen_by = vec!["--profile".to_owned(), "payments".to_owned()];
    seat.profile = std::sync::Arc::new(profile);
    let bench = bench.keys("gd").press("dlq.open").press("copy.command");
    assert_eq!(copied(&bench), Some("redrive --profile payments dlq failures payments-dlt"));
}

#[test]
fn a_click_selects_a_second_one_opens_and_the_wheel_scrolls() {
    let mut bench = on_the_incident().keys("gt");
    bench.send(Message::Mouse(Mouse::Click, 5, 4));
    assert_eq!(bench.state.view().list().unwrap().cursor, 2);
    bench.send(Message::Mouse(Mouse::Click, 5, 4));
    let mut bench = bench.expect("▸ topics ▸ payments").keys("esc");
    bench.send(Message::Mouse(Mouse::Wheel(1), 5, 5));
    assert_eq!(bench.state.view().list().unwrap().cursor, 5);
    bench.send(Message::Mouse(Mouse::Click, 3, 1));
    bench.expect("TOPIC↓");
}

#[test]
fn the_palette_takes_a_row_and_a_query() {
    let bench = on_the_incident().keys("gt").press("palette").typed("3").keys("enter");
    assert_eq!(bench.state.view().list().unwrap().cursor, 2);
    let bench = bench.press("palette").typed("tail orders key=ord-7").keys("enter");
    let Some((_, Request::Tail(request))) = bench.asked.last() else { panic!("{:?}", bench.asked) };
    assert_eq!(request.selection.key.as_deref(), Some(&b"ord-7"[..]));
    let bench = bench.press("palette").typed("tail orders from=yesterday").keys("enter");
    bench.expect("▲");
}

#[test]
fn a_line_of_the_help_is_done_with_enter() {
    on_the_incident().press("help").typed("dlqs").keys("enter").expect("▸ dead letters");
}

#[test]
fn a_line_that_needs_attention_can_be_kept_quiet() {
    let bench = on_the_incident()
        .keys("a")
        .expect("NEEDS ATTENTION 2 · 1 muted")
        .expect_no("SocketTimeoutException (");
    let bench = bench.keys("za").expect("NEEDS ATTENTION 3 · 1 muted, shown").expect("acknowledged");
    let bench = bench.keys("gg a za").expect_no("muted");
    let bench = bench.keys("j").press("palette").typed("mute 15m").keys("enter").expect("1 muted");
    bench.expect_no("warehouse is stalled").keys("5 a").expect("choose a line");
}

#[test]
fn the_charts_go_further_back_and_the_worst_offender_opens() {
    let bench = on_the_incident().expect("of 15 m").keys(">").expect("of 1 h").keys("< < < < <");
    bench.expect("a minute is the shortest").expect("charts: last 1 m").keys("4 d").expect("▸ warehouse");
    on_the_incident().keys("5 d").expect("▸ payments-dlt");
}
