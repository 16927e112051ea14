//! Kafka: whether it answers, what its brokers are set to, and the topics.

use event_log::topics::{Broker, TopicState, brokers};

use super::{Finding, Patient};
use crate::topics;

/// The check that everything else of Kafka depends on.
pub(super) const ANSWERS: &str = "kafka";
/// The producer's largest batch, as topics must take it.
const LARGEST: i64 = 1_048_588;
/// What the services take if nothing is set.
const SESSION_MS: i64 = 6000;

/// Everything about Kafka.
pub(super) async fn check(patient: &Patient) -> Vec<Finding> {
    let site = &patient.site;
    let brokers = match brokers(&site.kafka()).await {
        Ok(brokers) if !brokers.is_empty() => brokers,
        Ok(_) => return vec![unreachable(&site.kafka, "it names no broker")],
        Err(error) => return vec![unreachable(&site.kafka, &format!("{:#}", anyhow::Error::from(error)))],
    };
    let addresses: Vec<&str> = brokers.iter().map(|broker| broker.address.as_str()).collect();
    let mut findings = vec![Finding::ok(ANSWERS, format!("{} brokers: {}", brokers.len(), addresses.join(", ")))];
    let session_ms =
        patient.env.get("BOXOFFICE_SESSION_TIMEOUT_MS").and_then(|it| it.parse().ok()).unwrap_or(SESSION_MS);
    // A local installation asks for short sessions, and gets them from its own broker.
    let session_ms = if site.local { 2000 } else { session_ms };
    brokers.iter().for_each(|broker| findings.extend(of_broker(broker, session_ms)));
    if brokers.len() < 3 && !site.local {
        let found = format!("{} brokers: what is acknowledged can be lost with one of them", brokers.len());
        findings.push(Finding::warning(
            "brokers",
            found,
            "run three or more, and `boxctl init --replication production`",
        ));
    }
    match topics::look(site).await {
        Ok(all) => {
            let remedies = all.differences.iter();
            findings.extend(remedies.map(|it| {
                let found = format!("{}: {} is {}; it must be {}", it.topic, it.what, it.found, it.expected);
                Finding::wrong("topics", found, it.remedy.clone())
            }));
            findings.extend(all.topics.iter().filter_map(|topic| copies(topic, site.local)));
            if all.holds {
                findings.push(Finding::ok("topics", format!("{} as they must be", all.topics.len())));
            }
        }
        Err(error) => findings.push(Finding::wrong("topics", format!("{error:#}"), "boxctl topics check")),
    }
    findings
}

fn unreachable(kafka: &str, why: &str) -> Finding {
    let remedy = "start Kafka, or set BOXOFFICE_KAFKA to its bootstrap servers (locally: boxctl stack up)";
    Finding::wrong(ANSWERS, format!("{kafka} does not answer: {why}"), remedy)
}

fn of_broker(broker: &Broker, session_ms: i64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let at = format!("broker {}", broker.id);
    let text = |name: &str| broker.settings.get(name).map(String::as_str);
    let number = |name: &str| text(name).and_then(|it| it.parse::<i64>().ok());
    let wrong = |found: String, name: &str, value: String| {
        Finding::wrong("broker settings", format!("{at}: {found}"), format!("set {name}={value} on every broker"))
    };
    // Since 4.0, every broker can keep the state of share groups.
    if !broker.settings.contains_key("share.coordinator.state.topic.num.partitions") {
        let remedy = "Kafka 4.0 or newer is what Boxoffice is tested with";
        findings.push(Finding::warning("kafka version", format!("{at} is older than 4.0"), remedy));
    }
    if text("auto.create.topics.enable") == Some("true") {
        let found =
            "auto.create.topics.enable=true: a topic that is missing would be made with wrong settings".to_owned();
        findings.push(wrong(found, "auto.create.topics.enable", "false".to_owned()));
    }
    if let Some(most) = number("message.max.bytes").filter(|most| *most < LARGEST) {
        let found = format!("message.max.bytes={most}: large batches are refused");
        findings.push(wrong(found, "message.max.bytes", LARGEST.to_string()));
    }
    if let Some(least) = number("group.min.session.timeout.ms").filter(|least| *least > session_ms) {
        let found = format!(
            "group.min.session.timeout.ms={least} refuses sessions of {session_ms} ms: no instance gets partitions"
        );
        findings.push(wrong(
            found,
            "group.min.session.timeout.ms",
            format!("{session_ms}, or BOXOFFICE_SESSION_TIMEOUT_MS={least}"),
        ));
    }
    if let Some(most) = number("group.max.session.timeout.ms").filter(|most| *most < session_ms) {
        let found = format!("group.max.session.timeout.ms={most} refuses sessions of {session_ms} ms");
        findings.push(wrong(found, "group.max.session.timeout.ms", session_ms.to_string()));
    }
    if findings.is_empty() {
        findings.push(Finding::ok("broker settings", at));
    }
    findings
}

/// How many copies there are, where a machine may be lost.
fn copies(topic: &TopicState, local: bool) -> Option<Finding> {
    let shape = topic.shape.filter(|_| !local)?;
    let least: usize = topic.setting("min.insync.replicas")?.parse().ok()?;
    let name = &topic.topic;
    if shape.in_sync < shape.copies {
        let found = format!("{name}: {} of {} copies are up to date", shape.in_sync, shape.copies);
        return Some(Finding::warning("copies", found, "bring the brokers back that lag behind"));
    }
    if shape.copies < 3 {
        let found = format!("{name} has {} copies: a broker that is lost takes it along", shape.copies);
        return Some(Finding::warning("copies", found, "reassign it to three brokers (kafka-reassign-partitions.sh)"));
    }
    if least < 2 {
        let found = format!("{name}: min.insync.replicas={least}: one broker alone acknowledges");
        return Some(Finding::warning("copies", found, "set min.insync.replicas=2"));
    }
    if least >= shape.copies {
        let found = format!("{name}: min.insync.replicas={least} of {} copies: no broker may be away", shape.copies);
        return Some(Finding::warning("copies", found, format!("set min.insync.replicas={}", shape.copies - 1)));
    }
    None
}

#[cfg(test)]
mod tests {
    use event_log::topics::{SettingState, Shape};

    use super::*;

    #[test]
    fn a_broker_that_does_not_fit_is_told() {
        let settings = [
            ("auto.create.topics.enable", "true"),
            ("message.max.bytes", "1000"),
            ("group.min.session.timeout.ms", "6000"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let broker = Broker { id: 1, address: "a:1".to_owned(), settings };
        let told: Vec<String> = of_broker(&broker, 2000).into_iter().map(|it| it.found).collect();
        for (n, what) in ["older than 4.0", "auto.create", "message.max.bytes", "group.min.session"].iter().enumerate()
        {
            assert!(told[n].contains(what), "{what}: {told:?}");
        }
    }

    #[test]
    fn few_copies_are_told_where_a_machine_may_be_lost() {
        let state = |copies, in_sync, least: &str| TopicState {
            topic: "t".to_owned(),
            must_have: 1,
            shape: Some(Shape { partitions: 1, copies, in_sync, leaderless: 0 }),
            settings: vec![SettingState {
                name: "min.insync.replicas",
                found: least.to_owned(),
                expected: String::new(),
                value: String::new(),
                holds: true,
            }],
        };
        let told = |state: &TopicState| copies(state, false).map(|it| it.found);
        assert!(told(&state(1, 1, "1")).unwrap().contains("1 copies"));
        assert!(told(&state(3, 2, "2")).unwrap().contains("2 of 3"));
        assert!(told(&state(3, 3, "1")).unwrap().contains("one broker alone"));
        assert!(told(&state(3, 3, "3")).unwrap().contains("no broker may be away"));
        assert_eq!(told(&state(3, 3, "2")), None);
        assert_eq!(copies(&state(1, 1, "1"), true), None);
    }
}
