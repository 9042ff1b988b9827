//! What every durable outbox has to do, as tests that any of them can be put through.
//!
//! | file | asks |
//! |---|---|
//! | `door` | what is taken in, once, and in which order |
//! | `life` | a message from the first attempt to its end |
//! | `letters` | dead letters: buried, replayed, split, discarded |
//! | `lanes` | what a lane keeps: its pace, its memo |
//! | `lists` | what people look for |
//! | `prune` | what is forgotten, and what never |
//! | `book` | incidents, and what people asked to be done about them |
//! | `model` | random lives with crashes, against plain maps |
//! | `shared` | what several hosts on one store have to do besides |
//!
//! A kind of outbox says by [`Store`] how it is opened and what a crash leaves, and calls [`outbox_suite!`]; one that hosts share calls
//! [`shared_suite!`], too. A test is a function over any store. One that is missing in the lists below is dead code, which the compiler tells.

pub(super) mod book;
pub(super) mod door;
pub(super) mod lanes;
pub(super) mod letters;
pub(super) mod life;
pub(super) mod lists;
pub(super) mod model;
pub(super) mod prune;
mod sample;
#[cfg(feature = "postgres")]
pub(super) mod shared;

use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;

pub(super) use self::sample::*;
use super::book::Book;
use super::{Claim, Outbox, OutboxError, Taken};

/// Where an outbox of one kind keeps its things, in a test.
#[async_trait]
pub(super) trait Store: Sized + Send + Sync + 'static {
    /// How many random lives an outbox of this kind leads in a few seconds.
    const LIVES: u32;

    /// Whether several hosts can be on it at once.
    const SHARED: bool;

    /// An empty one. `None` where this machine is to do without what it needs.
    async fn fresh() -> Option<Self>;

    /// Opens an outbox on what is there. It keeps its history for seven days, and ids for one.
    async fn open(&self) -> Result<Arc<dyn Outbox>, OutboxError>;

    /// The host crashes: what the next [`Store::open`] finds is what a crash would leave at this moment.
    async fn crash(&mut self, outbox: Arc<dyn Outbox>);

    /// How many times an event that is kept is needed, as the store counts it.
    async fn needed(&self) -> i64;
}

/// An outbox that is open on its store.
pub(super) struct Stage<S> {
    store: S,
    outbox: Option<Arc<dyn Outbox>>,
}

impl<S> Deref for Stage<S> {
    type Target = dyn Outbox;

    fn deref(&self) -> &Self::Target {
        &**self.outbox.as_ref().expect("it is only closed while it is opened again")
    }
}

impl<S: Store> Stage<S> {
    /// An empty outbox; `None` as [`Store::fresh`].
    pub(super) async fn new() -> Option<Stage<S>> {
        let store = S::fresh().await?;
        let outbox = store.open().await.unwrap();
        Some(Stage { store, outbox: Some(outbox) })
    }

    /// The outbox, for tasks. They have to end before it crashes or is closed.
    pub(super) fn share(&self) -> Arc<dyn Outbox> {
        self.outbox.clone().expect("it is only closed while it is opened again")
    }

    /// A further host on the same store.
    pub(super) async fn another(&self) -> Arc<dyn Outbox> {
        self.store.open().await.unwrap()
    }

    /// The part that knows incidents.
    pub(super) fn records(&self) -> &dyn Book {
        self.book().expect("a durable outbox keeps a book")
    }

    /// The host crashes and starts again.
    pub(super) async fn crash(&mut self) {
        if let Some(outbox) = self.outbox.take() {
            self.store.crash(outbox).await;
        }
        self.outbox = Some(self.store.open().await.unwrap());
    }

    /// The host ends as it should and starts again.
    pub(super) async fn reopen(&mut self) {
        if let Some(outbox) = self.outbox.take() {
            outbox.close().await;
        }
        self.outbox = Some(self.store.open().await.unwrap());
    }

    /// As [`Store::needed`].
    pub(super) async fn needed(&self) -> i64 {
        self.store.needed().await
    }

    /// Makes lanes this host's, before anything is done for them.
    pub(super) async fn hold(&self, connectors: &[&str]) {
        for connector in connectors {
            let claim = self.claim(connector).await.unwrap();
            assert_ne!(claim, Claim::Elsewhere, "nobody else is there");
        }
    }

    /// Takes one event in, for lanes that are this host's; its number in the queue of the first.
    pub(super) async fn take(&self, id: &str, connectors: &[&str]) -> i64 {
        assert_eq!(self.accept(T0, vec![incoming(id, connectors)], vec![]).await.unwrap(), [Taken::New]);
        self.hold(connectors).await;
        self.waiting(connectors[0], 10_000).await.unwrap().last().unwrap().seq
    }

    /// The ids of the events that wait for a connector, in order.
    pub(super) async fn queue(&self, connector: &str) -> Vec<String> {
        self.waiting(connector, 10_000).await.unwrap().into_iter().map(|waiting| waiting.event.id.clone()).collect()
    }
}

/// Puts one kind of outbox through everything: makes a test of each of these.
macro_rules! outbox_suite {
    ($store:ty) => {
        $crate::outbox::suite::outbox_suite! { @tests $store,
            door:
                an_event_seen_before_changes_nothing_until_the_window_is_over,
                an_event_twice_in_one_call_is_taken_once,
                an_event_that_two_hand_over_at_once_is_new_to_one_of_them,
                events_wait_in_the_order_in_which_they_were_accepted,
                what_could_not_be_read_is_kept_and_shortened,
                sixty_four_producers_get_their_own_answers_and_all_is_there_after_a_crash,
                what_is_closed_takes_nothing_and_tells_nothing;
            life:
                an_event_waits_is_sent_and_leaves_the_lane_idle,
                a_message_in_flight_at_a_crash_is_unknown_afterwards_and_keeps_its_key,
                steps_and_throttled_attempts_do_not_count_as_attempts,
                a_call_that_does_not_fit_changes_nothing,
                a_call_that_does_not_fit_changes_nothing_for_those_beside_it,
                an_attempt_is_never_made_beside_another_of_the_same_lane,
                of_many_attempts_the_last_are_kept;
            letters:
                a_replayed_dead_letter_waits_its_turn_under_a_new_key,
                what_never_was_sent_can_be_replayed,
                the_other_half_is_next_in_turn_with_a_key_of_its_own,
                only_a_dead_letter_is_replayed_or_discarded;
            lanes:
                a_pace_and_a_memo_survive_whatever_ends_the_host,
                a_memo_stays_until_there_is_another,
                the_messages_of_a_month_are_counted_over_restarts_and_shown;
            lists:
                lists_are_filtered_paged_and_newest_first,
                a_text_is_found_in_events_and_reasons_and_is_no_pattern,
                the_status_tells_what_waits_is_in_flight_and_is_dead,
                a_message_is_told_with_all_that_is_known_of_it;
            prune:
                only_what_is_over_and_old_is_pruned,
                what_could_not_be_read_is_forgotten_with_the_history,
                an_event_that_another_connector_needs_stays;
            book:
                an_incident_is_known_by_its_last_event_and_open_until_it_is_resolved,
                a_resolved_incident_never_shows_as_open_later,
                the_echo_of_a_response_says_who_asked_for_it,
                the_note_of_who_responded_is_not_told_to_those_who_know,
                news_that_were_caught_up_with_are_told_once,
                the_same_is_asked_for_once_until_it_failed,
                what_is_over_is_forgotten_with_the_history_and_what_is_open_is_not,
                the_last_incident_of_a_connector_is_the_one_that_arrived_there,
                a_note_is_kept_over_a_crash_and_replaced_by_the_next,
                what_was_asked_for_is_still_to_be_done_after_a_crash;
        }

        #[test]
        fn whatever_the_order_nothing_open_follows_the_end() {
            $crate::outbox::suite::book::whatever_the_order_nothing_open_follows_the_end::<$store>();
        }

        #[test]
        fn every_life_of_an_outbox_is_that_of_a_few_plain_maps() {
            $crate::outbox::suite::model::every_life_of_an_outbox_is_that_of_a_few_plain_maps::<$store>();
        }
    };
    (@tests $store:ty, $($file:ident: $($test:ident),+;)+) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if let Some(stage) = $crate::outbox::suite::Stage::<$store>::new().await {
                    $crate::outbox::suite::$file::$test(stage).await;
                }
            }
        )+)+
    };
}
pub(super) use outbox_suite;

/// Puts one kind of outbox through what several hosts on it have to do.
#[cfg(feature = "postgres")]
macro_rules! shared_suite {
    ($store:ty) => {
        $crate::outbox::suite::outbox_suite! { @tests $store,
            shared:
                what_one_host_took_in_is_seen_by_the_other_and_known_there,
                an_event_that_two_hosts_take_in_at_once_is_new_to_one,
                a_lane_is_held_by_one_host_and_the_other_can_change_nothing_of_it,
                a_host_that_ends_leaves_its_lanes_to_the_others_at_once,
                the_lanes_of_a_host_that_crashed_are_others_when_its_lease_is_over,
                a_host_that_was_taken_for_dead_can_change_nothing_any_more,
                a_host_is_told_of_what_others_take_in_for_its_lanes,
                a_lane_without_a_host_is_found_by_looking,
                of_two_hosts_that_want_a_lane_one_gets_it,
                a_secret_is_the_same_on_all_hosts,
                what_is_over_is_forgotten_by_several_at_once_without_harm;
        }
    };
}
#[cfg(feature = "postgres")]
pub(super) use shared_suite;

/// Does something on a runtime of its own, for tests that do it many times.
pub(super) fn block_on(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work);
}
