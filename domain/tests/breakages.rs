//! Every switch of the domain makes a difference: with it on, a rule that is tested elsewhere does not hold.

use std::collections::{BTreeMap, BTreeSet};

use domain::breakage::{Breakage, survives};

use crate::{inventory, inventory_admission, payment, queue, queue_ends, saga, ticket};

/// A test that fails with the switch on.
type Rule = fn();

fn rules() -> BTreeMap<Breakage, Rule> {
    let rules: [(Breakage, Rule); 21] = [
        (Breakage::StockUnchecked, inventory::sold_out_names_what_is_left_of_each_class),
        (Breakage::CapacityUnchecked, inventory::organizers_and_admins_change_prices_and_capacity),
        (Breakage::ConfirmWithoutStock, inventory::late_money_finds_the_stock_gone),
        (Breakage::ConfirmedExpires, inventory::a_paid_reservation_is_sold_once),
        (Breakage::StockFreedTwice, inventory::late_money_takes_the_same_stock_again),
        (Breakage::SessionOrdersTwice, inventory_admission::a_token_buys_once_whatever_becomes_of_the_order),
        (Breakage::SecondCaptureKept, saga::money_that_an_order_does_not_take_goes_back),
        (Breakage::LateMoneyKept, saga::money_that_an_order_does_not_take_goes_back),
        (Breakage::RefusalAsSuccess, saga::stock_that_is_gone_ends_the_order),
        (Breakage::StepsNamedAfterRequest, saga::ids_are_the_same_at_every_call_and_differ_by_place),
        (Breakage::MovementCountedTwice, payment::parts_are_summed_by_reference),
        (Breakage::RefundTwice, payment::the_whole_amount_goes_back_once),
        (Breakage::TooMuchApplied, payment::money_that_does_not_fit_is_quarantined_once),
        (Breakage::WrongCurrencyApplied, payment::money_that_does_not_fit_is_quarantined_once),
        (Breakage::TicketsAfterRevoke, ticket::what_is_revoked_before_it_is_issued_is_never_issued),
        (Breakage::PlaceTwice, queue::everybody_has_one_place),
        (Breakage::DrawTwice, queue_ends::only_the_promised_seed_draws_and_only_once),
        (Breakage::AdmitBeyondSlots, queue::a_round_admits_a_batch_in_order_while_slots_are_free),
        (Breakage::ServedOutOfOrder, queue::those_who_left_are_passed_over_and_counted_by_nobody),
        (Breakage::SlotFreedTwice, queue::who_does_not_enter_or_order_in_time_loses_the_slot),
        (Breakage::TieToSecondOrder, queue::an_order_ties_the_slot_and_only_its_end_frees_it),
    ];
    rules.into_iter().collect()
}

#[test]
fn with_any_of_them_on_a_rule_does_not_hold() {
    let survives = |(which, rule): (Breakage, Rule)| Some((which.name(), survives(which, rule)?));
    let survivors: Vec<(&str, &str)> = rules().into_iter().filter_map(survives).collect();
    assert_eq!(survivors, []);
}

#[test]
fn all_that_are_here_are_tried() {
    let here = Breakage::StockUnchecked..=Breakage::TieToSecondOrder;
    let here: BTreeSet<Breakage> = Breakage::ALL.iter().copied().filter(|it| here.contains(it)).collect();
    assert_eq!(rules().into_keys().collect::<BTreeSet<_>>(), here);
}
