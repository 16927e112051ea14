//! One order, until its 201.

use std::sync::Arc;

use service_kit::clock;
use uuid::Uuid;

use crate::plan::Sale;
use crate::request::{Says, request};
use crate::tally::Outcome;
use crate::wire::Answer;
use crate::world::{Side, World};

/// Seconds that a read may wait until it sees a write.
const WAIT_S: u32 = 10;

/// An order that was asked for.
pub(super) struct Asked {
    pub(super) order: Uuid,
    pub(super) sale: Sale,
    /// The account, by its place among the tokens.
    pub(super) buyer: usize,
    pub(super) request: Vec<u8>,
}

/// Writes an order of a fresh id under a fresh key.
pub(super) fn ask(world: &World, checkout: Option<&str>, account: Option<(Sale, usize)>) -> Asked {
    let sale = account.map_or_else(|| world.sale(), |(sale, _)| sale);
    let (order, key, buyer) = {
        let mut chance = world.chance();
        let drawn = chance.below(world.plan.bearers.len());
        (chance.id(), chance.id(), account.map_or(drawn, |(_, buyer)| buyer))
    };
    let says = Says { bearer: Some(&world.plan.bearers[buyer]), key: Some(key), checkout, ..Says::default() };
    let mut path = String::with_capacity(48);
    path.push_str("/v1/orders/");
    path.push_str(order.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    let request = request("PUT", &path, says, Some(&world.body(sale, buyer)));
    Asked { order, sale, buyer, request }
}

pub(super) async fn go(world: &Arc<World>, probe: bool) -> Outcome {
    let asked = ask(world, None, None);
    let answer = world.ask(Side::Command, &asked.request).await;
    let outcome = Outcome::of(&answer, &[201]);
    match (&outcome, answer) {
        (Outcome::Done, Ok(answer)) => {
            world.acknowledge(asked.order, asked.sale.show);
            if probe && !world.plan.query.is_empty() && world.probe_now() {
                tokio::spawn(look(Arc::clone(world), asked, answer));
            }
        }
        (Outcome::Failed(_), Ok(answer)) => {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            world.tally().example(|| format!("{} {text}", answer.status));
        }
        (Outcome::Failed(_), Err(error)) => world.tally().example(|| format!("{error}: {error:?}")),
        _ => {}
    }
    outcome
}

/// Reads an order that was acknowledged just now, and counts how long that takes.
async fn look(world: Arc<World>, asked: Asked, answer: Answer) {
    let says = Says {
        bearer: Some(&world.plan.bearers[asked.buyer]),
        after: answer.token.as_deref(),
        wait_s: WAIT_S,
        ..Says::default()
    };
    let since = clock::monotonic();
    let read = world.ask(Side::Query, &request("GET", &format!("/v1/orders/{}", asked.order), says, None)).await;
    // Who did not see it in time counts with that time: leaving it out would flatter.
    if read.is_ok_and(|read| matches!(read.status, 200 | 504)) {
        world.tally().read_lag.record(since.elapsed());
    }
}
