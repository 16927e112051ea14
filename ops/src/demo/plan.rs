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

/// How a buyer behaves in the waiting room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Manner {
    /// Waits, enters and orders.
    Orders,
    /// Waits for a while, and leaves.
    LeavesWaiting,
    /// Waits, and does not see that the turn has come.
    NeverEnters,
    /// Enters, and leaves without an order.
    EntersAndLeaves,
    /// Enters, and does nothing any more.
    EntersAndGoesSilent,
}

impl Manner {
    /// Whom the buyers after [`Act::CAST`] play, so that nothing is left to chance.
    pub const CAST: [Self; 4] =
        [Self::LeavesWaiting, Self::NeverEnters, Self::EntersAndLeaves, Self::EntersAndGoesSilent];

    /// How many of a thousand others play it; the rest orders.
    const SHARES: [(Self, u64); 4] = [
        (Self::LeavesWaiting, 50),
        (Self::NeverEnters, 40),
        (Self::EntersAndLeaves, 20),
        (Self::EntersAndGoesSilent, 20),
    ];

    fn dealt(dice: &mut Dice) -> Self {
        let mut at = dice.below(1000);
        for (manner, share) in Self::SHARES {
            if at < share {
                return manner;
            }
            at -= share;
        }
        Self::Orders
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
    /// What the buyer does in the waiting room.
    pub manner: Manner,
    /// Whether the buyer watches a page that is told, instead of asking.
    pub streams: bool,
    /// How long the buyer chooses, and again how long until the payment is made.
    pub ponders: [Duration; 2],
    /// What the buyer does with an order.
    pub act: Act,
}

/// How popular the classes are, in shares of a hundred.
const WANTED: [u64; 3] = [65, 25, 10];

/// So many of a thousand come before the opening.
const EARLY: u64 = 400;
/// So many of a thousand watch a page that is told; the others ask.
const STREAMS: u64 = 200;
/// People take less than so long to choose, and to pay.
const PONDERS_MS: u64 = 3000;

/// All buyers, in the order of their arrival over so long; a part of them `before` the opening, which comes after the
/// first of these durations.
pub fn plans(seed: u64, buyers: u32, (before, over): (Duration, Duration)) -> Vec<Plan> {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let (before_ms, over_ms) = (ms(before), ms(over.max(before)));
    let plan = |number: u32| {
        let dice = &mut Dice::of(seed, u64::from(number));
        let (act, manner) = parts(number);
        let cast = act.is_some() || manner.is_some();
        // Who has to play a part comes while there surely is stock.
        let early = dice.in_thousand(EARLY) || cast;
        let arrives_ms = match (early, cast, before_ms) {
            (true, true, 0) => dice.below(over_ms / 20),
            (true, _, 1..) => dice.below(before_ms),
            _ => before_ms + dice.below(over_ms - before_ms),
        };
        let dealt = (Act::dealt(dice), Manner::dealt(dice));
        let wanted = class(dice.below(WANTED.iter().sum()));
        Plan {
            number,
            arrives: Duration::from_millis(arrives_ms),
            account: dice.in_thousand(500),
            class: if cast { 0 } else { wanted },
            quantity: if dice.in_thousand(500) { 2 } else { 1 },
            manner: if cast { manner.unwrap_or(Manner::Orders) } else { dealt.1 },
            streams: dice.in_thousand(STREAMS),
            ponders: [dice.below(PONDERS_MS), dice.below(PONDERS_MS)].map(Duration::from_millis),
            act: act.unwrap_or(dealt.0),
        }
    };
    let mut plans: Vec<Plan> = (0..buyers).map(plan).collect();
    plans.sort_by_key(|plan| (plan.arrives, plan.number));
    plans
}

/// What the first buyers have to play.
fn parts(number: u32) -> (Option<Act>, Option<Manner>) {
    let at = usize::try_from(number).unwrap_or(usize::MAX);
    let manner = at.checked_sub(Act::CAST.len()).and_then(|at| Manner::CAST.get(at));
    (Act::CAST.get(at).copied(), manner.copied())
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

    const OVER: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(30));

    #[test]
    fn a_seed_repeats_itself_and_another_does_not() {
        assert_eq!(plans(7, 100, OVER), plans(7, 100, OVER));
        assert_ne!(plans(7, 100, OVER), plans(8, 100, OVER));
    }

    #[test]
    fn every_part_is_played_before_the_opening_whatever_the_seed() {
        for seed in 0..50 {
            let plans = plans(seed, 1500, OVER);
            for act in Act::CAST {
                let part = plans.iter().find(|plan| plan.act == act && plan.number < 10).unwrap();
                assert!(part.arrives < OVER.0 && part.manner == Manner::Orders && part.class == 0, "{act:?}: {part:?}");
            }
            for manner in Manner::CAST {
                let early = plans.iter().filter(|plan| plan.manner == manner && (10..14).contains(&plan.number));
                assert!(early.clone().count() == 1 && early.clone().all(|plan| plan.arrives < OVER.0), "{manner:?}");
            }
            let without = super::plans(seed, 1500, (Duration::ZERO, OVER.1));
            let cast = without.iter().filter(|plan| plan.number < 14);
            assert!(cast.clone().all(|plan| plan.arrives < Duration::from_secs(2)), "nobody comes before an opening");
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
        assert!(plans.iter().all(|plan| plan.arrives < OVER.1));
        let early = plans.iter().filter(|plan| plan.arrives < OVER.0).count();
        assert!((550..680).contains(&early), "{early}");
        let ordering = plans.iter().filter(|plan| plan.manner == Manner::Orders).count();
        assert!((1250..1380).contains(&ordering), "{ordering}");
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
