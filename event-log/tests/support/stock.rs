//! Commands to the stock of one show, whose tickets cost nothing, so that nobody has to pay.

use std::collections::BTreeSet;

use domain::ids::{CommandId, OrderId, PersonId, ShowId, TicketClassId};
use domain::inventory::{Checkout, CloseReason, Command, Inventory, ReservationStatus, SalesOpened};
use domain::show::ClassTerms;
use domain::value::{Actor, Currency, Fingerprint, PricedLine, Role, Sealed};
use event_log::owner::{Submission, Target};
use uuid::Uuid;

pub const SHOW: Uuid = Uuid::from_u128(0x5105);
const CLASS: TicketClassId = TicketClassId(Uuid::from_u128(0xc1a5));
const ORGANIZER: &str = "account:organizer";
/// Seconds that a reservation is held.
pub const HOLD_S: i64 = 900;

pub fn order(n: u32) -> OrderId {
    OrderId(Uuid::from_u128(0x0de0_0000 + u128::from(n)))
}

/// Which command it is: the same number is the same command.
pub fn command_id(n: u32) -> CommandId {
    CommandId(Uuid::from_u128(0xc0_0000_0000 + u128::from(n)))
}

/// A command with what a caller sends along; the same for the same number.
pub fn submission(n: u32, ask: Command, by: Actor) -> Submission<Inventory, u32> {
    Submission {
        target: Target::Id(SHOW),
        ask,
        by,
        id: command_id(n),
        hash: Fingerprint([7; 16]),
        correlation_id: command_id(n).0,
        causation_id: command_id(n).0,
        trace: None,
        deadline: None,
        reply: n,
    }
}

pub fn open(n: u32, capacity: i64) -> Submission<Inventory, u32> {
    let terms = ClassTerms {
        ticket_class: CLASS,
        name: "Floor".to_owned(),
        price: 0,
        capacity,
        sale_starts_at: None,
        sale_ends_at: None,
        max_per_order: 100,
    };
    let opened = SalesOpened {
        show: ShowId(SHOW),
        organizer: ORGANIZER.to_owned(),
        currency: Currency::default(),
        pay_within_s: HOLD_S,
        classes: vec![terms],
        waiting_room: false,
    };
    submission(n, Command::Open(opened), Actor::System)
}

pub fn reserve(n: u32, of: u32) -> Submission<Inventory, u32> {
    reserve_by(n, of, "guest:1", "buyer".len())
}

/// A reservation whose personal data take so many bytes.
pub fn reserve_by(n: u32, of: u32, principal: &str, bytes: usize) -> Submission<Inventory, u32> {
    let checkout = Checkout {
        session: None,
        person: PersonId(Uuid::from_u128(9)),
        principal: principal.to_owned(),
        code: "0123456789".to_owned(),
        buyer: Sealed(vec![1; bytes]),
        email_hash: String::new(),
        payment: None,
        fingerprint: Fingerprint([7; 16]),
    };
    let lines = vec![PricedLine { ticket_class: CLASS, quantity: 1, unit_price: 0 }];
    let ask = Command::Reserve {
        order: order(of),
        lines,
        checkout,
        accepts: Vec::new(),
        hold_backstop_s: 0,
        admission: None,
    };
    submission(n, ask, Actor::Guest { principal: principal.to_owned() })
}

/// Sets the number of tickets; what it was before does not matter, so that a second time would be noticed.
pub fn capacity(n: u32, capacity: i64) -> Submission<Inventory, u32> {
    let by = Actor::Account { principal: ORGANIZER.to_owned(), roles: BTreeSet::from([Role::Organizer]) };
    submission(n, Command::ChangeCapacity { ticket_class: CLASS, capacity }, by)
}

/// The show is off: everything comes back, in one frame if it is less than 100.
pub fn close(n: u32) -> Submission<Inventory, u32> {
    let ask = Command::Close { show: ShowId(SHOW), reason: CloseReason::ShowCancelled };
    submission(n, ask, Actor::System)
}

pub fn look(n: u32) -> Submission<Inventory, u32> {
    submission(n, Command::Look, Actor::System)
}

/// How many are held.
pub fn held(stock: &Inventory) -> i64 {
    stock.classes().map(|class| class.held).sum()
}

/// How an order's reservation stands.
pub fn status(stock: &Inventory, of: u32) -> Option<ReservationStatus> {
    stock.reservation(order(of)).map(|it| it.status)
}
