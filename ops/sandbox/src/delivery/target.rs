//! Where the notifications of each provider go, and how often they are tried.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::provider::Provider;

/// Where one provider's notifications go.
#[derive(Debug, Clone, Serialize)]
pub struct Target {
    /// The URL, once one is known.
    pub url: Option<String>,
    /// The pauses before each further try.
    pub retry_ms: Vec<u64>,
    /// How long one try may take.
    pub timeout_ms: u64,
}

/// The targets of all providers.
pub struct Targets(BTreeMap<Provider, Target>);

impl Default for Targets {
    fn default() -> Self {
        let target =
            |provider: Provider| Target { url: None, retry_ms: provider.protocol().retry_ms(), timeout_ms: 10_000 };
        Self(Provider::ALL.into_iter().map(|provider| (provider, target(provider))).collect())
    }
}

impl Targets {
    /// The target of one provider.
    pub fn of(&self, provider: Provider) -> &Target {
        &self.0[&provider]
    }

    /// The target of one provider, to change.
    pub fn of_mut(&mut self, provider: Provider) -> &mut Target {
        self.0.get_mut(&provider).expect("every provider has a target")
    }

    /// The URLs that are known.
    pub fn urls(&self) -> impl Iterator<Item = (Provider, &str)> {
        self.0.iter().filter_map(|(provider, target)| Some((*provider, target.url.as_deref()?)))
    }
}
