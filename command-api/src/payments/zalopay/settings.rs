//! How one app of ZaloPay is reached.

use service_kit::config::{Env, Noted};
use service_kit::env;

use super::mac::MacKey;

/// Where ZaloPay answers.
const LIVE_URL: &str = "https://openapi.zalopay.vn";

/// One app and how it is called.
#[derive(Debug, Clone)]
pub struct ZalopaySettings {
    /// The API, without a slash at its end.
    pub url: String,
    /// What we are known by there.
    pub keys: ZalopayKeys,
}

/// What an app is known by; the keys are never shown.
#[derive(Debug, Clone)]
pub struct ZalopayKeys {
    pub(super) app_id: u32,
    /// Signs what we ask.
    pub(super) key1: MacKey,
    /// Signs what ZaloPay tells.
    pub(super) key2: MacKey,
}

impl ZalopayKeys {
    /// As ZaloPay shows them.
    pub fn new(app_id: u32, key1: &str, key2: &str) -> Self {
        Self { app_id, key1: MacKey::new(key1), key2: MacKey::new(key2) }
    }
}

impl ZalopaySettings {
    /// An app at this address.
    pub fn new(url: &str, keys: ZalopayKeys) -> Self {
        Self { url: url.trim_end_matches('/').to_owned(), keys }
    }

    /// Reads them; none if no key is set.
    ///
    /// # Errors
    /// Noted in `env`; some keys without the others, too.
    pub fn read(env: &mut Env) -> Result<Option<Self>, Noted> {
        let url = env.with_default("BOXOFFICE_ZALOPAY_URL", LIVE_URL, env::url(), "The API of ZaloPay.");
        let keys = read_keys(env);
        let (url, keys) = (url?, keys?);
        Ok(keys.map(|keys| Self { url, keys }))
    }
}

fn read_keys(env: &mut Env) -> Result<Option<ZalopayKeys>, Noted> {
    let text = || env::secret_text("printable ASCII characters");
    let app_id = env.optional(
        "BOXOFFICE_ZALOPAY_APP_ID",
        // Longer ones would make the names of refunds too long.
        env::whole(1..=99_999),
        "The app's app_id; ZaloPay is offered where this and both keys are set.",
    );
    let key1 = env.optional("BOXOFFICE_ZALOPAY_KEY1", text(), "The app's key1, which signs what we ask.");
    let key2 = env.optional("BOXOFFICE_ZALOPAY_KEY2", text(), "The app's key2, which signs what ZaloPay tells.");
    match (app_id?, key1?, key2?) {
        (Some(app_id), Some(key1), Some(key2)) => Ok(Some(ZalopayKeys::new(app_id, &key1, &key2))),
        (None, None, None) => Ok(None),
        _ => Err(env.refuse(
            "BOXOFFICE_ZALOPAY_APP_ID",
            "is set only in part",
            "all three of BOXOFFICE_ZALOPAY_APP_ID, _KEY1 and _KEY2, or none",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [(&str, &str); 3] = [
        ("BOXOFFICE_ZALOPAY_APP_ID", "2553"),
        ("BOXOFFICE_ZALOPAY_KEY1", "one-hunter2"),
        ("BOXOFFICE_ZALOPAY_KEY2", "two-hunter2"),
    ];

    #[test]
    fn without_keys_there_is_no_app() {
        assert!(Env::from_map([("BOXOFFICE_ZALOPAY_URL", "http://x")]).read(ZalopaySettings::read).unwrap().is_none());
    }

    #[test]
    fn some_keys_without_the_others_are_refused() {
        for left_out in 0..KEYS.len() {
            let some = KEYS.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, key)| *key);
            let error = Env::from_map(some).read(ZalopaySettings::read).unwrap_err();
            assert!(error.to_string().contains("is set only in part"), "{error}");
        }
    }

    #[test]
    fn the_defaults_are_the_same_from_the_environment_and_from_code() {
        let read = Env::from_map(KEYS).read(ZalopaySettings::read).unwrap().unwrap();
        let made = ZalopaySettings::new(&format!("{LIVE_URL}/"), ZalopayKeys::new(2553, "", ""));
        assert_eq!(format!("{read:?}"), format!("{made:?}"));
    }

    #[test]
    fn no_key_is_shown() {
        let settings = Env::from_map(KEYS).read(ZalopaySettings::read).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"), "{settings:?}");
    }

    #[test]
    fn an_app_id_has_five_digits_at_most() {
        for bad in ["0", "100000", "x"] {
            let env = Env::from_map(KEYS.into_iter().chain([("BOXOFFICE_ZALOPAY_APP_ID", bad)]));
            assert!(env.read(ZalopaySettings::read).is_err(), "{bad}");
        }
    }
}
