//! Fetches the certificates that PayPal names in its webhooks, from PayPal only, and keeps them.
//!
//! Invariant: no address is called that does not start with one of ours.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use domain::value::Timestamp;

use super::trust::{Chain, SignerKey, Trust, chain};
use crate::payments::caller::{Answered, Call, Caller, ClientError};
use crate::payments::failure::{Failure, Trouble};
use crate::payments::gateway::Rejected;
use crate::payments::reference::is_plain;

/// Where certificates are, behind the host.
const PATH: &str = "/v1/notifications/certs/";
/// PayPal has one at a time, and changes it every year or two.
const MOST_KEPT: usize = 8;

/// The certificates of PayPal.
#[derive(Debug)]
pub(super) struct Certificates {
    trust: Trust,
    sources: Vec<(String, Caller)>,
    kept: Mutex<VecDeque<(String, Arc<Chain>)>>,
    /// Whoever makes up names of certificates makes us fetch one after the other, not all at once.
    fetching: tokio::sync::Mutex<()>,
}

impl Certificates {
    /// From these addresses, each a scheme and a host.
    pub(super) fn new(trust: Trust, caller: &Caller, bases: &[String]) -> Result<Self, ClientError> {
        let sources = bases.iter().map(|base| Ok((format!("{base}{PATH}"), caller.at(base)?)));
        Ok(Self {
            trust,
            sources: sources.collect::<Result<_, ClientError>>()?,
            kept: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        })
    }

    /// The key of the certificate at this address, if it is PayPal's.
    pub(super) async fn key(&self, url: &str, now: Timestamp) -> Result<SignerKey, Rejected> {
        let (caller, name) = self.source(url).ok_or(Rejected::Signature)?;
        if let Some(kept) = self.kept(url) {
            return self.trust.key(&kept, now).ok_or(Rejected::Signature);
        }
        let _turn = self.fetching.lock().await;
        if let Some(kept) = self.kept(url) {
            return self.trust.key(&kept, now).ok_or(Rejected::Signature);
        }
        let chain = match caller.call(&Call::get("certificate", format!("{PATH}{name}")), read).await {
            Ok(chain) => chain,
            Err(Failure::Refused { .. }) => return Err(Rejected::Signature),
            Err(Failure::Unsent { .. } | Failure::Lost { .. }) => return Err(Rejected::Unverifiable),
        };
        let key = self.trust.key(&chain, now).ok_or(Rejected::Signature)?;
        self.keep(url, chain);
        Ok(key)
    }

    /// Compared as text, so that there is nothing to misread in an address.
    fn source<'a>(&self, url: &'a str) -> Option<(&Caller, &'a str)> {
        let (caller, name) = self.sources.iter().find_map(|(base, caller)| Some((caller, url.strip_prefix(base)?)))?;
        is_plain(name).then_some((caller, name))
    }

    fn kept(&self, url: &str) -> Option<Arc<Chain>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(at, _)| at == url).map(|(_, chain)| Arc::clone(chain))
    }

    fn keep(&self, url: &str, chain: Chain) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.pop_front();
        }
        kept.push_back((url.to_owned(), Arc::new(chain)));
    }
}

fn read(Answered { status, body }: &Answered) -> Result<Chain, Failure> {
    if !status.is_success() {
        return Err(Failure::refused(*status, status.as_str()));
    }
    let unreadable = || Failure::lost(None, Trouble::Unreadable("it is no certificate in PEM".into()));
    chain(body).ok_or_else(unreadable)
}
