//! The letters of a [`LettersRow`](super::letters::LettersRow) by column, and their codec. Pure.
//!
//! What a row says of letters is mostly the same, or one more, from one to the next; but for the digests. So a column is a
//! list of the differences to the letter before, the first one's to 0: `null` where nothing is known, and
//! `[difference, times]` where one comes several times. Digests stand behind each other in one string. In version 3 each
//! letter was a list of its own; that is still read.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::letters::Listed;
use crate::event::Digest;

/// Digests that are encoded together: as many as end with a whole group of base64.
const TOGETHER: usize = 3;
const BYTES: usize = 32;

pub(super) fn serialize<S: Serializer>(letters: &[Listed], serializer: S) -> Result<S::Ok, S::Error> {
    let has_edited = letters.iter().any(|letter| letter.sha256_after.is_some());
    let written = Written {
        offset: Column(letters, |l| Some(l.offset)),
        target_partition: Column(letters, |l| l.target_partition.map(i64::from)),
        target_offset: Column(letters, |l| l.target_offset),
        root_partition: Column(letters, |l| l.root_partition.map(i64::from)),
        root_offset: Column(letters, |l| l.root_offset),
        root_timestamp_ms: Column(letters, |l| l.root_timestamp_ms),
        count: Column(letters, |l| Some(l.count.into())),
        sha256_before: digests(letters.iter().map(|l| l.sha256_before)),
        edited: has_edited.then_some(Column(letters, |l| Some(l.sha256_after.is_some().into()))),
        sha256_after: has_edited.then(|| digests(letters.iter().filter_map(|l| l.sha256_after))),
    };
    written.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Listed>, D::Error> {
    deserializer.deserialize_any(Letters)
}

#[derive(Serialize)]
struct Written<'l> {
    offset: Column<'l>,
    target_partition: Column<'l>,
    target_offset: Column<'l>,
    root_partition: Column<'l>,
    root_offset: Column<'l>,
    root_timestamp_ms: Column<'l>,
    count: Column<'l>,
    sha256_before: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited: Option<Column<'l>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256_after: Option<String>,
}

#[derive(Deserialize)]
struct Read<'a> {
    offset: Steps,
    target_partition: Steps,
    target_offset: Steps,
    root_partition: Steps,
    root_offset: Steps,
    root_timestamp_ms: Steps,
    count: Steps,
    #[serde(borrow)]
    sha256_before: Cow<'a, str>,
    edited: Option<Steps>,
    #[serde(borrow)]
    sha256_after: Option<Cow<'a, str>>,
}

impl Read<'_> {
    /// The letters; `None` where the columns are not of one length, or a number does not fit.
    fn letters(self) -> Option<Vec<Listed>> {
        let before = STANDARD.decode(&*self.sha256_before).ok()?;
        let after = STANDARD.decode(self.sha256_after.as_deref().unwrap_or_default()).ok()?;
        let (mut before, mut after) = (before.chunks(BYTES), after.chunks(BYTES));
        let count = before.len();
        let whole = |steps: Steps| steps.values(count);
        let (mut offsets, mut counts) = (whole(self.offset)?, whole(self.count)?);
        let (mut target_partitions, mut target_offsets) =
            (whole(self.target_partition)?, whole(self.target_offset)?);
        let (mut root_partitions, mut root_offsets) = (whole(self.root_partition)?, whole(self.root_offset)?);
        let mut root_timestamps = whole(self.root_timestamp_ms)?;
        let mut edited = self.edited.map_or(Some(None), |edited| whole(edited).map(Some))?;
        let digest = |of: &mut std::slice::Chunks<'_, u8>| of.next()?.try_into().ok().map(Digest);
        let partition = |number: Option<i64>| number.map(i32::try_from).transpose().ok();
        let mut letters = Vec::with_capacity(count);
        for _ in 0..count {
            let is_edited = edited.as_mut().map_or(Some(Some(0)), Iterator::next)? == Some(1);
            letters.push(Listed {
                offset: offsets.next()??,
                target_partition: partition(target_partitions.next()?)?,
                target_offset: target_offsets.next()?,
                root_partition: partition(root_partitions.next()?)?,
                root_offset: root_offsets.next()?,
                root_timestamp_ms: root_timestamps.next()?,
                count: counts.next()??.try_into().ok()?,
                sha256_before: digest(&mut before)?,
                sha256_after: if is_edited { Some(digest(&mut after)?) } else { None },
            });
        }
        (after.len() == 0).then_some(letters)
    }
}

/// What each letter has in a column.
struct Column<'l>(&'l [Listed], fn(&Listed) -> Option<i64>);

impl Serialize for Column<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(letters, value) = self;
        let mut before = 0;
        let mut steps = letters.iter().map(|letter| {
            let value = value(letter)?;
            Some(value.wrapping_sub(std::mem::replace(&mut before, value)))
        });
        let mut list = serializer.serialize_seq(None)?;
        let mut next = steps.next();
        while let Some(step) = next {
            let mut times = 1_u64;
            next = loop {
                match steps.next() {
                    Some(same) if same == step => times += 1,
                    other => break other,
                }
            };
            if times == 1 { list.serialize_element(&step)? } else { list.serialize_element(&(step, times))? }
        }
        list.end()
    }
}

/// Digests behind each other.
fn digests(digests: impl Iterator<Item = Digest>) -> String {
    let (mut text, mut waiting) = (String::new(), [0; TOGETHER * BYTES]);
    let mut filled = 0;
    for digest in digests {
        waiting[filled..filled + BYTES].copy_from_slice(&digest.0);
        filled += BYTES;
        if filled == waiting.len() {
            STANDARD.encode_string(waiting, &mut text);
            filled = 0;
        }
    }
    STANDARD.encode_string(&waiting[..filled], &mut text);
    text
}

/// A column as it is read: differences, and how often each comes.
struct Steps(Vec<Step>);

struct Step(Option<i64>, u64);

impl Steps {
    /// The values; `None` where they are not as many.
    fn values(self, count: usize) -> Option<impl Iterator<Item = Option<i64>>> {
        // Before any of them is made: a row may be damaged.
        let all = self.0.iter().try_fold(0_u64, |sum, Step(_, times)| sum.checked_add(*times))?;
        let mut before = 0_i64;
        let steps = self.0.into_iter().flat_map(|Step(step, times)| (0..times).map(move |_| step));
        let values = steps.map(move |step| {
            before = before.wrapping_add(step?);
            Some(before)
        });
        (all == count as u64).then_some(values)
    }
}

impl<'de> Deserialize<'de> for Steps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AStep)
    }
}

struct AStep;

impl<'de> Visitor<'de> for AStep {
    type Value = Step;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a difference, null, or one of both and how often it comes")
    }

    fn visit_i64<E: Error>(self, step: i64) -> Result<Step, E> {
        Ok(Step(Some(step), 1))
    }

    fn visit_u64<E: Error>(self, step: u64) -> Result<Step, E> {
        step.try_into().map(|step| Step(Some(step), 1)).map_err(E::custom)
    }

    fn visit_unit<E: Error>(self) -> Result<Step, E> {
        Ok(Step(None, 1))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Step, A::Error> {
        let step = list.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let times = list.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
        Ok(Step(step, times))
    }
}

/// The letters of a row of any version.
struct Letters;

impl<'de> Visitor<'de> for Letters {
    type Value = Vec<Listed>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("letters by column, or a list of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Listed>, A::Error> {
        let mut letters = Vec::new();
        while let Some(letter) = list.next_element()? {
            letters.push(letter);
        }
        Ok(letters)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<Listed>, A::Error> {
        let read = Read::deserialize(MapAccessDeserializer::new(map))?;
        read.letters().ok_or_else(|| A::Error::custom("its columns do not fit each other"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = i64> {
        prop_oneof![4 => 0..4_i64, 1 => any::<i64>()]
    }

    fn listed() -> impl Strategy<Value = Listed> {
        use proptest::option::of;
        let partition = || of(prop_oneof![4 => 0..2_i32, 1 => any::<i32>()]);
        let place = || (partition(), of(number()));
        let digest = || any::<[u8; BYTES]>().prop_map(Digest);
        let rest = (of(number()), any::<u32>(), digest(), of(digest()));
        (number(), place(), place(), rest).prop_map(|(offset, target, root, rest)| Listed {
            offset,
            target_partition: target.0,
            target_offset: target.1,
            root_partition: root.0,
            root_offset: root.1,
            root_timestamp_ms: rest.0,
            count: rest.1,
            sha256_before: rest.2,
            sha256_after: rest.3,
        })
    }

    fn written(letters: &[Listed]) -> String {
        let mut out = Vec::new();
        serialize(letters, &mut serde_json::Serializer::new(&mut out)).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn read(text: &str) -> Result<Vec<Listed>, serde_json::Error> {
        deserialize(&mut serde_json::Deserializer::from_str(text))
    }

    proptest! {
        #[test]
        fn letters_are_read_as_they_were_written(letters in proptest::collection::vec(listed(), 0..9)) {
            prop_assert_eq!(read(&written(&letters)).unwrap(), letters);
        }
    }

    #[test]
    fn letters_that_follow_each_other_need_little_but_their_digests() {
        let letter = |offset: i64| Listed {
            offset,
            target_partition: Some(2),
            target_offset: Some(offset - 5),
            root_partition: Some(2),
            root_offset: None,
            root_timestamp_ms: Some(1_000),
            count: 1,
            sha256_before: Digest([0; BYTES]),
            sha256_after: None,
        };
        let some = [letter(7), letter(8), letter(9), letter(12)];
        let digests = STANDARD.encode([0; 4 * BYTES]);
        let text = format!(
            "{{\"offset\":[7,[1,2],3],\"target_partition\":[2,[0,3]],\"target_offset\":[2,[1,2],3],\
             \"root_partition\":[2,[0,3]],\"root_offset\":[[null,4]],\"root_timestamp_ms\":[1000,[0,3]],\
             \"count\":[1,[0,3]],\"sha256_before\":\"{digests}\"}}"
        );
        assert_eq!(written(&some), text);
        let many: Vec<Listed> = (0..2_000).map(letter).collect();
        assert!(written(&many).len() < 2_000 * 43 + 400);
    }

    #[test]
    fn columns_that_do_not_fit_each_other_are_refused() {
        let letter = Listed {
            offset: 3,
            target_partition: None,
            target_offset: None,
            root_partition: None,
            root_offset: None,
            root_timestamp_ms: None,
            count: 1,
            sha256_before: Digest([1; BYTES]),
            sha256_after: Some(Digest([2; BYTES])),
        };
        let text = written(&[letter, letter]);
        assert_eq!(read(&text).unwrap(), [letter, letter]);
        let all = STANDARD.encode([2; 2 * BYTES]);
        for (is, other) in [
            // Too few, too many, more than there is memory for, more than can be counted.
            ("\"offset\":[3,0]", "\"offset\":[3]".to_owned()),
            ("\"offset\":[3,0]", "\"offset\":[[3,3]]".to_owned()),
            ("\"offset\":[3,0]", "\"offset\":[[3,99999999999999]]".to_owned()),
            ("\"offset\":[3,0]", format!("\"offset\":[[3,{0}],[3,{0}],4]", u64::MAX)),
            // No number, and those that do not fit.
            ("\"offset\":[3,0]", "\"offset\":[3,null]".to_owned()),
            ("\"count\":[1,0]", "\"count\":[1,-2]".to_owned()),
            ("\"target_partition\":[[null,2]]", "\"target_partition\":[[4294967296,2]]".to_owned()),
            // Digests that are missing, cut, or nobody's.
            (&*all, STANDARD.encode([2; BYTES])),
            (&*all, STANDARD.encode([2; 2 * BYTES - 1])),
            (&*all, STANDARD.encode([2; 3 * BYTES])),
            ("\"edited\":[1,0],", String::new()),
        ] {
            assert!(text.contains(is), "{is}: {text}");
            assert!(read(&text.replace(is, &other)).is_err(), "{other}");
        }
    }
}
