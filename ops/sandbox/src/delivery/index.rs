//! All deliveries, by number and by payment.

use std::collections::{BTreeMap, HashMap};

use super::Delivery;
use crate::provider::Provider;

/// All deliveries.
#[derive(Default)]
pub struct Deliveries {
    by_id: BTreeMap<u64, Delivery>,
    by_payment: HashMap<(Provider, String), Vec<u64>>,
}

impl Deliveries {
    /// Numbers a new delivery and keeps it.
    pub fn add(&mut self, mut delivery: Delivery) -> Delivery {
        delivery.id = self.by_id.last_key_value().map_or(1, |(id, _)| id + 1);
        self.put(delivery.clone());
        delivery
    }

    /// Keeps a delivery under its number.
    pub fn put(&mut self, mut delivery: Delivery) {
        // A journal of earlier days names the order code only.
        if let (true, Some(order_code)) = (delivery.payment.is_empty(), delivery.order_code) {
            delivery.payment = order_code.to_string();
        }
        let (id, payment) = (delivery.id, (delivery.provider, delivery.payment.clone()));
        if self.by_id.insert(id, delivery).is_none() {
            self.by_payment.entry(payment).or_default().push(id);
        }
    }

    /// One delivery.
    pub fn get(&self, id: u64) -> Option<&Delivery> {
        self.by_id.get(&id)
    }

    /// One delivery, to change.
    pub fn get_mut(&mut self, id: u64) -> Option<&mut Delivery> {
        self.by_id.get_mut(&id)
    }

    /// Those of one reference of the shop, oldest first.
    pub fn of(&self, provider: Provider, payment: &str) -> impl Iterator<Item = &Delivery> {
        let ids = self.by_payment.get(&(provider, payment.to_owned())).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.by_id.get(id))
    }

    /// All, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Delivery> {
        self.by_id.values()
    }

    /// Those with a number above `after`, oldest first.
    pub fn after(&self, after: u64) -> impl Iterator<Item = &Delivery> {
        self.by_id.range(after.saturating_add(1)..).map(|(_, delivery)| delivery)
    }
}
