//! How one account of Stripe is reached.

use std::fmt;

use domain::value::Currency;
use service_kit::config::{Env, Noted};
use service_kit::env;

use super::signature::WebhookSecrets;
use crate::payments::formats;

/// Where Stripe answers (docs.stripe.com/api).
const LIVE_URL: &str = "https://api.stripe.com";
/// What is offered when nothing is set.
const CURRENCIES: &str = "VND,USD,EUR,GBP,SGD,THB,JPY,AUD";

/// One account and how it is called.
#[derive(Debug, Clone)]
pub struct StripeSettings {
    /// The API, without a slash at its end.
    pub url: String,
    /// What we are known by there.
    pub keys: StripeKeys,
    /// What is offered.
    pub currencies: Vec<Currency>,
}

/// What an account is known by; never shown.
#[derive(Clone)]
pub struct StripeKeys {
    pub(super) secret_key: String,
    pub(super) webhook_secrets: WebhookSecrets,
}

impl StripeKeys {
    /// As Stripe shows them; while the webhook's secret is changed there are two.
    pub fn new(secret_key: &str, webhook_secrets: &[impl AsRef<str>]) -> Self {
        Self { secret_key: secret_key.to_owned(), webhook_secrets: WebhookSecrets::new(webhook_secrets) }
    }
}

impl fmt::Debug for StripeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StripeKeys(…)")
    }
}

impl StripeSettings {
    /// An account at this address with the defaults of everything else.
    pub fn new(url: &str, keys: StripeKeys) -> Self {
        let currencies = CURRENCIES.split(',').map(|code| code.parse().expect("each is three upper-case letters"));
        Self { url: url.trim_end_matches('/').to_owned(), keys, currencies: currencies.collect() }
    }

    /// Reads them; none if no key is set.
    ///
    /// # Errors
    /// Noted in `env`; some keys without the others, too.
    pub fn read(env: &mut Env) -> Result<Option<Self>, Noted> {
        let url = env.with_default("BOXOFFICE_STRIPE_URL", LIVE_URL, env::url(), "The API of Stripe.");
        let currencies = env.with_default(
            "BOXOFFICE_STRIPE_CURRENCIES",
            CURRENCIES,
            formats::currencies(&[]),
            "The currencies in which payments by Stripe are offered.",
        );
        let keys = read_keys(env);
        let (url, currencies, keys) = (url?, currencies?, keys?);
        Ok(keys.map(|keys| Self { url, keys, currencies }))
    }
}

fn read_keys(env: &mut Env) -> Result<Option<StripeKeys>, Noted> {
    let secret = env.optional(
        "BOXOFFICE_STRIPE_SECRET_KEY",
        formats::header(),
        "The account's secret or restricted key; Stripe is offered where it and the webhook's secrets are set.",
    );
    let webhook = env.optional(
        "BOXOFFICE_STRIPE_WEBHOOK_SECRETS",
        formats::headers(),
        "The secrets of the webhook's endpoint; two while it is changed.",
    );
    match (secret?, webhook?) {
        (Some(secret), Some(webhook)) => Ok(Some(StripeKeys::new(&secret, &webhook))),
        (None, None) => Ok(None),
        _ => Err(env.refuse(
            "BOXOFFICE_STRIPE_SECRET_KEY",
            "is set only in part",
            "both of BOXOFFICE_STRIPE_SECRET_KEY and BOXOFFICE_STRIPE_WEBHOOK_SECRETS, or none",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [(&str, &str); 2] = [
        ("BOXOFFICE_STRIPE_SECRET_KEY", "sk_hunter2"),
        ("BOXOFFICE_STRIPE_WEBHOOK_SECRETS", "whsec_hunter2, whsec_old_hunter2"),
    ];

    #[test]
    fn without_keys_there_is_no_account_and_one_alone_is_refused() {
        assert!(Env::from_map([("BOXOFFICE_STRIPE_URL", "http://x")]).read(StripeSettings::read).unwrap().is_none());
        for key in KEYS {
            let error = Env::from_map([key]).read(StripeSettings::read).unwrap_err();
            assert!(error.to_string().contains("is set only in part"), "{error}");
        }
    }

    #[test]
    fn the_defaults_are_the_same_from_the_environment_and_from_code() {
        let read = Env::from_map(KEYS).read(StripeSettings::read).unwrap().unwrap();
        let made = StripeSettings::new(&format!("{LIVE_URL}/"), StripeKeys::new("", &[""]));
        assert_eq!(format!("{read:?}"), format!("{made:?}"));
    }

    #[test]
    fn no_key_is_shown_by_settings_or_errors() {
        let settings = Env::from_map(KEYS).read(StripeSettings::read).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"), "{settings:?}");
        let bad = KEYS.map(|(name, value)| (name, format!("{value}\n,")));
        let error = Env::from_map(bad).read(StripeSettings::read).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn currencies_are_those_of_iso_4217() {
        let read = |codes| {
            let env = Env::from_map(KEYS.into_iter().chain([("BOXOFFICE_STRIPE_CURRENCIES", codes)]));
            env.read(StripeSettings::read).map(|settings| settings.unwrap().currencies)
        };
        assert_eq!(read("EUR, VND").unwrap(), ["EUR".parse().unwrap(), "VND".parse().unwrap()]);
        for wrong in ["eur", "EUR,", "ZZZ", "EUR VND"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
