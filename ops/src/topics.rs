//! `boxctl topics check`: every topic of the namespace against what it must be, with the remedy for each difference.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use event_log::topics::{SettingState, TopicState, inspect};
use serde::Serialize;

use crate::site::{Site, SiteArgs};
use crate::stack;
use crate::table::Table;

/// What to do with topics.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compare every topic with what it must be; ends with 1 if one differs, with 2 if it could not look.
    Check(CheckArgs),
}

/// Where: the environment, or the local installation.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// As one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Findings {
    /// Whether every topic is as it must be.
    pub holds: bool,
    /// What is not, with what to do about it.
    pub differences: Vec<Difference>,
    /// Every topic with every setting that matters.
    pub topics: Vec<TopicState>,
}

/// One difference.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// Which topic.
    pub topic: String,
    /// What of it.
    pub what: String,
    /// How it is.
    pub found: String,
    /// How it must be.
    pub expected: String,
    /// What to do.
    pub remedy: String,
}

/// Does it.
///
/// # Errors
/// A setting is wrong, or Kafka does not answer.
pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let Command::Check(args) = command;
    let findings = look(&Site::find(&args.site)?).await?;
    match args.json {
        true => stack::print(&(serde_json::to_string_pretty(&findings)? + "\n"))?,
        false => stack::print(&page(&findings))?,
    }
    Ok(ExitCode::from(u8::from(!findings.holds)))
}

/// Looks at every topic.
///
/// # Errors
/// Kafka does not answer.
pub async fn look(site: &Site) -> anyhow::Result<Findings> {
    let topics = inspect(&site.kafka(), site.partitions).await;
    let topics = topics.with_context(|| format!("ask Kafka at {} for its topics", site.kafka))?;
    let differences: Vec<Difference> = topics.iter().flat_map(|topic| differences(&site.kafka, topic)).collect();
    Ok(Findings { holds: differences.is_empty() && topics.iter().all(TopicState::holds), differences, topics })
}

fn differences(kafka: &str, state: &TopicState) -> Vec<Difference> {
    let difference = |what: &str, found: String, expected: String, remedy: String| Difference {
        topic: state.topic.clone(),
        what: what.to_owned(),
        found,
        expected,
        remedy,
    };
    let Some(shape) = state.shape else {
        let remedy = "boxctl init makes it; if it was there before, its events are gone: boxctl restore".to_owned();
        return vec![difference("the topic", "missing".to_owned(), "there".to_owned(), remedy)];
    };
    let mut found = Vec::new();
    if shape.partitions != state.must_have {
        let remedy = "the number is fixed for life: set BOXOFFICE_PARTITIONS to what the log was made with; a topic that was \
                      widened afterwards has to be restored from a backup";
        let (is, must) = (shape.partitions.to_string(), state.must_have.to_string());
        found.push(difference("partitions", is, must, remedy.to_owned()));
    }
    if shape.leaderless > 0 {
        let what = format!("{} partitions without a leader", shape.leaderless);
        let remedy = "bring the brokers back that hold their copies".to_owned();
        found.push(difference("leaders", what, "one each".to_owned(), remedy));
    }
    let wrong = state.settings.iter().filter(|setting| !setting.holds);
    found.extend(wrong.map(|setting| {
        let remedy = remedy(kafka, &state.topic, setting);
        difference(setting.name, setting.found.clone(), setting.expected.clone(), remedy)
    }));
    found
}

/// Kafka's own tool changes a setting without touching the others.
fn remedy(kafka: &str, topic: &str, setting: &SettingState) -> String {
    let SettingState { name, value, .. } = setting;
    format!(
        "kafka-configs.sh --bootstrap-server {kafka} --entity-type topics --entity-name {topic} --alter --add-config {name}={value}"
    )
}

fn page(findings: &Findings) -> String {
    let mut table = Table::new(&["topic", "#partitions", "#copies", "#in sync", "#min.insync", "cleanup", "standing"]);
    for state in &findings.topics {
        let figure = |of: fn(event_log::topics::Shape) -> String| state.shape.map_or_else(|| "-".to_owned(), of);
        let setting = |name| state.setting(name).unwrap_or("-").to_owned();
        table.row([
            state.topic.clone(),
            figure(|shape| shape.partitions.to_string()),
            figure(|shape| shape.copies.to_string()),
            figure(|shape| shape.in_sync.to_string()),
            setting("min.insync.replicas"),
            setting("cleanup.policy"),
            if state.holds() { "as it must be" } else { "DIFFERS" }.to_owned(),
        ]);
    }
    let mut text = table.text(0);
    for it in &findings.differences {
        text +=
            &format!("\n{}: {} is {}; it must be {}\n  -> {}\n", it.topic, it.what, it.found, it.expected, it.remedy);
    }
    text + &format!("\n{} topics, {} differences\n", findings.topics.len(), findings.differences.len())
}

#[cfg(test)]
mod tests {
    use event_log::topics::Shape;

    use super::*;

    #[test]
    fn each_difference_has_its_remedy() {
        let setting = SettingState {
            name: "retention.ms",
            found: "604800000".to_owned(),
            expected: "-1".to_owned(),
            value: "-1".to_owned(),
            holds: false,
        };
        let shape = Shape { partitions: 8, copies: 1, in_sync: 1, leaderless: 1 };
        let mut state = TopicState {
            topic: "t.order-events".to_owned(),
            must_have: 4,
            shape: Some(shape),
            settings: vec![setting],
        };
        let found = differences("k:1", &state);
        assert_eq!(
            found.iter().map(|it| it.what.as_str()).collect::<Vec<_>>(),
            ["partitions", "leaders", "retention.ms"]
        );
        assert!(found[2].remedy.ends_with("--entity-name t.order-events --alter --add-config retention.ms=-1"));
        state.shape = None;
        assert!(differences("k:1", &state)[0].remedy.starts_with("boxctl init"));
    }
}
