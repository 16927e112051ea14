//! Tells whoever is on duty that a key is parked: once a key and process, and as long as it lasts in the metrics.

use std::collections::BTreeSet;

use super::Place;

/// How many keys are parked, and how many events wait in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Keys.
    pub keys: u64,
    /// Events, those that cannot be folded too.
    pub events: u64,
}

/// An event that cannot be folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Poison {
    pub(crate) at: Place,
    pub(crate) offset: i64,
    pub(crate) event_type: String,
    pub(crate) reason: String,
    /// Whether it is only known that it is one of this command's events.
    pub(crate) vague: bool,
}

/// What was told of one read model.
#[derive(Debug)]
pub(crate) struct Alarm {
    projection: &'static str,
    told: BTreeSet<Place>,
}

impl Alarm {
    pub(crate) fn new(projection: &'static str) -> Self {
        Self { projection, told: BTreeSet::new() }
    }

    /// A key waits; what is logged is no personal data, since keys, types and reasons hold none.
    pub(crate) fn parked(&mut self, poison: &Poison) {
        metrics::counter!("projector_poison_events_total", "projection" => self.projection).increment(1);
        if self.told.insert(poison.at.clone()) {
            let Poison { at: (place, key), offset, event_type, reason, .. } = poison;
            tracing::error!(
                projection = self.projection,
                partition = %place,
                key,
                offset,
                event_type,
                reason,
                "an event cannot be folded: its key is parked, all others go on (boxctl parked show)"
            );
        }
    }

    /// It was tried again in vain.
    pub(crate) fn still(&mut self, poison: &Poison) {
        if self.told.insert(poison.at.clone()) {
            let Poison { at: (place, key), offset, reason, .. } = poison;
            tracing::error!(
                projection = self.projection,
                partition = %place,
                key,
                offset,
                reason,
                "a parked key was tried again and waits on (boxctl parked show)"
            );
        }
    }

    /// It goes on.
    pub(crate) fn unparked(&mut self, (place, key): &Place, events: u64) {
        self.told.remove(&(*place, key.clone()));
        tracing::info!(projection = self.projection, partition = %place, key, events, "a parked key goes on");
    }

    pub(crate) fn show(&self, counts: Counts) {
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        let set =
            |name: &'static str, value: u64| metrics::gauge!(name, "projection" => self.projection).set(value as f64);
        set("projector_parked_keys", counts.keys);
        set("projector_parked_events", counts.events);
    }
}
