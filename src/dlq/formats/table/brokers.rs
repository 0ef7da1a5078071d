//! What Apache Kafka's own parts write, and bakdata's error handling for Kafka Streams.

use super::{BASE, Blocks, Codec, Field, Format, Payload, Repeats, attempts, rule};

/// KIP-298, `DeadLetterQueueReporter`.
pub(super) const CONNECT: Format = Format {
    name: "kafka-connect",
    written_by: "Kafka Connect sinks with context headers",
    signs: &[
        &["__connect.errors.topic"],
        &["__connect.errors.exception.class.name"],
        &["__connect.errors.connector.name"],
    ],
    rules: &[
        rule(Field::OriginTopic, "__connect.errors.topic", Codec::Utf8),
        rule(Field::OriginPartition, "__connect.errors.partition", Codec::Dec),
        rule(Field::OriginOffset, "__connect.errors.offset", Codec::Dec),
        rule(Field::ErrorClass, "__connect.errors.exception.class.name", Codec::Utf8),
        rule(Field::Message, "__connect.errors.exception.message", Codec::Utf8),
        rule(Field::StackTrace, "__connect.errors.exception.stacktrace", Codec::Utf8),
        rule(Field::Also("connector"), "__connect.errors.connector.name", Codec::Utf8),
        rule(Field::Also("task"), "__connect.errors.task.id", Codec::Utf8),
        rule(Field::Also("stage"), "__connect.errors.stage", Codec::Utf8),
        rule(Field::Also("stage_class"), "__connect.errors.class.name", Codec::Utf8),
    ],
    blocks: Blocks::Whole,
    keeps_timestamp: true,
    strip_prefixes: &["__connect.errors."],
    unknown: &[
        (Field::Group, "Kafka Connect writes no consumer group; by convention it is connect-<connector>"),
        (Field::Attempts, "Kafka Connect does not write the number of attempts"),
    ],
    ..BASE
};

/// KIP-1034.
pub(super) const STREAMS: Format = Format {
    name: "kafka-streams",
    written_by: "Kafka Streams (KIP-1034)",
    signs: &[&["__streams.errors.topic"], &["__streams.errors.exception"]],
    rules: &[
        rule(Field::OriginTopic, "__streams.errors.topic", Codec::Utf8),
        rule(Field::OriginPartition, "__streams.errors.partition", Codec::Dec),
        rule(Field::OriginOffset, "__streams.errors.offset", Codec::Dec),
        rule(Field::ErrorClass, "__streams.errors.exception", Codec::Utf8),
        rule(Field::Message, "__streams.errors.message", Codec::Utf8),
        rule(Field::StackTrace, "__streams.errors.stacktrace", Codec::Utf8),
    ],
    blocks: Blocks::Whole,
    keeps_timestamp: true,
    strip_prefixes: &["__streams.errors."],
    unknown: &[(Field::Group, "Kafka Streams does not write its application id (KIP-1034)")],
    ..BASE
};

/// `ErrorHeaderProcessor`: names close to those of KIP-1034, but older.
pub(super) const BAKDATA: Format = Format {
    name: "bakdata",
    written_by: "bakdata's kafka-error-handling, headers",
    signs: &[&["__streams.errors.exception.class.name"], &["__streams.errors.description"]],
    rules: &[
        rule(Field::OriginTopic, "__streams.errors.topic", Codec::Utf8),
        rule(Field::OriginPartition, "__streams.errors.partition", Codec::Dec),
        rule(Field::OriginOffset, "__streams.errors.offset", Codec::Dec),
        rule(Field::ErrorClass, "__streams.errors.exception.class.name", Codec::Utf8),
        rule(Field::Message, "__streams.errors.exception.message", Codec::Utf8),
        rule(Field::StackTrace, "__streams.errors.exception.stack_trace", Codec::Utf8),
        rule(Field::Also("description"), "__streams.errors.description", Codec::Utf8),
    ],
    repeats: Repeats::Overwritten,
    keeps_timestamp: true,
    strip_prefixes: &["__streams.errors."],
    ..BASE
};

/// KIP-1191.
pub(super) const SHARE_GROUP: Format = Format {
    name: "share-group",
    written_by: "share groups (KIP-1191), pointers and copies",
    signs: &[&["__dlq.errors.topic"], &["__dlq.errors.group"]],
    rules: &[
        rule(Field::OriginTopic, "__dlq.errors.topic", Codec::Utf8),
        rule(Field::OriginPartition, "__dlq.errors.partition", Codec::Dec),
        rule(Field::OriginOffset, "__dlq.errors.offset", Codec::Dec),
        rule(Field::Group, "__dlq.errors.group", Codec::Utf8),
        rule(Field::Message, "__dlq.errors.message", Codec::Utf8),
        attempts("__dlq.errors.delivery.count", Codec::Dec, 0),
        rule(Field::Also("disposition"), "_dlq.errors.disposition", Codec::Utf8),
    ],
    repeats: Repeats::Overwritten,
    payload: Payload::PointerIfNull,
    strip_prefixes: &["__dlq.errors.", "_dlq.errors."],
    unknown: &[
        (Field::ErrorClass, "a share group's letter names no exception (KIP-1191)"),
        (Field::StackTrace, "a share group's letter carries no stack trace (KIP-1191)"),
        (Field::OriginTimestamp, "a share group's letter does not keep the record's timestamp (KIP-1191)"),
    ],
    ..BASE
};
