//! After a switch: until the projectors fill what readers see.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::PgPool;
use tokio::time::{Instant, sleep};

use crate::generations::{Filled, Generation, fillers, overview};
use crate::names::Names;
use crate::person_keys;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// Who fills a generation from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandOver {
    /// The projectors fill all of it.
    Taken,
    /// It is paused: nobody fills it until it is resumed.
    Paused,
    /// No projector was heard of that fills this read model.
    Nobody,
    /// Some of its partitions were not taken over in time.
    Late,
}

/// Waits until projectors fill every partition of a generation.
///
/// # Errors
/// Whatever the database says.
pub async fn hand_over(
    pool: &PgPool,
    names: &Names,
    (name, generation, partitions): (&str, Generation, u32),
    patience: Duration,
) -> Result<HandOver, sqlx::Error> {
    let until = Instant::now() + patience;
    let wanted: BTreeSet<u32> =
        if name == person_keys::LAYOUT.name { BTreeSet::from([0]) } else { (0..partitions).collect() };
    loop {
        let paused = overview(pool, names).await?.get(name).is_some_and(|standing| standing.paused_at_us.is_some());
        if paused {
            return Ok(HandOver::Paused);
        }
        let all = fillers(pool, names, name).await?;
        let ours = all.iter().filter(|it| it.generation == generation.number);
        let held: BTreeSet<u32> = ours.flat_map(|Filled { partitions, .. }| partitions.iter().copied()).collect();
        if wanted.is_subset(&held) {
            return Ok(HandOver::Taken);
        }
        if Instant::now() >= until {
            return Ok(if all.is_empty() { HandOver::Nobody } else { HandOver::Late });
        }
        if all.is_empty() {
            return Ok(HandOver::Nobody);
        }
        sleep(LOOK).await;
    }
}
