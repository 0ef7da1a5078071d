//! Makes a plan with its preflight. Asks the broker, writes nothing to it.
//!
//! A letter that a rule refuses is not in the plan; the refusal says how many, why, and under which name it could
//! be forced. Duplicates are in the plan, because a run marks them; it does not send them. Limits: the letters of
//! a plan are in memory while it is made, packed ([`super::found`]) into about 60 bytes each; where they must be sorted
//! by their origin, another 80 come on top.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::arrange::Arranged;
use super::books;
use super::checks::{self, Refused, Search, Sent};
use super::cluster::{self, Target};
use super::document::{Into, PlanAnswer, PlanRequest, Preflight, Tally};
use super::found::{Found, Kind, Kinds, Letters, Numbers};
use super::gathering::{Gathered, Gathering, Meant};
use super::outgoing::{ADDED, BY, REPLAY, RUN};
use super::plan::{Plan, PlanCounts, PlanHeader, PlannedTarget, SCHEMA};
use super::rights;
use super::rules::check_forced;
use super::shape::Shape;
use crate::broker::{Guarantee, Name, Shard};
use crate::context::{Cx, Sink};
use crate::dlq::formats::strip_rules;
use crate::dlq::names::is_internal_name;
use crate::event::Parts;
use crate::ledger::{AUDIT_TOPIC, Disposition, LEDGER_TOPIC};
use crate::letters::document::{LetterRow, LettersRequest};
use crate::letters::{Index, Take, Walk};
use crate::text::{Fault, Timestamp};

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
    planner.skip_duplicates(sink, cancel).await?;
    planner.check(sink, cancel).await?;
    planner.finish().await
}

pub(super) struct Planner<'a> {
    pub(super) cx: &'a Cx,
    pub(super) index: &'a Index,
    pub(super) request: &'a PlanRequest,
    pub(super) header: PlanHeader,
    pub(super) found: Letters,
    pub(super) kinds: Kinds,
    /// The topic that letters of each kind go to.
    pub(super) aims: Vec<Option<Name>>,
    pub(super) shape: Arc<Shape>,
    /// Formats that wrote to letters before the latest one did.
    others: HashSet<Arc<str>>,
    pub(super) targets: BTreeMap<Name, Target>,
    /// By their numbers in `found`.
    pub(super) duplicates: Numbers,
    pub(super) again: Numbers,
    pub(super) refused: Refused,
    pub(super) preflight: Preflight,
    /// When retention can delete the first open letter.
    expires_at: Option<Timestamp>,
    /// How long the letters were read.
    read: Duration,
    began: Duration,
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
        let shape = Arc::new(Shape::new(&header, &cx.profile)?);
        Ok(Self {
            cx,
            index,
            request,
            header,
            found: Letters::default(),
            kinds: Kinds::default(),
            aims: Vec::new(),
            shape,
            others: HashSet::new(),
            targets: BTreeMap::new(),
            duplicates: Numbers::default(),
            again: Numbers::default(),
            refused: Refused::new(request.options.force.clone()),
            preflight: Preflight::default(),
            expires_at: None,
            read: Duration::ZERO,
            began: cx.clock.monotonic(),
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

    pub(super) fn forces(&self, rule: &str) -> bool {
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
        let meant = Meant {
            header: self.header.clone(),
            profile: Arc::clone(&self.cx.profile),
            shape: Arc::clone(&self.shape),
            failure: None,
        };
        let passed = if only.is_none() {
            let gathering =
                Arc::new(Gathering::new(Meant { failure: request.failure.clone(), ..meant.clone() }));
            let taking = Arc::clone(&gathering);
            let take: Arc<Take> = Arc::new(move |record, state| taking.take(record, Some(state)));
            self.index.pass(&request, sink, cancel, take).await?.map(|pass| (pass, gathering.gathered()))
        } else {
            None
        };
        let (gathered, walk) = if let Some((pass, gathered)) = passed {
            self.expires_at = pass.expires_at;
            (gathered, Walk { complete: true, filter_errors: pass.filter_errors, ..Walk::default() })
        } else {
            let gathering = Gathering::new(meant);
            let mut row = |row: LetterRow| {
                gathering.take(&Parts::of(&row.letter.record), row.state);
                ControlFlow::Continue(())
            };
            let walk = self.index.each(&request, only.as_ref(), sink, cancel, &mut row).await?;
            let rows = self.index.rows();
            let own = rows.iter().find(|r| r.topic == self.header.source.topic);
            self.expires_at = own.and_then(|r| r.expires_at);
            (gathering.gathered(), walk)
        };
        self.read = self.cx.clock.monotonic().saturating_sub(self.began);
        let Gathered { found, kinds, others, samples, closed, unknown } = gathered;
        if unknown > 0 {
            return Err(self.index.unknown_state());
        }
        (self.found, self.kinds, self.others) = (found, kinds, others);
        self.preflight.samples = samples;
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

    /// The kind of a letter.
    pub(super) fn kind(&self, letter: &Found) -> Option<&Kind> {
        self.kinds.of(letter)
    }

    /// The topic that a letter goes to, by name.
    pub(super) fn aimed(&self, letter: &Found) -> Option<&Name> {
        self.aims.get(letter.kind as usize)?.as_ref()
    }

    /// The target of a letter.
    pub(super) fn target(&self, letter: &Found) -> Option<&Target> {
        self.targets.get(self.aimed(letter)?)
    }

    /// Whether a letter is in the plan to be sent, as far as is known.
    pub(super) fn is_going(&self, number: usize) -> bool {
        !self.refused.is_out(number) && !self.duplicates.contains(number)
    }

    /// Applies the rules.
    async fn check(&mut self, sink: &dyn Sink, cancel: &CancellationToken) -> Result<(), Fault> {
        self.refuse_large(sink, cancel).await?;
        let now = self.cx.clock.now();
        let keeps = self.header.options.keep_timestamps;
        let mut oldest: Option<Timestamp> = None;
        let mut refused = std::mem::take(&mut self.refused);
        for (number, found) in self.found.iter().filter(|(n, _)| !self.duplicates.contains(*n)) {
            let at = found.origin_time.or(found.time).filter(|_| keeps);
            oldest = [oldest, at].into_iter().flatten().min();
            if refused.is_out(number) {
                continue;
            }
            if let Some(why) = self.target(&found).zip(at).and_then(|(t, at)| t.refuses(at, now)) {
                refused.add(number, "timestamp", why);
            } else if found.tombstone {
                let why = "their value is null: on a compacted topic that deletes the key";
                refused.add(number, "tombstone", why.to_owned());
            }
        }
        self.refused = refused;
        let again = if self.header.replay {
            Vec::new()
        } else {
            let found = (&self.found, &self.kinds, &self.duplicates);
            checks::loops(self.index, &self.header, found, &mut self.refused, sink, cancel).await?
        };
        for number in again {
            self.again.insert(number);
        }
        let mut search =
            Search::new(self.cx, &self.header.source.topic, &self.shape, self.request.check_budget_ms);
        for target in self.targets.values() {
            let name = &target.planned.topic;
            let goes: Vec<bool> = self.aims.iter().map(|aim| aim.as_ref() == Some(name)).collect();
            let sent = Sent { found: &self.found, kinds: &self.kinds, goes, not: &self.duplicates };
            search.newer(target, &sent, &mut self.refused, sink, cancel).await?;
        }
        if self.header.options.keep_timestamps {
            let told = self.targets.values().flat_map(|t| t.doubts(oldest, now));
            self.preflight.warnings.extend(told);
        }
        self.preflight.superseded = search.superseded;
        self.preflight.warnings.extend(search.told);
        let all = self.found.len() as u64;
        let mut read: Vec<Name> = self.header.origins.iter().map(|t| Name::clone(&t.topic)).collect();
        read.push(Name::clone(&self.header.source.topic));
        let mut write: Vec<Name> = self.targets.keys().cloned().collect();
        write.extend([LEDGER_TOPIC, AUDIT_TOPIC].map(Name::from));
        let source = self.header.source.topic_id.as_deref();
        if !self.forces("no_transactions")
            && let Some(why) = rights::transactions(self.cx, source).await
        {
            let why = format!("{why}; forced, the run is at least once, checked");
            self.refused.all("no_transactions", why, all);
        }
        for why in rights::missing(self.cx, &read, &write).await? {
            self.refused.all("acl", why, all);
        }
        let health = cluster::health(self.cx).await?;
        if let Some(why) = health.unwritable {
            self.refused.all("replicas", why, all);
        }
        let unmakeable = books::unmakeable(self.cx, &health.missing).await?;
        if let Some(why) = health.weak {
            if self.forces("ledger_weak") {
                self.preflight.warnings.push(format!("forced: {why}"));
            } else {
                self.refused.all("ledger_weak", why, all);
            }
        }
        self.preflight.warnings.extend(health.warnings);
        if let Some(fault) = unmakeable {
            self.refused.fault(fault, all);
        } else if !health.missing.is_empty() {
            let topics = health.missing.join(" and ");
            self.preflight.warnings.push(format!("the first run makes {topics}: they keep what was done"));
        }
        Ok(())
    }

    async fn answer(mut self) -> Result<PlanAnswer, Fault> {
        let Arranged { letters, sent, keys, by_kind } = self.arrange();
        let mut failures: BTreeMap<&str, (&str, u64)> = BTreeMap::new();
        let mut by_target: BTreeMap<&str, u64> = BTreeMap::new();
        for ((kind, aim), count) in self.kinds.all().iter().zip(&self.aims).zip(by_kind) {
            if let (Some(aim), 1..) = (aim, count) {
                failures.entry(&kind.failure).or_insert((&*kind.title, 0)).1 += count;
                *by_target.entry(aim).or_default() += count;
            }
        }
        let tallies = |counts: Vec<(&str, u64)>| {
            let mut tallies: Vec<Tally> =
                counts.into_iter().map(|(name, count)| Tally { name: name.to_owned(), count }).collect();
            tallies.sort_by(|a, b| (b.count, &a.name).cmp(&(a.count, &b.name)));
            tallies
        };
        let by_failure = tallies(failures.into_values().collect());
        let by_origin = tallies(by_target.into_iter().collect());
        let mut preflight = std::mem::take(&mut self.preflight);
        preflight.selected = sent;
        preflight.duplicates = self.duplicates.len() as u64;
        preflight.again = self.again.len() as u64;
        preflight.by_failure = by_failure;
        preflight.by_origin = by_origin;
        preflight.keys = keys;
        for (why, count) in cluster::lacking(&self.header.target.topics, &letters, &self.targets) {
            self.refused.all("replicas", why, count);
        }
        preflight.refusals = std::mem::take(&mut self.refused).into_refusals();
        self.outlook(&mut preflight).await?;
        self.header.counts = PlanCounts { records: letters.len() as u64, keys, ..self.header.counts };
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
            read_seconds: self.read.as_secs_f64(),
            check_seconds: self.cx.clock.monotonic().saturating_sub(self.began + self.read).as_secs_f64(),
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
        if let Some(at) = self.expires_at {
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
        let latest = self.kinds.all().iter().map(|kind| kind.format.as_ref());
        let formats: HashSet<Option<&Arc<str>>> = latest.chain(self.others.iter().map(Some)).collect();
        let mut stripped: Vec<String> = formats
            .into_iter()
            .flat_map(|f| strip_rules(f.map(|f| &**f), &self.cx.profile.dead_letters).shown())
            .chain(self.header.options.strip_headers.iter().cloned())
            .collect();
        stripped.sort();
        stripped.dedup();
        let added = self.header.options.add_headers.iter().map(|(n, _)| n.clone());
        let ours: &[&str] = if self.header.replay { &[REPLAY, RUN, BY] } else { &ADDED };
        (stripped, added.chain(ours.iter().map(|n| (*n).to_owned())).collect())
    }
}
