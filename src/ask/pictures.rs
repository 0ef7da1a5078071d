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
use crate::observe::sampler::{self, Letters, Scraped, Wants};
use crate::observe::scrape::{self, Scraper};
use crate::observe::snapshot::Snapshot;
use crate::text::{Fault, FaultKind};

/// The longest pause after errors of the index.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

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
    let latest = watch::Sender::new(None);
    let scraped = latest.subscribe();
    if let Some(scraper) = Scraper::new(&cx) {
        latest.send_replace(Some(Arc::new(scraper.applications())));
        tokio::spawn(scrape::run(scraper, latest, ends.clone()));
    }
    let scraped: Scraped = Arc::new(move || scraped.borrow().clone());
    let wants = Wants { interest, refresh, letters: index.news() };
    tokio::spawn(sampler::run(cx, letters, scraped, wants, pictures, ends.clone()));
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
    let mut sampler = Sampler::new(index.cx().clone(), letters(index, &read), Arc::new(|| None));
    let pauses = u32::try_from(exposure.looks.saturating_sub(1)).unwrap_or(u32::MAX);
    let pause = exposure.window / pauses.max(1);
    let mut scraper = Scraper::new(index.cx());
    let looked = Notify::new();
    let looking = async {
        for look in 1..=exposure.looks {
            let began = clock.monotonic();
            sampler.look_at(&exposure.interest).await?;
            // Rates need two answers; an application that is away costs the picture its answer alone.
            if let Some(scraper) = scraper.as_mut().filter(|_| look == 1 || look == exposure.looks) {
                scraper.round().await;
            }
            // Commits until the end meet the records that are read at the beginning. Where nothing can be read,
            // what follows from it stays unknown.
            if look == 1 || look == exposure.looks {
                let _ = sampler.sip().await;
            }
            looked.notify_one();
            if look < exposure.looks {
                tokio::time::sleep(pause.saturating_sub(clock.monotonic().saturating_sub(began))).await;
            }
        }
        Ok::<_, Fault>(())
    };
    let reading = async || {
        let result = index.refresh(None, &sink, cancel).await;
        read.store(result.is_ok(), Ordering::Relaxed);
        result
    };
    let both = async {
        if exposure.count_letters {
            // Read before and after, so that those which arrive between are known as arrivals.
            reading().await?;
            looking.await?;
            return reading().await;
        }
        if exposure.interest.groups_alone {
            return looking.await;
        }
        // In the pause between two looks: what was asked for comes first.
        let in_the_pause = async {
            looked.notified().await;
            reading().await
        };
        tokio::pin!(looking);
        tokio::select! {
            looked = &mut looking => looked,
            // What is wrong with dead letters is told by the commands on dead letters.
            _ = in_the_pause => looking.await,
        }
    };
    tokio::select! {
        result = both => result?,
        () = cancel.cancelled() => return Err(Fault::cancelled()),
    }
    sampler.renew_letters();
    let applications = scraper.map(|scraper| Arc::new(scraper.applications()));
    Ok(sampler.picture_beside(applications))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ask::Desk;
    use crate::broker::memory::MemoryBroker;
    use crate::broker::memory::fault::Op;
    use crate::broker::memory::shop::{self, Shop};
    use crate::broker::{NewTopic, SessionKind, Write};
    use crate::config::profile::Profile;
    use crate::context::{Cx, Operator};
    use crate::event::Headers;
    use crate::observe::snapshot::{Freshness, Role, Status};
    use crate::text::{Clock, SystemClock, Timestamp};

    /// A desk on a broker with `orders` and one letter in `orders-dlt`.
    async fn desk() -> (Arc<MemoryBroker>, Desk) {
        let clock = Arc::new(SystemClock::default());
        let memory = MemoryBroker::new(clock.clone(), 16 << 20);
        let operator = Operator { name: "t".into(), os_user: "t".into(), host: "t".into() };
        let mut profile = Profile::new("t", vec![]);
        profile.refresh.visible = Duration::from_millis(20);
        let cx = Cx { broker: memory.broker(), clock, profile: profile.into(), operator: Arc::new(operator) };
        let writer = cx.broker.writer().unwrap();
        for name in ["orders", "orders-dlt"] {
            let topic = NewTopic { name: name.into(), partitions: 1, replication: None, config: Vec::new() };
            writer.create_topics(&[topic]).await.unwrap().remove(0).unwrap();
        }
        let mut session = writer.begin(SessionKind::Idempotent).await.unwrap();
        let write = Write {
            topic: "orders-dlt".into(),
            partition: Some(0),
            key: None,
            value: Some(Bytes::from_static(b"v")),
            headers: Headers::default(),
            timestamp: None,
        };
        session.stage(write).await.unwrap();
        session.commit().await.unwrap();
        (memory, Desk::new(cx))
    }

    #[tokio::test]
    async fn watching_brings_live_pictures_with_dead_letters_and_ends_with_the_desk() {
        let (memory, desk) = desk().await;
        assert_eq!(memory.faults().calls_of(Op::Topics), 0, "nothing is asked before somebody looks");
        let mut pictures = desk.snapshots();
        let also = desk.snapshots();
        let picture = pictures.wait_for(|p| p.totals.pending.is_some()).await.unwrap().clone();
        assert_eq!((picture.freshness.clone(), picture.totals.pending), (Freshness::Live, Some(1)));
        assert_eq!(picture.topics[1].role, Role::DeadLetter);
        assert_eq!(picture.topics[0].dead_letter_topics, ["orders-dlt".into()]);
        assert!(also.borrow().generation > 0, "one sampler serves all who watch");
        drop(desk);
        while pictures.changed().await.is_ok() {}
        // Both tasks may finish a call that was under way.
        tokio::task::yield_now().await;
        let calls = memory.faults().calls_of(Op::Bounds);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(memory.faults().calls_of(Op::Bounds) <= calls + 1);
    }

    #[tokio::test]
    async fn one_picture_has_rates_and_all_letters_and_leaves_nothing_behind() {
        let (memory, desk) = desk().await;
        let exposure = Exposure {
            looks: 2,
            window: Duration::from_millis(50),
            interest: Interest::default(),
            count_letters: true,
        };
        let picture = desk.picture(&exposure, &|_| {}, &CancellationToken::new()).await.unwrap();
        assert_eq!((picture.totals.pending, picture.topics[0].records_per_second), (Some(1), Some(0.0)));
        let calls = memory.faults().calls_of(Op::Bounds);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(memory.faults().calls_of(Op::Bounds), calls);
    }

    #[tokio::test]
    async fn one_picture_of_a_broker_that_is_away_is_an_error_and_a_cancel_ends_it() {
        let (memory, desk) = desk().await;
        let exposure = Exposure {
            looks: 2,
            window: Duration::from_secs(600),
            interest: Interest::default(),
            count_letters: false,
        };
        let cancel = CancellationToken::new();
        cancel.cancel();
        let fault = desk.picture(&exposure, &|_| {}, &cancel).await.unwrap_err();
        assert_eq!(fault.exit_code(), 130);
        memory.faults().disconnect();
        let fault = desk.picture(&exposure, &|_| {}, &CancellationToken::new()).await.unwrap_err();
        assert_eq!(fault.code, "unreachable");
    }

    /// Runs with tokio's paused time.
    struct PausedClock(tokio::time::Instant);

    impl Clock for PausedClock {
        fn now(&self) -> Timestamp {
            Timestamp(1_795_525_331_000 + self.0.elapsed().as_millis() as i64)
        }

        fn monotonic(&self) -> Duration {
            self.0.elapsed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_shop_at_work_is_seen_as_it_is() {
        let clock: Arc<dyn Clock> = Arc::new(PausedClock(tokio::time::Instant::now()));
        let memory = MemoryBroker::new(Arc::clone(&clock), 128 << 20);
        let operator = Operator { name: "t".into(), os_user: "t".into(), host: "t".into() };
        let cx = Cx {
            broker: memory.broker(),
            clock: Arc::clone(&clock),
            profile: Profile::new("t", vec![]).into(),
            operator: Arc::new(operator),
        };
        let made = cx.broker.writer().unwrap().create_topics(&shop::topics("")).await.unwrap();
        assert!(made.iter().all(Result::is_ok));
        let shop = Shop::start(memory.broker(), clock, shop::Options::default()).unwrap();
        let desk = Desk::new(cx);
        let mut pictures = desk.snapshots();
        tokio::time::sleep(Duration::from_secs(40)).await;
        pictures.mark_unchanged();
        pictures.changed().await.unwrap();
        let picture = pictures.borrow().clone();
        let totals = &picture.totals;
        let rate = totals.records_per_second.unwrap();
        assert!((rate - f64::from(shop::USUAL_RATE)).abs() < 10.0, "{rate}");
        assert!(totals.bytes_per_second.is_some_and(|bytes| bytes > rate * 100.0));
        assert!(totals.latency.samples > 100 && totals.latency.p99 > totals.latency.p50);
        assert!(totals.error_percent.is_some_and(|percent| percent > 0.1 && percent < 5.0));
        let (pending, written) = (totals.pending.unwrap(), shop.status().dead_lettered);
        assert!(pending > 20 && pending <= written && pending + 20 > written, "{pending} of {written}");
        // The fourth of its groups stalls now and then.
        let groups: Vec<_> =
            picture.groups.iter().filter(|g| &*g.group != "warehouse").map(|g| (g.status, g.lag)).collect();
        let fine =
            |(status, lag): &(Status, Option<u64>)| *status == Status::Ok && lag.is_some_and(|n| n < 200);
        assert!(groups.len() == 3 && groups.iter().all(fine), "{groups:?}");
        let list: Vec<&str> = picture.attention.iter().map(|a| a.what.as_str()).collect();
        assert!(
            list.iter().any(|what| what.contains("new failure java.net.SocketTimeoutException")),
            "{list:?}"
        );
        assert!(list.iter().any(|what| what.contains("retention deletes")), "{list:?}");
        assert!(!list.iter().any(|what| what.contains("stuck")), "{list:?}");
    }
}
