//! How one payment channel of PayOS is reached.

use std::fmt;

use service_kit::config::{Env, Format, Noted};
use service_kit::env;

use super::signature::ChecksumKey;
use crate::payments::formats::header;

/// Where PayOS answers (payos.vn/docs).
const LIVE_URL: &str = "https://api-merchant.payos.vn";

/// One payment channel and how it is called.
#[derive(Debug, Clone)]
pub struct PayosSettings {
    /// The API, without a slash at its end.
    pub url: String,
    /// What we are known by there.
    pub keys: PayosKeys,
    /// The page of a payment with `{id}` in place of its name; without it, a page whose answer was lost is lost.
    pub page: Option<String>,
    /// The most characters of a description: 25, or 9 for a bank account that is not linked.
    pub description_limit: usize,
}

/// What a payment channel is known by; never shown.
#[derive(Clone)]
pub struct PayosKeys {
    pub(super) client_id: String,
    pub(super) api_key: String,
    pub(super) checksum_key: ChecksumKey,
}

impl PayosKeys {
    /// As PayOS shows them.
    pub fn new(client_id: &str, api_key: &str, checksum_key: &str) -> Self {
        let checksum_key = ChecksumKey::new(checksum_key);
        Self { client_id: client_id.to_owned(), api_key: api_key.to_owned(), checksum_key }
    }
}

impl fmt::Debug for PayosKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PayosKeys(…)")
    }
}

impl PayosSettings {
    /// A channel at this address with the defaults of everything else.
    pub fn new(url: &str, keys: PayosKeys) -> Self {
        Self { url: url.trim_end_matches('/').to_owned(), keys, page: None, description_limit: 25 }
    }

    /// Reads them; none if no key is set.
    ///
    /// # Errors
    /// Noted in `env`; some keys without the others, too.
    pub fn read(env: &mut Env) -> Result<Option<Self>, Noted> {
        let url = env.with_default("BOXOFFICE_PAYOS_URL", LIVE_URL, env::url(), "The API of PayOS.");
        let keys = read_keys(env);
        let page = env.optional(
            "BOXOFFICE_PAYOS_PAGE",
            page(),
            "The page of a payment; without it, a payment whose creation was not answered is cancelled.",
        );
        let limit = env.with_default(
            "BOXOFFICE_PAYOS_DESCRIPTION_LIMIT",
            "25",
            env::whole(9..=25),
            "The most characters of a transfer's text; 9 for a bank account that is not linked.",
        );
        let (url, page, description_limit, keys) = (url?, page?, limit?, keys?);
        Ok(keys.map(|keys| Self { url, keys, page, description_limit }))
    }
}

fn read_keys(env: &mut Env) -> Result<Option<PayosKeys>, Noted> {
    let text = || env::secret_text("printable ASCII characters");
    let client = env.optional(
        "BOXOFFICE_PAYOS_CLIENT_ID",
        header(),
        "The payment channel's x-client-id; PayOS is offered where all three keys are set.",
    );
    let api = env.optional("BOXOFFICE_PAYOS_API_KEY", header(), "The payment channel's x-api-key.");
    let checksum = env.optional("BOXOFFICE_PAYOS_CHECKSUM_KEY", text(), "The payment channel's checksum key.");
    match (client?, api?, checksum?) {
        (Some(client), Some(api), Some(checksum)) => Ok(Some(PayosKeys::new(&client, &api, &checksum))),
        (None, None, None) => Ok(None),
        _ => Err(env.refuse(
            "BOXOFFICE_PAYOS_CLIENT_ID",
            "is set only in part",
            "all three of BOXOFFICE_PAYOS_CLIENT_ID, _API_KEY and _CHECKSUM_KEY, or none",
        )),
    }
}

fn page() -> Format<String> {
    let expected = "an absolute http or https URL with {id}, such as https://pay.payos.vn/web/{id}";
    let valid = |text: &str| text.contains("{id}") && service_kit::validate::is_web_url(&text.replace("{id}", "0"));
    Format::new(expected, move |text| valid(text).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [(&str, &str); 3] = [
        ("BOXOFFICE_PAYOS_CLIENT_ID", "client-hunter2"),
        ("BOXOFFICE_PAYOS_API_KEY", "api-hunter2"),
        ("BOXOFFICE_PAYOS_CHECKSUM_KEY", "checksum-hunter2"),
    ];

    #[test]
    fn without_keys_there_is_no_channel() {
        assert!(Env::from_map([("BOXOFFICE_PAYOS_URL", "http://x")]).read(PayosSettings::read).unwrap().is_none());
    }

    #[test]
    fn some_keys_without_the_others_are_refused() {
        for left_out in 0..KEYS.len() {
            let some = KEYS.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, key)| *key);
            let error = Env::from_map(some).read(PayosSettings::read).unwrap_err();
            assert!(error.to_string().contains("is set only in part"), "{error}");
        }
    }

    #[test]
    fn the_defaults_are_the_same_from_the_environment_and_from_code() {
        let read = Env::from_map(KEYS).read(PayosSettings::read).unwrap().unwrap();
        let made = PayosSettings::new(&format!("{LIVE_URL}/"), PayosKeys::new("", "", ""));
        assert_eq!(format!("{read:?}"), format!("{made:?}"));
    }

    #[test]
    fn no_key_is_shown_by_settings_or_errors() {
        let settings = Env::from_map(KEYS).read(PayosSettings::read).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"), "{settings:?}");
        let bad = KEYS.map(|(name, value)| (name, format!("{value}\n")));
        let error = Env::from_map(bad).read(PayosSettings::read).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn a_page_has_a_place_for_the_id() {
        for (page, right) in
            [("https://pay.payos.vn/web/{id}", true), ("https://pay.payos.vn/web", false), ("{id}", false)]
        {
            let env = Env::from_map(KEYS.into_iter().chain([("BOXOFFICE_PAYOS_PAGE", page)]));
            assert_eq!(env.read(PayosSettings::read).is_ok(), right, "{page}");
        }
    }
}
