//! From a valid record to its event, or why not: what is damaged by itself, and what only a newer program understands.

use event_log::log::{Partition, Record};
use event_log::validity::Broken;
use schemas::{Codec, DecodeError, LearnError};

use crate::checkpoints::context_name;
use crate::model::Envelope;

/// Between two questions for a schema.
const ASK_AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// Why a valid record gives no event.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// This one is damaged, or is none of this topic's: its key waits, all others go on.
    Poison(String),
    /// Whoever wrote it knows more than we do: nothing of the partition may be passed over.
    Broken(Broken),
}

/// The event of a valid record.
pub(crate) async fn decoded(codec: &Codec, at: Partition, record: &Record) -> Result<Envelope, Unreadable> {
    let poison = |why: String| Unreadable::Poison(why);
    let (meta, event) = loop {
        match codec.decode(&record.value) {
            Ok(decoded) => break decoded,
            Err(DecodeError::UnlearnedSchema(id)) => learn(codec, id).await.map_err(poison)?,
            Err(error) => return Err(unreadable(at, record.offset, &error)),
        }
    };
    if event.context() != at.context {
        return Err(poison(format!("it belongs to another topic, {}", event.context().topic())));
    }
    Ok(Envelope { meta, event, partition: at.number, offset: record.offset })
}

fn unreadable(at: Partition, offset: i64, error: &DecodeError) -> Unreadable {
    let too_old = |detail: String| Unreadable::Broken(Broken::Undecodable { offset, detail });
    let newer = "this program is too old for it: start the version that wrote it";
    match error {
        // `boxoffice.order.OrderPaid` is one of the topic `order-events`.
        DecodeError::UnknownEvent { name, .. }
            if name.starts_with(&format!("boxoffice.{}.", context_name(at.context))) =>
        {
            too_old(format!("{error}; {newer}"))
        }
        DecodeError::Incompatible { .. } => too_old(format!("{error}; {newer}")),
        DecodeError::UnknownEvent { name, .. } => Unreadable::Poison(format!("it belongs to another topic: {name}")),
        DecodeError::NotFramed
        | DecodeError::UnlearnedSchema(_)
        | DecodeError::Unexpected { .. }
        | DecodeError::Malformed { .. } => Unreadable::Poison(error.to_string()),
    }
}

/// Asks for a schema until there is an answer; `Err` is an answer that does not help.
pub(crate) async fn learn(codec: &Codec, id: u32) -> Result<(), String> {
    loop {
        match codec.learn(id).await {
            Ok(()) => return Ok(()),
            Err(error @ LearnError::Source { .. }) => {
                tracing::warn!(%error, schema.id = id, "waiting for the schema of an event");
                tokio::time::sleep(ASK_AGAIN).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// What an event is called, as far as its schema is known.
pub(crate) fn type_of(codec: &Codec, record: &Record) -> String {
    let Some(id) = schemas::schema_id(&record.value) else { return "no event".to_owned() };
    codec.record_type(id).map_or_else(
        || format!("schema {id}"),
        |record| record.full_name().rsplit('.').next().unwrap_or_default().to_owned(),
    )
}
