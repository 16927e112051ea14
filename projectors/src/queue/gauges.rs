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

#[cfg(test)]
mod tests {
    use domain::queue::{QueueExpired, QueueJoined, QueueReady, Terms, WaitingRoomOpened, session};
    use uuid::Uuid;

    use super::*;

    const SHOW: ShowId = ShowId(Uuid::from_u128(7));

    fn board(joined: i64) -> Board {
        let mut board = Board::default();
        let terms = Terms { slots: 5, admission_batch: 1, ..Terms::default() };
        let now = clock::now();
        let organizer = "account:anna".to_owned();
        let opened = WaitingRoomOpened { show: SHOW, organizer, terms, checkout_url: None, draw_hash: None };
        board.apply(&opened.into(), now);
        for number in 1..=joined {
            let session = session(SHOW, u32::try_from(number).unwrap());
            let (show, principal) = (SHOW, format!("guest:{}", session.0));
            board.apply(&QueueJoined { show, session, number, principal }.into(), now.plus_s(-90));
            if number <= 2 {
                let ready = QueueReady { show, session, number, place: number, enter_by: now };
                board.apply(&ready.into(), now.plus_s(-29));
            }
            if number == 1 {
                board.apply(&QueueExpired { show, session, number }.into(), now);
            }
        }
        board
    }

    #[test]
    fn operators_see_how_many_wait_how_long_and_who_never_came() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let board = board(12);
        metrics::with_local_recorder(&recorder, || show([(SHOW, &board)].into_iter()));
        let text = recorder.handle().render();
        let shown = |name: &str| {
            let line = format!("boxoffice_queue_{name}{{show=\"{}\"}} ", SHOW.0);
            let value = text.lines().find_map(|it| it.strip_prefix(&line));
            value.unwrap_or_else(|| panic!("no {name} in {text}")).parse::<f64>().unwrap()
        };
        assert_eq!((shown("waiting"), shown("slots_in_use"), shown("slots")), (10.0, 1.0, 5.0));
        assert_eq!((shown("no_shows"), shown("paused"), shown("outflow_per_min")), (1.0, 0.0, 4.0));
        assert!((90.0..100.0).contains(&shown("oldest_waiting_seconds")), "{text}");
    }
}
