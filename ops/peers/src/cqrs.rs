//! cqrs-es with postgres-es as they ship: one aggregate is the show's stock, its events are rows of a table, and two
//! writers at once are told apart by the primary key.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::anyhow;
use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, AggregateError, DomainEvent};
use postgres_es::{PostgresCqrs, default_postgress_pool, postgres_snapshot_cqrs};
use serde::{Deserialize, Serialize};
use service_kit::random;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::Durability;
use crate::postgres::Schema;
use crate::store::{Failure, Held, Reserved, Store, Tally, Wish};

/// The two tables of postgres-es 0.5, as its `db/init.sql` has them.
const TABLES: &str = "
CREATE TABLE events (
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    sequence bigint CHECK (sequence >= 0) NOT NULL,
    event_type text NOT NULL,
    event_version text NOT NULL,
    payload json NOT NULL,
    metadata json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);
CREATE TABLE snapshots (
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    last_sequence bigint CHECK (last_sequence >= 0) NOT NULL,
    current_snapshot bigint CHECK (current_snapshot >= 0) NOT NULL,
    payload json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, last_sequence)
);";

const TALLY: &str = "
SELECT coalesce(sum((payload->'Opened'->>'capacity')::bigint), 0)::bigint,
    coalesce(sum((payload->'Reserved'->>'quantity')::bigint), 0)::bigint,
    count(*) FILTER (WHERE event_type = 'Reserved')
FROM events";

/// Every command loads the whole stock; a snapshot so often keeps that shorter than all events since the beginning.
const EVENTS_PER_SNAPSHOT: usize = 100;
/// A command that others were faster than so many times is given up.
const TRIES: u32 = 50;
/// The longest pause before the next try.
const MAX_PAUSE_MS: u64 = 50;

/// The tickets of the one class.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stock {
    capacity: i64,
    sold: i64,
    orders: HashMap<Uuid, Held>,
}

enum Command {
    Open { capacity: i64 },
    Reserve(Wish),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Event {
    Opened { capacity: i64 },
    Reserved(Wish),
}

#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("there is such an order")]
    Before(Held),
    #[error("less is left")]
    SoldOut { available: i64 },
}

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        match self {
            Self::Opened { .. } => "Opened".to_owned(),
            Self::Reserved(_) => "Reserved".to_owned(),
        }
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

impl Aggregate for Stock {
    const TYPE: &'static str = "stock";
    type Command = Command;
    type Event = Event;
    type Error = Refusal;
    type Services = ();

    async fn handle(&mut self, command: Command, (): &(), sink: &EventSink<Self>) -> Result<(), Refusal> {
        let event = self.decide(command)?;
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Opened { capacity } => self.capacity = capacity,
            Event::Reserved(wish) => {
                self.sold += wish.quantity;
                self.orders.insert(wish.order, wish.held);
            }
        }
    }
}

impl Stock {
    fn decide(&self, command: Command) -> Result<Event, Refusal> {
        match command {
            Command::Open { capacity } => Ok(Event::Opened { capacity }),
            Command::Reserve(wish) => match self.orders.get(&wish.order) {
                Some(held) => Err(Refusal::Before(held.clone())),
                None if self.sold + wish.quantity > self.capacity => {
                    Err(Refusal::SoldOut { available: self.capacity - self.sold })
                }
                None => Ok(Event::Reserved(wish)),
            },
        }
    }
}

/// The design with what it runs on.
pub struct Cqrs {
    schema: Schema,
    framework: PostgresCqrs<Stock>,
    stock: String,
    turn: Mutex<()>,
}

impl Cqrs {
    /// Makes the tables, opens the pool that postgres-es ships, and puts the tickets on sale.
    ///
    /// # Errors
    /// The server failed, or cannot keep what the class of durability promises.
    pub async fn start(url: &str, durability: Durability, ticket_class: Uuid, capacity: i64) -> anyhow::Result<Self> {
        let schema = Schema::create(url, durability, TABLES).await?;
        let pool = default_postgress_pool(schema.url()).await;
        let framework = postgres_snapshot_cqrs(pool, Vec::new(), EVENTS_PER_SNAPSHOT, ());
        let stock = ticket_class.to_string();
        let opened = framework.execute(&stock, Command::Open { capacity }).await;
        opened.map_err(|error| anyhow!("putting tickets on sale: {error}"))?;
        Ok(Self { schema, framework, stock, turn: Mutex::default() })
    }
}

impl Store for Cqrs {
    async fn reserve(&self, wish: Wish) -> Result<Reserved, Failure> {
        // The framework lets writers of one aggregate run into each other; a process can at least queue its own.
        let _turn = self.turn.lock().await;
        for lost in 0..TRIES {
            match self.framework.execute(&self.stock, Command::Reserve(wish.clone())).await {
                Ok(()) => return Ok(Reserved::Now),
                Err(AggregateError::UserError(Refusal::Before(held))) => return Ok(Reserved::Before(held)),
                Err(AggregateError::UserError(Refusal::SoldOut { available })) => {
                    return Ok(Reserved::SoldOut { available });
                }
                Err(AggregateError::AggregateConflict) => pause(lost).await,
                Err(error) => return Err(anyhow!("executing a command: {error}").into()),
            }
        }
        Err(Failure::Contended(TRIES))
    }

    async fn tally(&self) -> anyhow::Result<Tally> {
        let row = self.schema.admin().query_one(TALLY, &[]).await?;
        Ok(Tally { capacity: row.try_get(0)?, sold: row.try_get(1)?, orders: row.try_get(2)? })
    }

    async fn close(&self) -> anyhow::Result<()> {
        self.schema.drop().await
    }
}

/// Longer each time, and each writer another time, so that they do not come back together.
async fn pause(lost: u32) {
    let longest = (1_u64 << lost.min(10)).min(MAX_PAUSE_MS);
    tokio::time::sleep(Duration::from_millis(random::below(longest + 1))).await;
}
