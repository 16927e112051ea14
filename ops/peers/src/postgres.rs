//! A schema of one's own on somebody's Postgres server, dropped at the end.

use anyhow::{Context as _, ensure};
use service_kit::random;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use crate::Durability;

/// The tables of the designs that keep rows: as little as can be, so that nothing slows them down.
///
/// The stock's page has room for new versions of its row, which Postgres then prunes while it goes; `orders` has its
/// primary key and no other index.
pub const TABLES: &str = "
CREATE TABLE stock (
    ticket_class uuid PRIMARY KEY,
    capacity bigint NOT NULL,
    sold bigint NOT NULL DEFAULT 0 CHECK (sold BETWEEN 0 AND capacity)
) WITH (fillfactor = 10);
CREATE TABLE orders (
    id uuid PRIMARY KEY,
    ticket_class uuid NOT NULL,
    quantity bigint NOT NULL,
    total bigint NOT NULL,
    details text NOT NULL,
    principal text NOT NULL,
    fingerprint uuid NOT NULL,
    command uuid,
    at_us bigint NOT NULL
);";

/// What is counted at the end, in one snapshot.
pub const TALLY: &str = "SELECT (SELECT sum(capacity) FROM stock)::bigint,
    (SELECT coalesce(sum(quantity), 0) FROM orders)::bigint, (SELECT count(*) FROM orders)";

/// A schema, and a connection to look after it.
pub struct Schema {
    admin: Client,
    name: String,
    url: String,
}

impl Schema {
    /// Makes a new schema with these tables.
    ///
    /// # Errors
    /// The server cannot be reached, or cannot keep what the class of durability promises.
    pub async fn create(server: &str, durability: Durability, tables: &str) -> anyhow::Result<Self> {
        let name = format!("peer_{}", random::opaque_id().simple());
        let commit = match durability {
            Durability::D1 => "on",
            Durability::D2 => "off",
        };
        let options = format!("-c search_path={name} -c synchronous_commit={commit}");
        let options = options.replace(' ', "%20").replace('=', "%3D");
        let url = format!("{server}{}options={options}", if server.contains('?') { '&' } else { '?' });
        let admin = connect(&url).await?;
        if durability == Durability::D1 {
            let fsync: String = admin.query_one("SELECT current_setting('fsync')", &[]).await?.get(0);
            ensure!(fsync == "on", "--durability d1 needs a Postgres server with fsync = on; this one has {fsync}");
        }
        admin.batch_execute(&format!("CREATE SCHEMA {name}; {tables}")).await.context("making the tables")?;
        Ok(Self { admin, name, url })
    }

    /// Puts the tickets on sale.
    ///
    /// # Errors
    /// The server failed.
    pub async fn stock(&self, ticket_class: Uuid, capacity: i64) -> anyhow::Result<()> {
        let insert = "INSERT INTO stock (ticket_class, capacity) VALUES ($1, $2)";
        self.admin.execute(insert, &[&ticket_class, &capacity]).await.context("putting tickets on sale")?;
        Ok(())
    }

    /// The server's URL with this schema and the class of durability as the connection's settings.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The connection that looks after the schema.
    pub fn admin(&self) -> &Client {
        &self.admin
    }

    /// Drops everything.
    ///
    /// # Errors
    /// The server failed.
    pub async fn drop(&self) -> anyhow::Result<()> {
        let drop = format!("DROP SCHEMA {} CASCADE", self.name);
        self.admin.batch_execute(&drop).await.with_context(|| format!("dropping the schema {}", self.name))
    }
}

/// One connection, driven by a task of its own.
///
/// # Errors
/// The server cannot be reached.
pub async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("connecting to --postgres")?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::error!(%error, "a connection to Postgres broke");
        }
    });
    Ok(client)
}
