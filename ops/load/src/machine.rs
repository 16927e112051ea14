//! What processes and the machine do, as the kernel tells.

use std::collections::BTreeMap;
use std::{fmt, fs};

use serde::{Deserialize, Serialize};

/// Ticks of the kernel's accounting in a second, on Linux.
const TICKS: f64 = 100.0;

/// Processor time of a process and of its children that have ended, seconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times(f64);

impl Times {
    /// Of this process.
    pub fn own() -> Self {
        Self(Stat::read("self").map_or(0.0, |stat| stat.processor_s))
    }

    /// Seconds since an earlier look.
    pub fn since(self, before: Self) -> f64 {
        (self.0 - before.0).max(0.0)
    }
}

/// One line of `/proc/PID/stat`.
struct Stat {
    parent: u32,
    processor_s: f64,
}

impl Stat {
    fn read(pid: &str) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in brackets and may hold anything.
        let (_, fields) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|it| it.parse::<f64>().ok());
        // The times of ended children are the next two.
        let processor_s = (ticks(11)? + ticks(12)?) / TICKS;
        Some(Self { parent: fields.get(1)?.parse().ok()?, processor_s })
    }
}

/// Processor time and memory of a process with all its descendants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Seconds since they began.
    pub processor_s: f64,
    /// Resident, MiB; what children share with their parent is counted once.
    pub resident_mib: f64,
}

impl Usage {
    /// Of one process that runs, with its descendants; nothing, if there is none of this id.
    pub fn of(pid: u32) -> Option<Self> {
        usage(&BTreeMap::from([(String::new(), pid)])).into_values().next()
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s of a processor, {:.0} MiB resident", self.processor_s, self.resident_mib)
    }
}

/// Every process that runs, with its parent.
fn parents() -> BTreeMap<u32, u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, Stat::read(&pid.to_string())?.parent))).collect()
}

/// What trees of processes use, given their roots; who ended is left out.
pub fn usage(roots: &BTreeMap<String, u32>) -> BTreeMap<String, Usage> {
    let parents = parents();
    let under = |pid: u32, root: u32| {
        let mut at = pid;
        // No tree is this deep; a loop would be the kernel's mistake.
        for _ in 0..32 {
            if at == root {
                return true;
            }
            match parents.get(&at) {
                Some(parent) => at = *parent,
                None => return false,
            }
        }
        false
    };
    let of = |root: u32| {
        let mut all = Usage::default();
        for pid in parents.keys().copied().filter(|pid| under(*pid, root)) {
            all.processor_s += Stat::read(&pid.to_string()).map_or(0.0, |stat| stat.processor_s);
            let field = if pid == root { "VmRSS:" } else { "RssAnon:" };
            all.resident_mib += resident_kib(pid, field).unwrap_or(0.0) / 1024.0;
        }
        all
    };
    roots.iter().filter(|(_, pid)| parents.contains_key(pid)).map(|(name, pid)| (name.clone(), of(*pid))).collect()
}

fn resident_kib(pid: u32, field: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Load average of the last minute; not a number where the kernel tells none.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(f64::NAN)
}

/// How busy all processors together were since they began: seconds busy, and seconds in all.
pub fn processors() -> (f64, f64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|it| it.parse().ok()).collect();
    let all: f64 = ticks.iter().take(8).sum();
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    ((all - idle) / TICKS, all / TICKS)
}

/// How many files a process may have open, and those that it starts; none if that is not limited.
pub fn open_files() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// What a number was measured on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Processors that the kernel has.
    pub cores: usize,
    /// MiB.
    pub memory_mib: u64,
    /// The kernel's version.
    pub kernel: String,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let processors = read("/proc/cpuinfo");
        let memory = after(&read("/proc/meminfo"), "MemTotal");
        Self {
            processor: after(&processors, "model name"),
            cores: processors.lines().filter(|line| line.starts_with("processor")).count(),
            memory_mib: memory.trim_end_matches(" kB").parse().unwrap_or(0) / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_counts_with_its_parent_and_who_ended_is_left_out() {
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        let own = std::process::id();
        let roots = [("own", own), ("child", child.id()), ("gone", u32::MAX)];
        let seen = usage(&roots.map(|(name, pid)| (name.to_owned(), pid)).into());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(seen.keys().collect::<Vec<_>>(), ["child", "own"]);
        assert!(seen["own"].resident_mib > seen["child"].resident_mib && seen["child"].resident_mib > 0.0);
    }

    #[test]
    fn the_machine_is_known() {
        let machine = Machine::this();
        assert!(machine.cores > 0 && machine.memory_mib > 0 && !machine.kernel.is_empty(), "{machine:?}");
        let (busy, all) = processors();
        assert!(0.0 < busy && busy < all);
        assert!(load_average() >= 0.0);
    }
}
