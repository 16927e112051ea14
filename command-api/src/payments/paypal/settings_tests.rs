//! What is read from the environment.

use super::*;

const KEYS: [(&str, &str); 3] = [
    ("BOXOFFICE_PAYPAL_CLIENT_ID", "id-hunter2"),
    ("BOXOFFICE_PAYPAL_CLIENT_SECRET", "secret-hunter2"),
    ("BOXOFFICE_PAYPAL_WEBHOOK_ID", "4JH86294D6297924G"),
];

fn read(more: &[(&'static str, &'static str)]) -> Result<PaypalSettings, String> {
    let env = Env::from_map(KEYS.into_iter().chain(more.iter().copied()));
    env.read(PaypalSettings::read).map(Option::unwrap).map_err(|error| error.to_string())
}

#[test]
fn without_keys_there_is_no_application_and_some_alone_are_refused() {
    assert!(Env::from_map([("BOXOFFICE_PAYPAL_URL", "http://x")]).read(PaypalSettings::read).unwrap().is_none());
    for left_out in 0..KEYS.len() {
        let some = KEYS.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, key)| *key);
        let error = Env::from_map(some).read(PaypalSettings::read).unwrap_err();
        assert!(error.to_string().contains("is set only in part"), "{error}");
    }
}

#[test]
fn the_defaults_are_the_same_from_the_environment_and_from_code() {
    let made = PaypalSettings::new(&format!("{LIVE_URL}/"), PaypalKeys::new("", ""), "4JH86294D6297924G");
    assert_eq!(format!("{:?}", read(&[]).unwrap()), format!("{made:?}"));
    assert_eq!(CURRENCIES, TAKEN.join(","));
}

#[test]
fn no_key_is_shown_by_settings_or_errors() {
    assert!(!format!("{:?}", read(&[])).contains("hunter2"));
    let bad = KEYS.map(|(name, value)| (name, format!("{value}\n")));
    let error = Env::from_map(bad).read(PaypalSettings::read).unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn dong_are_not_offered() {
    let currencies = |codes| read(&[("BOXOFFICE_PAYPAL_CURRENCIES", codes)]).map(|it| it.currencies.len());
    assert_eq!(currencies("EUR, USD"), Ok(2));
    assert!(currencies("VND").is_err() && currencies("EUR,VND").is_err() && currencies("eur").is_err());
}

#[test]
fn certificates_come_from_paypals_own_hosts() {
    for (url, bases, name) in [
        (LIVE_URL, "https://api-m.paypal.com https://api.paypal.com", "messageverificationcerts.paypal.com"),
        (
            "https://api-m.sandbox.paypal.com",
            "https://api-m.sandbox.paypal.com https://api.sandbox.paypal.com",
            "messageverificationcerts.sandbox.paypal.com",
        ),
        ("http://127.0.0.1:9000/paypal", "http://127.0.0.1:9000", "messageverificationcerts.sandbox.paypal.com"),
        ("https://evilpaypal.com", "https://evilpaypal.com", "messageverificationcerts.sandbox.paypal.com"),
    ] {
        let settings = read(&[("BOXOFFICE_PAYPAL_URL", url)]).unwrap();
        assert_eq!((settings.cert_bases.join(" "), settings.cert_name()), (bases.to_owned(), name));
    }
}

#[test]
fn http_is_for_this_machine_only() {
    let base = |url, base| {
        read(&[("BOXOFFICE_PAYPAL_URL", url), ("BOXOFFICE_PAYPAL_CERT_BASE", base)]).map(|it| it.cert_bases.len())
    };
    assert_eq!(base(LIVE_URL, "https://api.paypal.com,https://other.test:444"), Ok(2));
    for here in ["http://127.0.0.1:9000", "http://localhost:9000", "http://[::1]:9000"] {
        assert_eq!(base(here, "http://127.0.0.1:9001"), Ok(1), "{here}");
    }
    for (url, wrong) in [
        (LIVE_URL, "http://api.paypal.com"),
        (LIVE_URL, "http://127.0.0.1"),
        ("http://sandbox.test", "http://sandbox.test"),
        (LIVE_URL, "https://api.paypal.com/"),
        (LIVE_URL, "https://api.paypal.com/certs"),
        (LIVE_URL, "https://user@api.paypal.com"),
        (LIVE_URL, "api.paypal.com"),
    ] {
        assert!(base(url, wrong).is_err(), "{wrong} with {url}");
    }
    assert!(read(&[("BOXOFFICE_PAYPAL_URL", "http://sandbox.test")]).is_err());
}
