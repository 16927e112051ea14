//! Every kind of problem that the HTTP interface can answer, and the pages that explain them.

use axum::extract::Path;
use axum::response::{Html, IntoResponse, Response};
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use crate::problem::Problem;

macro_rules! kinds {
    ($($kind:ident $name:literal $status:literal $retry:ident $title:literal: $summary:literal;)*) => {
        /// A kind of problem; its name is the last part of `type`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(#[doc = $summary] $kind,)*
        }

        impl Kind {
            /// Every kind, as listed under `/problems`.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Its name, as in `/problems/{name}`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// The HTTP status that goes with it.
            pub fn status(self) -> StatusCode {
                let code = match self { $(Self::$kind => $status,)* };
                StatusCode::from_u16(code).expect("every kind has a status of HTTP")
            }

            /// The kind in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)* }
            }

            /// What it means, in a sentence or two.
            pub fn summary(self) -> &'static str {
                match self { $(Self::$kind => $summary,)* }
            }

            /// Whether to send the same request again, with the same key.
            pub fn retry(self) -> Retry {
                match self { $(Self::$kind => Retry::$retry,)* }
            }
        }
    };
}

/// What a client does about a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Send the same request again with the same `Idempotency-Key`, after `Retry-After`: it may have happened.
    SameKey,
    /// The same request with the same key may succeed once something else has changed; refusals are decided anew.
    Later,
    /// The same request will be refused again: change it, and take a fresh key.
    Never,
}

impl Retry {
    /// Whether repeating with the same key is the thing to do.
    pub fn with_same_key(self) -> bool {
        match self {
            Self::SameKey => true,
            Self::Later | Self::Never => false,
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::SameKey => "Send the same request again with the same Idempotency-Key, after Retry-After.",
            Self::Later => {
                "Not now. Nothing was changed; the same request, with the same key, is decided anew whenever it comes."
            }
            Self::Never => "No. Nothing was changed; correct the request, and give it a fresh key.",
        }
    }
}

kinds! {
    BadJson "bad-json" 400 Never "Malformed JSON": "The body is no JSON text, or names a member twice.";
    UnknownField "unknown-field" 400 Never "Unknown field": "The body has a field that this route does not know.";
    BadParameter "bad-parameter" 400 Never "Bad parameter": "A part of the path, a query parameter or a header is not of the form it must have. Ids are UUIDs in lower case.";
    IdempotencyKeyMissing "idempotency-key-missing" 400 Never "Idempotency-Key is missing": "What this request creates has no name of its own, so it needs an Idempotency-Key.";
    IdempotencyKeyInvalid "idempotency-key-invalid" 400 Never "Idempotency-Key is not valid": "An Idempotency-Key has 1 to 255 visible ASCII characters; a guest's is a UUID, because it stands for the guest.";
    ConsistencyTokenInvalid "consistency-token-invalid" 400 Never "Consistency-Token is not valid": "Send back the Consistency-Token of an answer unchanged, or none.";
    Unauthorized "unauthorized" 401 Never "Not authenticated": "A valid token is needed: Authorization: Bearer, not expired.";
    CheckoutTokenMissing "checkout-token-missing" 401 Never "Checkout-Token is missing": "This show has a waiting room: join its queue, enter, and send the Checkout-Token with the order.";
    CheckoutTokenInvalid "checkout-token-invalid" 403 Never "Checkout-Token is not valid": "The Checkout-Token is altered, of another show, or expired.";
    CheckoutTokenUsed "checkout-token-used" 403 Never "Checkout-Token is used": "The Checkout-Token has its order already, or its place was given up; one token is good for one order.";
    QueueTicketInvalid "queue-ticket-invalid" 403 Never "Queue-Ticket is not valid": "The Queue-Ticket is missing, altered, or of another place in a queue: send the one that joining or the last status answered.";
    ChallengeRequired "challenge-required" 403 Later "Proof of work required": "Joining this queue takes a proof of work: find a nonce so that SHA-256 of <token>.<Idempotency-Key>.<nonce> begins with as many zero bits as challenge says, and send the same request again with Queue-Proof: <token>.<nonce>.";
    Forbidden "forbidden" 403 Never "Not allowed": "The roles of this account do not allow that.";
    NotFound "not-found" 404 Later "Not found": "There is no such thing, or it is somebody else's.";
    ShowNotFound "show-not-found" 404 Later "No such show": "There is no such show, or it is not yours to see.";
    TicketClassNotFound "ticket-class-not-found" 404 Later "No such ticket class": "The show has no such ticket class.";
    MethodNotAllowed "method-not-allowed" 405 Never "Method not allowed": "This route does not answer that method; Allow names those it does.";
    NotOnSale "not-on-sale" 409 Later "Not on sale": "Sales have not opened, are over, or the class is outside its window; a waiting room is not open, or is closed. With Retry-After, it is about to open.";
    SoldOut "sold-out" 409 Later "Sold out": "Less is left than was asked for; available says how much of each class. Held tickets may come back.";
    LimitExceeded "limit-exceeded" 409 Never "Limit exceeded": "One order may not have so many.";
    PriceChanged "price-changed" 409 Never "The price has changed": "The price is another than the one sent; price is the present one.";
    NotAdmitted "not-admitted" 409 Later "Not admitted yet": "Others are still in front: ask for the status of the place until it is admitted.";
    AlreadyExists "already-exists" 409 Never "Already exists": "Something with this id exists and has another content.";
    RequestInProgress "request-in-progress" 409 SameKey "Request in progress": "The first request with this Idempotency-Key is still running.";
    WrongStatus "wrong-status" 409 Later "Not possible in this status": "The thing is in a status in which that cannot be done.";
    CapacityBelowCommitted "capacity-below-committed" 409 Later "Capacity below what is committed": "More is held and sold than the new capacity.";
    AlreadyPaid "already-paid" 409 Never "Already paid": "The order is paid.";
    OrderOver "order-over" 409 Never "The order is over": "The order has ended, or its time to pay is over.";
    TooManyPayments "too-many-payments" 409 Never "Too many payments": "An order takes at most 5 attempts to pay.";
    QueuePlaceLost "queue-place-lost" 410 Never "Place in the queue lost": "The visitor was away too long, did not enter in time, left, or is through already: join again for a new place.";
    TooLarge "too-large" 413 Never "Body too large": "A body has at most 64 KiB.";
    UnsupportedMediaType "unsupported-media-type" 415 Never "Unsupported media type": "Bodies are JSON: Content-Type: application/json, UTF-8.";
    Validation "validation" 422 Never "Not valid": "The body breaks rules; errors names each place.";
    ProviderUnavailable "provider-unavailable" 422 Never "Payment provider not available": "The payment provider is not configured, or cannot collect this currency.";
    IdempotencyKeyReused "idempotency-key-reused" 422 Never "Idempotency-Key reused": "This Idempotency-Key was used with another body.";
    TooManyRequests "too-many-requests" 429 SameKey "Too many requests": "You send more than your share; wait as Retry-After says.";
    Internal "internal" 500 SameKey "Internal error": "A fault of ours. Nothing is known to have happened; the request id finds it in our logs.";
    InDoubt "in-doubt" 503 SameKey "In doubt": "It is not yet known whether the request took effect. Repeat it with the same key to learn it; it will not happen twice.";
    Overloaded "overloaded" 503 SameKey "Overloaded": "More requests are waiting than can be answered in time. Nothing was changed.";
    NotReady "not-ready" 503 SameKey "Not ready": "This part of the service is starting, or has lost something it depends on. Nothing was changed.";
    Stale "stale" 503 SameKey "Stale": "Events of what is asked for wait behind one that cannot be read, so that every answer would be an older state; operators have been told. Everything else is up to date.";
    NotCaughtUp "not-caught-up" 504 SameKey "Not caught up": "The write of the Consistency-Token was not visible within the time to wait.";
    TimedOut "timed-out" 504 SameKey "Timed out": "The answer took too long. Nothing was changed.";
}

impl Kind {
    /// The URI reference in `type`.
    pub fn path(self) -> String {
        format!("/problems/{}", self.name())
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The kind that an answer without one of ours is told as.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            413 => Self::TooLarge,
            415 => Self::UnsupportedMediaType,
            422 => Self::Validation,
            429 => Self::TooManyRequests,
            503 => Self::NotReady,
            408 | 504 => Self::TimedOut,
            400..=499 => Self::BadParameter,
            _ => Self::Internal,
        }
    }

    fn explanation(self) -> Explanation {
        Explanation {
            kind: self.path(),
            name: self.name(),
            title: self.title(),
            status: self.status().as_u16(),
            explanation: self.summary(),
            retry_with_same_key: self.retry().with_same_key(),
            advice: self.retry().advice(),
        }
    }
}

#[derive(Serialize)]
struct Explanation {
    #[serde(rename = "type")]
    kind: String,
    name: &'static str,
    title: &'static str,
    status: u16,
    explanation: &'static str,
    retry_with_same_key: bool,
    advice: &'static str,
}

#[derive(Serialize)]
struct Explanations {
    items: Vec<Explanation>,
    next_cursor: Option<String>,
}

/// `GET /problems`: every kind.
pub(crate) async fn list(headers: HeaderMap) -> Response {
    let items: Vec<_> = Kind::ALL.iter().map(|kind| kind.explanation()).collect();
    if wants_html(&headers) {
        let rows: String = items.iter().map(row).collect();
        return page("Problems", &format!("<ul>{rows}</ul>"));
    }
    axum::Json(Explanations { items, next_cursor: None }).into_response()
}

/// `GET /problems/{name}`: one kind.
pub(crate) async fn explain(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(kind) = Kind::named(&name) else {
        return Problem::new(Kind::NotFound).detail("There is no such kind of problem.").into_response();
    };
    let it = kind.explanation();
    if wants_html(&headers) {
        let body = format!(
            "<p>Status {}.</p><p>{}</p><p>Again with the same key? {}</p><p><a href=\"/problems\">All problems</a></p>",
            it.status, it.explanation, it.advice
        );
        return page(it.title, &body);
    }
    axum::Json(it).into_response()
}

fn row(it: &Explanation) -> String {
    format!("<li><a href=\"{}\">{}</a> ({}): {}</li>", it.kind, it.name, it.status, it.title)
}

fn page(title: &str, body: &str) -> Response {
    // Everything put in here is a constant of this file, so nothing needs escaping.
    let head = format!(
        "<meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>"
    );
    Html(format!("<!doctype html><html lang=\"en\"><head>{head}</head><body><h1>{title}</h1>{body}</body></html>"))
        .into_response()
}

/// Whether the client is a browser: it names HTML, and names it before JSON.
fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let at = |kind| accept.find(kind);
    match (at("text/html"), at("json")) {
        (Some(html), Some(json)) => html < json,
        (html, None) => html.is_some(),
        (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_found_again() {
        let names: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        assert!(Kind::ALL.iter().all(|&kind| Kind::named(kind.name()) == Some(kind)));
        assert_eq!(Kind::named("nothing-like-it"), None);
    }

    #[test]
    fn every_refusal_of_the_contract_has_its_status() {
        let contract = [
            (404, "show-not-found"),
            (404, "ticket-class-not-found"),
            (409, "not-on-sale"),
            (409, "sold-out"),
            (409, "limit-exceeded"),
            (409, "price-changed"),
            (401, "checkout-token-missing"),
            (403, "checkout-token-invalid"),
            (403, "checkout-token-used"),
            (403, "queue-ticket-invalid"),
            (410, "queue-place-lost"),
            (409, "not-admitted"),
            (422, "validation"),
            (422, "provider-unavailable"),
            (422, "idempotency-key-reused"),
            (409, "request-in-progress"),
            (409, "already-exists"),
            (400, "idempotency-key-missing"),
            (504, "not-caught-up"),
            (503, "in-doubt"),
            (503, "stale"),
            (409, "wrong-status"),
            (409, "capacity-below-committed"),
            (409, "already-paid"),
        ];
        for (status, name) in contract {
            assert_eq!(Kind::named(name).expect(name).status().as_u16(), status, "{name}");
        }
    }

    #[test]
    fn html_goes_to_browsers_only() {
        let accepts = |text: &'static str| wants_html(&HeaderMap::from_iter([(ACCEPT, text.parse().unwrap())]));
        assert!(accepts("text/html,application/xhtml+xml,*/*;q=0.8"));
        assert!(!accepts("application/json"));
        assert!(!accepts("application/json, text/html"));
        assert!(!accepts("*/*"));
        assert!(!wants_html(&HeaderMap::new()));
    }
}
