//! What a process has taken of the machine, as the kernel tells.

use std::fmt;
use std::fs;

use anyhow::Context as _;

/// Ticks of the kernel's accounting in a second, on Linux.
const TICKS: f64 = 100.0;

/// Processor time and memory of one process.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// User and system, seconds since it began.
    pub processor_s: f64,
    /// Resident, MiB.
    pub resident_mib: f64,
}

impl Cost {
    /// Of a process that runs.
    ///
    /// # Errors
    /// There is none of this id, or this is not Linux.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            fs::read_to_string(&path).with_context(|| format!("read {path}"))
        };
        let stat = read("stat")?;
        let (_, fields) = stat.rsplit_once(") ").context("its name is in brackets")?;
        let times = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u32>());
        let ticks: u32 = times.sum::<Result<u32, _>>().context("its times are numbers")?;
        let status = read("status")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("its memory is told")?;
        let kib: f64 = resident.trim().trim_end_matches(" kB").parse().context("its memory is a number")?;
        Ok(Self { processor_s: f64::from(ticks) / TICKS, resident_mib: kib / 1024.0 })
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s of a processor, {:.0} MiB resident", self.processor_s, self.resident_mib)
    }
}
