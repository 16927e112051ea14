//! Errors as clients see them: RFC 9457 problem details.
//!
//! Invariant: an answer 429 or 503 always carries `Retry-After`.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{ContentBuilder, RefOr, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};

pub use crate::problems::Kind;

/// The content type of every problem.
pub const CONTENT: &str = "application/problem+json";

/// One refusal or failure, ready to be answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone, PartialEq)]
struct Inner {
    kind: Kind,
    detail: Cow<'static, str>,
    instance: Option<String>,
    errors: Vec<FieldError>,
    extensions: Map<String, Value>,
    retry_after_s: Option<u32>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is wrong with one place of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// RFC 6901 JSON pointer into the body, `""` for the whole; for a parameter or header its name with a leading `/`.
    #[schema(example = "/lines/0/quantity")]
    pub pointer: String,
    /// What is wrong there, and what would be right.
    #[schema(example = "must be from 1 to 100")]
    pub detail: String,
}

/// Problem details, RFC 9457. Some kinds have more members: `available` per class, the present `price`, and so on.
#[derive(Serialize, ToSchema)]
struct Wire<'a> {
    /// Names the kind of problem; `GET` it for an explanation.
    #[serde(rename = "type")]
    #[schema(example = "/problems/sold-out")]
    kind: String,
    /// The kind in a few words.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What happened this time.
    detail: &'a str,
    /// The path of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "/v1/orders/3f6b1f5e-5d0e-4b6c-9d3c-2f1a0b9c8d7e")]
    instance: Option<&'a str>,
    /// The places of the request that are wrong.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<FieldError>, required = false)]
    errors: &'a [FieldError],
    /// More members, by kind: `available` per class, the present `price`, and so on.
    #[serde(flatten)]
    #[schema(ignore)]
    extensions: &'a Map<String, Value>,
}

impl Problem {
    /// A problem of this kind with the kind's own explanation as `detail`.
    pub fn new(kind: Kind) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: Cow::Borrowed(kind.summary()),
            instance: None,
            errors: Vec::new(),
            extensions: Map::new(),
            retry_after_s: None,
            headers: Vec::new(),
        }))
    }

    /// A refused body: 422 `validation` with the places that are wrong.
    pub fn validation(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(Kind::Validation);
        problem.0.errors = errors;
        problem
    }

    /// With what happened this time. Never put personal data, tokens or keys here.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// With one more wrong place; `pointer` is an RFC 6901 JSON pointer.
    #[must_use]
    pub fn error(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.0.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// With an extension member, such as `available` or `price`.
    ///
    /// # Panics
    /// If the name is one of RFC 9457's own, or the value cannot be JSON: both are bugs.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        let reserved = ["type", "title", "status", "detail", "instance", "errors"];
        assert!(!reserved.contains(&name), "{name} is a member of every problem");
        let value = serde_json::to_value(value).expect("an extension member is plain data");
        self.0.extensions.insert(name.to_owned(), value);
        self
    }

    /// With `Retry-After` in seconds.
    #[must_use]
    pub fn retry_after_s(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// With a header of its own.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// With the path of the request, unless it is known already; `http::router` does this for every answer.
    #[must_use]
    pub(crate) fn at(mut self, path: &str) -> Self {
        self.0.instance.get_or_insert_with(|| path.to_owned());
        self
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Its HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.kind.status()
    }

    /// The places that are wrong.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// An extension member.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.0.extensions.get(name)
    }

    /// The body as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let inner = &self.0;
        let wire = Wire {
            kind: inner.kind.path(),
            title: inner.kind.title(),
            status: inner.kind.status().as_u16(),
            detail: &inner.detail,
            instance: inner.instance.as_deref(),
            errors: &inner.errors,
            extensions: &inner.extensions,
        };
        serde_json::to_vec(&wire).expect("a problem is plain data")
    }

    /// Seconds to wait before trying again: as told, or the kind's own for 429 and 503.
    pub fn wait_s(&self) -> Option<u32> {
        let needed = matches!(self.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        self.0.retry_after_s.or_else(|| needed.then_some(1))
    }
}

impl From<Kind> for Problem {
    fn from(kind: Kind) -> Self {
        Self::new(kind)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.0.kind.name(), self.0.detail)
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.to_json()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT));
        if let Some(seconds) = self.wait_s() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"boxoffice\""));
        }
        for (name, value) in &self.0.headers {
            headers.insert(name.clone(), value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        Wire::schema()
    }
}

impl ToSchema for Problem {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Problem")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((FieldError::name().into_owned(), FieldError::schema()));
    }
}

/// The OpenAPI response that names `Problem`, for a document's `default` answers.
pub fn openapi_response() -> utoipa::openapi::Response {
    let schema = RefOr::Ref(utoipa::openapi::Ref::from_schema_name("Problem"));
    ResponseBuilder::new()
        .description("A problem, RFC 9457; its `type` is explained under `/problems`.")
        .content(CONTENT, ContentBuilder::new().schema(Some(schema)).build())
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_members_of_rfc_9457_and_its_own() {
        let problem = Problem::new(Kind::SoldOut)
            .detail("2 were asked for, 1 is left")
            .error("/lines/0/quantity", "1 is left")
            .with("available", [1])
            .at("/v1/orders/x");
        insta::assert_json_snapshot!(serde_json::from_slice::<Value>(&problem.to_json()).unwrap(), @r#"
        {
          "available": [
            1
          ],
          "detail": "2 were asked for, 1 is left",
          "errors": [
            {
              "detail": "1 is left",
              "pointer": "/lines/0/quantity"
            }
          ],
          "instance": "/v1/orders/x",
          "status": 409,
          "title": "Sold out",
          "type": "/problems/sold-out"
        }
        "#);
    }

    #[test]
    fn retry_after_is_always_there_on_429_and_503() {
        for &kind in Kind::ALL {
            let status = kind.status();
            let response = Problem::new(kind).into_response();
            let has = response.headers().contains_key(RETRY_AFTER);
            assert_eq!(has, status == 429 || status == 503, "{}", kind.name());
            assert_eq!(response.headers()[CONTENT_TYPE], CONTENT);
        }
    }

    #[test]
    fn a_given_retry_after_wins_and_is_sent_with_any_status() {
        let answer = |kind| Problem::new(kind).retry_after_s(7).into_response();
        assert_eq!(answer(Kind::InDoubt).headers()[RETRY_AFTER], "7");
        assert_eq!(answer(Kind::NotOnSale).headers()[RETRY_AFTER], "7");
    }

    #[test]
    fn a_401_says_how_to_authenticate() {
        for kind in [Kind::Unauthorized, Kind::CheckoutTokenMissing] {
            let response = Problem::new(kind).into_response();
            assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer realm=\"boxoffice\"");
        }
    }

    #[test]
    #[should_panic(expected = "status is a member of every problem")]
    fn an_extension_cannot_replace_a_member() {
        let _ = Problem::new(Kind::Internal).with("status", 200);
    }
}
