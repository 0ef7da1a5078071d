//! Records into a file and back: byte for byte, each once, whatever is interrupted.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use redrive::ask::export::{ExportAnswer, ExportRequest, Source};
use redrive::ask::{Answer, Desk, Event, Request};
use redrive::broker::Write;
use redrive::broker::memory::fault::{Lost, Op};
use redrive::event::archive::Format;
use redrive::event::{Headers, Record};
use redrive::filter::{Edge, Selection};
use redrive::records::document::{TailRequest, Wanted};
use redrive::redrive::import::{ImportAgreed, ImportAnswer, ImportRequest, Place};
use redrive::redrive::produce::{Draft, ProduceAgreed, ProduceAnswer, ProduceRequest};
use redrive::text::{Fault, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::world::{TARGET, World};

pub const COPY: &str = "orders-copy";

/// `orders` with records of every odd kind, and more of the usual one.
pub async fn filled(usual: i64) -> World {
    let world = World::empty().await;
    world.create(COPY, 3, &[]).await;
    let mut twice = Headers::default();
    twice.push("a", Some(Bytes::from_static(b"1")));
    twice.push("a", None);
    twice.push(Bytes::from_static(&[0xff, b'n']), Some(Bytes::new()));
    let usual =
        (0..usual).map(|i| (Some(Bytes::from(format!("k{i}"))), Some(Bytes::from(format!("{i}"))), None));
    let odd = [
        (None, None, Some(twice)),
        (Some(Bytes::new()), Some(Bytes::from_static(b"{ \"b\" : 1,\"a\":2 }")), None),
        (Some(Bytes::from_static(&[0, 0xfe])), Some(Bytes::from_static(b"\n\"\\")), None),
    ];
    for (i, (key, value, headers)) in odd.into_iter().chain(usual).enumerate() {
        world
            .produce(Write {
                topic: TARGET.into(),
                partition: Some(i as i32 % 3),
                key,
                value,
                headers: headers.unwrap_or_default(),
                timestamp: Some(Timestamp(1_700_000_000_000 + i as i64)),
            })
            .await;
    }
    world
}

async fn export(
    world: &World,
    path: &Path,
    format: Format,
    resume: bool,
) -> Result<Arc<ExportAnswer>, Fault> {
    let selection = Selection { from: Some(Edge::Beginning), ..Selection::default() };
    let source = Source::Records(TailRequest {
        topics: vec![TARGET.into()],
        selection,
        follow: false,
        wanted: Wanted::Whole,
        after: Vec::new(),
    });
    let request = ExportRequest { source, path: path.to_owned(), format, resume, columns: Vec::new() };
    let desk = Desk::new(world.cx("ada"));
    match desk.answer(Request::Export(request), &|_| {}, CancellationToken::new()).await? {
        Answer::Export(answer) => Ok(answer),
        other => panic!("{other:?}"),
    }
}

fn importing(path: &Path, sha256: Option<&str>, again: bool) -> Request {
    let agreed =
        sha256.map(|sha256| ImportAgreed { sha256: sha256.to_owned(), reason: Some("copy".to_owned()) });
    Request::Import(ImportRequest {
        path: path.to_owned(),
        into: COPY.into(),
        place: Place::Original,
        again,
        agreed,
    })
}

async fn ask(
    world: &World,
    request: Request,
    cancel: &CancellationToken,
) -> Result<Arc<ImportAnswer>, Fault> {
    let tell = |event: Event| {
        if let Event::Progress(progress) = event
            && progress.what.starts_with("importing")
            && progress.done >= 1_000
        {
            cancel.cancel();
        }
    };
    match Desk::new(world.cx("ada")).answer(request, &tell, cancel.clone()).await? {
        Answer::Import(answer) => Ok(answer),
        other => panic!("{other:?}"),
    }
}

async fn import(world: &World, path: &Path, again: bool) -> Arc<ImportAnswer> {
    let none = CancellationToken::new();
    let shown = ask(world, importing(path, None, again), &none).await.unwrap();
    assert!(shown.dry_run);
    ask(world, importing(path, Some(&shown.sha256), again), &CancellationToken::new()).await.unwrap()
}

/// Partition, key, value, headers and time.
pub type Content = (i32, Option<Bytes>, Option<Bytes>, Headers, Option<Timestamp>);

/// Everything of records but where they lie.
pub fn content(records: Vec<Record>) -> Vec<Content> {
    let mut out: Vec<_> = records
        .into_iter()
        .map(|r| (r.at.partition, r.at.offset, r.timestamp(), r.key, r.value, r.headers))
        .collect();
    out.sort_by_key(|r| (r.0, r.1));
    out.into_iter()
        .map(|(partition, _, time, key, value, headers)| (partition, key, value, headers, time))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn records_come_back_as_they_were_from_both_forms_and_a_second_import_writes_nothing() {
    for format in [Format::Jsonl, Format::Bin] {
        let world = filled(7).await;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("orders");
        let answer = export(&world, &path, format, false).await.unwrap();
        assert_eq!((answer.records, answer.complete), (10, true));
        let exists = export(&world, &path, format, false).await.unwrap_err();
        assert!(exists.what.ends_with("exists"), "{exists}");
        let done = import(&world, &path, false).await;
        assert_eq!((done.imported, done.remaining, done.stopped), (10, 0, None));
        assert_eq!(content(world.read(COPY).await), content(world.read(TARGET).await));
        let again = import(&world, &path, false).await;
        assert_eq!((again.imported, again.before), (0, 10));
        assert_eq!(world.read(COPY).await.len(), 10);
        assert_eq!(import(&world, &path, true).await.imported, 10);
        let runs = world.runs().await;
        let kinds: Vec<_> = runs.runs.iter().map(|row| (row.kind, row.disposed, row.state)).collect();
        assert_eq!(kinds, [("import", 10, "done"); 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_import_that_is_stopped_or_loses_a_commit_writes_every_record_once() {
    let world = filled(4_500).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("orders.bin");
    export(&world, &path, Format::Bin, false).await.unwrap();
    let shown = ask(&world, importing(&path, None, false), &CancellationToken::new()).await.unwrap();
    world.memory.faults().lose_commit(1, Lost::Answer);
    let stopped =
        ask(&world, importing(&path, Some(&shown.sha256), false), &CancellationToken::new()).await.unwrap();
    // The first transaction is settled from the audit, the second one is seen and cancels.
    assert_eq!((stopped.imported, stopped.stopped), (2_000, Some("cancelled")));
    world.memory.faults().lose_commit(1, Lost::Request);
    let rest = import(&world, &path, false).await;
    // It cancels itself again at the first progress that it sees.
    assert_eq!((rest.before, rest.imported), (2_000, 1_000));
    world.memory.faults().fail(Op::Stage, 3, redrive::broker::ErrorKind::Unreachable);
    let third = import(&world, &path, false).await;
    assert_eq!((third.before, third.imported, third.remaining), (3_000, 1_000, 503));
    let last = import(&world, &path, false).await;
    assert_eq!((last.before, last.imported, last.remaining), (4_000, 503, 0));
    assert_eq!(content(world.read(COPY).await), content(world.read(TARGET).await));
}

#[tokio::test(start_paused = true)]
async fn an_export_goes_on_where_it_was_cut_and_a_damaged_file_is_told_before_anything_is_written() {
    for format in [Format::Jsonl, Format::Bin] {
        let world = filled(20).await;
        let dir = tempfile::tempdir().unwrap();
        let (whole, path) = (dir.path().join("whole"), dir.path().join("cut"));
        export(&world, &whole, format, false).await.unwrap();
        let bytes = std::fs::read(&whole).unwrap();
        for cut in [0, 5, bytes.len() / 3, bytes.len() - 3] {
            std::fs::write(dir.path().join("cut.part"), &bytes[..cut]).unwrap();
            let refused = export(&world, &path, format, false).await.unwrap_err();
            assert!(refused.hint.contains("--resume"), "{refused}");
            let answer = export(&world, &path, format, true).await.unwrap();
            assert_eq!(answer.records, 23, "{format:?} {cut}");
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "{format:?} {cut}");
            std::fs::remove_file(&path).unwrap();
        }
        std::fs::write(&path, &bytes[..bytes.len() - 30]).unwrap();
        let fault = ask(&world, importing(&path, None, false), &CancellationToken::new()).await.unwrap_err();
        assert!(fault.what.starts_with("record "), "{fault}");
        assert!(world.read(COPY).await.is_empty());
    }
}

pub fn producing(records: Vec<Draft>, agreed: bool) -> ProduceRequest {
    ProduceRequest {
        topic: COPY.into(),
        records,
        key_schema: None,
        schema: None,
        partition: None,
        timestamp: None,
        agreed: agreed.then(ProduceAgreed::default),
    }
}

async fn produce(world: &World, request: ProduceRequest) -> Result<Arc<ProduceAnswer>, Fault> {
    match Desk::new(world.cx("ada"))
        .answer(Request::Produce(request), &|_| {}, CancellationToken::new())
        .await?
    {
        Answer::Produce(answer) => Ok(answer),
        other => panic!("{other:?}"),
    }
}

pub fn draft(key: Option<&'static str>, value: Option<&'static str>) -> Draft {
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    Draft { key: key.map(bytes), value: value.map(bytes), headers: Headers::default() }
}

#[tokio::test(start_paused = true)]
async fn what_is_produced_is_there_once_with_its_audit_whatever_answer_is_lost() {
    for lost in [Lost::Answer, Lost::Request] {
        let world = filled(0).await;
        let records = vec![draft(Some("k"), Some("")), draft(Some(""), None), draft(None, Some("v"))];
        assert!(produce(&world, producing(records.clone(), false)).await.unwrap().dry_run);
        assert!(world.read(COPY).await.is_empty());
        world.memory.faults().lose_commit(1, lost);
        let answer = produce(&world, producing(records.clone(), true)).await.unwrap();
        assert_eq!(answer.written, 3);
        let mut there = world.read(COPY).await;
        there.sort_by_key(|r| r.at.clone());
        let mut told: Vec<_> =
            answer.records.iter().map(|r| (r.partition.unwrap(), r.offset.unwrap())).collect();
        told.sort_unstable();
        assert_eq!(there.iter().map(|r| (r.at.partition, r.at.offset)).collect::<Vec<_>>(), told);
        for draft in &records {
            assert!(there.iter().any(|r| (&r.key, &r.value) == (&draft.key, &draft.value)), "{draft:?}");
        }
        let runs = world.runs().await.runs.clone();
        assert_eq!(
            runs.iter().map(|r| (r.kind, r.disposed, r.state)).collect::<Vec<_>>(),
            [("produce", 3, "done")]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_broker_would_take_is_refused_before_anything_is_asked() {
    let world = filled(0).await;
    world.create("states", 2, &[("cleanup.policy", "compact")]).await;
    let one = || vec![draft(None, Some("v"))];
    let refused = |request: ProduceRequest| {
        let world = &world;
        async move { produce(world, request).await.unwrap_err() }
    };
    let missing = refused(ProduceRequest { topic: "order".into(), ..producing(one(), true) }).await;
    assert_eq!((missing.code, &*missing.hint), ("target_missing", "did you mean orders?"));
    let partition = refused(ProduceRequest { partition: Some(3), ..producing(one(), true) }).await;
    assert_eq!(partition.code, "unknown_partition");
    let keyless = refused(ProduceRequest { topic: "states".into(), ..producing(one(), true) }).await;
    assert_eq!(keyless.code, "invalid", "{keyless}");
    let internal =
        refused(ProduceRequest { topic: "__redrive.ledger".into(), ..producing(one(), true) }).await;
    assert_eq!(internal.code, "usage");
    let tombstone = vec![draft(Some("k"), None)];
    let shown =
        produce(&world, ProduceRequest { topic: "states".into(), ..producing(tombstone, false) }).await;
    assert!(shown.unwrap().warnings[0].contains("deletes its key"));
    let read_only = Desk::new(world.cx_on(world.memory.read_only(), "ada"))
        .answer(Request::Produce(producing(one(), true)), &|_| {}, CancellationToken::new())
        .await
        .unwrap_err();
    assert_eq!(read_only.code, "read_only");
    assert!(world.read(COPY).await.is_empty());
}
