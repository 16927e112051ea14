//! A box office that was stopped to be operated on, and what it does when it is started again.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use domain::root::Context;
use event_log::kafka::KafkaSettings;
use event_log::log::Partition;
use event_log::partition::partition_of;
use ops::dev::{DevOptions, Running};
use ops::topology::{Counts, Plan, Process};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};
use system_tests::purchase::{OnSale, id};

use super::knife::Knife;
use crate::fault::Place;
use crate::load::{Load, Shows};
use crate::run::{Alone, check, installation};

/// Writes before it is stopped.
const BEFORE: u64 = 150;
/// Whoever refuses says so within so long.
const REFUSES: Duration = Duration::from_secs(60);
/// Nothing is skipped later, either.
const LATER: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(200);

/// A box office that is stopped.
pub(super) struct Patient {
    plan: Plan,
    shows: Shows,
    knife: Knife,
}

/// It runs again.
pub(super) struct Started<'a> {
    patient: &'a Patient,
    running: Running,
    http: reqwest::Client,
    /// How far each log and read model had come before.
    ends: Vec<(Partition, i64)>,
    checkpoints: Vec<Checkpoint>,
    /// How long each process's own log was before.
    logs: Vec<(Process, usize)>,
}

/// Of a read model: its name, the context, the partition, and where it goes on.
type Checkpoint = (String, String, i32, i64);

impl Patient {
    /// Sells, comes to rest, and is stopped in order.
    pub(super) async fn stopped(alone: &Alone) -> anyhow::Result<Self> {
        let place = Place::shared().await?.with_counts(Counts::ONE);
        let shop = installation(&place, alone.folder()).await;
        let load = Load::start(&shop, &alone.folder().join("history.jsonl")).await?;
        load.busy(BEFORE).await?;
        let (shows, counts) = (load.shows().clone(), Arc::clone(load.shared_counts()));
        let ended = load.end().await;
        let (report, _) = check(&shop, &ended).await?;
        ensure!(report.holds() && ended.wrong.is_empty(), "before: {:?}\n{}", ended.wrong, report.text());
        alone.note(|run| run.acknowledged = counts.now().acknowledged);
        shop.running.stop().await;
        let plan = shop.running.plan().clone();
        drop(shop);
        let settings = KafkaSettings::new(&plan.endpoints.kafka, &plan.namespace, "surgery");
        let knife = Knife { settings, registry: plan.endpoints.registry.clone(), partitions: plan.partitions };
        Ok(Self { plan, shows, knife })
    }

    /// Every partition of a topic.
    pub(super) fn partitions(&self, context: Context) -> Vec<Partition> {
        (0..self.plan.partitions).map(|number| Partition { context, number }).collect()
    }

    /// Cuts the last records of the longest partition of stock off; says which that is.
    pub(super) async fn lose(&self, count: usize) -> anyhow::Result<Partition> {
        let mut all = self.knife.copy(Context::Inventory).await?;
        let (number, records) =
            (0..).zip(&mut all).max_by_key(|(_, records)| records.len()).context("there are some")?;
        ensure!(records.len() > 2 * count, "there is not enough to cut");
        records.truncate(records.len() - count);
        self.knife.recreate(Context::Inventory).await?;
        self.knife.restore(Context::Inventory, all).await?;
        Ok(Partition { context: Context::Inventory, number })
    }

    /// Makes the topic of stock anew.
    pub(super) async fn recreate(&self) -> anyhow::Result<()> {
        self.knife.recreate(Context::Inventory).await
    }

    /// Empties every read model.
    pub(super) async fn wipe_read_models(&self) -> anyhow::Result<()> {
        let pool = self.pool().await?;
        for layout in projectors::LAYOUTS.iter() {
            projectors::wipe(&pool, &self.plan.namespace, layout.name).await?;
        }
        Ok(())
    }

    /// Sets a checkpoint of the orders' read model behind the end of its log; says of which partition.
    pub(super) async fn advance_checkpoint(&self, by: usize) -> anyhow::Result<Partition> {
        let at = Partition { context: Context::Inventory, number: 0 };
        let names = projectors::Names::of(&self.plan.namespace)?;
        let all = projectors::generations::overview(&self.pool().await?, &names).await?;
        let live = all.get("orders").context("there is one")?.live;
        let sql = format!(
            "update {}.checkpoints set next_offset = next_offset + $1 where context = $2 and partition = $3",
            names.generation("orders", live)
        );
        let context = projectors::context_name(at.context);
        let query = sqlx::query(AssertSqlSafe(sql)).bind(i64::try_from(by)?).bind(context).bind(0_i32);
        let moved = query.execute(&self.pool().await?).await?;
        ensure!(moved.rows_affected() == 1, "there is no such checkpoint");
        Ok(at)
    }

    /// Starts everything again, as it was.
    pub(super) async fn started(&self) -> anyhow::Result<Started<'_>> {
        let mut ends = Vec::new();
        for at in self.partitions(Context::Inventory) {
            ends.push((at, self.knife.end(at).await?));
        }
        let checkpoints = self.checkpoints().await?;
        let length = |process| fs::read(self.plan.log(process)).map_or(0, |bytes| bytes.len());
        let logs = Process::ALL.map(|process| (process, length(process))).to_vec();
        let Plan { endpoints, namespace, folder, overrides, counts, .. } = self.plan.clone();
        let say = Arc::new(|line: &str| eprintln!("{line}"));
        let options = DevOptions { overrides, counts, say, ..DevOptions::new(endpoints, namespace, folder) };
        let running = ops::dev::start(options).await?;
        let http = crate::client::Caller::connections()?;
        Ok(Started { patient: self, running, http, ends, checkpoints, logs })
    }

    /// Takes away what it leaves.
    pub(super) async fn forget(self, alone: &Alone) {
        alone.note(|run| run.notes.push("refused, named and skipped nothing".to_owned()));
        system_tests::cleanup::forget(&self.plan.endpoints, &self.plan.namespace).await;
        drop(fs::remove_dir_all(&self.plan.folder));
    }

    async fn pool(&self) -> anyhow::Result<PgPool> {
        Ok(PgPool::connect(&self.plan.endpoints.postgres).await?)
    }

    async fn checkpoints(&self) -> anyhow::Result<Vec<Checkpoint>> {
        let views = projectors::Names::of(&self.plan.namespace)?.views();
        let sql =
            format!("select projection, context, partition, next_offset from {views}.checkpoints order by 1, 2, 3");
        Ok(sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&self.pool().await?).await?)
    }
}

impl Started<'_> {
    /// Waits until a process has refused all of these by name; and it says that it is not ready.
    pub(super) async fn refuses(&self, process: Process, all: &[Partition]) -> anyhow::Result<()> {
        let mut refused = Vec::new();
        for _ in 0..REFUSES.as_millis() / LOOK.as_millis() {
            refused = self.named(process, all);
            if refused.len() == all.len() {
                ensure!(!self.is_ready(process).await, "{process:?} refuses {all:?} and calls itself ready");
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        let log = self.patient.plan.log(process);
        bail!("{process:?} refuses {refused:?} of {all:?}; its log is {}", log.display())
    }

    /// Waits until a process has refused one of these by name; says which.
    pub(super) async fn refused(&self, process: Process, all: &[Partition]) -> anyhow::Result<Vec<Partition>> {
        for _ in 0..REFUSES.as_millis() / LOOK.as_millis() {
            let refused = self.named(process, all);
            if !refused.is_empty() {
                return Ok(refused);
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(Vec::new())
    }

    /// Which of these a process has refused in its own log since it was started.
    fn named(&self, process: Process, all: &[Partition]) -> Vec<Partition> {
        let before = self.logs.iter().find(|(of, _)| *of == process).map_or(0, |(_, length)| *length);
        let bytes = fs::read(self.patient.plan.log(process)).unwrap_or_default();
        let text = String::from_utf8_lossy(bytes.get(before..).unwrap_or_default()).into_owned();
        let tells = |line: &str, at: &Partition| {
            let refuses = line.contains("is broken and not served") || line.contains("cannot go on in");
            refuses && line.contains(&at.to_string())
        };
        all.iter().filter(|at| text.lines().any(|line| tells(line, at))).copied().collect()
    }

    /// Waits until a process is ready.
    pub(super) async fn ready(&self, process: Process) -> anyhow::Result<()> {
        for _ in 0..REFUSES.as_millis() / LOOK.as_millis() {
            if self.is_ready(process).await {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("{process:?} does not get ready")
    }

    async fn is_ready(&self, process: Process) -> bool {
        let url = format!("{}{}", self.running.url(process), process.ready_path());
        self.http.get(url).send().await.is_ok_and(|answer| answer.status().is_success())
    }

    /// Nothing was appended to these, and no read model has read on in them.
    pub(super) async fn skips_nothing(&self, all: &[Partition]) -> anyhow::Result<()> {
        tokio::time::sleep(LATER).await;
        self.appends_nothing(all).await?;
        self.reads_nothing(all).await
    }

    /// Nothing was appended to these.
    pub(super) async fn appends_nothing(&self, all: &[Partition]) -> anyhow::Result<()> {
        for (at, before) in self.ends.iter().filter(|(at, _)| all.contains(at)) {
            let end = self.patient.knife.end(*at).await?;
            ensure!(end == *before, "{at} ended at {before} and ends at {end} now: somebody has written to it");
        }
        Ok(())
    }

    /// No read model has read on in these.
    pub(super) async fn reads_nothing(&self, all: &[Partition]) -> anyhow::Result<()> {
        let of = |checkpoints: &[Checkpoint]| -> Vec<Checkpoint> {
            let is_one = |(_, context, number, _): &&Checkpoint| {
                let is_at = |at: &Partition| {
                    projectors::context_name(at.context) == context && i32::try_from(at.number) == Ok(*number)
                };
                all.iter().any(is_at)
            };
            checkpoints.iter().filter(is_one).cloned().collect()
        };
        let (before, now) = (of(&self.checkpoints), of(&self.patient.checkpoints().await?));
        ensure!(before == now, "read models were at {before:?}, and are at {now:?}");
        Ok(())
    }

    /// An order in this partition is turned away, and may be tried again.
    pub(super) async fn takes_no_orders(&self, at: Partition) -> anyhow::Result<()> {
        let answer = self.order(&self.patient.shows.free[usize::try_from(at.number)?]).await?;
        let again = answer.headers().contains_key("retry-after");
        ensure!(answer.status() == 503 && again, "an order in {at} is answered with {answer:?}");
        Ok(())
    }

    /// An order in every other partition is taken.
    pub(super) async fn serves_others(&self, but: Partition) -> anyhow::Result<()> {
        let sales = self.patient.shows.free.iter();
        for sale in sales.filter(|sale| partition_of(sale.show, self.patient.plan.partitions) != but.number) {
            let answer = self.order(sale).await?;
            ensure!(answer.status() == 201, "an order beside {but} is answered with {answer:?}");
        }
        Ok(())
    }

    async fn order(&self, sale: &OnSale) -> anyhow::Result<reqwest::Response> {
        let url = format!("{}/v1/orders/{}", self.running.url(Process::CommandApi), id());
        let body = sale.order(1);
        let request = self.http.put(url).header("idempotency-key", id().to_string()).json(&json!(body));
        Ok(request.send().await?)
    }

    /// Stops everything.
    pub(super) async fn stop(self) {
        self.running.stop().await;
    }
}
