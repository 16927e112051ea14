//! A redis-server of one's own: on loopback, in its own folder, ended with the peer.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use service_kit::{clock, random};
use tokio::process::{Child, Command};

use crate::Durability;

/// It has nothing to load, so it answers at once or not at all.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// As the edge gives a request up.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A running server.
pub struct RedisServer {
    child: Child,
    folder: PathBuf,
}

impl RedisServer {
    /// Starts `program`, and returns it with the one connection to it.
    ///
    /// # Errors
    /// There is no such program, or it does not answer.
    pub async fn start(
        program: &Path,
        folder: Option<&Path>,
        durability: Durability,
    ) -> anyhow::Result<(Self, MultiplexedConnection)> {
        let name = format!("peer-redis-{}", random::opaque_id().simple());
        let folder = folder.map_or_else(std::env::temp_dir, Path::to_owned).join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let fsync = match durability {
            Durability::D1 => "always",
            Durability::D2 => "everysec",
        };
        // However the peer ends, its server does not outlive it.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--daemonize", "no", "--loglevel", "warning"])
            .args(["--appendonly", "yes", "--appendfsync", fsync])
            // Neither snapshots nor rewriting of the file: a fork in the middle of a measurement would be Redis's loss.
            .args(["--save", "", "--auto-aof-rewrite-percentage", "0"])
            .arg("--dir")
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("starting redis-server through setpriv (util-linux)")?;
        let mut server = Self { child, folder };
        match server.connect(port).await {
            Ok(connection) => Ok((server, connection)),
            Err(error) => {
                server.end().await?;
                Err(error)
            }
        }
    }

    async fn connect(&mut self, port: u16) -> anyhow::Result<MultiplexedConnection> {
        let client = redis::Client::open(("127.0.0.1", port))?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_WITHIN));
        let begun = clock::monotonic();
        loop {
            match client.get_multiplexed_async_connection_with_config(&config).await {
                Ok(connection) => return Ok(connection),
                Err(error) if begun.elapsed() > ANSWERS_WITHIN => return Err(error).context("connecting to Redis"),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("redis-server ended at once, {status}; ops/peers/prepare installs it where it is missing");
            }
        }
    }

    /// Ends it and deletes its files.
    ///
    /// # Errors
    /// The files cannot be deleted.
    pub async fn end(&mut self) -> anyhow::Result<()> {
        // What it holds is not needed any more, so it need not end in order.
        self.child.start_kill().ok();
        tokio::time::timeout(ENDS_WITHIN, self.child.wait()).await.context("redis-server does not end")??;
        let folder = &self.folder;
        tokio::fs::remove_dir_all(folder).await.with_context(|| format!("deleting {}", folder.display()))
    }
}
