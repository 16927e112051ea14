//! A box office over HTTP, as support sees it.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use domain::value::Role;
use serde::Deserialize;
use serde_json::Value;
use service_kit::auth::Rules;

use crate::local::{self, LocalSecrets};
use crate::token;

/// A token for one run.
const TTL: Duration = Duration::from_secs(600);

/// Where the box office is, and who asks.
#[derive(Debug, Args)]
pub(crate) struct Where {
    /// The address of the box office [env: BOXOFFICE_URL].
    #[arg(long, env = "BOXOFFICE_URL", default_value = "http://127.0.0.1:8080", hide_env = true)]
    url: String,
    /// A bearer token of support or an admin; without it one is minted by the key of `boxctl dev`.
    #[arg(long, env = "BOXOFFICE_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

impl Where {
    /// The address, without a slash at its end.
    pub(crate) fn base(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    /// The token.
    ///
    /// # Errors
    /// There is none, and no key of `boxctl dev`.
    pub(crate) fn token(&self) -> anyhow::Result<String> {
        if let Some(token) = &self.token {
            return Ok(token.clone());
        }
        let secrets = LocalSecrets::of(&local::folder(&local_stack::find_root()?));
        let key = secrets.and_then(|secrets| secrets.signing_key()).context("BOXOFFICE_TOKEN is not set")?;
        Ok(token::mint(&key, &Rules { issuer: None, audience: None }, "boxctl", [Role::Support], TTL))
    }
}

#[derive(Debug, Deserialize)]
struct Page {
    items: Vec<Value>,
    next_cursor: Option<String>,
}

/// An HTTP client.
///
/// # Errors
/// None can be made.
pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().build().context("make an HTTP client")
}

/// Every item of a list, page by page; `prepare` finishes each request.
///
/// # Errors
/// The box office does not answer, or refuses.
pub(crate) async fn every(
    at: &Where,
    path: &str,
    query: &[(&str, String)],
    prepare: impl Fn(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
) -> anyhow::Result<Vec<Value>> {
    let (http, token) = (client()?, at.token()?);
    let (mut items, mut cursor) = (Vec::new(), None);
    loop {
        let mut query = query.to_vec();
        query.push(("limit", "200".to_owned()));
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let request = http.get(format!("{}{path}", at.base())).query(&query).bearer_auth(&token);
        let page = answered(prepare(request)).await?;
        let page: Page = serde_json::from_value(page).with_context(|| format!("read the list {path}"))?;
        items.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(items),
        }
    }
}

/// The answer's body, or what the box office said against it.
///
/// # Errors
/// The box office does not answer, or refuses.
pub(crate) async fn answered(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    body(request.send().await.context("ask the box office (is BOXOFFICE_URL right?)")?).await
}

/// The body of an answer, or what the box office said against it.
///
/// # Errors
/// The box office refused.
pub(crate) async fn body(response: reqwest::Response) -> anyhow::Result<Value> {
    let status = response.status();
    let body: Value = response.json().await.with_context(|| format!("read an answer of status {status}"))?;
    if !status.is_success() {
        let errors = body["errors"].as_array().into_iter().flatten();
        let errors: String =
            errors.map(|error| format!("; {} {}", word(&error["pointer"]), word(&error["detail"]))).collect();
        bail!("{} ({status}): {}{errors}", word(&body["title"]), word(&body["detail"]));
    }
    Ok(body)
}

/// A text as it is; a dash for anything else.
pub(crate) fn word(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}
