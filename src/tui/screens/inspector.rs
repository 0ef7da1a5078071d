//! One letter or record: what exactly happened to it, and what is in it.
//!
//! The first page shows everything that fits; each part has a page of its own. Payloads are laid out a window
//! at a time, so that one of 20 MB opens at once.

use std::sync::Arc;

use bytes::Bytes;

use super::View as Screen;
use super::asking::Asking;
use super::failure::{self, Frames};
use super::look::{Look, key_text, position};
use super::sections::{decoders, describe, event, payload, section};
use super::subject::{Among, Subject, copy};
use crate::ask::{Answer, Request};
use crate::dlq::groups::Sample;
use crate::event::decode::Base64;
use crate::event::view::Layout;
use crate::event::{Position, Record};
use crate::filter::{Edge, Selection};
use crate::letters::document::LettersRequest;
use crate::letters::lineage::Lineage;
use crate::observe::snapshot::Snapshot;
use crate::records::document::{DecodedRecord, GetAnswer, GetRequest};
use crate::text::units::count;
use crate::text::{Fault, Safe, width};
use crate::tui::command::{Id, Scope};
use crate::tui::hits::Hits;
use crate::tui::state::State;
use crate::tui::theme::Role;
use crate::tui::widgets::Pen;
use crate::tui::widgets::line::{self, Line, Span};
use crate::tui::widgets::pager::{Direction, Found, Pager};

/// Lines of the origin's page that can be scrolled away.
const ORIGIN_LINES: usize = 40;

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    All,
    Key,
    Value,
    Headers,
    Failure,
    Origin,
}

/// The pagers of a subject, made for one width.
#[derive(Clone, Debug)]
struct Pagers {
    key: Pager,
    value: Pager,
    headers: Pager,
    failure: Option<Pager>,
}

/// The screen.
#[derive(Debug)]
pub struct Inspector {
    subject: Option<Subject>,
    /// What lies at the position instead of a record.
    nothing: Option<String>,
    wanted: Option<GetRequest>,
    /// The letter is asked for, and not the bare record.
    letters: Option<LettersRequest>,
    asking: Asking,
    /// Where the letter comes from, once it was asked.
    lineage: Option<Arc<Lineage>>,
    /// Lines of the origin's page that are above the window.
    origin_top: usize,
    among: Among,
    page: Page,
    frames: Frames,
    /// The profile's frames of libraries.
    libraries: Vec<String>,
    cells: u16,
    pagers: Option<Pagers>,
    search: Option<String>,
    /// What key and value are, once that is known.
    decoded: Option<Arc<DecodedRecord>>,
    /// What becomes of base64 in them.
    base64: Base64,
}

/// The request for one letter.
fn one_letter(request: LettersRequest, at: &Sample) -> LettersRequest {
    let selection = Selection {
        partitions: vec![at.partition],
        from: Some(Edge::Offset(at.offset)),
        to: Some(Edge::Offset(at.offset.saturating_add(1))),
        limit: Some(1),
        ..Selection::default()
    };
    LettersRequest { selection, ..request }
}

impl Inspector {
    /// Opens the current one of a list, in a window of so many cells.
    pub fn new(among: Among, cells: u16) -> Self {
        let subject = among.list.get(among.at).cloned();
        let mut inspector = Self { subject, asking: Asking::nothing(), ..Self::empty(cells) };
        inspector.among = among;
        inspector.lay_out();
        inspector
    }

    /// Opens the record at a position.
    pub fn at(position: Position, cells: u16) -> Self {
        Self { wanted: Some(GetRequest { at: position }), ..Self::empty(cells) }
    }

    /// Opens one letter of a failure.
    pub fn sample(request: LettersRequest, sample: Sample, cells: u16) -> Self {
        let at = Position::new(Arc::clone(&request.topic), sample.partition, sample.offset);
        let letters = one_letter(request, &sample);
        Self { wanted: Some(GetRequest { at }), letters: Some(letters), ..Self::empty(cells) }
    }

    /// Asks for the letter that is looked at again: its state may be another one.
    pub fn again(&mut self) {
        let Some(at) = self.letter_at().cloned() else { return };
        let sample = Sample { partition: at.partition, offset: at.offset };
        let request = LettersRequest { topic: at.topic, ..super::plan::all_letters() };
        self.letters = Some(one_letter(request, &sample));
        self.asking.again();
    }

    /// Where the letter is that is looked at.
    pub fn letter_at(&self) -> Option<&Position> {
        match &self.subject {
            Some(Subject::Letter(row)) => Some(&row.letter.record.at),
            _ => None,
        }
    }

    fn empty(cells: u16) -> Self {
        Self {
            subject: None,
            nothing: None,
            wanted: None,
            letters: None,
            asking: Asking::new(),
            lineage: None,
            origin_top: 0,
            among: Among::default(),
            page: Page::All,
            frames: Frames::Folded,
            libraries: Vec::new(),
            cells,
            pagers: None,
            search: None,
            decoded: None,
            base64: Base64::Keep,
        }
    }

    /// What is looked at.
    pub fn subject(&self) -> Option<&Subject> {
        self.subject.as_ref()
    }

    /// Where the record failed first, as far as the letter says it.
    pub fn origin(&self) -> Result<Position, String> {
        let Some(Subject::Letter(row)) = &self.subject else {
            return Err("only a dead letter has an origin".to_owned());
        };
        let unknown = || "the letter does not say where exactly it came from".to_owned();
        row.letter.root.position().ok_or_else(unknown)
    }

    /// Fits everything into another width.
    pub fn resize(&mut self, cells: u16) {
        if self.cells == cells {
            return;
        }
        self.cells = cells;
        if let Some(pagers) = &mut self.pagers {
            pagers.key.resize(cells.saturating_sub(4));
            pagers.value.resize(cells.saturating_sub(4));
            pagers.headers.resize(cells.saturating_sub(4));
        }
        self.failure_again();
    }

    /// Sets what is searched, and goes to the first place; what to tell.
    pub fn search(&mut self, text: &str) -> Option<String> {
        self.search = Some(text.to_owned()).filter(|t| !t.is_empty());
        let search = self.search.clone();
        if let Some(pagers) = &mut self.pagers {
            let failure = pagers.failure.as_mut();
            for pager in [&mut pagers.key, &mut pagers.value, &mut pagers.headers].into_iter().chain(failure)
            {
                pager.search(search.clone());
            }
        }
        self.search.is_some().then(|| self.find(Direction::Forward)).flatten()
    }

    /// Goes to the next place found; what to tell.
    pub fn find(&mut self, direction: Direction) -> Option<String> {
        let Some(wanted) = self.search.clone() else {
            return Some("nothing is searched; / searches".to_owned());
        };
        if self.page == Page::All {
            self.page = Page::Value;
        }
        match self.pager().map(|pager| pager.find(direction)) {
            Some(Found::NotUntil(line)) => {
                Some(format!("no {wanted} up to line {}; n goes on", count(line as u64)))
            }
            Some(Found::Nowhere) => Some(format!("no further {wanted}")),
            Some(Found::At(_)) | None => None,
        }
    }

    /// What is searched.
    pub fn searched(&self) -> Option<&str> {
        self.search.as_deref()
    }

    /// Goes to another section.
    pub fn turn(&mut self, by: isize) {
        let pages = self.pages();
        let at = pages.iter().position(|p| *p == self.page).unwrap_or(0) as isize;
        let to = (at + by).rem_euclid(pages.len() as isize) as usize;
        self.page = pages.get(to).copied().unwrap_or(Page::All);
        self.ask_lineage();
    }

    /// Shows or hides the frames of libraries.
    pub fn unfold(&mut self) {
        if !matches!(self.page, Page::All | Page::Failure) || !self.is_letter() {
            return;
        }
        self.frames = if self.frames == Frames::All { Frames::Folded } else { Frames::All };
        if self.frames == Frames::All {
            self.page = Page::Failure;
        }
        self.failure_again();
    }

    /// Shows a payload as JSON, text or bytes in turn.
    pub fn next_layout(&mut self) {
        if let Some(pager) = self.pager()
            && let Some(layout) = pager.layout()
        {
            pager.set_layout(match layout {
                Layout::Json => Layout::Text,
                Layout::Text => Layout::Hex,
                Layout::Hex => Layout::Json,
            });
        }
    }

    /// Decodes the base64 inside key and value, or shows it as it is.
    pub fn next_base64(&mut self) {
        self.base64 = match self.base64 {
            Base64::Keep => Base64::Decode,
            Base64::Decode => Base64::Keep,
        };
        self.lay_out();
    }

    /// Shows another one of the list; whether there is one.
    pub fn step(&mut self, by: isize) -> bool {
        let at = self.among.at.saturating_add_signed(by);
        if at == self.among.at {
            return false;
        }
        let Some(subject) = self.among.list.get(at).cloned() else { return false };
        self.among.at = at;
        self.subject = Some(subject);
        self.lineage = None;
        self.asking = Asking::nothing();
        self.ask_lineage();
        self.lay_out();
        true
    }

    /// Asks where the letter comes from, once its origin is looked at.
    fn ask_lineage(&mut self) {
        if self.page == Page::Origin && self.is_letter() && self.lineage.is_none() {
            self.asking = Asking::new();
            self.origin_top = 0;
        }
    }

    fn pages(&self) -> Vec<Page> {
        let mut pages = vec![Page::All, Page::Key, Page::Value, Page::Headers];
        if self.is_letter() {
            pages.extend([Page::Failure, Page::Origin]);
        }
        pages
    }

    fn is_letter(&self) -> bool {
        matches!(self.subject, Some(Subject::Letter(_)))
    }

    fn pager(&mut self) -> Option<&mut Pager> {
        let pagers = self.pagers.as_mut()?;
        match self.page {
            Page::All | Page::Value => Some(&mut pagers.value),
            Page::Key => Some(&mut pagers.key),
            Page::Headers => Some(&mut pagers.headers),
            Page::Failure => pagers.failure.as_mut(),
            Page::Origin => None,
        }
    }

    fn lay_out(&mut self) {
        self.decoded = None;
        self.asking.again();
        self.pages_again();
    }

    fn pages_again(&mut self) {
        let Some(subject) = &self.subject else { return };
        let (mut key, mut value) = subject.payload();
        if let Some(decoded) = &self.decoded {
            key = decoded.key.document().or(key);
            value = decoded.value.document().or(value);
        }
        let cells = self.cells.saturating_sub(4);
        let page = |bytes: Option<Bytes>| Pager::payload(bytes.unwrap_or_default(), cells);
        let headers = Pager::lines(failure::headers(subject.record()), cells);
        let before = self.pagers.take().map(|pagers| (pagers.value.wrap(), pagers.headers.wrap()));
        let mut pagers = Pagers { key: page(key), value: page(value), headers, failure: None };
        if let Some((value, headers)) = before {
            pagers.value.set_wrap(value);
            pagers.headers.set_wrap(headers);
        }
        self.pagers = Some(pagers);
        self.failure_again();
        let search = self.search.clone();
        if let Some(pagers) = &mut self.pagers {
            pagers.value.search(search);
        }
    }

    /// Takes the profile's frames of libraries, by which traces are folded.
    pub fn fold_by(&mut self, libraries: &[String]) {
        self.libraries = libraries.to_vec();
        self.failure_again();
    }

    fn failure_again(&mut self) {
        let lines = match &self.subject {
            Some(Subject::Letter(row)) => Some(failure::failure(
                &row.letter,
                self.frames,
                &self.libraries,
                self.cells.saturating_sub(4),
            )),
            _ => None,
        };
        let (search, cells) = (self.search.clone(), self.cells.saturating_sub(4));
        if let Some(pagers) = &mut self.pagers {
            pagers.failure = lines.map(|lines| Pager::lines(lines, cells));
            if let Some(failure) = &mut pagers.failure {
                failure.search(search);
            }
        }
    }

    fn tabs(&self, subject: &Subject) -> Line {
        let (record, (_, value)) = (subject.record(), subject.payload());
        let mut out = Line::new();
        for page in self.pages() {
            let on = page == self.page;
            let role = if on { Role::Select } else { Role::Title };
            if !out.is_empty() {
                out.push(Span::dim(" · "));
            }
            let (word, after) = match page {
                Page::All => ("ALL", None),
                Page::Key => ("KEY", {
                    let key = key_text(record);
                    Some(Span::new(key.text, key.role))
                }),
                Page::Value => ("VALUE", Some(Span::dim(describe(value.as_ref())))),
                Page::Headers => ("HEADERS", Some(Span::dim(record.headers.len().to_string()))),
                Page::Failure => ("FAILURE", None),
                Page::Origin => ("ORIGIN", None),
            };
            out.push(Span::new(word, role));
            if let Some(mut after) = after {
                after.text = Safe::new(&width::cut(after.text.as_str(), 24));
                out.extend([Span::text(" "), after]);
            }
        }
        out
    }

    fn all(&self, pen: &mut Pen<'_>, subject: &Subject, pagers: &Pagers, look: &Look<'_>, hits: &mut Hits) {
        let decoded = self.decoded.as_deref();
        let mut lines = match subject {
            Subject::Letter(row) => failure::summary(row, look),
            Subject::Record(record) => {
                let mut spans = vec![Span::new("record    ", Role::Key), Span::text(position(&record.at))];
                if let Some(time) = record.time {
                    spans.push(Span::dim(format!("   {}", look.times.full(time.at))));
                }
                vec![spans]
            }
        };
        lines.extend(decoders(decoded));
        lines.extend(event(subject.record(), decoded));
        let mut y = 0;
        for spans in &lines {
            line::draw(pen, 1, y, spans);
            y += 1;
        }
        let mut rest = pen.below(y);
        let (_, value) = subject.payload();
        let Some(failure) = &pagers.failure else {
            payload(&mut rest, "value", &pagers.value, value.as_ref(), hits);
            return;
        };
        // The value takes what it needs, the failure up to a half.
        let (wide, height) = (rest.width(), rest.height());
        let lines = |pager: &Pager| u16::try_from(pager.known()).unwrap_or(u16::MAX).saturating_add(1);
        let failing = lines(failure).min(height.div_ceil(2));
        let valued = lines(&pagers.value).min(height - failing);
        section(&mut rest.part(0, valued, wide, height - valued), &[Span::dim("failure")], failure, hits);
        payload(&mut rest.part(0, 0, wide, valued), "value", &pagers.value, value.as_ref(), hits);
    }
}

impl Screen for Inspector {
    fn scope(&self) -> Scope {
        Scope::Inspector
    }

    fn crumb(&self) -> String {
        match (&self.subject, &self.wanted) {
            (Some(subject), _) => position(&subject.record().at),
            (None, Some(wanted)) => position(&wanted.at),
            (None, None) => String::new(),
        }
    }

    fn status(&self, _: &State) -> String {
        let all = self.among.list.len() as u64;
        if all == 0 {
            return String::new();
        }
        format!("{} {} of {}", self.among.of, count(self.among.at as u64 + 1), count(all))
    }

    fn pager_mut(&mut self) -> Option<&mut Pager> {
        self.pager()
    }

    fn scroll(&mut self, by: isize, page: usize) {
        if self.page == Page::Origin {
            self.origin_top = self.origin_top.saturating_add_signed(by).min(ORIGIN_LINES);
            return;
        }
        let Some(pager) = self.pager() else { return };
        match by {
            isize::MIN => pager.scroll_to(0),
            isize::MAX => pager.scroll_to_end(u16::try_from(page).unwrap_or(u16::MAX)),
            by => pager.scroll(by),
        }
    }

    fn resized(&mut self, columns: u16) {
        self.resize(columns);
    }

    fn wants(&mut self, _: &Arc<Snapshot>) -> Option<Request> {
        if !self.asking.due() {
            return None;
        }
        if let Some(subject) = self.subject.as_ref().filter(|_| self.decoded.is_none()) {
            let (key, value) = subject.payload();
            let record = Record { key, value, ..subject.record().clone() };
            return Some(Request::Decode(Arc::new(record), self.base64));
        }
        if let (Page::Origin, Some(Subject::Letter(row))) = (self.page, &self.subject) {
            return Some(Request::Lineage(Arc::clone(&row.letter)));
        }
        let letters = self.letters.clone().map(Request::Letters);
        letters.or_else(|| self.wanted.clone().map(Request::Get))
    }

    fn asking(&self) -> Option<&Asking> {
        Some(&self.asking)
    }

    fn asking_mut(&mut self) -> Option<&mut Asking> {
        Some(&mut self.asking)
    }

    fn answered(&mut self, answer: Result<Answer, Fault>) {
        match self.asking.answered(answer) {
            Some(Answer::Lineage(lineage)) => self.lineage = Some(lineage),
            Some(Answer::Get(answer)) => match &*answer {
                GetAnswer::Found(record) => {
                    self.subject = Some(Subject::Record(Arc::clone(record)));
                    self.lay_out();
                }
                GetAnswer::Nothing { text, .. } => self.nothing = Some(text.clone()),
            },
            Some(Answer::Decoded(answer)) => {
                let asked = self.subject.as_ref().is_some_and(|subject| subject.record().at == answer.at);
                if asked && answer.base64 == self.base64 {
                    let shown = [&answer.key, &answer.value].iter().any(|side| side.document().is_some());
                    self.decoded = Some(answer);
                    if shown {
                        self.pages_again();
                    }
                    if self.page == Page::Origin && self.lineage.is_none() {
                        self.asking.again();
                    }
                } else {
                    // Another one was turned to meanwhile.
                    self.asking.again();
                }
            }
            Some(Answer::Letters(answer)) => match answer.letters.first() {
                Some(row) => {
                    self.subject = Some(Subject::Letter(row.clone()));
                    self.lay_out();
                }
                None => self.nothing = Some("the letter is not there any more".to_owned()),
            },
            _ => {}
        }
    }

    fn is_empty(&self) -> bool {
        self.subject.is_none()
    }

    fn command_line(&self) -> Option<String> {
        let at = match (&self.subject, &self.wanted) {
            (Some(subject), _) => &subject.record().at,
            (None, Some(wanted)) => &wanted.at,
            (None, None) => return None,
        };
        let base64 = if self.base64 == Base64::Decode { " --base64" } else { "" };
        Some(format!("get {} {} {}{base64}", super::plan::quoted(&at.topic), at.partition, at.offset))
    }

    fn copy(&self, what: Id, _: &State) -> Option<String> {
        copy(self.subject.as_ref()?, what)
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
        let (Some(subject), Some(pagers)) = (&self.subject, &self.pagers) else {
            let why = self.nothing.as_deref().unwrap_or_default();
            self.asking.draw(pen, self.nothing.is_some(), why, "esc goes back");
            return;
        };
        let look = Look::of(state);
        line::draw(pen, 1, 0, &self.tabs(subject));
        let mut body = pen.below(1);
        match self.page {
            Page::All => self.all(&mut body, subject, pagers, &look, hits),
            Page::Key => payload(&mut body, "key", &pagers.key, subject.payload().0.as_ref(), hits),
            Page::Value => payload(&mut body, "value", &pagers.value, subject.payload().1.as_ref(), hits),
            Page::Headers => section(&mut body, &[Span::dim("headers")], &pagers.headers, hits),
            Page::Failure => {
                if let Some(failure) = &pagers.failure {
                    section(&mut body, &[Span::dim("failure")], failure, hits);
                }
            }
            Page::Origin => {
                if let Subject::Letter(row) = subject {
                    let lineage = failure::Lineage::of(self.lineage.as_deref(), self.asking.fault());
                    let mut lines = Pager::lines(failure::origins(row, &lineage, &look), 0);
                    lines.scroll_to(self.origin_top);
                    section(&mut body, &[Span::dim("origin")], &lines, hits);
                }
            }
        }
    }
}

/// Draws a record or letter beside its list, as its first page shows it.
pub(super) fn peek(subject: &Subject, state: &State, pen: &mut Pen<'_>) {
    let list = vec![subject.clone()];
    let inspector = Inspector::new(Among { of: "", list, at: 0 }, pen.width());
    inspector.draw(state, pen, &mut Hits::default());
}
