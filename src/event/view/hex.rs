//! The layout of bytes: offset, sixteen bytes in hexadecimal, and their printable ASCII characters.

use std::fmt::Write as _;

use super::{Kind, Line};

const ROW: usize = 16;

pub(super) fn count(bytes: &[u8]) -> usize {
    bytes.len().div_ceil(ROW)
}

pub(super) fn line(bytes: &[u8], index: usize) -> Line {
    let from = index * ROW;
    let row = bytes.get(from..bytes.len().min(from + ROW)).unwrap_or_default();
    let mut hex = String::with_capacity(52);
    for at in 0..ROW {
        match row.get(at) {
            // Writing to a string cannot fail.
            Some(byte) => write!(hex, "{byte:02x} ").unwrap_or_default(),
            None => hex.push_str("   "),
        }
        if at == ROW / 2 - 1 {
            hex.push(' ');
        }
    }
    hex.push(' ');
    let ascii: Vec<u8> = row.iter().map(|b| if (0x20..0x7f).contains(b) { *b } else { b'.' }).collect();
    let mut line = Line::default();
    line.push(Kind::Offset, format!("{from:08x}  ").as_bytes());
    line.push(Kind::Hex, hex.as_bytes());
    line.push(Kind::Text, &ascii);
    line
}
