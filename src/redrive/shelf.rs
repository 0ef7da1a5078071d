//! The rows of the ledger that one transaction writes: letters of which the same is decided share one. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::item::{PROGRAM, Run, root_at};
use super::plan::PlannedTopic;
use super::transaction::book;
use crate::broker::{Name, Write};
use crate::dlq::Origin;
use crate::event::Digest;
use crate::ledger::letters::{LettersRow, Listed};
use crate::ledger::row::{Key, LetterRow, RootAt};
use crate::ledger::{Disposition, FORMAT_VERSION, LEDGER_TOPIC};

/// Letters that share a row at most: it is to be no larger than a topic takes as it comes.
const MOST_SHARED: usize = 2_000;

/// What letters have in common that can share a row: partition, number of their target, root topic and group.
pub(super) type Alike<'a> = (i32, u32, Option<&'a str>, Option<&'a str>);

/// What a letter says in a row that it shares, where nothing was written.
pub(super) fn listed(offset: i64, root: &Origin, count: u32, sha256: Digest) -> Listed {
    let RootAt { partition, offset: root_offset, timestamp_ms, .. } = root_at(root);
    Listed {
        offset,
        target_partition: None,
        target_offset: None,
        root_partition: partition,
        root_offset,
        root_timestamp_ms: timestamp_ms,
        count,
        sha256_before: sha256,
        sha256_after: None,
    }
}

/// The row of letters that are alike, without them.
pub(super) fn shared<'r>(
    disposition: Disposition,
    run: &Run<'r>,
    target: Option<&'r PlannedTopic>,
    (_, _, root, group): Alike<'r>,
    time_ms: i64,
) -> LettersRow<'r> {
    LettersRow {
        v: FORMAT_VERSION,
        disposition,
        run: Cow::Borrowed(run.id),
        operator: Cow::Borrowed(run.operator),
        reason: run.reason.map(Cow::Borrowed),
        target_topic: target.map(|target| Cow::Borrowed(&*target.topic)),
        target_topic_id: target.and_then(|target| target.topic_id.as_deref()).map(Cow::Borrowed),
        root_topic: root.map(Cow::Borrowed),
        group: group.map(Cow::Borrowed),
        program: Cow::Borrowed(PROGRAM),
        time_ms,
        letters: Vec::new(),
    }
}

/// Gathers letters.
pub(super) struct Shelf<'a> {
    /// Cluster id, id of the dead-letter topic, and run.
    keyed: [&'a str; 3],
    topic: Name,
    alike: BTreeMap<Alike<'a>, Vec<Listed>>,
    rows: Vec<Write>,
}

impl<'a> Shelf<'a> {
    /// For letters of this cluster and dead-letter topic (their ids), of which this run or action decides.
    pub fn new(cluster: &'a str, source: &'a str, run: &'a str) -> Self {
        let (alike, rows) = (BTreeMap::new(), Vec::new());
        Self { keyed: [cluster, source, run], topic: LEDGER_TOPIC.into(), alike, rows }
    }

    /// Takes a letter of which nothing was decided before: it may share a row.
    pub fn add(&mut self, alike: Alike<'a>, letter: Listed) {
        self.alike.entry(alike).or_default().push(letter);
    }

    /// Takes the row of a letter that has one of its own.
    pub fn alone(&mut self, partition: i32, offset: i64, row: &LetterRow<'_>) {
        let [cluster, source, _] = self.keyed;
        let key = Key::letter(cluster, source, partition, offset);
        self.rows.push(book(Name::clone(&self.topic), Some(key.encode()), row.encode()));
    }

    /// The rows; `of` makes one without its letters. One letter has a row of its own.
    pub fn rows(mut self, of: impl Fn(Alike<'a>) -> LettersRow<'a>) -> Vec<Write> {
        let [cluster, source, run] = self.keyed;
        for (alike, letters) in std::mem::take(&mut self.alike) {
            let (partition, row) = (alike.0, of(alike));
            for some in letters.chunks(MOST_SHARED) {
                match some {
                    [] => {}
                    [one] => self.alone(partition, one.offset, &row.own(one)),
                    [first, ..] => {
                        let key = Key::letters(cluster, source, partition, first.offset, run).encode();
                        let value = LettersRow { letters: some.to_vec(), ..row.clone() }.encode();
                        self.rows.push(book(Name::clone(&self.topic), Some(key), value));
                    }
                }
            }
        }
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Headers, Position, Record};
    use crate::ledger::Ledger;
    use crate::ledger::row::HeaderRow;

    fn listed(offset: i64) -> Listed {
        let root = Origin { partition: Some(1), offset: Some(offset), ..Origin::default() };
        super::listed(offset, &root, 0, Digest([1; 32]))
    }

    fn row(alike: Alike<'_>) -> LettersRow<'_> {
        let run = Run { id: "r", operator: "ada", reason: Some("old") };
        shared(Disposition::Discarded, &run, None, alike, 5)
    }

    #[test]
    fn letters_that_are_alike_share_rows_of_bounded_length_and_the_ledger_knows_each() {
        let mut shelf = Shelf::new("c", "dlq", "r");
        for offset in 0..4_100 {
            shelf.add((0, 0, Some("orders"), Some("email")), listed(offset));
        }
        shelf.add((0, 0, Some("orders"), None), listed(4_100));
        shelf.add((1, 0, Some("orders"), Some("email")), listed(0));
        let own = LetterRow { count: 7, ..row((0, 0, None, None)).own(&listed(9_000)).into_owned() };
        shelf.alone(0, 9_000, &own);
        let rows = shelf.rows(row);
        // Three of the first, and one of each other.
        assert_eq!(rows.len(), 6);
        assert!(rows.iter().all(|row| row.value.as_ref().is_some_and(|value| value.len() < 500_000)));
        let mut ledger = Ledger::new("c");
        let header = HeaderRow::current("t").encode();
        let all = rows.into_iter().map(|row| (row.key, row.value));
        for (at, (key, value)) in
            (0..).zip(std::iter::once((Some(Key::Header.encode()), Some(header))).chain(all))
        {
            let at = Position::new(LEDGER_TOPIC, 0, at);
            ledger
                .apply(&Record { at, time: None, key, value, headers: Headers::default(), lease: None })
                .unwrap();
        }
        ledger.check().unwrap();
        assert_eq!(ledger.counts("dlq").discarded, 4_103);
        assert_eq!(ledger.get("dlq", 0, 4_100).unwrap().group, None);
        assert_eq!(ledger.get("dlq", 0, 2_001).unwrap().root.offset, Some(2_001));
        assert_eq!(ledger.get("dlq", 0, 9_000).unwrap().count, 7);
        assert_eq!(ledger.disposition("dlq", 1, 0), Disposition::Discarded);
    }
}
