//! The boards of waiting rooms, in memory: whoever asks about a place is answered from here.
//!
//! Invariant: one task reads the boards for everybody, each only when it has changed, so that the database does not
//! notice how many visitors ask. A board never goes back to an earlier state of the same log, such as while its read
//! model is filled anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::ids::ShowId;
use domain::queue::Board;
use domain::root::Context;
use service_kit::consistency::Token;
use service_kit::problem::{Kind, Problem};
use sqlx::FromRow;
use sqlx::types::Json;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::database::{Database, Failed};
use crate::stale;
use crate::turns::Turns;

/// Boards are read at least so far apart.
const PAUSE: Duration = Duration::from_millis(50);
/// Every board that somebody may ask for is looked at so often, should no notification come.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Who waits for something newer asks for another look after so long.
const WAIT_EVERY: Duration = Duration::from_millis(250);
/// Even who does not want to wait waits for one look, but not longer than this.
const ONE_LOOK: Duration = Duration::from_secs(2);
/// Pause after a look that failed.
const FAILED: Duration = Duration::from_millis(500);
/// A board that nobody has asked for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// The board of a waiting room, and how far it has come.
#[derive(Debug)]
pub struct Room {
    /// What visitors are told.
    pub board: Arc<Board>,
    partition: u32,
    /// Where the room's last event lies.
    at: i64,
    /// Everything below is in the board.
    next: i64,
    log: Option<Uuid>,
    /// Whether some of its events wait behind one that no projector can fold.
    stale: bool,
}

/// What the last look at a board found. What was known before stays known.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// The board, if there is one yet.
    pub room: Option<Arc<Room>>,
    /// When the look began; none before the first.
    began: Option<Instant>,
    failed: bool,
}

/// Every board that was asked for lately. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Boards(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    entries: Mutex<HashMap<ShowId, Entry>>,
    wanted: Notify,
}

#[derive(Debug)]
struct Entry {
    look: watch::Sender<Look>,
    turns: Arc<Turns>,
    wanted: bool,
    /// Whether what is known of it was folded by what readers do not see any more.
    outdated: bool,
    asked_at: Instant,
}

#[derive(Debug, FromRow)]
struct Row {
    show_id: Uuid,
    /// None if it is the one that we know.
    board: Option<Json<Board>>,
    partition: i32,
    at_offset: i64,
    next_offset: i64,
    identity: Option<Uuid>,
    stale: bool,
}

impl Room {
    /// The room, if it shows all that its partition says.
    ///
    /// # Errors
    /// 503 `stale`.
    fn fresh(self: &Arc<Self>) -> Result<Arc<Self>, Problem> {
        if self.stale { Err(stale::problem()) } else { Ok(Arc::clone(self)) }
    }

    /// Whether it shows everything of the token that it ever will.
    fn covers(&self, token: &Token) -> bool {
        let position = token.get(Context::Queue, self.partition);
        position.is_none_or(|it| self.log == Some(it.log) && self.next > it.offset)
    }

    /// Whether what was read is older than what is known.
    fn is_behind(&self, known: &Self) -> bool {
        self.log.is_none() || (self.log == known.log && self.next < known.next)
    }
}

impl Boards {
    /// What is known of a board, and every look at it from now on. Only for shows that we know to have a waiting room.
    pub fn watch(&self, show: ShowId) -> watch::Receiver<Look> {
        self.watch_turns(show).0
    }

    /// The same, and the bells of those who do not want to be woken by every look.
    pub fn watch_turns(&self, show: ShowId) -> (watch::Receiver<Look>, Arc<Turns>) {
        let mut entries = self.entries();
        let entry = entries.entry(show).or_insert_with(|| {
            self.0.wanted.notify_one();
            let (look, turns) = (watch::channel(Look::default()).0, Arc::default());
            Entry { look, turns, wanted: true, outdated: false, asked_at: Instant::now() }
        });
        entry.asked_at = Instant::now();
        (entry.look.subscribe(), Arc::clone(&entry.turns))
    }

    /// The board with everything that the client has written. From memory, unless it has never been asked for or is
    /// older than that.
    ///
    /// # Errors
    /// 504 `not-caught-up` at the deadline; 503 `not-ready` if there is no board yet, or the database does not answer;
    /// 503 `stale` if it is known to be behind.
    pub async fn room(&self, show: ShowId, token: &Token, deadline: Instant) -> Result<Arc<Room>, Problem> {
        let mut looks = self.watch(show);
        let arrived = Instant::now();
        let no_longer = deadline.max(arrived + ONE_LOOK);
        loop {
            let look = looks.borrow_and_update().clone();
            if let Some(room) = look.room.as_ref().filter(|room| room.covers(token)) {
                return room.fresh();
            }
            let looked = look.began.is_some_and(|began| began >= arrived);
            let now = Instant::now();
            if (looked && (look.failed || now >= deadline)) || now >= no_longer {
                let late = look.room.is_some() && !look.failed;
                return Err(Problem::new(if late { Kind::NotCaughtUp } else { Kind::NotReady }));
            }
            self.want(show);
            let _ = timeout_at(no_longer.min(now + WAIT_EVERY), looks.changed()).await;
        }
    }

    /// These shows' boards have changed: ids as 32 hex digits each, comma between.
    pub fn told(&self, payload: &str) {
        for id in payload.split(',') {
            match Uuid::try_parse(id) {
                Ok(show) => self.want(ShowId(show)),
                Err(_) => self.told_all(),
            }
        }
    }

    /// Any board may have changed.
    pub fn told_all(&self) {
        self.entries().values_mut().for_each(|entry| entry.wanted = true);
        self.0.wanted.notify_one();
    }

    /// Readers see another generation of the boards, which perhaps tells other things of the same events.
    pub fn outdated(&self) {
        self.entries().values_mut().for_each(|entry| entry.outdated = true);
        self.told_all();
    }

    fn want(&self, show: ShowId) {
        if let Some(entry) = self.entries().get_mut(&show) {
            entry.wanted = true;
            self.0.wanted.notify_one();
        }
    }

    /// Reads boards until the process stops.
    pub async fn run(self, database: Database, shutdown: CancellationToken) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.0.wanted.notified() => {}
                _ = ticks.tick() => {
                    self.forget(Instant::now().checked_sub(FORGOTTEN));
                    self.told_all();
                }
            }
            let pause = shutdown.run_until_cancelled(self.look(&database)).await.unwrap_or_default();
            shutdown.run_until_cancelled(sleep(pause)).await;
        }
    }

    /// Reads what is wanted; tells how long to wait before the next time.
    async fn look(&self, database: &Database) -> Duration {
        let wanted = self.take_wanted();
        if wanted.is_empty() {
            return Duration::ZERO;
        }
        let began = Instant::now();
        match load(database, &wanted).await {
            Ok(mut rooms) => {
                wanted.iter().for_each(|(show, _)| self.seen(*show, began, rooms.remove(show)));
                PAUSE
            }
            Err(failed) => {
                tracing::warn!(error = %failed.0, "the boards of waiting rooms could not be read");
                wanted.iter().for_each(|(show, _)| self.failed(*show, began));
                FAILED
            }
        }
    }

    /// With what is known of them.
    fn take_wanted(&self) -> Vec<(ShowId, Option<Arc<Room>>)> {
        let mut entries = self.entries();
        let wanted = entries.iter_mut().filter(|(_, entry)| entry.wanted);
        let taken = wanted.map(|(show, entry)| {
            entry.wanted = false;
            let known = entry.look.borrow().room.clone();
            (*show, known.filter(|_| !std::mem::take(&mut entry.outdated)))
        });
        taken.collect()
    }

    fn seen(&self, show: ShowId, began: Instant, found: Option<Room>) {
        let entries = self.entries();
        let Some(entry) = entries.get(&show) else { return };
        let before = entry.look.borrow().room.clone();
        let newer = found.filter(|found| before.as_ref().is_none_or(|known| !found.is_behind(known))).map(Arc::new);
        let after = newer.or_else(|| before.clone());
        entry.look.send_replace(Look { room: after.clone(), began: Some(began), failed: false });
        let boards = (before.map(|room| Arc::clone(&room.board)), after.map(|room| Arc::clone(&room.board)));
        match boards {
            (Some(before), Some(after)) if Arc::ptr_eq(&before, &after) => {}
            (before, Some(after)) => entry.turns.ring(before.as_deref(), &after),
            (_, None) => {}
        }
    }

    /// It is wanted as before, and in whole.
    fn failed(&self, show: ShowId, began: Instant) {
        self.want(show);
        if let Some(entry) = self.entries().get_mut(&show) {
            entry.outdated = true;
            entry.look.send_modify(|look| {
                look.began = Some(began);
                look.failed = true;
            });
        }
    }

    /// Drops what nobody listens to, or has asked for since then.
    fn forget(&self, since: Option<Instant>) {
        let mut entries = self.entries();
        entries.retain(|_, entry| entry.look.receiver_count() > 0 || since.is_none_or(|since| entry.asked_at > since));
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        metrics::gauge!("boxoffice_boards_cached").set(entries.len() as f64);
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<ShowId, Entry>> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One statement, so that board and checkpoint are of one moment. A board that is known already is not sent again.
const LOAD: &str = "
select q.show_id, q.partition, q.at_offset, q.next_offset, q.identity,
    case when q.at_offset is distinct from k.at_offset or q.identity is distinct from k.identity then q.board end as board,
    exists (select 1 from parked p
        where p.projection = 'queue' and p.context = 'queue' and p.key = q.show_id::text) as stale
from unnest($1::uuid[], $2::bigint[], $3::uuid[]) as k (show_id, at_offset, identity)
join queues q on q.show_id = k.show_id";

async fn load(database: &Database, wanted: &[(ShowId, Option<Arc<Room>>)]) -> Result<HashMap<ShowId, Room>, Failed> {
    let ids: Vec<Uuid> = wanted.iter().map(|(show, _)| show.0).collect();
    let offsets: Vec<Option<i64>> = wanted.iter().map(|(_, known)| Some(known.as_ref()?.at)).collect();
    let logs: Vec<Option<Uuid>> = wanted.iter().map(|(_, known)| known.as_ref()?.log).collect();
    let query = sqlx::query_as(LOAD).bind(ids).bind(offsets).bind(logs);
    let rows: Vec<Row> = database.ask(query.fetch_all(database.pool())).await?;
    let mut known: HashMap<ShowId, Arc<Board>> =
        wanted.iter().filter_map(|(show, known)| Some((*show, Arc::clone(&known.as_ref()?.board)))).collect();
    let room = |row: Row| {
        let show = ShowId(row.show_id);
        let board = row.board.map(|Json(board)| Arc::new(board)).or_else(|| known.remove(&show))?;
        let partition = u32::try_from(row.partition).unwrap_or(u32::MAX);
        Some((
            show,
            Room { board, partition, at: row.at_offset, next: row.next_offset, log: row.identity, stale: row.stale },
        ))
    };
    Ok(rows.into_iter().filter_map(room).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: Uuid = Uuid::from_u128(1);
    const SHOW: ShowId = ShowId(Uuid::from_u128(7));

    fn room(next: i64, log: Option<Uuid>) -> Room {
        Room { board: Arc::default(), partition: 2, at: next - 1, next, log, stale: false }
    }

    #[test]
    fn a_write_is_shown_by_a_board_beyond_it_in_its_own_partition() {
        let token = Token::at(Context::Queue, 2, 41, LOG);
        assert!(room(42, Some(LOG)).covers(&token));
        assert!(!room(41, Some(LOG)).covers(&token));
        assert!(!room(99, Some(Uuid::nil())).covers(&token) && !room(99, None).covers(&token));
        assert!(room(0, Some(LOG)).covers(&Token::at(Context::Queue, 3, 41, LOG)));
        assert!(room(0, Some(LOG)).covers(&Token::at(Context::Inventory, 2, 41, LOG)));
    }

    #[test]
    fn a_board_does_not_go_back_in_its_log() {
        let boards = Boards::default();
        let looks = boards.watch(SHOW);
        let seen = |found: Option<Room>| {
            boards.seen(SHOW, Instant::now(), found);
            looks.borrow().room.as_ref().map(|room| (room.next, room.log))
        };
        assert_eq!(seen(None), None);
        assert_eq!(seen(Some(room(5, Some(LOG)))), Some((5, Some(LOG))));
        // Emptied, and being filled again.
        assert_eq!(seen(None), Some((5, Some(LOG))));
        assert_eq!(seen(Some(room(0, None))), Some((5, Some(LOG))));
        assert_eq!(seen(Some(room(4, Some(LOG)))), Some((5, Some(LOG))));
        assert_eq!(seen(Some(room(6, Some(LOG)))), Some((6, Some(LOG))));
        // Another log has another past.
        assert_eq!(seen(Some(room(2, Some(Uuid::nil())))), Some((2, Some(Uuid::nil()))));
    }

    #[test]
    fn of_another_generation_a_board_is_read_in_whole_once() {
        let boards = Boards::default();
        let looks = boards.watch(SHOW);
        boards.seen(SHOW, Instant::now(), Some(room(5, Some(LOG))));
        let known = || {
            boards.told_all();
            boards.take_wanted().iter().any(|(_, known)| known.is_some())
        };
        assert!(known());
        boards.outdated();
        assert!(!known() && known(), "only the next look sends it again");
        assert!(looks.borrow().room.is_some(), "until then it is shown as it was");
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten() {
        let boards = Boards::default();
        let before = Instant::now();
        let looks = boards.watch(SHOW);
        drop(boards.watch(ShowId(Uuid::nil())));
        boards.forget(Some(before));
        assert_eq!(boards.entries().len(), 2);
        boards.forget(Some(Instant::now()));
        assert_eq!(boards.entries().keys().copied().collect::<Vec<_>>(), [SHOW]);
        drop(looks);
        boards.forget(Some(Instant::now()));
        assert!(boards.entries().is_empty());
    }
}
