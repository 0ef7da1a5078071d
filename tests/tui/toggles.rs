//! What changes how a list or a text is shown, what is saved of it, and what is compared.

use std::sync::Arc;

use redrive::ask::{Event, Request};
use redrive::config::profile::Profile;
use redrive::redrive::document::Sample;
use redrive::tui::message::{Effect, Message, Mouse};

use crate::bench::{Bench, NOW, console, console_on};
use crate::made_up::{at_letters, at_plan_of, incident, plan, records};

fn at_records(bench: Bench) -> Bench {
    let mut bench = bench.seeing(incident()).keys("gt enter");
    let (id, _) = *bench.asked.last().map(|(id, request)| (*id, request)).as_ref().unwrap();
    bench.send(Message::Told(id, Event::Records(records(5))));
    bench
}

fn marked(bench: &Bench) -> usize {
    bench.state.view().list().unwrap().marks.len()
}

#[test]
fn the_whole_screen_is_for_the_list_until_pressed_again() {
    let bench = console().seeing(incident()).keys("gt").expect("? help").expect("▸ topics");
    let bench = bench.keys("z z").expect_no("? help").expect_no("▸ topics").expect("RECORDS/S");
    bench.press("list.filter").typed("pay").expect("/pay").keys("esc z z").expect("? help");
}

#[test]
fn only_rows_with_something_wrong_are_listed_where_that_is_wanted() {
    let bench = console().seeing(incident()).keys("gc").expect("analytics").keys("z f");
    let bench = bench.expect_no("analytics").expect("warehouse").expect("only faults");
    bench.keys("z f").expect("analytics").expect_no("only faults");
}

#[test]
fn a_range_of_rows_is_marked_by_moving() {
    let bench = console().seeing(incident()).keys("gt v j j");
    assert_eq!(marked(&bench), 3);
    let bench = bench.keys("k v j j");
    assert_eq!(marked(&bench), 2, "what was left again is not marked, nor what comes after the end");
}

#[test]
fn columns_on_the_right_come_into_view_sideways() {
    let bench = console().seeing(incident()).keys("gt").expect("RECORDS/S").expect_no("RETENTION");
    let bench =
        bench.keys("l").expect_no("RECORDS/S").keys("l l l l l l").expect("TOPIC").expect("RETENTION");
    bench.keys("h h h h h h h h h h").expect("RECORDS/S");
}

#[test]
fn headers_and_the_time_between_records_are_shown_where_wanted() {
    let bench = at_records(console().sized(120, 40)).expect_no("HEADERS").keys("z h").expect("HEADERS");
    bench.keys("z h z d").expect_no("HEADERS").expect("+1.000 s");
}

#[test]
fn all_marked_topics_are_followed_in_one_list_that_can_be_held() {
    let mut bench = console().sized(120, 40).seeing(incident()).keys("gt space j space f");
    let Some((id, Request::Tail(asked))) = bench.asked.last() else { panic!("{:?}", bench.asked) };
    let (id, asked) = (*id, asked.clone());
    assert!(asked.follow);
    assert_eq!(asked.topics.len(), 2, "{:?}", asked.topics);
    let named = |offset: i64| {
        let mut records = records(2);
        for (record, topic) in records.iter_mut().zip(&asked.topics) {
            record.at.topic = Arc::clone(topic);
            record.at.offset = offset;
        }
        Message::Told(id, Event::Records(records))
    };
    bench.send(named(4_711));
    let bench = bench.expect("TOPIC").expect(&asked.topics[0]).expect(&asked.topics[1]).expect("4,711");
    let mut bench = bench.expect("dropped 0").keys("p").expect("PAUSED +0");
    bench.send(named(4_712));
    bench.send(Message::Dropped(id, 1_000));
    let bench = bench.expect("PAUSED +2").expect("dropped 1,000").expect_no("4,712");
    let bench = bench.keys("p").expect("4,712").expect_no("PAUSED");
    let line = bench.state.view().command_line().unwrap();
    assert!(line.starts_with(&format!("tail {} {}", asked.topics[0], asked.topics[1])), "{line}");
}

#[test]
fn what_is_shown_is_saved_under_the_name_that_is_typed() {
    let bench = console().seeing(incident()).keys("gt ctrl-s").expect("topics.jsonl").keys("enter");
    let saved = |bench: &Bench| {
        bench.effects.iter().rev().find_map(|effect| match effect {
            Effect::SaveList(listing, path) => Some((listing.rows(), path.display().to_string())),
            _ => None,
        })
    };
    let all = bench.state.view().list().unwrap().order.len();
    assert_eq!(saved(&bench), Some((all, "topics.jsonl".to_owned())));
    let bench = bench.keys("space ctrl-s enter");
    assert_eq!(saved(&bench).map(|(rows, _)| rows), Some(1), "only what is marked");
}

#[test]
fn two_marked_records_are_compared_and_the_pager_gets_a_safe_text() {
    let bench = at_records(console()).keys("=").expect("mark the two records");
    let bench = bench.keys("gg space space =").expect("▸ compare").expect("- orders").expect("difference");
    let bench = bench.keys("q e");
    let text = bench.effects.iter().find_map(|effect| match effect {
        Effect::Page(text) => Some(text.clone()),
        _ => None,
    });
    let text = text.unwrap();
    assert!(text.contains("orders[") && text.contains("key "), "{text}");
    assert!(!text.contains('\x1b'));
}

#[test]
fn a_letter_edited_by_hand_becomes_a_plan_of_that_letter_alone() {
    let mut bench = at_letters(console().seeing(incident())).keys("enter E");
    let sheet = bench.effects.iter().find_map(|effect| match effect {
        Effect::Edit(sheet) => Some(sheet.clone()),
        _ => None,
    });
    let sheet = sheet.unwrap();
    assert!(sheet.text.contains("event_id"), "{}", sheet.text);
    bench.send(Message::Edited(sheet.clone(), Ok(sheet.text.clone())));
    let mut bench = bench.drawn().expect("nothing was changed");
    bench.send(Message::Edited(sheet.clone(), Ok("{".to_owned())));
    let mut bench = bench.drawn().expect("not edited");
    bench.send(Message::Edited(sheet.clone(), Ok(sheet.text.replacen("\"event_id\"", "\"id_of_event\"", 1))));
    let Some((_, Request::Plan(request))) = bench.asked.last() else { panic!("{:?}", bench.asked) };
    assert_eq!(request.only, Some(vec![(sheet.at.partition, sheet.at.offset)]));
    assert!(request.options.edit.as_ref().unwrap().contains("id_of_event"));
}

#[test]
fn a_letter_is_not_edited_where_nothing_can_be_written() {
    let profile = Profile { read_only: true, ..Profile::new("prod", Vec::new()) };
    let bench = at_letters(console_on(profile).seeing(incident())).keys("enter E");
    let bench = bench.expect("profile prod is read-only");
    assert!(!bench.effects.iter().any(|effect| matches!(effect, Effect::Edit(_))));
}

#[test]
fn wide_terminals_show_beside_the_list_what_its_row_is_about() {
    let bench = at_letters(console().sized(200, 60).seeing(incident()));
    let bench = bench.expect("FAILURE").expect("your code first");
    bench.keys("z z").expect_no("your code first");
    console().sized(200, 60).seeing(incident()).keys("gt").expect("IN SYNC");
}

#[test]
fn the_click_that_gives_the_focus_does_nothing_else() {
    let mut bench = console().seeing(incident()).keys("gt").drawn();
    bench.send(Message::Focus(false));
    bench.send(Message::Clock(NOW.plus_millis(5_000)));
    bench.send(Message::Focus(true));
    bench.send(Message::Mouse(Mouse::Click, 5, 4));
    assert_eq!(bench.state.view().list().unwrap().cursor, 0);
    bench.send(Message::Mouse(Mouse::Click, 5, 4));
    assert_eq!(bench.state.view().list().unwrap().cursor, 2);
}

#[test]
fn long_lines_are_wrapped_or_moved_along() {
    let bench = at_letters(console().seeing(incident())).keys("enter tab tab");
    let wrapped = bench.expect("VALUE").keys("z w");
    let bench = wrapped.keys("l").expect_no("\"event_id\"").keys("h").expect("\"event_id\"");
    bench.keys("l z w").expect("\"event_id\"");
}

#[test]
fn what_an_edit_changes_is_shown_side_by_side() {
    let mut edited = plan(3);
    let code = ".value.currency = \"CHF\"".to_owned();
    let mut whole = (*edited.plan).clone();
    whole.header.options.edit = Some(code);
    edited.plan = Arc::new(whole);
    edited.preflight.changed_by_edit = 3;
    edited.preflight.edit_errors = 1;
    edited.preflight.samples = vec![Sample {
        partition: 2,
        offset: 118,
        before: vec!["value   \"currency\": \"EUR\",".to_owned()],
        after: vec!["value   \"currency\": \"CHF\",".to_owned()],
    }];
    let bench = at_plan_of(console().seeing(incident()), edited);
    let mut bench = bench.expect("the edit changes 3 letters, fails on 1 letter").expect("2/118");
    let text = bench.text();
    let line = text.lines().find(|line| line.contains("EUR")).unwrap();
    assert!(line.find("EUR") < line.find("│") && line.find("│") < line.find("CHF"), "{line}");
}
