//! All state of the sandbox, kept behind one lock, and its way into the journal.

use std::path::Path;

use crate::delivery::{Deliveries, Delivery, Target};
use crate::journal::{Entry, Journal};
use crate::ledger::{Ledger, Transfer};
use crate::payos::{Payment, Payments};
use crate::script::Scripts;

/// Payments, money and messages. Changes go through the methods here, so that none misses the journal.
#[derive(Default)]
pub struct Books {
    payments: Payments,
    ledger: Ledger,
    deliveries: Deliveries,
    /// The scripts of payments still to come.
    pub scripts: Scripts,
    target: Target,
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

    /// The payments, by number, order code and link.
    pub fn payments(&self) -> &Payments {
        &self.payments
    }

    /// The transfers.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The webhook deliveries.
    pub fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }

    /// Where webhooks go, and how often they are tried.
    pub fn target(&self) -> &Target {
        &self.target
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

    /// Books a transfer.
    pub fn add_transfer(&mut self, transfer: Transfer) {
        self.write(|| Entry::Transfer(transfer.clone()));
        self.ledger.push(transfer);
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

    /// Changes where webhooks go.
    pub fn change_target(&mut self, change: impl FnOnce(&mut Target)) {
        change(&mut self.target);
        if let Some(url) = self.target.url.clone() {
            self.write(|| Entry::WebhookUrl(url));
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
            Entry::Transfer(transfer) => self.ledger.push(transfer),
            Entry::Delivery(delivery) => self.deliveries.put(delivery),
            Entry::WebhookUrl(url) => self.target.url = Some(url),
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let payments = self.payments.iter().map(|payment| Entry::Payment(Box::new(payment.clone())));
        let transfers = self.ledger.all().iter().cloned().map(Entry::Transfer);
        let deliveries = self.deliveries.iter().cloned().map(Entry::Delivery);
        let url = self.target.url.clone().map(Entry::WebhookUrl);
        payments.chain(transfers).chain(deliveries).chain(url).collect()
    }
}
