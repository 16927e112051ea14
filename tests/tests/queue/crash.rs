//! The write side dies between admission and notice: nobody is lost, and nobody is passed over.

use futures::future::join_all;
use ops::topology::Process;
use reqwest::Method;
use serde_json::json;
use system_tests::purchase::{OnSale, eventually, id, key};
use system_tests::queue::{Visitor, room, with};
use system_tests::room::Room;
use system_tests::{Answer, Installation, run, world};

const VISITORS: usize = 30;

/// Asks again and again until whoever can decide does.
async fn insist(what: &str, mut attempt: impl AsyncFnMut() -> Option<Answer>) -> Answer {
    eventually(what, async || attempt().await.filter(|answer| !answer.status.is_server_error())).await
}

/// Waits for the turn, enters and orders; with the same keys until that is answered.
async fn visit(sale: &OnSale, mut visitor: Visitor) {
    visitor.until("admitted").await;
    let enter = async || {
        let request = visitor.request(Method::POST, "/enter").json(&json!({}));
        visitor.client.try_send(request).await.ok()
    };
    let token = insist("it is let in", enter).await.is(200).text("checkout_token");
    let (path, order_key) = (format!("/v1/orders/{}", id()), key());
    let order = async || {
        let request = visitor.client.request(Method::PUT, &path).header("idempotency-key", &order_key);
        visitor.client.try_send(request.header("checkout-token", &token).json(&sale.order(1))).await.ok()
    };
    insist("the order is answered", order).await.is(201);
    visitor.until("completed").await;
}

#[test]
fn a_crash_between_admission_and_notice() {
    run(async {
        let shop = Installation::start(world::stack().await.unwrap(), &[]).await;
        let terms = with(room(5), &json!({"admission_batch": 5, "tick_ms": 200}));
        let sale = shop.on_sale_with_room(0, 100, 600, &terms).await;
        let mut visitors = Vec::new();
        for _ in 0..VISITORS {
            visitors.push(shop.join(sale.show).await);
        }
        let (mut journal, mut of_log) = (shop.journal().await, Room::default());
        eventually("somebody is admitted", async || {
            of_log.add(sale.show, &journal.news().await);
            (!of_log.admitted.is_empty()).then_some(())
        })
        .await;
        // Nobody has asked yet.
        shop.kill(Process::CommandApi).await;
        assert_eq!(of_log.ended.len(), 0);

        let killing = async {
            eventually("some are served", async || {
                of_log.add(sale.show, &journal.news().await);
                (of_log.count_of("completed") >= VISITORS / 3).then_some(())
            })
            .await;
            shop.kill(Process::CommandApi).await;
        };
        tokio::join!(join_all(visitors.into_iter().map(|visitor| visit(&sale, visitor))), killing);
        of_log.add(sale.show, &journal.news().await);
        of_log.check_nobody_lost();
        assert_eq!((of_log.count_of("completed"), of_log.ended.len()), (VISITORS, VISITORS), "{:?}", of_log.ended);
        assert_eq!(of_log.most, 5);
        assert_eq!(shop.running.restarts(Process::CommandApi), 2);
        shop.stop().await;
    });
}
