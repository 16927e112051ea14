//! The schema registry is away, or another one: who runs needs it no more, and who starts does not start without it.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use domain::root::Context;
use event_log::log::Partition;
use futures::future::BoxFuture;
use local_stack::{Answers, RegistryProxy};
use ops::topology::{Instance, Process};
use service_kit::clock;
use tokio::time::sleep;

use crate::fault::{Fault, Must, Place, Play};
use crate::run::Site;

const SERVICE: Duration = Duration::from_secs(60);
/// Writes while it is away.
const WITHOUT: u64 = 40;
/// So long somebody tries to start.
const STARTING: Duration = Duration::from_secs(6);
/// Whoever starts is refused within so long.
const REFUSED: Duration = Duration::from_secs(20);
/// Whoever waits for the registry answers within so long.
const ANSWERS: Duration = Duration::from_secs(3);

/// Nobody listens there.
pub static REGISTRY_DOWN: Fault = Fault {
    name: "registry-down",
    what: "The schema registry goes away; then a command-api and a projector are killed, and start while it is away.",
    proves: "Who runs needs no registry; who starts waits for it, not ready, and serves once it is back.",
    quick: false,
    play: Play::UnderLoad { place: || Box::pin(place()), strike: |site| down(site), must: Must::TAKEN_OVER },
};

/// Every id means another schema.
pub static REGISTRY_OTHER_IDS: Fault = Fault {
    name: "registry-other-ids",
    what: "The schema registry gives every schema another id, as one does that was filled anew; then a command-api and a \
           projector are killed, and try to start.",
    proves: "Who runs goes on with the ids it knows; who starts refuses and names the schema, and no record is misread.",
    quick: false,
    play: Play::UnderLoad { place: || Box::pin(place()), strike: |site| other_ids(site), must: Must::TAKEN_OVER },
};

async fn place() -> anyhow::Result<Place> {
    let mut place = Place::shared().await?;
    let proxy = RegistryProxy::start(&place.endpoints.registry)?;
    place.endpoints.registry = proxy.url();
    Ok(place.keeping(proxy))
}

fn down(site: &Site) -> BoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        let two = two(site).await;
        answer(site, Answers::Nothing)?;
        site.load().busy(WITHOUT).await?;
        kill(site, two).await?;
        sleep(STARTING).await;
        for one in two {
            says_not_ready(site, one).await?;
        }
        came_back(site, Answers::Truth).await
    })
}

fn other_ids(site: &Site) -> BoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        let two = two(site).await;
        answer(site, Answers::OtherIds)?;
        site.load().busy(WITHOUT).await?;
        kill(site, two).await?;
        for one in two {
            refuses(site, one).await?;
        }
        came_back(site, Answers::Truth).await
    })
}

/// An owner and a projector. Found while the registry is itself: reading the log takes it, too.
async fn two(site: &Site) -> [Instance; 2] {
    let writer = site.owner(Partition { context: Context::Inventory, number: 0 }).await;
    [writer, Instance { process: Process::Projectors, number: 1 }]
}

/// Kills them, and waits until the others have taken over.
async fn kill(site: &Site, two: [Instance; 2]) -> anyhow::Result<()> {
    site.struck();
    for one in two {
        site.shop().kill(one).await;
    }
    site.served(SERVICE).await
}

/// It says in its log that this is not the registry that the log was written with, and ends.
async fn refuses(site: &Site, one: Instance) -> anyhow::Result<()> {
    let file = site.shop().running.plan().log(one);
    let begun = clock::monotonic();
    loop {
        let text = fs::read_to_string(&file).unwrap_or_default();
        if text.contains("it is not the one this log was written with, and would misread it") {
            return Ok(());
        }
        ensure!(begun.elapsed() < REFUSED, "{one} does not refuse a registry with other ids: see {}", file.display());
        sleep(Duration::from_millis(100)).await;
    }
}

async fn came_back(site: &Site, answers: Answers) -> anyhow::Result<()> {
    answer(site, answers)?;
    let begun = clock::monotonic();
    site.shop().wait_ready().await;
    site.note(format!("everybody is ready {} ms after the registry is itself again", begun.elapsed().as_millis()));
    Ok(())
}

/// It lives and is not ready, and says so to whoever asks: nobody is kept waiting in its sockets.
async fn says_not_ready(site: &Site, one: Instance) -> anyhow::Result<()> {
    let base = site.shop().running.url(one);
    for (path, expected) in [("/livez", 200), ("/readyz", 503), ("/v1/shows", 503)] {
        let (one, url) = (one.to_string(), format!("{base}{path}"));
        let asked = tokio::time::timeout(ANSWERS, reqwest::get(url)).await;
        let answer =
            asked.with_context(|| format!("{one} does not answer {path} while it waits for the registry"))??;
        let found = answer.status().as_u16();
        // Who only fills read models has no shows.
        let expected = if path == "/v1/shows" && found == 404 { 404 } else { expected };
        ensure!(found == expected, "{one} answers {path} with {found} while it waits for the registry");
    }
    Ok(())
}

fn answer(site: &Site, answers: Answers) -> anyhow::Result<()> {
    site.kept::<RegistryProxy>().answer(answers).context("change what the registry answers")
}
