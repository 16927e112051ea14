//! Partitions move under load: handed over, taken over, and woken up to too late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use service_kit::random;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::instance::{Installation, Instance, PARTITIONS, PATIENCE};
use super::till::{Answer, OnSale, Order, Till};

const CAPACITY: i64 = 100_000;
/// Buyers at the same time.
const BUYERS: usize = 8;

/// Buyers who place one order after the other, each with one key until it is answered.
struct Rush {
    till: Arc<Till>,
    stopped: Arc<AtomicBool>,
    seen: Arc<Seen>,
    buyers: Vec<JoinHandle<Vec<Order>>>,
}

/// What buyers saw.
#[derive(Default)]
struct Seen {
    acknowledged: AtomicUsize,
    in_doubt: AtomicUsize,
    not_ready: AtomicUsize,
}

impl Rush {
    /// Every buyer goes to any of these instances; to another one where nobody answers, as a front door does.
    fn begin(till: Till, at: &[&Instance], sales: &[OnSale]) -> Self {
        let (till, stopped, seen) = (Arc::new(till), Arc::new(AtomicBool::new(false)), Arc::new(Seen::default()));
        let urls: Vec<String> = at.iter().map(|instance| instance.url.clone()).collect();
        let buyer = |number: usize| {
            let (till, stopped, seen) = (Arc::clone(&till), Arc::clone(&stopped), Arc::clone(&seen));
            let (urls, sale) = (urls.clone(), sales[number % sales.len()]);
            tokio::spawn(async move {
                let mut bought = Vec::new();
                while !stopped.load(Ordering::Relaxed) {
                    let partition = u32::try_from(random::below(u64::from(PARTITIONS))).unwrap();
                    let order = Order::of(sale, partition);
                    insist(&till, &urls, &order, &seen).await;
                    bought.push(order);
                }
                bought
            })
        };
        let buyers = (0..BUYERS).map(buyer).collect();
        Self { till, stopped, seen, buyers }
    }

    async fn acknowledged(&self, count: usize) {
        let (before, deadline) = (self.seen.acknowledged.load(Ordering::Relaxed), Instant::now() + PATIENCE);
        while self.seen.acknowledged.load(Ordering::Relaxed) < before + count {
            assert!(Instant::now() < deadline, "nobody can buy any more");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends, and checks that everything acknowledged is there once, and nothing else.
    async fn end(self, at: &Instance, sales: &[OnSale]) -> (Arc<Till>, Arc<Seen>) {
        self.stopped.store(true, Ordering::Relaxed);
        let mut orders = Vec::new();
        for buyer in self.buyers {
            orders.extend(buyer.await.unwrap());
        }
        assert_eq!(orders.len(), self.seen.acknowledged.load(Ordering::Relaxed));
        let till = &self.till;
        let again = |order| async move { till.place(at, order).await.unwrap() };
        let repeats: Vec<Answer> = futures::stream::iter(&orders).map(again).buffer_unordered(64).collect().await;
        for repeated in repeats {
            assert!(repeated.status == 201 && repeated.headers.contains_key("idempotency-replayed"), "{repeated:#?}");
        }
        let mut reserved = 0;
        for sale in sales {
            reserved += self.till.reserved(at, *sale, CAPACITY).await.unwrap();
        }
        assert_eq!(reserved, i64::try_from(orders.len()).unwrap(), "each order holds one ticket");
        (self.till, self.seen)
    }
}

async fn insist(till: &Till, urls: &[String], order: &Order, seen: &Seen) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    let mut turn = usize::try_from(random::below(urls.len() as u64)).unwrap();
    loop {
        assert!(Instant::now() < deadline, "an order is not answered");
        let url = format!("{}/v1/orders/{}", urls[turn % urls.len()], order.id);
        match till.send(http::Method::PUT, &url, None, &order.key, &order.body).await {
            Ok(answer) if answer.status == 201 => {
                seen.acknowledged.fetch_add(1, Ordering::Relaxed);
                return answer;
            }
            Ok(answer) => {
                let kind = answer.body["type"].as_str().unwrap_or_default();
                assert!(answer.headers.contains_key("retry-after"), "{answer:#?}");
                match kind {
                    "/problems/in-doubt" => seen.in_doubt.fetch_add(1, Ordering::Relaxed),
                    "/problems/not-ready" => seen.not_ready.fetch_add(1, Ordering::Relaxed),
                    _ => panic!("{answer:#?}"),
                };
                sleep(Duration::from_millis(50)).await;
            }
            // Nobody listens there: with the same key at the next one, also if a request was cut off.
            Err(_) => turn += 1,
        }
    }
}

async fn sales(till: &Till, at: &Instance) -> Vec<OnSale> {
    let mut sales = Vec::new();
    for partition in 0..PARTITIONS {
        sales.push(till.on_sale(at, partition, CAPACITY).await);
    }
    sales
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_that_an_instance_is_stopped_and_started_again() {
    let installation = Installation::new().await;
    let [mut leaver, stayer] = installation.start_all(["leaver", "stayer"]).await;
    let till = Till::new(&installation);
    let sales = sales(&till, &stayer).await;
    let rush = Rush::begin(till, &[&leaver, &stayer], &sales);
    rush.acknowledged(50).await;
    let begun = Instant::now();
    leaver.signal("TERM");
    assert!(leaver.ended().await.success(), "{}", leaver.log());
    println!("it left within {:?}", begun.elapsed());
    assert!(leaver.log().contains("every partition is handed over"), "{}", leaver.log());
    installation.until_shared(&[&stayer]).await;
    println!("its partitions were served again within {:?}", begun.elapsed());
    rush.acknowledged(50).await;
    let comer = installation.start("comer");
    installation.until_shared(&[&stayer, &comer]).await;
    rush.acknowledged(50).await;
    let (_, seen) = rush.end(&comer, &sales).await;
    let (in_doubt, not_ready) = (seen.in_doubt.load(Ordering::Relaxed), seen.not_ready.load(Ordering::Relaxed));
    assert_eq!((in_doubt, not_ready), (0, 0), "somebody noticed:\n{}", leaver.warnings());
    drop((leaver, stayer, comer));
    installation.forget().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_instance_is_followed_and_nothing_acknowledged_is_lost() {
    let installation = Installation::new().await;
    let [mut victim, heir] = installation.start_all(["victim", "heir"]).await;
    let till = Till::new(&installation);
    let sales = sales(&till, &heir).await;
    let rush = Rush::begin(till, &[&victim, &heir], &sales);
    rush.acknowledged(50).await;
    let begun = Instant::now();
    victim.signal("KILL");
    victim.ended().await;
    installation.until_shared(&[&heir]).await;
    println!("its partitions were served again within {:?}", begun.elapsed());
    rush.acknowledged(50).await;
    rush.end(&heir, &sales).await;
    drop((victim, heir));
    installation.forget().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_slept_too_long_says_neither_yes_nor_no() {
    let installation = Installation::new().await;
    let [sleeper, heir] = installation.start_all(["sleeper", "heir"]).await;
    let till = Till::new(&installation);
    let sales = sales(&till, &heir).await;
    let theirs = *installation.served(&sleeper).await.unwrap().first().unwrap();
    sleeper.signal("STOP");
    // These wait in the sleeper's sockets for a show that it believes to own.
    let sale = sales[theirs as usize];
    let waiting: Vec<Order> = (0..20).map(|_| Order::of(sale, theirs)).collect();
    let asked = futures::future::join_all(waiting.iter().map(|order| till.place(&sleeper, order)));
    let meanwhile = async {
        installation.until_shared(&[&heir]).await;
        for _ in 0..20 {
            let answer = till.place(&heir, &Order::of(sale, theirs)).await.unwrap();
            assert_eq!(answer.status, 201, "{answer:#?}");
        }
        sleeper.signal("CONT");
    };
    let (answers, ()) = tokio::join!(asked, meanwhile);
    let mut acknowledged = 20;
    for answer in answers {
        let answer = answer.unwrap();
        match answer.status {
            // It learned in time that the heir is to be asked.
            201 => acknowledged += 1,
            503 => assert!(answer.headers.contains_key("retry-after"), "{answer:#?}"),
            _ => panic!("{answer:#?}"),
        }
    }
    installation.until_shared(&[&sleeper, &heir]).await;
    for order in &waiting {
        let repeated = till.place(&sleeper, order).await.unwrap();
        assert_eq!(repeated.status, 201, "{repeated:#?}");
        acknowledged += i64::from(!repeated.headers.contains_key("idempotency-replayed"));
    }
    let reserved = till.reserved(&heir, sale, CAPACITY).await.unwrap();
    assert_eq!(reserved, 40, "each order holds one ticket");
    assert!(acknowledged <= 40, "a yes of before is a repeat now");
    drop((sleeper, heir));
    installation.forget().await;
}
