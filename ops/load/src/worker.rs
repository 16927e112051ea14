//! A worker process: sends at the moments that were decided before, and counts what comes of it.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use service_kit::{clock, priority};
use tokio::time::{Instant, sleep, timeout};

use crate::chance::Chance;
use crate::crowd;
use crate::journey;
use crate::line::{Line, Progress, say};
use crate::machine::Times;
use crate::pacer::Pacer;
use crate::plan::{Journey, Plan};
use crate::schedule::Schedule;
use crate::tally::Tally;
use crate::world::World;

/// So many arrivals that are due are sent before others get their turn.
const AT_ONCE: u32 = 16;

/// What a worker process is told on the first line of its standard input.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Arrivals, each by itself.
    Arrivals(Box<Plan>),
    /// People who stay.
    Crowd(Box<crowd::Plan>),
}

/// Reads what is to be done from standard input, does it, and writes lines to standard output.
///
/// # Errors
/// The work is none, or nobody reads.
pub fn main() -> anyhow::Result<()> {
    let mut text = String::new();
    std::io::stdin().read_line(&mut text).context("read the plan")?;
    let work: Work = serde_json::from_str(&text).context("the plan is none")?;
    // Buyers do not wait for a processor of the box office.
    priority::ahead_of_others();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(31).build()?;
    match work {
        Work::Arrivals(plan) => say(&Line::Result(Box::new(runtime.block_on(run(*plan))?))),
        Work::Crowd(plan) => say(&Line::Result(Box::new(runtime.block_on(crowd::worker::run(*plan))?))),
    }
}

/// Does a plan.
///
/// # Errors
/// It cannot begin, or a file cannot be written.
pub async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let acknowledged = plan.acknowledged.clone();
    let world = Arc::new(World::new(plan)?);
    journey::prepare(&world).await.context("prepare the journeys")?;
    let ahead = u64::try_from(world.plan.start_us - clock::now().0).unwrap_or(0);
    world.begin(clock::monotonic() + Duration::from_micros(ahead));
    sleep(Duration::from_micros(ahead)).await;
    let before = Times::own();
    let progress = tokio::spawn(progress(Arc::clone(&world)));
    match world.plan.journey {
        Journey::Purchase(habits) if habits.one_by_one > 0 => {
            for _ in 0..habits.one_by_one {
                journey::go(Arc::clone(&world), clock::monotonic()).await;
            }
        }
        _ => arrive(&world).await?,
    }
    farewell(&world).await;
    progress.abort();
    let mut tally = world.tally().clone();
    tally.processor_s = Times::own().since(before);
    let clients = world.clients();
    tally.connections_made_again = clients.map(|it| it.made_again.load(Ordering::Relaxed)).sum();
    if let Some(path) = acknowledged {
        let mut file = BufWriter::new(File::create(&path).with_context(|| format!("write {}", path.display()))?);
        world.acknowledged().iter().try_for_each(|it| file.write_all(it)).context("write acknowledged orders")?;
        file.flush().context("write acknowledged orders")?;
    }
    Ok(tally)
}

/// Lets everybody arrive.
async fn arrive(world: &Arc<World>) -> anyhow::Result<()> {
    let pacer = Pacer::new().context("make a timer")?;
    let chance = Chance::of(world.plan.seed, world.plan.number * 2);
    let began = world.began();
    let mut at_once = 0;
    for due in Schedule::new(world.plan.phases.clone(), chance) {
        let moment = began + due;
        if moment > clock::monotonic() {
            pacer.until(moment).await.context("wait for the next arrival")?;
            at_once = 0;
        } else {
            at_once += 1;
        }
        if at_once >= AT_ONCE {
            tokio::task::yield_now().await;
            at_once = 0;
        }
        world.sent(moment);
        tokio::spawn(journey::go(Arc::clone(world), moment));
    }
    Ok(())
}

/// Waits until everybody has left, or the patience is over: who has no answer then failed.
async fn farewell(world: &Arc<World>) {
    let all_gone = async {
        while world.under_way() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    if timeout(Duration::from_secs(world.plan.farewell_s), all_gone).await.is_err() {
        let (left, second) = (world.under_way(), world.second(clock::monotonic()));
        *world.tally().window(second).errors.entry("unanswered".to_owned()).or_default() += left;
    }
}

async fn progress(world: Arc<World>) {
    let mut next = Instant::now();
    loop {
        next += Duration::from_secs(1);
        tokio::time::sleep_until(next).await;
        let progress = {
            let tally = world.tally();
            let sum = |of: &dyn Fn(&crate::tally::Window) -> u64| tally.windows.iter().map(of).sum();
            Progress {
                offered: sum(&|it| it.offered),
                acknowledged: sum(&|it| it.acknowledged),
                failed: sum(&|it| it.failed()),
            }
        };
        if say(&Line::<Tally>::Progress(progress)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use uuid::Uuid;

    use super::*;
    use crate::plan::Sale;
    use crate::schedule::Phase;

    /// Answers every request with this, but nothing between these moments after the start.
    async fn server(answer: &'static str, stall_ms: (u64, u64)) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, began) = (listener.local_addr().unwrap(), clock::monotonic());
        let (from, to) = (Duration::from_millis(stall_ms.0), Duration::from_millis(stall_ms.1));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut asked = vec![0; 4096];
                    while stream.read(&mut asked).await.is_ok_and(|count| count > 0) {
                        if began.elapsed() > from && began.elapsed() < to {
                            sleep(to - began.elapsed()).await;
                        }
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    fn plan(command: SocketAddr, connections: usize) -> Plan {
        let sale = Sale { show: Uuid::from_u128(1), ticket_class: Uuid::from_u128(2), price: 0 };
        Plan {
            number: 0,
            seed: 1,
            start_us: clock::now().0,
            warm_up_s: 0,
            phases: vec![Phase { rate: 500.0, seconds: 1.0 }],
            farewell_s: 5,
            command: vec![command],
            query: Vec::new(),
            sandbox: None,
            connections,
            journey: Journey::Order { probe: false },
            shows: vec![sale],
            zipf: 0.0,
            bearers: vec!["Bearer x".to_owned()],
            acknowledged: None,
        }
    }

    const CREATED: &str = "HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}";

    #[tokio::test]
    async fn a_server_that_stalls_delays_no_arrival_and_its_stall_is_in_the_latencies() {
        let calm = run(plan(server(CREATED, (0, 0)).await, 4)).await.unwrap();
        let stalled = run(plan(server(CREATED, (300, 900)).await, 4)).await.unwrap();
        let offered = |tally: &Tally| tally.between(0, 99).offered;
        assert_eq!(offered(&calm), offered(&stalled));
        let of = |tally: &Tally, percent| tally.between(0, 99).latency.percentile_ms(percent);
        assert!(of(&calm, 50.0) < 50.0, "{}", of(&calm, 50.0));
        // Six tenths of a second of arrivals wait, on average half of it: four at a time would show only four of them.
        assert!(of(&stalled, 70.0) > 100.0, "{}", of(&stalled, 70.0));
        assert!(of(&stalled, 99.0) > 450.0, "{}", of(&stalled, 99.0));
        assert_eq!(stalled.between(0, 99).acknowledged, offered(&stalled));
    }

    #[tokio::test]
    async fn refusals_are_no_successes_and_those_that_do_not_say_when_are_counted() {
        let busy = "HTTP/1.1 503 x\r\ncontent-length: 35\r\n\r\n{\"type\": \"/problems/overloaded\"}    ";
        let tally = run(plan(server(busy, (0, 0)).await, 4)).await.unwrap();
        let all = tally.between(0, 99);
        assert_eq!((all.acknowledged, all.refused, tally.without_retry_after), (0, all.offered, all.offered));
        assert_eq!(all.errors.keys().collect::<Vec<_>>(), ["503 overloaded"]);
        assert_eq!(all.refusals.count(), all.offered);
    }

    #[tokio::test]
    async fn who_is_never_answered_is_counted() {
        let mut plan = plan(server(CREATED, (0, 60_000)).await, 8);
        plan.farewell_s = 0;
        let all = run(plan).await.unwrap().between(0, 99);
        assert_eq!((all.acknowledged, all.errors.get("unanswered").copied()), (0, Some(all.offered)));
    }
}
