//! What Spring writes: its recoverer, its retry topics, old and new, Cloud Stream's binder.

use super::{CHAIN, also, error, letter, root, some};
use crate::text::Timestamp;

#[test]
fn spring_cloud_stream_joins_two_messages_also_below_its_retries() {
    let block = |class: &'static str, trace: &'static str| {
        [
            ("x-original-topic", some("acme.orders")),
            ("x-original-partition", Some(&[0, 0, 0, 2][..])),
            ("x-original-offset", Some(&[0, 0, 0, 0, 0, 0, 0, 9][..])),
            ("x-original-timestamp", Some(&[0, 0, 1, 0xa1, 0xf7, 0xf9, 0x1e, 0x4f][..])),
            ("x-original-timestamp-type", some("CreateTime")),
            ("x-exception-fqcn", some(class)),
            (
                "x-exception-message",
                some("error occurred in message handler [Binder$1@1720df09]; no sku; none at all"),
            ),
            ("x-exception-stacktrace", some(trace)),
        ]
    };
    let plain = block(
        "org.springframework.messaging.MessageHandlingException",
        "org.springframework.messaging.MessageHandlingException: error occurred in message handler \
         [Binder$1@1720df09], failedMessage=GenericMessage [payload=byte[3], headers={a=b}]\n\tat \
         org.springframework.A.b(A.java:1)\nCaused by: acme.NoSku: no sku; none at all\n\tat \
         acme.Stock.reserve(Stock.java:5)\n",
    );
    let retried = block(
        "org.springframework.messaging.MessagingException",
        "org.springframework.messaging.MessagingException: Failed to handle, failedMessage=GenericMessage [payload=byte[3]]\n\tat \
         org.springframework.A.b(A.java:1)\nCaused by: org.springframework.core.retry.RetryException: Retry policy \
         for operation 'x' exhausted; aborting execution\n\t... 9 more\nCaused by: acme.NoSku: no sku; none at \
         all\n\tat acme.Stock.reserve(Stock.java:5)\n",
    );
    for headers in [plain, retried] {
        let read = letter("error.acme.orders.email", &[&headers]);
        assert_eq!(root(&read), (Some("acme.orders"), Some(2), Some(9)));
        assert_eq!(read.root.timestamp, Some(Timestamp(1_795_161_661_007)));
        assert_eq!((read.root.group.as_deref(), read.hops), (Some("email"), Some(1)));
        assert_eq!(error(&read).1, Some("acme.NoSku"));
        assert_eq!(error(&read).2, Some("no sku; none at all"));
        assert_eq!(read.failure.frame.as_deref(), Some("acme.Stock.reserve"));
    }
}

#[test]
fn spring_joins_a_message_to_nothing_where_the_error_has_none() {
    let with = |message: &'static str, trace: &'static str| {
        letter(
            "orders-dlt",
            &[&[
                ("kafka_dlt-exception-fqcn", some("a.Wrapper")),
                ("kafka_dlt-exception-message", some(message)),
                ("kafka_dlt-exception-stacktrace", some(trace)),
                ("kafka_dlt-original-topic", some("orders")),
            ]],
        )
    };
    let none = with(
        "failed; ",
        "a.Wrapper: failed\n\tat a.B.c(B.java:1)\nCaused by: acme.Empty\n\tat acme.A.b(A.java:1)\n",
    );
    assert_eq!(error(&none), (Some("a.Wrapper"), Some("acme.Empty"), None));
    let whole = with("cannot; do this", "a.Wrapper: cannot; do this\n\tat acme.A.b(A.java:1)\n");
    assert_eq!(whole.message.as_deref(), Some("cannot; do this"));
    let long = with(
        "failed; line one\nline two",
        "a.Wrapper: failed\nCaused by: acme.Long: line one\nline two\n\tat acme.A.b(A.java:1)\n",
    );
    assert_eq!(long.message.as_deref(), Some("line one\nline two"));
}

#[test]
fn spring_below_retries_joins_wrappers_and_the_trace_alone_has_what_was_thrown() {
    let trace = "org.springframework.messaging.MessagingException: Failed to handle, failedMessage=GenericMessage [payload=byte[3]]\n\tat \
                 org.springframework.A.b(A.java:1)\nCaused by: org.springframework.core.retry.RetryException: Retry policy for \
                 operation 'x' exhausted; aborting execution\n\t... 9 more\n\tSuppressed: acme.NoSku: no sku 1\nCaused by: \
                 org.springframework.messaging.MessageHandlingException: error occurred in message handler [Binder$1@1720df09], \
                 failedMessage=GenericMessage [payload=byte[3]]\n\tat org.springframework.A.c(A.java:1)\nCaused by: acme.NoSku: \
                 no sku 1\nin store 2\n\tat acme.Stock.reserve(Stock.java:5)\nCaused by: acme.Empty\n\t... 3 more\n";
    let with = |trace: &'static str, message: &'static str| {
        letter(
            "error.acme.orders.email",
            &[&[
                ("x-original-topic", some("acme.orders")),
                ("x-exception-fqcn", some("org.springframework.messaging.MessagingException")),
                ("x-exception-message", some(message)),
                ("x-exception-stacktrace", some(trace)),
            ]],
        )
    };
    let joined = "Failed to handle; Retry policy for operation 'x' exhausted; aborting execution";
    let read = with(trace, joined);
    assert_eq!(error(&read).1, Some("acme.Empty"));
    assert_eq!(error(&read).2, Some("no sku 1\nin store 2"));
    assert_eq!(read.failure.frame.as_deref(), Some("acme.Stock.reserve"));
    assert!(read.rules.contains(&("message", "the error that was thrown, in the stack trace".to_owned())));
    // What Spring adds to a line of the trace is no part of the message.
    let converted = "org.springframework.messaging.MessagingException: Failed to handle\n\tat org.springframework.A.b(A.java:1)\nCaused by: \
                     org.springframework.messaging.converter.MessageConversionException: cannot convert, failedMessage=GenericMessage \
                     [payload=byte[3]]\n\tat org.springframework.A.b(A.java:1)\n";
    assert_eq!(with(converted, joined).message.as_deref(), Some("cannot convert"));
    // An error without a message has none, whatever its wrappers say.
    let empty = "org.springframework.messaging.MessagingException: Failed to handle\n\tat org.springframework.A.b(A.java:1)\nCaused by: \
                 acme.Empty\n\tat acme.Stock.reserve(Stock.java:5)\n";
    let none = with(empty, "Failed to handle; ");
    let why = none.unknown.iter().find(|(field, _)| *field == "message");
    assert!(
        none.message.is_none() && why.is_some_and(|(_, why)| why.ends_with("the error has none")),
        "{why:?}"
    );
    // Without a trace that can be read the header is all there is.
    assert_eq!(with("gone", joined).message.as_deref(), Some(joined));
}

/// A group of retries of Spring Kafka: what one hop adds.
fn hop_of_retry(topic: &'static str, attempts: &'static [u8]) -> Vec<(&'static str, Option<&'static [u8]>)> {
    vec![
        ("kafka_original-topic", some(topic)),
        ("kafka_original-partition", Some(&[0, 0, 0, 2])),
        ("kafka_original-offset", Some(&[0, 0, 0, 0, 0, 0, 0, 9])),
        ("kafka_original-timestamp", Some(&[0, 0, 1, 0xa1, 0xf7, 0xf9, 0x1e, 0x4f])),
        ("kafka_original-timestamp-type", some("CreateTime")),
        ("retry_topic-original-timestamp", Some(&[1, 0xa1, 0xf7, 0xf9, 0x1e, 0x4f])),
        ("retry_topic-attempts", Some(attempts)),
        ("retry_topic-backoff-timestamp", Some(&[1, 0xa1, 0xf7, 0xf9, 0x22, 0x37])),
    ]
}

#[test]
fn retryable_topics_pile_up_their_own_headers_and_keep_the_first_origin() {
    const WRAPPER: &str = "org.springframework.kafka.listener.ListenerExecutionFailedException";
    let first = hop_of_retry("orders", &[0, 0, 0, 2]);
    let (second, third) = (hop_of_retry("", &[0, 0, 0, 3]), hop_of_retry("", &[0, 0, 0, 4]));
    let group = ("kafka_dlt-original-consumer-group", some("email"));
    let exception = [
        ("kafka_exception-fqcn", some(WRAPPER)),
        ("kafka_exception-cause-fqcn", some("acme.PaymentFailed")),
        (
            "kafka_exception-message",
            some("Listener method 'void a.B.c()' threw exception; payment failed; twice"),
        ),
        (
            "kafka_exception-stacktrace",
            some(
                "org.springframework.kafka.listener.ListenerExecutionFailedException: Listener method 'void a.B.c()' threw \
                 exception\n\tat org.springframework.A.b(A.java:1)\n\tSuppressed: org.springframework.kafka.listener.\
                 ListenerExecutionFailedException: Restored Stack Trace\n\t\tat org.springframework.A.d(A.java:1)\nCaused by: \
                 acme.PaymentFailed: payment failed; twice\n\tat acme.Stock.pay(Stock.java:5)\nCaused by: \
                 java.net.SocketTimeoutException: Read timed out\n\t... 3 more\n",
            ),
        ),
    ];
    let read = letter("orders-dlt", &[&first, &[group], &second[5..], &third[5..], &exception]);
    assert_eq!(
        (read.format.as_deref(), root(&read)),
        (Some("spring-retryable"), (Some("orders"), Some(2), Some(9)))
    );
    assert_eq!(read.root.timestamp, Some(Timestamp(1_795_161_661_007)));
    assert_eq!((read.attempts, read.hops, read.previous.as_ref()), (Some(3), None, None));
    assert_eq!(read.root.group.as_deref(), Some("email"));
    let class = "java.net.SocketTimeoutException";
    assert_eq!(error(&read), (Some(WRAPPER), Some(class), Some("payment failed; twice")));
    assert_eq!(also(&read, "cause_class"), Some("acme.PaymentFailed"));
    assert_eq!(read.notes, Vec::<String>::new());
    // A listener whose stack traces are left out.
    let read = letter("orders-dlt", &[&first, &exception[..3]]);
    assert_eq!((error(&read).2, read.attempts), (Some("payment failed; twice"), Some(1)));
}

#[test]
fn old_retryable_topics_add_a_set_for_each_hop_and_nest_messages() {
    let failed = |order: &str| {
        format!(
            "Exception thrown at 2026-11-24T04:45:03.123Z; nested exception is \
             org.springframework.kafka.listener.ListenerExecutionFailedException: Listener method 'void a.B.c()' threw exception; \
             nested exception is acme.PaymentFailed: payment of {order} failed: gateway; nested exception is acme.PaymentFailed: \
             payment of {order} failed: gateway"
        )
    };
    let (one, two) = (failed("order-1"), failed("order-2"));
    let exception = |message| {
        [
            ("kafka_exception-fqcn", some("org.springframework.kafka.listener.TimestampedException")),
            ("kafka_exception-message", Some(message)),
            ("kafka_exception-stacktrace", some(CHAIN)),
        ]
    };
    let (first, second) = (hop_of_retry("orders", &[2]), hop_of_retry("orders-retry-1000", &[3]));
    let read =
        letter("orders-dlt", &[&first, &exception(one.as_bytes()), &second, &exception(two.as_bytes())]);
    assert_eq!(root(&read), (Some("orders"), Some(2), Some(9)));
    assert_eq!(read.previous.as_ref().and_then(|p| p.topic.as_deref()), Some("orders-retry-1000"));
    assert_eq!((read.attempts, read.hops, read.root.group.as_deref()), (Some(2), None, None));
    assert_eq!(error(&read).2, Some("payment of order-2 failed: gateway"));
    assert_eq!(read.failure.origin_topic.as_deref(), Some("orders"));
    assert_eq!(read.failure.message.as_deref(), Some("payment of order-# failed: gateway"));
    // What was thrown by the deserializer has its cause's message behind its own.
    let broken = letter(
        "orders.DLT",
        &[&[
            (
                "kafka_dlt-exception-fqcn",
                some("org.springframework.kafka.support.serializer.DeserializationException"),
            ),
            ("kafka_dlt-exception-message", some("failed to deserialize; nested exception is a.B: no: way")),
            ("kafka_dlt-original-topic", some("orders")),
        ]],
    );
    assert_eq!(error(&broken).2, Some("failed to deserialize"));
    let none = letter(
        "orders.DLT",
        &[&[
            (
                "kafka_dlt-exception-fqcn",
                some("org.springframework.kafka.listener.ListenerExecutionFailedException"),
            ),
            ("kafka_dlt-exception-message", some("Listener failed; nested exception is acme.Empty")),
            ("kafka_dlt-original-topic", some("orders")),
        ]],
    );
    assert_eq!(error(&none).2, None);
}

#[test]
fn names_of_spring_with_numbers_in_text_are_read_as_text() {
    let read = letter(
        "orders-dlt",
        &[&[
            ("x-original-topic", some("orders")),
            ("x-original-partition", some("1024")),
            ("x-original-offset", some("10000012")),
            ("x-original-timestamp", some("1795161661007")),
            ("x-exception-fqcn", some("acme.NoSku")),
            ("x-exception-message", some("no sku")),
        ]],
    );
    assert_eq!(root(&read), (Some("orders"), Some(1024), Some(10_000_012)));
    assert_eq!(read.root.timestamp, Some(Timestamp(1_795_161_661_007)));
    assert!(read.notes.iter().any(|note| note.contains("numbers are in text")), "{:?}", read.notes);
    // Where one is no text, each is what its format says.
    let read = letter(
        "orders-dlt",
        &[&[
            ("kafka_dlt-original-topic", some("orders")),
            ("kafka_dlt-original-partition", some("3")),
            ("kafka_dlt-original-offset", Some(&[0, 0, 0, 0, 0, 0, 0, 9][..])),
        ]],
    );
    assert_eq!(root(&read), (Some("orders"), None, Some(9)));
}
