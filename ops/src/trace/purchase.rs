//! From an id to every event of its purchase: the order's own partition names the show, the payments and the place in the
//! waiting room, and so the few other partitions that can have anything of it.

use std::collections::BTreeSet;

use domain::event::Event;
use domain::root::Context;
use domain::value::Timestamp;
use domain::{inventory, order, payment, queue, ticket};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use uuid::Uuid;

use super::Told;
use super::find::Hint;
use super::read::{Logs, Wanted};

/// Clocks differ, and the broker's is not the owner's.
const BEFORE_S: i64 = 600;
/// Whoever waits for a turn joined at most so long before.
const QUEUED_S: i64 = 86_400;
/// Partitions read at the same time.
const AT_ONCE: usize = 8;

/// A partition to read, and what of it.
type Window = (Context, u32, Option<Timestamp>, Wanted);

/// What an event names.
#[derive(Debug, Default)]
struct Names {
    orders: BTreeSet<Uuid>,
    shows: BTreeSet<Uuid>,
    payments: BTreeSet<Uuid>,
    sessions: BTreeSet<Uuid>,
}

/// Everything of the purchase that an id belongs to.
pub(super) async fn read(
    logs: &Logs,
    id: Uuid,
    hint: Option<Hint>,
    since: Option<Timestamp>,
) -> anyhow::Result<Vec<Told>> {
    let since = since.or(hint.and_then(|hint| hint.made_at).map(|at| at.plus_s(-BEFORE_S)));
    let order = hint.map_or(id, |hint| hint.order);
    let own = of_order(logs, order, since).await?;
    if !own.is_empty() {
        return whole(logs, BTreeSet::from([order]), own, since).await;
    }
    // No order: perhaps a payment, whose partition is known as well; else it may be anywhere.
    let mut named = windows(logs, vec![keyed(logs, Context::Payment, id, since)]).await?;
    if named.is_empty() {
        eprintln!("no order or payment has this id: looking through every partition");
        let everywhere = Context::ALL.into_iter().flat_map(|context| (0..logs.partitions).map(move |it| (context, it)));
        let everywhere = everywhere.map(|(context, it)| (context, it, since, Wanted::Naming(vec![id])));
        named = windows(logs, everywhere.collect()).await?;
    }
    let orders: BTreeSet<Uuid> = Names::of(&named).orders;
    match orders.len() {
        // A request that was about no order, such as one about a show.
        0 => Ok(named),
        _ => whole(logs, orders, named, since).await,
    }
}

/// What lies under the order's own key.
async fn of_order(logs: &Logs, order: Uuid, since: Option<Timestamp>) -> anyhow::Result<Vec<Told>> {
    let own = [Context::Order, Context::Ticket].map(|context| keyed(logs, context, order, since));
    windows(logs, own.into()).await
}

/// Everything of these orders, beside what is known already.
async fn whole(
    logs: &Logs,
    orders: BTreeSet<Uuid>,
    mut told: Vec<Told>,
    since: Option<Timestamp>,
) -> anyhow::Result<Vec<Told>> {
    for order in &orders {
        told.extend(of_order(logs, *order, since).await?);
    }
    let names = Names::of(&told);
    let mut wanted: Vec<Window> =
        names.payments.iter().map(|payment| keyed(logs, Context::Payment, *payment, since)).collect();
    for show in &names.shows {
        let number = logs.place(Context::Inventory, *show).number;
        let ids: Vec<Uuid> = orders.iter().copied().collect();
        wanted.push((Context::Inventory, number, since, Wanted::Naming(ids.clone())));
        if !names.sessions.is_empty() {
            let ids = names.sessions.iter().copied().chain(ids).collect();
            let since = since.map(|at| at.plus_s(-QUEUED_S));
            wanted.push((Context::Queue, number, since, Wanted::Naming(ids)));
        }
    }
    told.extend(windows(logs, wanted).await?);
    Ok(told)
}

fn keyed(logs: &Logs, context: Context, id: Uuid, since: Option<Timestamp>) -> Window {
    (context, logs.place(context, id).number, since, Wanted::Key(id))
}

async fn windows(logs: &Logs, wanted: Vec<Window>) -> anyhow::Result<Vec<Told>> {
    let read = stream::iter(wanted).map(|(context, number, since, wanted)| async move {
        let at = event_log::log::Partition { context, number };
        let found = logs.window(at, since, wanted).await?;
        logs.told(found).await
    });
    let all: Vec<Vec<Told>> = read.buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(all.into_iter().flatten().collect())
}

impl Names {
    fn of(told: &[Told]) -> Self {
        let mut names = Self::default();
        told.iter().for_each(|told| names.take(&told.event));
        names
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Show(event) => drop(self.shows.insert(event.aggregate())),
            Event::Inventory(event) => self.of_inventory(event),
            Event::Order(event) => self.of_order(event),
            Event::Payment(event) => self.of_payment(event),
            Event::Ticket(event) => self.of_ticket(event),
            Event::Queue(event) => self.of_queue(event),
            // What else that person bought is none of this purchase.
            Event::Account(_) => {}
        }
    }

    fn of_inventory(&mut self, event: &inventory::Event) {
        use inventory::Event as E;
        self.shows.insert(event.aggregate());
        match event {
            E::TicketsReserved(it) => {
                self.orders.insert(it.order.0);
                let checkout = it.checkout.as_ref();
                self.sessions.extend(checkout.and_then(|checkout| checkout.session).map(|session| session.0));
            }
            E::ReservationConfirmed(it) => drop(self.orders.insert(it.order.0)),
            E::ReservationReleased(it) => drop(self.orders.insert(it.order.0)),
            E::ReservationExpired(it) => drop(self.orders.insert(it.order.0)),
            E::SalesOpened(_)
            | E::SalesClosed(_)
            | E::PriceChanged(_)
            | E::CapacityChanged(_)
            | E::SessionBarred(_) => {}
        }
    }

    fn of_order(&mut self, event: &order::Event) {
        use order::Event as E;
        self.orders.insert(event.aggregate());
        match event {
            E::OrderCreated(it) => {
                self.shows.insert(it.show.0);
                self.payments.extend(it.payment.iter().map(|choice| choice.payment.0));
                self.sessions.extend(it.session.map(|session| session.0));
            }
            E::OrderPaymentAdded(it) => drop(self.payments.insert(it.payment.payment.0)),
            E::OrderOverdue(it) => self.payments.extend(it.payments.iter().map(|payment| payment.0)),
            E::OrderPaid(it) => self.payments.extend(it.payment.map(|payment| payment.0)),
            E::OrderCancelled(it) => {
                self.payments.extend(it.open_payments.iter().chain(&it.refund).map(|payment| payment.0));
            }
            E::OrderPaymentEnded(it) => drop(self.payments.insert(it.payment.0)),
            E::OrderTicketsRefunded(it) => drop(self.payments.insert(it.payment.0)),
            E::OrderCompleted(_) | E::OrderFailed(_) | E::OrderStuck(_) => {}
        }
    }

    fn of_payment(&mut self, event: &payment::Event) {
        use payment::Event as E;
        self.payments.insert(event.aggregate());
        let order = match event {
            E::PaymentRequested(it) => Some(it.order),
            E::PaymentIntentCreated(it) => Some(it.order),
            E::PaymentPartiallyReceived(it) => Some(it.order),
            E::PaymentCompleted(it) => Some(it.order),
            E::PaymentFailed(it) => Some(it.order),
            E::PaymentClosureRequested(it) => Some(it.order),
            E::PaymentExpired(it) => Some(it.order),
            E::PaymentQuarantined(it) => it.order,
            E::RefundRequested(it) => Some(it.order),
            E::PaymentRefunded(it) => Some(it.order),
            E::RefundFailed(it) => Some(it.order),
        };
        self.orders.extend(order.map(|order| order.0));
    }

    fn of_ticket(&mut self, event: &ticket::Event) {
        self.orders.insert(event.aggregate());
    }

    fn of_queue(&mut self, event: &queue::Event) {
        use queue::Event as E;
        self.shows.insert(event.aggregate());
        let order = match event {
            E::CheckoutTied(it) => Some(it.order),
            E::CheckoutCompleted(it) => Some(it.order),
            E::CheckoutFailed(it) => Some(it.order),
            _ => None,
        };
        self.orders.extend(order.map(|order| order.0));
    }
}
