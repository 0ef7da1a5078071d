//! How one record is shown: as JSON, text or bytes, and with the base64 in it decoded.

use std::sync::Arc;

use redrive::ask::{Answer, Event, Request};
use redrive::event::decode::{Base64, Decoding, Patience, Side};
use redrive::records::document::DecodedRecord;
use redrive::tui::message::Message;

use crate::bench::{Bench, console};
use crate::made_up::{incident, records};

/// The inspector on a record with this value.
fn inspecting(value: &'static str) -> Bench {
    let mut bench = console().seeing(incident()).keys("gt enter");
    let (id, _) = *bench.asked.last().map(|(id, request)| (*id, request)).as_ref().unwrap();
    let mut record = records(1).remove(0);
    record.value = Some(value.into());
    bench.send(Message::Told(id, Event::Records(vec![record])));
    decoded(bench.drawn().keys("enter"))
}

/// What is asked to be decoded is, as the desk does it.
fn decoded(bench: Bench) -> Bench {
    let Some((_, Request::Decode(record, base64))) = bench.asked.last() else { panic!("{:?}", bench.asked) };
    let (record, base64) = (Arc::clone(record), *base64);
    let side = |side| Decoding::default().decode(&record, side, Patience::Now).inside(base64);
    let at = record.at.clone();
    let (key, value) = (side(Side::Key), side(Side::Value));
    bench.answer(Answer::Decoded(Arc::new(DecodedRecord { at, base64, key, value })))
}

#[test]
fn a_value_is_shown_as_json_text_or_bytes_in_turn() {
    let bench = inspecting(r#"{"total":12,"by":"ann"}"#).expect("value  json  23 B").expect("\"total\": 12,");
    let bench = bench.keys("z r").expect("value  text").expect(r#"{"total":12,"by":"ann"}"#);
    let bench = bench.keys("z r").expect("value  bytes").expect("7b 22 74 6f 74 61 6c 22  3a 31 32");
    bench.keys("z r").expect("value  json").expect("\"total\": 12,");
}

#[test]
fn a_page_of_its_own_turns_its_own_layout() {
    let bench = inspecting(r#"{"total":12}"#).keys("tab z r").expect("┌ key  bytes");
    bench.keys("tab").expect("value  json");
}

#[test]
fn base64_inside_json_is_decoded_where_it_is_asked_for_and_only_then() {
    let bench = inspecting(r#"{"id":"ord-5512","note":"cGxlYXNlIHJpbmcgdHdpY2UbWzJK"}"#);
    let bench = bench.expect("cGxlYXNlIHJpbmcgdHdpY2UbWzJK").expect_no("please ring twice");
    let bench = decoded(bench.keys("z b"));
    let bench = bench.expect("value json+base64").expect("base64:text").expect("please ring twice");
    let bench = bench.expect("\"id\": \"ord-5512\"").expect_no("cGxlYXNl").expect_no("\u{1b}");
    let line = bench.state.view().command_line().unwrap();
    assert!(line.starts_with("get orders ") && line.ends_with(" --base64"), "{line}");
    let bench = decoded(bench.keys("z b")).expect("cGxlYXNl").expect_no("please ring twice");
    assert!(!bench.state.view().command_line().unwrap().contains("--base64"));
}

#[test]
fn where_there_is_no_base64_that_is_said() {
    let bench = inspecting(r#"{"id":"ord-5512"}"#).expect_no("base64");
    decoded(bench.keys("z b")).expect("no base64 is in it").expect("ord-5512");
}

#[test]
fn an_answer_that_comes_after_another_key_is_not_shown() {
    let bench = inspecting(r#"{"note":"cGxlYXNlIHJpbmcgdHdpY2U="}"#).keys("z b z b");
    let bench = decoded(bench).expect("cGxlYXNl").expect_no("please ring twice");
    assert!(!bench.asked.iter().any(|(_, request)| matches!(request, Request::Decode(_, Base64::Decode))));
}

#[test]
fn what_only_dead_letters_have_done_with_them_is_not_offered_on_a_plain_record() {
    let bench = inspecting(r#"{"total":12}"#).expect("section").expect_no("redrive…").expect_no("discard…");
    bench.keys("X").expect("this record is no dead letter").keys("R").expect("this record is no dead letter");
}
