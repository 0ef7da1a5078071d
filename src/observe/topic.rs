//! What is known of one topic, and its row.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::log::Log;
use super::rates::{Trend, blend};
use super::snapshot::{PartitionRow, Role, TopicRow};
use crate::broker::{BrokerError, Name, TopicConfig, TopicId, TopicInfo};
use crate::config::profile::DeadLetters;
use crate::dlq::names;

/// Half-life of what counts as a topic's usual rate, in seconds.
const USUAL_HALF_LIFE: f64 = 300.0;
/// Records that a mean size rests on.
const SIZES: u32 = 2_000;

/// A topic's rate as it usually is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usual {
    rate: Option<f64>,
    last: Option<Duration>,
    /// For how long it was watched, in seconds.
    pub watched: f64,
}

impl Usual {
    fn see(&mut self, rate: Option<f64>, at: Duration) {
        let Some(rate) = rate else { return };
        let seconds = self.last.map_or(0.0, |last| at.saturating_sub(last).as_secs_f64());
        self.rate = Some(blend(self.rate, rate, seconds, USUAL_HALF_LIFE));
        self.last = Some(at);
        self.watched += seconds;
    }

    /// Records a second.
    pub fn per_second(&self) -> Option<f64> {
        self.rate
    }
}

/// The mean size of records read; old ones are forgotten slowly, so that one huge record does not rule it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    count: u32,
    mean: f64,
}

impl Sizes {
    /// Adds a record's size in bytes.
    pub fn add(&mut self, size: usize) {
        self.count = (self.count + 1).min(SIZES);
        self.mean += (size as f64 - self.mean) / f64::from(self.count);
    }
}

/// One topic.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub info: TopicInfo,
    pub id: Option<TopicId>,
    /// When the id was asked for.
    pub identified: Option<Duration>,
    pub config: Option<Arc<TopicConfig>>,
    /// Why it may not be read.
    config_error: Option<String>,
    /// When the configuration was asked for.
    pub configured: Option<Duration>,
    pub logs: BTreeMap<i32, Log>,
    pub usual: Usual,
    pub sizes: Sizes,
    trend: Trend,
}

impl Topic {
    pub fn new(info: TopicInfo) -> Self {
        Self {
            info,
            id: None,
            identified: None,
            config: None,
            config_error: None,
            configured: None,
            logs: BTreeMap::new(),
            usual: Usual::default(),
            sizes: Sizes::default(),
            trend: Trend::default(),
        }
    }

    /// Takes its metadata of now.
    pub fn renew(&mut self, info: TopicInfo) {
        self.logs.retain(|p, _| info.partitions.iter().any(|i| i.partition == *p));
        self.info = info;
    }

    /// Takes its id; whether it is another topic than before, of which nothing is known yet.
    pub fn identify(&mut self, id: Option<TopicId>, at: Duration) -> bool {
        let another = self.id.is_some() && id.is_some() && self.id != id;
        if another {
            let logs = self.logs.iter().map(|(p, log)| (*p, log.again())).collect();
            *self = Self { logs, ..Self::new(self.info.clone()) };
        }
        if id.is_some() {
            self.logs.values_mut().for_each(|log| log.shrunk = false);
        }
        self.id = id.or(self.id.take());
        self.identified = Some(at);
        another
    }

    /// Takes its configuration; one that may not be read is unknown.
    pub fn configure(&mut self, config: Result<TopicConfig, BrokerError>, at: Duration) {
        self.config_error = config.as_ref().err().map(ToString::to_string);
        self.config = config.ok().map(Arc::new);
        self.configured = Some(at);
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.config.as_ref()?.get(name)?.value.as_deref()
    }

    /// `retention.ms`, where records expire.
    pub fn retention_ms(&self) -> Option<i64> {
        let deletes = self.setting("cleanup.policy").is_none_or(|p| p.contains("delete"));
        self.setting("retention.ms").and_then(|v| v.parse().ok()).filter(|ms| *ms >= 0 && deletes)
    }

    /// Records a second over all partitions with a known rate.
    pub fn rate(&self) -> Option<f64> {
        self.logs.values().filter_map(|l| l.rate.per_second()).reduce(|a, b| a + b)
    }

    /// Mean size of the records that were read, in bytes.
    pub fn mean_size(&self) -> Option<f64> {
        (self.sizes.count > 0).then_some(self.sizes.mean)
    }

    /// Notes its rate of now.
    pub fn note(&mut self, at: Duration) {
        let rate = self.rate();
        self.usual.see(rate, at);
        self.trend.push(rate);
    }

    /// Records appended so far; `None` while the end of a partition is not known.
    fn appended(&self) -> Option<u64> {
        let of = |p: &crate::broker::PartitionInfo| self.logs.get(&p.partition)?.appended();
        self.info.partitions.iter().map(of).sum()
    }

    fn partition_rows(&self) -> Arc<[PartitionRow]> {
        let row = |p: &crate::broker::PartitionInfo| {
            let log = self.logs.get(&p.partition);
            let bounds = log.and_then(|l| l.bounds);
            PartitionRow {
                partition: p.partition,
                leader: p.leader,
                replicas: p.replicas.clone(),
                isr: p.isr.clone(),
                start_offset: bounds.map(|b| b.start),
                end_offset: bounds.map(|b| b.end),
                last_stable_offset: bounds.map(|b| b.last_stable),
                records_per_second: log.and_then(|l| l.rate.per_second()),
            }
        };
        self.info.partitions.iter().map(row).collect()
    }

    /// Why its figures are not known, or not all of them.
    fn error(&self) -> Option<String> {
        if let Some(error) = &self.info.error {
            return Some(error.to_string());
        }
        let mut errors = self.logs.values().filter_map(|l| l.error.as_ref());
        let first = errors.next()?;
        let count = 1 + errors.count();
        let all = self.info.partitions.len();
        Some(if count == all { first.clone() } else { format!("{count} of {all} partitions: {first}") })
    }

    /// Its row; what other topics and groups say of it is added by the caller.
    pub fn row(&self, role: Role) -> TopicRow {
        let bounds = || self.logs.values().filter_map(|l| l.bounds);
        let records: i64 = bounds().map(|b| (b.end - b.start).max(0)).sum();
        let rate = self.rate();
        let bytes = rate.zip(self.mean_size()).map(|(rate, size)| rate * size);
        TopicRow {
            name: Name::clone(&self.info.name),
            role,
            partitions: self.info.partitions.len(),
            replication_factor: self.info.partitions.iter().map(|p| p.replicas.len()).max().unwrap_or(0),
            records: bounds().next().map(|_| records as u64),
            records_per_second: rate,
            bytes_per_second: bytes,
            bytes_per_second_estimated: bytes.is_some(),
            retention_ms: self.retention_ms(),
            cleanup_policy: self.setting("cleanup.policy").map(str::to_owned),
            dead_letter_topics: Vec::new(),
            worst_group: None,
            worst_lag: None,
            error: self.error(),
            appended: self.appended(),
            config_error: self.config_error.clone(),
            detail: self.partition_rows(),
            config: self.config.clone(),
            trend: self.trend.values(),
        }
    }
}

/// What a topic is for. `found` says whether it was found to hold dead letters.
pub(super) fn role(info: &TopicInfo, found: bool, config: &DeadLetters) -> Role {
    let listed = |list: &[String]| list.iter().any(|p| names::matches(p, &info.name));
    if info.internal || names::is_internal_name(&info.name) {
        Role::Internal
    } else if found {
        Role::DeadLetter
    } else if listed(&config.ignore) {
        Role::Source
    } else if listed(&config.adopt) || listed(&config.patterns) || names::is_dead_letter_name(&info.name) {
        Role::DeadLetter
    } else if names::is_retry_name(&info.name) {
        Role::Retry
    } else {
        Role::Source
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{Bounds, ErrorKind, PartitionInfo};
    use crate::text::Timestamp;

    fn info(name: &str, partitions: i32) -> TopicInfo {
        let partition =
            |partition| PartitionInfo { partition, leader: Some(1), replicas: vec![1], isr: vec![1] };
        TopicInfo {
            name: name.into(),
            internal: false,
            partitions: (0..partitions).map(partition).collect(),
            error: None,
        }
    }

    fn see(topic: &mut Topic, partition: i32, end: i64, seconds: u64) {
        let bounds = Bounds { start: 0, end, last_stable: end };
        let log = topic.logs.entry(partition).or_default();
        log.see(Ok(bounds), Duration::from_secs(seconds), Timestamp(seconds as i64 * 1000));
    }

    #[test]
    fn a_topic_made_again_under_its_name_begins_anew() {
        let mut topic = Topic::new(info("orders", 1));
        assert!(!topic.identify(Some(TopicId("a".into())), Duration::ZERO));
        see(&mut topic, 0, 100, 0);
        see(&mut topic, 0, 200, 2);
        assert_eq!(topic.rate(), Some(50.0));
        assert!(!topic.identify(None, Duration::from_secs(3)), "not asked, not another");
        assert!(topic.identify(Some(TopicId("b".into())), Duration::from_secs(4)));
        see(&mut topic, 0, 900, 4);
        assert_eq!(topic.rate(), None);
        see(&mut topic, 0, 910, 6);
        assert_eq!(topic.rate(), Some(5.0));
    }

    #[test]
    fn what_is_not_known_is_not_zero() {
        let row = Topic::new(info("orders", 2)).row(Role::Source);
        assert_eq!((row.records, row.records_per_second, row.bytes_per_second), (None, None, None));
        assert_eq!((row.retention_ms, row.cleanup_policy, row.error), (None, None, None));
    }

    #[test]
    fn a_partition_that_cannot_be_looked_at_costs_its_own_figures() {
        let mut topic = Topic::new(info("orders", 2));
        see(&mut topic, 0, 100, 0);
        let error = BrokerError::new(ErrorKind::Authorisation, "offsets of orders[1]", "not allowed");
        topic.logs.entry(1).or_default().see(Err(error), Duration::ZERO, Timestamp(0));
        let row = topic.row(Role::Source);
        assert_eq!(row.records, Some(100));
        assert_eq!(row.error.as_deref(), Some("1 of 2 partitions: offsets of orders[1]: not allowed"));
        assert_eq!(row.detail[1].end_offset, None);
    }

    #[test]
    fn one_huge_record_among_many_moves_the_mean_size_a_little() {
        let mut topic = Topic::new(info("orders", 1));
        assert_eq!(topic.mean_size(), None);
        topic.sizes.add(100);
        topic.sizes.add(300);
        assert_eq!(topic.mean_size(), Some(200.0));
        for _ in 0..10_000 {
            topic.sizes.add(500);
        }
        topic.sizes.add(1_000_000);
        assert!((topic.mean_size().unwrap() - 1000.0).abs() < 20.0);
    }

    #[test]
    fn roles_come_from_what_was_found_then_the_profile_then_the_name() {
        let config = DeadLetters {
            patterns: vec!["*-kaputt".into()],
            adopt: vec!["graveyard".into()],
            ignore: vec!["fine-dlq".into()],
            ..DeadLetters::default()
        };
        let role = |name: &str, found| role(&info(name, 1), found, &config);
        assert_eq!(role("orders", false), Role::Source);
        assert_eq!(role("orders", true), Role::DeadLetter);
        assert_eq!(role("orders-dlt", false), Role::DeadLetter);
        assert_eq!(role("a-kaputt", false), Role::DeadLetter);
        assert_eq!(role("graveyard", false), Role::DeadLetter);
        assert_eq!(role("fine-dlq", false), Role::Source);
        assert_eq!(role("orders-retry-0", false), Role::Retry);
        assert_eq!(role("__redrive.ledger", false), Role::Internal);
    }
}
