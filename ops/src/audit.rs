//! What operators did to a box office: each deed is a record of the topic `operator-actions`, which is never deleted.
//!
//! Invariant: a deed that was recorded was acknowledged by Kafka before `record` returned.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::topics;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service_kit::config::Env;
use service_kit::{clock, random};
use uuid::Uuid;

use crate::config::Tool;
use crate::init::Place;
use crate::stack;

/// Operators do few things.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// Something that an operator did: skipped, dropped, switched, forgot, restored.
#[derive(Debug, Clone)]
pub struct Deed {
    /// The command as it is typed, such as `parked skip`.
    pub command: String,
    /// What was done to what, as an object. Never personal data.
    pub what: Value,
    /// Why, in the operator's own words.
    pub why: Option<String>,
}

/// A deed as it is kept, in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Action {
    id: Uuid,
    at: Timestamp,
    who: String,
    command: String,
    what: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// Records what an operator did, and waits until Kafka has it.
///
/// # Errors
/// BOXOFFICE_OPERATOR is wrong, or Kafka does not acknowledge it.
pub async fn record(settings: &KafkaSettings, deed: Deed) -> anyhow::Result<()> {
    let Deed { command, what, why } = deed;
    let at = Timestamp::from_microsecond(clock::now().0).context("ask the clock")?;
    let action = Action { id: random::id(), at, who: operator()?, command, what, why };
    let value = serde_json::to_vec(&action).context("write down what was done")?;
    let log = KafkaLog::connect(settings.clone())?;
    let key = action.id.to_string();
    let appended = log.append_compacted(&topics::operator_actions(settings), key.as_bytes(), Some(&value)).await;
    appended
        .with_context(|| format!("record that `{}` was done (run `boxctl init` if the topic is new)", action.command))
}

/// BOXOFFICE_OPERATOR, or else the name of the system's user.
fn operator() -> anyhow::Result<String> {
    let tool = Env::from_process().read(Tool::read)?;
    Ok(tool.operator.unwrap_or_else(|| {
        let id = rustix::process::getuid().as_raw();
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        user(&users, id).unwrap_or_else(|| format!("user {id}"))
    }))
}

/// The name of a user in a file of lines `name:password:id:…`.
fn user(users: &str, id: u32) -> Option<String> {
    let fields = |line: &str| {
        let mut fields = line.split(':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(id)).then(|| name.to_owned())
    };
    users.lines().find_map(fields)
}

/// Which deeds, and how. Where: BOXOFFICE_KAFKA and BOXOFFICE_REGISTRY, or the local stack, which is started.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Only what was done since then: 2026-11-22T08:00:00Z, or so long ago, such as 90m, 12h or 7d.
    #[arg(long, value_parser = since)]
    since: Option<Timestamp>,
    /// As JSON, one deed a line.
    #[arg(long)]
    json: bool,
}

/// A moment, or how long ago it was.
fn since(text: &str) -> anyhow::Result<Timestamp> {
    let now = Timestamp::from_microsecond(clock::now().0).context("ask the clock")?;
    ago(text, now)
}

fn ago(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    if let Ok(moment) = text.parse() {
        return Ok(moment);
    }
    let (count, unit) = text.split_at(text.len() - text.chars().next_back().map_or(0, char::len_utf8));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => bail!("expected a moment such as 2026-11-22T08:00:00Z, or 90m, 12h or 7d"),
    };
    let count: i64 = count.parse().context("expected a whole number before s, m, h or d")?;
    let long = count.checked_mul(seconds).context("that is too long ago")?;
    now.checked_sub(SignedDuration::from_secs(long)).context("that is too long ago")
}

/// Lists what operators did, the oldest first.
///
/// # Errors
/// A setting is wrong, or Kafka does not answer.
pub async fn run(args: &AuditArgs) -> anyhow::Result<()> {
    let place = Place::from_environment()?;
    let (kafka, _) = place.servers().await?;
    let mut actions = read(&KafkaSettings::new(&kafka, &place.namespace, "boxctl")).await?;
    actions.retain(|action| args.since.is_none_or(|since| action.at >= since));
    let text = match args.json {
        true => actions.iter().map(|it| Ok(serde_json::to_string(it)? + "\n")).collect::<anyhow::Result<String>>()?,
        false => table(&actions),
    };
    stack::print(&text)
}

async fn read(settings: &KafkaSettings) -> anyhow::Result<Vec<Action>> {
    let log = KafkaLog::connect(settings.clone())?;
    let topic = topics::operator_actions(settings);
    let records = log.read_compacted(&topic, READ_WITHIN).await;
    let records = records.context("read what operators did (run `boxctl init` if the topic is new)")?;
    let decode = |record: event_log::kafka::KeyedRecord| {
        let value = record.value.unwrap_or_default();
        serde_json::from_slice(&value).with_context(|| format!("read {} at offset {}", topic.name, record.offset))
    };
    records.into_iter().map(decode).collect()
}

fn table(actions: &[Action]) -> String {
    let width = |of: fn(&Action) -> &str, least: &str| {
        actions.iter().map(|it| of(it).chars().count()).chain([least.len()]).max().unwrap_or_default()
    };
    let who = width(|it| &it.who, "who");
    let command = width(|it| &it.command, "command");
    let line = |at: &str, by: &str, done: &str, what: &str| {
        format!("{at:<20}  {by:<who$}  {done:<command$}  {what}").trim_end().to_owned() + "\n"
    };
    let row = |it: &Action| {
        let why = it.why.as_ref().map(|why| format!("  ({why})")).unwrap_or_default();
        line(&format!("{:.0}", it.at), &it.who, &it.command, &(words(&it.what) + &why))
    };
    let rows: String = actions.iter().map(row).collect();
    line("at", "who", "command", "what") + &rows + &format!("{} deeds\n", actions.len())
}

/// An object as `name=value`, so that it reads at a glance.
fn words(what: &Value) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match what {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{name}={}", word(value))).collect::<Vec<_>>().join(" ")
        }
        other => word(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn action(who: &str, why: Option<&str>) -> Action {
        Action {
            id: Uuid::from_u128(1),
            at: "2026-11-22T08:00:00.5Z".parse().unwrap(),
            who: who.to_owned(),
            command: "parked skip".to_owned(),
            what: json!({"projection": "orders", "key": "k1", "events": 3}),
            why: why.map(str::to_owned),
        }
    }

    #[test]
    fn a_deed_is_shown_with_who_did_it_to_what_and_why() {
        let text = table(&[action("anna", Some("a bug of March")), action("bo", None)]);
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows[0], "at                    who   command      what");
        assert_eq!(
            rows[1],
            "2026-11-22T08:00:00Z  anna  parked skip  events=3 key=k1 projection=orders  (a bug of March)"
        );
        assert_eq!(rows[2], "2026-11-22T08:00:00Z  bo    parked skip  events=3 key=k1 projection=orders");
        assert_eq!(rows[3], "2 deeds");
    }

    #[test]
    fn a_moment_is_given_as_such_or_as_how_long_ago() {
        let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        let at = |text: &str| ago(text, now).map(|at| at.to_string()).unwrap_or_default();
        assert_eq!(at("2026-11-20T01:02:03Z"), "2026-11-20T01:02:03Z");
        assert_eq!(at("90m"), "2026-11-22T06:30:00Z");
        assert_eq!(at("7d"), "2026-11-15T08:00:00Z");
        for wrong in ["", "d", "7", "7w", "7é", "-", "9999999999999999d", "yesterday"] {
            assert!(ago(wrong, now).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_user_is_found_by_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nanna:x:1000:1000::/home/anna:/bin/sh\n";
        assert_eq!(user(users, 1000).as_deref(), Some("anna"));
        assert_eq!(user(users, 0).as_deref(), Some("root"));
        assert_eq!(user(users, 7), None);
    }
}
