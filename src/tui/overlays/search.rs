//! The form of a search: what is read of a topic, and how much that is, before it begins.
//!
//! What is wrong is told at its place, before the broker is asked anything. The estimate is asked for when a field is
//! left, so that typing costs nothing.

use std::sync::Arc;

use bytes::Bytes;
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Stays, framed};
use crate::ask::{Answer, Request};
use crate::config::nearest;
use crate::filter::jq::Program;
use crate::filter::{Edge, Selection, partitions};
use crate::records::document::{EstimateAnswer, TailRequest, Wanted};
use crate::text::{Fault, Safe, Timestamp};
use crate::tui::keymap::{Chord, Code};
use crate::tui::message::{Effect, RequestId};
use crate::tui::screens::{Records, Screen};
use crate::tui::state::State;
use crate::tui::theme::Role;
use crate::tui::widgets::line::wrap;
use crate::tui::widgets::{Input, Pen};

/// Cells inside the form.
const WIDTH: u16 = 60;
/// Cells of a label.
const LABEL: u16 = 12;
/// Lines for what is wrong, or for the estimate.
const TOLD: u16 = 3;

/// The fields, in order.
const FIELDS: [&str; 9] =
    ["topic", "key", "contains", "where (jq)", "from", "to", "partitions", "isolation", "limit"];
const TOPIC: usize = 0;
const KEY: usize = 1;
const CONTAINS: usize = 2;
const WHERE: usize = 3;
const FROM: usize = 4;
const TO: usize = 5;
const PARTITIONS: usize = 6;
const ISOLATION: usize = 7;
const LIMIT: usize = 8;

const COMMITTED: &str = "read_committed";
const UNCOMMITTED: &str = "read_uncommitted";

/// What an edge may be, for completion.
const EDGES: [&str; 8] = ["beginning", "end", "-100", "@-15m", "@-1h", "@-1d", "@today", "offset:"];
/// Paths of a record's document, for completion.
const PATHS: [&str; 14] = [
    ".value",
    ".key",
    ".headers",
    ".topic",
    ".partition",
    ".offset",
    ".timestamp",
    ".event.type",
    ".event.id",
    ".event.correlation_id",
    ".event.aggregate_id",
    ".event.trace_id",
    ".dead_letter.error_class",
    ".dead_letter.group",
];

/// What was typed into the fields, as history keeps it.
pub type Typed = [String; FIELDS.len()];

/// How much it would read.
#[derive(Clone, Debug)]
enum Estimate {
    Unknown,
    Waits(RequestId),
    Told(Result<Arc<EstimateAnswer>, Fault>),
}

/// The form.
#[derive(Clone, Debug)]
pub struct Search {
    fields: Vec<Input>,
    at: usize,
    /// The field that is wrong, and why.
    wrong: Option<(usize, String)>,
    estimate: Estimate,
    /// What was estimated last.
    estimated: Option<Typed>,
    /// How far back in the history it is, and what was typed before.
    back: usize,
    own: Typed,
}

impl Search {
    /// A form on a topic, with what is read of it now.
    pub fn new(state: &mut State, topic: &str, now: &Selection, effects: &mut Vec<Effect>) -> Self {
        let text = |bytes: &Option<Bytes>| bytes.as_ref().map(|b| Safe::from_bytes(b).to_string());
        let edge = |edge: &Option<Edge>| edge.as_ref().map(ToString::to_string);
        let numbers: Vec<String> = now.partitions.iter().map(ToString::to_string).collect();
        let isolation = if now.uncommitted { UNCOMMITTED } else { COMMITTED };
        let typed: [Option<String>; FIELDS.len()] = [
            Some(topic.to_owned()),
            text(&now.key),
            text(&now.contains),
            now.filter.clone(),
            edge(&now.from),
            edge(&now.to),
            Some(numbers.join(",")),
            Some(isolation.to_owned()),
            now.limit.map(|limit| limit.to_string()),
        ];
        let own = typed.map(Option::unwrap_or_default);
        let mut form = Self {
            fields: own.iter().map(|text| Input::new(text)).collect(),
            at: if topic.is_empty() { TOPIC } else { KEY },
            wrong: None,
            estimate: Estimate::Unknown,
            estimated: None,
            back: 0,
            own,
        };
        form.look(state, effects);
        form
    }

    fn text(&self, field: usize) -> &str {
        self.fields.get(field).map_or("", Input::text)
    }

    fn typed(&self) -> Typed {
        std::array::from_fn(|field| self.text(field).to_owned())
    }

    /// The request that its estimate waits for.
    pub fn waits_for(&self) -> Option<RequestId> {
        match self.estimate {
            Estimate::Waits(id) => Some(id),
            Estimate::Unknown | Estimate::Told(_) => None,
        }
    }

    /// Takes the estimate.
    pub fn answered(&mut self, answer: Result<Answer, Fault>) {
        self.estimate = match answer {
            Ok(Answer::Estimate(answer)) => Estimate::Told(Ok(answer)),
            Ok(_) => Estimate::Unknown,
            Err(fault) => Estimate::Told(Err(fault)),
        };
    }

    /// What the fields say; the error names the field and says what is wrong.
    fn request(&self, state: &State) -> Result<TailRequest, (usize, String)> {
        let topic = self.text(TOPIC).trim();
        let there = || state.picture.topics.iter().map(|row| &*row.name);
        if topic.is_empty() {
            return Err((TOPIC, "the name of a topic is needed".to_owned()));
        }
        if there().next().is_some() && !there().any(|name| name == topic) {
            let near = nearest(topic, there()).map(|near| format!(" (did you mean {near}?)"));
            return Err((TOPIC, format!("there is no topic {topic}{}", near.unwrap_or_default())));
        }
        let selection = self.selection(state.now)?;
        Ok(TailRequest {
            topics: vec![topic.into()],
            selection,
            follow: false,
            wanted: Wanted::Whole,
            after: Vec::new(),
        })
    }

    fn selection(&self, now: Timestamp) -> Result<Selection, (usize, String)> {
        let zone = TimeZone::system();
        let some = |field: usize| Some(self.text(field)).filter(|text| !text.is_empty());
        let edge = |field: usize| {
            let text = some(field).map(str::trim).filter(|text| !text.is_empty());
            text.map(|text| Edge::parse(text, now, &zone).map_err(|why| (field, why))).transpose()
        };
        let bytes = |field: usize| some(field).map(|text| Bytes::copy_from_slice(text.as_bytes()));
        let filter = some(WHERE).map(str::trim).filter(|text| !text.is_empty());
        if let Some(code) = filter {
            Program::condition(code, "where")
                .map_err(|fault| (WHERE, format!("{}\n{}", fault.what, fault.why)))?;
        }
        let number = |text: &str| {
            let number: Option<u64> = text.trim().replace(',', "").parse().ok();
            number.filter(|n| *n > 0).ok_or((LIMIT, "a whole number above 0 was expected".to_owned()))
        };
        let uncommitted = match self.text(ISOLATION).trim() {
            COMMITTED | "" => false,
            UNCOMMITTED => true,
            _ => return Err((ISOLATION, format!("{COMMITTED} or {UNCOMMITTED} was expected"))),
        };
        Ok(Selection {
            partitions: some(PARTITIONS)
                .map_or(Ok(Vec::new()), partitions)
                .map_err(|why| (PARTITIONS, why))?,
            from: edge(FROM)?.or(Some(Edge::Beginning)),
            to: edge(TO)?,
            key: bytes(KEY),
            all_partitions: false,
            contains: bytes(CONTAINS),
            filter: filter.map(str::to_owned),
            limit: some(LIMIT).map(number).transpose()?,
            uncommitted,
        })
    }

    /// Checks what was typed, and asks how much it would read, where that changed.
    fn look(&mut self, state: &mut State, effects: &mut Vec<Effect>) {
        let request = match self.request(state) {
            Ok(request) => request,
            Err(wrong) => {
                // A form that is still empty is not wrong.
                self.wrong = Some(wrong).filter(|(field, _)| !self.text(*field).is_empty());
                return;
            }
        };
        self.wrong = None;
        let typed = self.typed();
        if self.estimated.as_ref() != Some(&typed) {
            effects.extend(self.waits_for().map(Effect::Cancel));
            self.estimate = Estimate::Waits(state.request(Request::Estimate(request), effects));
            self.estimated = Some(typed);
        }
    }

    /// Takes a key.
    pub fn press(&mut self, state: &mut State, chord: Chord, effects: &mut Vec<Effect>) -> Stays {
        match (chord.code, chord.ctrl) {
            (Code::Esc, _) | (Code::Char('c'), true) => {
                effects.extend(self.waits_for().map(Effect::Cancel));
                return Stays::No;
            }
            (Code::Enter, _) => return self.go(state, effects),
            (Code::Tab | Code::Down, _) => self.step(state, 1, effects),
            (Code::BackTab | Code::Up, _) => self.step(state, FIELDS.len() - 1, effects),
            (Code::Char('p'), true) => self.turn(state, self.back + 1, effects),
            (Code::Char('n'), true) => self.turn(state, self.back.saturating_sub(1), effects),
            (Code::Char(' ') | Code::Left | Code::Right, false) if self.at == ISOLATION => {
                let other = if self.text(ISOLATION) == UNCOMMITTED { COMMITTED } else { UNCOMMITTED };
                self.set(ISOLATION, other);
            }
            (Code::Right | Code::End, _) | (Code::Char('e'), true) => self.complete(state, chord),
            _ => self.type_into(chord),
        }
        Stays::Yes
    }

    fn set(&mut self, field: usize, text: &str) {
        if let Some(input) = self.fields.get_mut(field) {
            input.set(text);
        }
    }

    fn type_into(&mut self, chord: Chord) {
        if self.wrong.as_ref().is_some_and(|(field, _)| *field == self.at) {
            self.wrong = None;
        }
        if let Some(input) = self.fields.get_mut(self.at) {
            input.press(chord);
        }
    }

    /// Takes a pasted text.
    pub fn paste(&mut self, text: &str) {
        if let Some(input) = self.fields.get_mut(self.at) {
            input.paste(text);
        }
    }

    fn step(&mut self, state: &mut State, by: usize, effects: &mut Vec<Effect>) {
        self.at = (self.at + by) % FIELDS.len();
        self.look(state, effects);
    }

    /// Goes through the history: 0 is what was typed here, 1 the latest search.
    fn turn(&mut self, state: &mut State, to: usize, effects: &mut Vec<Effect>) {
        if self.back == 0 {
            self.own = self.typed();
        }
        let typed = match to.checked_sub(1) {
            None => self.own.clone(),
            Some(ago) => match state.searches.iter().rev().nth(ago) {
                Some(typed) => typed.clone(),
                None => return,
            },
        };
        self.back = to;
        for (field, text) in typed.iter().enumerate() {
            self.set(field, text);
        }
        self.look(state, effects);
    }

    /// Takes what is proposed, where the cursor is at the end.
    fn complete(&mut self, state: &State, chord: Chord) {
        let rest = self.proposal(state);
        match (rest, self.fields.get_mut(self.at)) {
            (Some(rest), Some(input)) if input.before().len() == input.text().len() => {
                let text = format!("{}{rest}", input.text());
                input.set(&text);
            }
            _ => self.type_into(chord),
        }
    }

    /// What could follow what was typed.
    fn proposal(&self, state: &State) -> Option<String> {
        let text = self.text(self.at);
        let following = |typed: &str, candidates: &mut dyn Iterator<Item = &str>| {
            let fits = candidates.filter_map(|name| name.strip_prefix(typed)).filter(|rest| !rest.is_empty());
            fits.min_by_key(|rest| rest.len()).map(str::to_owned)
        };
        match self.at {
            _ if text.is_empty() => None,
            TOPIC => following(text, &mut state.picture.topics.iter().map(|row| &*row.name)),
            FROM | TO => following(text, &mut EDGES.into_iter()),
            WHERE => {
                let is_path = |c: char| c.is_alphanumeric() || c == '.' || c == '_';
                let typed = text.rsplit(|c| !is_path(c)).next().filter(|typed| typed.starts_with('.'))?;
                following(typed, &mut PATHS.into_iter())
            }
            _ => None,
        }
    }

    fn go(&mut self, state: &mut State, effects: &mut Vec<Effect>) -> Stays {
        let request = match self.request(state) {
            Ok(request) => request,
            Err((field, why)) => {
                self.at = field;
                self.wrong = Some((field, why));
                return Stays::Yes;
            }
        };
        effects.extend(self.waits_for().map(Effect::Cancel));
        let typed = self.typed();
        state.searches.retain(|other| *other != typed);
        state.searches.push(typed.clone());
        effects.push(Effect::Remember(Box::new(typed)));
        match state.screen_mut() {
            Screen::Records(records) if records.topics() == request.topics => {
                effects.extend(records.search(request).map(Effect::Cancel));
            }
            _ => crate::tui::act::push(state, Screen::Records(Records::new(request))),
        }
        Stays::No
    }

    /// Draws it over `body`.
    pub fn draw(&self, state: &State, buffer: &mut Buffer, body: Rect) {
        let height = FIELDS.len() as u16 + TOLD + 2;
        let mut pen = framed(buffer, state, body, (WIDTH, height), "search");
        for (field, label) in FIELDS.iter().enumerate() {
            let y = field as u16;
            let wrong = self.wrong.as_ref().is_some_and(|(wrong, _)| *wrong == field);
            let role = match (wrong, field == self.at) {
                (true, _) => Role::Fail,
                (false, true) => Role::Key,
                (false, false) => Role::Dim,
            };
            pen.cell(0, y, LABEL, label, role);
            self.field(state, &mut pen, field);
        }
        let mut y = FIELDS.len() as u16;
        y += 1;
        for (text, role) in self.told() {
            for line in text.lines().flat_map(|line| wrap(line, usize::from(WIDTH), usize::from(TOLD))) {
                if y <= FIELDS.len() as u16 + TOLD {
                    pen.put(0, y, &line, role);
                    y += 1;
                }
            }
        }
        let hint = "enter searches  tab next  → completes  ^p history  esc";
        let hint = if state.theme.glyphs == crate::tui::theme::Glyphs::Ascii {
            hint.replace('→', ">")
        } else {
            hint.to_owned()
        };
        pen.put(0, height - 1, &hint, Role::Dim);
    }

    fn field(&self, state: &State, pen: &mut Pen<'_>, field: usize) {
        let y = field as u16;
        let Some(input) = self.fields.get(field) else { return };
        let room = usize::from(pen.width().saturating_sub(LABEL + 1));
        if field != self.at {
            pen.cell(LABEL, y, room as u16, input.text(), Role::Text);
            return;
        }
        // What stands before the cursor is what one wants to see.
        let before = input.before();
        let chars = before.chars().count();
        let seen: String = before.chars().skip(chars.saturating_sub(room.saturating_sub(1))).collect();
        let x = pen.put(LABEL, y, &seen, Role::Text);
        let behind = input.text().get(before.len()..).unwrap_or_default();
        let end = pen.put(x, y, &format!("{behind} "), Role::Text);
        pen.shade(x, y, 1, Role::Select);
        if let Some(rest) = self.proposal(state).filter(|_| behind.is_empty()) {
            pen.put(end, y, &rest, Role::Dim);
        }
    }

    fn told(&self) -> Vec<(String, Role)> {
        if let Some((_, why)) = &self.wrong {
            return vec![(why.clone(), Role::Fail)];
        }
        match &self.estimate {
            Estimate::Unknown => Vec::new(),
            Estimate::Waits(_) => vec![("looking how much that is …".to_owned(), Role::Dim)],
            Estimate::Told(Err(fault)) => vec![(fault.to_string(), Role::Warn)],
            Estimate::Told(Ok(answer)) => {
                let mut out = vec![(format!("reads {}", answer.words()), Role::Text)];
                out.extend(answer.notes.iter().map(|note| (note.clone(), Role::Dim)));
                out
            }
        }
    }
}
