//! PayPal's error bodies.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::ids;
use crate::replays::Answer;

/// Why a call is refused.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    name: &'static str,
    message: &'static str,
    details: Vec<Value>,
    links: Vec<Value>,
}

/// Why a call is not carried out.
pub enum Stop {
    /// It is refused.
    Refused(Refusal),
    /// The token is missing, wrong or over.
    NoToken,
    /// It was carried out before.
    Replayed(Answer),
}

impl Refusal {
    /// A field, named by its JSON pointer, that has the wrong form.
    pub fn field(field: &str, issue: &str, description: &str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            name: "INVALID_REQUEST",
            message: "Request is not well-formed, syntactically incorrect, or violates schema.",
            details: vec![json!({ "field": field, "location": "body", "issue": issue, "description": description })],
            links: Vec::new(),
        }
    }

    /// A field that must be there.
    pub fn missing(field: &str) -> Self {
        Self::field(field, "MISSING_REQUIRED_PARAMETER", "A required field / parameter is missing.")
    }

    /// A body that is no JSON object sent as JSON.
    pub fn malformed() -> Self {
        Self::field("/", "MALFORMED_REQUEST_JSON", "The request JSON is not well formed.")
    }

    /// A body that is sent as something else.
    pub fn not_json() -> Self {
        Self {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            name: "UNSUPPORTED_MEDIA_TYPE",
            message: "The server does not support the request payload's media type.",
            details: Vec::new(),
            links: Vec::new(),
        }
    }

    /// A call that is well formed and cannot be carried out.
    pub fn issue(issue: &str, description: &str) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            name: "UNPROCESSABLE_ENTITY",
            message: "The requested action could not be performed, semantically incorrect, or failed business validation.",
            details: vec![json!({ "issue": issue, "description": description })],
            links: Vec::new(),
        }
    }

    /// The same because of one field.
    pub fn field_issue(field: &str, issue: &str, description: &str) -> Self {
        let mut refusal = Self::issue(issue, description);
        refusal.details[0]["field"] = field.into();
        refusal
    }

    /// There is no such order, capture or refund.
    pub fn not_found() -> Self {
        let description = "Specified resource ID does not exist. Please check the resource ID and try again.";
        Self {
            status: StatusCode::NOT_FOUND,
            name: "RESOURCE_NOT_FOUND",
            message: "The specified resource does not exist.",
            ..Self::issue("INVALID_RESOURCE_ID", description)
        }
    }

    /// The first call with this request id still runs.
    pub fn in_progress() -> Self {
        let description = "A previous request on this resource is currently in progress. Please wait and try again.";
        Self { status: StatusCode::CONFLICT, ..Self::issue("PREVIOUS_REQUEST_IN_PROGRESS", description) }
    }

    /// A scripted 500 or 504.
    pub fn trouble(status: StatusCode) -> Self {
        let (name, message) = ("INTERNAL_SERVER_ERROR", "An internal server error has occurred.");
        Self { status, name, message, details: Vec::new(), links: Vec::new() }
    }

    /// With a link that says where to go on.
    pub fn with_link(mut self, rel: &str, href: &str) -> Self {
        self.links.push(json!({ "href": href, "rel": rel, "method": "GET" }));
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(mut self) -> Response {
        let (issue, page) = (&self.details, "https://developer.paypal.com/api/rest/reference/orders/v2/errors/");
        let issue = issue.first().map_or("", |detail| detail["issue"].as_str().unwrap_or_default());
        let link = json!({ "href": format!("{page}#{issue}"), "rel": "information_link", "method": "GET" });
        self.links.insert(0, link);
        let debug_id = &ids::hex32()[..13];
        let body = json!({
            "name": self.name,
            "message": self.message,
            "debug_id": debug_id,
            "details": self.details,
            "links": self.links,
        });
        (self.status, [("paypal-debug-id", debug_id)], Json(body)).into_response()
    }
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => refusal.into_response(),
            Self::NoToken => {
                let body = json!({
                    "error": "invalid_token",
                    "error_description": "The token passed in was not found in the system",
                });
                (StatusCode::UNAUTHORIZED, Json(body)).into_response()
            }
            Self::Replayed(answer) => Answer { status: 200, ..answer }.response(),
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
