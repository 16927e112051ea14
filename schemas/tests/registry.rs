//! Against a real registry.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::OnceLock;

use local_stack::{StackConfig, find_root, up};
use schemas::{Codec, EventType, RecordType, Registry, RegistryError, lookup_all, register_all};
use serde_json::{Value, json};

use crate::samples::{Optional, sample_bytes};

fn url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| {
        let config = StackConfig::for_tests(&find_root().unwrap());
        up(&config, &mut |progress| eprintln!("{progress}")).unwrap().registry
    })
}

#[allow(clippy::disallowed_methods, reason = "tests keep apart by random namespaces")]
pub fn namespace() -> String {
    format!("schemas-{}", uuid::Uuid::new_v4().simple())
}

pub async fn on_a_thread_for_blocking() -> &'static str {
    tokio::task::spawn_blocking(url).await.unwrap()
}

#[tokio::test]
async fn registering_twice_gives_the_same_ids() {
    let (url, namespace) = (on_a_thread_for_blocking().await, namespace());
    let error = lookup_all(url, &namespace).await.unwrap_err();
    assert!(matches!(error, RegistryError::Missing { .. }), "{error:?}");
    assert!(error.to_string().contains("run `boxctl init`"), "{error}");

    let first = register_all(url, &namespace).await.unwrap();
    assert_eq!(register_all(url, &namespace).await.unwrap(), first);
    assert_eq!(lookup_all(url, &namespace).await.unwrap(), first);

    let registry = Registry::new(url).unwrap();
    for record in RecordType::all() {
        let set = registry.compatibility(&record.subject(&namespace)).await.unwrap();
        assert_eq!(set.as_deref(), Some("FULL_TRANSITIVE"), "{}", record.full_name());
    }
    registry.verify(&first.records(&namespace)).await.unwrap();
}

#[tokio::test]
async fn an_incompatible_schema_is_refused_with_its_subject() {
    let registry = Registry::new(on_a_thread_for_blocking().await).unwrap();
    let record = RecordType::Event(EventType::PriceChanged);
    let subject = record.subject(&namespace());
    let first = registry.register(&subject, record.text()).await.unwrap();

    let mut schema: Value = serde_json::from_str(record.text()).unwrap();
    schema["fields"].as_array_mut().unwrap().push(json!({"name": "why", "type": "string"}));
    let error = registry.register(&subject, &schema.to_string()).await.unwrap_err();
    assert!(matches!(&error, RegistryError::Incompatible { subject: named, .. } if *named == subject), "{error:?}");
    assert!(error.to_string().contains("FULL_TRANSITIVE"), "{error}");

    schema["fields"].as_array_mut().unwrap().last_mut().unwrap()["default"] = json!("");
    let second = registry.register(&subject, &schema.to_string()).await.unwrap();
    assert_ne!(second, first);
    assert_eq!(registry.lookup(&subject, record.text()).await.unwrap(), first, "not the latest, but ours");

    // Old readers need the price; and what only the latest version could follow is refused too.
    let mut without: Value = serde_json::from_str(record.text()).unwrap();
    without["fields"].as_array_mut().unwrap().retain(|field| field["name"] != "price");
    let error = registry.register(&subject, &without.to_string()).await.unwrap_err();
    assert!(matches!(error, RegistryError::Incompatible { .. }), "{error:?}");
    schema["fields"].as_array_mut().unwrap().last_mut().unwrap().as_object_mut().unwrap().remove("default");
    let error = registry.register(&subject, &schema.to_string()).await.unwrap_err();
    assert!(matches!(error, RegistryError::Incompatible { .. }), "{error:?}");
}

#[tokio::test]
async fn a_version_that_somebody_else_registered_is_learned_from_the_registry() {
    let (url, namespace) = (on_a_thread_for_blocking().await, namespace());
    let ids = register_all(url, &namespace).await.unwrap();
    let record = RecordType::Event(EventType::OrderStuck);
    let mut schema: Value = serde_json::from_str(record.text()).unwrap();
    let added = json!({"name": "since", "type": ["null", "long"], "default": null});
    schema["fields"].as_array_mut().unwrap().push(added);
    let registry = Registry::new(url).unwrap();
    let newer = registry.register(&record.subject(&namespace), &schema.to_string()).await.unwrap();

    let codec = Codec::new(ids, registry);
    let mut value = sample_bytes(record, Optional::Set, 0);
    value[1..5].copy_from_slice(&newer.to_be_bytes());
    value.push(0);
    codec.learn(newer).await.unwrap();
    codec.decode(&value).unwrap();
}

#[tokio::test]
async fn another_schema_under_a_kept_id_is_refused() {
    let (url, namespace) = (on_a_thread_for_blocking().await, namespace());
    let ids = register_all(url, &namespace).await.unwrap();
    let mut copy = ids.records(&namespace);
    let ours = copy[0].id;
    copy[0].id = copy[1].id;
    let error = Registry::new(url).unwrap().verify(&copy).await.unwrap_err();
    assert!(matches!(&error, RegistryError::OtherSchema { subject, .. } if *subject == copy[0].subject), "{error:?}");
    copy[0].id = ours + 1_000_000;
    let error = Registry::new(url).unwrap().verify(&copy).await.unwrap_err();
    assert!(matches!(error, RegistryError::OtherSchema { .. }), "{error:?}");
    assert_eq!(Registry::new(url).unwrap().text(ours + 1_000_000).await.unwrap(), None);
}

#[tokio::test]
async fn an_absent_registry_is_unreachable() {
    let port = local_stack::free_port().unwrap();
    let url = format!("http://user:secret@127.0.0.1:{port}");
    let errors = [register_all(&url, "").await.unwrap_err(), lookup_all(&url, "").await.unwrap_err()];
    for error in errors {
        assert!(matches!(error, RegistryError::Unreachable { .. }), "{error:?}");
        let shown = anyhow::Error::from(error);
        assert!(!format!("{shown:#} {shown:?}").contains("secret"), "{shown:?}");
    }
    assert!(matches!(register_all("nowhere", "").await, Err(RegistryError::Address { .. })));
    assert!(matches!(register_all("mailto:x", "").await, Err(RegistryError::Address { .. })));
}

/// Answers every request with this JSON.
fn answering(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 65_536]);
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn a_registry_in_trouble_is_waited_for_and_one_that_talks_nonsense_is_not() {
    let error = lookup_all(&answering("503 Busy", "{}"), "").await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error:?}");
    let error = lookup_all(&answering("200 OK", "<html>"), "").await.unwrap_err();
    assert!(matches!(error, RegistryError::Answer { .. }), "{error:?}");
    let error = lookup_all(&answering("200 OK", r#"{"id": 7, "schema": "\"string\""}"#), "").await.unwrap_err();
    assert!(matches!(error, RegistryError::OtherSchema { id: 7, .. }), "{error:?}");
    let error = register_all(&answering("401 Who", r#"{"error_code": 401, "message": "no"}"#), "").await.unwrap_err();
    assert!(matches!(error, RegistryError::Answer { .. }), "{error:?}");
}
