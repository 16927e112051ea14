//! Kafka's settings: one process that is broker and controller, and loses no acknowledged record when it is killed.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Server, java_mark};
use crate::config::StackConfig;
use crate::download::Tools;
use crate::ports::Ports;
use crate::world::random_id;

const LOGGING: &str = "\
status = warn
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.start.name = kafka.server.KafkaRaftServer
logger.start.level = info
";

pub fn prepare(config: &StackConfig, ports: &Ports, tools: &Tools) -> Result<Command> {
    let home = Server::Kafka.home(config);
    let settings = home.join("server.properties");
    let logging = home.join("log4j2.properties");
    fs::write(&settings, properties(&home.join("data"), ports, config.sync))
        .and_then(|()| fs::write(&logging, LOGGING))
        .with_context(|| format!("write Kafka's settings in {}", home.display()))?;
    format_once(&home, &settings, tools)?;
    let mut command = java(tools, &logging);
    command.args(["-Xms128m", "-Xmx512m", "-XX:+UseG1GC"]).arg(java_mark(Server::Kafka, config));
    command.arg("kafka.Kafka").arg(settings);
    Ok(command)
}

fn java(tools: &Tools, logging: &Path) -> Command {
    let mut command = Command::new(&tools.java);
    command.arg("-cp").arg(tools.kafka.join("*"));
    command.arg("-Djava.awt.headless=true").arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
    command
}

/// Gives a new log its cluster id. A marker is written last, because a format that was killed leaves half a folder,
/// and only a log without marker, which no broker ever opened, may be thrown away.
fn format_once(home: &Path, settings: &Path, tools: &Tools) -> Result<()> {
    let marker = home.join("formatted");
    let data = home.join("data");
    if marker.exists() {
        return Ok(());
    }
    if data.exists() {
        fs::remove_dir_all(&data).with_context(|| format!("remove the half-made {}", data.display()))?;
    }
    let output = java(tools, &home.join("log4j2.properties"))
        .args(["-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format", "-t", &cluster_id(), "-c"])
        .arg(settings)
        .output()
        .context("run Java to format Kafka's log")?;
    ensure!(
        output.status.success(),
        "Kafka cannot format its log: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    fs::write(&marker, "").with_context(|| format!("write {}", marker.display()))
}

/// Kafka wants 16 bytes as 22 characters of base 64. Hexadecimal digits are such characters, and the last one must
/// leave its four spare bits empty.
fn cluster_id() -> String {
    let digits = random_id().simple().to_string();
    format!("{}A", &digits[..21])
}

fn properties(data: &Path, ports: &Ports, sync: bool) -> String {
    let (kafka, controller) = (ports.kafka, ports.kafka_controller);
    let data = data.display();
    let flush = if sync { "log.flush.interval.messages=1\n" } else { "" };
    // The session is short because a broker that comes back after a crash is refused until its old session ends.
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{kafka},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{kafka}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=8
message.max.bytes=4194304
replica.fetch.max.bytes=4194304
log.cleaner.dedupe.buffer.size=16777216
log.segment.delete.delay.ms=1000
num.network.threads=2
num.io.threads=4
{flush}"
    )
}
