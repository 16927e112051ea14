//! Read your writes: waits until the read models behind a view have passed a `Consistency-Token`.
//!
//! One task looks at the checkpoints for everybody who waits, so that many waiters ask no more than one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::root::Context;
use service_kit::consistency::{Position, Token};
use service_kit::problem::{Kind, Problem};
use sqlx::FromRow;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::database::{Database, Failed};
use crate::stale::Stale;

/// What was seen so recently needs no second look.
const FRESH: Duration = Duration::from_millis(500);
/// A waiter asks for another look after so long, should no notification come.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Looks are at least so far apart.
const PAUSE: Duration = Duration::from_millis(3);
/// Even who does not want to wait waits for one look, but not longer than this.
const ONE_LOOK: Duration = Duration::from_secs(2);

/// One partition of one read model.
type Place = (String, String, i32);
/// How far it has come: the next offset, and in which log.
type Reached = (i64, Option<Uuid>);

/// How far the read models have come. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    seen: watch::Sender<Look>,
    wanted: Notify,
    waiting: AtomicUsize,
}

/// One look at the checkpoints, and when it began.
#[derive(Debug)]
enum Look {
    Never,
    Failed(Instant),
    Seen(Instant, HashMap<Place, Reached>),
}

#[derive(FromRow)]
struct Row {
    projection: String,
    context: String,
    partition: i32,
    next_offset: i64,
    identity: Option<Uuid>,
}

/// Somebody waits, until this is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Progress {
    /// Nothing is seen until `run` runs.
    pub fn new() -> Self {
        let (seen, _) = watch::channel(Look::Never);
        Self(Arc::new(Inner { seen, wanted: Notify::new(), waiting: AtomicUsize::new(0) }))
    }

    /// The checkpoints moved: look again if somebody waits for it.
    pub fn moved(&self) {
        if self.0.waiting.load(Ordering::SeqCst) > 0 {
            self.0.wanted.notify_one();
        }
    }

    /// Waits until everything of the token that these views show is in them.
    ///
    /// # Errors
    /// 504 `not-caught-up` at the deadline, 503 `not-ready` if the database does not answer.
    pub async fn reached(&self, token: &Token, views: &[&str], deadline: Instant) -> Result<(), Problem> {
        let needs = needs(token, views);
        if needs.is_empty() {
            return Ok(());
        }
        let arrived = Instant::now();
        let _waiting = Waiting::begin(&self.0.waiting);
        let mut seen = self.0.seen.subscribe();
        if passed(&seen.borrow_and_update(), &needs, arrived.checked_sub(FRESH).unwrap_or(arrived)) == Some(true) {
            return Ok(());
        }
        self.0.wanted.notify_one();
        let no_longer = deadline.max(arrived + ONE_LOOK);
        loop {
            if timeout_at(no_longer.min(Instant::now() + LOOK_EVERY), seen.changed()).await.is_err() {
                self.0.wanted.notify_one();
            }
            let answer = match &*seen.borrow_and_update() {
                Look::Failed(began) if *began >= arrived => return Err(Problem::new(Kind::NotReady)),
                look => passed(look, &needs, arrived),
            };
            let now = Instant::now();
            match answer {
                Some(true) => return Ok(()),
                Some(false) if now >= deadline => return Err(Problem::new(Kind::NotCaughtUp)),
                None if now >= no_longer => return Err(Problem::new(Kind::NotReady)),
                Some(false) | None => {}
            }
        }
    }

    /// Looks whenever somebody wants it.
    pub async fn run(self, database: Database, stale: Stale, shutdown: CancellationToken) {
        while shutdown.run_until_cancelled(self.0.wanted.notified()).await.is_some() {
            let began = Instant::now();
            let look = match look(&database, &stale).await {
                Ok(places) => Look::Seen(began, places),
                Err(failed) => {
                    tracing::warn!(error = %failed.0, "the checkpoints could not be read");
                    Look::Failed(began)
                }
            };
            self.0.seen.send_replace(look);
            sleep(PAUSE).await;
        }
    }
}

/// Whether a look that began since then has passed all of this; `None` if there was no such look.
fn passed(look: &Look, needs: &[(Place, Position)], since: Instant) -> Option<bool> {
    match look {
        Look::Seen(began, reached) if *began >= since => Some(needs.iter().all(|(place, position)| {
            reached.get(place).is_some_and(|&(next, log)| next > position.offset && log == Some(position.log))
        })),
        Look::Seen(..) | Look::Failed(_) | Look::Never => None,
    }
}

/// What of the token the views show: a topic that none of their read models folds is nothing to wait for.
fn needs(token: &Token, views: &[&str]) -> Vec<(Place, Position)> {
    let mut needs: Vec<(Place, Position)> = Vec::new();
    let sources: Vec<(&'static str, &'static [Context])> =
        views.iter().flat_map(|view| projectors::sources(view)).collect();
    for (context, partition, position) in token.positions() {
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        for (model, contexts) in &sources {
            let place = ((*model).to_owned(), projectors::context_name(context).to_owned(), number);
            if contexts.contains(&context) && !needs.iter().any(|(known, _)| *known == place) {
                needs.push((place, position));
            }
        }
    }
    needs
}

/// Where everything stands, and after that what is parked there.
async fn look(database: &Database, stale: &Stale) -> Result<HashMap<Place, Reached>, Failed> {
    let query = sqlx::query_as("select projection, context, partition, next_offset, identity from checkpoints");
    let rows: Vec<Row> = database.ask(query.fetch_all(database.pool())).await?;
    let reached = rows.into_iter().map(|it| ((it.projection, it.context, it.partition), (it.next_offset, it.identity)));
    let reached = reached.collect();
    stale.look(database).await?;
    Ok(reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: Uuid = Uuid::from_u128(1);

    fn models(token: &Token, views: &[&str]) -> Vec<String> {
        needs(token, views)
            .into_iter()
            .map(|((model, context, number), _)| format!("{model}/{context}/{number}"))
            .collect()
    }

    #[test]
    fn only_read_models_that_fold_the_topic_are_waited_for() {
        let mut token = Token::at(Context::Inventory, 3, 9, LOG);
        token.merge(&Token::at(Context::Ticket, 1, 9, LOG));
        assert_eq!(models(&token, &["orders"]), ["orders/inventory/3"]);
        assert_eq!(models(&token, &["availability", "orders"]), ["inventory/inventory/3", "orders/inventory/3"]);
        assert_eq!(models(&token, &["orders", "tickets"]), ["orders/inventory/3", "tickets/ticket/1"]);
        assert!(models(&token, &["shows"]).is_empty());
    }

    #[test]
    fn a_write_is_passed_by_a_later_offset_of_the_same_log() {
        let now = Instant::now();
        let needs = needs(&Token::at(Context::Order, 2, 41, LOG), &["orders"]);
        let at = |next, log| Look::Seen(now, HashMap::from([(needs[0].0.clone(), (next, log))]));
        assert_eq!(passed(&at(42, Some(LOG)), &needs, now), Some(true));
        assert_eq!(passed(&at(41, Some(LOG)), &needs, now), Some(false));
        assert_eq!(passed(&at(99, Some(Uuid::nil())), &needs, now), Some(false));
        assert_eq!(passed(&at(99, None), &needs, now), Some(false));
        assert_eq!(passed(&Look::Seen(now, HashMap::new()), &needs, now), Some(false));
        assert_eq!(passed(&at(42, Some(LOG)), &needs, now + FRESH), None);
        assert_eq!(passed(&Look::Failed(now), &needs, now), None);
    }
}
