//! The fingerprint of a failure: what makes two dead letters fail for the same reason.
//!
//! By root-cause class, first application frame, consumer group and origin topic, as operators think.
//! Where a letter has no frame, its normalised message stands in: else all letters of a framework that
//! writes no trace would be one group.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hash, Hasher as _};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::formats::Reading;
use super::message::{hash_without_digits, normalise};
use super::trace::{Trace, shape};

/// Why a letter failed, without what differs from letter to letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Failure {
    /// Short id, stable between calls and machines: from root-cause class, first application frame, group
    /// and origin topic.
    pub id: Arc<str>,
    /// The outermost exception class.
    pub error_class: Option<Arc<str>>,
    /// The end of the chain of causes; where no trace shows it, the deepest cause that the letter names.
    pub root_cause_class: Option<Arc<str>>,
    /// The application's own first stack frame, without line number.
    pub frame: Option<Arc<str>>,
    /// The message with numbers, ids and times removed.
    pub message: Option<Arc<str>>,
    /// Origin topic.
    pub origin_topic: Option<Arc<str>>,
    /// Consumer group.
    pub group: Option<Arc<str>>,
}

impl Failure {
    /// A name for the eye: the root-cause class, else the best that is known. Hostile until sanitised.
    pub fn title(&self) -> Arc<str> {
        let known = self.root_cause_class.as_ref().or(self.error_class.as_ref()).or(self.message.as_ref());
        known.cloned().unwrap_or_else(|| Arc::from("unknown failure"))
    }
}

/// What decides to which failure a letter belongs, borrowed from it.
#[derive(Debug, PartialEq, Eq)]
pub struct Fingerprint<'r> {
    error_class: Option<&'r str>,
    root_cause_class: Option<&'r str>,
    /// The deepest class known: the end of the chain, else a class on the way to it.
    class: Option<&'r str>,
    frame: Option<Cow<'r, str>>,
    message: Option<&'r str>,
    /// The normalised message, where there is no frame.
    instead: Option<String>,
    group: Option<&'r str>,
    topic: Option<&'r str>,
}

impl<'r> Fingerprint<'r> {
    /// Takes what decides from a reading and its trace.
    pub fn of(reading: &'r Reading<'_>, trace: &Trace<'r>) -> Self {
        let error_class = reading.error_class.as_deref().or(trace.class);
        let message = reading.message.as_deref().or(trace.root_message);
        let at = reading.failed_in();
        Self {
            error_class,
            root_cause_class: trace.root_class,
            class: trace.root_class.or(reading.cause_class.as_deref()).or(error_class),
            instead: if trace.frame.is_none() { message.map(normalise) } else { None },
            frame: trace.frame.clone(),
            message,
            group: at.group.as_deref(),
            topic: at.topic.as_deref(),
        }
    }

    fn key(&self) -> [Option<&str>; 5] {
        [self.class, self.frame.as_deref(), self.group, self.topic, self.instead.as_deref()]
    }

    /// A hash that is equal for letters of one failure; for tables in memory.
    pub fn hash(&self, by: &impl BuildHasher) -> u64 {
        by.hash_one(Keyed(self.key()))
    }

    /// The short id.
    pub fn id(&self) -> Arc<str> {
        let mut sha = Sha256::new();
        for part in self.key() {
            sha.update([u8::from(part.is_some())]);
            let part = part.unwrap_or_default();
            sha.update((part.len() as u64).to_be_bytes());
            sha.update(part);
        }
        let [a, b, c, d, ..] = <[u8; 32]>::from(sha.finalize());
        format!("{:08x}", u32::from_be_bytes([a, b, c, d])).into()
    }

    /// The failure itself.
    pub fn failure(&self) -> Failure {
        let message = self.instead.clone().or_else(|| self.message.map(normalise));
        let cause = self.class.filter(|class| Some(*class) != self.error_class);
        Failure {
            id: self.id(),
            error_class: self.error_class.map(Into::into),
            root_cause_class: self.root_cause_class.or(cause).map(Into::into),
            frame: self.frame.as_deref().map(Into::into),
            message: message.filter(|m| !m.is_empty()).map(Into::into),
            origin_topic: self.topic.map(Into::into),
            group: self.group.map(Into::into),
        }
    }
}

/// A hash that letters of one failure have in common, without trace or message being parsed: over the trace's [`shape`] and
/// what else decides, or where there is no trace over the message without its digits. `None` where the trace has no shape.
/// Of a letter whose trace shows no frame it says nothing: there the message decides.
pub fn likeness(reading: &Reading<'_>, by: &impl BuildHasher) -> Option<u64> {
    let at = reading.failed_in();
    let mut hasher = by.build_hasher();
    let classes = [reading.error_class.as_deref(), reading.cause_class.as_deref()];
    let trace = reading.stack_trace.as_deref();
    (trace.is_some(), classes, at.group.as_deref(), at.topic.as_deref()).hash(&mut hasher);
    if let Some(trace) = trace {
        return shape(trace, &mut hasher).then(|| hasher.finish());
    }
    reading.message.is_some().hash(&mut hasher);
    hash_without_digits(reading.message.as_deref().unwrap_or_default(), &mut hasher);
    Some(hasher.finish())
}

#[derive(Hash)]
struct Keyed<'k>([Option<&'k str>; 5]);
