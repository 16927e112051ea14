//! One command-api dies, another leaves in order and comes back, while people buy.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use local_stack::Signal;
use service_kit::clock;
use system_tests::installation::command_api;
use system_tests::purchase::eventually;
use system_tests::run;

use super::{sale_in_each, start, until_answered};
use crate::crash::{Seen, acknowledged, check, purchase};

const ORDERS: usize = 200;
const CAPACITY: i64 = 500;

#[test]
fn one_is_killed_and_one_is_stopped_and_started_again() {
    run(async {
        let shop = start(&[]).await;
        let sales = sale_in_each(&shop, 1000, CAPACITY).await;
        let seen = Seen::default();
        let buying = futures::stream::iter(0..ORDERS).map(|n| purchase(&shop, &sales[n % sales.len()], &seen));
        let buying = buying.buffer_unordered(16).collect::<Vec<_>>();
        let moving = async {
            acknowledged(&seen, 40).await;
            let (victim, heir) = (command_api(1), command_api(2));
            shop.kill(victim).await;
            let took = until_answered(&shop.at(heir), &sales, CAPACITY).await;
            println!("after kill -9 of one, every partition answers again within {} ms", took.as_millis());
            shop.wait_ready().await;

            acknowledged(&seen, 120).await;
            let (begun, restarts) = (clock::monotonic(), shop.running.restarts(heir));
            shop.signal(heir, Signal::Terminate).await;
            let took = until_answered(&shop.at(victim), &sales, CAPACITY).await;
            println!("after SIGTERM of the other, every partition answers within {} ms", took.as_millis());
            eventually("it is started again", async || (shop.running.restarts(heir) > restarts).then_some(())).await;
            shop.wait_ready().await;
            println!("it was back after {} ms", begun.elapsed().as_millis());
            tokio::time::sleep(Duration::from_millis(500)).await;
            until_answered(&shop, &sales, CAPACITY).await;
        };
        let (orders, ()) = tokio::join!(buying, moving);
        let mut journal = shop.journal().await;
        check(&shop, &mut journal, &sales, &orders).await;
        let repeated = seen.repeated.load(Ordering::Relaxed);
        println!("{ORDERS} purchases, {repeated} requests repeated, {} void records", journal.void());
        shop.stop().await;
    });
}
