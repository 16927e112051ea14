//! The broker goes away: one that is all there is, one of three, and two of three.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use domain::root::Context;
use futures::future::BoxFuture;
use local_stack::{Brokers, Server, Signal};
use service_kit::clock;
use tokio::time::{sleep, timeout};

use super::cluster::Topics;
use super::own;
use crate::fault::{Fault, Must, Play};
use crate::run::Site;

/// So long the only broker is gone before anybody starts it again.
const GONE: Duration = Duration::from_secs(3);
const FROZEN: Duration = Duration::from_secs(20);
const WITHOUT_COPIES: Duration = Duration::from_secs(15);
const SERVICE: Duration = Duration::from_secs(90);
/// Writes between two deaths.
const BETWEEN: u64 = 40;

/// The only broker dies.
pub static BROKER_KILLED: Fault = Fault {
    name: "broker-killed",
    what: "kill -9 of the only broker; it is started again 3 s later.",
    proves: "Every process waits for it and goes on by itself, and what was under way is settled by the log.",
    quick: false,
    play: Play::UnderLoad {
        place: || Box::pin(own::stack(|_| {})),
        strike: |site| killed(site),
        must: Must::TAKEN_OVER,
    },
};

/// The only broker hangs.
pub static BROKER_FROZEN: Fault = Fault {
    name: "broker-frozen",
    what: "The only broker is frozen (SIGSTOP) for 20 s, with every connection open.",
    proves: "Nobody waits without limit: callers hear within the deadline that it is in doubt, and learn it later.",
    quick: false,
    play: Play::UnderLoad {
        place: || Box::pin(own::stack(|_| {})),
        strike: |site| frozen(site),
        must: Must::TAKEN_OVER,
    },
};

/// Each of three brokers dies in turn.
pub static LEADER_KILLED: Fault = Fault {
    name: "leader-killed",
    what: "Three brokers, replication 3, min.insync.replicas 2: kill -9 of the leader of a partition, then of each other \
           broker, one at a time; each comes back once all is served.",
    proves: "Whichever broker dies (leader, controller, coordinator), the others have all that was acknowledged.",
    quick: false,
    play: Play::UnderLoad {
        place: || Box::pin(own::stack(|config| config.brokers = Brokers::Three)),
        strike: |site| leaders(site),
        must: Must { doubt: false, ..Must::TAKEN_OVER },
    },
};

/// Two of three brokers hang.
pub static MIN_ISR_LOST: Fault = Fault {
    name: "min-isr-lost",
    what: "Three brokers, replication 3, min.insync.replicas 2: two of them are frozen for 15 s.",
    proves: "What only one broker has is never acknowledged: writing stops, and goes on by itself.",
    quick: false,
    play: Play::UnderLoad {
        place: || Box::pin(own::stack(|config| config.brokers = Brokers::ThreeOneController)),
        strike: |site| without_copies(site),
        must: Must::TAKEN_OVER,
    },
};

fn killed(site: &Site) -> BoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        let since = clock::monotonic();
        own::kill(site, Server::Kafka).await?;
        sleep(GONE).await;
        own::start(site, Server::Kafka).await?;
        answers_again(site, since);
        Ok(())
    })
}

fn answers_again(site: &Site, since: Instant) {
    site.note(format!("the broker itself answers again {} ms after the fault", since.elapsed().as_millis()));
}

fn frozen(site: &Site) -> BoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        let since = clock::monotonic();
        site.struck();
        own::signal(site, Server::Kafka, Signal::Stop).await?;
        sleep(FROZEN).await;
        own::signal(site, Server::Kafka, Signal::Continue).await?;
        answers_again(site, since);
        Ok(())
    })
}

fn leaders(site: &Site) -> BoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        let topics = Topics::of(site);
        topics.have_copies(3).await?;
        topics.in_sync(3).await?;
        let first = topics.leader(Context::Inventory, 0).await?;
        let others = Brokers::Three.servers().iter().copied().filter(|it| *it != first);
        for broker in std::iter::once(first).chain(others) {
            own::kill(site, broker).await?;
            site.served(SERVICE).await?;
            own::start(site, broker).await?;
            topics.in_sync(3).await?;
            site.load().busy(BETWEEN).await?;
        }
        Ok(())
    })
}

fn without_copies(site: &Site) -> BoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        let topics = Topics::of(site);
        topics.have_copies(3).await?;
        topics.in_sync(3).await?;
        site.struck();
        own::signal(site, Server::Kafka2, Signal::Stop).await?;
        own::signal(site, Server::Kafka3, Signal::Stop).await?;
        let ((), alone) = tokio::join!(sleep(WITHOUT_COPIES), timeout(WITHOUT_COPIES, topics.in_sync(1)));
        own::signal(site, Server::Kafka2, Signal::Continue).await?;
        own::signal(site, Server::Kafka3, Signal::Continue).await?;
        alone.context("void: the cluster went on to count on two brokers that hang")?
    })
}
