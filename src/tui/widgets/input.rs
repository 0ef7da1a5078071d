//! A single line of input, with the keys of a shell.

use unicode_segmentation::UnicodeSegmentation;

use super::super::keymap::{Chord, Code};

/// The longest input in bytes: a paste of a whole file is a mistake.
const LONGEST: usize = 4096;

/// A line being typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    text: String,
    /// Byte place of the cursor.
    at: usize,
}

impl Input {
    /// An input that holds `text`, the cursor behind it.
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), at: text.len() }
    }

    /// What was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the cursor.
    pub fn before(&self) -> &str {
        self.text.get(..self.at).unwrap_or(&self.text)
    }

    /// Replaces all of it.
    pub fn set(&mut self, text: &str) {
        *self = Self::new(text);
    }

    /// Takes a pasted text; line breaks become spaces.
    pub fn paste(&mut self, text: &str) {
        text.chars().for_each(|c| self.insert(if c.is_control() { ' ' } else { c }));
    }

    /// Takes a key; whether it meant something here.
    pub fn press(&mut self, chord: Chord) -> bool {
        match (chord.code, chord.ctrl) {
            (Code::Char(c), false) if !chord.alt => self.insert(c),
            (Code::Backspace, false) | (Code::Char('h'), true) => {
                let from = self.previous();
                self.remove(from, self.at);
            }
            (Code::Delete, false) | (Code::Char('d'), true) => {
                let to = self.next();
                self.remove(self.at, to);
            }
            (Code::Left, false) | (Code::Char('b'), true) => self.at = self.previous(),
            (Code::Right, false) | (Code::Char('f'), true) => self.at = self.next(),
            (Code::Home, false) | (Code::Char('a'), true) => self.at = 0,
            (Code::End, false) | (Code::Char('e'), true) => self.at = self.text.len(),
            (Code::Char('u'), true) => self.remove(0, self.at),
            (Code::Char('k'), true) => self.remove(self.at, self.text.len()),
            (Code::Char('w'), true) => {
                let before = self.before().trim_end();
                let from = before.rfind(char::is_whitespace).map_or(0, |i| i + 1);
                self.remove(from, self.at);
            }
            _ => return false,
        }
        true
    }

    fn insert(&mut self, c: char) {
        if self.text.len() + c.len_utf8() <= LONGEST {
            self.text.insert(self.at, c);
            self.at += c.len_utf8();
        }
    }

    fn remove(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.at = from;
    }

    fn previous(&self) -> usize {
        self.before().grapheme_indices(true).next_back().map_or(0, |(i, _)| i)
    }

    fn next(&self) -> usize {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at + rest.graphemes(true).next().map_or(0, str::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(input: &mut Input, keys: &str) {
        for chord in Chord::parse_all(keys).unwrap() {
            input.press(chord);
        }
    }

    #[test]
    fn it_is_edited_like_a_line_of_a_shell() {
        let mut input = Input::default();
        press(&mut input, "o r d e r s space k e y");
        assert_eq!(input.text(), "orders key");
        press(&mut input, "ctrl-w");
        assert_eq!(input.text(), "orders ");
        press(&mut input, "ctrl-a delete right ctrl-k");
        assert_eq!(input.text(), "r");
    }

    #[test]
    fn a_cluster_is_removed_as_a_whole() {
        let mut input = Input::new("ae\u{301}");
        press(&mut input, "backspace");
        assert_eq!(input.text(), "a");
    }

    #[test]
    fn a_paste_is_one_line_and_not_endless() {
        let mut input = Input::default();
        input.paste("a\nb\u{1b}[2J");
        assert_eq!(input.text(), "a b [2J");
        input.paste(&"x".repeat(10_000));
        assert_eq!(input.text().len(), LONGEST);
    }
}
