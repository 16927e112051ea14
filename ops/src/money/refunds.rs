//! `boxctl refund list|done`: the refunds that people have to do, and that they were done.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use service_kit::random;
use uuid::Uuid;

use crate::office::{Where, answered, client, every, word};
use crate::stack;

/// What to do with refunds.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List refunds, the oldest first: those that are due, unless asked otherwise.
    List(ListArgs),
    /// Record that a refund was done by hand.
    Done(DoneArgs),
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
    let status = match args.status {
        Status::Due => Some("due"),
        Status::Pending => Some("pending"),
        Status::Done => Some("done"),
        Status::Any => None,
    };
    let status = status.map(|status| ("status", status.to_owned()));
    let provider = args.provider.map(|provider| ("provider", provider));
    let query: Vec<_> = status.into_iter().chain(provider).collect();
    let refunds = every(&args.at, "/v1/refunds", &query, |request| request).await?;
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
