//! What running services show under /metrics is what is listed, with those labels and that help.

use std::collections::{BTreeMap, BTreeSet};

use ops::topology::{Instance, Process};
use service_kit::metric_list::{self, Kind, Metric, Of};
use system_tests::Installation;

/// What shows only once something went wrong, or somebody did something that this purchase does not.
const NOT_ALWAYS: [&str; 26] = [
    "http_overloaded_total",
    "http_panics_total",
    "boxoffice_owner_panics_total",
    "boxoffice_producers_replaced_total",
    "boxoffice_snapshots_written_total",
    "boxoffice_snapshot_seconds",
    "boxoffice_snapshot_failures_total",
    "boxoffice_snapshots_unusable_total",
    "boxoffice_outbox_panics_total",
    "boxoffice_background_panics_total",
    "boxoffice_forwarded_total",
    "boxoffice_internal_rejected_total",
    "boxoffice_queue_joins_refused_total",
    "boxoffice_queue_places_per_address",
    "boxoffice_queue_waiting",
    "boxoffice_queue_outflow_per_min",
    "boxoffice_queue_slots",
    "boxoffice_queue_slots_in_use",
    "boxoffice_queue_oldest_waiting_seconds",
    "boxoffice_queue_paused",
    "boxoffice_queue_no_shows",
    "boxoffice_webhooks_rejected_total",
    "boxoffice_money_open",
    "boxoffice_money_open_minor",
    "boxoffice_reads_failed_total",
    "boxoffice_listen_failures_total",
];
const NOT_ALWAYS_OF_PROJECTORS: [&str; 8] = [
    "projector_overtaken_total",
    "projector_database_errors_total",
    "projector_stopped_partitions",
    "projector_paused",
    "projector_parked_keys",
    "projector_parked_events",
    "projector_poison_events_total",
    "projector_divided_total",
];

/// Looks at every process after a purchase, until everything is shown: some figures are counted only now and then.
pub async fn are_as_listed(shop: &Installation) {
    let expected =
        |metric: &&Metric| !NOT_ALWAYS.contains(&metric.name) && !NOT_ALWAYS_OF_PROJECTORS.contains(&metric.name);
    let mut missing = Vec::new();
    for _ in 0..60 {
        let seen = shown(shop).await;
        let names = metric_list::all().filter(expected).map(|metric| metric.name);
        missing = names.filter(|name| !seen.contains(name)).collect::<Vec<&str>>();
        if missing.is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    panic!("nobody shows {missing:?}");
}

/// What every process shows now.
async fn shown(shop: &Installation) -> BTreeSet<&'static str> {
    let mut seen = BTreeSet::new();
    let services = [
        (Process::CommandApi, Of::CommandApi),
        (Process::Projectors, Of::Projectors),
        (Process::QueryApi, Of::QueryApi),
    ];
    for (process, of) in services {
        let instances: Vec<Instance> = shop.running.plan().counts.instances(process).collect();
        for instance in instances {
            let url = format!("{}/metrics", shop.running.url(instance));
            let text = reqwest::get(url).await.unwrap().text().await.unwrap();
            seen.extend(read(&text, of));
        }
    }
    seen
}

/// The metrics in a text, each checked.
fn read(text: &str, of: Of) -> BTreeSet<&'static str> {
    let helps: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' ')).collect();
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let metric = listed(name).unwrap_or_else(|| panic!("{name} is not listed"));
        assert!(metric.of == Of::All || metric.of == of, "{name} is no metric of {}", of.name());
        // The process' own say the same in words of their library.
        if !name.starts_with("process_") {
            assert_eq!(helps.get(metric.name), Some(&metric.help), "{name}");
        }
        let labels: BTreeSet<&str> = labels(line).filter(|label| *label != "le").collect();
        assert_eq!(labels, metric.labels.iter().copied().collect(), "{line}");
        seen.insert(metric.name);
    }
    seen
}

fn listed(series: &str) -> Option<&'static Metric> {
    metric_list::all().find(|metric| match (metric.kind, series.strip_prefix(metric.name)) {
        (_, None) => false,
        (Kind::Histogram, Some(rest)) => ["_bucket", "_sum", "_count"].contains(&rest),
        (Kind::Counter | Kind::Gauge, Some(rest)) => rest.is_empty(),
    })
}

/// The names of a sample's labels; no value of ours has a quote or a comma.
fn labels(line: &str) -> impl Iterator<Item = &str> {
    let inside = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map_or("", |(inside, _)| inside);
    inside.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name)
}
