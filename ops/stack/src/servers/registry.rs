//! The schema registry's settings: its ids must survive every crash, because the whole log is read by them.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Server, java_mark};
use crate::config::StackConfig;
use crate::download::Tools;
use crate::ports::Ports;

pub fn prepare(config: &StackConfig, ports: &Ports, tools: &Tools) -> Result<Command> {
    let home = Server::Registry.home(config);
    let database = home.join("data/registry");
    let temporary = home.join("tmp");
    // It unpacks native libraries at every start, and leaves them behind when it is killed.
    if temporary.exists() {
        fs::remove_dir_all(&temporary).with_context(|| format!("empty {}", temporary.display()))?;
    }
    fs::create_dir(&temporary).with_context(|| format!("create {}", temporary.display()))?;
    let mut command = Command::new(&tools.java);
    command.args(["-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Djava.awt.headless=true"]);
    command.arg(format!("-Djava.io.tmpdir={}", temporary.display()));
    command.arg(java_mark(Server::Registry, config));
    command.arg("-jar").arg(tools.registry.join("quarkus-run.jar"));
    command.envs([
        ("APICURIO_STORAGE_KIND", "sql"),
        ("APICURIO_STORAGE_SQL_KIND", "h2"),
        ("QUARKUS_HTTP_HOST", "127.0.0.1"),
        ("QUARKUS_HTTP_ACCESS_LOG_ENABLED", "false"),
        // Left alone, the management interface listens on every address.
        ("QUARKUS_MANAGEMENT_HOST", "127.0.0.1"),
        ("QUARKUS_LOG_LEVEL", "WARN"),
    ]);
    // Without a write delay of zero, H2 keeps a commit in memory for up to half a second.
    command.env("APICURIO_DATASOURCE_URL", format!("jdbc:h2:file:{};WRITE_DELAY=0", database.display()));
    command.env("QUARKUS_HTTP_PORT", ports.registry.to_string());
    command.env("QUARKUS_MANAGEMENT_PORT", ports.registry_management.to_string());
    Ok(command)
}
