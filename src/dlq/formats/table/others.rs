//! Frameworks of other platforms: .NET, Go, Ruby, Knative, Dapr.

use super::{BASE, Codec, Field, Format, Payload, Repeats, Wrapping, attempts, rule};

/// `DeadLetterQueueConstants`, `KafkaRetryNaming`.
pub(super) const WOLVERINE: Format = Format {
    name: "wolverine",
    written_by: "Wolverine, also with retry topics",
    signs: &[&["original-destination"], &["exception-type", "failed-at"], &["wolverine-kafka-retry-source"]],
    rules: &[
        rule(Field::OriginTopic, "original-destination", Codec::KafkaUri),
        rule(Field::OriginPartition, "original-partition", Codec::Dec),
        rule(Field::OriginOffset, "original-offset", Codec::Dec),
        rule(Field::RootTopic, "wolverine-kafka-retry-source", Codec::Utf8),
        rule(Field::ErrorClass, "exception-type", Codec::Utf8),
        rule(Field::ErrorClass, "wolverine-kafka-retry-exception-type", Codec::Utf8),
        rule(Field::Message, "exception-message", Codec::Utf8),
        rule(Field::Message, "wolverine-kafka-retry-exception-message", Codec::Utf8),
        rule(Field::StackTrace, "exception-stack", Codec::Utf8),
        rule(Field::FailedAt, "failed-at", Codec::Dec),
        attempts("wolverine-kafka-retry-attempt", Codec::Dec, 0),
        rule(Field::Also("retry_tier"), "wolverine-kafka-retry-tier", Codec::Utf8),
        rule(Field::Also("first_failed_ticks"), "wolverine-kafka-retry-first-failed", Codec::Utf8),
    ],
    repeats: Repeats::Overwritten,
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
    unknown: &[
        (Field::Group, "Wolverine writes no consumer group"),
        (Field::Attempts, "Wolverine counts attempts only with retry topics"),
    ],
    ..BASE
};

/// `NServiceBus.Faults`.
pub(super) const NSERVICEBUS: Format = Format {
    name: "nservicebus",
    written_by: "NServiceBus",
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
        rule(Field::Also("endpoint"), "NServiceBus.ProcessingEndpoint", Codec::Utf8),
    ],
    repeats: Repeats::Overwritten,
    strip: &[
        "NServiceBus.FailedQ",
        "NServiceBus.TimeOfFailure",
        "NServiceBus.FLRetries",
        "NServiceBus.ProcessingEndpoint",
    ],
    strip_prefixes: &["NServiceBus.ExceptionInfo.", "NServiceBus.Retries"],
    unknown: &[
        (Field::OriginPartition, "NServiceBus names the failed queue, not the record's place in it"),
        (Field::OriginOffset, "NServiceBus names the failed queue, not the record's place in it"),
        (Field::Group, "NServiceBus writes no consumer group"),
        (Field::Attempts, "NServiceBus counts immediate and delayed retries apart"),
    ],
    ..BASE
};

/// `MessageHeaders` of MassTransit; `SendContextExtensions` writes the innermost exception, its trace without a
/// headline and cut at 2,048 characters.
pub(super) const MASSTRANSIT: Format = Format {
    name: "masstransit",
    written_by: "MassTransit",
    // Skipped messages have a reason alone.
    signs: &[&["MT-Fault-ExceptionType"], &["MT-Reason"]],
    rules: &[
        rule(Field::ErrorClass, "MT-Fault-ExceptionType", Codec::Utf8),
        rule(Field::Message, "MT-Fault-Message", Codec::Utf8),
        rule(Field::StackTrace, "MT-Fault-StackTrace", Codec::Utf8),
        rule(Field::FailedAt, "MT-Fault-Timestamp", Codec::IsoTime),
        // It counts retries; the first attempt was none.
        attempts("MT-Fault-RetryCount", Codec::Dec, 1),
        rule(Field::Also("input_address"), "MT-Fault-InputAddress", Codec::Utf8),
        rule(Field::Also("consumer_type"), "MT-Fault-ConsumerType", Codec::Utf8),
        rule(Field::Also("message_type"), "MT-Fault-MessageType", Codec::Utf8),
        rule(Field::Also("redeliveries"), "MT-Fault-RedeliveryCount", Codec::Utf8),
        rule(Field::Also("reason"), "MT-Reason", Codec::Utf8),
    ],
    repeats: Repeats::Overwritten,
    names_root: true,
    strip: &["MT-Reason"],
    strip_prefixes: &["MT-Fault-", "MT-Host-"],
    unknown: &[
        (Field::OriginTopic, "MassTransit names an input address, not a topic"),
        (Field::Attempts, "MassTransit writes the number of retries only where it retried"),
    ],
    ..BASE
};

/// KafkaFlow.Retry, `KafkaRetryDurableConstants`.
pub(super) const KAFKAFLOW: Format = Format {
    name: "kafkaflow",
    written_by: "KafkaFlow.Retry",
    signs: &[&["Kafka-Flow-Retry-Durable-Queue-Id"], &["Kafka-Flow-Retry-Durable-Item-Id"]],
    rules: &[
        attempts("Kafka-Flow-Retry-Durable-Attempts-Count", Codec::Dec, 0),
        rule(Field::Also("queue"), "Kafka-Flow-Retry-Durable-Queue-Id", Codec::Utf8),
        rule(Field::Also("item"), "Kafka-Flow-Retry-Durable-Item-Id", Codec::Utf8),
        rule(Field::Also("sort"), "Kafka-Flow-Retry-Durable-Sort", Codec::Utf8),
        rule(Field::Also("message_type"), "Kafka-Flow-Retry-Durable-Original-Message-Type", Codec::Utf8),
    ],
    repeats: Repeats::Overwritten,
    payload: Payload::Rewritten(
        "KafkaFlow keeps the value as JSON in gzip: the true bytes are the origin record's",
    ),
    strip_prefixes: &["Kafka-Flow-Retry-"],
    unknown: &[
        (Field::OriginTopic, "KafkaFlow keeps the origin in its own database"),
        (Field::ErrorClass, "KafkaFlow keeps the reason in its own database"),
        (Field::Message, "KafkaFlow keeps the reason in its own database"),
        (Field::StackTrace, "KafkaFlow keeps the reason in its own database"),
    ],
    ..BASE
};

/// CloudEvents extensions; on Kafka in binary mode with the prefix `ce_`.
pub(super) const KNATIVE: Format = Format {
    name: "knative",
    written_by: "Knative Eventing, binary and structured",
    signs: &[
        &["ce_knativeerrordest"],
        &["ce_knativeerrorcode"],
        &["knativeerrordest"],
        &["knativeerrorcode"],
        &["ce-knativeerrordest"],
        &["ce-knativeerrorcode"],
    ],
    rules: &[
        rule(Field::Message, "ce_knativeerrordata", Codec::Base64),
        rule(Field::Message, "knativeerrordata", Codec::Base64),
        rule(Field::Message, "ce-knativeerrordata", Codec::Base64),
        rule(Field::Also("status"), "ce_knativeerrorcode", Codec::Utf8),
        rule(Field::Also("status"), "knativeerrorcode", Codec::Utf8),
        rule(Field::Also("status"), "ce-knativeerrorcode", Codec::Utf8),
        rule(Field::Also("destination"), "ce_knativeerrordest", Codec::Utf8),
        rule(Field::Also("destination"), "knativeerrordest", Codec::Utf8),
        rule(Field::Also("destination"), "ce-knativeerrordest", Codec::Utf8),
    ],
    repeats: Repeats::Overwritten,
    strip_prefixes: &["ce_knativeerror", "knativeerror", "ce-knativeerror"],
    unknown: KNATIVE_UNKNOWN,
    ..BASE
};
/// Why Knative's letters do not tell this.
pub(in crate::dlq::formats) const KNATIVE_UNKNOWN: &[(Field, &str)] = &[
    (Field::OriginTopic, "Knative names the destination that failed, not a topic"),
    (Field::ErrorClass, "Knative knows the answer's status, not an error class"),
];

/// `sendToDeadLetter` publishes the message with the metadata that its Kafka component gave it on arrival
/// (`GetEventMetadata`), each as a header. Headers that the record brought along go over them, so that the first origin
/// stays. Older versions write none of them: there only the event in the value tells.
pub(super) const DAPR: Format = Format {
    name: "dapr",
    written_by: DAPR_WRITES,
    signs: &[&["__topic", "__partition", "__offset"]],
    rules: &[
        rule(Field::OriginTopic, "__topic", Codec::Utf8),
        rule(Field::OriginPartition, "__partition", Codec::Dec),
        rule(Field::OriginOffset, "__offset", Codec::Dec),
        rule(Field::OriginTimestamp, "__timestamp", Codec::Dec),
        rule(Field::Also("pubsub"), "pubsubName", Codec::Utf8),
    ],
    repeats: Repeats::Overwritten,
    strip: &["__topic", "__partition", "__offset", "__timestamp", "__key", "pubsubName"],
    unknown: DAPR_UNKNOWN,
    ..BASE
};
/// Who writes Dapr's letters, in headers and without.
pub(in crate::dlq::formats) const DAPR_WRITES: &str = "Dapr; older versions tell the topic alone";
/// Why Dapr's letters do not tell this.
pub(in crate::dlq::formats) const DAPR_UNKNOWN: &[(Field, &str)] = &[
    (Field::OriginPartition, "older versions of Dapr write no partition and no offset"),
    (Field::OriginOffset, "older versions of Dapr write no partition and no offset"),
    (Field::OriginTimestamp, "older versions of Dapr do not write the record's timestamp"),
    (Field::Group, "Dapr writes no consumer group"),
    (Field::Message, "Dapr writes no reason"),
    (Field::ErrorClass, "Dapr writes no reason"),
    (Field::StackTrace, "Dapr writes no reason"),
    (Field::Attempts, "Dapr does not write the number of attempts"),
];

/// `middleware.PoisonQueue`.
pub(super) const WATERMILL: Format = Format {
    name: "watermill",
    written_by: "Watermill",
    signs: &[&["reason_poisoned"], &["topic_poisoned"]],
    rules: &[
        rule(Field::OriginTopic, "topic_poisoned", Codec::Utf8),
        rule(Field::Message, "reason_poisoned", Codec::Utf8),
        rule(Field::Also("handler"), "handler_poisoned", Codec::Utf8),
        rule(Field::Also("subscriber"), "subscriber_poisoned", Codec::Utf8),
        rule(Field::Also("delayed_until"), "_watermill_delayed_until", Codec::Utf8),
        rule(Field::Also("delayed_for"), "_watermill_delayed_for", Codec::Utf8),
    ],
    repeats: Repeats::Overwritten,
    wrapping: Wrapping::Panic,
    payload: Payload::WithoutKey,
    strip: &["reason_poisoned", "topic_poisoned", "handler_poisoned", "subscriber_poisoned"],
    strip_prefixes: &["_watermill_delayed_"],
    unknown: &[
        (Field::OriginPartition, "Watermill writes no partition and no offset"),
        (Field::OriginOffset, "Watermill writes no partition and no offset"),
        (Field::Group, "Watermill writes no consumer group"),
        (Field::ErrorClass, "Watermill writes no error class"),
        (Field::StackTrace, "Watermill writes a stack only where a handler panicked"),
    ],
    ..BASE
};

/// Karafka Pro since March 2025. Its piping writes the same headers without the number of attempts; Karafka without
/// Pro copies the value and nothing else.
pub(super) const KARAFKA: Format = Format {
    name: "karafka",
    written_by: "Karafka, `source_*` headers",
    signs: &[&["source_topic", "source_partition", "source_offset", "source_attempts"]],
    rules: &[
        rule(Field::OriginTopic, "source_topic", Codec::Utf8),
        rule(Field::OriginPartition, "source_partition", Codec::Dec),
        rule(Field::OriginOffset, "source_offset", Codec::Dec),
        rule(Field::Group, "source_consumer_group", Codec::Utf8),
        attempts("source_attempts", Codec::Dec, 0),
        rule(Field::Also("trace"), "source_trace_id", Codec::Utf8),
    ],
    repeats: Repeats::Overwritten,
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
};

/// Karafka Pro before: the letter's key is the partition's number, the record's own key is a header.
pub(super) const KARAFKA_OLD: Format = Format {
    name: "karafka-old",
    written_by: "Karafka, `original_*` headers",
    signs: &[
        &["original_topic", "original_partition", "original_offset", "original_consumer_group"],
        &["original_topic", "original_partition", "original_offset", "original_attempts"],
    ],
    rules: &[
        rule(Field::OriginTopic, "original_topic", Codec::Utf8),
        rule(Field::OriginPartition, "original_partition", Codec::Dec),
        rule(Field::OriginOffset, "original_offset", Codec::Dec),
        rule(Field::Group, "original_consumer_group", Codec::Utf8),
        attempts("original_attempts", Codec::Dec, 0),
        rule(Field::OriginalKey, "original_key", Codec::Utf8),
    ],
    repeats: Repeats::Overwritten,
    strip: &[
        "original_topic",
        "original_partition",
        "original_offset",
        "original_consumer_group",
        "original_attempts",
        "original_key",
    ],
    unknown: KARAFKA_UNKNOWN,
    ..BASE
};
const KARAFKA_UNKNOWN: &[(Field, &str)] = &[
    (Field::Message, "Karafka writes no reason"),
    (Field::ErrorClass, "Karafka writes no error class"),
    (Field::StackTrace, "Karafka writes no stack trace"),
];
