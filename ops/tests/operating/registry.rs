//! A registry that lost everything gets its ids back, and the events of before are read again.

use domain::event::Event;
use domain::ids::{OrderId, ShowId};
use domain::order::{OrderStuck, Step};
use domain::root::Meta;
use domain::value::Timestamp;
use event_log::kafka::KafkaSettings;
use event_log::topics::{self, Layout};
use local_stack::{EphemeralStack, Server};
use ops::registry::{compare, put_back};
use schemas::{Codec, Ids, Registry, lookup_all, register_all};
use uuid::Uuid;

use super::{boxctl, site};

fn event() -> (Meta, Event) {
    let meta = Meta {
        event_id: Uuid::from_u128(1),
        occurred_at: Timestamp(7),
        version: 1,
        correlation_id: Uuid::from_u128(2),
        causation_id: Uuid::from_u128(3),
        actor: "system".to_owned(),
    };
    let (order, show) = (OrderId(Uuid::from_u128(4)), ShowId(Uuid::from_u128(5)));
    let stuck = OrderStuck { order, show, step: Step::Saga, reason: "a test".to_owned() };
    (meta, Event::Order(stuck.into()))
}

async fn lose(stack: &EphemeralStack) {
    let config = stack.config().clone();
    let emptied = tokio::task::spawn_blocking(move || {
        local_stack::lose(&config, Server::Registry)?;
        local_stack::start(&config, Server::Registry)
    });
    emptied.await.unwrap().unwrap();
}

async fn init(stack: &EphemeralStack, namespace: &str) -> Ids {
    let kafka = KafkaSettings::new(&stack.endpoints().kafka, namespace, "test");
    topics::init(&kafka, &stack.endpoints().registry, Layout::local(1)).await.unwrap().ids
}

#[tokio::test]
async fn a_lost_registry_is_restored_with_the_same_ids_and_old_events_are_read() {
    let stack = tokio::task::spawn_blocking(|| EphemeralStack::start(&mut |line| eprintln!("{line}")));
    let stack = stack.await.unwrap().unwrap();
    let url = stack.endpoints().registry.clone();
    // Two of them share the registry, and so the ids of what is the same text.
    let (first, second) = (init(&stack, "one").await, init(&stack, "two").await);
    let (one, two) = (site(&stack.endpoints().kafka, &url, "one"), site(&stack.endpoints().kafka, &url, "two"));
    let (meta, said) = event();
    let value = Codec::new(first.clone(), Registry::new(&url).unwrap()).encode(&meta, &said).unwrap();
    assert_eq!(boxctl(&one, &["schemas", "check"]).await.0, 0);

    lose(&stack).await;
    let (code, text, _) = boxctl(&one, &["schemas", "check"]).await;
    assert!(code == 1 && text.contains("boxctl schemas restore"), "{text}");
    let (code, _, refused) = boxctl(&one, &["schemas", "restore"]).await;
    assert!(code == 2 && refused.contains("--yes"), "{refused}");
    let (code, text, complaint) = boxctl(&one, &["schemas", "restore", "--yes"]).await;
    assert_eq!(code, 0, "{text}{complaint}");
    let (code, deeds, complaint) = boxctl(&one, &["audit", "--json"]).await;
    assert!(code == 0 && deeds.contains("schemas restore") && deeds.contains("\"ids\""), "{deeds}{complaint}");
    assert_eq!(lookup_all(&url, "one").await.unwrap(), first);
    put_back(&two, &compare(&two).await.unwrap().lost()).await.unwrap();
    assert!(compare(&two).await.unwrap().holds);
    assert_eq!(lookup_all(&url, "two").await.unwrap(), second);
    let codec = Codec::new(lookup_all(&url, "one").await.unwrap(), Registry::new(&url).unwrap());
    assert_eq!(codec.decode(&value).unwrap(), (meta, said));
    // It goes on as before: what is registered is known, and new ids do not collide with old ones.
    assert_eq!(init(&stack, "one").await, first);
    assert_eq!(boxctl(&one, &["schemas", "restore", "--yes"]).await.0, 0, "nothing is lost");

    lose(&stack).await;
    // Somebody fills it anew: the same ids mean other schemas.
    let registry = Registry::new(&url).unwrap();
    registry.register("stranger", r#"{"type": "record", "name": "Stranger", "fields": []}"#).await.unwrap();
    register_all(&url, "one").await.unwrap();
    let (code, _, refused) = boxctl(&one, &["schemas", "restore", "--yes"]).await;
    assert!(code == 1 && refused.contains("nothing was restored"), "{refused}");
}
