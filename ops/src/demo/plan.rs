//! What each buyer is going to do: decided before the first one comes, by the seed alone.

use std::time::Duration;

use super::dice::Dice;

/// How a buyer behaves once there is something to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// Pays at once.
    Pay,
    /// Never pays.
    WalkAway,
    /// Is declined, and pays by a second attempt.
    DeclineThenPay,
    /// Pays; the provider tells it twice.
    WebhookTwice,
    /// Pays; the provider tells it some seconds later.
    WebhookLate,
    /// Pays; the provider never tells it, so somebody has to ask.
    WebhookNever,
    /// Pays by two transfers.
    InParts,
    /// Transfers a part and never the rest.
    PartOnly,
    /// Transfers a part, and the rest after the order has expired.
    RestTooLate,
    /// Pays after the order has expired.
    AfterExpiry,
    /// Transfers more than was asked for.
    TooMuch,
}

impl Act {
    /// Whom the first buyers play, so that nothing is left to chance.
    pub const CAST: [Self; 10] = [
        Self::WalkAway,
        Self::PartOnly,
        Self::DeclineThenPay,
        Self::WebhookLate,
        Self::WebhookTwice,
        Self::WebhookNever,
        Self::InParts,
        Self::AfterExpiry,
        Self::RestTooLate,
        Self::TooMuch,
    ];

    /// How many of a thousand others play it; the rest pays.
    const SHARES: [(Self, u64); 10] = [
        (Self::WalkAway, 100),
        (Self::DeclineThenPay, 80),
        (Self::WebhookTwice, 50),
        (Self::WebhookLate, 50),
        (Self::InParts, 30),
        (Self::WebhookNever, 10),
        (Self::PartOnly, 10),
        (Self::RestTooLate, 5),
        (Self::AfterExpiry, 10),
        (Self::TooMuch, 10),
    ];

    fn dealt(dice: &mut Dice) -> Self {
        let mut at = dice.below(1000);
        for (act, share) in Self::SHARES {
            if at < share {
                return act;
            }
            at -= share;
        }
        Self::Pay
    }
}

/// One buyer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// From 0.
    pub number: u32,
    /// When the buyer comes, after the first moment.
    pub arrives: Duration,
    /// Whether the buyer has an account; else it is a guest.
    pub account: bool,
    /// Which class is wanted, an index.
    pub class: usize,
    /// How many tickets, 1 or 2.
    pub quantity: i32,
    /// What the buyer does then.
    pub act: Act,
}

/// How popular the classes are, in shares of a hundred.
const WANTED: [u64; 3] = [65, 25, 10];

/// All buyers, in the order of their arrival over so long.
pub fn plans(seed: u64, buyers: u32, over: Duration) -> Vec<Plan> {
    let over_ms = u64::try_from(over.as_millis()).unwrap_or(u64::MAX);
    let plan = |number: u32| {
        let dice = &mut Dice::of(seed, u64::from(number));
        let role = usize::try_from(number).ok().and_then(|at| Act::CAST.get(at)).copied();
        // Who has to play a part comes while there surely is stock.
        let arrives_ms = if role.is_some() { dice.below(over_ms / 20) } else { dice.below(over_ms) };
        let act = Act::dealt(dice);
        Plan {
            number,
            arrives: Duration::from_millis(arrives_ms),
            account: dice.in_thousand(500),
            class: class(dice.below(WANTED.iter().sum())),
            quantity: if dice.in_thousand(500) { 2 } else { 1 },
            act: role.unwrap_or(act),
        }
    };
    let mut plans: Vec<Plan> = (0..buyers).map(plan).collect();
    plans.sort_by_key(|plan| (plan.arrives, plan.number));
    plans
}

fn class(mut at: u64) -> usize {
    for (class, share) in WANTED.into_iter().enumerate() {
        if at < share {
            return class;
        }
        at -= share;
    }
    WANTED.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVER: Duration = Duration::from_secs(30);

    #[test]
    fn a_seed_repeats_itself_and_another_does_not() {
        assert_eq!(plans(7, 100, OVER), plans(7, 100, OVER));
        assert_ne!(plans(7, 100, OVER), plans(8, 100, OVER));
    }

    #[test]
    fn every_part_is_played_early_whatever_the_seed() {
        for seed in 0..50 {
            let plans = plans(seed, 1500, OVER);
            for act in Act::CAST {
                let first = plans.iter().find(|plan| plan.act == act).unwrap();
                assert!(first.arrives < Duration::from_secs(2), "{act:?} comes after {:?}", first.arrives);
            }
        }
    }

    #[test]
    fn the_shares_are_about_right_and_demand_exceeds_a_thousand() {
        let plans = plans(1, 1500, OVER);
        let count = |act| plans.iter().filter(|plan| plan.act == act).count();
        assert!((110..190).contains(&count(Act::WalkAway)), "{}", count(Act::WalkAway));
        assert!((80..160).contains(&count(Act::DeclineThenPay)));
        assert!(count(Act::Pay) > 800);
        let accounts = plans.iter().filter(|plan| plan.account).count();
        assert!((650..850).contains(&accounts), "{accounts}");
        assert!(plans.iter().map(|plan| plan.quantity).sum::<i32>() > 2000);
        assert!((0..WANTED.len()).all(|class| plans.iter().any(|plan| plan.class == class)));
        assert!(plans.iter().all(|plan| plan.arrives < OVER));
    }

    #[test]
    fn few_buyers_play_the_first_parts() {
        let mut acts: Vec<Act> = plans(3, 5, OVER).into_iter().map(|plan| plan.act).collect();
        acts.sort();
        let mut cast = Act::CAST[..5].to_vec();
        cast.sort();
        assert_eq!(acts, cast);
    }
}
