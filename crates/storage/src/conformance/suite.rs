//! The list of all cases, as tests.

/// Makes a test of every case, for the backend this expression makes. Anew for every test.
#[macro_export]
macro_rules! conformance_suite {
    ($backend:expr) => {
        $crate::conformance_cases! { $backend;
            companions {
                an_agent_is_written_with_its_document_and_followed,
                an_unlisted_agent_is_found_by_its_id_alone,
                a_deleted_agent_opens_nothing_and_stays_for_its_sessions,
                a_configured_agent_is_neither_followed_nor_deleted,
                the_configuration_leaves_written_agents_alone,
                the_configuration_may_take_up_the_id_of_an_agent_that_was_deleted,
                anothers_agents_and_integrations_cannot_be_touched,
                an_integration_is_kept_changed_and_removed_with_its_tokens,
                a_token_has_a_name_of_its_own_and_is_revoked_at_once,
            }
            searches {
                a_result_is_found_as_it_was_kept,
                results_are_searched_by_each_part_and_by_words,
                results_have_pages_orders_and_facets,
                what_is_purged_leaves_the_search,
                anothers_results_are_in_no_search,
                the_activity_log_is_searched_by_each_part,
            }
            sessions {
                an_opened_session_is_found_as_it_was_given,
                a_greeting_is_the_first_message_whether_it_was_counted_or_not,
                a_session_without_a_person_or_a_deadline_is_found_too,
                a_session_is_found_by_each_of_its_names,
                of_several_dialects_with_one_name_the_latest_is_meant,
                a_name_is_taken_within_its_dialect_alone,
                without_a_grace_the_last_credit_must_remain,
                an_open_is_admitted_down_to_the_grace,
                an_open_is_refused_one_below_the_grace,
                a_hold_counts_against_the_grace,
                a_refused_open_leaves_nothing_behind,
                an_unmetered_open_does_not_look_at_the_balance,
                a_keep_alive_moves_what_was_last_seen,
                a_keep_alive_never_moves_back,
                a_keep_alive_that_counts_holds_the_session_open,
                a_keep_alive_at_the_deadline_comes_too_late,
                the_census_counts_open_sessions_and_turns,
                a_session_that_owes_nothing_is_final_at_its_end,
                figures_about_commits_grow,
            }
            lists {
                a_list_shows_the_latest_opened_first,
                each_filter_restricts_by_its_part,
                filters_restrict_together,
                pages_have_no_gaps_or_doubles_though_rows_are_added,
                a_page_that_is_exactly_full_is_the_last,
                a_page_holds_no_more_than_its_limit,
                a_transcript_is_read_in_parts,
                the_person_does_not_see_tools_at_work,
            }
            turns {
                a_turn_begins_with_the_message_in_the_transcript,
                a_finished_turn_adds_up,
                a_turn_may_add_nothing,
                the_history_is_the_end_of_the_transcript,
                one_turn_at_a_time,
                a_turn_whose_lease_ran_out_is_superseded,
                a_late_turn_is_recorded_while_nobody_took_its_place,
                a_turn_that_never_began_cannot_finish,
                a_session_past_its_deadline_takes_no_turn,
                the_longest_duration_stops_turns_too,
                nothing_is_written_past_the_fence,
                a_session_that_is_not_there_takes_no_turn,
                turns_of_nodes_that_are_gone_free_their_place,
                an_end_during_a_turn_bills_what_was_said,
            }
            ends {
                every_reason_ends_a_session,
                an_end_settles_the_usage_and_releases_the_hold,
                a_session_that_cost_nothing_is_settled_at_zero,
                an_end_owes_exactly_what_the_plan_says,
                an_end_is_in_the_activity_log_with_its_note,
                the_activity_log_shows_the_latest_first,
                a_second_end_changes_nothing,
                a_deadline_that_passed_comes_before_who_asks_later,
                the_timer_ends_what_is_due_with_its_deadline,
                a_session_that_is_not_there_cannot_end,
            }
            deadlines {
                a_session_is_due_at_its_deadline_and_not_before,
                the_deadline_that_comes_first_counts,
                a_session_without_a_deadline_is_never_due,
                an_early_look_corrects_the_index,
                an_early_look_changes_nothing_else,
                an_ended_session_is_no_longer_due,
                a_turn_in_flight_holds_the_idle_timer,
                a_finished_turn_brings_the_deadline_forward,
                an_abandoned_turn_brings_the_deadline_forward,
                a_turn_that_takes_anothers_place_brings_the_deadline_forward,
                due_sessions_are_shared_fairly,
                a_batch_of_due_sessions_holds_no_more_than_its_limit,
                a_batch_of_due_sessions_is_filled_by_whoever_has_them,
            }
            connections {
                a_session_is_found_with_its_connection,
                a_session_that_was_let_go_ends_after_its_grace,
                a_session_without_another_deadline_is_due_too,
                a_session_is_taken_up_again_by_its_holder_alone,
                a_connection_that_was_replaced_lets_nothing_go,
                a_session_that_ended_is_neither_taken_up_nor_let_go,
                connections_go_with_their_nodes,
                a_turn_in_flight_is_waited_for_and_then_the_session_is_due,
                a_session_is_taken_up_before_it_is_given_up_or_not_at_all,
                of_two_connections_one_has_the_session,
            }
            steps {
                a_done_step_is_on_record,
                a_skipped_step_keeps_its_reason,
                a_failed_step_is_owed_again_later,
                steps_are_released_when_what_they_wait_for_is_settled,
                a_webhook_that_carries_the_analysis_waits_for_it,
                a_parked_step_holds_the_purge_and_the_session,
                a_resumed_step_starts_afresh_and_completes_the_session,
                only_a_parked_step_can_be_resumed,
                a_step_that_is_resumed_twice_is_owed_once,
                steps_are_listed_the_latest_owed_first,
                a_filter_finds_steps_in_every_state,
                the_census_counts_what_is_owed_and_parked,
                analyses_are_kept_with_the_report,
            }
            leases {
                the_longest_due_steps_are_claimed_first_up_to_the_limit,
                a_step_is_claimed_when_it_is_due_and_not_before,
                a_lease_that_ran_out_is_claimed_anew_and_put_on_record,
                a_stale_claim_writes_nothing,
                a_claim_that_was_never_made_cannot_report,
                a_late_report_counts_while_nobody_took_its_place,
                whoever_reports_may_go_on_with_the_next_of_the_lane,
                leases_of_nodes_that_are_gone_are_due_at_once,
                the_next_due_step_may_be_a_lease_that_runs_out,
                due_lanes_are_read_in_their_order,
            }
            deliveries {
                every_attempt_of_a_delivery_is_on_record,
                deliveries_are_listed_the_latest_first,
                a_delivery_is_sent_again_with_the_same_id,
                a_parked_delivery_is_sent_again_too,
                what_was_never_sent_cannot_be_sent_again,
                a_final_session_stays_final_when_a_delivery_is_sent_again,
                a_purge_removes_what_must_not_stay_and_nothing_else,
            }
            ledger {
                credits_are_granted_once_per_occasion,
                every_account_begins_at_zero,
                the_balances_are_the_sums_of_the_rows,
                a_page_of_the_ledger_holds_whole_transactions,
                the_ledger_of_one_session_is_its_hold_and_its_settlement,
            }
            directory {
                the_configuration_is_applied,
                applying_the_configuration_again_changes_nothing,
                an_organization_is_renamed_by_its_configuration,
                opening_credits_are_granted_once_whatever_their_amount,
                a_changed_agent_gets_a_version_and_the_old_one_stays,
                a_session_keeps_the_agent_it_was_opened_with,
                agents_made_at_run_time_stay,
                a_key_that_left_the_configuration_is_revoked,
                a_key_that_returns_to_the_configuration_opens_again,
                a_key_is_kept_with_all_it_may_do,
                a_revoked_key_opens_nothing_but_is_known,
                writers_of_one_agent_agree_on_its_versions,
                an_agent_that_was_deleted_returns_in_the_configuration,
            }
            memory {
                a_conversation_is_remembered_once,
                the_latest_episodes_come_first,
                memory_outlives_the_purge_of_a_session,
            }
            graphs {
                a_part_is_absorbed_once_and_in_its_place,
                a_fact_is_seen_with_its_ends_and_why_it_is_believed,
                a_new_place_closes_the_old_one_and_is_found_as_of_a_time,
                a_fact_is_found_by_its_words_its_kind_and_its_neighbours,
                what_sentences_are_like_finds_them_among_those_of_one_model,
                facts_have_pages_without_gaps_or_doubles,
                memories_of_one_organization_do_not_meet,
                of_many_who_absorb_a_part_one_does,
            }
            curation {
                a_corrected_fact_has_another_in_its_place_and_is_believed_no_more,
                a_correction_is_refused_where_it_cannot_be_and_changes_nothing,
                what_a_correction_says_is_ended_by_what_is_told_later,
                a_dropped_fact_is_gone_with_what_nobody_else_knows,
                everything_that_is_known_is_listed_in_pages,
                of_many_who_correct_a_fact_one_does,
                a_forgotten_persons_corrections_are_gone_too,
            }
            erasures {
                a_forgotten_person_is_gone_everywhere_and_others_stay,
                an_unknown_person_leaves_an_empty_report,
                what_began_before_is_never_remembered_again,
                an_erasure_of_many_goes_on_until_it_is_done,
                what_was_recalled_into_sessions_is_forgotten_too,
                transcripts_go_when_it_is_asked_and_the_books_stay,
                what_is_too_old_goes_unless_it_was_told_again,
                whoever_absorbs_while_a_person_is_forgotten_leaves_nothing,
            }
            tenants {
                anothers_sessions_cannot_be_found,
                anothers_things_are_in_no_list,
                anothers_sessions_cannot_be_touched,
                anothers_steps_cannot_be_touched,
                anothers_keys_and_memories_cannot_be_touched,
                equal_ids_in_two_organizations_are_two_sessions,
            }
            persistence {
                everything_is_there_after_a_restart,
                work_goes_on_after_a_restart,
                what_is_overdue_after_a_restart_keeps_its_deadline,
            }
            races {
                of_many_ends_one_wins,
                a_turn_finishes_before_the_end_or_is_fenced,
                a_turn_begins_before_the_end_or_not_at_all,
                of_many_turns_one_begins,
                a_session_that_was_kept_alive_is_not_expired,
                a_session_with_a_turn_is_not_expired,
                of_many_opens_with_one_name_one_succeeds,
                the_last_credits_are_held_once,
            }
            races_work {
                no_step_is_claimed_twice_under_live_leases,
                of_two_reports_of_one_claim_one_counts,
                a_late_report_counts_or_the_step_is_claimed_anew,
                of_many_last_reports_one_releases_and_one_finalizes,
                of_many_retries_one_resumes,
                of_many_resends_one_is_due,
                of_many_grants_of_one_occasion_one_counts,
                settlements_at_once_add_up,
            }
            endpoints {
                an_endpoint_has_one_live_session,
                an_endpoint_is_told_apart_by_dialect_channel_and_key,
                an_endpoint_is_free_after_the_end,
                an_endpoint_that_is_taken_comes_before_credits_and_bounds,
                another_organizations_endpoint_is_another,
                of_many_opens_of_one_endpoint_one_succeeds,
                an_organization_holds_as_many_open_as_it_may,
                of_many_opens_as_many_succeed_as_may,
                the_list_by_activity_shows_the_latest_active_first,
                each_filter_restricts_the_list_by_activity,
                another_organizations_activity_is_in_no_list,
            }
            whole_turns {
                a_whole_turn_is_written_when_it_is_finished,
                a_whole_turn_that_fails_leaves_nothing,
                a_turn_is_found_by_its_key_with_the_same_messages,
                a_key_is_found_after_the_end_and_before_it_is_looked_at,
                the_key_of_a_turn_that_failed_is_free,
                a_fenced_turn_puts_no_key_on_record,
                a_key_belongs_to_its_session_and_organization,
                a_last_turn_ends_its_session_in_one_decision,
                a_last_turn_past_the_longest_duration_ends_for_that,
                a_session_that_lives_on_is_revived_by_a_turn,
                a_live_session_follows_its_agent_to_its_end,
                a_purge_leaves_a_key_its_place_and_an_endpoint_nothing,
                a_keyed_turn_and_an_end_leave_both_or_neither,
                a_session_whose_agent_is_gone_begins_no_turn,
                the_end_within_a_turn_says_who_asked_for_it,
                a_conversation_in_the_clients_keeping_is_told_of_from_its_first_turn_on,
            }
            open_calls {
                what_is_said_with_a_reply_is_written_with_it,
                several_messages_begin_a_turn_together,
                open_calls_are_answered_by_the_next_turn,
                what_does_not_go_on_from_the_transcript_is_refused,
                calls_that_are_passed_over_are_closed_in_order,
                an_end_closes_the_calls_that_are_open,
                a_session_without_open_calls_ends_with_nothing_added,
                a_turn_on_record_says_how_much_was_said_to_the_agent,
                what_the_agent_saved_comes_with_its_turn,
                a_session_opened_for_a_turn_comes_about_with_it,
                a_turn_and_an_end_leave_no_call_open,
            }
            variables {
                variables_are_laid_over_those_of_a_live_session,
                variables_are_written_into_live_sessions_alone,
                a_bag_that_would_become_too_long_stays_as_it_is,
                variables_that_are_written_at_once_are_all_there,
            }
            stages {
                a_session_goes_with_the_node_of_its_stage,
                a_stage_is_lost_when_its_session_was_last_heard_of,
                a_stage_is_set_for_live_sessions_alone,
                what_is_said_on_a_stage_is_the_transcript,
                a_turn_that_is_long_has_several_messages,
                nothing_is_said_past_the_fence,
                what_is_said_comes_before_the_end_or_not_at_all,
            }
            texting {
                a_carrier_is_kept_found_and_replaced_under_its_name,
                an_organization_has_as_many_carriers_and_numbers_as_it_may,
                a_number_is_unique_and_answered_by_one_agent,
                a_message_is_taken_in_once,
                messages_of_a_line_are_taken_one_at_a_time_in_order,
                a_line_holds_as_many_as_it_may,
                every_stage_is_on_record_and_extends_the_lease,
                a_part_that_is_sent_after_the_end_moves_nothing,
                what_was_said_is_forgotten_when_it_is_done_and_kept_while_it_is_parked,
                a_lost_claim_on_a_message_writes_nothing,
                a_late_word_about_a_message_counts_while_nobody_took_its_place,
                messages_of_nodes_that_are_gone_are_due_at_once,
                due_inboxes_are_read_in_their_order,
                a_parked_message_is_resumed_at_the_end_of_its_line,
                messages_are_listed_the_latest_first,
                anothers_carriers_and_messages_cannot_be_touched,
                of_many_deliveries_of_one_message_one_is_new,
                no_message_is_claimed_twice_under_live_leases,
            }
            uploads {
                a_conversation_is_queued_once,
                of_a_lane_one_conversation_is_under_way_in_the_order_of_their_ends,
                progress_is_on_record_and_forgives_failures,
                a_lost_claim_on_an_upload_writes_nothing,
                the_step_that_waits_is_due_when_its_upload_is_at_rest,
                a_parked_upload_is_resumed_behind_what_is_under_way,
                a_dropped_lane_sends_nothing_any_more,
                what_began_before_its_person_was_forgotten_is_dropped_at_once,
                uploads_of_nodes_that_are_gone_are_due_at_once,
                due_uploads_are_read_in_their_order_and_counted,
            }
            gone {
                nothing_that_was_said_or_given_outlives_the_purge,
                messages_stay_where_the_profile_keeps_them,
                a_note_stays_where_the_api_keeps_transcripts,
                a_dead_receiver_keeps_no_conversation,
                a_receiver_that_is_still_to_be_told_keeps_its_own_words_alone,
                what_is_told_while_the_purge_runs_does_not_outlive_it,
                a_parked_receiver_holds_the_purge_where_transcripts_are_kept,
            }
            history {
                the_history_of_a_project_shows_the_latest_first,
                the_history_shows_what_the_analysis_made_of_a_session,
                the_figures_of_a_project_are_those_of_its_sessions,
            }
            subscriptions {
                a_url_is_subscribed_once_in_its_project,
                a_project_has_as_many_subscriptions_as_it_may_and_no_more,
                subscribers_are_told_by_steps_of_their_own_from_the_open_on,
                a_receivers_last_news_waits_for_its_own_start_alone,
                what_is_owed_to_a_subscription_is_settled_when_it_goes,
                what_is_owed_to_a_subscription_goes_a_part_at_a_time,
                a_subscribers_step_parks_and_is_resumed_alone,
                steps_of_one_moment_are_listed_once_each,
                whoever_subscribes_when_a_session_ends_is_told,
                telling_of_the_start_and_the_end_leave_one_final_session,
                of_many_subscribers_of_one_url_one_subscribes,
            }
            project_agents {
                a_projects_changes_make_an_agent_of_its_own,
                a_project_that_is_not_there_changes_nothing,
                a_projects_agent_follows_the_operators,
                of_many_writers_of_one_revision_one_writes,
            }
            projects {
                a_name_is_one_live_sessions_in_its_project,
                a_name_in_a_project_is_free_after_the_end,
                of_many_opens_of_one_name_in_a_project_one_succeeds,
                variables_are_written_before_the_end_or_not_at_all,
                last_words_are_written_with_the_end_they_come_with,
                the_live_sessions_of_a_project_are_read_in_parts,
                projects_are_what_the_configuration_says,
                sessions_of_a_project_that_is_gone_go_on,
                a_projects_key_is_kept_with_its_project,
            }
            histories {
                the_store_does_what_the_model_does,
            }
        }
    };
}

/// What [`conformance_suite!`] is made of.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($backend:expr; $($file:ident { $($case:ident,)* })*) => {
        $(
            mod $file {
                use super::*;

                $(
                    #[tokio::test(flavor = "multi_thread")]
                    async fn $case() {
                        let backend = $backend;
                        let outcome = $crate::conformance::$file::$case(&backend).await;
                        outcome.expect("the store works");
                    }
                )*
            }
        )*
    };
}

#[cfg(test)]
mod tests {
    /// The files that hold cases.
    const FILES: [&str; 31] = [
        include_str!("companions.rs"),
        include_str!("searches.rs"),
        include_str!("connections.rs"),
        include_str!("deadlines.rs"),
        include_str!("deliveries.rs"),
        include_str!("directory.rs"),
        include_str!("endpoints.rs"),
        include_str!("ends.rs"),
        include_str!("leases.rs"),
        include_str!("ledger.rs"),
        include_str!("lists.rs"),
        include_str!("memory.rs"),
        include_str!("gone.rs"),
        include_str!("histories.rs"),
        include_str!("history.rs"),
        include_str!("open_calls.rs"),
        include_str!("persistence.rs"),
        include_str!("project_agents.rs"),
        include_str!("projects.rs"),
        include_str!("subscriptions.rs"),
        include_str!("races.rs"),
        include_str!("races_work.rs"),
        include_str!("sessions.rs"),
        include_str!("stages.rs"),
        include_str!("steps.rs"),
        include_str!("tenants.rs"),
        include_str!("texting.rs"),
        include_str!("turns.rs"),
        include_str!("uploads.rs"),
        include_str!("variables.rs"),
        include_str!("whole_turns.rs"),
    ];

    #[test]
    fn no_case_is_left_out() {
        let suite = include_str!("suite.rs");
        let listed = |case: &str| suite.contains(&format!("                {case},\n"));
        let cases: Vec<_> = FILES
            .into_iter()
            .flat_map(|file| file.split("\npub async fn ").skip(1))
            .filter_map(|case| case.split_once('('))
            .filter(|(_, rest)| rest.trim_start().starts_with("backend: &impl Backend"))
            .map(|(name, _)| name)
            .collect();
        assert!(cases.len() > 100, "only {} cases were found", cases.len());
        let missing: Vec<_> = cases.into_iter().filter(|case| !listed(case)).collect();
        assert!(missing.is_empty(), "not in the suite: {missing:?}");
    }
}
