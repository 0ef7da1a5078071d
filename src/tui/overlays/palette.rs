//! `:` finds every command, topic, group and added command by name.

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::act;
use super::super::command::{Command, Id, REGISTRY};
use super::super::dead_letters;
use super::super::hits::{Hits, Spot};
use super::super::keymap::{Chord, Code};
use super::super::message::Effect;
use super::super::places;
use super::super::screens::group::Pane;
use super::super::state::State;
use super::super::theme::{Role, Sign};
use super::super::widgets::filter::rank;
use super::super::widgets::{Input, Pen};
use super::Stays;
use crate::ask::ExtraCommand;
use crate::text::units;

/// The most lines of it.
const LINES: u16 = 12;

/// What an entry does.
#[derive(Clone, Debug)]
enum Does {
    Command(Id),
    Topic(Arc<str>),
    Group(Arc<str>),
    Dlq(Arc<str>),
    Tail(Arc<str>),
    Extra(String),
}

#[derive(Clone, Debug)]
struct Entry {
    line: String,
    keys: String,
    help: String,
    does: Does,
}

/// The palette.
pub struct Palette {
    input: Input,
    entries: Vec<Entry>,
    found: Vec<usize>,
    cursor: usize,
}

impl Palette {
    /// All that can be done here and now.
    pub fn new(state: &State) -> Self {
        let scopes = state.scopes();
        let mut entries: Vec<Entry> = REGISTRY
            .iter()
            .filter(|command| command.is_in(&scopes) && (command.enabled)(state).is_ok())
            .flat_map(|command| names(command).map(move |name| (command, name)))
            .map(|(command, name)| Entry {
                line: name.to_owned(),
                keys: state.keymap.keys(command.id).join(" "),
                help: command.help.to_owned(),
                does: Does::Command(command.id),
            })
            .collect();
        let mut add = |verb: &str, name: &Arc<str>, help: &str, does: Does| {
            entries.push(Entry {
                line: format!("{verb} {name}"),
                keys: String::new(),
                help: help.to_owned(),
                does,
            });
        };
        for row in state.picture.dead_letters.iter() {
            add("dlq", &row.topic, "Its failures.", Does::Dlq(Arc::clone(&row.topic)));
        }
        for row in state.picture.topics.iter() {
            add("topic", &row.name, "Its partitions and configuration.", Does::Topic(Arc::clone(&row.name)));
            add("tail", &row.name, "Follows its new records.", Does::Tail(Arc::clone(&row.name)));
        }
        for row in state.picture.groups.iter() {
            add("group", &row.group, "Its partitions by lag.", Does::Group(Arc::clone(&row.group)));
        }
        let mut this = Self { input: Input::default(), entries, found: Vec::new(), cursor: 0 };
        this.find();
        this
    }

    /// Adds commands of others.
    pub fn extras(&mut self, extras: Vec<ExtraCommand>) {
        self.entries.extend(extras.into_iter().map(|extra| Entry {
            line: extra.line.clone(),
            keys: String::new(),
            help: extra.help,
            does: Does::Extra(extra.line),
        }));
        self.find();
    }

    fn find(&mut self) {
        let lines = self.entries.iter().map(|entry| entry.line.as_str()).enumerate();
        self.found = rank(self.input.text().trim(), lines);
        self.cursor = 0;
    }

    /// Takes a pasted text.
    pub fn paste(&mut self, text: &str) {
        self.input.paste(text);
        self.find();
    }

    fn entry(&self) -> Option<&Entry> {
        self.entries.get(*self.found.get(self.cursor)?)
    }

    /// Takes a key.
    pub fn press(&mut self, state: &mut State, chord: Chord, effects: &mut Vec<Effect>) -> Stays {
        let last = self.found.len().saturating_sub(1);
        match (chord.code, chord.ctrl) {
            (Code::Esc, _) | (Code::Char('c'), true) => return Stays::No,
            (Code::Enter, _) => {
                if self.line(state) {
                    return Stays::No;
                }
                if let Some(does) = self.entry().map(|entry| entry.does.clone()) {
                    perform(state, does, effects);
                } else {
                    let text = format!("there is no command `{}`", self.input.text());
                    state.tell(Sign::Warn, text);
                }
                return Stays::No;
            }
            (Code::Down, _) | (Code::Char('n'), true) => self.cursor = (self.cursor + 1).min(last),
            (Code::Up, _) | (Code::Char('p'), true) => self.cursor = self.cursor.saturating_sub(1),
            (Code::PageDown, _) => self.cursor = (self.cursor + usize::from(LINES)).min(last),
            (Code::PageUp, _) => self.cursor = self.cursor.saturating_sub(usize::from(LINES)),
            (Code::Tab, _) => {
                if let Some(line) = self.entry().map(|entry| entry.line.clone()) {
                    self.input.set(&line);
                    self.find();
                }
            }
            (Code::Backspace, _) if self.input.text().is_empty() => return Stays::No,
            _ => {
                if self.input.press(chord) {
                    self.find();
                }
            }
        }
        Stays::Yes
    }

    /// Takes a line with arguments: a row's number, or `tail TOPIC` with a query; whether it was one.
    fn line(&self, state: &mut State) -> bool {
        let text = self.input.text().trim();
        if let Ok(row) = text.parse::<usize>() {
            if let Some(list) = state.view_mut().list_mut() {
                list.go(row.saturating_sub(1));
            }
            return true;
        }
        if let Some(time) = text.strip_prefix("mute ") {
            match units::parse_duration(time.trim()) {
                Ok(millis) if millis > 0 => places::mute(state, millis),
                _ => state.tell(Sign::Warn, "a time was expected: mute 15m, mute 2h, mute 1d"),
            }
            return true;
        }
        let Some((topic, query)) = text.strip_prefix("tail ").and_then(|rest| rest.trim().split_once(' '))
        else {
            return false;
        };
        match dead_letters::query(topic, query, state.now) {
            Ok(screen) => act::push(state, screen),
            Err(why) => state.tell(Sign::Warn, why),
        }
        true
    }

    /// Does the entry at a place, as a click does.
    pub fn click(&mut self, place: usize) {
        self.cursor = place.min(self.found.len().saturating_sub(1));
    }

    /// Draws it at the foot of the body.
    pub fn draw(&self, state: &State, buffer: &mut Buffer, body: Rect, hits: &mut Hits) {
        let height = (LINES + 2).min(body.height);
        let area = Rect { x: body.x, y: body.bottom() - height, width: body.width, height };
        let mut pen = Pen::new(buffer, state.theme, area);
        pen.clear();
        let line = "─".repeat(usize::from(area.width));
        pen.put(0, 0, &line, Role::Dim);
        let shown = usize::from(height.saturating_sub(2));
        let top = (self.cursor + 1).saturating_sub(shown);
        for (y, (place, found)) in (1..height - 1).zip(self.found.iter().enumerate().skip(top)) {
            let Some(entry) = self.entries.get(*found) else { continue };
            let name = (area.width / 3).max(32);
            pen.cell(1, y, name, &entry.line, Role::Title);
            pen.cell(name + 2, y, 8, &entry.keys, Role::Key);
            let help = area.width.saturating_sub(name + 12);
            pen.cell(name + 11, y, help, &entry.help, Role::Dim);
            if place == self.cursor {
                pen.shade(0, y, area.width, Role::Select);
            }
            hits.add(area.x, area.y + y, area.width, 1, Spot::Entry(place));
        }
        if self.found.is_empty() {
            pen.put(1, 1, "nothing fits; backspace to widen", Role::Dim);
        }
        let x = pen.put(0, height - 1, ":", Role::Key);
        let x = pen.put(x, height - 1, self.input.before(), Role::Text);
        let rest = self.input.text().get(self.input.before().len()..).unwrap_or_default().to_owned();
        pen.put(x, height - 1, &format!("{rest} "), Role::Text);
        pen.shade(x, height - 1, 1, Role::Select);
    }
}

fn names(command: &'static Command) -> impl Iterator<Item = &'static str> {
    command.aliases.iter().copied().chain(std::iter::once(command.name))
}

fn perform(state: &mut State, does: Does, effects: &mut Vec<Effect>) {
    match does {
        Does::Command(id) => act::command(state, id, effects),
        Does::Dlq(topic) => act::push(state, dead_letters::failures(&topic)),
        Does::Tail(topic) => act::push(state, dead_letters::tail(vec![topic])),
        Does::Topic(topic) => places::open_topic(state, topic),
        Does::Group(group) => places::open_group(state, group, Pane::Partitions),
        Does::Extra(line) => effects.push(Effect::Extra(line)),
    }
}
