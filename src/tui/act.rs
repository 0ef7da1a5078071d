//! What each command does to the state.

use std::sync::Arc;

use super::command::{Command, Id};
use super::dead_letters;
use super::keymap::{Chord, Code, Meaning};
use super::listing::Listing;
use super::message::Effect;
use super::moves;
use super::overlays::prompt::Purpose;
use super::overlays::{FilterPrompt, Help, Notices, Overlay, Palette, Prompt};
use super::places;
use super::screens::subject::Subject;
use super::screens::{Compare, Dlqs, Groups, Overview, Screen, Topics};
use super::state::State;
use super::theme::Sign;
use crate::text::{TimeFormat, TimeStyle};

/// Twice ctrl-c within so many milliseconds ends the console.
const TWICE: i64 = 1_000;

/// Does a command, or tells why it cannot be done.
pub fn command(state: &mut State, id: Id, effects: &mut Vec<Effect>) {
    if let Some(Err(why)) = Command::of(id).map(|command| (command.enabled)(state)) {
        match id {
            // Where no run goes on, the key means what it means everywhere.
            Id::StopRun => cancel(state, effects),
            _ => state.tell(Sign::Warn, why),
        }
        return;
    }
    match id {
        Id::Quit => quit(state, effects),
        Id::Cancel => cancel(state, effects),
        Id::Back => back(state, effects),
        Id::Close => {
            if state.screens.len() > 1 {
                pop(state, effects);
            } else {
                quit(state, effects);
            }
        }
        Id::Last => last(state),
        Id::Palette => {
            state.overlays.push(Overlay::Palette(Palette::new(state)));
            effects.push(Effect::Extras);
        }
        Id::Dashboard(panel) => {
            go(state, None, effects);
            if let Some(Screen::Overview(overview)) = state.screens.first_mut() {
                overview.focus(panel);
            }
        }
        Id::GoOverview => go(state, None, effects),
        Id::GoRuns => go(state, Some(dead_letters::runs()), effects),
        Id::Refresh => {
            effects.push(Effect::Refresh);
            state.tell(Sign::Ok, "looking at the cluster now");
        }
        Id::Redraw => effects.push(Effect::Redraw),
        Id::Suspend => effects.push(Effect::Suspend),
        Id::Pause => pause(state),
        Id::TimeStyle => time_style(state),
        Id::Mouse => {
            state.mouse = !state.mouse;
            effects.push(Effect::Mouse(state.mouse));
            let text = if state.mouse { "the mouse is ours" } else { "the mouse selects text" };
            state.tell(Sign::Ok, text);
        }
        Id::Down => scroll(state, 1),
        Id::Up => scroll(state, -1),
        Id::Top => scroll(state, isize::MIN),
        Id::Bottom => scroll(state, isize::MAX),
        Id::HalfDown => scroll(state, page(state) / 2),
        Id::HalfUp => scroll(state, -(page(state) / 2)),
        Id::PageDown | Id::PagerPageDown => scroll(state, page(state)),
        Id::PageUp | Id::PagerPageUp => scroll(state, -page(state)),
        Id::Mark => with_list(state, super::widgets::List::toggle),
        Id::MarkAll => with_list(state, super::widgets::List::toggle_all),
        Id::Unmark => with_list(state, super::widgets::List::unmark),
        Id::Sort => {
            let columns = columns(state);
            with_list(state, |list| list.next_sort(columns));
            refresh(state);
        }
        Id::Reverse => {
            with_list(state, |list| list.sort.reverse = !list.sort.reverse);
            refresh(state);
        }
        Id::Left => sideways(state, -1),
        Id::Right => sideways(state, 1),
        Id::FullScreen => state.full = !state.full,
        Id::Wrap => {
            if let Some(pager) = state.view_mut().pager_mut() {
                pager.toggle_wrap();
            }
        }
        Id::MarkRange => {
            with_list(state, super::widgets::List::toggle_range);
            let ranging = state.view().list().is_some_and(super::widgets::List::is_ranging);
            state.tell(Sign::Ok, if ranging { "moving marks; v ends it" } else { "moving no longer marks" });
        }
        Id::Faults => {
            with_list(state, |list| list.faults = !list.faults);
            refresh(state);
        }
        Id::SaveList => save(state),
        Id::Page => {
            if let Some(subject) = subject(state) {
                effects.push(Effect::Page(subject.lines().join("\n")));
            }
        }
        Id::EditLetter => match super::editing::begin(state) {
            Ok(effect) => effects.push(effect),
            Err(why) => state.tell(Sign::Warn, why),
        },
        Id::Compare => compare(state),
        Id::Filter => state.overlays.push(Overlay::Filter(FilterPrompt::new(state))),
        Id::Help => state.overlays.push(Overlay::Help(Help::new(state))),
        Id::GoNotices => state.overlays.push(Overlay::Notices(Notices::default())),
        Id::GoTopics => go(state, Some(Screen::Topics(Topics::default())), effects),
        Id::GoGroups => go(state, Some(Screen::Groups(Groups::default())), effects),
        Id::GoDlqs => go(state, Some(Screen::Dlqs(Dlqs::default())), effects),
        Id::CopyCommand => match state.view().command_line() {
            Some(line) => effects.push(Effect::Copy(state.command_line(&line))),
            None => state.tell(Sign::Warn, "no command line shows this"),
        },
        Id::CopyRow | Id::CopyKey | Id::CopyValue | Id::CopyHeaders | Id::CopyPosition => {
            match state.view().copy(id, state) {
                Some(text) => effects.push(Effect::Copy(text)),
                None => state.tell(Sign::Warn, "there is nothing to copy here"),
            }
        }
        id => {
            if !places::does(state, id, effects) && !moves::does(state, id, effects) {
                dead_letters::command(state, id, effects);
            }
        }
    }
}

/// Columns or cells that a key moves sideways.
fn sideways(state: &mut State, by: isize) {
    const CELLS: isize = 8;
    let (columns, shown) = (columns(state), state.hits.headings());
    let view = state.view_mut();
    if let Some(pager) = view.pager_mut() {
        pager.sideways(by * CELLS);
    } else if let Some(list) = view.list_mut() {
        // A column that has no room is passed: leaving it out would show nothing new.
        let next = shown.into_iter().filter(|column| *column > list.left).min().filter(|_| by > 0);
        list.left = next.unwrap_or(list.left.saturating_add_signed(by)).min(columns.saturating_sub(2));
    }
}

/// The record under the cursor, or the one that is inspected.
pub fn subject(state: &State) -> Option<Subject> {
    if let Screen::Inspector(inspector) = state.screen() {
        return inspector.subject().cloned();
    }
    let view = state.view();
    view.source(state)?.subject(view.list()?.row()?)
}

fn compare(state: &mut State) {
    let view = state.view();
    let (Some(list), Some(source)) = (view.list(), view.source(state)) else { return };
    let marked = list.order.iter().filter(|(_, key)| list.marks.contains(key));
    let mut subjects = marked.filter_map(|(row, _)| source.subject(*row));
    if let (Some(left), Some(right)) = (subjects.next(), subjects.next()) {
        drop(subjects);
        let screen = Compare::new(&left, &right, state.size.0);
        drop(source);
        push(state, Screen::Compare(Box::new(screen)));
    } else {
        drop(subjects);
        drop(source);
        state.tell(Sign::Warn, "one of the two marked records is not listed any more");
    }
}

/// Asks for the file that what is shown is saved in.
fn save(state: &mut State) {
    let name = state.view().crumb();
    let safe = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = name.chars().map(safe).collect();
    let prompt = Prompt::new("save as (.csv for CSV)", &format!("{name}.jsonl"), Purpose::Save);
    state.overlays.push(Overlay::Prompt(prompt));
}

/// Saves what is shown of the list.
pub fn saved(state: &State, path: &str, effects: &mut Vec<Effect>) {
    let view = state.view();
    if let (Some(list), Some(source)) = (view.list(), view.source(state)) {
        effects.push(Effect::SaveList(Listing::of(list, &*source), path.into()));
    }
}

/// Does what enter does on the seen screen.
pub fn open(state: &mut State, effects: &mut Vec<Effect>) {
    let enter = [Chord::plain(Code::Enter)];
    if let Meaning::Command(id) = state.keymap.meaning(&state.scopes(), &enter) {
        command(state, id, effects);
    }
}

/// The number of columns of the seen screen's list.
fn columns(state: &State) -> usize {
    state.view().source(state).map_or(0, |source| source.columns().len())
}

fn page(state: &State) -> isize {
    isize::try_from(state.hits.page.max(2)).unwrap_or(20)
}

fn with_list(state: &mut State, change: impl FnOnce(&mut super::widgets::List)) {
    if let Some(list) = state.view_mut().list_mut() {
        change(list);
    }
}

/// Orders the seen screen's list anew.
pub fn refresh(state: &mut State) {
    let picture = Arc::clone(&state.picture);
    state.view_mut().refresh(&picture);
}

/// Moves by so many rows or lines.
pub fn scroll(state: &mut State, by: isize) {
    let page = state.hits.page.max(1);
    let view = state.view_mut();
    match view.list_mut() {
        Some(list) => {
            list.step(by);
            list.top = list.top_for(page);
        }
        None => view.scroll(by, page),
    }
}

/// Orders by a column; by the same one again turns the order round.
pub fn sort(state: &mut State, column: usize) {
    with_list(state, |list| {
        if list.sort.column == Some(column) {
            list.sort.reverse = !list.sort.reverse;
        } else {
            list.sort.column = Some(column);
        }
    });
    refresh(state);
}

/// Shows another screen on top.
pub fn push(state: &mut State, mut screen: Screen) {
    if let (Screen::Inspector(inspector), Some(seat)) = (&mut screen, &state.seat) {
        inspector.fold_by(&seat.profile.dead_letters.library_frames);
    }
    state.screens.push(screen);
    refresh(state);
}

/// Leaves the seen screen; the root stays.
pub fn pop(state: &mut State, effects: &mut Vec<Effect>) {
    if state.screens.len() > 1
        && let Some(screen) = state.screens.pop()
    {
        effects.extend(screen.view().waits_for().map(Effect::Cancel));
        refresh(state);
    }
}

/// Leaves all screens, for one above the root.
fn go(state: &mut State, screen: Option<Screen>, effects: &mut Vec<Effect>) {
    if state.seat.is_none() {
        state.tell(Sign::Warn, "no cluster is configured");
        return;
    }
    let mut stack = vec![Screen::Overview(Overview::default())];
    if let Some(Screen::Overview(_)) = state.screens.first() {
        // The root keeps its cursor.
        stack = vec![state.screens.remove(0)];
    }
    stack.extend(screen);
    let left = std::mem::replace(&mut state.screens, stack);
    effects.extend(left.iter().filter_map(|screen| screen.view().waits_for()).map(Effect::Cancel));
    state.left = (!left.is_empty()).then_some(left);
    let picture = Arc::clone(&state.picture);
    for screen in &mut state.screens {
        screen.view_mut().refresh(&picture);
    }
}

/// Goes to the screens that were left last.
fn last(state: &mut State) {
    match state.left.take() {
        Some(mut left) if state.screens.len() == 1 => {
            state.screens.append(&mut left);
        }
        Some(mut left) => {
            let now = state.screens.split_off(1);
            state.screens.append(&mut left);
            state.left = Some(now);
        }
        None => state.tell(Sign::Warn, "there is no view before this one"),
    }
    let picture = Arc::clone(&state.picture);
    for screen in &mut state.screens {
        screen.view_mut().refresh(&picture);
    }
}

fn back(state: &mut State, effects: &mut Vec<Effect>) {
    if let Some(list) = state.view_mut().list_mut() {
        if !list.marks.is_empty() {
            list.unmark();
            return;
        }
        if !list.filter.text().is_empty() {
            list.filter = super::widgets::Filter::default();
            refresh(state);
            return;
        }
    }
    pop(state, effects);
}

/// Ends the console. A run that goes on is stopped first, and waited for where it can be seen; the second time nothing
/// is waited for, and the ledger keeps what was done.
fn quit(state: &mut State, effects: &mut Vec<Effect>) {
    let job = state.job.as_mut().filter(|job| job.ended.is_none());
    if let Some(job) = job.filter(|_| !state.ending) {
        if !job.stopping {
            job.stopping = true;
            effects.push(Effect::Cancel(job.id));
        }
        state.ending = true;
        let text =
            "a run goes on: it stops after this transaction, then the console ends; once more ends it now";
        state.tell(Sign::Warn, text);
        return;
    }
    state.ending = true;
    effects.push(Effect::Quit);
}

fn cancel(state: &mut State, effects: &mut Vec<Effect>) {
    if state.interrupted.is_some_and(|at| state.now.since(at) < TWICE) {
        quit(state, effects);
        return;
    }
    state.interrupted = Some(state.now);
    let said = match state.view().waits_for() {
        Some(id) => {
            effects.push(Effect::Cancel(id));
            "cancelled; ctrl-c again quits"
        }
        None => match &state.action {
            Some(action) => {
                effects.push(Effect::Cancel(action.id));
                "stops after this transaction; ctrl-c again quits"
            }
            None => "ctrl-c again quits",
        },
    };
    state.tell(Sign::Warn, said);
}

fn pause(state: &mut State) {
    if let Screen::Records(records) = state.screen_mut() {
        records.toggle_held();
        return;
    }
    match state.held.take() {
        Some((latest, _)) => super::update::show(state, latest),
        None => state.held = Some((Arc::clone(&state.picture), 0)),
    }
}

fn time_style(state: &mut State) {
    let (style, name) = match state.times.style() {
        TimeStyle::Local => (TimeStyle::Utc, "UTC"),
        TimeStyle::Utc => (TimeStyle::Relative, "as ages"),
        TimeStyle::Relative => (TimeStyle::Local, "local"),
    };
    state.times = TimeFormat::new(style);
    state.tell(Sign::Ok, format!("times are {name}"));
}
