//! Where the tasks of requests leave what they have to tell, until the console takes it.
//!
//! It is bounded: of progress only the latest counts, and records beyond a budget of bytes push out the oldest
//! ones, which are counted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::message::{Message, RequestId};
use crate::ask::{Answer, Event};
use crate::context::Progress;
use crate::event::Record;
use crate::redrive::document::RunAnswer;
use crate::text::Fault;

/// So many bytes of records wait for the console at most, a request.
const BUDGET: usize = 16 << 20;
/// What a record costs beside its bytes.
const OVERHEAD: usize = 200;

#[derive(Default)]
struct Told {
    progress: Option<Progress>,
    run: Option<Box<RunAnswer>>,
    records: VecDeque<Record>,
    bytes: usize,
    dropped: u64,
    done: Option<Box<Result<Answer, Fault>>>,
}

/// The mailbox.
#[derive(Default)]
pub struct Mailbox {
    told: Mutex<BTreeMap<RequestId, Told>>,
    said: Mutex<Vec<Result<String, Fault>>>,
    filled: Notify,
}

impl Mailbox {
    /// Leaves what a request tells.
    pub fn tell(&self, id: RequestId, event: Event) {
        self.with(id, |told| match event {
            Event::Progress(progress) => told.progress = Some(progress),
            Event::Run(run) => told.run = Some(run),
            Event::Records(records) => {
                for record in records {
                    told.bytes += record.size() + OVERHEAD;
                    told.records.push_back(record);
                }
                while told.bytes > BUDGET && told.records.len() > 1 {
                    if let Some(oldest) = told.records.pop_front() {
                        told.bytes -= oldest.size() + OVERHEAD;
                        told.dropped += 1;
                    }
                }
            }
        });
    }

    /// Leaves an answer.
    pub fn done(&self, id: RequestId, answer: Result<Answer, Fault>) {
        self.with(id, |told| told.done = Some(Box::new(answer)));
    }

    /// Leaves what became of something that has no request.
    pub fn say(&self, said: Result<String, Fault>) {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).push(said);
        self.filled.notify_one();
    }

    /// Waits until there is something.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Takes everything out, in the order of requests; an answer comes after what was told before it.
    pub fn take(&self) -> Vec<Message> {
        let told = std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
        let said = std::mem::take(&mut *self.said.lock().unwrap_or_else(PoisonError::into_inner));
        let mut out = Vec::new();
        for (id, told) in told {
            out.extend(told.progress.map(|progress| Message::Told(id, Event::Progress(progress))));
            out.extend(told.run.map(|run| Message::Told(id, Event::Run(run))));
            if told.dropped > 0 {
                out.push(Message::Dropped(id, told.dropped));
            }
            if !told.records.is_empty() {
                out.push(Message::Told(id, Event::Records(told.records.into())));
            }
            out.extend(told.done.map(|answer| Message::Done(id, answer)));
        }
        out.extend(said.into_iter().map(Message::Said));
        out
    }

    fn with(&self, id: RequestId, change: impl FnOnce(&mut Told)) {
        change(self.told.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default());
        self.filled.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Headers, Position};

    fn record(bytes: usize) -> Record {
        Record {
            at: Position::new("orders", 0, 0),
            time: None,
            key: None,
            value: Some(vec![b'x'; bytes].into()),
            headers: Headers::default(),
            lease: None,
        }
    }

    #[test]
    fn of_progress_only_the_latest_counts() {
        let mailbox = Mailbox::default();
        for done in 1..=3 {
            mailbox.tell(RequestId(1), Event::Progress(Progress { done, ..Progress::default() }));
        }
        let taken = mailbox.take();
        assert!(matches!(&taken[..], [Message::Told(_, Event::Progress(p))] if p.done == 3), "{taken:?}");
        assert!(mailbox.take().is_empty());
    }

    #[test]
    fn records_beyond_the_budget_push_out_the_oldest_and_are_counted() {
        let mailbox = Mailbox::default();
        for _ in 0..5 {
            mailbox.tell(RequestId(1), Event::Records(vec![record(BUDGET / 3)]));
        }
        let taken = mailbox.take();
        assert!(matches!(taken[0], Message::Dropped(_, 3)), "{:?}", taken.len());
        assert!(matches!(&taken[1], Message::Told(_, Event::Records(records)) if records.len() == 2));
    }
}
