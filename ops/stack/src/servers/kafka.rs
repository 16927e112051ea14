//! Kafka's settings: brokers that are controllers, too, and lose no acknowledged record when they are killed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Server, java_mark};
use crate::config::{Brokers, StackConfig};
use crate::disk;
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

pub fn prepare(server: Server, config: &StackConfig, ports: &Ports, tools: &Tools) -> Result<Command> {
    let home = server.home(config);
    if let Some(bytes) = disk_bytes(server, config) {
        disk::mount(&disk::folder(&home), bytes)?;
    }
    let settings = home.join("server.properties");
    let logging = home.join("log4j2.properties");
    fs::write(&settings, properties(server, config, ports))
        .and_then(|()| fs::write(&logging, LOGGING))
        .with_context(|| format!("write Kafka's settings in {}", home.display()))?;
    format_once(&data(server, config), &cluster_id(config)?, &settings, java(tools, &logging))?;
    let mut command = java(tools, &logging);
    let most = if config.brokers == Brokers::One { "-Xmx512m" } else { "-Xmx320m" };
    command.args(["-Xms128m", most, "-XX:+UseG1GC"]).arg(java_mark(server, config));
    command.arg("kafka.Kafka").arg(settings);
    Ok(command)
}

/// Where a broker's log is: on a disk of its own, if it has one.
pub fn data(server: Server, config: &StackConfig) -> PathBuf {
    let home = server.home(config);
    match disk_bytes(server, config) {
        Some(_) => disk::folder(&home).join("data"),
        None => home.join("data"),
    }
}

/// Where the id is kept that all brokers of a stack have in common.
pub fn cluster_id_file(config: &StackConfig) -> PathBuf {
    config.folder.join("cluster-id")
}

fn disk_bytes(server: Server, config: &StackConfig) -> Option<u64> {
    config.kafka_disk_bytes.filter(|_| server == Server::Kafka)
}

fn java(tools: &Tools, logging: &Path) -> Command {
    let mut command = Command::new(&tools.java);
    command.arg("-cp").arg(tools.kafka.join("*"));
    command.arg("-Djava.awt.headless=true").arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
    command
}

/// Gives a new log its cluster id. A marker is written last, because a format that was killed leaves half a folder,
/// and only a log without marker, which no broker ever opened, may be thrown away.
fn format_once(data: &Path, cluster_id: &str, settings: &Path, mut format: Command) -> Result<()> {
    let marker = data.with_file_name("formatted");
    if marker.exists() && data.exists() {
        return Ok(());
    }
    if data.exists() {
        fs::remove_dir_all(data).with_context(|| format!("remove the half-made {}", data.display()))?;
    }
    let output = format
        .args(["-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c"])
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

/// The id of this stack's cluster, kept from the first start on, because its brokers know each other by it.
///
/// Kafka wants 16 bytes as 22 characters of base 64. Hexadecimal digits are such characters, and the last one must
/// leave its four spare bits empty.
fn cluster_id(config: &StackConfig) -> Result<String> {
    let file = cluster_id_file(config);
    match fs::read_to_string(&file) {
        Ok(id) => return Ok(id),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("read {}", file.display())),
    }
    let digits = random_id().simple().to_string();
    let id = format!("{}A", &digits[..21]);
    let new = file.with_extension("new");
    fs::write(&new, &id).and_then(|()| fs::rename(&new, &file)).with_context(|| format!("write {}", file.display()))?;
    Ok(id)
}

fn properties(server: Server, config: &StackConfig, ports: &Ports) -> String {
    let brokers = config.brokers.servers().len();
    // What the brokers keep for themselves is copied as the topics are: one of three may be away.
    let (copies, in_sync) = if brokers == 1 { (1, 1) } else { (3, 2) };
    let mut text = roles(server, config, ports);
    let data = data(server, config);
    // The session is short because a broker that comes back after a crash is refused until its old session ends.
    write!(
        text,
        "log.dirs={}
auto.create.topics.enable=false
min.insync.replicas={in_sync}
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=8
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={in_sync}
share.coordinator.state.topic.num.partitions=8
message.max.bytes=4194304
replica.fetch.max.bytes=4194304
log.cleaner.dedupe.buffer.size=16777216
log.segment.delete.delay.ms=1000
num.network.threads=2
num.io.threads=4
{}",
        data.display(),
        if config.sync { "log.flush.interval.messages=1\n" } else { "" },
    )
    .expect("text takes text");
    text
}

/// Who this is, and where the controllers are.
fn roles(server: Server, config: &StackConfig, ports: &Ports) -> String {
    let controllers = config.brokers.controllers();
    let id = |server: Server| server.broker_id().expect("only brokers make up a Kafka");
    let voter = |it: &Server| format!("{}@127.0.0.1:{}", id(*it), ports.broker(*it).1);
    let voters: Vec<String> = controllers.iter().map(voter).collect();
    let (clients, control) = ports.broker(server);
    let (roles, listeners) = match controllers.contains(&server) {
        true => ("broker,controller", format!("PLAINTEXT://127.0.0.1:{clients},CONTROLLER://127.0.0.1:{control}")),
        false => ("broker", format!("PLAINTEXT://127.0.0.1:{clients}")),
    };
    format!(
        "process.roles={roles}
node.id={}
controller.quorum.voters={}
listeners={listeners}
advertised.listeners=PLAINTEXT://127.0.0.1:{clients}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
",
        id(server),
        voters.join(","),
    )
}
