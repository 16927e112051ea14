//! Giving money back. Each refund carries its own name, by which it is found again.

use http::StatusCode;
use serde::Serialize;

use super::client::keyed;
use super::order::{Capture, Money, MoneyBack};
use super::status::unasked;
use super::{Paypal, decimals};
use crate::payments::failure::Failure;
use crate::payments::gateway::{GatewayError, Refund, Refunded};
use crate::payments::reference::is_plain;

#[derive(Serialize)]
struct GiveBack<'a> {
    amount: Money,
    custom_id: &'a str,
    invoice_id: &'a str,
}

impl Paypal {
    pub(super) async fn give_back(&self, refund: &Refund) -> Result<Refunded, GatewayError> {
        let failed = |code: &str| Ok(Refunded::Failed { code: code.to_owned() });
        let Refund { attempt, amount, .. } = refund;
        let Some(value) = decimals::to_text(*amount, attempt.currency) else { return failed("amount-not-sayable") };
        let Some(id) = &attempt.reference else { return failed("reference-unknown") };
        let order = self.order(attempt, id).await.map_err(unasked)?;
        let name = refund.refund.to_string();
        if let Some(made) = order.refunds().find(|it| it.custom_id.as_deref() == Some(&*name)) {
            return Ok(stands(made));
        }
        let Some(capture) = order.captures().find(|it| it.is_money() && is_plain(&it.id)) else {
            return failed("nothing-came");
        };
        let amount = Money { currency_code: attempt.currency.to_string(), value };
        let body = GiveBack { amount, custom_id: &name, invoice_id: &name };
        let Capture { id, .. } = capture;
        let call = keyed("refund", &format!("/v2/payments/captures/{id}/refund"), &body, &format!("refund-{name}"));
        match self.client.call::<MoneyBack>(call).await {
            Ok(made) => Ok(stands(&made)),
            Err(failure @ Failure::Refused { status: StatusCode::UNAUTHORIZED, .. }) => Err(unasked(failure)),
            Err(Failure::Refused { code, .. }) => Ok(Refunded::Failed { code }),
            Err(failure) => Err(failure.of_deed()),
        }
    }
}

fn stands(made: &MoneyBack) -> Refunded {
    match made.status.as_str() {
        "COMPLETED" => Refunded::Done { reference: made.id.clone() },
        "FAILED" | "CANCELLED" => Refunded::Failed { code: made.status.clone() },
        // "PENDING", and what we do not know.
        _ => Refunded::Pending,
    }
}
