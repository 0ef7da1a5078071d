//! The order in which letters go out, and to which partitions. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::cluster::Target;
use super::found::Found;
use super::options::Place;
use super::packed::Letters;
use super::placement::{self, Rule};
use super::plan::PlannedLetter;
use super::planner::Planner;
use super::shape::Edited;
use crate::broker::Name;
use crate::text::Timestamp;

/// By what letters are sorted that do not go out as they lie.
#[derive(Clone, Copy)]
enum Sorting {
    ByTime,
    ByOrigin,
}

/// Topic, partition and offset of the origin; or the time.
type SortKey = (Option<Name>, Option<(i32, i64)>, i64);

/// The letters of a plan, and their counts.
pub(super) struct Arranged {
    pub letters: Letters,
    /// Those that are sent: duplicates are only marked.
    pub sent: u64,
    /// Distinct keys of these.
    pub keys: u64,
    /// Of each kind how many are sent.
    pub by_kind: Vec<u64>,
}

impl Planner<'_> {
    /// How the partitions of each target are chosen.
    fn placements(&mut self) -> BTreeMap<Name, Rule> {
        let mut rules = BTreeMap::new();
        for (name, target) in &self.targets {
            let partitions = target.planned.partitions;
            let seen = || {
                let going = self.found.iter().filter(|(number, _)| !self.refused.is_out(*number));
                going.map(|(_, found)| found).filter(|found| self.aimed(found) == Some(name))
            };
            let rule = match self.header.options.place {
                Some(Place::Original) => Rule::Original,
                Some(Place::Rehash) => Rule::Murmur2,
                None if seen().all(|found| self.original(&found).is_none()) => Rule::Murmur2,
                None => {
                    let same = seen().filter(|found| found.edited == Edited::Same);
                    placement::rule(partitions, same.filter_map(|f| Some((f.key?, self.original(&f)?))))
                }
            };
            if let Rule::Grown { from } = rule {
                self.preflight.warnings.push(format!(
                    "{name} had {from} partitions when these records were written first, now it has \
                     {partitions}: older records of their keys are on other partitions"
                ));
            }
            rules.insert(Name::clone(name), rule);
        }
        rules
    }

    /// The partition where a letter's record was, if that was on its target.
    fn original(&self, found: &Found) -> Option<i32> {
        let here = self.kind(found).and_then(|kind| kind.origin.as_ref()) == self.aimed(found);
        found.origin_partition.filter(|_| here)
    }

    /// By what letters are sorted, where they do not go out as they lie: by the time of their records, where these gaps
    /// are kept; else by where they failed.
    fn sorting(&mut self) -> Option<Sorting> {
        if self.header.options.pace.is_some() {
            return Some(Sorting::ByTime);
        }
        let mut last: HashMap<(&str, i32), i64> = HashMap::new();
        let mut sorted = true;
        for (_, found) in self.found.iter().filter(|(number, _)| !self.refused.is_out(*number)) {
            let topic = self.kinds.of(&found).and_then(|kind| kind.origin.as_deref());
            if let (Some(topic), Some(partition), Some(offset)) =
                (topic, found.origin_partition, found.origin_offset)
            {
                let before = last.insert((topic, partition), offset);
                sorted &= before.is_none_or(|b| b <= offset);
            }
        }
        if sorted {
            return None;
        }
        self.warn("the letters lie in another order than their records did: they go out by original offset");
        Some(Sorting::ByOrigin)
    }

    /// Makes the plan's letters of those that no rule refuses; what was found of each is given back meanwhile.
    pub(super) fn arrange(&mut self) -> Arranged {
        let sorting = self.sorting();
        let rules = self.placements();
        let numbers: HashMap<&Name, u32> =
            self.targets.keys().enumerate().map(|(i, name)| (name, i as u32)).collect();
        let aims: Vec<Option<(&Name, &Target, u32, Rule)>> = self
            .aims
            .iter()
            .map(|aim| {
                let name = aim.as_ref()?;
                Some((name, self.targets.get(name)?, *numbers.get(name)?, *rules.get(name)?))
            })
            .collect();
        let mut letters = Letters::default();
        let mut displaced: Vec<(SortKey, PlannedLetter)> = Vec::new();
        let mut latest: HashMap<i32, Timestamp> = HashMap::new();
        let mut turns: HashMap<u32, u64> = HashMap::new();
        let mut keys: HashSet<u64, foldhash::fast::FixedState> = HashSet::default();
        let mut by_kind: Vec<u64> = vec![0; self.kinds.all().len()];
        let mut sent = 0;
        let (found, kinds) = (std::mem::take(&mut self.found), &self.kinds);
        for (number, found) in found.drain().filter(|(number, _)| !self.refused.is_out(*number)) {
            let Some(Some((name, target, to, rule))) = aims.get(found.kind as usize) else { continue };
            let kind = kinds.of(&found);
            let here = kind.and_then(|kind| kind.origin.as_ref()) == Some(name);
            // An edited key is placed anew.
            let new_key = matches!(found.edited, Edited::Changed { key: true, .. });
            let (rule, was) = match (new_key, here) {
                (true, _) => (Rule::Murmur2, None),
                (false, true) => (*rule, found.origin_partition),
                (false, false) => (*rule, None),
            };
            let turn = turns.entry(*to).or_default();
            let letter = PlannedLetter {
                partition: found.partition,
                offset: found.offset,
                sha256: found.sha256,
                target: *to,
                target_partition: placement::place(rule, target.planned.partitions, found.key, was, *turn),
            };
            *turn += 1;
            match sorting {
                None => letters.push(&letter),
                Some(Sorting::ByOrigin) => {
                    let origin = found.origin_partition.zip(found.origin_offset);
                    let key = (kind.and_then(|kind| kind.origin.clone()), origin, 0);
                    displaced.push((key, letter));
                }
                // By time, but never against the order of a partition.
                Some(Sorting::ByTime) => {
                    let latest = latest.entry(found.partition).or_insert(Timestamp(i64::MIN));
                    *latest = found.origin_time.or(found.time).map_or(*latest, |at| at.max(*latest));
                    displaced.push(((None, None, latest.as_millis()), letter));
                }
            }
            if !self.duplicates.contains(number) {
                sent += 1;
                keys.extend(found.key.map(|key| key.hash));
                if let Some(count) = by_kind.get_mut(found.kind as usize) {
                    *count += 1;
                }
            }
        }
        // Stable: what is equal stays in the order of partition and offset.
        displaced.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (_, letter) in &displaced {
            letters.push(letter);
        }
        drop(displaced);
        Arranged { letters, sent, keys: keys.len() as u64, by_kind }
    }
}
