//! One buyer: comes, orders, pays in its own way, and waits for the tickets.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use domain::ids::OrderId;
use reqwest::Method;
use serde_json::{Value, json};
use service_kit::views::Order;
use service_kit::{clock, random};
use tokio::time::{Instant, sleep};

use super::Scene;
use super::dice::Dice;
use super::payer::{LATE_MS, Page, Payer};
use super::placed::{LOOK, Placed, TRUST, Turn, until};
use super::plan::{Act, Plan};
use super::shop::{Answer, Ask};
use super::stage::Stage;
use super::tally::{Outcome, Step, bump};
use super::visitor::{Pass, Visit, Visitor};

/// How long a buyer looks out for tickets that come back, at most: no longer than the checkout token is good.
const HOPE: Duration = Duration::from_secs(75);
/// More than was asked for, by who pays too much.
const EXTRA: i64 = 50_000;

/// A buyer at work.
struct Buyer {
    scene: Arc<Scene>,
    plan: Plan,
    dice: Dice,
    account: Option<String>,
}

/// Plays one buyer to the end. `account` is a bearer token for who has one.
pub async fn play(scene: Arc<Scene>, plan: Plan, account: Option<String>) {
    bump(&scene.tally.counters.joined);
    let dice = Dice::of(scene.seed.wrapping_add(1), u64::from(plan.number));
    let mut buyer = Buyer { scene: Arc::clone(&scene), plan, dice, account };
    let outcome = match buyer.buy().await {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Failed(format!("buyer {} ({:?}): {error:#}", buyer.plan.number, buyer.plan.act)),
    };
    scene.tally.ended(buyer.plan.act, outcome);
}

impl Buyer {
    async fn buy(&mut self) -> anyhow::Result<Outcome> {
        let (scene, plan, account) = (Arc::clone(&self.scene), self.plan.clone(), self.account.clone());
        let visitor = Visitor::new(&scene, &plan, account.as_deref());
        let pass = match visitor.visit().await? {
            Visit::Entered(pass) => pass,
            Visit::SoldOut => return Ok(Outcome::SoldOut),
            Visit::Left => return Ok(Outcome::Left),
            Visit::NeverEntered => return Ok(Outcome::NeverEntered),
            Visit::NeverOrdered => return Ok(Outcome::NeverOrdered),
        };
        let Some((placed, turn)) = self.place(&pass).await? else {
            visitor.give_up(&pass).await?;
            return Ok(Outcome::SoldOut);
        };
        let since = clock::monotonic();
        let Some(page) = placed.page(None).await? else { return placed.ended(turn).await };
        self.scene.tally.took(Step::Page, since.elapsed());
        bump(&self.scene.tally.counters.awaiting);
        sleep(self.plan.ponders[1]).await;
        self.pay(&placed, page, turn).await
    }

    /// Orders, and looks out for what comes back if too little is left. `None` once everything is sold, or the checkout
    /// token has ended.
    async fn place(&mut self, pass: &Pass) -> anyhow::Result<Option<(Placed, Turn)>> {
        let deadline = Instant::now() + until(pass.ends).min(HOPE);
        sleep(self.plan.ponders[0]).await;
        let classes = self.scene.stage.classes.len();
        let (mut class, mut quantity) = (self.plan.class.min(classes - 1), self.plan.quantity);
        loop {
            let turn = Arc::clone(&self.scene.turns).acquire_owned().await.expect("nobody closes it");
            let since = clock::monotonic();
            let order = OrderId(random::id());
            let answer = self.order(order, class, quantity, pass).await?;
            if answer.status.is_success() {
                self.scene.tally.took(Step::Place, since.elapsed());
                return self.placed(answer, quantity).map(|placed| Some((placed, turn)));
            }
            if answer.is("checkout-token-invalid") && until(pass.ends).is_zero() {
                return Ok(None);
            }
            ensure!(answer.is("sold-out"), "the order was refused: {} {}", answer.status, answer.body);
            bump(&self.scene.tally.counters.refusals);
            drop(turn);
            let Some(left) = self.scene.board.stock(deadline, &mut self.dice).await else { return Ok(None) };
            let known = self.scene.stage.classes.iter().position(|it| it.id == left.id);
            class = known.context("the board shows a class that we never made")?;
            quantity = self.plan.quantity.min(i32::try_from(left.available).unwrap_or(i32::MAX));
            // Who waited for a ticket wants it.
            if matches!(
                self.plan.act,
                Act::WalkAway | Act::PartOnly | Act::RestTooLate | Act::AfterExpiry | Act::TooMuch
            ) {
                self.plan.act = Act::Pay;
            }
        }
    }

    async fn order(&self, order: OrderId, class: usize, quantity: i32, pass: &Pass) -> anyhow::Result<Answer> {
        let Stage { show, classes, .. } = &self.scene.stage;
        let class = &classes[class];
        let number = self.plan.number;
        let price = json!({"amount": class.price, "currency": "VND"});
        let body = json!({
            "show": show,
            "lines": [{"ticket_class": class.id, "quantity": quantity, "unit_price": price}],
            "buyer": {"name": format!("Nguyễn Văn {number}"), "email": format!("buyer{number}@example.com")},
            "payment": {"provider": "payos", "return_url": "https://shop.example/thanks"},
        });
        // A guest's key stands for the guest, so nobody else has it.
        let (path, key) = (format!("/v1/orders/{order}"), random::opaque_id().to_string());
        let bearer = self.account.as_deref();
        let ask = Ask {
            method: Some(&Method::PUT),
            path: &path,
            body: Some(&body),
            key: Some(&key),
            bearer,
            checkout: Some(&pass.token),
            ..Ask::default()
        };
        self.scene.shop.ask(ask).await
    }

    fn placed(&self, answer: Answer, quantity: i32) -> anyhow::Result<Placed> {
        let after = answer.token.clone();
        let order: Order = answer.read().context("read the new order")?;
        self.scene.tally.acknowledged(OrderId(order.id), self.scene.stage.show);
        let bearer = self.account.clone().or_else(|| order.access_token.clone());
        let bearer = bearer.context("a guest's order came without an access token")?;
        Ok(Placed { order, bearer, after, quantity, scene: Arc::clone(&self.scene) })
    }

    async fn pay(&self, placed: &Placed, page: Page, turn: Turn) -> anyhow::Result<Outcome> {
        let payer = &self.scene.payer;
        let whole = json!({});
        let (page, how) = match self.plan.act {
            Act::WalkAway => {
                drop(turn);
                placed.sleep_until_over().await;
                return placed.ended(None).await;
            }
            Act::AfterExpiry => return self.pay_late(placed, page, turn).await,
            Act::DeclineThenPay => match self.second_page(placed, &page).await? {
                Some(second) => (second, whole),
                None => return placed.ended(turn).await,
            },
            Act::WebhookTwice => (arranged(payer, page, json!({"webhook": "twice", "delay_ms": 300})).await?, whole),
            Act::WebhookLate => (arranged(payer, page, json!({"webhook": "late", "delay_ms": LATE_MS})).await?, whole),
            Act::WebhookNever => (arranged(payer, page, json!({"webhook": "never"})).await?, whole),
            Act::InParts => {
                let first = page.amount / 3;
                let parts = json!({"parts": [first, page.amount - first]});
                (page, parts)
            }
            Act::PartOnly | Act::RestTooLate => {
                let half = json!({"amount": page.amount / 2});
                (page, half)
            }
            Act::TooMuch => {
                let more = json!({"amount": page.amount + EXTRA});
                (page, more)
            }
            Act::Pay => (page, whole),
        };
        let paid = page;
        if !payer.pay(&paid, how).await? {
            return placed.ended(turn).await;
        }
        match self.plan.act {
            Act::TooMuch => placed.ended(turn).await.map(|outcome| match outcome {
                Outcome::Expired => Outcome::Quarantined,
                other => other,
            }),
            // The rest does not come in time, so it takes until the order is over.
            Act::PartOnly => {
                drop(turn);
                self.served(placed).await
            }
            Act::RestTooLate => {
                drop(turn);
                self.served(placed).await?;
                self.send_rest(placed, &paid).await
            }
            _ => self.served(placed).await,
        }
    }

    /// Is declined, and opens a second attempt. `None` if the order ended meanwhile.
    async fn second_page(&self, placed: &Placed, page: &Page) -> anyhow::Result<Option<Page>> {
        if !self.scene.payer.decline(page).await? {
            return Ok(None);
        }
        let (path, key) = (format!("/v1/orders/{}/payments", placed.id()), random::opaque_id().to_string());
        let body = json!({"provider": "payos", "return_url": "https://shop.example/thanks"});
        let (key, bearer) = (Some(key.as_str()), Some(placed.bearer.as_str()));
        let ask = Ask { method: Some(&Method::POST), path: &path, body: Some(&body), key, bearer, ..Ask::default() };
        let answer = self.scene.shop.ask(ask).await?;
        match answer.status.as_u16() {
            200 | 201 => placed.page(Some(page.payment)).await,
            // It took so long that the order is over.
            409 => Ok(None),
            _ => bail!("a second attempt was refused: {} {}", answer.status, answer.body),
        }
    }

    async fn pay_late(&self, placed: &Placed, page: Page, turn: Turn) -> anyhow::Result<Outcome> {
        drop(turn);
        placed.sleep_until_over().await;
        let order = placed.final_order().await?;
        ensure!(order.status == "cancelled", "nobody paid, and the order is {}", order.status);
        sleep(Duration::from_secs(1)).await;
        ensure!(self.scene.payer.pay(&page, json!({"force": true})).await?, "the provider refuses late money");
        self.served(placed).await
    }

    /// The rest goes back like the part before it: then the whole sum is due.
    async fn send_rest(&self, placed: &Placed, page: &Page) -> anyhow::Result<Outcome> {
        ensure!(self.scene.payer.pay(page, json!({"force": true})).await?, "the provider refuses late money");
        let deadline = Instant::now() + TRUST;
        while Instant::now() < deadline {
            let order = placed.look("completed").await?;
            if order.refund.is_some_and(|refund| refund.amount.amount == page.amount) {
                return Ok(Outcome::RefundDue);
            }
            sleep(LOOK).await;
        }
        bail!("the rest was paid for order {}, and the refund is not the whole sum", placed.id())
    }

    /// Waits, after money was sent, for the tickets or for the refund.
    async fn served(&self, placed: &Placed) -> anyhow::Result<Outcome> {
        let since = clock::monotonic();
        let deadline = Instant::now() + TRUST;
        while Instant::now() < deadline {
            let order = placed.look("completed").await?;
            match (order.status.as_str(), &order.refund) {
                ("completed", _) => {
                    if self.plan.act != Act::AfterExpiry {
                        self.scene.tally.took(Step::Complete, since.elapsed());
                    }
                    return placed.tickets().await;
                }
                (_, Some(_)) => return Ok(Outcome::RefundDue),
                ("stuck", _) => bail!("the order is stuck"),
                // Late money may still turn into tickets or a refund.
                ("cancelled" | "failed", None) => sleep(LOOK).await,
                _ => {}
            }
        }
        bail!("money was sent for order {}, and neither tickets nor a refund came", placed.id())
    }
}

async fn arranged(payer: &Payer, page: Page, script: Value) -> anyhow::Result<Page> {
    payer.arrange(&page, script).await?;
    Ok(page)
}
