//! A line to type, for one purpose.

use super::Stays;
use crate::tui::keymap::{Chord, Code};
use crate::tui::message::{Effect, RequestId};
use crate::tui::screens::offsets::Part;
use crate::tui::screens::plan::Field;
use crate::tui::state::State;
use crate::tui::theme::Sign;
use crate::tui::widgets::Input;

/// What the text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Which letters are listed.
    Query,
    /// What is searched in a long text.
    Search,
    /// The file that what is shown is saved in.
    Save,
    /// A part of a redrive plan.
    Plan(Field),
    /// The file that a topic's open letters are saved in.
    Export,
    /// A part of moving a group's offsets.
    Offsets(Part),
}

/// Goes on after a typed text was taken, with the request to take back, or stays and tells what is wrong with it.
pub fn taken(state: &mut State, told: Result<Option<RequestId>, String>, effects: &mut Vec<Effect>) -> Stays {
    match told {
        Ok(stale) => {
            effects.extend(stale.map(Effect::Cancel));
            Stays::No
        }
        Err(why) => {
            state.tell(Sign::Warn, why);
            Stays::Yes
        }
    }
}

/// The prompt.
#[derive(Clone, Debug)]
pub struct Prompt {
    label: String,
    input: Input,
    purpose: Purpose,
    /// What is wrong with the text, until it is changed.
    wrong: Option<String>,
}

impl Prompt {
    /// Asks for a text, with what stands there now.
    pub fn new(label: &str, now: &str, purpose: Purpose) -> Self {
        Self { label: format!("{label}: "), input: Input::new(now), purpose, wrong: None }
    }

    /// Takes a key.
    pub fn press(&mut self, state: &mut State, chord: Chord, effects: &mut Vec<Effect>) -> Stays {
        match (chord.code, chord.ctrl) {
            (Code::Esc, _) | (Code::Char('c'), true) => return Stays::No,
            (Code::Enter, _) => {
                let text = self.input.text();
                let stays = match self.purpose {
                    Purpose::Export => crate::tui::disposals::export(state, text, effects),
                    Purpose::Offsets(part) => crate::tui::moves::typed(state, part, text, effects),
                    purpose => crate::tui::dead_letters::typed(state, purpose, text, effects),
                };
                // The notice stands where the prompt is.
                self.wrong = state.notice().filter(|_| matches!(stays, Stays::Yes)).map(|n| n.text.clone());
                return stays;
            }
            _ => {
                self.wrong = None;
                self.input.press(chord);
            }
        }
        Stays::Yes
    }

    /// Takes a pasted text.
    pub fn paste(&mut self, text: &str) {
        self.input.paste(text);
    }

    /// Label (or what is wrong), what stands before the cursor, and what behind it.
    pub fn line(&self) -> (String, &str, &str) {
        let before = self.input.before();
        let label = self.wrong.as_ref().map_or_else(|| self.label.clone(), |why| format!("{why}: "));
        (label, before, self.input.text().get(before.len()..).unwrap_or_default())
    }
}
