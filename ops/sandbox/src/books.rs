//! All state of the sandbox, kept behind one lock, and its way into the journal.

use std::path::Path;

use crate::delivery::{Deliveries, Delivery, Target, Targets};
use crate::journal::{Entry, Journal};
use crate::ledger::{Ledger, Movement, Transfer};
use crate::payos::{Payment, Payments};
use crate::paypal::Tokens;
use crate::provider::Provider;
use crate::replays::{Replay, Replays};
use crate::sale::{Sale, Sales};
use crate::script::Scripts;

/// Payments, money and messages. Changes go through the methods here, so that none misses the journal.
#[derive(Default)]
pub struct Books {
    payments: Payments,
    sales: Sales,
    ledger: Ledger,
    deliveries: Deliveries,
    /// The scripts of payments still to come.
    pub scripts: Scripts,
    /// The calls that came with a key; finished ones go in by `add_replay`.
    pub replays: Replays,
    /// The tokens of PayPal; not in the journal.
    pub tokens: Tokens,
    targets: Targets,
    journal: Option<Journal>,
}

impl Books {
    /// Books that live in memory only, or that go on from the journal at `state`.
    pub fn open(state: Option<&Path>) -> anyhow::Result<Self> {
        let mut books = Self::default();
        let Some(path) = state else { return Ok(books) };
        for entry in Journal::read(path)? {
            books.restore(entry);
        }
        books.journal = Some(Journal::rewrite(path, &books.entries())?);
        Ok(books)
    }

    /// The number of the next payment or sale: one order of creation over all providers.
    pub fn next_number(&self) -> u64 {
        self.payments.last_number().max(self.sales.last_number()) + 1
    }

    /// The sales of every provider but PayOS.
    pub fn sales(&self) -> &Sales {
        &self.sales
    }

    /// The payments of PayOS, by number, order code and link.
    pub fn payments(&self) -> &Payments {
        &self.payments
    }

    /// The movements of money.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The webhook deliveries.
    pub fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }

    /// Where webhooks go, and how often they are tried.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Adds a new sale, numbers it and returns it as it is kept.
    pub fn add_sale(&mut self, sale: Sale) -> Sale {
        let sale = Sale { number: self.next_number(), ..sale };
        self.write(|| Entry::Sale(Box::new(sale.clone())));
        self.sales.put(sale.clone());
        sale
    }

    /// Changes a sale and returns what `change` returns; `None` when there is no such sale.
    pub fn change_sale<T>(&mut self, number: u64, change: impl FnOnce(&mut Sale) -> T) -> Option<T> {
        let mut sale = self.sales.get(number)?.clone();
        let result = change(&mut sale);
        self.write(|| Entry::Sale(Box::new(sale.clone())));
        self.sales.put(sale);
        Some(result)
    }

    /// Keeps the answer to a call.
    pub fn add_replay(&mut self, replay: Replay) {
        self.write(|| Entry::Replay(replay.clone()));
        self.replays.put(replay);
    }

    /// Books a movement of money at any provider but PayOS.
    pub fn add_movement(&mut self, movement: Movement) {
        self.write(|| Entry::Movement(movement.clone()));
        self.ledger.push(movement);
    }

    /// Adds a new payment.
    pub fn add_payment(&mut self, payment: Payment) {
        self.write(|| Entry::Payment(Box::new(payment.clone())));
        self.payments.put(payment);
    }

    /// Changes a payment and returns what `change` returns; `None` when there is no such payment.
    pub fn change_payment<T>(&mut self, number: u64, change: impl FnOnce(&mut Payment) -> T) -> Option<T> {
        let payment = self.payments.get_mut(number)?;
        let result = change(payment);
        let changed = payment.clone();
        self.write(|| Entry::Payment(Box::new(changed)));
        Some(result)
    }

    /// Books a transfer of PayOS.
    pub fn add_transfer(&mut self, transfer: Transfer) {
        self.write(|| Entry::Transfer(transfer.clone()));
        self.ledger.push_transfer(transfer);
    }

    /// Adds a delivery, numbers it and returns its number.
    pub fn add_delivery(&mut self, delivery: Delivery) -> u64 {
        let delivery = self.deliveries.add(delivery);
        self.write(|| Entry::Delivery(delivery.clone()));
        delivery.id
    }

    /// Changes a delivery.
    pub fn change_delivery(&mut self, id: u64, change: impl FnOnce(&mut Delivery)) {
        let Some(delivery) = self.deliveries.get_mut(id) else {
            return;
        };
        change(delivery);
        let changed = delivery.clone();
        self.write(|| Entry::Delivery(changed));
    }

    /// Changes where a provider's webhooks go.
    pub fn change_target(&mut self, provider: Provider, change: impl FnOnce(&mut Target)) {
        let target = self.targets.of_mut(provider);
        change(target);
        if let Some(url) = target.url.clone() {
            self.write(|| Entry::TargetUrl(provider, url));
        }
    }

    fn write(&mut self, entry: impl FnOnce() -> Entry) {
        let Some(journal) = &mut self.journal else { return };
        if let Err(error) = journal.append(&entry()) {
            tracing::error!(error = format!("{error:#}"), "the sandbox's journal misses an entry");
        }
    }

    fn restore(&mut self, entry: Entry) {
        match entry {
            Entry::Payment(payment) => self.payments.put(*payment),
            Entry::Sale(sale) => self.sales.put(*sale),
            Entry::Replay(replay) => self.replays.put(replay),
            Entry::Transfer(transfer) => self.ledger.push_transfer(transfer),
            Entry::Movement(movement) => self.ledger.push(movement),
            Entry::Delivery(delivery) => self.deliveries.put(delivery),
            Entry::WebhookUrl(url) => self.targets.of_mut(Provider::Payos).url = Some(url),
            Entry::TargetUrl(provider, url) => self.targets.of_mut(provider).url = Some(url),
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let payments = self.payments.iter().map(|payment| Entry::Payment(Box::new(payment.clone())));
        let sales = self.sales.iter().map(|sale| Entry::Sale(Box::new(sale.clone())));
        let transfers = self.ledger.transfers().iter().cloned().map(Entry::Transfer);
        let elsewhere = self.ledger.movements(None).filter(|movement| movement.provider != Provider::Payos);
        let movements = elsewhere.cloned().map(Entry::Movement);
        let deliveries = self.deliveries.iter().cloned().map(Entry::Delivery);
        let urls = self.targets.urls().map(|(provider, url)| Entry::TargetUrl(provider, url.to_owned()));
        let replays = self.replays.iter().cloned().map(Entry::Replay);
        payments.chain(sales).chain(replays).chain(transfers).chain(movements).chain(deliveries).chain(urls).collect()
    }
}
