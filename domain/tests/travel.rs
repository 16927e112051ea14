//! Commands, refusals and states travel between instances and into snapshots in postcard, which describes nothing of
//! what it holds. The random world carries everything it does; here is what it never says.

use domain::event::{Command, Event, Refusal};
use domain::inventory::{CloseReason, ReleaseReason};
use domain::order::{CancelReason, FailReason, Step};
use domain::payment::{QuarantineReason, RefundWhy};
use domain::queue::{self, Board, CheckoutEnd};
use domain::root::Context;
use domain::saga::{Action, Effect, Outgoing};
use domain::show::{self, DetailsPatch, ShowCreated, ShowDetails, Status, TermsPatch};
use domain::value::{Actor, Provider, Role};
use domain::{inventory, order, payment, ticket};

use crate::common::{
    BACKSTOP_S, FLOOR, ORDER, ORGANIZER, PAYMENT, PRICE, SEED, SHOW, account, at, carried, checkout, choice,
    fingerprint, guest, holder, issued, opening, priced, room, room_terms, state, terms, usd, vnd,
};

fn details() -> ShowDetails {
    ShowDetails {
        name: "A concert".to_owned(),
        description: Some("Loud".to_owned()),
        starts_at: at(9_000),
        ends_at: None,
        time_zone: "Asia/Ho_Chi_Minh".to_owned(),
        venue_name: "A hall".to_owned(),
        venue_city: None,
        currency: vnd(),
        categories: vec!["music".to_owned()],
    }
}

#[test]
fn commands_to_a_show_arrive_as_they_were_sent() {
    use show::Command as C;
    let clearing = DetailsPatch {
        name: Some("Another".to_owned()),
        description: Some(None),
        ends_at: Some(Some(at(9))),
        currency: Some(usd()),
        ..DetailsPatch::default()
    };
    let windows = TermsPatch { sale_starts_at: Some(None), price: Some(5), ..TermsPatch::default() };
    let waiting_room = Some(room_terms(Some(at(100))));
    let commands = [
        C::Create { show: SHOW, details: details() },
        C::Edit { patch: clearing },
        C::DefineClass { terms: terms(FLOOR, PRICE, 10) },
        C::EditClass { ticket_class: FLOOR, patch: windows },
        C::Configure { pay_within_s: 900, checkout_url: None, waiting_room },
        C::Configure { pay_within_s: 900, checkout_url: Some("https://x.test".to_owned()), waiting_room: None },
        C::Approve,
        C::Publish { draw_hash: Some(SEED.hash()) },
        C::Cancel,
        C::Look,
    ];
    for command in commands {
        carried(Command::Show(SHOW, command.clone()));
        carried(issued(command, account(ORGANIZER, &[Role::Organizer, Role::Support]), at(3)));
    }
}

#[test]
fn other_commands_arrive_as_they_were_sent() {
    let session = queue::session(SHOW, 1);
    let queue = [
        queue::Command::Open(room(SHOW, room_terms(Some(at(100))))),
        queue::Command::Close { show: SHOW, reason: queue::CloseReason::Unknown },
        queue::Command::Join { proof_bits: 20 },
        queue::Command::SetFlow {
            mode: Some(queue::Mode::Reject),
            inflow_per_min: queue::Setting::To(5),
            challenge_bits: queue::Setting::Off,
        },
        queue::Command::Draw { seed: SEED.to_string() },
        queue::Command::Round,
        queue::Command::Tick,
        queue::Command::Enter { number: 1, seen: at(1) },
        queue::Command::Leave { number: u32::MAX },
        queue::Command::Tie { session, order: ORDER },
        queue::Command::EndCheckout { session, order: ORDER, end: CheckoutEnd::Failed },
        queue::Command::Look,
    ];
    queue.into_iter().for_each(|command| drop(carried(Command::Queue(SHOW, command))));
    let (checkout, accepts, lines) = (checkout(Some(PAYMENT)), vec![vnd()], vec![priced(FLOOR, 2, PRICE)]);
    let admission = Some(inventory::Admission { session, expires_at: at(5) });
    let stock = [
        inventory::Command::Open(opening(SHOW)),
        inventory::Command::Close { show: SHOW, reason: CloseReason::Unknown },
        inventory::Command::ChangePrice { ticket_class: FLOOR, price: 1 },
        inventory::Command::Reserve { order: ORDER, lines, checkout, accepts, hold_backstop_s: BACKSTOP_S, admission },
        inventory::Command::Release { order: ORDER, reason: ReleaseReason::Unknown },
        inventory::Command::Bar { show: SHOW, session },
    ];
    stock.into_iter().for_each(|command| drop(carried(Command::Inventory(SHOW, command))));
    carried(Command::Order(ORDER, order::Command::MarkStuck { step: Step::Unknown, reason: "?".to_owned() }));
    carried(Command::Order(ORDER, order::Command::AddPayment { payment: choice(PAYMENT), accepts: vec![] }));
    carried(Command::Payment(PAYMENT, payment::Command::Refund { why: RefundWhy::Unknown }));
    carried(Command::Ticket(ORDER, ticket::Command::Look));
}

#[test]
fn everybody_arrives_as_who_they_are() {
    for actor in [account(ORGANIZER, &[Role::Admin, Role::Staff]), guest(), holder(ORDER, SHOW), Actor::System] {
        carried(actor);
    }
    carried(Context::ALL);
}

/// Enums that take in what a newer writer says know their own words too.
#[test]
fn words_for_what_is_unknown_arrive() {
    carried([CloseReason::ShowCancelled, CloseReason::Unknown]);
    carried([queue::CloseReason::ShowCancelled, queue::CloseReason::Unknown]);
    carried([ReleaseReason::ByBuyer, ReleaseReason::Refunded, ReleaseReason::Unknown]);
    carried([CancelReason::ByBuyer, CancelReason::ShowCancelled, CancelReason::Unknown]);
    carried([FailReason::PaymentFailed, FailReason::Unknown]);
    carried([QuarantineReason::WrongCurrency, QuarantineReason::Unknown]);
    carried([Provider::Payos, Provider::Unknown]);
    carried([Step::PaymentStatus, Step::Saga, Step::Unknown]);
}

#[test]
fn refusals_arrive_as_they_were_said() {
    let show = [
        show::Refusal::NotFound,
        show::Refusal::WrongStatus { status: Status::Approved },
        show::Refusal::TooManyClasses { max: 100 },
        show::Refusal::Invalid { field: "name".to_owned(), detail: "too long".to_owned() },
    ];
    show.into_iter().for_each(|refusal| drop(carried(Refusal::Show(refusal))));
    let stock = [
        inventory::Refusal::NotOnSale { line: Some(1), opens_at: Some(at(5)) },
        inventory::Refusal::SoldOut { available: vec![inventory::Available { ticket_class: FLOOR, available: 1 }] },
        inventory::Refusal::PriceChanged { line: 0, price: 5, currency: usd() },
        inventory::Refusal::CheckoutTokenMissing,
        inventory::Refusal::CheckoutTokenExpired { expired_at: at(5) },
        inventory::Refusal::CheckoutTokenUsed,
    ];
    stock.into_iter().for_each(|refusal| drop(carried(Refusal::Inventory(refusal))));
    use queue::Refusal as Q;
    let queue = [Q::NotFound, Q::Closed, Q::NotAdmitted, Q::PlaceLost, Q::InOrder, Q::BadSeed, Q::Forbidden];
    queue.into_iter().for_each(|refusal| drop(carried(Refusal::Queue(refusal))));
    let bad_terms = Q::BadTerms { field: "inflow_per_min".to_owned(), detail: "?".to_owned() };
    for refusal in [Q::TakesNobody, Q::ProofNeeded { bits: 20 }, bad_terms] {
        carried(Refusal::Queue(refusal));
    }
    carried(Refusal::Order(order::Refusal::EndedBefore { why: RefundWhy::PaidTwice }));
    carried(Refusal::Payment(payment::Refusal::WrongState));
    carried(Refusal::Ticket(ticket::Refusal::Revoked));
}

#[test]
fn shows_effects_and_boards_survive() {
    let created =
        ShowCreated { show: SHOW, organizer: ORGANIZER.to_owned(), details: details(), fingerprint: fingerprint(7) };
    carried(state::<show::Show>(&[created.clone().into()]));
    carried(Event::Show(created.into()));
    let reveal = Action::Effect(Effect::RevealSeed { show: SHOW });
    carried(Outgoing { id: domain::ids::CommandId(SHOW.0), action: reveal });
    let mut board = Board::default();
    carried(board.clone());
    board.apply(&room(SHOW, room_terms(Some(at(100)))).into(), at(0));
    board.apply(&queue::PreQueueClosed { show: SHOW, count: 3 }.into(), at(100));
    board.apply(&queue::QueueDrawn { show: SHOW, seed: SEED.to_string(), count: 3 }.into(), at(100));
    carried(board);
}
