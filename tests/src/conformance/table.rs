//! The table of all facts: a test binary passes a macro, which turns each fact into a test.
//!
//! It only names facts. The suite decides on which directory they run.

/// Calls `$run! { family: fact, fact, …; family: … }` with every fact that applies to any
/// [`Directory`](super::Directory).
#[macro_export]
macro_rules! for_each_fact {
    ($run:ident) => {
        $run! {
            attributes:
                stat_reports_the_kind_of_each_entry,
                the_folder_itself_is_a_folder,
                stat_by_name_and_by_handle_agree,
                an_unfinished_write_shows_in_the_length,
                a_file_is_made_with_its_mode,
                a_folder_is_made_with_its_mode,
                opening_an_existing_file_does_not_change_its_mode,
                a_mode_that_is_set_is_kept,
                a_mode_outlives_a_write_and_a_rename,
                a_mode_set_while_a_file_is_open_shows_in_its_handle,
                a_time_that_is_set_is_kept_to_the_nanosecond,
                a_time_outlives_reading_a_rename_and_a_mode,
                a_time_set_while_a_file_is_open_outlives_its_closing,
                a_write_renews_the_time,
                files_dated_and_renamed_right_after_they_were_closed_keep_content_and_time,
                files_dated_right_after_they_were_closed_keep_content_and_time,
                a_new_length_renews_the_time,
                a_new_entry_renews_the_time_of_its_folder,
                a_time_before_1970_is_kept,
                a_file_has_one_name,
                an_inode_number_stays_and_belongs_to_one_file,
                statvfs_reports_free_space;
            contents:
                what_is_written_is_read_back,
                a_new_file_is_empty,
                several_mebibytes_in_odd_pieces_are_read_back,
                a_write_across_a_page_and_a_mebibyte_changes_only_its_bytes,
                a_read_at_the_end_gives_nothing,
                a_read_past_the_end_gives_nothing,
                a_read_across_the_end_gives_exactly_the_rest,
                a_read_of_no_bytes_gives_nothing,
                a_write_of_no_bytes_changes_nothing,
                a_write_in_the_middle_keeps_the_rest,
                a_write_past_the_end_leaves_zeros_before_it,
                a_file_of_sixteen_mebibytes_can_be_a_hole_between_its_ends,
                appending_goes_to_the_end,
                two_appending_handles_lose_nothing,
                appending_goes_after_the_bytes_of_another_handle,
                opening_with_truncation_empties_the_file_and_keeps_its_inode,
                truncation_at_opening_shows_in_handles_that_were_open,
                a_shorter_length_cuts_the_end_off,
                a_greater_length_appends_zeros,
                truncated_bytes_do_not_come_back,
                a_length_set_through_one_handle_shows_in_another,
                a_length_set_by_name_shows_in_an_open_handle,
                two_handles_see_the_same_length_at_once,
                two_handles_see_the_same_content_at_once,
                a_read_handle_sees_what_is_written_after_it_was_opened,
                a_synced_file_reads_the_same,
                a_closed_file_can_be_written_again,
                writes_from_the_back_to_the_front_make_the_whole_file;
            errors:
                a_missing_entry_is_enoent_to_every_operation,
                a_path_below_a_missing_folder_is_enoent,
                a_path_below_a_file_is_enotdir_to_every_operation,
                an_existing_file_is_eexist_to_every_operation_that_creates_it,
                an_existing_folder_is_eexist_to_every_operation_that_creates_it,
                an_existing_link_is_eexist_to_every_operation_that_creates_it,
                exclusive_creation_makes_a_file_once,
                a_folder_is_not_opened_for_writing,
                the_length_of_a_folder_can_not_be_set,
                a_folder_is_not_unlinked,
                a_file_is_not_removed_as_a_folder,
                a_link_to_a_folder_is_not_removed_as_a_folder,
                a_folder_that_is_not_empty_is_not_removed,
                a_file_can_not_be_listed,
                only_a_link_has_a_target_to_read,
                a_folder_does_not_replace_a_file,
                a_file_does_not_replace_a_folder,
                a_folder_does_not_replace_one_that_is_not_empty,
                a_folder_does_not_move_into_itself,
                an_exchange_needs_both;
            folders:
                a_new_folder_is_empty,
                a_listing_names_the_folder_and_its_parent_once,
                a_listing_reports_the_same_kinds_and_inodes_as_stat,
                a_thousand_files_are_listed_once_each,
                a_removed_file_is_no_longer_listed,
                a_listing_continues_after_any_of_its_offsets,
                a_restarted_listing_shows_new_files,
                a_file_that_stays_is_listed_once_while_others_come_and_go,
                a_folder_is_emptied_while_it_is_listed,
                two_listings_of_one_folder_are_independent,
                folders_nest_thirty_deep,
                a_removed_folder_can_be_made_again_and_is_empty,
                a_name_may_be_a_file_then_a_folder_then_a_link,
                a_missing_name_is_found_once_it_exists;
            links:
                the_target_of_a_link_is_read_back_as_it_was_given,
                a_target_of_a_thousand_bytes_is_kept,
                a_link_is_a_link_and_as_long_as_its_target,
                an_unlinked_link_spares_its_target,
                a_renamed_link_is_the_link_and_not_its_target,
                a_file_replaces_a_link_and_not_its_target,
                a_hard_link_is_the_same_file_or_is_refused;
            names:
                a_name_of_255_bytes_works,
                a_name_of_255_bytes_in_multi_byte_letters_works,
                a_name_of_256_bytes_is_refused_by_every_operation_that_creates_it,
                a_name_of_256_bytes_is_not_looked_up,
                a_backslash_is_an_ordinary_character,
                control_characters_work,
                names_of_windows_devices_work,
                dots_and_spaces_at_the_ends_stay,
                characters_that_windows_forbids_work,
                letters_of_all_unicode_planes_work,
                composed_and_decomposed_letters_are_two_names,
                upper_and_lower_case_are_two_names,
                a_name_and_its_beginning_are_two_names;
            ranges:
                reserving_past_the_end_extends_the_file,
                reserving_within_the_file_changes_nothing,
                reserving_may_keep_the_length,
                reserving_nothing_is_refused,
                a_punched_hole_reads_as_zeros_and_keeps_the_length,
                a_hole_punched_across_the_end_keeps_the_length,
                data_is_found_where_it_was_written,
                no_written_byte_is_in_a_hole,
                the_end_of_a_full_file_is_its_first_hole,
                past_the_end_there_is_neither_data_nor_a_hole,
                a_range_is_copied_from_file_to_file,
                a_copy_ends_where_its_source_ends,
                a_copy_shows_in_a_file_that_is_open;
            renames:
                a_renamed_file_keeps_its_content_and_its_inode,
                a_file_moves_to_another_folder,
                a_rename_replaces_the_file_that_was_there,
                a_replaced_file_lives_on_in_its_open_handles,
                an_open_file_stays_open_under_its_new_name,
                a_file_written_and_renamed_before_it_is_closed_has_all_its_bytes,
                the_old_name_is_free_at_once,
                a_rename_to_the_same_name_changes_nothing,
                a_folder_replaces_an_empty_one,
                a_renamed_folder_keeps_its_whole_subtree,
                entries_of_a_renamed_folder_keep_their_inodes,
                an_open_file_in_a_renamed_folder_stays_open,
                a_renamed_folder_takes_new_entries,
                a_folder_moves_into_another_and_out_again,
                a_rename_that_must_not_replace_takes_a_free_name,
                a_rename_that_must_not_replace_fails_if_the_target_exists,
                an_exchange_swaps_two_files,
                an_exchange_swaps_a_file_and_a_full_folder,
                files_that_were_swapped_stay_open,
                many_replacements_in_a_row_leave_the_last;
            unlinked:
                an_unlinked_file_is_gone_by_name,
                an_open_file_without_a_name_can_be_read,
                an_open_file_without_a_name_can_be_written,
                an_open_file_without_a_name_has_no_links,
                an_open_file_without_a_name_can_be_cut_and_synced,
                two_handles_of_a_file_without_a_name_agree,
                the_name_of_an_unlinked_file_is_free_at_once,
                a_file_unlinked_and_closed_does_not_come_back,
                the_folder_of_an_unlinked_file_can_be_removed;
        }
    };
}

/// The same for the facts that the kernel decides.
#[macro_export]
macro_rules! for_each_fact_of_the_kernel {
    ($run:ident) => {
        $run! {
            kernel:
                a_dot_is_the_folder_itself_and_two_are_its_parent,
                dots_are_neither_made_nor_removed,
                a_path_of_more_than_4096_bytes_is_refused,
                a_descriptor_does_only_what_it_was_opened_for,
                a_link_is_followed_to_a_file_and_to_a_folder,
                a_link_to_itself_is_a_loop,
                a_link_to_nowhere_is_enoent,
                a_file_with_a_trailing_slash_is_enotdir,
                an_exclusive_lock_keeps_another_handle_out,
                a_shared_lock_lets_readers_in_and_keeps_writers_out,
                a_lock_ends_with_its_handle,
                a_process_can_lock_a_record,
                a_lock_outlives_a_rename_and_an_unlink;
        }
    };
}

#[cfg(test)]
mod tests {
    const TABLE: &str = include_str!("table.rs");
    const FAMILIES: [&str; 10] = [
        include_str!("attributes.rs"),
        include_str!("contents.rs"),
        include_str!("errors.rs"),
        include_str!("folders.rs"),
        include_str!("links.rs"),
        include_str!("names.rs"),
        include_str!("ranges.rs"),
        include_str!("renames.rs"),
        include_str!("unlinked.rs"),
        include_str!("kernel.rs"),
    ];

    #[test]
    fn no_fact_is_missing_in_the_table() {
        let is_listed = |fact: &str| {
            let mut lines = TABLE.lines().map(|line| line.trim().trim_end_matches([',', ';']));
            lines.any(|line| line == fact)
        };
        let lines = FAMILIES.into_iter().flat_map(str::lines);
        let facts = lines.filter_map(|line| line.strip_prefix("pub fn ")?.split('(').next());
        let missing: Vec<&str> = facts.filter(|fact| !is_listed(fact)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
