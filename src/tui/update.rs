//! What happens to the state: pure and synchronous. No input or output, no clock, no lock, no channel.

use std::sync::Arc;

use super::act;
use super::command::{Command, Id, Scope};
use super::dead_letters;
use super::disposals;
use super::hits::Spot;
use super::keymap::{Chord, Code, Meaning};
use super::message::{Effect, Message, Mouse, RequestId};
use super::moves;
use super::overlays::{self, Dispose, Overlay, Search};
use super::screens::Screen;
use super::state::State;
use super::theme::Sign;
use crate::ask::{Answer, Event};
use crate::observe::snapshot::Snapshot;
use crate::text::Fault;

/// So many keys wait for the content of a screen at most.
const AHEAD: usize = 16;

/// A click so soon after the terminal got the focus, in milliseconds, is what gave it.
const FOCUSING: i64 = 300;

/// Lines that one turn of the wheel moves.
const WHEEL: isize = 3;

/// Takes a message; gives what is to be done.
pub fn update(state: &mut State, message: Message) -> Vec<Effect> {
    let mut effects = Vec::new();
    match message {
        Message::Clock(now) => state.now = now,
        Message::Key(chord) => key(state, chord, &mut effects),
        Message::Paste(text) => overlays::paste(state, &text),
        Message::Mouse(mouse, x, y) => click(state, mouse, x, y, &mut effects),
        Message::Resized(columns, lines) => {
            state.size = (columns, lines);
            state.screens.iter_mut().for_each(|screen| screen.view_mut().resized(columns));
        }
        Message::Focus(focused) => {
            state.focused = focused;
            state.focused_at = focused.then_some(state.now);
        }
        Message::Snapshot(picture) => snapshot(state, picture),
        Message::Told(id, event) => told(state, id, event),
        Message::Dropped(id, records) => {
            if let Some(screen) = waiting(state, id) {
                screen.view_mut().dropped(records);
            }
        }
        Message::Done(id, answer) => {
            done(state, id, *answer, &mut effects);
            if state.ending && state.job.as_ref().is_none_or(|job| job.ended.is_some()) {
                effects.push(Effect::Quit);
            }
        }
        Message::Extras(extras) => {
            if let Some(Overlay::Palette(palette)) = state.overlays.last_mut() {
                palette.extras(extras);
            }
        }
        Message::Edited(sheet, edited) => super::editing::end(state, &sheet, edited),
        Message::Said(Ok(text)) => state.tell(Sign::Ok, text),
        Message::Said(Err(fault)) => state.tell_fault(&fault),
        Message::Drawn(hits) => {
            state.frames += 1;
            let page = hits.page;
            state.hits = hits;
            if let Some(list) = state.view_mut().list_mut().filter(|_| page > 0) {
                list.top = list.top_for(page);
            }
        }
    }
    state.ask(&mut effects);
    catch_up(state, &mut effects);
    effects
}

fn key(state: &mut State, chord: Chord, effects: &mut Vec<Effect>) {
    if !state.overlays.is_empty() {
        overlays::press(state, chord, effects);
        return;
    }
    state.notice_seen = true;
    if chord == Chord::plain(Code::Esc) && !state.begun.0.is_empty() {
        state.begun.0.clear();
        return;
    }
    let mut sequence = std::mem::take(&mut state.begun.0);
    sequence.push(chord);
    let meaning = state.keymap.meaning(&state.scopes(), &sequence);
    if waits(state, meaning) {
        state.ahead.extend(sequence);
        state.ahead.truncate(AHEAD);
        return;
    }
    match meaning {
        Meaning::Command(id) => {
            state.ahead.clear();
            act::command(state, id, effects);
        }
        Meaning::Prefix => state.begun = (sequence, state.now),
        Meaning::Nothing => {}
    }
}

/// Whether a key is about the content of a screen that has none yet: it waits then, so that an operator who knows
/// the way need not wait at each step.
fn waits(state: &State, meaning: Meaning) -> bool {
    let about_content = match meaning {
        Meaning::Command(Id::Filter) | Meaning::Prefix => false,
        Meaning::Command(id) => Command::of(id).is_some_and(|c| !c.scopes.contains(&Scope::Global)),
        // Behind others it may mean something on the screen that they lead to.
        Meaning::Nothing => !state.ahead.is_empty(),
    };
    about_content && state.is_waiting()
}

/// Does what waited for the content of the seen screen.
fn catch_up(state: &mut State, effects: &mut Vec<Effect>) {
    if state.ahead.is_empty() || state.is_waiting() {
        return;
    }
    for chord in std::mem::take(&mut state.ahead) {
        if !state.overlays.is_empty() {
            // Nothing is typed ahead into a dialog.
            break;
        }
        key(state, chord, effects);
        state.ask(effects);
    }
}

fn click(state: &mut State, mouse: Mouse, x: u16, y: u16, effects: &mut Vec<Effect>) {
    if mouse == Mouse::Click && state.focused_at.take().is_some_and(|at| state.now.since(at) < FOCUSING) {
        // It was meant for the window.
        return;
    }
    let spot = state.hits.at(x, y);
    if let Some(overlay) = state.overlays.last_mut() {
        match (mouse, spot, overlay) {
            (Mouse::Click, Some(Spot::Entry(place)), Overlay::Palette(palette)) => palette.click(place),
            (Mouse::Click, Some(Spot::Entry(place)), Overlay::Help(help)) => help.click(place),
            _ => {}
        }
        return;
    }
    match (mouse, spot) {
        (Mouse::Wheel(lines), _) => act::scroll(state, lines * WHEEL),
        (Mouse::Click, Some(Spot::Row(place))) => {
            let again = state.view().list().is_some_and(|list| list.cursor == place);
            if let Some(list) = state.view_mut().list_mut() {
                list.go(place);
            }
            if again {
                act::open(state, effects);
            }
        }
        (Mouse::Click, Some(Spot::Heading(column))) => act::sort(state, column),
        (Mouse::Click, Some(Spot::Panel(panel))) => {
            if let Screen::Overview(overview) = state.screen_mut() {
                overview.focus(u8::try_from(panel).unwrap_or(1));
            }
        }
        (Mouse::Click, Some(Spot::Crumb(depth))) => {
            while state.screens.len() > depth + 1 {
                act::pop(state, effects);
            }
        }
        (Mouse::Click, _) => {}
    }
}

fn snapshot(state: &mut State, picture: Arc<Snapshot>) {
    if let Some((held, missed)) = &mut state.held {
        *held = picture;
        *missed += 1;
        return;
    }
    show(state, picture);
}

/// Shows a picture.
pub fn show(state: &mut State, picture: Arc<Snapshot>) {
    let picture = state.quiet.sift(&picture, state.now);
    state.picture = Arc::clone(&picture);
    for screen in &mut state.screens {
        screen.view_mut().refresh(&picture);
    }
}

/// The dialog that waits for a request.
fn dialog(state: &mut State, id: RequestId) -> Option<&mut Dispose> {
    state.overlays.iter_mut().find_map(|overlay| match overlay {
        Overlay::Dispose(dialog) if dialog.waits_for() == id => Some(&mut **dialog),
        _ => None,
    })
}

/// The form whose estimate a request is.
fn form(state: &mut State, id: RequestId) -> Option<&mut Search> {
    state.overlays.iter_mut().find_map(|overlay| match overlay {
        Overlay::Search(form) if form.waits_for() == Some(id) => Some(&mut **form),
        _ => None,
    })
}

/// The screen that waits for a request.
fn waiting(state: &mut State, id: RequestId) -> Option<&mut Screen> {
    state.screens.iter_mut().find(|screen| screen.view().waits_for() == Some(id))
}

fn told(state: &mut State, id: RequestId, event: Event) {
    if let Some(job) = state.job.as_mut().filter(|job| job.id == id) {
        match event {
            Event::Run(latest) => job.latest = Some(latest),
            Event::Progress(progress) => {
                if let Some(run) = &mut job.latest {
                    run.waiting = progress.waiting;
                }
            }
            Event::Records(_) => {}
        }
    } else if let Some(action) = state.action.as_mut().filter(|action| action.id == id) {
        if let Event::Progress(progress) = event {
            action.told(progress);
        }
    } else if let Some(screen) = waiting(state, id) {
        screen.view_mut().told(event);
    }
}

fn done(state: &mut State, id: RequestId, answer: Result<Answer, Fault>, effects: &mut Vec<Effect>) {
    let picture = Arc::clone(&state.picture);
    if state.job.as_ref().is_some_and(|job| job.id == id) {
        dead_letters::run_ended(state, answer);
    } else if state.moving.as_ref().is_some_and(|moving| moving.id == id) {
        moves::ended(state, answer);
    } else if state.action.as_ref().is_some_and(|action| action.id == id) {
        disposals::ended(state, answer, effects);
    } else if let Some(dialog) = dialog(state, id) {
        dialog.answered(answer);
    } else if let Some(form) = form(state, id) {
        form.answered(answer);
    } else if let Some(screen) = waiting(state, id) {
        let view = screen.view_mut();
        view.answered(answer);
        view.refresh(&picture);
    }
}
