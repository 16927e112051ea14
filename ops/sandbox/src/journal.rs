//! The journal file: one JSON entry a line; the last entry of a record is its state.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::delivery::Delivery;
use crate::ledger::{Movement, Transfer};
use crate::payos::Payment;
use crate::provider::Provider;
use crate::replays::Replay;
use crate::sale::Sale;

/// One line of the journal.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A payment of PayOS as it is now.
    Payment(Box<Payment>),
    /// A sale as it is now.
    Sale(Box<Sale>),
    /// The answer to a call that came with a key, written once.
    Replay(Replay),
    /// A transfer of PayOS, written once.
    Transfer(Transfer),
    /// A movement at another provider, written once.
    Movement(Movement),
    /// A delivery as it is now.
    Delivery(Delivery),
    /// PayOS's webhook URL, as journals of earlier days have it.
    WebhookUrl(String),
    /// A provider's webhook URL as it is now.
    TargetUrl(Provider, String),
}

/// An open journal that entries are appended to.
pub struct Journal {
    file: File,
}

impl Journal {
    /// Reads what an earlier run left; an unfinished last line is dropped.
    pub fn read(path: &Path) -> anyhow::Result<Vec<Entry>> {
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(path).with_context(|| format!("read the journal {}", path.display()))?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let parse = |line: &str| serde_json::from_str(line).with_context(|| format!("parse {}", path.display()));
        whole.lines().map(parse).collect()
    }

    /// Replaces the file by `entries` in one step and opens it for appending.
    pub fn rewrite(path: &Path, entries: &[Entry]) -> anyhow::Result<Self> {
        let draft = path.with_extension("draft");
        let mut text = String::new();
        for entry in entries {
            text.push_str(&line(entry)?);
        }
        fs::write(&draft, text).with_context(|| format!("write {}", draft.display()))?;
        fs::rename(&draft, path).with_context(|| format!("replace {}", path.display()))?;
        let file = OpenOptions::new().append(true).open(path).with_context(|| format!("open {}", path.display()))?;
        Ok(Self { file })
    }

    /// Appends one entry.
    pub fn append(&mut self, entry: &Entry) -> anyhow::Result<()> {
        self.file.write_all(line(entry)?.as_bytes()).context("append to the journal")
    }
}

fn line(entry: &Entry) -> anyhow::Result<String> {
    let mut line = serde_json::to_string(entry).context("encode a journal entry")?;
    line.push('\n');
    Ok(line)
}
