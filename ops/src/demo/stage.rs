//! Puts the show on sale, as an organizer and an admin would.

use std::time::Duration;

use anyhow::{Context as _, bail};
use domain::ids::{ShowId, TicketClassId};
use domain::value::Role;
use reqwest::Method;
use serde_json::{Value, json};
use service_kit::random;
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
pub async fn set(shop: &Shop, dev: &Running, tickets: u32, pay_within_s: u64) -> anyhow::Result<Stage> {
    let organizer = dev.token("demo-organizer", &[Role::Organizer])?;
    let admin = dev.token("demo-admin", &[Role::Admin])?;
    let (show, classes) = (ShowId(random::id()), classes(tickets));
    let path = format!("/v1/shows/{show}");
    write(shop, &organizer, Method::PUT, &path, &show_body()).await?;
    for class in &classes {
        let path = format!("{path}/ticket-classes/{}", class.id);
        write(shop, &organizer, Method::PUT, &path, &class_body(class)).await?;
    }
    let configuration = json!({"pay_within_s": pay_within_s});
    write(shop, &organizer, Method::POST, &format!("{path}/configure"), &configuration).await?;
    write(shop, &admin, Method::POST, &format!("{path}/approve"), &json!({})).await?;
    write(shop, &organizer, Method::POST, &format!("{path}/publish"), &json!({})).await?;
    opened(shop, show, classes.len()).await?;
    Ok(Stage { show, classes })
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

async fn write(shop: &Shop, bearer: &str, method: Method, path: &str, body: &Value) -> anyhow::Result<Answer> {
    let key = random::id().to_string();
    let ask =
        Ask { method: Some(&method), path, body: Some(body), key: Some(&key), bearer: Some(bearer), ..Ask::default() };
    let answer = shop.ask(ask).await?;
    if !answer.status.is_success() {
        bail!("{method} {path}: {} {}", answer.status, answer.body);
    }
    Ok(answer)
}

/// The saga opens the sale, and then the read model learns of it.
async fn opened(shop: &Shop, show: ShowId, classes: usize) -> anyhow::Result<()> {
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
