//! Every screen in every form: 80x24, 120x40, without colour, in ASCII, from made-up pictures.

use std::sync::Arc;

use redrive::ask::{Answer, Request};
use redrive::observe::snapshot::{Freshness, Snapshot};
use redrive::text::Fault;

use crate::bench::{Bench, NOW, console};
use crate::made_up::{self, ago, incident};

/// Takes pictures of a console that `show` leads to a screen.
fn pictures(name: &str, show: impl Fn(Bench) -> Bench) {
    let all = |bench: Bench| show(bench.seeing(incident()));
    insta::assert_snapshot!(format!("{name}@80x24"), all(console()).picture());
    insta::assert_snapshot!(format!("{name}@120x40"), all(console().sized(120, 40)).text());
    insta::assert_snapshot!(format!("{name}@no_colour"), all(console().without_colour()).picture());
    let ascii = all(console().ascii()).text();
    assert!(ascii.is_ascii(), "{ascii}");
    insta::assert_snapshot!(format!("{name}@ascii"), ascii);
}

#[test]
fn overview() {
    pictures("overview", |bench| bench);
}

#[test]
fn topics() {
    pictures("topics", |bench| bench.keys("gt"));
}

#[test]
fn one_topic() {
    pictures("topic", |bench| bench.keys("gt").press("topics.describe"));
    pictures("topic_config", |bench| bench.keys("gt").press("topics.describe").press("pane.toggle"));
}

#[test]
fn groups() {
    pictures("groups", |bench| bench.keys("gc"));
}

#[test]
fn one_group() {
    pictures("group", |bench| bench.keys("gc").press("groups.open"));
    pictures("group_members", |bench| bench.keys("gc").press("groups.describe"));
}

#[test]
fn dead_letter_topics() {
    pictures("dead_letters", |bench| bench.keys("gd"));
    pictures("dead_letters_described", |bench| bench.keys("gd").press("dlq.describe"));
}

#[test]
fn failures() {
    pictures("failures", |bench| {
        bench.keys("gd").press("dlq.open").answer(Answer::Failures(Arc::new(made_up::failures())))
    });
}

#[test]
fn letters() {
    pictures("letters", made_up::at_letters);
}

#[test]
fn inspector() {
    pictures("inspector", |bench| made_up::at_letters(bench).press("letters.open"));
}

#[test]
fn plan() {
    pictures("plan", made_up::at_plan);
}

#[test]
fn consent() {
    pictures("consent", |bench| made_up::at_plan(bench).press("plan.run"));
}

#[test]
fn run() {
    pictures("run", made_up::at_run);
}

#[test]
fn runs() {
    pictures("runs", |bench| bench.keys("gr").answer(Answer::Runs(Arc::new(made_up::runs()))));
}

#[test]
fn records() {
    pictures("records", |bench| {
        let mut bench = bench.keys("gt").press("topics.open");
        let (id, _) = bench.asked.last().cloned().unwrap();
        bench.send(redrive::tui::message::Message::Told(
            id,
            redrive::ask::Event::Records(made_up::records(30)),
        ));
        bench.answer(Answer::Tail(Arc::new(made_up::tail())))
    });
}

#[test]
fn overlays() {
    pictures("help", |bench| bench.keys("gd").press("help"));
    pictures("palette", |bench| bench.press("palette").typed("pay"));
    pictures("search", |bench| bench.keys("gt").press("records.query").typed("ord-5512"));
    pictures("filter", |bench| bench.keys("gt").press("list.filter").typed("dlt"));
    pictures("notices", |bench| bench.press("refresh").press("notices"));
    pictures("which_key", |mut bench| {
        bench = bench.keys("g");
        bench.send(redrive::tui::message::Message::Clock(NOW.plus_millis(300)));
        bench
    });
}

#[test]
fn what_is_not_current_is_never_shown_as_new() {
    let stale = Snapshot {
        freshness: Freshness::Stale {
            since: ago(60_000),
            why: "no broker answers at kafka-1:9092".to_owned(),
        },
        ..incident()
    };
    insta::assert_snapshot!("stale@80x24", console().seeing(stale).picture());
}

#[test]
fn a_cluster_that_was_not_seen_yet_shows_no_number() {
    insta::assert_snapshot!("starting@80x24", console().text());
    insta::assert_snapshot!("starting_topics@80x24", console().keys("gt").text());
}

#[test]
fn a_failure_says_what_why_and_what_to_do() {
    let fault = Fault::failed("unknown_topic", "there is no topic payments-dlt")
        .why("the broker does not know it")
        .hint("`redrive topics list` shows all topics");
    let mut bench = console().seeing(incident()).keys("gd").press("dlq.open");
    assert!(matches!(bench.asked.last(), Some((_, Request::Failures(_)))));
    bench = bench.fail(fault);
    insta::assert_snapshot!("failed@80x24", bench.text());
}

#[test]
fn a_terminal_that_is_too_small_says_how_large_it_must_be() {
    let mut bench = console().sized(59, 15).seeing(incident());
    assert_eq!(bench.text().trim(), "redrive needs 60x16; this is 59x15");
    bench.size = (60, 16);
    bench.expect("THROUGHPUT");
}
