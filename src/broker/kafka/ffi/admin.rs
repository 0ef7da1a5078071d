//! Administrative calls: submitted together, answered on a private queue, copied out.
//!
//! The pointers of an answer live as long as its event (`rdkafka.h`, "Admin API"), so that all is copied into
//! owned values before the event is destroyed.

use std::ffi::{CStr, CString};
use std::os::raw::{c_int, c_void};
use std::ptr::null;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::bindings as rd;

use super::super::request::{
    Ask, GroupLine, GroupSheet, MemberSheet, Node, Part, PartitionSheet, Refusal, Setting, Told, TopicSheet,
};
use super::{Native, Owned, refusal, take_refusal, text};
use crate::broker::{Name, Shard};

/// How long one look into a queue waits; a cancelled call ends after it.
const STEP: Duration = Duration::from_millis(50);

/// The elements of an array that belongs to `owner`.
///
/// # Safety
/// `owner` is valid for `get` and lives as long as the answer is used.
unsafe fn rows<'a, O, T>(
    owner: *const O,
    get: unsafe extern "C" fn(*const O, *mut usize) -> *mut *const T,
) -> &'a [*const T] {
    let mut count = 0;
    // SAFETY: `owner` is valid by the caller's word, `count` is ours.
    let first = unsafe { get(owner, &raw mut count) };
    if first.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: librdkafka gives `count` elements at `first`, which live as long as `owner`.
    unsafe { std::slice::from_raw_parts(first, count) }
}

/// Copies a list of partitions.
///
/// # Safety
/// `list` is null, or lives until this returns.
unsafe fn parts(list: *const rd::rd_kafka_topic_partition_list_t) -> Vec<Part> {
    // SAFETY: alive by the caller's word; a null pointer becomes `None`.
    let Some(list) = (unsafe { list.as_ref() }) else { return Vec::new() };
    let count = usize::try_from(list.cnt).unwrap_or(0);
    if list.elems.is_null() || count == 0 {
        return Vec::new();
    }
    // SAFETY: the list has `cnt` elements at `elems`.
    let elements = unsafe { std::slice::from_raw_parts(list.elems, count) };
    // SAFETY: the elements live as long as the list.
    unsafe { each_part(elements) }
}

/// Copies partitions; those of one topic that follow each other share its name.
///
/// # Safety
/// Each element's topic is null or a string that lives until this returns.
unsafe fn each_part<'e>(elements: impl IntoIterator<Item = &'e rd::rd_kafka_topic_partition_t>) -> Vec<Part> {
    let mut last: Name = "".into();
    let part = |element: &rd::rd_kafka_topic_partition_t| {
        // SAFETY: by the caller's word.
        let same = !element.topic.is_null()
            && *unsafe { CStr::from_ptr(element.topic) }.to_bytes() == *last.as_bytes();
        if !same {
            // SAFETY: by the caller's word.
            last = unsafe { text(element.topic) }.into();
        }
        Part {
            shard: Shard::new(Name::clone(&last), element.partition),
            offset: element.offset,
            refusal: Refusal::from_code(element.err.into(), String::new()),
        }
    };
    elements.into_iter().map(part).collect()
}

/// # Safety
/// `node` is null, or lives until this returns.
unsafe fn node(node: *const rd::rd_kafka_Node_t) -> Option<Node> {
    if node.is_null() {
        return None;
    }
    // SAFETY: not null, and alive by the caller's word; the host belongs to the node.
    let (id, host, port) = unsafe {
        (rd::rd_kafka_Node_id(node), text(rd::rd_kafka_Node_host(node)), rd::rd_kafka_Node_port(node))
    };
    (id >= 0).then_some(Node { id, host, port })
}

/// # Safety
/// As for [`rows`].
unsafe fn node_ids<O>(
    owner: *const O,
    get: unsafe extern "C" fn(*const O, *mut usize) -> *mut *const rd::rd_kafka_Node_t,
) -> Vec<i32> {
    // SAFETY: by the caller's word; nodes live as long as their owner.
    unsafe { rows(owner, get).iter().filter_map(|n| node(*n)).map(|n| n.id).collect() }
}

/// What is under way at once weighs this much at most, where a partition of a list of offsets weighs 1 (17 bytes).
///
/// A broker reads one request of a connection at a time. Much more than its receive buffer (`socket.receive.buffer.bytes`,
/// 100 KiB) was seen to bring a connection to a standstill: both sides with full buffers, and neither read.
const UNDER_WAY: usize = 4_000;

/// What a call weighs.
fn weight(ask: &Ask) -> usize {
    match ask {
        Ask::Offsets(list, _) => list.count(),
        _ => 8,
    }
}

/// Sends the calls, many at once, waits until each is answered, and gives the answers in the order of the calls.
///
/// It blocks: at most `deadline` and a second, or until `stop` is set.
pub(in super::super) fn ask(
    client: &impl Native,
    asks: &[Ask],
    deadline: Duration,
    stop: &AtomicBool,
) -> Vec<Result<Told, Refusal>> {
    let mut answers: Vec<Option<Result<Told, Refusal>>> = asks.iter().map(|_| None).collect();
    let rk = client.raw();
    // SAFETY: the client is borrowed for all of this function, so that its handle is valid.
    let queue = unsafe { Owned::new(rd::rd_kafka_queue_new(rk), rd::rd_kafka_queue_destroy) };
    if let Some(queue) = &queue {
        let (mut sent, mut under_way) = (0, 0);
        let mut patience = (deadline.as_millis() + 1_000) / STEP.as_millis();
        while answers.iter().any(Option::is_none) && patience > 0 && !stop.load(Ordering::Relaxed) {
            while let (Some(ask), Some(answer)) = (asks.get(sent), answers.get_mut(sent))
                && (under_way == 0 || under_way + weight(ask) <= UNDER_WAY)
            {
                // SAFETY: handle and queue outlive the call; requests are copied by librdkafka.
                match unsafe { submit(rk, queue.raw(), ask, sent, deadline) } {
                    Ok(()) => under_way += weight(ask),
                    Err(refusal) => *answer = Some(Err(refusal)),
                }
                sent += 1;
            }
            if under_way == 0 {
                continue;
            }
            // SAFETY: the queue is ours; the event is owned from here on.
            let event = unsafe {
                Owned::new(
                    rd::rd_kafka_queue_poll(queue.raw(), STEP.as_millis() as c_int),
                    rd::rd_kafka_event_destroy,
                )
            };
            let Some(event) = event else {
                patience -= 1;
                continue;
            };
            // SAFETY: the opaque is the number that `submit` gave; it is never followed as a pointer.
            let number = unsafe { rd::rd_kafka_event_opaque(event.raw()) } as usize;
            if let (Some(ask), Some(answer)) = (asks.get(number), answers.get_mut(number)) {
                under_way -= weight(ask);
                // SAFETY: the event lives until the end of this turn.
                *answer = Some(unsafe { read(event.raw()) });
            }
        }
    }
    answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(Refusal::no_answer()))).collect()
}

fn operation(ask: &Ask) -> rd::rd_kafka_admin_op_t {
    use rd::rd_kafka_admin_op_t as op;
    match ask {
        Ask::Cluster => op::RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER,
        Ask::Topics(_) | Ask::Allowed(_) => op::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        Ask::Configs(_) => op::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS,
        Ask::Offsets(..) => op::RD_KAFKA_ADMIN_OP_LISTOFFSETS,
        Ask::Groups => op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS,
        Ask::GroupSheets(_) => op::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS,
        Ask::Committed(..) => op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS,
        Ask::SetCommitted(..) => op::RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS,
        Ask::DeleteCommitted(..) => op::RD_KAFKA_ADMIN_OP_DELETECONSUMERGROUPOFFSETS,
        Ask::CreateTopic { .. } => op::RD_KAFKA_ADMIN_OP_CREATETOPICS,
        Ask::DeleteTopics(_) => op::RD_KAFKA_ADMIN_OP_DELETETOPICS,
        Ask::DeleteGroups(_) => op::RD_KAFKA_ADMIN_OP_DELETEGROUPS,
        Ask::DeleteRecords(_) => op::RD_KAFKA_ADMIN_OP_DELETERECORDS,
    }
}

/// Submits one call with its number as the opaque.
///
/// # Safety
/// `rk` and `queue` are valid until this returns.
unsafe fn submit(
    rk: *mut rd::rd_kafka_t,
    queue: *mut rd::rd_kafka_queue_t,
    ask: &Ask,
    number: usize,
    deadline: Duration,
) -> Result<(), Refusal> {
    let none = || Refusal::invalid("librdkafka refused the request's arguments");
    let mut words = [0; 512];
    // SAFETY: the handle is valid; `words` is longer than 0 and lives until the end.
    let options = unsafe {
        let options =
            Owned::new(rd::rd_kafka_AdminOptions_new(rk, operation(ask)), rd::rd_kafka_AdminOptions_destroy)
                .ok_or_else(none)?;
        let millis = c_int::try_from(deadline.as_millis()).unwrap_or(c_int::MAX).min(3_600_000);
        rd::rd_kafka_AdminOptions_set_request_timeout(options.raw(), millis, words.as_mut_ptr(), words.len());
        rd::rd_kafka_AdminOptions_set_opaque(options.raw(), number as *mut c_void);
        options
    };
    let o = options.raw();
    let pointers = |names: &[CString]| names.iter().map(|n| n.as_ptr()).collect::<Vec<_>>();
    // SAFETY: everything passed is valid until the end of this function, and librdkafka copies what it keeps
    // (`rdkafka.h`: "the application may destroy the request objects after the call"). What is made here is
    // owned by a guard that lives to the end of its arm.
    unsafe {
        match ask {
            Ask::Cluster => rd::rd_kafka_DescribeCluster(rk, o, queue),
            Ask::Topics(names) | Ask::Allowed(names) => {
                if matches!(ask, Ask::Allowed(_))
                    && let Some(refused) =
                        take_refusal(rd::rd_kafka_AdminOptions_set_include_authorized_operations(o, 1))
                {
                    return Err(refused);
                }
                let mut names = pointers(names);
                let collection = rd::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
                let collection =
                    Owned::new(collection, rd::rd_kafka_TopicCollection_destroy).ok_or_else(none)?;
                rd::rd_kafka_DescribeTopics(rk, collection.raw(), o, queue);
            }
            Ask::Configs(names) => {
                let topic = rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
                let made: Option<Vec<_>> = names
                    .iter()
                    .map(|n| {
                        let resource = rd::rd_kafka_ConfigResource_new(topic, n.as_ptr());
                        Owned::new(resource, rd::rd_kafka_ConfigResource_destroy)
                    })
                    .collect();
                let made = made.ok_or_else(none)?;
                let mut raw: Vec<_> = made.iter().map(Owned::raw).collect();
                rd::rd_kafka_DescribeConfigs(rk, raw.as_mut_ptr(), raw.len(), o, queue);
            }
            Ask::Offsets(list, isolation) => {
                if let Some(refused) =
                    take_refusal(rd::rd_kafka_AdminOptions_set_isolation_level(o, *isolation))
                {
                    return Err(refused);
                }
                rd::rd_kafka_ListOffsets(rk, list.ptr(), o, queue);
            }
            Ask::Groups => rd::rd_kafka_ListConsumerGroups(rk, o, queue),
            Ask::GroupSheets(names) => {
                let mut names = pointers(names);
                rd::rd_kafka_DescribeConsumerGroups(rk, names.as_mut_ptr(), names.len(), o, queue);
            }
            Ask::Committed(group, some) => {
                let some = some.as_ref().map_or(null(), |list| list.ptr().cast_const());
                let new = rd::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), some);
                let new = Owned::new(new, rd::rd_kafka_ListConsumerGroupOffsets_destroy).ok_or_else(none)?;
                rd::rd_kafka_ListConsumerGroupOffsets(rk, &mut new.raw(), 1, o, queue);
            }
            Ask::SetCommitted(group, list) => {
                let new = rd::rd_kafka_AlterConsumerGroupOffsets_new(group.as_ptr(), list.ptr());
                let new = Owned::new(new, rd::rd_kafka_AlterConsumerGroupOffsets_destroy).ok_or_else(none)?;
                rd::rd_kafka_AlterConsumerGroupOffsets(rk, &mut new.raw(), 1, o, queue);
            }
            Ask::DeleteCommitted(group, list) => {
                let new = rd::rd_kafka_DeleteConsumerGroupOffsets_new(group.as_ptr(), list.ptr());
                let new =
                    Owned::new(new, rd::rd_kafka_DeleteConsumerGroupOffsets_destroy).ok_or_else(none)?;
                rd::rd_kafka_DeleteConsumerGroupOffsets(rk, &mut new.raw(), 1, o, queue);
            }
            Ask::CreateTopic { name, partitions, replication, config, only_checked } => {
                // Set where it is asked for only: a broker too old for it then refuses, and makes nothing.
                if *only_checked {
                    let refused =
                        rd::rd_kafka_AdminOptions_set_validate_only(o, 1, words.as_mut_ptr(), words.len());
                    if refused != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                        return Err(Refusal::invalid(text(words.as_ptr())));
                    }
                }
                let new = rd::rd_kafka_NewTopic_new(
                    name.as_ptr(),
                    *partitions,
                    *replication,
                    words.as_mut_ptr(),
                    words.len(),
                );
                let Some(new) = Owned::new(new, rd::rd_kafka_NewTopic_destroy) else {
                    return Err(Refusal::invalid(text(words.as_ptr())));
                };
                for (name, value) in config {
                    rd::rd_kafka_NewTopic_set_config(new.raw(), name.as_ptr(), value.as_ptr());
                }
                rd::rd_kafka_CreateTopics(rk, &mut new.raw(), 1, o, queue);
            }
            Ask::DeleteTopics(names) => {
                let made: Option<Vec<_>> = names
                    .iter()
                    .map(|n| {
                        Owned::new(rd::rd_kafka_DeleteTopic_new(n.as_ptr()), rd::rd_kafka_DeleteTopic_destroy)
                    })
                    .collect();
                let made = made.ok_or_else(none)?;
                let mut raw: Vec<_> = made.iter().map(Owned::raw).collect();
                rd::rd_kafka_DeleteTopics(rk, raw.as_mut_ptr(), raw.len(), o, queue);
            }
            Ask::DeleteGroups(names) => {
                let made: Option<Vec<_>> = names
                    .iter()
                    .map(|n| {
                        Owned::new(rd::rd_kafka_DeleteGroup_new(n.as_ptr()), rd::rd_kafka_DeleteGroup_destroy)
                    })
                    .collect();
                let made = made.ok_or_else(none)?;
                let mut raw: Vec<_> = made.iter().map(Owned::raw).collect();
                rd::rd_kafka_DeleteGroups(rk, raw.as_mut_ptr(), raw.len(), o, queue);
            }
            Ask::DeleteRecords(list) => {
                let new = rd::rd_kafka_DeleteRecords_new(list.ptr());
                let new = Owned::new(new, rd::rd_kafka_DeleteRecords_destroy).ok_or_else(none)?;
                rd::rd_kafka_DeleteRecords(rk, &mut new.raw(), 1, o, queue);
            }
        }
    }
    Ok(())
}

/// Copies an answer.
///
/// # Safety
/// `event` is valid until this returns.
unsafe fn read(event: *mut rd::rd_kafka_event_t) -> Result<Told, Refusal> {
    // SAFETY: the event is valid by the caller's word, its result belongs to it and is of the kind that its
    // type names; results and all that they lead to live as long as the event, and all is copied here.
    unsafe {
        let code = rd::rd_kafka_event_error(event).into();
        if let Some(refused) = Refusal::from_code(code, text(rd::rd_kafka_event_error_string(event))) {
            return Err(refused);
        }
        Ok(match rd::rd_kafka_event_type(event) {
            rd::RD_KAFKA_EVENT_DESCRIBECLUSTER_RESULT => {
                let result = rd::rd_kafka_event_DescribeCluster_result(event);
                let nodes = rows(result, rd::rd_kafka_DescribeCluster_result_nodes);
                Told::Cluster {
                    id: text(rd::rd_kafka_DescribeCluster_result_cluster_id(result)),
                    nodes: nodes.iter().filter_map(|n| node(*n)).collect(),
                    controller: node(rd::rd_kafka_DescribeCluster_result_controller(result)).map(|n| n.id),
                }
            }
            rd::RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT => {
                let result = rd::rd_kafka_event_DescribeTopics_result(event);
                let topics = rows(result, rd::rd_kafka_DescribeTopics_result_topics);
                Told::Topics(topics.iter().map(|t| topic_sheet(*t)).collect())
            }
            rd::RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT => {
                let result = rd::rd_kafka_event_DescribeConfigs_result(event);
                let resources = rows(result, rd::rd_kafka_DescribeConfigs_result_resources);
                Told::Configs(resources.iter().map(|r| settings(*r)).collect())
            }
            rd::RD_KAFKA_EVENT_LISTOFFSETS_RESULT => {
                let result = rd::rd_kafka_event_ListOffsets_result(event);
                let infos = rows(result, rd::rd_kafka_ListOffsets_result_infos);
                let at = |info: &*const rd::rd_kafka_ListOffsetsResultInfo_t| {
                    rd::rd_kafka_ListOffsetsResultInfo_topic_partition(*info).as_ref()
                };
                Told::Parts(each_part(infos.iter().filter_map(at)))
            }
            rd::RD_KAFKA_EVENT_LISTCONSUMERGROUPS_RESULT => {
                let result = rd::rd_kafka_event_ListConsumerGroups_result(event);
                let errors = rows(result, rd::rd_kafka_ListConsumerGroups_result_errors);
                let valid = rows(result, rd::rd_kafka_ListConsumerGroups_result_valid);
                Told::Groups {
                    lines: valid.iter().map(|line| group_line(*line)).collect(),
                    refusals: errors.iter().filter_map(|e| refusal(*e)).collect(),
                }
            }
            rd::RD_KAFKA_EVENT_DESCRIBECONSUMERGROUPS_RESULT => {
                let result = rd::rd_kafka_event_DescribeConsumerGroups_result(event);
                let groups = rows(result, rd::rd_kafka_DescribeConsumerGroups_result_groups);
                Told::GroupSheets(groups.iter().map(|g| group_sheet(*g)).collect())
            }
            rd::RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT => {
                let result = rd::rd_kafka_event_ListConsumerGroupOffsets_result(event);
                group_parts(rows(result, rd::rd_kafka_ListConsumerGroupOffsets_result_groups))?
            }
            rd::RD_KAFKA_EVENT_ALTERCONSUMERGROUPOFFSETS_RESULT => {
                let result = rd::rd_kafka_event_AlterConsumerGroupOffsets_result(event);
                group_parts(rows(result, rd::rd_kafka_AlterConsumerGroupOffsets_result_groups))?
            }
            rd::RD_KAFKA_EVENT_DELETECONSUMERGROUPOFFSETS_RESULT => {
                let result = rd::rd_kafka_event_DeleteConsumerGroupOffsets_result(event);
                group_parts(rows(result, rd::rd_kafka_DeleteConsumerGroupOffsets_result_groups))?
            }
            rd::RD_KAFKA_EVENT_CREATETOPICS_RESULT => {
                let result = rd::rd_kafka_event_CreateTopics_result(event);
                named_topics(rows(result, rd::rd_kafka_CreateTopics_result_topics))
            }
            rd::RD_KAFKA_EVENT_DELETETOPICS_RESULT => {
                let result = rd::rd_kafka_event_DeleteTopics_result(event);
                named_topics(rows(result, rd::rd_kafka_DeleteTopics_result_topics))
            }
            rd::RD_KAFKA_EVENT_DELETEGROUPS_RESULT => {
                let result = rd::rd_kafka_event_DeleteGroups_result(event);
                let groups = rows(result, rd::rd_kafka_DeleteGroups_result_groups);
                let one = |group: &*const rd::rd_kafka_group_result_t| {
                    let refused = refusal(rd::rd_kafka_group_result_error(*group));
                    (text(rd::rd_kafka_group_result_name(*group)), refused)
                };
                Told::Named(groups.iter().map(one).collect())
            }
            rd::RD_KAFKA_EVENT_DELETERECORDS_RESULT => {
                let result = rd::rd_kafka_event_DeleteRecords_result(event);
                Told::Parts(parts(rd::rd_kafka_DeleteRecords_result_offsets(result)))
            }
            other => return Err(Refusal::invalid(format!("librdkafka answered with event {other}"))),
        })
    }
}

/// An id as Kafka prints it: librdkafka takes the other alphabet of base64.
fn url_safe(base64: &str) -> String {
    base64.trim_end_matches('=').replace('+', "-").replace('/', "_")
}

/// # Safety
/// The topic is valid until this returns.
unsafe fn topic_sheet(topic: *const rd::rd_kafka_TopicDescription_t) -> TopicSheet {
    // SAFETY: by the caller's word; all that is read belongs to the topic.
    unsafe {
        let id = rd::rd_kafka_TopicDescription_topic_id(topic);
        let partitions = rows(topic, rd::rd_kafka_TopicDescription_partitions);
        TopicSheet {
            name: text(rd::rd_kafka_TopicDescription_name(topic)),
            id: if id.is_null() { String::new() } else { url_safe(&text(rd::rd_kafka_Uuid_base64str(id))) },
            internal: rd::rd_kafka_TopicDescription_is_internal(topic) != 0,
            refusal: refusal(rd::rd_kafka_TopicDescription_error(topic)),
            partitions: partitions
                .iter()
                .map(|p| PartitionSheet {
                    partition: rd::rd_kafka_TopicPartitionInfo_partition(*p),
                    leader: node(rd::rd_kafka_TopicPartitionInfo_leader(*p)).map(|n| n.id),
                    replicas: node_ids(*p, rd::rd_kafka_TopicPartitionInfo_replicas),
                    isr: node_ids(*p, rd::rd_kafka_TopicPartitionInfo_isr),
                })
                .collect(),
            allowed: operations(topic),
        }
    }
}

/// Whether reading and writing are among the operations of the topic; `None` where they were not asked for.
///
/// # Safety
/// The topic is valid until this returns.
unsafe fn operations(topic: *const rd::rd_kafka_TopicDescription_t) -> Option<(bool, bool)> {
    use rd::rd_kafka_AclOperation_t as op;
    let mut count = 0;
    // SAFETY: by the caller's word; the operations belong to the topic, and there are `count` of them.
    let operations = unsafe {
        let first = rd::rd_kafka_TopicDescription_authorized_operations(topic, &raw mut count);
        if first.is_null() {
            return None;
        }
        std::slice::from_raw_parts(first, count)
    };
    let has =
        |wanted: op| operations.contains(&wanted) || operations.contains(&op::RD_KAFKA_ACL_OPERATION_ALL);
    Some((has(op::RD_KAFKA_ACL_OPERATION_READ), has(op::RD_KAFKA_ACL_OPERATION_WRITE)))
}

/// # Safety
/// The resource is valid until this returns.
unsafe fn settings(
    resource: *const rd::rd_kafka_ConfigResource_t,
) -> (String, Result<Vec<Setting>, Refusal>) {
    // SAFETY: by the caller's word; all that is read belongs to the resource.
    unsafe {
        let name = text(rd::rd_kafka_ConfigResource_name(resource));
        let words = text(rd::rd_kafka_ConfigResource_error_string(resource));
        if let Some(refused) = Refusal::from_code(rd::rd_kafka_ConfigResource_error(resource).into(), words) {
            return (name, Err(refused));
        }
        let entries = rows(resource, rd::rd_kafka_ConfigResource_configs).iter().map(|entry| {
            let value = rd::rd_kafka_ConfigEntry_value(*entry);
            Setting {
                name: text(rd::rd_kafka_ConfigEntry_name(*entry)),
                value: (!value.is_null()).then(|| text(value)),
                is_default: rd::rd_kafka_ConfigEntry_is_default(*entry) == 1,
            }
        });
        (name, Ok(entries.collect()))
    }
}

/// # Safety
/// The line is valid until this returns.
unsafe fn group_line(line: *const rd::rd_kafka_ConsumerGroupListing_t) -> GroupLine {
    // SAFETY: by the caller's word.
    unsafe {
        GroupLine {
            group: text(rd::rd_kafka_ConsumerGroupListing_group_id(line)),
            kind: rd::rd_kafka_ConsumerGroupListing_type(line),
            state: rd::rd_kafka_ConsumerGroupListing_state(line),
        }
    }
}

/// # Safety
/// The group is valid until this returns.
unsafe fn group_sheet(group: *const rd::rd_kafka_ConsumerGroupDescription_t) -> GroupSheet {
    // SAFETY: by the caller's word; members and their assignments belong to the group, and `index` is below
    // the count that librdkafka gave.
    unsafe {
        let member = |index| {
            let member = rd::rd_kafka_ConsumerGroupDescription_member(group, index);
            let assignment = rd::rd_kafka_MemberDescription_assignment(member);
            MemberSheet {
                id: text(rd::rd_kafka_MemberDescription_consumer_id(member)),
                client_id: text(rd::rd_kafka_MemberDescription_client_id(member)),
                host: text(rd::rd_kafka_MemberDescription_host(member)),
                assigned: if assignment.is_null() {
                    Vec::new()
                } else {
                    parts(rd::rd_kafka_MemberAssignment_partitions(assignment))
                },
            }
        };
        GroupSheet {
            line: GroupLine {
                group: text(rd::rd_kafka_ConsumerGroupDescription_group_id(group)),
                kind: rd::rd_kafka_ConsumerGroupDescription_type(group),
                state: rd::rd_kafka_ConsumerGroupDescription_state(group),
            },
            refusal: refusal(rd::rd_kafka_ConsumerGroupDescription_error(group)),
            coordinator: node(rd::rd_kafka_ConsumerGroupDescription_coordinator(group)).map(|n| n.id),
            members: (0..rd::rd_kafka_ConsumerGroupDescription_member_count(group)).map(member).collect(),
        }
    }
}

/// # Safety
/// The groups are valid until this returns.
unsafe fn group_parts(groups: &[*const rd::rd_kafka_group_result_t]) -> Result<Told, Refusal> {
    let mut all = Vec::new();
    for group in groups {
        // SAFETY: by the caller's word; error and partitions belong to the group.
        unsafe {
            if let Some(refused) = refusal(rd::rd_kafka_group_result_error(*group)) {
                return Err(refused);
            }
            all.extend(parts(rd::rd_kafka_group_result_partitions(*group)));
        }
    }
    Ok(Told::Parts(all))
}

/// # Safety
/// The topics are valid until this returns.
unsafe fn named_topics(topics: &[*const rd::rd_kafka_topic_result_t]) -> Told {
    let one = |topic: &*const rd::rd_kafka_topic_result_t| {
        // SAFETY: by the caller's word; name and words belong to the topic's result.
        unsafe {
            let words = text(rd::rd_kafka_topic_result_error_string(*topic));
            let code = rd::rd_kafka_topic_result_error(*topic).into();
            (text(rd::rd_kafka_topic_result_name(*topic)), Refusal::from_code(code, words))
        }
    };
    Told::Named(topics.iter().map(one).collect())
}
