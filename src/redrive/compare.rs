//! Compares letters with the records that they come from, and takes those where a plan needs them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::document::Differ;
use super::found::{Found, Names};
use super::origin::{self, Place};
use super::outgoing::{ADDED, Recipe, Stamp, key, value};
use super::plan::PlanHeader;
use super::shape::Shape;
use crate::context::{Cx, Progress, Sink};
use crate::dlq::Letter;
use crate::dlq::formats::{self, strip_rules};
use crate::event::Record;
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
    found: &[Found],
    all: bool,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<Compared, Fault> {
    let mut of: HashMap<(&Arc<str>, &Option<Arc<str>>), usize> = HashMap::new();
    let mut sample = Vec::new();
    let mut have_origin = 0;
    for (i, letter) in found.iter().enumerate().filter(|(_, f)| f.place().is_some() && !f.pointer) {
        have_origin += 1;
        let seen = of.entry((&letter.failure, &letter.format)).or_default();
        *seen += 1;
        if all || *seen <= SAMPLE {
            sample.push(i);
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
        for (_, letter, origin) in pairs(cx, header, found, chunk, sink, cancel).await? {
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

/// Takes the origins of letters: each is replaced by what will be sent. Gives those whose origin is gone.
pub(super) async fn take(
    cx: &Cx,
    header: &PlanHeader,
    shape: &Shape<'_>,
    found: &mut [Found],
    wanted: &[usize],
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<HashSet<usize>, Fault> {
    let mut gone: HashSet<usize> = wanted.iter().copied().collect();
    let mut recipe = Recipe::new(header, &cx.profile.dead_letters);
    let mut names = Names::default();
    let stamp = Stamp { run: "00000000000000000000000000000000", operator: &header.operator };
    for chunk in wanted.chunks(CHUNK) {
        for (i, mut letter, origin) in pairs(cx, header, found, chunk, sink, cancel).await? {
            let take = origin::takes(&header.options, letter.pointer, key(&letter).is_some());
            let (Some(take), Some(origin)) = (take, origin) else { continue };
            let digest = found[i].sha256;
            if origin::apply(&mut letter, &origin, take) {
                let edited = shape.edit(&mut letter);
                found[i] =
                    Found { sha256: digest, edited, ..Found::of(&letter, &mut names, &mut recipe, stamp) };
                gone.remove(&i);
            }
        }
    }
    Ok(gone)
}

/// Letters read again, with their origins.
async fn pairs(
    cx: &Cx,
    header: &PlanHeader,
    found: &[Found],
    which: &[usize],
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<Vec<(usize, Letter, Option<Record>)>, Fault> {
    let numbers: HashMap<(i32, i64), usize> =
        which.iter().map(|i| ((found[*i].partition, found[*i].offset), *i)).collect();
    let positions: Vec<(i32, i64)> = numbers.keys().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let mut letters = Vec::with_capacity(which.len());
    read::at(cx, &header.source.topic, &positions, sink, cancel, &mut |record| {
        if let Some(i) = numbers.get(&(record.at.partition, record.at.offset)) {
            letters.push((*i, formats::decode(&record, &cx.profile.dead_letters)));
        }
        ControlFlow::Continue(())
    })
    .await?;
    let places: Vec<Place> = letters.iter().filter_map(|(_, letter)| origin::place(letter)).collect();
    let origins = origin::fetch(cx, places, sink, cancel).await?;
    let pair = |(i, letter): (usize, Letter)| {
        // Two letters may come from one record.
        let origin = origin::place(&letter).and_then(|place| origins.get(&place).cloned());
        (i, letter, origin)
    };
    Ok(letters.into_iter().map(pair).collect())
}
