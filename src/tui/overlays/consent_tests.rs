//! From a plan to its run: nothing is written without a consent that was given to what was seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;

use crate::ask::{Answer, Request};
use crate::config::profile::{DeadLetters, Profile};
use crate::dlq::formats;
use crate::event::{Headers, Position, Record};
use crate::ledger::Disposition;
use crate::letters::document::LetterRow;
use crate::redrive::document::{Into, PlanAnswer, Preflight, Refusal};
use crate::redrive::plan::{Plan, PlanCounts, PlanHeader, PlannedTarget, PlannedTopic};
use crate::text::Timestamp;
use crate::tui::hits::Hits;
use crate::tui::keymap::{Chord, Code, Keymap};
use crate::tui::message::{Effect, Message, RequestId};
use crate::tui::screens::subject::{Among, Subject};
use crate::tui::screens::{Inspector, Screen};
use crate::tui::state::{Seat, State};
use crate::tui::theme::Theme;
use crate::tui::update::update;
use crate::tui::view::view;

/// 2026-11-24T13:02:11.034Z.
const NOW: Timestamp = Timestamp(1_795_525_331_034);

/// The console under test.
struct Console {
    state: State,
    effects: Vec<Effect>,
}

impl Console {
    fn new() -> Self {
        Self::on(Profile::new("demo", Vec::new()))
    }

    fn on(profile: Profile) -> Self {
        let writable = !profile.read_only;
        let seat = Seat { profile: Arc::new(profile), operator: "oncall".into(), writable };
        let keymap = Keymap::new(&BTreeMap::new()).unwrap();
        let state = State::on_a_cluster(seat, Theme::default(), keymap, NOW);
        let mut console = Self { state, effects: Vec::new() };
        console.send(Message::Resized(80, 24));
        console
    }

    /// On a letter of a dead-letter topic.
    fn at_letter(mut self) -> Self {
        let record = Record {
            at: Position::new("payments-dlt", 2, 118),
            time: None,
            key: None,
            value: None,
            headers: Headers::default(),
            lease: None,
        };
        let letter = Arc::new(formats::decode(&record, &DeadLetters::default()));
        let row = LetterRow {
            letter,
            state: Some(Disposition::Pending),
            redrive: None,
            history: Vec::new(),
            duplicate: false,
        };
        let among = Among { of: "letter", list: vec![Subject::Letter(row)], at: 0 };
        self.state.screens.push(Screen::Inspector(Box::new(Inspector::new(among, 80))));
        self.picture();
        self
    }

    /// At the plan for it.
    fn at_plan(self, plan: PlanAnswer) -> Self {
        let mut console = self.at_letter();
        console.press("R");
        let (id, _) = console.asked();
        console.send(Message::Done(id, Box::new(Ok(Answer::Plan(Arc::new(plan))))));
        console.picture();
        console
    }

    fn picture(&mut self) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 80, 24));
        let mut hits = Hits::default();
        view(&self.state, &mut buffer, &mut hits);
        self.send(Message::Drawn(hits));
        buffer
    }

    fn text(&mut self) -> String {
        let buffer = self.picture();
        let row = |cells: &[Cell]| cells.iter().map(Cell::symbol).collect::<String>() + "\n";
        buffer.content.chunks(80).map(row).collect()
    }

    /// Runs that were asked for.
    fn runs(&self) -> usize {
        let is_run =
            |e: &&Effect| matches!(e, Effect::Ask(_, request) if matches!(**request, Request::Run(_)));
        self.effects.iter().filter(is_run).count()
    }

    fn send(&mut self, message: Message) {
        let effects = update(&mut self.state, message);
        self.effects.extend(effects);
    }

    /// Types keys without drawing in between.
    fn type_blindly(&mut self, keys: &str) {
        for chord in Chord::parse_all(keys).unwrap() {
            self.send(Message::Key(chord));
        }
    }

    /// Types keys; every one is drawn.
    fn press(&mut self, keys: &str) {
        for chord in Chord::parse_all(keys).unwrap() {
            self.send(Message::Key(chord));
            self.picture();
        }
    }

    /// Types a text, letter by letter.
    fn write(&mut self, text: &str) {
        for c in text.chars() {
            self.send(Message::Key(Chord::plain(Code::Char(c))));
        }
        self.picture();
    }

    /// The request under way that was asked last, taken out of the effects.
    fn asked(&mut self) -> (RequestId, Request) {
        let at = self.effects.iter().rposition(|effect| matches!(effect, Effect::Ask(..)));
        match at.map(|at| self.effects.remove(at)) {
            Some(Effect::Ask(id, request)) => (id, *request),
            _ => panic!("nothing was asked"),
        }
    }
}

fn plan(records: u64) -> PlanAnswer {
    let topic = |name: &str| PlannedTopic { topic: name.into(), topic_id: None, partitions: 3 };
    let header = PlanHeader {
        schema: 1,
        id: "p-20261124-1302".into(),
        cluster_id: "c".into(),
        source: topic("payments-dlt"),
        target: PlannedTarget { into: Into::Origin, topics: vec![topic("payments")] },
        origins: Vec::new(),
        replay: false,
        options: crate::redrive::options::Options::default(),
        operator: "oncall".into(),
        created_ms: NOW.0,
        counts: PlanCounts { records, keys: 88, duplicates: None },
    };
    PlanAnswer {
        id: header.id.clone(),
        cluster_id: "c".into(),
        topic: "payments-dlt".into(),
        into: Into::Origin,
        targets: vec!["payments".into()],
        rate: None,
        records,
        guarantee: "exactly_once",
        guarantee_reason: "transactions".into(),
        headers: (vec!["kafka_dlt-exception-fqcn".into()], vec!["redrive-run".into()]),
        preflight: Preflight {
            selected: records,
            keys: 88,
            groups_that_will_see_them: vec!["analytics".into(), "email".into()],
            warnings: vec!["4 keys have newer events on payments".into()],
            ..Preflight::default()
        },
        read_seconds: 0.5,
        check_seconds: 0.2,
        plan: Arc::new(Plan { header, letters: crate::redrive::packed::Letters::default() }),
    }
}

#[test]
fn enter_alone_cancels() {
    let mut console = Console::new().at_plan(plan(131));
    console.press("enter");
    assert!(console.text().contains("[ Cancel ]"), "{}", console.text());
    console.press("enter");
    assert_eq!(console.runs(), 0);
    assert!(console.text().contains("nothing was written"));
}

#[test]
fn tab_and_enter_run_the_plan_that_was_shown() {
    let mut console = Console::new().at_plan(plan(131));
    console.press("enter");
    let text = console.text();
    for words in
        ["Redrive 131 letters of payments-dlt", "payments on demo", "exactly once", "analytics, email"]
    {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
    console.press("tab enter");
    let (_, request) = console.asked();
    assert!(matches!(request, Request::Run(run) if run.plan.header.id == "p-20261124-1302"));
}

#[test]
fn keys_typed_before_the_dialog_was_seen_are_not_meant_for_it() {
    let mut console = Console::new().at_plan(plan(131));
    console.type_blindly("enter tab enter");
    assert_eq!(console.runs(), 0);
    assert!(console.text().contains("[ Cancel ]"), "the dialog is still there");
}

#[test]
fn many_letters_or_a_protected_profile_want_the_count() {
    let protected = Profile { protected: true, ..Profile::new("prod", Vec::new()) };
    for (profile, records) in [(protected, 5), (Profile::new("demo", Vec::new()), 1204)] {
        let mut console = Console::on(profile).at_plan(plan(records));
        console.press("enter tab enter");
        assert_eq!(console.runs(), 0, "without the count");
        console.write(&records.to_string());
        console.press("enter");
        assert_eq!(console.runs(), 1, "with the count");
    }
}

#[test]
fn a_read_only_profile_says_why_nothing_can_be_redriven() {
    let profile = Profile { read_only: true, ..Profile::new("prod", Vec::new()) };
    let mut console = Console::on(profile).at_letter();
    console.press("R");
    assert!(console.text().contains("profile prod is read-only"), "{}", console.text());
}

#[test]
fn a_plan_with_a_refusal_opens_no_dialog() {
    let mut refused = plan(3);
    refused.preflight.refusals = vec![Refusal {
        rule: "target_missing",
        why: "there is no topic payments".into(),
        count: 3,
        hint: None,
    }];
    let mut console = Console::new().at_plan(refused);
    console.press("enter");
    let text = console.text();
    assert!(text.contains("target_missing") && !text.contains("[ Cancel ]"), "{text}");
    console.press("tab enter enter");
    assert_eq!(console.runs(), 0);
}

#[test]
fn leaving_the_run_does_not_stop_it() {
    let mut console = Console::new().at_plan(plan(131));
    console.press("enter tab enter");
    console.effects.clear();
    console.press("esc");
    assert!(!console.effects.iter().any(|effect| matches!(effect, Effect::Cancel(_))));
    assert!(console.text().contains("run 0/131"), "{}", console.text());
}

#[test]
fn ctrl_c_on_the_run_stops_it_after_its_transaction() {
    let mut console = Console::new().at_plan(plan(131));
    console.press("enter tab enter");
    let (run, _) = console.asked();
    console.press("ctrl-c");
    assert!(console.effects.iter().any(|effect| matches!(effect, Effect::Cancel(id) if *id == run)));
}
