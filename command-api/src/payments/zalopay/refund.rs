//! Giving money back: asked for under a name that ZaloPay takes once only, and then asked after.

use domain::payment::Movement;
use serde_json::{Map, Value};
use service_kit::clock;

use super::Zalopay;
use super::client::object;
use super::mac::MacKey;
use super::query::Found;
use super::reference::{AppTransId, refund_name};
use crate::payments::failure::Failure;
use crate::payments::gateway::{GatewayError, Refund, Refunded};

/// A refund of this name was asked for before.
const DUPLICATE: i64 = -23;
/// There is none of this name.
const UNKNOWN: i64 = -101;

/// What ZaloPay says of a refund.
enum Stands {
    Done,
    Running,
    /// It failed, or was never asked for; only `UNKNOWN` tells that.
    Not(i64),
}

impl Zalopay {
    pub(super) async fn give_back(&self, refund: &Refund) -> Result<Refunded, GatewayError> {
        let of = AppTransId::of(&refund.attempt)?;
        let name = refund_name(self.settings.keys.app_id, refund.refund, refund.requested_at);
        match self.stands(&name).await? {
            Stands::Done => return Ok(Refunded::Done { reference: name }),
            Stands::Running => return Ok(Refunded::Pending),
            // Whichever it is: one that failed is not made again, since its name is taken.
            Stands::Not(_) => {}
        }
        let noted = refund.capture.clone().map(|reference| Movement {
            reference,
            amount: refund.attempt.amount,
            currency: refund.attempt.currency,
            fee: 0,
        });
        // It answers questions for 48 hours; later the money is known by what it was reported as.
        let money = match self.find(&of).await? {
            Found::Paid(money) => money,
            Found::Nothing if noted.is_some() => noted.expect("it was looked at"),
            Found::Nothing => return Ok(failed("no-such-order")),
            Found::NotYet { .. } | Found::MayTryAgain | Found::Failed | Found::Ended => return Ok(failed("not-paid")),
        };
        if !(1..=money.amount).contains(&refund.amount) {
            return Ok(failed("amount-out-of-range"));
        }
        let body = self.request(&name, &money, refund.amount);
        match self.client.call("refund", "/v2/refund", &body).await {
            Ok(told) => match (told.code, told.sub) {
                (1 | 3, _) | (_, DUPLICATE) => Ok(self.after(name).await),
                (2, sub) => Ok(failed(&sub.to_string())),
                (code, _) => {
                    Err(GatewayError::Ambiguous(format!("ZaloPay answers a refund with return_code {code}").into()))
                }
            },
            Err(failure) => Err(failure.of_deed()),
        }
    }

    /// A refund is taken first and made later, so that only the question tells. It was asked for; what is not known yet
    /// is asked again.
    async fn after(&self, name: String) -> Refunded {
        match self.stands(&name).await {
            Ok(Stands::Done) => Refunded::Done { reference: name },
            Ok(Stands::Not(sub)) if sub != UNKNOWN => failed(&sub.to_string()),
            Ok(Stands::Running | Stands::Not(_)) | Err(_) => Refunded::Pending,
        }
    }

    async fn stands(&self, name: &str) -> Result<Stands, GatewayError> {
        let told = self.client.query_refund(name, now_ms()).await.map_err(Failure::of_question)?;
        match told.code {
            1 => Ok(Stands::Done),
            3 => Ok(Stands::Running),
            2 => Ok(Stands::Not(told.sub)),
            code => {
                let cause = format!("ZaloPay answers a question after a refund with return_code {code}").into();
                Err(GatewayError::Unavailable { retry_after: None, cause })
            }
        }
    }

    fn request(&self, name: &str, money: &Movement, amount: i64) -> Map<String, Value> {
        let (description, timestamp) = (format!("Refund {name}"), now_ms());
        let (app_id, key1) = (self.settings.keys.app_id, &self.settings.keys.key1);
        object([
            ("app_id", app_id.into()),
            ("m_refund_id", name.into()),
            ("zp_trans_id", money.reference.as_str().into()),
            ("amount", amount.into()),
            ("timestamp", timestamp.into()),
            ("mac", mac(key1, app_id, &money.reference, amount, &description, timestamp).into()),
            ("description", description.into()),
        ])
    }
}

fn mac(key1: &MacKey, app_id: u32, transaction: &str, amount: i64, description: &str, timestamp: i64) -> String {
    key1.sign_fields(&[&app_id.to_string(), transaction, &amount.to_string(), description, &timestamp.to_string()])
}

fn now_ms() -> i64 {
    clock::now().0.div_euclid(1000)
}

fn failed(code: &str) -> Refunded {
    Refunded::Failed { code: code.to_owned() }
}

#[cfg(test)]
#[path = "refund_tests.rs"]
mod tests;
