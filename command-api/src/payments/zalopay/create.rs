//! Opening an order, and finding out whether one was opened whose answer never came.

use domain::saga::CreatePayment;
use domain::value::Timestamp;
use serde_json::{Map, Value, json};
use service_kit::validate::is_web_url;

use super::client::object;
use super::reference::AppTransId;
use super::{DONG, SHORTEST_S, Zalopay};
use crate::payments::failure::{Failure, Trouble, short};
use crate::payments::gateway::{CreateError, Intent, Urls};

/// No order lives longer.
const LONGEST_S: i64 = 2_592_000;
/// Who we are to ZaloPay; it wants a name of the payer, whom it need not know.
const APP_USER: &str = "boxoffice";
/// An order of this name was opened before.
const DUPLICATE: i64 = -68;
/// No order can have this name today.
const WRONG_DAY: i64 = -92;
/// No order has this name.
const UNKNOWN: i64 = -101;

impl Zalopay {
    pub(super) async fn open(
        &self,
        payment: &CreatePayment,
        back: &Urls,
        now: Timestamp,
    ) -> Result<Intent, CreateError> {
        let refuse = |code: &str| Err(CreateError::Refused { code: code.to_owned() });
        if payment.currency != *DONG {
            return refuse("currency-not-taken");
        }
        if payment.amount <= 0 {
            return refuse("amount-out-of-range");
        }
        let name = AppTransId::new(payment.payment, now);
        let body = self.creation(payment, back, &name.to_string(), now);
        match self.client.call("create", "/v2/create", &body).await {
            Ok(told) => match (told.code, told.sub) {
                (1, _) => opened(name, told.text("order_url")),
                // Its page is told once only.
                (_, DUPLICATE) => Err(CreateError::PageLost { reference: name.to_string() }),
                // It became tomorrow on the way, or our clock is wrong.
                (2, WRONG_DAY) => {
                    let cause = "ZaloPay says that our reference is not of today".into();
                    Err(CreateError::Unavailable { retry_after: None, cause })
                }
                (2, sub) => self.refused(&name, sub.to_string()).await,
                _ => {
                    Err(CreateError::Ambiguous(Box::new(Trouble::Unreadable("return_code is none of create's".into()))))
                }
            },
            Err(Failure::Refused { code, .. }) if matches!(code.as_str(), "-402" | "-403" | "401" | "403") => {
                tracing::error!(provider.code = code, "ZaloPay does not accept our keys: no payment can be opened");
                Err(CreateError::Refused { code })
            }
            Err(Failure::Refused { code, .. }) => self.refused(&name, code).await,
            Err(Failure::Lost { cause, .. }) => Err(CreateError::Ambiguous(cause)),
            Err(Failure::Unsent { retry_after, cause }) => Err(CreateError::Unavailable { retry_after, cause }),
        }
    }

    fn creation(&self, payment: &CreatePayment, back: &Urls, name: &str, now: Timestamp) -> Map<String, Value> {
        let (app_id, key1) = (self.settings.keys.app_id, &self.settings.keys.key1);
        let (app_time, left) = (now.0.div_euclid(1000), payment.pay_by.0.saturating_sub(now.0).div_euclid(1_000_000));
        let embed_data = json!({ "redirecturl": back.paid }).to_string();
        let description = format!("Order {}", payment.code);
        let item = "[]";
        let mut body = object([
            ("app_id", app_id.into()),
            ("app_user", APP_USER.into()),
            ("app_trans_id", name.into()),
            ("app_time", app_time.into()),
            ("expire_duration_seconds", left.clamp(SHORTEST_S, LONGEST_S).into()),
            ("amount", payment.amount.into()),
            ("description", short(&description, 256).into()),
            ("item", item.into()),
            ("bank_code", "".into()),
            ("mac", mac(key1, app_id, name, payment.amount, app_time, &embed_data, item).into()),
            ("embed_data", embed_data.into()),
        ]);
        // Without it, ZaloPay calls the address that the app is registered with.
        if let Some((base, _)) = back.paid.rsplit_once("/return?") {
            body.insert("callback_url".to_owned(), format!("{base}/notify").into());
        }
        body
    }

    /// Whatever the code, an earlier call may have opened it.
    async fn refused(&self, name: &AppTransId, refusal: String) -> Result<Intent, CreateError> {
        match self.client.query(name).await {
            Ok(told) if told.code == 2 && matches!(told.sub, UNKNOWN | WRONG_DAY) => {
                Err(CreateError::Refused { code: refusal })
            }
            Ok(_) => Err(CreateError::PageLost { reference: name.to_string() }),
            Err(Failure::Refused { code, .. }) => {
                let cause = format!("creating is refused with code {refusal}, and asking with code {code}");
                Err(CreateError::Ambiguous(cause.into()))
            }
            Err(Failure::Unsent { cause, .. } | Failure::Lost { cause, .. }) => Err(CreateError::Ambiguous(cause)),
        }
    }
}

fn mac(
    key1: &super::mac::MacKey,
    app_id: u32,
    name: &str,
    amount: i64,
    app_time: i64,
    embed_data: &str,
    item: &str,
) -> String {
    let (app_id, amount, app_time) = (app_id.to_string(), amount.to_string(), app_time.to_string());
    key1.sign_fields(&[&app_id, name, APP_USER, &amount, &app_time, embed_data, item])
}

fn opened(name: AppTransId, url: String) -> Result<Intent, CreateError> {
    let reference = name.to_string();
    if is_web_url(&url) { Ok(Intent { reference, url }) } else { Err(CreateError::PageLost { reference }) }
}

#[cfg(test)]
#[path = "create_tests.rs"]
mod tests;
