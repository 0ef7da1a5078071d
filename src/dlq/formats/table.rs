//! The table of dead-letter formats: one entry says how one framework writes its dead letters.
//!
//! It is data, so that a format is added in one place and every part (decoding, discovery, redrive,
//! README) sees it. The names were read in each framework's source; where captures differ from the
//! documentation, the captures are right.
//!
//! Not here: producers that leave no header (Dapr, Camel, Redpanda Connect) or hide the letter in the
//! payload (ksqlDB's processing log, uForwarder's key).

use super::codec::Codec;

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
    /// Headers are a map: a second dead-lettering overwrites the first.
    Overwritten,
}

/// What the framework adds to the message of the error that was thrown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// Nothing.
    None,
    /// Spring: `<wrapper's message>; <message>`, or `…; nested exception is <class>: <message>`.
    Spring,
}

/// What the letter's key and value are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The failed record's own.
    Copied,
    /// Both null: the letter only points to its record, unless copying was switched on (KIP-1191).
    PointerIfNull,
}

/// One format.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// Name in documents and on screens.
    pub name: &'static str,
    /// Recognised when all headers of one of these sets are there.
    pub signs: &'static [&'static [&'static str]],
    /// What each header tells.
    pub rules: &'static [Rule],
    /// Which of several headers with one name is the latest.
    pub latest: Latest,
    /// What a repeated set of origin headers means.
    pub repeats: Repeats,
    /// Whether the letter keeps the failed record's timestamp.
    pub keeps_timestamp: bool,
    /// What the framework adds to the message.
    pub wrapping: Wrapping,
    /// What key and value are.
    pub payload: Payload,
    /// Added to the number in the attempts header to get the attempts made.
    pub attempts_shift: i64,
    /// The group is what follows `error.<origin topic>.` in the dead-letter topic's name.
    pub group_in_name: bool,
    /// Headers taken off before a redrive, by name.
    pub strip: &'static [&'static str],
    /// Headers taken off before a redrive, by the beginning of the name.
    pub strip_prefixes: &'static [&'static str],
    /// Why a field is not known when it is not there.
    pub unknown: &'static [(Field, &'static str)],
}

const fn rule(field: Field, header: &'static str, codec: Codec) -> Rule {
    Rule { field, header, codec }
}

const BASE: Format = Format {
    name: "",
    signs: &[],
    rules: &[],
    latest: Latest::Last,
    repeats: Repeats::DeadLetterings,
    keeps_timestamp: false,
    wrapping: Wrapping::None,
    payload: Payload::Copied,
    attempts_shift: 0,
    group_in_name: false,
    strip: &[],
    strip_prefixes: &[],
    unknown: &[],
};

/// All of Spring Kafka's headers: its recoverer, its retry topics and its deserialisers write to one record.
const SPRING_PREFIXES: &[&str] = &[
    "kafka_dlt-",
    "kafka_original-",
    "kafka_exception-",
    "kafka_key-exception-",
    "retry_topic-",
    "springDeserializerException",
];

/// The formats, the more specific before the more general.
pub const TABLE: &[Format] = &[
    Format {
        // RetryTopicHeaders, DeadLetterPublishingRecovererFactory.
        name: "spring-retryable",
        signs: &[&["retry_topic-attempts"], &["kafka_original-topic"], &["kafka_exception-fqcn"]],
        rules: &[
            rule(Field::OriginTopic, "kafka_original-topic", Codec::Utf8),
            rule(Field::OriginPartition, "kafka_original-partition", Codec::I32be),
            rule(Field::OriginOffset, "kafka_original-offset", Codec::I64be),
            rule(Field::OriginTimestamp, "kafka_original-timestamp", Codec::I64be),
            rule(Field::Group, "kafka_dlt-original-consumer-group", Codec::Utf8),
            rule(Field::Group, "kafka_original-consumer-group", Codec::Utf8),
            rule(Field::ErrorClass, "kafka_exception-fqcn", Codec::Utf8),
            rule(Field::ErrorClass, "kafka_key-exception-fqcn", Codec::Utf8),
            rule(Field::CauseClass, "kafka_exception-cause-fqcn", Codec::Utf8),
            rule(Field::Message, "kafka_exception-message", Codec::Utf8),
            rule(Field::Message, "kafka_key-exception-message", Codec::Utf8),
            rule(Field::StackTrace, "kafka_exception-stacktrace", Codec::Utf8),
            rule(Field::StackTrace, "kafka_key-exception-stacktrace", Codec::Utf8),
            rule(Field::Attempts, "retry_topic-attempts", Codec::ByteOrI32be),
        ],
        wrapping: Wrapping::Spring,
        // The header counts the attempt that would be next.
        attempts_shift: -1,
        strip_prefixes: SPRING_PREFIXES,
        unknown: &[(Field::Group, "Spring Kafka before 2.8 writes no consumer group")],
        ..BASE
    },
    Format {
        // KafkaHeaders.DLT_*, DeadLetterPublishingRecoverer.
        name: "spring-kafka",
        signs: &[
            &["kafka_dlt-original-topic"],
            &["kafka_dlt-exception-fqcn"],
            &["kafka_dlt-key-exception-fqcn"],
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
        ],
        wrapping: Wrapping::Spring,
        strip_prefixes: SPRING_PREFIXES,
        unknown: &[
            (Field::Group, "Spring Kafka before 2.8 writes no consumer group"),
            (Field::Attempts, "Spring Kafka's recoverer does not write the number of attempts"),
        ],
        ..BASE
    },
    Format {
        // Spring Cloud Stream, KafkaMessageChannelBinder.
        name: "spring-cloud-stream",
        signs: &[&["x-exception-fqcn"], &["x-original-timestamp-type"]],
        rules: &[
            rule(Field::OriginTopic, "x-original-topic", Codec::Utf8),
            rule(Field::OriginPartition, "x-original-partition", Codec::I32be),
            rule(Field::OriginOffset, "x-original-offset", Codec::I64be),
            rule(Field::OriginTimestamp, "x-original-timestamp", Codec::I64be),
            rule(Field::ErrorClass, "x-exception-fqcn", Codec::Utf8),
            rule(Field::Message, "x-exception-message", Codec::Utf8),
            rule(Field::StackTrace, "x-exception-stacktrace", Codec::Utf8),
        ],
        group_in_name: true,
        strip_prefixes: &["x-original-", "x-exception-"],
        unknown: &[
            (
                Field::Group,
                "Spring Cloud Stream names the group only in a topic called error.<topic>.<group>",
            ),
            (Field::Attempts, "Spring Cloud Stream does not write the number of attempts"),
        ],
        ..BASE
    },
    Format {
        // KIP-298, DeadLetterQueueReporter.
        name: "kafka-connect",
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
        keeps_timestamp: true,
        strip_prefixes: &["__connect.errors."],
        unknown: &[
            (Field::Group, "Kafka Connect writes no consumer group; by convention it is connect-<connector>"),
            (Field::Attempts, "Kafka Connect does not write the number of attempts"),
        ],
        ..BASE
    },
    Format {
        name: "kafka-streams",
        signs: &[&["__streams.errors.topic"], &["__streams.errors.exception"]],
        rules: &[
            rule(Field::OriginTopic, "__streams.errors.topic", Codec::Utf8),
            rule(Field::OriginPartition, "__streams.errors.partition", Codec::Dec),
            rule(Field::OriginOffset, "__streams.errors.offset", Codec::Dec),
            rule(Field::ErrorClass, "__streams.errors.exception", Codec::Utf8),
            rule(Field::Message, "__streams.errors.message", Codec::Utf8),
            rule(Field::StackTrace, "__streams.errors.stacktrace", Codec::Utf8),
        ],
        keeps_timestamp: true,
        strip_prefixes: &["__streams.errors."],
        unknown: &[(Field::Group, "Kafka Streams writes no application id (KIP-1034)")],
        ..BASE
    },
    Format {
        name: "share-group",
        signs: &[&["__dlq.errors.topic"], &["__dlq.errors.group"]],
        rules: &[
            rule(Field::OriginTopic, "__dlq.errors.topic", Codec::Utf8),
            rule(Field::OriginPartition, "__dlq.errors.partition", Codec::Dec),
            rule(Field::OriginOffset, "__dlq.errors.offset", Codec::Dec),
            rule(Field::Group, "__dlq.errors.group", Codec::Utf8),
            rule(Field::Message, "__dlq.errors.message", Codec::Utf8),
            rule(Field::Attempts, "__dlq.errors.delivery.count", Codec::Dec),
            rule(Field::Also("disposition"), "_dlq.errors.disposition", Codec::Utf8),
        ],
        payload: Payload::PointerIfNull,
        strip_prefixes: &["__dlq.errors.", "_dlq.errors."],
        unknown: &[(Field::ErrorClass, "a share group's letter names no exception (KIP-1191)")],
        ..BASE
    },
    Format {
        // KafkaDelayedRetryTopic. Its final letter has these headers only.
        name: "smallrye-delayed-retry",
        signs: &[&["delayed-retry-topic"], &["delayed-retry-count"]],
        rules: &[
            rule(Field::OriginTopic, "delayed-retry-topic", Codec::Utf8),
            rule(Field::OriginPartition, "delayed-retry-partition", Codec::Dec),
            rule(Field::OriginOffset, "delayed-retry-offset", Codec::Dec),
            rule(Field::OriginTimestamp, "delayed-retry-original-timestamp", Codec::Dec),
            rule(Field::ErrorClass, "delayed-retry-exception-class-name", Codec::Utf8),
            rule(Field::CauseClass, "delayed-retry-cause-class-name", Codec::Utf8),
            rule(Field::Message, "delayed-retry-reason", Codec::Utf8),
            rule(Field::Attempts, "delayed-retry-count", Codec::Dec),
            rule(Field::Also("cause"), "delayed-retry-cause", Codec::Utf8),
        ],
        latest: Latest::First,
        repeats: Repeats::Retries,
        // It counts retries; the first attempt was none.
        attempts_shift: 1,
        strip_prefixes: SMALLRYE_PREFIXES,
        unknown: SMALLRYE_UNKNOWN,
        ..BASE
    },
    Format {
        // KafkaDeadLetterQueue.
        name: "smallrye",
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
        strip_prefixes: SMALLRYE_PREFIXES,
        unknown: SMALLRYE_UNKNOWN,
        ..BASE
    },
    Format {
        name: "micronaut",
        signs: &[&["micronaut-kafka-original-topic"], &["micronaut-kafka-exception-class"]],
        rules: &[
            rule(Field::OriginTopic, "micronaut-kafka-original-topic", Codec::Utf8),
            rule(Field::OriginPartition, "micronaut-kafka-original-partition", Codec::Dec),
            rule(Field::OriginOffset, "micronaut-kafka-original-offset", Codec::Dec),
            rule(Field::ErrorClass, "micronaut-kafka-exception-class", Codec::Utf8),
            rule(Field::Message, "micronaut-kafka-exception-message", Codec::Utf8),
        ],
        strip_prefixes: &["micronaut-kafka-original-", "micronaut-kafka-exception-"],
        unknown: &[
            (Field::Group, "Micronaut writes no consumer group"),
            (Field::StackTrace, "Micronaut writes no stack trace"),
        ],
        ..BASE
    },
    Format {
        name: "helidon",
        signs: &[&["dlq-orig-topic"], &["dlq-error"]],
        rules: &[
            rule(Field::OriginTopic, "dlq-orig-topic", Codec::Utf8),
            rule(Field::OriginPartition, "dlq-orig-partition", Codec::Dec),
            rule(Field::OriginOffset, "dlq-orig-offset", Codec::Dec),
            rule(Field::OriginTimestamp, "dlq-orig-timestamp", Codec::Dec),
            rule(Field::ErrorClass, "dlq-error", Codec::Utf8),
            rule(Field::Message, "dlq-error-msg", Codec::Utf8),
        ],
        strip: &["dlq-error", "dlq-error-msg"],
        strip_prefixes: &["dlq-orig-"],
        unknown: &[
            (Field::Group, "Helidon writes no consumer group"),
            (Field::StackTrace, "Helidon writes no stack trace"),
        ],
        ..BASE
    },
    Format {
        name: "wolverine",
        signs: &[&["original-destination"], &["exception-type", "failed-at"]],
        rules: &[
            rule(Field::OriginTopic, "original-destination", Codec::KafkaUri),
            rule(Field::OriginPartition, "original-partition", Codec::Dec),
            rule(Field::OriginOffset, "original-offset", Codec::Dec),
            rule(Field::ErrorClass, "exception-type", Codec::Utf8),
            rule(Field::Message, "exception-message", Codec::Utf8),
            rule(Field::StackTrace, "exception-stack", Codec::Utf8),
            rule(Field::FailedAt, "failed-at", Codec::Dec),
            rule(Field::Attempts, "wolverine-kafka-retry-attempt", Codec::Dec),
        ],
        strip: &[
            "original-destination",
            "original-partition",
            "original-offset",
            "exception-type",
            "exception-message",
            "exception-stack",
            "failed-at",
        ],
        strip_prefixes: &["wolverine-kafka-retry-"],
        unknown: &[(Field::Group, "Wolverine writes no consumer group")],
        ..BASE
    },
    Format {
        name: "nservicebus",
        signs: &[&["NServiceBus.FailedQ"], &["NServiceBus.ExceptionInfo.ExceptionType"]],
        rules: &[
            rule(Field::OriginTopic, "NServiceBus.FailedQ", Codec::Utf8),
            rule(Field::ErrorClass, "NServiceBus.ExceptionInfo.ExceptionType", Codec::Utf8),
            rule(Field::CauseClass, "NServiceBus.ExceptionInfo.InnerExceptionType", Codec::Utf8),
            rule(Field::Message, "NServiceBus.ExceptionInfo.Message", Codec::Utf8),
            rule(Field::StackTrace, "NServiceBus.ExceptionInfo.StackTrace", Codec::Utf8),
            rule(Field::FailedAt, "NServiceBus.TimeOfFailure", Codec::NServiceBusTime),
            rule(Field::Also("retries"), "NServiceBus.Retries", Codec::Utf8),
            rule(Field::Also("immediate_retries"), "NServiceBus.FLRetries", Codec::Utf8),
        ],
        repeats: Repeats::Overwritten,
        strip: &["NServiceBus.FailedQ", "NServiceBus.TimeOfFailure", "NServiceBus.FLRetries"],
        strip_prefixes: &["NServiceBus.ExceptionInfo.", "NServiceBus.Retries"],
        unknown: &[
            (Field::OriginOffset, "NServiceBus names the failed queue, not the record's place in it"),
            (Field::Group, "NServiceBus writes no consumer group"),
        ],
        ..BASE
    },
    Format {
        name: "masstransit",
        signs: &[&["MT-Fault-ExceptionType"], &["MT-Reason", "MT-Fault-Message"]],
        rules: &[
            rule(Field::ErrorClass, "MT-Fault-ExceptionType", Codec::Utf8),
            rule(Field::Message, "MT-Fault-Message", Codec::Utf8),
            rule(Field::StackTrace, "MT-Fault-StackTrace", Codec::Utf8),
            rule(Field::FailedAt, "MT-Fault-Timestamp", Codec::IsoTime),
            rule(Field::Attempts, "MT-Fault-RetryCount", Codec::Dec),
            rule(Field::Also("input_address"), "MT-Fault-InputAddress", Codec::Utf8),
            rule(Field::Also("consumer_type"), "MT-Fault-ConsumerType", Codec::Utf8),
            rule(Field::Also("message_type"), "MT-Fault-MessageType", Codec::Utf8),
            rule(Field::Also("redeliveries"), "MT-Fault-RedeliveryCount", Codec::Utf8),
        ],
        repeats: Repeats::Overwritten,
        // It counts retries; the first attempt was none.
        attempts_shift: 1,
        strip: &["MT-Reason"],
        strip_prefixes: &["MT-Fault-", "MT-Host-"],
        unknown: &[(Field::OriginTopic, "MassTransit names an input address, not a topic")],
        ..BASE
    },
    Format {
        // KafkaFlow.Retry, KafkaRetryDurableConstants.
        name: "kafkaflow",
        signs: &[&["Kafka-Flow-Retry-Durable-Queue-Id"], &["Kafka-Flow-Retry-Durable-Item-Id"]],
        rules: &[
            rule(Field::Attempts, "Kafka-Flow-Retry-Durable-Attempts-Count", Codec::Dec),
            rule(Field::Also("queue"), "Kafka-Flow-Retry-Durable-Queue-Id", Codec::Utf8),
            rule(Field::Also("item"), "Kafka-Flow-Retry-Durable-Item-Id", Codec::Utf8),
            rule(Field::Also("message_type"), "Kafka-Flow-Retry-Durable-Original-Message-Type", Codec::Utf8),
        ],
        repeats: Repeats::Overwritten,
        strip_prefixes: &["Kafka-Flow-Retry-"],
        unknown: &[
            (Field::OriginTopic, "KafkaFlow keeps the origin in its own database"),
            (Field::Message, "KafkaFlow keeps the reason in its own database"),
        ],
        ..BASE
    },
    Format {
        // CloudEvents extensions; on Kafka in binary mode with the prefix `ce_`.
        name: "knative",
        signs: &[
            &["ce_knativeerrordest"],
            &["ce_knativeerrorcode"],
            &["knativeerrordest"],
            &["knativeerrorcode"],
        ],
        rules: &[
            rule(Field::Message, "ce_knativeerrordata", Codec::Base64),
            rule(Field::Message, "knativeerrordata", Codec::Base64),
            rule(Field::Also("status"), "ce_knativeerrorcode", Codec::Utf8),
            rule(Field::Also("status"), "knativeerrorcode", Codec::Utf8),
            rule(Field::Also("destination"), "ce_knativeerrordest", Codec::Utf8),
            rule(Field::Also("destination"), "knativeerrordest", Codec::Utf8),
        ],
        repeats: Repeats::Overwritten,
        strip_prefixes: &["ce_knativeerror", "knativeerror"],
        unknown: &[(Field::OriginTopic, "Knative names the destination that failed, not a topic")],
        ..BASE
    },
    Format {
        name: "watermill",
        signs: &[&["reason_poisoned"], &["topic_poisoned"]],
        rules: &[
            rule(Field::OriginTopic, "topic_poisoned", Codec::Utf8),
            rule(Field::Message, "reason_poisoned", Codec::Utf8),
            rule(Field::Also("handler"), "handler_poisoned", Codec::Utf8),
            rule(Field::Also("subscriber"), "subscriber_poisoned", Codec::Utf8),
        ],
        repeats: Repeats::Overwritten,
        strip: &["reason_poisoned", "topic_poisoned", "handler_poisoned", "subscriber_poisoned"],
        strip_prefixes: &["_watermill_delayed_"],
        unknown: &[
            (Field::OriginOffset, "Watermill writes no partition and no offset"),
            (Field::Group, "Watermill writes no consumer group"),
            (Field::ErrorClass, "Watermill writes no error class"),
        ],
        ..BASE
    },
    Format {
        // Karafka since March 2025 (Karafka::Pro enhanced dead letter queue).
        name: "karafka",
        signs: &[&["source_topic", "source_partition", "source_offset"]],
        rules: &[
            rule(Field::OriginTopic, "source_topic", Codec::Utf8),
            rule(Field::OriginPartition, "source_partition", Codec::Dec),
            rule(Field::OriginOffset, "source_offset", Codec::Dec),
            rule(Field::Group, "source_consumer_group", Codec::Utf8),
            rule(Field::Attempts, "source_attempts", Codec::Dec),
            rule(Field::Also("trace"), "source_trace_id", Codec::Utf8),
        ],
        strip: &[
            "source_topic",
            "source_partition",
            "source_offset",
            "source_consumer_group",
            "source_attempts",
            "source_trace_id",
        ],
        unknown: KARAFKA_UNKNOWN,
        ..BASE
    },
    Format {
        name: "karafka-old",
        signs: &[&["original_topic", "original_partition", "original_offset", "original_consumer_group"]],
        rules: &[
            rule(Field::OriginTopic, "original_topic", Codec::Utf8),
            rule(Field::OriginPartition, "original_partition", Codec::Dec),
            rule(Field::OriginOffset, "original_offset", Codec::Dec),
            rule(Field::Group, "original_consumer_group", Codec::Utf8),
            rule(Field::Attempts, "original_attempts", Codec::Dec),
        ],
        strip: &[
            "original_topic",
            "original_partition",
            "original_offset",
            "original_consumer_group",
            "original_attempts",
        ],
        unknown: KARAFKA_UNKNOWN,
        ..BASE
    },
    Format {
        // Names that home-grown code likes; numbers as text or big-endian, nobody knows.
        name: "home-grown",
        signs: &[
            &["x-original-topic"],
            &["X-Original-Topic"],
            &["original_topic"],
            &["dlq.original.topic"],
            &["__krafka.dlq.original.topic"],
        ],
        rules: &[
            rule(Field::OriginTopic, "x-original-topic", Codec::Utf8),
            rule(Field::OriginTopic, "X-Original-Topic", Codec::Utf8),
            rule(Field::OriginTopic, "original_topic", Codec::Utf8),
            rule(Field::OriginTopic, "dlq.original.topic", Codec::Utf8),
            rule(Field::OriginTopic, "__krafka.dlq.original.topic", Codec::Utf8),
            rule(Field::OriginPartition, "x-original-partition", Codec::Guess),
            rule(Field::OriginPartition, "X-Original-Partition", Codec::Guess),
            rule(Field::OriginPartition, "original_partition", Codec::Guess),
            rule(Field::OriginPartition, "dlq.original.partition", Codec::Guess),
            rule(Field::OriginPartition, "__krafka.dlq.original.partition", Codec::Guess),
            rule(Field::OriginOffset, "x-original-offset", Codec::Guess),
            rule(Field::OriginOffset, "X-Original-Offset", Codec::Guess),
            rule(Field::OriginOffset, "original_offset", Codec::Guess),
            rule(Field::OriginOffset, "dlq.original.offset", Codec::Guess),
            rule(Field::OriginOffset, "__krafka.dlq.original.offset", Codec::Guess),
            rule(Field::Message, "x-error-message", Codec::Utf8),
            rule(Field::Message, "X-Error-Message", Codec::Utf8),
            rule(Field::Message, "x-exception-message", Codec::Utf8),
            rule(Field::Message, "error.message", Codec::Utf8),
            rule(Field::Message, "error_message", Codec::Utf8),
        ],
        strip: &[
            "original_topic",
            "original_partition",
            "original_offset",
            "error.message",
            "error_message",
            "x-error-message",
            "X-Error-Message",
        ],
        strip_prefixes: &["x-original-", "X-Original-", "x-exception-", "dlq.original.", "__krafka.dlq."],
        unknown: &[(Field::Group, "no header names the consumer group")],
        ..BASE
    },
];

const SMALLRYE_PREFIXES: &[&str] = &["dead-letter-", "delayed-retry-"];
const SMALLRYE_UNKNOWN: &[(Field, &str)] = &[
    (Field::Group, "SmallRye writes no consumer group"),
    (Field::StackTrace, "SmallRye writes no stack trace"),
];
const KARAFKA_UNKNOWN: &[(Field, &str)] =
    &[(Field::Message, "Karafka writes no reason"), (Field::ErrorClass, "Karafka writes no error class")];
