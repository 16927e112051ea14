//! Which service answers a request.

use http::Method;

/// What stands behind the front door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    /// The write side.
    Command,
    /// The read side.
    Query,
}

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// To a service.
    To(Upstream),
    /// To nobody: what services say to each other is nothing that anybody outside may ask.
    Nowhere,
}

/// Below this, services talk to each other.
const INTERNAL: &str = "/internal";

/// Everything that writes, and all that payment providers and their pages call, goes to the write side. The path is
/// compared as it was sent.
pub fn route(method: &Method, path: &str) -> Route {
    if path.strip_prefix(INTERNAL).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return Route::Nowhere;
    }
    let reads = method == Method::GET || method == Method::HEAD;
    Route::To(match reads && !path.starts_with("/v1/payments/") {
        true => Upstream::Query,
        false => Upstream::Command,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_to_the_read_side_except_below_payments() {
        let cases = [
            ("GET", "/v1/shows", Upstream::Query),
            ("HEAD", "/v1/orders/1", Upstream::Query),
            ("GET", "/v1/orders/1/events", Upstream::Query),
            ("GET", "/docs", Upstream::Query),
            ("GET", "/v1/payments", Upstream::Query),
            ("GET", "/v1/paymentsx/", Upstream::Query),
            ("GET", "/v2/v1/payments/payos/return", Upstream::Query),
            ("GET", "/v1/payments/payos/return", Upstream::Command),
            ("HEAD", "/v1/payments/payos/notify", Upstream::Command),
            ("POST", "/v1/payments/payos/notify", Upstream::Command),
            ("PUT", "/v1/orders/1", Upstream::Command),
            ("POST", "/v1/orders/1/cancel", Upstream::Command),
            ("PATCH", "/v1/shows/1", Upstream::Command),
            ("DELETE", "/v1/shows/1", Upstream::Command),
            ("OPTIONS", "/v1/shows", Upstream::Command),
            ("get", "/v1/shows", Upstream::Command),
        ];
        for (method, path, expected) in cases {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(route(&method, path), Route::To(expected), "{method} {path}");
        }
    }
    #[test]
    fn what_services_say_to_each_other_goes_nowhere() {
        for path in ["/internal", "/internal/", "/internal/v1/commands", "/internal/../v1/shows"] {
            for method in [Method::GET, Method::POST, Method::OPTIONS] {
                assert_eq!(route(&method, path), Route::Nowhere, "{method} {path}");
            }
        }
        for path in ["/internals", "/v1/internal/x", "/Internal/v1"] {
            assert_ne!(route(&Method::GET, path), Route::Nowhere, "{path}");
        }
    }
}
