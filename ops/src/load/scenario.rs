//! The scenarios: what is sold, what arrives, and what has to come of it.

use clap::ValueEnum;
use load::plan::{Habits, Journey};
use load::report::Report;
use load::schedule::Phase;

use super::sale::{Offer, Room};
use super::step::Measured;

/// Of a ticket that is paid for.
const PRICE: i64 = 150_000;
/// More than anybody buys here.
const PLENTY: u64 = 10_000_000;
/// Tickets of a sell-out, and how many want one.
const TICKETS: u64 = 10_000;
const DEMAND: f64 = 10.0;
/// Purchases a second of a steady 1,000 a minute.
const STEADY: f64 = 1000.0 / 60.0;
/// Seconds before and after an overload, at half of the knee.
const CALM_S: u64 = 30;
/// What counts as served well.
pub const GOOD_P99_MS: f64 = 200.0;
/// Of those, so many may fail.
pub const GOOD_ERRORS: f64 = 0.001;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// One ticket class that never sells out; an order until its 201.
    Hot,
    /// 10,000 tickets and ten times as many buyers, as fast as --rate says.
    Sellout,
    /// A thousand shows, the second half as wanted as the first, the third a third …
    Zipf,
    /// Whole purchases: line, slot, order, payment, tickets; some walk away, are declined first, or are told twice.
    Purchase,
    /// Whole purchases, 1,000 a minute whatever --rate says; nobody walks away. How far behind are the read models?
    Steady,
    /// Purchases one after the other on an idle system, --times of them.
    Idle,
    /// Reads of shows, what is left, orders and tickets.
    Queries,
    /// Half of --rate (the knee), then ten times as much for --duration, then half again.
    Overload,
}

/// What the command line says about size.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Arrivals a second.
    pub rate: f64,
    /// Seconds that are measured.
    pub duration: u64,
    /// Seconds before.
    pub warm_up: u64,
    /// Purchases one after the other.
    pub times: u32,
    /// No payment is opened.
    pub free: bool,
    /// Seconds that buyers have to pay; the scenario's own if left out.
    pub pay_within_s: Option<u64>,
}

impl Scenario {
    /// What is put on sale.
    pub fn offer(self, size: Size) -> Offer {
        let price = if size.free || self == Self::Queries { 0 } else { PRICE };
        let plain = Offer { shows: 1, capacity: PLENTY, price, pay_within_s: 900, waiting_room: None };
        let offer = match self {
            Self::Hot | Self::Overload | Self::Queries => plain,
            Self::Sellout => Offer { capacity: TICKETS, ..plain },
            Self::Zipf => Offer { shows: 1000, ..plain },
            // Short, so that the run sees those end who walked away.
            Self::Purchase => Offer { waiting_room: Some(Room::WIDE), pay_within_s: 20, ..plain },
            Self::Idle | Self::Steady => Offer { waiting_room: Some(Room::WIDE), ..plain },
        };
        Offer { pay_within_s: size.pay_within_s.unwrap_or(offer.pay_within_s), ..offer }
    }

    /// What each arrival does.
    pub fn journey(self) -> Journey {
        let habits = Habits { walk_away: 0.2, declined: 0.05, twice: 0.1, one_by_one: 0 };
        match self {
            Self::Hot | Self::Sellout | Self::Zipf | Self::Overload => Journey::Order { probe: true },
            Self::Purchase => Journey::Purchase(habits),
            Self::Steady => Journey::Purchase(Habits { walk_away: 0.0, declined: 0.0, twice: 0.0, one_by_one: 0 }),
            Self::Idle => Journey::Purchase(Habits { walk_away: 0.0, declined: 0.0, twice: 0.0, one_by_one: 1 }),
            Self::Queries => Journey::Queries { orders: 50 },
        }
    }

    /// Zipf's exponent.
    pub fn zipf(self) -> f64 {
        if self == Self::Zipf { 1.0 } else { 0.0 }
    }

    /// How long each rate holds, and which seconds are measured.
    pub fn phases(self, size: Size) -> (Vec<Phase>, (u64, u64)) {
        let phase = |rate, seconds: f64| Phase { rate, seconds };
        let (warm_up, duration) = (float(size.warm_up), float(size.duration));
        match self {
            Self::Sellout => {
                let seconds = float(TICKETS) * DEMAND / size.rate;
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds")]
                let whole = seconds.ceil() as u64;
                (vec![phase(size.rate, seconds)], (0, whole.max(1)))
            }
            Self::Overload => {
                let calm = phase(size.rate / 2.0, float(CALM_S));
                (vec![calm, phase(size.rate * 10.0, duration), calm], (CALM_S, CALM_S + size.duration))
            }
            // It ends when all have bought.
            Self::Idle => (Vec::new(), (0, u64::MAX)),
            Self::Steady => (vec![phase(STEADY, warm_up + duration)], (size.warm_up, size.warm_up + size.duration)),
            Self::Hot | Self::Zipf | Self::Purchase | Self::Queries => {
                let measured = (size.warm_up, size.warm_up + size.duration);
                (vec![phase(size.rate, warm_up + duration)], measured)
            }
        }
    }

    /// Whether a rate was served well.
    pub fn good(self, report: &Report) -> bool {
        let totals = &report.totals;
        // A whole purchase waits on purpose; its first answer must not.
        let p99 = match self {
            Self::Purchase | Self::Steady => totals.steps.get("order").and_then(|it| it.p99_ms),
            _ => totals.latency.p99_ms,
        };
        let walks = if self == Self::Purchase { 0.75 } else { 0.97 };
        p99.is_some_and(|p99| p99 <= GOOD_P99_MS)
            && totals.error_share < GOOD_ERRORS
            && totals.acknowledged_per_s >= totals.offered_per_s * walks
    }

    /// What the scenario itself asks about, and why its numbers would not count.
    pub fn judge(self, size: Size, measured: &Measured, report: &mut Report) {
        match self {
            Self::Sellout => sold_out(report),
            Self::Overload => overloaded(size, measured, report),
            Self::Hot | Self::Zipf | Self::Purchase | Self::Steady | Self::Idle | Self::Queries => {}
        }
    }
}

fn sold_out(report: &mut Report) {
    let sold = report.totals.acknowledged;
    let missing = |sold| format!("{sold} of {TICKETS} tickets were acknowledged");
    match sold.cmp(&TICKETS) {
        std::cmp::Ordering::Greater => report.void.push(format!("oversold: {}", missing(sold))),
        std::cmp::Ordering::Less => report.doubts.push(missing(sold)),
        std::cmp::Ordering::Equal => report.notes.push(format!("exactly {}", missing(sold))),
    }
}

fn overloaded(size: Size, measured: &Measured, report: &mut Report) {
    let (calm, over) = (CALM_S, CALM_S + size.duration);
    let index = |second: u64| usize::try_from(second).unwrap_or(usize::MAX);
    let before = measured.tally.between(5, index(calm)).latency.percentile_ms(99.0);
    let goodput = report.totals.acknowledged_per_s;
    report.notes.push(format!("goodput {goodput:.0}/s, {:.0} % of the knee", goodput / size.rate * 100.0));
    let without = report.totals.without_retry_after;
    report.notes.push(format!("{without} refusals did not say when to come again"));
    let p99 = |second: usize| measured.tally.windows.get(second).map_or(f64::NAN, |it| it.latency.percentile_ms(99.0));
    let limit = (before * 2.0).max(50.0);
    let again = (index(over)..index(over + CALM_S)).find(|second| (*second..*second + 3).all(|it| p99(it) <= limit));
    let shown: Vec<String> = (index(over)..index(over + 10)).map(|it| format!("{:.0}", p99(it))).collect();
    report.notes.push(format!("p99 before {before:.1} ms; in the seconds afterwards {} ms", shown.join(", ")));
    report.notes.push(match again {
        Some(second) => format!("normal again (below {limit:.0} ms) {} s after the load dropped", second - index(over)),
        None => format!("not normal again (below {limit:.0} ms) within {CALM_S} s"),
    });
    let memory = report.totals.resident_mib.iter().filter(|(name, _)| name.starts_with("command-api"));
    let memory: Vec<String> = memory.map(|(name, mib)| format!("{name} {mib:.0} MiB")).collect();
    report.notes.push(format!("memory at most: {}", memory.join(", ")));
}

#[allow(clippy::cast_precision_loss, reason = "seconds and tickets are few")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { rate: 1000.0, duration: 60, warm_up: 3, times: 1, free: false, pay_within_s: None };

    #[test]
    fn a_sell_out_is_wanted_ten_times() {
        let (phases, _) = Scenario::Sellout.phases(Size { rate: 20_000.0, ..SIZE });
        assert!((phases[0].rate * phases[0].seconds - 100_000.0).abs() < 1e-6);
        assert_eq!(Scenario::Sellout.offer(SIZE).capacity, 10_000);
    }

    #[test]
    fn a_steady_load_is_a_thousand_purchases_a_minute() {
        let (phases, measured) = Scenario::Steady.phases(SIZE);
        assert!((phases[0].rate * 60.0 - 1000.0).abs() < 1e-9);
        assert_eq!(measured, (3, 63));
    }

    #[test]
    fn an_overload_is_ten_times_the_knee_between_two_halves() {
        let (phases, measured) = Scenario::Overload.phases(SIZE);
        assert_eq!(phases.iter().map(|it| it.rate).collect::<Vec<_>>(), [500.0, 10_000.0, 500.0]);
        assert_eq!(measured, (30, 90));
    }
}
