//! What happens, and what is to be done about it: all that goes into and comes out of `update`.

use std::path::PathBuf;
use std::sync::Arc;

use super::editing::Sheet;
use super::hits::Hits;
use super::keymap::Chord;
use super::listing::Listing;
use super::overlays::search::Typed;
use crate::ask::{Answer, Event, ExtraCommand, Request};
use crate::config::keep::Decision;
use crate::observe::snapshot::Snapshot;
use crate::redrive::plan::Plan;
use crate::text::{Fault, Timestamp};

/// Names a request, so that a late answer finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// What the mouse did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouse {
    /// The left button went down.
    Click,
    /// The wheel turned by so many lines, down is positive.
    Wheel(isize),
}

/// What happens.
#[derive(Clone, Debug)]
pub enum Message {
    /// The time.
    Clock(Timestamp),
    /// A key.
    Key(Chord),
    /// A pasted text.
    Paste(String),
    /// The mouse, at column and line.
    Mouse(Mouse, u16, u16),
    /// The terminal has another size now: columns and lines.
    Resized(u16, u16),
    /// The terminal got or lost the focus.
    Focus(bool),
    /// A picture of the cluster.
    Snapshot(Arc<Snapshot>),
    /// What a request tells before its answer.
    Told(RequestId, Event),
    /// So many records of a request were dropped, because they came faster than they were taken.
    Dropped(RequestId, u64),
    /// A request's answer.
    Done(RequestId, Box<Result<Answer, Fault>>),
    /// The added commands, as they are possible now.
    Extras(Vec<ExtraCommand>),
    /// What became of an effect without an answer of its own.
    Said(Result<String, Fault>),
    /// What the operator's editor has left of a letter.
    Edited(Sheet, Result<String, Fault>),
    /// A frame was drawn.
    Drawn(Hits),
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Ask the desk.
    Ask(RequestId, Box<Request>),
    /// Take a request back.
    Cancel(RequestId),
    /// Look at the cluster now.
    Refresh,
    /// Say which added commands there are.
    Extras,
    /// Do an added command.
    Extra(String),
    /// Copy a text to the clipboard.
    Copy(String),
    /// Save a plan.
    Save(Arc<Plan>, PathBuf),
    /// Save what is shown of a list.
    SaveList(Listing, PathBuf),
    /// Keep a search for later sessions.
    Remember(Box<Typed>),
    /// Show a text in the operator's pager.
    Page(String),
    /// Let the operator edit a letter.
    Edit(Sheet),
    /// Keep in the profile whether a topic is one of dead letters.
    Decide(Arc<str>, Decision),
    /// Draw everything anew.
    Redraw,
    /// Take the mouse, or leave it.
    Mouse(bool),
    /// Stop until the shell goes on with us.
    Suspend,
    /// End.
    Quit,
}
