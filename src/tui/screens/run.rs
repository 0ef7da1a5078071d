//! A redrive run: is it working?

use std::sync::Arc;

use super::super::message::RequestId;
use super::super::theme::Role;
use crate::redrive::document::RunAnswer;
use crate::text::{Fault, units};

/// A run that was started here. It is the console's and not the screen's: leaving the screen does not stop it.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its request.
    pub id: RequestId,
    /// Dead-letter topic.
    pub topic: Arc<str>,
    /// Letters of the plan.
    pub planned: u64,
    /// How far it is.
    pub latest: Option<Box<RunAnswer>>,
    /// Whether it was asked to stop.
    pub stopping: bool,
    /// How it ended.
    pub ended: Option<Result<(), Fault>>,
}

impl Job {
    /// What the header says of it, while it is under way.
    pub fn badge(&self) -> Option<(String, Role)> {
        if self.ended.is_some() {
            return None;
        }
        let done = self.latest.as_ref().map_or(0, |latest| latest.redriven);
        Some((format!("run {}/{}", units::count(done), units::count(self.planned)), Role::Write))
    }
}
