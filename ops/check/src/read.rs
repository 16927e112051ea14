//! Reads every partition of the log from its first record to its end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use domain::root::Context;
use event_log::log::{Bounds, Followed, Follower, Log, Partition, Record};
use schemas::{Codec, LearnError, schema_id};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::boards::Boards;
use super::facts::Facts;
use super::models::Folding;
use super::records::Taking;

/// Messages of the log that wait for us; then its threads do.
const WAITING: usize = 16;
/// The log says something at least so often, while it is being read.
const SILENCE: Duration = Duration::from_secs(30);

/// Reads the log from its first record to where it ends now, and folds everything that counts.
///
/// # Errors
/// The log does not answer. What is wrong with the log itself is among the facts.
pub async fn from_log(log: Arc<dyn Log>, codec: &Codec, partitions: u32) -> anyhow::Result<Facts> {
    from_log_with(log, codec, partitions, Boards::default()).await
}

/// The same, with what these rows of Postgres have to be.
///
/// # Errors
/// As for [`from_log`].
pub async fn from_log_with(log: Arc<dyn Log>, codec: &Codec, partitions: u32, boards: Boards) -> anyhow::Result<Facts> {
    from_log_beside(log, codec, partitions, boards, None).await
}

/// The same, and folds every record into the read models, as far as these say that they have come.
///
/// # Errors
/// As for [`from_log`].
pub async fn from_log_beside(
    log: Arc<dyn Log>,
    codec: &Codec,
    partitions: u32,
    boards: Boards,
    mut models: Option<&mut Folding>,
) -> anyhow::Result<Facts> {
    let mut facts = Facts { boards, ..Facts::default() };
    for context in Context::ALL {
        for number in 0..partitions {
            let place = Partition { context, number };
            let reading = Reading { log: &log, codec, place, models: models.as_deref_mut() };
            reading.read(&mut facts).await.with_context(|| format!("read {place}"))?;
        }
    }
    Ok(facts)
}

/// One partition.
struct Reading<'a> {
    log: &'a Arc<dyn Log>,
    codec: &'a Codec,
    place: Partition,
    models: Option<&'a mut Folding>,
}

impl Reading<'_> {
    async fn read(mut self, facts: &mut Facts) -> anyhow::Result<()> {
        let Self { log, codec, place, .. } = self;
        let asked = Arc::clone(log);
        let bounds = tokio::task::spawn_blocking(move || asked.bounds(place)).await.context("ask where it ends")?;
        let Bounds { start, end } = bounds?;
        let mut taking = Taking::new(codec, place, facts);
        if start > 0 {
            taking.broken(&format!("it begins at offset {start}: the first records are gone"));
            taking.finish();
            return Ok(());
        }
        let (sender, mut received) = mpsc::channel(WAITING);
        // Nobody takes it any more once the end was reached.
        let follower: Follower = Arc::new(move |followed| drop(sender.blocking_send(followed)));
        let following = (end > 0).then(|| log.follow(place, 0, follower));
        'reading: while taking.next() < end {
            match timeout(SILENCE, received.recv()).await.context("wait for records")? {
                Some(Followed::Records(records)) => {
                    for record in records.into_iter().take_while(|record| record.offset < end) {
                        learn(codec, &record).await?;
                        if let Some(models) = &mut self.models {
                            models.take(place, &record);
                        }
                        if !taking.take(record) {
                            break 'reading;
                        }
                    }
                }
                Some(Followed::End(_)) => {}
                Some(Followed::Lost { start, end }) => bail!("its records now lie from {start} to {end}"),
                None => bail!("the log ended the reading"),
            }
        }
        // First the channel, so that a thread that waits to hand something over goes on, and ends.
        drop(received);
        drop(following);
        taking.finish();
        Ok(())
    }
}

/// Asks for the schema of an event that is not ours; whoever decodes it says what is wrong with one that nobody knows.
async fn learn(codec: &Codec, record: &Record) -> anyhow::Result<()> {
    let Some(id) = schema_id(&record.value).filter(|id| codec.record_type(*id).is_none()) else { return Ok(()) };
    match codec.learn(id).await {
        Ok(()) | Err(LearnError::NotFound(_) | LearnError::NotASchema { .. }) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("ask the registry for schema {id}")),
    }
}
