//! The page that people wait on: one document, with everything in it.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::ids::ShowId;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use ring::digest::{SHA256, digest};
use service_kit::extract::Path;
use utoipa_axum::router::OpenApiRouter;

use super::App;

const STYLE: &str = include_str!("page/queue.css");
const SCRIPT: &str = include_str!("page/queue.js");

/// The same for every show: the page asks for the rest.
static PAGE: LazyLock<String> =
    LazyLock::new(|| include_str!("page/queue.html").replace("/*STYLE*/", STYLE).replace("/*SCRIPT*/", SCRIPT));

/// Nothing but this style and this script, and questions to where the page came from.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let (style, script) = (hash(STYLE), hash(SCRIPT));
    let policy = format!(
        "default-src 'none'; style-src '{style}'; script-src '{script}'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("hashes in base64 are visible ASCII")
});

fn hash(content: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(digest(&SHA256, content.as_bytes())))
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().route("/queue/{show}", axum::routing::get(queue))
}

async fn queue(Path(_): Path<ShowId>) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, POLICY.clone()),
        // The crowd of an on-sale is served by whatever stands in front; a minute old it is as good.
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=60")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, PAGE.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_in_the_page_and_nothing_is_loaded() {
        assert!(!PAGE.contains("/*STYLE*/") && !PAGE.contains("/*SCRIPT*/"));
        for outside in ["http://", "https://", "src=", "href=", "@import", "url("] {
            assert!(!PAGE.contains(outside), "{outside}");
        }
        let policy = POLICY.to_str().unwrap();
        assert!(policy.contains(&hash(SCRIPT)) && policy.contains(&hash(STYLE)));
        // A script that ended itself early would run in part.
        assert!(!SCRIPT.contains("</script") && !STYLE.contains("</style"));
    }
}
