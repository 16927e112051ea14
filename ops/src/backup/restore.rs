//! `boxctl restore --from DIR`: brings a log back to where there is none.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use backup::manifest::Folder;
use backup::read::Backup;
use backup::restore::{Plan, Progress, Target, carry_out, missing_master_keys, plan};
use clap::Args;
use event_log::kafka::KafkaSettings;
use event_log::topics::Layout;
use jiff::Timestamp;
use local_stack::{StackConfig, find_root};
use schemas::Registry;
use schemas::sealed::{MasterKey, MasterKeys};
use serde_json::json;
use service_kit::config::{Env, Noted};
use service_kit::keys::Secret32;
use service_kit::{clock, env};

use super::{Bar, read_models};
use crate::audit::{self, Deed};
use crate::init::{Place, Replication};
use crate::local::{self, LocalSecrets};
use crate::{ask, stack};

/// What to bring back. Where: BOXOFFICE_KAFKA and BOXOFFICE_REGISTRY, or the local stack, which is started.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup's folder.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Bring everything back as it was at an earlier moment, such as 2026-11-22T08:00:00Z, by the brokers' clocks.
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Take the wrapped keys of persons from this newer backup of the same log, so that whoever was forgotten stays so.
    #[arg(long, value_name = "DIR")]
    keys_from: Option<PathBuf>,
    /// How many brokers keep each record.
    #[arg(long, value_enum, default_value_t = Replication::Local)]
    replication: Replication,
    /// The master keys are not known here: the services have them. Without this they are tried before anything is done.
    #[arg(long)]
    master_keys_elsewhere: bool,
    /// Drop the read models that Postgres still has, whatever they hold; projectors fill them again.
    #[arg(long)]
    drop_read_models: bool,
    /// Why, for the record of operators' actions.
    #[arg(long)]
    why: Option<String>,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// Does it; ends with 2 if nothing was done because nobody agreed, or master keys are missing.
///
/// # Errors
/// The backup is damaged, there is a log already, or something does not answer or refuses.
pub async fn run(args: RestoreArgs) -> anyhow::Result<ExitCode> {
    let place = Place::from_environment()?;
    let backup = opened(&args)?;
    if !args.master_keys_elsewhere && !has_master_keys(&backup)? {
        return Ok(ExitCode::from(ask::REFUSED));
    }
    let (kafka, registry) = place.servers().await?;
    let layout = layout(args.replication, backup.manifest.partitions);
    let settings = KafkaSettings::new(&kafka, &place.namespace, "boxctl-restore");
    let target = Target { settings, registry: Registry::new(&registry)?, layout };
    let plan = plan(&backup, &target, args.until).await?;
    if !args.yes && !ask::agreed(&question(&args, &backup, &plan, &kafka), "restore")? {
        return Ok(ExitCode::from(ask::REFUSED));
    }
    let took = restore(&backup, &target, &plan, args.why.clone()).await?;
    let postgres = postgres(&place)?;
    let models = match &postgres {
        Some(postgres) => clean(postgres, &place.namespace, &plan, args.drop_read_models).await?,
        None => "Postgres: not asked (BOXOFFICE_POSTGRES is not set); drop read models of before.".to_owned(),
    };
    let (records, keys, seconds) = (plan.records, backup.manifest.keys.records, took.as_secs_f64());
    stack::print(&match args.json {
        true => {
            let restored = json!({
                "records": records, "keys": keys, "left_out": plan.left_out, "seconds": seconds,
                "read_models": models, "next": next(&plan),
            });
            format!("{restored}\n")
        }
        false => format!(
            "{records} records and {keys} keys are back, compared one by one, in {seconds:.1} s\n{models}\n{}",
            next(&plan)
        ),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Brings it back, and records that it was.
///
/// # Errors
/// As for [`carry_out`].
pub async fn restore(backup: &Backup, target: &Target, plan: &Plan, why: Option<String>) -> anyhow::Result<Duration> {
    let (since, bar) = (clock::monotonic(), Bar::new());
    let tell = |progress| match progress {
        Progress::Writing(done, total) => bar.tell("writing", done, total),
        Progress::Comparing(done, total) => bar.tell("comparing", done, total),
    };
    carry_out(backup, target, plan, &tell).await?;
    let took = since.elapsed();
    let what = json!({
        "records": plan.records, "keys": backup.manifest.keys.records, "left_out": plan.left_out,
        "backup_of": backup.manifest.updated_at,
    });
    audit::record(&target.settings, Deed { command: "restore".to_owned(), what, why }).await?;
    Ok(took)
}

fn opened(args: &RestoreArgs) -> anyhow::Result<Backup> {
    let backup = Backup::open(Folder::new(&args.from))?;
    match &args.keys_from {
        Some(newer) => backup.with_keys_of(Folder::new(newer)),
        None => Ok(backup),
    }
}

fn layout(replication: Replication, partitions: u32) -> Layout {
    match replication {
        Replication::Local => Layout::local(partitions),
        Replication::Production => Layout::production(partitions),
    }
}

/// Says which are missing.
fn has_master_keys(backup: &Backup) -> anyhow::Result<bool> {
    if backup.manifest.master_keys.is_empty() {
        return Ok(true);
    }
    let given = master_key()?.map(|secret| MasterKeys::new(MasterKey::new(*secret.expose()), []));
    let missing = match &given {
        Some(given) => missing_master_keys(backup, given)?,
        None => backup.manifest.master_keys.clone(),
    };
    for (id, keys) in &missing {
        stack::say(&format!("{keys} keys of persons are wrapped by the master key {id}, which is not given"));
    }
    if !missing.is_empty() {
        stack::say(
            "Nothing was done: set BOXOFFICE_MASTER_KEY to that of the services, or say --master-keys-elsewhere.",
        );
    }
    Ok(missing.is_empty())
}

/// The one of the environment, or of `boxctl dev`.
fn master_key() -> anyhow::Result<Option<Secret32>> {
    let read = |env: &mut Env| -> Result<Option<Secret32>, Noted> {
        env.optional("BOXOFFICE_MASTER_KEY", env::secret32(), "Wraps the keys of personal data.")
    };
    if let Some(key) = Env::from_process().read(read)? {
        return Ok(Some(key));
    }
    let Ok(root) = find_root() else { return Ok(None) };
    let folder = local::folder(&root);
    if !folder.join("secrets.json").exists() {
        return Ok(None);
    }
    Ok(env::hex32(&LocalSecrets::of(&folder)?.master_key).map(Secret32::new))
}

/// Where the read models are: BOXOFFICE_POSTGRES, or the local stack if that is what is restored.
fn postgres(place: &Place) -> anyhow::Result<Option<String>> {
    let read = |env: &mut Env| -> Result<Option<String>, Noted> {
        env.optional("BOXOFFICE_POSTGRES", env::url(), "Where the read models are.")
    };
    if let Some(url) = Env::from_process().read(read)? {
        return Ok(Some(url));
    }
    if !place.is_local() {
        return Ok(None);
    }
    Ok(local_stack::endpoints(&StackConfig::local(&find_root()?))?.map(|endpoints| endpoints.postgres))
}

fn question(args: &RestoreArgs, backup: &Backup, plan: &Plan, kafka: &str) -> String {
    let Plan { records, left_out, schemas, resumed, .. } = plan;
    let moment = args.until.or(backup.manifest.moment.at).map_or_else(String::new, |at| format!("{at:.3}"));
    let verb = if *resumed { "goes on bringing" } else { "brings" };
    let drop = if args.drop_read_models { " All read models in Postgres are dropped." } else { "" };
    format!(
        "This {verb} back {records} records and {} keys to Kafka at {kafka}, as of {moment}, and {} schemas to the \
         registry. {left_out} records of the backup are later and are left out.{drop}",
        backup.manifest.keys.records,
        schemas.len()
    )
}

/// Sees to the read models that Postgres has, and says what about them.
async fn clean(postgres: &str, namespace: &str, plan: &Plan, drop: bool) -> anyhow::Result<String> {
    let (there, beyond) = read_models::beyond(postgres, namespace, &plan.ends).await?;
    Ok(match (there, drop) {
        (0, _) => "Postgres: no read models; projectors make them.".to_owned(),
        (_, true) => {
            read_models::drop_all(postgres, namespace).await?;
            format!("Postgres: {there} schemas of before were dropped; projectors make them anew.")
        }
        (_, false) if beyond.is_empty() => format!(
            "Postgres: {there} schemas of before are still there. Drop them, or projectors go on from what they hold:\n  \
             keys of persons were given other offsets. `boxctl restore` does it with --drop-read-models."
        ),
        (_, false) => format!(
            "Postgres: {} read models have read further than the log goes now, and must be dropped before any projector\n  \
             starts: {}",
            beyond.len(),
            beyond.join(", ")
        ),
    })
}

fn next(plan: &Plan) -> String {
    let snapshots = match plan.left_out {
        0 => {
            "remove the snapshots of before (BOXOFFICE_SNAPSHOT_DIR of every command-api), unless they are on the same disk as ever"
        }
        _ => {
            "remove the snapshots of before (the folder of every command-api): they know of records that are not there"
        }
    };
    format!(
        "Next: {snapshots};\nstart command-api, projectors and query-api; read models fill by themselves;\nthen `boxctl check` \
         and, if anything was lost, `boxctl reconcile` with each provider's statement.\n"
    )
}
