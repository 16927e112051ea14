//! Each process's own port on loopback, kept from run to run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::Context as _;
use local_stack::free_port;
use serde::{Deserialize, Serialize};

use super::instance::Instance;

/// Each process's own port on loopback, by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports(BTreeMap<String, u16>);

impl Ports {
    /// Those that a folder keeps, so that links of the payment provider stay good; another one for whom has none yet, or
    /// whose is taken.
    ///
    /// # Errors
    /// No port is free, or the file cannot be written.
    pub fn of(folder: &Path, instances: impl IntoIterator<Item = Instance>) -> anyhow::Result<Self> {
        let path = folder.join("ports.json");
        let kept = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Self>(&text).ok()).unwrap_or_default();
        let mut ports = kept.clone();
        // Also of those that do not run this time: they come back.
        let mut used: BTreeSet<u16> = kept.0.values().copied().collect();
        for instance in instances {
            let name = instance.to_string();
            if !kept.0.get(&name).is_some_and(|port| is_free(*port)) {
                ports.0.insert(name, other(&mut used)?);
            }
        }
        if ports != kept {
            let text = serde_json::to_vec(&ports).context("write ports as JSON")?;
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(ports)
    }

    /// The port of one.
    ///
    /// # Panics
    /// If it is none of those that were asked for.
    pub fn get(&self, instance: Instance) -> u16 {
        *self.0.get(&instance.to_string()).expect("every process of a plan has a port")
    }
}

#[cfg(test)]
impl<const N: usize> From<[(Instance, u16); N]> for Ports {
    fn from(ports: [(Instance, u16); N]) -> Self {
        Self(ports.into_iter().map(|(instance, port)| (instance.to_string(), port)).collect())
    }
}

/// A port that nobody of ours has.
fn other(used: &mut BTreeSet<u16>) -> anyhow::Result<u16> {
    loop {
        let port = free_port()?;
        if used.insert(port) {
            return Ok(port);
        }
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{Counts, Process};

    #[test]
    fn ports_are_kept_and_only_who_lost_one_gets_another() {
        let folder = tempfile::tempdir().unwrap();
        let first = Ports::of(folder.path(), Counts::ONE.all()).unwrap();
        assert_eq!(Ports::of(folder.path(), Counts::ONE.all()).unwrap(), first);
        let more = Ports::of(folder.path(), Counts::TWO.all()).unwrap();
        assert!(Counts::ONE.all().all(|it| more.get(it) == first.get(it)));
        let different: BTreeSet<u16> = Counts::TWO.all().map(|it| more.get(it)).collect();
        assert_eq!(different.len(), Counts::TWO.all().count());
        let query = Instance::from(Process::QueryApi);
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, more.get(query))).unwrap();
        let moved = Ports::of(folder.path(), Counts::TWO.all()).unwrap();
        assert_ne!(moved.get(query), more.get(query));
        assert!(Counts::TWO.all().filter(|it| *it != query).all(|it| moved.get(it) == more.get(it)));
    }
}
