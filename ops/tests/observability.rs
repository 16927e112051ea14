//! Logs, metrics, dashboards, alerts and runbooks speak of the same things, and of nothing else.

mod queries;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use service_kit::metric_list::{self, Kind};

use queries::{Used, used};

const DOCUMENT: &str = include_str!("../../docs/observability.md");
const ALERTS: &str = include_str!("../prometheus/alerts.yml");
/// What Prometheus adds to every series by itself.
const OF_PROMETHEUS: [&str; 3] = ["job", "instance", "service"];

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn log_lines_have_no_field_that_the_document_does_not_list_and_the_other_way_round() {
    let listed: BTreeSet<&str> = DOCUMENT
        .split("## Traces")
        .next()
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let used = sources::fields();
    let unlisted: BTreeMap<_, _> = used.iter().filter(|(name, _)| !listed.contains(name.as_str())).collect();
    assert!(unlisted.is_empty(), "docs/observability.md does not list these names: {unlisted:#?}");
    let unused: Vec<_> = listed.iter().filter(|name| !used.contains_key(**name)).collect();
    assert!(unused.is_empty(), "nobody logs {unused:?}");
}

#[test]
fn the_sources_measure_what_is_listed() {
    let listed: BTreeSet<&str> = metric_list::all().map(|metric| metric.name).collect();
    let measured = sources::metrics();
    let unlisted: BTreeMap<_, _> = measured.iter().filter(|(name, _)| !listed.contains(name.as_str())).collect();
    assert!(unlisted.is_empty(), "service-kit/src/metric_list.rs does not list {unlisted:#?}");
    let of_us = listed.iter().filter(|name| !name.starts_with("process_"));
    let unused: Vec<_> = of_us.filter(|name| !measured.contains_key(**name)).collect();
    assert!(unused.is_empty(), "nobody measures {unused:?}");
}

#[test]
fn dashboards_ask_for_what_there_is() {
    let mut asked = 0;
    let mut ids = BTreeSet::new();
    for file in fs::read_dir(folder("grafana")).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_none_or(|it| it != "json") {
            continue;
        }
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        assert!(DOCUMENT.contains(&format!("ops/grafana/{name}")), "docs/observability.md does not name {name}");
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        assert!(ids.insert(dashboard["uid"].as_str().unwrap().to_owned()), "{name} has another one's uid");
        for query in expressions(&dashboard) {
            // Grafana puts a time there.
            check(&name, &query.replace("$__rate_interval", "1m"));
            asked += 1;
        }
    }
    assert!(asked > 100, "{asked} questions");
}

#[test]
fn alerts_ask_for_what_there_is_and_each_has_a_runbook_that_names_it() {
    let alerts = alerts();
    assert!(alerts.len() > 30, "{} alerts", alerts.len());
    for (alert, query) in &alerts {
        check(alert, query);
        let file = folder("runbooks").join(format!("{alert}.md"));
        let runbook = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(runbook.starts_with(&format!("# {alert}\n\n`{query}`")), "{alert}: its runbook shows another rule");
        for part in
            ["**What it means.**", "**How urgent.**", "**How to look.**", "**How to mend.**", "**What not to do.**"]
        {
            assert!(runbook.contains(part), "the runbook of {alert} lacks {part}");
        }
        assert!(ALERTS.contains(&format!("runbook: ops/runbooks/{alert}.md")), "{alert} names no runbook");
        assert!(DOCUMENT.contains(&format!("[{alert}](../ops/runbooks/{alert}.md)")), "{alert} is not documented");
    }
    for file in fs::read_dir(folder("runbooks")).unwrap().map(|file| file.unwrap().path()) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(alerts.contains_key(&name), "{name} is the runbook of no alert");
    }
}

#[test]
fn every_alert_has_recorded_series_that_raise_it() {
    let tests = include_str!("../prometheus/tests.yml");
    for alert in alerts().keys() {
        assert!(
            tests.contains(&format!("labels: '{{alertname=\"{alert}\"}}'")),
            "ops/prometheus/tests.yml lacks {alert}"
        );
    }
    // Where Prometheus' own tool is installed, it plays them.
    let played =
        std::process::Command::new("promtool").args(["test", "rules"]).arg(folder("prometheus/tests.yml")).output();
    match played {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => eprintln!("promtool: {error}; the recorded series were not played"),
    }
}

#[test]
fn a_question_for_what_there_is_not_is_found() {
    let wrong = |query: &str| std::panic::catch_unwind(|| check("test", query)).is_err();
    assert!(!wrong("sum by (job) (rate(http_requests_total{status=\"200\"}[5m]))"));
    assert!(wrong("http_requests"), "no such metric");
    assert!(wrong("http_requests_total{code=\"200\"}"), "no such label");
    assert!(wrong("sum by (code) (http_requests_total)"), "no such label in a sum");
    assert!(wrong("boxoffice_append_seconds"), "a histogram has parts");
    assert!(wrong("sum("), "no query");
}

/// Every query of a dashboard, and of its variables.
fn expressions(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match value {
        Value::Object(members) => {
            found.extend(members.get("expr").and_then(Value::as_str).map(str::to_owned));
            let variable = members.get("query").and_then(Value::as_str);
            let inner = variable.and_then(|query| query.strip_prefix("label_values(")?.strip_suffix(')'));
            if let Some((metric, label)) = inner.and_then(|inner| inner.split_once(", ")) {
                found.push(format!("sum by ({label}) ({metric})"));
            }
            members.values().for_each(|member| found.extend(expressions(member)));
        }
        Value::Array(items) => items.iter().for_each(|item| found.extend(expressions(item))),
        _ => {}
    }
    found
}

/// Each alert with its rule, as the file writes them.
fn alerts() -> BTreeMap<String, String> {
    let mut alerts = BTreeMap::new();
    let mut name = None;
    for line in ALERTS.lines().map(str::trim) {
        if let Some(alert) = line.strip_prefix("- alert: ") {
            name = Some(alert.to_owned());
        }
        if let Some(rule) = line.strip_prefix("expr: '").and_then(|rule| rule.strip_suffix('\'')) {
            alerts.insert(name.take().expect("a rule belongs to an alert"), rule.replace("''", "'"));
        }
    }
    alerts
}

/// Panics unless every metric and label of a query exists.
#[track_caller]
fn check(of: &str, query: &str) {
    let Used { metrics, labels } = used(query).unwrap_or_else(|error| panic!("{of}: {query}: {error}"));
    let mut known: BTreeSet<&str> = OF_PROMETHEUS.into();
    for (name, matched) in &metrics {
        let of_metric = labels_of(name).unwrap_or_else(|| panic!("{of}: there is no {name} in {query}"));
        for label in matched {
            let there = of_metric.contains(label.as_str()) || OF_PROMETHEUS.contains(&label.as_str());
            assert!(there, "{of}: {name} has no label {label} in {query}");
        }
        known.extend(of_metric);
    }
    for label in &labels {
        assert!(known.contains(label.as_str()), "{of}: nothing in {query} has a label {label}");
    }
}

/// The labels of a series as it is stored.
fn labels_of(series: &str) -> Option<BTreeSet<&'static str>> {
    if series == "up" {
        return Some(BTreeSet::new());
    }
    metric_list::all().find_map(|metric| {
        let rest = series.strip_prefix(metric.name)?;
        let labels = metric.labels.iter().copied();
        match (metric.kind, rest) {
            (Kind::Counter | Kind::Gauge, "") | (Kind::Histogram, "_sum" | "_count") => Some(labels.collect()),
            (Kind::Histogram, "_bucket") => Some(labels.chain(["le"]).collect()),
            _ => None,
        }
    })
}
