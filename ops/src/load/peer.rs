//! The process of a peer: started for one measurement, asked what it sold, and ended in order.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use load::monitor::Watched;
use load::plan::Sale;
use load::report::Report;
use local_stack::{Signal, StackConfig, free_port};
use serde::Deserialize;
use service_kit::random;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::compare::Design;
use super::installation::{self, Installation};
use super::scenario::{Scenario, Size};
use super::step::{self, Target};
use super::{Common, Durability, measure};
use crate::local::LocalSecrets;

/// It is ready, answers, and ends within so long.
const PATIENCE: Duration = Duration::from_secs(60);
const CAPACITY: u64 = 10_000_000;
const PRICE: i64 = 150_000;

/// How peers are started.
pub struct Peers {
    program: PathBuf,
    redis_server: String,
    durability: Durability,
    postgres: String,
    secrets: LocalSecrets,
    folder: PathBuf,
    stack: StackConfig,
}

/// A peer that runs.
pub struct Peer {
    child: Child,
    url: String,
    target: Target,
    sale: Sale,
    folder: PathBuf,
    what: String,
}

/// Its one line once it is ready.
#[derive(Debug, Deserialize)]
struct Ready {
    listening: String,
}

/// What it says that it sold, counted from its store.
#[derive(Debug, Deserialize)]
struct Tally {
    capacity: u64,
    sold: u64,
    orders: u64,
}

impl Peers {
    /// Beside this box office: the same servers, the same tokens.
    ///
    /// # Errors
    /// Its secrets are broken.
    pub fn new(
        site: &Installation,
        program: &Path,
        redis_server: &str,
        durability: Durability,
    ) -> anyhow::Result<Self> {
        let plan = site.running().plan();
        Ok(Self {
            program: program.canonicalize().with_context(|| format!("find {}", program.display()))?,
            redis_server: redis_server.to_owned(),
            durability,
            postgres: plan.endpoints.postgres.clone(),
            secrets: plan.secrets.clone(),
            folder: plan.folder.clone(),
            stack: site.stack().clone(),
        })
    }

    /// Starts one with a show of its own, and waits until it is ready.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn start(&self, design: Design) -> anyhow::Result<Peer> {
        let sale = Sale { show: random::id(), ticket_class: random::id(), price: PRICE };
        let folder = self.folder.join(format!("peer-{}", random::opaque_id().simple()));
        std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let durability = format!("{:?}", self.durability).to_lowercase();
        let mut command = Command::new(&self.program);
        command.args(["--design", design.name(), "--durability", &durability, "--token-key", &self.secrets.token_key]);
        command.arg("--capacity").arg(CAPACITY.to_string());
        command.arg("--listen").arg(format!("127.0.0.1:{}", free_port()?));
        command.arg("--show").arg(sale.show.to_string()).arg("--ticket-class").arg(sale.ticket_class.to_string());
        match design {
            Design::Redis => command.arg("--redis-server").arg(&self.redis_server).arg("--folder").arg(&folder),
            Design::RowLock | Design::Pipelined | Design::Batched | Design::CqrsEs => {
                command.arg("--postgres").arg(&self.postgres)
            }
        };
        let errors = std::fs::File::create(folder.join("log")).context("make a peer's log")?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("start {}", self.program.display()))?;
        let mut said = BufReader::new(child.stdout.take().context("a peer has no output")?).lines();
        let line = timeout(PATIENCE, said.next_line()).await.context("a peer does not become ready")??;
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        let line = line.with_context(|| format!("a peer ended: {}", log()))?;
        let ready: Ready = serde_json::from_str(&line).with_context(|| format!("a peer said {line:?}"))?;
        // Whoever says more is listened to, so that it does not wait for us.
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        let mut watched = Watched { processes: installation::servers(&self.stack)?, ..Watched::default() };
        watched.processes.insert(design.name().to_owned(), child.id().context("a peer ended")?);
        let address = ready.listening.trim_start_matches("http://").parse().context("a peer's address")?;
        let target = Target {
            command: vec![address],
            query: Vec::new(),
            sandbox: None,
            key: self.secrets.signing_key()?,
            watched,
            folder: folder.clone(),
            restarts: Box::new(|| 0),
        };
        let what = format!("{} {:?}", design.name(), self.durability);
        Ok(Peer { child, url: ready.listening, target, sale, folder, what })
    }
}

impl Peer {
    /// Sends it the load of `hot`, and counts what it sold.
    ///
    /// # Errors
    /// The generator cannot do its work, or the peer does not say what it sold.
    pub async fn measure(&self, size: Size, common: &Common) -> anyhow::Result<Report> {
        let mut load = measure::load(Scenario::Hot, size, common, vec![self.sale]);
        // It has nothing to do behind its answers.
        load.drain = Duration::ZERO;
        let measured = step::run(&self.target, &load).await?;
        let (_, range) = Scenario::Hot.phases(size);
        let mut report = measure::report_of(&format!("{} at {:.0}/s", self.what, size.rate), range, &measured);
        let told: Tally = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()?
            .get(format!("{}/_peer/tally", self.url))
            .send()
            .await
            .context("ask a peer what it sold")?
            .json()
            .await
            .context("read what a peer sold")?;
        report.void.extend(judged(&told, report.totals.acknowledged));
        Ok(report)
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// It does not end.
    pub async fn end(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().context("a peer ended by itself")?;
        local_stack::send(pid, Signal::Terminate)?;
        let ended = timeout(PATIENCE, self.child.wait()).await;
        if ended.is_err() {
            self.child.kill().await.context("kill a peer")?;
            bail!("a peer did not end within {} s", PATIENCE.as_secs());
        }
        let removed = std::fs::remove_dir_all(&self.folder);
        ensure!(removed.is_ok(), "{} cannot be removed", self.folder.display());
        Ok(())
    }
}

fn judged(told: &Tally, acknowledged: u64) -> Vec<String> {
    let Tally { capacity, sold, orders } = *told;
    let mut void = Vec::new();
    if sold > capacity {
        void.push(format!("it sold {sold} of {capacity}"));
    }
    if orders != acknowledged {
        void.push(format!("it has {orders} orders, and {acknowledged} were acknowledged"));
    }
    void
}

#[cfg(test)]
mod tests {
    use super::{Tally, judged};

    #[test]
    fn who_oversells_or_loses_does_not_count() {
        let told = |sold, orders| Tally { capacity: 10, sold, orders };
        assert!(judged(&told(7, 7), 7).is_empty());
        assert_eq!(judged(&told(11, 7), 7).len(), 1);
        assert_eq!(judged(&told(7, 6), 7).len(), 1);
        assert_eq!(judged(&told(11, 8), 7).len(), 2);
    }
}
