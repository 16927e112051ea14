//! `boxctl failover`: how long a partition is not served after its owner was killed, and which part of it is ours.
//!
//! The partition has a long history; two instances share the group; the one that owns it is killed as nothing else is, and
//! orders go to the other one until it acknowledges the next.

mod fill;
mod instances;
mod timeline;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use domain::root::Context;
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::log::Partition;
use event_log::topics::{self, Layout};
use local_stack::{StackConfig, find_root};
use schemas::{Codec, Registry};
use serde_json::{Value, json};
use service_kit::{clock, random};
use tokio::time::sleep;

use crate::stack;
use instances::Instances;
use timeline::Timeline;

/// One is enough, and then every context's part of it moves.
const PARTITIONS: u32 = 1;
/// Between two attempts of a client that waits for service.
const AGAIN: Duration = Duration::from_millis(5);
/// Nothing takes so long.
const LIMIT: Duration = Duration::from_secs(120);
/// The two are watched so long while nobody buys.
const IDLE: Duration = Duration::from_secs(20);

/// How to measure.
#[derive(Debug, Args)]
pub struct FailoverArgs {
    /// Events in the partition's log.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// How often its owner is killed.
    #[arg(long, default_value_t = 10)]
    times: usize,
    /// Where the program command-api is; numbers count only from a release build.
    #[arg(long, default_value = "target/release")]
    programs: PathBuf,
    /// The group's session time-out, milliseconds.
    #[arg(long, default_value_t = 2000)]
    session_ms: u32,
    /// More variables for the instances, NAME=VALUE.
    #[arg(long = "set")]
    settings: Vec<String>,
}

/// A show on sale and a free class of it.
struct OnSale {
    show: uuid::Uuid,
    class: uuid::Uuid,
}

/// Measures and prints.
///
/// # Errors
/// The stack or a program does not do what it should.
pub async fn run(args: FailoverArgs) -> anyhow::Result<()> {
    let root = find_root()?;
    let endpoints = stack::up(StackConfig::for_tests(&root)).await?;
    let namespace: String = format!("f{}", random::opaque_id().simple()).chars().take(10).collect();
    let kafka = KafkaSettings::new(&endpoints.kafka, &namespace, "failover");
    topics::init(&kafka, &endpoints.registry, Layout::local(PARTITIONS)).await.context("make the topics")?;
    let folder = root.join("target/tmp/failover").join(&namespace);
    let mut instances = Instances::new(&endpoints, &namespace, &folder, &args)?;
    instances.start(0)?;
    let sale = put_on_sale(&instances, 0).await?;
    instances.stop(0).await?;
    let at = Partition { context: Context::Inventory, number: 0 };
    println!("appending {} events to {at} of {namespace}", args.events);
    let began = clock::monotonic();
    let (codec, events) = (codec(&kafka, &endpoints.registry).await?, args.events);
    let log = Arc::new(KafkaLog::connect(kafka.clone())?);
    tokio::task::spawn_blocking(move || fill::fill(&*log, &codec, at, PARTITIONS, events)).await??;
    println!("appended in {:.1} s; reading them for the first time", began.elapsed().as_secs_f64());
    instances.start(0)?;
    order_until_placed(&instances, 0, &sale).await?;
    let cold = instances.timeline(0, clock::now())?;
    println!("cold start without a snapshot: {cold}");
    println!("and since its start: {}", instances.cost(0)?);
    instances.start(1)?;
    watch(&instances).await?;
    let all = rounds(&mut instances, &sale, args.times).await?;
    instances.stop(0).await?;
    instances.stop(1).await?;
    print(&all);
    topics::forget(&kafka).await.context("delete the topics")?;
    std::fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))
}

async fn codec(kafka: &KafkaSettings, registry: &str) -> anyhow::Result<Codec> {
    let ids = topics::check(kafka, registry, PARTITIONS).await.context("look at the topics")?;
    Ok(Codec::new(ids, Registry::new(registry)?))
}

/// What it costs to own the partition, and to be there for when its owner ends.
async fn watch(instances: &Instances) -> anyhow::Result<()> {
    let owner = instances.settled(LIMIT).await?;
    let costs = || anyhow::Ok([instances.cost(owner)?, instances.cost(1 - owner)?]);
    let before = costs()?;
    sleep(IDLE).await;
    for (name, before, after) in ["owner", "other"].iter().zip(before).zip(costs()?).map(|((a, b), c)| (a, b, c)) {
        let idle = 100.0 * (after.processor_s - before.processor_s) / IDLE.as_secs_f64();
        println!("the {name}: {after} since its start; {idle:.1} % of a processor while nobody buys");
    }
    Ok(())
}

async fn rounds(instances: &mut Instances, sale: &OnSale, times: usize) -> anyhow::Result<Vec<(Duration, Timeline)>> {
    let mut all = Vec::new();
    for round in 1..=times {
        let owner = instances.settled(LIMIT).await?;
        let other = 1 - owner;
        order_until_placed(instances, other, sale).await?;
        let (killed_at, began) = (clock::now(), clock::monotonic());
        instances.kill(owner).await?;
        order_until_placed(instances, other, sale).await?;
        let took = began.elapsed();
        let timeline = instances.timeline(other, killed_at)?;
        println!("{round:>3}: {:>5} ms to the next acknowledged order; {timeline}", took.as_millis());
        all.push((took, timeline));
        instances.start(owner)?;
    }
    Ok(all)
}

fn print(all: &[(Duration, Timeline)]) {
    let median = |of: &dyn Fn(&(Duration, Timeline)) -> u128| {
        let mut all: Vec<u128> = all.iter().map(of).collect();
        all.sort_unstable();
        let middle = [all.len().saturating_sub(1) / 2, all.len() / 2].map(|at| all.get(at).copied().unwrap_or(0));
        u128::midpoint(middle[0], middle[1])
    };
    println!("median of {}:", all.len());
    println!("  killed → next acknowledged order  {:>6} ms", median(&|it| it.0.as_millis()));
    println!("  killed → partition assigned       {:>6} ms (the group's)", median(&|it| u128::from(it.1.assigned_ms)));
    println!("  assigned → serving                {:>6} ms (ours)", median(&|it| u128::from(it.1.serving_ms)));
    println!("    snapshot loaded after           {:>6} ms", median(&|it| u128::from(it.1.loaded_ms)));
    println!("    log's end reached after         {:>6} ms", median(&|it| u128::from(it.1.folded_ms)));
    println!("    claim sent after                {:>6} ms", median(&|it| u128::from(it.1.claimed_ms)));
}

async fn put_on_sale(instances: &Instances, at: usize) -> anyhow::Result<OnSale> {
    let (show, class) = (random::id(), random::id());
    let body = json!({
        "name": "Failover", "starts_at": "2031-06-01T12:00:00Z", "ends_at": "2031-06-01T15:00:00Z",
        "time_zone": "Asia/Ho_Chi_Minh", "venue": {"name": "My Dinh", "city": "Hanoi"}, "currency": "VND",
        "categories": ["concert"]
    });
    let free = json!({"amount": 0, "currency": "VND"});
    let class_body = json!({"name": "GA", "price": free, "capacity": 10_000_000, "max_per_order": 10});
    let path = format!("/v1/shows/{show}");
    let (organizer, admin) = (instances.organizer()?, instances.admin()?);
    let steps: [(&str, String, Value, &str); 5] = [
        ("PUT", path.clone(), body, &organizer),
        ("PUT", format!("{path}/ticket-classes/{class}"), class_body, &organizer),
        ("POST", format!("{path}/configure"), json!({"pay_within_s": 600}), &organizer),
        ("POST", format!("{path}/approve"), json!({}), &admin),
        ("POST", format!("{path}/publish"), json!({}), &organizer),
    ];
    let began = clock::monotonic();
    for (method, path, body, bearer) in &steps {
        loop {
            let answer = instances.ask(at, method, path, body, Some(bearer)).await;
            match answer {
                Ok((200..=299, _)) => break,
                Ok((status @ 400..=499, body)) => bail!("{method} {path} was answered {status}: {body}"),
                Ok(_) | Err(_) if began.elapsed() < LIMIT => sleep(AGAIN * 20).await,
                other => bail!("{method} {path}: {other:?}"),
            }
        }
    }
    let sale = OnSale { show, class };
    order_until_placed(instances, at, &sale).await?;
    Ok(sale)
}

/// Every attempt is an order of its own, as if there were many buyers.
async fn order_until_placed(instances: &Instances, at: usize, sale: &OnSale) -> anyhow::Result<()> {
    let free = json!({"amount": 0, "currency": "VND"});
    let body = json!({
        "show": sale.show,
        "lines": [{"ticket_class": sale.class, "quantity": 1, "unit_price": free}],
        "buyer": {"name": "Nguyễn Văn A", "email": "a@example.com"}
    });
    let began = clock::monotonic();
    loop {
        let answer = instances.ask(at, "PUT", &format!("/v1/orders/{}", random::id()), &body, None).await;
        if let Ok((201, _)) = answer {
            return Ok(());
        }
        if let Ok((status @ (401 | 403 | 422), body)) = &answer {
            bail!("an order was answered {status}: {body}");
        }
        ensure!(began.elapsed() < LIMIT, "no order was placed within {} s: {answer:?}", LIMIT.as_secs());
        sleep(AGAIN).await;
    }
}
