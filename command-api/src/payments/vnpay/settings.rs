//! How one terminal of VNPay is reached.

use std::net::IpAddr;

use service_kit::config::{Env, Format, Noted};
use service_kit::env;

use super::signature::HashSecret;

/// Where VNPay answers questions. It names its hosts in the contract; these are the usual ones.
const LIVE_URL: &str = "https://merchant.vnpay.vn/merchant_webapi/api/transaction";
/// Where payers pay.
const LIVE_PAGE: &str = "https://pay.vnpay.vn/vpcpay.html";

/// One terminal and how it is called.
#[derive(Debug, Clone)]
pub struct VnpaySettings {
    /// The address of the API, which is one.
    pub url: String,
    /// The payment page, without a query.
    pub page: String,
    /// What we are known by there.
    pub keys: VnpayKeys,
    /// Our own address, which every request names.
    pub ip: String,
}

/// What a terminal is known by; the secret is never shown.
#[derive(Debug, Clone)]
pub struct VnpayKeys {
    pub(super) tmn_code: String,
    pub(super) secret: HashSecret,
}

impl VnpayKeys {
    /// As VNPay shows them.
    pub fn new(tmn_code: &str, secret: &str) -> Self {
        Self { tmn_code: tmn_code.to_owned(), secret: HashSecret::new(secret) }
    }
}

impl VnpaySettings {
    /// A terminal with these addresses and the defaults of everything else.
    pub fn new(url: &str, page: &str, keys: VnpayKeys) -> Self {
        Self { url: url.to_owned(), page: page.to_owned(), keys, ip: "127.0.0.1".to_owned() }
    }

    /// Reads them; none if no key is set.
    ///
    /// # Errors
    /// Noted in `env`; one key without the other, too.
    pub fn read(env: &mut Env) -> Result<Option<Self>, Noted> {
        let url = env.with_default("BOXOFFICE_VNPAY_URL", LIVE_URL, env::url(), "The API of VNPay, its whole address.");
        let page = env.with_default("BOXOFFICE_VNPAY_PAGE", LIVE_PAGE, page(), "The payment page of VNPay.");
        let ip = env.with_default(
            "BOXOFFICE_VNPAY_IP",
            "127.0.0.1",
            Format::new("an IP address", |text| text.parse::<IpAddr>().ok()),
            "This service's own address, which every request to VNPay names.",
        );
        let keys = read_keys(env);
        let (url, page, ip, keys) = (url?, page?, ip?, keys?);
        Ok(keys.map(|keys| Self { url, page, keys, ip: ip.to_string() }))
    }
}

fn read_keys(env: &mut Env) -> Result<Option<VnpayKeys>, Noted> {
    let code = env.optional(
        "BOXOFFICE_VNPAY_TMN_CODE",
        code(),
        "The terminal's code, vnp_TmnCode; VNPay is offered where both keys are set.",
    );
    let secret = env.optional(
        "BOXOFFICE_VNPAY_HASH_SECRET",
        env::secret_text("printable ASCII characters"),
        "The terminal's secret, vnp_HashSecret.",
    );
    match (code?, secret?) {
        (Some(code), Some(secret)) => Ok(Some(VnpayKeys::new(&code, &secret))),
        (None, None) => Ok(None),
        _ => Err(env.refuse(
            "BOXOFFICE_VNPAY_TMN_CODE",
            "is set only in part",
            "both of BOXOFFICE_VNPAY_TMN_CODE and _HASH_SECRET, or none",
        )),
    }
}

/// What fits into requests and addresses as it is.
fn code() -> Format<String> {
    let plain = |text: &str| text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    Format::new("letters and digits, 8 of them", move |text| plain(text).then(|| text.to_owned()))
}

fn page() -> Format<String> {
    let valid = |text: &str| service_kit::validate::is_web_url(text) && !text.contains(['?', '#']);
    Format::new("an absolute http or https URL without a query", move |text| valid(text).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [(&str, &str); 2] =
        [("BOXOFFICE_VNPAY_TMN_CODE", "CGXZLS0Z"), ("BOXOFFICE_VNPAY_HASH_SECRET", "hash-hunter2")];

    #[test]
    fn without_keys_there_is_no_terminal() {
        assert!(Env::from_map([("BOXOFFICE_VNPAY_URL", "http://x")]).read(VnpaySettings::read).unwrap().is_none());
    }

    #[test]
    fn one_key_without_the_other_is_refused() {
        for key in KEYS {
            let error = Env::from_map([key]).read(VnpaySettings::read).unwrap_err();
            assert!(error.to_string().contains("is set only in part"), "{error}");
        }
    }

    #[test]
    fn the_defaults_are_the_same_from_the_environment_and_from_code() {
        let read = Env::from_map(KEYS).read(VnpaySettings::read).unwrap().unwrap();
        let made = VnpaySettings::new(LIVE_URL, LIVE_PAGE, VnpayKeys::new("CGXZLS0Z", ""));
        assert_eq!(format!("{read:?}"), format!("{made:?}"));
    }

    #[test]
    fn the_secret_is_not_shown() {
        let settings = Env::from_map(KEYS).read(VnpaySettings::read).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"), "{settings:?}");
    }

    #[test]
    fn wrong_values_are_refused() {
        for (name, bad) in [
            ("BOXOFFICE_VNPAY_IP", "localhost"),
            ("BOXOFFICE_VNPAY_PAGE", "https://pay.vnpay.vn/vpcpay.html?x=1"),
            ("BOXOFFICE_VNPAY_TMN_CODE", "CGXZ|S0Z"),
        ] {
            let error = Env::from_map(KEYS.into_iter().chain([(name, bad)])).read(VnpaySettings::read).unwrap_err();
            assert!(error.to_string().starts_with(name), "{error}");
        }
    }
}
