//! What a request is known by goes along when its command goes to another instance.

use http::{HeaderMap, HeaderName, HeaderValue};
use service_kit::trace::{Known, REQUEST_ID, Trace};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The headers of a command that a request led to; none for what Boxoffice does by itself.
pub fn headers() -> HeaderMap {
    let mut carried = HeaderMap::new();
    let Some(known) = Known::current() else { return carried };
    carried.insert(REQUEST_ID, known.id.to_header());
    if let Trace(Some(context)) = known.trace
        && let Ok(value) = HeaderValue::from_str(&context.child().to_string())
    {
        carried.insert(TRACEPARENT, value);
    }
    carried
}

#[cfg(test)]
mod tests {
    use service_kit::trace::{RequestId, TraceContext, carrying};

    use super::*;

    #[tokio::test]
    async fn a_request_is_recognised_where_its_command_goes() {
        assert!(headers().is_empty());
        let id = RequestId::of(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_static("abc"))]));
        let trace = Trace(Some(TraceContext { trace: 5, span: 6, sampled: true }));
        let carried = carrying(Known { id, trace }, async { headers() }).await;
        assert_eq!(carried[REQUEST_ID], "abc");
        let carried = TraceContext::parse(carried[TRACEPARENT].to_str().unwrap()).unwrap();
        assert_eq!((carried.trace, carried.sampled), (5, true));
        assert_ne!(carried.span, 6, "it is a step of its own");
    }
}
