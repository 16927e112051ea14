//! The stock of busy shows: of every ten reservations seven are paid, two come back, one is still held.

use std::collections::VecDeque;

use domain::event::Event;
use domain::ids::{OrderId, PaymentId, PersonId, SessionId, ShowId, TicketClassId};
use domain::inventory::{
    Checkout, ReleaseReason, ReservationConfirmed, ReservationReleased, SalesOpened, TicketsReserved,
};
use domain::show::ClassTerms;
use domain::value::{Currency, Fingerprint, Line, PaymentChoice, PricedLine, Provider, Sealed, Timestamp};

use crate::{Dice, Fate, Mix};

/// So many reservations are made before the first of them ends.
const MEANWHILE: usize = 2_000;
/// Holds end so long after they began; longer than any measurement, so that no timer disturbs it.
const HOLD_S: i64 = 20 * 24 * 3_600;

/// One show on sale.
#[derive(Debug, Clone)]
pub struct Sale {
    /// The show.
    pub show: ShowId,
    /// Principal of who runs it.
    pub organizer: String,
    /// Its one ticket class.
    pub ticket_class: TicketClassId,
    /// Minor units.
    pub price: i64,
    /// In what it is priced.
    pub currency: Currency,
    /// Whether orders come from a waiting room.
    pub waiting_room: bool,
}

#[derive(Clone)]
struct Held {
    sale: usize,
    order: OrderId,
    quantity: i32,
    session: Option<SessionId>,
}

/// The commands of some shows' stock.
#[derive(Clone)]
pub struct Sales {
    dice: Dice,
    sales: Vec<Sale>,
    unopened: VecDeque<usize>,
    held: VecDeque<Held>,
    fate: Fate,
    begun: u64,
}

impl Sales {
    /// So many made shows, whose sales open first.
    pub fn of_new(seed: u64, shows: usize, fate: Fate) -> Self {
        let mut dice = Dice::new(seed);
        let sales = (0..shows).map(|n| Sale {
            show: ShowId(dice.id()),
            organizer: format!("account:{}", dice.id()),
            ticket_class: TicketClassId(dice.id()),
            price: 250_000,
            currency: vnd(),
            waiting_room: n % 2 == 0,
        });
        let sales: Vec<Sale> = sales.collect();
        let unopened = (0..sales.len()).collect();
        Self { dice, sales, unopened, held: VecDeque::new(), fate, begun: 0 }
    }

    /// Shows that are on sale already.
    pub fn of_known(seed: u64, sales: Vec<Sale>, fate: Fate) -> Self {
        let (unopened, held) = (VecDeque::new(), VecDeque::new());
        Self { dice: Dice::new(seed), sales, unopened, held, fate, begun: 0 }
    }

    fn opened(&self, sale: usize) -> Event {
        let Sale { show, organizer, ticket_class, price, currency, waiting_room } = self.sales[sale].clone();
        let terms = ClassTerms {
            ticket_class,
            name: "Standing".to_owned(),
            price,
            capacity: 1_000_000_000,
            sale_starts_at: None,
            sale_ends_at: None,
            max_per_order: 10,
        };
        let opened = SalesOpened { show, organizer, currency, pay_within_s: 900, classes: vec![terms], waiting_room };
        Event::Inventory(opened.into())
    }

    fn reserve(&mut self, at: Timestamp) -> Event {
        self.begun += 1;
        let dice = &mut self.dice;
        let which = usize::try_from(dice.below(self.sales.len() as u64)).expect("there are few shows");
        let sale = &self.sales[which];
        let quantity = 1 + i32::try_from(dice.below(4)).expect("it is below 4");
        let order = OrderId(dice.id());
        let session = sale.waiting_room.then(|| SessionId(dice.id()));
        let pay_by = at.plus_s(900);
        let checkout = Checkout {
            session,
            person: PersonId(dice.id()),
            principal: format!("guest:{}", dice.id()),
            code: dice.code(),
            buyer: Sealed(dice.bytes(150)),
            email_hash: dice.hex(64),
            payment: Some(PaymentChoice {
                payment: PaymentId(dice.id()),
                provider: Provider::Payos,
                return_url: "https://tickets.example.com/shows/42/thanks".to_owned(),
                cancel_url: None,
            }),
            fingerprint: Fingerprint(dice.id().into_bytes()),
        };
        let reserved = TicketsReserved {
            show: sale.show,
            order,
            attempt: 1,
            organizer: sale.organizer.clone(),
            lines: vec![PricedLine { ticket_class: sale.ticket_class, quantity, unit_price: sale.price }],
            currency: sale.currency,
            total: sale.price * i64::from(quantity),
            pay_by,
            hold_until: at.plus_s(HOLD_S),
            checkout: Some(checkout),
        };
        self.held.push_back(Held { sale: which, order, quantity, session });
        Event::Inventory(reserved.into())
    }

    fn end(&mut self, held: Held) -> Option<Event> {
        let (show, ticket_class) = (self.sales[held.sale].show, self.sales[held.sale].ticket_class);
        let lines = vec![Line { ticket_class, quantity: held.quantity }];
        let (order, session) = (held.order, held.session);
        let rolled = match self.fate {
            Fate::Mixed => self.dice.below(10),
            Fate::Open(_) => 9,
            Fate::Done(_) => 0,
        };
        match rolled {
            0..7 => Some(Event::Inventory(ReservationConfirmed { show, order, attempt: 1, lines }.into())),
            7..9 => {
                let (confirmed, reason) = (false, ReleaseReason::Expired);
                let released = ReservationReleased { show, order, attempt: 1, lines, confirmed, reason, session };
                Some(Event::Inventory(released.into()))
            }
            _ => None,
        }
    }
}

impl Mix for Sales {
    fn next(&mut self, at: Timestamp) -> Vec<Event> {
        if let Some(sale) = self.unopened.pop_front() {
            return vec![self.opened(sale)];
        }
        // Once enough is held, reservations and ends take turns.
        let begins = self.fate.begins(self.begun);
        if !begins || (self.held.len() > MEANWHILE && self.dice.below(19) < 9) {
            while let Some(held) = self.held.pop_front() {
                match self.end(held) {
                    Some(event) => return vec![event],
                    None if begins => break,
                    None => {}
                }
            }
        }
        if begins { vec![self.reserve(at)] } else { vec![] }
    }
}

fn vnd() -> Currency {
    "VND".parse().expect("three upper-case letters")
}
