//! What a request is known by goes along when its command goes to another instance.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue};
use service_kit::trace::{REQUEST_ID, RequestId, Trace};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

tokio::task_local! {
    static CARRIED: HeaderMap;
}

/// Keeps a request's id and trace for the commands it leads to.
pub async fn carry(request: Request, next: Next) -> Response {
    let mut carried = HeaderMap::new();
    if let Some(id) = request.extensions().get::<RequestId>() {
        carried.insert(REQUEST_ID, id.to_header());
    }
    if let Some(Trace(Some(context))) = request.extensions().get::<Trace>()
        && let Ok(value) = HeaderValue::from_str(&context.child().to_string())
    {
        carried.insert(TRACEPARENT, value);
    }
    CARRIED.scope(carried, next.run(request)).await
}

/// The headers of a command that a request led to; none for what Boxoffice does by itself.
pub fn headers() -> HeaderMap {
    CARRIED.try_with(HeaderMap::clone).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use service_kit::trace::TraceContext;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_request_is_recognised_where_its_command_goes() {
        assert!(headers().is_empty());
        let id = RequestId::of(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_static("abc"))]));
        let trace = TraceContext { trace: 5, span: 6, sampled: true };
        let echo = || async { (headers(), "") };
        let router: Router = Router::new().route("/", get(echo)).layer(from_fn(carry));
        let mut request = Request::builder().uri("/").body(Body::empty()).unwrap();
        request.extensions_mut().insert(id);
        request.extensions_mut().insert(Trace(Some(trace)));
        let answered = router.oneshot(request).await.unwrap();
        assert_eq!(answered.headers()[REQUEST_ID], "abc");
        let carried = TraceContext::parse(answered.headers()[TRACEPARENT].to_str().unwrap()).unwrap();
        assert_eq!((carried.trace, carried.sampled), (5, true));
        assert_ne!(carried.span, 6, "it is a step of its own");
    }
}
