//! Frameworks of the JVM beside Spring: SmallRye, Micronaut, Helidon, Camel.

use super::{BASE, Blocks, Codec, Field, Format, Latest, Repeats, attempts, rule};

const SMALLRYE_PREFIXES: &[&str] = &["dead-letter-", "delayed-retry-", "deserialization-failure-"];
const SMALLRYE_UNKNOWN: &[(Field, &str)] = &[
    (Field::Group, "SmallRye writes no consumer group"),
    (Field::StackTrace, "SmallRye writes no stack trace"),
    (Field::Attempts, "SmallRye counts attempts only with delayed retries"),
];

/// `KafkaDelayedRetryTopic`. Its final letter has these headers only.
pub(super) const SMALLRYE_RETRY: Format = Format {
    name: "smallrye-delayed-retry",
    written_by: "SmallRye Reactive Messaging (Quarkus), delayed retries",
    signs: &[&["delayed-retry-topic"], &["delayed-retry-count"]],
    rules: &[
        rule(Field::OriginTopic, "delayed-retry-topic", Codec::Utf8),
        rule(Field::OriginPartition, "delayed-retry-partition", Codec::Dec),
        rule(Field::OriginOffset, "delayed-retry-offset", Codec::Dec),
        rule(Field::OriginTimestamp, "delayed-retry-original-timestamp", Codec::Dec),
        rule(Field::ErrorClass, "delayed-retry-exception-class-name", Codec::Utf8),
        rule(Field::CauseClass, "delayed-retry-cause-class-name", Codec::Utf8),
        rule(Field::Message, "delayed-retry-reason", Codec::Utf8),
        // It counts retries; the first attempt was none.
        attempts("delayed-retry-count", Codec::Dec, 1),
        rule(Field::Also("cause"), "delayed-retry-cause", Codec::Utf8),
        rule(Field::Also("first_processed_ms"), "delayed-retry-first-processing-timestamp", Codec::Utf8),
    ],
    latest: Latest::First,
    repeats: Repeats::Failures,
    blocks: Blocks::Whole,
    strip_prefixes: SMALLRYE_PREFIXES,
    unknown: SMALLRYE_UNKNOWN,
    ..BASE
};

/// `KafkaDeadLetterQueue`.
pub(super) const SMALLRYE: Format = Format {
    name: "smallrye",
    written_by: "SmallRye Reactive Messaging (Quarkus)",
    signs: &[&["dead-letter-reason"], &["dead-letter-topic", "dead-letter-offset"]],
    rules: &[
        rule(Field::OriginTopic, "dead-letter-topic", Codec::Utf8),
        rule(Field::OriginPartition, "dead-letter-partition", Codec::Dec),
        rule(Field::OriginOffset, "dead-letter-offset", Codec::Dec),
        rule(Field::ErrorClass, "dead-letter-exception-class-name", Codec::Utf8),
        rule(Field::CauseClass, "dead-letter-cause-class-name", Codec::Utf8),
        rule(Field::Message, "dead-letter-reason", Codec::Utf8),
        rule(Field::Also("cause"), "dead-letter-cause", Codec::Utf8),
    ],
    latest: Latest::First,
    blocks: Blocks::Whole,
    strip_prefixes: SMALLRYE_PREFIXES,
    unknown: SMALLRYE_UNKNOWN,
    ..BASE
};

/// `ConsumerState`; a retry topic's last failure has the number of the retry.
pub(super) const MICRONAUT: Format = Format {
    name: "micronaut",
    written_by: "Micronaut Kafka, also with retry topics",
    signs: &[&["micronaut-kafka-original-topic"], &["micronaut-kafka-exception-class"]],
    rules: &[
        rule(Field::OriginTopic, "micronaut-kafka-original-topic", Codec::Utf8),
        rule(Field::OriginPartition, "micronaut-kafka-original-partition", Codec::Dec),
        rule(Field::OriginOffset, "micronaut-kafka-original-offset", Codec::Dec),
        rule(Field::ErrorClass, "micronaut-kafka-exception-class", Codec::Utf8),
        rule(Field::Message, "micronaut-kafka-exception-message", Codec::Utf8),
        attempts("micronaut-kafka-retry-attempt", Codec::Dec, 1),
    ],
    repeats: Repeats::Overwritten,
    keeps_timestamp: true,
    strip_prefixes: &["micronaut-kafka-original-", "micronaut-kafka-exception-", "micronaut-kafka-retry-"],
    unknown: &[
        (Field::Group, "Micronaut writes no consumer group"),
        (Field::StackTrace, "Micronaut writes no stack trace"),
        (Field::Attempts, "Micronaut counts attempts only with retry topics"),
    ],
    ..BASE
};

/// Helidon's connector: the error in older versions, attempts and the origin's timestamp in newer ones.
pub(super) const HELIDON: Format = Format {
    name: "helidon",
    written_by: "Helidon, old and new headers",
    signs: &[
        &["dlq-orig-topic"],
        &["dlq-error"],
        &["helidon_messaging_dead_letter_source_channel"],
        &["helidon_messaging_dead_letter_attempts"],
    ],
    rules: &[
        rule(Field::OriginTopic, "dlq-orig-topic", Codec::Utf8),
        rule(Field::OriginPartition, "dlq-orig-partition", Codec::Dec),
        rule(Field::OriginOffset, "dlq-orig-offset", Codec::Dec),
        rule(Field::OriginTimestamp, "dlq-orig-timestamp", Codec::Dec),
        rule(Field::ErrorClass, "dlq-error", Codec::Utf8),
        rule(Field::ErrorClass, "helidon_messaging_dead_letter_failure_type", Codec::Utf8),
        rule(Field::Message, "dlq-error-msg", Codec::Utf8),
        rule(Field::Message, "helidon_messaging_dead_letter_failure_message", Codec::Utf8),
        attempts("helidon_messaging_dead_letter_attempts", Codec::Dec, 0),
        rule(Field::Also("channel"), "helidon_messaging_dead_letter_source_channel", Codec::Utf8),
        rule(Field::Also("timestamp_type"), "dlq-orig-timestamp-type", Codec::Utf8),
        rule(Field::Also("leader_epoch"), "dlq-orig-leader-epoch", Codec::Utf8),
    ],
    strip: &["dlq-error", "dlq-error-msg"],
    strip_prefixes: &["dlq-orig-", "helidon_messaging_dead_letter_"],
    unknown: &[
        (Field::Group, "Helidon writes no consumer group"),
        (Field::StackTrace, "Helidon writes no stack trace"),
        (Field::ErrorClass, "newer versions of Helidon keep the failure to themselves"),
        (Field::Message, "newer versions of Helidon keep the failure to themselves"),
        (Field::Attempts, "older versions of Helidon do not write the number of attempts"),
        (Field::OriginTimestamp, "older versions of Helidon do not write the record's timestamp"),
    ],
    ..BASE
};

/// `KafkaConstants` of Camel's Kafka component. Its dead-letter channel keeps the failure in the exchange and writes
/// none of it. Where the record came from is on the wire in versions whose `KafkaHeaderFilterStrategy` held back
/// `Camel*` alone, and with a filter strategy of one's own. The consumer puts a record's headers over what it knows of
/// the record, so that the first origin stays.
pub(super) const CAMEL: Format = Format {
    name: "camel",
    written_by: "Apache Camel, where its filter lets `kafka.*` through",
    signs: &[&["kafka.TOPIC", "kafka.PARTITION", "kafka.OFFSET"]],
    rules: &[
        rule(Field::OriginTopic, "kafka.TOPIC", Codec::Utf8),
        rule(Field::OriginPartition, "kafka.PARTITION", Codec::I32be),
        rule(Field::OriginOffset, "kafka.OFFSET", Codec::I64be),
        rule(Field::OriginTimestamp, "kafka.TIMESTAMP", Codec::I64be),
    ],
    repeats: Repeats::Overwritten,
    on_all: true,
    strip: &[
        "kafka.TOPIC",
        "kafka.PARTITION",
        "kafka.OFFSET",
        "kafka.TIMESTAMP",
        "kafka.KEY",
        "kafka.PARTITION_KEY",
        "kafka.LAST_RECORD_BEFORE_COMMIT",
        "kafka.LAST_POLL_RECORD",
    ],
    unknown: &[
        (Field::Group, "Camel writes no consumer group"),
        (Field::ErrorClass, "Camel keeps the failure in its exchange and does not write it"),
        (Field::Message, "Camel keeps the failure in its exchange and does not write it"),
        (Field::StackTrace, "Camel keeps the failure in its exchange and does not write it"),
        (Field::Attempts, "Camel keeps the number of redeliveries in its exchange and does not write it"),
    ],
    ..BASE
};
