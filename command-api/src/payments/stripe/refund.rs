//! Giving money back. Each refund carries its own name, by which it is found again.

use serde::Deserialize;

use super::client::{is_locked_out, keyed};
use super::session::Metadata;
use super::{Stripe, amounts};
use crate::payments::caller::Call;
use crate::payments::failure::Failure;
use crate::payments::gateway::{GatewayError, Refund, Refunded};
use crate::payments::reference::is_plain;

/// The refunds of one payment; never more than a page of them.
#[derive(Debug, Deserialize)]
struct Page {
    data: Vec<Made>,
}

/// A refund as it stands.
#[derive(Debug, Deserialize)]
struct Made {
    id: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    failure_reason: Option<String>,
    #[serde(default)]
    metadata: Option<Metadata>,
}

impl Stripe {
    pub(super) async fn give_back(&self, refund: &Refund) -> Result<Refunded, GatewayError> {
        let failed = |code: &str| Ok(Refunded::Failed { code: code.to_owned() });
        let Some(amount) = amounts::to_stripe(refund.amount, refund.attempt.currency) else {
            return failed("amount-not-sayable");
        };
        let session = match &refund.attempt.reference {
            Some(reference) => self.session(reference).await.map_err(super::unasked)?,
            None => return failed("reference-unknown"),
        };
        let Some(intent) = session.payment_intent.filter(|it| is_plain(it.id())) else { return failed("nothing-came") };
        let name = refund.refund.to_string();
        let call = Call::get("refunds", format!("/v1/refunds?payment_intent={}&limit=100", intent.id()));
        let Page { data } = self.client.call(&call).await.map_err(super::unasked)?;
        let is_it = |made: &Made| made.metadata.as_ref().and_then(|it| it.refund.as_deref()) == Some(&*name);
        if let Some(made) = data.into_iter().find(is_it) {
            return Ok(stands(made));
        }
        let (amount, payment, key) = (amount.to_string(), refund.attempt.payment.to_string(), format!("refund-{name}"));
        let form = [
            ("payment_intent", intent.id()),
            ("amount", &amount),
            ("metadata[refund]", &name),
            ("metadata[payment]", &payment),
        ];
        match self.client.call(&keyed("refund", "/v1/refunds", &form, &key)).await {
            Ok(made) => Ok(stands(made)),
            Err(failure @ Failure::Refused { .. }) if is_locked_out(&failure) => Err(super::unasked(failure)),
            Err(Failure::Refused { code, .. }) => Ok(Refunded::Failed { code }),
            Err(failure) => Err(failure.of_deed()),
        }
    }
}

fn stands(made: Made) -> Refunded {
    match made.status.as_deref() {
        Some("succeeded") => Refunded::Done { reference: made.id },
        Some(status @ ("failed" | "canceled")) => {
            Refunded::Failed { code: made.failure_reason.unwrap_or_else(|| status.to_owned()) }
        }
        // "pending", "requires_action", and what we do not know.
        Some(_) | None => Refunded::Pending,
    }
}
