//! The screens: each has a state, what it asks for, and a drawing.

mod asking;
mod compare;
mod dlqs;
mod failure;
mod failures;
pub mod group;
mod groups;
mod inspector;
mod letters;
mod look;
pub mod offsets;
mod overview;
mod panels;
pub mod plan;
mod plan_fields;
mod query;
mod record_rows;
mod records;
mod ring;
pub mod run;
mod runs;
mod sections;
pub mod subject;
mod topic;
mod topics;
mod welcome;

use std::cmp::Ordering;
use std::sync::Arc;

pub use compare::Compare;
pub use dlqs::Dlqs;
pub use failures::{Failures, title as failure_title};
pub use group::Group;
pub use groups::Groups;
pub use inspector::Inspector;
pub use letters::Letters;
pub use offsets::Offsets;
pub use overview::{Leads, Overview};
pub use plan::PlanForm;
pub use records::Records;
pub use run::Run;
pub use runs::Runs;
pub use topic::Topic;
pub use topics::Topics;
pub use welcome::Welcome;

use self::asking::Asking;
use super::command::{Id, Scope};
use super::hits::Hits;
use super::message::RequestId;
use super::state::State;
use super::theme::Role;
use super::widgets::list::{Cell, Source};
use super::widgets::pager::Pager;
use super::widgets::{List, Pen};
use crate::ask::{Answer, Event, Interest, Request};
use crate::observe::snapshot::{Freshness, Snapshot};
use crate::text::Fault;
use crate::text::units::{self, DASH};

/// What all screens are.
pub trait View {
    /// Where its commands are.
    fn scope(&self) -> Scope;
    /// Its name in the crumbs.
    fn crumb(&self) -> String;
    /// What stands on the right of the header, before the freshness.
    fn status(&self, _state: &State) -> String {
        String::new()
    }
    /// Draws it.
    fn draw(&self, state: &State, pen: &mut Pen<'_>, hits: &mut Hits);
    /// Its list.
    fn list(&self) -> Option<&List> {
        None
    }
    /// The same, to change it.
    fn list_mut(&mut self) -> Option<&mut List> {
        None
    }
    /// Whether there is nothing on it to act on.
    fn is_empty(&self) -> bool {
        self.list().is_some_and(|list| list.order.is_empty())
    }
    /// The rows of its list as they are now.
    fn source<'s>(&'s self, _state: &'s State) -> Option<Box<dyn Source + 's>> {
        None
    }
    /// Draws what the row under the cursor is about, beside a list on a wide terminal; whether it has anything.
    fn preview(&self, _state: &State, _pen: &mut Pen<'_>) -> bool {
        false
    }
    /// The long text that keys move in.
    fn pager_mut(&mut self) -> Option<&mut Pager> {
        None
    }
    /// Moves by so many lines where it has no list; `isize::MIN` and `isize::MAX` are the first and the last.
    fn scroll(&mut self, by: isize, page: usize) {
        let Some(pager) = self.pager_mut() else { return };
        match by {
            isize::MIN => pager.scroll_to(0),
            isize::MAX => pager.scroll_to_end(u16::try_from(page).unwrap_or(u16::MAX)),
            by => pager.scroll(by),
        }
    }
    /// Fits what was laid out into so many columns.
    fn resized(&mut self, _columns: u16) {}
    /// Orders its list anew after a new picture, another filter or another order.
    fn refresh(&mut self, _picture: &Arc<Snapshot>) {}
    /// What it wants to ask now; nothing while it waits for an answer.
    fn wants(&mut self, _picture: &Arc<Snapshot>) -> Option<Request> {
        None
    }
    /// Its one request, where it has one.
    fn asking(&self) -> Option<&Asking> {
        None
    }
    /// The same, to change it.
    fn asking_mut(&mut self) -> Option<&mut Asking> {
        None
    }
    /// Its request got this name.
    fn asked(&mut self, id: RequestId) {
        if let Some(asking) = self.asking_mut() {
            asking.asked(id);
        }
    }
    /// The request it waits for.
    fn waits_for(&self) -> Option<RequestId> {
        self.asking()?.waits_for()
    }
    /// Takes what its request tells.
    fn told(&mut self, event: Event) {
        if let Some(asking) = self.asking_mut() {
            asking.told(event);
        }
    }
    /// So many records of its request were dropped.
    fn dropped(&mut self, _records: u64) {}
    /// Takes its answer.
    fn answered(&mut self, _answer: Result<Answer, Fault>) {}
    /// The command line that shows the same, without the program's name.
    fn command_line(&self) -> Option<String> {
        None
    }
    /// What a copying command copies.
    fn copy(&self, what: Id, state: &State) -> Option<String> {
        copy_row(what, self.list()?, &*self.source(state)?)
    }
    /// What is on the screen, for the sampler.
    fn interest(&self) -> Interest {
        Interest::default()
    }
}

/// A screen.
#[expect(missing_docs, reason = "each has its own module")]
pub enum Screen {
    Welcome(Welcome),
    Overview(Overview),
    Failures(Failures),
    Letters(Letters),
    Records(Records),
    Inspector(Box<Inspector>),
    Compare(Box<Compare>),
    Plan(PlanForm),
    Run(Run),
    Runs(Runs),
    Topics(Topics),
    Topic(Topic),
    Groups(Groups),
    Group(Group),
    Dlqs(Dlqs),
    Offsets(Offsets),
}

impl Screen {
    /// It as what all screens are.
    pub fn view(&self) -> &dyn View {
        match self {
            Self::Welcome(screen) => screen,
            Self::Overview(screen) => screen,
            Self::Failures(screen) => screen,
            Self::Letters(screen) => screen,
            Self::Records(screen) => screen,
            Self::Inspector(screen) => &**screen,
            Self::Compare(screen) => &**screen,
            Self::Plan(screen) => screen,
            Self::Run(screen) => screen,
            Self::Runs(screen) => screen,
            Self::Topics(screen) => screen,
            Self::Topic(screen) => screen,
            Self::Groups(screen) => screen,
            Self::Group(screen) => screen,
            Self::Dlqs(screen) => screen,
            Self::Offsets(screen) => screen,
        }
    }

    /// The same, to change it.
    pub fn view_mut(&mut self) -> &mut dyn View {
        match self {
            Self::Welcome(screen) => screen,
            Self::Overview(screen) => screen,
            Self::Failures(screen) => screen,
            Self::Letters(screen) => screen,
            Self::Records(screen) => screen,
            Self::Inspector(screen) => &mut **screen,
            Self::Compare(screen) => &mut **screen,
            Self::Plan(screen) => screen,
            Self::Run(screen) => screen,
            Self::Runs(screen) => screen,
            Self::Topics(screen) => screen,
            Self::Topic(screen) => screen,
            Self::Groups(screen) => screen,
            Self::Group(screen) => screen,
            Self::Dlqs(screen) => screen,
            Self::Offsets(screen) => screen,
        }
    }
}

/// A figure, or a dash where it is not known.
fn figure<T>(value: Option<T>, format: impl FnOnce(T) -> String) -> Cell {
    let role = if value.is_some() { Role::Text } else { Role::Dim };
    Cell::new(units::or_dash(value, format), role)
}

/// A text, or a dash where there is none.
fn words(text: Option<&str>) -> Cell {
    text.map_or_else(|| Cell::new(DASH, Role::Dim), Cell::from)
}

/// Orders figures; what is not known is the least.
fn order(a: Option<f64>, b: Option<f64>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// What copying a row of a list gives: the record that it is about, or its cells with tabs between them, or its key.
fn copy_row(what: Id, list: &List, source: &dyn Source) -> Option<String> {
    let row = list.row()?;
    if let Some(subject) = source.subject(row) {
        return subject::copy(&subject, what);
    }
    match what {
        Id::CopyKey => list.key().map(ToString::to_string),
        Id::CopyRow => {
            let cells = (0..source.columns().len()).map(|column| source.cell(row, column).text);
            Some(cells.collect::<Vec<_>>().join("\t"))
        }
        _ => None,
    }
}

/// Why a list of the picture is empty, and what to do.
fn empty(state: &State, list: &List, pen: &mut Pen<'_>, what: &str, hint: &str) {
    let (text, hint) = match &state.picture.freshness {
        _ if list.total > 0 => {
            (format!("nothing passes the filter /{}", list.filter.text()), "esc takes it away".to_owned())
        }
        Freshness::Starting => ("looking at the cluster for the first time…".to_owned(), String::new()),
        Freshness::Stale { why, .. } => (format!("not known: {why}"), "ctrl-r looks again".to_owned()),
        Freshness::Live => (what.to_owned(), hint.to_owned()),
    };
    pen.put(2, 1, &text, Role::Title);
    pen.put(2, 2, &hint, Role::Dim);
}
