//! What arrivals do, from the moment they were due.

mod order;
mod purchase;
mod queries;

use std::sync::Arc;
use std::time::Instant;

use crate::plan::Journey;
use crate::tally::Outcome;
use crate::world::World;

/// Makes what journeys find when they begin.
///
/// # Errors
/// The box office refuses.
pub async fn prepare(world: &Arc<World>) -> anyhow::Result<()> {
    match world.plan.journey {
        Journey::Queries { orders } => queries::prepare(world, orders).await,
        Journey::Order { .. } | Journey::Purchase(_) => Ok(()),
    }
}

/// One arrival that was due then; counts how it ended.
pub async fn go(world: Arc<World>, due: Instant) {
    let outcome = match world.plan.journey {
        Journey::Order { probe } => order::go(&world, probe).await,
        Journey::Purchase(habits) => {
            if habits.one_by_one > 0 {
                world.sent(due);
            }
            match purchase::go(&world, habits).await {
                Ok(outcome) => outcome,
                Err(purchase::Failed { step, how }) => {
                    world.tally().example(|| format!("{step}: {how}"));
                    Outcome::Failed(format!("{step}: {}", how.chars().take(40).collect::<String>()))
                }
            }
        }
        Journey::Queries { .. } => queries::go(&world).await,
    };
    world.ended(due, outcome);
}
