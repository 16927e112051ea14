//! What a request is known by goes along when its command goes to another instance.

use http::{HeaderMap, HeaderName, HeaderValue};
use service_kit::trace::{self, Known, REQUEST_ID};

const TRACEPARENT: HeaderName = HeaderName::from_static(trace::TRACEPARENT);

/// The headers of a command that a request led to; of what Boxoffice does by itself, only a recorded trace.
pub fn headers() -> HeaderMap {
    let mut carried = HeaderMap::new();
    let known = Known::current();
    if let Some(known) = &known {
        carried.insert(REQUEST_ID, known.id.to_header());
    }
    let context = trace::step().or_else(|| known?.trace.0);
    if let Some(context) = context
        && let Ok(value) = HeaderValue::from_str(&context.to_string())
    {
        carried.insert(TRACEPARENT, value);
    }
    carried
}

#[cfg(test)]
mod tests {
    use service_kit::trace::{RequestId, Trace, TraceContext, carrying, within};

    use super::*;

    #[tokio::test]
    async fn a_request_is_recognised_where_its_command_goes() {
        assert!(headers().is_empty());
        let id = RequestId::of(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_static("abc"))]));
        let trace = Trace(Some(TraceContext { trace: 5, span: 6, sampled: true }));
        let carried = carrying(Known { id, trace }, async { headers() }).await;
        assert_eq!(carried[REQUEST_ID], "abc");
        let parsed = |carried: &HeaderMap| TraceContext::parse(carried[TRACEPARENT].to_str().unwrap()).unwrap();
        assert_eq!(parsed(&carried), TraceContext { trace: 5, span: 6, sampled: true });
        let step = TraceContext { trace: 7, span: 8, sampled: true };
        let of_saga = within(step, async { headers() }).await;
        assert_eq!((parsed(&of_saga), of_saga.contains_key(REQUEST_ID)), (step, false), "nobody asked");
    }
}
