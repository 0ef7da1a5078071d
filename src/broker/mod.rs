//! The port: what the program asks of a broker, in small traits that a broker may or may not have.
//!
//! Absence is a type (`Option<&dyn Writer>`), not an error at run time. Records travel in batches, never
//! one by one through a `dyn` call. Nothing here is Kafka's alone: a lease-based broker answers the same
//! questions, says `No` or `Degraded` in its [`Capabilities`], and leaves out the ports that it lacks.

pub mod capability;
pub mod error;
pub mod outbound;

pub mod kafka;
pub mod memory;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use capability::{Capabilities, Guarantee, PeekEffect, Support};
pub use error::{BrokerError, ErrorKind};
pub use outbound::{EachHeader, Outbound, Write};

use crate::event::{Record, RecordBytes};
use crate::text::Timestamp;

/// A topic's, group's or client's name; cheap to clone. Hostile until sanitised.
pub type Name = Arc<str>;

/// A call in flight: one allocation a call, none a record.
pub type Fut<'a, T> = Pin<Box<dyn Future<Output = Result<T, BrokerError>> + Send + 'a>>;

/// One answer for each thing asked, in the order asked: one refusal costs one row, not the screen.
pub type Each<T> = Vec<Result<T, BrokerError>>;

/// A connected broker.
pub trait Broker: Send + Sync {
    /// What it can do; screens ask this and never the vendor's name.
    fn capabilities(&self) -> &Capabilities;
    /// Topics, partitions, configuration, offsets.
    fn catalog(&self) -> &dyn Catalog;
    /// Reading without being seen.
    fn reader(&self) -> &dyn Reader;
    /// Consumer groups; `None` where the broker has none.
    fn groups(&self) -> Option<&dyn Groups>;
    /// Writing; `None` on a read-only profile.
    fn writer(&self) -> Option<&dyn Writer>;
    /// Requests that looking costs the brokers, counted over the last minute (or since the connection was made);
    /// `None` where nobody counts them.
    fn requests_per_minute(&self) -> Option<f64> {
        None
    }
    /// Ends all connections; returns at the latest after `deadline`.
    fn close(&self, deadline: Duration) -> Fut<'_, ()>;
}

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard {
    /// Topic.
    pub topic: Name,
    /// Partition.
    pub partition: i32,
}

impl Shard {
    /// Makes a shard.
    pub fn new(topic: impl Into<Name>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

/// The cluster itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The cluster's id, as the broker made it.
    pub id: Name,
    /// Node ids with `host:port`.
    pub nodes: Vec<(i32, String)>,
    /// The controller's node id, where known.
    pub controller: Option<i32>,
}

/// One topic as the metadata has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Name.
    pub name: Name,
    /// Whether the broker calls it internal.
    pub internal: bool,
    /// Partitions in order.
    pub partitions: Vec<PartitionInfo>,
    /// Why its partitions are not known, for example missing rights.
    pub error: Option<BrokerError>,
}

impl TopicInfo {
    /// Its partitions, in order.
    pub fn shards(&self) -> impl Iterator<Item = Shard> {
        self.partitions.iter().map(|p| Shard::new(Name::clone(&self.name), p.partition))
    }
}

/// One partition as the metadata has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Partition number.
    pub partition: i32,
    /// Node id of the leader; `None` while there is none.
    pub leader: Option<i32>,
    /// Node ids of all replicas.
    pub replicas: Vec<i32>,
    /// Node ids of the in-sync replicas.
    pub isr: Vec<i32>,
}

/// A topic's identity: a topic that was deleted and made again has another. 16 bytes as Kafka prints them
/// (URL-safe base64 without padding, KIP-516).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub Name);

/// The first and last offsets of a partition at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// First offset that is still there.
    pub start: i64,
    /// High watermark: the offset that the next committed record gets.
    pub end: i64,
    /// Last stable offset: where a read_committed reader stops; equal to `end` without open transactions.
    pub last_stable: i64,
}

/// One configuration value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The value; `None` where the broker hides it.
    pub value: Option<String>,
    /// Whether it is the broker's default.
    pub is_default: bool,
}

/// A topic's configuration by name.
pub type TopicConfig = BTreeMap<String, ConfigEntry>;

/// What the user may do with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Read its records.
    pub read: bool,
    /// Write records to it.
    pub write: bool,
}

/// Topics, partitions, configuration and offsets.
pub trait Catalog: Send + Sync {
    /// The cluster.
    fn cluster(&self) -> Fut<'_, Cluster>;
    /// All topics, or only those named; a named topic that does not exist is left out. Never creates one.
    fn topics<'a>(&'a self, only: Option<&'a [Name]>) -> Fut<'a, Vec<TopicInfo>>;
    /// The ids of topics.
    fn topic_ids<'a>(&'a self, topics: &'a [Name]) -> Fut<'a, Each<TopicId>>;
    /// The configurations of topics.
    fn configs<'a>(&'a self, topics: &'a [Name]) -> Fut<'a, Each<TopicConfig>>;
    /// What the user may do with topics; `None` where the broker does not tell.
    fn allowed<'a>(&'a self, topics: &'a [Name]) -> Fut<'a, Each<Option<Allowed>>> {
        Box::pin(async move { Ok(topics.iter().map(|_| Ok(None)).collect()) })
    }
    /// First, end and last stable offsets, all in flight together.
    fn bounds<'a>(&'a self, of: &'a [Shard]) -> Fut<'a, Each<Bounds>>;
    /// The same where they are known from a little while ago: the end and the last stable offset are those of now, the
    /// first offset may be the one that was known. It costs a broker less than [`Self::bounds`].
    fn renew<'a>(&'a self, known: &'a [(Shard, Bounds)]) -> Fut<'a, Each<Bounds>> {
        Box::pin(async move {
            let shards: Vec<Shard> = known.iter().map(|(shard, _)| shard.clone()).collect();
            self.bounds(&shards).await
        })
    }
    /// The first offset whose timestamp is not before the given time; `None` where all are older.
    fn offsets_at<'a>(&'a self, of: &'a [(Shard, Timestamp)]) -> Fut<'a, Each<Option<i64>>>;
}

/// Which records of transactions a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Only committed ones, up to the last stable offset.
    #[default]
    ReadCommitted,
    /// All, aborted ones too.
    ReadUncommitted,
}

impl Isolation {
    /// The configuration word, `read_committed` or `read_uncommitted`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read_committed",
            Self::ReadUncommitted => "read_uncommitted",
        }
    }
}

/// Where a span ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Before this offset: the span is done when the position reaches it, also over gaps. It waits where
    /// the offset is not yet readable (for a read_committed reader: behind the last stable offset).
    Offset(i64),
    /// At the end that the reader meets (the last stable offset for read_committed).
    End,
    /// Never: new records are followed.
    Follow,
}

/// A piece of one partition to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Partition.
    pub shard: Shard,
    /// First offset wanted. Below the start of the log the read begins at the start and says so.
    pub from: i64,
    /// Where it ends.
    pub until: Until,
}

impl Span {
    /// How many offsets it has; `None` where its end is not known before.
    pub fn length(&self) -> Option<u64> {
        match self.until {
            Until::Offset(end) => Some(end.saturating_sub(self.from).max(0).unsigned_abs()),
            Until::End | Until::Follow => None,
        }
    }
}

/// What to read and with how much memory.
#[derive(Clone)]
pub struct ReadPlan {
    /// The pieces; a partition occurs once at most.
    pub spans: Vec<Span>,
    /// Which records of transactions are seen.
    pub isolation: Isolation,
    /// Bytes of records that may wait between broker and caller; a full queue stops the fetching.
    pub budget: usize,
    /// Which records are wanted at all; `None` for all. What it leaves out is counted, and never copied.
    pub sieve: Option<Arc<dyn Sieve>>,
    /// Whether the headers of records are wanted; without them a reader may save the work of reading them.
    pub headers: bool,
}

impl ReadPlan {
    /// The budget where none is said.
    pub const BUDGET: usize = 8 << 20;

    /// A committed read of all records with the usual budget.
    pub fn new(spans: Vec<Span>) -> Self {
        Self { spans, isolation: Isolation::ReadCommitted, budget: Self::BUDGET, sieve: None, headers: true }
    }
}

/// What becomes of a record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sifted {
    /// It is given to the caller.
    Keep,
    /// It is left out.
    Leave,
    /// It is left out, and counted as one that is meant.
    Count,
    /// The sieve keeps so many bytes for it until the next batch is given: they wait like those of a record.
    Take(usize),
}

/// What became of records that were staged.
pub type Answers = Vec<(Ticket, Result<Placed, BrokerError>)>;

/// Records that a transaction's writer sends as one batch to a partition at most, as soon as they are there: what is
/// queued for other partitions meanwhile delays it no more. Of records of half a kilobyte so many make a megabyte, the
/// largest batch that brokers take as they come; each batch is a request, which costs a broker as much as hundreds of
/// records.
pub const BATCH_RECORDS: usize = 2_000;

/// Tells of a record, by its bytes where they lie, what becomes of it. Called on the reading thread.
pub trait Sieve: Send + Sync {
    /// What becomes of the record.
    fn sift(&self, record: &dyn RecordBytes) -> Sifted;

    /// Whether it takes the headers of all records apart, which is more work than to read them: several threads may
    /// then read at once.
    fn is_work(&self) -> bool {
        false
    }
}

/// What a reader tells beside records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The partition's span is read to its end; nothing more comes from it.
    Finished(Shard),
    /// The reader is at the end of a followed partition for now.
    CaughtUp(Shard),
    /// Records before `start` are gone (retention, deletion): the read went on there.
    Trimmed {
        /// Partition.
        shard: Shard,
        /// Offset asked for.
        wanted: i64,
        /// First offset there is.
        start: i64,
    },
    /// The log became shorter than the position (truncated, or the topic was made again); the span ended.
    Truncated {
        /// Partition.
        shard: Shard,
        /// Offset the reader stood at.
        position: i64,
        /// End of the log now.
        end: i64,
    },
    /// This partition cannot be read (and no longer will be); the others go on.
    Failed(Shard, BrokerError),
}

/// Records in the order of their partitions, and how far each partition was read.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Records; within a partition by offset.
    pub records: Vec<Record>,
    /// For partitions that moved: the next offset to be read, past markers and gaps.
    pub positions: Vec<(Shard, i64)>,
    /// What else happened.
    pub notices: Vec<Notice>,
    /// What the sieve left out.
    pub left: Left,
}

/// Records that were read and not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Left {
    /// Records.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Those among them that were counted as meant.
    pub counted: u64,
}

impl Left {
    fn add(&mut self, size: usize, how: Sifted) {
        self.records += 1;
        self.bytes += size as u64;
        self.counted += u64::from(matches!(how, Sifted::Count | Sifted::Take(_)));
    }
}

/// Reading without being seen: no group is joined, nothing is committed, nothing left behind.
pub trait Reader: Send + Sync {
    /// Starts a read. It ends when the plan is done, `cancel` is triggered or the stream is dropped.
    fn open(&self, plan: ReadPlan, cancel: CancellationToken) -> Fut<'_, Box<dyn Batches>>;
}

/// A read under way.
pub trait Batches: Send {
    /// The next batch; `None` when all spans are done. After a cancel it is [`ErrorKind::Cancelled`].
    fn next(&mut self) -> Fut<'_, Option<Batch>>;
}

/// What kind of group it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// The classic protocol.
    Classic,
    /// KIP-848.
    Consumer,
    /// KIP-932 share group.
    Share,
    /// KIP-1071 streams group.
    Streams,
    /// Not told.
    Unknown,
}

impl GroupKind {
    /// The word of `commands.md`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
            Self::Share => "share",
            Self::Streams => "streams",
            Self::Unknown => "unknown",
        }
    }
}

/// One line of the list of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSummary {
    /// Group id.
    pub group: Name,
    /// Kind.
    pub kind: GroupKind,
    /// State in the broker's words, lower case (`stable`, `empty`, `preparing_rebalance`, …); `None` unknown.
    pub state: Option<String>,
    /// Why kind, state or lag cannot be had.
    pub unknown_reason: Option<String>,
}

/// One member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Member id.
    pub id: Name,
    /// Client id that it gave.
    pub client_id: String,
    /// Host it connects from.
    pub host: String,
    /// Partitions assigned to it.
    pub assigned: Vec<Shard>,
}

/// A group with its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Summary.
    pub summary: GroupSummary,
    /// Node id of the coordinator, where known.
    pub coordinator: Option<i32>,
    /// Members.
    pub members: Vec<Member>,
}

/// Committed offsets of one group: the next offset to be consumed of each partition with a commit.
pub type Committed = Vec<(Shard, i64)>;

/// Consumer groups, looked at from outside.
pub trait Groups: Send + Sync {
    /// All groups that the broker names.
    fn list(&self) -> Fut<'_, Vec<GroupSummary>>;
    /// Members and states, all in flight together.
    fn describe<'a>(&'a self, groups: &'a [Name]) -> Fut<'a, Each<Group>>;
    /// Committed offsets, all in flight together; partitions without a commit are left out.
    fn committed<'a>(&'a self, groups: &'a [Name]) -> Fut<'a, Each<Committed>>;
    /// The same for some partitions of groups, which can cost much less than all of them; what is not there or may not be
    /// read is left out, too.
    fn committed_on<'a>(&'a self, parts: &'a [(Name, Vec<Shard>)]) -> Fut<'a, Each<Committed>>;
}

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Name.
    pub name: Name,
    /// Number of partitions.
    pub partitions: i32,
    /// Replication factor; `None` for the broker's default.
    pub replication: Option<i32>,
    /// Configuration that differs from the broker's default.
    pub config: Vec<(String, String)>,
}

/// How a session writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// In transactions under this transactional id; beginning fences every predecessor with the same id and
    /// returns after its open transaction was finished (KIP-98).
    Transactional {
        /// Transactional id.
        id: String,
        /// After this long without an end the broker aborts an open transaction.
        timeout: Duration,
    },
    /// Without transactions: acks=all and idempotence.
    Idempotent,
}

/// Names one staged record within its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Records that were queued together.
#[derive(Clone, Debug, Default)]
pub struct Staged {
    /// Of those that were queued, in order: each is higher than the one before.
    pub tickets: Vec<Ticket>,
    /// Why the next one could not be.
    pub stuck: Option<BrokerError>,
}

/// Where a staged record was placed. In a transaction this is known before the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

/// How a commit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    /// All that was staged is committed. A broker may answer before committed readers see it: Kafka writes the
    /// markers afterwards, so a reader that must see it goes up to the high watermark.
    Done,
    /// The answer was lost: it may or may not be committed. The session is dead; read the truth back.
    Unknown(BrokerError),
    /// Another session with the same id took over, or the transaction timed out (the broker does not tell
    /// the two apart). The session is dead.
    Fenced(BrokerError),
    /// Nothing was committed; the session can go on after [`Session::abort`].
    Aborted(BrokerError),
}

/// A writing session, used by one task.
pub trait Session: Send + Sync {
    /// What it guarantees.
    fn guarantee(&self) -> Guarantee;
    /// Queues one record; opens a transaction when none is open. Waits while the client's queue is full.
    fn stage(&mut self, write: Write) -> Fut<'_, Ticket>;
    /// Queues records in their order, until one cannot be.
    fn stage_all<'a>(&'a mut self, records: &'a [&'a dyn Outbound]) -> Fut<'a, Staged> {
        Box::pin(async move {
            let mut staged = Staged::default();
            for record in records {
                match self.stage(record.to_write()).await {
                    Ok(ticket) => staged.tickets.push(ticket),
                    Err(error) => {
                        staged.stuck = Some(error);
                        break;
                    }
                }
            }
            Ok(staged)
        })
    }
    /// Waits until every staged record is answered, and gives the answers since the last call. A refused
    /// record leaves a transaction that can only be aborted.
    fn settle(&mut self) -> Fut<'_, Answers> {
        self.settle_to(0)
    }
    /// The same, but waits only until no more than `left` records are without an answer.
    fn settle_to(&mut self, left: usize) -> Fut<'_, Answers>;
    /// Ends the transaction (or flushes, without one). Never guesses: see [`Commit`].
    fn commit(&mut self) -> Fut<'_, Commit>;
    /// Aborts the open transaction, if there is one.
    fn abort(&mut self) -> Fut<'_, ()>;
}

/// Writing; every call of it changes the cluster.
pub trait Writer: Send + Sync {
    /// Begins a session.
    fn begin(&self, kind: SessionKind) -> Fut<'_, Box<dyn Session>>;
    /// Makes topics; one that exists is an error of kind [`ErrorKind::AlreadyExists`].
    fn create_topics<'a>(&'a self, topics: &'a [NewTopic]) -> Fut<'a, Each<()>>;
    /// Whether topics could be made by this user, in the words that making them would fail with. Makes none.
    fn check_topics<'a>(&'a self, topics: &'a [NewTopic]) -> Fut<'a, Each<()>>;
    /// Deletes topics with all their records.
    fn delete_topics<'a>(&'a self, topics: &'a [Name]) -> Fut<'a, Each<()>>;
    /// Deletes groups without members.
    fn delete_groups<'a>(&'a self, groups: &'a [Name]) -> Fut<'a, Each<()>>;
    /// Deletes the records before the given offsets.
    fn delete_before<'a>(&'a self, before: &'a [(Shard, i64)]) -> Fut<'a, Each<()>>;
    /// Sets committed offsets of a group without members.
    fn alter_offsets<'a>(&'a self, group: &'a Name, offsets: &'a [(Shard, i64)]) -> Fut<'a, Each<()>>;
    /// Deletes committed offsets of a group without members; one that is not there is deleted already.
    fn delete_offsets<'a>(&'a self, group: &'a Name, of: &'a [Shard]) -> Fut<'a, Each<()>>;
    /// Joins a group as a member that commits by hand (read_committed, from the earliest offset where there
    /// is no commit). For programs that consume, like the demonstration's services; the console never joins.
    fn join<'a>(
        &'a self,
        group: &'a Name,
        client_id: &'a str,
        topics: &'a [Name],
    ) -> Fut<'a, Box<dyn Membership>>;
}

/// Membership of a group; dropping it leaves.
pub trait Membership: Send {
    /// Records of the assigned partitions; an empty list after `wait` without any.
    fn poll(&mut self, wait: Duration) -> Fut<'_, Vec<Record>>;
    /// Commits: the next offset to be consumed of each partition.
    fn commit<'a>(&'a mut self, offsets: &'a [(Shard, i64)]) -> Fut<'a, ()>;
    /// Leaves the group and waits for it, at most `deadline`.
    fn leave(self: Box<Self>, deadline: Duration) -> Fut<'static, ()>;
}
