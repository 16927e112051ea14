//! An order as it comes in and goes out: the same JSON, checked by the same rules, as the real service has.

use domain::value::{Currency, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use service_kit::json;
use service_kit::problem::{Kind, Problem};
use service_kit::validate::{Errors, Validate};
use service_kit::views::{self, Buyer, Line, Money, moment};
use uuid::Uuid;

/// A buyer has so long to pay.
const PAY_WITHIN_S: i64 = 900;
/// What one ticket costs, in VND.
const PRICE: i64 = 150_000;
const CURRENCY: &str = "VND";
/// The one provider.
const PROVIDER: &str = "payos";

/// What is sold.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    /// The show.
    pub show: Uuid,
    /// Its one ticket class.
    pub ticket_class: Uuid,
}

/// A new order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// The show, as a UUID in lower case.
    #[serde(deserialize_with = "json::id")]
    pub show: Uuid,
    lines: Vec<Line>,
    buyer: Buyer,
    payment: Option<NewPayment>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPayment {
    provider: String,
    return_url: String,
    cancel_url: Option<String>,
}

/// What an order comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// So many tickets.
    pub quantity: i64,
    /// What they cost.
    pub total: i64,
}

impl Validate for NewOrder {
    fn validate(&self, errors: &mut Errors) {
        if !(1..=20).contains(&self.lines.len()) {
            errors.reject("lines", "must be from 1 to 20 lines");
        }
        if self.lines.windows(2).any(|pair| pair[0].unit_price.currency != pair[1].unit_price.currency) {
            errors.reject("lines", "must all be in one currency");
        }
        errors.within("lines", |errors| {
            for (n, line) in self.lines.iter().enumerate() {
                errors.within(n, |errors| {
                    errors.range("quantity", line.quantity, 1..=100);
                    errors.within("unit_price", |errors| check_money(errors, &line.unit_price));
                });
            }
        });
        errors.within("buyer", |errors| check_buyer(errors, &self.buyer));
        if let Some(payment) = &self.payment {
            errors.within("payment", |errors| {
                errors.url("return_url", &payment.return_url);
                payment.cancel_url.iter().for_each(|url| errors.url("cancel_url", url));
            });
        }
    }
}

fn check_money(errors: &mut Errors, money: &Money) {
    errors.range("amount", money.amount, 0..=1_000_000_000_000);
    if money.currency.parse::<Currency>().is_err() {
        errors.reject("currency", "must be a currency of ISO 4217");
    }
}

fn check_buyer(errors: &mut Errors, buyer: &Buyer) {
    errors.text("name", &buyer.name, 1..=200);
    let address = buyer.email.trim();
    let parts = address.split_once('@');
    let sound = parts.is_some_and(|(local, host)| {
        !local.is_empty() && host.contains('.') && !host.starts_with('.') && !host.ends_with('.') && !host.contains('@')
    });
    if !sound || address.len() > 254 || address.contains(char::is_whitespace) || address.contains(char::is_control) {
        errors.reject("email", "must be a mail address");
    }
    if let Some(phone) = &buyer.phone {
        let sound = phone.chars().all(|c| c.is_ascii_digit() || "+-() .".contains(c));
        if !sound || !(3..=30).contains(&phone.len()) {
            errors.reject("phone", "must be 3 to 30 digits, spaces and + - ( ) .");
        }
    }
}

impl NewOrder {
    /// Whether this is on sale here at the price that the buyer saw, and what it comes to.
    ///
    /// # Errors
    /// As the real service refuses it.
    pub fn sum(&self, offer: &Offer) -> Result<Sum, Problem> {
        if self.show != offer.show {
            return Err(Problem::new(Kind::ShowNotFound));
        }
        for (n, line) in self.lines.iter().enumerate() {
            if line.ticket_class != offer.ticket_class {
                let problem = Problem::new(Kind::TicketClassNotFound);
                return Err(problem.error(format!("/lines/{n}/ticket_class"), "this show has no such class"));
            }
            if line.unit_price.amount != PRICE || line.unit_price.currency != CURRENCY {
                let problem = Problem::new(Kind::PriceChanged).with("price", price());
                return Err(problem.error(format!("/lines/{n}/unit_price"), "this is not the present price"));
            }
        }
        let quantity: i64 = self.lines.iter().map(|line| i64::from(line.quantity)).sum();
        let total = quantity * PRICE;
        match &self.payment {
            None => Err(Problem::new(Kind::Validation)
                .error("/payment", "is needed: there is something to pay")
                .with("total", json!(total))),
            Some(payment) if payment.provider != PROVIDER => Err(Problem::new(Kind::ProviderUnavailable)
                .error("/payment/provider", "is not a provider that is set up here")),
            Some(_) => Ok(Sum { quantity, total }),
        }
    }

    /// Who buys and how it is paid, as it is kept.
    pub fn details(&self) -> String {
        json!({"buyer": self.buyer, "payment": self.payment}).to_string()
    }

    /// The order right after its reservation at `at`.
    pub fn reserved(self, order: Uuid, sum: Sum, code: String, at: Timestamp) -> views::Order {
        views::Order {
            id: order,
            show: self.show,
            status: "reserved".to_owned(),
            reason: None,
            lines: self.lines,
            total: Money { amount: sum.total, currency: CURRENCY.to_owned() },
            buyer: Some(self.buyer),
            pay_by: moment(at.plus_s(PAY_WITHIN_S)),
            payments: Vec::new(),
            tickets: Vec::new(),
            code,
            created_at: moment(at),
            refund: None,
            access_token: None,
        }
    }
}

fn price() -> Money {
    Money { amount: PRICE, currency: CURRENCY.to_owned() }
}

/// The refusal of an order that asks for more than is left.
pub fn sold_out(offer: &Offer, available: i64) -> Problem {
    Problem::new(Kind::SoldOut).with("available", json!([{"ticket_class": offer.ticket_class, "available": available}]))
}
