//! Compares letters with the records that they come from, and takes those where a plan needs them.

use std::collections::HashMap;
use std::ops::ControlFlow;

use tokio_util::sync::CancellationToken;

use super::document::Differ;
use super::found::{Found, Kinds, Letters};
use super::origin::{self, Place};
use super::outgoing::{ADDED, Recipe, Stamp, key, value};
use super::outline::Outline;
use super::plan::PlanHeader;
use super::shape::Shape;
use crate::context::{Cx, Progress, Sink};
use crate::dlq::Letter;
use crate::dlq::formats::strip_rules;
use crate::event::{Parts, Record};
use crate::letters::read;
use crate::text::Fault;

/// Letters of each failure and format that are compared, where not all are.
const SAMPLE: usize = 50;
/// Letters read together with their origins.
const CHUNK: usize = 500;

/// What a comparison found.
#[derive(Default)]
pub(super) struct Compared {
    pub differ: Differ,
    /// Whether some letter has no key, though its record has one.
    pub drops_keys: bool,
}

/// Compares some letters of each failure and format (or all) with their origins.
pub(super) async fn compare(
    cx: &Cx,
    header: &PlanHeader,
    (found, kinds): (&Letters, &Kinds),
    all: bool,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<Compared, Fault> {
    let mut of: HashMap<(&str, Option<&str>), usize> = HashMap::new();
    let mut sample = Vec::new();
    let mut have_origin = 0;
    for (_, letter) in found.iter().filter(|(_, letter)| !letter.pointer) {
        let Some(kind) = kinds.of(&letter).filter(|kind| kind.place(&letter).is_some()) else { continue };
        have_origin += 1;
        let seen = of.entry((&*kind.failure, kind.format.as_deref())).or_default();
        *seen += 1;
        if all || *seen <= SAMPLE {
            sample.push((letter.partition, letter.offset));
        }
    }
    let mut out = Compared::default();
    out.differ.of = have_origin;
    for chunk in sample.chunks(CHUNK) {
        let progress = Progress {
            what: "comparing with the origin records".to_owned(),
            done: out.differ.checked,
            total: Some(sample.len() as u64),
            ..Progress::default()
        };
        sink.progress(progress);
        for (letter, origin) in pairs(cx, header, chunk, |_| true, sink, cancel).await? {
            let Some(origin) = origin.filter(|o| letter.root.may_be(o)) else { continue };
            out.differ.checked += 1;
            out.differ.key += u64::from(key(&letter) != origin.key.as_ref());
            out.differ.value += u64::from(value(&letter) != origin.value.as_ref());
            out.differ.headers +=
                u64::from(headers(cx, &letter, &letter.record) != headers(cx, &letter, &origin));
            out.drops_keys |= key(&letter).is_none() && origin.key.is_some();
        }
    }
    out.differ.complete = out.differ.checked == out.differ.of;
    Ok(out)
}

/// The headers of a record without those of the failure and of redrives.
fn headers(cx: &Cx, letter: &Letter, record: &Record) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let rules = strip_rules(letter.format.as_deref(), &cx.profile.dead_letters);
    let kept = |name: &[u8]| !rules.strips(name) && !ADDED.iter().any(|n| n.as_bytes() == name);
    let mut out: Vec<_> = record
        .headers
        .iter()
        .filter(|(name, _)| kept(name))
        .map(|(name, value)| (name.to_vec(), value.map(|v| v.to_vec())))
        .collect();
    // Frameworks reorder headers; that is no difference that a reader sees.
    out.sort();
    out
}

/// Takes the origins of letters: each is replaced by what will be sent. Gives the numbers of those whose origin is gone.
pub(super) async fn take(
    cx: &Cx,
    header: &PlanHeader,
    shape: &Shape,
    (found, kinds): (Letters, &mut Kinds),
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<(Letters, Vec<usize>), Fault> {
    let stamp = Stamp::planned(header);
    let mut recipe = Recipe::new(header, &cx.profile, stamp);
    let (mut out, mut gone) = (Letters::default(), Vec::new());
    let takes = |letter: &Found| origin::takes(&header.options, letter.pointer, letter.key.is_some());
    let mut letters = found.drain();
    loop {
        let chunk: Vec<(usize, Found)> = letters.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            return Ok((out, gone));
        }
        let at = |letter: &Found| (letter.partition, letter.offset);
        let positions: Vec<(i32, i64)> = chunk
            .iter()
            .filter(|(_, letter)| takes(letter).is_some())
            .map(|(_, letter)| at(letter))
            .collect();
        let mut taken: HashMap<(i32, i64), Letter> = HashMap::new();
        if !positions.is_empty() {
            for letter in sent(cx, header, shape, &positions, sink, cancel).await? {
                taken.insert((letter.record.at.partition, letter.record.at.offset), letter);
            }
        }
        for (number, letter) in chunk {
            match (takes(&letter), taken.get_mut(&at(&letter))) {
                (None, _) => out.push(&letter),
                (Some(_), None) => {
                    gone.push(number);
                    out.push(&letter);
                }
                (Some(_), Some(with_origin)) => {
                    let edited = shape.edit(with_origin);
                    let record = Parts::of(&with_origin.record);
                    let outline = Outline::of(with_origin, &record);
                    let size = recipe.size(&outline);
                    out.push(&kinds.found(&outline, letter.sha256, edited, size));
                }
            }
        }
    }
}

/// Letters by their positions as they will be sent, but for an edit: read again, and with the bytes of their origins
/// where the plan takes these. Those whose origin is gone are left out.
pub(super) async fn sent(
    cx: &Cx,
    header: &PlanHeader,
    shape: &Shape,
    positions: &[(i32, i64)],
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<Vec<Letter>, Fault> {
    let takes = |letter: &Letter| {
        if shape.is_replay() {
            return None;
        }
        origin::takes(&header.options, letter.pointer, key(letter).is_some())
    };
    let pairs = pairs(cx, header, positions, |letter| takes(letter).is_some(), sink, cancel).await?;
    let apply = |(mut letter, origin): (Letter, Option<Record>)| match takes(&letter) {
        None => Some(letter),
        Some(take) => {
            origin.is_some_and(|origin| origin::apply(&mut letter, &origin, take)).then_some(letter)
        }
    };
    Ok(pairs.into_iter().filter_map(apply).collect())
}

/// Letters by their positions (sorted), read again, and those that are `wanted` with their origins.
async fn pairs(
    cx: &Cx,
    header: &PlanHeader,
    positions: &[(i32, i64)],
    wanted: impl Fn(&Letter) -> bool,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<Vec<(Letter, Option<Record>)>, Fault> {
    let shape = Shape::plain(header, &cx.profile);
    let mut letters = Vec::with_capacity(positions.len());
    read::at(cx, &header.source.topic, positions, sink, cancel, &mut |record| {
        letters.push(shape.letter(&record));
        ControlFlow::Continue(())
    })
    .await?;
    let places: Vec<Place> =
        letters.iter().filter(|letter| wanted(letter)).filter_map(origin::place).collect();
    let origins = origin::fetch(cx, places, sink, cancel).await?;
    let pair = |letter: Letter| {
        // Two letters may come from one record.
        let origin = origin::place(&letter).and_then(|place| origins.get(&place).cloned());
        (letter, origin)
    };
    Ok(letters.into_iter().map(pair).collect())
}
