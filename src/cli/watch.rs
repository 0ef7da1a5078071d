//! Pictures for commands: one made from a few looks, or one after the other (`--watch`).

use std::time::Duration;

use super::Session;
use super::exit::{Done, Ended, Stop};
use super::output::Format;
use crate::ask::{Desk, Event, Exposure, Interest};
use crate::observe::snapshot::{Freshness, Snapshot};
use crate::text::units;

/// Options of commands that measure.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Sampling {
    /// The time over which rates are measured (default 2s, for groups 500ms or watched 1s, for overview 5s)
    #[arg(long, value_name = "DURATION", value_parser = window)]
    pub(super) window: Option<Duration>,
    /// Print it again and again, once each window; jsonl has one document a line
    #[arg(long)]
    pub(super) watch: bool,
}

/// Reads a duration of 100 ms to a day.
pub(super) fn window(text: &str) -> Result<Duration, String> {
    let millis = units::parse_duration(text)?;
    match u64::try_from(millis) {
        Ok(millis @ 100..=86_400_000) => Ok(Duration::from_millis(millis)),
        _ => Err("100ms to 1d is possible".to_owned()),
    }
}

/// What a command wants to be shown.
pub(super) struct Wanted {
    /// The window where none was given.
    pub(super) window: Duration,
    /// Looks in one window; rates need two.
    pub(super) looks: usize,
    /// What it shows.
    pub(super) interest: Interest,
    /// Whether dead letters must be counted to the last one.
    pub(super) count_letters: bool,
}

/// How a picture is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The only one.
    Once,
    /// One of many.
    Again,
}

impl Session<'_> {
    /// Prints one picture, or one after the other until `print` has found something or the command is interrupted.
    pub(super) async fn pictures(
        &self,
        sampling: &Sampling,
        wanted: Wanted,
        mut print: impl FnMut(&Snapshot, Turn) -> Ended,
    ) -> Ended {
        let mut cx = self.connect().await?;
        let window = sampling.window.unwrap_or(wanted.window);
        if !sampling.watch {
            let exposure = Exposure {
                looks: wanted.looks,
                window,
                interest: wanted.interest,
                count_letters: wanted.count_letters,
            };
            let tell = |event: Event| {
                if let Event::Progress(progress) = event {
                    self.output.progress(&progress);
                }
            };
            let picture = Desk::new(cx).picture(&exposure, &tell, &self.cancel).await?;
            return print(&picture, Turn::Once);
        }
        let mut profile = (*cx.profile).clone();
        profile.refresh.visible = window;
        profile.refresh.background = profile.refresh.background.max(window);
        cx.profile = profile.into();
        let desk = Desk::new(cx);
        desk.look(wanted.interest);
        let mut pictures = desk.snapshots();
        let mut printed = None;
        let mut away = false;
        loop {
            tokio::select! {
                changed = pictures.changed() => if changed.is_err() { return Ok(Done::All) },
                () = self.cancel.cancelled() => return Ok(Done::Interrupted),
            }
            let picture = pictures.borrow_and_update().clone();
            if let Freshness::Stale { why, .. } = &picture.freshness {
                if !away {
                    self.output.note(&format!("warning: {why}; trying again"));
                }
                away = true;
                continue;
            }
            away = false;
            // The first look has no rates, and a read between two looks is no new one.
            if picture.window_seconds.is_none() || printed == Some(picture.taken) {
                continue;
            }
            printed = Some(picture.taken);
            if self.output.format() == Format::Table {
                self.begin_again()?;
            }
            let done = print(&picture, Turn::Again)?;
            if done != Done::All {
                return Ok(done);
            }
        }
    }

    /// Makes room for the next picture: on a terminal in the place of the last one.
    fn begin_again(&self) -> Result<(), Stop> {
        let room = if self.output.is_terminal() { "\x1b[H\x1b[2J" } else { "\n" };
        self.output.text(room)
    }

    /// Prints a document, in one line where many follow each other.
    pub(super) fn print_document<T: serde::Serialize>(&self, document: &T) -> Result<(), Stop> {
        match self.output.format() {
            Format::Jsonl => self.output.document_line(document),
            _ => self.output.document(document),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_a_duration_within_reason() {
        assert_eq!(window("2s"), Ok(Duration::from_secs(2)));
        for wrong in ["0s", "-2s", "2", "2d", "1ms", ""] {
            assert!(window(wrong).is_err(), "{wrong}");
        }
    }
}
