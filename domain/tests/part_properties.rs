//! The laws of one payment and of the stock of one show, whatever they are asked.

use cqrs_es::Aggregate;
use domain::inventory::{self, Inventory, ReservationStatus};
use domain::payment::{self, Movement, Payment, Standing};
use domain::root::Root;
use domain::value::{Actor, PricedLine, Provider};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

use crate::common::{
    BACKSTOP_S, FLOOR, ORDER, PAYMENT, SHOW, at, buyer, checkout, decide, issued, opening, organizer, state, usd, vnd,
};
use crate::properties::{config, lines, order_id};

fn movement() -> impl Strategy<Value = Movement> {
    let currency = prop_oneof![5 => Just(vnd()), 1 => Just(usd())];
    (0..12_u8, prop_oneof![6 => 1..80_i64, 2 => Just(100), 1 => any::<i64>()], currency).prop_map(
        |(reference, amount, currency)| Movement { reference: reference.to_string(), amount, currency, fee: 0 },
    )
}

fn payment_command() -> impl Strategy<Value = payment::Command> {
    let standing = prop_oneof![4 => Just(Standing::Open), 1 => Just(Standing::Failed), 1 => Just(Standing::Ended), 1 => Just(Standing::Paid)];
    let report = (prop::collection::vec(movement(), 0..4), standing)
        .prop_map(|(movements, standing)| payment::Command::Report { movements, standing });
    let (reference, url) = ("link".to_owned(), "https://pay.test".to_owned());
    prop_oneof![
        6 => report,
        1 => Just(payment::Command::RecordIntent { reference, url }),
        1 => Just(payment::Command::RecordFailure { reason: "no".to_owned() }),
        1 => Just(payment::Command::Close),
        1 => Just(payment::Command::Refund { why: payment::RefundWhy::PaidTwice }),
    ]
}

fn requested_payment() -> Payment {
    let request = payment::PaymentRequested {
        payment: PAYMENT,
        order: ORDER,
        show: SHOW,
        provider: Provider::Payos,
        serial: 42,
        amount: 100,
        currency: vnd(),
        code: String::new(),
        return_url: String::new(),
        cancel_url: None,
        pay_by: at(900),
    };
    state(&[request.into()])
}

#[derive(Debug, Clone)]
enum StockAct {
    Reserve(u8, Vec<PricedLine>),
    Confirm(u8),
    Release(u8, inventory::ReleaseReason),
    Capacity(i64),
    Tick(i64),
    Close,
}

fn stock_act() -> impl Strategy<Value = StockAct> {
    use inventory::ReleaseReason as R;
    let reason = prop_oneof![Just(R::Expired), Just(R::ByBuyer), Just(R::ShowCancelled), Just(R::Refunded)];
    prop_oneof![
        8 => (0..12_u8, lines()).prop_map(|(order, lines)| StockAct::Reserve(order, lines)),
        4 => (0..12_u8).prop_map(StockAct::Confirm),
        3 => (0..12_u8, reason).prop_map(|(order, reason)| StockAct::Release(order, reason)),
        1 => (0..15_i64).prop_map(StockAct::Capacity),
        2 => (0..4000_i64).prop_map(StockAct::Tick),
        1 => Just(StockAct::Close),
    ]
}

fn stock_command(act: StockAct) -> (inventory::Command, Actor, i64) {
    let order = |n: u8| order_id(u64::from(n));
    match act {
        StockAct::Reserve(n, lines) => {
            let free = lines.iter().all(|line| line.unit_price == 0);
            let checkout = checkout((!free).then_some(PAYMENT));
            let (accepts, hold_backstop_s) = (vec![vnd()], BACKSTOP_S);
            let command = inventory::Command::Reserve {
                order: order(n),
                lines,
                checkout,
                accepts,
                hold_backstop_s,
                admission: None,
            };
            (command, buyer(), 0)
        }
        StockAct::Confirm(n) => (inventory::Command::Confirm { order: order(n) }, Actor::System, 0),
        StockAct::Release(n, reason) => (inventory::Command::Release { order: order(n), reason }, Actor::System, 0),
        StockAct::Capacity(capacity) => {
            (inventory::Command::ChangeCapacity { ticket_class: FLOOR, capacity }, organizer(), 0)
        }
        StockAct::Tick(when) => (inventory::Command::Tick, Actor::System, when),
        StockAct::Close => {
            let reason = inventory::CloseReason::ShowCancelled;
            (inventory::Command::Close { show: SHOW, reason }, Actor::System, 0)
        }
    }
}

proptest! {
    #![proptest_config(config(300))]

    /// Received money is kept or goes back; what is complete is kept whole; nothing is counted twice.
    #[test]
    fn money_received_is_applied_or_goes_back(commands in prop::collection::vec(payment_command(), 1..25)) {
        let mut payment = requested_payment();
        let mut applied: Vec<String> = Vec::new();
        for command in commands {
            let before = payment.clone();
            let Ok(events) = decide(&mut payment, issued(command.clone(), Actor::System, at(0))) else { continue };
            for event in events {
                let reference = match event {
                    payment::Event::PaymentPartiallyReceived(event) => event.reference,
                    payment::Event::PaymentCompleted(event) => event.reference,
                    payment::Event::PaymentQuarantined(event) => event.reference,
                    _ => continue,
                };
                assert!(!applied.contains(&reference), "counted twice: {reference}");
                applied.push(reference);
            }
            let known = payment.known().unwrap();
            assert!((0..=known.received).contains(&known.refunded) && known.received <= known.amount, "{known:?}");
            match known.status {
                payment::Status::Completed => assert!(known.kept() == known.amount || known.kept() == 0, "{known:?}"),
                payment::Status::Failed | payment::Status::Expired => assert_eq!(known.kept(), 0, "{known:?}"),
                payment::Status::Requested | payment::Status::Ready | payment::Status::Closing => {
                    assert!(known.kept() < known.amount && known.refunded == 0, "{known:?}");
                }
            }
            if before != payment {
                let again = decide(&mut payment, issued(command, Actor::System, at(0)));
                assert_eq!(again.unwrap(), vec![], "sent twice, it did something twice");
            }
        }
    }

    /// Stock is never oversold, refusals leave no trace, and events fold to the state (both asserted by `decide`).
    #[test]
    fn stock_is_never_oversold(acts in prop::collection::vec(stock_act(), 1..60)) {
        let mut stock: Inventory = state(&[opening(SHOW).into()]);
        let mut log = vec![inventory::Event::from(opening(SHOW))];
        for act in acts {
            let (command, by, when) = stock_command(act);
            let Ok(events) = decide(&mut stock, issued(command, by, at(when))) else { continue };
            log.extend(events);
            for class in stock.classes() {
                assert!(class.held >= 0 && class.sold >= 0 && class.committed() <= class.terms.capacity);
            }
            let holds = stock.reservations().filter(|(_, held)| held.status == ReservationStatus::Active);
            let earliest = holds.map(|(_, held)| held.hold_until).min();
            if stock.closed().is_none() {
                assert_eq!(stock.next_due(), earliest);
            }
        }
        let mut folded = Inventory::default();
        log.into_iter().for_each(|event| folded.apply(event));
        assert_eq!(folded, stock);
    }
}
