//! Where the letters of a plan go, and whose bytes they carry there.

use std::collections::{BTreeSet, HashMap, HashSet};

use tokio_util::sync::CancellationToken;

use super::cluster;
use super::compare;
use super::document::Into;
use super::found::Found;
use super::options::Which;
use super::origin;
use super::planner::Planner;
use super::shape::Edited;
use crate::broker::Name;
use crate::context::Sink;
use crate::dlq::names::is_internal_name;
use crate::dlq::retry::retry_topic;
use crate::text::Fault;

impl Planner<'_> {
    /// Finds the targets.
    pub(super) async fn aim(&mut self) -> Result<(), Fault> {
        let source = Name::clone(&self.header.source.topic);
        self.aims = match &self.request.into {
            Into::Topic(name) => vec![Some(Name::from(&**name)); self.found.len()],
            Into::Origin => self.found.iter().map(|f| f.origin.clone()).collect(),
            Into::Retry => self.retry_topics().await?,
        };
        let mut wanted: HashSet<Name> = HashSet::new();
        for i in 0..self.found.len() {
            let Some(name) = self.aimed(i).cloned() else {
                let (rule, why) = match (&self.request.into, &self.found[i].origin) {
                    (Into::Retry, Some(origin)) => {
                        let group = self.found[i].group.as_deref().unwrap_or("the group that failed");
                        ("target_missing", format!("there is no retry topic of {origin} and {group}"))
                    }
                    _ => ("origin_unknown", "they do not say where they failed".to_owned()),
                };
                self.refused.add(i, rule, why);
                continue;
            };
            // Headers are anybody's to write: none may lead into the ledger, or round in a circle.
            if is_internal_name(&name) || name == source {
                let why = format!("they name {name} as the topic where they failed");
                self.refused.add(i, "origin_unknown", why);
                continue;
            }
            wanted.insert(name);
        }
        if let Into::Topic(name) = &self.request.into {
            wanted.insert(Name::from(&**name));
        }
        let mut wanted: Vec<Name> = wanted.into_iter().collect();
        wanted.sort();
        self.targets = cluster::targets(self.cx, &wanted).await?;
        for i in 0..self.found.len() {
            let missing = self.aimed(i).filter(|n| !self.targets.contains_key(*n));
            let missing = missing.filter(|n| !is_internal_name(n)).cloned();
            if let Some(name) = missing {
                self.refused.add(i, "target_missing", format!("there is no topic {name}, and none is made"));
            }
        }
        self.header.target.topics = self.targets.values().map(|t| t.planned.clone()).collect();
        Ok(())
    }

    /// The retry topic of each letter, where there is one.
    async fn retry_topics(&self) -> Result<Vec<Option<Name>>, Fault> {
        let topics = self.cx.broker.catalog().topics(None).await?;
        let mut known: HashMap<(Name, Option<Name>), Option<Name>> = HashMap::new();
        let mut aim = |found: &Found| {
            let origin = found.origin.as_ref()?;
            let names = topics.iter().map(|t| &t.name);
            let find = || retry_topic(names, origin, found.group.as_deref());
            known.entry((Name::clone(origin), found.group.clone())).or_insert_with(find).clone()
        };
        Ok(self.found.iter().map(&mut aim).collect())
    }

    /// Takes out the letters on which the edit fails, and counts what it changes.
    pub(super) fn judge_edits(&mut self) {
        for (i, found) in self.found.iter().enumerate() {
            match &found.edited {
                Edited::Same => {}
                Edited::Changed { rewritten, .. } => {
                    self.preflight.changed_by_edit += 1;
                    self.preflight.rewritten += u64::from(*rewritten);
                }
                Edited::Refused(rule, why) => {
                    self.preflight.edit_errors += 1;
                    self.refused.add(i, rule, why.clone());
                }
            }
        }
    }

    /// Compares letters with the records that they come from, and takes those where letters lack what is sent.
    pub(super) async fn take_origins(
        &mut self,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        let compared =
            compare::compare(self.cx, &self.header, &self.found, self.request.compare_all, sink, cancel)
                .await?;
        self.preflight.differ_from_origin = compared.differ;
        self.header.options.fill_keys = compared.drops_keys;
        let options = &self.header.options;
        let wanted: Vec<usize> = (0..self.found.len())
            .filter(|i| {
                let found = &self.found[*i];
                origin::takes(options, found.pointer, found.key.is_some()).is_some()
            })
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        if compared.drops_keys {
            self.warn(
                "letters without a key take the key of their origin record: their framework drops keys",
            );
        }
        let topics: BTreeSet<Name> = wanted.iter().filter_map(|i| self.found[*i].origin.clone()).collect();
        let names: Vec<Name> = topics.into_iter().collect();
        let there = cluster::targets(self.cx, &names).await?;
        self.header.origins = there.into_values().map(|t| t.planned).collect();
        self.preflight.pointers = wanted.iter().filter(|i| self.found[**i].pointer).count() as u64;
        let gone =
            compare::take(self.cx, &self.header, &self.shape, &mut self.found, &wanted, sink, cancel).await?;
        for i in gone {
            let found = &self.found[i];
            let why = match (found.pointer, found.key.is_some()) {
                (true, _) => "they only point to their record, and it is gone from its topic",
                (false, false) if self.request.options.bytes == Which::Letter => {
                    "their framework drops keys, and the record that has the key is gone from its topic"
                }
                _ => "the origin's bytes are wanted, and the record is gone from its topic",
            };
            self.refused.add(i, "pointer", why.to_owned());
        }
        Ok(())
    }
}
