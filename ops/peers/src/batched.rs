//! As `pipelined`, but whatever waits while a call is under way goes together into the next: one statement and one commit
//! for all of them, so that a slow disk is waited for once a batch.
//!
//! This is more than what a user would usually pick, and less than `pipelined` in one thing: orders share the fate of
//! their batch.

use tokio::sync::{mpsc, oneshot};
use tokio_postgres::{Client, Row, Statement};
use uuid::Uuid;

use crate::Durability;
use crate::pipelined::{FUNCTION, outcome};
use crate::postgres::{self, Schema, TABLES, TALLY};
use crate::store::{Failure, Reserved, Store, Tally, Wish};

/// Orders of one batch; the edge lets no more than some thousands wait.
const MOST: usize = 256;

/// The function of `pipelined` for each order, in the order they came.
const CALL: &str = "
SELECT held.*
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::uuid[], $7::uuid[], $8::bigint[])
    WITH ORDINALITY AS wish (id, quantity, total, details, principal, fingerprint, command, at_us, place),
    LATERAL reserve(wish.id, $9, wish.quantity, wish.total, wish.details, wish.principal, wish.fingerprint,
        wish.command, wish.at_us) AS held
ORDER BY wish.place";

/// An order that waits, and whom to tell.
type Waiting = (Wish, oneshot::Sender<Result<Reserved, Failure>>);

/// The design with what it runs on.
pub struct Batched {
    schema: Schema,
    waiting: mpsc::Sender<Waiting>,
}

impl Batched {
    /// Makes the tables and the function, and opens the one connection.
    ///
    /// # Errors
    /// The server failed, or cannot keep what the class of durability promises.
    pub async fn start(url: &str, durability: Durability, ticket_class: Uuid, capacity: i64) -> anyhow::Result<Self> {
        let schema = Schema::create(url, durability, &format!("{TABLES}{FUNCTION}")).await?;
        schema.stock(ticket_class, capacity).await?;
        let client = postgres::connect(schema.url()).await?;
        let call = client.prepare(CALL).await?;
        let (waiting, received) = mpsc::channel(16 * MOST);
        tokio::spawn(serve(client, call, ticket_class, received));
        Ok(Self { schema, waiting })
    }
}

impl Store for Batched {
    async fn reserve(&self, wish: Wish) -> Result<Reserved, Failure> {
        let (answer, answered) = oneshot::channel();
        let gone = || Failure::InDoubt(anyhow::anyhow!("nobody serves batches any more"));
        self.waiting.send((wish, answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    async fn tally(&self) -> anyhow::Result<Tally> {
        let row = self.schema.admin().query_one(TALLY, &[]).await?;
        Ok(Tally { capacity: row.try_get(0)?, sold: row.try_get(1)?, orders: row.try_get(2)? })
    }

    async fn close(&self) -> anyhow::Result<()> {
        self.schema.drop().await
    }
}

async fn serve(client: Client, call: Statement, ticket_class: Uuid, mut received: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(MOST);
    while received.recv_many(&mut batch, MOST).await > 0 {
        let (wishes, answers): (Vec<Wish>, Vec<_>) = batch.drain(..).unzip();
        match ask(&client, &call, ticket_class, &wishes).await {
            Ok(rows) if rows.len() == answers.len() => {
                for (row, answer) in rows.iter().zip(answers) {
                    // Whoever gave up waiting is not told.
                    let _ = answer.send(outcome(row));
                }
            }
            Ok(rows) => tracing::error!(asked = answers.len(), answered = rows.len(), "a batch was answered in part"),
            Err(error) => {
                // One for all of them, but each is told of a failure of its own.
                let told = format!("{:#}", anyhow::Error::from(error));
                for answer in answers {
                    let _ = answer.send(Err(Failure::InDoubt(anyhow::anyhow!(told.clone()))));
                }
            }
        }
    }
}

async fn ask(
    client: &Client,
    call: &Statement,
    ticket_class: Uuid,
    wishes: &[Wish],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let ids: Vec<_> = wishes.iter().map(|wish| wish.order).collect();
    let quantities: Vec<_> = wishes.iter().map(|wish| wish.quantity).collect();
    let totals: Vec<_> = wishes.iter().map(|wish| wish.total).collect();
    let details: Vec<_> = wishes.iter().map(|wish| wish.details.as_str()).collect();
    let principals: Vec<_> = wishes.iter().map(|wish| wish.held.principal.as_str()).collect();
    let fingerprints: Vec<_> = wishes.iter().map(|wish| wish.held.fingerprint).collect();
    let commands: Vec<_> = wishes.iter().map(|wish| wish.held.command).collect();
    let moments: Vec<_> = wishes.iter().map(|wish| wish.held.at_us).collect();
    let row: [&(dyn tokio_postgres::types::ToSql + Sync); 9] =
        [&ids, &quantities, &totals, &details, &principals, &fingerprints, &commands, &moments, &ticket_class];
    client.query(call, &row).await
}
