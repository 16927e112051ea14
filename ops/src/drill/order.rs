//! An order as its buyer sees it: placed, looked at, paid by another attempt, cancelled; and what staff does with it.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use domain::ids::{OrderId, TicketId};
use jiff::Timestamp;
use provider_sandbox::Provider;
use reqwest::Method;
use serde_json::{Value, json};
use service_kit::views::{Order, Page as Paged, Ticket};
use service_kit::{clock, random};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::bank::Page;
use super::plan::Staff;
use super::stage::{Class, Stage};
use super::{Scene, faults};
use crate::demo::dice::Dice;
use crate::demo::shop::{Answer, Ask};

/// A page to pay at comes within so long, or the order ends.
const TRUST: Duration = Duration::from_secs(150);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(1500);
/// One look waits so long for news.
const NEWS_S: u32 = 5;

/// An order that was acknowledged, and what its buyer has of it.
pub struct Placed<'a> {
    scene: &'a Scene,
    id: OrderId,
    bearer: String,
    after: Option<String>,
    /// Until when it can be paid.
    pub pay_by: Timestamp,
    /// Attempts whose pages were opened.
    seen: Vec<Uuid>,
}

/// Orders so many tickets of a class. `None` if too little is left.
///
/// # Errors
/// It is refused for another reason, or not answered.
pub async fn place<'a>(
    scene: &'a Scene,
    stage: &Stage,
    class: &Class,
    (number, quantity): (u32, i64),
    provider: Provider,
) -> anyhow::Result<Option<Placed<'a>>> {
    let id = OrderId(random::id());
    let price = json!({"amount": class.price, "currency": stage.market.currency()});
    let body = json!({
        "show": stage.show,
        "lines": [{"ticket_class": class.id, "quantity": quantity, "unit_price": price}],
        "buyer": {"name": format!("Trần Thị {number}"), "email": format!("buyer{number}@example.com")},
        "payment": payment(provider),
    });
    // A guest's key stands for the guest, so nobody else has it.
    let key = random::opaque_id().to_string();
    let answer = write(scene, Method::PUT, &format!("/v1/orders/{id}"), &body, (&key, None)).await?;
    if answer.is("sold-out") {
        return Ok(None);
    }
    let after = answer.token.clone();
    let order: Order = answer.read().context("place an order")?;
    scene.tally.acknowledged(id, stage.show);
    let bearer = order.access_token.context("a guest's order came without an access token")?;
    Ok(Some(Placed { scene, id, bearer, after, pay_by: order.pay_by, seen: Vec::new() }))
}

fn payment(provider: Provider) -> Value {
    json!({
        "provider": provider, "return_url": "https://shop.example/thanks", "cancel_url": "https://shop.example/back"
    })
}

async fn write(
    scene: &Scene,
    method: Method,
    path: &str,
    body: &Value,
    (key, bearer): (&str, Option<&str>),
) -> anyhow::Result<Answer> {
    let ask = Ask { method: Some(&method), path, body: Some(body), key: Some(key), bearer, ..Ask::default() };
    scene.shop.ask(ask).await
}

impl Placed<'_> {
    /// By what its buyer may look at it.
    pub fn pass(&self) -> (OrderId, String) {
        (self.id, self.bearer.clone())
    }

    /// A page to pay at that was not opened before. Where an attempt fails before there is a page, another one is made
    /// with this provider, as people do. `None` if the order ends first.
    ///
    /// # Errors
    /// Nothing comes of it within two and a half minutes.
    pub async fn page(&mut self, provider: Provider, dice: &mut Dice) -> anyhow::Result<Option<Page>> {
        let deadline = Instant::now() + TRUST;
        while Instant::now() < deadline {
            let order = self.look("awaiting_payment").await?;
            if is_over(&order) || order.status == "completed" {
                return Ok(None);
            }
            let new = order.payments.iter().rev().find(|it| !self.seen.contains(&it.id) && it.url.is_some());
            if let Some(attempt) = new {
                self.seen.push(attempt.id);
                let provider = Provider::named(&attempt.provider).context("an attempt has a provider")?;
                let url = attempt.url.as_deref().unwrap_or_default();
                return self.scene.bank.open(provider, url, attempt.amount.amount).await;
            }
            let given_up = |status: &str| matches!(status, "failed" | "expired");
            let hopeless = !order.payments.is_empty() && order.payments.iter().all(|it| given_up(&it.status));
            if hopeless && !self.another(provider, dice).await? {
                return Ok(None);
            }
            sleep(LOOK).await;
        }
        bail!("order {} has no page to pay at within {} s, and does not end", self.id, TRUST.as_secs())
    }

    /// Opens another attempt. False if it is too late for one.
    ///
    /// # Errors
    /// It is refused for another reason.
    pub async fn another(&self, provider: Provider, dice: &mut Dice) -> anyhow::Result<bool> {
        self.scene.bank.arrange(provider, faults::draw(provider, self.scene.percent, dice)).await?;
        let path = format!("/v1/orders/{}/payments", self.id);
        let answer = self.write(&path, &payment(provider)).await?;
        match answer.status.as_u16() {
            200 | 201 => Ok(true),
            409 => Ok(false),
            _ => bail!("another attempt was refused: {} {}", answer.status, answer.body),
        }
    }

    /// Cancels it. False if it is paid or over.
    ///
    /// # Errors
    /// It is refused for another reason.
    pub async fn cancel(&self) -> anyhow::Result<bool> {
        let answer = self.write(&format!("/v1/orders/{}/cancel", self.id), &json!({})).await?;
        match answer.status.as_u16() {
            200 => Ok(true),
            409 => Ok(false),
            _ => bail!("the buyer could not cancel: {} {}", answer.status, answer.body),
        }
    }

    /// Waits, after money was sent, for tickets, a refund, or the order's end; so long as that, or somebody gets on with
    /// other things.
    ///
    /// # Errors
    /// The shop does not answer.
    pub async fn served(&self, patience: Duration) -> anyhow::Result<&'static str> {
        let deadline = Instant::now() + patience;
        loop {
            let order = self.look("completed").await?;
            match (order.status.as_str(), &order.refund) {
                ("completed", _) => return Ok("tickets"),
                (_, Some(_)) => return Ok("money back"),
                _ if Instant::now() < deadline => sleep(LOOK).await,
                ("cancelled" | "failed", None) => return Ok("order over"),
                _ => return Ok("still waiting"),
            }
        }
    }

    /// Fetches the tickets.
    ///
    /// # Errors
    /// The shop does not answer, or they are not those that were bought.
    pub async fn tickets(&self, quantity: i64) -> anyhow::Result<Vec<TicketId>> {
        let path = format!("/v1/orders/{}/tickets", self.id);
        let tickets: Paged<Ticket> = self.scene.shop.get(&path, Some(&self.bearer)).await?;
        let valid = tickets.items.iter().filter(|ticket| ticket.status == "valid" && ticket.code.is_some());
        let valid: Vec<TicketId> = valid.map(|ticket| TicketId(ticket.id)).collect();
        self.scene.tally.handed_out(self.id, valid.iter().copied());
        ensure!(valid.len() as i64 == quantity, "order {}: {} tickets instead of {quantity}", self.id, valid.len());
        Ok(valid)
    }

    /// Staff gives money back: for the whole order, or for the first of these tickets.
    ///
    /// # Errors
    /// It is refused.
    pub async fn give_back(&self, how: Staff, tickets: &[TicketId]) -> anyhow::Result<()> {
        let (how, body) = match (how, tickets) {
            (Staff::OneTicket, [first, _, ..]) => (how, json!({"tickets": [first]})),
            _ => (Staff::Whole, json!({})),
        };
        let key = random::opaque_id().to_string();
        let (path, bearer) = (format!("/v1/orders/{}/refunds", self.id), Some(self.scene.support.as_str()));
        let answer = write(self.scene, Method::POST, &path, &body, (&key, bearer)).await?;
        ensure!(answer.status.is_success(), "staff could not give back: {} {}", answer.status, answer.body);
        self.scene.tally.gave_back(how);
        Ok(())
    }

    /// Waits until so long after nobody may pay any more.
    pub async fn sleep_past_pay_by(&self, more: Duration) {
        let now = Timestamp::from_microsecond(clock::now().0).unwrap_or(self.pay_by);
        let left = Duration::try_from(self.pay_by.duration_since(now)).unwrap_or_default();
        sleep(left + more).await;
    }

    async fn look(&self, until: &str) -> anyhow::Result<Order> {
        let path = format!("/v1/orders/{}?until={until}", self.id);
        let (bearer, after) = (Some(self.bearer.as_str()), self.after.as_deref());
        let ask = Ask { path: &path, bearer, after, wait_s: NEWS_S, ..Ask::default() };
        self.scene.shop.ask(ask).await?.read().with_context(|| format!("GET {path}"))
    }

    async fn write(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        let key = random::opaque_id().to_string();
        write(self.scene, Method::POST, path, body, (&key, Some(&self.bearer))).await
    }
}

fn is_over(order: &Order) -> bool {
    matches!(order.status.as_str(), "cancelled" | "failed")
}
