//! What is refused before anybody looks at what it means: bodies, headers, paths, methods.

use reqwest::Method;
use serde_json::json;
use system_tests::purchase::{id, key, show_body};
use system_tests::run;

use super::Quiet;

#[test]
fn bodies_that_are_none() {
    run(async {
        let mut quiet = Quiet::start().await;
        let sale = quiet.world.on_sale(1000, 5, 60).await;
        quiet.settle().await;
        let client = quiet.world.client.clone();
        let path = format!("/v1/orders/{}", id());
        let send = |kind: &'static str, body: String| {
            let request = client.request(Method::PUT, &path).header("idempotency-key", key());
            client.send(request.header("content-type", kind).body(body))
        };
        let whole = sale.order(1).to_string();
        for text in ["{", "{]", "nothing", &format!("{whole} {{}}")] {
            quiet.of(send("application/json", text.to_owned())).await.is_problem(400, "bad-json");
        }
        let twice = whole.replacen('{', &format!("{{\"show\":\"{}\",", id()), 1);
        quiet.of(send("application/json", twice)).await.is_problem(400, "bad-json");
        // No body is an empty one.
        quiet.of(send("application/json", String::new())).await.is_problem(422, "validation").points_at("/show");
        for text in ["[]", "null", "7", "\"order\""] {
            quiet.of(send("application/json", text.to_owned())).await.is_problem(422, "validation").points_at("");
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=iso-8859-1"] {
            quiet.of(send(kind, whole.clone())).await.is_problem(415, "unsupported-media-type");
        }
        // A byte more than 64 KiB, said at once or only found out.
        let long = format!("{}{whole}", " ".repeat(64 * 1024 + 1 - whole.len()));
        quiet.of(send("application/json", long.clone())).await.is_problem(413, "too-large");
        let chunks = futures::stream::iter(
            long.into_bytes().chunks(1024).map(|it| Ok::<_, std::io::Error>(it.to_vec())).collect::<Vec<_>>(),
        );
        let request = client.request(Method::PUT, &path).header("idempotency-key", key());
        let request = request.header("content-type", "application/json").body(reqwest::Body::wrap_stream(chunks));
        quiet.of(client.send(request)).await.is_problem(413, "too-large");
        // Exactly 64 KiB are taken.
        let most = format!("{}{whole}", " ".repeat(64 * 1024 - whole.len()));
        send("application/json; charset=utf-8", most).await.is(201);
        quiet.world.stop().await;
    });
}

#[test]
fn keys_paths_and_methods() {
    run(async {
        let mut quiet = Quiet::start().await;
        let sale = quiet.world.on_sale(0, 5, 60).await;
        let (order, holder, _) = sale.buy(&quiet.world, 1).await;
        quiet.world.until(order, &holder, "completed").await;
        quiet.settle().await;
        let (client, buyer) = (quiet.world.client.clone(), quiet.world.buyer("somebody"));
        let (path, body) = (format!("/v1/orders/{}", id()), sale.order(1));

        // A guest's key stands for the guest; an account's may be anything visible.
        for bad in ["me", "1", "00000000-0000-0000-0000-00000000000g"] {
            quiet.of(client.put_with(&path, bad, &body)).await.is_problem(400, "idempotency-key-invalid");
        }
        let long = "k".repeat(256);
        for bad in ["", "two words", "tab\there", &long] {
            quiet.of(client.put_with(&path, bad, &body)).await.is_problem(400, "idempotency-key-invalid");
            quiet.of(buyer.put_with(&path, bad, &body)).await.is_problem(400, "idempotency-key-invalid");
        }
        let two = client.request(Method::PUT, &path).header("idempotency-key", key()).header("idempotency-key", key());
        quiet.of(client.send(two.json(&body))).await.is_problem(400, "idempotency-key-invalid");
        // A payment has no name of its own.
        let payment = json!({"provider": "payos", "return_url": "https://shop.test/back"});
        let payments = format!("/v1/orders/{order}/payments");
        quiet.of(holder.post(&payments, &payment)).await.is_problem(400, "idempotency-key-missing");

        let upper = order.to_string().to_uppercase();
        for bad in [format!("/v1/orders/{upper}"), "/v1/orders/mine".to_owned(), format!("/v1/shows/{upper}")] {
            quiet.of(buyer.put(&bad, &body)).await.is_problem(400, "bad-parameter");
            quiet.of(buyer.get(&bad)).await.is_problem(400, "bad-parameter");
        }
        quiet.of(buyer.put(&format!("/v1/orders/{order}/nothing"), &body)).await.is_problem(404, "not-found");
        quiet.of(buyer.get("/v2/shows")).await.is_problem(404, "not-found");
        quiet.of(client.post("/v1/payments/cash/notify", &json!({}))).await.is_problem(404, "not-found");
        quiet.of(client.get("/v1/payments/payos/return")).await.is_problem(404, "not-found");
        quiet
            .of(client.get("/v1/payments/payos/return?payment=018f3f1e-7c1a-7b2e-9a1d-00000000ffff"))
            .await
            .is_problem(404, "not-found");

        for (method, path) in [
            (Method::DELETE, format!("/v1/orders/{order}")),
            (Method::POST, format!("/v1/orders/{order}")),
            (Method::PATCH, format!("/v1/orders/{order}")),
            (Method::PUT, format!("/v1/orders/{order}/payments")),
            (Method::POST, format!("/v1/shows/{}", sale.show)),
            (Method::DELETE, format!("/v1/shows/{}/ticket-classes/{}", sale.show, sale.class)),
        ] {
            let answer = quiet.of(buyer.send(buyer.request(method.clone(), &path).json(&body))).await;
            let answer = answer.is_problem(405, "method-not-allowed");
            assert!(answer.header("allow").is_some_and(|allow| !allow.contains(method.as_str())), "{answer:#?}");
        }
        quiet.world.stop().await;
    });
}

#[test]
fn reads_that_make_no_sense() {
    run(async {
        let mut quiet = Quiet::start().await;
        let (organizer, show) = (quiet.world.organizer(), id());
        organizer.put(&format!("/v1/shows/{show}"), &show_body()).await.is(201);
        quiet.settle().await;
        let get = |path: &str| {
            let path = path.replace("{show}", &show.to_string());
            let organizer = organizer.clone();
            async move { organizer.get(&path).await }
        };
        for (path, pointer) in [
            ("/v1/shows?limit=0", "/limit"),
            ("/v1/shows?limit=201", "/limit"),
            ("/v1/shows?status=open", "/status"),
            ("/v1/shows/{show}/orders?status=paid", "/status"),
            ("/v1/shows/{show}/orders?code=SHORT", "/code"),
        ] {
            quiet.of(get(path)).await.is_problem(400, "bad-parameter").points_at(pointer);
        }
        for path in [
            "/v1/shows?limit=many",
            "/v1/shows?colour=red",
            "/v1/shows?cursor=abc",
            "/v1/me/orders?cursor=AAAA",
            "/v1/shows/{show}/orders?limit=-1",
        ] {
            quiet.of(get(path)).await.is_problem(400, "bad-parameter");
        }
        let wish = format!("/v1/orders/{}?until=paid", id());
        quiet.of(get(&wish)).await.is_problem(400, "bad-parameter").points_at("/until");
        let token = organizer.request(Method::GET, "/v1/shows").header("consistency-token", "yesterday");
        quiet.of(organizer.send(token)).await.is_problem(400, "consistency-token-invalid");
        quiet.world.stop().await;
    });
}
