//! The boards of waiting rooms in Postgres, each held against the fold of the log up to the row's own offset.

use std::collections::BTreeMap;

use domain::ids::ShowId;
use domain::queue::{self, Board};
use domain::value::Timestamp;
use projectors::Names;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, FromRow, PgPool};
use uuid::Uuid;

use super::queue::Room;
use super::report::{Faults, Law};

const BOARDS: &str = "select show_id, board, next_offset from {views}.queues";

/// A row of the read model.
#[derive(Debug, Clone, FromRow)]
pub struct BoardRow {
    /// Whose it is.
    pub show_id: Uuid,
    /// What visitors are told.
    pub board: Json<Board>,
    /// Everything below this offset of its partition is in it.
    pub next_offset: i64,
}

/// Every row with what it has to be.
#[derive(Debug, Clone, Default)]
pub struct Boards(BTreeMap<ShowId, Compared>);

#[derive(Debug, Clone)]
struct Compared {
    row: Board,
    next_offset: i64,
    fold: Board,
    events: u64,
}

impl Boards {
    /// Rows that are to be compared; the log is to be read after them, so that it has all they hold.
    pub fn of(rows: Vec<BoardRow>) -> Self {
        let one = |row: BoardRow| {
            let compared =
                Compared { row: row.board.0, next_offset: row.next_offset, fold: Board::default(), events: 0 };
            (ShowId(row.show_id), compared)
        };
        Self(rows.into_iter().map(one).collect())
    }

    /// Takes an event in, if the row of its show should have it.
    pub fn fold(&mut self, event: &queue::Event, offset: i64, at: Timestamp) {
        let row = self.0.get_mut(&ShowId(event.aggregate()));
        if let Some(compared) = row.filter(|compared| offset < compared.next_offset) {
            compared.fold.apply(event, at);
            compared.events += 1;
        }
    }

    /// Whether every row is the fold of its events.
    pub fn law(&self, rooms: &BTreeMap<ShowId, Room>) -> Law {
        let mut faults = Faults::default();
        for (show, compared) in &self.0 {
            if compared.row != compared.fold {
                let Compared { next_offset, events, .. } = compared;
                faults.add(format!(
                    "the board of show {show} is not the fold of its {events} events below {next_offset}"
                ));
            }
        }
        for show in rooms.keys().filter(|show| !self.0.contains_key(*show)) {
            faults.add(format!("show {show} has a waiting room and no board"));
        }
        let events: u64 = self.0.values().map(|compared| compared.events).sum();
        Law::new(
            "every board is the log up to its own offset",
            format!("{} boards, {events} events", self.0.len()),
            faults,
        )
    }
}

/// Reads every board of a namespace.
///
/// # Errors
/// The namespace cannot name schemas, or whatever the database says.
pub async fn from_postgres(pool: &PgPool, namespace: &str) -> anyhow::Result<Vec<BoardRow>> {
    let views = Names::of(namespace)?.views();
    // The text is ours: a constant, and a name that was checked.
    Ok(sqlx::query_as(AssertSqlSafe(BOARDS.replace("{views}", &views))).fetch_all(pool).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::{self, SHOW};

    /// A row that has the first events, and the law after all were read.
    fn law(next_offset: i64, row_has: usize) -> Law {
        let events = rooms::good();
        let mut board = Board::default();
        events.iter().take(row_has).for_each(|(event, at)| board.apply(event, *at));
        // Through JSON, as it lies in Postgres.
        let board = serde_json::from_value(serde_json::to_value(&board).unwrap()).unwrap();
        let mut boards = Boards::of(vec![BoardRow { show_id: SHOW.0, board: Json(board), next_offset }]);
        (0..).zip(&events).for_each(|(offset, (event, at))| boards.fold(event, offset, *at));
        boards.law(&BTreeMap::from([(SHOW, Room::default())]))
    }

    #[test]
    fn a_board_is_compared_at_its_own_offset() {
        for events in [0, 1, 8, 15, 20] {
            assert!(law(i64::try_from(events).unwrap(), events).holds(), "{events}");
        }
        assert!(!law(8, 9).holds(), "one event too many");
        assert!(!law(9, 8).holds(), "one event too few");
    }

    #[test]
    fn a_room_without_a_board_is_seen() {
        let law = Boards::default().law(&BTreeMap::from([(SHOW, Room::default())]));
        assert!(!law.holds());
        assert!(Boards::default().law(&BTreeMap::new()).holds());
    }
}
