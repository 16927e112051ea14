//! How an order stands. Money only moves when we ask for it, here and nowhere else.

use domain::payment::Standing;
use http::StatusCode;

use super::Paypal;
use super::client::{is_not_found, keyed};
use super::order::{Order, Status};
use crate::payments::caller::Call;
use crate::payments::failure::{Failure, Trouble};
use crate::payments::gateway::{Attempt, Cause, GatewayError, Report};
use crate::payments::reference::is_plain;

impl Paypal {
    /// An order of ours.
    pub(super) async fn order(&self, attempt: &Attempt, id: &str) -> Result<Order, Failure> {
        if !is_plain(id) {
            return Err(Failure::Refused { status: StatusCode::NOT_FOUND, code: "RESOURCE_NOT_FOUND".to_owned() });
        }
        let order: Order = self.client.call(Call::get("query", format!("/v2/checkout/orders/{id}"))).await?;
        if order.id != id || order.custom_id() != Some(&*attempt.payment.to_string()) {
            return Err(Failure::lost(None, Trouble::AnotherPayment));
        }
        Ok(order)
    }

    /// Takes the money if the payer agreed, and says how it stands.
    pub(super) async fn ask(&self, attempt: &Attempt) -> Result<Report, GatewayError> {
        let id = attempt.reference.as_deref().ok_or(GatewayError::NotFound)?;
        let order = self.order(attempt, id).await.map_err(unasked)?;
        match order.status {
            Status::Approved if order.captures().next().is_none() => self.capture(attempt, order).await,
            _ => report(&order),
        }
    }

    /// Without money, an order is over as soon as we will not take it any more: PayPal has no call for that.
    pub(super) async fn end(&self, attempt: &Attempt) -> Result<Report, GatewayError> {
        // Nobody was ever sent to its page.
        let Some(id) = &attempt.reference else { return Ok(Report::never_opened()) };
        let order = match self.order(attempt, id).await {
            Ok(order) => order,
            Err(failure) if is_not_found(&failure) => return Ok(Report::never_opened()),
            Err(failure) => return Err(unasked(failure)),
        };
        let report = report(&order)?;
        match order.status {
            Status::Created | Status::Saved | Status::PayerActionRequired | Status::Approved | Status::Voided
                if order.captures().next().is_none() =>
            {
                Ok(Report { standing: Standing::Ended, ..report })
            }
            _ => Ok(report),
        }
    }

    async fn capture(&self, attempt: &Attempt, order: Order) -> Result<Report, GatewayError> {
        let (payment, id) = (attempt.payment.to_string(), &order.id);
        let nothing = serde_json::Map::new();
        let call =
            keyed("capture", &format!("/v2/checkout/orders/{id}/capture"), &nothing, &format!("capture-{payment}"));
        let captured: Result<Order, Failure> = self.client.call(call).await;
        let ends = |standing| Ok(Report { standing, ..report(&order)? });
        match captured {
            Ok(done) if done.id == *id && done.custom_id() == Some(&*payment) && done.captures().next().is_some() => {
                // What is to be collected stood in what we asked for before, not always in this.
                let amount = report(&order)?.amount;
                Ok(Report { amount, ..report(&done)? })
            }
            // It does not say what came of it.
            Ok(_) => report(&self.order(attempt, id).await.map_err(unasked)?),
            Err(Failure::Unsent { retry_after, cause }) => Err(GatewayError::Unavailable { retry_after, cause }),
            Err(Failure::Lost { cause, .. }) => self.look(attempt, id, cause).await,
            Err(Failure::Refused { code, .. }) => match code.as_str() {
                "ORDER_ALREADY_CAPTURED" => report(&self.order(attempt, id).await.map_err(unasked)?),
                "ORDER_NOT_APPROVED" | "PAYER_ACTION_REQUIRED" => report(&order),
                // The payer is not there to choose another one: a new attempt is.
                "INSTRUMENT_DECLINED" | "MAX_NUMBER_OF_PAYMENT_ATTEMPTS_EXCEEDED" | "TRANSACTION_REFUSED" => {
                    ends(Standing::Failed)
                }
                "ORDER_EXPIRED" => ends(Standing::Ended),
                _ => Err(GatewayError::Refused { code }),
            },
        }
    }

    /// Taking the money was not answered: perhaps it was done.
    async fn look(&self, attempt: &Attempt, id: &str, lost: Cause) -> Result<Report, GatewayError> {
        match self.order(attempt, id).await {
            Ok(order) if order.captures().next().is_some() => report(&order),
            Ok(_) | Err(_) => Err(GatewayError::Ambiguous(lost)),
        }
    }
}

fn report(order: &Order) -> Result<Report, GatewayError> {
    order.report().map_err(|what| unasked(Failure::lost(None, Trouble::Unreadable(what.into()))))
}

pub(super) fn unasked(failure: Failure) -> GatewayError {
    if is_not_found(&failure) { GatewayError::NotFound } else { failure.of_question() }
}
