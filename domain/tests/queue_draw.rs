//! The draw: a permutation of whatever crowd, which others can compute as well.

use domain::queue::{Draw, Seed};
use proptest::prelude::{any, proptest};

use crate::common::SEED;

/// The bytes 0, 1, 2, … 31.
fn counting() -> Seed {
    Seed(std::array::from_fn(|byte| u8::try_from(byte).unwrap()))
}

/// Every number gets another place between 1 and the count.
fn permutes(draw: Draw) {
    let mut taken = vec![false; draw.count() as usize];
    for number in 1..=draw.count() {
        let place = draw.place(number);
        assert!((1..=draw.count()).contains(&place), "{draw:?}: {number} has the place {place}");
        assert!(!std::mem::replace(&mut taken[place as usize - 1], true), "{draw:?}: {place} is taken twice");
    }
}

#[test]
fn any_count_is_permuted() {
    (1..=600).chain((601..=2000).step_by(13)).for_each(|count| permutes(Draw::new(SEED, count)));
}

#[test]
#[ignore = "takes a quarter of a minute"]
fn every_count_up_to_2000_is_permuted() {
    (1..=2000).for_each(|count| permutes(Draw::new(counting(), count)));
}

#[test]
fn places_lead_back_to_numbers() {
    for count in (1..=64).chain((65..=2000).step_by(97)).chain([2000]) {
        let draw = Draw::new(counting(), count);
        (1..=count).for_each(|number| assert_eq!(draw.number(draw.place(number)), number, "of {count}"));
    }
}

proptest! {
    #[test]
    fn any_seed_and_any_crowd_lead_back(seed in any::<[u8; 32]>(), count in 1..=u32::MAX, number in any::<u32>()) {
        let draw = Draw::new(Seed(seed), count);
        let place = draw.place(number);
        assert_eq!(draw.number(place), number);
        assert!(place <= count || place == number);
    }

    #[test]
    fn a_seed_is_read_as_it_is_written(bytes in any::<[u8; 32]>()) {
        let text = Seed(bytes).to_string();
        assert_eq!((text.len(), text.parse()), (64, Ok(Seed(bytes))));
        assert_eq!(serde_json::to_string(&Seed(bytes)).unwrap(), format!("\"{text}\""));
    }
}

/// Computed by another program, in another language, from the description in `draw.rs`.
#[test]
fn others_compute_the_same() {
    let places = |draw: Draw, numbers: &[u32]| numbers.iter().map(|number| draw.place(*number)).collect::<Vec<_>>();
    let all: Vec<u32> = (1..=10).collect();
    assert_eq!(places(Draw::new(SEED, 10), &all), [10, 3, 9, 2, 6, 8, 5, 4, 1, 7]);
    let some = [1, 2, 3, 750, 1499, 1500];
    assert_eq!(places(Draw::new(counting(), 1500), &some), [677, 835, 1490, 564, 734, 1421]);
    let million = [1, 2, 3, 999_999, 1_000_000];
    assert_eq!(places(Draw::new(counting(), 1_000_000), &million), [859_249, 366_832, 945_395, 56_922, 764_475]);
    assert_eq!(SEED.hash(), "4bb06f8e4e3a7715d201d573d0aa423762e55dabd61a2c02278fa56cc6d294e0");
}

#[test]
fn numbers_beyond_the_crowd_keep_their_places() {
    let draw = Draw::new(SEED, 10);
    for beyond in [0, 11, 12, u32::MAX] {
        assert_eq!((draw.place(beyond), draw.number(beyond)), (beyond, beyond));
    }
    let nobody = Draw::new(SEED, 0);
    assert_eq!((nobody.place(1), nobody.number(1)), (1, 1));
}

/// Each of four visitors gets each place about as often: 1,000 times in 4,000 draws, give or take five deviations.
#[test]
fn nobody_is_preferred() {
    let mut counts = [[0_i32; 4]; 4];
    for n in 0..4_000_u32 {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&n.to_be_bytes());
        let draw = Draw::new(Seed(seed), 4);
        (1..=4).for_each(|number| counts[number as usize - 1][draw.place(number) as usize - 1] += 1);
    }
    assert!(counts.iter().flatten().all(|count| (count - 1_000).abs() < 140), "{counts:?}");
}

#[test]
fn what_is_no_seed_is_none() {
    let good = SEED.to_string();
    let wrong = [good.to_uppercase().replace('0', "F"), good[2..].to_owned(), format!("{good}00"), format!("{good}0")];
    for text in wrong.iter().map(String::as_str).chain(["", "g", &"g".repeat(64), &"é".repeat(32)]) {
        assert!(text.parse::<Seed>().is_err(), "{text}");
    }
}
