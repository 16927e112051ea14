//! An aggregate as it was: its events up to a moment of the log, folded by its own code.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use domain::inventory::Inventory;
use domain::order::Order;
use domain::payment::Payment;
use domain::queue::WaitingRoom;
use domain::root::{Context, Root};
use domain::show::Show;
use domain::ticket::TicketBatch;
use domain::value::Timestamp;
use event_log::log::Log;
use schemas::Codec;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::lane::Lane;
use crate::range::Wanted;
use crate::reading::{Order as Way, Reading, Taker};
use crate::row::Row;
use crate::text::moment;

/// An aggregate at a moment.
#[derive(Debug, Clone, Serialize)]
pub struct AsOf {
    /// What it is: `show`, `inventory`, `order`, `payment`, `tickets` or `room`.
    pub kind: &'static str,
    /// Its id.
    pub id: Uuid,
    /// The moment of the log.
    pub as_of: String,
    /// Its topic.
    pub topic: &'static str,
    /// Its partition.
    pub partition: u32,
    /// Everything below this offset was known at that moment.
    pub below_offset: i64,
    /// So many events had made it.
    pub version: i64,
    /// The last of them.
    pub last: Last,
    /// It. Moments are microseconds since 1970 UTC, money is in minor units, personal data are sealed.
    pub state: Value,
}

/// The last event that an aggregate had.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Last {
    /// Its type.
    #[serde(rename = "type")]
    pub name: &'static str,
    /// Its offset.
    pub offset: i64,
    /// When it was appended.
    pub log_time: String,
    /// When it was decided.
    pub occurred_at: String,
    /// What it belongs to: all that began with one request.
    pub correlation_id: Uuid,
}

/// What the aggregates of a context are called.
pub fn kind(context: Context) -> &'static str {
    match context {
        Context::Catalog => "show",
        Context::Inventory => "inventory",
        Context::Order => "order",
        Context::Payment => "payment",
        Context::Ticket => "tickets",
        Context::Queue => "room",
    }
}

/// Every aggregate of these contexts that has this id and existed at that moment. Blocks.
///
/// # Errors
/// The log does not answer or is broken, or an event cannot be read.
pub fn as_of(
    log: &Arc<dyn Log>,
    codec: &Codec,
    partitions: u32,
    contexts: &[Context],
    id: Uuid,
    at: Timestamp,
) -> anyhow::Result<Vec<AsOf>> {
    let asked = Asked { log, codec, partitions, id, at };
    let found = contexts.iter().map(|context| match context {
        Context::Catalog => asked.one::<Show>(),
        Context::Inventory => asked.one::<Inventory>(),
        Context::Order => asked.one::<Order>(),
        Context::Payment => asked.one::<Payment>(),
        Context::Ticket => asked.one::<TicketBatch>(),
        Context::Queue => asked.one::<WaitingRoom>(),
    });
    found.filter_map(Result::transpose).collect()
}

struct Asked<'a> {
    log: &'a Arc<dyn Log>,
    codec: &'a Codec,
    partitions: u32,
    id: Uuid,
    at: Timestamp,
}

impl Asked<'_> {
    fn one<A: Root>(&self) -> anyhow::Result<Option<AsOf>> {
        let mut wanted = Wanted::of([A::CONTEXT]);
        wanted.key = Some(self.id.hyphenated().to_string());
        wanted.as_of = Some(self.at);
        let mut reading = Reading::begin(Arc::clone(self.log), self.codec.clone(), &wanted, self.partitions)?;
        let mut fold = Fold::<A> { codec: self.codec, state: A::default(), version: 0, last: None };
        reading.run(Way::OneByOne, &mut fold)?;
        let lane: &Lane = reading.lanes.first().context("an id lies in one partition")?;
        let Some(last) = fold.last else { return Ok(None) };
        let kind = kind(A::CONTEXT);
        let mut state = serde_json::to_value(&fold.state).with_context(|| format!("show the {kind} as JSON"))?;
        shorten(&mut state);
        Ok(Some(AsOf {
            kind,
            id: self.id,
            as_of: moment(self.at),
            topic: A::CONTEXT.topic(),
            partition: lane.at.number,
            below_offset: lane.next(),
            version: fold.version,
            last,
            state,
        }))
    }
}

/// Fingerprints are bytes: as hexadecimal digits they take one line.
fn shorten(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let bytes = value.as_array().filter(|_| name == "fingerprint");
                let hex = bytes.map(|it| it.iter().map(|byte| format!("{:02x}", byte.as_u64().unwrap_or(0))).collect());
                match hex {
                    Some(hex) => *value = Value::String(hex),
                    None => shorten(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(shorten),
        _ => {}
    }
}

struct Fold<'a, A> {
    codec: &'a Codec,
    state: A,
    version: i64,
    last: Option<Last>,
}

impl<A: Root> Taker for Fold<'_, A> {
    fn take(&mut self, row: Row) -> anyhow::Result<()> {
        let (meta, event) = self.codec.decode(&row.value).map_err(|error| crate::sink::unreadable(&row, error))?;
        let name = event.name();
        let event = A::Event::try_from(event)
            .map_err(|_| anyhow!("{name} lies at offset {} of {}, where it does not belong", row.offset, row.at))?;
        self.state.apply(event);
        self.version = meta.version;
        self.last = Some(Last {
            name,
            offset: row.offset,
            log_time: moment(row.log_time),
            occurred_at: moment(meta.occurred_at),
            correlation_id: meta.correlation_id,
        });
        Ok(())
    }

    fn tick(&mut self, _: &[Lane]) -> anyhow::Result<()> {
        Ok(())
    }
}
