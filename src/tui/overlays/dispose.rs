//! The dialog before letters are discarded, parked or released: which, why, and who agrees. Enter alone cancels.

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Stays, framed};
use crate::ask::{Answer, Request};
use crate::redrive::disposal::{Act, DisposalAnswer, DisposeRequest};
use crate::text::Fault;
use crate::text::units::count;
use crate::tui::keymap::{Chord, Code};
use crate::tui::message::{Effect, RequestId};
use crate::tui::state::State;
use crate::tui::theme::{Role, Sign};
use crate::tui::widgets::line::wrap;
use crate::tui::widgets::{Input, Pen};

/// Cells inside the dialog.
const WIDTH: u16 = 60;
/// More letters than this are agreed to by typing their number.
const MANY: u64 = 1_000;
/// Failures that are listed.
const MOST_LISTED: usize = 3;

/// What is under the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Cancel,
    Reason,
    Count,
    Go,
}

/// The dialog.
#[derive(Clone, Debug)]
pub struct Dispose {
    act: Act,
    topic: Arc<str>,
    /// The preview is asked for under this name.
    waits: RequestId,
    preview: Option<Result<Arc<DisposalAnswer>, Fault>>,
    field: Field,
    reason: Input,
    typed: Input,
    /// Frames drawn when it was opened: what was typed before it was seen is not meant for it.
    opened: u64,
}

impl Dispose {
    /// A dialog that waits for its preview; *Cancel* is chosen.
    pub fn new(act: Act, topic: &Arc<str>, waits: RequestId, state: &State) -> Self {
        Self {
            act,
            topic: Arc::clone(topic),
            waits,
            preview: None,
            field: Field::Cancel,
            reason: Input::default(),
            typed: Input::default(),
            opened: state.frames,
        }
    }

    /// The request that it waits for.
    pub fn waits_for(&self) -> RequestId {
        self.waits
    }

    /// Takes the preview.
    pub fn answered(&mut self, answer: Result<Answer, Fault>) {
        self.preview = match answer {
            Ok(Answer::Disposal(answer)) => Some(Ok(answer)),
            Ok(_) => None,
            Err(fault) => Some(Err(fault)),
        };
    }

    fn letters(&self) -> Option<&Arc<DisposalAnswer>> {
        self.preview.as_ref()?.as_ref().ok().filter(|answer| answer.selected > 0)
    }

    /// The number that must be typed; `None` where the button is enough.
    fn to_type(&self, state: &State) -> Option<u64> {
        let selected = self.letters()?.selected;
        let protected = state.seat.as_ref().is_some_and(|seat| seat.profile.protected);
        (protected || self.act == Act::Discard || selected > MANY).then_some(selected)
    }

    fn is_ready(&self, state: &State) -> bool {
        let digits: String = self.typed.text().chars().filter(|c| !matches!(c, ',' | ' ')).collect();
        self.letters().is_some()
            && !self.reason.text().trim().is_empty()
            && self.to_type(state).is_none_or(|count| digits == count.to_string())
    }

    fn step(&mut self, state: &State, by: isize) {
        let mut fields = vec![Field::Cancel, Field::Reason];
        fields.extend(self.to_type(state).map(|_| Field::Count));
        fields.push(Field::Go);
        let at = fields.iter().position(|f| *f == self.field).unwrap_or(0) as isize;
        let to = (at + by).rem_euclid(fields.len() as isize) as usize;
        self.field = fields.get(to).copied().unwrap_or(Field::Cancel);
    }

    /// Takes a key.
    pub fn press(&mut self, state: &mut State, chord: Chord, effects: &mut Vec<Effect>) -> Stays {
        if state.frames <= self.opened {
            return Stays::Yes;
        }
        match (chord.code, chord.ctrl) {
            (Code::Esc, _) | (Code::Char('c'), true) => return self.cancelled(state, effects),
            (Code::Enter, _) => match self.field {
                Field::Cancel => return self.cancelled(state, effects),
                Field::Go if self.is_ready(state) => {
                    self.go(state, effects);
                    return Stays::No;
                }
                Field::Go => state.tell(Sign::Warn, "a reason and the number are needed first"),
                Field::Reason | Field::Count => self.step(state, 1),
            },
            (Code::Tab | Code::Down, _) => self.step(state, 1),
            (Code::BackTab | Code::Up, _) => self.step(state, -1),
            _ => self.type_into(chord),
        }
        Stays::Yes
    }

    fn type_into(&mut self, chord: Chord) {
        match (self.field, chord.code) {
            (Field::Count, _) => {
                self.typed.press(chord);
            }
            (Field::Reason, _) => {
                self.reason.press(chord);
            }
            // A reason is typed without going there first.
            (Field::Cancel, Code::Char(_)) if !chord.ctrl && !chord.alt => {
                self.field = Field::Reason;
                self.reason.press(chord);
            }
            _ => {}
        }
    }

    /// Takes a pasted text.
    pub fn paste(&mut self, text: &str) {
        match self.field {
            Field::Count => self.typed.paste(text),
            Field::Cancel | Field::Reason => {
                self.field = Field::Reason;
                self.reason.paste(text);
            }
            Field::Go => {}
        }
    }

    fn cancelled(&self, state: &mut State, effects: &mut Vec<Effect>) -> Stays {
        if self.preview.is_none() {
            effects.push(Effect::Cancel(self.waits));
        }
        state.tell(Sign::Ok, "cancelled: nothing was written");
        Stays::No
    }

    fn go(&self, state: &mut State, effects: &mut Vec<Effect>) {
        let Some(shown) = self.letters() else { return };
        let request = DisposeRequest {
            disposal: Arc::clone(&shown.disposal),
            reason: self.reason.text().trim().to_owned(),
            force: Vec::new(),
            take_over: false,
        };
        crate::tui::disposals::begin(state, Request::Dispose(request), &shown.disposal, effects);
    }

    fn lines(&self, profile: &str) -> Vec<(String, Role)> {
        let text = |text: String| (text, Role::Text);
        let title =
            |what: String| (format!("{} {what} of {} on {profile}", verb(self.act), self.topic), Role::Title);
        let answer = match &self.preview {
            None => return vec![title("letters".to_owned()), ("looking which …".to_owned(), Role::Dim)],
            Some(Err(fault)) => {
                let mut out = vec![title("letters".to_owned()), (fault.to_string(), Role::Fail)];
                if !fault.hint.is_empty() {
                    out.push((fault.hint.clone(), Role::Dim));
                }
                return out;
            }
            Some(Ok(answer)) => answer,
        };
        let mut out = vec![title(super::super::screens::plan::letters(answer.selected))];
        for tally in answer.by_failure.iter().take(MOST_LISTED) {
            out.push(text(format!("{:>7}  {}", count(tally.count), tally.name)));
        }
        let more = answer.by_failure.len().saturating_sub(MOST_LISTED);
        if more > 0 {
            out.push(text(format!("         and {more} more failures")));
        }
        for (state, skipped) in &answer.skipped {
            out.push((format!("{:>7}  {state}: left as they are", count(*skipped)), Role::Dim));
        }
        out.extend(answer.warnings.iter().map(|warning| (warning.clone(), Role::Warn)));
        out.push((
            match self.act {
                Act::Discard => "No run sends them any more; releasing them takes it back.",
                Act::Park => "No run sends them until they are released.",
                Act::Release => "They count as pending again.",
            }
            .to_owned(),
            Role::Text,
        ));
        out
    }

    /// Draws it over `body`.
    pub fn draw(&self, state: &State, buffer: &mut Buffer, body: Rect) {
        let profile = state.seat.as_ref().map_or("", |seat| &seat.profile.name);
        let lines: Vec<(String, Role)> = self
            .lines(profile)
            .into_iter()
            .flat_map(|(text, role)| wrap(&text, usize::from(WIDTH), 3).into_iter().map(move |l| (l, role)))
            .collect();
        let to_type = self.to_type(state);
        // Where a terminal is small, the fields stay and the list is cut.
        let fields = 4 + u16::from(to_type.is_some());
        let room = body.height.saturating_sub(2 + fields);
        let shown = u16::try_from(lines.len()).unwrap_or(room).min(room);
        let title = verb(self.act);
        let mut pen = framed(buffer, state, body, (WIDTH, shown + fields), title);
        let mut y = 0;
        for (line, role) in lines.iter().take(usize::from(shown)) {
            pen.put(0, y, line, *role);
            y += 1;
        }
        y += 1;
        input(&mut pen, y, "Reason: ", &self.reason, self.field == Field::Reason);
        y += 1;
        if let Some(count) = to_type {
            input(&mut pen, y, &format!("Type {count} to agree: "), &self.typed, self.field == Field::Count);
            y += 1;
        }
        y += 1;
        let letters = self.letters().map_or_else(|| "0".to_owned(), |answer| count(answer.selected));
        let go = format!("[ {} {letters} ]", verb(self.act));
        let end = pen.put(0, y, "[ Cancel ]", Role::Text);
        let go_end = pen.put(end + 3, y, &go, if self.is_ready(state) { Role::Write } else { Role::Dim });
        match self.field {
            Field::Cancel => pen.shade(0, y, end, Role::Select),
            Field::Go => pen.shade(end + 3, y, go_end - end - 3, Role::Select),
            Field::Reason | Field::Count => {}
        }
        pen.put(go_end + 3, y, "tab changes", Role::Dim);
    }
}

fn input(pen: &mut Pen<'_>, y: u16, label: &str, input: &Input, focused: bool) {
    let x = pen.put(0, y, label, Role::Warn);
    let room = usize::from(pen.width().saturating_sub(x + 1));
    // The end of what was typed is what one wants to see.
    let text = input.text();
    let wide = crate::text::width::width(text);
    let shown: String = if wide <= room {
        text.to_owned()
    } else {
        text.chars().skip(text.chars().count() - room.min(text.chars().count())).collect()
    };
    let x = pen.put(x, y, &shown, Role::Text);
    if focused {
        pen.put(x, y, "▌", Role::Key);
    }
}

fn verb(act: Act) -> &'static str {
    match act {
        Act::Discard => "Discard",
        Act::Park => "Park",
        Act::Release => "Release",
    }
}
