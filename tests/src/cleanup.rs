//! Takes away what a world leaves on the shared stack: Kafka needs a minute to start over a thousand partitions.

use event_log::kafka::KafkaSettings;
use event_log::topics;
use local_stack::Endpoints;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Deletes a namespace's topics and database schemas. What cannot be deleted is told and left.
pub async fn forget(endpoints: &Endpoints, namespace: &str) {
    let settings = KafkaSettings::new(&endpoints.kafka, namespace, "test");
    for gone in [topics::forget(&settings).await.map_err(Into::into), schemas_of(endpoints, namespace).await] {
        if let Err(error) = gone {
            eprintln!("{namespace} is left behind: {error:#}");
        }
    }
}

async fn schemas_of(endpoints: &Endpoints, namespace: &str) -> anyhow::Result<()> {
    let names = projectors::Names::of(namespace)?;
    let mut connection = PgConnection::connect(&endpoints.postgres).await?;
    let tables = projectors::LAYOUTS.iter().map(|layout| names.tables(layout));
    for schema in std::iter::once(names.views()).chain(tables) {
        sqlx::query(AssertSqlSafe(format!("drop schema if exists {schema} cascade"))).execute(&mut connection).await?;
    }
    Ok(())
}
