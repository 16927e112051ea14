//! The page of a payment: an address with everything in it, signed. Making it calls nobody.

use domain::saga::CreatePayment;
use domain::value::Timestamp;

use super::reference::TxnRef;
use super::settings::VnpaySettings;
use super::{DONG, VERSION, money, signature};
use crate::payments::gateway::{CreateError, Intent, Urls};
use crate::payments::vietnam;

/// VNPay takes no longer address to return to.
const LONGEST_RETURN: usize = 255;

/// The page, if VNPay could take the payment at all.
pub(super) fn intent(
    settings: &VnpaySettings,
    payment: &CreatePayment,
    back: &Urls,
    now: Timestamp,
) -> Result<Intent, CreateError> {
    let refuse = |code: &str| CreateError::Refused { code: code.to_owned() };
    if payment.currency != *DONG {
        return Err(refuse("currency-not-taken"));
    }
    let amount = money::written(payment.amount).ok_or_else(|| refuse("amount-out-of-range"))?;
    if back.paid.len() > LONGEST_RETURN {
        return Err(refuse("return-url-too-long"));
    }
    let reference = TxnRef::new(payment.payment, now);
    let (name, info) = (reference.to_string(), order_info(&payment.code));
    let expires = vietnam::second(payment.pay_by);
    let text = signature::query_text([
        ("vnp_Amount", amount.as_str()),
        ("vnp_Command", "pay"),
        ("vnp_CreateDate", &reference.date),
        ("vnp_CurrCode", DONG.as_str()),
        ("vnp_ExpireDate", &expires),
        ("vnp_IpAddr", &settings.ip),
        ("vnp_Locale", "vn"),
        ("vnp_OrderInfo", &info),
        ("vnp_OrderType", "other"),
        ("vnp_ReturnUrl", &back.paid),
        ("vnp_TmnCode", &settings.keys.tmn_code),
        ("vnp_TxnRef", &name),
        ("vnp_Version", VERSION),
    ]);
    let url = format!("{}?{text}&vnp_SecureHash={}", settings.page, settings.keys.secret.sign(&text));
    Ok(Intent { reference: name, url })
}

/// What the payer reads. Implementations differ in how they encode other characters than these, so that these are all.
fn order_info(code: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | ':' | '_' | '-');
    let code: String = code.chars().filter(plain).take(200).collect();
    format!("Order {code}").trim_end().to_owned()
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
