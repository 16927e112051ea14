//! Reads: the show, what is left of it, an order, its tickets.

use std::sync::{Arc, PoisonError};

use anyhow::bail;
use service_kit::clock;

use super::order;
use crate::request::{Says, request};
use crate::tally::Outcome;
use crate::world::{Side, World};

/// Places orders that are read later.
pub(super) async fn prepare(world: &Arc<World>, orders: usize) -> anyhow::Result<()> {
    for _ in 0..orders {
        let asked = order::ask(world, None, None);
        let answer = world.ask(Side::Command, &asked.request).await?;
        if answer.status != 201 {
            bail!("an order was answered with {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        world.acknowledge(asked.order, asked.sale.show);
        world.placed.lock().unwrap_or_else(PoisonError::into_inner).push((asked.order, asked.buyer));
    }
    Ok(())
}

pub(super) async fn go(world: &Arc<World>) -> Outcome {
    let sale = world.sale();
    let drawn = world.chance().unit();
    let placed = {
        let placed = world.placed.lock().unwrap_or_else(PoisonError::into_inner);
        let at = world.chance().below(placed.len());
        placed.get(at).copied()
    };
    let (step, path, buyer) = match placed {
        Some((order, buyer)) if drawn > 0.95 => ("tickets", format!("/v1/orders/{order}/tickets"), Some(buyer)),
        Some((order, buyer)) if drawn > 0.8 => ("order", format!("/v1/orders/{order}"), Some(buyer)),
        _ if drawn > 0.4 => ("availability", format!("/v1/shows/{}/availability", sale.show), None),
        _ => ("show", format!("/v1/shows/{}", sale.show), None),
    };
    let bearer = buyer.and_then(|at| world.plan.bearers.get(at)).map(String::as_str);
    let since = clock::monotonic();
    let answer = world.ask(Side::Query, &request("GET", &path, Says { bearer, ..Says::default() }, None)).await;
    world.step(step, since);
    Outcome::of(&answer, &[200])
}
