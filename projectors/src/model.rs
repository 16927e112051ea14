//! What a read model is: tables, a pure fold from events to row changes, and how those are written.

use std::collections::{BTreeMap, BTreeSet};

use domain::event::Event;
use domain::ids::{OrderId, ShowId};
use domain::root::{Context, Meta};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::postgres;
use crate::rows::{Merge, Rows, Wanted};

/// A valid event with where it lies.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// What every event says.
    pub meta: Meta,
    /// The event.
    pub event: Event,
    /// The number of its partition.
    pub partition: u32,
    /// Its offset there.
    pub offset: i64,
}

/// Whose answers change with a batch; listeners are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// Orders, in every show that knows the id.
    pub orders: BTreeSet<OrderId>,
    /// Shows: their details, classes or availability.
    pub shows: BTreeSet<ShowId>,
    /// Shows whose waiting room moved on.
    pub queues: BTreeSet<ShowId>,
}

/// A view under a stable name over the tables of one or more read models.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Its name in the namespace's schema.
    pub name: &'static str,
    /// Its query; `{orders}` stands for the schema of the read model `orders`.
    pub query: &'static str,
}

/// The tables of a read model, without its fold: what setting up the database needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The read model's name.
    pub name: &'static str,
    /// A change of tables or fold counts it up; every version has a schema of its own.
    pub version: u32,
    /// Idempotent SQL, run with the read model's schema as the search path.
    pub tables: &'static str,
    /// Its tables, for emptying them.
    pub table_names: &'static [&'static str],
    /// What readers see.
    pub views: &'static [View],
    /// How each sort of change is merged into the tables; together they name every column that Postgres does not
    /// compute by itself.
    pub merges: &'static [&'static Merge],
}

/// A read model: everything that differs between them. The loop (read, fold, write, go on) exists once, in `worker` and `projection`.
///
/// `fold` is pure and looks nothing up; a column is written from the events of one topic only, so that the topics may
/// be read in any order.
pub trait ReadModel: Send + Sync + 'static {
    /// Row changes of a batch, collapsed to one per row; and what is kept from one batch to the next, if anything.
    type Changes: Default + Send + Sync;
    /// What rows hold that a batch needs before it can be written; `()` for most.
    type Stored: DeserializeOwned + Send;

    /// Name, version, tables, views.
    const LAYOUT: Layout;
    /// The topics it folds.
    const CONTEXTS: &'static [Context];

    /// Folds one event into the changes.
    fn fold(changes: &mut Self::Changes, envelope: &Envelope);

    /// Whose answers change.
    fn touched(changes: &Self::Changes) -> Touched;

    /// The changes as rows, in the order in which they are to be merged. Perhaps asked for again, if writing failed.
    fn rows(changes: &Self::Changes) -> Vec<Rows>;

    /// What has to be looked up before `rows`; the checkpoints are locked by then.
    fn wanted(_changes: &Self::Changes) -> Option<Wanted> {
        None
    }

    /// What was looked up.
    fn found(_changes: &mut Self::Changes, _found: BTreeMap<Uuid, Self::Stored>) {}

    /// Writes the changes into Postgres; the search path is the read model's schema. Returns how many rows.
    ///
    /// # Errors
    /// Whatever the database says; the transaction is then rolled back, and perhaps the same changes written again.
    fn write(
        changes: &mut Self::Changes,
        tx: &mut PgConnection,
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send
    where
        Self: Sized,
    {
        postgres::write::<Self>(changes, tx)
    }

    /// What goes over from a batch that was written into the next one. It is dropped as soon as somebody else may have
    /// written.
    fn carry(_written: Self::Changes) -> Self::Changes {
        Self::Changes::default()
    }

    /// Sets the metrics of what is kept from one batch to the next; about once a second.
    fn measure(_kept: &Self::Changes) {}
}

/// The word that a value of a fieldless enum has in events and JSON, such as `by_buyer`.
pub(crate) fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("a fieldless enum is a JSON string, not {other:?}"),
    }
}

/// One column of many rows, for `unnest`.
pub(crate) fn column<R, T>(rows: &[R], of: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use domain::root::Meta;
    use domain::value::Timestamp;
    use uuid::Uuid;

    /// Of an event that was decided at this microsecond.
    pub(crate) fn meta(at: i64) -> Meta {
        Meta {
            event_id: Uuid::nil(),
            occurred_at: Timestamp(at),
            version: at,
            correlation_id: Uuid::nil(),
            causation_id: Uuid::nil(),
            actor: "system".to_owned(),
        }
    }
}
