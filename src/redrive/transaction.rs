//! One transaction of a run: records, their ledger rows, the owner row and an audit record, or nothing.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::item::Item;
use super::outgoing::batch_size;
use super::parcel::Addressed;
use super::plan::Plan;
use crate::broker::{
    BATCH_RECORDS, BrokerError, Commit, ErrorKind, Guarantee, Name, Outbound, Placed, Session, Staged,
    Ticket, Write,
};
use crate::event::Headers;
use crate::ledger::{AUDIT_TOPIC, LEDGER_TOPIC};
use crate::text::Fault;

/// How a transaction ended.
pub(super) enum Ended {
    /// All of it is committed; places in the order of the items.
    Committed(Vec<Option<Placed>>),
    /// Records were refused and the transaction aborted; nothing of it is there.
    Refused {
        /// Items that the broker named, with its words.
        named: Vec<(usize, String)>,
        /// Its words where it named none.
        why: String,
        /// Records that were written before the end.
        aborted: u64,
    },
    /// Without a transaction: some records are written, and others were refused.
    Partly {
        /// Places in the order of the items.
        placed: Vec<Option<Placed>>,
        /// Items that the broker named, with its words.
        named: Vec<(usize, String)>,
        /// Its words where it named none.
        why: String,
    },
    /// It may or may not be committed, or the session is dead: the ledger knows.
    Lost(BrokerError),
    /// Something else than a record is wrong; it was aborted.
    Failed(Fault),
}

/// What a refusal says about the record.
enum Blame {
    Record,
    Somebody,
    Link,
    Cluster(Fault),
}

fn blame(error: &BrokerError) -> Blame {
    match error.kind {
        ErrorKind::TooLarge | ErrorKind::Invalid => Blame::Record,
        ErrorKind::Unreachable | ErrorKind::TimedOut | ErrorKind::Fenced | ErrorKind::Cancelled => {
            Blame::Link
        }
        ErrorKind::UnknownTopic | ErrorKind::UnknownPartition => Blame::Cluster(
            Fault::refused("target_changed", "a target is not as it was planned").why(error.to_string()),
        ),
        ErrorKind::Authorisation => {
            Blame::Cluster(Fault::refused("acl", error.what.clone()).why(error.why.clone()))
        }
        ErrorKind::Authentication | ErrorKind::Tls | ErrorKind::Unsupported | ErrorKind::Full => {
            Blame::Cluster(error.clone().into())
        }
        _ if error.retryable => Blame::Link,
        _ => Blame::Somebody,
    }
}

/// A row of the ledger or audit, as a record.
pub(super) fn book(topic: impl Into<Name>, key: Option<bytes::Bytes>, value: bytes::Bytes) -> Write {
    Write {
        topic: topic.into(),
        partition: Some(0),
        key,
        value: Some(value),
        headers: Headers::default(),
        timestamp: None,
    }
}

/// Writes items without their rows; gives their places in their order.
pub(super) async fn send(
    session: &mut dyn Session,
    plan: &Plan,
    items: &[Item],
    taken: &mut u64,
) -> Result<Vec<Option<Placed>>, Ended> {
    let mut flight = Flight::new(taken);
    flight.add(items);
    while flight.step(session, plan, items, &[]).await? {}
    flight.land(session, items).await?;
    Ok(flight.placed)
}

/// The number of an item that was answered, and its place where it was sent.
pub(super) type Answered = (usize, Option<Placed>);

/// The records of a transaction on their way. Items are known by their number: that of the transaction, which may get
/// more of them as it goes.
pub(super) struct Flight<'t> {
    pieces: Pieces,
    /// Bytes of all items.
    bytes: usize,
    /// The side of the piece that is on its way.
    side: Option<usize>,
    /// What was staged: an item's number, or a row.
    tickets: Vec<(Ticket, Option<usize>)>,
    placed: Vec<Option<Placed>>,
    /// Items of pieces that were begun, until they are answered.
    told: Vec<usize>,
    refused: Vec<(usize, BrokerError)>,
    row_refused: Option<BrokerError>,
    /// Records that the broker has taken.
    taken: &'t mut u64,
}

impl<'t> Flight<'t> {
    pub fn new(taken: &'t mut u64) -> Self {
        Self {
            pieces: Pieces::default(),
            bytes: 0,
            side: None,
            tickets: Vec::new(),
            placed: Vec::new(),
            told: Vec::new(),
            refused: Vec::new(),
            row_refused: None,
            taken,
        }
    }

    /// Takes note of the items that follow those that were added before.
    pub fn add(&mut self, items: &[Item]) {
        for item in items {
            // One that is forgotten is not sent, and so not answered: that is an error, and it is not passed over.
            let aim = item.aim().unwrap_or_default();
            self.pieces.add(self.placed.len(), aim, item.size());
            self.placed.push(None);
            self.bytes += item.size();
        }
    }

    /// Bytes of the items that were added.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes the next piece, and `rows` with it; `false`, and nothing is written, where all are on their way.
    pub async fn step(
        &mut self,
        session: &mut dyn Session,
        plan: &Plan,
        items: &[Item],
        rows: &[Write],
    ) -> Result<bool, Ended> {
        let Some(Piece { side, items: piece }) = self.pieces.next() else { return Ok(false) };
        // A partition's next batch is not queued while one is on its way.
        if self.side.replace(side) == Some(side) {
            self.settle(session, 0).await?;
        }
        let sent = piece.iter().filter_map(|number| Some((*number, items.get(*number)?.outbound(plan)?)));
        let staged = self.stage(session, sent, rows).await?;
        self.told.extend(piece);
        self.settle(session, staged).await?;
        Ok(true)
    }

    /// Waits until all pieces that were begun are answered; gives what [`answered`](Self::answered) does.
    pub async fn land(&mut self, session: &mut dyn Session, items: &[Item]) -> Result<Vec<Answered>, Ended> {
        self.settle(session, 0).await?;
        let answered = self.answered(items);
        if self.told.is_empty() {
            return Ok(answered);
        }
        let why = format!("{} of {} records were not answered", self.told.len(), items.len());
        Err(Ended::Lost(BrokerError::new(ErrorKind::Other, "produce", why)))
    }

    /// Whether a partition has as much as one piece takes.
    pub fn is_full(&self) -> bool {
        self.pieces.waiting.len() > 2
    }

    /// Whether nothing is left to be begun or to be answered.
    pub fn is_idle(&self) -> bool {
        self.told.is_empty() && self.pieces.waiting.iter().all(|piece| piece.items.is_empty())
    }

    /// How many records the broker takes in a time, if it goes on as it did up to this age of the transaction.
    pub fn expected(&self, age: Duration, time: Duration) -> usize {
        let expected = u128::from(*self.taken) * time.as_micros() / age.as_micros().max(1);
        usize::try_from(expected).unwrap_or(usize::MAX)
    }

    /// The places of all items, in their order.
    pub fn into_placed(self) -> Vec<Option<Placed>> {
        self.placed
    }

    /// Stages rows and records; gives how many that are.
    async fn stage<'i>(
        &mut self,
        session: &mut dyn Session,
        sent: impl Iterator<Item = (usize, Addressed<'i>)>,
        rows: &[Write],
    ) -> Result<usize, Ended> {
        let (numbers, records): (Vec<usize>, Vec<Addressed<'_>>) = sent.unzip();
        // Rows are few, so that they hold up nothing.
        let rows = rows.iter().map(|row| (None, row as &dyn Outbound));
        let records = records.iter().map(|record| record as &dyn Outbound);
        let (numbers, all): (Vec<Option<usize>>, Vec<&dyn Outbound>) =
            rows.chain(numbers.into_iter().map(Some).zip(records)).unzip();
        let Staged { tickets, stuck } = match session.stage_all(&all).await {
            Ok(staged) => staged,
            Err(error) => return Err(Ended::Lost(error)),
        };
        let staged = tickets.len();
        self.tickets.extend(tickets.into_iter().zip(numbers));
        let Some(stuck) = stuck else { return Ok(staged) };
        // A refusal before it tells more.
        self.settle(session, 0).await?;
        Err(match blame(&stuck) {
            Blame::Cluster(fault) => end(session, Ended::Failed(fault)).await,
            _ => Ended::Lost(stuck),
        })
    }

    /// Waits until no more than `left` records are without an answer, and ends the transaction where one is refused.
    async fn settle(&mut self, session: &mut dyn Session, left: usize) -> Result<(), Ended> {
        self.take(session, left).await?;
        if self.refused.is_empty() && self.row_refused.is_none() {
            return Ok(());
        }
        // Who is to blame is told by all answers together.
        self.take(session, 0).await?;
        // Errors of records that follow from that of a row name nobody.
        let innocent = self.refused.iter().all(|(_, error)| matches!(blame(error), Blame::Link));
        if let Some(error) = self.row_refused.take_if(|_| innocent) {
            return Err(row_refusal(session, error).await);
        }
        let refused = std::mem::take(&mut self.refused);
        Err(match refusal(session, refused, *self.taken).await {
            // There is nothing that an abort could take back.
            Ended::Refused { named, why, .. } if session.guarantee() == Guarantee::AtLeastOnceChecked => {
                Ended::Partly { placed: std::mem::take(&mut self.placed), named, why }
            }
            ended => ended,
        })
    }

    async fn take(&mut self, session: &mut dyn Session, left: usize) -> Result<(), Ended> {
        let answers = match session.settle_to(left).await {
            Ok(answers) => answers,
            Err(error) => return Err(Ended::Lost(error)),
        };
        for (ticket, answer) in answers {
            let Some(nth) = self.find(ticket) else { continue };
            match (self.tickets[nth].1, answer) {
                (Some(number), Ok(place)) => {
                    self.placed[number] = Some(place);
                    *self.taken += 1;
                }
                (Some(number), Err(error)) => self.refused.push((number, error)),
                (None, Err(error)) => self.row_refused = self.row_refused.take().or(Some(error)),
                (None, Ok(_)) => {}
            }
        }
        Ok(())
    }

    /// Which of the tickets this is; those of a session mostly follow each other.
    fn find(&self, ticket: Ticket) -> Option<usize> {
        let is_it = |nth: &usize| self.tickets.get(*nth).is_some_and(|(other, _)| *other == ticket);
        let first = self.tickets.first()?.0;
        let expected = ticket.0.checked_sub(first.0).and_then(|nth| usize::try_from(nth).ok());
        let search = || self.tickets.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok();
        expected.filter(is_it).or_else(search)
    }

    /// The items that were answered since the last call, and those of pieces begun since then that are not sent.
    pub fn answered(&mut self, items: &[Item]) -> Vec<Answered> {
        let mut answered = Vec::with_capacity(self.told.len());
        let placed = &self.placed;
        self.told.retain(|number| {
            let (Some(item), Some(placed)) = (items.get(*number), placed.get(*number)) else {
                return true;
            };
            let is_answered = placed.is_some() || !item.is_sent();
            if is_answered {
                answered.push((*number, *placed));
            }
            !is_answered
        });
        answered
    }
}

/// Bytes that are written together to one partition: a batch of the client. While another batch waits for the answer to
/// the one before it, the client's thread does not sleep (`rd_kafka_broker_producer_serve`).
const TOGETHER: usize = 900_000;

/// Target and partition of an item.
type Aim = (u32, i32);

/// Items that are written together, by number.
struct Piece {
    /// Pieces of different sides have no partition in common.
    side: usize,
    items: Vec<usize>,
}

/// The items in the pieces that are written together: of each partition no more than makes one batch. The pieces of the
/// two sides take turns, so that one is made while another one is on its way.
#[derive(Default)]
struct Pieces {
    lasts: HashMap<Aim, Last>,
    /// Those that were not taken.
    waiting: VecDeque<Piece>,
    /// So many were taken.
    taken: usize,
}

/// Where a partition's items go.
struct Last {
    piece: usize,
    count: usize,
    bytes: usize,
}

impl Pieces {
    fn add(&mut self, number: usize, aim: Aim, size: usize) {
        let side = self.lasts.len() % 2;
        let last = self.lasts.entry(aim).or_insert(Last { piece: side, count: 0, bytes: 0 });
        if last.count >= BATCH_RECORDS || last.count > 0 && last.bytes + size > TOGETHER {
            *last = Last { piece: last.piece + 2, count: 0, bytes: 0 };
        }
        if last.piece < self.taken {
            // The next one of its side.
            let piece = self.taken + (self.taken + last.piece) % 2;
            *last = Last { piece, count: 0, bytes: 0 };
        }
        last.count += 1;
        last.bytes += size;
        let place = last.piece - self.taken;
        while self.waiting.len() <= place {
            let side = (self.taken + self.waiting.len()) % 2;
            self.waiting.push_back(Piece { side, items: Vec::new() });
        }
        self.waiting[place].items.push(number);
    }

    /// The next piece that is not empty.
    fn next(&mut self) -> Option<Piece> {
        loop {
            let piece = self.waiting.pop_front()?;
            self.taken += 1;
            if !piece.items.is_empty() {
                return Some(piece);
            }
        }
    }
}

/// Rows that are written together, which all go to one partition.
fn together(mut rows: &[Write]) -> impl Iterator<Item = &[Write]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |row: &&Write| {
            bytes += batch_size(row);
            bytes <= TOGETHER
        };
        let count = rows.iter().take(BATCH_RECORDS).take_while(fits).count().max(1).min(rows.len());
        let (piece, rest) = rows.split_at(count);
        rows = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Writes the rows of what was sent, then commits all of it.
pub(super) async fn commit(
    session: &mut dyn Session,
    rows: Vec<Write>,
    placed: Vec<Option<Placed>>,
) -> Ended {
    for piece in together(&rows) {
        if let Err(ended) = write(session, piece).await {
            return ended;
        }
    }
    match session.commit().await {
        Ok(Commit::Done) => Ended::Committed(placed),
        Ok(Commit::Unknown(error) | Commit::Fenced(error)) | Err(error) => Ended::Lost(error),
        Ok(Commit::Aborted(error)) => end(session, Ended::Lost(error)).await,
    }
}

/// Writes rows; waits until the broker has them.
async fn write(session: &mut dyn Session, rows: &[Write]) -> Result<(), Ended> {
    let rows: Vec<&dyn Outbound> = rows.iter().map(|row| row as &dyn Outbound).collect();
    match session.stage_all(&rows).await {
        Ok(Staged { stuck: None, .. }) => {}
        Ok(Staged { stuck: Some(error), .. }) | Err(error) => return Err(Ended::Lost(error)),
    }
    let answers = match session.settle().await {
        Ok(answers) => answers,
        Err(error) => return Err(Ended::Lost(error)),
    };
    match answers.into_iter().find_map(|(_, answer)| answer.err()) {
        Some(error) => Err(row_refusal(session, error).await),
        None => Ok(()),
    }
}

/// A row was not taken.
async fn row_refusal(session: &mut dyn Session, error: BrokerError) -> Ended {
    match blame(&error) {
        Blame::Link => Ended::Lost(error),
        Blame::Cluster(fault) => end(session, Ended::Failed(fault)).await,
        Blame::Record | Blame::Somebody => {
            let fault = Fault::failed("ledger", format!("{LEDGER_TOPIC} or {AUDIT_TOPIC} took no row"));
            end(session, Ended::Failed(fault.why(error.to_string()))).await
        }
    }
}

/// Aborts; gives `ended`, or that the session is lost.
async fn end(session: &mut dyn Session, ended: Ended) -> Ended {
    match session.abort().await {
        Ok(()) => ended,
        Err(error) => Ended::Lost(error),
    }
}

/// Aborts, and finds out whom the reports name.
async fn refusal(session: &mut dyn Session, refused: Vec<(usize, BrokerError)>, aborted: u64) -> Ended {
    let mut named = Vec::new();
    let mut why = String::new();
    let mut lost = None;
    for (i, error) in refused {
        match blame(&error) {
            Blame::Record => named.push((i, error.why)),
            Blame::Somebody => why = error.why,
            Blame::Link => lost = Some(error),
            Blame::Cluster(fault) => return end(session, Ended::Failed(fault)).await,
        }
    }
    // Where a record is named, errors of the others only follow from it.
    match lost {
        Some(error) if named.is_empty() && why.is_empty() => Ended::Lost(error),
        _ => end(session, Ended::Refused { named, why, aborted }).await,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn pieces_keep_the_order_of_each_partition_and_those_of_two_sides_have_none_in_common(
            runs in proptest::collection::vec((0..2_u32, 0..4_i32, 1..1_500_usize, 100..9_000_usize), 1..8),
            taken in proptest::collection::vec(0..4_usize, 8),
        ) {
            let (mut all, mut pieces, mut items) = (Pieces::default(), Vec::new(), Vec::new());
            for ((target, partition, count, size), taken) in runs.into_iter().zip(taken) {
                for item in std::iter::repeat_n(((target, partition), size), count) {
                    all.add(items.len(), item.0, item.1);
                    items.push(item);
                }
                // Some are taken before the next items come.
                pieces.extend((0..taken).map_while(|_| all.next()));
            }
            pieces.extend(std::iter::from_fn(|| all.next()));
            let mut orders: BTreeMap<Aim, Vec<usize>> = BTreeMap::new();
            let mut sides: [BTreeSet<Aim>; 2] = Default::default();
            for piece in &pieces {
                let mut sums: BTreeMap<Aim, (usize, usize)> = BTreeMap::new();
                for number in &piece.items {
                    let (aim, size) = items[*number];
                    orders.entry(aim).or_default().push(*number);
                    sides[piece.side].insert(aim);
                    let (count, bytes) = sums.entry(aim).or_default();
                    (*count, *bytes) = (*count + 1, *bytes + size);
                }
                prop_assert!(sums.values().all(|(count, bytes)| *count <= BATCH_RECORDS && *bytes <= TOGETHER));
            }
            prop_assert_eq!(orders.values().map(Vec::len).sum::<usize>(), items.len());
            prop_assert!(orders.values().all(|order| order.is_sorted()));
            prop_assert!(sides[0].is_disjoint(&sides[1]));
        }
    }

    #[test]
    fn the_pieces_of_two_partitions_take_turns_and_a_large_record_goes_alone() {
        let shape = |items: Vec<(Aim, usize)>| -> Vec<(usize, Vec<usize>)> {
            let mut pieces = Pieces::default();
            for (number, (aim, size)) in items.into_iter().enumerate() {
                pieces.add(number, aim, size);
            }
            std::iter::from_fn(|| pieces.next()).map(|piece| (piece.side, piece.items)).collect()
        };
        let (a, b, large) = ((0, 1), (0, 2), TOGETHER - 1);
        assert_eq!(
            shape(vec![(a, large), (a, large), (b, large), (b, 1), (b, 1)]),
            [(0, vec![0]), (1, vec![2, 3]), (0, vec![1]), (1, vec![4])]
        );
        assert_eq!(shape(vec![(a, 5 * TOGETHER), (a, 1)]), [(0, vec![0]), (0, vec![1])]);
    }
}
