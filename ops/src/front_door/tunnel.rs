//! WebSockets through the front door: once both sides have switched protocols, bytes pass both ways as they come.

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const SWITCH: HeaderValue = HeaderValue::from_static("upgrade");

/// The WebSockets that are open.
#[derive(Debug, Clone, Default)]
pub struct Tunnels {
    open: TaskTracker,
    ended: CancellationToken,
}

impl Tunnels {
    /// Passes bytes both ways once both sides have switched, until either ends.
    pub fn begin(&self, client: OnUpgrade, service: OnUpgrade) {
        let ended = self.ended.clone();
        self.open.spawn(async move {
            let passing = async {
                let (client, service) = tokio::try_join!(client, service)?;
                copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(service)).await?;
                anyhow::Ok(())
            };
            // Each side learns from its closed connection that it is over, so how it ended is told to nobody else.
            if let Some(Err(error)) = ended.run_until_cancelled(passing).await {
                tracing::debug!(%error, "a WebSocket through the front door broke off");
            }
        });
    }

    /// Ends all that are open, and all that begin after this.
    pub async fn end(&self) {
        self.ended.cancel();
        self.open.close();
        self.open.wait().await;
    }
}

/// Whether a request asks for a WebSocket (RFC 6455, section 4.2.1). No other protocol is switched to.
pub fn is_asked_for(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::GET && has(headers, CONNECTION, SWITCH) && has(headers, UPGRADE, WEBSOCKET)
}

/// Whether a service agrees to one.
pub fn is_agreed(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS && has(headers, UPGRADE, WEBSOCKET)
}

/// What asks for a WebSocket, and agrees to one: it speaks about one connection, so each connection has its own.
pub fn insert(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, SWITCH);
    headers.insert(UPGRADE, WEBSOCKET);
}

fn has(headers: &HeaderMap, name: http::HeaderName, wanted: HeaderValue) -> bool {
    let values = headers.get_all(name).into_iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    values.into_iter().any(|value| value.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(method: &Method, connection: &'static str, upgrade: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static(connection));
        headers.insert(UPGRADE, HeaderValue::from_static(upgrade));
        is_asked_for(method, &headers)
    }

    #[test]
    fn only_a_get_that_names_both_asks_for_a_websocket() {
        assert!(asks(&Method::GET, "Upgrade", "websocket"));
        assert!(asks(&Method::GET, "keep-alive, Upgrade", "h2c, WebSocket"));
        assert!(!asks(&Method::POST, "Upgrade", "websocket"));
        assert!(!asks(&Method::GET, "keep-alive", "websocket"));
        assert!(!asks(&Method::GET, "Upgrade", "h2c"));
        assert!(!asks(&Method::GET, "Upgrade", "websockets"));
        assert!(!is_asked_for(&Method::GET, &HeaderMap::new()));
    }
}
