//! What operators watch of waiting rooms: how many wait, how fast it goes, and who never comes.
//!
//! Rooms that nothing has happened in since this process took their partition over are not among them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::ids::ShowId;
use domain::queue::{Board, Mode, Stage};
use domain::value::Timestamp;
use service_kit::clock;

/// A room that was not measured for so long is another instance's.
const GONE: Duration = Duration::from_secs(60);

/// The rooms that are shown, and when each was measured last.
static SHOWN: Mutex<BTreeMap<ShowId, Instant>> = Mutex::new(BTreeMap::new());

/// Shows these rooms, and takes those away that are over or elsewhere.
pub(super) fn show<'a>(rooms: impl Iterator<Item = (ShowId, &'a Board)>) {
    let (now, measured) = (clock::now(), clock::monotonic());
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    for (show, board) in rooms.filter(|(_, board)| board.stage() != Stage::Closed) {
        Figures::of(board, now).set(show);
        shown.insert(show, measured);
    }
    shown.retain(|show, at| {
        let here = measured.duration_since(*at) < GONE;
        if !here {
            Figures::default().set(*show);
        }
        here
    });
}

#[derive(Debug, Default, PartialEq)]
struct Figures {
    waiting: u32,
    outflow_per_min: i64,
    slots_in_use: usize,
    slots: i32,
    oldest_s: i64,
    paused: bool,
    no_shows: u32,
}

impl Figures {
    fn of(board: &Board, now: Timestamp) -> Self {
        Self {
            waiting: board.waiting(),
            outflow_per_min: board.outflow_per_min(now),
            slots_in_use: board.slots().len(),
            slots: board.terms().map_or(0, |terms| terms.slots),
            oldest_s: board.oldest_waiting_s(now).unwrap_or(0),
            paused: board.mode() == Mode::Pause,
            no_shows: board.no_shows(),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "people and seconds are far below 2^52")]
    fn set(&self, show: ShowId) {
        let gauge = |name: &'static str, value: f64| metrics::gauge!(name, "show" => show.0.to_string()).set(value);
        gauge("boxoffice_queue_waiting", self.waiting.into());
        gauge("boxoffice_queue_outflow_per_min", self.outflow_per_min as f64);
        gauge("boxoffice_queue_slots_in_use", self.slots_in_use as f64);
        gauge("boxoffice_queue_slots", self.slots.into());
        gauge("boxoffice_queue_oldest_waiting_seconds", self.oldest_s as f64);
        gauge("boxoffice_queue_paused", self.paused.into());
        gauge("boxoffice_queue_no_shows", self.no_shows.into());
    }
}
