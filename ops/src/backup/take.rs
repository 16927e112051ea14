//! `boxctl backup --to DIR`: brings a backup up to date, once or for ever.

use std::convert::Infallible;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use backup::manifest::Folder;
use backup::take::{Round, Taking};
use clap::Args;
use event_log::kafka::KafkaSettings;
use event_log::topics::{self, moving};
use service_kit::clock;

use super::show::moment_of;
use crate::init::Place;
use crate::{dev, stack};

/// After the first round others follow until nothing was new, so that what it restores is hardly older than its end.
const MORE: u32 = 5;
/// Between two of these: the brokers' clocks have moved on.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a backup that follows looks whether somebody is to be forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3600);
/// How often it says that it is still there.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// After an error.
const RETRY: Duration = Duration::from_secs(5);

/// Where to, and for how long.
#[derive(Debug, Args)]
pub struct TakeArgs {
    /// The folder of the backup: made now, or brought up to date. One that was interrupted goes on where it was.
    #[arg(long, value_name = "DIR", required = true)]
    to: Option<PathBuf>,
    /// Go on until Ctrl-C, and over outages: what is lost when everything is destroyed is what came after the last round.
    #[arg(long)]
    follow: bool,
    /// With --follow: from one round to the next.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(20..=3_600_000))]
    every_ms: u64,
    /// Without --follow: one JSON object of what was done.
    #[arg(long, conflicts_with = "follow")]
    json: bool,
}

/// Takes it.
///
/// # Errors
/// Kafka or the disk does not answer, the folder holds something else, or the log is another one.
pub async fn run(args: TakeArgs) -> anyhow::Result<ExitCode> {
    let place = Place::from_environment()?;
    let (kafka, _) = place.servers().await?;
    let settings = KafkaSettings::new(&kafka, &place.namespace, "boxctl-backup");
    let folder = Folder::new(args.to.context("say where to: --to DIR")?);
    let mut taking = open(&settings, &folder).await?;
    if !args.follow {
        let since = clock::monotonic();
        let done = tokio::task::block_in_place(|| catch_up(&mut taking))?;
        return report(&taking, done, since.elapsed(), args.json);
    }
    stack::say(&format!("following into {}; Ctrl-C ends it", folder.path().display()));
    let every = Duration::from_millis(args.every_ms);
    tokio::select! {
        never = follow(&settings, &folder, taking, every) => match never {},
        asked = dev::stop_asked() => asked?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens a backup of the log as it is now.
///
/// # Errors
/// As for [`run`].
pub async fn open(settings: &KafkaSettings, folder: &Folder) -> anyhow::Result<Taking> {
    let partitions = topics::partitions(settings).await.context("look at the topics")?;
    let Some(partitions) = partitions else { bail!("there is no topic to back up: run `boxctl init`") };
    let set = moving::set(settings, partitions).await.context("read what the topics are set to")?;
    tokio::task::block_in_place(|| Taking::open(settings, folder.clone(), partitions, set))
}

/// Rounds until nothing was new, or almost; and whoever is to be forgotten is. Blocks.
///
/// # Errors
/// As for [`run`].
pub fn catch_up(taking: &mut Taking) -> anyhow::Result<Round> {
    let mut all = taking.round()?;
    for _ in 0..MORE {
        if all.quiet {
            break;
        }
        sleep(PAUSE);
        let Round { records, keys, bytes, quiet } = taking.round()?;
        all = Round { records: all.records + records, keys: all.keys + keys, bytes: all.bytes + bytes, quiet };
    }
    if taking.manifest().keys.must_be_rewritten() {
        taking.forget()?;
    }
    Ok(all)
}

fn report(taking: &Taking, done: Round, took: Duration, json: bool) -> anyhow::Result<ExitCode> {
    let manifest = taking.manifest();
    let Round { records, keys, bytes, .. } = done;
    let text = match json {
        true => {
            let told = serde_json::json!({
                "new_records": records, "new_keys": keys, "new_bytes": bytes, "seconds": took.as_secs_f64(),
                "records": manifest.records(), "bytes": manifest.bytes(), "restores_to": manifest.moment.at,
                "quiet": manifest.moment.quiet,
            });
            format!("{told}\n")
        }
        false => format!(
            "{records} records and {keys} keys were new: {bytes} bytes in {:.1} s; {} records in all\nrestores {}\n",
            took.as_secs_f64(),
            manifest.records(),
            moment_of(manifest.moment)
        ),
    };
    stack::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Rounds without end.
pub async fn follow(settings: &KafkaSettings, folder: &Folder, first: Taking, every: Duration) -> Infallible {
    let mut taking = Some(first);
    let (mut looked, mut told) = (None::<Instant>, clock::monotonic());
    loop {
        let began = clock::monotonic();
        let done = async {
            let mut open = match taking.take() {
                Some(taking) => taking,
                None => self::open(settings, folder).await?,
            };
            tokio::task::block_in_place(|| {
                let round = open.round()?;
                if looked.is_none_or(|at| at.elapsed() >= FORGET_EVERY) {
                    looked = Some(clock::monotonic());
                    if open.manifest().keys.must_be_rewritten() {
                        open.forget()?;
                    }
                }
                anyhow::Ok((open, round))
            })
        };
        match done.await {
            Ok((open, _)) => {
                if told.elapsed() >= TELL_EVERY {
                    told = clock::monotonic();
                    let manifest = open.manifest();
                    let (records, moment) = (manifest.records(), moment_of(manifest.moment));
                    stack::say(&format!("{records} records; restores {moment}"));
                }
                taking = Some(open);
                tokio::time::sleep(every.saturating_sub(began.elapsed())).await;
            }
            // What was written is kept; the manifest says how far it counts.
            Err(error) => {
                stack::say(&format!("backup: {error:#}; trying again"));
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
