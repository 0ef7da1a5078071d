//! The row of several letters, and its codec; the rules are those of [`super::row`].

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::row::{LetterRow, RootAt, RowError, TargetAt, check, decode, encode_to};
use super::{Disposition, columns};
use crate::event::Digest;

/// The row of letters of one partition of which a run or another action decided the same in one transaction. What is told
/// once is so of all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LettersRow<'a> {
    /// Version of the row's format.
    pub v: u32,
    /// What was decided.
    pub disposition: Disposition,
    /// Id of the run or action that decided.
    #[serde(borrow)]
    pub run: Cow<'a, str>,
    /// Who, self-declared.
    #[serde(borrow)]
    pub operator: Cow<'a, str>,
    /// Why.
    #[serde(borrow)]
    pub reason: Option<Cow<'a, str>>,
    /// Topic where they were written; `None` where they were not.
    #[serde(borrow)]
    pub target_topic: Option<Cow<'a, str>>,
    /// Its id; `None` where the broker has none.
    #[serde(borrow)]
    pub target_topic_id: Option<Cow<'a, str>>,
    /// Topic where the records failed first.
    #[serde(borrow)]
    pub root_topic: Option<Cow<'a, str>>,
    /// The consumer group that failed.
    #[serde(borrow)]
    pub group: Option<Cow<'a, str>>,
    /// Program that wrote the row.
    #[serde(borrow)]
    pub program: Cow<'a, str>,
    /// When, by the writer's clock, milliseconds since the epoch.
    pub time_ms: i64,
    /// The letters.
    #[serde(with = "columns")]
    pub letters: Vec<Listed>,
}

/// A letter of a [`LettersRow`]. Rows have them by column; in version 3 each was a JSON array of these
/// fields in their order, digests in hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Listed {
    /// Offset of the letter.
    pub offset: i64,
    /// Partition of its target, where it was written.
    pub target_partition: Option<i32>,
    /// Offset there, from the delivery report.
    pub target_offset: Option<i64>,
    /// Partition where its record was first, where that is known.
    pub root_partition: Option<i32>,
    /// Offset there.
    pub root_offset: Option<i64>,
    /// Timestamp of that record, milliseconds since the epoch.
    pub root_timestamp_ms: Option<i64>,
    /// How often the record was redriven, this time included.
    pub count: u32,
    /// SHA-256 of the letter.
    pub sha256_before: Digest,
    /// SHA-256 of what was sent; left out where that is the letter's own key and value.
    #[serde(default)]
    pub sha256_after: Option<Digest>,
}

impl<'a> LettersRow<'a> {
    /// The value's bytes.
    pub fn encode(&self) -> Bytes {
        // As long as each letter mostly is.
        encode_to(Vec::with_capacity(1024 + 56 * self.letters.len()), self)
    }

    /// Reads a row; a newer one is refused, and so is one that says `redriven` but not where to.
    pub fn decode(value: Option<&'a [u8]>) -> Result<Self, RowError> {
        let row: Self = decode(value, |row: &Self| row.v)?;
        check(row.disposition, row.letters.iter().all(|letter| row.target(letter).is_some()))?;
        Ok(row)
    }

    /// Where a letter was written.
    fn target(&self, letter: &Listed) -> Option<TargetAt<'_>> {
        Some(TargetAt {
            topic: Cow::Borrowed(self.target_topic.as_deref()?),
            topic_id: self.target_topic_id.as_deref().map(Cow::Borrowed),
            partition: letter.target_partition?,
            offset: letter.target_offset?,
        })
    }

    /// The row that a letter would have of its own.
    pub fn own(&self, letter: &Listed) -> LetterRow<'_> {
        LetterRow {
            v: self.v,
            disposition: self.disposition,
            run: Cow::Borrowed(&self.run),
            operator: Cow::Borrowed(&self.operator),
            reason: self.reason.as_deref().map(Cow::Borrowed),
            sha256_before: Cow::Owned(letter.sha256_before.to_string()),
            sha256_after: letter.sha256_after.map(|digest| digest.to_string()),
            target: self.target(letter),
            root: RootAt {
                topic: self.root_topic.as_deref().map(Cow::Borrowed),
                partition: letter.root_partition,
                offset: letter.root_offset,
                timestamp_ms: letter.root_timestamp_ms,
            },
            group: self.group.as_deref().map(Cow::Borrowed),
            count: letter.count,
            earlier: Vec::new(),
            program: Cow::Borrowed(&self.program),
            time_ms: self.time_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::FORMAT_VERSION;
    use super::*;

    #[test]
    fn a_row_of_the_third_version_is_read() {
        let (before, after) = ("ab".repeat(32), "01".repeat(32));
        let text = format!(
            "{{\"v\":3,\"disposition\":\"redriven\",\"run\":\"r1\",\"operator\":\"ada\",\"reason\":null,\
             \"target_topic\":\"orders\",\"target_topic_id\":\"T\",\"root_topic\":\"orders\",\"group\":null,\
             \"program\":\"before\",\"time_ms\":3,\"letters\":[[9,2,77,2,null,1,1,\"{before}\"],\
             [11,2,78,2,null,1,1,\"{before}\",\"{after}\"]]}}"
        );
        let row = LettersRow::decode(Some(text.as_bytes())).unwrap();
        let [first, second] = &row.letters[..] else { panic!("{row:?}") };
        assert_eq!((row.v, first.offset, first.target_offset, first.root_offset), (3, 9, Some(77), None));
        assert_eq!((first.sha256_before, first.sha256_after), (Digest([0xab; 32]), None));
        assert_eq!((second.offset, second.sha256_after), (11, Some(Digest([1; 32]))));
    }

    #[test]
    fn letters_that_share_a_row_are_listed_by_column() {
        let listed = Listed {
            offset: 9,
            target_partition: Some(2),
            target_offset: Some(77),
            root_partition: Some(2),
            root_offset: None,
            root_timestamp_ms: Some(1),
            count: 1,
            sha256_before: Digest([0xab; 32]),
            sha256_after: None,
        };
        let edited = Listed { offset: 11, sha256_after: Some(Digest([1; 32])), ..listed };
        let row = LettersRow {
            v: FORMAT_VERSION,
            disposition: Disposition::Redriven,
            run: "r1".into(),
            operator: "ada".into(),
            reason: None,
            target_topic: Some("orders".into()),
            target_topic_id: Some("T".into()),
            root_topic: Some("orders".into()),
            group: None,
            program: "redrive 0.1.0".into(),
            time_ms: 3,
            letters: vec![listed, edited],
        };
        let bytes = row.encode();
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.contains("\"letters\":{\"offset\":[9,2],"), "{text}");
        assert_eq!(LettersRow::decode(Some(&bytes)), Ok(row.clone()));
        let nowhere = Listed { target_offset: None, ..listed };
        let lost = LettersRow { letters: vec![listed, nowhere], ..row.clone() };
        assert!(matches!(LettersRow::decode(Some(&lost.encode())), Err(RowError::Damaged(_))));
        let parked = LettersRow { disposition: Disposition::Parked, target_topic: None, ..lost };
        assert_eq!(LettersRow::decode(Some(&parked.encode())), Ok(parked.clone()));
        let pending = LettersRow { disposition: Disposition::Pending, ..parked };
        assert!(matches!(LettersRow::decode(Some(&pending.encode())), Err(RowError::Damaged(_))));
    }
}
