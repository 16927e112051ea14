//! Takes away what an installation leaves on servers that others use, too: Kafka needs a minute to start over a thousand
//! partitions.

use anyhow::Context as _;
use event_log::kafka::KafkaSettings;
use event_log::topics;
use local_stack::Endpoints;
use sqlx::{Connection as _, PgConnection};

/// Deletes a namespace's topics and database schemas. Tells what could not be deleted, and is left.
pub async fn forget(endpoints: &Endpoints, namespace: &str) -> Vec<anyhow::Error> {
    let kafka = KafkaSettings::new(&endpoints.kafka, namespace, "boxctl");
    let topics = topics::forget(&kafka).await.context("delete the topics");
    let tables = schemas_of(endpoints, namespace).await.context("delete the read models");
    [topics, tables].into_iter().filter_map(Result::err).collect()
}

async fn schemas_of(endpoints: &Endpoints, namespace: &str) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(&endpoints.postgres).await?;
    Ok(projectors::forget(&mut connection, &projectors::Names::of(namespace)?).await?)
}
