//! Questions and refunds: signed both ways.
//!
//! Invariant: an answer that says that something was done or found is never believed without a valid signature.

use domain::value::{Provider, Timestamp};
use http::header::{ACCEPT, HeaderValue};
use serde_json::{Map, Value};

use super::VERSION;
use super::reference::TxnRef;
use super::settings::VnpaySettings;
use super::signature::HashSecret;
use crate::payments::caller::{Answered, Call, CallSettings, Caller, ClientError, Repeats};
use crate::payments::failure::{Failure, Trouble, short};
use crate::payments::vietnam;

/// What an answer signs, in this order; that to a refund leaves out the last two.
const SIGNED: [&str; 15] = [
    "vnp_ResponseId",
    "vnp_Command",
    "vnp_ResponseCode",
    "vnp_Message",
    "vnp_TmnCode",
    "vnp_TxnRef",
    AMOUNT,
    "vnp_BankCode",
    "vnp_PayDate",
    "vnp_TransactionNo",
    "vnp_TransactionType",
    "vnp_TransactionStatus",
    "vnp_OrderInfo",
    "vnp_PromotionCode",
    "vnp_PromotionAmount",
];
const SIGNED_OF_REFUND: usize = 13;
const AMOUNT: &str = "vnp_Amount";
/// The code of success.
pub(super) const DONE: &str = "00";

/// Calls VNPay.
#[derive(Debug)]
pub(super) struct Client {
    caller: Caller,
    settings: VnpaySettings,
}

/// Money that is to go back, as VNPay is told of it.
#[derive(Debug)]
pub(super) struct GiveBack<'a> {
    /// Ours, unlike that of any other request of the day.
    pub request: String,
    /// 02 for all of it, 03 for a part.
    pub kind: &'a str,
    /// As VNPay writes it.
    pub amount: String,
    /// VNPay's name of the payment.
    pub transaction: &'a str,
}

/// An answer, verified as far as it decides anything.
#[derive(Debug)]
pub(super) struct Told {
    /// Whether the request was done.
    pub code: String,
    fields: Map<String, Value>,
}

impl Told {
    /// A field's text; empty if there is none.
    pub(super) fn text(&self, name: &str) -> String {
        text(&self.fields, name)
    }
}

impl Client {
    pub(super) fn new(settings: VnpaySettings, calls: CallSettings) -> Result<Self, ClientError> {
        let headers = [(ACCEPT, HeaderValue::from_static("application/json"))];
        let caller = Caller::new(Provider::Vnpay, &settings.url, headers, calls)?;
        Ok(Self { caller, settings })
    }

    /// How a payment stands. `request` is unlike any other of the day.
    pub(super) async fn query(&self, request: String, of: &TxnRef, now: Timestamp) -> Result<Told, Failure> {
        let fields = query_fields(&self.settings, request, of, now);
        self.ask("query", fields, &SIGNED, of).await
    }

    /// Asks for money to go back.
    pub(super) async fn refund(&self, back: GiveBack<'_>, of: &TxnRef, now: Timestamp) -> Result<Told, Failure> {
        let fields = refund_fields(&self.settings, back, of, now);
        self.ask("refund", fields, &SIGNED[..SIGNED_OF_REFUND], of).await
    }

    /// A request whose answer was lost is not repeated here: VNPay refuses a second one of the same name, and a refund
    /// must not be made under two.
    async fn ask(
        &self,
        name: &'static str,
        fields: Vec<(&'static str, String)>,
        signed: &[&str],
        of: &TxnRef,
    ) -> Result<Told, Failure> {
        let body = request(&self.settings.keys.secret, fields);
        let call = Call::json(name, "", &body, Repeats::Never);
        self.caller.call(&call, |answered| self.open(answered, signed, of)).await
    }

    fn open(&self, Answered { status, body }: &Answered, signed: &[&str], of: &TxnRef) -> Result<Told, Failure> {
        let fields: Map<String, Value> = match serde_json::from_slice(body) {
            Ok(fields) => fields,
            // Something before VNPay refused, in words of its own.
            Err(_) if !status.is_success() => return Err(Failure::refused(*status, status.as_str())),
            Err(error) => return Err(Failure::lost(None, Trouble::Unreadable(error.into()))),
        };
        let code = text(&fields, "vnp_ResponseCode");
        if !status.is_success() {
            return Err(Failure::refused(*status, &code));
        }
        if code.is_empty() {
            return Err(Failure::lost(None, Trouble::Unreadable("vnp_ResponseCode is missing".into())));
        }
        if code != DONE {
            tracing::info!(
                provider.code = short(&code, 8),
                provider.text = short(&text(&fields, "vnp_Message"), 200),
                "VNPay refuses"
            );
        }
        // These say that VNPay could not even tell who asks; what it signs them with is its own affair.
        if matches!(code.as_str(), "02" | "03" | "97") {
            return Err(Failure::refused(*status, &code));
        }
        let unsigned_refusal = code != DONE && text(&fields, "vnp_SecureHash").is_empty();
        if !unsigned_refusal && !is_signed(&self.settings.keys.secret, &fields, signed) {
            return Err(Failure::lost(None, Trouble::Signature));
        }
        let ours = [("vnp_TxnRef", of.to_string()), ("vnp_TmnCode", self.settings.keys.tmn_code.clone())];
        if code == DONE && ours.iter().any(|(name, ours)| text(&fields, name) != *ours) {
            return Err(Failure::lost(None, Trouble::AnotherPayment));
        }
        Ok(Told { code, fields })
    }
}

/// In the order in which they are signed.
fn query_fields(settings: &VnpaySettings, request: String, of: &TxnRef, now: Timestamp) -> Vec<(&'static str, String)> {
    vec![
        ("vnp_RequestId", request),
        ("vnp_Version", VERSION.to_owned()),
        ("vnp_Command", "querydr".to_owned()),
        ("vnp_TmnCode", settings.keys.tmn_code.clone()),
        ("vnp_TxnRef", of.to_string()),
        ("vnp_TransactionDate", of.date.clone()),
        ("vnp_CreateDate", vietnam::second(now)),
        ("vnp_IpAddr", settings.ip.clone()),
        ("vnp_OrderInfo", format!("Query {of}")),
    ]
}

/// In the order in which they are signed.
fn refund_fields(
    settings: &VnpaySettings,
    back: GiveBack<'_>,
    of: &TxnRef,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    vec![
        ("vnp_RequestId", back.request),
        ("vnp_Version", VERSION.to_owned()),
        ("vnp_Command", "refund".to_owned()),
        ("vnp_TmnCode", settings.keys.tmn_code.clone()),
        ("vnp_TransactionType", back.kind.to_owned()),
        ("vnp_TxnRef", of.to_string()),
        (AMOUNT, back.amount),
        ("vnp_TransactionNo", back.transaction.to_owned()),
        ("vnp_TransactionDate", of.date.clone()),
        ("vnp_CreateBy", "boxoffice".to_owned()),
        ("vnp_CreateDate", vietnam::second(now)),
        ("vnp_IpAddr", settings.ip.clone()),
        ("vnp_OrderInfo", format!("Refund {of}")),
    ]
}

/// The body of a request: its fields, and the signature over them in their order.
pub(super) fn request(secret: &HashSecret, fields: Vec<(&'static str, String)>) -> Map<String, Value> {
    let values: Vec<&str> = fields.iter().map(|(_, value)| value.as_str()).collect();
    let hash = secret.sign(&values.join("|"));
    let hash = ("vnp_SecureHash", hash);
    fields.into_iter().chain([hash]).map(|(name, value)| (name.to_owned(), Value::String(value))).collect()
}

/// One public library signs the amount of a refund divided by 100, and nobody published what VNPay does: both are taken.
pub(super) fn is_signed(secret: &HashSecret, fields: &Map<String, Value>, signed: &[&str]) -> bool {
    let given = text(fields, "vnp_SecureHash");
    let joined = |amount: &dyn Fn(String) -> String| {
        let value = |name: &&str| if *name == AMOUNT { amount(text(fields, name)) } else { text(fields, name) };
        signed.iter().map(value).collect::<Vec<_>>().join("|")
    };
    let divided = |amount: String| amount.strip_suffix("00").map(ToOwned::to_owned).unwrap_or(amount);
    let of_refund = signed.len() == SIGNED_OF_REFUND;
    secret.verify(&joined(&|amount| amount), &given) || of_refund && secret.verify(&joined(&divided), &given)
}

/// Numbers stand there as texts, or as numbers.
fn text(fields: &Map<String, Value>, name: &str) -> String {
    match fields.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        None | Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => String::new(),
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
