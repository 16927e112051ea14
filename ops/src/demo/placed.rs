//! An order that was acknowledged, and what its owner sees of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use domain::ids::{OrderId, PaymentId, TicketId};
use jiff::Timestamp;
use service_kit::clock;
use service_kit::views::{Order, Page as Paged, Ticket};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};

use super::Scene;
use super::payer::Page;
use super::shop::Ask;
use super::tally::{Outcome, Step};

/// How long a buyer waits for what has to come by itself.
pub const TRUST: Duration = Duration::from_secs(120);
/// Between two questions that cannot wait for news.
pub const LOOK: Duration = Duration::from_millis(500);
/// One question waits so long for news.
const NEWS_S: u32 = 5;

/// A place among those that order or pay at once. Who merely waits gives it up.
pub type Turn = OwnedSemaphorePermit;

/// An order that was acknowledged, and how its owner reads it.
pub struct Placed {
    /// As it was at first.
    pub order: Order,
    /// Who may read it.
    pub bearer: String,
    /// The consistency token of the last write.
    pub after: Option<String>,
    /// How many tickets.
    pub quantity: i32,
    /// What all buyers share.
    pub scene: Arc<Scene>,
}

impl Placed {
    /// Its id.
    pub fn id(&self) -> OrderId {
        OrderId(self.order.id)
    }

    /// The page to pay at, another one than that of `before`. `None` if the order ends before there is one.
    pub async fn page(&self, before: Option<PaymentId>) -> anyhow::Result<Option<Page>> {
        let deadline = Instant::now() + TRUST;
        while Instant::now() < deadline {
            let order = self.look("awaiting_payment").await?;
            match (Page::of(&order, before), order.status.as_str()) {
                (Some(page), "awaiting_payment") => return Ok(Some(page)),
                (_, "cancelled" | "failed") => return Ok(None),
                (_, "reserved" | "awaiting_payment") => {}
                (_, other) => bail!("the order is {other} before it was paid"),
            }
            // A second page comes without a change of status.
            if before.is_some() {
                sleep(LOOK).await;
            }
        }
        bail!("there is no page to pay at within {} s", TRUST.as_secs())
    }

    /// Fetches the tickets of a completed order.
    pub async fn tickets(&self) -> anyhow::Result<Outcome> {
        let since = clock::monotonic();
        let path = format!("/v1/orders/{}/tickets", self.id());
        let tickets: Paged<Ticket> = self.scene.shop.get(&path, Some(&self.bearer)).await?;
        self.scene.tally.took(Step::Tickets, since.elapsed());
        let valid = tickets.items.iter().filter(|ticket| ticket.status == "valid" && ticket.code.is_some());
        let valid = u32::try_from(valid.count()).unwrap_or(u32::MAX);
        self.scene.tally.handed_out(self.id(), tickets.items.iter().map(|ticket| TicketId(ticket.id)));
        let wanted = u32::try_from(self.quantity).unwrap_or(0);
        ensure!(valid == wanted, "order {}: {valid} valid tickets instead of {wanted}", self.id());
        Ok(Outcome::Completed(valid))
    }

    /// The end of an order that nobody paid in time.
    pub async fn ended(&self, turn: impl Into<Option<Turn>>) -> anyhow::Result<Outcome> {
        drop(turn.into());
        let order = self.final_order().await?;
        match (order.status.as_str(), order.refund) {
            ("cancelled" | "failed", None) => Ok(Outcome::Expired),
            ("cancelled" | "failed", Some(_)) => Ok(Outcome::RefundDue),
            (other, _) => bail!("nobody paid order {}, and it is {other}", self.id()),
        }
    }

    /// The order, once it has ended.
    pub async fn final_order(&self) -> anyhow::Result<Order> {
        let deadline = Instant::now() + TRUST;
        loop {
            let order = self.look("completed").await?;
            if matches!(order.status.as_str(), "completed" | "cancelled" | "failed") {
                return Ok(order);
            }
            ensure!(order.status != "stuck", "order {} is stuck", self.id());
            ensure!(Instant::now() < deadline, "order {} does not end: it is {}", self.id(), order.status);
        }
    }

    /// The order, once it has this status or has ended, or a few seconds later.
    pub async fn look(&self, until: &str) -> anyhow::Result<Order> {
        let path = format!("/v1/orders/{}?until={until}", self.id());
        let (bearer, after) = (Some(self.bearer.as_str()), self.after.as_deref());
        let answer = self.scene.shop.ask(Ask { path: &path, bearer, after, wait_s: NEWS_S, ..Ask::default() }).await?;
        answer.read().with_context(|| format!("GET {path}"))
    }

    /// Waits until nobody may pay any more.
    pub async fn sleep_until_over(&self) {
        sleep(until(self.order.pay_by)).await;
    }
}

/// How long it is until then.
pub fn until(moment: Timestamp) -> Duration {
    let now = Timestamp::from_microsecond(clock::now().0).unwrap_or(moment);
    Duration::try_from(moment.duration_since(now)).unwrap_or_default()
}
