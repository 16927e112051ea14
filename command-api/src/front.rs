//! What is answered while the process still waits for what it needs: that it lives, and that it is not ready.
//!
//! Without it whoever is sent here (by a proxy, a peer, a health check) would wait in a socket that nobody reads.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use service_kit::problem::{Kind, Problem};
use tower::ServiceExt as _;

/// The service's routes, once they are there.
#[derive(Clone, Default)]
pub struct Front(Arc<OnceLock<Router>>);

impl Front {
    /// Answers as `starting` does, until there are the service's routes.
    pub fn before(&self, starting: Router) -> Router {
        let opened = Arc::clone(&self.0);
        Router::new().fallback(async move |request: Request| {
            let router = opened.get().unwrap_or(&starting).clone();
            router.oneshot(request).await.unwrap_or_else(|never| match never {})
        })
    }

    /// From now on these routes answer.
    ///
    /// # Panics
    /// If they do already.
    pub fn open(&self, routes: Router) {
        assert!(self.0.set(routes).is_ok(), "a service starts once");
    }
}

/// Every route, while there are none.
pub fn not_ready() -> Router {
    async fn refuse() -> Response {
        Problem::new(Kind::NotReady).into_response()
    }
    Router::new().fallback(refuse)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::routing::get;

    use super::*;

    async fn ask(router: &Router, path: &str) -> Response {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn who_comes_early_is_told_so_and_who_comes_later_is_served() {
        let front = Front::default();
        let live = Router::new().route("/livez", get(async || "live"));
        let router = front.before(live.merge(not_ready()));
        assert_eq!(ask(&router, "/livez").await.status(), StatusCode::OK);
        let early = ask(&router, "/v1/orders/1").await;
        assert_eq!(early.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(early.headers().contains_key("retry-after"), "{early:?}");
        front.open(Router::new().route("/v1/orders/{order}", get(async || "served")));
        assert_eq!(ask(&router, "/v1/orders/1").await.status(), StatusCode::OK);
    }
}
