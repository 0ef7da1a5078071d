//! What was told lately, whole: the notice line has room for one of them and cuts it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Stays, framed};
use crate::tui::keymap::{Chord, Code};
use crate::tui::state::State;
use crate::tui::theme::Role;
use crate::tui::widgets::line::wrap;

/// The list; the latest is at the top.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    top: usize,
}

impl Notices {
    /// Takes a key.
    pub fn press(&mut self, state: &State, chord: Chord) -> Stays {
        let last = state.notices.len().saturating_sub(1);
        match (chord.code, chord.ctrl) {
            (Code::Down | Code::Char('j'), false) => self.top = (self.top + 1).min(last),
            (Code::Up | Code::Char('k'), false) => self.top = self.top.saturating_sub(1),
            (Code::PageDown, _) | (Code::Char('f' | 'd'), true) => self.top = (self.top + 10).min(last),
            (Code::PageUp, _) | (Code::Char('b' | 'u'), true) => self.top = self.top.saturating_sub(10),
            _ => return Stays::No,
        }
        Stays::Yes
    }

    /// Draws it over `body`.
    pub fn draw(&self, state: &State, buffer: &mut Buffer, body: Rect) {
        let lines = u16::try_from(state.notices.len() * 2).unwrap_or(u16::MAX).min(body.height);
        let mut pen = framed(buffer, state, body, (100, lines.max(3)), "notices");
        if state.notices.is_empty() {
            pen.put(0, 0, "nothing was told yet", Role::Dim);
        }
        let cells = usize::from(pen.width().saturating_sub(15));
        let mut y = 0;
        for notice in state.notices.iter().rev().skip(self.top) {
            pen.put(0, y, &state.times.short(notice.at, state.now), Role::Dim);
            pen.put(13, y, notice.sign.glyph(), notice.sign.role());
            for line in wrap(crate::text::Safe::new(&notice.text).as_str(), cells, 6) {
                pen.put(15, y, &line, Role::Text);
                y += 1;
            }
        }
    }
}
