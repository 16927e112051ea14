//! What operators did, on a real broker: recorded once acknowledged, listed for ever.

use event_log::kafka::KafkaSettings;
use event_log::topics::{self, Layout};
use ops::audit::{Deed, record};
use serde_json::{Value, json};
use service_kit::random;
use tokio::process::Command;

use crate::support::stack;

#[tokio::test]
async fn a_deed_is_recorded_and_listed() {
    let endpoints = stack().await;
    let id = random::opaque_id().simple().to_string();
    let namespace = format!("audit-{}", &id[..8]);
    let settings = KafkaSettings::new(&endpoints.kafka, &namespace, "test");
    topics::init(&settings, &endpoints.registry, Layout::local(1)).await.unwrap();
    let deed = |key: &str, why: Option<&str>| Deed {
        command: "parked skip".to_owned(),
        what: json!({"projection": "orders", "key": key}),
        why: why.map(str::to_owned),
    };
    record(&settings, deed("k1", Some("a bug of March"))).await.unwrap();
    record(&settings, deed("k2", None)).await.unwrap();

    let audit = async |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_boxctl"));
        command.arg("audit").args(args).env("BOXOFFICE_KAFKA", &endpoints.kafka);
        command.env("BOXOFFICE_REGISTRY", &endpoints.registry).env("BOXOFFICE_NAMESPACE", &namespace);
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let listed: Vec<Value> = audit(&["--json"]).await.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let keys: Vec<&Value> = listed.iter().map(|action| &action["what"]["key"]).collect();
    assert_eq!(keys, ["k1", "k2"]);
    assert_eq!(listed[0]["why"], "a bug of March");
    assert!(listed[1].get("why").is_none(), "{}", listed[1]);
    assert!(listed.iter().all(|action| !action["who"].as_str().unwrap().is_empty()));
    assert!(audit(&["--since", "1h"]).await.ends_with("2 deeds\n"));
    assert_eq!(audit(&["--since", "2999-01-01T00:00:00Z", "--json"]).await, "");
    topics::forget(&settings).await.unwrap();
}
