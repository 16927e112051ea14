//! PayPal Orders v2 from outside.

mod events;
mod money;
mod orders;
mod vectors;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::kit::{Kit, Note};

/// A shop with a token.
pub struct Shop {
    pub kit: Kit,
    token: String,
}

impl Shop {
    pub async fn new() -> Self {
        let kit = Kit::new().await;
        let token = token(&kit).await;
        Self { kit, token }
    }

    /// Takes another token.
    pub async fn refresh(&mut self) {
        self.token = token(&self.kit).await;
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>, id: Option<&str>) -> Response {
        let mut request = self.kit.http.request(method, format!("{}{path}", self.kit.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(id) = id {
            request = request.header("paypal-request-id", id);
        }
        request.send().await.unwrap()
    }

    /// The status and the JSON body of a POST under this request id.
    pub async fn post(&self, path: &str, body: &Value, id: &str) -> (u16, Value) {
        read(self.call(Method::POST, path, Some(body), Some(id)).await).await
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        read(self.call(Method::GET, path, None, None).await).await
    }

    /// Opens an order with this invoice id and returns its name.
    pub async fn open(&self, invoice: &str) -> String {
        let (status, made) = self.post("/v2/checkout/orders", &order(invoice), &format!("create-{invoice}")).await;
        assert_eq!(status, 201, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    /// Opens an order under this script.
    pub async fn open_with(&self, invoice: &str, script: Value) -> String {
        self.script(invoice, script).await;
        self.open(invoice).await
    }

    pub async fn script(&self, invoice: &str, script: Value) {
        let path = format!("/payments/paypal/{invoice}/script");
        let (status, answer) = self.kit.control(Method::PUT, &path, script).await;
        assert_eq!(status, 200, "{answer}");
    }

    pub async fn act(&self, invoice: &str, action: &str) -> Value {
        self.kit.post(&format!("/payments/paypal/{invoice}/{action}"), json!({})).await
    }

    pub async fn capture(&self, order: &str) -> (u16, Value) {
        self.post(&format!("/v2/checkout/orders/{order}/capture"), &json!({}), &format!("capture-{order}")).await
    }

    /// Opens, approves and captures; returns the capture.
    pub async fn paid(&self, invoice: &str, script: Value) -> Value {
        let order = self.open_with(invoice, script).await;
        self.act(invoice, "pay").await;
        let (status, captured) = self.capture(&order).await;
        assert_eq!(status, 201, "{captured}");
        captured["purchase_units"][0]["payments"]["captures"][0].clone()
    }

    pub async fn order(&self, order: &str) -> Value {
        let (status, now) = self.get(&format!("/v2/checkout/orders/{order}")).await;
        assert_eq!(status, 200, "{now}");
        now
    }
}

async fn token(kit: &Kit) -> String {
    let request = kit.http.post(format!("{}/v1/oauth2/token", kit.base));
    let request = request.basic_auth("sandbox-paypal-client", Some("sandbox-paypal-secret"));
    let answer: Value =
        request.form(&[("grant_type", "client_credentials")]).send().await.unwrap().json().await.unwrap();
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(32_400)));
    answer["access_token"].as_str().unwrap().to_owned()
}

pub async fn read(response: Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().await.unwrap())
}

/// An order of 20.00 USD.
pub fn order(invoice: &str) -> Value {
    json!({
        "intent": "CAPTURE",
        "purchase_units": [{
            "reference_id": "unit-1",
            "custom_id": "payment-7",
            "invoice_id": invoice,
            "description": "Two tickets",
            "amount": { "currency_code": "USD", "value": "20.00" },
        }],
        "payment_source": { "paypal": { "experience_context": {
            "user_action": "PAY_NOW", "shipping_preference": "NO_SHIPPING",
            "return_url": "https://shop.test/done?o=1", "cancel_url": "https://shop.test/back",
        } } },
    })
}

/// The first issue of a refusal.
pub fn issue(answer: &Value) -> &str {
    answer["details"][0]["issue"].as_str().unwrap_or_default()
}

/// The kinds of the events that came.
pub fn kinds(notes: &[Note]) -> Vec<String> {
    notes.iter().map(|note| note.json()["event_type"].as_str().unwrap().to_owned()).collect()
}
