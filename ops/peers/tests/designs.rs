//! Every design sells what there is and no more, and nothing twice to who asks twice; behind the same edge.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic too")]

mod support;

use std::thread;
use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use support::{Answer, Peer, body};

const TICKETS: u32 = 50;
const ORDERS: u128 = 200;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x0190_a1b2_0000_7000_8000_0000_0001_0000 + n)
}

/// 200 orders at once for 50 tickets, every other one sent twice at the same time.
fn crowd(peer: &Peer) -> Vec<(u128, Answer)> {
    let requests = (0..ORDERS).flat_map(|n| std::iter::repeat_n(n, if n % 2 == 0 { 2 } else { 1 }));
    thread::scope(|scope| {
        let sent: Vec<_> = requests
            .map(|n| (n, scope.spawn(move || peer.order(&format!("buyer-{n}"), &format!("key-{n}"), id(n), 1))))
            .collect();
        sent.into_iter().map(|(n, answer)| (n, answer.join().unwrap())).collect()
    })
}

fn sells_once_and_no_more(design: &str, durability: &str) {
    let peer = Peer::start(design, durability, TICKETS);
    let answers = crowd(&peer);
    let mut sold = Vec::new();
    for n in 0..ORDERS {
        let mine: Vec<_> = answers.iter().filter(|(of, _)| *of == n).map(|(_, answer)| answer).collect();
        let accepted = mine.iter().filter(|answer| answer.status == 201).count();
        let refused = mine.iter().filter(|answer| answer.body["type"] == "/problems/sold-out").count();
        assert_eq!(accepted + refused, mine.len(), "{mine:?}");
        assert!(accepted == 0 || refused == 0, "one order, two answers: {mine:?}");
        assert!(mine.windows(2).all(|pair| pair[0].body == pair[1].body), "{mine:?}");
        let replays = mine.iter().filter(|answer| answer.head.contains("idempotency-replayed: true")).count();
        assert_eq!(replays, accepted.saturating_sub(1), "{mine:?}");
        if accepted > 0 {
            sold.push((n, mine[0].body.clone()));
        }
    }
    assert_eq!(sold.len(), TICKETS as usize);
    assert_eq!(peer.tally(), json!({"capacity": TICKETS, "sold": TICKETS, "orders": TICKETS}));

    let (n, first) = &sold[0];
    let (who, key, order) = (format!("buyer-{n}"), format!("key-{n}"), id(*n));
    assert_eq!((&first["status"], &first["total"]["amount"]), (&json!("reserved"), &json!(150_000)));
    let again = peer.order(&who, &key, order, 1);
    assert_eq!((again.status, &again.body), (201, first), "a repeat is answered when all is sold, too");
    let by_another_key = peer.order(&who, "another", order, 1);
    assert_eq!((by_another_key.status, &by_another_key.body), (200, first));
    let problem = |answer: Answer| answer.body["type"].as_str().unwrap_or_default().to_owned();
    assert_eq!(problem(peer.order(&who, &key, order, 2)), "/problems/idempotency-key-reused");
    assert_eq!(problem(peer.order("somebody", &key, order, 1)), "/problems/already-exists");
    let late = peer.order("late", "late", id(ORDERS), 1);
    assert_eq!((late.status, &late.body["available"][0]["available"]), (409, &json!(0)));
    assert_eq!(peer.tally(), json!({"capacity": TICKETS, "sold": TICKETS, "orders": TICKETS}));
    assert!(peer.stop(), "it ends in order");
}

#[test]
fn the_row_lock_sells_once_and_no_more() {
    sells_once_and_no_more("row-lock", "d2");
}

#[test]
fn the_pipelined_function_sells_once_and_no_more() {
    sells_once_and_no_more("pipelined", "d2");
}

#[test]
fn batches_sell_once_and_no_more() {
    sells_once_and_no_more("batched", "d2");
}

#[test]
fn redis_sells_once_and_no_more() {
    sells_once_and_no_more("redis", "d1");
    sells_once_and_no_more("redis", "d2");
}

#[test]
fn cqrs_es_sells_once_and_no_more() {
    sells_once_and_no_more("cqrs-es", "d2");
}

#[test]
fn what_asks_for_more_than_is_left_gets_nothing() {
    for design in ["row-lock", "pipelined", "batched", "redis", "cqrs-es"] {
        let peer = Peer::start(design, "d2", 5);
        assert_eq!(peer.order("a", "a", id(1), 3).status, 201, "{design}");
        let refused = peer.order("b", "b", id(2), 3);
        assert_eq!((refused.status, &refused.body["available"][0]["available"]), (409, &json!(2)), "{design}");
        // A repeat for which nothing would be left, and one for which there would.
        assert_eq!(peer.order("a", "a", id(1), 3).status, 201, "{design}");
        assert_eq!(peer.order("c", "c", id(3), 1).status, 201, "{design}");
        assert_eq!(peer.order("c", "c", id(3), 1).status, 201, "{design}");
        assert_eq!(peer.order("d", "d", id(4), 1).status, 201, "{design}");
        assert_eq!(peer.tally(), json!({"capacity": 5, "sold": 5, "orders": 3}), "{design}");
        assert!(peer.stop(), "{design}");
    }
}

#[test]
fn the_edge_is_the_services_own() {
    let peer = Peer::start("redis", "d2", 5);
    let path = format!("/v1/orders/{}", id(1));
    let put = |headers: &[String], body: &str| peer.send("PUT", &path, headers, body);
    let forged = put(&["Authorization: Bearer a.b.c".to_owned()], &body(1));
    assert_eq!(forged.status, 401);
    assert_eq!(put(&[], &body(1).replace("\"show\"", "\"shown\"")).body["type"], "/problems/unknown-field");
    assert_eq!(put(&[], &body(0)).body["errors"][0]["pointer"], "/lines/0/quantity");
    assert_eq!(put(&[], &body(1).replace("150000", "1")).body["type"], "/problems/price-changed");
    assert_eq!(put(&[], &body(1).replace("payos", "other")).body["type"], "/problems/provider-unavailable");
    assert_eq!(put(&[], &body(1).replace("7000-8000-000000000002", "7000-8000-000000000009")).status, 404);
    let guest = put(&["X-Request-Id: request-1".to_owned()], &body(1));
    assert_eq!(guest.status, 201);
    assert!(guest.head.contains("x-request-id: request-1") && guest.body["access_token"].is_string(), "{guest:?}");
    assert_eq!(peer.send("GET", "/v1/nothing", &[], "").body["type"], "/problems/not-found");
    assert!(peer.stop());
}

#[test]
fn nothing_is_left_behind() {
    let peer = Peer::start("redis", "d2", 5);
    let server = |peer: &Peer| {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", peer.process())).unwrap();
        children.split_whitespace().next().unwrap().to_owned()
    };
    let folder = |peer: &Peer| std::fs::read_link(format!("/proc/{}/cwd", server(peer))).unwrap();
    let files = folder(&peer);
    assert!(files.is_dir());
    assert!(peer.stop());
    assert!(!files.exists(), "{} is left", files.display());

    let peer = Peer::start("redis", "d2", 5);
    let (server, files) = (server(&peer), folder(&peer));
    drop(peer);
    let gone = (0..100).any(|_| {
        thread::sleep(Duration::from_millis(50));
        std::fs::read_link(format!("/proc/{server}/exe")).is_err()
    });
    assert!(gone, "the server of a peer that was killed is left");
    std::fs::remove_dir_all(files).unwrap();
}
