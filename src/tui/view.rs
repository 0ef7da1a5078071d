//! The frame around every screen: header, body, one notice, one footer; and what lies over it. Draws, changes nothing.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::command::{Command, Id, REGISTRY, Risk};
use super::hits::{Hits, Spot};
use super::overlays;
use super::state::State;
use super::theme::{Role, Sign};
use super::widgets::Pen;
use crate::observe::snapshot::Freshness;
use crate::text::units;
use crate::text::width::width;

/// From so many columns on, a list has a preview beside it.
pub const WIDE: u16 = 160;

/// The smallest terminal that a screen fits into: columns and lines.
pub const LEAST: (u16, u16) = (60, 16);

/// Draws all of it.
pub fn view(state: &State, buffer: &mut Buffer, hits: &mut Hits) {
    let area = buffer.area;
    let (columns, lines) = LEAST;
    if area.width < columns || area.height < lines {
        let text = format!("redrive needs {columns}x{lines}; this is {}x{}", area.width, area.height);
        Pen::new(buffer, state.theme, area).put(0, 0, &text, Role::Text);
        return;
    }
    // The notice line stays in any case: prompts and errors are on it.
    let frame = u16::from(!state.full);
    let body = Rect { y: area.y + frame, height: area.height - 1 - 2 * frame, ..area };
    if !state.full {
        header(state, &mut Pen::new(buffer, state.theme, Rect { height: 1, ..area }), hits);
    }
    screen(state, &mut Pen::new(buffer, state.theme, body), hits);
    let notice_line = Rect { y: body.bottom(), height: 1, ..area };
    notice(state, &mut Pen::new(buffer, state.theme, notice_line));
    let footer_line = Rect { y: area.bottom() - 1, height: 1, ..area };
    if !state.full {
        footer(state, &mut Pen::new(buffer, state.theme, footer_line));
    }
    let over = Rect { height: body.height + frame, ..body };
    for overlay in &state.overlays {
        overlay.draw(state, buffer, over, hits);
    }
    overlays::draw_which_key(state, buffer, body);
}

/// The screen; on a wide terminal, what the row under the cursor is about stands beside it.
fn screen(state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
    let (wide, height) = (pen.width(), pen.height());
    let left = wide / 20 * 11;
    let beside =
        wide >= WIDE && !state.full && state.view().preview(state, &mut pen.part(left + 2, 0, wide, height));
    if !beside {
        return state.view().draw(state, pen, hits);
    }
    for y in 0..height {
        pen.put(left, y, "│", Role::Dim);
    }
    state.view().draw(state, &mut pen.part(0, 0, left, height), hits);
}

fn header(state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
    let mut x = 1;
    if let Some(seat) = &state.seat {
        let profile = &seat.profile;
        let style = state.theme.profile(profile.colour.as_deref());
        if profile.protected {
            // Not a colour alone: it must be seen by everybody.
            let block = format!(" {} PROTECTED ", profile.name);
            let end = pen.put(0, 0, &block, Role::Text);
            pen.shade(0, 0, end, Role::Select);
            x = end + 1;
        } else {
            let width = pen.width();
            x = pen.styled(x, 0, width, &profile.name, style) + 1;
        }
        if profile.read_only {
            x = pen.put(x, 0, "read-only", Role::Warn) + 1;
        }
    }
    let right = status(state, pen);
    let crumbs: Vec<String> = state.screens.iter().map(|screen| screen.view().crumb()).collect();
    let hidden = first_crumb(&crumbs, right.saturating_sub(x + 2));
    if hidden > 0 {
        x = pen.put(x, 0, "▸ … ", Role::Dim);
    }
    // The root goes without saying where there is more.
    let skip = hidden.max(usize::from(crumbs.len() > 1));
    for (depth, crumb) in crumbs.iter().enumerate().skip(skip) {
        x = pen.put(x, 0, "▸ ", Role::Dim);
        let role = if depth + 1 == crumbs.len() { Role::Title } else { Role::Text };
        let room = right.saturating_sub(x + 2);
        let end = pen.cell(x, 0, room, crumb, role);
        let area = pen.area();
        hits.add(area.x + x, area.y, end.saturating_sub(x), 1, Spot::Crumb(depth));
        x = end + 1;
    }
}

/// How many crumbs must be left out at the beginning to fit into so many cells; the last one always stays.
fn first_crumb(crumbs: &[String], cells: u16) -> usize {
    let mut left = usize::from(cells);
    let mut shown = 0;
    for crumb in crumbs.iter().rev() {
        let wide = width(crumb) + 3;
        if wide > left && shown > 0 {
            break;
        }
        left = left.saturating_sub(wide);
        shown += 1;
    }
    let hidden = crumbs.len() - shown;
    if hidden <= 1 && crumbs.len() > 1 { 0 } else { hidden }
}

/// The right side of the header; gives where it begins.
fn status(state: &State, pen: &mut Pen<'_>) -> u16 {
    let mut x = pen.width().saturating_sub(1);
    if state.seat.is_some() {
        let (text, role) = freshness(state);
        x = pen.right(x, 0, &text, role);
        if let Some((_, missed)) = &state.held {
            let badge = format!(" PAUSED +{} ", units::count(*missed));
            x = pen.right(x.saturating_sub(1), 0, &badge, Role::Select);
        }
        if let Some((text, role)) = state.job.as_ref().and_then(super::screens::run::Job::badge) {
            x = pen.right(x.saturating_sub(2), 0, &text, role);
        }
        if let Some((text, role)) = state.action.as_ref().map(super::disposals::Action::badge) {
            x = pen.right(x.saturating_sub(2), 0, &text, role);
        }
        let status = state.view().status(state);
        if !status.is_empty() {
            x = pen.right(x.saturating_sub(1), 0, "·", Role::Dim);
            let room = usize::from(pen.width() / 2);
            let status = crate::text::width::cut(&status, room).into_owned();
            x = pen.right(x.saturating_sub(1), 0, &status, Role::Text);
        }
    }
    x
}

fn freshness(state: &State) -> (String, Role) {
    let picture = &state.picture;
    match &picture.freshness {
        Freshness::Starting => ("connecting…".to_owned(), Role::Dim),
        Freshness::Live => (format!("live {}", units::age(state.now.since(picture.taken).max(0))), Role::Ok),
        Freshness::Stale { since, .. } => {
            let age = units::age(state.now.since(*since).max(0));
            (format!("{} stale {age}", Sign::Stale.glyph()), Role::Warn)
        }
    }
}

fn notice(state: &State, pen: &mut Pen<'_>) {
    let prompt = match state.overlays.last() {
        Some(overlay) => overlay.line(),
        None => None,
    };
    if let Some((label, before, rest)) = prompt {
        let x = pen.put(1, 0, &label, Role::Key);
        let x = pen.put(x, 0, before, Role::Text);
        pen.put(x, 0, &format!("{rest} "), Role::Text);
        pen.shade(x, 0, 1, Role::Select);
    } else if let Some(notice) = state.notice() {
        let x = pen.put(1, 0, notice.sign.glyph(), notice.sign.role());
        pen.put(x + 1, 0, &notice.text, Role::Text);
    } else if let Freshness::Stale { why, .. } = &state.picture.freshness {
        let x = pen.put(1, 0, Sign::Stale.glyph(), Role::Warn);
        pen.put(x + 1, 0, &format!("not current: {why}"), Role::Text);
    } else if let Some(list) = state.view().list() {
        let mut parts = Vec::new();
        if !list.filter.text().is_empty() {
            parts.push(format!(
                "filter /{}  {} of {}",
                list.filter.text(),
                units::count(list.order.len() as u64),
                units::count(list.total as u64)
            ));
        }
        if list.faults {
            parts.push("only faults (zf)".to_owned());
        }
        if !list.marks.is_empty() {
            parts.push(format!("{} marked", units::count(list.marks.len() as u64)));
        }
        pen.put(1, 0, &parts.join("  ·  "), Role::Mark);
    }
}

/// The keys that work here and now, by their weight; the last one is always help.
fn footer(state: &State, pen: &mut Pen<'_>) {
    let help = label(state, Id::Help, "help");
    let end = pen.width().saturating_sub(1);
    let x = end.saturating_sub(u16::try_from(width(&help.0) + 1 + width(help.1)).unwrap_or(0));
    let room = x.saturating_sub(2);
    let after = pen.put(x, 0, &help.0, Role::Key);
    pen.put(after + 1, 0, help.1, Role::Dim);
    let scopes = state.scopes();
    let mut shown: Vec<&Command> = REGISTRY
        .iter()
        .filter(|command| command.footer > 0 && command.is_in(&scopes) && (command.enabled)(state).is_ok())
        .filter(|command| state.keymap.sequence(command.id).is_some())
        .collect();
    shown.sort_by_key(|command| std::cmp::Reverse(command.footer));
    let mut x = 1;
    for (i, command) in shown.iter().enumerate() {
        let (keys, title) = label(state, command.id, command.title);
        let danger = if command.risk == Risk::Write { "!" } else { "" };
        let wide = u16::try_from(width(&keys) + 1 + width(title) + danger.len()).unwrap_or(u16::MAX);
        let more = if i + 1 < shown.len() { 3 } else { 0 };
        if x + wide + more > room {
            pen.put(x, 0, "…", Role::Dim);
            break;
        }
        x = pen.put(x, 0, &keys, Role::Key);
        x = pen.put(x, 0, danger, Role::Write);
        x = pen.put(x + 1, 0, title, Role::Dim) + 2;
    }
}

/// The first key of a command in few cells, and its title.
fn label<'t>(state: &State, id: Id, title: &'t str) -> (String, &'t str) {
    let key = state.keymap.keys(id).into_iter().next().unwrap_or_default();
    let unicode = state.theme.glyphs == super::theme::Glyphs::Unicode;
    let key = match key.as_str() {
        "enter" if unicode => "↵".to_owned(),
        key => key.strip_prefix("ctrl-").map_or_else(|| key.to_owned(), |letter| format!("^{letter}")),
    };
    (key, title)
}
