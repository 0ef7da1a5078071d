//! One transaction of a run: records, their ledger rows, the owner row and an audit record, or nothing.

use std::collections::HashMap;

use super::item::{Act, Item};
use super::outgoing::batch_size;
use crate::broker::{
    BATCH_RECORDS, BrokerError, Commit, ErrorKind, Guarantee, Name, Placed, Session, Staged, Ticket, Write,
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

/// Makes the rows of letters and their places.
pub(super) type RowsOf<'r> = dyn Fn(&[(&Item, Option<Placed>)]) -> Vec<Write> + Sync + 'r;

/// Writes the items that are sent in a transaction that is then open, `rows` with the first of them, and the rows of those
/// that are answered with later ones. Gives the items' places in their order, and the rows that are left.
pub(super) async fn send(
    session: &mut dyn Session,
    items: &[Item],
    mut rows: Vec<Write>,
    rows_of: &RowsOf<'_>,
    taken: &mut u64,
) -> Result<(Vec<Option<Placed>>, Vec<Write>), Ended> {
    let mut flight = Flight::new(items, taken);
    let (mut told, mut before) = (Vec::new(), None);
    let aims = items.iter().map(|item| ((item.planned.target, item.planned.target_partition), item.size));
    for Piece { side, items: piece } in pieces(aims) {
        // A partition's next batch is not queued while one is on its way.
        if before.replace(side) == Some(side) {
            flight.settle(session, 0).await?;
        }
        let staged = flight.stage(session, &piece, &rows).await?;
        told.extend(piece);
        flight.settle(session, staged).await?;
        rows = rows_of(&flight.answered(&mut told));
    }
    flight.settle(session, 0).await?;
    rows.extend(rows_of(&flight.answered(&mut told)));
    if !told.is_empty() {
        let why = format!("{} of {} records were not answered", told.len(), items.len());
        return Err(Ended::Lost(BrokerError::new(ErrorKind::Other, "produce", why)));
    }
    Ok((flight.placed, rows))
}

/// The records of a transaction on their way.
struct Flight<'i> {
    items: &'i [Item],
    /// What was staged: an item's number, or a row.
    tickets: Vec<(Ticket, Option<usize>)>,
    placed: Vec<Option<Placed>>,
    refused: Vec<(usize, BrokerError)>,
    row_refused: Option<BrokerError>,
    /// Records that the broker has taken.
    taken: &'i mut u64,
}

impl<'i> Flight<'i> {
    fn new(items: &'i [Item], taken: &'i mut u64) -> Self {
        let placed = vec![None; items.len()];
        Self { items, tickets: Vec::new(), placed, refused: Vec::new(), row_refused: None, taken }
    }

    /// Stages rows and items; gives how many records that are.
    async fn stage(
        &mut self,
        session: &mut dyn Session,
        piece: &[usize],
        rows: &[Write],
    ) -> Result<usize, Ended> {
        let items = piece.iter().filter_map(|number| Some((Some(*number), self.items.get(*number)?)));
        let sent =
            items.filter(|(_, item)| item.act == Act::Send).map(|(number, item)| (number, &item.write));
        // Rows are few, so that they hold up nothing.
        let (numbers, writes): (Vec<Option<usize>>, Vec<&Write>) =
            rows.iter().map(|row| (None, row)).chain(sent).unzip();
        let Staged { tickets, stuck } = match session.stage_all(&writes).await {
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
            let Ok(nth) = self.tickets.binary_search_by_key(&ticket, |(ticket, _)| *ticket) else { continue };
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

    /// The items among these that were answered, or are not sent; they are taken out.
    fn answered(&self, numbers: &mut Vec<usize>) -> Vec<(&'i Item, Option<Placed>)> {
        let mut answered = Vec::with_capacity(numbers.len());
        numbers.retain(|number| {
            let (Some(item), Some(placed)) = (self.items.get(*number), self.placed.get(*number)) else {
                return true;
            };
            let is_answered = placed.is_some() || item.act != Act::Send;
            if is_answered {
                answered.push((item, *placed));
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
fn pieces(items: impl Iterator<Item = (Aim, usize)>) -> Vec<Piece> {
    /// Where a partition's items go.
    struct Last {
        piece: usize,
        count: usize,
        bytes: usize,
    }
    let mut lasts: HashMap<Aim, Last> = HashMap::new();
    let mut pieces: Vec<Piece> = Vec::new();
    for (number, (aim, size)) in items.enumerate() {
        let side = lasts.len() % 2;
        let last = lasts.entry(aim).or_insert(Last { piece: side, count: 0, bytes: 0 });
        if last.count >= BATCH_RECORDS || last.count > 0 && last.bytes + size > TOGETHER {
            *last = Last { piece: last.piece + 2, count: 0, bytes: 0 };
        }
        last.count += 1;
        last.bytes += size;
        while pieces.len() <= last.piece {
            pieces.push(Piece { side: pieces.len() % 2, items: Vec::new() });
        }
        pieces[last.piece].items.push(number);
    }
    pieces.retain(|piece| !piece.items.is_empty());
    pieces
}

/// Rows that are written together, which all go to one partition.
fn together<'r>(mut rows: &'r [&'r Write]) -> impl Iterator<Item = &'r [&'r Write]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |row: &&&Write| {
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
    let rows: Vec<&Write> = rows.iter().collect();
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
async fn write(session: &mut dyn Session, rows: &[&Write]) -> Result<(), Ended> {
    match session.stage_all(rows).await {
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
        ) {
            let run = |(target, partition, count, size)| std::iter::repeat_n(((target, partition), size), count);
            let items: Vec<(Aim, usize)> = runs.into_iter().flat_map(run).collect();
            let pieces = pieces(items.iter().copied());
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
            pieces(items.into_iter()).into_iter().map(|piece| (piece.side, piece.items)).collect()
        };
        let (a, b, large) = ((0, 1), (0, 2), TOGETHER - 1);
        assert_eq!(
            shape(vec![(a, large), (a, large), (b, large), (b, 1), (b, 1)]),
            [(0, vec![0]), (1, vec![2, 3]), (0, vec![1]), (1, vec![4])]
        );
        assert_eq!(shape(vec![(a, 5 * TOGETHER), (a, 1)]), [(0, vec![0]), (0, vec![1])]);
    }
}
