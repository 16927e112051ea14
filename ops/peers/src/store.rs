//! What a design has to do: hold tickets for an order, once, and never more than there are.

use std::future::Future;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An order that was found valid: what is asked for, by whom, and what has to be kept of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// The order's id, which the buyer chose.
    pub order: Uuid,
    /// So many tickets of the one class.
    pub quantity: i64,
    /// What they cost together, in minor units.
    pub total: i64,
    /// Who buys and how it is paid, as JSON. Never logged.
    pub details: String,
    /// What a repeat is recognised by.
    #[serde(flatten)]
    pub held: Held,
}

/// What is kept to recognise a repeat of an order and to answer it as the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Who asked.
    pub principal: String,
    /// HMAC of the body.
    pub fingerprint: Uuid,
    /// What the `Idempotency-Key` of the request leads to, if it had one.
    pub command: Option<Uuid>,
    /// When, microseconds UTC.
    pub at_us: i64,
}

/// What became of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// The tickets are held, from now on.
    Now,
    /// There was an order of this id, and nothing was changed.
    Before(Held),
    /// Less is left than was asked for.
    SoldOut {
        /// So many are left.
        available: i64,
    },
}

/// Why nobody knows what became of a wish, or nothing did.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The store did not answer as it should; the wish may have come true.
    #[error("asking the store")]
    InDoubt(#[source] anyhow::Error),
    /// Others were faster too many times; nothing was changed.
    #[error("others were faster {0} times")]
    Contended(u32),
}

/// What the store itself counts, for the verdict of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Tickets that there were.
    pub capacity: i64,
    /// Tickets of all orders, added up.
    pub sold: i64,
    /// Orders.
    pub orders: i64,
}

/// One design.
pub trait Store: Send + Sync + 'static {
    /// Holds the tickets of an order, durable as the class of durability says when this returns.
    ///
    /// # Errors
    /// The store failed, or others were faster too many times.
    fn reserve(&self, wish: Wish) -> impl Future<Output = Result<Reserved, Failure>> + Send;

    /// Counts what the store holds.
    ///
    /// # Errors
    /// The store failed.
    fn tally(&self) -> impl Future<Output = anyhow::Result<Tally>> + Send;

    /// Ends in order, and removes what was made.
    ///
    /// # Errors
    /// Something could not be removed.
    fn close(&self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

macro_rules! in_doubt {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::InDoubt(error.into())
            }
        })*
    };
}

in_doubt!(anyhow::Error, sqlx::Error, tokio_postgres::Error, redis::RedisError, serde_json::Error);
