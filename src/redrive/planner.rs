//! Makes a plan with its preflight. Asks the broker, writes nothing to it.
//!
//! A letter that a rule refuses is not in the plan; the refusal says how many, why, and under which name it could
//! be forced. Duplicates are in the plan, because a run marks them; it does not send them. Limits: the letters of
//! a plan are in memory while it is made, at some hundred bytes each.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::checks::{self, Refused, Search};
use super::cluster::{self, Target};
use super::document::{Into, PlanAnswer, PlanRequest, Preflight, Tally};
use super::found::{Found, Names};
use super::options::Place;
use super::outgoing::{ADDED, BY, REPLAY, RUN, Recipe, Stamp, wrote};
use super::placement::{self, Rule};
use super::plan::{Plan, PlanCounts, PlanHeader, PlannedLetter, PlannedTarget, SCHEMA};
use super::rights;
use super::rules::check_forced;
use super::shape::{Edited, Shape, sample};
use super::twins::{Twins, is_same};
use crate::broker::{Guarantee, Name, Shard};
use crate::context::{Cx, Sink};
use crate::dlq::formats::strip_rules;
use crate::dlq::names::is_internal_name;
use crate::ledger::{AUDIT_TOPIC, Disposition, LEDGER_TOPIC};
use crate::letters::Index;
use crate::letters::document::LettersRequest;
use crate::text::{Fault, Timestamp, units};

/// Letters shown before and after an edit.
const SAMPLES: usize = 5;

/// Answers [`PlanRequest`].
pub async fn plan(
    index: &Index,
    request: &PlanRequest,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<PlanAnswer, Fault> {
    check_forced(&request.options.force)?;
    let mut planner = Planner::new(index, request).await?;
    planner.collect(sink, cancel).await?;
    planner.aim().await?;
    // The records of a replay are their own origin, and nothing was done with them in its name yet.
    if request.replay {
        planner.judge_edits();
        planner.check(sink, cancel).await?;
        return planner.finish().await;
    }
    planner.take_origins(sink, cancel).await?;
    planner.judge_edits();
    planner.skip_duplicates().await?;
    planner.check(sink, cancel).await?;
    planner.finish().await
}

pub(super) struct Planner<'a> {
    pub(super) cx: &'a Cx,
    pub(super) index: &'a Index,
    pub(super) request: &'a PlanRequest,
    pub(super) header: PlanHeader,
    pub(super) found: Vec<Found>,
    /// The topic that each of them goes to, by index.
    pub(super) aims: Vec<Option<Name>>,
    pub(super) shape: Shape<'a>,
    /// Formats met.
    pub(super) formats: HashSet<Option<Arc<str>>>,
    pub(super) targets: BTreeMap<Name, Target>,
    /// By index into `found`.
    pub(super) duplicates: HashSet<usize>,
    pub(super) again: HashSet<usize>,
    pub(super) refused: Refused,
    pub(super) preflight: Preflight,
}

impl<'a> Planner<'a> {
    async fn new(index: &'a Index, request: &'a PlanRequest) -> Result<Self, Fault> {
        let cx = index.cx();
        let catalog = cx.broker.catalog();
        let cluster = catalog.cluster().await?;
        let topic = &request.letters.topic;
        let source = cluster::targets(cx, std::slice::from_ref(topic)).await?.remove(topic);
        let Some(source) = source else { return Err(cx.unknown_topic(topic).await) };
        if let Into::Topic(name) = &request.into {
            if **name == **topic {
                return Err(Fault::usage("usage", "the target is the dead-letter topic itself")
                    .hint("give another topic"));
            }
            if is_internal_name(name) {
                return Err(Fault::usage("usage", format!("{name} is an internal topic")));
            }
        }
        let id = uuid::Uuid::new_v4().simple().to_string();
        let header = PlanHeader {
            schema: SCHEMA,
            id: id[..16].to_owned(),
            cluster_id: cluster.id,
            source: source.planned,
            target: PlannedTarget { into: request.into.clone(), topics: Vec::new() },
            origins: Vec::new(),
            replay: request.replay,
            options: request.options.clone(),
            operator: cx.operator.name.clone(),
            created_ms: cx.clock.now().as_millis(),
            counts: PlanCounts::default(),
        };
        let shape = Shape::new(&header, &cx.profile.dead_letters)?;
        Ok(Self {
            cx,
            index,
            request,
            header,
            found: Vec::new(),
            aims: Vec::new(),
            shape,
            formats: HashSet::new(),
            targets: BTreeMap::new(),
            duplicates: HashSet::new(),
            again: HashSet::new(),
            refused: Refused::new(request.options.force.clone()),
            preflight: Preflight::default(),
        })
    }

    /// The answer; the plan is saved where that was asked for.
    async fn finish(self) -> Result<PlanAnswer, Fault> {
        let save = self.request.save.as_ref();
        let answer = self.answer().await?;
        if let Some(path) = save {
            answer.plan.save(path)?;
        }
        Ok(answer)
    }

    fn forces(&self, rule: &str) -> bool {
        self.header.options.forces(rule)
    }

    /// Reads the letters that are meant.
    async fn collect(&mut self, sink: &dyn Sink, cancel: &CancellationToken) -> Result<(), Fault> {
        let selection = &self.request.letters.selection;
        let by_content = selection.contains.is_some() || selection.filter.is_some();
        let again = self.forces("again") || self.header.replay;
        // What is closed is counted, too: by the index, or where content decides by looking at it.
        let state = if by_content || again || self.header.replay { None } else { Some(Disposition::Pending) };
        let request = LettersRequest { state, ..self.request.letters.clone() };
        let only: Option<HashSet<(i32, i64)>> =
            self.request.only.as_ref().map(|only| only.iter().copied().collect());
        let header = self.header.clone();
        let mut recipe = Recipe::new(&header, &self.cx.profile.dead_letters);
        // As long as a run's own.
        let stamp = Stamp { run: "00000000000000000000000000000000", operator: &header.operator };
        let mut names = Names::default();
        let (mut closed, mut unknown) = (0, 0_u64);
        let (found, formats, samples) = (&mut self.found, &mut self.formats, &mut self.preflight.samples);
        let (shape, replay) = (&self.shape, header.replay);
        let is_open = |state: Disposition| state.is_pending() || (again && state == Disposition::Redriven);
        let walk = self
            .index
            .each(&request, only.as_ref(), sink, cancel, &mut |row| {
                if replay || row.state.is_some_and(is_open) {
                    let mut letter = shape.letter(&row.letter.record);
                    let before = letter.clone();
                    formats.extend(wrote(&letter));
                    let edited = shape.edit(&mut letter);
                    if samples.len() < SAMPLES && matches!(edited, Edited::Changed { .. }) {
                        samples.push(sample(&before, &letter));
                    }
                    found.push(Found {
                        // What is planned with is the letter as it lies.
                        sha256: before.record.digest(),
                        edited,
                        ..Found::of(&letter, &mut names, &mut recipe, stamp)
                    });
                    return ControlFlow::Continue(());
                }
                match row.state {
                    None => unknown += 1,
                    Some(_) => closed += 1,
                }
                ControlFlow::Continue(())
            })
            .await?;
        if unknown > 0 {
            return Err(self.index.ledger_fault().unwrap_or_else(|| {
                Fault::refused("ledger_lost", "the state of the letters is not known")
                    .why("the ledger was not read yet, or the broker has no topic ids")
                    .hint("try again")
            }));
        }
        self.preflight.already_handled = closed + walk.closed;
        self.preflight.expired = walk.gone;
        if !walk.complete && selection.limit.is_none() {
            self.warn("not all letters of the topic could be read: the plan has those that were");
        }
        if walk.filter_errors > 0 {
            self.warn(format!("the condition failed on {} letters: they are left out", walk.filter_errors));
        }
        if let Some(only) = &only
            && walk.total + walk.closed < only.len() as u64
        {
            let lost = only.len() as u64 - walk.total - walk.closed;
            self.warn(format!("{lost} of the positions given hold no letter"));
        }
        Ok(())
    }

    pub(super) fn warn(&mut self, warning: impl std::convert::Into<String>) {
        self.preflight.warnings.push(warning.into());
    }

    /// The topic that a letter goes to, by name.
    pub(super) fn aimed(&self, letter: usize) -> Option<&Name> {
        self.aims.get(letter)?.as_ref()
    }

    /// The target of a letter.
    fn target(&self, letter: usize) -> Option<&Target> {
        self.targets.get(self.aimed(letter)?)
    }

    /// Finds letters that are the same failed record as another one.
    async fn skip_duplicates(&mut self) -> Result<(), Fault> {
        let mut suspects = Vec::new();
        {
            let follower = self.index.ledger().await;
            let Some(ledger) = follower.ledger() else { return Ok(()) };
            let source = self.header.source.topic_id.as_deref().unwrap_or_default();
            let mut twins = Twins::new(ledger);
            for (i, found) in self.found.iter().enumerate() {
                let (Some(identity), Some(target)) = (&found.identity, self.target(i)) else { continue };
                let own = (source, found.partition, found.offset);
                if !twins.is_first(identity, &target.planned.topic) {
                    self.duplicates.insert(i);
                } else if let Some(suspect) = twins.suspect(ledger, identity, &target.planned, own) {
                    suspects.push((i, suspect));
                } else if twins.row(ledger, identity).is_some() {
                    self.again.insert(i);
                }
            }
        }
        for (i, suspect) in suspects {
            let Some(identity) = &self.found[i].identity else { continue };
            if is_same(self.cx, &suspect, identity).await? {
                self.duplicates.insert(i);
            } else {
                self.again.insert(i);
            }
        }
        if self.forces("duplicate") {
            self.duplicates.clear();
        }
        Ok(())
    }

    /// Applies the rules.
    async fn check(&mut self, sink: &dyn Sink, cancel: &CancellationToken) -> Result<(), Fault> {
        let open: Vec<usize> = (0..self.found.len())
            .filter(|i| !self.refused.is_out(*i) && !self.duplicates.contains(i))
            .collect();
        for &i in &open {
            let found = &self.found[i];
            let target = self.target(i);
            let max = target.and_then(|t| t.max_bytes);
            let at = found.origin_time.or(found.time).filter(|_| self.header.options.keep_timestamps);
            let timestamp = target.zip(at).and_then(|(t, at)| t.refuses(at, self.cx.clock.now()));
            if let Some(max) = max.filter(|max| found.size > *max) {
                let why = format!(
                    "a record would be larger than the {} that its target takes",
                    units::bytes(max as u64)
                );
                self.refused.add(i, "too_large", why);
            } else if let Some(why) = timestamp {
                self.refused.add(i, "timestamp", why);
            } else if found.tombstone {
                let why = "their value is null: on a compacted topic that deletes the key";
                self.refused.add(i, "tombstone", why.to_owned());
            }
        }
        let again = if self.header.replay {
            Vec::new()
        } else {
            checks::loops(self.index, &self.header, &self.found, &open, &mut self.refused, sink, cancel)
                .await?
        };
        self.again.extend(again);
        let mut search =
            Search::new(self.cx, &self.header.source.topic, &self.shape, self.request.check_budget_ms);
        for target in self.targets.values() {
            let to: Vec<usize> = open
                .iter()
                .copied()
                .filter(|i| !self.refused.is_out(*i) && self.aimed(*i) == Some(&target.planned.topic))
                .collect();
            search.newer(target, &self.found, &to, &mut self.refused, sink, cancel).await?;
        }
        if self.header.options.keep_timestamps {
            let now = self.cx.clock.now();
            let oldest = self.found.iter().filter_map(|f| f.origin_time.or(f.time)).min();
            let told = self.targets.values().flat_map(|t| t.doubts(oldest, now));
            self.preflight.warnings.extend(told);
        }
        self.preflight.superseded = search.superseded;
        self.preflight.warnings.extend(search.told);
        let mut read: Vec<Name> = self.header.origins.iter().map(|t| Name::clone(&t.topic)).collect();
        read.push(Name::clone(&self.header.source.topic));
        let mut write: Vec<Name> = self.targets.keys().cloned().collect();
        write.extend([LEDGER_TOPIC, AUDIT_TOPIC].map(Name::from));
        let source = self.header.source.topic_id.as_deref();
        if !self.forces("no_transactions")
            && let Some(why) = rights::transactions(self.cx, source).await
        {
            let why = format!("{why}; forced, the run is at least once, checked");
            self.refused.all("no_transactions", why, self.found.len() as u64);
        }
        for why in rights::missing(self.cx, &read, &write).await? {
            self.refused.all("acl", why, self.found.len() as u64);
        }
        let health = cluster::health(self.cx).await?;
        if let Some(why) = health.unwritable {
            self.refused.all("ledger_weak", why, self.found.len() as u64);
        }
        if let Some(why) = health.weak {
            if self.forces("ledger_weak") {
                self.preflight.warnings.push(format!("forced: {why}"));
            } else {
                self.refused.all("ledger_weak", why, self.found.len() as u64);
            }
        }
        self.preflight.warnings.extend(health.warnings);
        if !health.missing.is_empty() {
            let topics = health.missing.join(" and ");
            self.preflight.warnings.push(format!("the first run makes {topics}: they keep what was done"));
        }
        Ok(())
    }

    /// The partition of each letter that goes out.
    fn place(&mut self, going: &[usize]) -> HashMap<usize, i32> {
        let mut places = HashMap::with_capacity(going.len());
        for (name, target) in &self.targets {
            let to: Vec<usize> = going.iter().copied().filter(|i| self.aimed(*i) == Some(name)).collect();
            let partitions = target.planned.partitions;
            let original = |f: &Found| f.origin_partition.filter(|_| f.origin.as_ref() == Some(name));
            let seen = to.iter().map(|i| &self.found[*i]);
            let seen = seen.filter(|f| f.edited == Edited::Same);
            let seen = seen.filter_map(|f| Some((f.key.as_deref()?, original(f)?)));
            let from_elsewhere = to.iter().all(|i| original(&self.found[*i]).is_none());
            let rule = match self.header.options.place {
                Some(Place::Original) => Rule::Original,
                Some(Place::Rehash) => Rule::Murmur2,
                None if from_elsewhere => Rule::Murmur2,
                None => placement::rule(partitions, seen),
            };
            if let Rule::Grown { from } = rule {
                self.preflight.warnings.push(format!(
                    "{name} had {from} partitions when these records were written first, now it has \
                     {partitions}: older records of their keys are on other partitions"
                ));
            }
            for (turn, i) in to.into_iter().enumerate() {
                let found = &self.found[i];
                // An edited key is placed anew.
                let new_key = matches!(found.edited, Edited::Changed { key: true, .. });
                let (rule, was) = if new_key { (Rule::Murmur2, None) } else { (rule, original(found)) };
                let at = placement::place(rule, partitions, found.key.as_ref(), was, turn as u64);
                places.insert(i, at);
            }
        }
        places
    }

    /// The order: as they lie, where that is the order of each origin partition; else sorted by it.
    fn order(&mut self, going: &mut [usize]) {
        if self.header.options.pace.is_some() {
            // By time, but never against the order of a partition.
            let mut latest: HashMap<i32, Timestamp> = HashMap::new();
            going.sort_by_key(|i| (self.found[*i].partition, self.found[*i].offset));
            let times: HashMap<usize, Option<Timestamp>> = going
                .iter()
                .map(|i| {
                    let found = &self.found[*i];
                    let latest = latest.entry(found.partition).or_insert(Timestamp(i64::MIN));
                    *latest = found.origin_time.or(found.time).map_or(*latest, |at| at.max(*latest));
                    (*i, Some(*latest))
                })
                .collect();
            going.sort_by_key(|i| times.get(i).copied().flatten());
            return;
        }
        let mut last: HashMap<(&str, i32), i64> = HashMap::new();
        let mut sorted = true;
        for found in going.iter().map(|i| &self.found[*i]) {
            if let (Some(topic), Some(partition), Some(offset)) =
                (found.origin.as_deref(), found.origin_partition, found.origin_offset)
            {
                let before = last.insert((topic, partition), offset);
                sorted &= before.is_none_or(|b| b <= offset);
            }
        }
        if !sorted {
            let found = &self.found;
            going.sort_by_cached_key(|i| {
                let f = &found[*i];
                (f.origin.clone(), f.origin_partition, f.origin_offset, f.partition, f.offset)
            });
            self.warn(
                "the letters lie in another order than their records did: they go out by original offset",
            );
        }
    }

    async fn answer(mut self) -> Result<PlanAnswer, Fault> {
        let mut going: Vec<usize> = (0..self.found.len()).filter(|i| !self.refused.is_out(*i)).collect();
        self.order(&mut going);
        let places = self.place(&going);
        let numbers: HashMap<Name, u32> =
            self.targets.keys().enumerate().map(|(i, n)| (Name::clone(n), i as u32)).collect();
        let mut letters = Vec::with_capacity(going.len());
        let mut keys: HashSet<&[u8]> = HashSet::new();
        let mut failures: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        let mut by_target: BTreeMap<&str, u64> = BTreeMap::new();
        let mut sent = 0;
        for i in &going {
            let found = &self.found[*i];
            let (Some(name), Some(place)) = (self.aimed(*i), places.get(i)) else { continue };
            let Some(number) = numbers.get(name) else { continue };
            letters.push(PlannedLetter {
                partition: found.partition,
                offset: found.offset,
                sha256: found.sha256,
                target: *number,
                target_partition: *place,
            });
            if self.duplicates.contains(i) {
                continue;
            }
            sent += 1;
            keys.extend(found.key.as_deref());
            *failures.entry((&found.failure, &found.title)).or_default() += 1;
            *by_target.entry(name).or_default() += 1;
        }
        let tallies = |counts: Vec<(&str, u64)>| {
            let mut tallies: Vec<Tally> =
                counts.into_iter().map(|(name, count)| Tally { name: name.to_owned(), count }).collect();
            tallies.sort_by(|a, b| (b.count, &a.name).cmp(&(a.count, &b.name)));
            tallies
        };
        let by_failure = tallies(failures.into_iter().map(|((_, title), n)| (title, n)).collect());
        let by_origin = tallies(by_target.into_iter().collect());
        let keys = keys.len() as u64;
        let mut preflight = std::mem::take(&mut self.preflight);
        preflight.selected = sent;
        preflight.duplicates = self.duplicates.len() as u64;
        preflight.again = self.again.len() as u64;
        preflight.by_failure = by_failure;
        preflight.by_origin = by_origin;
        preflight.keys = keys;
        preflight.refusals = std::mem::take(&mut self.refused).into_refusals();
        self.outlook(&mut preflight).await?;
        self.header.counts = PlanCounts { records: letters.len() as u64, keys };
        let (guarantee, guarantee_reason) = self.guarantee(&mut preflight);
        let headers = self.headers();
        let plan = Arc::new(Plan { header: self.header, letters });
        plan.check()?;
        Ok(PlanAnswer {
            id: plan.header.id.clone(),
            cluster_id: plan.header.cluster_id.to_string(),
            topic: Arc::clone(&plan.header.source.topic),
            into: plan.header.target.into.clone(),
            targets: plan.header.target.topics.iter().map(|t| Arc::clone(&t.topic)).collect(),
            rate: plan.header.options.rate,
            records: plan.header.counts.records,
            guarantee: guarantee.as_str(),
            guarantee_reason,
            headers,
            preflight,
            plan,
        })
    }

    /// Who will see the records, and how much time is left.
    async fn outlook(&self, preflight: &mut Preflight) -> Result<(), Fault> {
        let shards: Vec<Shard> = (0..self.header.source.partitions)
            .map(|p| Shard::new(Name::clone(&self.header.source.topic), p))
            .collect();
        for bounds in self.cx.broker.catalog().bounds(&shards).await?.into_iter().flatten() {
            preflight.beyond_last_stable += (bounds.end - bounds.last_stable).max(0) as u64;
        }
        let targets: HashSet<&Name> = self.targets.keys().collect();
        match checks::groups_of(self.cx, &targets).await {
            Ok(groups) => preflight.groups_that_will_see_them = groups,
            Err(fault) => {
                preflight.warnings.push(format!("groups that read the targets are not known: {fault}"));
            }
        }
        if !preflight.groups_that_will_see_them.is_empty() {
            preflight.warnings.push(
                "readers with isolation.level=read_uncommitted (Java's default) may see records of aborted \
                 transactions; a broker cannot tell which readers these are"
                    .to_owned(),
            );
        }
        let expires =
            self.index.rows().iter().find(|r| r.topic == self.header.source.topic).and_then(|r| r.expires_at);
        if let Some(at) = expires {
            let left = at.since(self.cx.clock.now());
            if left < 24 * 3_600_000 {
                preflight.warnings.push(format!("retention deletes the oldest letters at {at}"));
            }
        }
        Ok(())
    }

    fn guarantee(&self, preflight: &mut Preflight) -> (Guarantee, String) {
        if self.cx.broker.writer().is_none() {
            preflight.warnings.push(format!(
                "profile {} is read-only: the plan cannot be run with it",
                self.cx.profile.name
            ));
        }
        if !self.forces("no_transactions") {
            let why = "record, ledger row and audit record are one transaction".to_owned();
            return (Guarantee::ExactlyOnceReadCommitted, why);
        }
        preflight.warnings.push(
            "forced: without transactions a record that is on its way when a run dies or loses the broker is looked \
             for on its target before it is sent again; one that arrives only after that look is there twice"
                .to_owned(),
        );
        preflight.warnings.push(
            "forced: without transactions nobody is fenced: of two runs at the same moment each may send the batch \
             that the other one has under way"
                .to_owned(),
        );
        let why = "no transactions: rows before and after each batch, and a look at the target where one is missing";
        (Guarantee::AtLeastOnceChecked, why.to_owned())
    }

    /// Headers that are taken off and added, for the eye.
    fn headers(&self) -> (Vec<String>, Vec<String>) {
        let mut stripped: Vec<String> = self
            .formats
            .iter()
            .flat_map(|f| strip_rules(f.as_deref(), &self.cx.profile.dead_letters).shown())
            .chain(self.header.options.strip_headers.iter().cloned())
            .collect();
        stripped.sort();
        stripped.dedup();
        let added = self.header.options.add_headers.iter().map(|(n, _)| n.clone());
        let ours: &[&str] = if self.header.replay { &[REPLAY, RUN, BY] } else { &ADDED };
        (stripped, added.chain(ours.iter().map(|n| (*n).to_owned())).collect())
    }
}
