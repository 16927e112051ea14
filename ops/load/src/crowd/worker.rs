//! A crowd's process: one stage after the other, each when all processes are told to begin.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use service_kit::clock;
use tokio::time::{Instant, sleep, timeout};

use super::people::{Gate, People};
use super::plan::{Plan, Stage};
use super::tally::Tally;
use super::{join, poll, socket};
use crate::line::{Line, say};
use crate::machine::Times;

/// Does a plan; the main process says on standard input when each stage begins.
///
/// # Errors
/// It cannot begin, or nobody tells it to go on.
pub async fn run(plan: Plan) -> anyhow::Result<Tally> {
    stages(plan, async |stage| {
        say(&Line::<Tally>::Ready(stage))?;
        tokio::task::spawn_blocking(told).await?
    })
    .await
}

/// Reads a moment: the wall clock, microseconds UTC.
fn told() -> anyhow::Result<i64> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("read when to begin")?;
    line.trim().parse().context("no moment to begin at")
}

/// Does a plan; `when` says when each stage begins, and, last of all, that the end may come.
async fn stages(plan: Plan, when: impl AsyncFn(usize) -> anyhow::Result<i64>) -> anyhow::Result<Tally> {
    let acknowledged = plan.acknowledged.clone();
    let people = Arc::new(People::new(plan)?);
    let progress = tokio::spawn(progress(Arc::clone(&people)));
    let before = Times::own();
    for (number, stage) in people.plan.stages.iter().enumerate() {
        let ahead = Duration::from_micros(u64::try_from(when(number).await? - clock::now().0).unwrap_or(0));
        people.begin(clock::monotonic() + ahead);
        sleep(ahead).await;
        go(&people, *stage).await?;
        farewell(&people, stage.name()).await;
    }
    // Sockets stay open until nobody looks at them any more.
    when(people.plan.stages.len()).await?;
    progress.abort();
    let mut tally = people.tally().clone();
    tally.processor_s = Times::own().since(before);
    tally.connections_made_again = people.made_again();
    if let Some(path) = acknowledged {
        let mut file = BufWriter::new(File::create(&path).with_context(|| format!("write {}", path.display()))?);
        people.placed().iter().try_for_each(|it| file.write_all(it)).context("write acknowledged places")?;
        file.flush().context("write acknowledged places")?;
    }
    Ok(tally)
}

async fn go(people: &Arc<People>, stage: Stage) -> anyhow::Result<()> {
    match stage {
        Stage::Join { within_s } => join::all(people, Duration::from_secs_f64(within_s)).await?,
        Stage::Poll { every_ms, seconds } => {
            people.gate.send_replace(Gate::Open);
            poll::all(people, Duration::from_millis(every_ms), seconds).await?;
        }
        Stage::Connect { within_s } => {
            let within = Duration::from_secs_f64(within_s);
            join::each_at_its_time(people, within, |people, who, due| {
                tokio::spawn(socket::live(people, who, due));
            })
            .await?;
            connected(people).await;
        }
        Stage::Idle { seconds } => sleep(Duration::from_secs(seconds)).await,
        Stage::Admit { seconds } => socket::admit(people, seconds).await,
    }
    Ok(())
}

/// Waits until everybody has a socket, or the patience is over: then it is counted who has none.
async fn connected(people: &Arc<People>) {
    let missing = || {
        let tally = people.tally();
        (people.plan.people as u64).saturating_sub(tally.connecting.count())
    };
    let all = async {
        while missing() > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    if timeout(Duration::from_secs(people.plan.farewell_s), all).await.is_err() {
        let missing = missing();
        *people.tally().errors.entry("never connected".to_owned()).or_default() += missing;
    }
}

/// Waits until nobody waits for an answer, or the patience is over: who has none then failed.
async fn farewell(people: &Arc<People>, stage: &str) {
    let all_answered = async {
        while people.count_under_way() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    // One more second: whoever gives up says so first.
    if timeout(Duration::from_secs(people.plan.farewell_s + 1), all_answered).await.is_err() {
        let left = people.count_under_way();
        *people.tally().errors.entry(format!("{stage}: unanswered")).or_default() += left;
    }
}

async fn progress(people: Arc<People>) {
    let mut next = Instant::now();
    loop {
        next += Duration::from_secs(1);
        tokio::time::sleep_until(next).await;
        let progress = people.tally().progress();
        if say(&Line::<Tally>::Progress(progress)).is_err() {
            return;
        }
    }
}
