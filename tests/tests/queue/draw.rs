//! Those who come before the opening: places by a draw that anybody can verify.

use std::collections::BTreeSet;

use domain::queue::{Draw, Seed};
use jiff::Timestamp;
use ring::digest;
use serde_json::{Value, json};
use service_kit::clock;
use system_tests::queue::{Visitor, room, with};
use system_tests::{World, run};

use super::added_up;

const EARLY: usize = 16;

#[test]
fn places_are_drawn_at_the_opening_and_anybody_can_verify_it() {
    run(async {
        let world = World::shared().await;
        let opens_at = Timestamp::from_millisecond(clock::now().plus_s(6).0 / 1000).unwrap();
        let terms = with(room(3), &json!({"opens_at": opens_at.to_string(), "admission_batch": 3}));
        let sale = world.on_sale_with_room(1000, 100, 600, &terms).await;
        let mut early: Vec<Visitor> = Vec::new();
        let mut hash = Value::Null;
        for _ in 0..EARLY {
            let (visitor, joined) = Visitor::join(&world.client, sale.show, &system_tests::purchase::key()).await;
            let body = &joined.body;
            assert_eq!(body["status"], "waiting_to_open", "too slow for the opening, or no waiting for it: {body:#}");
            assert_eq!([&body["place"], &body["ahead"], &body["position"]], [&Value::Null; 3]);
            assert_eq!(body["opens_at"].as_str().unwrap().parse::<Timestamp>().unwrap(), opens_at);
            assert!(hash.is_null() || hash == body["draw_hash"]);
            hash = body["draw_hash"].clone();
            early.push(visitor);
        }
        // Before the first join everybody could see what the seed would hash to.
        let show = early[0].client.get(&format!("/v1/shows/{}", sale.show)).await.is(200).body;
        assert_eq!((&show["waiting_room"]["draw_hash"], hash.as_str().unwrap().len()), (&hash, 64));
        early[0].try_enter().await.is_problem(409, "not-admitted");
        // Somebody who left before the draw is drawn, and passed over.
        let gone = early.remove(4);
        gone.leave().await;

        early[0].until_known_place().await;
        let mut places = BTreeSet::new();
        for visitor in &mut early {
            let place = visitor.until_known_place().await;
            assert!(places.insert(place), "{place} was given twice");
            assert!((1..=EARLY).contains(&usize::try_from(place).unwrap()));
        }
        let numbers: Vec<i64> = early.iter().map(|visitor| visitor.number).collect();
        assert!(!numbers.is_sorted_by_key(|number| place_of(&early, *number)), "1 of {EARLY}! draws changes nothing");
        let late = Visitor::join(&world.client, sale.show, &system_tests::purchase::key()).await.1;
        assert_eq!((&late.body["number"], &late.body["place"]), (&json!(EARLY + 1), &json!(EARLY + 1)));

        serve_all(&mut early).await;
        let of_log = added_up(world, sale.show).await;
        let (seed, count) = of_log.drawn.clone().expect("there was a draw");
        assert_eq!((of_log.draw_hash.as_deref(), count), (hash.as_str(), i64::try_from(EARLY).unwrap()));
        assert_eq!(sha256(&seed), hash, "the seed is not the one that was promised");
        let draw = Draw::new(seed.parse::<Seed>().unwrap(), u32::try_from(EARLY).unwrap());
        let order: Vec<(i64, i64)> = of_log.admitted.iter().take(EARLY - 1).copied().collect();
        for (place, number) in &order {
            assert_eq!(i64::from(draw.place(u32::try_from(*number).unwrap())), *place);
        }
        assert!(order.iter().all(|(_, number)| *number != gone.number), "who had left was admitted");

        let (well, text) = world.boxctl(&["queue", "verify", &sale.show.to_string()]).await;
        assert!(well && text.contains(&seed), "{text}");
        let (well, text) = world.boxctl(&["queue", "verify", &system_tests::purchase::id().to_string()]).await;
        assert!(!well, "{text}");
    });
}

/// Everybody enters and leaves as soon as admitted, so that the next one comes.
async fn serve_all(visitors: &mut [Visitor]) {
    futures::future::join_all(visitors.iter_mut().map(async |visitor| {
        visitor.enter_in_turn().await;
        visitor.leave().await;
    }))
    .await;
}

fn place_of(visitors: &[Visitor], number: i64) -> i64 {
    visitors.iter().find(|visitor| visitor.number == number).and_then(|visitor| visitor.place).unwrap_or(0)
}

/// The hash of a seed in hex, in hex.
fn sha256(seed: &str) -> Value {
    let bytes: Vec<u8> =
        (0..seed.len()).step_by(2).map(|at| u8::from_str_radix(&seed[at..at + 2], 16).unwrap()).collect();
    let hash = digest::digest(&digest::SHA256, &bytes);
    json!(hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}
