//! The screens: each has a state, what it asks for, and a drawing.

mod overview;
pub mod run;
mod welcome;

use std::sync::Arc;

pub use overview::Overview;
pub use welcome::Welcome;

use super::command::{Id, Scope};
use super::hits::Hits;
use super::message::RequestId;
use super::state::State;
use super::widgets::{List, Pen};
use crate::ask::{Answer, Event, Interest, Request};
use crate::observe::snapshot::Snapshot;
use crate::text::Fault;

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
    /// The number of columns of its list.
    fn columns(&self) -> usize {
        0
    }
    /// Orders its list anew after a new picture, another filter or another order.
    fn refresh(&mut self, _picture: &Arc<Snapshot>) {}
    /// What it wants to ask now; nothing while it waits for an answer.
    fn wants(&mut self, _picture: &Arc<Snapshot>) -> Option<Request> {
        None
    }
    /// Its request got this name.
    fn asked(&mut self, _id: RequestId) {}
    /// The request it waits for.
    fn waits_for(&self) -> Option<RequestId> {
        None
    }
    /// Takes what its request tells.
    fn told(&mut self, _event: Event) {}
    /// So many records of its request were dropped.
    fn dropped(&mut self, _records: u64) {}
    /// Takes its answer.
    fn answered(&mut self, _answer: Result<Answer, Fault>) {}
    /// The command line that shows the same, without the program's name.
    fn command_line(&self) -> Option<String> {
        None
    }
    /// What a copying command copies.
    fn copy(&self, _what: Id, _state: &State) -> Option<String> {
        None
    }
    /// What is on the screen, for the sampler.
    fn interest(&self) -> Interest {
        Interest::default()
    }
}

/// A screen.
#[expect(missing_docs, reason = "each has its own module")]
#[expect(clippy::large_enum_variant, reason = "there are a handful of them")]
pub enum Screen {
    Welcome(Welcome),
    Overview(Overview),
}

impl Screen {
    /// It as what all screens are.
    pub fn view(&self) -> &dyn View {
        match self {
            Self::Welcome(screen) => screen,
            Self::Overview(screen) => screen,
        }
    }

    /// The same, to change it.
    pub fn view_mut(&mut self) -> &mut dyn View {
        match self {
            Self::Welcome(screen) => screen,
            Self::Overview(screen) => screen,
        }
    }
}
