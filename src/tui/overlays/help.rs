//! `?` lists the keys of the seen screen; a line can be done.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Stays, framed};
use crate::tui::act;
use crate::tui::command::{Command, REGISTRY, Scope};
use crate::tui::hits::{Hits, Spot};
use crate::tui::keymap::{Chord, Code};
use crate::tui::message::Effect;
use crate::tui::state::State;
use crate::tui::theme::Role;
use crate::tui::widgets::{Filter, Input};

/// A line of it.
struct Row {
    command: &'static Command,
    scope: Scope,
    keys: String,
}

/// The help.
pub struct Help {
    input: Input,
    rows: Vec<Row>,
    found: Vec<usize>,
    cursor: usize,
}

impl Help {
    /// The help of the seen screen.
    pub fn new(state: &State) -> Self {
        let mut rows = Vec::new();
        for scope in state.scopes() {
            let here = REGISTRY.iter().filter(|command| command.scopes.contains(&scope));
            rows.extend(here.map(|command| Row {
                command,
                scope,
                keys: state.keymap.keys(command.id).join(" "),
            }));
        }
        let found = (0..rows.len()).collect();
        Self { input: Input::default(), rows, found, cursor: 0 }
    }

    fn find(&mut self) {
        let filter = Filter::new(self.input.text());
        let mut passes = filter.test();
        let text = |row: &Row| format!("{} {} {}", row.keys, row.command.name, row.command.help);
        self.found =
            (0..self.rows.len()).filter(|i| self.rows.get(*i).is_some_and(|r| passes(&text(r)))).collect();
        self.cursor = 0;
    }

    /// Takes a pasted text.
    pub fn paste(&mut self, text: &str) {
        self.input.paste(text);
        self.find();
    }

    /// Label, what stands before the cursor, and what behind it.
    pub fn line(&self) -> (String, &str, &str) {
        let before = self.input.before();
        let rest = self.input.text().get(before.len()..).unwrap_or_default();
        ("help, type to filter: ".to_owned(), before, rest)
    }

    /// Takes a key.
    pub fn press(&mut self, state: &mut State, chord: Chord, effects: &mut Vec<Effect>) -> Stays {
        let last = self.found.len().saturating_sub(1);
        let page = state.hits.page.max(1);
        match (chord.code, chord.ctrl) {
            (Code::Esc, _) | (Code::Char('c'), true) => return Stays::No,
            (Code::Char('?'), false) if self.input.text().is_empty() => return Stays::No,
            (Code::Enter, _) => {
                let row = self.found.get(self.cursor).and_then(|i| self.rows.get(*i));
                if let Some(id) = row.map(|row| row.command.id) {
                    act::command(state, id, effects);
                }
                return Stays::No;
            }
            (Code::Down, _) | (Code::Char('n'), true) => self.cursor = (self.cursor + 1).min(last),
            (Code::Up, _) | (Code::Char('p'), true) => self.cursor = self.cursor.saturating_sub(1),
            (Code::PageDown, _) => self.cursor = (self.cursor + page).min(last),
            (Code::PageUp, _) => self.cursor = self.cursor.saturating_sub(page),
            _ => {
                if self.input.press(chord) {
                    self.find();
                }
            }
        }
        Stays::Yes
    }

    /// Puts the cursor on a line.
    pub fn click(&mut self, place: usize) {
        self.cursor = place.min(self.found.len().saturating_sub(1));
    }

    /// Draws it over `body`.
    pub fn draw(&self, state: &State, buffer: &mut Buffer, body: Rect, hits: &mut Hits) {
        let title = format!("keys of {}", state.view().scope().title());
        let mut pen = framed(buffer, state, body, (96, body.height), &title);
        let page = usize::from(pen.height());
        hits.page = page;
        let top = (self.cursor + 1).saturating_sub(page);
        let width = pen.width();
        let mut above = None;
        for (y, (place, found)) in (0..pen.height()).zip(self.found.iter().enumerate().skip(top)) {
            let Some(row) = self.rows.get(*found) else { continue };
            // A scope's name stands on its first line alone.
            if above != Some(row.scope) {
                pen.cell(0, y, 13, row.scope.title(), Role::Title);
                above = Some(row.scope);
            }
            let possible = (row.command.enabled)(state);
            let role = if possible.is_ok() { Role::Text } else { Role::Dim };
            pen.cell(14, y, 14, &row.keys, if possible.is_ok() { Role::Key } else { Role::Dim });
            let help = match possible {
                Ok(()) => row.command.help.to_owned(),
                Err(why) => format!("({why}) {}", row.command.help),
            };
            pen.cell(29, y, width.saturating_sub(29), &help, role);
            if place == self.cursor {
                pen.shade(14, y, width.saturating_sub(14), Role::Select);
            }
            let area = pen.area();
            hits.add(area.x, area.y + y, width, 1, Spot::Entry(place));
        }
        if self.found.is_empty() {
            pen.put(0, 0, "no key fits; backspace to widen", Role::Dim);
        }
    }
}
