//! What goes wrong with a payment: each fault with the same chance, whatever else goes wrong with it.

use provider_sandbox::{Keys, Lost, LostHow, Outcome, Provider, Script, WebhookMode};

use crate::demo::dice::Dice;

/// Every kind of fault, in the order of the table.
pub const KINDS: [&str; 19] = [
    "webhook slow",
    "webhook twice",
    "webhook late",
    "webhook never",
    "webhook out of order",
    "webhook badly signed",
    "silent for a while",
    "HTTP 500",
    "HTML instead of JSON",
    "create answer lost",
    "create answer slow",
    "other signing key",
    "capture pending",
    "capture fails",
    "capture answer lost",
    "failure after success",
    "refund pending",
    "refund fails",
    "refund answer lost",
];

/// A late webhook comes so long after the money: most orders are over by then.
const LATE_MS: u64 = 30_000;
/// Longer than the shop waits for an answer.
const SLOW_CREATE_MS: u64 = 3_000;

/// The script of one payment, and which kinds of fault are in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drawn {
    /// For the sandbox.
    pub script: Script,
    /// Names out of [`KINDS`].
    pub kinds: Vec<&'static str>,
}

impl Drawn {
    fn with(&mut self, kind: usize, change: impl FnOnce(&mut Script)) {
        self.kinds.push(KINDS[kind]);
        change(&mut self.script);
    }
}

/// Draws what goes wrong with a payment at this provider. Where one kind shuts out another (a webhook goes one way, a
/// refund has one outcome), one roll decides among them, so that each keeps its chance of `percent`.
pub fn draw(provider: Provider, percent: u64, dice: &mut Dice) -> Drawn {
    let mut drawn = Drawn::default();
    webhook(&mut drawn, percent, dice);
    calls(&mut drawn, percent, dice);
    if matches!(provider, Provider::Stripe | Provider::Paypal) && hits(percent, dice) {
        let keys = if dice.below(2) == 0 { Keys::Both } else { Keys::Second };
        drawn.with(11, |script| script.rotated_key = keys);
    }
    // PayOS moves money between banks: nothing is captured, and nothing goes back by itself.
    if provider != Provider::Payos {
        money(&mut drawn, provider, percent, dice);
    }
    if provider == Provider::Paypal && hits(percent, dice) {
        let lost = lost(dice);
        drawn.with(14, |script| script.capture_lost = lost);
    }
    drawn
}

fn webhook(drawn: &mut Drawn, percent: u64, dice: &mut Dice) {
    let modes = [
        (WebhookMode::Slow, None),
        (WebhookMode::Twice, Some(300)),
        (WebhookMode::Late, Some(LATE_MS)),
        (WebhookMode::Never, None),
        (WebhookMode::OutOfOrder, None),
        (WebhookMode::BadSignature, None),
    ];
    if let Some(kind) = one_of(modes.len(), percent, dice) {
        drawn.with(kind, |script| (script.webhook, script.delay_ms) = modes[kind]);
    }
}

fn calls(drawn: &mut Drawn, percent: u64, dice: &mut Dice) {
    if hits(percent, dice) {
        drawn.with(6, |script| script.silent = true);
    }
    if hits(percent, dice) {
        let times = 1 + few(dice);
        drawn.with(7, |script| script.http_500_times = times);
    }
    if hits(percent, dice) {
        let times = 1 + few(dice);
        drawn.with(8, |script| script.html = times);
    }
    if hits(percent, dice) {
        let lost = lost(dice);
        drawn.with(9, |script| script.lose_create_answer = lost);
    }
    if hits(percent, dice) {
        drawn.with(10, |script| script.slow_create_ms = SLOW_CREATE_MS);
    }
}

fn money(drawn: &mut Drawn, provider: Provider, percent: u64, dice: &mut Dice) {
    let delay_ms = Some(500 + dice.below(15_000));
    match one_of(2, percent, dice) {
        Some(0) => {
            drawn.with(12, |script| (script.capture, script.capture_delay_ms) = (Outcome::Pending, delay_ms));
        }
        Some(_) => {
            let outcome = failing(dice);
            drawn.with(13, |script| (script.capture, script.capture_delay_ms) = (outcome, delay_ms));
        }
        None => {}
    }
    if hits(percent, dice) {
        drawn.with(15, |script| script.failure_after_success = true);
    }
    match one_of(2, percent, dice) {
        Some(0) => drawn.with(16, |script| (script.refund, script.refund_delay_ms) = (Outcome::Pending, delay_ms)),
        Some(_) => {
            // Who is refused a refund by VNPay asks again on another day, which no drill waits for.
            let outcome = Some(failing(dice)).filter(|_| provider != Provider::Vnpay).unwrap_or(Outcome::PendingFail);
            drawn.with(17, |script| (script.refund, script.refund_delay_ms) = (outcome, delay_ms));
        }
        None => {}
    }
    if hits(percent, dice) {
        let lost = lost(dice);
        drawn.with(18, |script| script.refund_lost = lost);
    }
}

fn hits(percent: u64, dice: &mut Dice) -> bool {
    dice.below(100) < percent
}

/// Which of so many, each with a chance of `percent`, as far as they fit into a hundred.
fn one_of(kinds: usize, percent: u64, dice: &mut Dice) -> Option<usize> {
    let kinds = kinds as u64;
    let each = percent.min(100 / kinds);
    let hit = dice.below(100).checked_div(each).filter(|kind| *kind < kinds)?;
    usize::try_from(hit).ok()
}

fn few(dice: &mut Dice) -> u32 {
    u32::try_from(dice.below(3)).unwrap_or_default()
}

fn lost(dice: &mut Dice) -> Lost {
    Lost::How(if dice.below(2) == 0 { LostHow::Cut } else { LostHow::GatewayTimeout })
}

fn failing(dice: &mut Dice) -> Outcome {
    if dice.below(2) == 0 { Outcome::Fail } else { Outcome::PendingFail }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_kind_has_its_chance_where_it_can_happen() {
        let mut counts: BTreeMap<(Provider, &str), u32> = BTreeMap::new();
        for provider in Provider::ALL {
            let mut dice = Dice::of(7, provider as u64);
            for _ in 0..4000 {
                let drawn = draw(provider, 10, &mut dice);
                drawn.kinds.iter().for_each(|kind| *counts.entry((provider, *kind)).or_default() += 1);
            }
        }
        assert!(counts.values().all(|count| (320..480).contains(count)), "{counts:?}");
        let kinds_of = |provider| counts.keys().filter(|(of, _)| *of == provider).count();
        assert_eq!(Provider::ALL.map(kinds_of), [11, 18, 17, 17, 19]);
    }

    #[test]
    fn none_and_all() {
        let mut dice = Dice::of(7, 7);
        assert_eq!(draw(Provider::Paypal, 0, &mut dice), Drawn::default());
        // Six ways of a webhook do not fit in more often than sixteen times of a hundred each.
        let all = draw(Provider::Paypal, 100, &mut dice).kinds;
        assert!(
            ["silent for a while", "HTTP 500", "refund answer lost"].iter().all(|kind| all.contains(kind)),
            "{all:?}"
        );
    }
}
