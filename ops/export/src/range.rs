//! Which part of the log is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use bytes::Bytes;
use domain::root::Context;
use domain::value::Timestamp;
use event_log::log::{Bounds, Partition};
use schemas::RecordType;

/// A point of the log, as a person says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Point {
    /// The first record.
    Earliest,
    /// Where the log ends now.
    Latest,
    /// The first record at or after this moment of the log.
    Time(Timestamp),
    /// These offsets; a partition that is not named has the beginning (from) or the end (to).
    Offsets(BTreeMap<Partition, i64>),
}

/// A text that names no point of the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no point of the log: expected earliest, latest, a time such as 2026-11-22T15:00:00Z, or offsets such as \
     order-events/0=120,order-events/3=98"
)]
pub struct NoPoint(String);

impl FromStr for Point {
    type Err = NoPoint;

    fn from_str(text: &str) -> Result<Self, NoPoint> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            _ if text.contains('=') => offsets(text).map(Self::Offsets).ok_or_else(|| NoPoint(text.to_owned())),
            _ => time(text).map(Self::Time).map_err(|_| NoPoint(text.to_owned())),
        }
    }
}

/// A moment as RFC 3339.
///
/// # Errors
/// It is none.
pub fn time(text: &str) -> Result<Timestamp, String> {
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    parsed
        .map(|at| Timestamp(at.as_microsecond()))
        .map_err(|_| format!("{text:?} is no RFC 3339 time, such as 2026-11-22T15:00:00Z"))
}

/// The context of a topic's name without the namespace, such as `order-events`.
///
/// # Errors
/// There is no such topic.
pub fn topic(name: &str) -> Result<Context, String> {
    let names = || Context::ALL.map(Context::topic).join(", ");
    let mut all = Context::ALL.into_iter();
    all.find(|context| context.topic() == name).ok_or_else(|| format!("expected one of {}", names()))
}

fn offsets(text: &str) -> Option<BTreeMap<Partition, i64>> {
    let one = |part: &str| {
        let (place, offset) = part.split_once('=')?;
        let (name, number) = place.trim().split_once('/')?;
        let offset = offset.trim().parse().ok().filter(|offset| *offset >= 0)?;
        Some((Partition { context: topic(name).ok()?, number: number.parse().ok()? }, offset))
    };
    text.split(',').map(one).collect()
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// These topics.
    pub topics: BTreeSet<Context>,
    /// From here on.
    pub from: Point,
    /// To before here.
    pub to: Point,
    /// What was known at this moment of the log; what came later does not count.
    pub as_of: Option<Timestamp>,
    /// Only of this aggregate.
    pub key: Option<String>,
    /// Only of these types; all if empty.
    pub types: BTreeSet<RecordType>,
    /// Everything that lies there, with its verdict, instead of what counts.
    pub raw: bool,
}

impl Wanted {
    /// Everything that counts in some topics.
    pub fn of(topics: impl IntoIterator<Item = Context>) -> Self {
        Self {
            topics: topics.into_iter().collect(),
            from: Point::Earliest,
            to: Point::Latest,
            as_of: None,
            key: None,
            types: BTreeSet::new(),
            raw: false,
        }
    }

    /// What that means for a partition that begins and ends here.
    pub fn slice(&self, at: Partition, bounds: Bounds) -> Slice {
        let edge = |point: &Point, unnamed: i64| match point {
            Point::Earliest => Edge::Offset(bounds.start),
            Point::Latest => Edge::Offset(bounds.end),
            Point::Time(time) => Edge::Time(*time),
            Point::Offsets(offsets) => Edge::Offset(offsets.get(&at).copied().unwrap_or(unnamed)),
        };
        Slice {
            from: edge(&self.from, bounds.start),
            to: edge(&self.to, bounds.end),
            as_of: self.as_of,
            key: self.key.as_ref().map(|key| Bytes::copy_from_slice(key.as_bytes())),
            raw: self.raw,
        }
    }
}

/// Where a part of a partition begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// At this offset.
    Offset(i64),
    /// At this moment of the log.
    Time(Timestamp),
}

impl Edge {
    /// Whether a record lies before it.
    pub fn is_after(self, offset: i64, time: Timestamp) -> bool {
        match self {
            Self::Offset(edge) => offset < edge,
            Self::Time(edge) => time < edge,
        }
    }
}

/// The part of one partition that is asked for.
#[derive(Debug, Clone)]
pub struct Slice {
    /// From here on.
    pub from: Edge,
    /// To before here.
    pub to: Edge,
    /// Nothing later than this counts.
    pub as_of: Option<Timestamp>,
    /// Only of this aggregate.
    pub key: Option<Bytes>,
    /// Also what does not count.
    pub raw: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_words_times_and_offsets() {
        assert_eq!("earliest".parse(), Ok(Point::Earliest));
        assert_eq!("latest".parse(), Ok(Point::Latest));
        assert_eq!("1970-01-01T00:00:01.5Z".parse(), Ok(Point::Time(Timestamp(1_500_000))));
        assert_eq!("1970-01-01T01:00:00+01:00".parse(), Ok(Point::Time(Timestamp(0))));
        let at = |number| Partition { context: Context::Order, number };
        let offsets = Point::Offsets([(at(0), 12), (at(3), 9)].into());
        assert_eq!("order-events/0=12,order-events/3=9".parse(), Ok(offsets));
        for wrong in ["", "yesterday", "2026-11-22", "orders/0=1", "order-events=1", "order-events/0=-1", "12"] {
            assert!(wrong.parse::<Point>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_partition_that_is_not_named_is_whole() {
        let at = |number| Partition { context: Context::Order, number };
        let mut wanted = Wanted::of([Context::Order]);
        wanted.from = Point::Offsets([(at(0), 5)].into());
        wanted.to = Point::Offsets([(at(0), 7)].into());
        let bounds = Bounds { start: 0, end: 10 };
        let edges = |number| {
            let slice = wanted.slice(at(number), bounds);
            (slice.from, slice.to)
        };
        assert_eq!(edges(0), (Edge::Offset(5), Edge::Offset(7)));
        assert_eq!(edges(1), (Edge::Offset(0), Edge::Offset(10)));
    }
}
