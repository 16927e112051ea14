//! Two lanes of timers: what ends (dues) waits for some time after a take-over, what goes on (rounds) does not.

use std::collections::HashMap;
use std::time::Duration;

use domain::breakage::{Breakage, broken};
use domain::ids::CommandId;
use domain::root::Root;
use domain::value::{Actor, Fingerprint, Timestamp};
use imbl::OrdSet;
use uuid::Uuid;

use super::serve::Deciding;
use super::{Now, Outcome, Owner};
use crate::log::NewRecord;
use crate::state::State;

/// Timers of one lane fired in one batch, at most.
const TIMERS: usize = 200;

/// Which timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// Something goes on: admission.
    Round,
    /// Something ends: a hold, a place.
    Due,
}

/// Rounds first: they hand out what the others take back later.
const LANES: [Lane; 2] = [Lane::Round, Lane::Due];

/// Timers that led to nothing, by the moment and version at which they did: they would fire for ever.
pub(super) type Idle = HashMap<(Lane, Uuid), (Timestamp, u64)>;

impl Lane {
    /// Part of the id of what it sends.
    fn name(self) -> &'static str {
        match self {
            Self::Round => "round",
            Self::Due => "due",
        }
    }

    fn timers<A: Root>(self, state: &State<A>) -> &OrdSet<(Timestamp, Uuid)> {
        match self {
            Self::Round => &state.rounds,
            Self::Due => &state.timers,
        }
    }

    fn ask<A: Root>(self) -> A::Ask {
        match self {
            Self::Round => A::round(),
            Self::Due => A::due(),
        }
    }

    fn next<A: Root>(self, aggregate: &A) -> Option<Timestamp> {
        match self {
            Self::Round => aggregate.next_round(),
            Self::Due => aggregate.next_due(),
        }
    }
}

impl<A: Root, R> Owner<A, R> {
    /// Decides what is due, as long as there is room.
    pub(super) fn fire_timers(&mut self, now: Now, records: &mut Vec<NewRecord>) {
        if self.leaving {
            return;
        }
        for lane in LANES {
            if now.mono < self.fires_from(lane) {
                continue;
            }
            let at = self.time(now);
            let due = self.waiting_timers(lane).take_while(|(due, _)| *due <= at).take(TIMERS);
            let due: Vec<(Timestamp, Uuid)> = due.copied().collect();
            for (due, id) in due {
                // What is due waits for room like everything else; an acknowledgement wakes it.
                if self.is_full() {
                    return;
                }
                self.fire(lane, due, id, now, records);
            }
        }
    }

    fn fire(&mut self, lane: Lane, due: Timestamp, id: Uuid, now: Now, records: &mut Vec<NewRecord>) {
        // The version tells the pages apart of a list that is due at one moment: their events are not the same.
        let version = self.version(id);
        let command = domain::ids::derived(id, lane.name(), due.0.unsigned_abs());
        let command = CommandId(domain::ids::derived(command, "version", version));
        let deciding = Deciding {
            id,
            ask: lane.ask::<A>(),
            by: Actor::System,
            command,
            hash: Fingerprint::default(),
            correlation_id: command.0,
            causation_id: command.0,
            trace: None,
        };
        let outcome = self.decide(deciding, &A::About::default(), now, records);
        let moved = self.head.get(id).and_then(|entry| lane.next(&entry.state)) != Some(due);
        let wrote = matches!(&outcome, Outcome::Done(answer) if answer.written > 0);
        // A timer that changes nothing would fire for ever. One that pages through a list stays due and writes.
        if !moved && !wrote || broken(Breakage::IdleTimerNeverWoken) {
            self.idle.insert((lane, id), (due, version));
        }
    }

    /// When the next timer fires, if there is one.
    pub(super) fn wake_for_timers(&self, now: Now) -> Option<Duration> {
        if self.leaving {
            return None;
        }
        let wake = |lane: Lane| {
            let (due, _) = self.waiting_timers(lane).next()?;
            let ahead = u64::try_from(due.0 - self.time(now).0).unwrap_or(0);
            Some((now.mono + Duration::from_micros(ahead)).max(self.fires_from(lane)))
        };
        LANES.into_iter().filter_map(wake).min()
    }

    /// The timers of a lane but for those that would do nothing, earliest first.
    fn waiting_timers(&self, lane: Lane) -> impl Iterator<Item = &(Timestamp, Uuid)> {
        let state = if broken(Breakage::TimerTwice) { &self.acked } else { &self.head };
        lane.timers(state).iter().filter(move |(due, id)| {
            self.idle
                .get(&(lane, *id))
                .is_none_or(|idle| *idle != (*due, self.version(*id)) && !broken(Breakage::IdleTimerNeverWoken))
        })
    }

    /// Nothing ends so soon after a take-over; the first owner of a log has taken over from nobody.
    fn fires_from(&self, lane: Lane) -> Duration {
        match (lane, self.head.position.term) {
            (Lane::Round, _) | (Lane::Due, 1) => Duration::ZERO,
            (Lane::Due, _) if broken(Breakage::GraceIgnored) => Duration::ZERO,
            (Lane::Due, _) => self.claimed.1 + self.settings.takeover_grace,
        }
    }

    fn version(&self, id: Uuid) -> u64 {
        self.head.get(id).map_or(0, |entry| entry.version)
    }
}
