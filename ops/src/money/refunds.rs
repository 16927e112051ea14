//! `boxctl refund list|done`: the refunds that people have to do, and that they were done.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use domain::value::Role;
use serde::Deserialize;
use serde_json::{Value, json};
use service_kit::auth::Rules;
use service_kit::random;
use uuid::Uuid;

use crate::local::{self, LocalSecrets};
use crate::{stack, token};

/// A token for one run.
const TTL: std::time::Duration = std::time::Duration::from_secs(600);

/// What to do with refunds.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List refunds, the oldest first: those that are due, unless asked otherwise.
    List(ListArgs),
    /// Record that a refund was done by hand.
    Done(DoneArgs),
}

/// Where the box office is, and who asks.
#[derive(Debug, Args)]
struct Where {
    /// The address of the box office [env: BOXOFFICE_URL].
    #[arg(long, env = "BOXOFFICE_URL", default_value = "http://127.0.0.1:8080", hide_env = true)]
    url: String,
    /// A bearer token of support or an admin; without it one is minted by the key of `boxctl dev`.
    #[arg(long, env = "BOXOFFICE_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// Which refunds.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    at: Where,
    /// How they stand.
    #[arg(long, value_enum, default_value_t = Status::Due)]
    status: Status,
    /// Only of this provider.
    #[arg(long)]
    provider: Option<String>,
    /// As JSON, one refund a line.
    #[arg(long)]
    json: bool,
}

/// Which one was done, and how.
#[derive(Debug, Args)]
pub struct DoneArgs {
    #[command(flatten)]
    at: Where,
    /// The payment whose money went back.
    payment: Uuid,
    /// The bank's own name of the transfer, 1 to 128 visible ASCII characters; never the payee's name or account.
    #[arg(long)]
    reference: String,
    /// Which refund, if several of this payment are due.
    #[arg(long)]
    refund: Option<Uuid>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Status {
    /// A person has to do it.
    Due,
    /// The provider is asked.
    Pending,
    /// Done.
    Done,
    /// All of them.
    Any,
}

#[derive(Debug, Deserialize)]
struct Page {
    items: Vec<Value>,
    next_cursor: Option<String>,
}

/// Does it.
///
/// # Errors
/// The box office does not answer, or refuses.
pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(args) => list(args).await?,
        Command::Done(args) => done(args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let (http, token) = (client()?, args.at.token()?);
    let mut refunds = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", "200".to_owned())];
        let status = match args.status {
            Status::Due => Some("due"),
            Status::Pending => Some("pending"),
            Status::Done => Some("done"),
            Status::Any => None,
        };
        query.extend(status.map(|status| ("status", status.to_owned())));
        query.extend(args.provider.clone().map(|provider| ("provider", provider)));
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let request = http.get(format!("{}/v1/refunds", args.at.base())).query(&query).bearer_auth(&token);
        let page: Page = serde_json::from_value(answered(request).await?).context("read the list of refunds")?;
        refunds.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    let text = match args.json {
        true => refunds.iter().map(|refund| format!("{refund}\n")).collect(),
        false => table(&refunds),
    };
    stack::print(&text)
}

async fn done(args: DoneArgs) -> anyhow::Result<()> {
    let mut body = json!({ "reference": args.reference });
    if let Some(refund) = args.refund {
        body["refund"] = json!(refund);
    }
    let url = format!("{}/v1/refunds/{}/done", args.at.base(), args.payment);
    let request = client()?.post(url).bearer_auth(args.at.token()?);
    let request = request.header("Idempotency-Key", random::id().to_string()).json(&body);
    let settled = answered(request).await?;
    let text = match args.json {
        true => format!("{settled}\n"),
        false => format!(
            "refund {} of order {}: {} given back, as {}\n",
            word(&settled["id"]),
            word(&settled["order"]),
            money(&settled["amount"]),
            word(&settled["reference"])
        ),
    };
    stack::print(&text)
}

impl Where {
    fn base(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    fn token(&self) -> anyhow::Result<String> {
        if let Some(token) = &self.token {
            return Ok(token.clone());
        }
        let secrets = LocalSecrets::of(&local::folder(&local_stack::find_root()?));
        let key = secrets.and_then(|secrets| secrets.signing_key()).context("BOXOFFICE_TOKEN is not set")?;
        Ok(token::mint(&key, &Rules { issuer: None, audience: None }, "boxctl", [Role::Support], TTL))
    }
}

fn client() -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().build().context("make an HTTP client")
}

/// The answer's body, or what the box office said against it.
async fn answered(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let response = request.send().await.context("ask the box office (is BOXOFFICE_URL right?)")?;
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

fn table(refunds: &[Value]) -> String {
    let head = ["payment", "refund", "provider", "amount", "why", "status", "since"].map(str::to_owned);
    let row = |it: &Value| {
        let status = match it["reason"].as_str() {
            Some(reason) => format!("{} ({reason})", word(&it["status"])),
            None => word(&it["status"]),
        };
        [
            word(&it["payment"]),
            word(&it["id"]),
            word(&it["provider"]),
            money(&it["amount"]),
            word(&it["why"]),
            status,
            word(&it["requested_at"]),
        ]
    };
    let rows: Vec<_> = std::iter::once(head).chain(refunds.iter().map(row)).collect();
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(widths).enumerate().map(|(at, (cell, width))| match at {
            3 => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect::<String>() + &format!("{} refunds\n", refunds.len())
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

fn money(value: &Value) -> String {
    format!("{} {}", value["amount"], word(&value["currency"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refunds_are_shown_with_why_and_how_they_stand() {
        let due = json!({
            "id": "r1", "payment": "p1", "order": "o1", "provider": "stripe", "why": "by_staff", "status": "due",
            "amount": {"amount": 1500, "currency": "USD"}, "reason": "expired_card", "requested_at": "2026-11-22T00:00:00Z",
        });
        let text = table(&[due]);
        for shown in ["p1", "r1", "1500 USD", "by_staff", "due (expired_card)", "1 refunds"] {
            assert!(text.contains(shown), "{shown}: {text}");
        }
    }
}
