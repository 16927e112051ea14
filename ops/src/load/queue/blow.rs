//! What is killed while a crowd waits, as nothing else is: the owner of the waiting room, and who answers its people.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use domain::root::Context;
use load::metrics::Metrics;
use load::monitor::Monitor;
use local_stack::Signal;
use service_kit::clock;
use tokio::time::sleep;
use uuid::Uuid;

use crate::load::installation::Installation;
use crate::queue::place_of;
use crate::stack;
use crate::topology::{Instance, Process};

/// Everything is served again within so long.
const LIMIT: Duration = Duration::from_secs(120);
/// Between two looks.
const STEP: Duration = Duration::from_millis(100);

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Victim {
    /// The command-api that owns the waiting room's partition.
    Owner,
    /// A query-api.
    QueryApi,
}

/// Kills them, evenly over a time; tells what came of each.
///
/// # Errors
/// One cannot be killed, or is not served again.
pub async fn all(
    site: &Installation,
    victims: &[Victim],
    show: Uuid,
    within: Duration,
    monitor: &Monitor,
) -> anyhow::Result<Vec<String>> {
    let mut told = Vec::new();
    let pause = within / u32::try_from(victims.len() + 1)?;
    let began = clock::monotonic();
    for (turn, victim) in (1..).zip(victims) {
        sleep((pause * turn).saturating_sub(began.elapsed())).await;
        let at_s = began.elapsed().as_secs_f64();
        let line = format!("after {at_s:.1} s {}", one(site, *victim, show, monitor).await?);
        stack::say(&line);
        told.push(line);
    }
    Ok(told)
}

async fn one(site: &Installation, victim: Victim, show: Uuid, monitor: &Monitor) -> anyhow::Result<String> {
    let running = site.running();
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
    let instance = match victim {
        Victim::Owner => owner(site, &http, show).await.context("nobody owns the waiting room's partition")?,
        Victim::QueryApi => Instance { process: Process::QueryApi, number: running.plan().counts.query_apis },
    };
    let before = running.pid(instance);
    running.kill(instance, Signal::Kill).await.with_context(|| format!("kill {instance}"))?;
    let killed = clock::monotonic();
    let mut served = None;
    loop {
        let again = match victim {
            Victim::Owner => owner(site, &http, show).await.is_some(),
            Victim::QueryApi => ready(site, &http, instance).await,
        };
        if again && served.is_none() {
            served = Some(killed.elapsed());
        }
        let pid = running.pid(instance).filter(|pid| Some(*pid) != before);
        if let (Some(served), Some(pid)) = (served, pid) {
            monitor.add(&instance.to_string(), pid);
            return Ok(format!(
                "{instance} was killed, and its work was done again {:.1} s later",
                served.as_secs_f64()
            ));
        }
        if killed.elapsed() > LIMIT {
            bail!("{instance} was killed, and nobody did its work within {} s", LIMIT.as_secs());
        }
        sleep(STEP).await;
    }
}

async fn ready(site: &Installation, http: &reqwest::Client, instance: Instance) -> bool {
    let asked = http.get(format!("{}{}", site.running().url(instance), instance.process.ready_path())).send().await;
    asked.is_ok_and(|answer| answer.status().is_success())
}

/// Who serves the partition; whoever does not answer does not.
async fn owner(site: &Installation, http: &reqwest::Client, show: Uuid) -> Option<Instance> {
    let plan = site.running().plan();
    let number = place_of(show, plan.partitions).number.to_string();
    let labels = [("topic", Context::Queue.topic()), ("partition", number.as_str())];
    for instance in plan.counts.instances(Process::CommandApi) {
        let Ok(answer) = http.get(format!("{}/metrics", plan.url(instance))).send().await else { continue };
        let Ok(text) = answer.text().await else { continue };
        if Metrics::read(&text).at("boxoffice_partition_serving", &labels).is_some_and(|serving| serving > 0.5) {
            return Some(instance);
        }
    }
    None
}
