//! What a relay promises, as one list of checks that runs against two targets: the library in this
//! process, and the spawned `tandem-relay`. A check is a function of its target, so that neither
//! can promise more than the other.
//!
//! `in_process.rs` and `command.rs` test what only one target has: the hooks of the library, the
//! command line.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, a panic is the report"
)]

mod api;
mod command;
mod deadlines;
mod in_process;
mod limits;
mod privacy;
mod process;
mod shares;
mod stopping;
mod target;
mod wait;
mod waiting;
mod wire;

/// The list. Each check becomes two tests, one for each target.
macro_rules! conformance {
    ($($topic:ident: { $($check:ident),+ $(,)? })+) => {
        mod library {
            $($(
                #[tokio::test]
                async fn $check() {
                    crate::$topic::$check(crate::target::Target::Library).await;
                }
            )+)+
        }

        mod binary {
            $($(
                #[tokio::test]
                async fn $check() {
                    crate::$topic::$check(crate::target::Target::Binary).await;
                }
            )+)+
        }
    };
}

conformance! {
    api: {
        a_blob_is_fetched_exactly_as_it_was_registered,
        each_token_sees_only_its_own_blob,
        registering_again_replaces_the_blob,
        a_token_is_taken_only_once_if_the_registration_asks_for_that,
        a_condition_other_than_a_star_is_400,
        fetching_an_unknown_token_is_404,
        withdrawing_removes_the_entry_and_is_404_the_second_time,
        health_is_200,
        requests_can_share_a_connection,
        no_answer_may_be_cached,
        a_request_without_a_token_is_401_and_names_the_scheme,
        a_malformed_token_is_401_and_not_repeated,
        an_unknown_path_is_404_and_lists_the_paths,
        a_wrong_method_is_405_and_lists_the_right_ones,
        a_malformed_body_is_400_and_not_quoted,
        broken_http_is_400_and_ends_the_connection,
        http_2_is_not_supported,
        a_request_with_two_lengths_is_the_last_of_its_connection,
    }
    shares: {
        one_source_can_not_fill_a_relay,
        the_connection_past_a_share_is_closed_until_another_one_ends,
        behind_a_proxy_connections_have_no_share,
        one_entry_past_a_share_is_429_until_another_one_is_withdrawn,
        one_byte_past_a_share_is_429,
        a_client_that_names_another_source_is_not_believed,
        health_is_503_while_the_relay_is_full,
    }
    limits: {
        a_blob_is_stored_at_the_limit_and_413_one_byte_past_it,
        an_answer_is_no_longer_than_the_longest_body,
        a_body_at_the_limit_is_stored,
        a_body_one_byte_longer_is_413_before_any_of_it_is_sent,
        a_chunked_body_is_stored_at_the_limit_and_413_one_byte_past_it,
        the_413_reaches_a_client_that_sends_everything_first,
        header_lines_are_taken_at_the_limit_and_431_one_past_it,
        header_bytes_are_taken_at_the_limit_and_431_one_past_it,
        tokens_are_taken_at_both_limits_and_401_one_past_them,
        one_entry_past_the_limit_is_503,
        one_byte_past_the_limit_is_503,
        one_connection_past_the_limit_is_503_until_another_one_ends,
    }
    deadlines: {
        half_a_header_is_closed_in_time,
        a_header_that_drips_is_closed_in_time,
        an_idle_connection_is_closed_in_time,
        half_a_body_is_408_in_time,
        a_body_that_drips_is_408_in_time,
        a_busy_connection_is_closed_at_its_age,
        a_client_that_does_not_read_is_cut_off,
        an_entry_expires,
    }
    waiting: {
        a_fetch_that_waits_is_answered_when_its_token_is_registered,
        a_fetch_that_waits_in_vain_is_404,
        a_stopping_relay_waits_no_longer,
    }
    privacy: {
        the_log_shows_neither_tokens_nor_blobs,
    }
    stopping: {
        a_request_in_flight_is_finished_before_the_relay_stops,
        a_request_that_does_not_end_is_cut_off,
        the_port_is_free_when_the_relay_has_stopped,
    }
}
