//! Who is woken when a board changes: those near the front, and those whose turn has come.
//!
//! A hundred thousand may watch a queue, and what changes every second concerns the few hundred at its front. So whoever is
//! far behind waits at a bell that neighbours share, and a change rings the bells of the places that it reaches. Whatever else
//! such a person is to be told has time until they look by themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::queue::Board;
use tokio::sync::Notify;

/// So many places share a bell.
const SHARE: u32 = 256;
/// Whoever is about so near is told everything at once, milliseconds.
const NEAR_MS: i64 = 10_000;

/// The bells of one room.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<u32, Arc<Notify>>>);

impl Turns {
    /// Where to wait with this place.
    pub fn bell(&self, place: u32) -> Arc<Notify> {
        Arc::clone(self.bells().entry(place / SHARE).or_default())
    }

    /// Rings for everybody whom a change of the board reaches: all if people are let in in another way than before.
    pub fn ring(&self, before: Option<&Board>, after: &Board) {
        let way = |board: &Board| (board.stage(), board.mode(), board.draw().is_some());
        let from = before.filter(|before| way(before) == way(after)).map(|before| before.served_up_to() / SHARE);
        let to = after.served_up_to().saturating_add(near(after)) / SHARE;
        self.bells().retain(|share, bell| {
            if from.is_none_or(|from| (from..=to).contains(share)) {
                bell.notify_waiters();
            }
            Arc::strong_count(bell) > 1
        });
    }

    fn bells(&self) -> MutexGuard<'_, HashMap<u32, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many places beyond the last one that was served are near.
fn near(board: &Board) -> u32 {
    let places = board.terms().map_or(0, |terms| i64::from(terms.admission_batch) * NEAR_MS / terms.tick_ms.max(1));
    u32::try_from(places).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use domain::ids::ShowId;
    use domain::queue::{Event, Mode, QueueJoined, QueueModeSet, QueueReady, Terms, WaitingRoomOpened, session};
    use domain::value::Timestamp;
    use futures::FutureExt as _;

    use super::*;

    const SHOW: ShowId = ShowId(uuid::Uuid::from_u128(1));

    /// A room that lets in ten a second, with so many served of a crowd.
    fn board(served: u32) -> Board {
        let terms = Terms { slots: 100_000, ..Terms::default() };
        let organizer = "account:anna".to_owned();
        let opened = WaitingRoomOpened { show: SHOW, organizer, terms, checkout_url: None, draw_hash: None };
        let mut board = Board::default();
        let mut tell = |event: Event| board.apply(&event, Timestamp(0));
        tell(opened.into());
        for number in 1..=5_000 {
            let (show, session, principal) = (SHOW, session(SHOW, number), format!("guest:{number}"));
            tell(QueueJoined { show, session, number: number.into(), principal }.into());
        }
        for number in 1..=served {
            let (show, session, number) = (SHOW, session(SHOW, number), i64::from(number));
            tell(QueueReady { show, session, number, place: number, enter_by: Timestamp(0) }.into());
        }
        board
    }

    /// Of these places, those that are woken.
    fn woken(turns: &Turns, places: &[u32], ring: impl FnOnce()) -> Vec<u32> {
        let bells: Vec<_> = places.iter().map(|place| turns.bell(*place)).collect();
        let mut waiting: Vec<_> = bells.iter().map(|bell| Box::pin(bell.notified())).collect();
        waiting.iter_mut().for_each(|it| assert!(!it.as_mut().enable()));
        ring();
        let rung = waiting.iter_mut().zip(places).filter_map(|(it, place)| it.now_or_never().map(|()| *place));
        rung.collect()
    }

    #[test]
    fn a_change_wakes_those_it_reaches_and_nobody_far_behind() {
        let (turns, places) = (Turns::default(), [50, 300, 700, 850, 1_200, 4_000]);
        let (before, after) = (board(400), board(800));
        assert_eq!(woken(&turns, &places, || turns.ring(Some(&before), &after)), [300, 700, 850]);
        assert_eq!(woken(&turns, &places, || turns.ring(Some(&after), &after)), [850]);
        assert_eq!(woken(&turns, &places, || turns.ring(None, &after)), places);
    }

    #[test]
    fn everybody_is_woken_when_people_are_let_in_in_another_way() {
        let (turns, places) = (Turns::default(), [50, 4_000]);
        let (before, mut after) = (board(10), board(10));
        let (mode, inflow_per_min, challenge_bits) = (Mode::Pause, None, None);
        after.apply(&QueueModeSet { show: SHOW, mode, inflow_per_min, challenge_bits }.into(), Timestamp(0));
        assert_eq!(woken(&turns, &places, || turns.ring(Some(&before), &after)), places);
    }

    #[test]
    fn a_bell_that_nobody_waits_at_is_taken_away() {
        let turns = Turns::default();
        let kept = turns.bell(5);
        drop(turns.bell(4_000));
        turns.ring(None, &board(1));
        assert_eq!(turns.bells().len(), 1);
        drop(kept);
        turns.ring(None, &board(1));
        assert!(turns.bells().is_empty());
    }
}
