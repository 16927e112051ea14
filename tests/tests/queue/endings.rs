//! Every way in which a slot comes free, and that the next one comes then.

use serde_json::json;
use system_tests::purchase::{id, key};
use system_tests::queue::{Visitor, room, with};
use system_tests::{World, run};

use super::{added_up, told};

/// So many guests, one after the other.
async fn visitors<const N: usize>(world: &World, show: uuid::Uuid) -> [Visitor; N] {
    let mut all = Vec::new();
    for _ in 0..N {
        all.push(world.join(show).await);
    }
    all.try_into().expect("as many as were asked for")
}

async fn by_leaving(world: &World) {
    let sale = world.on_sale_with_room(1000, 10, 600, &room(1)).await;
    let [mut first, second, mut third, mut fourth] = visitors(world, sale.show).await;
    first.until("admitted").await;
    assert_eq!(third.status().await.body["position"], 2);
    second.leave().await;
    system_tests::purchase::eventually("those behind move up", async || {
        (third.status().await.body["ahead"] == 0).then_some(())
    })
    .await;
    let waiting = fourth.status().await.body;
    assert_eq!((&waiting["ahead"], &waiting["place"], &waiting["status"]), (&json!(1), &json!(4), &json!("queued")));
    // Admitted, then in checkout.
    first.leave().await;
    third.enter_in_turn().await;
    third.leave().await;
    fourth.until("admitted").await;
    assert_eq!(third.until("left").await.body["place"], 3);
    let room = added_up(world, sale.show).await;
    assert_eq!((room.count_of("left"), room.most), (3, 1));
}

async fn by_not_coming(world: &World) {
    let sale = world.on_sale_with_room(1000, 10, 600, &with(room(1), &json!({"enter_s": 1}))).await;
    let [mut first, mut second] = visitors(world, sale.show).await;
    // Whoever does not ask is admitted in turn all the same, and lapses.
    second.enter_in_turn().await;
    first.until("expired").await;
    first.try_enter().await.is_problem(410, "queue-place-lost");
    let mut life = told(world, sale.show).await;
    // The second may come before or after the first one's turn.
    life.retain(|name| *name != "QueueJoined");
    assert_eq!(life, ["WaitingRoomOpened", "QueueReady", "QueueExpired", "QueueReady", "CheckoutStarted"]);
}

/// A token of one second, and the 30 seconds that an order placed in its last moment may take to arrive.
async fn by_not_ordering(world: &World) {
    let sale = world.on_sale_with_room(1000, 10, 600, &with(room(1), &json!({"token_ttl_s": 1}))).await;
    let [mut first, mut second] = visitors(world, sale.show).await;
    let token = first.enter_in_turn().await;
    let expired = system_tests::purchase::eventually("the token ends", async || {
        let answer = sale.order_with(&world.client, &token, id(), &key(), 100).await;
        // More than an order may have, so that none is placed before.
        (answer.body["type"] != "/problems/limit-exceeded").then_some(answer)
    })
    .await;
    expired.is_problem(403, "checkout-token-invalid");
    second.until("admitted").await;
    first.until("expired").await;
    first.try_enter().await.is_problem(410, "queue-place-lost");
    assert_eq!(added_up(world, sale.show).await.count_of("expired"), 1);
}

async fn by_the_orders_end(world: &World) {
    // The token ends long before the order does.
    let sale = world.on_sale_with_room(1000, 10, 12, &with(room(1), &json!({"token_ttl_s": 2}))).await;
    let [mut unpaid, mut cancelling, mut paying, mut last] = visitors(world, sale.show).await;
    let token = unpaid.enter_in_turn().await;
    let (order, holder, _) = sale.buy_with(&world.client, &token, 1).await;
    // Before that, the place could still be given up.
    system_tests::purchase::eventually("the slot is the order's", async || {
        told(world, sale.show).await.contains(&"CheckoutTied").then_some(())
    })
    .await;
    unpaid.try_leave().await.is_problem(409, "wrong-status");
    assert_eq!(cancelling.status().await.body["status"], "queued");
    world.until(order, &holder, "cancelled").await;

    let token = cancelling.enter_in_turn().await;
    let (order, holder, _) = sale.buy_with(&world.client, &token, 1).await;
    assert_eq!(paying.status().await.body["status"], "queued");
    holder.post(&format!("/v1/orders/{order}/cancel"), &json!({})).await.is(200);

    let token = paying.enter_in_turn().await;
    let (order, holder, _) = sale.buy_with(&world.client, &token, 1).await;
    let link = world.payment_page(order, &holder).await;
    world.pay(&link, &json!({})).await;
    last.until("admitted").await;
    paying.until("completed").await;
    unpaid.until("expired").await;
    cancelling.until("expired").await;
    let room = added_up(world, sale.show).await;
    assert_eq!((room.count_of("failed"), room.count_of("completed"), room.most), (2, 1, 1));
}

#[test]
fn a_slot_comes_free_by_every_ending() {
    run(async {
        let world = World::shared().await;
        tokio::join!(by_leaving(world), by_not_coming(world), by_not_ordering(world), by_the_orders_end(world));
    });
}
