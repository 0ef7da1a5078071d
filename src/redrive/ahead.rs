//! Reads a plan's letters ahead of the transactions that send them, in a task of its own.
//!
//! Limits: one window waits, one is read and one is sent, so that three of them are in memory at most.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::plan::{Plan, PlannedLetter, damaged};
use super::shape::Shape;
use super::window::Window;
use crate::context::{Cx, Silent};
use crate::dlq::Letter;
use crate::text::Fault;

/// Letters of a window, in the plan's order; `None` where retention took the letter.
pub(super) type Read = Vec<(PlannedLetter, Option<Letter>)>;

/// The reading under way; it ends with this.
pub(super) struct Ahead {
    windows: mpsc::Receiver<Result<Read, Fault>>,
    task: JoinHandle<()>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ahead {
    /// Begins to read the letters with these numbers in the plan.
    pub fn begin(cx: Cx, plan: Arc<Plan>, wanted: Vec<u32>, cancel: CancellationToken) -> Self {
        let (to, windows) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            let ended = read(&cx, &plan, &wanted, &to, &cancel).await;
            if let Err(fault) = ended {
                // Nobody listens where the run has ended.
                let _ = to.send(Err(fault)).await;
            }
        });
        Self { windows, task }
    }

    /// The next window; `None` behind the last one.
    pub async fn next(&mut self) -> Option<Result<Read, Fault>> {
        self.windows.recv().await
    }
}

async fn read(
    cx: &Cx,
    plan: &Plan,
    wanted: &[u32],
    to: &mpsc::Sender<Result<Read, Fault>>,
    cancel: &CancellationToken,
) -> Result<(), Fault> {
    let shape = Shape::new(&plan.header, &cx.profile.dead_letters)?;
    let topic = &plan.header.source.topic;
    let mut window = Window::new();
    for numbers in wanted.chunks(super::window::MOST) {
        let letters: Vec<PlannedLetter> =
            numbers.iter().filter_map(|n| plan.letters.get(*n as usize).copied()).collect();
        let mut rest = &letters[..];
        while !rest.is_empty() {
            let records = window.read(cx, topic, rest, &Silent, cancel).await?;
            rest = rest.get(records.len()..).unwrap_or_default();
            let mut out = Vec::with_capacity(records.len());
            for (planned, record) in records {
                let changed = record.as_ref().is_some_and(|record| record.digest() != planned.sha256);
                if changed {
                    let at = format!("letter {}/{}", planned.partition, planned.offset);
                    return Err(damaged(format!("{at} is not the one that was planned")));
                }
                out.push((planned, record.map(|record| shape.letter(&record))));
            }
            if to.send(Ok(out)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
