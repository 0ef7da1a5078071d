//! Retries and dead letters as Spring Kafka writes them, byte by byte.
//!
//! Sources: `DeadLetterPublishingRecoverer`, `KafkaHeaders.DLT_*`, `RetryTopicHeaders`,
//! `DeadLetterPublishingRecovererFactory` of Spring Kafka 4. Numbers are big-endian; times of retries are
//! `BigInteger.toByteArray()`.

use bytes::Bytes;

use super::cause::Cause;
use crate::broker::{Name, Write};
use crate::event::{Headers, Record, TimeKind};
use crate::text::Timestamp;

const WRAPPER: &str = "org.springframework.kafka.listener.ListenerExecutionFailedException";
const WRAPPER_FRAMES: [&str; 5] = [
    "org.springframework.kafka.listener.KafkaMessageListenerContainer$ListenerConsumer.decorateException(KafkaMessageListenerContainer.java:3247)",
    "org.springframework.kafka.listener.KafkaMessageListenerContainer$ListenerConsumer.doInvokeOnMessage(KafkaMessageListenerContainer.java:3118)",
    "org.springframework.kafka.listener.KafkaMessageListenerContainer$ListenerConsumer.pollAndInvoke(KafkaMessageListenerContainer.java:1527)",
    "org.springframework.kafka.listener.KafkaMessageListenerContainer$ListenerConsumer.run(KafkaMessageListenerContainer.java:1388)",
    "java.base/java.lang.Thread.run(Thread.java:840)",
];
const SHARED_FRAMES: [&str; 5] = [
    "java.base/jdk.internal.reflect.DirectMethodHandleAccessor.invoke(DirectMethodHandleAccessor.java:103)",
    "java.base/java.lang.reflect.Method.invoke(Method.java:580)",
    "org.springframework.messaging.handler.invocation.InvocableHandlerMethod.doInvoke(InvocableHandlerMethod.java:168)",
    "org.springframework.kafka.listener.adapter.HandlerAdapter.invoke(HandlerAdapter.java:80)",
    "org.springframework.kafka.listener.adapter.RecordMessagingMessageListenerAdapter.onMessage(RecordMessagingMessageListenerAdapter.java:92)",
];

/// Waits before the second, third and fourth attempt, in milliseconds.
pub(super) const BACK_OFF_MS: [i64; 3] = [200, 400, 800];

const ATTEMPTS: &str = "retry_topic-attempts";
const BACK_OFF_UNTIL: &str = "retry_topic-backoff-timestamp";
const FIRST_FAILED: &str = "retry_topic-original-timestamp";
const GROUP: &str = "kafka_dlt-original-consumer-group";

/// A record that failed, on its way to a retry or dead-letter topic.
pub(super) struct Failed<'a> {
    /// The record as its consumer read it.
    pub record: &'a Record,
    /// The consumer group.
    pub group: &'a str,
    /// What went wrong.
    pub cause: Cause,
    /// What messages name.
    pub subject: &'a str,
    /// Now.
    pub now: Timestamp,
}

/// Which attempt comes next, as a record of a retry topic says; 2 for a record that never failed.
pub(super) fn next_attempt(record: &Record) -> usize {
    let bytes = record.headers.last(ATTEMPTS).and_then(|b| <[u8; 4]>::try_from(&b[..]).ok());
    bytes.map_or(2, |b| usize::try_from(i32::from_be_bytes(b)).unwrap_or(2) + 1)
}

/// From when on a record of a retry topic may be tried again.
pub(super) fn due(record: &Record) -> Option<Timestamp> {
    record.headers.last(BACK_OFF_UNTIL).map(|bytes| Timestamp(big_integer(bytes)))
}

/// The group whose retry a record of a retry topic is.
pub(super) fn group(record: &Record) -> Option<&[u8]> {
    record.headers.last(GROUP).map(|g| &g[..])
}

/// The record for the retry topic, to be tried again after the wait that `attempt` (2 to 4) has.
pub(super) fn retry(failed: &Failed<'_>, topic: Name, attempt: usize) -> Write {
    let wait = BACK_OFF_MS.get(attempt.saturating_sub(2)).copied().unwrap_or(BACK_OFF_MS[2]);
    through_retries(failed, topic, attempt, failed.now.plus_millis(wait))
}

/// The dead letter of a record that went through the retry topic; `attempt` would have been the next one.
pub(super) fn after_retries(failed: &Failed<'_>, topic: Name, attempt: usize) -> Write {
    through_retries(failed, topic, attempt, failed.now)
}

fn through_retries(failed: &Failed<'_>, topic: Name, attempt: usize, due: Timestamp) -> Write {
    let mut headers = failed.record.headers.clone();
    if headers.last("kafka_original-topic").is_none() {
        origin(&mut headers, failed, "kafka_original");
        headers.push(FIRST_FAILED, Some(to_big_integer(failed.now.as_millis())));
    }
    // What is told of the failure is replaced; what is told of the retries piles up, the last counts.
    headers.0.retain(|(name, _)| !name.starts_with(b"kafka_exception-") && name != GROUP);
    exception(&mut headers, failed, "kafka_exception");
    headers.push(GROUP, Some(text(failed.group)));
    headers.push(ATTEMPTS, Some(Bytes::copy_from_slice(&(attempt as i32).to_be_bytes())));
    headers.push(BACK_OFF_UNTIL, Some(to_big_integer(due.as_millis())));
    write(failed, topic, headers)
}

/// The dead letter of a record that was not worth a retry.
pub(super) fn at_once(failed: &Failed<'_>, topic: Name) -> Write {
    let mut headers = failed.record.headers.clone();
    headers.0.retain(|(name, _)| !name.starts_with(b"kafka_dlt-exception-"));
    exception(&mut headers, failed, "kafka_dlt-exception");
    origin(&mut headers, failed, "kafka_dlt-original");
    headers.push(GROUP, Some(text(failed.group)));
    write(failed, topic, headers)
}

fn write(failed: &Failed<'_>, topic: Name, headers: Headers) -> Write {
    Write {
        topic,
        partition: Some(failed.record.at.partition),
        key: failed.record.key.clone(),
        value: failed.record.value.clone(),
        headers,
        timestamp: None,
    }
}

fn origin(headers: &mut Headers, failed: &Failed<'_>, prefix: &str) {
    let record = failed.record;
    let mut push = |name: &str, value: Bytes| headers.push(format!("{prefix}-{name}"), Some(value));
    push("topic", text(&record.at.topic));
    push("partition", Bytes::copy_from_slice(&record.at.partition.to_be_bytes()));
    push("offset", Bytes::copy_from_slice(&record.at.offset.to_be_bytes()));
    if let Some(time) = record.time {
        push("timestamp", Bytes::copy_from_slice(&time.at.as_millis().to_be_bytes()));
        let kind = match time.kind {
            TimeKind::Create => "CreateTime",
            TimeKind::LogAppend => "LogAppendTime",
        };
        push("timestamp-type", text(kind));
    }
}

fn exception(headers: &mut Headers, failed: &Failed<'_>, prefix: &str) {
    let chain = failed.cause.exceptions(failed.subject);
    let thrown = chain.first().map_or(("", ""), |e| (e.class, e.message.as_str()));
    let method = "Listener method 'void shop.Listener.on(org.apache.kafka.clients.consumer.ConsumerRecord)' threw exception";
    let mut trace = format!("{WRAPPER}: {method}\n");
    let frames = |trace: &mut String, frames: &[&str]| {
        for frame in frames {
            trace.push_str("\tat ");
            trace.push_str(frame);
            trace.push('\n');
        }
    };
    frames(&mut trace, &WRAPPER_FRAMES);
    for (i, exception) in chain.iter().enumerate() {
        trace.extend(["Caused by: ", exception.class, ": ", &exception.message, "\n"]);
        frames(&mut trace, exception.frames);
        if i == 0 {
            frames(&mut trace, &SHARED_FRAMES);
        }
        trace.push_str("\t... 7 more\n");
    }
    let mut push = |name: &str, value: &str| headers.push(format!("{prefix}-{name}"), Some(text(value)));
    push("fqcn", WRAPPER);
    push("cause-fqcn", thrown.0);
    push("message", &format!("{method}; {}", thrown.1));
    push("stacktrace", &trace);
}

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// `BigInteger.toByteArray()`: the fewest bytes of two's complement, big-endian.
fn to_big_integer(n: i64) -> Bytes {
    let bytes = n.to_be_bytes();
    let sign = if n < 0 { 0xff } else { 0 };
    let redundant = |pair: &[u8]| pair[0] == sign && (pair[1] & 0x80 == sign & 0x80);
    let skip = bytes.windows(2).take_while(|pair| redundant(pair)).count();
    Bytes::copy_from_slice(&bytes[skip..])
}

fn big_integer(bytes: &[u8]) -> i64 {
    let sign = if bytes.first().is_some_and(|b| b & 0x80 != 0) { -1 } else { 0 };
    bytes.iter().fold(sign, |all, byte| all << 8 | i64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::profile::DeadLetters;
    use crate::dlq::formats;
    use crate::event::{Position, RecordTime};

    const AT: Timestamp = Timestamp(1_795_525_331_034);

    fn record() -> Record {
        Record {
            at: Position::new("payments", 2, 90_412),
            time: Some(RecordTime { kind: TimeKind::Create, at: AT }),
            key: Some(Bytes::from_static(b"ord-5512")),
            value: Some(Bytes::from_static(b"{}")),
            headers: Headers(vec![(Bytes::from_static(b"traceparent"), Some(Bytes::from_static(b"00-1")))]),
            lease: None,
        }
    }

    fn failed(record: &Record, cause: Cause) -> Failed<'_> {
        Failed { record, group: cause.group(), cause, subject: "ord-5512", now: AT.plus_millis(1_000) }
    }

    fn placed(write: Write, topic: &str, offset: i64) -> Record {
        Record {
            at: Position::new(topic, write.partition.unwrap(), offset),
            time: Some(RecordTime { kind: TimeKind::Create, at: AT }),
            key: write.key,
            value: write.value,
            headers: write.headers,
            lease: None,
        }
    }

    #[test]
    fn a_letter_after_retries_decodes_to_its_first_origin_and_four_attempts() {
        let mut tried = record();
        for attempt in 2..=4 {
            let write = retry(&failed(&tried, Cause::PaymentTimeout), "payments-retry".into(), attempt);
            tried = placed(write, "payments-retry", attempt as i64);
            assert_eq!(next_attempt(&tried), attempt + 1);
            assert_eq!(due(&tried), Some(AT.plus_millis(1_000 + BACK_OFF_MS[attempt - 2])));
        }
        let dead = after_retries(&failed(&tried, Cause::PaymentTimeout), "payments-dlt".into(), 5);
        let letter = formats::decode(&placed(dead, "payments-dlt", 0), &DeadLetters::default());
        assert_eq!(letter.format.as_deref(), Some("spring-retryable"));
        assert_eq!(letter.root.topic.as_deref(), Some("payments"));
        assert_eq!((letter.root.partition, letter.root.offset), (Some(2), Some(90_412)));
        assert_eq!(letter.root.timestamp, Some(AT));
        assert_eq!(letter.root.group.as_deref(), Some("email"));
        assert_eq!(letter.attempts, Some(4));
        assert_eq!(letter.root_cause_class.as_deref(), Some("java.net.SocketTimeoutException"));
        assert!(letter.failure.frame.as_deref().unwrap().starts_with("shop.PaymentGateway.charge"));
        assert_eq!(letter.notes, [""; 0]);
    }

    #[test]
    fn a_letter_of_each_cause_decodes_to_its_own_failure() {
        let mut ids = std::collections::HashSet::new();
        for cause in Cause::ALL {
            let record = record();
            let dead = placed(at_once(&failed(&record, cause), "payments-dlt".into()), "payments-dlt", 0);
            let letter = formats::decode(&dead, &DeadLetters::default());
            assert_eq!(letter.format.as_deref(), Some("spring-kafka"));
            assert_eq!(letter.root.group.as_deref(), Some(cause.group()));
            assert_eq!(letter.root_cause_class.as_deref(), Some(cause.exceptions("x").last().unwrap().class));
            assert!(letter.failure.frame.as_deref().unwrap().starts_with("shop."), "{:?}", letter.failure);
            assert_eq!(dead.headers.first("traceparent").map(|b| &b[..]), Some(&b"00-1"[..]));
            ids.insert(letter.failure.id);
        }
        assert_eq!(ids.len(), 5);
    }

    #[test]
    fn times_of_retries_are_written_as_java_does() {
        for n in [0, 1, 127, 128, 255, 256, -1, -128, -129, 1_795_525_331_034, i64::MAX, i64::MIN] {
            assert_eq!(big_integer(&to_big_integer(n)), n);
        }
        assert_eq!(&to_big_integer(128)[..], [0, 128]);
        assert_eq!(to_big_integer(1_795_525_331_034).len(), 6);
        assert_eq!(big_integer(&[]), 0);
    }
}
