//! An installation that runs.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::bail;
use domain::value::Role;
use local_stack::{Endpoints, Signal};
use service_kit::auth::Rules;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::readiness::Asker;
use crate::front_door::{self, Door};
use crate::supervisor::{Policy, Say, Spawner, State, Supervised};
use crate::token;
use crate::topology::{Instance, Plan, Process};

/// Between two questions.
const STEP: Duration = Duration::from_millis(100);
/// Bearer tokens of a local installation are good so long.
const TOKEN_TTL: Duration = Duration::from_secs(86_400);

/// An installation that runs until it is stopped, or the last clone of this value is dropped.
#[derive(Clone)]
pub struct Running(Arc<Inner>);

struct Inner {
    plan: Plan,
    processes: BTreeMap<Instance, Supervised>,
    door_stop: CancellationToken,
    door: Mutex<Option<JoinHandle<()>>>,
    say: Say,
    _lock: File,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Running({})", self.base_url())
    }
}

impl Running {
    pub(super) fn start(
        plan: Plan,
        programs: &Path,
        (listener, door): (TcpListener, Door),
        (spawner, policy): (Spawner, Policy),
        say: Say,
        lock: File,
    ) -> Self {
        let door_stop = CancellationToken::new();
        let (stop, told) = (door_stop.clone(), Arc::clone(&say));
        let door = tokio::spawn(async move {
            if let Err(error) = front_door::serve(listener, door, stop).await {
                told(&format!("front door: stopped serving: {error}"));
            }
        });
        let supervise = |instance: Instance| {
            let spec = plan.spec(instance, programs);
            (instance, Supervised::start(spec, spawner.clone(), policy, Arc::clone(&say)))
        };
        let processes = plan.counts.all().map(supervise).collect();
        Self(Arc::new(Inner { plan, processes, door_stop, door: Mutex::new(Some(door)), say, _lock: lock }))
    }

    /// Where clients come in: the front door, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.0.plan.base_url
    }

    /// The write side itself, its first instance.
    pub fn command_url(&self) -> String {
        self.url(Process::CommandApi)
    }

    /// The read side itself, its first instance.
    pub fn query_url(&self) -> String {
        self.url(Process::QueryApi)
    }

    /// The payment provider, its control API below `/_control`.
    pub fn sandbox_url(&self) -> String {
        self.url(Process::Sandbox)
    }

    /// Where one process listens.
    pub fn url(&self, instance: impl Into<Instance>) -> String {
        self.0.plan.url(instance)
    }

    /// The stack below.
    pub fn endpoints(&self) -> &Endpoints {
        &self.0.plan.endpoints
    }

    /// Namespace, partitions, secrets and environments.
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// A bearer token of the account `sub` with these roles, good for a day.
    ///
    /// # Errors
    /// Somebody broke the file of secrets.
    pub fn token(&self, sub: &str, roles: &[Role]) -> anyhow::Result<String> {
        let key = self.0.plan.secrets.signing_key()?;
        Ok(token::mint(&key, &Rules::default(), sub, roles.iter().copied(), TOKEN_TTL))
    }

    /// The id of a process, while it runs.
    pub fn pid(&self, instance: impl Into<Instance>) -> Option<u32> {
        self.of(instance).pid()
    }

    /// How often a process was started again.
    pub fn restarts(&self, instance: impl Into<Instance>) -> u32 {
        self.of(instance).restarts()
    }

    /// Sends a signal to a process. After [`Signal::Kill`] returns once that process is gone. Whoever ends is started
    /// again.
    ///
    /// # Errors
    /// It does not run just now.
    pub async fn kill(&self, instance: impl Into<Instance>, signal: Signal) -> anyhow::Result<()> {
        self.of(instance).signal(signal).await
    }

    /// Waits until every process says that it can do its work.
    ///
    /// # Errors
    /// One crashed too often (with the end of its log), or is not ready in time (with what it lacks).
    pub async fn wait_ready(&self, limit: Duration) -> anyhow::Result<()> {
        let asker = Asker::new()?;
        let deadline = tokio::time::Instant::now() + limit;
        let mut waiting: Vec<Instance> = self.0.processes.keys().copied().collect();
        loop {
            let mut reasons = Vec::new();
            for instance in std::mem::take(&mut waiting) {
                if let Some(why) = self.not_ready(&asker, instance).await? {
                    reasons.push(format!("{instance}: {why}"));
                    waiting.push(instance);
                }
            }
            if waiting.is_empty() {
                return Ok(());
            }
            if tokio::time::Instant::now() >= deadline {
                let logs = self.0.plan.folder.join("logs");
                let seconds = limit.as_secs();
                bail!("not ready within {seconds} s (logs in {}):\n{}", logs.display(), reasons.join("\n"));
            }
            tokio::time::sleep(STEP).await;
        }
    }

    /// Why a process is not ready; `None` if it is.
    async fn not_ready(&self, asker: &Asker, instance: Instance) -> anyhow::Result<Option<String>> {
        match self.of(instance).state() {
            State::GaveUp { why } => bail!("{why}"),
            State::Stopped => bail!("{instance} was stopped"),
            State::Starting => Ok(Some("does not run".to_owned())),
            // Who runs by its id and answers at its port is one and the same: ports are ours alone.
            State::Running { .. } => {
                Ok(asker.not_ready(&format!("{}{}", self.url(instance), instance.process.ready_path())).await)
            }
        }
    }

    /// Ends the front door, then the processes, program after program; the stack stays up.
    pub async fn stop(&self) {
        self.0.door_stop.cancel();
        let door = self.0.door.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(door) = door
            && door.await.is_err()
        {
            (self.0.say)("front door: it had panicked");
        }
        for process in Process::STOPPING {
            let stop = async |instance: Instance| {
                self.of(instance).stop().await;
                (self.0.say)(&format!("{instance}: stopped"));
            };
            futures::future::join_all(self.0.plan.counts.instances(process).map(stop)).await;
        }
    }

    fn of(&self, instance: impl Into<Instance>) -> &Supervised {
        self.0.processes.get(&instance.into()).expect("only who is supervised is asked for")
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.door_stop.cancel();
    }
}
