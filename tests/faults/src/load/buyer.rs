//! One buyer, from the first request to the end of the order.

use std::sync::PoisonError;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use domain::ids::{OrderId, ShowId, TicketId};
use reqwest::Method;
use serde_json::{Value, json};
use service_kit::clock;
use system_tests::purchase::{OnSale, id, key, link_of};
use uuid::Uuid;

use super::Crowd;
use crate::client::{Answer, Ask, Caller, PATIENCE};

/// Between two looks at a place in the queue.
const LOOK: Duration = Duration::from_millis(300);
/// Who thinks before paying holds tickets meanwhile.
const PONDERS: Duration = Duration::from_millis(1500);

/// What a buyer does.
#[derive(Debug, Clone, Copy)]
enum Act {
    Pays,
    Ponders,
    Free,
    Cancels,
    Queues,
    Leaves,
}

const ACTS: [Act; 10] = [
    Act::Pays,
    Act::Queues,
    Act::Free,
    Act::Pays,
    Act::Cancels,
    Act::Queues,
    Act::Ponders,
    Act::Free,
    Act::Leaves,
    Act::Pays,
];

/// Plays one buyer; gives what it did.
pub(super) async fn play(crowd: &Crowd, number: u64) -> anyhow::Result<&'static str> {
    let turn = usize::try_from(number).expect("few");
    let act = ACTS[turn % ACTS.len()];
    let caller = crowd.caller(&format!("buyer-{number}"));
    let pick = |sales: &[OnSale]| sales[turn / ACTS.len() % sales.len()];
    let shows = &crowd.shows;
    match act {
        Act::Pays => pay(crowd, &caller, pick(&shows.open), Duration::ZERO).await.map(|()| "paid"),
        Act::Ponders => pay(crowd, &caller, pick(&shows.open), PONDERS).await.map(|()| "pondered and paid"),
        Act::Free => free(crowd, &caller, pick(&shows.free), &[]).await.map(|()| "took free tickets"),
        Act::Cancels => cancel(crowd, &caller, pick(&shows.open)).await.map(|()| "cancelled"),
        Act::Queues => queue(crowd, &caller, pick(&shows.rooms)).await,
        Act::Leaves => leave(&caller, pick(&shows.rooms)).await.map(|()| "left the queue"),
    }
}

/// Places an order; gives its id and its holder.
async fn order(
    crowd: &Crowd,
    caller: &Caller,
    sale: OnSale,
    headers: &[(&'static str, &str)],
) -> anyhow::Result<(Uuid, Caller)> {
    let (order, key, body) = (id(), key(), sale.order(1));
    let path = format!("/v1/orders/{order}");
    let answer = caller.insist(Ask::write(Method::PUT, &path, &key, &body).with(headers)).await?;
    ensure!(matches!(answer.status.as_u16(), 200 | 201), "an order is refused: {answer:?}");
    crowd.promised.lock().unwrap_or_else(PoisonError::into_inner).orders.push((OrderId(order), ShowId(sale.show)));
    let token = answer.body["access_token"].as_str().context("a guest gets a token")?;
    // Whoever was asked directly only takes orders.
    Ok((order, caller.at(&crowd.base).with(token)))
}

/// Takes free tickets from this very process.
pub(super) async fn take_free_at(crowd: &Crowd, name: &str, base: &str, sale: OnSale) -> anyhow::Result<()> {
    free(crowd, &crowd.caller(name).at(base), sale, &[]).await
}

/// Joins a queue, and leaves it whatever has become of the place.
pub(super) async fn come_and_go(crowd: &Crowd, name: &str, sale: OnSale) -> anyhow::Result<()> {
    leave(&crowd.caller(name), sale).await
}

/// Tickets that are held, and paid for later.
pub struct Hold {
    order: Uuid,
    holder: Caller,
}

/// Holds a ticket, and waits until it could be paid.
pub(super) async fn hold(crowd: &Crowd, name: &str, sale: OnSale) -> anyhow::Result<Hold> {
    let (order, holder) = order(crowd, &crowd.caller(name), sale, &[]).await?;
    until(&holder, order, "awaiting_payment").await?;
    Ok(Hold { order, holder })
}

/// Pays for what was held; it must still be.
pub(super) async fn pay_held(crowd: &Crowd, hold: &Hold) -> anyhow::Result<()> {
    pay_for(crowd, &hold.holder, hold.order, Duration::ZERO).await
}

async fn pay(crowd: &Crowd, caller: &Caller, sale: OnSale, ponders: Duration) -> anyhow::Result<()> {
    let (order, holder) = order(crowd, caller, sale, &[]).await?;
    pay_for(crowd, &holder, order, ponders).await
}

/// Pays for an order once there is a page; on another page if that one is given up meanwhile.
async fn pay_for(crowd: &Crowd, holder: &Caller, order: Uuid, ponders: Duration) -> anyhow::Result<()> {
    let mut page = until(holder, order, "awaiting_payment").await?;
    tokio::time::sleep(ponders).await;
    let (mut paid, begun) = (Vec::new(), clock::monotonic());
    loop {
        let mut links = page["payments"].as_array().into_iter().flatten().filter_map(link_of);
        if let Some(link) = links.next_back().filter(|link| !paid.contains(link)) {
            pay_at_provider(crowd, &link).await?;
            paid.push(link);
        }
        page = look(holder, order, "completed").await?.unwrap_or(page);
        if page["status"] == "completed" {
            return completed(crowd, holder, order).await;
        }
        ensure!(page["status"] == "awaiting_payment", "paid, and then: {page}");
        ensure!(begun.elapsed() < PATIENCE, "paid, and after {} s: {page}", PATIENCE.as_secs());
    }
}

async fn free(crowd: &Crowd, caller: &Caller, sale: OnSale, headers: &[(&'static str, &str)]) -> anyhow::Result<()> {
    let (order, holder) = order(crowd, caller, sale, headers).await?;
    completed(crowd, &holder, order).await
}

async fn cancel(crowd: &Crowd, caller: &Caller, sale: OnSale) -> anyhow::Result<()> {
    let (order, holder) = order(crowd, caller, sale, &[]).await?;
    let (path, key, body) = (format!("/v1/orders/{order}/cancel"), key(), json!({}));
    let answer = holder.insist(Ask::write(Method::POST, &path, &key, &body)).await?;
    ensure!(answer.status == 200, "a cancellation is refused: {answer:?}");
    let ended = until(&holder, order, "cancelled").await?;
    ensure!(ended["status"] == "cancelled" && ended["reason"] == "by_buyer", "cancelled, and then: {ended}");
    Ok(())
}

/// Waits until the order completes, and takes its tickets.
async fn completed(crowd: &Crowd, holder: &Caller, order: Uuid) -> anyhow::Result<()> {
    let ended = until(holder, order, "completed").await?;
    ensure!(ended["status"] == "completed", "paid, and then: {ended}");
    let tickets = ended["tickets"].as_array().into_iter().flatten();
    let tickets = tickets.filter_map(|ticket| ticket["id"].as_str()?.parse().ok().map(TicketId));
    let handed_out = tickets.map(|ticket| (OrderId(order), ticket)).collect::<Vec<_>>();
    crowd.promised.lock().unwrap_or_else(PoisonError::into_inner).tickets.extend(handed_out);
    Ok(())
}

/// Waits until the order has a status, or has ended.
async fn until(holder: &Caller, order: Uuid, status: &str) -> anyhow::Result<Value> {
    let begun = clock::monotonic();
    loop {
        let seen = look(holder, order, status).await?;
        let now = seen.as_ref().and_then(|body| body["status"].as_str()).unwrap_or_default();
        if now == status || matches!(now, "completed" | "cancelled" | "failed") {
            return seen.context("it was seen");
        }
        ensure!(begun.elapsed() < PATIENCE, "{order} is not {status} after {} s: {seen:?}", PATIENCE.as_secs());
        tokio::time::sleep(LOOK).await;
    }
}

/// The order as it is, after a moment for it to get there; none if nobody sees it yet, which is not the last word.
async fn look(holder: &Caller, order: Uuid, status: &str) -> anyhow::Result<Option<Value>> {
    let path = format!("/v1/orders/{order}?until={status}");
    let Answer { status, body, .. } = holder.insist(Ask::get(&path).with(&[("prefer", "wait=5")])).await?;
    Ok((status == 200).then_some(body))
}

/// Pays where the page is; the provider then tells the shop, again and again.
async fn pay_at_provider(crowd: &Crowd, link: &str) -> anyhow::Result<()> {
    let begun = clock::monotonic();
    loop {
        let url = format!("{}/_control/payments/{link}/pay", crowd.sandbox);
        match crowd.http().post(url).json(&json!({})).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            // It may be down; and who paid already cannot pay again.
            Ok(answer) if answer.status() == 409 => return Ok(()),
            answer if begun.elapsed() > PATIENCE => bail!("the provider takes no money: {answer:?}"),
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

/// A place in the queue.
struct Place {
    path: String,
    ticket: String,
}

async fn join(caller: &Caller, sale: OnSale, key: &str) -> anyhow::Result<Place> {
    let (path, body) = (format!("/v1/shows/{}/queue", sale.show), json!({}));
    let answer = caller.insist(Ask::write(Method::POST, &path, key, &body)).await?;
    ensure!(matches!(answer.status.as_u16(), 200 | 201), "a place is refused: {answer:?}");
    let session = answer.body["session"].as_str().context("a place has a name")?;
    let ticket = answer.body["queue_ticket"].as_str().context("a place has a ticket")?;
    Ok(Place { path: format!("{path}/{session}"), ticket: ticket.to_owned() })
}

async fn queue(crowd: &Crowd, caller: &Caller, sale: OnSale) -> anyhow::Result<&'static str> {
    let guest = key();
    let mut place = join(caller, sale, &guest).await?;
    let begun = clock::monotonic();
    loop {
        let answer = caller.insist(Ask::get(&place.path).with(&[("queue-ticket", &place.ticket)])).await?;
        match (answer.status.as_u16(), answer.body["status"].as_str().unwrap_or_default()) {
            (200, "admitted") => break,
            // Who was admitted while nobody could enter has missed the turn: no promise is broken by that.
            (200, "expired") => return Ok("missed the turn"),
            (200, "queued" | "waiting_to_open") | (404, _) => {}
            // The place is there, and joining again shows a ticket of this moment.
            (410, _) if crowd.counts.excuses(&answer) => {
                let again = join(caller, sale, &guest).await?;
                ensure!(again.path == place.path, "a place is lost: {answer:?}");
                place = again;
            }
            _ => bail!("in the queue: {answer:?}"),
        }
        if let Some(fresh) = answer.body["queue_ticket"].as_str() {
            place.ticket = fresh.to_owned();
        }
        ensure!(begun.elapsed() < PATIENCE, "still waiting after {} s: {answer:?}", PATIENCE.as_secs());
        tokio::time::sleep(LOOK).await;
    }
    let (path, key, body) = (format!("{}/enter", place.path), key(), json!({}));
    let ask = Ask::write(Method::POST, &path, &key, &body);
    let answer = caller.insist(ask.with(&[("queue-ticket", &place.ticket)])).await?;
    if answer.is("queue-place-lost") || answer.is("not-admitted") {
        return Ok("missed the turn");
    }
    ensure!(answer.status == 200, "entering is refused: {answer:?}");
    let token = answer.body["checkout_token"].as_str().context("who entered gets a token")?;
    free(crowd, caller, sale, &[("checkout-token", token)]).await?;
    Ok("queued and took free tickets")
}

async fn leave(caller: &Caller, sale: OnSale) -> anyhow::Result<()> {
    let place = join(caller, sale, &key()).await?;
    let (key, body) = (key(), Value::Null);
    let ask = Ask { body: None, ..Ask::write(Method::DELETE, &place.path, &key, &body) };
    let answer = caller.insist(ask.with(&[("queue-ticket", &place.ticket)])).await?;
    ensure!(answer.status == 204, "leaving is refused: {answer:?}");
    Ok(())
}
