//! A restored state is the same as the one that was stored, serial numbers and both lanes of timers too.

use domain::ids::{CommandId, OrderId, PaymentId, ShowId};
use domain::payment::{self, Payment};
use domain::root::Context;
use domain::value::{Actor, Currency, Fingerprint, Provider, Timestamp};
use event_log::log::Partition;
use event_log::owner::{Settings, Submission, Target};
use event_log::state::State;
use uuid::Uuid;

use crate::support::image::image;
use crate::support::rig::{BEGIN, Rig, World, settings};

pub const PAYMENTS: Partition = Partition { context: Context::Payment, number: 1 };

pub fn request(n: u32) -> Submission<Payment, u32> {
    let id = Uuid::from_u128(0xa0_0000 + u128::from(n));
    let ask = payment::Command::Request {
        payment: PaymentId(id),
        order: OrderId(id),
        show: ShowId(id),
        provider: Provider::Payos,
        amount: 1000,
        currency: Currency::default(),
        code: "0123456789".to_owned(),
        return_url: "https://shop.example/back".to_owned(),
        cancel_url: None,
        pay_by: BEGIN.plus_s(900),
    };
    Submission {
        target: Target::Id(id),
        ask,
        by: Actor::System,
        id: CommandId(id),
        hash: Fingerprint([7; 16]),
        correlation_id: id,
        causation_id: id,
        trace: None,
        deadline: None,
        reply: n,
    }
}

pub fn rig(world: &World, log: &event_log::memory::MemoryLog, state: State<Payment>) -> Rig<Payment> {
    Rig::with(world, log, "payments", Settings { partition: PAYMENTS, ..settings() }, state)
}

#[test]
fn a_log_that_forgot_its_last_numbers_gives_out_none_of_them_again() {
    let state = State::<Payment>::default();
    let hour = |n: i64| Timestamp(1_767_225_600_000_000 + n * 3_600_000_000);
    assert_eq!(state.next_serial(1, 4, hour(-1)), 1001 * 4 + 1);
    assert_eq!(state.next_serial(1, 4, hour(1)), 3_600_001 * 4 + 1);
    assert!(state.next_serial(1, 4, hour(2)) > state.next_serial(1, 4, hour(1)) + 3_600_000 * 4 - 1);
    assert!(state.next_serial(1023, 1024, hour(24 * 366 * 270)) < 1 << 53);
}

#[test]
pub fn serial_numbers_go_on_where_they_were() {
    let world = World::new();
    let log = world.log();
    let mut one = rig(&world, &log, State::default());
    one.run();
    (0..5).for_each(|n| one.submit(request(n)));
    one.run();
    assert_eq!(one.outcomes().iter().filter(|(_, told)| *told == "done").count(), 5, "{:?}", one.outcomes());
    let state = one.owner.state();
    let restored = State::<Payment>::restore(&image(state).bytes).unwrap();
    assert_eq!(image(&restored), image(state));
    assert_eq!(state.next_serial(1, 4, Timestamp(0)), 1006 * 4 + 1);
    assert!(!state.outbox.is_empty());
    for n in 1001..=1005 {
        let of = state.by_serial(n * 4 + 1);
        assert!(of.is_some());
        assert_eq!(restored.by_serial(n * 4 + 1), of);
    }
    drop(one);
    // Folded on from there, and from the beginning.
    let mut two = rig(&world, &log, restored);
    two.run();
    two.submit(request(9));
    two.run();
    let mut three = rig(&world, &log, State::default());
    three.vouched = None;
    three.log.deliver(PAYMENTS);
    three.take();
    assert_eq!(image(two.owner.state()), image(three.owner.state()));
    assert_eq!(three.owner.state().by_serial(1006 * 4 + 1), Some(Uuid::from_u128(0xa0_0009)));
}

#[test]
fn bytes_that_are_no_state_are_refused() {
    let world = World::new();
    let log = world.log();
    let mut one = rig(&world, &log, State::default());
    one.run();
    one.submit(request(1));
    one.run();
    let bytes = image(one.owner.state()).bytes;
    assert!(State::<Payment>::restore(&bytes).is_ok());
    assert!(State::<Payment>::restore(&bytes[..bytes.len() - 1]).is_err());
    assert!(State::<Payment>::restore(&[&bytes[..], &[0]].concat()).is_err());
    assert!(State::<Payment>::restore(&[]).is_err());
}
