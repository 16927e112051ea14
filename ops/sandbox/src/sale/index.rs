//! All sales, found by number, by the shop's reference or by the provider's own name.

use std::collections::{BTreeMap, HashMap};

use super::Sale;
use crate::provider::Provider;

/// The sales of all providers.
#[derive(Default)]
pub struct Sales {
    by_number: BTreeMap<u64, Sale>,
    by_reference: HashMap<(Provider, String), u64>,
    by_id: HashMap<(Provider, String), u64>,
    by_part: HashMap<(Provider, String), u64>,
}

impl Sales {
    /// The number of the newest sale, 0 when there is none.
    pub fn last_number(&self) -> u64 {
        self.by_number.last_key_value().map_or(0, |(number, _)| *number)
    }

    /// Keeps a sale; its reference then leads to it, also when an older one has the same.
    pub fn put(&mut self, sale: Sale) {
        let reference = self.by_reference.entry((sale.provider, sale.reference.clone())).or_default();
        *reference = sale.number.max(*reference);
        for part in parts(&sale) {
            self.by_part.insert((sale.provider, part.to_owned()), sale.number);
        }
        self.by_id.insert((sale.provider, sale.id.clone()), sale.number);
        self.by_number.insert(sale.number, sale);
    }

    /// The sale with this number.
    pub fn get(&self, number: u64) -> Option<&Sale> {
        self.by_number.get(&number)
    }

    /// The newest sale with this reference of the shop.
    pub fn by_reference(&self, provider: Provider, reference: &str) -> Option<&Sale> {
        self.get(*self.by_reference.get(&(provider, reference.to_owned()))?)
    }

    /// The sale that the provider calls so.
    pub fn by_id(&self, provider: Provider, id: &str) -> Option<&Sale> {
        self.get(*self.by_id.get(&(provider, id.to_owned()))?)
    }

    /// The sale that has a capture, a refund (by either name) or an `alias` in its `extra` of this name.
    pub fn by_part(&self, provider: Provider, part: &str) -> Option<&Sale> {
        self.get(*self.by_part.get(&(provider, part.to_owned()))?)
    }

    /// The sale with this name or reference, of one provider or of any.
    pub fn find(&self, provider: Option<Provider>, id: &str) -> Option<&Sale> {
        let wanted = |one: &Provider| provider.is_none_or(|only| only == *one);
        let providers = || Provider::ALL.into_iter().filter(wanted);
        let by_id = providers().find_map(|provider| self.by_id(provider, id));
        by_id.or_else(|| providers().find_map(|provider| self.by_reference(provider, id)))
    }

    /// Those of one provider, newest first.
    pub fn of(&self, provider: Provider) -> impl Iterator<Item = &Sale> {
        self.by_number.values().rev().filter(move |sale| sale.provider == provider)
    }

    /// All, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Sale> {
        self.by_number.values()
    }

    /// Those with a number above `after`, oldest first.
    pub fn after(&self, after: u64) -> impl Iterator<Item = &Sale> {
        self.by_number.range(after.saturating_add(1)..).map(|(_, sale)| sale)
    }
}

fn parts(sale: &Sale) -> impl Iterator<Item = &str> {
    let captures = sale.captures.iter().map(|capture| capture.reference.as_str());
    let refunds = sale.refunds.iter().flat_map(|refund| [Some(refund.id.as_str()), refund.reference.as_deref()]);
    let alias = Some(sale.extra_text("alias")).filter(|alias| !alias.is_empty());
    captures.chain(refunds.flatten()).chain(alias)
}
