//! Administrative requests and their answers as plain values.

use std::ffi::CString;

use rdkafka::TopicPartitionList;
use rdkafka::bindings::{
    rd_kafka_IsolationLevel_t, rd_kafka_consumer_group_state_t, rd_kafka_consumer_group_type_t,
};
use rdkafka::error::RDKafkaErrorCode;

use crate::broker::Shard;

/// A refusal in the words of librdkafka or the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Its code.
    pub(super) code: RDKafkaErrorCode,
    /// Its words.
    pub(super) words: String,
}

impl Refusal {
    /// Makes a refusal; `None` for the code of success. Without words the code's own are taken.
    pub(super) fn from_code(code: RDKafkaErrorCode, words: String) -> Option<Self> {
        if code == RDKafkaErrorCode::NoError {
            return None;
        }
        // The name of librdkafka's own worker says nothing to anybody.
        let words = match words.split_once(" worker coordinator request failed: ") {
            Some((_, why)) => why.to_owned(),
            None => words,
        };
        // Some words are only a place, and end where the reason should follow.
        let words = if words.is_empty() || words.ends_with(": ") { format!("{words}{code}") } else { words };
        Some(Self { code, words })
    }

    /// What was asked for makes no sense.
    pub(super) fn invalid(words: impl Into<String>) -> Self {
        Self { code: RDKafkaErrorCode::InvalidArgument, words: words.into() }
    }

    /// Whether the coordinator is just being chosen or moved: the same call succeeds soon.
    pub(super) fn is_moving(&self) -> bool {
        matches!(
            self.code,
            RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::NotCoordinator
        )
    }

    /// The call was given up.
    pub(super) fn no_answer() -> Self {
        Self { code: RDKafkaErrorCode::OperationTimedOut, words: "no answer in time".to_owned() }
    }
}

/// A request.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Cluster,
    Topics(Vec<CString>),
    /// The same, and what the user may do with them.
    Allowed(Vec<CString>),
    Configs(Vec<CString>),
    /// The offset of each partition is what is asked for: a time, or -1 for the end, -2 for the beginning.
    Offsets(TopicPartitionList, rd_kafka_IsolationLevel_t),
    Groups,
    GroupSheets(Vec<CString>),
    /// Committed offsets of a group, of all its partitions or of some.
    Committed(CString, Option<TopicPartitionList>),
    SetCommitted(CString, TopicPartitionList),
    DeleteCommitted(CString, TopicPartitionList),
    CreateTopic {
        name: CString,
        partitions: i32,
        replication: i32,
        config: Vec<(CString, CString)>,
        /// Nothing is made: only whether it could be is told.
        only_checked: bool,
    },
    DeleteTopics(Vec<CString>),
    DeleteGroups(Vec<CString>),
    DeleteRecords(TopicPartitionList),
}

/// An answer.
#[derive(Debug)]
pub(super) enum Told {
    Cluster {
        id: String,
        nodes: Vec<Node>,
        controller: Option<i32>,
    },
    Topics(Vec<TopicSheet>),
    Configs(Vec<(String, Result<Vec<Setting>, Refusal>)>),
    Parts(Vec<Part>),
    Groups {
        lines: Vec<GroupLine>,
        refusals: Vec<Refusal>,
    },
    GroupSheets(Vec<GroupSheet>),
    /// Names, with a refusal where there was one.
    Named(Vec<(String, Option<Refusal>)>),
}

/// A node of the cluster.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: i32,
    pub(super) host: String,
    pub(super) port: u16,
}

/// What is known of a topic.
#[derive(Debug)]
pub(super) struct TopicSheet {
    pub(super) name: String,
    /// Empty where the broker has none.
    pub(super) id: String,
    pub(super) internal: bool,
    pub(super) refusal: Option<Refusal>,
    pub(super) partitions: Vec<PartitionSheet>,
    /// Whether the user may read and write it; `None` where that was not asked.
    pub(super) allowed: Option<(bool, bool)>,
}

/// What is known of a partition.
#[derive(Debug)]
pub(super) struct PartitionSheet {
    pub(super) partition: i32,
    pub(super) leader: Option<i32>,
    pub(super) replicas: Vec<i32>,
    pub(super) isr: Vec<i32>,
}

/// One configuration entry.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) name: String,
    pub(super) value: Option<String>,
    pub(super) is_default: bool,
}

/// A partition with an offset, or why there is none.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) shard: Shard,
    pub(super) offset: i64,
    pub(super) refusal: Option<Refusal>,
}

/// A group in the list.
#[derive(Debug)]
pub(super) struct GroupLine {
    pub(super) group: String,
    pub(super) kind: rd_kafka_consumer_group_type_t,
    pub(super) state: rd_kafka_consumer_group_state_t,
}

/// A group with its members.
#[derive(Debug)]
pub(super) struct GroupSheet {
    pub(super) line: GroupLine,
    pub(super) refusal: Option<Refusal>,
    pub(super) coordinator: Option<i32>,
    pub(super) members: Vec<MemberSheet>,
}

/// A member of a group.
#[derive(Debug)]
pub(super) struct MemberSheet {
    pub(super) id: String,
    pub(super) client_id: String,
    pub(super) host: String,
    pub(super) assigned: Vec<Part>,
}
