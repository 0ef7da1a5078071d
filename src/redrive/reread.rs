//! Letters that a plan looks at once more: those that may be there twice, and those that may be too large.

use std::collections::{HashMap, HashSet};

use tokio_util::sync::CancellationToken;

use super::compare;
use super::found::{Found, Numbers};
use super::outgoing::{Recipe, Stamp, sent_size};
use super::outline::Outline;
use super::planner::Planner;
use super::twins::{Identity, Twins, is_same};
use crate::broker::Name;
use crate::context::Sink;
use crate::dlq::Letter;
use crate::event::Parts;
use crate::text::{Fault, units};

/// Letters read together again.
const CHUNK: usize = 500;

impl Planner<'_> {
    /// Finds letters that are the same failed record as another one. Only those are looked at that share their root
    /// with another letter, or with one that was redriven before.
    pub(super) async fn skip_duplicates(
        &mut self,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        let root =
            |found: &Found| self.kinds.of(found)?.place(found).map(|(t, p, o)| self.kinds.root(&t, p, o));
        let mut roots: Vec<u64> = self.found.iter().filter_map(|(_, found)| root(&found)).collect();
        roots.sort_unstable();
        let mut shared: HashSet<u64> =
            roots.windows(2).filter(|pair| pair[0] == pair[1]).map(|p| p[0]).collect();
        let source = self.header.source.topic_id.clone().unwrap_or_default();
        let mut twins = {
            let follower = self.index.ledger().await;
            let Some(ledger) = follower.ledger() else { return Ok(()) };
            Twins::of(ledger, |topic, partition, offset| {
                let root = self.kinds.root(topic, partition, offset);
                let is_ours = roots.binary_search(&root).is_ok();
                if is_ours {
                    shared.insert(root);
                }
                is_ours
            })
        };
        drop(roots);
        let candidates: Vec<(usize, (i32, i64), Option<Name>)> = self
            .found
            .iter()
            .filter(|(_, found)| root(found).is_some_and(|root| shared.contains(&root)))
            .map(|(number, found)| {
                let target = self.target(&found).map(|target| Name::clone(&target.planned.topic));
                (number, (found.partition, found.offset), target)
            })
            .collect();
        for chunk in candidates.chunks(CHUNK) {
            let positions: Vec<(i32, i64)> = chunk.iter().map(|(_, at, _)| *at).collect();
            let mut letters =
                compare::sent(self.cx, &self.header, &self.shape, &positions, sink, cancel).await?;
            for letter in &mut letters {
                self.shape.edit(letter);
            }
            let identity = |letter: &Letter| {
                let at = &letter.record.at;
                let record = Parts::of(&letter.record);
                Some(((at.partition, at.offset), Identity::of(&Outline::of(letter, &record), &letter.root)?))
            };
            let identities: HashMap<(i32, i64), Identity> = letters.iter().filter_map(identity).collect();
            for (number, at, target) in chunk {
                let target = target.as_ref().and_then(|name| self.targets.get(name));
                let (Some(identity), Some(target)) = (identities.get(at), target) else { continue };
                if !twins.is_first(identity.hash(&target.planned.topic)) {
                    self.duplicates.insert(*number);
                    continue;
                }
                let own = (&*source, at.0, at.1);
                let (suspect, known) = {
                    let follower = self.index.ledger().await;
                    let Some(ledger) = follower.ledger() else { continue };
                    let suspect = twins.suspect(ledger, identity, &target.planned, own);
                    (suspect, twins.row(ledger, identity).is_some())
                };
                match suspect {
                    Some(suspect) if is_same(self.cx, &suspect, identity).await? => {
                        self.duplicates.insert(*number);
                    }
                    Some(_) => {
                        self.again.insert(*number);
                    }
                    None if known => {
                        self.again.insert(*number);
                    }
                    None => {}
                }
            }
        }
        if self.forces("duplicate") {
            self.duplicates = Numbers::default();
        } else {
            self.header.counts.duplicates = Some(self.duplicates.len() as u64);
        }
        Ok(())
    }

    /// Finds letters whose records are larger than their target takes, compressed as a redrive sends them.
    pub(super) async fn refuse_large(
        &mut self,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        let most = |found: &Found| self.target(found)?.max_bytes;
        let large: Vec<(usize, (i32, i64), usize)> = self
            .found
            .iter()
            .filter(|(number, _)| self.is_going(*number))
            .filter_map(|(number, found)| {
                let most = most(&found).filter(|most| found.size > *most)?;
                Some((number, (found.partition, found.offset), most))
            })
            .collect();
        let header = self.header.clone();
        let stamp = Stamp::planned(&header);
        let mut recipe = Recipe::new(&header, &self.cx.profile, stamp);
        for chunk in large.chunks(CHUNK) {
            let positions: Vec<(i32, i64)> = chunk.iter().map(|(_, at, _)| *at).collect();
            let mut letters = compare::sent(self.cx, &header, &self.shape, &positions, sink, cancel).await?;
            let mut over = Vec::new();
            for letter in &mut letters {
                self.shape.edit(letter);
                let at = (letter.record.at.partition, letter.record.at.offset);
                let Ok(nth) = chunk.binary_search_by_key(&at, |(_, at, _)| *at) else { continue };
                let (number, _, most) = chunk[nth];
                let record = Parts::of(&letter.record);
                let outline = Outline::of(letter, &record);
                if sent_size(&recipe.write(&outline, u32::MAX)) > most {
                    over.push((number, most));
                }
            }
            for (number, most) in over {
                let most = units::bytes(most as u64);
                let why = format!("a record would be larger than the {most} that its target takes");
                self.refused.add(number, "too_large", why);
            }
        }
        Ok(())
    }
}
