//! Passes one request on and its answer back, as it comes.
//!
//! Paths are not parsed and rebuilt, because a URL library would change some of them on the way; hence hyper's client.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::response::{IntoResponse as _, Response};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, Request, Uri, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use service_kit::client_address::Peer;
use service_kit::json::MAX_BODY;
use service_kit::prefer::Wait;
use service_kit::problem::{Kind, Problem};
use service_kit::trace::{REQUEST_ID, RequestId};

use super::Limits;
use super::tunnel::Tunnels;
use super::upstreams::Pool;
use super::{forwarded, tunnel};

/// Shorter than the services keep an idle connection.
const IDLE: Duration = Duration::from_secs(20);

/// Headers that speak about one connection, not about the message (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    header::TRANSFER_ENCODING,
    UPGRADE,
];

/// A client for the services.
#[derive(Debug, Clone)]
pub struct Proxy {
    client: Client<HttpConnector, Body>,
    limits: Limits,
    tunnels: Tunnels,
}

impl Proxy {
    /// Connections are opened when they are needed.
    pub fn new(limits: Limits) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(limits.connect));
        connector.set_nodelay(true);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        Self { client: builder.build(connector), limits, tunnels: Tunnels::default() }
    }

    /// The answer of one of these services, streamed; or a problem of our own.
    pub async fn pass(&self, to: &Pool, request: Request<Body>) -> Response {
        let id = RequestId::of(request.headers());
        match self.try_pass(to, request).await {
            Ok(response) => response,
            Err(problem) => answer(problem, &id),
        }
    }

    /// The WebSockets that go through it.
    pub fn tunnels(&self) -> Tunnels {
        self.tunnels.clone()
    }

    /// Nobody's.
    pub fn refuse(&self, request: &Request<Body>) -> Response {
        answer(Kind::NotFound.into(), &RequestId::of(request.headers()))
    }

    /// Passes a request to where its target says.
    ///
    /// # Errors
    /// Nobody listens there, or the connection broke.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response, Error> {
        Ok(self.client.request(request).await?.map(Body::new))
    }

    /// Who refuses the connection was sent nothing, so the next one gets the request. What only reads may be asked anew
    /// even if it was sent.
    async fn try_pass(&self, to: &Pool, mut request: Request<Body>) -> Result<Response, Problem> {
        let patience = self.limits.answer + Wait::of(request.headers()).0;
        let safe = request.method().is_safe();
        let asked = tunnel::is_asked_for(request.method(), request.headers());
        let client = asked.then(|| hyper::upgrade::on(&mut request));
        let (mut parts, body) = self.read(request).await?;
        if asked {
            tunnel::insert(&mut parts.headers);
        }
        let mut last = None;
        for member in to.next() {
            let request = prepared(&member.at, &parts, body.clone())?;
            match tokio::time::timeout(patience, self.send(request)).await {
                Ok(Ok(response)) => return Ok(self.passed_back(response, client)),
                Ok(Err(error)) if error.is_connect() || safe => {
                    member.refused();
                    last = Some(error);
                }
                Ok(Err(_)) => return Err(Kind::InDoubt.into()),
                Err(_) if safe => return Err(Kind::TimedOut.into()),
                Err(_) => return Err(Kind::InDoubt.into()),
            }
        }
        tracing::debug!(error = ?last, "no service behind the front door takes a request");
        Err(Problem::new(Kind::NotReady).detail("The service behind this address does not answer just now."))
    }

    /// The answer as the client gets it. If it agrees to a WebSocket that the client asked for, that begins.
    fn passed_back(&self, mut response: Response, client: Option<OnUpgrade>) -> Response {
        let agreed = tunnel::is_agreed(response.status(), response.headers());
        drop_hop_by_hop(response.headers_mut());
        if let (true, Some(client)) = (agreed, client) {
            tunnel::insert(response.headers_mut());
            self.tunnels.begin(client, hyper::upgrade::on(&mut response));
        }
        response
    }

    /// Reads the whole body first: a client that stops in the middle of it is no business of the service.
    async fn read(&self, request: Request<Body>) -> Result<(Parts, Bytes), Problem> {
        let (mut parts, body) = request.into_parts();
        let read = tokio::time::timeout(self.limits.body, to_bytes(body, MAX_BODY)).await;
        let body = read.map_err(|_| Problem::new(Kind::TimedOut).detail("The body took too long to arrive."))?;
        let body = body.map_err(|_| Problem::new(Kind::TooLarge))?;
        drop_hop_by_hop(&mut parts.headers);
        // The client sets it anew; and whoever expects us to go on was answered by us.
        parts.headers.remove(CONTENT_LENGTH);
        parts.headers.remove(EXPECT);
        if let Some(Peer(from)) = parts.extensions.get() {
            forwarded::append(&mut parts.headers, *from);
        }
        Ok((parts, body))
    }
}

fn answer(problem: Problem, id: &RequestId) -> Response {
    let mut response = problem.into_response();
    response.headers_mut().insert(REQUEST_ID, id.to_header());
    response
}

fn prepared(to: &Authority, parts: &Parts, body: Bytes) -> Result<Request<Body>, Problem> {
    let asked = parts.uri.path_and_query().cloned();
    let no_path = || Problem::new(Kind::BadParameter).detail("The request's target is no path.");
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = target(to, asked).ok_or_else(no_path)?;
    *request.version_mut() = http::Version::HTTP_11;
    *request.headers_mut() = parts.headers.clone();
    Ok(request)
}

/// The same path and query, byte by byte, at another authority; `None` if that is no address.
pub(super) fn target(to: &Authority, asked: Option<PathAndQuery>) -> Option<Uri> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(to.clone());
    parts.path_and_query = asked.or(Some(PathAndQuery::from_static("/")));
    Uri::from_parts(parts).ok()
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    named.iter().chain(&HOP_BY_HOP).for_each(|name| {
        headers.remove(name);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_speaks_about_the_connection_is_dropped() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Mine"),
            ("x-mine", "1"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("x-request-id", "r1"),
            ("host", "a"),
        ] {
            headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        drop_hop_by_hop(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["host", "x-request-id"]);
    }

    #[test]
    fn the_path_and_query_stay_as_they_were_sent() {
        let to = Authority::from_static("127.0.0.1:9");
        for asked in ["/a/../b/%2e%2e/c//d?x=%41&y=a+b&&z", "/", "/?", "/v1/%E2%82%AC", "/a%2Fb?q={}|^~"] {
            let asked_for: Uri = asked.parse().unwrap();
            let target = target(&to, asked_for.path_and_query().cloned()).unwrap().to_string();
            assert_eq!(target, format!("http://127.0.0.1:9{asked}"));
        }
    }
}
