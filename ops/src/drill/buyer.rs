//! One buyer: orders, pays in its own way, and looks what came of it. Whether that was right is judged from the log.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use provider_sandbox::Provider;
use serde_json::json;
use tokio::time::sleep;

use super::bank::Page;
use super::order::{Placed, place};
use super::plan::{Act, Plan};
use super::{Scene, faults};
use crate::demo::dice::Dice;

/// Whoever paid looks for the tickets for so long.
const PATIENCE: Duration = Duration::from_secs(45);
/// Whoever paid what cannot become tickets does not look for long.
const GLANCE: Duration = Duration::from_secs(2);
/// The page is gone, or the order is over before there was one.
const NO_PAGE: &str = "no page to pay at";

/// Plays one buyer to the end.
pub async fn play(scene: Arc<Scene>, number: u32) {
    let mut dice = Dice::of(scene.seed, u64::from(number));
    let plan = Plan::of(number, &mut dice);
    let act = plan.act;
    match (Buyer { scene: &scene, plan, dice }).buy().await {
        Ok(end) => scene.tally.ended(act, end),
        Err(error) => {
            scene.tally.ended(act, "went wrong");
            scene.tally.wrong(format!("buyer {number} ({act:?}): {error:#}"));
        }
    }
}

struct Buyer<'a> {
    scene: &'a Scene,
    plan: Plan,
    dice: Dice,
}

impl<'a> Buyer<'a> {
    async fn buy(&mut self) -> anyhow::Result<&'static str> {
        let mut placed = self.place().await?;
        let Some(page) = placed.page(self.plan.provider, &mut self.dice).await? else { return Ok(NO_PAGE) };
        self.ponder(3000).await;
        let end = self.pay(&mut placed, page).await?;
        if end == "tickets" {
            let tickets = placed.tickets(self.plan.quantity).await?;
            if let Some(how) = self.plan.staff {
                placed.give_back(how, &tickets).await?;
            }
        }
        Ok(end)
    }

    async fn place(&mut self) -> anyhow::Result<Placed<'a>> {
        let (scene, provider) = (self.scene, self.plan.provider);
        let stage = scene.stages.iter().find(|it| it.market == self.plan.market).context("every market has a show")?;
        scene.bank.arrange(provider, faults::draw(provider, scene.percent, &mut self.dice)).await?;
        let wish = (self.plan.number, self.plan.quantity);
        if self.plan.scarce {
            match place(scene, stage, &stage.scarce, wish, provider).await? {
                Some(placed) => return Ok(placed),
                None => scene.tally.sold_out(),
            }
        }
        place(scene, stage, &stage.plenty, wish, provider).await?.context("there are tickets for everybody")
    }

    async fn pay(&mut self, placed: &mut Placed<'a>, page: Page) -> anyhow::Result<&'static str> {
        match self.plan.act {
            Act::Pay => self.paid(placed, &page).await,
            Act::Late => self.late(placed, &page).await,
            Act::DeclinedThenOther => {
                self.scene.bank.decline(&page).await?;
                self.by_another(placed, self.plan.other).await
            }
            Act::DeclinedThenSame => {
                self.scene.bank.decline(&page).await?;
                self.again(placed, &page).await
            }
            Act::LeavesThenPays => {
                self.scene.bank.leave(&page).await?;
                self.again(placed, &page).await
            }
            Act::WalksAway => Ok("walked away"),
            Act::TwoTabs => self.both(placed, &page).await,
            Act::InParts => {
                let first = page.amount / 3;
                self.sent(placed, &page, &[first, page.amount - first]).await
            }
            Act::PartOnly => {
                self.sent(placed, &page, &[page.amount / 2]).await?;
                Ok("sent a part")
            }
            Act::RestTooLate => {
                self.sent(placed, &page, &[page.amount / 2]).await?;
                self.late(placed, &page).await
            }
            Act::TooMuch => {
                let more = page.amount + page.amount / 2;
                self.scene.bank.change(page.provider, &page.id, |script| script.wrong_amount = Some(more)).await?;
                self.paid_wrong(placed, &page).await
            }
            Act::OtherCurrency => {
                self.scene
                    .bank
                    .change(page.provider, &page.id, |script| script.currency = Some("EUR".to_owned()))
                    .await?;
                // PayOS shows other currencies nowhere but in its webhooks.
                if page.provider == Provider::Payos {
                    self.scene.bank.tell(&page).await?;
                }
                self.paid_wrong(placed, &page).await
            }
            Act::CancelsAndPays => {
                let whole = json!({});
                let (cancelled, paid) = tokio::join!(placed.cancel(), self.scene.bank.pay(&page, &whole));
                match (cancelled?, paid?) {
                    (_, true) => placed.served(GLANCE).await,
                    (cancelled, false) => {
                        ensure!(cancelled, "the page is closed, and the order is not");
                        Ok("cancelled")
                    }
                }
            }
        }
    }

    async fn paid(&self, placed: &Placed<'a>, page: &Page) -> anyhow::Result<&'static str> {
        match self.scene.bank.pay(page, &json!({})).await? {
            true => placed.served(PATIENCE).await,
            false => Ok("page closed"),
        }
    }

    async fn paid_wrong(&self, placed: &Placed<'a>, page: &Page) -> anyhow::Result<&'static str> {
        match self.scene.bank.pay(page, &json!({})).await? {
            true => placed.served(GLANCE).await,
            false => Ok("page closed"),
        }
    }

    async fn sent(&self, placed: &Placed<'a>, page: &Page, parts: &[i64]) -> anyhow::Result<&'static str> {
        for amount in parts {
            if !self.scene.bank.pay(page, &json!({"amount": amount})).await? {
                return Ok("page closed");
            }
        }
        placed.served(if parts.len() > 1 { PATIENCE } else { GLANCE }).await
    }

    /// Where a provider can end a payment for good, its page is closed then; banks are slower than that.
    async fn late(&mut self, placed: &Placed<'a>, page: &Page) -> anyhow::Result<&'static str> {
        let more = Duration::from_millis(1500 + self.dice.below(12_000));
        placed.sleep_past_pay_by(more).await;
        if self.scene.bank.pay(page, &json!({})).await? {
            return placed.served(PATIENCE).await;
        }
        match page.provider {
            Provider::Stripe | Provider::Paypal => Ok("page closed"),
            Provider::Payos | Provider::Vnpay | Provider::Zalopay => {
                ensure!(self.scene.bank.pay_late(page).await?, "the provider refuses late money");
                placed.served(PATIENCE).await
            }
        }
    }

    /// Pays on the same page where that is still open, or else by another attempt with the same provider.
    async fn again(&mut self, placed: &mut Placed<'a>, page: &Page) -> anyhow::Result<&'static str> {
        self.ponder(2000).await;
        match self.scene.bank.pay(page, &json!({})).await? {
            true => placed.served(PATIENCE).await,
            false => self.by_another(placed, self.plan.provider).await,
        }
    }

    async fn by_another(&mut self, placed: &mut Placed<'a>, provider: Provider) -> anyhow::Result<&'static str> {
        match self.another_page(placed, provider).await? {
            Some(page) => self.paid(placed, &page).await,
            None => Ok(NO_PAGE),
        }
    }

    async fn both(&mut self, placed: &mut Placed<'a>, first: &Page) -> anyhow::Result<&'static str> {
        let Some(second) = self.another_page(placed, self.plan.other).await? else {
            return self.paid(placed, first).await;
        };
        let (whole, bank) = (json!({}), &self.scene.bank);
        let (one, other) = tokio::join!(bank.pay(first, &whole), bank.pay(&second, &whole));
        match (one?, other?) {
            (false, false) => Ok("page closed"),
            _ => placed.served(PATIENCE).await,
        }
    }

    async fn another_page(&mut self, placed: &mut Placed<'a>, provider: Provider) -> anyhow::Result<Option<Page>> {
        match placed.another(provider, &mut self.dice).await? {
            true => placed.page(provider, &mut self.dice).await,
            false => Ok(None),
        }
    }

    async fn ponder(&mut self, most_ms: u64) {
        sleep(Duration::from_millis(self.dice.below(most_ms))).await;
    }
}
