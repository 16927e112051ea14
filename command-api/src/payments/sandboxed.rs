//! For tests: the sandbox, which plays the providers by their protocols and shares no code with us.

use http::{HeaderMap, Method};
use provider_sandbox::{Running, Settings, start};
use serde_json::{Value, json};

use super::gateway::{Notification, Notified, PaymentGateway, Rejected};

/// A sandbox and a client of its control API.
pub(super) struct Sandboxed {
    pub running: Running,
    http: reqwest::Client,
}

impl Sandboxed {
    pub(super) async fn new() -> Self {
        let running = start(Settings::default()).await.unwrap();
        let redirect = reqwest::redirect::Policy::none();
        Self { running, http: reqwest::Client::builder().no_proxy().redirect(redirect).build().unwrap() }
    }

    pub(super) async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let url = format!("{}/_control{path}", self.running.base_url());
        let response = self.http.request(method, url).json(&body).send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// What goes wrong with the next payment that is opened.
    pub(super) async fn default_script(&self, script: Value) {
        self.control(Method::PUT, "/default", script).await;
    }

    pub(super) async fn happens(&self, reference: &str, what: &str, body: Value) -> Value {
        self.control(Method::POST, &format!("/payments/{reference}/{what}"), body).await
    }

    pub(super) async fn payment(&self, reference: &str) -> Value {
        self.control(Method::GET, &format!("/payments/{reference}"), json!({})).await
    }

    pub(super) async fn payments(&self) -> usize {
        self.control(Method::GET, "/payments", json!({})).await["payments"].as_array().unwrap().len()
    }

    /// The answer to a browser that opens a page: its status and where it is sent on.
    pub(super) async fn browse(&self, url: &str) -> (u16, String) {
        let response = self.http.get(url).send().await.unwrap();
        let to = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        (response.status().as_u16(), to.unwrap_or_default())
    }

    /// Where a browser is sent after the payer did this on the payment's page, and what stands behind its `?`.
    pub(super) async fn back(&self, reference: &str, action: &str) -> (String, String) {
        let page = self.payment(reference).await["checkoutUrl"].as_str().unwrap().to_owned();
        let response = self.http.post(format!("{page}/{action}")).send().await.unwrap();
        let to = response.headers()["location"].to_str().unwrap().to_owned();
        let (address, query) = to.split_once('?').unwrap();
        (address.to_owned(), query.to_owned())
    }

    /// The notifications of a payment, as a gateway reads them.
    pub(super) async fn notified(
        &self,
        gateway: &dyn PaymentGateway,
        reference: &str,
    ) -> Vec<Result<Notified, Rejected>> {
        let mut read = Vec::new();
        for delivery in self.payment(reference).await["deliveries"].as_array().unwrap() {
            let text = |name: &str| delivery[name].as_str().unwrap().to_owned();
            let method: Method = text("method").parse().unwrap();
            let (query, body, headers) = (text("query"), text("body"), HeaderMap::new());
            let raw = Notification { method: &method, headers: &headers, query: &query, body: body.as_bytes() };
            read.push(gateway.notify(&raw).await);
        }
        read
    }
}
