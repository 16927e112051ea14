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

/// Everything that writes, and all that payment providers and their pages call, goes to the write side. The path is
/// compared as it was sent.
pub fn upstream(method: &Method, path: &str) -> Upstream {
    let reads = method == Method::GET || method == Method::HEAD;
    match reads && !path.starts_with("/v1/payments/") {
        true => Upstream::Query,
        false => Upstream::Command,
    }
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
            assert_eq!(upstream(&method, path), expected, "{method} {path}");
        }
    }
}
