//! A sandbox, a shop's HTTP client and a shop's webhook receiver in one process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{any, post};
use provider_sandbox::payos::signing;
use provider_sandbox::{Running, Settings, signature, start};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

pub const KEY: &str = "sandbox-checksum-key";

/// The shop as it is notified. For PayOS: statuses to answer with, first to last, then 200; and every body that came.
/// For the others: whole answers, first to last, then 200 with `{}`; and every request that came.
#[derive(Clone, Default)]
pub struct Receiver {
    answers: Arc<Mutex<VecDeque<u16>>>,
    bodies: Arc<Mutex<Vec<Value>>>,
    note_answers: Arc<Mutex<VecDeque<(u16, String)>>>,
    notes: Arc<Mutex<Vec<Note>>>,
}

/// A notification of any provider but PayOS.
#[derive(Debug, Clone)]
pub struct Note {
    pub provider: String,
    pub method: Method,
    pub query: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Note {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Receiver {
    pub fn answer(&self, statuses: &[u16]) {
        self.answers.lock().unwrap().extend(statuses);
    }

    pub fn bodies(&self) -> Vec<Value> {
        self.bodies.lock().unwrap().clone()
    }

    /// Waits for so many webhooks and returns all.
    pub async fn wait_for(&self, count: usize) -> Vec<Value> {
        for _ in 0..500 {
            if self.bodies().len() >= count {
                return self.bodies();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} of {count} webhooks came", self.bodies().len());
    }

    /// What to answer to the next notification of any provider but PayOS.
    pub fn answer_note(&self, status: u16, body: &str) {
        self.note_answers.lock().unwrap().push_back((status, body.to_owned()));
    }

    pub fn notes(&self) -> Vec<Note> {
        self.notes.lock().unwrap().clone()
    }

    /// Waits for so many notifications of any provider but PayOS and returns all.
    pub async fn wait_for_notes(&self, count: usize) -> Vec<Note> {
        for _ in 0..500 {
            if self.notes().len() >= count {
                return self.notes();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} of {count} notifications came", self.notes().len());
    }

    /// The notifications that came once there was time for more.
    pub async fn settled_notes(&self) -> Vec<Note> {
        tokio::time::sleep(Duration::from_millis(250)).await;
        self.notes()
    }

    /// What came once there was time for more.
    pub async fn settled(&self) -> Vec<Value> {
        tokio::time::sleep(Duration::from_millis(250)).await;
        self.bodies()
    }
}

async fn receive(State(receiver): State<Receiver>, body: Bytes) -> StatusCode {
    receiver.bodies.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    let status = receiver.answers.lock().unwrap().pop_front().unwrap_or(200);
    StatusCode::from_u16(status).unwrap()
}

async fn receive_note(
    State(receiver): State<Receiver>,
    Path(provider): Path<String>,
    method: Method,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let note = Note { provider, method, query: query.unwrap_or_default(), headers, body };
    receiver.notes.lock().unwrap().push(note);
    let answer = receiver.note_answers.lock().unwrap().pop_front();
    let (status, body) = answer.unwrap_or_else(|| (200, "{}".to_owned()));
    (StatusCode::from_u16(status).unwrap(), body)
}

pub struct Kit {
    pub base: String,
    pub http: Client,
    pub receiver: Receiver,
    pub webhook_url: String,
    pub sandbox: Running,
}

impl Kit {
    pub async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub async fn with(settings: Settings) -> Self {
        let receiver = Receiver::default();
        let router = Router::new()
            .route("/webhook", post(receive))
            .route("/v1/payments/{provider}/notify", any(receive_note))
            .with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shop = format!("http://{}", listener.local_addr().unwrap());
        let webhook_url = format!("{shop}/webhook");
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let settings = Settings { webhook_url: Some(webhook_url.clone()), webhook_base_url: Some(shop), ..settings };
        let sandbox = start(settings).await.unwrap();
        let policy = reqwest::redirect::Policy::none();
        let http = Client::builder().no_proxy().redirect(policy).timeout(Duration::from_secs(10)).build().unwrap();
        Self { base: sandbox.base_url(), http, receiver, webhook_url, sandbox }
    }

    /// A call with the right keys.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> reqwest::Result<Response> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        request = request.header("x-client-id", "sandbox-client").header("x-api-key", "sandbox-api-key");
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await
    }

    pub async fn create(&self, body: &Value) -> Value {
        let response = self.call(Method::POST, "/v2/payment-requests", Some(body)).await.unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    /// Creates a payment of 10 000 and returns its `data`.
    pub async fn open(&self, order_code: i64) -> Value {
        verified(self.create(&signed(order_code)).await)
    }

    pub async fn query(&self, id: impl ToString) -> Value {
        let path = format!("/v2/payment-requests/{}", id.to_string());
        let response = self.call(Method::GET, &path, None).await.unwrap();
        assert_eq!(response.status(), 200);
        verified(response.json().await.unwrap())
    }

    pub async fn status(&self, id: impl ToString) -> String {
        self.query(id).await["status"].as_str().unwrap().to_owned()
    }

    pub async fn control(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.request(method, format!("{}/_control{path}", self.base));
        let response = request.json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// A control POST that succeeds.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.control(Method::POST, path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.control(Method::GET, path, json!({})).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Moves the clock to an hour at which the Vietnamese date is tomorrow's.
    pub async fn until_evening(&self) {
        let now: jiff::Timestamp = self.get("/clock").await["now"].as_str().unwrap().parse().unwrap();
        let left_s = (18 * 3_600 - now.as_second()).rem_euclid(86_400);
        self.post("/clock", json!({ "offset_s": left_s })).await;
    }

    /// The lines of a statement as text.
    pub async fn csv(&self, format: &str) -> Vec<String> {
        let url = format!("{}/_control/statement?format={format}", self.base);
        let text = self.http.get(url).send().await.unwrap().text().await.unwrap();
        text.lines().map(str::to_owned).collect()
    }

    pub async fn script_default(&self, script: Value) {
        let (status, answer) = self.control(Method::PUT, "/default", script).await;
        assert_eq!(status, 200, "{answer}");
    }
}

/// A create request in order, without its signature.
pub fn request(order_code: i64) -> Value {
    json!({
        "orderCode": order_code, "amount": 10_000, "description": "Vé số 1",
        "cancelUrl": "https://shop.test/cancel", "returnUrl": "https://shop.test/return?order=7",
    })
}

pub fn signed(order_code: i64) -> Value {
    sign(request(order_code))
}

/// Signs a create request as it is.
pub fn sign(mut request: Value) -> Value {
    let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str| request[name].as_i64().unwrap_or_default();
    let signed = signing::create_text(
        number("amount"),
        &text("cancelUrl"),
        &text("description"),
        number("orderCode"),
        &text("returnUrl"),
    );
    request["signature"] = signature::sign(KEY, &signed).into();
    request
}

/// The `data` of a success whose signature verifies.
pub fn verified(envelope: Value) -> Value {
    assert_eq!(envelope["code"], "00", "{envelope}");
    assert!(has_right_signature(&envelope), "{envelope}");
    envelope["data"].clone()
}

pub fn has_right_signature(envelope: &Value) -> bool {
    let text = signing::data_text(envelope["data"].as_object().unwrap());
    signature::verify(KEY, &text, envelope["signature"].as_str().unwrap())
}
