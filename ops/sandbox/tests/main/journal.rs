//! A restart with a journal goes on where the last run ended.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use provider_sandbox::Settings;
use serde_json::json;

use crate::kit::Kit;

/// A file that is removed at the end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("provider-sandbox-{}-{name}.jsonl", std::process::id()));
        let _ = fs::remove_file(&path);
        Self(path)
    }

    pub fn settings(&self) -> Settings {
        Settings { state: Some(self.0.clone()), ..Settings::default() }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn books_and_waiting_webhooks_outlive_the_process() {
    let scratch = Scratch::new("outlive");
    let first = Kit::with(scratch.settings()).await;
    first.post("/webhook", json!({ "url": "http://127.0.0.1:1/" })).await;
    let link = first.open(100).await["paymentLinkId"].clone();
    first.post("/payments/100/pay", json!({ "amount": 4_000 })).await;
    first.open(101).await;
    first.post("/payments/101/cancel", json!({})).await;
    let statement = first.get("/statement").await;
    first.sandbox.stop().await;
    // What a killed process leaves: half a line.
    fs::OpenOptions::new().append(true).open(&scratch.0).unwrap().write_all(b"{\"payment\":{\"numb").unwrap();

    let second = Kit::with(scratch.settings()).await;
    assert_eq!(second.get("/statement").await, statement);
    assert_eq!((second.status(100).await, second.status(101).await), ("UNDERPAID".to_owned(), "CANCELLED".to_owned()));
    assert_eq!(second.query(100).await["id"], link);
    second.receiver.wait_for(1).await;
    second.open(102).await;
    second.sandbox.stop().await;

    let third = Kit::with(scratch.settings()).await;
    assert_eq!(third.get("/summary").await["payments"], 3);
    assert_eq!(third.get("/payments/102").await["status"], "PENDING");
}

#[tokio::test]
async fn a_damaged_journal_is_not_ignored() {
    let scratch = Scratch::new("damaged");
    fs::write(&scratch.0, "nonsense\n").unwrap();
    let problem = provider_sandbox::start(scratch.settings()).await.err().unwrap();
    assert!(format!("{problem:#}").contains("parse"), "{problem:#}");
}
