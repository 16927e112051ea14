//! A command through the wrong instance, and what is not let in between instances.

use domain::value::Role;
use http::Method;
use serde_json::{Value, json};
use service_kit::consistency::{HEADER, Token};

use super::instance::Installation;
use super::till::{Answer, Order, Till, key};

/// What a client goes by: everything but what differs between any two requests.
fn essence(answer: &Answer) -> (u16, Value, bool) {
    let mut body = answer.body.clone();
    // Signed anew each time.
    for token in ["access_token", "queue_ticket"] {
        body.as_object_mut().unwrap().remove(token);
    }
    (answer.status, body, answer.headers.contains_key("idempotency-replayed"))
}

fn token(answer: &Answer) -> Vec<(String, u32)> {
    let token: Token = answer.headers[HEADER].to_str().unwrap().parse().unwrap();
    token.positions().map(|(context, partition, _)| (context.topic().to_owned(), partition)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_through_the_wrong_instance_is_answered_as_through_the_right_one() {
    let installation = Installation::new().await;
    let [one, two] = installation.start_all(["one", "two"]).await;
    let till = Till::new(&installation);
    let home = *installation.served(&one).await.unwrap().first().unwrap();
    let away = *installation.served(&two).await.unwrap().first().unwrap();
    assert_ne!(home, away);

    // Everything about this show goes through the instance that owns none of it; its order lies with the other one, so
    // that sagas cross as well.
    let sale = till.on_sale(&two, home, 3).await;
    let order = Order::of(sale, away);
    let through_two = till.place(&two, &order).await.unwrap();
    assert_eq!(through_two.status, 201, "{through_two:#?}");
    let through_one = till.place(&one, &order).await.unwrap();
    let (mut first, again) = (essence(&through_two), essence(&through_one));
    assert!(!first.2 && again.2, "the second is a repeat");
    first.2 = true;
    assert_eq!(first, again);
    assert_eq!(token(&through_two), token(&through_one));
    assert_eq!(token(&through_two), [("inventory-events".to_owned(), home)]);
    till.until_completed(&one, &order, through_two.body["access_token"].as_str().unwrap()).await;

    // Refusals travel too, with what they tell.
    let mut much = Order::of(sale, home);
    much.body["lines"][0]["quantity"] = json!(3);
    let (refused_there, refused_here) =
        (till.place(&two, &much).await.unwrap(), till.place(&one, &much).await.unwrap());
    assert_eq!(refused_there.body["type"], "/problems/sold-out");
    assert_eq!(essence(&refused_there), essence(&refused_here));

    // And another body under the same key.
    let mut other = order.clone();
    other.body["buyer"]["name"] = json!("Binh");
    let (there, here) = (till.place(&two, &other).await.unwrap(), till.place(&one, &other).await.unwrap());
    assert_eq!(there.body["type"], "/problems/idempotency-key-reused");
    assert_eq!(essence(&there), essence(&here));
    assert_eq!(till.reserved(&one, sale, 3).await, Some(1));
    assert_eq!(till.reserved(&two, sale, 3).await, Some(1));
    drop((one, two));
    installation.forget().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_in_the_queue_is_the_same_through_either_instance() {
    let installation = Installation::new().await;
    let [one, two] = installation.start_all(["one", "two"]).await;
    let till = Till::new(&installation);
    let home = *installation.served(&one).await.unwrap().first().unwrap();
    let room = json!({"enabled": true, "slots": 1, "tick_ms": 100, "enter_s": 30});
    let sale = till.on_sale_with(&two, home, 3, json!({"waiting_room": room})).await;
    let keys = [key(), key(), key()];
    for (number, key) in keys.iter().enumerate() {
        let (there, here) = (till.join(&two, sale, key).await, till.join(&one, sale, key).await);
        let (mut first, again) = (essence(&there), essence(&here));
        first.2 = true;
        assert_eq!(first.1["number"], json!(number + 1));
        // The first one is admitted between two looks.
        let still = |it: &Value| (it["session"].clone(), it["number"].clone(), it["place"].clone());
        assert_eq!((first.0, still(&first.1), first.2), (again.0, still(&again.1), again.2), "{there:#?} {here:#?}");
    }
    let joined = till.join(&two, sale, &keys[0]).await;
    let (there, here) = (till.enter(&two, sale, &joined).await, till.enter(&one, sale, &joined).await);
    assert_eq!(there.status, 200, "{there:#?}");
    assert_eq!(there.body["checkout_expires_at"], here.body["checkout_expires_at"]);
    assert_eq!(there.body["checkout_token"], here.body["checkout_token"]);
    drop((one, two));
    installation.forget().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_answer_only_each_other_and_in_no_document() {
    let installation = Installation::new().await;
    let [one] = installation.start_all(["one"]).await;
    let till = Till::new(&installation);
    let admin = installation.token("admin-1", Role::Admin);
    for (method, path) in [(Method::POST, "/internal/v1/commands"), (Method::GET, "/internal/v1/partitions")] {
        let url = format!("{}{path}", one.url);
        let answer = till.send(method, &url, Some(&admin), "key", &json!({})).await.unwrap();
        assert_eq!((answer.status, &answer.body["type"]), (401, &json!("/problems/unauthorized")), "{answer:#?}");
    }
    let document = reqwest::get(format!("{}/openapi.json", one.url)).await.unwrap().text().await.unwrap();
    assert!(document.contains("/v1/orders") && !document.contains("internal/"), "it is not for clients");
    let unknown = till.send(Method::GET, &format!("{}/nothing", one.url), None, "key", &json!({})).await.unwrap();
    assert_eq!(unknown.body["type"], "/problems/not-found", "what is beside the routes is still a problem of ours");

    let large = vec![0; 1024 * 1024 + 1];
    let url = format!("{}/internal/v1/commands", one.url);
    let answer = reqwest::Client::new().post(url).body(large).send().await.unwrap();
    assert_eq!(answer.status(), 413);

    let report = installation.report(&one).await.unwrap();
    assert_eq!((report.instance.as_str(), report.url.as_str(), report.member), ("one", one.url.as_str(), true));
    assert!(report.partitions.iter().all(|row| row.serving && row.term == 1 && row.broken.is_none()), "{report:#?}");
    drop(one);
    installation.forget().await;
}
