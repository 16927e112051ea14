//! What a run came to: as JSON for machines, as a table for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::behind::{self, Behind, Buckets};
use crate::histogram::Latencies;
use crate::machine::Machine;
use crate::monitor::Sample;
use crate::tally::Tally;

/// Percentiles of latencies, milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many there are.
    pub count: u64,
    /// Half of them.
    pub p50_ms: Option<f64>,
    /// 90 %.
    pub p90_ms: Option<f64>,
    /// 99 %.
    pub p99_ms: Option<f64>,
    /// 99.9 %.
    pub p999_ms: Option<f64>,
    /// The longest.
    pub max_ms: Option<f64>,
}

impl From<&Latencies> for Percentiles {
    fn from(all: &Latencies) -> Self {
        let number = |value: f64| value.is_finite().then_some(value);
        let of = |percent| number(all.percentile_ms(percent));
        Self {
            count: all.count(),
            p50_ms: of(50.0),
            p90_ms: of(90.0),
            p99_ms: of(99.0),
            p999_ms: of(99.9),
            max_ms: number(all.max_ms()),
        }
    }
}

/// One second of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Second {
    /// Since the first arrival could come.
    pub second: usize,
    /// Arrivals scheduled.
    pub offered: u64,
    /// Arrivals that were done.
    pub acknowledged: u64,
    /// Told in order that nothing is left.
    pub sold_out: u64,
    /// Failures by kind.
    pub errors: BTreeMap<String, u64>,
    /// From the scheduled moment until done.
    pub latency: Percentiles,
    /// From the scheduled moment until refused.
    pub refusals: Percentiles,
}

/// The measured seconds together.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Totals {
    /// How long was measured, seconds.
    pub seconds: f64,
    /// Arrivals a second.
    pub offered_per_s: f64,
    /// Done a second.
    pub acknowledged_per_s: f64,
    /// Everything acknowledged, warm-up too, by the time from the first arrival until all is drained.
    pub drained_per_s: Option<f64>,
    /// When nothing was left to be done, seconds since the first arrival could come.
    pub drained_s: Option<f64>,
    /// Done in the whole run.
    pub acknowledged: u64,
    /// Told in order that nothing is left, in the whole run.
    pub sold_out: u64,
    /// Walked away on purpose, in the whole run.
    pub walked_away: u64,
    /// Failures of measured arrivals by kind.
    pub errors: BTreeMap<String, u64>,
    /// Of measured arrivals.
    pub error_share: f64,
    /// From the scheduled moment until done.
    pub latency: Percentiles,
    /// From the scheduled moment until refused or told that nothing is left.
    pub refusals: Percentiles,
    /// Refusals for overload that did not say when to come again.
    pub without_retry_after: u64,
    /// Latencies of steps.
    pub steps: BTreeMap<String, Percentiles>,
    /// How late the generator sent: if this is not small, it is the generator that was measured.
    pub scheduling_lag: Percentiles,
    /// How long a read waited until it saw a write that had just been acknowledged.
    pub read_lag: Percentiles,
    /// What a request cost the generator, microseconds of a processor.
    pub generator_us_per_request: Option<f64>,
    /// The generator's share of all that was used of the processors.
    pub generator_share: Option<f64>,
    /// Seconds of a processor that each process used while it was measured.
    pub processor_s: BTreeMap<String, f64>,
    /// The same by what was acknowledged meanwhile, microseconds.
    pub processor_us_each: BTreeMap<String, f64>,
    /// Resident memory at most, MiB.
    pub resident_mib: BTreeMap<String, f64>,
    /// How busy all processors were together, of 1.
    pub busy: f64,
    /// Load average at the beginning of the measurement and at its end.
    pub load: [f64; 2],
    /// How old the oldest record was that read models had not folded, milliseconds: 99 % of the looks.
    pub lag_p99_ms: Option<f64>,
    /// By read model: from an event's append, by the broker's clock, to the commit of its rows.
    #[serde(default)]
    pub behind: BTreeMap<String, Behind>,
    /// Outbox at most.
    pub outbox_max: Option<f64>,
    /// Connections that had been closed while nobody used them.
    pub connections_made_again: u64,
}

/// A whole run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Scenario and settings, in words.
    pub what: String,
    /// Every setting.
    pub settings: BTreeMap<String, String>,
    /// What it ran on.
    pub machine: Machine,
    /// The measured seconds together.
    pub totals: Totals,
    /// Every second, warm-up first.
    pub seconds: Vec<Second>,
    /// Every look at the machine, until all was drained.
    pub samples: Vec<Sample>,
    /// All latencies of the measured seconds: microseconds and counts.
    pub histogram: Latencies,
    /// Why the numbers do not count; empty if they do.
    pub void: Vec<String>,
    /// What could spoil them.
    pub doubts: Vec<String>,
    /// What the scenario itself asks about.
    pub notes: Vec<String>,
    /// Examples of failures.
    pub examples: Vec<String>,
}

/// What read models showed in these seconds, and a moment longer: what came last in them is shown after them.
fn behind(samples: &[Sample], (from, to): (f64, f64)) -> BTreeMap<String, Behind> {
    let mut known = samples.iter().filter(|it| !it.behind.is_empty());
    let before = known.clone().rfind(|it| it.at_s <= from);
    let after = known.rfind(|it| it.at_s > from && it.at_s <= to + 1.5);
    let nothing = Buckets::new();
    let before = before.map_or(&nothing, |it| &it.behind);
    after.map(|it| behind::between(before, &it.behind)).unwrap_or_default()
}

/// The totals of the seconds from `from` to `to`.
pub fn totals(tally: &Tally, samples: &[Sample], (from, to): (usize, usize), drained_s: Option<f64>) -> Totals {
    let window = tally.between(from, to);
    let all = tally.between(0, tally.windows.len());
    let seconds = float(u64::try_from(to.saturating_sub(from)).unwrap_or(u64::MAX)).max(1.0);
    let measured: Vec<&Sample> =
        samples.iter().filter(|it| it.at_s > float(from as u64) && it.at_s <= float(to as u64) + 0.5).collect();
    let used = processor_s(&measured);
    let generator: f64 = used.iter().filter(|(name, _)| is_generator(name)).map(|(_, used)| used).sum();
    let everybody: f64 = used.values().sum();
    let each = |used: f64| used * 1e6 / float(window.acknowledged.max(1));
    let failed = window.failed();
    let most = |of: &dyn Fn(&Sample) -> Option<f64>| samples.iter().filter_map(of).max_by(f64::total_cmp);
    let mut lags: Vec<f64> = measured.iter().filter_map(|it| it.lag_ms).collect();
    lags.sort_by(f64::total_cmp);
    Totals {
        seconds,
        offered_per_s: float(window.offered) / seconds,
        acknowledged_per_s: float(window.acknowledged) / seconds,
        drained_per_s: drained_s.map(|drained| float(all.acknowledged) / drained.max(1e-3)),
        drained_s,
        acknowledged: all.acknowledged,
        sold_out: all.sold_out,
        walked_away: all.walked_away,
        error_share: float(failed) / float(window.offered.max(1)),
        errors: window.errors,
        latency: (&window.latency).into(),
        refusals: (&window.refusals).into(),
        without_retry_after: tally.without_retry_after,
        steps: tally.steps.iter().map(|(name, step)| (name.clone(), step.into())).collect(),
        scheduling_lag: (&tally.scheduling_lag).into(),
        read_lag: (&tally.read_lag).into(),
        generator_us_per_request: (tally.requests > 0).then(|| tally.processor_s * 1e6 / float(tally.requests)),
        generator_share: (everybody > 0.0).then(|| generator / everybody),
        processor_us_each: used.iter().map(|(name, used)| (name.clone(), each(*used))).collect(),
        processor_s: used,
        resident_mib: resident(samples),
        busy: measured.iter().map(|it| it.busy).sum::<f64>() / float(measured.len().max(1) as u64),
        load: [measured.first(), measured.last()].map(|it| it.map_or(0.0, |it| it.load)),
        lag_p99_ms: lags.get((lags.len() * 99 / 100).min(lags.len().saturating_sub(1))).copied(),
        behind: behind(samples, (float(from as u64), float(to as u64))),
        outbox_max: most(&|it| it.outbox),
        connections_made_again: tally.connections_made_again,
    }
}

/// Every second of a tally.
pub fn seconds(tally: &Tally) -> Vec<Second> {
    let one = |(second, window): (usize, &crate::tally::Window)| Second {
        second,
        offered: window.offered,
        acknowledged: window.acknowledged,
        sold_out: window.sold_out,
        errors: window.errors.clone(),
        latency: (&window.latency).into(),
        refusals: (&window.refusals).into(),
    };
    tally.windows.iter().enumerate().map(one).collect()
}

fn is_generator(name: &str) -> bool {
    name.starts_with("load-worker")
}

fn processor_s(samples: &[&Sample]) -> BTreeMap<String, f64> {
    let mut used = BTreeMap::new();
    for (name, share) in samples.iter().flat_map(|it| &it.processor) {
        *used.entry(name.clone()).or_insert(0.0) += share;
    }
    used
}

fn resident(samples: &[Sample]) -> BTreeMap<String, f64> {
    let mut most = BTreeMap::<String, f64>::new();
    for (name, mib) in samples.iter().flat_map(|it| &it.resident_mib) {
        let seen = most.entry(name.clone()).or_default();
        *seen = seen.max(*mib);
    }
    most
}

#[allow(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

impl Report {
    /// Whether the numbers count.
    pub fn counts(&self) -> bool {
        self.void.is_empty()
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to memory cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Totals { latency, .. } = &self.totals;
        let totals = &self.totals;
        let Machine { processor, cores, memory_mib, kernel } = &self.machine;
        writeln!(out, "{}\non {cores} × {processor}, {memory_mib} MiB, Linux {kernel}", self.what)?;
        let rate = |per_s: f64| format!("{per_s:.1}/s");
        writeln!(out, "  offered        {:>12} for {} s", rate(totals.offered_per_s), totals.seconds)?;
        writeln!(out, "  acknowledged   {:>12}", rate(totals.acknowledged_per_s))?;
        match (totals.drained_per_s, totals.drained_s) {
            (Some(per_s), Some(s)) => {
                writeln!(out, "  drained        {:>12}  everything at rest after {s:.1} s", rate(per_s))?
            }
            _ => writeln!(out, "  drained             unknown  it did not come to rest, or nobody told")?,
        }
        writeln!(out, "  latency        {}", shown(latency))?;
        if totals.refusals.count > 0 {
            writeln!(out, "  refused        {}", shown(&totals.refusals))?;
        }
        writeln!(
            out,
            "  sold out {}, walked away {}, failed {:.3} %",
            totals.sold_out,
            totals.walked_away,
            totals.error_share * 100.0
        )?;
        for (kind, count) in &totals.errors {
            writeln!(out, "    {kind}: {count}")?;
        }
        for (name, step) in &totals.steps {
            writeln!(out, "  {name:<19}{}", shown(step))?;
        }
        writeln!(out, "  read after 201 {}", shown(&totals.read_lag))?;
        let number = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.0}"));
        writeln!(
            out,
            "  projector lag p99 {} ms, outbox at most {}",
            number(totals.lag_p99_ms),
            number(totals.outbox_max)
        )?;
        for (model, Behind { events, p50_ms, p99_ms }) in &totals.behind {
            writeln!(
                out,
                "    {model:<19}append to commit p50 {p50_ms:>7.1}  p99 {p99_ms:>8.1} ms  ({events} events)"
            )?;
        }
        self.costs(out)?;
        for note in &self.notes {
            writeln!(out, "  {note}")?;
        }
        for doubt in &self.doubts {
            writeln!(out, "  doubtful: {doubt}")?;
        }
        for example in &self.examples {
            writeln!(out, "  for example: {example}")?;
        }
        match self.void.as_slice() {
            [] => writeln!(out, "  every law holds"),
            void => void.iter().try_for_each(|why| writeln!(out, "VOID: {why}")),
        }
    }

    fn costs(&self, out: &mut String) -> std::fmt::Result {
        let totals = &self.totals;
        writeln!(out, "  processor, microseconds by what was acknowledged, and memory at most")?;
        for (name, us) in &totals.processor_us_each {
            let mib = totals.resident_mib.get(name).copied().unwrap_or_default();
            let share = totals.processor_s.get(name).copied().unwrap_or_default() / totals.seconds.max(1e-3);
            writeln!(out, "    {name:<19}{us:>9.1} µs {:>6.1} % of one {mib:>8.0} MiB", share * 100.0)?;
        }
        let lag = &totals.scheduling_lag;
        writeln!(
            out,
            "  generator: sent late {}; {:.1} µs a request; {:.0} % of what was used; all processors {:.0} % busy; load average {:.1} → {:.1}",
            shown(lag),
            totals.generator_us_per_request.unwrap_or(f64::NAN),
            totals.generator_share.unwrap_or(f64::NAN) * 100.0,
            totals.busy * 100.0,
            totals.load[0],
            totals.load[1]
        )
    }
}

/// Percentiles in a line.
pub fn shown(all: &Percentiles) -> String {
    let Percentiles { count, p50_ms, p90_ms, p99_ms, p999_ms, max_ms } = all;
    if *count == 0 {
        return "none".to_owned();
    }
    let ms = |value: &Option<f64>| value.map_or_else(|| "?".to_owned(), |value| format!("{value:.2}"));
    let [p50, p90, p99, p999, max] = [p50_ms, p90_ms, p99_ms, p999_ms, max_ms].map(ms);
    format!("p50 {p50}  p90 {p90}  p99 {p99}  p99.9 {p999}  max {max} ms  ({count})")
}
