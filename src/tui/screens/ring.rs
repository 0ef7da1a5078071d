//! The records that a list holds: the newest ones, bounded in bytes and in number. While the list is held, what comes
//! waits behind it, so that the picture stays; what finds no room is counted.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::Record;

/// Bytes of all records together.
const BYTES: usize = 64 << 20;
/// Records that are listed, and as many that wait.
const RECORDS: usize = 10_000;

/// The ring.
#[derive(Debug, Default)]
pub struct Ring {
    listed: VecDeque<Arc<Record>>,
    bytes: usize,
    /// What came while the list is held; `None` while it is not.
    behind: Option<VecDeque<Arc<Record>>>,
    /// Records that were listed and fell out.
    fell_out: u64,
    /// Records that came while the list was held, and found no room.
    passed: u64,
    /// Records that came while the list is held.
    waiting: u64,
}

impl Ring {
    /// Takes records.
    pub fn take(&mut self, records: Vec<Record>) {
        if self.behind.is_some() {
            self.waiting += records.len() as u64;
        }
        self.bytes += records.iter().map(Record::size).sum::<usize>();
        self.behind.as_mut().unwrap_or(&mut self.listed).extend(records.into_iter().map(Arc::new));
        self.make_room();
    }

    fn make_room(&mut self) {
        let newest = self.behind.as_mut().unwrap_or(&mut self.listed);
        let mut gone = 0;
        // One that is larger than all the room is still seen.
        while newest.len() > RECORDS || (self.bytes > BYTES && newest.len() > 1) {
            let Some(oldest) = newest.pop_front() else { break };
            self.bytes -= oldest.size();
            gone += 1;
        }
        *(if self.behind.is_some() { &mut self.passed } else { &mut self.fell_out }) += gone;
    }

    /// Holds the list as it is, or lists what came since.
    pub fn toggle_held(&mut self) {
        match self.behind.take() {
            Some(behind) => {
                self.listed.extend(behind);
                self.waiting = 0;
                self.make_room();
            }
            None => self.behind = Some(VecDeque::new()),
        }
    }

    /// Whether the list is held.
    pub fn is_held(&self) -> bool {
        self.behind.is_some()
    }

    /// Forgets all records; a list that is held stays held.
    pub fn clear(&mut self) {
        *self = Self { behind: self.behind.as_ref().map(|_| VecDeque::new()), ..Self::default() };
    }

    /// The records that are listed.
    pub fn listed(&self) -> &VecDeque<Arc<Record>> {
        &self.listed
    }

    /// Records that were listed and fell out.
    pub fn fell_out(&self) -> u64 {
        self.fell_out
    }

    /// Records that were never listed, and no longer can be.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Records that came while the list is held.
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// All records that came.
    pub fn came(&self) -> u64 {
        let behind = self.behind.as_ref().map_or(0, VecDeque::len);
        (self.listed.len() + behind) as u64 + self.fell_out + self.passed
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::event::{Headers, Position};

    /// A record of `orders` with a value of so many bytes.
    pub fn record(offset: i64, bytes: usize) -> Record {
        Record {
            at: Position::new("orders", 0, offset),
            time: None,
            key: None,
            value: Some(vec![b'x'; bytes].into()),
            headers: Headers::default(),
            lease: None,
        }
    }

    fn offsets(ring: &Ring) -> Vec<i64> {
        ring.listed.iter().map(|record| record.at.offset).collect()
    }

    #[test]
    fn it_is_bounded_in_bytes_and_counts_what_fell_out() {
        let mut ring = Ring::default();
        (0..10).for_each(|offset| ring.take(vec![record(offset, 10 << 20)]));
        assert!(ring.bytes <= BYTES);
        assert_eq!((offsets(&ring), ring.fell_out), (vec![4, 5, 6, 7, 8, 9], 4));
        ring.take(vec![record(10, BYTES + 1)]);
        assert_eq!((offsets(&ring), ring.fell_out, ring.came()), (vec![10], 10, 11));
    }

    #[test]
    fn it_is_bounded_in_records() {
        let mut ring = Ring::default();
        ring.take((0..RECORDS as i64 + 5).map(|offset| record(offset, 1)).collect());
        assert_eq!((ring.listed.len(), ring.fell_out), (RECORDS, 5));
    }

    #[test]
    fn a_held_list_stays_whatever_comes_and_all_of_it_is_counted() {
        let mut ring = Ring::default();
        ring.take(vec![record(0, 1), record(1, 20 << 20)]);
        ring.toggle_held();
        for offset in 2..3 * RECORDS as i64 {
            ring.take(vec![record(offset, 1)]);
        }
        (0..9).for_each(|offset| ring.take(vec![record(1_000_000 + offset, 10 << 20)]));
        assert_eq!(offsets(&ring), [0, 1]);
        assert!(ring.bytes <= BYTES);
        let came = 3 * RECORDS as u64 + 9;
        assert_eq!((ring.came(), ring.waiting()), (came, came - 2));
        ring.toggle_held();
        assert!(ring.listed.len() <= RECORDS && ring.bytes <= BYTES);
        assert_eq!((offsets(&ring).last(), ring.came(), ring.waiting()), (Some(&1_000_008), came, 0));
        assert_eq!(ring.listed.len() as u64 + ring.fell_out + ring.passed, came);
    }
}
