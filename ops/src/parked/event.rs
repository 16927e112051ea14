//! One event that waits, as far as it can be read. Personal data in it is ciphertext, and stays so.

use domain::value::Timestamp;
use event_log::frame::Frame;
use event_log::kafka::KafkaSettings;
use event_log::topics;
use projectors::parked::desk::{ParkedEvent, ParkedKey};
use schemas::{Codec, DecodeError, Registry};
use serde_json::{Value, json};

use super::table::{hex, since};

/// Decodes with the present schemas, if the registry can be asked.
pub(super) struct Reader(Result<Codec, String>);

/// What can be shown of an event.
pub(super) struct Shown {
    pub(super) offset: i64,
    pub(super) event_type: String,
    pub(super) reason: Option<String>,
    pub(super) appended_at_us: i64,
    pub(super) frame: String,
    pub(super) decoded: Result<Value, String>,
    pub(super) value: Vec<u8>,
}

impl Reader {
    pub(super) async fn of(kafka: &KafkaSettings, registry: &str, partitions: u32) -> Self {
        let codec = async {
            let ids = topics::check(kafka, registry, partitions).await.map_err(|error| error.to_string())?;
            Ok(Codec::new(ids, Registry::new(registry).map_err(|error| error.to_string())?))
        };
        Self(codec.await)
    }

    pub(super) async fn shown(&self, _key: &ParkedKey, event: &ParkedEvent) -> Shown {
        let frame = Frame::decode(&event.header);
        let frame = frame.map_or_else(
            |error| error.to_string(),
            |it| {
                let part = format!("{}/{}", it.evt_idx + 1, it.evt_cnt);
                format!("term {} seq {} part {part} version {} command {}", it.term, it.seq, it.agg_ver, it.cmd_id)
            },
        );
        Shown {
            offset: event.offset,
            event_type: event.event_type.clone(),
            reason: event.reason.clone(),
            appended_at_us: event.appended_at_us,
            frame,
            decoded: self.decoded(&event.value).await,
            value: event.value.clone(),
        }
    }

    async fn decoded(&self, value: &[u8]) -> Result<Value, String> {
        let codec = self.0.as_ref().map_err(|why| format!("the schemas cannot be had: {why}"))?;
        let decoded = match codec.decode(value) {
            Err(DecodeError::UnlearnedSchema(id)) => {
                codec.learn(id).await.map_err(|error| error.to_string())?;
                codec.decode(value)
            }
            decoded => decoded,
        };
        let (meta, event) = decoded.map_err(|error| error.to_string())?;
        let at = since(Timestamp(meta.occurred_at.0).0);
        let event = serde_json::to_value(&event).map_err(|error| error.to_string())?;
        Ok(json!({ "event_id": meta.event_id, "occurred_at": at, "version": meta.version, "event": event }))
    }
}

impl Shown {
    pub(super) fn json(&self, key: &ParkedKey) -> Value {
        let (decoded, not_decoded) = (self.decoded.as_ref().ok(), self.decoded.as_ref().err());
        json!({
            "projection": key.projection, "context": key.context, "partition": key.partition, "key": key.key,
            "offset": self.offset, "event_type": self.event_type, "poison": self.reason.is_some(), "reason": self.reason,
            "appended_at": since(self.appended_at_us), "frame": self.frame, "decoded": decoded,
            "not_decoded": not_decoded, "value": hex(&self.value),
        })
    }
}
