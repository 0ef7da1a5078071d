//! What the commands of failures, letters, records, plans and runs do to the state.

use std::sync::Arc;

use super::act::push;
use super::command::Id;
use super::disposals;
use super::message::Effect;
use super::overlays::consent::Agreed;
use super::overlays::prompt::{self, Purpose};
use super::overlays::{Consent, Overlay, Prompt, Search, Stays};
use super::screens::plan::{self, Field};
use super::screens::run::Job;
use super::screens::{Failures, Inspector, Letters, PlanForm, Records, Run, Runs, Screen};
use super::state::State;
use super::theme::Sign;
use super::widgets::pager::{Direction, Found};
use crate::ask::{Answer, Request};
use crate::filter::{Edge, Selection};
use crate::ledger::Disposition;
use crate::letters::document::{FailuresRequest, LettersRequest};
use crate::redrive::control::Control;
use crate::redrive::disposal::Act;
use crate::redrive::document::{PlanRequest, RunRequest};
use crate::text::units::count;
use crate::text::{Fault, Timestamp};

/// Does a command, where it is one of these.
pub fn command(state: &mut State, id: Id, effects: &mut Vec<Effect>) {
    match id {
        Id::OpenFailures => open_failure(state),
        Id::SampleFailure => sample(state),
        Id::OpenLetters => {
            let cells = state.size.0;
            if let Screen::Letters(letters) = state.screen() {
                let inspector = Inspector::new(letters.among(), cells);
                push(state, Screen::Inspector(Box::new(inspector)));
            }
        }
        Id::LetterState => {
            if let Screen::Letters(letters) = state.screen_mut() {
                let stale = letters.toggle_state();
                effects.extend(stale.map(Effect::Cancel));
                super::act::refresh(state);
            }
        }
        Id::Plan => make_plan(state),
        Id::ExportLetters => disposals::ask_file(state),
        Id::Discard => disposals::ask(state, Act::Discard, effects),
        Id::Park => disposals::ask(state, Act::Park, effects),
        Id::Release => disposals::ask(state, Act::Release, effects),
        Id::OpenRecords => {
            let cells = state.size.0;
            if let Screen::Records(records) = state.screen() {
                let inspector = Inspector::new(records.among(), cells);
                push(state, Screen::Inspector(Box::new(inspector)));
            }
        }
        Id::Follow => {
            if let Screen::Records(records) = state.screen_mut() {
                let stale = records.toggle_follow();
                let text = if records.follows() { "following new records" } else { "following ended" };
                effects.extend(stale.map(Effect::Cancel));
                state.tell(Sign::Ok, text);
            }
        }
        Id::ShowHeaders => with_records(state, Records::toggle_headers),
        Id::Deltas => with_records(state, Records::toggle_deltas),
        Id::Query if matches!(state.screen(), Screen::Letters(_)) => {
            if let Screen::Letters(letters) = state.screen() {
                let label = "only letters: key= from= to= partition= contains= or jq";
                let prompt = Prompt::new(label, &letters.query(), Purpose::Query);
                state.overlays.push(Overlay::Prompt(prompt));
            }
        }
        Id::Query | Id::GoSearch => {
            let topic = super::places::topic_here(state).unwrap_or_else(|| "".into());
            let now = match state.screen() {
                Screen::Records(records) => records.selection().clone(),
                _ => Selection { from: Some(Edge::Beginning), ..Selection::default() },
            };
            let form = Search::new(state, &topic, &now, effects);
            state.overlays.push(Overlay::Search(Box::new(form)));
        }
        Id::ReadOn => {
            if let Screen::Records(records) = state.screen_mut()
                && !records.read_on()
            {
                state.tell(Sign::Warn, "there is nothing to go on with: it was read to its end, or still is");
            }
        }
        Id::Search => {
            let now = match state.screen_mut() {
                Screen::Inspector(inspector) => inspector.searched().map(str::to_owned),
                screen => screen.view_mut().pager_mut().and_then(|pager| pager.searched().map(str::to_owned)),
            };
            let prompt = Prompt::new("search", &now.unwrap_or_default(), Purpose::Search);
            state.overlays.push(Overlay::Prompt(prompt));
        }
        Id::NextDifference => turn(state, 1),
        Id::PreviousDifference => turn(state, -1),
        Id::SearchNext => find(state, Direction::Forward),
        Id::SearchPrevious => find(state, Direction::Backward),
        Id::NextSection => with_inspector(state, |inspector| inspector.turn(1)),
        Id::PreviousSection => with_inspector(state, |inspector| inspector.turn(-1)),
        Id::NextRecord => step(state, 1),
        Id::PreviousRecord => step(state, -1),
        Id::Layout => with_inspector(state, Inspector::next_layout),
        Id::Base64 => with_inspector(state, Inspector::next_base64),
        Id::Unfold => with_inspector(state, Inspector::unfold),
        Id::Origin => {
            let cells = state.size.0;
            if let Screen::Inspector(inspector) = state.screen() {
                match inspector.origin() {
                    Ok(at) => push(state, Screen::Inspector(Box::new(Inspector::at(at, cells)))),
                    Err(why) => state.tell(Sign::Warn, why),
                }
            }
        }
        Id::Choose => choose(state, effects),
        Id::NextField => with_plan(state, |form| form.step(1)),
        Id::PreviousField => with_plan(state, |form| form.step(-1)),
        Id::StartRun => consent(state),
        Id::SavePlan => ask_for(state, Field::Save),
        Id::StopRun => stop(state, effects),
        Id::PauseRun => with_job(state, |job| {
            let paused = !job.paused;
            job.paused = paused;
            job.control.pause(paused);
            if paused { "paused: nothing is written until it goes on" } else { "the run goes on" }.to_owned()
        }),
        Id::SlowerRun => with_job(state, |job| job.change_rate(-1)),
        Id::FasterRun => with_job(state, |job| job.change_rate(1)),
        Id::ContinueRun => with_job(state, |job| {
            job.control.after_canary(true);
            "goes on after the canary".to_owned()
        }),
        Id::RunLetters => {
            if let Screen::Run(run) = state.screen()
                && let Some(request) = run.letters(state.job.as_ref())
            {
                push(state, Screen::Letters(Letters::new(request, "letters".to_owned())));
            }
        }
        Id::OpenRuns => {
            if let Screen::Runs(runs) = state.screen()
                && let Some(row) = runs.current().cloned()
            {
                // The one that this console carries out can be steered from here too.
                let under_way = state.job.as_ref().filter(|job| job.ended.is_none());
                let own =
                    under_way.and_then(|job| job.latest.as_ref()).is_some_and(|run| run.run == row.run.run);
                push(state, Screen::Run(if own { Run::job() } else { Run::past(row) }));
            }
        }
        _ => {}
    }
}

/// The failures of a dead-letter topic.
pub fn failures(topic: &Arc<str>) -> Screen {
    let request = FailuresRequest { topic: Arc::clone(topic), selection: Selection::default(), state: None };
    Screen::Failures(Failures::new(request))
}

/// The latest records of a topic.
pub fn records(topic: &str) -> Screen {
    Screen::Records(Records::latest(topic))
}

/// The records of a topic that fit a query as it is typed; the error says what is wrong with it.
pub fn query(topic: &str, query: &str, now: Timestamp) -> Result<Screen, String> {
    let mut records = Records::following(vec![topic.into()]);
    records.set_query(query, now)?;
    Ok(Screen::Records(records))
}

/// New records of topics.
pub fn tail(topics: Vec<Arc<str>>) -> Screen {
    Screen::Records(Records::following(topics))
}

/// The runs of the audit.
pub fn runs() -> Screen {
    Screen::Runs(Runs::default())
}

fn open_failure(state: &mut State) {
    let Screen::Failures(failures) = state.screen() else { return };
    let Some(failure) = failures.current() else { return };
    let name = super::screens::failure_title(failure).to_owned();
    let request = LettersRequest {
        topic: Arc::clone(failures.topic()),
        failure: Some(Arc::clone(&failure.id)),
        state: Some(Disposition::Pending),
        ..plan::all_letters()
    };
    push(state, Screen::Letters(Letters::new(request, name)));
}

fn sample(state: &mut State) {
    let Screen::Failures(failures) = state.screen() else { return };
    let Some(failure) = failures.current() else { return };
    let request = LettersRequest {
        topic: Arc::clone(failures.topic()),
        failure: Some(Arc::clone(&failure.id)),
        ..plan::all_letters()
    };
    let inspector = Inspector::sample(request, failure.sample, state.size.0);
    push(state, Screen::Inspector(Box::new(inspector)));
}

/// The plan for what is marked, else for what is under the cursor.
fn make_plan(state: &mut State) {
    let request: Result<PlanRequest, String> = match state.screen() {
        Screen::Failures(failures) => match (failures.marked().as_slice(), failures.current()) {
            ([], Some(failure)) => Ok(plan::request(failures.topic(), Some(Arc::clone(&failure.id)), None)),
            ([one], _) => Ok(plan::request(failures.topic(), Some(Arc::clone(one)), None)),
            ([], None) => Err("there is no failure to redrive".to_owned()),
            // All of them are marked: that is the whole topic.
            (many, _) if many.len() == failures.count() => Ok(plan::request(failures.topic(), None, None)),
            _ => Err("a plan is for one failure or for all: mark one, or all with *".to_owned()),
        },
        Screen::Letters(letters) => {
            let topic = &letters.request().topic;
            let mut only = letters.marked();
            if only.is_empty()
                && let Some(row) = letters.current()
            {
                only = vec![(row.letter.record.at.partition, row.letter.record.at.offset)];
            }
            if only.is_empty() {
                Err("there is no letter to redrive".to_owned())
            } else {
                Ok(plan::request(topic, None, Some(only)))
            }
        }
        Screen::Inspector(inspector) => match inspector.letter_at() {
            Some(at) => Ok(plan::request(&at.topic, None, Some(vec![(at.partition, at.offset)]))),
            None => Err("only dead letters are redriven".to_owned()),
        },
        _ => return,
    };
    match request {
        Ok(request) => push(state, Screen::Plan(PlanForm::new(request))),
        Err(why) => state.tell(Sign::Warn, why),
    }
}

/// The plan for all letters of a topic.
pub fn plan_for(topic: &Arc<str>) -> Screen {
    Screen::Plan(PlanForm::new(plan::request(topic, None, None)))
}

fn with_records(state: &mut State, change: impl FnOnce(&mut Records)) {
    if let Screen::Records(records) = state.screen_mut() {
        change(records);
    }
}

fn with_inspector(state: &mut State, change: impl FnOnce(&mut Inspector)) {
    if let Screen::Inspector(inspector) = state.screen_mut() {
        change(inspector);
    }
}

fn with_plan(state: &mut State, change: impl FnOnce(&mut PlanForm)) {
    if let Screen::Plan(form) = state.screen_mut() {
        change(form);
    }
}

fn find(state: &mut State, direction: Direction) {
    let told = match state.screen_mut() {
        Screen::Inspector(inspector) => inspector.find(direction),
        screen => screen.view_mut().pager_mut().and_then(|pager| match pager.find(direction) {
            Found::At(_) => None,
            Found::NotUntil(line) => Some(format!("not up to line {}; n goes on", count(line as u64))),
            Found::Nowhere => Some("no further place; / searches".to_owned()),
        }),
    };
    if let Some(text) = told {
        state.tell(Sign::Warn, text);
    }
}

fn turn(state: &mut State, by: isize) {
    if let Screen::Compare(compare) = state.screen_mut()
        && !compare.turn(by)
    {
        state.tell(Sign::Warn, "there is no further difference");
    }
}

fn step(state: &mut State, by: isize) {
    if let Screen::Inspector(inspector) = state.screen_mut()
        && !inspector.step(by)
    {
        state.tell(Sign::Warn, "there is no further one in this list");
    }
}

/// Does what is under the cursor of a plan.
fn choose(state: &mut State, effects: &mut Vec<Effect>) {
    let Screen::Plan(form) = state.screen_mut() else { return };
    match form.field() {
        Field::Run => consent(state),
        Field::Copy => {
            let command = form.command();
            effects.push(Effect::Copy(state.command_line(&command)));
        }
        Field::Back => super::act::pop(state, effects),
        Field::Timestamps => {
            let stale = form.toggle_timestamps();
            effects.extend(stale.map(Effect::Cancel));
        }
        field => ask_for(state, field),
    }
}

fn ask_for(state: &mut State, field: Field) {
    let Screen::Plan(form) = state.screen() else { return };
    match form.question(field) {
        Some((label, now)) => {
            state.overlays.push(Overlay::Prompt(Prompt::new(label, &now, Purpose::Plan(field))));
        }
        None => state.tell(Sign::Warn, "the plan is not ready"),
    }
}

/// Takes what was typed in a prompt.
pub fn typed(state: &mut State, purpose: Purpose, text: &str, effects: &mut Vec<Effect>) -> Stays {
    let now = state.now;
    if purpose == Purpose::Save {
        if !text.trim().is_empty() {
            super::act::saved(state, text.trim(), effects);
        }
        return Stays::No;
    }
    let told = match (purpose, state.screen_mut()) {
        (Purpose::Query, Screen::Letters(letters)) => letters.set_query(text, now),
        (Purpose::Search, Screen::Inspector(inspector)) => {
            if let Some(told) = inspector.search(text) {
                state.tell(Sign::Warn, told);
            }
            Ok(None)
        }
        (Purpose::Search, screen) => {
            if let Some(pager) = screen.view_mut().pager_mut() {
                pager.search(Some(text.to_owned()));
                pager.scroll_to(0);
                find(state, Direction::Forward);
            }
            Ok(None)
        }
        (Purpose::Plan(Field::Save), Screen::Plan(form)) => {
            match (form.plan(), text.trim()) {
                (_, "") => return Stays::No,
                (Some(plan), path) => effects.push(Effect::Save(Arc::clone(&plan.plan), path.into())),
                (None, _) => {}
            }
            Ok(None)
        }
        (Purpose::Plan(field), Screen::Plan(form)) => form.change(field, text),
        _ => Ok(None),
    };
    prompt::taken(state, told, effects)
}

/// Asks for consent to the plan that is shown.
fn consent(state: &mut State) {
    let Screen::Plan(form) = state.screen() else { return };
    let why = state.read_only().err().or_else(|| form.blocked()).or_else(|| under_way(state));
    if let Some(why) = why {
        state.tell(Sign::Warn, why);
        return;
    }
    let Some(seat) = &state.seat else { return };
    if let Some(words) = form.consent(&seat.profile.name, seat.profile.protected) {
        let dialog = Consent::new(words, Agreed::Run, state);
        state.overlays.push(Overlay::Consent(dialog));
    }
}

fn under_way(state: &State) -> Option<String> {
    let job = state.job.as_ref().filter(|job| job.ended.is_none())?;
    Some(format!("a run of {} is under way; it ends first", job.topic))
}

/// The operator agreed: runs the plan that is shown.
pub fn run(state: &mut State, effects: &mut Vec<Effect>) {
    let Screen::Plan(form) = state.screen() else { return };
    // What the operator agreed to is what is shown; a plan that is being made anew is another one.
    let plan = form.plan().filter(|_| form.blocked().is_none() && state.read_only().is_ok());
    let Some(answer) = plan.cloned() else {
        state.tell(Sign::Warn, "the plan changed; nothing was written");
        return;
    };
    let control = Control::default();
    let request = RunRequest {
        plan: Arc::clone(&answer.plan),
        reason: None,
        take_over: false,
        may_ask: true,
        control: control.clone(),
    };
    let id = state.request(Request::Run(request), effects);
    state.job = Some(Job {
        id,
        topic: Arc::clone(&answer.topic),
        planned: answer.records,
        control,
        paused: false,
        latest: None,
        stopping: false,
        ended: None,
    });
    // Going back from the run leads to the letters: the plan is used up.
    if state.screens.len() > 1 {
        state.screens.pop();
    }
    push(state, Screen::Run(Run::job()));
}

fn with_job(state: &mut State, change: impl FnOnce(&mut Job) -> String) {
    if let Some(job) = state.job.as_mut().filter(|job| job.ended.is_none()) {
        let told = change(job);
        state.tell(Sign::Ok, told);
    }
}

fn stop(state: &mut State, effects: &mut Vec<Effect>) {
    match &mut state.job {
        Some(job) if !job.stopping => {
            job.stopping = true;
            effects.push(Effect::Cancel(job.id));
            state.tell(Sign::Warn, "stops after this transaction; what is written stays written");
        }
        _ => state.tell(Sign::Warn, "it stops already"),
    }
}

/// The run that was started here ended.
pub fn run_ended(state: &mut State, answer: Result<Answer, Fault>) {
    let told = match &answer {
        Ok(Answer::Run(run)) => {
            let text = format!("run {} ended: {} redriven", run.run, plan::letters(run.redriven));
            (if run.stopped.is_some() { Sign::Warn } else { Sign::Ok }, text)
        }
        Ok(_) => return,
        Err(fault) => (Sign::Fail, format!("the run failed: {fault}")),
    };
    if let Some(job) = &mut state.job {
        if let Ok(Answer::Run(run)) = &answer {
            job.latest = Some(Box::new((**run).clone()));
        }
        job.ended = Some(answer.map(|_| ()));
    }
    state.tell(told.0, told.1);
    for screen in &mut state.screens {
        match screen {
            Screen::Failures(screen) => screen.again(),
            Screen::Letters(screen) => screen.again(),
            Screen::Runs(screen) => screen.again(),
            _ => {}
        }
    }
}
