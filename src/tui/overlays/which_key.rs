//! What may follow a begun sequence.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::keymap;
use super::super::state::State;
use super::super::theme::Role;
use super::super::widgets::Pen;

/// So long after its beginning it is shown, in milliseconds.
const DELAY: i64 = 250;

/// Draws it at the lower right of `body`, where a sequence was begun a while ago.
pub fn draw(state: &State, buffer: &mut Buffer, body: Rect) {
    let (begun, since) = &state.begun;
    if begun.is_empty() || state.now.since(*since) < DELAY {
        return;
    }
    let scopes = state.scopes();
    let rows: Vec<(String, &str)> =
        state.keymap.following(&scopes, begun).map(|(keys, command)| (keys, command.title)).collect();
    let height = u16::try_from(rows.len() + 2).unwrap_or(u16::MAX).min(body.height);
    let width = 24.min(body.width);
    let area = Rect {
        x: body.right().saturating_sub(width + 1),
        y: body.bottom().saturating_sub(height),
        width,
        height,
    };
    let mut pen = Pen::new(buffer, state.theme, area);
    pen.clear();
    pen.frame(Role::Dim);
    pen.put(2, 0, &format!(" {}… ", keymap::print(begun)), Role::Title);
    for (y, (keys, title)) in (1..height.saturating_sub(1)).zip(&rows) {
        pen.cell(2, y, 6, keys, Role::Key);
        pen.cell(8, y, width.saturating_sub(10), title, Role::Text);
    }
}
