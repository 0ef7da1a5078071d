//! The one table of the exporter's metrics: names, kinds, meanings.

use crate::exposition::{Family, Kind};

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, help }
}

const fn counter(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Counter, help }
}

/// Whether the broker answers.
pub const UP: Family = gauge(
    "redrive_up",
    "1 while the broker answers; with 0 only this and the time of the last sample are told.",
);
/// Version.
pub const BUILD: Family = gauge("redrive_build_info", "1, with the version of the exporter.");
/// Time of the last sample.
pub const SAMPLED: Family = gauge(
    "redrive_last_sample_timestamp_seconds",
    "When the cluster was last looked at, in seconds since 1970.",
);
/// Cost of the last sample.
pub const SAMPLE: Family =
    gauge("redrive_sample_duration_seconds", "How long the last look at the cluster took.");
/// Brokers.
pub const BROKERS: Family = gauge("redrive_cluster_brokers", "Brokers of the cluster.");
/// Records of a topic.
pub const RECORDS: Family = counter(
    "redrive_topic_records_total",
    "Records ever appended to the topic, by its end offsets; transaction markers count too.",
);
/// Partitions without a leader.
pub const OFFLINE: Family =
    gauge("redrive_topic_offline_partitions", "Partitions of the topic without a leader.");
/// Partitions with replicas behind.
pub const UNDER: Family = gauge(
    "redrive_topic_under_replicated_partitions",
    "Partitions of the topic with fewer in-sync replicas than replicas.",
);
/// Lag.
pub const LAG: Family =
    gauge("redrive_group_lag", "Records that the group has not consumed: end offset - committed offset.");
/// Lag in time.
pub const LAG_SECONDS: Family =
    gauge("redrive_group_lag_seconds", "Age of the first record that the group has not consumed.");
/// Status.
pub const STATUS: Family = gauge(
    "redrive_group_status",
    "1 for the status that the group has, 0 for the others: ok, warn, rewind, stall, stop, unknown.",
);
/// Members.
pub const MEMBERS: Family = gauge("redrive_group_members", "Members of the group.");
/// Latency.
pub const LATENCY: Family = Family {
    name: "redrive_end_to_end_latency_seconds",
    kind: Kind::Histogram,
    help: "From the event's own time to the commit that passed it, of the records that were sampled since the start; \
           redriven ones are left out.",
};
/// Clock skew.
pub const SKEWED: Family = counter(
    "redrive_end_to_end_latency_skewed_total",
    "Sampled records with an event time later than the commit that passed them: clocks differ.",
);
/// Dead letters.
pub const LETTERS: Family =
    gauge("redrive_dead_letters", "Dead letters of the topic by what became of them.");
/// Arrivals.
pub const ARRIVALS: Family =
    counter("redrive_dead_letter_arrivals_total", "Dead letters that arrived since the exporter started.");
/// The oldest pending letter.
pub const OLDEST: Family = gauge(
    "redrive_dead_letter_oldest_timestamp_seconds",
    "Time of the topic's oldest pending dead letter, in seconds since 1970.",
);
/// When it will be deleted.
pub const EXPIRES: Family = gauge(
    "redrive_dead_letter_expires_timestamp_seconds",
    "When retention can delete the topic's oldest pending dead letter, in seconds since 1970.",
);
/// What needs attention.
pub const ATTENTION: Family = gauge("redrive_attention", "Lines that need attention, by severity.");

/// All of them.
pub const ALL: &[Family] = &[
    UP,
    BUILD,
    SAMPLED,
    SAMPLE,
    BROKERS,
    RECORDS,
    OFFLINE,
    UNDER,
    LAG,
    LAG_SECONDS,
    STATUS,
    MEMBERS,
    LATENCY,
    SKEWED,
    LETTERS,
    ARRIVALS,
    OLDEST,
    EXPIRES,
    ATTENTION,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        for family in ALL {
            assert!(family.name.starts_with("redrive_"), "{}", family.name);
            assert_eq!(family.kind == Kind::Counter, family.name.ends_with("_total"), "{}", family.name);
            assert!(family.help.ends_with('.'), "{}", family.name);
            assert_eq!(ALL.iter().filter(|f| f.name == family.name).count(), 1, "{}", family.name);
        }
    }
}
