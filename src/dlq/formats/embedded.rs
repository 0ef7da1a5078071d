//! Spring Cloud Stream's `headerMode=embeddedHeaders`: the headers stand before the payload, within the value.
//!
//! `EmbeddedHeaderUtils`: `0xff`, the number of headers in one byte, then for each the length of its name (one byte), the
//! name, the length of its value (four bytes, big-endian) and the value as JSON; the payload follows.

use std::borrow::Cow;

use bytes::{BufMut as _, Bytes, BytesMut};
use serde_json::Value;

use super::headers::group_in_name;
use super::table::{Field, spring};
use super::{Note, Reading, Source, VALUE_LIMIT, wrapped};
use crate::event::Record;
use crate::text::Timestamp;

/// The first byte of a value with headers.
const MARK: u8 = 0xff;

/// The headers of a value, each with its name and JSON, and the payload behind them.
type Parts<'v> = (Vec<(&'v [u8], &'v [u8])>, &'v [u8]);

/// Takes a value apart; `None` where it is of another form.
fn parts(value: &[u8]) -> Option<Parts<'_>> {
    let (&[mark, count], mut rest) = value.split_first_chunk::<2>()?;
    if mark != MARK {
        return None;
    }
    let mut headers = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let (&length, after) = rest.split_first()?;
        let (name, after) = after.split_at_checked(usize::from(length))?;
        let (&length, after) = after.split_first_chunk::<4>()?;
        let (json, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(length)).ok()?)?;
        headers.push((name, json));
        rest = after;
    }
    Some((headers, rest))
}

/// Reads the headers that the binder puts before the payload of a letter.
pub(super) fn read(record: &Record, _: Option<&Value>, reading: &mut Reading<'_>) -> Option<()> {
    let value = record.value.as_ref()?;
    let (headers, payload) = parts(value)?;
    let rule = |name: &[u8]| spring::CLOUD_STREAM.rules.iter().find(|rule| rule.header.as_bytes() == name);
    let (own, before): (Vec<_>, Vec<_>) = headers.into_iter().partition(|(name, _)| rule(name).is_some());
    if !own.iter().any(|(name, _)| rule(name).is_some_and(|rule| rule.field == Field::OriginTopic)) {
        return None;
    }
    for (name, json) in own {
        let Some(rule) = rule(name) else { continue };
        if let Err(why) = take(reading, rule.field, json) {
            reading.note(Note::Header(rule.header, why));
        } else if let Some(field) = name_of(rule.field) {
            reading.given(field, Source::Embedded(rule.header));
        }
    }
    let topic = reading.root.topic.as_deref();
    if let Some(group) = topic.and_then(|topic| group_in_name(&record.at.topic, topic)) {
        reading.root.group = Some(Cow::Owned(group.to_owned()));
        reading.given("root.group", Source::TopicName);
        reading.fact("the consumer group is taken from the dead-letter topic's name");
    }
    wrapped::spring(reading);
    reading.original_value = Some(Some(embed(&before, payload)));
    reading.given("original_value", Source::Embedded("headers"));
    reading.fact(
        "the headers stand within the value (headerMode=embeddedHeaders): those of the failure are taken out",
    );
    Some(())
}

/// The value without the headers of the failure.
fn embed(headers: &[(&[u8], &[u8])], payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(payload.len() + 64);
    if !headers.is_empty() {
        out.put_slice(&[MARK, u8::try_from(headers.len()).unwrap_or(u8::MAX)]);
    }
    for (name, json) in headers {
        out.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
        out.put_slice(name);
        out.put_u32(u32::try_from(json.len()).unwrap_or(u32::MAX));
        out.put_slice(json);
    }
    out.put_slice(payload);
    out.freeze()
}

fn take(reading: &mut Reading<'_>, field: Field, json: &[u8]) -> Result<(), &'static str> {
    if json.len() > VALUE_LIMIT {
        return Err("is longer than is looked at");
    }
    let value: Value = serde_json::from_slice(json).map_err(|_| "is not JSON")?;
    let whole = || value.as_i64().filter(|n| *n >= 0).ok_or("is not a number");
    match field {
        Field::OriginPartition => {
            reading.root.partition = Some(i32::try_from(whole()?).map_err(|_| "is not a partition")?);
        }
        Field::OriginOffset => reading.root.offset = Some(whole()?),
        Field::OriginTimestamp => reading.root.timestamp = Some(Timestamp(whole()?)),
        field => {
            let Value::String(text) = value else { return Err("is not text") };
            if field == Field::OriginTopic {
                reading.root.topic = Some(Cow::Owned(text));
            } else {
                reading.set_text(field, Cow::Owned(text));
            }
        }
    }
    Ok(())
}

fn name_of(field: Field) -> Option<&'static str> {
    Some(match field {
        Field::OriginTopic => "root.topic",
        Field::OriginPartition => "root.partition",
        Field::OriginOffset => "root.offset",
        Field::OriginTimestamp => "root.timestamp",
        other => super::headers::name_of(other)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::profile::DeadLetters;
    use crate::dlq::formats::decode;
    use crate::event::{Headers, Position};

    fn letter(value: Vec<u8>) -> crate::dlq::Letter {
        let at = Position::new("error.orders.email", 0, 3);
        let record = Record {
            at,
            time: None,
            key: Some(Bytes::from_static(b"k1")),
            value: Some(value.into()),
            headers: Headers::default(),
            lease: None,
        };
        decode(&record, &DeadLetters::default())
    }

    const HEADERS: [(&str, &str); 9] = [
        ("contentType", "\"application/json\""),
        ("x-original-topic", "\"orders\""),
        ("x-original-partition", "2"),
        ("x-original-offset", "9"),
        ("x-original-timestamp", "1795161661007"),
        ("x-original-timestamp-type", "\"CreateTime\""),
        ("x-exception-fqcn", "\"org.springframework.messaging.MessagingException\""),
        ("x-exception-message", "\"failed; no sku\""),
        (
            "x-exception-stacktrace",
            "\"org.springframework.messaging.MessagingException: failed\\n\\tat org.springframework.A.b(A.java:1)\\nCaused by: acme.NoSku: no \
             sku\\n\\tat acme.Stock.reserve(Stock.java:5)\\n\"",
        ),
    ];

    fn value(headers: &[(&str, &str)]) -> Vec<u8> {
        let headers: Vec<(&[u8], &[u8])> =
            headers.iter().map(|(name, json)| (name.as_bytes(), json.as_bytes())).collect();
        embed(&headers, b"{\"sku\":1}").to_vec()
    }

    #[test]
    fn headers_within_the_value_are_read_and_those_of_the_failure_taken_out() {
        let read = letter(value(&HEADERS));
        assert_eq!(read.format.as_deref(), Some("spring-cloud-stream"));
        let root = &read.root;
        assert_eq!((root.topic.as_deref(), root.partition, root.offset), (Some("orders"), Some(2), Some(9)));
        assert_eq!(root.timestamp, Some(Timestamp(1_795_161_661_007)));
        assert_eq!((root.group.as_deref(), read.message.as_deref()), (Some("email"), Some("no sku")));
        assert_eq!(read.root_cause_class.as_deref(), Some("acme.NoSku"));
        assert_eq!(read.failure.frame.as_deref(), Some("acme.Stock.reserve"));
        assert_eq!(read.original_value.flatten().as_deref(), Some(&value(&HEADERS[..1])[..]));
        // Without headers of its own the record is the payload alone.
        let read = letter(value(&HEADERS[1..]));
        assert_eq!(read.original_value.flatten().as_deref(), Some(&b"{\"sku\":1}"[..]));
    }

    #[test]
    fn a_value_of_another_form_is_none_of_it_and_wrong_headers_are_noted() {
        assert_eq!(letter(value(&HEADERS[..1])).format, None);
        let whole = value(&HEADERS);
        for cut in 0..whole.len() - 9 {
            assert_eq!(letter(whole[..cut].to_vec()).format, None, "{cut}");
        }
        let wrong = [
            HEADERS[1],
            ("x-original-offset", "-4"),
            ("x-original-partition", "\"x\""),
            ("x-exception-fqcn", "{"),
        ];
        let read = letter(value(&wrong));
        assert_eq!((read.root.offset, read.root.partition, read.error_class), (None, None, None));
        assert!(read.notes.iter().any(|n| n == "x-exception-fqcn is not JSON"));
    }
}
