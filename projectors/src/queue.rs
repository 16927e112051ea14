//! The boards of waiting rooms, from `queue-events`: what visitors are told, one row a show.
//!
//! Invariant: a row is the fold of its show's events below the checkpoint of its partition, whoever folded them, and
//! in however many batches. A board that is kept from one batch to the next is the one that was written.
//!
//! View `queues`, one row for each show with a waiting room:
//!
//! | column | type | |
//! |---|---|---|
//! | `show_id` | uuid | |
//! | `partition` | integer | of `queue-events` |
//! | `organizer` | text, null | `account:<sub>` |
//! | `board` | jsonb | [`domain::queue::Board`] |
//! | `updated_at_us` | bigint | time of the room's last event here |
//! | `at_offset` | bigint | its offset: a board of the same log and offset is the same board |
//! | `next_offset`, `identity` | bigint, uuid | everything below this offset of the partition is in the row; of which log |

use std::collections::BTreeMap;

use domain::event::Event;
use domain::ids::ShowId;
use domain::queue::{self, Board, Stage};
use domain::root::Context;
use domain::value::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::model::{Envelope, Layout, ReadModel, Touched, View};
use crate::rows::{Kind, Merge, Rows, Wanted, key, set};

mod gauges;

/// The read model of waiting rooms.
#[derive(Debug)]
pub struct Queue;

/// Boards kept in memory; if there are more, those that did not change lately are loaded again when they do.
const KEPT: usize = 1000;

const TABLES: &str = "
create table if not exists boards (
    show_id uuid primary key,
    partition integer not null,
    organizer text,
    board jsonb not null,
    updated_at_us bigint not null,
    at_offset bigint not null
) with (fillfactor = 50);
";

const QUEUES: View = View {
    name: "queues",
    query: "
select b.show_id, b.partition, b.organizer, b.board, b.updated_at_us, b.at_offset, c.next_offset, c.identity
from {queue}.boards b
join {queue}.checkpoints c on c.context = 'queue' and c.partition = b.partition",
};

static BOARDS: Merge = Merge::upsert(
    "boards",
    &[
        key("show_id", Kind::Uuid),
        set("partition", Kind::Int),
        set("organizer", Kind::Text),
        set("board", Kind::Json),
        set("updated_at_us", Kind::Big),
        set("at_offset", Kind::Big),
    ],
);

/// The waiting room of one show.
#[derive(Debug, Default)]
struct Room {
    partition: u32,
    /// `None` until it is loaded: a fold looks nothing up.
    board: Option<Board>,
    /// What the board has to take in once it is loaded.
    pending: Vec<(queue::Event, Timestamp)>,
    updated_at: Timestamp,
    at_offset: i64,
    /// Whether its row has to be written.
    changed: bool,
}

/// Every board that changes, and those that changed lately.
#[derive(Debug, Default)]
pub struct Changes {
    rooms: BTreeMap<ShowId, Room>,
}

impl ReadModel for Queue {
    type Changes = Changes;
    type Stored = Board;

    const LAYOUT: Layout = Layout {
        name: "queue",
        version: 1,
        tables: TABLES,
        table_names: &["boards"],
        views: &[QUEUES],
        merges: &[&BOARDS],
    };
    const CONTEXTS: &'static [Context] = &[Context::Queue];

    fn fold(changes: &mut Changes, envelope: &Envelope) {
        if let Event::Queue(event) = &envelope.event {
            let room = changes.rooms.entry(ShowId(event.aggregate())).or_default();
            (room.partition, room.at_offset) = (envelope.partition, envelope.offset);
            room.fold(event, envelope.meta.occurred_at);
        }
    }

    fn touched(changes: &Changes) -> Touched {
        let changed = changes.rooms.iter().filter(|(_, room)| room.changed).map(|(show, _)| *show);
        Touched { queues: changed.collect(), ..Touched::default() }
    }

    /// The boards that are not in memory. The checkpoint that the rows belong to is locked by then, so that nobody else
    /// changes them, and stands where our events begin.
    fn wanted(changes: &Changes) -> Option<Wanted> {
        let missing = changes.rooms.iter().filter(|(_, room)| room.board.is_none());
        let keys: Vec<Uuid> = missing.map(|(show, _)| show.0).collect();
        (!keys.is_empty()).then_some(Wanted { table: "boards", key: "show_id", column: "board", keys })
    }

    fn found(changes: &mut Changes, mut stored: BTreeMap<Uuid, Board>) {
        for (show, room) in changes.incomplete() {
            room.loaded(stored.remove(&show.0).unwrap_or_default());
        }
    }

    fn rows(changes: &Changes) -> Vec<Rows> {
        vec![changes.board_rows()]
    }

    fn carry(mut written: Changes) -> Changes {
        if written.rooms.len() > KEPT {
            written.rooms.retain(|_, room| room.changed);
        }
        // Nothing comes any more once it is closed.
        written.rooms.retain(|_, room| room.board.as_ref().is_some_and(|board| board.stage() != Stage::Closed));
        written.rooms.values_mut().for_each(|room| room.changed = false);
        written
    }

    fn measure(changes: &Changes) {
        gauges::show(changes.rooms.iter().filter_map(|(show, room)| Some((*show, room.board.as_ref()?))));
    }
}

impl Room {
    fn fold(&mut self, event: &queue::Event, at: Timestamp) {
        self.updated_at = at;
        self.changed = true;
        match &mut self.board {
            Some(board) => board.apply(event, at),
            None => self.pending.push((event.clone(), at)),
        }
    }

    fn loaded(&mut self, mut board: Board) {
        for (event, at) in self.pending.drain(..) {
            board.apply(&event, at);
        }
        self.board = Some(board);
    }
}

impl Changes {
    fn board_rows(&self) -> Rows {
        let changed = self.rooms.iter().filter(|(_, room)| room.changed);
        let rows = changed.filter_map(|(show, room)| Some((show, room, room.board.as_ref()?)));
        let row = |(show, room, board): (&ShowId, &Room, &Board)| {
            [
                show.0.into(),
                i32::try_from(room.partition).unwrap_or(i32::MAX).into(),
                board.opened().map(|opened| opened.organizer.clone()).into(),
                json!(board).into(),
                room.updated_at.0.into(),
                room.at_offset.into(),
            ]
        };
        BOARDS.rows(rows.map(row))
    }

    fn incomplete(&mut self) -> impl Iterator<Item = (&ShowId, &mut Room)> {
        self.rooms.iter_mut().filter(|(_, room)| room.board.is_none())
    }
}
