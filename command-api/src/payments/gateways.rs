//! The providers that are set up.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::ids::PaymentId;
use domain::value::{Currency, Provider};

use super::gateway::{PaymentGateway, Urls};

/// The providers that are set up.
#[derive(Debug, Clone)]
pub struct Gateways {
    public_url: String,
    by_provider: BTreeMap<Provider, Arc<dyn PaymentGateway>>,
}

impl Gateways {
    /// None yet; `public_url` is how browsers reach us.
    pub fn new(public_url: &str) -> Self {
        Self { public_url: public_url.trim_end_matches('/').to_owned(), by_provider: BTreeMap::new() }
    }

    /// With one more, or another in its place.
    #[must_use]
    pub fn with(mut self, gateway: Arc<dyn PaymentGateway>) -> Self {
        self.by_provider.insert(gateway.provider(), gateway);
        self
    }

    /// The gateway of a provider, if it is set up.
    pub fn get(&self, provider: Provider) -> Option<&Arc<dyn PaymentGateway>> {
        self.by_provider.get(&provider)
    }

    /// The gateway whose provider has this name in URLs.
    pub fn by_name(&self, name: &str) -> Option<&Arc<dyn PaymentGateway>> {
        self.by_provider.values().find(|gateway| gateway.provider().as_str() == name)
    }

    /// Whether this provider is set up and takes this currency.
    pub fn takes(&self, provider: Provider, currency: Currency) -> bool {
        self.get(provider).is_some_and(|gateway| gateway.currencies().contains(&currency))
    }

    /// Every provider that is set up, with its currencies.
    pub fn offered(&self) -> impl Iterator<Item = (Provider, &[Currency])> {
        self.by_provider.iter().map(|(provider, gateway)| (*provider, gateway.currencies()))
    }

    /// Where this provider sends the browser of this payment's payer back to.
    pub fn urls(&self, provider: Provider, payment: PaymentId) -> Urls {
        let paid = format!("{}/v1/payments/{}/return?payment={payment}", self.public_url, provider.as_str());
        Urls { cancelled: format!("{paid}&gave_up=true"), paid }
    }
}
