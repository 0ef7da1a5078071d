//! What a screen asks: when it is due, what it waits for, how far that is, and how it failed.

use crate::ask::{Answer, Event};
use crate::context::Progress;
use crate::text::units::{self, count};
use crate::text::{Fault, Safe};
use crate::tui::message::RequestId;
use crate::tui::theme::Role;
use crate::tui::widgets::Pen;
use crate::tui::widgets::line::wrap;

/// The one request of a screen.
#[derive(Debug)]
pub struct Asking {
    due: bool,
    waits: Option<RequestId>,
    progress: Option<Progress>,
    fault: Option<Fault>,
}

impl Default for Asking {
    fn default() -> Self {
        Self::new()
    }
}

impl Asking {
    /// A request that is due.
    pub fn new() -> Self {
        Self { due: true, waits: None, progress: None, fault: None }
    }

    /// Nothing to ask.
    pub fn nothing() -> Self {
        Self { due: false, ..Self::new() }
    }

    /// Asks again, after the answer that it waits for.
    pub fn again(&mut self) {
        self.due = true;
    }

    /// Forgets the answer that it waits for, and asks again; the request to take back.
    pub fn instead(&mut self) -> Option<RequestId> {
        self.due = true;
        self.progress = None;
        self.waits.take()
    }

    /// Whether to ask now.
    pub fn due(&self) -> bool {
        self.due && self.waits.is_none()
    }

    /// The request got this name.
    pub fn asked(&mut self, id: RequestId) {
        (self.due, self.waits) = (false, Some(id));
    }

    /// The request that it waits for.
    pub fn waits_for(&self) -> Option<RequestId> {
        self.waits
    }

    /// Takes how far it is.
    pub fn told(&mut self, event: Event) {
        if let Event::Progress(progress) = event {
            self.progress = Some(progress);
        }
    }

    /// Takes the answer; a fault stays here.
    pub fn answered(&mut self, answer: Result<Answer, Fault>) -> Option<Answer> {
        (self.waits, self.progress) = (None, None);
        match answer {
            Ok(answer) => {
                self.fault = None;
                Some(answer)
            }
            Err(fault) => {
                self.fault = Some(fault);
                None
            }
        }
    }

    /// How it failed last.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// How far it is.
    pub fn progress(&self) -> Option<&Progress> {
        self.progress.as_ref()
    }

    /// Draws why there is nothing to see: it failed, it is under way, or there is nothing (`why`, and what to do).
    pub fn draw(&self, pen: &mut Pen<'_>, answered: bool, why: &str, hint: &str) {
        if let Some(wrong) = &self.fault {
            fault(pen, wrong);
        } else if answered {
            pen.put(2, 1, why, Role::Text);
            pen.put(2, 2, hint, Role::Dim);
        } else {
            pen.put(2, 1, &self.words(), Role::Dim);
        }
    }

    /// How far it is, in words.
    pub fn words(&self) -> String {
        let Some(progress) = &self.progress else { return "reading …".to_owned() };
        let total = progress.total.map(|total| format!(" of {}", count(total))).unwrap_or_default();
        let bytes =
            if progress.bytes > 0 { format!(" · {}", units::bytes(progress.bytes)) } else { String::new() };
        let waiting =
            progress.waiting.as_ref().map(|what| format!(" · waits for {what}")).unwrap_or_default();
        format!("{} … {}{total}{bytes}{waiting}", progress.what, count(progress.done))
    }
}

/// Draws a fault: what, why, and what to do.
pub fn fault(pen: &mut Pen<'_>, fault: &Fault) {
    let cells = usize::from(pen.width().saturating_sub(4));
    let mut y = 1;
    for (text, role) in [(&fault.what, Role::Fail), (&fault.why, Role::Text), (&fault.hint, Role::Dim)] {
        if text.is_empty() {
            continue;
        }
        for text in wrap(Safe::new(text).as_str(), cells, 4) {
            pen.put(2, y, &text, role);
            y += 1;
        }
    }
}
