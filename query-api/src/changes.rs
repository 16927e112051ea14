//! Who waits for a change of an order or a waiting room is woken by what projectors notify: one connection listens for
//! everybody.
//!
//! A notification is only a hint to look again. Any may be lost, so every waiter also looks from time to time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use service_kit::random;
use sqlx::postgres::{PgListener, PgNotification};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::boards::Boards;
use crate::database::Database;
use crate::progress::Progress;

/// While notifications come, waiters look by themselves only so often (up to half as much again).
const LOOK_SELDOM: Duration = Duration::from_secs(15);
/// While they do not, so often.
const LOOK_OFTEN: Duration = Duration::from_secs(2);
/// A connection that was silent for so long is asked whether it is still there.
const SILENT: Duration = Duration::from_secs(10);
/// It has so long to answer.
const ALIVE_WITHIN: Duration = Duration::from_secs(5);
/// The first pause before connecting anew; doubled up to [`MOST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const MOST_PAUSE: Duration = Duration::from_secs(5);

/// Who waits for which order. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Changes(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    orders: Mutex<HashMap<Uuid, watch::Sender<()>>>,
    listening: AtomicBool,
}

/// Who else hears of notifications.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Of checkpoints that moved.
    pub progress: Progress,
    /// Of waiting rooms that moved on.
    pub boards: Boards,
}

/// Hears of changes of one order since it was made; several at once are one.
#[derive(Debug)]
pub struct Subscription {
    changes: Changes,
    order: Uuid,
    /// Taken only when dropped.
    heard: Option<watch::Receiver<()>>,
}

impl Changes {
    /// Subscribe first, look then: nothing is missed in between.
    pub fn of_order(&self, order: Uuid) -> Subscription {
        let heard = self.orders().entry(order).or_insert_with(|| watch::channel(()).0).subscribe();
        Subscription { changes: self.clone(), order, heard: Some(heard) }
    }

    /// How many orders somebody waits for.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.orders().len()
    }

    fn orders(&self) -> MutexGuard<'_, HashMap<Uuid, watch::Sender<()>>> {
        self.0.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, order: &Uuid) {
        if let Some(waiting) = self.orders().get(order) {
            waiting.send_replace(());
        }
    }

    fn wake_all(&self) {
        self.orders().values().for_each(|waiting| waiting.send_replace(()));
    }

    /// Listens until the process stops, and connects again whenever the connection is lost.
    pub async fn listen(self, database: Database, heard: Heard, shutdown: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        while !shutdown.is_cancelled() {
            let listened = shutdown.run_until_cancelled(self.follow(&database, &heard, &mut pause)).await;
            self.0.listening.store(false, Ordering::Relaxed);
            if let Some(error) = listened {
                tracing::warn!(%error, "no notifications come; waiting reads look by themselves");
                metrics::counter!("boxoffice_listen_failures_total").increment(1);
                shutdown.run_until_cancelled(sleep(pause)).await;
                pause = (pause * 2).min(MOST_PAUSE);
            }
        }
    }

    /// Until the connection is lost.
    async fn follow(&self, database: &Database, heard: &Heard, pause: &mut Duration) -> sqlx::Error {
        let names = database.names();
        let (orders, queues, control) = (names.orders_channel(), names.queues_channel(), names.control_channel());
        let checkpoints = names.checkpoints_channel();
        let channels = [orders.as_str(), queues.as_str(), control.as_str(), checkpoints.as_str()];
        let mut listener = match connect(database, channels).await {
            Ok(listener) => listener,
            Err(error) => return error,
        };
        self.0.listening.store(true, Ordering::Relaxed);
        *pause = FIRST_PAUSE;
        // Whatever happened before was not heard.
        self.wake_all();
        heard.boards.outdated();
        heard.progress.moved();
        loop {
            match next(&mut listener).await {
                Ok(Some(told)) if told.channel() == orders => self.told(told.payload()),
                Ok(Some(told)) if told.channel() == queues => heard.boards.told(told.payload()),
                Ok(Some(told)) if told.channel() == control => {
                    heard.boards.outdated();
                    // Orders that somebody waits for may be told otherwise, too.
                    self.wake_all();
                }
                Ok(Some(_)) => heard.progress.moved(),
                Ok(None) => {}
                Err(error) => return error,
            }
        }
    }

    /// Ids as 32 hex digits each, comma between.
    fn told(&self, payload: &str) {
        for id in payload.split(',') {
            match Uuid::try_parse(id) {
                Ok(order) => self.wake(&order),
                Err(_) => self.wake_all(),
            }
        }
    }

    fn look_every(&self) -> Duration {
        if !self.0.listening.load(Ordering::Relaxed) {
            return LOOK_OFTEN;
        }
        let half_ms = u64::try_from(LOOK_SELDOM.as_millis() / 2).unwrap_or(0);
        LOOK_SELDOM + Duration::from_millis(random::below(half_ms))
    }
}

async fn connect(database: &Database, channels: [&str; 4]) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(&database.lone_pool()).await?;
    listener.eager_reconnect(false);
    listener.listen_all(channels).await?;
    Ok(listener)
}

/// The next notification; none if there was none for a while, and the connection is still there.
async fn next(listener: &mut PgListener) -> Result<Option<PgNotification>, sqlx::Error> {
    match timeout(SILENT, listener.try_recv()).await {
        Ok(Ok(Some(told))) => Ok(Some(told)),
        Ok(Ok(None)) => Err(sqlx::Error::WorkerCrashed),
        Ok(Err(error)) => Err(error),
        Err(_) => match timeout(ALIVE_WITHIN, sqlx::query("select 1").execute(listener)).await {
            Ok(answered) => answered.map(|_| None),
            Err(_) => Err(sqlx::Error::PoolTimedOut),
        },
    }
}

impl Subscription {
    /// Waits until it is worth to look again: something changed, it is time anyway, or the deadline has come.
    pub async fn changed(&mut self, deadline: Instant) {
        let look_at = deadline.min(Instant::now() + self.changes.look_every());
        if let Some(heard) = &mut self.heard {
            // The sender lives as long as anybody listens.
            let _ = timeout_at(look_at, heard.changed()).await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut orders = self.changes.orders();
        // Inside the lock, so that of two the later one sees that nobody is left.
        self.heard = None;
        if orders.get(&self.order).is_some_and(|waiting| waiting.receiver_count() == 0) {
            orders.remove(&self.order);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    async fn hears(subscription: &mut Subscription) -> bool {
        let soon = Instant::now() + Duration::from_millis(50);
        subscription.changed(soon).await;
        Instant::now() < soon
    }

    #[tokio::test]
    async fn only_who_waits_for_it_hears_and_several_changes_are_one() {
        let changes = Changes::default();
        let (mut one, mut two) = (changes.of_order(id(1)), changes.of_order(id(2)));
        changes.told(&format!("{},{}", id(1).simple(), id(1).simple()));
        assert!(hears(&mut one).await && !hears(&mut one).await && !hears(&mut two).await);
        changes.told("not an id");
        assert!(hears(&mut one).await && hears(&mut two).await);
    }

    #[tokio::test]
    async fn nothing_is_kept_of_who_left() {
        let changes = Changes::default();
        let (one, mut same) = (changes.of_order(id(1)), changes.of_order(id(1)));
        drop(one);
        changes.wake(&id(1));
        assert!(hears(&mut same).await);
        drop(same);
        assert_eq!(changes.len(), 0);
    }
}
