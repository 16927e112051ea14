//! The same stories at every provider: who buys, who pays, and what the provider has of it.

mod collecting;
mod deadline;
mod refunds;
mod secrets;

use std::sync::LazyLock;

use serde_json::{Value, json};
use system_tests::purchase::{class_body, id, key, show_body};
use system_tests::{Answer, Client, Shop};
use uuid::Uuid;

/// A provider that a test pays at, with the currency of the show.
#[derive(Debug, Clone, Copy)]
struct Till {
    provider: &'static str,
    currency: &'static str,
    /// Whether it gives money back by itself.
    gives_back: bool,
}

const fn till(provider: &'static str, currency: &'static str, gives_back: bool) -> Till {
    Till { provider, currency, gives_back }
}

const TILLS: [Till; 5] = [
    till("payos", "VND", false),
    till("stripe", "USD", true),
    till("vnpay", "VND", true),
    till("zalopay", "VND", true),
    till("paypal", "USD", true),
];
const STRIPE: Till = till("stripe", "VND", true);
/// One ticket: 120,000 dong, or 1,200 dollars.
const PRICE: i64 = 120_000;

/// A show of one class, and what is sold there.
struct Sale {
    show: Uuid,
    class: Uuid,
    currency: &'static str,
}

/// A purchase under way.
struct Purchase {
    order: Uuid,
    holder: Client,
    payment: Value,
}

impl Sale {
    async fn open(shop: &Shop, currency: &'static str, capacity: i64, pay_within_s: i64) -> Self {
        let class = id();
        let mut body = show_body();
        body["currency"] = json!(currency);
        let mut ga = class_body(PRICE, capacity);
        ga["price"]["currency"] = json!(currency);
        let show = shop.on_sale_with(body, &[(class, ga)], pay_within_s).await;
        Self { show, class, currency }
    }

    fn price(&self, tickets: i64) -> Value {
        json!({"amount": PRICE * tickets, "currency": self.currency})
    }

    /// Orders, and waits for the payment's page.
    async fn buy(&self, shop: &Shop, provider: &str, tickets: i64) -> Purchase {
        let order = id();
        let body = json!({
            "show": self.show,
            "lines": [{"ticket_class": self.class, "quantity": tickets, "unit_price": self.price(1)}],
            "buyer": {"name": "Nguyễn Thị Bình", "email": "binh.private@example.com", "phone": "+84 912 345 678"},
            "payment": {"provider": provider, "return_url": "https://shop.test/back"}
        });
        let placed = shop.client.put_with(&format!("/v1/orders/{order}"), &key(), &body).await.is(201);
        let holder = shop.client.with(&placed.text("access_token")).since(&placed);
        let payment = page(shop, order, &holder, 0).await;
        Purchase { order, holder, payment }
    }
}

/// The payment of this number, once it has a page.
async fn page(shop: &Shop, order: Uuid, holder: &Client, nth: usize) -> Value {
    let seen = shop.order_when(order, holder, "a page", |order| order["payments"][nth]["url"].is_string()).await;
    seen["payments"][nth].clone()
}

/// What the sandbox knows a payment by, whose page somebody opens: VNPay hears of it only then.
async fn opened(payment: &Value) -> String {
    static BROWSER: LazyLock<reqwest::Client> = LazyLock::new(|| reqwest::Client::builder().build().unwrap());
    let url: reqwest::Url = payment["url"].as_str().unwrap().parse().unwrap();
    let page = BROWSER.get(url.clone()).send().await.unwrap();
    assert!(page.status().is_success(), "{url}: {}", page.status());
    let reference = url.query_pairs().find(|(name, _)| name == "vnp_TxnRef").map(|(_, value)| value.into_owned());
    let id = reference.unwrap_or_else(|| url.path_segments().unwrap().next_back().unwrap().to_owned());
    match payment["provider"].as_str().unwrap() {
        "payos" => id,
        provider => format!("{provider}/{id}"),
    }
}

async fn script(shop: &Shop, payment: &Value, script: Value) -> String {
    let at = opened(payment).await;
    shop.sandbox.put(&format!("/_control/payments/{at}/script"), &script).await.is(200);
    at
}

async fn pay(shop: &Shop, payment: &Value) {
    let at = opened(payment).await;
    shop.sandbox.post(&format!("/_control/payments/{at}/pay"), &json!({})).await.is(200);
}

impl Purchase {
    async fn is_paid(&self, shop: &Shop) -> Value {
        pay(shop, &self.payment).await;
        shop.until(self.order, &self.holder, "completed").await.body
    }

    async fn when(&self, shop: &Shop, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        shop.order_when(self.order, &self.holder, what, wanted).await
    }

    async fn refund(&self, shop: &Shop, body: &Value) -> Answer {
        shop.support().post_with(&format!("/v1/orders/{}/refunds", self.order), &key(), body).await
    }

    fn path(&self) -> String {
        format!("/v1/orders/{}", self.order)
    }
}

/// All movements at the provider, as its statement has them.
async fn statement(shop: &Shop, provider: &str) -> Vec<(String, i64)> {
    let path = format!("/_control/statement?format=json&provider={provider}");
    let lines = shop.sandbox.get(&path).await.is(200).body["movements"].as_array().unwrap().clone();
    lines.iter().map(|it| (it["kind"].as_str().unwrap().to_owned(), it["amount"].as_i64().unwrap())).collect()
}
