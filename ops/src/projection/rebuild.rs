//! `boxctl projection rebuild`.

use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use projectors::rebuild::{HandOver, News, Options, RebuildError, Rebuilt, rebuild};
use serde_json::{Value, json};

use super::bar::{Bar, grouped};
use super::verify::{faults, figures};
use super::{Office, RebuildArgs};

/// Fills, verifies and shows the next generation.
pub(super) async fn run(args: RebuildArgs) -> anyhow::Result<ExitCode> {
    let layout = Office::layout(&args.name)?;
    // A generation that nobody fills would keep the keys of who is forgotten meanwhile.
    let of_keys = !projectors::READS.iter().any(|(name, _)| *name == args.name);
    ensure!(!(of_keys && args.no_switch), "{} is rebuilt and shown at once: leave --no-switch out", args.name);
    let office = Office::of(args.at.namespace.as_deref())?;
    let job = office.job(layout, (args.batch, args.lanes)).await?;
    let options = Options { switch: !args.no_switch, verifying: args.verifying.verifying() };
    let mut bar = Bar::new(args.at.json);
    let rebuilt = rebuild(&job, options, &mut |news| tell(&mut bar, &args.name, news)).await;
    let rebuilt = match rebuilt {
        Ok(rebuilt) => rebuilt,
        Err(error) => return failed(&mut bar, error),
    };
    if let Some(served) = rebuilt.served {
        let what = json!({
            "projection": args.name, "before": served.before.number, "now": served.now.number,
            "version": served.now.version
        });
        office.done("rebuild", what).await?;
    }
    end(&mut bar, &args.name, &rebuilt);
    Ok(ExitCode::SUCCESS)
}

/// Says what happens.
pub(super) fn tell(bar: &mut Bar, name: &str, news: News<'_>) {
    match news {
        News::Begun(generation, progress) => {
            let (done, total) = (progress.done(), progress.total());
            let there = match done {
                0 => format!("{} records to fold", grouped(total.cast_unsigned())),
                done => format!(
                    "goes on: {} of {} records are in it",
                    grouped(done.cast_unsigned()),
                    grouped(total.cast_unsigned())
                ),
            };
            let step = json!({"step": "begun", "projection": name, "generation": generation.number, "version": generation.version, "done": done, "total": total});
            bar.say(&format!("{name}: {generation}; {there}"), step);
        }
        News::Filled(progress) if !progress.of_keys => {
            bar.at("fill", progress.done().cast_unsigned(), progress.total().cast_unsigned());
        }
        News::Filled(_) => {}
        News::Indexing => bar.say("it has caught up; building its indexes", json!({"step": "indexing"})),
        News::Verifying(done, total) => bar.at("verify", done, total),
        News::Verified(verified) => {
            let mut step = figures(verified);
            step["step"] = json!("verified");
            bar.say(&super::verify::summary(name, verified), step);
        }
        News::Switched(served) => bar.say(
            &format!(
                "readers see {} now; {} is {}",
                served.now,
                served.before,
                if served.kept { "kept" } else { "deleted" }
            ),
            json!({"step": "switched", "before": served.before.number, "now": served.now.number}),
        ),
        News::HandedOver(to) => {
            let (text, word) = handed(to, name);
            bar.say(&text, json!({"step": "handed_over", "to": word}));
        }
    }
}

fn handed(to: HandOver, name: &str) -> (String, &'static str) {
    match to {
        HandOver::Taken => ("the projectors fill it from now on".to_owned(), "projectors"),
        HandOver::Paused => {
            (format!("it is paused: nobody fills it until `boxctl projection resume {name}`"), "nobody_paused")
        }
        HandOver::Nobody => ("no projector fills this read model: start one".to_owned(), "nobody"),
        HandOver::Late => {
            ("the projectors have not taken all of it over yet; see `boxctl projection list`".to_owned(), "some")
        }
    }
}

/// What readers see is what they saw.
pub(super) fn failed(bar: &mut Bar, error: RebuildError) -> anyhow::Result<ExitCode> {
    match error {
        RebuildError::Wrong { name, generation, verified } => {
            let text = format!(
                "{generation} of {name} is not what the log says; readers go on seeing what they saw\n{}\
                 Look why, then `boxctl projection drop {name} {}` and rebuild.",
                faults(&verified),
                generation.number
            );
            bar.say(&text, json!({"step": "wrong", "generation": generation.number, "faults": verified.faults.first}));
            Ok(ExitCode::FAILURE)
        }
        error @ (RebuildError::NotSwitched(_) | RebuildError::Refused(_)) => {
            eprintln!("boxctl: {:#}", anyhow::Error::from(error));
            Ok(ExitCode::FAILURE)
        }
        error => Err(error).context("nothing was shown"),
    }
}

fn end(bar: &mut Bar, name: &str, rebuilt: &Rebuilt) {
    let Rebuilt { generation, records: (first, last), filling, indexing, verifying, served, .. } = rebuilt;
    let records = (last - first).max(0).cast_unsigned();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a rate")]
    let rate = (records as f64 / filling.as_secs_f64().max(0.001)) as u64;
    let memory = peak_memory_bytes();
    let shown = match served {
        Some(_) => "",
        None => "; readers still see what they saw: rebuild without --no-switch shows it",
    };
    let text = format!(
        "{name}: {generation} took in {} records in {:.1} s ({}/s), indexes {:.1} s, verifying {:.1} s, at most {} MB of memory{shown}",
        grouped(records),
        filling.as_secs_f64(),
        grouped(rate),
        indexing.as_secs_f64(),
        verifying.as_secs_f64(),
        memory.unwrap_or(0) >> 20,
    );
    let step: Value = json!({
        "step": "done", "projection": name, "generation": generation.number, "records": records,
        "filling_s": filling.as_secs_f64(), "per_second": rate, "indexing_s": indexing.as_secs_f64(),
        "verifying_s": verifying.as_secs_f64(), "peak_memory_bytes": memory, "switched": served.is_some()
    });
    bar.say(&text, step);
}

/// The most that this process ever had in memory.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kb: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kb << 10)
}
