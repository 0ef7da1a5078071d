//! What lies over a screen and takes the keys meanwhile.

pub mod consent;
#[cfg(test)]
mod consent_tests;
mod dispose;
pub mod filter;
mod help;
mod notices;
pub mod palette;
pub mod prompt;
pub mod search;
mod which_key;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub use consent::Consent;
pub use dispose::Dispose;
pub use filter::FilterPrompt;
pub use help::Help;
pub use notices::Notices;
pub use palette::Palette;
pub use prompt::Prompt;
pub use search::Search;
pub use which_key::draw as draw_which_key;

use super::hits::Hits;
use super::keymap::Chord;
use super::message::Effect;
use super::state::State;
use super::theme::Role;
use super::widgets::Pen;

/// An overlay.
#[expect(missing_docs, reason = "each has its own module")]
pub enum Overlay {
    Palette(Palette),
    Prompt(Prompt),
    Consent(Consent),
    Dispose(Box<Dispose>),
    Filter(FilterPrompt),
    Help(Help),
    Notices(Notices),
    Search(Box<Search>),
}

impl Overlay {
    /// What it asks for in the notice line: a label, what stands before the cursor, and what behind it.
    pub fn line(&self) -> Option<(String, &str, &str)> {
        match self {
            Self::Prompt(overlay) => Some(overlay.line()),
            Self::Filter(overlay) => Some(overlay.line()),
            Self::Help(overlay) => Some(overlay.line()),
            Self::Palette(_) | Self::Consent(_) | Self::Dispose(_) | Self::Notices(_) | Self::Search(_) => {
                None
            }
        }
    }

    /// Draws it over `body`.
    pub fn draw(&self, state: &State, buffer: &mut Buffer, body: Rect, hits: &mut Hits) {
        match self {
            Self::Palette(overlay) => overlay.draw(state, buffer, body, hits),
            Self::Consent(overlay) => overlay.draw(state, buffer, body),
            Self::Dispose(overlay) => overlay.draw(state, buffer, body),
            Self::Help(overlay) => overlay.draw(state, buffer, body, hits),
            Self::Notices(overlay) => overlay.draw(state, buffer, body),
            Self::Search(overlay) => overlay.draw(state, buffer, body),
            Self::Prompt(_) | Self::Filter(_) => {}
        }
    }
}

/// Whether an overlay stays after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stays {
    /// It does.
    Yes,
    /// It does not.
    No,
}

/// Gives a key to the topmost overlay.
pub fn press(state: &mut State, chord: Chord, effects: &mut Vec<Effect>) {
    let Some(mut overlay) = state.overlays.pop() else { return };
    let depth = state.overlays.len();
    let stays = match &mut overlay {
        Overlay::Palette(overlay) => overlay.press(state, chord, effects),
        Overlay::Prompt(overlay) => overlay.press(state, chord, effects),
        Overlay::Consent(overlay) => overlay.press(state, chord, effects),
        Overlay::Dispose(overlay) => overlay.press(state, chord, effects),
        Overlay::Filter(overlay) => overlay.press(state, chord),
        Overlay::Help(overlay) => overlay.press(state, chord, effects),
        Overlay::Notices(overlay) => overlay.press(state, chord),
        Overlay::Search(overlay) => overlay.press(state, chord, effects),
    };
    if stays == Stays::Yes {
        // Below what it may have opened itself.
        state.overlays.insert(depth.min(state.overlays.len()), overlay);
    }
}

/// Gives a pasted text to the topmost overlay.
pub fn paste(state: &mut State, text: &str) {
    match state.overlays.last_mut() {
        Some(Overlay::Palette(overlay)) => overlay.paste(text),
        Some(Overlay::Prompt(overlay)) => overlay.paste(text),
        Some(Overlay::Consent(overlay)) => overlay.paste(text),
        Some(Overlay::Dispose(overlay)) => overlay.paste(text),
        Some(Overlay::Help(overlay)) => overlay.paste(text),
        Some(Overlay::Search(overlay)) => overlay.paste(text),
        Some(Overlay::Filter(overlay)) => {
            overlay.paste(text);
            let typed = overlay.text().to_owned();
            filter::apply(state, &typed);
        }
        Some(Overlay::Notices(_)) | None => {}
    }
}

/// A rectangle of at most `width` x `height` in the middle of `body`, emptied and framed; gives its inside.
pub(super) fn framed<'b>(
    buffer: &'b mut Buffer,
    state: &State,
    body: Rect,
    (width, height): (u16, u16),
    title: &str,
) -> Pen<'b> {
    let width = (width + 4).min(body.width);
    let height = (height + 2).min(body.height);
    let area =
        Rect { x: body.x + (body.width - width) / 2, y: body.y + (body.height - height) / 2, width, height };
    let mut pen = Pen::new(buffer, state.theme, area);
    pen.clear();
    pen.frame(Role::Dim);
    if !title.is_empty() {
        pen.put(2, 0, &format!(" {title} "), Role::Title);
    }
    let inside = Rect {
        x: area.x + 2,
        y: area.y + 1,
        width: width.saturating_sub(4),
        height: height.saturating_sub(2),
    };
    Pen::new(buffer, state.theme, inside)
}
