//! Two command-apis as processes of their own, without a supervisor: who is killed stays so until it is started.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use domain::value::{Role, Timestamp};
use load::machine::Usage;
use load::metrics::Metrics;
use local_stack::Endpoints;
use reqwest::Method;
use serde_json::Value;
use service_kit::auth::Rules;
use service_kit::{clock, random};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::timeline::Timeline;
use super::{FailoverArgs, PARTITIONS};
use crate::dev::{DevOptions, describe};
use crate::token;
use crate::topology::{Counts, Instance, Plan, Process};

/// The partition that is measured.
const PARTITION: &str = "inventory-events/0";
/// Somebody who owned it for so long keeps it, and who stands by for it has begun to.
const STEADY: Duration = Duration::from_secs(8);
/// An answer comes within so long, or counts as none.
const ANSWER: Duration = Duration::from_secs(10);

/// The two instances.
pub struct Instances {
    plan: Plan,
    program: PathBuf,
    http: reqwest::Client,
    children: [Option<Child>; 2],
}

impl Instances {
    /// None of them runs yet.
    pub fn new(endpoints: &Endpoints, namespace: &str, folder: &Path, args: &FailoverArgs) -> anyhow::Result<Self> {
        let mut options = DevOptions::new(endpoints.clone(), namespace, folder);
        options.partitions = PARTITIONS;
        options.counts = Counts::TWO;
        options.overrides.insert("BOXOFFICE_SESSION_TIMEOUT_MS".to_owned(), args.session_ms.to_string());
        for setting in &args.settings {
            let (name, value) = setting.split_once('=').context("a setting is NAME=VALUE")?;
            options.overrides.insert(name.to_owned(), value.to_owned());
        }
        let plan = describe(&options)?;
        let program = args.programs.join(Process::CommandApi.binary());
        ensure!(program.is_file(), "{} is missing: cargo build --release -p command-api", program.display());
        fs::create_dir_all(folder.join("logs"))?;
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER).build().context("make an HTTP client")?;
        Ok(Self { plan, program, http, children: [None, None] })
    }

    /// Starts one.
    pub fn start(&mut self, which: usize) -> anyhow::Result<()> {
        let path = self.plan.log(instance(which));
        let log: File = OpenOptions::new().create(true).append(true).open(&path)?;
        let mut command = Command::new(&self.program);
        command.env_clear().envs(self.plan.environment(instance(which)));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        self.children[which] = Some(command.spawn().with_context(|| format!("start {}", self.program.display()))?);
        Ok(())
    }

    /// Kills one as nothing else is killed, and waits until it is gone.
    pub async fn kill(&mut self, which: usize) -> anyhow::Result<()> {
        let mut child = self.children[which].take().context("it does not run")?;
        child.kill().await.context("kill it")
    }

    /// Ends one in order.
    pub async fn stop(&mut self, which: usize) -> anyhow::Result<()> {
        let Some(mut child) = self.children[which].take() else { return Ok(()) };
        let pid = child.id().context("it has ended by itself")?;
        local_stack::send(pid, local_stack::Signal::Terminate)?;
        timeout(Duration::from_secs(30), child.wait()).await.context("it does not end")??;
        Ok(())
    }

    /// What one has taken of the machine since it began.
    pub fn cost(&self, which: usize) -> anyhow::Result<Usage> {
        self.children[which].as_ref().and_then(Child::id).and_then(Usage::of).context("it does not run")
    }

    /// Waits until one of the two owns the partition steadily, has a snapshot, and the other one is ready; which.
    pub async fn settled(&self, limit: Duration) -> anyhow::Result<usize> {
        let began = clock::monotonic();
        let (mut since, mut last) = (clock::monotonic(), None);
        while began.elapsed() < limit {
            let now = [self.serves(0).await, self.serves(1).await];
            let owner = match now {
                [Some(true), Some(false)] => Some(0),
                [Some(false), Some(true)] => Some(1),
                _ => None,
            };
            if owner != last {
                (since, last) = (clock::monotonic(), owner);
            }
            match owner {
                Some(owner) if since.elapsed() >= STEADY => return Ok(owner),
                _ => sleep(Duration::from_millis(200)).await,
            }
        }
        bail!("nobody owns the partition steadily; logs are in {}", self.plan.folder.display())
    }

    /// Whether one serves the partition from where a restart would be quick; none if it does not answer.
    async fn serves(&self, which: usize) -> Option<bool> {
        let url = format!("{}/metrics", self.plan.url(instance(which)));
        let text = self.http.get(url).send().await.ok()?.text().await.ok()?;
        let metrics = Metrics::read(&text);
        let of = |name: &str| metrics.by(name, "topic").get("inventory-events").copied();
        match of("boxoffice_partition_serving") {
            Some(serving) if serving > 0.5 => {
                of("boxoffice_partition_snapshot_age_seconds").filter(|age| !age.is_nan()).map(|_| true)
            }
            _ => Some(false),
        }
    }

    /// The last take-over of one, counted from a moment.
    pub fn timeline(&self, which: usize, since: Timestamp) -> anyhow::Result<Timeline> {
        Timeline::last(&self.plan.log(instance(which)), PARTITION, since)
    }

    /// Asks one of them; status and body.
    pub async fn ask(
        &self,
        which: usize,
        method: &str,
        path: &str,
        body: &Value,
        bearer: Option<&str>,
    ) -> anyhow::Result<(u16, String)> {
        let method: Method = method.parse().context("no method")?;
        let mut request = self.http.request(method, format!("{}{path}", self.plan.url(instance(which)))).json(body);
        request = request.header("Idempotency-Key", random::opaque_id().to_string());
        if let Some(bearer) = bearer {
            request = request.bearer_auth(bearer);
        }
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// A token of who runs shows.
    pub fn organizer(&self) -> anyhow::Result<String> {
        self.token(Role::Organizer)
    }

    /// A token of who approves them.
    pub fn admin(&self) -> anyhow::Result<String> {
        self.token(Role::Admin)
    }

    fn token(&self, role: Role) -> anyhow::Result<String> {
        let key = self.plan.secrets.signing_key()?;
        Ok(token::mint(&key, &Rules::default(), "failover", [role], Duration::from_secs(86_400)))
    }
}

fn instance(which: usize) -> Instance {
    Instance { process: Process::CommandApi, number: if which == 0 { 1 } else { 2 } }
}
