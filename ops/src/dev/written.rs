//! What a local installation writes down about itself, so that every command of boxctl finds it without any settings.
//!
//! Invariant: nothing secret is in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use local_stack::Endpoints;
use serde::{Deserialize, Serialize};

use crate::topology::{Plan, Process};

/// A local installation, as it was last started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// The stack below.
    pub endpoints: Endpoints,
    /// Prefix of topics, groups, subjects and schemas.
    pub namespace: String,
    /// Partitions of every event topic.
    pub partitions: u32,
    /// Where clients come in.
    pub base_url: String,
    /// Where each process of ours is reached, by its name.
    pub services: BTreeMap<String, String>,
}

impl Written {
    /// What there is to write of a plan.
    pub fn of(plan: &Plan) -> Self {
        let ours = plan.counts.all().filter(|it| it.process != Process::Sandbox);
        Self {
            endpoints: plan.endpoints.clone(),
            namespace: plan.namespace.clone(),
            partitions: plan.partitions,
            base_url: plan.base_url.clone(),
            services: ours.map(|it| (it.to_string(), plan.url(it))).collect(),
        }
    }

    /// What a folder has; none if nothing was ever started there.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn find(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = folder.join("installation.json");
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| format!("read {}", path.display())).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    /// Writes it whole.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn keep(&self, folder: &Path) -> anyhow::Result<()> {
        let (path, new) = (folder.join("installation.json"), folder.join("installation.json.new"));
        let text = serde_json::to_vec_pretty(self)?;
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &path))
            .with_context(|| format!("write {}", path.display()))
    }
}
