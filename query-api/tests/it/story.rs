//! What happens to a show and its orders, as the events of all topics.

use domain::event::Event;
use domain::ids::{OrderId, PaymentId, PersonId, ShowId, TicketClassId, TicketId};
use domain::inventory::{self, Checkout};
use domain::order::{self, CancelReason};
use domain::payment;
use domain::show::{self, ClassTerms, ShowDetails};
use domain::ticket::{self, IssuedTicket};
use domain::value::{Currency, Fingerprint, Line, PaymentChoice, PricedLine, Provider, Timestamp};
use schemas::sealed::{Buyer, DataKey};
use uuid::Uuid;

use crate::world::World;

pub const ORGANIZER: &str = "anna";
pub const BUYER: &str = "binh";
pub const EMAIL: &str = "Binh@Example.org";
pub const PRICE: i64 = 150_000;
/// When everything begins, microseconds.
pub const T0: i64 = 1_700_000_000_000_000;
/// When shows begin.
pub const STARTS: i64 = 1_900_000_000_000_000;

/// A show of one class.
#[derive(Debug, Clone, Copy)]
pub struct Stage {
    pub show: ShowId,
    pub class: TicketClassId,
}

/// One purchase of two tickets.
#[derive(Debug, Clone)]
pub struct Purchase {
    pub stage: Stage,
    pub order: OrderId,
    pub payment: PaymentId,
    pub code: String,
    pub key: DataKey,
    pub at_us: i64,
}

pub fn vnd() -> Currency {
    "VND".parse().unwrap()
}

pub fn stage(n: u128) -> Stage {
    Stage { show: ShowId(id("show", n)), class: TicketClassId(id("class", n)) }
}

pub fn id(kind: &str, n: u128) -> Uuid {
    Uuid::new_v5(&Uuid::from_u128(n), kind.as_bytes())
}

pub fn details(name: &str) -> ShowDetails {
    ShowDetails {
        name: name.to_owned(),
        description: None,
        starts_at: Timestamp(STARTS),
        ends_at: None,
        time_zone: "Asia/Ho_Chi_Minh".to_owned(),
        venue_name: "Opera House".to_owned(),
        venue_city: Some("Hà Nội".to_owned()),
        currency: vnd(),
        categories: vec!["Jazz".to_owned()],
    }
}

pub fn terms(class: TicketClassId) -> ClassTerms {
    ClassTerms {
        ticket_class: class,
        name: "Stalls".to_owned(),
        price: PRICE,
        capacity: 10,
        sale_starts_at: None,
        sale_ends_at: None,
        max_per_order: 4,
    }
}

impl World {
    /// A draft of this organizer with one class.
    pub async fn draft(&self, n: u128, organizer: &str, details: ShowDetails) -> Stage {
        let stage = stage(n);
        let (show, fingerprint, organizer) = (stage.show, Fingerprint::default(), format!("account:{organizer}"));
        self.tell(
            T0,
            Event::Show(show::Event::ShowCreated(show::ShowCreated { show, organizer, details, fingerprint })),
        )
        .await;
        let defined = show::TicketClassDefined { show, terms: terms(stage.class), fingerprint };
        self.tell(T0, Event::Show(show::Event::TicketClassDefined(defined))).await;
        stage
    }

    /// A show of [`ORGANIZER`] on sale.
    pub async fn on_sale(&self, n: u128) -> Stage {
        let stage = self.draft(n, ORGANIZER, details(&format!("Concert {n}"))).await;
        self.publish(stage).await;
        self.open_sales(stage, vec![terms(stage.class)]).await;
        stage
    }

    pub async fn publish(&self, stage: Stage) {
        let (show, organizer) = (stage.show, format!("account:{ORGANIZER}"));
        let classes = vec![terms(stage.class)];
        let published = show::ShowPublished {
            show,
            organizer,
            currency: vnd(),
            pay_within_s: 900,
            classes,
            checkout_url: None,
            waiting_room: None,
            draw_hash: None,
        };
        self.tell(T0, Event::Show(show::Event::ShowPublished(published))).await;
    }

    pub async fn open_sales(&self, stage: Stage, classes: Vec<ClassTerms>) {
        let (show, organizer) = (stage.show, format!("account:{ORGANIZER}"));
        let opened = inventory::SalesOpened {
            show,
            organizer,
            currency: vnd(),
            pay_within_s: 900,
            classes,
            waiting_room: false,
        };
        self.tell(T0, Event::Inventory(inventory::Event::SalesOpened(opened))).await;
    }

    /// Two tickets are held for the account or guest of this principal.
    pub async fn reserve(&self, stage: Stage, n: u128, principal: &str) -> Purchase {
        let order = OrderId(id("order", n));
        self.reserve_as(stage, order, n, principal).await
    }

    pub async fn reserve_as(&self, stage: Stage, order: OrderId, n: u128, principal: &str) -> Purchase {
        let at_us = T0 + i64::try_from(n).unwrap() * 1_000_000;
        let purchase = Purchase {
            stage,
            order,
            payment: PaymentId(id("payment", n)),
            code: service_kit::code::order(&self.keys(), order),
            key: self.person_key().await,
            at_us,
        };
        let reserved = self.reserved(&purchase, principal);
        self.tell(at_us, Event::Inventory(inventory::Event::TicketsReserved(reserved))).await;
        purchase
    }

    fn reserved(&self, it: &Purchase, principal: &str) -> inventory::TicketsReserved {
        let buyer = Buyer { name: "Bình".to_owned(), email: EMAIL.to_owned(), phone: None };
        let random = ring::rand::SystemRandom::new();
        let email_hash = self.keys().email(EMAIL).iter().map(|byte| format!("{byte:02x}")).collect();
        let payment = PaymentChoice {
            payment: it.payment,
            provider: Provider::Payos,
            return_url: "https://shop.test/".to_owned(),
            cancel_url: None,
        };
        let checkout = Checkout {
            session: None,
            person: PersonId(id("person", 1)),
            principal: principal.to_owned(),
            code: it.code.clone(),
            buyer: buyer.seal(&it.key, it.order.0.as_bytes(), &random).unwrap(),
            email_hash,
            payment: Some(payment),
            fingerprint: Fingerprint::default(),
        };
        inventory::TicketsReserved {
            show: it.stage.show,
            order: it.order,
            attempt: 1,
            organizer: format!("account:{ORGANIZER}"),
            lines: vec![PricedLine { ticket_class: it.stage.class, quantity: 2, unit_price: PRICE }],
            currency: vnd(),
            total: 2 * PRICE,
            pay_by: Timestamp(it.at_us).plus_s(900),
            hold_until: Timestamp(it.at_us).plus_s(1200),
            checkout: Some(checkout),
        }
    }

    /// The provider has a page.
    pub async fn await_payment(&self, it: &Purchase) {
        let (payment, order, show) = (it.payment, it.order, it.stage.show);
        let requested = payment::PaymentRequested {
            payment,
            order,
            show,
            provider: Provider::Payos,
            serial: 4,
            amount: 2 * PRICE,
            currency: vnd(),
            code: it.code.clone(),
            return_url: "https://shop.test/".to_owned(),
            cancel_url: None,
            pay_by: Timestamp(it.at_us).plus_s(900),
        };
        self.tell(it.at_us + 1, Event::Payment(payment::Event::PaymentRequested(requested))).await;
        let (reference, url) = ("link".to_owned(), "https://pay.test/link".to_owned());
        let created = payment::PaymentIntentCreated { payment, order, show, reference, url };
        self.tell(it.at_us + 2, Event::Payment(payment::Event::PaymentIntentCreated(created))).await;
    }

    /// The tickets are issued.
    pub async fn issue(&self, it: &Purchase) -> [TicketId; 2] {
        let (order, show) = (it.order, it.stage.show);
        let tickets = [0, 1].map(|n| TicketId(id("ticket", n + it.order.0.as_u128() % 1000)));
        let issued = tickets.map(|ticket| IssuedTicket { ticket, ticket_class: it.stage.class });
        let issued = ticket::TicketsIssued { order, show, tickets: issued.to_vec() };
        self.tell(it.at_us + 4, Event::Ticket(ticket::Event::TicketsIssued(issued))).await;
        tickets
    }

    /// The order is completed.
    pub async fn mark_completed(&self, it: &Purchase) {
        let (order, show) = (it.order, it.stage.show);
        let completed = order::OrderCompleted { order, show, ticket_count: 2, session: None };
        self.tell(it.at_us + 6, Event::Order(order::Event::OrderCompleted(completed))).await;
    }

    /// The money is there, the tickets are issued, the order is completed; in the order of no particular topic.
    pub async fn complete(&self, it: &Purchase) -> [TicketId; 2] {
        let (payment, order, show) = (it.payment, it.order, it.stage.show);
        let completed = payment::PaymentCompleted {
            payment,
            order,
            show,
            reference: "FT1".to_owned(),
            amount: 2 * PRICE,
            currency: vnd(),
            received: 2 * PRICE,
            fee: 0,
            provider: Provider::Payos,
        };
        self.tell(it.at_us + 3, Event::Payment(payment::Event::PaymentCompleted(completed))).await;
        let tickets = self.issue(it).await;
        let lines = vec![Line { ticket_class: it.stage.class, quantity: 2 }];
        let confirmed = inventory::ReservationConfirmed { show, order, attempt: 1, lines };
        self.tell(it.at_us + 5, Event::Inventory(inventory::Event::ReservationConfirmed(confirmed))).await;
        self.mark_completed(it).await;
        tickets
    }

    pub async fn cancel(&self, it: &Purchase) {
        let cancelled = order::OrderCancelled {
            order: it.order,
            show: it.stage.show,
            reason: CancelReason::ByBuyer,
            open_payments: vec![],
            refund: None,
            refund_why: None,
            issued: false,
            session: None,
        };
        self.tell(it.at_us + 7, Event::Order(order::Event::OrderCancelled(cancelled))).await;
    }
}
