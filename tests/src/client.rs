//! An HTTP client as an app would be one.

use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use serde_json::Value;

/// Calls one Boxoffice, as somebody or nobody.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    since: Option<String>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: header::HeaderMap,
    /// The body; null if it is no JSON.
    pub body: Value,
}

impl Answer {
    /// The same answer, if it has this status.
    ///
    /// # Panics
    /// If it has another.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:#?}");
        self
    }

    /// The same answer, if it is this problem.
    ///
    /// # Panics
    /// If it is another, or lacks what every problem has.
    #[track_caller]
    pub fn is_problem(self, status: u16, name: &str) -> Self {
        assert_eq!(self.body["type"], format!("/problems/{name}"), "{self:#?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.body["status"], status);
        for member in ["title", "detail", "instance"] {
            assert!(self.body[member].as_str().is_some_and(|text| !text.is_empty()), "no {member} in {self:#?}");
        }
        if matches!(status, 429 | 503) {
            assert!(self.header("retry-after").is_some(), "{self:#?}");
        }
        self.is(status)
    }

    /// The same answer, if this is the one place it calls wrong.
    ///
    /// # Panics
    /// If it calls none wrong, or others.
    #[track_caller]
    pub fn points_at(self, pointer: &str) -> Self {
        let pointers: Vec<_> = self.body["errors"].as_array().into_iter().flatten().map(|it| &it["pointer"]).collect();
        assert_eq!(pointers, [pointer], "{self:#?}");
        self
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body without what names the request: what two answers have in common that must not be told apart.
    pub fn apart(&self) -> Value {
        let mut body = self.body.clone();
        body.as_object_mut().map(|members| members.remove("instance"));
        body
    }

    /// A text in the body.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_else(|| panic!("no {field} in {self:#?}")).to_owned()
    }
}

impl Client {
    /// A client of the service at this address, without a token.
    pub fn new(base: &str) -> Self {
        let http =
            reqwest::Client::builder().timeout(Duration::from_secs(40)).redirect(reqwest::redirect::Policy::none());
        Self { http: http.build().expect("a client can be built"), base: base.to_owned(), token: None, since: None }
    }

    /// The same service, as the bearer of a token.
    #[must_use]
    pub fn with(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same client, whose every GET sees at least what this write did.
    ///
    /// # Panics
    /// If it is no answer to a write.
    #[must_use]
    pub fn since(&self, write: &Answer) -> Self {
        let token = write.header("consistency-token").expect("every answer to a write has one");
        Self { since: Some(token.to_owned()), ..self.clone() }
    }

    /// What it shows to be somebody.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) }
    }

    /// A request to be completed.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let method_reads = method.is_safe();
        let request = self.http.request(method, self.url(path));
        let request = match &self.since {
            Some(since) if method_reads => request.header("consistency-token", since),
            _ => request,
        };
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request.
    ///
    /// # Panics
    /// If nothing comes back.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        self.try_send(request).await.expect("the service answers")
    }

    /// Sends a request to somebody who may be gone.
    ///
    /// # Errors
    /// Nothing, or not everything, comes back.
    pub async fn try_send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await?;
        Ok(Answer { status, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.get_waiting(path, 20).await
    }

    /// GET with `Prefer: wait`.
    pub async fn get_waiting(&self, path: &str, seconds: u32) -> Answer {
        let request = self.request(Method::GET, path).header("prefer", format!("wait={seconds}"));
        self.send(request).await
    }

    /// Every item of a list, page by page; none if a page is refused.
    pub async fn all(&self, path: &str) -> Option<Vec<Value>> {
        let mut items = Vec::new();
        let mut next = path.to_owned();
        loop {
            let page = self.get(&next).await;
            items.extend(page.body["items"].as_array().filter(|_| page.status == StatusCode::OK)?.iter().cloned());
            let Some(cursor) = page.body["next_cursor"].as_str() else { return Some(items) };
            next = format!("{path}{}cursor={cursor}", if path.contains('?') { '&' } else { '?' });
        }
    }

    /// PUT without a key.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// PUT with a key.
    pub async fn put_with(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).header("idempotency-key", key).json(body)).await
    }

    /// POST without a key.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// POST with a key.
    pub async fn post_with(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).header("idempotency-key", key).json(body)).await
    }

    /// PATCH without a key.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }
}
