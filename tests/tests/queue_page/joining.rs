//! What stands between a person and a place: refusals, and the work that joining may ask for. Most answers to joining are
//! stubs, because a service gives them only under an attack or a crowd; whatever passes them is answered by the service.

use std::sync::{Arc, Mutex};

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use service_kit::clock;
use service_kit::views::moment;
use system_tests::browser::{Asked, Browser, Reply};
use system_tests::queue::{room, with};
use system_tests::run;

use super::Scene;

/// The headlines that a page has had, whether or not somebody looked.
const HEADLINES: &str = "window.headlines = []; document.addEventListener('DOMContentLoaded', () => {
    const headline = document.querySelector('#headline');
    new MutationObserver(() => headlines.push(headline.textContent)).observe(headline, {childList: true});
});";

fn problem(status: u16, retry_after: Option<u32>, name: &str) -> Reply {
    let body = json!({"type": format!("/problems/{name}"), "title": name, "status": status, "detail": name});
    Reply::Problem(status, retry_after, body)
}

#[test]
fn every_refusal_is_said_in_words_and_tried_again_as_it_asks() {
    run(async {
        let scene = Scene::of(&room(5)).await;
        let page = &scene.page;
        page.before_every_page(HEADLINES).await;
        let asked = Arc::new(Mutex::new(Vec::<Asked>::new()));
        let joins = asked.clone();
        let reply = move |request: Asked| {
            let mut asked = joins.lock().unwrap();
            asked.push(request);
            match asked.len() {
                1 => problem(429, Some(1), "too-many-requests"),
                2 => problem(503, Some(1), "overloaded"),
                3 => problem(409, Some(1), "not-on-sale"),
                4 | 5 => Reply::CutOff,
                6 => problem(409, None, "not-on-sale"),
                _ => Reply::Pass,
            }
        };
        page.stub("*/queue", reply).await;
        page.goes_to(&scene.address()).await;
        page.shows("#headline", "You cannot join now").await;
        page.taps("#go").await;
        page.shows("#headline", "It is your turn").await;
        let headlines = [
            "Please wait a moment",
            "Many people are coming at once",
            "The queue is about to open",
            "You cannot join now",
            "One moment …",
            "It is your turn",
        ];
        let seen = page.value("headlines.filter((it) => it !== 'You are in the queue')").await;
        assert_eq!(seen, json!(headlines));
        let asked = asked.lock().unwrap();
        let keys: Vec<_> = asked.iter().map(|it| it.header("idempotency-key").unwrap()).collect();
        assert!(keys[..6].iter().all(|key| *key == keys[0]), "one guest until it was refused for good: {keys:?}");
        assert_eq!(asked.len(), 7);
    });
}

#[test]
fn a_busy_shop_and_a_lost_place_are_told_and_a_new_place_is_one_tap_away() {
    run(async {
        let scene = Scene::of(&room(1)).await;
        let [_first] = scene.crowd().await;
        let page = &scene.page;
        page.before_every_page("delete window.WebSocket").await;
        let asked = Arc::new(Mutex::new(0));
        let reply = move |_| {
            let mut asked = asked.lock().unwrap();
            *asked += 1;
            match *asked {
                2 => problem(503, Some(2), "overloaded"),
                4 => problem(410, None, "queue-place-lost"),
                _ => Reply::Pass,
            }
        };
        page.stub("*/v1/shows/*/queue/*", reply).await;
        page.goes_to(&scene.address()).await;
        page.shows("#detail", "You are next.").await;
        let (session, place) = (scene.kept("session").await, page.text("#place").await);
        let busy = "The shop is very busy. Your place is kept for a while; this page goes on trying.";
        page.shows("#connection", busy).await;
        assert_eq!(page.text("#headline").await, "You are in the queue");
        page.shows("#headline", "Your place is lost").await;
        assert_eq!(page.text("#connection").await, "");
        page.shows("#go", "Join the queue again").await;
        page.taps("#go").await;
        page.shows("#headline", "You are in the queue").await;
        page.shows("#detail", "1 person is ahead of you.").await;
        assert_ne!((scene.kept("session").await, page.text("#place").await), (session, place));
    });
}

/// A challenge as joining asks it, whose token expires after so many seconds.
fn challenge(token: &str, bits: u32, life_s: i64) -> Reply {
    let expires_at = moment(clock::now().plus_s(life_s));
    let challenge = json!({"token": token, "bits": bits, "expires_at": expires_at, "algorithm": "sha-256"});
    let body = json!({"type": "/problems/challenge-required", "title": "Challenge required", "status": 403,
        "detail": "Solve it.", "challenge": challenge});
    Reply::Problem(403, None, body)
}

/// Whether a request proves the work for a token.
fn is_proved(asked: &Asked, token: &str, bits: u32) -> bool {
    let (Some(proof), Some(key)) = (asked.header("queue-proof"), asked.header("idempotency-key")) else { return false };
    let Some((of, nonce)) = proof.rsplit_once('.') else { return false };
    let nonce_is_plain = (1..=32).contains(&nonce.len())
        && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let hash = digest(&SHA256, format!("{token}.{key}.{nonce}").as_bytes());
    let first = u32::from_be_bytes(hash.as_ref()[..4].try_into().unwrap());
    of == token && nonce_is_plain && first.leading_zeros() >= bits
}

#[test]
fn the_work_that_joining_asks_for_is_done_by_itself() {
    run(async {
        let scene = Scene::of(&room(1)).await;
        let [_first] = scene.crowd().await;
        let page = &scene.page;
        page.before_every_page(HEADLINES).await;
        let asked = Arc::new(Mutex::new(Vec::<Asked>::new()));
        let joins = asked.clone();
        // The first token expires during the work, which is too much for it; the second one on its way to the service.
        let reply = move |request: Asked| {
            let mut asked = joins.lock().unwrap();
            asked.push(request);
            match asked.len() {
                1 => challenge("first.token", 32, 2),
                2 => challenge("second.token", 12, 100_000_000),
                3 => challenge("third.token", 19, 300),
                _ => Reply::Pass,
            }
        };
        page.stub("*/queue", reply).await;
        page.goes_to(&scene.address()).await;
        page.shows("#headline", "Checking that you are a person's browser …").await;
        page.shows("#detail", "You are next.").await;
        assert_eq!(page.text("#checking").await, "");
        let seen = page.value("headlines").await;
        assert_eq!(seen, json!(["Checking that you are a person's browser …", "You are in the queue"]));
        let asked = asked.lock().unwrap();
        let [bare, late, second, third] = &asked[..] else { panic!("four joins: {asked:?}") };
        assert_eq!((bare.method.as_str(), bare.header("queue-proof")), ("POST", None));
        assert_eq!(late.header("queue-proof"), None, "there is none for a token that has expired");
        assert!(is_proved(second, "second.token", 12), "{second:?}");
        assert!(is_proved(third, "third.token", 19), "{third:?}");
        let keys = [bare, late, second, third].map(|it| it.header("idempotency-key").unwrap());
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    });
}

/// Nothing is played here: the service asks, and judges the work.
#[test]
fn the_work_that_the_service_asks_for_opens_the_queue() {
    run(async {
        let scene = Scene::of(&with(room(5), &json!({"challenge_bits": 16}))).await;
        let page = &scene.page;
        page.before_every_page(HEADLINES).await;
        page.goes_to(&scene.address()).await;
        page.shows("#headline", "It is your turn").await;
        let seen = page.value("headlines").await;
        assert_eq!(seen[0], "Checking that you are a person's browser …", "{seen}");
    });
}

#[test]
fn a_check_that_never_succeeds_ends_in_words() {
    run(async {
        let scene = Scene::of(&room(5)).await;
        let page = &scene.page;
        let asked = Arc::new(Mutex::new(0));
        let joins = asked.clone();
        let reply = move |_| {
            *joins.lock().unwrap() += 1;
            challenge("a.token", 8, 300)
        };
        page.stub("*/queue", reply).await;
        page.goes_to(&scene.address()).await;
        page.shows("#headline", "The check did not succeed").await;
        page.shows("#go", "Try again").await;
        assert_eq!(*asked.lock().unwrap(), 6);
    });
}

#[test]
fn our_sha_256_is_the_same_as_everybodys() {
    run(async {
        let (_browser, page) = Browser::start().await;
        let proof = include_str!("../../../query-api/src/http/page/proof.js");
        // Every way in which a message can end in a block, and the vectors of FIPS 180-4.
        let messages: Vec<String> = (0..=130).map(|length| "x".repeat(length)).chain(["abc".to_owned()]).collect();
        let hashes = format!(
            "(() => {{ {proof}\n return {}.map((it) => sha256(new TextEncoder().encode(it))); }})()",
            json!(messages)
        );
        let hashes = page.value(&hashes).await;
        let expected: Vec<String> = messages.iter().map(|it| hex(digest(&SHA256, it.as_bytes()).as_ref())).collect();
        assert_eq!(hashes, json!(expected));
        assert_eq!(hashes.as_array().and_then(|it| it.last()), Some(&Value::from(ABC)));
    });
}

/// FIPS 180-4, appendix B.1 of its first edition.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
