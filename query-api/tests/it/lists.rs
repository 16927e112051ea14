use domain::value::Role;
use serde_json::{Value, json};

use crate::client::As;
use crate::story::{BUYER, ORGANIZER, id};
use crate::world::World;

fn ids(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_lists_its_own_orders_the_newest_first() {
    let world = World::new().await;
    let stage = world.on_sale(1).await;
    for n in 1..=5 {
        world.reserve(stage, n, &format!("account:{BUYER}")).await;
    }
    let others = world.reserve(stage, 6, "account:chi").await;
    let who = world.account(BUYER, &[Role::Buyer]);
    let mut listed = Vec::new();
    let mut path = "/v1/me/orders?limit=2".to_owned();
    loop {
        let page = world.get(&who, &path).await.ok();
        assert!(page["items"].as_array().unwrap().len() <= 2);
        listed.extend(ids(&page));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/me/orders?limit=2&cursor={cursor}");
        // Somebody else's cursor is no cursor.
        let stranger = world.get(&world.account("chi", &[]), &path).await;
        stranger.is(400, "bad-parameter");
    }
    let newest_first: Vec<String> = (1..=5).rev().map(|n| id("order", n).to_string()).collect();
    assert_eq!(listed, newest_first);
    let held = world.get(&world.holder(others.order, stage.show), "/v1/me/orders").await.ok();
    assert_eq!(ids(&held), [others.order.to_string()]);
    assert_eq!(world.get(&world.account("none", &[]), "/v1/me/orders").await.ok()["items"], json!([]));
    world.get(&As::Nobody, "/v1/me/orders").await.is(401, "unauthorized");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shows_orders_are_for_who_runs_it_admins_and_support() {
    let world = World::new().await;
    let stage = world.on_sale(1).await;
    let it = world.reserve(stage, 1, &format!("account:{BUYER}")).await;
    world.reserve(world.on_sale(2).await, 2, "guest:2").await;
    let path = format!("/v1/shows/{}/orders", stage.show);
    for who in [
        world.account(ORGANIZER, &[Role::Organizer]),
        world.account("help", &[Role::Support]),
        world.account("boss", &[Role::Admin]),
    ] {
        let page = world.get(&who, &path).await.ok();
        assert_eq!(ids(&page), [it.order.to_string()]);
        assert_eq!(page["items"][0]["buyer"]["name"], "Bình");
        assert_eq!(page["items"][0].get("tickets"), None, "lists show no codes that admit");
    }
    for who in [
        world.account("other", &[Role::Organizer]),
        world.account(ORGANIZER, &[Role::Buyer]),
        world.account(BUYER, &[Role::Buyer]),
        world.account("gate", &[Role::Staff]),
        world.holder(it.order, stage.show),
    ] {
        world.get(&who, &path).await.is(404, "show-not-found");
    }
    world.get(&As::Nobody, &path).await.is(401, "unauthorized");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shows_orders_are_found_by_status_mail_address_and_code() {
    let world = World::new().await;
    let stage = world.on_sale(1).await;
    let reserved = world.reserve(stage, 1, "guest:1").await;
    let awaiting = world.reserve(stage, 2, "guest:2").await;
    world.await_payment(&awaiting).await;
    let completed = world.reserve(stage, 3, "guest:3").await;
    world.await_payment(&completed).await;
    world.complete(&completed).await;
    let cancelled = world.reserve(stage, 4, "guest:4").await;
    world.cancel(&cancelled).await;
    let who = world.account("help", &[Role::Support]);
    let found =
        async |query: &str| ids(&world.get(&who, &format!("/v1/shows/{}/orders?{query}", stage.show)).await.ok());
    let of = |status: &str| format!("status={status}");
    assert_eq!(found(&of("reserved")).await, [reserved.order.to_string()]);
    assert_eq!(found(&of("awaiting_payment")).await, [awaiting.order.to_string()]);
    assert_eq!(found(&of("completed")).await, [completed.order.to_string()]);
    assert_eq!(found(&of("cancelled")).await, [cancelled.order.to_string()]);
    assert!(found(&of("stuck")).await.is_empty());
    assert_eq!(found("email=%20bINH@example.ORG").await.len(), 4);
    assert!(found("email=other@example.org").await.is_empty());
    let typed = format!("{}-{}", &awaiting.code[..5].to_lowercase(), &awaiting.code[5..]);
    assert_eq!(found(&format!("code={typed}")).await, [awaiting.order.to_string()]);
    assert!(found(&format!("code={}&status=completed", awaiting.code)).await.is_empty());
    for bad in ["status=paid", "code=short", "limit=0", "cursor=x", "name=Binh"] {
        let answer = world.get(&who, &format!("/v1/shows/{}/orders?{bad}", stage.show)).await;
        answer.is(400, "bad-parameter");
    }
    let entry = &world.get(&who, &format!("/v1/shows/{}/orders?status=completed", stage.show)).await.ok()["items"][0];
    assert_eq!((&entry["ticket_count"], &entry["payments"][0]["status"]), (&json!(2), &json!("completed")));
    world.end().await;
}
