//! `boxctl projection verify`.

use std::process::ExitCode;

use anyhow::Context as _;
use projectors::verify::{TableVerified, Verified, verify};
use serde_json::{Value, json};

use super::bar::{Bar, grouped};
use super::place::known;
use super::{Office, VerifyArgs};
use crate::stack;

/// Holds one generation against the log.
pub(super) async fn run(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let layout = Office::layout(&args.name)?;
    let office = Office::of(args.at.namespace.as_deref())?;
    let standing = office.standing(&args.name).await?;
    let generation = match args.generation {
        None => standing.live,
        Some(number) => {
            let known = standing.numbered(number);
            known.with_context(|| format!("{} has no generation {number}", args.name))?.generation
        }
    };
    known(&layout, generation.version)?;
    let job = office.job(layout, (1, 1)).await?;
    let mut bar = Bar::new(args.at.json);
    let mut told = |done, total| bar.at("verify", done, total);
    let Some(verified) = verify(&job, generation, args.verifying.verifying(), &mut told).await? else {
        let text = format!(
            "{} holds what a compacted topic says at its end, no fold of events: there is nothing to compare it with. \
             `boxctl projection rebuild {}` reads the topic anew.",
            args.name, args.name
        );
        bar.say(&text, json!({"projection": args.name, "verified": null}));
        return Ok(ExitCode::SUCCESS);
    };
    match args.at.json {
        true => stack::print(&format!("{}\n", figures(&verified)))?,
        false => {
            bar.say(&summary(&args.name, &verified), Value::Null);
            stack::print(&(table(&verified) + &faults(&verified)))?;
        }
    }
    Ok(if verified.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was compared, in one line.
pub(super) fn summary(name: &str, verified: &Verified) -> String {
    let Verified { generation, tables, passes, faults, .. } = verified;
    let readings = if *passes == 1 { "one reading".to_owned() } else { format!("{passes} readings") };
    let waiting = match verified.waiting {
        0 => String::new(),
        count => format!(", {} events wait in parked keys", grouped(count)),
    };
    let verdict = match faults.count {
        0 => "every row is what the log says".to_owned(),
        count => format!("{} differences", grouped(count)),
    };
    format!(
        "{name}: {generation}, {} rows of {} tables against {} records of the log in {readings}{waiting}: {verdict}",
        grouped(verified.rows()),
        tables.len(),
        grouped(verified.records().cast_unsigned()),
    )
}

/// Rows and checksums of every table, by the partition that a row's key falls into.
fn table(verified: &Verified) -> String {
    let mut text =
        format!("{:<18} {:>9}  {:>12}  {:>12}  {:<16}\n", "table", "partition", "rows", "of the log", "checksum");
    for TableVerified { table, partitions } in &verified.tables {
        for (number, it) in partitions.iter().enumerate() {
            let verdict = if it.agree() { "" } else { "  differs" };
            text += &format!(
                "{table:<18} {number:>9}  {:>12}  {:>12}  {:016x}{verdict}\n",
                it.rows, it.expected_rows, it.checksum
            );
        }
    }
    text
}

/// The first differences.
pub(super) fn faults(verified: &Verified) -> String {
    let faults = &verified.faults;
    let mut text: String = faults.first.iter().map(|fault| format!("  {fault}\n")).collect();
    let more = faults.count - faults.first.len() as u64;
    if more > 0 {
        text += &format!("  and {} more\n", grouped(more));
    }
    text
}

/// Everything as JSON.
pub(super) fn figures(verified: &Verified) -> Value {
    let tables = verified.tables.iter().map(|it| {
        let partitions = it.partitions.iter().map(|sums| {
            json!({
                "rows": sums.rows, "rows_of_the_log": sums.expected_rows,
                "checksum": format!("{:016x}", sums.checksum),
                "checksum_of_the_log": format!("{:016x}", sums.expected_checksum)
            })
        });
        json!({"table": it.table, "rows": it.rows(), "partitions": partitions.collect::<Vec<_>>()})
    });
    json!({
        "generation": verified.generation.number, "version": verified.generation.version,
        "records": verified.records(), "rows": verified.rows(), "readings": verified.passes, "holds": verified.holds(),
        "waiting": verified.waiting, "differences": verified.faults.count, "first_differences": verified.faults.first,
        "tables": tables.collect::<Vec<_>>()
    })
}
