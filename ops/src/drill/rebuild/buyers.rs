//! People who buy at a modest rate, and how long they wait: for the order to be taken, and until they see it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use domain::ids::{OrderId, ShowId, TicketClassId};
use domain::value::Role;
use reqwest::Method;
use serde_json::json;
use service_kit::views::Order;
use service_kit::{clock, random};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::demo::shop::{Ask, Shop};
use crate::demo::stage::{opened, write};
use crate::dev::Running;

/// An order waits so long to be seen.
const SEEN_WITHIN_S: u32 = 30;

/// How long one buyer waited.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait {
    /// Before anything is rebuilt, or the read model that is.
    pub(super) phase: &'static str,
    /// From the request to the answer.
    pub(super) taken: Duration,
    /// From the request until a read shows the order.
    pub(super) seen: Duration,
}

/// What became of all of them.
#[derive(Debug, Default)]
pub(super) struct Buyers {
    pub(super) waits: Vec<Wait>,
    pub(super) failed: Vec<String>,
}

/// People who buy until they are told to stop.
pub(super) struct Buying {
    phase: Arc<Mutex<&'static str>>,
    stop: CancellationToken,
    task: JoinHandle<Buyers>,
}

/// Puts a show on sale and begins.
///
/// # Errors
/// The show cannot be put on sale.
pub(super) async fn begin(shop: Shop, running: &Running, rate: u32) -> anyhow::Result<Buying> {
    let (show, class) = put_on_sale(&shop, running).await?;
    let phase = Arc::new(Mutex::new("before"));
    let stop = CancellationToken::new();
    let task = tokio::spawn(buy(shop, (show, class), rate, Arc::clone(&phase), stop.clone()));
    Ok(Buying { phase, stop, task })
}

impl Buying {
    /// What happens from now on.
    pub(super) fn phase(&self, phase: &'static str) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// Lets those end who have begun.
    pub(super) async fn end(&mut self) -> anyhow::Result<Buyers> {
        self.stop.cancel();
        (&mut self.task).await.context("wait for the buyers")
    }
}

async fn buy(
    shop: Shop,
    sale: (ShowId, TicketClassId),
    rate: u32,
    phase: Arc<Mutex<&'static str>>,
    stop: CancellationToken,
) -> Buyers {
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut orders, mut buyers) = (JoinSet::new(), Buyers::default());
    let take = |buyers: &mut Buyers, ended: Result<anyhow::Result<Wait>, _>| match ended {
        Ok(Ok(wait)) => buyers.waits.push(wait),
        Ok(Err(error)) => buyers.failed.push(format!("{error:#}")),
        Err(error) => buyers.failed.push(format!("{error}")),
    };
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = *phase.lock().unwrap_or_else(PoisonError::into_inner);
        let shop = shop.clone();
        orders.spawn(async move { order(&shop, sale, now).await });
        while let Some(ended) = orders.try_join_next() {
            take(&mut buyers, ended);
        }
    }
    while let Some(ended) = orders.join_next().await {
        take(&mut buyers, ended);
    }
    buyers
}

async fn order(shop: &Shop, (show, class): (ShowId, TicketClassId), phase: &'static str) -> anyhow::Result<Wait> {
    let id = OrderId(random::id());
    let free = json!({"amount": 0, "currency": "VND"});
    let body = json!({
        "show": show,
        "lines": [{"ticket_class": class, "quantity": 1, "unit_price": free}],
        "buyer": {"name": "Trần Thị B", "email": "buyer@example.com"}
    });
    let (path, key) = (format!("/v1/orders/{id}"), random::opaque_id().to_string());
    let began = clock::monotonic();
    let ask = Ask { method: Some(&Method::PUT), path: &path, body: Some(&body), key: Some(&key), ..Ask::default() };
    let answer = shop.ask(ask).await?;
    let taken = began.elapsed();
    let after = answer.token.clone();
    let placed: Order = answer.read().context("place an order")?;
    let bearer = placed.access_token.context("a guest's order came without an access token")?;
    let look =
        Ask { path: &path, bearer: Some(&bearer), after: after.as_deref(), wait_s: SEEN_WITHIN_S, ..Ask::default() };
    let _: Order = shop.ask(look).await?.read().context("look at an order")?;
    Ok(Wait { phase, taken, seen: began.elapsed() })
}

async fn put_on_sale(shop: &Shop, running: &Running) -> anyhow::Result<(ShowId, TicketClassId)> {
    let organizer = running.token("drill-organizer", &[Role::Organizer])?;
    let admin = running.token("drill-admin", &[Role::Admin])?;
    let (show, class) = (ShowId(random::id()), TicketClassId(random::id()));
    let path = format!("/v1/shows/{show}");
    let details = json!({
        "name": "Drill", "starts_at": "2030-06-01T12:00:00Z", "ends_at": "2030-06-01T15:00:00Z",
        "time_zone": "Asia/Ho_Chi_Minh", "venue": {"name": "Mỹ Đình", "city": "Hà Nội"}, "currency": "VND",
        "categories": ["drill"]
    });
    let free = json!({"amount": 0, "currency": "VND"});
    let terms = json!({"name": "GA", "price": free, "capacity": 10_000_000, "max_per_order": 10});
    write(shop, &organizer, Method::PUT, &path, &details).await?;
    write(shop, &organizer, Method::PUT, &format!("{path}/ticket-classes/{class}"), &terms).await?;
    write(shop, &organizer, Method::POST, &format!("{path}/configure"), &json!({"pay_within_s": 600})).await?;
    write(shop, &admin, Method::POST, &format!("{path}/approve"), &json!({})).await?;
    write(shop, &organizer, Method::POST, &format!("{path}/publish"), &json!({})).await?;
    opened(shop, show, 1).await.context("open the sale")?;
    Ok((show, class))
}
