//! What each refusal is called in HTTP. Exhaustive, so that a new refusal cannot be forgotten.

use domain::{account, inventory, order, payment, queue, show, ticket};
use serde_json::json;
use service_kit::problem::{Kind, Problem};
use service_kit::views::{Money, moment};

/// A refusal as a problem.
pub trait IntoProblem {
    /// Its problem type, with what a client can act on.
    fn into_problem(self) -> Problem;
}

impl IntoProblem for show::Refusal {
    fn into_problem(self) -> Problem {
        let detail = self.to_string();
        match self {
            Self::NotFound => Problem::new(Kind::ShowNotFound),
            Self::ClassNotFound => Problem::new(Kind::TicketClassNotFound),
            Self::AlreadyExists => Problem::new(Kind::AlreadyExists),
            Self::Forbidden => Problem::new(Kind::Forbidden),
            Self::WrongStatus { status } => Problem::new(Kind::WrongStatus).detail(detail).with("status_now", status),
            Self::NoTicketClass => Problem::new(Kind::WrongStatus).detail(detail),
            Self::TooManyClasses { .. } => Problem::new(Kind::LimitExceeded).detail(detail),
            Self::Invalid { field, detail } => Problem::new(Kind::Validation).error(format!("/{field}"), detail),
        }
    }
}

impl IntoProblem for inventory::Refusal {
    fn into_problem(self) -> Problem {
        let detail = self.to_string();
        let at = |line: Option<usize>, field: &str| match line {
            Some(line) => format!("/lines/{line}/{field}"),
            None => String::new(),
        };
        match self {
            Self::NotFound | Self::NoReservation => Problem::new(Kind::ShowNotFound),
            Self::Forbidden => Problem::new(Kind::Forbidden),
            Self::NotOnSale { line, opens_at } => {
                let problem = Problem::new(Kind::NotOnSale);
                let problem = match opens_at {
                    Some(opens_at) => problem.with("opens_at", moment(opens_at)),
                    None => problem,
                };
                match line {
                    Some(_) => problem.error(at(line, "ticket_class"), "this class is outside its time of sale"),
                    None => problem,
                }
            }
            Self::CheckoutTokenMissing => Problem::new(Kind::CheckoutTokenMissing),
            Self::CheckoutTokenExpired { expired_at } => Problem::new(Kind::CheckoutTokenInvalid)
                .detail("The Checkout-Token has expired.")
                .with("expired_at", moment(expired_at)),
            Self::CheckoutTokenUsed => Problem::new(Kind::CheckoutTokenUsed),
            Self::ClassNotFound { line } => {
                Problem::new(Kind::TicketClassNotFound).error(at(line, "ticket_class"), "this show has no such class")
            }
            Self::SoldOut { available } => Problem::new(Kind::SoldOut).with("available", available),
            Self::LimitExceeded { line, max } => {
                Problem::new(Kind::LimitExceeded).error(at(Some(line), "quantity"), detail).with("max_per_order", max)
            }
            Self::PriceChanged { line, price, currency } => Problem::new(Kind::PriceChanged)
                .error(at(Some(line), "unit_price"), "this is not the present price")
                .with("price", Money::of(price, currency)),
            Self::ProviderUnavailable { currency } => {
                Problem::new(Kind::ProviderUnavailable).error("/payment/provider", format!("cannot collect {currency}"))
            }
            Self::PaymentMismatch { total } => payment_mismatch(total),
            Self::AlreadyExists => Problem::new(Kind::AlreadyExists),
            Self::BelowCommitted { committed } => {
                Problem::new(Kind::CapacityBelowCommitted).error("/capacity", detail).with("committed", committed)
            }
            Self::StockGone => Problem::new(Kind::SoldOut),
        }
    }
}

/// A total above 0 needs a payment, a total of 0 takes none.
pub fn payment_mismatch(total: i64) -> Problem {
    let detail = if total > 0 { "is needed: there is something to pay" } else { "is not taken: the order is free" };
    Problem::new(Kind::Validation).error("/payment", detail).with("total", json!(total))
}

impl IntoProblem for order::Refusal {
    fn into_problem(self) -> Problem {
        let detail = self.to_string();
        match self {
            Self::NotFound | Self::OrderIdTaken => Problem::new(Kind::NotFound),
            Self::AlreadyPaid | Self::PaidByAnother => Problem::new(Kind::AlreadyPaid),
            Self::Over | Self::EndedBefore { why: _ } => Problem::new(Kind::OrderOver),
            Self::TooManyPayments { .. } => Problem::new(Kind::TooManyPayments).detail(detail),
            Self::ProviderUnavailable { .. } => Problem::new(Kind::ProviderUnavailable).error("/provider", detail),
            Self::NothingToPay => Problem::new(Kind::Validation).error("/provider", detail),
            Self::WrongState => Problem::new(Kind::WrongStatus),
            Self::NotCompleted | Self::NothingToRefund => Problem::new(Kind::WrongStatus).detail(detail),
            Self::NoSuchTicket { n } => {
                Problem::new(Kind::Validation).error(format!("/tickets/{n}"), "is not a ticket of this order")
            }
            Self::RefundedBefore { n } => Problem::new(Kind::WrongStatus).error(format!("/tickets/{n}"), detail),
            Self::Forbidden => Problem::new(Kind::Forbidden),
        }
    }
}

impl IntoProblem for payment::Refusal {
    fn into_problem(self) -> Problem {
        let detail = self.to_string();
        match self {
            Self::NotFound => Problem::new(Kind::NotFound),
            Self::WrongState => Problem::new(Kind::WrongStatus),
            Self::NoSuchRefund | Self::RefundedBefore { .. } => Problem::new(Kind::WrongStatus).detail(detail),
            Self::SeveralDue => Problem::new(Kind::Validation).error("/refund", detail),
        }
    }
}

impl IntoProblem for queue::Refusal {
    fn into_problem(self) -> Problem {
        let detail = self.to_string();
        match self {
            Self::NotFound => Problem::new(Kind::NotFound),
            Self::Closed => Problem::new(Kind::NotOnSale).detail("The waiting room is closed."),
            Self::NotAdmitted => Problem::new(Kind::NotAdmitted),
            Self::PlaceLost => Problem::new(Kind::QueuePlaceLost),
            Self::InOrder => Problem::new(Kind::WrongStatus).detail(detail),
            Self::BadSeed => Problem::new(Kind::WrongStatus),
            Self::TakesNobody => Problem::new(Kind::NotOnSale).detail("Nobody may join the queue now."),
            Self::BadTerms { field, detail } => Problem::new(Kind::Validation).error(format!("/{field}"), detail),
            Self::ProofNeeded { bits: _ } => Problem::new(Kind::ChallengeRequired),
            Self::Forbidden => Problem::new(Kind::Forbidden),
        }
    }
}

impl IntoProblem for account::Refusal {
    fn into_problem(self) -> Problem {
        match self {
            Self::NotFound => Problem::new(Kind::NotFound),
            Self::Forbidden => Problem::new(Kind::Forbidden),
        }
    }
}

impl IntoProblem for ticket::Refusal {
    fn into_problem(self) -> Problem {
        match self {
            Self::NotFound => Problem::new(Kind::NotFound),
            Self::Revoked => Problem::new(Kind::WrongStatus),
        }
    }
}
