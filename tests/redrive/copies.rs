//! Copies from cluster to cluster: byte for byte, each record once, whatever is interrupted.

use std::sync::Arc;

use redrive::ask::{Answer, CopyAnswer, CopyRequest, Desk, Event, Request};
use redrive::broker::memory::fault::Lost;
use redrive::context::Cx;
use redrive::filter::{Edge, Selection};
use redrive::redrive::copy::{Again, Place};
use redrive::text::Fault;
use tokio_util::sync::CancellationToken;

use crate::transfer::{COPY, content, filled};
use crate::world::{TARGET, World};

fn copying(from: &World, selection: Selection, again: Again) -> CopyRequest {
    let selection = Selection { from: selection.from.or(Some(Edge::Beginning)), ..selection };
    CopyRequest {
        source: from.cx("ada"),
        topic: TARGET.into(),
        selection,
        into: COPY.into(),
        place: Place::Original,
        again,
        agreed: None,
    }
}

async fn ask(cx: Cx, request: CopyRequest, cancel: &CancellationToken) -> Result<Arc<CopyAnswer>, Fault> {
    let tell = |event: Event| {
        if let Event::Progress(progress) = event
            && progress.done >= 6_000
        {
            cancel.cancel();
        }
    };
    match Desk::new(cx).answer(Request::Copy(request), &tell, cancel.clone()).await? {
        Answer::Copy(answer) => Ok(answer),
        other => panic!("{other:?}"),
    }
}

/// Looks, agrees, copies.
async fn copy(from: &World, to: &World, selection: Selection, again: Again) -> Arc<CopyAnswer> {
    let request = copying(from, selection, again);
    let shown = ask(to.cx("ada"), request.clone(), &CancellationToken::new()).await.unwrap();
    assert!(shown.dry_run && shown.run.is_none());
    let agreed = request.agreed(&shown, Some("moving".to_owned()));
    ask(to.cx("ada"), agreed, &CancellationToken::new()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_copy_has_every_byte_and_a_second_one_only_what_came_since() {
    let (from, to) = (filled(7).await, filled(0).await);
    let all = Selection::default;
    let first = copy(&from, &to, all(), Again::No).await;
    assert_eq!((first.copied, first.complete, first.stopped), (10, true, None));
    assert_eq!(content(to.read(COPY).await), content(from.read(TARGET).await));
    let second = copy(&from, &to, all(), Again::No).await;
    assert_eq!((second.copied, second.offsets, second.before), (0, 0, 10));
    from.produce(redrive::broker::Write {
        topic: TARGET.into(),
        partition: Some(1),
        key: None,
        value: Some("new".into()),
        headers: redrive::event::Headers::default(),
        timestamp: None,
    })
    .await;
    assert_eq!(copy(&from, &to, all(), Again::No).await.copied, 1);
    assert_eq!(content(to.read(COPY).await), content(from.read(TARGET).await));
    // Another condition is another copy.
    let key = Selection { key: Some("k3".into()), ..all() };
    assert_eq!(copy(&from, &to, key, Again::No).await.copied, 1);
    assert_eq!(copy(&from, &to, all(), Again::Yes).await.copied, 11);
    assert_eq!(copy(&from, &to, all(), Again::No).await.offsets, 0);
    assert_eq!(to.read(COPY).await.len(), 23);
    let runs = to.runs().await;
    assert!(runs.runs.iter().all(|row| (row.kind, row.state) == ("copy", "done")));
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_stopped_or_loses_a_commit_writes_every_record_once() {
    for lost in [Lost::Answer, Lost::Request] {
        let (from, to) = (filled(17_000).await, filled(0).await);
        to.memory.faults().lose_commit(1, lost);
        let stopped = copy(&from, &to, Selection::default(), Again::No).await;
        assert_eq!((stopped.stopped, stopped.complete), (Some("cancelled"), false));
        assert!(stopped.copied < 17_003, "{}", stopped.copied);
        // Other edges are no other copy: what lies before and behind is copied as well.
        let middle = Selection {
            from: Some(Edge::Offset(4_000)),
            to: Some(Edge::Offset(4_100)),
            ..Selection::default()
        };
        to.memory.faults().lose_commit(1, lost);
        copy(&from, &to, middle, Again::No).await;
        let mut rounds = 0;
        while copy(&from, &to, Selection::default(), Again::No).await.offsets > 0 {
            rounds += 1;
            assert!(rounds < 9);
        }
        let (mut copied, mut there) = (content(to.read(COPY).await), content(from.read(TARGET).await));
        // A middle that was copied first lies before what was before it.
        let order = |c: &crate::transfer::Content| (c.0, c.4, c.2.clone());
        copied.sort_by_key(order);
        there.sort_by_key(order);
        assert_eq!(copied, there);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_copied_is_refused_before_anything_is_written() {
    let (from, to) = (filled(0).await, World::empty().await);
    let none = CancellationToken::new();
    let refused = async |cx: Cx, request: CopyRequest| ask(cx, request, &none).await.unwrap_err();
    let request = || copying(&from, Selection::default(), Again::No);
    let missing = refused(to.cx("ada"), request()).await;
    assert_eq!(missing.code, "target_missing");
    let same = refused(from.cx("ada"), CopyRequest { into: TARGET.into(), ..request() }).await;
    assert_eq!(same.code, "loop");
    to.create(COPY, 2, &[]).await;
    let few = refused(to.cx("ada"), request()).await;
    assert_eq!(few.code, "target_changed", "{few}");
    let rehash = CopyRequest { place: Place::Rehash, ..request() };
    let shown = ask(to.cx("ada"), rehash.clone(), &none).await.unwrap();
    let read_only = to.cx_on(to.memory.read_only(), "ada");
    let agreed = rehash.agreed(&shown, None);
    assert_eq!(refused(read_only, agreed.clone()).await.code, "read_only");
    assert!(to.read(COPY).await.is_empty());
    assert_eq!(ask(to.cx("ada"), agreed, &none).await.unwrap().copied, 3);
}
