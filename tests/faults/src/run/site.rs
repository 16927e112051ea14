//! Where a fault strikes: processes under load, with the handles to do something to them.

use std::any::Any;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use domain::root::Context;
use event_log::crash::Point;
use event_log::log::Partition;
use local_stack::Signal;
use ops::topology::{Instance, Process};
use service_kit::clock;
use system_tests::Installation;

use super::Before;
use crate::fault::Place;
use crate::load::Load;

/// Whoever is to crash reaches the place within so long.
const REACHED: Duration = Duration::from_secs(40);

/// Processes under load.
pub struct Site {
    shop: Installation,
    load: Load,
    kept: Arc<dyn Any + Send + Sync>,
    folder: PathBuf,
    before: Before,
    struck: Mutex<Option<Instant>>,
    took: Mutex<Vec<Duration>>,
    notes: Mutex<Vec<String>>,
}

impl Site {
    pub(super) async fn new(shop: Installation, load: Load, place: Place, folder: PathBuf) -> Self {
        let claims = shop.journal().await.news().await.claims.len() as u64;
        let before = Before { claims, counted: load.counts().now() };
        let (struck, took, notes) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { shop, load, kept: place.kept, folder, before, struck, took, notes }
    }

    pub(super) fn crash_file(folder: &Path) -> PathBuf {
        folder.join("crash")
    }

    pub(super) fn clock_folder(folder: &Path) -> PathBuf {
        folder.join("clocks")
    }

    pub(super) fn over(self) -> (Installation, Load, Before, Vec<Duration>, Arc<dyn Any + Send + Sync>) {
        let took = self.took.into_inner().unwrap_or_else(PoisonError::into_inner);
        (self.shop, self.load, self.before, took, self.kept)
    }

    /// The processes.
    pub fn shop(&self) -> &Installation {
        &self.shop
    }

    /// The clients.
    pub fn load(&self) -> &Load {
        &self.load
    }

    /// What the fault keeps.
    ///
    /// # Panics
    /// If it keeps something else.
    pub fn kept<T: Any>(&self) -> &T {
        self.kept.downcast_ref().expect("a fault knows what it keeps")
    }

    /// Where this run may write.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Notes something that was seen, for the run's report.
    pub fn note(&self, line: String) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// What was noted.
    pub(super) fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that this is the moment of the fault.
    pub fn struck(&self) {
        *self.struck.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock::monotonic());
    }

    /// Waits until every partition has acknowledged something that was asked after the fault, and notes how long that
    /// took. Called again without another fault it does nothing.
    ///
    /// # Errors
    /// It takes longer than `limit`.
    pub async fn served(&self, limit: Duration) -> anyhow::Result<()> {
        let Some(since) = self.struck.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(()) };
        let took = self.load.served_since(since, limit).await?;
        self.took.lock().unwrap_or_else(PoisonError::into_inner).push(took);
        Ok(())
    }

    /// How many clients were in doubt so far since the load began.
    pub fn in_doubt(&self) -> u64 {
        self.load.counts().now().in_doubt
    }

    /// Who serves a partition, by the last claim in its log.
    pub async fn owner(&self, partition: Partition) -> Instance {
        let claims = self.shop.journal().await.news().await.claims;
        self.shop.owner(&claims, partition)
    }

    /// Ends a process as nothing else is ended; the fault.
    pub async fn kill(&self, instance: Instance) {
        self.struck();
        self.shop.kill(instance).await;
    }

    /// Sends a signal to a process.
    pub async fn signal(&self, instance: Instance, signal: Signal) {
        self.shop.signal(instance, signal).await;
    }

    /// Every copy of the write side.
    pub fn command_apis(&self) -> Vec<Instance> {
        self.shop.running.plan().counts.instances(Process::CommandApi).collect()
    }

    /// Lets whichever process comes there crash at this place of a topic, in one of its partitions at the nth visit, and
    /// waits until one did; the fault.
    ///
    /// # Errors
    /// Nobody comes there, or nobody was started anew.
    pub async fn crash(&self, point: Point, context: Context, nth: u32) -> anyhow::Result<()> {
        let file = Self::crash_file(&self.folder);
        let order = format!("{}:{}:{nth}", point.name(), context.topic());
        // Whole at once: half an order is none.
        let draft = file.with_extension("draft");
        fs::write(&draft, &order).and_then(|()| fs::rename(&draft, &file)).context("order a crash")?;
        let (begun, restarts) = (clock::monotonic(), self.restarts());
        while file.exists() {
            ensure!(begun.elapsed() < REACHED, "nobody came to {order}: were the services built with the switches?");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.struck();
        while self.restarts() == restarts {
            ensure!(begun.elapsed() < REACHED + REACHED, "nobody was started anew after {order}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn restarts(&self) -> u32 {
        self.command_apis().into_iter().map(|instance| self.shop.running.restarts(instance)).sum()
    }

    /// Lets the wall clock of a process be wrong by so many seconds from now on, or be right again.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn wrong_clock(&self, instance: Instance, by_s: i64) -> anyhow::Result<()> {
        let file = Self::clock_folder(&self.folder).join(instance.to_string());
        let draft = file.with_extension("draft");
        fs::write(&draft, by_s.to_string()).and_then(|()| fs::rename(&draft, &file)).context("put a clock wrong")
    }
}
