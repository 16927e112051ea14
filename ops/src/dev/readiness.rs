//! Asking processes whether they can do their work.

use std::time::Duration;

use anyhow::Context as _;

/// For one question.
const ANSWER: Duration = Duration::from_secs(2);
/// How much of an answer is quoted.
const QUOTED: usize = 400;

/// Asks over HTTP.
#[derive(Debug, Clone)]
pub struct Asker(reqwest::Client);

impl Asker {
    /// No proxy, no redirects.
    ///
    /// # Errors
    /// No TLS provider is installed.
    pub fn new() -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER).redirect(reqwest::redirect::Policy::none());
        Ok(Self(client.build().context("make an HTTP client")?))
    }

    /// Why the process at this URL is not ready; `None` if it is.
    pub async fn not_ready(&self, url: &str) -> Option<String> {
        let response = match self.0.get(url).send().await {
            Ok(response) => response,
            Err(error) if error.is_timeout() => return Some(format!("no answer within {} s", ANSWER.as_secs())),
            Err(_) => return Some("does not answer".to_owned()),
        };
        let status = response.status();
        if status.is_success() {
            return None;
        }
        let body = response.text().await.unwrap_or_default();
        Some(format!("{status} {}", body.chars().take(QUOTED).collect::<String>()))
    }
}
