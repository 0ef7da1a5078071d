//! What a plan looks at of a letter, borrowed from it: whether it was decoded, or looked at where its bytes lie. Pure.

use std::sync::{Arc, LazyLock};

use super::outgoing::{COUNT, count_of, key, value};
use crate::dlq::Letter;
use crate::dlq::failure::Failure;
use crate::dlq::formats::{Hop, Reading};
use crate::event::{Header, Parts};
use crate::text::Timestamp;

/// A letter in outline.
pub(super) struct Outline<'l> {
    /// The record as it lies; after an edit its headers are the edited ones.
    pub record: &'l Parts<'l>,
    pub format: Option<&'l Arc<str>>,
    pub others: &'l [Arc<str>],
    pub root: Hop<'l>,
    /// The latest hop.
    pub latest: Hop<'l>,
    pub failure: &'l Failure,
    /// Key of the record that failed.
    pub key: Option<&'l [u8]>,
    /// Its value.
    pub value: Option<&'l [u8]>,
    pub pointer: bool,
}

impl<'l> Outline<'l> {
    /// The outline of a letter; `record` is its record.
    pub fn of(letter: &'l Letter, record: &'l Parts<'l>) -> Self {
        Self {
            record,
            format: letter.format.as_ref(),
            others: &letter.others,
            root: Hop::from(&letter.root),
            latest: Hop::from(letter.previous.as_ref().unwrap_or(&letter.root)),
            failure: &letter.failure,
            key: key(letter).map(|key| &**key),
            value: value(letter).map(|value| &**value),
            pointer: letter.pointer,
        }
    }

    /// Where nobody asks why it failed.
    pub fn no_failure() -> &'static Failure {
        static NONE: LazyLock<Failure> = LazyLock::new(Failure::default);
        &NONE
    }

    /// When its record was written first, where that is known; else when it was dead-lettered.
    pub fn time(&self) -> Option<Timestamp> {
        self.root.timestamp.or(self.record.timestamp())
    }

    /// The same of what a record says of itself.
    pub fn read(reading: &'l Reading<'l>, record: &'l Parts<'l>, failure: &'l Failure) -> Self {
        let kept = |kept: &'l Option<Option<bytes::Bytes>>, own| kept.as_ref().map_or(own, Option::as_deref);
        Self {
            record,
            format: reading.format.as_ref(),
            others: &reading.others,
            root: reading.root.clone(),
            latest: reading.latest().clone(),
            failure,
            key: kept(&reading.original_key, record.key),
            value: kept(&reading.original_value, record.value),
            pointer: reading.pointer,
        }
    }

    /// The formats that wrote to it.
    pub fn wrote(&self) -> impl Iterator<Item = Option<&Arc<str>>> + Clone {
        std::iter::once(self.format).chain(self.others.iter().map(Some))
    }

    /// The group that failed.
    pub fn group(&self) -> Option<&str> {
        self.latest.group.as_deref().or(self.root.group.as_deref())
    }

    /// How often its record was redriven before, as its header says.
    pub fn count(&self) -> u32 {
        let named = |(name, value): &Header<'l>| (*name == COUNT.as_bytes()).then_some(*value).flatten();
        self.record.headers.iter().rev().find_map(named).map_or(0, count_of)
    }
}
