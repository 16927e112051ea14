//! Takes away what a world leaves on the shared stack: Kafka needs a minute to start over a thousand partitions.

use domain::root::Context;
use event_log::kafka::KafkaSettings;
use event_log::topics;
use local_stack::Endpoints;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Deletes a namespace's topics and database schemas. What cannot be deleted is told and left.
pub async fn forget(endpoints: &Endpoints, namespace: &str) {
    for gone in [topics_of(endpoints, namespace).await, schemas_of(endpoints, namespace).await] {
        if let Err(error) = gone {
            eprintln!("{namespace} is left behind: {error:#}");
        }
    }
}

async fn topics_of(endpoints: &Endpoints, namespace: &str) -> anyhow::Result<()> {
    let settings = KafkaSettings::new(&endpoints.kafka, namespace, "test");
    let names = Context::ALL.iter().map(|context| settings.name(context.topic()));
    let compacted =
        [topics::person_keys(&settings, 4), topics::event_schemas(&settings), topics::partition_owners(&settings)];
    let compacted = compacted.map(|topic| topic.name);
    let names: Vec<String> = names.chain(compacted).collect();
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &endpoints.kafka).create()?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    admin.delete_topics(&names, &AdminOptions::new()).await?;
    Ok(())
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
