//! The way to the other instances: one HTTP request for one command, once.
//!
//! Invariant: "not served" is said only of a command that nobody can have carried out. What was sent and not answered is
//! in doubt.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use event_log::owner::{Outcome, Target};
use http::{Method, StatusCode};
use service_kit::clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::report::Report;
use super::signature::{self, InternalKey, Signed};
use super::{carried, wire};
use crate::owners::{Held, Request};

/// Where commands of other instances are taken.
pub const COMMANDS: &str = "/internal/v1/commands";
/// Where an instance tells how its partitions stand.
pub const PARTITIONS: &str = "/internal/v1/partitions";
/// A connection that is not open by then leads nowhere.
const CONNECT: Duration = Duration::from_millis(500);
/// Shorter than servers keep idle connections, so that none is closed just when it is used.
const IDLE: Duration = Duration::from_secs(15);
/// The other side answers in time by itself; so much longer its answer may be on its way.
const ON_THE_WAY: Duration = Duration::from_millis(500);
/// So long a command that is never too late may wait at the other instance; then it is asked anew.
const WITHOUT_LIMIT: Duration = Duration::from_secs(8);
/// So many commands to one instance are under way at once.
const AT_ONCE: usize = 512;
/// An answer is no larger.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Asks other instances. Cheap to clone.
#[derive(Clone)]
pub struct Peers {
    http: reqwest::Client,
    key: InternalKey,
    places: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
}

/// Why a request came back without an outcome, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// It never got there.
    Unsent,
    /// It may have got there.
    Lost,
    /// It was turned away with this status.
    Status(StatusCode),
}

impl Peers {
    /// With the key that all instances share.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(key: InternalKey) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            // Instances reach each other directly, whatever the environment says of proxies.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("making the HTTP client for other instances")?;
        Ok(Self { http, key, places: Arc::default() })
    }

    /// Sends a command to the instance at this address and waits for what it led to there.
    pub async fn ask<A: Held>(&self, url: &str, target: Target, request: &Request<A::Ask>) -> Outcome<A> {
        let within = request.within.unwrap_or(WITHOUT_LIMIT);
        let Ok(place) = tokio::time::timeout(within, self.place(url)).await else { return Outcome::Overloaded };
        let body = wire::encode_command::<A>(target, request, within);
        let sent = self.send(Method::POST, url, COMMANDS, body, within + ON_THE_WAY).await;
        drop(place);
        metrics::counter!("boxoffice_forwarded_total", "led_to" => if sent.is_ok() { "answer" } else { "failure" })
            .increment(1);
        match sent {
            Ok(answer) => wire::decode_outcome(&answer).unwrap_or_else(|error| {
                tracing::error!(url, error = %error, "another instance answers what cannot be understood");
                Outcome::InDoubt
            }),
            Err(failure) => outcome_of(failure, url),
        }
    }

    /// How the partitions of the instance at this address stand.
    ///
    /// # Errors
    /// It does not answer in time, or not as it should.
    pub async fn partitions(&self, url: &str, within: Duration) -> anyhow::Result<Report> {
        let answer = self.send(Method::GET, url, PARTITIONS, Vec::new(), within).await.map_err(|failure| {
            anyhow::anyhow!(match failure {
                Failure::Unsent => "it cannot be reached".to_owned(),
                Failure::Lost => "it does not answer".to_owned(),
                Failure::Status(StatusCode::UNAUTHORIZED) =>
                    "it does not take our signature: BOXOFFICE_SECRET or the clock differs".to_owned(),
                Failure::Status(status) => format!("it answers {status}"),
            })
        })?;
        serde_json::from_slice(&answer).context("it answers something else")
    }

    async fn place(&self, url: &str) -> OwnedSemaphorePermit {
        let places = {
            let mut all = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(url.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))))
        };
        places.acquire_owned().await.expect("nobody closes it")
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        path: &str,
        body: Vec<u8>,
        within: Duration,
    ) -> Result<Vec<u8>, Failure> {
        let now_ms = clock::now().0 / 1000;
        let signature = self.key.sign(Signed { method: method.as_str(), path, body: &body }, now_ms);
        let request = self.http.request(method, format!("{url}{path}")).timeout(within);
        let request = request.headers(carried::headers()).header(signature::HEADER, signature).body(body);
        let mut response = request.send().await.map_err(|error| failure(&error))?;
        if response.status() != StatusCode::OK {
            return Err(Failure::Status(response.status()));
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| Failure::Lost)? {
            if answer.len() + chunk.len() > MAX_ANSWER {
                return Err(Failure::Lost);
            }
            answer.extend_from_slice(&chunk);
        }
        Ok(answer)
    }
}

/// A connection that was never open carried nothing.
fn failure(error: &reqwest::Error) -> Failure {
    if error.is_connect() || error.is_builder() { Failure::Unsent } else { Failure::Lost }
}

/// What a failure means for a command.
fn outcome_of<A: Held>(failure: Failure, url: &str) -> Outcome<A> {
    match failure {
        Failure::Unsent => Outcome::NotServed,
        Failure::Lost => Outcome::InDoubt,
        Failure::Status(StatusCode::SERVICE_UNAVAILABLE) => Outcome::Overloaded,
        Failure::Status(StatusCode::PAYLOAD_TOO_LARGE) => Outcome::TooLarge,
        // Turned away before anything was looked at: wrong signature, another version, or not an instance at all.
        Failure::Status(status) if status.is_client_error() => {
            tracing::error!(url, http.status = %status, "another instance does not take our commands: its secret, clock or version differs");
            Outcome::NotServed
        }
        Failure::Status(status) => {
            tracing::error!(url, http.status = %status, "another instance fails at our command");
            Outcome::InDoubt
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::CommandId;
    use domain::inventory::{self, Inventory};
    use domain::value::{Actor, Fingerprint};
    use service_kit::keys::Secret32;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use uuid::Uuid;

    use super::*;

    fn peers() -> Peers {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Peers::new(InternalKey::new(&Secret32::new([1; 32]))).unwrap()
    }

    async fn ask(url: &str) -> Outcome<Inventory> {
        let request = Request {
            ask: inventory::Command::Look,
            by: Actor::System,
            id: CommandId(Uuid::from_u128(1)),
            hash: Fingerprint::default(),
            correlation_id: Uuid::nil(),
            causation_id: Uuid::nil(),
            within: Some(Duration::from_millis(300)),
        };
        peers().ask::<Inventory>(url, Target::Id(Uuid::from_u128(2)), &request).await
    }

    /// A server that reads a request and answers this, or closes without an answer.
    async fn server(answer: Option<String>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut read = vec![0; 65_536];
                let _ = stream.read(&mut read).await.unwrap();
                if let Some(answer) = &answer {
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        url
    }

    #[tokio::test]
    async fn what_was_never_sent_was_not_carried_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        assert!(matches!(ask(&nobody).await, Outcome::NotServed));
        assert!(matches!(ask("no address").await, Outcome::NotServed));
    }

    #[tokio::test]
    async fn what_was_sent_and_not_answered_is_in_doubt() {
        assert!(matches!(ask(&server(None).await).await, Outcome::InDoubt), "closed");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let frozen = format!("http://{}", listener.local_addr().unwrap());
        assert!(matches!(ask(&frozen).await, Outcome::InDoubt), "nobody accepts, but the request is in a socket");
    }

    #[tokio::test]
    async fn a_status_says_whether_anything_can_have_happened() {
        let answers = |status: &str| Some(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}"));
        for (status, expected) in [
            ("401 Unauthorized", "NotServed"),
            ("404 Not Found", "NotServed"),
            ("409 Conflict", "NotServed"),
            ("413 Payload Too Large", "TooLarge"),
            ("503 Service Unavailable", "Overloaded"),
            ("500 Internal Server Error", "InDoubt"),
            ("200 OK", "InDoubt"),
        ] {
            let outcome = ask(&server(answers(status)).await).await;
            assert_eq!(format!("{outcome:?}"), expected, "{status}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_in_doubt() {
        let cut = "HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n{}".to_owned();
        assert!(matches!(ask(&server(Some(cut)).await).await, Outcome::InDoubt));
    }
}
