use domain::event::Event;
use domain::ids::OrderId;
use domain::inventory::{self, ReleaseReason};
use domain::payment::{self, RefundWhy};
use domain::value::{Line, Provider, Role};
use http::Method;
use serde_json::json;

use crate::client::As;
use crate::story::{BUYER, EMAIL, ORGANIZER, PRICE, id, vnd};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_told_from_its_reservation_to_its_tickets() {
    let world = World::new().await;
    let it = world.reserve(world.on_sale(1).await, 1, "guest:1").await;
    let (who, path) = (world.holder(it.order, it.stage.show), format!("/v1/orders/{}", it.order));
    let reserved = world.get(&who, &path).await.ok();
    let expected = json!({
        "id": it.order, "show": it.stage.show, "status": "reserved",
        "lines": [{"ticket_class": it.stage.class, "quantity": 2, "unit_price": {"amount": PRICE, "currency": "VND"}}],
        "total": {"amount": 2 * PRICE, "currency": "VND"}, "buyer": {"name": "Bình", "email": EMAIL},
        "pay_by": "2023-11-14T22:28:21Z", "payments": [], "tickets": [], "code": it.code,
        "created_at": "2023-11-14T22:13:21Z",
    });
    assert_eq!(reserved, expected);
    world.await_payment(&it).await;
    let awaiting = world.get(&who, &path).await.ok();
    assert_eq!(awaiting["status"], "awaiting_payment");
    let open = json!([{"id": it.payment, "provider": "payos", "status": "open", "url": "https://pay.test/link",
        "amount": {"amount": 2 * PRICE, "currency": "VND"}}]);
    assert_eq!(awaiting["payments"], open);
    let tickets = world.complete(&it).await;
    let completed = world.get(&who, &path).await.ok();
    assert_eq!(completed["status"], "completed");
    assert_eq!(completed["payments"][0]["status"], "completed");
    assert_eq!(completed["payments"][0].get("url"), None, "nobody is sent to a page that is paid");
    let ids: Vec<_> = completed["tickets"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    assert_eq!(ids, [json!(tickets[0]), json!(tickets[1])]);
    let head = world.send(Method::HEAD, &who, &path, &[]).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_seen_by_those_it_concerns_and_nobody_else() {
    let world = World::new().await;
    let stage = world.on_sale(1).await;
    let it = world.reserve(stage, 1, &format!("account:{BUYER}")).await;
    world.await_payment(&it).await;
    let ticket = world.complete(&it).await[0];
    let other = world.reserve(stage, 2, "guest:2").await;
    let sees = [
        ("the buyer", world.account(BUYER, &[Role::Buyer]), 200),
        ("the buyer without a role", world.account(BUYER, &[]), 200),
        ("the holder", world.holder(it.order, stage.show), 200),
        ("the holder of another order", world.holder(other.order, stage.show), 404),
        ("the holder in another show", world.holder(it.order, crate::story::stage(2).show), 404),
        ("a stranger", world.account("chi", &[Role::Buyer]), 404),
        ("the organizer", world.account(ORGANIZER, &[Role::Organizer]), 200),
        ("the organizer out of that role", world.account(ORGANIZER, &[Role::Buyer]), 404),
        ("another organizer", world.account("other", &[Role::Organizer]), 404),
        ("gate staff", world.account("gate", &[Role::Staff]), 404),
        ("support", world.account("help", &[Role::Support]), 200),
        ("an admin", world.account("boss", &[Role::Admin]), 200),
        ("nobody", As::Nobody, 401),
        ("who forges", As::Token("x.y.z".to_owned()), 401),
    ];
    for (name, who, status) in &sees {
        for route in ["", "/tickets", "/events", &format!("/tickets/{ticket}/qr.svg")] {
            let answer = world.get(who, &format!("/v1/orders/{}{route}", it.order)).await;
            assert_eq!(answer.status.as_u16(), *status, "{name} {route}: {}", answer.text);
            if *status == 404 {
                let unknown = world.get(who, &format!("/v1/orders/{}{route}", OrderId(id("none", 1)))).await;
                assert_eq!(answer.text, unknown.text, "{name} {route} learns that it exists");
            }
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_shows_may_have_an_order_of_one_id() {
    let world = World::new().await;
    let (first, second) = (world.on_sale(1).await, world.on_sale(2).await);
    let account = format!("account:{BUYER}");
    let one = world.reserve(first, 1, &account).await;
    let two = world.reserve_as(second, one.order, 2, "account:chi").await;
    let taken = inventory::ReservationReleased {
        show: second.show,
        order: one.order,
        attempt: 1,
        lines: vec![Line { ticket_class: second.class, quantity: 2 }],
        confirmed: false,
        reason: ReleaseReason::OrderIdTaken,
        session: None,
    };
    world.tell(two.at_us + 1, Event::Inventory(inventory::Event::ReservationReleased(taken))).await;
    let path = format!("/v1/orders/{}", one.order);
    let seen = async |who: &As, path: &str| world.get(who, path).await.ok();
    assert_eq!(seen(&world.account(BUYER, &[]), &path).await["show"], json!(first.show));
    let failed = seen(&world.account("chi", &[]), &path).await;
    assert_eq!((&failed["status"], &failed["reason"]), (&json!("failed"), &json!("order_id_taken")));
    assert_eq!(seen(&world.holder(one.order, second.show), &path).await["show"], json!(second.show));
    let support = world.account("help", &[Role::Support]);
    assert_eq!(seen(&support, &path).await["show"], json!(first.show));
    assert_eq!(seen(&support, &format!("{path}?show={}", second.show)).await["show"], json!(second.show));
    let other = world.get(&world.account(BUYER, &[]), &format!("{path}?show={}", second.show)).await;
    other.is(404, "not-found");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_money_and_refunds_are_told() {
    let world = World::new().await;
    let it = world.reserve(world.on_sale(1).await, 1, "guest:1").await;
    world.await_payment(&it).await;
    let (payment, order, show, currency) = (it.payment, it.order, it.stage.show, vnd());
    let part = payment::PaymentPartiallyReceived {
        payment,
        order,
        show,
        reference: "FT1".to_owned(),
        amount: 1000,
        currency,
        received: 1000,
        fee: 0,
        provider: Provider::Payos,
    };
    world.tell(it.at_us + 3, Event::Payment(payment::Event::PaymentPartiallyReceived(part))).await;
    let (who, path) = (world.holder(order, show), format!("/v1/orders/{order}"));
    let seen = world.get(&who, &path).await.ok();
    assert_eq!(seen["payments"][0]["status"], "partially_received");
    assert_eq!(seen["payments"][0]["url"], "https://pay.test/link");
    assert_eq!(seen.get("refund"), None);
    world.cancel(&it).await;
    let (provider, why) = (Provider::Payos, RefundWhy::PaidInPart);
    let (refund, requested_at) = (domain::ids::RefundId(payment.0), domain::value::Timestamp(0));
    let back = payment::RefundRequested {
        payment,
        order,
        show,
        provider,
        amount: 1000,
        currency,
        why,
        by_hand: true,
        refund,
        requested_at,
    };
    world.tell(it.at_us + 9, Event::Payment(payment::Event::RefundRequested(back))).await;
    let seen = world.get(&who, &path).await.ok();
    let refund = json!({"status": "due", "amount": {"amount": 1000, "currency": "VND"}, "why": "paid_in_part"});
    assert_eq!(seen["refund"], refund);
    assert_eq!((&seen["status"], &seen["reason"]), (&json!("cancelled"), &json!("by_buyer")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_buyer_is_null() {
    let world = World::new().await;
    let it = world.reserve(world.on_sale(1).await, 1, "guest:1").await;
    let (who, path) = (world.holder(it.order, it.stage.show), format!("/v1/orders/{}", it.order));
    assert_eq!(world.get(&who, &path).await.ok()["buyer"]["name"], "Bình");
    world.forget(it.key.id).await;
    let started = service_kit::clock::monotonic();
    while !world.get(&who, &path).await.ok()["buyer"].is_null() {
        assert!(started.elapsed().as_secs() < 10, "a kept key outlives its erasure");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let order = world.get(&who, &path).await.ok();
    assert_eq!((&order["status"], &order["total"]["amount"]), (&json!("reserved"), &json!(2 * PRICE)));
    let support = world.account("help", &[Role::Support]);
    let listed = world.get(&support, &format!("/v1/shows/{}/orders?email={EMAIL}", it.stage.show)).await.ok();
    assert!(listed["items"][0]["buyer"].is_null());
    world.end().await;
}
