//! A small load against a whole installation: every order acknowledged, everything drained, every law holds.

use std::process::ExitCode;

use clap::Parser;
use ops::load::{LoadArgs, run};
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
