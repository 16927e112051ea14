//! Our names of attempts, `<yymmdd>_<payment>`, and of refunds, `<yymmdd>_<app>_<refund>`, by the Vietnamese day.

use std::fmt;

use domain::ids::{PaymentId, RefundId};
use domain::value::Timestamp;

use crate::payments::gateway::{Attempt, GatewayError};
use crate::payments::vietnam;

/// Our name of an attempt, `app_trans_id`: 39 characters of 40.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AppTransId {
    day: String,
    pub payment: PaymentId,
}

impl AppTransId {
    /// The name of an order that is opened now.
    pub(super) fn new(payment: PaymentId, now: Timestamp) -> Self {
        Self { day: vietnam::day(now), payment }
    }

    /// Reads one; none if it is not ours.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (day, payment) = text.split_once('_')?;
        let payment = vietnam::payment(payment)?;
        vietnam::is_day(day).then(|| Self { day: day.to_owned(), payment })
    }

    /// That of an attempt. Without one, nobody was ever sent to a page.
    pub(super) fn of(attempt: &Attempt) -> Result<Self, GatewayError> {
        let text = attempt.reference.as_deref().ok_or(GatewayError::NotFound)?;
        let ours = Self::read(text).filter(|ours| ours.payment == attempt.payment);
        ours.ok_or_else(|| GatewayError::Refused { code: "not-our-reference".to_owned() })
    }
}

impl fmt::Display for AppTransId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.day, self.payment.0.simple())
    }
}

/// Our name of a refund, `m_refund_id`, the same at every try: 45 characters of 45 if the app has five digits.
pub(super) fn refund_name(app_id: u32, refund: RefundId, requested_at: Timestamp) -> String {
    format!("{}_{app_id}_{}", vietnam::day(requested_at), refund.0.simple())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// 2026-10-10 17:30:00 UTC; in Vietnam it is already the 11th.
    const NOW: Timestamp = Timestamp(1_791_653_400_000_000);

    #[test]
    fn it_is_read_as_it_is_written_and_nothing_else_is() {
        let written = AppTransId::new(PaymentId(Uuid::from_u128(0xabc)), NOW);
        let text = written.to_string();
        assert_eq!((text.as_str(), text.len()), ("261011_00000000000000000000000000000abc", 39));
        assert_eq!(AppTransId::read(&text), Some(written));
        for other in [
            "",
            "261011",
            "00000000000000000000000000000abc",
            "261311_00000000000000000000000000000abc",
            "261011_00000000000000000000000000000ABC",
            "261011_00000000-0000-0000-0000-000000000abc",
            "261011_00000000000000000000000000000abc1",
            "200904_2553_1598435687208",
        ] {
            assert_eq!(AppTransId::read(other), None, "{other}");
        }
    }

    #[test]
    fn a_refund_is_named_by_the_day_it_was_asked_for() {
        let name = refund_name(99_999, RefundId(Uuid::from_u128(9)), NOW);
        assert_eq!((name.as_str(), name.len()), ("261011_99999_00000000000000000000000000000009", 45));
        let before_midnight = refund_name(553, RefundId(Uuid::from_u128(9)), NOW.plus_s(-1801));
        assert_eq!(before_midnight, "261010_553_00000000000000000000000000000009");
    }
}
