//! Secrets and personal data stay where they belong: not in logs, events, errors or metrics.

use std::collections::BTreeMap;

use ops::topology::Process;
use serde_json::{Value, json};
use system_tests::purchase::key;
use system_tests::{Installation, run, world};

use super::{Sale, TILLS, opened, script};

/// Where something was found that must not be there.
type Found = Vec<String>;

fn search(found: &mut Found, needles: &BTreeMap<String, String>, place: &str, bytes: &[u8]) {
    for (name, needle) in needles {
        if bytes.windows(needle.len()).any(|window| window == needle.as_bytes()) {
            found.push(format!("{name} is in {place}"));
        }
    }
}

/// What must be nowhere: by name, because the values are secret in tests, too.
fn needles(shop: &Installation) -> BTreeMap<String, String> {
    let environment = shop.running.plan().environment(Process::CommandApi);
    let secret = |name: &str| {
        ["SECRET", "_KEY", "KEY1", "KEY2", "TOKEN"].iter().any(|part| name.contains(part)) && !name.contains("POOL")
    };
    let ours = environment.into_iter().filter(|(name, _)| secret(name));
    let ours = ours.flat_map(|(name, value)| {
        let parts: Vec<_> = value.split(',').map(|part| (name.clone(), part.to_owned())).collect();
        parts.into_iter().enumerate().map(|(n, (name, part))| (format!("{name}/{n}"), part))
    });
    let buyer = [
        ("the buyer's name", "Bình"),
        ("the buyer's mail address", "binh.private@example.com"),
        ("the buyer's telephone", "912 345 678"),
        ("a card number", "4242424242424242"),
        ("a mistyped mail address", "wrong.private(at)example"),
    ];
    ours.chain(buyer.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
}

#[test]
fn secrets_and_personal_data_are_in_no_log_event_error_or_metric() {
    run(async {
        let shop = Installation::start(world::stack().await.unwrap(), &[("BOXOFFICE_LOG", "debug")]).await;
        let mut needles = needles(&shop);
        assert!(needles.len() > 12, "every secret is looked for: {:?}", needles.keys());
        let mut errors: Vec<Value> = Vec::new();
        for till in TILLS {
            let sale = Sale::open(&shop, till.currency, 5, 600).await;
            for told in [json!({}), json!({"http_500_times": 1}), json!({"refund": "fail"})] {
                let purchase = sale.buy(&shop, till.provider, 1).await;
                script(&shop, &purchase.payment, told).await;
                purchase.is_paid(&shop).await;
                purchase.refund(&shop, &json!({})).await.is(201);
                purchase.when(&shop, "its money goes back", |order| order["refund"].is_object()).await;
            }
            let declined = sale.buy(&shop, till.provider, 1).await;
            let at = opened(&declined.payment).await;
            shop.sandbox.post(&format!("/_control/payments/{at}/fail"), &json!({})).await.is(200);

            // Forged webhooks and wrong orders, with things in them that nobody may see again.
            let notify = format!("/v1/payments/{}/notify", till.provider);
            let forged = json!({"card": "4242424242424242", "email": "binh.private@example.com", "data": "Bình"});
            errors.push(shop.client.post(&notify, &forged).await.body);
            let asked = format!("{notify}?vnp_Card=4242424242424242&vnp_SecureHash=00");
            errors.push(shop.client.get(&asked).await.body);
            let wrong = json!({
                "show": sale.show, "lines": [], "buyer": {"name": "Bình", "email": "wrong.private(at)example"},
                "payment": {"provider": till.provider, "return_url": "https://shop.test/back"}
            });
            let refused = shop.client.put_with(&declined.path(), &key(), &wrong).await;
            assert_eq!(refused.status, 422);
            errors.push(refused.body);
            let token = declined.holder.token().unwrap().to_owned();
            needles.insert(format!("an access token of {}", till.provider), token);
        }

        let mut found = Found::new();
        for error in &errors {
            search(&mut found, &needles, "an error", error.to_string().as_bytes());
        }
        for entry in shop.journal().await.news().await.entries {
            search(&mut found, &needles, &format!("{} at {}", entry.partition, entry.offset), &entry.bytes);
        }
        for process in [Process::CommandApi, Process::Projectors, Process::QueryApi] {
            let log = std::fs::read(shop.running.plan().log(process)).unwrap();
            assert!(log.len() > 1000, "{process:?} writes a log");
            search(&mut found, &needles, &format!("the log of {process:?}"), &log);
            let url = format!("{}/metrics", shop.running.url(process));
            let metrics = reqwest::get(url).await.unwrap().text().await.unwrap();
            assert!(metrics.contains("boxoffice_"), "{process:?} has metrics");
            search(&mut found, &needles, &format!("the metrics of {process:?}"), metrics.as_bytes());
        }
        found.sort();
        found.dedup();
        assert_eq!(found, [""; 0]);
        shop.stop().await;
    });
}
