//! What each framework's source writes, header by header, in its order and encoding, and what is read from it.

mod spring;

use bytes::Bytes;

use super::decode;
use crate::config::profile::DeadLetters;
use crate::dlq::Letter;
use crate::event::{Headers, Position, Record, RecordTime, TimeKind};
use crate::text::Timestamp;

/// The letter's own timestamp.
const WRITTEN: Timestamp = Timestamp(1_795_161_999_000);

/// Headers as one dead-lettering writes them.
type Block<'b> = &'b [(&'b str, Option<&'b [u8]>)];

fn record(topic: &str, blocks: &[Block<'_>]) -> Record {
    let mut headers = Headers::default();
    for (name, value) in blocks.iter().copied().flatten() {
        headers.push((*name).to_owned(), value.map(Bytes::copy_from_slice));
    }
    let time = Some(RecordTime { kind: TimeKind::Create, at: WRITTEN });
    let (key, value) = (Some(Bytes::from_static(b"k1")), Some(Bytes::from_static(b"{}")));
    Record { at: Position::new(topic, 0, 7), time, key, value, headers, lease: None }
}

fn letter(topic: &str, blocks: &[Block<'_>]) -> Letter {
    decode(&record(topic, blocks), &DeadLetters::default())
}

/// Topic, partition and offset of the first failure.
fn root(letter: &Letter) -> (Option<&str>, Option<i32>, Option<i64>) {
    (letter.root.topic.as_deref(), letter.root.partition, letter.root.offset)
}

/// Class, root cause and message.
fn error(letter: &Letter) -> (Option<&str>, Option<&str>, Option<&str>) {
    (letter.error_class.as_deref(), letter.root_cause_class.as_deref(), letter.message.as_deref())
}

fn also<'l>(letter: &'l Letter, name: &str) -> Option<&'l str> {
    letter.also.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
}

#[expect(clippy::unnecessary_wraps, reason = "a header's value may be null")]
const fn some(text: &str) -> Option<&[u8]> {
    Some(text.as_bytes())
}

/// A chain as the JVM prints it.
const CHAIN: &str = "acme.PaymentFailed: payment of order-1 failed\n\tat acme.Stock.pay(Stock.java:54)\nCaused by: \
                     java.net.SocketTimeoutException: Read timed out\n\tat acme.Stock.call(Stock.java:60)\n\t... 2 more\n";

#[test]
fn connect_writes_text_behind_the_records_headers_and_null_for_no_message() {
    let block = |offset: &'static str, message: Option<&'static [u8]>| {
        [
            ("__connect.errors.topic", some("clicks")),
            ("__connect.errors.partition", some("2")),
            ("__connect.errors.offset", some(offset)),
            ("__connect.errors.connector.name", some("sink")),
            ("__connect.errors.task.id", some("0")),
            ("__connect.errors.stage", some("TASK_PUT")),
            ("__connect.errors.class.name", some("org.apache.kafka.connect.sink.SinkTask")),
            ("__connect.errors.exception.class.name", some("acme.PaymentFailed")),
            ("__connect.errors.exception.message", message),
            ("__connect.errors.exception.stacktrace", some(CHAIN)),
        ]
    };
    let once = letter("dlq", &[&[("trace", None)], &block("12", some("payment of order-1 failed"))]);
    assert_eq!(root(&once), (Some("clicks"), Some(2), Some(12)));
    assert_eq!((once.hops, once.root.timestamp, once.previous.as_ref()), (Some(1), Some(WRITTEN), None));
    let class = "java.net.SocketTimeoutException";
    assert_eq!(error(&once), (Some("acme.PaymentFailed"), Some(class), Some("payment of order-1 failed")));
    let twice = letter("dlq", &[&block("12", some("older")), &block("40", None)]);
    assert_eq!((root(&twice).2, twice.hops, twice.message.as_deref()), (Some(12), Some(2), None));
    assert_eq!(twice.previous.as_ref().and_then(|p| p.offset), Some(40));
    // The timestamp is that of the record that failed last.
    assert_eq!((twice.root.timestamp, twice.previous.and_then(|p| p.timestamp)), (None, Some(WRITTEN)));
}

#[test]
fn streams_writes_its_headers_behind_those_of_the_source_and_minus_one_without_one() {
    let block = |topic: Option<&'static [u8]>, partition: &'static str, offset: &'static str| {
        [
            ("__streams.errors.exception", some("acme.PaymentFailed")),
            ("__streams.errors.message", some("payment of order-1 failed")),
            ("__streams.errors.stacktrace", some(CHAIN)),
            ("__streams.errors.topic", topic),
            ("__streams.errors.partition", some(partition)),
            ("__streams.errors.offset", some(offset)),
        ]
    };
    let once = letter("dead", &[&[("traceparent", some("00"))], &block(some("orders"), "1", "30")]);
    assert_eq!((root(&once), once.hops), ((Some("orders"), Some(1), Some(30)), Some(1)));
    assert_eq!(once.root.timestamp, Some(WRITTEN));
    assert_eq!(error(&once).1, Some("java.net.SocketTimeoutException"));
    assert_eq!(once.failure.frame.as_deref(), Some("acme.Stock.pay"));
    let twice =
        letter("dead", &[&block(some("orders"), "1", "30"), &block(some("app-repartition"), "0", "4")]);
    assert_eq!((root(&twice).2, twice.hops), (Some(30), Some(2)));
    assert_eq!(twice.previous.as_ref().and_then(|p| p.topic.as_deref()), Some("app-repartition"));
    // A punctuation fails without a record.
    let none = letter("dead", &[&block(None, "-1", "-1")]);
    assert_eq!((root(&none), none.message.is_some()), ((None, None, None), true));
}

#[test]
fn share_groups_name_a_topic_by_its_id_where_the_broker_has_no_name() {
    let headers: Block<'_> = &[
        ("__dlq.errors.topic", some("b8tRS7h4TJ2Vt43Dp85v2A")),
        ("__dlq.errors.partition", some("3")),
        ("__dlq.errors.offset", some("77")),
        ("__dlq.errors.group", some("couriers")),
        ("__dlq.errors.delivery.count", some("5")),
        ("__dlq.errors.message", some("Offset delivery count exceeded the threshold.")),
    ];
    let mut pointer = record("dlq.orders", &[headers]);
    (pointer.key, pointer.value) = (None, None);
    let config = DeadLetters::default();
    let unknown = decode(&pointer, &config);
    assert_eq!(root(&unknown), (Some("b8tRS7h4TJ2Vt43Dp85v2A"), Some(3), Some(77)));
    assert!(unknown.pointer && config.topic_names.missed());
    config.topic_names.learn([("b8tRS7h4TJ2Vt43Dp85v2A".to_owned(), "orders".into())].into());
    let named = decode(&pointer, &config);
    assert_eq!(root(&named), (Some("orders"), Some(3), Some(77)));
    assert_eq!((named.attempts, named.root.group.as_deref()), (Some(5), Some("couriers")));
    assert_eq!(error(&named), (None, None, Some("Offset delivery count exceeded the threshold.")));
    assert_eq!((named.hops, named.root.timestamp), (None, None));
    assert_eq!(named.failure.origin_topic.as_deref(), Some("orders"));
}

#[test]
fn smallrye_counts_the_failures_in_the_first_topic_among_its_retries() {
    let hop = |topic: &'static str, offset: &'static str| {
        [
            ("delayed-retry-exception-class-name", some("io.smallrye.ProcessingException")),
            ("delayed-retry-reason", some("SRMSG00103: no sku")),
            ("delayed-retry-cause-class-name", some("java.lang.reflect.InvocationTargetException")),
            ("delayed-retry-cause", some("java.lang.reflect.InvocationTargetException")),
            ("delayed-retry-topic", some(topic)),
            ("delayed-retry-partition", some("1")),
            ("delayed-retry-offset", some(offset)),
        ]
    };
    // Each count is written behind the record's headers, and so behind the count before it.
    let counts = |count: &'static str| {
        [
            ("delayed-retry-original-timestamp", some("1795161661007")),
            ("delayed-retry-first-processing-timestamp", some("1795161661100")),
            ("delayed-retry-count", some("0")),
            ("delayed-retry-count", some("1")),
            ("delayed-retry-count", some(count)),
        ]
    };
    let (first, second, third) = (hop("orders", "5"), hop("orders_retry_1", "0"), hop("orders_retry_2", "0"));
    let once = letter("orders-dead", &[&third, &second, &first, &counts("2")]);
    assert_eq!(root(&once), (Some("orders"), Some(1), Some(5)));
    assert_eq!((once.attempts, once.hops), (Some(3), Some(1)));
    assert_eq!(also(&once, "first_processed_ms"), Some("1795161661100"));
    assert_eq!(once.root.timestamp, Some(Timestamp(1_795_161_661_007)));
    assert_eq!(once.previous.as_ref().and_then(|p| p.topic.as_deref()), Some("orders_retry_2"));
    assert_eq!(once.failure.origin_topic.as_deref(), Some("orders"));
    assert_eq!(error(&once), (Some("io.smallrye.ProcessingException"), None, Some("SRMSG00103: no sku")));
    // Copied back with all its headers it is given up at once.
    let again = hop("orders", "9");
    let twice = letter("orders-dead", &[&again, &third, &second, &first, &counts("2")]);
    assert_eq!((root(&twice).2, twice.hops), (Some(5), Some(2)));
    assert_eq!(twice.previous.as_ref().and_then(|p| p.offset), Some(9));
}

#[test]
fn smallrye_puts_a_key_that_cannot_be_read_in_the_values_place() {
    let failed = |also: Block<'_>| {
        letter(
            "dead-letter-topic-orders",
            &[
                &[
                    (
                        "dead-letter-exception-class-name",
                        some("org.apache.kafka.common.errors.RecordDeserializationException"),
                    ),
                    ("dead-letter-reason", some("Size of data received by LongDeserializer is not 8")),
                    ("dead-letter-topic", some("orders")),
                    ("dead-letter-partition", some("0")),
                    ("dead-letter-offset", some("3")),
                    (
                        "deserialization-failure-deserializer",
                        some("org.apache.kafka.common.serialization.LongDeserializer"),
                    ),
                    ("deserialization-failure-topic", some("orders")),
                    ("deserialization-failure-key", some("true")),
                    ("deserialization-failure-key-data", some("k1")),
                    ("deserialization-failure-data", some("k1")),
                ],
                also,
            ],
        )
    };
    let key = failed(&[]);
    assert!(key.pointer && key.notes.iter().any(|n| n.contains("the letter's value is the key's bytes")));
    assert_eq!((root(&key), key.hops), ((Some("orders"), Some(0), Some(3)), Some(1)));
    assert!(!failed(&[("deserialization-failure-value-data", some("{}"))]).pointer);
}

#[test]
fn watermill_keeps_the_stack_of_a_panic_in_its_reason() {
    let poisoned = |reason: &'static str| {
        letter(
            "poison",
            &[&[
                ("_watermill_message_uuid", some("8a1c")),
                ("reason_poisoned", some(reason)),
                ("topic_poisoned", some("orders")),
                ("handler_poisoned", some("reserve")),
                ("subscriber_poisoned", some("kafka.Subscriber")),
            ]],
        )
    };
    let plain = poisoned("cannot reserve order-1: no sku");
    assert_eq!(error(&plain), (None, None, Some("cannot reserve order-1: no sku")));
    assert_eq!((root(&plain), plain.hops), ((Some("orders"), None, None), None));
    let panic = poisoned(
        "panic occurred: runtime.boundsError{x:5, y:3, signed:true, code:0x0}, stacktrace: \ngoroutine 12 \
         [running]:\nruntime/debug.Stack()\n\t/go/debug.go:24 \
         +0x5e\ngithub.com/ThreeDotsLabs/watermill/message/router/middleware.Recoverer.func1.1()\n\t/m/recoverer.go:30 \
         +0x1\npanic({0x1, 0x2})\n\t/go/panic.go:770 +0x132\nmain.reserve(0xc0001)\n\t/app/main.go:31 +0x1d\n",
    );
    let said = "panic occurred: runtime.boundsError{x:5, y:3, signed:true, code:0x0}";
    let listed = poisoned(
        "1 error occurred:\n\t* panic occurred: \"no stock\", stacktrace: \ngoroutine 9 [running]:\nruntime/debug.Stack()\n\t/go/debug.go:24 \
         +0x5e\npanic({0x1, 0x2})\n\t/go/panic.go:770 +0x132\nmain.reserve(0xc0001)\n\t/app/main.go:31 +0x1d\n\n\n",
    );
    assert_eq!(error(&listed).2, Some("panic occurred: \"no stock\""));
    assert_eq!(listed.failure.frame.as_deref(), Some("main.reserve"));
    let both = poisoned(
        "no sku\npanic occurred: \"no stock\", stacktrace: \ngoroutine 9 [running]:\nmain.a()\n\t/app/main.go:3\n",
    );
    assert_eq!(error(&both).2, Some("no sku\npanic occurred: \"no stock\""));
    assert_eq!(error(&panic), (None, None, Some(said)));
    assert_eq!(panic.failure.frame.as_deref(), Some("main.reserve"));
    assert!(panic.stack_trace.is_some_and(|trace| trace.starts_with("goroutine 12 [running]:")));
}

/// A stack of .NET without its headline, as `Exception.StackTrace` has it.
const DOT_NET: &str =
    "   at System.Threading.Tasks.Task.Wait()\n   at Acme.Stock.Pay(Order order) in /src/Stock.cs:line 12";

#[test]
fn mass_transit_writes_the_innermost_exception_and_its_trace_without_headline() {
    let read = letter(
        "orders_error",
        &[&[
            ("MT-Reason", some("fault")),
            ("MT-Fault-ExceptionType", some("System.TimeoutException")),
            ("MT-Fault-InputAddress", some("rabbitmq://localhost/orders")),
            ("MT-Fault-Message", some("too late")),
            ("MT-Fault-Timestamp", some("2026-11-20T08:01:01.0070000Z")),
            ("MT-Fault-StackTrace", some(DOT_NET)),
            ("MT-Fault-ConsumerType", some("Acme.PayConsumer")),
            ("MT-Fault-MessageType", some("Acme.Pay")),
            ("MT-Fault-RetryCount", some("2")),
        ]],
    );
    let class = Some("System.TimeoutException");
    assert_eq!(error(&read), (class, class, Some("too late")));
    assert_eq!((read.attempts, read.failed_at), (Some(3), Some(Timestamp(1_795_161_661_007))));
    assert_eq!((also(&read, "consumer_type"), root(&read).0), (Some("Acme.PayConsumer"), None));
    assert_eq!(read.failure.frame.as_deref(), Some("Acme.Stock.Pay"));
}

#[test]
fn nservicebus_writes_the_outermost_exception_with_its_whole_chain() {
    let read = letter(
        "error",
        &[&[
            ("NServiceBus.ExceptionInfo.ExceptionType", some("Acme.Failed")),
            ("NServiceBus.ExceptionInfo.InnerExceptionType", some("System.TimeoutException")),
            ("NServiceBus.ExceptionInfo.Message", some("cannot pay")),
            ("NServiceBus.ExceptionInfo.Source", some("Acme")),
            (
                "NServiceBus.ExceptionInfo.StackTrace",
                some(
                    "Acme.Failed: cannot pay\n ---> System.TimeoutException: too late\n   at \
                 Acme.Net.Send() in /src/Net.cs:line 3\n   --- End of inner exception stack trace ---\n   at \
                 Acme.Stock.Pay(Order order) in /src/Stock.cs:line 12",
                ),
            ),
            ("NServiceBus.TimeOfFailure", some("2026-11-20 08:01:01:007000 Z")),
            ("NServiceBus.FailedQ", some("orders")),
        ]],
    );
    assert_eq!(error(&read), (Some("Acme.Failed"), Some("System.TimeoutException"), Some("cannot pay")));
    assert_eq!(
        (root(&read), read.failed_at),
        ((Some("orders"), None, None), Some(Timestamp(1_795_161_661_007)))
    );
    assert_eq!(read.failure.frame.as_deref(), Some("Acme.Net.Send"));
}

#[test]
fn wolverine_names_the_topic_in_an_address_and_the_first_one_behind_retries() {
    let dead: Block<'_> = &[
        ("exception-type", some("System.TimeoutException")),
        ("exception-message", some("too late")),
        ("exception-stack", some(DOT_NET)),
        ("failed-at", some("1795161661007")),
        ("original-destination", some("kafka://topic/orders")),
        ("original-partition", some("2")),
        ("original-offset", some("41")),
    ];
    let read = letter("wolverine-dead-letter-queue", &[dead]);
    assert_eq!(root(&read), (Some("orders"), Some(2), Some(41)));
    // The trace has no headline: what was below is not known.
    assert_eq!(error(&read), (Some("System.TimeoutException"), None, Some("too late")));
    assert_eq!((read.failed_at, read.attempts), (Some(Timestamp(1_795_161_661_007)), None));
    assert_eq!(read.failure.frame.as_deref(), Some("Acme.Stock.Pay"));
    assert_eq!(read.failure.root_cause_class, None);
}

#[test]
fn kafka_flow_marks_its_retries_and_packs_the_value() {
    let read = letter(
        "orders-retry",
        &[&[
            ("Kafka-Flow-Retry-Durable-Attempts-Count", some("4")),
            ("Kafka-Flow-Retry-Durable-Queue-Id", some("0f8fad5b-d9cb-469f-a165-70867728950e")),
            ("Kafka-Flow-Retry-Durable-Item-Id", some("7c9e6679-7425-40de-944b-e07fc1f90ae7")),
            ("Kafka-Flow-Retry-Durable-Sort", some("0")),
        ]],
    );
    assert_eq!((read.format.as_deref(), read.attempts, root(&read).0), (Some("kafkaflow"), Some(4), None));
    assert!(read.notes.iter().any(|note| note.contains("gzip")));
}

#[test]
fn karafka_pro_counts_attempts_and_its_piping_does_not() {
    let piped: Block<'_> = &[
        ("source_topic", some("orders")),
        ("source_partition", some("1")),
        ("source_offset", some("8")),
        ("source_consumer_group", some("app_email")),
    ];
    assert_eq!(letter("elsewhere", &[piped]).format, None);
    let read = letter("dead", &[piped, &[("source_attempts", some("3")), ("source_trace_id", some("d1"))]]);
    assert_eq!((root(&read), read.attempts), ((Some("orders"), Some(1), Some(8)), Some(3)));
    assert_eq!(read.root.group.as_deref(), Some("app_email"));
}

#[test]
fn micronaut_replaces_its_headers_and_keeps_the_timestamp() {
    let read = letter(
        "dead",
        &[&[
            ("micronaut-kafka-exception-class", some("acme.NoSku")),
            ("micronaut-kafka-original-topic", some("orders")),
            ("micronaut-kafka-original-partition", some("2")),
            ("micronaut-kafka-original-offset", some("7")),
        ]],
    );
    assert_eq!((root(&read), read.root.timestamp), ((Some("orders"), Some(2), Some(7)), Some(WRITTEN)));
    assert_eq!((error(&read), read.hops), ((Some("acme.NoSku"), None, None), None));
}

#[test]
fn helidon_tells_the_records_timestamp_and_not_the_failure() {
    let read = letter(
        "dead",
        &[&[
            ("helidon_messaging_dead_letter_source_channel", some("orders-in")),
            ("helidon_messaging_dead_letter_attempts", some("3")),
            ("dlq-orig-topic", some("orders")),
            ("dlq-orig-partition", some("2")),
            ("dlq-orig-offset", some("7")),
            ("dlq-orig-timestamp", some("1795161661007")),
            ("dlq-orig-timestamp-type", some("CREATE_TIME")),
            ("dlq-orig-leader-epoch", some("4")),
        ]],
    );
    assert_eq!((root(&read), read.attempts), ((Some("orders"), Some(2), Some(7)), Some(3)));
    assert_eq!(read.root.timestamp, Some(Timestamp(1_795_161_661_007)));
    assert_eq!(error(&read), (None, None, None));
}

#[test]
fn bakdata_replaces_its_headers_and_writes_null_for_what_is_not_known() {
    let read = letter(
        "dead",
        &[&[
            ("__streams.errors.topic", some("orders")),
            ("__streams.errors.partition", some("2")),
            ("__streams.errors.offset", None),
            ("__streams.errors.exception.class.name", some("acme.PaymentFailed")),
            ("__streams.errors.exception.message", None),
            ("__streams.errors.exception.stack_trace", some(CHAIN)),
            ("__streams.errors.description", some("pay")),
        ]],
    );
    assert_eq!((read.format.as_deref(), root(&read)), (Some("bakdata"), (Some("orders"), Some(2), None)));
    let class = "java.net.SocketTimeoutException";
    assert_eq!(error(&read), (Some("acme.PaymentFailed"), Some(class), None));
    assert_eq!((also(&read, "description"), read.root.timestamp), (Some("pay"), Some(WRITTEN)));
}

#[test]
fn knative_packs_the_answer_in_base64() {
    let read = letter(
        "dls",
        &[&[
            ("ce_specversion", some("1.0")),
            ("ce_knativeerrordest", some("http://fail.default.svc.cluster.local")),
            ("ce_knativeerrorcode", some("500")),
            ("ce_knativeerrordata", some("bm8gc3VjaCBob3N0")),
        ]],
    );
    assert_eq!((error(&read).2, also(&read, "status")), (Some("no such host"), Some("500")));
    assert_eq!(also(&read, "destination"), Some("http://fail.default.svc.cluster.local"));
}

#[test]
fn dapr_hands_on_what_its_component_knew_of_the_record() {
    let headers: Block<'_> = &[
        ("__key", some("k1")),
        ("__offset", some("41")),
        ("__topic", some("orders")),
        ("__timestamp", some("1795161661007")),
        ("__partition", some("2")),
        ("pubsubName", some("kafka-pubsub")),
        ("traceparent", some("00-1")),
    ];
    let read = letter("poison", &[headers]);
    assert_eq!((read.format.as_deref(), root(&read)), (Some("dapr"), (Some("orders"), Some(2), Some(41))));
    assert_eq!(read.root.timestamp, Some(Timestamp(1_795_161_661_007)));
    assert_eq!((error(&read), also(&read, "pubsub")), ((None, None, None), Some("kafka-pubsub")));
    let rules = super::strip_rules(Some("dapr"), &DeadLetters::default());
    let left: Vec<_> = headers.iter().map(|(n, _)| *n).filter(|n| !rules.strips(n.as_bytes())).collect();
    assert_eq!(left, ["traceparent"]);
}

#[test]
fn camel_tells_the_origin_where_its_filter_lets_it_through() {
    let headers: Block<'_> = &[
        ("kafka.OFFSET", Some(&[0, 0, 0, 0, 0, 0, 0, 9][..])),
        ("kafka.PARTITION", Some(&[0, 0, 0, 2][..])),
        ("kafka.TIMESTAMP", Some(&[0, 0, 1, 0xa1, 0xf7, 0xf9, 0x1e, 0x4f][..])),
        ("kafka.TOPIC", some("orders")),
        ("kafka.KEY", some("k1")),
    ];
    let read = letter("dead", &[headers]);
    assert_eq!((read.format.as_deref(), root(&read)), (Some("camel"), (Some("orders"), Some(2), Some(9))));
    assert_eq!(read.root.timestamp, Some(Timestamp(1_795_161_661_007)));
    let why = read.unknown.iter().find(|(field, _)| *field == "message");
    assert!(why.is_some_and(|(_, why)| why.contains("exchange")));
    // A record that Camel only handed on has them as well: no sign of a dead-letter topic.
    let record = record("dead", &[headers]);
    assert!(!super::read(&record, &DeadLetters::default()).says_letter());
}
