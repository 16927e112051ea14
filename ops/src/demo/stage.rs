//! Puts the show on sale, as an organizer and an admin would.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args as ClapArgs;
use domain::ids::{ShowId, TicketClassId};
use domain::value::Role;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use service_kit::{clock, random};
use tokio::time::{Instant, sleep};

use super::board::Availability;
use super::shop::{Answer, Ask, Shop};
use crate::dev::Running;

/// The sale opens within so long.
const OPENS: Duration = Duration::from_secs(30);

/// The show that is sold.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Its id.
    pub show: ShowId,
    /// Its classes.
    pub classes: Vec<Class>,
    /// When its waiting room opens; open from the beginning if left out.
    pub opens_at: Option<Timestamp>,
}

/// How the show's waiting room is run.
#[derive(Debug, Clone, ClapArgs)]
pub struct Room {
    /// Visitors that may be admitted or ordering at once.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub slots: u32,
    /// Visitors that are admitted in one round at most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=400))]
    pub admission_batch: u32,
    /// Milliseconds between two rounds.
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(10..=60_000))]
    pub tick: u32,
    /// Seconds that an admitted visitor has to enter.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub enter_within: u32,
    /// Seconds that a checkout token is good for.
    #[arg(long, value_name = "SECONDS", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub token_ttl: u32,
    /// Seconds until the waiting room opens; who comes before takes part in the draw. 0: it is open from the beginning.
    #[arg(long, value_name = "SECONDS", default_value_t = 12)]
    pub opens_after: u32,
}

impl Room {
    fn opens_at(&self) -> Option<Timestamp> {
        let now = Timestamp::from_microsecond(clock::now().0).ok()?;
        let after = Duration::from_secs(u64::from(self.opens_after));
        (self.opens_after > 0).then(|| now.checked_add(after).ok()).flatten()
    }

    fn body(&self, opens_at: Option<Timestamp>) -> Value {
        json!({
            "enabled": true, "opens_at": opens_at, "slots": self.slots, "admission_batch": self.admission_batch,
            "tick_ms": self.tick, "enter_s": self.enter_within, "token_ttl_s": self.token_ttl, "away_grace_s": 120
        })
    }
}

/// A class of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Its id.
    pub id: TicketClassId,
    /// Its name.
    pub name: &'static str,
    /// Of one ticket, VND.
    pub price: i64,
    /// How many there are.
    pub capacity: i64,
}

/// 70 % general admission, 25 % seated, 5 % VIP.
pub fn classes(tickets: u32) -> Vec<Class> {
    let tickets = i64::from(tickets);
    let (seated, vip) = (tickets / 4, tickets / 20);
    let class = |name, price, capacity| Class { id: TicketClassId(random::id()), name, price, capacity };
    let all = vec![
        class("GA", 350_000, tickets - seated - vip),
        class("Seated", 650_000, seated),
        class("VIP", 1_500_000, vip),
    ];
    // A small hall has no box.
    all.into_iter().filter(|class| class.capacity > 0).collect()
}

/// Creates the show, has it approved, publishes it, and waits until it is on sale.
///
/// # Errors
/// A step is refused, or the sale does not open.
pub async fn set(shop: &Shop, dev: &Running, tickets: u32, pay_within_s: u64, room: &Room) -> anyhow::Result<Stage> {
    let organizer = dev.token("demo-organizer", &[Role::Organizer])?;
    let admin = dev.token("demo-admin", &[Role::Admin])?;
    let (show, classes) = (ShowId(random::id()), classes(tickets));
    let path = format!("/v1/shows/{show}");
    write(shop, &organizer, Method::PUT, &path, &show_body()).await?;
    for class in &classes {
        let path = format!("{path}/ticket-classes/{}", class.id);
        write(shop, &organizer, Method::PUT, &path, &class_body(class)).await?;
    }
    let opens_at = room.opens_at();
    let configuration = json!({"pay_within_s": pay_within_s, "waiting_room": room.body(opens_at)});
    write(shop, &organizer, Method::POST, &format!("{path}/configure"), &configuration).await?;
    write(shop, &admin, Method::POST, &format!("{path}/approve"), &json!({})).await?;
    write(shop, &organizer, Method::POST, &format!("{path}/publish"), &json!({})).await?;
    opened(shop, show, classes.len()).await?;
    Ok(Stage { show, classes, opens_at })
}

fn show_body() -> Value {
    json!({
        "name": "Đêm Hà Nội", "description": "A demonstration of a sell-out.",
        "starts_at": "2030-06-01T12:00:00Z", "ends_at": "2030-06-01T15:00:00Z", "time_zone": "Asia/Ho_Chi_Minh",
        "venue": {"name": "Sân vận động Mỹ Đình", "city": "Hà Nội"}, "currency": "VND", "categories": ["concert"]
    })
}

fn class_body(class: &Class) -> Value {
    let price = json!({"amount": class.price, "currency": "VND"});
    json!({"name": class.name, "price": price, "capacity": class.capacity, "max_per_order": 4})
}

/// Writes as this account.
///
/// # Errors
/// It is refused, or not answered.
pub async fn write(shop: &Shop, bearer: &str, method: Method, path: &str, body: &Value) -> anyhow::Result<Answer> {
    let key = random::id().to_string();
    let ask =
        Ask { method: Some(&method), path, body: Some(body), key: Some(&key), bearer: Some(bearer), ..Ask::default() };
    let answer = shop.ask(ask).await?;
    if !answer.status.is_success() {
        bail!("{method} {path}: {} {}", answer.status, answer.body);
    }
    Ok(answer)
}

/// Waits until everybody sees the show with all its classes on sale: the saga opens the sale, and then the read model
/// learns of it.
///
/// # Errors
/// They do not within half a minute.
pub async fn opened(shop: &Shop, show: ShowId, classes: usize) -> anyhow::Result<()> {
    let deadline = Instant::now() + OPENS;
    loop {
        let path = format!("/v1/shows/{show}/availability");
        let answer = shop.ask(Ask { path: &path, ..Ask::default() }).await?;
        if answer.status.is_success() {
            let seen: Availability = answer.read().context("read the availability")?;
            if seen.classes.len() == classes && seen.classes.iter().all(|class| class.status == "on_sale") {
                return Ok(());
            }
        }
        if Instant::now() >= deadline {
            bail!("the show is not on sale within {} s", OPENS.as_secs());
        }
        sleep(Duration::from_millis(100)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classes_make_up_all_tickets() {
        for tickets in [1000, 101, 7, 1] {
            let classes = classes(tickets);
            assert_eq!(classes.iter().map(|class| class.capacity).sum::<i64>(), i64::from(tickets));
        }
        assert_eq!(classes(10).len(), 2, "nothing is sold out from the beginning");
        assert_eq!(classes(1000).iter().map(|class| class.capacity).collect::<Vec<_>>(), [700, 250, 50]);
    }
}
