//! The layout of text: its own lines, long ones wrapped.

use super::{Kind, Line, State, Within, break_at};

pub(super) fn step(bytes: &[u8], wrap: usize, state: &mut State, line: Option<&mut Line>) -> bool {
    let Some(rest) = bytes.get(state.at..).filter(|rest| !rest.is_empty()) else { return false };
    let continued = state.within.take().is_some();
    // Beyond one line nothing is looked at: a payload without any line break is one long line.
    let near = rest.get(..=wrap).unwrap_or(rest);
    let (shown, used) = match memchr::memchr(b'\n', near) {
        Some(end) => (rest.get(..end).unwrap_or_default(), end + 1),
        None if rest.len() <= wrap => (rest, rest.len()),
        None => {
            let end = break_at(rest, wrap);
            state.within = Some(Within::Text);
            (rest.get(..end).unwrap_or_default(), end)
        }
    };
    state.at += used;
    if let Some(line) = line {
        line.continued = continued;
        let shown = if state.within.is_none() { shown.strip_suffix(b"\r").unwrap_or(shown) } else { shown };
        if !shown.is_empty() {
            line.push(Kind::Text, shown);
        }
    }
    true
}
