//! `/` filters a list while it is typed.

use super::Stays;
use crate::tui::act;
use crate::tui::keymap::{Chord, Code};
use crate::tui::state::State;
use crate::tui::widgets::{Filter, Input};

/// The prompt.
#[derive(Clone, Debug)]
pub struct FilterPrompt {
    input: Input,
    /// What was in force before: back to it when nothing is meant.
    before: String,
}

impl FilterPrompt {
    /// A prompt that goes on with the filter in force.
    pub fn new(state: &State) -> Self {
        let before = state.view().list().map_or("", |list| list.filter.text()).to_owned();
        Self { input: Input::new(&before), before }
    }

    /// Takes a key; the list follows at once.
    pub fn press(&mut self, state: &mut State, chord: Chord) -> Stays {
        match (chord.code, chord.ctrl) {
            (Code::Esc, _) | (Code::Char('c'), true) => {
                apply(state, &self.before);
                return Stays::No;
            }
            (Code::Enter, _) => return Stays::No,
            (Code::Backspace, _) if self.input.text().is_empty() => return Stays::No,
            (Code::Down, _) => act::scroll(state, 1),
            (Code::Up, _) => act::scroll(state, -1),
            _ => {
                if self.input.press(chord) {
                    apply(state, self.input.text());
                }
            }
        }
        Stays::Yes
    }

    /// Takes a pasted text.
    pub fn paste(&mut self, text: &str) {
        self.input.paste(text);
    }

    /// Label, what stands before the cursor, and what behind it.
    pub fn line(&self) -> (String, &str, &str) {
        let before = self.input.before();
        ("/".to_owned(), before, self.input.text().get(before.len()..).unwrap_or_default())
    }

    /// What was typed so far.
    pub fn text(&self) -> &str {
        self.input.text()
    }
}

/// Filters the seen screen's list.
pub fn apply(state: &mut State, text: &str) {
    if let Some(list) = state.view_mut().list_mut() {
        list.filter = Filter::new(text);
    }
    act::refresh(state);
}
