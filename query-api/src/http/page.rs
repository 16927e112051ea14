//! The page that people wait on: one document, with everything in it but the worker that does the work joining may ask for.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::ids::ShowId;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use ring::digest::{SHA256, digest};
use service_kit::extract::Path;
use utoipa_axum::router::OpenApiRouter;

use super::App;

const STYLE: &str = include_str!("page/queue.css");
const SCRIPT: &str = concat!(
    "\"use strict\";\n",
    include_str!("page/memory.js"),
    include_str!("page/face.js"),
    include_str!("page/wire.js"),
    include_str!("page/queue.js"),
);
/// A worker's script cannot be part of the page.
const PROOF: &str = include_str!("page/proof.js");

/// The same for every show: the page asks for the rest.
static PAGE: LazyLock<String> =
    LazyLock::new(|| include_str!("page/queue.html").replace("/*STYLE*/", STYLE).replace("/*SCRIPT*/", SCRIPT));

/// Nothing but this style, this script and our worker, and questions to where the page came from. That covers sockets, too;
/// browsers too old to know it have no socket then, and the page asks instead.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let (style, script) = (hash(STYLE), hash(SCRIPT));
    let policy = format!(
        "default-src 'none'; style-src '{style}'; script-src '{script}'; worker-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("hashes in base64 are visible ASCII")
});

fn hash(content: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(digest(&SHA256, content.as_bytes())))
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .route("/queue/{show}", axum::routing::get(queue))
        .route("/queue/assets/proof.js", axum::routing::get(proof))
}

async fn queue(Path(_): Path<ShowId>) -> Response {
    answer("text/html; charset=utf-8", &POLICY, PAGE.as_str())
}

async fn proof() -> Response {
    answer("text/javascript; charset=utf-8", &HeaderValue::from_static("default-src 'none'"), PROOF)
}

fn answer(content_type: &'static str, policy: &HeaderValue, body: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CONTENT_SECURITY_POLICY, policy.clone()),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // The crowd of an on-sale is served by whatever stands in front; a minute old it is as good.
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=60")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_in_the_page_and_nothing_is_loaded() {
        assert!(!PAGE.contains("/*STYLE*/") && !PAGE.contains("/*SCRIPT*/"));
        for outside in ["http://", "https://", "src=", "href=", "@import", "url(", "import("] {
            assert!(!PAGE.contains(outside) && !PROOF.contains(outside), "{outside}");
        }
        let policy = POLICY.to_str().unwrap();
        assert!(policy.contains(&hash(SCRIPT)) && policy.contains(&hash(STYLE)));
        // A script that ended itself early would run in part.
        assert!(!SCRIPT.contains("</script") && !STYLE.contains("</style"));
    }
}
