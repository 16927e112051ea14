//! A whole purchase: waits in line, enters, orders, pays at the provider, and takes the tickets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use service_kit::clock;
use tokio::time::sleep;
use uuid::Uuid;

use super::order;
use crate::plan::{Habits, Sale};
use crate::request::{Says, request};
use crate::tally::Outcome;
use crate::wire::Answer;
use crate::world::{Side, World};

/// A step that leads nowhere for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Seconds that a read may wait.
const WAIT_S: u32 = 20;
/// Between two looks at what cannot be waited for.
const AGAIN: Duration = Duration::from_millis(50);

/// Where and how it ended too early.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) step: &'static str,
    pub(super) how: String,
}

/// One buyer.
struct Buyer<'a> {
    world: &'a Arc<World>,
    sale: Sale,
    /// A subject of its own: the same account would have the same place in the line.
    guest: bool,
    bearer: String,
}

/// A page where an order can be paid.
struct Page {
    payment: String,
    link: String,
}

pub(super) async fn go(world: &Arc<World>, habits: Habits) -> Result<Outcome, Failed> {
    let sale = world.sale();
    let (fate, twice) = {
        let mut chance = world.chance();
        (chance.unit(), chance.happens(habits.twice))
    };
    let mut buyer = Buyer { world, sale, guest: true, bearer: String::new() };
    let checkout = buyer.wait_in_line().await?;
    let (order, token) = buyer.order(&checkout).await?;
    let since = clock::monotonic();
    let mut page = buyer.page(order, Some(&token), None).await?;
    world.step("payment page", since);
    if fate <= habits.walk_away {
        return Ok(Outcome::WalkedAway);
    }
    if fate <= habits.walk_away + habits.declined {
        page = buyer.decline(order, &page).await?;
    }
    let since = clock::monotonic();
    buyer.pay(&page, twice).await?;
    let paid = clock::monotonic();
    buyer.until_completed(order).await?;
    world.step("paid to completed", paid);
    world.step("pay", since);
    let since = clock::monotonic();
    let tickets = buyer.read("tickets", &format!("/v1/orders/{order}/tickets"), None, 0).await?;
    world.step("tickets", since);
    match tickets["items"].as_array().is_some_and(|items| !items.is_empty()) {
        true => Ok(Outcome::Done),
        false => Err(Failed { step: "tickets", how: "a completed order has none".to_owned() }),
    }
}

impl Buyer<'_> {
    /// Joins, waits for the turn as asked to, and enters; gives the checkout token.
    async fn wait_in_line(&self) -> Result<String, Failed> {
        let path = format!("/v1/shows/{}/queue", self.sale.show);
        let joined = clock::monotonic();
        let place = self.write("join", "POST", &path, None, &json!({})).await?;
        self.world.step("join", joined);
        let session = text(&place, "session");
        let mut ticket = text(&place, "queue_ticket");
        let mut status = text(&place, "status");
        let mut pause = place["poll_after_ms"].as_u64().unwrap_or(1000);
        let waiting = clock::monotonic();
        while status != "admitted" {
            if waiting.elapsed() > PATIENCE {
                return Err(Failed { step: "wait", how: format!("still {status}") });
            }
            sleep(Duration::from_millis(pause)).await;
            let since = clock::monotonic();
            let says = Says { ticket: Some(&ticket), ..Says::default() };
            let asked = request("GET", &format!("{path}/{session}"), says, None);
            let place = read("poll", self.world.ask(Side::Query, &asked).await, &[200])?.0;
            self.world.step("poll", since);
            (ticket, status) = (text(&place, "queue_ticket"), text(&place, "status"));
            pause = place["poll_after_ms"].as_u64().unwrap_or(1000);
            if matches!(status.as_str(), "expired" | "left" | "completed") {
                return Err(Failed { step: "wait", how: status });
            }
        }
        self.world.step("waited in line", waiting);
        let since = clock::monotonic();
        let entered =
            self.write("enter", "POST", &format!("{path}/{session}/enter"), Some(&ticket), &json!({})).await?;
        self.world.step("enter", since);
        Ok(text(&entered, "checkout_token"))
    }

    /// Orders one ticket as a guest; gives the order and the consistency token of its 201.
    async fn order(&mut self, checkout: &str) -> Result<(Uuid, String), Failed> {
        let mut asked = order::ask(self.world, Some(checkout), Some((self.sale, 0)));
        if self.guest {
            let (path, body) = (format!("/v1/orders/{}", asked.order), crate::request::order_body(self.sale, 0));
            let key = Some(self.world.chance().id());
            let says = Says { key, checkout: Some(checkout), ..Says::default() };
            asked.request = request("PUT", &path, says, Some(&body));
        }
        let since = clock::monotonic();
        let (order, answer) = read("order", self.world.ask(Side::Command, &asked.request).await, &[201])?;
        self.world.step("order", since);
        self.world.acknowledge(asked.order, self.sale.show);
        self.bearer = format!("Bearer {}", text(&order, "access_token"));
        Ok((asked.order, answer.token.unwrap_or_default()))
    }

    /// Waits for a page to pay at, another one than before.
    async fn page(&self, order: Uuid, after: Option<&str>, before: Option<&str>) -> Result<Page, Failed> {
        let since = clock::monotonic();
        loop {
            let path = format!("/v1/orders/{order}?until=awaiting_payment");
            let seen = self.read("payment page", &path, after, WAIT_S).await?;
            let open = seen["payments"].as_array().into_iter().flatten().rev().find_map(|payment| {
                let (id, url) = (payment["id"].as_str()?, payment["url"].as_str()?);
                let link = url.rsplit('/').next()?.to_owned();
                (Some(id) != before).then(|| Page { payment: id.to_owned(), link })
            });
            if let Some(page) = open {
                return Ok(page);
            }
            patient("payment page", since, &text(&seen, "status"))?;
            sleep(AGAIN).await;
        }
    }

    /// Is declined, and opens a second attempt.
    async fn decline(&self, order: Uuid, page: &Page) -> Result<Page, Failed> {
        self.at_provider("decline", "POST", page, "fail", &json!({})).await?;
        let since = clock::monotonic();
        let (body, path) = (
            json!({"provider": "payos", "return_url": "https://shop.example/thanks"}),
            format!("/v1/orders/{order}/payments"),
        );
        self.write("second attempt", "POST", &path, None, &body).await?;
        let second = self.page(order, None, Some(&page.payment)).await?;
        self.world.step("second attempt", since);
        Ok(second)
    }

    async fn pay(&self, page: &Page, twice: bool) -> Result<(), Failed> {
        if twice {
            let script = json!({"webhook": "twice", "delay_ms": 300});
            self.at_provider("arrange", "PUT", page, "script", &script).await?;
        }
        self.at_provider("pay", "POST", page, "pay", &json!({})).await
    }

    async fn until_completed(&self, order: Uuid) -> Result<(), Failed> {
        let since = clock::monotonic();
        loop {
            let path = format!("/v1/orders/{order}?until=completed");
            let seen = self.read("completed", &path, None, WAIT_S).await?;
            match seen["status"].as_str() {
                Some("completed") => return Ok(()),
                Some("cancelled" | "failed" | "stuck") => {
                    return Err(Failed { step: "completed", how: text(&seen, "status") });
                }
                _ => patient("completed", since, &text(&seen, "status"))?,
            }
        }
    }

    async fn at_provider(
        &self,
        step: &'static str,
        method: &str,
        page: &Page,
        what: &str,
        body: &Value,
    ) -> Result<(), Failed> {
        let path = format!("/_control/payments/{}/{what}", page.link);
        let asked = request(method, &path, Says::default(), Some(body.to_string().as_bytes()));
        read(step, self.world.ask(Side::Sandbox, &asked).await, &[200]).map(drop)
    }

    async fn write(
        &self,
        step: &'static str,
        method: &str,
        path: &str,
        ticket: Option<&str>,
        body: &Value,
    ) -> Result<Value, Failed> {
        let key = Some(self.world.chance().id());
        let bearer = (!self.bearer.is_empty()).then_some(self.bearer.as_str());
        let asked =
            request(method, path, Says { key, ticket, bearer, ..Says::default() }, Some(body.to_string().as_bytes()));
        read(step, self.world.ask(Side::Command, &asked).await, &[200, 201]).map(|(value, _)| value)
    }

    async fn read(&self, step: &'static str, path: &str, after: Option<&str>, wait_s: u32) -> Result<Value, Failed> {
        let says = Says { bearer: Some(&self.bearer), after, wait_s, ..Says::default() };
        let answer = self.world.ask(Side::Query, &request("GET", path, says, None)).await;
        read(step, answer, &[200]).map(|(value, _)| value)
    }
}

fn patient(step: &'static str, since: Instant, status: &str) -> Result<(), Failed> {
    match since.elapsed() > PATIENCE {
        true => Err(Failed { step, how: format!("still {status}") }),
        false => Ok(()),
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn read(
    step: &'static str,
    answer: Result<Answer, crate::client::ClientError>,
    wanted: &[u16],
) -> Result<(Value, Answer), Failed> {
    match answer {
        Err(error) => Err(Failed { step, how: error.kind().to_owned() }),
        Ok(answer) if wanted.contains(&answer.status) => {
            let value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
            Ok((value, answer))
        }
        Ok(answer) => {
            let problem = match Outcome::of(&Ok(answer), wanted) {
                Outcome::Failed(what) | Outcome::Refused { what, .. } => what,
                Outcome::Done | Outcome::SoldOut | Outcome::WalkedAway => "409 sold-out".to_owned(),
            };
            Err(Failed { step, how: problem })
        }
    }
}
