//! Pictures of a run, as SVG files.

use std::path::Path;

use anyhow::Context as _;
use load::plot::{self, Line, Scale, Words};
use load::report::{Report, Second};

/// Draws all of them into a folder.
///
/// # Errors
/// A file cannot be written.
pub fn draw(report: &Report, folder: &Path, name: &str) -> anyhow::Result<()> {
    write(folder, &format!("{name}-latency.svg"), &latency(report))?;
    write(folder, &format!("{name}-rate.svg"), &rate(report))?;
    write(folder, &format!("{name}-percentiles.svg"), &percentiles(report))?;
    write(folder, &format!("{name}-behind.svg"), &behind(report))
}

/// Writes a picture.
///
/// # Errors
/// The file cannot be written.
pub fn write(folder: &Path, name: &str, svg: &str) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let path = folder.join(name);
    std::fs::write(&path, svg).with_context(|| format!("write {}", path.display()))
}

fn over_time(name: &str, report: &Report, of: impl Fn(&Second) -> f64) -> Line {
    let at = |second: &Second| f64::from(u32::try_from(second.second).unwrap_or(u32::MAX));
    Line { name: name.to_owned(), points: report.seconds.iter().map(|it| (at(it), of(it))).collect() }
}

fn latency(report: &Report) -> String {
    let of = |value: Option<f64>| value.unwrap_or(f64::NAN);
    let lines = [
        over_time("p50", report, |it| of(it.latency.p50_ms)),
        over_time("p99", report, |it| of(it.latency.p99_ms)),
        over_time("p99.9", report, |it| of(it.latency.p999_ms)),
        over_time("refusals p99", report, |it| of(it.refusals.p99_ms)),
    ];
    let title = format!("Latency, {}", report.what);
    plot::lines(&Words { title: &title, x: "seconds, by when it was due", y: "ms" }, &lines, Scale::Logarithmic)
}

#[allow(clippy::cast_precision_loss, reason = "counts of a second")]
fn rate(report: &Report) -> String {
    let lines = [
        over_time("offered", report, |it| it.offered as f64),
        over_time("acknowledged", report, |it| it.acknowledged as f64),
        over_time("failed", report, |it| it.errors.values().sum::<u64>() as f64),
        over_time("sold out", report, |it| it.sold_out as f64),
    ];
    let title = format!("Rate, {}", report.what);
    plot::lines(&Words { title: &title, x: "seconds", y: "a second" }, &lines, Scale::Linear)
}

fn percentiles(report: &Report) -> String {
    let tenths = (0..100).map(f64::from);
    let nines = [99.2, 99.5, 99.7, 99.9, 99.95, 99.97, 99.99];
    let points = tenths.chain([99.0]).chain(nines).map(|it| (it, report.histogram.percentile_ms(it))).collect();
    let title = format!("Latency by percentile, {}", report.what);
    let lines = [Line { name: "acknowledged".to_owned(), points }];
    plot::percentiles(&Words { title: &title, x: "of all", y: "ms" }, &lines)
}

fn behind(report: &Report) -> String {
    let line = |name: &str, of: &dyn Fn(&load::monitor::Sample) -> Option<f64>| Line {
        name: name.to_owned(),
        points: report.samples.iter().map(|it| (it.at_s.max(0.0), of(it).unwrap_or(f64::NAN))).collect(),
    };
    let lines = [
        line("outbox", &|it| it.outbox),
        line("projector lag, records", &|it| it.lag_records),
        line("projector lag, ms", &|it| it.lag_ms),
    ];
    let title = format!("What is left to be done, {}", report.what);
    plot::lines(&Words { title: &title, x: "seconds", y: "events, records, ms" }, &lines, Scale::Linear)
}
