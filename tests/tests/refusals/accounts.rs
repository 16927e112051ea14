//! Who may not: without a token, without the role, and strangers, who are not told what there is.

use domain::value::Role;
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::purchase::{class_body, id, key, show_body};
use system_tests::{Answer, Client, run};
use uuid::Uuid;

use super::Quiet;

/// Everything that can be written about a show.
fn writes(show: &str, class: &str) -> Vec<(Method, String, Value)> {
    let class = format!("{show}/ticket-classes/{class}");
    let mut writes = vec![
        (Method::PATCH, show.to_owned(), json!({"name": "Another"})),
        (Method::PUT, format!("{show}/ticket-classes/{}", id()), class_body(1, 1)),
        (Method::PATCH, class.clone(), json!({"name": "Another"})),
        (Method::POST, format!("{show}/configure"), json!({})),
        (Method::POST, format!("{class}/capacity"), json!({"capacity": 3})),
        (Method::POST, format!("{class}/price"), json!({"price": {"amount": 1, "currency": "VND"}})),
    ];
    for step in ["approve", "publish", "cancel"] {
        writes.push((Method::POST, format!("{show}/{step}"), json!({})));
    }
    writes
}

async fn send(client: &Client, (method, path, body): &(Method, String, Value)) -> Answer {
    client.send(client.request(method.clone(), path).header("idempotency-key", key()).json(body)).await
}

#[test]
fn without_a_good_token() {
    run(async {
        let mut quiet = Quiet::start().await;
        let sale = quiet.world.on_sale(1000, 5, 600).await;
        let (order, holder, answer) = sale.buy(&quiet.world, 1).await;
        quiet.world.payment_page(order, &holder).await;
        quiet.settle().await;
        let client = quiet.world.client.clone();
        let show = format!("/v1/shows/{}", sale.show);
        let mut asked = writes(&show, &sale.class.to_string());
        asked.push((Method::PUT, format!("/v1/shows/{}", id()), show_body()));
        asked.push((Method::POST, format!("/v1/orders/{order}/cancel"), json!({})));
        let payment = json!({"provider": "payos", "return_url": "https://shop.test/back"});
        asked.push((Method::POST, format!("/v1/orders/{order}/payments"), payment));
        for path in
            [format!("/v1/orders/{order}"), format!("/v1/orders/{order}/tickets"), format!("/v1/orders/{order}/events")]
        {
            asked.push((Method::GET, path, Value::Null));
        }
        asked.push((Method::GET, "/v1/me/orders".to_owned(), Value::Null));
        asked.push((Method::GET, format!("{show}/orders"), Value::Null));
        for request in &asked {
            let answer = quiet.of(send(&client, request)).await.is_problem(401, "unauthorized");
            assert!(answer.header("www-authenticate").is_some_and(|it| it.starts_with("Bearer")), "{answer:#?}");
        }

        let good = quiet.world.token("organizer-1", &[Role::Organizer], 60);
        let (head, sealed) = good.rsplit_once('.').unwrap();
        let altered = format!("{head}.{}", sealed.chars().rev().collect::<String>());
        let expired = quiet.world.token("organizer-1", &[Role::Organizer], -3600);
        let access = answer.text("access_token");
        let cut = access[..access.len() - 4].to_owned();
        for bad in ["", "nonsense", &altered, &expired, &cut] {
            // A bad token is refused where none is needed, too: its bearer believes to be somebody.
            let bearer = client.with(bad);
            quiet.of(bearer.get("/v1/shows")).await.is_problem(401, "unauthorized");
            let request = (Method::PUT, format!("/v1/orders/{}", id()), sale.order(1));
            quiet.of(send(&bearer, &request)).await.is_problem(401, "unauthorized");
        }
        quiet
            .of(client.get(&format!("/v1/orders/{order}/events?access_token={cut}")))
            .await
            .is_problem(401, "unauthorized");
        // Accounts' tokens do not travel in addresses.
        let path = format!("/v1/orders/{order}/events?access_token={good}");
        quiet.of(client.get(&path)).await.is_problem(401, "unauthorized");
        quiet.world.stop().await;
    });
}

#[test]
fn without_the_role() {
    run(async {
        let mut quiet = Quiet::start().await;
        let class = id();
        let show = quiet.world.approved(show_body(), &[(class, class_body(1000, 3))], 60).await;
        let draft = id();
        let organizer = quiet.world.organizer();
        organizer.put(&format!("/v1/shows/{draft}"), &show_body()).await.is(201);
        organizer.post(&format!("/v1/shows/{draft}/configure"), &json!({})).await.is(200);
        quiet.settle().await;
        for role in [Role::Buyer, Role::Staff, Role::Support] {
            let account = quiet.world.as_account("nobody", &[role]);
            let create = (Method::PUT, format!("/v1/shows/{}", id()), show_body());
            quiet.of(send(&account, &create)).await.is_problem(403, "forbidden");
        }
        quiet.of(organizer.post(&format!("/v1/shows/{draft}/approve"), &json!({}))).await.is_problem(403, "forbidden");
        // Support sees everything and changes no show.
        let support = quiet.world.as_account("helper", &[Role::Support]);
        for request in writes(&format!("/v1/shows/{show}"), &class.to_string()) {
            let on_stock = request.1.ends_with("/capacity") || request.1.ends_with("/price");
            let (status, name) = if on_stock { (404, "show-not-found") } else { (403, "forbidden") };
            quiet.of(send(&support, &request)).await.is_problem(status, name);
        }
        let sale = quiet.world.on_sale(1000, 3, 600).await;
        let (order, holder, _) = sale.buy(&quiet.world, 1).await;
        quiet.world.payment_page(order, &holder).await;
        quiet.settle().await;
        for request in writes(&format!("/v1/shows/{}", sale.show), &sale.class.to_string()) {
            quiet.of(send(&support, &request)).await.is_problem(403, "forbidden");
        }
        // The token of an order is good for that order only.
        let other = (Method::PUT, format!("/v1/orders/{}", id()), sale.order(1));
        quiet.of(send(&holder, &other)).await.is_problem(403, "forbidden");
        quiet
            .of(send(&holder, &(Method::PUT, format!("/v1/shows/{}", id()), show_body())))
            .await
            .is_problem(403, "forbidden");
        quiet.world.stop().await;
    });
}

/// Sends both, which must get the same answer.
async fn told_apart(client: Client, known: (Method, String, Value), unknown: (Method, String, Value)) {
    let (seen, none) = tokio::join!(send(&client, &known), send(&client, &unknown));
    let (seen, none) = (seen.is_problem(404, "not-found"), none.is_problem(404, "not-found"));
    assert_eq!(seen.apart(), none.apart());
}

#[test]
fn strangers_are_told_of_nothing() {
    run(async {
        let mut quiet = Quiet::start().await;
        let class = id();
        let hidden = quiet.world.approved(show_body(), &[(class, class_body(1000, 3))], 60).await;
        let sale = quiet.world.on_sale(1000, 5, 600).await;
        let (order, holder, _) = sale.buy(&quiet.world, 1).await;
        quiet.world.payment_page(order, &holder).await;
        let (_, other_holder, other) = sale.buy(&quiet.world, 1).await;
        let owner = quiet.world.buyer("owner");
        let mine = id();
        let placed = owner.put(&format!("/v1/orders/{mine}"), &sale.order(1)).await.is(201);
        let owner = owner.since(&placed).since(&other);
        quiet.world.payment_page(mine, &owner).await;
        quiet.settle().await;

        let rival = quiet.world.as_account("organizer-2", &[Role::Organizer]);
        for (show, class) in [(hidden, class), (sale.show, sale.class)] {
            let known = writes(&format!("/v1/shows/{show}"), &class.to_string());
            let unknown = writes(&format!("/v1/shows/{}", id()), &class.to_string());
            for (known, unknown) in known.iter().zip(&unknown) {
                for stranger in [&rival, &owner] {
                    let seen = quiet.of(send(stranger, known)).await.is_problem(404, "show-not-found");
                    let none = quiet.of(send(stranger, unknown)).await.is_problem(404, "show-not-found");
                    assert_eq!(seen.apart(), none.apart());
                }
            }
        }
        for of in ["", "/availability", "/payment-methods", "/orders"] {
            let known = quiet.of(rival.get(&format!("/v1/shows/{hidden}{of}"))).await.is_problem(404, "show-not-found");
            let unknown =
                quiet.of(rival.get(&format!("/v1/shows/{}{of}", id()))).await.is_problem(404, "show-not-found");
            assert_eq!(known.apart(), unknown.apart());
        }
        // Whoever cannot see a show's orders learns nothing by asking for them.
        let orders = quiet.of(rival.get(&format!("/v1/shows/{}/orders", sale.show))).await;
        orders.is_problem(404, "show-not-found");

        let payment = json!({"provider": "payos", "return_url": "https://shop.test/back"});
        // What may be about to be created is waited for, so they all ask at once.
        let mut asking = Vec::new();
        for known in [order, mine] {
            for (method, of, body) in [
                (Method::GET, "", Value::Null),
                (Method::GET, "/events", Value::Null),
                (Method::GET, "/tickets", Value::Null),
                (Method::POST, "/cancel", json!({})),
                (Method::POST, "/payments", payment.clone()),
            ] {
                for stranger in [rival.clone(), quiet.world.buyer("stranger"), other_holder.clone()] {
                    let request = |order: Uuid| (method.clone(), format!("/v1/orders/{order}{of}"), body.clone());
                    asking.push(told_apart(stranger, request(known), request(id())));
                }
            }
        }
        quiet.of_all(futures::future::join_all(asking)).await;
        // Nobody pays for somebody else, not even who may see the order.
        let path = format!("/v1/orders/{order}/payments");
        for other in [quiet.world.organizer(), quiet.world.admin()] {
            quiet.of(send(&other, &(Method::POST, path.clone(), payment.clone()))).await.is_problem(404, "not-found");
        }
        let path = format!("/v1/orders/{order}/cancel");
        quiet.of(quiet.world.organizer().post(&path, &json!({}))).await.is_problem(404, "not-found");
        quiet.world.stop().await;
    });
}
