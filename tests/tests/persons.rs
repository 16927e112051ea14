//! Forgetting a person: nobody reads their name any more, and everything else goes on.

use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::topics;
use local_stack::Signal;
use ops::init::LOCAL_PARTITIONS;
use ops::topology::Process;
use schemas::PersonKey;
use serde_json::{Value, json};
use system_tests::purchase::{OnSale, eventually, id, key};
use system_tests::{Client, Installation, Shop, World, run, world};
use uuid::Uuid;

/// A guest's purchase under a mail address of its own.
struct Bought {
    order: Uuid,
    holder: Client,
    email: String,
}

impl Bought {
    async fn place(shop: &Shop, sale: &OnSale, name: &str) -> Self {
        let (order, email) = (id(), format!("{}-{name}@Example.com", id().simple()));
        let mut body = sale.order(1);
        body["buyer"] = json!({"name": name, "email": email, "phone": "+84 90 000 0000"});
        let placed = shop.client.put_with(&format!("/v1/orders/{order}"), &key(), &body).await.is(201);
        Self { order, holder: shop.client.with(&placed.text("access_token")).since(&placed), email }
    }

    async fn paid(shop: &Shop, sale: &OnSale, name: &str) -> Self {
        let bought = Self::place(shop, sale, name).await;
        let link = shop.payment_page(bought.order, &bought.holder).await;
        shop.pay(&link, &json!({})).await;
        shop.until(bought.order, &bought.holder, "completed").await;
        bought
    }

    async fn seen(&self) -> Value {
        self.holder.get(&format!("/v1/orders/{}", self.order)).await.is(200).body
    }

    /// What support is told of whoever this is.
    async fn known(&self, support: &Client) -> Vec<Value> {
        items(support, &format!("order={}", self.order)).await
    }
}

async fn items(support: &Client, filter: &str) -> Vec<Value> {
    let found = support.get(&format!("/v1/persons?{filter}")).await.is(200).body;
    found["items"].as_array().unwrap().clone()
}

async fn erase(support: &Client, known: &Value) -> system_tests::Answer {
    let path = format!("/v1/persons/{}/erase", known["person"].as_str().unwrap());
    let order = json!({"order": known["order"], "show": known["show"], "key": known["key"]});
    support.post(&path, &json!({"orders": [order]})).await
}

/// As a restore of an older `person-keys` does.
async fn bring_back(world: &World, key_id: Uuid) {
    let kafka = KafkaSettings::new(&world::stack().await.unwrap().kafka, &world.namespace, "test");
    let log = KafkaLog::connect(kafka.clone()).unwrap();
    let mut value = world.journal().codec().encode_person_key(&PersonKey {
        key_id,
        master_key_id: Uuid::nil(),
        wrapped: vec![1; 60],
    });
    let topic = topics::person_keys(&kafka, LOCAL_PARTITIONS);
    let value = value.as_mut().unwrap();
    log.append_compacted(&topic, key_id.to_string().as_bytes(), Some(value)).await.unwrap();
}

#[test]
fn one_of_two_buyers_is_forgotten() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(150_000, 10, 600).await;
        let lan = Bought::paid(world, &sale, "Lan").await;
        let minh = Bought::paid(world, &sale, "Minh").await;
        let (before, support) = (lan.seen().await, world.support());
        assert_eq!(before["buyer"]["name"], "Lan");

        let found = items(&support, &format!("email={}", lan.email.to_lowercase())).await;
        let [known] = &found[..] else { panic!("{found:?}") };
        assert_eq!((&known["order"], &known["readable"]), (&json!(lan.order), &json!(true)));
        assert_eq!(known["erased_at"], Value::Null);
        for stranger in [&lan.holder, &world.organizer()] {
            stranger.get(&format!("/v1/persons?order={}", lan.order)).await.is_problem(403, "forbidden");
            erase(stranger, known).await.is_problem(403, "forbidden");
        }
        support.get("/v1/persons").await.is_problem(400, "bad-parameter");

        let erased = erase(&support, known).await.is(200);
        assert_eq!(erased.body["erased"], 1);
        // At once for whoever asked; what else they know of the order is as it was.
        let mut after = lan.holder.since(&erased).get(&format!("/v1/orders/{}", lan.order)).await.is(200).body;
        assert_eq!(after["buyer"].take(), Value::Null);
        let mut expected = before.clone();
        expected["buyer"].take();
        assert_eq!(after, expected, "tickets and their codes, payments and totals stay");
        let staff = support.since(&erased);
        assert!(items(&staff, &format!("email={}", lan.email)).await.is_empty());
        let listed = staff.get(&format!("/v1/shows/{}/orders?email={}", sale.show, lan.email)).await.is(200).body;
        assert_eq!(listed["items"], json!([]));
        let listed = staff.get(&format!("/v1/shows/{}/orders", sale.show)).await.is(200).body;
        let buyers: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|it| &it["buyer"]["name"]).collect();
        assert_eq!(buyers, [&json!("Minh"), &Value::Null]);
        eventually("the key is gone", async || {
            let known = lan.known(&support).await.remove(0);
            (known["readable"] == false && known["erased_at"].is_string()).then_some(())
        })
        .await;

        assert_eq!(minh.seen().await["buyer"]["email"], json!(minh.email));
        assert_eq!(minh.known(&support).await[0]["readable"], true);
        assert_eq!(world.stock(&sale, 10).await, (0, 2, 8));
        // Their money still goes back.
        let refunds = format!("/v1/orders/{}/refunds", lan.order);
        support.post_with(&refunds, &key(), &json!({})).await.is(201);
        let back = world.order_when(lan.order, &lan.holder, "it goes back", |it| it["refund"]["status"] == "due").await;
        assert_eq!((&back["buyer"], &back["status"]), (&Value::Null, &json!("cancelled")));
        // Again changes nothing.
        assert_eq!(erase(&support, known).await.is(200).body["erased"], 1);
        let events = world.journal().news().await;
        let person: Uuid = known["person"].as_str().unwrap().parse().unwrap();
        assert_eq!(events.of(person), ["PersonErased"]);
    });
}

#[test]
fn boxctl_finds_and_forgets_a_person() {
    run(async {
        let world = World::start().await;
        let sale = world.on_sale(0, 10, 600).await;
        let account = world.buyer("lan");
        let mut orders = Vec::new();
        for _ in 0..2 {
            let order = id();
            let placed = account.put_with(&format!("/v1/orders/{order}"), &key(), &sale.order(1)).await.is(201);
            world.until(order, &account.since(&placed), "completed").await;
            orders.push(order);
        }
        let (url, support) = (world.client.url(""), world.support());
        let at = ["--url", url.trim_end_matches('/'), "--token", support.token().unwrap()];
        let boxctl = async |arguments: &[&str]| world.boxctl(&[&["person"], arguments, &at].concat()).await;

        let by_account = ["find", "--principal", "account:lan", "--json"];
        let (well, text) = boxctl(&by_account).await;
        assert!(well, "{text}");
        let found: Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(found["orders"].as_array().unwrap().len(), 2);
        let person = found["person"].as_str().unwrap();
        let (well, text) = boxctl(&["forget", person, "--why", "request 7"]).await;
        assert!(!well && text.contains("--yes") && text.contains("in 2 of them"), "{text}");
        let (well, text) = boxctl(&["forget", person, "--why", "request 7", "--yes"]).await;
        assert!(well && text.contains(&format!("person {person} is forgotten in 2 orders")), "{text}");
        for order in &orders {
            assert_eq!(account.get(&format!("/v1/orders/{order}")).await.is(200).body["buyer"], Value::Null);
        }
        let (well, text) = boxctl(&["forget", person, "--why", "request 7", "--yes", "--json"]).await;
        assert!(well && text.contains(r#""forgotten":0"#), "{text}");
        let (well, text) = world.boxctl(&["audit", "--json"]).await;
        let deeds = text.lines().filter(|line| line.contains("person forget") && line.contains("request 7")).count();
        assert!(well && deeds == 1, "{text}");
        // An older state of the keys is brought back.
        let key = found["orders"][0]["key"].as_str().unwrap();
        bring_back(&world, key.parse().unwrap()).await;
        let readable = async |expected: bool| {
            let (_, text) = boxctl(&["find", "--person", person, "--json"]).await;
            let orders = serde_json::from_str::<Value>(text.trim()).unwrap()["orders"].take();
            let any = orders.as_array().unwrap().iter().any(|order| order["readable"] == true);
            (any == expected).then_some(())
        };
        eventually("the key is back", async || readable(true).await).await;
        let (well, text) = world.boxctl(&["person", "reapply"]).await;
        assert!(well && text.contains("2 keys were erased; 1 of them were there again"), "{text}");
        eventually("it is gone again", async || readable(false).await).await;

        let (well, text) = boxctl(&["forget", &id().to_string(), "--why", "request 8", "--yes"]).await;
        assert!(!well && text.contains("nothing is known"), "{text}");
        world.stop().await;
    });
}

#[test]
fn a_crash_right_after_the_answer_ends_with_the_keys_gone() {
    run(async {
        let shop = Installation::start(world::stack().await.unwrap(), &[]).await;
        let sale = shop.on_sale(0, 10, 600).await;
        let mut known = Vec::new();
        for name in ["Lan", "Minh", "Hoa"] {
            let bought = Bought::place(&shop, &sale, name).await;
            shop.until(bought.order, &bought.holder, "completed").await;
            known.push((bought.known(&shop.support()).await.remove(0), bought));
        }
        let support = shop.support();
        let answers = futures::future::join_all(known.iter().map(|(known, _)| erase(&support, known))).await;
        shop.signal(Process::CommandApi, Signal::Kill).await;
        answers.into_iter().for_each(|answer| drop(answer.is(200)));
        for (_, bought) in &known {
            eventually("the key is gone", async || {
                let known = bought.known(&support).await.remove(0);
                (known["readable"] == false).then_some(())
            })
            .await;
            assert_eq!(bought.seen().await["buyer"], Value::Null);
        }
        shop.wait_ready().await;
        shop.stop().await;
    });
}
