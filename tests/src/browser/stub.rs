//! Answers in place of a service, where a test needs some that the service gives only rarely.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::devtools::DevTools;

/// A request of the page.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its method.
    pub method: String,
    headers: Value,
}

impl Asked {
    /// A header, however it is written.
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.headers.as_object()?;
        headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_str())
    }
}

/// What becomes of it.
#[derive(Debug, Clone)]
pub enum Reply {
    /// It goes on to the service.
    Pass,
    /// Nothing comes back, as without a network.
    CutOff,
    /// This status, `Retry-After` and problem come back.
    Problem(u16, Option<u32>, Value),
}

/// Begins to answer.
///
/// # Errors
/// The browser does not let us.
pub async fn begin(
    devtools: &DevTools,
    like: &str,
    mut reply: impl FnMut(Asked) -> Reply + Send + 'static,
) -> anyhow::Result<()> {
    let mut events = devtools.events();
    devtools.call("Fetch.enable", &json!({"patterns": [{"urlPattern": like}]})).await?;
    let devtools = devtools.clone();
    tokio::spawn(async move {
        while let Ok(event) = events.recv().await {
            if event["method"] != "Fetch.requestPaused" {
                continue;
            }
            let (id, request) = (&event["params"]["requestId"], &event["params"]["request"]);
            let method = request["method"].as_str().unwrap_or_default().to_owned();
            let (command, parameters) = told(id, reply(Asked { method, headers: request["headers"].clone() }));
            // The page may have gone elsewhere meanwhile.
            drop(devtools.call(command, &parameters).await);
        }
    });
    Ok(())
}

fn told(id: &Value, reply: Reply) -> (&'static str, Value) {
    match reply {
        Reply::Pass => ("Fetch.continueRequest", json!({"requestId": id})),
        Reply::CutOff => ("Fetch.failRequest", json!({"requestId": id, "errorReason": "InternetDisconnected"})),
        Reply::Problem(status, retry_after, problem) => {
            let mut headers = vec![json!({"name": "content-type", "value": "application/problem+json"})];
            headers.extend(retry_after.map(|after| json!({"name": "retry-after", "value": after.to_string()})));
            let body = BASE64_STANDARD.encode(problem.to_string());
            let answer = json!({"requestId": id, "responseCode": status, "responseHeaders": headers, "body": body});
            ("Fetch.fulfillRequest", answer)
        }
    }
}
