//! Puts two shows on sale: one in dong, one in dollars, each with a class that nearly everybody gets a ticket of, and one
//! that few do.

use anyhow::Context as _;
use domain::ids::{ShowId, TicketClassId};
use domain::value::Role;
use reqwest::Method;
use serde_json::json;
use service_kit::random;

use super::plan::Market;
use crate::demo::shop::Shop;
use crate::demo::stage::{opened, write};
use crate::dev::Running;

/// An order has at most so many tickets.
const MOST: i64 = 3;

/// A show that is sold.
#[derive(Debug, Clone)]
pub struct Stage {
    /// In what.
    pub market: Market,
    /// Its id.
    pub show: ShowId,
    /// Of which there are enough.
    pub plenty: Class,
    /// Of which there are not.
    pub scarce: Class,
}

/// A class of it.
#[derive(Debug, Clone)]
pub struct Class {
    /// Its id.
    pub id: TicketClassId,
    name: &'static str,
    /// Of one ticket, minor units.
    pub price: i64,
    capacity: i64,
}

/// Creates a show for so many orders, has it approved and published, and waits until it is on sale.
///
/// # Errors
/// A step is refused, or the sale does not open.
pub async fn set(shop: &Shop, dev: &Running, market: Market, orders: u32, pay_within_s: u32) -> anyhow::Result<Stage> {
    let (organizer, admin) = (organizer(dev)?, dev.token("drill-admin", &[Role::Admin])?);
    let prices = match market {
        Market::Vnd => (350_000, 1_500_000),
        Market::Usd => (2_500, 12_000),
    };
    let class = |name, price, capacity| Class { id: TicketClassId(random::id()), name, price, capacity };
    let (plenty, scarce) = (i64::from(orders) * MOST, (i64::from(orders) / 25).max(2 * MOST));
    let (plenty, scarce) = (class("GA", prices.0, plenty), class("Box", prices.1, scarce));
    let show = ShowId(random::id());
    let (path, currency) = (format!("/v1/shows/{show}"), market.currency());
    let details = json!({
        "name": format!("Drill {currency}"), "description": "A drill of payments.", "starts_at": "2030-06-01T12:00:00Z",
        "ends_at": "2030-06-01T15:00:00Z", "time_zone": "Asia/Ho_Chi_Minh",
        "venue": {"name": "Mỹ Đình", "city": "Hà Nội"}, "currency": currency, "categories": ["drill"]
    });
    write(shop, &organizer, Method::PUT, &path, &details).await?;
    for class in [&plenty, &scarce] {
        let body = json!({
            "name": class.name, "price": {"amount": class.price, "currency": currency}, "capacity": class.capacity,
            "max_per_order": MOST
        });
        write(shop, &organizer, Method::PUT, &format!("{path}/ticket-classes/{}", class.id), &body).await?;
    }
    write(shop, &organizer, Method::POST, &format!("{path}/configure"), &json!({"pay_within_s": pay_within_s})).await?;
    write(shop, &admin, Method::POST, &format!("{path}/approve"), &json!({})).await?;
    write(shop, &organizer, Method::POST, &format!("{path}/publish"), &json!({})).await?;
    opened(shop, show, 2).await.with_context(|| format!("open the sale in {currency}"))?;
    Ok(Stage { market, show, plenty, scarce })
}

/// A token of whoever runs the shows.
///
/// # Errors
/// Somebody broke the file of secrets.
pub fn organizer(dev: &Running) -> anyhow::Result<String> {
    dev.token("drill-organizer", &[Role::Organizer])
}
