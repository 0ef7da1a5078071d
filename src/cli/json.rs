//! JSON that is safe on a terminal: what could drive one is written as `\u` escapes.
//!
//! JSON itself escapes only C0. DEL, C1 (a lone U+009B begins a control sequence), bidirectional and
//! zero-width characters pass through most programs unseen; as escapes they mean the same to every parser.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use crate::text::sanitise::is_shown_as_itself;

/// Writes `value` on one line, without a line break at its end.
pub(super) fn compact<T: Serialize + ?Sized>(out: impl Write, value: &T) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, Escaping(CompactFormatter)))
}

/// Writes `value` indented.
pub(super) fn pretty<T: Serialize + ?Sized>(out: impl Write, value: &T) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, Escaping(PrettyFormatter::new())))
}

/// Writes JSON text that somebody else made: outside of strings it has only ASCII, so escaping keeps its meaning.
pub(super) fn escaped(out: &mut (impl Write + ?Sized), text: &str) -> io::Result<()> {
    // Most text is plain, and tested at once.
    if text.bytes().fold(true, |plain, b| plain & (0x20..0x7f).contains(&b)) {
        return out.write_all(text.as_bytes());
    }
    let mut rest = text;
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| !is_shown_as_itself(*c)) {
        out.write_all(rest.get(..at).unwrap_or_default().as_bytes())?;
        for unit in c.encode_utf16(&mut [0; 2]) {
            write!(out, "\\u{unit:04x}")?;
        }
        rest = rest.get(at + c.len_utf8()..).unwrap_or_default();
    }
    out.write_all(rest.as_bytes())
}

struct Escaping<F>(F);

impl<F: Formatter> Formatter for Escaping<F> {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        escaped(writer, text)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.begin_array(w)
    }

    fn end_array<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.end_array(w)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(w, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.end_array_value(w)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.begin_object(w)
    }

    fn end_object<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.end_object(w)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(w, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.begin_object_value(w)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.end_object_value(w)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_drive_a_terminal_is_escaped_and_means_the_same() {
        let hostile = "a\u{1b}[2J\u{9b}31m\u{7f}\u{202e}z\u{200b}\u{e0041}é漢😀\n\"";
        let mut out = Vec::new();
        compact(&mut out, hostile).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.chars().all(is_shown_as_itself), "{text:?}");
        assert!(text.contains("é漢😀"), "{text}");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), hostile);
    }

    #[test]
    fn the_shape_is_that_of_serde_json() {
        let value = serde_json::json!({"a": [1, {"b": null}], "c": {}, "d": []});
        let mut out = Vec::new();
        compact(&mut out, &value).unwrap();
        assert_eq!(out, serde_json::to_vec(&value).unwrap());
        let mut out = Vec::new();
        pretty(&mut out, &value).unwrap();
        assert_eq!(out, serde_json::to_vec_pretty(&value).unwrap());
    }
}
