//! The dialog before a write: what, how much, to where, with which guarantee. Enter alone cancels.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Stays, framed};
use crate::tui::keymap::{Chord, Code};
use crate::tui::message::Effect;
use crate::tui::screens::plan;
use crate::tui::state::State;
use crate::tui::theme::Role;
use crate::tui::widgets::Input;
use crate::tui::widgets::line::wrap;

/// Cells inside the dialog.
const WIDTH: u16 = 56;

/// The button under the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Button {
    Cancel,
    Go,
}

/// What is agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreed {
    /// A run of the plan that is shown.
    Run,
    /// The change of offsets that is shown.
    Offsets,
}

impl Agreed {
    fn title(self) -> &'static str {
        match self {
            Self::Run => "Redrive",
            Self::Offsets => "Offsets",
        }
    }
}

/// The dialog.
#[derive(Clone, Debug)]
pub struct Consent {
    words: plan::Consent,
    to: Agreed,
    button: Button,
    typed: Input,
    /// Frames drawn when it was opened: what was typed before it was seen is not meant for it.
    opened: u64,
}

impl Consent {
    /// A dialog with these words; *Cancel* is chosen.
    pub fn new(words: plan::Consent, to: Agreed, state: &State) -> Self {
        Self { words, to, button: Button::Cancel, typed: Input::default(), opened: state.frames }
    }

    /// Takes a key.
    pub fn press(&mut self, state: &mut State, chord: Chord, effects: &mut Vec<Effect>) -> Stays {
        if state.frames <= self.opened {
            return Stays::Yes;
        }
        match (chord.code, chord.ctrl) {
            (Code::Esc, _) | (Code::Char('c'), true) => return cancelled(state),
            (Code::Tab | Code::BackTab | Code::Left | Code::Right, _) => {
                self.button = if self.button == Button::Cancel { Button::Go } else { Button::Cancel };
            }
            (Code::Enter, _) if self.button == Button::Cancel => return cancelled(state),
            (Code::Enter, _) if self.is_typed() => {
                match self.to {
                    Agreed::Run => crate::tui::dead_letters::run(state, effects),
                    Agreed::Offsets => crate::tui::moves::go(state, effects),
                }
                return Stays::No;
            }
            _ if self.words.typed.is_some() => {
                self.typed.press(chord);
            }
            _ => {}
        }
        Stays::Yes
    }

    /// Takes a pasted text.
    pub fn paste(&mut self, text: &str) {
        self.typed.paste(text);
    }

    fn is_typed(&self) -> bool {
        let digits: String = self.typed.text().chars().filter(|c| !matches!(c, ',' | ' ')).collect();
        self.words.typed.is_none_or(|count| digits == count.to_string())
    }

    /// Draws it over `body`.
    pub fn draw(&self, state: &State, buffer: &mut Buffer, body: Rect) {
        let lines: Vec<String> =
            self.words.lines.iter().flat_map(|line| wrap(line, usize::from(WIDTH), 3)).collect();
        let height =
            u16::try_from(lines.len()).unwrap_or(8) + 2 + if self.words.typed.is_some() { 2 } else { 0 };
        let mut pen = framed(buffer, state, body, (WIDTH, height), self.to.title());
        let mut y = 0;
        for line in &lines {
            pen.put(0, y, line, if y == 0 { Role::Title } else { Role::Text });
            y += 1;
        }
        if let Some(count) = self.words.typed {
            y += 1;
            let x = pen.put(0, y, &format!("Type {count} to agree: "), Role::Warn);
            let x = pen.put(x, y, self.typed.text(), Role::Text);
            pen.put(x, y, "▌", Role::Key);
            y += 1;
        }
        y += 1;
        let go = format!("[ {} ]", self.words.button);
        let end = pen.put(0, y, "[ Cancel ]", Role::Text);
        let go_end = pen.put(end + 3, y, &go, if self.is_typed() { Role::Write } else { Role::Dim });
        match self.button {
            Button::Cancel => pen.shade(0, y, end, Role::Select),
            Button::Go => pen.shade(end + 3, y, go_end - end - 3, Role::Select),
        }
        pen.put(go_end + 3, y, "tab changes", Role::Dim);
    }
}

fn cancelled(state: &mut State) -> Stays {
    state.tell(crate::tui::theme::Sign::Ok, "cancelled: nothing was written");
    Stays::No
}
