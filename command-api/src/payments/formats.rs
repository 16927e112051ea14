//! How settings of several providers are written.

use domain::value::Currency;
use service_kit::config::Format;

/// What fits into an HTTP header; never shown.
pub(super) fn header() -> Format<String> {
    Format::new("printable ASCII characters", |text| is_printable(text).then(|| text.to_owned())).secret()
}

/// Keys of which any may be used, separated by commas; never shown.
pub(super) fn headers() -> Format<Vec<String>> {
    let key = |text: &str| (!text.is_empty() && is_printable(text)).then(|| text.to_owned());
    let parse = move |text: &str| text.split(',').map(|it| key(it.trim())).collect();
    Format::new("printable ASCII characters, several keys separated by commas", parse).secret()
}

/// Some of the currencies that a provider takes; every one of ISO 4217 if `all` is empty.
pub(super) fn currencies(all: &'static [&'static str]) -> Format<Vec<Currency>> {
    let known = move |code: &str| match all {
        [] => iso_currency::Currency::from_code(code).is_some(),
        _ => all.contains(&code),
    };
    let expected = match all {
        [] => "ISO 4217 codes separated by commas, such as VND,USD".to_owned(),
        _ => format!("some of {} separated by commas", all.join(",")),
    };
    let one = move |code: &str| code.parse().ok().filter(|_| known(code));
    Format::new(expected, move |text| text.split(',').map(|it| one(it.trim())).collect())
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}
