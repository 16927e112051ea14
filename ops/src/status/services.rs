//! The processes: those that somebody named, and those that announce themselves as owners of partitions.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

use crate::partitions::Answers;
use crate::site::Site;

/// Who does not answer by then is not there.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// One process.
#[derive(Debug, Clone, Serialize)]
pub struct Service {
    /// The instance's name.
    pub instance: String,
    /// The program, as far as it says.
    pub service: Option<String>,
    /// Where it was asked.
    pub url: String,
    /// Whether it can do its work.
    pub ready: bool,
    /// What it lacks, or why it does not answer.
    pub why: Option<String>,
    /// Which version runs.
    pub version: Option<String>,
    /// For how long it has run, seconds.
    pub uptime_s: Option<u64>,
}

/// What `/livez` says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct About {
    service: Option<String>,
    instance: Option<String>,
    version: Option<String>,
    uptime_s: Option<u64>,
}

/// What `/readyz` says.
#[derive(Deserialize)]
struct Readiness {
    checks: BTreeMap<String, Finding>,
}

#[derive(Deserialize)]
struct Finding {
    ready: bool,
    why: Option<String>,
}

/// Asks every process that is known of, all at once.
pub(super) async fn look(site: &Site, announced: Option<&Answers>) -> anyhow::Result<Vec<Service>> {
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWERS_WITHIN).build();
    let client = client.context("make an HTTP client")?;
    let asked = known(site, announced).into_iter().map(|(url, name)| ask(&client, url, name));
    let mut services = futures::future::join_all(asked).await;
    services.sort_by(|a, b| (&a.instance, &a.url).cmp(&(&b.instance, &b.url)));
    Ok(services)
}

/// Each address once, with the name it is known by.
fn known(site: &Site, announced: Option<&Answers>) -> BTreeMap<String, Option<String>> {
    let told = announced.into_iter().flatten().map(|(url, answer)| {
        let name = answer.as_ref().ok().map(|report| report.instance.clone());
        (url.clone(), name)
    });
    let named = site.services.iter().map(|(name, url)| (url.clone(), name.clone()));
    let mut known = BTreeMap::new();
    for (url, name) in told.chain(named) {
        let entry: &mut Option<String> = known.entry(url).or_default();
        *entry = entry.take().or(name);
    }
    known
}

async fn ask(client: &reqwest::Client, url: String, name: Option<String>) -> Service {
    let (about, readiness) = tokio::join!(about(client, &url), ready(client, &url));
    Service {
        instance: about.instance.or(name).unwrap_or_else(|| url.clone()),
        service: about.service,
        ready: readiness.is_ok(),
        why: readiness.err(),
        version: about.version,
        uptime_s: about.uptime_s,
        url,
    }
}

async fn about(client: &reqwest::Client, url: &str) -> About {
    let answer = match client.get(format!("{url}/livez")).send().await {
        Ok(answer) => answer.json().await,
        Err(error) => Err(error),
    };
    // Who does not say who it is still has an address.
    answer.unwrap_or_default()
}

async fn ready(client: &reqwest::Client, url: &str) -> Result<(), String> {
    let answer = client.get(format!("{url}/readyz")).send().await.map_err(|_| "does not answer".to_owned())?;
    let status = answer.status();
    if status == StatusCode::OK {
        return Ok(());
    }
    let Ok(readiness) = answer.json::<Readiness>().await else { return Err(format!("answers {status}")) };
    let lacks = readiness.checks.into_iter().filter(|(_, finding)| !finding.ready);
    let lacks =
        lacks.map(|(name, finding)| format!("{name}: {}", finding.why.unwrap_or_else(|| "not ready".to_owned())));
    Err(lacks.collect::<Vec<_>>().join("; "))
}
