//! A stack for one test, in a temporary folder that goes away with it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::config::{Endpoints, StackConfig};
use crate::stack;
use crate::world::random_id;

const PREFIX: &str = "boxoffice-stack-";

/// A running stack of its own, ended and deleted when this value is dropped.
#[derive(Debug)]
pub struct EphemeralStack {
    config: StackConfig,
    endpoints: Endpoints,
    /// Locked as long as we live, so that others can tell a stack in use from one whose owner was killed.
    _owner: File,
}

impl EphemeralStack {
    /// Starts a stack. Stacks that an owner was killed over are ended and deleted first.
    ///
    /// # Errors
    /// As for [`up`](crate::up).
    pub fn start(progress: &mut dyn FnMut(&str)) -> Result<Self> {
        Self::with(|_| {}, progress)
    }

    /// The same with a configuration that `change` may alter, its folder aside.
    ///
    /// # Errors
    /// As for [`up`](crate::up).
    pub fn with(change: impl FnOnce(&mut StackConfig), progress: &mut dyn FnMut(&str)) -> Result<Self> {
        sweep();
        let mut config = StackConfig::ephemeral()?;
        let folder = config.folder.clone();
        change(&mut config);
        config.folder = folder;
        let owner = own(&config.folder).with_context(|| format!("create {}", config.folder.display()))?;
        match stack::up(&config, progress) {
            Ok(endpoints) => Ok(Self { config, endpoints, _owner: owner }),
            Err(error) => {
                discard(&config);
                Err(error)
            }
        }
    }

    /// What [`kill`](crate::kill), [`restart`](crate::restart) and the others take.
    #[must_use]
    pub fn config(&self) -> &StackConfig {
        &self.config
    }

    /// Where its servers are reached.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }
}

impl Drop for EphemeralStack {
    fn drop(&mut self) {
        discard(&self.config);
    }
}

/// A path for a new stack that no other has.
pub fn new_folder() -> PathBuf {
    std::env::temp_dir().join(format!("{PREFIX}{}", random_id().simple()))
}

/// The file gets its name only when it is locked, or a sweep could take a stack that is being made for a lost one.
fn own(folder: &Path) -> std::io::Result<File> {
    fs::create_dir_all(folder)?;
    let new = folder.join("owner.new");
    let owner = File::create(&new)?;
    owner.lock()?;
    fs::rename(new, folder.join("owner"))?;
    Ok(owner)
}

/// Nobody is left to tell if this fails; the next sweep tries again.
fn discard(config: &StackConfig) {
    if stack::wipe(config, &mut |_| {}).is_ok() {
        drop(fs::remove_dir_all(&config.folder));
    }
}

fn sweep() {
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    for folder in ours.map(|entry| entry.path()) {
        let Ok(owner) = File::open(folder.join("owner")) else {
            continue;
        };
        let is_ours = matches!((fs::symlink_metadata(&folder), fs::metadata("/proc/self")),
            (Ok(folder), Ok(process)) if folder.is_dir() && folder.uid() == process.uid());
        if is_ours && owner.try_lock().is_ok() {
            discard(&StackConfig::new(folder.clone(), folder, true));
        }
    }
}
