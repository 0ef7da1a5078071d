//! What the commands of moving a group's offsets do to the state.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::act::push;
use super::command::Id;
use super::message::{Effect, RequestId};
use super::overlays::consent::Agreed;
use super::overlays::prompt::{self, Purpose};
use super::overlays::{Consent, Overlay, Prompt, Stays};
use super::screens::Screen;
use super::screens::offsets::{Offsets, Part};
use super::state::State;
use super::theme::Sign;
use crate::ask::{Answer, Request};
use crate::offsets::TopicChoice;
use crate::text::Fault;
use crate::text::units::count;

/// A change of offsets under way.
#[derive(Clone, Debug)]
pub struct Move {
    /// Its request.
    pub id: RequestId,
    /// The group.
    pub group: Arc<str>,
}

/// Does a command, where it is one of these; whether it was.
pub fn does(state: &mut State, id: Id, effects: &mut Vec<Effect>) -> bool {
    match id {
        Id::MoveOffsets => open(state),
        Id::OffsetsNext => with(state, |screen| screen.step(1)),
        Id::OffsetsPrevious => with(state, |screen| screen.step(-1)),
        Id::OffsetsChoose => choose(state, effects),
        Id::OffsetsGo => consent(state),
        _ => return false,
    }
    true
}

fn with(state: &mut State, change: impl FnOnce(&mut Offsets)) {
    if let Screen::Offsets(screen) = state.screen_mut() {
        change(screen);
    }
}

/// The offsets of the group under the cursor, or whose screen it is: on the marked partitions, else on all.
fn open(state: &mut State) {
    let (group, topics) = match state.screen() {
        Screen::Groups(screen) => match screen.selected() {
            Some(group) => (group, Vec::new()),
            None => return,
        },
        Screen::Group(screen) => (Arc::clone(screen.name()), choices(screen.marked())),
        _ => return,
    };
    push(state, Screen::Offsets(Offsets::new(group, topics)));
    ask_for(state, Part::To);
}

/// Partitions by topic.
fn choices(partitions: impl IntoIterator<Item = (Arc<str>, i32)>) -> Vec<TopicChoice> {
    let mut by_topic: BTreeMap<Arc<str>, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in partitions {
        by_topic.entry(topic).or_default().push(partition);
    }
    let choice = |(topic, mut partitions): (Arc<str>, Vec<i32>)| {
        partitions.sort_unstable();
        TopicChoice { topic, partitions }
    };
    by_topic.into_iter().map(choice).collect()
}

fn choose(state: &mut State, effects: &mut Vec<Effect>) {
    let Screen::Offsets(screen) = state.screen() else { return };
    match screen.part() {
        Part::Go => consent(state),
        Part::Back => super::act::pop(state, effects),
        Part::Copy => {
            let lines: Vec<String> = screen.commands().iter().map(|line| state.command_line(line)).collect();
            if lines.is_empty() {
                state.tell(Sign::Warn, "there is nothing to copy yet");
            } else {
                effects.push(Effect::Copy(lines.join("\n")));
            }
        }
        part => ask_for(state, part),
    }
}

fn ask_for(state: &mut State, part: Part) {
    let Screen::Offsets(screen) = state.screen() else { return };
    if let Some((label, now)) = screen.question(part) {
        state.overlays.push(Overlay::Prompt(Prompt::new(label, &now, Purpose::Offsets(part))));
    }
}

/// Takes what was typed for a part of the form.
pub fn typed(state: &mut State, part: Part, text: &str, effects: &mut Vec<Effect>) -> Stays {
    let now = state.now;
    let Screen::Offsets(screen) = state.screen_mut() else { return Stays::No };
    let told = screen.change(part, text, now);
    prompt::taken(state, told, effects)
}

/// Asks for consent to what is shown.
fn consent(state: &mut State) {
    let Screen::Offsets(screen) = state.screen() else { return };
    let under_way = state.moving.as_ref().map(|m| format!("the offsets of {} are being changed", m.group));
    if let Some(why) = state.read_only().err().or_else(|| screen.blocked()).or(under_way) {
        state.tell(Sign::Warn, why);
        return;
    }
    let Some(seat) = &state.seat else { return };
    if let Some(words) = screen.consent(&seat.profile.name, seat.profile.protected) {
        let dialog = Consent::new(words, Agreed::Offsets, state);
        state.overlays.push(Overlay::Consent(dialog));
    }
}

/// The operator agreed: does what is shown.
pub fn go(state: &mut State, effects: &mut Vec<Effect>) {
    let Screen::Offsets(screen) = state.screen() else { return };
    let run = screen.run().filter(|_| state.read_only().is_ok() && state.moving.is_none());
    let Some(run) = run else {
        state.tell(Sign::Warn, "it changed meanwhile; nothing was written");
        return;
    };
    let group = Arc::clone(screen.group());
    let id = state.request(Request::MoveOffsets(run), effects);
    state.moving = Some(Move { id, group });
}

/// The change ended; it is told wherever the operator is by now.
pub fn ended(state: &mut State, answer: Result<Answer, Fault>) {
    let Some(Move { group, .. }) = state.moving.take() else { return };
    let answer = match answer {
        Ok(Answer::MoveOffsets(answer)) => Ok(answer),
        Ok(_) => return,
        Err(fault) => Err(fault),
    };
    match &answer {
        Ok(done) if done.plan.errors == 0 => {
            state.tell(Sign::Ok, format!("group {group}: {} offsets changed", count(done.changed)));
        }
        Ok(done) => {
            let left = count(done.plan.errors);
            state.tell(
                Sign::Warn,
                format!("group {group}: {} offsets changed, {left} not", count(done.changed)),
            );
        }
        Err(fault) => state.tell_fault(fault),
    }
    for screen in &mut state.screens {
        if let Screen::Offsets(screen) = screen
            && *screen.group() == group
        {
            screen.moved(answer.clone());
        }
    }
}
