//! Opening an order. The same key finds the same order, so that a lost answer is asked for by asking again.

use domain::saga::CreatePayment;
use serde::Serialize;

use super::client::{is_locked_out, keyed};
use super::order::{Money, Order, Status};
use super::{Paypal, decimals};
use crate::payments::failure::{Failure, Trouble, short};
use crate::payments::gateway::{CreateError, Intent, Urls};

/// The most characters of a description.
const DESCRIPTION: usize = 127;

#[derive(Serialize)]
struct Create<'a> {
    intent: &'static str,
    purchase_units: [Unit<'a>; 1],
    payment_source: Source<'a>,
}

#[derive(Serialize)]
struct Unit<'a> {
    custom_id: &'a str,
    invoice_id: &'a str,
    description: &'a str,
    amount: Money,
}

#[derive(Serialize)]
struct Source<'a> {
    paypal: Wallet<'a>,
}

#[derive(Serialize)]
struct Wallet<'a> {
    experience_context: Experience<'a>,
}

#[derive(Serialize)]
struct Experience<'a> {
    user_action: &'static str,
    shipping_preference: &'static str,
    payment_method_preference: &'static str,
    return_url: &'a str,
    cancel_url: &'a str,
}

impl Paypal {
    pub(super) async fn open(&self, payment: &CreatePayment, back: &Urls) -> Result<Intent, CreateError> {
        let refuse = |code: &str| CreateError::Refused { code: code.to_owned() };
        if !self.settings.currencies.contains(&payment.currency) {
            return Err(refuse("currency-not-taken"));
        }
        let value = decimals::to_text(payment.amount, payment.currency).ok_or_else(|| refuse("amount-not-sayable"))?;
        let asked = Money { currency_code: payment.currency.to_string(), value };
        let id = payment.payment.to_string();
        let experience_context = Experience {
            user_action: "PAY_NOW",
            shipping_preference: "NO_SHIPPING",
            payment_method_preference: "IMMEDIATE_PAYMENT_REQUIRED",
            return_url: &back.paid,
            cancel_url: &back.cancelled,
        };
        let description = short(&payment.code, DESCRIPTION);
        let create = Create {
            intent: "CAPTURE",
            purchase_units: [Unit { custom_id: &id, invoice_id: &id, description, amount: asked.clone() }],
            payment_source: Source { paypal: Wallet { experience_context } },
        };
        match self.client.call(keyed("create", "/v2/checkout/orders", &create, &id)).await {
            Ok(order) => opened(&id, &asked, &order),
            Err(Failure::Unsent { retry_after, cause }) => Err(CreateError::Unavailable { retry_after, cause }),
            Err(Failure::Lost { cause, .. }) => Err(CreateError::Ambiguous(cause)),
            // It was paid before, under an order whose name we do not know.
            Err(Failure::Refused { code, .. }) if code == "DUPLICATE_INVOICE_ID" => {
                Err(CreateError::Ambiguous("PayPal has another order of this payment".into()))
            }
            Err(failure @ Failure::Refused { .. }) => Err(refused(failure)),
        }
    }
}

fn opened(id: &str, asked: &Money, order: &Order) -> Result<Intent, CreateError> {
    // A minimal answer does not repeat what we sent.
    let other_name = order.custom_id().is_some_and(|name| name != id);
    let same = |money: &Money| {
        let currency = asked.currency_code.parse().ok().filter(|_| money.currency_code == asked.currency_code);
        let read = |it: &Money| currency.and_then(|currency| decimals::from_text(&it.value, currency));
        read(money).is_some() && read(money) == read(asked)
    };
    if other_name || !order.asked().is_none_or(same) {
        return Err(CreateError::Ambiguous(Box::new(Trouble::AnotherPayment)));
    }
    let reference = order.id.clone();
    match (order.status, order.page()) {
        (Status::Created | Status::PayerActionRequired | Status::Approved, Some(url)) => Ok(Intent { reference, url }),
        _ => Err(CreateError::PageLost { reference }),
    }
}

fn refused(failure: Failure) -> CreateError {
    if is_locked_out(&failure) {
        tracing::error!(error = failure.to_text(), "PayPal does not accept our keys: no payment can be opened");
    }
    match failure {
        Failure::Refused { code, .. } => CreateError::Refused { code },
        Failure::Unsent { cause, .. } | Failure::Lost { cause, .. } => CreateError::Ambiguous(cause),
    }
}
