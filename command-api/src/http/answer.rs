//! The answer to a write: the thing as it is now, with what a client needs to go on.

use axum::response::{IntoResponse, Response};
use event_log::owner::Answer;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use service_kit::consistency::{self, Token};
use service_kit::idempotency;

use super::App;
use crate::owners::Held;

/// What every answer to a write says beside its body.
#[derive(Debug, Clone)]
pub struct Receipt {
    token: Token,
    replayed: bool,
    written: bool,
}

impl App {
    /// What the answer of an owner is worth to the client.
    pub(super) fn receipt<A: Held>(&self, answer: &Answer<A>) -> Receipt {
        let partition = self.0.owners.partition_of::<A>(event_log::owner::Target::Id(answer.id));
        Receipt {
            token: Token::at(partition.context, partition.number, answer.offset, answer.identity),
            replayed: answer.replayed,
            written: answer.written > 0,
        }
    }
}

impl Receipt {
    /// Whether something was written just now.
    pub fn is_new(&self) -> bool {
        self.written
    }

    /// 201 for what was created, now or by this very request before; 200 for what was there already.
    pub fn created(self, body: &impl Serialize) -> Response {
        let status = if self.written || self.replayed { StatusCode::CREATED } else { StatusCode::OK };
        self.with(status, body)
    }

    /// 200.
    pub fn ok(self, body: &impl Serialize) -> Response {
        self.with(StatusCode::OK, body)
    }

    /// 204.
    pub fn no_content(self) -> Response {
        self.marked(StatusCode::NO_CONTENT.into_response())
    }

    fn with(self, status: StatusCode, body: &impl Serialize) -> Response {
        self.marked((status, axum::Json(body)).into_response())
    }

    fn marked(self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.insert(consistency::HEADER, self.token.to_header());
        if self.replayed {
            headers.insert(HeaderName::from_static(idempotency::REPLAYED), HeaderValue::from_static("true"));
        }
        response
    }
}
