//! Pictures of the cluster: the sampler and the index of dead letters brought together, for as long as somebody
//! watches or for one picture.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{Event, EventSink, Interest};
use crate::context::Silent;
use crate::letters::Index;
use crate::observe::Sampler;
use crate::observe::sampler::{self, Letters, Wants};
use crate::observe::snapshot::Snapshot;
use crate::text::{Fault, FaultKind};

/// The longest pause after errors of the index.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What one picture is to be made from.
#[derive(Clone, Debug)]
pub struct Exposure {
    /// How many looks at the broker; rates need two.
    pub looks: usize,
    /// The time from the first look to the last.
    pub window: Duration,
    /// What all looks are at; the first is at everything.
    pub interest: Interest,
    /// Whether to wait until every dead letter was read; else the picture has those that could be read meanwhile.
    pub count_letters: bool,
}

/// Begins to sample and to read dead letters, until `ends` is cancelled.
pub(super) fn follow(
    index: &Arc<Index>,
    pictures: watch::Sender<Arc<Snapshot>>,
    interest: watch::Receiver<Interest>,
    refresh: Arc<Notify>,
    ends: &CancellationToken,
) {
    let read = Arc::new(AtomicBool::new(false));
    let letters = letters(index, &read);
    let cx = index.cx().clone();
    tokio::spawn(read_letters(Arc::clone(index), read, interest.clone(), ends.clone()));
    tokio::spawn(sampler::run(cx, letters, Wants { interest, refresh }, pictures, ends.clone()));
}

/// The rows of the index, once it has something to say.
fn letters(index: &Arc<Index>, read: &Arc<AtomicBool>) -> Letters {
    let (index, read) = (Arc::clone(index), Arc::clone(read));
    Arc::new(move || {
        let rows = index.rows();
        (read.load(Ordering::Relaxed) || !rows.is_empty()).then_some(rows)
    })
}

/// Reads what is new in dead-letter topics, again and again.
async fn read_letters(
    index: Arc<Index>,
    read: Arc<AtomicBool>,
    interest: watch::Receiver<Interest>,
    ends: CancellationToken,
) {
    let clock = Arc::clone(&index.cx().clock);
    let every = index.cx().profile.refresh;
    let mut failures = 0_u32;
    loop {
        let began = clock.monotonic();
        match index.refresh(None, &Silent, &ends).await {
            Ok(()) => {
                failures = 0;
                read.store(true, Ordering::Relaxed);
            }
            Err(fault) if fault.kind == FaultKind::Cancelled => return,
            // The sampler tells that the broker is away; a topic's own error is in its row.
            Err(_) => failures += 1,
        }
        let took = clock.monotonic().saturating_sub(began);
        let interval = if interest.borrow().away { every.background } else { every.visible };
        let pause = interval.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_PAUSE.max(interval));
        tokio::select! {
            () = tokio::time::sleep(pause.max(took)) => {}
            () = ends.cancelled() => return,
        }
    }
}

/// Takes one picture; nothing stays behind.
pub(super) async fn take(
    index: &Arc<Index>,
    exposure: &Exposure,
    tell: &(dyn Fn(Event) + Send + Sync),
    cancel: &CancellationToken,
) -> Result<Snapshot, Fault> {
    let sink = EventSink(tell);
    let clock = Arc::clone(&index.cx().clock);
    let read = Arc::new(AtomicBool::new(false));
    let mut sampler = Sampler::new(index.cx().clone(), letters(index, &read));
    let pauses = u32::try_from(exposure.looks.saturating_sub(1)).unwrap_or(u32::MAX);
    let pause = exposure.window / pauses.max(1);
    let looking = async {
        for look in 1..=exposure.looks {
            let began = clock.monotonic();
            sampler.look_at(&exposure.interest).await?;
            // Commits until the end meet the records that are read at the beginning. Where nothing can be read,
            // what follows from it stays unknown.
            if look == 1 || look == exposure.looks {
                let _ = sampler.sip().await;
            }
            if look < exposure.looks {
                tokio::time::sleep(pause.saturating_sub(clock.monotonic().saturating_sub(began))).await;
            }
        }
        Ok::<_, Fault>(())
    };
    let reading = async {
        let result = index.refresh(None, &sink, cancel).await;
        read.store(result.is_ok(), Ordering::Relaxed);
        result
    };
    let both = async {
        if exposure.count_letters {
            let (looked, read) = tokio::join!(looking, reading);
            return looked.and(read);
        }
        tokio::pin!(looking, reading);
        tokio::select! {
            looked = &mut looking => looked,
            // What is wrong with dead letters is told by the commands on dead letters.
            _ = &mut reading => looking.await,
        }
    };
    tokio::select! {
        result = both => result?,
        () = cancel.cancelled() => return Err(Fault::cancelled()),
    }
    sampler.renew_letters();
    Ok(sampler.picture())
}
