//! What VNPay's codes mean.

/// What became of the payer's money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was taken.
    Paid,
    /// It was taken, but VNPay suspects fraud and waits for a person of ours to decide.
    Held,
    /// The bank took it, but VNPay does not have it: the bank gives it back, or VNPay finds it.
    Reversed,
    /// It was taken, and is on its way back.
    GoesBack,
    /// It was taken, and the bank refused to take it back.
    StaysHere,
    /// Nothing was taken yet.
    NotYet,
    /// Declined.
    Failed,
    /// The payer gave up, or the time is over.
    Ended,
    /// The codes contradict each other, or are not documented.
    Unclear,
}

impl Verdict {
    /// By `vnp_ResponseCode` and `vnp_TransactionStatus` of a notification: paid only if both say so.
    pub(super) fn of_notification(response: &str, transaction: &str) -> Self {
        match (response, transaction) {
            ("00", "00") => Self::Paid,
            ("07", _) | (_, "07") => Self::Held,
            ("00", _) | (_, "00") => Self::Unclear,
            (_, "04") => Self::Reversed,
            ("11" | "24", "01" | "02" | "08") | (_, "08") => Self::Ended,
            (_, "02") => Self::Failed,
            _ => Self::Unclear,
        }
    }

    /// By `vnp_TransactionStatus` of an answer.
    pub(super) fn of_transaction(transaction: &str) -> Self {
        match transaction {
            "00" => Self::Paid,
            "01" => Self::NotYet,
            "02" => Self::Failed,
            "04" => Self::Reversed,
            "05" | "06" => Self::GoesBack,
            "07" => Self::Held,
            "08" => Self::Ended,
            "09" => Self::StaysHere,
            _ => Self::Unclear,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes() -> impl Iterator<Item = String> {
        (0..100).map(|code| format!("{code:02}")).chain([String::new(), "0".to_owned(), "000".to_owned()])
    }

    #[test]
    fn a_notification_says_paid_only_if_both_codes_do() {
        for (response, transaction) in codes().flat_map(|one| codes().map(move |other| (one.clone(), other))) {
            let verdict = Verdict::of_notification(&response, &transaction);
            let both = response == "00" && transaction == "00";
            assert_eq!(verdict == Verdict::Paid, both, "{response} {transaction}");
            let suspected = response == "07" || transaction == "07";
            assert_eq!(verdict == Verdict::Held, suspected, "{response} {transaction}");
            if response == "00" || transaction == "00" {
                assert!(!matches!(verdict, Verdict::Failed | Verdict::Ended), "{response} {transaction}");
            }
        }
    }

    #[test]
    fn failures_fail_and_giving_up_ends() {
        for declined in ["09", "10", "12", "13", "51", "65", "75", "79", "99"] {
            assert_eq!(Verdict::of_notification(declined, "02"), Verdict::Failed, "{declined}");
        }
        assert_eq!(Verdict::of_notification("24", "02"), Verdict::Ended);
        assert_eq!(Verdict::of_notification("11", "02"), Verdict::Ended);
        assert_eq!(Verdict::of_notification("99", "04"), Verdict::Reversed);
        assert_eq!(Verdict::of_notification("99", "55"), Verdict::Unclear);
    }
}
