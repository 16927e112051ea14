//! Which keys wait behind an event that no projector can fold: what the views show of them is known to be behind.
//!
//! Invariant: whoever waited for a `Consistency-Token` finds every key here that was parked when the read models passed it:
//! the same look reads the checkpoints first, and this after them. Other reads learn of it within [`LOOK_EVERY`].

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use domain::root::Context;
use projectors::context_name;
use service_kit::problem::{Kind, Problem};
use sqlx::FromRow;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::database::{Database, Failed};

/// How often it is looked for parked keys while nobody waits for anything. There are nearly never any.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Somebody has to mend something first.
const COME_AGAIN_S: u32 = 30;

/// The parked keys, as last seen. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Stale(Arc<RwLock<Arc<Known>>>);

#[derive(Debug, Default)]
struct Known {
    /// By key: in which read models, of which topics.
    keys: HashMap<Uuid, Vec<(String, String)>>,
    /// Orders of payments that are parked.
    orders: HashSet<Uuid>,
}

#[derive(Debug, FromRow)]
struct Row {
    projection: String,
    context: String,
    key: String,
    order_id: Option<Uuid>,
}

impl Stale {
    /// Whether nothing is parked at all.
    pub fn is_empty(&self) -> bool {
        self.known().keys.is_empty()
    }

    /// Whether one of these keys is parked in a read model that these views show.
    pub fn has(&self, views: &[&str], keys: &[(Context, Uuid)]) -> bool {
        let known = self.known();
        if known.keys.is_empty() {
            return false;
        }
        let shown: Vec<&str> = views.iter().flat_map(|view| projectors::sources(view)).map(|(name, _)| name).collect();
        let parked = |(context, key): &(Context, Uuid)| {
            let places = known.keys.get(key).into_iter().flatten();
            places.into_iter().any(|(model, topic)| *topic == context_name(*context) && shown.contains(&model.as_str()))
        };
        keys.iter().any(parked)
    }

    /// Whether a payment of this order is parked.
    pub fn has_payment_of(&self, order: Uuid) -> bool {
        self.known().orders.contains(&order)
    }

    /// Whether orders of a show (of any, if none is named) may be missing, because its stock is parked where they are born.
    pub fn hides_orders(&self, show: Option<Uuid>) -> bool {
        let born = |places: &Vec<(String, String)>| {
            places.iter().any(|(model, topic)| model == "orders" && *topic == context_name(Context::Inventory))
        };
        let known = self.known();
        match show {
            Some(show) => known.keys.get(&show).is_some_and(born),
            None => known.keys.values().any(born),
        }
    }

    /// The answer to a read of what is parked.
    ///
    /// # Errors
    /// 503 `stale` if so.
    pub fn check(&self, views: &[&str], keys: &[(Context, Uuid)]) -> Result<(), Problem> {
        if self.has(views, keys) { Err(problem()) } else { Ok(()) }
    }

    /// Looks again.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn look(&self, database: &Database) -> Result<(), Failed> {
        let query = sqlx::query_as("select distinct projection, context, key, order_id from parked");
        let rows: Vec<Row> = database.ask(query.fetch_all(database.pool())).await?;
        if rows.is_empty() && self.is_empty() {
            return Ok(());
        }
        let mut known = Known::default();
        for Row { projection, context, key, order_id } in rows {
            // What is no id is nobody's to read.
            let Ok(key) = Uuid::try_parse(&key) else { continue };
            known.keys.entry(key).or_default().push((projection, context));
            known.orders.extend(order_id);
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
        Ok(())
    }

    /// Looks again and again.
    pub async fn run(self, database: Database, shutdown: CancellationToken) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            // Readiness tells of a database that does not answer.
            if let Err(Failed(error)) = self.look(&database).await {
                tracing::debug!(%error, "the parked keys could not be read");
            }
        }
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// 503 `stale`.
pub fn problem() -> Problem {
    Problem::new(Kind::Stale).retry_after_s(COME_AGAIN_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_stale_in_the_views_of_its_read_model_and_in_no_other() {
        let (order, show) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let place = |model: &str, topic: &str| (model.to_owned(), topic.to_owned());
        let keys = HashMap::from([
            (order, vec![place("orders", "order")]),
            (show, vec![place("inventory", "inventory"), place("orders", "inventory")]),
        ]);
        let stale = Stale::default();
        assert!(stale.is_empty() && !stale.has(&["orders"], &[(Context::Order, order)]));
        *stale.0.write().unwrap() = Arc::new(Known { keys, orders: HashSet::new() });
        assert!(stale.has(&["orders"], &[(Context::Order, order)]));
        assert!(!stale.has(&["tickets"], &[(Context::Order, order)]), "another read model");
        assert!(!stale.has(&["orders"], &[(Context::Ticket, order)]), "another topic");
        assert!(stale.has(&["availability"], &[(Context::Inventory, show)]));
        assert!(stale.hides_orders(Some(show)) && stale.hides_orders(None) && !stale.hides_orders(Some(order)));
    }
}
