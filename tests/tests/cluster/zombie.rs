//! An owner that slept longer than its session, with requests in its sockets: its answers are right or none.
//!
//! Whoever wakes usually hears of its loss before it has read a request, and asks its successor: no zombie. So it falls
//! asleep with calls to the payment provider under way, which does not answer: it waits a moment for them to end before it
//! gives anything up, and in that moment decides by what it knew when it fell asleep.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::event::Event;
use domain::ids::{OrderId, PaymentId};
use domain::root::Context;
use domain::{inventory, payment};
use event_log::log::Partition;
use local_stack::Signal;
use ops::topology::{Instance, Process};
use serde_json::json;
use system_tests::installation::command_api;
use system_tests::journal::{Claim, Journal};
use system_tests::purchase::{OnSale, eventually, id, key};
use system_tests::{Answer, Installation, Shop, run};
use uuid::Uuid;

use super::{PARTITIONS, sale_in, start, until_answered};

/// So many requests wait for each of the two shows.
const WAITING: usize = 60;
/// All that one show has; it is sold while its owner sleeps.
const SOLD_MEANWHILE: i64 = 60;
/// All that the other show had; it is sold before its owner sleeps.
const SOLD_BEFORE: i64 = 10;
/// What it has once its owner slept: enough for everybody.
const ENLARGED: i64 = 200;
/// So many orders wait for their payment page: their payments lie in every partition.
const SLOW: usize = 12;
/// So many more are sold of it meanwhile.
const MORE_MEANWHILE: i64 = 40;

/// Somebody who waits for an answer.
struct Request {
    order: Uuid,
    key: String,
}

impl Request {
    async fn send(&self, shop: &Shop, sale: &OnSale) -> Answer {
        shop.client.put_with(&format!("/v1/orders/{}", self.order), &self.key, &sale.order(1)).await
    }
}

/// What the log says was reserved, and who serves what.
struct Truth {
    journal: Journal,
    claims: Vec<Claim>,
    reserved: BTreeMap<OrderId, Uuid>,
    commands: BTreeMap<(Partition, u32), usize>,
    /// Payments whose page is wanted of the provider.
    requested: BTreeSet<PaymentId>,
}

impl Truth {
    async fn learn(&mut self) {
        let news = self.journal.news().await;
        self.claims.extend(news.claims);
        for written in news.commands {
            *self.commands.entry((written.partition, written.term)).or_default() += 1;
        }
        for event in news.events {
            match event {
                Event::Inventory(inventory::Event::TicketsReserved(event)) => {
                    let before = self.reserved.insert(event.order, event.show.0);
                    assert_eq!(before, None, "{} was reserved twice", event.order);
                }
                Event::Payment(payment::Event::PaymentRequested(event)) => drop(self.requested.insert(event.payment)),
                _ => {}
            }
        }
    }

    fn reserved(&self, order: Uuid) -> bool {
        self.reserved.contains_key(&OrderId(order))
    }

    /// Nothing is under way any more.
    async fn quiet(&mut self) {
        loop {
            self.learn().await;
            let known = self.commands.values().sum::<usize>();
            tokio::time::sleep(Duration::from_millis(700)).await;
            self.learn().await;
            if self.commands.values().sum::<usize>() == known {
                return;
            }
        }
    }
}

/// How many sockets at this port hold something that its process has not read.
fn unread(port: u16) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").expect("the kernel lists its sockets");
    let local = format!(":{port:04X}");
    table
        .lines()
        .filter(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let ours = fields.next().is_some_and(|address| address.ends_with(&local));
            let queue = fields.nth(2).and_then(|queues| queues.split_once(':')?.1.parse::<String>().ok());
            ours && queue.is_some_and(|bytes| bytes.bytes().any(|digit| digit != b'0'))
        })
        .count()
}

/// What came of one sleep.
#[derive(Debug, Default)]
struct Outcome {
    yes: usize,
    no: usize,
    in_doubt: usize,
    not_ready: usize,
}

#[test]
fn who_overslept_gives_no_stale_yes_and_no_stale_no() {
    run(async {
        let shop = start(&[("BOXOFFICE_KEY_POOL", "256"), ("BOXOFFICE_PROVIDER_TIMEOUT_MS", "60000")]).await;
        let (journal, claims) = (shop.journal().await, Vec::new());
        let (reserved, commands) = (BTreeMap::new(), BTreeMap::new());
        let mut truth = Truth { journal, claims, reserved, commands, requested: BTreeSet::new() };
        truth.learn().await;
        let sleeper = command_api(1);
        // On a machine that does other things it may all the same have decided nothing: then it sleeps once more.
        for sleep in 1..=3 {
            let outcome = oversleep(&shop, &mut truth, sleeper, sleep).await;
            let in_doubt = shop.metric(sleeper, "boxoffice_partition_in_doubt_total").await;
            let void = truth.journal.void();
            println!(
                "sleep {sleep}: {outcome:?}; {in_doubt} in doubt by its own count, {void} void records in the log"
            );
            if in_doubt > 0.0 && void > 0 && outcome.in_doubt > 0 {
                let counted = eventually("void records are counted", async || {
                    let counted = shop.metric(sleeper, "boxoffice_partition_void_total").await
                        + shop.metric(command_api(2), "boxoffice_partition_void_total").await;
                    (counted > 0.0).then_some(counted)
                })
                .await;
                println!("{counted} void records counted by metrics");
                shop.stop().await;
                return;
            }
        }
        panic!("it never decided anything that it should not have");
    });
}

/// One sleep with everything that happens meanwhile.
async fn oversleep(shop: &Installation, truth: &mut Truth, sleeper: Instance, sleep: usize) -> Outcome {
    truth.learn().await;
    let number = (0..PARTITIONS)
        .find(|number| shop.owner(&truth.claims, Partition { context: Context::Inventory, number: *number }) == sleeper)
        .expect("it has its part");
    let partition = Partition { context: Context::Inventory, number };
    let scarce = sale_in(shop, number, 0, SOLD_MEANWHILE).await;
    let full = sale_in(shop, number, 0, SOLD_BEFORE).await;
    sell(shop, &full, SOLD_BEFORE).await;
    let slow = sale_in(shop, number, 1000, 100).await;
    truth.quiet().await;
    let term = shop_term(truth, partition);
    shop.signal(Process::Sandbox, Signal::Stop).await;
    sell(shop, &slow, SLOW as i64).await;
    eventually("calls to the provider are under way", async || {
        truth.learn().await;
        (truth.requested.len() >= SLOW * sleep).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;

    shop.signal(sleeper, Signal::Stop).await;
    let direct = shop.at(sleeper);
    let requests: Vec<(OnSale, Request)> = (0..2 * WAITING)
        .map(|n| (if n % 2 == 0 { scarce } else { full }, Request { order: id(), key: key() }))
        .collect();
    let answered = AtomicUsize::new(0);
    let asking = futures::future::join_all(requests.iter().map(async |(sale, request)| {
        let answer = request.send(&direct, sale).await;
        answered.fetch_add(1, Ordering::Relaxed);
        answer
    }));
    let meanwhile = async {
        let port = shop.running.url(sleeper).rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        eventually("the requests wait in its sockets", async || (unread(port) >= 2 * WAITING).then_some(())).await;
        let heir = shop.at(command_api(if sleeper == command_api(1) { 2 } else { 1 }));
        let took = until_answered(&heir, &[scarce], SOLD_MEANWHILE).await;
        println!("{partition} answers again {} ms after its owner fell asleep", took.as_millis());
        sell(&heir, &scarce, SOLD_MEANWHILE).await;
        until_answered(&heir, &[full], ENLARGED).await;
        sell(&heir, &full, MORE_MEANWHILE).await;
        truth.learn().await;
        let (now, waiting) = (shop_term(truth, partition), unread(port));
        let written = truth.commands.get(&(partition, now)).copied().unwrap_or(0);
        assert!(now > term && written >= 100, "{written} commands under term {now} after {term}");
        assert_eq!((answered.load(Ordering::Relaxed), waiting >= 100), (0, true), "{waiting} still wait");
        shop.signal(sleeper, Signal::Continue).await;
    };
    let (answers, ()) = tokio::join!(asking, meanwhile);
    shop.signal(Process::Sandbox, Signal::Continue).await;
    judge(shop, truth, &requests, &answers, &scarce, &full).await
}

/// Under which term a partition is written now.
fn shop_term(truth: &Truth, partition: Partition) -> u32 {
    let last = truth.claims.iter().rev().find(|claim| claim.partition == partition).expect("it was claimed");
    last.term
}

/// Sells so many tickets, one an order.
async fn sell(shop: &Shop, sale: &OnSale, tickets: i64) {
    use futures::StreamExt as _;
    let selling = futures::stream::iter(0..tickets).map(|_| sale.buy(shop, 1));
    selling.buffer_unordered(8).collect::<Vec<_>>().await;
}

/// Every answer is what the log says, and whoever got none learns it by asking again.
async fn judge(
    shop: &Installation,
    truth: &mut Truth,
    requests: &[(OnSale, Request)],
    answers: &[Answer],
    scarce: &OnSale,
    full: &OnSale,
) -> Outcome {
    truth.learn().await;
    let mut outcome = Outcome::default();
    for ((sale, request), answer) in requests.iter().zip(answers) {
        let reserved = truth.reserved(request.order);
        match (answer.status.as_u16(), answer.body["type"].as_str().unwrap_or_default()) {
            (201, _) => {
                assert!(sale.show == full.show && reserved, "a stale yes: {answer:#?}");
                outcome.yes += 1;
            }
            (409, "/problems/sold-out") => {
                assert!(sale.show == scarce.show && !reserved, "a stale no: {answer:#?}");
                outcome.no += 1;
            }
            (503, "/problems/in-doubt") => {
                assert!(answer.header("retry-after").is_some(), "{answer:#?}");
                outcome.in_doubt += 1;
            }
            (503, "/problems/not-ready") => {
                assert!(!reserved && answer.header("retry-after").is_some(), "{answer:#?}");
                outcome.not_ready += 1;
            }
            _ => panic!("neither yes nor no nor a wish to repeat: {answer:#?}"),
        }
    }
    for (sale, request) in requests {
        let answer = eventually("it is decided", async || {
            Some(request.send(shop, sale).await).filter(|answer| !answer.status.is_server_error())
        })
        .await;
        match sale.show == full.show {
            true => drop(answer.is(201)),
            false => drop(answer.is_problem(409, "sold-out")),
        }
    }
    truth.learn().await;
    for (sale, request) in requests {
        assert_eq!(truth.reserved(request.order), sale.show == full.show, "the log says otherwise than the answer");
    }
    let of = |sale: &OnSale| truth.reserved.values().filter(|show| **show == sale.show).count();
    let waiting = i64::try_from(WAITING).expect("few");
    assert_eq!(of(scarce) as i64, SOLD_MEANWHILE);
    assert_eq!(of(full) as i64, SOLD_BEFORE + MORE_MEANWHILE + waiting);
    eventually("every free order is completed", async || {
        let path = format!("/v1/shows/{}/ticket-classes/{}/capacity", full.show, full.class);
        let answer = shop.organizer().post(&path, &json!({"capacity": ENLARGED})).await;
        (answer.body["sold"].as_i64() == Some(SOLD_BEFORE + MORE_MEANWHILE + waiting)).then_some(())
    })
    .await;
    outcome
}
