//! Our name of an attempt: `<yyyyMMddHHmmss>-<payment>`. VNPay asks for that date, the address's own, with every question.

use std::fmt;

use domain::ids::PaymentId;
use domain::value::Timestamp;

use crate::payments::vietnam;

/// Our name of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TxnRef {
    /// When the address was made, as VNPay writes dates.
    pub date: String,
    /// Which payment.
    pub payment: PaymentId,
}

impl TxnRef {
    /// The name of an address that is made now.
    pub(super) fn new(payment: PaymentId, now: Timestamp) -> Self {
        Self { date: vietnam::second(now), payment }
    }

    /// Reads one; none if it is not ours.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (date, payment) = text.split_once('-')?;
        let payment = vietnam::payment(payment)?;
        vietnam::is_second(date).then(|| Self { date: date.to_owned(), payment })
    }
}

impl fmt::Display for TxnRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.date, self.payment.0.simple())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn it_is_read_as_it_is_written_and_nothing_else_is() {
        let written = TxnRef::new(PaymentId(Uuid::from_u128(0xabc)), Timestamp(1_791_651_600_000_000));
        let text = written.to_string();
        assert_eq!(text, "20261011000000-00000000000000000000000000000abc");
        assert_eq!(TxnRef::read(&text), Some(written));
        for other in [
            "",
            "20261011000000",
            "00000000000000000000000000000abc",
            "20261311000000-00000000000000000000000000000abc",
            "20261011000000-00000000000000000000000000000ABC",
            "20261011000000-00000000-0000-0000-0000-000000000abc",
            "20261011000000-00000000000000000000000000000abc1",
            "VNPAY_1786469808_2",
        ] {
            assert_eq!(TxnRef::read(other), None, "{other}");
        }
    }
}
