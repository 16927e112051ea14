//! Every switch of the log protocol makes a difference: with it on, a rule that is tested elsewhere does not hold.

use std::collections::{BTreeMap, BTreeSet};

use domain::breakage::{Breakage, survives};
use event_log::snapshot::{from_bytes, to_bytes};

use crate::support::AT;
use crate::support::rig::{Rig, World};
use crate::support::stock::open;
use crate::{protocol, rounds, stored};

/// A test that fails with the switch on.
type Rule = fn();

fn rules() -> BTreeMap<Breakage, Rule> {
    let rules: [(Breakage, Rule); 34] = [
        (Breakage::AckLastRecordAlone, protocol::a_foreign_claim_leaves_everything_after_it_in_doubt),
        (Breakage::ExpectPreviousPlusOne, protocol::a_lost_append_amid_a_batch_voids_what_follows),
        (Breakage::AnswerFromHead, protocol::nothing_is_answered_before_it_is_acknowledged),
        (Breakage::NoBarrier, protocol::a_refusal_waits_for_a_barrier),
        (Breakage::NoReclaim, protocol::a_lost_append_amid_a_batch_voids_what_follows),
        (Breakage::OutOfOrderDelivery, protocol::a_report_out_of_order_is_a_doubt),
        (Breakage::DoubtAsSuccess, protocol::a_foreign_claim_leaves_everything_after_it_in_doubt),
        (Breakage::StateOfDoubtKept, protocol::a_lost_append_amid_a_batch_voids_what_follows),
        (Breakage::DeadlineIgnored, protocol::what_is_late_or_too_much_is_not_decided),
        (Breakage::StateBeforeEncoding, protocol::a_command_that_is_too_large_changes_nothing),
        (Breakage::ServeForeignClaim, protocol::of_two_claims_of_one_term_the_first_counts),
        (Breakage::RepeatBodyIgnored, protocol::a_key_with_another_body_is_refused),
        (Breakage::RepeatsIgnored, protocol::twenty_equal_commands_are_one),
        (Breakage::VersionPerFrame, protocol::a_version_counts_every_event),
        (Breakage::SettledTooFar, protocol::what_is_answered_is_settled_and_the_rest_is_sent_again),
        (Breakage::SettledBeforeAnswer, protocol::what_is_answered_is_settled_and_the_rest_is_sent_again),
        (Breakage::OutboxNotResent, protocol::what_is_answered_is_settled_and_the_rest_is_sent_again),
        (Breakage::DecideOnAckedState, protocol::a_refusal_joins_a_batch_that_writes),
        (Breakage::TimerTwice, protocol::a_timer_that_is_under_way_does_not_fire_again),
        (Breakage::GraceIgnored, protocol::no_timer_fires_soon_after_a_take_over),
        (Breakage::IdleTimerNeverWoken, rounds::a_round_admits_a_batch_a_tick),
        (Breakage::SameTermClaim, protocol::of_two_claims_of_one_term_the_first_counts),
        (Breakage::NoSequenceCheck, protocol::a_duplicated_record_is_void),
        (Breakage::HoleAccepted, protocol::a_lost_append_amid_a_batch_voids_what_follows),
        (Breakage::ForeignEventsFolded, protocol::a_zombies_late_records_are_void),
        (Breakage::PartialFrameApplied, protocol::an_unfinished_command_has_no_effect),
        (Breakage::UnfinishedFrameAtClaim, protocol::an_unfinished_command_has_no_effect),
        (Breakage::SnapshotOfHead, protocol::only_what_is_acknowledged_is_ever_kept),
        (Breakage::SnapshotWithoutRepeats, stored::serial_numbers_go_on_where_they_were),
        (Breakage::SnapshotWithoutOutbox, stored::serial_numbers_go_on_where_they_were),
        (Breakage::SnapshotWithoutTimers, rounds::a_restart_rebuilds_both_lanes),
        (Breakage::SnapshotWithoutSerials, stored::serial_numbers_go_on_where_they_were),
        (Breakage::SnapshotOfAnotherLog, a_snapshot_of_another_log_is_not_used),
        (Breakage::PositionInMidFrame, protocol::an_unfinished_command_has_no_effect),
    ];
    rules.into_iter().collect()
}

#[test]
fn a_snapshot_of_another_log_is_not_used() {
    let world = World::new();
    let [one, two] = ["one", "two"].map(|seed| {
        let log = world.log();
        let mut rig = Rig::serving(&world, &log, seed);
        rig.submit(open(0, 10));
        rig.run();
        (log, rig)
    });
    let bytes = to_bytes(AT, 4, one.1.owner.to_keep(), world.now().wall).unwrap();
    let usable = |log| from_bytes::<domain::inventory::Inventory>(&bytes, AT, 4, log).unwrap().is_ok();
    assert!(usable(&one.0));
    assert!(!usable(&two.0));
}

#[test]
fn with_any_of_them_on_a_rule_does_not_hold() {
    let survives = |(which, rule): (Breakage, Rule)| Some((which.name(), survives(which, rule)?));
    let survivors: Vec<(&str, &str)> = rules().into_iter().filter_map(survives).collect();
    assert_eq!(survivors, []);
}

#[test]
fn all_that_are_here_are_tried() {
    let here = Breakage::AckLastRecordAlone..=Breakage::SnapshotOfAnotherLog;
    let mut here: BTreeSet<Breakage> = Breakage::ALL.iter().copied().filter(|it| here.contains(it)).collect();
    here.insert(Breakage::PositionInMidFrame);
    assert_eq!(rules().into_keys().collect::<BTreeSet<_>>(), here);
}
