//! What the commands of the overview, topics, groups and dead-letter topics do to the state.

use std::sync::Arc;

use super::act::{command, push};
use super::command::Id;
use super::dead_letters;
use super::message::Effect;
use super::screens::group::Pane;
use super::screens::{Dlqs, Group, Groups, Inspector, Leads, Records, Screen, Topic, Topics};
use super::state::State;
use super::theme::Sign;
use super::update::show;
use crate::config::keep::Decision;
use crate::event::Position;
use crate::observe::snapshot::{Attention, Place};
use crate::text::units;

/// How long a line is muted where no time is given, in milliseconds.
const HOUR: i64 = 3_600_000;

/// Does a command, where it is one of these; whether it was.
pub fn does(state: &mut State, id: Id, effects: &mut Vec<Effect>) -> bool {
    match id {
        Id::OpenOverview => open_overview(state, effects),
        Id::WorstOffender => {
            let Screen::Overview(screen) = state.screen() else { return true };
            match screen.worst(&state.picture) {
                Some(place) => open_place(state, &place, effects),
                None => open_overview(state, effects),
            }
        }
        Id::ChartsLonger => step(state, true),
        Id::ChartsShorter => step(state, false),
        Id::Acknowledge => acknowledge(state),
        Id::Mute => mute(state, HOUR),
        Id::ShowQuiet => {
            state.quiet.shown = !state.quiet.shown;
            sift(state);
        }
        Id::OpenTopics => {
            if let Some(topic) = topic_here(state) {
                push(state, dead_letters::records(&topic));
            }
        }
        Id::DescribeTopics => {
            if let Some(topic) = topic_here(state) {
                open_topic(state, topic);
            }
        }
        Id::TopicGroups => {
            if let Some(topic) = topic_here(state) {
                push(state, Screen::Groups(Groups::of_topic(topic)));
            }
        }
        Id::Tail => {
            let topics = match state.screen() {
                Screen::Topics(screen) => screen.meant(),
                _ => topic_here(state).into_iter().collect(),
            };
            if !topics.is_empty() {
                push(state, dead_letters::tail(topics));
            }
        }
        Id::OpenTopic => open_partition(state),
        Id::OpenGroups => open_group_here(state, Pane::Partitions),
        Id::DescribeGroups => open_group_here(state, Pane::Members),
        Id::OpenGroup => open_where_it_stands(state),
        Id::TogglePane => match state.screen_mut() {
            Screen::Overview(screen) => screen.toggle(),
            Screen::Topic(screen) => screen.toggle(),
            Screen::Group(screen) => screen.toggle(),
            _ => {}
        },
        Id::OpenDlqs => {
            if let Some(topic) = topic_here(state) {
                push(state, dead_letters::failures(&topic));
            }
        }
        Id::DescribeDlqs => {
            if let Screen::Dlqs(screen) = state.screen_mut() {
                screen.described = !screen.described;
            }
        }
        Id::Adopt | Id::Ignore => {
            if let Some(topic) = topic_here(state) {
                let decision = if id == Id::Adopt { Decision::Adopted } else { Decision::Ignored };
                effects.push(Effect::Decide(topic, decision));
            }
        }
        Id::Plan => match state.screen() {
            Screen::Dlqs(screen) => {
                if let Some(topic) = screen.selected() {
                    push(state, dead_letters::plan_for(&topic));
                }
            }
            _ => return false,
        },
        _ => return false,
    }
    true
}

/// Lets the charts go further back, or less far.
fn step(state: &mut State, longer: bool) {
    let Screen::Overview(screen) = state.screen_mut() else { return };
    match screen.step(longer) {
        Some(span) => state.tell(Sign::Ok, format!("charts go back up to {span}")),
        None if longer => state.tell(Sign::Warn, "a day is kept, no more"),
        None => state.tell(Sign::Warn, "a minute is the shortest"),
    }
}

/// The line of what needs attention under the cursor.
fn attention_here(state: &State) -> Option<Attention> {
    let Screen::Overview(screen) = state.screen() else { return None };
    screen.attention_here(&state.picture).cloned()
}

fn acknowledge(state: &mut State) {
    let Some(line) = attention_here(state) else { return };
    if state.quiet.take_back(&line) {
        state.tell(Sign::Ok, "told again");
    } else {
        state.quiet.acknowledge(&line, state.now);
        state.tell(Sign::Ok, "acknowledged: quiet until it gets worse; za shows it");
    }
    sift(state);
}

/// Keeps the line under the cursor quiet for so many milliseconds.
pub fn mute(state: &mut State, millis: i64) {
    let Some(line) = attention_here(state) else {
        state.tell(Sign::Warn, "choose a line of what needs attention first");
        return;
    };
    let now = state.now;
    state.quiet.mute(&line, now.plus_millis(millis), now);
    state.tell(Sign::Ok, format!("muted for {}; za shows it", units::age(millis)));
    sift(state);
}

/// Takes what is quiet out of the picture, or brings it back.
fn sift(state: &mut State) {
    if let Some(whole) = state.quiet.whole() {
        show(state, whole);
    }
}

/// The topic under the cursor, or whose screen it is.
pub fn topic_here(state: &State) -> Option<Arc<str>> {
    match state.screen() {
        Screen::Topics(screen) => screen.selected(),
        Screen::Dlqs(screen) => screen.selected(),
        Screen::Topic(screen) => Some(Arc::clone(screen.name())),
        Screen::Records(screen) => screen.topics().first().cloned(),
        _ => None,
    }
}

/// Shows a topic.
pub fn open_topic(state: &mut State, topic: Arc<str>) {
    push(state, Screen::Topic(Topic::new(topic)));
}

/// Shows a group.
pub fn open_group(state: &mut State, group: Arc<str>, pane: Pane) {
    push(state, Screen::Group(Group::new(group, pane)));
}

fn open_group_here(state: &mut State, pane: Pane) {
    if let Screen::Groups(screen) = state.screen()
        && let Some(group) = screen.selected()
    {
        open_group(state, group, pane);
    }
}

/// The latest records of the partition under the cursor.
fn open_partition(state: &mut State) {
    let Screen::Topic(screen) = state.screen() else { return };
    let mut records = Records::latest(screen.name());
    if let Some(partition) = screen.partition() {
        let query = format!("partition={partition} from=-100");
        if let Err(why) = records.set_query(&query, state.now) {
            state.tell(Sign::Fail, why);
            return;
        }
    }
    push(state, Screen::Records(records));
}

/// The record that the group reads next on the partition under the cursor.
fn open_where_it_stands(state: &mut State) {
    let Screen::Group(screen) = state.screen() else { return };
    match screen.stands_at() {
        Some(at) => inspect(state, at),
        None => state.tell(Sign::Warn, "the group has committed nothing here"),
    }
}

fn inspect(state: &mut State, at: Position) {
    let cells = state.size.0;
    push(state, Screen::Inspector(Box::new(Inspector::at(at, cells))));
}

fn open_overview(state: &mut State, effects: &mut Vec<Effect>) {
    let Screen::Overview(screen) = state.screen() else { return };
    match screen.leads(&state.picture) {
        Some(Leads::Panel(1)) => push(state, Screen::Topics(Topics::default())),
        Some(Leads::Panel(5)) => push(state, Screen::Dlqs(Dlqs::default())),
        Some(Leads::Panel(panel)) => push(state, Screen::Groups(Groups::by(panel))),
        // What it names has no list of its own.
        Some(Leads::To(place)) if place.screen == "overview" => {
            let hint = screen.attention_here(&state.picture).map(|line| line.hint.clone());
            state.tell(Sign::Warn, hint.unwrap_or_default());
        }
        Some(Leads::To(place)) => open_place(state, &place, effects),
        None => {}
    }
}

/// Goes where a line of what needs attention leads.
fn open_place(state: &mut State, place: &Place, effects: &mut Vec<Effect>) {
    match (place.screen, &place.topic, &place.group) {
        ("dead_letters", Some(topic), _) => push(state, dead_letters::failures(topic)),
        ("groups", topic, Some(group)) => {
            let mut screen = Group::new(Arc::clone(group), Pane::Partitions);
            if let (Some(topic), Some(partition)) = (topic, place.partition) {
                screen.find(topic, partition);
            }
            push(state, Screen::Group(screen));
        }
        ("topics", Some(topic), _) => open_topic(state, Arc::clone(topic)),
        ("groups", ..) => command(state, Id::GoGroups, effects),
        ("dead_letters", ..) => command(state, Id::GoDlqs, effects),
        _ => command(state, Id::GoTopics, effects),
    }
}
