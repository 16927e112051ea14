//! The buyer at the payment provider: what a person would click there, and what is arranged to go wrong.

use anyhow::{Context as _, bail};
use domain::ids::PaymentId;
use reqwest::Method;
use serde_json::{Value, json};
use service_kit::views::Order;

use super::shop::{Ask, Shop};

/// A late webhook comes so long after the money.
pub const LATE_MS: u64 = 4000;

/// The page of one attempt to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The attempt.
    pub payment: PaymentId,
    /// What the provider calls it.
    pub link: String,
    /// What is to be paid.
    pub amount: i64,
}

impl Page {
    /// The page that an order offers now, beside one that was seen before.
    pub fn of(order: &Order, before: Option<PaymentId>) -> Option<Self> {
        let open = order
            .payments
            .iter()
            .rev()
            .find(|payment| Some(PaymentId(payment.id)) != before && payment.url.is_some())?;
        let link = open.url.as_deref()?.rsplit('/').next()?.to_owned();
        Some(Self { payment: PaymentId(open.id), link, amount: open.amount.amount })
    }
}

/// The payment sandbox's control API.
#[derive(Debug, Clone)]
pub struct Payer(Shop);

impl Payer {
    /// The sandbox behind this client.
    pub fn new(sandbox: Shop) -> Self {
        Self(sandbox)
    }

    /// Arranges what goes wrong with a payment.
    ///
    /// # Errors
    /// The sandbox refuses.
    pub async fn arrange(&self, page: &Page, script: Value) -> anyhow::Result<()> {
        self.done(Method::PUT, page, "script", script).await?;
        Ok(())
    }

    /// Lets money arrive. False if the page is closed.
    ///
    /// # Errors
    /// The sandbox refuses for another reason.
    pub async fn pay(&self, page: &Page, how: Value) -> anyhow::Result<bool> {
        self.done(Method::POST, page, "pay", how).await
    }

    /// Has the payment declined. False if the page is closed.
    ///
    /// # Errors
    /// The sandbox refuses for another reason.
    pub async fn decline(&self, page: &Page) -> anyhow::Result<bool> {
        self.done(Method::POST, page, "fail", json!({})).await
    }

    async fn done(&self, method: Method, page: &Page, what: &str, body: Value) -> anyhow::Result<bool> {
        let path = format!("/_control/payments/{}/{what}", page.link);
        let answer = self.0.ask(Ask { method: Some(&method), path: &path, body: Some(&body), ..Ask::default() }).await;
        let answer = answer.context("ask the payment sandbox")?;
        match answer.status.as_u16() {
            200 => Ok(true),
            409 => Ok(false),
            _ => bail!("the payment sandbox: {what}: {} {}", answer.status, answer.body),
        }
    }
}

/// What the provider told, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Webhooks {
    /// Delivered.
    pub delivered: u64,
    /// Movements of money that were told more than once.
    pub twice: u64,
    /// Movements of money that were told late.
    pub late: u64,
    /// Movements of money that were never told.
    pub never: u64,
    /// Still to be told.
    pub waiting: u64,
    /// Tries that failed.
    pub failed_tries: u64,
}

impl Payer {
    /// Counts every webhook that there was.
    ///
    /// # Errors
    /// The sandbox does not answer.
    pub async fn webhooks(&self) -> anyhow::Result<Webhooks> {
        let mut all = Vec::new();
        let mut cursor = 0;
        loop {
            let path = format!("/_control/deliveries?limit=1000&cursor={cursor}");
            let page: Value = self.0.get(&path, None).await?;
            all.extend(page["deliveries"].as_array().cloned().unwrap_or_default());
            match page["next_cursor"].as_u64() {
                Some(next) => cursor = next,
                None => return Ok(counted(&all)),
            }
        }
    }
}

fn counted(deliveries: &[Value]) -> Webhooks {
    let mut webhooks = Webhooks::default();
    let mut by_reference = std::collections::BTreeMap::<&str, u64>::new();
    for delivery in deliveries {
        let tries = delivery["attempts"].as_array().map_or(0, Vec::len) as u64;
        match delivery["state"].as_str() {
            Some("delivered") => {
                webhooks.delivered += 1;
                webhooks.failed_tries += tries.saturating_sub(1);
                *by_reference.entry(delivery["reference"].as_str().unwrap_or_default()).or_default() += 1;
                webhooks.late += u64::from(is_late(delivery));
            }
            Some("suppressed") => webhooks.never += 1,
            Some("waiting") => {
                webhooks.waiting += 1;
                webhooks.failed_tries += tries;
            }
            _ => webhooks.failed_tries += tries,
        }
    }
    webhooks.twice = by_reference.values().filter(|count| **count > 1).count() as u64;
    webhooks
}

/// Whether the first try came long after the money did, by the body's own time of the transfer.
fn is_late(delivery: &Value) -> bool {
    let due = delivery["attempts"][0]["at"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let moved = delivery["body"].as_str().and_then(moved_at);
    let late_ms = i64::try_from(LATE_MS / 2).unwrap_or(i64::MAX);
    due.zip(moved).is_some_and(|(due, moved)| due.duration_since(moved).as_millis() > i128::from(late_ms))
}

/// PayOS writes the time of a transfer in Vietnam's, without saying so.
fn moved_at(body: &str) -> Option<jiff::Timestamp> {
    let body: Value = serde_json::from_str(body).ok()?;
    let local: jiff::civil::DateTime = body["data"]["transactionDateTime"].as_str()?.replace(' ', "T").parse().ok()?;
    jiff::tz::Offset::constant(7).to_timestamp(local).ok()
}
