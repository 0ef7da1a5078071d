//! Origins out of repeated headers: each dead-lettering adds a set, the first and the last of them count.

use std::borrow::Cow;

use super::codec;
use super::table::{Field, Latest, Rule};
use crate::dlq::letter::Origin;
use crate::text::Timestamp;

/// One place where a record failed, borrowed from the letter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hop<'r> {
    /// Topic.
    pub topic: Option<Cow<'r, str>>,
    /// Partition.
    pub partition: Option<i32>,
    /// Offset.
    pub offset: Option<i64>,
    /// Timestamp of the record that failed.
    pub timestamp: Option<Timestamp>,
    /// Consumer group.
    pub group: Option<Cow<'r, str>>,
}

impl Hop<'_> {
    /// Whether topic, partition and offset are known.
    pub fn is_whole(&self) -> bool {
        self.topic.is_some() && self.partition.is_some() && self.offset.is_some()
    }
}

impl<'r> From<&'r Origin> for Hop<'r> {
    fn from(origin: &'r Origin) -> Self {
        Self {
            topic: origin.topic.as_deref().map(Into::into),
            partition: origin.partition,
            offset: origin.offset,
            timestamp: origin.timestamp,
            group: origin.group.as_deref().map(Into::into),
        }
    }
}

impl From<&Hop<'_>> for Origin {
    fn from(hop: &Hop<'_>) -> Self {
        Self {
            topic: hop.topic.as_deref().map(Into::into),
            partition: hop.partition,
            offset: hop.offset,
            timestamp: hop.timestamp,
            group: hop.group.as_deref().map(Into::into),
        }
    }
}

/// The sets of origin headers of one letter. A set ends where one of its headers occurs again.
#[derive(Debug, Default)]
pub(super) struct Hops<'r> {
    /// The first set.
    first: Hop<'r>,
    /// The last set.
    last: Hop<'r>,
    /// The number of sets.
    pub count: u32,
    /// The topic of the first failure, where a header of its own names it.
    pub root_topic: Option<Cow<'r, str>>,
    /// Which fields the current set has, also those whose value could not be read.
    seen: u8,
    /// The first and the last group, and how many there are.
    groups: (Option<Cow<'r, str>>, Option<Cow<'r, str>>, u32),
}

const GROUP: u8 = 16;

fn bit(field: Field) -> Option<u8> {
    Some(match field {
        Field::OriginTopic => 1,
        Field::OriginPartition => 2,
        Field::OriginOffset => 4,
        Field::OriginTimestamp => 8,
        Field::Group => GROUP,
        _ => return None,
    })
}

impl<'r> Hops<'r> {
    /// Whether the field is one of an origin's.
    pub fn takes(field: Field) -> bool {
        field == Field::RootTopic || bit(field).is_some()
    }

    /// Takes a header of the origin.
    pub fn take(&mut self, rule: &Rule, bytes: &'r [u8]) -> Result<(), &'static str> {
        if rule.field == Field::RootTopic {
            self.root_topic = Some(text(rule, bytes)?);
            return Ok(());
        }
        self.begin(rule.field);
        let read = self.set(rule, bytes);
        if self.count <= 1 {
            self.first = self.last.clone();
        }
        read
    }

    /// Counts a header of the origin that has no value.
    pub fn miss(&mut self, field: Field) {
        self.begin(field);
    }

    fn begin(&mut self, field: Field) {
        let Some(bit) = bit(field) else { return };
        if bit == GROUP {
            // A group makes no set: retries repeat it while the origin stays.
            self.groups.2 += 1;
        } else if self.count == 0 || self.seen & bit != 0 {
            self.count = self.count.saturating_add(1);
            self.seen = 0;
            self.last = Hop::default();
        }
        self.seen |= bit;
    }

    fn set(&mut self, rule: &Rule, bytes: &'r [u8]) -> Result<(), &'static str> {
        match rule.field {
            Field::OriginTopic => self.last.topic = Some(text(rule, bytes)?),
            Field::Group => {
                let group = text(rule, bytes)?;
                self.groups.0.get_or_insert_with(|| group.clone());
                self.groups.1 = Some(group.clone());
                self.last.group = Some(group);
            }
            Field::OriginPartition => {
                let n = codec::number(rule.codec, bytes)?;
                self.last.partition =
                    Some(i32::try_from(n).ok().filter(|n| *n >= 0).ok_or("is not a partition")?);
            }
            Field::OriginOffset => {
                let n = codec::number(rule.codec, bytes)?;
                self.last.offset = Some(Some(n).filter(|n| *n >= 0).ok_or("is not an offset")?);
            }
            Field::OriginTimestamp => self.last.timestamp = Some(codec::time(rule.codec, bytes)?),
            _ => {}
        }
        Ok(())
    }

    /// The first failure and the latest one.
    pub fn ends(mut self, latest: Latest) -> (Hop<'r>, Hop<'r>) {
        // As many groups as sets: one of each, wherever it stands. One set has the first, for retries may run
        // in groups of their own.
        if self.groups.2 == self.count {
            self.last.group = self.groups.1;
        }
        if self.groups.2 == self.count || self.count <= 1 {
            self.first.group = self.groups.0;
        }
        if self.count <= 1 {
            return (self.first.clone(), self.first);
        }
        match latest {
            Latest::Last => (self.first, self.last),
            Latest::First => (self.last, self.first),
        }
    }
}

fn text<'r>(rule: &Rule, bytes: &'r [u8]) -> Result<Cow<'r, str>, &'static str> {
    codec::text(rule.codec, bytes).and_then(|t| if t.is_empty() { Err("is empty") } else { Ok(t) })
}
