//! One suite for every adapter of the port: what `src/broker/mod.rs` promises, asked of the embedded broker and of
//! a real Kafka.
//!
//! To add an adapter: a `Bench` of its own, and a module made by `cases!`. Where an adapter cannot do a thing, its
//! capabilities say so with a reason, and `bench::can` prints it; nothing is left out without that.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test may speak and panic")]

mod bench;
mod groups;
mod lineage;
mod logs;
mod reading;
mod search;
mod transactions;
mod writing;

/// Makes a test of one case.
macro_rules! test {
    ($bench:expr, [$(#[$attribute:meta])*], $file:ident $case:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $(#[$attribute])*
        async fn $case() {
            crate::$file::$case(&$bench.await).await;
        }
    };
}

/// Makes a test of every case, for one adapter.
macro_rules! suite {
    ($bench:expr, $attributes:tt, $($file:ident: $($case:ident)*;)*) => {
        $(suite!(@file $bench, $attributes, $file $($case)*);)*
    };
    (@file $bench:expr, $attributes:tt, $file:ident $($case:ident)*) => {
        $(test!($bench, $attributes, $file $case);)*
    };
}

/// The one list of cases.
macro_rules! cases {
    ($bench:expr, $attributes:tt) => {
        suite! {
            $bench, $attributes,
            logs:
                an_empty_partition_begins_and_ends_at_zero
                one_wrong_name_costs_one_answer
                a_time_finds_the_first_record_that_is_not_older
                a_topic_made_again_has_another_id
                bounds_that_are_known_are_renewed
                what_was_deleted_a_moment_ago_is_refused
                a_topic_shows_its_configuration_and_what_is_not_the_default
                a_topic_that_exists_is_not_made_again
                whether_a_topic_can_be_made_is_told_and_none_is_made
                a_name_that_is_not_allowed_is_refused;
            reading:
                a_span_ends_before_its_offset
                all_partitions_are_read_to_their_ends
                a_followed_partition_tells_its_end_and_goes_on
                a_cancelled_read_says_so
                a_partition_is_asked_for_once
                headers_come_back_byte_by_byte
                null_and_empty_are_told_apart
                a_span_over_compacted_offsets_ends
                a_trimmed_log_says_where_it_begins_now
                a_position_behind_the_end_is_told
                a_topic_that_is_not_there_fails_alone
                reading_leaves_no_group_and_no_topic_behind;
            writing:
                a_key_decides_the_partition_as_the_java_client_does
                a_time_stamp_is_kept
                a_record_that_is_too_large_is_refused_by_name
                writing_never_makes_a_topic
                a_read_only_connection_has_no_writer;
            groups:
                a_group_with_commits_has_lag
                a_group_without_commits_has_none
                a_member_is_described_with_its_partitions
                offsets_of_an_active_group_are_not_moved
                offsets_are_deleted_by_partition
                offsets_of_an_active_group_are_not_deleted
                a_member_goes_on_where_the_group_stood
                a_group_without_members_can_be_deleted;
            transactions:
                a_committed_transaction_is_seen_whole
                an_aborted_transaction_is_not_seen_by_committed_readers
                an_open_transaction_holds_the_last_stable_offset
                a_reader_waits_behind_an_open_transaction
                a_successor_fences_and_ends_the_open_transaction
                offsets_are_known_before_the_commit
                a_refused_record_leaves_only_the_abort;
            lineage:
                a_letter_leads_to_its_origin_its_retries_and_other_letters_of_the_record;
            search:
                searches_find_what_a_brute_force_reference_finds;
        }
    };
}

mod memory {
    cases!(crate::bench::memory(), []);
}

mod kafka {
    cases!(crate::bench::kafka(), [#[ignore = "needs a Kafka broker: tests/run starts one"]]);
}
