//! What a crowd's run came to: as JSON for machines, as a table for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use load::crowd::Tally;
use load::machine::Machine;
use load::monitor::Sample;
use load::report::{Percentiles, shown};
use serde::Serialize;

/// One stage, as the machine saw it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Span {
    /// What was done.
    pub name: &'static str,
    /// When it began, seconds.
    pub from_s: f64,
    /// When all had done it.
    pub to_s: f64,
    /// Seconds of a processor that each process used.
    pub processor_s: BTreeMap<String, f64>,
    /// Resident memory when it began and when it ended, MiB.
    pub resident_mib: BTreeMap<String, [f64; 2]>,
    /// How busy all processors were together, of 1.
    pub busy: f64,
    /// What happened meanwhile.
    pub notes: Vec<String>,
}

/// What the log says.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Logged {
    /// Who joined.
    pub joined: usize,
    /// Who was admitted.
    pub admitted: usize,
    /// Who was admitted while somebody else waited in front.
    pub inversions: u32,
    /// Slots in use at most, and how many there are.
    pub slots: [u32; 2],
    /// What joining took, bytes: key, header and value of each record.
    pub joins_bytes: u64,
    /// What the whole partition takes on disk, everything else that happened in it too.
    pub partition_bytes: Option<u64>,
    /// What the newest snapshot of the partition's state takes; none if none was taken.
    pub snapshot_bytes: Option<u64>,
    /// Places that were acknowledged, and are not in the log or are somebody else's.
    pub lost: usize,
}

/// A whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Shape and settings, in words.
    pub what: String,
    /// Every setting.
    pub settings: BTreeMap<String, String>,
    /// What it ran on.
    pub machine: Machine,
    /// Each stage.
    pub spans: Vec<Span>,
    /// Latencies by what was done.
    pub latencies: BTreeMap<&'static str, Percentiles>,
    /// Everything counted; its histograms in microseconds and counts.
    pub tally: Tally,
    /// What the log says.
    pub logged: Logged,
    /// Every look at the machine.
    pub samples: Vec<Sample>,
    /// Why the numbers do not count; empty if they do.
    pub void: Vec<String>,
    /// What could spoil them.
    pub doubts: Vec<String>,
    /// What else is to be told.
    pub notes: Vec<String>,
}

impl Span {
    /// One that begins.
    pub fn begun(name: &'static str, from_s: f64) -> Self {
        Self { name, from_s, ..Self::default() }
    }

    /// Sums what was seen of the machine meanwhile.
    pub fn measure(&mut self, samples: &[Sample]) {
        let within: Vec<&Sample> =
            samples.iter().filter(|it| it.at_s > self.from_s && it.at_s <= self.to_s + 0.5).collect();
        for (name, share) in within.iter().flat_map(|it| &it.processor) {
            *self.processor_s.entry(name.clone()).or_default() += share;
        }
        self.busy = within.iter().map(|it| it.busy).sum::<f64>() / float(within.len().max(1));
        let first = samples.iter().rev().find(|it| it.at_s <= self.from_s).or(samples.first());
        let (Some(first), Some(last)) = (first, within.last()) else { return };
        let both = |name: &String, begun: &f64| Some((name.clone(), [*begun, *last.resident_mib.get(name)?]));
        self.resident_mib = first.resident_mib.iter().filter_map(|(name, begun)| both(name, begun)).collect();
    }

    /// By how much the memory of these processes grew, KiB.
    pub fn growth_kib(&self, program: &str) -> f64 {
        let ours = self.resident_mib.iter().filter(|(name, _)| name.starts_with(program));
        ours.map(|(_, [begun, ended])| (ended - begun) * 1024.0).sum()
    }

    /// The memory of this one's beginning and of a later one's end.
    pub fn until(&self, later: &Self) -> Self {
        let mut both = self.clone();
        for (name, [_, ended]) in &mut both.resident_mib {
            *ended = later.resident_mib.get(name).map_or(*ended, |it| it[1]);
        }
        both
    }

    fn seconds(&self) -> f64 {
        (self.to_s - self.from_s).max(1e-3)
    }
}

impl Report {
    /// Of what was counted; what the log says and whether it counts is added later.
    pub fn of(
        what: String,
        settings: BTreeMap<String, String>,
        machine: Machine,
        spans: Vec<Span>,
        tally: &Tally,
    ) -> Self {
        let all = [
            ("until placed", &tally.joining),
            ("status", &tally.polling),
            ("sent late", &tally.scheduling_lag),
            ("until connected", &tally.connecting),
            ("admission to person", &tally.telling),
        ];
        let latencies = all.into_iter().filter(|(_, it)| it.count() > 0);
        Self {
            what,
            settings,
            machine,
            spans,
            latencies: latencies.map(|(name, it)| (name, it.into())).collect(),
            tally: tally.clone(),
            logged: Logged::default(),
            samples: Vec::new(),
            void: Vec::new(),
            doubts: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// One stage.
    pub fn span(&self, name: &str) -> Option<&Span> {
        self.spans.iter().find(|it| it.name == name)
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to memory cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Machine { processor, cores, memory_mib, kernel } = &self.machine;
        writeln!(out, "{}\non {cores} × {processor}, {memory_mib} MiB, Linux {kernel}", self.what)?;
        self.counts(out)?;
        for (name, latency) in &self.latencies {
            writeln!(out, "  {name:<20} {}", shown(latency))?;
        }
        self.log(out)?;
        for span in &self.spans {
            Self::costs(span, out)?;
        }
        for note in &self.notes {
            writeln!(out, "  {note}")?;
        }
        for doubt in &self.doubts {
            writeln!(out, "  doubtful: {doubt}")?;
        }
        for example in &self.tally.examples {
            writeln!(out, "  for example: {example}")?;
        }
        match self.void.as_slice() {
            [] => writeln!(out, "  every place was kept, and every law holds"),
            void => void.iter().try_for_each(|why| writeln!(out, "VOID: {why}")),
        }
    }

    fn counts(&self, out: &mut String) -> std::fmt::Result {
        let tally = &self.tally;
        writeln!(
            out,
            "  came {}, have a place {}; {} requests to join",
            tally.came, tally.placed, tally.join_requests
        )?;
        if tally.polls > 0 {
            writeln!(
                out,
                "  questions due {}, answered {}; {} went to another server, {} found the one before unanswered",
                tally.polls,
                tally.polling.count(),
                tally.moved,
                tally.overlapped
            )?;
        }
        if tally.sockets > 0 {
            writeln!(
                out,
                "  sockets {}, opened again {}; {} messages, {} pings, {} bytes",
                tally.sockets, tally.reopened, tally.messages, tally.pings, tally.bytes
            )?;
        }
        writeln!(out, "  learnt of their turn {}, entered {}, left {}", tally.admitted, tally.entered, tally.left)?;
        for (name, kinds) in [("again", &tally.repeats), ("FAILED", &tally.errors), ("WRONG", &tally.faults)] {
            kinds.iter().try_for_each(|(kind, count)| writeln!(out, "    {name}: {kind}: {count}"))?;
        }
        Ok(())
    }

    fn log(&self, out: &mut String) -> std::fmt::Result {
        let Logged { joined, admitted, inversions, slots, joins_bytes, lost, .. } = &self.logged;
        writeln!(
            out,
            "  log: {joined} joined, {admitted} admitted, order inversions {inversions}, slots at most {} of {}, places lost {lost}",
            slots[0], slots[1]
        )?;
        let each = |bytes: u64| bytes as f64 / float((*joined).max(1));
        let disk = self
            .logged
            .partition_bytes
            .map(|bytes| format!("; the partition on disk {bytes}, {:.0} a join", each(bytes)));
        // It may be older than the last who joined.
        let state = self.logged.snapshot_bytes.map(|bytes| format!("; the newest snapshot of its state {bytes}"));
        let [disk, state] = [disk, state].map(Option::unwrap_or_default);
        writeln!(out, "  log: {:.0} bytes for each join{disk}{state}", each(*joins_bytes))
    }

    fn costs(span: &Span, out: &mut String) -> std::fmt::Result {
        let Span { name, processor_s, resident_mib, busy, .. } = span;
        let seconds = span.seconds();
        writeln!(out, "  {name}, {seconds:.1} s, all processors {:.0} % busy: processor, memory", busy * 100.0)?;
        for (name, used) in processor_s {
            let [begun, ended] = resident_mib.get(name).copied().unwrap_or_default();
            let share = used / seconds * 100.0;
            writeln!(out, "    {name:<19}{used:>9.2} s {share:>6.1} % of one {begun:>8.0} → {ended:.0} MiB")?;
        }
        span.notes.iter().try_for_each(|note| writeln!(out, "    {note}"))
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_s: f64, processor: f64, mib: f64) -> Sample {
        Sample {
            at_s,
            processor: [("query-api-1".to_owned(), processor)].into(),
            resident_mib: [("query-api-1".to_owned(), mib)].into(),
            ..Sample::default()
        }
    }

    #[test]
    fn a_stage_is_told_from_the_look_before_it_to_the_last_one_in_it() {
        let mut span = Span { to_s: 4.0, ..Span::begun("connect", 2.0) };
        let samples = [sample(1.0, 9.0, 10.0), sample(2.0, 9.0, 20.0), sample(3.0, 0.5, 50.0), sample(4.0, 0.25, 60.0)];
        span.measure(&[samples.as_slice(), &[sample(5.0, 9.0, 99.0)]].concat());
        assert_eq!(span.processor_s["query-api-1"], 0.75);
        assert_eq!(span.resident_mib["query-api-1"], [20.0, 60.0]);
        let later = Span { resident_mib: [("query-api-1".to_owned(), [65.0, 70.0])].into(), ..Span::default() };
        assert_eq!(span.until(&later).resident_mib["query-api-1"], [20.0, 70.0]);
        assert_eq!((span.growth_kib("query-api"), span.growth_kib("kafka")), (40.0 * 1024.0, 0.0));
    }
}
