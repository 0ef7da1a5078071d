//! The table of dead-letter formats: one entry says how one framework writes its dead letters.
//!
//! It is data, so that a format is added in one place and every part (decoding, discovery, redrive,
//! README) sees it. The names were read in each framework's source; where captures differ from the
//! documentation, the captures are right. What hides in a key or value is in [`super::payload`].

mod brokers;
pub mod home;
mod jvm;
pub(super) mod others;
pub(super) mod spring;

pub use super::codec::Codec;

/// What a header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Topic where the record failed.
    OriginTopic,
    /// Its partition.
    OriginPartition,
    /// Its offset.
    OriginOffset,
    /// Timestamp of the record that failed.
    OriginTimestamp,
    /// Consumer group that failed.
    Group,
    /// Topic of the first failure, where the origin headers name a later one.
    RootTopic,
    /// Outermost exception class.
    ErrorClass,
    /// A class below it in the chain of causes; not the end of the chain.
    CauseClass,
    /// Message.
    Message,
    /// Stack trace.
    StackTrace,
    /// Delivery attempts.
    Attempts,
    /// When it was given up.
    FailedAt,
    /// The original key; an empty value may have been null.
    OriginalKey,
    /// Something else worth showing, under this name.
    Also(&'static str),
}

/// One header: what it tells, its name, and how it is written. Where two headers tell the same, the first
/// entry that is there counts.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What it tells.
    pub field: Field,
    /// The header's name.
    pub header: &'static str,
    /// How its value is written.
    pub codec: Codec,
    /// Added to a number of attempts to get the attempts made.
    pub shift: i64,
}

/// Which of several headers with one name is the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latest {
    /// The first: new headers are written before those that the record brought along.
    First,
    /// The last: new headers are appended.
    Last,
}

/// What a repeated set of origin headers means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// Each set is one dead-lettering.
    DeadLetterings,
    /// Each set is one retry: the number of dead-letterings is not told.
    Retries,
    /// Each set is one failure, of the record or of a retry of it: those of the first topic are dead-letterings.
    Failures,
    /// Headers are written once: of several dead-letterings only one shows.
    Overwritten,
}

/// Which headers a dead-lettering writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// All of them beside those that are there, so that those of one failure stand together.
    Whole,
    /// Some are added, some replaced: a repeated name says nothing of the others.
    Mixed,
}

/// What the framework adds to the message of the error that was thrown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// Nothing.
    None,
    /// Spring: `<wrapper's message>; <message>`, or `…; nested exception is <class>: <message>`.
    Spring,
    /// Go: a recovered panic has its goroutine's stack in the message.
    Panic,
}

/// What the letter's key and value are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The failed record's own.
    Copied,
    /// Both null: the letter only points to its record, unless copying was switched on (KIP-1191).
    PointerIfNull,
    /// The value is, but the key was dropped.
    WithoutKey,
    /// The value was written anew; in what form.
    Rewritten(&'static str),
}

/// One format.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// Name in documents and on screens.
    pub name: &'static str,
    /// Who writes it; for the README and for reasons why something is not known.
    pub written_by: &'static str,
    /// Recognised when all headers of one of these sets are there.
    pub signs: &'static [&'static [&'static str]],
    /// What each header tells.
    pub rules: &'static [Rule],
    /// Which of several headers with one name is the latest.
    pub latest: Latest,
    /// What a repeated set of origin headers means.
    pub repeats: Repeats,
    /// Which headers a dead-lettering writes.
    pub blocks: Blocks,
    /// Whether the letter keeps the failed record's timestamp.
    pub keeps_timestamp: bool,
    /// What the framework adds to the message.
    pub wrapping: Wrapping,
    /// Whether the class that it names is the end of the chain of causes.
    pub names_root: bool,
    /// What key and value are.
    pub payload: Payload,
    /// The group is what follows `error.<origin topic>.` in the dead-letter topic's name.
    pub group_in_name: bool,
    /// Whether records that only passed through the framework carry its headers, too: they are no sign of a
    /// dead-letter topic.
    pub on_all: bool,
    /// Headers taken off before a redrive, by name.
    pub strip: &'static [&'static str],
    /// Headers taken off before a redrive, by the beginning of the name.
    pub strip_prefixes: &'static [&'static str],
    /// Why a field is not known when it is not there; for the others a general reason is given.
    pub unknown: &'static [(Field, &'static str)],
}

const fn rule(field: Field, header: &'static str, codec: Codec) -> Rule {
    Rule { field, header, codec, shift: 0 }
}

const fn attempts(header: &'static str, codec: Codec, shift: i64) -> Rule {
    Rule { field: Field::Attempts, header, codec, shift }
}

const BASE: Format = Format {
    name: "",
    written_by: "",
    signs: &[],
    rules: &[],
    latest: Latest::Last,
    repeats: Repeats::DeadLetterings,
    blocks: Blocks::Mixed,
    keeps_timestamp: false,
    wrapping: Wrapping::None,
    names_root: false,
    payload: Payload::Copied,
    group_in_name: false,
    on_all: false,
    strip: &[],
    strip_prefixes: &[],
    unknown: &[],
};

/// The formats, the more specific before the more general.
pub const TABLE: &[Format] = &[
    spring::RETRYABLE,
    spring::KAFKA,
    spring::CLOUD_STREAM,
    brokers::CONNECT,
    brokers::BAKDATA,
    brokers::STREAMS,
    brokers::SHARE_GROUP,
    jvm::SMALLRYE_RETRY,
    jvm::SMALLRYE,
    jvm::MICRONAUT,
    jvm::HELIDON,
    jvm::CAMEL,
    others::WOLVERINE,
    others::NSERVICEBUS,
    others::MASSTRANSIT,
    others::KAFKAFLOW,
    others::KNATIVE,
    others::DAPR,
    others::WATERMILL,
    others::KARAFKA,
    others::KARAFKA_OLD,
    home::GROWN,
];
