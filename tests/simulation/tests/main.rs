//! Histories hold, are the same for the same seed, and every deliberate breakage is noticed.

use domain::breakage::Breakage;
use schemas::Codec;
use simulation::{Campaign, Options, bite_all, campaign, run, table};

/// So many histories in this test; `boxctl simulate` runs them by the million.
const HISTORIES: u64 = 100;

fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn every_law_holds() {
    let histories =
        Campaign { from: 1_000_000, seeds: HISTORIES, time: None, at_least: 0, jobs: jobs(), breakage: None };
    let outcome = campaign(&histories, &|_| {});
    assert!(outcome.failure.is_none(), "{}", outcome.failure.unwrap_or_default());
    assert_eq!(outcome.seen.histories, HISTORIES);
    assert!(outcome.seen.fewest_commands >= 30, "{} commands", outcome.seen.fewest_commands);
    let faults = ["crash of the owner", "log: append lost, error told", "log: record twice", "owner asleep"];
    for fault in faults {
        assert!(outcome.seen.faults.get(fault).is_some_and(|times| *times > 0), "{fault} never happened");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (codec, options) = (Codec::in_memory(), Options { digest: true, ..Options::default() });
    for seed in 0..10 {
        let (one, two) = (run(seed, &codec, &options).unwrap(), run(seed, &codec, &options).unwrap());
        assert_eq!(one, two, "seed {seed}");
        assert_ne!(one.digest, 0);
    }
}

#[test]
fn every_breakage_is_noticed_within_the_seeds_stated() {
    let bites = bite_all(jobs());
    println!("{}", table(&bites));
    let missed: Vec<&str> = bites.iter().filter(|bite| bite.seeds.is_none()).map(|bite| bite.breakage.name()).collect();
    assert!(missed.is_empty(), "not noticed: {}", missed.join(", "));
    assert_eq!(bites.len(), Breakage::ALL.len());
}

#[test]
fn a_failure_is_made_smaller_and_says_what_broke() {
    let (codec, options) = (Codec::in_memory(), Options::broken(Breakage::StockUnchecked));
    let failure = (0..100).find_map(|seed| run(seed, &codec, &options).err()).unwrap();
    assert!(failure.steps.len() < failure.drawn / 2, "{failure}");
    let text = failure.to_string();
    assert!(text.contains("does not hold") && text.contains("stock-unchecked"), "{text}");
}
