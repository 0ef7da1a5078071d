//! A line of text that is edited as in readline.
//!
//! It holds what was typed, untouched; control characters can come in by pasting and are shown, never sent.

use crossterm::event::{KeyCode, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_segmentation::UnicodeSegmentation as _;

use super::{put, skip};
use crate::text::{Safe, width};
use crate::tui::theme::{Role, Theme};

/// The longest text in bytes.
const LONGEST: usize = 4096;

/// One step of editing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Puts text in at the cursor.
    Insert(String),
    /// Takes the character before the cursor away.
    Backspace,
    /// Takes the character under the cursor away.
    Delete,
    /// One character to the left.
    Left,
    /// One character to the right.
    Right,
    /// To the beginning of a word.
    WordLeft,
    /// Behind the end of a word.
    WordRight,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// Takes away everything before the cursor.
    KillBefore,
    /// Takes away everything from the cursor on.
    KillAfter,
    /// Takes away the word before the cursor.
    KillWord,
}

impl Edit {
    /// What a key does in a line of text; `None` where it means nothing here.
    pub fn of(code: KeyCode, modifiers: KeyModifiers) -> Option<Self> {
        let word = modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        Some(match code {
            KeyCode::Char(c) if modifiers == KeyModifiers::CONTROL => match c {
                'a' => Self::Home,
                'e' => Self::End,
                'b' => Self::Left,
                'f' => Self::Right,
                'd' => Self::Delete,
                'h' => Self::Backspace,
                'u' => Self::KillBefore,
                'k' => Self::KillAfter,
                'w' => Self::KillWord,
                _ => return None,
            },
            KeyCode::Char('b') if modifiers == KeyModifiers::ALT => Self::WordLeft,
            KeyCode::Char('f') if modifiers == KeyModifiers::ALT => Self::WordRight,
            KeyCode::Char(c) if !word => Self::Insert(c.to_string()),
            KeyCode::Backspace if word => Self::KillWord,
            KeyCode::Backspace => Self::Backspace,
            KeyCode::Delete => Self::Delete,
            KeyCode::Left if word => Self::WordLeft,
            KeyCode::Right if word => Self::WordRight,
            KeyCode::Left => Self::Left,
            KeyCode::Right => Self::Right,
            KeyCode::Home => Self::Home,
            KeyCode::End => Self::End,
            _ => return None,
        })
    }
}

/// A line of text with a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    text: String,
    /// Bytes before the cursor; always between two grapheme clusters.
    cursor: usize,
}

impl Input {
    /// A line with the cursor at its end.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cursor: text.len(), text }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Replaces the text; the cursor goes to its end.
    pub fn set(&mut self, text: impl Into<String>) {
        *self = Self::new(text);
    }

    /// Does one step; whether the text changed.
    pub fn edit(&mut self, edit: Edit) -> bool {
        let before = self.text.len();
        match edit {
            Edit::Insert(text) => {
                if self.text.len() + text.len() <= LONGEST {
                    self.text.insert_str(self.cursor, &text);
                    // What was put in may join with what stands behind it.
                    self.cursor = self.border_at_or_after(self.cursor + text.len());
                }
            }
            Edit::Backspace => self.remove(self.left(), self.cursor),
            Edit::Delete => self.remove(self.cursor, self.right()),
            Edit::KillBefore => self.remove(0, self.cursor),
            Edit::KillAfter => self.remove(self.cursor, self.text.len()),
            Edit::KillWord => self.remove(self.word_left(), self.cursor),
            Edit::Left => self.cursor = self.left(),
            Edit::Right => self.cursor = self.right(),
            Edit::WordLeft => self.cursor = self.word_left(),
            Edit::WordRight => self.cursor = self.word_right(),
            Edit::Home => self.cursor = 0,
            Edit::End => self.cursor = self.text.len(),
        }
        self.text.len() != before
    }

    /// Draws the part around the cursor into the first line of `area`, and the cursor as a reversed cell where
    /// it has the focus.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, focused: bool, theme: Theme) {
        let area = area.intersection(buf.area);
        if area.is_empty() {
            return;
        }
        let cells = usize::from(area.width);
        let before = width::width(Safe::new(self.before()).as_str());
        // The cursor's own cell is the last one.
        let skipped = (before + 1).saturating_sub(cells);
        let shown = width::window(Safe::new(&self.text).as_str(), skipped, cells);
        put(buf, area, &shown, theme.style(Role::Text));
        if focused {
            let at = skip(area, (before - skipped) as u16);
            buf.set_style(Rect { width: 1, height: 1, ..at }.intersection(area), theme.style(Role::Select));
        }
    }

    fn before(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or_default()
    }

    fn after(&self) -> &str {
        self.text.get(self.cursor..).unwrap_or_default()
    }

    fn left(&self) -> usize {
        self.before().grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn right(&self) -> usize {
        self.cursor + self.after().graphemes(true).next().map_or(0, str::len)
    }

    fn word_left(&self) -> usize {
        let before = self.before().trim_end_matches(|c: char| !c.is_alphanumeric());
        let word = before.trim_end_matches(|c: char| c.is_alphanumeric());
        self.border_at_or_after(word.len())
    }

    fn word_right(&self) -> usize {
        let after = self.after();
        let word = after.trim_start_matches(|c: char| !c.is_alphanumeric());
        let rest = word.trim_start_matches(|c: char| c.is_alphanumeric());
        self.border_at_or_after(self.cursor + after.len() - rest.len())
    }

    fn border_at_or_after(&self, at: usize) -> usize {
        let mut borders = self.text.grapheme_indices(true).map(|(border, _)| border);
        borders.find(|border| *border >= at).unwrap_or(self.text.len())
    }

    fn remove(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.cursor = self.border_at_or_after(from);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tui::widgets::tests::{paper, picture};

    fn after(text: &str, edits: &[Edit]) -> (String, usize) {
        let mut input = Input::new(text);
        for edit in edits {
            input.edit(edit.clone());
        }
        (input.text, input.cursor)
    }

    #[test]
    fn editing_works_by_characters_and_words() {
        use Edit::*;
        assert_eq!(after("orders", &[Backspace]), ("order".into(), 5));
        assert_eq!(after("e\u{301}x", &[Left, Backspace]), ("x".into(), 0));
        assert_eq!(after("tail orders", &[KillWord]), ("tail ".into(), 5));
        assert_eq!(after("tail orders", &[WordLeft, KillBefore]), ("orders".into(), 0));
        assert_eq!(after("ab", &[Home, Insert("é日".into()), KillAfter]), ("é日".into(), 5));
        assert_eq!(after("", &[Backspace, Delete, Left, Right, KillWord, WordRight]), (String::new(), 0));
    }

    #[test]
    fn keys_mean_what_they_mean_in_a_shell() {
        let control = |c| Edit::of(KeyCode::Char(c), KeyModifiers::CONTROL);
        assert_eq!(control('w'), Some(Edit::KillWord));
        assert_eq!(control('c'), None);
        assert_eq!(Edit::of(KeyCode::Char('X'), KeyModifiers::SHIFT), Some(Edit::Insert("X".into())));
        assert_eq!(Edit::of(KeyCode::Enter, KeyModifiers::NONE), None);
    }

    #[test]
    fn a_long_text_shows_the_part_around_the_cursor() {
        let mut buf = paper(5, 1);
        let area = buf.area;
        Input::new("0123456789").draw(&mut buf, area, true, Theme::default());
        assert_eq!(picture(&buf), "6789");
    }

    proptest! {
        #[test]
        fn no_order_of_edits_breaks_the_text(steps in proptest::collection::vec((0..12_usize, "\\PC{0,3}|[\\x00-\\x1f]"), 0..30)) {
            use Edit::*;
            let mut input = Input::default();
            for (which, text) in steps {
                let edits = [
                    Insert(text), Backspace, Delete, Left, Right, WordLeft, WordRight, Home, End, KillBefore,
                    KillAfter, KillWord,
                ];
                input.edit(edits[which].clone());
                prop_assert!(input.text.is_char_boundary(input.cursor));
                let mut buf = paper(7, 1);
                let area = buf.area;
                input.draw(&mut buf, area, true, Theme::default());
                prop_assert!(!picture(&buf).chars().any(char::is_control));
            }
        }
    }
}
