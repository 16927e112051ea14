//! A small load against a whole installation: every order acknowledged, everything drained, every law holds.

use std::process::ExitCode;

use clap::Parser;
use ops::load::queue::QueueArgs;
use ops::load::{LoadArgs, queue, run};
use serde_json::Value;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: LoadArgs,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_load_is_acknowledged_drained_and_lawful() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let plots = folder.path().join("plots");
    let line = format!(
        "load hot --tests --rate 50 --duration 2 --warm-up 1 --drain-within 60 --json {} --plots {}",
        json.display(),
        plots.display()
    );
    let args = Cli::parse_from(line.split(' ')).args;
    let ended = run(args).await.unwrap();
    let report: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(ended, ExitCode::SUCCESS, "{}", report["void"]);
    let totals = &report["totals"];
    let acknowledged = totals["acknowledged"].as_u64().unwrap();
    assert!((80..240).contains(&acknowledged), "{acknowledged}");
    assert_eq!(totals["errors"], serde_json::json!({}));
    assert!(totals["drained_per_s"].as_f64().unwrap() > 1.0, "{totals}");
    assert!(totals["latency"]["p99_ms"].as_f64().unwrap() > 0.0);
    let pictures = std::fs::read_dir(plots).unwrap().count();
    assert_eq!(pictures, 4);
}

#[derive(Parser)]
struct QueueCli {
    #[command(flatten)]
    args: QueueArgs,
}

/// A crowd of two hundred; the report, which has to count.
async fn crowd(shape: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let line = format!(
        "queue --tests --people 200 --processes 2 --query-apis 2 --connections 8 --slots 20 --batch 5 --tick-ms 100 \
         --stay-ms 50 --drain-within 60 --farewell 60 --json {} {shape}",
        json.display()
    );
    let args = QueueCli::parse_from(line.split_whitespace()).args;
    let ended = queue::run(args).await.unwrap();
    let report: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(ended, ExitCode::SUCCESS, "{}", report["void"]);
    for nothing in ["errors", "faults"] {
        assert_eq!(report["tally"][nothing], serde_json::json!({}));
    }
    let (tally, logged) = (&report["tally"], &report["logged"]);
    assert_eq!((&logged["lost"], &logged["inversions"]), (&0.into(), &0.into()));
    assert_eq!((&tally["came"], &tally["placed"]), (&logged["joined"], &logged["joined"]));
    assert_eq!(logged["slots"], serde_json::json!([20, 20]), "never more, and all in use");
    report
}

fn count(of: &Value) -> u64 {
    of.as_u64().unwrap_or_else(|| panic!("{of} is no count"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_asks_keeps_its_places_while_some_are_let_through() {
    let report = crowd("--shape poll --join-within 1 --every-ms 1000 --duration 5").await;
    let tally = &report["tally"];
    let (due, answered) = (count(&tally["polls"]), count(&report["latencies"]["status"]["count"]));
    assert!((700..=1000).contains(&due) && due == answered, "{due} due, {answered} answered");
    let (left, came) = (count(&tally["left"]), count(&tally["came"]));
    assert!(left >= 20 && came > 200 && came <= 200 + left, "{left} left, {came} came");
    assert!(count(&report["logged"]["admitted"]) > 20, "slots were freed and taken again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_with_sockets_is_told_of_every_admission() {
    let report = crowd("--shape sockets --join-within 1 --connect-per-s 200 --idle 2 --duration 4").await;
    let (tally, told) = (&report["tally"], &report["latencies"]["admission to person"]);
    let admitted = count(&report["logged"]["admitted"]);
    assert_eq!((&tally["sockets"], count(&tally["admitted"])), (&200.into(), admitted));
    // The first twenty were admitted before they had a socket.
    assert!(admitted > 20 && count(&told["count"]) == admitted - 20, "{admitted} admitted, {told}");
    assert_eq!((&tally["came"], &tally["reopened"]), (&200.into(), &0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rush_is_answered_with_places_and_who_is_sent_away_comes_again() {
    let report = crowd("--shape join --join-within 0.1 --set BOXOFFICE_MAX_IN_FLIGHT=4").await;
    let tally = &report["tally"];
    assert_eq!((&tally["came"], &tally["without_retry_after"]), (&200.into(), &0.into()));
    let (requests, again) = (count(&tally["join_requests"]), &tally["repeats"]);
    assert!(requests > 200 && again["join: 503"].as_u64() == Some(requests - 200), "{requests} requests, {again}");
    assert!(tally["last_placed_s"].as_f64().unwrap() > 0.1);
}
