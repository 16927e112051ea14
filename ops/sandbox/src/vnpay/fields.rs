//! The forms of VNPay's fields.

use std::net::IpAddr;

/// One field's name, its shortest and longest length, and what it may consist of.
pub type Rule = (&'static str, usize, usize, Form);

/// What a value may consist of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Exactly this.
    Is(&'static str),
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Digits.
    Digits,
    /// Letters and digits.
    Word,
    /// What every encoder writes alike: letters without accents, digits, space, `. : _ -`.
    Plain,
    /// A positive amount, a multiple of 100.
    Amount,
    /// Fourteen digits that are a time.
    Stamp,
    /// An IP address.
    Ip,
    /// An http or https URL.
    Url,
}

/// What is wrong with a field, if anything; `None` as a value means that it is missing.
pub fn check(value: Option<&str>, (name, least, most, form): &Rule) -> Result<(), String> {
    let Some(value) = value else { return Err(format!("{name} is missing")) };
    let length = value.chars().count();
    if length < *least || length > *most {
        return Err(format!("{name} must have {least} to {most} characters"));
    }
    if form.fits(value) { Ok(()) } else { Err(format!("{name} must be {}", form.told())) }
}

/// An amount in VNPay's units as dong.
pub fn dong(value: &str) -> Option<i64> {
    value.parse().ok().filter(|units: &i64| *units > 0 && units % super::UNITS == 0).map(|units| units / super::UNITS)
}

impl Form {
    fn fits(self, value: &str) -> bool {
        match self {
            Self::Is(only) => value == only,
            Self::OneOf(all) => all.contains(&value),
            Self::Digits => value.bytes().all(|byte| byte.is_ascii_digit()),
            Self::Word => value.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            Self::Plain => value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" .:_-".contains(&byte)),
            Self::Amount => Self::Digits.fits(value) && dong(value).is_some(),
            Self::Stamp => crate::vietnam::read_stamp(value).is_some(),
            Self::Ip => value.parse::<IpAddr>().is_ok(),
            Self::Url => reqwest::Url::parse(value).is_ok_and(|url| matches!(url.scheme(), "http" | "https")),
        }
    }

    fn told(self) -> String {
        match self {
            Self::Is(only) => only.to_owned(),
            Self::OneOf(all) => format!("one of {}", all.join(", ")),
            Self::Digits => "digits".to_owned(),
            Self::Word => "letters and digits".to_owned(),
            Self::Plain => "letters without accents, digits, spaces and . : _ -".to_owned(),
            Self::Amount => "a positive multiple of 100".to_owned(),
            Self::Stamp => "a time as yyyyMMddHHmmss".to_owned(),
            Self::Ip => "an IP address".to_owned(),
            Self::Url => "an http or https URL".to_owned(),
        }
    }
}
