//! The form of a search: what it asks, what it says before, and how it goes on.

use std::sync::Arc;

use redrive::ask::{Answer, Request};
use redrive::filter::Edge;
use redrive::ledger::Disposition;
use redrive::records::document::{EstimateAnswer, TailAnswer};
use redrive::tui::message::Effect;

use crate::bench::{Bench, console};
use crate::made_up::{at_letters, failures, incident, letters};

fn form() -> Bench {
    console().seeing(incident()).keys("gs")
}

fn estimate(bench: Bench) -> Bench {
    bench.answer(Answer::Estimate(Arc::new(EstimateAnswer {
        offsets: 88_164,
        partitions: 6,
        bytes: Some(27 << 20),
        sampled: 50,
        isolation: "read_committed",
        notes: vec!["only orders[3] is read".to_owned()],
    })))
}

#[test]
fn a_search_says_what_it_will_read_and_then_asks_for_just_that() {
    let bench = form().typed("orders").keys("tab").typed("ord-5512").keys("tab");
    let Some((_, Request::Estimate(asked))) = bench.asked.last() else { panic!("{:?}", bench.asked) };
    assert_eq!(asked.selection.key.as_deref(), Some(&b"ord-5512"[..]));
    let bench =
        estimate(bench).expect("reads ~88,164 records, ~28 MB, in 6 partitions").expect("only orders[3]");
    let bench = bench
        .keys("tab")
        .typed(".value.total > 3")
        .keys("tab ctrl-u")
        .typed("@2026-11-24T12:00:00Z")
        .keys("enter");
    let Some((_, Request::Tail(asked))) = bench.asked.last() else { panic!("{:?}", bench.asked) };
    assert_eq!(&*asked.topics[0], "orders");
    assert_eq!(asked.selection.filter.as_deref(), Some(".value.total > 3"));
    assert!(matches!(asked.selection.from, Some(Edge::Time(_))));
    let kept = |effect: &Effect| matches!(effect, Effect::Remember(typed) if typed[1] == "ord-5512");
    assert!(bench.effects.iter().any(kept));
    assert!(
        !bench.asked.iter().any(|(_, request)| matches!(request, Request::Estimate(_))),
        "it is taken back"
    );
    // The next form goes back to it.
    bench
        .keys("gt gs ctrl-p")
        .expect("ord-5512")
        .expect(".value.total > 3")
        .keys("ctrl-n")
        .expect_no("ord-5512");
}

#[test]
fn what_is_wrong_is_told_at_its_place_and_nothing_is_asked() {
    for (keys, text, why) in [
        ("", "order", "there is no topic order (did you mean orders?)"),
        ("tab tab tab", ".value.total >", "is not valid"),
        ("tab tab tab tab ctrl-u", "yesterday", "beginning, end, -N, offset:N or @TIME was expected"),
        ("tab tab tab tab tab tab", "5-3", "partitions are written as 0,3-5"),
        ("tab tab tab tab tab tab tab tab", "0", "a whole number above 0 was expected"),
    ] {
        let mut bench = form();
        if !keys.is_empty() {
            bench = bench.typed("orders").keys(keys);
        }
        bench.asked.clear();
        let bench = bench.typed(text).keys("enter");
        assert!(bench.asked.is_empty(), "{text}: {:?}", bench.asked);
        bench.expect(why).expect("search").keys("esc").expect_no("isolation");
    }
    form().keys("enter").expect("the name of a topic is needed");
}

#[test]
fn names_are_completed_and_the_isolation_is_turned() {
    let bench = form()
        .typed("order")
        .keys("right")
        .expect("orders")
        .keys("tab tab tab")
        .typed(".value.a == 1 and .eve");
    let bench = bench
        .keys("right tab ctrl-u")
        .typed("@-1")
        .keys("right")
        .keys("tab tab tab space")
        .expect("read_uncommitted");
    let bench = bench.keys("enter");
    let Some((_, Request::Tail(asked))) = bench.asked.last() else { panic!("{:?}", bench.asked) };
    assert!(asked.selection.uncommitted);
    assert!(asked.selection.filter.as_deref().unwrap().starts_with(".value.a == 1 and .event."), "{asked:?}");
}

#[test]
fn a_search_that_was_stopped_goes_on_where_it_stopped() {
    let bench = form().typed("orders").keys("enter");
    let stopped = TailAnswer {
        read: 100,
        matched: 3,
        bytes: 1_000,
        isolation: "read_committed",
        incomplete_reason: Some("it was cancelled".to_owned()),
        ranges: vec![("orders".into(), 0, 0, 60), ("orders".into(), 1, 0, 40)],
        ..TailAnswer::default()
    };
    let bench = bench.answer(Answer::Tail(Arc::new(stopped)));
    let bench = bench.expect("it was cancelled: 100 records in 2 partitions").keys("n");
    let Some((_, Request::Tail(asked))) = bench.asked.last() else { panic!("{:?}", bench.asked) };
    assert_eq!(asked.after, [("orders".into(), 0, 60), ("orders".into(), 1, 40)]);
    let rest = TailAnswer {
        read: 20,
        matched: 1,
        complete: true,
        ranges: vec![("orders".into(), 0, 60, 70), ("orders".into(), 1, 40, 50)],
        ..TailAnswer::default()
    };
    bench
        .answer(Answer::Tail(Arc::new(rest)))
        .expect("complete: 120 records in 2 partitions, offsets 0–69, 4 matches");
}

#[test]
fn a_list_of_letters_is_selected_from_by_key_range_and_jq() {
    let bench = at_letters(console().seeing(incident()).sized(160, 40)).press("records.query");
    let bench = bench.expect("only letters: key= from= to= partition= contains= or jq");
    let query = "key=ord-7 from=offset:100 to=offset:120 partition=0,3 .dead_letter.attempts > 2";
    let mut bench = bench.typed(query).keys("enter").expect("pending where key=ord-7 from=offset:100");
    let Some((_, Request::Letters(asked))) = bench.asked.last() else { panic!("{:?}", bench.asked) };
    let selection = &asked.selection;
    assert_eq!(selection.key.as_deref(), Some(&b"ord-7"[..]));
    assert_eq!((&selection.from, &selection.to), (&Some(Edge::Offset(100)), &Some(Edge::Offset(120))));
    assert_eq!((&selection.partitions[..], selection.limit), (&[0, 3][..], Some(2_000)));
    assert_eq!(selection.filter.as_deref(), Some(".dead_letter.attempts > 2"));
    // Topic, failure and state stay those of the list.
    let first = &failures().failures[0];
    assert_eq!((&*asked.topic, asked.failure.as_deref()), ("payments-dlt", Some(&*first.id)));
    assert_eq!(asked.state, Some(Disposition::Pending));
    bench = bench.answer(Answer::Letters(Arc::new(letters(3)))).expect("3 pending where key=ord-7");
    // What is typed next begins with what is there, and without anything all are listed again.
    bench = bench.press("records.query").expect(".dead_letter.attempts > 2").keys("ctrl-u enter");
    let Some((_, Request::Letters(asked))) = bench.asked.last() else { panic!("{:?}", bench.asked) };
    assert_eq!((&asked.selection.from, &asked.selection.filter), (&None, &None));
    bench.answer(Answer::Letters(Arc::new(letters(3)))).expect("3 pending").expect_no("where");
}

#[test]
fn marks_and_writes_are_for_the_letters_that_were_selected() {
    let bench = at_letters(console().seeing(incident())).press("records.query");
    let bench = bench.typed(".value.total > 3").keys("enter").answer(Answer::Letters(Arc::new(letters(3))));
    let bench = bench.press("list.mark-all").press("dlq.park");
    let Some((_, Request::Disposal(asked))) = bench.asked.last() else { panic!("{:?}", bench.asked) };
    assert_eq!(asked.only.as_ref().map(Vec::len), Some(3));
}

#[test]
fn a_query_of_letters_that_is_wrong_is_told_and_asks_nothing() {
    for (query, why) in [
        ("from=yesterday", "beginning, end, -N, offset:N or @TIME was expected"),
        ("partition=a", "partition= wants numbers"),
        ("limit=x", "limit= wants a number"),
    ] {
        let mut bench = at_letters(console().seeing(incident()).sized(160, 40)).press("records.query");
        bench.asked.clear();
        let bench = bench.typed(query).keys("enter").expect(why);
        assert!(bench.asked.is_empty(), "{query}: {:?}", bench.asked);
        bench.keys("esc esc").expect("131 pending").expect_no("where");
    }
}
