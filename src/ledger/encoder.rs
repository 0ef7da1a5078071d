//! Encodes the rows of many letters, as [`LetterRow::encode`] and [`Key::encode`](super::row::Key::encode) encode one.
//!
//! The rows of a run say mostly the same: a text that the row before had, too, is not escaped again, and many rows
//! share an allocation.

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Serialize;

use super::row::LetterRow;

/// What one allocation holds.
const CHUNK: usize = 256 << 10;
/// Longer rows are rare.
const ROOM: usize = 1 << 10;

/// Encodes one row after the other.
#[derive(Debug, Default)]
pub struct RowEncoder {
    chunk: BytesMut,
    cluster: Text,
    source: Text,
    run: Text,
    operator: Text,
    reason: Text,
    target: Text,
    target_id: Text,
    root: Text,
    group: Text,
    program: Text,
}

/// A text or null, and its JSON.
#[derive(Debug, Default)]
struct Text {
    plain: Option<String>,
    json: Vec<u8>,
}

impl Text {
    fn json(&mut self, text: Option<&str>) -> &[u8] {
        if self.json.is_empty() || self.plain.as_deref() != text {
            self.json.clear();
            put(&mut self.json, &text);
            self.plain = text.map(str::to_owned);
        }
        &self.json
    }
}

/// Adds a value as JSON: none that is given here can fail.
fn put<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let _ = serde_json::to_writer(out, value);
}

/// Writes JSON into the chunk.
struct Json<'b>(bytes::buf::Writer<&'b mut BytesMut>);

impl Json<'_> {
    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.get_mut().extend_from_slice(bytes);
        self
    }

    fn number(&mut self, name: &str, number: impl itoa::Integer) -> &mut Self {
        let mut digits = itoa::Buffer::new();
        self.raw(name.as_bytes()).raw(digits.format(number).as_bytes())
    }

    fn maybe(&mut self, name: &str, number: Option<impl itoa::Integer>) -> &mut Self {
        match number {
            Some(number) => self.number(name, number),
            None => self.raw(name.as_bytes()).raw(b"null"),
        }
    }

    fn value<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> &mut Self {
        self.raw(name.as_bytes());
        let _ = serde_json::to_writer(&mut self.0, value);
        self
    }

    fn text(&mut self, name: &str, text: &mut Text, is: Option<&str>) -> &mut Self {
        self.raw(name.as_bytes()).raw(text.json(is))
    }
}

impl RowEncoder {
    /// The bytes of what `write` writes.
    fn part(&mut self, write: impl FnOnce(&mut Self, &mut Json<'_>)) -> Bytes {
        let mut chunk = std::mem::take(&mut self.chunk);
        if chunk.capacity() < ROOM {
            chunk = BytesMut::with_capacity(CHUNK);
        }
        write(self, &mut Json((&mut chunk).writer()));
        let bytes = chunk.split().freeze();
        self.chunk = chunk;
        bytes
    }

    /// The key of the row of a letter.
    pub fn key(&mut self, cluster: &str, source: &str, partition: i32, offset: i64) -> Bytes {
        self.part(|own, json| {
            json.text("{\"cluster\":", &mut own.cluster, Some(cluster))
                .text(",\"topic\":", &mut own.source, Some(source))
                .number(",\"partition\":", partition)
                .number(",\"offset\":", offset)
                .raw(b"}");
        })
    }

    /// The value of the row.
    pub fn row(&mut self, row: &LetterRow<'_>) -> Bytes {
        self.part(|own, json| {
            json.number("{\"v\":", row.v)
                .value(",\"disposition\":", &row.disposition)
                .text(",\"run\":", &mut own.run, Some(&row.run))
                .text(",\"operator\":", &mut own.operator, Some(&row.operator))
                .text(",\"reason\":", &mut own.reason, row.reason.as_deref())
                .value(",\"sha256_before\":", &row.sha256_before)
                .value(",\"sha256_after\":", &row.sha256_after);
            match &row.target {
                Some(target) => json
                    .text(",\"target\":{\"topic\":", &mut own.target, Some(&target.topic))
                    .text(",\"topic_id\":", &mut own.target_id, target.topic_id.as_deref())
                    .number(",\"partition\":", target.partition)
                    .number(",\"offset\":", target.offset)
                    .raw(b"}"),
                None => json.raw(b",\"target\":null"),
            };
            json.text(",\"root\":{\"topic\":", &mut own.root, row.root.topic.as_deref())
                .maybe(",\"partition\":", row.root.partition)
                .maybe(",\"offset\":", row.root.offset)
                .maybe(",\"timestamp_ms\":", row.root.timestamp_ms)
                .text("},\"group\":", &mut own.group, row.group.as_deref())
                .number(",\"count\":", row.count);
            if !row.earlier.is_empty() {
                json.value(",\"earlier\":", &row.earlier);
            }
            json.text(",\"program\":", &mut own.program, Some(&row.program))
                .number(",\"time_ms\":", row.time_ms)
                .raw(b"}");
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::row::{Earlier, Key, RootAt, TargetAt};
    use super::super::{Disposition, FORMAT_VERSION};
    use super::*;

    fn some<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
        proptest::option::of(of)
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof!["[ab]?", ".*"]
    }

    prop_compose! {
        fn any_row()(
            texts in (text(), text(), some(text()), some(text()), text(), some(text())),
            target in some((text(), some(text()), any::<i32>(), any::<i64>())),
            root in (some(text()), some(any::<i32>()), some(any::<i64>()), some(any::<i64>())),
            disposition in prop_oneof![Just(Disposition::Redriven), Just(Disposition::Parked)],
            (count, time_ms, earlier) in (any::<u32>(), any::<i64>(), any::<bool>()),
        ) -> LetterRow<'static> {
            let (run, operator, reason, group, sha, after) = texts;
            let earlier = earlier.then(|| Earlier {
                disposition: Disposition::Parked,
                run: run.clone(),
                operator: None,
                reason: reason.clone(),
                time_ms,
            });
            LetterRow {
                v: FORMAT_VERSION,
                disposition,
                run: run.into(),
                operator: operator.into(),
                reason: reason.map(Into::into),
                sha256_before: sha.into(),
                sha256_after: after,
                target: target.map(|(topic, id, partition, offset)| TargetAt {
                    topic: topic.into(),
                    topic_id: id.map(Into::into),
                    partition,
                    offset,
                }),
                root: RootAt {
                    topic: root.0.map(Into::into),
                    partition: root.1,
                    offset: root.2,
                    timestamp_ms: root.3,
                },
                group: group.map(Into::into),
                count,
                earlier: earlier.into_iter().collect(),
                program: "redrive".into(),
                time_ms,
            }
        }
    }

    proptest! {
        #[test]
        fn many_rows_are_encoded_as_each_of_them_is(
            rows in proptest::collection::vec((any_row(), text(), text(), any::<i32>(), any::<i64>()), 1..8),
        ) {
            let mut encoder = RowEncoder::default();
            for (row, cluster, source, partition, offset) in &rows {
                let key = encoder.key(cluster, source, *partition, *offset);
                prop_assert_eq!(key, Key::letter(cluster, source, *partition, *offset).encode());
                prop_assert_eq!(encoder.row(row), row.encode());
            }
        }
    }
}
