//! A real browser without a window: Chromium, told what to do over its DevTools protocol.

mod devtools;
mod page;
mod stub;

use std::fs::File;
use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

pub use page::Page;
pub use stub::{Asked, Reply};

use devtools::DevTools;

/// As it is called on Debian, on other systems, and by its vendor.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// How long it may take to start on a busy machine.
const START: Duration = Duration::from_secs(60);
/// No window, nothing asked from anybody but the tests' own services, and no sandbox: the tests may run as root.
const SETTINGS: [&str; 14] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-port=0",
    "about:blank",
];

/// One browser with nothing in its memory. It ends when this is dropped.
pub struct Browser {
    process: Child,
    profile: TempDir,
}

impl Browser {
    /// Starts one, and gives its page as wide as a phone.
    ///
    /// # Panics
    /// If there is no Chromium, or it does not start.
    pub async fn start() -> (Self, Page) {
        Self::try_start().await.expect("Chromium starts")
    }

    async fn try_start() -> anyhow::Result<(Self, Page)> {
        let profile = tempfile::tempdir()?;
        let mut browser = Self { process: run(&profile)?, profile };
        let address = tokio::time::timeout(START, browser.page_address()).await.context("Chromium says nothing")??;
        let page = Page::open(DevTools::connect(&address).await?).await?;
        Ok((browser, page))
    }

    /// Where its first page is told what to do.
    async fn page_address(&mut self) -> anyhow::Result<String> {
        let port = self.profile.path().join("DevToolsActivePort");
        loop {
            if let Some(ended) = self.process.try_wait()? {
                let told = std::fs::read_to_string(self.profile.path().join("stderr"))?;
                bail!("it ended at once, {ended}: {told}");
            }
            let port = std::fs::read_to_string(&port).ok();
            if let Some(port) = port.as_deref().and_then(|text| text.lines().next())
                && let Some(page) = first_page(port).await
            {
                return Ok(page);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn first_page(port: &str) -> Option<String> {
    let targets = reqwest::get(format!("http://127.0.0.1:{port}/json/list")).await.ok()?;
    let targets: Vec<Value> = targets.json().await.ok()?;
    let page = targets.into_iter().find(|target| target["type"] == "page")?;
    Some(page["webSocketDebuggerUrl"].as_str()?.to_owned())
}

/// Runs the first of the names that there is.
fn run(profile: &TempDir) -> anyhow::Result<Child> {
    let told = profile.path().join("stderr");
    for name in NAMES {
        let mut command = Command::new(name);
        command.args(SETTINGS).arg(format!("--user-data-dir={}", profile.path().display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&told)?).kill_on_drop(true);
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            spawned => return spawned.with_context(|| format!("run {name}")),
        }
    }
    bail!("there is no Chromium; ./ops/test installs it, or: apt-get install chromium")
}
