//! One transaction of a run: records, their ledger rows, the owner row and an audit record, or nothing.

use super::item::{Act, Item};
use super::outgoing::batch_size;
use crate::broker::{BrokerError, Commit, ErrorKind, Guarantee, Name, Placed, Session, Staged, Write};
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

/// Writes the items that are sent, and rows with them; gives the items' places in their order.
pub(super) async fn send(
    session: &mut dyn Session,
    items: &[Item],
    rows: &[Write],
) -> Result<Vec<Option<Placed>>, Ended> {
    let sent: Vec<usize> = (0..items.len()).filter(|i| items[*i].act == Act::Send).collect();
    let writes: Vec<&Write> = sent.iter().map(|i| &items[*i].write).chain(rows).collect();
    let Staged { tickets, stuck } = match session.stage_all(&writes).await {
        Ok(staged) => staged,
        Err(error) => return Err(Ended::Lost(error)),
    };
    let answers = match session.settle().await {
        Ok(answers) => answers,
        Err(error) => return Err(Ended::Lost(error)),
    };
    let mut placed: Vec<Option<Placed>> = vec![None; items.len()];
    let mut refused: Vec<(usize, BrokerError)> = Vec::new();
    let mut row_refused = None;
    for (ticket, answer) in answers {
        let Ok(nth) = tickets.binary_search(&ticket) else { continue };
        match (sent.get(nth), answer) {
            (Some(i), Ok(place)) => placed[*i] = Some(place),
            (Some(i), Err(error)) => refused.push((*i, error)),
            (None, Err(error)) => row_refused = row_refused.or(Some(error)),
            (None, Ok(_)) => {}
        }
    }
    let written = placed.iter().flatten().count();
    // Errors of records that follow from that of a row name nobody.
    let innocent = refused.iter().all(|(_, error)| matches!(blame(error), Blame::Link));
    if let Some(error) = row_refused.filter(|_| innocent) {
        return Err(row_refusal(session, error).await);
    }
    if !refused.is_empty() {
        let ended = refusal(session, refused, written as u64).await;
        return Err(match ended {
            // There is nothing that an abort could take back.
            Ended::Refused { named, why, .. } if session.guarantee() == Guarantee::AtLeastOnceChecked => {
                Ended::Partly { placed, named, why }
            }
            ended => ended,
        });
    }
    if let Some(error) = stuck {
        return Err(match blame(&error) {
            Blame::Cluster(fault) => end(session, Ended::Failed(fault)).await,
            _ => Ended::Lost(error),
        });
    }
    if written < sent.len() {
        let why = format!("{} of {} records were not answered", sent.len() - written, sent.len());
        return Err(Ended::Lost(BrokerError::new(ErrorKind::Other, "produce", why)));
    }
    Ok(placed)
}

/// Bytes that are written together to one partition: a batch of the client. While another batch waits for the answer to
/// the one before it, the client's thread does not sleep (`rd_kafka_broker_producer_serve`).
const TOGETHER: usize = 900_000;

/// Items that are written together: their rows, which all go to one partition, are to make a batch, too.
const MOST_TOGETHER: usize = 1_400;

/// The items in the pieces that are written together.
pub(super) fn pieces(items: &[Item]) -> impl Iterator<Item = &[Item]> {
    together(items, MOST_TOGETHER, |item| item.size)
}

/// What is to be written in pieces of no more than [`TOGETHER`] bytes and `most` in number, but of one at least.
fn together<T>(mut all: &[T], most: usize, size: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |one: &&T| {
            bytes += size(one);
            bytes <= TOGETHER
        };
        let count = all.iter().take(most).take_while(fits).count().max(1).min(all.len());
        let (piece, rest) = all.split_at(count);
        all = rest;
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
    for piece in together(&rows, rows.len(), |row| batch_size(row)) {
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
