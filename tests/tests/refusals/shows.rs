//! What is refused about shows, their classes and their stock.

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::purchase::{class_body, id, show_body, vnd};
use system_tests::{Answer, run};

use super::Quiet;

#[test]
fn a_show_takes_one_step_after_the_other() {
    run(async {
        let mut quiet = Quiet::start().await;
        let (organizer, admin) = (quiet.world.organizer(), quiet.world.admin());
        let (show, class) = (id(), id());
        let path = format!("/v1/shows/{show}");
        let own = format!("{path}/ticket-classes/{class}");
        organizer.put(&path, &show_body()).await.is(201);
        let mut life = vec![("draft", vec!["approve", "publish"]), ("configured", vec!["publish"])];
        let frozen = vec!["edit", "define", "edit class", "configure", "approve"];
        life.push(("approved", frozen.clone()));
        life.push(("published", [frozen.clone(), vec!["publish"]].concat()));
        life.push(("cancelled", [frozen, vec!["publish", "cancel"]].concat()));
        for (status, refused) in life {
            match status {
                "configured" => {
                    organizer.post(&format!("{path}/configure"), &json!({})).await.is(200);
                    // Nothing to sell yet: it may be approved, but not published.
                    let (bare, body) = (id(), json!({}));
                    organizer.put(&format!("/v1/shows/{bare}"), &show_body()).await.is(201);
                    organizer.post(&format!("/v1/shows/{bare}/configure"), &body).await.is(200);
                    admin.post(&format!("/v1/shows/{bare}/approve"), &body).await.is(200);
                    quiet.settle().await;
                    let empty = quiet.of(organizer.post(&format!("/v1/shows/{bare}/publish"), &body)).await;
                    empty.is_problem(409, "wrong-status");
                    organizer.put(&own, &class_body(1000, 5)).await.is(201);
                }
                "approved" => drop(admin.post(&format!("{path}/approve"), &json!({})).await.is(200)),
                "published" => drop(organizer.post(&format!("{path}/publish"), &json!({})).await.is(200)),
                "cancelled" => drop(organizer.post(&format!("{path}/cancel"), &json!({})).await.is(200)),
                _ => {}
            }
            quiet.settle().await;
            for step in refused {
                let (method, path, body) = match step {
                    "edit" => (Method::PATCH, path.clone(), json!({"name": "Another"})),
                    "define" => (Method::PUT, format!("{path}/ticket-classes/{}", id()), class_body(1, 1)),
                    "edit class" => (Method::PATCH, own.clone(), json!({"name": "Another"})),
                    "configure" => (Method::POST, format!("{path}/configure"), json!({"pay_within_s": 30})),
                    step => (Method::POST, format!("{path}/{step}"), json!({})),
                };
                let answer = quiet.of(admin.send(admin.request(method, &path).json(&body))).await;
                let answer = answer.is_problem(409, "wrong-status");
                assert_eq!(answer.body["status_now"], status, "{step}: {answer:#?}");
            }
        }
        let stock = quiet.of(organizer.post(&format!("{own}/capacity"), &json!({"capacity": 6}))).await;
        stock.is_problem(409, "not-on-sale");
        quiet.world.stop().await;
    });
}

#[test]
fn shows_and_classes_that_break_rules() {
    run(async {
        let mut quiet = Quiet::start().await;
        let (organizer, show, class) = (quiet.world.organizer(), id(), id());
        let path = format!("/v1/shows/{show}");
        organizer.put(&path, &show_body()).await.is(201);
        let own = format!("{path}/ticket-classes/{class}");
        organizer.put(&own, &class_body(1000, 5)).await.is(201);
        quiet.settle().await;

        let long = "x".repeat(201);
        let of_show: &[(&str, Value, &str)] = &[
            ("name", json!(""), "/name"),
            ("name", json!(long), "/name"),
            ("name", json!(7), "/name"),
            ("description", json!("x".repeat(10_001)), "/description"),
            ("starts_at", json!("tomorrow"), "/starts_at"),
            ("ends_at", json!("2027-06-01T11:59:59Z"), "/ends_at"),
            ("time_zone", json!("Hanoi"), "/time_zone"),
            ("venue", json!({"name": ""}), "/venue/name"),
            ("venue", json!({"city": "Hanoi"}), "/venue/name"),
            ("currency", json!("ABC"), "/currency"),
            ("currency", json!("vnd"), "/currency"),
            ("categories", json!(vec!["x"; 21]), "/categories"),
            ("categories", json!(["rock", ""]), "/categories/1"),
        ];
        for (field, value, pointer) in of_show {
            let mut body = show_body();
            body[field] = value.clone();
            let put = quiet.of(organizer.put(&format!("/v1/shows/{}", id()), &body)).await;
            put.is_problem(422, "validation").points_at(pointer);
            quiet
                .of(organizer.patch(&path, &json!({*field: value})))
                .await
                .is_problem(422, "validation")
                .points_at(pointer);
        }
        let of_class: &[(&str, Value, &str)] = &[
            ("name", json!(""), "/name"),
            ("price", vnd(-1), "/price/amount"),
            ("price", vnd(1_000_000_000_001), "/price/amount"),
            ("price", json!({"amount": 1, "currency": "USD"}), "/price/currency"),
            ("price", json!(1000), "/price"),
            ("capacity", json!(-1), "/capacity"),
            ("capacity", json!(10_000_001), "/capacity"),
            ("max_per_order", json!(0), "/max_per_order"),
            ("max_per_order", json!(101), "/max_per_order"),
        ];
        for (field, value, pointer) in of_class {
            let mut body = class_body(1000, 5);
            body[field] = value.clone();
            let put = quiet.of(organizer.put(&format!("{path}/ticket-classes/{}", id()), &body)).await;
            put.is_problem(422, "validation").points_at(pointer);
            quiet
                .of(organizer.patch(&own, &json!({*field: value})))
                .await
                .is_problem(422, "validation")
                .points_at(pointer);
        }
        let backwards = json!({"sale_starts_at": "2027-01-02T00:00:00Z", "sale_ends_at": "2027-01-01T00:00:00Z"});
        quiet.of(organizer.patch(&own, &backwards)).await.is_problem(422, "validation").points_at("/sale_ends_at");
        let configure = format!("{path}/configure");
        for (body, pointer) in [
            (json!({"pay_within_s": 0}), "/pay_within_s"),
            (json!({"pay_within_s": 86_401}), "/pay_within_s"),
            (json!({"checkout_url": "shop"}), "/checkout_url"),
            (json!({"waiting_room": {}}), "/waiting_room/enabled"),
            (json!({"waiting_room": {"enabled": "yes"}}), "/waiting_room/enabled"),
            (json!({"waiting_room": {"enabled": true, "opens_at": "noon"}}), "/waiting_room/opens_at"),
            (json!({"waiting_room": {"enabled": true, "slots": 0}}), "/waiting_room/slots"),
            (json!({"waiting_room": {"enabled": true, "slots": 100_001}}), "/waiting_room/slots"),
            (json!({"waiting_room": {"enabled": true, "admission_batch": 0}}), "/waiting_room/admission_batch"),
            (json!({"waiting_room": {"enabled": true, "admission_batch": 401}}), "/waiting_room/admission_batch"),
            (json!({"waiting_room": {"enabled": true, "tick_ms": 99}}), "/waiting_room/tick_ms"),
            (json!({"waiting_room": {"enabled": true, "enter_s": 0}}), "/waiting_room/enter_s"),
            (json!({"waiting_room": {"enabled": true, "token_ttl_s": 86_401}}), "/waiting_room/token_ttl_s"),
            (json!({"waiting_room": {"enabled": true, "away_grace_s": 0}}), "/waiting_room/away_grace_s"),
        ] {
            quiet.of(organizer.post(&configure, &body)).await.is_problem(422, "validation").points_at(pointer);
        }
        for (path, body) in [(&path, show_body()), (&own, class_body(1000, 5))] {
            let mut body = body;
            body["colour"] = json!("red");
            quiet.of(organizer.put(path, &body)).await.is_problem(400, "unknown-field").points_at("/colour");
        }
        quiet
            .of(organizer.post(&format!("{path}/publish"), &json!({"now": true})))
            .await
            .is_problem(400, "unknown-field");
        quiet
            .of(organizer.patch(&format!("{path}/ticket-classes/{}", id()), &json!({})))
            .await
            .is_problem(404, "ticket-class-not-found");
        quiet.world.stop().await;
    });
}

#[test]
fn names_that_are_taken_and_lists_that_are_full() {
    run(async {
        let mut quiet = Quiet::start().await;
        let (organizer, show) = (quiet.world.organizer(), id());
        let path = format!("/v1/shows/{show}");
        organizer.put(&path, &show_body()).await.is(201);
        let class = format!("{path}/ticket-classes/{}", id());
        organizer.put(&class, &class_body(1000, 5)).await.is(201);
        quiet.settle().await;
        // The same again is no refusal, and changes nothing.
        quiet.of(organizer.put(&path, &show_body())).await.is(200);
        quiet.of(organizer.put(&class, &class_body(1000, 5))).await.is(200);
        let mut other = show_body();
        other["name"] = json!("Another");
        quiet.of(organizer.put(&path, &other)).await.is_problem(409, "already-exists");
        quiet.of(organizer.put(&class, &class_body(1000, 6))).await.is_problem(409, "already-exists");
        let rival = quiet.world.as_account("organizer-2", &[domain::value::Role::Organizer]);
        quiet.of(rival.put(&path, &show_body())).await.is_problem(409, "already-exists");
        for _ in 1..100 {
            organizer.put(&format!("{path}/ticket-classes/{}", id()), &class_body(1000, 5)).await.is(201);
        }
        quiet.settle().await;
        let full = quiet.of(organizer.put(&format!("{path}/ticket-classes/{}", id()), &class_body(1000, 5))).await;
        full.is_problem(409, "limit-exceeded");
        quiet.world.stop().await;
    });
}

#[test]
fn stock_that_is_not_there() {
    run(async {
        let mut quiet = Quiet::start().await;
        let sale = quiet.world.on_sale(1000, 5, 600).await;
        let (order, holder, _) = sale.buy(&quiet.world, 3).await;
        quiet.world.payment_page(order, &holder).await;
        quiet.settle().await;
        let organizer = quiet.world.organizer();
        let path = format!("/v1/shows/{}/ticket-classes/{}", sale.show, sale.class);
        let below = quiet.of(organizer.post(&format!("{path}/capacity"), &json!({"capacity": 2}))).await;
        let below = below.is_problem(409, "capacity-below-committed").points_at("/capacity");
        assert_eq!(below.body["committed"], 3);
        let nothing: Answer = quiet.of(organizer.post(&format!("{path}/capacity"), &json!({"capacity": -1}))).await;
        nothing.is_problem(422, "validation").points_at("/capacity");
        let price = json!({"price": {"amount": 1, "currency": "USD"}});
        let price = quiet.of(organizer.post(&format!("{path}/price"), &price)).await;
        price.is_problem(422, "validation").points_at("/price/currency");
        let unknown = format!("/v1/shows/{}/ticket-classes/{}/capacity", sale.show, id());
        quiet.of(organizer.post(&unknown, &json!({"capacity": 5}))).await.is_problem(404, "ticket-class-not-found");
        assert_eq!(quiet.world.stock(&sale, 5).await, (3, 0, 2));
        quiet.world.stop().await;
    });
}
