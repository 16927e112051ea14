//! What each buyer does, decided by the seed alone.

use provider_sandbox::Provider;

use crate::demo::dice::Dice;

/// How a buyer pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// Pays what is asked for.
    Pay,
    /// Pays when the time to pay is over.
    Late,
    /// Is declined, and pays with another provider.
    DeclinedThenOther,
    /// Is declined, and tries again on the same page.
    DeclinedThenSame,
    /// Presses cancel on the page, and pays then.
    LeavesThenPays,
    /// Never pays.
    WalksAway,
    /// Opens pages at two providers, and pays both.
    TwoTabs,
    /// Sends it in two transfers.
    InParts,
    /// Sends half, and never the rest.
    PartOnly,
    /// Sends half, and the rest when it is too late.
    RestTooLate,
    /// Sends more than is asked for.
    TooMuch,
    /// Sends another currency.
    OtherCurrency,
    /// Cancels the order while paying for it.
    CancelsAndPays,
}

/// Each act with how many of a hundred buyers play it.
const SHARES: [(Act, u64); 13] = [
    (Act::Pay, 46),
    (Act::Late, 9),
    (Act::DeclinedThenOther, 6),
    (Act::DeclinedThenSame, 4),
    (Act::LeavesThenPays, 4),
    (Act::WalksAway, 7),
    (Act::TwoTabs, 7),
    (Act::InParts, 3),
    (Act::PartOnly, 3),
    (Act::RestTooLate, 2),
    (Act::TooMuch, 3),
    (Act::OtherCurrency, 2),
    (Act::CancelsAndPays, 4),
];

/// Staff gives money back, after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staff {
    /// All of it.
    Whole,
    /// For one ticket, if there are more.
    OneTicket,
}

/// In which currency a show sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Market {
    /// By every provider but PayPal.
    Vnd,
    /// By Stripe and PayPal.
    Usd,
}

impl Market {
    /// Who collects in it.
    pub fn providers(self) -> &'static [Provider] {
        match self {
            Self::Vnd => &[Provider::Payos, Provider::Stripe, Provider::Vnpay, Provider::Zalopay],
            Self::Usd => &[Provider::Stripe, Provider::Paypal],
        }
    }

    /// Its currency.
    pub fn currency(self) -> &'static str {
        match self {
            Self::Vnd => "VND",
            Self::Usd => "USD",
        }
    }
}

/// One buyer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// From 0.
    pub number: u32,
    /// What is bought at which show.
    pub market: Market,
    /// By whom the money is collected first.
    pub provider: Provider,
    /// By whom otherwise.
    pub other: Provider,
    /// How it is paid.
    pub act: Act,
    /// How many tickets.
    pub quantity: i64,
    /// Whether the class that has few is tried first.
    pub scarce: bool,
    /// What staff does once the tickets are there.
    pub staff: Option<Staff>,
}

impl Plan {
    /// The plan of this buyer.
    pub fn of(number: u32, dice: &mut Dice) -> Self {
        let provider = pick(&Provider::ALL, dice);
        let market = match provider {
            Provider::Payos | Provider::Vnpay | Provider::Zalopay => Market::Vnd,
            Provider::Paypal => Market::Usd,
            Provider::Stripe => pick(&[Market::Vnd, Market::Usd], dice),
        };
        let others: Vec<Provider> = market.providers().iter().copied().filter(|it| *it != provider).collect();
        let act = possible(act(dice), provider);
        let staff = match dice.below(40) {
            0 => Some(Staff::Whole),
            1 => Some(Staff::OneTicket),
            _ => None,
        };
        let scarce = dice.below(100) < if act == Act::Late { 60 } else { 6 };
        let quantity = i64::try_from(1 + dice.below(3)).unwrap_or(1);
        Self { number, market, provider, other: pick(&others, dice), act, quantity, scarce, staff }
    }
}

fn act(dice: &mut Dice) -> Act {
    let mut roll = dice.below(100);
    for (act, share) in SHARES {
        match roll.checked_sub(share) {
            Some(rest) => roll = rest,
            None => return act,
        }
    }
    Act::Pay
}

/// Only PayOS takes money in parts; VNPay and ZaloPay know no currency but the dong.
fn possible(act: Act, provider: Provider) -> Act {
    match (act, provider) {
        (Act::InParts | Act::PartOnly | Act::RestTooLate, Provider::Payos) => act,
        (Act::InParts | Act::PartOnly | Act::RestTooLate, _) => Act::Pay,
        (Act::OtherCurrency, Provider::Vnpay | Provider::Zalopay) => Act::TooMuch,
        _ => act,
    }
}

fn pick<T: Copy>(from: &[T], dice: &mut Dice) -> T {
    from[usize::try_from(dice.below(from.len() as u64)).unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn all_acts_at_all_providers_are_played_and_the_shares_make_a_hundred() {
        assert_eq!(SHARES.iter().map(|(_, share)| share).sum::<u64>(), 100);
        let mut played: BTreeMap<(Provider, Act), u32> = BTreeMap::new();
        for number in 0..2000 {
            let plan = Plan::of(number, &mut Dice::of(1, u64::from(number)));
            *played.entry((plan.provider, plan.act)).or_default() += 1;
            assert_ne!(plan.provider, plan.other);
            assert!([plan.provider, plan.other].iter().all(|it| plan.market.providers().contains(it)));
        }
        let acts = |provider| played.keys().filter(|(of, _)| *of == provider).count();
        assert_eq!(Provider::ALL.map(acts), [13, 10, 9, 9, 10]);
    }
}
