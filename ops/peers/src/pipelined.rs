//! Postgres as well as it can be done: one function call per reservation, which takes the hot row first, and one
//! connection on which calls do not wait for each other's answers.
//!
//! With one connection nobody ever waits for the row's lock, and no call costs more than its share of a round trip.

use tokio_postgres::{Client, Row, Statement};
use uuid::Uuid;

use crate::Durability;
use crate::postgres::{self, Schema, TABLES, TALLY};
use crate::store::{Failure, Held, Reserved, Store, Tally, Wish};

/// Each call is a transaction of its own. A repeat gives back what it took, for which nobody else can have waited.
pub const FUNCTION: &str = "
CREATE FUNCTION reserve(
    wished uuid, class uuid, tickets bigint, price bigint, what text, who text, print uuid, key uuid, moment bigint,
    OUT fresh boolean, OUT free bigint,
    OUT first_who text, OUT first_print uuid, OUT first_key uuid, OUT first_moment bigint
) LANGUAGE plpgsql AS $$
BEGIN
    fresh := false;
    UPDATE stock SET sold = sold + tickets WHERE ticket_class = class AND sold + tickets <= capacity;
    IF FOUND THEN
        INSERT INTO orders (id, ticket_class, quantity, total, details, principal, fingerprint, command, at_us)
        VALUES (wished, class, tickets, price, what, who, print, key, moment) ON CONFLICT (id) DO NOTHING;
        IF FOUND THEN
            fresh := true;
            RETURN;
        END IF;
        UPDATE stock SET sold = sold - tickets WHERE ticket_class = class;
    END IF;
    SELECT principal, fingerprint, command, at_us INTO first_who, first_print, first_key, first_moment
    FROM orders WHERE id = wished;
    IF NOT FOUND THEN
        SELECT capacity - sold INTO free FROM stock WHERE ticket_class = class;
    END IF;
END $$;";

const CALL: &str = "SELECT * FROM reserve($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// The design with what it runs on.
pub struct Pipelined {
    schema: Schema,
    client: Client,
    call: Statement,
    ticket_class: Uuid,
}

impl Pipelined {
    /// Makes the tables and the function, and opens the one connection.
    ///
    /// # Errors
    /// The server failed, or cannot keep what the class of durability promises.
    pub async fn start(url: &str, durability: Durability, ticket_class: Uuid, capacity: i64) -> anyhow::Result<Self> {
        let schema = Schema::create(url, durability, &format!("{TABLES}{FUNCTION}")).await?;
        schema.stock(ticket_class, capacity).await?;
        let client = postgres::connect(schema.url()).await?;
        let call = client.prepare(CALL).await?;
        Ok(Self { schema, client, call, ticket_class })
    }
}

impl Store for Pipelined {
    async fn reserve(&self, wish: Wish) -> Result<Reserved, Failure> {
        let Wish { order, quantity, total, details, held } = wish;
        let Held { principal, fingerprint, command, at_us } = held;
        let (class, id) = (&self.ticket_class, &order);
        let row = self
            .client
            .query_one(
                &self.call,
                &[id, class, &quantity, &total, &details, &principal, &fingerprint, &command, &at_us],
            )
            .await?;
        outcome(&row)
    }

    async fn tally(&self) -> anyhow::Result<Tally> {
        let row = self.schema.admin().query_one(TALLY, &[]).await?;
        Ok(Tally { capacity: row.try_get(0)?, sold: row.try_get(1)?, orders: row.try_get(2)? })
    }

    async fn close(&self) -> anyhow::Result<()> {
        self.schema.drop().await
    }
}

/// What the function answered.
///
/// # Errors
/// It answered something else.
pub fn outcome(row: &Row) -> Result<Reserved, Failure> {
    if row.try_get(0)? {
        return Ok(Reserved::Now);
    }
    if let Some(available) = row.try_get(1)? {
        return Ok(Reserved::SoldOut { available });
    }
    Ok(Reserved::Before(Held {
        principal: row.try_get(2)?,
        fingerprint: row.try_get(3)?,
        command: row.try_get(4)?,
        at_us: row.try_get(5)?,
    }))
}
