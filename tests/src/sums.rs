//! What the log adds up to, recomputed without the domain's state or any read model.

use std::collections::{BTreeMap, BTreeSet};

use domain::event::Event;
use domain::ids::{OrderId, PaymentId, ShowId, TicketClassId};
use domain::value::Line;
use domain::{inventory, order, payment, show, ticket};
use serde_json::Value;

use crate::client::Client;
use crate::journal::{Journal, News};
use crate::shop::Shop;

/// Sums over all events.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Sums {
    /// What each class has.
    pub stock: BTreeMap<(ShowId, TicketClassId), Stock>,
    /// Orders by show and what became of them.
    pub orders: BTreeMap<(ShowId, OrderId), &'static str>,
    /// Tickets that admit somebody.
    pub valid_tickets: BTreeMap<(ShowId, OrderId), usize>,
    /// Money that came and is neither quarantined nor going back.
    pub kept: BTreeMap<PaymentId, i64>,
    /// Money on its way back, by order.
    pub refunds: BTreeMap<OrderId, i64>,
    /// The payment that paid an order.
    pub paid_by: BTreeMap<OrderId, PaymentId>,
    published: BTreeSet<ShowId>,
    /// Tickets that died alone; their stock is not sold again.
    dead_tickets: BTreeMap<(ShowId, OrderId), i64>,
}

/// What a class has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// How many there are.
    pub capacity: i64,
    /// Held.
    pub held: i64,
    /// Sold.
    pub sold: i64,
}

impl Sums {
    /// The sums of everything a world has written.
    pub async fn of(journal: &mut Journal) -> Self {
        let mut sums = Self::default();
        sums.add(&journal.news().await);
        sums
    }

    /// Adds what is new.
    pub fn add(&mut self, news: &News) {
        news.events.iter().for_each(|event| self.count(event));
    }

    fn count(&mut self, event: &Event) {
        match event {
            Event::Show(event) => {
                if let show::Event::ShowPublished(event) = event {
                    self.published.insert(event.show);
                }
            }
            Event::Inventory(event) => self.stock(event),
            Event::Order(event) => self.order(event),
            Event::Payment(event) => self.money(event),
            Event::Queue(_) | Event::Account(_) => {}
            Event::Ticket(ticket::Event::TicketsIssued(event)) => {
                self.valid_tickets.insert((event.show, event.order), event.tickets.len());
            }
            Event::Ticket(ticket::Event::TicketsRevoked(event)) => {
                self.valid_tickets.insert((event.show, event.order), 0);
                self.dead_tickets.remove(&(event.show, event.order));
            }
            Event::Ticket(ticket::Event::TicketRevoked(event)) => {
                *self.valid_tickets.entry((event.show, event.order)).or_default() -= 1;
                *self.dead_tickets.entry((event.show, event.order)).or_default() += 1;
            }
        }
    }

    fn stock(&mut self, event: &inventory::Event) {
        use inventory::Event as E;
        match event {
            E::SalesOpened(event) => {
                for class in &event.classes {
                    self.class(event.show, class.ticket_class).capacity = class.capacity;
                }
            }
            E::CapacityChanged(event) => self.class(event.show, event.ticket_class).capacity = event.capacity,
            E::TicketsReserved(event) => {
                let lines: Vec<Line> = event.lines.iter().map(|line| line.line()).collect();
                self.shift(event.show, &lines, 1, 0);
                if event.attempt == 1 {
                    self.orders.insert((event.show, event.order), "open");
                }
            }
            E::ReservationConfirmed(event) => self.shift(event.show, &event.lines, -1, 1),
            E::ReservationReleased(event) => {
                let (held, sold) = if event.confirmed { (0, -1) } else { (-1, 0) };
                self.shift(event.show, &event.lines, held, sold);
                if event.reason == inventory::ReleaseReason::OrderIdTaken {
                    self.orders.insert((event.show, event.order), "failed");
                }
            }
            E::ReservationExpired(event) => self.shift(event.show, &event.lines, -1, 0),
            E::SalesClosed(_) | E::PriceChanged(_) | E::SessionBarred(_) => {}
        }
    }

    fn order(&mut self, event: &order::Event) {
        use order::Event as E;
        let (show, order, status) = match event {
            E::OrderPaid(event) => {
                if let Some(payment) = event.payment {
                    self.paid_by.insert(event.order, payment);
                }
                (event.show, event.order, "open")
            }
            E::OrderCompleted(event) => (event.show, event.order, "completed"),
            E::OrderCancelled(event) => (event.show, event.order, "cancelled"),
            E::OrderFailed(event) => (event.show, event.order, "failed"),
            E::OrderStuck(event) => (event.show, event.order, "stuck"),
            E::OrderCreated(_)
            | E::OrderPaymentAdded(_)
            | E::OrderPaymentEnded(_)
            | E::OrderOverdue(_)
            | E::OrderTicketsRefunded(_) => return,
        };
        self.orders.insert((show, order), status);
    }

    fn money(&mut self, event: &payment::Event) {
        use payment::Event as E;
        match event {
            E::PaymentPartiallyReceived(event) => *self.kept.entry(event.payment).or_default() += event.amount,
            E::PaymentCompleted(event) => *self.kept.entry(event.payment).or_default() += event.amount,
            E::RefundRequested(event) => {
                *self.kept.entry(event.payment).or_default() -= event.amount;
                *self.refunds.entry(event.order).or_default() += event.amount;
            }
            E::PaymentRequested(_)
            | E::PaymentIntentCreated(_)
            | E::PaymentFailed(_)
            | E::PaymentClosureRequested(_)
            | E::PaymentExpired(_)
            | E::PaymentQuarantined(_)
            | E::PaymentRefunded(_)
            | E::RefundFailed(_) => {}
        }
    }

    fn class(&mut self, show: ShowId, class: TicketClassId) -> &mut Stock {
        self.stock.entry((show, class)).or_default()
    }

    fn shift(&mut self, show: ShowId, lines: &[Line], held: i64, sold: i64) {
        for line in lines {
            let stock = self.class(show, line.ticket_class);
            stock.held += held * i64::from(line.quantity);
            stock.sold += sold * i64::from(line.quantity);
            assert!(stock.held >= 0 && stock.sold >= 0, "more came back than was taken: {stock:?}");
            assert!(stock.held + stock.sold <= stock.capacity, "oversold: {stock:?}");
        }
    }

    /// How many orders of a show have this status in the log.
    pub fn orders_of(&self, show: ShowId, status: &str) -> usize {
        self.orders.iter().filter(|((of, _), it)| *of == show && **it == status).count()
    }

    /// Checks that money, stock and tickets agree with each other once nothing is under way any more.
    ///
    /// # Panics
    /// If they do not.
    pub fn check_settled(&self) {
        let mut sold: BTreeMap<ShowId, i64> = BTreeMap::new();
        for ((show, _), stock) in &self.stock {
            assert_eq!(stock.held, 0, "something is still held of {show}");
            *sold.entry(*show).or_default() += stock.sold;
        }
        let mut issued: BTreeMap<ShowId, i64> = BTreeMap::new();
        for ((show, order), tickets) in &self.valid_tickets {
            let complete = self.orders.get(&(*show, *order)) == Some(&"completed");
            assert_eq!(complete, *tickets > 0, "tickets of {order} without completion, or the other way round");
            *issued.entry(*show).or_default() += i64::try_from(*tickets).expect("a small number");
        }
        for ((show, _), dead) in &self.dead_tickets {
            *issued.entry(*show).or_default() += dead;
        }
        sold.retain(|_, count| *count > 0);
        issued.retain(|_, count| *count > 0);
        assert_eq!(sold, issued, "what is sold has tickets");
        for ((_, order), status) in &self.orders {
            let paid = self.paid_by.get(order).and_then(|payment| self.kept.get(payment)).copied().unwrap_or(0);
            assert!(*status == "completed" || paid == 0, "{order} is {status} and its money was kept");
        }
    }
}

impl Shop {
    /// Checks that the read models say what the log says, once they have caught up.
    ///
    /// # Panics
    /// If they still do not after a while.
    pub async fn check_read_models(&self, sums: &Sums) {
        let mut wrong = Vec::new();
        for _ in 0..300 {
            wrong = self.differences(sums).await;
            if wrong.is_empty() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        panic!("the read models differ from the log: {wrong:#?}");
    }

    /// What the read models say otherwise than the log, at this moment.
    pub async fn differences(&self, sums: &Sums) -> Vec<String> {
        let admin = self.admin();
        let mut wrong = Vec::new();
        for show in &sums.published {
            let left = admin.get(&format!("/v1/shows/{show}/availability")).await;
            let Some(classes) = left.body["classes"].as_array().filter(|_| left.status == 200) else {
                wrong.push(format!("no availability of {show}: {}", left.body));
                continue;
            };
            for class in classes {
                let id: TicketClassId = class["id"].as_str().and_then(|id| id.parse().ok()).expect("a class has an id");
                let seen = Stock {
                    capacity: number(class, "capacity"),
                    held: number(class, "reserved"),
                    sold: number(class, "sold"),
                };
                let logged = sums.stock.get(&(*show, id)).copied().unwrap_or_default();
                if seen != logged || number(class, "available") != logged.capacity - logged.held - logged.sold {
                    wrong.push(format!("class {id}: {class} instead of {logged:?}"));
                }
            }
            wrong.extend(orders_differ(&admin, sums, *show).await);
        }
        wrong
    }
}

async fn orders_differ(admin: &Client, sums: &Sums, show: ShowId) -> Option<String> {
    let listed = admin.all(&format!("/v1/shows/{show}/orders?limit=200")).await?;
    let mut seen = BTreeMap::new();
    for order in &listed {
        let status = match order["status"].as_str() {
            Some("reserved" | "awaiting_payment") => "open",
            Some(status) => status,
            None => "nothing",
        };
        let id: OrderId = order["id"].as_str().and_then(|id| id.parse().ok()).expect("an order has an id");
        let back = number(&order["refund"]["amount"], "amount");
        seen.insert(id, (status.to_owned(), back));
    }
    let of_show = sums.orders.iter().filter(|((of, _), _)| *of == show);
    let logged: BTreeMap<OrderId, (String, i64)> = of_show
        .map(|((_, order), status)| (*order, ((*status).to_owned(), sums.refunds.get(order).copied().unwrap_or(0))))
        .collect();
    let differing = logged.iter().filter(|(order, fact)| seen.get(*order) != Some(*fact)).count();
    let right = seen.len() == logged.len() && differing == 0;
    (!right).then(|| format!("orders of {show}: {} listed, {} logged, {differing} differ", seen.len(), logged.len()))
}

fn number(value: &Value, field: &str) -> i64 {
    value[field].as_i64().unwrap_or(0)
}
