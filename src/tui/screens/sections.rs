//! The parts of the inspector: a payload in its frame, and the lines above it.

use bytes::Bytes;

use crate::event::decode::Base64;
use crate::event::view::{Layout, View};
use crate::event::{Record, envelope};
use crate::records::document::DecodedRecord;
use crate::text::units;
use crate::tui::hits::Hits;
use crate::tui::theme::Role;
use crate::tui::widgets::Pen;
use crate::tui::widgets::line::{self, Line, Span};
use crate::tui::widgets::pager::Pager;

/// Which decoders were used where that is not plain to see, and why others did not fit.
pub(super) fn decoders(decoded: Option<&DecodedRecord>) -> Option<Line> {
    let decoded = decoded?;
    let mut out = vec![Span::new("decoded   ", Role::Key)];
    let sides = [&decoded.key, &decoded.value];
    if decoded.base64 == Base64::Decode && !sides.iter().any(|side| side.decoder.ends_with("+base64")) {
        out.push(Span::text("no base64 is in it  "));
    }
    for (name, side) in [("key", &decoded.key), ("value", &decoded.value)] {
        if matches!(side.decoder.as_str(), "none" | "json" | "text") {
            continue;
        }
        out.push(Span::dim(format!("{name} ")));
        out.push(Span::new(format!("{}  ", side.decoder), Role::Value));
        let refused: Vec<String> = side.refused.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        out.push(Span::dim(refused.join("; ")));
        out.push(Span::text("  "));
    }
    (out.len() > 1).then_some(out)
}

/// The event inside the record, where a convention is recognised.
pub(super) fn event(record: &Record, decoded: Option<&DecodedRecord>) -> Option<Line> {
    let document = decoded.and_then(|decoded| decoded.value.document());
    let value = document.as_ref().or(record.value.as_ref());
    let event = envelope::extract_from(record, value.map(AsRef::as_ref));
    event.rule?;
    let mut out = vec![Span::new("event     ", Role::Key)];
    out.push(Span::new(event.type_.as_deref().unwrap_or("without a type"), Role::Value));
    if let Some(version) = &event.version {
        out.push(Span::text(format!(" v{}", version.trim_start_matches('v'))));
    }
    for (name, value) in
        [("", &event.id), ("correlation ", &event.correlation_id), ("aggregate ", &event.aggregate_id)]
    {
        if let Some(value) = value {
            out.extend([Span::dim(format!("  {name}")), Span::text(value)]);
        }
    }
    Some(out)
}

/// The kind and size of a value, for its tab.
pub(super) fn describe(value: Option<&Bytes>) -> String {
    let Some(value) = value else { return "null".to_owned() };
    format!("{} {}", word(View::fitting(value)), units::bytes(value.len() as u64))
}

fn word(layout: Layout) -> &'static str {
    match layout {
        Layout::Json => "json",
        Layout::Text => "text",
        Layout::Hex => "bytes",
    }
}

/// A payload under a line that says what it is and how large.
pub(super) fn payload(pen: &mut Pen<'_>, name: &str, pager: &Pager, bytes: Option<&Bytes>, hits: &mut Hits) {
    let mut title = vec![Span::dim(name)];
    match bytes {
        None => title.push(Span::new("  null", Role::Warn)),
        Some(bytes) if bytes.is_empty() => title.push(Span::dim("  empty")),
        Some(bytes) => {
            let shown = pager.layout().map_or("", word);
            title.push(Span::dim(format!("  {shown}  {}", units::bytes(bytes.len() as u64))));
        }
    }
    section(pen, &title, pager, hits);
}

/// A title, and a pager behind a line on its left.
pub(super) fn section(pen: &mut Pen<'_>, title: &[Span], pager: &Pager, hits: &mut Hits) {
    let height = pen.height().saturating_sub(1);
    pen.put(1, 0, "┌ ", Role::Dim);
    let x = line::draw(pen, 3, 0, title);
    if pager.known() > usize::from(height) || pager.top() > 0 {
        pen.put(x + 2, 0, &pager.position(height), Role::Dim);
    }
    let lines = pager.known().saturating_sub(pager.top()).min(usize::from(height));
    for y in 1..=u16::try_from(lines).unwrap_or(height) {
        pen.put(1, y, "│", Role::Dim);
    }
    let wide = pen.width().saturating_sub(3);
    pager.draw(&mut pen.part(3, 1, wide, height));
    hits.page = usize::from(height).max(1);
}
