//! Names, payloads and headers of strangers never drive the terminal.

use std::sync::Arc;

use proptest::prelude::*;
use ratatui::buffer::Buffer;
use redrive::ask::Answer;
use redrive::letters::document::LettersAnswer;
use redrive::observe::snapshot::{Role, Snapshot};

use crate::bench::{Bench, console};
use crate::made_up::{at_letters_of, dlq, incident, letter, topic};

/// What a stranger may call a thing.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\u{1b}[2J".to_owned()),
        Just("\u{1b}]52;c;aGk=\u{7}".to_owned()),
        Just("\u{9b}31m".to_owned()),
        Just("\u{202e}txt.exe".to_owned()),
        Just("\u{200b}\u{feff}".to_owned()),
        Just("日本語".to_owned()),
        Just("e\u{301}\u{301}".to_owned()),
        "\\PC{0,12}",
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

fn picture(name: &str) -> Snapshot {
    let mut picture = incident();
    picture.topics = [topic(name, Role::Source, 5.0, &[name], Some((name, 7)))].into();
    let mut groups = picture.groups.to_vec();
    groups[0].group = name.into();
    groups[0].state = Some(name.to_owned());
    picture.groups = groups.into();
    let mut lost = dlq(name, name, name, 3, Some(60_000), 60_000);
    lost.top_failure = Some(name.into());
    picture.dead_letters = [lost].into();
    let mut attention = picture.attention.to_vec();
    name.clone_into(&mut attention[0].what);
    picture.attention = attention.into();
    picture
}

/// Fails where a cell would not be shown as itself.
pub fn harmless(bench: &mut Bench) -> Result<(), TestCaseError> {
    let buffer: Buffer = bench.draw();
    for cell in &buffer.content {
        for c in cell.symbol().chars() {
            prop_assert!(redrive::text::sanitise::is_shown_as_itself(c), "{c:?} is in {}", bench.text());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_name_drives_the_terminal(name in hostile()) {
        for keys in ["", "gt", "gc", "gd"] {
            let mut bench = console().seeing(picture(&name));
            if !keys.is_empty() {
                bench = bench.keys(keys);
            }
            harmless(&mut bench)?;
        }
        harmless(&mut console().seeing(picture(&name)).keys("gt").press("topics.describe"))?;
        harmless(&mut console().seeing(picture(&name)).press("palette").typed("topic"))?;
        let mut typed = console().seeing(picture(&name)).keys("gt").press("list.filter");
        typed.send(redrive::tui::message::Message::Paste(name));
        harmless(&mut typed)?;
    }

    #[test]
    fn no_letter_drives_the_terminal(text in hostile(), bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut row = letter(100);
        let letter = Arc::make_mut(&mut row.letter);
        letter.record.key = Some(text.clone().into());
        letter.record.value = Some(bytes.into());
        letter.record.headers.push(text.clone(), Some(text.clone().into()));
        letter.message = Some(text.clone());
        letter.root_cause_class = Some(text.clone());
        letter.stack_trace = Some(format!("{text}\n\tat {text}({text})"));
        letter.root.group = Some(text.as_str().into());
        let answer = LettersAnswer {
            topic: "payments-dlt".into(), letters: vec![row], total: 1, complete: true, filter_errors: 0,
        };
        let mut bench = at_letters_of(console().seeing(incident()), answer);
        harmless(&mut bench)?;
        bench = bench.press("letters.open");
        for _ in 0..6 {
            harmless(&mut bench)?;
            bench = bench.press("inspector.section");
        }
    }
}

#[test]
fn an_answer_that_comes_too_late_finds_nobody() {
    let mut bench = console().seeing(incident()).keys("gd").press("dlq.open");
    let (id, _) = bench.asked.pop().unwrap();
    bench = bench.keys("esc");
    let late = Answer::Failures(Arc::new(crate::made_up::failures()));
    bench.send(redrive::tui::message::Message::Done(id, Box::new(Ok(late))));
    bench.expect("EXPIRES").expect_no("SocketTimeoutException  ");
}
