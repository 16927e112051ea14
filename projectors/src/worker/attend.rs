//! Parked keys are tried again: once by every process that starts or takes a partition over, since its code may know better,
//! and whenever a person asks.

use std::collections::BTreeSet;
use std::time::Duration;

use event_log::log::Partition;
use tokio::time::Instant;
use uuid::Uuid;

use super::Worker;
use crate::model::ReadModel;
use crate::parked::{Alarm, Parking as _, Place, Poison, Replayed, Skipped, Wish};
use crate::store::{RowStore as _, Transaction as _};

/// Wishes are looked for so often, while anything is parked.
const EVERY: Duration = Duration::from_millis(500);
/// Keys that are tried again by themselves in one go.
const TRIED: usize = 20;

/// What was done about parked keys.
#[derive(Debug)]
pub(super) struct Attended {
    alarm: Alarm,
    at: Option<Instant>,
    /// Whose keys this process has tried, or is trying.
    known: BTreeSet<Partition>,
    /// Keys that it has still to try.
    untried: BTreeSet<Place>,
}

impl Attended {
    pub(super) fn new(projection: &'static str) -> Self {
        Self { alarm: Alarm::new(projection), at: None, known: BTreeSet::new(), untried: BTreeSet::new() }
    }
}

impl<M: ReadModel> Worker<M> {
    /// What the last batch parked is told.
    pub(super) fn tell_parked(&mut self) {
        for poison in self.projection.take_news() {
            self.attended.alarm.parked(&poison);
            if poison.vague {
                // A retry finds out which event of the command it is.
                self.attended.untried.insert(poison.at);
            }
        }
    }

    pub(super) fn show_parked(&mut self) {
        let counts = self.projection.parked.counts();
        self.attended.alarm.show(counts);
        self.light.parked(counts);
    }

    /// Tries what is to be tried. False if everything begins anew. Nothing that was read may be unwritten.
    pub(super) async fn attend(&mut self) -> bool {
        self.learn_places();
        if self.projection.parked.is_empty() || self.attended.at.is_some_and(|at| at.elapsed() < EVERY) {
            return true;
        }
        self.attended.at = Some(Instant::now());
        let attended = self.try_attend().await;
        self.show_parked();
        match attended {
            Ok(goes_on) => goes_on,
            Err(error) => {
                self.failed("try parked keys again", &error);
                self.prepared
            }
        }
    }

    /// What is parked in partitions that are new to this process is to be tried once.
    fn learn_places(&mut self) {
        let places: BTreeSet<Partition> = self.projection.sources().iter().map(|source| source.place).collect();
        if places != self.attended.known {
            let new = |(place, _): &&Place| places.contains(place) && !self.attended.known.contains(place);
            self.attended.untried.extend(self.projection.parked.keys().filter(new).cloned());
            self.attended.untried.retain(|(place, _)| places.contains(place));
            self.attended.known = places;
        }
    }

    async fn try_attend(&mut self) -> Result<bool, sqlx::Error> {
        let untried: Vec<Place> = self.attended.untried.iter().take(TRIED).cloned().collect();
        for at in untried {
            if !self.projection.parked.has(&at) {
                self.attended.untried.remove(&at);
                continue;
            }
            match self.retry(&at).await? {
                Replayed::Overtaken => return Ok(false),
                Replayed::More { .. } => {}
                Replayed::Unparked { .. } | Replayed::Parked { .. } => drop(self.attended.untried.remove(&at)),
            }
        }
        for wish in self.wishes().await? {
            if !self.grant(wish).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn wishes(&self) -> Result<Vec<Wish>, sqlx::Error> {
        let places: Vec<Partition> = self.projection.sources().iter().map(|source| source.place).collect();
        let mut tx = self.store.begin().await?;
        let wishes = tx.wishes(&places).await?;
        tx.rollback().await?;
        Ok(wishes)
    }

    /// False if everything begins anew; the wish is then found again.
    async fn grant(&mut self, wish: Wish) -> Result<bool, sqlx::Error> {
        let at = (wish.place, wish.key);
        if let Some((offset, why)) = &wish.skip {
            match self.projection.skip(&self.store, &at, *offset, why).await? {
                Skipped::Overtaken => return Ok(false),
                Skipped::Unknown => {
                    let outcome =
                        format!("nothing was skipped: no event of this key at offset {offset} is poison (any more)");
                    return self.answer(wish.id, &outcome).await.map(|()| true);
                }
                Skipped::Done => {
                    tracing::warn!(projection = M::LAYOUT.name, partition = %at.0, key = at.1, offset, "an event was skipped");
                    // The event is gone: if this process ends now, the wish must not find another one.
                    self.answer(wish.id, &format!("skipped offset {offset}")).await?;
                    self.attended.untried.insert(at);
                    return Ok(true);
                }
            }
        }
        let outcome = match self.retry(&at).await? {
            Replayed::Overtaken => return Ok(false),
            Replayed::More { .. } => return Ok(true),
            Replayed::Unparked { events } => format!("unparked: {events} events were folded"),
            Replayed::Parked { offset, reason, events } => {
                format!("still parked at offset {offset} after {events} events: {reason}")
            }
        };
        self.answer(wish.id, &outcome).await.map(|()| true)
    }

    async fn retry(&mut self, at: &Place) -> Result<Replayed, sqlx::Error> {
        let replayed = self.projection.replay(&self.store, at).await?;
        match &replayed {
            Replayed::Unparked { events } => self.attended.alarm.unparked(at, *events),
            Replayed::Parked { offset, reason, .. } => {
                let (reason, event_type) = (reason.clone(), String::new());
                let poison = Poison { at: at.clone(), offset: *offset, event_type, reason, vague: false };
                self.attended.alarm.still(&poison);
            }
            Replayed::More { .. } | Replayed::Overtaken => {}
        }
        Ok(replayed)
    }

    async fn answer(&self, wish: Uuid, outcome: &str) -> Result<(), sqlx::Error> {
        let mut tx = self.store.begin().await?;
        tx.answer(wish, outcome).await?;
        tx.commit().await
    }
}
