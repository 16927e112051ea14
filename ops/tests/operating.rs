//! What operators look at, on real servers: the page of everything, a purchase's trace, topics, the registry, the doctor.

mod documents;
mod installation;
mod registry;

use std::collections::HashMap;

use event_log::kafka::KafkaSettings;
use event_log::topics::{self, Layout};
use ops::site::Site;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use serde_json::Value;
use service_kit::random;
use tokio::process::Command;

use crate::support::stack;

/// A site without services.
pub(crate) fn site(kafka: &str, registry: &str, namespace: &str) -> Site {
    Site {
        kafka: kafka.to_owned(),
        registry: registry.to_owned(),
        postgres: None,
        namespace: namespace.to_owned(),
        partitions: None,
        secret: None,
        services: vec![],
        local: true,
    }
}

/// Runs boxctl for this site; its exit code, output and complaints.
pub(crate) async fn boxctl(site: &Site, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_boxctl"));
    command.args(args).env("BOXOFFICE_KAFKA", &site.kafka).env("BOXOFFICE_REGISTRY", &site.registry);
    command.env("BOXOFFICE_NAMESPACE", &site.namespace).stdin(std::process::Stdio::null());
    let output = command.output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn a_changed_setting_of_a_topic_is_found_with_its_remedy() {
    let endpoints = stack().await;
    let namespace = format!("oper{}", &random::opaque_id().simple().to_string()[..8]);
    let kafka = KafkaSettings::new(&endpoints.kafka, &namespace, "test");
    topics::init(&kafka, &endpoints.registry, Layout::local(1)).await.unwrap();
    let site = site(&endpoints.kafka, &endpoints.registry, &namespace);
    let (code, text, _) = boxctl(&site, &["topics", "check"]).await;
    assert_eq!(code, 0, "{text}");

    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &endpoints.kafka).create().unwrap();
    let topic = kafka.name("order-events");
    let change = AlterConfig {
        specifier: ResourceSpecifier::Topic(&topic),
        entries: HashMap::from([("retention.ms", "604800000"), ("message.timestamp.type", "LogAppendTime")]),
    };
    admin.alter_configs(&[change], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
    let (code, text) = differs(&site, "retention.ms", &["topics", "check", "--json"]).await;
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, found["holds"].as_bool()), (1, Some(false)), "{text}");
    let difference = &found["differences"][0];
    assert_eq!((difference["what"].as_str(), difference["found"].as_str()), (Some("retention.ms"), Some("604800000")));
    assert!(difference["remedy"].as_str().unwrap().contains("--add-config retention.ms=-1"), "{difference}");

    topics::forget(&kafka).await.unwrap();
    let (code, text) = differs(&site, "boxctl init", &["topics", "check"]).await;
    assert!(code == 1 && text.contains("boxctl init"), "{text}");
}

/// A broker may answer for a moment as it was before.
async fn differs(site: &Site, what: &str, args: &[&str]) -> (i32, String) {
    let mut last = (0, String::new());
    for _ in 0..20 {
        let (code, text, _) = boxctl(site, args).await;
        last = (code, text);
        if last.1.contains(what) && last.0 == 1 {
            break;
        }
    }
    last
}

#[tokio::test]
async fn who_cannot_look_ends_with_2() {
    let nowhere = site("127.0.0.1:1", "http://127.0.0.1:1", "none");
    for args in [&["topics", "check"][..], &["schemas", "check"], &["status"], &["partitions"], &["log", "--nonsense"]]
    {
        let (code, ..) = boxctl(&nowhere, args).await;
        assert_eq!(code, 2, "{args:?}");
    }
}

async fn commands() -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_boxctl")).args(["commands", "--json"]).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_document_has_a_row_for_every_command() {
    let output = Command::new(env!("CARGO_BIN_EXE_boxctl")).args(["commands", "--markdown"]).output().await.unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.lines().count() > 20, "{table}");
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md")).unwrap();
    let missing: Vec<&str> = table.lines().filter(|row| !document.lines().any(|line| line == *row)).collect();
    assert!(
        missing.is_empty(),
        "docs/operating.md lacks rows of `boxctl commands --markdown`:\n{}",
        missing.join("\n")
    );
    let stale =
        document.lines().filter(|line| line.starts_with("| `boxctl ") && !table.lines().any(|row| row == *line));
    assert_eq!(stale.collect::<Vec<_>>(), [""; 0], "nobody has these commands");
}

#[tokio::test]
async fn shells_complete_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(env!("CARGO_BIN_EXE_boxctl")).args(["completion", shell]).output().await.unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        for command in commands().await {
            for word in command["command"].as_str().unwrap().split(' ') {
                assert!(script.contains(word), "{shell} does not complete {word}");
            }
        }
    }
}
