//! What checkout tokens do not do: missing, altered, foreign, expired and used ones, and tokens of other kinds.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::value::Role;
use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};
use service_kit::checkout_token::Admitted;
use system_tests::purchase::{OnSale, id, key};
use system_tests::queue::{Visitor, room};
use system_tests::{Answer, Client, World, run};

use super::Quiet;
use super::queue::{foreign, show};

/// A JWT of these parts, sealed as checkout tokens of this world are.
fn sealed(world: &World, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, world.secrets().derive("checkout token").expose());
    let seal = hmac::sign(&key, text.as_bytes());
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(seal))
}

fn part(token: &str, at: usize) -> Value {
    let part = token.split('.').nth(at).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn with(value: &Value, name: &str, other: Value) -> Value {
    let mut changed = value.clone();
    changed[name] = other;
    changed
}

/// The token with each of its parts altered.
fn altered(world: &World, token: &str) -> Vec<(&'static str, String)> {
    let (header, claims) = (part(token, 0), part(token, 1));
    assert_eq!(sealed(world, &header, &claims).split('.').count(), 3);
    let parts: Vec<&str> = token.split('.').collect();
    let [head, body, seal] = parts[..] else { panic!("a token has three parts") };
    let encoded = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let turned: String = seal.chars().rev().collect();
    let later = with(&claims, "exp", json!(4_000_000_000_i64));
    let other_session = with(&claims, "session", json!(id()));
    let none = with(&header, "alg", json!("none"));
    vec![
        ("with another seal", format!("{head}.{body}.{turned}")),
        ("with another end", format!("{head}.{}.{seal}", encoded(&later))),
        ("with another session", format!("{head}.{}.{seal}", encoded(&other_session))),
        ("without a seal", format!("{head}.{body}.")),
        ("in two parts", format!("{head}.{body}")),
        ("in four parts", format!("{token}.{seal}")),
        ("of no algorithm", format!("{}.{body}.", encoded(&none))),
        ("of no algorithm, sealed", sealed(world, &none, &claims)),
        ("of another algorithm", sealed(world, &with(&header, "alg", json!("HS512")), &claims)),
        ("of an asymmetric algorithm", sealed(world, &with(&header, "alg", json!("EdDSA")), &claims)),
        ("of an unknown key", sealed(world, &with(&header, "kid", json!("checkout-00000000")), &claims)),
        ("of no key", sealed(world, &json!({"alg": "HS256", "typ": "JWT"}), &claims)),
        ("for another audience", sealed(world, &header, &with(&claims, "aud", json!("order")))),
        ("for no audience", sealed(world, &header, &with(&claims, "aud", Value::Null))),
        ("for no session", sealed(world, &header, &with(&claims, "session", Value::Null))),
        ("without an end", sealed(world, &header, &with(&claims, "exp", Value::Null))),
        ("nothing", String::new()),
        ("something else", "token".to_owned()),
    ]
}

/// Sends an order with a token, which is refused.
async fn order(quiet: &mut Quiet, sale: &OnSale, token: &str) -> Answer {
    let client = quiet.world.client.clone();
    quiet.of(async { sale.order_with(&client, token, id(), &key(), 1).await }).await
}

/// A room, and somebody who has entered it.
async fn entered(world: &World) -> (OnSale, Visitor, String) {
    let sale = world.on_sale_with_room(1000, 10, 600, &room(3)).await;
    let mut visitor = world.join(sale.show).await;
    let token = visitor.enter_in_turn().await;
    (sale, visitor, token)
}

#[test]
fn tokens_that_are_missing_altered_or_foreign() {
    run(async {
        let mut quiet = Quiet::start().await;
        let world = &quiet.world;
        let (sale, visitor, token) = entered(world).await;
        let (other_sale, _, other_token) = entered(world).await;
        let open = world.on_sale(1000, 5, 600).await;
        let (open_order, holder, placed) = open.buy(world, 1).await;
        world.payment_page(open_order, &holder).await;
        let admitted = world.secrets().auth().checkout_tokens().read(&token).unwrap();
        // What this test makes is what the shop makes, so that it is refused for its one fault only.
        assert_eq!(
            sealed(world, &part(&token, 0), &part(&token, 1)).split('.').nth(2).map(str::len),
            token.split('.').nth(2).map(str::len)
        );
        world.secrets().auth().checkout_tokens().read(&sealed(world, &part(&token, 0), &part(&token, 1))).unwrap();

        let mut bad = altered(world, &token);
        bad.extend([
            ("of another show", other_token),
            ("by another key", foreign().auth().checkout_tokens().mint(&admitted)),
            ("an access token", placed.text("access_token")),
            ("an account's token", world.token("organizer-1", &[Role::Organizer], 60)),
            ("a queue ticket", visitor.ticket.clone()),
        ]);
        quiet.settle().await;
        let client = quiet.world.client.clone();
        let path = format!("/v1/orders/{}", id());
        quiet.of(client.put_with(&path, &key(), &sale.order(1))).await.is_problem(401, "checkout-token-missing");
        for (name, bad) in &bad {
            let answer = order(&mut quiet, &sale, bad).await;
            assert_eq!(answer.status, 403, "a token that is {name}: {answer:#?}");
            answer.is_problem(403, "checkout-token-invalid");
        }
        let two = client.request(Method::PUT, &path).header("idempotency-key", key()).header("checkout-token", &token);
        let two = two.header("checkout-token", &token).json(&sale.order(1));
        quiet.of(client.send(two)).await.is_problem(403, "checkout-token-invalid");

        // It is no bearer, no queue ticket, and no key to anything else.
        refused_elsewhere(&mut quiet, &client, &visitor, open_order, &token).await;

        // The right one still does what it does.
        sale.buy_with(&client, &token, 1).await;
        assert_eq!(quiet.world.stock(&sale, 10).await, (1, 0, 9));
        assert_eq!(quiet.world.stock(&other_sale, 10).await, (0, 0, 10));
        quiet.world.stop().await;
    });
}

async fn refused_elsewhere(quiet: &mut Quiet, client: &Client, visitor: &Visitor, order: uuid::Uuid, token: &str) {
    let bearer = client.with(token);
    quiet.of(bearer.get(&format!("/v1/orders/{order}"))).await.is_problem(401, "unauthorized");
    quiet.of(bearer.get("/v1/shows")).await.is_problem(401, "unauthorized");
    let stream = format!("/v1/orders/{order}/events?access_token={token}");
    quiet.of(client.get(&stream)).await.is_problem(401, "unauthorized");
    for route in ["status", "events", "enter", "leave"] {
        let answer = quiet.of(show(client, route, &visitor.path(), Some(token))).await;
        answer.is_problem(403, "queue-ticket-invalid");
    }
}

#[test]
fn tokens_that_are_expired_or_used() {
    run(async {
        let mut quiet = Quiet::start().await;
        let (sale, mut buyer, token) = entered(&quiet.world).await;
        let client = quiet.world.client.clone();
        let tokens = |expires_in_s: i64, session: &str| {
            let auth = quiet.world.secrets().auth();
            let expires_at = auth.now().plus_s(expires_in_s);
            auth.checkout_tokens().mint(&Admitted {
                show: sale.show.into(),
                session: session.parse().unwrap(),
                expires_at,
            })
        };
        let expired = tokens(-5, &buyer.session);
        quiet.settle().await;
        let answer = order(&mut quiet, &sale, &expired).await.is_problem(403, "checkout-token-invalid");
        assert!(answer.body["expired_at"].is_string(), "{answer:#?}");

        // A refused order does not use the token up.
        let many = quiet.of(async { sale.order_with(&client, &token, id(), &key(), 11).await }).await;
        many.is_problem(409, "limit-exceeded");
        let (placed, holder, _) = sale.buy_with(&client, &token, 1).await;
        let link = quiet.world.payment_page(placed, &holder).await;
        quiet.settle().await;
        order(&mut quiet, &sale, &token).await.is_problem(403, "checkout-token-used");
        quiet.world.pay(&link, &json!({})).await;
        quiet.world.until(placed, &holder, "completed").await;
        buyer.until("completed").await;
        quiet.settle().await;
        order(&mut quiet, &sale, &token).await.is_problem(403, "checkout-token-used");

        // An order that came to nothing has used it up, too: there is a new place for a new try.
        let mut second = quiet.world.join(sale.show).await;
        let token = second.enter_in_turn().await;
        let (given_up, holder, _) = sale.buy_with(&client, &token, 1).await;
        holder.post(&format!("/v1/orders/{given_up}/cancel"), &json!({})).await.is(200);
        second.until("expired").await;
        quiet.settle().await;
        order(&mut quiet, &sale, &token).await.is_problem(403, "checkout-token-used");

        // So has leaving.
        let mut third = quiet.world.join(sale.show).await;
        let token = third.enter_in_turn().await;
        third.leave().await;
        third.until("left").await;
        quiet.settle().await;
        order(&mut quiet, &sale, &token).await.is_problem(403, "checkout-token-used");
        assert_eq!(quiet.world.stock(&sale, 10).await, (0, 1, 9));
        quiet.world.stop().await;
    });
}
