//! Within how many seeds each deliberate breakage is noticed, and the table that says so.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::breakage::Breakage;
use schemas::Codec;

use crate::campaign::bites;

/// Where the seeds begin.
const FROM: u64 = 0;

/// Within how many seeds, from 0, a breakage is noticed.
pub fn stated(breakage: Breakage) -> u64 {
    match breakage {
        Breakage::OutOfOrderDelivery
        | Breakage::SnapshotOfHead
        | Breakage::PositionInMidFrame
        | Breakage::TieToSecondOrder => 1500,
        _ => 300,
    }
}

/// What became of one breakage.
#[derive(Debug, Clone)]
pub struct Bite {
    /// Which.
    pub breakage: Breakage,
    /// How many seeds it took; nothing if it was not noticed within those stated.
    pub seeds: Option<u64>,
    /// What noticed it.
    pub law: &'static str,
}

/// Runs every breakage until it is noticed, at most as often as stated.
pub fn bite_all(jobs: usize) -> Vec<Bite> {
    let next = AtomicUsize::new(0);
    let bites = Mutex::new(Vec::new());
    let work = || {
        let codec = Codec::in_memory();
        while let Some(breakage) = Breakage::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = self::bites(*breakage, FROM, stated(*breakage), &codec);
            let (seeds, law) = found.map_or((None, ""), |(seeds, failure)| (Some(seeds), failure.law));
            bites.lock().expect("nobody panics with it").push(Bite { breakage: *breakage, seeds, law });
        }
    };
    std::thread::scope(|scope| (0..jobs.max(1)).for_each(|_| drop(scope.spawn(work))));
    let mut bites = bites.into_inner().expect("nobody panics with it");
    bites.sort_by_key(|bite| bite.breakage);
    bites
}

/// The table of the breakages, in Markdown.
pub fn table(bites: &[Bite]) -> String {
    let mut text = String::from(
        "| breakage | what is wrong | noticed after | stated | what noticed it |\n|---|---|--:|--:|---|\n",
    );
    for Bite { breakage, seeds, law } in bites {
        let seeds = seeds.map_or_else(|| "**never**".to_owned(), |seeds| seeds.to_string());
        let (name, what) = (breakage.name(), breakage.what());
        let stated = stated(*breakage);
        text.push_str(&format!("| `{name}` | {what} | {seeds} | {stated} | {law} |\n"));
    }
    text
}
