//! Where the letters of a plan go, and whose bytes they carry there.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use super::cluster;
use super::compare;
use super::document::Into;
use super::found::Kind;
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
            Into::Topic(name) => vec![Some(Name::from(&**name)); self.kinds.all().len()],
            Into::Origin => self.kinds.all().iter().map(|kind| kind.origin.clone()).collect(),
            Into::Retry => self.retry_topics().await?,
        };
        // Headers are anybody's to write: none may lead into the ledger, or round in a circle.
        let is_wrong = |name: &Name| is_internal_name(name) || *name == source;
        let mut wanted: BTreeSet<Name> =
            self.aims.iter().flatten().filter(|n| !is_wrong(n)).cloned().collect();
        if let Into::Topic(name) = &self.request.into {
            wanted.insert(Name::from(&**name));
        }
        let wanted: Vec<Name> = wanted.into_iter().collect();
        self.targets = cluster::targets(self.cx, &wanted).await?;
        let why = |(kind, aim): (&Kind, &Option<Name>)| match (aim, &self.request.into, &kind.origin) {
            (None, Into::Retry, Some(origin)) => {
                let group = kind.group.as_deref().unwrap_or("the group that failed");
                Some(("target_missing", format!("there is no retry topic of {origin} and {group}")))
            }
            (None, ..) => Some(("origin_unknown", "they do not say where they failed".to_owned())),
            (Some(name), ..) if is_wrong(name) => {
                Some(("origin_unknown", format!("they name {name} as the topic where they failed")))
            }
            (Some(name), ..) if !self.targets.contains_key(name) => {
                Some(("target_missing", format!("there is no topic {name}, and none is made")))
            }
            (Some(_), ..) => None,
        };
        let refusals: Vec<_> = self.kinds.all().iter().zip(&self.aims).map(why).collect();
        if refusals.iter().any(Option::is_some) {
            for (number, letter) in self.found.iter() {
                if let Some(Some((rule, why))) = refusals.get(letter.kind as usize) {
                    self.refused.add(number, rule, why.clone());
                }
            }
        }
        self.header.target.topics = self.targets.values().map(|t| t.planned.clone()).collect();
        Ok(())
    }

    /// The retry topic of each kind, where there is one.
    async fn retry_topics(&self) -> Result<Vec<Option<Name>>, Fault> {
        let topics = self.cx.broker.catalog().topics(None).await?;
        let aim = |kind: &Kind| {
            let names = topics.iter().map(|t| &t.name);
            retry_topic(names, kind.origin.as_ref()?, kind.group.as_deref())
        };
        Ok(self.kinds.all().iter().map(aim).collect())
    }

    /// Takes out the letters on which the edit fails, and counts what it changes.
    pub(super) fn judge_edits(&mut self) {
        if !self.shape.edits() {
            return;
        }
        for (number, found) in self.found.iter() {
            match found.edited {
                Edited::Same => {}
                Edited::Changed { rewritten, .. } => {
                    self.preflight.changed_by_edit += 1;
                    self.preflight.rewritten += u64::from(rewritten);
                }
                Edited::Refused(rule, why) => {
                    self.preflight.edit_errors += 1;
                    self.refused.add(number, rule, why);
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
        let found = (&self.found, &self.kinds);
        let compared =
            compare::compare(self.cx, &self.header, found, self.request.compare_all, sink, cancel).await?;
        self.preflight.differ_from_origin = compared.differ;
        self.header.options.fill_keys = compared.drops_keys;
        let options = &self.header.options;
        let (mut topics, mut pointers, mut any) = (BTreeSet::new(), 0, false);
        for (_, found) in self.found.iter() {
            if origin::takes(options, found.pointer, found.key.is_some()).is_some() {
                any = true;
                pointers += u64::from(found.pointer);
                topics.extend(self.kinds.of(&found).and_then(|kind| kind.origin.clone()));
            }
        }
        if !any {
            return Ok(());
        }
        if compared.drops_keys {
            self.warn(
                "letters without a key take the key of their origin record: their framework drops keys",
            );
        }
        let names: Vec<Name> = topics.into_iter().collect();
        let there = cluster::targets(self.cx, &names).await?;
        self.header.origins = there.into_values().map(|t| t.planned).collect();
        self.preflight.pointers = pointers;
        let found = (std::mem::take(&mut self.found), &mut self.kinds);
        let (found, gone) = compare::take(self.cx, &self.header, &self.shape, found, sink, cancel).await?;
        self.found = found;
        if gone.is_empty() {
            return Ok(());
        }
        for (number, found) in self.found.iter().filter(|(number, _)| gone.binary_search(number).is_ok()) {
            let why = match (found.pointer, found.key.is_some()) {
                (true, _) => "they only point to their record, and it is gone from its topic",
                (false, false) if self.request.options.bytes == Which::Letter => {
                    "their framework drops keys, and the record that has the key is gone from its topic"
                }
                _ => "the origin's bytes are wanted, and the record is gone from its topic",
            };
            self.refused.add(number, "pointer", why.to_owned());
        }
        Ok(())
    }
}
