//! Origins out of repeated headers: each dead-lettering adds a set, the first and the last of them count.

use std::borrow::Cow;

use super::codec;
use super::table::{Field, Rule};
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
    pub first: Hop<'r>,
    /// The last set.
    pub last: Hop<'r>,
    /// The number of sets.
    pub count: u32,
    /// Which fields the current set has, also those whose value could not be read.
    seen: u8,
}

impl<'r> Hops<'r> {
    /// Takes a header if it is one of the origin's; `Ok(false)` if it is not.
    pub fn take(&mut self, rule: &Rule, bytes: &'r [u8]) -> Result<bool, &'static str> {
        let bit = match rule.field {
            Field::OriginTopic => 1,
            Field::OriginPartition => 2,
            Field::OriginOffset => 4,
            Field::OriginTimestamp => 8,
            Field::Group => 16,
            _ => return Ok(false),
        };
        // A group alone makes no new set: retries repeat it while the origin stays.
        if self.count == 0 || (self.seen & bit != 0 && bit != 16) {
            self.count = self.count.saturating_add(1);
            self.seen = 0;
            self.last = Hop::default();
        }
        self.seen |= bit;
        let read = self.set(rule, bytes);
        if self.count == 1 {
            self.first = self.last.clone();
        }
        read.map(|()| true)
    }

    fn set(&mut self, rule: &Rule, bytes: &'r [u8]) -> Result<(), &'static str> {
        match rule.field {
            Field::OriginTopic => self.last.topic = Some(text(rule, bytes)?),
            Field::Group => self.last.group = Some(text(rule, bytes)?),
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
}

fn text<'r>(rule: &Rule, bytes: &'r [u8]) -> Result<Cow<'r, str>, &'static str> {
    codec::text(rule.codec, bytes).and_then(|t| if t.is_empty() { Err("is empty") } else { Ok(t) })
}
