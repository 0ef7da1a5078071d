//! Spring: Kafka's recoverer, its retry topics, Cloud Stream's binder.

use super::{BASE, Codec, Field, Format, Repeats, Wrapping, attempts, rule};

/// All of Spring Kafka's headers: its recoverer, its retry topics and its deserialisers write to one record.
const PREFIXES: &[&str] = &[
    "kafka_dlt-",
    "kafka_original-",
    "kafka_exception-",
    "kafka_key-exception-",
    "retry_topic-",
    "springDeserializerException",
];
/// The listener container's own count, where `deliveryAttemptHeader` is on.
const DELIVERY: &str = "kafka_deliveryAttempt";
const NO_GROUP: &str =
    "Spring Kafka before 2.8 writes no consumer group, and later only where a listener failed";

/// `RetryTopicHeaders`, `DeadLetterPublishingRecovererFactory`.
pub(super) const RETRYABLE: Format = Format {
    name: "spring-retryable",
    written_by: "Spring Kafka's `@RetryableTopic`",
    signs: &[&["retry_topic-attempts"], &["kafka_original-topic"], &["kafka_exception-fqcn"]],
    rules: &[
        rule(Field::OriginTopic, "kafka_original-topic", Codec::Utf8),
        rule(Field::OriginPartition, "kafka_original-partition", Codec::I32be),
        rule(Field::OriginOffset, "kafka_original-offset", Codec::I64be),
        rule(Field::OriginTimestamp, "kafka_original-timestamp", Codec::I64be),
        rule(Field::OriginTimestamp, "retry_topic-original-timestamp", Codec::BigInt),
        rule(Field::Group, "kafka_dlt-original-consumer-group", Codec::Utf8),
        rule(Field::Group, "kafka_original-consumer-group", Codec::Utf8),
        rule(Field::ErrorClass, "kafka_exception-fqcn", Codec::Utf8),
        rule(Field::ErrorClass, "kafka_key-exception-fqcn", Codec::Utf8),
        rule(Field::CauseClass, "kafka_exception-cause-fqcn", Codec::Utf8),
        rule(Field::Message, "kafka_exception-message", Codec::Utf8),
        rule(Field::Message, "kafka_key-exception-message", Codec::Utf8),
        rule(Field::StackTrace, "kafka_exception-stacktrace", Codec::Utf8),
        rule(Field::StackTrace, "kafka_key-exception-stacktrace", Codec::Utf8),
        // It counts the attempt that would be next.
        attempts("retry_topic-attempts", Codec::ByteOrI32be, -1),
        attempts(DELIVERY, Codec::I32be, 0),
        rule(Field::Also("timestamp_type"), "kafka_original-timestamp-type", Codec::Utf8),
    ],
    // Origin headers are written where there are none: they stay those of the first failure, even after a
    // redrive. Version 2.7 adds a set for each retry.
    repeats: Repeats::Retries,
    wrapping: Wrapping::Spring,
    strip: &[DELIVERY],
    strip_prefixes: PREFIXES,
    unknown: &[(Field::Group, NO_GROUP)],
    ..BASE
};

/// `KafkaHeaders.DLT_*`, `DeadLetterPublishingRecoverer`.
pub(super) const KAFKA: Format = Format {
    name: "spring-kafka",
    written_by: "Spring Kafka's `DeadLetterPublishingRecoverer`",
    signs: &[
        &["kafka_dlt-original-topic"],
        &["kafka_dlt-exception-fqcn"],
        &["kafka_dlt-key-exception-fqcn"],
        &["kafka_dlt-exception-message"],
        &["kafka_dlt-exception-stacktrace"],
    ],
    rules: &[
        rule(Field::OriginTopic, "kafka_dlt-original-topic", Codec::Utf8),
        rule(Field::OriginPartition, "kafka_dlt-original-partition", Codec::I32be),
        rule(Field::OriginOffset, "kafka_dlt-original-offset", Codec::I64be),
        rule(Field::OriginTimestamp, "kafka_dlt-original-timestamp", Codec::I64be),
        rule(Field::Group, "kafka_dlt-original-consumer-group", Codec::Utf8),
        rule(Field::ErrorClass, "kafka_dlt-exception-fqcn", Codec::Utf8),
        rule(Field::ErrorClass, "kafka_dlt-key-exception-fqcn", Codec::Utf8),
        rule(Field::CauseClass, "kafka_dlt-exception-cause-fqcn", Codec::Utf8),
        rule(Field::Message, "kafka_dlt-exception-message", Codec::Utf8),
        rule(Field::Message, "kafka_dlt-key-exception-message", Codec::Utf8),
        rule(Field::StackTrace, "kafka_dlt-exception-stacktrace", Codec::Utf8),
        rule(Field::StackTrace, "kafka_dlt-key-exception-stacktrace", Codec::Utf8),
        attempts(DELIVERY, Codec::I32be, 0),
        rule(Field::Also("timestamp_type"), "kafka_dlt-original-timestamp-type", Codec::Utf8),
    ],
    wrapping: Wrapping::Spring,
    strip: &[DELIVERY],
    strip_prefixes: PREFIXES,
    unknown: &[
        (Field::Group, NO_GROUP),
        (
            Field::Attempts,
            "Spring Kafka's recoverer does not write the number of attempts (its listener container does, with \
             deliveryAttemptHeader on)",
        ),
    ],
    ..BASE
};

/// `KafkaMessageChannelBinder`. With `headerMode=embeddedHeaders` the same stand within the value.
pub(in crate::dlq::formats) const CLOUD_STREAM: Format = Format {
    name: "spring-cloud-stream",
    written_by: "Spring Cloud Stream's Kafka binder",
    signs: &[&["x-exception-fqcn"], &["x-original-timestamp-type"]],
    rules: &[
        rule(Field::OriginTopic, "x-original-topic", Codec::Utf8),
        rule(Field::OriginPartition, "x-original-partition", Codec::I32be),
        rule(Field::OriginOffset, "x-original-offset", Codec::I64be),
        rule(Field::OriginTimestamp, "x-original-timestamp", Codec::I64be),
        rule(Field::ErrorClass, "x-exception-fqcn", Codec::Utf8),
        rule(Field::Message, "x-exception-message", Codec::Utf8),
        rule(Field::StackTrace, "x-exception-stacktrace", Codec::Utf8),
        rule(Field::Also("timestamp_type"), "x-original-timestamp-type", Codec::Utf8),
    ],
    wrapping: Wrapping::Spring,
    group_in_name: true,
    strip_prefixes: &["x-original-", "x-exception-"],
    unknown: &[
        (Field::Group, "Spring Cloud Stream names the group only in a topic called error.<topic>.<group>"),
        (Field::Attempts, "Spring Cloud Stream does not write the number of attempts"),
    ],
    ..BASE
};
