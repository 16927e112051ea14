//! How one application at PayPal is reached.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use domain::value::Currency;
use reqwest::Url;
use service_kit::config::{Env, Format, Noted};
use service_kit::env;

use crate::payments::formats;

/// Where PayPal answers (developer.paypal.com).
const LIVE_URL: &str = "https://api-m.paypal.com";
/// What PayPal takes, except where only residents can pay (BRL, CNY, MYR). There is no VND.
const TAKEN: &[&str] = &[
    "AUD", "CAD", "CHF", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "JPY", "MXN", "NOK", "NZD", "PHP", "PLN",
    "SEK", "SGD", "THB", "TWD", "USD",
];
/// All of them.
const CURRENCIES: &str = "AUD,CAD,CHF,CZK,DKK,EUR,GBP,HKD,HUF,ILS,JPY,MXN,NOK,NZD,PHP,PLN,SEK,SGD,THB,TWD,USD";

/// One application and how it is called.
#[derive(Debug, Clone)]
pub struct PaypalSettings {
    /// The API, without a slash at its end.
    pub url: String,
    /// What we are known by there.
    pub keys: PaypalKeys,
    /// The webhook's id: only what was sent for it is signed for us.
    pub webhook_id: String,
    /// What is offered.
    pub currencies: Vec<Currency>,
    /// Where the certificates of webhooks are: schemes and hosts.
    pub cert_bases: Vec<String>,
    /// The roots of those certificates, in PEM; without it, the usual ones.
    pub cert_ca: Option<PathBuf>,
}

/// What an application is known by; never shown.
#[derive(Clone)]
pub struct PaypalKeys {
    pub(super) client_id: String,
    pub(super) client_secret: String,
}

impl PaypalKeys {
    /// As PayPal shows them.
    pub fn new(client_id: &str, client_secret: &str) -> Self {
        Self { client_id: client_id.to_owned(), client_secret: client_secret.to_owned() }
    }
}

impl fmt::Debug for PaypalKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PaypalKeys(…)")
    }
}

impl PaypalSettings {
    /// An application at this address with the defaults of everything else.
    pub fn new(url: &str, keys: PaypalKeys, webhook_id: &str) -> Self {
        let currencies = CURRENCIES.split(',').map(|code| code.parse().expect("each is three upper-case letters"));
        Self {
            url: url.trim_end_matches('/').to_owned(),
            keys,
            webhook_id: webhook_id.to_owned(),
            currencies: currencies.collect(),
            cert_bases: own_bases(url),
            cert_ca: None,
        }
    }

    /// Reads them; none if no key is set.
    ///
    /// # Errors
    /// Noted in `env`; some keys without the others, too.
    pub fn read(env: &mut Env) -> Result<Option<Self>, Noted> {
        let url = env.with_default("BOXOFFICE_PAYPAL_URL", LIVE_URL, env::url(), "The API of PayPal.");
        let currencies = env.with_default(
            "BOXOFFICE_PAYPAL_CURRENCIES",
            CURRENCIES,
            formats::currencies(TAKEN),
            "The currencies in which payments by PayPal are offered.",
        );
        let bases = env.optional(
            "BOXOFFICE_PAYPAL_CERT_BASE",
            bases(),
            "Where the certificates of webhooks are; without it, at the API's own host and at its api instead of api-m.",
        );
        let ca = env.optional(
            "BOXOFFICE_PAYPAL_CERT_CA",
            env::text("a path"),
            "A file with the roots of those certificates, in PEM; without it, those that browsers trust.",
        );
        let keys = read_keys(env);
        let (url, currencies, bases, ca, keys) = (url?, currencies?, bases?, ca?, keys?);
        let Some((keys, webhook_id)) = keys else { return Ok(None) };
        let cert_bases = bases.unwrap_or_else(|| own_bases(&url));
        if !cert_bases.iter().all(|base| is_safe(base, &url)) {
            let expected = "https URLs; http only while BOXOFFICE_PAYPAL_URL is an http URL of this machine";
            return Err(env.refuse(
                "BOXOFFICE_PAYPAL_CERT_BASE",
                "whoever is in between could sign webhooks",
                expected,
            ));
        }
        Ok(Some(Self { url, keys, webhook_id, currencies, cert_bases, cert_ca: ca.map(PathBuf::from) }))
    }

    /// The common name of PayPal's certificates: another one in its sandbox.
    pub(super) fn cert_name(&self) -> &'static str {
        let host = self.url.parse().ok().and_then(|url: Url| url.host_str().map(ToOwned::to_owned)).unwrap_or_default();
        match host.ends_with(".paypal.com") && !host.ends_with(".sandbox.paypal.com") {
            true => "messageverificationcerts.paypal.com",
            false => "messageverificationcerts.sandbox.paypal.com",
        }
    }
}

fn read_keys(env: &mut Env) -> Result<Option<(PaypalKeys, String)>, Noted> {
    let id = env.optional(
        "BOXOFFICE_PAYPAL_CLIENT_ID",
        formats::header(),
        "The application's client id; PayPal is offered where it, its secret and the webhook's id are set.",
    );
    let secret = env.optional("BOXOFFICE_PAYPAL_CLIENT_SECRET", formats::header(), "The application's secret.");
    let webhook =
        env.optional("BOXOFFICE_PAYPAL_WEBHOOK_ID", formats::header(), "The id of the application's webhook.");
    match (id?, secret?, webhook?) {
        (Some(id), Some(secret), Some(webhook)) => Ok(Some((PaypalKeys::new(&id, &secret), webhook))),
        (None, None, None) => Ok(None),
        _ => Err(env.refuse(
            "BOXOFFICE_PAYPAL_CLIENT_ID",
            "is set only in part",
            "all three of BOXOFFICE_PAYPAL_CLIENT_ID, _CLIENT_SECRET and _WEBHOOK_ID, or none",
        )),
    }
}

/// Schemes and hosts, nothing behind them.
fn bases() -> Format<Vec<String>> {
    let expected = "schemes and hosts separated by commas, such as https://api.paypal.com,https://api-m.paypal.com";
    let base = |text: &str| origin(text).filter(|origin| origin == text);
    Format::new(expected, move |text| text.split(',').map(|it| base(it.trim())).collect())
}

/// PayPal names certificates at both of its hosts.
fn own_bases(url: &str) -> Vec<String> {
    let own = origin(url).unwrap_or_default();
    let other = own.replacen("://api-m.", "://api.", 1);
    if other == own { vec![own] } else { vec![own, other] }
}

fn origin(url: &str) -> Option<String> {
    let url: Url = url.parse().ok()?;
    url.has_host().then(|| url.origin().ascii_serialization())
}

fn is_safe(base: &str, api: &str) -> bool {
    let here = |url: &str| {
        let url: Option<Url> = url.parse().ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        let ip: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        host == "localhost" || ip.is_some_and(|ip| ip.is_loopback())
    };
    base.starts_with("https://") || (api.starts_with("http://") && here(api))
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
