//! All payment links, found by number, order code or link id.

use std::collections::{BTreeMap, HashMap};

use super::Payment;

/// The payment links.
#[derive(Default)]
pub struct Payments {
    by_number: BTreeMap<u64, Payment>,
    by_order: HashMap<i64, u64>,
    by_link: HashMap<String, u64>,
}

impl Payments {
    /// The number of the newest payment, 0 when there is none.
    pub fn last_number(&self) -> u64 {
        self.by_number.last_key_value().map_or(0, |(number, _)| *number)
    }

    /// Whether an order code is taken.
    pub fn has_order(&self, order_code: i64) -> bool {
        self.by_order.contains_key(&order_code)
    }

    /// Keeps a payment under its number, order code and link id.
    pub fn put(&mut self, payment: Payment) {
        self.by_order.insert(payment.order_code, payment.number);
        self.by_link.insert(payment.link_id.clone(), payment.number);
        self.by_number.insert(payment.number, payment);
    }

    /// The payment with this link id or order code.
    pub fn find(&self, id: &str) -> Option<&Payment> {
        let by_order = || id.parse().ok().and_then(|order_code: i64| self.by_order.get(&order_code));
        self.get(*self.by_link.get(id).or_else(by_order)?)
    }

    /// The payment with this number.
    pub fn get(&self, number: u64) -> Option<&Payment> {
        self.by_number.get(&number)
    }

    /// The payment with this number, to change.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut Payment> {
        self.by_number.get_mut(&number)
    }

    /// All, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Payment> {
        self.by_number.values()
    }

    /// Those with a number above `after`, oldest first.
    pub fn after(&self, after: u64) -> impl Iterator<Item = &Payment> {
        self.by_number.range(after.saturating_add(1)..).map(|(_, payment)| payment)
    }
}
