//! How a read model does, for readiness, metrics and whoever is on duty.

use std::collections::BTreeMap;
use std::fmt::Display;

use service_kit::health::{Check, Health};

use crate::parked::Counts;

/// Ready once everything that was there at the start is shown, as long as the database answers and no partition broke.
pub(crate) struct Light {
    name: &'static str,
    check: Check,
    caught_up: bool,
    paused: bool,
    database: Option<String>,
    broken: BTreeMap<String, String>,
    parked: Counts,
}

impl Light {
    pub(crate) fn new(name: &'static str, health: &Health) -> Self {
        let check = health.register(format!("read model {name}"));
        let (database, broken, parked) = (None, BTreeMap::new(), Counts::default());
        Self { name, check, caught_up: false, paused: false, database, broken, parked }
    }

    /// The database did what it was asked.
    pub(crate) fn database_answers(&mut self) {
        if self.database.take().is_some() {
            tracing::info!(projection = self.name, "the database answers again");
            self.show();
        }
    }

    /// The database did not; it is tried again.
    pub(crate) fn database_fails(&mut self, attempted: &str, error: &sqlx::Error) {
        metrics::counter!("projector_database_errors_total", "projection" => self.name).increment(1);
        let why = format!("{attempted}: {error}");
        if self.database.as_ref() != Some(&why) {
            tracing::error!(projection = self.name, attempted, %error, "the database fails; trying again");
            self.database = Some(why);
            self.show();
        }
    }

    /// Everything there was is written.
    pub(crate) fn caught_up(&mut self) {
        if !self.caught_up {
            tracing::info!(projection = self.name, "the read model has caught up with the log");
            self.caught_up = true;
            self.show();
        }
    }

    /// Whether everything there was at the start is written.
    pub(crate) fn has_caught_up(&self) -> bool {
        self.caught_up
    }

    /// So much waits behind what cannot be folded: it is ready all the same, for all other keys.
    pub(crate) fn parked(&mut self, parked: Counts) {
        if parked != self.parked {
            self.parked = parked;
            let Counts { keys, events } = parked;
            let note = format!("{keys} keys are parked, {events} events wait in them: boxctl parked list");
            self.check.note((keys > 0).then_some(note));
        }
    }

    /// It has something to catch up with: everything anew, or partitions that others had.
    pub(crate) fn behind(&mut self) {
        self.caught_up = false;
        self.show();
    }

    /// A person wants it to stand still: that is no reason to take the process for ill.
    pub(crate) fn paused(&mut self, paused: bool) {
        if self.paused != paused {
            let now = if paused { "the read model is paused" } else { "the read model is filled again" };
            tracing::info!(projection = self.name, "{now}");
            self.paused = paused;
        }
        metrics::gauge!("projector_paused", "projection" => self.name).set(f64::from(u8::from(paused)));
        self.show();
    }

    /// Nobody has said yet which partitions are ours.
    pub(crate) fn unassigned(&self) {
        self.check.not_ready("waiting for its partitions");
    }

    /// A partition is not read on: somebody has to look.
    pub(crate) fn broke(&mut self, at: impl Display, why: &dyn Display) {
        let at = at.to_string();
        tracing::error!(projection = self.name, partition = at, error = %why, "a partition stops: a person has to look");
        self.broken.insert(at, why.to_string());
        self.count_broken();
        self.show();
    }

    /// Partitions are tried again from what is stored.
    pub(crate) fn reloaded(&mut self) {
        self.broken.clear();
        self.count_broken();
        self.show();
    }

    fn count_broken(&self) {
        let count = u32::try_from(self.broken.len()).unwrap_or(u32::MAX);
        metrics::gauge!("projector_stopped_partitions", "projection" => self.name).set(f64::from(count));
    }

    fn show(&self) {
        let stopped = self.broken.iter().next();
        match (&self.database, stopped, self.caught_up) {
            (_, Some((at, why)), _) => self.check.not_ready(format!("{at} stopped: {why}")),
            (Some(why), None, _) => self.check.not_ready(why.clone()),
            (None, None, _) if self.paused => self.check.ready(),
            (None, None, false) => self.check.not_ready("catching up with the log"),
            (None, None, true) => self.check.ready(),
        }
    }
}
